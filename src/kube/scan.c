// SPDX-License-Identifier: Apache-2.0
// Finds the few fields a cache needs in the text of an object, without building a tree: a watch of a busy cluster is
// mostly this. Brackets and strings are checked, numbers and words only skipped; who reads more parses the text anyway.
#include "base/limits.h"
#include "kube/internal.h"

struct cursor {
    const char *start, *p, *end;
};

static bool fail(const struct cursor *c, struct err *err, const char *what) {
    return err_set(err, ERR_INVALID, "malformed JSON at byte %zu: %s", (size_t)(c->p - c->start),
                   what);
}

static void skip_space(struct cursor *c) {
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r')) {
        c->p++;
    }
}

// At a quote; leaves the cursor behind the closing one. `out` is what stands between, escapes and all.
static bool take_string(struct cursor *c, struct str *out, struct err *err) {
    const char *from = ++c->p;
    for (const char *at = from;;) {
        const char *quote = at < c->end ? memchr(at, '"', (size_t)(c->end - at)) : NULL;
        if (!quote) {
            return fail(c, err, "a string does not end");
        }
        const char *back = quote;
        while (back > from && back[-1] == '\\') {
            back--;
        }
        if ((quote - back) % 2 == 0) {
            *out = (struct str){from, (size_t)(quote - from)};
            c->p = quote + 1;
            return true;
        }
        at = quote + 1;
    }
}

static void skip_word(struct cursor *c) {
    while (c->p < c->end && !memchr(" \t\r\n,:]}[{\"", *c->p, 11)) {
        c->p++;
    }
}

// Whole value of any kind. Nesting is held as bits (1: object), so depth costs no stack.
static bool skip_value(struct cursor *c, struct err *err) {
    unsigned char open[LIMIT_JSON_DEPTH / 8] = {0};
    unsigned depth = 0;
    do {
        skip_space(c);
        if (c->p >= c->end) {
            return fail(c, err, "the text ends early");
        }
        char ch = *c->p;
        if (ch == '{' || ch == '[') {
            if (depth >= LIMIT_JSON_DEPTH) {
                return err_set(err, ERR_LIMIT, "nested deeper than LIMIT_JSON_DEPTH (%d)",
                               LIMIT_JSON_DEPTH);
            }
            unsigned char bit = (unsigned char)(1U << (depth % 8));
            open[depth / 8] =
                (unsigned char)(ch == '{' ? open[depth / 8] | bit : open[depth / 8] & ~bit);
            depth++;
            c->p++;
        } else if (ch == '}' || ch == ']') {
            if (depth == 0 || ((open[(depth - 1) / 8] >> ((depth - 1) % 8)) & 1) != (ch == '}')) {
                return fail(c, err, "a bracket without its partner");
            }
            depth--;
            c->p++;
        } else if (ch == '"') {
            struct str ignored;
            if (!take_string(c, &ignored, err)) {
                return false;
            }
        } else if (ch == ',' || ch == ':') {
            if (depth == 0) {
                return fail(c, err, "a value is missing");
            }
            c->p++;
        } else {
            skip_word(c);
        }
    } while (depth > 0);
    return true;
}

// Walks the members of an object. Start with c->p at the brace and *first true. 1: a member (cursor at its value),
// 0: the end (cursor behind the brace), -1: malformed.
static int next_member(struct cursor *c, bool *first, struct str *key, const char **key_at,
                       struct err *err) {
    skip_space(c);
    if (*first) {
        if (c->p >= c->end || *c->p != '{') {
            fail(c, err, "expected an object");
            return -1;
        }
        c->p++;
        skip_space(c);
    }
    if (c->p < c->end && *c->p == '}') {
        c->p++;
        return 0;
    }
    if (!*first) {
        if (c->p >= c->end || *c->p != ',') {
            fail(c, err, "expected a comma");
            return -1;
        }
        c->p++;
        skip_space(c);
    }
    *first = false;
    *key_at = c->p;
    if (c->p >= c->end || *c->p != '"') {
        fail(c, err, "expected a field name");
        return -1;
    }
    if (!take_string(c, key, err)) {
        return -1;
    }
    skip_space(c);
    if (c->p >= c->end || *c->p != ':') {
        fail(c, err, "expected a colon");
        return -1;
    }
    c->p++;
    skip_space(c);
    return 1;
}

// A string value into `out`, decoded; another kind of value leaves it empty.
static bool take_text(struct cursor *c, struct arena *arena, struct str *out, struct err *err) {
    const char *from = c->p;
    if (from >= c->end || *from != '"') {
        *out = (struct str){NULL, 0};
        return skip_value(c, err);
    }
    struct str raw;
    if (!take_string(c, &raw, err)) {
        return false;
    }
    if (str_find_char(raw, '\\') == STR_NPOS) {
        *out = raw;
        return true;
    }
    struct doc_value value; // Go escapes <, > and &, which some RBAC names hold
    if (!doc_parse_json_copy((struct str){from, (size_t)(c->p - from)}, arena, &value, err)) {
        return false;
    }
    *out = doc_str(&value);
    return true;
}

