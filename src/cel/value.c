// SPDX-License-Identifier: Apache-2.0
// Values: reading them from documents by their type, lists, maps, equality and order. What comes from a document stays there
// until somebody looks at it.
#include <math.h>

#include "base/text.h"
#include "cel/cel_internal.h"

struct cel_value cel_error(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return (struct cel_value){.kind = CEL_ERROR, .u.text = text};
}

struct cel_value cel_no_overload(struct cel_eval *e) {
    return cel_error(e->arena, "no such overload");
}

struct cel_value cel_optional(struct arena *arena, const struct cel_value *value) {
    struct cel_value out = {.kind = CEL_OPTIONAL};
    if (value) {
        struct cel_value *copy = arena_alloc(arena, sizeof *copy);
        *copy = *value;
        copy->builder = false;
        out.u.optional = copy;
    }
    return out;
}

// ---- From documents ----

static struct cel_value invalid(struct arena *arena, const char *message) {
    return cel_error(arena, "invalid data, %s", message);
}

static struct cel_value natural_value(struct arena *arena, const struct doc_value *doc) {
    switch (doc_kind(doc)) {
    case DOC_BOOL:
        return cel_bool(doc_bool(doc, false));
    case DOC_INT:
        return cel_int(doc_int(doc, 0));
    case DOC_NUMBER:
        return (struct cel_value){.kind = CEL_DOUBLE, .u.number = doc_double(doc, 0)};
    case DOC_STRING:
        return cel_text(doc_str(doc));
    default:
        return cel_null();
    }
}

static struct cel_value container(struct arena *arena, const struct doc_value *doc,
                                  const struct cel_type *type) {
    struct cel_value out = {0};
    if (doc_is(doc, DOC_ARRAY)) {
        out.kind = CEL_LIST;
        out.u.list = ARENA_NEW(arena, struct cel_list);
        *out.u.list = (struct cel_list){.doc = doc, .type = type, .len = doc_len(doc)};
    } else {
        out.kind = CEL_MAP;
        out.u.map = ARENA_NEW(arena, struct cel_map);
        *out.u.map = (struct cel_map){.doc = doc, .type = type, .len = doc_len(doc)};
    }
    return out;
}

static struct cel_value text_value(struct arena *arena, const struct doc_value *doc,
                                   enum cel_kind kind) {
    struct cel_value out = {.kind = (uint8_t)kind};
    struct str text = doc_str(doc);
    if (!doc_is(doc, DOC_STRING)) {
        return invalid(arena, "got a value that is no string for a schema of type string");
    }
    if (kind == CEL_STRING) {
        out.u.text = text;
    } else if (kind == CEL_BYTES) {
        if (!base64_decode(text, arena, &out.u.text)) {
            return invalid(arena, "expected base64-encoded bytes");
        }
    } else if (kind == CEL_DURATION) {
        if (!cel_duration_parse(text, &out.u.time)) {
            return cel_error(arena, "Invalid duration %.*s: unable to parse %.*s as duration",
                             STR_ARG(text), STR_ARG(text));
        }
    } else if (!cel_time_parse(text.n == 10 ? arena_concat(arena, text, STR("T00:00:00Z")) : text,
                               &out.u.time)) {
        return cel_error(arena, "Invalid date or time formatted string %.*s", STR_ARG(text));
    }
    return out;
}

