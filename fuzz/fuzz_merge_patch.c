// SPDX-License-Identifier: Apache-2.0
// Input: an array of two values. The second is a merge patch for the first; and the difference between them, applied,
// must give the second wherever a merge patch can say it (it cannot set a null).
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_null_member(const struct doc_value *v) {
    bool found = false;
    for (DOC_EACH_MEMBER(v, i)) {
        found = found || doc_is_null(doc_value_at(v, i)) || has_null_member(doc_value_at(v, i));
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *arena = arena_create();
    struct doc_value v;
    struct err err = {0};
    if (size <= 64 * KIB && doc_parse_json(str_make((const char *)data, size), arena, &v, &err) &&
        doc_len(&v) == 2 && v.kind == DOC_ARRAY) {
        const struct doc_value *from = doc_at(&v, 0);
        const struct doc_value *to = doc_at(&v, 1);
        struct doc_value before = doc_clone(arena, from);
        struct doc_value merged = doc_merge_patch(arena, from, to);
        struct doc_value twice = doc_merge_patch(arena, &merged, to);
        CHECK(doc_equal(&merged, &twice));
        struct doc_value same = doc_merge_diff(arena, &merged, &twice);
        CHECK(same.kind == DOC_OBJECT && same.len == 0);
        struct doc_value diff = doc_merge_diff(arena, from, to);
        if (doc_is(from, DOC_OBJECT) && doc_is(to, DOC_OBJECT) && !has_null_member(to)) {
            struct doc_value result = doc_merge_patch(arena, from, &diff);
            CHECK(doc_equal(&result, to));
        }
        CHECK(doc_equal(&before, from));
    }
    arena_destroy(arena);
    return 0;
}
