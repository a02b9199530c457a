// SPDX-License-Identifier: Apache-2.0
// Look-ups in the tables of the built-in kinds.
#include "schema/schema_internal.h"

static int compare_kind(const struct schema_kind *k, struct str group, struct str version,
                        struct str kind) {
    int order = str_cmp(group, str_from(k->group));
    order = order ? order : str_cmp(version, str_from(k->version));
    return order ? order : str_cmp(kind, str_from(k->kind));
}

const struct schema_type *schema_find(struct str group, struct str version, struct str kind) {
    size_t low = 0;
    size_t high = schema_kind_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_kind(&schema_kinds[middle], group, version, kind);
        if (order == 0) {
            return schema_kinds[middle].type;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct schema_field *schema_field_find(const struct schema_type *type, struct str name) {
    size_t low = 0;
    size_t high = type ? type->field_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, str_from(type->fields[middle].name));
        if (order == 0) {
            return &type->fields[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

struct schema_at schema_at_type(const struct schema_type *type) {
    return (struct schema_at){.object = type, .scalar = type ? SCHEMA_OBJECT : SCHEMA_ANY};
}

// `type` waits behind the shapes and becomes the object when both are taken off.
static struct schema_at inner_of(const struct schema_at *at, const struct schema_type *type) {
    struct schema_at next = {.shapes = {at->shapes[1], 0}, .scalar = at->scalar};
    next.object = type;
    return next;
}

struct schema_at schema_at_member(const struct schema_at *at, struct str key) {
    if (at->shapes[0] == SCHEMA_MAP) {
        return inner_of(at, at->object);
    }
    const struct schema_field *field =
        at->shapes[0] == 0 ? schema_field_find(at->object, key) : NULL;
    if (!field) {
        return (struct schema_at){0};
    }
    return (struct schema_at){.object = field->type,
                              .field = field,
                              .shapes = {field->outer, field->inner},
                              .scalar = field->scalar};
}

struct schema_at schema_at_item(const struct schema_at *at) {
    return at->shapes[0] == SCHEMA_LIST ? inner_of(at, at->object) : (struct schema_at){0};
}

struct str schema_merge_key(const struct schema_at *at) {
    struct str keys = str_from(at->field ? at->field->keys : NULL);
    struct str first, rest;
    str_cut(keys, ' ', &first, &rest);
    // A list that merges as a set of scalars has no key; list-map keys alone do not merge.
    return schema_merges_list(at) ? first : (struct str){NULL, 0};
}
