// SPDX-License-Identifier: Apache-2.0
// Whatever the reader accepts, every printer must write so that reading it again gives an equal value.
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(struct arena *arena, const struct doc_value *v,
                        bool (*print)(const struct doc_value *v, struct buf *out)) {
    AUTO_BUF struct buf first, second;
    buf_init(&first, 64 * MIB);
    buf_init(&second, 64 * MIB);
    CHECK(print(v, &first));
    CHECK(utf8_is_valid(buf_str(&first)));
    struct doc_value again;
    struct err err = {0};
    CHECK(doc_parse_json(buf_str(&first), arena, &again, &err));
    CHECK(doc_equal(v, &again) && doc_equal(&again, v));
    CHECK(doc_hash(v) == doc_hash(&again));
    CHECK(print(&again, &second));
    CHECK(str_eq(buf_str(&first), buf_str(&second)));
}

static bool print_indented(const struct doc_value *v, struct buf *out) {
    return doc_print_json_indent(v, 1, out);
}

// Every member is found by its key, and no key is there twice.
static void check_lookup(const struct doc_value *v) {
    for (DOC_EACH_ITEM(v, item)) {
        check_lookup(item);
    }
    for (DOC_EACH_MEMBER(v, i)) {
        CHECK(doc_find(v, doc_key_at(v, i)) == doc_value_at(v, i));
        check_lookup(doc_value_at(v, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *arena = arena_create();
    struct str text = {(const char *)data, size};
    struct doc_value v;
    struct err err = {0};
    if (doc_parse_json(text, arena, &v, &err)) {
        CHECK(utf8_is_valid(text));
        check_lookup(&v);
        check_print(arena, &v, doc_print_json);
        check_print(arena, &v, print_indented);
        check_print(arena, &v, doc_print_canonical);
        struct doc_value clone = doc_clone(arena, &v);
        CHECK(doc_equal(&v, &clone));
        check_lookup(&clone);
    } else {
        CHECK(err.message[0] != '\0' && err.line > 0 && err.column > 0);
    }
    arena_destroy(arena);
    return 0;
}
