// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdio.h>

static void *checked(void *p, size_t size) {
    if (!p && size) {
        fprintf(stderr, "skiff: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

void *xmalloc(size_t size) {
    return checked(malloc(size), size);
}

void *xcalloc(size_t count, size_t size) {
    return checked(calloc(count, size), count);
}

void *xrealloc(void *p, size_t size) {
    return checked(realloc(p, size), size);
}

void *xreallocarray(void *p, size_t count, size_t size) {
    size_t total;
    CHECK(size_mul(count, size, &total));
    return xrealloc(p, total);
}

char *xstrdup(struct str s) {
    char *copy = xmalloc(s.n + 1);
    if (s.n) {
        memcpy(copy, s.p, s.n);
    }
    copy[s.n] = '\0';
    return copy;
}

void check_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "skiff: %s:%d: check failed: %s\n", file, line, condition);
    abort();
}
