// SPDX-License-Identifier: Apache-2.0
// A load on a server from outside, the same for each: a Kubernetes API (Skiff's or a real one) or etcd's JSON gateway.
//   bench_load create --kube|--etcd PORT [--tls] [--token T] [--clients 200] [--count 20000] [--bytes 2048] [--namespace load]
//   bench_load list --kube PORT ... [--count 5]          the whole list, uncompressed; time to the last byte
//   bench_load watch --kube PORT ... [--watchers 1000] [--count 500]
//       one writer; each watcher must see every object, in order of resourceVersion
// Prints one JSON line.
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "bench/load_conn.h"

enum { NS_PER_MS = 1000000, EVENTS_AT_ONCE = 256, STALL_SECONDS = 60 };

enum mode { MODE_CREATE, MODE_LIST, MODE_WATCH };

struct watcher {
    struct buf line;
    int64_t revision, seen;
};

struct load {
    enum mode mode;
    bool etcd, tls;
    const char *token, *ns;
    uint16_t port;
    size_t clients, count, bytes, watchers;

    int epoll;
    struct load_conn *conns;
    struct load_handlers handlers;
    int64_t next, done, errors;
    int64_t *times; // of each finished request
    size_t reply_bytes;
    struct watcher *watching;
    int64_t delivered, wrong_order, started_watches;
    char first_error[256];
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(struct load *load, const char *what, struct str detail) {
    load->errors++;
    if (!load->first_error[0]) {
        snprintf(load->first_error, sizeof load->first_error, "%s %.*s", what,
                 (int)(detail.n < 160 ? detail.n : 160), detail.p ? detail.p : "");
    }
}

// ---- Requests ----
static void add_head(struct load *load, struct buf *out, const char *method, const char *path,
                     size_t body) {
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n", method,
               path);
    if (load->token) {
        buf_printf(out, "Authorization: Bearer %s\r\n", load->token);
    }
    if (body) {
        buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body);
    }
    buf_add_c(out, "\r\n");
}

// Text that a compressing store cannot shrink to nothing, the same for every server.
static void add_filler(struct buf *out, size_t n, uint64_t seed) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        buf_add_char(out, letters[x & 63]);
    }
}

static void make_object(struct load *load, struct buf *out, int64_t number) {
    buf_printf(
        out,
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"load-%08lld\","
        "\"namespace\":\"%s\",\"labels\":{\"app\":\"load\"}},\"data\":{\"text\":\"",
        (long long)number, load->ns);
    size_t frame = out->len + 3;
    add_filler(out, load->bytes > frame ? load->bytes - frame : 1, (uint64_t)number);
    buf_add_c(out, "\"}}");
}

static void make_create(struct load *load, struct buf *out, int64_t number) {
    struct buf object, body;
    char path[256];
    buf_init(&object, LOAD_REQUEST_MAX);
    buf_init(&body, LOAD_REQUEST_MAX);
    make_object(load, &object, number);
    if (load->etcd) {
        char key[128];
        snprintf(key, sizeof key, "/registry/configmaps/%s/load-%08lld", load->ns,
                 (long long)number);
        AUTO(arena_destroy) struct arena *arena = arena_create();
        buf_add_c(&body, "{\"key\":\"");
        buf_add_str(&body, base64_encode(arena, str_from(key)));
        buf_add_c(&body, "\",\"value\":\"");
        buf_add_str(&body, base64_encode(arena, buf_str(&object)));
        buf_add_c(&body, "\"}");
        snprintf(path, sizeof path, "/v3/kv/put");
    } else {
        buf_add_str(&body, buf_str(&object));
        snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps?fieldManager=load", load->ns);
    }
    buf_clear(out);
    add_head(load, out, "POST", path, body.len);
    buf_add_str(out, buf_str(&body));
    buf_fini(&object);
    buf_fini(&body);
}

static void send_next(struct load *load, struct load_conn *conn) {
    if (load->next >= (int64_t)load->count) {
        return;
    }
    conn->number = load->next++;
    if (load->mode == MODE_LIST) {
        char path[256];
        snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps", load->ns);
        buf_clear(&conn->out);
        add_head(load, &conn->out, "GET", path, 0);
    } else {
        make_create(load, &conn->out, conn->number + (load->mode == MODE_WATCH ? 50000000 : 0));
    }
    conn->began = now_ns();
    load_conn_send(conn, &load->handlers);
}

