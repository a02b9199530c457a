// SPDX-License-Identifier: Apache-2.0
// Both loops through one table of cases: what posts, timers and lanes promise must hold in production and simulation.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "loop/loop.h"
#include "loop/sim_loop.h"

struct world {
    struct loop *loop;
    bool simulated;
    char trace[4096];
    struct loop_timer *timers[8];
    uint64_t lanes[3];
    int left;
};

static void trace(struct world *w, char c) {
    size_t n = strlen(w->trace);
    assert_true(n + 1 < sizeof w->trace);
    w->trace[n] = c;
    w->trace[n + 1] = '\0';
}

static void stop(void *ctx) {
    struct world *w = ctx;
    loop_stop(w->loop);
}

static int setup_real(void **state) {
    struct world *w = NEW(struct world);
    w->loop = loop_create(3);
    *state = w;
    return 0;
}

static int setup_sim(void **state) {
    struct world *w = NEW(struct world);
    w->loop = sim_loop_create(7);
    w->simulated = true;
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < ARRAY_LEN(w->timers); i++) {
        loop_timer_destroy(w->timers[i]);
    }
    loop_destroy(w->loop);
    free(w);
    return 0;
}

// ---- Posts ----

static void post_c(void *ctx) {
    trace(ctx, 'c');
    stop(ctx);
}

static void post_a(void *ctx) {
    struct world *w = ctx;
    loop_post(w->loop, post_c, w);
    trace(w, 'a'); // the post did not run inside the call
}

static void post_b(void *ctx) {
    trace(ctx, 'b');
}

static void test_posts_in_order(void **state) {
    struct world *w = *state;
    loop_post(w->loop, post_a, w);
    for (int i = 0; i < 200; i++) { // more than the first ring holds
        loop_post(w->loop, post_b, w);
    }
    assert_string_equal(w->trace, "");
    loop_run(w->loop);
    assert_int_equal(strlen(w->trace), 202);
    assert_int_equal(w->trace[0], 'a');
    assert_int_equal(w->trace[201], 'c');
}

// ---- Timers ----

static void timer_1(void *ctx) {
    trace(ctx, '1');
}
static void timer_2(void *ctx) {
    trace(ctx, '2');
}
static void timer_3(void *ctx) {
    trace(ctx, '3');
}

static void timer_destroys(void *ctx) {
    struct world *w = ctx;
    trace(w, 'd');
    loop_timer_destroy(w->timers[0]); // itself
    w->timers[0] = NULL;
    loop_timer_destroy(w->timers[1]); // due in the same turn
    w->timers[1] = NULL;
}

static void test_timers_by_deadline(void **state) {
    struct world *w = *state;
    w->timers[0] = loop_timer_create(w->loop, timer_1, w);
    w->timers[1] = loop_timer_create(w->loop, timer_2, w);
    w->timers[2] = loop_timer_create(w->loop, timer_3, w);
    w->timers[3] = loop_timer_create(w->loop, stop, w);
    loop_timer_start(w->timers[2], 3 * NS_PER_MS);
    loop_timer_start(w->timers[0], 50 * NS_PER_MS);
    loop_timer_start(w->timers[1], 2 * NS_PER_MS);
    loop_timer_start(w->timers[0], NS_PER_MS); // moved earlier
    loop_timer_start(w->timers[3], 20 * NS_PER_MS);
    assert_true(loop_timer_is_active(w->timers[0]));
    int64_t begin = loop_now(w->loop);
    loop_run(w->loop);
    assert_string_equal(w->trace, "123");
    assert_true(loop_now(w->loop) - begin >= 19 * NS_PER_MS);
    assert_false(loop_timer_is_active(w->timers[0]));
}

