// SPDX-License-Identifier: Apache-2.0
// The shell of the controller: what it keeps per application, source and cluster, all on the loop thread.
#ifndef SKIFF_APP_CONTROLLER_INTERNAL_H
#define SKIFF_APP_CONTROLLER_INTERNAL_H

#include "app/app.h"
#include "app/async.h"
#include "app/plan.h"
#include "app/settings.h"
#include "base/map.h"
#include "base/vec.h"
#include "kube/cache.h"
#include "kube/mapper.h"
#include "render/render.h"

enum {
    APP_PARALLEL_JOBS = 32, // applications that render, plan or sync at one time
    APP_MANIFEST_BYTES =
        24 * 1024 * 1024, // rendered manifests kept in memory, beyond it the oldest go
};

// ---- Manifests: the result of one render, shared with workers (manifests.c) ----
struct app_manifest {
    struct str group, version, kind, ns, name; // as rendered; ns may be empty
    struct blob *text;
    struct str place;
};
struct app_manifests {
    atomic_uint refs;
    struct arena *arena;
    char sha[VCS_ID_MAX + 1];
    struct str source_type;
    struct app_manifest *items;
    size_t count;
    size_t bytes;
    struct render_result reads; // only reads and read_count are kept
};
void app_manifests_unref(struct app_manifests *manifests);
static inline struct app_manifests *app_manifests_ref(struct app_manifests *manifests) {
    atomic_fetch_add_explicit(&manifests->refs, 1, memory_order_relaxed);
    return manifests;
}

// ---- Sources: one repository at one revision, shared by applications (source.c) ----
struct app_source {
    struct app_controller *controller;
    struct str key, url, revision; // key: normalised URL, newline, revision
    char sha[VCS_ID_MAX + 1];      // empty until the first answer
    bool has_error;
    struct err error;
    bool is_resolving, resolve_again;
    struct loop_timer *poll;
    VEC(struct app_item *) items;
};

// ---- Clusters (cluster.c) ----
struct app_cluster {
    struct app_controller *controller;
    struct str server, name, version, namespaces;
    struct kube_client *client;
    bool owns_client;
    struct kube_mapper *mapper;
    struct kube_cache *cache;
    bool is_refreshing, refresh_again;
    struct loop_timer *mapper_timer;
    int64_t mapper_pause;
    bool has_error; // no connection, or the Secret does not parse
    struct err error;
    unsigned users; // applications that point here
    bool is_stale;  // its Secret changed or went: it ends with its last user
    bool is_closing;
};

// ---- Applications ----
enum item_state {
    ITEM_IDLE,
    ITEM_RENDERING,
    ITEM_PLANNING,
    ITEM_WRITING, // the status patch is under way
    ITEM_CALLING, // calls on the destination are under way
    ITEM_DELETING,
};

struct kept_result { // a sync_result that is not in the status yet, with its own text
    struct sync_result result;
    char *text;
};

struct app_wanted {
    struct kube_gvr gvr;
    char *text; // which its words point into
    bool is_namespaced;
};

struct app_item {
    struct app_controller *controller;
    struct str key, ns, name; // key: "ns/name"
    enum item_state state;
    bool is_queued, is_again; // again: something changed while it was busy
    bool is_gone;             // the object is gone; freed when idle
    struct app_source *source, *operation_source;
    struct app_cluster *cluster;
    struct app_manifests *manifests;
    struct app_manifests *operation_manifests;
    bool has_render_error;
    char render_error_sha[VCS_ID_MAX + 1];
    struct err *render_error;
    unsigned deletes_under_way;
    bool delete_failed;
    uint64_t source_hash; // of the spec.source that was rendered last
    bool is_refresh, is_hard_refresh, refresh_resolved;
    uint64_t operation_hash; // of the operation that asked Git last; 0: none is asked for
    bool waits_for_git;      // a new operation starts from what Git says now
    bool waits_for_kinds;
    VEC(struct app_wanted) wanted; // kinds this item has asked the cache for
    VEC(struct kept_result) results;
    struct loop_timer *timer;
    struct app_job *job;
    char *
        written_version; // resourceVersion of our last patch: older views of the object are not planned on
    unsigned failures; // of writes in a row, for the pause
    uint64_t used;     // for the eviction of manifests
};

