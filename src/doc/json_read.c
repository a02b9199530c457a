// SPDX-License-Identifier: Apache-2.0
// The JSON reader: every reply of an API server, every watch event and every request body passes here, so it is one pass
// over the bytes without recursion. Children are collected on a scratch stack and copied once into the arena when their
// container closes; keys are interned; strings without escapes point into the text.
//
// A container that is open stands on the scratch stack itself: its `len` is the place of the container around it until
// it closes and becomes a value.
#include <stdio.h>

#include "base/limits.h"
#include "base/text.h"
#include "doc/doc_internal.h"
#include "doc/json_escape.h"

enum { STACK_INLINE = 96 };
#define NO_CONTAINER UINT32_MAX

struct reader {
    const char *p, *end, *start;
    struct doc_member *stack; // `first` or heap
    uint32_t top, cap;
    uint32_t open; // the innermost open container on the stack
    uint32_t depth;
    bool duplicates; // some object has a key twice
    size_t nodes;
    const struct doc_key *key; // of the value that comes next; NULL in arrays
    struct arena *arena;
    struct err *err;
    struct buf scratch; // keys with escapes
    struct doc_keys keys;
    struct doc_member first[STACK_INLINE];
};

// ---- Errors ----

static bool fail_code(struct reader *r, enum err_code code, const char *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool fail_code(struct reader *r, enum err_code code, const char *at, const char *format,
                      ...) {
    uint32_t line = 1;
    uint32_t column = 1;
    for (const char *p = r->start; p < at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if (((uint8_t)*p & 0xc0) != 0x80) {
            column++;
        }
    }
    va_list args;
    va_start(args, format);
    err_vset(r->err, code, format, args);
    va_end(args);
    if (r->err) {
        r->err->line = line;
        r->err->column = column;
    }
    return false;
}
#define FAIL(r, at, ...) fail_code((r), ERR_INVALID, (at), __VA_ARGS__)

// How a message names the byte at `at`: the character where it can be shown.
static const char *shown(const struct reader *r, const char *at, char out[static 16]) {
    if (at >= r->end) {
        return "the end of the text";
    }
    uint8_t c = (uint8_t)*at;
    size_t n = utf8_sequence(str_make(at, (size_t)(r->end - at)));
    if (n == 0 || c < 0x20 || c == 0x7f) {
        snprintf(out, 16, "byte 0x%02x", c);
    } else {
        snprintf(out, 16, "'%.*s'", (int)n, at);
    }
    return out;
}

static bool fail_value(struct reader *r) {
    static const struct {
        const char *word, *advice;
    } known[] = {
        {"'", "strings and keys stand in double quotes"},
        {"True", "JSON writes true in lower case"},
        {"False", "JSON writes false in lower case"},
        {"None", "JSON writes null"},
        {"NaN", "JSON has no NaN; use null or a string"},
        {"Inf", "JSON has no infinity; use null or a string"},
        {"+", "numbers have no plus sign"},
        {".", "numbers start with a digit: 0.5"},
        {"/", "JSON has no comments; remove it"},
        {"#", "JSON has no comments; remove it"},
        {"\xef\xbb\xbf", "remove the byte order mark"},
        {",", "remove the comma or put a value before it"},
        {"]", "remove the comma before it, or put a value"},
        {"}", "put a value before it"},
    };
    const char *p = r->p;
    struct str rest = {p, (size_t)(r->end - p)};
    char text[16];
    if (rest.n == 0) {
        return r->nodes == 1 ? FAIL(r, p, "the text is empty; a JSON value is needed")
                             : FAIL(r, p, "the text ends where a value should be; is it cut off?");
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_starts(rest, str_from(known[i].word))) {
            return FAIL(r, p, "%s where a value should be; %s", shown(r, p, text), known[i].advice);
        }
    }
    return FAIL(r, p,
                "%s where a value should be; values are objects, arrays, strings in double quotes, "
                "numbers, true, false or null",
                shown(r, p, text));
}

static bool fail_after_value(struct reader *r) {
    char text[16];
    if (r->open == NO_CONTAINER) {
        return FAIL(r, r->p, "%s after the end of the value; only one value is allowed here",
                    shown(r, r->p, text));
    }
    bool object = r->stack[r->open].value.kind == DOC_OBJECT;
    if (r->p == r->end) {
        return FAIL(r, r->p, "the text ends inside an %s; is it cut off, or is a '%c' missing?",
                    object ? "object" : "array", object ? '}' : ']');
    }
    return FAIL(r, r->p, "%s after a value of an %s; ',' or '%c' is needed", shown(r, r->p, text),
                object ? "object" : "array", object ? '}' : ']');
}

