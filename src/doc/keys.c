// SPDX-License-Identifier: Apache-2.0
// Keys of objects: a Kubernetes list has millions of members and a few hundred different keys, so equal keys of one
// document are one allocation. Large objects get an index, which keeps look-ups, duplicate detection and comparison
// linear for documents that somebody made to be slow.
#include "doc/doc_internal.h"

#include <stddef.h>

const char doc_key_seed = 0;

const struct doc_key *doc_key_make_hashed(struct arena *arena, struct str text, uint32_t hash) {
    CHECK(text.n < UINT32_MAX);
    struct doc_key *key = arena_alloc(arena, offsetof(struct doc_key, text) + text.n + 1);
    key->len = (uint32_t)text.n;
    key->hash = hash;
    if (text.n) {
        memcpy(key->text, text.p, text.n);
    }
    key->text[text.n] = '\0';
    return key;
}

const struct doc_key *doc_key_make(struct arena *arena, struct str text) {
    text.p = text.p ? text.p : "";
    return doc_key_make_hashed(arena, text, doc_key_hash(text.p, text.n));
}

void doc_keys_init(struct doc_keys *keys, struct arena *arena) {
    keys->arena = arena;
    keys->slots = keys->first;
    keys->mask = DOC_KEYS_INLINE - 1;
    keys->count = 0;
    memset(keys->first, 0, sizeof keys->first);
}

void doc_keys_fini(struct doc_keys *keys) {
    if (keys->slots != keys->first) {
        free(keys->slots);
    }
}

static void insert_key(const struct doc_key **slots, uint32_t mask, const struct doc_key *key) {
    uint32_t i = key->hash & mask;
    while (slots[i]) {
        i = (i + 1) & mask;
    }
    slots[i] = key;
}

static void grow_keys(struct doc_keys *keys) {
    uint32_t mask = keys->mask * 4 + 3;
    const struct doc_key **slots = xcalloc((size_t)mask + 1, sizeof *slots);
    for (uint32_t i = 0; i <= keys->mask; i++) {
        if (keys->slots[i]) {
            insert_key(slots, mask, keys->slots[i]);
        }
    }
    doc_keys_fini(keys);
    keys->slots = slots;
    keys->mask = mask;
}

const struct doc_key *doc_keys_add(struct doc_keys *keys, struct str text, uint32_t hash) {
    if (keys->count >= keys->mask / 2) {
        grow_keys(keys);
    }
    const struct doc_key *key = doc_key_make_hashed(keys->arena, text, hash);
    insert_key(keys->slots, keys->mask, key);
    keys->count++;
    return key;
}

// ---- The index of one object ----

static struct doc_index *index_create(struct arena *arena, uint32_t cap) {
    CHECK(cap < UINT32_MAX / 4);
    uint32_t slots = 64;
    while (slots < cap + cap / 2) {
        slots *= 2;
    }
    size_t bytes = sizeof(struct doc_index) + (size_t)slots * sizeof(uint32_t);
    struct doc_index *index = arena_zalloc(arena, bytes);
    index->mask = slots - 1;
    return index;
}

void doc_index_add(struct doc_index *index, const struct doc_key *key, uint32_t position) {
    uint32_t i = key->hash & index->mask;
    while (index->slots[i]) {
        i = (i + 1) & index->mask;
    }
    index->slots[i] = position + 1;
}

struct doc_index *doc_index_build(struct arena *arena, const struct doc_member *members,
                                  uint32_t len, uint32_t cap) {
    struct doc_index *index = index_create(arena, cap);
    for (uint32_t i = 0; i < len; i++) {
        doc_index_add(index, members[i].key, i);
    }
    return index;
}

uint32_t doc_index_find(const struct doc_index *index, const struct doc_member *members,
                        struct str key, uint32_t hash) {
    for (uint32_t i = hash & index->mask; index->slots[i]; i = (i + 1) & index->mask) {
        uint32_t position = index->slots[i] - 1;
        const struct doc_key *at = members[position].key;
        if (at->hash == hash && doc_key_is(at, key.p, key.n)) {
            return position;
        }
    }
    return DOC_NOT_FOUND;
}

static uint32_t unique_in_large(struct arena *arena, struct doc_member *members, uint32_t len,
                                struct doc_index **out) {
    struct doc_index *index = index_create(arena, len);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < len; i++) {
        const struct doc_key *key = members[i].key;
        uint32_t at = doc_index_find(index, members, doc_key_str(key), key->hash);
        if (at != DOC_NOT_FOUND) {
            members[at].value = members[i].value;
            continue;
        }
        members[kept] = members[i];
        doc_index_add(index, key, kept);
        kept++;
    }
    *out = kept >= DOC_INDEX_MIN ? index : NULL;
    return kept;
}

uint32_t doc_members_unique(struct arena *arena, struct doc_member *members, uint32_t len,
                            struct doc_index **index) {
    *index = NULL;
    if (len >= DOC_INDEX_MIN) {
        return unique_in_large(arena, members, len, index);
    }
    // A key whose bit is not set yet is new; only where the bit is taken are the keys before it looked at.
    uint64_t seen[4] = {0};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < len; i++) {
        const struct doc_key *key = members[i].key;
        uint64_t bit = UINT64_C(1) << (key->hash >> 26);
        uint64_t *word = &seen[key->hash >> 24 & 3];
        uint32_t at = kept;
        if (*word & bit) {
            for (at = 0; at < kept && !doc_key_eq(members[at].key, key);) {
                at++;
            }
        }
        *word |= bit;
        if (at < kept) {
            members[at].value = members[i].value;
        } else {
            if (kept != i) {
                members[kept] = members[i];
            }
            kept++;
        }
    }
    return kept;
}

uint32_t doc_find_text(const struct doc_value *object, struct str key) {
    if (!doc_is(object, DOC_OBJECT)) {
        return DOC_NOT_FOUND;
    }
    const char *p = key.p ? key.p : "";
    if (object->flags & DOC_INDEXED) {
        return doc_index_find(doc_index_of(object), object->u.members, str_make(p, key.n),
                              doc_key_hash(p, key.n));
    }
    for (uint32_t i = 0; i < object->len; i++) {
        if (doc_key_is(object->u.members[i].key, p, key.n)) {
            return i;
        }
    }
    return DOC_NOT_FOUND;
}

uint32_t doc_find_key(const struct doc_value *object, const struct doc_key *key) {
    if (object->flags & DOC_INDEXED) {
        return doc_index_find(doc_index_of(object), object->u.members, doc_key_str(key), key->hash);
    }
    for (uint32_t i = 0; i < object->len; i++) {
        if (doc_key_eq(object->u.members[i].key, key)) {
            return i;
        }
    }
    return DOC_NOT_FOUND;
}
