// SPDX-License-Identifier: Apache-2.0
// From values to sets of fields: what differs between two states, and what a configuration names.
#include "apiserver/fieldset.h"

#include <stdlib.h>

#include "base/limits.h"

// ---- Elements of lists ----
struct list_keys {
    struct schema_fields_key keys[SCHEMA_FIELDS_KEYS];
    size_t count;
    bool by_value;
};

static struct list_keys keys_of(const struct schema_fields *list) {
    struct list_keys out = {.by_value = schema_fields_list(list) == SCHEMA_BY_VALUE};
    out.count = out.by_value ? 0 : schema_fields_keys(list, out.keys);
    return out;
}

static struct str from_buf(struct arena *arena, struct buf *text) {
    struct str out = arena_dup(arena, buf_str(text));
    buf_fini(text);
    return out;
}

static struct str keyed_element(struct arena *arena, const struct list_keys *keys,
                                const struct doc_value *item, struct err *err) {
    struct buf text;
    buf_init(&text, LIMIT_OBJECT_BYTES);
    buf_add_c(&text, "k:{");
    bool found = false;
    for (size_t i = 0; i < keys->count; i++) {
        const struct schema_fields_key *key = &keys->keys[i];
        const struct doc_value *value = doc_find(item, key->name);
        if (!value && key->has_fallback) {
            value = &key->fallback;
        }
        if (value) {
            buf_printf(&text, "%s\"%.*s\":", found ? "," : "", STR_ARG(key->name));
            doc_print_canonical(value, &text);
            found = true;
        }
    }
    buf_add_char(&text, '}');
    struct str out = from_buf(arena, &text);
    if (found) {
        return out;
    }
    struct str names = {NULL, 0};
    for (size_t i = 0; i < keys->count; i++) {
        names = arena_printf(arena, "%.*s%s\"%.*s\"", STR_ARG(names), i ? " " : "",
                             STR_ARG(keys->keys[i].name));
    }
    err_set(err, ERR_INVALID,
            "associative list with keys has an element that omits all key fields [%.*s] (and "
            "doesn't have default values for any key fields)",
            STR_ARG(names));
    return (struct str){NULL, 0};
}

static struct str element_of(struct arena *arena, const struct list_keys *keys,
                             const struct doc_value *item, struct err *err) {
    if (!keys->by_value) {
        if (!doc_is(item, DOC_OBJECT)) {
            err_set(err, ERR_INVALID, "associative list with keys may not have non-map elements");
            return (struct str){NULL, 0};
        }
        return keyed_element(arena, keys, item, err);
    }
    if (doc_is_null(item)) {
        err_set(err, ERR_INVALID,
                "associative list without keys has an element that's an "
                "explicit null");
        return (struct str){NULL, 0};
    }
    if (doc_is(item, DOC_OBJECT) || doc_is(item, DOC_ARRAY)) {
        err_set(err, ERR_INVALID, "associative list without keys has an element that's a %s type",
                doc_is(item, DOC_OBJECT) ? "map" : "list");
        return (struct str){NULL, 0};
    }
    struct buf text;
    buf_init(&text, LIMIT_OBJECT_BYTES);
    buf_add_c(&text, "v:");
    doc_print_canonical(item, &text);
    return from_buf(arena, &text);
}

struct str fieldset_element(struct arena *arena, const struct schema_fields *list,
                            const struct doc_value *item, struct err *err) {
    struct list_keys keys = keys_of(list);
    return element_of(arena, &keys, item, err);
}

// ---- What belongs to the server ----
static bool is_identity(struct str key) {
    static const char *const names[] = {
        "creationTimestamp", "generation",      "managedFields", "name",
        "namespace",         "resourceVersion", "selfLink",      "uid"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(key, names[i])) {
            return true;
        }
    }
    return false;
}

struct fieldset fieldset_strip(struct arena *arena, const struct fieldset *set) {
    struct fieldset out = {0};
    for (uint32_t i = 0; i < set->len; i++) {
        struct fieldset *item = set->items[i];
        if (str_eq(item->name, STR("f:apiVersion")) || str_eq(item->name, STR("f:kind"))) {
            continue;
        }
        if (!str_eq(item->name, STR("f:metadata"))) {
            struct fieldset *same = fieldset_add(arena, &out, item->name);
            *same = *item;
            continue;
        }
        struct fieldset kept = {.name = item->name};
        for (uint32_t j = 0; j < item->len; j++) {
            if (!is_identity(str_skip(item->items[j]->name, 2))) {
                *fieldset_add(arena, &kept, item->items[j]->name) = *item->items[j];
            }
        }
        if (kept.len) {
            *fieldset_add(arena, &out, item->name) = kept;
        }
    }
    return out;
}

