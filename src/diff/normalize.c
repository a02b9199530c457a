// SPDX-License-Identifier: Apache-2.0
// Brings desired and live objects to one form before they are compared: what the API server fills in by itself or keeps
// for its own use does not count, Secrets have only `data`, quantities have their canonical text.
#include "diff/diff_internal.h"

#include "base/text.h"

struct str diff_group(const struct doc_value *object) {
    struct str group, version;
    return str_cut(doc_get_str(object, "apiVersion"), '/', &group, &version)
               ? group
               : (struct str){NULL, 0};
}

const struct schema_type *diff_type(const struct doc_value *object) {
    struct str group, version;
    struct str api_version = doc_get_str(object, "apiVersion");
    if (!str_cut(api_version, '/', &group, &version)) {
        version = api_version;
        group = (struct str){NULL, 0};
    }
    return schema_find(group, version, doc_get_str(object, "kind"));
}

static bool is_secret(const struct doc_value *object) {
    return str_eq(doc_get_str(object, "kind"), STR("Secret")) && diff_group(object).n == 0;
}

static struct doc_value fold_string_data(struct arena *arena, struct doc_value object) {
    const struct doc_value *plain = doc_get(&object, "stringData");
    if (!doc_is(plain, DOC_OBJECT)) {
        return object;
    }
    struct doc_object data = doc_object_copy(arena, doc_get(&object, "data"));
    for (DOC_EACH_MEMBER(plain, i)) {
        struct str text = doc_str(doc_value_at(plain, i));
        doc_object_set(&data, doc_key_at(plain, i), doc_make_str(base64_encode(arena, text)));
    }
    object = doc_with(arena, &object, doc_object_done(&data), "data");
    return doc_without(arena, &object, "stringData");
}

struct doc_value diff_normalize(struct arena *arena, const struct schema_type *type,
                                const struct doc_value *object,
                                const struct diff_options *options) {
    static const char *const server_fields[] = {"managedFields",     "resourceVersion", "uid",
                                                "creationTimestamp", "generation",      "selfLink"};
    struct doc_value out = *object;
    for (size_t i = 0; i < ARRAY_LEN(server_fields); i++) {
        if (doc_get(&out, "metadata", server_fields[i])) {
            out = doc_without(arena, &out, "metadata", server_fields[i]);
        }
    }
    if ((!options || options->ignore_status) && doc_get(&out, "status")) {
        out = doc_without(arena, &out, "status");
    }
    if (is_secret(&out)) {
        out = fold_string_data(arena, out);
    }
    if (options && options->ignore_aggregated_roles && doc_get(&out, "aggregationRule")) {
        out = doc_without(arena, &out, "rules");
    }
    return type ? schema_normalize(arena, type, &out) : out;
}

static bool glob_or_empty(struct str pattern, struct str text) {
    return pattern.n == 0 || str_eq(pattern, text) || glob_match(pattern, text, 0, NULL);
}

static bool ignore_applies(const struct diff_ignore *ignore, const struct doc_value *object) {
    // An empty group means the core group, as in spec.ignoreDifferences.
    struct str group = diff_group(object);
    bool group_fits = str_eq(ignore->group, group) || glob_match(ignore->group, group, 0, NULL);
    return group_fits && glob_match(ignore->kind, doc_get_str(object, "kind"), 0, NULL) &&
           glob_or_empty(ignore->name, doc_get_str(object, "metadata", "name")) &&
           glob_or_empty(ignore->ns, doc_get_str(object, "metadata", "namespace"));
}

struct doc_value diff_remove_ignored(struct arena *arena, struct doc_value object,
                                     const struct doc_value *identity,
                                     const struct diff_options *options) {
    for (size_t i = 0; options && i < options->ignore_count; i++) {
        const struct diff_ignore *ignore = &options->ignores[i];
        if (!ignore_applies(ignore, identity)) {
            continue;
        }
        for (size_t k = 0; k < ignore->pointer_count; k++) {
            struct doc_value without;
            if (doc_pointer_remove(arena, &object, ignore->pointers[k], &without)) {
                object = without;
            }
        }
    }
    return object;
}
