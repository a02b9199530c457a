// SPDX-License-Identifier: Apache-2.0
// The pure half of the simulated cluster: each planner looks at one object and what belongs to it and answers with the
// writes that bring the cluster one step nearer to it. No clock, no randomness, no calls: tables test them
// (tests/unit/apiserver/test_plan_*.c); apiserver/controllers.c carries the writes out.
#ifndef SKIFF_APISERVER_WORKLOADS_PLAN_H
#define SKIFF_APISERVER_WORKLOADS_PLAN_H

#include "base/timefmt.h"
#include "doc/doc.h"
#include "kube/client.h"

// ---- What a planner answers ----
struct wl_write {
    enum kube_verb verb; // KUBE_CREATE, KUBE_PATCH (merge) or KUBE_DELETE
    const struct kube_gvr *gvr;
    struct str ns, name, subresource;
    struct doc_value body; // object or merge patch
    struct str uid;        // delete: precondition
    enum kube_propagation propagation;
    int64_t grace_seconds; // delete; -1: default
    bool
        lazy; // an intermediate status: may wait a moment, so that a quick series of changes costs one write
    bool exists_is_fine; // create: somebody having made it before is a success
    const char *manager; // field manager; NULL: "kube-controller-manager"
};

// What an Event will say, once the write it belongs to has succeeded.
struct wl_event {
    const struct doc_value *about;
    const char *component, *reason;
    const char *action; // set: the form of events.k8s.io, as the scheduler writes it
    struct str message, field_path;
    bool warning;
    bool named; // the name of what the write made follows the message; a failure is "FailedCreate"
    bool once;  // not when what was to be made exists already
    size_t write; // its index, or WL_NO_WRITE
};
#define WL_NO_WRITE SIZE_MAX

struct wl_plan {
    struct arena *arena;
    int64_t now; // wall time, nanoseconds
    struct wl_write *writes;
    size_t count, cap;
    struct wl_event *events;
    size_t event_count, event_cap;
    struct str failure; // what the last creation was refused with; empty: nothing
    int64_t requeue_ns; // look again after this time even without an event; 0: no need
};

// ---- What a planner sees ----
struct wl_room {
    int64_t cpu, memory, pods; // thousandths of a core, bytes, number
};
struct wl_node {
    struct str name, ip;
    const struct doc_value *labels, *taints;
    bool unschedulable;
    bool limited; // says what it has room for
    struct wl_room room;
    const struct wl_room *used; // by its pods; NULL: nothing
};
struct wl_world {
    const struct wl_node *nodes;
    size_t node_count;
    int64_t start_delay_ns; // of a pod without an annotation
    struct str
        volumes; // of one pod: why its volumes keep it from being scheduled; empty: they do not
};

enum wl_phase { WL_PENDING, WL_RUNNING, WL_SUCCEEDED, WL_FAILED };
// What the owners of a pod need to know of it; taken once from each version of the pod.
struct wl_pod {
    struct str name, uid, node, revision; // revision: label controller-revision-hash
    struct str ip;
    enum wl_phase phase;
    bool ready, deleting;
    int64_t created, ready_since, finished; // wall time; 0: not so
    int64_t restarts;                       // of its first container
    int64_t deletion_cost;                  // annotation pod-deletion-cost
    struct wl_room room;                    // what it asks for
    int64_t index;                          // ordinal or completion index, -1 without one
    const struct doc_value *object; // only where a planner asks for it (Jobs with a failure policy)
    const uint64_t *labels;         // wl_label_hash of each label
    size_t label_count;
};
// Strings point into `pod`'s text; labels are in the arena.
void wl_pod_read(struct arena *arena, const struct doc_value *pod, struct wl_pod *out);
uint64_t wl_label_hash(struct str key, struct str value);
// Whether all of `wanted` are among `labels`.
bool wl_labels_contain(const uint64_t *labels, size_t count, const uint64_t *wanted,
                       size_t wanted_count);
