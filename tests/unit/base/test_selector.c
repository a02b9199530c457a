// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/selector.h"
#include "base/text.h"

struct pair {
    const char *key, *value;
};

static bool get_pair(void *ctx, struct str key, struct str *value) {
    for (const struct pair *p = ctx; p->key; p++) {
        if (str_eq_c(key, p->key)) {
            *value = str_from(p->value);
            return true;
        }
    }
    return false;
}

static struct pair labels[] = {{"app", "web"}, {"tier", "front"}, {"empty", ""}, {"n", "5"}, {0}};

static void test_labels(void **state) {
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        {"", true},
        {"app=web", true},
        {"app==web", true},
        {" app = web ", true},
        {"app=other", false},
        {"app!=other", true},
        {"app!=web", false},
        {"missing!=x", true},
        {"missing=x", false},
        {"app", true},
        {"missing", false},
        {"!missing", true},
        {"!app", false},
        {"app in (web, other)", true},
        {"app in (a,b)", false},
        {"app notin (a,b)", true},
        {"app notin (web)", false},
        {"missing notin (web)", true},
        {"missing in (web)", false},
        {"app=web,tier=front", true},
        {"app=web,tier=back", false},
        {"app in (web),!missing,tier", true},
        {"empty=", true},
        {"app=", false},
        {"empty in ()", true},
        {"n>4", true},
        {"n>5", false},
        {"n<6", true},
        {"app>4", false},
        {"in in (in)", false},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct selector *selector;
        struct err err = {0};
        if (!selector_parse_labels(str_from(cases[i].text), arena, &selector, &err)) {
            fail_msg("%s: %s", cases[i].text, err.message);
        }
        if (selector_matches(selector, get_pair, labels) != cases[i].matches) {
            fail_msg("%s: wrong answer", cases[i].text);
        }
        assert_true(selector_is_empty(selector) == (cases[i].text[0] == '\0'));
    }
}

static void test_bad_labels(void **state) {
    static const char *const cases[] = {
        "=",     "a=b,",    ",a",     "a in",  "a in (", "a in (b", "a in (b c)", "a b",
        "!",     "a notin", "a==b=c", "a=b c", "a>x",    "a<",      "-a=b",       "a=-b",
        "x/y/z", "a/",      "/a",     "a=b;c", "()",     "a in b",  "a!",         "!a=b",
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct selector *selector = NULL;
        struct err err = {0};
        if (selector_parse_labels(str_from(cases[i]), arena, &selector, &err)) {
            fail_msg("accepted: %s", cases[i]);
        }
        assert_null(selector);
        assert_int_equal(err.code, ERR_INVALID);
        assert_true(err.message[0] != '\0');
    }
}

static struct pair fields[] = {{"metadata.name", "a,b=c\\d"}, {"status.phase", "Running"}, {0}};

static void test_fields(void **state) {
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        {"", true},
        {"status.phase=Running", true},
        {"status.phase==Running", true},
        {"status.phase!=Running", false},
        {"status.phase!=Pending,metadata.name!=x", true},
        {"metadata.name=a\\,b\\=c\\\\d", true},
        {"spec.nodeName=", true}, // absent is empty
        {"spec.nodeName=n", false},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct selector *selector;
        struct err err = {0};
        assert_true(selector_parse_fields(str_from(cases[i].text), arena, &selector, &err));
        if (selector_matches(selector, get_pair, fields) != cases[i].matches) {
            fail_msg("%s: wrong answer", cases[i].text);
        }
    }
    static const char *const bad[] = {"a", "=b", "a=b=c", "a=b\\x", "a=\\", "a!b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct selector *selector;
        struct err err = {0};
        if (selector_parse_fields(str_from(bad[i]), arena, &selector, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void test_next_field(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct selector *selector;
    struct err err = {0};
    struct str key, value;
    bool equal;
    size_t iter = 0;
    assert_true(selector_parse_fields(STR("a=1,b!=2"), arena, &selector, &err));
    assert_true(selector_next_field(selector, &iter, &key, &value, &equal));
    assert_true(str_eq(key, STR("a")) && str_eq(value, STR("1")) && equal);
    assert_true(selector_next_field(selector, &iter, &key, &value, &equal));
    assert_true(str_eq(key, STR("b")) && str_eq(value, STR("2")) && !equal);
    assert_false(selector_next_field(selector, &iter, &key, &value, &equal));
}

static void test_names(void **state) {
    static char long_label[65], long_name[260];
    memset(long_label, 'a', 64);
    memset(long_name, 'a', 259);
    static const struct {
        const char *text;
        bool label, subdomain, key, value;
    } cases[] = {
        {"a", true, true, true, true},
        {"a-b", true, true, true, true},
        {"", false, false, false, true},
        {"-a", false, false, false, false},
        {"a-", false, false, false, false},
        {"A", false, false, true, true},
        {"a.b", false, true, true, true},
        {"a..b", false, false, true, true},
        {"a.", false, false, false, false},
        {"a_b", false, false, true, true},
        {"a/b", false, false, true, false},
        {"example.com/a_B", false, false, true, false},
        {"Example.com/a", false, false, false, false},
        {"/a", false, false, false, false},
        {"a/", false, false, false, false},
        {"a/b/c", false, false, false, false},
        {"a b", false, false, false, false},
        {long_label, false, true, false, false},
        {long_name, false, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str s = str_from(cases[i].text);
        if (name_is_dns_label(s) != cases[i].label ||
            name_is_dns_subdomain(s) != cases[i].subdomain ||
            name_is_label_key(s) != cases[i].key || name_is_label_value(s) != cases[i].value) {
            fail_msg("wrong answer for \"%s\"", cases[i].text);
        }
    }
    // A prefix longer than a DNS name is none.
    assert_false(name_is_label_key(STR("a/\0b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels), cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_fields), cmocka_unit_test(test_next_field),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
