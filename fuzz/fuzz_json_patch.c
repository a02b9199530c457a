// SPDX-License-Identifier: Apache-2.0
// Input: an array of a document and a patch. The document must not change, and the result must be a proper tree.
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 16 * KIB) {
        return 0;
    }
    struct arena *arena = arena_create();
    struct doc_value v, out;
    struct err err = {0};
    if (doc_parse_json(str_make((const char *)data, size), arena, &v, &err) && doc_len(&v) == 2 &&
        v.kind == DOC_ARRAY) {
        struct doc_value before = doc_clone(arena, doc_at(&v, 0));
        if (doc_json_patch(arena, doc_at(&v, 0), doc_at(&v, 1), &out, &err)) {
            struct str text = doc_to_json(arena, &out);
            struct doc_value again;
            CHECK(doc_parse_json(text, arena, &again, &err));
            CHECK(doc_equal(&out, &again) && doc_hash(&out) == doc_hash(&again));
        } else {
            CHECK(err.code != ERR_NONE && err.message[0] != '\0');
        }
        CHECK(doc_equal(&before, doc_at(&v, 0)));
    }
    arena_destroy(arena);
    return 0;
}