bool wl_pod_is_active(const struct wl_pod *pod); // neither finished nor being deleted
bool wl_pod_is_available(const struct wl_pod *pod, int64_t min_ready_seconds, int64_t now);

struct wl_zone;
struct wl_replica_set { // as a Deployment sees it
    const struct doc_value *object;
    size_t pods_left; // not finished, those being deleted included
};

// ---- Planners ----
void wl_plan_deployment(struct wl_plan *plan, const struct doc_value *deployment,
                        const struct wl_replica_set *sets, size_t count);
void wl_plan_replica_set(struct wl_plan *plan, const struct doc_value *set,
                         const struct wl_pod *const *pods, size_t count,
                         const struct wl_world *world);
void wl_plan_controller(struct wl_plan *plan, const struct doc_value *controller,
                        const struct wl_pod *const *pods, size_t count,
                        const struct wl_world *world);
void wl_plan_stateful_set(struct wl_plan *plan, const struct doc_value *set,
                          const struct wl_pod *const *pods, size_t count,
                          const struct doc_value *const *revisions, size_t revision_count,
                          const struct wl_world *world);
void wl_plan_daemon_set(struct wl_plan *plan, const struct doc_value *set,
                        const struct wl_pod *const *pods, size_t count,
                        const struct doc_value *const *revisions, size_t revision_count,
                        const struct wl_world *world);
void wl_plan_job(struct wl_plan *plan, const struct doc_value *job,
                 const struct wl_pod *const *pods, size_t count, const struct wl_world *world);

// `zone` NULL: the one that the object names is not known.
void wl_plan_cron_job(struct wl_plan *plan, const struct doc_value *cron_job,
                      const struct doc_value *const *jobs, size_t count,
                      const struct wl_zone *zone);

// ---- cron.c: schedules ("*/5 * * * mon-fri", "@hourly", "@every 90s") and time zones ----
struct wl_cron {
    uint64_t minutes, hours, days, months, weekdays; // bits
    bool any_day, any_weekday;
    int64_t every_ns; // above 0: nothing else counts
};
bool wl_cron_parse(struct str text, struct wl_cron *out, struct err *err) MUST_USE;
// The first time after `after`, both nanoseconds since 1970; 0 when there is none within five years.
int64_t wl_cron_next(const struct wl_cron *cron, const struct wl_zone *zone, int64_t after);
struct wl_zone {           // seconds east of UTC, by time
    const int64_t *starts; // seconds since 1970
    const int32_t *offsets;
    size_t count;
    int32_t first; // before all of them
};
extern const struct wl_zone wl_utc;
// From the bytes of a TZif file; the years after its last change of clocks repeat the yearly rule at its end.
bool wl_zone_parse(struct arena *arena, struct str bytes, struct wl_zone *out,
                   struct err *err) MUST_USE;
int32_t wl_zone_offset(const struct wl_zone *zone, int64_t seconds);

// ---- indexes.c: sets of completion indexes ("0,2-4") ----
struct wl_indexes {
    bool *has;
    int64_t count; // of `has`
};
struct wl_indexes wl_indexes_parse(struct arena *arena, struct str text, int64_t count);
struct str wl_indexes_text(struct arena *arena, const struct wl_indexes *indexes);

// The node's part. A pod's stage is what it waits in (pulling, starting, running for its time, backing off); the caller
// says for how long it has been in the current one, which is finer than the whole seconds of the object.
uint64_t wl_pod_stage(const struct doc_value *pod);
void wl_plan_pod(struct wl_plan *plan, const struct doc_value *pod, const struct wl_world *world,
                 int64_t stage_elapsed_ns, struct str free_ip);

// Services, with the pods their selector matches, and the EndpointSlices they own. `ports_of` is one of these pods, for
// named target ports; NULL without one.
void wl_plan_service(struct wl_plan *plan, const struct doc_value *service,
                     const struct wl_pod *const *pods, size_t pod_count,
                     const struct doc_value *ports_of, const struct doc_value *const *slices,
                     size_t slice_count);
