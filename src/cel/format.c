// SPDX-License-Identifier: Apache-2.0
// "%s is %d".format([name, count]).
#include <math.h>
#include <stdio.h>

#include "base/vec.h"
#include "cel/cel_internal.h"

struct formatter {
    struct cel_eval *e;
    struct buf out;
    struct cel_value *error;
};

static bool fail(struct formatter *f, const char *message, const struct cel_value *v) {
    if (f->error->u.text.n == 0) {
        *f->error = v ? cel_error(f->e->arena, "error during formatting: %s%.*s", message,
                                  STR_ARG(cel_value_type_name(v)))
                      : cel_error(f->e->arena, "%s", message);
    }
    return false;
}

static bool is_infinite(struct formatter *f, const struct cel_value *v) {
    if (v->kind != CEL_DOUBLE || isfinite(v->u.number)) {
        return false;
    }
    buf_add_c(&f->out, isnan(v->u.number) ? "NaN" : v->u.number > 0 ? "Infinity" : "-Infinity");
    return true;
}

static bool add_text(struct formatter *f, const struct cel_value *v, bool nested, unsigned depth);

static bool add_list(struct formatter *f, const struct cel_value *v, unsigned depth) {
    buf_add_char(&f->out, '[');
    for (size_t i = 0; i < cel_list_len(v); i++) {
        struct cel_value item = cel_list_at(f->e, v, i);
        buf_add_c(&f->out, i ? ", " : "");
        if (!add_text(f, &item, true, depth + 1)) {
            return false;
        }
    }
    return buf_add_char(&f->out, ']');
}

struct entry {
    struct str text;
    struct cel_value key, value;
};

