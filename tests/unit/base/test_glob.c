// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

static const struct {
    const char *pattern, *text;
    char separator;
    bool matches;
} cases[] = {
    {"abc", "abc", 0, true},
    {"abc", "abcd", 0, false},
    {"", "", 0, true},
    {"", "a", 0, false},
    {"*", "", 0, true},
    {"*", "a/b", 0, true},
    {"*", "a/b", '/', false},
    {"**", "a/b/c", '/', true},
    {"*/*", "a/b", '/', true},
    {"*/*", "a/b/c", '/', false},
    {"*/**", "a/b/c", '/', true},
    {"*.yaml", "apps/x.yaml", 0, true},
    {"*.yaml", "apps/x.yaml", '/', false},
    {"**/*.yaml", "apps/x.yaml", '/', true},
    {"a*b*c", "aXbYc", 0, true},
    {"a*b*c", "aXbY", 0, false},
    {"a?c", "abc", 0, true},
    {"a?c", "a/c", '/', false},
    {"a?c",
     "a\xc3\xa4"
     "c",
     0, true}, // one character, two bytes
    {"?", "", 0, false},
    {"[abc]", "b", 0, true},
    {"[abc]", "d", 0, false},
    {"[!abc]", "d", 0, true},
    {"[!abc]", "a", 0, false},
    {"[a-z]", "q", 0, true},
    {"[a-z]", "Q", 0, false},
    {"[!a-z]", "Q", 0, true},
    {"[!a-z]", "q", 0, false},
    {"[^a]", "^", 0, true}, // only ! negates
    {"[-a]", "-", 0, true},
    {"[ab-c]", "-", 0, true}, // a list once the first is not followed by '-'
    {"[\xc3\xa4\xc3\xb6]", "\xc3\xb6", 0, true},
    {"[a\\]]", "]", 0, true},
    {"{a,b}", "a", 0, true},
    {"{a,b}", "b", 0, true},
    {"{a,b}", "c", 0, false},
    {"{a,b}", "a,b", 0, false},
    {"{*.yaml,*.yml}", "x.yml", 0, true},
    {"{*.yaml,*.yml}", "x.json", 0, false},
    {"{a,{b,c}d}e", "cde", 0, true},
    {"{a,{b,c}d}e", "ae", 0, true},
    {"{a,{b,c}d}e", "be", 0, false},
    {"x{,y}", "x", 0, true},
    {"x{,y}", "xy", 0, true},
    {"{}", "", 0, true},
    {"a,b}", "a,b}", 0, true}, // plain outside of braces
    {"a\\*b", "a*b", 0, true},
    {"a\\*b", "axb", 0, false},
    {"\\{a", "{a", 0, true},
    {"a\\", "a", 0, true},
    {"https://*.example.com", "https://api.example.com", 0, true},
    {"team-*", "team-a/b", '/', false},
    {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, false},
};

static void test_match(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        bool got = glob_match(str_from(cases[i].pattern), str_from(cases[i].text),
                              cases[i].separator, &err);
        if (got != cases[i].matches || err.code) {
            fail_msg("%s on %s: %d %s", cases[i].pattern, cases[i].text, got, err.message);
        }
    }
}

static void test_malformed(void **state) {
    static const char *const bad[] = {"[",     "[]",       "[!]",  "[a",     "[a-", "[a-z",
                                      "[z-a]", "[a-zA-Z]", "{a,b", "a{b{c}", "x[!"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        assert_false(glob_check(str_from(bad[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
        err = (struct err){0};
        assert_false(glob_match(str_from(bad[i]), STR("a"), 0, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct err err = {0};
    assert_true(glob_check(STR("{a,[b-c]}*"), &err));
}

static void test_limits(void **state) {
    struct err err = {0};
    char *long_text = xmalloc(LIMIT_GLOB_TEXT + 2);
    memset(long_text, '{', LIMIT_GLOB_TEXT + 2);
    assert_false(glob_check(str_make(long_text, 33), &err)); // nested too deep
    assert_int_equal(err.code, ERR_LIMIT);
    err = (struct err){0};
    assert_false(glob_check(str_make(long_text, LIMIT_GLOB_BYTES + 1), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    err = (struct err){0};
    assert_false(glob_match(STR("a*"), str_make(long_text, LIMIT_GLOB_TEXT + 1), 0, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    free(long_text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
