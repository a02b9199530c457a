// SPDX-License-Identifier: Apache-2.0
// What the two loops share: queues of posts and timers, lanes of jobs. A loop of its own kind supplies `struct loop_ops`
// and puts `struct loop` first in its own struct, so that the simulation runs the very queues that production runs.
#ifndef SKIFF_LOOP_LOOP_INTERNAL_H
#define SKIFF_LOOP_LOOP_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "loop/loop.h"

struct loop_job;
struct loop_children;

struct loop_ops {
    void (*destroy)(struct loop *loop);
    void (*run)(struct loop *loop);
    void (*stop)(struct loop *loop);
    int64_t (*now)(struct loop *loop);
    int64_t (*wall)(struct loop *loop);
    void (*random_bytes)(struct loop *loop, void *out, size_t n);
    void (*kick)(struct loop *loop);  // the queue of posts is no longer empty
    void (*rearm)(struct loop *loop); // another timer is the next one
    void (*start_job)(struct loop *loop, struct loop_job *job); // ends in loop_job_finished
    // The rest may be NULL: then the loop cannot do it (the simulation).
    void (*wake)(struct loop *loop, loop_fn *fn, void *ctx);
    struct loop_poll *(*poll_create)(struct loop *loop, int fd, void (*fn)(void *ctx, int events),
                                     void *ctx);
    void (*poll_start)(struct loop_poll *poll, int events);
    void (*poll_stop)(struct loop_poll *poll);
    void (*poll_destroy)(struct loop_poll *poll);
    struct loop_signal *(*signal_create)(struct loop *loop, int signum, loop_fn *fn, void *ctx);
    void (*signal_destroy)(struct loop_signal *signal);
    struct loop_watch *(*watch_create)(struct loop *loop, const char *path, loop_fn *fn, void *ctx,
                                       struct err *err);
    void (*watch_destroy)(struct loop_watch *watch);
};

struct loop_post_item {
    loop_fn *fn;
    void *ctx;
};

struct loop_timer {
    struct loop *loop;
    loop_fn *fn;
    void *ctx;
    int64_t deadline;
    uint64_t seq;
    size_t index; // in the heap, or TIMER_IDLE
};
#define TIMER_IDLE SIZE_MAX

struct loop_job {
    struct loop *loop;
    uint64_t lane;
    void (*work)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
    struct loop_job *next;    // in its lane, then in the workers' queues
    struct loop_timer *timer; // simulation only
};

struct loop {
    const struct loop_ops *ops;
    // A ring: posts run in the order in which they were made.
    struct loop_post_item *posts;
    size_t post_head;
    size_t post_count;
    size_t post_cap;
    // A binary heap by deadline, then by order of arming.
    VEC(struct loop_timer *) timers;
    uint64_t timer_seq;
    bool in_timers; // rearm once at the end of a batch
    // Lanes with a job under way; absent ones are free.
    struct map *lanes;
    uint64_t last_lane;
    size_t jobs_pending;
    int64_t watchdog_ns;
    uint64_t child_descriptors;     // RLIMIT_NOFILE for children; 0: as ours
    struct loop_children *children; // made on the first loop_spawn
};

void loop_init(struct loop *loop, const struct loop_ops *ops);
void loop_fini(struct loop *loop); // queued jobs of busy lanes are freed without running
// Each runs what was there when it began, so that callbacks that queue more cannot starve the rest of the turn.
void loop_run_posts(struct loop *loop);
bool loop_run_one_post(struct loop *loop);
void loop_run_timers(struct loop *loop, int64_t now);
bool loop_run_one_timer(struct loop *loop, int64_t now);
bool loop_next_deadline(const struct loop *loop, int64_t *deadline);
// On the loop thread, after job->work returned: runs done and starts the lane's next job. Frees the job.
void loop_job_finished(struct loop_job *job);

void loop_children_destroy(struct loop_children *children); // kills what still runs

#endif
