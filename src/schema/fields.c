// SPDX-License-Identifier: Apache-2.0
// The cursor of structured merge. Free JSON has maps with owners by member and lists in one piece; built-in values of
// free form (RawExtension) are one piece altogether.
#include "schema/fields.h"

#include "schema/data.h"
#include "schema/struct_internal.h"

enum schema_fields_mode { FREE, BUILT_IN, CUSTOM, ATOM };

static struct schema_fields free_form(void) {
    return (struct schema_fields){.mode = FREE};
}

struct schema_fields schema_fields_root(const struct schema_type *type,
                                        const struct schema_struct *structural) {
    if (type) {
        return (struct schema_fields){.mode = BUILT_IN, .object = type};
    }
    if (structural) {
        return (struct schema_fields){.mode = CUSTOM, .node = structural->root, .root = true};
    }
    return (struct schema_fields){.mode = FREE, .root = true};
}

static struct schema_fields built_in(const struct schema_type *object,
                                     const struct schema_field *field, uint8_t outer, uint8_t inner,
                                     uint8_t scalar) {
    if (!outer && !object && scalar == SCHEMA_ANY) {
        return (struct schema_fields){.mode = ATOM};
    }
    return (struct schema_fields){.mode = BUILT_IN,
                                  .object = object,
                                  .field = field,
                                  .outer = outer,
                                  .inner = inner,
                                  .scalar = scalar};
}

static struct schema_fields built_in_member(const struct schema_fields *at, struct str key,
                                            bool *named) {
    if (at->outer == SCHEMA_MAP) {
        return (struct schema_fields){
            .mode = BUILT_IN, .object = at->object, .outer = at->inner, .scalar = at->scalar};
    }
    const struct schema_field *field = at->outer ? NULL : schema_field_find(at->object, key);
    *named = field != NULL;
    return field ? built_in(field->type, field, field->outer, field->inner, field->scalar)
                 : free_form();
}

static struct schema_fields metadata(void) {
    return (struct schema_fields){.mode = BUILT_IN, .object = &schema_meta_v1_ObjectMeta};
}

static struct schema_fields custom_member(const struct schema_fields *at, struct str key,
                                          bool *named) {
    const struct struct_node *node = at->node;
    const struct struct_property *property = struct_property_find(node, key);
    *named = property != NULL;
    if (property) {
        return (struct schema_fields){.mode = CUSTOM, .node = property->node};
    }
    if (node->additional_node) {
        return (struct schema_fields){.mode = CUSTOM, .node = node->additional_node};
    }
    return free_form();
}

struct schema_fields schema_fields_member(const struct schema_fields *at, struct str key,
                                          bool *named) {
    bool unused;
    named = named ? named : &unused;
    *named = false;
    bool whole = at->root || (at->mode == CUSTOM && at->node->embedded);
    if (whole && str_eq(key, STR("metadata"))) {
        *named = true;
        return metadata();
    }
    if (whole && (str_eq(key, STR("apiVersion")) || str_eq(key, STR("kind")))) {
        *named = true;
        return free_form();
    }
    switch ((enum schema_fields_mode)at->mode) {
    case BUILT_IN:
        return built_in_member(at, key, named);
    case CUSTOM:
        return custom_member(at, key, named);
    case ATOM:
        return *at;
    case FREE:
        break;
    }
    return free_form();
}

struct schema_fields schema_fields_item(const struct schema_fields *at) {
    if (at->mode == BUILT_IN && at->outer == SCHEMA_LIST) {
        return (struct schema_fields){
            .mode = BUILT_IN, .object = at->object, .outer = at->inner, .scalar = at->scalar};
    }
    if (at->mode == CUSTOM && at->node->items) {
        return (struct schema_fields){.mode = CUSTOM, .node = at->node->items};
    }
    return free_form();
}

enum schema_relation schema_fields_map(const struct schema_fields *at) {
    bool atomic = at->mode == ATOM;
    if (at->mode == BUILT_IN) {
        atomic = (at->object && !at->outer && at->object->atomic) ||
                 (at->field && (at->field->flags & SCHEMA_MAP_ATOMIC) && at->outer != SCHEMA_LIST);
    } else if (at->mode == CUSTOM) {
        atomic = at->node->map_atomic;
    }
    return atomic ? SCHEMA_ONE_PIECE : SCHEMA_BY_MEMBER;
}

enum schema_relation schema_fields_list(const struct schema_fields *at) {
    if (at->mode == CUSTOM) {
        return at->node->list_type == STRUCT_LIST_MAP   ? SCHEMA_BY_KEY
               : at->node->list_type == STRUCT_LIST_SET ? SCHEMA_BY_VALUE
                                                        : SCHEMA_ONE_PIECE;
    }
    if (at->mode != BUILT_IN || at->outer != SCHEMA_LIST || !at->field) {
        return SCHEMA_ONE_PIECE;
    }
    unsigned flags = at->field->flags;
    if (flags & SCHEMA_LIST_ATOMIC) {
        return SCHEMA_ONE_PIECE;
    }
    if (flags & SCHEMA_LIST_SET) {
        return SCHEMA_BY_VALUE;
    }
    if (flags & (SCHEMA_LIST_MAP | SCHEMA_PATCH_MERGE)) {
        return at->field->keys ? SCHEMA_BY_KEY : SCHEMA_BY_VALUE;
    }
    return SCHEMA_ONE_PIECE;
}

