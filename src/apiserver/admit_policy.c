// SPDX-License-Identifier: Apache-2.0
// Admission of the rest: roles and bindings, disruption budgets, autoscalers, classes, webhooks, definitions.
#include "apiserver/admit_internal.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

// ---- Roles ----

static void fill_subject(struct arena *arena, struct doc_value *subject) {
    if (!str_eq(doc_get_str(subject, "kind"), STR("ServiceAccount"))) {
        admit_default_str(arena, subject, "apiGroup", RBAC_GROUP);
    }
}

static void fill_role_ref(struct arena *arena, struct doc_value *ref) {
    admit_default_str(arena, ref, "apiGroup", RBAC_GROUP);
}

static void fill_binding(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "subjects", fill_subject);
    admit_default_in(a->arena, object, "roleRef", fill_role_ref);
}

static void check_subject(struct admit *a, size_t i, const struct doc_value *subject) {
    const struct doc_value *kind = doc_get(subject, "kind"), *group = doc_get(subject, "apiGroup");
    bool account = str_eq(doc_str(kind), STR("ServiceAccount"));
    if (doc_get_str(subject, "name").n == 0) {
        admit_problem_required(a, admit_path_of(a, "subjects[%zu].name", i), "");
    }
    if (account) {
        // In a RoleBinding it defaults to that of the binding.
        if (!a->kind->namespaced && doc_get_str(subject, "namespace").n == 0) {
            admit_problem_required(a, admit_path_of(a, "subjects[%zu].namespace", i), "");
        }
        if (doc_str(group).n > 0) {
            admit_problem_unsupported(a, admit_path_of(a, "subjects[%zu].apiGroup", i), group, "");
        }
    } else if (!str_eq(doc_str(kind), STR("User")) && !str_eq(doc_str(kind), STR("Group"))) {
        admit_problem_unsupported(a, admit_path_of(a, "subjects[%zu].kind", i), kind,
                                  "ServiceAccount User Group");
    } else {
        admit_check_choice(a, admit_path_of(a, "subjects[%zu].apiGroup", i), group, RBAC_GROUP);
    }
}

static void check_binding(struct admit *a, const struct doc_value *object) {
    const struct doc_value *ref = doc_get(object, "roleRef");
    const struct doc_value *subjects = doc_get(object, "subjects");
    bool cluster = str_eq(a->kind->kind, STR("ClusterRoleBinding"));
    admit_check_choice(a, STR("roleRef.apiGroup"), doc_get(ref, "apiGroup"), RBAC_GROUP);
    const struct doc_value *kind = doc_get(ref, "kind");
    admit_check_choice(a, STR("roleRef.kind"), kind ? kind : admit_text_value(a, ""),
                       cluster ? "ClusterRole" : "Role ClusterRole");
    if (doc_get_str(ref, "name").n == 0) {
        admit_problem_required(a, STR("roleRef.name"), "");
    }
    for (size_t i = 0; i < doc_len(subjects); i++) {
        check_subject(a, i, doc_at(subjects, i));
    }
}

static void update_binding(struct admit *a, const struct doc_value *object,
                           const struct doc_value *old) {
    const struct doc_value *now = doc_get(object, "roleRef");
    if (doc_equal(now, doc_get(old, "roleRef"))) {
        return;
    }
    struct doc_object shown = doc_object_start(a->arena); // with the names of Go's fields
    doc_object_set_c(&shown, "APIGroup", doc_make_str(doc_get_str(now, "apiGroup")));
    doc_object_set_c(&shown, "Kind", doc_make_str(doc_get_str(now, "kind")));
    doc_object_set_c(&shown, "Name", doc_make_str(doc_get_str(now, "name")));
    struct doc_value value = doc_object_done(&shown);
    admit_problem_invalid(a, STR("roleRef"), &value, "cannot change roleRef");
}

