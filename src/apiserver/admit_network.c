// SPDX-License-Identifier: Apache-2.0
// Admission of Service, Ingress, NetworkPolicy, EndpointSlice and IngressClass. A Service's addresses are given out
// later, by api_service_allocate, because that needs the state of the server.
#include "apiserver/admit_internal.h"
#include "base/text.h"

// ---- Services ----

static void fill_service_port(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "protocol", "TCP");
    const struct doc_value *number = doc_get(port, "port"), *target = doc_get(port, "targetPort");
    bool unset = doc_is_null(target) || (doc_is(target, DOC_INT) && doc_int(target, 0) == 0) ||
                 (doc_is(target, DOC_STRING) && doc_str(target).n == 0);
    if (unset && number) {
        admit_set_member(arena, port, "targetPort", *number);
    }
}

static bool is_headless(const struct doc_value *spec) {
    return str_eq(doc_get_str(spec, "clusterIP"), STR("None")) ||
           str_eq(doc_str(doc_at(doc_get(spec, "clusterIPs"), 0)), STR("None"));
}

// Single stack, IPv4; a headless Service without selector announces both, since it may point anywhere.
static void fill_families(struct arena *arena, struct doc_value *spec) {
    bool both = is_headless(spec) && doc_len(doc_get(spec, "selector")) == 0;
    struct doc_array families = doc_array_start(arena);
    if (doc_len(doc_get(spec, "ipFamilies")) == 0) {
        doc_array_add(&families, DOC_S("IPv4"));
        if (both) {
            doc_array_add(&families, DOC_S("IPv6"));
        }
        admit_set_member(arena, spec, "ipFamilies", doc_array_done(&families));
    }
    admit_default_str(arena, spec, "ipFamilyPolicy", both ? "RequireDualStack" : "SingleStack");
}

static void fill_affinity(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "sessionAffinity", "None");
    if (str_eq(doc_get_str(spec, "sessionAffinity"), STR("None"))) {
        admit_remove_member(arena, spec, "sessionAffinityConfig");
    } else if (doc_is_null(doc_get(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"))) {
        *spec = doc_with(arena, spec, doc_make_int(10800), "sessionAffinityConfig", "clientIP",
                         "timeoutSeconds");
    }
}

static void fill_service_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_each(arena, spec, "ports", fill_service_port);
    admit_default_str(arena, spec, "type", "ClusterIP");
    fill_affinity(arena, spec);
    struct str type = doc_get_str(spec, "type");
    if (str_eq(type, STR("ExternalName"))) {
        return;
    }
    if (is_headless(spec)) {
        struct doc_array list = doc_array_start(arena);
        doc_array_add(&list, DOC_S("None"));
        admit_set_member(arena, spec, "clusterIP", DOC_S("None"));
        admit_set_member(arena, spec, "clusterIPs", doc_array_done(&list));
    }
    fill_families(arena, spec);
    admit_default_str(arena, spec, "internalTrafficPolicy", "Cluster");
    bool balancer = str_eq(type, STR("LoadBalancer"));
    if (balancer || str_eq(type, STR("NodePort"))) {
        admit_default_str(arena, spec, "externalTrafficPolicy", "Cluster");
    } else {
        admit_remove_member(arena, spec, "externalTrafficPolicy");
    }
    if (balancer) {
        admit_default_bool(arena, spec, "allocateLoadBalancerNodePorts", true);
    } else {
        admit_remove_member(arena, spec, "allocateLoadBalancerNodePorts");
    }
}

// What the type no longer has goes when it changes: node ports of a ClusterIP, the address of an ExternalName.
static void drop_stale(struct admit *a, struct doc_value *object) {
    struct str type = doc_get_str(object, "spec", "type");
    struct str before = doc_get_str(a->old, "spec", "type");
    if (str_eq(type, before)) {
        return;
    }
    if (str_eq(type, STR("ExternalName"))) {
        static const char *const gone[] = {"clusterIP", "clusterIPs", "ipFamilies",
                                           "ipFamilyPolicy", "internalTrafficPolicy"};
        for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
            *object = doc_without(a->arena, object, "spec", gone[i]);
        }
    }
    if (str_eq(type, STR("ClusterIP")) || str_eq(type, STR("ExternalName"))) {
        struct doc_array ports = doc_array_start(a->arena);
        const struct doc_value *now = doc_get(object, "spec", "ports");
        for (DOC_EACH_ITEM(now, item)) {
            struct doc_value port = *item;
            admit_remove_member(a->arena, &port, "nodePort");
            doc_array_add(&ports, port);
        }
        if (now) {
            *object = doc_with(a->arena, object, doc_array_done(&ports), "spec", "ports");
        }
    }
}

