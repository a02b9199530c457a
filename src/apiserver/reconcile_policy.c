// SPDX-License-Identifier: Apache-2.0
// Visits of budgets, autoscalers and CronJobs: what their planners need from elsewhere. Time zones are read from the
// system's files once and kept.
#include "apiserver/controllers.h"

#include <fcntl.h>
#include <unistd.h>

// ---- Budgets ----
// Sums what the controllers of these pods want, each once: a Deployment rather than its ReplicaSets.
static int64_t wanted_replicas(struct api_controllers *c, struct ctl_object *const *pods,
                               size_t count, struct arena *arena) {
    struct ctl_object **seen = ARENA_ARRAY(arena, count + 1, struct ctl_object *);
    size_t n = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct ctl_object *owner = ctl_controller_of(c, pods[i]);
        struct ctl_object *above = owner ? ctl_controller_of(c, owner) : NULL;
        owner = above && above->kind->role == CTL_DEPLOYMENT ? above : owner;
        bool known = !owner;
        for (size_t j = 0; j < n && !known; j++) {
            known = seen[j] == owner;
        }
        if (!known) {
            seen[n++] = owner;
            sum += doc_int(doc_get(ctl_load(c, owner, arena), "spec", "replicas"), 1);
        }
    }
    return sum;
}

void visit_budget(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    const struct doc_value *selector = doc_get(value, "spec", "selector");
    const struct ctl_ns *space = ctl_space_find(c, object->ns);
    const struct ctl_label *label =
        space ? ctl_label_find(space, object->pod->labels, object->pod->label_count) : NULL;
    size_t max = label ? label->pods.len : space ? space->pods.len : 0, count = 0;
    bool by_text = doc_len(doc_get(selector, "matchExpressions")) > 0;
    struct ctl_object **objects = ARENA_ARRAY(plan->arena, max + 1, struct ctl_object *);
    const struct wl_pod **pods = ARENA_ARRAY(plan->arena, max + 1, const struct wl_pod *);
    for (size_t i = 0; i < max; i++) {
        struct ctl_object *pod = label ? label->pods.items[i] : space->pods.items[i];
        if (!doc_is(selector, DOC_OBJECT) || pod->pod->phase == WL_SUCCEEDED ||
            pod->pod->phase == WL_FAILED ||
            !wl_labels_contain(pod->pod->labels, pod->pod->label_count, object->pod->labels,
                               object->pod->label_count)) {
            continue;
        }
        if (by_text && !wl_selector_matches(selector, doc_get(ctl_load(c, pod, plan->arena),
                                                              "metadata", "labels"))) {
            continue;
        }
        objects[count] = pod;
        pods[count++] = pod->pod;
    }
    wl_plan_budget(plan, value, pods, count, wanted_replicas(c, objects, count, plan->arena));
}

// ---- Autoscalers ----
void visit_autoscaler(struct ctl_object *object, const struct doc_value *value,
                      struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    const struct doc_value *target = doc_get(value, "spec", "scaleTargetRef");
    struct str group = {NULL, 0}, version = doc_get_str(target, "apiVersion"), rest;
    struct str name = doc_get_str(target, "name");
    if (str_cut(version, '/', &group, &rest)) {
        version = rest;
    } else {
        group = (struct str){NULL, 0};
    }
    const struct api_kind *kind = api_kinds_find_kind(apiserver_kinds(c->server), group, version,
                                                      doc_get_str(target, "kind"));
    if (!kind || !kind->has_scale) {
        wl_plan_autoscaler(plan, value, NULL, NULL,
                           arena_printf(plan->arena,
                                        "no matches for kind \"%.*s\" in group \"%.*s\"",
                                        STR_ARG(doc_get_str(target, "kind")), STR_ARG(group)));
        return;
    }
    struct kube_gvr *gvr = ARENA_NEW(plan->arena, struct kube_gvr);
    *gvr = (struct kube_gvr){kind->group, kind->version, kind->plural};
    struct blob *text = apiserver_peek(c->server, gvr, object->ns, name);
    struct doc_value found;
    struct err err = {0};
    bool has = text && doc_parse_json_copy(blob_str(text), plan->arena, &found, &err);
    blob_unref(text);
    if (!has) {
        wl_plan_autoscaler(plan, value, gvr, NULL,
                           arena_printf(plan->arena, "%.*s%s%.*s \"%.*s\" not found",
                                        STR_ARG(kind->plural), group.n ? "." : "", STR_ARG(group),
                                        STR_ARG(name)));
        return;
    }
    struct doc_value scale = api_scale_of(plan->arena, kind, &found);
    wl_plan_autoscaler(plan, value, gvr, &scale, STR(""));
}

// ---- CronJobs ----
struct zone {
    struct wl_zone rules;
    struct arena *arena;
    bool known;
};

static bool is_zone_name(struct str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && c != '/' && c != '_' && c != '-' && c != '+') {
            return false;
        }
    }
    return name.n > 0 && name.n < 100 && name.p[0] != '/';
}

static struct str read_zone_file(struct arena *arena, struct str name) {
    enum { ZONE_BYTES = 64 * 1024 };
    const char *path =
        arena_cstr(arena, arena_printf(arena, "/usr/share/zoneinfo/%.*s", STR_ARG(name)));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = ARENA_ARRAY(arena, ZONE_BYTES, char);
    ssize_t n = fd >= 0 ? read(fd, bytes, ZONE_BYTES) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return n > 0 ? str_make(bytes, (size_t)n) : (struct str){NULL, 0};
}

static const struct wl_zone *zone_of(struct api_controllers *c, struct str name) {
    if (!name.n || str_eq_c(name, "UTC") || str_eq_c(name, "Etc/UTC")) {
        return &wl_utc;
    }
    struct zone *zone = map_find(c->zones, name);
    if (!zone && is_zone_name(name)) {
        zone = NEW(struct zone);
        zone->arena = arena_create();
        AUTO(arena_destroy) struct arena *scratch = arena_create();
        struct str bytes = read_zone_file(scratch, name);
        struct err err = {0};
        zone->known = bytes.n && wl_zone_parse(zone->arena, bytes, &zone->rules, &err);
        map_put(c->zones, name, zone);
    }
    return zone && zone->known ? &zone->rules : NULL;
}

void ctl_zones_destroy(struct api_controllers *c) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->zones, &i, &key, &value);) {
        struct zone *zone = value;
        arena_destroy(zone->arena);
        free(zone);
    }
    map_destroy(c->zones);
}

void visit_cron_job(struct ctl_object *object, const struct doc_value *value,
                    struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    size_t count = 0, n = 0;
    struct ctl_object **children = ctl_children(object, CTL_JOB, plan->arena, &count);
    const struct doc_value **jobs = ARENA_ARRAY(plan->arena, count + 1, const struct doc_value *);
    for (size_t i = 0; i < count; i++) {
        jobs[n] = ctl_load(c, children[i], plan->arena);
        n += jobs[n] != NULL;
    }
    wl_plan_cron_job(plan, value, jobs, n, zone_of(c, doc_get_str(value, "spec", "timeZone")));
}
