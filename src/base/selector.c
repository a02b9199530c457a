// SPDX-License-Identifier: Apache-2.0
// Label and field selectors. Both become a list of requirements that must all hold; a selector without requirements
// matches everything. Text comes from clients, so keys and values are checked as Kubernetes checks them and the number of
// requirements is bounded by the text, which the HTTP front end bounds.
#include "base/selector.h"

#include "base/text.h"

enum match_op {
    OP_EXISTS,
    OP_ABSENT,
    OP_IN,     // also = and ==
    OP_NOT_IN, // also !=; an absent key matches
    OP_GREATER,
    OP_LESS,
};

struct requirement {
    enum match_op op;
    struct str key;
    struct str *values;
    size_t value_count;
};

struct selector {
    struct requirement *requirements;
    size_t count, cap;
    bool fields;
};

static struct requirement *add_requirement(struct selector *selector, struct arena *arena) {
    if (selector->count == selector->cap) {
        size_t cap = selector->cap ? selector->cap * 2 : 4;
        selector->requirements =
            arena_grow(arena, selector->requirements, selector->cap * sizeof(struct requirement),
                       cap * sizeof(struct requirement));
        selector->cap = cap;
    }
    struct requirement *r = &selector->requirements[selector->count++];
    *r = (struct requirement){0};
    return r;
}

static void add_value(struct requirement *r, struct arena *arena, struct str value) {
    // Doubled at powers of two, so that no capacity needs to be kept.
    if ((r->value_count & (r->value_count - 1)) == 0) {
        size_t cap = r->value_count ? r->value_count * 2 : 1;
        r->values = arena_grow(arena, r->values, r->value_count * sizeof(struct str),
                               cap * sizeof(struct str));
    }
    r->values[r->value_count++] = value;
}

// ---- Labels ----

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_NOT,
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_GREATER,
    TOKEN_LESS,
};

struct token {
    enum token_kind kind;
    struct str text;
};

struct parser {
    struct str rest;
    struct token next;
    struct arena *arena;
    struct err *err;
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c) {
    return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '>' || c == '<';
}

static void advance(struct parser *p) {
    while (p->rest.n > 0 && is_space(p->rest.p[0])) {
        p->rest = str_skip(p->rest, 1);
    }
    if (p->rest.n == 0) {
        p->next = (struct token){TOKEN_END, p->rest};
        return;
    }
    static const struct {
        const char *text;
        enum token_kind kind;
    } symbols[] = {
        // longer ones first
        {"==", TOKEN_EQUAL}, {"!=", TOKEN_NOT_EQUAL}, {"=", TOKEN_EQUAL},
        {"!", TOKEN_NOT},    {"(", TOKEN_OPEN},       {")", TOKEN_CLOSE},
        {",", TOKEN_COMMA},  {">", TOKEN_GREATER},    {"<", TOKEN_LESS},
    };
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        struct str text = str_from(symbols[i].text);
        if (str_starts(p->rest, text)) {
            p->next = (struct token){symbols[i].kind, str_first(p->rest, text.n)};
            p->rest = str_skip(p->rest, text.n);
            return;
        }
    }
    size_t n = 0;
    while (n < p->rest.n && !is_space(p->rest.p[n]) && !is_special(p->rest.p[n])) {
        n++;
    }
    p->next = (struct token){TOKEN_WORD, str_first(p->rest, n)};
    p->rest = str_skip(p->rest, n);
}

// In a requirement, and between two of them; the words are those of Kubernetes, with and without the comma.
static bool unexpected(struct parser *p, const char *expected) {
    return err_set(p->err, ERR_INVALID, "unable to parse requirement: found '%.*s', expected: %s",
                   STR_ARG(p->next.text), expected);
}

static bool unexpected_between(struct parser *p, const char *expected) {
    return err_set(p->err, ERR_INVALID, "found '%.*s', expected: %s", STR_ARG(p->next.text),
                   expected);
}

static bool check_value(struct parser *p, struct str key, struct str value) {
    if (!name_is_label_value(value)) {
        return err_set(p->err, ERR_INVALID,
                       "unable to parse requirement: values[0][%.*s]: Invalid value: \"%.*s\": a "
                       "valid label must be an empty string or consist of at most 63 alphanumeric "
                       "characters, '-', '_' or '.', and must start and end with an alphanumeric "
                       "character",
                       STR_ARG(key), STR_ARG(value));
    }
    return true;
}

