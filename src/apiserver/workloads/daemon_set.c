// SPDX-License-Identifier: Apache-2.0
// DaemonSets: one pod on each node that the template's nodeSelector allows, replaced a few at a time.
#include "apiserver/workloads/plan.h"

#define COMPONENT "daemonset-controller"

struct daemon {
    struct wl_plan *plan;
    const struct doc_value *set;
    const struct wl_pod *const *pods;
    size_t count;
    const struct wl_world *world;
    struct wl_history history;
    struct str revision; // hash
    int64_t min_ready, surge, unavailable;
    bool on_delete;
    int64_t desired, scheduled, ready, available, updated, misplaced;
};

static void remove_pod(const struct daemon *d, const struct wl_pod *pod) {
    if (!pod->deleting) {
        wl_delete(d->plan, &wl_pods, wl_ns(d->set), pod->name, pod->uid);
        wl_event(d->plan, d->set, COMPONENT, "SuccessfulDelete", "Deleted pod: %.*s",
                 STR_ARG(pod->name));
    }
}

// Daemons stay where others may not: as Kubernetes adds it to their pods.
static struct doc_value tolerations(struct arena *arena, const struct doc_value *spec) {
    static const struct {
        const char *key, *effect;
    } added[] = {
        {"node.kubernetes.io/not-ready", "NoExecute"},
        {"node.kubernetes.io/unreachable", "NoExecute"},
        {"node.kubernetes.io/disk-pressure", "NoSchedule"},
        {"node.kubernetes.io/memory-pressure", "NoSchedule"},
        {"node.kubernetes.io/pid-pressure", "NoSchedule"},
        {"node.kubernetes.io/unschedulable", "NoSchedule"},
        {"node.kubernetes.io/network-unavailable", "NoSchedule"},
    };
    struct doc_array list = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(spec, "tolerations"), toleration)) {
        doc_array_add(&list, *toleration);
    }
    size_t count = doc_bool(doc_get(spec, "hostNetwork"), false) ? 7 : 6;
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&list, wl_object(arena, "effect", doc_make_str(str_from(added[i].effect)),
                                       "key", doc_make_str(str_from(added[i].key)), "operator",
                                       DOC_S("Exists"), NULL));
    }
    return doc_array_done(&list);
}

// Required: this one node.
static struct doc_value only_on(struct arena *arena, const struct doc_value *spec,
                                struct str node) {
    struct doc_array values = doc_array_start(arena), fields = doc_array_start(arena);
    struct doc_array terms = doc_array_start(arena);
    doc_array_add(&values, doc_make_str(node));
    doc_array_add(&fields, wl_object(arena, "key", DOC_S("metadata.name"), "operator", DOC_S("In"),
                                     "values", doc_array_done(&values), NULL));
    doc_array_add(&terms, wl_object(arena, "matchFields", doc_array_done(&fields), NULL));
    struct doc_value required = wl_object(arena, "nodeSelectorTerms", doc_array_done(&terms), NULL);
    const struct doc_value *given = doc_get(spec, "affinity");
    struct doc_value none = wl_object(arena, NULL);
    return doc_with(arena, given ? given : &none, required, "nodeAffinity",
                    "requiredDuringSchedulingIgnoredDuringExecution");
}

static void create_pod(const struct daemon *d, const struct wl_node *node) {
    struct arena *arena = d->plan->arena;
    struct doc_value none = wl_object(arena, NULL);
    const struct doc_value *given = doc_get(d->set, "spec", "template");
    struct doc_value template = given ? *given : none;
    template = doc_with(arena, &template, doc_make_str(d->revision), "metadata", "labels",
                        "controller-revision-hash");
    int64_t generation = wl_annotation_int(d->set, "deprecated.daemonset.template.generation",
                                           doc_int(doc_get(d->set, "metadata", "generation"), 1));
    template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)generation), "metadata",
                        "labels", "pod-template-generation");
    const struct doc_value *pod_spec = doc_get(&template, "spec");
    struct doc_value affinity = only_on(arena, pod_spec, node->name);
    struct doc_value tolerated = tolerations(arena, pod_spec);
    template = doc_with(arena, &template, affinity, "spec", "affinity");
    template = doc_with(arena, &template, tolerated, "spec", "tolerations");
    struct wl_pod_spec spec = {
        .template = &template,
        .ns = wl_ns(d->set),
        .generate_name = arena_printf(arena, "%.*s-", STR_ARG(wl_name(d->set))),
        .owners = wl_owner(arena, "apps/v1", "DaemonSet", d->set),
        .world = d->world,
        .node = node->name,
    };
    wl_create(d->plan, &wl_pods, spec.ns, wl_pod_make(arena, &spec));
    wl_event(d->plan, d->set, COMPONENT, "SuccessfulCreate", "Created pod: ")->named = true;
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
    struct arena *arena = d->plan->arena;
    const struct doc_value *spec = doc_get(d->set, "spec", "template", "spec");
    if (!node) {
        return false;
    }
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value tolerant =
        doc_with(arena, spec ? spec : &none, tolerations(arena, spec), "tolerations");
    return wl_node_takes_daemon(node, &tolerant);
}

struct place { // the pods of one node that count
    const struct wl_pod *fresh, *stale;
    bool leaving;
};

