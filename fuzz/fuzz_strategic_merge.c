// SPDX-License-Identifier: Apache-2.0
// {"kind": ..., "a": ..., "b": ..., "c": ...}: every operation between the three. A patch made from two objects and applied
// to the first gives one from which no further patch is needed.
#include <stdint.h>

#include "base/limits.h"
#include "schema/schema.h"

static const struct schema_type *type_of(struct str kind) {
    struct str groups[] = {STR(""), STR("apps"), STR("networking.k8s.io"), STR("batch")};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        const struct schema_type *type = schema_find(groups[i], STR("v1"), kind);
        if (type) {
            return type;
        }
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value input;
    if (size > 64 * KIB ||
        !doc_parse_json((struct str){(const char *)data, size}, arena, &input, NULL)) {
        return 0;
    }
    const struct schema_type *type = type_of(doc_get_str(&input, "kind"));
    const struct doc_value *a = doc_get(&input, "a");
    const struct doc_value *b = doc_get(&input, "b");
    const struct doc_value *c = doc_get(&input, "c");
    if (!doc_is(a, DOC_OBJECT) || !doc_is(b, DOC_OBJECT) || !doc_is(c, DOC_OBJECT)) {
        return 0;
    }
    struct err err = {0};
    struct doc_value out, patch;
    if (!schema_strategic_merge(arena, type, a, b, &out, &err)) {
        CHECK(err.code != ERR_NONE);
    }
    if (schema_strategic_diff(arena, type, a, b, &patch, &err)) {
        (void)!schema_strategic_merge(arena, type, a, &patch, &out, &err);
    }
    if (schema_strategic_diff(arena, type, a, a, &patch, &err)) {
        CHECK(doc_len(&patch) == 0 || type);
    }
    if (schema_three_way(arena, type, a, b, c, &patch, &err)) {
        (void)!schema_strategic_merge(arena, type, c, &patch, &out, &err);
    }
    out = schema_normalize(arena, type, a);
    struct doc_value again = schema_normalize(arena, type, &out);
    CHECK(doc_equal(&out, &again));
    return 0;
}
