// SPDX-License-Identifier: Apache-2.0
#include "cli/out.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "doc/yaml.h"

size_t out_width(struct str text) {
    size_t width = 0;
    for (size_t i = 0; i < text.n; i++) {
        width += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    }
    return width;
}

// ---- Columns ----
struct cell {
    struct str text;
    size_t width;
};
struct line {
    struct cell *cells;
    size_t count;
};

static void split_line(struct str text, struct arena *arena, struct line *out) {
    size_t count = 1;
    for (size_t i = 0; i < text.n; i++) {
        count += text.p[i] == '\t';
    }
    out->cells = ARENA_ARRAY(arena, count, struct cell);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        struct str rest;
        str_cut(text, '\t', &out->cells[i].text, &rest);
        text = rest;
    }
}

// Widths of one column: the same for a run of lines that have the cell.
static void set_widths(struct line *lines, size_t count, size_t column, size_t min_width,
                       size_t padding) {
    for (size_t i = 0; i < count;) {
        size_t end = i, width = min_width;
        for (; end < count && lines[end].count > column + 1; end++) {
            size_t w = out_width(lines[end].cells[column].text) + padding;
            width = w > width ? w : width;
        }
        for (size_t k = i; k < end; k++) {
            lines[k].cells[column].width = width;
        }
        i = end > i ? end : i + 1;
    }
}

void out_columns(struct str text, size_t min_width, size_t padding, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    size_t count = 0, columns = 0, at = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += text.p[i] == '\n';
    }
    struct line *lines = ARENA_ARRAY(arena, count + 1, struct line);
    struct str rest = text, part;
    while (str_next(&rest, '\n', &part)) {
        split_line(part, arena, &lines[at]);
        columns = lines[at].count > columns ? lines[at].count : columns;
        at++;
    }
    for (size_t c = 0; c + 1 < columns; c++) {
        set_widths(lines, at, c, min_width, padding);
    }
    for (size_t i = 0; i < at; i++) {
        for (size_t c = 0; c < lines[i].count; c++) {
            struct cell *cell = &lines[i].cells[c];
            buf_add_str(out, cell->text);
            size_t width = out_width(cell->text);
            buf_add_repeat(out, ' ', cell->width > width ? cell->width - width : 0);
        }
        buf_add_char(out, '\n');
    }
}

// ---- Small texts ----
struct str out_time(struct arena *arena, struct str rfc3339) {
    int64_t ns;
    struct tm tm;
    char text[64];
    if (!time_parse(rfc3339, &ns)) {
        return STR("<nil>");
    }
    time_t seconds = (time_t)(ns / NS_PER_SECOND);
    if (!localtime_r(&seconds, &tm) ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0) {
        return rfc3339;
    }
    return arena_dup(arena, str_from(text));
}

struct str out_short(struct str revision, size_t n) {
    return revision.n > n ? str_first(revision, n) : revision;
}

struct str out_clean(struct arena *arena, struct str text, bool lines) {
    bool dirty = false;
    for (size_t i = 0; i < text.n && !dirty; i++) {
        unsigned char c = (unsigned char)text.p[i];
        dirty = (c < ' ' && !(lines && c == '\n')) || c == 0x7f;
    }
    if (!dirty) {
        return text;
    }
    char *out = arena_cstr(arena, text);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)out[i];
        if (c == '\n' && !lines) {
            out[i] = ' ';
        } else if ((c < ' ' && c != '\n') || c == 0x7f) {
            out[i] = '?';
        }
    }
    return str_make(out, text.n);
}

// ---- Documents ----
struct member {
    struct str key;
    const struct doc_value *value;
};

static int by_key(const void *a, const void *b) {
    return str_cmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

struct doc_value out_sorted(struct arena *arena, const struct doc_value *value) {
    if (doc_is(value, DOC_ARRAY)) {
        struct doc_array array = doc_array_start(arena);
        for (DOC_EACH_ITEM(value, item)) {
            doc_array_add(&array, out_sorted(arena, item));
        }
        return doc_array_done(&array);
    }
    if (!doc_is(value, DOC_OBJECT)) {
        return value ? *value : doc_null();
    }
    size_t count = doc_len(value);
    struct member *members = ARENA_ARRAY(arena, count, struct member);
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct member){doc_key_at(value, i), doc_value_at(value, i)};
    }
    if (count) {
        qsort(members, count, sizeof *members, by_key);
    }
    struct doc_object object = doc_object_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_object_set(&object, members[i].key, out_sorted(arena, members[i].value));
    }
    return doc_object_done(&object);
}

bool out_is_document(struct str format) {
    return str_eq(format, STR("yaml")) || str_eq(format, STR("json"));
}

bool out_document(const struct doc_value *value, struct str format, unsigned indent,
                  struct buf *out) {
    if (str_eq(format, STR("yaml"))) {
        return yaml_print(value, out);
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value sorted = out_sorted(arena, value);
    return doc_print_json_indent(&sorted, indent, out) && buf_add_char(out, '\n');
}

bool out_print(const struct buf *text) {
    return text->len == 0 || fwrite(text->data, 1, text->len, stdout) == text->len;
}

bool out_is_terminal(void) {
    return isatty(STDOUT_FILENO) == 1;
}

bool out_confirm(const char *question) {
    char answer[16];
    fprintf(stdout, "%s [y/n] ", question);
    fflush(stdout);
    if (!fgets(answer, sizeof answer, stdin)) {
        return false;
    }
    struct str text = str_trim(str_from(answer));
    return str_eq_nocase(text, STR("y")) || str_eq_nocase(text, STR("yes"));
}
