// SPDX-License-Identifier: Apache-2.0
// Which admission webhooks a write concerns: the configurations in the order in which they are called, kept parsed until
// one of them changes, and their rules and selectors.
#include "apiserver/policy.h"

enum { HOOKS_MAX = 2000 };

// ---- The list ----
void hook_list_init(struct hook_list *list, struct apiserver *server, const char *plural) {
    *list = (struct hook_list){.stamp = -1};
    list->collection =
        api_collection_get(server, STR("admissionregistration.k8s.io"), str_from(plural));
}

void hook_list_fini(struct hook_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        policy_texts_release(list->hooks[i].conditions, list->hooks[i].condition_count);
    }
    list->count = 0;
    arena_destroy(list->arena);
    list->arena = NULL;
}

static bool says(const struct doc_value *spec, const char *key, const char *value) {
    return str_eq_c(doc_str(doc_find(spec, str_from(key))), value);
}

static void add_hooks(struct hook_list *list, const struct doc_value *config, bool mutating) {
    for (DOC_EACH_ITEM(doc_get(config, "webhooks"), spec)) {
        if (list->count == HOOKS_MAX) {
            return;
        }
        struct hook *hook = &list->hooks[list->count++];
        *hook = (struct hook){
            .spec = spec,
            .name = doc_get_str(spec, "name"),
            .mutating = mutating,
            .ignore_failure = says(spec, "failurePolicy", "Ignore"),
            .dry_run_fine =
                says(spec, "sideEffects", "None") || says(spec, "sideEffects", "NoneOnDryRun"),
            .equivalent = !says(spec, "matchPolicy", "Exact"),
            .reinvoke = says(spec, "reinvocationPolicy", "IfNeeded"),
            .timeout_seconds = doc_int(doc_get(spec, "timeoutSeconds"), 10),
        };
        if (doc_len(doc_get(spec, "matchConditions"))) {
            hook->conditions =
                policy_texts(list->arena, doc_get(spec, "matchConditions"), &hook->condition_count);
        }
    }
}

void hook_list_refresh(struct hook_list *list, bool mutating) {
    if (list->stamp == list->collection->changed) {
        return;
    }
    hook_list_fini(list);
    list->stamp = list->collection->changed;
    list->hooks = NULL;
    list->count = 0;
    if (list->collection->count == 0) {
        return;
    }
    list->arena = arena_create();
    list->hooks = ARENA_ARRAY(list->arena, HOOKS_MAX, struct hook);
    struct api_cursor cursor = api_cursor_at(list->collection, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = api_entry_durable(entry, NULL);
        struct doc_value *config = ARENA_NEW(list->arena, struct doc_value);
        if (text && doc_parse_json_copy(blob_str(text), list->arena, config, NULL)) {
            add_hooks(list, config, mutating);
        }
        blob_unref(text);
    }
}

// ---- Selectors ----
static bool value_in(const struct doc_value *values, struct str value) {
    for (DOC_EACH_ITEM(values, item)) {
        if (str_eq(doc_str(item), value)) {
            return true;
        }
    }
    return false;
}

bool chain_selector_matches(const struct doc_value *selector, const struct doc_value *labels) {
    const struct doc_value *wanted = doc_get(selector, "matchLabels");
    for (DOC_EACH_MEMBER(wanted, i)) {
        const struct doc_value *has = doc_find(labels, doc_key_at(wanted, i));
        if (!has || !str_eq(doc_str(has), doc_str(doc_value_at(wanted, i)))) {
            return false;
        }
    }
    for (DOC_EACH_ITEM(doc_get(selector, "matchExpressions"), item)) {
        struct str how = doc_get_str(item, "operator");
        const struct doc_value *has = doc_find(labels, doc_get_str(item, "key"));
        bool in = has && value_in(doc_get(item, "values"), doc_str(has));
        bool fits = str_eq(how, STR("In"))       ? in
                    : str_eq(how, STR("NotIn"))  ? !in
                    : str_eq(how, STR("Exists")) ? has != NULL
                                                 : has == NULL;
        if (!fits) {
            return false;
        }
    }
    return true;
}

