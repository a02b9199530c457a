// SPDX-License-Identifier: Apache-2.0
// managedFields of the writes that are not an apply: what a write changes belongs to its manager from then on, what it
// removes to nobody. The cost is that of comparing the two states; entries are only parsed when a change touches them.
#include "apiserver/managed.h"

#include "base/text.h"
#include "base/timefmt.h"

struct schema_fields managed_root(const struct api_kind *kind) {
    return schema_fields_root(kind->merge, kind->custom ? kind->schema : NULL);
}

const struct api_kind *managed_kind(const struct api_op *op, struct str version) {
    struct str group, rest;
    if (!str_cut(version, '/', &group, &rest)) {
        group = (struct str){NULL, 0};
        rest = version;
    }
    return str_eq(group, op->kind->group) && str_eq(rest, op->kind->version)
               ? op->kind
               : api_kinds_find(op->server->kinds, group, rest, op->kind->plural);
}

static void drop_status(struct fieldset *set) {
    for (uint32_t i = 0; i < set->len; i++) {
        if (str_eq(set->items[i]->name, STR("f:status"))) {
            set->len--;
            memmove(&set->items[i], &set->items[i + 1], (set->len - i) * sizeof *set->items);
        }
    }
}

// A status belongs to who writes it by its sub-resource.
static void compare(struct api_op *op, const struct schema_fields *root,
                    const struct doc_value *before, const struct doc_value *after,
                    struct fieldset_diff *out) {
    fieldset_diff(op->arena, root, before, after, out);
    if (op->kind->has_status && !op->request.subresource.n) {
        drop_status(&out->changed);
        drop_status(&out->removed);
    }
}

void managed_compare(struct managed_write *write) {
    compare(write->op, &write->root, write->before, write->after, &write->diff);
}

const struct fieldset_diff *managed_diff(struct managed_write *write, struct str version) {
    struct api_op *op = write->op;
    if (str_eq(version, write->version)) {
        return &write->diff;
    }
    const struct api_kind *kind = managed_kind(op, version);
    if (!kind) {
        return NULL;
    }
    if (kind->custom) {
        return &write->diff; // versions differ in their name only
    }
    for (size_t i = 0; i < write->other_count; i++) {
        if (str_eq(write->others[i].version, version)) {
            return &write->others[i].diff;
        }
    }
    size_t count = write->other_count++;
    write->others = arena_grow(op->arena, write->others, count * sizeof *write->others,
                               (count + 1) * sizeof *write->others);
    struct schema_fields root = managed_root(kind);
    struct doc_value before = api_kind_convert(op->arena, kind, write->before);
    struct doc_value after = api_kind_convert(op->arena, kind, write->after);
    write->others[count].version = version;
    compare(op, &root, &before, &after, &write->others[count].diff);
    return &write->others[count].diff;
}

void managed_take(struct managed *managed, struct managed_write *write, size_t self) {
    struct arena *arena = managed->arena;
    size_t kept = 0;
    for (size_t i = 0; i < managed->len; i++) {
        struct managed_entry *entry = &managed->items[i];
        const struct fieldset_diff *diff = managed_diff(write, entry->version);
        bool stays = i == self;
        if (!stays && diff) {
            bool taken = entry->parsed ? true
                                       : fieldset_touches(&diff->changed, entry->fields) ||
                                             fieldset_touches(&diff->removed, entry->fields);
            if (taken) {
                struct fieldset rest =
                    fieldset_minus(arena, managed_set(managed, entry), &diff->changed);
                rest = fieldset_minus(arena, &rest, &diff->removed);
                if (!fieldset_equal(&rest, &entry->set)) {
                    managed_change(entry, rest);
                }
            }
            stays = entry->parsed ? !fieldset_is_empty(&entry->set) : doc_len(entry->fields) > 0;
        }
        if (stays) {
            managed->items[kept++] = *entry;
        }
    }
    managed->len = kept;
}

static struct str time_of(struct api_op *op) {
    op->fresh_time = op->fresh_time ? op->fresh_time : loop_wall(op->server->loop);
    return time_format(op->arena, op->fresh_time);
}

