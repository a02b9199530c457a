// SPDX-License-Identifier: Apache-2.0
// Versions and constraints as github.com/Masterminds/semver v3 reads them: Helm charts, tags named by targetRevision,
// kubeVersion. Its surprises are kept: a group of conditions sees pre-releases only when one of them names one, "~0.0.0" takes
// everything, ">1" means the next major version.
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

enum { SEMVER_CONDITIONS_MAX = 128 };

enum semver_op { OP_EQUAL, OP_NOT, OP_GREATER, OP_LESS, OP_MIN, OP_MAX, OP_TILDE, OP_CARET };

struct condition {
    enum semver_op op;
    struct semver version;
    bool dirty, any, minor_dirty, patch_dirty; // a part was x, * or missing
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_identifier_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool is_number(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

// Identifiers separated by dots, as far as they go; 0 when there is none.
static size_t identifiers_len(struct str s) {
    size_t n = 0;
    size_t good = 0;
    while (n < s.n && is_identifier_char(s.p[n])) {
        while (n < s.n && is_identifier_char(s.p[n])) {
            n++;
        }
        good = n;
        if (n >= s.n || s.p[n] != '.') {
            break;
        }
        n++;
    }
    return good;
}

static bool pre_is_valid(struct str pre) {
    struct str part;
    for (struct str rest = pre; str_next(&rest, '.', &part);) {
        if (part.n > 1 && part.p[0] == '0' && is_number(part)) {
            return false; // a numeric identifier has no leading zero
        }
    }
    return true;
}

// "-pre" and "+meta" at *at.
static bool parse_suffixes(struct str s, size_t *at, struct semver *out) {
    if (*at < s.n && s.p[*at] == '-') {
        size_t n = identifiers_len(str_skip(s, *at + 1));
        if (n == 0) {
            return false;
        }
        out->pre = (struct str){s.p + *at + 1, n};
        *at += 1 + n;
    }
    if (*at < s.n && s.p[*at] == '+') {
        size_t n = identifiers_len(str_skip(s, *at + 1));
        if (n == 0) {
            return false;
        }
        out->meta = (struct str){s.p + *at + 1, n};
        *at += 1 + n;
    }
    return pre_is_valid(out->pre);
}

// A number of a version; with `wild`, also "x", "X" and "*", which set *is_wild.
static bool parse_part(struct str s, size_t *at, bool wild, uint64_t *out, bool *is_wild) {
    size_t start = *at;
    if (wild && start < s.n && strchr("xX*", s.p[start]) && s.p[start]) {
        *is_wild = true;
        (*at)++;
        return true;
    }
    while (*at < s.n && is_digit(s.p[*at])) {
        (*at)++;
    }
    return *at > start && str_to_uint64((struct str){s.p + start, *at - start}, out);
}

bool semver_parse(struct str text, struct semver *out) {
    struct semver version = {.original = text};
    size_t at = text.n > 0 && text.p[0] == 'v' ? 1 : 0;
    uint64_t *parts[] = {&version.major, &version.minor, &version.patch};
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            if (at >= text.n || text.p[at] != '.') {
                break;
            }
            at++;
        }
        if (!parse_part(text, &at, false, parts[i], NULL)) {
            return false;
        }
    }
    if (!parse_suffixes(text, &at, &version) || at != text.n) {
        return false;
    }
    *out = version;
    return true;
}

