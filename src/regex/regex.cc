// SPDX-License-Identifier: Apache-2.0
// The one file that includes RE2.
#include "regex/regex.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <re2/re2.h>
#include <string>

static const size_t GROUPS = REGEX_GROUPS;

struct regex {
    RE2 re;
    regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options) {
    }
};

// Go's words for the reasons that RE2 gives.
static const char *reason_of(RE2::ErrorCode code) {
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

extern "C" struct regex *regex_create(const char *pattern, size_t len, char *problem,
                                      size_t problem_size) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MEMORY);
    auto *compiled =
        new (std::nothrow) regex(re2::StringPiece(pattern ? pattern : "", len), options);
    if (compiled && compiled->re.ok()) {
        return compiled;
    }
    if (!compiled) {
        snprintf(problem, problem_size, "out of memory");
        return nullptr;
    }
    RE2::ErrorCode code = compiled->re.error_code();
    // Go names the whole pattern where a parenthesis is missing, and no part of one that ends in a backslash.
    bool whole = code == RE2::ErrorMissingParen || code == RE2::ErrorUnexpectedParen;
    std::string part = whole ? std::string(pattern ? pattern : "", len) : compiled->re.error_arg();
    if (code == RE2::ErrorTrailingBackslash) {
        part.clear();
    }
    snprintf(problem, problem_size, "%s: `%s`", reason_of(code), part.c_str());
    delete compiled;
    return nullptr;
}

extern "C" void regex_destroy(struct regex *compiled) {
    delete compiled;
}

extern "C" bool regex_matches(const struct regex *compiled, const char *text, size_t len) {
    return RE2::PartialMatch(re2::StringPiece(text ? text : "", len), compiled->re);
}

extern "C" size_t regex_group_count(const struct regex *compiled) {
    return (size_t)compiled->re.NumberOfCapturingGroups();
}

extern "C" bool regex_find(const struct regex *compiled, const char *text, size_t len, size_t from,
                           struct regex_span *spans, size_t count) {
    re2::StringPiece groups[REGEX_GROUPS];
    const char *base = text ? text : "";
    int wanted = (int)(count < GROUPS ? count : GROUPS);
    if (from > len || !compiled->re.Match(re2::StringPiece(base, len), from, len, RE2::UNANCHORED,
                                          groups, wanted)) {
        return false;
    }
    for (int i = 0; i < wanted; i++) {
        size_t start = groups[i].data() ? (size_t)(groups[i].data() - base) : REGEX_NONE;
        spans[i] = {start, start == REGEX_NONE ? REGEX_NONE : start + groups[i].size()};
    }
    for (size_t i = (size_t)wanted; i < count; i++) {
        spans[i] = {REGEX_NONE, REGEX_NONE};
    }
    return true;
}

extern "C" size_t regex_group_find(const struct regex *compiled, const char *name, size_t len) {
    const auto &names = compiled->re.NamedCapturingGroups();
    auto found = names.find(std::string(name ? name : "", len));
    return found == names.end() ? 0 : (size_t)found->second;
}

// The length of the character at `p`, for stepping over it after an empty match.
static size_t step(const char *p, size_t left) {
    size_t n = 1;
    while (n < left && n < 4 && ((unsigned char)p[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

extern "C" bool regex_next(const struct regex *compiled, const char *text, size_t len, size_t *at,
                           size_t *last, struct regex_span *spans, size_t count) {
    struct regex_span found[REGEX_GROUPS];
    size_t wanted = count < 1 ? 1 : count < GROUPS ? count : GROUPS;
    while (*at <= len && regex_find(compiled, text, len, *at, found, wanted)) {
        struct regex_span whole = found[0];
        bool skip = whole.start == whole.end && whole.start == *last;
        *at = whole.end > *at || whole.start != whole.end ? whole.end : *at;
        if (whole.start == whole.end) {
            *at = whole.end < len ? whole.end + step(text + whole.end, len - whole.end) : len + 1;
        }
        *last = whole.end;
        if (!skip) {
            for (size_t i = 0; i < count; i++) {
                spans[i] = i < wanted ? found[i] : (struct regex_span){REGEX_NONE, REGEX_NONE};
            }
            return true;
        }
    }
    return false;
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void add_group(const struct regex *compiled, const char *name, size_t n, const char *text,
                      const struct regex_span *spans, std::string &out) {
    size_t group = 0;
    bool number = n > 0 && n < 4;
    for (size_t i = 0; i < n; i++) {
        number = number && name[i] >= '0' && name[i] <= '9';
        group = group * 10 + (size_t)(name[i] - '0');
    }
    if (!number) {
        group = regex_group_find(compiled, name, n);
        if (group == 0) {
            return;
        }
    }
    if (group < REGEX_GROUPS && group <= regex_group_count(compiled) &&
        spans[group].start != REGEX_NONE) {
        out.append(text + spans[group].start, spans[group].end - spans[group].start);
    }
}

static void expand(const struct regex *compiled, const char *r, size_t n, const char *text,
                   const struct regex_span *spans, std::string &out) {
    for (size_t i = 0; i < n; i++) {
        if (r[i] != '$' || i + 1 >= n) {
            out.push_back(r[i]);
            continue;
        }
        if (r[i + 1] == '$') {
            out.push_back('$');
            i++;
            continue;
        }
        bool brace = r[i + 1] == '{';
        size_t start = i + 1 + (brace ? 1 : 0), end = start;
        while (end < n && is_name(r[end])) {
            end++;
        }
        if (end == start || (brace && (end >= n || r[end] != '}'))) {
            out.push_back('$'); // malformed: the dollar stays
            continue;
        }
        add_group(compiled, r + start, end - start, text, spans, out);
        i = brace ? end : end - 1;
    }
}

extern "C" char *regex_replace(const struct regex *compiled, const char *text, size_t len,
                               const char *replacement, size_t replacement_len, bool literal,
                               size_t max, size_t *out_len) {
    std::string out;
    struct regex_span spans[REGEX_GROUPS];
    size_t groups = regex_group_count(compiled) + 1, at = 0, last = REGEX_NONE, copied = 0;
    groups = groups < GROUPS ? groups : GROUPS;
    const char *base = text ? text : "", *with = replacement ? replacement : "";
    while (out.size() <= max && regex_next(compiled, base, len, &at, &last, spans, groups)) {
        out.append(base + copied, spans[0].start - copied);
        if (literal) {
            out.append(with, replacement_len);
        } else {
            expand(compiled, with, replacement_len, base, spans, out);
        }
        copied = spans[0].end;
    }
    out.append(base + copied, len - copied);
    if (out.size() > max) {
        return nullptr;
    }
    char *copy = (char *)malloc(out.size() + 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, out.data(), out.size());
    copy[out.size()] = '\0';
    *out_len = out.size();
    return copy;
}
