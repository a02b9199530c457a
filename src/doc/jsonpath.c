// SPDX-License-Identifier: Apache-2.0
// Kubernetes JSONPath, evaluated as kubectl does it: each step maps a list of values to a list of values, and what a {...}
// leaves is printed with spaces between.
#include "doc/jsonpath_internal.h"

#include "base/limits.h"
#include "doc/yaml_scalar.h"

struct values {
    const struct doc_value **items;
    uint32_t len, cap;
};

struct eval {
    const struct jsonpath *path;
    struct arena *arena;
    struct err *err;
    bool allow_missing;
    uint64_t work; // values looked at, against LIMIT_JSONPATH_WORK
    uint32_t begin_range, in_range, end_range;
    uint32_t last_end; // the node of the {end} that was met last
    struct values *results;
    uint32_t result_count, result_cap;
    unsigned depth;
};

static bool walk(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                 struct values *out);

static bool add(struct eval *e, struct values *values, const struct doc_value *v) {
    if (++e->work > LIMIT_JSONPATH_WORK) {
        return err_set(e->err, ERR_LIMIT, "jsonpath: more than LIMIT_JSONPATH_WORK values");
    }
    if (values->len == values->cap) {
        uint32_t cap = values->cap ? values->cap * 2 : 1;
        values->items = arena_grow(e->arena, (void *)values->items, values->cap * sizeof(void *),
                                   cap * sizeof(void *));
        values->cap = cap;
    }
    values->items[values->len++] = v;
    return true;
}

static const char *go_type(const struct doc_value *v) {
    static const char *const NAMES[] = {
        "<nil>", "bool", "int64", "float64", "string", "[]interface {}", "map[string]interface {}"};
    return NAMES[doc_kind(v)];
}

// ---- Steps ----

static bool eval_list(struct eval *e, const struct values *in, const struct jsonpath_list *list,
                      struct values *out) {
    struct values cur = *in;
    for (uint32_t i = 0; i < list->len; i++) {
        struct values next = {0};
        if (!walk(e, &cur, &list->nodes[i], &next)) {
            return false;
        }
        cur = next;
    }
    *out = cur;
    return true;
}

static bool eval_field(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                       struct values *out) {
    if (in->len == 0) {
        return true;
    }
    for (uint32_t i = 0; i < in->len; i++) {
        const struct doc_value *found = doc_find(in->items[i], doc_str(&node->value));
        e->work++;
        if (found && !add(e, out, found)) {
            return false;
        }
    }
    return out->len > 0 || e->allow_missing ||
           err_set(e->err, ERR_NOT_FOUND, "%.*s is not found", STR_ARG(doc_str(&node->value)));
}

static bool out_of_bounds(struct eval *e, int64_t index, int64_t length) {
    return err_set(e->err, ERR_INVALID, "array index out of bounds: index %lld, length %lld",
                   (long long)index, (long long)length);
}

static bool eval_index(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                       struct values *out) {
    for (uint32_t i = 0; i < in->len; i++) {
        const struct doc_value *v = in->items[i];
        if (doc_is_null(v)) {
            continue;
        }
        if (!doc_is(v, DOC_ARRAY)) {
            return err_set(e->err, ERR_INVALID, "%s is not array or slice", go_type(v));
        }
        int64_t len = (int64_t)doc_len(v);
        int64_t from = node->bounds[0].known ? node->bounds[0].value : 0;
        int64_t to = node->bounds[1].known ? node->bounds[1].value : len;
        from += from < 0 ? len : 0;
        to += to < 0 || (to == 0 && node->bounds[1].derived) ? len : 0;
        if (from == to) {
            return true; // the whole step ends here, as in kubectl
        }
        if (from >= len || from < 0) {
            return out_of_bounds(e, from, len);
        }
        if (to > len || to < 0) {
            return out_of_bounds(e, to - 1, len);
        }
        if (from > to) {
            return err_set(e->err, ERR_INVALID,
                           "starting index %lld is greater than ending index %lld", (long long)from,
                           (long long)to);
        }
        int64_t step = node->bounds[2].known ? node->bounds[2].value : 1;
        if (step <= 0) {
            return err_set(e->err, ERR_INVALID, "step must be > 0");
        }
        for (int64_t k = from; k < to; k += step) {
            if (!add(e, out, doc_at(v, (size_t)k))) {
                return false;
            }
        }
    }
    return true;
}