static int compare_uint(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_identifier(struct str a, struct str b) {
    bool a_number = is_number(a);
    bool b_number = is_number(b);
    if (a_number && b_number) {
        return a.n != b.n ? (a.n < b.n ? -1 : 1) : str_cmp(a, b); // no leading zeros
    }
    if (a_number != b_number) {
        return a_number ? -1 : 1;
    }
    int order = str_cmp(a, b);
    return order < 0 ? -1 : order > 0;
}

static int compare_pre(struct str a, struct str b) {
    if (a.n == 0 || b.n == 0) {
        return a.n == b.n ? 0 : a.n == 0 ? 1 : -1; // a release is above its pre-releases
    }
    for (;;) {
        struct str part_a;
        struct str part_b;
        bool more_a = str_next(&a, '.', &part_a);
        bool more_b = str_next(&b, '.', &part_b);
        if (!more_a || !more_b) {
            return more_a ? 1 : more_b ? -1 : 0;
        }
        int order = compare_identifier(part_a, part_b);
        if (order) {
            return order < 0 ? -1 : 1;
        }
    }
}

int semver_compare(const struct semver *a, const struct semver *b) {
    int order = compare_uint(a->major, b->major);
    order = order ? order : compare_uint(a->minor, b->minor);
    order = order ? order : compare_uint(a->patch, b->patch);
    return order ? order : compare_pre(a->pre, b->pre);
}

// ---- Constraints ----

static void skip_space(struct str s, size_t *at) {
    while (*at < s.n && is_space(s.p[*at])) {
        (*at)++;
    }
}

static enum semver_op parse_op(struct str s, size_t *at, bool *present) {
    static const struct {
        const char *text;
        enum semver_op op;
    } ops[] = {
        {"!=", OP_NOT}, {">=", OP_MIN},   {"=>", OP_MIN},  {"<=", OP_MAX},
        {"=<", OP_MAX}, {"~>", OP_TILDE}, {"=", OP_EQUAL}, {">", OP_GREATER},
        {"<", OP_LESS}, {"~", OP_TILDE},  {"^", OP_CARET},
    };
    struct str rest = str_skip(s, *at);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (str_starts(rest, str_from(ops[i].text))) {
            *at += strlen(ops[i].text);
            *present = true;
            return ops[i].op;
        }
    }
    *present = false;
    return OP_EQUAL;
}

// A version in which parts may be wild or missing.
static bool parse_operand(struct str s, size_t *at, struct condition *out) {
    size_t start = *at;
    if (*at < s.n && s.p[*at] == 'v') {
        (*at)++;
    }
    struct semver *version = &out->version;
    uint64_t *parts[] = {&version->major, &version->minor, &version->patch};
    bool wild[3] = {false, true, true};
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            if (*at >= s.n || s.p[*at] != '.') {
                break;
            }
            (*at)++;
            wild[i] = false;
        }
        if (!parse_part(s, at, true, parts[i], &wild[i])) {
            return false;
        }
    }
    if (!parse_suffixes(s, at, version)) {
        return false;
    }
    out->any = wild[0];
    out->minor_dirty = !wild[0] && wild[1];
    out->patch_dirty = !wild[0] && !wild[1] && wild[2];
    out->dirty = wild[0] || wild[1] || wild[2];
    if (wild[0]) {
        version->minor = version->patch = 0;
    } else if (wild[1]) {
        version->patch = 0;
    }
    version->original = (struct str){s.p + start, *at - start};
    return true;
}

// "1.2 - 2.3": white space on both sides of the hyphen.
static bool at_range(struct str s, size_t at, size_t *after) {
    size_t p = at;
    skip_space(s, &p);
    if (p == at || p >= s.n || s.p[p] != '-') {
        return false;
    }
    size_t hyphen = ++p;
    skip_space(s, &p);
    *after = p;
    return p > hyphen;
}

// Conditions that all must hold, separated by white space or a comma.
static bool parse_group(struct str s, struct condition *out, size_t *count) {
    size_t at = 0;
    *count = 0;
    for (;;) {
        skip_space(s, &at);
        if (*count + 2 > SEMVER_CONDITIONS_MAX) {
            return false;
        }
        struct condition *condition = &out[(*count)++];
        *condition = (struct condition){0};
        bool has_op;
        condition->op = parse_op(s, &at, &has_op);
        skip_space(s, &at);
        if (!parse_operand(s, &at, condition)) {
            return false;
        }
        size_t after;
        if (!has_op && at_range(s, at, &after)) {
            condition->op = OP_MIN;
            condition = &out[(*count)++];
            *condition = (struct condition){.op = OP_MAX};
            at = after;
            if (!parse_operand(s, &at, condition)) {
                return false;
            }
        }
        size_t end = at;
        skip_space(s, &at);
        if (at >= s.n) {
            return true;
        }
        if (s.p[at] == ',') {
            at++;
        } else if (at == end) {
            return false; // nothing between two conditions
        }
    }
}

static bool satisfies_not(const struct condition *c, const struct semver *v) {
    const struct semver *w = &c->version;
    if (c->dirty) {
        if (w->major != v->major) {
            return true;
        }
        if (c->minor_dirty) {
            return false;
        }
        if (w->minor != v->minor) {
            return true;
        }
        if (c->patch_dirty) {
            return (v->pre.n || w->pre.n) && compare_pre(v->pre, w->pre) != 0;
        }
    }
    return semver_compare(v, w) != 0;
}

