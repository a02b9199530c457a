// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "doc/doc.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &v, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

static void assert_json(const struct doc_value *v, const char *want) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str got = doc_to_json(arena, v);
    if (!str_eq_c(got, want)) {
        fail_msg("got %.*s, want %s", STR_ARG(got), want);
    }
}

static void absent_stays_absent(void **state) {
    assert_null(doc_get(NULL, "a", "b"));
    assert_null(doc_find(NULL, STR("a")));
    assert_null(doc_at(NULL, 0));
    assert_null(doc_value_at(NULL, 0));
    assert_int_equal(doc_len(NULL), 0);
    assert_int_equal(doc_str(NULL).n, 0);
    assert_true(doc_is_null(NULL));
    assert_true(doc_bool(NULL, true));
    assert_int_equal(doc_int(NULL, 7), 7);
    assert_true(doc_double(NULL, 1.5) == 1.5);
    assert_null(doc_number_text(NULL, NULL).p);
    for (DOC_EACH_ITEM(NULL, item)) {
        fail_msg("an item of nothing: %d", item->kind);
    }
    for (DOC_EACH_MEMBER(NULL, i)) {
        fail_msg("a member of nothing: %zu", i);
    }
}

static void reads_along_paths(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value v = parse(arena, "{\"metadata\":{\"name\":\"x\",\"n\":3,\"list\":[1,2,3]},"
                                      "\"Name\":1,\"f\":2.5}");
    assert_true(str_eq_c(doc_get_str(&v, "metadata", "name"), "x"));
    assert_null(doc_get(&v, "metadata", "name", "deeper"));
    assert_null(doc_get(&v, "name")); // case matters
    assert_int_equal(doc_int(doc_get(&v, "metadata", "n"), 0), 3);
    assert_int_equal(doc_int(doc_get(&v, "f"), -1), -1); // not an integer
    assert_true(doc_double(doc_get(&v, "f"), 0) == 2.5);
    assert_true(doc_double(doc_get(&v, "metadata", "n"), 0) == 3);
    int64_t sum = 0;
    for (DOC_EACH_ITEM(doc_get(&v, "metadata", "list"), item)) {
        sum = sum * 10 + doc_int(item, 0);
    }
    assert_int_equal(sum, 123);
    assert_null(doc_at(doc_get(&v, "metadata", "list"), 3));
    assert_int_equal(doc_len(doc_get(&v, "f")), 0);
}

static void builds(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_array array = doc_array_start(arena);
    for (int i = 0; i < 10; i++) {
        doc_array_add(&array, doc_make_int(i));
    }
    struct doc_object object = doc_object_start(arena);
    doc_object_set_c(&object, "b", doc_array_done(&array));
    doc_object_set_c(&object, "a", DOC_S("text"));
    doc_object_set_c(&object, "c", doc_make_bool(true));
    doc_object_set(&object, (struct str){NULL, 0}, doc_null());
    doc_object_set_c(&object, "b", doc_make_int(-5)); // in place
    doc_object_remove(&object, STR("c"));
    doc_object_remove(&object, STR("none"));
    struct doc_value v = doc_object_done(&object);
    assert_json(&v, "{\"b\":-5,\"a\":\"text\",\"\":null}");
    struct doc_object none = doc_object_start(arena);
    v = doc_object_done(&none);
    assert_json(&v, "{}");
    struct doc_array empty = doc_array_start(arena);
    v = doc_array_done(&empty);
    assert_json(&v, "[]");
}

static void builds_large_objects(void **state) {
    enum { COUNT = 5000 };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_object object = doc_object_start(arena);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            doc_object_set(&object, arena_printf(arena, "k%d", i), doc_make_int(i + round));
        }
    }
    for (int i = 0; i < COUNT; i += 100) {
        doc_object_remove(&object, arena_printf(arena, "k%d", i));
        doc_object_set(&object, arena_printf(arena, "k%d", i + 1), doc_make_int(-1));
    }
    struct doc_value v = doc_object_done(&object);
    assert_int_equal(doc_len(&v), COUNT - COUNT / 100);
    for (int i = 0; i < COUNT; i++) {
        const struct doc_value *found = doc_find(&v, arena_printf(arena, "k%d", i));
        if (i % 100 == 0) {
            assert_null(found);
        } else {
            assert_int_equal(doc_int(found, -2), i % 100 == 1 ? -1 : i + 1);
        }
    }
    // Down to a small object again.
    struct doc_object copy = doc_object_copy(arena, &v);
    for (int i = 5; i < COUNT; i++) {
        doc_object_remove(&copy, arena_printf(arena, "k%d", i));
    }
    struct doc_value small = doc_object_done(&copy);
    assert_json(&small, "{\"k1\":-1,\"k2\":3,\"k3\":4,\"k4\":5}");
    assert_int_equal(doc_len(&v), COUNT - COUNT / 100); // the original has not changed
    assert_int_equal(doc_int(doc_get(&v, "k4999"), 0), 5000);
}