static void check_role(struct admit *a, const struct doc_value *object) {
    const struct doc_value *aggregation = doc_get(object, "aggregationRule");
    if (doc_is(aggregation, DOC_OBJECT) &&
        doc_len(doc_get(aggregation, "clusterRoleSelectors")) == 0) {
        admit_problem_required(
            a, STR("aggregationRule.clusterRoleSelectors"),
            "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    const struct doc_value *rules = doc_get(object, "rules");
    for (size_t i = 0; i < doc_len(rules); i++) {
        const struct doc_value *rule = doc_at(rules, i);
        bool urls = doc_len(doc_get(rule, "nonResourceURLs")) > 0;
        if (doc_len(doc_get(rule, "verbs")) == 0) {
            admit_problem_required(a, admit_path_of(a, "rules[%zu].verbs", i),
                                   "verbs must contain at least one value");
        }
        if (urls) {
            if (str_eq(a->kind->kind, STR("Role"))) {
                admit_problem_invalid(a, admit_path_of(a, "rules[%zu].nonResourceURLs", i),
                                      doc_get(rule, "nonResourceURLs"),
                                      "namespaced rules cannot apply to non-resource URLs");
            }
            if (doc_len(doc_get(rule, "apiGroups")) > 0 ||
                doc_len(doc_get(rule, "resources")) > 0) {
                admit_problem_invalid(
                    a, admit_path_of(a, "rules[%zu].nonResourceURLs", i),
                    doc_get(rule, "nonResourceURLs"),
                    "rules cannot apply to both regular resources and non-resource "
                    "URLs");
            }
            continue;
        }
        if (doc_len(doc_get(rule, "apiGroups")) == 0) {
            admit_problem_required(a, admit_path_of(a, "rules[%zu].apiGroups", i),
                                   "resource rules must supply at least one api group");
        }
        if (doc_len(doc_get(rule, "resources")) == 0) {
            admit_problem_required(a, admit_path_of(a, "rules[%zu].resources", i),
                                   "resource rules must supply at least one resource");
        }
    }
}

// ---- Disruption budgets and autoscalers ----

static void fill_budget(struct admit *a, struct doc_value *object) {
    static const char *const counts[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy",
                                         "expectedPods"};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (doc_is_null(doc_get(object, "status", counts[i]))) {
            *object = doc_with(a->arena, object, doc_make_int(0), "status", counts[i]);
        }
    }
}

static void check_budget(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    if (!doc_is_null(doc_get(spec, "minAvailable")) &&
        !doc_is_null(doc_get(spec, "maxUnavailable"))) {
        static const char *const names[][2] = {
            {"minAvailable", "MinAvailable"},
            {"selector", "Selector"},
            {"maxUnavailable", "MaxUnavailable"},
            {"unhealthyPodEvictionPolicy", "UnhealthyPodEvictionPolicy"}};
        struct doc_object shown = doc_object_start(a->arena); // with the names of Go's fields
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            const struct doc_value *value = doc_find(spec, str_from(names[i][0]));
            doc_object_set_c(&shown, names[i][1], value ? *value : doc_null());
        }
        struct doc_value value = doc_object_done(&shown);
        admit_problem_invalid(a, STR("spec"), &value,
                              "minAvailable and maxUnavailable cannot be both set");
    }
    admit_check_count_or_percent(a, STR("spec.minAvailable"), doc_get(spec, "minAvailable"), true);
    admit_check_count_or_percent(a, STR("spec.maxUnavailable"), doc_get(spec, "maxUnavailable"),
                                 true);
    admit_check_label_selector(a, STR("spec.selector"), doc_get(spec, "selector"));
    admit_check_choice(a, STR("spec.unhealthyPodEvictionPolicy"),
                       doc_get(spec, "unhealthyPodEvictionPolicy"), "AlwaysAllow IfHealthyBudget");
}

static struct doc_value scaling_policy(struct arena *arena, const char *type, int64_t value) {
    struct doc_object policy = doc_object_start(arena);
    doc_object_set_c(&policy, "type", doc_make_str(str_from(type)));
    doc_object_set_c(&policy, "value", doc_make_int(value));
    doc_object_set_c(&policy, "periodSeconds", doc_make_int(15));
    return doc_object_done(&policy);
}

static void fill_scaling(struct arena *arena, struct doc_value *rules, bool up) {
    admit_default_str(arena, rules, "selectPolicy", "Max");
    if (up) {
        admit_default_int(arena, rules, "stabilizationWindowSeconds", 0);
    }
    if (doc_len(doc_get(rules, "policies")) == 0) {
        struct doc_array policies = doc_array_start(arena);
        if (up) {
            doc_array_add(&policies, scaling_policy(arena, "Pods", 4));
        }
        doc_array_add(&policies, scaling_policy(arena, "Percent", 100));
        admit_set_member(arena, rules, "policies", doc_array_done(&policies));
    }
}

static void fill_scale_up(struct arena *arena, struct doc_value *rules) {
    fill_scaling(arena, rules, true);
}

