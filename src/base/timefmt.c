// SPDX-License-Identifier: Apache-2.0
// Dates by arithmetic on days, without the C library's time zone state: the result depends on the arguments only.
#include "base/timefmt.h"

#include <inttypes.h>

enum { SECONDS_PER_DAY = 86400 };

struct date {
    int64_t year;
    unsigned month, day;
};

// Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted from March, so that the leap day is the
// last one, in eras of 400 years.
static int64_t days_from_date(struct date date) {
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; // 0 is March
    struct date date = {
        .year = year_of_era + era * 400 + (month >= 10),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
    };
    return date;
}

static unsigned days_in_month(int64_t year, unsigned month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static struct str format_time(struct arena *arena, int64_t ns, bool micro) {
    int64_t seconds = floor_div(ns, NS_PER_SECOND);
    int64_t days = floor_div(seconds, SECONDS_PER_DAY);
    struct date date = date_from_days(days);
    int64_t of_day = seconds - days * SECONDS_PER_DAY;
    struct str head =
        arena_printf(arena, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", date.year, date.month,
                     date.day, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
    if (!micro) {
        return arena_concat(arena, head, STR("Z"));
    }
    int64_t fraction = ns % NS_PER_SECOND;
    fraction += fraction < 0 ? NS_PER_SECOND : 0;
    return arena_printf(arena, "%s.%06dZ", head.p, (int)(fraction / 1000));
}

struct str time_format(struct arena *arena, int64_t ns) {
    return format_time(arena, ns, false);
}

struct str time_format_micro(struct arena *arena, int64_t ns) {
    return format_time(arena, ns, true);
}

// ---- Parsing ----

static bool take_number(struct str *text, size_t digits, unsigned *out) {
    unsigned value = 0;
    if (text->n < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        char c = text->p[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(c - '0');
    }
    *text = str_skip(*text, digits);
    *out = value;
    return true;
}

static bool take_char(struct str *text, char c) {
    if (text->n == 0 || text->p[0] != c) {
        return false;
    }
    *text = str_skip(*text, 1);
    return true;
}

// ".5" and on; digits past the ninth are cut off.
static bool take_fraction(struct str *text, int64_t *ns) {
    *ns = 0;
    if (!take_char(text, '.')) {
        return true;
    }
    int64_t unit = NS_PER_SECOND / 10;
    unsigned digit;
    if (!take_number(text, 1, &digit)) {
        return false;
    }
    do {
        *ns += unit * digit;
        unit /= 10;
    } while (take_number(text, 1, &digit));
    return true;
}

static bool take_offset(struct str *text, int64_t *seconds) {
    *seconds = 0;
    if (take_char(text, 'Z')) {
        return true;
    }
    bool east = take_char(text, '+');
    unsigned hours, minutes;
    if ((!east && !take_char(text, '-')) || !take_number(text, 2, &hours) ||
        !take_char(text, ':') || !take_number(text, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    int64_t offset = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *seconds = east ? offset : -offset;
    return true;
}

bool time_parse(struct str text, int64_t *ns) {
    unsigned year, month, day, hour, minute, second;
    int64_t fraction, offset;
    if (!take_number(&text, 4, &year) || !take_char(&text, '-') || !take_number(&text, 2, &month) ||
        !take_char(&text, '-') || !take_number(&text, 2, &day) || !take_char(&text, 'T') ||
        !take_number(&text, 2, &hour) || !take_char(&text, ':') ||
        !take_number(&text, 2, &minute) || !take_char(&text, ':') ||
        !take_number(&text, 2, &second) || !take_fraction(&text, &fraction) ||
        !take_offset(&text, &offset) || text.n != 0) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59) {
        return false;
    }
    struct date date = {.year = year, .month = month, .day = day};
    int64_t seconds = days_from_date(date) * SECONDS_PER_DAY + (int64_t)hour * 3600 +
                      (int64_t)minute * 60 + second - offset;
    int64_t result;
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &result) ||
        __builtin_add_overflow(result, fraction, &result)) {
        return false; // before 1677 or after 2262
    }
    *ns = result;
    return true;
}

// ---- Durations ----

static const struct {
    struct str name;
    int64_t ns;
} units[] = {
    // Longer names first where one begins another.
    {STR_INIT("ns"), 1},
    {STR_INIT("us"), 1000},
    {STR_INIT("\xc2\xb5s"), 1000}, // micro sign
    {STR_INIT("\xce\xbcs"), 1000}, // Greek mu
    {STR_INIT("ms"), NS_PER_MS},
    {STR_INIT("s"), NS_PER_SECOND},
    {STR_INIT("m"), 60 * NS_PER_SECOND},
    {STR_INIT("h"), 3600 * NS_PER_SECOND},
};

// "1.5h" as a whole number of nanoseconds; *text moves behind it.
static bool take_duration_part(struct str *text, uint64_t *total) {
    uint64_t whole = 0;
    size_t digits = 0;
    unsigned digit;
    for (; take_number(text, 1, &digit); digits++) {
        if (__builtin_mul_overflow(whole, 10U, &whole) ||
            __builtin_add_overflow(whole, digit, &whole) || whole > (uint64_t)INT64_MAX + 1) {
            return false;
        }
    }
    uint64_t fraction = 0;
    uint64_t scale = 1;
    if (take_char(text, '.')) {
        for (; take_number(text, 1, &digit); digits++) {
            if (scale < UINT64_C(100000000000000000)) { // further digits are below a nanosecond
                fraction = fraction * 10 + digit;
                scale *= 10;
            }
        }
    }
    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_starts(*text, units[i].name)) {
            continue;
        }
        *text = str_skip(*text, units[i].name.n);
        __extension__ typedef unsigned __int128 uint128;
        uint128 part = (uint128)fraction * (uint64_t)units[i].ns / scale;
        uint64_t value;
        return !__builtin_mul_overflow(whole, (uint64_t)units[i].ns, &value) &&
               !__builtin_add_overflow(value, (uint64_t)part, &value) &&
               !__builtin_add_overflow(*total, value, total) && *total <= (uint64_t)INT64_MAX + 1;
    }
    return false;
}

