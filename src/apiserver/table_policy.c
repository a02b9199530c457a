// SPDX-License-Identifier: Apache-2.0
// Rows of the rest: budgets, autoscalers, bindings, classes, leases, webhooks, aggregated APIs.
#include "apiserver/table_internal.h"

// ---- Budgets and autoscalers ----

static const struct api_column budget_columns[] = {COL_NAME, COL("Min Available"),
                                                   COL("Max Unavailable"),
                                                   COL_INT("Allowed Disruptions"), COL("Age")};

static void fill_budget(struct table_row *row, const struct doc_value *budget) {
    const struct doc_value *spec = doc_get(budget, "spec");
    table_cell_name(row, budget);
    table_cell_or(row, table_scalar_text(row->arena, doc_get(spec, "minAvailable")), "N/A");
    table_cell_or(row, table_scalar_text(row->arena, doc_get(spec, "maxUnavailable")), "N/A");
    table_cell_int(row, doc_int(doc_get(budget, "status", "disruptionsAllowed"), 0));
    table_cell_age(row, budget);
}

static const struct doc_value *current_metric(const struct doc_value *hpa, size_t i,
                                              const char *part) {
    const struct doc_value *metric = doc_at(doc_get(hpa, "status", "currentMetrics"), i);
    return doc_get(doc_find(metric, str_from(part)), "current");
}

// "cpu: 12%/80%", "memory: <unknown>/500Mi"
static struct str metric_text(struct arena *arena, const struct doc_value *hpa, size_t i) {
    static const struct {
        const char *type, *part;
    } kinds[] = {{"Resource", "resource"},
                 {"ContainerResource", "containerResource"},
                 {"Pods", "pods"},
                 {"Object", "object"},
                 {"External", "external"}};
    const struct doc_value *metric = doc_at(doc_get(hpa, "spec", "metrics"), i);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        if (!str_eq_c(doc_get_str(metric, "type"), kinds[k].type)) {
            continue;
        }
        const struct doc_value *source = doc_find(metric, str_from(kinds[k].part));
        const struct doc_value *target = doc_get(source, "target");
        const struct doc_value *now = current_metric(hpa, i, kinds[k].part);
        struct str name = doc_get_str(source, "name"), current = STR("<unknown>"), goal;
        bool percent = !doc_is_null(doc_get(target, "averageUtilization"));
        bool average = !doc_is_null(doc_get(target, "averageValue"));
        const char *key = percent ? "averageUtilization" : average ? "averageValue" : "value";
        const struct doc_value *have = doc_find(now, str_from(key));
        goal = table_scalar_text(arena, doc_find(target, str_from(key)));
        if (!doc_is_null(have)) {
            current = table_scalar_text(arena, have);
        }
        bool resource = k<2, shared = k> 2; // of an object or from outside: spread over the pods
        return arena_printf(arena, "%.*s%s%.*s%s/%.*s%s", STR_ARG(name), resource ? ": " : "",
                            STR_ARG(current), percent && !doc_is_null(have) ? "%" : "",
                            STR_ARG(goal),
                            percent             ? "%"
                            : average && shared ? " (avg)"
                                                : "");
    }
    return STR("<unknown type>");
}

static struct str metrics_text(struct arena *arena, const struct doc_value *hpa) {
    size_t count = doc_len(doc_get(hpa, "spec", "metrics"));
    struct str out = {"", 0};
    for (size_t i = 0; i < count && i < 2; i++) {
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), i ? ", " : "",
                           STR_ARG(metric_text(arena, hpa, i)));
    }
    if (count > 2) {
        out = arena_printf(arena, "%.*s + %zu more...", STR_ARG(out), count - 2);
    }
    return count ? out : STR("<none>");
}

static const struct api_column autoscaler_columns[] = {
    COL_NAME,       COL("Reference"), COL("Targets"), COL("MinPods"),
    COL("MaxPods"), COL("Replicas"),  COL("Age"),
};

