// SPDX-License-Identifier: Apache-2.0
// The document model: one immutable tree of 16-byte values for everything Kubernetes. Values live in an arena and die
// with it; the text that was parsed must live as long where a function says so. Functions that read accept NULL (an
// absent value) and answer with "absent" again, so that paths can be chained without checks.
#ifndef SKIFF_DOC_DOC_H
#define SKIFF_DOC_DOC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum doc_kind {
    DOC_NULL,
    DOC_BOOL,
    DOC_INT,    // fits an int64 and is written as a plain integer
    DOC_NUMBER, // any other number, kept as its text ("1.0", "1e3", "18446744073709551615")
    DOC_STRING,
    DOC_ARRAY,
    DOC_OBJECT,
};
const char *doc_kind_name(
    enum doc_kind kind); // "null", "boolean", "integer", "number", "string", "array", "object"

struct doc_value;
struct doc_member;

// Fields are for doc/ only; others use the functions below.
struct doc_value {
    uint8_t kind; // enum doc_kind
    uint8_t flags;
    uint16_t reserved;
    uint32_t len; // bytes of text, items or members
    union {
        bool boolean;
        int64_t integer;
        const char *text; // DOC_NUMBER, DOC_STRING
        const struct doc_value *items;
        const struct doc_member *members;
    } u;
};

// A key is a pointer to its bytes with the length in front, shared between equal keys of one document.
struct doc_key {
    uint32_t len;
    uint32_t hash;
    char text[];
};

struct doc_member {
    const struct doc_key *key;
    struct doc_value value;
};

_Static_assert(sizeof(struct doc_value) == 16, "values are 16 bytes");
_Static_assert(sizeof(struct doc_member) == 24, "members are 24 bytes");

// ---- Reading values (NULL in: absent out) ----
static inline enum doc_kind doc_kind(const struct doc_value *v) {
    return v ? (enum doc_kind)v->kind : DOC_NULL;
}
static inline bool doc_is(const struct doc_value *v, enum doc_kind kind) {
    return v && v->kind == kind;
}
static inline bool doc_is_null(const struct doc_value *v) { // absent or null
    return !v || v->kind == DOC_NULL;
}
// Strings only; anything else gives the empty slice. Bytes may contain NUL.
static inline struct str doc_str(const struct doc_value *v) {
    return v && v->kind == DOC_STRING ? (struct str){v->u.text, v->len} : (struct str){NULL, 0};
}
static inline bool doc_bool(const struct doc_value *v, bool fallback) {
    return v && v->kind == DOC_BOOL ? v->u.boolean : fallback;
}
static inline int64_t doc_int(const struct doc_value *v, int64_t fallback) {
    return v && v->kind == DOC_INT ? v->u.integer : fallback;
}
double doc_double(const struct doc_value *v, double fallback); // DOC_INT and DOC_NUMBER
struct str doc_number_text(const struct doc_value *v, struct arena *arena);

static inline size_t doc_len(const struct doc_value *v) { // items or members, else 0
    return v && (v->kind == DOC_ARRAY || v->kind == DOC_OBJECT) ? v->len : 0;
}
static inline const struct doc_value *doc_at(const struct doc_value *v, size_t i) {
    return v && v->kind == DOC_ARRAY && i < v->len ? &v->u.items[i] : NULL;
}
static inline struct str doc_key_at(const struct doc_value *v, size_t i) {
    return v && v->kind == DOC_OBJECT && i < v->len
               ? (struct str){v->u.members[i].key->text, v->u.members[i].key->len}
               : (struct str){NULL, 0};
}
static inline const struct doc_value *doc_value_at(const struct doc_value *v, size_t i) {
    return v && v->kind == DOC_OBJECT && i < v->len ? &v->u.members[i].value : NULL;
}
// for (DOC_EACH_ITEM(array, item)) ...    for (DOC_EACH_MEMBER(object, i)) { doc_key_at(object, i) ... }
#define DOC_EACH_ITEM(array, item)                                            \
    const struct doc_value *item = doc_at((array), 0),                        \
                           *item##_end = item ? item + doc_len(array) : NULL; \
    item != item##_end;                                                       \
    item++
#define DOC_EACH_MEMBER(object, i)                                              \
    size_t i = 0, i##_end = doc_is((object), DOC_OBJECT) ? doc_len(object) : 0; \
    i < i##_end;                                                                \
    i++

const struct doc_value *doc_find(const struct doc_value *object,
                                 struct str key); // exact, case-sensitive
// doc_get(v, "metadata", "labels", "app"): the value at that path of keys, or NULL. Keys are C strings.
#define doc_get(v, ...) doc_get_path((v), (const char *const[]){__VA_ARGS__, NULL})
const struct doc_value *doc_get_path(const struct doc_value *v, const char *const *keys);
#define doc_get_str(v, ...) doc_str(doc_get((v), __VA_ARGS__))

