// SPDX-License-Identifier: Apache-2.0
#include "cli/kube.h"

static void add_cell(const struct doc_value *cell, struct arena *arena, struct buf *out) {
    if (doc_is(cell, DOC_STRING)) {
        struct str text = out_clean(arena, doc_str(cell), true);
        size_t line = str_find_char(text, '\n');
        buf_add_str(out, line == STR_NPOS ? text : str_first(text, line));
        buf_add_c(out, line == STR_NPOS ? "" : "...");
    } else if (!doc_is_null(cell)) {
        doc_print_json(cell, out);
    }
}

static void add_upper(struct str text, struct buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        buf_add_char(out, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
}

void kube_format_table(const struct doc_value *table, const struct kube_table_style *style,
                       struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    const struct doc_value *columns = doc_get(table, "columnDefinitions");
    bool *shown = ARENA_ARRAY(arena, doc_len(columns), bool);
    bool first = !style->with_ns;
    if (style->with_ns && !style->no_head) {
        buf_add_c(&text, "NAMESPACE");
    }
    for (size_t i = 0; i < doc_len(columns); i++) {
        shown[i] = style->wide || doc_int(doc_get(doc_at(columns, i), "priority"), 0) == 0;
        if (shown[i] && !style->no_head) {
            buf_add_c(&text, first ? "" : "\t");
            add_upper(doc_get_str(doc_at(columns, i), "name"), &text);
            first = false;
        }
    }
    buf_add_c(&text, style->no_head ? "" : "\n");
    for (DOC_EACH_ITEM(doc_get(table, "rows"), row)) {
        first = !style->with_ns;
        if (style->with_ns) {
            buf_add_str(&text, doc_get_str(row, "object", "metadata", "namespace"));
        }
        for (size_t i = 0; i < doc_len(columns); i++) {
            if (shown[i]) {
                buf_add_c(&text, first ? "" : "\t");
                buf_add_str(&text, i == 0 ? style->prefix : STR(""));
                add_cell(doc_at(doc_get(row, "cells"), i), arena, &text);
                first = false;
            }
        }
        buf_add_char(&text, '\n');
    }
    out_columns(buf_str(&text), 6, 3, out);
}
