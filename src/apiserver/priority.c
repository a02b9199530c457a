// SPDX-License-Identifier: Apache-2.0
// What classes say about a new pod: its priority and preemption policy (PriorityClass), its overhead and where it may
// run (RuntimeClass).
#include "apiserver/chain.h"

static const struct doc_value *global_default(struct chain_write *write) {
    struct api_collection *classes = write->chain->priorities;
    struct api_cursor cursor = api_cursor_at(classes, (struct str){NULL, 0});
    const struct doc_value *found = NULL;
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = entry->deleted ? NULL : api_entry_text(entry, NULL);
        bool maybe = text && str_has(blob_str(text), STR("\"globalDefault\":true"));
        blob_unref(text);
        if (maybe) { // the lowest of several counts
            const struct doc_value *other =
                chain_find(write->op, classes, STR(""), api_entry_name(entry));
            if (doc_bool(doc_get(other, "globalDefault"), false) &&
                (!found ||
                 doc_int(doc_get(other, "value"), 0) < doc_int(doc_get(found, "value"), 0))) {
                found = other;
            }
        }
    }
    return found;
}

static bool set_preemption(struct chain_write *write, const struct doc_value *class) {
    struct str wanted = doc_get_str(class, "preemptionPolicy");
    struct str has = doc_get_str(write->object, "spec", "preemptionPolicy");
    // PreemptLowerPriority is also what an absent policy was filled up with.
    if (!wanted.n || str_eq(wanted, has)) {
        return true;
    }
    if (has.n && !str_eq(has, STR("PreemptLowerPriority"))) {
        return chain_forbidden(write,
                               "the string value of PreemptionPolicy (%.*s) must not be provided "
                               "in pod spec; priority admission controller computed %.*s from the "
                               "given PriorityClass name",
                               STR_ARG(has), STR_ARG(wanted));
    }
    *write->object =
        doc_with(write->op->arena, write->object, doc_make_str(wanted), "spec", "preemptionPolicy");
    return true;
}

bool chain_priority(struct chain_write *write) {
    struct arena *arena = write->op->arena;
    const struct doc_value *spec = doc_get(write->object, "spec");
    struct str name = doc_get_str(spec, "priorityClassName");
    int64_t has = doc_int(doc_get(spec, "priority"), 0), priority = 0;
    const struct doc_value *class = NULL;
    if (name.n) {
        class = chain_find(write->op, write->chain->priorities, STR(""), name);
        if (!class) {
            return chain_forbidden(write, "no PriorityClass with name %.*s was found",
                                   STR_ARG(name));
        }
    } else {
        class = global_default(write);
    }
    priority = doc_int(doc_get(class, "value"), 0);
    if (has != 0 && has != priority) { // 0 is also what an absent one was filled up with
        return chain_forbidden(write,
                               "the integer value of priority (%lld) must not be provided in pod "
                               "spec; priority admission controller computed %lld from the given "
                               "PriorityClass name",
                               (long long)has, (long long)priority);
    }
    if (class && !name.n) {
        *write->object = doc_with(arena, write->object, *doc_get(class, "metadata", "name"), "spec",
                                  "priorityClassName");
    }
    if (has != priority) {
        *write->object = doc_with(arena, write->object, doc_make_int(priority), "spec", "priority");
    }
    return set_preemption(write, class);
}

static bool merge_selector(struct chain_write *write, const struct doc_value *selector) {
    struct doc_object merged =
        doc_object_copy(write->op->arena, doc_get(write->object, "spec", "nodeSelector"));
    for (DOC_EACH_MEMBER(selector, i)) {
        const struct doc_value *has =
            doc_find(doc_get(write->object, "spec", "nodeSelector"), doc_key_at(selector, i));
        if (has && !doc_equal(has, doc_value_at(selector, i))) {
            return chain_forbidden(write,
                                   "pod rejected: conflict: runtimeClass.scheduling."
                                   "nodeSelector[%.*s] = %.*s; pod.spec.nodeSelector[%.*s] "
                                   "= %.*s",
                                   STR_ARG(doc_key_at(selector, i)),
                                   STR_ARG(doc_str(doc_value_at(selector, i))),
                                   STR_ARG(doc_key_at(selector, i)), STR_ARG(doc_str(has)));
        }
        doc_object_set(&merged, doc_key_at(selector, i), *doc_value_at(selector, i));
    }
    if (doc_len(selector)) {
        *write->object = doc_with(write->op->arena, write->object, doc_object_done(&merged), "spec",
                                  "nodeSelector");
    }
    return true;
}

static void merge_tolerations(struct chain_write *write, const struct doc_value *more) {
    struct doc_array list = doc_array_start(write->op->arena);
    const struct doc_value *has = doc_get(write->object, "spec", "tolerations");
    for (DOC_EACH_ITEM(has, old)) {
        doc_array_add(&list, *old);
    }
    for (DOC_EACH_ITEM(more, item)) {
        bool known = false;
        for (DOC_EACH_ITEM(has, other)) {
            known = known || doc_equal(item, other);
        }
        if (!known) {
            doc_array_add(&list, *item);
        }
    }
    if (doc_len(more)) {
        *write->object =
            doc_with(write->op->arena, write->object, doc_array_done(&list), "spec", "tolerations");
    }
}

bool chain_runtime_class(struct chain_write *write) {
    const struct doc_value *spec = doc_get(write->object, "spec");
    struct str name = doc_get_str(spec, "runtimeClassName");
    const struct doc_value *has = doc_get(spec, "overhead"), *class = NULL;
    if (name.n) {
        class = chain_find(write->op, write->chain->runtimes, STR(""), name);
        if (!class) {
            return chain_forbidden(write, "pod rejected: RuntimeClass \"%.*s\" not found",
                                   STR_ARG(name));
        }
    }
    const struct doc_value *overhead = doc_get(class, "overhead", "podFixed");
    if (doc_len(has) && !overhead) {
        return chain_forbidden(write, "pod rejected: Pod Overhead set without corresponding "
                                      "RuntimeClass defined Overhead");
    }
    if (doc_len(has) && !doc_equal(has, overhead)) {
        return chain_forbidden(write, "pod rejected: Pod's Overhead doesn't match RuntimeClass's "
                                      "defined Overhead");
    }
    if (overhead && !doc_len(has)) {
        *write->object = doc_with(write->op->arena, write->object, *overhead, "spec", "overhead");
    }
    merge_tolerations(write, doc_get(class, "scheduling", "tolerations"));
    return merge_selector(write, doc_get(class, "scheduling", "nodeSelector"));
}
