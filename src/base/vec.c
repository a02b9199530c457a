// SPDX-License-Identifier: Apache-2.0
#include "base/vec.h"

void *vec_grow(void *items, size_t *cap, size_t want, size_t item_size) {
    size_t grown = *cap < 4 ? 4 : *cap + *cap / 2;
    grown = grown < want ? want : grown;
    items = xreallocarray(items, grown, item_size);
    *cap = grown;
    return items;
}
