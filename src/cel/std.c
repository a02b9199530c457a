// SPDX-License-Identifier: Apache-2.0
// The operators' signatures, arithmetic, conversions, and the look-up of functions by name.
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "cel/cel_internal.h"

// ---- Texts of values ----

struct str cel_double_text(struct arena *arena, double d) {
    if (isnan(d) || isinf(d)) {
        return isnan(d) ? STR("NaN") : d > 0 ? STR("+Inf") : STR("-Inf");
    }
    char text[48];
    int precision = 0;
    for (; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    const char *mark = strchr(text, 'e');
    long exponent = mark ? strtol(mark + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent >= 6) {
        return arena_printf(arena, "%s", text);
    }
    int decimals = precision - (int)exponent;
    return arena_printf(arena, "%.*f", decimals > 0 ? decimals : 0, d);
}

struct str cel_value_type_name(const struct cel_value *v) {
    if (v->kind == CEL_OBJECT && v->u.object.type->name.n) {
        return v->u.object.type->name;
    }
    return str_from(cel_kind_name((enum cel_kind)v->kind));
}

struct str cel_display(struct arena *arena, const struct cel_value *v) {
    switch (v->kind) {
    case CEL_STRING:
    case CEL_BYTES:
        return v->u.text;
    case CEL_INT:
        return arena_printf(arena, "%lld", (long long)v->u.integer);
    case CEL_UINT:
        return arena_printf(arena, "%llu", (unsigned long long)v->u.natural);
    case CEL_DOUBLE:
        return cel_double_text(arena, v->u.number);
    case CEL_BOOL:
        return v->u.boolean ? STR("true") : STR("false");
    default:
        return cel_value_type_name(v);
    }
}

// ---- Arithmetic ----

static struct cel_value overflow(struct cel_eval *e, bool is_unsigned) {
    return cel_error(e->arena, is_unsigned ? "unsigned integer overflow" : "integer overflow");
}

static struct cel_value int_arith(struct cel_eval *e, enum cel_operator op, int64_t a, int64_t b) {
    int64_t out = 0;
    bool bad = false;
    switch (op) {
    case OP_ADD:
        bad = __builtin_add_overflow(a, b, &out);
        break;
    case OP_SUBTRACT:
        bad = __builtin_sub_overflow(a, b, &out);
        break;
    case OP_MULTIPLY:
        bad = __builtin_mul_overflow(a, b, &out);
        break;
    default:
        if (b == 0) {
            return cel_error(e->arena, op == OP_DIVIDE ? "division by zero" : "modulus by zero");
        }
        bad = a == INT64_MIN && b == -1;
        out = bad ? 0 : op == OP_DIVIDE ? a / b : a % b;
        break;
    }
    return bad ? overflow(e, false) : cel_int(out);
}

static struct cel_value uint_arith(struct cel_eval *e, enum cel_operator op, uint64_t a,
                                   uint64_t b) {
    uint64_t out = 0;
    bool bad = false;
    switch (op) {
    case OP_ADD:
        bad = __builtin_add_overflow(a, b, &out);
        break;
    case OP_SUBTRACT:
        bad = __builtin_sub_overflow(a, b, &out);
        break;
    case OP_MULTIPLY:
        bad = __builtin_mul_overflow(a, b, &out);
        break;
    default:
        if (b == 0) {
            return cel_error(e->arena, op == OP_DIVIDE ? "division by zero" : "modulus by zero");
        }
        out = op == OP_DIVIDE ? a / b : a % b;
        break;
    }
    return bad ? overflow(e, true) : (struct cel_value){.kind = CEL_UINT, .u.natural = out};
}

static struct cel_value double_arith(struct cel_eval *e, enum cel_operator op, double a, double b) {
    struct cel_value out = {.kind = CEL_DOUBLE};
    switch (op) {
    case OP_ADD:
        out.u.number = a + b;
        return out;
    case OP_SUBTRACT:
        out.u.number = a - b;
        return out;
    case OP_MULTIPLY:
        out.u.number = a * b;
        return out;
    case OP_DIVIDE:
        out.u.number = a / b;
        return out;
    default:
        return cel_no_overload(e);
    }
}

// Seconds and nanoseconds of `a` plus or minus `b`, with nanoseconds brought below a second.
static bool add_times(struct cel_time a, struct cel_time b, bool minus, bool floor_it,
                      struct cel_time *out) {
    int64_t nanos = (int64_t)a.nanos + (minus ? -(int64_t)b.nanos : b.nanos);
    int64_t seconds;
    if (minus ? __builtin_sub_overflow(a.seconds, b.seconds, &seconds)
              : __builtin_add_overflow(a.seconds, b.seconds, &seconds)) {
        return false;
    }
    seconds += nanos / 1000000000;
    nanos %= 1000000000;
    if (nanos < 0 && (floor_it || seconds > 0)) {
        nanos += 1000000000;
        seconds--;
    } else if (nanos > 0 && !floor_it && seconds < 0) {
        nanos -= 1000000000;
        seconds++;
    }
    *out = (struct cel_time){seconds, (int32_t)nanos, a.offset};
    return true;
}

static struct cel_value time_arith(struct cel_eval *e, enum cel_operator op,
                                   const struct cel_value *a, const struct cel_value *b) {
    bool minus = op == OP_SUBTRACT;
    bool first = a->kind == CEL_TIMESTAMP, second = b->kind == CEL_TIMESTAMP;
    struct cel_value out = {.kind = CEL_DURATION};
    int64_t ns;
    if ((op != OP_ADD && !minus) || (second && !(minus ? first : !first)) ||
        (!first && a->kind != CEL_DURATION) || (!second && b->kind != CEL_DURATION)) {
        return cel_no_overload(e);
    }
    if (first != second) {
        out.kind = CEL_TIMESTAMP;
        const struct cel_value *time = first ? a : b, *by = first ? b : a;
        return add_times(time->u.time, by->u.time, minus, true, &out.u.time) &&
                       cel_time_in_range(out.u.time)
                   ? out
                   : cel_error(e->arena, "timestamp overflow");
    }
    if (add_times(a->u.time, b->u.time, minus, false, &out.u.time) &&
        cel_duration_ns(out.u.time, &ns)) {
        out.u.time.offset = 0;
        return out;
    }
    return first ? overflow(e, false) : cel_error(e->arena, "duration overflow");
}

// Whether values of a kind know an operation at all; the message differs.
static bool knows(enum cel_kind kind, enum cel_operator op) {
    bool whole = kind == CEL_INT || kind == CEL_UINT;
    bool number = whole || kind == CEL_DOUBLE;
    bool time = kind == CEL_TIMESTAMP || kind == CEL_DURATION;
    switch (op) {
    case OP_ADD:
        return number || time || kind == CEL_STRING || kind == CEL_BYTES || kind == CEL_LIST;
    case OP_SUBTRACT:
        return number || time;
    case OP_MODULO:
        return whole;
    default:
        return number;
    }
}

struct cel_value cel_arith(struct cel_eval *e, enum cel_operator op, const struct cel_value *a,
                           const struct cel_value *b) {
    if (!knows((enum cel_kind)a->kind, op)) {
        return cel_error(e->arena, "no such overload: %s", cel_operator_name(op));
    }
    if (a->kind == CEL_TIMESTAMP || a->kind == CEL_DURATION) {
        return time_arith(e, op, a, b);
    }
    if (a->kind != b->kind) {
        return cel_no_overload(e);
    }
    switch (a->kind) {
    case CEL_INT:
        return int_arith(e, op, a->u.integer, b->u.integer);
    case CEL_UINT:
        return uint_arith(e, op, a->u.natural, b->u.natural);
    case CEL_DOUBLE:
        return double_arith(e, op, a->u.number, b->u.number);
    case CEL_STRING:
    case CEL_BYTES:
        return op != OP_ADD
                   ? cel_no_overload(e)
                   : (struct cel_value){.kind = a->kind,
                                        .u.text = arena_concat(e->arena, a->u.text, b->u.text)};
    case CEL_LIST:
        return op == OP_ADD ? cel_concat(e, a, b) : cel_no_overload(e);
    default:
        return cel_no_overload(e);
    }
}

// ---- Conversions ----

static struct cel_value range_error(struct cel_eval *e, bool is_unsigned) {
    return overflow(e, is_unsigned);
}

static struct cel_value parse_error(struct cel_eval *e, const char *function) {
    return cel_error(e->arena, "type conversion error from 'string' to '%s'", function);
}

static bool only_digits(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
    }
    return text.n > 0;
}

