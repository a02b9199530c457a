// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"

static const struct {
    const char *text;
    bool ok;
    uint64_t major, minor, patch;
    const char *pre, *meta;
} versions[] = {
    {"1.2.3", true, 1, 2, 3, "", ""},
    {"v1.2.3", true, 1, 2, 3, "", ""},
    {"1.2", true, 1, 2, 0, "", ""},
    {"1", true, 1, 0, 0, "", ""},
    {"v1.2.3-rc.1+build.5", true, 1, 2, 3, "rc.1", "build.5"},
    {"1.2-beta", true, 1, 2, 0, "beta", ""},
    {"01.2.3", true, 1, 2, 3, "", ""},
    {"1.2.3+a-b", true, 1, 2, 3, "", "a-b"},
    {"1234567", true, 1234567, 0, 0, "", ""},
    {"", false, 0, 0, 0, "", ""},
    {"v", false, 0, 0, 0, "", ""},
    {"V1.2.3", false, 0, 0, 0, "", ""},
    {"1.2.3.4", false, 0, 0, 0, "", ""},
    {"1.2.x", false, 0, 0, 0, "", ""},
    {"1.2.3-", false, 0, 0, 0, "", ""},
    {"1.2.3-a..b", false, 0, 0, 0, "", ""},
    {"1.2.3-01", false, 0, 0, 0, "", ""},
    {"1.2.3 ", false, 0, 0, 0, "", ""},
    {"99999999999999999999", false, 0, 0, 0, "", ""},
    {"main", false, 0, 0, 0, "", ""},
};

static void test_parse(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct semver v;
        bool ok = semver_parse(str_from(versions[i].text), &v);
        if (ok != versions[i].ok) {
            fail_msg("%s: %d", versions[i].text, ok);
        }
        if (ok) {
            assert_int_equal(v.major, versions[i].major);
            assert_int_equal(v.minor, versions[i].minor);
            assert_int_equal(v.patch, versions[i].patch);
            assert_true(str_eq_c(v.pre, versions[i].pre));
            assert_true(str_eq_c(v.meta, versions[i].meta));
            assert_true(str_eq_c(v.original, versions[i].text));
        }
    }
}

static void test_order(void **state) {
    static const char *const rising[] = {
        "0.0.1",       "0.1.0",         "1.0.0-1",          "1.0.0-2",    "1.0.0-10",
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-rc.1",
        "1.0.0",       "1.0.1",         "1.10.0",           "2.0.0",      "10.0.0",
    };
    for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
            struct semver a;
            struct semver b;
            assert_true(semver_parse(str_from(rising[i]), &a));
            assert_true(semver_parse(str_from(rising[j]), &b));
            assert_int_equal(semver_compare(&a, &b), i < j ? -1 : i > j);
        }
    }
    struct semver a;
    struct semver b;
    assert_true(semver_parse(STR("1.0.0+a"), &a) && semver_parse(STR("v1.0+b"), &b));
    assert_int_equal(semver_compare(&a, &b), 0);
}