// ---- Scratch stack ----

static void grow_stack(struct reader *r) {
    uint32_t cap = r->cap * 2;
    if (r->stack == r->first) {
        r->stack = xreallocarray(NULL, cap, sizeof *r->stack);
        memcpy(r->stack, r->first, sizeof r->first);
    } else {
        r->stack = xreallocarray(r->stack, cap, sizeof *r->stack);
    }
    r->cap = cap;
}

static void reader_init(struct reader *r, struct str text, struct arena *arena, struct err *err) {
    r->p = r->start = text.p;
    r->end = text.p + text.n;
    r->stack = r->first;
    r->top = 0;
    r->cap = STACK_INLINE;
    r->open = NO_CONTAINER;
    r->depth = 0;
    r->duplicates = false;
    r->nodes = 0;
    r->key = NULL;
    r->arena = arena;
    r->err = err;
    buf_init(&r->scratch, LIMIT_JSON_BYTES);
    doc_keys_init(&r->keys, arena);
}

static void reader_fini(struct reader *r) {
    if (r->stack != r->first) {
        free(r->stack);
    }
    buf_fini(&r->scratch);
    doc_keys_fini(&r->keys);
}

// ---- Tokens ----

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline void skip_space(struct reader *r) {
    const char *p = r->p;
    while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    r->p = p;
}

// From behind the opening quote to the closing one, which r->p is left behind. The text between is valid UTF-8 without
// control characters; escapes are only stepped over.
static bool scan_string(struct reader *r, struct str *raw, bool *escaped) {
    const char *begin = r->p;
    const char *p = begin;
    const char *end = r->end;
    *escaped = false;
    for (;;) {
        p = doc_skip_plain(p, end);
        if (p == end) {
            return FAIL(r, begin - 1, "this string does not end; a closing '\"' is missing");
        }
        if (*p == '"') {
            *raw = (struct str){begin, (size_t)(p - begin)};
            r->p = p + 1;
            return true;
        }
        if (*p == '\\') {
            *escaped = true;
            if (end - p < 2) {
                return FAIL(r, begin - 1, "this string does not end; a closing '\"' is missing");
            }
            p += 2;
        } else if ((uint8_t)*p < 0x20) {
            char text[16];
            return FAIL(r, p,
                        "%s in a string; control characters are written as escapes such as \\n",
                        shown(r, p, text));
        } else {
            size_t n = utf8_sequence(str_make(p, (size_t)(end - p)));
            if (n == 0) {
                return FAIL(r, p, "byte 0x%02x is not valid UTF-8; save the text as UTF-8",
                            (uint8_t)*p);
            }
            p += n;
        }
    }
}

// The digits after a point or an exponent's sign.
static const char *skip_digits(const char *p, const char *end) {
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p;
}

