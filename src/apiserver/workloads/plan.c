// SPDX-License-Identifier: Apache-2.0
// What the planners share: building objects and writes, conditions, reading pods. Everything here is a function of its
// arguments.
#include "apiserver/workloads/plan.h"

#include <stdarg.h>

const struct kube_gvr wl_deployments = {STR_INIT("apps"), STR_INIT("v1"), STR_INIT("deployments")};
const struct kube_gvr wl_replica_sets = {STR_INIT("apps"), STR_INIT("v1"), STR_INIT("replicasets")};
const struct kube_gvr wl_stateful_sets = {STR_INIT("apps"), STR_INIT("v1"),
                                          STR_INIT("statefulsets")};
const struct kube_gvr wl_daemon_sets = {STR_INIT("apps"), STR_INIT("v1"), STR_INIT("daemonsets")};
const struct kube_gvr wl_revisions = {STR_INIT("apps"), STR_INIT("v1"),
                                      STR_INIT("controllerrevisions")};
const struct kube_gvr wl_jobs = {STR_INIT("batch"), STR_INIT("v1"), STR_INIT("jobs")};
const struct kube_gvr wl_pods = {STR_INIT(""), STR_INIT("v1"), STR_INIT("pods")};
const struct kube_gvr wl_services = {STR_INIT(""), STR_INIT("v1"), STR_INIT("services")};
const struct kube_gvr wl_endpoint_slices = {STR_INIT("discovery.k8s.io"), STR_INIT("v1"),
                                            STR_INIT("endpointslices")};
const struct kube_gvr wl_ingresses = {STR_INIT("networking.k8s.io"), STR_INIT("v1"),
                                      STR_INIT("ingresses")};
const struct kube_gvr wl_claims = {STR_INIT(""), STR_INIT("v1"),
                                   STR_INIT("persistentvolumeclaims")};
const struct kube_gvr wl_nodes = {STR_INIT(""), STR_INIT("v1"), STR_INIT("nodes")};
const struct kube_gvr wl_namespaces = {STR_INIT(""), STR_INIT("v1"), STR_INIT("namespaces")};
const struct kube_gvr wl_service_accounts = {STR_INIT(""), STR_INIT("v1"),
                                             STR_INIT("serviceaccounts")};
const struct kube_gvr wl_crds = {STR_INIT("apiextensions.k8s.io"), STR_INIT("v1"),
                                 STR_INIT("customresourcedefinitions")};

const struct kube_gvr wl_events = {STR_INIT(""), STR_INIT("v1"), STR_INIT("events")};
const struct kube_gvr wl_config_maps = {STR_INIT(""), STR_INIT("v1"), STR_INIT("configmaps")};

const struct kube_gvr wl_controllers = {STR_INIT(""), STR_INIT("v1"),
                                        STR_INIT("replicationcontrollers")};
const struct kube_gvr wl_cron_jobs = {STR_INIT("batch"), STR_INIT("v1"), STR_INIT("cronjobs")};
const struct kube_gvr wl_autoscalers = {STR_INIT("autoscaling"), STR_INIT("v2"),
                                        STR_INIT("horizontalpodautoscalers")};
const struct kube_gvr wl_budgets = {STR_INIT("policy"), STR_INIT("v1"),
                                    STR_INIT("poddisruptionbudgets")};
const struct kube_gvr wl_endpoints = {STR_INIT(""), STR_INIT("v1"), STR_INIT("endpoints")};
const struct kube_gvr wl_volumes = {STR_INIT(""), STR_INIT("v1"), STR_INIT("persistentvolumes")};
const struct kube_gvr wl_storage_classes = {STR_INIT("storage.k8s.io"), STR_INIT("v1"),
                                            STR_INIT("storageclasses")};

// ---- Plans ----
void wl_plan_init(struct wl_plan *plan, struct arena *arena, int64_t now) {
    *plan = (struct wl_plan){.arena = arena, .now = now};
}