static const struct {
    const char *constraint, *version;
    bool holds;
} constraints[] = {
    {"*", "1.2.3", true},
    {"*", "1.2.3-rc.1", false},
    {"*-0", "1.2.3-rc.1", true},
    {"=1.2.3", "1.2.3", true},
    {"1.2.3", "1.2.4", false},
    {"1.2", "1.2.9", true},
    {"1.2", "1.3.0", false},
    {"1", "1.9.9", true},
    {"1.x", "1.9.9", true},
    {"1.x", "2.0.0", false},
    {"v1.*", "1.9.9", true},
    {"1.2.X", "1.2.7", true},
    {"!=1.2.3", "1.2.4", true},
    {"!=1.2.3", "1.2.3", false},
    {"!=1.2", "1.2.9", false},
    {"!=1.2", "1.3.0", true},
    {"!=1.x", "1.3.0", false},
    {">1.2.3", "1.2.4", true},
    {">1.2.3", "1.2.3", false},
    {">1", "1.9.0", false},
    {">1", "2.0.0", true},
    {">1.1", "1.1.9", false},
    {">1.1", "1.2.0", true},
    {">=1.1", "1.1.0", true},
    {"=>1.1", "1.0.9", false},
    {"<2", "1.9.9", true},
    {"<2", "2.0.0", false},
    {"<=2", "2.9.0", true},
    {"<=2.1", "2.1.5", true},
    {"<=2.1", "2.2.0", false},
    {"=<2.1.0", "2.1.1", false},
    {"~1.2.3", "1.2.9", true},
    {"~1.2.3", "1.3.0", false},
    {"~1.2.3", "1.2.2", false},
    {"~>1.2", "1.2.7", true},
    {"~1", "1.9.0", true},
    {"~1", "2.0.0", false},
    {"~0.0.0", "5.0.0", true},
    {"^1.2.3", "1.9.0", true},
    {"^1.2.3", "2.0.0", false},
    {"^1.2.3", "1.2.2", false},
    {"^0.2.3", "0.2.9", true},
    {"^0.2.3", "0.3.0", false},
    {"^0.0.3", "0.0.3", true},
    {"^0.0.3", "0.0.4", false},
    {"^0.0", "0.0.9", true},
    {"^0.0", "0.1.0", false},
    {"^0", "0.9.0", true},
    {"^0", "1.0.0", false},
    {"^*", "7.0.0", true},
    {"1.2 - 2.3", "2.3.9", true},
    {"1.2 - 2.3", "2.4.0", false},
    {"1.2.0 - 2.3.0", "2.3.1", false},
    {"1.2 - 2.3 || 5", "5.1.0", true},
    {">=1.2, <2", "1.5.0", true},
    {">=1.2 <2", "2.0.0", false},
    {">= 1.2 , < 2", "1.5.0", true},
    {"<1 || >=2", "1.5.0", false},
    {"<1 || >=2", "2.5.0", true},
    {">=1.0.0", "1.2.0-rc.1", false},
    {">=1.0.0-0", "1.2.0-rc.1", true},
    {">=1.0.0-0 <2.0.0", "1.2.0-rc.1", true}, // one pre-release opens its group
    {"~1.2.3-beta.2", "1.2.3-beta.4", true},
    {"~1.2.3-beta.2", "1.2.3-beta.1", false},
    {"^1.21-0", "1.22.4-gke.1", true},
};

static void test_constraints(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(constraints); i++) {
        struct semver v;
        struct err err = {0};
        assert_true(semver_parse(str_from(constraints[i].version), &v));
        bool holds = semver_satisfies(str_from(constraints[i].constraint), &v, &err);
        if (err.code || holds != constraints[i].holds) {
            fail_msg("%s on %s: %d %s", constraints[i].constraint, constraints[i].version, holds,
                     err.message);
        }
    }
}

static void test_bad_constraints(void **state) {
    static const char *const bad[] = {
        "",      "main", ">",      "1.2.3.4", ">=1.0<2.0", "1.2 -2.0", "|| 1",        "1 ||",
        "a.b.c", ">>1",  "1.2.3-", ",1",      "1,,2",      "1.2 - ",   "feature/1.x",
    };
    struct semver v;
    assert_true(semver_parse(STR("1.0.0"), &v));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        bool holds = semver_satisfies(str_from(bad[i]), &v, &err);
        if (holds || err.code != ERR_INVALID) {
            fail_msg("accepted %s", bad[i]);
        }
        assert_false(semver_is_constraint(str_from(bad[i])));
    }
}

static void test_is_constraint(void **state) {
    static const char *const ranges[] = {"*",    "1.x",    "v1.2.*", "^1",
                                         "~1.2", ">=1 <2", "1 - 2",  "x"};
    static const char *const names[] = {"1.2.3", "v1.2",        "v1",      "main",
                                        "HEAD",  "release-1.x", "1234567", "refs/heads/x"};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        assert_true(semver_is_constraint(str_from(ranges[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(semver_is_constraint(str_from(names[i])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_order),
        cmocka_unit_test(test_constraints),   cmocka_unit_test(test_bad_constraints),
        cmocka_unit_test(test_is_constraint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
