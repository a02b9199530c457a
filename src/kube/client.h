// SPDX-License-Identifier: Apache-2.0
// How controllers see a cluster: a table of functions. Implementations: HTTP to a real cluster (kube/http_client.c),
// direct calls into the embedded server (local/), and the simulation's faults around either (tests/sim/).
#ifndef SKIFF_KUBE_CLIENT_H
#define SKIFF_KUBE_CLIENT_H

#include "base/blob.h"
#include "base/err.h"
#include "doc/doc.h"

// A resource as the API names it in paths. `version` may not be empty; the core group is "".
struct kube_gvr {
    struct str group, version, resource;
};
struct kube_gvk {
    struct str group, version, kind;
};

enum kube_verb { KUBE_GET, KUBE_LIST, KUBE_CREATE, KUBE_UPDATE, KUBE_PATCH, KUBE_DELETE };
enum kube_patch { KUBE_PATCH_MERGE, KUBE_PATCH_STRATEGIC, KUBE_PATCH_JSON, KUBE_PATCH_APPLY };
enum kube_propagation { KUBE_PROPAGATION_DEFAULT, KUBE_BACKGROUND, KUBE_FOREGROUND, KUBE_ORPHAN };

struct kube_request {
    enum kube_verb verb;
    struct kube_gvr gvr;
    struct str ns;          // empty: cluster-wide
    struct str name;        // empty for list and create
    struct str subresource; // "status", "scale"; else empty
    struct str
        body; // JSON (YAML for apply is accepted by the API too); for delete: DeleteOptions or empty
    enum kube_patch patch;
    bool dry_run;
    bool force; // apply: take fields from other managers
    struct str field_manager;
    struct str field_validation; // "Strict", "Warn", "Ignore"; empty: server's default
    enum kube_propagation propagation;
    struct str precondition_uid, precondition_version; // delete
    int64_t grace_seconds;                             // delete; -1: default
    // list
    struct str label_selector, field_selector, continue_token, resource_version,
        resource_version_match;
    uint32_t limit;
    int64_t timeout_ns; // 0: the client's default
};

struct kube_reply {
    int status;             // HTTP status; 0 when none came
    struct str body;        // object, list or Status; borrowed during the callback
    struct blob *blob;      // when not NULL: `body` as a shared blob, for keeping without a copy
    int64_t retry_after_ns; // from Retry-After, else 0
    // Set unless status is 2xx: code by Kubernetes reason (NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired,
    // TooManyRequests -> ERR_UNAVAILABLE, ...), message from Status.message.
    const struct err *error;
    struct str reason; // metav1.StatusReason when the server gave one
};
typedef void kube_done(void *ctx, const struct kube_reply *reply);

enum kube_event { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED, KUBE_BOOKMARK, KUBE_ERROR };
struct kube_watch_request {
    struct kube_gvr gvr;
    struct str ns, label_selector, field_selector, resource_version;
    bool send_initial_events; // WatchList; only where the server has it
};
struct kube_watch_handler {
    // `object` is JSON, borrowed; `blob` shares it when not NULL. For KUBE_ERROR it is a Status.
    void (*on_event)(void *ctx, enum kube_event event, struct str object, struct blob *blob);
    // The stream ended: NULL for a plain end (reconnect from the last version), ERR_GONE, transport errors.
    void (*on_end)(void *ctx, const struct err *error);
    void *ctx;
};

struct kube_client;
struct kube_client_ops {
    // Callbacks run in a later turn, exactly once, also after cancel (ERR_CANCELLED). Strings in requests are copied.
    uint64_t (*call)(struct kube_client *client, const struct kube_request *request,
                     kube_done *done, void *ctx);
    uint64_t (*watch)(struct kube_client *client, const struct kube_watch_request *request,
                      const struct kube_watch_handler *handler);
    void (*cancel)(struct kube_client *client,
                   uint64_t id); // a watch's on_end runs with ERR_CANCELLED
    // Any other path ("/apis", "/openapi/v3", "/version"), GET.
    uint64_t (*get_raw)(struct kube_client *client, struct str path, struct str accept,
                        kube_done *done, void *ctx);
    // Optional (NULL): the current object at once without a round trip, as a reference the caller drops. Where it exists
    // a cache keeps no copies of its own.
    struct blob *(*peek)(struct kube_client *client, const struct kube_gvr *gvr, struct str ns,
                         struct str name);
    void (*destroy)(struct kube_client *client);
};
// Implementations put this first in their own struct.
struct kube_client {
    const struct kube_client_ops *ops;
    struct str server; // "https://kubernetes.default.svc", for logs and metrics
};

static inline void kube_client_destroy(struct kube_client *client) {
    if (client) {
        client->ops->destroy(client);
    }
}

// Fills `err` and `reason` from a Status object (kube/status.c); used by all implementations.
void kube_status_error(int http_status, struct str body, struct err *err, char reason[64]);

#endif
