// SPDX-License-Identifier: Apache-2.0
// The HTTP client: the one file that includes libcurl's header. The library is opened with the first call. It runs on the
// loop: its sockets are polls, its time-outs a timer. No callback of a caller runs inside a function of this file that the
// caller called, and libcurl is never entered from one of its own callbacks: starts and cancels wait for the next turn.
//
// libcurl limits connections by host for a whole multi handle, so calls share one by their target's limit, and streams
// have their own: a burst of short calls never waits behind a thousand watches.
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "http/client_internal.h"

#define CURL_FUNCTIONS(X)  \
    X(global_init)         \
    X(global_cleanup)      \
    X(easy_init)           \
    X(easy_setopt)         \
    X(easy_reset)          \
    X(easy_getinfo)        \
    X(easy_cleanup)        \
    X(easy_strerror)       \
    X(slist_append)        \
    X(slist_free_all)      \
    X(multi_init)          \
    X(multi_setopt)        \
    X(multi_add_handle)    \
    X(multi_remove_handle) \
    X(multi_socket_action) \
    X(multi_assign)        \
    X(multi_info_read)     \
    X(multi_cleanup)

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl_api {
    void *handle;
#define X(name) __typeof__(curl_##name) *name;
    CURL_FUNCTIONS(X)
#undef X
};

enum {
    CONNECTIONS_STANDARD = 8, // to one host, short calls
    // An HTTP/1.1 server needs a connection for each watch; over HTTP/2 a few carry 100 to 250 each, and libcurl would
    // open as many as it may when many start at once.
    CONNECTIONS_STREAMS_1 = 256,
    CONNECTIONS_STREAMS_2 = 16,
    STREAMS_PER_CONNECTION = 1000, // our side of the bargain; servers allow 100 to 250
    CONNECTIONS_KEPT = 256,
    CONNECT_TIMEOUT_MS = 10 * 1000,
    EASY_KEPT = 32,
    BUFFER_BYTES = 64 * KIB,
    BUFFER_BYTES_STREAM = 16 * KIB,
    REDIRECTS_MAX = 10,
    UNACKED_MS = 30 * 1000, // a peer whose machine or network vanished
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_PAUSE_S = 10,
};

// A multi handle and what belongs to it.
struct engine {
    struct http_client *client;
    CURLM *multi;
    struct loop_timer *timer;
};

struct group {
    unsigned max_connections;
    struct engine calls, streams_1, streams_2;
};

struct socket_poll {
    struct engine *engine;
    curl_socket_t fd;
    struct loop_poll *poll;
};

// What is known of a server. libcurl holds calls back until it knows whether they can share the first connection, but lets
// them go only when one ends (7.88.1): over HTTP/1.1 a thousand watches would wait for the first one for ever. So streams
// to an unknown server wait here, for the first reply of any.
struct origin {
    int http_version; // 0: not known yet
    uint64_t prober;  // the stream that is to find out
    // A call got no answer in time, so its connection may be dead, and others would join it there: until one was answered,
    // each opens a new one.
    bool is_suspect;
    VEC(uint64_t) waiting;
};

struct http_client {
    struct loop *loop;
    struct map *origins;
    bool opened, is_resetting;
    struct curl_api api;
    VEC(struct group *) groups;
    struct map *calls; // by id
    uint64_t last_id;
    // Done in the next turn.
    struct loop_timer *turn;
    struct call *start_first, *start_last;
    VEC(uint64_t) cancelled;
    VEC(CURL *) spare;
};

static struct str id_key(const uint64_t *id) {
    return (struct str){(const char *)id, sizeof *id};
}

// ---- The library ----

static bool open_library(struct http_client *client, struct err *err) {
    if (client->opened) {
        return true;
    }
    struct curl_api *api = &client->api;
    api->handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!api->handle) {
        return err_set(err, ERR_UNSUPPORTED, "the HTTP client needs libcurl (Debian: libcurl4): %s",
                       dlerror());
    }
