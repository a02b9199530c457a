// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"

static void on_abort(void *ctx) {
    struct rig *rig = ctx;
    rig->aborted++;
    rig->held = NULL;
}

static void on_close(void *ctx) {
    struct rig *rig = ctx;
    rig->closed++;
}

static void reply_many_parts(struct http_exchange *exchange) {
    enum { PARTS = 3000 };
    struct blob *parts[PARTS];
    for (int i = 0; i < PARTS; i++) {
        char text[64];
        snprintf(text, sizeof text, "%d,", i);
        parts[i] = blob_create(str_from(text));
    }
    http_reply_parts(exchange, 200, STR("text/plain"), parts, PARTS);
    for (int i = 0; i < PARTS; i++) {
        blob_unref(parts[i]); // the reply holds its own references
    }
}

static void describe(struct rig *rig, struct http_exchange *exchange) {
    const struct http_request *request = http_exchange_request(exchange);
    struct str text =
        arena_printf(rig->arena, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%zu", STR_ARG(request->method),
                     STR_ARG(request->path), STR_ARG(request->query),
                     STR_ARG(http_exchange_header(exchange, STR("X-test"))),
                     STR_ARG(http_exchange_header(exchange, STR("authorization"))),
                     STR_ARG(request->client_cert_name), request->body.n);
    size_t used = 0;
    rig->groups[0] = '\0';
    for (size_t i = 0; i < request->client_cert_group_count && used < sizeof rig->groups; i++) {
        used += (size_t)snprintf(rig->groups + used, sizeof rig->groups - used, "%.*s|",
                                 STR_ARG(request->client_cert_groups[i]));
    }
    struct http_header headers[] = {{STR("X-One"), STR("1")}, {STR("X-Empty"), STR("a b")}};
    AUTO(blob_unref) struct blob *body = blob_create(text);
    http_reply(exchange, 201, STR("text/plain; charset=utf-8"), headers, 2, body);
}

static void handle(void *ctx, struct http_exchange *exchange) {
    struct rig *rig = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    rig->handled++;
    if (str_eq_c(request->path, "/echo")) {
        http_reply_text(exchange, 200, STR("application/octet-stream"), request->body);
    } else if (str_eq_c(request->path, "/hold")) {
        rig->held = exchange;
    } else if (str_eq_c(request->path, "/abort")) {
        rig->held = exchange;
        http_exchange_on_abort(exchange, on_abort, rig);
    } else if (str_eq_c(request->path, "/parts")) {
        reply_many_parts(exchange);
    } else if (str_eq_c(request->path, "/stream")) {
        rig->streams[rig->stream_count++] =
            http_stream_start(exchange, 200, STR("application/json"), on_close, rig);
    } else if (str_eq_c(request->path, "/nothing")) {
        http_reply(exchange, 204, STR(""), NULL, 0, NULL);
    } else if (str_eq_c(request->path, "/redirect")) {
        struct http_header to = {STR("Location"),
                                 arena_printf(rig->arena, "%.*s", STR_ARG(request->query))};
        http_reply(exchange, 302, STR(""), &to, 1, NULL);
    } else {
        describe(rig, exchange);
    }
}

void rig_start(struct rig *rig, bool tls, const struct http_server_options *options) {
    struct err err = {0};
    struct http_server_options copy = options ? *options : (struct http_server_options){0};
    *rig = (struct rig){.loop = loop_create(1), .arena = arena_create(), .tls = tls};
    copy.listen = STR("127.0.0.1:0");
    copy.handle = handle;
    copy.ctx = rig;
    struct http_tls client_tls = {0};
    if (tls) {
        struct cert_pair ca;
        struct cert_pair pair;
        struct str names[] = {STR("127.0.0.1"), STR("api.example.test")};
        CHECK(cert_create_ca(STR("rig"), rig->arena, &ca, &err));
        CHECK(cert_create_server(&ca, names, 2, rig->arena, &pair, &err));
        copy.cert = pair.cert;
        copy.key = pair.key;
        client_tls.ca = rig->ca = ca.cert;
    }
    rig->server = http_server_start(rig->loop, &copy, &err);
    if (!rig->server) {
        fprintf(stderr, "%s\n", err.message);
    }
    CHECK(rig->server);
    rig->client = http_client_create(rig->loop);
    rig->target = http_target_create(&client_tls, STR(""), 0);
    snprintf(rig->base, sizeof rig->base, "%s://127.0.0.1:%u", tls ? "https" : "http",
             http_server_port(rig->server));
}