// ---- Replies ----
static void on_reply(void *ctx, struct load_conn *conn) {
    struct load *load = ctx;
    if (conn->index >= load->clients) {
        fail(load, "a watch ended", buf_str(&conn->body));
        return;
    }
    if (conn->status / 100 != 2) {
        fail(load, "a request was refused:", buf_str(&conn->body));
    }
    load->times[load->done++] = now_ns() - conn->began;
    load->reply_bytes = conn->body_bytes;
    send_next(load, conn);
}

static void take_event(struct load *load, struct watcher *watcher, struct str line) {
    static const struct str mark = STR_INIT("\"resourceVersion\":\"");
    size_t at = str_find(line, mark);
    int64_t revision = 0;
    if (at != STR_NPOS) {
        struct str rest = str_skip(line, at + mark.n);
        str_to_int64(str_first(rest, str_find_char(rest, '"')), &revision);
    }
    if (str_starts(line, STR("{\"type\":\"BOOKMARK\""))) {
        return;
    }
    if (revision <= watcher->revision || !str_starts(line, STR("{\"type\":\"ADDED\""))) {
        load->wrong_order++;
    }
    watcher->revision = revision;
    watcher->seen++;
    load->delivered++;
}

static void on_body(void *ctx, struct load_conn *conn, struct str got) {
    struct load *load = ctx;
    if (conn->index < load->clients) {
        return;
    }
    struct watcher *watcher = &load->watching[conn->index - load->clients];
    while (got.n) {
        size_t end = str_find_char(got, '\n');
        if (end == STR_NPOS) {
            buf_add_str(&watcher->line, got);
            return;
        }
        buf_add_str(&watcher->line, str_first(got, end));
        take_event(load, watcher, buf_str(&watcher->line));
        buf_clear(&watcher->line);
        got = str_skip(got, end + 1);
    }
}

static void on_error(void *ctx, struct load_conn *conn, const char *what) {
    struct load *load = ctx;
    fail(load, what, (struct str){NULL, 0});
    load_conn_close(conn);
    load->done += conn->index < load->clients;
}

// ---- Running ----
static bool is_finished(const struct load *load) {
    return load->done >= (int64_t)load->count &&
           (load->mode != MODE_WATCH ||
            load->delivered >= (int64_t)load->watchers * (int64_t)load->count);
}

// False when nothing happened for a long time.
static bool run_until(struct load *load, bool (*finished)(const struct load *load)) {
    struct epoll_event events[EVENTS_AT_ONCE];
    while (!finished(load)) {
        int n = epoll_wait(load->epoll, events, EVENTS_AT_ONCE, STALL_SECONDS * 1000);
        if (n == 0 || load->errors > 1000) {
            return false;
        }
        for (int i = 0; i < n; i++) {
            load_conn_work(events[i].data.ptr, &load->handlers);
        }
    }
    return true;
}

static bool watches_run(const struct load *load) {
    for (size_t i = 0; i < load->watchers; i++) {
        if (load->conns[load->clients + i].status == 0) {
            return false;
        }
    }
    return true;
}

