// SPDX-License-Identifier: Apache-2.0
// YAML streams in: libyaml's events become documents directly, without libyaml's own trees. An alias shares the parts of
// its anchor, so a bomb of aliases costs no memory; it is refused all the same, by the number of values it stands for,
// because whoever walks the result would visit each of them.
#include "doc/yaml.h"

#include <math.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "doc/doc_internal.h"
#include "doc/yaml_scalar.h"

struct node {
    struct doc_value value;
    uint32_t line, column;
    uint32_t height; // of the tree below, 0 for a scalar
    uint64_t nodes;  // values in it, aliases counted as often as they appear
};

struct member {
    struct node node;
    const struct doc_key *key;
    uint32_t key_line, key_column;
    bool merged; // came by "<<"
};

struct anchor {
    struct anchor *next; // of those to be freed with the document
    struct node node;
    bool open; // its end has not been seen: an alias to it would contain itself
};

struct reader {
    yaml_parser_t parser;
    const struct yaml_options *options;
    struct arena *arena;
    struct err *err;
    struct doc_keys keys;
    VEC(struct node) items;     // of the open sequences, one above the other
    VEC(struct member) members; // of the open mappings
    struct map *anchors;        // by name, of this document; a later one of the same name wins
    struct anchor *all_anchors;
    VEC(struct yaml_place) places;
    VEC(struct yaml_document) documents;
    uint64_t written;  // values in the text of this stream
    uint64_t expanded; // values that aliases stand for
};

// ---- Errors ----

static const char *hint_for(const char *problem, const char *context) {
    static const struct {
        const char *problem, *hint;
    } HINTS[] = {
        {"mapping values are not allowed",
         "put a value that contains \": \" in quotes, or correct the indentation"},
        {"found character that cannot start any token",
         "indent with spaces, not tabs; put a value that starts with @, % or ` in quotes"},
        {"did not find expected key", "check the indentation of this line and of those before it"},
        {"did not find expected '-' indicator", "items of one list need the same indentation"},
        {"could not find expected ':'", "a key needs \": \" after it"},
        {"found undefined tag handle", "use a full tag, or put the value in quotes"},
        {"control characters are not allowed", "put binary data in base64"},
        {"found unexpected end of stream", "a quote that was opened here is never closed"},
        {"did not find expected node content",
         "put template text such as {{ ... }} in quotes, or render it first"},
        {"did not find expected ',' or", "put a value with brackets or braces in quotes"},
    };
    for (size_t i = 0; problem && i < ARRAY_LEN(HINTS); i++) {
        if (str_has(str_from(problem), str_from(HINTS[i].problem))) {
            return HINTS[i].hint;
        }
    }
    return context && strstr(context, "block mapping") ? "check the indentation" : NULL;
}

static bool fail_parser(struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        return err_set(r->err, ERR_LIMIT, "out of memory while reading YAML");
    }
    const char *problem = p->problem ? p->problem : "not valid YAML";
    uint32_t line = (uint32_t)p->problem_mark.line + 1;
    uint32_t column = (uint32_t)p->problem_mark.column + 1;
    if (p->error == YAML_READER_ERROR) { // has only an offset; the scanner stands close before it
        line = (uint32_t)p->mark.line + 1;
        column = (uint32_t)p->mark.column + 1;
    }
    const char *hint = hint_for(problem, p->context);
    err_set_at(r->err, ERR_INVALID, line, column, "yaml: line %u: %s%s%s%s%s", line, problem,
               p->context ? ", " : "", p->context ? p->context : "", hint ? "; hint: " : "",
               hint ? hint : "");
    return false;
}

static bool fail_limit(struct reader *r, const yaml_mark_t *mark, const char *limit,
                       const char *message) {
    uint32_t line = (uint32_t)mark->line + 1;
    return err_set_at(r->err, ERR_LIMIT, line, (uint32_t)mark->column + 1, "yaml: line %u: %s (%s)",
                      line, message, limit);
}

// ---- Scalars ----

struct event {
    yaml_event_t event;
    bool live;
};

static void event_fini(struct event *e) {
    if (e->live) {
        yaml_event_delete(&e->event);
        e->live = false;
    }
}

