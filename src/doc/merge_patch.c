// SPDX-License-Identifier: Apache-2.0
// JSON merge patch (RFC 7386) and the patch between two values.
#include "doc/doc_internal.h"

// A patch value where there was no object: its nulls mean nothing and go. Shared as it is where there are none.
static bool has_null_member(const struct doc_value *v) {
    for (DOC_EACH_MEMBER(v, i)) {
        const struct doc_value *value = doc_value_at(v, i);
        if (doc_is_null(value) || has_null_member(value)) {
            return true;
        }
    }
    return false;
}

// Takes the members out of `merged` that are null in `patch`, in one pass.
static void remove_nulls(struct doc_object *merged, const struct doc_value *patch) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < merged->len; i++) {
        uint32_t at = doc_find_key(patch, merged->members[i].key);
        if (at == DOC_NOT_FOUND || patch->u.members[at].value.kind != DOC_NULL) {
            merged->members[kept++] = merged->members[i];
        }
    }
    doc_object_truncate(merged, kept);
}

struct doc_value doc_merge_patch(struct arena *arena, const struct doc_value *root,
                                 const struct doc_value *patch) {
    if (!doc_is(patch, DOC_OBJECT)) {
        return patch ? *patch : doc_null();
    }
    if (!doc_is(root, DOC_OBJECT)) {
        if (!has_null_member(patch)) {
            return *patch;
        }
        root = NULL;
    } else if (patch->len == 0) {
        return *root;
    }
    struct doc_object merged = doc_object_copy(arena, root);
    bool nulls = false;
    for (DOC_EACH_MEMBER(patch, i)) {
        const struct doc_key *key = patch->u.members[i].key;
        const struct doc_value *value = doc_value_at(patch, i);
        if (value->kind == DOC_NULL) {
            nulls = true;
        } else {
            const struct doc_value *old = root ? doc_find(root, doc_key_str(key)) : NULL;
            doc_object_set_key(&merged, key, doc_merge_patch(arena, old, value));
        }
    }
    if (nulls) {
        remove_nulls(&merged, patch);
    }
    return doc_object_done(&merged);
}

struct doc_value doc_merge_diff(struct arena *arena, const struct doc_value *from,
                                const struct doc_value *to) {
    struct doc_object diff = doc_object_start(arena);
    if (!doc_is(from, DOC_OBJECT) || !doc_is(to, DOC_OBJECT)) {
        if (doc_equal(from, to)) {
            return doc_object_done(&diff);
        }
        return to ? *to : doc_null();
    }
    for (DOC_EACH_MEMBER(from, i)) {
        const struct doc_key *key = from->u.members[i].key;
        if (doc_find_key(to, key) == DOC_NOT_FOUND) {
            doc_object_set_key(&diff, key, doc_null());
        }
    }
    for (DOC_EACH_MEMBER(to, i)) {
        const struct doc_key *key = to->u.members[i].key;
        const struct doc_value *value = doc_value_at(to, i);
        uint32_t at = doc_find_key(from, key);
        const struct doc_value *old = at == DOC_NOT_FOUND ? NULL : doc_value_at(from, at);
        if (!old) {
            doc_object_set_key(&diff, key, *value);
        } else if (doc_is(old, DOC_OBJECT) && doc_is(value, DOC_OBJECT)) {
            struct doc_value inner = doc_merge_diff(arena, old, value);
            if (inner.len) {
                doc_object_set_key(&diff, key, inner);
            }
        } else if (!doc_equal(old, value)) {
            doc_object_set_key(&diff, key, *value);
        }
    }
    return doc_object_done(&diff);
}
