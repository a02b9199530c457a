// SPDX-License-Identifier: Apache-2.0
// Reading, building and copy-on-write of values. A value is immutable once it left its builder.
#include "doc/doc_internal.h"

const char *doc_kind_name(enum doc_kind kind) {
    switch (kind) {
    case DOC_NULL:
        return "null";
    case DOC_BOOL:
        return "boolean";
    case DOC_INT:
        return "integer";
    case DOC_NUMBER:
        return "number";
    case DOC_STRING:
        return "string";
    case DOC_ARRAY:
        return "array";
    case DOC_OBJECT:
        return "object";
    }
    return "unknown";
}

const struct doc_value *doc_find(const struct doc_value *object, struct str key) {
    uint32_t at = doc_find_text(object, key);
    return at == DOC_NOT_FOUND ? NULL : &object->u.members[at].value;
}

const struct doc_value *doc_get_path(const struct doc_value *v, const char *const *keys) {
    for (; v && *keys; keys++) {
        v = doc_find(v, str_from(*keys));
    }
    return v;
}

struct doc_value doc_make_str(struct str borrowed) {
    CHECK(borrowed.n < UINT32_MAX);
    return (struct doc_value){
        .kind = DOC_STRING, .len = (uint32_t)borrowed.n, .u.text = borrowed.p ? borrowed.p : ""};
}

// ---- Objects ----

struct doc_object doc_object_start(struct arena *arena) {
    return (struct doc_object){.arena = arena};
}

// There is always room for one member more than `len`: the pointer to the index of a finished object stands there.
static void reserve_members(struct doc_object *object, uint32_t cap) {
    CHECK(cap < UINT32_MAX / 4);
    object->members =
        arena_grow(object->arena, object->members, (size_t)object->cap * sizeof(struct doc_member),
                   (size_t)cap * sizeof(struct doc_member));
    object->cap = cap;
}

struct doc_object doc_object_copy(struct arena *arena, const struct doc_value *object) {
    struct doc_object copy = doc_object_start(arena);
    if (doc_len(object) && object->kind == DOC_OBJECT) {
        reserve_members(&copy, object->len + 2);
        memcpy(copy.members, object->u.members, object->len * sizeof(struct doc_member));
        copy.len = object->len;
    }
    return copy;
}

static void ensure_index(struct doc_object *object) {
    if (object->len >= DOC_INDEX_MIN && !object->index) {
        object->index =
            doc_index_build(object->arena, object->members, object->len, object->len * 2);
    }
}

static uint32_t object_position(const struct doc_object *object, struct str key, uint32_t hash) {
    if (object->index) {
        return doc_index_find(object->index, object->members, key, hash);
    }
    for (uint32_t i = 0; i < object->len; i++) {
        if (doc_key_is(object->members[i].key, key.p, key.n)) {
            return i;
        }
    }
    return DOC_NOT_FOUND;
}

uint32_t doc_object_find(const struct doc_object *object, const struct doc_key *key) {
    return object_position(object, doc_key_str(key), key->hash);
}

uint32_t doc_object_position(struct doc_object *object, struct str key) {
    key.p = key.p ? key.p : "";
    ensure_index(object);
    return object_position(object, key, object->index ? doc_key_hash(key.p, key.n) : 0);
}

static void append_member(struct doc_object *object, const struct doc_key *key,
                          struct doc_value value) {
    if (object->len + 1 >= object->cap) {
        reserve_members(object, object->cap < 4 ? 6 : object->cap * 2);
    }
    object->members[object->len++] = (struct doc_member){key, value};
    if (object->index && object->len > object->index->mask / 4 * 3) {
        object->index = NULL; // too full: a new one twice the size
    }
    if (object->index) {
        doc_index_add(object->index, key, object->len - 1);
    }
}

void doc_object_set_key(struct doc_object *object, const struct doc_key *key,
                        struct doc_value value) {
    ensure_index(object);
    uint32_t at = doc_object_find(object, key);
    if (at != DOC_NOT_FOUND) {
        object->members[at].value = value;
    } else {
        append_member(object, key, value);
    }
}

void doc_object_set(struct doc_object *object, struct str key, struct doc_value value) {
    key.p = key.p ? key.p : "";
    ensure_index(object);
    uint32_t hash = doc_key_hash(key.p, key.n);
    uint32_t at = object_position(object, key, hash);
    if (at != DOC_NOT_FOUND) {
        object->members[at].value = value;
    } else {
        append_member(object, doc_key_make_hashed(object->arena, key, hash), value);
    }
}

void doc_object_set_c(struct doc_object *object, const char *key, struct doc_value value) {
    doc_object_set(object, str_from(key), value);
}

void doc_object_remove_at(struct doc_object *object, uint32_t position) {
    CHECK(position < object->len);
    object->len--;
    memmove(object->members + position, object->members + position + 1,
            (object->len - position) * sizeof(struct doc_member));
    object->index = NULL; // the positions behind have changed
}

void doc_object_truncate(struct doc_object *object, uint32_t len) {
    CHECK(len <= object->len);
    object->len = len;
    object->index = NULL;
}

