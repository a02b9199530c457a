// SPDX-License-Identifier: Apache-2.0
// ReplicaSets, and ReplicationControllers, which are the same with other names: as many pods as wanted, no more, and a
// status that counts them.
#include "apiserver/workloads/plan.h"

enum { BURST = 500 }; // pods made or deleted in one step, as Kubernetes' BurstReplicas

struct flavour {
    const struct kube_gvr *gvr;
    const char *api_version, *kind, *component;
    bool counts_terminating;
};

static const struct flavour replica_set = {&wl_replica_sets, "apps/v1", "ReplicaSet",
                                           "replicaset-controller", true};
static const struct flavour controller = {&wl_controllers, "v1", "ReplicationController",
                                          "replication-controller", false};

static void add_pods(struct wl_plan *plan, const struct flavour *f, const struct doc_value *set,
                     int64_t missing, size_t existing, const struct wl_world *world) {
    struct wl_pod_spec spec = {
        .template = doc_get(set, "spec", "template"),
        .ns = wl_ns(set),
        .generate_name = arena_printf(plan->arena, "%.*s-", STR_ARG(wl_name(set))),
        .owners = wl_owner(plan->arena, f->api_version, f->kind, set),
        .world = world,
    };
    uint64_t first = str_hash(wl_name(set)) % 1024 + existing;
    for (int64_t i = 0; i < missing && i < BURST; i++) {
        spec.pick = first + (uint64_t)i;
        wl_create(plan, &wl_pods, spec.ns, wl_pod_make(plan->arena, &spec));
        wl_event(plan, set, f->component, "SuccessfulCreate", "Created pod: ")->named = true;
    }
}

static void remove_pods(struct wl_plan *plan, const struct flavour *f, const struct doc_value *set,
                        const struct wl_pod **alive, int64_t active, int64_t excess) {
    wl_sort_for_deletion(alive, (size_t)active);
    for (int64_t i = 0; i < excess && i < BURST; i++) {
        wl_delete(plan, &wl_pods, wl_ns(set), alive[i]->name, alive[i]->uid);
        wl_event(plan, set, f->component, "SuccessfulDelete", "Deleted pod: %.*s",
                 STR_ARG(alive[i]->name));
    }
}

struct tally {
    int64_t active, labelled, ready, available, terminating;
};

static void write_status(struct wl_plan *plan, const struct flavour *f, const struct doc_value *set,
                         const struct tally *n, int64_t want) {
    struct arena *arena = plan->arena;
    const struct doc_value *before = doc_get(set, "status");
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "replicas", doc_make_int(n->active));
    if (n->labelled) {
        doc_object_set_c(&status, "fullyLabeledReplicas", doc_make_int(n->labelled));
    }
    if (n->ready) {
        doc_object_set_c(&status, "readyReplicas", doc_make_int(n->ready));
    }
    if (n->available) {
        doc_object_set_c(&status, "availableReplicas", doc_make_int(n->available));
    }
    if (f->counts_terminating) {
        doc_object_set_c(&status, "terminatingReplicas", doc_make_int(n->terminating));
    }
    doc_object_set_c(&status, "observedGeneration",
                     doc_make_int(doc_int(doc_get(set, "metadata", "generation"), 1)));
    struct wl_conditions conditions;
    wl_conditions_init(&conditions, plan, before);
    if (plan->failure.n && !wl_condition(before, "ReplicaFailure")) { // the first one stays
        wl_conditions_set(&conditions, "ReplicaFailure", "True", "FailedCreate",
                          doc_make_str(plan->failure), false, false);
    } else if (!plan->failure.n && wl_condition(before, "ReplicaFailure") && n->active >= want) {
        wl_conditions_remove(&conditions, "ReplicaFailure");
    }
    if (conditions.list.len) {
        doc_object_set_c(&status, "conditions", wl_conditions_done(&conditions));
    }
    struct wl_write *write = wl_status(plan, f->gvr, set, doc_object_done(&status));
    // A pod that went without being asked to is seen even when its successor serves at once: others wait for that.
    bool lost = n->available < doc_int(doc_get(before, "availableReplicas"), 0) &&
                want >= doc_int(doc_get(before, "replicas"), 0);
    if (write) {
        write->lazy = !plan->failure.n && !lost &&
                      (n->active != want || n->available != want || n->terminating > 0);
    }
}

static void plan_set(struct wl_plan *plan, const struct flavour *f, const struct doc_value *set,
                     const struct wl_pod *const *pods, size_t count, const struct wl_world *world) {
    int64_t want = doc_int(doc_get(set, "spec", "replicas"), 1);
    int64_t min_ready = doc_int(doc_get(set, "spec", "minReadySeconds"), 0);
    struct tally n = {0};
    const struct doc_value *labels = doc_get(set, "spec", "template", "metadata", "labels");
    uint64_t *wanted = ARENA_ARRAY(plan->arena, doc_len(labels) + 1, uint64_t);
    for (DOC_EACH_MEMBER(labels, i)) {
        wanted[i] = wl_label_hash(doc_key_at(labels, i), doc_str(doc_value_at(labels, i)));
    }
    const struct wl_pod **alive = ARENA_ARRAY(plan->arena, count + 1, const struct wl_pod *);
    for (size_t i = 0; i < count; i++) {
        if (!wl_pod_is_active(pods[i])) {
            n.terminating +=
                pods[i]->deleting && pods[i]->phase != WL_SUCCEEDED && pods[i]->phase != WL_FAILED;
            continue;
        }
        alive[n.active++] = pods[i];
        n.labelled += wl_labels_contain(pods[i]->labels, pods[i]->label_count, wanted,
                                        doc_is(labels, DOC_OBJECT) ? doc_len(labels) : 0);
        n.ready += pods[i]->ready;
        if (wl_pod_is_available(pods[i], min_ready, plan->now)) {
            n.available++;
        } else if (pods[i]->ready) {
            wl_requeue(plan, pods[i]->ready_since + min_ready * NS_PER_SECOND - plan->now);
        }
    }
    if (!wl_is_deleting(set)) {
        if (n.active < want) {
            add_pods(plan, f, set, want - n.active, count, world);
        } else if (n.active > want) {
            remove_pods(plan, f, set, alive, n.active, n.active - want);
        }
    }
    write_status(plan, f, set, &n, want);
}

void wl_plan_replica_set(struct wl_plan *plan, const struct doc_value *set,
                         const struct wl_pod *const *pods, size_t count,
                         const struct wl_world *world) {
    plan_set(plan, &replica_set, set, pods, count, world);
}

void wl_plan_controller(struct wl_plan *plan, const struct doc_value *set,
                        const struct wl_pod *const *pods, size_t count,
                        const struct wl_world *world) {
    plan_set(plan, &controller, set, pods, count, world);
}
