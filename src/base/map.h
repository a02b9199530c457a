// SPDX-License-Identifier: Apache-2.0
// A hash table from text to pointer. Keys are copied in; iteration is in no useful order.
#ifndef SKIFF_BASE_MAP_H
#define SKIFF_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct map;

struct map *map_create(void);
void map_destroy(struct map *map); // values are not touched
AUTO_DEFINE(struct map, map_destroy)
size_t map_len(const struct map *map);
void *map_find(const struct map *map, struct str key); // NULL when absent
// Returns the value that was there before, or NULL. `value` must not be NULL.
void *map_put(struct map *map, struct str key, void *value);
void *map_remove(struct map *map, struct str key); // returns what was removed, or NULL
// The key as stored, living until its removal; {NULL,0} when absent.
struct str map_key(const struct map *map, struct str key);

// for (size_t i = 0; map_next(map, &i, &key, &value);) ... ; the table must not change meanwhile.
bool map_next(const struct map *map, size_t *iter, struct str *key, void **value);

#endif
