// SPDX-License-Identifier: Apache-2.0
// The decoder of a typed API server: wrong types are refused, nulls vanish, unknown fields are dropped and reported. It
// walks the tables of schema/ and is the one file outside that module which looks into them.
#include "apiserver/admit_internal.h"
#include "base/limits.h"
#include "base/text.h"
#include "schema/data.h"

struct decode {
    struct admit *a;
    struct api_error *error;
    struct str *unknown;
    size_t unknown_count, unknown_cap;
    bool metadata_only; // messages of wrong types name the path below "metadata"
};

enum { UNKNOWN_MAX = 1000 };

// Where the walk is: a chain of parents on the stack, turned into text only for a message.
struct place {
    const struct place *parent;
    struct str key; // empty: an item
    size_t index;
};

static struct str place_text(struct arena *arena, const struct place *place, bool with_index) {
    if (!place) {
        return STR("");
    }
    struct str before = place_text(arena, place->parent, with_index);
    if (place->key.p) {
        return before.n ? arena_printf(arena, "%.*s.%.*s", STR_ARG(before), STR_ARG(place->key))
                        : place->key;
    }
    return with_index ? arena_printf(arena, "%.*s[%zu]", STR_ARG(before), place->index) : before;
}

static bool refuse(struct decode *d, struct str detail) {
    const struct api_kind *kind = d->a->kind;
    return api_error_set(d->error, d->a->arena, 400, "BadRequest",
                         "%.*s in version \"%.*s\" cannot be handled as a %.*s: %.*s",
                         STR_ARG(kind->kind), STR_ARG(kind->version), STR_ARG(kind->kind),
                         STR_ARG(detail));
}

static struct str last_part(const char *name) { // "apps.v1.DeploymentSpec" -> "DeploymentSpec"
    struct str s = str_from(name);
    size_t dot = str_rfind_char(s, '.');
    return dot == STR_NPOS ? s : str_skip(s, dot + 1);
}

static struct str go_type(struct arena *arena, const struct schema_at *at) {
    static const char *const names[] = {
        [SCHEMA_ANY] = "interface {}", [SCHEMA_OBJECT] = "struct",
        [SCHEMA_STRING] = "string",    [SCHEMA_BYTES] = "[]uint8",
        [SCHEMA_BOOL] = "bool",        [SCHEMA_INT32] = "int32",
        [SCHEMA_INT64] = "int64",      [SCHEMA_DOUBLE] = "float64",
        [SCHEMA_QUANTITY] = "string",  [SCHEMA_INT_OR_STRING] = "string",
        [SCHEMA_TIME] = "string",      [SCHEMA_MICRO_TIME] = "string",
    };
    struct str base = str_from(names[at->scalar]);
    if (at->object) {
        struct str full = str_from(at->object->name), group, rest;
        base = str_cut(full, '.', &group, &rest) ? rest : full;
    }
    for (size_t i = ARRAY_LEN(at->shapes); i-- > 0;) {
        if (at->shapes[i]) {
            base = arena_printf(arena, "%s%.*s",
                                at->shapes[i] == SCHEMA_LIST ? "[]" : "map[string]", STR_ARG(base));
        }
    }
    return base;
}

static bool wrong_type(struct decode *d, const struct schema_at *at, const struct place *place,
                       const struct schema_type *owner, const struct doc_value *v) {
    struct arena *arena = d->a->arena;
    struct str what = str_from(doc_kind_name(doc_kind(v)));
    switch (doc_kind(v)) {
    case DOC_BOOL:
        what = STR("bool");
        break;
    case DOC_INT:
        what = STR("number");
        break;
    case DOC_NUMBER:
        what = arena_printf(arena, "number %.*s", STR_ARG(doc_number_text(v, arena)));
        break;
    default:
        break;
    }
    struct str type = go_type(arena, at), path = place_text(arena, place, false);
    struct str name = last_part(owner ? owner->name : ""), first;
    if (d->metadata_only) {
        str_cut(path, '.', &first, &path);
    }
    return refuse(d, arena_printf(arena,
                                  "json: cannot unmarshal %.*s into Go struct field %.*s.%.*s of "
                                  "type %.*s",
                                  STR_ARG(what), STR_ARG(name), STR_ARG(path), STR_ARG(type)));
}

static bool decode_quantity(struct decode *d, const struct doc_value *v) {
    struct arena *arena = d->a->arena;
    struct str text = doc_is(v, DOC_STRING) ? doc_str(v) : doc_number_text(v, arena), out;
    return quantity_canonical(text, arena, &out) ||
           refuse(d, STR("quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"));
}

static size_t bad_base64_at(struct str text) {
    size_t i = 0;
    while (i < text.n &&
           ((text.p[i] >= 'a' && text.p[i] <= 'z') || (text.p[i] >= 'A' && text.p[i] <= 'Z') ||
            (text.p[i] >= '0' && text.p[i] <= '9') || text.p[i] == '+' || text.p[i] == '/')) {
        i++;
    }
    return i;
}

