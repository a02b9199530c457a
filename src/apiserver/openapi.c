// SPDX-License-Identifier: Apache-2.0
// OpenAPI documents, made when somebody asks: version 3 by group and version, version 2 as a whole, as JSON or in
// gnostic's protobuf form. The last texts are kept for a minute (api_pages_forget), because clients come in flocks; what
// stays is a hash of each document, by which clients keep theirs for ever.
#include "apiserver/openapi.h"

#include "base/limits.h"
#include "crypto/crypto.h"

enum { PAGES_MAX = 8, PAGE_BYTES_MAX = 32 * MIB };

struct page_hash { // of a document, while its kinds do not change
    struct str key;
    bool custom;
    char text[2 * SHA256_BYTES + 1];
};

struct api_pages {
    struct arena *arena; // keys of `hashes`
    VEC(struct page_hash) hashes;
    uint64_t generation; // of the registry, at which all this was right
    struct {
        struct str key;
        struct blob *body;
    } kept[PAGES_MAX];
    size_t next;
};

struct api_pages *api_pages_create(void) {
    struct api_pages *pages = NEW(struct api_pages);
    pages->arena = arena_create();
    return pages;
}

void api_pages_forget(struct api_pages *pages) {
    for (size_t i = 0; i < PAGES_MAX; i++) {
        blob_unref(pages->kept[i].body);
        free((void *)(uintptr_t)pages->kept[i].key.p);
        pages->kept[i].body = NULL;
        pages->kept[i].key = (struct str){NULL, 0};
    }
}

void api_pages_destroy(struct api_pages *pages) {
    if (!pages) {
        return;
    }
    api_pages_forget(pages);
    VEC_FREE(&pages->hashes);
    arena_destroy(pages->arena);
    free(pages);
}

// Built-in kinds do not change: their hashes stay, also those of version 3 documents.
static void follow(const struct api_kinds *kinds) {
    struct api_pages *pages = kinds->pages;
    if (pages->generation == kinds->generation) {
        return;
    }
    pages->generation = kinds->generation;
    api_pages_forget(pages);
    struct arena *before = pages->arena;
    pages->arena = arena_create();
    size_t n = 0;
    for (size_t i = 0; i < pages->hashes.len; i++) {
        struct page_hash *hash = &pages->hashes.items[i];
        if (!hash->custom) {
            hash->key = arena_dup(pages->arena, hash->key);
            pages->hashes.items[n++] = *hash;
        }
    }
    pages->hashes.len = n;
    arena_destroy(before);
}

static struct blob *page_find(const struct api_pages *pages, struct str key) {
    for (size_t i = 0; i < PAGES_MAX; i++) {
        if (pages->kept[i].body && str_eq(pages->kept[i].key, key)) {
            return pages->kept[i].body;
        }
    }
    return NULL;
}

static void page_keep(struct api_pages *pages, struct str key, struct blob *body) {
    size_t at = pages->next++ % PAGES_MAX;
    blob_unref(pages->kept[at].body);
    free((void *)(uintptr_t)pages->kept[at].key.p);
    char *copy = xmalloc(key.n + 1);
    memcpy(copy, key.p, key.n);
    pages->kept[at].key = (struct str){copy, key.n};
    pages->kept[at].body = blob_ref(body);
}

static struct page_hash *hash_find(const struct api_pages *pages, struct str key) {
    for (size_t i = 0; i < pages->hashes.len; i++) {
        if (str_eq(pages->hashes.items[i].key, key)) {
            return &pages->hashes.items[i];
        }
    }
    return NULL;
}

// ---- Documents ----

struct writer {
    struct openapi o;
    struct buf *out;
    bool proto, any;
};

static bool writer_start(struct writer *w, const struct api_kinds *kinds, struct arena *arena,
                         bool v3, bool proto, struct buf *out) {
    *w = (struct writer){
        .o = {.kinds = kinds, .arena = arena, .v3 = v3}, .out = out, .proto = proto};
    w->o.scratch = arena_create();
    w->o.known = map_create();
    return true;
}

static void writer_fini(struct writer *w) {
    arena_destroy(w->o.scratch);
    map_destroy(w->o.known);
    VEC_FREE(&w->o.needs);
}

static void member(struct writer *w, struct str key, const struct doc_value *value) {
    struct doc_value name = doc_make_str(key);
    if (w->any) {
        buf_add_char(w->out, ',');
    }
    w->any = true;
    doc_print_json(&name, w->out);
    buf_add_char(w->out, ':');
    doc_print_json(value, w->out);
}