struct cel_value cel_from_doc(struct arena *arena, const struct doc_value *doc,
                              const struct cel_type *type) {
    enum doc_kind kind = doc_kind(doc);
    if (!type || (type->kind == CEL_DYN && !type->int_or_string)) {
        return kind == DOC_ARRAY || kind == DOC_OBJECT ? container(arena, doc, NULL)
                                                       : natural_value(arena, doc);
    }
    if (kind == DOC_NULL) {
        return type->nullable ? cel_null()
                              : invalid(arena, "got null for schema with nullable=false");
    }
    switch (type->kind) {
    case CEL_DYN:
        return kind == DOC_INT || kind == DOC_STRING
                   ? natural_value(arena, doc)
                   : invalid(arena, "expected XIntOrString value to be either a string or integer");
    case CEL_OBJECT:
        return kind != DOC_OBJECT
                   ? invalid(arena, "expected a map for the provided schema with type=object")
                   : (struct cel_value){.kind = CEL_OBJECT, .u.object = {doc, type}};
    case CEL_MAP:
        return kind != DOC_OBJECT
                   ? invalid(arena, "expected a map for the provided schema with type=object")
                   : container(arena, doc, type);
    case CEL_LIST:
        return kind != DOC_ARRAY
                   ? invalid(arena, "expected an array for the provided schema with type=array")
                   : container(arena, doc, type);
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_DURATION:
    case CEL_TIMESTAMP:
        return text_value(arena, doc, (enum cel_kind)type->kind);
    case CEL_DOUBLE:
        return kind == DOC_INT || kind == DOC_NUMBER
                   ? (struct cel_value){.kind = CEL_DOUBLE, .u.number = doc_double(doc, 0)}
                   : invalid(arena, "expected a number");
    case CEL_INT:
        if (kind == DOC_NUMBER && fabs(doc_double(doc, 0)) < 9e18) {
            return cel_int((int64_t)doc_double(doc, 0));
        }
        return kind == DOC_INT ? natural_value(arena, doc) : invalid(arena, "expected an integer");
    case CEL_BOOL:
        return kind == DOC_BOOL ? natural_value(arena, doc) : invalid(arena, "expected a boolean");
    default:
        return natural_value(arena, doc);
    }
}

// ---- Lists ----

struct cel_value cel_list_make(struct arena *arena, size_t cap) {
    struct cel_value out = {.kind = CEL_LIST};
    out.u.list = ARENA_NEW(arena, struct cel_list);
    out.u.list->items = cap ? ARENA_ARRAY(arena, cap, struct cel_value) : NULL;
    out.u.list->cap = cap;
    return out;
}

void cel_list_add(struct arena *arena, struct cel_list *list, struct cel_value item) {
    if (list->len == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        list->items = arena_grow(arena, list->items, list->cap * sizeof item, cap * sizeof item);
        list->cap = cap;
    }
    item.builder = false;
    list->items[list->len++] = item;
}

size_t cel_list_len(const struct cel_value *list) {
    return list->u.list->len;
}

struct cel_value cel_list_at(struct cel_eval *e, const struct cel_value *v, size_t i) {
    const struct cel_list *list = v->u.list;
    return list->doc
               ? cel_from_doc(e->arena, doc_at(list->doc, i), list->type ? list->type->item : NULL)
               : list->items[i];
}

// ---- Maps and objects ----

struct cel_value cel_map_make(struct arena *arena) {
    struct cel_value out = {.kind = CEL_MAP};
    out.u.map = ARENA_NEW(arena, struct cel_map);
    return out;
}

void cel_map_add(struct arena *arena, struct cel_map *map, struct cel_value key,
                 struct cel_value value) {
    if (map->len == map->cap) {
        size_t cap = map->cap ? map->cap * 2 : 4;
        map->pairs =
            arena_grow(arena, map->pairs, map->cap * sizeof *map->pairs, cap * sizeof *map->pairs);
        map->cap = cap;
    }
    value.builder = false;
    map->pairs[map->len++] = (struct cel_pair){key, value};
}

void cel_map_put(struct cel_eval *e, struct cel_map *map, struct cel_value key,
                 struct cel_value value) {
    for (size_t i = 0; i < map->len; i++) {
        if (cel_equal(e, &map->pairs[i].key, &key)) {
            value.builder = false;
            map->pairs[i].value = value;
            return;
        }
    }
    cel_map_add(e->arena, map, key, value);
}

size_t cel_map_len(const struct cel_value *v) {
    return v->kind == CEL_OBJECT ? doc_len(v->u.object.doc) : v->u.map->len;
}

