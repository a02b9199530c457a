// SPDX-License-Identifier: Apache-2.0
// Sets of fields and values: merging a configuration into an object, and taking fields out of it.
#include "apiserver/fieldset.h"

#include "base/map.h"

// ---- Items of a list by their elements ----
struct items {
    const struct doc_value *list;
    struct str *names;     // of each item; empty where it cannot be told apart
    struct map *positions; // name -> position + 1 of the first; NULL for short lists
};

enum { SHORT_LIST = 12 };

static struct items items_of(struct arena *arena, const struct schema_fields *at,
                             const struct doc_value *list) {
    size_t count = doc_len(list);
    struct items out = {.list = list, .names = ARENA_ARRAY(arena, count + 1, struct str)};
    out.positions = count > SHORT_LIST ? map_create() : NULL;
    for (size_t i = 0; i < count; i++) {
        out.names[i] = fieldset_element(arena, at, doc_at(list, i), NULL);
        if (out.positions && out.names[i].n && !map_find(out.positions, out.names[i])) {
            map_put(out.positions, out.names[i], (void *)(uintptr_t)(i + 1));
        }
    }
    return out;
}

static size_t position_of(const struct items *items, struct str name) {
    if (!name.n) {
        return STR_NPOS;
    }
    if (items->positions) {
        uintptr_t found = (uintptr_t)map_find(items->positions, name);
        return found ? found - 1 : STR_NPOS;
    }
    for (size_t i = 0; i < doc_len(items->list); i++) {
        if (str_eq(items->names[i], name)) {
            return i;
        }
    }
    return STR_NPOS;
}

static void items_fini(struct items *items) {
    map_destroy(items->positions);
}

// ---- Merging ----
static struct doc_value merge(struct arena *arena, const struct schema_fields *at,
                              const struct doc_value *live, const struct doc_value *config);

// The configuration's items in its order; items that only the object has stay where they are between the common ones.
static struct doc_value merge_list(struct arena *arena, const struct schema_fields *at,
                                   const struct doc_value *live, const struct doc_value *config) {
    struct schema_fields below = schema_fields_item(at);
    struct items mine = items_of(arena, at, config), theirs = items_of(arena, at, live);
    size_t live_count = doc_len(live), count = doc_len(config);
    struct doc_array out = doc_array_start(arena);
    bool *done = ARENA_ARRAY(arena, count + 1, bool);
    // Where each item of the configuration is in the object, and the next one from there on that both have.
    size_t *there = ARENA_ARRAY(arena, count + 1, size_t);
    size_t *shared = ARENA_ARRAY(arena, count + 1, size_t);
    shared[count] = count;
    for (size_t i = count; i-- > 0;) {
        there[i] = position_of(&theirs, mine.names[i]);
        shared[i] = there[i] == STR_NPOS ? shared[i + 1] : i;
    }
    for (size_t l = 0, r = 0; l < live_count || r < count;) {
        if (l < live_count) {
            size_t here = position_of(&mine, theirs.names[l]);
            if (here == STR_NPOS) {
                doc_array_add(&out, *doc_at(live, l++));
                continue;
            }
            if (done[here] || (here != r && here != shared[r])) {
                l++; // comes, or came, at its place in the configuration
                continue;
            }
        }
        const struct doc_value *old = there[r] == STR_NPOS ? NULL : doc_at(live, there[r]);
        const struct doc_value *item = doc_at(config, r);
        doc_array_add(&out, old ? merge(arena, &below, old, item) : *item);
        l += l < live_count && l == there[r];
        done[r++] = true;
    }
    items_fini(&mine);
    items_fini(&theirs);
    return doc_array_done(&out);
}

static struct doc_value merge(struct arena *arena, const struct schema_fields *at,
                              const struct doc_value *live, const struct doc_value *config) {
    if (doc_is(live, DOC_OBJECT) && doc_is(config, DOC_OBJECT) &&
        schema_fields_map(at) == SCHEMA_BY_MEMBER) {
        struct doc_object out = doc_object_copy(arena, live);
        for (DOC_EACH_MEMBER(config, i)) {
            struct str key = doc_key_at(config, i);
            const struct doc_value *old = doc_find(live, key), *value = doc_value_at(config, i);
            struct schema_fields next = schema_fields_member(at, key, NULL);
            doc_object_set(&out, key, old ? merge(arena, &next, old, value) : *value);
        }
        return doc_object_done(&out);
    }
    if (doc_is(live, DOC_ARRAY) && doc_is(config, DOC_ARRAY) && doc_len(live) && doc_len(config) &&
        schema_fields_list(at) != SCHEMA_ONE_PIECE) {
        return merge_list(arena, at, live, config);
    }
    bool list = doc_is(live, DOC_ARRAY) && doc_is(config, DOC_ARRAY) &&
                schema_fields_list(at) != SCHEMA_ONE_PIECE;
    return list && doc_len(live) ? *live : *config;
}