static bool next_event(struct reader *r, struct event *e) {
    if (!yaml_parser_parse(&r->parser, &e->event)) {
        return fail_parser(r);
    }
    e->live = true;
    return true;
}

static struct str copy_text(struct reader *r, struct str text) {
    return text.n ? arena_dup(r->arena, text) : STR("");
}

static struct str short_tag(const char *tag) {
    struct str text = str_from(tag);
    struct str prefix = STR("tag:yaml.org,2002:");
    return str_starts(text, prefix) ? str_skip(text, prefix.n) : (struct str){NULL, 0};
}

static const char *tag_name(enum yaml_tag tag) {
    static const char *const NAMES[] = {"str", "null", "bool", "int", "int", "float", "timestamp"};
    return NAMES[tag];
}

// What an explicit tag makes of a scalar. False when text and tag do not fit.
static bool apply_tag(struct str tag, struct yaml_scalar *scalar) {
    const char *is = tag_name(scalar->tag);
    if (tag.p == NULL || str_eq_c(tag, is)) {
        return true;
    }
    if (str_eq_c(tag, "float") && scalar->tag == YAML_TAG_INT) {
        *scalar = (struct yaml_scalar){.tag = YAML_TAG_FLOAT, .number = (double)scalar->integer};
        return true;
    }
    return false;
}

static bool tag_resolves(struct str tag) {
    static const char *const TAGS[] = {"bool", "int", "float", "null", "timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(TAGS); i++) {
        if (str_eq_c(tag, TAGS[i])) {
            return true;
        }
    }
    return false;
}

static bool scalar_type(struct reader *r, const yaml_event_t *event, struct str text,
                        struct yaml_scalar *out, bool *binary) {
    const char *tag_text = (const char *)event->data.scalar.tag;
    struct str tag = tag_text ? short_tag(tag_text) : (struct str){NULL, 0};
    *out = (struct yaml_scalar){.tag = YAML_TAG_STR};
    *binary = tag.p && str_eq_c(tag, "binary");
    if (!tag_text ? !event->data.scalar.plain_implicit : !tag_resolves(tag)) {
        return true;
    }
    *out = yaml_resolve(text, r->options->profile);
    if (tag_text && out->tag == YAML_TAG_TIMESTAMP && !str_eq_c(tag, "timestamp")) {
        out->tag = YAML_TAG_STR; // only untagged text is tried as a time
    }
    if (tag_text && !apply_tag(tag, out)) {
        uint32_t line = (uint32_t)event->start_mark.line + 1;
        return err_set_at(r->err, ERR_INVALID, line, (uint32_t)event->start_mark.column + 1,
                          "yaml: line %u: cannot decode !!%s `%.*s` as a !!%.*s", line,
                          tag_name(out->tag), STR_ARG(str_first(text, 60)), STR_ARG(tag));
    }
    return true;
}

static bool number_value(struct reader *r, const yaml_event_t *event, double d,
                         struct doc_value *out) {
    if (isinf(d) || isnan(d)) {
        uint32_t line = (uint32_t)event->start_mark.line + 1;
        return err_set_at(r->err, ERR_INVALID, line, (uint32_t)event->start_mark.column + 1,
                          "json: unsupported value: %s (line %u); hint: JSON knows no infinite "
                          "numbers, put the value in quotes",
                          isnan(d) ? "NaN"
                          : d > 0  ? "+Inf"
                                   : "-Inf",
                          line);
    }
    // Through JSON, as the Go tools go: a whole number is an integer again.
    *out = d == 0 ? doc_make_int(0) : doc_make_double(r->arena, d);
    return true;
}

static struct doc_value timestamp_value(struct reader *r, struct str text) {
    if (r->options->profile == YAML_KUBERNETES) {
        return doc_make_str(copy_text(r, text));
    }
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, 80);
    yaml_timestamp_format(text, &buf);
    return doc_make_str(arena_dup(r->arena, buf_str(&buf)));
}

