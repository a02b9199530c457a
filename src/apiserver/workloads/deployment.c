// SPDX-License-Identifier: Apache-2.0
// Deployments: which ReplicaSet carries the present template, how many pods each ReplicaSet may have now, and what the
// status says. The rules are those of the Kubernetes deployment controller (surge, unavailability, proportional scaling,
// revisions, the reasons of Progressing), so that tools that wait for a roll-out see the transitions they know.
#include "apiserver/workloads/plan.h"

#define REVISION "deployment.kubernetes.io/revision"
#define REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define DESIRED "deployment.kubernetes.io/desired-replicas"
#define MAX_REPLICAS "deployment.kubernetes.io/max-replicas"
#define HASH_LABEL "pod-template-hash"

struct set_view {
    const struct doc_value *object;
    int64_t replicas, want; // spec.replicas now and after this plan
    int64_t status_replicas, ready, available, terminating, revision, created;
    size_t pods_left;
    bool annotate; // put the desired-replicas annotations in order
};

struct rollout {
    struct wl_plan *plan;
    const struct doc_value *object;
    int64_t replicas, surge, unavailable; // resolved
    bool recreate, paused;
    struct set_view *sets; // oldest first
    size_t count;
    struct set_view *current; // the one with the present template, or NULL
    struct str current_name;
    bool created; // by this plan
    int64_t created_replicas;
    int64_t revision; // of the current set, 0 unknown
};

static struct doc_value template_without_hash(struct arena *arena,
                                              const struct doc_value *template) {
    struct doc_value out = doc_without(arena, template, "metadata", "labels", HASH_LABEL);
    // An empty or absent creationTimestamp, name and the like in the template's metadata mean the same.
    return doc_without(arena, &out, "metadata", "creationTimestamp");
}

static int compare_sets(const void *a, const void *b) {
    const struct set_view *x = a, *y = b;
    if (x->created != y->created) {
        return x->created < y->created ? -1 : 1;
    }
    return str_cmp(wl_name(x->object), wl_name(y->object));
}

static void read_sets(struct rollout *r, const struct wl_replica_set *sets, size_t count) {
    struct arena *arena = r->plan->arena;
    r->sets = ARENA_ARRAY(arena, count + 1, struct set_view);
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *object = sets[i].object;
        struct set_view *view = &r->sets[r->count++];
        *view = (struct set_view){
            .object = object,
            .replicas = doc_int(doc_get(object, "spec", "replicas"), 1),
            .status_replicas = doc_int(doc_get(object, "status", "replicas"), 0),
            .ready = doc_int(doc_get(object, "status", "readyReplicas"), 0),
            .available = doc_int(doc_get(object, "status", "availableReplicas"), 0),
            .terminating = doc_int(doc_get(object, "status", "terminatingReplicas"), 0),
            .revision = wl_annotation_int(object, REVISION, 0),
            .created = wl_when(doc_get(object, "metadata", "creationTimestamp")),
            .pods_left = sets[i].pods_left,
        };
        view->want = view->replicas;
    }
    if (r->count > 1) {
        qsort(r->sets, r->count, sizeof(*r->sets), compare_sets);
    }
    const struct doc_value *template = doc_get(r->object, "spec", "template");
    struct doc_value mine = template_without_hash(arena, template);
    for (size_t i = 0; i < r->count && !r->current; i++) {
        if (wl_is_deleting(r->sets[i].object)) {
            continue;
        }
        struct doc_value theirs =
            template_without_hash(arena, doc_get(r->sets[i].object, "spec", "template"));
        if (doc_equal(&mine, &theirs)) {
            r->current = &r->sets[i];
            r->current_name = wl_name(r->current->object);
            r->revision = r->current->revision;
        }
    }
}

static int64_t sum_want(const struct rollout *r, bool old_only) {
    int64_t sum = 0;
    for (size_t i = 0; i < r->count; i++) {
        sum += old_only && &r->sets[i] == r->current ? 0 : r->sets[i].want;
    }
    return sum + (old_only ? 0 : r->created_replicas);
}

static int64_t max_old_revision(const struct rollout *r) {
    int64_t max = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (&r->sets[i] != r->current && r->sets[i].revision > max) {
            max = r->sets[i].revision;
        }
    }
    return max;
}

static bool annotation_is_copied(struct str key) {
    static const char *const not_copied[] = {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    };
    for (size_t i = 0; i < ARRAY_LEN(not_copied); i++) {
        if (str_eq_c(key, not_copied[i])) {
            return false;
        }
    }
    return true;
}

