// SPDX-License-Identifier: Apache-2.0
// The shell around the planners of workloads/: what the controllers of the simulated cluster remember of the objects, the
// queue that visits them, and how their writes are carried out. For controllers.c, controllers_index.c,
// controllers_queue.c, reconcile.c, gc.c and namespace.c only.
//
// Memory stays small: an object that neither owns, is owned nor is of a kind with a planner leaves no trace here; of the
// others only what decides is kept, and the text is peeked at when its turn comes.
#ifndef SKIFF_APISERVER_CONTROLLERS_H
#define SKIFF_APISERVER_CONTROLLERS_H

#include "apiserver/internal.h"
#include "apiserver/workloads/plan.h"
#include "base/map.h"
#include "base/vec.h"

enum ctl_role {
    CTL_OTHER, // followed for garbage collection only
    CTL_DEPLOYMENT,
    CTL_REPLICA_SET,
    CTL_CONTROLLER, // ReplicationController
    CTL_STATEFUL_SET,
    CTL_DAEMON_SET,
    CTL_JOB,
    CTL_POD,
    CTL_SERVICE,
    CTL_ENDPOINT_SLICE,
    CTL_INGRESS,
    CTL_CLAIM,
    CTL_NODE,
    CTL_REVISION,
    CTL_CRON_JOB,
    CTL_AUTOSCALER,
    CTL_BUDGET,
    CTL_VOLUME,
    CTL_CLASS, // StorageClass
    CTL_NAMESPACE,
    CTL_CRD,
};

struct ctl_kind { // one followed resource
    struct api_controllers *c;
    struct kube_gvr gvr;
    struct str kind;
    char *text; // of these
    enum ctl_role role;
    bool namespaced, synced;
    unsigned mark;  // of the last look at the registry
    bool resync;    // a new initial list is coming in
    unsigned epoch; // of that list
    struct ctl_stream *stream;
    struct loop_timer *retry;
    int64_t retry_delay;
};

struct ctl_owner {
    struct str uid;
    bool controller, blocks, gone; // gone: its deletion was seen
};

struct ctl_object {
    struct ctl_kind *kind;
    struct str ns, name, uid; // one allocation behind the struct
    int64_t version;
    struct ctl_owner *owners; // one allocation with their uids
    size_t owner_count;
    struct wl_pod *pod;  // of pods and, for their labels, of services (their selector) and orphans
    unsigned epoch;      // last initial list that had it
    bool follows;        // a follower in ctl_ns: its pods' changes wake it
    bool node_gone;      // a pod whose node was deleted
    bool homeless;       // in api_controllers.homeless
    bool alive;          // exists as far as the watches say
    bool deleting;       // has a deletionTimestamp
    bool foreground;     // finalizer foregroundDeletion
    bool orphan;         // finalizer orphan
    bool check_owners;   // an owner may be gone
    bool queued, dirty;  // waits for its turn; changed while its writes are under way
    unsigned in_flight;  // writes under way
    unsigned pins;       // entries in `later`
    bool write_failed;   // one of them
    unsigned failures;   // in a row
    char *refusal;       // message of a creation that failed since the last visit, or NULL
    int64_t due;         // loop_now of a later visit, 0: none
    int64_t lazy_since;  // loop_now when an intermediate status was first put off, 0: none
    uint64_t stage;      // of a pod
    int64_t stage_since; // loop_now
    struct ctl_object *next;
};

struct ctl_uid { // by uid: the object itself where it is remembered, and who names it as an owner
    struct ctl_object *object;
    VEC(struct ctl_object *) dependents;
};

struct ctl_label { // one label of pods in one namespace
    VEC(struct ctl_object *) pods;
    VEC(struct ctl_object *) followers; // objects whose selector names it first
};

struct ctl_ns { // by namespace
    VEC(struct ctl_object *) pods;
    VEC(struct ctl_object *) broad; // followers of all pods: their selector is not a list of labels
    VEC(struct ctl_object *) orphans; // ReplicaSets and pods without a controller, for adoption
    struct map *labels;               // hash -> ctl_label
};

struct ctl_usage { // of a node, by the pods on it that have not finished
    struct wl_room room;
};

struct ctl_later {
    int64_t due;
    uint64_t order;
    struct ctl_object *object; // its `due` differs when this entry is outdated; pinned by it
};

struct ctl_op;
struct ctl_stream; // a watch; outlives its kind until its end has come

struct api_controllers {
    struct apiserver *server;
    struct loop *loop;
    struct api_user user;
    struct str groups[2];
    unsigned nodes;
    int64_t start_delay_ns;

    struct map *kinds;                 // "group/plural" -> ctl_kind
    struct map *objects;               // "group/plural/ns/name" -> ctl_object
    struct map *uids;                  // -> ctl_uid
    struct map *spaces;                // -> ctl_ns
    struct map *usage;                 // node name -> ctl_usage
    VEC(struct ctl_object *) homeless; // pods without a node
    VEC(struct ctl_object *) volumes;  // their `stage` is a hash of the claim they name, 0 without
    VEC(struct ctl_object *) classes;
    size_t scalers;                 // autoscalers there are
    struct map *zones;              // time zones that were read, by name
    VEC(struct ctl_kind *) retired; // no longer followed
    unsigned mark;
    size_t unsynced; // followed kinds whose first list is not complete

    struct ctl_object *first, *last; // the queue
    struct loop_timer *turn;         // works on the queue
    struct loop_timer *alarm;        // for `later`
    struct loop_timer *rescan;       // looks at the registry again
    VEC(struct ctl_later) later;     // a heap
    uint64_t order;
    struct ctl_op *ops; // under way
    struct ctl_stream *streams;
    struct ctl_space *terminating; // namespace.c
    struct ctl_events *events;
    struct ctl_expiry *expiry;
    uint32_t next_ip;
    struct arena *scratch;      // of one intake
    struct arena *work;         // of one visit
    struct wl_node *nodes_view; // rebuilt when nodes change
    size_t node_count;
    struct arena *nodes_arena;
    bool nodes_changed;
};