static void writes_copies(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    static const char text[] = "{\"a\":{\"b\":1,\"c\":2},\"d\":[1]}";
    struct doc_value v = parse(arena, text);
    struct doc_value w = doc_with(arena, &v, DOC_S("x"), "a", "b");
    assert_json(&w, "{\"a\":{\"b\":\"x\",\"c\":2},\"d\":[1]}");
    assert_ptr_equal(doc_at(doc_get(&w, "d"), 0), doc_at(doc_get(&v, "d"), 0)); // shared
    w = doc_with(arena, &v, doc_make_int(1), "new", "e", "f");
    assert_json(&w, "{\"a\":{\"b\":1,\"c\":2},\"d\":[1],\"new\":{\"e\":{\"f\":1}}}");
    w = doc_with(arena, &v, doc_make_int(1), "d", "e"); // an array on the way is replaced
    assert_json(&w, "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"e\":1}}");
    w = doc_with(arena, NULL, doc_make_int(1), "a");
    assert_json(&w, "{\"a\":1}");
    w = doc_without(arena, &v, "a", "b");
    assert_json(&w, "{\"a\":{\"c\":2},\"d\":[1]}");
    w = doc_without(arena, &v, "d");
    assert_json(&w, "{\"a\":{\"b\":1,\"c\":2}}");
    w = doc_without(arena, &v, "a", "none", "x");
    assert_ptr_equal(w.u.members, v.u.members);
    assert_json(&v, text);
}

static void clones_outlive(void **state) {
    static const char text[] =
        "{\"a\":[1,\"two\",3.50,{\"a\":null,\"b\":true}],\"b\":{\"a\":\"\"}}";
    struct arena *first = arena_create();
    AUTO(arena_destroy) struct arena *second = arena_create();
    struct doc_value v = parse(first, text);
    struct doc_value clone = doc_clone(second, &v);
    struct doc_object large = doc_object_start(first);
    for (int i = 0; i < 100; i++) {
        struct str key = arena_printf(first, "key%d", i);
        doc_object_set(&large, key, doc_make_str(key));
    }
    struct doc_value many = doc_object_done(&large);
    struct doc_value many_clone = doc_clone(second, &many);
    arena_destroy(first);
    assert_json(&clone, text);
    assert_ptr_equal(clone.u.members[0].key, // interned
                     clone.u.members[1].value.u.members[0].key);
    assert_true(str_eq_c(doc_get_str(&many_clone, "key77"), "key77"));
    assert_true(doc_is_null(doc_find(&many_clone, STR("key100"))));
    struct doc_value nothing = doc_clone(second, NULL);
    assert_int_equal(nothing.kind, DOC_NULL);
}

static void prints_doubles_as_go(void **state) {
    static const struct {
        double d;
        const char *text;
        enum doc_kind kind;
    } cases[] = {
        {0, "0", DOC_INT},
        {-0.0, "-0", DOC_NUMBER},
        {1, "1", DOC_INT},
        {-3, "-3", DOC_INT},
        {1.5, "1.5", DOC_NUMBER},
        {0.1, "0.1", DOC_NUMBER},
        {100, "100", DOC_INT},
        {1e15, "1000000000000000", DOC_INT},
        {123456789012345680.0, "123456789012345680", DOC_INT},
        {1e20, "100000000000000000000", DOC_NUMBER},
        {1e21, "1e+21", DOC_NUMBER},
        {1.5e300, "1.5e+300", DOC_NUMBER},
        {0.000001, "0.000001", DOC_NUMBER},
        {0.0000001, "1e-7", DOC_NUMBER},
        {-1.25e-9, "-1.25e-9", DOC_NUMBER},
        {1e-10, "1e-10", DOC_NUMBER},
        {5e-324, "5e-324", DOC_NUMBER},
        {1.7976931348623157e308, "1.7976931348623157e+308", DOC_NUMBER},
        {0.30000000000000004, "0.30000000000000004", DOC_NUMBER},
        {NAN, "null", DOC_NULL},
        {INFINITY, "null", DOC_NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value v = doc_make_double(arena, cases[i].d);
        assert_json(&v, cases[i].text);
        assert_int_equal(v.kind, cases[i].kind);
        if (isfinite(cases[i].d)) {
            assert_true(doc_double(&v, 42) == cases[i].d);
        }
    }
    struct doc_value v = parse(arena, "1.50");
    assert_true(str_eq_c(doc_number_text(&v, arena), "1.50"));
    v = doc_make_int(INT64_MIN);
    assert_true(str_eq_c(doc_number_text(&v, arena), "-9223372036854775808"));
    assert_json(&v, "-9223372036854775808");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_stays_absent),
        cmocka_unit_test(reads_along_paths),
        cmocka_unit_test(builds),
        cmocka_unit_test(builds_large_objects),
        cmocka_unit_test(writes_copies),
        cmocka_unit_test(clones_outlive),
        cmocka_unit_test(prints_doubles_as_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
