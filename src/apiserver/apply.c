// SPDX-License-Identifier: Apache-2.0
// Server-side apply: the configuration is merged into the object, its manager owns what it names, what the manager named
// before and nobody else owns goes, and changing what somebody else owns is a conflict unless it is forced.
#include "apiserver/managed.h"

#include <stdlib.h>

#include "base/timefmt.h"

static const char last_applied[] = "kubectl.kubernetes.io/last-applied-configuration";

struct applying {
    struct api_op *op;
    struct managed managed;
    struct managed_entry own; // our entry as it was; `source` NULL: none
    bool had_own;
    struct fieldset all; // what the configuration names
    struct fieldset set; // of it what can be owned
    struct str version;
    struct schema_fields root;
    const struct doc_value *live;
};

static bool is_scale(const struct api_op *op) {
    return str_eq(op->request.subresource, STR("scale"));
}

// ---- Refusals ----
static bool check(struct api_op *op, const struct doc_value *config) {
    if (!doc_is_null(doc_get(config, "metadata", "managedFields"))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "metadata.managedFields must be nil");
    }
    return true;
}

static struct str who(const struct api_op *op, const struct managed_entry *entry) {
    struct arena *arena = op->arena;
    struct str name = arena_printf(arena, "\"%.*s\"", STR_ARG(entry->manager));
    struct str version = is_scale(op) ? STR("autoscaling/v1") : entry->version;
    if (entry->subresource.n) {
        name = arena_printf(arena, "%.*s with subresource \"%.*s\"", STR_ARG(name),
                            STR_ARG(entry->subresource));
    }
    return entry->applied ? name
                          : arena_printf(arena, "%.*s using %.*s", STR_ARG(name), STR_ARG(version));
}

struct conflict {
    const struct managed_entry *entry;
    struct fieldset set;
};

static int compare_conflicts(const void *a, const void *b) {
    const struct managed_entry *x = ((const struct conflict *)a)->entry,
                               *y = ((const struct conflict *)b)->entry;
    int order = str_cmp(x->manager, y->manager);
    order = order ? order : (int)y->applied - (int)x->applied;
    order = order ? order : str_cmp(x->version, y->version);
    return order ? order : str_cmp(x->subresource, y->subresource);
}

static bool refuse(struct api_op *op, struct conflict *conflicts, size_t count) {
    struct arena *arena = op->arena;
    struct doc_array causes = doc_array_start(arena);
    struct buf text;
    buf_init(&text, MIB);
    if (count > 1) {
        qsort(conflicts, count, sizeof *conflicts, compare_conflicts);
    }
    struct str only = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        struct fieldset_paths paths = {.arena = arena};
        struct str name = who(op, conflicts[i].entry);
        fieldset_list(&conflicts[i].set, &paths);
        buf_printf(&text, "%sconflicts with %.*s:", i ? "\n" : "", STR_ARG(name));
        for (size_t j = 0; j < paths.len; j++) {
            struct doc_object cause = doc_object_start(arena);
            doc_object_set_c(&cause, "reason", DOC_S("FieldManagerConflict"));
            doc_object_set_c(
                &cause, "message",
                doc_make_str(arena_printf(arena, "conflict with %.*s", STR_ARG(name))));
            doc_object_set_c(&cause, "field", doc_make_str(paths.items[j]));
            doc_array_add(&causes, doc_object_done(&cause));
            buf_printf(&text, "\n- %.*s", STR_ARG(paths.items[j]));
            only = arena_printf(arena, "conflict with %.*s: %.*s", STR_ARG(name),
                                STR_ARG(paths.items[j]));
        }
    }
    uint32_t n = causes.len;
    struct str details_text = n == 1 ? only : buf_str(&text);
    api_error_set(&op->error, arena, 409, "Conflict", "Apply failed with %u conflict%s: %.*s", n,
                  n == 1 ? "" : "s", STR_ARG(details_text));
    struct doc_object details = doc_object_start(arena);
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    op->error.details = doc_object_done(&details);
    buf_fini(&text);
    return false;
}

// What kubectl applied on the client's side, and nobody changed since, may change hands without a conflict.
static struct fieldset allowed(struct applying *a) {
    struct arena *arena = a->op->arena;
    struct fieldset set = {0};
    struct str text = doc_get_str(a->live, "metadata", "annotations", last_applied);
    struct doc_value config;
    struct err err = {0};
    if (str_eq(a->op->request.field_manager, STR("kubectl")) && text.n &&
        doc_parse_json(text, arena, &config, &err) && doc_is(&config, DOC_OBJECT)) {
        struct fieldset_diff since;
        set = fieldset_of_live(arena, &a->root, &config);
        fieldset_diff(arena, &a->root, &config, a->live, &since);
        set = fieldset_minus(arena, &set, &since.changed);
        set = fieldset_minus(arena, &set, &since.removed);
    }
    return set;
}

