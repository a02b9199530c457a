// SPDX-License-Identifier: Apache-2.0
// The order of merged lists: items of the patch in the patch's order, the others where the server had them.
#include "schema/schema_internal.h"

const struct doc_value *schema_identity(const struct doc_value *item, struct str key) {
    return key.n ? doc_find(item, key) : item;
}

bool schema_is_deletion(const struct doc_value *item) {
    return str_eq_c(doc_str(doc_find(item, SCHEMA_DIRECTIVE)), "delete");
}

struct str schema_go_text(struct arena *arena, const struct doc_value *v) {
    if (doc_is(v, DOC_STRING)) {
        return doc_str(v);
    }
    if (doc_is(v, DOC_ARRAY)) {
        struct str text = STR("[");
        for (DOC_EACH_ITEM(v, item)) {
            struct str one = schema_go_text(arena, item);
            text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(text), text.n > 1 ? " " : "",
                                STR_ARG(str_first(one, ERR_MESSAGE_MAX)));
            if (text.n > ERR_MESSAGE_MAX) {
                return text;
            }
        }
        return arena_concat(arena, text, STR("]"));
    }
    if (!doc_is(v, DOC_OBJECT)) {
        return doc_is_null(v) ? STR("<nil>") : doc_to_json(arena, v);
    }
    struct str text = STR("map["), last = {NULL, 0};
    for (size_t n = 0; n < doc_len(v) && text.n <= ERR_MESSAGE_MAX; n++) {
        size_t next = STR_NPOS; // Go prints maps by key
        for (DOC_EACH_MEMBER(v, i)) {
            struct str key = doc_key_at(v, i);
            bool later = n == 0 || str_cmp(key, last) > 0;
            next = later && (next == STR_NPOS || str_cmp(key, doc_key_at(v, next)) < 0) ? i : next;
        }
        last = doc_key_at(v, next);
        struct str one = schema_go_text(arena, doc_value_at(v, next));
        text = arena_printf(arena, "%.*s%s%.*s:%.*s", STR_ARG(text), n ? " " : "", STR_ARG(last),
                            STR_ARG(str_first(one, ERR_MESSAGE_MAX)));
    }
    return arena_concat(arena, text, STR("]"));
}

bool schema_need_key(struct err *err, const struct doc_value *item, struct str key) {
    if (!doc_is(item, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID,
                       "expected a map in a list that is merged by \"%.*s\", but got %s",
                       STR_ARG(key), doc_kind_name(doc_kind(item)));
    }
    if (!doc_find(item, key)) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        return err_set(err, ERR_INVALID, "map: %.*s does not contain declared merge key: %.*s",
                       STR_ARG(schema_go_text(arena, item)), STR_ARG(key));
    }
    return true;
}

struct schema_order schema_order_start(struct arena *arena, size_t capacity, struct str key) {
    uint32_t size = 16;
    while (size < capacity * 2) {
        size *= 2;
    }
    struct schema_order order = {.key = key, .mask = size - 1};
    order.slots = ARENA_ARRAY(arena, size, struct schema_slot);
    return order;
}

void schema_order_add(struct schema_order *order, const struct doc_value *item, uint32_t position) {
    const struct doc_value *identity = schema_identity(item, order->key);
    if (!identity) {
        return;
    }
    uint32_t i = (uint32_t)doc_hash(identity) & order->mask;
    for (; order->slots[i].identity; i = (i + 1) & order->mask) {
        if (doc_equal(order->slots[i].identity, identity)) {
            return; // the first one counts
        }
    }
    order->slots[i] = (struct schema_slot){identity, position};
}

struct schema_order schema_order_make(struct arena *arena, const struct doc_value *list,
                                      struct str key) {
    struct schema_order order = schema_order_start(arena, doc_len(list), key);
    for (uint32_t i = 0; i < doc_len(list); i++) {
        schema_order_add(&order, doc_at(list, i), i);
    }
    return order;
}

uint32_t schema_order_find(const struct schema_order *order, const struct doc_value *item) {
    const struct doc_value *identity = schema_identity(item, order->key);
    if (!identity) {
        return SCHEMA_NOWHERE;
    }
    uint32_t i = (uint32_t)doc_hash(identity) & order->mask;
    for (; order->slots[i].identity; i = (i + 1) & order->mask) {
        if (doc_equal(order->slots[i].identity, identity)) {
            return order->slots[i].position;
        }
    }
    return SCHEMA_NOWHERE;
}

