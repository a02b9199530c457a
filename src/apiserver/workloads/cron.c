// SPDX-License-Identifier: Apache-2.0
// Schedules of CronJobs in the dialect of robfig/cron ("standard" parser), and time zones from the bytes of TZif files
// (RFC 8536). Both are functions of their arguments; the shell reads the files.
#include "apiserver/workloads/plan.h"

#include "base/limits.h"

const struct wl_zone wl_utc = {0};

// ---- Civil time ----
struct civil {
    int64_t year;
    int month, day, hour, minute, second, weekday; // month and day from 1, Sunday is 0
};

static int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static struct civil civil_of(int64_t seconds) {
    int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400,
            rest = seconds - days * 86400;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, in_era = z - era * 146097;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100), m = (5 * in_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);
    return (struct civil){
        .year = years + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(in_year - (153 * m + 2) / 5 + 1),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .weekday = (int)(((days + 4) % 7 + 7) % 7),
    };
}

// ---- Schedules ----
#define EVERY_MAX (INT64_C(100) * 366 * 86400 * NS_PER_SECOND)

struct field {
    const char *name;
    int min, max;
    const char *names; // of values from `min` on, three letters each
};
static const struct field fields[] = {
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 6, "sunmontuewedthufrisat"},
};

static bool parse_number(struct str text, const struct field *field, int64_t *out) {
    if (text.n == 3 && field->names[0]) {
        for (int i = 0; i <= field->max - field->min; i++) {
            if (str_eq_nocase(text, str_make(field->names + 3 * i, 3))) {
                *out = field->min + i;
                return true;
            }
        }
    }
    return str_to_int64(text, out) && *out >= 0;
}

static bool parse_part(struct str part, const struct field *field, uint64_t *bits, bool *any,
                       struct err *err) {
    struct str range = part, step_text = {NULL, 0}, low = part, high = {NULL, 0};
    int64_t from = field->min, to = field->max, step = 1;
    bool has_step = str_cut(part, '/', &range, &step_text);
    bool star = str_eq_c(range, "*") || str_eq_c(range, "?");
    if (!star) {
        bool is_range = str_cut(range, '-', &low, &high);
        low = is_range ? low : range;
        if (!parse_number(low, field, &from) || (is_range && !parse_number(high, field, &to))) {
            return err_set(err, ERR_INVALID, "failed to parse number: \"%.*s\" in the %s",
                           STR_ARG(range), field->name);
        }
        to = is_range ? to : has_step ? field->max : from;
    }
    if (has_step && (!str_to_int64(step_text, &step) || step < 1)) {
        return err_set(err, ERR_INVALID, "step of range should be a positive number: %.*s",
                       STR_ARG(part));
    }
    if (from < field->min || to > field->max || from > to) {
        return err_set(err, ERR_INVALID, "%.*s is not within %d-%d (%s)", STR_ARG(part), field->min,
                       field->max, field->name);
    }
    *any = *any || (star && step == 1);
    for (int64_t i = from; i <= to; i += step) {
        *bits |= UINT64_C(1) << i;
    }
    return true;
}

static bool parse_field(struct str text, const struct field *field, uint64_t *bits, bool *any,
                        struct err *err) {
    struct str rest = text, part;
    *bits = 0;
    *any = false;
    while (str_next(&rest, ',', &part)) {
        if (!parse_part(part, field, bits, any, err)) {
            return false;
        }
    }
    return *bits != 0 || err_set(err, ERR_INVALID, "empty %s", field->name);
}

static struct str macro(struct str text) {
    static const struct {
        const char *name, *fields;
    } macros[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
        if (str_eq_c(text, macros[i].name)) {
            return str_from(macros[i].fields);
        }
    }
    return text;
}

bool wl_cron_parse(struct str text, struct wl_cron *out, struct err *err) {
    struct wl_cron cron = {0};
    uint64_t *bits[] = {&cron.minutes, &cron.hours, &cron.days, &cron.months, &cron.weekdays};
    if (str_starts(text, STR("@every "))) {
        if (!duration_parse(str_trim(str_skip(text, 7)), &cron.every_ns, err)) {
            return false;
        }
        cron.every_ns -= cron.every_ns % NS_PER_SECOND;
        cron.every_ns = cron.every_ns > EVERY_MAX ? EVERY_MAX : cron.every_ns;
        cron.every_ns = cron.every_ns < NS_PER_SECOND ? NS_PER_SECOND : cron.every_ns;
        *out = cron;
        return true;
    }
    struct str rest = str_trim(macro(text)), part;
    size_t count = 0;
    while (str_next(&rest, ' ', &part)) {
        bool any = false;
        if (!part.n) {
            continue;
        }
        if (count == ARRAY_LEN(fields)) {
            count++;
            break;
        }
        if (!parse_field(part, &fields[count], bits[count], &any, err)) {
            return false;
        }
        cron.any_day = count == 2 ? any : cron.any_day;
        cron.any_weekday = count == 4 ? any : cron.any_weekday;
        count++;
    }
    if (count != ARRAY_LEN(fields)) {
        return err_set(err, ERR_INVALID, "expected exactly 5 fields, found %zu: [%.*s]", count,
                       STR_ARG(text));
    }
    *out = cron;
    return true;
}

