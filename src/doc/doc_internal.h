// SPDX-License-Identifier: Apache-2.0
// What the files of doc/ share and nobody else sees: keys, the index of large objects, and the scan for plain text.
#ifndef SKIFF_DOC_DOC_INTERNAL_H
#define SKIFF_DOC_DOC_INTERNAL_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "doc/doc.h"

enum {
    // doc_value.flags of an object: behind its last member stands a pointer to its index (8 bytes).
    DOC_INDEXED = 1,
    // Objects of this many members or more get an index; below, comparing lengths in a row is as fast.
    DOC_INDEX_MIN = 32,
};

// An open-addressing table over the members of one object: position + 1, 0 is a free slot.
struct doc_index {
    uint32_t mask; // slots - 1
    uint32_t slots[];
};

#define DOC_NOT_FOUND UINT32_MAX

// ---- keys.c ----
// Differs from process to process (the address of this byte is its seed), so that nobody can prepare texts whose keys
// all collide. It must never reach a disk or an output.
extern const char doc_key_seed;
const struct doc_key *doc_key_make(struct arena *arena, struct str text);
const struct doc_key *doc_key_make_hashed(struct arena *arena, struct str text, uint32_t hash);

static inline uint64_t doc_load8(const char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint64_t doc_load4(const char *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

static inline uint64_t doc_fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 uint128;
    uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t doc_key_hash(const char *p, size_t n) {
    uint64_t seed = (uint64_t)(uintptr_t)&doc_key_seed;
    uint64_t left = seed * 0x9e3779b97f4a7c15U;
    uint64_t right = seed ^ 0xe7037ed1a0b428dbU;
    uint64_t a = 0;
    uint64_t b = 0;
    size_t size = n;
    while (n > 16) {
        left = doc_fold(doc_load8(p) ^ left, doc_load8(p + 8) ^ right);
        p += 16;
        n -= 16;
    }
    if (n >= 8) {
        a = doc_load8(p);
        b = doc_load8(p + n - 8);
    } else if (n >= 4) {
        a = doc_load4(p);
        b = doc_load4(p + n - 4);
    } else if (n > 0) {
        a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1];
    }
    uint64_t h = doc_fold(a ^ left, b ^ right ^ ((uint64_t)size << 40));
    return (uint32_t)(h ^ h >> 32);
}

static inline bool doc_key_is(const struct doc_key *key, const char *p, size_t n) {
    return key->len == n && memcmp(key->text, p, n) == 0;
}

static inline struct str doc_key_str(const struct doc_key *key) {
    return (struct str){key->text, key->len};
}

static inline bool doc_key_eq(const struct doc_key *a, const struct doc_key *b) {
    return a == b ||
           (a->hash == b->hash && a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
}

// One key object for equal texts while a document is read or cloned.
enum { DOC_KEYS_INLINE = 128 };
struct doc_keys {
    struct arena *arena;
    const struct doc_key **slots; // `first` or heap
    uint32_t mask;
    uint32_t count;
    const struct doc_key *first[DOC_KEYS_INLINE];
};
void doc_keys_init(struct doc_keys *keys, struct arena *arena);
void doc_keys_fini(struct doc_keys *keys);
const struct doc_key *doc_keys_add(struct doc_keys *keys, struct str text,
                                   uint32_t hash); // missing
static inline const struct doc_key *doc_keys_intern(struct doc_keys *keys, struct str text,
                                                    uint32_t hash) {
    for (uint32_t i = hash & keys->mask;; i = (i + 1) & keys->mask) {
        const struct doc_key *key = keys->slots[i];
        if (!key) {
            return doc_keys_add(keys, text, hash);
        }
        if (key->hash == hash && doc_key_is(key, text.p, text.n)) {
            return key;
        }
    }
}

// The index of `members`; room for `cap` of them. Duplicate keys must be gone.
struct doc_index *doc_index_build(struct arena *arena, const struct doc_member *members,
                                  uint32_t len, uint32_t cap);
uint32_t doc_index_find(const struct doc_index *index, const struct doc_member *members,
                        struct str key,
                        uint32_t hash); // the position or DOC_NOT_FOUND
void doc_index_add(struct doc_index *index, const struct doc_key *key, uint32_t position);

// Merges duplicates in place (place of the first, value of the last) and returns how many members are left. For large
// objects it makes the index on the way.
uint32_t doc_members_unique(struct arena *arena, struct doc_member *members, uint32_t len,
                            struct doc_index **index);

static inline const struct doc_index *doc_index_of(const struct doc_value *object) {
    const struct doc_index *index;
    memcpy(&index, object->u.members + object->len, sizeof index);
    return index;
}

// The position of a key of an object, or DOC_NOT_FOUND.
uint32_t doc_find_key(const struct doc_value *object, const struct doc_key *key);
uint32_t doc_find_text(const struct doc_value *object, struct str key);

// ---- builders (value.c) ----
uint32_t doc_object_find(const struct doc_object *object, const struct doc_key *key);
uint32_t doc_object_position(struct doc_object *object, struct str key); // makes a missing index
void doc_object_set_key(struct doc_object *object, const struct doc_key *key,
                        struct doc_value value); // shares the key
void doc_object_remove_at(struct doc_object *object, uint32_t position);
void doc_object_truncate(struct doc_object *object, uint32_t len); // after members were moved
void doc_array_reserve(struct doc_array *array, uint32_t more);

// ---- number.c ----
// A number as sign, digits without zeros at either end, and the power of ten of the last digit: equal values have equal
// parts. `raw` is set when the exponent is beyond reason; such numbers are compared by their text.
struct doc_decimal {
    bool negative;
    bool raw;
    int64_t exponent;
    struct str whole,
        fraction; // digits before and after the point, trimmed so that both together are the digits
    char integer[24]; // where the digits of a DOC_INT are
};
void doc_decimal_from(const struct doc_value *number, struct doc_decimal *out);
bool doc_number_equal(const struct doc_value *a, const struct doc_value *b);
uint64_t doc_number_hash(const struct doc_value *number);

// ---- The scan that reader and printer share ----
// The first byte at or after p that is '"', '\\', a control character or not ASCII; else end.
static inline const char *doc_skip_plain(const char *p, const char *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        // The comparison is signed: bytes from 0x80 on are below the space too.
        __m128i stop = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
            _mm_cmplt_epi8(bytes, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask) {
            return p + __builtin_ctz(mask);
        }
        p += 16;
    }
#else
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    while (end - p >= 8) {
        uint64_t w = doc_load8(p);
        uint64_t quote = w ^ ones * '"';
        uint64_t backslash = w ^ ones * '\\';
        uint64_t stop = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                        ((w - ones * ' ') & ~w) | w;
        if (stop & highs) {
            break; // some byte of these eight: found below
        }
        p += 8;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (signed char)*p >= ' ') {
        p++;
    }
    return p;
}

#endif
