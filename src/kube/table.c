// SPDX-License-Identifier: Apache-2.0
// A set of pointers to records that carry their own hash and key: 8 bytes a slot, so that 100,000 objects cost little
// more than themselves. Linear probing, backward-shift deletion.
#include "kube/internal.h"

static uint32_t hash_of(const void *item) {
    uint32_t hash;
    memcpy(&hash, item, sizeof hash);
    return hash;
}

void *kube_set_find(const struct kube_set *set, uint32_t hash, kube_set_eq *eq, const void *key) {
    if (!set->slots) {
        return NULL;
    }
    for (size_t i = hash & set->mask; set->slots[i]; i = (i + 1) & set->mask) {
        if (hash_of(set->slots[i]) == hash && eq(set->slots[i], key)) {
            return set->slots[i];
        }
    }
    return NULL;
}

static void put(struct kube_set *set, void *item) {
    size_t i = hash_of(item) & set->mask;
    while (set->slots[i]) {
        i = (i + 1) & set->mask;
    }
    set->slots[i] = item;
}

static void resize(struct kube_set *set, size_t slots) {
    struct kube_set old = *set;
    set->slots = xcalloc(slots, sizeof *set->slots);
    set->mask = slots - 1;
    for (size_t i = 0; old.slots && i <= old.mask; i++) {
        if (old.slots[i]) {
            put(set, old.slots[i]);
        }
    }
    free(old.slots);
}

void kube_set_add(struct kube_set *set, void *item) {
    size_t slots = set->slots ? set->mask + 1 : 0;
    if ((set->len + 1) * 5 > slots * 4) {
        resize(set, slots ? slots * 2 : 8);
    }
    put(set, item);
    set->len++;
}

static size_t slot_of(const struct kube_set *set, const void *item) {
    size_t i = hash_of(item) & set->mask;
    while (set->slots[i] != item) {
        CHECK(set->slots[i]);
        i = (i + 1) & set->mask;
    }
    return i;
}

void kube_set_replace(struct kube_set *set, void *old, void *item) {
    CHECK(hash_of(old) == hash_of(item));
    set->slots[slot_of(set, old)] = item;
}

void kube_set_remove(struct kube_set *set, void *item) {
    size_t hole = slot_of(set, item);
    for (size_t i = (hole + 1) & set->mask; set->slots[i]; i = (i + 1) & set->mask) {
        size_t home = hash_of(set->slots[i]) & set->mask;
        // Moves back unless its home lies behind the hole.
        if (((i - home) & set->mask) >= ((i - hole) & set->mask)) {
            set->slots[hole] = set->slots[i];
            hole = i;
        }
    }
    set->slots[hole] = NULL;
    set->len--;
    if (set->len == 0) {
        kube_set_fini(set);
    } else if (set->mask > 63 && set->len * 8 < set->mask) {
        resize(set, (set->mask + 1) / 4);
    }
}

bool kube_set_next(const struct kube_set *set, size_t *iter, void **item) {
    while (set->slots && *iter <= set->mask) {
        void *found = set->slots[(*iter)++];
        if (found) {
            *item = found;
            return true;
        }
    }
    return false;
}

void kube_set_fini(struct kube_set *set) {
    free(set->slots);
    *set = (struct kube_set){0};
}

uint32_t kube_hash_pair(struct str a, struct str b) {
    uint64_t x = str_hash(a) * UINT64_C(0x9E3779B97F4A7C15) + str_hash(b);
    return (uint32_t)(x ^ (x >> 32));
}