// The fraction and exponent of a number; r->p moves behind them.
static bool scan_fraction(struct reader *r) {
    const char *p = r->p;
    const char *end = r->end;
    if (p < end && *p == '.') {
        const char *digits = p + 1;
        p = skip_digits(digits, end);
        if (p == digits) {
            return FAIL(r, p, "a digit is needed after the decimal point");
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        const char *digits = p;
        p = skip_digits(digits, end);
        if (p == digits) {
            return FAIL(r, p, "a digit is needed in the exponent");
        }
    }
    r->p = p;
    return true;
}

static bool read_number(struct reader *r, struct doc_value *out) {
    const char *start = r->p;
    const char *end = r->end;
    bool negative = *start == '-';
    const char *digits = start + negative;
    if (digits == end || !is_digit(*digits)) {
        return FAIL(r, digits, "a digit is needed after the minus sign");
    }
    uint64_t magnitude = 0;
    const char *p = digits;
    for (; p < end && is_digit(*p); p++) {
        magnitude =
            magnitude * 10 + (uint64_t)(*p - '0'); // may wrap: used only when it cannot have
    }
    if (*digits == '0' && p - digits > 1) {
        return FAIL(r, start, "a number does not start with 0; remove the zeros in front");
    }
    r->p = p;
    bool plain = p == end || (*p != '.' && *p != 'e' && *p != 'E');
    if (plain && p - digits <= 18 && !(negative && magnitude == 0)) {
        *out = doc_make_int(negative ? -(int64_t)magnitude : (int64_t)magnitude);
        return true;
    }
    if (!plain && !scan_fraction(r)) {
        return false;
    }
    struct str text = {start, (size_t)(r->p - start)};
    int64_t exact;
    if (plain && magnitude != 0 && str_to_int64(text, &exact)) {
        *out = doc_make_int(exact);
    } else {
        *out = (struct doc_value){.kind = DOC_NUMBER, .len = (uint32_t)text.n, .u.text = text.p};
    }
    return true;
}

static bool fail_escape(struct reader *r, const char *at) {
    char text[16];
    if (at + 1 < r->end && at[1] == 'u') {
        return FAIL(r, at, "\\u needs four hexadecimal digits");
    }
    return FAIL(r, at + 1,
                "%s after a backslash; JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX",
                shown(r, at + 1, text));
}

static bool read_string(struct reader *r, struct doc_value *out) {
    struct str raw;
    bool escaped;
    r->p++;
    if (!scan_string(r, &raw, &escaped)) {
        return false;
    }
    if (escaped) {
        char *decoded = arena_alloc(r->arena, raw.n);
        const char *bad = NULL;
        size_t n = json_unescape(raw, decoded, &bad);
        if (bad) {
            return fail_escape(r, bad);
        }
        raw = (struct str){decoded, n};
    }
    *out = (struct doc_value){.kind = DOC_STRING, .len = (uint32_t)raw.n, .u.text = raw.p};
    return true;
}

// A key and its colon: sets r->key.
static bool read_key(struct reader *r) {
    skip_space(r);
    if (r->p == r->end || *r->p != '"') {
        char text[16];
        if (r->p < r->end && *r->p == '}') {
            return FAIL(r, r->p, "'}' after a comma; remove the comma or add a member");
        }
        return FAIL(r, r->p, "%s where a key should be; keys are strings in double quotes",
                    shown(r, r->p, text));
    }
    struct str raw;
    bool escaped;
    r->p++;
    if (!scan_string(r, &raw, &escaped)) {
        return false;
    }
    if (escaped) {
        buf_clear(&r->scratch);
        CHECK(buf_reserve(&r->scratch, raw.n)); // shorter than the text, which was checked
        const char *bad = NULL;
        raw.n = json_unescape(raw, r->scratch.data, &bad);
        if (bad) {
            return fail_escape(r, bad);
        }
        raw.p = r->scratch.data;
    }
    r->key = doc_keys_intern(&r->keys, raw, doc_key_hash(raw.p, raw.n));
    if (r->p < r->end && *r->p != ':') {
        skip_space(r);
    }
    if (r->p == r->end || *r->p != ':') {
        char text[16];
        return FAIL(r, r->p, "%s after the key \"%.*s\"; ':' is needed", shown(r, r->p, text),
                    (int)(raw.n > 60 ? 60 : raw.n), raw.p);
    }
    r->p++;
    return true;
}

static bool read_word(struct reader *r, struct doc_value *out) {
    static const struct {
        struct str word;
        struct doc_value value;
    } words[] = {
        {STR_INIT("true"), {.kind = DOC_BOOL, .u.boolean = true}},
        {STR_INIT("false"), {.kind = DOC_BOOL, .u.boolean = false}},
        {STR_INIT("null"), {.kind = DOC_NULL}},
    };
    struct str rest = {r->p, (size_t)(r->end - r->p)};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_starts(rest, words[i].word)) {
            *out = words[i].value;
            r->p += words[i].word.n;
            return true;
        }
    }
    return fail_value(r);
}

// ---- Containers ----

// The value on top of the stack becomes an open container.
static bool open_container(struct reader *r, enum doc_kind kind) {
    if (r->depth >= LIMIT_JSON_DEPTH) {
        return fail_code(r, ERR_LIMIT, r->p,
                         "nested deeper than %d levels (LIMIT_JSON_DEPTH); flatten the document",
                         LIMIT_JSON_DEPTH);
    }
    uint32_t at = r->top - 1;
    r->stack[at].value = (struct doc_value){.kind = (uint8_t)kind, .len = r->open};
    r->open = at;
    r->depth++;
    r->p++;
    return true;
}

static void close_array(struct reader *r) {
    struct doc_value *array = &r->stack[r->open].value;
    uint32_t outer = array->len;
    uint32_t count = r->top - r->open - 1;
    struct doc_value *items = NULL;
    if (count) {
        const struct doc_member *from = r->stack + r->open + 1;
        items = arena_alloc(r->arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = from[i].value;
        }
    }
    *array = (struct doc_value){.kind = DOC_ARRAY, .len = count, .u.items = items};
    r->top = r->open + 1;
    r->open = outer;
    r->depth--;
    r->p++;
}