static void test_timer_stopped_and_destroyed(void **state) {
    struct world *w = *state;
    w->timers[0] = loop_timer_create(w->loop, timer_destroys, w);
    w->timers[1] = loop_timer_create(w->loop, timer_1, w);
    w->timers[2] = loop_timer_create(w->loop, timer_2, w);
    w->timers[3] = loop_timer_create(w->loop, stop, w);
    loop_timer_start(w->timers[0], 0);
    loop_timer_start(w->timers[1], 0);
    loop_timer_start(w->timers[2], 0);
    loop_timer_start(w->timers[3], 5 * NS_PER_MS);
    loop_timer_stop(w->timers[2]);
    loop_run(w->loop);
    assert_string_equal(w->trace, "d");
}

static void timer_again(void *ctx) {
    struct world *w = ctx;
    trace(w, '.');
    if (--w->left > 0) {
        loop_timer_start(w->timers[0], 0);
    } else {
        stop(w);
    }
}

static void test_timer_zero_is_next_turn(void **state) {
    struct world *w = *state;
    w->left = 5;
    w->timers[0] = loop_timer_create(w->loop, timer_again, w);
    w->timers[1] = loop_timer_create(w->loop, timer_1, w);
    loop_timer_start(w->timers[0], 0);
    loop_timer_start(w->timers[1], 0);
    loop_run(w->loop);
    assert_string_equal(w->trace, ".1...."); // the other timer is not starved
}

static void test_heap_of_many_timers(void **state) {
    struct world *w = *state;
    enum { N = 500 };
    struct loop_timer *timers[N];
    for (int i = 0; i < N; i++) {
        timers[i] = loop_timer_create(w->loop, timer_again, w);
        loop_timer_start(timers[i], (int64_t)loop_random_below(w->loop, 3000) * 1000);
    }
    for (int i = 0; i < N; i += 3) {
        loop_timer_stop(timers[i]);
    }
    for (int i = 1; i < N; i += 3) {
        loop_timer_start(timers[i], (int64_t)loop_random_below(w->loop, 5000) * 1000);
    }
    w->left = N; // never reaches the re-arming of timers[0]
    w->timers[0] = loop_timer_create(w->loop, stop, w);
    w->timers[1] = loop_timer_create(w->loop, stop, w);
    loop_timer_start(w->timers[1], 30 * NS_PER_MS);
    for (int i = 0; i < N; i++) {
        assert_int_equal(loop_timer_is_active(timers[i]), i % 3 != 0);
    }
    loop_timer_destroy(w->timers[0]);
    w->timers[0] = loop_timer_create(w->loop, timer_1, w);
    loop_run(w->loop);
    for (int i = 0; i < N; i++) {
        assert_false(loop_timer_is_active(timers[i]));
        loop_timer_destroy(timers[i]);
    }
    // timer_again arms timers[0] each time, which prints '1'.
    size_t dots = 0;
    for (const char *p = w->trace; *p; p++) {
        dots += *p == '.';
    }
    assert_int_equal(dots, N - (N + 2) / 3);
}

// ---- Workers ----

struct job {
    struct world *w;
    char name;
    bool worked;
    atomic_int *running; // in this lane
    bool overlapped;
};

static void job_work(void *ctx) {
    struct job *job = ctx;
    job->overlapped = job->running && atomic_fetch_add(job->running, 1) != 0;
    for (volatile int i = 0; i < 20000; i++) { // long enough for others to overlap, were they let
    }
    job->worked = true;
    if (job->running) {
        atomic_fetch_sub(job->running, 1);
    }
}

static void job_done(void *ctx) {
    struct job *job = ctx;
    assert_true(job->worked);
    assert_false(job->overlapped);
    trace(job->w, job->name);
    if (--job->w->left == 0) {
        loop_stop(job->w->loop);
    }
}

static void test_lanes_keep_order(void **state) {
    struct world *w = *state;
    enum { N = 60 };
    struct job jobs[N];
    atomic_int running[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        w->lanes[i] = loop_lane_create(w->loop);
        assert_true(w->lanes[i] != 0);
    }
    w->left = N;
    for (size_t i = 0; i < N; i++) {
        jobs[i] = (struct job){.w = w, .name = (char)('A' + i), .running = &running[i % 3]};
        loop_work(w->loop, w->lanes[i % 3], job_work, job_done, &jobs[i]);
        assert_false(w->simulated && jobs[i].worked);
    }
    assert_int_equal(loop_work_pending(w->loop), N);
    loop_run(w->loop);
    assert_int_equal(loop_work_pending(w->loop), 0);
    assert_int_equal(strlen(w->trace), N);
    char last[3] = {0};
    for (const char *p = w->trace; *p; p++) {
        int lane = (*p - 'A') % 3;
        assert_true(*p > last[lane]);
        last[lane] = *p;
    }
}

