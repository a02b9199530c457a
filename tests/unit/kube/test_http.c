// SPDX-License-Identifier: Apache-2.0
// The HTTP client against a server of the test in the same process: headers, refusals, credentials, streams, the end.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "http/server.h"
#include "kube/kubeconfig.h"
#include "kube/simple.h"

static const struct kube_gvr pods = {.version = STR_INIT("v1"), .resource = STR_INIT("pods")};

struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_client *http;
    struct kube_client *client;
    struct arena *arena;
    struct kube_config config;
    unsigned requests;
    // what the server saw last
    struct str method, path, query, body, authorization, type, agent, user, groups;
    // what it answers
    int status;
    const char *reply, *retry_after;
    const char *good_token;    // others get 401
    const char *const *stream; // pieces of a watch, then its end
    bool stream_stays;
    bool silent; // never answers
    struct http_stream *open;
    // what the client got
    unsigned done, ends;
    struct err end;
    int64_t retry_after_ns;
    char events[4096];
    uint64_t watch;
    bool cancel_on_event, destroy_on_event;
};

static struct str keep(struct world *w, struct str s) {
    return arena_dup(w->arena, s);
}

static void on_close(void *ctx) {
    struct world *w = ctx;
    w->open = NULL;
}

static void send_stream(struct world *w, struct http_exchange *exchange) {
    struct http_stream *stream =
        http_stream_start(exchange, 200, STR("application/json"), on_close, w);
    for (size_t i = 0; w->stream[i]; i++) {
        AUTO(blob_unref) struct blob *piece = blob_create(str_from(w->stream[i]));
        http_stream_write(stream, piece);
    }
    if (w->stream_stays) {
        w->open = stream;
    } else {
        http_stream_end(stream);
    }
}

static void went_away(void *ctx) {
}

static void on_request(void *ctx, struct http_exchange *exchange) {
    struct world *w = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    w->requests++;
    w->method = keep(w, request->method);
    w->path = keep(w, request->path);
    w->query = keep(w, request->query);
    w->body = keep(w, request->body);
    w->authorization = keep(w, http_exchange_header(exchange, STR("authorization")));
    w->type = keep(w, http_exchange_header(exchange, STR("content-type")));
    w->agent = keep(w, http_exchange_header(exchange, STR("user-agent")));
    w->user = keep(w, http_exchange_header(exchange, STR("impersonate-user")));
    w->groups = keep(w, http_exchange_header(exchange, STR("impersonate-group")));
    if (w->silent) {
        http_exchange_on_abort(exchange, went_away, w);
        return;
    }
    if (w->good_token) {
        struct str want = arena_printf(w->arena, "Bearer %s", w->good_token);
        if (!str_eq(want, w->authorization)) {
            http_reply_text(
                exchange, 401, STR("application/json"),
                STR("{\"kind\":\"Status\",\"reason\":\"Unauthorized\",\"message\":\"who?\"}"));
            return;
        }
    }
    if (w->stream && str_has(request->query, STR("watch=true")) && w->status == 200) {
        send_stream(w, exchange);
        return;
    }
    AUTO(blob_unref) struct blob *body = blob_create(str_from(w->reply));
    struct http_header header = {STR("Retry-After"), str_from(w->retry_after)};
    http_reply(exchange, w->status, STR("application/json"), &header, w->retry_after ? 1 : 0, body);
}

static void make_client(struct world *w, double qps) {
    struct kube_http_options options = {
        .config = &w->config, .qps = qps, .burst = 1, .user_agent = STR("agent/1")};
    w->client = kube_http_client_create(w->loop, w->http, &options);
}

