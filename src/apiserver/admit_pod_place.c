// SPDX-License-Identifier: Apache-2.0
// Checks of the part of a pod spec that says where it runs and for how long: affinity, spreading, tolerations, aliases.
#include "apiserver/admit_internal.h"

static struct str at(struct admit *a, struct str path, const char *list, size_t i,
                     const char *field) {
    return admit_path_of(a, "%.*s.%s[%zu]%s%s", STR_ARG(path), list, i, field[0] ? "." : "", field);
}

static const struct doc_value *text_of(struct admit *a, const struct doc_value *value) {
    return value ? value : admit_text_value(a, "");
}

static void check_topology_key(struct admit *a, struct str path, const struct doc_value *key) {
    if (doc_str(key).n == 0) {
        admit_problem_required(a, path, "can not be empty");
    }
    admit_check_label_key(a, path, doc_str(key).n ? doc_str(key) : STR(""));
}

// ---- Affinity ----

static void check_node_term(struct admit *a, struct str path, const struct doc_value *term) {
    const struct doc_value *list = doc_get(term, "matchExpressions");
    for (size_t i = 0; i < doc_len(list); i++) {
        const struct doc_value *e = doc_at(list, i), *values = doc_get(e, "values");
        struct str op = doc_get_str(e, "operator");
        struct str where = at(a, path, "matchExpressions", i, "values");
        if ((str_eq(op, STR("In")) || str_eq(op, STR("NotIn"))) && doc_len(values) == 0) {
            admit_problem_required(a, where,
                                   "must be specified when `operator` is 'In' or 'NotIn'");
        } else if ((str_eq(op, STR("Exists")) || str_eq(op, STR("DoesNotExist"))) &&
                   doc_len(values) > 0) {
            admit_problem_forbidden(
                a, where, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else if ((str_eq(op, STR("Gt")) || str_eq(op, STR("Lt"))) && doc_len(values) != 1) {
            admit_problem_required(
                a, where, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        } else if (!str_eq(op, STR("In")) && !str_eq(op, STR("NotIn")) &&
                   !str_eq(op, STR("Exists")) && !str_eq(op, STR("DoesNotExist")) &&
                   !str_eq(op, STR("Gt")) && !str_eq(op, STR("Lt"))) {
            admit_problem_invalid(a, at(a, path, "matchExpressions", i, "operator"),
                                  text_of(a, doc_get(e, "operator")),
                                  "not a valid selector operator");
        }
        admit_check_label_key(a, at(a, path, "matchExpressions", i, "key"), doc_get_str(e, "key"));
    }
}

static void check_node_affinity(struct admit *a, struct str path, const struct doc_value *node) {
    const struct doc_value *required =
        doc_get(node, "requiredDuringSchedulingIgnoredDuringExecution");
    const struct doc_value *preferred =
        doc_get(node, "preferredDuringSchedulingIgnoredDuringExecution");
    struct str where =
        admit_path_of(a, "%.*s.requiredDuringSchedulingIgnoredDuringExecution", STR_ARG(path));
    const struct doc_value *terms = doc_get(required, "nodeSelectorTerms");
    if (doc_is(required, DOC_OBJECT) && doc_len(terms) == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.nodeSelectorTerms", STR_ARG(where)),
                               "must have at least one node selector term");
    }
    for (size_t i = 0; i < doc_len(terms); i++) {
        check_node_term(a, at(a, where, "nodeSelectorTerms", i, ""), doc_at(terms, i));
    }
    for (size_t i = 0; i < doc_len(preferred); i++) {
        const struct doc_value *weight = doc_get(doc_at(preferred, i), "weight");
        const char *list = "preferredDuringSchedulingIgnoredDuringExecution";
        if (doc_int(weight, 0) < 1 || doc_int(weight, 0) > 100) {
            admit_problem_invalid(a, at(a, path, list, i, "weight"), weight,
                                  "must be in the range 1-100");
        }
        check_node_term(a, at(a, path, list, i, "preference"),
                        doc_get(doc_at(preferred, i), "preference"));
    }
}

static void check_pod_affinity(struct admit *a, struct str path, const struct doc_value *pods) {
    const char *hard = "requiredDuringSchedulingIgnoredDuringExecution";
    const char *soft = "preferredDuringSchedulingIgnoredDuringExecution";
    const struct doc_value *required = doc_find(pods, str_from(hard));
    const struct doc_value *preferred = doc_find(pods, str_from(soft));
    for (size_t i = 0; i < doc_len(required); i++) {
        const struct doc_value *term = doc_at(required, i);
        admit_check_label_selector(a, at(a, path, hard, i, "labelSelector"),
                                   doc_get(term, "labelSelector"));
        check_topology_key(a, at(a, path, hard, i, "topologyKey"), doc_get(term, "topologyKey"));
    }
    for (size_t i = 0; i < doc_len(preferred); i++) {
        const struct doc_value *weight = doc_get(doc_at(preferred, i), "weight");
        const struct doc_value *term = doc_get(doc_at(preferred, i), "podAffinityTerm");
        if (doc_int(weight, 0) < 1 || doc_int(weight, 0) > 100) {
            admit_problem_invalid(a, at(a, path, soft, i, "weight"), weight,
                                  "must be in the range 1-100");
        }
        admit_check_label_selector(a, at(a, path, soft, i, "podAffinityTerm.labelSelector"),
                                   doc_get(term, "labelSelector"));
        check_topology_key(a, at(a, path, soft, i, "podAffinityTerm.topologyKey"),
                           doc_get(term, "topologyKey"));
    }
}

// ---- Spreading, tolerations, aliases ----

static void check_spreading(struct admit *a, struct str path, const struct doc_value *list) {
    for (size_t i = 0; i < doc_len(list); i++) {
        const struct doc_value *item = doc_at(list, i), *skew = doc_get(item, "maxSkew");
        const char *name = "topologySpreadConstraints";
        if (doc_int(skew, 0) < 1) {
            admit_problem_invalid(a, at(a, path, name, i, "maxSkew"), skew,
                                  "must be greater than zero");
        }
        if (doc_get_str(item, "topologyKey").n == 0) {
            admit_problem_required(a, at(a, path, name, i, "topologyKey"), "can not be empty");
        }
        const struct doc_value *when = doc_get(item, "whenUnsatisfiable");
        admit_check_choice(a, at(a, path, name, i, "whenUnsatisfiable"), text_of(a, when),
                           "DoNotSchedule ScheduleAnyway");
        admit_check_label_selector(a, at(a, path, name, i, "labelSelector"),
                                   doc_get(item, "labelSelector"));
    }
}

static void check_toleration(struct admit *a, struct str path, size_t i,
                             const struct doc_value *toleration) {
    const struct doc_value *op = doc_get(toleration, "operator");
    const struct doc_value *effect = doc_get(toleration, "effect");
    struct str key = doc_get_str(toleration, "key"), name = doc_str(op);
    if (key.n) {
        admit_check_label_key(a, at(a, path, "tolerations", i, "key"), key);
    }
    if (!key.n && !str_eq(name, STR("Exists"))) {
        admit_problem_invalid(a, at(a, path, "tolerations", i, "operator"), text_of(a, op),
                              "operator must be Exists when `key` is empty, which means \"match "
                              "all values and all keys\"");
    }
    if (!doc_is_null(doc_get(toleration, "tolerationSeconds")) &&
        !str_eq(doc_str(effect), STR("NoExecute"))) {
        admit_problem_invalid(a, at(a, path, "tolerations", i, "effect"), text_of(a, effect),
                              "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (str_eq(name, STR("Exists"))) {
        if (doc_get_str(toleration, "value").n) {
            admit_problem_invalid(a, at(a, path, "tolerations", i, "operator"),
                                  doc_get(toleration, "value"),
                                  "value must be empty when `operator` is 'Exists'");
        }
    } else if (name.n) {
        admit_check_choice(a, at(a, path, "tolerations", i, "operator"), op, "Equal Exists");
    }
    if (doc_str(effect).n) {
        admit_check_choice(a, at(a, path, "tolerations", i, "effect"), effect,
                           "NoSchedule PreferNoSchedule NoExecute");
    }
}

static void check_aliases(struct admit *a, struct str path, const struct doc_value *aliases) {
    for (size_t i = 0; i < doc_len(aliases); i++) {
        const struct doc_value *names = doc_get(doc_at(aliases, i), "hostnames");
        admit_check_ip(a, at(a, path, "hostAliases", i, "ip"), doc_get(doc_at(aliases, i), "ip"));
        for (size_t n = 0; n < doc_len(names); n++) {
            admit_check_dns_subdomain(
                a, admit_path_of(a, "%.*s.hostAliases[%zu].hostnames[%zu]", STR_ARG(path), i, n),
                doc_at(names, n));
        }
    }
}

void admit_pod_place_check(struct admit *a, struct str path, const struct doc_value *spec) {
    const struct doc_value *affinity = doc_get(spec, "affinity");
    struct str where = admit_path_of(a, "%.*s.affinity", STR_ARG(path));
    check_node_affinity(a, admit_path_of(a, "%.*s.nodeAffinity", STR_ARG(where)),
                        doc_get(affinity, "nodeAffinity"));
    check_pod_affinity(a, admit_path_of(a, "%.*s.podAffinity", STR_ARG(where)),
                       doc_get(affinity, "podAffinity"));
    check_pod_affinity(a, admit_path_of(a, "%.*s.podAntiAffinity", STR_ARG(where)),
                       doc_get(affinity, "podAntiAffinity"));
    check_spreading(a, path, doc_get(spec, "topologySpreadConstraints"));
    const struct doc_value *deadline = doc_get(spec, "activeDeadlineSeconds");
    if (!doc_is_null(deadline) && (doc_int(deadline, 0) < 1 || doc_int(deadline, 0) > INT32_MAX)) {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.activeDeadlineSeconds", STR_ARG(path)),
                              deadline, "must be between 1 and 2147483647, inclusive");
    }
    const struct doc_value *tolerations = doc_get(spec, "tolerations");
    for (size_t i = 0; i < doc_len(tolerations); i++) {
        check_toleration(a, path, i, doc_at(tolerations, i));
    }
    check_aliases(a, path, doc_get(spec, "hostAliases"));
}
