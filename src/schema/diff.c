// SPDX-License-Identifier: Apache-2.0
// Strategic merge patches from two or three states, as kubectl makes them: merged lists become their changed items, with
// $patch: delete for lost ones and $setElementOrder where order or content changed.
#include "schema/schema_internal.h"

struct differ {
    struct arena *arena;
    struct err *err;
    bool ignore_changes;   // neither changed nor added fields
    bool ignore_deletions; // no nulls for lost fields
};

static bool diff_maps(const struct differ *d, const struct schema_at *at,
                      const struct doc_value *from, const struct doc_value *to, bool retain,
                      struct doc_value *out);

// ---- Items in the order of their printed key, as the pairing below needs them ----

struct item {
    struct str text;
    const struct doc_value *value;
    size_t index;
};

static struct str printed(struct arena *arena, const struct doc_value *v) {
    if (doc_is(v, DOC_STRING)) {
        return doc_str(v);
    }
    return v ? doc_to_json(arena, v) : STR("<nil>");
}

static int compare_items(const void *a, const void *b) {
    const struct item *left = a;
    const struct item *right = b;
    int order = str_cmp(left->text, right->text);
    return order ? order : left->index < right->index ? -1 : left->index > right->index;
}

static struct item *sorted_items(struct arena *arena, const struct doc_value *list,
                                 struct str key) {
    size_t count = doc_len(list);
    struct item *items = ARENA_ARRAY(arena, count ? count : 1, struct item);
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *value = doc_at(list, i);
        items[i] = (struct item){printed(arena, schema_identity(value, key)), value, i};
    }
    if (count > 1) {
        qsort(items, count, sizeof *items, compare_items);
    }
    return items;
}

// Which of two sorted lists has the next item: negative for the first, positive for the second, 0 for both.
static int next_of(const struct item *a, size_t i, size_t a_count, const struct item *b, size_t j,
                   size_t b_count) {
    if (i >= a_count || j >= b_count) {
        return i >= a_count ? 1 : -1;
    }
    return str_cmp(a[i].text, b[j].text);
}

// ---- Lists ----

static bool diff_lists_of_maps(const struct differ *d, const struct schema_at *at, struct str key,
                               const struct doc_value *from, const struct doc_value *to,
                               struct doc_array *patch, struct doc_array *deletions) {
    struct item *old = sorted_items(d->arena, from, key);
    struct item *new = sorted_items(d->arena, to, key);
    size_t old_count = doc_len(from);
    size_t new_count = doc_len(to);
    struct schema_at item_at = schema_at_item(at);
    bool retain = schema_retains_keys(at);
    size_t i = 0;
    size_t j = 0;
    while (i < old_count || j < new_count) {
        int order = next_of(old, i, old_count, new, j, new_count);
        if (order < 0) {
            if (!d->ignore_deletions) {
                struct doc_object deletion = doc_object_start(d->arena);
                doc_object_set_c(&deletion, "$patch", DOC_S("delete"));
                doc_object_set(&deletion, key, *schema_identity(old[i].value, key));
                doc_array_add(deletions, doc_object_done(&deletion));
            }
            i++;
        } else if (order > 0) {
            if (!d->ignore_changes) {
                doc_array_add(patch, *new[j].value);
            }
            j++;
        } else {
            struct doc_value change;
            if (!diff_maps(d, &item_at, old[i].value, new[j].value, retain, &change)) {
                return false;
            }
            if (doc_len(&change) > 0) {
                struct doc_object item = doc_object_copy(d->arena, &change);
                doc_object_set(&item, key, *schema_identity(new[j].value, key));
                doc_array_add(patch, doc_object_done(&item));
            }
            i++;
            j++;
        }
    }
    return true;
}

