// SPDX-License-Identifier: Apache-2.0
// A call apart from the library that carries it: what was asked, what came, and how it ends (call.c).
#ifndef SKIFF_HTTP_CLIENT_INTERNAL_H
#define SKIFF_HTTP_CLIENT_INTERNAL_H

#include "base/buf.h"
#include "base/vec.h"
#include "http/client.h"

enum { TRANSPORT_ERROR_MAX = 256, REPLY_HEADERS_MAX = 256, URL_MAX = 16 * 1024 };

struct http_target {
    unsigned refs; // its owner's and one for each call
    struct http_tls tls;
    struct str proxy;
    unsigned max_connections;
};

struct call {
    struct http_client *client;
    struct loop *loop;
    struct arena *arena;
    uint64_t id;
    struct call *next; // in the list of starts
    bool queued;       // in that list
    bool cancelled;
    bool prepared;
    struct str origin; // "https://host:port" as far as the URL has it
    // What was asked; texts end in NUL.
    struct http_target *target;
    struct str method, url, body;
    struct http_header *headers;
    size_t header_count;
    size_t max_reply;
    int64_t timeout_ns, idle_timeout_ns;
    bool stream, follow_redirects;
    void (*on_head)(void *ctx, int status, const struct http_result *head);
    bool (*on_data)(void *ctx, struct str chunk);
    void (*done)(void *ctx, const struct http_result *result);
    void *ctx;
    // How it is carried.
    void *easy;
    void *engine;
    void *header_list, *connect_to;
    const char
        *host_header; // with a server name of the target's: the URL's host stays in the request
    const char *connect_route; // and is what is connected to
    char error_text[TRANSPORT_ERROR_MAX];
    // What came.
    int status;
    int http_version; // 1 or 2; 0 before the first line of a reply
    bool head_done;
    VEC(struct http_header) reply_headers;
    struct buf reply;
    size_t received;
    struct err error;
    // When it is late.
    struct loop_timer *timer;
    int64_t deadline;      // 0: none
    int64_t last_activity; // of the peer
};

struct call *call_create(struct loop *loop, const struct http_call *spec); // copies everything
// Checks what was asked, and rewrites the URL where the target has a server name. False after call_fail.
bool call_prepare(struct call *call);
void call_start_timer(struct call *call, loop_fn *on_deadline);
// After the timer: true when the call is over (it has failed), else the timer runs again.
bool call_is_late(struct call *call);
bool call_take_head_line(struct call *call, struct str line); // false ends the call
bool call_take_body(struct call *call, struct str data);
void call_fail(struct call *call, enum err_code code, const char *message); // the first one counts
void call_finish(struct call *call);                                        // runs done, frees

#endif