// The Deployment's annotations that its current ReplicaSet should carry and does not.
static struct doc_object annotations_to_copy(const struct rollout *r, const struct doc_value *set) {
    const struct doc_value *mine = doc_get(r->object, "metadata", "annotations");
    struct doc_object out = doc_object_start(r->plan->arena);
    for (DOC_EACH_MEMBER(mine, i)) {
        struct str key = doc_key_at(mine, i);
        const struct doc_value *value = doc_value_at(mine, i);
        if (annotation_is_copied(key) &&
            !doc_equal(doc_find(doc_get(set, "metadata", "annotations"), key), value)) {
            doc_object_set(&out, key, *value);
        }
    }
    return out;
}

static void set_counts(const struct rollout *r, struct doc_object *annotations) {
    struct arena *arena = r->plan->arena;
    doc_object_set_c(annotations, DESIRED, wl_text(arena, "%lld", (long long)r->replicas));
    doc_object_set_c(annotations, MAX_REPLICAS,
                     wl_text(arena, "%lld", (long long)(r->replicas + r->surge)));
}

static void tell_scaled(const struct rollout *r, struct str set, int64_t from, int64_t to) {
    wl_event(r->plan, r->object, "deployment-controller", "ScalingReplicaSet",
             "Scaled %s replica set %.*s from %lld to %lld", to > from ? "up" : "down",
             STR_ARG(set), (long long)from, (long long)to);
}

static void create_set(struct rollout *r, int64_t replicas) {
    struct arena *arena = r->plan->arena;
    const struct doc_value *d = r->object;
    const struct doc_value *template = doc_get(d, "spec", "template");
    struct doc_value plain = template_without_hash(arena, template);
    struct doc_value hash = doc_make_str(
        wl_hash_name(arena, &plain, doc_int(doc_get(d, "status", "collisionCount"), 0)));
    r->current_name =
        arena_printf(arena, "%.*s-%.*s", STR_ARG(wl_name(d)), STR_ARG(doc_str(&hash)));
    r->revision = max_old_revision(r) + 1;
    struct doc_object annotations = annotations_to_copy(r, NULL);
    set_counts(r, &annotations);
    doc_object_set_c(&annotations, REVISION, wl_text(arena, "%lld", (long long)r->revision));
    struct doc_value labelled = doc_with(arena, template, hash, "metadata", "labels", HASH_LABEL);
    const struct doc_value *selector = doc_get(d, "spec", "selector");
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value narrowed =
        doc_with(arena, selector ? selector : &none, hash, "matchLabels", HASH_LABEL);
    const struct doc_value *labels = doc_get(&labelled, "metadata", "labels");
    struct doc_object spec = doc_object_start(arena);
    doc_object_set_c(&spec, "replicas", doc_make_int(replicas));
    int64_t min_ready = doc_int(doc_get(d, "spec", "minReadySeconds"), 0);
    if (min_ready) {
        doc_object_set_c(&spec, "minReadySeconds", doc_make_int(min_ready));
    }
    doc_object_set_c(&spec, "selector", narrowed);
    doc_object_set_c(&spec, "template", labelled);
    struct doc_value metadata =
        wl_object(arena, "name", doc_make_str(r->current_name), "namespace", doc_make_str(wl_ns(d)),
                  "labels", *labels, "annotations", doc_object_done(&annotations),
                  "ownerReferences", wl_owner(arena, "apps/v1", "Deployment", d), NULL);
    wl_create(r->plan, &wl_replica_sets, wl_ns(d),
              wl_object(arena, "apiVersion", DOC_S("apps/v1"), "kind", DOC_S("ReplicaSet"),
                        "metadata", metadata, "spec", doc_object_done(&spec), NULL));
    if (replicas > 0) {
        tell_scaled(r, r->current_name, 0, replicas);
    }
    r->created = true;
    r->created_replicas = replicas;
}

// How many replicas the current set may have: as many as the Deployment wants, within the surge.
static int64_t current_allowance(const struct rollout *r) {
    int64_t own = r->current ? r->current->want : 0;
    if (r->recreate) {
        return r->replicas;
    }
    int64_t free_places = r->replicas + r->surge - sum_want(r, false);
    if (free_places <= 0) {
        return own;
    }
    int64_t missing = r->replicas - own;
    return own + (free_places < missing ? free_places : missing);
}

