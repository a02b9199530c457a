// SPDX-License-Identifier: Apache-2.0
// The part of a loop that does not depend on where time comes from: posts, timers and lanes. See loop_internal.h.
#include "loop/loop_internal.h"

// Jobs that wait behind the one that runs in their lane.
struct lane {
    struct loop_job *first, *last;
};

void loop_init(struct loop *loop, const struct loop_ops *ops) {
    loop->ops = ops;
    loop->lanes = map_create();
}

void loop_fini(struct loop *loop) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(loop->lanes, &i, &key, &value);) {
        struct lane *lane = value;
        while (lane->first) {
            struct loop_job *job = lane->first;
            lane->first = job->next;
            free(job);
        }
        free(lane);
    }
    map_destroy(loop->lanes);
    VEC_FREE(&loop->timers);
    free(loop->posts);
}

void loop_destroy(struct loop *loop) {
    if (loop) {
        loop_children_destroy(loop->children);
        loop->ops->destroy(loop);
    }
}

void loop_run(struct loop *loop) {
    loop->ops->run(loop);
}

void loop_stop(struct loop *loop) {
    loop->ops->stop(loop);
}

// ---- Time and randomness ----

int64_t loop_now(struct loop *loop) {
    return loop->ops->now(loop);
}

int64_t loop_wall(struct loop *loop) {
    return loop->ops->wall(loop);
}

void loop_random_bytes(struct loop *loop, void *out, size_t n) {
    loop->ops->random_bytes(loop, out, n);
}

uint64_t loop_random(struct loop *loop) {
    uint64_t value;
    loop->ops->random_bytes(loop, &value, sizeof value);
    return value;
}

uint64_t loop_random_below(struct loop *loop, uint64_t bound) {
    CHECK(bound > 0);
    // Values under `skip` would favour small results, so they are drawn again.
    uint64_t skip = (UINT64_MAX - bound + 1) % bound;
    uint64_t value;
    do {
        value = loop_random(loop);
    } while (value < skip);
    return value % bound;
}

// ---- Posts ----

void loop_post(struct loop *loop, loop_fn *fn, void *ctx) {
    if (loop->post_count == loop->post_cap) {
        size_t cap = loop->post_cap ? loop->post_cap * 2 : 64;
        struct loop_post_item *posts = xreallocarray(NULL, cap, sizeof *posts);
        for (size_t i = 0; i < loop->post_count; i++) {
            posts[i] = loop->posts[(loop->post_head + i) & (loop->post_cap - 1)];
        }
        free(loop->posts);
        loop->posts = posts;
        loop->post_cap = cap;
        loop->post_head = 0;
    }
    loop->posts[(loop->post_head + loop->post_count) & (loop->post_cap - 1)] =
        (struct loop_post_item){fn, ctx};
    loop->post_count++;
    if (loop->post_count == 1) {
        loop->ops->kick(loop);
    }
}

bool loop_run_one_post(struct loop *loop) {
    if (loop->post_count == 0) {
        return false;
    }
    struct loop_post_item item = loop->posts[loop->post_head];
    loop->post_head = (loop->post_head + 1) & (loop->post_cap - 1);
    loop->post_count--;
    item.fn(item.ctx);
    return true;
}

void loop_run_posts(struct loop *loop) {
    for (size_t n = loop->post_count; n > 0; n--) {
        loop_run_one_post(loop);
    }
}

void loop_wake(struct loop *loop, loop_fn *fn, void *ctx) {
    CHECK(loop->ops->wake);
    loop->ops->wake(loop, fn, ctx);
}

// ---- Timers ----

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->seq < b->seq;
}

static void heap_set(struct loop *loop, size_t index, struct loop_timer *timer) {
    loop->timers.items[index] = timer;
    timer->index = index;
}

static void heap_up(struct loop *loop, size_t index) {
    struct loop_timer *timer = loop->timers.items[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!timer_before(timer, loop->timers.items[parent])) {
            break;
        }
        heap_set(loop, index, loop->timers.items[parent]);
        index = parent;
    }
    heap_set(loop, index, timer);
}

static void heap_down(struct loop *loop, size_t index) {
    struct loop_timer *timer = loop->timers.items[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= loop->timers.len) {
            break;
        }
        if (child + 1 < loop->timers.len &&
            timer_before(loop->timers.items[child + 1], loop->timers.items[child])) {
            child++;
        }
        if (!timer_before(loop->timers.items[child], timer)) {
            break;
        }
        heap_set(loop, index, loop->timers.items[child]);
        index = child;
    }
    heap_set(loop, index, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer) {
    size_t index = timer->index;
    struct loop_timer *last = loop->timers.items[--loop->timers.len];
    timer->index = TIMER_IDLE;
    if (last != timer) {
        heap_set(loop, index, last);
        heap_down(loop, index);
        heap_up(loop, last->index);
    }
}

bool loop_next_deadline(const struct loop *loop, int64_t *deadline) {
    if (loop->timers.len == 0) {
        return false;
    }
    *deadline = loop->timers.items[0]->deadline;
    return true;
}

