// SPDX-License-Identifier: Apache-2.0
// The embedded API without a socket, over SQLite: creates of 2 KiB, updates, reads, a list of 10,000, watches, and a
// restart with everything there. Prints rates; peers are named in docs/performance.md.
//   bench_apiserver [OBJECTS=20000] [CLIENTS=200] [FOLDER]
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/apiserver.h"
#include "base/mem.h"

struct bench {
    struct loop *loop;
    struct store *store;
    struct apiserver *server;
    enum kube_verb verb;
    size_t total, started, finished, failed;
    char *filler;
    size_t bytes;
};

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void next(struct bench *bench);

static void done(void *ctx, const struct kube_reply *reply) {
    struct bench *bench = ctx;
    bench->finished++;
    bench->bytes += reply->body.n;
    bench->failed += reply->error ? 1 : 0;
    if (bench->finished == bench->total) {
        loop_stop(bench->loop);
    } else {
        next(bench);
    }
}

static void next(struct bench *bench) {
    if (bench->started == bench->total) {
        return;
    }
    size_t i = bench->started++;
    char name[32];
    char body[4096];
    snprintf(name, sizeof name, "object-%07zu", i);
    struct kube_request request = {.verb = bench->verb,
                                   .gvr = {.version = STR("v1"), .resource = STR("configmaps")},
                                   .ns = STR("default"),
                                   .grace_seconds = -1};
    if (bench->verb == KUBE_CREATE) {
        snprintf(body, sizeof body,
                 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
                 "\"labels\":{\"app\":\"bench\",\"n\":\"%zu\"}},\"data\":{\"text\":\"%s\"}}",
                 name, i % 10, bench->filler);
        request.body = str_from(body);
    } else if (bench->verb == KUBE_PATCH) {
        request.name = str_from(name);
        request.patch = KUBE_PATCH_MERGE;
        request.body = STR("{\"metadata\":{\"labels\":{\"changed\":\"yes\"}}}");
    } else if (bench->verb == KUBE_LIST) {
        request.limit = 10000;
        request.label_selector = i % 2 ? STR("n=3") : STR("");
    } else {
        request.name = str_from(name);
    }
    apiserver_call(bench->server, NULL, &request, done, bench);
}

static void round_of(struct bench *bench, const char *what, enum kube_verb verb, size_t total,
                     size_t clients) {
    bench->verb = verb;
    bench->total = total;
    bench->started = bench->finished = bench->failed = bench->bytes = 0;
    double wall = now(CLOCK_MONOTONIC);
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    double loop_cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < clients; i++) {
        next(bench);
    }
    loop_run(bench->loop);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    loop_cpu = now(CLOCK_THREAD_CPUTIME_ID) - loop_cpu;
    printf(
        "%-22s %7zu in %6.3f s: %8.0f/s, %6.1f us of CPU each, %6.1f us on the loop, %zu failed\n",
        what, total, wall, (double)total / wall, cpu * 1e6 / (double)total,
        loop_cpu * 1e6 / (double)total, bench->failed);
}

static void start(struct bench *bench, const char *dir) {
    struct err err = {0};
    double wall = now(CLOCK_MONOTONIC);
    bench->loop = loop_create(2);
    bench->store = store_open_sqlite(bench->loop, dir, &err);
    struct apiserver_options options = {
        .loop = bench->loop, .store = bench->store, .no_workloads = true};
    bench->server = bench->store ? apiserver_create(&options, &err) : NULL;
    if (!bench->server) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("start: %.3f s, revision %lld, peak so far %ld MiB\n", now(CLOCK_MONOTONIC) - wall,
           (long long)apiserver_revision(bench->server), usage.ru_maxrss / 1024);
}

static void stop(struct bench *bench) {
    apiserver_destroy(bench->server);
    bench->store->ops->close(bench->store);
    loop_destroy(bench->loop);
}

int main(int argc, char **argv) {
    size_t objects = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    size_t clients = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    char folder[64] = "/tmp/skiff-bench-XXXXXX";
    const char *dir = argc > 3 ? argv[3] : mkdtemp(folder);
    struct bench bench = {0};
    bench.filler = xcalloc(1, 1700);
    memset(bench.filler, 'x', 1699);
    start(&bench, dir);
    if (argc <= 3) {
        round_of(&bench, "create 2 KiB", KUBE_CREATE, objects, clients);
        round_of(&bench, "patch", KUBE_PATCH, objects, clients);
    }
    round_of(&bench, "get", KUBE_GET, objects, clients);
    round_of(&bench, "list 10,000 / selected", KUBE_LIST, 10, 1);
    stop(&bench);
    start(&bench, dir);
    round_of(&bench, "get after restart", KUBE_GET, objects, clients);
    if (argc <= 3) {
        round_of(&bench, "delete", KUBE_DELETE, objects, clients);
    }
    stop(&bench);
    free(bench.filler);
    printf("the folder %s can be deleted\n", dir);
    return bench.failed != 0;
}
