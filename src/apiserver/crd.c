// SPDX-License-Identifier: Apache-2.0
// CustomResourceDefinitions become kinds. A definition is served when its names do not clash with others of its group;
// once it was served it stays so, with the names that were accepted then. Schemas are compiled here, once per change.
#include "apiserver/kinds_internal.h"

#include <ctype.h>

#include "base/timefmt.h"

// ---- Names ----

static const struct str *string_list(struct arena *arena, const struct doc_value *list,
                                     size_t *count) {
    size_t n = 0;
    struct str *out = ARENA_ARRAY(arena, doc_len(list), struct str);
    for (DOC_EACH_ITEM(list, item)) {
        if (doc_is(item, DOC_STRING)) {
            out[n++] = doc_str(item);
        }
    }
    *count = n;
    return out;
}

static struct crd_names read_names(struct arena *arena, const struct doc_value *names) {
    struct crd_names out = {
        .plural = doc_get_str(names, "plural"),
        .singular = doc_get_str(names, "singular"),
        .kind = doc_get_str(names, "kind"),
        .list_kind = doc_get_str(names, "listKind"),
    };
    out.short_names = string_list(arena, doc_get(names, "shortNames"), &out.short_name_count);
    out.categories = string_list(arena, doc_get(names, "categories"), &out.category_count);
    if (out.singular.n == 0) {
        char *text = arena_cstr(arena, out.kind);
        for (size_t i = 0; i < out.kind.n; i++) {
            text[i] = (char)tolower((unsigned char)text[i]);
        }
        out.singular = (struct str){text, out.kind.n};
    }
    if (out.list_kind.n == 0) {
        out.list_kind = arena_concat(arena, out.kind, STR("List"));
    }
    return out;
}

static bool names_have(const struct crd_names *names, struct str name) {
    if (str_eq(names->plural, name) || str_eq(names->singular, name)) {
        return true;
    }
    for (size_t i = 0; i < names->short_name_count; i++) {
        if (str_eq(names->short_names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool resource_taken(const struct api_kinds *kinds, struct str self, struct str group,
                           struct str name) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        const struct crd_entry *other = kinds->crds.items[i];
        if (str_eq(other->group, group) && !str_eq(other->name, self) &&
            names_have(&other->accepted, name)) {
            return true;
        }
    }
    for (size_t i = 0; i < kinds->builtin_count; i++) {
        const struct api_kind *kind = &kinds->builtin[i];
        if (str_eq(kind->group, group) &&
            (str_eq(kind->plural, name) || str_eq(kind->singular, name))) {
            return true;
        }
    }
    return false;
}

static bool kind_taken(const struct api_kinds *kinds, struct str self, struct str group,
                       struct str name) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        const struct crd_entry *other = kinds->crds.items[i];
        if (str_eq(other->group, group) && !str_eq(other->name, self) &&
            (str_eq(other->accepted.kind, name) || str_eq(other->accepted.list_kind, name))) {
            return true;
        }
    }
    for (size_t i = 0; i < kinds->builtin_count; i++) {
        if (str_eq(kinds->builtin[i].group, group) && str_eq(kinds->builtin[i].kind, name)) {
            return true;
        }
    }
    return false;
}

static void conflict(struct crd_entry *entry, const char *reason, struct str name) {
    // Of several the last one is told.
    entry->conflict_reason = str_from(reason);
    entry->conflict_message =
        arena_printf(entry->arena, "\"%.*s\" is already in use", STR_ARG(name));
}