static void fill_autoscaler(struct table_row *row, const struct doc_value *object) {
    static const struct api_kind second = {.group = STR_INIT("autoscaling"),
                                           .version = STR_INIT("v2"),
                                           .kind = STR_INIT("HorizontalPodAutoscaler")};
    struct doc_value hpa = api_kind_convert(row->arena, &second, object);
    const struct doc_value *target = doc_get(&hpa, "spec", "scaleTargetRef");
    const struct doc_value *min = doc_get(&hpa, "spec", "minReplicas");
    table_cell_name(row, &hpa);
    table_cell_printf(row, "%.*s/%.*s", STR_ARG(doc_get_str(target, "kind")),
                      STR_ARG(doc_get_str(target, "name")));
    table_cell_str(row, metrics_text(row->arena, &hpa));
    table_cell_or(row, table_scalar_text(row->arena, min), "<unset>");
    table_cell_int(row, doc_int(doc_get(&hpa, "spec", "maxReplicas"), 0));
    table_cell_int(row, doc_int(doc_get(&hpa, "status", "currentReplicas"), 0));
    table_cell_age(row, &hpa);
}

// ---- Bindings ----

static struct str subjects_text(struct arena *arena, const struct doc_value *binding,
                                const char *kind) {
    struct str out = {"", 0};
    for (DOC_EACH_ITEM(doc_get(binding, "subjects"), subject)) {
        struct str ns = doc_get_str(subject, "namespace"), name = doc_get_str(subject, "name");
        if (!str_eq_c(doc_get_str(subject, "kind"), kind)) {
            continue;
        }
        bool account = str_eq_c(STR("ServiceAccount"), kind);
        out = arena_printf(arena, "%.*s%s%.*s%s%.*s", STR_ARG(out), out.n ? ", " : "",
                           STR_ARG(account ? ns : STR("")), account ? "/" : "", STR_ARG(name));
    }
    return out;
}

static const struct api_column binding_columns[] = {
    COL_NAME, COL("Role"), COL("Age"), WIDE("Users"), WIDE("Groups"), WIDE("ServiceAccounts")};

static void fill_binding(struct table_row *row, const struct doc_value *binding) {
    const struct doc_value *ref = doc_get(binding, "roleRef");
    table_cell_name(row, binding);
    table_cell_printf(row, "%.*s/%.*s", STR_ARG(doc_get_str(ref, "kind")),
                      STR_ARG(doc_get_str(ref, "name")));
    table_cell_age(row, binding);
    table_cell_str(row, subjects_text(row->arena, binding, "User"));
    table_cell_str(row, subjects_text(row->arena, binding, "Group"));
    table_cell_str(row, subjects_text(row->arena, binding, "ServiceAccount"));
}

// ---- Classes ----

static const struct api_column storage_columns[] = {
    COL_NAME,
    COL("Provisioner"),
    COL("ReclaimPolicy"),
    COL("VolumeBindingMode"),
    COL("AllowVolumeExpansion"),
    COL("Age"),
};

static bool is_default_class(const struct doc_value *class, const char *annotation) {
    return str_eq(doc_get_str(class, "metadata", "annotations", annotation), STR("true"));
}

static void fill_storage(struct table_row *row, const struct doc_value *class) {
    struct str name = doc_get_str(class, "metadata", "name");
    bool standard = is_default_class(class, "storageclass.kubernetes.io/is-default-class");
    table_cell_str(row, standard ? arena_concat(row->arena, name, STR(" (default)")) : name);
    table_cell_str(row, doc_get_str(class, "provisioner"));
    table_cell_or(row, doc_get_str(class, "reclaimPolicy"), "Delete");
    table_cell_or(row, doc_get_str(class, "volumeBindingMode"), "Immediate");
    table_cell_bool(row, doc_bool(doc_get(class, "allowVolumeExpansion"), false));
    table_cell_age(row, class);
}

static const struct api_column priority_columns[] = {
    COL_NAME, COL_INT("Value"), COL_BOOL("Global-Default"), COL("Age"), COL("PreemptionPolicy")};

static void fill_priority(struct table_row *row, const struct doc_value *class) {
    table_cell_name(row, class);
    table_cell_int(row, doc_int(doc_get(class, "value"), 0));
    table_cell_bool(row, doc_bool(doc_get(class, "globalDefault"), false));
    table_cell_age(row, class);
    table_cell_str(row, doc_get_str(class, "preemptionPolicy"));
}

static const struct api_column runtime_columns[] = {COL_NAME, COL("Handler"), COL("Age")};

static void fill_runtime(struct table_row *row, const struct doc_value *class) {
    table_cell_name(row, class);
    table_cell_str(row, doc_get_str(class, "handler"));
    table_cell_age(row, class);
}

static const struct api_column lease_columns[] = {COL_NAME, COL("Holder"), COL("Age")};

