// SPDX-License-Identifier: Apache-2.0
// kube_client over HTTP. Short calls and watches go to different connection pools (http_call.stream), so that a burst of
// writes never stands behind watch streams. A call passes three doors: the rate limit, credentials, the HTTP client; a
// refusal for old credentials (401) sends it through once more. Every callback runs exactly once, in a later turn; only
// destroying the client runs what is left at once, with ERR_CANCELLED.
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "kube/internal.h"

#define MODULE "kube"

// Short calls share few connections (an HTTP/2 connection carries 100 to 250 of them at once); how many connections the
// watches may use is the HTTP client's to say, which knows whether the server speaks HTTP/2.
enum {
    CALL_CONNECTIONS = 4,
    ERROR_BODY = 64 * KIB, // of a refused watch
};
static const int64_t call_timeout_ns = 60 * NS_PER_SECOND;
static const int64_t watch_seconds = 300;                 // to 600, as client-go spreads them
static const int64_t watch_idle_ns = 180 * NS_PER_SECOND; // bookmarks come about once a minute
static const int64_t stall_ns = 30 * NS_PER_SECOND;

struct call {
    uint32_t hash; // of the id
    bool cancelled, retried, is_watch, has_head, stalled;
    bool is_fenced;          // counted by the fence until the call is over
    struct http_kube *owner; // NULL: the client is gone
    uint64_t id;
    uint64_t http_id; // 0: not started
    struct arena *arena;
    struct kube_wire wire;
    const char *accept;
    struct str url, sent; // `sent`: the Authorization header
    int64_t timeout_ns, started_ns;
    struct call *next; // in a queue
    kube_done *done;
    void *ctx;
    // watch
    struct kube_watch_handler handler;
    struct kube_line_splitter lines;
    struct buf refusal;
    int status;
    struct err error; // what we found wrong ourselves
};

struct queue {
    struct call *first, *last;
};

struct http_kube {
    struct kube_client client;
    struct loop *loop;
    struct http_client *http;
    struct arena *arena;
    struct kube_config config;
    struct kube_auth *auth;
    struct str user_agent;
    struct kube_set calls; // all that are not answered yet
    uint64_t last_id;
    struct http_target *target; // kept by the calls under way, too
    uint64_t certificate;       // what kube_auth_tls said when it was made
    unsigned connections;
    struct kube_fence *fence;
    struct queue waiting; // for the rate limit or credentials, in order
    struct queue failed;  // to be answered in the next turn
    struct loop_timer *pump_timer, *fail_timer, *stall_timer;
    bool waits_for_auth;
    double qps, burst, tokens;
    int64_t refilled_ns;
    struct metric *requests, *durations;
};

static struct http_kube *kube_of(struct kube_client *client) {
    return CONTAINER_OF(client, struct http_kube, client);
}

// ---- Queues ----

static void queue_push(struct queue *queue, struct call *call) {
    call->next = NULL;
    if (queue->last) {
        queue->last->next = call;
    } else {
        queue->first = call;
    }
    queue->last = call;
}

static struct call *queue_pop(struct queue *queue) {
    struct call *call = queue->first;
    if (call) {
        queue->first = call->next;
        queue->last = queue->first ? queue->last : NULL;
    }
    return call;
}

static bool queue_remove(struct queue *queue, struct call *call) {
    struct call *before = NULL;
    for (struct call *at = queue->first; at; before = at, at = at->next) {
        if (at == call) {
            *(before ? &before->next : &queue->first) = call->next;
            queue->last = queue->last == call ? before : queue->last;
            return true;
        }
    }
    return false;
}

// ---- Connection settings ----

// Made anew when an exec plugin gave another certificate, or a file holds another one.
static const struct http_target *get_target(struct http_kube *kube) {
    struct http_tls tls = kube->config.tls;
    uint64_t certificate = kube_auth_tls(kube->auth, &tls);
    if (kube->target && kube->certificate != certificate) {
        http_target_destroy(kube->target);
        kube->target = NULL;
    }
    if (!kube->target) {
        kube->target = http_target_create(&tls, kube->config.proxy, kube->connections);
        kube->certificate = certificate;
    }
    return kube->target;
}

// ---- Answers ----

static void call_free(struct call *call) {
    if (call->is_watch) {
        kube_lines_fini(&call->lines);
        buf_fini(&call->refusal);
    }
    arena_destroy(call->arena);
    free(call);
}

