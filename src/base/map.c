// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing and backward-shift deletion, so there are no tombstones to collect.
#include "base/map.h"

struct key {
    uint32_t len;
    char text[];
};

struct slot {
    uint64_t hash;
    struct key *key; // NULL: empty
    void *value;
};

struct map {
    struct slot *slots;
    size_t mask; // number of slots - 1; slots is NULL when empty
    size_t len;
};

struct map *map_create(void) {
    return NEW(struct map);
}

void map_destroy(struct map *map) {
    if (!map) {
        return;
    }
    for (size_t i = 0; map->slots && i <= map->mask; i++) {
        free(map->slots[i].key);
    }
    free(map->slots);
    free(map);
}

size_t map_len(const struct map *map) {
    return map->len;
}

static struct slot *find_slot(const struct map *map, struct str key, uint64_t hash) {
    for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        struct slot *slot = &map->slots[i];
        if (!slot->key || (slot->hash == hash && slot->key->len == key.n &&
                           (key.n == 0 || memcmp(slot->key->text, key.p, key.n) == 0))) {
            return slot;
        }
    }
}

void *map_find(const struct map *map, struct str key) {
    return map->slots ? find_slot(map, key, str_hash(key))->value : NULL;
}

struct str map_key(const struct map *map, struct str key) {
    struct slot *slot = map->slots ? find_slot(map, key, str_hash(key)) : NULL;
    return slot && slot->key ? (struct str){slot->key->text, slot->key->len}
                             : (struct str){NULL, 0};
}

static void resize(struct map *map, size_t count) {
    struct slot *old = map->slots;
    size_t old_count = old ? map->mask + 1 : 0;
    map->slots = xcalloc(count, sizeof(struct slot));
    map->mask = count - 1;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].key) {
            size_t at = old[i].hash & map->mask;
            while (map->slots[at].key) {
                at = (at + 1) & map->mask;
            }
            map->slots[at] = old[i];
        }
    }
    free(old);
}

void *map_put(struct map *map, struct str key, void *value) {
    CHECK(value != NULL && key.n < UINT32_MAX);
    if (!map->slots || (map->len + 1) * 4 > (map->mask + 1) * 3) {
        resize(map, map->slots ? (map->mask + 1) * 2 : 8);
    }
    uint64_t hash = str_hash(key);
    struct slot *slot = find_slot(map, key, hash);
    void *old = slot->value;
    if (!slot->key) {
        slot->key = xmalloc(sizeof(struct key) + key.n);
        slot->key->len = (uint32_t)key.n;
        if (key.n) {
            memcpy(slot->key->text, key.p, key.n);
        }
        slot->hash = hash;
        map->len++;
    }
    slot->value = value;
    return old;
}

void *map_remove(struct map *map, struct str key) {
    struct slot *slot = map->slots ? find_slot(map, key, str_hash(key)) : NULL;
    if (!slot || !slot->key) {
        return NULL;
    }
    void *old = slot->value;
    free(slot->key);
    size_t hole = (size_t)(slot - map->slots);
    for (size_t i = (hole + 1) & map->mask; map->slots[i].key; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;
        // An entry may move back to the hole unless its home lies cyclically in (hole, i].
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct slot){0};
    map->len--;
    return old;
}

bool map_next(const struct map *map, size_t *iter, struct str *key, void **value) {
    size_t count = map->slots ? map->mask + 1 : 0;
    for (; *iter < count; (*iter)++) {
        const struct slot *slot = &map->slots[*iter];
        if (slot->key) {
            if (key) {
                *key = (struct str){slot->key->text, slot->key->len};
            }
            if (value) {
                *value = slot->value;
            }
            (*iter)++;
            return true;
        }
    }
    return false;
}
