// SPDX-License-Identifier: Apache-2.0
// The HTTP front end: who asks, what for, and the reply in the form that was asked for. Streams of watches are in
// http_watch.c.
#include "apiserver/http_internal.h"

#include <stdio.h>

struct apiserver_http *apiserver_http_create(struct apiserver *server, struct str tokens_csv,
                                             struct err *err) {
    struct api_tokens *tokens = api_tokens_create(tokens_csv, err);
    if (!tokens) {
        return NULL;
    }
    struct apiserver_http *front = NEW(struct apiserver_http);
    front->server = server;
    front->tokens = tokens;
    return front;
}

void apiserver_http_destroy(struct apiserver_http *front) {
    if (!front) {
        return;
    }
    // What still waits for its answer must not find the front end again; the server answers or cancels it.
    while (front->calls) {
        front_call_detach(front->calls);
    }
    front_watches_end(front);
    front_discovery_stop(front);
    api_tokens_destroy(front->tokens);
    free(front);
}

// ---- Replies ----
static void reply_error(struct http_exchange *exchange, struct arena *arena,
                        const struct api_error *error) {
    struct doc_value status = api_error_status(arena, error);
    struct blob *body = blob_create(doc_to_json(arena, &status));
    struct http_header headers[2];
    size_t n = 0;
    if (error->retry_after_seconds > 0) {
        headers[n++] = (struct http_header){
            STR("Retry-After"), arena_printf(arena, "%lld", (long long)error->retry_after_seconds)};
    }
    if (error->status == 401) {
        headers[n++] = (struct http_header){STR("WWW-Authenticate"), STR("Bearer")};
    }
    http_reply(exchange, error->status, STR("application/json"), headers, n, body);
    blob_unref(body);
}

void front_reply_error(struct http_exchange *exchange, const struct api_error *error) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    reply_error(exchange, arena, error);
}

// RFC 7234: 299 - "text", with quotes and backslashes escaped and nothing that could end the header.
static struct str warning_header(struct arena *arena, struct str text) {
    struct buf out;
    buf_init(&out, 4 * KIB);
    buf_add_c(&out, "299 - \"");
    for (size_t i = 0; i < text.n && out.len < 2 * KIB; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            buf_add_char(&out, '\\');
        }
        buf_add_char(&out, c < ' ' || c == 127 ? ' ' : (char)c);
    }
    buf_add_char(&out, '"');
    struct str copy = arena_dup(arena, buf_str(&out));
    buf_fini(&out);
    return copy;
}

static void reply_op(struct api_op *op, struct http_exchange *exchange) {
    struct str type = op->content_type.n ? op->content_type : STR("application/json");
    enum { MOST_HEADERS = 34 };
    struct http_header headers[MOST_HEADERS];
    size_t n = 0;
    if (op->error.retry_after_seconds > 0) {
        headers[n++] = (struct http_header){
            STR("Retry-After"),
            arena_printf(op->arena, "%lld", (long long)op->error.retry_after_seconds)};
    }
    for (size_t i = 0; i < op->warning_count && n < MOST_HEADERS; i++) {
        headers[n++] =
            (struct http_header){STR("Warning"), warning_header(op->arena, op->warnings[i])};
    }
    if (n == 0 && op->part_count > 1) {
        http_reply_parts(exchange, op->status, type, op->parts, op->part_count);
        return;
    }
    struct blob *body = api_op_body(op);
    http_reply(exchange, op->status, type, headers, n, body);
    blob_unref(body);
}

// ---- Calls under way ----
static void link_call(struct apiserver_http *front, struct front_call *call) {
    call->front = front;
    call->next = front->calls;
    call->link = &front->calls;
    if (front->calls) {
        front->calls->link = &call->next;
    }
    front->calls = call;
}

void front_call_detach(struct front_call *call) {
    if (call->front) {
        *call->link = call->next;
        if (call->next) {
            call->next->link = call->link;
        }
        call->front = NULL;
    }
}

