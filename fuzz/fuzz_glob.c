// SPDX-License-Identifier: Apache-2.0
// The first line is the pattern, the rest the text.
#include "base/mem.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str pattern;
    struct str text;
    str_cut(str_make((const char *)data, size), '\n', &pattern, &text);
    struct err err = {0};
    bool good = glob_check(pattern, &err);
    CHECK(good == (err.code == ERR_NONE));
    bool any = glob_match(pattern, text, 0, NULL);
    bool within = glob_match(pattern, text, '/', NULL);
    CHECK(!within || any); // a separator only restricts
    CHECK(good || !any);
    return 0;
}
