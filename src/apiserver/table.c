// SPDX-License-Identifier: Apache-2.0
// Table replies: what kubectl prints by default. The server makes the cells, so every client shows the same. Built-in
// kinds have a row function each (table_*.c), custom ones the columns of their definition.
#include "apiserver/table_internal.h"

#include "base/timefmt.h"
#include "doc/jsonpath.h"

// ---- Cells ----

void table_cell_str(struct table_row *row, struct str text) {
    doc_array_add(&row->cells, doc_make_str(text));
}

void table_cell_text(struct table_row *row, const char *text) {
    table_cell_str(row, str_from(text));
}

void table_cell_printf(struct table_row *row, const char *format, ...) {
    va_list args;
    va_start(args, format);
    table_cell_str(row, arena_vprintf(row->arena, format, args));
    va_end(args);
}

void table_cell_int(struct table_row *row, int64_t value) {
    doc_array_add(&row->cells, doc_make_int(value));
}

void table_cell_bool(struct table_row *row, bool value) {
    doc_array_add(&row->cells, doc_make_bool(value));
}

void table_cell_name(struct table_row *row, const struct doc_value *object) {
    table_cell_str(row, doc_get_str(object, "metadata", "name"));
}

void table_cell_or(struct table_row *row, struct str text, const char *fallback) {
    table_cell_str(row, text.n ? text : str_from(fallback));
}

struct str table_age_text(struct table_row *row, struct str time) {
    int64_t then;
    if (time.n == 0 || !time_parse(time, &then)) {
        return STR("<unknown>");
    }
    return duration_human(row->arena, row->now_ns - then);
}

void table_cell_age(struct table_row *row, const struct doc_value *object) {
    table_cell_str(row, table_age_text(row, doc_get_str(object, "metadata", "creationTimestamp")));
}

// ---- Text that several kinds share ----

struct str table_scalar_text(struct arena *arena, const struct doc_value *value) {
    switch (doc_kind(value)) {
    case DOC_STRING:
        return doc_str(value);
    case DOC_INT:
    case DOC_NUMBER:
        return doc_number_text(value, arena);
    case DOC_BOOL:
        return doc_bool(value, false) ? STR("true") : STR("false");
    case DOC_NULL:
        return STR("");
    default:
        return doc_to_json(arena, value);
    }
}

struct str table_join_items(struct arena *arena, const struct doc_value *list, const char *key,
                            const char *separator) {
    struct str out = {"", 0};
    bool first = true;
    for (DOC_EACH_ITEM(list, item)) {
        struct str text = table_scalar_text(arena, key ? doc_find(item, str_from(key)) : item);
        out = first ? text
                    : arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), separator, STR_ARG(text));
        first = false;
    }
    return out;
}

static int compare_members(const void *a, const void *b) {
    const struct doc_key *x = (*(const struct doc_member *const *)a)->key;
    const struct doc_key *y = (*(const struct doc_member *const *)b)->key;
    return str_cmp(str_make(x->text, x->len), str_make(y->text, y->len));
}

struct str table_labels_text(struct arena *arena, const struct doc_value *labels) {
    size_t n = doc_is(labels, DOC_OBJECT) ? doc_len(labels) : 0;
    const struct doc_member **sorted = ARENA_ARRAY(arena, n, const struct doc_member *);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &labels->u.members[i];
    }
    qsort(sorted, n, sizeof(sorted[0]), compare_members);
    struct str out = {"", 0};
    for (size_t i = 0; i < n; i++) {
        struct str value = doc_str(&sorted[i]->value);
        out = arena_printf(arena, "%.*s%s%s=%.*s", STR_ARG(out), i ? "," : "", sorted[i]->key->text,
                           STR_ARG(value));
    }
    return out;
}

static int compare_strs(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str sorted_values(struct arena *arena, const struct doc_value *list) {
    struct str *values = ARENA_ARRAY(arena, doc_len(list), struct str), out = {"", 0};
    size_t n = 0;
    for (DOC_EACH_ITEM(list, item)) {
        values[n++] = doc_str(item);
    }
    qsort(values, n, sizeof(values[0]), compare_strs);
    for (size_t i = 0; i < n; i++) {
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), i ? "," : "", STR_ARG(values[i]));
    }
    return out;
}

struct term { // one requirement of a selector
    struct str key, text;
};

static int compare_terms(const void *a, const void *b) {
    const struct term *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order ? order : str_cmp(x->text, y->text);
}

static struct term expression_term(struct arena *arena, const struct doc_value *expression) {
    struct str key = doc_get_str(expression, "key"), op = doc_get_str(expression, "operator");
    struct str text = key;
    if (str_eq(op, STR("In")) || str_eq(op, STR("NotIn"))) {
        struct str values = sorted_values(arena, doc_get(expression, "values"));
        text = arena_printf(arena, "%.*s %s (%.*s)", STR_ARG(key), op.n == 2 ? "in" : "notin",
                            STR_ARG(values));
    } else if (str_eq(op, STR("DoesNotExist"))) {
        text = arena_printf(arena, "!%.*s", STR_ARG(key));
    }
    return (struct term){key, text};
}

