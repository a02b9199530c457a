// SPDX-License-Identifier: Apache-2.0
// How much of a quota's resource one object uses: pods ask for compute resources, claims for storage, Services for ports
// and balancers; everything is counted.
#include "apiserver/chain.h"

static const amount_int ONE = 1000000000;

static bool one(struct amount *out) {
    *out = (struct amount){.nano = ONE};
    return true;
}

static bool is_core(struct str group, struct str plural, const char *wanted) {
    return !group.n && str_eq_c(plural, wanted);
}

// "count/deployments.apps", "count/pods"
static bool counts(struct str resource, struct str group, struct str plural) {
    struct str rest;
    if (!str_starts(resource, STR("count/"))) {
        return false;
    }
    rest = str_skip(resource, 6);
    return str_starts(rest, plural) &&
           (group.n ? rest.n == plural.n + 1 + group.n && rest.p[plural.n] == '.' &&
                          str_ends(rest, group)
                    : rest.n == plural.n);
}

static bool is_over(const struct doc_value *pod) {
    struct str phase = doc_get_str(pod, "status", "phase");
    return str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"));
}

static bool pod_usage(const struct doc_value *pod, struct str resource, struct amount *out) {
    if (is_over(pod)) {
        return false;
    }
    const struct doc_value *spec = doc_get(pod, "spec");
    if (str_eq(resource, STR("pods"))) {
        return one(out);
    }
    if (str_starts(resource, STR("limits."))) {
        return amount_of_pod(spec, "limits", str_skip(resource, 7), out);
    }
    if (str_starts(resource, STR("requests."))) {
        return amount_of_pod(spec, "requests", str_skip(resource, 9), out);
    }
    return amount_of_pod(spec, "requests", resource, out);
}

static bool claim_usage(const struct doc_value *claim, struct str resource, struct amount *out) {
    static const struct str marks[] = {
        STR_INIT(".storageclass.storage.k8s.io/requests.storage"),
        STR_INIT(".storageclass.storage.k8s.io/persistentvolumeclaims")};
    struct str class = doc_get_str(claim, "spec", "storageClassName");
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (str_ends(resource, marks[i])) {
            if (!class.n || !str_eq(str_first(resource, resource.n - marks[i].n), class)) {
                return false;
            }
            resource = i == 0 ? STR("requests.storage") : STR("persistentvolumeclaims");
        }
    }
    if (str_eq(resource, STR("persistentvolumeclaims"))) {
        return one(out);
    }
    return str_eq(resource, STR("requests.storage")) &&
           amount_parse(doc_get(claim, "spec", "resources", "requests", "storage"), out);
}

static bool service_usage(const struct doc_value *service, struct str resource,
                          struct amount *out) {
    struct str type = doc_get_str(service, "spec", "type");
    bool balancer = str_eq(type, STR("LoadBalancer"));
    if (str_eq(resource, STR("services"))) {
        return one(out);
    }
    if (str_eq(resource, STR("services.loadbalancers"))) {
        return balancer && one(out);
    }
    bool node_ports =
        str_eq(type, STR("NodePort")) ||
        (balancer && doc_bool(doc_get(service, "spec", "allocateLoadBalancerNodePorts"), true));
    if (!str_eq(resource, STR("services.nodeports")) || !node_ports) {
        return false;
    }
    out->nano = ONE * (amount_int)doc_len(doc_get(service, "spec", "ports"));
    out->binary = false;
    return out->nano > 0;
}

bool quota_usage(const struct doc_value *object, struct str group, struct str plural,
                 struct str resource, struct amount *out) {
    if (counts(resource, group, plural)) {
        return one(out);
    }
    if (str_starts(resource, STR("count/")) || group.n) {
        return false;
    }
    if (is_core(group, plural, "pods")) {
        return pod_usage(object, resource, out);
    }
    if (is_core(group, plural, "persistentvolumeclaims")) {
        return claim_usage(object, resource, out);
    }
    if (is_core(group, plural, "services")) {
        return service_usage(object, resource, out);
    }
    bool counted = is_core(group, plural, "configmaps") || is_core(group, plural, "secrets") ||
                   is_core(group, plural, "resourcequotas") ||
                   is_core(group, plural, "replicationcontrollers");
    return counted && str_eq(resource, plural) && one(out);
}

// ---- Scopes ----
static bool is_best_effort(const struct doc_value *spec) {
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (DOC_EACH_ITEM(doc_get(spec, lists[i]), container)) {
            if (doc_len(doc_get(container, "resources", "requests")) ||
                doc_len(doc_get(container, "resources", "limits"))) {
                return false;
            }
        }
    }
    return true;
}

static bool crosses_namespaces(const struct doc_value *spec) {
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct doc_value *affinity = doc_get(spec, "affinity", kinds[i]);
        for (DOC_EACH_ITEM(doc_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"),
                           a)) {
            if (doc_len(doc_get(a, "namespaces")) || doc_get(a, "namespaceSelector")) {
                return true;
            }
        }
        for (DOC_EACH_ITEM(doc_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"),
                           b)) {
            if (doc_len(doc_get(b, "podAffinityTerm", "namespaces")) ||
                doc_get(b, "podAffinityTerm", "namespaceSelector")) {
                return true;
            }
        }
    }
    return false;
}

static bool priority_matches(const struct doc_value *spec, struct str how,
                             const struct doc_value *values) {
    struct str class = doc_get_str(spec, "priorityClassName");
    bool in = false;
    for (DOC_EACH_ITEM(values, value)) {
        in = in || str_eq(doc_str(value), class);
    }
    return str_eq(how, STR("In"))             ? in
           : str_eq(how, STR("NotIn"))        ? !in
           : str_eq(how, STR("DoesNotExist")) ? !class.n
                                              : class.n > 0;
}

static bool scope_matches(const struct doc_value *pod, struct str scope, struct str how,
                          const struct doc_value *values) {
    const struct doc_value *spec = doc_get(pod, "spec");
    bool ends = doc_is(doc_get(spec, "activeDeadlineSeconds"), DOC_INT);
    return str_eq(scope, STR("Terminating"))                 ? ends
           : str_eq(scope, STR("NotTerminating"))            ? !ends
           : str_eq(scope, STR("BestEffort"))                ? is_best_effort(spec)
           : str_eq(scope, STR("NotBestEffort"))             ? !is_best_effort(spec)
           : str_eq(scope, STR("CrossNamespacePodAffinity")) ? crosses_namespaces(spec)
           : str_eq(scope, STR("PriorityClass"))             ? priority_matches(spec, how, values)
                                                             : false;
}

bool quota_scopes_match(const struct doc_value *quota, const struct doc_value *object,
                        struct str group, struct str plural) {
    const struct doc_value *scopes = doc_get(quota, "spec", "scopes");
    const struct doc_value *terms = doc_get(quota, "spec", "scopeSelector", "matchExpressions");
    if ((doc_len(scopes) || doc_len(terms)) && !is_core(group, plural, "pods")) {
        return false;
    }
    for (DOC_EACH_ITEM(scopes, scope)) {
        if (!scope_matches(object, doc_str(scope), STR("Exists"), NULL)) {
            return false;
        }
    }
    for (DOC_EACH_ITEM(terms, term)) {
        if (!scope_matches(object, doc_get_str(term, "scopeName"), doc_get_str(term, "operator"),
                           doc_get(term, "values"))) {
            return false;
        }
    }
    return true;
}