static struct cel_value to_int(struct cel_eval *e, struct cel_value *args, size_t count) {
    const struct cel_value *v = &args[0];
    int64_t out;
    switch (v->kind) {
    case CEL_UINT:
        return v->u.natural > INT64_MAX ? range_error(e, false) : cel_int((int64_t)v->u.natural);
    case CEL_DOUBLE:
        return v->u.number > -9223372036854775808.0 && v->u.number < 9223372036854775808.0
                   ? cel_int((int64_t)v->u.number)
                   : range_error(e, false);
    case CEL_TIMESTAMP:
        return cel_int(v->u.time.seconds);
    case CEL_DURATION:
        return cel_duration_ns(v->u.time, &out) ? cel_int(out) : range_error(e, false);
    case CEL_STRING: {
        struct str text = v->u.text, digits = text;
        if (text.n && (text.p[0] == '+' || text.p[0] == '-')) {
            digits = str_skip(text, 1);
        }
        if (!only_digits(digits)) {
            return parse_error(e, "int");
        }
        return str_to_int64(text.p[0] == '+' ? digits : text, &out) ? cel_int(out)
                                                                    : parse_error(e, "int");
    }
    default:
        return *v;
    }
}

static struct cel_value to_uint(struct cel_eval *e, struct cel_value *args, size_t count) {
    const struct cel_value *v = &args[0];
    struct cel_value out = {.kind = CEL_UINT};
    switch (v->kind) {
    case CEL_INT:
        out.u.natural = (uint64_t)v->u.integer;
        return v->u.integer < 0 ? range_error(e, true) : out;
    case CEL_DOUBLE:
        if (!(v->u.number >= 0 && v->u.number < 18446744073709551616.0)) {
            return range_error(e, true);
        }
        out.u.natural = (uint64_t)v->u.number;
        return out;
    case CEL_STRING:
        if (!only_digits(v->u.text)) {
            return parse_error(e, "uint");
        }
        return str_to_uint64(v->u.text, &out.u.natural) ? out : parse_error(e, "uint");
    default:
        return *v;
    }
}