bool schema_fields_knows(const struct schema_fields *at, struct str key) {
    bool named;
    schema_fields_member(at, key, &named);
    if (named || at->mode == FREE || at->mode == ATOM) {
        return true;
    }
    if (at->mode == BUILT_IN) {
        return at->outer == SCHEMA_MAP || !at->object;
    }
    return at->node->preserve || at->node->additional || at->node->types == 0;
}

static enum schema_type_class built_in_class(const struct schema_fields *at) {
    if (at->outer) {
        return at->outer == SCHEMA_LIST ? SCHEMA_CLASS_LIST : SCHEMA_CLASS_MAP;
    }
    switch ((enum schema_scalar)at->scalar) {
    case SCHEMA_OBJECT:
        return SCHEMA_CLASS_MAP;
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return SCHEMA_CLASS_STRING;
    case SCHEMA_BOOL:
        return SCHEMA_CLASS_BOOL;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return SCHEMA_CLASS_NUMBER;
    case SCHEMA_ANY:
    case SCHEMA_QUANTITY:
    case SCHEMA_INT_OR_STRING:
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
        break;
    }
    return at->object ? SCHEMA_CLASS_MAP : SCHEMA_CLASS_ANY;
}

enum schema_type_class schema_fields_class(const struct schema_fields *at) {
    if (at->mode == BUILT_IN) {
        return built_in_class(at);
    }
    switch (at->mode == CUSTOM ? at->node->types : 0) {
    case STRUCT_OBJECT:
        return SCHEMA_CLASS_MAP;
    case STRUCT_ARRAY:
        return SCHEMA_CLASS_LIST;
    case STRUCT_STRING:
        return SCHEMA_CLASS_STRING;
    case STRUCT_INTEGER:
    case STRUCT_NUMBER:
        return SCHEMA_CLASS_NUMBER;
    case STRUCT_BOOLEAN:
        return SCHEMA_CLASS_BOOL;
    default:
        return SCHEMA_CLASS_ANY;
    }
}

// ---- Keys of lists ----
static void built_in_key(const struct schema_fields *at, struct schema_fields_key *key) {
    const struct schema_field *field = schema_field_find(at->object, key->name);
    if (str_eq(key->name, STR("protocol"))) {
        key->fallback = DOC_S("TCP");
        key->has_fallback = true;
    } else if (field && (field->flags & SCHEMA_REQUIRED)) {
        bool number = field->scalar == SCHEMA_INT32 || field->scalar == SCHEMA_INT64;
        key->fallback = number ? doc_make_int(0) : DOC_S("");
        key->has_fallback = number || field->scalar == SCHEMA_STRING;
    }
}

static void custom_key(const struct schema_fields *at, struct schema_fields_key *key) {
    const struct struct_property *property =
        at->node->items ? struct_property_find(at->node->items, key->name) : NULL;
    if (property && property->node->has_default) {
        key->fallback = property->node->fallback;
        key->has_fallback = true;
    }
}

static void add_key(const struct schema_fields *at, struct schema_fields_key *keys, size_t *count,
                    struct str name) {
    if (*count == SCHEMA_FIELDS_KEYS) {
        return;
    }
    struct schema_fields_key key = {.name = name};
    if (at->mode == CUSTOM) {
        custom_key(at, &key);
    } else {
        built_in_key(at, &key);
    }
    size_t i = (*count)++;
    for (; i > 0 && str_cmp(keys[i - 1].name, name) > 0; i--) {
        keys[i] = keys[i - 1];
    }
    keys[i] = key;
}

size_t schema_fields_keys(const struct schema_fields *at,
                          struct schema_fields_key keys[static SCHEMA_FIELDS_KEYS]) {
    size_t count = 0;
    if (at->mode == CUSTOM) {
        for (DOC_EACH_ITEM(at->node->list_keys, name)) {
            add_key(at, keys, &count, doc_str(name));
        }
        return count;
    }
    struct str rest = str_from(at->field ? at->field->keys : NULL), name;
    bool only_first = at->field && !(at->field->flags & SCHEMA_LIST_MAP);
    while (rest.n && str_next(&rest, ' ', &name)) {
        add_key(at, keys, &count, name);
        if (only_first) {
            break;
        }
    }
    return count;
}

// ---- A new object ----
static struct doc_value zero_of(struct arena *arena, const struct schema_field *field) {
    if (field->outer) {
        return doc_null();
    }
    switch ((enum schema_scalar)field->scalar) {
    case SCHEMA_OBJECT:
        return schema_fields_zero(arena, field->type);
    case SCHEMA_STRING:
        return DOC_S("");
    case SCHEMA_BOOL:
        return doc_make_bool(false);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return doc_make_int(0);
    case SCHEMA_QUANTITY:
        return DOC_S("0");
    case SCHEMA_INT_OR_STRING:
        return doc_make_int(0);
    case SCHEMA_ANY:
    case SCHEMA_BYTES:
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
        break;
    }
    return doc_null();
}

struct doc_value schema_fields_zero(struct arena *arena, const struct schema_type *type) {
    struct doc_object out = doc_object_start(arena);
    for (size_t i = 0; type && i < type->field_count; i++) {
        const struct schema_field *field = &type->fields[i];
        bool structure = field->scalar == SCHEMA_OBJECT && !field->outer;
        if ((field->flags & SCHEMA_REQUIRED) || (structure && field->flags & SCHEMA_DEFAULT_ZERO)) {
            doc_object_set_c(&out, field->name, zero_of(arena, field));
        }
    }
    return doc_object_done(&out);
}