static struct wl_write *plan_add(struct wl_plan *plan) {
    if (plan->count == plan->cap) {
        size_t cap = plan->cap ? plan->cap * 2 : 4;
        struct wl_write *writes = ARENA_ARRAY(plan->arena, cap, struct wl_write);
        for (size_t i = 0; i < plan->count; i++) {
            writes[i] = plan->writes[i];
        }
        plan->writes = writes;
        plan->cap = cap;
    }
    struct wl_write *write = &plan->writes[plan->count++];
    *write = (struct wl_write){.grace_seconds = -1};
    return write;
}

struct wl_write *wl_create(struct wl_plan *plan, const struct kube_gvr *gvr, struct str ns,
                           struct doc_value body) {
    struct wl_write *write = plan_add(plan);
    write->verb = KUBE_CREATE;
    write->gvr = gvr;
    write->ns = ns;
    write->body = body;
    return write;
}

struct wl_write *wl_patch(struct wl_plan *plan, const struct kube_gvr *gvr,
                          const struct doc_value *object, struct doc_value body) {
    struct wl_write *write = plan_add(plan);
    write->verb = KUBE_PATCH;
    write->gvr = gvr;
    write->ns = wl_ns(object);
    write->name = wl_name(object);
    write->body = body;
    return write;
}

struct wl_write *wl_status(struct wl_plan *plan, const struct kube_gvr *gvr,
                           const struct doc_value *object, struct doc_value status) {
    struct doc_value empty = wl_object(plan->arena, NULL);
    const struct doc_value *present = doc_get(object, "status");
    struct doc_value patch =
        doc_merge_diff(plan->arena, doc_is(present, DOC_OBJECT) ? present : &empty, &status);
    if (doc_len(&patch) == 0) {
        return NULL;
    }
    struct wl_write *write =
        wl_patch(plan, gvr, object, wl_object(plan->arena, "status", patch, NULL));
    write->subresource = STR("status");
    return write;
}

struct wl_write *wl_delete(struct wl_plan *plan, const struct kube_gvr *gvr, struct str ns,
                           struct str name, struct str uid) {
    struct wl_write *write = plan_add(plan);
    write->verb = KUBE_DELETE;
    write->gvr = gvr;
    write->ns = ns;
    write->name = name;
    write->uid = uid;
    write->propagation = KUBE_BACKGROUND;
    return write;
}

void wl_requeue(struct wl_plan *plan, int64_t delay_ns) {
    if (delay_ns < 1) {
        delay_ns = 1;
    }
    if (plan->requeue_ns == 0 || delay_ns < plan->requeue_ns) {
        plan->requeue_ns = delay_ns;
    }
}

struct wl_event *wl_event(struct wl_plan *plan, const struct doc_value *about,
                          const char *component, const char *reason, const char *format, ...) {
    if (plan->event_count == plan->event_cap) {
        size_t cap = plan->event_cap ? plan->event_cap * 2 : 4;
        struct wl_event *events = ARENA_ARRAY(plan->arena, cap, struct wl_event);
        for (size_t i = 0; i < plan->event_count; i++) {
            events[i] = plan->events[i];
        }
        plan->events = events;
        plan->event_cap = cap;
    }
    va_list args;
    va_start(args, format);
    struct str message = arena_vprintf(plan->arena, format, args);
    va_end(args);
    struct wl_event *event = &plan->events[plan->event_count++];
    *event = (struct wl_event){.about = about,
                               .component = component,
                               .reason = reason,
                               .message = message,
                               .write = plan->count ? plan->count - 1 : WL_NO_WRITE};
    return event;
}

// ---- Values ----
struct doc_value wl_object(struct arena *arena, ...) {
    struct doc_object object = doc_object_start(arena);
    va_list args;
    va_start(args, arena);
    for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
        doc_object_set_c(&object, key, va_arg(args, struct doc_value));
    }
    va_end(args);
    return doc_object_done(&object);
}

struct doc_value wl_text(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return doc_make_str(text);
}

struct doc_value wl_time(struct arena *arena, int64_t ns) {
    return doc_make_str(time_format(arena, ns));
}

struct str wl_name(const struct doc_value *object) {
    return doc_get_str(object, "metadata", "name");
}

struct str wl_ns(const struct doc_value *object) {
    return doc_get_str(object, "metadata", "namespace");
}

struct str wl_uid(const struct doc_value *object) {
    return doc_get_str(object, "metadata", "uid");
}