struct str table_selector_text(struct arena *arena, const struct doc_value *selector) {
    const struct doc_value *labels = doc_get(selector, "matchLabels");
    const struct doc_value *expressions = doc_get(selector, "matchExpressions");
    size_t n = 0;
    struct term *terms = ARENA_ARRAY(arena, doc_len(labels) + doc_len(expressions), struct term);
    for (DOC_EACH_MEMBER(labels, i)) {
        struct str key = doc_key_at(labels, i), value = doc_str(doc_value_at(labels, i));
        struct str text = arena_printf(arena, "%.*s=%.*s", STR_ARG(key), STR_ARG(value));
        terms[n++] = (struct term){key, text};
    }
    for (DOC_EACH_ITEM(expressions, expression)) {
        terms[n++] = expression_term(arena, expression);
    }
    qsort(terms, n, sizeof(terms[0]), compare_terms);
    struct str out = STR("<none>");
    for (size_t i = 0; i < n; i++) {
        out = i ? arena_printf(arena, "%.*s,%.*s", STR_ARG(out), STR_ARG(terms[i].text))
                : terms[i].text;
    }
    return out;
}

void table_cell_containers(struct table_row *row, const struct doc_value *pod_spec) {
    const struct doc_value *containers = doc_get(pod_spec, "containers");
    table_cell_str(row, table_join_items(row->arena, containers, "name", ","));
    table_cell_str(row, table_join_items(row->arena, containers, "image", ","));
}

// ---- Kinds ----

static const struct api_column created_columns[] = {COL_NAME, COL_DATE("Created At")};

static void fill_created(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_str(row, doc_get_str(object, "metadata", "creationTimestamp"));
}

static const struct table_kind created_kind = TABLE_KIND("", "", created_columns, fill_created);

static const struct table_kind *find_kind(const struct api_kind *kind) {
    static const struct table_kind *const lists[] = {table_core, table_workloads, table_network,
                                                     table_policy, table_control};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        for (const struct table_kind *k = lists[l]; k->kind; k++) {
            if (str_eq_c(kind->kind, k->kind) && str_eq_c(kind->group, k->group)) {
                return k;
            }
        }
    }
    return &created_kind;
}

// ---- Custom kinds ----

// One compiled path a column, for all rows of a reply; NULL where it does not compile (the cell is empty then).
static struct jsonpath **compile_columns(struct arena *arena, const struct api_kind *kind) {
    struct jsonpath **paths = ARENA_ARRAY(arena, kind->column_count, struct jsonpath *);
    for (size_t i = 0; i < kind->column_count; i++) {
        struct err err = {0};
        paths[i] = jsonpath_compile(kind->columns[i].json_path, true, arena, &err);
    }
    return paths;
}

static void custom_cell(struct table_row *row, const struct api_column *column,
                        const struct jsonpath *path, const struct doc_value *object) {
    const struct doc_value **found = NULL;
    size_t count = 0;
    struct err err = {0};
    if (!path || !jsonpath_find(path, object, row->arena, &found, &count, &err) || count == 0 ||
        doc_is_null(found[0])) {
        doc_array_add(&row->cells, doc_null());
        return;
    }
    const struct doc_value *value = found[0];
    if (str_eq(column->type, STR("string"))) {
        table_cell_str(row, table_scalar_text(row->arena, value)); // the first of several
    } else if (str_eq(column->type, STR("date"))) {
        struct str time = doc_str(value);
        int64_t then;
        if (!doc_is(value, DOC_STRING) || !time_parse(time, &then)) {
            table_cell_text(row, doc_is(value, DOC_STRING) ? "<invalid>" : "");
        } else {
            table_cell_str(row, table_age_text(row, time));
        }
    } else if (str_eq(column->type, STR("integer"))) {
        if (doc_is(value, DOC_INT)) {
            doc_array_add(&row->cells, *value);
        } else if (doc_is(value, DOC_NUMBER)) {
            table_cell_int(row, (int64_t)doc_double(value, 0));
        } else {
            doc_array_add(&row->cells, doc_null());
        }
    } else if (str_eq(column->type, STR("number"))) {
        bool number = doc_is(value, DOC_INT) || doc_is(value, DOC_NUMBER);
        doc_array_add(&row->cells, number ? *value : doc_null());
    } else if (str_eq(column->type, STR("boolean"))) {
        doc_array_add(&row->cells, doc_is(value, DOC_BOOL) ? *value : doc_null());
    } else {
        doc_array_add(&row->cells, doc_null());
    }
}

