// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "base/vec.h"

struct fault_client {
    struct kube_client client;
    struct kube_client *inner;
    struct loop *loop;
    struct faults *faults;
    struct map *calls;   // by id
    struct map *watches; // by id
    uint64_t last_id;
};

static struct fault_client *of(struct kube_client *client) {
    return CONTAINER_OF(client, struct fault_client, client);
}

static struct str id_key(const uint64_t *id) {
    return str_make((const char *)id, sizeof *id);
}

static bool strikes(struct fault_client *fc, unsigned chance) {
    if (!fc->faults->on || chance == 0 || loop_random_below(fc->loop, 1000) >= chance) {
        return false;
    }
    fc->faults->injected++;
    return true;
}

static int64_t delay_of(struct fault_client *fc) {
    int64_t max = fc->faults->on ? fc->faults->max_delay_ns : 0;
    return max > 0 ? (int64_t)loop_random_below(fc->loop, (uint64_t)max) : 0;
}

// ---- Calls ----
struct fault_call {
    struct fault_client *fc; // NULL: the client is gone
    uint64_t id;
    struct arena *arena;
    struct kube_request request;
    struct str path, accept; // of get_raw
    bool raw, lose_reply;
    kube_done *done;
    void *ctx;
    struct loop_timer *timer;
    // the reply that waits
    int status;
    struct blob *body;
    struct err err;
    bool has_err;
    char reason[64];
    int64_t retry_after_ns;
};

static void call_free(struct fault_call *call) {
    loop_timer_destroy(call->timer);
    blob_unref(call->body);
    arena_destroy(call->arena);
    free(call);
}

static void call_answer(void *ctx) {
    struct fault_call *call = ctx;
    if (call->fc) {
        map_remove(call->fc->calls, id_key(&call->id));
    }
    struct kube_reply reply = {
        .status = call->status,
        .body = blob_str(call->body),
        .blob = call->body,
        .retry_after_ns = call->retry_after_ns,
        .error = call->has_err ? &call->err : NULL,
        .reason = str_from(call->reason),
    };
    call->done(call->ctx, &reply);
    call_free(call);
}

static void timer_restart(struct fault_call *call, struct loop *loop, loop_fn *fn, int64_t delay) {
    loop_timer_destroy(call->timer);
    call->timer = loop_timer_create(loop, fn, call);
    loop_timer_start(call->timer, delay);
}

static void call_fail(struct fault_call *call, int status, enum err_code code, const char *reason,
                      const char *message, int64_t delay) {
    call->status = status;
    err_set(&call->err, code, "%s", message);
    call->has_err = true;
    memcpy(call->reason, reason, strlen(reason) + 1);
    if (status) {
        call->body = blob_create(arena_printf(
            call->arena,
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
            "\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
            message, reason, status));
    }
    timer_restart(call, call->fc->loop, call_answer, delay);
}

static void call_time_out(struct fault_call *call) {
    struct fault_client *fc = call->fc;
    int64_t max = fc->faults->timeout_ns > 0 ? fc->faults->timeout_ns : NS_PER_SECOND;
    call_fail(call, 0, ERR_TIMEOUT, "", "the request timed out",
              (int64_t)loop_random_below(fc->loop, (uint64_t)max) + 1);
}

static void inner_done(void *ctx, const struct kube_reply *reply) {
    struct fault_call *call = ctx;
    if (!call->fc) {
        call_free(call);
        return;
    }
    if (call->lose_reply) {
        call_time_out(call);
        return;
    }
    call->status = reply->status;
    call->body = reply->blob     ? blob_ref(reply->blob)
                 : reply->body.p ? blob_create(reply->body)
                                 : NULL;
    call->retry_after_ns = reply->retry_after_ns;
    if (reply->error) {
        call->err = *reply->error;
        call->has_err = true;
    }
    size_t n = reply->reason.n < sizeof call->reason - 1 ? reply->reason.n : 0;
    if (n) {
        memcpy(call->reason, reply->reason.p, n);
    }
    call->reason[n] = '\0';
    timer_restart(call, call->fc->loop, call_answer, delay_of(call->fc));
}

