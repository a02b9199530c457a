// SPDX-License-Identifier: Apache-2.0
// The HTTP front end: who asks (http_auth.c), what for, whether that is allowed and whether there is room for it now; and
// the reply in the form that was asked for (http_reply.c). Streams of watches are in http_watch.c.
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
    server->tokens = tokens;
    return front;
}

bool apiserver_http_audit(struct apiserver_http *front, const char *path, int64_t max_bytes,
                          unsigned files, struct err *err) {
    front->audit = audit_log_create(front->server->loop, path, max_bytes, files, err);
    return front->audit != NULL;
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
    front_squeezes_end(front);
    front->server->tokens = NULL;
    audit_log_destroy(front->audit);
    api_tokens_destroy(front->tokens);
    free(front);
}

// ---- Calls under way ----
static void link_call(struct front_call *call) {
    struct apiserver_http *front = call->front;
    call->next = front->calls;
    call->link = &front->calls;
    if (front->calls) {
        front->calls->link = &call->next;
    }
    front->calls = call;
}

void front_call_detach(struct front_call *call) {
    struct apiserver_http *front = call->front;
    if (call->counted) {
        *(call->writing ? &front->writing : &front->reading) -= 1;
        call->counted = false;
    }
    if (call->link) {
        *call->link = call->next;
        if (call->next) {
            call->next->link = call->link;
        }
        call->link = NULL;
    }
    call->front = NULL;
}

static void finish(struct api_op *op) {
    struct front_call *call = op->ctx;
    bool open = call->front != NULL; // else the front end was closed before its server
    if (call->exchange && open) {
        if (op->cancelled) {
            api_error_set(&op->error, op->arena, 503, "ServiceUnavailable",
                          "the server is shutting down");
            op->error.retry_after_seconds = 1;
            front_reply_error(call);
        } else {
            front_reply(call);
        }
    } else if (call->exchange) {
        http_reply(call->exchange, 503, STR("application/json"), NULL, 0, NULL);
    }
    if (open) {
        front_call_detach(call);
    }
    api_op_destroy(op);
}

static void client_left(void *ctx) {
    ((struct front_call *)ctx)->exchange = NULL; // what was changed stays changed
}

static void fail(struct front_call *call) {
    front_reply_error(call);
    api_op_destroy(call->op);
}

// ---- What is not a resource ----
static bool is_get(const struct http_request *request) {
    return str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD"));
}

static void reply_text(struct front_call *call, int status, struct str text) {
    struct blob *body = blob_create(text);
    front_reply_blob(call, status, STR("text/plain; charset=utf-8"), body);
    blob_unref(body);
}

static bool serve_health(struct front_call *call, const struct http_request *request) {
    static const char *const paths[] = {"/healthz", "/livez", "/readyz"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct str path = str_from(paths[i]);
        struct str rest = str_skip(request->path, path.n);
        if (!str_starts(request->path, path) ||
            (rest.n && !str_eq(rest, STR("/")) && !str_eq(rest, STR("/ping")))) {
            continue;
        }
        bool ready = apiserver_is_ready(call->front->server) || i == 1;
        bool verbose =
            str_eq(request->query, STR("verbose")) || str_starts(request->query, STR("verbose="));
        struct str text = ready ? STR("ok") : STR("not ready");
        if (verbose) {
            text = arena_printf(call->op->arena, "[+]ping ok\n[%c]store %s\n%s check %s\n",
                                ready ? '+' : '-', ready ? "ok" : "failed", paths[i] + 1,
                                ready ? "passed" : "failed");
        }
        reply_text(call, ready ? 200 : 503, text);
        return true;
    }
    return false;
}