static void test_jobs_without_lane(void **state) {
    struct world *w = *state;
    struct job jobs[20];
    w->left = 20;
    for (size_t i = 0; i < 20; i++) {
        jobs[i] = (struct job){.w = w, .name = 'x'};
        loop_work(w->loop, 0, job_work, job_done, &jobs[i]);
    }
    loop_run(w->loop);
    assert_int_equal(strlen(w->trace), 20);
}

static void never(void *ctx) {
    (void)ctx;
    fail();
}

static void test_destroy_with_jobs_waiting(void **state) {
    struct world *w = *state;
    struct job jobs[10];
    w->lanes[0] = loop_lane_create(w->loop);
    for (size_t i = 0; i < 10; i++) {
        jobs[i] = (struct job){.w = w, .name = 'x'};
        loop_work(w->loop, i % 2 ? w->lanes[0] : 0, job_work, never, &jobs[i]);
    }
    loop_post(w->loop, never, NULL);
    loop_destroy(w->loop); // nothing of it runs any more on this thread, nothing leaks
    w->loop = w->simulated ? sim_loop_create(1) : loop_create(1);
}

// ---- Randomness ----

static void test_random_below(void **state) {
    struct world *w = *state;
    unsigned seen[10] = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t value = loop_random_below(w->loop, 10);
        assert_true(value < 10);
        seen[value]++;
    }
    for (size_t i = 0; i < 10; i++) {
        assert_true(seen[i] > 100);
    }
    assert_true(loop_random_below(w->loop, 1) == 0);
    unsigned char bytes[61] = {0};
    loop_random_bytes(w->loop, bytes, sizeof bytes);
    unsigned zero = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        zero += bytes[i] == 0;
    }
    assert_true(zero < 20);
}

// ---- The real loop only ----

static void poll_pipe(void *ctx, int events) {
    struct world *w = ctx;
    trace(w, events & LOOP_HANGUP ? 'h' : events & LOOP_READABLE ? 'r' : '?');
    stop(w);
}

static void test_poll(void **state) {
    struct world *w = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct loop_poll *poll = loop_poll_create(w->loop, ends[0], poll_pipe, w);
    assert_non_null(poll);
    loop_poll_start(poll, LOOP_READABLE | LOOP_HANGUP);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_run(w->loop);
    char c;
    assert_int_equal(read(ends[0], &c, 1), 1);
    close(ends[1]);
    loop_run(w->loop);
    loop_poll_stop(poll);
    loop_poll_destroy(poll);
    close(ends[0]);
    assert_string_equal(w->trace, "rh");
}

static void on_usr1(void *ctx) {
    trace(ctx, 's');
    stop(ctx);
}

static void raise_usr1(void *ctx) {
    (void)ctx;
    kill(getpid(), SIGUSR1);
}

static void test_signal(void **state) {
    struct world *w = *state;
    struct loop_signal *sig = loop_signal_create(w->loop, SIGUSR1, on_usr1, w);
    loop_post(w->loop, raise_usr1, NULL);
    loop_run(w->loop);
    loop_signal_destroy(sig);
    assert_string_equal(w->trace, "s");
}

static void woken(void *ctx) {
    struct world *w = ctx;
    if (--w->left == 0) {
        loop_stop(w->loop);
    }
}

static void *wake_often(void *arg) {
    struct world *w = arg;
    for (int i = 0; i < 1000; i++) {
        loop_wake(w->loop, woken, w);
    }
    return NULL;
}

static void test_wake_from_threads(void **state) {
    struct world *w = *state;
    pthread_t threads[3];
    w->left = 3000;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, w), 0);
    }
    loop_run(w->loop);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(w->left, 0);
}

