// SPDX-License-Identifier: Apache-2.0
// The first line is a constraint, the other two are versions.
#include "base/mem.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str constraint;
    struct str first;
    struct str rest;
    str_cut(str_make((const char *)data, size), '\n', &constraint, &rest);
    str_cut(rest, '\n', &first, &rest);
    struct semver a;
    struct semver b;
    struct err err = {0};
    bool has_a = semver_parse(first, &a);
    bool has_b = semver_parse(rest, &b);
    if (has_a && has_b) {
        CHECK(semver_compare(&a, &b) == -semver_compare(&b, &a));
        CHECK(semver_compare(&a, &a) == 0);
    }
    if (has_a) {
        bool holds = semver_satisfies(constraint, &a, &err);
        CHECK(!holds || !err.code);
        CHECK(!semver_is_constraint(constraint) || !err.code);
    }
    semver_is_constraint(constraint);
    return 0;
}
