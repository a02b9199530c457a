// SPDX-License-Identifier: Apache-2.0
// Cluster addresses and node ports of Services. The first candidate comes from the object's uid, so that the same
// history gives the same addresses (the simulation depends on it); taken ones are stepped over.
#include "apiserver/admit_internal.h"
#include "base/text.h"

enum {
    IP_COUNT = 65534, // 10.96.0.1 .. 10.96.255.254; the first is the API's own Service
    PORT_FIRST = 30000,
    PORT_COUNT = 2768, // 30000-32767
};

typedef bool taken_fn(void *ctx, struct str address);

static struct str ip_text(struct arena *arena, uint64_t n) {
    return arena_printf(arena, "10.96.%u.%u", (unsigned)(n >> 8 & 255), (unsigned)(n & 255));
}

static bool allocate_ip(struct arena *arena, struct str uid, taken_fn *taken, void *ctx,
                        struct str *out) {
    uint64_t start = str_hash(uid);
    for (uint64_t i = 0; i < IP_COUNT - 1; i++) {
        struct str ip = ip_text(arena, (start + i) % (IP_COUNT - 1) + 2);
        if (!taken(ctx, ip)) {
            *out = ip;
            return true;
        }
    }
    return false;
}

static bool allocate_port(struct arena *arena, struct str uid, size_t salt, taken_fn *taken,
                          void *ctx, int64_t *out) {
    uint64_t start = str_hash(uid) + salt * 31;
    for (uint64_t i = 0; i < PORT_COUNT; i++) {
        int64_t port = PORT_FIRST + (int64_t)((start + i) % PORT_COUNT);
        if (!taken(ctx, arena_printf(arena, "%lld", (long long)port))) {
            *out = port;
            return true;
        }
    }
    return false;
}

static const struct api_kind service_kind = {
    .version = STR_INIT("v1"), .kind = STR_INIT("Service"), .plural = STR_INIT("services")};

static bool refuse(struct api_error *error, struct admit *a, const struct doc_value *object) {
    return api_error_invalid(error, a->arena, &service_kind,
                             doc_get_str(object, "metadata", "name"), a->problems,
                             a->problem_count);
}

static bool assign_ip(struct admit *a, const struct doc_value *old, struct doc_value *object,
                      struct str uid, taken_fn *taken, void *ctx, struct api_error *error) {
    struct str ip = doc_get_str(object, "spec", "clusterIP");
    struct str before = doc_get_str(old, "spec", "clusterIP");
    if (ip.n == 0 && before.n > 0) {
        ip = before;
    } else if (ip.n == 0) {
        if (!allocate_ip(a->arena, uid, taken, ctx, &ip)) {
            return api_error_set(error, a->arena, 500, "InternalError",
                                 "failed to allocate a serviceIP: range is full");
        }
    } else if (!str_eq(ip, STR("None")) && !str_eq(ip, before) && taken(ctx, ip)) {
        struct doc_array list = doc_array_start(a->arena);
        doc_array_add(&list, doc_make_str(ip));
        struct doc_value value = doc_array_done(&list);
        admit_problem_invalid(a, STR("spec.clusterIPs"), &value,
                              "failed to allocate IP %.*s: provided IP is already allocated",
                              STR_ARG(ip));
        return refuse(error, a, object);
    }
    if (!str_eq(ip, STR("None")) && !str_eq(ip, before) && !str_starts(ip, STR("10.96."))) {
        struct doc_array wanted = doc_array_start(a->arena);
        doc_array_add(&wanted, doc_make_str(ip));
        struct doc_value value = doc_array_done(&wanted);
        admit_problem_invalid(a, STR("spec.clusterIPs"), &value,
                              "failed to allocate IP %.*s: the provided network does not match "
                              "the current range",
                              STR_ARG(ip));
        return refuse(error, a, object);
    }
    struct doc_array list = doc_array_start(a->arena);
    doc_array_add(&list, doc_make_str(ip));
    *object = doc_with(a->arena, object, doc_make_str(ip), "spec", "clusterIP");
    *object = doc_with(a->arena, object, doc_array_done(&list), "spec", "clusterIPs");
    return true;
}

struct local_taken { // ports of this Service count as taken too, while its others are assigned
    taken_fn *taken;
    void *ctx;
    int64_t ports[256];
    size_t count;
    struct arena *arena;
};

static bool taken_here(void *ctx, struct str address) {
    struct local_taken *local = ctx;
    int64_t port;
    for (size_t i = 0; str_to_int64(address, &port) && i < local->count; i++) {
        if (local->ports[i] == port) {
            return true;
        }
    }
    return local->taken(local->ctx, address);
}

static int64_t old_node_port(const struct doc_value *old, const struct doc_value *port) {
    for (DOC_EACH_ITEM(doc_get(old, "spec", "ports"), item)) {
        if (doc_equal(doc_get(item, "port"), doc_get(port, "port")) &&
            doc_equal(doc_get(item, "protocol"), doc_get(port, "protocol"))) {
            return doc_int(doc_get(item, "nodePort"), 0);
        }
    }
    return 0;
}