static bool check_conflicts(struct applying *a, struct managed_write *write) {
    struct arena *arena = a->op->arena;
    struct conflict *conflicts = ARENA_ARRAY(arena, a->managed.len + 1, struct conflict);
    size_t count = 0;
    if (a->op->request.force) {
        return true;
    }
    struct fieldset mine = allowed(a);
    for (size_t i = 0; i < a->managed.len; i++) {
        struct managed_entry *entry = &a->managed.items[i];
        const struct fieldset_diff *diff = managed_diff(write, entry->version);
        if (!diff) {
            continue;
        }
        struct fieldset common =
            fieldset_common(arena, managed_set(&a->managed, entry), &diff->changed);
        common = fieldset_minus(arena, &common, &mine);
        if (!fieldset_is_empty(&common)) {
            conflicts[count++] = (struct conflict){entry, common};
        }
    }
    return count == 0 || refuse(a->op, conflicts, count);
}

// ---- Giving up fields ----
static struct fieldset named_set(struct applying *a, const struct doc_value *value) {
    struct fieldset set = fieldset_of_live(a->op->arena, &a->root, value);
    return fieldset_with_named(a->op->arena, &a->root, &set);
}

// Takes out what this manager applied before and does not any more, unless somebody owns it.
static struct doc_value prune(struct applying *a, const struct doc_value *merged) {
    struct arena *arena = a->op->arena;
    if (!a->had_own || fieldset_is_empty(&a->own.set) || !managed_kind(a->op, a->own.version)) {
        return *merged;
    }
    struct fieldset gone = fieldset_minus(arena, &a->own.set, &a->set);
    if (fieldset_is_empty(&gone)) {
        return *merged; // most applies: nothing is given up
    }
    struct fieldset last = fieldset_with_named(arena, &a->root, &a->own.set);
    struct doc_value pruned = fieldset_remove(arena, &a->root, merged, &last);
    struct fieldset owned = a->all;
    for (size_t i = 0; i < a->managed.len; i++) {
        struct managed_entry *entry = &a->managed.items[i];
        owned = fieldset_union(arena, &owned, managed_set(&a->managed, entry));
    }
    struct fieldset all = named_set(a, merged), left = named_set(a, &pruned);
    struct fieldset kept = fieldset_with_named(arena, &a->root, &owned);
    kept = fieldset_union(arena, &kept, &left);
    struct fieldset out = fieldset_minus(arena, &all, &kept);
    pruned = fieldset_remove(arena, &a->root, merged, &out);
    // Only what was ours may go: what hangs on it and belongs to nobody comes back.
    left = named_set(a, &pruned);
    out = fieldset_minus(arena, &all, &left);
    out = fieldset_common(arena, &out, &last);
    return fieldset_remove(arena, &a->root, merged, &out);
}

// ---- The entries ----
static void take_own(struct applying *a) {
    for (size_t i = a->managed.len; i-- > 0;) {
        struct managed_entry *entry = &a->managed.items[i];
        if (entry->applied && str_eq(entry->manager, a->op->request.field_manager) &&
            str_eq(entry->subresource, a->op->request.subresource)) {
            managed_set(&a->managed, entry);
            a->own = *entry;
            a->had_own = true;
            managed_remove(&a->managed, i);
        }
    }
}

// Objects that nobody tracked yet: what is there belongs to "before-first-apply".
static void adopt(struct applying *a) {
    struct doc_value nothing = a->op->kind->merge
                                   ? schema_fields_zero(a->op->arena, a->op->kind->merge)
                                   : (struct doc_value){.kind = DOC_OBJECT};
    struct managed_write write = {
        .op = a->op, .root = a->root, .version = a->version, .before = &nothing, .after = a->live};
    managed_compare(&write);
    managed_track(&a->managed, &write, STR("before-first-apply"));
}

// The time is that of the last apply that changed the object, not only its owners.
static void put_own(struct applying *a, bool changed) {
    struct api_op *op = a->op;
    if (fieldset_is_empty(&a->set)) {
        return;
    }
    bool same =
        a->had_own && str_eq(a->own.version, a->version) && fieldset_equal(&a->own.set, &a->set);
    struct managed_entry *own = managed_add(&a->managed);
    *own = a->own;
    if (same && !changed) {
        return;
    }
    own->manager = op->request.field_manager;
    own->version = a->version;
    own->subresource = op->request.subresource;
    own->applied = true;
    if (changed && !is_scale(op)) {
        op->fresh_time = op->fresh_time ? op->fresh_time : loop_wall(op->server->loop);
        own->time = time_format(op->arena, op->fresh_time);
    }
    managed_change(own, a->set);
}