static bool scan_metadata(struct cursor *c, struct arena *arena, struct kube_scan *out,
                          struct err *err) {
    if (c->p >= c->end || *c->p != '{') {
        return skip_value(c, err);
    }
    bool first = true;
    for (;;) {
        const char *before = c->p; // behind the previous value, or at the brace
        bool was_first = first;
        struct str key;
        const char *key_at = NULL;
        int more = next_member(c, &first, &key, &key_at, err);
        if (more <= 0) {
            return more == 0;
        }
        bool ok;
        if (str_eq(key, STR("name"))) {
            ok = take_text(c, arena, &out->name, err);
        } else if (str_eq(key, STR("namespace"))) {
            ok = take_text(c, arena, &out->ns, err);
        } else if (str_eq(key, STR("uid"))) {
            ok = take_text(c, arena, &out->uid, err);
        } else if (str_eq(key, STR("resourceVersion"))) {
            ok = take_text(c, arena, &out->resource_version, err);
        } else {
            ok = skip_value(c, err);
        }
        if (!ok) {
            return false;
        }
        if (str_eq(key, STR("managedFields"))) {
            // With the comma before it; of a first member, with the one behind it.
            const char *from = was_first ? key_at : before;
            const char *to = c->p;
            struct cursor look = *c;
            skip_space(&look);
            if (was_first && look.p < look.end && *look.p == ',') {
                to = look.p + 1;
            }
            out->cut_from = (size_t)(from - c->start);
            out->cut_to = (size_t)(to - c->start);
        }
    }
}

bool kube_scan_object(struct str text, struct arena *arena, struct kube_scan *out,
                      struct err *err) {
    text = str_trim(text);
    struct cursor c = {text.p, text.p, text.p + text.n};
    struct kube_scan scan = {.text = text};
    bool first = true;
    for (;;) {
        struct str key;
        const char *key_at = NULL;
        int more = next_member(&c, &first, &key, &key_at, err);
        if (more < 0) {
            return false;
        }
        if (more == 0) {
            break;
        }
        bool ok;
        if (str_eq(key, STR("kind"))) {
            ok = take_text(&c, arena, &scan.kind, err);
        } else if (str_eq(key, STR("apiVersion"))) {
            ok = take_text(&c, arena, &scan.api_version, err);
        } else if (str_eq(key, STR("metadata"))) {
            ok = scan_metadata(&c, arena, &scan, err);
        } else {
            ok = skip_value(&c, err);
        }
        if (!ok) {
            return false;
        }
    }
    if (c.p != c.end) {
        return fail(&c, err, "text after the object");
    }
    *out = scan;
    return true;
}

static bool scan_list_metadata(struct cursor *c, struct arena *arena, struct kube_list_head *out,
                               struct err *err) {
    if (c->p >= c->end || *c->p != '{') {
        return skip_value(c, err);
    }
    bool first = true;
    struct str key;
    const char *key_at = NULL;
    int more;
    while ((more = next_member(c, &first, &key, &key_at, err)) > 0) {
        bool ok;
        if (str_eq(key, STR("resourceVersion"))) {
            ok = take_text(c, arena, &out->resource_version, err);
        } else if (str_eq(key, STR("continue"))) {
            ok = take_text(c, arena, &out->continue_token, err);
        } else {
            ok = skip_value(c, err);
        }
        if (!ok) {
            return false;
        }
    }
    return more == 0;
}

// The items array: each element must be an object, so that kube_scan_item needs no errors.
static bool scan_items(struct cursor *c, struct str *out, struct err *err) {
    const char *from = c->p;
    if (from >= c->end || *from != '[') {
        *out = (struct str){NULL, 0};
        return skip_value(c, err); // Go prints an empty list as null
    }
    c->p++;
    skip_space(c);
    if (c->p < c->end && *c->p == ']') {
        c->p++;
        *out = (struct str){NULL, 0};
        return true;
    }
    for (;;) {
        skip_space(c);
        if (c->p >= c->end || *c->p != '{') {
            return fail(c, err, "an item of the list is no object");
        }
        if (!skip_value(c, err)) {
            return false;
        }
        skip_space(c);
        if (c->p < c->end && *c->p == ']') {
            c->p++;
            *out = (struct str){from, (size_t)(c->p - from)};
            return true;
        }
        if (c->p >= c->end || *c->p != ',') {
            return fail(c, err, "expected a comma between items");
        }
        c->p++;
    }
}