static void diff_lists_of_scalars(const struct differ *d, const struct doc_value *from,
                                  const struct doc_value *to, struct doc_array *added,
                                  struct doc_array *deletions) {
    struct str none = {NULL, 0};
    struct item *old = sorted_items(d->arena, from, none);
    struct item *new = sorted_items(d->arena, to, none);
    struct schema_order seen = schema_order_start(d->arena, doc_len(from), none);
    size_t i = 0;
    size_t j = 0;
    while (i < doc_len(from) || j < doc_len(to)) {
        int order = next_of(old, i, doc_len(from), new, j, doc_len(to));
        if (order < 0) {
            if (!d->ignore_deletions && schema_order_find(&seen, old[i].value) == SCHEMA_NOWHERE) {
                schema_order_add(&seen, old[i].value, 0);
                doc_array_add(deletions, *old[i].value);
            }
        } else if (order > 0 && !d->ignore_changes) {
            doc_array_add(added, *new[j].value);
        }
        i += order <= 0 ? 1 : 0;
        j += order >= 0 ? 1 : 0;
    }
}

static bool same_order(const struct doc_value *from, const struct doc_value *to, struct str key) {
    bool same = doc_len(from) == doc_len(to);
    for (size_t i = 0; same && i < doc_len(from); i++) {
        same =
            doc_equal(schema_identity(doc_at(from, i), key), schema_identity(doc_at(to, i), key));
    }
    return same;
}

static bool need_keys(const struct differ *d, const struct doc_value *list, struct str key) {
    for (DOC_EACH_ITEM(list, item)) {
        if (!schema_need_key(d->err, item, key)) {
            return false;
        }
    }
    return true;
}

static void set_directive(const struct differ *d, struct doc_object *patch, struct str directive,
                          struct str field, struct doc_value value) {
    struct str key = arena_printf(d->arena, "%.*s/%.*s", STR_ARG(directive), STR_ARG(field));
    doc_object_set(patch, key, value);
}

static struct doc_value keys_only(const struct differ *d, const struct doc_value *list,
                                  struct str key) {
    struct doc_array keys = doc_array_start(d->arena);
    for (DOC_EACH_ITEM(list, item)) {
        struct doc_object one = doc_object_start(d->arena);
        doc_object_set(&one, key, *schema_identity(item, key));
        doc_array_add(&keys, doc_object_done(&one));
    }
    return doc_array_done(&keys);
}

static bool diff_map_list(const struct differ *d, const struct schema_at *at, struct str field,
                          const struct doc_value *from, const struct doc_value *to,
                          struct doc_object *patch) {
    struct str key = schema_merge_key(at);
    struct doc_array changes = doc_array_start(d->arena);
    struct doc_array deletions = doc_array_start(d->arena);
    if (!need_keys(d, from, key) || !need_keys(d, to, key) ||
        !diff_lists_of_maps(d, at, key, from, to, &changes, &deletions)) {
        return false;
    }
    struct doc_value items = doc_array_done(&changes);
    items = schema_sort_items(d->arena, &items, to, key);
    struct doc_array all = doc_array_start(d->arena);
    for (DOC_EACH_ITEM(&items, item)) {
        doc_array_add(&all, *item);
    }
    for (uint32_t i = 0; i < deletions.len; i++) {
        doc_array_add(&all, deletions.items[i]);
    }
    bool changed = all.len > 0;
    if (changed) {
        doc_object_set(patch, field, doc_array_done(&all));
    }
    bool order = (!d->ignore_changes && (changed || !same_order(from, to, key))) ||
                 (!d->ignore_deletions && changed);
    if (order && doc_len(to) > 0) {
        set_directive(d, patch, SCHEMA_SET_ORDER, field, keys_only(d, to, key));
    }
    return true;
}

static void diff_scalar_list(const struct differ *d, struct str field, const struct doc_value *from,
                             const struct doc_value *to, struct doc_object *patch) {
    struct doc_array added = doc_array_start(d->arena);
    struct doc_array deletions = doc_array_start(d->arena);
    diff_lists_of_scalars(d, from, to, &added, &deletions);
    if (added.len > 0) {
        struct doc_value items = doc_array_done(&added);
        doc_object_set(patch, field,
                       schema_sort_items(d->arena, &items, to, (struct str){NULL, 0}));
    }
    if (deletions.len > 0) {
        set_directive(d, patch, SCHEMA_DELETE_FROM, field, doc_array_done(&deletions));
    }
    bool order =
        (!d->ignore_deletions && deletions.len > 0) || (!d->ignore_changes && !doc_equal(from, to));
    if (order && doc_len(to) > 0) {
        set_directive(d, patch, SCHEMA_SET_ORDER, field, *to);
    }
}

