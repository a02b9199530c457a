// SPDX-License-Identifier: Apache-2.0
// How managedFields and server-side apply see a value: which lists are keyed, sets or one piece, which maps have one owner,
// in one cursor over the tables of the built-in kinds and the structural schemas of custom ones.
#ifndef SKIFF_SCHEMA_FIELDS_H
#define SKIFF_SCHEMA_FIELDS_H

#include "schema/schema.h"

struct schema_field;
struct struct_node;

struct schema_fields {
    const struct schema_type *object; // built-in: the fields of the value
    const struct schema_field *field; // built-in: how the value is merged
    const struct struct_node *node;   // custom
    uint8_t mode;                     // enum schema_fields_mode, of fields.c
    uint8_t outer, inner;             // shapes of a built-in value
    uint8_t scalar;                   // enum schema_scalar of its innermost value
    bool root;                        // its "metadata" is the one that all kinds have
};

enum schema_relation {
    SCHEMA_ONE_PIECE, // one owner of the whole
    SCHEMA_BY_MEMBER, // maps: every member has its own owners
    SCHEMA_BY_KEY,    // lists of maps, told apart by keys
    SCHEMA_BY_VALUE,  // lists that are sets
};

// `type`: a built-in kind. Else `structural`: a custom kind; with neither, free JSON with an ordinary metadata.
struct schema_fields schema_fields_root(const struct schema_type *type,
                                        const struct schema_struct *structural);
// `named` (may be NULL): whether the schema names this member, rather than allowing any.
struct schema_fields schema_fields_member(const struct schema_fields *at, struct str key,
                                          bool *named);
struct schema_fields schema_fields_item(const struct schema_fields *at);
enum schema_relation schema_fields_map(const struct schema_fields *at);
enum schema_relation schema_fields_list(const struct schema_fields *at);
// Whether the schema takes this member; unknown members of structural schemas are errors of server-side apply.
bool schema_fields_knows(const struct schema_fields *at, struct str key);

// The one type of JSON that the schema allows here.
enum schema_type_class {
    SCHEMA_CLASS_ANY,
    SCHEMA_CLASS_MAP,
    SCHEMA_CLASS_LIST,
    SCHEMA_CLASS_STRING,
    SCHEMA_CLASS_NUMBER,
    SCHEMA_CLASS_BOOL,
};
enum schema_type_class schema_fields_class(const struct schema_fields *at);

enum { SCHEMA_FIELDS_KEYS = 8 };
struct schema_fields_key {
    struct str name;
    bool has_fallback;
    struct doc_value fallback; // what an item without this key has
};
// The keys of a list of SCHEMA_BY_KEY in byte order; at most SCHEMA_FIELDS_KEYS.
size_t schema_fields_keys(const struct schema_fields *at,
                          struct schema_fields_key keys[static SCHEMA_FIELDS_KEYS]);

// What a new object of a built-in kind has before anything is set: its structures, and required members with zero values.
struct doc_value schema_fields_zero(struct arena *arena, const struct schema_type *type);

#endif
