// SPDX-License-Identifier: Apache-2.0
// A cache of the live objects of one cluster: it watches only the kinds somebody asked for, keeps objects trimmed
// (no managedFields) and tells of every change. List in pages, then watch with bookmarks; a watch that ends resumes from
// the last version; 410 lists again; errors back off with jitter (kube/reflector.c).
#ifndef SKIFF_KUBE_CACHE_H
#define SKIFF_KUBE_CACHE_H

#include "kube/client.h"
#include "loop/loop.h"

struct kube_cache;

struct kube_object {
    struct str ns, name, uid, resource_version;
    struct str tag;  // what the extractor took from the object, e.g. the tracking annotation
    uint64_t hash;   // of the trimmed text
    int64_t seen_ns; // loop_now of the last change
};

struct kube_cache_options {
    // Takes a short text from each object, kept beside it and indexed: objects are found by it. May be NULL.
    struct str (*extract)(void *ctx, const struct kube_gvr *gvr, const struct doc_value *object,
                          struct arena *arena);
    // Runs after each change. `before` is NULL for a new object, `after` for a removed one. `initial` while the first
    // list of that kind is still being taken in.
    void (*on_change)(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                      const struct kube_object *after, bool initial);
    // A kind finished its first list, failed (error set; it is being retried) or recovered.
    void (*on_kind)(void *ctx, const struct kube_gvr *gvr, const struct err *error);
    void *ctx;
};

struct kube_cache *kube_cache_create(struct loop *loop, struct kube_client *client,
                                     const struct kube_cache_options *options);
void kube_cache_destroy(struct kube_cache *cache);

// Reference-counted interest in one kind, optionally one namespace ("" for all) and a label selector.
void kube_cache_want(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                     struct str label_selector);
void kube_cache_unwant(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                       struct str label_selector);
bool kube_cache_is_synced(const struct kube_cache *cache, const struct kube_gvr *gvr);
const struct err *kube_cache_error(const struct kube_cache *cache,
                                   const struct kube_gvr *gvr); // NULL when fine

const struct kube_object *kube_cache_find(const struct kube_cache *cache,
                                          const struct kube_gvr *gvr, struct str ns,
                                          struct str name);
// The object's JSON (trimmed of managedFields) as a reference the caller drops; NULL when absent.
struct blob *kube_cache_text(struct kube_cache *cache, const struct kube_gvr *gvr, struct str ns,
                             struct str name);
// All objects of a kind (any order), or all with this tag, over all kinds.
bool kube_cache_next(const struct kube_cache *cache, const struct kube_gvr *gvr, size_t *iter,
                     const struct kube_object **object);
struct kube_cache_ref {
    struct kube_gvr gvr;
    const struct kube_object *object;
};
bool kube_cache_next_tagged(const struct kube_cache *cache, struct str tag, size_t *iter,
                            struct kube_cache_ref *out);
// Takes in the result of an own write at once, so that the next look sees it (ignored when older than what is there).
void kube_cache_note(struct kube_cache *cache, const struct kube_gvr *gvr, struct str object,
                     struct blob *blob);
size_t kube_cache_count(const struct kube_cache *cache);

#endif
