// SPDX-License-Identifier: Apache-2.0
// The HTTP server under 200 keep-alive clients, with 10,000 idle connections beside them, and with 1,000 watchers.
// usage: bench_http [SECONDS]. The clients are a process of their own; figures are per second of the server's processor
// time, which says more than wall time on a shared machine.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "http/server.h"
#include "loop/loop.h"

enum { CLIENTS = 200, IDLE = 10 * 1000, WATCHERS = 1000, EVENT_BYTES = 2048 };

struct bench {
    struct loop *loop;
    struct blob *reply, *event;
    struct http_stream *streams[WATCHERS];
    size_t stream_count;
    size_t requests;
    size_t connections_seen;
    size_t deliveries;
    int64_t stop_at;
};

static void on_close(void *ctx) {
    *(struct http_stream **)ctx = NULL;
}

static void handle(void *ctx, struct http_exchange *exchange) {
    struct bench *bench = ctx;
    bench->requests++;
    if (str_eq_c(http_exchange_request(exchange)->path, "/watch") &&
        bench->stream_count < WATCHERS) {
        struct http_stream **slot = &bench->streams[bench->stream_count++];
        *slot = http_stream_start(exchange, 200, STR("application/json"), on_close, slot);
        return;
    }
    http_reply(exchange, 200, STR("application/json"), NULL, 0, bench->reply);
}

static int dial(unsigned port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static void send_text(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) {
        exit(0); // the server has stopped
    }
}

// The other side: asks, reads a reply, asks again; drains watches.
static void run_clients(unsigned port, bool watch) {
    int epoll = epoll_create1(0);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    size_t active = watch ? WATCHERS : CLIENTS;
    for (size_t i = 0; i < (watch ? 0 : IDLE); i++) {
        dial(port);
    }
    for (size_t i = 0; i < active; i++) {
        int fd = dial(port);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        send_text(fd, watch ? "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n"
                            : "GET /api/v1/x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n");
    }
    for (;;) {
        static char text[64 * 1024];
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            ssize_t got = read(events[i].data.fd, text, sizeof text);
            if (got <= 0) {
                exit(0);
            }
            if (!watch) {
                send_text(events[i].data.fd,
                          "GET /api/v1/x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n");
            }
        }
    }
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%*d %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void stop(void *ctx) {
    loop_stop(ctx);
}

static void run_for(struct loop *loop, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(loop, stop, loop);
    loop_timer_start(timer, ns);
    loop_run(loop);
    loop_timer_destroy(timer);
}

static void publish(void *ctx) {
    struct bench *bench = ctx;
    for (size_t i = 0; i < bench->stream_count; i++) {
        struct http_stream *stream = bench->streams[i];
        if (stream && http_stream_backlog(stream) < 64 * EVENT_BYTES) {
            http_stream_write(stream, bench->event);
            bench->deliveries++;
        }
    }
    if (loop_now(bench->loop) < bench->stop_at) {
        loop_post(bench->loop, publish, bench);
    } else {
        loop_stop(bench->loop);
    }
}

static pid_t start_clients(unsigned port, bool watch) {
    pid_t pid = fork();
    if (pid == 0) {
        run_clients(port, watch);
        _exit(0);
    }
    return pid;
}

int main(int argc, char **argv) {
    int64_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    struct bench bench = {.loop = loop_create(1)};
    struct err err = {0};
    bench.reply =
        blob_create(STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}\n"));
    bench.event = blob_alloc(EVENT_BYTES);
    memset(bench.event->data, 'x', EVENT_BYTES);
    struct http_server *server =
        http_server_start(bench.loop,
                          &(struct http_server_options){
                              .listen = STR("127.0.0.1:0"), .handle = handle, .ctx = &bench},
                          &err);
    if (!server) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    long before = resident_kib();
    pid_t clients = start_clients(http_server_port(server), false);
    while (bench.requests < 10 * CLIENTS) {
        run_for(bench.loop, 100 * NS_PER_MS);
    }
    long idle = resident_kib();
    size_t start = bench.requests;
    double cpu = cpu_seconds();
    run_for(bench.loop, seconds * NS_PER_SECOND);
    cpu = cpu_seconds() - cpu;
    printf("requests: %.0f/s of wall time, %.0f/s of processor time, %d clients\n",
           (double)(bench.requests - start) / (double)seconds,
           (double)(bench.requests - start) / cpu, CLIENTS);
    printf("idle connections: %d, %ld KiB in all (%ld before)\n", IDLE, idle, before);
    kill(clients, SIGKILL);
    waitpid(clients, NULL, 0);
    run_for(bench.loop, 500 * NS_PER_MS);

    clients = start_clients(http_server_port(server), true);
    while (bench.stream_count < WATCHERS) {
        run_for(bench.loop, 50 * NS_PER_MS);
    }
    bench.stop_at = loop_now(bench.loop) + seconds * NS_PER_SECOND;
    cpu = cpu_seconds();
    loop_post(bench.loop, publish, &bench);
    loop_run(bench.loop);
    cpu = cpu_seconds() - cpu;
    printf("watch: %.0f deliveries/s of wall time, %.2f us of processor time each, %d watchers\n",
           (double)bench.deliveries / (double)seconds, cpu * 1e6 / (double)bench.deliveries,
           WATCHERS);
    kill(clients, SIGKILL);
    waitpid(clients, NULL, 0);
    http_server_stop(server);
    blob_unref(bench.reply);
    blob_unref(bench.event);
    loop_destroy(bench.loop);
    return 0;
}
