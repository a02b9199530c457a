// SPDX-License-Identifier: Apache-2.0
// The objects of one resource in key order: pages of up to 256 pointers, found by binary search over the pages' first
// keys. For 100,000 objects that is 8 bytes an object and two short moves an insertion, and a list is a walk.
// The texts of all objects share one cache, least recently used first out; what is out is read back from the store.
#include "apiserver/core.h"

#include <stddef.h>

enum { PAGE_SLOTS = 256 };

struct api_page {
    uint16_t len;
    struct api_entry *slots[PAGE_SLOTS];
};

struct api_collection *api_collection_get(struct apiserver *server, struct str group,
                                          struct str plural) {
    char key[512];
    if (group.n + plural.n + 2 > sizeof key) {
        return NULL;
    }
    memcpy(key, plural.p, plural.n);
    key[plural.n] = '.';
    if (group.n) {
        memcpy(key + plural.n + 1, group.p, group.n);
    }
    struct str id = {key, plural.n + 1 + group.n};
    struct api_collection *collection = map_find(server->collections, id);
    if (collection) {
        return collection;
    }
    collection = NEW(struct api_collection);
    collection->server = server;
    struct str shown = group.n ? group : STR("core");
    collection->prefix_len = shown.n + plural.n + 3;
    char *prefix = xmalloc(collection->prefix_len + 1);
    collection->prefix = prefix;
    prefix[0] = '/';
    memcpy(prefix + 1, shown.p, shown.n);
    prefix[1 + shown.n] = '/';
    memcpy(prefix + 2 + shown.n, plural.p, plural.n);
    prefix[collection->prefix_len - 1] = '/';
    prefix[collection->prefix_len] = '\0';
    collection->group = (struct str){prefix + 1, group.n ? group.n : 0};
    collection->plural = (struct str){prefix + 2 + shown.n, plural.n};
    collection->changed = server->durable;
    map_put(server->collections, id, collection);
    return collection;
}

static void cache_unlink(struct apiserver *server, struct api_entry *entry) {
    if (entry->newer) {
        entry->newer->older = entry->older;
    } else {
        server->newest = entry->older;
    }
    if (entry->older) {
        entry->older->newer = entry->newer;
    } else {
        server->oldest = entry->newer;
    }
    entry->newer = entry->older = NULL;
}

static void cache_link(struct apiserver *server, struct api_entry *entry) {
    entry->older = server->newest;
    entry->newer = NULL;
    if (server->newest) {
        server->newest->newer = entry;
    } else {
        server->oldest = entry;
    }
    server->newest = entry;
}

void api_entry_set_text(struct api_entry *entry, struct blob *blob) {
    struct apiserver *server = entry->collection->server;
    struct blob *old = entry->blob;
    if (old) {
        server->cache_used -= old->len + sizeof(struct blob);
        cache_unlink(server, entry);
    }
    entry->blob = blob ? blob_ref(blob) : NULL;
    if (blob) {
        server->cache_used += blob->len + sizeof(struct blob);
        cache_link(server, entry);
    }
    blob_unref(old);
}

// Entries with uncommitted changes stay: the store does not have their text yet.
void api_cache_trim(struct apiserver *server) {
    struct api_entry *entry = server->oldest;
    while (entry && server->cache_used > server->cache_max) {
        struct api_entry *next = entry->newer;
        if (!entry->pending) {
            api_entry_set_text(entry, NULL);
        }
        entry = next;
    }
}

static struct blob *read_back(struct api_entry *entry, struct err *err) {
    struct apiserver *server = entry->collection->server;
    char local[1024];
    size_t n = entry->collection->prefix_len + entry->key_len;
    char *key = n <= sizeof local ? local : xmalloc(n);
    memcpy(key, entry->collection->prefix, entry->collection->prefix_len);
    memcpy(key + entry->collection->prefix_len, entry->key, entry->key_len);
    struct err local_err = {0};
    struct blob *blob = server->store->ops->read(server->store, (struct str){key, n}, &local_err);
    if (!blob && local_err.code == ERR_NONE) {
        err_set(&local_err, ERR_INTERNAL, "the row %.*s is missing in the store", (int)n, key);
    }
    if (key != local) {
        free(key);
    }
    if (!blob && err) {
        *err = local_err;
    }
    return blob;
}

struct blob *api_entry_text(struct api_entry *entry, struct err *err) {
    struct apiserver *server = entry->collection->server;
    if (entry->blob) {
        if (server->newest != entry) {
            cache_unlink(server, entry);
            cache_link(server, entry);
        }
        return blob_ref(entry->blob);
    }
    if (entry->deleted) {
        return NULL;
    }
    struct blob *blob = read_back(entry, err);
    if (blob) {
        api_entry_set_text(entry, blob);
    }
    return blob;
}

bool api_entry_is_durable(const struct api_entry *entry) {
    return entry->pending ? entry->pending->before != NULL : !entry->deleted;
}

struct blob *api_entry_durable(struct api_entry *entry, struct err *err) {
    if (entry->pending) {
        return entry->pending->before ? blob_ref(entry->pending->before) : NULL;
    }
    return api_entry_text(entry, err);
}