static struct cel_value to_double(struct cel_eval *e, struct cel_value *args, size_t count) {
    const struct cel_value *v = &args[0];
    struct cel_value out = {.kind = CEL_DOUBLE};
    if (v->kind == CEL_INT) {
        out.u.number = (double)v->u.integer;
    } else if (v->kind == CEL_UINT) {
        out.u.number = (double)v->u.natural;
    } else if (v->kind == CEL_STRING) {
        char *text = arena_cstr(e->arena, v->u.text), *end;
        out.u.number = strtod(text, &end);
        bool hex =
            v->u.text.n > 1 && (memchr(text, 'x', v->u.text.n) || memchr(text, 'X', v->u.text.n));
        bool blank =
            v->u.text.n == 0 || hex || text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r');
        if (blank || (size_t)(end - text) != v->u.text.n) {
            return parse_error(e, "double");
        }
        if (isinf(out.u.number) && strpbrk(text, "0123456789")) {
            return parse_error(e, "double");
        }
    } else {
        return *v;
    }
    return out;
}

static struct cel_value to_string(struct cel_eval *e, struct cel_value *args, size_t count) {
    const struct cel_value *v = &args[0];
    switch (v->kind) {
    case CEL_BYTES:
        return utf8_is_valid(v->u.text)
                   ? cel_text(v->u.text)
                   : cel_error(e->arena, "invalid UTF-8 in bytes, cannot convert to string");
    case CEL_TIMESTAMP:
        return cel_text(cel_time_format(e->arena, v->u.time));
    case CEL_DURATION:
        return cel_text(cel_duration_text(e->arena, v->u.time));
    case CEL_IP:
    case CEL_CIDR:
        return cel_net_text(e, v);
    default:
        return cel_text(cel_display(e->arena, v));
    }
}

