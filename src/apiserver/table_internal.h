// SPDX-License-Identifier: Apache-2.0
// How table*.c describe the rows of built-in kinds: columns as data and one function that fills a row.
#ifndef SKIFF_APISERVER_TABLE_INTERNAL_H
#define SKIFF_APISERVER_TABLE_INTERNAL_H

#include "apiserver/internal.h"

struct table_row {
    struct arena *arena;
    int64_t now_ns;
    const struct api_kind *kind;
    struct doc_array cells;
};

struct table_kind {
    const char *group, *kind;
    const struct api_column *columns;
    size_t column_count;
    void (*fill)(struct table_row *row, const struct doc_value *object);
};
// One list per file; the last entry has no kind.
extern const struct table_kind table_core[], table_workloads[], table_network[], table_policy[],
    table_control[];

#define COLUMN_OF(title, kind_of_value, wide)                                             \
    {                                                                                     \
        .name = STR_INIT(title), .type = STR_INIT(kind_of_value), .format = STR_INIT(""), \
        .description = STR_INIT(""), .priority = (wide)                                   \
    }
#define COL(title) COLUMN_OF(title, "string", 0)
#define WIDE(title) COLUMN_OF(title, "string", 1)
#define COL_INT(title) COLUMN_OF(title, "integer", 0)
#define COL_BOOL(title) COLUMN_OF(title, "boolean", 0)
#define COL_DATE(title) COLUMN_OF(title, "date", 0)
#define NAMED(title, wide)                                                               \
    {                                                                                    \
        .name = STR_INIT(title), .type = STR_INIT("string"), .format = STR_INIT("name"), \
        .description = STR_INIT(""), .priority = (wide)                                  \
    }
#define COL_NAME NAMED("Name", 0)
#define TABLE_KIND(api_group, name, columns, function) \
    { (api_group), (name), (columns), ARRAY_LEN(columns), (function) }

void table_cell_str(struct table_row *row, struct str text);
void table_cell_text(struct table_row *row, const char *text);
void table_cell_printf(struct table_row *row, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void table_cell_int(struct table_row *row, int64_t value);
void table_cell_bool(struct table_row *row, bool value);
void table_cell_name(struct table_row *row, const struct doc_value *object);
void table_cell_age(struct table_row *row,
                    const struct doc_value *object); // since creationTimestamp
void table_cell_or(struct table_row *row, struct str text, const char *fallback);

struct str table_age_text(struct table_row *row, struct str time); // "5m", "<unknown>"
// "a,b" from an array; `key` names a member of each item, or NULL for plain strings.
struct str table_join_items(struct arena *arena, const struct doc_value *list, const char *key,
                            const char *separator);
struct str table_labels_text(struct arena *arena, const struct doc_value *labels); // "a=b,c=d"
struct str table_selector_text(struct arena *arena,
                               const struct doc_value *selector);                 // LabelSelector
struct str table_scalar_text(struct arena *arena, const struct doc_value *value); // int or string
void table_cell_containers(struct table_row *row,
                           const struct doc_value *pod_spec); // names, images

#endif
