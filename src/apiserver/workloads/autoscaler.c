// SPDX-License-Identifier: Apache-2.0
// HorizontalPodAutoscalers on a cluster without metrics: they keep their target between their bounds and say that they
// cannot do more. At rest nothing is written.
#include "apiserver/workloads/plan.h"

#define COMPONENT "horizontal-pod-autoscaler"
#define NO_METRICS "the server could not find the requested resource (get pods.metrics.k8s.io)"

struct scaler {
    struct wl_plan *plan;
    const struct doc_value *object;
    struct wl_conditions conditions;
    int64_t current, desired, wanted; // wanted: what the target is scaled to, -1: left alone
    const char *why;
    bool rescaled;
};

static void warn(struct scaler *s, const char *reason, struct str message) {
    wl_event(s->plan, s->object, COMPONENT, reason, "%.*s", STR_ARG(message))->warning = true;
}

// What the first metric's failure is called, and its text.
static struct str metric_failure(struct arena *arena, const struct doc_value *hpa,
                                 const char **reason, struct str *full) {
    const struct doc_value *metric = doc_at(doc_get(hpa, "spec", "metrics"), 0);
    struct str type = doc_get_str(metric, "type"), resource = STR("cpu"), text;
    struct str kind = doc_get_str(metric, "resource", "target", "type");
    bool container = str_eq_c(type, "ContainerResource");
    if (!metric || str_eq_c(type, "Resource") || container) {
        const struct doc_value *source =
            doc_get(metric, container ? "containerResource" : "resource");
        resource = source ? doc_get_str(source, "name") : resource;
        kind = source ? doc_get_str(source, "target", "type") : kind;
        const char *what = str_eq_c(kind, "AverageValue") ? "usage" : "utilization";
        *reason = container ? "FailedGetContainerResourceMetric" : "FailedGetResourceMetric";
        text = arena_printf(arena,
                            "failed to get %.*s %s: unable to get metrics for resource %.*s: "
                            "unable to fetch metrics from resource metrics API: " NO_METRICS,
                            STR_ARG(resource), what, STR_ARG(resource));
        *full = arena_printf(arena, "failed to get %.*s %sresource metric value: %.*s",
                             STR_ARG(resource), container ? "container " : "", STR_ARG(text));
        return text;
    }
    static const struct {
        const char *type, *field, *reason, *api;
    } others[] = {
        {"Pods", "pods", "FailedGetPodsMetric", "custom"},
        {"Object", "object", "FailedGetObjectMetric", "custom"},
        {"External", "external", "FailedGetExternalMetric", "external"},
    };
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(others) && !str_eq_c(type, others[i].type)) {
        i++;
    }
    *reason = others[i].reason;
    text = arena_printf(
        arena,
        "unable to get metric %.*s: unable to fetch metrics from %s metrics API: the server could "
        "not find the metric for the requested resource",
        STR_ARG(doc_get_str(metric, others[i].field, "metric", "name")), others[i].api);
    *full =
        arena_printf(arena, "failed to get %s metric value: %.*s", others[i].field, STR_ARG(text));
    return text;
}

static void set_condition(struct scaler *s, const char *type, const char *status,
                          const char *reason, struct str message) {
    wl_conditions_set(&s->conditions, type, status, reason, doc_make_str(message), false, false);
}

static bool condition_changed(const struct scaler *s, const char *type) {
    const struct doc_value *before = wl_condition(doc_get(s->object, "status"), type);
    for (uint32_t i = 0; i < s->conditions.list.len; i++) {
        const struct doc_value *now = &s->conditions.list.items[i];
        if (str_eq_c(doc_get_str(now, "type"), type)) {
            return !doc_equal(before, now);
        }
    }
    return before != NULL;
}

