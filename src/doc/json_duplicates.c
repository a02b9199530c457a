// SPDX-License-Identifier: Apache-2.0
// Which keys of a JSON text are there twice. The reader only says that there are some; their paths are found by a second
// walk over a text that is known to be right, so this one checks nothing but its own bounds.
#include "doc/doc_internal.h"

#include "base/limits.h"
#include "base/vec.h"

enum { DUPLICATES_MOST = 100 }; // more are not told of

struct level {
    bool object;
    size_t index;           // of the item, in an array
    struct str key;         // of the member, in an object
    struct doc_object seen; // keys of the object so far
};

struct finder {
    const char *p, *end;
    struct arena *arena;
    VEC(struct level) levels;
    VEC(struct str) found;
};

static void skip_text(struct finder *f) { // behind the closing quote
    for (f->p++; f->p < f->end && *f->p != '"'; f->p++) {
        f->p += *f->p == '\\';
    }
    f->p += f->p < f->end;
}

static struct str read_key(struct finder *f) {
    const char *from = f->p;
    skip_text(f);
    struct str raw = {from, (size_t)(f->p - from)};
    struct doc_value value;
    return doc_parse_json(raw, f->arena, &value, NULL) ? doc_str(&value) : raw;
}

static struct str path_of(struct finder *f) {
    struct str path = {"", 0};
    for (size_t i = 0; i < f->levels.len; i++) {
        const struct level *level = &f->levels.items[i];
        path = level->object ? arena_printf(f->arena, "%.*s%s%.*s", STR_ARG(path), i ? "." : "",
                                            STR_ARG(level->key))
                             : arena_printf(f->arena, "%.*s[%zu]", STR_ARG(path), level->index);
    }
    return path;
}

static void take_key(struct finder *f) {
    struct level *level = &f->levels.items[f->levels.len - 1];
    level->key = read_key(f);
    uint32_t before = level->seen.len;
    doc_object_set(&level->seen, level->key, doc_null());
    if (level->seen.len == before && f->found.len < DUPLICATES_MOST) {
        VEC_PUSH(&f->found, path_of(f));
    }
}

struct str *doc_json_duplicates(struct str text, struct arena *arena, size_t *count) {
    struct finder f = {.p = text.p, .end = text.p + text.n, .arena = arena};
    bool key = false; // a string that comes now is a key
    while (f.p < f.end) {
        struct level *top = f.levels.len ? &f.levels.items[f.levels.len - 1] : NULL;
        switch (*f.p) {
        case '{':
        case '[': {
            struct level level = {.object = *f.p == '{', .seen = doc_object_start(arena)};
            VEC_PUSH(&f.levels, level);
            key = level.object;
            f.p++;
            break;
        }
        case '}':
        case ']':
            f.levels.len -= f.levels.len > 0;
            key = false;
            f.p++;
            break;
        case ',':
            key = top && top->object;
            if (top) {
                top->index++;
            }
            f.p++;
            break;
        case '"':
            if (key && top) {
                take_key(&f);
            } else {
                skip_text(&f);
            }
            key = false;
            break;
        default:
            f.p++;
        }
    }
    struct str *out = ARENA_ARRAY(arena, f.found.len + 1, struct str);
    for (size_t i = 0; i < f.found.len; i++) {
        out[i] = f.found.items[i];
    }
    *count = f.found.len;
    VEC_FREE(&f.levels);
    VEC_FREE(&f.found);
    return out;
}