static void fill_scale_down(struct arena *arena, struct doc_value *rules) {
    fill_scaling(arena, rules, false);
}

static void fill_behavior(struct arena *arena, struct doc_value *behavior) {
    admit_default_object(arena, behavior, "scaleUp");
    admit_default_object(arena, behavior, "scaleDown");
    admit_default_in(arena, behavior, "scaleUp", fill_scale_up);
    admit_default_in(arena, behavior, "scaleDown", fill_scale_down);
}

static struct doc_value cpu_metric(struct arena *arena) {
    struct doc_object target = doc_object_start(arena), resource = doc_object_start(arena);
    struct doc_object metric = doc_object_start(arena);
    struct doc_array list = doc_array_start(arena);
    doc_object_set_c(&target, "type", DOC_S("Utilization"));
    doc_object_set_c(&target, "averageUtilization", doc_make_int(80));
    doc_object_set_c(&resource, "name", DOC_S("cpu"));
    doc_object_set_c(&resource, "target", doc_object_done(&target));
    doc_object_set_c(&metric, "type", DOC_S("Resource"));
    doc_object_set_c(&metric, "resource", doc_object_done(&resource));
    doc_array_add(&list, doc_object_done(&metric));
    return doc_array_done(&list);
}

static void fill_autoscaler_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_int(arena, spec, "minReplicas", 1);
    admit_default_in(arena, spec, "behavior", fill_behavior);
}

static void fill_autoscaler(struct admit *a, struct doc_value *object) {
    bool first = str_eq(a->kind->version, STR("v1"));
    admit_default_in(a->arena, object, "spec", fill_autoscaler_spec);
    if (first) {
        if (doc_is_null(doc_get(object, "spec", "targetCPUUtilizationPercentage"))) {
            *object = doc_with(a->arena, object, doc_make_int(80), "spec",
                               "targetCPUUtilizationPercentage");
        }
    } else if (doc_len(doc_get(object, "spec", "metrics")) == 0) {
        *object = doc_with(a->arena, object, cpu_metric(a->arena), "spec", "metrics");
    }
    if (!first && doc_is_null(doc_get(object, "status", "currentMetrics"))) {
        *object = doc_with(a->arena, object, doc_null(), "status", "currentMetrics");
    }
    if (a->old) {
        return;
    }
    *object = doc_with(a->arena, object, doc_make_int(0), "status", "desiredReplicas");
    if (first) {
        *object = doc_with(a->arena, object, doc_make_int(0), "status", "currentReplicas");
    }
}

static bool scales_to_zero(const struct doc_value *metrics) {
    for (DOC_EACH_ITEM(metrics, metric)) {
        struct str type = doc_get_str(metric, "type");
        if (str_eq(type, STR("Object")) || str_eq(type, STR("External"))) {
            return true;
        }
    }
    return false;
}

static void check_metric_target(struct admit *a, struct str path, const struct doc_value *target) {
    const struct doc_value *type = doc_get(target, "type");
    struct str name = doc_str(type);
    if (name.n == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.type", STR_ARG(path)),
                               "must specify a metric target type");
    } else if (!str_eq(name, STR("Utilization")) && !str_eq(name, STR("Value")) &&
               !str_eq(name, STR("AverageValue"))) {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.type", STR_ARG(path)), type,
                              "must be either Utilization, Value, or AverageValue");
    }
    const struct doc_value *part = doc_get(target, "averageUtilization");
    if (doc_int(part, 1) < 1) {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.averageUtilization", STR_ARG(path)), part,
                              "must be greater than 0");
    }
}

