// SPDX-License-Identifier: Apache-2.0
// Numbers by value. Texts are compared as decimals, never through a double: 9007199254740993 is not 9007199254740992.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "doc/doc_internal.h"

enum { NUMBER_TEXT_INLINE = 64 };

double doc_double(const struct doc_value *v, double fallback) {
    if (doc_is(v, DOC_INT)) {
        return (double)v->u.integer;
    }
    if (!doc_is(v, DOC_NUMBER)) {
        return fallback;
    }
    char few[NUMBER_TEXT_INLINE];
    char *text = v->len < sizeof few ? few : xmalloc((size_t)v->len + 1);
    memcpy(text, v->u.text, v->len);
    text[v->len] = '\0';
    double d = strtod(text, NULL);
    if (text != few) {
        free(text);
    }
    return d;
}

struct str doc_number_text(const struct doc_value *v, struct arena *arena) {
    if (doc_is(v, DOC_NUMBER)) {
        return str_make(v->u.text, v->len);
    }
    return doc_is(v, DOC_INT) ? arena_printf(arena, "%" PRId64, v->u.integer)
                              : (struct str){NULL, 0};
}

// ---- Doubles to text ----

// Go writes exponents without zeros in front: 1e-07 is 1e-7.
static size_t trim_exponent(char *text, size_t n) {
    char *e = memchr(text, 'e', n);
    if (e && e + 3 < text + n && e[2] == '0') {
        memmove(e + 2, e + 3, (size_t)(text + n - e - 3));
        n--;
    }
    return n;
}

struct doc_value doc_make_double(struct arena *arena, double d) {
    if (!isfinite(d)) {
        return doc_null(); // JSON has no word for it
    }
    char text[400];
    int n = 0;
    int precision = 0;
    for (; precision < 17; precision++) {
        n = snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    double size = fabs(d);
    if (size == 0 || (size >= 1e-6 && size < 1e21)) {
        const char *e = memchr(text, 'e', (size_t)n);
        int exponent = (int)strtol(e + 1, NULL, 10);
        int decimals = precision - exponent;
        if (decimals <
            0) { // the shortest digits, then zeros: "%f" would print digits that a double does not have
            size_t digits = (size_t)(e - text);
            char *point = memchr(text, '.', digits);
            if (point) {
                memmove(point, point + 1, (size_t)(e - point) - 1);
                digits--;
            }
            memset(text + digits, '0', (size_t)-decimals);
            n = (int)digits - decimals;
        } else {
            n = snprintf(text, sizeof text, "%.*f", decimals, d);
        }
    } else {
        n = (int)trim_exponent(text, (size_t)n);
    }
    struct str s = {text, (size_t)n};
    int64_t integer;
    if (str_to_int64(s, &integer) && !str_eq(s, STR("-0"))) {
        return doc_make_int(integer); // what reading this text again gives
    }
    s = arena_dup(arena, s);
    return (struct doc_value){.kind = DOC_NUMBER, .len = (uint32_t)s.n, .u.text = s.p};
}

// ---- Comparing ----

static struct str trim_front(struct str digits) {
    while (digits.n && digits.p[0] == '0') {
        digits = str_skip(digits, 1);
    }
    return digits;
}

// The number after 'e'; false when it is beyond reason (more than 15 digits).
static bool parse_exponent(struct str text, int64_t *out) {
    bool negative = text.n && text.p[0] == '-';
    if (text.n && (text.p[0] == '-' || text.p[0] == '+')) {
        text = str_skip(text, 1);
    }
    text = trim_front(text);
    int64_t value = 0;
    for (size_t i = 0; i < text.n; i++) {
        value = value * 10 + (text.p[i] - '0');
        if (i >= 15) {
            return false;
        }
    }
    *out = negative ? -value : value;
    return true;
}

static struct str digits_of_int(int64_t integer, char out[24]) {
    int n = snprintf(out, 24, "%" PRIu64, integer < 0 ? 0U - (uint64_t)integer : (uint64_t)integer);
    return str_make(out, (size_t)n);
}

void doc_decimal_from(const struct doc_value *number, struct doc_decimal *out) {
    *out = (struct doc_decimal){.fraction = STR("")};
    if (number->kind == DOC_INT) {
        out->negative = number->u.integer < 0;
        out->whole = digits_of_int(number->u.integer, out->integer);
    } else {
        struct str text = {number->u.text, number->len};
        out->negative = text.n && text.p[0] == '-';
        text = str_skip(text, out->negative);
        size_t e = 0;
        while (e < text.n && text.p[e] != 'e' && text.p[e] != 'E') {
            e++;
        }
        out->raw = e < text.n && !parse_exponent(str_skip(text, e + 1), &out->exponent);
        str_cut(str_first(text, e), '.', &out->whole, &out->fraction);
    }
    // Zeros at the end of the digits go into the exponent, zeros in front mean nothing.
    while (out->fraction.n && out->fraction.p[out->fraction.n - 1] == '0') {
        out->fraction.n--;
    }
    out->exponent -= (int64_t)out->fraction.n;
    out->whole = trim_front(out->whole);
    if (out->whole.n == 0) {
        out->fraction = trim_front(out->fraction);
    }
    while (out->fraction.n == 0 && out->whole.n && out->whole.p[out->whole.n - 1] == '0') {
        out->whole.n--;
        out->exponent++;
    }
    if (out->whole.n + out->fraction.n == 0) { // zero has no sign and no exponent
        out->negative = false;
        out->raw = false;
        out->exponent = 0;
    }
}

static bool same_digits(const struct doc_decimal *a, const struct doc_decimal *b) {
    if (a->whole.n + a->fraction.n != b->whole.n + b->fraction.n) {
        return false;
    }
    const struct doc_decimal *longer = a->whole.n >= b->whole.n ? a : b;
    const struct doc_decimal *other = longer == a ? b : a;
    size_t first = other->whole.n;
    size_t middle = longer->whole.n - first;
    return str_eq(str_first(longer->whole, first), other->whole) &&
           str_eq(str_skip(longer->whole, first), str_first(other->fraction, middle)) &&
           str_eq(longer->fraction, str_skip(other->fraction, middle));
}

bool doc_number_equal(const struct doc_value *a, const struct doc_value *b) {
    if (a->kind == DOC_INT && b->kind == DOC_INT) {
        return a->u.integer == b->u.integer;
    }
    struct doc_decimal x, y;
    doc_decimal_from(a, &x);
    doc_decimal_from(b, &y);
    if (x.raw || y.raw) {
        return a->kind == b->kind &&
               str_eq(str_make(a->u.text, a->len), str_make(b->u.text, b->len));
    }
    return x.negative == y.negative && x.exponent == y.exponent && same_digits(&x, &y);
}

uint64_t doc_number_hash(const struct doc_value *number) {
    struct doc_decimal x;
    doc_decimal_from(number, &x);
    if (x.raw) {
        return str_hash(str_make(number->u.text, number->len));
    }
    uint64_t h = x.negative ? 0x9e3779b97f4a7c15U : 0;
    for (size_t i = 0; i < x.whole.n; i++) {
        h = (h ^ (uint8_t)x.whole.p[i]) * 0x100000001b3U;
    }
    for (size_t i = 0; i < x.fraction.n; i++) {
        h = (h ^ (uint8_t)x.fraction.p[i]) * 0x100000001b3U;
    }
    return doc_fold(h ^ (uint64_t)x.exponent, 0xff51afd7ed558ccdU);
}
