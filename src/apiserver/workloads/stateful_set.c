// SPDX-License-Identifier: Apache-2.0
// StatefulSets: numbered pods, made in order and replaced from the last to the first. A pod below the partition that is
// lost comes back with the template it had, which is kept in a ControllerRevision.
#include "apiserver/workloads/plan.h"

#define COMPONENT "statefulset-controller"

struct stateful {
    struct wl_plan *plan;
    const struct doc_value *set;
    const struct wl_world *world;
    int64_t start, replicas, min_ready;
    const struct wl_pod **slots;     // by ordinal - start, NULL where there is none
    const struct wl_pod *last_extra; // the highest pod beyond the wanted ones
    bool extra_deleting;
    bool parallel;
    struct wl_history history;
    struct str revision, current_revision; // names
    int64_t partition, unavailable;        // of rolling updates
    int64_t total, ready, available, current, updated;
};

static struct doc_value claim_volumes(const struct stateful *s, struct str pod_name,
                                      const struct doc_value *spec) {
    struct arena *arena = s->plan->arena;
    const struct doc_value *templates = doc_get(s->set, "spec", "volumeClaimTemplates");
    struct doc_array volumes = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(spec, "volumes"), volume)) {
        bool replaced = false;
        for (DOC_EACH_ITEM(templates, template)) {
            replaced = replaced || str_eq(wl_name(template), doc_get_str(volume, "name"));
        }
        if (!replaced) {
            doc_array_add(&volumes, *volume);
        }
    }
    for (DOC_EACH_ITEM(templates, template)) {
        struct str name = wl_name(template);
        struct doc_value claim =
            wl_object(arena, "claimName",
                      wl_text(arena, "%.*s-%.*s", STR_ARG(name), STR_ARG(pod_name)), NULL);
        doc_array_add(&volumes, wl_object(arena, "name", doc_make_str(name),
                                          "persistentVolumeClaim", claim, NULL));
    }
    return doc_array_done(&volumes);
}

// Who takes the claim along when it goes, by the retention policy.
static bool policy_is(const struct stateful *s, const char *when, const char *policy) {
    return str_eq_c(doc_get_str(s->set, "spec", "persistentVolumeClaimRetentionPolicy", when),
                    policy);
}

static void create_claims(const struct stateful *s, struct str pod_name) {
    struct arena *arena = s->plan->arena;
    for (DOC_EACH_ITEM(doc_get(s->set, "spec", "volumeClaimTemplates"), template)) {
        const struct doc_value *labels = doc_get(s->set, "spec", "selector", "matchLabels");
        const struct doc_value *spec = doc_get(template, "spec");
        struct doc_value metadata = doc_object_done(&(struct doc_object){.arena = arena});
        const struct doc_value *given = doc_get(template, "metadata");
        metadata = given ? *given : metadata;
        metadata = doc_with(
            arena, &metadata,
            wl_text(arena, "%.*s-%.*s", STR_ARG(wl_name(template)), STR_ARG(pod_name)), "name");
        metadata = doc_with(arena, &metadata, doc_make_str(wl_ns(s->set)), "namespace");
        if (doc_len(labels) && !doc_len(doc_get(&metadata, "labels"))) {
            metadata = doc_with(arena, &metadata, *labels, "labels");
        }
        if (policy_is(s, "whenDeleted", "Delete")) {
            metadata = doc_with(arena, &metadata, wl_owner(arena, "apps/v1", "StatefulSet", s->set),
                                "ownerReferences");
        }
        wl_create(s->plan, &wl_claims, wl_ns(s->set),
                  wl_object(arena, "apiVersion", DOC_S("v1"), "kind",
                            DOC_S("PersistentVolumeClaim"), "metadata", metadata, "spec",
                            spec ? *spec : wl_object(arena, NULL), NULL))
            ->exists_is_fine = true;
        wl_event(s->plan, s->set, COMPONENT, "SuccessfulCreate",
                 "Create Claim %.*s Pod %.*s in StatefulSet %.*s success",
                 STR_ARG(doc_get_str(&metadata, "name")), STR_ARG(pod_name),
                 STR_ARG(wl_name(s->set)));
    }
}