// Takes the call out of the client; then its callback may do anything with the client.
static void forget(struct call *call) {
    if (call->owner) {
        if (call->is_fenced) {
            kube_fence_leave(call->owner->fence);
        }
        kube_set_remove(&call->owner->calls, call);
        call->owner = NULL;
    }
}

static void answer_error(struct call *call, const struct err *error) {
    forget(call);
    if (call->is_watch) {
        call->handler.on_end(call->handler.ctx, error);
    } else {
        struct kube_reply reply = {.error = error};
        call->done(call->ctx, &reply);
    }
    call_free(call);
}

static void deliver_failed(void *ctx) {
    struct http_kube *kube = ctx;
    struct call *call = queue_pop(&kube->failed);
    if (kube->failed.first) {
        loop_timer_start(kube->fail_timer, 0); // one a turn: its callback may destroy the client
    }
    if (call) {
        answer_error(call, &call->error);
    }
}

// Answers in a later turn with call->error.
static void fail_later(struct call *call) {
    queue_push(&call->owner->failed, call);
    loop_timer_start(call->owner->fail_timer, 0);
}

static void count_request(const struct call *call, int status) {
    const struct http_kube *kube = call->owner;
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    if (kube->requests) {
        struct str values[] = {kube->client.server, str_from(call->wire.method), str_from(code)};
        metric_add(kube->requests, values, 1);
    }
    if (kube->durations && !call->is_watch) {
        struct str values[] = {kube->client.server, str_from(call->wire.method)};
        double seconds = (double)(loop_now(kube->loop) - call->started_ns) / 1e9;
        metric_observe(kube->durations, values, seconds);
    }
}

static bool try_again(struct call *call, int status);

static void answer_call(struct call *call, const struct http_result *result) {
    struct kube_reply reply = {.status = result->status, .body = result->body};
    struct err err = {0};
    char reason[64] = "";
    if (call->cancelled) {
        err_set(&err, ERR_CANCELLED, "cancelled");
        reply = (struct kube_reply){.error = &err};
    } else if (result->error) {
        err = *result->error;
        reply = (struct kube_reply){.status = result->status, .error = &err};
    } else if (result->status < 200 || result->status > 299) {
        kube_status_error(result->status, result->body, &err, reason);
        reply.error = &err;
        reply.reason = str_from(reason);
        reply.retry_after_ns = kube_retry_after(http_result_header(result, STR("Retry-After")));
    }
    forget(call);
    call->done(call->ctx, &reply);
    call_free(call);
}

static void call_done(void *ctx, const struct http_result *result) {
    struct call *call = ctx;
    if (!call->owner) { // answered when the client was destroyed
        call_free(call);
        return;
    }
    call->http_id = 0;
    count_request(call, result->status);
    if (!call->cancelled && !result->error && try_again(call, result->status)) {
        return;
    }
    answer_call(call, result);
}

// ---- Watches ----

static void watch_head(void *ctx, int status, const struct http_result *head) {
    struct call *call = ctx;
    call->status = status;
    call->has_head = true;
}

static bool watch_line(void *ctx, struct str line) {
    struct call *call = ctx;
    enum kube_event type;
    struct str object;
    if (!kube_scan_event(line, &type, &object, &call->error)) {
        err_wrap(&call->error, "the watch stream");
        return false;
    }
    if (type == KUBE_ERROR) {
        kube_status_error(200, object, &call->error, NULL);
    }
    call->handler.on_event(call->handler.ctx, type, object, NULL);
    return call->owner && !call->cancelled;
}

static bool watch_data(void *ctx, struct str chunk) {
    struct call *call = ctx;
    if (!call->owner || call->cancelled || call->error.code) {
        return false;
    }
    if (call->status != 200) {
        size_t room = call->refusal.max - call->refusal.len;
        buf_add_str(&call->refusal, str_first(chunk, room));
        return true;
    }
    return kube_lines_feed(&call->lines, chunk, watch_line, call, &call->error);
}

static void answer_watch(struct call *call, const struct http_result *result) {
    struct err err = {0};
    if (call->cancelled) {
        err_set(&err, ERR_CANCELLED, "cancelled");
    } else if (call->error.code) {
        err = call->error;
    } else if (result->error) {
        // A stream that fell silent is one to be opened again, like one that ended.
        if (!(call->status == 200 && result->error->code == ERR_TIMEOUT)) {
            err = *result->error;
        }
    } else if (result->status != 200) {
        kube_status_error(result->status, buf_str(&call->refusal), &err, NULL);
    }
    forget(call);
    call->handler.on_end(call->handler.ctx, err.code ? &err : NULL);
    call_free(call);
}

