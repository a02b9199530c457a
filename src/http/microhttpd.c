// SPDX-License-Identifier: Apache-2.0
// The HTTP server: the one file that includes libmicrohttpd's header. The library is opened on the first start of a
// server. It runs without threads: its epoll descriptor is polled by the loop, its time-out is a timer of the loop.
//
// A connection whose handler has not replied, or whose stream has nothing to send, is suspended. Suspended connections
// have no time-out in the library and it does not notice that they close, so `hangups`, an epoll descriptor of our own,
// watches them for that alone.
#include <dlfcn.h>
#include <microhttpd.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "http/gnutls_peer.h"
#include "http/server_internal.h"

// Functions of the library that are looked up by name.
#define MHD_FUNCTIONS(X)                                  \
    X(start_daemon)                                       \
    X(stop_daemon)                                        \
    X(run)                                                \
    X(get_timeout)                                        \
    X(get_daemon_info)                                    \
    X(get_connection_info)                                \
    X(lookup_connection_value_n)                          \
    X(get_connection_values)                              \
    X(suspend_connection)                                 \
    X(resume_connection)                                  \
    X(queue_response)                                     \
    X(create_response_from_buffer)                        \
    X(create_response_from_buffer_with_free_callback_cls) \
    X(create_response_from_callback)                      \
    X(add_response_header)                                \
    X(destroy_response)

struct mhd_api {
    void *handle;
#define X(name) __typeof__(MHD_##name) *name;
    MHD_FUNCTIONS(X)
#undef X
};

enum {
    CONNECTION_MEMORY = LIMIT_HTTP_HEAD,
    STREAM_BLOCK = 8 * KIB,
    PARTS_BLOCK = 64 * KIB,
    DISCARD_MAX = 1 * MIB, // of a body over its limit, to be able to answer at all
    HANGUP_BATCH = 64,
    HEADERS_MAX = 100,
    FRUITLESS_MAX = 8,
};
#define IDLE_TIMEOUT_STANDARD (120 * NS_PER_SECOND)
#define BODY_TIMEOUT_STANDARD (300 * NS_PER_SECOND)
#define SWEEP_INTERVAL (5 * NS_PER_SECOND)

struct http_server {
    struct loop *loop;
    struct mhd_api api;
    struct MHD_Daemon *daemon;
    struct http_server_options options;
    int64_t idle_timeout, body_timeout;
    bool tls;
    unsigned port;
    struct loop_poll *poll;
    struct loop_timer *timer;
    bool resumed;       // a connection, since the library ran
    uint64_t activity;  // callbacks of the library
    unsigned fruitless; // runs on end without one
    int hangup_fd;
    struct loop_poll *hangup_poll;
    struct loop_timer *sweep;
    struct http_exchange *exchanges;
    struct connection *connections;
    size_t backlog; // bytes of replies that are not sent yet
    size_t bodies;  // bytes of bodies that are being received or worked on
};

struct connection {
    struct connection *prev, *next;
    struct http_exchange *exchange; // the request under way
    int fd;
    bool watched;   // by hangup_fd
    bool receiving; // a head, or a body
    bool body;
    int64_t since;
    bool peer_checked; // `peer` is known: checking signatures for each request would be dear
    struct http_peer *peer;
};

// ---- The library ----

static bool open_library(struct mhd_api *api, struct err *err) {
    api->handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!api->handle) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the HTTP server needs libmicrohttpd (Debian: libmicrohttpd12): %s",
                       dlerror());
    }
