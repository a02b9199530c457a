// SPDX-License-Identifier: Apache-2.0
// Exchanges and streams as their handlers see them. An exchange has two holders: the connection it came by and, from the
// call of the handler to its reply, the handler. Whichever comes last frees it, so a handler may reply long after the
// client went away.
#include "base/mem.h"
#include "http/server_internal.h"

struct http_exchange *exchange_create(struct http_server *server, struct loop *loop,
                                      const char *uri) {
    size_t n = strlen(uri);
    struct http_exchange *exchange = xcalloc(1, sizeof *exchange + n + 1);
    exchange->server = server;
    exchange->loop = loop;
    memcpy(exchange->uri, uri, n);
    str_cut((struct str){exchange->uri, n}, '?', &exchange->request.path, &exchange->request.query);
    return exchange;
}

static void reply_fini(struct reply *reply) {
    for (size_t i = 0; i < reply->header_count; i++) {
        free((void *)(uintptr_t)reply->headers[i].name.p);
    }
    free(reply->headers);
    reply_parts_unref(reply->parts);
    stream_unref(reply->stream);
    *reply = (struct reply){0};
}

void exchange_free(struct http_exchange *exchange) {
    reply_fini(&exchange->reply);
    buf_fini(&exchange->body);
    peer_unref(exchange->peer);
    free(exchange);
}

void reply_parts_unref(struct reply_parts *parts) {
    if (parts) {
        for (size_t i = 0; i < parts->count; i++) {
            blob_unref(parts->blobs[i]);
        }
        if (parts->backlog) {
            *parts->backlog -= parts->total;
        }
        free(parts);
    }
}

void peer_unref(struct http_peer *peer) {
    if (peer && --peer->refs == 0) {
        for (size_t i = 0; i < peer->group_count; i++) {
            free((void *)(uintptr_t)peer->groups[i].p);
        }
        free((void *)(uintptr_t)peer->name.p);
        free(peer->groups);
        free(peer);
    }
}

const struct http_request *http_exchange_request(struct http_exchange *exchange) {
    return &exchange->request;
}

struct str http_exchange_header(struct http_exchange *exchange, struct str name) {
    return exchange->connection ? server_find_header(exchange, name) : (struct str){NULL, 0};
}

void http_exchange_each_header(struct http_exchange *exchange,
                               void (*fn)(void *ctx, struct str name, struct str value),
                               void *ctx) {
    if (exchange->connection) {
        server_each_header(exchange, fn, ctx);
    }
}

size_t http_exchange_server_backlog(const struct http_exchange *exchange) {
    return exchange->server ? *server_backlog(exchange->server) : 0;
}

void http_exchange_on_abort(struct http_exchange *exchange, loop_fn *fn, void *ctx) {
    exchange->on_abort = fn;
    exchange->abort_ctx = ctx;
}

// ---- Replies ----

// Name and value in one piece of memory, each with a NUL.
static struct http_header copy_header(struct http_header header) {
    char *text = xmalloc(header.name.n + header.value.n + 2);
    memcpy(text, header.name.p, header.name.n);
    text[header.name.n] = '\0';
    char *value = text + header.name.n + 1;
    memcpy(value, header.value.n ? header.value.p : "", header.value.n);
    value[header.value.n] = '\0';
    return (struct http_header){{text, header.name.n}, {value, header.value.n}};
}

void http_exchange_add_header(struct http_exchange *exchange, struct http_header header) {
    struct reply *reply = &exchange->reply;
    reply->headers = xreallocarray(reply->headers, reply->header_count + 1, sizeof *reply->headers);
    reply->headers[reply->header_count++] = copy_header(header);
}

// The handler's hold ends here. False when nobody waits for the reply any more; the exchange is freed then.
static bool reply_begin(struct http_exchange *exchange, int status, struct str content_type) {
    CHECK(exchange->reply_pending && content_type.n < CONTENT_TYPE_MAX);
    exchange->reply_pending = false;
    exchange->on_abort = NULL;
    if (!exchange->connection) {
        exchange_free(exchange);
        return false;
    }
    struct reply *reply = &exchange->reply;
    reply->ready = true;
    reply->status = status;
    memcpy(reply->content_type, content_type.n ? content_type.p : "", content_type.n);
    return true;
}

static void reply_send(struct http_exchange *exchange) {
    if (!exchange->in_handler) {
        server_resume(exchange);
    }
}

static struct reply_parts *make_parts(struct http_exchange *exchange, struct blob *const *blobs,
                                      size_t count) {
    struct reply_parts *parts = xmalloc(sizeof *parts + count * sizeof *blobs);
    parts->count = 0;
    parts->total = 0;
    for (size_t i = 0; i < count; i++) {
        if (blobs[i] && blobs[i]->len > 0) {
            parts->blobs[parts->count++] = blob_ref(blobs[i]);
            parts->total += blobs[i]->len;
        }
    }
    parts->backlog = server_backlog(exchange->server);
    *parts->backlog += parts->total;
    return parts;
}

