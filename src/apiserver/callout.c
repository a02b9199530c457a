// SPDX-License-Identifier: Apache-2.0
// Calls to webhooks over the HTTP client, which is made with the first of them.
#include "apiserver/apiserver.h"

#include "base/mem.h"
#include "http/client.h"

struct callouts {
    struct apiserver_calls calls; // first
    struct loop *loop;
    struct http_client *client;
};

struct waiting {
    void (*done)(void *ctx, int status, struct str body, const struct err *error);
    void *ctx;
};

static void finished(void *ctx, const struct http_result *result) {
    struct waiting *waiting = ctx;
    waiting->done(waiting->ctx, result->status, result->body, result->error);
    free(waiting);
}

static uint64_t start(void *ctx, const struct apiserver_callout *call) {
    static const struct http_header headers[] = {
        {STR_INIT("Content-Type"), STR_INIT("application/json")},
        {STR_INIT("Accept"), STR_INIT("application/json, */*")},
        {STR_INIT("User-Agent"), STR_INIT("kube-apiserver-admission")},
    };
    struct callouts *callouts = ctx;
    if (!callouts->client) {
        callouts->client = http_client_create(callouts->loop);
    }
    struct waiting *waiting = NEW(struct waiting);
    *waiting = (struct waiting){.done = call->done, .ctx = call->ctx};
    struct http_tls tls = {.ca = call->ca, .server_name = call->server_name};
    struct http_target *target = http_target_create(&tls, (struct str){NULL, 0}, 0);
    struct http_call http = {
        .target = target,
        .method = STR("POST"),
        .url = call->url,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = call->body,
        .max_reply = call->max_reply,
        .timeout_ns = call->timeout_ns,
        .done = finished,
        .ctx = waiting,
    };
    uint64_t id = http_client_start(callouts->client, &http);
    http_target_destroy(target);
    return id;
}

static void cancel(void *ctx, uint64_t id) {
    http_client_cancel(((struct callouts *)ctx)->client, id);
}

struct apiserver_calls *apiserver_calls_create(struct loop *loop) {
    struct callouts *callouts = NEW(struct callouts);
    callouts->loop = loop;
    callouts->calls = (struct apiserver_calls){.start = start, .cancel = cancel, .ctx = callouts};
    return &callouts->calls;
}

void apiserver_calls_destroy(struct apiserver_calls *calls) {
    if (calls) {
        struct callouts *callouts = (struct callouts *)calls;
        if (callouts->client) {
            http_client_destroy(callouts->client);
        }
        free(callouts);
    }
}
