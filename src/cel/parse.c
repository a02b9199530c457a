// SPDX-License-Identifier: Apache-2.0
// Tokens to a tree, by recursive descent. Chains of && and || are balanced, so that long ones do not nest.
#include <errno.h>
#include <math.h>

#include "base/text.h"
#include "cel/cel_internal.h"

struct parser {
    struct cel_compiler *c;
    struct cel_lexer lexer;
    struct cel_token token;
    unsigned depth;
    bool failed;
};

#define EXPECT_OPERAND                                                                       \
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, " \
    "STRING, "                                                                               \
    "BYTES, IDENTIFIER}"

static struct cel_node *parse_expr(struct parser *p);

// ---- Building ----

const char *cel_operator_name(enum cel_operator op) {
    static const char *const NAMES[] = {
        [OP_NONE] = "",
        [OP_AND] = "_&&_",
        [OP_OR] = "_||_",
        [OP_NOT] = "!_",
        [OP_CONDITION] = "_?_:_",
        [OP_EQUAL] = "_==_",
        [OP_UNEQUAL] = "_!=_",
        [OP_LESS] = "_<_",
        [OP_LESS_EQUAL] = "_<=_",
        [OP_GREATER] = "_>_",
        [OP_GREATER_EQUAL] = "_>=_",
        [OP_ADD] = "_+_",
        [OP_SUBTRACT] = "_-_",
        [OP_MULTIPLY] = "_*_",
        [OP_DIVIDE] = "_/_",
        [OP_MODULO] = "_%_",
        [OP_NEGATE] = "-_",
        [OP_IN] = "@in",
        [OP_INDEX] = "_[_]",
        [OP_OPT_SELECT] = "_?._",
        [OP_OPT_INDEX] = "_[?_]",
        [OP_NOT_FALSE] = "@not_strictly_false",
        [OP_MAP_INSERT] = "cel.@mapInsert",
        [OP_OR_VALUE] = "orValue",
        [OP_OR_OPTIONAL] = "or",
    };
    return NAMES[op];
}

struct cel_node *cel_node_new(struct cel_compiler *c, enum cel_node_kind kind, uint32_t line,
                              uint32_t column) {
    struct cel_node *node = ARENA_NEW(c->arena, struct cel_node);
    node->kind = (uint8_t)kind;
    node->line = line;
    node->column = column;
    c->nodes++;
    return node;
}

struct cel_node *cel_node_ident(struct cel_compiler *c, const struct cel_node *at,
                                struct str name) {
    struct cel_node *node = cel_node_new(c, NODE_IDENT, at->line, at->column);
    node->name = name;
    return node;
}

struct cel_node *cel_node_call(struct cel_compiler *c, const struct cel_node *at,
                               enum cel_operator op, struct cel_node *a, struct cel_node *b,
                               struct cel_node *third) {
    struct cel_node *node = cel_node_new(c, NODE_CALL, at->line, at->column);
    node->op = (uint8_t)op;
    node->name = str_from(cel_operator_name(op));
    node->args.items = ARENA_ARRAY(c->arena, 3, struct cel_node *);
    struct cel_node *parts[] = {a, b, third};
    for (size_t i = 0; i < 3 && parts[i]; i++) {
        node->args.items[node->args.len++] = parts[i];
    }
    return node;
}

static struct cel_node *node_at(struct parser *p, enum cel_node_kind kind,
                                const struct cel_token *token) {
    return cel_node_new(p->c, kind, token->line, token->column);
}

// ---- Tokens ----

static void next(struct parser *p) {
    p->token = cel_lex(&p->lexer);
}

static bool is_sign(const struct parser *p, const char *sign) {
    return p->token.kind == TOKEN_SIGN && str_eq_c(p->token.text, sign);
}

static bool take(struct parser *p, const char *sign) {
    if (!is_sign(p, sign)) {
        return false;
    }
    next(p);
    return true;
}

static struct cel_node *fail(struct parser *p, const char *what, const char *expecting) {
    if (!p->failed) {
        struct str text = p->token.kind == TOKEN_END ? STR("<EOF>") : p->token.text;
        cel_issue_add(p->c, p->token.line, p->token.column, "Syntax error: %s '%.*s'%s%s", what,
                      STR_ARG(text), expecting[0] ? " expecting " : "", expecting);
    }
    p->failed = true;
    return NULL;
}