static void fill_lease(struct table_row *row, const struct doc_value *lease) {
    table_cell_name(row, lease);
    table_cell_str(row, doc_get_str(lease, "spec", "holderIdentity"));
    table_cell_age(row, lease);
}

static const struct api_column attributes_columns[] = {COL_NAME, COL("DriverName"), COL("Age")};

static void fill_attributes(struct table_row *row, const struct doc_value *class) {
    struct str name = doc_get_str(class, "metadata", "name");
    bool standard = is_default_class(class, "volumeattributesclass.kubernetes.io/is-default-class");
    table_cell_str(row, standard ? arena_concat(row->arena, name, STR(" (default)")) : name);
    table_cell_str(row, doc_get_str(class, "driverName"));
    table_cell_age(row, class);
}

// ---- Storage drivers ----

static const struct api_column driver_columns[] = {
    COL_NAME,
    COL_BOOL("AttachRequired"),
    COL_BOOL("PodInfoOnMount"),
    COL_BOOL("StorageCapacity"),
    COL("TokenRequests"),
    COL_BOOL("RequiresRepublish"),
    COL("Modes"),
    COL("Age"),
};

static void fill_driver(struct table_row *row, const struct doc_value *driver) {
    const struct doc_value *spec = doc_get(driver, "spec");
    struct str tokens =
        table_join_items(row->arena, doc_get(spec, "tokenRequests"), "audience", ",");
    table_cell_name(row, driver);
    table_cell_bool(row, doc_bool(doc_get(spec, "attachRequired"), true));
    table_cell_bool(row, doc_bool(doc_get(spec, "podInfoOnMount"), false));
    table_cell_bool(row, doc_bool(doc_get(spec, "storageCapacity"), false));
    table_cell_or(row, tokens, "<unset>");
    table_cell_bool(row, doc_bool(doc_get(spec, "requiresRepublish"), false));
    table_cell_or(row,
                  table_join_items(row->arena, doc_get(spec, "volumeLifecycleModes"), NULL, ","),
                  "<none>");
    table_cell_age(row, driver);
}

static const struct api_column csi_node_columns[] = {COL_NAME, COL_INT("Drivers"), COL("Age")};

static void fill_csi_node(struct table_row *row, const struct doc_value *node) {
    table_cell_name(row, node);
    table_cell_int(row, (int64_t)doc_len(doc_get(node, "spec", "drivers")));
    table_cell_age(row, node);
}

static const struct api_column attachment_columns[] = {
    COL_NAME, NAMED("Attacher", 0), COL("PV"), COL("Node"), COL_BOOL("Attached"), COL("Age"),
};

static void fill_attachment(struct table_row *row, const struct doc_value *attachment) {
    const struct doc_value *spec = doc_get(attachment, "spec");
    table_cell_name(row, attachment);
    table_cell_str(row, doc_get_str(spec, "attacher"));
    table_cell_str(row, doc_get_str(spec, "source", "persistentVolumeName"));
    table_cell_str(row, doc_get_str(spec, "nodeName"));
    table_cell_bool(row, doc_bool(doc_get(attachment, "status", "attached"), false));
    table_cell_age(row, attachment);
}

// ---- Webhooks, policies and aggregated APIs ----

static const struct api_column hooks_columns[] = {COL_NAME, COL_INT("Webhooks"), COL("Age")};

static void fill_hooks(struct table_row *row, const struct doc_value *config) {
    table_cell_name(row, config);
    table_cell_int(row, (int64_t)doc_len(doc_get(config, "webhooks")));
    table_cell_age(row, config);
}

static const struct api_column validations_columns[] = {COL_NAME, COL_INT("Validations"),
                                                        COL("ParamKind"), COL("Age")};
static const struct api_column mutations_columns[] = {COL_NAME, COL_INT("Mutations"),
                                                      COL("ParamKind"), COL("Age")};

static void fill_rules(struct table_row *row, const struct doc_value *policy) {
    const struct doc_value *param = doc_get(policy, "spec", "paramKind");
    bool mutating = str_starts(row->kind->kind, STR("Mutating"));
    table_cell_name(row, policy);
    table_cell_int(
        row, (int64_t)doc_len(doc_get(policy, "spec", mutating ? "mutations" : "validations")));
    if (doc_is(param, DOC_OBJECT)) {
        table_cell_printf(row, "%.*s/%.*s", STR_ARG(doc_get_str(param, "apiVersion")),
                          STR_ARG(doc_get_str(param, "kind")));
    } else {
        table_cell_text(row, "<unset>");
    }
    table_cell_age(row, policy);
}