// One of each template is kept while they replace each other; what is more is deleted.
static struct place pods_on(const struct daemon *d, const struct wl_node *node, bool act) {
    struct place place = {0};
    for (size_t i = 0; i < d->count; i++) {
        const struct wl_pod *pod = d->pods[i];
        if (!str_eq(pod->node, node->name)) {
            continue;
        }
        bool fresh = str_eq(pod->revision, d->revision);
        const struct wl_pod **slot = fresh ? &place.fresh : &place.stale;
        if (pod->deleting) {
            place.leaving = true;
        } else if (!wl_pod_is_active(pod)) {
            if (act) {
                remove_pod(d, pod); // a failed pod makes room for a new one
            }
            place.leaving = true;
        } else if (!*slot) {
            *slot = pod;
        } else if (act) {
            remove_pod(d, pod);
        }
    }
    if (place.fresh && place.stale && d->surge == 0) {
        if (act) {
            remove_pod(d, place.stale);
        }
        place.stale = NULL;
    }
    return place;
}

static bool is_available(const struct daemon *d, const struct wl_pod *pod) {
    if (!pod) {
        return false;
    }
    bool available = wl_pod_is_available(pod, d->min_ready, d->plan->now);
    if (pod->ready && !available) {
        wl_requeue(d->plan, pod->ready_since + d->min_ready * NS_PER_SECOND - d->plan->now);
    }
    return available;
}

static void count_place(struct daemon *d, const struct place *place) {
    const struct wl_pod *pod =
        place->stale && (!place->fresh || !place->fresh->ready) ? place->stale : place->fresh;
    d->desired++;
    if (pod) {
        d->scheduled++;
        d->ready += pod->ready;
        d->available += is_available(d, pod);
        d->updated += place->fresh != NULL;
    }
}

// Replaces by making the new pod first, a few at a time.
static void surge(struct daemon *d, const struct place *places, const struct wl_node *const *nodes,
                  size_t count) {
    int64_t budget = d->surge;
    for (size_t i = 0; i < count; i++) {
        budget -= places[i].stale && places[i].fresh && !is_available(d, places[i].fresh);
    }
    for (size_t i = 0; i < count; i++) {
        if (!places[i].stale) {
            continue;
        }
        if (places[i].fresh) {
            if (is_available(d, places[i].fresh)) {
                remove_pod(d, places[i].stale);
            }
        } else if (!is_available(d, places[i].stale)) {
            create_pod(d, nodes[i]);
        } else if (budget > 0) {
            budget--;
            create_pod(d, nodes[i]);
        }
    }
}

// Replaces by deleting the old pod first.
static void roll(struct daemon *d, const struct place *places, size_t count) {
    int64_t budget = d->unavailable;
    for (size_t i = 0; i < count; i++) {
        const struct wl_pod *pod = places[i].fresh ? places[i].fresh : places[i].stale;
        budget -= !is_available(d, pod);
    }
    for (size_t i = 0; i < count; i++) {
        const struct wl_pod *pod = places[i].stale;
        if (pod && (!is_available(d, pod) || budget > 0)) {
            budget -= is_available(d, pod);
            remove_pod(d, pod);
        }
    }
}

static void walk_nodes(struct daemon *d, bool act) {
    struct arena *arena = d->plan->arena;
    size_t max = d->world->node_count, count = 0;
    struct place *places = ARENA_ARRAY(arena, max + 1, struct place);
    const struct wl_node **nodes = ARENA_ARRAY(arena, max + 1, const struct wl_node *);
    for (size_t i = 0; i < max; i++) {
        const struct wl_node *node = &d->world->nodes[i];
        if (!is_eligible(d, node)) {
            continue;
        }
        places[count] = pods_on(d, node, act);
        nodes[count] = node;
        count_place(d, &places[count]);
        if (act && !places[count].fresh && !places[count].stale && !places[count].leaving) {
            create_pod(d, node);
        }
        count++;
    }
    if (!act || d->on_delete) {
        return;
    }
    const struct doc_value *rolling = doc_get(d->set, "spec", "updateStrategy", "rollingUpdate");
    if (d->surge > 0) {
        surge(d, places, nodes, count);
        return;
    }
    const struct doc_value *limit = doc_get(rolling, "maxUnavailable");
    d->unavailable = limit ? wl_scaled(limit, d->desired, true) : 1;
    d->unavailable = d->unavailable < 1 ? 1 : d->unavailable;
    roll(d, places, count);
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

static bool is_used(const void *ctx, const struct doc_value *revision) {
    const struct daemon *d = ctx;
    struct str hash = doc_get_str(revision, "metadata", "labels", d->history.hash_label);
    for (size_t i = 0; i < d->count; i++) {
        if (str_eq(d->pods[i]->revision, hash)) {
            return true;
        }
    }
    return false;
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
                        const struct doc_value *const *revisions, size_t revision_count,
                        const struct wl_world *world) {
    const struct doc_value *strategy = doc_get(set, "spec", "updateStrategy");
    const struct doc_value *max_surge = doc_get(strategy, "rollingUpdate", "maxSurge");
    struct daemon d = {
        .plan = plan,
        .set = set,
        .pods = pods,
        .count = count,
        .world = world,
        .history =
            {
                .plan = plan,
                .owner = set,
                .kind = "DaemonSet",
                .hash_label = "controller-revision-hash",
                .revisions = revisions,
                .count = revision_count,
                .collisions = doc_int(doc_get(set, "status", "collisionCount"), 0),
            },
        .min_ready = doc_int(doc_get(set, "spec", "minReadySeconds"), 0),
        .surge = max_surge ? wl_scaled(max_surge, (int64_t)world->node_count, true) : 0,
        .on_delete = str_eq_c(doc_get_str(strategy, "type"), "OnDelete"),
    };
    wl_history_sync(&d.history);
    d.revision = d.history.hash;
    bool act = !wl_is_deleting(set);
    walk_nodes(&d, act);
    remove_misplaced(&d, act);
    write_status(&d);
    if (act) {
        wl_history_trim(&d.history, is_used, &d);
    }
}