static bool expect(struct parser *p, const char *sign, const char *wanted) {
    if (take(p, sign)) {
        return true;
    }
    fail(p, "mismatched input", wanted);
    return false;
}

static bool is_word(const struct parser *p, const char *word) {
    return p->token.kind == TOKEN_IDENT && str_eq_c(p->token.text, word);
}

static bool is_reserved(struct str name) {
    static const char *const WORDS[] = {
        "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
        "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (str_eq_c(name, WORDS[i])) {
            return true;
        }
    }
    return false;
}

static bool deeper(struct parser *p) {
    if (++p->depth <= CEL_DEPTH_MAX && p->c->nodes < CEL_NODES_MAX) {
        return true;
    }
    if (!p->failed) {
        if (p->depth > CEL_DEPTH_MAX) {
            cel_issue_add(p->c, p->token.line, p->token.column,
                          "expression recursion limit exceeded: %d", CEL_DEPTH_MAX);
        } else {
            cel_issue_add(p->c, p->token.line, p->token.column,
                          "the expression has too many parts (CEL_NODES_MAX)");
        }
    }
    p->failed = true;
    return false;
}

// ---- Literals ----

static struct cel_node *bad_literal(struct parser *p, const char *message) {
    cel_issue_add(p->c, p->token.line, p->token.column, "%s", message);
    p->failed = true;
    return NULL;
}

