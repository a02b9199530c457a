// SPDX-License-Identifier: Apache-2.0
// memrchr and memmem are GNU extensions that every Linux libc has.
#include "base/str.h"

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b) {
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) {
        return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

size_t str_find_char(struct str s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

size_t str_rfind_char(struct str s, char c) {
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

size_t str_find(struct str s, struct str needle) {
    if (needle.n == 0) {
        return 0;
    }
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct str str_trim(struct str s) {
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool str_cut(struct str s, char sep, struct str *before, struct str *after) {
    size_t at = str_find_char(s, sep);
    if (at == STR_NPOS) {
        *before = s;
        *after = str_skip(s, s.n);
        return false;
    }
    *before = (struct str){s.p, at};
    *after = str_skip(s, at + 1);
    return true;
}

bool str_next(struct str *rest, char sep, struct str *part) {
    if (rest->n == 0) {
        return false;
    }
    struct str all = *rest;
    str_cut(all, sep, part, rest);
    return true;
}

bool str_to_uint64(struct str s, uint64_t *out) {
    if (s.n == 0 || s.n > 20) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool str_to_int64(struct str s, int64_t *out) {
    bool negative = s.n && s.p[0] == '-';
    uint64_t magnitude;
    if (!str_to_uint64(negative ? str_skip(s, 1) : s, &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1U : 0U)) {
        return false;
    }
    *out = negative ? (int64_t)(0U - magnitude) : (int64_t)magnitude;
    return true;
}

uint64_t str_hash(struct str s) {
    // Multiply-and-fold over eight bytes at a time: tables in memory need speed, and their sizes are bounded.
    uint64_t h = 0x9e3779b97f4a7c15U ^ s.n;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t word;
        memcpy(&word, s.p + i, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdU;
        h ^= h >> 32;
    }
    uint64_t tail = 0;
    if (i < s.n) {
        memcpy(&tail, s.p + i, s.n - i);
    }
    h = (h ^ tail) * 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 29);
}
