// SPDX-License-Identifier: Apache-2.0
// A set of fields is a tree: "f:NAME" is a member, "k:{KEYS}" an item of a keyed list, "v:VALUE" one of a set, "." the
// node itself; a node without children is a leaf.
#include "apiserver/fieldset.h"

// How lists are keyed is known to the tables of schema/ only.
#include "schema/schema_internal.h"

static bool is_keyed(const struct schema_at *at) {
    return at->field && (at->field->flags & SCHEMA_LIST_MAP) && at->field->keys;
}

static bool is_set(const struct schema_at *at) {
    return at->field && (at->field->flags & SCHEMA_LIST_SET);
}

static bool is_atomic(const struct schema_at *at) {
    return (at->object && at->object->atomic) ||
           (at->field && (at->field->flags & SCHEMA_MAP_ATOMIC) && at->shapes[0] != SCHEMA_LIST);
}

// "k:{...}" of an item; a port without a protocol is a TCP port, as its default says.
static struct str item_element(struct arena *arena, const char *keys,
                               const struct doc_value *item) {
    struct doc_object out = doc_object_start(arena);
    struct str rest = str_from(keys);
    struct str key;
    while (str_next(&rest, ' ', &key)) {
        const struct doc_value *value = doc_find(item, key);
        struct doc_value fallback = str_eq(key, STR("protocol")) ? DOC_S("TCP") : doc_null();
        doc_object_set(&out, key, value ? *value : fallback);
    }
    struct doc_value object = doc_object_done(&out);
    struct buf text;
    buf_init(&text, 64 * 1024);
    doc_print_canonical(&object, &text);
    struct str element = arena_printf(arena, "k:%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return element;
}

static struct str value_element(struct arena *arena, const struct doc_value *value) {
    return arena_concat(arena, STR("v:"), doc_to_json(arena, value));
}

static struct doc_value leaf(struct arena *arena) {
    struct doc_object out = doc_object_start(arena);
    return doc_object_done(&out);
}

static struct doc_value set_of(struct arena *arena, struct schema_at at,
                               const struct doc_value *value, bool item) {
    struct doc_object out = doc_object_start(arena);
    if (item) {
        doc_object_set_c(&out, ".", leaf(arena));
    }
    if (doc_is(value, DOC_OBJECT) && !is_atomic(&at)) {
        for (DOC_EACH_MEMBER(value, i)) {
            struct str key = doc_key_at(value, i);
            doc_object_set(
                &out, arena_concat(arena, STR("f:"), key),
                set_of(arena, schema_at_member(&at, key), doc_value_at(value, i), false));
        }
    } else if (doc_is(value, DOC_ARRAY) && is_keyed(&at)) {
        for (DOC_EACH_ITEM(value, element)) {
            doc_object_set(&out, item_element(arena, at.field->keys, element),
                           set_of(arena, schema_at_item(&at), element, true));
        }
    } else if (doc_is(value, DOC_ARRAY) && is_set(&at)) {
        for (DOC_EACH_ITEM(value, element)) {
            doc_object_set(&out, value_element(arena, element), leaf(arena));
        }
    }
    return doc_object_done(&out);
}

struct doc_value fieldset_of(struct arena *arena, const struct schema_type *type,
                             const struct doc_value *config) {
    static const char *const identity[] = {"name",          "namespace",       "uid",
                                           "generateName",  "generation",      "selfLink",
                                           "managedFields", "resourceVersion", "creationTimestamp"};
    struct doc_value named = doc_without(arena, config, "apiVersion");
    named = doc_without(arena, &named, "kind");
    for (size_t i = 0; i < ARRAY_LEN(identity); i++) {
        named = doc_without(arena, &named, "metadata", identity[i]);
    }
    if (doc_len(doc_get(&named, "metadata")) == 0) {
        named = doc_without(arena, &named, "metadata");
    }
    return set_of(arena, schema_at_type(type), &named, false);
}

// ---- Finding what an element names ----
static bool has_keys(const struct doc_value *item, const struct doc_value *keys) {
    for (DOC_EACH_MEMBER(keys, i)) {
        const struct doc_value *value = doc_find(item, doc_key_at(keys, i));
        struct doc_value fallback =
            str_eq(doc_key_at(keys, i), STR("protocol")) ? DOC_S("TCP") : doc_null();
        if (!doc_equal(value ? value : &fallback, doc_value_at(keys, i))) {
            return false;
        }
    }
    return doc_is(item, DOC_OBJECT);
}

static size_t find_item(struct arena *arena, const struct doc_value *list, struct str element) {
    struct doc_value want;
    if (!doc_parse_json(str_skip(element, 2), arena, &want, NULL)) {
        return STR_NPOS;
    }
    bool keyed = str_starts(element, STR("k:"));
    for (size_t i = 0; i < doc_len(list); i++) {
        const struct doc_value *item = doc_at(list, i);
        if (item && (keyed ? has_keys(item, &want) : doc_equal(item, &want))) {
            return i;
        }
    }
    return STR_NPOS;
}

static const struct doc_value *value_at(struct arena *arena, const struct doc_value *value,
                                        struct str element) {
    if (str_starts(element, STR("f:"))) {
        return doc_find(value, str_skip(element, 2));
    }
    size_t i = doc_is(value, DOC_ARRAY) ? find_item(arena, value, element) : STR_NPOS;
    return i == STR_NPOS ? NULL : doc_at(value, i);
}

static bool is_leaf(const struct doc_value *set) {
    return doc_len(set) == 0;
}

// ---- Merging ----
static struct doc_value merge(struct arena *arena, struct schema_at at,
                              const struct doc_value *live, const struct doc_value *config);

static struct doc_value merge_list(struct arena *arena, struct schema_at at,
                                   const struct doc_value *live, const struct doc_value *config) {
    bool keyed = is_keyed(&at);
    struct doc_array out = doc_array_start(arena);
    bool *used = ARENA_ARRAY(arena, doc_len(config) + 1, bool);
    for (DOC_EACH_ITEM(live, item)) {
        struct str element =
            keyed ? item_element(arena, at.field->keys, item) : value_element(arena, item);
        size_t i = find_item(arena, config, element);
        if (i == STR_NPOS) {
            doc_array_add(&out, *item);
        } else if (!used[i]) {
            used[i] = true;
            doc_array_add(&out, keyed ? merge(arena, schema_at_item(&at), item, doc_at(config, i))
                                      : *item);
        }
    }
    for (size_t i = 0; i < doc_len(config); i++) {
        if (!used[i]) {
            doc_array_add(&out, *doc_at(config, i));
        }
    }
    return doc_array_done(&out);
}

static struct doc_value merge(struct arena *arena, struct schema_at at,
                              const struct doc_value *live, const struct doc_value *config) {
    if (doc_is(live, DOC_OBJECT) && doc_is(config, DOC_OBJECT) && !is_atomic(&at)) {
        struct doc_object out = doc_object_copy(arena, live);
        for (DOC_EACH_MEMBER(config, i)) {
            struct str key = doc_key_at(config, i);
            const struct doc_value *old = doc_find(live, key);
            const struct doc_value *value = doc_value_at(config, i);
            doc_object_set(&out, key,
                           old ? merge(arena, schema_at_member(&at, key), old, value) : *value);
        }
        return doc_object_done(&out);
    }
    if (doc_is(live, DOC_ARRAY) && doc_is(config, DOC_ARRAY) && (is_keyed(&at) || is_set(&at))) {
        return merge_list(arena, at, live, config);
    }
    return *config;
}

struct doc_value fieldset_merge(struct arena *arena, const struct schema_type *type,
                                const struct doc_value *live, const struct doc_value *config) {
    return merge(arena, schema_at_type(type), live, config);
}

// ---- Dropping what is no longer applied ----
struct drop {
    struct arena *arena;
    size_t count; // of other sets; those that end on the way are NULL
};

static struct doc_value drop(const struct drop *ctx, const struct doc_value *value,
                             const struct doc_value *before, const struct doc_value *after,
                             const struct doc_value *const *others);

static struct doc_value without(const struct drop *ctx, const struct doc_value *value,
                                struct str element) {
    if (str_starts(element, STR("f:"))) {
        struct doc_object out = doc_object_copy(ctx->arena, value);
        doc_object_remove(&out, str_skip(element, 2));
        return doc_object_done(&out);
    }
    size_t gone = find_item(ctx->arena, value, element);
    struct doc_array out = doc_array_start(ctx->arena);
    for (size_t i = 0; i < doc_len(value); i++) {
        if (i != gone) {
            doc_array_add(&out, *doc_at(value, i));
        }
    }
    return doc_array_done(&out);
}

static struct doc_value replaced(const struct drop *ctx, const struct doc_value *value,
                                 struct str element, struct doc_value child) {
    if (str_starts(element, STR("f:"))) {
        struct doc_object out = doc_object_copy(ctx->arena, value);
        doc_object_set(&out, str_skip(element, 2), child);
        return doc_object_done(&out);
    }
    size_t at = find_item(ctx->arena, value, element);
    struct doc_array out = doc_array_start(ctx->arena);
    for (size_t i = 0; i < doc_len(value); i++) {
        doc_array_add(&out, i == at ? child : *doc_at(value, i));
    }
    return doc_array_done(&out);
}

static struct doc_value drop_element(const struct drop *ctx, const struct doc_value *value,
                                     struct str element, const struct doc_value *before,
                                     const struct doc_value *after,
                                     const struct doc_value *const *others) {
    const struct doc_value *child = value_at(ctx->arena, value, element);
    if (!child) {
        return *value;
    }
    const struct doc_value **below =
        ARENA_ARRAY(ctx->arena, ctx->count + 1, const struct doc_value *);
    bool kept = after != NULL;
    for (size_t i = 0; i < ctx->count; i++) {
        below[i] = doc_find(others[i], element);
        kept |= below[i] != NULL;
    }
    bool own = is_leaf(before) || doc_find(before, STR("."));
    if (own && !kept) {
        return without(ctx, value, element);
    }
    struct doc_value next = drop(ctx, child, before, after, below);
    if (!kept && doc_len(&next) == 0 && doc_len(child) > 0) {
        return without(ctx, value, element); // nothing of it is left
    }
    return replaced(ctx, value, element, next);
}

static struct doc_value drop(const struct drop *ctx, const struct doc_value *value,
                             const struct doc_value *before, const struct doc_value *after,
                             const struct doc_value *const *others) {
    struct doc_value out = *value;
    for (DOC_EACH_MEMBER(before, i)) {
        struct str element = doc_key_at(before, i);
        const struct doc_value *next = doc_value_at(before, i);
        const struct doc_value *still = doc_find(after, element);
        if (!str_eq(element, STR(".")) && !(still && is_leaf(next))) {
            out = drop_element(ctx, &out, element, next, still, others);
        }
    }
    return out;
}

struct doc_value fieldset_drop(struct arena *arena, const struct doc_value *merged,
                               const struct doc_value *before, const struct doc_value *after,
                               const struct doc_value *const *others, size_t count) {
    struct drop ctx = {.arena = arena, .count = count};
    return drop(&ctx, merged, before, after, others);
}

// ---- Conflicts ----
static struct str path_of(struct arena *arena, struct str parent, struct str element) {
    struct str name = str_skip(element, 2);
    if (str_starts(element, STR("f:"))) {
        return arena_printf(arena, "%.*s.%.*s", STR_ARG(parent), STR_ARG(name));
    }
    struct doc_value keys;
    if (!str_starts(element, STR("k:")) || !doc_parse_json(name, arena, &keys, NULL)) {
        return arena_printf(arena, "%.*s[=%.*s]", STR_ARG(parent), STR_ARG(name));
    }
    struct str text = {NULL, 0};
    for (DOC_EACH_MEMBER(&keys, i)) {
        text = arena_printf(arena, "%.*s%s%.*s=%.*s", STR_ARG(text), text.n ? "," : "",
                            STR_ARG(doc_key_at(&keys, i)),
                            STR_ARG(doc_to_json(arena, doc_value_at(&keys, i))));
    }
    return arena_printf(arena, "%.*s[%.*s]", STR_ARG(parent), STR_ARG(text));
}

static struct doc_value conflicts(struct arena *arena, const struct doc_value *mine,
                                  const struct doc_value *other, const struct doc_value *live,
                                  const struct doc_value *config, struct str path,
                                  struct field_paths *paths) {
    struct doc_object out = doc_object_copy(arena, other);
    for (DOC_EACH_MEMBER(mine, i)) {
        struct str element = doc_key_at(mine, i);
        const struct doc_value *theirs = doc_find(other, element);
        if (!theirs || str_eq(element, STR("."))) {
            continue;
        }
        const struct doc_value *next = doc_value_at(mine, i);
        const struct doc_value *old = value_at(arena, live, element);
        const struct doc_value *value = value_at(arena, config, element);
        struct str child = path_of(arena, path, element);
        if (is_leaf(next) || is_leaf(theirs)) {
            if (!old || !value || !doc_equal(old, value)) {
                VEC_PUSH(&paths->list, child);
                doc_object_remove(&out, element);
            }
        } else {
            struct doc_value rest = conflicts(arena, next, theirs, old, value, child, paths);
            if (doc_len(&rest)) {
                doc_object_set(&out, element, rest);
            } else {
                doc_object_remove(&out, element);
            }
        }
    }
    return doc_object_done(&out);
}

struct doc_value fieldset_conflicts(struct arena *arena, const struct doc_value *mine,
                                    const struct doc_value *other, const struct doc_value *live,
                                    const struct doc_value *config, struct field_paths *paths) {
    return conflicts(arena, mine, other, live, config, (struct str){NULL, 0}, paths);
}
