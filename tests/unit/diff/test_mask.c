// SPDX-License-Identifier: Apache-2.0
// A canary in every place where a Secret can hold a value: not one of its bytes may be in what is shown.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "diff/diff.h"

#define CANARY "Y2FuYXJ5"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(str_from(text), arena, &value, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return value;
}

static void test_canary(void **state) {
    static const char *const secrets[] = {
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"" CANARY "\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"stringData\":{\"a\":\"" CANARY "\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":{\"b\":[\"" CANARY "\"]}}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":\"" CANARY "\"}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"stringData\":[\"" CANARY "\"]}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"annotations\":{"
        "\"kubectl.kubernetes.io/"
        "last-applied-configuration\":\"{\\\"data\\\":{\\\"a\\\":\\\"" CANARY "\\\"}}\"}}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"annotations\":{"
        "\"kubectl.kubernetes.io/last-applied-configuration\":{\"data\":\"" CANARY "\"}}}}",
        "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{\"a\":\"1\",\"b\":\"" CANARY
        "\"},\"stringData\":{\"c\":\"x" CANARY "\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        struct arena *arena = arena_create();
        struct doc_value secret = parse(arena, secrets[i]), other = secret;
        struct doc_value masked = diff_mask_secret(arena, &secret);
        assert_false(str_has(doc_to_json(arena, &masked), STR(CANARY)));
        assert_true(str_has(doc_to_json(arena, &masked), STR("++++++++")));
        diff_mask_secret_pair(arena, &other, &secret);
        assert_false(str_has(doc_to_json(arena, &other), STR(CANARY)));
        assert_true(doc_equal(&other, &secret)); // equal values, equal masks
        arena_destroy(arena);
    }
}

// What a comparison makes of Secrets is masked too, whichever way it says it.
static void test_canary_in_comparison(void **state) {
    struct arena *arena = arena_create();
    struct doc_value live = parse(
        arena, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","
               "\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":"
               "\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"Secret\\\",\\\"stringData\\\":{"
               "\\\"a\\\":\\\"canary\\\"}}\"}},\"data\":{\"a\":\"" CANARY "\"}}");
    struct doc_value desired =
        parse(arena, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},"
                     "\"stringData\":{\"a\":\"canary2\"}}");
    struct diff_result result;
    struct err err = {0};
    assert_true(diff_compare(arena, &desired, &live, NULL, &result, &err));
    assert_true(result.modified);
    diff_mask_secret_pair(arena, &result.live, &result.predicted);
    struct str a = doc_to_json(arena, &result.live), b = doc_to_json(arena, &result.predicted);
    assert_false(str_has(a, STR(CANARY)) || str_has(b, STR(CANARY)));
    assert_false(str_has(a, STR("canary")) || str_has(b, STR("canary")));
    assert_false(str_eq(doc_get_str(&result.live, "data", "a"),
                        doc_get_str(&result.predicted, "data", "a")));
    arena_destroy(arena);
}

// Different values get different masks, also when there are many; the length tells nothing about the value's.
static void test_masks_tell_values_apart(void **state) {
    struct arena *arena = arena_create();
    struct doc_object data = doc_object_start(arena), changed = doc_object_start(arena);
    for (int i = 0; i < 100; i++) {
        struct str key = arena_printf(arena, "k%d", i);
        doc_object_set(&data, key, doc_make_str(arena_printf(arena, "value-%d", i)));
        doc_object_set(&changed, key,
                       doc_make_str(arena_printf(arena, i == 99 ? "new" : "value-%d", i)));
    }
    struct doc_value base = parse(arena, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\"}");
    struct doc_value a = doc_with(arena, &base, doc_object_done(&data), "data");
    struct doc_value b = doc_with(arena, &base, doc_object_done(&changed), "data");
    diff_mask_secret_pair(arena, &a, &b);
    for (int i = 0; i < 100; i++) {
        struct str key = arena_printf(arena, "k%d", i);
        bool same = str_eq(doc_str(doc_find(doc_get(&a, "data"), key)),
                           doc_str(doc_find(doc_get(&b, "data"), key)));
        assert_int_equal(same, i != 99);
    }
    struct doc_value shorter =
        parse(arena, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"x\"}}");
    struct doc_value longer =
        parse(arena,
              "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"" CANARY CANARY "\"}}");
    shorter = diff_mask_secret(arena, &shorter);
    longer = diff_mask_secret(arena, &longer);
    assert_true(doc_equal(&shorter, &longer));
    arena_destroy(arena);
}

static void test_others_stay(void **state) {
    static const char *const texts[] = {
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":\"b\"}}",
        "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"b\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"}}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena *arena = arena_create();
        struct doc_value object = parse(arena, texts[i]);
        struct doc_value masked = diff_mask_secret(arena, &object);
        assert_true(doc_equal(&object, &masked));
        arena_destroy(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canary), cmocka_unit_test(test_canary_in_comparison),
        cmocka_unit_test(test_masks_tell_values_apart), cmocka_unit_test(test_others_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
