// SPDX-License-Identifier: Apache-2.0
// Typed vectors on the heap: VEC(struct str) names = {0}; VEC_PUSH(&names, s); VEC_FREE(&names);
#ifndef SKIFF_BASE_VEC_H
#define SKIFF_BASE_VEC_H

#include <stddef.h>

#include "base/mem.h"

#define VEC(type)    \
    struct {         \
        type *items; \
        size_t len;  \
        size_t cap;  \
    }

void *vec_grow(void *items, size_t *cap, size_t want, size_t item_size);

#define VEC_RESERVE(v, want)                                                                  \
    ((void)((want) > (v)->cap                                                                 \
                ? ((v)->items = vec_grow((v)->items, &(v)->cap, (want), sizeof(*(v)->items))) \
                : (v)->items))
#define VEC_PUSH(v, item)                \
    do {                                 \
        VEC_RESERVE(v, (v)->len + 1);    \
        (v)->items[(v)->len++] = (item); \
    } while (0)
#define VEC_REMOVE_SWAP(v, i) ((v)->items[(i)] = (v)->items[--(v)->len])
#define VEC_FREE(v)              \
    do {                         \
        free((v)->items);        \
        (v)->items = NULL;       \
        (v)->len = (v)->cap = 0; \
    } while (0)

#endif
