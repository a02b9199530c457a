// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection of the load generator, plain or TLS, driven by epoll: small enough that the generator costs little
// beside the server it measures. Certificates are not verified: servers are of the same run, on the loopback.
#ifndef SKIFF_BENCH_LOAD_CONN_H
#define SKIFF_BENCH_LOAD_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { LOAD_REPLY_MAX = 64 * 1024 * 1024, LOAD_REQUEST_MAX = 1024 * 1024 };

enum load_part { LOAD_HEAD, LOAD_BODY, LOAD_CHUNK_SIZE, LOAD_CHUNK, LOAD_CHUNK_END, LOAD_TRAILER };

struct load_conn {
    int fd;
    SSL *ssl; // NULL: plain
    bool connected;
    struct buf out;
    size_t sent;
    struct buf head; // of the reply, or a chunk's size line
    struct buf body; // what came of the body; on_body may empty it
    enum load_part part;
    size_t left; // of the body or chunk
    int status;
    bool keep_body; // collect the body; else it is counted only
    size_t body_bytes;
    size_t index;   // among the connections
    int64_t began;  // of the present request
    int64_t number; // of the present request, for the caller
};

struct load_handlers {
    void (*on_reply)(void *ctx, struct load_conn *conn);                // the reply is complete
    void (*on_body)(void *ctx, struct load_conn *conn, struct str got); // optional: a piece of it
    void (*on_error)(void *ctx, struct load_conn *conn, const char *what);
    void *ctx;
};

void load_conn_open(struct load_conn *conn, int epoll, SSL_CTX *tls, uint16_t port);
void load_conn_close(struct load_conn *conn);
// Begins a request; `out` holds its text already.
void load_conn_send(struct load_conn *conn, const struct load_handlers *handlers);
// To be called when epoll has something to say about it.
void load_conn_work(struct load_conn *conn, const struct load_handlers *handlers);

#endif