static const struct cel_field *field_of_key(const struct cel_type *type, struct str key) {
    const struct cel_field *field = cel_type_field(type, key);
    if (field && str_eq(field->key, key)) {
        return field;
    }
    for (size_t i = 0; i < type->field_count; i++) {
        if (str_eq(type->fields[i].key, key)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

void cel_map_entry(struct cel_eval *e, const struct cel_value *v, size_t i, struct cel_value *key,
                   struct cel_value *value) {
    if (v->kind == CEL_MAP && !v->u.map->doc) {
        *key = v->u.map->pairs[i].key;
        *value = v->u.map->pairs[i].value;
        return;
    }
    const struct doc_value *doc = v->kind == CEL_OBJECT ? v->u.object.doc : v->u.map->doc;
    struct str name = doc_key_at(doc, i);
    const struct cel_type *type = NULL;
    *key = cel_text(name);
    if (v->kind == CEL_OBJECT) {
        const struct cel_field *field = field_of_key(v->u.object.type, name);
        *key = cel_text(field ? field->name : name);
        type = field ? field->type : NULL;
    } else if (v->u.map->type) {
        type = v->u.map->type->item;
    }
    *value = cel_from_doc(e->arena, doc_value_at(doc, i), type);
}

bool cel_field_find(struct cel_eval *e, const struct cel_value *v, struct str name,
                    struct cel_value *out) {
    const struct cel_field *field = cel_type_field(v->u.object.type, name);
    const struct doc_value *doc = field ? doc_find(v->u.object.doc, field->key) : NULL;
    if (doc_is_null(doc)) { // a field that is null is not there
        return false;
    }
    *out = cel_from_doc(e->arena, doc, field->type);
    return true;
}

bool cel_map_find(struct cel_eval *e, const struct cel_value *v, const struct cel_value *key,
                  struct cel_value *out) {
    if (v->kind == CEL_OBJECT) {
        return key->kind == CEL_STRING && cel_field_find(e, v, key->u.text, out);
    }
    const struct cel_map *map = v->u.map;
    if (map->doc) {
        const struct doc_value *doc =
            key->kind == CEL_STRING ? doc_find(map->doc, key->u.text) : NULL;
        if (doc) {
            *out = cel_from_doc(e->arena, doc, map->type ? map->type->item : NULL);
        }
        return doc != NULL;
    }
    for (size_t i = 0; i < map->len; i++) {
        if (cel_equal(e, &map->pairs[i].key, key)) {
            *out = map->pairs[i].value;
            return true;
        }
    }
    return false;
}

// ---- Sizes ----

int64_t cel_runes(struct str text) {
    int64_t count = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    }
    return count;
}

size_t cel_rune_offset(struct str text, int64_t rune) {
    size_t at = 0;
    for (; at < text.n; at++) {
        if (((unsigned char)text.p[at] & 0xC0) != 0x80 && rune-- == 0) {
            return at;
        }
    }
    return text.n;
}

uint64_t cel_size_of(const struct cel_value *v) {
    switch (v->kind) {
    case CEL_STRING:
        return (uint64_t)cel_runes(v->u.text);
    case CEL_BYTES:
        return v->u.text.n;
    case CEL_LIST:
        return cel_list_len(v);
    case CEL_MAP:
    case CEL_OBJECT:
        return cel_map_len(v);
    case CEL_OPTIONAL:
        return v->u.optional ? cel_size_of(v->u.optional) : 1;
    default:
        return 1;
    }
}

bool cel_is_zero(const struct cel_value *v) {
    switch (v->kind) {
    case CEL_NULL:
        return true;
    case CEL_BOOL:
        return !v->u.boolean;
    case CEL_INT:
        return v->u.integer == 0;
    case CEL_UINT:
        return v->u.natural == 0;
    case CEL_DOUBLE:
        return v->u.number == 0;
    case CEL_STRING:
    case CEL_BYTES:
        return v->u.text.n == 0;
    case CEL_LIST:
        return cel_list_len(v) == 0;
    case CEL_MAP:
    case CEL_OBJECT:
        return cel_map_len(v) == 0;
    case CEL_DURATION:
        return v->u.time.seconds == 0 && v->u.time.nanos == 0;
    case CEL_OPTIONAL:
        return !v->u.optional;
    default:
        return false;
    }
}

// ---- Order ----

static bool is_number(const struct cel_value *v) {
    return v->kind == CEL_INT || v->kind == CEL_UINT || v->kind == CEL_DOUBLE;
}

static int compare_double_int(double d, int64_t i) {
    if (d < -9223372036854775808.0) {
        return -1;
    }
    if (d >= 9223372036854775808.0) {
        return 1;
    }
    int64_t whole = (int64_t)d;
    if (whole != i) {
        return whole < i ? -1 : 1;
    }
    double rest = d - (double)whole;
    return rest < 0 ? -1 : rest > 0;
}

static int compare_double_uint(double d, uint64_t u) {
    if (d < 0) {
        return -1;
    }
    if (d >= 18446744073709551616.0) {
        return 1;
    }
    uint64_t whole = (uint64_t)d;
    if (whole != u) {
        return whole < u ? -1 : 1;
    }
    return d - (double)whole > 0;
}

static bool compare_numbers(const struct cel_value *a, const struct cel_value *b, int *order) {
    if ((a->kind == CEL_DOUBLE && isnan(a->u.number)) ||
        (b->kind == CEL_DOUBLE && isnan(b->u.number))) {
        return false;
    }
    if (a->kind != CEL_DOUBLE && b->kind == CEL_DOUBLE) {
        bool ok = compare_numbers(b, a, order);
        *order = -*order;
        return ok;
    }
    if (a->kind == CEL_DOUBLE) {
        double d = a->u.number;
        *order = b->kind == CEL_INT    ? compare_double_int(d, b->u.integer)
                 : b->kind == CEL_UINT ? compare_double_uint(d, b->u.natural)
                 : d < b->u.number     ? -1
                                       : d > b->u.number;
        return true;
    }
    bool a_negative = a->kind == CEL_INT && a->u.integer < 0;
    bool b_negative = b->kind == CEL_INT && b->u.integer < 0;
    if (a_negative != b_negative) {
        *order = a_negative ? -1 : 1;
    } else { // of the same sign two's complement orders as unsigned numbers
        uint64_t x = a->kind == CEL_INT ? (uint64_t)a->u.integer : a->u.natural;
        uint64_t y = b->kind == CEL_INT ? (uint64_t)b->u.integer : b->u.natural;
        *order = x < y ? -1 : x > y;
    }
    return true;
}

bool cel_compare(const struct cel_value *a, const struct cel_value *b, int *order) {
    if (is_number(a) && is_number(b)) {
        if (!compare_numbers(a, b, order)) {
            *order = 2; // NaN: neither less nor greater
        }
        return true;
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case CEL_BOOL:
        *order = (int)a->u.boolean - (int)b->u.boolean;
        return true;
    case CEL_STRING:
    case CEL_BYTES: {
        int c = str_cmp(a->u.text, b->u.text);
        *order = c < 0 ? -1 : c > 0;
        return true;
    }
    case CEL_TIMESTAMP:
    case CEL_DURATION:
        *order = cel_time_compare(a->u.time, b->u.time);
        return true;
    default:
        return false;
    }
}

// ---- Equality ----

static const struct cel_type *list_type_of(const struct cel_value *v) {
    return v->u.list->doc ? v->u.list->type : NULL;
}

static bool list_has(struct cel_eval *e, const struct cel_value *list,
                     const struct cel_value *item) {
    for (size_t i = 0; i < cel_list_len(list) && cel_spend(e, 0); i++) {
        struct cel_value other = cel_list_at(e, list, i);
        if (cel_equal(e, &other, item)) {
            return true;
        }
    }
    return false;
}

static bool same_keys(const struct cel_type *type, const struct doc_value *a,
                      const struct doc_value *b) {
    for (size_t i = 0; i < type->list_key_count; i++) {
        const struct doc_value *x = doc_find(a, type->list_keys[i]);
        const struct doc_value *y = doc_find(b, type->list_keys[i]);
        if (!x != !y || (x && !doc_equal(x, y))) {
            return false;
        }
    }
    return type->list_key_count > 0;
}

static size_t find_keyed(struct cel_eval *e, const struct cel_type *type,
                         const struct doc_value *list, const struct doc_value *item) {
    for (size_t i = 0; i < doc_len(list) && cel_spend(e, 0); i++) {
        if (same_keys(type, doc_at(list, i), item)) {
            return i;
        }
    }
    return STR_NPOS;
}

static bool equal_lists(struct cel_eval *e, const struct cel_value *a, const struct cel_value *b) {
    size_t count = cel_list_len(a);
    if (count != cel_list_len(b)) {
        return false;
    }
    const struct cel_type *type = list_type_of(a);
    for (size_t i = 0; i < count; i++) {
        struct cel_value x = cel_list_at(e, a, i);
        if (type && type->list_type == CEL_LIST_SET) {
            if (!list_has(e, b, &x)) {
                return false;
            }
            continue;
        }
        size_t k = i;
        if (type && type->list_type == CEL_LIST_MAP && b->u.list->doc) {
            k = find_keyed(e, type, b->u.list->doc, doc_at(a->u.list->doc, i));
            if (k == STR_NPOS) {
                return false;
            }
        }
        struct cel_value y = cel_list_at(e, b, k);
        if (!cel_equal(e, &x, &y)) {
            return false;
        }
    }
    return true;
}

// Of two objects of a schema: fields that it does not know only count where both have them.
static bool equal_objects(struct cel_eval *e, const struct cel_value *a,
                          const struct cel_value *b) {
    const struct doc_value *x = a->u.object.doc, *y = b->u.object.doc;
    if (doc_len(x) != doc_len(y)) {
        return false;
    }
    for (DOC_EACH_MEMBER(x, i)) {
        struct str key = doc_key_at(x, i);
        const struct cel_field *field = field_of_key(a->u.object.type, key);
        const struct doc_value *one = doc_value_at(x, i), *other = doc_find(y, key);
        if (!field) {
            if (other && !doc_equal(one, other)) {
                return false;
            }
            continue;
        }
        if (doc_is_null(one) || doc_is_null(other)) {
            if (!doc_is_null(one) || !doc_is_null(other)) {
                return false;
            }
            continue;
        }
        struct cel_value left = cel_from_doc(e->arena, one, field->type);
        struct cel_value right = cel_from_doc(e->arena, other, field->type);
        if (!cel_equal(e, &left, &right)) {
            return false;
        }
    }
    return true;
}

static bool equal_maps(struct cel_eval *e, const struct cel_value *a, const struct cel_value *b) {
    size_t count = cel_map_len(a);
    if (count != cel_map_len(b)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct cel_value key, x, y;
        cel_map_entry(e, a, i, &key, &x);
        if (!cel_map_find(e, b, &key, &y) || !cel_equal(e, &x, &y)) {
            return false;
        }
    }
    return true;
}

bool cel_equal(struct cel_eval *e, const struct cel_value *a, const struct cel_value *b) {
    int order;
    // Deep comparisons pay for each step by the memory they take; a cancelled evaluation ends at once.
    if (!cel_spend(e, 0)) {
        return false;
    }
    if (is_number(a) && is_number(b)) {
        return compare_numbers(a, b, &order) && order == 0;
    }
    bool maps = (a->kind == CEL_MAP || a->kind == CEL_OBJECT) &&
                (b->kind == CEL_MAP || b->kind == CEL_OBJECT);
    if (a->kind != b->kind && !maps) {
        return false;
    }
    switch (a->kind) {
    case CEL_NULL:
        return true;
    case CEL_BOOL:
    case CEL_STRING:
    case CEL_BYTES:
    case CEL_TIMESTAMP:
    case CEL_DURATION:
        return cel_compare(a, b, &order) && order == 0;
    case CEL_LIST:
        return a->u.list == b->u.list || equal_lists(e, a, b);
    case CEL_MAP:
    case CEL_OBJECT:
        return a->kind == CEL_OBJECT && b->kind == CEL_OBJECT &&
                       a->u.object.type == b->u.object.type
                   ? equal_objects(e, a, b)
                   : equal_maps(e, a, b);
    case CEL_TYPE:
        return a->u.type->kind == b->u.type->kind && str_eq(a->u.type->name, b->u.type->name);
    case CEL_OPTIONAL:
        return a->u.optional && b->u.optional ? cel_equal(e, a->u.optional, b->u.optional)
                                              : a->u.optional == b->u.optional;
    case CEL_FORMAT:
        return str_eq(a->u.text, b->u.text);
    default:
        return cel_other_equal(a, b);
    }
}

// ---- Adding lists ----

static struct cel_value add_items(struct cel_eval *e, const struct cel_value *a,
                                  const struct cel_value *b) {
    const struct cel_type *type = list_type_of(a);
    struct cel_value out = cel_list_make(e->arena, cel_list_len(a) + cel_list_len(b));
    for (size_t i = 0; i < cel_list_len(a); i++) {
        cel_list_add(e->arena, out.u.list, cel_list_at(e, a, i));
    }
    for (size_t i = 0; i < cel_list_len(b); i++) {
        struct cel_value item = cel_list_at(e, b, i);
        size_t place = STR_NPOS;
        if (type && type->list_type == CEL_LIST_SET && list_has(e, a, &item)) {
            continue;
        }
        if (type && type->list_type == CEL_LIST_MAP && b->u.list->doc) {
            place = find_keyed(e, type, a->u.list->doc, doc_at(b->u.list->doc, i));
        }
        if (place != STR_NPOS) {
            out.u.list->items[place] = item;
        } else {
            cel_list_add(e->arena, out.u.list, item);
        }
    }
    return out;
}

struct cel_value cel_concat(struct cel_eval *e, const struct cel_value *a,
                            const struct cel_value *b) {
    if (!a->builder) {
        return add_items(e, a, b);
    }
    for (size_t i = 0; i < cel_list_len(b); i++) { // the accumulator of a comprehension
        cel_list_add(e->arena, a->u.list, cel_list_at(e, b, i));
    }
    return *a;
}

// ---- To documents ----

static bool list_to_doc(struct arena *arena, const struct cel_value *v, struct doc_value *out) {
    struct cel_eval e = {.arena = arena, .limit = UINT64_MAX};
    struct doc_array array = doc_array_start(arena);
    for (size_t i = 0; i < cel_list_len(v); i++) {
        struct cel_value item = cel_list_at(&e, v, i);
        struct doc_value doc;
        if (!cel_to_doc(arena, &item, &doc)) {
            return false;
        }
        doc_array_add(&array, doc);
    }
    *out = doc_array_done(&array);
    return true;
}

static bool map_to_doc(struct arena *arena, const struct cel_value *v, struct doc_value *out) {
    struct cel_eval e = {.arena = arena, .limit = UINT64_MAX};
    struct doc_object object = doc_object_start(arena);
    for (size_t i = 0; i < cel_map_len(v); i++) {
        struct cel_value key, value;
        struct doc_value doc;
        cel_map_entry(&e, v, i, &key, &value);
        if (!cel_to_doc(arena, &value, &doc)) {
            return false;
        }
        doc_object_set(&object, cel_display(arena, &key), doc);
    }
    *out = doc_object_done(&object);
    return true;
}

bool cel_to_doc(struct arena *arena, const struct cel_value *v, struct doc_value *out) {
    switch (v->kind) {
    case CEL_NULL:
        *out = doc_null();
        return true;
    case CEL_BOOL:
        *out = doc_make_bool(v->u.boolean);
        return true;
    case CEL_INT:
        *out = doc_make_int(v->u.integer);
        return true;
    case CEL_UINT:
        *out = v->u.natural <= INT64_MAX ? doc_make_int((int64_t)v->u.natural)
                                         : doc_make_double(arena, (double)v->u.natural);
        return true;
    case CEL_DOUBLE:
        if (!isfinite(v->u.number)) {
            return false;
        }
        *out = doc_make_double(arena, v->u.number);
        return true;
    case CEL_STRING:
        *out = doc_make_str(v->u.text);
        return true;
    case CEL_BYTES:
        *out = doc_make_str(base64_encode(arena, v->u.text));
        return true;
    case CEL_TIMESTAMP:
        *out = doc_make_str(cel_time_format(arena, v->u.time));
        return true;
    case CEL_DURATION:
        *out = doc_make_str(cel_duration_text(arena, v->u.time));
        return true;
    case CEL_LIST:
        return list_to_doc(arena, v, out);
    case CEL_MAP:
        return map_to_doc(arena, v, out);
    case CEL_OBJECT:
        *out = *v->u.object.doc;
        return true;
    case CEL_OPTIONAL:
        if (v->u.optional) {
            return cel_to_doc(arena, v->u.optional, out);
        }
        *out = doc_null();
        return true;
    default:
        return false;
    }
}
