// SPDX-License-Identifier: Apache-2.0
// What the files of kube/ share among themselves.
#ifndef SKIFF_KUBE_INTERNAL_H
#define SKIFF_KUBE_INTERNAL_H

#include "base/vec.h"
#include "kube/cache.h"
#include "kube/kubeconfig.h"
#include "kube/mapper.h"
#include "loop/loop.h"

// ---- scan.c: spans of JSON text without building a tree ----

// What a cache needs of one object. Texts point into the input, or into the arena where they held escapes.
struct kube_scan {
    struct str text; // the object, from brace to brace
    struct str kind, api_version;
    struct str ns, name, uid, resource_version;
    size_t cut_from, cut_to; // where metadata.managedFields stands, with one comma; equal: nowhere
};
bool kube_scan_object(struct str text, struct arena *arena, struct kube_scan *out,
                      struct err *err) MUST_USE;

struct kube_list_head {
    struct str kind, api_version, resource_version, continue_token;
    struct str items; // the array, from bracket to bracket; empty when null or absent
};
bool kube_scan_list(struct str text, struct arena *arena, struct kube_list_head *out,
                    struct err *err) MUST_USE;
// Walks `items`: start with *at = 0; false at the end. Only for what kube_scan_list returned.
bool kube_scan_item(struct str items, size_t *at, struct str *item);

// One line of a watch stream.
bool kube_scan_event(struct str line, enum kube_event *type, struct str *object,
                     struct err *err) MUST_USE;

// The object's text without managedFields and, for an item of a list that leaves them out, with apiVersion and kind
// (empty: as it is). Returns the scanned text itself when nothing changes, else a text in `out`, which is cleared first.
struct str kube_scan_trimmed(const struct kube_scan *scan, struct str kind, struct str api_version,
                             struct buf *out);

// Positive when a is newer, negative when older, 0 when equal or when they cannot be compared.
int kube_version_compare(struct str a, struct str b);

// ---- watch.c: a stream of bytes to events ----

struct kube_line_splitter {
    struct buf partial;
};
void kube_lines_init(struct kube_line_splitter *lines, size_t max);
void kube_lines_fini(struct kube_line_splitter *lines);
// Calls `fn` for each whole, non-empty line; `fn` returns false to stop. False when it did, or with err (ERR_LIMIT) when
// a line is too long.
bool kube_lines_feed(struct kube_line_splitter *lines, struct str chunk,
                     bool (*fn)(void *ctx, struct str line), void *ctx, struct err *err);

// ---- request.c: how a request looks on the wire ----

struct kube_wire {
    const char *method;
    struct str path; // with the query, percent-encoded
    const char *content_type;
    struct str body;
};
bool kube_wire_request(const struct kube_request *request, struct arena *arena,
                       struct kube_wire *out, struct err *err) MUST_USE;
bool kube_wire_watch(const struct kube_watch_request *request, int64_t timeout_seconds,
                     struct arena *arena, struct str *path, struct err *err) MUST_USE;
int64_t kube_retry_after(struct str header); // seconds to nanoseconds; 0 when absent or a date
struct str kube_gvr_text(struct arena *arena, const struct kube_gvr *gvr); // "deployments.v1.apps"

// ---- credentials.c: files that hold credentials ----

bool kube_read_file(const char *path, struct arena *arena, struct str *out,
                    struct err *err) MUST_USE;
bool kube_config_in_cluster_at(const char *folder, const char *host, const char *port,
                               struct arena *arena, struct kube_config *out,
                               struct err *err) MUST_USE;
bool kube_config_check(const struct kube_config *config, struct err *err) MUST_USE;
void kube_config_copy(struct arena *arena, struct kube_config *out, const struct kube_config *from);

// ---- auth.c: who we are, for each call anew ----

