// SPDX-License-Identifier: Apache-2.0
// One hostile file in an otherwise empty repository. What is rendered must have a kind and a name; an error must say why.
#include <stdint.h>

#include "base/mem.h"
#include "render/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *arena = arena_create();
    struct file_tree *tree = file_tree_create_memory();
    file_tree_memory_put(tree, STR("app/file.yaml"), str_make((const char *)data, size));
    struct doc_value source;
    CHECK(doc_parse_json(STR("{\"path\":\"app\",\"directory\":{\"recurse\":true}}"), arena, &source,
                         NULL));
    struct render_request request = {.tree = tree, .source = &source};
    struct render_result result;
    struct err err = {0};
    if (render_run(&request, arena, &result, &err)) {
        for (size_t i = 0; i < result.object_count; i++) {
            const struct doc_value *object = &result.objects[i].object;
            CHECK(doc_get_str(object, "apiVersion").n && doc_get_str(object, "kind").n);
            CHECK(doc_get_str(object, "metadata", "name").n && result.objects[i].line > 0);
        }
    } else {
        CHECK(err.message[0] != '\0');
    }
    file_tree_destroy(tree);
    arena_destroy(arena);
    return 0;
}
