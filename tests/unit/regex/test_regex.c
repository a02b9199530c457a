// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "regex/regex.h"

static struct regex *make(const char *pattern) {
    char problem[128] = "";
    struct regex *regex = regex_create(pattern, strlen(pattern), problem, sizeof problem);
    if (!regex) {
        fail_msg("%s: %s", pattern, problem);
    }
    return regex;
}

static void test_replace(void **state) {
    static const struct {
        const char *pattern, *text, *with, *want;
        bool literal;
    } rows[] = {
        {"a", "banana", "o", "bonono", false},
        {"(b)(a)", "banana", "$2$1", "abnana", false},
        {"(?P<x>an)", "banana", "<${x}>", "b<an><an>a", false},
        {"a", "banana", "$1", "bnn", false},
        {"a", "ba", "$$", "b$", false},
        {"(a)", "ba", "$1x", "b", false}, // the name is "1x", of which there is none
        {"a", "ba", "$1", "b$1", true},
        {"a*", "baaac", "x", "xbxcx", false},
        {"", "äb", "-", "-ä-b-", false},
        {"^", "ab", "-", "-ab", false},
        {"z", "", "x", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct regex *regex = make(rows[i].pattern);
        size_t n;
        char *got = regex_replace(regex, rows[i].text, strlen(rows[i].text), rows[i].with,
                                  strlen(rows[i].with), rows[i].literal, 1000, &n);
        assert_string_equal(got, rows[i].want);
        assert_int_equal(n, strlen(rows[i].want));
        free(got);
        regex_destroy(regex);
    }
}

static void test_limits(void **state) {
    size_t n;
    struct regex *regex = make("a");
    assert_null(regex_replace(regex, "aaaa", 4, "0123456789", 10, true, 20, &n));
    regex_destroy(regex);
    char problem[64];
    assert_null(regex_create("((((a{100}){100}){100}){100})", 29, problem, sizeof problem));
    regex_destroy(NULL);
}

static void test_find(void **state) {
    struct regex *regex = make("(x)|(?P<year>[0-9]+)-");
    struct regex_span spans[3];
    assert_int_equal(regex_group_count(regex), 2);
    assert_int_equal(regex_group_find(regex, "year", 4), 2);
    assert_int_equal(regex_group_find(regex, "month", 5), 0);
    assert_true(regex_find(regex, "in 2026-11", 10, 0, spans, 3));
    assert_int_equal(spans[0].start, 3);
    assert_int_equal(spans[0].end, 8);
    assert_true(spans[1].start == REGEX_NONE);
    assert_int_equal(spans[2].end, 7);
    assert_false(regex_find(regex, "in 2026-11", 10, 8, spans, 3));
    assert_true(regex_matches(regex, "x", 1));
    assert_false(regex_matches(regex, NULL, 0));
    regex_destroy(regex);
}

static void test_problems(void **state) {
    static const struct {
        const char *pattern, *want;
    } rows[] = {
        {"[a", "missing closing ]: `[a`"},
        {"(a", "missing closing ): `(a`"},
        {"a)", "unexpected ): `a)`"},
        {"*", "missing argument to repetition operator: `*`"},
        {"a**", "invalid nested repetition operator: `**`"},
        {"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
        {"\\y", "invalid escape sequence: `\\y`"},
        {"a\\", "trailing backslash at end of expression: ``"},
        {"[b-a]", "invalid character class range: `b-a`"},
        {"a{1001}", "invalid repeat count: `{1001}`"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char problem[128];
        assert_null(
            regex_create(rows[i].pattern, strlen(rows[i].pattern), problem, sizeof problem));
        assert_string_equal(problem, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
