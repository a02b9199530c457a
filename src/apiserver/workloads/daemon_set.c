// SPDX-License-Identifier: Apache-2.0
// DaemonSets: one pod on each node that the template's nodeSelector allows, replaced a few at a time.
#include "apiserver/workloads/plan.h"

struct daemon {
    struct wl_plan *plan;
    const struct doc_value *set;
    const struct wl_pod *const *pods;
    size_t count;
    const struct wl_world *world;
    struct str revision;
    int64_t min_ready;
    int64_t desired, scheduled, ready, available, updated, misplaced;
};

static void remove_pod(const struct daemon *d, const struct wl_pod *pod) {
    if (!pod->deleting) {
        wl_delete(d->plan, &wl_pods, wl_ns(d->set), pod->name, pod->uid);
    }
}

static void create_pod(const struct daemon *d, const struct wl_node *node) {
    struct arena *arena = d->plan->arena;
    struct doc_value none = wl_object(arena, NULL);
    const struct doc_value *given = doc_get(d->set, "spec", "template");
    struct doc_value template = given ? *given : none;
    template = doc_with(arena, &template, doc_make_str(d->revision), "metadata", "labels",
                        "controller-revision-hash");
    template = doc_with(
        arena, &template,
        wl_text(arena, "%lld", (long long)doc_int(doc_get(d->set, "metadata", "generation"), 1)),
        "metadata", "labels", "pod-template-generation");
    struct wl_pod_spec spec = {
        .template = &template,
        .ns = wl_ns(d->set),
        .generate_name = arena_printf(arena, "%.*s-", STR_ARG(wl_name(d->set))),
        .owners = wl_owner(arena, "apps/v1", "DaemonSet", d->set),
        .world = d->world,
        .node = node->name,
    };
    wl_create(d->plan, &wl_pods, spec.ns, wl_pod_make(arena, &spec));
}

static const struct wl_node *find_node(const struct daemon *d, struct str name) {
    for (size_t i = 0; i < d->world->node_count; i++) {
        if (str_eq(d->world->nodes[i].name, name)) {
            return &d->world->nodes[i];
        }
    }
    return NULL;
}

static bool is_eligible(const struct daemon *d, const struct wl_node *node) {
    struct wl_world one = {.nodes = node, .node_count = 1};
    return node && wl_node_for(&one, doc_get(d->set, "spec", "template", "spec"), 0);
}

// The pod that counts on this node, preferably one with the present template; `extra` are deleted.
static const struct wl_pod *pod_on(const struct daemon *d, const struct wl_node *node, bool act,
                                   bool *leaving) {
    const struct wl_pod *kept = NULL;
    for (size_t i = 0; i < d->count; i++) {
        const struct wl_pod *pod = d->pods[i];
        if (!str_eq(pod->node, node->name)) {
            continue;
        }
        if (pod->deleting) {
            *leaving = true;
        } else if (!wl_pod_is_active(pod)) {
            if (act) {
                remove_pod(d, pod); // a failed pod makes room for a new one
            }
            *leaving = true;
        } else if (!kept) {
            kept = pod;
        } else {
            bool better =
                str_eq(pod->revision, d->revision) && !str_eq(kept->revision, d->revision);
            if (act) {
                remove_pod(d, better ? kept : pod);
            }
            kept = better ? pod : kept;
        }
    }
    return kept;
}

static void walk_nodes(struct daemon *d, bool act) {
    const struct wl_pod **outdated =
        ARENA_ARRAY(d->plan->arena, d->count + 1, const struct wl_pod *);
    size_t outdated_count = 0;
    int64_t unavailable = 0;
    for (size_t i = 0; i < d->world->node_count; i++) {
        const struct wl_node *node = &d->world->nodes[i];
        if (!is_eligible(d, node)) {
            continue;
        }
        d->desired++;
        bool leaving = false;
        const struct wl_pod *pod = pod_on(d, node, act, &leaving);
        if (!pod) {
            unavailable++;
            if (act && !leaving) {
                create_pod(d, node);
            }
            continue;
        }
        d->scheduled++;
        d->ready += pod->ready;
        d->updated += str_eq(pod->revision, d->revision);
        bool available = wl_pod_is_available(pod, d->min_ready, d->plan->now);
        d->available += available;
        unavailable += !available;
        if (pod->ready && !available) {
            wl_requeue(d->plan, pod->ready_since + d->min_ready * NS_PER_SECOND - d->plan->now);
        }
        if (!str_eq(pod->revision, d->revision)) {
            outdated[outdated_count++] = pod;
        }
    }
    const struct doc_value *strategy = doc_get(d->set, "spec", "updateStrategy");
    if (!act || str_eq_c(doc_get_str(strategy, "type"), "OnDelete")) {
        return;
    }
    const struct doc_value *limit = doc_get(strategy, "rollingUpdate", "maxUnavailable");
    int64_t budget = limit ? wl_scaled(limit, d->desired, true) : 1;
    budget = (budget < 1 ? 1 : budget) - unavailable;
    for (size_t i = 0; i < outdated_count; i++) {
        if (!outdated[i]->ready || budget > 0) {
            budget -= outdated[i]->ready;
            remove_pod(d, outdated[i]);
        }
    }
}

static void remove_misplaced(struct daemon *d, bool act) {
    for (size_t i = 0; i < d->count; i++) {
        const struct wl_pod *pod = d->pods[i];
        if (pod->node.n && wl_pod_is_active(pod) && !is_eligible(d, find_node(d, pod->node))) {
            d->misplaced++;
            if (act) {
                remove_pod(d, pod);
            }
        }
    }
}

static void write_status(const struct daemon *d) {
    struct doc_object status = doc_object_start(d->plan->arena);
    doc_object_set_c(&status, "currentNumberScheduled", doc_make_int(d->scheduled));
    doc_object_set_c(&status, "desiredNumberScheduled", doc_make_int(d->desired));
    if (d->available) {
        doc_object_set_c(&status, "numberAvailable", doc_make_int(d->available));
    }
    doc_object_set_c(&status, "numberMisscheduled", doc_make_int(d->misplaced));
    doc_object_set_c(&status, "numberReady", doc_make_int(d->ready));
    if (d->desired > d->available) {
        doc_object_set_c(&status, "numberUnavailable", doc_make_int(d->desired - d->available));
    }
    doc_object_set_c(&status, "observedGeneration",
                     doc_make_int(doc_int(doc_get(d->set, "metadata", "generation"), 1)));
    if (d->updated) {
        doc_object_set_c(&status, "updatedNumberScheduled", doc_make_int(d->updated));
    }
    struct wl_write *write = wl_status(d->plan, &wl_daemon_sets, d->set, doc_object_done(&status));
    if (write) {
        write->lazy = d->available != d->desired || d->updated != d->desired;
    }
}

void wl_plan_daemon_set(struct wl_plan *plan, const struct doc_value *set,
                        const struct wl_pod *const *pods, size_t count,
                        const struct wl_world *world) {
    struct doc_value nothing = doc_null();
    const struct doc_value *template = doc_get(set, "spec", "template");
    struct daemon d = {
        .plan = plan,
        .set = set,
        .pods = pods,
        .count = count,
        .world = world,
        .revision = wl_hash_name(plan->arena, template ? template : &nothing, 0),
        .min_ready = doc_int(doc_get(set, "spec", "minReadySeconds"), 0),
    };
    bool act = !wl_is_deleting(set);
    walk_nodes(&d, act);
    remove_misplaced(&d, act);
    write_status(&d);
}