// ---- kubectl's annotation follows, so that its client-side apply goes on working ----
static struct doc_value with_last_applied(struct applying *a, struct doc_value object,
                                          const struct doc_value *given) {
    struct arena *arena = a->op->arena;
    if (!str_eq(a->op->request.field_manager, STR("kubectl")) ||
        !doc_get_str(&object, "metadata", "annotations", last_applied).n) {
        return object;
    }
    struct doc_value config = doc_without(arena, given, "metadata", "annotations", last_applied);
    struct buf text;
    buf_init(&text, LIMIT_OBJECT_BYTES);
    doc_print_canonical(&config, &text);
    buf_add_char(&text, '\n');
    struct str copy = arena_dup(arena, buf_str(&text));
    buf_fini(&text);
    return doc_with(arena, &object, doc_make_str(copy), "metadata", "annotations", last_applied);
}

// ---- The parts of a configuration that this way in may not set ----
static struct doc_value own_part(struct api_op *op, const struct doc_value *config) {
    if (str_eq(op->request.subresource, STR("status"))) {
        struct doc_object out = doc_object_start(op->arena);
        for (DOC_EACH_MEMBER(config, i)) {
            struct str key = doc_key_at(config, i);
            bool metadata = str_eq(key, STR("metadata")) && !op->kind->custom;
            if (metadata || str_eq(key, STR("status")) || str_eq(key, STR("apiVersion")) ||
                str_eq(key, STR("kind"))) {
                doc_object_set(&out, key, *doc_value_at(config, i));
            }
        }
        return doc_object_done(&out);
    }
    return op->kind->has_status ? doc_without(op->arena, config, "status") : *config;
}

static bool typed(struct applying *a, const struct doc_value *config) {
    struct api_op *op = a->op;
    struct err err = {0};
    if (fieldset_of(op->arena, &a->root, config, &a->all, &err)) {
        a->set = fieldset_strip(op->arena, &a->all);
        return true;
    }
    struct str ns = doc_get_str(config, "metadata", "namespace");
    return api_error_set(&op->error, op->arena, 500, "",
                         "failed to create typed patch object (%.*s/%.*s; %.*s/%.*s, Kind=%.*s): "
                         "%s",
                         STR_ARG(ns), STR_ARG(op->request.name), STR_ARG(op->kind->group),
                         STR_ARG(op->kind->version), STR_ARG(op->kind->kind), err.message);
}

bool api_apply(struct api_op *op, const struct doc_value *old, const struct doc_value *given,
               struct doc_value *out) {
    struct arena *arena = op->arena;
    struct doc_value nothing = {.kind = DOC_OBJECT};
    if (!old && op->kind->merge) {
        nothing = schema_fields_zero(arena, op->kind->merge);
    }
    struct applying a = {
        .op = op,
        .version = api_group_version(arena, op->kind->group, op->kind->version),
        .root = managed_root(op->kind),
        .live = old ? old : &nothing,
    };
    struct doc_value config = own_part(op, given);
    if (!check(op, given) || !typed(&a, &config)) {
        return false;
    }
    const struct doc_value *before = doc_get(old, "metadata", "managedFields");
    managed_read(arena, before, false, &a.managed, &(struct err){0});
    if (old && a.managed.len == 0) {
        adopt(&a);
    }
    take_own(&a);
    struct doc_value next = config;
    bool changed = true;
    if (old) {
        struct doc_value merged = fieldset_merge(arena, &a.root, old, &config);
        next = prune(&a, &merged);
        struct managed_write write = {
            .op = op, .root = a.root, .version = a.version, .before = old, .after = &next};
        managed_compare(&write);
        if (!check_conflicts(&a, &write)) {
            return false;
        }
        managed_take(&a.managed, &write, SIZE_MAX);
        // A status that has no way in here still makes it a change, of which nothing is stored.
        struct doc_value wanted = next;
        if (op->kind->has_status && !op->request.subresource.n && doc_get(given, "status")) {
            wanted = fieldset_merge(arena, &a.root, &next, given);
        }
        changed = !doc_equal(old, &wanted);
    }
    put_own(&a, changed);
    next = with_last_applied(&a, next, given);
    struct doc_value list = managed_print(&a.managed, before);
    *out = doc_len(&list) ? doc_with(arena, &next, list, "metadata", "managedFields")
                          : doc_without(arena, &next, "metadata", "managedFields");
    return true;
}
