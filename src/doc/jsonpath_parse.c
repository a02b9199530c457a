// SPDX-License-Identifier: Apache-2.0
// The grammar of Kubernetes JSONPath templates: text with {...} in it. It follows kubectl also where that is odd (quotes
// do not protect ']' or ',' in brackets; ['a.b'] are two fields), because templates in the wild rely on it.
#include "doc/jsonpath_internal.h"

#include "base/limits.h"
#include "doc/yaml_scalar.h"

enum { DEPTH_MAX = 8 }; // templates inside of filters and unions

struct parser {
    struct str text;
    size_t pos;
    size_t start; // of what the next node is made from
    struct arena *arena;
    struct err *err;
    unsigned depth;
};

static bool parse_actions(struct parser *p, struct jsonpath_list *root);

static bool fail(struct parser *p, const char *message, struct str detail) {
    return err_set(p->err, ERR_INVALID, "%s%.*s", message, STR_ARG(detail));
}

static struct jsonpath_node *append(struct parser *p, struct jsonpath_list *list,
                                    enum jsonpath_node_kind kind) {
    if (list->len == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        list->nodes = arena_grow(p->arena, list->nodes, list->cap * sizeof *list->nodes,
                                 cap * sizeof *list->nodes);
        list->cap = cap;
    }
    struct jsonpath_node *node = &list->nodes[list->len++];
    *node = (struct jsonpath_node){.kind = kind};
    return node;
}

static int peek(const struct parser *p) {
    return p->pos < p->text.n ? (unsigned char)p->text.p[p->pos] : -1;
}

static int next(struct parser *p) {
    int c = peek(p);
    p->pos += c >= 0 ? 1 : 0;
    return c;
}

static struct str take(struct parser *p) {
    struct str taken = str_make(p->text.p + p->start, p->pos - p->start);
    p->start = p->pos;
    return taken;
}

static bool at_prefix(const struct parser *p, const char *prefix) {
    return str_starts(str_skip(p->text, p->pos), str_from(prefix));
}

static bool is_terminator(int c) {
    return c < 0 || strchr(" \t\r\n.,[]$@{}", c) != NULL;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_word(int c) { // bytes above ASCII count as letters
    return c == '_' || is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
}

// "{inner}" as a list of its own, for filters and unions.
static bool parse_inner(struct parser *p, struct str inner, struct jsonpath_list *out) {
    if (p->depth >= DEPTH_MAX) {
        return fail(p, "jsonpath: nested too deeply", (struct str){NULL, 0});
    }
    struct parser sub = {.text = arena_printf(p->arena, "{%.*s}", STR_ARG(inner)),
                         .arena = p->arena,
                         .err = p->err,
                         .depth = p->depth + 1};
    struct jsonpath_list root = {0};
    if (!parse_actions(&sub, &root)) {
        return false;
    }
    CHECK(root.len > 0 && root.nodes[0].kind == JSONPATH_LIST);
    *out = root.nodes[0].list;
    return true;
}

// ---- Steps ----

static void parse_field(struct parser *p, struct jsonpath_list *cur) {
    take(p);
    for (;;) {
        int c = peek(p);
        if (c == '\\') {
            next(p);
            next(p);
        } else if (is_terminator(c)) {
            break;
        } else {
            next(p);
        }
    }
    struct str raw = take(p);
    if (str_eq_c(raw, "*")) {
        append(p, cur, JSONPATH_WILDCARD);
        return;
    }
    char *name = arena_alloc(p->arena, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\\') {
            name[n++] = raw.p[i];
        }
    }
    append(p, cur, JSONPATH_FIELD)->value = doc_make_str(str_make(name, n));
}

static void parse_word(struct parser *p, struct jsonpath_list *cur) {
    while (!is_terminator(peek(p))) {
        next(p);
    }
    struct str word = take(p);
    if (str_eq_c(word, "true") || str_eq_c(word, "false")) {
        append(p, cur, JSONPATH_VALUE)->value = doc_make_bool(word.p[0] == 't');
    } else if (str_eq_c(word, "range")) {
        append(p, cur, JSONPATH_RANGE);
    } else if (str_eq_c(word, "end")) {
        append(p, cur, JSONPATH_END);
    } else {
        append(p, cur, JSONPATH_UNKNOWN_WORD)->value = doc_make_str(arena_dup(p->arena, word));
    }
}