// Each name that is free is accepted; each that is not keeps what an earlier status says was accepted.
static void accept_names(const struct api_kinds *kinds, struct crd_entry *entry,
                         const struct crd_names *want, const struct crd_names *before) {
    struct crd_names *got = &entry->accepted;
    *got = *before;
    if (resource_taken(kinds, entry->name, entry->group, want->plural)) {
        conflict(entry, "PluralConflict", want->plural);
    } else {
        got->plural = want->plural;
    }
    if (resource_taken(kinds, entry->name, entry->group, want->singular)) {
        conflict(entry, "SingularConflict", want->singular);
    } else {
        got->singular = want->singular;
    }
    bool short_names_free = true;
    for (size_t i = 0; i < want->short_name_count; i++) {
        if (resource_taken(kinds, entry->name, entry->group, want->short_names[i])) {
            conflict(entry, "ShortNamesConflict", want->short_names[i]);
            short_names_free = false;
        }
    }
    if (short_names_free) {
        got->short_names = want->short_names;
        got->short_name_count = want->short_name_count;
    }
    if (kind_taken(kinds, entry->name, entry->group, want->kind)) {
        conflict(entry, "KindConflict", want->kind);
    } else {
        got->kind = want->kind;
    }
    if (kind_taken(kinds, entry->name, entry->group, want->list_kind)) {
        conflict(entry, "ListKindConflict", want->list_kind);
    } else {
        got->list_kind = want->list_kind;
    }
    got->categories = want->categories;
    got->category_count = want->category_count;
}

// ---- Versions ----

static bool condition_is_true(const struct doc_value *status, const char *type) {
    for (DOC_EACH_ITEM(doc_get(status, "conditions"), condition)) {
        if (str_eq_c(doc_get_str(condition, "type"), type)) {
            return str_eq(doc_get_str(condition, "status"), STR("True"));
        }
    }
    return false;
}

static void read_columns(struct arena *arena, const struct doc_value *version,
                         struct api_kind *kind) {
    const struct doc_value *list = doc_get(version, "additionalPrinterColumns");
    if (doc_len(list) == 0) {
        struct api_column *age = ARENA_ARRAY(arena, 1, struct api_column);
        age[0] = (struct api_column){.name = STR("Age"),
                                     .type = STR("date"),
                                     .json_path = STR(".metadata.creationTimestamp")};
        kind->columns = age;
        kind->column_count = 1;
        return;
    }
    struct api_column *columns = ARENA_ARRAY(arena, doc_len(list), struct api_column);
    for (DOC_EACH_ITEM(list, item)) {
        columns[kind->column_count++] = (struct api_column){
            .name = doc_get_str(item, "name"),
            .type = doc_get_str(item, "type"),
            .format = doc_get_str(item, "format"),
            .description = doc_get_str(item, "description"),
            .priority = (int)doc_int(doc_get(item, "priority"), 0),
            .json_path = doc_get_str(item, "jsonPath"),
        };
    }
    kind->columns = columns;
}

static void read_selectable(struct arena *arena, const struct doc_value *version,
                            struct api_kind *kind) {
    const struct doc_value *list = doc_get(version, "selectableFields");
    struct str *paths = ARENA_ARRAY(arena, doc_len(list), struct str);
    for (DOC_EACH_ITEM(list, item)) {
        struct str path = doc_get_str(item, "jsonPath");
        paths[kind->selectable_count++] = str_starts(path, STR(".")) ? str_skip(path, 1) : path;
    }
    kind->selectable = paths;
}

// The newest served version that is not deprecated is recommended when it is newer.
static void read_deprecation(struct crd_entry *entry, const struct doc_value *spec,
                             const struct doc_value *version, struct api_kind *kind) {
    struct str best = {NULL, 0};
    if (!doc_bool(doc_get(version, "deprecated"), false)) {
        return;
    }
    kind->deprecation = doc_get_str(version, "deprecationWarning");
    if (kind->deprecation.n) {
        return;
    }
    for (DOC_EACH_ITEM(doc_get(spec, "versions"), other)) {
        struct str name = doc_get_str(other, "name");
        if (doc_bool(doc_get(other, "served"), false) &&
            !doc_bool(doc_get(other, "deprecated"), false) &&
            api_version_order(name, kind->version) < 0 &&
            (!best.n || api_version_order(name, best) < 0)) {
            best = name;
        }
    }
    kind->deprecation =
        arena_printf(entry->arena, "%.*s/%.*s %.*s is deprecated", STR_ARG(kind->group),
                     STR_ARG(kind->version), STR_ARG(kind->kind));
    if (best.n) {
        kind->deprecation =
            arena_printf(entry->arena, "%.*s; use %.*s/%.*s %.*s", STR_ARG(kind->deprecation),
                         STR_ARG(kind->group), STR_ARG(best), STR_ARG(kind->kind));
    }
}

