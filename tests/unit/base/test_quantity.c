// SPDX-License-Identifier: Apache-2.0
// Canonical texts are those of Kubernetes' resource.Quantity.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void canonical_text(void **state) {
    static const struct {
        const char *in, *out; // NULL: no quantity
    } cases[] = {
        {"0", "0"},
        {"1", "1"},
        {"1000m", "1"},
        {"1500m", "1500m"},
        {"0.5", "500m"},
        {"2.5", "2500m"},
        {"1.500", "1.500"},
        {"100e3", "100e3"},
        {"10e2", "1e3"},
        {"1024Mi", "1Gi"},
        {"1023Mi", "1023Mi"},
        {"0.5Gi", "512Mi"},
        {"1.5Ki", "1536"},
        {"512", "512"},
        {"1000", "1k"},
        {"1000k", "1M"},
        {"1234567", "1234567"},
        {"-1000m", "-1"},
        {"+5", "+5"},
        {"0.1n", "1n"},
        {"1e-3", "1e-3"},
        {"10Ei", "9223372036854775807"},
        {"00m", "0"},
        {" 1000m ", "1"},
        {"100u", "100u"},
        {"1E", "1E"},
        {"12e6", "12e6"},
        {"", NULL},
        {"x", NULL},
        {"1K", NULL},
        {"1mi", NULL},
        {"1e", NULL},
        {"1 Gi", NULL},
        {"1..2", NULL},
        {"--1", NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out = STR("(none)");
        bool ok = quantity_canonical(str_from(cases[i].in), arena, &out);
        if (ok != (cases[i].out != NULL) || (ok && !str_eq_c(out, cases[i].out))) {
            fail_msg("%s: got %.*s, want %s", cases[i].in, STR_ARG(out),
                     cases[i].out ? cases[i].out : "(none)");
        }
    }
}

static void order(void **state) {
    static const struct {
        const char *a, *b;
        int order;
    } cases[] = {
        {"1", "1000m", 0},
        {"1Gi", "1G", 1},
        {"-1", "1", -1},
        {"0", "-0", 0},
        {"1e3", "1k", 0},
        {"999m", "1", -1},
        {"1Ki", "1024", 0},
        {"-2", "-1", -1},
        {"0.5Gi", "512Mi", 0},
        {"1E", "1Ei", -1},
        {"100000000000000000000", "1Ei", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int got = 9;
        assert_true(quantity_compare(str_from(cases[i].a), str_from(cases[i].b), &got));
        if (got != cases[i].order) {
            fail_msg("%s and %s: %d", cases[i].a, cases[i].b, got);
        }
        assert_true(quantity_compare(str_from(cases[i].b), str_from(cases[i].a), &got));
        assert_int_equal(got, -cases[i].order);
    }
    int got = 9;
    assert_false(quantity_compare(STR("1"), STR("one"), &got));
    assert_int_equal(got, 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text),
        cmocka_unit_test(order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
