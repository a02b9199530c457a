// SPDX-License-Identifier: Apache-2.0
// The texts of validation problems, and the check of lists that must not have duplicates.
#include "schema/struct_problem.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"

struct str place_name(struct arena *arena, const struct place *at) {
    if (!at) {
        return STR("");
    }
    struct str parent = place_name(arena, at->parent);
    if (at->kind == PLACE_ITEM) {
        return arena_printf(arena, "%.*s[%zu]", STR_ARG(parent), at->index);
    }
    bool dot = at->parent || at->kind == PLACE_KEY;
    return arena_printf(arena, "%.*s%s%.*s", STR_ARG(parent), dot ? "." : "", STR_ARG(at->key));
}

struct str problem_quote(struct arena *arena, struct str text) {
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, text.n * 4 + 8);
    buf_add_char(&buf, '"');
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        static const char NAMES[] = "abtnvfr";
        if (c == '"' || c == '\\') {
            buf_add_char(&buf, '\\');
            buf_add_char(&buf, (char)c);
        } else if (c >= 7 && c <= 13) {
            buf_add_char(&buf, '\\');
            buf_add_char(&buf, NAMES[c - 7]);
        } else if (c < 0x20 || c == 0x7F) {
            buf_printf(&buf, "\\x%02x", c);
        } else {
            buf_add_char(&buf, (char)c);
        }
    }
    buf_add_char(&buf, '"');
    return arena_dup(arena, buf_str(&buf));
}

struct str problem_float(struct arena *arena, double d) {
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    const char *e = strchr(text, 'e');
    int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    if (!e || exponent < -4 || exponent >= 6) {
        return arena_printf(arena, "%s", text);
    }
    int digits = 0;
    for (const char *p = text; p < e; p++) {
        digits += *p >= '0' && *p <= '9' ? 1 : 0;
    }
    int decimals = digits - 1 - exponent;
    return arena_printf(arena, "%.*f", decimals > 0 ? decimals : 0, d);
}

struct str problem_value(struct arena *arena, const struct doc_value *v) {
    if (doc_is(v, DOC_STRING)) {
        return problem_quote(arena, doc_str(v));
    }
    if (doc_is(v, DOC_NUMBER)) {
        return problem_float(arena, doc_double(v, 0));
    }
    if (doc_is(v, DOC_OBJECT) || doc_is(v, DOC_ARRAY)) {
        AUTO_BUF struct buf buf = {0};
        buf_init(&buf, 64 * 1024);
        return doc_print_canonical(v, &buf) ? arena_dup(arena, buf_str(&buf)) : STR("...");
    }
    return doc_to_json(arena, v);
}

void problem_copy(struct validator *v, struct outcome *out, const struct schema_problem *problem) {
    if (out->count >= LIMIT_SCHEMA_PROBLEMS) {
        return;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (str_eq(out->problems[i].path, problem->path) &&
            str_eq(out->problems[i].message, problem->message)) {
            return;
        }
    }
    if (out->count == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 4;
        out->problems = arena_grow(v->arena, out->problems, out->cap * sizeof *out->problems,
                                   cap * sizeof *out->problems);
        out->cap = cap;
    }
    out->problems[out->count++] = *problem;
}

static void add_at(struct validator *v, struct outcome *out, struct str path, const char *reason,
                   const char *kind, struct str value, struct str detail) {
    struct schema_problem problem = {
        .path = path.n ? path : STR("<nil>"),
        .message = arena_printf(v->arena, "%s%s%.*s%s%.*s", kind, value.n ? ": " : "",
                                STR_ARG(value), detail.n ? ": " : "", STR_ARG(detail)),
        .reason = str_from(reason),
    };
    problem_copy(v, out, &problem);
}

void problem_add(struct validator *v, struct outcome *out, const struct place *at,
                 const char *reason, const char *kind, struct str value, struct str detail) {
    struct str path = place_name(v->arena, at);
    add_at(v, out, str_skip(path, path.n && path.p[0] == '.' ? 1 : 0), reason, kind, value, detail);
}

void problem_invalid(struct validator *v, struct outcome *out, const struct place *at,
                     const struct doc_value *value, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str message = arena_vprintf(v->arena, format, args);
    va_end(args);
    struct str name = place_name(v->arena, at);
    struct str detail =
        arena_printf(v->arena, "%.*s in body %.*s", STR_ARG(name), STR_ARG(message));
    problem_add(v, out, at, "FieldValueInvalid", "Invalid value", problem_value(v->arena, value),
                detail);
}