// Bytes that are not UTF-8 become U+FFFD, as Go's JSON encoder does it.
static struct str clean_utf8(struct reader *r, struct str text) {
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, text.n * 3 + 1);
    for (size_t at = 0, len; at < text.n; at += len) {
        uint32_t rune = yaml_next_rune(text, at, &len);
        if (rune == 0xFFFD && len == 1) {
            buf_add_c(&buf, "\xEF\xBF\xBD");
        } else {
            buf_add(&buf, text.p + at, len);
        }
    }
    return copy_text(r, buf_str(&buf));
}

static bool binary_value(struct reader *r, const yaml_event_t *event, struct str text,
                         struct doc_value *out) {
    struct str data;
    if (!base64_decode(text, r->arena, &data)) {
        uint32_t line = (uint32_t)event->start_mark.line + 1;
        return err_set_at(r->err, ERR_INVALID, line, (uint32_t)event->start_mark.column + 1,
                          "yaml: line %u: !!binary value contains invalid base64 data", line);
    }
    *out = doc_make_str(clean_utf8(r, data));
    return true;
}

static struct str scalar_text(const yaml_event_t *event) {
    return str_make((const char *)event->data.scalar.value, event->data.scalar.length);
}

static bool read_scalar(struct reader *r, const yaml_event_t *event, struct node *out) {
    struct str text = scalar_text(event);
    struct yaml_scalar scalar;
    bool binary;
    if (!scalar_type(r, event, text, &scalar, &binary)) {
        return false;
    }
    if (binary) {
        return binary_value(r, event, text, &out->value);
    }
    switch (scalar.tag) {
    case YAML_TAG_NULL:
        out->value = doc_null();
        return true;
    case YAML_TAG_BOOL:
        out->value = doc_make_bool(scalar.boolean);
        return true;
    case YAML_TAG_INT:
        out->value = doc_make_int(scalar.integer);
        return true;
    case YAML_TAG_UINT: {
        struct str digits = arena_printf(r->arena, "%llu", (unsigned long long)scalar.natural);
        out->value =
            (struct doc_value){.kind = DOC_NUMBER, .len = (uint32_t)digits.n, .u.text = digits.p};
        return true;
    }
    case YAML_TAG_FLOAT:
        return number_value(r, event, scalar.number, &out->value);
    case YAML_TAG_TIMESTAMP:
        out->value = timestamp_value(r, text);
        return true;
    case YAML_TAG_STR:
        break;
    }
    out->value = doc_make_str(copy_text(r, text));
    return true;
}

// ---- Keys ----

static bool fail_key(struct reader *r, const yaml_event_t *event, const char *what) {
    uint32_t line = (uint32_t)event->start_mark.line + 1;
    return err_set_at(
        r->err, ERR_INVALID, line, (uint32_t)event->start_mark.column + 1,
        "yaml: line %u: invalid map key: %s; hint: put the key, or template text such "
        "as {{ ... }}, in quotes",
        line, what);
}

// Keys of YAML_KUBERNETES go through their type ("012" is the key 10, "on" is "true"); kyaml keeps their text.
static bool read_key(struct reader *r, const yaml_event_t *event, struct buf *scratch,
                     const struct doc_key **out) {
    struct str text = scalar_text(event);
    struct yaml_scalar scalar;
    bool binary;
    if (!scalar_type(r, event, text, &scalar, &binary)) {
        return false;
    }
    buf_clear(scratch);
    if (binary) {
        struct doc_value value;
        if (!binary_value(r, event, text, &value)) {
            return false;
        }
        text = doc_str(&value);
    } else if (r->options->profile == YAML_KUBERNETES) {
        char number[YAML_NUMBER_MAX];
        switch (scalar.tag) {
        case YAML_TAG_NULL:
            return fail_key(r, event, "null");
        case YAML_TAG_UINT:
            return fail_key(r, event, "a number above 9223372036854775807");
        case YAML_TAG_BOOL:
            text = scalar.boolean ? STR("true") : STR("false");
            break;
        case YAML_TAG_INT:
            buf_add_int64(scratch, scalar.integer);
            text = buf_str(scratch);
            break;
        case YAML_TAG_FLOAT:
            text = str_make(number, yaml_format_g((double)(float)scalar.number, 32, number));
            *out = doc_keys_intern(&r->keys, text, doc_key_hash(text.p, text.n));
            return true;
        case YAML_TAG_STR:
        case YAML_TAG_TIMESTAMP:
            break;
        }
    }
    text.p = text.p ? text.p : "";
    *out = doc_keys_intern(&r->keys, text, doc_key_hash(text.p, text.n));
    return true;
}