// ---- The reply ----

static struct doc_value column_value(struct arena *arena, const struct api_column *column) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "name", doc_make_str(column->name));
    doc_object_set_c(&out, "type", doc_make_str(column->type));
    doc_object_set_c(&out, "format", doc_make_str(column->format));
    doc_object_set_c(&out, "description", doc_make_str(column->description));
    doc_object_set_c(&out, "priority", doc_make_int(column->priority));
    return doc_object_done(&out);
}

static struct doc_value row_value(struct arena *arena, const struct doc_value *cells,
                                  const struct doc_value *object, struct str include) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "cells", *cells);
    if (str_eq(include, STR("Object"))) {
        doc_object_set_c(&out, "object", *object);
    } else if (str_eq(include, STR("None"))) {
        doc_object_set_c(&out, "object", doc_null());
    } else {
        const struct doc_value *metadata = doc_get(object, "metadata");
        struct doc_object part = doc_object_start(arena);
        doc_object_set_c(&part, "kind", DOC_S("PartialObjectMetadata"));
        doc_object_set_c(&part, "apiVersion", DOC_S("meta.k8s.io/v1"));
        doc_object_set_c(&part, "metadata", metadata ? *metadata : doc_null());
        doc_object_set_c(&out, "object", doc_object_done(&part));
    }
    return doc_object_done(&out);
}

static struct doc_value columns_value(struct arena *arena, const struct api_kind *kind,
                                      const struct table_kind *table) {
    struct doc_array list = doc_array_start(arena);
    if (kind->custom) {
        static const struct api_column name = COL_NAME;
        doc_array_add(&list, column_value(arena, &name));
        for (size_t i = 0; i < kind->column_count; i++) {
            doc_array_add(&list, column_value(arena, &kind->columns[i]));
        }
    } else {
        for (size_t i = 0; i < table->column_count; i++) {
            doc_array_add(&list, column_value(arena, &table->columns[i]));
        }
    }
    return doc_array_done(&list);
}

static int compare_flows(const void *a, const void *b) {
    const struct doc_value *x = *(const struct doc_value *const *)a;
    const struct doc_value *y = *(const struct doc_value *const *)b;
    int64_t m = doc_int(doc_get(x, "spec", "matchingPrecedence"), 0);
    int64_t n = doc_int(doc_get(y, "spec", "matchingPrecedence"), 0);
    return m != n ? (m > n) - (m < n)
                  : str_cmp(doc_get_str(x, "metadata", "name"), doc_get_str(y, "metadata", "name"));
}

// Tables of flows are in the order in which requests try them; all others in that of the list.
static const struct doc_value *const *in_order(struct arena *arena, const struct api_kind *kind,
                                               const struct doc_value *const *objects,
                                               size_t count) {
    if (count < 2 || kind->custom || !str_eq(kind->kind, STR("FlowSchema"))) {
        return objects;
    }
    const struct doc_value **sorted = ARENA_ARRAY(arena, count, const struct doc_value *);
    memcpy(sorted, objects, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_flows);
    return sorted;
}

bool api_table_print(struct arena *arena, const struct api_kind *kind,
                     const struct doc_value *const *objects, size_t count, struct str include,
                     bool with_columns, const struct doc_value *list_metadata, int64_t now_ns,
                     struct buf *out) {
    const struct table_kind *table = find_kind(kind);
    objects = in_order(arena, kind, objects, count);
    struct jsonpath **paths = kind->custom ? compile_columns(arena, kind) : NULL;
    struct doc_array rows = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        struct table_row row = {
            .arena = arena, .now_ns = now_ns, .kind = kind, .cells = doc_array_start(arena)};
        if (kind->custom) {
            table_cell_name(&row, objects[i]);
            for (size_t c = 0; c < kind->column_count; c++) {
                custom_cell(&row, &kind->columns[c], paths[c], objects[i]);
            }
        } else {
            table->fill(&row, objects[i]);
        }
        struct doc_value cells = doc_array_done(&row.cells);
        doc_array_add(&rows, row_value(arena, &cells, objects[i], include));
    }
    struct doc_object reply = doc_object_start(arena), empty = doc_object_start(arena);
    doc_object_set_c(&reply, "kind", DOC_S("Table"));
    doc_object_set_c(&reply, "apiVersion", DOC_S("meta.k8s.io/v1"));
    doc_object_set_c(&reply, "metadata", list_metadata ? *list_metadata : doc_object_done(&empty));
    doc_object_set_c(&reply, "columnDefinitions",
                     with_columns ? columns_value(arena, kind, table) : doc_null());
    doc_object_set_c(&reply, "rows", doc_array_done(&rows));
    struct doc_value value = doc_object_done(&reply);
    return doc_print_json(&value, out);
}
