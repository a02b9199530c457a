// SPDX-License-Identifier: Apache-2.0
// metadata.managedFields as a list: reading, order, the limit of managers, writing. What did not change is written as it
// was, so that a write that changes nothing makes no new text.
#include "apiserver/managed.h"

#include <stdlib.h>

#include "base/timefmt.h"

enum { MANAGERS_MOST = 10 }; // Update entries, before the oldest are folded

struct managed_entry *managed_add(struct managed *managed) {
    if (managed->len == managed->cap) {
        size_t cap = managed->cap ? managed->cap * 2 : 8;
        managed->items =
            arena_grow(managed->arena, managed->items, managed->cap * sizeof *managed->items,
                       cap * sizeof *managed->items);
        managed->cap = cap;
    }
    struct managed_entry *entry = &managed->items[managed->len++];
    *entry = (struct managed_entry){0};
    return entry;
}

void managed_remove(struct managed *managed, size_t i) {
    managed->len--;
    memmove(&managed->items[i], &managed->items[i + 1],
            (managed->len - i) * sizeof *managed->items);
}

static bool same_manager(const struct managed_entry *a, const struct managed_entry *b) {
    return a->applied == b->applied && str_eq(a->manager, b->manager) &&
           str_eq(a->subresource, b->subresource) && (a->applied || str_eq(a->version, b->version));
}

static bool read_entry(struct managed *managed, const struct doc_value *value, size_t position,
                       bool strict, struct err *err) {
    struct managed_entry entry = {
        .manager = doc_get_str(value, "manager"),
        .version = doc_get_str(value, "apiVersion"),
        .subresource = doc_get_str(value, "subresource"),
        .time = doc_get_str(value, "time"),
        .source = value,
        .fields = doc_get(value, "fieldsV1"),
    };
    struct str operation = doc_get_str(value, "operation"), type = doc_get_str(value, "fieldsType");
    entry.applied = str_eq(operation, STR("Apply"));
    if (!entry.applied && !str_eq(operation, STR("Update"))) {
        return err_set(err, ERR_INVALID, "operation must be `Apply` or `Update`");
    }
    if (!entry.version.n) {
        return err_set(err, ERR_INVALID, "apiVersion must not be empty");
    }
    if (!str_eq(type, STR("FieldsV1"))) {
        return type.n ? err_set(err, ERR_INVALID,
                                "invalid fieldsType \"%.*s\" in managed fields entry %zu",
                                STR_ARG(type), position)
                      : err_set(err, ERR_INVALID, "missing fieldsType in managed fields entry %zu",
                                position);
    }
    if (strict) {
        static const struct doc_value nothing = {.kind = DOC_OBJECT};
        int64_t at;
        if (!fieldset_parse(managed->arena, entry.fields ? entry.fields : &nothing, &entry.set,
                            err)) {
            return false;
        }
        if (entry.time.n && !time_parse(entry.time, &at)) {
            return err_set(err, ERR_INVALID, "time is not a time");
        }
        entry.time = entry.time.n ? time_format(managed->arena, at) : entry.time;
        entry.parsed = entry.changed = true;
        for (size_t i = 0; i < managed->len; i++) {
            if (same_manager(&managed->items[i], &entry)) {
                managed->items[i] = entry;
                return true;
            }
        }
    }
    *managed_add(managed) = entry;
    return true;
}

bool managed_read(struct arena *arena, const struct doc_value *list, bool strict,
                  struct managed *out, struct err *err) {
    *out = (struct managed){.arena = arena};
    size_t position = 0;
    for (DOC_EACH_ITEM(list, value)) {
        if (!read_entry(out, value, position++, strict, err)) {
            out->len = 0;
            return false;
        }
    }
    return true;
}

const struct fieldset *managed_set(struct managed *managed, struct managed_entry *entry) {
    if (!entry->parsed) {
        // A set that does not parse was never written by this server: nobody owns what it says.
        if (!fieldset_parse(managed->arena, entry->fields, &entry->set, NULL)) {
            entry->set = (struct fieldset){0};
        }
        entry->parsed = true;
    }
    return &entry->set;
}

void managed_change(struct managed_entry *entry, struct fieldset set) {
    entry->set = set;
    entry->parsed = entry->changed = true;
}

