// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "doc/doc.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &v, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

static void compares_by_value(void **state) {
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"null", "null", true},
        {"null", "false", false},
        {"true", "true", true},
        {"true", "false", false},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"a\"", "\"b\"", false},
        {"\"a\"", "\"a\\u0000\"", false},
        {"\"1\"", "1", false},
        {"1", "1", true},
        {"1", "2", false},
        {"1", "1.0", true},
        {"1", "10e-1", true},
        {"100", "1e2", true},
        {"100", "1E+02", true},
        {"0.1", "0.10", true},
        {"0.1", "1e-1", true},
        {"0.1", "0.11", false},
        {"12.5", "1.25e1", true},
        {"12.05", "12.5", false},
        {"0", "-0", true},
        {"0", "0.000e99999999999999999999", true},
        {"1", "-1", false},
        {"-1.0", "-1", true},
        {"9007199254740993", "9007199254740992", false},
        {"9007199254740993", "9007199254740993.0", true},
        {"9007199254740993", "9007199254740992.0", false},
        {"9223372036854775808", "9223372036854775808.0", true},
        {"9223372036854775807", "9223372036854775808", false},
        {"-9223372036854775808", "-9.223372036854775808e18", true},
        {"1e400", "1e400", true},
        {"1e400", "10e399", true},
        {"1e400", "1e401", false},
        {"1e99999999999999999999", "1e99999999999999999999", true},
        {"1e99999999999999999999", "1e99999999999999999998", false},
        {"1e99999999999999999999", "1", false},
        {"1e-99999999999999999999", "0", false},
        {"120", "12", false},
        {"1200e-2", "12", true},
        {"1.0", "\"1.0\"", false},
        {"[]", "[]", true},
        {"[]", "{}", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"{}", "{}", true},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1.0}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
        {"{\"a\":null}", "{\"b\":null}", false},
        {"{\"a\":{\"x\":[{\"p\":1,\"q\":2}]}}", "{\"a\":{\"x\":[{\"q\":2,\"p\":1}]}}", true},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value a = parse(arena, cases[i].a);
        struct doc_value b = parse(arena, cases[i].b);
        if (doc_equal(&a, &b) != cases[i].equal || doc_equal(&b, &a) != cases[i].equal) {
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        }
        if ((doc_hash(&a) == doc_hash(&b)) != cases[i].equal) {
            fail_msg("hash of %s and %s", cases[i].a, cases[i].b);
        }
        assert_true(doc_equal(&a, &a) && doc_equal(&b, &b));
    }
    struct doc_value null_value = doc_null();
    assert_true(doc_equal(NULL, NULL) && doc_equal(NULL, &null_value));
    assert_true(doc_hash(NULL) == doc_hash(&null_value));
}

// The hash must not depend on the order of members or on the seed of the process (it may be stored).
static void hash_is_stable(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value a = parse(arena, "{\"x\":[1,\"y\"],\"z\":null}");
    assert_true(doc_hash(&a) == UINT64_C(0x5c84c7cf8e9f672d));
}

static struct doc_value numbered(struct arena *arena, int from, int to, int step) {
    struct doc_object object = doc_object_start(arena);
    for (int i = from; i != to; i += step) {
        doc_object_set(&object, arena_printf(arena, "key%d", i), doc_make_int(i));
    }
    return doc_object_done(&object);
}

static void compares_large_objects(void **state) {
    enum { COUNT = 50000 };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value up = numbered(arena, 0, COUNT, 1);
    struct doc_value down = numbered(arena, COUNT - 1, -1, -1);
    assert_true(doc_equal(&up, &down));
    assert_true(doc_hash(&up) == doc_hash(&down));
    struct doc_value other = doc_with(arena, &down, doc_make_int(-1), "key777");
    assert_false(doc_equal(&up, &other));
    struct doc_value shifted = numbered(arena, 1, COUNT + 1, 1);
    assert_false(doc_equal(&up, &shifted));
}

static void finds_by_pointer(void **state) {
    // The examples of RFC 6901, and what it leaves out.
    static const char text[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
        "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"01\":9}";
    static const struct {
        const char *pointer, *want; // NULL: absent
    } cases[] = {
        {"/foo", "[\"bar\",\"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/foo/1", "\"baz\""},
        {"/foo/2", NULL},
        {"/foo/-", NULL},
        {"/foo/01", NULL},
        {"/foo/+1", NULL},
        {"/foo/", NULL},
        {"/foo/0/x", NULL},
        {"/foo/99999999999999999999", NULL},
        {"/foo/4294967296", NULL},
        {"/", "0"},
        {"//", NULL},
        {"/a~1b", "1"},
        {"/a/b", NULL},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/m~n", NULL},
        {"/m~", NULL},
        {"/m~2n", NULL},
        {"/01", "9"},
        {"foo", NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value v = parse(arena, text);
    assert_ptr_equal(doc_pointer(&v, STR("")), &v);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct doc_value *found = doc_pointer(&v, str_from(cases[i].pointer));
        if (!cases[i].want) {
            assert_null(found);
        } else if (!found || !str_eq_c(doc_to_json(arena, found), cases[i].want)) {
            fail_msg("%s", cases[i].pointer);
        }
    }
    assert_null(doc_pointer(NULL, STR("/a")));
}

static void removes_by_pointer(void **state) {
    static const struct {
        const char *pointer, *want; // NULL: nothing to remove
    } cases[] = {
        {"/a", "{\"b/c\":[1,{\"d\":2,\"e\":3},4]}"},
        {"/b~1c/0", "{\"a\":1,\"b/c\":[{\"d\":2,\"e\":3},4]}"},
        {"/b~1c/2", "{\"a\":1,\"b/c\":[1,{\"d\":2,\"e\":3}]}"},
        {"/b~1c/1/d", "{\"a\":1,\"b/c\":[1,{\"e\":3},4]}"},
        {"/b~1c", "{\"a\":1}"},
        {"", NULL},
        {"/x", NULL},
        {"/b~1c/3", NULL},
        {"/b~1c/-", NULL},
        {"/a/x", NULL},
        {"a", NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    static const char text[] = "{\"a\":1,\"b/c\":[1,{\"d\":2,\"e\":3},4]}";
    struct doc_value v = parse(arena, text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value out = doc_make_int(5);
        bool removed = doc_pointer_remove(arena, &v, str_from(cases[i].pointer), &out);
        if (removed != (cases[i].want != NULL) ||
            !str_eq_c(doc_to_json(arena, &out), removed ? cases[i].want : "5")) {
            fail_msg("%s", cases[i].pointer);
        }
        assert_true(str_eq_c(doc_to_json(arena, &v), text));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_by_value),      cmocka_unit_test(hash_is_stable),
        cmocka_unit_test(compares_large_objects), cmocka_unit_test(finds_by_pointer),
        cmocka_unit_test(removes_by_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