static void read_version(struct crd_entry *entry, const struct doc_value *spec,
                         const struct doc_value *version, struct str storage,
                         struct api_kind *kind) {
    const struct crd_names *names = &entry->accepted;
    const struct doc_value *scale = doc_get(version, "subresources", "scale");
    *kind = (struct api_kind){
        .group = entry->group,
        .version = doc_get_str(version, "name"),
        .kind = names->kind,
        .plural = names->plural,
        .singular = names->singular,
        .list_kind = names->list_kind,
        .short_names = names->short_names,
        .short_name_count = names->short_name_count,
        .categories = names->categories,
        .category_count = names->category_count,
        .namespaced = str_eq(doc_get_str(spec, "scope"), STR("Namespaced")),
        .has_status = doc_get(version, "subresources", "status") != NULL,
        .has_scale = scale != NULL,
        .has_generation = true,
        .custom = true,
        .storage_group = entry->group,
        .storage_version = storage,
        .scale_spec_path = doc_get_str(scale, "specReplicasPath"),
        .scale_status_path = doc_get_str(scale, "statusReplicasPath"),
        .scale_selector_path = doc_get_str(scale, "labelSelectorPath"),
    };
    if (str_eq(doc_get_str(spec, "conversion", "strategy"), STR("Webhook"))) {
        kind->converter = doc_get(spec, "conversion", "webhook");
    }
    read_deprecation(entry, spec, version, kind);
    read_columns(entry->arena, version, kind);
    read_selectable(entry->arena, version, kind);
    const struct doc_value *schema = doc_get(version, "schema", "openAPIV3Schema");
    struct err err = {0};
    if (schema) {
        kind->schema = schema_struct_compile(schema, &err);
        if (!kind->schema) {
            kind->schema_refused = true;
            entry->schema_message =
                arena_printf(entry->arena, "spec.versions[%.*s].schema.openAPIV3Schema: %s",
                             STR_ARG(kind->version), err.message);
        }
    }
}

static void sort_versions(struct crd_entry *entry) {
    for (size_t i = 1; i < entry->kind_count; i++) {
        for (size_t k = i;
             k > 0 && api_version_order(entry->kinds[k].version, entry->kinds[k - 1].version) < 0;
             k--) {
            struct api_kind swap = entry->kinds[k];
            entry->kinds[k] = entry->kinds[k - 1];
            entry->kinds[k - 1] = swap;
        }
    }
}

static void read_versions(struct crd_entry *entry, const struct doc_value *spec) {
    const struct doc_value *versions = doc_get(spec, "versions");
    struct str storage = {NULL, 0};
    for (DOC_EACH_ITEM(versions, version)) {
        if (doc_bool(doc_get(version, "storage"), false)) {
            storage = doc_get_str(version, "name");
        }
    }
    entry->kinds = ARENA_ARRAY(entry->arena, doc_len(versions), struct api_kind);
    for (DOC_EACH_ITEM(versions, item)) {
        if (!doc_bool(doc_get(item, "served"), false)) {
            continue;
        }
        struct api_kind *kind = &entry->kinds[entry->kind_count];
        read_version(entry, spec, item, storage, kind);
        if (!kind->schema_refused) {
            entry->kind_count++;
        }
    }
    sort_versions(entry);
}

