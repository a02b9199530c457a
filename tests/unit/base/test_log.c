// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

static char last[64 * 1024];

static void sink(void *ctx, struct str line) {
    (void)ctx;
    assert_true(line.n < sizeof last);
    memcpy(last, line.p, line.n);
    last[line.n] = '\0';
}

static int64_t fixed(void *ctx) {
    (void)ctx;
    return INT64_C(1767225600123) * 1000000;
}

static void configure(const char *levels, bool json) {
    struct err err = {0};
    assert_true(log_configure(str_from(levels), json, &err));
    log_redirect(sink, fixed, NULL);
    last[0] = '\0';
}

static void test_text(void **state) {
    (void)state;
    configure("info", false);
    LOG(LOG_WARN, "vcs", "fetch failed", "repo", "https://a.example/b.git", "error", "no \"way\"",
        "none", (const char *)NULL);
    assert_string_equal(last, "time=\"2026-01-01T00:00:00.123Z\" level=warning msg=\"fetch "
                              "failed\" module=vcs repo=\"https://a.example/b.git\" error=\"no "
                              "\\\"way\\\"\" none=\"(none)\"\n");
}

static void test_json(void **state) {
    (void)state;
    configure("info", true);
    LOG(LOG_INFO, "app", "synced", "name", "a b");
    assert_string_equal(last, "{\"time\":\"2026-01-01T00:00:00.123Z\",\"level\":\"info\","
                              "\"msg\":\"synced\",\"module\":\"app\",\"name\":\"a b\"}\n");
}

static void test_escapes(void **state) {
    (void)state;
    static const struct {
        const char *value, *expected;
    } rows[] = {
        {"plain-1.2_x/y@z", "plain-1.2_x/y@z"},
        {"", "\"\""},
        {"a\nb\tc\r", "\"a\\nb\\tc\\r\""},
        {"\x1b[31m", "\"\\u001b[31m\""},
        {"\x7f", "\"\\u007f\""},
        {"\\", "\"\\\\\""},
        {"a=b", "\"a=b\""},
        {"\xc3\xa4", "\"\xc3\xa4\""},
        {"\xc2\x9b", "\"\\u009b\""}, // a terminal takes it for an escape sequence
        {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xf0\x9f", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char expected[200];
        configure("info", false);
        LOG(LOG_INFO, "m", "x", "v", rows[i].value);
        snprintf(expected, sizeof expected, " v=%s\n", rows[i].expected);
        assert_non_null(strstr(last, expected));
    }
}

static void test_levels(void **state) {
    (void)state;
    static const struct {
        const char *levels, *module;
        enum log_level least;
    } rows[] = {
        {"info", "a", LOG_INFO},
        {"", "a", LOG_INFO},
        {"debug", "a", LOG_DEBUG},
        {"warning", "a", LOG_WARN},
        {"off", "a", LOG_OFF},
        {"warn,vcs=debug", "a", LOG_WARN},
        {"warn,vcs=debug", "vcs", LOG_DEBUG},
        {"vcs=error, apiserver=off", "vcs", LOG_ERROR},
        {"vcs=error, apiserver=off", "apiserver", LOG_OFF},
        {"vcs=error,vcs=debug", "vcs", LOG_DEBUG},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        configure(rows[i].levels, false);
        for (enum log_level level = LOG_DEBUG; level < LOG_OFF; level++) {
            assert_int_equal(log_enabled(rows[i].module, level), level >= rows[i].least);
        }
    }
}

static void test_bad_levels(void **state) {
    (void)state;
    static const char *const rows[] = {"loud", "info,vcs=loud", "=info",
                                       "vcs=", "averyveryverylongmodulename=info"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        configure("error", false);
        assert_false(log_configure(str_from(rows[i]), false, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_false(log_enabled("vcs", LOG_INFO)); // nothing changed
    }
}

static void test_long_values(void **state) {
    (void)state;
    char *text = xmalloc(100 * 1000);
    memset(text, 'x', 99999);
    text[99999] = '\0';
    for (int json = 0; json < 2; json++) {
        configure("info", json);
        LOG(LOG_INFO, "m", text, "a", text, "b", text, "c", text, "d", text, "last", "y");
        assert_true(strlen(last) <= 16 * 1024 + 2);
        assert_string_equal(last + strlen(last) - (json ? 2 : 1), json ? "}\n" : "\n");
        assert_non_null(strstr(last, "xxx..."));
        assert_non_null(strstr(last, "last"));
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_escapes),    cmocka_unit_test(test_levels),
        cmocka_unit_test(test_bad_levels), cmocka_unit_test(test_long_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
