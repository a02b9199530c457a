// SPDX-License-Identifier: Apache-2.0
// JSON patch (RFC 6902). A patch may have thousands of operations on one long array, so the path that an operation
// touches is turned into drafts, containers that can be changed in place, and all drafts become values at the end.
// A draft stands in its parent as a value of a kind that nobody outside this file sees.
#include "base/limits.h"
#include "doc/pointer.h"

enum { KIND_DRAFT = 200 };

struct draft {
    bool is_object;
    struct doc_object object;
    struct doc_array array;
};

struct patcher {
    struct arena *arena;
    struct doc_value root; // a value or a draft
    size_t copied;         // bytes, against LIMIT_PATCH_COPY_BYTES
    size_t moved;          // values, against LIMIT_PATCH_MOVES
    struct err *err;
};

static struct draft *draft_of(const struct doc_value *slot) {
    return slot->kind == KIND_DRAFT ? (struct draft *)(uintptr_t)slot->u.text : NULL;
}

// Makes the container in `slot` changeable; NULL when it is no container.
static struct draft *thaw(struct patcher *patcher, struct doc_value *slot) {
    if (slot->kind == KIND_DRAFT) {
        return draft_of(slot);
    }
    if (slot->kind != DOC_OBJECT && slot->kind != DOC_ARRAY) {
        return NULL;
    }
    struct draft *draft = ARENA_NEW(patcher->arena, struct draft);
    draft->is_object = slot->kind == DOC_OBJECT;
    if (draft->is_object) {
        draft->object = doc_object_copy(patcher->arena, slot);
    } else {
        draft->array = doc_array_start(patcher->arena);
        doc_array_reserve(&draft->array, slot->len + 1);
        if (slot->len) {
            memcpy(draft->array.items, slot->u.items, slot->len * sizeof(struct doc_value));
        }
        draft->array.len = slot->len;
    }
    *slot = (struct doc_value){.kind = KIND_DRAFT, .u.text = (const char *)draft};
    return draft;
}

static bool fail_depth(struct patcher *patcher) {
    return err_set(patcher->err, ERR_LIMIT,
                   "the result is nested deeper than %d levels (LIMIT_JSON_DEPTH)",
                   LIMIT_JSON_DEPTH);
}

static bool freeze_drafts(struct doc_value *slot, unsigned levels) {
    struct draft *draft = draft_of(slot);
    if (!draft) {
        return true; // values have no drafts below them
    }
    bool ok = levels > 0;
    for (uint32_t i = 0; ok && i < draft->object.len; i++) {
        ok = freeze_drafts(&draft->object.members[i].value, levels - 1);
    }
    for (uint32_t i = 0; ok && i < draft->array.len; i++) {
        ok = freeze_drafts(&draft->array.items[i], levels - 1);
    }
    *slot = draft->is_object ? doc_object_done(&draft->object) : doc_array_done(&draft->array);
    return ok;
}

static bool is_deeper(const struct doc_value *v, unsigned levels) {
    if (v->kind != DOC_ARRAY && v->kind != DOC_OBJECT) {
        return false;
    }
    bool deeper = levels == 0;
    for (uint32_t i = 0; !deeper && i < v->len; i++) {
        deeper =
            is_deeper(v->kind == DOC_ARRAY ? &v->u.items[i] : &v->u.members[i].value, levels - 1);
    }
    return deeper;
}

// Turns drafts at and below `slot` into values again. Moves can nest things without end, so the depth is checked here,
// before anything recurses further.
static bool freeze(struct patcher *patcher, struct doc_value *slot) {
    return (freeze_drafts(slot, LIMIT_JSON_DEPTH) && !is_deeper(slot, LIMIT_JSON_DEPTH)) ||
           fail_depth(patcher);
}

// ---- Walking ----

static struct str decode_token(struct patcher *patcher, struct str token) {
    if (str_find_char(token, '~') == STR_NPOS) {
        return token;
    }
    char *text = arena_alloc(patcher->arena, token.n);
    return str_make(text, pointer_unescape(token, text)); // the pointer was checked before
}