bool wl_is_deleting(const struct doc_value *object) {
    return !doc_is_null(doc_get(object, "metadata", "deletionTimestamp"));
}

struct str wl_annotation(const struct doc_value *object, const char *key) {
    return doc_get_str(object, "metadata", "annotations", key);
}

int64_t wl_annotation_duration(const struct doc_value *object, const char *key, int64_t fallback) {
    struct str text = wl_annotation(object, key);
    int64_t ns = 0;
    struct err err = {0};
    return text.n && duration_parse(text, &ns, &err) && ns >= 0 ? ns : fallback;
}

int64_t wl_annotation_int(const struct doc_value *object, const char *key, int64_t fallback) {
    int64_t value = 0;
    return str_to_int64(wl_annotation(object, key), &value) && value >= 0 ? value : fallback;
}

int64_t wl_when(const struct doc_value *time) {
    int64_t ns = 0;
    return time_parse(doc_str(time), &ns) ? ns : 0;
}

struct doc_value wl_owner(struct arena *arena, const char *api_version, const char *kind,
                          const struct doc_value *owner) {
    struct doc_array list = doc_array_start(arena);
    doc_array_add(&list,
                  wl_object(arena, "apiVersion", doc_make_str(str_from(api_version)), "kind",
                            doc_make_str(str_from(kind)), "name", doc_make_str(wl_name(owner)),
                            "uid", doc_make_str(wl_uid(owner)), "controller", doc_make_bool(true),
                            "blockOwnerDeletion", doc_make_bool(true), NULL));
    return doc_array_done(&list);
}

struct str wl_hash_name(struct arena *arena, const struct doc_value *value, int64_t salt) {
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    AUTO_BUF struct buf text;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    CHECK(doc_print_canonical(value, &text));
    buf_add_int64(&text, salt);
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(1099511628211);
    }
    hash ^= hash >> 32;
    char name[10];
    for (size_t i = 0; i < sizeof(name); i++) {
        name[i] = letters[hash % (sizeof(letters) - 1)];
        hash /= sizeof(letters) - 1;
    }
    return arena_dup(arena, str_make(name, sizeof(name)));
}

int64_t wl_scaled(const struct doc_value *value, int64_t total, bool round_up) {
    if (doc_is(value, DOC_INT)) {
        return value->u.integer;
    }
    struct str text = doc_str(value);
    int64_t percent = 0;
    if (!str_ends(text, STR("%")) || !str_to_int64(str_first(text, text.n - 1), &percent) ||
        percent < 0 || percent > 100 * 1000) {
        return -1;
    }
    return (total * percent + (round_up ? 99 : 0)) / 100;
}

// ---- Conditions ----
const struct doc_value *wl_condition(const struct doc_value *status, const char *type) {
    for (DOC_EACH_ITEM(doc_get(status, "conditions"), condition)) {
        if (str_eq_c(doc_get_str(condition, "type"), type)) {
            return condition;
        }
    }
    return NULL;
}

bool wl_condition_is(const struct doc_value *status, const char *type, const char *value) {
    return str_eq_c(doc_get_str(wl_condition(status, type), "status"), value);
}

void wl_conditions_init(struct wl_conditions *conditions, struct wl_plan *plan,
                        const struct doc_value *status) {
    conditions->plan = plan;
    conditions->before = status;
    conditions->list = doc_array_start(plan->arena);
    for (DOC_EACH_ITEM(doc_get(status, "conditions"), condition)) {
        doc_array_add(&conditions->list, *condition);
    }
}

static bool condition_same(const struct doc_value *before, const char *status, const char *reason,
                           const struct doc_value *message) {
    return before && str_eq_c(doc_get_str(before, "status"), status) &&
           str_eq_c(doc_get_str(before, "reason"), reason) &&
           str_eq(doc_get_str(before, "message"), doc_str(message));
}

