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
                         : buf_printf(&f->out, "%.*e", precision, d);
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