static int setup(void **state) {
    struct world *w = NEW(struct world);
    struct err err = {0};
    assert_true(log_configure(STR("off"), false, &err));
    w->arena = arena_create();
    w->loop = loop_create(1);
    w->http = http_client_create(w->loop);
    struct http_server_options options = {
        .listen = STR("127.0.0.1:0"), .handle = on_request, .ctx = w};
    w->server = http_server_start(w->loop, &options, &err);
    if (!w->server) {
        fail_msg("%s", err.message);
    }
    w->config.server =
        arena_printf(w->arena, "http://127.0.0.1:%u/prefix", http_server_port(w->server));
    w->status = 200;
    w->reply = "{}";
    make_client(w, 0);
    *state = w;
    return 0;
}

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static void run_for(struct world *w, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(w->loop, stop_loop, w->loop);
    loop_timer_start(timer, ns);
    loop_run(w->loop);
    loop_timer_destroy(timer);
}

static int teardown(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    http_client_destroy(w->http);
    run_for(w, 10 * NS_PER_MS);
    http_server_stop(w->server);
    run_for(w, 10 * NS_PER_MS);
    loop_destroy(w->loop);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static bool get(struct world *w, struct kube_answer *answer, struct err *err) {
    struct kube_request request = {
        .verb = KUBE_GET, .gvr = pods, .ns = STR("a b"), .name = STR("p"), .grace_seconds = -1};
    return kube_call_wait(w->loop, w->client, &request, w->arena, answer, err);
}

static void test_what_is_sent(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    struct str groups[] = {STR("g1")};
    w->config.token = STR("secret");
    w->config.as_user = STR("jane");
    w->config.as_groups = groups;
    w->config.as_group_count = 1;
    make_client(w, 0);
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .gvr = pods,
                                   .ns = STR("a b"),
                                   .name = STR("p"),
                                   .body = STR("{\"x\":1}"),
                                   .patch = KUBE_PATCH_MERGE,
                                   .field_manager = STR("m"),
                                   .dry_run = true};
    struct kube_answer answer;
    struct err err = {0};
    assert_true(kube_call_wait(w->loop, w->client, &request, w->arena, &answer, &err));
    assert_string_equal(w->method.p, "PATCH");
    assert_string_equal(w->path.p, "/prefix/api/v1/namespaces/a%20b/pods/p");
    assert_string_equal(w->query.p, "dryRun=All&fieldManager=m");
    assert_string_equal(w->body.p, "{\"x\":1}");
    assert_string_equal(w->type.p, "application/merge-patch+json");
    assert_string_equal(w->authorization.p, "Bearer secret");
    assert_string_equal(w->agent.p, "agent/1");
    assert_string_equal(w->user.p, "jane");
    assert_string_equal(w->groups.p, "g1");
    assert_true(str_eq(answer.body, STR("{}")));
}