struct crd_entry *crd_entry_create(const struct api_kinds *kinds, struct str name,
                                   const struct doc_value *crd) {
    struct crd_entry *entry = NEW(struct crd_entry);
    entry->arena = arena_create();
    struct doc_value *copy = ARENA_NEW(entry->arena, struct doc_value);
    *copy = doc_clone(entry->arena, crd);
    const struct doc_value *spec = doc_get(copy, "spec"), *status = doc_get(copy, "status");
    entry->crd = copy;
    entry->name = arena_dup(entry->arena, name);
    entry->group = doc_get_str(spec, "group");
    struct crd_names want = read_names(entry->arena, doc_get(spec, "names"));
    struct crd_names before = {0};
    if (doc_get_str(status, "acceptedNames", "kind").n > 0) {
        before = read_names(entry->arena, doc_get(status, "acceptedNames"));
    }
    accept_names(kinds, entry, &want, &before);
    entry->established = entry->conflict_reason.n == 0 || condition_is_true(status, "Established");
    entry->has_plural = entry->accepted.plural.n > 0;
    entry->has_kind = entry->accepted.kind.n > 0;
    // While a definition is going away its objects can still be read and deleted; the core refuses creation.
    if (entry->established && entry->has_plural && entry->has_kind) {
        read_versions(entry, spec);
    }
    return entry;
}

void crd_entry_destroy(struct crd_entry *entry) {
    if (!entry) {
        return;
    }
    for (size_t i = 0; i < entry->kind_count; i++) {
        schema_struct_destroy((struct schema_struct *)(uintptr_t)entry->kinds[i].schema);
    }
    arena_destroy(entry->arena);
    free(entry);
}

const struct doc_value *crd_kind_schema(const struct api_kinds *kinds,
                                        const struct api_kind *kind) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        const struct crd_entry *entry = kinds->crds.items[i];
        if (kind < entry->kinds || kind >= entry->kinds + entry->kind_count) {
            continue;
        }
        for (DOC_EACH_ITEM(doc_get(entry->crd, "spec", "versions"), version)) {
            if (str_eq(doc_get_str(version, "name"), kind->version)) {
                return doc_get(version, "schema", "openAPIV3Schema");
            }
        }
    }
    return NULL;
}

// ---- Status ----

static void set_condition(struct arena *arena, struct doc_array *conditions, const char *type,
                          bool holds, struct str reason, struct str message, int64_t now_ns) {
    struct doc_value value = doc_make_str(holds ? STR("True") : STR("False"));
    struct doc_value since = doc_make_str(time_format(arena, now_ns));
    struct doc_value *before = NULL;
    for (uint32_t i = 0; i < conditions->len; i++) {
        if (str_eq_c(doc_get_str(&conditions->items[i], "type"), type)) {
            before = &conditions->items[i];
        }
    }
    if (before && doc_equal(doc_get(before, "status"), &value)) {
        since = *doc_get(before, "lastTransitionTime");
    }
    struct doc_object object = doc_object_start(arena);
    doc_object_set_c(&object, "lastTransitionTime", since);
    doc_object_set_c(&object, "message", doc_make_str(message));
    doc_object_set_c(&object, "reason", doc_make_str(reason));
    doc_object_set_c(&object, "status", value);
    doc_object_set_c(&object, "type", doc_make_str(str_from(type)));
    if (before) {
        *before = doc_object_done(&object);
    } else {
        doc_array_add(conditions, doc_object_done(&object));
    }
}

static void remove_condition(struct doc_array *conditions, const char *type) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < conditions->len; i++) {
        if (!str_eq_c(doc_get_str(&conditions->items[i], "type"), type)) {
            conditions->items[kept++] = conditions->items[i];
        }
    }
    conditions->len = kept;
}

// Groups of the Kubernetes community need a link to the review that approved them.
static void set_approval(struct arena *arena, struct doc_array *conditions,
                         const struct doc_value *crd, int64_t now_ns) {
    static const char type[] = "KubernetesAPIApprovalPolicyConformant";
    struct str group = doc_get_str(crd, "spec", "group");
    struct str note = doc_get_str(crd, "metadata", "annotations", "api-approved.kubernetes.io");
    if (!str_ends(group, STR(".k8s.io")) && !str_ends(group, STR(".kubernetes.io"))) {
        remove_condition(conditions, type);
    } else if (!note.n) {
        set_condition(arena, conditions, type, false, STR("MissingAnnotation"),
                      STR("protected groups must have approval annotation "
                          "\"api-approved.kubernetes.io\", see "
                          "https://github.com/kubernetes/enhancements/pull/1111"),
                      now_ns);
    } else if (str_starts(note, STR("unapproved"))) {
        set_condition(arena, conditions, type, false, STR("UnapprovedAnnotation"),
                      arena_printf(arena, "not approved: \"%.*s\"", STR_ARG(note)), now_ns);
    } else {
        set_condition(arena, conditions, type, true, STR("ApprovedAnnotation"),
                      arena_printf(arena, "approved in %.*s", STR_ARG(note)), now_ns);
    }
}

