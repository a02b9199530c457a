// SPDX-License-Identifier: Apache-2.0
// YAML out, byte for byte what sigs.k8s.io/yaml prints. The state kept here (column, whether the line holds only
// indentation so far, whether the last thing was white space) is that of a libyaml emitter, because Go's is one: folding
// and the compact "- " forms follow from it.
#include "doc/yaml.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/vec.h"
#include "doc/yaml_scalar.h"

enum { BEST_WIDTH = 80, BEST_INDENT = 2, LONGEST_SIMPLE_KEY = 128 };

struct printer {
    struct buf *out;
    int indent; // -1 outside of everything
    int column; // in characters
    bool whitespace;
    bool indention;
    bool ok;
};

// ---- The line being written ----

static void put(struct printer *p, char c) {
    p->ok = buf_add_char(p->out, c) && p->ok;
    p->column++;
}

static void put_break(struct printer *p) {
    p->ok = buf_add_char(p->out, '\n') && p->ok;
    p->column = 0;
}

static void write_indent(struct printer *p) {
    int indent = p->indent < 0 ? 0 : p->indent;
    if (!p->indention || p->column > indent || (p->column == indent && !p->whitespace)) {
        put_break(p);
    }
    if (p->column < indent) {
        p->ok = buf_add_repeat(p->out, ' ', (size_t)(indent - p->column)) && p->ok;
        p->column = indent;
    }
    p->whitespace = true;
    p->indention = true;
}

static void write_indicator(struct printer *p, const char *indicator, bool need_space,
                            bool is_indention) {
    if (need_space && !p->whitespace) {
        put(p, ' ');
    }
    for (; *indicator; indicator++) {
        put(p, *indicator);
    }
    p->whitespace = false;
    p->indention = p->indention && is_indention;
}

static void write_bytes(struct printer *p, const char *bytes, size_t n) { // one character
    p->ok = buf_add(p->out, bytes, n) && p->ok;
    p->column++;
}

// ---- What a text contains ----

struct analysis {
    bool multiline, plain_allowed, single_allowed, block_allowed;
};

