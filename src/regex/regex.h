// SPDX-License-Identifier: Apache-2.0
// RE2 behind C functions: the syntax of Go's regexp package, time linear in the text, bounded memory. Patterns may come from
// anybody who may write an object.
#ifndef SKIFF_REGEX_REGEX_H
#define SKIFF_REGEX_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex;
enum {
    REGEX_MEMORY = 8 << 20, // of one compiled pattern
    REGEX_GROUPS = 64,      // sub-matches that regex_find reports at most
};

// A part of a text; `start` is REGEX_NONE for a group that did not take part.
#define REGEX_NONE ((size_t)-1)
struct regex_span {
    size_t start, end;
};

// NULL when the pattern is wrong or too large; then `problem` says why in the words of Go's regexp/syntax
// ("missing closing ]: `[a`"), cut to its size.
struct regex *regex_create(const char *pattern, size_t len, char *problem, size_t problem_size);
void regex_destroy(struct regex *regex); // NULL is fine
// Anywhere in the text, as Go's MatchString.
bool regex_matches(const struct regex *regex, const char *text, size_t len);
size_t regex_group_count(const struct regex *regex); // without the whole match
// The leftmost match at or after `from` (which ^ and \b see in its place within the text). spans[0] is the whole, then
// the groups; `count` at most REGEX_GROUPS. False when there is none; then the spans are untouched.
bool regex_find(const struct regex *regex, const char *text, size_t len, size_t from,
                struct regex_span *spans, size_t count);
// The number of a named group, 0 when there is none.
size_t regex_group_find(const struct regex *regex, const char *name, size_t len);
// All matches replaced as Go's ReplaceAllString does ($1, ${name}, $$), or literally. A malloc'ed text for the caller to free;
// NULL when it would pass `max` bytes.
char *regex_replace(const struct regex *regex, const char *text, size_t len,
                    const char *replacement, size_t replacement_len, bool literal, size_t max,
                    size_t *out_len);
// The next match of a walk over all of them as Go's FindAll does it: no empty match right behind the match before.
// Start with *at = 0 and *last = REGEX_NONE.
bool regex_next(const struct regex *regex, const char *text, size_t len, size_t *at, size_t *last,
                struct regex_span *spans, size_t count);

#ifdef __cplusplus
}
#endif

#endif