// ---- Nodes ----

static bool count_nodes(struct reader *r, const yaml_mark_t *mark, uint64_t more, bool alias) {
    *(alias ? &r->expanded : &r->written) += more;
    if (r->written + r->expanded > LIMIT_YAML_NODES) {
        return fail_limit(r, mark, "LIMIT_YAML_NODES", "the stream has too many values");
    }
    if (r->expanded > LIMIT_YAML_ALIAS_FREE && r->expanded > r->written * LIMIT_YAML_ALIAS_RATIO) {
        return fail_limit(r, mark, "LIMIT_YAML_ALIAS_RATIO",
                          "document contains excessive aliasing");
    }
    return true;
}

static bool read_node(struct reader *r, struct event *e, uint32_t depth, struct node *out);

static struct anchor *anchor_open(struct reader *r, const yaml_char_t *name) {
    if (!name) {
        return NULL;
    }
    struct anchor *anchor = NEW(struct anchor);
    anchor->open = true;
    anchor->next = r->all_anchors;
    r->all_anchors = anchor;
    if (!r->anchors) {
        r->anchors = map_create();
    }
    map_put(r->anchors, str_from((const char *)name), anchor);
    return anchor;
}

static void anchor_close(struct anchor *anchor, const struct node *node) {
    if (anchor) {
        anchor->node = *node;
        anchor->open = false;
    }
}

static void clear_anchors(struct reader *r) {
    while (r->all_anchors) {
        struct anchor *next = r->all_anchors->next;
        free(r->all_anchors);
        r->all_anchors = next;
    }
    map_destroy(r->anchors);
    r->anchors = NULL;
}

static bool read_alias(struct reader *r, const yaml_event_t *event, uint32_t depth,
                       struct node *out) {
    const char *name = (const char *)event->data.alias.anchor;
    uint32_t line = (uint32_t)event->start_mark.line + 1;
    uint32_t column = (uint32_t)event->start_mark.column + 1;
    const struct anchor *anchor = r->anchors ? map_find(r->anchors, str_from(name)) : NULL;
    if (!anchor || anchor->open) {
        const char *problem =
            anchor ? "anchor '%s' value contains itself" : "unknown anchor '%s' referenced";
        err_set_at(r->err, ERR_INVALID, line, column, problem, name);
        return err_wrap(r->err, "yaml: line %u", line);
    }
    *out = anchor->node;
    out->line = line;
    out->column = column;
    if (depth + out->height > LIMIT_YAML_DEPTH) {
        return fail_limit(r, &event->start_mark, "LIMIT_YAML_DEPTH", "nested too deeply");
    }
    return count_nodes(r, &event->start_mark, out->nodes, true);
}

static void add_place(struct reader *r, const struct doc_value *value, const struct node *node) {
    if (r->options->places) {
        VEC_PUSH(&r->places, ((struct yaml_place){value, node->line, node->column}));
    }
}

static void add_child(struct node *parent, const struct node *child) {
    parent->nodes += child->nodes;
    parent->height = child->height + 1 > parent->height ? child->height + 1 : parent->height;
}

static bool read_sequence(struct reader *r, uint32_t depth, struct node *out) {
    size_t first = r->items.len;
    struct event e = {0};
    for (;;) {
        if (!next_event(r, &e)) {
            return false;
        }
        if (e.event.type == YAML_SEQUENCE_END_EVENT) {
            event_fini(&e);
            break;
        }
        struct node item;
        bool ok = read_node(r, &e, depth + 1, &item);
        event_fini(&e);
        if (!ok) {
            return false;
        }
        VEC_PUSH(&r->items, item);
        add_child(out, &item);
    }
    size_t count = r->items.len - first;
    struct doc_value *items = count ? ARENA_ARRAY(r->arena, count, struct doc_value) : NULL;
    for (size_t i = 0; i < count; i++) {
        items[i] = r->items.items[first + i].value;
        add_place(r, &items[i], &r->items.items[first + i]);
    }
    r->items.len = first;
    out->value = (struct doc_value){.kind = DOC_ARRAY, .len = (uint32_t)count, .u.items = items};
    return true;
}