// As in Kubernetes: a Scale of zero has no replicas to own, and those of custom kinds are tracked for others only.
static bool is_disowned(struct api_op *op, const struct doc_value *object) {
    return op->kind->custom || doc_int(doc_get(object, "spec", "replicas"), 0) == 0;
}

void managed_track(struct managed *managed, struct managed_write *write, struct str manager) {
    struct api_op *op = write->op;
    managed_take(managed, write, SIZE_MAX);
    bool scale = str_eq(op->request.subresource, STR("scale"));
    if (fieldset_is_empty(&write->diff.changed) || (scale && is_disowned(op, write->after))) {
        return;
    }
    struct managed_entry *own = NULL;
    for (size_t i = 0; i < managed->len && !own; i++) {
        struct managed_entry *entry = &managed->items[i];
        own = !entry->applied && str_eq(entry->manager, manager) &&
                      str_eq(entry->version, write->version) &&
                      str_eq(entry->subresource, op->request.subresource)
                  ? entry
                  : NULL;
    }
    if (!own) {
        own = managed_add(managed);
        own->manager = manager;
        own->version = write->version;
        own->subresource = op->request.subresource;
        own->parsed = true;
    }
    own->time = scale ? (struct str){NULL, 0} : time_of(op);
    managed_change(own,
                   fieldset_union(managed->arena, managed_set(managed, own), &write->diff.changed));
    managed_cap(managed);
}

// ---- Who writes ----
// The User-Agent up to its first slash, without what cannot be printed.
static struct str manager_of(struct api_op *op) {
    if (op->request.field_manager.n) {
        return op->request.field_manager;
    }
    if (!op->authorize && !op->user_agent.n) {
        return STR("skiff");
    }
    struct str name, rest;
    if (!str_cut(op->user_agent, '/', &name, &rest)) {
        name = op->user_agent;
    }
    struct buf text;
    buf_init(&text, LIMIT_FIELD_MANAGER);
    for (size_t i = 0; i < name.n;) {
        size_t length = utf8_sequence(str_skip(name, i));
        bool printable = length > 1 || (length == 1 && name.p[i] >= ' ' && name.p[i] != 127);
        if (printable && !buf_add(&text, name.p + i, length)) {
            break;
        }
        i += length ? length : 1;
    }
    struct str out = arena_dup(op->arena, buf_str(&text));
    buf_fini(&text);
    return out.n ? out : STR("unknown");
}

// ---- What a request may say of its manager ----
static bool bad_option(struct api_op *op, const char *field, const char *reason,
                       struct str message) {
    static const struct api_kind kinds[] = {
        {.group = STR_INIT("meta.k8s.io"), .kind = STR_INIT("PatchOptions")},
        {.group = STR_INIT("meta.k8s.io"), .kind = STR_INIT("CreateOptions")},
        {.group = STR_INIT("meta.k8s.io"), .kind = STR_INIT("UpdateOptions")},
    };
    enum api_verb verb = op->request.verb;
    struct schema_problem problem = {
        .path = str_from(field), .message = message, .reason = str_from(reason)};
    return api_error_invalid(&op->error, op->arena,
                             &kinds[verb == API_VERB_CREATE   ? 1
                                    : verb == API_VERB_UPDATE ? 2
                                                              : 0],
                             (struct str){NULL, 0}, &problem, 1);
}

bool api_managed_check(struct api_op *op) {
    const struct api_request *request = &op->request;
    struct str manager = request->field_manager;
    bool apply = request->verb == API_VERB_PATCH && request->patch == KUBE_PATCH_APPLY;
    if (apply && !manager.n) {
        return bad_option(op, "fieldManager", "FieldValueRequired",
                          STR("Required value: is required for apply patch"));
    }
    if (!apply && request->force && request->verb == API_VERB_PATCH) {
        return bad_option(op, "force", "FieldValueForbidden",
                          STR("Forbidden: may not be specified for non-apply patch"));
    }
    if (manager.n > LIMIT_FIELD_MANAGER) {
        return bad_option(op, "fieldManager", "FieldValueTooLong",
                          arena_printf(op->arena, "Too long: may not be more than %d bytes",
                                       LIMIT_FIELD_MANAGER));
    }
    for (size_t i = 0; i < manager.n; i++) {
        unsigned char c = (unsigned char)manager.p[i];
        if (c < ' ' || c == 127) {
            return bad_option(
                op, "fieldManager", "FieldValueInvalid",
                arena_printf(op->arena,
                             "Invalid value: \"%.*s\\x%02x%.*s\": invalid character U+%04X (at "
                             "position %zu)",
                             (int)i, manager.p, c, (int)(manager.n - i - 1), manager.p + i + 1, c,
                             i));
        }
    }
    return true;
}

