// SPDX-License-Identifier: Apache-2.0
// Two JSON documents on two lines, as desired and live object: comparing, patching, masking and printing the difference must
// not crash, an object never differs from itself, and masked Secrets show nothing of their values.
#include <stdint.h>

#include "base/limits.h"
#include "base/mem.h"
#include "diff/diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct arena *arena, const struct doc_value *a, const struct doc_value *b) {
    struct str pointers[] = {STR("/spec"), STR("/metadata/annotations")};
    struct diff_ignore ignore = {STR("*"), STR("*"), STR(""), STR(""), pointers, 2};
    struct diff_options options = {&ignore, 1, true, true};
    struct diff_result result;
    struct diff_apply apply;
    struct err err = {0};
    (void)!diff_compare(arena, a, b, &options, &result, &err);
    (void)!diff_apply_patch(arena, a, b, &apply, &err);
    if (doc_is(b, DOC_OBJECT) && diff_compare(arena, b, b, NULL, &result, &err)) {
        CHECK(!result.modified);
    }
}

static bool is_marker(const struct doc_value *v) {
    return doc_is(v, DOC_STRING) && str_eq(doc_str(v), str_first(STR("++++++++++++++++"), v->len));
}

static void check_mask(struct arena *arena, const struct doc_value *object) {
    struct doc_value masked = diff_mask_secret(arena, object);
    if (!str_eq(doc_get_str(object, "kind"), STR("Secret")) ||
        !str_eq(doc_get_str(object, "apiVersion"), STR("v1"))) {
        return;
    }
    static const char *const fields[] = {"data", "stringData"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct doc_value *values = doc_get(&masked, fields[i]);
        for (DOC_EACH_MEMBER(values, k)) {
            CHECK(doc_is(doc_value_at(values, k), DOC_STRING));
            CHECK(doc_len(values) > 8 || is_marker(doc_value_at(values, k)));
        }
        CHECK(doc_is_null(values) || doc_is(values, DOC_OBJECT) || is_marker(values));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *arena = arena_create();
    struct str first, second;
    str_cut(str_make((const char *)data, size), '\n', &first, &second);
    struct doc_value a, b;
    if (doc_parse_json(first, arena, &a, NULL) && doc_parse_json(second, arena, &b, NULL)) {
        compare(arena, &a, &b);
        check_mask(arena, &a);
        check_mask(arena, &b);
        diff_mask_secret_pair(arena, &a, &b);
    }
    AUTO_BUF struct buf out;
    buf_init(&out, 8 * MIB);
    if (size < 64 * 1024) {
        (void)!diff_unified(first, second, STR("a"), STR("b"), 3, &out);
        CHECK(out.len > 0 || str_eq(first, second));
    }
    arena_destroy(arena);
    return 0;
}