static bool parse_natural(struct str text, uint64_t *out) {
    bool hex = str_starts(text, STR("0x"));
    uint64_t value = 0;
    for (size_t i = hex ? 2 : 0; i < text.n; i++) {
        char c = text.p[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        if (__builtin_mul_overflow(value, hex ? 16 : 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

static struct cel_node *parse_number(struct parser *p, bool negative,
                                     const struct cel_token *start) {
    struct cel_node *node = node_at(p, NODE_LITERAL, start);
    struct str text = p->token.text;
    uint64_t value;
    if (p->token.kind == TOKEN_FLOAT) {
        double d = strtod(arena_cstr(p->c->arena, text), NULL);
        if (isinf(d)) {
            return bad_literal(p, "invalid double literal");
        }
        node->value = (struct cel_value){.kind = CEL_DOUBLE, .u.number = negative ? -d : d};
    } else if (p->token.kind == TOKEN_UINT) {
        if (!parse_natural(str_first(text, text.n - 1), &value)) {
            return bad_literal(p, "invalid uint literal");
        }
        node->value = (struct cel_value){.kind = CEL_UINT, .u.natural = value};
    } else {
        uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
        if (!parse_natural(text, &value) || value > most) {
            return bad_literal(p, "invalid int literal");
        }
        node->value = cel_int(negative ? (int64_t)(0 - value) : (int64_t)value);
    }
    next(p);
    return node;
}

static struct cel_node *parse_text(struct parser *p) {
    struct cel_node *node = node_at(p, NODE_LITERAL, &p->token);
    struct str text;
    if (!cel_unquote(p->c, &p->token, &text)) {
        return bad_literal(p, "unable to unescape string");
    }
    node->value = (struct cel_value){.kind = p->token.kind == TOKEN_BYTES ? CEL_BYTES : CEL_STRING,
                                     .u.text = text};
    next(p);
    return node;
}

// ---- Lists of expressions ----

struct collected {
    struct cel_node **items;
    bool *optional;
    size_t len, cap;
};

static void collect(struct parser *p, struct collected *list, struct cel_node *node,
                    bool optional) {
    if (list->len == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        list->items = arena_grow(p->c->arena, list->items, list->cap * sizeof *list->items,
                                 cap * sizeof *list->items);
        list->optional = arena_grow(p->c->arena, list->optional, list->cap, cap);
        list->cap = cap;
    }
    list->optional[list->len] = optional;
    list->items[list->len++] = node;
}

static struct cel_node *parse_list(struct parser *p) {
    struct cel_node *node = node_at(p, NODE_LIST, &p->token);
    struct collected list = {0};
    next(p);
    while (!is_sign(p, "]")) {
        bool optional = take(p, "?");
        struct cel_node *item = parse_expr(p);
        if (!item) {
            return NULL;
        }
        collect(p, &list, item, optional);
        if (!take(p, ",")) {
            break;
        }
    }
    if (!expect(p, "]", "{']', ','}")) {
        return NULL;
    }
    node->args = (struct cel_nodes){list.items, list.len};
    node->optional = list.optional;
    return node;
}

static struct cel_node *parse_map(struct parser *p) {
    struct cel_node *node = node_at(p, NODE_MAP, &p->token);
    struct collected list = {0};
    next(p);
    while (!is_sign(p, "}")) {
        bool optional = take(p, "?");
        struct cel_node *key = parse_expr(p);
        if (!key || !expect(p, ":", "':'")) {
            return NULL;
        }
        struct cel_node *value = parse_expr(p);
        if (!value) {
            return NULL;
        }
        collect(p, &list, key, optional);
        collect(p, &list, value, optional);
        if (!take(p, ",")) {
            break;
        }
    }
    if (!expect(p, "}", "{'}', ','}")) {
        return NULL;
    }
    node->args = (struct cel_nodes){list.items, list.len};
    node->optional = list.optional;
    return node;
}

// Behind the opening parenthesis, which `open` is.
static struct cel_node *parse_call(struct parser *p, const struct cel_token *open, struct str name,
                                   struct cel_node *target) {
    struct cel_node *node = node_at(p, NODE_CALL, open);
    struct collected list = {0};
    node->name = name;
    node->member = target != NULL;
    if (target) {
        collect(p, &list, target, false);
    }
    while (!is_sign(p, ")")) {
        struct cel_node *arg = parse_expr(p);
        if (!arg) {
            return NULL;
        }
        collect(p, &list, arg, false);
        if (!take(p, ",")) {
            break;
        }
    }
    if (!expect(p, ")", "{',', ')'}")) {
        return NULL;
    }
    node->args = (struct cel_nodes){list.items, list.len};
    return cel_macro_expand(p->c, node);
}

// ---- Operands ----

static struct cel_node *parse_name(struct parser *p) {
    struct cel_token token = p->token;
    struct str name = token.text;
    next(p);
    struct cel_token open = p->token;
    if (take(p, "(")) {
        return parse_call(p, &open, name, NULL);
    }
    struct cel_node *node = node_at(p, NODE_LITERAL, &token);
    if (str_eq_c(name, "true") || str_eq_c(name, "false")) {
        node->value = cel_bool(name.p[0] == 't');
    } else if (str_eq_c(name, "null")) {
        node->value = cel_null();
    } else {
        if (is_reserved(name)) {
            cel_issue_add(p->c, token.line, token.column, "reserved identifier: %.*s",
                          STR_ARG(name));
        }
        node->kind = NODE_IDENT;
        node->name = name;
    }
    return node;
}

static struct cel_node *parse_primary(struct parser *p) {
    if (is_sign(p, "(")) {
        next(p);
        struct cel_node *inner = parse_expr(p);
        if (inner && p->token.kind == TOKEN_END) {
            return fail(p, "missing ')' at", "");
        }
        return inner && expect(p, ")", "')'") ? inner : NULL;
    }
    if (is_sign(p, "[")) {
        return parse_list(p);
    }
    if (is_sign(p, "{")) {
        return parse_map(p);
    }
    if (is_sign(p, ".")) {
        next(p); // a leading dot names the outermost scope, and there is no other
    } else if (p->token.kind == TOKEN_STRING || p->token.kind == TOKEN_BYTES) {
        return parse_text(p);
    } else if (p->token.kind == TOKEN_INT || p->token.kind == TOKEN_UINT ||
               p->token.kind == TOKEN_FLOAT) {
        return parse_number(p, false, &p->token);
    }
    if (p->token.kind != TOKEN_IDENT || is_word(p, "in")) {
        return fail(p, "mismatched input", EXPECT_OPERAND);
    }
    return parse_name(p);
}

static struct cel_node *parse_dot(struct parser *p, struct cel_node *operand) {
    struct cel_token dot = p->token;
    next(p);
    bool optional = take(p, "?");
    if (p->token.kind != TOKEN_IDENT || is_word(p, "in")) {
        return fail(p, "no viable alternative at input", "");
    }
    struct cel_token name = p->token;
    next(p);
    struct cel_token open = p->token;
    if (!optional && take(p, "(")) {
        return parse_call(p, &open, name.text, operand);
    }
    if (optional) {
        struct cel_node *field = node_at(p, NODE_LITERAL, &name);
        field->value = cel_text(name.text);
        struct cel_node at = {.line = dot.line, .column = dot.column};
        return cel_node_call(p->c, &at, OP_OPT_SELECT, operand, field, NULL);
    }
    struct cel_node *node = node_at(p, NODE_SELECT, &dot);
    node->operand = operand;
    node->name = name.text;
    return node;
}

static struct cel_node *parse_index(struct parser *p, struct cel_node *operand) {
    struct cel_node at = {.line = p->token.line, .column = p->token.column};
    next(p);
    bool optional = take(p, "?");
    struct cel_node *index = parse_expr(p);
    if (!index || !expect(p, "]", "']'")) {
        return NULL;
    }
    return cel_node_call(p->c, &at, optional ? OP_OPT_INDEX : OP_INDEX, operand, index, NULL);
}

static struct cel_node *parse_message(struct parser *p, const struct cel_node *name) {
    // Messages have no place in Kubernetes: no type of that kind is declared.
    cel_issue_add(p->c, p->token.line, p->token.column,
                  "undeclared reference to '%.*s' (in container '')", STR_ARG(name->name));
    p->failed = true;
    return NULL;
}

static struct cel_node *parse_member(struct parser *p) {
    struct cel_node *node;
    struct cel_token start = p->token;
    if (is_sign(p, "-")) { // the caller saw a number behind it
        next(p);
        node = parse_number(p, true, &start);
    } else {
        node = parse_primary(p);
    }
    unsigned depth = p->depth;
    while (node && deeper(p)) {
        if (is_sign(p, ".")) {
            node = parse_dot(p, node);
        } else if (is_sign(p, "[")) {
            node = parse_index(p, node);
        } else if (is_sign(p, "{") && (node->kind == NODE_IDENT || node->kind == NODE_SELECT)) {
            node = parse_message(p, node);
        } else {
            break;
        }
    }
    p->depth = depth;
    return p->failed ? NULL : node;
}

static struct cel_node *parse_unary(struct parser *p) {
    struct cel_token start = p->token;
    bool negate = is_sign(p, "-");
    if (!negate && !is_sign(p, "!")) {
        return parse_member(p);
    }
    if (negate) {
        struct cel_lexer ahead = p->lexer;
        size_t issues = p->c->issue_count;
        struct cel_token after = cel_lex(&ahead);
        p->c->issue_count = issues;
        if (after.kind == TOKEN_INT || after.kind == TOKEN_FLOAT) {
            return parse_member(p);
        }
    }
    size_t count = 0;
    while (take(p, negate ? "-" : "!")) {
        count++;
    }
    struct cel_node *operand = is_sign(p, "-") && !negate ? parse_unary(p) : parse_member(p);
    if (!operand || count % 2 == 0) {
        return operand;
    }
    struct cel_node at = {.line = start.line, .column = start.column};
    return cel_node_call(p->c, &at, negate ? OP_NEGATE : OP_NOT, operand, NULL, NULL);
}

// ---- Operators ----

static const struct {
    const char *sign;
    uint8_t level;
    uint8_t op;
} BINARY[] = {
    {"<", 0, OP_LESS},     {"<=", 0, OP_LESS_EQUAL},
    {">", 0, OP_GREATER},  {">=", 0, OP_GREATER_EQUAL},
    {"==", 0, OP_EQUAL},   {"!=", 0, OP_UNEQUAL},
    {"+", 1, OP_ADD},      {"-", 1, OP_SUBTRACT},
    {"*", 2, OP_MULTIPLY}, {"/", 2, OP_DIVIDE},
    {"%", 2, OP_MODULO},
};

static enum cel_operator binary_at(const struct parser *p, unsigned level) {
    if (level == 0 && is_word(p, "in")) {
        return OP_IN;
    }
    for (size_t i = 0; i < ARRAY_LEN(BINARY); i++) {
        if (BINARY[i].level == level && is_sign(p, BINARY[i].sign)) {
            return (enum cel_operator)BINARY[i].op;
        }
    }
    return OP_NONE;
}

static struct cel_node *parse_binary(struct parser *p, unsigned level) {
    struct cel_node *left = level > 2 ? parse_unary(p) : parse_binary(p, level + 1);
    enum cel_operator op = level > 2 ? OP_NONE : binary_at(p, level);
    unsigned depth = p->depth;
    while (left && op != OP_NONE) {
        if (!deeper(p)) { // a chain nests to the left
            return NULL;
        }
        struct cel_node at = {.line = p->token.line, .column = p->token.column};
        next(p);
        struct cel_node *right = parse_binary(p, level + 1);
        if (!right) {
            return NULL;
        }
        left = cel_node_call(p->c, &at, op, left, right, NULL);
        op = binary_at(p, level);
    }
    p->depth = depth;
    return left;
}

static struct cel_node *balance(struct parser *p, enum cel_operator op, struct cel_node **terms,
                                const struct cel_node *at, size_t low, size_t high) {
    size_t middle = (low + high + 1) / 2;
    struct cel_node *left =
        middle == low ? terms[middle] : balance(p, op, terms, at, low, middle - 1);
    struct cel_node *right =
        middle == high ? terms[middle + 1] : balance(p, op, terms, at, middle + 1, high);
    return cel_node_call(p->c, &at[middle], op, left, right, NULL);
}

static struct cel_node *parse_logic(struct parser *p, bool or_level) {
    const char *sign = or_level ? "||" : "&&";
    struct cel_node *first = or_level ? parse_logic(p, false) : parse_binary(p, 0);
    if (!first || !is_sign(p, sign)) {
        return first;
    }
    struct collected terms = {0};
    VEC(struct cel_node) places = {0};
    collect(p, &terms, first, false);
    while (is_sign(p, sign)) {
        struct cel_node at = {.line = p->token.line, .column = p->token.column};
        VEC_PUSH(&places, at);
        next(p);
        struct cel_node *term = or_level ? parse_logic(p, false) : parse_binary(p, 0);
        if (!term) {
            VEC_FREE(&places);
            return NULL;
        }
        collect(p, &terms, term, false);
    }
    struct cel_node *node =
        balance(p, or_level ? OP_OR : OP_AND, terms.items, places.items, 0, places.len - 1);
    VEC_FREE(&places);
    return node;
}

static struct cel_node *parse_expr(struct parser *p) {
    if (!deeper(p)) {
        return NULL;
    }
    struct cel_node *node = parse_logic(p, true);
    struct cel_node at = {.line = p->token.line, .column = p->token.column};
    if (node && take(p, "?")) {
        struct cel_node *yes = parse_logic(p, true);
        struct cel_node *no = yes && expect(p, ":", "':'") ? parse_expr(p) : NULL;
        node = no ? cel_node_call(p->c, &at, OP_CONDITION, node, yes, no) : NULL;
    }
    p->depth--;
    return node;
}

struct cel_node *cel_parse(struct cel_compiler *c) {
    int64_t size = cel_runes(c->text);
    if (size > CEL_TEXT_MAX) {
        cel_issue_add(c, 1, 0, "expression code point size exceeds limit: size: %lld, limit %d",
                      (long long)size, CEL_TEXT_MAX);
        return NULL;
    }
    struct parser p = {.c = c, .lexer = {.c = c, .line = 1}};
    next(&p);
    struct cel_node *root = parse_expr(&p);
    if (root && p.token.kind != TOKEN_END) {
        struct cel_lexer ahead = p.lexer;
        bool last = cel_lex(&ahead).kind == TOKEN_END;
        fail(&p, last ? "extraneous input" : "mismatched input", "<EOF>");
    }
    return c->issue_count ? NULL : root;
}
