// SPDX-License-Identifier: Apache-2.0
// Admission of Service, Ingress, NetworkPolicy, EndpointSlice and IngressClass. A Service's addresses are given out
// later, by api_service_allocate, because that needs the state of the server.
#include "apiserver/admit_internal.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>

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
    const struct doc_value *outside = doc_get(spec, "externalTrafficPolicy");
    if (outside) {
        admit_check_choice(a, STR("spec.externalTrafficPolicy"), outside, "Cluster Local");
    }
    admit_check_choice(a, STR("spec.internalTrafficPolicy"), doc_get(spec, "internalTrafficPolicy"),
                       "Cluster Local");
    const struct doc_value *ranges = doc_get(spec, "loadBalancerSourceRanges");
    for (size_t i = 0; i < doc_len(ranges); i++) {
        admit_check_cidr(a, admit_path_of(a, "spec.LoadBalancerSourceRanges[%zu]", i),
                         doc_at(ranges, i));
    }
    if (str_eq(type, STR("ExternalName"))) {
        if (ip.n > 0) {
            admit_problem_forbidden(a, STR("spec.clusterIPs"),
                                    "may not be set for ExternalName services");
        }
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
    if (has_resource) {
        return; // as Kubernetes: nothing more is said of it
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
    static const char *const odd[] = {"//", "/./", "/../", "%2f", "%2F"};
    for (size_t i = 0; fixed && i < ARRAY_LEN(odd); i++) {
        if (str_has(doc_str(text), str_from(odd[i]))) {
            admit_problem_invalid(a, admit_path_of(a, "%.*s.path", STR_ARG(path)), text,
                                  "must not contain '%s'", odd[i]);
        }
    }
    check_backend(a, admit_path_of(a, "%.*s.backend", STR_ARG(path)), doc_get(item, "backend"));
}

// A name with one star in front stands for every name below.
static void check_host(struct admit *a, struct str path, const struct doc_value *host) {
    struct str name = doc_str(host);
    if (str_find_char(name, '*') == STR_NPOS) {
        admit_check_dns_subdomain(a, path, host);
    } else if (!str_starts(name, STR("*.")) || !name_is_dns_subdomain(str_skip(name, 2))) {
        admit_problem_invalid(
            a, path, host,
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS "
            "subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and "
            "end with an alphanumeric character (e.g. '*.example.com', regex used for validation "
            "is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
    }
}

static void check_ingress_rest(struct admit *a, const struct doc_value *spec) {
    const struct doc_value *tls = doc_get(spec, "tls"), *name = doc_get(spec, "ingressClassName");
    for (size_t i = 0; i < doc_len(tls); i++) {
        const struct doc_value *hosts = doc_get(doc_at(tls, i), "hosts");
        for (size_t h = 0; h < doc_len(hosts); h++) {
            check_host(a, admit_path_of(a, "spec.tls[%zu].hosts[%zu]", i, h), doc_at(hosts, h));
        }
    }
    if (doc_str(name).n > 0) {
        admit_check_dns_subdomain(a, STR("spec.ingressClassName"), name);
    }
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
        struct str at = admit_path_of(a, "spec.rules[%zu].host", i);
        if (is_ip(doc_str(host))) {
            admit_problem_invalid(a, at, host, "must be a DNS name, not an IP address");
        } else if (doc_str(host).n > 0) {
            check_host(a, at, host);
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
    check_ingress_rest(a, spec);
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

static void check_policy_port(struct admit *a, struct str path, const struct doc_value *item) {
    const struct doc_value *port = doc_get(item, "port"), *end = doc_get(item, "endPort");
    admit_check_choice(a, admit_path_of(a, "%.*s.protocol", STR_ARG(path)),
                       doc_get(item, "protocol"), "TCP UDP SCTP");
    struct str at = admit_path_of(a, "%.*s.endPort", STR_ARG(path));
    if (port) {
        admit_check_port_or_name(a, admit_path_of(a, "%.*s.port", STR_ARG(path)), port);
        if (end && doc_is(port, DOC_STRING)) {
            admit_problem_invalid(a, at, end, "may not be specified when `port` is non-numeric");
        } else if (end && doc_int(end, 0) < doc_int(port, 0)) {
            admit_problem_invalid(a, at, port, "must be greater than or equal to `port`");
        }
    } else if (end) {
        admit_problem_invalid(a, at, end, "may not be specified when `port` is not specified");
    }
}

// The addresses of one block lie inside of the other, and are fewer.
static bool is_inside(struct str outer, struct str inner) {
    struct str outer_ip, outer_bits, inner_ip, inner_bits;
    unsigned char a[16], b[16];
    int64_t n = 0, m = 0;
    str_cut(outer, '/', &outer_ip, &outer_bits);
    str_cut(inner, '/', &inner_ip, &inner_bits);
    if (!str_to_int64(outer_bits, &n) || !str_to_int64(inner_bits, &m) || m <= n) {
        return false;
    }
    int family = str_find_char(outer, ':') != STR_NPOS ? AF_INET6 : AF_INET;
    char text[2][INET6_ADDRSTRLEN];
    snprintf(text[0], sizeof text[0], "%.*s", STR_ARG(outer_ip));
    snprintf(text[1], sizeof text[1], "%.*s", STR_ARG(inner_ip));
    if (inet_pton(family, text[0], a) != 1 || inet_pton(family, text[1], b) != 1) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        unsigned char bit = (unsigned char)(128 >> (i % 8));
        if ((a[i / 8] & bit) != (b[i / 8] & bit)) {
            return false;
        }
    }
    return true;
}

static void check_peer(struct admit *a, struct str path, const struct doc_value *peer) {
    const struct doc_value *block = doc_get(peer, "ipBlock");
    bool selects = false;
    static const char *const selectors[] = {"podSelector", "namespaceSelector"};
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
        const struct doc_value *selector = doc_find(peer, str_from(selectors[i]));
        selects = selects || doc_is(selector, DOC_OBJECT);
        admit_check_label_selector(a, admit_path_of(a, "%.*s.%s", STR_ARG(path), selectors[i]),
                                   selector);
    }
    if (!selects && !doc_is(block, DOC_OBJECT)) {
        admit_problem_required(a, path, "must specify a peer");
    }
    if (!doc_is(block, DOC_OBJECT)) {
        return;
    }
    const struct doc_value *cidr = doc_get(block, "cidr"), *except = doc_get(block, "except");
    struct str at = admit_path_of(a, "%.*s.ipBlock", STR_ARG(path));
    if (doc_str(cidr).n == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.cidr", STR_ARG(at)), "");
    } else if (admit_check_cidr(a, admit_path_of(a, "%.*s.cidr", STR_ARG(at)), cidr)) {
        for (size_t i = 0; i < doc_len(except); i++) {
            struct str where = admit_path_of(a, "%.*s.except[%zu]", STR_ARG(at), i);
            if (admit_check_cidr(a, where, doc_at(except, i)) &&
                !is_inside(doc_str(cidr), doc_str(doc_at(except, i)))) {
                admit_problem_invalid(a, where, doc_at(except, i),
                                      "must be a strict subset of `cidr`");
            }
        }
    }
    if (selects) {
        admit_problem_forbidden(a, path, "may not specify both ipBlock and another peer");
    }
}

static void check_policy_rules(struct admit *a, const struct doc_value *spec, const char *list,
                               const char *peers) {
    const struct doc_value *rules = doc_find(spec, str_from(list));
    for (size_t r = 0; r < doc_len(rules); r++) {
        const struct doc_value *ports = doc_get(doc_at(rules, r), "ports");
        const struct doc_value *others = doc_find(doc_at(rules, r), str_from(peers));
        for (size_t i = 0; i < doc_len(ports); i++) {
            check_policy_port(a, admit_path_of(a, "spec.%s[%zu].ports[%zu]", list, r, i),
                              doc_at(ports, i));
        }
        for (size_t i = 0; i < doc_len(others); i++) {
            check_peer(a, admit_path_of(a, "spec.%s[%zu].%s[%zu]", list, r, peers, i),
                       doc_at(others, i));
        }
    }
}

static void check_policy(struct admit *a, const struct doc_value *object) {
    const struct doc_value *types = doc_get(object, "spec", "policyTypes");
    admit_check_label_selector(a, STR("spec.podSelector"), doc_get(object, "spec", "podSelector"));
    check_policy_rules(a, doc_get(object, "spec"), "ingress", "from");
    check_policy_rules(a, doc_get(object, "spec"), "egress", "to");
    if (doc_len(types) > 2) {
        admit_problem_invalid(a, STR("spec.policyTypes"), types,
                              "may not specify more than two policyTypes");
        return;
    }
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

static void check_slice_content(struct admit *a, const struct doc_value *object) {
    const struct doc_value *ports = doc_get(object, "ports");
    const struct doc_value *endpoints = doc_get(object, "endpoints");
    struct str type = doc_get_str(object, "addressType");
    for (size_t i = 0; i < doc_len(ports); i++) {
        const struct doc_value *name = doc_get(doc_at(ports, i), "name");
        if (doc_str(name).n > 0) {
            admit_check_dns_label(a, admit_path_of(a, "ports[%zu].name", i), name);
        }
        admit_check_choice(a, admit_path_of(a, "ports[%zu].protocol", i),
                           doc_get(doc_at(ports, i), "protocol"), "SCTP TCP UDP");
    }
    for (size_t i = 0; i < doc_len(endpoints); i++) {
        const struct doc_value *addresses = doc_get(doc_at(endpoints, i), "addresses");
        if (doc_len(addresses) == 0) {
            admit_problem_required(a, admit_path_of(a, "endpoints[%zu].addresses", i),
                                   "must contain at least 1 address");
        }
        for (size_t k = 0; k < doc_len(addresses); k++) {
            struct str path = admit_path_of(a, "endpoints[%zu].addresses[%zu]", i, k);
            if (str_eq(type, STR("IPv4")) || str_eq(type, STR("IPv6"))) {
                admit_check_ip(a, path, doc_at(addresses, k));
            } else if (str_eq(type, STR("FQDN"))) {
                admit_check_dns_subdomain(a, path, doc_at(addresses, k));
            }
        }
    }
}

static void check_slice(struct admit *a, const struct doc_value *object) {
    const struct doc_value *type = doc_get(object, "addressType");
    if (doc_str(type).n == 0) {
        admit_problem_required(a, STR("addressType"), "");
    } else {
        admit_check_choice(a, STR("addressType"), type, "FQDN IPv4 IPv6");
    }
    check_slice_content(a, object);
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
