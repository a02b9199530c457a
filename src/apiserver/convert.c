// SPDX-License-Identifier: Apache-2.0
// One object in the versions of its kind. Versions of custom kinds differ in their name only (conversion None). Two
// built-in kinds have forms that differ: autoscalers (v1 knows the CPU target only; what else a v2 object says travels
// in annotations, as Kubernetes does it) and Events (core and events.k8s.io).
#include "apiserver/admit_internal.h"
#include "apiserver/kinds_internal.h"

// ---- HorizontalPodAutoscaler ----

static const char metrics_note[] = "autoscaling.alpha.kubernetes.io/metrics";
static const char current_note[] = "autoscaling.alpha.kubernetes.io/current-metrics";
static const char behavior_note[] = "autoscaling.alpha.kubernetes.io/behavior";
static const char conditions_note[] = "autoscaling.alpha.kubernetes.io/conditions";

static void move_to_note(struct arena *arena, struct doc_value *object, const char *part,
                         const char *key, const char *note) {
    const struct doc_value *value = doc_get(object, part, key);
    if (doc_is_null(value)) {
        return;
    }
    if (doc_len(value) > 0) {
        struct doc_value text = doc_make_str(doc_to_json(arena, value));
        *object = doc_with(arena, object, text, "metadata", "annotations", note);
    }
    *object = doc_without(arena, object, part, key);
}

static void move_from_note(struct arena *arena, struct doc_value *object, const char *part,
                           const char *key, const char *note) {
    struct str text = doc_get_str(object, "metadata", "annotations", note);
    struct doc_value value;
    if (text.n > 0 && doc_parse_json(text, arena, &value, NULL)) {
        *object = doc_with(arena, object, value, part, key);
    }
    if (text.n > 0) {
        *object = doc_without(arena, object, "metadata", "annotations", note);
        if (doc_len(doc_get(object, "metadata", "annotations")) == 0) {
            *object = doc_without(arena, object, "metadata", "annotations");
        }
    }
}

// The first CPU utilization target becomes v1's field, the rest of the list an annotation.
static struct doc_value autoscaler_to_v1(struct arena *arena, struct doc_value object) {
    const struct doc_value *metrics = doc_get(&object, "spec", "metrics");
    const struct doc_value *current = doc_get(&object, "status", "currentMetrics");
    struct doc_array rest = doc_array_start(arena), others = doc_array_start(arena);
    const struct doc_value *target = NULL, *now = NULL;
    for (DOC_EACH_ITEM(metrics, metric)) {
        const struct doc_value *share = doc_get(metric, "resource", "target", "averageUtilization");
        if (!target && share && str_eq(doc_get_str(metric, "resource", "name"), STR("cpu"))) {
            target = share;
        } else {
            doc_array_add(&rest, *metric);
        }
    }
    for (DOC_EACH_ITEM(current, metric)) {
        const struct doc_value *share =
            doc_get(metric, "resource", "current", "averageUtilization");
        if (!now && share && str_eq(doc_get_str(metric, "resource", "name"), STR("cpu"))) {
            now = share;
        } else {
            doc_array_add(&others, *metric);
        }
    }
    if (metrics) {
        object = doc_with(arena, &object, doc_array_done(&rest), "spec", "metrics");
    }
    if (current) {
        object = doc_with(arena, &object, doc_array_done(&others), "status", "currentMetrics");
    }
    move_to_note(arena, &object, "spec", "metrics", metrics_note);
    move_to_note(arena, &object, "spec", "behavior", behavior_note);
    move_to_note(arena, &object, "status", "currentMetrics", current_note);
    move_to_note(arena, &object, "status", "conditions", conditions_note);
    if (target) {
        object = doc_with(arena, &object, *target, "spec", "targetCPUUtilizationPercentage");
    }
    if (now) {
        object = doc_with(arena, &object, *now, "status", "currentCPUUtilizationPercentage");
    }
    return object;
}

