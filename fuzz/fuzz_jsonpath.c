// SPDX-License-Identifier: Apache-2.0
// A template, a zero byte, a JSON value.
#include <stdint.h>

#include "base/limits.h"
#include "doc/jsonpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct str template, json;
    str_cut(text, '\0', &template, &json);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root = doc_null();
    if (!doc_parse_json(json, arena, &root, NULL)) {
        root = doc_null();
    }
    struct err err = {0};
    for (int bare = 0; bare < 2; bare++) {
        struct jsonpath *path = jsonpath_compile(template, bare, arena, &err);
        if (!path) {
            CHECK(err.code != ERR_NONE);
            continue;
        }
        AUTO_BUF struct buf out = {0};
        buf_init(&out, 64 * KIB);
        bool printed = jsonpath_print(path, &root, bare, &out, &err);
        CHECK(printed || err.code != ERR_NONE);
        const struct doc_value **found;
        size_t count;
        if (jsonpath_find(path, &root, arena, &found, &count, &err)) {
            for (size_t i = 0; i < count; i++) {
                (void)doc_kind(found[i]);
            }
        }
    }
    return 0;
}