// ---- Too many managers ----
static int compare_age(const void *a, const void *b) {
    const struct managed_entry *x = *(struct managed_entry *const *)a,
                               *y = *(struct managed_entry *const *)b;
    int order = str_cmp(x->time, y->time);
    order = order ? order : str_cmp(x->manager, y->manager);
    order = order ? order : str_cmp(x->version, y->version);
    return order ? order : str_cmp(x->subresource, y->subresource);
}

// The first entry of a version that is folded becomes the bucket of that version with the second.
static void fold(struct managed *managed, struct managed_entry *into, struct managed_entry *from) {
    struct fieldset set =
        fieldset_union(managed->arena, managed_set(managed, into), managed_set(managed, from));
    into->manager = STR("ancient-changes");
    into->subresource = (struct str){NULL, 0};
    into->time = from->time;
    managed_change(into, set);
    managed_change(from, (struct fieldset){0});
}

void managed_cap(struct managed *managed) {
    struct managed_entry **updates =
        ARENA_ARRAY(managed->arena, managed->len + 1, struct managed_entry *);
    size_t count = 0;
    for (size_t i = 0; i < managed->len; i++) {
        if (!managed->items[i].applied) {
            updates[count++] = &managed->items[i];
        }
    }
    size_t left = count;
    if (count <= MANAGERS_MOST) {
        return;
    }
    qsort(updates, count, sizeof(struct managed_entry *), compare_age);
    for (size_t i = 0; i < count && left > MANAGERS_MOST; i++) {
        for (size_t first = 0; first < i; first++) {
            if (str_eq(updates[first]->version, updates[i]->version) &&
                !fieldset_is_empty(managed_set(managed, updates[first]))) {
                fold(managed, updates[first], updates[i]);
                left--;
                break;
            }
        }
    }
    for (size_t i = managed->len; i-- > 0;) {
        if (fieldset_is_empty(&managed->items[i].set) && managed->items[i].parsed) {
            managed_remove(managed, i);
        }
    }
}

// ---- Writing ----
static int compare_entries(const void *a, const void *b) {
    const struct managed_entry *x = a, *y = b;
    if (x->applied != y->applied) {
        return x->applied ? -1 : 1; // "Apply" < "Update"
    }
    int order = str_cmp(x->time, y->time);
    order = order ? order : str_cmp(x->manager, y->manager);
    order = order ? order : str_cmp(x->version, y->version);
    return order ? order : str_cmp(x->subresource, y->subresource);
}

static struct doc_value print_entry(struct managed *managed, const struct managed_entry *entry) {
    if (entry->source && !entry->changed) {
        return *entry->source;
    }
    struct doc_object out = doc_object_start(managed->arena);
    if (entry->manager.n) {
        doc_object_set_c(&out, "manager", doc_make_str(entry->manager));
    }
    doc_object_set_c(&out, "operation", entry->applied ? DOC_S("Apply") : DOC_S("Update"));
    doc_object_set_c(&out, "apiVersion", doc_make_str(entry->version));
    if (entry->time.n) {
        doc_object_set_c(&out, "time", doc_make_str(entry->time));
    }
    doc_object_set_c(&out, "fieldsType", DOC_S("FieldsV1"));
    doc_object_set_c(&out, "fieldsV1", fieldset_print(managed->arena, &entry->set));
    if (entry->subresource.n) {
        doc_object_set_c(&out, "subresource", doc_make_str(entry->subresource));
    }
    return doc_object_done(&out);
}

struct doc_value managed_print(struct managed *managed, const struct doc_value *before) {
    bool changed = doc_len(before) != managed->len;
    for (size_t i = 0; i < managed->len; i++) {
        const struct managed_entry *entry = &managed->items[i];
        changed |= entry->changed || !entry->source || entry->source != doc_at(before, i);
    }
    if (!changed && before) {
        return *before;
    }
    if (managed->len > 1) {
        qsort(managed->items, managed->len, sizeof *managed->items, compare_entries);
    }
    struct doc_array out = doc_array_start(managed->arena);
    for (size_t i = 0; i < managed->len; i++) {
        doc_array_add(&out, print_entry(managed, &managed->items[i]));
    }
    return doc_array_done(&out);
}
