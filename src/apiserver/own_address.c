// SPDX-License-Identifier: Apache-2.0
// The Service default/kubernetes with its EndpointSlice and Endpoints: where programs in the cluster look for the API.
// As a real API server does it, all three are looked at every ten seconds: what was deleted is made again, and an address
// that is no longer ours is corrected. Looking writes nothing.
#include "apiserver/core.h"
#include "base/log.h"
#include "base/timefmt.h"

#define LOOK_AGAIN (10 * NS_PER_SECOND)

struct api_home {
    struct apiserver *server;
    struct loop_timer *timer;
    struct arena *arena; // of one look
    char host[64];
    unsigned port;
};

static const struct
    part { // one of the three: what it says of its own accord, and what is kept true
    struct kube_gvr gvr;
    const char *labels;
    bool has_address;
} parts[] = {
    {{STR_INIT(""), STR_INIT("v1"), STR_INIT("services")},
     "\"component\":\"apiserver\",\"provider\":\"kubernetes\"",
     false},
    {{STR_INIT("discovery.k8s.io"), STR_INIT("v1"), STR_INIT("endpointslices")},
     "\"kubernetes.io/service-name\":\"kubernetes\"",
     true},
    {{STR_INIT(""), STR_INIT("v1"), STR_INIT("endpoints")},
     "\"endpointslice.kubernetes.io/skip-mirror\":\"true\"",
     true},
};

static void done(struct api_op *op) {
    bool expected = op->error.status == 0 || op->error.status == 409 || op->error.status == 404;
    if (!expected && !op->cancelled) {
        LOG(LOG_DEBUG, "apiserver", "the Service of the API was not written", "error",
            op->error.message.p);
    }
    api_op_destroy(op);
}

static void write_part(struct api_home *a, const struct part *part, enum api_verb verb,
                       struct str text) {
    struct api_op *op = api_op_create(a->server, done);
    op->request.verb = verb;
    op->request.patch = KUBE_PATCH_MERGE;
    op->request.gvr = part->gvr;
    op->request.ns = STR("default");
    op->request.field_manager = STR("kube-apiserver");
    if (verb == API_VERB_PATCH) {
        op->request.name = STR("kubernetes");
        op->request.body = arena_printf(op->arena, "{%.*s}", STR_ARG(text));
    } else {
        const char *more =
            str_eq_c(part->gvr.resource, "endpointslices") ? "\"addressType\":\"IPv4\"," : "";
        op->request.body = arena_printf(
            op->arena, "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{%s}},%s%.*s}",
            part->labels, more, STR_ARG(text));
    }
    api_op_run(op);
}

// Whether `present` says all that `wanted` says.
static bool says(const struct doc_value *present, const struct doc_value *wanted) {
    for (DOC_EACH_MEMBER(wanted, i)) {
        const struct doc_value *have = doc_find(present, doc_key_at(wanted, i));
        const struct doc_value *value = doc_value_at(wanted, i);
        if (doc_is(value, DOC_OBJECT) ? !says(have, value) : !doc_equal(have, value)) {
            return false;
        }
    }
    return true;
}

static struct str wanted_of(const struct api_home *a, const struct part *part) {
    if (!part->has_address) { // the first address of the range is never given to others
        return arena_printf(a->arena,
                            "\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"name\":\"https\","
                            "\"port\":443,\"protocol\":\"TCP\",\"targetPort\":%u}]}",
                            a->port);
    }
    if (str_eq_c(part->gvr.resource, "endpoints")) {
        return arena_printf(a->arena,
                            "\"subsets\":[{\"addresses\":[{\"ip\":\"%s\"}],\"ports\":[{\"name\":"
                            "\"https\",\"port\":%u,\"protocol\":\"TCP\"}]}]",
                            a->host, a->port);
    }
    return arena_printf(a->arena,
                        "\"endpoints\":[{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true}}],"
                        "\"ports\":[{\"name\":\"https\",\"port\":%u,\"protocol\":\"TCP\"}]",
                        a->host, a->port);
}

static void look_at(struct api_home *a, const struct part *part) {
    AUTO(blob_unref)
    struct blob *blob = apiserver_peek(a->server, &part->gvr, STR("default"), STR("kubernetes"));
    struct str text = wanted_of(a, part);
    struct doc_value present, wanted;
    struct err err = {0};
    if (!blob) {
        write_part(a, part, API_VERB_CREATE, text);
    } else if (doc_parse_json(blob_str(blob), a->arena, &present, &err) &&
               doc_parse_json(arena_printf(a->arena, "{%.*s}", STR_ARG(text)), a->arena, &wanted,
                              &err) &&
               !says(&present, &wanted)) {
        write_part(a, part, API_VERB_PATCH, text);
    }
}

static void look(void *ctx) {
    struct api_home *a = ctx;
    arena_reset(a->arena);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (a->host[0] || !parts[i].has_address) {
            look_at(a, &parts[i]);
        }
    }
    loop_timer_start(a->timer, LOOK_AGAIN);
}

void apiserver_set_address(struct apiserver *server, struct str host, unsigned port) {
    struct api_home *a = server->home;
    if (!a) {
        a = NEW(struct api_home);
        a->server = server;
        a->timer = loop_timer_create(server->loop, look, a);
        a->arena = arena_create();
        server->home = a;
    }
    size_t n = host.n < sizeof(a->host) ? host.n : 0;
    if (n) {
        memcpy(a->host, host.p, n);
    }
    a->host[n] = '\0';
    a->port = port;
    loop_timer_start(a->timer, 0);
}

void api_home_destroy(struct api_home *a) {
    if (a) {
        loop_timer_destroy(a->timer);
        arena_destroy(a->arena);
        free(a);
    }
}