void doc_object_remove(struct doc_object *object, struct str key) {
    key.p = key.p ? key.p : "";
    uint32_t at = object_position(object, key, object->index ? doc_key_hash(key.p, key.n) : 0);
    if (at != DOC_NOT_FOUND) {
        doc_object_remove_at(object, at);
    }
}

struct doc_value doc_object_done(const struct doc_object *object) {
    struct doc_value v = {.kind = DOC_OBJECT, .len = object->len, .u.members = object->members};
    if (object->len >= DOC_INDEX_MIN) {
        const struct doc_index *index = object->index;
        if (!index) {
            index = doc_index_build(object->arena, object->members, object->len, object->len);
        }
        memcpy(object->members + object->len, &index, sizeof index);
        v.flags = DOC_INDEXED;
    }
    return v;
}

// ---- Arrays ----

struct doc_array doc_array_start(struct arena *arena) {
    return (struct doc_array){.arena = arena};
}

void doc_array_reserve(struct doc_array *array, uint32_t more) {
    CHECK(more < UINT32_MAX / 4 && array->len < UINT32_MAX / 4);
    uint32_t want = array->len + more;
    if (want <= array->cap) {
        return;
    }
    uint32_t cap = array->cap < 2 ? 4 : array->cap * 2;
    cap = cap < want ? want : cap;
    array->items =
        arena_grow(array->arena, array->items, (size_t)array->cap * sizeof(struct doc_value),
                   (size_t)cap * sizeof(struct doc_value));
    array->cap = cap;
}

void doc_array_add(struct doc_array *array, struct doc_value value) {
    doc_array_reserve(array, 1);
    array->items[array->len++] = value;
}

struct doc_value doc_array_done(const struct doc_array *array) {
    return (struct doc_value){.kind = DOC_ARRAY, .len = array->len, .u.items = array->items};
}

// ---- Copy-on-write ----

struct doc_value doc_with_path(struct arena *arena, const struct doc_value *root,
                               struct doc_value value, const char *const *keys) {
    if (!*keys) {
        return value;
    }
    struct str key = str_from(*keys);
    struct doc_object copy = doc_object_copy(arena, root);
    doc_object_set(&copy, key, doc_with_path(arena, doc_find(root, key), value, keys + 1));
    return doc_object_done(&copy);
}

struct doc_value doc_without_path(struct arena *arena, const struct doc_value *root,
                                  const char *const *keys) {
    if (!root) {
        return doc_null();
    }
    if (!*keys || !doc_get_path(root, keys)) {
        return *root; // nothing to remove: shared as it is
    }
    struct str key = str_from(*keys);
    struct doc_object copy = doc_object_copy(arena, root);
    if (keys[1]) {
        doc_object_set(&copy, key, doc_without_path(arena, doc_find(root, key), keys + 1));
    } else {
        doc_object_remove(&copy, key);
    }
    return doc_object_done(&copy);
}

static struct doc_value clone_value(struct doc_keys *keys, const struct doc_value *v);

static struct doc_value clone_array(struct doc_keys *keys, const struct doc_value *v) {
    struct doc_value *items = arena_alloc(keys->arena, v->len * sizeof *items);
    for (uint32_t i = 0; i < v->len; i++) {
        items[i] = clone_value(keys, &v->u.items[i]);
    }
    return (struct doc_value){.kind = DOC_ARRAY, .len = v->len, .u.items = items};
}

static struct doc_value clone_object(struct doc_keys *keys, const struct doc_value *v) {
    bool large = v->len >= DOC_INDEX_MIN;
    size_t bytes = v->len * sizeof(struct doc_member) + (large ? sizeof(void *) : 0);
    struct doc_object copy = {.arena = keys->arena, .members = arena_alloc(keys->arena, bytes)};
    for (uint32_t i = 0; i < v->len; i++) {
        const struct doc_key *key = v->u.members[i].key;
        copy.members[i].key = doc_keys_intern(keys, doc_key_str(key), key->hash);
        copy.members[i].value = clone_value(keys, &v->u.members[i].value);
    }
    copy.len = v->len;
    return doc_object_done(&copy);
}

static struct doc_value clone_value(struct doc_keys *keys, const struct doc_value *v) {
    switch ((enum doc_kind)v->kind) {
    case DOC_NUMBER:
    case DOC_STRING: {
        struct doc_value copy = *v;
        char *text = arena_alloc(keys->arena, v->len);
        if (v->len) {
            memcpy(text, v->u.text, v->len);
        }
        copy.u.text = text;
        return copy;
    }
    case DOC_ARRAY:
        return clone_array(keys, v);
    case DOC_OBJECT:
        return clone_object(keys, v);
    case DOC_NULL:
    case DOC_BOOL:
    case DOC_INT:
        break;
    }
    return *v;
}

struct doc_value doc_clone(struct arena *arena, const struct doc_value *v) {
    if (!v) {
        return doc_null();
    }
    struct doc_keys keys;
    doc_keys_init(&keys, arena);
    struct doc_value copy = clone_value(&keys, v);
    doc_keys_fini(&keys);
    return copy;
}