static struct cel_value to_bytes(struct cel_eval *e, struct cel_value *args, size_t count) {
    args[0].kind = CEL_BYTES;
    return args[0];
}

static struct cel_value to_bool(struct cel_eval *e, struct cel_value *args, size_t count) {
    static const char *const YES[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const NO[] = {"0", "f", "F", "FALSE", "false", "False"};
    if (args[0].kind == CEL_BOOL) {
        return args[0];
    }
    for (size_t i = 0; i < ARRAY_LEN(YES); i++) {
        if (str_eq_c(args[0].u.text, YES[i]) || str_eq_c(args[0].u.text, NO[i])) {
            return cel_bool(str_eq_c(args[0].u.text, YES[i]));
        }
    }
    return parse_error(e, "bool");
}

static struct cel_value to_dyn(struct cel_eval *e, struct cel_value *args, size_t count) {
    return args[0];
}

static struct cel_value type_of(struct cel_eval *e, struct cel_value *args, size_t count) {
    enum cel_kind kind = args[0].kind == CEL_OBJECT ? CEL_MAP : (enum cel_kind)args[0].kind;
    const struct cel_type *type = cel_type_of_kind(kind);
    return (struct cel_value){.kind = CEL_TYPE, .u.type = type};
}

static struct cel_value size_of(struct cel_eval *e, struct cel_value *args, size_t count) {
    return cel_int((int64_t)cel_size_of(&args[0]));
}

// ---- Tables ----

#define OPERATOR(name, signature) \
    { name, signature, false, COST_ONE, NULL }
#define ORDERED(name)                                                           \
    OPERATOR(name, "bb>b"), OPERATOR(name, "ii>b"), OPERATOR(name, "id>b"),     \
        OPERATOR(name, "iu>b"), OPERATOR(name, "uu>b"), OPERATOR(name, "ud>b"), \
        OPERATOR(name, "ui>b"), OPERATOR(name, "dd>b"), OPERATOR(name, "di>b"), \
        OPERATOR(name, "du>b"), OPERATOR(name, "ss>b"), OPERATOR(name, "yy>b"), \
        OPERATOR(name, "tt>b"), OPERATOR(name, "DD>b")
#define SIZE(signature)                              \
    {"size", signature, false, COST_ONE, size_of}, { \
        "size", signature, true, COST_ONE, size_of   \
    }

static const struct cel_function STD[] = {
    OPERATOR("_&&_", "bb>b"),
    OPERATOR("_||_", "bb>b"),
    OPERATOR("!_", "b>b"),
    OPERATOR("_?_:_", "bAA>A"),
    OPERATOR("@not_strictly_false", "b>b"),
    OPERATOR("_==_", "AA>b"),
    OPERATOR("_!=_", "AA>b"),
    ORDERED("_<_"),
    ORDERED("_<=_"),
    ORDERED("_>_"),
    ORDERED("_>=_"),
    OPERATOR("_+_", "yy>y"),
    OPERATOR("_+_", "dd>d"),
    OPERATOR("_+_", "DD>D"),
    OPERATOR("_+_", "Dt>t"),
    OPERATOR("_+_", "tD>t"),
    OPERATOR("_+_", "ii>i"),
    OPERATOR("_+_", "LALA>LA"),
    OPERATOR("_+_", "ss>s"),
    OPERATOR("_+_", "uu>u"),
    OPERATOR("_-_", "dd>d"),
    OPERATOR("_-_", "DD>D"),
    OPERATOR("_-_", "ii>i"),
    OPERATOR("_-_", "tD>t"),
    OPERATOR("_-_", "tt>D"),
    OPERATOR("_-_", "uu>u"),
    OPERATOR("_*_", "dd>d"),
    OPERATOR("_*_", "ii>i"),
    OPERATOR("_*_", "uu>u"),
    OPERATOR("_/_", "dd>d"),
    OPERATOR("_/_", "ii>i"),
    OPERATOR("_/_", "uu>u"),
    OPERATOR("_%_", "ii>i"),
    OPERATOR("_%_", "uu>u"),
    OPERATOR("-_", "d>d"),
    OPERATOR("-_", "i>i"),
    OPERATOR("@in", "ALA>b"),
    OPERATOR("@in", "AMAB>b"),
    OPERATOR("_[_]", "LAi>A"),
    OPERATOR("_[_]", "MABA>B"),
    OPERATOR("_[_]", "OLAi>OA"),
    OPERATOR("_[_]", "OMABA>OB"),
    OPERATOR("_[?_]", "LAi>OA"),
    OPERATOR("_[?_]", "OLAi>OA"),
    OPERATOR("_[?_]", "MABA>OB"),
    OPERATOR("_[?_]", "OMABA>OB"),
    OPERATOR("cel.@mapInsert", "MABMAB>MAB"),
    OPERATOR("cel.@mapInsert", "MABAB>MAB"),
    SIZE("y>i"),
    SIZE("LA>i"),
    SIZE("MAB>i"),
    SIZE("s>i"),
    {"type", "A>TA", false, COST_ONE, type_of},
    {"dyn", "A>*", false, COST_NONE, to_dyn},
    {"bool", "b>b", false, COST_ONE, to_bool},
    {"bool", "s>b", false, COST_ONE, to_bool},
    {"bytes", "y>y", false, COST_ONE, to_bytes},
    {"bytes", "s>y", false, COST_TEXT, to_bytes},
    {"double", "d>d", false, COST_ONE, to_double},
    {"double", "i>d", false, COST_ONE, to_double},
    {"double", "u>d", false, COST_ONE, to_double},
    {"double", "s>d", false, COST_ONE, to_double},
    {"int", "i>i", false, COST_ONE, to_int},
    {"int", "d>i", false, COST_ONE, to_int},
    {"int", "D>i", false, COST_ONE, to_int},
    {"int", "s>i", false, COST_ONE, to_int},
    {"int", "t>i", false, COST_ONE, to_int},
    {"int", "u>i", false, COST_ONE, to_int},
    {"uint", "u>u", false, COST_ONE, to_uint},
    {"uint", "d>u", false, COST_ONE, to_uint},
    {"uint", "i>u", false, COST_ONE, to_uint},
    {"uint", "s>u", false, COST_ONE, to_uint},
    {"string", "s>s", false, COST_ONE, to_string},
    {"string", "b>s", false, COST_ONE, to_string},
    {"string", "y>s", false, COST_TEXT, to_string},
    {"string", "d>s", false, COST_ONE, to_string},
    {"string", "D>s", false, COST_ONE, to_string},
    {"string", "i>s", false, COST_ONE, to_string},
    {"string", "t>s", false, COST_ONE, to_string},
    {"string", "u>s", false, COST_ONE, to_string},
    {"string", "I>s", false, COST_ONE, to_string},
    {"string", "C>s", false, COST_ONE, to_string},
};
const struct cel_functions cel_functions_std = {STD, ARRAY_LEN(STD)};

size_t cel_functions_find(struct str name, const struct cel_function **out, size_t max) {
    const struct cel_functions *const tables[] = {&cel_functions_std,  &cel_functions_time,
                                                  &cel_functions_text, &cel_functions_list,
                                                  &cel_functions_net,  &cel_functions_kube};
    size_t count = 0;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < tables[t]->count && count < max; i++) {
            if (str_eq_c(name, tables[t]->items[i].name)) {
                out[count++] = &tables[t]->items[i];
            }
        }
    }
    return count;
}

bool cel_function_exists(struct str name) {
    const struct cel_function *found;
    return cel_functions_find(name, &found, 1) > 0;
}
