// SPDX-License-Identifier: Apache-2.0
// Sets of fields as trees: reading and writing FieldsV1, and the operations between two sets.
#include "apiserver/fieldset.h"

#include <stdlib.h>
#include <string.h>

static bool in_range(char c, char low, char high) {
    return c >= low && c <= high;
}

// Elements of one list have keys of the same names, so they differ first in a value: numbers count as numbers there.
static int compare_values(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    size_t i = 0, number = 0;
    bool text = false;
    for (; i < n && a.p[i] == b.p[i]; i++) {
        if (a.p[i] == '"' && (i == 0 || a.p[i - 1] != '\\')) {
            text = !text;
        }
        bool digit = in_range(a.p[i], '0', '9') || a.p[i] == '-';
        number = digit ? number : i + 1;
    }
    struct str left = str_skip(a, number), right = str_skip(b, number);
    size_t l = 0, r = 0;
    while (l < left.n && (in_range(left.p[l], '0', '9') || (l == 0 && left.p[l] == '-'))) {
        l++;
    }
    while (r < right.n && (in_range(right.p[r], '0', '9') || (r == 0 && right.p[r] == '-'))) {
        r++;
    }
    int64_t x, y;
    if (!text && str_to_int64(str_first(left, l), &x) && str_to_int64(str_first(right, r), &y) &&
        x != y) {
        return x < y ? -1 : 1;
    }
    if (text && i < a.n && i < b.n && (a.p[i] == '"' || b.p[i] == '"')) {
        return a.p[i] == '"' ? -1 : 1; // the shorter text
    }
    return str_cmp(a, b);
}

static int rank(struct str name) {
    char c = name.n ? name.p[0] : 0;
    return c == 'f' ? 0 : c == 'k' ? 1 : c == 'v' ? 2 : 3;
}

int fieldset_compare(struct str a, struct str b) {
    int first = rank(a), second = rank(b);
    if (first != second) {
        return first < second ? -1 : 1;
    }
    return first == 0 ? str_cmp(a, b) : compare_values(a, b);
}

// ---- Building ----
static void append(struct arena *arena, struct fieldset *set, struct fieldset *item) {
    if (set->len == set->cap) {
        uint32_t cap = set->cap ? set->cap * 2 : 4;
        set->items =
            arena_grow(arena, set->items, set->cap * sizeof *set->items, cap * sizeof *set->items);
        set->cap = cap;
    }
    set->items[set->len++] = item;
}

struct fieldset *fieldset_add(struct arena *arena, struct fieldset *set, struct str name) {
    struct fieldset *item = ARENA_NEW(arena, struct fieldset);
    item->name = name;
    append(arena, set, item);
    return item;
}

static int compare_items(const void *a, const void *b) {
    return fieldset_compare((*(struct fieldset *const *)a)->name,
                            (*(struct fieldset *const *)b)->name);
}

static void sort_one(struct fieldset *set) {
    for (uint32_t i = 1; i < set->len; i++) {
        if (fieldset_compare(set->items[i - 1]->name, set->items[i]->name) > 0) {
            qsort(set->items, set->len, sizeof *set->items, compare_items);
            return;
        }
    }
}

void fieldset_sort(struct fieldset *set) {
    sort_one(set);
    for (uint32_t i = 0; i < set->len; i++) {
        fieldset_sort(set->items[i]);
    }
}

// ---- FieldsV1 ----
// Elements are compared as texts, so a key or a value that a client wrote in another form is written anew.
static bool parse_name(struct arena *arena, struct str key, struct str *out, struct err *err) {
    struct str rest = str_skip(key, 2);
    struct doc_value value;
    int64_t position;
    if (key.n < 2 || key.p[1] != ':') {
        return err_set(err, ERR_INVALID, "missing colon: %.*s", STR_ARG(key));
    }
    *out = key;
    switch (key.p[0]) {
    case 'f':
        return true;
    case 'i':
        return str_to_int64(rest, &position) ||
               err_set(err, ERR_INVALID, "not a position: %.*s", STR_ARG(key));
    case 'k':
    case 'v':
        if (!doc_parse_json(rest, arena, &value, err) ||
            (key.p[0] == 'k' && !doc_is(&value, DOC_OBJECT))) {
            return err_set(err, ERR_INVALID, "parsing: %.*s", STR_ARG(key));
        }
        struct buf text;
        buf_init(&text, rest.n * 6 + 64);
        buf_add(&text, key.p, 2);
        doc_print_canonical(&value, &text);
        if (!str_eq(buf_str(&text), key)) {
            *out = arena_dup(arena, buf_str(&text));
        }
        buf_fini(&text);
        return true;
    default:
        return err_set(err, ERR_INVALID, "unknown key type %.*s", STR_ARG(key));
    }
}

