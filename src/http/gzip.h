// SPDX-License-Identifier: Apache-2.0
// Compression of replies (zlib). For workers: nothing but the arguments is touched.
#ifndef SKIFF_HTTP_GZIP_H
#define SKIFF_HTTP_GZIP_H

#include "base/blob.h"

// The pieces one after the other as one gzip stream; a new reference.
struct blob *gzip_pack(struct blob *const *parts, size_t count);
// Whether an Accept-Encoding header takes gzip.
bool gzip_is_accepted(struct str header);

#endif
