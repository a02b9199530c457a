// SPDX-License-Identifier: Apache-2.0
#include "http/query.h"

#include "base/text.h"
#include "base/vec.h"

enum {
    QUERY_PAIRS_MAX = 256,
    PATH_SEGMENTS_MAX = 64,
};

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool url_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *out,
                struct err *err) {
    char *to = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_value(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return err_set(err, ERR_INVALID,
                               "\"%.*s\" has a bad escape at byte %zu: %% takes two hex digits",
                               STR_ARG(str_first(text, 100)), i);
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            return err_set(err, ERR_INVALID, "a NUL byte is not allowed in a URL");
        }
        to[n++] = c;
    }
    to[n] = '\0';
    if (!utf8_is_valid((struct str){to, n})) {
        return err_set(err, ERR_INVALID, "\"%.*s\" is not UTF-8 when decoded",
                       STR_ARG(str_first(text, 100)));
    }
    *out = (struct str){to, n};
    return true;
}

bool url_encode(struct str text, struct buf *out) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        if (!(plain ? buf_add_char(out, (char)c) : buf_add(out, escape, sizeof escape))) {
            return false;
        }
    }
    return true;
}

bool query_parse(struct str query, struct arena *arena, struct query_pair **out, size_t *count,
                 struct err *err) {
    size_t most = 1;
    for (size_t i = 0; i < query.n; i++) {
        most += query.p[i] == '&';
    }
    if (most > QUERY_PAIRS_MAX) {
        return err_set(err, ERR_LIMIT, "the query has more than %d parameters", QUERY_PAIRS_MAX);
    }
    struct query_pair *pairs = ARENA_ARRAY(arena, most, struct query_pair);
    size_t n = 0;
    struct str rest = query;
    struct str part;
    while (str_next(&rest, '&', &part)) {
        struct str name;
        struct str value;
        if (part.n == 0) {
            continue;
        }
        str_cut(part, '=', &name, &value);
        if (!url_decode(name, true, arena, &pairs[n].name, err) ||
            !url_decode(value, true, arena, &pairs[n].value, err)) {
            return err_wrap(err, "query");
        }
        n++;
    }
    *out = pairs;
    *count = n;
    return true;
}

struct str query_find(const struct query_pair *pairs, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(pairs[i].name, name)) {
            return pairs[i].value;
        }
    }
    return (struct str){NULL, 0};
}

bool path_split(struct str path, struct arena *arena, struct str **segments, size_t *count,
                struct err *err) {
    if (path.n == 0 || path.p[0] != '/') {
        return err_set(err, ERR_INVALID, "a path begins with '/'");
    }
    struct str *list = ARENA_ARRAY(arena, PATH_SEGMENTS_MAX, struct str);
    size_t n = 0;
    struct str rest = str_skip(path, 1);
    // One slash at the end is fine ("/api/" as kubectl asks for it), and "/" has no segments.
    while (rest.n > 0) {
        struct str part;
        struct str decoded;
        str_cut(rest, '/', &part, &rest);
        if (n == PATH_SEGMENTS_MAX) {
            return err_set(err, ERR_LIMIT, "the path has more than %d segments", PATH_SEGMENTS_MAX);
        }
        if (!url_decode(part, false, arena, &decoded, err)) {
            return err_wrap(err, "path");
        }
        if (decoded.n == 0 || str_eq_c(decoded, ".") || str_eq_c(decoded, "..") ||
            str_find_char(decoded, '/') != STR_NPOS) {
            return err_set(err, ERR_INVALID,
                           "path \"%.*s\": empty segments, \".\", \"..\" and \"%%2f\" are not "
                           "allowed",
                           STR_ARG(str_first(path, 200)));
        }
        list[n++] = decoded;
    }
    *segments = list;
    *count = n;
    return true;
}
