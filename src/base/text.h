// SPDX-License-Identifier: Apache-2.0
// Small dialects that many modules need: base64, globs, semantic versions, quantities.
#ifndef SKIFF_BASE_TEXT_H
#define SKIFF_BASE_TEXT_H

#include "base/arena.h"
#include "base/err.h"

bool utf8_is_valid(struct str s); // strict: no surrogates, no overlong forms, at most U+10FFFF
// The length of the valid sequence (one character) that `s` begins with, 1 to 4; 0 when there is none.
size_t utf8_sequence(struct str s);
// Writes a character and returns its length, 1 to 4. Surrogates and numbers past U+10FFFF become U+FFFD.
size_t utf8_encode(uint32_t rune, char *out);

struct str base64_encode(struct arena *arena, struct str data); // standard alphabet, padded
// Standard alphabet with padding, line breaks ignored, as Go's StdEncoding.
bool base64_decode(struct str text, struct arena *arena, struct str *out);
struct str hex_encode(struct arena *arena, struct str data);
bool hex_decode(struct str text, struct arena *arena, struct str *out);

// gobwas/glob as Argo CD uses it: *, **, ?, [a-z], [!a], {a,b}, backslash. With a separator, * and ? do not cross it.
// Linear in text and pattern sizes for bounded patterns; a malformed pattern matches nothing and sets err.
bool glob_match(struct str pattern, struct str text, char separator /* 0: none */, struct err *err);
bool glob_check(struct str pattern, struct err *err) MUST_USE;

// Semantic versions in the dialect of Masterminds/semver v3 (a "v" prefix and missing parts are fine).
struct semver {
    uint64_t major, minor, patch;
    struct str pre, meta;
    struct str original;
};
bool semver_parse(struct str text, struct semver *out);
int semver_compare(const struct semver *a, const struct semver *b);
bool semver_is_constraint(struct str text); // a range rather than a branch or tag name
bool semver_satisfies(struct str constraint, const struct semver *version, struct err *err);

// Kubernetes quantities ("1500m", "2Gi", "1e3"): equality by value, canonical text as resource.Quantity prints it.
bool quantity_canonical(struct str text, struct arena *arena, struct str *out);
bool quantity_compare(struct str a, struct str b, int *order);

// RFC 1123 names as Kubernetes checks them.
bool name_is_dns_label(struct str s);
bool name_is_dns_subdomain(struct str s);
bool name_is_label_key(struct str s);
bool name_is_label_value(struct str s);

#endif