// The last page whose first key is not after `key`, or page 0.
static size_t find_page(const struct api_collection *collection, struct str key) {
    size_t low = 0;
    size_t high = collection->page_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(api_entry_key(collection->pages[middle]->slots[0]), key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first slot of a page whose key is not before `key`.
static size_t find_slot(const struct api_page *page, struct str key) {
    size_t low = 0;
    size_t high = page->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(api_entry_key(page->slots[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct api_cursor api_cursor_at(const struct api_collection *collection, struct str key) {
    struct api_cursor cursor = {.collection = collection};
    if (collection->page_count && key.n) {
        cursor.page = find_page(collection, key);
        cursor.slot = find_slot(collection->pages[cursor.page], key);
    }
    return cursor;
}

struct api_entry *api_cursor_next(struct api_cursor *cursor) {
    const struct api_collection *collection = cursor->collection;
    while (cursor->page < collection->page_count) {
        const struct api_page *page = collection->pages[cursor->page];
        if (cursor->slot < page->len) {
            return page->slots[cursor->slot++];
        }
        cursor->page++;
        cursor->slot = 0;
    }
    return NULL;
}

struct api_entry *api_entry_find_key(const struct api_collection *collection, struct str key) {
    struct api_cursor cursor = api_cursor_at(collection, key);
    struct api_entry *entry = api_cursor_next(&cursor);
    return entry && str_eq(api_entry_key(entry), key) ? entry : NULL;
}

struct api_entry *api_entry_find(const struct api_collection *collection, struct str ns,
                                 struct str name) {
    char key[2 * LIMIT_NAME + 2];
    if (ns.n > LIMIT_NAME || name.n > LIMIT_NAME) {
        return NULL;
    }
    if (ns.n) {
        memcpy(key, ns.p, ns.n);
    }
    key[ns.n] = '/';
    if (name.n) {
        memcpy(key + ns.n + 1, name.p, name.n);
    }
    return api_entry_find_key(collection, (struct str){key, ns.n + 1 + name.n});
}

static void insert_page(struct api_collection *collection, size_t at, struct api_page *page) {
    if (collection->page_count == collection->page_cap) {
        collection->page_cap = collection->page_cap ? collection->page_cap * 2 : 4;
        collection->pages =
            xreallocarray(collection->pages, collection->page_cap, sizeof(struct api_page *));
    }
    memmove(collection->pages + at + 1, collection->pages + at,
            (collection->page_count - at) * sizeof(struct api_page *));
    collection->pages[at] = page;
    collection->page_count++;
}

struct api_entry *api_entry_add(struct api_collection *collection, struct str key) {
    CHECK(key.n <= 2 * LIMIT_NAME + 1);
    struct api_entry *entry = xcalloc(1, sizeof(struct api_entry) + key.n + 1);
    entry->collection = collection;
    entry->key_len = (uint16_t)key.n;
    entry->ns_len = (uint16_t)str_find_char(key, '/');
    memcpy(entry->key, key.p, key.n);
    if (collection->page_count == 0) {
        insert_page(collection, 0, xmalloc(sizeof(struct api_page)));
        collection->pages[0]->len = 0;
    }
    size_t at = find_page(collection, key);
    struct api_page *page = collection->pages[at];
    size_t slot = find_slot(page, key);
    if (page->len == PAGE_SLOTS) {
        // Keys often come in rising order (start-up, generated names): then the old page stays full.
        size_t keep =
            slot == PAGE_SLOTS && at + 1 == collection->page_count ? PAGE_SLOTS : PAGE_SLOTS / 2;
        struct api_page *right = xmalloc(sizeof(struct api_page));
        right->len = (uint16_t)(PAGE_SLOTS - keep);
        memcpy(right->slots, page->slots + keep, right->len * sizeof(page->slots[0]));
        page->len = (uint16_t)keep;
        insert_page(collection, at + 1, right);
        if (slot >= keep) {
            page = right;
            slot -= keep;
        }
    }
    memmove(page->slots + slot + 1, page->slots + slot,
            (page->len - slot) * sizeof(page->slots[0]));
    page->slots[slot] = entry;
    page->len++;
    collection->count++;
    return entry;
}

void api_entry_remove(struct api_entry *entry) {
    struct api_collection *collection = entry->collection;
    CHECK(!entry->pending);
    size_t at = find_page(collection, api_entry_key(entry));
    struct api_page *page = collection->pages[at];
    size_t slot = find_slot(page, api_entry_key(entry));
    CHECK(slot < page->len && page->slots[slot] == entry);
    memmove(page->slots + slot, page->slots + slot + 1,
            (size_t)(page->len - slot - 1) * sizeof(page->slots[0]));
    page->len--;
    if (page->len == 0) {
        free(page);
        memmove(collection->pages + at, collection->pages + at + 1,
                (collection->page_count - at - 1) * sizeof(struct api_page *));
        collection->page_count--;
    }
    collection->count--;
    api_entry_set_text(entry, NULL);
    free(entry);
}

void api_collection_destroy(struct api_collection *collection) {
    for (size_t i = 0; i < collection->page_count; i++) {
        struct api_page *page = collection->pages[i];
        for (size_t j = 0; j < page->len; j++) {
            blob_unref(page->slots[j]->blob);
            free(page->slots[j]);
        }
        free(page);
    }
    free(collection->pages);
    free(collection->prefix);
    free(collection);
}