static bool add_children(struct eval *e, const struct doc_value *v, struct values *out) {
    for (DOC_EACH_ITEM(v, item)) {
        if (!add(e, out, item)) {
            return false;
        }
    }
    for (DOC_EACH_MEMBER(v, i)) {
        if (!add(e, out, doc_value_at(v, i))) {
            return false;
        }
    }
    return true;
}

// The value, then all below it; only what has parts counts (a text has its characters).
static bool add_descendants(struct eval *e, const struct doc_value *v, unsigned depth,
                            struct values *out) {
    bool text = doc_is(v, DOC_STRING) && v->len > 0;
    if (!text && doc_len(v) == 0) {
        return true;
    }
    if (depth > 4 * LIMIT_JSON_DEPTH) {
        return err_set(e->err, ERR_LIMIT, "jsonpath: nested too deeply");
    }
    if (!add(e, out, v)) {
        return false;
    }
    for (DOC_EACH_ITEM(v, item)) {
        if (!add_descendants(e, item, depth + 1, out)) {
            return false;
        }
    }
    for (DOC_EACH_MEMBER(v, i)) {
        if (!add_descendants(e, doc_value_at(v, i), depth + 1, out)) {
            return false;
        }
    }
    return true;
}

// ---- Filters ----

enum basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_FLOAT, BASIC_STRING };

static enum basic basic_kind(const struct doc_value *v) {
    switch (doc_kind(v)) {
    case DOC_BOOL:
        return BASIC_BOOL;
    case DOC_INT:
        return BASIC_INT;
    case DOC_NUMBER:
        return BASIC_FLOAT;
    case DOC_STRING:
        return BASIC_STRING;
    default:
        return BASIC_NONE;
    }
}

static bool compare(struct eval *e, const struct jsonpath_node *node, const struct doc_value *left,
                    const struct doc_value *right, bool *pass) {
    enum basic kind = basic_kind(left);
    enum basic other = basic_kind(right);
    bool order = node->op != JSONPATH_EQ && node->op != JSONPATH_NE;
    if (kind == BASIC_NONE || other == BASIC_NONE) {
        return err_set(e->err, ERR_INVALID, "invalid type for comparison");
    }
    if (kind != other) {
        return err_set(e->err, ERR_INVALID, "incompatible types for comparison");
    }
    if (order && kind == BASIC_BOOL) {
        return err_set(e->err, ERR_INVALID, "invalid type for comparison");
    }
    int sign = 0;
    if (kind == BASIC_STRING) {
        sign = str_cmp(doc_str(left), doc_str(right));
    } else if (kind == BASIC_FLOAT) {
        double a = doc_double(left, 0), b = doc_double(right, 0);
        sign = a < b ? -1 : a > b;
    } else if (kind == BASIC_INT) {
        int64_t a = doc_int(left, 0), b = doc_int(right, 0);
        sign = a < b ? -1 : a > b;
    } else {
        sign = doc_bool(left, false) - doc_bool(right, false);
    }
    switch (node->op) {
    case JSONPATH_EQ:
        *pass = sign == 0;
        break;
    case JSONPATH_NE:
        *pass = sign != 0;
        break;
    case JSONPATH_LT:
        *pass = sign < 0;
        break;
    case JSONPATH_LE:
        *pass = sign <= 0;
        break;
    case JSONPATH_GT:
        *pass = sign > 0;
        break;
    default:
        *pass = sign >= 0;
        break;
    }
    return true;
}

static bool filter_item(struct eval *e, const struct jsonpath_node *node,
                        const struct doc_value *item, bool *pass) {
    struct values one = {.items = &item, .len = 1, .cap = 1};
    struct values left = {0}, right = {0};
    *pass = false;
    if (node->op == JSONPATH_EXISTS) {
        struct err *err = e->err;
        struct err ignored = {0};
        e->err = &ignored; // a missing field only says that it is not there
        bool ok = eval_list(e, &one, &node->list, &left);
        e->err = err;
        if (!ok && ignored.code == ERR_LIMIT) {
            return err_set(err, ERR_LIMIT, "%s", ignored.message);
        }
        *pass = ok && left.len > 0;
        return true;
    }
    if (!eval_list(e, &one, &node->list, &left)) {
        return false;
    }
    if (left.len == 0) {
        return true;
    }
    if (left.len > 1) {
        return err_set(e->err, ERR_INVALID, "can only compare one element at a time");
    }
    if (!eval_list(e, &one, &node->right, &right)) {
        return false;
    }
    if (right.len == 0) {
        return true;
    }
    if (right.len > 1) {
        return err_set(e->err, ERR_INVALID, "can only compare one element at a time");
    }
    if (node->op == JSONPATH_BAD_OPERATOR) {
        return err_set(e->err, ERR_INVALID, "unrecognized filter operator %.*s",
                       STR_ARG(doc_str(&node->value)));
    }
    return compare(e, node, left.items[0], right.items[0], pass);
}

