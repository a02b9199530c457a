// SPDX-License-Identifier: Apache-2.0
// Kubernetes quantities. A value is kept as decimal digits and a power of ten, so that nothing is lost on the way to its
// canonical text; only binary suffixes are multiplied out. The text that resource.Quantity keeps as it was written
// ("1.500", "0100Mi" are such oddities) stays here too, because that is what the API server stores.
#include "base/text.h"

#include <stdio.h>

enum { DIGITS_MAX = 256, NANO = -9, EXPONENT_MAX = 1000 };

enum format { FORMAT_DECIMAL, FORMAT_BINARY, FORMAT_EXPONENT };

struct parts {
    bool negative;
    struct str whole, fraction; // digits; the whole part without leading zeros
    enum format format;
    int exponent; // of 10, or of 2 with FORMAT_BINARY
};

struct amount {
    bool negative;
    char digits[DIGITS_MAX + 1]; // without zeros at either end; empty for 0
    size_t count;
    int exponent;
};

static size_t digits_until(struct str text, size_t at) {
    while (at < text.n && text.p[at] >= '0' && text.p[at] <= '9') {
        at++;
    }
    return at;
}

static bool parse_exponent(struct str text, int *out) {
    bool sign = text.n > 1 && (text.p[1] == '+' || text.p[1] == '-');
    uint64_t value;
    struct str digits = str_skip(text, sign ? 2 : 1);
    if (!str_to_uint64(digits, &value) || value > EXPONENT_MAX) {
        return false;
    }
    *out = sign && text.p[1] == '-' ? -(int)value : (int)value;
    return true;
}

static bool parse_suffix(struct str suffix, struct parts *out) {
    static const struct {
        const char *text;
        enum format format;
        int exponent;
    } SUFFIXES[] = {
        {"", FORMAT_DECIMAL, 0},   {"n", FORMAT_DECIMAL, -9}, {"u", FORMAT_DECIMAL, -6},
        {"m", FORMAT_DECIMAL, -3}, {"k", FORMAT_DECIMAL, 3},  {"M", FORMAT_DECIMAL, 6},
        {"G", FORMAT_DECIMAL, 9},  {"T", FORMAT_DECIMAL, 12}, {"P", FORMAT_DECIMAL, 15},
        {"E", FORMAT_DECIMAL, 18}, {"Ki", FORMAT_BINARY, 10}, {"Mi", FORMAT_BINARY, 20},
        {"Gi", FORMAT_BINARY, 30}, {"Ti", FORMAT_BINARY, 40}, {"Pi", FORMAT_BINARY, 50},
        {"Ei", FORMAT_BINARY, 60},
    };
    for (size_t i = 0; i < ARRAY_LEN(SUFFIXES); i++) {
        if (str_eq_c(suffix, SUFFIXES[i].text)) {
            out->format = SUFFIXES[i].format;
            out->exponent = SUFFIXES[i].exponent;
            return true;
        }
    }
    out->format = FORMAT_EXPONENT;
    return suffix.n > 1 && (suffix.p[0] == 'e' || suffix.p[0] == 'E') &&
           parse_exponent(suffix, &out->exponent);
}

static bool parse_parts(struct str text, struct parts *out) {
    size_t at = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    *out = (struct parts){.negative = at == 1 && text.p[0] == '-'};
    if (text.n == 0 || text.n > DIGITS_MAX) {
        return false;
    }
    size_t start = at;
    at = digits_until(text, at);
    out->whole = str_make(text.p + start, at - start);
    if (at < text.n && text.p[at] == '.') {
        start = ++at;
        at = digits_until(text, at);
        out->fraction = str_make(text.p + start, at - start);
    }
    while (out->whole.n > 0 && out->whole.p[0] == '0') {
        out->whole = str_skip(out->whole, 1);
    }
    // A bare sign or point is 0 to Kubernetes.
    return parse_suffix(str_skip(text, at), out);
}

// ---- Amounts ----