static bool is_break(uint32_t c) {
    return c == '\r' || c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// go-yaml prints nothing outside the basic plane as it is.
static bool is_printable(uint32_t c) {
    return c == '\n' || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF) ||
           (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

// Most texts of Kubernetes objects: letters, digits and a few signs that mean nothing to YAML inside of a word.
static bool is_simple(struct str s) {
    static const bool INSIDE[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['_'] = true,
        ['-'] = true,         ['.'] = true,         ['/'] = true,         ['+'] = true,
        ['='] = true,         ['('] = true,         [')'] = true,         [';'] = true,
        ['$'] = true,         ['~'] = true,         ['^'] = true,         ['<'] = true};
    char first = s.n ? s.p[0] : '-';
    if (first == '-' || first == '.' || !INSIDE[(unsigned char)first]) {
        return false;
    }
    for (size_t i = 1; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool colon = c == ':' && i + 1 < s.n && INSIDE[(unsigned char)s.p[i + 1]];
        if (!INSIDE[c] && !colon) {
            return false;
        }
    }
    return true;
}

static bool starts_with_indicator(struct str s, bool blank_follows) {
    if (s.n >= 3 && (memcmp(s.p, "---", 3) == 0 || memcmp(s.p, "...", 3) == 0)) {
        return true;
    }
    if (strchr("#,[]{}&*!|>'\"%@`", s.p[0])) {
        return s.p[0] != '\0';
    }
    return blank_follows && (s.p[0] == '?' || s.p[0] == ':' || s.p[0] == '-');
}

static struct analysis analyze(struct str s) {
    if (s.n == 0) {
        return (struct analysis){.plain_allowed = true, .single_allowed = true};
    }
    bool indicators = false, special = false, breaks = false;
    bool leading = false, trailing_space = false, trailing_break = false;
    bool break_space = false, space_break = false;
    bool previous_space = false, previous_break = false, after_blank = true;
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        uint32_t c = yaml_next_rune(s, i, &len);
        bool last = i + len >= s.n;
        bool blank_follows = last || s.p[i + len] == ' ' || s.p[i + len] == '\t';
        if (i == 0) {
            indicators = starts_with_indicator(s, blank_follows);
        } else {
            indicators = indicators || (c == ':' && blank_follows) || (c == '#' && after_blank);
        }
        special = special || !is_printable(c);
        if (c == ' ') {
            leading = leading || i == 0;
            trailing_space = last;
            break_space = break_space || previous_break;
        } else if (is_break(c)) {
            breaks = true;
            leading = leading || i == 0;
            trailing_break = last;
            space_break = space_break || previous_space;
        }
        previous_space = c == ' ';
        previous_break = is_break(c);
        after_blank = c == ' ' || c == '\t' || c == 0 || is_break(c);
    }
    bool edges = leading || trailing_space || trailing_break;
    bool hopeless = space_break || special;
    return (struct analysis){
        .multiline = breaks,
        .plain_allowed = !edges && !break_space && !hopeless && !breaks && !indicators,
        .single_allowed = !break_space && !hopeless,
        .block_allowed = !trailing_space && !hopeless,
    };
}

// ---- Scalar styles ----

static bool is_space_at(struct str s, size_t at) {
    return at < s.n && s.p[at] == ' ';
}

// Plain and single-quoted text: both may be folded at a single space once the line is long.
static void write_flowing(struct printer *p, struct str s, bool fold, bool quoted) {
    if (quoted) {
        write_indicator(p, "'", true, false);
    } else if (!p->whitespace) {
        put(p, ' ');
    }
    bool spaces = false, breaks = false;
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        uint32_t c = yaml_next_rune(s, i, &len);
        if (c == ' ') {
            bool edge = quoted && (i == 0 || i + 1 >= s.n);
            if (fold && !spaces && p->column > BEST_WIDTH && !edge && !is_space_at(s, i + 1)) {
                write_indent(p);
            } else {
                write_bytes(p, s.p + i, len);
            }
            spaces = true;
            continue;
        }
        if (is_break(c)) {
            if (!breaks && c == '\n') {
                put_break(p);
            }
            write_bytes(p, s.p + i, len);
            p->column = 0;
            p->indention = true;
            breaks = true;
            continue;
        }
        if (breaks) {
            write_indent(p);
        }
        if (quoted && c == '\'') {
            put(p, '\'');
        }
        write_bytes(p, s.p + i, len);
        p->indention = false;
        spaces = breaks = false;
    }
    if (quoted) {
        write_indicator(p, "'", false, false);
    }
    p->whitespace = false;
    p->indention = false;
}

static void write_escape(struct printer *p, uint32_t c) {
    static const struct {
        uint32_t code;
        char letter;
    } SHORT[] = {{0, '0'},     {7, 'a'},    {8, 'b'},    {9, 't'},      {10, 'n'},
                 {11, 'v'},    {12, 'f'},   {13, 'r'},   {0x1b, 'e'},   {'"', '"'},
                 {'\\', '\\'}, {0x85, 'N'}, {0xA0, '_'}, {0x2028, 'L'}, {0x2029, 'P'}};
    put(p, '\\');
    for (size_t i = 0; i < ARRAY_LEN(SHORT); i++) {
        if (SHORT[i].code == c) {
            put(p, SHORT[i].letter);
            return;
        }
    }
    char text[12];
    const char *format = c <= 0xFF ? "x%02X" : c <= 0xFFFF ? "u%04X" : "U%08X";
    int n = snprintf(text, sizeof text, format, (unsigned)c);
    for (int i = 0; i < n; i++) {
        put(p, text[i]);
    }
}

static void write_double_quoted(struct printer *p, struct str s, bool fold) {
    write_indicator(p, "\"", true, false);
    // After a byte order mark in front go-yaml escapes everything.
    bool all = str_starts(s, STR("\xEF\xBB\xBF"));
    bool spaces = false;
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        uint32_t c = yaml_next_rune(s, i, &len);
        if (all || !is_printable(c) || is_break(c) || c == '"' || c == '\\') {
            write_escape(p, c);
            spaces = false;
        } else if (c == ' ') {
            if (fold && !spaces && p->column > BEST_WIDTH && i > 0 && i + 1 < s.n) {
                write_indent(p);
                if (is_space_at(s, i + 1)) {
                    put(p, '\\');
                }
            } else {
                put(p, ' ');
            }
            spaces = true;
        } else {
            if (c == 0xFFFD && len == 1) {
                write_bytes(p, "\xEF\xBF\xBD", 3); // not UTF-8: as Go's JSON encoder replaces it
            } else {
                write_bytes(p, s.p + i, len);
            }
            spaces = false;
        }
    }
    write_indicator(p, "\"", false, false);
    p->whitespace = false;
    p->indention = false;
}

