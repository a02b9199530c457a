// SPDX-License-Identifier: Apache-2.0
// The escapes of JSON strings, apart from the reader because they have rules of their own (surrogates).
#ifndef SKIFF_DOC_JSON_ESCAPE_H
#define SKIFF_DOC_JSON_ESCAPE_H

#include "base/buf.h"

// Decodes what stands between the quotes into `out`, which has room for raw.n bytes, and returns the length. At a wrong
// escape *bad points to its backslash. Half a surrogate pair becomes U+FFFD, as Go's encoding/json does.
size_t json_unescape(struct str raw, char *out, const char **bad);

// The string with its quotes. Bytes that are not UTF-8 become U+FFFD, so that what we print can always be read.
bool json_put_string(struct buf *out, struct str s);

#endif