static void check_metrics(struct admit *a, const struct doc_value *metrics) {
    static const char *const sources[][2] = {{"ContainerResource", "containerResource"},
                                             {"External", "external"},
                                             {"Object", "object"},
                                             {"Pods", "pods"},
                                             {"Resource", "resource"}};
    for (size_t i = 0; i < doc_len(metrics); i++) {
        const struct doc_value *metric = doc_at(metrics, i), *type = doc_get(metric, "type");
        const char *member = NULL;
        struct str path = admit_path_of(a, "spec.metrics[%zu]", i);
        for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
            member = str_eq_c(doc_str(type), sources[k][0]) ? sources[k][1] : member;
        }
        if (!member) { // said twice, as Kubernetes does
            for (int twice = 0; twice < 2; twice++) {
                admit_problem_unsupported(a, admit_path_of(a, "%.*s.type", STR_ARG(path)),
                                          type ? type : admit_text_value(a, ""),
                                          "ContainerResource External Object Pods Resource");
            }
            continue;
        }
        const struct doc_value *source = doc_find(metric, str_from(member));
        struct str at = admit_path_of(a, "%.*s.%s", STR_ARG(path), member);
        if (!doc_is(source, DOC_OBJECT)) {
            admit_problem_required(a, at, "must populate information for the given metric source");
            continue;
        }
        const struct doc_value *target = doc_get(source, "target");
        struct str where = admit_path_of(a, "%.*s.target", STR_ARG(at));
        check_metric_target(a, where, target);
        bool of_resource = str_ends(doc_str(type), STR("Resource"));
        if (of_resource && doc_is_null(doc_get(target, "averageUtilization")) &&
            doc_is_null(doc_get(target, "averageValue"))) {
            admit_problem_required(a, admit_path_of(a, "%.*s.averageUtilization", STR_ARG(where)),
                                   "must set either a target raw value or a target utilization");
        }
    }
}

static void check_scaling_rules(struct admit *a, const char *name, const struct doc_value *rules) {
    static const char *const numbers[] = {"value", "periodSeconds"};
    const struct doc_value *policies = doc_get(rules, "policies");
    for (size_t i = 0; i < doc_len(policies); i++) {
        const struct doc_value *policy = doc_at(policies, i);
        struct str path = admit_path_of(a, "spec.behavior.%s.policies[%zu]", name, i);
        admit_check_choice(a, admit_path_of(a, "%.*s.type", STR_ARG(path)), doc_get(policy, "type"),
                           "Percent Pods");
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
            const struct doc_value *value = doc_find(policy, str_from(numbers[k]));
            if (doc_int(value, 0) < 1) {
                admit_problem_invalid(a, admit_path_of(a, "%.*s.%s", STR_ARG(path), numbers[k]),
                                      value, "must be greater than zero");
            }
        }
    }
}

static void check_autoscaler(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *min = doc_get(spec, "minReplicas"), *max = doc_get(spec, "maxReplicas");
    if (doc_int(min, 1) < 1) {
        admit_problem_invalid(a, STR("spec.minReplicas"), min,
                              "must be greater than or equal to 1");
    }
    if (doc_int(max, 0) < 1) {
        admit_problem_required(a, STR("spec.maxReplicas"), "must be set and greater than 0");
    }
    if (doc_int(max, 0) < doc_int(min, 1)) {
        admit_problem_invalid(a, STR("spec.maxReplicas"), max,
                              "must be greater than or equal to `minReplicas`");
    }
    if (doc_get_str(spec, "scaleTargetRef", "kind").n == 0) {
        admit_problem_required(a, STR("spec.scaleTargetRef.kind"), "");
    }
    if (doc_get_str(spec, "scaleTargetRef", "name").n == 0) {
        admit_problem_required(a, STR("spec.scaleTargetRef.name"), "");
    }
    const struct doc_value *version = doc_get(spec, "scaleTargetRef", "apiVersion");
    bool core = str_eq(doc_get_str(spec, "scaleTargetRef", "kind"), STR("ReplicationController"));
    if (!core && str_find_char(doc_str(version), '/') == STR_NPOS) {
        admit_problem_invalid(a, STR("spec.scaleTargetRef.apiVersion"),
                              version ? version : admit_text_value(a, ""),
                              "apiVersion must specify API group");
    }
    if (str_eq(a->kind->version, STR("v1"))) {
        const struct doc_value *target = doc_get(spec, "targetCPUUtilizationPercentage");
        if (doc_int(target, 1) < 1) {
            admit_problem_invalid(a, STR("spec.metrics[0].resource.target.averageUtilization"),
                                  target, "must be greater than 0");
        }
    }
    check_metrics(a, doc_get(spec, "metrics"));
    check_scaling_rules(a, "scaleUp", doc_get(spec, "behavior", "scaleUp"));
    check_scaling_rules(a, "scaleDown", doc_get(spec, "behavior", "scaleDown"));
    if (doc_int(min, 1) == 0 && !scales_to_zero(doc_get(spec, "metrics"))) {
        admit_problem_forbidden(
            a, STR("spec.metrics"),
            "must specify at least one Object or External metric to support scaling "
            "to zero replicas");
    }
}

// ---- Classes ----