bool schema_item_kind(struct err *err, const struct doc_value *a, const struct doc_value *b,
                      enum doc_kind *kind) {
    const struct doc_value *lists[] = {a, b};
    bool any = false;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        for (DOC_EACH_ITEM(lists[l], item)) {
            if (doc_kind(item) == DOC_ARRAY) {
                return err_set(err, ERR_INVALID, "lists of lists are not supported");
            }
            if (any && doc_kind(item) != *kind) {
                return err_set(err, ERR_INVALID, "list element types are not identical: %s and %s",
                               doc_kind_name(*kind), doc_kind_name(doc_kind(item)));
            }
            *kind = doc_kind(item);
            any = true;
        }
    }
    if (!any) {
        *kind = DOC_NULL;
    }
    return true;
}

struct ranked {
    uint32_t rank, index;
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *left = a;
    const struct ranked *right = b;
    if (left->rank != right->rank) {
        return left->rank < right->rank ? -1 : 1;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

struct doc_value schema_sort_items(struct arena *arena, const struct doc_value *items,
                                   const struct doc_value *by, struct str key) {
    size_t count = doc_len(items);
    struct schema_order order = schema_order_make(arena, by, key);
    struct ranked *ranked = ARENA_ARRAY(arena, count ? count : 1, struct ranked);
    for (uint32_t i = 0; i < count; i++) {
        const struct doc_value *item = doc_at(items, i);
        // Unknown ones behind the known, deletions behind everything.
        uint32_t rank = schema_order_find(&order, item);
        rank = rank == SCHEMA_NOWHERE ? UINT32_MAX - 1 : rank;
        ranked[i] = (struct ranked){schema_is_deletion(item) ? UINT32_MAX : rank, i};
    }
    if (count > 1) {
        qsort(ranked, count, sizeof *ranked, compare_ranked);
    }
    struct doc_array sorted = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&sorted, *doc_at(items, ranked[i].index));
    }
    return doc_array_done(&sorted);
}

// Two sorted lists become one: an item of the server comes first only where the server had it before the next item of
// the patch.
static struct doc_value interleave(struct arena *arena, const struct doc_value *server,
                                   const struct doc_value *patch, const struct doc_value *by,
                                   struct str key) {
    struct schema_order order = schema_order_make(arena, by, key);
    struct doc_array all = doc_array_start(arena);
    size_t i = 0;
    size_t j = 0;
    while (i < doc_len(server) || j < doc_len(patch)) {
        bool take_server = j >= doc_len(patch);
        if (!take_server && i < doc_len(server)) {
            uint32_t left = schema_order_find(&order, doc_at(server, i));
            uint32_t right = schema_order_find(&order, doc_at(patch, j));
            take_server = left != SCHEMA_NOWHERE && right != SCHEMA_NOWHERE && left < right;
        }
        doc_array_add(&all, take_server ? *doc_at(server, i++) : *doc_at(patch, j++));
    }
    return doc_array_done(&all);
}

bool schema_order_merged(const struct schema_merge *m, const struct doc_value *merged,
                         const struct doc_value *patch_order, const struct doc_value *server_order,
                         struct str key, struct doc_value *out) {
    struct schema_order named = schema_order_make(m->arena, patch_order, key);
    struct doc_array patch = doc_array_start(m->arena);
    struct doc_array server = doc_array_start(m->arena);
    for (DOC_EACH_ITEM(merged, item)) {
        if (key.n && !schema_need_key(m->err, item, key)) {
            return false;
        }
        bool is_named = schema_order_find(&named, item) != SCHEMA_NOWHERE;
        doc_array_add(is_named ? &patch : &server, *item);
    }
    struct doc_value patch_items = doc_array_done(&patch);
    struct doc_value server_items = doc_array_done(&server);
    patch_items = schema_sort_items(m->arena, &patch_items, patch_order, key);
    server_items = schema_sort_items(m->arena, &server_items, server_order, key);
    *out = interleave(m->arena, &server_items, &patch_items, server_order, key);
    return true;
}
