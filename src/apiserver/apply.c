// SPDX-License-Identifier: Apache-2.0
// Server-side apply: the configuration is merged into the object, managedFields keeps what each applier names, what an
// applier no longer names goes, and two appliers of one field are a conflict unless forced. Writes by create, update and
// patch own nothing here (see README.md), so they never conflict.
#include "apiserver/core.h"
#include "apiserver/fieldset.h"
#include "base/timefmt.h"

struct applying {
    struct api_op *op;
    struct str version;              // apiVersion of the request
    struct str subresource;          // "status" or empty
    struct doc_value set;            // of the configuration
    const struct doc_value *entries; // managedFields of the object
    const struct doc_value *own;     // our entry among them, or NULL
};

static bool is_own(const struct applying *a, const struct doc_value *entry) {
    return str_eq(doc_get_str(entry, "manager"), a->op->request.field_manager) &&
           str_eq(doc_get_str(entry, "operation"), STR("Apply")) &&
           str_eq(doc_get_str(entry, "subresource"), a->subresource);
}

static struct doc_value own_entry(struct applying *a) {
    struct arena *arena = a->op->arena;
    struct doc_object entry = doc_object_start(arena);
    doc_object_set_c(&entry, "manager", doc_make_str(a->op->request.field_manager));
    doc_object_set_c(&entry, "operation", DOC_S("Apply"));
    doc_object_set_c(&entry, "apiVersion", doc_make_str(a->version));
    // The time of the last change: applying the same again must not write.
    const struct doc_value *time = doc_get(a->own, "time");
    bool same = time && doc_equal(doc_get(a->own, "fieldsV1"), &a->set);
    doc_object_set_c(&entry, "time",
                     same ? *time
                          : doc_make_str(time_format(arena, loop_wall(a->op->server->loop))));
    doc_object_set_c(&entry, "fieldsType", DOC_S("FieldsV1"));
    doc_object_set_c(&entry, "fieldsV1", a->set);
    if (a->subresource.n) {
        doc_object_set_c(&entry, "subresource", doc_make_str(a->subresource));
    }
    return doc_object_done(&entry);
}

static bool refuse(struct applying *a, struct doc_array *causes, struct str text) {
    struct api_op *op = a->op;
    uint32_t n = causes->len;
    api_error_set(&op->error, op->arena, 409, "Conflict", "Apply failed with %u conflict%s: %.*s",
                  n, n == 1 ? "" : "s", STR_ARG(text));
    struct doc_object details = doc_object_start(op->arena);
    doc_object_set_c(&details, "causes", doc_array_done(causes));
    op->error.details = doc_object_done(&details);
    return false;
}

// Takes the fields that change hands from the other entries; without force that is an error.
static bool take_over(struct applying *a, const struct doc_value *old,
                      const struct doc_value *config, struct doc_array *entries) {
    struct arena *arena = a->op->arena;
    struct doc_array causes = doc_array_start(arena);
    struct str text = {NULL, 0};
    for (DOC_EACH_ITEM(a->entries, entry)) {
        struct field_paths paths = {0};
        if (is_own(a, entry)) {
            continue;
        }
        struct doc_value rest =
            fieldset_conflicts(arena, &a->set, doc_get(entry, "fieldsV1"), old, config, &paths);
        struct str who =
            arena_printf(arena, "conflict with \"%.*s\"", STR_ARG(doc_get_str(entry, "manager")));
        if (str_eq(doc_get_str(entry, "operation"), STR("Update"))) {
            who = arena_printf(arena, "%.*s using %.*s", STR_ARG(who),
                               STR_ARG(doc_get_str(entry, "apiVersion")));
        }
        for (size_t i = 0; i < paths.list.len; i++) {
            struct doc_object cause = doc_object_start(arena);
            doc_object_set_c(&cause, "reason", DOC_S("FieldManagerConflict"));
            doc_object_set_c(&cause, "message", doc_make_str(who));
            doc_object_set_c(&cause, "field", doc_make_str(paths.list.items[i]));
            doc_array_add(&causes, doc_object_done(&cause));
            text = arena_printf(arena, "%.*s%s%.*s: %.*s", STR_ARG(text), text.n ? ", " : "",
                                STR_ARG(who), STR_ARG(paths.list.items[i]));
        }
        VEC_FREE(&paths.list);
        if (doc_len(&rest)) {
            doc_array_add(entries, doc_with(arena, entry, rest, "fieldsV1"));
        }
    }
    return causes.len == 0 || a->op->request.force || refuse(a, &causes, text);
}

static struct doc_value drop_old(struct applying *a, struct doc_value merged) {
    const struct doc_value *before = doc_get(a->own, "fieldsV1");
    if (!before) {
        return merged;
    }
    const struct doc_value **others =
        ARENA_ARRAY(a->op->arena, doc_len(a->entries) + 1, const struct doc_value *);
    size_t count = 0;
    for (DOC_EACH_ITEM(a->entries, entry)) {
        if (entry != a->own) {
            others[count++] = doc_get(entry, "fieldsV1");
        }
    }
    return fieldset_drop(a->op->arena, &merged, before, &a->set, others, count);
}

static bool check(struct api_op *op, const struct doc_value *config) {
    if (!op->request.field_manager.n) {
        return api_error_set(&op->error, op->arena, 422, "Invalid",
                             "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required "
                             "value: is required for apply patch");
    }
    if (doc_len(doc_get(config, "metadata", "managedFields"))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "metadata.managedFields must be nil");
    }
    return true;
}

bool api_apply(struct api_op *op, const struct doc_value *old, const struct doc_value *given,
               struct doc_value *out) {
    struct arena *arena = op->arena;
    if (!check(op, given)) {
        return false;
    }
    struct applying a = {.op = op,
                         .version = api_group_version(arena, op->kind->group, op->kind->version),
                         .subresource = op->request.subresource,
                         .entries = doc_get(old, "metadata", "managedFields")};
    bool status = a.subresource.n > 0;
    struct doc_value config = *given;
    if (op->kind->has_status && !status) {
        config = doc_without(arena, &config, "status"); // has its own way in
    }
    a.set = fieldset_of(arena, op->kind->merge, &config);
    for (DOC_EACH_ITEM(a.entries, entry)) {
        a.own = is_own(&a, entry) ? entry : a.own;
    }
    struct doc_array entries = doc_array_start(arena);
    struct doc_value next = config;
    if (old) {
        if (!take_over(&a, old, &config, &entries)) {
            return false;
        }
        next = drop_old(&a, fieldset_merge(arena, op->kind->merge, old, &config));
    }
    doc_array_add(&entries, own_entry(&a));
    *out = doc_with(arena, &next, doc_array_done(&entries), "metadata", "managedFields");
    return true;
}