bool kube_scan_list(struct str text, struct arena *arena, struct kube_list_head *out,
                    struct err *err) {
    text = str_trim(text);
    struct cursor c = {text.p, text.p, text.p + text.n};
    struct kube_list_head head = {0};
    bool first = true, have_items = false;
    struct str key;
    const char *key_at = NULL;
    int more;
    while ((more = next_member(&c, &first, &key, &key_at, err)) > 0) {
        bool ok;
        if (str_eq(key, STR("kind"))) {
            ok = take_text(&c, arena, &head.kind, err);
        } else if (str_eq(key, STR("apiVersion"))) {
            ok = take_text(&c, arena, &head.api_version, err);
        } else if (str_eq(key, STR("metadata"))) {
            ok = scan_list_metadata(&c, arena, &head, err);
        } else if (str_eq(key, STR("items"))) {
            have_items = true;
            ok = scan_items(&c, &head.items, err);
        } else {
            ok = skip_value(&c, err);
        }
        if (!ok) {
            return false;
        }
    }
    if (more < 0) {
        return false;
    }
    if (!have_items) {
        return err_set(err, ERR_INVALID, "the reply is no list: it has no \"items\"");
    }
    *out = head;
    return true;
}

bool kube_scan_item(struct str items, size_t *at, struct str *item) {
    if (items.n == 0) {
        return false;
    }
    struct cursor c = {items.p, items.p + *at, items.p + items.n};
    if (*at == 0) {
        c.p++; // the bracket
    }
    skip_space(&c);
    if (c.p < c.end && *c.p == ',') {
        c.p++;
        skip_space(&c);
    }
    const char *from = c.p;
    struct err ignored;
    if (c.p >= c.end || *c.p != '{' || !skip_value(&c, &ignored)) {
        return false;
    }
    *item = (struct str){from, (size_t)(c.p - from)};
    *at = (size_t)(c.p - items.p);
    return true;
}

bool kube_scan_event(struct str line, enum kube_event *type, struct str *object, struct err *err) {
    line = str_trim(line);
    struct cursor c = {line.p, line.p, line.p + line.n};
    struct str word = {0}, span = {0}, key;
    bool first = true;
    const char *key_at = NULL;
    int more;
    while ((more = next_member(&c, &first, &key, &key_at, err)) > 0) {
        if (str_eq(key, STR("type")) && c.p < c.end && *c.p == '"') {
            if (!take_string(&c, &word, err)) {
                return false;
            }
            continue;
        }
        const char *from = c.p;
        if (!skip_value(&c, err)) {
            return false;
        }
        if (str_eq(key, STR("object"))) {
            span = (struct str){from, (size_t)(c.p - from)};
        }
    }
    if (more < 0) {
        return false;
    }
    if (c.p != c.end) {
        return fail(&c, err, "text after the event");
    }
    static const char *const names[] = {
        [KUBE_ADDED] = "ADDED",       [KUBE_MODIFIED] = "MODIFIED", [KUBE_DELETED] = "DELETED",
        [KUBE_BOOKMARK] = "BOOKMARK", [KUBE_ERROR] = "ERROR",
    };
    if (span.n == 0 || span.p[0] != '{') {
        return err_set(err, ERR_INVALID, "a watch event without an object");
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(word, names[i])) {
            *type = (enum kube_event)i;
            *object = span;
            return true;
        }
    }
    return err_set(err, ERR_INVALID, "a watch event of unknown type \"%.*s\"",
                   STR_ARG(str_first(word, 40)));
}

struct str kube_scan_trimmed(const struct kube_scan *scan, struct str kind, struct str api_version,
                             struct buf *out) {
    bool add_kind = scan->kind.n == 0 && kind.n > 0;
    bool add_version = scan->api_version.n == 0 && api_version.n > 0;
    if (scan->cut_from == scan->cut_to && !add_kind && !add_version) {
        return scan->text;
    }
    buf_clear(out);
    bool ok = buf_add_char(out, '{');
    // Both come from the head of a list and hold no character that JSON escapes (checked by the reflector).
    if (add_kind) {
        ok = ok && buf_printf(out, "\"kind\":\"%.*s\",", STR_ARG(kind));
    }
    if (add_version) {
        ok = ok && buf_printf(out, "\"apiVersion\":\"%.*s\",", STR_ARG(api_version));
    }
    size_t from = scan->cut_from != scan->cut_to ? scan->cut_from : 1;
    size_t to = scan->cut_from != scan->cut_to ? scan->cut_to : 1;
    ok = ok && buf_add(out, scan->text.p + 1, from - 1) &&
         buf_add(out, scan->text.p + to, scan->text.n - to);
    // "{}" with a kind added would end in a comma; an object without metadata is no object of ours, so give it back.
    return ok && scan->name.n > 0 ? buf_str(out) : scan->text;
}

int kube_version_compare(struct str a, struct str b) {
    uint64_t x, y;
    if (!str_to_uint64(a, &x) || !str_to_uint64(b, &y)) {
        return 0;
    }
    return x > y ? 1 : x < y ? -1 : 0;
}