// ---- The difference of two states ----
// One level of the walk; the nodes of the two sets are made when something below is put into them.
struct level {
    struct level *up;
    struct str name;
    bool prefixed; // `name` is an element; else the name of a member
    struct fieldset *nodes[2];
};
enum { CHANGED, REMOVED };

struct walk {
    struct arena *arena;
    bool failed;
};

static struct fieldset *node_at(struct walk *w, struct level *level, int which) {
    if (!level->nodes[which]) {
        struct fieldset *parent = node_at(w, level->up, which);
        struct str name =
            level->prefixed ? level->name : arena_concat(w->arena, STR("f:"), level->name);
        level->nodes[which] = fieldset_add(w->arena, parent, name);
    }
    return level->nodes[which];
}

static void note(struct walk *w, struct level *level, int which) {
    if (level->up) {
        node_at(w, level, which)->member = true;
    }
}

static void diff(struct walk *w, struct level *level, const struct schema_fields *at,
                 const struct doc_value *left, const struct doc_value *right);

static void diff_leaf(struct walk *w, struct level *level, const struct doc_value *left,
                      const struct doc_value *right) {
    if (!left || !right) {
        note(w, level, left ? REMOVED : CHANGED);
    } else if (!doc_equal(left, right)) {
        note(w, level, CHANGED);
    }
}

static void diff_member(struct walk *w, struct level *level, const struct schema_fields *at,
                        struct str key, const struct doc_value *left,
                        const struct doc_value *right) {
    bool top = !level->up, metadata = !top && !level->up->up && !level->prefixed &&
                                      str_eq(level->name, STR("metadata"));
    if ((top && (str_eq(key, STR("apiVersion")) || str_eq(key, STR("kind")))) ||
        (metadata && is_identity(key))) {
        return; // nobody's
    }
    struct level below = {.up = level, .name = key};
    struct schema_fields next = schema_fields_member(at, key, NULL);
    diff(w, &below, &next, left, right);
}

static void diff_maps(struct walk *w, struct level *level, const struct schema_fields *at,
                      const struct doc_value *left, const struct doc_value *right) {
    size_t same = 0;
    for (DOC_EACH_MEMBER(right, i)) {
        struct str key = doc_key_at(right, i);
        const struct doc_value *old =
            str_eq(doc_key_at(left, i), key) ? doc_value_at(left, i) : doc_find(left, key);
        same += old != NULL;
        diff_member(w, level, at, key, old, doc_value_at(right, i));
    }
    if (same == doc_len(left)) {
        return;
    }
    for (DOC_EACH_MEMBER(left, i)) {
        struct str key = doc_key_at(left, i);
        if (!doc_find(right, key)) {
            diff_member(w, level, at, key, doc_value_at(left, i), NULL);
        }
    }
}

struct item {
    struct str name;
    const struct doc_value *value;
    uint32_t position;
};

static int compare_items(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    return order ? order : x->position < y->position ? -1 : 1;
}

static struct item *items_of(struct walk *w, const struct list_keys *keys,
                             const struct doc_value *list, size_t *count) {
    struct item *items = ARENA_ARRAY(w->arena, doc_len(list) + 1, struct item);
    *count = 0;
    for (DOC_EACH_ITEM(list, value)) {
        struct str name = element_of(w->arena, keys, value, NULL);
        if (!name.n) {
            w->failed = true;
            continue;
        }
        items[*count] = (struct item){name, value, (uint32_t)*count};
        ++*count;
    }
    if (*count > 1) {
        qsort(items, *count, sizeof *items, compare_items);
    }
    return items;
}

static size_t run_length(const struct item *items, size_t count) {
    size_t n = 1;
    while (n < count && str_eq(items[n].name, items[0].name)) {
        n++;
    }
    return count ? n : 0;
}