static void watch_done(void *ctx, const struct http_result *result) {
    struct call *call = ctx;
    if (!call->owner) {
        call_free(call);
        return;
    }
    call->http_id = 0;
    count_request(call, result->status);
    if (!call->cancelled && !result->error && try_again(call, result->status)) {
        return;
    }
    answer_watch(call, result);
}

// A watch that gets no answer waits for a free stream: say so, or it would look like a cluster where nothing happens.
static void look_for_stalls(void *ctx) {
    struct http_kube *kube = ctx;
    size_t iter = 0, waiting = 0;
    void *item;
    int64_t now = loop_now(kube->loop);
    while (kube_set_next(&kube->calls, &iter, &item)) {
        struct call *call = item;
        if (!call->is_watch || call->has_head || call->http_id == 0) {
            continue;
        }
        waiting++;
        if (!call->stalled && now - call->started_ns >= stall_ns) {
            call->stalled = true;
            LOG(LOG_WARN, MODULE, "a watch gets no answer: too few connections?", "url",
                arena_cstr(call->arena, call->url));
        }
    }
    if (waiting) {
        loop_timer_start(kube->stall_timer, stall_ns);
    }
}

// ---- The way out ----

static void start(struct call *call, struct str authorization) {
    enum { HEADERS_MAX = 40 };
    struct http_kube *kube = call->owner;
    struct http_header headers[HEADERS_MAX];
    size_t n = 0;
    headers[n++] = (struct http_header){STR("Accept"), str_from(call->accept)};
    headers[n++] = (struct http_header){STR("User-Agent"), kube->user_agent};
    if (authorization.n) {
        headers[n++] = (struct http_header){STR("Authorization"), authorization};
    }
    if (call->wire.content_type) {
        headers[n++] = (struct http_header){STR("Content-Type"), str_from(call->wire.content_type)};
    }
    if (kube->config.as_user.n) {
        headers[n++] = (struct http_header){STR("Impersonate-User"), kube->config.as_user};
    }
    if (kube->config.as_uid.n) {
        headers[n++] = (struct http_header){STR("Impersonate-Uid"), kube->config.as_uid};
    }
    for (size_t i = 0; i < kube->config.as_group_count && n < HEADERS_MAX; i++) {
        headers[n++] = (struct http_header){STR("Impersonate-Group"), kube->config.as_groups[i]};
    }
    call->sent = arena_dup(call->arena, authorization);
    call->started_ns = loop_now(kube->loop);
    struct http_call http = {
        .target = get_target(kube),
        .method = str_from(call->wire.method),
        .url = call->url,
        .headers = headers,
        .header_count = n,
        .body = call->wire.body,
        .timeout_ns = call->timeout_ns,
        .idle_timeout_ns = call->is_watch ? watch_idle_ns : 0,
        .stream = call->is_watch,
        .on_head = call->is_watch ? watch_head : NULL,
        .on_data = call->is_watch ? watch_data : NULL,
        .done = call->is_watch ? watch_done : call_done,
        .ctx = call,
    };
    if (call->is_watch && !loop_timer_is_active(kube->stall_timer)) {
        loop_timer_start(kube->stall_timer, stall_ns);
    }
    call->http_id = http_client_start(kube->http, &http);
}

// Nanoseconds until the next call may go; 0: now (and it is counted).
static int64_t take_rate_token(struct http_kube *kube) {
    if (kube->qps <= 0) {
        return 0;
    }
    int64_t now = loop_now(kube->loop);
    kube->tokens += (double)(now - kube->refilled_ns) / 1e9 * kube->qps;
    kube->tokens = kube->tokens < kube->burst ? kube->tokens : kube->burst;
    kube->refilled_ns = now;
    if (kube->tokens >= 1) {
        kube->tokens -= 1;
        return 0;
    }
    return (int64_t)((1 - kube->tokens) / kube->qps * 1e9) + NS_PER_MS;
}

static void pump(void *ctx);

static void auth_arrived(void *ctx) {
    struct http_kube *kube = ctx;
    kube->waits_for_auth = false;
    pump(kube);
}

