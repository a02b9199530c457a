// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "vcs/internal.h"

#define SHA(digit)                                                                                \
    digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit     \
        digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit \
            digit digit digit digit digit digit digit digit digit digit

static const char listing[] =
    SHA("1") "\tHEAD\n" SHA("1") "\trefs/heads/main\n" SHA("2") "\trefs/heads/feature/x\n" SHA("3") "\trefs/heads/v1.0.0\n" SHA("4") "\trefs/pull/7/head\n" SHA(
        "5") "\trefs/tags/v1.0.0\n" SHA("6") "\trefs/tags/v1.2.0\n" SHA("7") "\trefs/tags/"
                                                                             "v1.2.0^{}\n" SHA("8") "\trefs/tags/v1.10.0\n" SHA(
                                                                                 "9") "\trefs/tags/"
                                                                                      "v2.0.0-rc."
                                                                                      "1\n" SHA(
                                                                                          "a") "\tr"
                                                                                               "efs"
                                                                                               "/ta"
                                                                                               "gs/"
                                                                                               "1."
                                                                                               "x"
                                                                                               "\n";

static void test_select(void **state) {
    static const struct {
        const char *revision;
        const char *digit; // NULL: not found
    } cases[] = {
        {"HEAD", "1"},
        {"", "1"},
        {"main", "1"},
        {"refs/heads/main", "1"},
        {"heads/main", "1"},
        {"feature/x", "2"},
        {"v1.0.0", "3"}, // a branch before a tag of the same name
        {"refs/tags/v1.0.0", "5"},
        {"tags/v1.2.0", "7"}, // annotated: its commit
        {"pull/7/head", "4"},
        {"v1.2.0", "7"},
        {"^1.0", "8"},
        {"1.x", "8"}, // a range, although a tag has that very name
        {"~1.2.0", "7"},
        {">=1.0.0 <1.10.0", "7"},
        {"*", "8"},
        {">=2.0.0-0", "9"},
        {"v1.2.*", "7"},
        {"^3", NULL},
        {"nope", NULL},
        {"refs/heads", NULL},
        {"mai", NULL},
        {"1.2.0", NULL},
    };
    AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
    struct err err = {0};
    assert_true(git_refs_parse(str_from(listing), refs, &err));
    assert_int_equal(refs->refs.len, 10);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct git_ref *ref = git_refs_select(refs, str_from(cases[i].revision));
        if ((ref != NULL) != (cases[i].digit != NULL) ||
            (ref && ref->sha[0] != cases[i].digit[0])) {
            fail_msg("%s: %s", cases[i].revision, ref ? ref->sha : "none");
        }
    }
    AUTO(git_refs_destroy) struct git_refs *empty = git_refs_create();
    assert_true(git_refs_parse(STR(""), empty, &err));
    assert_null(git_refs_select(empty, STR("HEAD")));
    assert_true(git_refs_hash(empty) != git_refs_hash(refs));
}

static void test_bad_listing(void **state) {
    static const char *const bad[] = {
        "garbage\n", SHA("1") " refs/heads/main\n", SHA("1") "\t\n", "xyz\trefs/heads/main\n",
        "<html>\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
        struct err err = {0};
        assert_false(git_refs_parse(str_from(bad[i]), refs, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
    struct err err = {0};
    char line[100];
    memset(line, 'a', 64);
    memcpy(line + 64, "\tHEAD\n", 7);
    assert_false(git_refs_parse(str_from(line), refs, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
}

static void test_sha(void **state) {
    assert_true(git_is_sha(STR(SHA("a"))));
    assert_true(git_is_sha(STR(SHA("F"))));
    assert_false(git_is_sha(STR("abc1234")));
    assert_true(git_is_short_sha(STR("abc1234")));
    assert_false(git_is_short_sha(STR("abc123")));
    assert_false(git_is_short_sha(STR("abcdefg")));
    assert_false(git_is_short_sha(STR(SHA("a"))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_bad_listing),
        cmocka_unit_test(test_sha),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