static bool eval_filter(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                        struct values *out) {
    for (uint32_t i = 0; i < in->len; i++) {
        const struct doc_value *v = in->items[i];
        if (!doc_is(v, DOC_ARRAY)) {
            return err_set(e->err, ERR_INVALID, "%s is not array or slice and cannot be filtered",
                           go_type(v));
        }
        for (DOC_EACH_ITEM(v, item)) {
            bool pass;
            if (!filter_item(e, node, item, &pass) || (pass && !add(e, out, item))) {
                return false;
            }
        }
    }
    return true;
}

static bool eval_union(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                       struct values *out) {
    for (uint32_t i = 0; i < node->list.len; i++) {
        struct values part = {0};
        if (!eval_list(e, in, &node->list.nodes[i].list, &part)) {
            return false;
        }
        for (uint32_t k = 0; k < part.len; k++) {
            if (!add(e, out, part.items[k])) {
                return false;
            }
        }
    }
    return true;
}

static bool walk(struct eval *e, const struct values *in, const struct jsonpath_node *node,
                 struct values *out) {
    bool ok = true;
    switch (node->kind) {
    case JSONPATH_TEXT:
        return add(e, out, &node->value);
    case JSONPATH_LIST:
        return eval_list(e, in, &node->list, out);
    case JSONPATH_FIELD:
        return eval_field(e, in, node, out);
    case JSONPATH_INDEX:
        return eval_index(e, in, node, out);
    case JSONPATH_FILTER:
        return eval_filter(e, in, node, out);
    case JSONPATH_UNION:
        return eval_union(e, in, node, out);
    case JSONPATH_VALUE:
        for (uint32_t i = 0; i < in->len && ok; i++) {
            ok = add(e, out, &node->value);
        }
        return ok;
    case JSONPATH_WILDCARD:
        for (uint32_t i = 0; i < in->len && ok; i++) {
            ok = add_children(e, in->items[i], out);
        }
        return ok;
    case JSONPATH_RECURSIVE:
        for (uint32_t i = 0; i < in->len && ok; i++) {
            ok = add_descendants(e, in->items[i], 0, out);
        }
        return ok;
    case JSONPATH_RANGE:
        e->begin_range++;
        *out = *in;
        return true;
    case JSONPATH_END:
        if (e->in_range == 0) {
            return err_set(e->err, ERR_INVALID, "not in range, nothing to end");
        }
        e->end_range++;
        return true;
    case JSONPATH_UNKNOWN_WORD:
        return err_set(e->err, ERR_INVALID, "unrecognized identifier %.*s",
                       STR_ARG(doc_str(&node->value)));
    }
    return err_set(e->err, ERR_INTERNAL, "jsonpath: unknown node");
}

// ---- Templates ----

static void add_result(struct eval *e, struct values values) {
    if (e->result_count == e->result_cap) {
        uint32_t cap = e->result_cap ? e->result_cap * 2 : 8;
        e->results = arena_grow(e->arena, e->results, e->result_cap * sizeof *e->results,
                                cap * sizeof *e->results);
        e->result_cap = cap;
    }
    e->results[e->result_count++] = values;
}

// Runs the nodes from `first` on for one value, up to the {end} of the range it is in.
static bool run(struct eval *e, const struct doc_value *data, uint32_t first, bool keep) {
    // Results may hand this list out again, so it must outlive the call. A null at the top is no value at all.
    struct values cur = {0};
    if (!add(e, &cur, doc_is_null(data) ? NULL : data)) {
        return false;
    }
    const struct jsonpath_list *root = &e->path->root;
    if (++e->depth > 64) {
        return err_set(e->err, ERR_LIMIT, "jsonpath: more than 64 nested ranges");
    }
    for (uint32_t i = first; i < root->len; i++) {
        struct values results = {0};
        if (!walk(e, &cur, &root->nodes[i], &results)) {
            return false;
        }
        if (e->end_range > 0 && e->end_range <= e->in_range) {
            e->end_range--;
            e->last_end = i;
            break;
        }
        if (e->begin_range > 0) {
            e->begin_range--;
            e->in_range++;
            for (uint32_t k = 0; k < results.len; k++) {
                if (!run(e, results.items[k], i + 1, keep)) {
                    return false;
                }
            }
            if (results.len == 0 && !run(e, NULL, i + 1, false)) {
                return false;
            }
            e->in_range--;
            i = e->last_end > i && e->last_end < root->len ? e->last_end : i;
            continue;
        }
        if (++e->work > LIMIT_JSONPATH_WORK) {
            return err_set(e->err, ERR_LIMIT, "jsonpath: more than LIMIT_JSONPATH_WORK values");
        }
        if (keep) {
            add_result(e, results);
        }
    }
    e->depth--;
    return true;
}

