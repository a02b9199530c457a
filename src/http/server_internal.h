// SPDX-License-Identifier: Apache-2.0
// An exchange between the adapter of the HTTP library (microhttpd.c) and the rest (exchange.c), which knows nothing of it.
#ifndef SKIFF_HTTP_SERVER_INTERNAL_H
#define SKIFF_HTTP_SERVER_INTERNAL_H

#include "base/buf.h"
#include "base/vec.h"
#include "http/server.h"

enum { CONTENT_TYPE_MAX = 128, METHOD_MAX = 24, ADDRESS_TEXT_MAX = 64 };

// Blobs of a reply, each holding a reference.
struct reply_parts {
    size_t *backlog; // of the server, which counts them until they are sent; may be NULL
    size_t count;
    size_t total;
    struct blob *blobs[];
};

// What is to be sent, until the adapter takes it.
struct reply {
    bool ready;
    int status;
    char content_type[CONTENT_TYPE_MAX];
    size_t header_count;
    struct http_header *headers;
    struct reply_parts *parts; // NULL: no body, or a stream
    struct http_stream *stream;
};

// Who a verified client certificate names.
struct http_peer {
    unsigned refs;
    size_t group_count;
    struct str *groups;
    struct str name;
};

struct http_exchange {
    struct http_server *server; // NULL once the server is gone
    struct loop *loop;
    void *connection;           // the library's; NULL once the client went away
    struct http_stream *stream; // the reply's, while both are there
    struct http_exchange *prev, *next;
    struct http_request request;
    struct buf body;
    size_t body_limit;
    size_t body_extra;  // discarded beyond the limit
    bool begun;         // the head was checked
    bool handled;       // the handler was called
    bool in_handler;    // and has not returned yet
    bool suspended;     // the library leaves the connection alone
    bool gone;          // the client went away while suspended
    bool reply_pending; // the handler has not replied: it holds the exchange
    bool queued;        // the library has the reply
    struct reply reply;
    loop_fn *on_abort;
    void *abort_ctx;
    char method[METHOD_MAX];
    char remote[ADDRESS_TEXT_MAX];
    struct http_peer *peer; // may be NULL
    char uri[];             // as sent
};

struct http_stream {
    struct http_exchange *exchange; // NULL once the connection is gone
    struct blob **pieces;           // a ring
    size_t head, count, cap;
    size_t offset; // into the first piece
    size_t backlog;
    bool ended;      // no more pieces will come
    bool user_holds; // until http_stream_end or on_close
    unsigned refs;
    void (*on_close)(void *ctx);
    void *ctx;
};

// ---- exchange.c ----

struct http_exchange *exchange_create(struct http_server *server, struct loop *loop,
                                      const char *uri);
void exchange_free(struct http_exchange *exchange);
// The connection is gone: tells the handler or the stream's owner, and frees what nobody holds any more.
void exchange_closed(struct http_exchange *exchange);
void reply_parts_unref(struct reply_parts *parts);
// Copies up to `max` bytes of what is queued; 0 when there is nothing now.
size_t stream_read(struct http_stream *stream, char *to, size_t max);
void stream_unref(struct http_stream *stream);
void peer_unref(struct http_peer *peer);

// ---- microhttpd.c ----

void server_resume(struct http_exchange *exchange); // there is a reply, or more of a stream
struct str server_find_header(struct http_exchange *exchange, struct str name);
void server_each_header(struct http_exchange *exchange,
                        void (*fn)(void *ctx, struct str name, struct str value), void *ctx);
size_t *server_backlog(struct http_server *server);

// ---- listen.c ----

// A listening socket that does not block, for "127.0.0.1:6443", "[::1]:6443", "localhost:0" or ":6443"; -1 on failure.
int listen_open(struct str address, unsigned *port, struct err *err);
void address_format(const void *sockaddr, char out[ADDRESS_TEXT_MAX]);

#endif