static size_t last_rune(struct str s, size_t end) {
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)s.p[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

static bool break_at(struct str s, size_t at) {
    size_t len;
    return is_break(yaml_next_rune(s, at, &len));
}

static void write_literal(struct printer *p, struct str s) {
    write_indicator(p, "|", true, false);
    if (s.p[0] == ' ' || break_at(s, 0)) {
        char hint[2] = {'0' + BEST_INDENT, '\0'};
        write_indicator(p, hint, false, false);
    }
    size_t last = last_rune(s, s.n);
    if (!break_at(s, last)) {
        write_indicator(p, "-", false, false);
    } else if (last == 0 || break_at(s, last_rune(s, last))) {
        write_indicator(p, "+", false, false);
    }
    put_break(p);
    p->indention = true;
    p->whitespace = true;
    bool breaks = true;
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        uint32_t c = yaml_next_rune(s, i, &len);
        if (is_break(c)) {
            write_bytes(p, s.p + i, len);
            p->column = 0;
            p->indention = true;
            breaks = true;
        } else {
            if (breaks) {
                write_indent(p);
            }
            write_bytes(p, s.p + i, len);
            p->indention = false;
            breaks = false;
        }
    }
}

enum style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_LITERAL };

static enum style choose_style(struct str s, const struct analysis *a, bool simple_key) {
    bool lines = s.n > 0 && memchr(s.p, '\n', s.n);
    enum style style = STYLE_DOUBLE;
    if (lines) {
        style = STYLE_LITERAL;
    } else if (yaml_resolve(s, YAML_KUBERNETES).tag == YAML_TAG_STR && !yaml_is_base60(s)) {
        style = STYLE_PLAIN;
    }
    if (simple_key && a->multiline) {
        style = STYLE_DOUBLE;
    }
    if (style == STYLE_PLAIN && !a->plain_allowed) {
        style = STYLE_SINGLE;
    }
    if (style == STYLE_SINGLE && !a->single_allowed) {
        style = STYLE_DOUBLE;
    }
    if (style == STYLE_LITERAL && (!a->block_allowed || simple_key)) {
        style = STYLE_DOUBLE;
    }
    return style;
}

static void print_simple(struct printer *p, struct str s) {
    bool plain = yaml_resolve(s, YAML_KUBERNETES).tag == YAML_TAG_STR && !yaml_is_base60(s);
    if (!p->whitespace) {
        put(p, ' ');
    }
    if (!plain) {
        put(p, '"');
    }
    p->ok = buf_add_str(p->out, s) && p->ok;
    p->column += (int)(s.n < INT32_MAX / 2 ? s.n : INT32_MAX / 2);
    if (!plain) {
        put(p, '"');
    }
    p->whitespace = false;
    p->indention = false;
}

static void print_text(struct printer *p, struct str s, const struct analysis *a, bool simple_key) {
    int saved = p->indent;
    p->indent = p->indent < 0 ? BEST_INDENT : p->indent + BEST_INDENT;
    switch (choose_style(s, a, simple_key)) {
    case STYLE_PLAIN:
        write_flowing(p, s, !simple_key, false);
        break;
    case STYLE_SINGLE:
        write_flowing(p, s, !simple_key, true);
        break;
    case STYLE_DOUBLE:
        write_double_quoted(p, s, !simple_key);
        break;
    case STYLE_LITERAL:
        write_literal(p, s);
        break;
    }
    p->indent = saved;
}

static void print_word(struct printer *p, const char *word) {
    if (!p->whitespace) {
        put(p, ' ');
    }
    size_t n = strlen(word);
    p->ok = buf_add(p->out, word, n) && p->ok;
    p->column += (int)n;
    p->whitespace = false;
    p->indention = false;
}

