// SPDX-License-Identifier: Apache-2.0
// From a push to a file repository until the changed file is in our hands: watch, listing, fetch, read. Also how long 1,000
// open_tree with one read take. Prints milliseconds: bench_push [PUSHES].
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "vcs/internal.h"

enum { FOLDERS = 100, FILES = 100, PUSHES_MAX = 1000 };

struct bench {
    struct loop *loop;
    struct vcs *vcs;
    char dir[64], url[96];
    char sha[VCS_ID_MAX + 1];
    int pushes, done;
    int64_t pushed_at, seen_at;
    double total[PUSHES_MAX], seen[PUSHES_MAX];
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void import(struct bench *bench, const char *stream, size_t n) {
    char repo[96];
    int in[2];
    snprintf(repo, sizeof repo, "%s/src.git", bench->dir);
    const char *argv[] = {"git", "-C", repo, "fast-import", "--quiet", "--force", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (pipe(in) != 0) {
        fail("pipe");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_addclose(&actions, in[1]);
    if (posix_spawnp(&pid, "git", &actions, NULL, (char *const *)(uintptr_t)argv, environ) != 0) {
        fail("git");
    }
    close(in[0]);
    for (size_t at = 0; at < n;) {
        ssize_t wrote = write(in[1], stream + at, n - at);
        if (wrote <= 0) {
            fail("write");
        }
        at += (size_t)wrote;
    }
    close(in[1]);
    waitpid(pid, NULL, 0);
    posix_spawn_file_actions_destroy(&actions);
}

static void make_repository(struct bench *bench) {
    char repo[96];
    struct buf buf;
    snprintf(repo, sizeof repo, "%s/src.git", bench->dir);
    const char *argv[] = {"git", "init", "-q", "--bare", "-b", "main", repo, NULL};
    pid_t pid;
    posix_spawnp(&pid, "git", NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    waitpid(pid, NULL, 0);
    buf_init(&buf, 64 << 20);
    buf_add_c(&buf,
              "commit refs/heads/main\ncommitter C <c@example.com> 1700000000 +0000\ndata 1\n1\n");
    for (int i = 0; i < FOLDERS * FILES; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "kind: ConfigMap # %d\n", i);
        buf_printf(&buf, "M 100644 inline app%d/f%d.yaml\ndata %d\n%s\n", i / FILES, i % FILES, n,
                   text);
    }
    import(bench, buf.data, buf.len);
    buf_fini(&buf);
}

static void push(struct bench *bench) {
    char text[256];
    int n =
        snprintf(text, sizeof text,
                 "commit refs/heads/main\ncommitter C <c@example.com> 1700000000 +0000\ndata 1\n"
                 "2\nfrom refs/heads/main^0\nM 100644 inline app7/f7.yaml\ndata 8\nx: %05d\n",
                 bench->done);
    import(bench, text, (size_t)n);
    bench->pushed_at = now(); // the ref was renamed a moment before; git's own exit is not our time
}

static void read_some(struct bench *bench, const char *path) {
    struct err err = {0};
    struct str text;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(file_tree_destroy)
    struct file_tree *tree =
        bench->vcs->ops->open_tree(bench->vcs, str_from(bench->url), str_from(bench->sha), &err);
    if (!tree || !tree->ops->read(tree, str_from(path), 1000, arena, &text, &err)) {
        fail(err.message);
    }
}

static void next_push(void *ctx) {
    push(ctx);
}

static void on_resolved(void *ctx, struct str sha, const struct err *error) {
    struct bench *bench = ctx;
    if (error) {
        fail(error->message);
    }
    snprintf(bench->sha, sizeof bench->sha, "%.*s", STR_ARG(sha));
    read_some(bench, "app7/f7.yaml");
    if (bench->pushed_at == 0) {
        loop_stop(bench->loop); // the first fetch
        return;
    }
    bench->seen[bench->done] = (double)(now() - bench->seen_at) / 1e6;
    bench->total[bench->done] = (double)(now() - bench->pushed_at) / 1e6;
    if (++bench->done == bench->pushes) {
        loop_stop(bench->loop);
    } else {
        loop_post(bench->loop, next_push, bench);
    }
}

static void on_change(void *ctx, struct str url) {
    struct bench *bench = ctx;
    bench->seen_at = now();
    bench->vcs->ops->resolve(bench->vcs, url, NULL, STR("main"), 3600 * NS_PER_SECOND, on_resolved,
                             bench);
}

static void stop(void *ctx) {
    struct bench *bench = ctx;
    loop_stop(bench->loop);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(const char *what, double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare);
    printf("%-40s median %6.1f ms  p99 %6.1f ms\n", what, values[n / 2], values[n * 99 / 100]);
}

int main(int argc, char **argv) {
    struct bench bench = {.dir = "/tmp/skiff-bench-XXXXXX", .pushes = 100};
    int64_t wanted;
    if (argc > 1 && str_to_int64(str_from(argv[1]), &wanted) && wanted > 0 &&
        wanted <= PUSHES_MAX) {
        bench.pushes = (int)wanted;
    }
    if (!mkdtemp(bench.dir)) {
        fail("mkdtemp");
    }
    make_repository(&bench);
    char mirrors[96];
    snprintf(mirrors, sizeof mirrors, "%s/mirrors", bench.dir);
    snprintf(bench.url, sizeof bench.url, "file://%s/src.git", bench.dir);
    struct err err = {0};
    bench.loop = loop_create(0);
    struct vcs_options options = {.loop = bench.loop, .dir = mirrors};
    bench.vcs = vcs_create(&options, &err);
    if (!bench.vcs) {
        fail(err.message);
    }
    int64_t start = now();
    bench.vcs->ops->resolve(bench.vcs, str_from(bench.url), NULL, STR("main"), 0, on_resolved,
                            &bench);
    loop_run(bench.loop);
    printf("first fetch of %d files %28.1f ms\n", FOLDERS * FILES, (double)(now() - start) / 1e6);
    start = now();
    for (int i = 0; i < 1000; i++) {
        char path[32];
        snprintf(path, sizeof path, "app%d/f%d.yaml", i % FOLDERS, i / FOLDERS);
        read_some(&bench, path);
    }
    printf("1,000 trees opened, one file read of each %10.1f ms\n", (double)(now() - start) / 1e6);
    bench.vcs->ops->watch(bench.vcs, str_from(bench.url), on_change, &bench);
    struct loop_timer *timer = loop_timer_create(bench.loop, next_push, &bench);
    loop_timer_start(timer, 200 * NS_PER_MS);
    loop_run(bench.loop);
    print("push (git ended) to file read", bench.total, bench.pushes);
    print("change seen to file read", bench.seen, bench.pushes);
    bench.vcs->ops->destroy(bench.vcs);
    loop_timer_destroy(timer);
    timer = loop_timer_create(bench.loop, stop, &bench);
    loop_timer_start(timer, 50 * NS_PER_MS); // what still runs ends
    loop_run(bench.loop);
    loop_timer_destroy(timer);
    loop_destroy(bench.loop);
    folder_remove(bench.dir);
    return 0;
}