static void create_pod(const struct stateful *s, int64_t ordinal) {
    struct arena *arena = s->plan->arena;
    struct str name =
        arena_printf(arena, "%.*s-%lld", STR_ARG(wl_name(s->set)), (long long)ordinal);
    struct doc_value none = wl_object(arena, NULL);
    const struct doc_value *given = doc_get(s->set, "spec", "template");
    struct doc_value template = given ? *given : none;
    struct str revision = s->revision;
    const struct doc_value *old = NULL;
    if (ordinal < s->start + s->partition) {
        old = wl_history_find(&s->history, s->current_revision);
    }
    if (old) {
        template = wl_history_template(arena, old);
        revision = s->current_revision;
    }
    template = doc_with(arena, &template, doc_make_str(revision), "metadata", "labels",
                        "controller-revision-hash");
    template = doc_with(arena, &template, doc_make_str(name), "metadata", "labels",
                        "statefulset.kubernetes.io/pod-name");
    template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)ordinal), "metadata",
                        "labels", "apps.kubernetes.io/pod-index");
    template = doc_with(arena, &template, doc_make_str(name), "spec", "hostname");
    struct str service = doc_get_str(s->set, "spec", "serviceName");
    if (service.n) {
        template = doc_with(arena, &template, doc_make_str(service), "spec", "subdomain");
    }
    if (doc_len(doc_get(s->set, "spec", "volumeClaimTemplates"))) {
        template = doc_with(arena, &template, claim_volumes(s, name, doc_get(&template, "spec")),
                            "spec", "volumes");
        create_claims(s, name);
    }
    struct wl_pod_spec spec = {
        .template = &template,
        .ns = wl_ns(s->set),
        .name = name,
        .generate_name = arena_printf(arena, "%.*s-", STR_ARG(wl_name(s->set))),
        .owners = wl_owner(arena, "apps/v1", "StatefulSet", s->set),
        .world = s->world,
        .pick = str_hash(wl_name(s->set)) % 1024 + (uint64_t)ordinal,
    };
    wl_create(s->plan, &wl_pods, spec.ns, wl_pod_make(arena, &spec));
    wl_event(s->plan, s->set, COMPONENT, "SuccessfulCreate",
             "Create Pod %.*s in StatefulSet %.*s successful", STR_ARG(name),
             STR_ARG(wl_name(s->set)));
}

static bool is_healthy(const struct stateful *s, const struct wl_pod *pod) {
    if (pod && pod->ready && !wl_pod_is_available(pod, s->min_ready, s->plan->now)) {
        wl_requeue(s->plan, pod->ready_since + s->min_ready * NS_PER_SECOND - s->plan->now);
    }
    return pod && !pod->deleting && wl_pod_is_available(pod, s->min_ready, s->plan->now);
}

static void remove_pod(const struct stateful *s, const struct wl_pod *pod) {
    if (!pod->deleting) {
        wl_delete(s->plan, &wl_pods, wl_ns(s->set), pod->name, pod->uid);
        wl_event(s->plan, s->set, COMPONENT, "SuccessfulDelete",
                 "Delete Pod %.*s in StatefulSet %.*s successful", STR_ARG(pod->name),
                 STR_ARG(wl_name(s->set)));
    }
}

// The claims of a pod that is scaled away go with it where the policy says so.
static void give_claims_to(const struct stateful *s, const struct wl_pod *pod) {
    struct arena *arena = s->plan->arena;
    if (pod->deleting || !policy_is(s, "whenScaled", "Delete")) {
        return;
    }
    struct doc_array owners = doc_array_start(arena);
    doc_array_add(&owners, wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Pod"), "name",
                                     doc_make_str(pod->name), "uid", doc_make_str(pod->uid), NULL));
    struct doc_value list = doc_array_done(&owners);
    for (DOC_EACH_ITEM(doc_get(s->set, "spec", "volumeClaimTemplates"), template)) {
        struct doc_value name =
            wl_text(arena, "%.*s-%.*s", STR_ARG(wl_name(template)), STR_ARG(pod->name));
        struct doc_value claim = wl_object(
            arena, "metadata",
            wl_object(arena, "name", name, "namespace", doc_make_str(wl_ns(s->set)), NULL), NULL);
        wl_patch(
            s->plan, &wl_claims, &claim,
            wl_object(arena, "metadata", wl_object(arena, "ownerReferences", list, NULL), NULL));
    }
}

// Makes what is missing. True when all wanted pods are there and healthy.
static bool fill(const struct stateful *s) {
    bool all = true;
    for (int64_t i = 0; i < s->replicas; i++) {
        const struct wl_pod *pod = s->slots[i];
        if (!pod) {
            create_pod(s, s->start + i);
        } else if (pod->phase == WL_FAILED || pod->phase == WL_SUCCEEDED) {
            remove_pod(s, pod);
        } else if (is_healthy(s, pod)) {
            continue;
        }
        all = false;
        if (!s->parallel) {
            return false;
        }
    }
    return all;
}

static void replace_outdated(const struct stateful *s) {
    if (str_eq_c(doc_get_str(s->set, "spec", "updateStrategy", "type"), "OnDelete")) {
        return;
    }
    int64_t down = 0;
    for (int64_t i = 0; i < s->replicas; i++) {
        down += !is_healthy(s, s->slots[i]);
    }
    for (int64_t i = s->replicas; i-- > s->partition;) {
        const struct wl_pod *pod = s->slots[i];
        bool healthy = is_healthy(s, pod);
        if (pod && !pod->deleting && !str_eq(pod->revision, s->revision)) {
            if (healthy && down >= s->unavailable) {
                return;
            }
            down += healthy;
            remove_pod(s, pod);
        } else if (!healthy && down >= s->unavailable) {
            return;
        }
    }
}

static bool is_used(const void *ctx, const struct doc_value *revision) {
    const struct stateful *s = ctx;
    struct str name = wl_name(revision);
    bool used = str_eq(name, s->current_revision);
    for (int64_t i = 0; i < s->replicas && !used; i++) {
        used = s->slots[i] && str_eq(s->slots[i]->revision, name);
    }
    return used;
}