struct app_controller {
    struct app_options options;
    struct loop *loop;
    char *ns_text;
    struct str ns;
    struct kube_cache *home;
    struct app_settings *settings;
    struct app_registry *registry;
    bool has_settings;
    struct loop_timer *settings_timer;
    struct map *items;       // "ns/name" -> app_item
    struct map *by_instance; // instance -> app_item
    struct map *sources;     // key -> app_source
    struct map *clusters;    // server -> app_cluster
    VEC(struct app_cluster *) stale_clusters;
    VEC(struct app_item *) queue;
    size_t queue_head;
    unsigned busy;
    bool is_pumping;
    size_t manifest_bytes;
    uint64_t clock; // grows with every use of manifests
    bool is_closing;
    struct app_async *asyncs; // calls whose callback is still to come
    struct app_metrics *metrics;
    char *webhook_secrets[2];
};

extern const struct kube_gvr app_gvr_applications, app_gvr_projects, app_gvr_secrets,
    app_gvr_config_maps, app_gvr_namespaces, app_gvr_crds;

// controller.c
void app_enqueue(struct app_item *item);
void app_pump(struct app_controller *controller);
void app_item_settle(struct app_item *item); // back to idle, and on to the next
struct blob *app_item_text(struct app_item *item);
void app_requeue_in(struct app_item *item, int64_t ns);
struct blob *app_project_text(struct app_controller *controller, struct str name);

// source.c
struct app_source *app_source_get(struct app_controller *controller, struct str url,
                                  struct str revision);
void app_source_attach(struct app_source *source, struct app_item *item);
void app_source_detach(struct app_source *source, struct app_item *item);
void app_source_refresh(struct app_source *source);
void app_source_destroy(struct app_source *source);

// cluster.c
struct app_cluster *app_cluster_get(struct app_controller *controller, struct str server,
                                    struct str name, struct err *err);
void app_cluster_want(struct app_item *item, const struct kube_gvr *gvr, bool is_namespaced);
// Does the cluster's Secret let us see this namespace, or with an empty one what has none?
bool app_cluster_shows(const struct app_cluster *cluster, struct str ns);
void app_cluster_use(struct app_item *item,
                     struct app_cluster *cluster); // lets go of the one before; NULL is fine
// After the Secrets were read again: connections whose Secret changed end with their last user.
void app_cluster_check_secrets(struct app_controller *controller);
void app_cluster_refresh(
    struct app_cluster *cluster); // reads discovery again, with a growing pause
void app_cluster_destroy(struct app_cluster *cluster);

// reconcile.c
void app_reconcile(struct app_item *item);

// render_job.c
void app_render(struct app_item *item, const struct app_source *source,
                const struct doc_value *spec_source, struct str project, struct str destination_ns,
                bool for_operation);
void app_drop_manifests(struct app_item *item);
void app_evict_manifests(struct app_controller *controller);

// execute.c
void app_execute(struct app_item *item, struct app_job *job);

// finalize.c: true when the application is being deleted and this took care of it
bool app_finalize(struct app_item *item, const struct doc_value *app);

// events.c, metrics.c
void app_write_events(struct app_item *item, const struct doc_value *app,
                      const struct app_event *events, size_t count);
struct app_metrics *app_metrics_create(struct app_controller *controller);
void app_metrics_destroy(struct app_metrics *metrics);
void app_metrics_reconciled(struct app_item *item, struct str server, int64_t took_ns);
void app_metrics_synced(struct app_item *item, struct str phase, struct str project,
                        struct str server);

#endif
