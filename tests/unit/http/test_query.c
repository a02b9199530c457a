// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "http/query.h"

#define BAD NULL

static void test_decode(void **state) {
    (void)state;
    static const struct {
        const char *text, *plain, *query; // as a path, as a query; BAD: refused
    } rows[] = {
        {"", "", ""},
        {"abc", "abc", "abc"},
        {"a+b", "a+b", "a b"},
        {"%41%7a%7A", "Azz", "Azz"},
        {"%20", " ", " "},
        {"%2F", "/", "/"},
        {"%c3%a4", "\xc3\xa4", "\xc3\xa4"},
        {"%f0%9f%98%80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"%", BAD, BAD},
        {"%4", BAD, BAD},
        {"a%", BAD, BAD},
        {"%zz", BAD, BAD},
        {"%4g", BAD, BAD},
        {"% 1", BAD, BAD},
        {"%+1", BAD, BAD},
        {"%00", BAD, BAD},
        {"a%00b", BAD, BAD},
        {"%ff", BAD, BAD},
        {"%c0%af", BAD, BAD},       // an overlong slash
        {"%ed%a0%80", BAD, BAD},    // a surrogate
        {"%f4%90%80%80", BAD, BAD}, // past the end of Unicode
        {"%c3", BAD, BAD},
        {"\xff", BAD, BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int plus = 0; plus < 2; plus++) {
            AUTO(arena_destroy) struct arena *arena = arena_create();
            struct err err = {0};
            struct str out = STR("untouched");
            const char *expected = plus ? rows[i].query : rows[i].plain;
            bool ok = url_decode(str_from(rows[i].text), plus, arena, &out, &err);
            assert_int_equal(ok, expected != BAD);
            assert_true(str_eq_c(out, ok ? expected : "untouched"));
            assert_int_equal(err.code, ok ? ERR_NONE : ERR_INVALID);
        }
    }
}

static void test_encode(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", ""},
        {"azAZ09-._~", "azAZ09-._~"},
        {"a b/c?d=e&f+g%", "a%20b%2Fc%3Fd%3De%26f%2Bg%25"},
        {"\xc3\xa4", "%C3%A4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_BUF struct buf out;
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct err err = {0};
        struct str back;
        buf_init(&out, 100);
        assert_true(url_encode(str_from(rows[i].text), &out));
        assert_true(str_eq_c(buf_str(&out), rows[i].expected));
        assert_true(url_decode(buf_str(&out), i % 2, arena, &back, &err));
        assert_true(str_eq_c(back, rows[i].text));
    }
    AUTO_BUF struct buf small;
    buf_init(&small, 4);
    assert_false(url_encode(STR("a b c"), &small));
}

static void test_query(void **state) {
    (void)state;
    static const struct {
        const char *query, *expected; // name=value; in order
    } rows[] = {
        {"", ""},
        {"a=1", "a=1;"},
        {"a=1&b=2", "a=1;b=2;"},
        {"watch", "watch=;"},
        {"a=", "a=;"},
        {"=a", "=a;"},
        {"&&a=1&", "a=1;"},
        {"a=1&a=2", "a=1;a=2;"},
        {"a=b=c", "a=b=c;"},
        {"labelSelector=app%3Dx%2Cy%20in%20(z)", "labelSelector=app=x,y in (z);"},
        {"a+b=c+d", "a b=c d;"},
        {"a=%zz", BAD},
        {"%00=1", BAD},
        {"a;b=1", "a;b=1;"}, // a semicolon separates nothing, as in Go
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct err err = {0};
        struct query_pair *pairs = NULL;
        size_t count = 0;
        bool ok = query_parse(str_from(rows[i].query), arena, &pairs, &count, &err);
        assert_int_equal(ok, rows[i].expected != BAD);
        if (ok) {
            AUTO_BUF struct buf text;
            buf_init(&text, 1000);
            buf_add_c(&text, "");
            for (size_t k = 0; k < count; k++) {
                buf_printf(&text, "%.*s=%.*s;", STR_ARG(pairs[k].name), STR_ARG(pairs[k].value));
            }
            assert_string_equal(text.data ? text.data : "", rows[i].expected);
        }
    }
}

static void test_query_find(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct err err = {0};
    struct query_pair *pairs;
    size_t count;
    assert_true(query_parse(STR("a=1&b=2&a=3&c"), arena, &pairs, &count, &err));
    assert_true(str_eq_c(query_find(pairs, count, "a"), "1"));
    assert_true(str_eq_c(query_find(pairs, count, "b"), "2"));
    assert_int_equal(query_find(pairs, count, "c").n, 0);
    assert_int_equal(query_find(pairs, count, "d").n, 0);
}

static void test_too_many_parameters(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    struct err err = {0};
    struct query_pair *pairs;
    size_t count;
    buf_init(&text, 10000);
    buf_add_repeat(&text, '&', 255);
    assert_true(query_parse(buf_str(&text), arena, &pairs, &count, &err));
    buf_add_char(&text, '&');
    assert_false(query_parse(buf_str(&text), arena, &pairs, &count, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void test_path(void **state) {
    (void)state;
    static const struct {
        const char *path, *expected; // segments, each followed by '|'
    } rows[] = {
        {"/", ""},
        {"/api", "api|"},
        {"/api/", "api|"},
        {"/api/v1/pods", "api|v1|pods|"},
        {"/a%20b/c%25", "a b|c%|"},
        {"/a+b", "a+b|"},
        {"/system%3Anode", "system:node|"},
        {"/...", "...|"},
        {"", BAD},
        {"api", BAD},
        {"//", BAD},
        {"/a//b", BAD},
        {"/./a", BAD},
        {"/a/..", BAD},
        {"/a/%2e%2e/b", BAD},
        {"/a%2fb", BAD},
        {"/a%2Fb", BAD},
        {"/a%00", BAD},
        {"/%ff", BAD},
        {"/%", BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct err err = {0};
        struct str *segments = NULL;
        size_t count = 0;
        bool ok = path_split(str_from(rows[i].path), arena, &segments, &count, &err);
        if (ok != (rows[i].expected != BAD)) {
            fail_msg("%s: %s", rows[i].path, err.message);
        }
        if (ok) {
            char text[200] = "";
            for (size_t k = 0; k < count; k++) {
                size_t n = strlen(text);
                snprintf(text + n, sizeof text - n, "%.*s|", STR_ARG(segments[k]));
            }
            assert_string_equal(text, rows[i].expected);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_find),
        cmocka_unit_test(test_too_many_parameters),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