static void write_status(const struct stateful *s) {
    struct arena *arena = s->plan->arena;
    struct str current = s->current_revision;
    bool done = s->updated == s->replicas && s->available == s->replicas && s->total == s->replicas;
    if (done) {
        current = s->revision;
    }
    int64_t current_count = str_eq(current, s->revision) ? s->updated : s->current;
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "observedGeneration",
                     doc_make_int(doc_int(doc_get(s->set, "metadata", "generation"), 1)));
    doc_object_set_c(&status, "replicas", doc_make_int(s->total));
    if (s->ready) {
        doc_object_set_c(&status, "readyReplicas", doc_make_int(s->ready));
    }
    if (current_count) {
        doc_object_set_c(&status, "currentReplicas", doc_make_int(current_count));
    }
    if (s->updated) {
        doc_object_set_c(&status, "updatedReplicas", doc_make_int(s->updated));
    }
    doc_object_set_c(&status, "currentRevision", doc_make_str(current));
    doc_object_set_c(&status, "updateRevision", doc_make_str(s->revision));
    doc_object_set_c(&status, "collisionCount", doc_make_int(s->history.collisions));
    doc_object_set_c(&status, "availableReplicas", doc_make_int(s->available));
    struct wl_write *write =
        wl_status(s->plan, &wl_stateful_sets, s->set, doc_object_done(&status));
    if (write) {
        write->lazy = !done;
    }
}

static void read_pods(struct stateful *s, const struct wl_pod *const *pods, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct wl_pod *pod = pods[i];
        int64_t slot = pod->index - s->start;
        if (pod->index < 0) {
            continue;
        }
        if (slot >= 0 && slot < s->replicas) {
            s->slots[slot] = pod;
        } else {
            s->extra_deleting = s->extra_deleting || pod->deleting;
            if (!s->last_extra || pod->index > s->last_extra->index) {
                s->last_extra = pod;
            }
        }
        s->total++;
        s->ready += pod->ready;
        s->available += !pod->deleting && wl_pod_is_available(pod, s->min_ready, s->plan->now);
        s->updated += !pod->deleting && str_eq(pod->revision, s->revision);
        s->current += !pod->deleting && str_eq(pod->revision, s->current_revision);
    }
}

void wl_plan_stateful_set(struct wl_plan *plan, const struct doc_value *set,
                          const struct wl_pod *const *pods, size_t count,
                          const struct doc_value *const *revisions, size_t revision_count,
                          const struct wl_world *world) {
    enum { REPLICAS_MAX = 100 * 1000 };
    const struct doc_value *spec = doc_get(set, "spec");
    struct stateful s = {
        .plan = plan,
        .set = set,
        .world = world,
        .start = doc_int(doc_get(spec, "ordinals", "start"), 0),
        .replicas = doc_int(doc_get(spec, "replicas"), 1),
        .min_ready = doc_int(doc_get(spec, "minReadySeconds"), 0),
        .parallel = str_eq_c(doc_get_str(spec, "podManagementPolicy"), "Parallel"),
    };
    s.replicas = s.replicas < 0 ? 0 : s.replicas > REPLICAS_MAX ? REPLICAS_MAX : s.replicas;
    s.slots = ARENA_ARRAY(plan->arena, (size_t)s.replicas + 1, const struct wl_pod *);
    s.history = (struct wl_history){
        .plan = plan,
        .owner = set,
        .kind = "StatefulSet",
        .hash_label = "controller.kubernetes.io/hash",
        .revisions = revisions,
        .count = revision_count,
        .collisions = doc_int(doc_get(set, "status", "collisionCount"), 0),
    };
    wl_history_sync(&s.history);
    s.revision = s.history.name;
    s.current_revision = doc_get_str(set, "status", "currentRevision");
    if (!wl_history_find(&s.history, s.current_revision)) {
        s.current_revision = s.revision;
    }
    const struct doc_value *rolling = doc_get(spec, "updateStrategy", "rollingUpdate");
    bool on_delete = str_eq_c(doc_get_str(spec, "updateStrategy", "type"), "OnDelete");
    s.partition = on_delete ? 0 : doc_int(doc_get(rolling, "partition"), 0);
    const struct doc_value *unavailable = doc_get(rolling, "maxUnavailable");
    s.unavailable = unavailable ? wl_scaled(unavailable, s.replicas, true) : 1;
    s.unavailable = s.unavailable < 1 ? 1 : s.unavailable;
    read_pods(&s, pods, count);
    if (!wl_is_deleting(set)) {
        bool full = fill(&s);
        if (s.last_extra && (full || s.parallel) && !s.extra_deleting) {
            give_claims_to(&s, s.last_extra);
            remove_pod(&s, s.last_extra);
        } else if ((full || s.parallel) && !s.last_extra) {
            replace_outdated(&s);
        }
    }
    write_status(&s);
    if (!wl_is_deleting(set)) {
        wl_history_trim(&s.history, is_used, &s);
    }
}
