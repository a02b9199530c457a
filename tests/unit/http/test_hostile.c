// SPDX-License-Identifier: Apache-2.0
// What no honest client sends, and what networks do: oversized, smuggled, slow, cut off.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"
#include "rig.h"

static size_t small_limit(void *ctx, struct str method, struct str path) {
    (void)ctx;
    return str_eq_c(method, "POST") && str_eq_c(path, "/echo") ? 100 : 0;
}

static int setup(void **state) {
    struct rig *rig = NEW(struct rig);
    struct http_server_options options = {.max_body = 1000, .body_limit = small_limit};
    rig_start(rig, false, &options);
    *state = rig;
    return 0;
}

static int setup_impatient(void **state) {
    struct rig *rig = NEW(struct rig);
    struct http_server_options options = {.idle_timeout_ns = NS_PER_SECOND};
    rig_start(rig, false, &options);
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

// ---- Requests that are refused ----

static void test_refused_requests(void **state) {
    struct rig *rig = *state;
    static const struct {
        const char *request, *expected; // the beginning of the status line
        bool handled;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 201", true},
        {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 201", true},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n",
         "HTTP/1.1 400", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
         "0\r\n\r\n",
         "HTTP/1.1 400", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
         "HTTP/1.1 400", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 4",
         false},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 400", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413", false},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413", false},
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200", true},
        {"VERYLONGMETHODNAMETHATNOBODYKNOWS / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 501", false},
        {"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400", false},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", false}, // no Host
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
         "\r\n",
         "HTTP/1.1 200", true},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "",
         false},
        {"\r\n\r\n\x16\x03\x01 not http at all\r\n\r\n", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int before = rig->handled;
        int fd = raw_connect(rig);
        raw_send(fd, str_from(rows[i].request));
        if (!rows[i].expected[0]) {
            shutdown(fd, SHUT_WR);
        }
        struct str got = raw_receive(rig, fd, "\r\n\r\n");
        close(fd);
        if (!str_starts(got, str_from(rows[i].expected))) {
            fail_msg("row %zu: %.*s", i, STR_ARG(got));
        }
        assert_int_equal(rig->handled - before, rows[i].handled);
    }
}

static void test_huge_head(void **state) {
    struct rig *rig = *state;
    struct str filler;
    char *text = xmalloc(MIB);
    memset(text, 'a', MIB);
    static const size_t sizes[] = {10 * KIB, 13 * KIB, 200 * KIB};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int in_uri = 0; in_uri < 2; in_uri++) {
            int before = rig->handled;
            int fd = raw_connect(rig);
            filler = (struct str){text, sizes[i]};
            raw_send(fd, STR("GET /"));
            if (in_uri) {
                raw_send(fd, filler);
            }
            raw_send(fd, STR(" HTTP/1.1\r\nHost: a\r\nX-Fill: "));
            if (!in_uri) {
                raw_send(fd, filler);
            }
            raw_send(fd, STR("\r\n\r\n"));
            struct str got = raw_receive(rig, fd, "\r\n\r\n");
            close(fd);
            if (i == 0 && !in_uri) {
                assert_true(str_starts(got, STR("HTTP/1.1 201")));
            } else if (i > 0) {
                assert_true(got.n == 0 || str_starts(got, STR("HTTP/1.1 431")) ||
                            str_starts(got, STR("HTTP/1.1 414")));
                assert_int_equal(rig->handled, before);
            }
        }
    }
    free(text);
}

static void test_body_over_limit(void **state) {
    struct rig *rig = *state;
    char text[1001] = {0};
    rig_call(rig, "POST", "/x", (struct http_call){.body = {text, 1000}});
    assert_int_equal(rig->status, 201);
    rig_call(rig, "POST", "/x", (struct http_call){.body = {text, 1001}});
    assert_int_equal(rig->status, 413);
    rig_call(rig, "POST", "/echo", (struct http_call){.body = {text, 101}});
    assert_int_equal(rig->status, 413);
    // Without a length the limit is met on the way.
    int fd = raw_connect(rig);
    raw_send(fd, STR("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 3; i++) {
        raw_send(fd, STR("190\r\n"));
        raw_send(fd, (struct str){text, 400});
        raw_send(fd, STR("\r\n"));
    }
    raw_send(fd, STR("0\r\n\r\n"));
    struct str got = raw_receive(rig, fd, "\r\n\r\n");
    close(fd);
    assert_true(str_starts(got, STR("HTTP/1.1 413")));
    assert_int_equal(rig->handled, 1);
}

static void test_endless_chunks_are_cut(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    char chunk[8 + 4096 + 2] = "1000\r\n";
    memset(chunk + 6, 'x', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 3);
    bool closed = false;
    for (int i = 0; i < 2000 && !closed; i++) {
        closed = send(fd, chunk, 6 + 4096 + 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && i > 300;
        rig_run(rig, NS_PER_MS / 10);
    }
    assert_true(closed);
    assert_int_equal(rig->handled, 0);
    close(fd);
}

// ---- Framing on a good connection ----

static void test_pipelined(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
                     "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo"
                     "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree"));
    struct str got = raw_receive(rig, fd, "three");
    close(fd);
    size_t one = str_find(got, STR("one"));
    size_t two = str_find(got, STR("two"));
    size_t three = str_find(got, STR("three"));
    assert_true(one != STR_NPOS && two != STR_NPOS && three != STR_NPOS);
    assert_true(one < two && two < three);
    assert_int_equal(rig->handled, 3);
}