static void call_send(void *ctx) {
    struct fault_call *call = ctx;
    struct fault_client *fc = call->fc;
    struct kube_client *inner = fc->inner;
    enum kube_verb verb = call->request.verb;
    bool changes = !call->raw && (verb == KUBE_UPDATE || verb == KUBE_PATCH);
    if (strikes(fc, fc->faults->lost_request)) {
        call_time_out(call);
        return;
    }
    if (strikes(fc, fc->faults->too_many)) {
        call->retry_after_ns = NS_PER_SECOND;
        call_fail(call, 429, ERR_UNAVAILABLE, "TooManyRequests",
                  "the server has received too many requests", 0);
        return;
    }
    if (strikes(fc, fc->faults->server_error)) {
        switch (loop_random_below(fc->loop, 3)) {
        case 0:
            call_fail(call, 500, ERR_INTERNAL, "InternalError", "internal error", 0);
            return;
        case 1:
            call_fail(call, 503, ERR_UNAVAILABLE, "ServiceUnavailable", "not now", 0);
            return;
        default:
            call_fail(call, 0, ERR_IO, "", "connection reset by peer", 0);
            return;
        }
    }
    if (changes && strikes(fc, fc->faults->conflict)) {
        call_fail(call, 409, ERR_CONFLICT, "Conflict",
                  "the object has been modified; please apply your changes to the latest version",
                  0);
        return;
    }
    call->lose_reply = strikes(fc, fc->faults->lost_reply);
    if (call->raw) {
        inner->ops->get_raw(inner, call->path, call->accept, inner_done, call);
    } else {
        inner->ops->call(inner, &call->request, inner_done, call);
    }
}

static struct fault_call *call_create(struct fault_client *fc, kube_done *done, void *ctx) {
    struct fault_call *call = NEW(struct fault_call);
    call->fc = fc;
    call->id = ++fc->last_id;
    call->arena = arena_create();
    call->done = done;
    call->ctx = ctx;
    map_put(fc->calls, id_key(&call->id), call);
    timer_restart(call, fc->loop, call_send, delay_of(fc));
    return call;
}

static uint64_t fault_call_start(struct kube_client *client, const struct kube_request *request,
                                 kube_done *done, void *ctx) {
    struct fault_call *call = call_create(of(client), done, ctx);
    call->request = *request;
    struct str *texts[] = {
        &call->request.gvr.group,
        &call->request.gvr.version,
        &call->request.gvr.resource,
        &call->request.ns,
        &call->request.name,
        &call->request.subresource,
        &call->request.body,
        &call->request.field_manager,
        &call->request.field_validation,
        &call->request.precondition_uid,
        &call->request.precondition_version,
        &call->request.label_selector,
        &call->request.field_selector,
        &call->request.continue_token,
        &call->request.resource_version,
        &call->request.resource_version_match,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_dup(call->arena, *texts[i]);
    }
    return call->id;
}

static uint64_t fault_get_raw(struct kube_client *client, struct str path, struct str accept,
                              kube_done *done, void *ctx) {
    struct fault_call *call = call_create(of(client), done, ctx);
    call->raw = true;
    call->path = arena_dup(call->arena, path);
    call->accept = arena_dup(call->arena, accept);
    return call->id;
}

// ---- Watches ----
struct waiting_event {
    enum kube_event event;
    struct blob *object;
    int64_t due;
};
struct fault_watch {
    struct fault_client *fc; // not after the outer end
    uint64_t id, inner_id;
    struct kube_watch_handler handler;
    VEC(struct waiting_event) queue;
    size_t head;
    struct loop_timer *timer;
    int64_t last_due;
    bool inner_ended, outer_ended, cancelled;
    bool ending; // the outer end waits behind the queue
    struct err end_err;
};

static void watch_free_when_done(struct fault_watch *watch) {
    if (!watch->inner_ended || !watch->outer_ended) {
        return;
    }
    for (size_t i = watch->head; i < watch->queue.len; i++) {
        blob_unref(watch->queue.items[i].object);
    }
    VEC_FREE(&watch->queue);
    loop_timer_destroy(watch->timer);
    free(watch);
}

static void watch_end_outer(struct fault_watch *watch) {
    watch->outer_ended = true;
    map_remove(watch->fc->watches, id_key(&watch->id));
    watch->handler.on_end(watch->handler.ctx, watch->end_err.code ? &watch->end_err : NULL);
    watch_free_when_done(watch);
}