static void close_object(struct reader *r) {
    struct doc_value *object = &r->stack[r->open].value;
    uint32_t outer = object->len;
    uint32_t count = r->top - r->open - 1;
    struct doc_member *members = NULL;
    struct doc_index *index = NULL;
    if (count) {
        struct doc_member *from = r->stack + r->open + 1;
        uint32_t written = count;
        count = doc_members_unique(r->arena, from, count, &index);
        r->duplicates |= count < written;
        size_t bytes = count * sizeof *members;
        members = arena_alloc(r->arena, bytes + (index ? sizeof index : 0));
        memcpy(members, from, bytes);
        if (index) {
            memcpy(members + count, &index, sizeof index);
        }
    }
    *object = (struct doc_value){
        .kind = DOC_OBJECT, .flags = index ? DOC_INDEXED : 0, .len = count, .u.members = members};
    r->top = r->open + 1;
    r->open = outer;
    r->depth--;
    r->p++;
}

// After a value: closes what ends here, and stops before the next value (*more) or at the end of the root.
static bool read_separators(struct reader *r, bool *more) {
    *more = false;
    while (r->open != NO_CONTAINER) {
        if (r->p < r->end && (uint8_t)*r->p <= ' ') {
            skip_space(r);
        }
        if (r->p == r->end) {
            return fail_after_value(r);
        }
        char c = *r->p;
        bool object = r->stack[r->open].value.kind == DOC_OBJECT;
        if (c == ',') {
            r->p++;
            *more = true;
            return !object || read_key(r);
        }
        if (object && c == '}') {
            close_object(r);
        } else if (!object && c == ']') {
            close_array(r);
        } else {
            return fail_after_value(r);
        }
    }
    return true;
}

// One value up to the first point where another can follow. *open: a container opened and its first value comes next.
static bool read_value(struct reader *r, bool *open) {
    if (r->p < r->end && (uint8_t)*r->p <= ' ') {
        skip_space(r);
    }
    if (r->top == r->cap) {
        grow_stack(r);
    }
    struct doc_member *slot = &r->stack[r->top++];
    slot->key = r->key;
    if (++r->nodes > LIMIT_JSON_NODES) {
        return fail_code(r, ERR_LIMIT, r->p, "more than %d values (LIMIT_JSON_NODES)",
                         LIMIT_JSON_NODES);
    }
    *open = false;
    switch (r->p < r->end ? *r->p : '\0') {
    case '"':
        return read_string(r, &slot->value);
    case '{':
        if (!open_container(r, DOC_OBJECT)) {
            return false;
        }
        skip_space(r);
        if (r->p < r->end && *r->p == '}') {
            close_object(r);
            return true;
        }
        *open = true;
        return read_key(r);
    case '[':
        if (!open_container(r, DOC_ARRAY)) {
            return false;
        }
        skip_space(r);
        if (r->p < r->end && *r->p == ']') {
            close_array(r);
            return true;
        }
        *open = true;
        return true;
    case '-':
    case '0' ... '9':
        return read_number(r, &slot->value);
    default:
        return read_word(r, &slot->value);
    }
}

static bool read_document(struct reader *r) {
    bool more = true;
    while (more) {
        bool open = false;
        if (!read_value(r, &open) || (!open && !read_separators(r, &more))) {
            return false;
        }
        if (r->open != NO_CONTAINER && r->stack[r->open].value.kind == DOC_ARRAY) {
            r->key = NULL;
        }
    }
    skip_space(r);
    return r->p == r->end || fail_after_value(r);
}

bool doc_parse_json(struct str text, struct arena *arena, struct doc_value *out, struct err *err) {
    bool duplicates;
    return doc_parse_json_noting(text, arena, out, &duplicates, err);
}

bool doc_parse_json_noting(struct str text, struct arena *arena, struct doc_value *out,
                           bool *duplicates, struct err *err) {
    *duplicates = false;
    if (text.n > LIMIT_JSON_BYTES) {
        return err_set(err, ERR_LIMIT, "the text has %zu bytes, more than %d (LIMIT_JSON_BYTES)",
                       text.n, LIMIT_JSON_BYTES);
    }
    text.p = text.p ? text.p : "";
    struct reader r;
    reader_init(&r, text, arena, err);
    bool ok = read_document(&r);
    if (ok) {
        *out = r.stack[0].value;
        *duplicates = r.duplicates;
    }
    reader_fini(&r);
    return ok;
}

bool doc_parse_json_copy(struct str text, struct arena *arena, struct doc_value *out,
                         struct err *err) {
    if (text.n > LIMIT_JSON_BYTES) {
        return doc_parse_json(text, arena, out, err); // the error, before anything is copied
    }
    return doc_parse_json(arena_dup(arena, text), arena, out, err);
}