static bool parse_number(struct parser *p, struct jsonpath_list *cur) {
    next(p);
    while (peek(p) == '.' || is_digit(peek(p))) {
        next(p);
    }
    struct str text = take(p);
    struct str digits = str_skip(text, text.p[0] == '+' ? 1 : 0);
    int64_t integer;
    if (digits.n && digits.p[0] != '+' && str_to_int64(digits, &integer)) {
        append(p, cur, JSONPATH_VALUE)->value = doc_make_int(integer);
        return true;
    }
    char *end = NULL;
    char *copy = arena_cstr(p->arena, text);
    double number = strtod(copy, &end);
    if (digits.n == 0 || *end != '\0') {
        return fail(p, "cannot parse number ", text);
    }
    append(p, cur, JSONPATH_VALUE)->value = doc_make_double(p->arena, number);
    return true;
}

// One of Go's escapes behind a backslash at *at; false for what is none.
static bool unescape(struct str s, size_t *at, char quote, struct buf *out) {
    static const char NAMES[] = "abfnrtv\\";
    static const char CODES[] = "\a\b\f\n\r\t\v\\";
    if (*at >= s.n) {
        return false;
    }
    char c = s.p[(*at)++];
    const char *name = c ? strchr(NAMES, c) : NULL;
    if (name) {
        return buf_add_char(out, CODES[name - NAMES]);
    }
    if (c == '\'' || c == '"') {
        return c == quote && buf_add_char(out, c);
    }
    unsigned base = c == 'x' || c == 'u' || c == 'U' ? 16 : 8;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
    *at -= base == 8 ? 1 : 0;
    uint32_t code = 0;
    for (size_t i = 0; i < digits; i++, (*at)++) {
        int d = *at < s.n ? s.p[*at] : ' ';
        unsigned value = is_digit(d) ? (unsigned)d - '0' : 99;
        value = (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (unsigned)((d | 0x20) - 'a' + 10) : value;
        if (value >= base) {
            return false;
        }
        code = code * base + value;
    }
    if (digits < 4) {
        return code <= 0xFF && buf_add_char(out, (char)code);
    }
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return false;
    }
    for (size_t i = n; i-- > 1; code >>= 6) {
        bytes[i] = (char)(0x80 | (code & 0x3F));
    }
    bytes[0] = (char)(n == 1 ? code : (0xF0u << (4 - n) & 0xFF) | code);
    return buf_add(out, bytes, n);
}

static bool unquote(struct parser *p, struct str quoted, struct str *out) {
    char quote = quoted.p[0];
    struct str s = str_make(quoted.p + 1, quoted.n - 2);
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, quoted.n * 4 + 8);
    for (size_t at = 0; at < s.n;) {
        char c = s.p[at++];
        bool ok = c == '\\' ? unescape(s, &at, quote, &buf) : c != quote && buf_add_char(&buf, c);
        if (!ok) {
            return err_set(p->err, ERR_INVALID, "unquote string %.*s error invalid syntax",
                           STR_ARG(quoted));
        }
    }
    *out = arena_dup(p->arena, buf_str(&buf));
    return true;
}

static bool parse_quote(struct parser *p, struct jsonpath_list *cur, int quote) {
    for (;;) {
        int c = next(p);
        if (c < 0 || c == '\n') {
            return fail(p, "unterminated quoted string", (struct str){NULL, 0});
        }
        if (c == quote && p->text.p[p->pos - 2] != '\\') {
            break;
        }
    }
    struct str text;
    if (!unquote(p, take(p), &text)) {
        return false;
    }
    append(p, cur, JSONPATH_TEXT)->value = doc_make_str(text);
    return true;
}

// ---- Brackets ----

