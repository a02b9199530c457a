// SPDX-License-Identifier: Apache-2.0
// Which type a plain YAML scalar has. The rules are those of go-yaml v2 (YAML_KUBERNETES) and v3 (YAML_KUSTOMIZE), as
// observed: YAML 1.1 with Go's integer prefixes. Sexagesimal numbers ("12:30") stay strings in both.
#include "doc/yaml_scalar.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "base/timefmt.h"

struct word {
    const char *text;
    enum yaml_tag tag;
    bool boolean;
    bool kubernetes_only;
    double number;
};

static const struct word WORDS[] = {
    {"~", YAML_TAG_NULL, false, false, 0},
    {"null", YAML_TAG_NULL, false, false, 0},
    {"Null", YAML_TAG_NULL, false, false, 0},
    {"NULL", YAML_TAG_NULL, false, false, 0},
    {"true", YAML_TAG_BOOL, true, false, 0},
    {"True", YAML_TAG_BOOL, true, false, 0},
    {"TRUE", YAML_TAG_BOOL, true, false, 0},
    {"false", YAML_TAG_BOOL, false, false, 0},
    {"False", YAML_TAG_BOOL, false, false, 0},
    {"FALSE", YAML_TAG_BOOL, false, false, 0},
    {"y", YAML_TAG_BOOL, true, true, 0},
    {"Y", YAML_TAG_BOOL, true, true, 0},
    {"yes", YAML_TAG_BOOL, true, true, 0},
    {"Yes", YAML_TAG_BOOL, true, true, 0},
    {"YES", YAML_TAG_BOOL, true, true, 0},
    {"on", YAML_TAG_BOOL, true, true, 0},
    {"On", YAML_TAG_BOOL, true, true, 0},
    {"ON", YAML_TAG_BOOL, true, true, 0},
    {"n", YAML_TAG_BOOL, false, true, 0},
    {"N", YAML_TAG_BOOL, false, true, 0},
    {"no", YAML_TAG_BOOL, false, true, 0},
    {"No", YAML_TAG_BOOL, false, true, 0},
    {"NO", YAML_TAG_BOOL, false, true, 0},
    {"off", YAML_TAG_BOOL, false, true, 0},
    {"Off", YAML_TAG_BOOL, false, true, 0},
    {"OFF", YAML_TAG_BOOL, false, true, 0},
    {".nan", YAML_TAG_FLOAT, false, false, NAN},
    {".NaN", YAML_TAG_FLOAT, false, false, NAN},
    {".NAN", YAML_TAG_FLOAT, false, false, NAN},
    {".inf", YAML_TAG_FLOAT, false, false, INFINITY},
    {".Inf", YAML_TAG_FLOAT, false, false, INFINITY},
    {".INF", YAML_TAG_FLOAT, false, false, INFINITY},
    {"+.inf", YAML_TAG_FLOAT, false, false, INFINITY},
    {"+.Inf", YAML_TAG_FLOAT, false, false, INFINITY},
    {"+.INF", YAML_TAG_FLOAT, false, false, INFINITY},
    {"-.inf", YAML_TAG_FLOAT, false, false, -INFINITY},
    {"-.Inf", YAML_TAG_FLOAT, false, false, -INFINITY},
    {"-.INF", YAML_TAG_FLOAT, false, false, -INFINITY},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool resolve_word(struct str text, enum yaml_profile profile, struct yaml_scalar *out) {
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        const struct word *word = &WORDS[i];
        if (word->text[0] == text.p[0] && str_eq_c(text, word->text) &&
            !(word->kubernetes_only && profile != YAML_KUBERNETES)) {
            *out = (struct yaml_scalar){
                .tag = word->tag, .boolean = word->boolean, .number = word->number};
            return true;
        }
    }
    return false;
}