static void merge_object(struct reader *r, const struct member *at,
                         const struct doc_value *object) {
    for (DOC_EACH_MEMBER(object, i)) {
        struct member member = *at;
        member.key = object->u.members[i].key;
        member.node.value = object->u.members[i].value;
        member.merged = true;
        VEC_PUSH(&r->members, member);
    }
}

// "<<": a mapping, or a list of mappings of which the first one wins.
static bool merge_members(struct reader *r, const struct member *at) {
    const struct doc_value *value = &at->node.value;
    if (value->kind == DOC_OBJECT) {
        merge_object(r, at, value);
        return true;
    }
    bool ok = value->kind == DOC_ARRAY;
    for (size_t i = 0; ok && i < value->len; i++) {
        ok = value->u.items[i].kind == DOC_OBJECT;
    }
    if (!ok) {
        return err_set_at(r->err, ERR_INVALID, at->key_line, at->key_column,
                          "yaml: line %u: map merge requires map or sequence of maps as the value",
                          at->key_line);
    }
    for (size_t i = value->len; i-- > 0;) {
        merge_object(r, at, &value->u.items[i]);
    }
    return true;
}

static bool is_merge_key(const yaml_event_t *event) {
    const char *tag = (const char *)event->data.scalar.tag;
    return str_eq_c(scalar_text(event), "<<") &&
           (tag ? str_eq_c(short_tag(tag), "merge") : event->data.scalar.plain_implicit != 0);
}

enum { DUPLICATES_MOST = 100 }; // more are not told of

static void note_duplicate(struct reader *r, const struct member *m) {
    struct yaml_notes *notes = r->options->duplicates;
    if (notes->len == notes->cap && notes->cap < DUPLICATES_MOST) {
        notes->cap = DUPLICATES_MOST;
        notes->items = ARENA_ARRAY(r->arena, notes->cap, struct str);
    }
    if (notes->len < notes->cap) {
        notes->items[notes->len++] = arena_printf(
            r->arena, "line %u: key \"%s\" already set in map", m->key_line, m->key->text);
    }
}

// The members from `first` on as an object. go-yaml v2 lets the later of two equal keys win, merged or not; v3 prefers
// the one written in the mapping itself.
static bool finish_mapping(struct reader *r, size_t first, struct node *out) {
    size_t count = r->members.len - first;
    struct doc_object object = doc_object_start(r->arena);
    struct node *sources = xcalloc(count ? count : 1, sizeof *sources);
    bool *own = xcalloc(count ? count : 1, sizeof *own);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const struct member *m = &r->members.items[first + i];
        uint32_t at = doc_object_find(&object, m->key);
        bool known = at != DOC_NOT_FOUND;
        bool v3 = r->options->profile == YAML_KUSTOMIZE;
        if (known && r->options->strict && (v3 ? own[at] && !m->merged : true)) {
            ok = err_set_at(r->err, ERR_INVALID, m->key_line, m->key_column,
                            "yaml: line %u: key \"%s\" already set in map", m->key_line,
                            m->key->text);
            break;
        }
        if (known && r->options->duplicates) {
            note_duplicate(r, m);
        }
        if (known && v3 && m->merged && own[at]) {
            continue;
        }
        at = known ? at : object.len;
        doc_object_set_key(&object, m->key, m->node.value);
        sources[at] = m->node;
        own[at] = !m->merged;
    }
    if (ok) {
        out->value = doc_object_done(&object);
        for (size_t i = 0; i < out->value.len; i++) {
            add_place(r, &out->value.u.members[i].value, &sources[i]);
        }
    }
    free(own);
    free(sources);
    r->members.len = first;
    return ok;
}