#define X(name)                                                                                \
    api->name = (__typeof__(MHD_##name) *)dlsym(api->handle, "MHD_" #name);                    \
    if (!api->name) {                                                                          \
        return err_set(err, ERR_UNSUPPORTED, "libmicrohttpd is too old: it lacks MHD_" #name); \
    }
    MHD_FUNCTIONS(X)
#undef X
    return true;
}

static void on_library_log(void *cls, const char *format, va_list args) {
    (void)cls;
    if (log_enabled("http", LOG_DEBUG)) {
        char text[512];
        vsnprintf(text, sizeof text, format, args);
        LOG(LOG_DEBUG, "http", "connection", "detail", text);
    }
}

static const union MHD_ConnectionInfo *info_of(struct http_server *server, void *connection,
                                               enum MHD_ConnectionInfoType what) {
    return server->api.get_connection_info(connection, what);
}

static struct connection *connection_of(struct http_exchange *exchange) {
    const union MHD_ConnectionInfo *info =
        info_of(exchange->server, exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// ---- Turns ----

static void run_library(struct http_server *server) {
    MHD_UNSIGNED_LONG_LONG ms;
    uint64_t before = server->activity;
    server->resumed = false;
    server->api.run(server->daemon);
    server->fruitless = server->activity == before ? server->fruitless + 1 : 0;
    if (server->resumed) {
        loop_timer_start(server->timer, 0);
    } else if (server->api.get_timeout(server->daemon, &ms) == MHD_YES) {
        int64_t delay = ms > 3600 * 1000 ? 3600 * NS_PER_SECOND : (int64_t)ms * NS_PER_MS;
        // During a TLS handshake the library (0.9.75) asks to be run at once again and again, although it waits for the
        // client, whose bytes wake the loop anyway. A client that stalls there must not cost a processor.
        if (delay == 0 && server->fruitless > FRUITLESS_MAX) {
            unsigned more = server->fruitless - FRUITLESS_MAX;
            delay = (more > 20 ? 20 : more) * NS_PER_MS;
        }
        loop_timer_start(server->timer, delay);
    } else {
        loop_timer_stop(server->timer);
    }
}

static void on_ready(void *ctx, int events) {
    (void)events;
    run_library(ctx);
}

static void on_timeout(void *ctx) {
    run_library(ctx);
}

// ---- Suspending ----

static void watch_for_hangup(struct http_exchange *exchange) {
    struct connection *connection = connection_of(exchange);
    if (connection && !connection->watched && exchange->server->hangup_fd >= 0) {
        // Edge-triggered and left in place: a watch that is resumed for each event costs no further system call.
        struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
        connection->watched =
            epoll_ctl(exchange->server->hangup_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0;
    }
}

static void suspend(struct http_exchange *exchange) {
    exchange->suspended = true;
    exchange->server->api.suspend_connection(exchange->connection);
    watch_for_hangup(exchange);
}

void server_resume(struct http_exchange *exchange) {
    struct http_server *server = exchange->server;
    if (!exchange->suspended) {
        return;
    }
    exchange->suspended = false;
    server->api.resume_connection(exchange->connection);
    // Without a thread of its own the library does not wake up by itself.
    if (!server->resumed) {
        server->resumed = true;
        loop_timer_start(server->timer, 0);
    }
}

static void on_hangup(void *ctx, int ignored) {
    (void)ignored;
    struct http_server *server = ctx;
    struct epoll_event events[HANGUP_BATCH];
    int n = epoll_wait(server->hangup_fd, events, HANGUP_BATCH, 0);
    for (int i = 0; i < n; i++) {
        struct connection *connection = events[i].data.ptr;
        struct http_exchange *exchange = connection->exchange;
        if (exchange && exchange->suspended) {
            exchange->gone = true;
            server_resume(exchange); // the library closes it in its next turn
        } else if (connection->watched) {
            // Not suspended now: the library sees it itself. When suspended again, the edge must be seen again.
            epoll_ctl(server->hangup_fd, EPOLL_CTL_DEL, connection->fd, NULL);
            connection->watched = false;
        }
    }
}

// ---- Replies ----

static void free_parts(void *cls) {
    reply_parts_unref(cls);
}

static void free_stream(void *cls) {
    stream_unref(cls);
}

static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max) {
    (void)pos;
    struct http_stream *stream = cls;
    struct http_exchange *exchange = stream->exchange;
    if (!exchange || exchange->gone) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    exchange->server->activity++;
    size_t n = stream_read(stream, to, max);
    if (n > 0) {
        return (ssize_t)n;
    }
    if (stream->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    suspend(exchange);
    return 0;
}

// Where a reply of many pieces is. They go out by way of a block of bounded size: the library's own vectors of pieces
// (0.9.75) end in "Failed to destroy mutex", and one TLS record for each small piece would be dear.
struct parts_reader {
    struct http_server *server; // outlives its connections
    struct reply_parts *parts;
    size_t index, offset;
};

static ssize_t read_parts(void *cls, uint64_t pos, char *to, size_t max) {
    (void)pos;
    struct parts_reader *reader = cls;
    size_t n = 0;
    reader->server->activity++;
    while (n < max && reader->index < reader->parts->count) {
        const struct blob *blob = reader->parts->blobs[reader->index];
        size_t part = blob->len - reader->offset;
        part = part < max - n ? part : max - n;
        memcpy(to + n, blob->data + reader->offset, part);
        n += part;
        reader->offset += part;
        if (reader->offset == blob->len) {
            reader->index++;
            reader->offset = 0;
        }
    }
    return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_reader(void *cls) {
    struct parts_reader *reader = cls;
    reply_parts_unref(reader->parts);
    free(reader);
}

static struct MHD_Response *response_of_parts(struct http_server *server,
                                              struct reply_parts *parts) {
    struct parts_reader *reader = NEW(struct parts_reader);
    reader->server = server;
    reader->parts = parts;
    return server->api.create_response_from_callback(parts->total, PARTS_BLOCK, read_parts, reader,
                                                     free_reader);
}

// Moves what the reply holds into the library's object.
static struct MHD_Response *make_response(struct http_server *server, struct reply *reply) {
    if (reply->stream) {
        struct http_stream *stream = reply->stream;
        reply->stream = NULL;
        return server->api.create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                         read_stream, stream, free_stream);
    }
    struct reply_parts *parts = TAKE(reply->parts);
    if (!parts || parts->count == 0) {
        reply_parts_unref(parts);
        return server->api.create_response_from_buffer(0, (void *)(uintptr_t) "",
                                                       MHD_RESPMEM_PERSISTENT);
    }
    // A large piece over TLS goes by the reader too, so that its progress is seen (see run_library).
    if (parts->count == 1 && (!server->tls || parts->total <= PARTS_BLOCK)) {
        struct blob *blob = parts->blobs[0];
        return server->api.create_response_from_buffer_with_free_callback_cls(blob->len, blob->data,
                                                                              free_parts, parts);
    }
    return response_of_parts(server, parts);
}

static enum MHD_Result send_reply(struct http_exchange *exchange) {
    struct http_server *server = exchange->server;
    struct reply *reply = &exchange->reply;
    struct MHD_Response *response = make_response(server, reply);
    CHECK(response);
    if (reply->content_type[0]) {
        server->api.add_response_header(response, "Content-Type", reply->content_type);
    }
    for (size_t i = 0; i < reply->header_count; i++) {
        server->api.add_response_header(response, reply->headers[i].name.p,
                                        reply->headers[i].value.p);
    }
    exchange->queued = true;
    enum MHD_Result result =
        server->api.queue_response(exchange->connection, (unsigned)reply->status, response);
    server->api.destroy_response(response);
    return result;
}

// An answer of the server's own, before the handler saw the request. The connection is closed afterwards, because what
// follows on it cannot be trusted to be a request.
static enum MHD_Result refuse(struct http_exchange *exchange, unsigned status, const char *text) {
    struct mhd_api *api = &exchange->server->api;
    struct MHD_Response *response = api->create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    CHECK(response);
    api->add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    api->add_response_header(response, "Connection", "close");
    exchange->queued = true;
    enum MHD_Result result = api->queue_response(exchange->connection, status, response);
    api->destroy_response(response);
    return result;
}

// ---- Requests ----

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *raw) {
    struct http_server *server = cls;
    struct http_exchange *exchange = exchange_create(server, server->loop, uri);
    exchange->connection = raw;
    exchange->next = server->exchanges;
    if (exchange->next) {
        exchange->next->prev = exchange;
    }
    server->exchanges = exchange;
    struct connection *connection = connection_of(exchange);
    if (connection) {
        connection->exchange = exchange;
    }
    return exchange;
}

// The query stays as it was sent.
static size_t on_unescape(void *cls, struct MHD_Connection *raw, char *text) {
    (void)cls;
    (void)raw;
    return strlen(text);
}

struct head_check {
    size_t headers;
    size_t lengths;
    size_t encodings;
    size_t hosts;
    struct str length;
    bool chunked;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
    (void)kind;
    struct head_check *check = cls;
    struct str text = str_from(name);
    check->headers++;
    if (str_eq_nocase(text, STR("Content-Length"))) {
        check->lengths++;
        check->length = str_from(value);
    } else if (str_eq_nocase(text, STR("Transfer-Encoding"))) {
        check->encodings++;
        check->chunked = str_eq_nocase(str_from(value), STR("chunked"));
    } else if (str_eq_nocase(text, STR("Host"))) {
        check->hosts++;
    }
    return MHD_YES;
}

// Anything that two programs might frame differently is refused: that is how requests are smuggled.
static enum MHD_Result begin_request(struct http_exchange *exchange, const char *method,
                                     const char *version) {
    struct http_server *server = exchange->server;
    struct head_check check = {0};
    server->api.get_connection_values(exchange->connection, MHD_HEADER_KIND, on_header, &check);
    exchange->begun = true;
    size_t n = strnlen(method, METHOD_MAX);
    if (n == METHOD_MAX) {
        return refuse(exchange, MHD_HTTP_NOT_IMPLEMENTED, "the method is not known\n");
    }
    memcpy(exchange->method, method, n + 1);
    exchange->request.method = (struct str){exchange->method, n};
    if (exchange->request.path.n == 0 || exchange->request.path.p[0] != '/') {
        return refuse(exchange, MHD_HTTP_BAD_REQUEST, "the path must begin with '/'\n");
    }
    if (check.hosts > 1 || (check.hosts == 0 && strcmp(version, "HTTP/1.0") != 0)) {
        return refuse(exchange, MHD_HTTP_BAD_REQUEST, "one Host header is needed\n");
    }
    uint64_t length = 0;
    if (check.headers > HEADERS_MAX) {
        return refuse(exchange, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers\n");
    }
    if (check.lengths + check.encodings > 1 || (check.encodings == 1 && !check.chunked) ||
        (check.lengths == 1 && !str_to_uint64(check.length, &length))) {
        return refuse(exchange, MHD_HTTP_BAD_REQUEST,
                      "give either one Content-Length or Transfer-Encoding: chunked\n");
    }
    size_t limit = server->options.max_body;
    if (server->options.body_limit) {
        size_t other = server->options.body_limit(server->options.ctx, exchange->request.method,
                                                  exchange->request.path);
        limit = other ? other : limit;
    }
    if (length > limit && (!server->options.handles_cut_bodies || length > limit + DISCARD_MAX)) {
        return refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the request body is too large\n");
    }
    exchange->body_limit = limit;
    buf_init(&exchange->body, limit);
    struct connection *connection = connection_of(exchange);
    if (connection) {
        connection->body = true;
        connection->since = loop_now(server->loop);
    }
    return MHD_YES;
}

static enum MHD_Result take_body(struct http_exchange *exchange, const char *data, size_t n) {
    struct http_server *server = exchange->server;
    if (server->bodies + n > LIMIT_HTTP_BODIES) {
        return MHD_NO; // closing is the one answer that costs no memory
    }
    size_t before = exchange->body.len;
    bool kept = !exchange->body.overflow && buf_add(&exchange->body, data, n);
    server->bodies += exchange->body.len - before;
    if (!kept) {
        exchange->body_extra += n;
        return exchange->body_extra > DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    return MHD_YES;
}

static struct http_peer *read_peer(struct http_exchange *exchange) {
    const union MHD_ConnectionInfo *info =
        info_of(exchange->server, exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    AUTO(free) struct gnutls_peer *found = NEW(struct gnutls_peer);
    if (!info || !gnutls_peer_read((void *)info->tls_session, found)) {
        return NULL;
    }
    struct http_peer *peer = NEW(struct http_peer);
    peer->refs = 1;
    peer->name = (struct str){xstrdup(str_from(found->name)), strlen(found->name)};
    peer->groups = xcalloc(found->group_count + 1, sizeof *peer->groups);
    for (size_t i = 0; i < found->group_count; i++) {
        struct str group = str_from(found->groups[i]);
        peer->groups[peer->group_count++] = (struct str){xstrdup(group), group.n};
    }
    return peer;
}

static void fill_certificate(struct http_exchange *exchange, struct connection *connection) {
    if (!connection->peer_checked) {
        connection->peer_checked = true;
        connection->peer = read_peer(exchange);
    }
    struct http_peer *peer = connection->peer;
    if (peer) {
        peer->refs++;
        exchange->peer = peer;
        exchange->request.client_cert_name = peer->name;
        exchange->request.client_cert_groups = peer->groups;
        exchange->request.client_cert_group_count = peer->group_count;
    }
}

static void fill_peer(struct http_exchange *exchange) {
    struct http_server *server = exchange->server;
    const union MHD_ConnectionInfo *info =
        info_of(server, exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    address_format(info ? info->client_addr : NULL, exchange->remote);
    exchange->request.remote = str_from(exchange->remote);
    struct connection *connection = connection_of(exchange);
    if (server->options.client_ca.n > 0 && connection) {
        fill_certificate(exchange, connection);
    }
}

static enum MHD_Result call_handler(struct http_exchange *exchange) {
    struct http_server *server = exchange->server;
    struct connection *connection = connection_of(exchange);
    if (connection) {
        connection->receiving = false;
    }
    exchange->request.body_cut = exchange->body.overflow;
    if (exchange->body.overflow && !server->options.handles_cut_bodies) {
        return refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the request body is too large\n");
    }
    exchange->request.body = exchange->request.body_cut ? STR("") : buf_str(&exchange->body);
    fill_peer(exchange);
    exchange->handled = true;
    exchange->reply_pending = true;
    exchange->in_handler = true;
    server->options.handle(server->options.ctx, exchange);
    exchange->in_handler = false;
    if (exchange->reply.ready) {
        return send_reply(exchange);
    }
    suspend(exchange);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *raw, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls) {
    (void)raw;
    (void)url;
    struct http_exchange *exchange = *con_cls;
    struct http_server *server = cls;
    server->activity++;
    if (!exchange || exchange->gone) {
        return MHD_NO;
    }
    if (!exchange->begun) {
        return begin_request(exchange, method, version);
    }
    if (exchange->queued) {
        *size = 0;
        return MHD_YES;
    }
    if (*size > 0) {
        size_t n = *size;
        *size = 0;
        return take_body(exchange, data, n);
    }
    if (!exchange->handled) {
        return call_handler(exchange);
    }
    if (exchange->reply.ready) {
        return send_reply(exchange);
    }
    suspend(exchange);
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *raw, void **con_cls,
                         enum MHD_RequestTerminationCode why) {
    (void)raw;
    (void)why;
    struct http_server *server = cls;
    struct http_exchange *exchange = *con_cls;
    if (!exchange) {
        return;
    }
    server->activity++;
    server->bodies -= exchange->body.len;
    *con_cls = NULL;
    struct connection *connection = connection_of(exchange);
    if (connection) {
        connection->exchange = NULL;
        connection->receiving = true;
        connection->body = false;
        connection->since = loop_now(server->loop);
    }
    if (exchange->prev) {
        exchange->prev->next = exchange->next;
    } else {
        server->exchanges = exchange->next;
    }
    if (exchange->next) {
        exchange->next->prev = exchange->prev;
    }
    exchange_closed(exchange);
}

struct str server_find_header(struct http_exchange *exchange, struct str name) {
    const char *value;
    size_t n;
    if (exchange->server->api.lookup_connection_value_n(exchange->connection, MHD_HEADER_KIND,
                                                        name.p, name.n, &value, &n) != MHD_YES) {
        return (struct str){NULL, 0};
    }
    return (struct str){value, n};
}

struct each_header {
    void (*fn)(void *ctx, struct str name, struct str value);
    void *ctx;
};

static enum MHD_Result pass_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    (void)kind;
    struct each_header *each = cls;
    each->fn(each->ctx, str_from(name), str_from(value));
    return MHD_YES;
}

void server_each_header(struct http_exchange *exchange,
                        void (*fn)(void *ctx, struct str name, struct str value), void *ctx) {
    struct each_header each = {fn, ctx};
    exchange->server->api.get_connection_values(exchange->connection, MHD_HEADER_KIND, pass_header,
                                                &each);
}

size_t *server_backlog(struct http_server *server) {
    return &server->backlog;
}

// ---- Connections ----

static void on_connection(void *cls, struct MHD_Connection *raw, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    struct http_server *server = cls;
    struct connection *connection = *context;
    server->activity++;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            info_of(server, raw, MHD_CONNECTION_INFO_CONNECTION_FD);
        connection = NEW(struct connection);
        *connection = (struct connection){.next = server->connections,
                                          .fd = info ? info->connect_fd : -1,
                                          .receiving = true,
                                          .since = loop_now(server->loop)};
        if (connection->next) {
            connection->next->prev = connection;
        }
        server->connections = connection;
        *context = connection;
    } else if (connection) {
        if (connection->watched && server->hangup_fd >= 0) {
            epoll_ctl(server->hangup_fd, EPOLL_CTL_DEL, connection->fd, NULL);
        }
        if (connection->prev) {
            connection->prev->next = connection->next;
        } else {
            server->connections = connection->next;
        }
        if (connection->next) {
            connection->next->prev = connection->prev;
        }
        peer_unref(connection->peer);
        free(connection);
        *context = NULL;
    }
}

// The library's time-out counts from the last byte, so a client that sends one now and then would stay for ever.
static void on_sweep(void *ctx) {
    struct http_server *server = ctx;
    int64_t now = loop_now(server->loop);
    for (struct connection *connection = server->connections; connection;
         connection = connection->next) {
        int64_t limit = connection->body ? server->body_timeout : server->idle_timeout;
        if (connection->receiving && now - connection->since > limit && connection->fd >= 0) {
            shutdown(connection->fd, SHUT_RDWR); // the library sees it and cleans up
        }
    }
    loop_timer_start(server->sweep, SWEEP_INTERVAL);
}

// ---- Life ----

static bool start_daemon(struct http_server *server, int fd, struct err *err) {
    const struct http_server_options *options = &server->options;
    AUTO(free) char *cert = xstrdup(options->cert);
    AUTO(free) char *key = xstrdup(options->key);
    AUTO(free) char *client_ca = xstrdup(options->client_ca);
    struct MHD_OptionItem items[16];
    size_t n = 0;
    if (server->tls) {
        items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, cert};
        items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
        items[n++] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
        if (options->client_ca.n > 0) {
            items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, client_ca};
        }
    }
    items[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (server->tls ? MHD_USE_TLS : 0);
    unsigned seconds = (unsigned)((server->idle_timeout + NS_PER_SECOND - 1) / NS_PER_SECOND);
    server->daemon = server->api.start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_log,
        server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT, options->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, seconds, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        server, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server, MHD_OPTION_ARRAY, items,
        MHD_OPTION_END);
    if (!server->daemon) {
        return err_set(err, server->tls ? ERR_INVALID : ERR_INTERNAL,
                       "cannot start the HTTP server%s",
                       server->tls ? ": check its certificate and key" : "");
    }
    return true;
}

static void attach(struct http_server *server) {
    const union MHD_DaemonInfo *info =
        server->api.get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    CHECK(info);
    server->timer = loop_timer_create(server->loop, on_timeout, server);
    server->poll = loop_poll_create(server->loop, info->epoll_fd, on_ready, server);
    CHECK(server->poll);
    loop_poll_start(server->poll, LOOP_READABLE);
    server->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->hangup_fd >= 0) {
        server->hangup_poll = loop_poll_create(server->loop, server->hangup_fd, on_hangup, server);
        CHECK(server->hangup_poll);
        loop_poll_start(server->hangup_poll, LOOP_READABLE);
    }
    server->sweep = loop_timer_create(server->loop, on_sweep, server);
    loop_timer_start(server->sweep, SWEEP_INTERVAL);
}

struct http_server *http_server_start(struct loop *loop, const struct http_server_options *options,
                                      struct err *err) {
    struct http_server *server = NEW(struct http_server);
    server->loop = loop;
    server->options = *options;
    server->options.max_body = options->max_body ? options->max_body : LIMIT_HTTP_BODY;
    server->options.max_connections =
        options->max_connections ? options->max_connections : LIMIT_HTTP_CONNECTIONS;
    server->idle_timeout =
        options->idle_timeout_ns > 0 ? options->idle_timeout_ns : IDLE_TIMEOUT_STANDARD;
    server->body_timeout =
        options->body_timeout_ns > 0 ? options->body_timeout_ns : BODY_TIMEOUT_STANDARD;
    server->tls = options->cert.n > 0;
    server->hangup_fd = -1;
    int fd = -1;
    if (!open_library(&server->api, err) ||
        (fd = listen_open(options->listen, &server->port, err)) < 0 ||
        !start_daemon(server, fd, err)) {
        if (fd >= 0) {
            close(fd);
        }
        free(server);
        return NULL;
    }
    // Copies that outlive the caller's texts are the library's; ours keep only whether there were any.
    server->options.cert = server->options.key = server->options.listen = STR("");
    server->options.client_ca.p = NULL;
    attach(server);
    return server;
}

unsigned http_server_port(const struct http_server *server) {
    return server->port;
}

void http_server_stop(struct http_server *server) {
    if (!server) {
        return;
    }
    // Streams get their proper end, requests that nobody answered are cut off. What can be sent at once is sent.
    for (struct http_exchange *exchange = server->exchanges; exchange; exchange = exchange->next) {
        if (exchange->stream) {
            exchange->stream->ended = true;
        } else if (!exchange->reply.ready) {
            exchange->gone = true;
        }
        server_resume(exchange);
    }
    server->api.run(server->daemon);
    server->api.run(server->daemon);
    loop_timer_destroy(server->sweep);
    loop_timer_destroy(server->timer);
    loop_poll_destroy(server->poll);
    loop_poll_destroy(server->hangup_poll);
    for (struct http_exchange *exchange = server->exchanges; exchange; exchange = exchange->next) {
        server_resume(exchange); // the library must not stop with suspended connections
    }
    server->api.stop_daemon(server->daemon);
    if (server->hangup_fd >= 0) {
        close(server->hangup_fd);
    }
    free(server); // the library stays open: its threads of TLS state do not like to be unloaded
}