static void set_names(struct doc_object *out, const char *key, const struct str *names,
                      size_t count) {
    if (count == 0) {
        return;
    }
    struct doc_array list = doc_array_start(out->arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&list, doc_make_str(arena_dup(out->arena, names[i])));
    }
    doc_object_set_c(out, key, doc_array_done(&list));
}

static struct doc_value names_value(struct arena *arena, const struct crd_names *names) {
    struct doc_object out = doc_object_start(arena);
    set_names(&out, "categories", names->categories, names->category_count);
    doc_object_set_c(&out, "kind", doc_make_str(arena_dup(arena, names->kind)));
    if (names->list_kind.n) {
        doc_object_set_c(&out, "listKind", doc_make_str(arena_dup(arena, names->list_kind)));
    }
    doc_object_set_c(&out, "plural", doc_make_str(arena_dup(arena, names->plural)));
    set_names(&out, "shortNames", names->short_names, names->short_name_count);
    if (names->singular.n) {
        doc_object_set_c(&out, "singular", doc_make_str(arena_dup(arena, names->singular)));
    }
    return doc_object_done(&out);
}

static struct doc_value stored_versions(struct arena *arena, const struct doc_value *crd) {
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(crd, "status", "storedVersions"), item)) {
        doc_array_add(&out, *item);
    }
    for (DOC_EACH_ITEM(doc_get(crd, "spec", "versions"), version)) {
        if (!doc_bool(doc_get(version, "storage"), false)) {
            continue;
        }
        bool known = false;
        for (uint32_t i = 0; i < out.len; i++) {
            known = known || doc_equal(&out.items[i], doc_get(version, "name"));
        }
        if (!known && doc_get(version, "name")) {
            doc_array_add(&out, *doc_get(version, "name"));
        }
    }
    return doc_array_done(&out);
}

bool api_crd_status(struct arena *arena, const struct api_kinds *kinds, const struct doc_value *crd,
                    int64_t now_ns, struct doc_value *status) {
    const struct crd_entry *entry = api_kinds_find_crd(kinds, doc_get_str(crd, "metadata", "name"));
    if (!entry) {
        return false;
    }
    struct doc_array conditions = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(crd, "status", "conditions"), item)) {
        doc_array_add(&conditions, *item);
    }
    set_approval(arena, &conditions, crd, now_ns);
    bool clash = entry->conflict_reason.n > 0;
    set_condition(arena, &conditions, "NamesAccepted", !clash,
                  clash ? arena_dup(arena, entry->conflict_reason) : STR("NoConflicts"),
                  clash ? arena_dup(arena, entry->conflict_message) : STR("no conflicts found"),
                  now_ns);
    if (!entry->established) {
        set_condition(arena, &conditions, "Established", false, STR("NotAccepted"),
                      STR("not all names are accepted"), now_ns);
    } else if (!condition_is_true(doc_get(crd, "status"), "Established")) {
        set_condition(arena, &conditions, "Established", true, STR("InitialNamesAccepted"),
                      STR("the initial names have been accepted"), now_ns);
    }
    if (entry->schema_message.n) {
        set_condition(arena, &conditions, "NonStructuralSchema", true, STR("Violations"),
                      arena_dup(arena, entry->schema_message), now_ns);
    } else {
        remove_condition(&conditions, "NonStructuralSchema");
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "acceptedNames", names_value(arena, &entry->accepted));
    doc_object_set_c(&out, "conditions", doc_array_done(&conditions));
    doc_object_set_c(&out, "storedVersions", stored_versions(arena, crd));
    struct doc_value value = doc_object_done(&out);
    if (doc_equal(&value, doc_get(crd, "status"))) {
        return false;
    }
    *status = value;
    return true;
}
