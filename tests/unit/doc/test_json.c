// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "doc/doc.h"

static void assert_str(struct str got, const char *want) {
    if (!str_eq_c(got, want)) {
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
    }
}

// An exact-size copy on the heap, so that a sanitizer sees a read past the end.
static char *exact(struct str text) {
    char *copy = xmalloc(text.n ? text.n : 1);
    if (text.n) {
        memcpy(copy, text.p, text.n);
    }
    return copy;
}

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &v, &err)) {
        fail_msg("%s: line %u column %u: %s", text, err.line, err.column, err.message);
    }
    return v;
}

static void reads_and_prints(void **state) {
    static const struct {
        struct str text;
        const char *compact; // NULL: the same as text
    } cases[] = {
        {STR_INIT("null"), NULL},
        {STR_INIT("true"), NULL},
        {STR_INIT(" false\n"), "false"},
        {STR_INIT("\"\""), NULL},
        {STR_INIT("0"), NULL},
        {STR_INIT("-0"), NULL},
        {STR_INIT("1.0"), NULL},
        {STR_INIT("-0.0e+10"), NULL},
        {STR_INIT("1E5"), NULL},
        {STR_INIT("999999999999999999"), NULL},
        {STR_INIT("9223372036854775807"), NULL},
        {STR_INIT("-9223372036854775808"), NULL},
        {STR_INIT("9223372036854775808"), NULL},
        {STR_INIT("-9223372036854775809"), NULL},
        {STR_INIT("18446744073709551616"), NULL},
        {STR_INIT("123456789012345678901234567890"), NULL},
        {STR_INIT("[]"), NULL},
        {STR_INIT("{}"), NULL},
        {STR_INIT("[ ]"), "[]"},
        {STR_INIT("{\t}"), "{}"},
        {STR_INIT("[[],{},[{}]]"), NULL},
        {STR_INIT("\t{ \"a\" : [ 1 , 2 ] ,\r\n \"b\" : { } }\n"), "{\"a\":[1,2],\"b\":{}}"},
        {STR_INIT("{\"\":\"\"}"), NULL},
        // Order is kept; a duplicate keeps the first place and the last value.
        {STR_INIT("{\"b\":1,\"a\":2}"), NULL},
        {STR_INIT("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}"},
        {STR_INIT("{\"a\":{\"x\":1},\"a\":{\"y\":2}}"), "{\"a\":{\"y\":2}}"},
        {STR_INIT("{\"a\":1,\"\\u0061\":2}"), "{\"a\":2}"},
        {STR_INIT("{\"a\":1,\"a\":2,\"a\":3,\"b\":4,\"b\":5}"), "{\"a\":3,\"b\":5}"},
        // The same key in objects within each other is no duplicate.
        {STR_INIT("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}"), NULL},
        // Escapes.
        {STR_INIT("\"\\u0041\\/\\b\\f\\n\\r\\t\\\"\\\\\""), "\"A/\\b\\f\\n\\r\\t\\\"\\\\\""},
        {STR_INIT("\"\\u00e9\\u65e5\\ud83d\\ude00\""), "\"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\""},
        {STR_INIT("\"\\u0000x\\u001F\""), "\"\\u0000x\\u001f\""},
        {STR_INIT("\"<>&\x7f\""), NULL},
        {STR_INIT("\"long enough for a vector \\u00e9 and on and on, past sixteen\""),
         "\"long enough for a vector \xc3\xa9 and on and on, past sixteen\""},
        // Half a surrogate pair is U+FFFD, and what follows is read for itself.
        {STR_INIT("\"\\ud800\""), "\"\xef\xbf\xbd\""},
        {STR_INIT("\"\\ud800x\""), "\"\xef\xbf\xbdx\""},
        {STR_INIT("\"\\udc00\""), "\"\xef\xbf\xbd\""},
        {STR_INIT("\"\\ud800\\u0041\""), "\"\xef\xbf\xbd"
                                         "A\""},
        {STR_INIT("\"\\ud800\\ud83d\\ude00\""), "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""},
        {STR_INIT("\"\\udc00\\ud800\""), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {STR_INIT("\"\\ud800\\n\""), "\"\xef\xbf\xbd\\n\""},
        {STR_INIT("{\"k:{\\\"name\\\":\\\"main\\\"}\":1}"), NULL},
        // The ends of UTF-8.
        {STR_INIT("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
         NULL},
        {STR_INIT("\"\xed\x9f\xbf\xee\x80\x80\""), NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char *text = exact(cases[i].text);
        struct doc_value v;
        struct err err = {0};
        if (!doc_parse_json(str_make(text, cases[i].text.n), arena, &v, &err)) {
            fail_msg("%.*s: %s", STR_ARG(cases[i].text), err.message);
        }
        const char *want = cases[i].compact ? cases[i].compact : cases[i].text.p;
        assert_str(doc_to_json(arena, &v), want);
        free(text);
    }
}

static void tells_kinds_apart(void **state) {
    static const struct {
        const char *text;
        enum doc_kind kind;
    } cases[] = {
        {"null", DOC_NULL},
        {"true", DOC_BOOL},
        {"1", DOC_INT},
        {"0", DOC_INT},
        {"-1", DOC_INT},
        {"-9223372036854775808", DOC_INT},
        {"9223372036854775807", DOC_INT},
        {"9223372036854775808", DOC_NUMBER},
        {"10000000000000000000000", DOC_NUMBER},
        {"-0", DOC_NUMBER},
        {"1.0", DOC_NUMBER},
        {"1e0", DOC_NUMBER},
        {"\"1\"", DOC_STRING},
        {"[]", DOC_ARRAY},
        {"{}", DOC_OBJECT},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value v = parse(arena, cases[i].text);
        assert_string_equal(doc_kind_name(doc_kind(&v)), doc_kind_name(cases[i].kind));
    }
}

static void refuses(void **state) {
    static const struct {
        struct str text;
        uint32_t line, column;
        const char *part; // of the message
    } cases[] = {
        {STR_INIT(""), 1, 1, "empty"},
        {STR_INIT(" \n "), 2, 2, "empty"},
        {STR_INIT("{"), 1, 2, "key"},
        {STR_INIT("["), 1, 2, "ends where a value"},
        {STR_INIT("[1"), 1, 3, "']' missing"},
        {STR_INIT("{\"a\":1"), 1, 7, "'}' missing"},
        {STR_INIT("{\"a\":"), 1, 6, "cut off"},
        {STR_INIT("{\"a\""), 1, 5, "':'"},
        {STR_INIT("{\"a\" 1}"), 1, 6, "after the key \"a\""},
        {STR_INIT("{\"a\":1,}"), 1, 8, "remove the comma"},
        {STR_INIT("{,}"), 1, 2, "key"},
        {STR_INIT("{a:1}"), 1, 2, "double quotes"},
        {STR_INIT("{\"a\":}"), 1, 6, "value before it"},
        {STR_INIT("[1,]"), 1, 4, "remove the comma before it"},
        {STR_INIT("[,1]"), 1, 2, "comma"},
        {STR_INIT("[1 2]"), 1, 4, "',' or ']'"},
        {STR_INIT("[1}"), 1, 3, "',' or ']'"},
        {STR_INIT("{\"a\":1]"), 1, 7, "',' or '}'"},
        {STR_INIT("1 2"), 1, 3, "only one value"},
        {STR_INIT("{}x"), 1, 3, "only one value"},
        {STR_INIT("nul"), 1, 1, "'n'"},
        {STR_INIT("nulll"), 1, 5, "after the end"},
        {STR_INIT("True"), 1, 1, "lower case"},
        {STR_INIT("None"), 1, 1, "null"},
        {STR_INIT("NaN"), 1, 1, "NaN"},
        {STR_INIT("-Infinity"), 1, 2, "minus"},
        {STR_INIT("Infinity"), 1, 1, "infinity"},
        {STR_INIT("'a'"), 1, 1, "double quotes"},
        {STR_INIT("// c\n1"), 1, 1, "comments"},
        {STR_INIT("#1"), 1, 1, "comments"},
        {STR_INIT("\xef\xbb\xbf{}"), 1, 1, "byte order mark"},
        {STR_INIT("+1"), 1, 1, "plus"},
        {STR_INIT(".5"), 1, 1, "0.5"},
        {STR_INIT("01"), 1, 1, "zeros"},
        {STR_INIT("-01"), 1, 1, "zeros"},
        {STR_INIT("-"), 1, 2, "minus"},
        {STR_INIT("1."), 1, 3, "decimal point"},
        {STR_INIT("1.e1"), 1, 3, "decimal point"},
        {STR_INIT("1e"), 1, 3, "exponent"},
        {STR_INIT("1e+"), 1, 4, "exponent"},
        {STR_INIT("0x10"), 1, 2, "after the end"},
        {STR_INIT("1.5.2"), 1, 4, "after the end"},
        {STR_INIT("\"a"), 1, 1, "does not end"},
        {STR_INIT("\"a\\"), 1, 1, "does not end"},
        {STR_INIT("\"a\\\""), 1, 1, "does not end"},
        {STR_INIT("\"a\nb\""), 1, 3, "control"},
        {STR_INIT("\"a\0b\""), 1, 3, "0x00"},
        {STR_INIT("[\"ok\",\n \"\xc3\xa9\xe6\x97\xa5\", \"\x1f\"]"), 2, 9, "0x1f"},
        {STR_INIT("\"\\q\""), 1, 3, "'q'"},
        {STR_INIT("\"\\u12\""), 1, 2, "four"},
        {STR_INIT("\"\\u12g4\""), 1, 2, "four"},
        {STR_INIT("\"\\U0041\""), 1, 3, "'U'"},
        {STR_INIT("\"x\\ud800\\u12\""), 1, 9, "four"},
        {STR_INIT("{\"\\x\":1}"), 1, 4, "'x'"},
        {STR_INIT("\"\x80\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xc0\xaf\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xc3\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xe0\x9f\xbf\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xed\xa0\x80\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xf0\x8f\xbf\xbf\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xf4\x90\x80\x80\""), 1, 2, "UTF-8"},
        {STR_INIT("\"\xf5\x80\x80\x80\""), 1, 2, "UTF-8"},
        {STR_INIT("{\"\xff\":1}"), 1, 3, "UTF-8"},
        {STR_INIT("[\xff]"), 1, 2, "byte 0xff"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char *text = exact(cases[i].text);
        struct doc_value v = doc_make_int(77);
        struct err err = {0};
        if (doc_parse_json(str_make(text, cases[i].text.n), arena, &v, &err)) {
            fail_msg("accepted: %.*s", STR_ARG(cases[i].text));
        }
        if (err.code != ERR_INVALID || err.line != cases[i].line || err.column != cases[i].column ||
            !strstr(err.message, cases[i].part)) {
            fail_msg("%.*s: %s at %u:%u: %s", STR_ARG(cases[i].text), err_code_name(err.code),
                     err.line, err.column, err.message);
        }
        assert_int_equal(doc_int(&v, 0), 77); // untouched
        free(text);
    }
}

// Every prefix of a valid document is refused (or is a document), and never reads past its end.
static void survives_truncation(void **state) {
    static const char text[] =
        "{\"a\":[1,-2.5e+3,\"x\\u00e9\\ud83d\\ude00\",true,null],\"\xc3\xa9long key of "
        "some length\":{\"b\":{}},\"c\":false,\"d\":\"plain text of more than sixteen bytes\"}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char *copy = exact(str_make(text, n));
        struct doc_value v;
        assert_false(doc_parse_json(str_make(copy, n), arena, &v, NULL));
        free(copy);
    }
}

static void keeps_limits(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    struct doc_value v;
    struct err err = {0};
    for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++) {
        buf_add_str(&text, i % 2 ? STR("[") : STR("{\"a\":"));
    }
    buf_add_char(&text, '1');
    for (size_t i = LIMIT_JSON_DEPTH; i-- > 0;) {
        buf_add_char(&text, i % 2 ? ']' : '}');
    }
    assert_true(doc_parse_json(buf_str(&text), arena, &v, &err));
    struct str printed = doc_to_json(arena, &v);
    assert_true(str_eq(printed, buf_str(&text)));

    buf_clear(&text);
    buf_add_repeat(&text, '[', LIMIT_JSON_DEPTH + 1);
    assert_false(doc_parse_json(buf_str(&text), arena, &v, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "LIMIT_JSON_DEPTH"));
    assert_int_equal(err.column, LIMIT_JSON_DEPTH + 1);

    // The size is checked before the first byte is touched.
    char one = '1';
    assert_false(doc_parse_json(str_make(&one, (size_t)LIMIT_JSON_BYTES + 1), arena, &v, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(
        doc_parse_json_copy(str_make(&one, (size_t)LIMIT_JSON_BYTES + 1), arena, &v, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void reads_large_objects(void **state) {
    static const unsigned sizes[] = {31, 32, 33, 64, 1000, 20000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        AUTO_BUF struct buf text;
        buf_init(&text, 4 * MIB);
        for (unsigned i = 0; i < sizes[s]; i++) { // all keys twice, the second time in reverse
            buf_printf(&text, "%c\"key-%u\":%u", i ? ',' : '{', i, i);
        }
        for (unsigned i = sizes[s]; i-- > 0;) {
            buf_printf(&text, ",\"key-%u\":[%u]", i, i);
        }
        buf_add_char(&text, '}');
        struct doc_value v;
        struct err err = {0};
        assert_true(doc_parse_json(buf_str(&text), arena, &v, &err));
        assert_int_equal(doc_len(&v), sizes[s]);
        for (unsigned i = 0; i < sizes[s]; i++) {
            struct str key = arena_printf(arena, "key-%u", i);
            assert_str(doc_key_at(&v, i), key.p);
            const struct doc_value *found = doc_find(&v, key);
            assert_ptr_equal(found, doc_value_at(&v, i));
            assert_int_equal(doc_int(doc_at(found, 0), -1), i);
        }
        assert_null(doc_find(&v, STR("key-")));
        assert_null(doc_find(&v, STR("")));
    }
}

static void one_key_many_times(void **state) {
    // More members than any index has room for, all the same key.
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (unsigned i = 0; i < 20000; i++) {
        buf_printf(&text, "%c\"a\":%u", i ? ',' : '{', i);
    }
    buf_add_char(&text, '}');
    struct doc_value v;
    assert_true(doc_parse_json(buf_str(&text), arena, &v, NULL));
    assert_str(doc_to_json(arena, &v), "{\"a\":19999}");
    assert_int_equal(doc_int(doc_get(&v, "a"), 0), 19999);
}

static void borrows_and_copies(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    char text[] = "[\"abc\",1.50]";
    struct doc_value borrowed, copied;
    assert_true(doc_parse_json(str_from(text), arena, &borrowed, NULL));
    assert_true(doc_parse_json_copy(str_from(text), arena, &copied, NULL));
    assert_ptr_equal(doc_str(doc_at(&borrowed, 0)).p, text + 2);
    memset(text, 'x', sizeof text - 1);
    assert_str(doc_to_json(arena, &copied), "[\"abc\",1.50]");
}

static void prints_indented(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value v = parse(arena, "{\"b\":[1,{\"c\":null},[]],\"a\":{}}");
    AUTO_BUF struct buf out;
    buf_init(&out, KIB);
    assert_true(doc_print_json_indent(&v, 2, &out));
    assert_str(buf_str(&out),
               "{\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    },\n    []\n  ],\n"
               "  \"a\": {}\n}");
}

static void prints_canonical(void **state) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"b\":{\"y\":1,\"x\":[{\"n\":1,\"m\":2}]},\"a\":1.0}",
         "{\"a\":1.0,\"b\":{\"x\":[{\"m\":2,\"n\":1}],\"y\":1}}"},
        {"{\"ab\":1,\"a\":2,\"\":3,\"B\":4}", "{\"\":3,\"B\":4,\"a\":2,\"ab\":1}"},
        {"{\"\xf0\x9f\x98\x80\":1,\"\xef\xbf\xbf\":2,\"z\":3}",
         "{\"z\":3,\"\xef\xbf\xbf\":2,\"\xf0\x9f\x98\x80\":1}"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value v = parse(arena, cases[i].text);
        AUTO_BUF struct buf out;
        buf_init(&out, KIB);
        assert_true(doc_print_canonical(&v, &out));
        assert_str(buf_str(&out), cases[i].want);
    }
    // More members than are sorted on the stack.
    struct doc_object object = doc_object_start(arena);
    for (int i = 99; i >= 10; i--) {
        doc_object_set(&object, arena_printf(arena, "%d", i), doc_make_int(i));
    }
    struct doc_value v = doc_object_done(&object);
    AUTO_BUF struct buf out;
    buf_init(&out, 4 * KIB);
    assert_true(doc_print_canonical(&v, &out));
    assert_true(str_starts(buf_str(&out), STR("{\"10\":10,\"11\":11,")));
    assert_true(str_ends(buf_str(&out), STR(",\"99\":99}")));
}

static void prints_bytes_that_are_no_text(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value v = doc_make_str(STR("a\xff\xc3(\"\xe6\x97\xa5\xed\xa0\x80"));
    assert_str(doc_to_json(arena, &v), "\"a\xef\xbf\xbd\xef\xbf\xbd(\\\"\xe6\x97\xa5\xef\xbf\xbd"
                                       "\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_str(doc_to_json(arena, NULL), "null");
}

static void stops_at_a_full_buffer(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value v = parse(arena, "{\"a\":[1,\"x\\n\",true,null,{\"b\":1.5}],\"c\":\"plain\"}");
    struct str whole = doc_to_json(arena, &v);
    for (size_t max = 0; max <= whole.n; max++) {
        AUTO_BUF struct buf out;
        buf_init(&out, max);
        assert_int_equal(doc_print_json(&v, &out), max == whole.n);
        assert_int_equal(out.overflow, max != whole.n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_prints),
        cmocka_unit_test(tells_kinds_apart),
        cmocka_unit_test(refuses),
        cmocka_unit_test(survives_truncation),
        cmocka_unit_test(keeps_limits),
        cmocka_unit_test(reads_large_objects),
        cmocka_unit_test(one_key_many_times),
        cmocka_unit_test(borrows_and_copies),
        cmocka_unit_test(prints_indented),
        cmocka_unit_test(prints_canonical),
        cmocka_unit_test(prints_bytes_that_are_no_text),
        cmocka_unit_test(stops_at_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