// A write goes out only while this process leads, and its answer is not waited for longer.
static bool pass_fence(struct call *call) {
    struct kube_fence *fence = call->owner->fence;
    if (!fence || call->is_watch || strcmp(call->wire.method, "GET") == 0) {
        return true;
    }
    if (call->is_fenced) { // sent before, with old credentials
        kube_fence_leave(fence);
        call->is_fenced = false;
    }
    int64_t left;
    if (!kube_fence_enter(fence, &left, &call->error)) {
        return false;
    }
    call->is_fenced = true;
    call->timeout_ns = call->timeout_ns < left ? call->timeout_ns : left;
    return true;
}

static void pump(void *ctx) {
    struct http_kube *kube = ctx;
    while (kube->waiting.first && !kube->waits_for_auth) {
        struct str authorization = {0};
        const struct err *error;
        if (!kube_auth_ready(kube->auth, &authorization, &error)) {
            kube->waits_for_auth = true;
            kube_auth_wait(kube->auth, auth_arrived, kube);
            return;
        }
        if (error) {
            struct call *call = queue_pop(&kube->waiting);
            call->error = *error;
            fail_later(call);
            continue;
        }
        int64_t wait = take_rate_token(kube);
        if (wait > 0) {
            loop_timer_start(kube->pump_timer, wait);
            return;
        }
        if (!pass_fence(kube->waiting.first)) {
            fail_later(queue_pop(&kube->waiting));
            continue;
        }
        start(queue_pop(&kube->waiting), authorization);
    }
}

static bool try_again(struct call *call, int status) {
    if (status != 401 || call->retried || !kube_auth_refused(call->owner->auth, call->sent)) {
        return false;
    }
    call->retried = true;
    call->has_head = false;
    call->status = 0;
    if (call->is_watch) {
        buf_clear(&call->refusal);
    }
    queue_push(&call->owner->waiting, call);
    loop_timer_start(call->owner->pump_timer, 0);
    return true;
}

// ---- The client's functions ----

static struct call *call_create(struct http_kube *kube) {
    struct call *call = NEW(struct call);
    call->owner = kube;
    call->id = ++kube->last_id;
    call->hash = (uint32_t)call->id;
    call->arena = arena_create();
    call->accept = "application/json";
    call->timeout_ns = call_timeout_ns;
    kube_set_add(&kube->calls, call);
    return call;
}

static uint64_t submit(struct call *call, bool usable) {
    struct http_kube *kube = call->owner;
    uint64_t id = call->id;
    if (!usable) {
        fail_later(call);
        return id;
    }
    call->url = arena_concat(call->arena, kube->config.server, call->wire.path);
    queue_push(&kube->waiting, call);
    if (!loop_timer_is_active(kube->pump_timer)) {
        pump(kube);
    }
    return id;
}

static uint64_t http_kube_call(struct kube_client *client, const struct kube_request *request,
                               kube_done *done, void *ctx) {
    struct call *call = call_create(kube_of(client));
    call->done = done;
    call->ctx = ctx;
    if (request->timeout_ns) {
        call->timeout_ns = request->timeout_ns;
    }
    bool usable = kube_wire_request(request, call->arena, &call->wire, &call->error);
    call->wire.body = arena_dup(call->arena, call->wire.body);
    return submit(call, usable);
}

static uint64_t http_kube_get_raw(struct kube_client *client, struct str path, struct str accept,
                                  kube_done *done, void *ctx) {
    struct call *call = call_create(kube_of(client));
    call->done = done;
    call->ctx = ctx;
    call->accept = arena_cstr(call->arena, accept.n ? accept : STR("application/json"));
    call->wire = (struct kube_wire){.method = "GET", .path = arena_dup(call->arena, path)};
    bool usable = path.n > 0 && path.p[0] == '/';
    for (size_t i = 0; i < path.n; i++) {
        usable = usable && (unsigned char)path.p[i] > ' ' && path.p[i] != 0x7f;
    }
    if (!usable) {
        err_set(&call->error, ERR_INVALID, "\"%.*s\" is no path", STR_ARG(str_first(path, 200)));
    }
    return submit(call, usable);
}

static uint64_t http_kube_watch(struct kube_client *client,
                                const struct kube_watch_request *request,
                                const struct kube_watch_handler *handler) {
    struct http_kube *kube = kube_of(client);
    struct call *call = call_create(kube);
    call->is_watch = true;
    call->handler = *handler;
    kube_lines_init(&call->lines, LIMIT_WATCH_EVENT);
    buf_init(&call->refusal, ERROR_BODY);
    int64_t seconds =
        watch_seconds + (int64_t)loop_random_below(kube->loop, (uint64_t)watch_seconds);
    call->timeout_ns = (seconds + 30) * NS_PER_SECOND;
    call->wire.method = "GET";
    bool usable = kube_wire_watch(request, seconds, call->arena, &call->wire.path, &call->error);
    return submit(call, usable);
}