struct doc_value fieldset_merge(struct arena *arena, const struct schema_fields *root,
                                const struct doc_value *live, const struct doc_value *config) {
    return merge(arena, root, live, config);
}

// ---- Removing ----
static struct doc_value take_out(struct arena *arena, const struct schema_fields *at,
                                 const struct doc_value *value, const struct fieldset *set);

// The member of a set of this name; the set is in byte order of its names.
static const struct fieldset *find_member(const struct fieldset *set, struct str key) {
    uint32_t low = 0, high = set->len;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct str name = set->items[middle]->name;
        int order = str_starts(name, STR("f:")) ? str_cmp(key, str_skip(name, 2)) : -1;
        if (order == 0) {
            return set->items[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static struct doc_value take_from_map(struct arena *arena, const struct schema_fields *at,
                                      const struct doc_value *value, const struct fieldset *set) {
    struct doc_object out = doc_object_start(arena);
    for (DOC_EACH_MEMBER(value, i)) {
        struct str key = doc_key_at(value, i);
        const struct doc_value *old = doc_value_at(value, i);
        const struct fieldset *item = find_member(set, key);
        if (item && item->member) {
            continue;
        }
        if (item && item->len) {
            struct schema_fields next = schema_fields_member(at, key, NULL);
            doc_object_set(&out, key, take_out(arena, &next, old, item));
        } else {
            doc_object_set(&out, key, *old);
        }
    }
    return doc_object_done(&out);
}

static struct doc_value take_from_list(struct arena *arena, const struct schema_fields *at,
                                       const struct doc_value *value, const struct fieldset *set) {
    struct doc_array out = doc_array_start(arena);
    struct schema_fields next = schema_fields_item(at);
    for (DOC_EACH_ITEM(value, item)) {
        struct str name = fieldset_element(arena, at, item, NULL);
        const struct fieldset *found = name.n ? fieldset_find(set, name) : NULL;
        if (!found) {
            doc_array_add(&out, *item);
        } else if (!found->member) {
            doc_array_add(&out, take_out(arena, &next, item, found));
        }
    }
    return out.len ? doc_array_done(&out) : doc_null();
}

// What loses all its members becomes null, which is as good as absent.
static struct doc_value take_out(struct arena *arena, const struct schema_fields *at,
                                 const struct doc_value *value, const struct fieldset *set) {
    if (doc_is(value, DOC_OBJECT) && schema_fields_map(at) == SCHEMA_BY_MEMBER && doc_len(value)) {
        struct doc_value out = take_from_map(arena, at, value, set);
        return doc_len(&out) ? out : doc_null();
    }
    if (doc_is(value, DOC_ARRAY) && schema_fields_list(at) != SCHEMA_ONE_PIECE && doc_len(value)) {
        return take_from_list(arena, at, value, set);
    }
    return *value;
}

struct doc_value fieldset_remove(struct arena *arena, const struct schema_fields *root,
                                 const struct doc_value *value, const struct fieldset *set) {
    return fieldset_is_empty(set) ? *value : take_out(arena, root, value, set);
}

// ---- Structures as members ----
struct fieldset fieldset_with_named(struct arena *arena, const struct schema_fields *at,
                                    const struct fieldset *set) {
    struct fieldset out = {.name = set->name, .member = set->member};
    for (uint32_t i = 0; i < set->len; i++) {
        const struct fieldset *item = set->items[i];
        bool named = false;
        struct schema_fields next = str_starts(item->name, STR("f:"))
                                        ? schema_fields_member(at, str_skip(item->name, 2), &named)
                                        : schema_fields_item(at);
        struct fieldset *copy = fieldset_add(arena, &out, item->name);
        *copy = fieldset_with_named(arena, &next, item);
        copy->name = item->name;
        copy->member |= named;
    }
    return out;
}