static void add_path(void *ctx, struct str path, const struct doc_value *item) {
    struct writer *w = ctx;
    if (w->proto) {
        openapi_proto_path(w->out, path, item);
    } else {
        member(w, path, item);
    }
}

static int compare_needs(const void *a, const void *b) {
    return str_cmp(((const struct openapi_need *)a)->name, ((const struct openapi_need *)b)->name);
}

// Definitions name others, so the list grows while it is walked; then they are written in the order of their names.
static void write_definitions(struct writer *w) {
    for (size_t i = 0; i < w->o.needs.len; i++) {
        struct openapi_need need = w->o.needs.items[i];
        openapi_follow(&w->o, &need);
        arena_reset(w->o.scratch);
    }
    if (w->o.needs.len) {
        qsort(w->o.needs.items, w->o.needs.len, sizeof(w->o.needs.items[0]), compare_needs);
    }
    w->any = false;
    for (size_t i = 0; i < w->o.needs.len; i++) {
        struct openapi_need need = w->o.needs.items[i];
        struct doc_value value = openapi_definition(&w->o, &need);
        if (w->proto) {
            openapi_proto_definition(w->out, need.name, &value);
        } else {
            member(w, need.name, &value);
        }
        arena_reset(w->o.scratch);
    }
}

static const char info_text[] = "\"info\":{\"title\":\"Kubernetes\",\"version\":\"v1.36.3\"}";

// All kinds of a group and version, or of all.
static bool write_document(struct writer *w, struct str group, struct str version) {
    const struct api_kind *kind;
    bool any = false, v3 = w->o.v3;
    w->o.group = group;
    w->o.version = version;
    if (w->proto) {
        openapi_proto_start(w->out);
    } else {
        buf_printf(w->out, "{\"%s\":\"%s\",%s,\"paths\":{", v3 ? "openapi" : "swagger",
                   v3 ? "3.0.0" : "2.0", info_text);
    }
    for (size_t i = 0; api_kinds_next(w->o.kinds, &i, &kind);) {
        if (!v3 || (str_eq(kind->group, group) && str_eq(kind->version, version))) {
            if (v3 && !any && !kind->custom) {
                openapi_index_path(&w->o, kind, add_path, w);
            }
            any = true;
            openapi_kind_paths(&w->o, kind, add_path, w);
            // Also what no operation returns has its shape here, for kubectl explain.
            openapi_kind_ref(&w->o, kind);
            arena_reset(w->o.scratch);
        }
    }
    if (!w->proto) {
        buf_add_c(w->out, v3 ? "},\"components\":{\"schemas\":{" : "},\"definitions\":{");
    }
    write_definitions(w);
    if (!w->proto) {
        buf_add_c(w->out, v3 ? "}}}" : "}}");
    }
    return any;
}

struct document {   // what a path names
    struct str key; // "v2", "v2+protobuf", "apis/apps/v1"
    struct str group, version;
    bool v3, proto, custom;
};

static struct blob *make_document(const struct api_kinds *kinds, const struct document *d) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    struct writer w;
    writer_start(&w, kinds, arena, d->v3, d->proto, &out);
    bool any = write_document(&w, d->group, d->version);
    writer_fini(&w);
    return any && !out.overflow ? blob_from_buf(&out) : NULL;
}

static const char *note_hash(struct api_pages *pages, const struct document *d,
                             const struct blob *body) {
    struct page_hash *known = hash_find(pages, d->key);
    if (!known) {
        struct page_hash hash = {.key = arena_dup(pages->arena, d->key), .custom = d->custom};
        unsigned char digest[SHA256_BYTES];
        sha256(blob_str(body), digest);
        for (size_t i = 0; i < SHA256_BYTES; i++) {
            static const char digits[] = "0123456789ABCDEF";
            hash.text[2 * i] = digits[digest[i] >> 4];
            hash.text[2 * i + 1] = digits[digest[i] & 15];
        }
        VEC_PUSH(&pages->hashes, hash);
        known = &pages->hashes.items[pages->hashes.len - 1];
    }
    return known->text;
}

// A reference of the caller's, or NULL: no such document.
static struct blob *get_document(const struct api_kinds *kinds, const struct document *d,
                                 char hash[2 * SHA256_BYTES + 1]) {
    struct blob *body = page_find(kinds->pages, d->key);
    if (body) {
        blob_ref(body);
    } else {
        body = make_document(kinds, d);
        if (!body) {
            return NULL;
        }
        page_keep(kinds->pages, d->key, body);
    }
    memcpy(hash, note_hash(kinds->pages, d, body), 2 * SHA256_BYTES + 1);
    return body;
}

