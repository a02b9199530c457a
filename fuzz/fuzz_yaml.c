// SPDX-License-Identifier: Apache-2.0
// The first byte chooses profile and strictness, the rest is a stream. What was read is printed and read again: the same
// value must come back.
#include <stdint.h>

#include "base/limits.h"
#include "doc/yaml.h"

static bool has_ugly_text(const struct doc_value *v) {
    // A byte order mark in front of a text is eaten by the reader, as it is by Go's; so is U+0085 in quotes.
    if (doc_is(v, DOC_STRING)) {
        return str_has(doc_str(v), STR("\xEF\xBB\xBF"));
    }
    for (DOC_EACH_ITEM(v, item)) {
        if (has_ugly_text(item)) {
            return true;
        }
    }
    for (DOC_EACH_MEMBER(v, i)) {
        if (str_has(doc_key_at(v, i), STR("\xEF\xBB\xBF")) || has_ugly_text(doc_value_at(v, i))) {
            return true;
        }
    }
    return false;
}

static void check_print(struct arena *arena, const struct doc_value *v) {
    AUTO_BUF struct buf text = {0};
    buf_init(&text, 4 * MIB);
    if (has_ugly_text(v) || !yaml_print(v, &text)) {
        return;
    }
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    struct yaml_document *documents;
    size_t count;
    CHECK(yaml_parse(buf_str(&text), &options, arena, &documents, &count, NULL));
    AUTO_BUF struct buf again = {0};
    buf_init(&again, 4 * MIB);
    CHECK(count == 1 && yaml_print(&documents[0].root, &again));
    CHECK(str_eq(buf_str(&text), buf_str(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct yaml_options options = {
        .profile = data[0] & 1 ? YAML_KUSTOMIZE : YAML_KUBERNETES,
        .strict = (data[0] & 2) != 0,
        .places = (data[0] & 4) != 0,
    };
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    struct str text = {(const char *)data + 1, size - 1};
    if (!yaml_parse(text, &options, arena, &documents, &count, &err)) {
        CHECK(err.code != ERR_NONE && err.message[0]);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t line, column;
        yaml_place_of(&documents[i], &documents[i].root, &line, &column);
        check_print(arena, &documents[i].root);
    }
    return 0;
}
