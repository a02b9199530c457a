// SPDX-License-Identifier: Apache-2.0
// Expressions of CEL: everything that compiles is evaluated under a small budget, over a document of many kinds.
#include <stddef.h>
#include <stdint.h>

#include "cel/cel.h"

#define DOCUMENT                                                      \
    "{\"i\":5,\"n\":2.5,\"s\":\"h\\u00e4llo\",\"b\":true,\"z\":null," \
    "\"l\":[1,2,3],\"t\":[\"a\",\"b\"],"                              \
    "\"m\":{\"k\":1,\"j\":{\"x\":[{\"a\":1},{\"a\":2}]}},\"d\":"      \
    "\"1h30m\",\"ts\":\"2020-01-02T03:04:05Z\","                      \
    "\"q\":\"1500m\",\"u\":\"https://e.x/p?a=1\",\"ip\":\"10.0.0.1\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value doc;
    if (size > 4096 || !doc_parse_json(STR(DOCUMENT), arena, &doc, NULL)) {
        return 0;
    }
    struct cel_type text = {.kind = CEL_STRING}, integer = {.kind = CEL_INT};
    struct cel_type list = {.kind = CEL_LIST, .item = &integer};
    struct cel_type texts = {.kind = CEL_LIST, .item = &text, .list_type = CEL_LIST_SET};
    struct cel_field fields[] = {{STR("i"), STR("i"), &integer},
                                 {STR("l"), STR("l"), &list},
                                 {STR("s"), STR("s"), &text},
                                 {STR("t"), STR("t"), &texts}};
    struct cel_type object = {
        .kind = CEL_OBJECT, .name = STR("object"), .fields = fields, .field_count = 4};
    struct cel_variable variables[] = {{STR("self"), &object}, {STR("any"), NULL}};
    struct cel_env env = {variables, 2};
    struct cel_problem problem = {0};
    struct cel_program *program =
        cel_compile(arena, str_make((const char *)data, size), &env, &problem);
    if (program) {
        struct cel_binding bindings[] = {{STR("self"), cel_from_doc(arena, &doc, &object)},
                                         {STR("any"), cel_from_doc(arena, &doc, NULL)}};
        struct cel_cost cost = {.limit = 20000};
        struct cel_value value;
        struct doc_value out;
        struct err err = {0};
        if (cel_eval(program, bindings, 2, &cost, arena, &value, &err)) {
            cel_to_doc(arena, &value, &out);
        }
        cel_program_release(program);
    }
    return 0;
}
