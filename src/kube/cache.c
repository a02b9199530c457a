// SPDX-License-Identifier: Apache-2.0
// Live objects in memory. One record an object, in one allocation: the public part, the links of its tag, and its short
// texts; namespaces and tags are shared between objects. The object's JSON stands beside it only where the client cannot
// show it at once (peek). Records are replaced, never changed, so that a change can show both sides.
#include "base/limits.h"
#include "base/log.h"
#include "kube/internal.h"

enum { LISTS_AT_ONCE = 4, SCRATCH_KEPT = MIB, KINDS_MAX = 1 << 16, MARK_MAX = (1 << 14) - 1 };

// A text that many objects share: a namespace, or a tag with the list of its objects.
struct word {
    uint32_t hash;
    uint32_t len;
    size_t refs;
    struct entry *first;
    char text[];
};

struct entry {
    uint32_t hash;
    uint32_t kind : 16;
    uint32_t mark : 14; // the list in which it was last seen
    uint32_t noted : 1; // from an own write, after which neither list nor watch showed it yet
    uint32_t has_text : 1;
    struct kube_object object;
    struct entry *tag_next, **tag_link;
    char tail[]; // a blob pointer when has_text, then name, uid and version
};
_Static_assert(sizeof(struct entry) % sizeof(void *) == 0, "the tail starts with a pointer");

struct scope {
    struct kube_cache *cache;
    struct kind *kind;
    char *ns, *selector;
    unsigned refs;
    bool dead, synced;
    uint32_t mark; // of the list under way, or the last one
    uint64_t seen; // the version up to which we know everything; 0: unknown
    struct kube_set entries;
    struct err *error;
    struct kube_reflector *reflector;
};

struct kind {
    uint32_t hash;
    uint32_t index;
    struct kube_gvr gvr; // in the cache's arena
    VEC(struct scope *) scopes;
};

struct kube_cache {
    struct loop *loop;
    struct kube_client *client;
    struct kube_cache_options options;
    struct arena *arena;
    struct kube_set kinds;
    VEC(struct kind *) kind_list;
    struct kube_set words, tags;
    struct kube_gate gate;
    VEC(struct scope *) dead;
    struct loop_timer *reaper;
    struct buf scratch;
    size_t count;
};

// ---- Shared words ----

static bool word_eq(const void *item, const void *key) {
    const struct word *word = item;
    return str_eq((struct str){word->text, word->len}, *(const struct str *)key);
}

static struct word *word_ref(struct kube_set *set, struct str text) {
    uint32_t hash = kube_hash_pair(text, (struct str){NULL, 0});
    struct word *word = kube_set_find(set, hash, word_eq, &text);
    if (!word) {
        word = xmalloc(sizeof *word + text.n + 1);
        *word = (struct word){.hash = hash, .len = (uint32_t)text.n};
        memcpy(word->text, text.p ? text.p : "", text.n);
        word->text[text.n] = '\0';
        kube_set_add(set, word);
    }
    word->refs++;
    return word;
}

static void word_unref(struct kube_set *set, struct str text) {
    if (text.n == 0) {
        return;
    }
    struct word *word = CONTAINER_OF(text.p, struct word, text);
    if (--word->refs == 0) {
        kube_set_remove(set, word);
        free(word);
    }
}

static struct str word_str(const struct word *word) {
    return (struct str){word->text, word->len};
}

// ---- Entries ----

struct object_key {
    struct str ns, name;
};

static bool entry_eq(const void *item, const void *key) {
    const struct entry *entry = item;
    const struct object_key *k = key;
    return str_eq(entry->object.name, k->name) && str_eq(entry->object.ns, k->ns);
}

static struct entry *find_entry(const struct scope *scope, struct str ns, struct str name) {
    struct object_key key = {ns, name};
    return kube_set_find(&scope->entries, kube_hash_pair(ns, name), entry_eq, &key);
}

static struct blob *entry_text(const struct entry *entry) {
    struct blob *text = NULL;
    if (entry->has_text) {
        memcpy(&text, entry->tail, sizeof text);
    }
    return text;
}

