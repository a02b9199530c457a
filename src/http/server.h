// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server over libmicrohttpd (opened on first use), driven by the loop through its epoll descriptor.
#ifndef SKIFF_HTTP_SERVER_H
#define SKIFF_HTTP_SERVER_H

#include "base/blob.h"
#include "base/err.h"
#include "http/client.h"
#include "loop/loop.h"

struct http_server;
struct
    http_exchange; // one request and its reply; lives until the reply is sent or the client went away

struct http_request {
    struct str method; // as sent, upper case for the known ones
    struct str path;   // still percent-encoded, begins with '/'
    struct str query;  // after '?', still encoded
    struct str body;
    struct str remote;                    // "127.0.0.1:51234"
    struct str client_cert_name;          // subject CN of a verified client certificate, else empty
    const struct str *client_cert_groups; // its subject O's
    size_t client_cert_group_count;
    bool body_cut; // it was larger than its limit, and is empty here (see handles_cut_bodies)
};
struct str http_exchange_header(struct http_exchange *exchange,
                                struct str name); // case-insensitive
const struct http_request *http_exchange_request(struct http_exchange *exchange);
// All headers in the order in which they came, while the handler runs.
void http_exchange_each_header(struct http_exchange *exchange,
                               void (*fn)(void *ctx, struct str name, struct str value), void *ctx);
// A header of the reply or stream that will come; copied.
void http_exchange_add_header(struct http_exchange *exchange, struct http_header header);
// Bytes of replies that the clients of this server have not taken yet; streams are not counted.
size_t http_exchange_server_backlog(const struct http_exchange *exchange);

struct http_server_options {
    struct str listen;        // "127.0.0.1:6443", "[::]:6443"; port 0 picks one
    struct str cert, key;     // PEM: serve TLS; empty: plain
    struct str client_ca;     // PEM: ask for client certificates
    size_t max_body;          // LIMIT_HTTP_BODY when 0; a larger one is answered 413
    unsigned max_connections; // LIMIT_HTTP_CONNECTIONS when 0
    int64_t idle_timeout_ns;  // of a connection without a request, and for the head of one
    int64_t body_timeout_ns;  // for the body of a request; 0: five minutes
    bool handles_cut_bodies;  // the handler answers requests with too large a body itself
    // Called once the whole body is there. The handler replies now or later, once.
    void (*handle)(void *ctx, struct http_exchange *exchange);
    // Optional: the body limit for a path (before the body is read); 0 keeps max_body.
    size_t (*body_limit)(void *ctx, struct str method, struct str path);
    void *ctx;
};

struct http_server *http_server_start(struct loop *loop, const struct http_server_options *options,
                                      struct err *err);
unsigned http_server_port(const struct http_server *server);
void http_server_stop(struct http_server *server); // ends open streams, closes everything, frees

// Replies: content is referenced, not copied. Headers are copied.
void http_reply(struct http_exchange *exchange, int status, struct str content_type,
                const struct http_header *headers, size_t header_count, struct blob *body);
void http_reply_text(struct http_exchange *exchange, int status, struct str content_type,
                     struct str text);
// A body of several pieces in one reply (a list of stored objects), each referenced until sent.
void http_reply_parts(struct http_exchange *exchange, int status, struct str content_type,
                      struct blob *const *parts, size_t count);

// A stream of unknown length (watch, SSE), chunked. `on_close` runs once when the client went away or the server stops,
// not after http_stream_end. Writes keep order; http_stream_backlog says how many bytes the client has not taken yet.
struct http_stream;
struct http_stream *http_stream_start(struct http_exchange *exchange, int status,
                                      struct str content_type, void (*on_close)(void *ctx),
                                      void *ctx);
void http_stream_write(struct http_stream *stream, struct blob *piece); // takes its own reference
size_t http_stream_backlog(const struct http_stream *stream);
void http_stream_end(
    struct http_stream *stream); // after what is queued; the handle is gone for the caller

// Set when the client goes away before the reply: `fn` runs, the exchange is gone afterwards.
void http_exchange_on_abort(struct http_exchange *exchange, loop_fn *fn, void *ctx);

#endif
