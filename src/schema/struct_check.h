// SPDX-License-Identifier: Apache-2.0
// Private to schema/: what the files that judge the schemas of CRDs share.
#ifndef SKIFF_SCHEMA_STRUCT_CHECK_H
#define SKIFF_SCHEMA_STRUCT_CHECK_H

#include "schema/struct_problem.h"

struct schema_check {
    struct validator v; // with the arena
    struct outcome out;
    struct outcome rules; // of CEL, kept only when the schema itself is right
};

struct str check_child(struct schema_check *k, struct str path, const char *name); // "path.name"
struct str check_key(struct schema_check *k, struct str path, struct str key);     // "path[key]"
struct str check_item(struct schema_check *k, struct str path, const char *list, size_t i);
void check_required(struct schema_check *k, struct str path, const char *detail);
void check_forbidden(struct schema_check *k, struct str path, const char *detail);
// `value` NULL: null.
void check_invalid(struct schema_check *k, struct str path, const struct doc_value *value,
                   const char *detail);
void check_unsupported(struct schema_check *k, struct str path, struct str value,
                       const char *supported);
void check_problem(struct schema_check *k, struct outcome *out, struct str path, const char *reason,
                   const char *kind, struct str value, struct str detail);

// struct_defaults.c: defaults must be pruned and valid.
void check_defaults(struct schema_check *k, const struct doc_value *schema, struct str path,
                    bool root);
// struct_rules.c: the OpenAPI part and the rules; `node` is NULL where rules are not looked at.
void check_open_api(struct schema_check *k, const struct doc_value *schema,
                    const struct struct_node *node, struct str path, bool root);

#endif
