// SPDX-License-Identifier: Apache-2.0
// Heap helpers that abort on exhaustion, and clean-up attributes.
#ifndef SKIFF_BASE_MEM_H
#define SKIFF_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(struct str s); // NUL-terminated copy

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

// A programming error, checked in release builds too.
#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0)) {          \
            check_failed(__FILE__, __LINE__, #condition); \
        }                                                 \
    } while (0)
_Noreturn void check_failed(const char *file, int line, const char *condition);

// AUTO(arena_destroy) struct arena *a = ...;  runs arena_destroy(a) when `a` leaves its scope.
// Each header that declares a destructor also declares its AUTO function with AUTO_DEFINE.
#define AUTO_DEFINE(type, destroy)                \
    static inline void auto_##destroy(type **p) { \
        if (*p) {                                 \
            destroy(*p);                          \
        }                                         \
    }
#define AUTO(destroy) __attribute__((cleanup(auto_##destroy)))
static inline void auto_free(void *p) {
    free(*(void **)p);
}
// Moves a pointer out of a variable that is cleaned up: `return TAKE(p);`
#define TAKE(p)                    \
    __extension__({                \
        __typeof__(p) take_ = (p); \
        (p) = NULL;                \
        take_;                     \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline bool size_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool size_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

#endif
