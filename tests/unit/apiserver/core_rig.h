// SPDX-License-Identifier: Apache-2.0
// A server over the store in memory on the deterministic loop, and calls that run until their answer is there.
#ifndef SKIFF_TESTS_APISERVER_CORE_RIG_H
#define SKIFF_TESTS_APISERVER_CORE_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "apiserver/apiserver.h"
#include "base/vec.h"
#include "loop/sim_loop.h"
#include "store/memory.h"

struct rig {
    struct loop *loop;
    struct store *store;
    struct apiserver *server;
    struct arena *arena;
    // the last answer
    int status;
    struct str body;
    struct str reason;
    enum err_code code;
    bool answered;
};

static inline void rig_start(struct rig *rig) {
    struct apiserver_options options = {
        .loop = rig->loop, .store = rig->store, .no_workloads = true};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    if (!rig->server) {
        fail_msg("%s", err.message);
    }
    sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000000);
}

static inline struct rig *rig_create(void) {
    struct rig *rig = NEW(struct rig);
    rig->loop = sim_loop_create(7);
    rig->store = store_create_memory(rig->loop);
    rig->arena = arena_create();
    rig_start(rig);
    return rig;
}

static inline void rig_settle(struct rig *rig) {
    sim_loop_run(rig->loop, loop_now(rig->loop) + 50000000);
}

static inline void rig_destroy(struct rig *rig) {
    apiserver_destroy(rig->server);
    rig_settle(rig);
    rig->store->ops->close(rig->store);
    sim_loop_destroy(rig->loop);
    arena_destroy(rig->arena);
    free(rig);
}

// What a restart of the process leaves: the store.
static inline void rig_restart(struct rig *rig) {
    apiserver_destroy(rig->server);
    store_memory_crash(rig->store);
    rig_settle(rig);
    rig_start(rig);
}

static inline void rig_answer(void *ctx, const struct kube_reply *reply) {
    struct rig *rig = ctx;
    assert_false(rig->answered);
    rig->answered = true;
    rig->status = reply->status;
    rig->body = arena_dup(rig->arena, reply->body);
    rig->reason = arena_dup(rig->arena, reply->reason);
    rig->code = reply->error ? reply->error->code : ERR_NONE;
    if (reply->status >= 200 && reply->status < 300) {
        assert_null(reply->error);
    } else {
        assert_non_null(reply->error);
    }
}

static inline int rig_call(struct rig *rig, const struct kube_request *request) {
    rig->answered = false;
    apiserver_call(rig->server, NULL, request, rig_answer, rig);
    assert_false(rig->answered); // never from inside the call
    for (int i = 0; i < 100 && !rig->answered; i++) {
        sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000);
    }
    assert_true(rig->answered);
    return rig->status;
}

static inline struct doc_value rig_value(struct rig *rig) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(rig->body, rig->arena, &value, &err)) {
        fail_msg("%s: %.*s", err.message, STR_ARG(rig->body));
    }
    return value;
}

static inline struct kube_gvr rig_gvr(const char *text) { // "pods" or "apps/v1/deployments"
    struct str rest;
    struct str first;
    struct str second;
    if (!str_cut(str_from(text), '/', &first, &rest)) {
        return (struct kube_gvr){.version = STR("v1"), .resource = first};
    }
    str_cut(rest, '/', &second, &rest);
    return (struct kube_gvr){.group = first, .version = second, .resource = rest};
}

static inline int rig_create_object(struct rig *rig, const char *gvr, const char *ns,
                                    const char *body) {
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .body = str_from(body),
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline int rig_get(struct rig *rig, const char *gvr, const char *ns, const char *name) {
    struct kube_request request = {.verb = KUBE_GET,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline int rig_update(struct rig *rig, const char *gvr, const char *ns, const char *name,
                             const char *subresource, struct str body) {
    struct kube_request request = {.verb = KUBE_UPDATE,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .subresource = str_from(subresource),
                                   .body = body,
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline int rig_patch(struct rig *rig, enum kube_patch kind, const char *gvr, const char *ns,
                            const char *name, const char *body) {
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .patch = kind,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .body = str_from(body),
                                   .field_manager = STR("test"),
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline int rig_delete(struct rig *rig, const char *gvr, const char *ns, const char *name) {
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline int rig_list(struct rig *rig, const char *gvr, const char *ns, const char *labels,
                           uint32_t limit, struct str token) {
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .label_selector = str_from(labels),
                                   .limit = limit,
                                   .continue_token = token,
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static inline const char *rig_text(struct rig *rig, const char *const *keys) {
    struct doc_value value = rig_value(rig);
    const struct doc_value *at = doc_get_path(&value, keys);
    if (doc_is(at, DOC_INT)) {
        return arena_printf(rig->arena, "%lld", (long long)doc_int(at, 0)).p;
    }
    return at ? arena_cstr(rig->arena, doc_str(at)) : "(none)";
}
#define RIG_TEXT(rig, ...) rig_text((rig), (const char *const[]){__VA_ARGS__, NULL})

#endif
