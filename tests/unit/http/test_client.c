// SPDX-License-Identifier: Apache-2.0
// How calls end that do not end well, and what the client refuses to send; and the real curl against our server.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "crypto/crypto.h"
#include "rig.h"

static int setup(void **state) {
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

static void test_bad_calls(void **state) {
    struct rig *rig = *state;
    static const struct {
        const char *method, *url, *name, *value;
    } rows[] = {
        {"GET", "ftp://127.0.0.1/", "A", "b"},
        {"GET", "file:///etc/passwd", "A", "b"},
        {"GET", "http://127.0.0.1/a b", "A", "b"},
        {"GET", "http://127.0.0.1/\r\nX: y", "A", "b"},
        {"GET", "http:///path", "A", "b"},
        {"GE T", "http://127.0.0.1/", "A", "b"},
        {"GET\r\nX: y", "http://127.0.0.1/", "A", "b"},
        {"GET", "http://127.0.0.1/", "A:", "b"},
        {"GET", "http://127.0.0.1/", "", "b"},
        {"GET", "http://127.0.0.1/", "A", "b\r\nX: y"},
        {"GET", "http://127.0.0.1/", "A", "b\nX: y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_header header = {str_from(rows[i].name), str_from(rows[i].value)};
        rig_call(rig, rows[i].method, rows[i].url,
                 (struct http_call){.headers = &header, .header_count = 1});
        assert_int_equal(rig->done, 1);
        assert_int_equal(rig->error, ERR_INVALID);
        assert_int_equal(rig->status, 0);
    }
    assert_int_equal(rig->handled, 0);
}

static void test_nobody_listens(void **state) {
    struct rig *rig = *state;
    rig_call(rig, "GET", "http://user:secret@127.0.0.1:1/x?token=secret", (struct http_call){0});
    assert_int_equal(rig->error, ERR_UNAVAILABLE);
    assert_non_null(strstr(rig->message, "GET http://127.0.0.1:1/x: "));
    assert_null(strstr(rig->message, "secret"));
}

static void test_timeouts(void **state) {
    struct rig *rig = *state;
    rig_call(rig, "GET", "/abort", (struct http_call){.timeout_ns = 30 * NS_PER_MS});
    assert_int_equal(rig->error, ERR_TIMEOUT);
    rig_call(rig, "GET", "/abort", (struct http_call){.idle_timeout_ns = 30 * NS_PER_MS});
    assert_int_equal(rig->error, ERR_TIMEOUT);
    rig_run_until(rig, &rig->aborted, 2);
    assert_int_equal(rig->aborted, 2); // the server saw both leave
}

static bool swallow(struct rig *rig, struct str chunk) {
    rig->body_len += chunk.n;
    return true;
}

static void test_idle_timeout_counts_from_last_byte(void **state) {
    struct rig *rig = *state;
    rig->on_data = swallow;
    rig_begin(rig, "GET", "/stream",
              (struct http_call){.stream = true, .idle_timeout_ns = 300 * NS_PER_MS});
    rig_run_until(rig, &rig->handled, 1);
    AUTO(blob_unref) struct blob *piece = blob_create(STR("x"));
    for (int i = 0; i < 5; i++) {
        http_stream_write(rig->streams[0], piece);
        rig_run(rig, 100 * NS_PER_MS);
    }
    assert_int_equal(rig->done, 0);
    rig_run_until(rig, &rig->done, 1);
    assert_int_equal(rig->error, ERR_TIMEOUT);
    assert_int_equal(rig->body_len, 5);
}

static void test_reply_limit(void **state) {
    struct rig *rig = *state;
    rig_call(rig, "GET", "/parts", (struct http_call){.max_reply = 13890});
    assert_int_equal(rig->error, ERR_NONE);
    rig_call(rig, "GET", "/parts", (struct http_call){.max_reply = 13889});
    assert_int_equal(rig->error, ERR_LIMIT);
}

static void test_cancel_at_once(void **state) {
    struct rig *rig = *state;
    uint64_t id = rig_begin(rig, "GET", "/x", (struct http_call){0});
    http_client_cancel(rig->client, id);
    assert_int_equal(rig->done, 0);
    rig_run_until(rig, &rig->done, 1);
    assert_int_equal(rig->error, ERR_CANCELLED);
    rig_run(rig, 20 * NS_PER_MS);
    assert_int_equal(rig->done, 1);
}

static void test_destroy_ends_calls(void **state) {
    struct rig *rig = *state;
    rig_begin(rig, "GET", "/hold", (struct http_call){0});
    rig_begin(rig, "GET", "/x", (struct http_call){0});
    rig_run_until(rig, &rig->handled, 2);
    rig_begin(rig, "GET", "/x", (struct http_call){0}); // not begun
    int done = rig->done;
    http_client_destroy(rig->client);
    rig->client = NULL;
    assert_int_equal(rig->done, done + (done ? 2 : 3));
    assert_int_equal(rig->error, ERR_CANCELLED);
    http_reply_text(rig->held, 200, STR("text/plain"), STR(""));
}

static void test_redirects(void **state) {
    struct rig *rig = *state;
    rig_call(rig, "GET", "/redirect?/x", (struct http_call){0});
    assert_int_equal(rig->status, 302);
    assert_int_equal(rig->heads, 1);
    struct http_header secret = {STR("Authorization"), STR("Bearer s")};
    rig_call(rig, "GET", "/redirect?/x",
             (struct http_call){.follow_redirects = true, .headers = &secret, .header_count = 1});
    assert_int_equal(rig->status, 201);
    assert_int_equal(rig->heads, 1);
    assert_string_equal(rig->body, "GET|/x|||Bearer s||0");
}

static void test_redirect_elsewhere_without_credentials(void **state) {
    struct rig *rig = *state;
    char path[128];
    snprintf(path, sizeof path, "/redirect?http://localhost:%u/x", http_server_port(rig->server));
    struct http_header secret = {STR("Authorization"), STR("Bearer s")};
    rig_call(rig, "GET", path,
             (struct http_call){.follow_redirects = true, .headers = &secret, .header_count = 1});
    assert_string_equal(rig->message, "");
    assert_int_equal(rig->status, 201);
    assert_string_equal(rig->body, "GET|/x|||||0");
    rig_call(rig, "GET", "/redirect?file:///etc/passwd",
             (struct http_call){.follow_redirects = true});
    assert_int_equal(rig->error, ERR_INVALID);
    rig_call(rig, "GET", "/redirect?/redirect?/redirect", (struct http_call){0});
    assert_int_equal(rig->status, 302);
}

// ---- TLS ----

static void call_with(struct rig *rig, struct http_tls tls, const char *url) {
    struct http_target *target = http_target_create(&tls, STR(""), 2);
    rig_call(rig, "GET", url, (struct http_call){.target = target});
    http_target_destroy(target);
}

static void test_server_is_verified(void **state) {
    struct rig *rig = *state;
    char localhost[128];
    struct err err = {0};
    struct cert_pair other;
    snprintf(localhost, sizeof localhost, "https://localhost:%u/x", http_server_port(rig->server));
    assert_true(cert_create_ca(STR("other"), rig->arena, &other, &err));
    call_with(rig, (struct http_tls){0}, "/x"); // the system's authorities
    assert_int_equal(rig->error, ERR_INVALID);
    call_with(rig, (struct http_tls){.ca = other.cert}, "/x");
    assert_int_equal(rig->error, ERR_INVALID);
    call_with(rig, (struct http_tls){.ca = rig->ca}, localhost); // not a name of the certificate
    assert_int_equal(rig->error, ERR_INVALID);
    call_with(rig, (struct http_tls){.ca = STR("nonsense")}, "/x");
    assert_int_not_equal(rig->error, ERR_NONE);
    assert_int_equal(rig->handled, 0);
    call_with(rig, (struct http_tls){.ca = rig->ca}, "/x");
    assert_int_equal(rig->status, 201);
    call_with(rig, (struct http_tls){.insecure = true}, localhost);
    assert_int_equal(rig->status, 201);
}

static void test_server_name(void **state) {
    struct rig *rig = *state;
    char localhost[128];
    snprintf(localhost, sizeof localhost, "https://localhost:%u/x", http_server_port(rig->server));
    call_with(rig, (struct http_tls){.ca = rig->ca, .server_name = STR("api.example.test")},
              localhost);
    assert_int_equal(rig->error, ERR_NONE);
    assert_int_equal(rig->status, 201);
    call_with(rig, (struct http_tls){.ca = rig->ca, .server_name = STR("other.example.test")},
              localhost);
    assert_int_equal(rig->error, ERR_INVALID);
}

static void test_client_certificate(void **state) {
    struct rig *rig = *state;
    struct arena *arena = arena_create();
    struct err err = {0};
    struct cert_pair ca;
    struct cert_pair other;
    struct cert_pair client;
    struct cert_pair stranger;
    struct str name = STR("admin");
    assert_true(cert_create_ca(STR("clients"), arena, &ca, &err));
    assert_true(cert_create_ca(STR("clients"), arena, &other, &err)); // the same name, another key
    struct cert_pair server;
    const struct str groups[] = {STR_INIT("system:masters"), STR_INIT("team, with comma")};
    assert_true(cert_create_client(&ca, name, groups, 2, arena, &client, &err));
    assert_true(cert_create_client(&other, name, groups, 2, arena, &stranger, &err));
    assert_true(cert_create_server(&ca, &name, 1, arena, &server, &err));
    rig_stop(rig);
    rig_start(rig, true, &(struct http_server_options){.client_ca = ca.cert});
    call_with(rig, (struct http_tls){.ca = rig->ca, .cert = client.cert, .key = client.key}, "/x");
    assert_string_equal(rig->message, "");
    assert_string_equal(rig->body, "GET|/x||||admin|0");
    assert_string_equal(rig->groups, "system:masters|team, with comma|");
    call_with(rig, (struct http_tls){.ca = rig->ca}, "/x"); // without one: no name
    assert_string_equal(rig->body, "GET|/x|||||0");
    assert_string_equal(rig->groups, "");
    // One that was made for a server is nobody's.
    call_with(rig, (struct http_tls){.ca = rig->ca, .cert = server.cert, .key = server.key}, "/x");
    assert_string_equal(rig->body, "GET|/x|||||0");
    call_with(rig, (struct http_tls){.ca = rig->ca, .cert = stranger.cert, .key = stranger.key},
              "/x");
    if (rig->error == ERR_NONE) { // refused in the handshake, or taken for nobody
        assert_string_equal(rig->body, "GET|/x|||||0");
    }
    arena_destroy(arena);
}

// ---- The real curl ----

struct command {
    struct rig *rig;
    int ended;
    char out[4096];
};

static void command_ended(void *ctx, const struct loop_exit *result) {
    struct command *command = ctx;
    command->ended = 1;
    snprintf(command->out, sizeof command->out, "%.*s", STR_ARG(result->out));
}

static void test_real_curl(void **state) {
    struct rig *rig = *state;
    if (access("/usr/bin/curl", X_OK) != 0) {
        skip();
    }
    static const struct {
        const char *args[5], *expected;
    } rows[] = {
        {{"-X", "PATCH", "-d", "abc", "/p?q=1"}, "PATCH|/p|q=1||||3"},
        {{"-H", "X-Test: t", "--http1.0", "-s", "/old"}, "GET|/old||t|||0"},
        {{"-T", "/proc/self/cmdline", "-s", "-s", "/up"}, "PUT|/up|||||"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct command command = {.rig = rig};
        struct err err = {0};
        char url[256];
        char ca[64] = "/tmp/skiff-http-ca-XXXXXX";
        int fd = mkstemp(ca);
        assert_true(fd >= 0);
        assert_true(write(fd, rig->ca.n ? rig->ca.p : "x", rig->ca.n ? rig->ca.n : 1) > 0);
        close(fd);
        snprintf(url, sizeof url, "%s%s", rig->base, rows[i].args[4]);
        const char *argv[] = {"curl",
                              "-sS",
                              "--cacert",
                              ca,
                              "--max-time",
                              "5",
                              rows[i].args[0],
                              rows[i].args[1],
                              rows[i].args[2],
                              rows[i].args[3],
                              url,
                              NULL};
        if (!rig->tls) {
            argv[2] = "-s";
            argv[3] = "-s";
        }
        assert_true(loop_spawn(rig->loop, &(struct loop_spawn){.argv = argv}, command_ended,
                               &command, &err) != 0);
        rig_run_until(rig, &command.ended, 1);
        unlink(ca);
        assert_int_equal(command.ended, 1);
        if (strncmp(command.out, rows[i].expected, strlen(rows[i].expected)) != 0) {
            fail_msg("row %zu: %s", i, command.out);
        }
    }
}

#define PLAIN(fn) \
    { "plain: " #fn, fn, setup, teardown, NULL }
#define TLS(fn) \
    { "tls: " #fn, fn, setup_tls, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(test_bad_calls),
        PLAIN(test_nobody_listens),
        PLAIN(test_timeouts),
        TLS(test_timeouts),
        PLAIN(test_idle_timeout_counts_from_last_byte),
        PLAIN(test_reply_limit),
        PLAIN(test_cancel_at_once),
        PLAIN(test_destroy_ends_calls),
        TLS(test_destroy_ends_calls),
        PLAIN(test_redirects),
        PLAIN(test_redirect_elsewhere_without_credentials),
        TLS(test_server_is_verified),
        TLS(test_server_name),
        TLS(test_client_certificate),
        PLAIN(test_real_curl),
        TLS(test_real_curl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
