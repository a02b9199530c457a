// SPDX-License-Identifier: Apache-2.0
// Private to schema/: the compiled form of a CRD's schema.
#ifndef SKIFF_SCHEMA_STRUCT_INTERNAL_H
#define SKIFF_SCHEMA_STRUCT_INTERNAL_H

#include "base/vec.h"
#include "cel/cel.h"
#include "regex/regex.h"
#include "schema/schema_internal.h"

enum struct_type { // a set: int-or-string has two
    STRUCT_OBJECT = 1,
    STRUCT_ARRAY = 2,
    STRUCT_STRING = 4,
    STRUCT_INTEGER = 8,
    STRUCT_NUMBER = 16,
    STRUCT_BOOLEAN = 32,
};

enum struct_list_type { STRUCT_LIST_NONE, STRUCT_LIST_SET, STRUCT_LIST_MAP };

struct struct_limit { // of a count, or of a number
    bool set;
    int64_t count;
    double number;
};

struct struct_property {
    struct str name;
    struct struct_node *node;
};

struct struct_nodes {
    struct struct_node **items;
    size_t len;
};

struct struct_node {
    uint8_t types; // enum struct_type, 0 for any
    uint8_t list_type;
    bool nullable;
    bool int_or_string;
    bool preserve;   // x-kubernetes-preserve-unknown-fields
    bool embedded;   // x-kubernetes-embedded-resource
    bool map_atomic; // x-kubernetes-map-type: atomic
    bool additional; // additionalProperties is there, as a schema or as `true`
    bool exclusive_minimum, exclusive_maximum;
    bool unique_items;
    bool has_default;
    struct doc_value fallback;          // the default
    struct struct_property *properties; // sorted by name
    size_t property_count;
    struct struct_node *additional_node;
    struct struct_node *items;
    const struct doc_value *required; // list of strings
    const struct doc_value *enumeration;
    const struct doc_value *list_keys;
    struct str pattern, format;
    struct regex *regex, *format_regex;
    struct struct_limit minimum, maximum, multiple_of;
    struct struct_limit min_length, max_length, min_items, max_items, min_properties,
        max_properties;
    struct struct_nodes all_of, any_of, one_of;
    struct struct_node *not_node;
    const struct cel_type *cel; // how rules see values; NULL when they do not see them
    bool cel_done;
    struct struct_rule *rules; // x-kubernetes-validations
    size_t rule_count;
    bool has_rules; // here or below
};

struct struct_rule {
    struct str text, message, message_text, reason, field_path;
    bool optional_old; // oldSelf is an optional value, and the rule runs without one
    bool uses_old;
    struct cel_program *program, *message_program;
    struct str problem, message_problem; // why there is no program
};

struct schema_struct {
    struct arena *arena;
    bool part; // of a schema: its root is no resource
    struct struct_node *root;
    VEC(struct regex *) regexes;
    size_t node_count;
    bool has_embedded; // x-kubernetes-embedded-resource stands somewhere
    size_t rule_count;
    VEC(struct cel_program *) programs;
};

const struct struct_property *struct_property_find(const struct struct_node *node, struct str name);

// ---- struct_compile.c ----
// The schema of a field, standing alone.
struct schema_struct *struct_compile_part(const struct doc_value *schema, struct err *err);

// ---- struct_cel.c ----
// Compiles the rules of all nodes; a wrong rule keeps its problem.
void struct_rules_compile(struct schema_struct *schema);

// ---- struct_path.c ----
// A rule's fieldPath (".a.b", ".m['key']") under a schema document; false when it leads nowhere. *out is as messages show it.
bool struct_field_path(struct arena *arena, const struct doc_value *schema, struct str path,
                       struct str *out);

// ---- formats.c ----
// A pattern that every text of the format matches; NULL where there is none.
const char *struct_format_pattern(struct str format);
bool struct_format_known(struct str format); // with or without dashes, as Kubernetes treats them
bool struct_format_check(const struct struct_node *node, struct str text);

#endif