static bool id_eq(const void *item, const void *key) {
    return ((const struct call *)item)->id == *(const uint64_t *)key;
}

static void http_kube_cancel(struct kube_client *client, uint64_t id) {
    struct http_kube *kube = kube_of(client);
    struct call *call = kube_set_find(&kube->calls, (uint32_t)id, id_eq, &id);
    if (!call || call->cancelled) {
        return;
    }
    call->cancelled = true;
    if (call->http_id) {
        http_client_cancel(kube->http, call->http_id);
        return;
    }
    err_set(&call->error, ERR_CANCELLED, "cancelled");
    if (queue_remove(&kube->waiting, call)) {
        fail_later(call);
    }
}

static void http_kube_destroy(struct kube_client *client) {
    struct http_kube *kube = kube_of(client);
    size_t iter = 0;
    void *item;
    // Callbacks may cancel others, and so change the set: begin again after each.
    while (kube_set_next(&kube->calls, &iter, &item)) {
        struct call *call = item;
        iter = 0;
        struct err err = {0};
        err_set(&err, ERR_CANCELLED, "the client is closed");
        queue_remove(&kube->waiting, call);
        queue_remove(&kube->failed, call);
        if (call->http_id == 0) {
            answer_error(call, &err);
            continue;
        }
        http_client_cancel(kube->http, call->http_id);
        forget(call); // freed when the HTTP client lets go of it
        if (call->is_watch) {
            call->handler.on_end(call->handler.ctx, &err);
        } else {
            struct kube_reply reply = {.error = &err};
            call->done(call->ctx, &reply);
        }
    }
    kube_set_fini(&kube->calls);
    kube_auth_destroy(kube->auth);
    http_target_destroy(kube->target);
    loop_timer_destroy(kube->pump_timer);
    loop_timer_destroy(kube->fail_timer);
    loop_timer_destroy(kube->stall_timer);
    arena_destroy(kube->arena);
    free(kube);
}

static const struct kube_client_ops http_kube_ops = {
    .call = http_kube_call,
    .watch = http_kube_watch,
    .cancel = http_kube_cancel,
    .get_raw = http_kube_get_raw,
    .destroy = http_kube_destroy,
};

static void register_metrics(struct http_kube *kube, struct metrics *metrics) {
    static const char *const by_code[] = {"host", "method", "code", NULL};
    static const char *const by_verb[] = {"host", "method", NULL};
    static const double buckets[] = {0.005, 0.1, 0.5, 1, 5, 10, 30, 60, 0};
    kube->requests = metrics_register(metrics, METRIC_COUNTER, "argocd_kubectl_requests_total",
                                      "Number of kubectl request results", by_code, NULL);
    kube->durations =
        metrics_register(metrics, METRIC_HISTOGRAM, "argocd_kubectl_request_duration_seconds",
                         "Latency of kubectl requests", by_verb, buckets);
}

struct kube_client *kube_http_client_create(struct loop *loop, struct http_client *http,
                                            const struct kube_http_options *options) {
    struct http_kube *kube = NEW(struct http_kube);
    kube->loop = loop;
    kube->http = http;
    kube->arena = arena_create();
    kube_config_copy(kube->arena, &kube->config, options->config);
    kube->auth = kube_auth_create(loop, &kube->config);
    kube->client.ops = &http_kube_ops;
    kube->client.server = kube->config.server;
    kube->user_agent = options->user_agent.n ? arena_dup(kube->arena, options->user_agent)
                                             : STR("skiff/" SKIFF_VERSION);
    kube->qps = options->qps;
    kube->connections = options->connections ? options->connections : CALL_CONNECTIONS;
    kube->fence = options->fence;
    kube->burst = options->burst >= 1 ? options->burst : 1;
    kube->tokens = kube->burst;
    kube->refilled_ns = loop_now(loop);
    kube->pump_timer = loop_timer_create(loop, pump, kube);
    kube->fail_timer = loop_timer_create(loop, deliver_failed, kube);
    kube->stall_timer = loop_timer_create(loop, look_for_stalls, kube);
    if (options->metrics) {
        register_metrics(kube, options->metrics);
    }
    return &kube->client;
}
