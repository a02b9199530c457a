// SPDX-License-Identifier: Apache-2.0
// Values as the API server would store them, so that what Git says and what lives in the cluster compare equal:
// quantities in canonical text (a number becomes text too), times in UTC without fractions, base64 without line breaks.
#include "schema/schema_internal.h"

#include "base/text.h"
#include "base/timefmt.h"

struct normalizer {
    struct arena *arena;
};

static bool normalize(const struct normalizer *n, const struct schema_at *at,
                      const struct doc_value *v, struct doc_value *out);

static bool changed_text(const struct doc_value *v, struct str text, struct doc_value *out) {
    if (doc_is(v, DOC_STRING) && str_eq(doc_str(v), text)) {
        return false;
    }
    *out = doc_make_str(text);
    return true;
}

static bool normalize_quantity(const struct normalizer *n, const struct doc_value *v,
                               struct doc_value *out) {
    struct str text = doc_str(v);
    struct str canonical;
    if (doc_is(v, DOC_INT) || doc_is(v, DOC_NUMBER)) {
        text = doc_number_text(v, n->arena);
    } else if (!doc_is(v, DOC_STRING)) {
        return false;
    }
    // What is no quantity stays: the API server's refusal tells more than ours could.
    return quantity_canonical(text, n->arena, &canonical) && changed_text(v, canonical, out);
}

static bool normalize_time(const struct normalizer *n, const struct doc_value *v, bool micro,
                           struct doc_value *out) {
    int64_t ns;
    if (!doc_is(v, DOC_STRING) || !time_parse(doc_str(v), &ns)) {
        return false;
    }
    struct str text = micro ? time_format_micro(n->arena, ns) : time_format(n->arena, ns);
    return changed_text(v, text, out);
}

static bool normalize_bytes(const struct normalizer *n, const struct doc_value *v,
                            struct doc_value *out) {
    struct str text = doc_str(v);
    struct str data;
    bool broken = str_find_char(text, '\n') != STR_NPOS || str_find_char(text, '\r') != STR_NPOS;
    return broken && base64_decode(text, n->arena, &data) &&
           changed_text(v, base64_encode(n->arena, data), out);
}

static bool normalize_scalar(const struct normalizer *n, uint8_t scalar, const struct doc_value *v,
                             struct doc_value *out) {
    switch ((enum schema_scalar)scalar) {
    case SCHEMA_QUANTITY:
        return normalize_quantity(n, v, out);
    case SCHEMA_TIME:
        return normalize_time(n, v, false, out);
    case SCHEMA_MICRO_TIME:
        return normalize_time(n, v, true, out);
    case SCHEMA_BYTES:
        return normalize_bytes(n, v, out);
    default:
        return false;
    }
}

static bool normalize_array(const struct normalizer *n, const struct schema_at *at,
                            const struct doc_value *v, struct doc_value *out) {
    struct schema_at item_at = schema_at_item(at);
    struct doc_value *items = NULL;
    for (size_t i = 0; i < doc_len(v); i++) {
        struct doc_value item;
        if (!normalize(n, &item_at, doc_at(v, i), &item)) {
            continue;
        }
        if (!items) {
            items = ARENA_ARRAY(n->arena, doc_len(v), struct doc_value);
            memcpy(items, doc_at(v, 0), doc_len(v) * sizeof *items);
        }
        items[i] = item;
    }
    if (!items) {
        return false;
    }
    struct doc_array array = doc_array_start(n->arena);
    for (size_t i = 0; i < doc_len(v); i++) {
        doc_array_add(&array, items[i]);
    }
    *out = doc_array_done(&array);
    return true;
}

static bool normalize_object(const struct normalizer *n, const struct schema_at *at,
                             const struct doc_value *v, struct doc_value *out) {
    struct doc_object object = {0};
    for (DOC_EACH_MEMBER(v, i)) {
        struct str key = doc_key_at(v, i);
        struct schema_at member_at = schema_at_member(at, key);
        struct doc_value member;
        if ((!member_at.object && member_at.scalar <= SCHEMA_OBJECT) ||
            !normalize(n, &member_at, doc_value_at(v, i), &member)) {
            continue;
        }
        if (!object.arena) {
            object = doc_object_copy(n->arena, v);
        }
        doc_object_set(&object, key, member);
    }
    if (!object.arena) {
        return false;
    }
    *out = doc_object_done(&object);
    return true;
}

// False when nothing changed and `out` is not set.
static bool normalize(const struct normalizer *n, const struct schema_at *at,
                      const struct doc_value *v, struct doc_value *out) {
    if (doc_is(v, DOC_ARRAY)) {
        return at->shapes[0] == SCHEMA_LIST && normalize_array(n, at, v, out);
    }
    if (doc_is(v, DOC_OBJECT)) {
        return at->shapes[0] != SCHEMA_LIST && normalize_object(n, at, v, out);
    }
    return at->shapes[0] == 0 && normalize_scalar(n, at->scalar, v, out);
}

struct doc_value schema_normalize(struct arena *arena, const struct schema_type *type,
                                  const struct doc_value *object) {
    struct normalizer n = {.arena = arena};
    struct schema_at at = schema_at_type(type);
    struct doc_value out;
    return type && normalize(&n, &at, object, &out) ? out : *object;
}