static char *put_text(char *at, struct str from, struct str *out) {
    memcpy(at, from.p ? from.p : "", from.n);
    *out = (struct str){from.n ? at : NULL, from.n};
    return at + from.n;
}

// `text` may be NULL and is taken.
static struct entry *entry_create(struct kube_cache *cache, const struct kube_scan *scan,
                                  struct blob *text) {
    size_t size = scan->name.n + scan->uid.n + scan->resource_version.n + (text ? sizeof text : 0);
    struct entry *entry = xmalloc(sizeof *entry + size);
    *entry = (struct entry){.hash = kube_hash_pair(scan->ns, scan->name), .has_text = text != NULL};
    char *at = entry->tail;
    if (text) {
        memcpy(at, &text, sizeof text);
        at += sizeof text;
    }
    at = put_text(at, scan->name, &entry->object.name);
    at = put_text(at, scan->uid, &entry->object.uid);
    put_text(at, scan->resource_version, &entry->object.resource_version);
    if (scan->ns.n) {
        entry->object.ns = word_str(word_ref(&cache->words, scan->ns));
    }
    entry->object.seen_ns = loop_now(cache->loop);
    return entry;
}

static void entry_tag(struct kube_cache *cache, struct entry *entry, struct str tag) {
    if (tag.n == 0) {
        return;
    }
    struct word *word = word_ref(&cache->tags, tag);
    entry->object.tag = word_str(word);
    entry->tag_next = word->first;
    entry->tag_link = &word->first;
    if (word->first) {
        word->first->tag_link = &entry->tag_next;
    }
    word->first = entry;
}

// Out of the index; the tag's text stays until entry_destroy.
static void entry_unlink(struct entry *entry) {
    if (entry->tag_link) {
        *entry->tag_link = entry->tag_next;
        if (entry->tag_next) {
            entry->tag_next->tag_link = entry->tag_link;
        }
        entry->tag_link = NULL;
        entry->tag_next = NULL;
    }
}

static void entry_destroy(struct kube_cache *cache, struct entry *entry) {
    entry_unlink(entry);
    blob_unref(entry_text(entry));
    word_unref(&cache->words, entry->object.ns);
    word_unref(&cache->tags, entry->object.tag);
    free(entry);
}

static void tell(struct scope *scope, const struct entry *before, const struct entry *after) {
    struct kube_cache *cache = scope->cache;
    if (cache->options.on_change && !scope->dead) {
        cache->options.on_change(cache->options.ctx, &scope->kind->gvr,
                                 before ? &before->object : NULL, after ? &after->object : NULL,
                                 !scope->synced);
    }
}

static void remove_entry(struct scope *scope, struct entry *entry) {
    kube_set_remove(&scope->entries, entry);
    entry_unlink(entry);
    scope->cache->count--;
    tell(scope, entry, NULL);
    entry_destroy(scope->cache, entry);
}

// ---- Taking objects in ----

static struct str extract_tag(struct scope *scope, struct str text, struct arena *arena) {
    struct kube_cache *cache = scope->cache;
    struct doc_value root;
    struct err err = {0};
    if (!cache->options.extract) {
        return (struct str){NULL, 0};
    }
    if (!doc_parse_json(text, arena, &root, &err)) {
        char *resource = arena_cstr(arena, kube_gvr_text(arena, &scope->kind->gvr));
        LOG(LOG_WARN, "kube", "an object cannot be read", "resource", resource, "error",
            err.message);
        return (struct str){NULL, 0};
    }
    return cache->options.extract(cache->options.ctx, &scope->kind->gvr, &root, arena);
}

// Keeps what the caller shares when nothing had to be cut out of it.
static struct blob *text_blob(struct str trimmed, struct blob *shared) {
    if (shared && shared->data == trimmed.p && shared->len == trimmed.n) {
        return blob_ref(shared);
    }
    return blob_create(trimmed);
}