static struct doc_value cpu_metric(struct arena *arena, const char *side, struct doc_value share) {
    struct doc_object inner = doc_object_start(arena), resource = doc_object_start(arena);
    struct doc_object metric = doc_object_start(arena);
    if (str_eq_c(STR("target"), side)) {
        doc_object_set_c(&inner, "type", DOC_S("Utilization"));
    }
    doc_object_set_c(&inner, "averageUtilization", share);
    doc_object_set_c(&resource, "name", DOC_S("cpu"));
    doc_object_set_c(&resource, side, doc_object_done(&inner));
    doc_object_set_c(&metric, "type", DOC_S("Resource"));
    doc_object_set_c(&metric, "resource", doc_object_done(&resource));
    return doc_object_done(&metric);
}

static void cpu_to_list(struct arena *arena, struct doc_value *object, const char *part,
                        const char *field, const char *list_key, const char *side) {
    const struct doc_value *share = doc_get(object, part, field);
    if (doc_is_null(share)) {
        return;
    }
    struct doc_array list = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(object, part, list_key), metric)) {
        doc_array_add(&list, *metric);
    }
    doc_array_add(&list, cpu_metric(arena, side, *share));
    *object = doc_with(arena, object, doc_array_done(&list), part, list_key);
    *object = doc_without(arena, object, part, field);
}

static struct doc_value autoscaler_to_v2(struct arena *arena, struct doc_value object) {
    move_from_note(arena, &object, "spec", "metrics", metrics_note);
    move_from_note(arena, &object, "spec", "behavior", behavior_note);
    move_from_note(arena, &object, "status", "currentMetrics", current_note);
    move_from_note(arena, &object, "status", "conditions", conditions_note);
    cpu_to_list(arena, &object, "spec", "targetCPUUtilizationPercentage", "metrics", "target");
    cpu_to_list(arena, &object, "status", "currentCPUUtilizationPercentage", "currentMetrics",
                "current");
    return object;
}

// ---- Event ----

static void rename_member(struct arena *arena, struct doc_value *object, const char *from,
                          const char *to) {
    const struct doc_value *value = doc_find(object, str_from(from));
    if (value) {
        struct doc_value moved = *value;
        admit_remove_member(arena, object, from);
        admit_set_member(arena, object, to, moved);
    }
}

static const char *const event_fields[][2] = {
    // core, events.k8s.io
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"reportingComponent", "reportingController"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
};

static struct doc_value convert_event(struct arena *arena, struct doc_value object, bool to_core) {
    for (size_t i = 0; i < ARRAY_LEN(event_fields); i++) {
        rename_member(arena, &object, event_fields[i][to_core], event_fields[i][!to_core]);
    }
    // The newer group leaves out what the core group writes though it is empty.
    static const char *const names[] = {"reportingController", "reportingInstance"};
    for (size_t i = 0; !to_core && i < ARRAY_LEN(names); i++) {
        const struct doc_value *value = doc_find(&object, str_from(names[i]));
        if (doc_is(value, DOC_STRING) && doc_str(value).n == 0) {
            admit_remove_member(arena, &object, names[i]);
        }
    }
    return object;
}

// ---- All ----

struct doc_value api_kind_convert(struct arena *arena, const struct api_kind *to,
                                  const struct doc_value *object) {
    struct str version =
        to->group.n ? arena_printf(arena, "%.*s/%.*s", STR_ARG(to->group), STR_ARG(to->version))
                    : to->version;
    if (str_eq(doc_get_str(object, "apiVersion"), version)) {
        return *object;
    }
    struct doc_value out = doc_with(arena, object, doc_make_str(version), "apiVersion");
    if (to->custom) {
        struct str *pruned = NULL;
        size_t count = 0;
        return to->schema ? schema_struct_prune(to->schema, arena, &out, &pruned, &count) : out;
    }
    if (str_eq(to->group, STR("autoscaling"))) {
        return str_eq(to->version, STR("v1")) ? autoscaler_to_v1(arena, out)
                                              : autoscaler_to_v2(arena, out);
    }
    if (str_eq(to->kind, STR("Event"))) {
        return convert_event(arena, out, to->group.n == 0);
    }
    return out;
}