struct kube_auth;
struct kube_auth *kube_auth_create(struct loop *loop, const struct kube_config *config);
void kube_auth_destroy(struct kube_auth *auth); // waiters are not called any more
// Empty when there is none. False when it must be waited for.
bool kube_auth_ready(struct kube_auth *auth, struct str *authorization, const struct err **error);
// `fn` runs once in a later turn, when credentials are there or could not be had.
void kube_auth_wait(struct kube_auth *auth, loop_fn *fn, void *ctx);
// The server refused what we sent: false when there is nothing newer to be had.
bool kube_auth_refused(struct kube_auth *auth, struct str sent);
// Replaces in *tls what an exec plugin gave or what files hold now. The number changes with it (0: as configured).
uint64_t kube_auth_tls(struct kube_auth *auth, struct http_tls *tls);
// The answer of an exec plugin; pure.
struct kube_exec_credential {
    struct str token, cert, key;
    int64_t expires_ns; // wall clock; 0: never
};
bool kube_exec_credential_parse(struct str text, struct arena *arena,
                                struct kube_exec_credential *out, struct err *err) MUST_USE;

// ---- discovery.c: discovery documents to resources; pure ----

struct kube_discovery_group {
    struct str group, version; // of a legacy group version still to be read
    bool preferred;
};
struct kube_discovery {
    struct arena *arena;
    VEC(struct kube_resource) resources;
    VEC(struct kube_discovery_group) legacy; // group versions whose resources must be asked for
    VEC(struct str) warnings;
};
// The reply to /api or /apis, aggregated or legacy.
bool kube_discovery_add(struct kube_discovery *discovery, struct str body,
                        struct err *err) MUST_USE;
// The reply to /api/v1 or /apis/GROUP/VERSION.
bool kube_discovery_add_legacy(struct kube_discovery *discovery,
                               const struct kube_discovery_group *group, struct str body,
                               struct err *err) MUST_USE;
void kube_discovery_fini(struct kube_discovery *discovery); // not the arena

// ---- table.c: objects in memory ----

// A set of records whose first member is their hash.
struct kube_set {
    void **slots;
    size_t mask, len;
};
typedef bool kube_set_eq(const void *item, const void *key);
void *kube_set_find(const struct kube_set *set, uint32_t hash, kube_set_eq *eq, const void *key);
void kube_set_add(struct kube_set *set, void *item);                // must not be there yet
void kube_set_replace(struct kube_set *set, void *old, void *item); // of the same hash
void kube_set_remove(struct kube_set *set, void *item);
bool kube_set_next(const struct kube_set *set, size_t *iter, void **item);
void kube_set_fini(struct kube_set *set);
uint32_t kube_hash_pair(struct str a, struct str b);

// ---- reflector.c: keeps one (resource, namespace, selector) in step ----

// At most `max` lists at a time, so that a start with a hundred kinds does not hold a hundred pages in memory. With
// max 0 nothing starts any more.
struct kube_gate {
    unsigned running, max;
    struct kube_reflector *first, *last;
};

struct kube_reflector_sink {
    void (*list_begin)(void *ctx);
    // kind and api_version are those an item of the list lacks (empty where it has its own).
    void (*list_item)(void *ctx, const struct kube_scan *item, struct str kind,
                      struct str api_version, struct blob *blob);
    // Everything not seen since list_begin is gone. `version` is the list's.
    void (*list_end)(void *ctx, struct str version);
    // Also bookmarks, which have no name.
    void (*event)(void *ctx, enum kube_event event, const struct kube_scan *object,
                  struct blob *blob);
    // Not served any more: everything is gone.
    void (*lost)(void *ctx);
    void (*state)(void *ctx, const struct err *error); // NULL: well (again)
};
struct kube_reflector;
struct kube_reflector *kube_reflector_create(struct loop *loop, struct kube_client *client,
                                             struct kube_gate *gate, const struct kube_gvr *gvr,
                                             struct str ns, struct str label_selector,
                                             const struct kube_reflector_sink *sink, void *ctx);
void kube_reflector_destroy(struct kube_reflector *reflector); // not from inside its own sink

#endif
