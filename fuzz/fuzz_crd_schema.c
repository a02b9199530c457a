// SPDX-License-Identifier: Apache-2.0
// {"schema": ..., "object": ...}: pruning and defaulting come to rest, and what validates does so twice.
#include <stdint.h>

#include "base/limits.h"
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value input;
    if (size > 64 * KIB ||
        !doc_parse_json((struct str){(const char *)data, size}, arena, &input, NULL)) {
        return 0;
    }
    struct err err = {0};
    const struct doc_value *object = doc_get(&input, "object");
    AUTO(schema_struct_destroy)
    struct schema_struct *schema = schema_struct_compile(doc_get(&input, "schema"), &err);
    if (!schema) {
        CHECK(err.code != ERR_NONE);
        return 0;
    }
    if (!object) {
        return 0;
    }
    struct str *paths;
    size_t count;
    struct doc_value pruned = schema_struct_prune(schema, arena, object, &paths, &count);
    struct doc_value again = schema_struct_prune(schema, arena, &pruned, &paths, &count);
    CHECK(count == 0 && doc_equal(&pruned, &again));
    struct doc_value filled = schema_struct_default(schema, arena, object);
    (void)schema_struct_default(schema, arena, &filled);
    struct schema_problem *problems;
    size_t first, second;
    schema_struct_validate(schema, arena, object, &problems, &first);
    schema_struct_validate(schema, arena, object, &problems, &second);
    CHECK(first == second && first <= LIMIT_SCHEMA_PROBLEMS + 1);
    return 0;
}