static bool satisfies_greater(const struct condition *c, const struct semver *v) {
    const struct semver *w = &c->version;
    if (c->dirty && !c->any) {
        if (v->major != w->major) {
            return v->major > w->major;
        }
        return c->patch_dirty && v->minor > w->minor;
    }
    return semver_compare(v, w) > 0;
}

static bool satisfies_max(const struct condition *c, const struct semver *v) {
    const struct semver *w = &c->version;
    if (!c->dirty) {
        return semver_compare(v, w) <= 0;
    }
    return v->major < w->major ||
           (v->major == w->major && (v->minor <= w->minor || c->minor_dirty));
}

static bool satisfies_tilde(const struct condition *c, const struct semver *v) {
    const struct semver *w = &c->version;
    if (semver_compare(v, w) < 0) {
        return false;
    }
    if (!w->major && !w->minor && !w->patch && !c->minor_dirty && !c->patch_dirty) {
        return true;
    }
    return v->major == w->major && (v->minor == w->minor || c->minor_dirty);
}

static bool satisfies_caret(const struct condition *c, const struct semver *v) {
    const struct semver *w = &c->version;
    if (semver_compare(v, w) < 0) {
        return false;
    }
    if (c->any) {
        return true;
    }
    if (v->major != w->major) {
        return false;
    }
    if (w->major > 0 || c->minor_dirty) {
        return true;
    }
    if (v->minor != w->minor) {
        return false;
    }
    return w->minor > 0 || c->patch_dirty || v->patch == w->patch;
}

static bool satisfies(const struct condition *c, const struct semver *v, bool with_pre) {
    bool hidden = v->pre.n > 0 && c->version.pre.n == 0 && !with_pre;
    if (hidden && (c->op != OP_NOT || c->dirty)) {
        return false;
    }
    switch (c->op) {
    case OP_EQUAL:
        return c->dirty ? satisfies_tilde(c, v) : semver_compare(v, &c->version) == 0;
    case OP_NOT:
        return satisfies_not(c, v);
    case OP_GREATER:
        return satisfies_greater(c, v);
    case OP_LESS:
        return semver_compare(v, &c->version) < 0;
    case OP_MIN:
        return semver_compare(v, &c->version) >= 0;
    case OP_MAX:
        return satisfies_max(c, v);
    case OP_TILDE:
        return satisfies_tilde(c, v);
    case OP_CARET:
        return satisfies_caret(c, v);
    }
    return false;
}

static bool group_holds(const struct condition *conditions, size_t count, const struct semver *v) {
    bool with_pre = false;
    for (size_t i = 0; i < count; i++) {
        with_pre = with_pre || conditions[i].version.pre.n > 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!satisfies(&conditions[i], v, with_pre)) {
            return false;
        }
    }
    return true;
}

// Parses all of it, so that a bad part is an error even where an earlier one decides. `version` may be NULL.
static bool evaluate(struct str constraint, const struct semver *version, bool *holds,
                     struct err *err) {
    if (constraint.n > LIMIT_SEMVER_BYTES) {
        return err_set(err, ERR_LIMIT,
                       "version constraint is longer than %d bytes (LIMIT_SEMVER_BYTES)",
                       LIMIT_SEMVER_BYTES);
    }
    *holds = false;
    size_t groups = 0;
    for (struct str rest = constraint;;) {
        size_t bar = str_find(rest, STR("||"));
        struct str group = bar == STR_NPOS ? rest : str_first(rest, bar);
        struct condition conditions[SEMVER_CONDITIONS_MAX];
        size_t count;
        if (++groups > LIMIT_SEMVER_GROUPS) {
            return err_set(err, ERR_LIMIT, "version constraint has more than %d alternatives",
                           LIMIT_SEMVER_GROUPS);
        }
        if (!parse_group(group, conditions, &count)) {
            return err_set(err, ERR_INVALID,
                           "improper constraint: %.*s (examples: ^1.2, ~1.2.3, >=1.2 <2, 1.x)",
                           STR_ARG(group));
        }
        *holds = *holds || (version && group_holds(conditions, count, version));
        if (bar == STR_NPOS) {
            return true;
        }
        rest = str_skip(rest, bar + 2);
    }
}

bool semver_is_constraint(struct str text) {
    struct semver version;
    bool holds;
    return !semver_parse(text, &version) && evaluate(text, NULL, &holds, NULL);
}

bool semver_satisfies(struct str constraint, const struct semver *version, struct err *err) {
    bool holds;
    return evaluate(constraint, version, &holds, err) && holds;
}
