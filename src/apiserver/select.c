// SPDX-License-Identifier: Apache-2.0
// Selectors over stored texts. Most selections ask for labels or names only, and stored texts begin with their metadata,
// so that is all that is parsed then.
#include "apiserver/core.h"

struct subject {
    const struct api_kind *kind;
    struct doc_value root;
    struct arena *arena;
};

static bool get_label(void *ctx, struct str key, struct str *value) {
    const struct subject *subject = ctx;
    const struct doc_value *label = doc_find(doc_get(&subject->root, "metadata", "labels"), key);
    if (!doc_is(label, DOC_STRING)) {
        return false;
    }
    *value = doc_str(label);
    return true;
}

static bool get_field(void *ctx, struct str key, struct str *value) {
    const struct subject *subject = ctx;
    if (str_eq(key, STR("metadata.name"))) {
        *value = doc_get_str(&subject->root, "metadata", "name");
        return true;
    }
    if (str_eq(key, STR("metadata.namespace"))) {
        *value = doc_get_str(&subject->root, "metadata", "namespace");
        return true;
    }
    return api_field_value(subject->kind, &subject->root, key, subject->arena, value);
}

// Kinds with fields of their own word it differently from those without.
static bool unknown_field(struct arena *arena, const struct api_kind *kind, struct str key,
                          struct api_error *error) {
    static const char own[] = " pods nodes replicationcontrollers events namespaces secrets "
                              "services replicasets statefulsets jobs "
                              "certificatesigningrequests ";
    if (kind->custom ||
        str_has(str_from(own), arena_printf(arena, " %.*s ", STR_ARG(kind->plural)))) {
        return api_error_set(error, arena, 400, "BadRequest", "field label not supported: %.*s",
                             STR_ARG(key));
    }
    return api_error_set(error, arena, 400, "BadRequest",
                         "\"%.*s\" is not a known field selector: only \"metadata.name\", "
                         "\"metadata.namespace\"",
                         STR_ARG(key));
}

static bool parse_fields(struct arena *arena, const struct api_kind *kind, struct str fields,
                         struct api_selection *out, struct api_error *error) {
    struct err err = {0};
    if (!selector_parse_fields(fields, arena, &out->fields, &err)) {
        return api_error_set(error, arena, 400, "BadRequest", "%s", err.message);
    }
    size_t iter = 0;
    struct str key, value;
    bool equal;
    struct doc_value empty = doc_null();
    struct subject subject = {.kind = kind, .root = empty, .arena = arena};
    while (selector_next_field(out->fields, &iter, &key, &value, &equal)) {
        struct str ignored;
        if (!get_field(&subject, key, &ignored)) {
            return unknown_field(arena, kind, key, error);
        }
        out->needs_body |= !str_starts(key, STR("metadata."));
    }
    return true;
}

bool api_selection_parse(struct arena *arena, const struct api_kind *kind, struct str labels,
                         struct str fields, struct api_selection *out, struct api_error *error) {
    *out = (struct api_selection){0};
    struct err err = {0};
    if (labels.n) {
        if (!selector_parse_labels(labels, arena, &out->labels, &err)) {
            return api_error_set(error, arena, 400, "BadRequest", "%s", err.message);
        }
        if (selector_is_empty(out->labels)) {
            out->labels = NULL;
        }
    }
    if (fields.n) {
        if (!parse_fields(arena, kind, fields, out, error)) {
            return false;
        }
        if (selector_is_empty(out->fields)) {
            out->fields = NULL;
        }
    }
    return true;
}

bool api_selection_matches(const struct api_selection *selection, const struct api_kind *kind,
                           struct str text, struct arena *scratch) {
    struct subject subject = {.kind = kind, .arena = scratch};
    struct str metadata = selection->needs_body ? (struct str){NULL, 0} : api_metadata_text(text);
    if (metadata.n) {
        struct doc_value value;
        if (!doc_parse_json(metadata, scratch, &value, NULL)) {
            return false;
        }
        struct doc_object root = doc_object_start(scratch);
        doc_object_set_c(&root, "metadata", value);
        subject.root = doc_object_done(&root);
    } else if (!doc_parse_json(text, scratch, &subject.root, NULL)) {
        return false;
    }
    return (!selection->labels || selector_matches(selection->labels, get_label, &subject)) &&
           (!selection->fields || selector_matches(selection->fields, get_field, &subject));
}