void problem_unsupported(struct validator *v, struct outcome *out, const struct place *at,
                         const struct doc_value *value, const struct doc_value *allowed) {
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, 64 * 1024);
    buf_add_c(&buf, "supported values: ");
    for (DOC_EACH_ITEM(allowed, one)) {
        struct str text = doc_is(one, DOC_STRING) ? doc_str(one) : doc_to_json(v->arena, one);
        buf_add_c(&buf, one == doc_at(allowed, 0) ? "" : ", ");
        buf_add_str(&buf, problem_quote(v->arena, text));
    }
    problem_add(v, out, at, "FieldValueNotSupported", "Unsupported value",
                problem_value(v->arena, value), arena_dup(v->arena, buf_str(&buf)));
}

void problem_nowhere(struct validator *v, struct outcome *out, struct str detail) {
    add_at(v, out, (struct str){NULL, 0}, "FieldValueInvalid", "Invalid value", STR("\"\""),
           detail);
}

// ---- Lists of type set and map ----

// Here keys of additionalProperties are in brackets.
static struct str bracket_name(struct arena *arena, const struct place *at) {
    if (!at) {
        return STR("");
    }
    struct str parent = bracket_name(arena, at->parent);
    if (at->kind == PLACE_ITEM) {
        return arena_printf(arena, "%.*s[%zu]", STR_ARG(parent), at->index);
    }
    if (at->kind == PLACE_KEY) {
        return arena_printf(arena, "%.*s[%.*s]", STR_ARG(parent), STR_ARG(at->key));
    }
    return arena_printf(arena, "%.*s%s%.*s", STR_ARG(parent), parent.n ? "." : "",
                        STR_ARG(at->key));
}

// What tells items of a list-type map apart: the members that are its keys.
static struct doc_value identity_of(struct validator *v, const struct doc_value *keys,
                                    const struct doc_value *item) {
    struct doc_object identity = doc_object_start(v->arena);
    for (DOC_EACH_ITEM(keys, key)) {
        const struct doc_value *value = doc_find(item, doc_str(key));
        if (value) {
            doc_object_set(&identity, doc_str(key), *value);
        }
    }
    return doc_object_done(&identity);
}

static void check_list(struct validator *v, const struct struct_node *node,
                       const struct doc_value *data, const struct place *at, struct outcome *out) {
    size_t count = doc_len(data);
    bool maps = node->list_type == STRUCT_LIST_MAP;
    struct doc_array identities = doc_array_start(v->arena);
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *item = doc_at(data, i);
        if (maps && !doc_is_null(item) && !doc_is(item, DOC_OBJECT)) {
            struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
            add_at(v, out, bracket_name(v->arena, &place), "FieldValueInvalid", "Invalid value",
                   problem_value(v->arena, item),
                   STR("must be an object for an array of list-type map"));
            return;
        }
        doc_array_add(&identities, maps ? identity_of(v, node->list_keys, item) : *item);
    }
    struct doc_value list = doc_array_done(&identities);
    struct schema_order seen = schema_order_start(v->arena, count, (struct str){NULL, 0});
    struct schema_order told = schema_order_start(v->arena, count, (struct str){NULL, 0});
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *identity = doc_at(&list, i);
        if (schema_order_find(&seen, identity) == SCHEMA_NOWHERE) {
            schema_order_add(&seen, identity, (uint32_t)i);
        } else if (schema_order_find(&told, identity) == SCHEMA_NOWHERE) {
            schema_order_add(&told, identity, (uint32_t)i);
            struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
            add_at(v, out, bracket_name(v->arena, &place), "FieldValueDuplicate", "Duplicate value",
                   problem_value(v->arena, identity), (struct str){NULL, 0});
        }
    }
}

void struct_check_lists(struct validator *v, const struct struct_node *node,
                        const struct doc_value *data, const struct place *at, struct outcome *out) {
    if (doc_is(data, DOC_ARRAY)) {
        if (node->list_type != STRUCT_LIST_NONE && doc_len(data) > 0) {
            check_list(v, node, data, at, out);
        }
        for (size_t i = 0; node->items && i < doc_len(data); i++) {
            struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
            struct_check_lists(v, node->items, doc_at(data, i), &place, out);
        }
        return;
    }
    for (DOC_EACH_MEMBER(data, i)) {
        struct str key = doc_key_at(data, i);
        const struct struct_property *property = struct_property_find(node, key);
        const struct struct_node *inner = property ? property->node : node->additional_node;
        if (inner) {
            struct place place = {
                .parent = at, .key = key, .kind = property ? PLACE_PROPERTY : PLACE_KEY};
            struct_check_lists(v, inner, doc_value_at(data, i), &place, out);
        }
    }
}