// The child of a draft or value, or NULL.
static struct doc_value *child_of(struct patcher *patcher, struct draft *draft, struct str token) {
    if (draft->is_object) {
        struct str key = decode_token(patcher, token);
        uint32_t at = doc_object_position(&draft->object, key);
        return at == DOC_NOT_FOUND ? NULL : &draft->object.members[at].value;
    }
    uint32_t index;
    return pointer_index(token, &index) && index < draft->array.len ? &draft->array.items[index]
                                                                    : NULL;
}

// What can be shown of a pointer in a message.
#define POINTER_ARG(pointer) (int)((pointer).n > 200 ? 200 : (pointer).n), (pointer).p

// The container that holds the last token of `pointer`, as a draft. `pointer` is not "".
static struct draft *find_parent(struct patcher *patcher, struct str pointer, const char *op,
                                 struct str *last) {
    struct str rest = pointer;
    struct str token;
    struct doc_value *slot = &patcher->root;
    if (!pointer_next(&rest, &token)) {
        return NULL;
    }
    for (;;) {
        struct draft *draft = thaw(patcher, slot);
        size_t walked = (size_t)(token.p - pointer.p) - 1;
        if (!draft) {
            err_set(patcher->err, ERR_CONFLICT,
                    "%s operation does not apply: \"%.*s\" cannot be reached because \"%.*s\" is "
                    "neither an object nor an array",
                    op, POINTER_ARG(pointer), POINTER_ARG(str_first(pointer, walked)));
            return NULL;
        }
        if (rest.n == 0) {
            *last = token;
            return draft;
        }
        slot = child_of(patcher, draft, token);
        if (!slot) {
            size_t missing = walked + 1 + token.n;
            err_set(patcher->err, ERR_CONFLICT,
                    "%s operation does not apply: \"%.*s\" cannot be reached because \"%.*s\" does "
                    "not exist",
                    op, POINTER_ARG(pointer), POINTER_ARG(str_first(pointer, missing)));
            return NULL;
        }
        pointer_next(&rest, &token);
    }
}

// The place of an existing value; sets the error when there is none.
static struct doc_value *find_slot(struct patcher *patcher, struct str pointer, const char *op) {
    if (pointer.n == 0) {
        return &patcher->root;
    }
    struct str last;
    struct draft *parent = find_parent(patcher, pointer, op, &last);
    struct doc_value *slot = parent ? child_of(patcher, parent, last) : NULL;
    if (parent && !slot) {
        err_set(patcher->err, ERR_CONFLICT, "%s operation does not apply: \"%.*s\" does not exist",
                op, POINTER_ARG(pointer));
    }
    return slot;
}

// ---- Operations ----

static bool count_moves(struct patcher *patcher, size_t values) {
    patcher->moved += values;
    return patcher->moved <= LIMIT_PATCH_MOVES ||
           err_set(
               patcher->err, ERR_LIMIT,
               "the operations shift more than %d values (LIMIT_PATCH_MOVES); add at the end of "
               "long arrays or replace them whole",
               LIMIT_PATCH_MOVES);
}

static bool insert_item(struct patcher *patcher, struct doc_array *array, struct str pointer,
                        struct str token, struct doc_value value) {
    uint32_t at = array->len;
    if (!str_eq(token, STR("-")) && (!pointer_index(token, &at) || at > array->len)) {
        return err_set(patcher->err, ERR_CONFLICT,
                       "add operation does not apply: \"%.*s\" is not a place in an array of %u "
                       "items; use an index from 0 to %u, or - for the end",
                       POINTER_ARG(pointer), array->len, array->len);
    }
    if (!count_moves(patcher, array->len - at)) {
        return false;
    }
    doc_array_reserve(array, 1);
    memmove(array->items + at + 1, array->items + at, (array->len - at) * sizeof *array->items);
    array->items[at] = value;
    array->len++;
    return true;
}