static bool parse_bounds(struct parser *p, struct str text, struct jsonpath_node *node) {
    struct str rest = text;
    for (int i = 0; i < 3; i++) {
        struct jsonpath_bound *bound = &node->bounds[i];
        bool written = i == 0;
        if (i > 0 && rest.n && rest.p[0] == ':') {
            rest = str_skip(rest, 1);
            written = true;
        }
        size_t n = rest.n && rest.p[0] == '-' && written ? 1 : 0;
        while (written && n < rest.n && is_digit((unsigned char)rest.p[n])) {
            n++;
        }
        if (n > 0 && !str_to_int64(str_first(rest, n), &bound->value)) {
            return err_set(p->err, ERR_INVALID, "array index %.*s is not a number",
                           STR_ARG(str_first(rest, n)));
        }
        bound->known = n > 0;
        // Far outside of any list, and safe to count with.
        int64_t most = INT32_MAX;
        bound->value = bound->value > most ? most : bound->value < -most ? -most : bound->value;
        if (i == 1 && !written) {
            *bound = (struct jsonpath_bound){node->bounds[0].value + 1, true, true};
        }
        rest = str_skip(rest, n);
    }
    return rest.n == 0 || fail(p, "invalid array index ", text);
}

static bool parse_union(struct parser *p, struct str text, struct jsonpath_list *cur) {
    struct jsonpath_list parts = {0};
    for (bool more = true; more;) {
        struct str part, rest;
        more = str_cut(text, ',', &part, &rest);
        while (part.n && part.p[0] == ' ') {
            part = str_skip(part, 1);
        }
        while (part.n && part.p[part.n - 1] == ' ') {
            part.n--;
        }
        struct str inner = arena_printf(p->arena, "[%.*s]", STR_ARG(part));
        struct jsonpath_list list;
        if (!parse_inner(p, inner, &list)) {
            return false;
        }
        append(p, &parts, JSONPATH_LIST)->list = list;
        text = rest;
    }
    append(p, cur, JSONPATH_UNION)->list = parts;
    return true;
}

static bool parse_brackets(struct parser *p, struct jsonpath_list *cur) {
    for (int c; (c = next(p)) != ']';) {
        if (c < 0 || c == '\n') {
            return fail(p, "unterminated array", (struct str){NULL, 0});
        }
    }
    struct str text = take(p);
    text = str_make(text.p + 1, text.n - 2);
    if (str_eq_c(text, "*")) {
        text = STR(":");
    }
    if (str_find_char(text, ',') != STR_NPOS) {
        return parse_union(p, text, cur);
    }
    bool quoted = text.n >= 2 && text.p[0] == '\'' && text.p[text.n - 1] == '\'';
    if (quoted && str_find_char(str_make(text.p + 1, text.n - 2), '\'') == STR_NPOS) {
        struct jsonpath_list fields;
        struct str inner = arena_printf(p->arena, ".%.*s", (int)text.n - 2, text.p + 1);
        if (!parse_inner(p, inner, &fields)) {
            return false;
        }
        for (uint32_t i = 0; i < fields.len; i++) {
            *append(p, cur, JSONPATH_FIELD) = fields.nodes[i];
        }
        return true;
    }
    struct jsonpath_node node = {.kind = JSONPATH_INDEX};
    if (!parse_bounds(p, text, &node)) {
        return false;
    }
    *append(p, cur, JSONPATH_INDEX) = node;
    return true;
}

// The text between "[?(" and ")]". A parenthesis inside of quotes does not end it.
static bool filter_text(struct parser *p, struct str *out) {
    p->pos += strlen("[?(");
    take(p);
    int quote = 0;
    bool closed = false;
    for (;;) {
        int c = next(p);
        if (c < 0 || c == '\n') {
            return fail(p, "unterminated filter", (struct str){NULL, 0});
        }
        if (c == '"' || c == '\'') {
            if (!quote) {
                quote = c;
            } else if (c == quote && p->text.p[p->pos - 2] != '\\') {
                closed = true;
            }
        } else if (c == ')' && (quote != 0) == closed) {
            break;
        }
    }
    if (next(p) != ']') {
        return fail(p, "unclosed array expect ]", (struct str){NULL, 0});
    }
    *out = take(p);
    out->n -= 2;
    return true;
}

