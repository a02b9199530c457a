// SPDX-License-Identifier: Apache-2.0
// The fieldPath of a rule: names behind dots, keys in brackets and single quotes, both leading to fields that the schema has.
#include "schema/struct_internal.h"

// A text in single quotes at *rest; false when it is not closed or has an unknown escape.
static bool read_quoted(struct arena *arena, struct str *rest, struct str *out) {
    static const char FROM[] = "abfnrtv'\\", TO[] = "\a\b\f\n\r\t\v'\\";
    char *text = arena_cstr(arena, *rest);
    size_t n = 0;
    for (size_t i = 1; i < rest->n && rest->p[0] == '\''; i++) {
        char c = rest->p[i];
        if (c == '\'') {
            *out = str_make(text, n);
            *rest = str_skip(*rest, i + 1);
            return true;
        }
        if (c == '\\') {
            const char *found =
                i + 1 < rest->n && rest->p[i + 1] ? strchr(FROM, rest->p[i + 1]) : NULL;
            if (!found) {
                return false;
            }
            c = TO[found - FROM];
            i++;
        }
        text[n++] = c;
    }
    return false;
}

static bool read_name(struct str *rest, struct str *out) {
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '.' && rest->p[n] != '[' && rest->p[n] != ']') {
        n++;
    }
    *out = str_first(*rest, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

bool struct_field_path(struct arena *arena, const struct doc_value *schema, struct str path,
                       struct str *out) {
    struct str rest = path, shown = {NULL, 0}, name;
    while (rest.n) {
        if (rest.p[0] == '[') {
            rest = str_skip(rest, 1);
            if (!read_quoted(arena, &rest, &name) || rest.n == 0 || rest.p[0] != ']') {
                return false;
            }
            rest = str_skip(rest, 1);
        } else if (rest.p[0] != '.') {
            return false;
        } else {
            rest = str_skip(rest, 1);
            if (!read_name(&rest, &name)) {
                return false;
            }
        }
        const struct doc_value *properties = doc_get(schema, "properties");
        const struct doc_value *additional = doc_get(schema, "additionalProperties");
        if (doc_len(properties) > 0) {
            schema = doc_find(properties, name);
            shown = arena_printf(arena, "%.*s%s%.*s", STR_ARG(shown), shown.n ? "." : "",
                                 STR_ARG(name));
        } else {
            schema = doc_is(additional, DOC_OBJECT) ? additional : NULL;
            shown = arena_printf(arena, "%.*s[%.*s]", STR_ARG(shown), STR_ARG(name));
        }
        if (!doc_is(schema, DOC_OBJECT)) {
            return false;
        }
    }
    *out = shown;
    return true;
}