// ---- controllers_index.c ----
// Takes one version of an object in and wakes what depends on it. `object` lives in any arena.
void ctl_take(struct ctl_kind *kind, enum kube_event event, const struct doc_value *object);
void ctl_forget(struct ctl_object *object);  // deleted
void ctl_release(struct ctl_object *object); // frees what is dead and unused
struct ctl_object *ctl_find(const struct api_controllers *c, const struct ctl_kind *kind,
                            struct str ns, struct str name);
struct ctl_uid *ctl_uid_find(const struct api_controllers *c, struct str uid);
struct ctl_ns *ctl_space_find(const struct api_controllers *c, struct str ns);
struct ctl_object *ctl_controller_of(const struct api_controllers *c,
                                     const struct ctl_object *object);
struct ctl_kind *ctl_kind_find(const struct api_controllers *c, struct str group,
                               struct str plural);
struct ctl_usage *ctl_usage_of(struct api_controllers *c, struct str node); // made on first use
// The pods among which those that have all `labels` are; never NULL for a count above 0.
const struct ctl_label *ctl_label_find(const struct ctl_ns *space, const uint64_t *labels,
                                       size_t count);
void ctl_index_destroy(struct api_controllers *c);
// The present text, parsed into the arena of this visit; NULL when it is gone. *blob must be kept until the arena is reset.
const struct doc_value *ctl_load(struct api_controllers *c, const struct ctl_object *object,
                                 struct arena *arena);

// Takes one item out of a vector that has it at most once.
#define CTL_REMOVE(vec, wanted)                  \
    for (size_t at = 0; at < (vec)->len; at++) { \
        if ((vec)->items[at] == (wanted)) {      \
            VEC_REMOVE_SWAP((vec), at);          \
            break;                               \
        }                                        \
    }

// ---- controllers_labels.c ----
struct ctl_ns *ctl_space_get(struct api_controllers *c, struct str ns); // made on first use
void ctl_space_free(struct ctl_ns *space);
// Under the labels that object->pod has now; `pod` must not change in between.
void ctl_link_pod(struct ctl_object *object);
void ctl_unlink_pod(struct ctl_object *object);
void ctl_link_follower(struct ctl_object *object);
void ctl_unlink_follower(struct ctl_object *object);
void ctl_wake_followers(const struct ctl_object *pod);

// ---- controllers_queue.c ----
void ctl_wake(struct ctl_object *object);
void ctl_wake_later(struct ctl_object *object, int64_t delay_ns);
void ctl_run_plan(struct ctl_object *object, const struct wl_plan *plan);
void ctl_queue_destroy(struct api_controllers *c);
void ctl_turn(void *c);
void ctl_alarm(void *c);
// A call whose result somebody else than the queue wants. `done` does not run after the controllers are destroyed.
void ctl_call(struct api_controllers *c, const struct kube_request *request,
              void (*done)(void *ctx, const struct kube_reply *reply), void *ctx);
// As ctl_call; *takes* `ctx`, which is freed after `done`, or without it.
void ctl_call_owned(struct api_controllers *c, const struct kube_request *request,
                    void (*done)(void *ctx, const struct kube_reply *reply), void *ctx);

// ---- controllers_events.c ----
struct ctl_event; // a list of them by `next`
void ctl_events_create(struct api_controllers *c, bool muted);
void ctl_events_destroy(struct api_controllers *c);
// The events that a plan has for one of its writes (or WL_NO_WRITE); NULL without any.
struct ctl_event *ctl_events_of(struct api_controllers *c, const struct wl_plan *plan,
                                size_t write);
// Records them, or what became of them, by the answer to their write. Takes the list over.
void ctl_events_settle(struct api_controllers *c, struct ctl_event *first,
                       const struct kube_reply *reply);
void ctl_events_free(struct ctl_event *first);

// ---- controllers_expiry.c ----
void ctl_expiry_create(struct api_controllers *c);
void ctl_expiry_destroy(struct api_controllers *c);

// ---- reconcile_storage.c ----
void visit_claim(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan);
void visit_volume(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan);
// Whether a pod's volumes name this claim.
bool ctl_pod_uses(const struct doc_value *pod, struct str claim);

// ---- reconcile_policy.c ----
void visit_budget(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan);
void visit_autoscaler(struct ctl_object *object, const struct doc_value *value,
                      struct wl_plan *plan);
void visit_cron_job(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan);
void ctl_zones_destroy(struct api_controllers *c);

// ---- reconcile.c ----
// The living objects of a role that this one controls.
struct ctl_object **ctl_children(const struct ctl_object *owner, enum ctl_role role,
                                 struct arena *arena, size_t *count);
// Looks at one object and plans its next writes.
void ctl_visit(struct ctl_object *object, struct wl_plan *plan);
void ctl_refresh_nodes(struct api_controllers *c);
// Its Endpoints, which have no owner, go with it.
void ctl_service_gone(const struct ctl_object *object);

// ---- gc.c ----
// True when the object is to be left alone otherwise (it goes away, or waits for its dependents).
bool gc_visit(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan);

// ---- namespace.c ----
void ns_visit(struct ctl_object *object, const struct doc_value *value);
void ns_forget(struct ctl_object *object);
void ns_object_gone(struct api_controllers *c, struct str ns);
void ns_destroy(struct api_controllers *c);

static inline bool ctl_is_synced(const struct api_controllers *c) {
    return c->unsynced == 0;
}

#endif
