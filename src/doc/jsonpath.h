// SPDX-License-Identifier: Apache-2.0
// Kubernetes JSONPath templates ("{.items[*].metadata.name}"), as `kubectl -o jsonpath` and printer columns take them.
#ifndef SKIFF_DOC_JSONPATH_H
#define SKIFF_DOC_JSONPATH_H

#include "doc/doc.h"

struct jsonpath;

// A relaxed path without braces (".spec.replicas", "spec.x") is accepted when `bare` is set, as printer columns are written.
struct jsonpath *jsonpath_compile(struct str text, bool bare, struct arena *arena, struct err *err);
// The text a template prints. ERR_NOT_FOUND when a field is missing and `allow_missing` is false.
bool jsonpath_print(const struct jsonpath *path, const struct doc_value *root, bool allow_missing,
                    struct buf *out, struct err *err) MUST_USE;
// The values that the first expression of the template finds (for printer columns and waits).
bool jsonpath_find(const struct jsonpath *path, const struct doc_value *root, struct arena *arena,
                   const struct doc_value ***out, size_t *count, struct err *err) MUST_USE;

#endif