static bool assign_ports(struct admit *a, const struct doc_value *old, struct doc_value *object,
                         struct str uid, taken_fn *taken, void *ctx, struct api_error *error) {
    const struct doc_value *ports = doc_get(object, "spec", "ports");
    struct local_taken local = {.taken = taken, .ctx = ctx, .arena = a->arena};
    struct doc_array out = doc_array_start(a->arena);
    for (size_t i = 0; i < doc_len(ports); i++) {
        struct doc_value port = *doc_at(ports, i);
        int64_t number = doc_int(doc_get(&port, "nodePort"), 0), before = old_node_port(old, &port);
        if (number == 0) {
            number = before;
        }
        if (number == 0 && !allocate_port(a->arena, uid, i, taken_here, &local, &number)) {
            return api_error_set(error, a->arena, 500, "InternalError",
                                 "failed to allocate a nodePort: range is full");
        }
        struct str text = arena_printf(a->arena, "%lld", (long long)number);
        if (number != before && doc_int(doc_get(&port, "nodePort"), 0) && taken(ctx, text)) {
            admit_problem_invalid(a, admit_path_of(a, "spec.ports[%zu].nodePort", i),
                                  doc_get(&port, "nodePort"), "provided port is already allocated");
            return refuse(error, a, object);
        }
        if (local.count < ARRAY_LEN(local.ports)) {
            local.ports[local.count++] = number;
        }
        admit_set_member(a->arena, &port, "nodePort", doc_make_int(number));
        doc_array_add(&out, port);
    }
    *object = doc_with(a->arena, object, doc_array_done(&out), "spec", "ports");
    return true;
}

static bool wants_health_check(const struct doc_value *service) {
    return str_eq(doc_get_str(service, "spec", "type"), STR("LoadBalancer")) &&
           str_eq(doc_get_str(service, "spec", "externalTrafficPolicy"), STR("Local"));
}

// Where a balancer asks whether a node has a pod of the Service. It goes when it is not needed any more.
static bool assign_health_check(struct admit *a, const struct doc_value *old,
                                struct doc_value *object, struct str uid, taken_fn *taken,
                                void *ctx, struct api_error *error) {
    enum { HEALTH_SALT = 1000 }; // behind those of all ports
    int64_t before = doc_int(doc_get(old, "spec", "healthCheckNodePort"), 0);
    int64_t port = doc_int(doc_get(object, "spec", "healthCheckNodePort"), 0), wanted = port;
    if (!wants_health_check(object)) {
        if (port && port == before) {
            *object = doc_without(a->arena, object, "spec", "healthCheckNodePort");
        }
        return true;
    }
    struct local_taken local = {.taken = taken, .ctx = ctx, .arena = a->arena};
    for (DOC_EACH_ITEM(doc_get(object, "spec", "ports"), item)) {
        if (local.count < ARRAY_LEN(local.ports)) {
            local.ports[local.count++] = doc_int(doc_get(item, "nodePort"), 0);
        }
    }
    port = port ? port : before;
    if (!port && !allocate_port(a->arena, uid, HEALTH_SALT, taken_here, &local, &port)) {
        return api_error_set(error, a->arena, 500, "InternalError",
                             "Internal error occurred: failed to allocate a HealthCheck NodePort: "
                             "range is full");
    }
    if (wanted && wanted != before &&
        taken(ctx, arena_printf(a->arena, "%lld", (long long)wanted))) {
        return api_error_set(error, a->arena, 500, "InternalError",
                             "Internal error occurred: failed to allocate requested HealthCheck "
                             "NodePort %lld: provided port is already allocated",
                             (long long)wanted);
    }
    if (!wanted) {
        *object = doc_with(a->arena, object, doc_make_int(port), "spec", "healthCheckNodePort");
    }
    return true;
}

bool api_service_allocate(struct arena *arena, const struct doc_value *old,
                          struct doc_value *object, struct str uid,
                          bool (*taken)(void *ctx, struct str address), void *ctx,
                          struct api_error *error) {
    struct admit a = {.arena = arena};
    struct str type = doc_get_str(object, "spec", "type");
    if (str_eq(type, STR("ExternalName"))) {
        return true;
    }
    if (!assign_ip(&a, old, object, uid, taken, ctx, error)) {
        return false;
    }
    bool node_ports = str_eq(type, STR("NodePort")) ||
                      (str_eq(type, STR("LoadBalancer")) &&
                       doc_bool(doc_get(object, "spec", "allocateLoadBalancerNodePorts"), true));
    if (node_ports && doc_len(doc_get(object, "spec", "ports")) > 0 &&
        !assign_ports(&a, old, object, uid, taken, ctx, error)) {
        return false;
    }
    return assign_health_check(&a, old, object, uid, taken, ctx, error);
}
