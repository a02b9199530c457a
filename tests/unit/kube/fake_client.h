// SPDX-License-Identifier: Apache-2.0
// A kube_client whose every answer is written by the test: it records what was asked and answers on command.
#ifndef SKIFF_TESTS_KUBE_FAKE_CLIENT_H
#define SKIFF_TESTS_KUBE_FAKE_CLIENT_H

#include "base/vec.h"
#include "kube/simple.h"
#include "loop/sim_loop.h"

struct fake_call {
    uint64_t id;
    bool is_watch, cancelled;
    struct arena *arena;
    struct kube_request request; // also of a watch: gvr, ns, label_selector, resource_version
    struct str path;             // of get_raw
    kube_done *done;
    void *ctx;
    struct kube_watch_handler handler;
};

struct fake_client {
    struct kube_client client;
    struct loop *loop;
    VEC(struct fake_call *) open; // not answered yet, in the order asked
    uint64_t last_id;
    unsigned lists, watches; // asked so far
    struct loop_timer *cancel_timer;
    struct blob *peeked; // what peek answers
};

static inline struct fake_client *fake_of(struct kube_client *client) {
    return CONTAINER_OF(client, struct fake_client, client);
}

static inline void fake_free_call(struct fake_call *call) {
    arena_destroy(call->arena);
    free(call);
}

static inline void fake_take(struct fake_client *fake, struct fake_call *call) {
    for (size_t i = 0; i < fake->open.len; i++) {
        if (fake->open.items[i] == call) {
            for (size_t j = i + 1; j < fake->open.len; j++) {
                fake->open.items[j - 1] = fake->open.items[j];
            }
            fake->open.len--;
            return;
        }
    }
}

static inline void fake_finish(struct fake_client *fake, struct fake_call *call,
                               const struct kube_reply *reply) {
    fake_take(fake, call);
    if (call->is_watch) {
        call->handler.on_end(call->handler.ctx, reply->error);
    } else {
        call->done(call->ctx, reply);
    }
    fake_free_call(call);
}

static inline void fake_flush_cancelled(void *ctx) {
    struct fake_client *fake = ctx;
    for (size_t i = 0; i < fake->open.len;) {
        if (fake->open.items[i]->cancelled) {
            struct err err = {.code = ERR_CANCELLED, .message = "cancelled"};
            fake_finish(fake, fake->open.items[i], &(struct kube_reply){.error = &err});
            i = 0;
        } else {
            i++;
        }
    }
}

static inline struct fake_call *fake_add(struct fake_client *fake) {
    struct fake_call *call = NEW(struct fake_call);
    call->id = ++fake->last_id;
    call->arena = arena_create();
    VEC_PUSH(&fake->open, call);
    return call;
}

static inline uint64_t fake_do_call(struct kube_client *client, const struct kube_request *request,
                                    kube_done *done, void *ctx) {
    struct fake_client *fake = fake_of(client);
    struct fake_call *call = fake_add(fake);
    kube_request_copy(call->arena, &call->request, request);
    call->done = done;
    call->ctx = ctx;
    fake->lists += request->verb == KUBE_LIST;
    return call->id;
}

static inline uint64_t fake_do_watch(struct kube_client *client,
                                     const struct kube_watch_request *request,
                                     const struct kube_watch_handler *handler) {
    struct fake_client *fake = fake_of(client);
    struct fake_call *call = fake_add(fake);
    struct kube_request as_request = {
        .gvr = request->gvr,
        .ns = request->ns,
        .label_selector = request->label_selector,
        .resource_version = request->resource_version,
    };
    kube_request_copy(call->arena, &call->request, &as_request);
    call->is_watch = true;
    call->handler = *handler;
    fake->watches++;
    return call->id;
}

static inline uint64_t fake_do_raw(struct kube_client *client, struct str path, struct str accept,
                                   kube_done *done, void *ctx) {
    struct fake_call *call = fake_add(fake_of(client));
    call->path = arena_dup(call->arena, path);
    call->done = done;
    call->ctx = ctx;
    return call->id;
}

static inline void fake_do_cancel(struct kube_client *client, uint64_t id) {
    struct fake_client *fake = fake_of(client);
    for (size_t i = 0; i < fake->open.len; i++) {
        if (fake->open.items[i]->id == id) {
            fake->open.items[i]->cancelled = true;
            loop_timer_start(fake->cancel_timer, 0);
        }
    }
}

static inline struct blob *fake_do_peek(struct kube_client *client, const struct kube_gvr *gvr,
                                        struct str ns, struct str name) {
    struct fake_client *fake = fake_of(client);
    return fake->peeked ? blob_ref(fake->peeked) : NULL;
}

static inline void fake_destroy(struct kube_client *client) {
    struct fake_client *fake = fake_of(client);
    for (size_t i = 0; i < fake->open.len; i++) {
        fake->open.items[i]->cancelled = true;
    }
    fake_flush_cancelled(fake);
    VEC_FREE(&fake->open);
    loop_timer_destroy(fake->cancel_timer);
    blob_unref(fake->peeked);
    free(fake);
}

static const struct kube_client_ops fake_ops = {
    .call = fake_do_call,
    .watch = fake_do_watch,
    .cancel = fake_do_cancel,
    .get_raw = fake_do_raw,
    .destroy = fake_destroy,
};
static const struct kube_client_ops fake_ops_with_peek = {
    .call = fake_do_call,
    .watch = fake_do_watch,
    .cancel = fake_do_cancel,
    .get_raw = fake_do_raw,
    .peek = fake_do_peek,
    .destroy = fake_destroy,
};

static inline struct fake_client *fake_create(struct loop *loop, bool peek) {
    struct fake_client *fake = NEW(struct fake_client);
    fake->client.ops = peek ? &fake_ops_with_peek : &fake_ops;
    fake->client.server = STR("https://fake");
    fake->loop = loop;
    fake->cancel_timer = loop_timer_create(loop, fake_flush_cancelled, fake);
    return fake;
}

// The oldest open call or watch that nobody cancelled; NULL when there is none.
static inline struct fake_call *fake_first(struct fake_client *fake, bool watch) {
    for (size_t i = 0; i < fake->open.len; i++) {
        if (fake->open.items[i]->is_watch == watch && !fake->open.items[i]->cancelled) {
            return fake->open.items[i];
        }
    }
    return NULL;
}

static inline void fake_reply(struct fake_client *fake, struct fake_call *call, int status,
                              struct str body, int64_t retry_after_ns) {
    struct err err = {0};
    char reason[64] = "";
    struct kube_reply reply = {.status = status, .body = body, .retry_after_ns = retry_after_ns};
    if (status == 0) {
        err_set(&err, ERR_UNAVAILABLE, "no connection");
        reply.error = &err;
    } else if (status > 299) {
        kube_status_error(status, body, &err, reason);
        reply.error = &err;
        reply.reason = str_from(reason);
    }
    fake_finish(fake, call, &reply);
}

static inline void fake_end(struct fake_client *fake, struct fake_call *call, enum err_code code) {
    struct err err = {0};
    err_set(&err, code, "the stream broke");
    fake_finish(fake, call, &(struct kube_reply){.error = code == ERR_NONE ? NULL : &err});
}

#endif