static void resize(const struct rollout *r, struct set_view *set, int64_t want) {
    set->want = want;
    set->annotate = true;
}

// ---- Rolling ----
static void roll_current(struct rollout *r) {
    if (!r->current) {
        create_set(r, current_allowance(r));
        return;
    }
    if (r->current->want > r->replicas) {
        resize(r, r->current, r->replicas);
    } else if (r->current->want < r->replicas) {
        int64_t want = current_allowance(r);
        if (want != r->current->want) {
            resize(r, r->current, want);
        }
    }
}

static void roll_old(struct rollout *r) {
    int64_t old = sum_want(r, true);
    if (old == 0) {
        return;
    }
    int64_t min_available = r->replicas - r->unavailable;
    int64_t current_want = r->current ? r->current->want : r->created_replicas;
    int64_t current_available = r->current ? r->current->available : 0;
    int64_t budget = old + current_want - min_available - (current_want - current_available);
    if (budget <= 0) {
        return;
    }
    // Pods that do not work anyway go first; then working ones, as many as the current set has made superfluous.
    int64_t available = current_available;
    for (size_t i = 0; i < r->count; i++) {
        struct set_view *set = &r->sets[i];
        if (set == r->current || set->want == 0) {
            continue;
        }
        int64_t broken = set->want - set->available;
        int64_t less = broken < budget ? broken : budget;
        if (less > 0) {
            resize(r, set, set->want - less);
            budget -= less;
        }
        available += set->available < set->want ? set->available : set->want;
    }
    int64_t spare = available - min_available;
    for (size_t i = 0; i < r->count && spare > 0; i++) {
        struct set_view *set = &r->sets[i];
        if (set == r->current || set->want == 0) {
            continue;
        }
        int64_t less = set->want < spare ? set->want : spare;
        resize(r, set, set->want - less);
        spare -= less;
    }
}

static void recreate(struct rollout *r) {
    size_t left = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct set_view *set = &r->sets[i];
        if (set == r->current) {
            continue;
        }
        left += set->pods_left;
        if (set->want > 0) {
            resize(r, set, 0);
            left++;
        }
    }
    if (left > 0) {
        return;
    }
    if (!r->current) {
        create_set(r, r->replicas);
    } else if (r->current->want != r->replicas) {
        resize(r, r->current, r->replicas);
    }
}

// ---- Scaling: the number changed while several sets may have pods; each gets its share ----
static struct set_view *only_active(struct rollout *r, size_t *active) {
    struct set_view *found = NULL, *latest = NULL;
    *active = 0;
    for (size_t i = 0; i < r->count; i++) {
        latest = &r->sets[i];
        if (r->sets[i].want > 0) {
            found = &r->sets[i];
            (*active)++;
        }
    }
    return *active == 1 ? found : *active == 0 ? (r->current ? r->current : latest) : NULL;
}

static bool is_saturated(const struct rollout *r) {
    const struct set_view *c = r->current;
    return c && c->want == r->replicas && c->available == r->replicas &&
           wl_annotation_int(c->object, DESIRED, -1) == r->replicas;
}

static void scale_proportionally(struct rollout *r) {
    int64_t total = sum_want(r, false);
    int64_t allowed = r->replicas > 0 ? r->replicas + r->surge : 0;
    int64_t to_add = allowed - total, added = 0;
    struct set_view *largest = NULL;
    for (size_t i = r->count; i-- > 0;) { // newest first
        struct set_view *set = &r->sets[i];
        if (set->want <= 0) {
            continue;
        }
        int64_t base = wl_annotation_int(set->object, MAX_REPLICAS, total);
        base = base > 0 ? base : total;
        int64_t share = (set->want * allowed * 2 + base) / (base * 2) - set->want;
        int64_t rest = to_add - added;
        share = to_add > 0 ? (share < 0      ? 0
                              : share > rest ? rest
                                             : share)
                           : (share > 0      ? 0
                              : share < rest ? rest
                                             : share);
        added += share;
        resize(r, set, set->want + share < 0 ? 0 : set->want + share);
        if (!largest || set->want > largest->want) {
            largest = set;
        }
    }
    if (largest && added != to_add) {
        int64_t want = largest->want + to_add - added;
        resize(r, largest, want < 0 ? 0 : want);
    }
}