static bool decode_bytes(struct decode *d, const struct doc_value *v) {
    struct str out;
    return base64_decode(doc_str(v), d->a->arena, &out) ||
           refuse(d, arena_printf(d->a->arena, "illegal base64 data at input byte %zu",
                                  bad_base64_at(doc_str(v))));
}

static bool decode_scalar(struct decode *d, const struct schema_at *at, const struct place *place,
                          const struct schema_type *owner, const struct doc_value *v) {
    enum doc_kind kind = doc_kind(v);
    int64_t number = doc_int(v, 0);
    bool ok = true;
    switch ((enum schema_scalar)at->scalar) {
    case SCHEMA_ANY:
        return true;
    case SCHEMA_OBJECT:
        ok = kind == DOC_OBJECT;
        break;
    case SCHEMA_STRING:
    case SCHEMA_TIME:
    case SCHEMA_MICRO_TIME:
    case SCHEMA_BYTES:
        ok = kind == DOC_STRING;
        break;
    case SCHEMA_BOOL:
        ok = kind == DOC_BOOL;
        break;
    case SCHEMA_INT32:
        ok = kind == DOC_INT && number >= INT32_MIN && number <= INT32_MAX;
        break;
    case SCHEMA_INT64:
        ok = kind == DOC_INT;
        break;
    case SCHEMA_DOUBLE:
        ok = kind == DOC_INT || kind == DOC_NUMBER;
        break;
    case SCHEMA_QUANTITY:
        ok = kind == DOC_STRING || kind == DOC_INT || kind == DOC_NUMBER;
        break;
    case SCHEMA_INT_OR_STRING:
        ok = kind == DOC_STRING || kind == DOC_INT;
        break;
    }
    if (!ok) {
        return wrong_type(d, at, place, owner, v);
    }
    if (at->scalar == SCHEMA_QUANTITY) {
        return decode_quantity(d, v);
    }
    return at->scalar != SCHEMA_BYTES || decode_bytes(d, v);
}

static void add_unknown(struct decode *d, const struct place *place) {
    if (d->unknown_count == UNKNOWN_MAX) {
        return;
    }
    if (d->unknown_count == d->unknown_cap) {
        size_t cap = d->unknown_cap ? d->unknown_cap * 2 : 4;
        d->unknown = arena_grow(d->a->arena, d->unknown, d->unknown_cap * sizeof(struct str),
                                cap * sizeof(struct str));
        d->unknown_cap = cap;
    }
    d->unknown[d->unknown_count++] = place_text(d->a->arena, place, true);
}

static bool decode_value(struct decode *d, const struct schema_at *at, const struct place *place,
                         const struct schema_type *owner, const struct doc_value *v,
                         struct doc_value *out);

static bool decode_list(struct decode *d, const struct schema_at *at, const struct place *place,
                        const struct schema_type *owner, const struct doc_value *v,
                        struct doc_value *out) {
    struct schema_at item_at = schema_at_item(at);
    struct doc_array list = doc_array_start(d->a->arena);
    bool changed = false;
    for (size_t i = 0; i < doc_len(v); i++) {
        struct place here = {.parent = place, .index = i};
        struct doc_value item = *doc_at(v, i);
        if (!doc_is_null(&item) && !decode_value(d, &item_at, &here, owner, doc_at(v, i), &item)) {
            return false;
        }
        changed = changed || memcmp(&item, doc_at(v, i), sizeof(item)) != 0;
        doc_array_add(&list, item);
    }
    *out = changed ? doc_array_done(&list) : *v;
    return true;
}

// An empty list or map is not written again where it may be missing. An empty list of managers says something.
static bool is_left_out(const struct schema_at *at, struct str key, const struct doc_value *v) {
    enum doc_kind kind = doc_kind(v);
    if (doc_len(v) > 0 || at->shapes[0] || (kind != DOC_ARRAY && kind != DOC_OBJECT)) {
        return false;
    }
    const struct schema_field *field = schema_field_find(at->object, key);
    return field && field->outer && !(field->flags & SCHEMA_REQUIRED) &&
           !str_eq(key, STR("managedFields")) &&
           (field->outer == SCHEMA_LIST) == (kind == DOC_ARRAY);
}

