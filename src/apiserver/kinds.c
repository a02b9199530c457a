// SPDX-License-Identifier: Apache-2.0
// The registry of kinds: the built-in ones from a table, the custom ones from the CRDs that are stored. It answers by
// resource name and by kind, and lists all in serving order for discovery. Entries of removed CRDs stay valid for a
// while, because a turn that looked one up may still be using it.
#include "apiserver/kinds_internal.h"

#include <ctype.h>
#include <stdio.h>

enum { RETIRED_MAX = 32 };

const struct str *api_words(struct arena *arena, const char *text, size_t *count) {
    struct str rest = str_from(text), word;
    size_t n = 0;
    while (str_next(&rest, ' ', &word)) {
        n++;
    }
    struct str *words = ARENA_ARRAY(arena, n, struct str);
    rest = str_from(text);
    for (size_t i = 0; i < n && str_next(&rest, ' ', &word); i++) {
        words[i] = word;
    }
    *count = n;
    return words;
}

static struct str lower(struct arena *arena, struct str s) {
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; i < s.n; i++) {
        copy[i] = (char)tolower((unsigned char)copy[i]);
    }
    return (struct str){copy, s.n};
}

static void fill_builtin(struct arena *arena, const struct builtin_kind *row,
                         struct api_kind *kind) {
    kind->group = str_from(row->group);
    kind->version = str_from(row->version);
    kind->kind = str_from(row->kind);
    kind->plural = str_from(row->plural);
    kind->singular = lower(arena, kind->kind);
    kind->list_kind = arena_concat(arena, kind->kind, STR("List"));
    kind->short_names = api_words(arena, row->short_names, &kind->short_name_count);
    kind->categories = api_words(arena, row->categories, &kind->category_count);
    kind->subresources = api_words(arena, row->subresources, &kind->subresource_count);
    kind->storage_group = row->storage_version ? str_from(row->storage_group) : kind->group;
    kind->storage_version = row->storage_version ? str_from(row->storage_version) : kind->version;
    kind->namespaced = !(row->flags & KIND_CLUSTER);
    kind->has_status = row->flags & KIND_STATUS;
    kind->has_scale = row->flags & KIND_SCALE;
    kind->has_generation = row->flags & KIND_GENERATION;
    kind->read_only = row->flags & KIND_READ_ONLY;
    kind->no_store = row->flags & KIND_NO_STORE;
    kind->returns_deleted = row->flags & KIND_RETURNS_DELETED;
    kind->no_collection_delete = row->flags & KIND_NO_COLLECTION_DELETE;
    if (kind->has_scale) {
        kind->scale_spec_path = STR(".spec.replicas");
        kind->scale_status_path = STR(".status.replicas");
    }
    if (row->deprecation) {
        kind->deprecation = str_from(row->deprecation);
    }
    kind->merge = schema_find(kind->group, kind->version, kind->kind);
}

static struct str index_key(char *space, size_t size, struct str group, struct str version,
                            struct str name) {
    int n =
        snprintf(space, size, "%.*s/%.*s/%.*s", STR_ARG(group), STR_ARG(version), STR_ARG(name));
    return n < 0 || (size_t)n >= size ? (struct str){NULL, 0} : (struct str){space, (size_t)n};
}

static void index_kind(struct api_kinds *kinds, const struct api_kind *kind) {
    char space[1024];
    VEC_PUSH(&kinds->order, kind);
    struct str key = index_key(space, sizeof(space), kind->group, kind->version, kind->plural);
    map_put(kinds->by_plural, key, (void *)(uintptr_t)kind);
    key = index_key(space, sizeof(space), kind->group, kind->version, kind->kind);
    map_put(kinds->by_kind, key, (void *)(uintptr_t)kind);
}