// A number that is no int64 went through a float64 in Go, and whole ones come back as integers.
static void print_number(struct printer *p, const struct doc_value *v) {
    char text[YAML_NUMBER_MAX];
    struct str source = str_make(v->u.text, v->len);
    uint64_t natural;
    if (source.n < sizeof text - 1 && str_to_uint64(source, &natural)) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)natural);
        print_word(p, text);
        return;
    }
    double d = doc_double(v, 0);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value json = d == 0 ? doc_make_int(0) : doc_make_double(arena, d);
    struct str digits = doc_number_text(&json, arena);
    if (doc_is(&json, DOC_INT) || (digits.n < sizeof text && str_to_uint64(digits, &natural))) {
        print_word(p, arena_cstr(arena, digits));
        return;
    }
    yaml_format_g(d, 64, text);
    print_word(p, text);
}

// ---- The order of keys ----

static bool is_letter(uint32_t c) {
    uint32_t lower = c | 0x20;
    if (c < 0x80) {
        return lower >= 'a' && lower <= 'z';
    }
    // Not a table of Unicode: Latin and what follows are letters but for the signs between them and the punctuation and
    // symbol blocks.
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x2BFF) &&
           !(c >= 0x3000 && c <= 0x3004) && !(c >= 0xD800 && c <= 0xF8FF) && c != 0xFFFD &&
           c != 0xFEFF && !(c >= 0x1F000 && c <= 0x1FAFF);
}

static bool is_rune_digit(uint32_t c) {
    return c >= '0' && c <= '9';
}

// The number that starts at `at`, and where it ends. Wraps as Go's int64 does: only order and equality matter.
static uint64_t number_at(struct str s, size_t at, uint64_t value, size_t *end) {
    while (at < s.n && is_rune_digit((unsigned char)s.p[at])) {
        value = value * 10 + (uint64_t)(s.p[at++] - '0');
    }
    *end = at;
    return value;
}

static bool nonzero_digits_before(struct str s, size_t at) {
    while (at-- > 0 && is_rune_digit((unsigned char)s.p[at])) {
        if (s.p[at] != '0') {
            return true;
        }
    }
    return false;
}

// Natural order: "a9" before "a10", other signs before letters.
static bool key_less(struct str a, struct str b) {
    size_t i = 0;
    while (i < a.n && i < b.n && a.p[i] == b.p[i]) {
        i++;
    }
    // Back to the start of the character in which they differ.
    while (i > 0 && ((i < a.n && ((unsigned char)a.p[i] & 0xC0) == 0x80) ||
                     (i < b.n && ((unsigned char)b.p[i] & 0xC0) == 0x80))) {
        i--;
    }
    if (i >= a.n || i >= b.n) {
        return a.n < b.n;
    }
    size_t len;
    uint32_t left = yaml_next_rune(a, i, &len);
    uint32_t right = yaml_next_rune(b, i, &len);
    bool left_letter = is_letter(left);
    bool right_letter = is_letter(right);
    if (left_letter && right_letter) {
        return left < right;
    }
    if (left_letter || right_letter) {
        return right_letter;
    }
    uint64_t start = (left == '0' || right == '0') && nonzero_digits_before(a, i) ? 1 : 0;
    size_t left_end, right_end;
    int64_t left_number = (int64_t)number_at(a, i, start, &left_end);
    int64_t right_number = (int64_t)number_at(b, i, start, &right_end);
    if (left_number != right_number) {
        return left_number < right_number;
    }
    return left_end != right_end ? left_end < right_end : left < right;
}

static bool bytes_less(struct str a, struct str b) {
    return str_cmp(a, b) < 0;
}

// A merge sort: stable and without recursion on hostile input. `order` is sorted with the help of `spare`.
static void sort_by(const struct doc_value *object, bool (*less)(struct str a, struct str b),
                    uint32_t *order, uint32_t *spare) {
    uint32_t n = object->len;
    bool sorted = true;
    for (uint32_t i = 1; i < n && sorted; i++) {
        sorted = !less(doc_key_at(object, order[i]), doc_key_at(object, order[i - 1]));
    }
    if (sorted) {
        return;
    }
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t start = 0; start < n; start += 2 * width) {
            uint32_t middle = start + width < n ? start + width : n;
            uint32_t end = start + 2 * width < n ? start + 2 * width : n;
            uint32_t left = start, right = middle;
            for (uint32_t k = start; k < end; k++) {
                bool take_right =
                    left >= middle || (right < end && less(doc_key_at(object, order[right]),
                                                           doc_key_at(object, order[left])));
                spare[k] = take_right ? order[right++] : order[left++];
            }
        }
        memcpy(order, spare, n * sizeof *order);
    }
}

