// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/timefmt.h"

static void formats_times(void **state) {
    static const struct {
        int64_t ns;
        const char *whole, *micro;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400) * NS_PER_SECOND + 1234567, "2000-02-29T00:00:00Z",
         "2000-02-29T00:00:00.001234Z"},
        {INT64_C(1795460045) * NS_PER_SECOND + 123456789, "2026-11-23T18:54:05Z",
         "2026-11-23T18:54:05.123456Z"},
        {INT64_MAX, "2262-04-11T23:47:16Z", "2262-04-11T23:47:16.854775Z"},
        {INT64_MIN, "1677-09-21T00:12:43Z", "1677-09-21T00:12:43.145224Z"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(time_format(arena, cases[i].ns).p, cases[i].whole);
        assert_string_equal(time_format_micro(arena, cases[i].ns).p, cases[i].micro);
    }
    // Every day of some centuries, there and back.
    for (int64_t day = -100000; day < 100000; day += 13) {
        int64_t ns = day * 86400 * NS_PER_SECOND;
        int64_t again;
        assert_true(time_parse(time_format(arena, ns), &again));
        assert_true(again == ns);
    }
}

static void parses_times(void **state) {
    static const struct {
        const char *text;
        bool ok;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:01Z", true, NS_PER_SECOND},
        {"1970-01-01T00:00:00.5Z", true, NS_PER_SECOND / 2},
        {"1970-01-01T00:00:00.123456789123Z", true, 123456789},
        {"1970-01-01T01:30:00+01:30", true, 0},
        {"1969-12-31T23:00:00-01:00", true, 0},
        {"2024-02-29T00:00:00Z", true, INT64_C(1709164800) * NS_PER_SECOND},
        {"2023-02-29T00:00:00Z", false, 0},
        {"1900-02-29T00:00:00Z", false, 0},
        {"2023-13-01T00:00:00Z", false, 0},
        {"2023-00-01T00:00:00Z", false, 0},
        {"2023-01-32T00:00:00Z", false, 0},
        {"2023-01-01T24:00:00Z", false, 0},
        {"2023-01-01T00:60:00Z", false, 0},
        {"2023-01-01T00:00:60Z", false, 0},
        {"2023-01-01T00:00:00", false, 0},
        {"2023-01-01T00:00:00.Z", false, 0},
        {"2023-01-01T00:00:00+25:00", false, 0},
        {"2023-01-01T00:00:00Zx", false, 0},
        {"2023-01-01 00:00:00Z", false, 0},
        {"2023-1-1T00:00:00Z", false, 0},
        {"0001-01-01T00:00:00Z", false, 0}, // outside the range of the type
        {"9999-01-01T00:00:00Z", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns = -5;
        if (time_parse(str_from(cases[i].text), &ns) != cases[i].ok ||
            ns != (cases[i].ok ? cases[i].ns : -5)) {
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
        }
    }
}

static void durations(void **state) {
    const int64_t second = NS_PER_SECOND;
    static const struct {
        const char *text;
        const char *printed; // NULL: refused
    } cases[] = {
        {"0", "0s"},
        {"-0", "0s"},
        {"5s", "5s"},
        {"+5s", "5s"},
        {"-1.5h", "-1h30m0s"},
        {"1h30m", "1h30m0s"},
        {"300ms", "300ms"},
        {"1.5s", "1.5s"},
        {"1m0.5s", "1m0.5s"},
        {"100us", "100\xc2\xb5s"},
        {"1.5\xc2\xb5s", "1.5\xc2\xb5s"},
        {"2\xce\xbcs", "2\xc2\xb5s"},
        {"7ns", "7ns"},
        {".5h", "30m0s"},
        {"5.h", "5h0m0s"},
        {"0.000000001s", "1ns"},
        {"0.3333333333333333333333h", "19m59.999999999s"},
        {"720h", "720h0m0s"},
        {"2562047h47m16.854775807s", "2562047h47m16.854775807s"},
        {"-2562047h47m16.854775808s", "-2562047h47m16.854775808s"},
        {"2562047h47m16.854775808s", NULL},
        {"9223372036854775808ns", NULL},
        {"99999999999999999999s", NULL},
        {"", NULL},
        {"-", NULL},
        {"5", NULL},
        {"s", NULL},
        {".s", NULL},
        {"5d", NULL},
        {"1h 2m", NULL},
        {"--1s", NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns = 0;
        struct err err = {0};
        bool ok = duration_parse(str_from(cases[i].text), &ns, &err);
        if (ok != (cases[i].printed != NULL)) {
            fail_msg("%s: %lld %s", cases[i].text, (long long)ns, err.message);
        }
        if (ok && !str_eq_c(duration_format(arena, ns), cases[i].printed)) {
            fail_msg("%s: %s", cases[i].text, duration_format(arena, ns).p);
        }
    }
    static const struct {
        int64_t seconds;
        const char *text;
    } ages[] = {
        {-5, "<invalid>"},
        {-1, "0s"},
        {0, "0s"},
        {119, "119s"},
        {120, "2m"},
        {200, "3m20s"},
        {600, "10m"},
        {10799, "179m"},
        {10800, "3h"},
        {12000, "3h20m"},
        {28800, "8h"},
        {172799, "47h"},
        {172800, "2d"},
        {180000, "2d2h"},
        {691200, "8d"},
        {86400 * 729, "729d"},
        {86400 * 730, "2y"},
        {86400 * 733, "2y3d"},
        {86400 * 2920, "8y"},
        {86400 * 4000, "10y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        struct str got = duration_human(arena, ages[i].seconds * second);
        if (!str_eq_c(got, ages[i].text)) {
            fail_msg("%lld: %s", (long long)ages[i].seconds, got.p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_times),
        cmocka_unit_test(parses_times),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