void wl_plan_ingress(struct wl_plan *plan, const struct doc_value *ingress);
struct wl_storage { // what a claim can be bound to
    const struct doc_value *const *volumes;
    size_t volume_count;
    const struct doc_value *class; // the one it names, or NULL
    struct str default_class;      // name, empty: none
    bool has_consumer;             // a pod waits for it
    bool in_use;                   // by a pod that has not finished
};
void wl_plan_claim(struct wl_plan *plan, const struct doc_value *claim,
                   const struct wl_storage *storage);
// `claim`: the one that the volume names, or NULL.
void wl_plan_volume(struct wl_plan *plan, const struct doc_value *volume,
                    const struct doc_value *claim);
struct doc_value wl_default_class(struct arena *arena);
// The older form of what the slices say; `present` NULL: there is none yet.
void wl_plan_endpoints(struct wl_plan *plan, const struct doc_value *service,
                       const struct wl_pod *const *pods, size_t pod_count,
                       const struct doc_value *ports_of, const struct doc_value *present);
// `scale` NULL: the target has none, as `problem` says.
void wl_plan_autoscaler(struct wl_plan *plan, const struct doc_value *autoscaler,
                        const struct kube_gvr *target, const struct doc_value *scale,
                        struct str problem);
// `scale`: replicas that the controllers of these pods want.
void wl_plan_budget(struct wl_plan *plan, const struct doc_value *budget,
                    const struct wl_pod *const *pods, size_t count, int64_t scale);
// A LabelSelector; absent parts match everything.
bool wl_selector_matches(const struct doc_value *selector, const struct doc_value *labels);
// The ConfigMap of each namespace that tells pods whom to trust.
struct doc_value wl_root_ca(struct arena *arena, struct str ns, struct str pem);
struct doc_value wl_node_object(struct arena *arena, size_t index);
void wl_plan_node(struct wl_plan *plan, const struct doc_value *node);
struct doc_value wl_node_status(struct arena *arena, size_t index, int64_t now);

// ---- Helpers shared by the planners ----
extern const struct kube_gvr wl_deployments, wl_replica_sets, wl_stateful_sets, wl_daemon_sets,
    wl_jobs, wl_pods, wl_services, wl_endpoint_slices, wl_ingresses, wl_claims, wl_nodes,
    wl_namespaces, wl_service_accounts, wl_revisions, wl_crds, wl_events, wl_config_maps,
    wl_controllers, wl_cron_jobs, wl_autoscalers, wl_budgets, wl_endpoints, wl_volumes,
    wl_storage_classes;

void wl_plan_init(struct wl_plan *plan, struct arena *arena, int64_t now);
struct wl_write *wl_create(struct wl_plan *plan, const struct kube_gvr *gvr, struct str ns,
                           struct doc_value body);
struct wl_write *wl_patch(struct wl_plan *plan, const struct kube_gvr *gvr,
                          const struct doc_value *object, struct doc_value body);
// Writes `status` where it differs from the object's. NULL when it does not.
struct wl_write *wl_status(struct wl_plan *plan, const struct kube_gvr *gvr,
                           const struct doc_value *object, struct doc_value status);
struct wl_write *wl_delete(struct wl_plan *plan, const struct kube_gvr *gvr, struct str ns,
                           struct str name, struct str uid);
