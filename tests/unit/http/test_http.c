// SPDX-License-Identifier: Apache-2.0
// Server and client against each other over loopback, with TLS and without.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"
#include "rig.h"

static int setup_plain(void **state) {
    struct rig *rig = NEW(struct rig);
    rig_start(rig, false, NULL);
    *state = rig;
    return 0;
}

static int setup_tls(void **state) {
    struct rig *rig = NEW(struct rig);
    rig_start(rig, true, NULL);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    rig_stop(rig);
    free(rig);
    return 0;
}

static void assert_ok(struct rig *rig, int status) {
    if (rig->error != ERR_NONE) {
        print_error("%s\n", rig->message);
    }
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->error, ERR_NONE);
    assert_int_equal(rig->status, status);
    assert_int_equal(rig->heads, 1);
}

static void test_request_as_sent(void **state) {
    struct rig *rig = *state;
    struct http_header headers[] = {{STR("x-TEST"), STR("yes")},
                                    {STR("Authorization"), STR("Bearer t")}};
    rig_call(rig, "GET", "/apis/a%2Fb/c%20d?x=1&y=%41+",
             (struct http_call){.headers = headers, .header_count = 2});
    assert_ok(rig, 201);
    assert_string_equal(rig->body, "GET|/apis/a%2Fb/c%20d|x=1&y=%41+|yes|Bearer t||0");
    assert_string_equal(rig->header, "text/plain; charset=utf-8");
}

static void test_methods(void **state) {
    struct rig *rig = *state;
    static const struct {
        const char *method, *body, *expected;
    } rows[] = {
        {"GET", "", "GET|/x|||||0"},         {"POST", "", "POST|/x|||||0"},
        {"POST", "abc", "POST|/x|||||3"},    {"PUT", "abc", "PUT|/x|||||3"},
        {"PATCH", "{}", "PATCH|/x|||||2"},   {"DELETE", "", "DELETE|/x|||||0"},
        {"DELETE", "{}", "DELETE|/x|||||2"}, {"OPTIONS", "", "OPTIONS|/x|||||0"},
        {"BREW", "", "BREW|/x|||||0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rig_call(rig, rows[i].method, "/x", (struct http_call){.body = str_from(rows[i].body)});
        assert_ok(rig, 201);
        assert_string_equal(rig->body, rows[i].expected);
    }
    rig_call(rig, "HEAD", "/x", (struct http_call){0});
    assert_ok(rig, 201);
    assert_int_equal(rig->body_len, 0);
    rig_call(rig, "GET", "/nothing", (struct http_call){0});
    assert_ok(rig, 204);
}

static void test_echo_sizes(void **state) {
    struct rig *rig = *state;
    static const size_t sizes[] = {0, 1, 1000, 16383, 16384, 65537, 1000000, LIMIT_HTTP_BODY};
    char *text = xmalloc(LIMIT_HTTP_BODY);
    for (size_t i = 0; i < LIMIT_HTTP_BODY; i++) {
        text[i] = (char)(i * 31 + i / 997);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        rig_call(rig, "POST", "/echo", (struct http_call){.body = {text, sizes[i]}});
        assert_ok(rig, 200);
        assert_int_equal(rig->body_len, sizes[i]);
        assert_true(rig->body_hash == str_hash((struct str){text, sizes[i]}));
    }
    rig_call(rig, "POST", "/echo", (struct http_call){.body = {text, LIMIT_HTTP_BODY - 1}});
    free(text);
    assert_ok(rig, 200);
}

static void test_parts(void **state) {
    struct rig *rig = *state;
    rig_call(rig, "GET", "/parts", (struct http_call){0});
    assert_ok(rig, 200);
    AUTO_BUF struct buf expected;
    buf_init(&expected, MIB);
    for (int i = 0; i < 3000; i++) {
        buf_printf(&expected, "%d,", i);
    }
    assert_int_equal(rig->body_len, expected.len);
    assert_true(rig->body_hash == str_hash(buf_str(&expected)));
}

static void test_reply_later(void **state) {
    struct rig *rig = *state;
    rig->done = rig->heads = 0;
    rig_begin(rig, "GET", "/hold", (struct http_call){0});
    rig_run_until(rig, &rig->handled, 1);
    rig_run(rig, 20 * NS_PER_MS);
    assert_int_equal(rig->done, 0);
    http_reply_text(rig->held, 503, STR("text/plain"), STR("later"));
    assert_int_equal(rig->done, 0);
    rig_run_until(rig, &rig->done, 1);
    assert_ok(rig, 503);
    assert_string_equal(rig->body, "later");
}

static void test_many_at_once(void **state) {
    struct rig *rig = *state;
    rig->done = 0;
    for (int i = 0; i < 300; i++) {
        rig_begin(rig, "GET", "/x", (struct http_call){0});
    }
    rig_run_until(rig, &rig->done, 300);
    assert_int_equal(rig->done, 300);
    assert_int_equal(rig->error, ERR_NONE);
    assert_int_equal(rig->handled, 300);
}

// ---- Streams ----

static bool collect(struct rig *rig, struct str chunk) {
    if (rig->body_len + chunk.n < sizeof rig->body) {
        memcpy(rig->body + rig->body_len, chunk.p, chunk.n);
        rig->body[rig->body_len + chunk.n] = '\0';
    }
    rig->body_len += chunk.n;
    return true;
}

static void write_text(struct http_stream *stream, const char *text) {
    AUTO(blob_unref) struct blob *blob = blob_create(str_from(text));
    http_stream_write(stream, blob);
}

static void test_stream(void **state) {
    struct rig *rig = *state;
    rig->on_data = collect;
    rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true});
    rig_run_until(rig, &rig->handled, 1);
    struct http_stream *stream = rig->streams[0];
    rig_run_until(rig, &rig->heads, 1); // the head comes before there is any data
    assert_int_equal(rig->status, 200);
    write_text(stream, "one\n");
    rig_run(rig, 20 * NS_PER_MS);
    assert_string_equal(rig->body, "one\n");
    write_text(stream, "two\n");
    write_text(stream, "");
    write_text(stream, "three\n");
    assert_true(http_stream_backlog(stream) == 10);
    rig_run(rig, 20 * NS_PER_MS);
    assert_string_equal(rig->body, "one\ntwo\nthree\n");
    assert_true(http_stream_backlog(stream) == 0);
    write_text(stream, "last\n");
    http_stream_end(stream);
    rig_run_until(rig, &rig->done, 1);
    assert_ok(rig, 200);
    assert_string_equal(rig->body, "one\ntwo\nthree\nlast\n");
    assert_int_equal(rig->closed, 0); // its owner ended it
}

