// SPDX-License-Identifier: Apache-2.0
// What an admission webhook answers: the first byte says whether it may change objects, the rest is the body.
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_create();
    struct hook_answer answer = {.allowed = false};
    struct str problem = {NULL, 0}, body = {(const char *)data + 1, size - 1};
    if (hook_parse_answer(arena, body, STR("u"), data[0] & 1, &answer, &problem)) {
        CHECK(!answer.has_patch || (data[0] & 1));
    } else {
        CHECK(problem.n > 0 && !answer.allowed);
    }
    struct doc_value quantity = doc_make_str(body);
    struct amount amount;
    if (amount_parse(&quantity, &amount)) {
        CHECK(amount_text(arena, amount).n > 0);
    }
    arena_destroy(arena);
    return 0;
}
