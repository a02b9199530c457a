// SPDX-License-Identifier: Apache-2.0
// Text to tokens, and the value of string literals. Places are counted in characters, as messages show them.
#include "base/text.h"
#include "cel/cel_internal.h"

static char peek(const struct cel_lexer *l, size_t ahead) {
    size_t at = l->at + ahead;
    return at < l->c->text.n ? l->c->text.p[at] : '\0';
}

static void advance(struct cel_lexer *l, size_t n) {
    for (size_t i = 0; i < n && l->at < l->c->text.n; i++) {
        unsigned char byte = (unsigned char)l->c->text.p[l->at++];
        if (byte == '\n') {
            l->line++;
            l->column = 0;
        } else if ((byte & 0xC0) != 0x80) {
            l->column++;
        }
    }
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void skip_space(struct cel_lexer *l) {
    for (;;) {
        char c = peek(l, 0);
        if (l->at >= l->c->text.n) {
            return;
        }
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            advance(l, 1);
        } else if (c == '/' && peek(l, 1) == '/') {
            while (l->at < l->c->text.n && peek(l, 0) != '\n') {
                advance(l, 1);
            }
        } else {
            return;
        }
    }
}

// The length of the literal at this place, quotes and prefix included; 0 when it is none or not closed.
static size_t string_length(const struct cel_lexer *l, bool *bytes) {
    size_t at = 0;
    bool raw = false;
    *bytes = false;
    for (;; at++) {
        char c = peek(l, at);
        if ((c == 'r' || c == 'R') && !raw) {
            raw = true;
        } else if ((c == 'b' || c == 'B') && !*bytes && !raw) {
            *bytes = true;
        } else {
            break;
        }
    }
    char quote = peek(l, at);
    if (quote != '"' && quote != '\'') {
        return 0;
    }
    bool triple = peek(l, at + 1) == quote && peek(l, at + 2) == quote;
    at += triple ? 3 : 1;
    while (l->at + at < l->c->text.n) {
        char c = peek(l, at);
        if (c == '\\' && !raw) {
            at += 2;
        } else if (c == quote &&
                   (!triple || (peek(l, at + 1) == quote && peek(l, at + 2) == quote))) {
            return at + (triple ? 3 : 1);
        } else if (!triple && (c == '\n' || c == '\r')) {
            return 0;
        } else {
            at++;
        }
    }
    return 0;
}

static size_t number_length(const struct cel_lexer *l, uint8_t *kind) {
    size_t at = 0;
    *kind = TOKEN_INT;
    if (peek(l, 0) == '0' && peek(l, 1) == 'x' && is_hex(peek(l, 2))) {
        at = 2;
        while (is_hex(peek(l, at))) {
            at++;
        }
    } else {
        while (is_digit(peek(l, at))) {
            at++;
        }
        if (peek(l, at) == '.' && is_digit(peek(l, at + 1))) {
            *kind = TOKEN_FLOAT;
            at++;
            while (is_digit(peek(l, at))) {
                at++;
            }
        }
        size_t sign = peek(l, at + 1) == '+' || peek(l, at + 1) == '-' ? 1 : 0;
        if ((peek(l, at) == 'e' || peek(l, at) == 'E') && is_digit(peek(l, at + 1 + sign))) {
            *kind = TOKEN_FLOAT;
            at += 1 + sign;
            while (is_digit(peek(l, at))) {
                at++;
            }
        }
    }
    if (*kind == TOKEN_INT && (peek(l, at) == 'u' || peek(l, at) == 'U')) {
        *kind = TOKEN_UINT;
        at++;
    }
    return at;
}

static size_t sign_length(const struct cel_lexer *l) {
    static const char TWO[][3] = {"==", "!=", "<=", ">=", "&&", "||"};
    char c = peek(l, 0);
    for (size_t i = 0; i < ARRAY_LEN(TWO); i++) {
        if (c == TWO[i][0] && peek(l, 1) == TWO[i][1]) {
            return 2;
        }
    }
    return c && strchr("+-*/%<>!?:.,[]{}()", c) ? 1 : 0;
}

