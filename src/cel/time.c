// SPDX-License-Identifier: Apache-2.0
// Times from year 1 to 9999 with nanoseconds, durations, and the parts that expressions ask for.
#include <math.h>
#include <stdio.h>

#include "base/timefmt.h"
#include "base/vec.h"
#include "cel/cel_internal.h"

#define YEAR_ONE INT64_C(-62135596800)
#define YEAR_LAST INT64_C(253402300799)

struct civil {
    int64_t year;
    int month, day, hour, minute, second; // month from 1
    int week_day, year_day;               // from 0
};

static int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t seconds) {
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), part = (5 * of_year + 2) / 153;
    struct civil out = {
        .day = (int)(of_year - (153 * part + 2) / 5 + 1),
        .month = (int)(part < 10 ? part + 3 : part - 9),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .week_day = (int)(((days + 4) % 7 + 7) % 7),
    };
    out.year = year + era * 400 + (out.month <= 2);
    out.year_day = (int)(days - days_of(out.year, 1, 1));
    return out;
}

// ---- Texts ----

static bool read_number(struct str text, size_t *at, size_t digits, int *out) {
    int value = 0;
    for (size_t i = 0; i < digits; i++, (*at)++) {
        if (*at >= text.n || text.p[*at] < '0' || text.p[*at] > '9') {
            return false;
        }
        value = value * 10 + (text.p[*at] - '0');
    }
    *out = value;
    return true;
}

static bool read_char(struct str text, size_t *at, char c) {
    if (*at < text.n && text.p[*at] == c) {
        (*at)++;
        return true;
    }
    return false;
}

static bool read_fraction(struct str text, size_t *at, int32_t *nanos) {
    *nanos = 0;
    if (!read_char(text, at, '.') && !read_char(text, at, ',')) {
        return true;
    }
    size_t start = *at;
    int32_t unit = 100000000;
    while (*at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9') {
        *nanos += (text.p[*at] - '0') * unit;
        unit /= 10;
        (*at)++;
    }
    return *at > start;
}

static bool read_offset(struct str text, size_t *at, int64_t *offset) {
    *offset = 0;
    if (read_char(text, at, 'Z')) {
        return true;
    }
    int hours, minutes;
    bool minus = *at < text.n && text.p[*at] == '-';
    if (!read_char(text, at, minus ? '-' : '+') || !read_number(text, at, 2, &hours) ||
        !read_char(text, at, ':') || !read_number(text, at, 2, &minutes) || hours > 24 ||
        minutes >= 60) {
        return false;
    }
    *offset = (hours * 60 + minutes) * 60 * (minus ? -1 : 1);
    return true;
}

