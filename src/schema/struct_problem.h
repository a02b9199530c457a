// SPDX-License-Identifier: Apache-2.0
// Private to schema/: places in an object under validation, and problems as kube-apiserver words them.
#ifndef SKIFF_SCHEMA_STRUCT_PROBLEM_H
#define SKIFF_SCHEMA_STRUCT_PROBLEM_H

#include "schema/struct_internal.h"

enum place_kind {
    PLACE_PROPERTY, // a described field
    PLACE_KEY,      // a key of additionalProperties, or a missing field
    PLACE_ITEM,
};

// Linked from the value to the root, so that texts are made only for what is wrong. NULL is the root.
struct place {
    const struct place *parent;
    struct str key;
    size_t index;
    enum place_kind kind;
    const struct doc_value *old; // what stood here before; NULL when nothing did or nobody can tell
};

struct outcome {
    struct schema_problem *problems;
    size_t count, cap;
    size_t matches; // checks made, for choosing the best branch of anyOf
};

struct validator {
    struct arena *arena;
    const struct doc_value *old; // the former object, on update
    size_t compared;             // items of lists looked at for their old counterparts
    unsigned branches; // inside of anyOf and the like nothing is compared with the old object
    struct str *warnings;
    size_t warning_count;
};

struct str place_name(struct arena *arena, const struct place *at); // "spec.list[0].x"
struct str problem_quote(struct arena *arena, struct str text);     // as Go's %q
struct str problem_float(struct arena *arena, double d);            // as Go's %v
struct str problem_value(struct arena *arena, const struct doc_value *v);

// "KIND: VALUE: DETAIL"; empty parts are left out.
void problem_add(struct validator *v, struct outcome *out, const struct place *at,
                 const char *reason, const char *kind, struct str value, struct str detail);
// "Invalid value: VALUE: PATH in body MESSAGE".
void problem_invalid(struct validator *v, struct outcome *out, const struct place *at,
                     const struct doc_value *value, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void problem_unsupported(struct validator *v, struct outcome *out, const struct place *at,
                         const struct doc_value *value, const struct doc_value *allowed);
void problem_nowhere(struct validator *v, struct outcome *out, struct str detail);
void problem_copy(struct validator *v, struct outcome *out, const struct schema_problem *problem);

// Duplicates in lists of type set and map, whose paths are written in another way.
void struct_check_lists(struct validator *v, const struct struct_node *node,
                        const struct doc_value *data, const struct place *at, struct outcome *out);

// The old counterpart of an item of a list of type map, else NULL.
const struct doc_value *struct_old_item(struct validator *v, const struct struct_node *list,
                                        const struct doc_value *old_list, size_t hint,
                                        const struct doc_value *item);
// Whether a value is what it was, lists of type map in any order.
bool struct_unchanged(struct validator *v, const struct struct_node *node,
                      const struct doc_value *now, const struct doc_value *old);
// Rules of CEL over a valid object; struct_cel.c.
void struct_check_rules(struct validator *v, const struct schema_struct *schema,
                        const struct doc_value *object, struct outcome *out);

#endif
