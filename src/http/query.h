// SPDX-License-Identifier: Apache-2.0
// Paths and query strings: percent-decoding with strict rules.
#ifndef SKIFF_HTTP_QUERY_H
#define SKIFF_HTTP_QUERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

// Bad escapes, NUL bytes and invalid UTF-8 are errors.
bool url_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *out,
                struct err *err) MUST_USE;
bool url_encode(struct str text, struct buf *out); // everything but unreserved characters
struct query_pair {
    struct str name, value;
};
bool query_parse(struct str query, struct arena *arena, struct query_pair **out, size_t *count,
                 struct err *err) MUST_USE;
struct str query_find(const struct query_pair *pairs, size_t count,
                      const char *name); // first; empty when absent
// Splits an encoded path at '/' and decodes each segment; "", "." and ".." segments and "%2f" are errors.
bool path_split(struct str path, struct arena *arena, struct str **segments, size_t *count,
                struct err *err) MUST_USE;

#endif
