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
        admit_problem_invalid(a, STR("spec"), spec,
                              "minAvailable and maxUnavailable cannot be both set");
    }
    admit_check_label_selector(a, STR("spec.selector"), doc_get(spec, "selector"));
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

static void check_autoscaler(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *min = doc_get(spec, "minReplicas"), *max = doc_get(spec, "maxReplicas");
    if (doc_int(min, 1) < 1) {
        admit_problem_invalid(a, STR("spec.minReplicas"), min,
                              "must be greater than or equal to 1");
    }
    if (doc_int(max, 0) < 1) {
        admit_problem_required(a, STR("spec.maxReplicas"), "must be set and greater than 0");
    } else if (doc_int(max, 0) < doc_int(min, 1)) {
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

static void update_priority(struct admit *a, const struct doc_value *object,
                            const struct doc_value *old) {
    if (!doc_equal(doc_get(object, "value"), doc_get(old, "value"))) {
        admit_problem_forbidden(a, STR("value"), "may not be changed in an update.");
    }
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

// ---- Webhooks and aggregated APIs: kept, not called ----

static void fill_webhook_service(struct arena *arena, struct doc_value *service) {
    admit_default_int(arena, service, "port", 443);
}

static void fill_webhook_client(struct arena *arena, struct doc_value *client) {
    admit_default_in(arena, client, "service", fill_webhook_service);
}

static void fill_webhook_rule(struct arena *arena, struct doc_value *rule) {
    admit_default_str(arena, rule, "scope", "*");
}

static void fill_webhook(struct arena *arena, struct doc_value *hook) {
    admit_default_in(arena, hook, "clientConfig", fill_webhook_client);
    admit_default_each(arena, hook, "rules", fill_webhook_rule);
    admit_default_str(arena, hook, "failurePolicy", "Fail");
    admit_default_str(arena, hook, "matchPolicy", "Equivalent");
    admit_default_object(arena, hook, "namespaceSelector");
    admit_default_object(arena, hook, "objectSelector");
    admit_default_int(arena, hook, "timeoutSeconds", 10);
}

static void fill_mutating_webhook(struct arena *arena, struct doc_value *hook) {
    fill_webhook(arena, hook);
    admit_default_str(arena, hook, "reinvocationPolicy", "Never");
}

static void fill_validating(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "webhooks", fill_webhook);
}

static void fill_mutating(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "webhooks", fill_mutating_webhook);
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
    {"scheduling.k8s.io", "PriorityClass", fill_priority, NULL, update_priority},
    {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", fill_validating, NULL, NULL},
    {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", fill_mutating, NULL, NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", admit_crd_fill, admit_crd_check,
     admit_crd_update},
    {NULL, NULL, NULL, NULL, NULL},
};