static bool add_value(struct patcher *patcher, struct str pointer, struct doc_value value,
                      const char *op) {
    if (pointer.n == 0) {
        patcher->root = value;
        return true;
    }
    struct str last;
    struct draft *parent = find_parent(patcher, pointer, op, &last);
    if (!parent) {
        return false;
    }
    if (parent->is_object) {
        doc_object_set(&parent->object, decode_token(patcher, last), value);
        return true;
    }
    return insert_item(patcher, &parent->array, pointer, last, value);
}

static bool remove_value(struct patcher *patcher, struct str pointer, const char *op,
                         struct doc_value *removed) {
    if (pointer.n == 0) {
        return err_set(patcher->err, ERR_CONFLICT,
                       "%s operation does not apply: the whole document cannot be removed", op);
    }
    struct str last;
    struct doc_value *slot = find_slot(patcher, pointer, op);
    if (!slot) {
        return false;
    }
    *removed = *slot;
    struct draft *parent = find_parent(patcher, pointer, op, &last);
    CHECK(parent);
    if (parent->is_object) {
        struct doc_member *member = CONTAINER_OF(slot, struct doc_member, value);
        uint32_t at = (uint32_t)(member - parent->object.members);
        size_t behind = parent->object.len - at;
        // Behind a removal the index of a large object is made anew.
        doc_object_remove_at(&parent->object, at);
        return count_moves(patcher, behind + parent->object.len);
    }
    struct doc_array *array = &parent->array;
    size_t behind = (size_t)(array->items + array->len - slot) - 1;
    memmove(slot, slot + 1, behind * sizeof *slot);
    array->len--;
    return count_moves(patcher, behind);
}

// About the bytes that printing takes, no more than `limit` and a bit.
static size_t weigh(const struct doc_value *v, size_t limit) {
    size_t sum = 8;
    if (v->kind == DOC_STRING || v->kind == DOC_NUMBER) {
        return sum + v->len;
    }
    for (uint32_t i = 0; i < doc_len(v) && sum < limit; i++) {
        if (v->kind == DOC_ARRAY) {
            sum += weigh(&v->u.items[i], limit - sum);
        } else {
            sum += v->u.members[i].key->len + 4 + weigh(&v->u.members[i].value, limit - sum);
        }
    }
    return sum;
}

static bool copy_value(struct patcher *patcher, struct str from, struct str path) {
    struct doc_value *slot = find_slot(patcher, from, "copy");
    if (!slot) {
        return false;
    }
    if (!freeze(patcher, slot)) { // both places share it from now on
        return false;
    }
    patcher->copied += weigh(slot, LIMIT_PATCH_COPY_BYTES);
    if (patcher->copied > LIMIT_PATCH_COPY_BYTES) {
        return err_set(patcher->err, ERR_LIMIT,
                       "the copy operations add more than %d bytes (LIMIT_PATCH_COPY_BYTES)",
                       LIMIT_PATCH_COPY_BYTES);
    }
    return add_value(patcher, path, *slot, "copy");
}

static bool move_value(struct patcher *patcher, struct str from, struct str path) {
    if (str_starts(path, from) && path.n > from.n && path.p[from.n] == '/') {
        return err_set(patcher->err, ERR_CONFLICT,
                       "move operation does not apply: \"%.*s\" cannot move into itself",
                       POINTER_ARG(from));
    }
    struct doc_value value;
    if (str_eq(from, path)) {
        return find_slot(patcher, from, "move") != NULL;
    }
    return remove_value(patcher, from, "move", &value) && add_value(patcher, path, value, "move");
}

static bool test_value(struct patcher *patcher, struct str path, const struct doc_value *value) {
    struct doc_value *slot = find_slot(patcher, path, "test");
    if (!slot || !freeze(patcher, slot)) {
        return false;
    }
    return doc_equal(slot, value) ||
           err_set(patcher->err, ERR_CONFLICT,
                   "testing path \"%.*s\" value failed: the document has another value there",
                   POINTER_ARG(path));
}