static void test_basic(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    w->config.username = STR("Aladdin");
    w->config.password = STR("open sesame");
    make_client(w, 0);
    struct kube_answer answer;
    struct err err = {0};
    assert_true(get(w, &answer, &err));
    assert_string_equal(w->authorization.p, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static void note_reply(void *ctx, const struct kube_reply *reply) {
    struct world *w = ctx;
    w->done++;
    w->retry_after_ns = reply->retry_after_ns;
    if (reply->error) {
        w->end = *reply->error;
    }
    loop_stop(w->loop);
}

static void test_refusals(void **state) {
    struct world *w = *state;
    struct kube_answer answer;
    struct err err = {0};
    w->status = 409;
    w->reply = "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"it is there\"}";
    assert_false(get(w, &answer, &err));
    assert_int_equal(err.code, ERR_EXISTS);
    assert_string_equal(err.message, "it is there");
    assert_true(str_eq(answer.reason, STR("AlreadyExists")));
    assert_int_equal(answer.status, 409);
    w->status = 429;
    w->retry_after = "7";
    struct kube_request request = {.verb = KUBE_GET, .gvr = pods, .name = STR("p")};
    w->client->ops->call(w->client, &request, note_reply, w);
    assert_int_equal(w->done, 0); // never from inside the call
    loop_run(w->loop);
    assert_true(w->retry_after_ns == 7 * NS_PER_SECOND);
    // A request that cannot be made: an answer too, later, and nothing is sent.
    unsigned before = w->requests;
    request.verb = KUBE_DELETE;
    request.name = STR("");
    w->client->ops->call(w->client, &request, note_reply, w);
    assert_int_equal(w->done, 1);
    loop_run(w->loop);
    assert_int_equal(w->done, 2);
    assert_int_equal(w->end.code, ERR_INVALID);
    w->client->ops->get_raw(w->client, STR("/a b"), STR(""), note_reply, w);
    loop_run(w->loop);
    assert_int_equal(w->end.code, ERR_INVALID);
    assert_int_equal(w->requests, before);
}

static void test_nobody_there(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    w->config.server = STR("http://127.0.0.1:1");
    make_client(w, 0);
    struct kube_answer answer;
    struct err err = {0};
    assert_false(get(w, &answer, &err));
    assert_int_equal(answer.status, 0);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static void write_token(const char *path, const char *token) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(token, file);
    fclose(file);
}

static void test_token_file_rotates(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    char path[] = "/tmp/skiff-token-XXXXXX";
    close(mkstemp(path));
    write_token(path, "one\n");
    w->config.token_file = str_from(path);
    make_client(w, 0);
    w->good_token = "one";
    struct kube_answer answer;
    struct err err = {0};
    assert_true(get(w, &answer, &err));
    w->good_token = "number two";
    write_token(path, "number two\n");
    unsigned before = w->requests;
    assert_true(get(w, &answer, &err)); // refused once, read again, sent again
    assert_int_equal(w->requests, before + 2);
    w->good_token = "another";
    before = w->requests;
    assert_false(get(w, &answer, &err)); // nothing newer is there
    assert_int_equal(err.code, ERR_UNAUTHORIZED);
    assert_int_equal(w->requests, before + 1);
    unlink(path);
}

static void test_exec(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    struct str argv[] = {
        STR("sh"), STR("-c"),
        STR("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication."
            "k8s.io/v1\",\"status\":{\"token\":\"'$WHO'\"}}'")};
    struct str env[] = {STR("WHO=program")};
    w->config.exec_argv = argv;
    w->config.exec_argc = 3;
    w->config.exec_env = env;
    w->config.exec_env_count = 1;
    make_client(w, 0);
    w->good_token = "program";
    for (int i = 0; i < 5; i++) { // several wait for one run
        struct kube_request request = {.verb = KUBE_GET, .gvr = pods, .name = STR("p")};
        w->client->ops->call(w->client, &request, note_reply, w);
    }
    while (w->done < 5) {
        loop_run(w->loop);
    }
    assert_int_equal(w->end.code, ERR_NONE);
    assert_int_equal(w->requests, 5);
    kube_client_destroy(w->client);
    argv[0] = STR("no-such-program-anywhere");
    make_client(w, 0);
    struct kube_answer answer;
    struct err err = {0};
    assert_false(get(w, &answer, &err));
    assert_non_null(strstr(err.message, "no-such-program-anywhere"));
    // Destroyed while the program runs.
    kube_client_destroy(w->client);
    argv[0] = STR("sh");
    argv[2] = STR("sleep 60");
    make_client(w, 0);
    struct kube_request request = {.verb = KUBE_GET, .gvr = pods, .name = STR("p")};
    w->client->ops->call(w->client, &request, note_reply, w);
    kube_client_destroy(w->client);
    assert_int_equal(w->end.code, ERR_CANCELLED);
    make_client(w, 0);
    run_for(w, 100 * NS_PER_MS);
}

static void test_rate_limit_keeps_order(void **state) {
    struct world *w = *state;
    kube_client_destroy(w->client);
    make_client(w, 1000);
    struct kube_request request = {.verb = KUBE_GET, .gvr = pods, .name = STR("p")};
    uint64_t ids[20];
    for (int i = 0; i < 20; i++) {
        ids[i] = w->client->ops->call(w->client, &request, note_reply, w);
    }
    w->client->ops->cancel(w->client, ids[10]);
    w->client->ops->cancel(w->client, ids[19]);
    w->client->ops->cancel(w->client, ids[19]);
    while (w->done < 20) {
        loop_run(w->loop);
    }
    assert_int_equal(w->requests, 18);
    assert_int_equal(w->end.code, ERR_CANCELLED);
}

// Only who leads writes: also what already waited when the end of its time came stays here.
static void test_fence(void **state) {
    struct world *w = *state;
    struct kube_fence fence = {.loop = w->loop};
    struct kube_http_options options = {
        .config = &w->config, .user_agent = STR("agent/1"), .fence = &fence};
    kube_client_destroy(w->client);
    w->client = kube_http_client_create(w->loop, w->http, &options);
    struct kube_request write = {
        .verb = KUBE_PATCH, .gvr = pods, .name = STR("p"), .body = STR("{}"), .grace_seconds = -1};
    struct kube_answer answer;
    struct err err = {0};
    assert_false(kube_call_wait(w->loop, w->client, &write, w->arena, &answer, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(w->requests, 0);
    assert_true(get(w, &answer, &err)); // reads pass
    assert_int_equal(w->requests, 1);
    const int64_t hour = 3600 * NS_PER_SECOND;
    fence.is_open = true;
    fence.until_ns = loop_now(w->loop) + hour;
    fence.until_wall_ns = loop_wall(w->loop) + hour;
    assert_true(kube_call_wait(w->loop, w->client, &write, w->arena, &answer, &err));
    assert_int_equal(w->requests, 2);
    assert_int_equal(fence.writes, 0);
    // One waits for the rate limit while the wall clock says that its time is over.
    kube_client_destroy(w->client);
    options.qps = options.burst = 1;
    w->client = kube_http_client_create(w->loop, w->http, &options);
    w->client->ops->call(w->client, &write, note_reply, w);
    w->client->ops->call(w->client, &write, note_reply, w);
    fence.until_wall_ns = loop_wall(w->loop) - 1;
    while (w->done < 2) {
        loop_run(w->loop);
    }
    assert_int_equal(w->end.code, ERR_CANCELLED);
    assert_int_equal(w->requests, 3);
    kube_client_destroy(w->client);
    options.qps = 0;
    w->client = kube_http_client_create(w->loop, w->http, &options);
    // One is under way when the client ends.
    fence.until_wall_ns = loop_wall(w->loop) + hour;
    w->silent = true;
    w->client->ops->call(w->client, &write, note_reply, w);
    run_for(w, 200 * NS_PER_MS);
    assert_int_equal(fence.writes, 1);
    kube_client_destroy(w->client);
    assert_int_equal(fence.writes, 0);
    make_client(w, 0);
}

static void test_cancel_and_destroy(void **state) {
    struct world *w = *state;
    w->silent = true;
    struct kube_request request = {.verb = KUBE_GET, .gvr = pods, .name = STR("p")};
    uint64_t id = w->client->ops->call(w->client, &request, note_reply, w);
    run_for(w, 50 * NS_PER_MS);
    w->client->ops->cancel(w->client, id);
    assert_int_equal(w->done, 0);
    loop_run(w->loop);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->end.code, ERR_CANCELLED);
    w->client->ops->call(w->client, &request, note_reply, w);
    run_for(w, 50 * NS_PER_MS);
    w->client->ops->call(w->client, &request, note_reply, w);
    kube_client_destroy(w->client);
    assert_int_equal(w->done, 3);
    make_client(w, 0);
}

// ---- Watches ----

static void on_event(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    struct world *w = ctx;
    size_t n = strlen(w->events);
    snprintf(w->events + n, sizeof w->events - n, "%d%.*s ", (int)event,
             STR_ARG(str_first(object, 40)));
    if (w->cancel_on_event) {
        w->client->ops->cancel(w->client, w->watch);
    }
    if (w->destroy_on_event) {
        w->destroy_on_event = false;
        kube_client_destroy(w->client);
        w->client = NULL;
    }
}

static void on_end(void *ctx, const struct err *error) {
    struct world *w = ctx;
    w->ends++;
    w->end = error ? *error : (struct err){0};
    loop_stop(w->loop);
}

static void watch(struct world *w, const char *const *stream) {
    w->stream = stream;
    w->events[0] = '\0';
    w->ends = 0;
    struct kube_watch_request request = {.gvr = pods, .resource_version = STR("5")};
    struct kube_watch_handler handler = {on_event, on_end, w};
    w->watch = w->client->ops->watch(w->client, &request, &handler);
    assert_int_equal(w->ends, 0);
    loop_run(w->loop);
    assert_int_equal(w->ends, 1);
}

static void test_watch(void **state) {
    struct world *w = *state;
    static const char *const plain[] = {"{\"type\":\"ADDED\",\"obj",
                                        "ect\":{\"a\":1}}\n{\"type\":\"BOOKMARK\",",
                                        "\"object\":{}}\n", NULL};
    watch(w, plain);
    assert_string_equal(w->events, "0{\"a\":1} 3{} ");
    assert_int_equal(w->end.code, ERR_NONE);
    assert_true(str_has(w->query, STR("resourceVersion=5")));
    static const char *const gone[] = {"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\","
                                       "\"reason\":\"Expired\",\"code\":410}}\n",
                                       NULL};
    watch(w, gone);
    assert_int_equal(w->end.code, ERR_GONE);
    static const char *const broken[] = {"{\"type\":\"ADDED\",\"object\":{}}\nnonsense\n", NULL};
    watch(w, broken);
    assert_string_equal(w->events, "0{} ");
    assert_int_equal(w->end.code, ERR_INVALID);
    w->status = 410;
    w->reply = "{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}";
    watch(w, plain);
    assert_int_equal(w->end.code, ERR_GONE);
    assert_string_equal(w->events, "");
    w->status = 403;
    w->reply = "no";
    watch(w, plain);
    assert_int_equal(w->end.code, ERR_FORBIDDEN);
}

static void test_watch_limit(void **state) {
    struct world *w = *state;
    char *big = xmalloc(LIMIT_WATCH_EVENT + 100);
    memset(big, ' ', LIMIT_WATCH_EVENT + 99);
    big[LIMIT_WATCH_EVENT + 99] = '\0';
    const char *const stream[] = {"{\"type\":\"ADDED\",\"object\":{}}\n", big, NULL};
    watch(w, stream);
    assert_int_equal(w->end.code, ERR_LIMIT);
    assert_string_equal(w->events, "0{} ");
    free(big);
}

static void test_watch_cancelled_inside(void **state) {
    struct world *w = *state;
    static const char *const two[] = {
        "{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"ADDED\",\"object\":{}}\n", NULL};
    w->stream_stays = true;
    w->cancel_on_event = true;
    watch(w, two);
    assert_string_equal(w->events, "0{} ");
    assert_int_equal(w->end.code, ERR_CANCELLED);
    w->cancel_on_event = false;
    w->destroy_on_event = true;
    watch(w, two);
    assert_string_equal(w->events, "0{} ");
    assert_int_equal(w->end.code, ERR_CANCELLED);
    make_client(w, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_what_is_sent),
        T(test_basic),
        T(test_refusals),
        T(test_nobody_there),
        T(test_token_file_rotates),
        T(test_exec),
        T(test_rate_limit_keeps_order),
        T(test_fence),
        T(test_cancel_and_destroy),
        T(test_watch),
        T(test_watch_limit),
        T(test_watch_cancelled_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