void wl_conditions_set(struct wl_conditions *conditions, const char *type, const char *status,
                       const char *reason, struct doc_value message, bool update_time, bool touch) {
    struct arena *arena = conditions->plan->arena;
    const struct doc_value *before = wl_condition(conditions->before, type);
    if (condition_same(before, status, reason, &message) && !touch) {
        return;
    }
    struct doc_value now = wl_time(arena, conditions->plan->now);
    struct doc_value since = now;
    if (before && str_eq_c(doc_get_str(before, "status"), status) &&
        doc_is(doc_get(before, "lastTransitionTime"), DOC_STRING)) {
        since = *doc_get(before, "lastTransitionTime");
    }
    struct doc_object condition = doc_object_start(arena);
    doc_object_set_c(&condition, "type", doc_make_str(str_from(type)));
    doc_object_set_c(&condition, "status", doc_make_str(str_from(status)));
    if (update_time) {
        doc_object_set_c(&condition, "lastUpdateTime", now);
    }
    doc_object_set_c(&condition, "lastTransitionTime", since);
    if (reason[0]) {
        doc_object_set_c(&condition, "reason", doc_make_str(str_from(reason)));
    }
    if (doc_str(&message).n) {
        doc_object_set_c(&condition, "message", message);
    }
    struct doc_value made = doc_object_done(&condition);
    for (uint32_t i = 0; i < conditions->list.len; i++) {
        if (str_eq_c(doc_get_str(&conditions->list.items[i], "type"), type)) {
            conditions->list.items[i] = made;
            return;
        }
    }
    doc_array_add(&conditions->list, made);
}

void wl_conditions_remove(struct wl_conditions *conditions, const char *type) {
    struct doc_array kept = doc_array_start(conditions->plan->arena);
    for (uint32_t i = 0; i < conditions->list.len; i++) {
        if (!str_eq_c(doc_get_str(&conditions->list.items[i], "type"), type)) {
            doc_array_add(&kept, conditions->list.items[i]);
        }
    }
    conditions->list = kept;
}

struct doc_value wl_conditions_done(const struct wl_conditions *conditions) {
    return doc_array_done(&conditions->list);
}

// ---- Pods ----
uint64_t wl_label_hash(struct str key, struct str value) {
    return str_hash(key) * UINT64_C(0x9e3779b97f4a7c15) + str_hash(value);
}