static bool has_bit(uint64_t bits, int i) {
    return (bits >> i & 1) != 0;
}

static bool day_matches(const struct wl_cron *cron, const struct civil *t) {
    bool day = has_bit(cron->days, t->day), weekday = has_bit(cron->weekdays, t->weekday);
    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

int64_t wl_cron_next(const struct wl_cron *cron, const struct wl_zone *zone, int64_t after) {
    enum { STEPS_MAX = 5 * 366 * 2 + 200 };
    int64_t seconds = after / NS_PER_SECOND;
    if (cron->every_ns > 0) {
        return seconds * NS_PER_SECOND + cron->every_ns;
    }
    int64_t local = seconds + wl_zone_offset(zone, seconds);
    local += 60 - ((local % 60) + 60) % 60;
    for (int i = 0; i < STEPS_MAX; i++) {
        struct civil t = civil_of(local);
        if (!has_bit(cron->months, t.month) || !day_matches(cron, &t)) {
            local += 86400 - t.hour * 3600 - t.minute * 60; // the next day
        } else if (!has_bit(cron->hours, t.hour)) {
            local += 3600 - t.minute * 60;
        } else if (!has_bit(cron->minutes, t.minute)) {
            local += 60;
        } else {
            int64_t utc = local - wl_zone_offset(zone, local - wl_zone_offset(zone, local));
            if (utc > seconds && utc + wl_zone_offset(zone, utc) == local) {
                return utc * NS_PER_SECOND;
            }
            local += 60; // this time is left out when the clocks change
        }
    }
    return 0;
}

// ---- Time zones ----
int32_t wl_zone_offset(const struct wl_zone *zone, int64_t seconds) {
    size_t low = 0, high = zone->count;
    while (low < high) { // the last start that is not after `seconds`
        size_t middle = (low + high) / 2;
        if (zone->starts[middle] <= seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? zone->offsets[low - 1] : zone->first;
}

struct reader {
    struct str bytes;
    size_t at;
};

static int64_t read_int(struct reader *r, size_t width) {
    uint64_t value =
        r->at < r->bytes.n && ((unsigned char)r->bytes.p[r->at] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < width; i++) {
        unsigned char byte = r->at + i < r->bytes.n ? (unsigned char)r->bytes.p[r->at + i] : 0;
        value = value << 8 | byte;
    }
    r->at += width;
    return (int64_t)value;
}

struct header {
    int64_t utc_flags, std_flags, leaps, times, types, chars;
};

static bool read_header(struct reader *r, struct header *h) {
    if (r->bytes.n < r->at + 44 || memcmp(r->bytes.p + r->at, "TZif", 4) != 0) {
        return false;
    }
    r->at += 20;
    int64_t *counts[] = {&h->utc_flags, &h->std_flags, &h->leaps, &h->times, &h->types, &h->chars};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        *counts[i] = read_int(r, 4);
        if (*counts[i] < 0 || *counts[i] > 100 * 1000) {
            return false;
        }
    }
    return h->types > 0;
}

// "CET-1CEST,M3.5.0,M10.5.0/3": the yearly rule after the last entry.
struct rule {
    int month, week, weekday;
    int64_t time;
};

static bool read_digits(struct str *text, int64_t *out) {
    size_t n = 0;
    while (n < text->n && text->p[n] >= '0' && text->p[n] <= '9') {
        n++;
    }
    bool ok = n > 0 && n < 9 && str_to_int64(str_first(*text, n), out);
    *text = str_skip(*text, n);
    return ok;
}

static bool skip_char(struct str *text, char c) {
    if (!text->n || text->p[0] != c) {
        return false;
    }
    *text = str_skip(*text, 1);
    return true;
}

static void skip_name(struct str *text) {
    bool quoted = skip_char(text, '<');
    while (text->n &&
           (quoted ? text->p[0] != '>' : (text->p[0] | 32) >= 'a' && (text->p[0] | 32) <= 'z')) {
        *text = str_skip(*text, 1);
    }
    (void)(quoted && skip_char(text, '>'));
}

static bool read_clock(struct str *text, int64_t *seconds) { // [+-]h[:m[:s]]
    int64_t sign = 1, part = 0, unit = 3600;
    if (skip_char(text, '-')) {
        sign = -1;
    } else {
        (void)skip_char(text, '+');
    }
    *seconds = 0;
    do {
        if (!read_digits(text, &part)) {
            return false;
        }
        *seconds += sign * part * unit;
        unit /= 60;
    } while (unit && skip_char(text, ':'));
    return true;
}

static bool read_rule(struct str *text, struct rule *rule) {
    int64_t month = 0, week = 0, weekday = 0;
    if (!skip_char(text, ',') || !skip_char(text, 'M') || !read_digits(text, &month) ||
        !skip_char(text, '.') || !read_digits(text, &week) || !skip_char(text, '.') ||
        !read_digits(text, &weekday) || month < 1 || month > 12 || week < 1 || week > 5 ||
        weekday > 6) {
        return false;
    }
    *rule = (struct rule){(int)month, (int)week, (int)weekday, 2 * 3600};
    return !skip_char(text, '/') || read_clock(text, &rule->time);
}

static int64_t rule_in(const struct rule *rule, int64_t year) { // local seconds
    int64_t first = days_of(year, rule->month, 1);
    int64_t shift = (rule->weekday - (first + 4) % 7 + 7) % 7 + 7 * (rule->week - 1);
    int64_t next = rule->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, rule->month + 1, 1);
    while (first + shift >= next) {
        shift -= 7;
    }
    return (first + shift) * 86400 + rule->time;
}

enum { RULE_YEARS = 80, OFFSET_MAX = 26 * 3600 };
#define TIME_MAX (INT64_C(1) << 40) // seconds: some files begin with the Big Bang

static size_t add_rule(struct str text, int64_t *starts, int32_t *offsets, size_t count) {
    int64_t standard = 0, summer = 0;
    struct rule begin, end;
    skip_name(&text);
    if (!read_clock(&text, &standard)) {
        return count;
    }
    standard = -standard; // POSIX counts to the west
    skip_name(&text);
    summer = standard + 3600;
    if (text.n && text.p[0] != ',') {
        if (!read_clock(&text, &summer)) {
            return count;
        }
        summer = -summer;
    }
    if (!read_rule(&text, &begin) || !read_rule(&text, &end) || standard < -OFFSET_MAX ||
        standard > OFFSET_MAX || summer < -OFFSET_MAX || summer > OFFSET_MAX) {
        return count;
    }
    int64_t last = count ? starts[count - 1] : INT64_MIN;
    int64_t year = count ? civil_of(last).year : 1970;
    for (int64_t i = 0; i < RULE_YEARS; i++, year++) {
        int64_t on = rule_in(&begin, year) - standard, off = rule_in(&end, year) - summer;
        for (int k = 0; k < 2; k++) {
            bool is_on = (on < off) == (k == 0);
            int64_t at = is_on ? on : off;
            if (at > last) {
                starts[count] = at;
                offsets[count++] = (int32_t)(is_on ? summer : standard);
            }
        }
    }
    return count;
}

bool wl_zone_parse(struct arena *arena, struct str bytes, struct wl_zone *out, struct err *err) {
    struct reader r = {.bytes = bytes};
    struct header h = {0};
    if (!read_header(&r, &h)) {
        return err_set(err, ERR_INVALID, "not a time zone file");
    }
    size_t width = 4;
    if (bytes.p[4] >= '2') { // the second part has the whole truth, in 64 bits
        r.at +=
            (size_t)(h.times * 5 + h.types * 6 + h.chars + h.leaps * 8 + h.std_flags + h.utc_flags);
        width = 8;
        if (!read_header(&r, &h)) {
            return err_set(err, ERR_INVALID, "a damaged time zone file");
        }
    }
    size_t count = (size_t)h.times;
    size_t body = count * (width + 1) +
                  (size_t)(h.types * 6 + h.chars + h.std_flags + h.utc_flags) +
                  (size_t)h.leaps * (width + 4);
    if (r.at + body > bytes.n) {
        return err_set(err, ERR_INVALID, "a damaged time zone file");
    }
    int64_t *starts = ARENA_ARRAY(arena, count + 2 * RULE_YEARS, int64_t);
    int32_t *offsets = ARENA_ARRAY(arena, count + 2 * RULE_YEARS, int32_t);
    size_t end = r.at + body, types_at = r.at + count * (width + 1);
    for (size_t i = 0; i < count; i++) {
        starts[i] = read_int(&r, width);
        starts[i] = starts[i] < -TIME_MAX ? -TIME_MAX : starts[i];
    }
    for (size_t i = 0; i < count; i++) {
        size_t type = (unsigned char)bytes.p[r.at + i];
        struct reader t = {.bytes = bytes, .at = types_at + type * 6};
        if (type >= (size_t)h.types || (i && starts[i] <= starts[i - 1]) || starts[i] > TIME_MAX) {
            return err_set(err, ERR_INVALID, "a damaged time zone file");
        }
        offsets[i] = (int32_t)read_int(&t, 4);
    }
    struct reader first = {.bytes = bytes, .at = types_at};
    out->first = (int32_t)read_int(&first, 4);
    if (width == 8) {
        count = add_rule(str_trim(str_skip(bytes, end)), starts, offsets, count);
    }
    out->starts = starts;
    out->offsets = offsets;
    out->count = count;
    return true;
}