// The natural order has cycles ("0100" < "0aa1" < "9-" < "0100"), so sorting by bytes first makes the outcome depend on
// the keys alone.
static void sort_keys(const struct doc_value *object, uint32_t *order, uint32_t *spare) {
    sort_by(object, bytes_less, order, spare);
    sort_by(object, key_less, order, spare);
}

// ---- Nodes ----

static void print_node(struct printer *p, const struct doc_value *v, bool mapping_value,
                       unsigned depth);

static void print_key(struct printer *p, struct str key, bool *simple) {
    if (is_simple(key) && key.n <= LONGEST_SIMPLE_KEY) {
        *simple = true;
        print_simple(p, key);
        return;
    }
    struct analysis a = analyze(key);
    *simple = !a.multiline && key.n <= LONGEST_SIMPLE_KEY;
    if (!*simple) {
        write_indicator(p, "?", true, true);
    }
    print_text(p, key, &a, *simple);
}

static void print_object(struct printer *p, const struct doc_value *v, unsigned depth) {
    int saved = p->indent;
    p->indent = p->indent < 0 ? 0 : p->indent + BEST_INDENT;
    uint32_t few[64];
    uint32_t *order = v->len <= 32 ? few : xreallocarray(NULL, v->len, 2 * sizeof *order);
    for (uint32_t i = 0; i < v->len; i++) {
        order[i] = i;
    }
    sort_keys(v, order, order + v->len);
    for (uint32_t i = 0; i < v->len && p->ok; i++) {
        bool simple;
        write_indent(p);
        print_key(p, doc_key_at(v, order[i]), &simple);
        if (!simple) {
            write_indent(p);
        }
        write_indicator(p, ":", !simple, !simple);
        print_node(p, doc_value_at(v, order[i]), true, depth + 1);
    }
    if (order != few) {
        free(order);
    }
    p->indent = saved;
}

static void print_array(struct printer *p, const struct doc_value *v, bool mapping_value,
                        unsigned depth) {
    int saved = p->indent;
    if (p->indent < 0) {
        p->indent = 0;
    } else if (!mapping_value || p->indention) {
        p->indent += BEST_INDENT;
    }
    for (uint32_t i = 0; i < v->len && p->ok; i++) {
        write_indent(p);
        write_indicator(p, "-", true, true);
        print_node(p, doc_at(v, i), false, depth + 1);
    }
    p->indent = saved;
}

static void print_node(struct printer *p, const struct doc_value *v, bool mapping_value,
                       unsigned depth) {
    if (depth > 4 * LIMIT_JSON_DEPTH) {
        p->ok = false;
        return;
    }
    char number[YAML_NUMBER_MAX];
    switch (doc_kind(v)) {
    case DOC_NULL:
        print_word(p, "null");
        break;
    case DOC_BOOL:
        print_word(p, doc_bool(v, false) ? "true" : "false");
        break;
    case DOC_INT:
        snprintf(number, sizeof number, "%lld", (long long)v->u.integer);
        print_word(p, number);
        break;
    case DOC_NUMBER:
        print_number(p, v);
        break;
    case DOC_STRING: {
        if (is_simple(doc_str(v))) {
            print_simple(p, doc_str(v));
            break;
        }
        struct analysis a = analyze(doc_str(v));
        print_text(p, doc_str(v), &a, false);
        break;
    }
    case DOC_ARRAY:
    case DOC_OBJECT:
        if (v->len == 0) {
            print_word(p, v->kind == DOC_ARRAY ? "[]" : "{}");
        } else if (v->kind == DOC_ARRAY) {
            print_array(p, v, mapping_value, depth);
        } else {
            print_object(p, v, depth);
        }
        break;
    }
}

bool yaml_print(const struct doc_value *v, struct buf *out) {
    struct printer p = {
        .out = out, .indent = -1, .whitespace = true, .indention = true, .ok = true};
    print_node(&p, v, false, 0);
    write_indent(&p);
    return p.ok;
}
