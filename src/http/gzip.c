// SPDX-License-Identifier: Apache-2.0
// The one file that includes zlib's header.
#include "http/gzip.h"

#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, MEMORY_LEVEL = 8, FAST = 1 };

struct blob *gzip_pack(struct blob *const *parts, size_t count) {
    z_stream stream = {0};
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i]->len;
    }
    CHECK(deflateInit2(&stream, FAST, Z_DEFLATED, WINDOW_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) ==
          Z_OK);
    size_t cap = deflateBound(&stream, total) + 64;
    char *out = xmalloc(cap);
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)cap; // bodies are below 4 GiB: a blob's length has 32 bits
    for (size_t i = 0; i < count; i++) {
        stream.next_in = (unsigned char *)parts[i]->data;
        stream.avail_in = parts[i]->len;
        int code = deflate(&stream, i + 1 == count ? Z_FINISH : Z_NO_FLUSH);
        CHECK(code == (i + 1 == count ? Z_STREAM_END : Z_OK) || code == Z_BUF_ERROR);
    }
    struct blob *blob = blob_create((struct str){out, stream.total_out});
    deflateEnd(&stream);
    free(out);
    return blob;
}

bool gzip_is_accepted(struct str header) {
    struct str part;
    while (str_next(&header, ',', &part)) {
        struct str name, weight;
        str_cut(part, ';', &name, &weight);
        weight = str_trim(weight);
        bool none = str_eq(weight, STR("q=0")) || str_eq(weight, STR("q=0.0")) ||
                    str_eq(weight, STR("q=0.00")) || str_eq(weight, STR("q=0.000"));
        if (str_eq_nocase(str_trim(name), STR("gzip"))) {
            return !none;
        }
    }
    return false;
}