static enum jsonpath_operator operator_of(struct str text) {
    static const char *const NAMES[] = {"", "==", "!=", "<", "<=", ">", ">="};
    for (size_t i = 1; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq_c(text, NAMES[i])) {
            return (enum jsonpath_operator)i;
        }
    }
    return JSONPATH_BAD_OPERATOR;
}

static bool parse_filter(struct parser *p, struct jsonpath_list *cur) {
    struct str text;
    if (!filter_text(p, &text)) {
        return false;
    }
    size_t left = 0;
    while (left < text.n && !strchr("!<>=", text.p[left])) {
        left++;
    }
    size_t right = left;
    while (right < text.n && text.p[right] && strchr("!<>=", text.p[right])) {
        right++;
    }
    struct jsonpath_node node = {.kind = JSONPATH_FILTER, .op = JSONPATH_EXISTS};
    if (right == text.n && right - left > 1) {
        right--; // an operator without a right side: its last sign is taken for one, and refused as such
    }
    if (left == 0 || right == left || right == text.n) {
        if (!parse_inner(p, text, &node.list)) {
            return false;
        }
    } else {
        struct str op = str_make(text.p + left, right - left);
        node.op = operator_of(op);
        node.value = doc_make_str(arena_dup(p->arena, op));
        if (!parse_inner(p, str_first(text, left), &node.list) ||
            !parse_inner(p, str_skip(text, right), &node.right)) {
            return false;
        }
    }
    *append(p, cur, JSONPATH_FILTER) = node;
    return true;
}

static bool parse_recursive(struct parser *p, struct jsonpath_list *cur) {
    if (cur->len > 0 && cur->nodes[cur->len - 1].kind == JSONPATH_RECURSIVE) {
        return fail(p, "invalid multiple recursive descent", (struct str){NULL, 0});
    }
    p->pos += 2;
    take(p);
    append(p, cur, JSONPATH_RECURSIVE);
    if (is_word(peek(p))) {
        parse_field(p, cur);
    }
    return true;
}

// ---- Actions and text ----

static bool parse_step(struct parser *p, struct jsonpath_list *cur, bool *end) {
    if (at_prefix(p, "[?(")) {
        return parse_filter(p, cur);
    }
    if (at_prefix(p, "..")) {
        return parse_recursive(p, cur);
    }
    int c = next(p);
    if (c == '}') {
        take(p);
        *end = true;
    } else if (c < 0 || c == '\r' || c == '\n') {
        return fail(p, "unclosed action", (struct str){NULL, 0});
    } else if (c == ' ' || c == '@' || c == '$') {
        take(p);
    } else if (c == '[') {
        return parse_brackets(p, cur);
    } else if (c == '"' || c == '\'') {
        return parse_quote(p, cur, c);
    } else if (c == '.') {
        parse_field(p, cur);
    } else if (c == '+' || c == '-' || is_digit(c)) {
        p->pos--;
        return parse_number(p, cur);
    } else if (is_word(c)) {
        p->pos--;
        parse_word(p, cur);
    } else {
        return err_set(p->err, ERR_INVALID, "unrecognized character in action: U+%04X '%c'", c,
                       c < 0x20 || c > 0x7E ? '?' : c);
    }
    return true;
}

static bool parse_actions(struct parser *p, struct jsonpath_list *root) {
    while (p->pos < p->text.n) {
        size_t brace = str_find_char(str_skip(p->text, p->pos), '{');
        p->pos = brace == STR_NPOS ? p->text.n : p->pos + brace;
        if (p->pos > p->start) {
            append(p, root, JSONPATH_TEXT)->value = doc_make_str(arena_dup(p->arena, take(p)));
        }
        if (brace == STR_NPOS) {
            break;
        }
        p->pos++;
        take(p);
        struct jsonpath_list list = {0};
        for (bool end = false; !end;) {
            if (!parse_step(p, &list, &end)) {
                return false;
            }
        }
        append(p, root, JSONPATH_LIST)->list = list;
    }
    return true;
}

bool jsonpath_parse(struct str text, struct arena *arena, struct jsonpath_list *out,
                    struct err *err) {
    struct parser p = {.text = text, .arena = arena, .err = err};
    struct jsonpath_list root = {0};
    if (!parse_actions(&p, &root)) {
        return false;
    }
    *out = root;
    return true;
}