static bool diff_lists(const struct differ *d, const struct schema_at *at, struct str field,
                       const struct doc_value *from, const struct doc_value *to,
                       struct doc_object *patch) {
    if (!schema_merges_list(at)) {
        if (!d->ignore_changes && !doc_equal(from, to)) {
            doc_object_set(patch, field, *to);
        }
        return true;
    }
    if (doc_len(from) == 0) {
        if (doc_len(to) > 0 && !d->ignore_changes) {
            doc_object_set(patch, field, *to);
        }
        return true;
    }
    enum doc_kind kind;
    if (!schema_item_kind(d->err, from, to, &kind)) {
        return err_wrap(d->err, "%.*s", STR_ARG(field));
    }
    if (kind == DOC_OBJECT) {
        return diff_map_list(d, at, field, from, to, patch) ||
               err_wrap(d->err, "%.*s", STR_ARG(field));
    }
    diff_scalar_list(d, field, from, to, patch);
    return true;
}

// ---- Maps ----

static bool diff_member(const struct differ *d, const struct schema_at *at, struct str key,
                        const struct doc_value *from, const struct doc_value *to,
                        struct doc_object *patch) {
    enum doc_kind kind = doc_kind(to);
    if (!from || doc_kind(from) != kind || (kind != DOC_OBJECT && kind != DOC_ARRAY)) {
        bool changed = !from || doc_kind(from) != kind || !doc_equal(from, to);
        if (changed && !d->ignore_changes) {
            doc_object_set(patch, key, *to);
        }
        return true;
    }
    struct schema_at member_at = schema_at_member(at, key);
    if (kind == DOC_ARRAY) {
        return diff_lists(d, &member_at, key, from, to, patch);
    }
    if (schema_replaces_map(&member_at)) {
        if (!d->ignore_changes) {
            doc_object_set(patch, key, *to);
        }
        return true;
    }
    struct doc_value change;
    if (!diff_maps(d, &member_at, from, to, schema_retains_keys(&member_at), &change)) {
        return err_wrap(d->err, "%.*s", STR_ARG(key));
    }
    if (doc_len(&change) > 0) {
        doc_object_set(patch, key, change);
    }
    return true;
}

static bool loses_field(const struct doc_value *from, const struct doc_value *to) {
    for (DOC_EACH_MEMBER(from, i)) {
        if (!doc_is_null(doc_value_at(from, i)) && !doc_find(to, doc_key_at(from, i))) {
            return true;
        }
    }
    return false;
}

static struct doc_value retained_keys(const struct differ *d, const struct doc_value *to) {
    struct doc_array names = doc_array_start(d->arena);
    for (DOC_EACH_MEMBER(to, i)) {
        if (!doc_is_null(doc_value_at(to, i))) {
            doc_array_add(&names, doc_make_str(doc_key_at(to, i)));
        }
    }
    struct doc_value list = doc_array_done(&names);
    struct item *sorted = sorted_items(d->arena, &list, (struct str){NULL, 0});
    struct doc_array out = doc_array_start(d->arena);
    for (size_t i = 0; i < doc_len(&list); i++) {
        doc_array_add(&out, *sorted[i].value);
    }
    return doc_array_done(&out);
}