static bool read_member(struct reader *r, struct event *key_event, uint32_t depth,
                        struct buf *scratch, struct node *out) {
    const yaml_event_t *event = &key_event->event;
    struct member member = {.key_line = (uint32_t)event->start_mark.line + 1,
                            .key_column = (uint32_t)event->start_mark.column + 1};
    bool merge = false;
    if (event->type == YAML_SCALAR_EVENT) {
        merge = is_merge_key(event);
        struct anchor *anchor = anchor_open(r, event->data.scalar.anchor);
        struct node node = {.nodes = 1, .line = member.key_line, .column = member.key_column};
        if ((!merge && !read_key(r, event, scratch, &member.key)) ||
            (anchor && !read_scalar(r, event, &node))) {
            return false;
        }
        anchor_close(anchor, &node);
    } else if (event->type == YAML_ALIAS_EVENT) {
        struct node node;
        if (!read_alias(r, event, depth, &node)) {
            return false;
        }
        if (node.value.kind != DOC_STRING && node.value.kind != DOC_INT) {
            return fail_key(r, event, doc_kind_name((enum doc_kind)node.value.kind));
        }
        struct str text = node.value.kind == DOC_STRING ? doc_str(&node.value)
                                                        : doc_number_text(&node.value, r->arena);
        member.key = doc_keys_intern(&r->keys, text, doc_key_hash(text.p, text.n));
    } else {
        return fail_key(r, event, event->type == YAML_MAPPING_START_EVENT ? "a map" : "a list");
    }
    struct event e = {0};
    if (!next_event(r, &e)) {
        return false;
    }
    bool ok = read_node(r, &e, depth + 1, &member.node);
    event_fini(&e);
    if (!ok) {
        return false;
    }
    add_child(out, &member.node);
    if (merge) {
        return merge_members(r, &member);
    }
    VEC_PUSH(&r->members, member);
    return true;
}

static bool read_mapping(struct reader *r, uint32_t depth, struct node *out) {
    size_t first = r->members.len;
    AUTO_BUF struct buf scratch = {0};
    buf_init(&scratch, 64);
    struct event e = {0};
    for (;;) {
        if (!next_event(r, &e)) {
            return false;
        }
        bool end = e.event.type == YAML_MAPPING_END_EVENT;
        bool ok = end || read_member(r, &e, depth, &scratch, out);
        event_fini(&e);
        if (!ok) {
            return false;
        }
        if (end) {
            return finish_mapping(r, first, out);
        }
    }
}

// Reads the node that starts with `e`; the caller ends the event.
static bool read_node(struct reader *r, struct event *e, uint32_t depth, struct node *out) {
    const yaml_event_t *event = &e->event;
    *out = (struct node){.line = (uint32_t)event->start_mark.line + 1,
                         .column = (uint32_t)event->start_mark.column + 1,
                         .nodes = 1};
    if (event->type == YAML_ALIAS_EVENT) {
        return read_alias(r, event, depth, out);
    }
    if (!count_nodes(r, &event->start_mark, 1, false)) {
        return false;
    }
    if (depth >= LIMIT_YAML_DEPTH) {
        return fail_limit(r, &event->start_mark, "LIMIT_YAML_DEPTH", "nested too deeply");
    }
    struct anchor *anchor;
    bool ok;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = anchor_open(r, event->data.scalar.anchor);
        ok = read_scalar(r, event, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = anchor_open(r, event->data.sequence_start.anchor);
        ok = read_sequence(r, depth, out);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = anchor_open(r, event->data.mapping_start.anchor);
        ok = read_mapping(r, depth, out);
        break;
    default:
        return err_set(r->err, ERR_INTERNAL, "unexpected YAML event");
    }
    if (ok) {
        anchor_close(anchor, out);
    }
    return ok;
}

// ---- Streams ----

static int compare_places(const void *a, const void *b) {
    uintptr_t left = (uintptr_t)((const struct yaml_place *)a)->value;
    uintptr_t right = (uintptr_t)((const struct yaml_place *)b)->value;
    return left < right ? -1 : left > right;
}