#define X(name)                                                                           \
    api->name = (__typeof__(curl_##name) *)dlsym(api->handle, "curl_" #name);             \
    if (!api->name) {                                                                     \
        return err_set(err, ERR_UNSUPPORTED, "libcurl is too old: it lacks curl_" #name); \
    }
    CURL_FUNCTIONS(X)
#undef X
    if (api->global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
        return err_set(err, ERR_UNSUPPORTED, "libcurl does not start");
    }
    client->opened = true;
    return true;
}

// ---- The end of a call ----

static enum err_code code_of(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_INVALID;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return ERR_UNAVAILABLE;
    default:
        return ERR_IO;
    }
}

// ---- Servers ----

static void queue_start(struct http_client *client, struct call *call) {
    call->queued = true;
    call->next = NULL;
    if (client->start_last) {
        client->start_last->next = call;
    } else {
        client->start_first = call;
    }
    client->start_last = call;
    if (!loop_timer_is_active(client->turn)) {
        loop_timer_start(client->turn, 0);
    }
}

static void release_waiting(struct http_client *client, struct origin *origin) {
    for (size_t i = 0; i < origin->waiting.len; i++) {
        struct call *call = map_find(client->calls, id_key(&origin->waiting.items[i]));
        if (call) { // it did not end meanwhile
            queue_start(client, call);
        }
    }
    VEC_FREE(&origin->waiting);
}

static struct origin *get_origin(struct http_client *client, struct str name) {
    struct origin *origin = map_find(client->origins, name);
    if (!origin) {
        origin = NEW(struct origin);
        map_put(client->origins, name, origin);
    }
    return origin;
}

// False when the call has to wait for the protocol of its server; it comes back through the queue of starts.
static bool may_start(struct http_client *client, struct call *call) {
    if (!call->stream || str_starts(call->origin, STR("http:"))) {
        return true;
    }
    struct origin *origin = get_origin(client, call->origin);
    if (origin->http_version || origin->prober == 0) {
        origin->prober = origin->http_version ? 0 : call->id;
        return true;
    }
    VEC_PUSH(&origin->waiting, call->id);
    return false;
}

static void learn_version(struct http_client *client, const struct call *call) {
    struct origin *origin = get_origin(client, call->origin);
    origin->is_suspect = false;
    if (origin->http_version != call->http_version) {
        origin->http_version = call->http_version;
        origin->prober = 0;
        release_waiting(client, origin);
    }
}

// A probe that ended without a reply: the next one takes its place.
static void leave_probe(struct http_client *client, const struct call *call) {
    struct origin *origin = call->origin.n ? map_find(client->origins, call->origin) : NULL;
    if (origin && origin->prober == call->id) {
        origin->prober = 0;
        release_waiting(client, origin);
    }
}

static bool is_suspect(struct http_client *client, const struct call *call) {
    const struct origin *origin = map_find(client->origins, call->origin);
    return origin && origin->is_suspect;
}

static void detach(struct call *call) {
    struct http_client *client = call->client;
    struct engine *engine = call->engine;
    if (call->easy) {
        if (engine) {
            client->api.multi_remove_handle(engine->multi, call->easy);
        }
        if (client->spare.len < EASY_KEPT) {
            client->api.easy_reset(call->easy);
            VEC_PUSH(&client->spare, call->easy);
        } else {
            client->api.easy_cleanup(call->easy);
        }
        call->easy = NULL;
    }
    call->engine = NULL;
    if (client->opened) {
        client->api.slist_free_all(call->header_list);
        client->api.slist_free_all(call->connect_to);
    }
    call->header_list = NULL;
    call->connect_to = NULL;
}

static void finish(struct call *call) {
    struct http_client *client = call->client;
    map_remove(client->calls, id_key(&call->id));
    leave_probe(client, call);
    detach(call);
    call_finish(call);
}

static void fail_call(struct call *call, enum err_code code, const char *message) {
    call_fail(call, code, message);
    finish(call);
}

static void take_results(struct engine *engine) {
    struct curl_api *api = &engine->client->api;
    int left;
    for (CURLMsg *msg; (msg = api->multi_info_read(engine->multi, &left));) {
        if (msg->msg != CURLMSG_DONE) {
            continue;
        }
        struct call *call = NULL;
        CURLcode code = msg->data.result;
        api->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (code != CURLE_OK) {
            // call_fail keeps the first reason: a limit, or a callback that wanted no more.
            call_fail(call, code_of(code),
                      call->error_text[0] ? call->error_text : api->easy_strerror(code));
        }
        finish(call);
    }
}

// ---- libcurl's callbacks ----

static void on_socket_ready(void *ctx, int events) {
    struct socket_poll *sp = ctx;
    struct engine *engine = sp->engine;
    int running;
    int mask = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) |
               (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0) |
               (events & LOOP_HANGUP ? CURL_CSELECT_ERR : 0);
    engine->client->api.multi_socket_action(engine->multi, sp->fd, mask, &running);
    take_results(engine);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned) {
    (void)easy;
    struct engine *engine = ctx;
    struct socket_poll *sp = assigned;
    struct curl_api *api = &engine->client->api;
    if (what == CURL_POLL_REMOVE) {
        if (sp) {
            loop_poll_destroy(sp->poll);
            free(sp);
            api->multi_assign(engine->multi, fd, NULL);
        }
        return 0;
    }
    if (!sp) {
        sp = NEW(struct socket_poll);
        *sp = (struct socket_poll){.engine = engine, .fd = fd};
        sp->poll = loop_poll_create(engine->client->loop, fd, on_socket_ready, sp);
        if (!sp->poll) {
            free(sp);
            return -1;
        }
        api->multi_assign(engine->multi, fd, sp);
    }
    loop_poll_start(sp->poll, (what & CURL_POLL_IN ? LOOP_READABLE : 0) |
                                  (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
    return 0;
}

static int on_timer_wanted(CURLM *multi, long ms, void *ctx) {
    (void)multi;
    struct engine *engine = ctx;
    if (ms < 0) {
        loop_timer_stop(engine->timer);
    } else {
        loop_timer_start(engine->timer, ms * NS_PER_MS);
    }
    return 0;
}

static void on_timer(void *ctx) {
    struct engine *engine = ctx;
    int running;
    engine->client->api.multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_results(engine);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx) {
    size_t n = size * count;
    return call_take_body(ctx, (struct str){data, n}) ? n : CURL_WRITEFUNC_ERROR;
}

static size_t on_head_line(char *data, size_t size, size_t count, void *ctx) {
    size_t n = size * count;
    struct call *call = ctx;
    if (!call_take_head_line(call, (struct str){data, n})) {
        return 0;
    }
    if (call->http_version) {
        learn_version(call->client, call);
    }
    return n;
}

// A machine or a network that is gone is noticed by what it does not acknowledge.
static int on_new_socket(void *ctx, curl_socket_t fd, curlsocktype purpose) {
    (void)ctx;
    (void)purpose;
    unsigned timeout = UNACKED_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return CURL_SOCKOPT_OK;
}

static int on_close_socket(void *ctx, curl_socket_t fd) {
    struct http_client *client = ctx;
    if (client->is_resetting) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    return close(fd);
}

// ---- Engines ----

static void engine_open(struct http_client *client, struct engine *engine, long connections) {
    struct curl_api *api = &client->api;
    engine->client = client;
    engine->multi = api->multi_init();
    CHECK(engine->multi);
    engine->timer = loop_timer_create(client->loop, on_timer, engine);
    api->multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    api->multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
    api->multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    api->multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
    api->multi_setopt(engine->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    // Without this libcurl opens a connection for each request over the server's limit of streams (measured: 665).
    api->multi_setopt(engine->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    api->multi_setopt(engine->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_PER_CONNECTION);
    api->multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
}

static void engine_close(struct engine *engine) {
    engine->client->api.multi_cleanup(engine->multi);
    loop_timer_destroy(engine->timer);
}

static struct engine *find_engine(struct http_client *client, const struct call *call,
                                  bool may_share) {
    unsigned max = call->target && call->target->max_connections ? call->target->max_connections
                                                                 : CONNECTIONS_STANDARD;
    struct group *group = NULL;
    for (size_t i = 0; i < client->groups.len && !group; i++) {
        if (client->groups.items[i]->max_connections == max) {
            group = client->groups.items[i];
        }
    }
    if (!group) {
        group = NEW(struct group);
        group->max_connections = max;
        engine_open(client, &group->calls, max);
        engine_open(client, &group->streams_1,
                    max > CONNECTIONS_STREAMS_1 ? max : CONNECTIONS_STREAMS_1);
        engine_open(client, &group->streams_2,
                    max > CONNECTIONS_STREAMS_2 ? max : CONNECTIONS_STREAMS_2);
        VEC_PUSH(&client->groups, group);
    }
    return !call->stream ? &group->calls : may_share ? &group->streams_2 : &group->streams_1;
}

// ---- Options of a call ----

static void set_blob(struct curl_api *api, CURL *easy, CURLoption option, struct str pem) {
    // The target outlives the call, and libcurl copies what its connections keep.
    struct curl_blob blob = {(void *)(uintptr_t)pem.p, pem.n, CURL_BLOB_NOCOPY};
    api->easy_setopt(easy, option, &blob);
}

static void set_tls(struct curl_api *api, CURL *easy, const struct http_target *target) {
    if (target->tls.ca.n > 0) {
        set_blob(api, easy, CURLOPT_CAINFO_BLOB, target->tls.ca);
        api->easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (target->tls.cert.n > 0) {
        set_blob(api, easy, CURLOPT_SSLCERT_BLOB, target->tls.cert);
        set_blob(api, easy, CURLOPT_SSLKEY_BLOB, target->tls.key);
        api->easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
        api->easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    }
    if (target->tls.insecure) {
        api->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        api->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_method(struct curl_api *api, CURL *easy, const struct call *call) {
    if (str_eq_c(call->method, "HEAD")) {
        api->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (call->body.n > 0 || str_eq_c(call->method, "POST")) {
        api->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        api->easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
        api->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method.p);
    } else if (!str_eq_c(call->method, "GET")) {
        api->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method.p);
    }
    if (call->follow_redirects && str_eq_c(call->method, "POST")) {
        api->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL); // a 303 turns it into a GET
    }
}

static bool add_header(struct curl_api *api, struct call *call, const char *line) {
    struct curl_slist *list = api->slist_append(call->header_list, line);
    if (list) {
        call->header_list = list;
    }
    return list != NULL;
}

static void set_headers(struct curl_api *api, CURL *easy, struct call *call) {
    // An empty value takes out what libcurl would add by itself.
    bool has_type = false;
    bool has_agent = false;
    bool has_accept = false;
    for (size_t i = 0; i < call->header_count; i++) {
        struct str name = call->headers[i].name;
        struct str value = call->headers[i].value;
        has_type = has_type || str_eq_nocase(name, STR("Content-Type"));
        has_agent = has_agent || str_eq_nocase(name, STR("User-Agent"));
        has_accept = has_accept || str_eq_nocase(name, STR("Accept"));
        // "Name;" is how libcurl wants a header without a value.
        struct str line =
            value.n ? arena_printf(call->arena, "%.*s: %.*s", STR_ARG(name), STR_ARG(value))
                    : arena_printf(call->arena, "%.*s;", STR_ARG(name));
        CHECK(add_header(api, call, line.p));
    }
    CHECK(add_header(api, call, "Expect:"));
    CHECK(has_type || add_header(api, call, "Content-Type:"));
    CHECK(has_accept || add_header(api, call, "Accept: */*"));
    if (!has_agent) {
        api->easy_setopt(easy, CURLOPT_USERAGENT, "skiff/" SKIFF_VERSION);
    }
    if (call->host_header) {
        CHECK(add_header(api, call, call->host_header));
    }
    api->easy_setopt(easy, CURLOPT_HTTPHEADER, call->header_list);
}

static void set_route(struct curl_api *api, CURL *easy, struct call *call) {
    const struct http_target *target = call->target;
    if (call->connect_route) {
        call->connect_to = api->slist_append(NULL, call->connect_route);
        CHECK(call->connect_to);
        api->easy_setopt(easy, CURLOPT_CONNECT_TO, call->connect_to);
    }
    // Never the environment's: who wants its proxy asks for it.
    api->easy_setopt(easy, CURLOPT_PROXY, target && target->proxy.n ? target->proxy.p : "");
    api->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    api->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    api->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    if (call->follow_redirects) {
        api->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        api->easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    }
}

static void set_options(struct curl_api *api, CURL *easy, struct call *call, bool may_share) {
    call->error_text[0] = '\0';
    api->easy_setopt(easy, CURLOPT_PRIVATE, call);
    api->easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error_text);
    api->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    api->easy_setopt(easy, CURLOPT_URL, call->url.p);
    api->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    api->easy_setopt(easy, CURLOPT_PIPEWAIT, may_share ? 1L : 0L);
    api->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    api->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    api->easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    api->easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_PAUSE_S);
    api->easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    api->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    api->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->client);
    api->easy_setopt(easy, CURLOPT_FRESH_CONNECT, is_suspect(call->client, call) ? 1L : 0L);
    api->easy_setopt(easy, CURLOPT_BUFFERSIZE,
                     (long)(call->stream ? BUFFER_BYTES_STREAM : BUFFER_BYTES));
    api->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    api->easy_setopt(easy, CURLOPT_WRITEDATA, call);
    api->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    api->easy_setopt(easy, CURLOPT_HEADERDATA, call);
    set_method(api, easy, call);
    set_headers(api, easy, call);
    set_route(api, easy, call);
    if (call->target) {
        set_tls(api, easy, call->target);
    }
}

// ---- Turns ----

static void on_deadline(void *ctx) {
    struct call *call = ctx;
    if (call_is_late(call)) {
        if (call->easy && call->origin.n) {
            struct http_client *client = call->client;
            get_origin(client, call->origin)->is_suspect = true;
            client->api.easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
        }
        finish(call);
    }
}

static void begin(struct call *call) {
    struct http_client *client = call->client;
    struct err err = {0};
    if (!open_library(client, &err)) {
        fail_call(call, err.code, err.message);
        return;
    }
    if (!call_prepare(call)) {
        finish(call);
        return;
    }
    if (!call->timer) {
        call_start_timer(call, on_deadline); // waiting counts
    }
    if (!may_start(client, call)) {
        return;
    }
    if (client->spare.len > 0) {
        call->easy = client->spare.items[--client->spare.len];
    } else {
        call->easy = client->api.easy_init();
        CHECK(call->easy);
    }
    const struct origin *origin = map_find(client->origins, call->origin);
    bool may_share =
        str_starts(call->origin, STR("https:")) && (origin ? origin->http_version != 1 : true);
    set_options(&client->api, call->easy, call, may_share);
    struct engine *engine = find_engine(client, call, may_share);
    CURLMcode code = client->api.multi_add_handle(engine->multi, call->easy);
    if (code != CURLM_OK) {
        fail_call(call, ERR_INTERNAL, "libcurl refused the call");
        return;
    }
    call->engine = engine;
}

static void on_turn(void *ctx) {
    struct http_client *client = ctx;
    struct call *call = client->start_first;
    client->start_first = NULL;
    client->start_last = NULL;
    while (call) {
        struct call *next = call->next;
        call->next = NULL;
        call->queued = false;
        begin(call);
        call = next;
    }
    // Cancels by number: what ended meanwhile is not found. Callbacks may add to the list.
    for (size_t i = 0; i < client->cancelled.len; i++) {
        call = map_find(client->calls, id_key(&client->cancelled.items[i]));
        if (call && !call->queued) {
            fail_call(call, ERR_CANCELLED, "the call was cancelled");
        } else if (call) {
            call->cancelled = true; // its start is due; begin refuses it
        }
    }
    client->cancelled.len = 0;
}

// ---- Public ----

struct http_client *http_client_create(struct loop *loop) {
    struct http_client *client = NEW(struct http_client);
    client->loop = loop;
    client->calls = map_create();
    client->origins = map_create();
    client->turn = loop_timer_create(loop, on_turn, client);
    return client;
}

uint64_t http_client_start(struct http_client *client, const struct http_call *spec) {
    struct call *call = call_create(client->loop, spec);
    uint64_t id = ++client->last_id;
    call->client = client;
    call->id = id;
    map_put(client->calls, id_key(&call->id), call);
    queue_start(client, call);
    return id;
}

void http_client_cancel(struct http_client *client, uint64_t id) {
    if (map_find(client->calls, id_key(&id))) {
        VEC_PUSH(&client->cancelled, id);
        if (!loop_timer_is_active(client->turn)) {
            loop_timer_start(client->turn, 0);
        }
    }
}

static void end_all(struct http_client *client) {
    // One at a time from the start: a callback may start another call, which is cancelled as well.
    while (map_len(client->calls) > 0) {
        struct str key;
        void *value;
        size_t i = 0;
        client->start_first = NULL;
        client->start_last = NULL;
        map_next(client->calls, &i, &key, &value);
        fail_call(value, ERR_CANCELLED, "the client was closed");
    }
    for (size_t i = 0; i < client->groups.len; i++) {
        engine_close(&client->groups.items[i]->calls);
        engine_close(&client->groups.items[i]->streams_1);
        engine_close(&client->groups.items[i]->streams_2);
        free(client->groups.items[i]);
    }
    client->groups.len = 0;
}

void http_client_reset(struct http_client *client) {
    client->is_resetting = true;
    end_all(client);
    client->is_resetting = false;
}

void http_client_destroy(struct http_client *client) {
    if (!client) {
        return;
    }
    end_all(client);
    for (size_t i = 0; i < client->spare.len; i++) {
        client->api.easy_cleanup(client->spare.items[i]);
    }
    if (client->opened) {
        client->api.global_cleanup();
    }
    struct str name;
    void *origin;
    for (size_t i = 0; map_next(client->origins, &i, &name, &origin);) {
        VEC_FREE(&((struct origin *)origin)->waiting);
        free(origin);
    }
    map_destroy(client->origins);
    loop_timer_destroy(client->turn);
    VEC_FREE(&client->groups);
    VEC_FREE(&client->spare);
    VEC_FREE(&client->cancelled);
    map_destroy(client->calls);
    free(client);
}