static void trim_zeros(struct amount *a) {
    size_t leading = 0;
    while (leading < a->count && a->digits[leading] == '0') {
        leading++;
    }
    memmove(a->digits, a->digits + leading, a->count - leading);
    a->count -= leading;
    while (a->count > 0 && a->digits[a->count - 1] == '0') {
        a->count--;
        a->exponent++;
    }
    if (a->count == 0) {
        a->exponent = 0;
        a->negative = false;
    }
    a->digits[a->count] = '\0';
}

static void add_one(struct amount *a) { // to the last digit
    size_t i = a->count;
    while (i > 0 && a->digits[i - 1] == '9') {
        a->digits[--i] = '0';
    }
    if (i > 0) {
        a->digits[i - 1]++;
        return;
    }
    memmove(a->digits + 1, a->digits, a->count);
    a->digits[0] = '1';
    a->count++;
}

// Nothing below a billionth: what is there is rounded away from zero, so that a little stays a little.
static void round_to_nano(struct amount *a) {
    if (a->count == 0 || a->exponent >= NANO) {
        return;
    }
    size_t drop = (size_t)(NANO - a->exponent);
    a->count = drop < a->count ? a->count - drop : 0;
    a->exponent = NANO;
    if (a->count == 0) {
        a->digits[0] = '0';
        a->count = 1;
    }
    add_one(a);
    trim_zeros(a);
}

__extension__ typedef unsigned __int128 uint128;

static void set_integer(struct amount *a, uint128 value, int exponent) {
    char reversed[48];
    size_t n = 0;
    for (; value > 0; value /= 10) {
        reversed[n++] = (char)('0' + (int)(value % 10));
    }
    for (size_t i = 0; i < n; i++) {
        a->digits[i] = reversed[n - 1 - i];
    }
    a->count = n;
    a->exponent = exponent;
    trim_zeros(a);
}

// Binary suffixes: the digits times 2^exponent, at most 2^63-1 as in Kubernetes.
static void multiply_binary(struct amount *a, int exponent) {
    uint128 value = 0;
    size_t used = a->count < 19 ? a->count : 19; // 10^19 * 2^60 fits
    for (size_t i = 0; i < used; i++) {
        value = value * 10 + (unsigned)(a->digits[i] - '0');
    }
    int scale = a->exponent + (int)(a->count - used);
    uint128 limit = (uint128)INT64_MAX;
    value <<= exponent;
    bool huge = scale > 19;
    for (; !huge && scale > 0; scale--) {
        huge = value > limit;
        value *= 10;
    }
    uint128 whole = value;
    for (int i = scale; i < 0 && whole > 0; i++) {
        whole /= 10;
    }
    if (huge || whole >= limit) {
        set_integer(a, limit, 0);
    } else {
        set_integer(a, value, scale);
    }
}

static void amount_from(const struct parts *parts, struct amount *a) {
    a->negative = parts->negative;
    a->count = 0;
    memcpy(a->digits, parts->whole.n ? parts->whole.p : "", parts->whole.n);
    a->count = parts->whole.n;
    if (parts->fraction.n) {
        memcpy(a->digits + a->count, parts->fraction.p, parts->fraction.n);
        a->count += parts->fraction.n;
    }
    a->exponent = -(int)parts->fraction.n;
    bool negative = a->negative;
    trim_zeros(a);
    if (a->count > 0 && parts->format == FORMAT_BINARY) {
        multiply_binary(a, parts->exponent);
    } else if (a->count > 0) {
        a->exponent += parts->exponent;
    }
    a->negative = a->count > 0 && negative;
    round_to_nano(a);
}

// Of magnitudes.
static int compare_amounts(const struct amount *a, const struct amount *b) {
    if (a->count == 0 || b->count == 0) {
        return a->count ? 1 : b->count ? -1 : 0;
    }
    long left = (long)a->count + a->exponent;
    long right = (long)b->count + b->exponent;
    if (left != right) {
        return left < right ? -1 : 1;
    }
    return str_cmp(str_make(a->digits, a->count), str_make(b->digits, b->count));
}

static bool below_1024(const struct amount *a) {
    static const struct amount LIMIT = {.digits = "1024", .count = 4};
    return compare_amounts(a, &LIMIT) < 0;
}

// ---- Text ----