static int compare_entries(const void *a, const void *b) {
    return str_cmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

static bool add_map(struct formatter *f, const struct cel_value *v, unsigned depth) {
    size_t count = cel_map_len(v);
    struct entry *entries = ARENA_ARRAY(f->e->arena, count ? count : 1, struct entry);
    for (size_t i = 0; i < count; i++) {
        cel_map_entry(f->e, v, i, &entries[i].key, &entries[i].value);
        entries[i].text = cel_display(f->e->arena, &entries[i].key);
    }
    if (count > 1) {
        qsort(entries, count, sizeof *entries, compare_entries);
    }
    buf_add_char(&f->out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_add_c(&f->out, i ? ", " : "");
        if (!add_text(f, &entries[i].key, true, depth + 1) || !buf_add_c(&f->out, ":") ||
            !add_text(f, &entries[i].value, true, depth + 1)) {
            return false;
        }
    }
    return buf_add_char(&f->out, '}');
}

static bool add_text(struct formatter *f, const struct cel_value *v, bool nested, unsigned depth) {
    struct arena *arena = f->e->arena;
    if (depth > 64 || !cel_spend(f->e, 0)) {
        return fail(f, "the value is too deep to format", NULL);
    }
    switch (v->kind) {
    case CEL_LIST:
        return add_list(f, v, depth);
    case CEL_MAP:
    case CEL_OBJECT:
        return add_map(f, v, depth);
    case CEL_NULL:
        return buf_add_c(&f->out, "null");
    case CEL_TIMESTAMP:
        buf_add_str(&f->out, cel_time_format(arena, v->u.time));
        return true;
    case CEL_DURATION:
        buf_add_str(&f->out, cel_duration_text(arena, v->u.time));
        return true;
    case CEL_TYPE:
        buf_add_c(&f->out, cel_kind_name((enum cel_kind)v->u.type->kind));
        return true;
    case CEL_STRING:
        buf_add_c(&f->out, nested ? "\"" : "");
        buf_add_str(&f->out, v->u.text);
        buf_add_c(&f->out, nested ? "\"" : "");
        return true;
    case CEL_BOOL:
    case CEL_INT:
    case CEL_UINT:
    case CEL_BYTES:
        buf_add_str(&f->out, cel_display(arena, v));
        return true;
    case CEL_DOUBLE:
        if (!is_infinite(f, v)) {
            if (nested) {
                return buf_printf(&f->out, "%f", v->u.number);
            }
            buf_add_str(&f->out, cel_double_text(arena, v->u.number));
        }
        return true;
    default:
        return fail(f,
                    "string clause can only be used on strings, bools, bytes, ints, doubles, "
                    "maps, lists, types, durations, and timestamps, was given ",
                    v);
    }
}

// 1.5×10⁰⁰, as the reference implementation's number printer writes it.
static bool add_scientific(struct formatter *f, int precision, double d) {
    static const char *const DIGITS[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char text[1200];
    snprintf(text, sizeof text, "%.*e", precision, d);
    char *mark = strchr(text, 'e');
    buf_add(&f->out, text, mark ? (size_t)(mark - text) : strlen(text));
    buf_add_c(&f->out, "×10");
    for (const char *p = mark ? mark + 1 : ""; *p; p++) {
        if (*p == '-') {
            buf_add_c(&f->out, "⁻");
        } else if (*p >= '0' && *p <= '9') {
            buf_add_c(&f->out, DIGITS[*p - '0']);
        }
    }
    return true;
}

static bool add_fixed(struct formatter *f, const struct cel_value *v, char clause, int precision) {
    double d = v->u.number;
    if (v->kind == CEL_INT) {
        d = (double)v->u.integer;
    } else if (v->kind == CEL_UINT) {
        d = (double)v->u.natural;
    } else if (v->kind != CEL_DOUBLE) {
        return fail(f,
                    clause == 'f' ? "fixed-point clause can only be used on doubles, was given "
                                  : "scientific clause can only be used on doubles, was given ",
                    v);
    }
    if (is_infinite(f, v)) {
        return true;
    }
    return clause == 'f' ? buf_printf(&f->out, "%.*f", precision, d)
                         : add_scientific(f, precision, d);
}

static void add_radix(struct formatter *f, uint64_t value, bool negative, unsigned base,
                      bool upper) {
    char digits[72];
    size_t at = sizeof digits;
    const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
        digits[--at] = alphabet[value % base];
        value /= base;
    } while (value);
    buf_add_c(&f->out, negative ? "-" : "");
    buf_add(&f->out, digits + at, sizeof digits - at);
}

static bool add_number(struct formatter *f, const struct cel_value *v, unsigned base, bool upper,
                       const char *problem) {
    if (v->kind == CEL_INT) {
        bool negative = v->u.integer < 0;
        uint64_t value = (uint64_t)v->u.integer;
        add_radix(f, negative ? 0 - value : value, negative, base, upper);
        return true;
    }
    if (v->kind == CEL_UINT) {
        add_radix(f, v->u.natural, false, base, upper);
        return true;
    }
    if (base == 10 && is_infinite(f, v)) {
        return true;
    }
    if (base == 2 && v->kind == CEL_BOOL) {
        return buf_add_c(&f->out, v->u.boolean ? "1" : "0");
    }
    if (base == 16 && (v->kind == CEL_STRING || v->kind == CEL_BYTES)) {
        for (size_t i = 0; i < v->u.text.n; i++) {
            buf_printf(&f->out, upper ? "%02X" : "%02x", (unsigned char)v->u.text.p[i]);
        }
        return true;
    }
    return fail(f, problem, v);
}

static bool add_clause(struct formatter *f, char clause, int precision, const struct cel_value *v) {
    switch (clause) {
    case 's':
        return add_text(f, v, false, 0);
    case 'd':
        return add_number(f, v, 10, false,
                          "decimal clause can only be used on integers, was given ");
    case 'f':
    case 'e':
        return add_fixed(f, v, clause, precision < 0 ? 6 : precision);
    case 'b':
        return add_number(f, v, 2, false,
                          "binary clause can only be used on integers and bools, was given ");
    case 'o':
        return add_number(f, v, 8, false, "octal clause can only be used on integers, was given ");
    default:
        return add_number(f, v, 16, clause == 'X',
                          "hex clause can only be used on integers, byte buffers, and strings, was "
                          "given ");
    }
}

static bool run(struct formatter *f, struct str format, const struct cel_value *list) {
    size_t used = 0;
    for (size_t i = 0; i < format.n; i++) {
        if (format.p[i] != '%') {
            buf_add_char(&f->out, format.p[i]);
            continue;
        }
        if (++i >= format.n) {
            return fail(f, "unexpected end of string", NULL);
        }
        if (format.p[i] == '%') {
            buf_add_char(&f->out, '%');
            continue;
        }
        int precision = -1;
        if (format.p[i] == '.') {
            precision = 0;
            for (i++; i < format.n && format.p[i] >= '0' && format.p[i] <= '9'; i++) {
                precision = precision > 1000 ? 1000 : precision * 10 + (format.p[i] - '0');
            }
        }
        if (used >= cel_list_len(list)) {
            f->error->kind = CEL_ERROR;
            *f->error = cel_error(f->e->arena, "index %zu out of range", used);
            return false;
        }
        if (i >= format.n || !memchr("sdfebxXo", format.p[i], 8)) {
            *f->error = cel_error(f->e->arena,
                                  "could not parse formatting clause: unrecognized formatting "
                                  "clause \"%c\"",
                                  i < format.n ? format.p[i] : ' ');
            return false;
        }
        struct cel_value v = cel_list_at(f->e, list, used++);
        if (!add_clause(f, format.p[i], precision > 1000 ? 1000 : precision, &v)) {
            return false;
        }
    }
    if (used < cel_list_len(list)) {
        *f->error = cel_error(
            f->e->arena, "too many arguments supplied to string.format (expected %zu, got %zu)",
            used, cel_list_len(list));
    }
    return true;
}

struct str cel_format_string(struct cel_eval *e, struct str format, const struct cel_value *list,
                             struct cel_value *error) {
    struct formatter f = {.e = e, .error = error};
    buf_init(&f.out, CEL_MEMORY_CALL);
    run(&f, format, list);
    if (f.out.overflow) {
        *error = cel_error(e->arena, "the text is too long (CEL_MEMORY_CALL)");
    }
    struct str text = arena_dup(e->arena, buf_str(&f.out));
    buf_fini(&f.out);
    return text;
}

// ---- Checks of constants ----

static struct str check_clause(struct arena *arena, char clause, const struct cel_type *type) {
    enum cel_kind kind = (enum cel_kind)type->kind;
    bool whole = kind == CEL_INT || kind == CEL_UINT;
    struct str name = str_from(cel_kind_name(kind));
    if (kind == CEL_DYN || clause == 's') {
        return STR("");
    }
    const char *what = NULL;
    if (clause == 'd' && !whole) {
        what = "decimal clause can only be used on integers, was given ";
    } else if (clause == 'o' && !whole) {
        what = "octal clause can only be used on integers, was given ";
    } else if (clause == 'b' && !whole && kind != CEL_BOOL) {
        what = "only integers and bools can be formatted as binary, was given ";
    } else if ((clause == 'x' || clause == 'X') && !whole && kind != CEL_STRING &&
               kind != CEL_BYTES) {
        what = "only integers, byte buffers, and strings can be formatted as hex, was given ";
    } else if (clause == 'f' && kind != CEL_DOUBLE && kind != CEL_STRING) {
        what = "fixed-point clause can only be used on doubles, was given ";
    } else if (clause == 'e' && kind != CEL_DOUBLE && kind != CEL_STRING) {
        what = "scientific clause can only be used on doubles, was given ";
    }
    return what ? arena_printf(arena, "error during formatting: %s%.*s", what, STR_ARG(name))
                : STR("");
}

void cel_format_check(struct cel_compiler *c, struct cel_node *call) {
    const struct cel_node *format = call->args.items[0], *list = call->args.items[1];
    if (format->kind != NODE_LITERAL || format->value.kind != CEL_STRING ||
        list->kind != NODE_LIST) {
        return;
    }
    struct str text = format->value.u.text;
    size_t used = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            continue;
        }
        if (++i >= text.n) {
            cel_issue_add(c, call->line, call->column, "unexpected end of string");
            return;
        }
        if (text.p[i] == '%') {
            continue;
        }
        bool precision = text.p[i] == '.';
        while (i < text.n && precision &&
               (text.p[i] == '.' || (text.p[i] >= '0' && text.p[i] <= '9'))) {
            i++;
        }
        if (used >= list->args.len) {
            cel_issue_add(c, call->line, call->column, "index %zu out of range", used);
            return;
        }
        const struct cel_node *arg = list->args.items[used++];
        if (i >= text.n || !memchr("sdfebxXo", text.p[i], 8)) {
            cel_issue_add(
                c, arg->line, arg->column,
                "could not parse formatting clause: unrecognized formatting clause \"%c\"",
                i < text.n ? text.p[i] : ' ');
            return;
        }
        struct str problem = check_clause(c->arena, text.p[i], cel_type_root(arg->type));
        if (problem.n) {
            cel_issue_add(c, arg->line, arg->column, "%.*s", STR_ARG(problem));
            return;
        }
    }
    if (used < list->args.len) {
        cel_issue_add(c, call->line, call->column,
                      "too many arguments supplied to string.format (expected %zu, got %zu)", used,
                      list->args.len);
    }
}