struct cel_token cel_lex(struct cel_lexer *l) {
    for (;;) {
        skip_space(l);
        struct cel_token token = {.line = l->line, .column = l->column};
        if (l->at >= l->c->text.n) {
            return token;
        }
        bool bytes;
        size_t n = string_length(l, &bytes);
        if (n) {
            token.kind = bytes ? TOKEN_BYTES : TOKEN_STRING;
        } else if (is_letter(peek(l, 0))) {
            token.kind = TOKEN_IDENT;
            while (is_letter(peek(l, n)) || is_digit(peek(l, n))) {
                n++;
            }
        } else if (is_digit(peek(l, 0)) || (peek(l, 0) == '.' && is_digit(peek(l, 1)))) {
            n = number_length(l, &token.kind);
        } else {
            token.kind = TOKEN_SIGN;
            n = sign_length(l);
        }
        if (n) {
            token.text = str_make(l->c->text.p + l->at, n);
            advance(l, n);
            return token;
        }
        // Nothing that can begin a token: as ANTLR, report and go on. An open string runs to the end of its line.
        size_t bad = utf8_sequence(str_skip(l->c->text, l->at));
        if (peek(l, 0) == '"' || peek(l, 0) == '\'') {
            for (bad = 1; l->at + bad < l->c->text.n && peek(l, bad) != '\n'; bad++) {
            }
        }
        bad = bad ? bad : 1;
        cel_issue_add(l->c, token.line, token.column,
                      "Syntax error: token recognition error at: '%.*s'",
                      STR_ARG(str_make(l->c->text.p + l->at, bad)));
        advance(l, bad);
    }
}

// ---- Literals ----

static int hex_value(char c) {
    return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool read_digits(struct str text, size_t *at, size_t count, unsigned base, uint32_t *out) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        char c = *at < text.n ? text.p[*at] : 'z';
        if (!is_hex(c) || (unsigned)hex_value(c) >= base) {
            return false;
        }
        value = value * base + (uint32_t)hex_value(c);
        (*at)++;
    }
    *out = value;
    return true;
}

// The escape behind a backslash at *at.
static bool unescape(struct str text, size_t *at, bool bytes, struct buf *out) {
    static const char FROM[] = "abfnrtv\\'\"`?", TO[] = "\a\b\f\n\r\t\v\\'\"`?";
    char c = *at < text.n ? text.p[(*at)++] : '\0';
    const char *found = c ? strchr(FROM, c) : NULL;
    if (found) {
        return buf_add_char(out, TO[found - FROM]);
    }
    uint32_t rune;
    if (c == 'x' || c == 'X') {
        if (!read_digits(text, at, 2, 16, &rune)) {
            return false;
        }
    } else if (c == 'u' || c == 'U') {
        if (bytes || !read_digits(text, at, c == 'u' ? 4 : 8, 16, &rune) || rune > 0x10FFFF ||
            (rune >= 0xD800 && rune < 0xE000)) {
            return false;
        }
    } else if (c >= '0' && c <= '3') {
        (*at)--;
        if (!read_digits(text, at, 3, 8, &rune)) {
            return false;
        }
    } else {
        return false;
    }
    if (bytes) {
        return buf_add_char(out, (char)rune);
    }
    char encoded[4];
    return buf_add(out, encoded, utf8_encode(rune, encoded));
}

bool cel_unquote(struct cel_compiler *c, const struct cel_token *token, struct str *out) {
    struct str text = token->text;
    bool raw = false;
    while (text.n && text.p[0] != '"' && text.p[0] != '\'') {
        raw = raw || text.p[0] == 'r' || text.p[0] == 'R';
        text = str_skip(text, 1);
    }
    bool triple = text.n >= 6 && text.p[1] == text.p[0] && text.p[2] == text.p[0];
    size_t quotes = triple ? 3 : 1;
    text = str_make(text.p + quotes, text.n - 2 * quotes);
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, text.n + 8);
    for (size_t at = 0; at < text.n;) {
        char byte = text.p[at++];
        if (byte == '\\' && !raw) {
            if (!unescape(text, &at, token->kind == TOKEN_BYTES, &buf)) {
                return false;
            }
        } else if (byte == '\r') { // line ends are one character
            if (at < text.n && text.p[at] == '\n') {
                at++;
            }
            buf_add_char(&buf, '\n');
        } else {
            buf_add_char(&buf, byte);
        }
    }
    *out = arena_dup(c->arena, buf_str(&buf));
    return true;
}