static void test_pipelined_behind_a_held_one(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd,
             STR("GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_run_until(rig, &rig->handled, 1);
    rig_run(rig, 20 * NS_PER_MS);
    assert_int_equal(rig->handled, 1); // in order
    http_reply_text(rig->held, 200, STR("text/plain"), STR("first"));
    struct str got = raw_receive(rig, fd, "/second");
    close(fd);
    assert_true(str_find(got, STR("first")) < str_find(got, STR("/second")));
}

static void test_head_has_no_body(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\nHEAD /parts HTTP/1.1\r\nHost: a\r\n\r\n"
                     "HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    struct str got = raw_receive(rig, fd, NULL);
    close(fd);
    assert_int_equal(rig->handled, 3);
    assert_true(str_has(got, STR("Content-Length: 13890\r\n"))); // of what GET would give
    assert_true(str_ends(got, STR("\r\n\r\n")));
    rig_run_until(rig, &rig->closed, 1);
    assert_int_equal(rig->closed, 1);
}

static void test_stream_to_http_1_0(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("GET /stream HTTP/1.0\r\n\r\n"));
    rig_run_until(rig, &rig->handled, 1);
    AUTO(blob_unref) struct blob *piece = blob_create(STR("plain text"));
    http_stream_write(rig->streams[0], piece);
    http_stream_end(rig->streams[0]);
    struct str got = raw_receive(rig, fd, NULL); // until it closes
    close(fd);
    assert_true(str_ends(got, STR("\r\n\r\nplain text")));
}

// ---- Clients that stall or vanish ----

static void test_vanishes_during_stream(void **state) {
    struct rig *rig = *state;
    AUTO(blob_unref) struct blob *piece = blob_create(STR("data\n"));
    for (int quiet = 0; quiet < 2; quiet++) {
        rig->closed = 0;
        rig->handled = 0;
        int fd = raw_connect(rig);
        raw_send(fd, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
        rig_run_until(rig, &rig->handled, 1);
        if (!quiet) {
            http_stream_write(rig->streams[rig->stream_count - 1], piece);
            raw_receive(rig, fd, "data\n");
        }
        close(fd); // nothing is written afterwards: only the hang-up tells
        rig_run_until(rig, &rig->closed, 1);
        assert_int_equal(rig->closed, 1);
    }
}

static void test_reset_during_stream(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_run_until(rig, &rig->handled, 1);
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    rig_run_until(rig, &rig->closed, 1);
    assert_int_equal(rig->closed, 1);
}

static void test_backlog_of_a_client_that_does_not_read(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_run_until(rig, &rig->handled, 1);
    AUTO(blob_unref) struct blob *piece = blob_alloc(MIB);
    memset(piece->data, 'x', piece->len);
    for (int i = 0; i < 30; i++) {
        http_stream_write(rig->streams[0], piece);
        rig_run(rig, NS_PER_MS);
    }
    assert_true(http_stream_backlog(rig->streams[0]) > 5 * MIB); // its owner would end it now
    close(fd);
    rig_run_until(rig, &rig->closed, 1);
    assert_int_equal(rig->closed, 1);
}

static void test_idle_and_slow_are_closed(void **state) {
    struct rig *rig = *state;
    int silent = raw_connect(rig);
    int half = raw_connect(rig);
    raw_send(half, STR("GET / HTTP/1.1\r\nHo"));
    int kept = raw_connect(rig);
    raw_send(kept, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    char c;
    bool silent_closed = false;
    bool half_closed = false;
    for (int i = 0; i < 400 && !(silent_closed && half_closed); i++) {
        rig_run(rig, 10 * NS_PER_MS);
        silent_closed = silent_closed || recv(silent, &c, 1, MSG_DONTWAIT) == 0;
        ssize_t n;
        while ((n = recv(half, &c, 1, MSG_DONTWAIT)) > 0) { // a 408 is fine
        }
        half_closed = half_closed || n == 0;
    }
    assert_true(silent_closed);
    assert_true(half_closed);
    assert_int_equal(rig->closed, 0); // a stream is not idle
    close(silent);
    close(half);
    close(kept);
    rig_run_until(rig, &rig->closed, 1);
}

static void test_slow_sender_is_served(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    static const char request[] = "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nslow";
    for (size_t i = 0; i < sizeof request - 1; i++) {
        raw_send(fd, (struct str){&request[i], 1});
        rig_run(rig, NS_PER_MS / 2);
    }
    struct str got = raw_receive(rig, fd, "slow");
    close(fd);
    assert_true(str_ends(got, STR("slow")));
}

static void test_garbage_instead_of_tls(void **state) {
    struct rig *rig = *state;
    int fd = raw_connect(rig);
    raw_send(fd, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    raw_receive(rig, fd, NULL);
    close(fd);
    int stalled = raw_connect(rig); // sends nothing: others go on
    rig_call(rig, "GET", "/x", (struct http_call){0});
    assert_int_equal(rig->status, 201);
    close(stalled);
}

#define CASE(fn) \
    { #fn, fn, setup, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_refused_requests),
        CASE(test_huge_head),
        CASE(test_body_over_limit),
        CASE(test_endless_chunks_are_cut),
        CASE(test_pipelined),
        CASE(test_pipelined_behind_a_held_one),
        CASE(test_head_has_no_body),
        CASE(test_stream_to_http_1_0),
        CASE(test_vanishes_during_stream),
        CASE(test_reset_during_stream),
        CASE(test_backlog_of_a_client_that_does_not_read),
        {"impatient: idle and slow", test_idle_and_slow_are_closed, setup_impatient, teardown,
         NULL},
        CASE(test_slow_sender_is_served),
        {"tls: garbage", test_garbage_instead_of_tls, setup_tls, teardown, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