// Custom kinds of one group stand together, its versions best first, so that discovery can walk the list once.
static void index_group(struct api_kinds *kinds, size_t from, size_t to) {
    VEC(struct str) versions = {0};
    for (size_t i = from; i < to; i++) {
        const struct crd_entry *crd = kinds->crds.items[i];
        for (size_t k = 0; k < crd->kind_count; k++) {
            size_t at = 0;
            while (at < versions.len &&
                   api_version_order(versions.items[at], crd->kinds[k].version) < 0) {
                at++;
            }
            if (at < versions.len && str_eq(versions.items[at], crd->kinds[k].version)) {
                continue;
            }
            VEC_PUSH(&versions, crd->kinds[k].version);
            memmove(versions.items + at + 1, versions.items + at,
                    (versions.len - 1 - at) * sizeof(struct str));
            versions.items[at] = crd->kinds[k].version;
        }
    }
    for (size_t v = 0; v < versions.len; v++) {
        for (size_t i = from; i < to; i++) {
            const struct crd_entry *crd = kinds->crds.items[i];
            for (size_t k = 0; k < crd->kind_count; k++) {
                if (str_eq(crd->kinds[k].version, versions.items[v])) {
                    index_kind(kinds, &crd->kinds[k]);
                }
            }
        }
    }
    VEC_FREE(&versions);
}

static void rebuild_index(struct api_kinds *kinds) {
    map_destroy(kinds->by_plural);
    map_destroy(kinds->by_kind);
    kinds->by_plural = map_create();
    kinds->by_kind = map_create();
    kinds->order.len = 0;
    for (size_t i = 0; i < kinds->builtin_count; i++) {
        index_kind(kinds, &kinds->builtin[i]);
    }
    for (size_t i = 0; i < kinds->crds.len;) {
        size_t end = i + 1;
        while (end < kinds->crds.len &&
               str_eq(kinds->crds.items[end]->group, kinds->crds.items[i]->group)) {
            end++;
        }
        index_group(kinds, i, end);
        i = end;
    }
    kinds->generation++;
}

struct api_kinds *api_kinds_create(void) {
    struct api_kinds *kinds = NEW(struct api_kinds);
    kinds->arena = arena_create();
    kinds->pages = api_pages_create();
    kinds->builtin_count = builtin_kind_count;
    kinds->builtin = ARENA_ARRAY(kinds->arena, builtin_kind_count, struct api_kind);
    for (size_t i = 0; i < builtin_kind_count; i++) {
        fill_builtin(kinds->arena, &builtin_kinds[i], &kinds->builtin[i]);
    }
    rebuild_index(kinds);
    return kinds;
}

void api_kinds_destroy(struct api_kinds *kinds) {
    if (!kinds) {
        return;
    }
    for (size_t i = 0; i < kinds->crds.len; i++) {
        crd_entry_destroy(kinds->crds.items[i]);
    }
    for (size_t i = 0; i < kinds->retired.len; i++) {
        crd_entry_destroy(kinds->retired.items[i]);
    }
    VEC_FREE(&kinds->crds);
    VEC_FREE(&kinds->retired);
    VEC_FREE(&kinds->order);
    map_destroy(kinds->by_plural);
    map_destroy(kinds->by_kind);
    api_pages_destroy(kinds->pages);
    arena_destroy(kinds->arena);
    free(kinds);
}

const struct api_kind *api_kinds_find(const struct api_kinds *kinds, struct str group,
                                      struct str version, struct str plural) {
    char space[1024];
    struct str key = index_key(space, sizeof(space), group, version, plural);
    return key.n ? map_find(kinds->by_plural, key) : NULL;
}

const struct api_kind *api_kinds_find_kind(const struct api_kinds *kinds, struct str group,
                                           struct str version, struct str kind) {
    char space[1024];
    struct str key = index_key(space, sizeof(space), group, version, kind);
    return key.n ? map_find(kinds->by_kind, key) : NULL;
}

const struct api_kind *api_kinds_storage(const struct api_kinds *kinds,
                                         const struct api_kind *kind) {
    const struct api_kind *storage =
        api_kinds_find(kinds, kind->storage_group, kind->storage_version, kind->plural);
    return storage ? storage : kind; // the storage version of a custom kind need not be served
}

bool api_kinds_next(const struct api_kinds *kinds, size_t *iter, const struct api_kind **kind) {
    if (*iter >= kinds->order.len) {
        return false;
    }
    *kind = kinds->order.items[(*iter)++];
    return true;
}

uint64_t api_kinds_generation(const struct api_kinds *kinds) {
    return kinds->generation;
}

struct api_pages *api_kinds_pages(const struct api_kinds *kinds) {
    return kinds->pages;
}