void rig_stop(struct rig *rig) {
    http_client_destroy(rig->client);
    http_server_stop(rig->server);
    http_target_destroy(rig->target);
    loop_destroy(rig->loop);
    arena_destroy(rig->arena);
}

static void on_done(void *ctx, const struct http_result *result) {
    struct rig *rig = ctx;
    rig->done++;
    rig->status = result->status;
    rig->error = result->error ? result->error->code : ERR_NONE;
    snprintf(rig->message, sizeof rig->message, "%.500s",
             result->error ? result->error->message : "");
    snprintf(rig->header, sizeof rig->header, "%.*s",
             STR_ARG(http_result_header(result, STR("content-TYPE"))));
    if (!rig->on_data) {
        snprintf(rig->body, sizeof rig->body, "%.*s", STR_ARG(str_first(result->body, 4000)));
        rig->body_len = result->body.n;
        rig->body_hash = str_hash(result->body);
    }
}

static void on_head(void *ctx, int status, const struct http_result *head) {
    (void)head;
    struct rig *rig = ctx;
    rig->heads++;
    rig->status = status;
}

static bool on_data(void *ctx, struct str chunk) {
    struct rig *rig = ctx;
    rig->data_calls++;
    return rig->on_data(rig, chunk);
}

uint64_t rig_begin(struct rig *rig, const char *method, const char *path, struct http_call call) {
    char url[512];
    snprintf(url, sizeof url, "%s%s", path[0] == '/' ? rig->base : "", path);
    call.target = call.target ? call.target : rig->target;
    call.method = str_from(method);
    call.url = str_from(url);
    call.done = on_done;
    call.on_head = on_head;
    call.on_data = rig->on_data ? on_data : NULL;
    call.ctx = rig;
    return http_client_start(rig->client, &call);
}

void rig_call(struct rig *rig, const char *method, const char *path, struct http_call call) {
    rig->done = 0;
    rig->heads = 0;
    rig->status = 0;
    uint64_t id = rig_begin(rig, method, path, call);
    CHECK(id != 0 && rig->done == 0);
    rig_run_until(rig, &rig->done, 1);
}

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

void rig_run(struct rig *rig, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(rig->loop, stop_loop, rig->loop);
    loop_timer_start(timer, ns);
    loop_run(rig->loop);
    loop_timer_destroy(timer);
}

void rig_run_until(struct rig *rig, const int *counter, int value) {
    for (int i = 0; i < 60000 && *counter < value; i++) {
        rig_run(rig, NS_PER_MS);
    }
}

int raw_connect(struct rig *rig) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(rig->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

void raw_send(int fd, struct str text) {
    while (text.n > 0) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0) {
            return; // the server has had enough
        }
        text = str_skip(text, (size_t)n);
    }
}

struct str raw_receive(struct rig *rig, int fd, const char *until) {
    struct buf got;
    buf_init(&got, 4 * MIB);
    for (int i = 0; i < 3000; i++) {
        char piece[4096];
        ssize_t n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0) {
            buf_add(&got, piece, (size_t)n);
            if (until && strstr(got.data, until)) {
                break;
            }
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else {
            rig_run(rig, NS_PER_MS);
        }
    }
    struct str out = arena_dup(rig->arena, buf_str(&got));
    buf_fini(&got);
    return out;
}