struct change {
    struct world *w;
    const char *file;
};

static void write_file(void *ctx) {
    struct change *change = ctx;
    char other[300];
    snprintf(other, sizeof other, "%s.new", change->file);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fputs("two", file);
    fclose(file);
    assert_int_equal(rename(other, change->file), 0);
}

static void test_watch_survives_rename(void **state) {
    struct world *w = *state;
    char folder[] = "/tmp/skiff-loop-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[256];
    snprintf(path, sizeof path, "%s/token", folder);
    FILE *file = fopen(path, "w");
    fputs("one", file);
    fclose(file);
    struct err err = {0};
    struct loop_watch *watch = loop_watch_create(w->loop, path, stop, w, &err);
    assert_non_null(watch);
    struct change change = {w, path};
    for (int i = 0; i < 2; i++) {
        loop_post(w->loop, write_file, &change);
        loop_run(w->loop); // returns because the watch stopped it
    }
    loop_watch_destroy(watch);
    assert_null(loop_watch_create(w->loop, "/nonexistent/file", stop, w, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    unlink(path);
    rmdir(folder);
}

// ---- The simulation only ----

static void test_sim_time(void **state) {
    struct world *w = *state;
    assert_int_equal(loop_now(w->loop), 0);
    assert_true(loop_wall(w->loop) == INT64_C(1767225600) * NS_PER_SECOND);
    w->timers[0] = loop_timer_create(w->loop, timer_1, w);
    loop_timer_start(w->timers[0], 3600 * NS_PER_SECOND);
    sim_loop_run(w->loop, 1800 * NS_PER_SECOND);
    assert_string_equal(w->trace, "");
    assert_true(loop_now(w->loop) == 1800 * NS_PER_SECOND);
    assert_true(sim_loop_step(w->loop));
    assert_string_equal(w->trace, "1");
    assert_true(loop_now(w->loop) == 3600 * NS_PER_SECOND);
    assert_false(sim_loop_step(w->loop));
    struct err err = {0};
    const char *argv[] = {"true", NULL};
    assert_true(loop_spawn(w->loop, &(struct loop_spawn){.argv = argv}, NULL, NULL, &err) == 0);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
}

static void sim_order(uint64_t seed, char out[64]) {
    struct world w = {.loop = sim_loop_create(seed), .left = 100};
    struct job jobs[20];
    for (size_t i = 0; i < 20; i++) {
        jobs[i] = (struct job){.w = &w, .name = (char)('A' + i)};
        loop_work(w.loop, 0, job_work, job_done, &jobs[i]);
    }
    sim_loop_run(w.loop, INT64_MAX);
    snprintf(out, 64, "%.60s", w.trace);
    sim_loop_destroy(w.loop);
}

static void test_sim_repeats_by_seed(void **state) {
    (void)state;
    char a[64];
    char b[64];
    char c[64];
    sim_order(1, a);
    sim_order(1, b);
    sim_order(2, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

#define BOTH(fn)                                      \
    {"real: " #fn, fn, setup_real, teardown, NULL}, { \
        "sim: " #fn, fn, setup_sim, teardown, NULL    \
    }
#define REAL(fn) \
    { "real: " #fn, fn, setup_real, teardown, NULL }
#define SIM(fn) \
    { "sim: " #fn, fn, setup_sim, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(test_posts_in_order),
        BOTH(test_timers_by_deadline),
        BOTH(test_timer_stopped_and_destroyed),
        BOTH(test_timer_zero_is_next_turn),
        BOTH(test_heap_of_many_timers),
        BOTH(test_lanes_keep_order),
        BOTH(test_jobs_without_lane),
        BOTH(test_destroy_with_jobs_waiting),
        BOTH(test_random_below),
        REAL(test_poll),
        REAL(test_signal),
        REAL(test_wake_from_threads),
        REAL(test_watch_survives_rename),
        SIM(test_sim_time),
        SIM(test_sim_repeats_by_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