static struct document document_of(struct arena *arena, const struct api_kind *kind) {
    return (struct document){.key = kind->group.n
                                        ? arena_printf(arena, "apis/%.*s/%.*s",
                                                       STR_ARG(kind->group), STR_ARG(kind->version))
                                        : arena_printf(arena, "api/%.*s", STR_ARG(kind->version)),
                             .group = kind->group,
                             .version = kind->version,
                             .v3 = true,
                             .custom = kind->custom};
}

// The hash lets clients keep a document for ever. The first request for the index makes every document once.
static struct doc_value index_value(const struct api_kinds *kinds, struct arena *arena) {
    struct doc_object paths = doc_object_start(arena);
    const struct api_kind *kind, *last = NULL;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (last && str_eq(last->group, kind->group) && str_eq(last->version, kind->version)) {
            continue;
        }
        last = kind;
        struct document d = document_of(arena, kind);
        const struct page_hash *known = hash_find(kinds->pages, d.key);
        const char *hash = known ? known->text : NULL;
        struct blob *body = known ? NULL : make_document(kinds, &d);
        if (body) {
            hash = note_hash(kinds->pages, &d, body);
            blob_unref(body);
        }
        if (!hash) {
            continue;
        }
        struct doc_object entry = doc_object_start(arena);
        doc_object_set_c(
            &entry, "serverRelativeURL",
            doc_make_str(arena_printf(arena, "/openapi/v3/%.*s?hash=%s", STR_ARG(d.key), hash)));
        doc_object_set(&paths, d.key, doc_object_done(&entry));
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "paths", doc_object_done(&paths));
    return doc_object_done(&out);
}

// ---- Answers ----

static bool find_document(const struct api_kinds *kinds, struct str path, struct arena *arena,
                          struct document *d) {
    struct str group = STR(""), version;
    if (str_starts(path, STR("apis/"))) {
        if (!str_cut(str_skip(path, strlen("apis/")), '/', &group, &version)) {
            return false;
        }
    } else if (str_starts(path, STR("api/"))) {
        version = str_skip(path, strlen("api/"));
    } else {
        return false;
    }
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (str_eq(kind->group, group) && str_eq(kind->version, version)) {
            *d = document_of(arena, kind);
            return true;
        }
    }
    return false;
}

static bool wants_proto(struct str accept) {
    struct str first, rest;
    str_cut(accept, ',', &first, &rest);
    return str_has(first, STR("com.github.proto-openapi.spec.v2"));
}

static struct str hash_of_query(struct str query) {
    struct str part, name, value;
    while (str_next(&query, '&', &part)) {
        if (str_cut(part, '=', &name, &value) && str_eq(name, STR("hash"))) {
            return value;
        }
    }
    return (struct str){NULL, 0};
}

static bool answer(const struct api_kinds *kinds, const struct document *d, struct str query,
                   struct arena *arena, struct api_text *page) {
    char hash[2 * SHA256_BYTES + 1];
    page->body = get_document(kinds, d, hash);
    if (!page->body) {
        return false;
    }
    page->etag = arena_printf(arena, "\"%s\"", hash);
    struct str wanted = d->v3 ? hash_of_query(query) : (struct str){NULL, 0};
    if (wanted.n && !str_eq_c(wanted, hash)) {
        page->location = arena_printf(arena, "/openapi/v3/%.*s?hash=%s", STR_ARG(d->key), hash);
    }
    page->immutable = wanted.n > 0 && !page->location.n;
    return true;
}

bool api_openapi_get(const struct api_kinds *kinds, struct str path, struct str query,
                     struct str accept, struct arena *arena, struct api_text *page) {
    struct str rest = str_skip(path, strlen("/openapi/"));
    follow(kinds);
    page->content_type = STR("application/json");
    if (str_eq(rest, STR("v2"))) {
        struct document d = {.key = STR("v2"), .custom = true};
        if (wants_proto(accept)) {
            d.key = STR("v2+protobuf");
            d.proto = true;
            page->content_type = STR("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        }
        return answer(kinds, &d, query, arena, page);
    }
    if (str_eq(rest, STR("v3"))) {
        struct doc_value value = index_value(kinds, arena);
        page->body = blob_create(doc_to_json(arena, &value));
        return true;
    }
    struct document d;
    return str_starts(rest, STR("v3/")) &&
           find_document(kinds, str_skip(rest, strlen("v3/")), arena, &d) &&
           answer(kinds, &d, query, arena, page);
}
