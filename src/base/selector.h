// SPDX-License-Identifier: Apache-2.0
// Label and field selectors in their text form ("a=b,c!=d,e in (x,y),!f").
#ifndef SKIFF_BASE_SELECTOR_H
#define SKIFF_BASE_SELECTOR_H

#include "base/arena.h"
#include "base/err.h"

struct selector;
bool selector_parse_labels(struct str text, struct arena *arena, struct selector **out,
                           struct err *err) MUST_USE;
bool selector_parse_fields(struct str text, struct arena *arena, struct selector **out,
                           struct err *err) MUST_USE;
bool selector_is_empty(const struct selector *selector); // matches everything
// `get` answers with the value of a key; false when absent.
bool selector_matches(const struct selector *selector,
                      bool (*get)(void *ctx, struct str key, struct str *value), void *ctx);
// The requirements of a field selector, in order; for checking that a kind supports the field.
bool selector_next_field(const struct selector *selector, size_t *iter, struct str *key,
                         struct str *value, bool *equal);

#endif