// ---- Reading operations ----

static bool read_pointer(const struct doc_value *op, const char *field, size_t number,
                         struct str *out, struct err *err) {
    const struct doc_value *v = doc_get(op, field);
    if (!doc_is(v, DOC_STRING)) {
        return err_set(err, ERR_INVALID,
                       "operation %zu has no \"%s\"; it is a JSON pointer such as /a/b", number,
                       field);
    }
    struct str pointer = doc_str(v);
    bool ok = pointer.n == 0 || pointer.p[0] == '/';
    for (size_t i = 0; ok && i < pointer.n; i++) {
        ok = pointer.p[i] != '~' ||
             (i + 1 < pointer.n && (pointer.p[i + 1] == '0' || pointer.p[i + 1] == '1'));
    }
    if (!ok) {
        return err_set(
            err, ERR_INVALID,
            "operation %zu: \"%.*s\" is not a JSON pointer; it begins with / and writes ~ "
            "as ~0 and / within a name as ~1",
            number, POINTER_ARG(pointer));
    }
    *out = pointer;
    return true;
}

static bool apply_operation(struct patcher *patcher, const struct doc_value *op, size_t number) {
    struct str name = doc_get_str(op, "op");
    const struct doc_value *value = doc_get(op, "value");
    bool needs_value = str_eq_c(name, "add") || str_eq_c(name, "replace") || str_eq_c(name, "test");
    bool needs_from = str_eq_c(name, "copy") || str_eq_c(name, "move");
    struct str path, from = {0};
    if (!needs_value && !needs_from && !str_eq_c(name, "remove")) {
        return err_set(patcher->err, ERR_INVALID,
                       "operation %zu: unexpected kind \"%.*s\"; op is add, remove, replace, move, "
                       "copy or test",
                       number, POINTER_ARG(name));
    }
    if (!read_pointer(op, "path", number, &path, patcher->err) ||
        (needs_from && !read_pointer(op, "from", number, &from, patcher->err))) {
        return false;
    }
    if (needs_value && !value) {
        return err_set(patcher->err, ERR_INVALID, "operation %zu (%.*s) has no \"value\"", number,
                       POINTER_ARG(name));
    }
    struct doc_value removed;
    switch (name.p[0]) {
    case 'a':
        return add_value(patcher, path, *value, "add");
    case 't':
        return test_value(patcher, path, value);
    case 'c':
        return copy_value(patcher, from, path);
    case 'm':
        return move_value(patcher, from, path);
    default:
        break;
    }
    if (needs_value) {
        struct doc_value *slot = find_slot(patcher, path, "replace");
        if (slot) {
            *slot = *value;
        }
        return slot != NULL;
    }
    return remove_value(patcher, path, "remove", &removed);
}

bool doc_json_patch(struct arena *arena, const struct doc_value *root,
                    const struct doc_value *patch, struct doc_value *out, struct err *err) {
    if (!doc_is(patch, DOC_ARRAY)) {
        return err_set(err, ERR_INVALID,
                       "a JSON patch is an array of operations, not a value of kind %s",
                       doc_kind_name(doc_kind(patch)));
    }
    if (patch->len > LIMIT_PATCH_OPERATIONS) {
        return err_set(err, ERR_LIMIT,
                       "The allowed maximum operations in a JSON patch is %d, got %u",
                       LIMIT_PATCH_OPERATIONS, patch->len);
    }
    struct patcher patcher = {.arena = arena, .root = root ? *root : doc_null(), .err = err};
    size_t number = 0;
    for (DOC_EACH_ITEM(patch, op)) {
        number++;
        if (!doc_is(op, DOC_OBJECT)) {
            return err_set(err, ERR_INVALID, "operation %zu is not an object", number);
        }
        if (!apply_operation(&patcher, op, number)) {
            return false;
        }
    }
    if (!freeze(&patcher, &patcher.root)) {
        return false;
    }
    *out = patcher.root;
    return true;
}
