// SPDX-License-Identifier: Apache-2.0
// The three ways to print JSON: compact, indented for people (as Go's MarshalIndent), and canonical (sorted keys), whose
// bytes are equal when the values are built alike. Recursion is bounded: no reader makes trees deeper than its limit.
#include <stdlib.h>

#include "base/limits.h"
#include "doc/doc_internal.h"
#include "doc/json_escape.h"

enum { SORT_INLINE = 32 };

struct printer {
    struct buf *out;
    unsigned indent; // 0: compact
    bool sorted;
};

static bool print_value(const struct printer *printer, const struct doc_value *v, unsigned depth);

static bool put_int(struct buf *out, int64_t value) {
    char text[20];
    char *p = text + sizeof text;
    uint64_t magnitude = value < 0 ? 0U - (uint64_t)value : (uint64_t)value;
    do {
        *--p = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (value < 0) {
        *--p = '-';
    }
    return buf_add(out, p, (size_t)(text + sizeof text - p));
}

static bool put_line(const struct printer *printer, unsigned depth) {
    return !printer->indent || (buf_add_char(printer->out, '\n') &&
                                buf_add_repeat(printer->out, ' ', (size_t)printer->indent * depth));
}

static int compare_members(const void *a, const void *b) {
    const struct doc_key *x = (*(const struct doc_member *const *)a)->key;
    const struct doc_key *y = (*(const struct doc_member *const *)b)->key;
    return str_cmp(doc_key_str(x), doc_key_str(y));
}

static bool print_member(const struct printer *printer, const struct doc_member *member, bool first,
                         unsigned depth) {
    struct buf *out = printer->out;
    return (first || buf_add_char(out, ',')) && put_line(printer, depth) &&
           json_put_string(out, doc_key_str(member->key)) &&
           (printer->indent ? buf_add(out, ": ", 2) : buf_add_char(out, ':')) &&
           print_value(printer, &member->value, depth);
}

static bool is_sorted(const struct doc_value *object) {
    for (uint32_t i = 1; i < object->len; i++) {
        const struct doc_member *a = &object->u.members[i - 1];
        const struct doc_member *b = a + 1;
        if (compare_members(&a, &b) > 0) {
            return false;
        }
    }
    return true;
}

static bool print_sorted(const struct printer *printer, const struct doc_value *object,
                         unsigned depth) {
    const struct doc_member *few[SORT_INLINE];
    const struct doc_member **order = few;
    if (object->len > SORT_INLINE) {
        order = xreallocarray(NULL, object->len, sizeof *order);
    }
    for (uint32_t i = 0; i < object->len; i++) {
        order[i] = &object->u.members[i];
    }
    qsort(order, object->len, sizeof *order, compare_members);
    bool ok = true;
    for (uint32_t i = 0; ok && i < object->len; i++) {
        ok = print_member(printer, order[i], i == 0, depth);
    }
    if (order != few) {
        free(order);
    }
    return ok;
}

static bool print_object(const struct printer *printer, const struct doc_value *v, unsigned depth) {
    if (v->len == 0) {
        return buf_add(printer->out, "{}", 2);
    }
    bool ok = buf_add_char(printer->out, '{');
    if (printer->sorted && !is_sorted(v)) {
        ok = ok && print_sorted(printer, v, depth + 1);
    } else {
        for (uint32_t i = 0; ok && i < v->len; i++) {
            ok = print_member(printer, &v->u.members[i], i == 0, depth + 1);
        }
    }
    return ok && put_line(printer, depth) && buf_add_char(printer->out, '}');
}

static bool print_array(const struct printer *printer, const struct doc_value *v, unsigned depth) {
    if (v->len == 0) {
        return buf_add(printer->out, "[]", 2);
    }
    bool ok = buf_add_char(printer->out, '[');
    for (uint32_t i = 0; ok && i < v->len; i++) {
        ok = (i == 0 || buf_add_char(printer->out, ',')) && put_line(printer, depth + 1) &&
             print_value(printer, &v->u.items[i], depth + 1);
    }
    return ok && put_line(printer, depth) && buf_add_char(printer->out, ']');
}

static bool print_value(const struct printer *printer, const struct doc_value *v, unsigned depth) {
    struct buf *out = printer->out;
    switch ((enum doc_kind)v->kind) {
    case DOC_NULL:
        return buf_add(out, "null", 4);
    case DOC_BOOL:
        return v->u.boolean ? buf_add(out, "true", 4) : buf_add(out, "false", 5);
    case DOC_INT:
        return put_int(out, v->u.integer);
    case DOC_NUMBER:
        return buf_add(out, v->u.text, v->len);
    case DOC_STRING:
        return json_put_string(out, str_make(v->u.text, v->len));
    case DOC_ARRAY:
        return print_array(printer, v, depth);
    case DOC_OBJECT:
        return print_object(printer, v, depth);
    }
    return false;
}

static bool print_root(const struct printer *printer, const struct doc_value *v) {
    static const struct doc_value null_value = {.kind = DOC_NULL};
    return print_value(printer, v ? v : &null_value, 0);
}

bool doc_print_json(const struct doc_value *v, struct buf *out) {
    return print_root(&(struct printer){.out = out}, v);
}

bool doc_print_json_indent(const struct doc_value *v, unsigned indent, struct buf *out) {
    return print_root(&(struct printer){.out = out, .indent = indent}, v);
}

bool doc_print_canonical(const struct doc_value *v, struct buf *out) {
    return print_root(&(struct printer){.out = out, .sorted = true}, v);
}

struct str doc_to_json(struct arena *arena, const struct doc_value *v) {
    AUTO_BUF struct buf out;
    buf_init(&out, SIZE_MAX / 4);
    CHECK(doc_print_json(v, &out));
    return arena_dup(arena, buf_str(&out));
}