void http_reply(struct http_exchange *exchange, int status, struct str content_type,
                const struct http_header *headers, size_t header_count, struct blob *body) {
    if (!reply_begin(exchange, status, content_type)) {
        return;
    }
    for (size_t i = 0; i < header_count; i++) {
        http_exchange_add_header(exchange, headers[i]);
    }
    exchange->reply.parts = make_parts(exchange, &body, body ? 1 : 0);
    reply_send(exchange);
}

void http_reply_text(struct http_exchange *exchange, int status, struct str content_type,
                     struct str text) {
    AUTO(blob_unref) struct blob *body = text.n ? blob_create(text) : NULL;
    http_reply(exchange, status, content_type, NULL, 0, body);
}

void http_reply_parts(struct http_exchange *exchange, int status, struct str content_type,
                      struct blob *const *parts, size_t count) {
    if (reply_begin(exchange, status, content_type)) {
        exchange->reply.parts = make_parts(exchange, parts, count);
        reply_send(exchange);
    }
}

// ---- Streams ----

void stream_unref(struct http_stream *stream) {
    if (!stream || --stream->refs > 0) {
        return;
    }
    if (stream->exchange) {
        stream->exchange->stream = NULL;
    }
    for (size_t i = 0; i < stream->count; i++) {
        blob_unref(stream->pieces[(stream->head + i) & (stream->cap - 1)]);
    }
    free(stream->pieces);
    free(stream);
}

static void stream_close(struct http_stream *stream) {
    stream->exchange = NULL;
    if (stream->user_holds) {
        stream->user_holds = false;
        if (stream->on_close) {
            stream->on_close(stream->ctx);
        }
        stream_unref(stream);
    }
}

// The client was gone before the handler started its stream; writes went nowhere.
static void stream_never_began(void *ctx) {
    struct http_stream *stream = ctx;
    stream_close(stream);
    stream_unref(stream);
}

struct http_stream *http_stream_start(struct http_exchange *exchange, int status,
                                      struct str content_type, void (*on_close)(void *ctx),
                                      void *ctx) {
    struct http_stream *stream = NEW(struct http_stream);
    // One reference for the caller, one for the sender.
    *stream = (struct http_stream){.refs = 2, .user_holds = true, .on_close = on_close, .ctx = ctx};
    struct loop *loop = exchange->loop;
    if (!reply_begin(exchange, status, content_type)) {
        loop_post(loop, stream_never_began, stream);
        return stream;
    }
    stream->exchange = exchange;
    exchange->stream = stream;
    exchange->reply.stream = stream;
    reply_send(exchange);
    return stream;
}

void http_stream_write(struct http_stream *stream, struct blob *piece) {
    if (!stream->exchange || !piece || piece->len == 0) {
        return;
    }
    if (stream->count == stream->cap) {
        size_t cap = stream->cap ? stream->cap * 2 : 4;
        struct blob **pieces = xreallocarray(NULL, cap, sizeof *pieces);
        for (size_t i = 0; i < stream->count; i++) {
            pieces[i] = stream->pieces[(stream->head + i) & (stream->cap - 1)];
        }
        free(stream->pieces);
        stream->pieces = pieces;
        stream->cap = cap;
        stream->head = 0;
    }
    stream->pieces[(stream->head + stream->count) & (stream->cap - 1)] = blob_ref(piece);
    stream->count++;
    stream->backlog += piece->len;
    server_resume(stream->exchange);
}

size_t http_stream_backlog(const struct http_stream *stream) {
    return stream->backlog;
}

void http_stream_end(struct http_stream *stream) {
    CHECK(stream->user_holds);
    stream->ended = true;
    stream->user_holds = false;
    if (stream->exchange) {
        server_resume(stream->exchange);
    }
    stream_unref(stream);
}

size_t stream_read(struct http_stream *stream, char *to, size_t max) {
    size_t n = 0;
    while (n < max && stream->count > 0) {
        struct blob *piece = stream->pieces[stream->head];
        size_t part = piece->len - stream->offset;
        part = part < max - n ? part : max - n;
        memcpy(to + n, piece->data + stream->offset, part);
        n += part;
        stream->offset += part;
        if (stream->offset == piece->len) {
            blob_unref(piece);
            stream->offset = 0;
            stream->head = (stream->head + 1) & (stream->cap - 1);
            stream->count--;
        }
    }
    stream->backlog -= n;
    // A burst's memory is not kept for a watch that is quiet most of the time.
    if (stream->count == 0 && stream->cap > 64) {
        free(stream->pieces);
        stream->pieces = NULL;
        stream->cap = 0;
        stream->head = 0;
    }
    return n;
}

void exchange_closed(struct http_exchange *exchange) {
    exchange->connection = NULL;
    exchange->server = NULL;
    struct http_stream *stream = exchange->stream;
    if (stream) {
        exchange->stream = NULL;
        stream_close(stream);
    }
    if (exchange->reply_pending && !exchange->on_abort) {
        return; // the handler will reply into the void
    }
    if (exchange->reply_pending) {
        exchange->reply_pending = false;
        exchange->on_abort(exchange->abort_ctx);
    }
    exchange_free(exchange);
}
