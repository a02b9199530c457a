// SPDX-License-Identifier: Apache-2.0
// Functions over text. Positions count characters, not bytes.
#include "base/text.h"
#include "cel/cel_internal.h"

#define FUNCTION(name) \
    static struct cel_value name(struct cel_eval *e, struct cel_value *args, size_t count)

static struct cel_value out_of_range(struct cel_eval *e, int64_t index) {
    return cel_error(e->arena, "index out of range: %lld", (long long)index);
}

// ---- Standard ----

FUNCTION(contains) {
    return cel_bool(str_has(args[0].u.text, args[1].u.text));
}

FUNCTION(ends_with) {
    return cel_bool(str_ends(args[0].u.text, args[1].u.text));
}

FUNCTION(starts_with) {
    return cel_bool(str_starts(args[0].u.text, args[1].u.text));
}

// The pattern of a call: compiled with the program when it is a constant, else now and to be destroyed.
static const struct regex *pattern_of(struct cel_eval *e, struct str pattern, struct regex **own,
                                      struct cel_value *error) {
    *own = NULL;
    if (e->node && e->node->regex) {
        return e->node->regex;
    }
    char problem[256];
    *own = regex_create(pattern.p, pattern.n, problem, sizeof problem);
    if (!*own) {
        *error = cel_error(e->arena, "error parsing regexp: %s", problem);
    }
    return *own;
}

FUNCTION(matches) {
    struct regex *own;
    struct cel_value error;
    const struct regex *regex = pattern_of(e, args[1].u.text, &own, &error);
    if (!regex) {
        return error;
    }
    bool matched = regex_matches(regex, args[0].u.text.p, args[0].u.text.n);
    regex_destroy(own);
    return cel_bool(matched);
}

FUNCTION(find) {
    struct regex *own;
    struct cel_value out;
    struct str text = args[0].u.text;
    const struct regex *regex = pattern_of(e, args[1].u.text, &own, &out);
    if (!regex) {
        return cel_error(e->arena, "Illegal regex: %.*s", STR_ARG(out.u.text));
    }
    struct regex_span span;
    out = cel_text(STR(""));
    if (regex_find(regex, text.p, text.n, 0, &span, 1)) {
        out = cel_text(str_make((text.p ? text.p : "") + span.start, span.end - span.start));
    }
    regex_destroy(own);
    return out;
}

FUNCTION(find_all) {
    struct regex *own;
    struct cel_value out;
    struct str text = args[0].u.text;
    int64_t most = count > 2 ? args[2].u.integer : -1;
    const struct regex *regex = pattern_of(e, args[1].u.text, &own, &out);
    if (!regex) {
        return cel_error(e->arena, "Illegal regex: %.*s", STR_ARG(out.u.text));
    }
    struct regex_span span;
    size_t at = 0, last = REGEX_NONE;
    out = cel_list_make(e->arena, 0);
    while (most-- != 0 && cel_spend(e, 0) &&
           regex_next(regex, text.p, text.n, &at, &last, &span, 1)) {
        struct str part = str_make((text.p ? text.p : "") + span.start, span.end - span.start);
        cel_list_add(e->arena, out.u.list, cel_text(part));
    }
    regex_destroy(own);
    return out;
}

// ---- Positions ----

FUNCTION(char_at) {
    struct str text = args[0].u.text;
    int64_t index = args[1].u.integer;
    if (index < 0 || index > cel_runes(text)) {
        return out_of_range(e, index);
    }
    size_t start = cel_rune_offset(text, index), end = cel_rune_offset(text, index + 1);
    return cel_text(str_make(text.p ? text.p + start : "", end - start));
}

FUNCTION(index_of) {
    struct str text = args[0].u.text, part = args[1].u.text;
    int64_t from = count > 2 ? args[2].u.integer : 0;
    if (part.n == 0) {
        return cel_int(from);
    }
    if (from < 0) {
        return out_of_range(e, from);
    }
    size_t start = cel_rune_offset(text, from);
    size_t found = str_find(str_skip(text, start), part);
    return cel_int(found == STR_NPOS ? -1 : from + cel_runes(str_make(text.p + start, found)));
}

