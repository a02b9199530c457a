// SPDX-License-Identifier: Apache-2.0
// Types: the ready-made ones, their names, and how property names are escaped.
#include <stdio.h>

#include "base/vec.h"
#include "cel/cel_internal.h"

const struct cel_type cel_type_dyn = {.kind = CEL_DYN, .nullable = true};
const struct cel_type cel_type_bool = {.kind = CEL_BOOL};
const struct cel_type cel_type_int = {.kind = CEL_INT};
const struct cel_type cel_type_uint = {.kind = CEL_UINT};
const struct cel_type cel_type_double = {.kind = CEL_DOUBLE};
const struct cel_type cel_type_string = {.kind = CEL_STRING};
const struct cel_type cel_type_bytes = {.kind = CEL_BYTES};
const struct cel_type cel_type_null = {.kind = CEL_NULL};
const struct cel_type cel_type_timestamp = {.kind = CEL_TIMESTAMP};
const struct cel_type cel_type_duration = {.kind = CEL_DURATION};

const struct cel_type *cel_type_of_kind(enum cel_kind kind) {
    static const struct cel_type TYPES[] = {
#define X(name, text) {.kind = name},
        CEL_KINDS(X)
#undef X
    };
    return &TYPES[kind];
}

const char *cel_kind_name(enum cel_kind kind) {
    static const char *const NAMES[] = {
#define X(name, text) text,
        CEL_KINDS(X)
#undef X
    };
    return NAMES[kind];
}

const struct cel_type *cel_type_make(struct arena *arena, enum cel_kind kind,
                                     const struct cel_type *key, const struct cel_type *item) {
    struct cel_type *type = ARENA_NEW(arena, struct cel_type);
    type->kind = (uint8_t)kind;
    type->key = key;
    type->item = item;
    return type;
}

const struct cel_type *cel_type_root(const struct cel_type *type) {
    while (type && type->kind == CEL_PARAM && type->bound) {
        type = type->bound;
    }
    return type ? type : &cel_type_dyn;
}

static const struct cel_field *find_field(const struct cel_type *type, struct str name) {
    size_t low = 0, high = type->field_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, type->fields[middle].name);
        if (order == 0) {
            return &type->fields[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static bool is_word(struct str key);

// `self.namespace` finds what is rightly written `self.__namespace__`.
const struct cel_field *cel_type_field(const struct cel_type *type, struct str name) {
    char escaped[24];
    const struct cel_field *field = find_field(type, name);
    if (field || name.n > 16 || !is_word(name)) {
        return field;
    }
    int n = snprintf(escaped, sizeof escaped, "__%.*s__", STR_ARG(name));
    return find_field(type, str_make(escaped, (size_t)n));
}

static struct str type_name(struct arena *arena, const struct cel_type *type, unsigned depth) {
    type = cel_type_root(type);
    if (depth > 32) {
        return STR("...");
    }
    switch (type->kind) {
    case CEL_NULL:
        return STR("null");
    case CEL_TIMESTAMP:
        return STR("timestamp");
    case CEL_DURATION:
        return STR("duration");
    case CEL_PARAM:
        return type->name.n ? type->name : STR("dyn");
    case CEL_OBJECT:
        return type->name.n ? type->name : STR("object");
    case CEL_LIST:
    case CEL_OPTIONAL:
    case CEL_TYPE:
        if (type->kind == CEL_TYPE && !type->item) {
            return STR("type");
        }
        return arena_printf(arena, "%s(%.*s)", cel_kind_name((enum cel_kind)type->kind),
                            STR_ARG(type_name(arena, type->item, depth + 1)));
    case CEL_MAP:
        return arena_printf(arena, "map(%.*s, %.*s)",
                            STR_ARG(type_name(arena, type->key, depth + 1)),
                            STR_ARG(type_name(arena, type->item, depth + 1)));
    default:
        return str_from(cel_kind_name((enum cel_kind)type->kind));
    }
}

struct str cel_type_name(struct arena *arena, const struct cel_type *type) {
    return type_name(arena, type, 0);
}

const struct cel_type *cel_type_named(struct str name) {
    static const struct {
        const char *name;
        uint8_t kind;
    } NAMES[] = {{"bool", CEL_BOOL},
                 {"int", CEL_INT},
                 {"uint", CEL_UINT},
                 {"double", CEL_DOUBLE},
                 {"string", CEL_STRING},
                 {"bytes", CEL_BYTES},
                 {"list", CEL_LIST},
                 {"map", CEL_MAP},
                 {"null_type", CEL_NULL},
                 {"type", CEL_TYPE},
                 {"optional_type", CEL_OPTIONAL},
                 {"google.protobuf.Timestamp", CEL_TIMESTAMP},
                 {"google.protobuf.Duration", CEL_DURATION},
                 {"kubernetes.Quantity", CEL_QUANTITY},
                 {"kubernetes.URL", CEL_URL},
                 {"net.IP", CEL_IP},
                 {"net.CIDR", CEL_CIDR},
                 {"kubernetes.Semver", CEL_SEMVER},
                 {"kubernetes.NamedFormat", CEL_FORMAT}};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq_c(name, NAMES[i].name)) {
            return cel_type_of_kind((enum cel_kind)NAMES[i].kind);
        }
    }
    return NULL;
}

// ---- Names ----

static bool is_word(struct str key) {
    static const char *const WORDS[] = {
        "true",     "false",   "null",      "in",       "as",  "break",  "const",
        "continue", "else",    "for",       "function", "if",  "import", "let",
        "loop",     "package", "namespace", "return",   "var", "void",   "while"};
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (str_eq_c(key, WORDS[i])) {
            return true;
        }
    }
    return false;
}

static bool is_letter(char c, bool digits) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (digits && c >= '0' && c <= '9');
}

static const char *escape_of(struct str key, size_t i, size_t *n) {
    *n = 1;
    switch (key.p[i]) {
    case '.':
        return "__dot__";
    case '-':
        return "__dash__";
    case '/':
        return "__slash__";
    case '_':
        if (i + 1 < key.n && key.p[i + 1] == '_') {
            *n = 2;
            return "__underscores__";
        }
        return NULL;
    default:
        return NULL;
    }
}

bool cel_escape(struct arena *arena, struct str key, struct str *out) {
    if (key.n == 0 || (key.p[0] >= '0' && key.p[0] <= '9')) {
        return false;
    }
    if (is_word(key)) {
        *out = arena_printf(arena, "__%.*s__", STR_ARG(key));
        return true;
    }
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, key.n * 16 + 16);
    bool changed = false;
    for (size_t i = 0; i < key.n;) {
        size_t n;
        const char *escape = escape_of(key, i, &n);
        if (escape) {
            buf_add_c(&buf, escape);
            changed = true;
        } else if (is_letter(key.p[i], true)) {
            buf_add_char(&buf, key.p[i]);
        } else {
            return false;
        }
        i += n;
    }
    *out = changed ? arena_dup(arena, buf_str(&buf)) : key;
    return true;
}