bool wl_labels_contain(const uint64_t *labels, size_t count, const uint64_t *wanted,
                       size_t wanted_count) {
    for (size_t i = 0; i < wanted_count; i++) {
        bool found = false;
        for (size_t j = 0; j < count && !found; j++) {
            found = labels[j] == wanted[i];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static int64_t pod_index(const struct doc_value *pod) {
    int64_t index = -1;
    struct str completion = wl_annotation(pod, "batch.kubernetes.io/job-completion-index");
    if (completion.n && str_to_int64(completion, &index)) {
        return index;
    }
    struct str name = wl_name(pod);
    size_t dash = str_rfind_char(name, '-');
    if (dash != STR_NPOS && str_to_int64(str_skip(name, dash + 1), &index) && index >= 0) {
        return index;
    }
    return -1;
}

void wl_pod_read(struct arena *arena, const struct doc_value *pod, struct wl_pod *out) {
    const struct doc_value *status = doc_get(pod, "status");
    struct str phase = doc_get_str(status, "phase");
    const struct doc_value *labels = doc_get(pod, "metadata", "labels");
    const struct doc_value *ready = wl_condition(status, "Ready");
    *out = (struct wl_pod){
        .name = wl_name(pod),
        .uid = wl_uid(pod),
        .node = doc_get_str(pod, "spec", "nodeName"),
        .revision = doc_get_str(labels, "controller-revision-hash"),
        .ip = doc_get_str(status, "podIP"),
        .phase = str_eq_c(phase, "Running")     ? WL_RUNNING
                 : str_eq_c(phase, "Succeeded") ? WL_SUCCEEDED
                 : str_eq_c(phase, "Failed")    ? WL_FAILED
                                                : WL_PENDING,
        .deleting = wl_is_deleting(pod),
        .created = wl_when(doc_get(pod, "metadata", "creationTimestamp")),
        .restarts =
            doc_int(doc_get(doc_at(doc_get(status, "containerStatuses"), 0), "restartCount"), 0),
        .index = pod_index(pod),
        .room = wl_pod_requests(doc_get(pod, "spec")),
        .label_count = doc_is(labels, DOC_OBJECT) ? doc_len(labels) : 0,
    };
    (void)str_to_int64(wl_annotation(pod, "controller.kubernetes.io/pod-deletion-cost"),
                       &out->deletion_cost);
    out->ready = str_eq_c(doc_get_str(ready, "status"), "True");
    if (out->ready) {
        out->ready_since = wl_when(doc_get(ready, "lastTransitionTime"));
    }
    if (out->phase == WL_SUCCEEDED || out->phase == WL_FAILED) {
        const struct doc_value *first = doc_at(doc_get(status, "containerStatuses"), 0);
        out->finished = wl_when(doc_get(first, "state", "terminated", "finishedAt"));
    }
    uint64_t *hashes = ARENA_ARRAY(arena, out->label_count, uint64_t);
    for (DOC_EACH_MEMBER(labels, i)) {
        hashes[i] = wl_label_hash(doc_key_at(labels, i), doc_str(doc_value_at(labels, i)));
    }
    out->labels = hashes;
}

bool wl_pod_is_active(const struct wl_pod *pod) {
    return !pod->deleting && pod->phase != WL_SUCCEEDED && pod->phase != WL_FAILED;
}

bool wl_pod_is_available(const struct wl_pod *pod, int64_t min_ready_seconds, int64_t now) {
    return pod->ready &&
           (min_ready_seconds == 0 || pod->ready_since + min_ready_seconds * NS_PER_SECOND <= now);
}

static int order(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_for_deletion(const void *a, const void *b) {
    const struct wl_pod *x = *(const struct wl_pod *const *)a;
    const struct wl_pod *y = *(const struct wl_pod *const *)b;
    const int rules[] = {
        order(x->node.n > 0, y->node.n > 0),
        order(x->phase != WL_PENDING, y->phase != WL_PENDING),
        order(x->ready, y->ready),
        order(x->deletion_cost, y->deletion_cost),
        x->ready && y->ready ? order(y->ready_since, x->ready_since) : 0,
        order(y->restarts, x->restarts),
        order(y->created, x->created),
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rules[i]) {
            return rules[i];
        }
    }
    return str_cmp(x->name, y->name);
}

void wl_sort_for_deletion(const struct wl_pod **pods, size_t count) {
    if (count > 1) {
        qsort(pods, count, sizeof(struct wl_pod *), compare_for_deletion);
    }
}

// Whether nothing but nodes decides where this pod may go.
static bool is_plain(const struct doc_value *spec) {
    if (doc_len(doc_get(spec, "schedulingGates"))) {
        return false;
    }
    for (DOC_EACH_ITEM(doc_get(spec, "volumes"), volume)) {
        if (doc_get(volume, "persistentVolumeClaim") || doc_get(volume, "ephemeral")) {
            return false;
        }
    }
    return true;
}

struct doc_value wl_pod_make(struct arena *arena, const struct wl_pod_spec *spec) {
    const struct doc_value *pod_spec = doc_get(spec->template, "spec");
    struct doc_object metadata = doc_object_start(arena);
    if (spec->name.n) {
        doc_object_set_c(&metadata, "name", doc_make_str(spec->name));
    }
    if (spec->generate_name.n) {
        doc_object_set_c(&metadata, "generateName", doc_make_str(spec->generate_name));
    }
    doc_object_set_c(&metadata, "namespace", doc_make_str(spec->ns));
    static const char *const kept[] = {"labels", "annotations", "finalizers"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const struct doc_value *part = doc_get(spec->template, "metadata", kept[i]);
        if (doc_len(part)) {
            doc_object_set_c(&metadata, kept[i], *part);
        }
    }
    doc_object_set_c(&metadata, "ownerReferences", spec->owners);
    struct doc_value made = pod_spec ? *pod_spec : wl_object(arena, NULL);
    struct str node = spec->node;
    if (node.n == 0 && doc_get_str(&made, "nodeName").n == 0 && is_plain(&made)) {
        // The simulated scheduler decides here, which saves the write that binding would cost.
        const struct wl_node *found = wl_node_for(spec->world, &made, spec->pick);
        node = found ? found->name : node;
    }
    if (node.n) {
        made = doc_with(arena, &made, doc_make_str(node), "nodeName");
    }
    return wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Pod"), "metadata",
                     doc_object_done(&metadata), "spec", made, NULL);
}