const struct crd_entry *api_kinds_find_crd(const struct api_kinds *kinds, struct str name) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        if (str_eq(kinds->crds.items[i]->name, name)) {
            return kinds->crds.items[i];
        }
    }
    return NULL;
}

static void retire(struct api_kinds *kinds, size_t at) {
    if (kinds->retired.len == RETIRED_MAX) {
        crd_entry_destroy(kinds->retired.items[0]);
        memmove(kinds->retired.items, kinds->retired.items + 1,
                (RETIRED_MAX - 1) * sizeof(kinds->retired.items[0]));
        kinds->retired.len--;
    }
    VEC_PUSH(&kinds->retired, kinds->crds.items[at]);
    memmove(kinds->crds.items + at, kinds->crds.items + at + 1,
            (kinds->crds.len - at - 1) * sizeof(kinds->crds.items[0]));
    kinds->crds.len--;
}

// By group, then name.
static void insert(struct api_kinds *kinds, struct crd_entry *entry) {
    size_t at = 0;
    while (at < kinds->crds.len) {
        int order = str_cmp(kinds->crds.items[at]->group, entry->group);
        if (order > 0 || (order == 0 && str_cmp(kinds->crds.items[at]->name, entry->name) > 0)) {
            break;
        }
        at++;
    }
    VEC_PUSH(&kinds->crds, entry);
    memmove(kinds->crds.items + at + 1, kinds->crds.items + at,
            (kinds->crds.len - 1 - at) * sizeof(entry));
    kinds->crds.items[at] = entry;
}

// A definition that went may have set free a name that another one waits for.
static void retry_conflicts(struct api_kinds *kinds) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        struct crd_entry *waiting = kinds->crds.items[i];
        if (waiting->conflict_reason.n > 0) {
            struct crd_entry *entry = crd_entry_create(kinds, waiting->name, waiting->crd);
            retire(kinds, i);
            insert(kinds, entry);
        }
    }
}

void api_kinds_crd_changed(struct api_kinds *kinds, struct str crd_name,
                           const struct doc_value *crd) {
    for (size_t i = 0; i < kinds->crds.len; i++) {
        if (str_eq(kinds->crds.items[i]->name, crd_name)) {
            retire(kinds, i);
            break;
        }
    }
    if (crd) {
        insert(kinds, crd_entry_create(kinds, crd_name, crd));
    }
    if (!crd) {
        retry_conflicts(kinds);
    }
    rebuild_index(kinds);
}

// "v1beta2": major 1, stage 1 (alpha 0, beta 1, none 2), minor 2.
static bool parse_version(struct str s, int *stage, int64_t *major, int64_t *minor) {
    if (s.n < 2 || s.p[0] != 'v') {
        return false;
    }
    size_t i = 1;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
        i++;
    }
    if (!str_to_int64(str_make(s.p + 1, i - 1), major)) {
        return false;
    }
    struct str rest = str_skip(s, i);
    *stage = 2;
    *minor = 0;
    if (rest.n == 0) {
        return true;
    }
    if (str_starts(rest, STR("alpha"))) {
        *stage = 0;
        rest = str_skip(rest, 5);
    } else if (str_starts(rest, STR("beta"))) {
        *stage = 1;
        rest = str_skip(rest, 4);
    } else {
        return false;
    }
    return str_to_int64(rest, minor) && rest.p[0] != '-';
}

static int descending(int64_t a, int64_t b) {
    return a == b ? 0 : a > b ? -1 : 1;
}

int api_version_order(struct str a, struct str b) {
    int stage_a = 0, stage_b = 0;
    int64_t major_a = 0, major_b = 0, minor_a = 0, minor_b = 0;
    bool known_a = parse_version(a, &stage_a, &major_a, &minor_a);
    bool known_b = parse_version(b, &stage_b, &major_b, &minor_b);
    if (!known_a || !known_b) {
        return known_a != known_b ? (known_a ? -1 : 1) : str_cmp(a, b);
    }
    int order = descending(stage_a, stage_b);
    if (order == 0) {
        order = descending(major_a, major_b);
    }
    return order ? order : descending(minor_a, minor_b);
}

struct str api_kind_resource_name(struct arena *arena, const struct api_kind *kind) {
    return kind->group.n == 0
               ? kind->plural
               : arena_printf(arena, "%.*s.%.*s", STR_ARG(kind->plural), STR_ARG(kind->group));
}
