// SPDX-License-Identifier: Apache-2.0
// Sets of fields in the form of managedFields (FieldsV1), and what server-side apply does with them. Pure.
#ifndef SKIFF_APISERVER_FIELDSET_H
#define SKIFF_APISERVER_FIELDSET_H

#include "base/vec.h"
#include "doc/doc.h"
#include "schema/schema.h"

// The fields that a configuration names. `type` NULL: a custom kind, whose lists have one owner each.
struct doc_value fieldset_of(struct arena *arena, const struct schema_type *type,
                             const struct doc_value *config);
// `live` with the fields of `config` in it.
struct doc_value fieldset_merge(struct arena *arena, const struct schema_type *type,
                                const struct doc_value *live, const struct doc_value *config);
// `merged` without what is in `before` but neither in `after` nor in one of `others`.
struct doc_value fieldset_drop(struct arena *arena, const struct doc_value *merged,
                               const struct doc_value *before, const struct doc_value *after,
                               const struct doc_value *const *others, size_t count);
// Fields of `other` that `config` would change: their paths are added, and the result is `other` without them.
struct field_paths {
    VEC(struct str) list;
};
struct doc_value fieldset_conflicts(struct arena *arena, const struct doc_value *mine,
                                    const struct doc_value *other, const struct doc_value *live,
                                    const struct doc_value *config, struct field_paths *paths);

#endif