static bool serve_issuer(struct front_call *call, const struct http_request *request) {
    struct apiserver *server = call->front->server;
    struct arena *arena = call->op->arena;
    bool keys = str_eq(request->path, STR("/openid/v1/jwks"));
    if (!server->accounts ||
        (!keys && !str_eq(request->path, STR("/.well-known/openid-configuration")))) {
        return false;
    }
    const struct sign_key *key = api_accounts_key(server->accounts);
    struct str text;
    call->cache = STR("public, max-age=3600");
    if (keys) {
        struct doc_value set = jwt_key_set(key, arena);
        text = doc_to_json(arena, &set);
    } else {
        struct str issuer = api_accounts_issuer(server->accounts);
        struct str host = http_exchange_header(call->exchange, STR("Host"));
        struct doc_value uri =
            doc_make_str(arena_printf(arena, "https://%.*s/openid/v1/jwks", STR_ARG(host)));
        struct doc_value name = doc_make_str(issuer);
        text = arena_printf(arena,
                            "{\"issuer\":%.*s,\"jwks_uri\":%.*s,\"response_types_supported\":"
                            "[\"id_token\"],\"subject_types_supported\":[\"public\"],"
                            "\"id_token_signing_alg_values_supported\":[\"%s\"]}",
                            STR_ARG(doc_to_json(arena, &name)), STR_ARG(doc_to_json(arena, &uri)),
                            sign_key_algorithm(key));
    }
    struct blob *body = blob_create(text);
    front_reply_blob(call, 200, keys ? STR("application/jwk-set+json") : STR("application/json"),
                     body);
    blob_unref(body);
    return true;
}

// What the process counts, as it is served on the other port too; rules say who may see it.
static bool serve_metrics(struct front_call *call, const struct http_request *request) {
    struct metrics *metrics = call->front->server->metrics;
    if (!metrics || !str_eq(request->path, STR("/metrics"))) {
        return false;
    }
    AUTO_BUF struct buf text;
    buf_init(&text, FRONT_METRICS);
    if (!metrics_print(metrics, &text)) {
        reply_text(call, 500, STR("the metrics are too large\n"));
        return true;
    }
    struct blob *body = blob_from_buf(&text);
    front_reply_blob(call, 200, STR("text/plain; version=0.0.4; charset=utf-8"), body);
    blob_unref(body);
    return true;
}

static struct str path_verb(struct arena *arena, struct str method) {
    char *verb = arena_cstr(arena, method);
    for (size_t i = 0; i < method.n; i++) {
        verb[i] = verb[i] >= 'A' && verb[i] <= 'Z' ? (char)(verb[i] + 32) : verb[i];
    }
    return (struct str){verb, method.n};
}

// Without RBAC what is not public is for those who are somebody.
static bool check_somebody(struct front_call *call, bool open_to_all) {
    bool nobody = authz_has_group(&call->op->user, STR("system:unauthenticated"));
    if (call->front->server->authz || open_to_all || !nobody) {
        return true;
    }
    return api_error_set(&call->op->error, call->op->arena, 401, "Unauthorized", "Unauthorized");
}

static void serve_path(struct front_call *call) {
    const struct http_request *request = http_exchange_request(call->exchange);
    struct api_op *op = call->op;
    struct api_error problem = op->error; // why it is not a resource's
    bool open_to_all =
        str_eq(request->path, STR("/version")) || str_starts(request->path, STR("/healthz")) ||
        str_starts(request->path, STR("/livez")) || str_starts(request->path, STR("/readyz"));
    op->error = (struct api_error){0};
    call->allowed =
        check_somebody(call, open_to_all) &&
        api_authz_check_path(call->front->server, &op->user, path_verb(op->arena, request->method),
                             request->path, op->arena, &op->error);
    if (!call->allowed) {
        fail(call);
        return;
    }
    if (is_get(request) && (serve_health(call, request) || serve_issuer(call, request) ||
                            serve_metrics(call, request) || front_serve_discovery(call))) {
        api_op_destroy(op);
        return;
    }
    if (problem.status && problem.status != 404) {
        op->error = problem;
        fail(call);
        return;
    }
    http_exchange_add_header(call->exchange,
                             (struct http_header){STR("X-Content-Type-Options"), STR("nosniff")});
    reply_text(call, 404, STR("404 page not found\n"));
    api_op_destroy(op);
}