static void fill_service(struct admit *a, struct doc_value *object) {
    // A replaced object that says nothing of its address keeps it.
    struct str ip = doc_get_str(a->old, "spec", "clusterIP");
    const struct doc_value *now = doc_get(object, "spec");
    bool external = str_eq(doc_get_str(now, "type"), STR("ExternalName"));
    if (doc_is(now, DOC_OBJECT) && ip.n > 0 && !external && doc_get_str(now, "clusterIP").n == 0) {
        *object = doc_with(a->arena, object, doc_make_str(ip), "spec", "clusterIP");
    }
    admit_default_in(a->arena, object, "spec", fill_service_spec);
    if (a->old) {
        drop_stale(a, object);
    } else {
        *object =
            doc_with(a->arena, object, admit_empty_object(a->arena), "status", "loadBalancer");
    }
}

static bool is_ip(struct str text) {
    struct str rest = text, part;
    int64_t number;
    size_t parts = 0;
    if (str_find_char(text, ':') != STR_NPOS) {
        return true; // IPv6 is not given out here; who asks for it is believed
    }
    while (str_next(&rest, '.', &part)) {
        if (part.n > 3 || !str_to_int64(part, &number) || number < 0 || number > 255) {
            return false;
        }
        parts++;
    }
    return parts == 4;
}

static bool same_port(const struct doc_value *a, const struct doc_value *b) {
    return doc_equal(doc_get(a, "port"), doc_get(b, "port")) &&
           doc_equal(doc_get(a, "protocol"), doc_get(b, "protocol"));
}

static void check_service_port(struct admit *a, const struct doc_value *ports, size_t i) {
    const struct doc_value *port = doc_at(ports, i), *name = doc_get(port, "name");
    if (doc_str(name).n > 0) {
        admit_check_dns_label(a, admit_path_of(a, "spec.ports[%zu].name", i), name);
    } else if (doc_len(ports) > 1) {
        admit_problem_required(a, admit_path_of(a, "spec.ports[%zu].name", i), "");
    }
    struct doc_value zero = doc_make_int(0);
    const struct doc_value *number = doc_get(port, "port");
    admit_check_port(a, admit_path_of(a, "spec.ports[%zu].port", i), number ? number : &zero);
    admit_check_choice(a, admit_path_of(a, "spec.ports[%zu].protocol", i),
                       doc_get(port, "protocol"), "SCTP TCP UDP");
    if (doc_get(port, "targetPort")) {
        admit_check_port_or_name(a, admit_path_of(a, "spec.ports[%zu].targetPort", i),
                                 doc_get(port, "targetPort"));
    }
    for (size_t k = 0; k < i; k++) {
        if (doc_str(name).n > 0 && doc_equal(doc_get(doc_at(ports, k), "name"), name)) {
            admit_problem_duplicate(a, admit_path_of(a, "spec.ports[%zu].name", i), name);
        }
    }
    const struct doc_value *node_port = doc_get(port, "nodePort");
    int64_t wanted = doc_int(node_port, 0);
    if (wanted != 0 && (wanted < 30000 || wanted > 32767)) {
        admit_problem_invalid(
            a, admit_path_of(a, "spec.ports[%zu].nodePort", i), node_port,
            "provided port is not in the valid range. The range of valid ports is "
            "30000-32767");
    }
}

// Two ports may share a number only with different protocols.
static void check_same_ports(struct admit *a, const struct doc_value *ports) {
    for (size_t i = 1; i < doc_len(ports); i++) {
        const struct doc_value *port = doc_at(ports, i);
        for (size_t k = 0; k < i; k++) {
            if (!same_port(doc_at(ports, k), port)) {
                continue;
            }
            struct str words = arena_printf(
                a->arena,
                "{\"Name\":\"\",\"Protocol\":\"%.*s\",\"AppProtocol\":null,\"Port\":%lld,"
                "\"TargetPort\":0,\"NodePort\":0}",
                STR_ARG(doc_get_str(port, "protocol")),
                (long long)doc_int(doc_get(port, "port"), 0));
            admit_problem_duplicate_text(a, admit_path_of(a, "spec.ports[%zu]", i), words);
            break;
        }
    }
}

