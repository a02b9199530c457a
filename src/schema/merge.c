// SPDX-License-Identifier: Apache-2.0
// Strategic merge patches. The same walk does two jobs: it applies a patch to an object, and it puts the deletions and
// the additions of a three-way diff into one patch (then directives and nulls are kept instead of obeyed).
//
// Directives: $patch (replace, delete) in maps and in items of lists, $retainKeys, $deleteFromPrimitiveList/FIELD and
// $setElementOrder/FIELD. Directives of lists are handled before ordinary fields, so the order of a patch's members does
// not matter.
#include "schema/schema_internal.h"

static bool merge_lists(const struct schema_merge *m, const struct schema_at *at,
                        const struct doc_value *original, const struct doc_value *patch,
                        bool deletes, struct doc_value *out);

// "$setElementOrder/containers" -> "containers". False when `key` is not that directive.
static bool directive_field(struct str key, struct str directive, struct str *field) {
    if (!str_starts(key, directive)) {
        return false;
    }
    struct str before;
    return str_cut(key, '/', &before, field) && str_eq(before, directive);
}

static bool is_directive(struct str key) {
    return key.n > 0 && key.p[0] == '$' &&
           (str_eq(key, SCHEMA_DIRECTIVE) || str_eq(key, SCHEMA_RETAIN_KEYS) ||
            str_starts(key, SCHEMA_DELETE_FROM) || str_starts(key, SCHEMA_SET_ORDER));
}

// Which member of `object` the value is that doc_find gave.
static size_t member_index(const struct doc_value *object, const struct doc_value *value) {
    const char *first = (const char *)doc_value_at(object, 0);
    return (size_t)((const char *)value - first) / sizeof(struct doc_member);
}

// ---- New values ----

// A value that the original does not have yet: what is marked with $patch goes away, and when a patch is applied so do
// nulls and the other directives. False when nothing is left.
static bool clean_value(const struct schema_merge *m, const struct doc_value *v,
                        struct doc_value *out) {
    if (doc_is(v, DOC_ARRAY)) {
        struct doc_array items = doc_array_start(m->arena);
        for (DOC_EACH_ITEM(v, item)) {
            struct doc_value kept;
            if (clean_value(m, item, &kept)) {
                doc_array_add(&items, kept);
            }
        }
        *out = doc_array_done(&items);
        return true;
    }
    if (!doc_is(v, DOC_OBJECT)) {
        *out = v ? *v : doc_null();
        return true;
    }
    if (doc_find(v, SCHEMA_DIRECTIVE)) {
        return false;
    }
    struct doc_object members = doc_object_start(m->arena);
    for (DOC_EACH_MEMBER(v, i)) {
        const struct doc_value *value = doc_value_at(v, i);
        struct doc_value kept;
        bool drop = m->apply && (doc_is_null(value) || is_directive(doc_key_at(v, i)));
        if (!drop && clean_value(m, value, &kept)) {
            doc_object_set(&members, doc_key_at(v, i), kept);
        }
    }
    *out = doc_object_done(&members);
    return true;
}

// ---- Lists ----

static bool bad_directive(const struct schema_merge *m, const struct doc_value *map,
                          const struct doc_value *directive) {
    struct str name =
        doc_is(directive, DOC_STRING)
            ? doc_str(directive)
            : arena_printf(m->arena, "%%!s(int64=%.*s)", STR_ARG(doc_to_json(m->arena, directive)));
    return err_set(m->err, ERR_INVALID, "unknown patch type: %.*s in map: %.*s", STR_ARG(name),
                   STR_ARG(schema_go_text(m->arena, map)));
}

// Sorts the items of a patch list into ordinary ones and deletions.
static bool split_special(const struct schema_merge *m, const struct doc_value *patch,
                          struct str key, struct doc_array *plain, struct doc_array *deletions,
                          bool *replace) {
    for (DOC_EACH_ITEM(patch, item)) {
        const struct doc_value *directive = doc_find(item, SCHEMA_DIRECTIVE);
        if (!directive) {
            doc_array_add(plain, *item);
        } else if (str_eq_c(doc_str(directive), "delete")) {
            if (!schema_need_key(m->err, item, key)) {
                return false;
            }
            doc_array_add(deletions, *item);
        } else if (str_eq_c(doc_str(directive), "replace")) {
            *replace = true;
        } else if (str_eq_c(doc_str(directive), "merge")) {
            return err_set(m->err, ERR_INVALID,
                           "merging lists cannot yet be specified in the patch");
        } else {
            return bad_directive(m, item, directive);
        }
    }
    return true;
}

