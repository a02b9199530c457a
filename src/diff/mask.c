// SPDX-License-Identifier: Apache-2.0
// Secret values never leave in a diff: equal values get equal masks, different ones masks of different length, so that a
// reader sees that a value changed but not what it is.
#include "diff/diff_internal.h"

struct mask_seen {
    struct str value;
    unsigned mask;
};

struct masks {
    struct arena *arena;
    struct mask_seen *seen;
    size_t len, cap;
};

static struct doc_value mask_value(struct masks *masks, const struct doc_value *value) {
    struct str text = doc_is(value, DOC_STRING) ? doc_str(value) : doc_to_json(masks->arena, value);
    unsigned mask = 0;
    for (size_t i = 0; i < masks->len; i++) {
        if (str_eq(masks->seen[i].value, text)) {
            mask = masks->seen[i].mask;
        }
    }
    if (mask == 0) {
        mask = (unsigned)masks->len + 1;
        if (masks->len == masks->cap) {
            size_t cap = masks->cap ? masks->cap * 2 : 16;
            masks->seen = arena_grow(masks->arena, masks->seen, masks->cap * sizeof *masks->seen,
                                     cap * sizeof *masks->seen);
            masks->cap = cap;
        }
        masks->seen[masks->len++] = (struct mask_seen){text, mask};
    }
    enum { SHORTEST = 8, LONGEST = 512 };
    unsigned n = SHORTEST - 1 + mask;
    n = n > LONGEST ? LONGEST : n;
    char *stars = arena_alloc(masks->arena, n + 1);
    memset(stars, '+', n);
    stars[n] = '\0';
    return doc_make_str((struct str){stars, n});
}

static struct doc_value mask_fields(struct masks *masks, struct doc_value object,
                                    const char *field) {
    const struct doc_value *data = doc_get(&object, field);
    if (doc_is_null(data)) {
        return object;
    }
    if (!doc_is(data, DOC_OBJECT)) { // a mistake, and as secret as what was meant
        return doc_with(masks->arena, &object, mask_value(masks, data), field);
    }
    struct doc_object masked = doc_object_start(masks->arena);
    for (DOC_EACH_MEMBER(data, i)) {
        doc_object_set(&masked, doc_key_at(data, i), mask_value(masks, doc_value_at(data, i)));
    }
    return doc_with(masks->arena, &object, doc_object_done(&masked), field);
}

static struct doc_value mask_object(struct masks *masks, const struct doc_value *object) {
    if (!str_eq(doc_get_str(object, "kind"), STR("Secret")) || diff_group(object).n != 0) {
        return *object;
    }
    struct doc_value out = mask_fields(masks, *object, "data");
    out = mask_fields(masks, out, "stringData");
    const struct doc_value *applied = doc_get(&out, "metadata", "annotations", DIFF_LAST_APPLIED);
    if (applied) {
        // The annotation repeats the whole Secret in clear.
        out = doc_with(masks->arena, &out, mask_value(masks, applied), "metadata", "annotations",
                       DIFF_LAST_APPLIED);
    }
    return out;
}

struct doc_value diff_mask_secret(struct arena *arena, const struct doc_value *object) {
    struct masks masks = {.arena = arena};
    return mask_object(&masks, object);
}

void diff_mask_secret_pair(struct arena *arena, struct doc_value *a, struct doc_value *b) {
    struct masks masks = {.arena = arena};
    *a = mask_object(&masks, a);
    *b = mask_object(&masks, b);
}