void wl_requeue(struct wl_plan *plan, int64_t delay_ns); // the earliest of several wins
// Records an event of the last write of the plan (of none where there is none). The result may be changed.
struct wl_event *wl_event(struct wl_plan *plan, const struct doc_value *about,
                          const char *component, const char *reason, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

// wl_object(arena, "a", value, "b", value, NULL)
struct doc_value wl_object(struct arena *arena, ...) __attribute__((sentinel));
struct doc_value wl_text(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct doc_value wl_time(struct arena *arena, int64_t ns);
struct str wl_name(const struct doc_value *object);
struct str wl_ns(const struct doc_value *object);
struct str wl_uid(const struct doc_value *object);
bool wl_is_deleting(const struct doc_value *object);
struct str wl_annotation(const struct doc_value *object, const char *key);
// A duration annotation, or the fallback when absent or malformed.
int64_t wl_annotation_duration(const struct doc_value *object, const char *key, int64_t fallback);
int64_t wl_annotation_int(const struct doc_value *object, const char *key, int64_t fallback);
int64_t wl_when(const struct doc_value *time); // 0 when absent or malformed
struct doc_value wl_owner(struct arena *arena, const char *api_version, const char *kind,
                          const struct doc_value *owner); // [controller reference]
// Short names of contents: ten letters and digits that cannot form a word, as pod-template-hash has.
struct str wl_hash_name(struct arena *arena, const struct doc_value *value, int64_t salt);
// int-or-percent of `total`; -1 when malformed.
int64_t wl_scaled(const struct doc_value *value, int64_t total, bool round_up);
const struct doc_value *wl_condition(const struct doc_value *status, const char *type);
bool wl_condition_is(const struct doc_value *status, const char *type, const char *value);

// Conditions under construction; starts with those of the present status.
struct wl_conditions {
    struct wl_plan *plan;
    struct doc_array list;
    const struct doc_value *before;
};
void wl_conditions_init(struct wl_conditions *conditions, struct wl_plan *plan,
                        const struct doc_value *status);
// Keeps lastTransitionTime where the status stays, and everything where nothing changes. With `update_time` the
// condition carries lastUpdateTime too, renewed on a change of any field or when `touch` is set.
void wl_conditions_set(struct wl_conditions *conditions, const char *type, const char *status,
                       const char *reason, struct doc_value message, bool update_time, bool touch);
void wl_conditions_remove(struct wl_conditions *conditions, const char *type);
struct doc_value wl_conditions_done(const struct wl_conditions *conditions);

// A pod made from `template` for a controller; `pick` chooses the node among those the pod's nodeSelector allows, and
// `node` names one outright (DaemonSets). With both of name and generate_name the second
// is a note only.
struct wl_pod_spec {
    const struct doc_value *template;
    struct str ns, name, generate_name;
    struct doc_value owners;
    const struct wl_world *world;
    uint64_t pick;
    struct str node;
};
struct doc_value wl_pod_make(struct arena *arena, const struct wl_pod_spec *spec);
// ---- schedule.c ----
const struct wl_node *wl_node_for(const struct wl_world *world, const struct doc_value *pod_spec,
                                  uint64_t pick);
bool wl_node_takes_daemon(const struct wl_node *node, const struct doc_value *pod_spec);
// When the node's NoExecute taints end this pod: nanoseconds, -1: never.
int64_t wl_evicted_after(const struct wl_node *node, const struct doc_value *pod_spec);
struct str wl_unschedulable(struct arena *arena, const struct wl_world *world,
                            const struct doc_value *pod_spec);
struct wl_room wl_pod_requests(const struct doc_value *pod_spec);
// "1500m", "2Gi" in units of 1/scale, rounded up.
int64_t wl_quantity(struct str text, int64_t scale);

// ---- revisions.c: the ControllerRevisions of a StatefulSet or DaemonSet ----
struct wl_history {
    struct wl_plan *plan;
    const struct doc_value *owner;
    const char *kind, *hash_label;
    const struct doc_value *const *revisions;
    size_t count;
    struct str name, hash; // of the present template's revision
    int64_t collisions;
};
// Finds or makes the revision of the present template; sets name and hash.
void wl_history_sync(struct wl_history *history);
const struct doc_value *wl_history_find(const struct wl_history *history, struct str name);
// The pod template that a revision holds.
struct doc_value wl_history_template(struct arena *arena, const struct doc_value *revision);
// Deletes the oldest of those that `is_live` does not want, beyond the limit.
void wl_history_trim(const struct wl_history *history,
                     bool (*is_live)(const void *ctx, const struct doc_value *revision),
                     const void *ctx);

// Orders pods by how little is lost with them: unscheduled, pending, not ready, youngest first.
void wl_sort_for_deletion(const struct wl_pod **pods, size_t count);

#endif
