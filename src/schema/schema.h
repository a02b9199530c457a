// SPDX-License-Identifier: Apache-2.0
// What is known of the shape of Kubernetes objects: merge keys and list types of the built-in kinds, and structural
// schemas of custom ones.
#ifndef SKIFF_SCHEMA_SCHEMA_H
#define SKIFF_SCHEMA_SCHEMA_H

#include "doc/doc.h"
#include "base/err.h"

// Merge information for one kind; NULL when the kind is not built in (then lists are atomic and merges are JSON merges).
struct schema_type;
const struct schema_type *schema_find(struct str group, struct str version, struct str kind);

// Strategic merge patch as the API server applies it, with the directives $patch, $retainKeys, $setElementOrder/...,
// $deleteFromPrimitiveList/... .
bool schema_strategic_merge(struct arena *arena, const struct schema_type *type,
                            const struct doc_value *base, const struct doc_value *patch,
                            struct doc_value *out, struct err *err) MUST_USE;
// The two-way strategic patch from `from` to `to`, and the three-way one that `kubectl apply` sends: deletions come from
// original -> modified, additions and changes from current -> modified. An empty object when there is nothing to do.
bool schema_strategic_diff(struct arena *arena, const struct schema_type *type,
                           const struct doc_value *from, const struct doc_value *to,
                           struct doc_value *patch, struct err *err) MUST_USE;
bool schema_three_way(struct arena *arena, const struct schema_type *type,
                      const struct doc_value *original, const struct doc_value *modified,
                      const struct doc_value *current, struct doc_value *patch,
                      struct err *err) MUST_USE; // type NULL: a JSON merge patch

// Values of quantity, int-or-string and duration fields in canonical form ("1000m" -> "1"), so that desired and live
// compare as the API server stores them. Returns `object` itself when nothing changes.
struct doc_value schema_normalize(struct arena *arena, const struct schema_type *type,
                                  const struct doc_value *object);

// A structural schema (openAPIV3Schema of a CRD version).
struct schema_struct;
struct schema_problem;
struct schema_struct *schema_struct_compile(const struct doc_value *open_api_v3,
                                            struct err *err); // copies what it needs
// What is wrong with the schema of a CRD version, in the words of kube-apiserver: whether it is structural, its defaults, list
// types, rules of CEL. `path` is where it stands; `status`: the version has the status sub-resource.
void schema_struct_check(struct arena *arena, const struct doc_value *schema, struct str path,
                         bool status, struct schema_problem **problems, size_t *count);
void schema_struct_destroy(struct schema_struct *schema); // NULL is fine
AUTO_DEFINE(struct schema_struct, schema_struct_destroy)
// How many x-kubernetes-validations (CEL) the schema has.
size_t schema_struct_rule_count(const struct schema_struct *schema);
struct schema_problem {
    struct str path;    // "spec.replicas"
    struct str message; // as the API server words it
    struct str
        reason; // "FieldValueInvalid", "FieldValueRequired", "FieldValueTypeInvalid", "FieldValueNotSupported", ...
};
// Removes unknown fields (unless preserved) and reports their paths in `pruned`; fills defaults.
struct doc_value schema_struct_prune(const struct schema_struct *schema, struct arena *arena,
                                     const struct doc_value *object, struct str **pruned,
                                     size_t *pruned_count);
struct doc_value schema_struct_default(const struct schema_struct *schema, struct arena *arena,
                                       const struct doc_value *object);
// All checks: the schema, lists of type set and map, and the rules of CEL. On update `old` is the former object; what did
// not change since then passes, rules that it breaks become warnings, and transition rules are evaluated.
struct schema_verdict {
    struct schema_problem *problems;
    size_t problem_count;
    struct str *warnings;
    size_t warning_count;
};
struct schema_verdict schema_struct_judge(const struct schema_struct *schema, struct arena *arena,
                                          const struct doc_value *object,
                                          const struct doc_value *old);
// The same for a new object.
void schema_struct_validate(const struct schema_struct *schema, struct arena *arena,
                            const struct doc_value *object, struct schema_problem **problems,
                            size_t *count);

#endif
