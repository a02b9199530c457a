// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_DIFF_INTERNAL_H
#define SKIFF_DIFF_INTERNAL_H

#include "diff/diff.h"
#include "schema/schema.h"

#define DIFF_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct str diff_group(const struct doc_value *object);
const struct schema_type *diff_type(const struct doc_value *object); // NULL: not a built-in kind
struct doc_value diff_normalize(struct arena *arena, const struct schema_type *type,
                                const struct doc_value *object, const struct diff_options *options);
// `identity` says which entries of ignoreDifferences apply; `object` may be a part without a name.
struct doc_value diff_remove_ignored(struct arena *arena, struct doc_value object,
                                     const struct doc_value *identity,
                                     const struct diff_options *options);

#endif