static bool diff_maps(const struct differ *d, const struct schema_at *at,
                      const struct doc_value *from, const struct doc_value *to, bool retain,
                      struct doc_value *out) {
    struct doc_object patch = doc_object_start(d->arena);
    for (DOC_EACH_MEMBER(to, i)) {
        struct str key = doc_key_at(to, i);
        if (!diff_member(d, at, key, doc_find(from, key), doc_value_at(to, i), &patch)) {
            return false;
        }
    }
    for (DOC_EACH_MEMBER(from, i)) {
        if (!d->ignore_deletions && !doc_find(to, doc_key_at(from, i))) {
            doc_object_set(&patch, doc_key_at(from, i), doc_null());
        }
    }
    if (retain && (patch.len > 0 || loses_field(from, to))) {
        struct doc_value keys = retained_keys(d, to);
        if (doc_len(&keys) > 0) {
            doc_object_set(&patch, SCHEMA_RETAIN_KEYS, keys);
        }
    }
    *out = doc_object_done(&patch);
    return true;
}

// ---- Kinds without tables: JSON merge patches ----

// Of a merge patch only the deletions (nulls), or all but them.
static struct doc_value filter_nulls(struct arena *arena, const struct doc_value *patch,
                                     bool nulls) {
    struct doc_object kept = doc_object_start(arena);
    for (DOC_EACH_MEMBER(patch, i)) {
        const struct doc_value *value = doc_value_at(patch, i);
        struct str key = doc_key_at(patch, i);
        if (doc_is_null(value)) {
            if (nulls) {
                doc_object_set(&kept, key, doc_null());
            }
        } else if (doc_is(value, DOC_OBJECT) && doc_len(value) > 0) {
            struct doc_value inner = filter_nulls(arena, value, nulls);
            if (doc_len(&inner) > 0) {
                doc_object_set(&kept, key, inner);
            }
        } else if (!nulls) {
            doc_object_set(&kept, key, *value);
        }
    }
    return doc_object_done(&kept);
}

static struct doc_value join_patches(struct arena *arena, const struct doc_value *a,
                                     const struct doc_value *b) {
    struct doc_object joined = doc_object_copy(arena, a);
    for (DOC_EACH_MEMBER(b, i)) {
        struct str key = doc_key_at(b, i);
        const struct doc_value *had = doc_find(a, key);
        const struct doc_value *value = doc_value_at(b, i);
        bool both = doc_is(had, DOC_OBJECT) && doc_is(value, DOC_OBJECT);
        doc_object_set(&joined, key, both ? join_patches(arena, had, value) : *value);
    }
    return doc_object_done(&joined);
}

static struct doc_value three_way_json(struct arena *arena, const struct doc_value *original,
                                       const struct doc_value *modified,
                                       const struct doc_value *current) {
    struct doc_value changes = doc_merge_diff(arena, current, modified);
    struct doc_value losses = doc_merge_diff(arena, original, modified);
    changes = filter_nulls(arena, &changes, false);
    losses = filter_nulls(arena, &losses, true);
    return join_patches(arena, &losses, &changes);
}

// ---- Public ----

bool schema_strategic_diff(struct arena *arena, const struct schema_type *type,
                           const struct doc_value *from, const struct doc_value *to,
                           struct doc_value *patch, struct err *err) {
    if (!type) {
        *patch = doc_merge_diff(arena, from, to);
        return true;
    }
    struct differ d = {.arena = arena, .err = err};
    struct schema_at at = schema_at_type(type);
    return diff_maps(&d, &at, from, to, false, patch);
}

bool schema_three_way(struct arena *arena, const struct schema_type *type,
                      const struct doc_value *original, const struct doc_value *modified,
                      const struct doc_value *current, struct doc_value *patch, struct err *err) {
    struct doc_object nothing = doc_object_start(arena);
    struct doc_value empty = doc_object_done(&nothing);
    original = doc_is(original, DOC_OBJECT) ? original : &empty;
    if (!type) {
        *patch = three_way_json(arena, original, modified, current);
        return true;
    }
    struct schema_at at = schema_at_type(type);
    struct differ changes = {.arena = arena, .err = err, .ignore_deletions = true};
    struct differ losses = {.arena = arena, .err = err, .ignore_changes = true};
    struct doc_value changed, lost;
    struct schema_merge m = {.arena = arena, .err = err};
    return diff_maps(&changes, &at, current, modified, false, &changed) &&
           diff_maps(&losses, &at, original, modified, false, &lost) &&
           schema_merge_maps(&m, &at, &lost, &changed, patch);
}
