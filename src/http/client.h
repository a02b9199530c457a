// SPDX-License-Identifier: Apache-2.0
// HTTP client over libcurl's multi interface on the loop. libcurl is opened on first use.
#ifndef SKIFF_HTTP_CLIENT_H
#define SKIFF_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "loop/loop.h"

struct http_client;

struct http_header {
    struct str name, value;
};

// Immutable and shared by the calls to one server; strings are copied. PEM texts, not file names.
struct http_tls {
    struct str ca;          // empty: the system's
    struct str cert, key;   // client certificate
    struct str server_name; // for SNI and verification; empty: the URL's host
    bool insecure;
};
struct http_target; // connection settings of one server: TLS, proxy, connection limits
// `max_connections` to its host for short calls, 0: 8; streams have 256 (HTTP/1.1) or 16 (HTTP/2) of their own, or as many as
// this when it is more. Calls under way keep what they need, so destroying it early is fine.
struct http_target *http_target_create(const struct http_tls *tls, struct str proxy,
                                       unsigned max_connections);
void http_target_destroy(struct http_target *target);

struct http_result {
    int status; // 0 when no reply came
    const struct http_header *headers;
    size_t header_count;
    struct str body; // empty when on_data was given
    const struct err *
        error; // transport errors, limits, time-outs; NULL when a whole reply came, whatever its status
};
struct str http_result_header(const struct http_result *result,
                              struct str name); // case-insensitive; empty when absent

struct http_call {
    const struct http_target *target;
    struct str method, url;
    const struct http_header *headers;
    size_t header_count;
    struct str body;
    size_t max_reply;        // 0: LIMIT_HTTP_REPLY, with on_data none
    int64_t timeout_ns;      // whole call; 0: none
    int64_t idle_timeout_ns; // no byte for so long; 0: none
    bool
        stream; // long-lived (a watch): runs on its own multi handle, so it never delays short calls
    bool follow_redirects; // never carries Authorization to another host
    void (*on_head)(void *ctx, int status, const struct http_result *head); // may be NULL
    bool (*on_data)(void *ctx, struct str chunk); // may be NULL (collect into body); false cancels
    void (*done)(void *ctx, const struct http_result *result); // exactly once, also after a cancel
    void *ctx;
};

struct http_client *http_client_create(struct loop *loop);
// Cancels what is under way; their done runs before it returns. Not from within a callback of a call.
void http_client_destroy(struct http_client *client);
// Cancels what is under way, too, and closes every connection with a reset: what still waits in a socket is never sent. The
// client can be used again. Not from within a callback of a call.
void http_client_reset(struct http_client *client);
// Everything in `call` is copied. Returns an id (never 0); failures to start arrive through `done` too.
uint64_t http_client_start(struct http_client *client, const struct http_call *call);
void http_client_cancel(struct http_client *client,
                        uint64_t id); // done runs with ERR_CANCELLED in a later turn

#endif