FUNCTION(last_index_of) {
    struct str text = args[0].u.text, part = args[1].u.text;
    int64_t length = cel_runes(text), from = count > 2 ? args[2].u.integer : length - 1;
    if (part.n == 0) {
        return cel_int(count > 2 ? from : length);
    }
    if (length == 0 || length < cel_runes(part)) {
        return count > 2 && from < 0 ? out_of_range(e, from) : cel_int(-1);
    }
    if (from < 0) {
        return out_of_range(e, from);
    }
    if (from >= length) {
        return cel_int(-1);
    }
    from = from > length - cel_runes(part) ? length - cel_runes(part) : from;
    for (int64_t i = from; i >= 0 && cel_spend(e, 0); i--) {
        if (str_starts(str_skip(text, cel_rune_offset(text, i)), part)) {
            return cel_int(i);
        }
    }
    return cel_int(-1);
}

FUNCTION(substring) {
    struct str text = args[0].u.text;
    int64_t length = cel_runes(text), start = args[1].u.integer;
    int64_t end = count > 2 ? args[2].u.integer : length;
    if (count > 2 && start > end) {
        return cel_error(e->arena, "invalid substring range. start: %lld, end: %lld",
                         (long long)start, (long long)end);
    }
    if (start < 0 || start > length) {
        return out_of_range(e, start);
    }
    if (end < 0 || end > length) {
        return out_of_range(e, end);
    }
    size_t first = cel_rune_offset(text, start), last = cel_rune_offset(text, end);
    return cel_text(str_make(text.p ? text.p + first : "", last - first));
}

// ---- Changes ----

static struct cel_value map_ascii(struct cel_eval *e, struct str text, char low, char high) {
    char *copy = arena_cstr(e->arena, text);
    for (size_t i = 0; i < text.n; i++) {
        if (copy[i] >= low && copy[i] <= high) {
            copy[i] = (char)(copy[i] ^ 0x20);
        }
    }
    return cel_text(str_make(copy, text.n));
}

FUNCTION(lower_ascii) {
    return map_ascii(e, args[0].u.text, 'A', 'Z');
}

FUNCTION(upper_ascii) {
    return map_ascii(e, args[0].u.text, 'a', 'z');
}

static size_t
space_at(struct str text) { // the length of a white space character, 0 when it is none
    static const char *const WIDE[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
                                       "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
                                       "\xe2\x81\x9f", "\xe3\x80\x80"};
    if (text.n == 0) {
        return 0;
    }
    if (text.p[0] == ' ' || (text.p[0] >= '\t' && text.p[0] <= '\r')) {
        return 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(WIDE); i++) {
        if (str_starts(text, str_from(WIDE[i]))) {
            return strlen(WIDE[i]);
        }
    }
    bool quad = text.n >= 3 && memcmp(text.p, "\xe2\x80", 2) == 0;
    return quad && (unsigned char)text.p[2] >= 0x80 && (unsigned char)text.p[2] <= 0x8a ? 3 : 0;
}

FUNCTION(trim) {
    struct str text = args[0].u.text;
    while (space_at(text)) {
        text = str_skip(text, space_at(text));
    }
    for (;;) {
        size_t n = 1;
        while (n < text.n && n < 4 && ((unsigned char)text.p[text.n - n] & 0xC0) == 0x80) {
            n++;
        }
        if (text.n == 0 || space_at(str_skip(text, text.n - n)) != n) {
            return cel_text(text);
        }
        text.n -= n;
    }
}