// Several items with one element on both sides are compared as a whole; else the first one counts.
static void diff_items(struct walk *w, struct level *level, const struct schema_fields *at,
                       const struct item *left, size_t l, const struct item *right, size_t r) {
    struct level below = {.up = level, .name = l ? left->name : right->name, .prefixed = true};
    struct schema_fields next = schema_fields_item(at);
    if (l > 1 && r > 1) {
        bool same = l == r;
        for (size_t i = 0; same && i < l; i++) {
            same = doc_equal(left[i].value, right[i].value);
        }
        if (!same) {
            note(w, &below, CHANGED);
        }
        return;
    }
    if (l > 1 && r == 1) {
        diff(w, &below, &next, NULL, right->value);
        return;
    }
    if (l > 1 || r > 1) {
        note(w, &below, r ? CHANGED : REMOVED);
        return;
    }
    diff(w, &below, &next, l ? left->value : NULL, r ? right->value : NULL);
}

static void diff_lists(struct walk *w, struct level *level, const struct schema_fields *at,
                       const struct doc_value *left, const struct doc_value *right) {
    if (left && right && doc_equal(left, right)) {
        return; // most lists of most writes
    }
    struct list_keys keys = keys_of(at);
    size_t l, r;
    struct item *lefts = items_of(w, &keys, left, &l), *rights = items_of(w, &keys, right, &r);
    for (size_t i = 0, j = 0; i < l || j < r;) {
        int order = i == l ? 1 : j == r ? -1 : str_cmp(lefts[i].name, rights[j].name);
        size_t a = order <= 0 ? run_length(&lefts[i], l - i) : 0;
        size_t b = order >= 0 ? run_length(&rights[j], r - j) : 0;
        diff_items(w, level, at, &lefts[i], a, &rights[j], b);
        i += a;
        j += b;
    }
}

// Compares as what `kind` says. True: the value is a leaf and dealt with.
static bool diff_as(struct walk *w, struct level *level, const struct schema_fields *at,
                    enum doc_kind kind, const struct doc_value *left,
                    const struct doc_value *right) {
    if (kind != DOC_OBJECT && kind != DOC_ARRAY) {
        diff_leaf(w, level, left, right);
        return true;
    }
    const struct doc_value *l = doc_is(left, kind) ? left : NULL;
    const struct doc_value *r = doc_is(right, kind) ? right : NULL;
    bool empty = doc_len(l) == 0 && doc_len(r) == 0; // keeps empty and absent apart
    enum schema_relation relation =
        kind == DOC_OBJECT ? schema_fields_map(at) : schema_fields_list(at);
    if (relation == SCHEMA_ONE_PIECE || empty) {
        diff_leaf(w, level, left, right);
        return true;
    }
    if (kind == DOC_OBJECT) {
        diff_maps(w, level, at, l, r);
    } else {
        diff_lists(w, level, at, l, r);
    }
    return false;
}

static enum doc_kind shape(const struct doc_value *v) { // scalars are alike
    enum doc_kind kind = doc_kind(v);
    return kind == DOC_OBJECT || kind == DOC_ARRAY || kind == DOC_NULL ? kind : DOC_STRING;
}

static bool is_shared(const struct doc_value *left, const struct doc_value *right) {
    if (!left || !right || left->kind != right->kind || doc_len(left) != doc_len(right) ||
        doc_len(left) == 0) {
        return false;
    }
    return left->kind == DOC_OBJECT ? doc_value_at(left, 0) == doc_value_at(right, 0)
                                    : doc_at(left, 0) == doc_at(right, 0);
}

static void diff(struct walk *w, struct level *level, const struct schema_fields *at,
                 const struct doc_value *left, const struct doc_value *right) {
    if ((!left && !right) || is_shared(left, right)) {
        return;
    }
    enum doc_kind l = shape(left), r = shape(right);
    bool leaf;
    if (l != r && l != DOC_NULL && r != DOC_NULL) {
        leaf = diff_as(w, level, at, l, left, right);
        leaf |= diff_as(w, level, at, r, left, right);
    } else {
        leaf = diff_as(w, level, at, r == DOC_NULL ? l : r, left, right);
    }
    if (!leaf && (!left || !right)) {
        note(w, level, left ? REMOVED : CHANGED);
    }
}

// "metadata" itself is nobody's, only what is in it.
static void disown_metadata(struct fieldset *set) {
    for (uint32_t i = 0; i < set->len; i++) {
        if (str_eq(set->items[i]->name, STR("f:metadata"))) {
            set->items[i]->member = false;
            if (!set->items[i]->len) {
                set->items[i] = set->items[--set->len];
                return;
            }
        }
    }
}