struct loop_timer *loop_timer_create(struct loop *loop, loop_fn *fn, void *ctx) {
    struct loop_timer *timer = NEW(struct loop_timer);
    *timer = (struct loop_timer){.loop = loop, .fn = fn, .ctx = ctx, .index = TIMER_IDLE};
    return timer;
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ns) {
    struct loop *loop = timer->loop;
    int64_t deadline;
    if (__builtin_add_overflow(loop_now(loop), delay_ns > 0 ? delay_ns : 0, &deadline)) {
        deadline = INT64_MAX;
    }
    timer->deadline = deadline;
    timer->seq = ++loop->timer_seq;
    if (timer->index == TIMER_IDLE) {
        VEC_PUSH(&loop->timers, timer);
        timer->index = loop->timers.len - 1;
    } else {
        heap_down(loop, timer->index);
    }
    heap_up(loop, timer->index);
    // When the first one moved later, the loop wakes too early once and arms itself again.
    if (!loop->in_timers && loop->timers.items[0] == timer) {
        loop->ops->rearm(loop);
    }
}

void loop_timer_stop(struct loop_timer *timer) {
    if (timer->index != TIMER_IDLE) {
        heap_remove(timer->loop, timer); // a wake-up too many is harmless
    }
}

bool loop_timer_is_active(const struct loop_timer *timer) {
    return timer->index != TIMER_IDLE;
}

void loop_timer_destroy(struct loop_timer *timer) {
    if (timer) {
        loop_timer_stop(timer);
        free(timer);
    }
}

bool loop_run_one_timer(struct loop *loop, int64_t now) {
    if (loop->timers.len == 0 || loop->timers.items[0]->deadline > now) {
        return false;
    }
    struct loop_timer *timer = loop->timers.items[0];
    heap_remove(loop, timer);
    timer->fn(timer->ctx); // may destroy the timer
    return true;
}

void loop_run_timers(struct loop *loop, int64_t now) {
    // A timer that is armed with 0 by one of these callbacks has a later number and waits for the next turn.
    uint64_t last = loop->timer_seq;
    loop->in_timers = true;
    while (loop->timers.len > 0 && loop->timers.items[0]->seq <= last) {
        if (!loop_run_one_timer(loop, now)) {
            break;
        }
    }
    loop->in_timers = false;
    if (loop->timers.len > 0) {
        loop->ops->rearm(loop);
    }
}

// ---- Workers ----

static struct str lane_key(const uint64_t *lane) {
    return (struct str){(const char *)lane, sizeof *lane};
}

uint64_t loop_lane_create(struct loop *loop) {
    return ++loop->last_lane;
}

size_t loop_work_pending(const struct loop *loop) {
    return loop->jobs_pending;
}

void loop_work(struct loop *loop, uint64_t lane, void (*work)(void *ctx), void (*done)(void *ctx),
               void *ctx) {
    struct loop_job *job = NEW(struct loop_job);
    *job = (struct loop_job){
        .loop = loop, .lane = lane, .work = work, .done = done, .ctx = ctx, .next = NULL};
    loop->jobs_pending++;
    if (lane) {
        struct lane *busy = map_find(loop->lanes, lane_key(&lane));
        if (busy) {
            if (busy->last) {
                busy->last->next = job;
            } else {
                busy->first = job;
            }
            busy->last = job;
            return;
        }
        map_put(loop->lanes, lane_key(&lane), NEW(struct lane));
    }
    loop->ops->start_job(loop, job);
}

void loop_job_finished(struct loop_job *job) {
    struct loop *loop = job->loop;
    loop->jobs_pending--;
    if (job->lane) {
        struct lane *lane = map_find(loop->lanes, lane_key(&job->lane));
        struct loop_job *next = lane->first;
        if (next) {
            lane->first = next->next;
            if (!lane->first) {
                lane->last = NULL;
            }
            next->next = NULL;
            loop->ops->start_job(loop, next); // the worker goes on while done runs here
        } else {
            map_remove(loop->lanes, lane_key(&job->lane));
            free(lane);
        }
    }
    void (*done)(void *ctx) = job->done;
    void *ctx = job->ctx;
    free(job);
    if (done) {
        done(ctx);
    }
}

// ---- What only a real loop can do ----

struct loop_poll *loop_poll_create(struct loop *loop, int fd, void (*fn)(void *ctx, int events),
                                   void *ctx) {
    CHECK(loop->ops->poll_create);
    return loop->ops->poll_create(loop, fd, fn, ctx);
}

// Every kind of handle has its loop as the first member.
static const struct loop_ops *ops_of(const void *handle) {
    struct loop *const *loop = handle;
    return (*loop)->ops;
}

void loop_poll_start(struct loop_poll *poll, int events) {
    ops_of(poll)->poll_start(poll, events);
}

void loop_poll_stop(struct loop_poll *poll) {
    ops_of(poll)->poll_stop(poll);
}

void loop_poll_destroy(struct loop_poll *poll) {
    if (poll) {
        ops_of(poll)->poll_destroy(poll);
    }
}

struct loop_signal *loop_signal_create(struct loop *loop, int signum, loop_fn *fn, void *ctx) {
    CHECK(loop->ops->signal_create);
    return loop->ops->signal_create(loop, signum, fn, ctx);
}

void loop_signal_destroy(struct loop_signal *signal) {
    if (signal) {
        ops_of(signal)->signal_destroy(signal);
    }
}

struct loop_watch *loop_watch_create(struct loop *loop, const char *path, loop_fn *fn, void *ctx,
                                     struct err *err) {
    if (!loop->ops->watch_create) {
        err_set(err, ERR_UNSUPPORTED, "this loop cannot watch files");
        return NULL;
    }
    return loop->ops->watch_create(loop, path, fn, ctx, err);
}

void loop_watch_destroy(struct loop_watch *watch) {
    if (watch) {
        ops_of(watch)->watch_destroy(watch);
    }
}

void loop_set_watchdog(struct loop *loop, int64_t ns) {
    loop->watchdog_ns = ns;
}
