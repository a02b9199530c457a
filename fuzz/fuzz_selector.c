// SPDX-License-Identifier: Apache-2.0
// Label and field selectors come from every client's query string.
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/selector.h"

static bool get(void *ctx, struct str key, struct str *value) {
    *value = *(struct str *)ctx;
    return key.n % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str text = {(const char *)data, size};
    struct selector *selector;
    struct err err = {0};
    if (selector_parse_labels(text, arena, &selector, &err)) {
        selector_matches(selector, get, &text);
    } else {
        CHECK(err.code == ERR_INVALID);
    }
    if (selector_parse_fields(text, arena, &selector, &err)) {
        struct str key, value;
        bool equal;
        for (size_t i = 0; selector_next_field(selector, &i, &key, &value, &equal);) {
            CHECK(key.n > 0);
        }
        selector_matches(selector, get, &text);
    }
    return 0;
}