static void fill_storage_class(struct admit *a, struct doc_value *object) {
    admit_default_str(a->arena, object, "reclaimPolicy", "Delete");
    admit_default_str(a->arena, object, "volumeBindingMode", "Immediate");
}

static void check_storage_class(struct admit *a, const struct doc_value *object) {
    if (doc_get_str(object, "provisioner").n == 0) {
        admit_problem_required(a, STR("provisioner"), "");
    }
    admit_check_choice(a, STR("reclaimPolicy"), doc_get(object, "reclaimPolicy"), "Delete Retain");
    admit_check_choice(a, STR("volumeBindingMode"), doc_get(object, "volumeBindingMode"),
                       "Immediate WaitForFirstConsumer");
}

static void update_storage_class(struct admit *a, const struct doc_value *object,
                                 const struct doc_value *old) {
    static const char *const fields[] = {"parameters", "provisioner", "reclaimPolicy",
                                         "volumeBindingMode"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct str name = str_from(fields[i]);
        admit_check_immutable(a, name, doc_find(object, name), doc_find(old, name));
    }
}

static void fill_priority(struct admit *a, struct doc_value *object) {
    admit_default_str(a->arena, object, "preemptionPolicy", "PreemptLowerPriority");
}

static void check_priority(struct admit *a, const struct doc_value *object) {
    struct str name = doc_get_str(object, "metadata", "name");
    if (str_starts(name, STR("system-")) && !str_eq(name, STR("system-node-critical")) &&
        !str_eq(name, STR("system-cluster-critical"))) {
        admit_problem_forbidden(
            a, STR("metadata.name"),
            arena_cstr(a->arena,
                       admit_path_of(a,
                                     "priority class names with 'system-' prefix are reserved for "
                                     "system use only. error: %.*s is not a known system priority "
                                     "class",
                                     STR_ARG(name))));
    } else if (!str_starts(name, STR("system-")) &&
               doc_int(doc_get(object, "value"), 0) > 1000000000) {
        admit_problem_forbidden(a, STR("value"),
                                "maximum allowed value of a user defined priority is 1000000000");
    }
    admit_check_choice(a, STR("preemptionPolicy"), doc_get(object, "preemptionPolicy"),
                       "PreemptLowerPriority Never");
}

static void update_priority(struct admit *a, const struct doc_value *object,
                            const struct doc_value *old) {
    if (!doc_equal(doc_get(object, "value"), doc_get(old, "value"))) {
        admit_problem_forbidden(a, STR("value"), "may not be changed in an update.");
    }
    admit_check_immutable(a, STR("preemptionPolicy"), doc_get(object, "preemptionPolicy"),
                          doc_get(old, "preemptionPolicy"));
}

static void fill_driver_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_bool(arena, spec, "attachRequired", true);
    admit_default_bool(arena, spec, "podInfoOnMount", false);
    admit_default_bool(arena, spec, "storageCapacity", false);
    admit_default_bool(arena, spec, "requiresRepublish", false);
    admit_default_bool(arena, spec, "seLinuxMount", false);
    admit_default_str(arena, spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if (doc_len(doc_get(spec, "volumeLifecycleModes")) == 0) {
        struct doc_array modes = doc_array_start(arena);
        doc_array_add(&modes, DOC_S("Persistent"));
        admit_set_member(arena, spec, "volumeLifecycleModes", doc_array_done(&modes));
    }
}

static void fill_driver(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_driver_spec);
}

const struct admit_rule admit_policy[] = {
    {RBAC_GROUP, "Role", NULL, check_role, NULL},
    {RBAC_GROUP, "ClusterRole", NULL, check_role, NULL},
    {RBAC_GROUP, "RoleBinding", fill_binding, check_binding, update_binding},
    {RBAC_GROUP, "ClusterRoleBinding", fill_binding, check_binding, update_binding},
    {"policy", "PodDisruptionBudget", fill_budget, check_budget, NULL},
    {"autoscaling", "HorizontalPodAutoscaler", fill_autoscaler, check_autoscaler, NULL},
    {"storage.k8s.io", "StorageClass", fill_storage_class, check_storage_class,
     update_storage_class},
    {"storage.k8s.io", "CSIDriver", fill_driver, NULL, NULL},
    {"scheduling.k8s.io", "PriorityClass", fill_priority, check_priority, update_priority},
    {"apiextensions.k8s.io", "CustomResourceDefinition", admit_crd_fill, admit_crd_check,
     admit_crd_update},
    {NULL, NULL, NULL, NULL, NULL},
};