static void start_watches(struct load *load) {
    char path[256];
    // "Most recent": only what comes from now on; 1 is old enough to be everything where the server keeps that long.
    for (size_t i = 0; i < load->watchers; i++) {
        struct load_conn *conn = &load->conns[load->clients + i];
        buf_init(&load->watching[i].line, LOAD_REQUEST_MAX);
        snprintf(path, sizeof path,
                 "/api/v1/namespaces/%s/configmaps?watch=1&labelSelector=app%%3Dload&"
                 "allowWatchBookmarks=true&timeoutSeconds=600",
                 load->ns);
        buf_clear(&conn->out);
        add_head(load, &conn->out, "GET", path, 0);
        load_conn_send(conn, &load->handlers);
    }
    if (!run_until(load, watches_run)) {
        fprintf(stderr, "the watches did not start: %s\n", load->first_error);
        exit(1);
    }
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(struct load *load, int64_t took, bool complete) {
    size_t n = (size_t)load->done < load->count ? (size_t)load->done : load->count;
    qsort(load->times, n, sizeof *load->times, by_size);
    double p50 = n ? (double)load->times[n / 2] / NS_PER_MS : 0;
    double p99 = n ? (double)load->times[n * 99 / 100] / NS_PER_MS : 0;
    double seconds = (double)took / 1e9;
    printf("{\"requests\": %zu, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_ms\": %.2f, "
           "\"p99_ms\": %.2f, "
           "\"errors\": %lld",
           n, seconds, (double)n / seconds, p50, p99, (long long)load->errors);
    if (load->mode == MODE_LIST) {
        printf(", \"bytes\": %zu", load->reply_bytes);
    }
    if (load->mode == MODE_WATCH) {
        printf(
            ", \"watchers\": %zu, \"delivered\": %lld, \"missing\": %lld, \"wrong_order\": %lld, "
            "\"deliveries_per_second\": %.0f",
            load->watchers, (long long)load->delivered,
            (long long)((int64_t)load->watchers * (int64_t)load->count - load->delivered),
            (long long)load->wrong_order, (double)load->delivered / seconds);
    }
    printf("}\n");
    if (load->first_error[0]) {
        fprintf(stderr, "%s\n", load->first_error);
    }
    exit(complete && load->errors == 0 && load->wrong_order == 0 ? 0 : 1);
}

static size_t number_of(const char *text) {
    int64_t n;
    if (!str_to_int64(str_from(text), &n) || n < 1) {
        fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return (size_t)n;
}

static void parse(struct load *load, int argc, char **argv) {
    static const char *const modes[] = {"create", "list", "watch"};
    bool known = false;
    for (int m = 0; argc > 1 && m < 3; m++) {
        if (str_eq_c(str_from(argv[1]), modes[m])) {
            load->mode = (enum mode)m;
            known = true;
        }
    }
    load->count = load->mode == MODE_CREATE ? 20000 : load->mode == MODE_LIST ? 5 : 500;
    load->clients = load->mode == MODE_CREATE ? 200 : 1;
    for (int i = 2; known && i < argc; i++) {
        struct str name = str_from(argv[i]);
        if (str_eq_c(name, "--tls")) {
            load->tls = true;
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : "";
        if (str_eq_c(name, "--kube") || str_eq_c(name, "--etcd")) {
            load->etcd = str_eq_c(name, "--etcd");
            load->port = (uint16_t)number_of(value);
        } else if (str_eq_c(name, "--token")) {
            load->token = value;
        } else if (str_eq_c(name, "--namespace")) {
            load->ns = value;
        } else if (str_eq_c(name, "--clients")) {
            load->clients = number_of(value);
        } else if (str_eq_c(name, "--count")) {
            load->count = number_of(value);
        } else if (str_eq_c(name, "--bytes")) {
            load->bytes = number_of(value);
        } else if (str_eq_c(name, "--watchers")) {
            load->watchers = number_of(value);
        } else {
            known = false;
        }
    }
    if (!known || !load->port) {
        fprintf(stderr, "usage: bench_load create|list|watch --kube|--etcd PORT [--tls] [--token "
                        "T] [--namespace N]\n"
                        "       [--clients N] [--count N] [--bytes N] [--watchers N]\n");
        exit(2);
    }
    load->watchers = load->mode == MODE_WATCH ? load->watchers : 0;
}

int main(int argc, char **argv) {
    static struct load load = {.ns = "load", .bytes = 2048, .watchers = 1000};
    parse(&load, argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.handlers = (struct load_handlers){
        .on_reply = on_reply, .on_body = on_body, .on_error = on_error, .ctx = &load};
    SSL_CTX *tls = load.tls ? SSL_CTX_new(TLS_client_method()) : NULL;
    size_t total = load.clients + load.watchers;
    load.conns = xcalloc(total, sizeof *load.conns);
    load.watching = xcalloc(load.watchers + 1, sizeof *load.watching);
    load.times = xcalloc(load.count + load.clients, sizeof *load.times);
    for (size_t i = 0; i < total; i++) {
        load.conns[i].index = i;
        load.conns[i].keep_body = i < load.clients && load.mode != MODE_LIST;
        load_conn_open(&load.conns[i], load.epoll, tls, load.port);
    }
    start_watches(&load);
    int64_t began = now_ns();
    for (size_t i = 0; i < load.clients; i++) {
        send_next(&load, &load.conns[i]);
    }
    bool complete = run_until(&load, is_finished);
    report(&load, now_ns() - began, complete);
}