bool duration_parse(struct str text, int64_t *ns, struct err *err) {
    struct str rest = text;
    bool negative = take_char(&rest, '-');
    if (!negative) {
        take_char(&rest, '+');
    }
    uint64_t total = 0;
    bool ok = rest.n > 0;
    if (str_eq(rest, STR("0"))) {
        rest.n = 0;
    }
    while (ok && rest.n) {
        ok = take_duration_part(&rest, &total);
    }
    if (!ok || (!negative && total > INT64_MAX)) {
        return err_set(
            err, ERR_INVALID,
            "\"%.*s\" is not a duration; write a number and a unit (ns, us, ms, s, m, h), "
            "for example 1h30m or 300ms, at most 2562047h",
            (int)(text.n > 64 ? 64 : text.n), text.n ? text.p : "");
    }
    *ns = negative ? (int64_t)(0U - total) : (int64_t)total;
    return true;
}

// `value` in units of `unit`, with the fraction that it needs.
static struct str format_decimal(struct arena *arena, uint64_t value, uint64_t unit,
                                 const char *suffix) {
    uint64_t whole = value / unit;
    uint64_t fraction = value % unit;
    if (fraction == 0) {
        return arena_printf(arena, "%" PRIu64 "%s", whole, suffix);
    }
    int digits = 0;
    for (uint64_t u = unit; u > 1; u /= 10) {
        digits++;
    }
    while (fraction % 10 == 0) {
        fraction /= 10;
        digits--;
    }
    return arena_printf(arena, "%" PRIu64 ".%0*" PRIu64 "%s", whole, digits, fraction, suffix);
}

struct str duration_format(struct arena *arena, int64_t ns) {
    if (ns == 0) {
        return STR("0s");
    }
    const char *sign = ns < 0 ? "-" : "";
    uint64_t left = ns < 0 ? 0U - (uint64_t)ns : (uint64_t)ns;
    const uint64_t second = (uint64_t)NS_PER_SECOND;
    if (left < second) {
        struct str small = left < 1000       ? format_decimal(arena, left, 1, "ns")
                           : left < 1000000U ? format_decimal(arena, left, 1000, "\xc2\xb5s")
                                             : format_decimal(arena, left, 1000000, "ms");
        return arena_concat(arena, str_from(sign), small);
    }
    uint64_t minutes = left / (60 * second);
    struct str seconds = format_decimal(arena, left % (60 * second), second, "s");
    if (minutes == 0) {
        return arena_concat(arena, str_from(sign), seconds);
    }
    if (minutes < 60) {
        return arena_printf(arena, "%s%" PRIu64 "m%s", sign, minutes, seconds.p);
    }
    return arena_printf(arena, "%s%" PRIu64 "h%" PRIu64 "m%s", sign, minutes / 60, minutes % 60,
                        seconds.p);
}

// "3m20s": the larger unit, then the smaller where it is not zero.
static struct str two_units(struct arena *arena, int64_t large, char large_unit, int64_t small,
                            char small_unit) {
    if (small == 0) {
        return arena_printf(arena, "%" PRId64 "%c", large, large_unit);
    }
    return arena_printf(arena, "%" PRId64 "%c%" PRId64 "%c", large, large_unit, small, small_unit);
}

struct str duration_human(struct arena *arena, int64_t ns) {
    int64_t seconds = ns / NS_PER_SECOND;
    if (seconds < -1) {
        return STR("<invalid>");
    }
    if (seconds < 0) {
        return STR("0s");
    }
    int64_t minutes = seconds / 60;
    int64_t hours = seconds / 3600;
    int64_t days = hours / 24;
    if (seconds < 120) {
        return arena_printf(arena, "%" PRId64 "s", seconds);
    }
    if (minutes < 10) {
        return two_units(arena, minutes, 'm', seconds % 60, 's');
    }
    if (minutes < 180) {
        return arena_printf(arena, "%" PRId64 "m", minutes);
    }
    if (hours < 8) {
        return two_units(arena, hours, 'h', minutes % 60, 'm');
    }
    if (hours < 48) {
        return arena_printf(arena, "%" PRId64 "h", hours);
    }
    if (days < 8) {
        return two_units(arena, days, 'd', hours % 24, 'h');
    }
    if (days < 365 * 2) {
        return arena_printf(arena, "%" PRId64 "d", days);
    }
    if (days < 365 * 8) {
        return two_units(arena, days / 365, 'y', days % 365, 'd');
    }
    return arena_printf(arena, "%" PRId64 "y", days / 365);
}
