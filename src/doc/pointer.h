// SPDX-License-Identifier: Apache-2.0
// The steps of a JSON pointer, for pointers and patches.
#ifndef SKIFF_DOC_POINTER_H
#define SKIFF_DOC_POINTER_H

#include "doc/doc_internal.h"

// Takes one token (escapes still in it) off the front; false when nothing is left or no '/' comes next.
bool pointer_next(struct str *rest, struct str *token);
// Decodes ~0 and ~1 into `out` (room for token.n); the length, or STR_NPOS when another ~ stands there.
size_t pointer_unescape(struct str token, char *out);
// An array position: digits without a zero in front.
bool pointer_index(struct str token, uint32_t *index);
// One step down, or NULL.
const struct doc_value *pointer_child(const struct doc_value *v, struct str token);

#endif