// ---- Resources ----
static bool parse_headers(struct front_call *call) {
    struct api_op *op = call->op;
    const struct http_request *request = http_exchange_request(call->exchange);
    if (!api_request_accept(op->arena, http_exchange_header(call->exchange, STR("Accept")),
                            &op->request, &op->error)) {
        return false;
    }
    op->request.body = request->body;
    bool has_body = op->request.verb == API_VERB_CREATE || op->request.verb == API_VERB_UPDATE ||
                    op->request.verb == API_VERB_PATCH || request->body.n > 0;
    return !has_body || api_request_content_type(
                            op->arena, http_exchange_header(call->exchange, STR("Content-Type")),
                            &op->request, &op->error);
}

static bool has_room(struct front_call *call) {
    struct apiserver_http *front = call->front;
    enum api_verb verb = call->op->request.verb;
    call->writing = verb != API_VERB_GET && verb != API_VERB_LIST && verb != API_VERB_WATCH;
    size_t *count = call->writing ? &front->writing : &front->reading;
    // Who takes no replies must not lock out those who ask for one object: only what may be large waits at first.
    bool large = verb == API_VERB_LIST || verb == API_VERB_WATCH;
    size_t backlog = http_exchange_server_backlog(call->exchange);
    if (*count >= (size_t)(call->writing ? FRONT_WRITING : FRONT_READING) ||
        backlog > (size_t)FRONT_BACKLOG * (large ? 1 : 2)) {
        api_error_set(&call->op->error, call->op->arena, 429, "TooManyRequests",
                      "Too many requests, please try again later.");
        call->op->error.retry_after_seconds = 1;
        return false;
    }
    call->counted = true;
    ++*count;
    return true;
}

static void serve_resource(struct front_call *call) {
    struct api_op *op = call->op;
    bool watch = op->request.verb == API_VERB_WATCH;
    if (!check_somebody(call, false) || !has_room(call)) {
        fail(call);
        return;
    }
    link_call(call);
    bool parsed = parse_headers(call);
    // Operations ask for themselves; what does not become one asks here, before it is told what is wrong with it.
    struct api_error problem = op->error;
    call->allowed = true;
    bool known = api_kind_find(op->server, &op->request.gvr) != NULL;
    if (!parsed || watch || !known) {
        op->error = (struct api_error){0};
        call->allowed = api_authz_check(op);
        op->error = call->allowed ? problem : op->error;
    }
    if (!parsed || !call->allowed) {
        api_op_fill_error(op);
        finish(op);
    } else if (!known && front_serve_unknown(call)) {
        front_call_detach(call);
        api_op_destroy(op);
    } else if (watch) {
        front_watch_start(call);
    } else {
        http_exchange_on_abort(call->exchange, client_left, call);
        api_op_run(op);
    }
}

void apiserver_http_handle(void *ctx, struct http_exchange *exchange) {
    struct apiserver_http *front = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    struct api_op *op = api_op_create(front->server, finish);
    struct front_call *call = ARENA_NEW(op->arena, struct front_call);
    *call = (struct front_call){.front = front, .exchange = exchange, .op = op};
    call->received = loop_wall(front->server->loop);
    op->ctx = call;
    op->authorize = true;
    front_headers(call);
    bool parsed = api_request_parse(op->arena, request->method, request->path, request->query,
                                    &op->request, &op->error);
    struct api_error problem = op->error;
    op->error = (struct api_error){0};
    call->is_resource = op->request.gvr.resource.n > 0;
    if (!front_authenticate(call) || !front_impersonate(call)) {
        fail(call);
        return;
    }
    if (request->body_cut) {
        api_error_set(&op->error, op->arena, 413, "RequestEntityTooLarge",
                      "Request entity too large: limit is %d", LIMIT_HTTP_BODY);
        fail(call);
        return;
    }
    op->user_agent = arena_dup(op->arena, http_exchange_header(exchange, STR("User-Agent")));
    if (!call->is_resource) {
        op->error = problem;
        serve_path(call);
    } else if (!parsed) {
        call->allowed = check_somebody(call, false) && api_authz_check(op);
        op->error = call->allowed ? problem : op->error;
        fail(call);
    } else {
        serve_resource(call);
    }
}