static void test_large_stream(void **state) {
    struct rig *rig = *state;
    rig->on_data = collect;
    rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true});
    rig_run_until(rig, &rig->handled, 1);
    struct blob *piece = blob_alloc(100 * 1000);
    memset(piece->data, 'x', piece->len);
    for (int i = 0; i < 100; i++) {
        http_stream_write(rig->streams[0], piece);
    }
    blob_unref(piece);
    http_stream_end(rig->streams[0]);
    rig_run_until(rig, &rig->done, 1);
    assert_ok(rig, 200);
    assert_int_equal(rig->body_len, 100 * 100 * 1000);
}

static void test_stream_client_cancels(void **state) {
    struct rig *rig = *state;
    rig->on_data = collect;
    uint64_t id = rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true});
    rig_run_until(rig, &rig->handled, 1);
    write_text(rig->streams[0], "one\n");
    rig_run(rig, 20 * NS_PER_MS);
    http_client_cancel(rig->client, id);
    http_client_cancel(rig->client, id);
    assert_int_equal(rig->done, 0);
    rig_run_until(rig, &rig->closed, 1);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->error, ERR_CANCELLED);
    assert_int_equal(rig->closed, 1);
    http_client_cancel(rig->client, id); // long over
    rig_run(rig, 5 * NS_PER_MS);
    assert_int_equal(rig->done, 1);
}

static bool refuse_data(struct rig *rig, struct str chunk) {
    (void)rig;
    (void)chunk;
    return false;
}

static void test_stream_receiver_refuses(void **state) {
    struct rig *rig = *state;
    rig->on_data = refuse_data;
    rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true});
    rig_run_until(rig, &rig->handled, 1);
    write_text(rig->streams[0], "one\n");
    rig_run_until(rig, &rig->closed, 1);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->error, ERR_CANCELLED);
    assert_int_equal(rig->closed, 1);
}

static void test_server_stops_streams(void **state) {
    struct rig *rig = *state;
    rig->on_data = collect;
    rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true});
    rig_run_until(rig, &rig->heads, 1);
    http_server_stop(rig->server);
    rig->server = NULL;
    assert_int_equal(rig->closed, 1);
    rig_run_until(rig, &rig->done, 1);
    assert_int_equal(rig->done, 1);
}