static void scale(struct rollout *r) {
    size_t active = 0;
    struct set_view *only = only_active(r, &active);
    if (only) {
        resize(r, only, r->replicas);
        return;
    }
    if (is_saturated(r)) {
        for (size_t i = 0; i < r->count; i++) {
            if (&r->sets[i] != r->current && r->sets[i].want > 0) {
                resize(r, &r->sets[i], 0);
            }
        }
        return;
    }
    if (!r->recreate && active > 0) {
        scale_proportionally(r);
    }
}

static bool is_scaling(const struct rollout *r) {
    for (size_t i = 0; i < r->count; i++) {
        const struct set_view *set = &r->sets[i];
        int64_t desired = wl_annotation_int(set->object, DESIRED, -1);
        if (set->want > 0 && desired >= 0 && desired != r->replicas) {
            return true;
        }
    }
    return false;
}

// ---- Writing sets ----
static void touch_current(struct rollout *r, struct doc_object *annotations,
                          struct doc_object *spec) {
    struct arena *arena = r->plan->arena;
    int64_t newest = max_old_revision(r) + 1;
    struct set_view *c = r->current;
    struct doc_object copied = annotations_to_copy(r, c->object);
    for (uint32_t i = 0; i < copied.len; i++) {
        const struct doc_key *key = copied.members[i].key;
        doc_object_set(annotations, str_make(key->text, key->len), copied.members[i].value);
    }
    if (c->revision < newest) {
        doc_object_set_c(annotations, REVISION, wl_text(arena, "%lld", (long long)newest));
        if (c->revision > 0) {
            struct str history = wl_annotation(c->object, REVISION_HISTORY);
            doc_object_set_c(
                annotations, REVISION_HISTORY,
                history.n ? wl_text(arena, "%.*s,%lld", STR_ARG(history), (long long)c->revision)
                          : wl_text(arena, "%lld", (long long)c->revision));
        }
        r->revision = newest;
    }
    int64_t min_ready = doc_int(doc_get(r->object, "spec", "minReadySeconds"), 0);
    if (min_ready != doc_int(doc_get(c->object, "spec", "minReadySeconds"), 0)) {
        doc_object_set_c(spec, "minReadySeconds", doc_make_int(min_ready));
    }
}

static void write_sets(struct rollout *r, bool rolling) {
    struct arena *arena = r->plan->arena;
    for (size_t i = 0; i < r->count; i++) {
        struct set_view *set = &r->sets[i];
        struct doc_object annotations = doc_object_start(arena), spec = doc_object_start(arena);
        if (set->want != set->replicas) {
            doc_object_set_c(&spec, "replicas", doc_make_int(set->want));
        }
        if (set == r->current && rolling) {
            touch_current(r, &annotations, &spec);
        }
        bool in_use = set->want > 0 || set == r->current;
        if ((set->annotate || in_use) &&
            (wl_annotation_int(set->object, DESIRED, -1) != r->replicas ||
             wl_annotation_int(set->object, MAX_REPLICAS, -1) != r->replicas + r->surge)) {
            set_counts(r, &annotations);
        }
        struct doc_object patch = doc_object_start(arena);
        if (annotations.len) {
            doc_object_set_c(&patch, "metadata",
                             wl_object(arena, "annotations", doc_object_done(&annotations), NULL));
        }
        if (spec.len) {
            doc_object_set_c(&patch, "spec", doc_object_done(&spec));
        }
        if (patch.len) {
            wl_patch(r->plan, &wl_replica_sets, set->object, doc_object_done(&patch));
            if (set->want != set->replicas) {
                tell_scaled(r, wl_name(set->object), set->replicas, set->want);
            }
        }
    }
}

// ---- Status ----
struct counts {
    int64_t total, updated, ready, available, terminating, wanted, unavailable;
    const struct doc_value *failure; // the condition of a set that cannot make its pods
    bool complete;
};

static struct counts count_replicas(const struct rollout *r) {
    struct counts n = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct set_view *set = &r->sets[i];
        n.total += set->status_replicas;
        n.ready += set->ready;
        n.available += set->available;
        n.wanted += set->want;
        n.terminating += set->terminating;
        if (set->want > 0 && !n.failure) {
            n.failure = wl_condition(doc_get(set->object, "status"), "ReplicaFailure");
        }
    }
    n.wanted += r->created_replicas;
    n.updated = r->current ? r->current->status_replicas : 0;
    n.unavailable = n.wanted > n.available ? n.wanted - n.available : 0;
    n.complete = n.updated == r->replicas && n.total == r->replicas && n.available == r->replicas &&
                 !r->created;
    return n;
}