static void put(struct scope *scope, const struct kube_scan *scan, struct str kind,
                struct str api_version, struct blob *shared, struct entry *before, bool noted) {
    struct kube_cache *cache = scope->cache;
    struct str text = kube_scan_trimmed(scan, kind, api_version, &cache->scratch);
    AUTO(arena_destroy) struct arena *arena = cache->options.extract ? arena_create() : NULL;
    struct str tag = extract_tag(scope, text, arena);
    bool keep = !cache->client->ops->peek;
    struct entry *entry = entry_create(cache, scan, keep ? text_blob(text, shared) : NULL);
    entry->object.hash = str_hash(text);
    entry->kind = scope->kind->index & (KINDS_MAX - 1);
    entry->mark = scope->mark & MARK_MAX;
    entry->noted = noted;
    if (before) {
        entry_unlink(before);
        kube_set_replace(&scope->entries, before, entry);
    } else {
        kube_set_add(&scope->entries, entry);
        cache->count++;
    }
    entry_tag(cache, entry, tag);
    if (cache->scratch.cap > SCRATCH_KEPT) {
        buf_fini(&cache->scratch);
    }
    tell(scope, before, entry);
    if (before) {
        entry_destroy(cache, before);
    }
}

// A new mark, which no entry has.
static void next_mark(struct scope *scope) {
    if (scope->mark == MARK_MAX) {
        size_t iter = 0;
        void *entry;
        while (kube_set_next(&scope->entries, &iter, &entry)) {
            ((struct entry *)entry)->mark = 0;
        }
        scope->mark = 0;
    }
    scope->mark++;
}

static void sink_list_begin(void *ctx) {
    next_mark(ctx);
}

static void sink_list_item(void *ctx, const struct kube_scan *item, struct str kind,
                           struct str api_version, struct blob *blob) {
    struct scope *scope = ctx;
    if (scope->dead) {
        return;
    }
    struct entry *before = find_entry(scope, item->ns, item->name);
    if (before) {
        bool newer =
            kube_version_compare(before->object.resource_version, item->resource_version) > 0;
        // A list may go back in time (a restored server); only an own write made since it began is known to be newer.
        if (newer && before->noted && before->mark == scope->mark) {
            return;
        }
        if (str_eq(before->object.resource_version, item->resource_version) &&
            str_eq(before->object.uid, item->uid)) {
            before->mark = scope->mark & MARK_MAX;
            before->noted = false;
            return;
        }
    }
    put(scope, item, kind, api_version, blob, before, false);
}

static bool is_stale(const struct scope *scope, const struct entry *entry, struct str version) {
    return entry->mark != scope->mark ||
           (entry->noted && kube_version_compare(entry->object.resource_version, version) <= 0);
}

// Removes what the last list did not show. A removal moves later records into the hole, so the same slot is looked at
// again; a table that was replaced meanwhile is walked from its start.
static void sweep(struct scope *scope, struct str version) {
    struct kube_set *set = &scope->entries;
    void **slots = set->slots;
    for (size_t i = 0; !scope->dead && set->slots && i <= set->mask;) {
        if (set->slots != slots) {
            slots = set->slots;
            i = 0;
            continue;
        }
        struct entry *entry = slots[i];
        if (entry && is_stale(scope, entry, version)) {
            remove_entry(scope, entry);
        } else {
            i++;
        }
    }
}

static void sink_list_end(void *ctx, struct str version) {
    struct scope *scope = ctx;
    sweep(scope, version);
    scope->seen = 0;
    str_to_uint64(version, &scope->seen);
    scope->synced = true;
}

static void note_seen(struct scope *scope, struct str version) {
    uint64_t number;
    if (str_to_uint64(version, &number) && number > scope->seen) {
        scope->seen = number;
    }
}

static void sink_event(void *ctx, enum kube_event event, const struct kube_scan *object,
                       struct blob *blob) {
    struct scope *scope = ctx;
    if (scope->dead) {
        return;
    }
    note_seen(scope, object->resource_version);
    if (event == KUBE_BOOKMARK) {
        return;
    }
    struct entry *before = find_entry(scope, object->ns, object->name);
    int order =
        before ? kube_version_compare(object->resource_version, before->object.resource_version)
               : 1;
    bool same = before && str_eq(before->object.uid, object->uid);
    if (event == KUBE_DELETED) {
        // The end of an earlier object of the same name, when the next one was our own write, ends nothing.
        if (before && (same || order >= 0)) {
            remove_entry(scope, before);
        }
        return;
    }
    if (before && order < 0) {
        return;
    }
    if (same && str_eq(object->resource_version, before->object.resource_version)) {
        before->noted = false;
        return;
    }
    put(scope, object, (struct str){NULL, 0}, (struct str){NULL, 0}, blob, before, false);
}