bool fieldset_parse(struct arena *arena, const struct doc_value *fields, struct fieldset *out,
                    struct err *err) {
    *out = (struct fieldset){0};
    if (!doc_is(fields, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID, "a set of fields must be an object, not %s",
                       doc_kind_name(doc_kind(fields)));
    }
    for (DOC_EACH_MEMBER(fields, i)) {
        struct str key = doc_key_at(fields, i), name;
        const struct doc_value *value = doc_value_at(fields, i);
        if (str_eq(key, STR("."))) {
            out->member = true;
            continue;
        }
        struct fieldset *item = NULL;
        if (key.n > 1 && key.p[1] == ':' && !strchr("fikv", key.p[0])) {
            continue; // of a newer server
        }
        if (!parse_name(arena, key, &name, err)) {
            return false;
        }
        item = fieldset_add(arena, out, name);
        if (!fieldset_parse(arena, value, item, err)) {
            return false;
        }
        item->member |= doc_len(value) == 0;
        item->name = name;
    }
    sort_one(out);
    uint32_t kept = 0; // two forms of one element
    for (uint32_t i = 0; i < out->len; i++) {
        if (kept && str_eq(out->items[kept - 1]->name, out->items[i]->name)) {
            *out->items[kept - 1] = fieldset_union(arena, out->items[kept - 1], out->items[i]);
        } else {
            out->items[kept++] = out->items[i];
        }
    }
    out->len = kept;
    return true;
}

static struct doc_value print(struct arena *arena, const struct fieldset *set, bool self) {
    struct doc_object out = doc_object_start(arena);
    if (self && set->len) {
        doc_object_set_c(&out, ".", doc_object_done(&(struct doc_object){.arena = arena}));
    }
    for (uint32_t i = 0; i < set->len; i++) {
        doc_object_set(&out, set->items[i]->name,
                       print(arena, set->items[i], set->items[i]->member));
    }
    return doc_object_done(&out);
}

struct doc_value fieldset_print(struct arena *arena, const struct fieldset *set) {
    return print(arena, set, false);
}

// ---- Questions ----
bool fieldset_is_empty(const struct fieldset *set) {
    for (uint32_t i = 0; set && i < set->len; i++) {
        if (set->items[i]->member || !fieldset_is_empty(set->items[i])) {
            return false;
        }
    }
    return true;
}

bool fieldset_equal(const struct fieldset *a, const struct fieldset *b) {
    if (a->len != b->len) {
        return false;
    }
    for (uint32_t i = 0; i < a->len; i++) {
        const struct fieldset *x = a->items[i], *y = b->items[i];
        if (x != y &&
            (x->member != y->member || !str_eq(x->name, y->name) || !fieldset_equal(x, y))) {
            return false;
        }
    }
    return true;
}