// "(a, b)": at least one element; an empty one is the empty value.
static bool parse_set(struct parser *p, struct requirement *r) {
    if (p->next.kind != TOKEN_OPEN) {
        return err_set(p->err, ERR_INVALID,
                       "unable to parse requirement: found '%.*s' expected: '('",
                       STR_ARG(p->next.text));
    }
    advance(p);
    for (;;) {
        struct str value = {"", 0};
        if (p->next.kind == TOKEN_WORD) {
            value = p->next.text;
            advance(p);
        }
        if (!check_value(p, r->key, value)) {
            return false;
        }
        add_value(r, p->arena, arena_dup(p->arena, value));
        if (p->next.kind == TOKEN_CLOSE) {
            advance(p);
            return true;
        }
        if (p->next.kind != TOKEN_COMMA) {
            return unexpected(p, "',' or ')'");
        }
        advance(p);
    }
}

static bool parse_exact(struct parser *p, struct requirement *r) {
    struct str value = {"", 0};
    if (p->next.kind == TOKEN_WORD) {
        value = p->next.text;
        advance(p);
    }
    int64_t number;
    if ((r->op == OP_GREATER || r->op == OP_LESS) && !str_to_int64(value, &number)) {
        return err_set(p->err, ERR_INVALID,
                       "unable to parse requirement: values[0]: Invalid value: \"%.*s\": for 'Gt', "
                       "'Lt' operators, the value must be an integer",
                       STR_ARG(value));
    }
    if (!check_value(p, r->key, value)) {
        return false;
    }
    add_value(r, p->arena, arena_dup(p->arena, value));
    return true;
}

static bool parse_key(struct parser *p, struct requirement *r) {
    if (p->next.kind != TOKEN_WORD) {
        return unexpected(p, "identifier");
    }
    if (!name_is_label_key(p->next.text)) {
        return err_set(
            p->err, ERR_INVALID,
            "unable to parse requirement: <nil>: Invalid value: \"%.*s\": name part must "
            "consist of at most 63 alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character; an optional prefix is a DNS "
            "subdomain followed by '/'",
            STR_ARG(p->next.text));
    }
    r->key = arena_dup(p->arena, p->next.text);
    advance(p);
    return true;
}

static bool parse_requirement(struct parser *p, struct requirement *r) {
    if (p->next.kind == TOKEN_NOT) {
        advance(p);
        r->op = OP_ABSENT;
        return parse_key(p, r);
    }
    if (!parse_key(p, r)) {
        return false;
    }
    struct token sign = p->next;
    switch (sign.kind) {
    case TOKEN_END:
    case TOKEN_COMMA:
        r->op = OP_EXISTS;
        return true;
    case TOKEN_EQUAL:
        r->op = OP_IN;
        break;
    case TOKEN_NOT_EQUAL:
        r->op = OP_NOT_IN;
        break;
    case TOKEN_GREATER:
        r->op = OP_GREATER;
        break;
    case TOKEN_LESS:
        r->op = OP_LESS;
        break;
    case TOKEN_WORD:
        if (str_eq_c(sign.text, "in") || str_eq_c(sign.text, "notin")) {
            r->op = sign.text.n == 2 ? OP_IN : OP_NOT_IN;
            advance(p);
            return parse_set(p, r);
        }
        return unexpected(p, "in, notin, =, ==, !=, gt, lt");
    default:
        return unexpected(p, "in, notin, =, ==, !=, gt, lt");
    }
    advance(p);
    return parse_exact(p, r);
}

bool selector_parse_labels(struct str text, struct arena *arena, struct selector **out,
                           struct err *err) {
    struct selector *selector = ARENA_NEW(arena, struct selector);
    struct parser p = {.rest = text, .arena = arena, .err = err};
    advance(&p);
    while (p.next.kind != TOKEN_END) {
        struct requirement r = {0};
        if (p.next.kind != TOKEN_WORD && p.next.kind != TOKEN_NOT) {
            return unexpected_between(&p, "!, identifier, or 'end of string'");
        }
        if (!parse_requirement(&p, &r)) {
            return false;
        }
        *add_requirement(selector, arena) = r;
        if (p.next.kind == TOKEN_END) {
            break;
        }
        if (p.next.kind != TOKEN_COMMA) {
            return unexpected_between(&p, "',' or 'end of string'");
        }
        advance(&p);
        if (p.next.kind == TOKEN_END) {
            return unexpected_between(&p, "identifier after ','");
        }
    }
    *out = selector;
    return true;
}