static void tell_kind(struct scope *scope) {
    struct kube_cache *cache = scope->cache;
    if (cache->options.on_kind && !scope->dead) {
        cache->options.on_kind(cache->options.ctx, &scope->kind->gvr, scope->error);
    }
}

static void sink_lost(void *ctx) {
    struct scope *scope = ctx;
    next_mark(scope);
    sweep(scope, (struct str){NULL, 0});
    scope->synced = false;
    scope->seen = 0;
}

static void sink_state(void *ctx, const struct err *error) {
    struct scope *scope = ctx;
    if (error) {
        if (!scope->error) {
            scope->error = NEW(struct err);
        }
        *scope->error = *error;
        if (error->code == ERR_FORBIDDEN) {
            scope->synced = false; // what we hold may be long out of date
        }
    } else {
        free(TAKE(scope->error));
    }
    tell_kind(scope);
}

static const struct kube_reflector_sink sink = {
    .list_begin = sink_list_begin,
    .list_item = sink_list_item,
    .list_end = sink_list_end,
    .event = sink_event,
    .lost = sink_lost,
    .state = sink_state,
};

// ---- Kinds and scopes ----

static uint32_t gvr_hash(const struct kube_gvr *gvr) {
    return kube_hash_pair(gvr->resource, gvr->group) * 31U +
           kube_hash_pair(gvr->version, (struct str){NULL, 0});
}

static bool kind_eq(const void *item, const void *key) {
    const struct kube_gvr *a = &((const struct kind *)item)->gvr, *b = key;
    return str_eq(a->resource, b->resource) && str_eq(a->group, b->group) &&
           str_eq(a->version, b->version);
}

static struct kind *find_kind(const struct kube_cache *cache, const struct kube_gvr *gvr) {
    return kube_set_find(&cache->kinds, gvr_hash(gvr), kind_eq, gvr);
}

static struct kind *make_kind(struct kube_cache *cache, const struct kube_gvr *gvr) {
    CHECK(cache->kind_list.len < KINDS_MAX); // a cluster serves at most LIMIT_DISCOVERY_RESOURCES
    struct kind *kind = NEW(struct kind);
    kind->hash = gvr_hash(gvr);
    kind->index = (uint32_t)cache->kind_list.len;
    kind->gvr.group = arena_dup(cache->arena, gvr->group);
    kind->gvr.version = arena_dup(cache->arena, gvr->version);
    kind->gvr.resource = arena_dup(cache->arena, gvr->resource);
    VEC_PUSH(&cache->kind_list, kind);
    kube_set_add(&cache->kinds, kind);
    return kind;
}

static struct scope *find_scope(const struct kind *kind, struct str ns, struct str selector) {
    for (size_t i = 0; kind && i < kind->scopes.len; i++) {
        struct scope *scope = kind->scopes.items[i];
        if (str_eq_c(ns, scope->ns) && str_eq_c(selector, scope->selector)) {
            return scope;
        }
    }
    return NULL;
}

void kube_cache_want(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                     struct str label_selector) {
    struct kind *kind = find_kind(cache, gvr);
    kind = kind ? kind : make_kind(cache, gvr);
    struct scope *scope = find_scope(kind, ns, label_selector);
    if (!scope) {
        scope = NEW(struct scope);
        scope->cache = cache;
        scope->kind = kind;
        scope->ns = xstrdup(ns);
        scope->selector = xstrdup(label_selector);
        scope->reflector = kube_reflector_create(cache->loop, cache->client, &cache->gate,
                                                 &kind->gvr, ns, label_selector, &sink, scope);
        VEC_PUSH(&kind->scopes, scope);
    }
    scope->refs++;
}

static void scope_destroy(struct scope *scope) {
    kube_reflector_destroy(scope->reflector);
    size_t iter = 0;
    void *entry;
    while (kube_set_next(&scope->entries, &iter, &entry)) {
        entry_destroy(scope->cache, entry);
    }
    kube_set_fini(&scope->entries);
    free(scope->error);
    free(scope->ns);
    free(scope->selector);
    free(scope);
}

