// SPDX-License-Identifier: Apache-2.0
// The table of assessments and the aggregation rules; one file per group of kinds holds the assessments themselves.
#include "health/health.h"

#include "health/health_internal.h"

static const char *const names[] = {
#define X(code, name) name,
    HEALTH_CODES(X)
#undef X
};

const char *health_code_name(enum health_code code) {
    return names[code];
}

bool health_code_parse(struct str text, enum health_code *out) {
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(text, names[i])) {
            *out = (enum health_code)i;
            return true;
        }
    }
    return false;
}

static const struct {
    const char *group, *kind;
    health_fn *assess;
} assessments[] = {
    {"apps", "Deployment", health_deployment},
    {"apps", "StatefulSet", health_stateful_set},
    {"apps", "ReplicaSet", health_replica_set},
    {"apps", "DaemonSet", health_daemon_set},
    {"batch", "Job", health_job},
    {"", "Pod", health_pod},
    {"", "Service", health_service},
    {"", "PersistentVolumeClaim", health_volume_claim},
    {"networking.k8s.io", "Ingress", health_ingress},
    {"extensions", "Ingress", health_ingress},
    {"apiregistration.k8s.io", "APIService", health_api_service},
    {"autoscaling", "HorizontalPodAutoscaler", health_autoscaler},
    {"apiextensions.k8s.io", "CustomResourceDefinition", health_crd},
};

static health_fn *find(struct str group, struct str kind) {
    for (size_t i = 0; i < ARRAY_LEN(assessments); i++) {
        if (str_eq_c(kind, assessments[i].kind) && str_eq_c(group, assessments[i].group)) {
            return assessments[i].assess;
        }
    }
    return NULL;
}

static struct str group_of(struct str api_version) {
    struct str group, version;
    return str_cut(api_version, '/', &group, &version) ? group : (struct str){NULL, 0};
}

bool health_has_assessment(struct str group, struct str kind) {
    return find(group, kind) != NULL;
}

struct health health_assess(const struct doc_value *live, struct arena *arena) {
    if (!doc_is_null(doc_get(live, "metadata", "deletionTimestamp"))) {
        return health_is(HEALTH_PROGRESSING, STR("Pending deletion"));
    }
    health_fn *assess = find(group_of(doc_get_str(live, "apiVersion")), doc_get_str(live, "kind"));
    return assess ? assess(live, arena) : (struct health){0};
}

const struct doc_value *health_condition(const struct doc_value *live, const char *type) {
    for (DOC_EACH_ITEM(doc_get(live, "status", "conditions"), condition)) {
        if (str_eq_c(doc_get_str(condition, "type"), type)) {
            return condition;
        }
    }
    return NULL;
}

bool health_condition_is(const struct doc_value *live, const char *type, const char *status) {
    return str_eq_c(doc_get_str(health_condition(live, type), "status"), status);
}