static bool read_document(struct reader *r) {
    struct event e = {0};
    if (!next_event(r, &e)) {
        return false;
    }
    struct node root;
    r->places.len = 0;
    bool ok = read_node(r, &e, 0, &root);
    event_fini(&e);
    if (!ok) {
        return false;
    }
    clear_anchors(r);
    struct yaml_document document = {.root = root.value, .line = root.line};
    // The place of the root comes first now and gets its address when the documents have theirs.
    size_t count = r->options->places ? r->places.len + 1 : 0;
    document.places = count ? ARENA_ARRAY(r->arena, count, struct yaml_place) : NULL;
    document.place_count = count;
    if (count) {
        document.places[0] = (struct yaml_place){NULL, root.line, root.column};
    }
    if (r->places.len) {
        memcpy(document.places + 1, r->places.items, r->places.len * sizeof *document.places);
    }
    VEC_PUSH(&r->documents, document);
    return true;
}

static bool read_stream(struct reader *r) {
    for (;;) {
        struct event e = {0};
        if (!next_event(r, &e)) {
            return false;
        }
        yaml_event_type_t type = e.event.type;
        event_fini(&e);
        if (type == YAML_STREAM_END_EVENT) {
            return true;
        }
        if (type == YAML_DOCUMENT_START_EVENT && !read_document(r)) {
            return false;
        }
    }
}

// Arenas hand out rising addresses for long stretches, so most documents are in order already.
static void sort_places(struct yaml_place *places, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (compare_places(&places[i - 1], &places[i]) > 0) {
            qsort(places, count, sizeof *places, compare_places);
            return;
        }
    }
}

static struct yaml_document *finish_documents(struct reader *r) {
    size_t count = r->documents.len;
    struct yaml_document *out = ARENA_ARRAY(r->arena, count ? count : 1, struct yaml_document);
    for (size_t i = 0; i < count; i++) {
        out[i] = r->documents.items[i];
        if (out[i].place_count) {
            out[i].places[0].value = &out[i].root;
            sort_places(out[i].places + 1, out[i].place_count - 1);
        }
    }
    return out;
}

// JSON that YAML 1.1 cannot read: surrogate pairs in escapes, tabs as indentation.
static bool try_json(struct str text, struct arena *arena, struct yaml_document **out,
                     size_t *count) {
    struct str trimmed = str_trim(text);
    struct doc_value value;
    if (trimmed.n == 0 || (trimmed.p[0] != '{' && trimmed.p[0] != '[') ||
        !doc_parse_json_copy(trimmed, arena, &value, NULL)) {
        return false;
    }
    *out = ARENA_NEW(arena, struct yaml_document);
    **out = (struct yaml_document){.root = value, .line = 1};
    *count = 1;
    return true;
}

bool yaml_parse(struct str text, const struct yaml_options *options, struct arena *arena,
                struct yaml_document **out, size_t *count, struct err *err) {
    if (text.n > LIMIT_YAML_BYTES) {
        return err_set(err, ERR_LIMIT, "yaml: %zu bytes are more than LIMIT_YAML_BYTES", text.n);
    }
    struct err problem = {0};
    struct reader r = {.options = options, .arena = arena, .err = &problem};
    if (!yaml_parser_initialize(&r.parser)) {
        return err_set(err, ERR_LIMIT, "out of memory while reading YAML");
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    doc_keys_init(&r.keys, arena);
    bool ok = read_stream(&r);
    if (ok) {
        *out = finish_documents(&r);
        *count = r.documents.len;
    }
    doc_keys_fini(&r.keys);
    clear_anchors(&r);
    VEC_FREE(&r.items);
    VEC_FREE(&r.members);
    VEC_FREE(&r.places);
    VEC_FREE(&r.documents);
    yaml_parser_delete(&r.parser);
    if (!ok && problem.code == ERR_INVALID && !options->strict) {
        ok = try_json(text, arena, out, count);
    }
    if (!ok && err) {
        *err = problem;
    }
    return ok;
}

void yaml_place_of(const struct yaml_document *document, const struct doc_value *value,
                   uint32_t *line, uint32_t *column) {
    *line = 0;
    *column = 0;
    // The root comes first, the others are sorted by address.
    size_t low = value == &document->root ? 0 : 1;
    size_t high = low == 0 ? 0 : document->place_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)document->places[middle].value < (uintptr_t)value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < document->place_count && document->places[low].value == value) {
        *line = document->places[low].line;
        *column = document->places[low].column;
    }
}