static void watch_stop_inner(struct fault_watch *watch) {
    if (!watch->inner_ended && watch->inner_id) {
        struct kube_client *inner = watch->fc->inner;
        inner->ops->cancel(inner, watch->inner_id);
    }
}

static void watch_due(void *ctx) {
    struct fault_watch *watch = ctx;
    struct fault_client *fc = watch->fc;
    int64_t now = loop_now(fc->loop);
    while (watch->head < watch->queue.len && watch->queue.items[watch->head].due <= now) {
        struct waiting_event item = watch->queue.items[watch->head++];
        if (strikes(fc, fc->faults->watch_cut)) {
            blob_unref(item.object);
            if (loop_random_below(fc->loop, 2)) {
                err_set(&watch->end_err, ERR_IO, "connection reset by peer");
            }
            watch_stop_inner(watch);
            watch_end_outer(watch);
            return;
        }
        unsigned times =
            item.event != KUBE_BOOKMARK && strikes(fc, fc->faults->repeat_event) ? 2 : 1;
        for (unsigned i = 0; i < times && !watch->cancelled; i++) {
            watch->handler.on_event(watch->handler.ctx, item.event, blob_str(item.object),
                                    item.object);
        }
        blob_unref(item.object);
        if (watch->cancelled) {
            return; // by the callback
        }
    }
    if (watch->head == watch->queue.len) {
        watch->head = watch->queue.len = 0;
        if (watch->ending) {
            watch_end_outer(watch);
        }
        return;
    }
    loop_timer_start(watch->timer, watch->queue.items[watch->head].due - now);
}

static void inner_event(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    struct fault_watch *watch = ctx;
    if (watch->outer_ended || watch->cancelled) {
        return;
    }
    // Events of one stream keep their order.
    int64_t due = loop_now(watch->fc->loop) + delay_of(watch->fc);
    watch->last_due = due > watch->last_due ? due : watch->last_due;
    struct waiting_event item = {
        .event = event,
        .object = blob ? blob_ref(blob) : blob_create(object),
        .due = watch->last_due,
    };
    VEC_PUSH(&watch->queue, item);
    if (!loop_timer_is_active(watch->timer)) {
        loop_timer_start(watch->timer, watch->last_due - loop_now(watch->fc->loop));
    }
}

static void inner_end(void *ctx, const struct err *error) {
    struct fault_watch *watch = ctx;
    watch->inner_ended = true;
    if (watch->outer_ended) {
        watch_free_when_done(watch);
        return;
    }
    if (watch->cancelled) {
        return; // its end is on its way
    }
    if (error) {
        watch->end_err = *error;
    }
    watch->ending = true;
    if (!loop_timer_is_active(watch->timer)) {
        loop_timer_start(watch->timer, 0);
    }
}

static void watch_cancelled(void *ctx) {
    struct fault_watch *watch = ctx;
    watch_end_outer(watch);
}

static uint64_t fault_watch_start(struct kube_client *client,
                                  const struct kube_watch_request *request,
                                  const struct kube_watch_handler *handler) {
    struct fault_client *fc = of(client);
    struct fault_watch *watch = NEW(struct fault_watch);
    watch->fc = fc;
    watch->id = ++fc->last_id;
    watch->handler = *handler;
    map_put(fc->watches, id_key(&watch->id), watch);
    watch->timer = loop_timer_create(fc->loop, watch_due, watch);
    uint64_t id = watch->id;
    if (strikes(fc, fc->faults->watch_refused)) {
        static const struct {
            enum err_code code;
            const char *message;
        } ends[] = {{ERR_GONE, "too old resource version"},
                    {ERR_UNAVAILABLE, "the server has received too many requests"},
                    {ERR_INTERNAL, "internal error"},
                    {ERR_TIMEOUT, "the request timed out"}};
        uint64_t which = loop_random_below(fc->loop, ARRAY_LEN(ends));
        err_set(&watch->end_err, ends[which].code, "%s", ends[which].message);
        watch->inner_ended = true;
        watch->ending = true;
        loop_timer_start(watch->timer, delay_of(fc));
        return id;
    }
    struct kube_watch_handler between = {
        .on_event = inner_event, .on_end = inner_end, .ctx = watch};
    watch->inner_id = fc->inner->ops->watch(fc->inner, request, &between);
    return id;
}