static void reap(void *ctx) {
    struct kube_cache *cache = ctx;
    while (cache->dead.len > 0) {
        scope_destroy(cache->dead.items[--cache->dead.len]);
    }
}

void kube_cache_unwant(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                       struct str label_selector) {
    struct kind *kind = find_kind(cache, gvr);
    struct scope *scope = find_scope(kind, ns, label_selector);
    if (!scope || --scope->refs > 0) {
        return;
    }
    for (size_t i = 0; i < kind->scopes.len; i++) {
        if (kind->scopes.items[i] == scope) {
            VEC_REMOVE_SWAP(&kind->scopes, i);
            break;
        }
    }
    // Out of sight at once; freed in a later turn, as this may run inside one of its own callbacks.
    scope->dead = true;
    size_t iter = 0;
    void *entry;
    while (kube_set_next(&scope->entries, &iter, &entry)) {
        entry_unlink(entry);
    }
    cache->count -= scope->entries.len;
    VEC_PUSH(&cache->dead, scope);
    loop_timer_start(cache->reaper, 0);
}

bool kube_cache_is_synced(const struct kube_cache *cache, const struct kube_gvr *gvr) {
    const struct kind *kind = find_kind(cache, gvr);
    for (size_t i = 0; kind && i < kind->scopes.len; i++) {
        if (!kind->scopes.items[i]->synced) {
            return false;
        }
    }
    return kind && kind->scopes.len > 0;
}

const struct err *kube_cache_error(const struct kube_cache *cache, const struct kube_gvr *gvr) {
    const struct kind *kind = find_kind(cache, gvr);
    for (size_t i = 0; kind && i < kind->scopes.len; i++) {
        if (kind->scopes.items[i]->error) {
            return kind->scopes.items[i]->error;
        }
    }
    return NULL;
}

// ---- Looking things up ----

static struct entry *find(const struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                          struct str name) {
    const struct kind *kind = find_kind(cache, gvr);
    for (size_t i = 0; kind && i < kind->scopes.len; i++) {
        struct entry *entry = find_entry(kind->scopes.items[i], ns, name);
        if (entry) {
            return entry;
        }
    }
    return NULL;
}

const struct kube_object *kube_cache_find(const struct kube_cache *cache,
                                          const struct kube_gvr *gvr, struct str ns,
                                          struct str name) {
    const struct entry *entry = find(cache, gvr, ns, name);
    return entry ? &entry->object : NULL;
}