static struct doc_value without_items(const struct schema_merge *m, const struct doc_value *list,
                                      const struct doc_value *gone, struct str key) {
    struct schema_order order = schema_order_make(m->arena, gone, key);
    struct doc_array left = doc_array_start(m->arena);
    for (DOC_EACH_ITEM(list, item)) {
        if (schema_order_find(&order, item) == SCHEMA_NOWHERE) {
            doc_array_add(&left, *item);
        }
    }
    return doc_array_done(&left);
}

static bool merge_items(const struct schema_merge *m, const struct schema_at *at, struct str key,
                        const struct doc_value *original, const struct doc_value *patch,
                        struct doc_value *out) {
    struct doc_array all = doc_array_start(m->arena);
    struct schema_at item_at = schema_at_item(at);
    // Identities are looked at in `original` and `patch`, which stay where they are while `all` grows.
    struct schema_order order =
        schema_order_start(m->arena, doc_len(original) + doc_len(patch), key);
    for (DOC_EACH_ITEM(original, item)) {
        schema_order_add(&order, item, all.len);
        doc_array_add(&all, *item);
    }
    for (DOC_EACH_ITEM(patch, item)) {
        if (!schema_need_key(m->err, item, key)) {
            return false;
        }
        uint32_t position = schema_order_find(&order, item);
        struct doc_value merged;
        if (position == SCHEMA_NOWHERE) {
            bool keep = !m->apply || clean_value(m, item, &merged);
            schema_order_add(&order, item, all.len);
            doc_array_add(&all, m->apply && keep ? merged : *item);
            continue;
        }
        if (!schema_merge_maps(m, &item_at, &all.items[position], item, &merged)) {
            return false;
        }
        all.items[position] = merged;
    }
    *out = doc_array_done(&all);
    return true;
}

static bool merge_lists_of_maps(const struct schema_merge *m, const struct schema_at *at,
                                const struct doc_value *original, const struct doc_value *patch,
                                struct doc_value *out) {
    struct str key = schema_merge_key(at);
    if (key.n == 0) {
        return err_set(m->err, ERR_INVALID, "cannot merge lists without merge key");
    }
    struct doc_array plain = doc_array_start(m->arena);
    struct doc_array deletions = doc_array_start(m->arena);
    bool replace = false;
    if (!split_special(m, patch, key, &plain, &deletions, &replace)) {
        return false;
    }
    struct doc_value server = *original;
    struct doc_value wanted = doc_array_done(&plain);
    if (deletions.len) {
        struct doc_value gone = doc_array_done(&deletions);
        server = without_items(m, original, &gone, key);
    }
    if (replace) {
        server = wanted;
        struct doc_array none = doc_array_start(m->arena);
        wanted = doc_array_done(&none);
    }
    struct doc_value merged;
    return merge_items(m, at, key, &server, &wanted, &merged) &&
           schema_order_merged(m, &merged, &wanted, &server, key, out);
}

static bool merge_sets(const struct schema_merge *m, const struct doc_value *original,
                       const struct doc_value *patch, struct doc_value *out) {
    struct doc_array all = doc_array_start(m->arena);
    struct str none = {NULL, 0};
    struct schema_order seen =
        schema_order_start(m->arena, doc_len(original) + doc_len(patch), none);
    const struct doc_value *lists[] = {original, patch};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        for (DOC_EACH_ITEM(lists[l], item)) {
            if (schema_order_find(&seen, item) == SCHEMA_NOWHERE) {
                schema_order_add(&seen, item, all.len);
                doc_array_add(&all, *item);
            }
        }
    }
    struct doc_value merged = doc_array_done(&all);
    return schema_order_merged(m, &merged, patch, original, none, out);
}

static bool merge_lists(const struct schema_merge *m, const struct schema_at *at,
                        const struct doc_value *original, const struct doc_value *patch,
                        bool deletes, struct doc_value *out) {
    if (!schema_merges_list(at) && !deletes) {
        *out = *patch;
        return true;
    }
    if (doc_len(original) == 0 && doc_len(patch) == 0) {
        *out = *original;
        return true;
    }
    enum doc_kind kind;
    if (!schema_item_kind(m->err, original, patch, &kind)) {
        return false;
    }
    if (kind == DOC_OBJECT) {
        return merge_lists_of_maps(m, at, original, patch, out);
    }
    if (deletes) {
        *out = without_items(m, original, patch, (struct str){NULL, 0});
        return true;
    }
    return merge_sets(m, original, patch, out);
}