static void check_service(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *ports = doc_get(spec, "ports");
    struct str type = doc_get_str(spec, "type"), ip = doc_get_str(spec, "clusterIP");
    admit_check_choice(a, STR("spec.type"), doc_get(spec, "type"),
                       "ClusterIP ExternalName LoadBalancer NodePort");
    admit_check_choice(a, STR("spec.sessionAffinity"), doc_get(spec, "sessionAffinity"),
                       "ClientIP None");
    admit_check_labels(a, STR("spec.selector"), doc_get(spec, "selector"));
    for (size_t i = 0; i < doc_len(ports); i++) {
        check_service_port(a, ports, i);
    }
    check_same_ports(a, ports);
    if (str_eq(type, STR("ExternalName"))) {
        const struct doc_value *name = doc_get(spec, "externalName");
        if (doc_str(name).n == 0) {
            admit_problem_required(a, STR("spec.externalName"), "");
        } else {
            admit_check_dns_subdomain(a, STR("spec.externalName"), name);
        }
        return;
    }
    if (doc_len(ports) == 0 && !is_headless(spec)) {
        admit_problem_required(a, STR("spec.ports"), "");
    }
    if (str_eq(type, STR("LoadBalancer")) && is_headless(spec)) {
        admit_problem_invalid(a, STR("spec.clusterIPs[0]"), doc_get(spec, "clusterIP"),
                              "may not be set to 'None' for LoadBalancer services");
    }
    if (ip.n > 0 && !str_eq(ip, STR("None")) && !is_ip(ip)) {
        admit_problem_invalid(a, STR("spec.clusterIPs[0]"), doc_get(spec, "clusterIP"),
                              "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
}

static void update_service(struct admit *a, const struct doc_value *object,
                           const struct doc_value *old) {
    struct str now = doc_get_str(object, "spec", "clusterIP");
    struct str before = doc_get_str(old, "spec", "clusterIP");
    bool was_external = str_eq(doc_get_str(old, "spec", "type"), STR("ExternalName"));
    bool is_external = str_eq(doc_get_str(object, "spec", "type"), STR("ExternalName"));
    if (!was_external && !is_external && before.n > 0 && !str_eq(now, before)) {
        struct doc_array list = doc_array_start(a->arena);
        doc_array_add(&list, doc_make_str(now));
        struct doc_value value = doc_array_done(&list);
        admit_problem_invalid(a, STR("spec.clusterIPs[0]"), &value, "may not change once set");
    }
}

// ---- Ingress ----

static void fill_ingress(struct admit *a, struct doc_value *object) {
    if (!a->old) {
        *object =
            doc_with(a->arena, object, admit_empty_object(a->arena), "status", "loadBalancer");
    }
}

static void check_backend(struct admit *a, struct str path, const struct doc_value *backend) {
    const struct doc_value *service = doc_get(backend, "service");
    bool has_service = doc_is(service, DOC_OBJECT);
    bool has_resource = doc_is(doc_get(backend, "resource"), DOC_OBJECT);
    if (!has_service && !has_resource) {
        admit_problem_invalid(a, path, admit_text_value(a, ""),
                              "resource or service backend is required");
        return;
    }
    if (has_service && has_resource) {
        admit_problem_invalid(a, path, admit_text_value(a, ""),
                              "cannot set both resource and service backends");
    }
    if (!has_service) {
        return;
    }
    const struct doc_value *name = doc_get(service, "name");
    const struct doc_value *number = doc_get(service, "port", "number");
    if (doc_str(name).n == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.service.name", STR_ARG(path)), "");
    } else {
        admit_check_dns_label(a, admit_path_of(a, "%.*s.service.name", STR_ARG(path)), name);
    }
    if (doc_int(number, 0) == 0 && doc_get_str(service, "port", "name").n == 0) {
        admit_problem_required(a, path, "port name or number is required");
    } else if (doc_int(number, 0) != 0) {
        admit_check_port(a, admit_path_of(a, "%.*s.service.port.number", STR_ARG(path)), number);
    }
}

static void check_ingress_path(struct admit *a, struct str path, const struct doc_value *item) {
    const struct doc_value *type = doc_get(item, "pathType"), *text = doc_get(item, "path");
    if (doc_str(type).n == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.pathType", STR_ARG(path)),
                               "pathType must be specified");
        return; // as Kubernetes: nothing more is said of this path
    } else {
        admit_check_choice(a, admit_path_of(a, "%.*s.pathType", STR_ARG(path)), type,
                           "Exact ImplementationSpecific Prefix");
    }
    bool any = str_eq(doc_str(type), STR("ImplementationSpecific"));
    bool fixed = str_eq(doc_str(type), STR("Exact")) || str_eq(doc_str(type), STR("Prefix"));
    if ((fixed || (any && doc_str(text).n > 0)) && !str_starts(doc_str(text), STR("/"))) {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.path", STR_ARG(path)),
                              text ? text : admit_text_value(a, ""), "must be an absolute path");
    }
    check_backend(a, admit_path_of(a, "%.*s.backend", STR_ARG(path)), doc_get(item, "backend"));
}