void fieldset_diff(struct arena *arena, const struct schema_fields *root,
                   const struct doc_value *before, const struct doc_value *after,
                   struct fieldset_diff *out) {
    struct walk w = {.arena = arena};
    *out = (struct fieldset_diff){0};
    struct level top = {.nodes = {&out->changed, &out->removed}};
    diff_maps(&w, &top, root, before, after);
    disown_metadata(&out->changed);
    fieldset_sort(&out->changed);
    fieldset_sort(&out->removed);
}

// ---- The set of a configuration ----
struct collect {
    struct arena *arena;
    bool lenient; // a live object
    struct err *err;
    bool failed;
    struct buf problems;
    size_t problem_count;
};

// Where a problem is; made a text only when there is one.
struct path {
    const struct path *up;
    struct str name; // of a member, or an element
    bool prefixed;
};

static struct str path_text(struct arena *arena, const struct path *path) {
    if (!path) {
        return (struct str){NULL, 0};
    }
    struct str name = path->prefixed ? path->name : arena_concat(arena, STR("f:"), path->name);
    return fieldset_path(arena, path_text(arena, path->up), name);
}

static void problem(struct collect *c, const struct path *at, const char *text, struct str detail) {
    c->failed = true;
    if (c->lenient || c->problem_count++ > 50) {
        return;
    }
    // The first one stands alone; several are a list.
    struct str path = path_text(c->arena, at);
    buf_printf(&c->problems, "%s%.*s: %s%.*s", c->problem_count > 1 ? "\n  " : "", STR_ARG(path),
               text, STR_ARG(detail));
}

static void collect(struct collect *c, struct fieldset *set, const struct schema_fields *at,
                    const struct doc_value *value, const struct path *path);

static void collect_map(struct collect *c, struct fieldset *set, const struct schema_fields *at,
                        const struct doc_value *value, const struct path *path) {
    for (DOC_EACH_MEMBER(value, i)) {
        struct str key = doc_key_at(value, i);
        const struct doc_value *member = doc_value_at(value, i);
        bool named;
        struct schema_fields next = schema_fields_member(at, key, &named);
        struct path below = {.up = path, .name = key};
        if (!named && !c->lenient && !schema_fields_knows(at, key)) {
            problem(c, &below, "field not declared in schema", (struct str){NULL, 0});
            break; // one for each map, as in Kubernetes
        }
        struct fieldset *item = fieldset_add(c->arena, set, arena_concat(c->arena, STR("f:"), key));
        collect(c, item, &next, member, &below);
        item->member |=
            !named || doc_is_null(member) || (doc_is(member, DOC_OBJECT) && doc_len(member) == 0);
        if (!item->member && !item->len) {
            set->len--; // an empty list
        }
    }
}

static void collect_list(struct collect *c, struct fieldset *set, const struct schema_fields *at,
                         const struct doc_value *value, const struct path *path) {
    struct list_keys keys = keys_of(at);
    struct schema_fields next = schema_fields_item(at);
    size_t position = 0;
    for (DOC_EACH_ITEM(value, item)) {
        struct err err = {0};
        struct str name = element_of(c->arena, &keys, item, &err);
        if (!name.n) {
            problem(c, path, "", arena_printf(c->arena, "element %zu: %s", position, err.message));
        } else {
            struct fieldset *node = fieldset_add(c->arena, set, name);
            node->member = true;
            struct path below = {.up = path, .name = name, .prefixed = true};
            collect(c, node, &next, item, &below);
        }
        position++;
    }
    fieldset_sort(set);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->len; i++) {
        if (kept == 0 || !str_eq(set->items[kept - 1]->name, set->items[i]->name)) {
            set->items[kept++] = set->items[i];
            continue;
        }
        struct str key = fieldset_path(c->arena, (struct str){NULL, 0}, set->items[i]->name);
        problem(c, path, "duplicate entries for key ", key);
    }
    set->len = kept;
}