static void finish(struct api_op *op) {
    struct front_call *call = op->ctx;
    if (call->exchange) {
        if (op->cancelled) {
            struct api_error error = {0};
            api_error_set(&error, op->arena, 503, "ServiceUnavailable",
                          "the server is shutting down");
            error.retry_after_seconds = 1;
            front_reply_error(call->exchange, &error);
        } else {
            reply_op(op, call->exchange);
        }
    }
    front_call_detach(call);
    free(call);
    api_op_destroy(op);
}

static void client_left(void *ctx) {
    struct front_call *call = ctx;
    call->exchange = NULL; // what was changed stays changed
    api_op_cancel(call->op);
}

static void run_op(struct apiserver_http *front, struct http_exchange *exchange,
                   struct api_op *op) {
    struct front_call *call = NEW(struct front_call);
    call->exchange = exchange;
    call->op = op;
    link_call(front, call);
    op->ctx = call;
    http_exchange_on_abort(exchange, client_left, call);
    api_op_run(op);
}

// ---- Requests ----
static bool serve_simple(struct apiserver_http *front, struct http_exchange *exchange) {
    const struct http_request *request = http_exchange_request(exchange);
    struct str path = request->path;
    if (!str_eq(path, STR("/healthz")) && !str_eq(path, STR("/livez")) &&
        !str_eq(path, STR("/readyz"))) {
        return false;
    }
    bool ready = apiserver_is_ready(front->server) || str_eq(path, STR("/livez"));
    http_reply_text(exchange, ready ? 200 : 503, STR("text/plain; charset=utf-8"),
                    ready ? STR("ok") : STR("not ready"));
    return true;
}

static const struct api_user *find_user(struct apiserver_http *front,
                                        struct http_exchange *exchange) {
    const struct http_request *request = http_exchange_request(exchange);
    if (request->client_cert_name.n) {
        static const struct str groups[] = {STR_INIT("system:authenticated")};
        front->cert_user = (struct api_user){
            .name = request->client_cert_name, .groups = groups, .group_count = 1};
        return &front->cert_user;
    }
    return api_tokens_find(front->tokens, http_exchange_header(exchange, STR("Authorization")));
}

static void refuse(struct http_exchange *exchange) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct api_error error = {0};
    api_error_set(&error, arena, 401, "Unauthorized", "Unauthorized");
    reply_error(exchange, arena, &error);
}

static bool parse(struct http_exchange *exchange, struct api_op *op) {
    const struct http_request *request = http_exchange_request(exchange);
    if (!api_request_parse(op->arena, request->method, request->path, request->query, &op->request,
                           &op->error) ||
        !api_request_accept(op->arena, http_exchange_header(exchange, STR("Accept")), &op->request,
                            &op->error)) {
        return false;
    }
    op->request.body = request->body;
    bool has_body = op->request.verb == API_VERB_CREATE || op->request.verb == API_VERB_UPDATE ||
                    op->request.verb == API_VERB_PATCH || request->body.n > 0;
    return !has_body ||
           api_request_content_type(op->arena, http_exchange_header(exchange, STR("Content-Type")),
                                    &op->request, &op->error);
}

void apiserver_http_handle(void *ctx, struct http_exchange *exchange) {
    struct apiserver_http *front = ctx;
    if (serve_simple(front, exchange)) {
        return;
    }
    bool is_version = str_eq(http_exchange_request(exchange)->path, STR("/version"));
    const struct api_user *user = find_user(front, exchange);
    if (!user && !is_version) {
        refuse(exchange);
        return;
    }
    if (front_serve_discovery(front, exchange) || front_serve_unknown(front, exchange)) {
        return;
    }
    struct api_op *op = api_op_create(front->server, finish);
    op->user = user ? *user : (struct api_user){0};
    op->authorize = true;
    op->user_agent = http_exchange_header(exchange, STR("User-Agent"));
    if (!parse(exchange, op)) {
        reply_error(exchange, op->arena, &op->error);
        api_op_destroy(op);
        return;
    }
    if (op->request.verb == API_VERB_WATCH) {
        front_watch_start(front, exchange, op);
        return;
    }
    run_op(front, exchange, op);
}