struct jsonpath *jsonpath_compile(struct str text, bool bare, struct arena *arena,
                                  struct err *err) {
    if (text.n > LIMIT_JSONPATH_BYTES) {
        err_set(err, ERR_LIMIT, "jsonpath: longer than LIMIT_JSONPATH_BYTES");
        return NULL;
    }
    if (bare && str_find_char(text, '{') != 0) {
        bool dotted = text.n > 0 && (text.p[0] == '.' || text.p[0] == '[' || text.p[0] == '$');
        text = arena_printf(arena, "{%s%.*s}", dotted ? "" : ".", STR_ARG(text));
    }
    struct jsonpath_list root;
    if (!jsonpath_parse(text, arena, &root, err)) {
        return NULL;
    }
    struct jsonpath *path = ARENA_NEW(arena, struct jsonpath);
    path->root = root;
    return path;
}

// JSON as Go's json.Marshal prints it: keys sorted, <, > and & escaped.
static void print_json(const struct doc_value *v, struct buf *out) {
    AUTO_BUF struct buf json = {0};
    buf_init(&json, out->max);
    if (!doc_print_canonical(v, &json)) {
        out->overflow = true;
        return;
    }
    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        bool line = json.len - i >= 3 && memcmp(json.data + i, "\xE2\x80", 2) == 0 &&
                    ((unsigned char)json.data[i + 2] | 1) == 0xA9;
        if (line) {
            buf_add_c(out, (unsigned char)json.data[i + 2] == 0xA8 ? "\\u2028" : "\\u2029");
            i += 2;
        } else if (c == '<' || c == '>' || c == '&') {
            buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            buf_add_char(out, c);
        }
    }
}

static void print_value(const struct doc_value *v, struct buf *out) {
    char number[YAML_NUMBER_MAX];
    switch (doc_kind(v)) {
    case DOC_NULL:
        buf_add_c(out, v ? "null" : "<no value>");
        break;
    case DOC_BOOL:
        buf_add_c(out, doc_bool(v, false) ? "true" : "false");
        break;
    case DOC_INT:
        buf_add_int64(out, doc_int(v, 0));
        break;
    case DOC_NUMBER:
        buf_add(out, number, yaml_format_g(doc_double(v, 0), 64, number));
        break;
    case DOC_STRING:
        buf_add_str(out, doc_str(v));
        break;
    case DOC_ARRAY:
    case DOC_OBJECT:
        print_json(v, out);
        break;
    }
}

bool jsonpath_print(const struct jsonpath *path, const struct doc_value *root, bool allow_missing,
                    struct buf *out, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct eval e = {.path = path, .arena = arena, .err = err, .allow_missing = allow_missing};
    if (!run(&e, root, 0, true)) {
        return false;
    }
    for (uint32_t i = 0; i < e.result_count; i++) {
        for (uint32_t k = 0; k < e.results[i].len; k++) {
            if (k > 0) {
                buf_add_char(out, ' ');
            }
            print_value(e.results[i].items[k], out);
        }
    }
    return !out->overflow || err_set(err, ERR_LIMIT, "jsonpath: the output is too large");
}

bool jsonpath_find(const struct jsonpath *path, const struct doc_value *root, struct arena *arena,
                   const struct doc_value ***out, size_t *count, struct err *err) {
    struct eval e = {.path = path, .arena = arena, .err = err, .allow_missing = true};
    for (uint32_t i = 0; i < path->root.len; i++) {
        if (path->root.nodes[i].kind == JSONPATH_LIST) {
            struct values in = {.items = &root, .len = root ? 1 : 0, .cap = 1};
            struct values found = {0};
            if (!walk(&e, &in, &path->root.nodes[i], &found)) {
                return false;
            }
            // `in` lives on this stack frame; an action without steps hands it out.
            struct values copy = {0};
            for (uint32_t k = 0; k < found.len; k++) {
                if (!add(&e, &copy, found.items[k])) {
                    return false;
                }
            }
            *out = copy.items;
            *count = copy.len;
            return true;
        }
    }
    *out = NULL;
    *count = 0;
    return true;
}