static void set_available(const struct rollout *r, struct wl_conditions *conditions,
                          const struct counts *n) {
    bool enough = n->available >= r->replicas - r->unavailable;
    wl_conditions_set(conditions, "Available", enough ? "True" : "False",
                      enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                      enough ? DOC_S("Deployment has minimum availability.")
                             : DOC_S("Deployment does not have minimum availability."),
                      true, false);
}

static bool made_progress(const struct doc_value *before, const struct counts *n) {
    int64_t updated = doc_int(doc_get(before, "updatedReplicas"), 0);
    int64_t old = doc_int(doc_get(before, "replicas"), 0) - updated;
    return n->updated > updated || n->total - n->updated < old ||
           n->ready > doc_int(doc_get(before, "readyReplicas"), 0) ||
           n->available > doc_int(doc_get(before, "availableReplicas"), 0);
}

// True when the status is final for now: nothing more is expected to happen by itself soon.
static bool set_progressing(struct rollout *r, struct wl_conditions *conditions,
                            const struct counts *n) {
    struct wl_plan *plan = r->plan;
    const struct doc_value *status = doc_get(r->object, "status");
    const struct doc_value *before = wl_condition(status, "Progressing");
    struct str reason = doc_get_str(before, "reason");
    if (r->paused) {
        wl_conditions_set(conditions, "Progressing", "Unknown", "DeploymentPaused",
                          DOC_S("Deployment is paused"), true, false);
        return true;
    }
    if (n->complete) {
        // A finished roll-out stays finished, whatever happens to its pods later.
        wl_conditions_set(conditions, "Progressing", "True", "NewReplicaSetAvailable",
                          wl_text(plan->arena, "ReplicaSet \"%.*s\" has successfully progressed.",
                                  STR_ARG(r->current_name)),
                          true, false);
        return true;
    }
    bool was_complete = str_eq_c(reason, "NewReplicaSetAvailable");
    if (was_complete && !r->created && n->total == n->updated) {
        return false;
    }
    int64_t deadline_ns =
        doc_int(doc_get(r->object, "spec", "progressDeadlineSeconds"), 600) * NS_PER_SECOND;
    int64_t last = wl_when(doc_get(before, "lastUpdateTime"));
    if (r->created) {
        wl_conditions_set(
            conditions, "Progressing", "True", "NewReplicaSetCreated",
            wl_text(plan->arena, "Created new replica set \"%.*s\"", STR_ARG(r->current_name)),
            true, true);
        last = plan->now;
    } else if (!before || was_complete || str_eq_c(reason, "DeploymentPaused") ||
               made_progress(status, n)) {
        wl_conditions_set(
            conditions, "Progressing", "True", "ReplicaSetUpdated",
            wl_text(plan->arena, "ReplicaSet \"%.*s\" is progressing.", STR_ARG(r->current_name)),
            true, true);
        last = plan->now;
    } else if (str_eq_c(reason, "ProgressDeadlineExceeded") || last + deadline_ns <= plan->now) {
        wl_conditions_set(conditions, "Progressing", "False", "ProgressDeadlineExceeded",
                          wl_text(plan->arena, "ReplicaSet \"%.*s\" has timed out progressing.",
                                  STR_ARG(r->current_name)),
                          true, false);
        return true;
    }
    wl_requeue(plan, last + deadline_ns - plan->now + NS_PER_SECOND);
    return false;
}

static void add_count(struct doc_object *status, const char *key, int64_t value) {
    if (value) { // zero is absent, as Go's omitempty leaves it
        doc_object_set_c(status, key, doc_make_int(value));
    }
}