static void check_ingress(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *rules = doc_get(spec, "rules");
    if (doc_len(rules) == 0 && doc_is_null(doc_get(spec, "defaultBackend"))) {
        admit_problem_invalid(a, STR("spec"), NULL,
                              "either `defaultBackend` or `rules` must be specified");
    }
    if (!doc_is_null(doc_get(spec, "defaultBackend"))) {
        check_backend(a, STR("spec.defaultBackend"), doc_get(spec, "defaultBackend"));
    }
    for (size_t i = 0; i < doc_len(rules); i++) {
        const struct doc_value *rule = doc_at(rules, i), *host = doc_get(rule, "host");
        struct str name = doc_str(host);
        if (str_starts(name, STR("*."))) {
            name = str_skip(name, 2);
        }
        if (name.n > 0 && !name_is_dns_subdomain(name)) {
            admit_check_dns_subdomain(a, admit_path_of(a, "spec.rules[%zu].host", i), host);
        }
        const struct doc_value *paths = doc_get(rule, "http", "paths");
        if (doc_is(doc_get(rule, "http"), DOC_OBJECT) && doc_len(paths) == 0) {
            admit_problem_required(a, admit_path_of(a, "spec.rules[%zu].http.paths", i), "");
        }
        for (size_t p = 0; p < doc_len(paths); p++) {
            check_ingress_path(a, admit_path_of(a, "spec.rules[%zu].http.paths[%zu]", i, p),
                               doc_at(paths, p));
        }
    }
}

static void fill_parameters(struct arena *arena, struct doc_value *parameters) {
    admit_default_str(arena, parameters, "scope", "Cluster");
}

static void fill_class_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "parameters", fill_parameters);
}

static void fill_ingress_class(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_class_spec);
}

static void update_ingress_class(struct admit *a, const struct doc_value *object,
                                 const struct doc_value *old) {
    admit_check_immutable(a, STR("spec.controller"), doc_get(object, "spec", "controller"),
                          doc_get(old, "spec", "controller"));
}

// ---- NetworkPolicy ----

static void fill_policy_port(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "protocol", "TCP");
}

static void fill_policy_rule(struct arena *arena, struct doc_value *rule) {
    admit_default_each(arena, rule, "ports", fill_policy_port);
}

static void fill_policy_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_each(arena, spec, "ingress", fill_policy_rule);
    admit_default_each(arena, spec, "egress", fill_policy_rule);
    if (doc_len(doc_get(spec, "policyTypes")) == 0) {
        struct doc_array types = doc_array_start(arena);
        doc_array_add(&types, DOC_S("Ingress"));
        if (doc_len(doc_get(spec, "egress")) > 0) {
            doc_array_add(&types, DOC_S("Egress"));
        }
        admit_set_member(arena, spec, "policyTypes", doc_array_done(&types));
    }
}

static void fill_policy(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_policy_spec);
}

static void check_policy(struct admit *a, const struct doc_value *object) {
    const struct doc_value *types = doc_get(object, "spec", "policyTypes");
    admit_check_label_selector(a, STR("spec.podSelector"), doc_get(object, "spec", "podSelector"));
    for (size_t i = 0; i < doc_len(types); i++) {
        admit_check_choice(a, admit_path_of(a, "spec.policyTypes[%zu]", i), doc_at(types, i),
                           "Ingress Egress");
    }
}

// ---- EndpointSlice ----

static void fill_slice_endpoint(struct arena *arena, struct doc_value *endpoint) {
    admit_default_object(arena, endpoint, "conditions");
}

static void fill_slice_port(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "name", "");
    admit_default_str(arena, port, "protocol", "TCP");
}

static void fill_slice(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "endpoints", fill_slice_endpoint);
    admit_default_each(a->arena, object, "ports", fill_slice_port);
}

static void check_slice(struct admit *a, const struct doc_value *object) {
    const struct doc_value *type = doc_get(object, "addressType");
    if (doc_str(type).n == 0) {
        admit_problem_required(a, STR("addressType"), "");
    } else {
        admit_check_choice(a, STR("addressType"), type, "FQDN IPv4 IPv6");
    }
}

static void update_slice(struct admit *a, const struct doc_value *object,
                         const struct doc_value *old) {
    admit_check_immutable(a, STR("addressType"), doc_get(object, "addressType"),
                          doc_get(old, "addressType"));
}

const struct admit_rule admit_network[] = {
    {"", "Service", fill_service, check_service, update_service},
    {"networking.k8s.io", "Ingress", fill_ingress, check_ingress, NULL},
    {"networking.k8s.io", "IngressClass", fill_ingress_class, NULL, update_ingress_class},
    {"networking.k8s.io", "NetworkPolicy", fill_policy, check_policy, NULL},
    {"discovery.k8s.io", "EndpointSlice", fill_slice, check_slice, update_slice},
    {NULL, NULL, NULL, NULL, NULL},
};