// Members of a struct or of a map with typed values. Copies only when something changes.
static bool decode_members(struct decode *d, const struct schema_at *at, const struct place *place,
                           const struct schema_type *owner, const struct doc_value *v,
                           struct doc_value *out) {
    bool is_map = at->shapes[0] == SCHEMA_MAP;
    struct doc_object object = {0};
    for (DOC_EACH_MEMBER(v, i)) {
        struct place here = {.parent = place, .key = doc_key_at(v, i)};
        const struct doc_value *member = doc_value_at(v, i);
        struct doc_value value = *member;
        bool known = is_map || schema_field_find(at->object, here.key) != NULL;
        if (!known) {
            add_unknown(d, &here);
        }
        bool keep = known && (!doc_is_null(member) || is_map);
        d->a->admission->has_empty |= is_left_out(at, here.key, member);
        struct schema_at next = schema_at_member(at, here.key);
        if (is_map && doc_is_null(member) && !next.shapes[0] && next.scalar == SCHEMA_STRING) {
            value = DOC_S("");
        }
        // The text of a message names the map itself, not the key in it.
        if (keep && !doc_is_null(member) &&
            !decode_value(d, &next, is_map ? place : &here, is_map ? owner : at->object, member,
                          &value)) {
            return false;
        }
        if (keep && memcmp(&value, member, sizeof(value)) == 0) {
            continue;
        }
        if (!object.arena) {
            object = doc_object_copy(d->a->arena, v);
        }
        if (keep) {
            doc_object_set(&object, here.key, value);
        } else {
            doc_object_remove(&object, here.key);
        }
    }
    *out = object.arena ? doc_object_done(&object) : *v;
    return true;
}

static bool decode_value(struct decode *d, const struct schema_at *at, const struct place *place,
                         const struct schema_type *owner, const struct doc_value *v,
                         struct doc_value *out) {
    *out = *v;
    if (at->shapes[0] == SCHEMA_LIST) {
        return doc_is(v, DOC_ARRAY) ? decode_list(d, at, place, owner, v, out)
                                    : wrong_type(d, at, place, owner, v);
    }
    if (at->shapes[0] == SCHEMA_MAP) {
        return doc_is(v, DOC_OBJECT) ? decode_members(d, at, place, owner, v, out)
                                     : wrong_type(d, at, place, owner, v);
    }
    if (at->scalar != SCHEMA_OBJECT || !at->object) {
        return at->scalar == SCHEMA_OBJECT || decode_scalar(d, at, place, owner, v);
    }
    return doc_is(v, DOC_OBJECT) ? decode_members(d, at, place, owner, v, out)
                                 : wrong_type(d, at, place, owner, v);
}

static struct doc_value trim(struct arena *arena, const struct schema_at *at,
                             const struct doc_value *v) {
    if (doc_is(v, DOC_ARRAY) && at->shapes[0] == SCHEMA_LIST) {
        struct schema_at next = schema_at_item(at);
        struct doc_array out = doc_array_start(arena);
        for (DOC_EACH_ITEM(v, item)) {
            doc_array_add(&out, trim(arena, &next, item));
        }
        return doc_array_done(&out);
    }
    bool map = at->shapes[0] == SCHEMA_MAP;
    if (!doc_is(v, DOC_OBJECT) || (!map && !at->object)) {
        return *v;
    }
    struct doc_object out = doc_object_start(arena);
    for (DOC_EACH_MEMBER(v, i)) {
        struct str key = doc_key_at(v, i);
        struct schema_at next = schema_at_member(at, key);
        if (map || !is_left_out(at, key, doc_value_at(v, i))) {
            doc_object_set(&out, key, trim(arena, &next, doc_value_at(v, i)));
        }
    }
    return doc_object_done(&out);
}

struct doc_value api_decode_trim(struct arena *arena, const struct api_kind *kind,
                                 const struct doc_value *object) {
    struct schema_at at = schema_at_type(kind->merge);
    return trim(arena, &at, object);
}

bool api_decode(struct admit *a, struct doc_value *object, struct str **unknown, size_t *count,
                struct api_error *error) {
    struct decode d = {.a = a, .error = error};
    struct schema_at at = schema_at_type(a->kind->merge);
    struct doc_value out = *object;
    if (a->kind->merge && !decode_value(&d, &at, NULL, a->kind->merge, object, &out)) {
        return false;
    }
    *object = schema_normalize(a->arena, a->kind->merge, &out);
    *unknown = d.unknown;
    *count = d.unknown_count;
    return true;
}

// Custom kinds have a schema for everything but their metadata, which is typed like that of the others.
bool api_decode_metadata(struct admit *a, struct doc_value *object, struct str **unknown,
                         size_t *count, struct api_error *error) {
    struct decode d = {.a = a, .error = error, .metadata_only = true};
    struct schema_at at = schema_at_type(&schema_meta_v1_ObjectMeta);
    struct place here = {.key = STR("metadata")};
    const struct doc_value *metadata = doc_get(object, "metadata");
    struct doc_value out;
    if (!metadata) {
        return true;
    }
    if (!decode_value(&d, &at, &here, a->kind->merge, metadata, &out)) {
        return false;
    }
    *object = doc_with(a->arena, object, out, "metadata");
    *unknown = d.unknown;
    *count = d.unknown_count;
    return true;
}