// ---- Fields ----

// The text up to an unescaped comma; `rest` moves past it.
static struct str next_field_term(struct str *rest) {
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ',') {
        n += rest->p[n] == '\\' && n + 1 < rest->n ? 2 : 1;
    }
    struct str term = str_first(*rest, n);
    *rest = str_skip(*rest, n < rest->n ? n + 1 : n);
    return term;
}

static bool unescape_field(struct str text, struct arena *arena, struct str *out) {
    char *copy = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\') {
            i++;
            if (i == text.n || (text.p[i] != '\\' && text.p[i] != ',' && text.p[i] != '=')) {
                return false;
            }
            c = text.p[i];
        } else if (c == '=') { // only escaped in a value
            return false;
        }
        copy[n++] = c;
    }
    copy[n] = '\0';
    *out = (struct str){copy, n};
    return true;
}

static bool parse_field_term(struct str term, struct arena *arena, struct requirement *r) {
    size_t at = 0;
    while (at < term.n && term.p[at] != '=' && term.p[at] != '!') {
        at++;
    }
    struct str key = str_first(term, at), rest = str_skip(term, at), value;
    r->op = OP_IN;
    if (str_starts(rest, STR("!="))) {
        r->op = OP_NOT_IN;
        rest = str_skip(rest, 2);
    } else if (str_starts(rest, STR("=="))) {
        rest = str_skip(rest, 2);
    } else if (str_starts(rest, STR("="))) {
        rest = str_skip(rest, 1);
    } else {
        return false;
    }
    if (key.n == 0 || !unescape_field(rest, arena, &value)) {
        return false;
    }
    r->key = arena_dup(arena, key);
    add_value(r, arena, value);
    return true;
}

bool selector_parse_fields(struct str text, struct arena *arena, struct selector **out,
                           struct err *err) {
    struct selector *selector = ARENA_NEW(arena, struct selector);
    selector->fields = true;
    struct str rest = text;
    while (rest.n > 0) {
        struct str term = next_field_term(&rest);
        if (term.n == 0) {
            continue;
        }
        struct requirement r = {0};
        if (!parse_field_term(term, arena, &r)) {
            return err_set(err, ERR_INVALID, "invalid selector: '%.*s'; can't understand '%.*s'",
                           STR_ARG(text), STR_ARG(term));
        }
        *add_requirement(selector, arena) = r;
    }
    *out = selector;
    return true;
}

// ---- Use ----

bool selector_is_empty(const struct selector *selector) {
    return !selector || selector->count == 0;
}

static bool has_value(const struct requirement *r, struct str value) {
    for (size_t i = 0; i < r->value_count; i++) {
        if (str_eq(r->values[i], value)) {
            return true;
        }
    }
    return false;
}

static bool requirement_holds(const struct requirement *r, bool present, struct str value) {
    int64_t have, want;
    switch (r->op) {
    case OP_EXISTS:
        return present;
    case OP_ABSENT:
        return !present;
    case OP_IN:
        return present && has_value(r, value);
    case OP_NOT_IN:
        return !present || !has_value(r, value);
    case OP_GREATER:
    case OP_LESS:
        if (!present || !str_to_int64(value, &have) || !str_to_int64(r->values[0], &want)) {
            return false;
        }
        return r->op == OP_GREATER ? have > want : have < want;
    }
    return false;
}

bool selector_matches(const struct selector *selector,
                      bool (*get)(void *ctx, struct str key, struct str *value), void *ctx) {
    for (size_t i = 0; selector && i < selector->count; i++) {
        const struct requirement *r = &selector->requirements[i];
        struct str value = {"", 0};
        bool present = get(ctx, r->key, &value);
        if (!present && selector->fields) { // an unset field is the empty text
            present = true;
            value = (struct str){"", 0};
        }
        if (!requirement_holds(r, present, value)) {
            return false;
        }
    }
    return true;
}

bool selector_next_field(const struct selector *selector, size_t *iter, struct str *key,
                         struct str *value, bool *equal) {
    if (!selector || *iter >= selector->count) {
        return false;
    }
    const struct requirement *r = &selector->requirements[(*iter)++];
    *key = r->key;
    *value = r->value_count > 0 ? r->values[0] : (struct str){"", 0};
    *equal = r->op == OP_IN;
    return true;
}
