// SPDX-License-Identifier: Apache-2.0
// Request targets: path and query are split and decoded; what comes out is clean, and encoding it reads back the same.
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str text) {
    CHECK(utf8_is_valid(text));
    CHECK(str_find_char(text, '\0') == STR_NPOS);
}

static void check_round_trip(struct str text, struct arena *arena) {
    AUTO_BUF struct buf out;
    struct err err = {0};
    struct str back;
    buf_init(&out, MIB);
    if (url_encode(text, &out)) {
        CHECK(url_decode(buf_str(&out), true, arena, &back, &err) && str_eq(back, text));
        CHECK(url_decode(buf_str(&out), false, arena, &back, &err) && str_eq(back, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct err err = {0};
    struct str path;
    struct str query;
    struct str *segments;
    struct query_pair *pairs;
    size_t count;
    str_cut((struct str){(const char *)data, size}, '?', &path, &query);
    if (path_split(path, arena, &segments, &count, &err)) {
        for (size_t i = 0; i < count; i++) {
            check_text(segments[i]);
            CHECK(segments[i].n > 0 && str_find_char(segments[i], '/') == STR_NPOS);
            CHECK(!str_eq_c(segments[i], ".") && !str_eq_c(segments[i], ".."));
            check_round_trip(segments[i], arena);
        }
    }
    if (query_parse(query, arena, &pairs, &count, &err)) {
        for (size_t i = 0; i < count; i++) {
            check_text(pairs[i].name);
            check_text(pairs[i].value);
            check_round_trip(pairs[i].value, arena);
        }
    }
    return 0;
}