// A value as Go prints it in messages of structured merge.
static struct str go_value(struct arena *arena, const struct doc_value *value) {
    if (doc_is(value, DOC_STRING)) {
        return doc_str(value);
    }
    if (!doc_is(value, DOC_OBJECT) && !doc_is(value, DOC_ARRAY)) {
        return doc_to_json(arena, value);
    }
    bool map = doc_is(value, DOC_OBJECT);
    struct str text = map ? STR("map[") : STR("[");
    for (size_t i = 0; i < doc_len(value); i++) {
        const struct doc_value *item = map ? doc_value_at(value, i) : doc_at(value, i);
        struct str key = map ? doc_key_at(value, i) : (struct str){NULL, 0};
        text = arena_printf(arena, "%.*s%s%.*s%s%.*s", STR_ARG(text), i ? " " : "", STR_ARG(key),
                            map ? ":" : "", STR_ARG(go_value(arena, item)));
    }
    return arena_concat(arena, text, STR("]"));
}

// False: the value is not of the type that the schema says.
static bool has_type(struct collect *c, const struct schema_fields *at,
                     const struct doc_value *value, const struct path *path) {
    enum schema_type_class want = schema_fields_class(at);
    enum doc_kind kind = doc_kind(value);
    bool number = kind == DOC_INT || kind == DOC_NUMBER;
    bool ok = kind == DOC_NULL || c->lenient;
    const char *name = "";
    switch (want) {
    case SCHEMA_CLASS_ANY:
        return true;
    case SCHEMA_CLASS_MAP:
        ok |= kind == DOC_OBJECT;
        name = "map";
        break;
    case SCHEMA_CLASS_LIST:
        ok |= kind == DOC_ARRAY;
        name = "list";
        break;
    case SCHEMA_CLASS_STRING:
        ok |= kind == DOC_STRING;
        name = "string";
        break;
    case SCHEMA_CLASS_NUMBER:
        ok |= number;
        name = "numeric (int or float)";
        break;
    case SCHEMA_CLASS_BOOL:
        ok |= kind == DOC_BOOL;
        name = "boolean";
        break;
    }
    if (ok) {
        return true;
    }
    struct str got = go_value(c->arena, value);
    bool structure = want == SCHEMA_CLASS_MAP || want == SCHEMA_CLASS_LIST;
    struct str text =
        want == SCHEMA_CLASS_NUMBER ? str_from(kind == DOC_STRING  ? "string"
                                               : kind == DOC_BOOL  ? "bool"
                                               : kind == DOC_ARRAY ? "[]interface {}"
                                                                   : "map[string]interface {}")
        : structure                 ? arena_printf(c->arena, "&{%.*s}", STR_ARG(got))
                    : arena_printf(c->arena, "&value.valueUnstructured{Value:%.*s}", STR_ARG(got));
    problem(c, path, "expected ", arena_printf(c->arena, "%s, got %.*s", name, STR_ARG(text)));
    return false;
}

static void collect(struct collect *c, struct fieldset *set, const struct schema_fields *at,
                    const struct doc_value *value, const struct path *path) {
    enum doc_kind kind = doc_kind(value);
    if (!has_type(c, at, value, path)) {
        return;
    }
    if (kind == DOC_OBJECT && schema_fields_map(at) == SCHEMA_BY_MEMBER) {
        collect_map(c, set, at, value, path);
    } else if (kind == DOC_ARRAY && schema_fields_list(at) != SCHEMA_ONE_PIECE) {
        collect_list(c, set, at, value, path);
    } else if (kind != DOC_NULL) {
        set->member = true;
    }
}

static struct fieldset collect_all(struct collect *c, const struct schema_fields *root,
                                   const struct doc_value *value) {
    struct fieldset set = {0};
    collect_map(c, &set, root, value, NULL);
    disown_metadata(&set);
    fieldset_sort(&set);
    return set;
}

bool fieldset_of(struct arena *arena, const struct schema_fields *root,
                 const struct doc_value *config, struct fieldset *out, struct err *err) {
    struct collect c = {.arena = arena, .err = err};
    buf_init(&c.problems, 64 * KIB);
    *out = collect_all(&c, root, config);
    if (c.failed) {
        err_set(err, ERR_INVALID, "%.*s%.*s", c.problem_count > 1 ? 10 : 0, "errors:\n  ",
                STR_ARG(buf_str(&c.problems)));
    }
    buf_fini(&c.problems);
    return !c.failed;
}

struct fieldset fieldset_of_live(struct arena *arena, const struct schema_fields *root,
                                 const struct doc_value *value) {
    struct collect c = {.arena = arena, .lenient = true};
    return collect_all(&c, root, value);
}