static int digit_value(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool parse_digits(struct str text, int base, uint64_t *out) {
    if (text.n == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_value(text.p[i]);
        if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

// Go's ParseInt and ParseUint with base 0: 0x, 0b, 0o and a leading 0 choose the base.
static bool resolve_integer(struct str text, struct yaml_scalar *out) {
    bool sign = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
    bool negative = sign && text.p[0] == '-';
    struct str digits = str_skip(text, sign ? 1 : 0);
    int base = 10;
    if (digits.n > 1 && digits.p[0] == '0') {
        char mark = (char)(digits.p[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        digits = str_skip(digits, mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
    }
    uint64_t value;
    if (!parse_digits(digits, base, &value)) {
        return false;
    }
    if (value <= (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        int64_t integer = negative ? (int64_t)(0 - value) : (int64_t)value;
        *out = (struct yaml_scalar){.tag = YAML_TAG_INT, .integer = integer};
        return true;
    }
    if (sign) {
        return false;
    }
    *out = (struct yaml_scalar){.tag = YAML_TAG_UINT, .natural = value};
    return true;
}

// An oddity of go-yaml that costs nothing to share: a sign behind the prefix ("0b-1", and "0o-7" in v3).
static bool resolve_signed_digits(struct str text, enum yaml_profile profile,
                                  struct yaml_scalar *out) {
    if (text.n < 4 || text.p[0] != '0' || (text.p[2] != '-' && text.p[2] != '+')) {
        return false;
    }
    int base = text.p[1] == 'b' ? 2 : text.p[1] == 'o' && profile == YAML_KUSTOMIZE ? 8 : 0;
    bool negative = text.p[2] == '-';
    uint64_t value;
    if (base == 0 || !parse_digits(str_skip(text, 3), base, &value) ||
        value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    int64_t integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    *out = (struct yaml_scalar){.tag = YAML_TAG_INT, .integer = integer};
    return true;
}

static size_t skip_digits(struct str text, size_t at) {
    while (at < text.n && is_digit(text.p[at])) {
        at++;
    }
    return at;
}

// [-+]? ( .5 | 1 | 1. | 1.5 ) ( [eE][-+]?9 )?
static bool is_float(struct str text) {
    size_t at = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    size_t whole = at;
    at = skip_digits(text, at);
    bool has_whole = at > whole;
    if (at < text.n && text.p[at] == '.') {
        size_t fraction = ++at;
        at = skip_digits(text, at);
        if (!has_whole && at == fraction) {
            return false;
        }
    } else if (!has_whole) {
        return false;
    }
    if (at < text.n && (text.p[at] | 0x20) == 'e') {
        at++;
        at += at < text.n && (text.p[at] == '-' || text.p[at] == '+') ? 1 : 0;
        size_t exponent = at;
        at = skip_digits(text, at);
        if (at == exponent) {
            return false;
        }
    }
    return at == text.n;
}

// Text without underscores; numbers longer than this are not numbers worth the name to anybody, but Go reads them, so the
// digits that cannot matter to a double are not cut: long ones go to the heap.
static bool resolve_float(struct str text, struct yaml_scalar *out) {
    if (!is_float(text)) {
        return false;
    }
    char small[64];
    char *copy = text.n < sizeof small ? small : xmalloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    double number = strtod(copy, NULL);
    if (copy != small) {
        free(copy);
    }
    if (isinf(number)) {
        return false; // out of range: Go's parser refuses, and the text stays a string
    }
    *out = (struct yaml_scalar){.tag = YAML_TAG_FLOAT, .number = number};
    return true;
}

static bool resolve_number(struct str text, enum yaml_profile profile, struct yaml_scalar *out) {
    char small[64];
    char *plain = text.n <= sizeof small ? small : xmalloc(text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '_') {
            plain[n++] = text.p[i];
        }
    }
    struct str bare = {plain, n};
    bool found = resolve_integer(bare, out) || resolve_float(bare, out) ||
                 resolve_signed_digits(bare, profile, out);
    if (plain != small) {
        free(plain);
    }
    return found;
}

// ".5": Go allows an underscore here only between two digits.
static void resolve_fraction(struct str text, struct yaml_scalar *out) {
    if (str_find_char(text, '_') == STR_NPOS) {
        resolve_float(text, out);
        return;
    }
    char plain[64];
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        bool between =
            i > 0 && i + 1 < text.n && is_digit(text.p[i - 1]) && is_digit(text.p[i + 1]);
        if ((text.p[i] == '_' && !between) || n == sizeof plain) {
            return;
        }
        if (text.p[i] != '_') {
            plain[n++] = text.p[i];
        }
    }
    resolve_float(str_make(plain, n), out);
}

static bool may_be_number(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!is_digit(c) && !memchr("+-._xXoObBeEaAcCdDfF", c, 20)) {
            return false;
        }
    }
    return true;
}

struct yaml_scalar yaml_resolve(struct str text, enum yaml_profile profile) {
    struct yaml_scalar out = {.tag = YAML_TAG_STR};
    if (text.n == 0) {
        out.tag = YAML_TAG_NULL;
        return out;
    }
    char first = text.p[0];
    bool numeric = is_digit(first) || first == '+' || first == '-';
    if (!numeric && first != '.' && !memchr("yYnNtTfFoO~", first, 11)) {
        return out;
    }
    if (text.n <= 5 && resolve_word(text, profile, &out)) {
        return out;
    }
    if (first == '.') {
        resolve_fraction(text, &out);
    } else if (numeric) {
        if (yaml_timestamp_format(text, NULL)) {
            out.tag = YAML_TAG_TIMESTAMP;
        } else if (may_be_number(text)) {
            resolve_number(text, profile, &out);
        }
    }
    return out;
}

bool yaml_is_base60(struct str text) {
    size_t at = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    if (at >= text.n || !is_digit(text.p[at])) {
        return false;
    }
    while (at < text.n && (is_digit(text.p[at]) || text.p[at] == '_')) {
        at++;
    }
    size_t groups = 0;
    while (at + 1 < text.n && text.p[at] == ':' && is_digit(text.p[at + 1])) {
        size_t end = skip_digits(text, at + 1);
        if (end - at > 3 || (end - at == 3 && text.p[at + 1] > '5')) {
            return false;
        }
        at = end;
        groups++;
    }
    if (at < text.n && text.p[at] == '.') {
        at++;
        while (at < text.n && (is_digit(text.p[at]) || text.p[at] == '_')) {
            at++;
        }
    }
    return groups > 0 && at == text.n;
}

// ---- Dates and times ----

// One or two digits.
static bool take_number(struct str text, size_t *at, int *out) {
    if (*at >= text.n || !is_digit(text.p[*at])) {
        return false;
    }
    int value = text.p[(*at)++] - '0';
    if (*at < text.n && is_digit(text.p[*at])) {
        value = value * 10 + (text.p[(*at)++] - '0');
    }
    *out = value;
    return true;
}

static bool take_char(struct str text, size_t *at, char c) {
    if (*at >= text.n || text.p[*at] != c) {
        return false;
    }
    (*at)++;
    return true;
}

struct timestamp {
    int year, month, day, hour, minute, second;
    struct str fraction;
    bool zulu;
    struct str zone; // "+01:00", empty for UTC
};

static bool take_date(struct str text, size_t *at, struct timestamp *t) {
    if (text.n < 8 || skip_digits(str_first(text, 5), 0) != 4 || text.p[4] != '-') {
        return false;
    }
    t->year = (text.p[0] - '0') * 1000 + (text.p[1] - '0') * 100 + (text.p[2] - '0') * 10 +
              (text.p[3] - '0');
    *at = 5;
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!take_number(text, at, &t->month) || !take_char(text, at, '-') ||
        !take_number(text, at, &t->day) || t->month < 1 || t->month > 12 || t->day < 1) {
        return false;
    }
    bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
    return t->day <= DAYS[t->month - 1] + (leap && t->month == 2 ? 1 : 0);
}

static bool take_clock(struct str text, size_t *at, struct timestamp *t) {
    if (!take_number(text, at, &t->hour) || !take_char(text, at, ':') ||
        !take_number(text, at, &t->minute) || !take_char(text, at, ':') ||
        !take_number(text, at, &t->second) || t->hour > 23 || t->minute > 59 || t->second > 59) {
        return false;
    }
    if (*at + 1 < text.n && (text.p[*at] == '.' || text.p[*at] == ',') &&
        is_digit(text.p[*at + 1])) {
        size_t end = skip_digits(text, *at + 1);
        t->fraction = str_make(text.p + *at + 1, end - *at - 1);
        *at = end;
    }
    return true;
}

static bool take_zone(struct str text, size_t *at, struct timestamp *t) {
    if (take_char(text, at, 'Z')) {
        return true;
    }
    struct str zone = str_skip(text, *at);
    if (zone.n < 6 || (zone.p[0] != '+' && zone.p[0] != '-') || zone.p[3] != ':' ||
        !is_digit(zone.p[1]) || !is_digit(zone.p[2]) || !is_digit(zone.p[4]) ||
        !is_digit(zone.p[5])) {
        return false;
    }
    int hours = (zone.p[1] - '0') * 10 + (zone.p[2] - '0');
    int minutes = (zone.p[4] - '0') * 10 + (zone.p[5] - '0');
    if (hours > 24 || minutes > 60) {
        return false;
    }
    t->zone = hours == 0 && minutes == 0 ? (struct str){NULL, 0} : str_first(zone, 6);
    *at += 6;
    return true;
}

bool yaml_timestamp_format(struct str text, struct buf *out) {
    struct timestamp t = {0};
    size_t at = 0;
    if (!take_date(text, &at, &t)) {
        return false;
    }
    if (at < text.n) {
        char mark = text.p[at++];
        if ((mark != 'T' && mark != 't' && mark != ' ') || !take_clock(text, &at, &t) ||
            (mark != ' ' && !take_zone(text, &at, &t)) || at != text.n) {
            return false;
        }
    }
    if (!out) {
        return true;
    }
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month, t.day, t.hour, t.minute,
               t.second);
    struct str fraction = str_first(t.fraction, 9);
    while (fraction.n > 0 && fraction.p[fraction.n - 1] == '0') {
        fraction.n--;
    }
    if (fraction.n > 0) {
        buf_add_char(out, '.');
        buf_add_str(out, fraction);
    }
    return t.zone.n ? buf_add_str(out, t.zone) : buf_add_char(out, 'Z');
}

// ---- Numbers out ----

size_t yaml_format_g(double d, unsigned bits, char out[YAML_NUMBER_MAX]) {
    if (isnan(d) || isinf(d)) {
        const char *word = isnan(d) ? ".nan" : d > 0 ? ".inf" : "-.inf";
        size_t n = strlen(word);
        memcpy(out, word, n + 1);
        return n;
    }
    char text[YAML_NUMBER_MAX];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        bool same = bits == 32 ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d;
        if (same) {
            break;
        }
    }
    char *e = strchr(text, 'e');
    CHECK(e);
    int exponent = (int)strtol(e + 1, NULL, 10);
    if (exponent < -4 || exponent >= 6) {
        return (size_t)snprintf(out, YAML_NUMBER_MAX, "%s", text); // C too writes two digits
    }
    size_t digits = 0;
    for (const char *p = text; p < e; p++) {
        digits += is_digit(*p) ? 1 : 0;
    }
    int decimals = (int)digits - 1 - exponent;
    return (size_t)snprintf(out, YAML_NUMBER_MAX, "%.*f", decimals > 0 ? decimals : 0, d);
}

uint32_t yaml_next_rune(struct str text, size_t at, size_t *len) {
    const unsigned char *p = (const unsigned char *)text.p + at;
    size_t left = text.n - at;
    *len = 1;
    if (p[0] < 0x80) {
        return p[0];
    }
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < n) {
        return 0xFFFD;
    }
    uint32_t rune = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0xFFFD;
        }
        rune = rune << 6 | (p[i] & 0x3Fu);
    }
    static const uint32_t SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000};
    if (rune < SMALLEST[n] || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) {
        return 0xFFFD;
    }
    *len = n;
    return rune;
}