// ---- Directives of maps ----

static bool in_list(const struct schema_order *order, struct str text) {
    struct doc_value value = doc_make_str(text);
    return schema_order_find(order, &value) != SCHEMA_NOWHERE;
}

static bool retain_keys(const struct schema_merge *m, const struct doc_value *patch,
                        struct doc_value *working) {
    const struct doc_value *keys = doc_find(patch, SCHEMA_RETAIN_KEYS);
    if (!keys) {
        return true;
    }
    if (!m->apply) {
        const struct doc_value *had = doc_find(working, SCHEMA_RETAIN_KEYS);
        if (had && !doc_equal(had, keys)) {
            return err_set(m->err, ERR_INVALID,
                           "two $retainKeys lists differ: this may happen when calculating the "
                           "3-way diff patch");
        }
        struct doc_object object = doc_object_copy(m->arena, working);
        doc_object_set(&object, SCHEMA_RETAIN_KEYS, *keys);
        *working = doc_object_done(&object);
        return true;
    }
    struct schema_order order = schema_order_make(m->arena, keys, (struct str){NULL, 0});
    bool ok = doc_is(keys, DOC_ARRAY);
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        ok = ok &&
             (is_directive(key) || doc_is_null(doc_value_at(patch, i)) || in_list(&order, key));
    }
    if (!ok) {
        return err_set(m->err, ERR_INVALID, "invalid patch format of retainKeys");
    }
    struct doc_object kept = doc_object_start(m->arena);
    for (DOC_EACH_MEMBER(working, i)) {
        if (in_list(&order, doc_key_at(working, i))) {
            doc_object_set(&kept, doc_key_at(working, i), *doc_value_at(working, i));
        }
    }
    *working = doc_object_done(&kept);
    return true;
}

// The items of a patch must come in the order that its $setElementOrder asks for.
static bool check_set_order(const struct schema_merge *m, const struct doc_value *patch,
                            const struct doc_value *set_order, struct str key) {
    if (doc_len(patch) == 0 || doc_len(set_order) == 0) {
        return true;
    }
    size_t at = 0;
    for (DOC_EACH_ITEM(patch, item)) {
        if (key.n && doc_find(item, SCHEMA_DIRECTIVE)) {
            continue;
        }
        if (key.n && !schema_need_key(m->err, item, key)) {
            return false;
        }
        const struct doc_value *identity = schema_identity(item, key);
        for (;; at++) {
            if (at >= doc_len(set_order)) {
                return err_set(m->err, ERR_INVALID,
                               "The order in patch list:\n%.*s\n doesn't match $setElementOrder "
                               "list:\n%.*s\n",
                               STR_ARG(schema_go_text(m->arena, patch)),
                               STR_ARG(schema_go_text(m->arena, set_order)));
            }
            const struct doc_value *wanted = schema_identity(doc_at(set_order, at), key);
            if (key.n && !wanted) {
                return schema_need_key(m->err, doc_at(set_order, at), key);
            }
            if (doc_equal(wanted, identity)) {
                at++;
                break;
            }
        }
    }
    return true;
}

static bool need_list(const struct schema_merge *m, const struct doc_value *v) {
    if (v && !doc_is(v, DOC_ARRAY)) {
        static const char *const types[] = {
            [DOC_NULL] = "nil",      [DOC_BOOL] = "bool",
            [DOC_INT] = "int64",     [DOC_NUMBER] = "float64",
            [DOC_STRING] = "string", [DOC_OBJECT] = "map[string]interface {}"};
        return err_set(m->err, ERR_INVALID, "expected a []interface {}, but received a %s",
                       types[doc_kind(v)]);
    }
    return true;
}

// The order in which the server's items count for $setElementOrder. Where the patch deletes items, kube-apiserver lets the
// first added ones take the places at the end that became free, so they sort behind the server's own items.
static struct doc_value server_order(const struct schema_merge *m, const struct doc_value *original,
                                     const struct doc_value *wanted, struct str key) {
    struct doc_array gone = doc_array_start(m->arena);
    for (DOC_EACH_ITEM(wanted, item)) {
        if (schema_is_deletion(item)) {
            doc_array_add(&gone, *item);
        }
    }
    if (gone.len == 0 || key.n == 0) {
        return *original;
    }
    struct doc_value deletions = doc_array_done(&gone);
    struct doc_value left = without_items(m, original, &deletions, key);
    size_t free_places = doc_len(original) - doc_len(&left);
    struct schema_order known = schema_order_make(m->arena, &left, key);
    struct doc_array order = doc_array_start(m->arena);
    for (DOC_EACH_ITEM(&left, item)) {
        doc_array_add(&order, *item);
    }
    for (DOC_EACH_ITEM(wanted, item)) {
        if (free_places > 0 && !doc_find(item, SCHEMA_DIRECTIVE) &&
            schema_order_find(&known, item) == SCHEMA_NOWHERE) {
            doc_array_add(&order, *item);
            free_places--;
        }
    }
    return doc_array_done(&order);
}