struct blob *kube_cache_text(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                             struct str name) {
    const struct entry *entry = find(cache, gvr, ns, name);
    if (!entry) {
        return NULL;
    }
    if (entry->has_text) {
        return blob_ref(entry_text(entry));
    }
    AUTO(blob_unref) struct blob *whole = cache->client->ops->peek(cache->client, gvr, ns, name);
    if (!whole) {
        return NULL;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_scan scan;
    struct err err = {0};
    if (!kube_scan_object(blob_str(whole), arena, &scan, &err)) {
        return TAKE(whole);
    }
    struct str text =
        kube_scan_trimmed(&scan, (struct str){NULL, 0}, (struct str){NULL, 0}, &cache->scratch);
    return text_blob(text, whole);
}

// The iterator holds the scope in its upper bits and the slot in its lower ones.
enum { ITER_SHIFT = 40 };

bool kube_cache_next(const struct kube_cache *cache, const struct kube_gvr *gvr, size_t *iter,
                     const struct kube_object **object) {
    const struct kind *kind = find_kind(cache, gvr);
    while (kind && (*iter >> ITER_SHIFT) < kind->scopes.len) {
        size_t index = *iter >> ITER_SHIFT;
        size_t slot = *iter & (((size_t)1 << ITER_SHIFT) - 1);
        const struct scope *scope = kind->scopes.items[index];
        void *item;
        if (!kube_set_next(&scope->entries, &slot, &item)) {
            *iter = (index + 1) << ITER_SHIFT;
            continue;
        }
        *iter = (index << ITER_SHIFT) | slot;
        const struct entry *entry = item;
        bool twice = false; // overlapping scopes show an object once
        for (size_t i = 0; i < index && !twice; i++) {
            twice = find_entry(kind->scopes.items[i], entry->object.ns, entry->object.name) != NULL;
        }
        if (!twice) {
            *object = &entry->object;
            return true;
        }
    }
    return false;
}

bool kube_cache_next_tagged(const struct kube_cache *cache, struct str tag, size_t *iter,
                            struct kube_cache_ref *out) {
    enum { END = 1 }; // no address
    const struct entry *entry;
    if (*iter == END) {
        return false;
    }
    if (*iter == 0) {
        uint32_t hash = kube_hash_pair(tag, (struct str){NULL, 0});
        const struct word *word = kube_set_find(&cache->tags, hash, word_eq, &tag);
        entry = word ? word->first : NULL;
    } else {
        entry = (const struct entry *)*iter; // stays, since nothing changes during a walk
    }
    if (!entry) {
        return false;
    }
    *iter = entry->tag_next ? (size_t)entry->tag_next : END;
    out->gvr = cache->kind_list.items[entry->kind]->gvr;
    out->object = &entry->object;
    return true;
}

static void note_in_scope(struct scope *scope, const struct kube_scan *scan, struct blob *blob) {
    struct entry *before = find_entry(scope, scan->ns, scan->name);
    if (before) {
        if (kube_version_compare(scan->resource_version, before->object.resource_version) <= 0) {
            return;
        }
    } else {
        uint64_t number;
        // Without it here although we know all up to its version: it was deleted again.
        bool over = str_to_uint64(scan->resource_version, &number) && number <= scope->seen;
        // Whether a new object matches a selector is the server's to say; its event comes soon.
        if (over || scope->selector[0]) {
            return;
        }
    }
    put(scope, scan, (struct str){NULL, 0}, (struct str){NULL, 0}, blob, before, true);
}

void kube_cache_note(struct kube_cache *cache, const struct kube_gvr *gvr, struct str object,
                     struct blob *blob) {
    struct kind *kind = find_kind(cache, gvr);
    if (!kind || kind->scopes.len == 0) {
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_scan scan;
    struct err err = {0};
    if (!kube_scan_object(object, arena, &scan, &err) || scan.name.n == 0 ||
        scan.resource_version.n == 0) {
        return; // a dry run, or no object: the watch will tell
    }
    for (size_t i = 0; i < kind->scopes.len; i++) {
        struct scope *scope = kind->scopes.items[i];
        if (scope->ns[0] == '\0' || str_eq_c(scan.ns, scope->ns)) {
            note_in_scope(scope, &scan, blob);
        }
    }
}

size_t kube_cache_count(const struct kube_cache *cache) {
    return cache->count;
}

// ---- Life ----

struct kube_cache *kube_cache_create(struct loop *loop, struct kube_client *client,
                                     const struct kube_cache_options *options) {
    struct kube_cache *cache = NEW(struct kube_cache);
    cache->loop = loop;
    cache->client = client;
    cache->options = options ? *options : (struct kube_cache_options){0};
    cache->arena = arena_create();
    cache->gate.max = LISTS_AT_ONCE;
    cache->reaper = loop_timer_create(loop, reap, cache);
    buf_init(&cache->scratch, LIMIT_HTTP_REPLY);
    return cache;
}

void kube_cache_destroy(struct kube_cache *cache) {
    if (!cache) {
        return;
    }
    cache->gate.max = 0;
    reap(cache);
    for (size_t i = 0; i < cache->kind_list.len; i++) {
        struct kind *kind = cache->kind_list.items[i];
        for (size_t j = 0; j < kind->scopes.len; j++) {
            kind->scopes.items[j]->dead = true;
            scope_destroy(kind->scopes.items[j]);
        }
        VEC_FREE(&kind->scopes);
        free(kind);
    }
    VEC_FREE(&cache->kind_list);
    VEC_FREE(&cache->dead);
    kube_set_fini(&cache->kinds);
    kube_set_fini(&cache->words);
    kube_set_fini(&cache->tags);
    loop_timer_destroy(cache->reaper);
    buf_fini(&cache->scratch);
    arena_destroy(cache->arena);
    free(cache);
}