struct fieldset *fieldset_find(const struct fieldset *set, struct str name) {
    uint32_t low = 0, high = set ? set->len : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = fieldset_compare(name, set->items[middle]->name);
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

bool fieldset_touches(const struct fieldset *set, const struct doc_value *fields) {
    for (uint32_t i = 0; i < set->len; i++) {
        const struct fieldset *item = set->items[i];
        const struct doc_value *other = doc_find(fields, item->name);
        bool member = other && (doc_len(other) == 0 || doc_find(other, STR(".")));
        if (other && ((item->member && member) || fieldset_touches(item, other))) {
            return true;
        }
    }
    return false;
}

// ---- Operations: both sides are in order, so each is one pass ----
static void keep(struct arena *arena, struct fieldset *out, struct fieldset *item) {
    append(arena, out, item);
}

static void keep_copy(struct arena *arena, struct fieldset *out, struct str name, bool member,
                      struct fieldset below) {
    if (member || below.len) {
        struct fieldset *item = fieldset_add(arena, out, name);
        item->member = member;
        item->items = below.items;
        item->len = below.len;
        item->cap = below.cap;
    }
}

struct fieldset fieldset_union(struct arena *arena, const struct fieldset *a,
                               const struct fieldset *b) {
    struct fieldset out = {.name = a->name, .member = a->member || b->member};
    for (uint32_t i = 0, j = 0; i < a->len || j < b->len;) {
        int order = i == a->len   ? 1
                    : j == b->len ? -1
                                  : fieldset_compare(a->items[i]->name, b->items[j]->name);
        if (order < 0) {
            keep(arena, &out, a->items[i++]);
        } else if (order > 0) {
            keep(arena, &out, b->items[j++]);
        } else {
            const struct fieldset *x = a->items[i++], *y = b->items[j++];
            keep_copy(arena, &out, x->name, x->member || y->member, fieldset_union(arena, x, y));
        }
    }
    return out;
}

struct fieldset fieldset_minus(struct arena *arena, const struct fieldset *a,
                               const struct fieldset *b) {
    struct fieldset out = {.name = a->name, .member = a->member};
    uint32_t j = 0;
    for (uint32_t i = 0; i < a->len; i++) {
        const struct fieldset *x = a->items[i];
        while (j < b->len && fieldset_compare(b->items[j]->name, x->name) < 0) {
            j++;
        }
        if (j == b->len || !str_eq(b->items[j]->name, x->name)) {
            keep(arena, &out, a->items[i]);
            continue;
        }
        const struct fieldset *y = b->items[j];
        keep_copy(arena, &out, x->name, x->member && !y->member, fieldset_minus(arena, x, y));
    }
    return out;
}

struct fieldset fieldset_common(struct arena *arena, const struct fieldset *a,
                                const struct fieldset *b) {
    struct fieldset out = {.name = a->name, .member = a->member && b->member};
    for (uint32_t i = 0, j = 0; i < a->len && j < b->len;) {
        const struct fieldset *x = a->items[i], *y = b->items[j];
        int order = fieldset_compare(x->name, y->name);
        if (order == 0) {
            keep_copy(arena, &out, x->name, x->member && y->member, fieldset_common(arena, x, y));
        }
        i += order <= 0;
        j += order >= 0;
    }
    return out;
}

// ---- Paths as messages name them ----
static struct str value_text(struct arena *arena, const struct doc_value *value) {
    return doc_to_json(arena, value);
}

struct str fieldset_path(struct arena *arena, struct str parent, struct str element) {
    struct str name = str_skip(element, 2);
    struct doc_value keys;
    if (element.n && element.p[0] == 'f') {
        return arena_printf(arena, "%.*s.%.*s", STR_ARG(parent), STR_ARG(name));
    }
    if (element.n && element.p[0] == 'i') {
        return arena_printf(arena, "%.*s[%.*s]", STR_ARG(parent), STR_ARG(name));
    }
    if (!str_starts(element, STR("k:")) || !doc_parse_json(name, arena, &keys, NULL)) {
        return arena_printf(arena, "%.*s[=%.*s]", STR_ARG(parent), STR_ARG(name));
    }
    struct str text = {NULL, 0};
    for (DOC_EACH_MEMBER(&keys, i)) {
        text = arena_printf(arena, "%.*s%s%.*s=%.*s", STR_ARG(text), text.n ? "," : "",
                            STR_ARG(doc_key_at(&keys, i)),
                            STR_ARG(value_text(arena, doc_value_at(&keys, i))));
    }
    return arena_printf(arena, "%.*s[%.*s]", STR_ARG(parent), STR_ARG(text));
}

static void list(const struct fieldset *set, struct str path, struct fieldset_paths *out) {
    // The members of one level come before what is below them.
    for (uint32_t i = 0; i < set->len; i++) {
        if (set->items[i]->member) {
            if (out->len == out->cap) {
                size_t cap = out->cap ? out->cap * 2 : 16;
                out->items = arena_grow(out->arena, out->items, out->cap * sizeof *out->items,
                                        cap * sizeof *out->items);
                out->cap = cap;
            }
            out->items[out->len++] = fieldset_path(out->arena, path, set->items[i]->name);
        }
    }
    for (uint32_t i = 0; i < set->len; i++) {
        if (set->items[i]->len) {
            list(set->items[i], fieldset_path(out->arena, path, set->items[i]->name), out);
        }
    }
}

void fieldset_list(const struct fieldset *set, struct fieldset_paths *paths) {
    list(set, (struct str){NULL, 0}, paths);
}