// One "$setElementOrder/FIELD". `done` says that the ordinary member FIELD of the patch is dealt with.
static bool set_element_order(const struct schema_merge *m, const struct schema_at *at,
                              const struct doc_value *patch, struct str field,
                              const struct doc_value *set_order, struct doc_object *result,
                              const struct doc_value *working, bool *done) {
    const struct doc_value *original = doc_find(working, field);
    const struct doc_value *wanted = doc_find(patch, field);
    if (!need_list(m, set_order) || !need_list(m, original) || !need_list(m, wanted)) {
        return false;
    }
    struct schema_at field_at = schema_at_member(at, field);
    struct str key = schema_merge_key(&field_at);
    if (!check_set_order(m, wanted, set_order, key)) {
        return false;
    }
    struct doc_value merged;
    struct doc_value order = original ? *original : doc_null();
    enum doc_kind kind;
    if (!original && !wanted) {
        return true;
    }
    if (!original) {
        clean_value(m, wanted, &merged);
    } else if (!wanted) {
        merged = *original;
    } else if (!merge_lists(m, &field_at, original, wanted, false, &merged)) {
        return false;
    } else {
        order = server_order(m, original, wanted, key);
    }
    if (!schema_item_kind(m->err, original, wanted, &kind) ||
        !schema_order_merged(m, &merged, set_order, &order, key, &merged)) {
        return false;
    }
    doc_object_set(result, field, merged);
    *done = true;
    return true;
}

// $setElementOrder and $deleteFromPrimitiveList. `done` marks the members of the patch that need no more.
static bool list_directives(const struct schema_merge *m, const struct schema_at *at,
                            const struct doc_value *patch, struct doc_value *working, bool *done) {
    bool any = false;
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        any = any || str_starts(key, SCHEMA_SET_ORDER) || str_starts(key, SCHEMA_DELETE_FROM);
    }
    if (!any) {
        return true;
    }
    struct doc_object result = doc_object_copy(m->arena, working);
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        struct str field;
        if (!str_starts(key, SCHEMA_SET_ORDER)) {
            continue;
        }
        const struct doc_value *had = doc_find(working, key);
        if (!directive_field(key, SCHEMA_SET_ORDER, &field) ||
            (!m->apply && had && !doc_equal(had, doc_value_at(patch, i)))) {
            return err_set(m->err, ERR_INVALID, "invalid patch format of setElementOrder list");
        }
        bool field_done = false;
        done[i] = true;
        if (!m->apply) {
            doc_object_set(&result, key, *doc_value_at(patch, i));
        }
        if (!set_element_order(m, at, patch, field, doc_value_at(patch, i), &result, working,
                               &field_done)) {
            return false;
        }
        const struct doc_value *member = doc_find(patch, field);
        if (field_done && member) {
            done[member_index(patch, member)] = true;
        }
    }
    *working = doc_object_done(&result);
    if (!m->apply) {
        return true; // deletions are ordinary members of the resulting patch
    }
    result = doc_object_copy(m->arena, working);
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        struct str field;
        if (!str_starts(key, SCHEMA_DELETE_FROM)) {
            continue;
        }
        done[i] = true;
        const struct doc_value *gone = doc_value_at(patch, i);
        if (!directive_field(key, SCHEMA_DELETE_FROM, &field)) {
            return err_set(m->err, ERR_INVALID, "invalid patch format of primitive list");
        }
        const struct doc_value *original = doc_find(working, field);
        struct schema_at field_at = schema_at_member(at, field);
        struct doc_value left;
        if (doc_is(original, DOC_ARRAY) && doc_is(gone, DOC_ARRAY)) {
            if (!merge_lists(m, &field_at, original, gone, true, &left)) {
                return false;
            }
            doc_object_set(&result, field, left);
        }
    }
    *working = doc_object_done(&result);
    return true;
}

// ---- Maps ----

struct outcome {
    struct doc_value value;
    bool keep;
    bool
        handled; // by a directive of lists, or a directive itself: the original's member stays as it is
};

