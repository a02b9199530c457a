// SPDX-License-Identifier: Apache-2.0
// Equality and hash of trees. Most comparisons are between two versions of one object, so members are first looked for
// at the same place, and what both share (the same memory) is not looked at.
#include "doc/doc_internal.h"

static bool is_number(const struct doc_value *v) {
    return v->kind == DOC_INT || v->kind == DOC_NUMBER;
}

static bool objects_equal(const struct doc_value *a, const struct doc_value *b) {
    for (uint32_t i = 0; i < a->len; i++) {
        const struct doc_member *member = &a->u.members[i];
        uint32_t at = i;
        if (!doc_key_eq(b->u.members[i].key, member->key)) {
            at = doc_find_key(b, member->key);
        }
        // Keys of one object differ, so as many members all found are the same set.
        if (at == DOC_NOT_FOUND || !doc_equal(&member->value, &b->u.members[at].value)) {
            return false;
        }
    }
    return true;
}

bool doc_equal(const struct doc_value *a, const struct doc_value *b) {
    if (doc_is_null(a) || doc_is_null(b)) {
        return doc_is_null(a) && doc_is_null(b);
    }
    if (is_number(a) && is_number(b)) {
        return doc_number_equal(a, b);
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch ((enum doc_kind)a->kind) {
    case DOC_BOOL:
        return a->u.boolean == b->u.boolean;
    case DOC_STRING:
        return str_eq(doc_str(a), doc_str(b));
    case DOC_ARRAY:
        if (a->len != b->len) {
            return false;
        }
        for (uint32_t i = 0; a->u.items != b->u.items && i < a->len; i++) {
            if (!doc_equal(&a->u.items[i], &b->u.items[i])) {
                return false;
            }
        }
        return true;
    case DOC_OBJECT:
        return a->len == b->len && (a->u.members == b->u.members || objects_equal(a, b));
    case DOC_NULL:
    case DOC_INT:
    case DOC_NUMBER:
        break;
    }
    return true;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    return doc_fold(a ^ 0x2d358dccaa6c78a5U, b ^ 0x8bb84b93962eacc9U);
}

uint64_t doc_hash(const struct doc_value *v) {
    uint64_t h = 0;
    switch (doc_kind(v)) {
    case DOC_NULL:
        return mix(1, 0);
    case DOC_BOOL:
        return mix(2, v->u.boolean);
    case DOC_INT:
    case DOC_NUMBER:
        return mix(3, doc_number_hash(v));
    case DOC_STRING:
        return mix(4, str_hash(doc_str(v)));
    case DOC_ARRAY:
        for (uint32_t i = 0; i < v->len; i++) {
            h = mix(h, doc_hash(&v->u.items[i]));
        }
        return mix(5 + ((uint64_t)v->len << 8), h);
    case DOC_OBJECT:
        // A sum does not depend on the order. The key's stored hash is not used: it differs between processes.
        for (uint32_t i = 0; i < v->len; i++) {
            h += mix(str_hash(doc_key_at(v, i)), doc_hash(&v->u.members[i].value));
        }
        return mix(6 + ((uint64_t)v->len << 8), h);
    }
    return h;
}