static int month_days(int year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool cel_time_parse(struct str text, struct cel_time *out) {
    int year, month, day, hour, minute, second;
    int64_t offset;
    struct cel_time time;
    size_t at = 0;
    bool ok = read_number(text, &at, 4, &year) && read_char(text, &at, '-') &&
              read_number(text, &at, 2, &month) && read_char(text, &at, '-') &&
              read_number(text, &at, 2, &day) && read_char(text, &at, 'T') &&
              read_number(text, &at, 2, &hour) && read_char(text, &at, ':') &&
              read_number(text, &at, 2, &minute) && read_char(text, &at, ':') &&
              read_number(text, &at, 2, &second) && read_fraction(text, &at, &time.nanos) &&
              read_offset(text, &at, &offset) && at == text.n;
    if (!ok || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
        minute > 59 || second > 59) {
        return false;
    }
    time.offset = (int32_t)offset;
    time.seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    if (!cel_time_in_range(time)) {
        return false;
    }
    *out = time;
    return true;
}

// A fraction without zeros at its end: ".5", or nothing.
static struct str fraction_text(struct arena *arena, int32_t nanos) {
    if (nanos == 0) {
        return STR("");
    }
    struct str text = arena_printf(arena, ".%09d", nanos < 0 ? -nanos : nanos);
    while (text.p[text.n - 1] == '0') {
        text.n--;
    }
    return text;
}

struct str cel_time_format(struct arena *arena, struct cel_time time) {
    struct civil c = civil_of(time.seconds + time.offset);
    int minutes = (time.offset < 0 ? -time.offset : time.offset) / 60;
    struct str zone = STR("Z");
    if (time.offset) {
        zone = arena_printf(arena, "%c%02d:%02d", time.offset < 0 ? '-' : '+', minutes / 60,
                            minutes % 60);
    }
    struct str fraction = fraction_text(arena, time.nanos);
    return arena_printf(arena, "%04lld-%02d-%02dT%02d:%02d:%02d%.*s%.*s", (long long)c.year,
                        c.month, c.day, c.hour, c.minute, c.second, STR_ARG(fraction),
                        STR_ARG(zone));
}

bool cel_time_in_range(struct cel_time time) {
    return time.seconds >= YEAR_ONE && time.seconds <= YEAR_LAST;
}

int cel_time_compare(struct cel_time a, struct cel_time b) {
    if (a.seconds != b.seconds) {
        return a.seconds < b.seconds ? -1 : 1;
    }
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos;
}

bool cel_duration_ns(struct cel_time duration, int64_t *ns) {
    return !__builtin_mul_overflow(duration.seconds, NS_PER_SECOND, ns) &&
           !__builtin_add_overflow(*ns, duration.nanos, ns);
}

struct cel_time cel_duration_from_ns(int64_t ns) {
    return (struct cel_time){ns / NS_PER_SECOND, (int32_t)(ns % NS_PER_SECOND)};
}

bool cel_duration_parse(struct str text, struct cel_time *out) {
    int64_t ns;
    if (!duration_parse(text, &ns, NULL)) {
        return false;
    }
    *out = cel_duration_from_ns(ns);
    return true;
}

struct str cel_duration_text(struct arena *arena, struct cel_time d) {
    double seconds = (double)d.seconds + d.nanos / 1e9;
    for (int precision = 0; precision < 17; precision++) {
        char text[64];
        snprintf(text, sizeof text, "%.*f", precision, seconds);
        if (strtod(text, NULL) == seconds) {
            return arena_printf(arena, "%ss", text);
        }
    }
    return arena_printf(arena, "%.17gs", seconds);
}

// ---- Functions ----

static struct cel_value to_timestamp(struct cel_eval *e, struct cel_value *args, size_t count) {
    struct cel_value out = {.kind = CEL_TIMESTAMP};
    if (args[0].kind == CEL_TIMESTAMP) {
        return args[0];
    }
    if (args[0].kind == CEL_INT) {
        out.u.time.seconds = args[0].u.integer;
        return cel_time_in_range(out.u.time) ? out : cel_error(e->arena, "range error");
    }
    if (!cel_time_parse(args[0].u.text, &out.u.time)) {
        return cel_error(e->arena,
                         "type conversion error from 'string' to 'google.protobuf.Timestamp'");
    }
    return out;
}

static struct cel_value to_duration(struct cel_eval *e, struct cel_value *args, size_t count) {
    struct cel_value out = {.kind = CEL_DURATION};
    struct err err = {0};
    int64_t ns;
    if (args[0].kind == CEL_DURATION) {
        return args[0];
    }
    if (args[0].kind == CEL_INT) {
        out.u.time = cel_duration_from_ns(args[0].u.integer);
        return out;
    }
    if (!duration_parse(args[0].u.text, &ns, &err)) {
        return cel_error(e->arena,
                         "type conversion error from 'string' to 'google.protobuf.Duration'");
    }
    out.u.time = cel_duration_from_ns(ns);
    return out;
}

static bool zone_offset(struct str zone, int64_t *seconds) {
    *seconds = 0;
    if (str_eq_c(zone, "UTC") || str_eq_c(zone, "") || str_eq_c(zone, "GMT") ||
        str_eq_c(zone, "Etc/UTC")) {
        return true;
    }
    bool minus = zone.p[0] == '-';
    struct str rest = str_skip(zone, minus || zone.p[0] == '+' ? 1 : 0), hours, minutes;
    uint64_t h, m;
    if (!str_cut(rest, ':', &hours, &minutes) || !str_to_uint64(hours, &h) ||
        !str_to_uint64(minutes, &m) || h > 23 || m > 59) {
        return false;
    }
    *seconds = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
    return true;
}

enum part {
    PART_YEAR,
    PART_MONTH,
    PART_YEAR_DAY,
    PART_MONTH_DAY,
    PART_DATE,
    PART_WEEK_DAY,
    PART_HOURS,
    PART_MINUTES,
    PART_SECONDS,
    PART_MILLIS,
};

static struct cel_value duration_part(struct cel_eval *e, struct cel_time d, enum part part) {
    switch (part) {
    case PART_HOURS:
        return cel_int(d.seconds / 3600);
    case PART_MINUTES:
        return cel_int(d.seconds / 60);
    case PART_SECONDS:
        return cel_int(d.seconds);
    default:
        return cel_int(d.seconds * 1000 + d.nanos / 1000000);
    }
}

static struct cel_value part_of(struct cel_eval *e, const struct cel_value *args, size_t count,
                                enum part part) {
    int64_t offset = 0;
    if (args[0].kind == CEL_DURATION) {
        return duration_part(e, args[0].u.time, part);
    }
    if (count > 1 && !zone_offset(args[1].u.text, &offset)) {
        return cel_error(e->arena, "unknown time zone %.*s", STR_ARG(args[1].u.text));
    }
    struct civil c = civil_of(args[0].u.time.seconds + offset);
    switch (part) {
    case PART_YEAR:
        return cel_int(c.year);
    case PART_MONTH:
        return cel_int(c.month - 1);
    case PART_YEAR_DAY:
        return cel_int(c.year_day);
    case PART_MONTH_DAY:
        return cel_int(c.day - 1);
    case PART_DATE:
        return cel_int(c.day);
    case PART_WEEK_DAY:
        return cel_int(c.week_day);
    case PART_HOURS:
        return cel_int(c.hour);
    case PART_MINUTES:
        return cel_int(c.minute);
    case PART_SECONDS:
        return cel_int(c.second);
    default:
        return cel_int(args[0].u.time.nanos / 1000000);
    }
}

#define PART_FUNCTION(name, part)                                                            \
    static struct cel_value name(struct cel_eval *e, struct cel_value *args, size_t count) { \
        return part_of(e, args, count, part);                                                \
    }
PART_FUNCTION(get_year, PART_YEAR)
PART_FUNCTION(get_month, PART_MONTH)
PART_FUNCTION(get_year_day, PART_YEAR_DAY)
PART_FUNCTION(get_month_day, PART_MONTH_DAY)
PART_FUNCTION(get_date, PART_DATE)
PART_FUNCTION(get_week_day, PART_WEEK_DAY)
PART_FUNCTION(get_hours, PART_HOURS)
PART_FUNCTION(get_minutes, PART_MINUTES)
PART_FUNCTION(get_seconds, PART_SECONDS)
PART_FUNCTION(get_millis, PART_MILLIS)

#define PART_ROWS(name, call)              \
    {name, "t>i", true, COST_ONE, call}, { \
        name, "ts>i", true, COST_ONE, call \
    }
static const struct cel_function TIME[] = {
    {"timestamp", "s>t", false, COST_ONE, to_timestamp},
    {"timestamp", "i>t", false, COST_ONE, to_timestamp},
    {"timestamp", "t>t", false, COST_ONE, to_timestamp},
    {"duration", "s>D", false, COST_ONE, to_duration},
    {"duration", "i>D", false, COST_ONE, to_duration},
    {"duration", "D>D", false, COST_ONE, to_duration},
    PART_ROWS("getFullYear", get_year),
    PART_ROWS("getMonth", get_month),
    PART_ROWS("getDayOfYear", get_year_day),
    PART_ROWS("getDayOfMonth", get_month_day),
    PART_ROWS("getDate", get_date),
    PART_ROWS("getDayOfWeek", get_week_day),
    PART_ROWS("getHours", get_hours),
    PART_ROWS("getMinutes", get_minutes),
    PART_ROWS("getSeconds", get_seconds),
    PART_ROWS("getMilliseconds", get_millis),
    {"getHours", "D>i", true, COST_ONE, get_hours},
    {"getMinutes", "D>i", true, COST_ONE, get_minutes},
    {"getSeconds", "D>i", true, COST_ONE, get_seconds},
    {"getMilliseconds", "D>i", true, COST_ONE, get_millis},
};
const struct cel_functions cel_functions_time = {TIME, ARRAY_LEN(TIME)};