static bool merge_member(const struct schema_merge *m, const struct schema_at *at, struct str key,
                         const struct doc_value *original, const struct doc_value *patch,
                         struct outcome *out) {
    if (doc_is_null(patch)) {
        *out = (struct outcome){.value = doc_null(), .keep = !m->apply};
        return true;
    }
    enum doc_kind kind = doc_kind(patch);
    bool nested =
        original && doc_kind(original) == kind && (kind == DOC_OBJECT || kind == DOC_ARRAY);
    if (!nested || str_starts(key, SCHEMA_DELETE_FROM)) {
        out->keep = clean_value(m, patch, &out->value);
        return true;
    }
    struct schema_at member_at = schema_at_member(at, key);
    out->keep = true;
    bool ok = true;
    if (kind == DOC_ARRAY) {
        ok = merge_lists(m, &member_at, original, patch, false, &out->value);
    } else if (schema_replaces_map(&member_at)) {
        out->value = *patch;
    } else {
        ok = schema_merge_maps(m, &member_at, original, patch, &out->value);
    }
    return ok || (!m->apply && err_wrap(m->err, "%.*s", STR_ARG(key)));
}

// Members of the original in their order, then those that only the patch has.
static struct doc_value join_members(const struct schema_merge *m, const struct doc_value *working,
                                     const struct doc_value *patch,
                                     const struct outcome *outcomes) {
    struct doc_object result = doc_object_start(m->arena);
    for (DOC_EACH_MEMBER(working, i)) {
        struct str key = doc_key_at(working, i);
        const struct doc_value *patched = doc_find(patch, key);
        const struct outcome *o = patched ? &outcomes[member_index(patch, patched)] : NULL;
        if (!o || o->handled) {
            doc_object_set(&result, key, *doc_value_at(working, i));
        } else if (o->keep) {
            doc_object_set(&result, key, o->value);
        }
    }
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        if (!outcomes[i].handled && outcomes[i].keep && !doc_find(working, key)) {
            doc_object_set(&result, key, outcomes[i].value);
        }
    }
    return doc_object_done(&result);
}

bool schema_merge_maps(const struct schema_merge *m, const struct schema_at *at,
                       const struct doc_value *original, const struct doc_value *patch,
                       struct doc_value *out) {
    const struct doc_value *directive = doc_find(patch, SCHEMA_DIRECTIVE);
    if (directive) {
        struct doc_object result;
        if (str_eq_c(doc_str(directive), "replace")) {
            result = doc_object_copy(m->arena, patch);
            doc_object_remove(&result, SCHEMA_DIRECTIVE);
        } else if (str_eq_c(doc_str(directive), "delete")) {
            result = doc_object_start(m->arena);
        } else {
            return bad_directive(m, patch, directive);
        }
        *out = doc_object_done(&result);
        return true;
    }
    struct doc_object empty = doc_object_start(m->arena);
    struct doc_value working = doc_is(original, DOC_OBJECT) ? *original : doc_object_done(&empty);
    size_t count = doc_len(patch);
    bool *done = ARENA_ARRAY(m->arena, count ? count : 1, bool);
    struct outcome *outcomes = ARENA_ARRAY(m->arena, count ? count : 1, struct outcome);
    if (!retain_keys(m, patch, &working) || !list_directives(m, at, patch, &working, done)) {
        return false;
    }
    for (DOC_EACH_MEMBER(patch, i)) {
        struct str key = doc_key_at(patch, i);
        outcomes[i].handled = done[i] || str_eq(key, SCHEMA_RETAIN_KEYS);
        if (!outcomes[i].handled && !merge_member(m, at, key, doc_find(&working, key),
                                                  doc_value_at(patch, i), &outcomes[i])) {
            return false;
        }
    }
    *out = join_members(m, &working, patch, outcomes);
    return true;
}

bool schema_strategic_merge(struct arena *arena, const struct schema_type *type,
                            const struct doc_value *base, const struct doc_value *patch,
                            struct doc_value *out, struct err *err) {
    if (!doc_is(patch, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID, "a strategic merge patch must be an object, not %s",
                       doc_kind_name(doc_kind(patch)));
    }
    struct schema_merge m = {.arena = arena, .err = err, .apply = true};
    struct schema_at at = schema_at_type(type);
    if (!type) {
        *out = doc_merge_patch(arena, base, patch);
        return true;
    }
    return schema_merge_maps(&m, &at, base, patch, out);
}
