// SPDX-License-Identifier: Apache-2.0
// Text as pointer and length. C strings appear only at system borders.
#ifndef SKIFF_BASE_STR_H
#define SKIFF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A borrowed slice of bytes; not NUL-terminated. {NULL, 0} is the empty slice.
struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
// For static initialisers, where a compound literal is not allowed.
#define STR_INIT(lit) \
    { "" lit, sizeof(lit) - 1 }
// printf("%.*s", STR_ARG(s)). A precision is an int, so longer text is cut at 2^31-1 bytes.
#define STR_ARG(s) ((int)((s).n > INT32_MAX ? INT32_MAX : (s).n)), ((s).p ? (s).p : "")

static inline struct str str_from(const char *text) {
    return (struct str){text, text ? strlen(text) : 0};
}

static inline struct str str_make(const char *p, size_t n) {
    return (struct str){p, n};
}

static inline bool str_is_empty(struct str s) {
    return s.n == 0;
}

static inline bool str_eq(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_c(struct str a, const char *b) {
    return str_eq(a, str_from(b));
}

bool str_eq_nocase(struct str a, struct str b); // ASCII only
int str_cmp(struct str a, struct str b);        // byte order, as Go compares strings

static inline bool str_starts(struct str s, struct str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix) {
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

// The part from `from` on; empty when `from` is past the end.
static inline struct str str_skip(struct str s, size_t from) {
    size_t skip = from < s.n ? from : s.n;
    return skip ? (struct str){s.p + skip, s.n - skip} : s;
}

static inline struct str str_first(struct str s, size_t n) {
    return (struct str){s.p, n < s.n ? n : s.n};
}

#define STR_NPOS ((size_t)-1)
size_t str_find_char(struct str s, char c); // STR_NPOS when absent
size_t str_rfind_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);

static inline bool str_has(struct str s, struct str needle) {
    return str_find(s, needle) != STR_NPOS;
}

struct str str_trim(struct str s); // ASCII white space at both ends

// Splits at the first `sep`. Without one, *before is s, *after is empty and the result false.
bool str_cut(struct str s, char sep, struct str *before, struct str *after);
// Walks the parts between separators: `while (str_next(&rest, ',', &part))`. An empty `rest` ends it,
// so a trailing separator gives no last empty part.
bool str_next(struct str *rest, char sep, struct str *part);

// Whole decimal numbers with an optional minus sign; false (and *out untouched) on anything else.
bool str_to_int64(struct str s, int64_t *out);
bool str_to_uint64(struct str s, uint64_t *out);

// A hash for tables in memory (not for disk, not against attackers that choose keys without limit).
uint64_t str_hash(struct str s);

#endif