static bool selects_all(const struct doc_value *selector) {
    return doc_len(doc_get(selector, "matchLabels")) == 0 &&
           doc_len(doc_get(selector, "matchExpressions")) == 0;
}

static bool is_namespace(const struct chain_write *write) {
    return !write->kind->group.n && str_eq(write->kind->plural, STR("namespaces"));
}

bool chain_namespace_matches(const struct chain_write *write, const struct doc_value *selector) {
    if (selects_all(selector) || (!write->ns.n && !is_namespace(write))) {
        return true;
    }
    const struct doc_value *ns =
        is_namespace(write) && write->object && !write->subresource.n
            ? write->object
            : chain_find(write->op, write->chain->namespaces, STR(""), write->ns);
    return chain_selector_matches(selector, doc_get(ns, "metadata", "labels"));
}

bool chain_object_matches(const struct chain_write *write, const struct doc_value *selector) {
    return selects_all(selector) ||
           (write->object &&
            chain_selector_matches(selector, doc_get(write->object, "metadata", "labels"))) ||
           (write->old &&
            chain_selector_matches(selector, doc_get(write->old, "metadata", "labels")));
}

// ---- Rules ----
static bool lists(const struct doc_value *list, struct str value) {
    for (DOC_EACH_ITEM(list, item)) {
        if (str_eq(doc_str(item), STR("*")) || str_eq(doc_str(item), value)) {
            return true;
        }
    }
    return false;
}

static bool scope_matches(struct str scope, const struct chain_write *write) {
    bool inside = write->ns.n > 0 && !is_namespace(write);
    return str_eq(scope, STR("Namespaced")) ? inside
           : str_eq(scope, STR("Cluster"))  ? !inside
                                            : true;
}

static bool resource_matches(const struct doc_value *resources, const struct chain_write *write,
                             const struct api_kind *kind) {
    for (DOC_EACH_ITEM(resources, item)) {
        struct str resource, sub;
        str_cut(doc_str(item), '/', &resource, &sub);
        if ((str_eq(resource, STR("*")) || str_eq(resource, kind->plural)) &&
            (str_eq(sub, STR("*")) || str_eq(sub, write->subresource))) {
            return true;
        }
    }
    return false;
}

bool hook_rule_matches(const struct doc_value *rule, const struct chain_write *write,
                       const struct api_kind *kind) {
    return scope_matches(doc_get_str(rule, "scope"), write) &&
           lists(doc_get(rule, "operations"), str_from(write->operation)) &&
           lists(doc_get(rule, "apiGroups"), kind->group) &&
           lists(doc_get(rule, "apiVersions"), kind->version) &&
           resource_matches(doc_get(rule, "resources"), write, kind);
}

// The same objects in another version, or in another group (Events).
static bool is_equivalent(const struct api_kind *a, const struct api_kind *b) {
    return a != b && str_eq(a->plural, b->plural) && str_eq(a->storage_group, b->storage_group);
}

static const struct api_kind *rule_kind(const struct hook *hook, const struct chain_write *write) {
    const struct doc_value *rules = doc_get(hook->spec, "rules");
    for (DOC_EACH_ITEM(rules, rule)) {
        if (hook_rule_matches(rule, write, write->kind)) {
            return write->kind;
        }
    }
    const struct api_kind *kind;
    for (size_t i = 0; hook->equivalent && api_kinds_next(write->op->server->kinds, &i, &kind);) {
        if (!is_equivalent(write->kind, kind)) {
            continue;
        }
        for (DOC_EACH_ITEM(rules, other)) {
            if (hook_rule_matches(other, write, kind)) {
                return kind;
            }
        }
    }
    return NULL;
}

bool hook_matches(const struct hook *hook, const struct chain_write *write,
                  const struct api_kind **as) {
    *as = rule_kind(hook, write);
    return *as && chain_object_matches(write, doc_get(hook->spec, "objectSelector")) &&
           chain_namespace_matches(write, doc_get(hook->spec, "namespaceSelector"));
}