static void test_thousand_watchers(void **state) {
    struct rig *rig = *state;
    enum { N = 1000 };
    rig->on_data = collect;
    struct http_target *wide = http_target_create(&(struct http_tls){.ca = rig->ca}, STR(""), N);
    for (int i = 0; i < N; i++) {
        rig_begin(rig, "GET", "/stream", (struct http_call){.stream = true, .target = wide});
        if (i % 100 == 99) { // a slow machine shakes no thousand hands in the time a connection has
            rig_run_until(rig, &rig->heads, i + 1);
        }
    }
    http_target_destroy(wide); // the calls keep it
    assert_int_equal(rig->stream_count, N);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) {
            write_text(rig->streams[i], "0123456789");
        }
        rig_run(rig, 10 * NS_PER_MS);
    }
    // A short call is not held up by them.
    for (size_t i = 0; i < N / 2; i++) {
        http_stream_end(rig->streams[i]);
    }
    rig_run_until(rig, &rig->done, N / 2);
    assert_int_equal(rig->done, N / 2);
    assert_true(rig->body_len >= N / 2 * 30);
    // The rest is cut off from the client's side.
    http_client_destroy(rig->client);
    rig->client = http_client_create(rig->loop);
    assert_int_equal(rig->done, N);
    rig_run_until(rig, &rig->closed, N / 2);
    assert_int_equal(rig->closed, N / 2);
}

// ---- Clients that vanish ----

static void test_client_vanishes_while_held(void **state) {
    struct rig *rig = *state;
    uint64_t id = rig_begin(rig, "GET", "/abort", (struct http_call){0});
    rig_run_until(rig, &rig->handled, 1);
    http_client_cancel(rig->client, id);
    rig_run_until(rig, &rig->aborted, 1);
    assert_int_equal(rig->aborted, 1);
    assert_null(rig->held);
}

static void test_reply_into_the_void(void **state) {
    struct rig *rig = *state;
    uint64_t id = rig_begin(rig, "GET", "/hold", (struct http_call){.body = STR("body")});
    rig_run_until(rig, &rig->handled, 1);
    http_client_cancel(rig->client, id);
    rig_run(rig, 50 * NS_PER_MS);
    assert_true(str_eq_c(http_exchange_request(rig->held)->body, "body")); // still readable
    assert_int_equal(http_exchange_header(rig->held, STR("Host")).n, 0);
    http_reply_text(rig->held, 200, STR("text/plain"), STR("nobody reads this"));
}

static void never_closed(void *ctx) {
    struct rig *rig = ctx;
    rig->closed++;
}

static void test_stream_into_the_void(void **state) {
    struct rig *rig = *state;
    for (int ended = 0; ended < 2; ended++) {
        rig->handled = 0;
        rig->closed = 0;
        uint64_t id = rig_begin(rig, "GET", "/hold", (struct http_call){0});
        rig_run_until(rig, &rig->handled, 1);
        http_client_cancel(rig->client, id);
        rig_run(rig, 50 * NS_PER_MS);
        struct http_stream *stream =
            http_stream_start(rig->held, 200, STR("text/plain"), never_closed, rig);
        write_text(stream, "lost");
        if (ended) {
            http_stream_end(stream);
        }
        assert_int_equal(rig->closed, 0); // not inside the call
        rig_run(rig, 5 * NS_PER_MS);
        assert_int_equal(rig->closed, !ended);
    }
}

static void test_exchange_outlives_server(void **state) {
    struct rig *rig = *state;
    rig_begin(rig, "GET", "/hold", (struct http_call){0});
    rig_run_until(rig, &rig->handled, 1);
    http_server_stop(rig->server);
    rig->server = NULL;
    http_reply_text(rig->held, 200, STR("text/plain"), STR("too late"));
    rig_run_until(rig, &rig->done, 1);
    assert_int_equal(rig->error, ERR_UNAVAILABLE);
}

#define PLAIN(fn) \
    { "plain: " #fn, fn, setup_plain, teardown, NULL }
#define TLS(fn) \
    { "tls: " #fn, fn, setup_tls, teardown, NULL }
#define BOTH(fn) PLAIN(fn), TLS(fn)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(test_request_as_sent),
        BOTH(test_methods),
        BOTH(test_echo_sizes),
        BOTH(test_parts),
        BOTH(test_reply_later),
        BOTH(test_many_at_once),
        BOTH(test_stream),
        BOTH(test_large_stream),
        BOTH(test_stream_client_cancels),
        BOTH(test_stream_receiver_refuses),
        BOTH(test_server_stops_streams),
        BOTH(test_thousand_watchers),
        BOTH(test_client_vanishes_while_held),
        BOTH(test_reply_into_the_void),
        BOTH(test_stream_into_the_void),
        BOTH(test_exchange_outlives_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
