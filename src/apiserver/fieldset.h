// SPDX-License-Identifier: Apache-2.0
// Sets of fields in the form of managedFields (FieldsV1), and what is done with them: comparing two states of an object,
// the set of a configuration, merging, removing. Pure; everything lives in the arena given.
#ifndef SKIFF_APISERVER_FIELDSET_H
#define SKIFF_APISERVER_FIELDSET_H

#include "doc/doc.h"
#include "schema/fields.h"

// A set is a tree. `name` is the element as FieldsV1 writes it: "f:NAME" a member, "k:{KEYS}" an item of a keyed list,
// "v:VALUE" one of a set, "i:N" a position. Items are in the order of fieldset_compare and differ. A node is never
// changed once it is part of a finished set, so sets share parts.
struct fieldset {
    struct str name;
    bool member; // the field itself is in the set, not only what is below
    uint32_t len, cap;
    struct fieldset **items;
};

int fieldset_compare(struct str a, struct str b);
// From FieldsV1, whatever its order. False: not a set (err says why, in the words of Kubernetes).
bool fieldset_parse(struct arena *arena, const struct doc_value *fields, struct fieldset *out,
                    struct err *err);
struct doc_value fieldset_print(struct arena *arena, const struct fieldset *set);

bool fieldset_is_empty(const struct fieldset *set); // NULL too
bool fieldset_equal(const struct fieldset *a, const struct fieldset *b);
struct fieldset *fieldset_find(const struct fieldset *set, struct str name);
struct fieldset fieldset_union(struct arena *arena, const struct fieldset *a,
                               const struct fieldset *b);
struct fieldset fieldset_minus(struct arena *arena, const struct fieldset *a,
                               const struct fieldset *b);
struct fieldset fieldset_common(struct arena *arena, const struct fieldset *a,
                                const struct fieldset *b);
// Whether FieldsV1 `fields` has a member of `set`, without parsing all of it.
bool fieldset_touches(const struct fieldset *set, const struct doc_value *fields);
// Every member, in order: path is ".spec.ports[port=80,protocol=\"TCP\"].name".
struct fieldset_paths {
    struct arena *arena;
    struct str *items;
    size_t len, cap;
};
void fieldset_list(const struct fieldset *set, struct fieldset_paths *paths);
struct str fieldset_path(struct arena *arena, struct str parent, struct str element);
// Building: the child of this name, made when it is not there; fieldset_sort when all are there.
struct fieldset *fieldset_add(struct arena *arena, struct fieldset *set, struct str name);
void fieldset_sort(struct fieldset *set);

// ---- fieldset_walk.c: values and sets ----
// The element of an item of a list by key or by value; empty and err set when a key is missing.
struct str fieldset_element(struct arena *arena, const struct schema_fields *list,
                            const struct doc_value *item, struct err *err);
struct fieldset_diff {
    struct fieldset changed; // added or modified
    struct fieldset removed;
};
// What of `before` is different in `after`. Items of lists that cannot be told apart are left out.
void fieldset_diff(struct arena *arena, const struct schema_fields *root,
                   const struct doc_value *before, const struct doc_value *after,
                   struct fieldset_diff *out);
// The fields that a configuration names. False: it has duplicates, or fields that the schema does not have; err words it as
// Kubernetes does.
bool fieldset_of(struct arena *arena, const struct schema_fields *root,
                 const struct doc_value *config, struct fieldset *out, struct err *err) MUST_USE;
// The same for a live object, where duplicates count once.
struct fieldset fieldset_of_live(struct arena *arena, const struct schema_fields *root,
                                 const struct doc_value *value);
// What belongs to the server and has no owner.
struct fieldset fieldset_strip(struct arena *arena, const struct fieldset *set);

// ---- fieldset_merge.c ----
// `live` with the fields of `config` in it.
struct doc_value fieldset_merge(struct arena *arena, const struct schema_fields *root,
                                const struct doc_value *live, const struct doc_value *config);
// `value` without the members of `set`.
struct doc_value fieldset_remove(struct arena *arena, const struct schema_fields *root,
                                 const struct doc_value *value, const struct fieldset *set);
// With the structures on the way to a member as members themselves, where the schema names them.
struct fieldset fieldset_with_named(struct arena *arena, const struct schema_fields *root,
                                    const struct fieldset *set);

#endif
