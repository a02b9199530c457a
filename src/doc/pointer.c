// SPDX-License-Identifier: Apache-2.0
// JSON pointers (RFC 6901).
#include "doc/pointer.h"

enum { TOKEN_INLINE = 256 };

bool pointer_next(struct str *rest, struct str *token) {
    if (rest->n == 0 || rest->p[0] != '/') {
        return false;
    }
    struct str tail = str_skip(*rest, 1);
    size_t slash = str_find_char(tail, '/');
    size_t n = slash == STR_NPOS ? tail.n : slash;
    *token = str_first(tail, n);
    *rest = str_skip(tail, n);
    return true;
}

size_t pointer_unescape(struct str token, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < token.n; i++) {
        char c = token.p[i];
        if (c == '~') {
            char code = i + 1 < token.n ? token.p[++i] : '\0';
            if (code != '0' && code != '1') {
                return STR_NPOS;
            }
            c = code == '0' ? '~' : '/';
        }
        out[n++] = c;
    }
    return n;
}

bool pointer_index(struct str token, uint32_t *index) {
    uint64_t value;
    if (!str_to_uint64(token, &value) || value >= UINT32_MAX ||
        (token.n > 1 && token.p[0] == '0')) {
        return false;
    }
    *index = (uint32_t)value;
    return true;
}

static const struct doc_value *find_escaped(const struct doc_value *object, struct str token) {
    char few[TOKEN_INLINE];
    char *text = token.n <= sizeof few ? few : xmalloc(token.n);
    size_t n = pointer_unescape(token, text);
    const struct doc_value *found = n == STR_NPOS ? NULL : doc_find(object, str_make(text, n));
    if (text != few) {
        free(text);
    }
    return found;
}

const struct doc_value *pointer_child(const struct doc_value *v, struct str token) {
    uint32_t index;
    if (doc_is(v, DOC_ARRAY)) {
        return pointer_index(token, &index) ? doc_at(v, index) : NULL;
    }
    return str_find_char(token, '~') == STR_NPOS ? doc_find(v, token) : find_escaped(v, token);
}

const struct doc_value *doc_pointer(const struct doc_value *v, struct str pointer) {
    struct str token;
    while (v && pointer_next(&pointer, &token)) {
        v = pointer_child(v, token);
    }
    return pointer.n ? NULL : v;
}

// The container `v` without the value at `rest`, which is known to be there.
static struct doc_value without(struct arena *arena, const struct doc_value *v, struct str rest) {
    struct str token;
    CHECK(pointer_next(&rest, &token));
    const struct doc_value *child = pointer_child(v, token);
    struct doc_value replacement = rest.n ? without(arena, child, rest) : doc_null();
    if (v->kind == DOC_OBJECT) {
        const struct doc_member *member = CONTAINER_OF(child, struct doc_member, value);
        struct doc_object copy = doc_object_copy(arena, v);
        if (rest.n) {
            copy.members[member - v->u.members].value = replacement;
        } else {
            doc_object_remove_at(&copy, (uint32_t)(member - v->u.members));
        }
        return doc_object_done(&copy);
    }
    struct doc_array copy = doc_array_start(arena);
    doc_array_reserve(&copy, v->len);
    for (uint32_t i = 0; i < v->len; i++) {
        if (&v->u.items[i] != child) {
            doc_array_add(&copy, v->u.items[i]);
        } else if (rest.n) {
            doc_array_add(&copy, replacement);
        }
    }
    return doc_array_done(&copy);
}

bool doc_pointer_remove(struct arena *arena, const struct doc_value *root, struct str pointer,
                        struct doc_value *out) {
    if (pointer.n == 0 || !doc_pointer(root, pointer)) {
        return false; // the root itself cannot go
    }
    *out = without(arena, root, pointer);
    return true;
}
