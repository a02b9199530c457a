// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "cli/kube.h"
#include "cli/out.h"

static void expect(const struct buf *out, const char *want) {
    assert_string_equal(out->data ? out->data : "", want);
}

static void test_columns(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t min_width, padding;
        const char *want;
    } cases[] = {
        {"", 0, 2, ""},
        {"a\tb\n", 0, 2, "a  b\n"},
        {"a\tb\tc\nlong\tx\ty\n", 0, 2, "a     b  c\nlong  x  y\n"},
        // The last cell of a line is in no column: it does not widen the one it stands in.
        {"SOURCE\tfile:///a/very/long/url\nID\tDATE\tREV\n0\tnow\tmain\n", 0, 2,
         "SOURCE  file:///a/very/long/url\nID      DATE  REV\n0       now   main\n"},
        // An empty line ends the columns above it.
        {"aaaa\tb\n\na\tb\n", 0, 2, "aaaa  b\n\na  b\n"},
        {"a\tb\n", 5, 2, "a    b\n"},
        {"a\tb\n", 6, 3, "a     b\n"},
        // Characters count, not bytes.
        {"├─x\ty\nabc\ty\n", 0, 2, "├─x  y\nabc  y\n"},
        {"\t\tx\n\t\ty\n", 0, 2, "    x\n    y\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        out_columns(str_from(cases[i].text), cases[i].min_width, cases[i].padding, &out);
        expect(&out, cases[i].want);
    }
}

static void test_time(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(out_time(arena, STR("2026-11-23T18:54:05Z")).p,
                        "2026-11-23 18:54:05 +0000 UTC");
    assert_string_equal(out_time(arena, STR("")).p, "<nil>");
    assert_string_equal(out_time(arena, STR("yesterday")).p, "<nil>");
}

static void test_clean(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    static const struct {
        const char *text;
        bool lines;
        const char *want;
    } cases[] = {
        {"plain", false, "plain"}, {"a\x1b[31mb", false, "a?[31mb"}, {"a\nb", false, "a b"},
        {"a\nb", true, "a\nb"},    {"a\tb\x7f", true, "a?b?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out = out_clean(arena, str_from(cases[i].text), cases[i].lines);
        assert_true(str_eq_c(out, cases[i].want));
    }
}

static void test_document(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    struct err err = {0};
    assert_true(doc_parse_json(STR("{\"b\":[{\"z\":1,\"a\":2}],\"a\":{}}"), arena, &value, &err));
    AUTO_BUF struct buf json, yaml;
    buf_init(&json, OUT_MAX);
    buf_init(&yaml, OUT_MAX);
    assert_true(out_document(&value, STR("json"), 2, &json));
    expect(&json,
           "{\n  \"a\": {},\n  \"b\": [\n    {\n      \"a\": 2,\n      \"z\": 1\n    }\n  ]\n}\n");
    assert_true(out_document(&value, STR("yaml"), 2, &yaml));
    expect(&yaml, "a: {}\nb:\n- a: 2\n  z: 1\n");
}

static void test_table(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value table;
    struct err err = {0};
    assert_true(doc_parse_json(
        STR("{\"columnDefinitions\":[{\"name\":\"Name\",\"priority\":0},{\"name\":\"Ready\","
            "\"priority\":0},"
            "{\"name\":\"Node\",\"priority\":1}],\"rows\":[{\"cells\":[\"web\",1,\"n1\"],"
            "\"object\":{\"metadata\":{\"namespace\":\"shop\"}}},{\"cells\":[\"b\\u001b\",null,"
            "\"two\\nlines\"]}]}"),
        arena, &table, &err));
    static const struct {
        struct kube_table_style style;
        const char *want;
    } cases[] = {
        {{0}, "NAME   READY\nweb    1\nb?     \n"},
        {{.wide = true}, "NAME   READY   NODE\nweb    1       n1\nb?             two...\n"},
        {{.with_ns = true},
         "NAMESPACE   NAME   READY\nshop        web    1\n            b?     \n"},
        {{.no_head = true, .prefix = STR_INIT("po/")}, "po/web   1\npo/b?    \n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        kube_format_table(&table, &cases[i].style, &out);
        expect(&out, cases[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),  cmocka_unit_test(test_time),  cmocka_unit_test(test_clean),
        cmocka_unit_test(test_document), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
