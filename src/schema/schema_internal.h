// SPDX-License-Identifier: Apache-2.0
// What the files of schema/ share: the tables of the built-in kinds and how a walk through an object follows them.
#ifndef SKIFF_SCHEMA_SCHEMA_INTERNAL_H
#define SKIFF_SCHEMA_SCHEMA_INTERNAL_H

#include "schema/schema.h"

enum schema_scalar {
    SCHEMA_ANY, // free JSON, or nothing is known
    SCHEMA_OBJECT,
    SCHEMA_STRING,
    SCHEMA_BYTES, // base64
    SCHEMA_BOOL,
    SCHEMA_INT32,
    SCHEMA_INT64,
    SCHEMA_DOUBLE,
    SCHEMA_QUANTITY,
    SCHEMA_INT_OR_STRING,
    SCHEMA_TIME,
    SCHEMA_MICRO_TIME,
};

enum schema_shape { SCHEMA_LIST = 1, SCHEMA_MAP = 2 };

enum schema_flag {
    SCHEMA_PATCH_MERGE = 1,       // lists merge by `keys`, or as sets of scalars without
    SCHEMA_PATCH_RETAIN_KEYS = 2, // a patch names the keys that stay ($retainKeys)
    SCHEMA_PATCH_REPLACE = 4,
    SCHEMA_LIST_ATOMIC = 8, // server-side apply: one owner of the whole
    SCHEMA_LIST_SET = 16,
    SCHEMA_LIST_MAP = 32, // items told apart by all of `keys`
    SCHEMA_MAP_ATOMIC = 64,
    SCHEMA_REQUIRED = 128,
    SCHEMA_DEFAULT_ZERO = 256, // OpenAPI v3 names its zero value as default
};

struct schema_field {
    const char *name;
    uint8_t scalar;       // enum schema_scalar, of the innermost value
    uint8_t outer, inner; // enum schema_shape or 0: a map of lists of strings is MAP, LIST, STRING
    uint16_t flags;       // enum schema_flag
    const char *keys;     // "containerPort protocol"; the first is the strategic merge key
    const struct schema_type *type; // of SCHEMA_OBJECT
};

struct schema_type {
    const char *name;                  // "core.v1.Pod"
    const struct schema_field *fields; // in byte order of their names
    uint16_t field_count;
    bool atomic;
    // For OpenAPI, or NULL: lines of a field's name (empty: the type itself), a space and a JSON object of what few have:
    // "enum", a "default" other than zero, the "$ref" of a value without fields.
    const char *notes;
};

struct schema_kind {
    const char *group, *version, *kind;
    const struct schema_type *type;
};

extern const struct schema_kind schema_kinds[];
extern const size_t schema_kind_count;

const struct schema_field *schema_field_find(const struct schema_type *type, struct str name);

// Where a walk stands: `field` says what the value is after `depth` of its two shapes are taken off. A zero cursor knows
// nothing, which is right for custom resources and for fields of newer versions.
struct schema_at {
    const struct schema_type *object; // the fields of this value, NULL when it is no known object
    const struct schema_field *field; // how the value is merged, NULL inside of maps and lists
    uint8_t shapes[2];
    uint8_t scalar;
};
struct schema_at schema_at_type(const struct schema_type *type);
struct schema_at schema_at_member(const struct schema_at *at, struct str key);
struct schema_at schema_at_item(const struct schema_at *at);

// How the value at a field takes part in a strategic merge.
static inline bool schema_merges_list(const struct schema_at *at) {
    return at->field && (at->field->flags & SCHEMA_PATCH_MERGE) != 0;
}
static inline bool schema_retains_keys(const struct schema_at *at) {
    return at->field && (at->field->flags & SCHEMA_PATCH_RETAIN_KEYS) != 0;
}
static inline bool schema_replaces_map(const struct schema_at *at) {
    return at->field && (at->field->flags & SCHEMA_PATCH_REPLACE) != 0;
}
struct str schema_merge_key(const struct schema_at *at); // empty for sets of scalars

// ---- strategic merge (merge.c), shared with the three-way diff ----
#define SCHEMA_DIRECTIVE STR("$patch")
#define SCHEMA_RETAIN_KEYS STR("$retainKeys")
#define SCHEMA_DELETE_FROM STR("$deleteFromPrimitiveList")
#define SCHEMA_SET_ORDER STR("$setElementOrder")

struct schema_merge {
    struct arena *arena;
    struct err *err;
    // A patch onto an object, or one patch into another (then directives and nulls stay).
    bool apply;
};
bool schema_merge_maps(const struct schema_merge *m, const struct schema_at *at,
                       const struct doc_value *original, const struct doc_value *patch,
                       struct doc_value *out);

// Positions of the items of a list by the value of their merge key (by themselves with an empty key), linear however
// long the list is. Of equal ones the first counts.
struct schema_slot {
    const struct doc_value *identity;
    uint32_t position;
};
struct schema_order {
    struct str key;
    struct schema_slot *slots;
    uint32_t mask;
};
#define SCHEMA_NOWHERE UINT32_MAX
struct schema_order schema_order_start(struct arena *arena, size_t capacity, struct str key);
void schema_order_add(struct schema_order *order, const struct doc_value *item, uint32_t position);
struct schema_order schema_order_make(struct arena *arena, const struct doc_value *list,
                                      struct str key);
uint32_t schema_order_find(const struct schema_order *order, const struct doc_value *item);
// What tells an item apart: its merge key's value, or the item itself.
const struct doc_value *schema_identity(const struct doc_value *item, struct str key);

// Stable, by the position in `by`; unknown ones behind the known, deletions ($patch: delete) behind everything.
struct doc_value schema_sort_items(struct arena *arena, const struct doc_value *items,
                                   const struct doc_value *by, struct str key);
// Items named in `patch_order` in that order, the others in the server's order, woven together.
bool schema_order_merged(const struct schema_merge *m, const struct doc_value *merged,
                         const struct doc_value *patch_order, const struct doc_value *server_order,
                         struct str key, struct doc_value *out);
// The one kind all items have; DOC_NULL when there are none. False when they differ or are lists.
bool schema_item_kind(struct err *err, const struct doc_value *a, const struct doc_value *b,
                      enum doc_kind *kind);
bool schema_is_deletion(const struct doc_value *item);
struct str schema_go_text(struct arena *arena, const struct doc_value *v); // as Go prints it
bool schema_need_key(struct err *err, const struct doc_value *item, struct str key);

#endif