static bool write_status(struct rollout *r) {
    struct wl_plan *plan = r->plan;
    struct arena *arena = plan->arena;
    const struct doc_value *before = doc_get(r->object, "status");
    struct counts n = count_replicas(r);
    struct wl_conditions conditions;
    wl_conditions_init(&conditions, plan, before);
    set_available(r, &conditions, &n);
    bool final = set_progressing(r, &conditions, &n);
    if (n.failure) {
        struct str reason = doc_get_str(n.failure, "reason");
        wl_conditions_set(&conditions, "ReplicaFailure", "True", arena_cstr(arena, reason),
                          doc_make_str(doc_get_str(n.failure, "message")), true, false);
    } else {
        wl_conditions_remove(&conditions, "ReplicaFailure");
    }
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "observedGeneration",
                     doc_make_int(doc_int(doc_get(r->object, "metadata", "generation"), 1)));
    add_count(&status, "replicas", n.total);
    add_count(&status, "updatedReplicas", n.updated);
    add_count(&status, "readyReplicas", n.ready);
    add_count(&status, "availableReplicas", n.available);
    add_count(&status, "unavailableReplicas", n.unavailable);
    doc_object_set_c(&status, "terminatingReplicas", doc_make_int(n.terminating));
    add_count(&status, "collisionCount", doc_int(doc_get(before, "collisionCount"), 0));
    doc_object_set_c(&status, "conditions", wl_conditions_done(&conditions));
    struct wl_write *write = wl_status(plan, &wl_deployments, r->object, doc_object_done(&status));
    if (r->revision > 0 && wl_annotation_int(r->object, REVISION, 0) != r->revision) {
        struct doc_value none = wl_object(arena, NULL);
        if (!write) {
            write = wl_patch(plan, &wl_deployments, r->object, none);
            write->subresource = STR("status");
        }
        write->body = doc_with(arena, &write->body, wl_text(arena, "%lld", (long long)r->revision),
                               "metadata", "annotations", REVISION);
    }
    if (write) {
        write->lazy = !final || n.terminating > 0;
    }
    return n.complete;
}

// ---- History ----
static int compare_revisions(const void *a, const void *b) {
    const struct set_view *x = *(struct set_view *const *)a, *y = *(struct set_view *const *)b;
    return x->revision < y->revision ? -1 : x->revision > y->revision;
}

static void clean_history(struct rollout *r) {
    int64_t limit = doc_int(doc_get(r->object, "spec", "revisionHistoryLimit"), 10);
    size_t old = r->count - (r->current ? 1 : 0);
    if (limit < 0 || old <= (size_t)limit) {
        return;
    }
    struct set_view **by_age = ARENA_ARRAY(r->plan->arena, old + 1, struct set_view *);
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (&r->sets[i] != r->current) {
            by_age[count++] = &r->sets[i];
        }
    }
    qsort(by_age, count, sizeof(struct set_view *), compare_revisions);
    for (size_t i = 0; i < count - (size_t)limit; i++) {
        const struct set_view *set = by_age[i];
        if (set->replicas == 0 && set->want == 0 && set->status_replicas == 0 &&
            !wl_is_deleting(set->object)) {
            wl_delete(r->plan, &wl_replica_sets, wl_ns(set->object), wl_name(set->object),
                      wl_uid(set->object));
        }
    }
}

static void read_strategy(struct rollout *r) {
    const struct doc_value *strategy = doc_get(r->object, "spec", "strategy");
    r->recreate = str_eq_c(doc_get_str(strategy, "type"), "Recreate");
    if (r->recreate) {
        r->unavailable = r->replicas;
        return;
    }
    const struct doc_value *surge = doc_get(strategy, "rollingUpdate", "maxSurge");
    const struct doc_value *unavailable = doc_get(strategy, "rollingUpdate", "maxUnavailable");
    struct doc_value quarter = DOC_S("25%");
    r->surge = wl_scaled(surge ? surge : &quarter, r->replicas, true);
    r->unavailable = wl_scaled(unavailable ? unavailable : &quarter, r->replicas, false);
    r->surge = r->surge < 0 ? 0 : r->surge;
    r->unavailable = r->unavailable < 0 ? 0 : r->unavailable;
    if (r->surge == 0 && r->unavailable == 0) {
        r->unavailable = 1; // both rounded to nothing would never move
    }
    if (r->unavailable > r->replicas) {
        r->unavailable = r->replicas;
    }
}

void wl_plan_deployment(struct wl_plan *plan, const struct doc_value *deployment,
                        const struct wl_replica_set *sets, size_t count) {
    struct rollout r = {
        .plan = plan,
        .object = deployment,
        .replicas = doc_int(doc_get(deployment, "spec", "replicas"), 1),
        .paused = doc_bool(doc_get(deployment, "spec", "paused"), false),
    };
    read_strategy(&r);
    read_sets(&r, sets, count);
    bool rolling = false;
    if (!wl_is_deleting(deployment)) {
        if (r.paused || is_scaling(&r)) {
            scale(&r);
        } else if (r.recreate) {
            rolling = true;
            recreate(&r);
        } else {
            rolling = true;
            roll_current(&r);
            roll_old(&r);
        }
        write_sets(&r, rolling);
    }
    bool complete = write_status(&r);
    if (complete && rolling) {
        clean_history(&r);
    }
}