// ---- Building values: by value, parts in `arena`; strings are borrowed and must live as long as the arena ----
static inline struct doc_value doc_null(void) {
    return (struct doc_value){.kind = DOC_NULL};
}
static inline struct doc_value doc_make_bool(bool b) {
    return (struct doc_value){.kind = DOC_BOOL, .u.boolean = b};
}
static inline struct doc_value doc_make_int(int64_t i) {
    return (struct doc_value){.kind = DOC_INT, .u.integer = i};
}
struct doc_value doc_make_str(struct str borrowed);
struct doc_value doc_make_double(struct arena *arena,
                                 double d); // shortest text, as Go's encoding/json prints it
#define DOC_S(lit) doc_make_str(STR(lit))

// Objects under construction keep the order of insertion; setting a key again replaces its value in place. A builder is
// not used after its `done`: the value has taken its memory.
struct doc_index;
struct doc_object {
    struct arena *arena;
    struct doc_member *members;
    struct doc_index *index; // of large objects
    uint32_t len, cap;
};
struct doc_array {
    struct arena *arena;
    struct doc_value *items;
    uint32_t len, cap;
};
struct doc_object doc_object_start(struct arena *arena);
struct doc_object doc_object_copy(struct arena *arena,
                                  const struct doc_value *object); // members of `object`, shared
void doc_object_set(struct doc_object *object, struct str key,
                    struct doc_value value); // copies the key
void doc_object_set_c(struct doc_object *object, const char *key, struct doc_value value);
void doc_object_remove(struct doc_object *object, struct str key);
struct doc_value doc_object_done(const struct doc_object *object);
struct doc_array doc_array_start(struct arena *arena);
void doc_array_add(struct doc_array *array, struct doc_value value);
struct doc_value doc_array_done(const struct doc_array *array);

// Copy-on-write along a path of keys: the result shares everything else with `root`, which does not change. Missing
// objects on the way are made; a non-object on the way is replaced. Put: doc_with(arena, &root, value, "a", "b").
#define doc_with(arena, root, value, ...) \
    doc_with_path((arena), (root), (value), (const char *const[]){__VA_ARGS__, NULL})
#define doc_without(arena, root, ...) \
    doc_without_path((arena), (root), (const char *const[]){__VA_ARGS__, NULL})
struct doc_value doc_with_path(struct arena *arena, const struct doc_value *root,
                               struct doc_value value, const char *const *keys);
struct doc_value doc_without_path(struct arena *arena, const struct doc_value *root,
                                  const char *const *keys);
struct doc_value doc_clone(struct arena *arena, const struct doc_value *v); // deep, with its texts

// ---- JSON ----
// Strict RFC 8259 and strict UTF-8; a duplicate key keeps the place of the first and the value of the last, as Go's
// decoder into a map does. One value, white space around it allowed. Strings without escapes point into `text`, which
// must outlive `arena`'s use (borrowed); use doc_parse_json_copy where it does not.
bool doc_parse_json(struct str text, struct arena *arena, struct doc_value *out,
                    struct err *err) MUST_USE;
bool doc_parse_json_copy(struct str text, struct arena *arena, struct doc_value *out,
                         struct err *err) MUST_USE;
// Says also whether an object has a key twice; then doc_json_duplicates gives the paths ("spec.ports[0].name") in the order
// of the text, a hundred at most.
bool doc_parse_json_noting(struct str text, struct arena *arena, struct doc_value *out,
                           bool *duplicates, struct err *err) MUST_USE;
struct str *doc_json_duplicates(struct str text, struct arena *arena, size_t *count);
// Compact JSON in member order. Escapes only what JSON demands (not <, >, &).
bool doc_print_json(const struct doc_value *v, struct buf *out);
bool doc_print_json_indent(const struct doc_value *v, unsigned indent,
                           struct buf *out); // as Go's MarshalIndent
// Sorted keys (byte order), no white space: equal values give equal bytes.
bool doc_print_canonical(const struct doc_value *v, struct buf *out);
struct str doc_to_json(struct arena *arena,
                       const struct doc_value *v); // doc_print_json into the arena

// ---- Comparing ----
bool doc_equal(const struct doc_value *a,
               const struct doc_value *b);    // members in any order; numbers by value
uint64_t doc_hash(const struct doc_value *v); // agrees with doc_equal

// ---- Paths and patches ----
// JSON pointer (RFC 6901), "" is the root. NULL when absent.
const struct doc_value *doc_pointer(const struct doc_value *v, struct str pointer);
bool doc_pointer_remove(struct arena *arena, const struct doc_value *root, struct str pointer,
                        struct doc_value *out); // false when there was nothing to remove
// JSON patch (RFC 6902). All or nothing. ERR_INVALID: the patch is malformed (an API server answers 400); ERR_CONFLICT: it
// does not apply to this document, a failed test among it (422); ERR_LIMIT. The result shares with `root` and `patch`.
bool doc_json_patch(struct arena *arena, const struct doc_value *root,
                    const struct doc_value *patch, struct doc_value *out, struct err *err) MUST_USE;
struct doc_value doc_merge_patch(struct arena *arena, const struct doc_value *root,
                                 const struct doc_value *patch); // RFC 7386
// The merge patch that turns `from` into `to`; an empty object when equal.
struct doc_value doc_merge_diff(struct arena *arena, const struct doc_value *from,
                                const struct doc_value *to);

#endif
