// SPDX-License-Identifier: Apache-2.0
// Private to schema/: RE2 behind C functions. Patterns come from CRDs, texts from anybody who may create objects: matching
// takes time linear in the text, and memory is bounded.
#ifndef SKIFF_SCHEMA_REGEX_H
#define SKIFF_SCHEMA_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct schema_regex;
// NULL when the pattern is wrong or too large; then `problem` says why.
struct schema_regex *schema_regex_create(const char *pattern, size_t len, char *problem,
                                         size_t problem_size);
void schema_regex_destroy(struct schema_regex *regex); // NULL is fine
bool schema_regex_matches(const struct schema_regex *regex, const char *text,
                          size_t len); // anywhere in the text, as Go's MatchString

#ifdef __cplusplus
}
#endif

#endif