// resource.Quantity keeps the text of numbers that look canonical to its quick test.
static bool keeps_text(const struct parts *p) {
    size_t whole = p->whole.n ? p->whole.n : 1;
    struct str last = p->fraction.n ? p->fraction : p->whole;
    if (p->whole.n == 0 && p->fraction.n == 0) {
        return false;
    }
    if (p->format == FORMAT_BINARY) {
        uint64_t value;
        int precision = 14 - (int)whole - (int)((float)p->exponent * 3 / 10);
        return p->fraction.n == 0 && precision >= 0 && str_to_uint64(p->whole, &value) &&
               (value & 7) != 0;
    }
    int scale = p->exponent - (int)p->fraction.n;
    bool thousands;
    if (last.n >= 3) {
        thousands = str_ends(last, STR("000"));
    } else { // the three last digits lie on both sides of the point
        struct str before = p->whole;
        size_t more = 3 - last.n;
        thousands = p->fraction.n && before.n >= more &&
                    str_ends(before, str_first(STR("000"), more)) && str_ends(STR("000"), last);
    }
    return whole + p->fraction.n <= 18 && scale >= NANO && scale % 3 == 0 && !thousands &&
           p->whole.n > 0;
}

static struct str format_decimal(struct arena *arena, const struct amount *a, enum format format) {
    static const char *const SUFFIXES[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    size_t zeros = 0;
    int exponent = a->exponent;
    while (exponent % 3 != 0) {
        exponent--;
        zeros++;
    }
    const char *sign = a->negative ? "-" : "";
    const char *pad = &"00"[2 - zeros];
    if (format == FORMAT_EXPONENT || exponent < -9 || exponent > 18) {
        return exponent == 0 ? arena_printf(arena, "%s%s%s", sign, a->digits, pad)
                             : arena_printf(arena, "%s%s%se%d", sign, a->digits, pad, exponent);
    }
    return arena_printf(arena, "%s%s%s%s", sign, a->digits, pad, SUFFIXES[(exponent + 9) / 3]);
}

static struct str format_binary(struct arena *arena, const struct amount *a) {
    static const char *const SUFFIXES[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    uint64_t value = 0;
    for (size_t i = 0; i < a->count; i++) {
        value = value * 10 + (uint64_t)(a->digits[i] - '0');
    }
    for (int i = 0; i < a->exponent; i++) {
        value *= 10;
    }
    size_t suffix = 0;
    while (value >= 1024 && value % 1024 == 0 && suffix + 1 < ARRAY_LEN(SUFFIXES)) {
        value /= 1024;
        suffix++;
    }
    return arena_printf(arena, "%s%llu%s", a->negative ? "-" : "", (unsigned long long)value,
                        SUFFIXES[suffix]);
}

bool quantity_canonical(struct str text, struct arena *arena, struct str *out) {
    struct parts parts;
    text = str_trim(text);
    if (!parse_parts(text, &parts)) {
        return false;
    }
    if (keeps_text(&parts)) {
        *out = text;
        return true;
    }
    struct amount amount;
    amount_from(&parts, &amount);
    if (amount.count == 0) {
        *out = STR("0");
    } else if (parts.format == FORMAT_BINARY && !below_1024(&amount) && amount.exponent >= 0) {
        *out = format_binary(arena, &amount);
    } else {
        *out = format_decimal(arena, &amount,
                              parts.format == FORMAT_EXPONENT ? FORMAT_EXPONENT : FORMAT_DECIMAL);
    }
    return true;
}

bool quantity_compare(struct str a, struct str b, int *order) {
    struct parts left_parts, right_parts;
    if (!parse_parts(str_trim(a), &left_parts) || !parse_parts(str_trim(b), &right_parts)) {
        return false;
    }
    struct amount left, right;
    amount_from(&left_parts, &left);
    amount_from(&right_parts, &right);
    if (left.negative != right.negative) {
        *order = left.negative ? -1 : 1;
    } else {
        int magnitude = compare_amounts(&left, &right);
        magnitude = magnitude < 0 ? -1 : magnitude > 0;
        *order = left.negative ? -magnitude : magnitude;
    }
    return true;
}