static void compute(struct scaler *s) {
    struct arena *arena = s->plan->arena;
    const struct doc_value *spec = doc_get(s->object, "spec");
    int64_t most = doc_int(doc_get(spec, "maxReplicas"), 1);
    int64_t least = doc_int(doc_get(spec, "minReplicas"), 1);
    set_condition(s, "AbleToScale", "True", "SucceededGetScale",
                  STR("the HPA controller was able to get the target's current scale"));
    if (s->current == 0 && least != 0) {
        set_condition(s, "ScalingActive", "False", "ScalingDisabled",
                      STR("scaling is disabled since the replica count of the target is zero"));
    } else if (s->current > most) {
        s->wanted = most;
        s->why = "Current number of replicas above Spec.MaxReplicas";
    } else if (s->current < least) {
        s->wanted = least;
        s->why = "Current number of replicas below Spec.MinReplicas";
    } else {
        const char *reason;
        struct str full, text = metric_failure(arena, s->object, &reason, &full);
        set_condition(
            s, "ScalingActive", "False", reason,
            arena_concat(arena, STR("the HPA was unable to compute the replica count: "), text));
        if (condition_changed(s, "ScalingActive")) {
            struct str first = arena_printf(
                arena, "invalid metrics (1 invalid out of %zu), first error is: %.*s",
                doc_len(doc_get(spec, "metrics")) ? doc_len(doc_get(spec, "metrics")) : 1,
                STR_ARG(full));
            warn(s, reason, text);
            warn(s, "FailedComputeMetricsReplicas", first);
        }
    }
    if (s->wanted >= 0) {
        s->desired = s->wanted;
        set_condition(s, "AbleToScale", "True", "SucceededRescale",
                      arena_printf(arena,
                                   "the HPA controller was able to update the target scale to %lld",
                                   (long long)s->wanted));
    }
}

static void rescale(struct scaler *s, const struct kube_gvr *gvr) {
    struct arena *arena = s->plan->arena;
    struct doc_value target =
        wl_object(arena, "metadata",
                  wl_object(arena, "name",
                            doc_make_str(doc_get_str(s->object, "spec", "scaleTargetRef", "name")),
                            "namespace", doc_make_str(wl_ns(s->object)), NULL),
                  NULL);
    struct doc_value wanted = wl_object(arena, "replicas", doc_make_int(s->wanted), NULL);
    wl_patch(s->plan, gvr, &target, wl_object(arena, "spec", wanted, NULL))->subresource =
        STR("scale");
    wl_event(s->plan, s->object, COMPONENT, "SuccessfulRescale", "New size: %lld; reason: %s",
             (long long)s->wanted, s->why);
}

static void write_status(struct scaler *s, bool found) {
    struct arena *arena = s->plan->arena;
    const struct doc_value *before = doc_get(s->object, "status");
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "conditions", wl_conditions_done(&s->conditions));
    doc_object_set_c(&status, "desiredReplicas", doc_make_int(s->desired));
    if (found && s->current) {
        doc_object_set_c(&status, "currentReplicas", doc_make_int(s->current));
    }
    if (s->wanted >= 0) {
        doc_object_set_c(&status, "lastScaleTime", wl_time(arena, s->plan->now));
    } else if (doc_get(before, "lastScaleTime")) {
        doc_object_set_c(&status, "lastScaleTime", *doc_get(before, "lastScaleTime"));
    }
    wl_status(s->plan, &wl_autoscalers, s->object, doc_object_done(&status));
}

void wl_plan_autoscaler(struct wl_plan *plan, const struct doc_value *autoscaler,
                        const struct kube_gvr *target, const struct doc_value *scale,
                        struct str problem) {
    struct scaler s = {.plan = plan, .object = autoscaler, .wanted = -1};
    if (wl_is_deleting(autoscaler)) {
        return;
    }
    wl_conditions_init(&s.conditions, plan, doc_get(autoscaler, "status"));
    if (!scale) {
        set_condition(&s, "AbleToScale", "False", "FailedGetScale",
                      arena_concat(plan->arena,
                                   STR("the HPA controller was unable to get the target's current "
                                       "scale: "),
                                   problem));
        if (condition_changed(&s, "AbleToScale")) {
            warn(&s, "FailedGetScale", problem);
        }
    } else {
        s.current = doc_int(doc_get(scale, "spec", "replicas"), 0);
        compute(&s);
        if (s.wanted >= 0) {
            rescale(&s, target);
        }
    }
    write_status(&s, scale != NULL);
}