// ---- The entries that a write starts from ----
static bool is_reset(const struct doc_value *given) {
    return doc_is(given, DOC_ARRAY) &&
           (doc_len(given) == 0 || (doc_len(given) == 1 && doc_len(doc_at(given, 0)) == 0));
}

static void start_from(struct api_op *op, const struct doc_value *live,
                       const struct doc_value *given, struct managed *out) {
    struct err err = {0};
    *out = (struct managed){.arena = op->arena};
    bool own = op->request.subresource.n == 0;
    if (own && is_reset(given)) {
        out->reset = true;
        return;
    }
    if (own && doc_len(given) && !(live && doc_equal(given, live)) &&
        managed_read(op->arena, given, true, out, &err) && out->len) {
        return;
    }
    managed_read(op->arena, live, false, out, &err);
}

// What admission adds, other than defaults, has no owner: there the object is looked at as it was given.
static struct doc_value as_given(struct api_op *op, const struct doc_value *given,
                                 const struct doc_value *object) {
    static const struct {
        const char *group, *plural;
        const char *path[5];
    } added[] = {
        {"", "pods", {"spec", "tolerations"}},
        {"", "pods", {"spec", "priority"}},
        {"", "pods", {"spec", "preemptionPolicy"}},
        {"", "services", {"spec", "clusterIP"}},
        {"", "services", {"spec", "clusterIPs"}},
        {"", "services", {"spec", "ipFamilies"}},
        {"", "services", {"spec", "ipFamilyPolicy"}},
        {"batch", "jobs", {"spec", "selector"}},
        {"batch", "jobs", {"metadata", "labels"}},
        {"batch", "jobs", {"spec", "template", "metadata", "labels"}},
    };
    struct doc_value out = *object;
    for (size_t i = 0; i < ARRAY_LEN(added); i++) {
        if (!str_eq_c(op->kind->plural, added[i].plural) ||
            !str_eq_c(op->kind->group, added[i].group)) {
            continue;
        }
        const struct doc_value *value = doc_get_path(given, added[i].path);
        const struct doc_value *now = doc_get_path(&out, added[i].path);
        if (value && !doc_is_null(value)) {
            out = doc_with_path(op->arena, &out, *value, added[i].path);
        } else if (now) {
            out = doc_without_path(op->arena, &out, added[i].path);
        }
    }
    return out;
}

bool api_managed_update(struct api_op *op, const struct doc_value *old,
                        const struct doc_value *sent, struct doc_value *object) {
    struct arena *arena = op->arena;
    if (op->request.verb == API_VERB_PATCH && op->request.patch == KUBE_PATCH_APPLY) {
        return true; // apply.c did it
    }
    const struct doc_value *live = doc_get(old, "metadata", "managedFields");
    const struct doc_value *given = doc_get(object, "metadata", "managedFields");
    struct managed managed;
    start_from(op, live, given, &managed);
    bool untracked = old && managed.len == 0; // until the first apply
    if (!untracked) {
        struct doc_value before;
        if (!old) {
            before = op->kind->merge ? schema_fields_zero(arena, op->kind->merge)
                                     : (struct doc_value){.kind = DOC_OBJECT};
        }
        struct doc_value after = as_given(op, sent, object);
        struct managed_write write = {
            .op = op,
            .root = managed_root(op->kind),
            .version = api_group_version(arena, op->kind->group, op->kind->version),
            .before = old ? old : &before,
            .after = &after,
        };
        managed_compare(&write);
        managed_track(&managed, &write, manager_of(op));
    }
    struct doc_value list = managed_print(&managed, live);
    if (doc_len(&list) == 0) {
        if (given) {
            *object = doc_without(arena, object, "metadata", "managedFields");
        }
    } else if (!given || doc_at(given, 0) != doc_at(&list, 0)) {
        *object = doc_with(arena, object, list, "metadata", "managedFields");
    }
    return true;
}
