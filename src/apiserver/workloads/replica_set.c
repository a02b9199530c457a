// SPDX-License-Identifier: Apache-2.0
// ReplicaSets: as many pods as wanted, no more, and a status that counts them.
#include "apiserver/workloads/plan.h"

enum { BURST = 500 }; // pods made or deleted in one step, as Kubernetes' BurstReplicas

static void add_pods(struct wl_plan *plan, const struct doc_value *set, int64_t missing,
                     size_t existing, const struct wl_world *world) {
    struct wl_pod_spec spec = {
        .template = doc_get(set, "spec", "template"),
        .ns = wl_ns(set),
        .generate_name = arena_printf(plan->arena, "%.*s-", STR_ARG(wl_name(set))),
        .owners = wl_owner(plan->arena, "apps/v1", "ReplicaSet", set),
        .world = world,
    };
    uint64_t first = str_hash(wl_name(set)) % 1024 + existing;
    for (int64_t i = 0; i < missing && i < BURST; i++) {
        spec.pick = first + (uint64_t)i;
        wl_create(plan, &wl_pods, spec.ns, wl_pod_make(plan->arena, &spec));
    }
}

void wl_plan_replica_set(struct wl_plan *plan, const struct doc_value *set,
                         const struct wl_pod *const *pods, size_t count,
                         const struct wl_world *world) {
    int64_t want = doc_int(doc_get(set, "spec", "replicas"), 1);
    int64_t min_ready = doc_int(doc_get(set, "spec", "minReadySeconds"), 0);
    int64_t active = 0, ready = 0, available = 0;
    const struct wl_pod **alive = ARENA_ARRAY(plan->arena, count + 1, const struct wl_pod *);
    for (size_t i = 0; i < count; i++) {
        if (!wl_pod_is_active(pods[i])) {
            continue;
        }
        alive[active++] = pods[i];
        ready += pods[i]->ready;
        if (wl_pod_is_available(pods[i], min_ready, plan->now)) {
            available++;
        } else if (pods[i]->ready) {
            wl_requeue(plan, pods[i]->ready_since + min_ready * NS_PER_SECOND - plan->now);
        }
    }
    if (!wl_is_deleting(set)) {
        if (active < want) {
            add_pods(plan, set, want - active, count, world);
        } else if (active > want) {
            wl_sort_for_deletion(alive, (size_t)active);
            for (int64_t i = 0; i < active - want && i < BURST; i++) {
                wl_delete(plan, &wl_pods, wl_ns(set), alive[i]->name, alive[i]->uid);
            }
        }
    }
    struct doc_object status = doc_object_start(plan->arena);
    doc_object_set_c(&status, "observedGeneration",
                     doc_make_int(doc_int(doc_get(set, "metadata", "generation"), 1)));
    doc_object_set_c(&status, "replicas", doc_make_int(active));
    if (active) {
        doc_object_set_c(&status, "fullyLabeledReplicas", doc_make_int(active));
    }
    if (ready) {
        doc_object_set_c(&status, "readyReplicas", doc_make_int(ready));
    }
    if (available) {
        doc_object_set_c(&status, "availableReplicas", doc_make_int(available));
    }
    struct wl_write *write = wl_status(plan, &wl_replica_sets, set, doc_object_done(&status));
    if (write) {
        write->lazy = active != want || available != want;
    }
}