static size_t rune_length(struct str text) {
    size_t n = text.n ? 1 : 0;
    while (n < text.n && ((unsigned char)text.p[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

FUNCTION(replace) {
    struct str text = args[0].u.text, from = args[1].u.text, to = args[2].u.text;
    int64_t most = count > 3 ? args[3].u.integer : -1;
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, CEL_MEMORY_CALL);
    bool first = true;
    while (most != 0) {
        size_t at = from.n ? str_find(text, from) : first ? 0 : rune_length(text);
        if (at == STR_NPOS || (from.n == 0 && !first && text.n == 0)) {
            break;
        }
        buf_add_str(&buf, str_first(text, at));
        buf_add_str(&buf, to);
        text = str_skip(text, at + from.n);
        first = false;
        most--;
    }
    buf_add_str(&buf, text);
    return buf.overflow ? cel_error(e->arena, "the text is too long (CEL_MEMORY_CALL)")
                        : cel_text(arena_dup(e->arena, buf_str(&buf)));
}

FUNCTION(split) {
    struct str text = args[0].u.text, sep = args[1].u.text;
    int64_t most = count > 2 ? args[2].u.integer : -1;
    struct cel_value out = cel_list_make(e->arena, 0);
    if (most == 0 || (sep.n == 0 && text.n == 0)) {
        return out;
    }
    while (most != 1 && cel_spend(e, 0)) {
        size_t at = sep.n ? str_find(text, sep) : rune_length(text);
        if (at == STR_NPOS || (sep.n == 0 && at >= text.n)) {
            break;
        }
        cel_list_add(e->arena, out.u.list, cel_text(str_first(text, at)));
        text = str_skip(text, at + sep.n);
        most--;
    }
    cel_list_add(e->arena, out.u.list, cel_text(text));
    return out;
}

FUNCTION(join) {
    struct str sep = count > 1 ? args[1].u.text : STR("");
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, CEL_MEMORY_CALL);
    for (size_t i = 0; i < cel_list_len(&args[0]); i++) {
        struct cel_value item = cel_list_at(e, &args[0], i);
        if (item.kind != CEL_STRING) {
            return item.kind == CEL_ERROR ? item : cel_no_overload(e);
        }
        buf_add_str(&buf, i ? sep : STR(""));
        buf_add_str(&buf, item.u.text);
    }
    return buf.overflow ? cel_error(e->arena, "the text is too long (CEL_MEMORY_CALL)")
                        : cel_text(arena_dup(e->arena, buf_str(&buf)));
}

FUNCTION(quote) {
    static const char NAMES[] = "abtnvfr";
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, CEL_MEMORY_CALL);
    buf_add_char(&buf, '"');
    struct str text = args[0].u.text;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c >= 7 && c <= 13) {
            buf_add_char(&buf, '\\');
            buf_add_char(&buf, NAMES[c - 7]);
        } else if (c == '"' || c == '\\') {
            buf_add_char(&buf, '\\');
            buf_add_char(&buf, c);
        } else {
            buf_add_char(&buf, c);
        }
    }
    buf_add_char(&buf, '"');
    return cel_text(arena_dup(e->arena, buf_str(&buf)));
}

FUNCTION(format) {
    struct cel_value error = {0};
    struct str text = cel_format_string(e, args[0].u.text, &args[1], &error);
    return error.kind == CEL_ERROR && error.u.text.n ? error : cel_text(text);
}

static const struct cel_function TEXT[] = {
    {"contains", "ss>b", true, COST_CONTAINS, contains},
    {"endsWith", "ss>b", true, COST_TEXT, ends_with},
    {"startsWith", "ss>b", true, COST_TEXT, starts_with},
    {"matches", "ss>b", false, COST_ONE, matches},
    {"matches", "ss>b", true, COST_REGEX, matches},
    {"find", "ss>s", true, COST_REGEX, find},
    {"findAll", "ss>Ls", true, COST_REGEX, find_all},
    {"findAll", "ssi>Ls", true, COST_REGEX, find_all},
    {"charAt", "si>s", true, COST_ONE, char_at},
    {"indexOf", "ss>i", true, COST_TRAVERSE, index_of},
    {"indexOf", "ssi>i", true, COST_TRAVERSE, index_of},
    {"lastIndexOf", "ss>i", true, COST_TRAVERSE, last_index_of},
    {"lastIndexOf", "ssi>i", true, COST_TRAVERSE, last_index_of},
    {"lowerAscii", "s>s", true, COST_TEXT, lower_ascii},
    {"upperAscii", "s>s", true, COST_TEXT, upper_ascii},
    {"replace", "sss>s", true, COST_TEXT_TWICE, replace},
    {"replace", "sssi>s", true, COST_TEXT_TWICE, replace},
    {"split", "ss>Ls", true, COST_TEXT_TWICE, split},
    {"split", "ssi>Ls", true, COST_TEXT_TWICE, split},
    {"substring", "si>s", true, COST_TEXT, substring},
    {"substring", "sii>s", true, COST_TEXT, substring},
    {"trim", "s>s", true, COST_TEXT, trim},
    {"format", "sL*>s", true, COST_TEXT, format},
    {"join", "Ls>s", true, COST_RESULT_TWICE, join},
    {"join", "Lss>s", true, COST_RESULT_TWICE, join},
    {"strings.quote", "s>s", false, COST_TEXT, quote},
};
const struct cel_functions cel_functions_text = {TEXT, ARRAY_LEN(TEXT)};