static const struct api_column rules_binding_columns[] = {COL_NAME, COL("PolicyName"),
                                                          COL("ParamRef"), COL("Age")};

static void fill_rules_binding(struct table_row *row, const struct doc_value *binding) {
    const struct doc_value *ref = doc_get(binding, "spec", "paramRef");
    struct str name = doc_get_str(ref, "name"), ns = doc_get_str(ref, "namespace");
    table_cell_name(row, binding);
    table_cell_str(row, doc_get_str(binding, "spec", "policyName"));
    if (!doc_is(ref, DOC_OBJECT)) {
        table_cell_text(row, "<unset>");
    } else if (name.n == 0) {
        table_cell_str(row, table_selector_text(row->arena, doc_get(ref, "selector")));
    } else if (ns.n) {
        table_cell_printf(row, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name));
    } else {
        table_cell_printf(row, "*/%.*s", STR_ARG(name));
    }
    table_cell_age(row, binding);
}

static const struct api_column api_columns[] = {COL_NAME, COL("Service"), COL("Available"),
                                                COL("Age")};

static void fill_api(struct table_row *row, const struct doc_value *api) {
    const struct doc_value *service = doc_get(api, "spec", "service");
    struct str available = STR("Unknown");
    for (DOC_EACH_ITEM(doc_get(api, "status", "conditions"), condition)) {
        if (str_eq(doc_get_str(condition, "type"), STR("Available"))) {
            available = doc_get_str(condition, "status");
            if (!str_eq(available, STR("True"))) {
                available = arena_printf(row->arena, "%.*s (%.*s)", STR_ARG(available),
                                         STR_ARG(doc_get_str(condition, "reason")));
            }
        }
    }
    table_cell_name(row, api);
    if (doc_is(service, DOC_OBJECT)) {
        table_cell_printf(row, "%.*s/%.*s", STR_ARG(doc_get_str(service, "namespace")),
                          STR_ARG(doc_get_str(service, "name")));
    } else {
        table_cell_text(row, "Local");
    }
    table_cell_str(row, available);
    table_cell_age(row, api);
}

#define HOOKS_GROUP "admissionregistration.k8s.io"
const struct table_kind table_policy[] = {
    TABLE_KIND("policy", "PodDisruptionBudget", budget_columns, fill_budget),
    TABLE_KIND("autoscaling", "HorizontalPodAutoscaler", autoscaler_columns, fill_autoscaler),
    TABLE_KIND("rbac.authorization.k8s.io", "RoleBinding", binding_columns, fill_binding),
    TABLE_KIND("rbac.authorization.k8s.io", "ClusterRoleBinding", binding_columns, fill_binding),
    TABLE_KIND("storage.k8s.io", "StorageClass", storage_columns, fill_storage),
    TABLE_KIND("storage.k8s.io", "CSIDriver", driver_columns, fill_driver),
    TABLE_KIND("storage.k8s.io", "CSINode", csi_node_columns, fill_csi_node),
    TABLE_KIND("storage.k8s.io", "VolumeAttachment", attachment_columns, fill_attachment),
    TABLE_KIND("storage.k8s.io", "VolumeAttributesClass", attributes_columns, fill_attributes),
    TABLE_KIND("scheduling.k8s.io", "PriorityClass", priority_columns, fill_priority),
    TABLE_KIND("node.k8s.io", "RuntimeClass", runtime_columns, fill_runtime),
    TABLE_KIND("coordination.k8s.io", "Lease", lease_columns, fill_lease),
    TABLE_KIND(HOOKS_GROUP, "ValidatingWebhookConfiguration", hooks_columns, fill_hooks),
    TABLE_KIND(HOOKS_GROUP, "MutatingWebhookConfiguration", hooks_columns, fill_hooks),
    TABLE_KIND(HOOKS_GROUP, "ValidatingAdmissionPolicy", validations_columns, fill_rules),
    TABLE_KIND(HOOKS_GROUP, "MutatingAdmissionPolicy", mutations_columns, fill_rules),
    TABLE_KIND(HOOKS_GROUP, "ValidatingAdmissionPolicyBinding", rules_binding_columns,
               fill_rules_binding),
    TABLE_KIND(HOOKS_GROUP, "MutatingAdmissionPolicyBinding", rules_binding_columns,
               fill_rules_binding),
    TABLE_KIND("apiregistration.k8s.io", "APIService", api_columns, fill_api),
    {0},
};