// ---- The rest ----
static void fault_cancel(struct kube_client *client, uint64_t id) {
    struct fault_client *fc = of(client);
    struct fault_call *call = map_find(fc->calls, id_key(&id));
    if (call) {
        // The answer comes now; one that is on its way finds nobody.
        struct fault_call *notice = NEW(struct fault_call);
        notice->id = ++fc->last_id;
        notice->fc = fc;
        notice->arena = arena_create();
        notice->done = call->done;
        notice->ctx = call->ctx;
        map_put(fc->calls, id_key(&notice->id), notice);
        map_remove(fc->calls, id_key(&id));
        bool sent = !loop_timer_is_active(call->timer);
        if (sent) {
            call->fc = NULL; // freed when the inner answer comes
        } else {
            call_free(call);
        }
        call_fail(notice, 0, ERR_CANCELLED, "", "the request was cancelled", 0);
        return;
    }
    struct fault_watch *watch = map_find(fc->watches, id_key(&id));
    if (watch && !watch->outer_ended && !watch->cancelled) {
        watch->cancelled = true;
        watch_stop_inner(watch);
        err_set(&watch->end_err, ERR_CANCELLED, "the watch was cancelled");
        for (size_t i = watch->head; i < watch->queue.len; i++) {
            blob_unref(watch->queue.items[i].object);
        }
        watch->queue.len = watch->head = 0;
        loop_timer_destroy(watch->timer);
        watch->timer = loop_timer_create(fc->loop, watch_cancelled, watch);
        loop_timer_start(watch->timer, 0);
        watch->ending = true;
    }
}

static struct blob *fault_peek(struct kube_client *client, const struct kube_gvr *gvr,
                               struct str ns, struct str name) {
    struct kube_client *inner = of(client)->inner;
    return inner->ops->peek ? inner->ops->peek(inner, gvr, ns, name) : NULL;
}

// The process ends: who waits is told so, as a client that is closed would.
static void fault_destroy(struct kube_client *client) {
    struct fault_client *fc = of(client);
    void *value;
    struct str key;
    VEC(struct fault_call *) calls = {0};
    VEC(struct fault_watch *) watches = {0};
    for (size_t i = 0; map_next(fc->calls, &i, &key, &value);) {
        VEC_PUSH(&calls, value);
    }
    for (size_t i = 0; map_next(fc->watches, &i, &key, &value);) {
        VEC_PUSH(&watches, value);
    }
    for (size_t i = 0; i < calls.len; i++) {
        struct fault_call *call = calls.items[i];
        struct err err = {0};
        err_set(&err, ERR_CANCELLED, "the client is closed");
        struct kube_reply reply = {.error = &err};
        bool sent = !loop_timer_is_active(call->timer);
        call->done(call->ctx, &reply);
        if (sent) {
            call->fc = NULL;
        } else {
            call_free(call);
        }
    }
    for (size_t i = 0; i < watches.len; i++) {
        struct fault_watch *watch = watches.items[i];
        watch_stop_inner(watch);
        err_set(&watch->end_err, ERR_CANCELLED, "the client is closed");
        loop_timer_stop(watch->timer);
        watch_end_outer(watch);
    }
    VEC_FREE(&calls);
    VEC_FREE(&watches);
    map_destroy(fc->calls);
    map_destroy(fc->watches);
    kube_client_destroy(fc->inner);
    free(fc);
}

static const struct kube_client_ops ops_with_peek = {
    .call = fault_call_start,
    .watch = fault_watch_start,
    .cancel = fault_cancel,
    .get_raw = fault_get_raw,
    .peek = fault_peek,
    .destroy = fault_destroy,
};
static const struct kube_client_ops ops_without_peek = {
    .call = fault_call_start,
    .watch = fault_watch_start,
    .cancel = fault_cancel,
    .get_raw = fault_get_raw,
    .destroy = fault_destroy,
};

struct kube_client *fault_client_create(struct loop *loop, struct kube_client *inner,
                                        struct faults *faults, bool peek) {
    struct fault_client *fc = NEW(struct fault_client);
    fc->client.ops = peek ? &ops_with_peek : &ops_without_peek;
    fc->client.server = inner->server;
    fc->inner = inner;
    fc->loop = loop;
    fc->faults = faults;
    fc->calls = map_create();
    fc->watches = map_create();
    return &fc->client;
}
