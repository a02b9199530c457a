// SPDX-License-Identifier: Apache-2.0
// The deterministic loop: the same queues as the real one over a virtual clock. Whatever varies, varies with the seed
// alone, so a failing seed number reproduces its run exactly.
#include "loop/sim_loop.h"

#include "loop/loop_internal.h"

// 2026-01-01T00:00:00Z, so that texts with dates are the same in every run.
#define SIM_WALL_START (INT64_C(1767225600) * 1000 * 1000 * 1000)

// Workers' results arrive after a seeded delay of up to this, so that their order varies with the seed.
enum { WORK_DELAY_NS = 1000 * 1000 };

struct sim_loop {
    struct loop base;
    int64_t now;
    uint64_t random[4]; // xoshiro256**
    int64_t wall_offset;
    bool stopped;
};

static struct sim_loop *sim_of(struct loop *loop) {
    return CONTAINER_OF(loop, struct sim_loop, base);
}

static uint64_t rotate(uint64_t x, int by) {
    return (x << by) | (x >> (64 - by));
}

static uint64_t sim_next_random(struct sim_loop *sim) {
    uint64_t *s = sim->random;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void sim_seed(struct sim_loop *sim, uint64_t seed) {
    for (size_t i = 0; i < 4; i++) { // splitmix64 spreads a small seed over the whole state
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        sim->random[i] = z ^ (z >> 31);
    }
}

static void sim_random_bytes(struct loop *loop, void *out, size_t n) {
    unsigned char *p = out;
    while (n > 0) {
        uint64_t value = sim_next_random(sim_of(loop));
        size_t part = n < sizeof value ? n : sizeof value;
        memcpy(p, &value, part);
        p += part;
        n -= part;
    }
}

static int64_t sim_now(struct loop *loop) {
    return sim_of(loop)->now;
}

static int64_t sim_wall(struct loop *loop) {
    return SIM_WALL_START + sim_of(loop)->now + sim_of(loop)->wall_offset;
}

static void sim_nothing(struct loop *loop) {
    (void)loop;
}

static void sim_job_due(void *ctx) {
    struct loop_job *job = ctx;
    loop_timer_destroy(job->timer);
    job->timer = NULL;
    job->work(job->ctx);
    loop_job_finished(job);
}

static void sim_start_job(struct loop *loop, struct loop_job *job) {
    job->timer = loop_timer_create(loop, sim_job_due, job);
    loop_timer_start(job->timer, (int64_t)loop_random_below(loop, WORK_DELAY_NS + 1));
}

static void sim_run(struct loop *loop) {
    sim_loop_run(loop, INT64_MAX);
}

static void sim_stop(struct loop *loop) {
    sim_of(loop)->stopped = true;
}

static void sim_destroy(struct loop *loop) {
    while (loop->timers.len > 0) {
        struct loop_timer *timer = loop->timers.items[0];
        loop_timer_stop(timer); // others' timers are theirs to destroy
        if (timer->fn == sim_job_due) {
            free(timer->ctx);
            loop_timer_destroy(timer);
        }
    }
    loop_fini(loop);
    free(sim_of(loop));
}

static const struct loop_ops SIM_OPS = {
    .destroy = sim_destroy,
    .run = sim_run,
    .stop = sim_stop,
    .now = sim_now,
    .wall = sim_wall,
    .random_bytes = sim_random_bytes,
    .kick = sim_nothing,
    .rearm = sim_nothing,
    .start_job = sim_start_job,
};

struct loop *sim_loop_create(uint64_t seed) {
    struct sim_loop *sim = NEW(struct sim_loop);
    loop_init(&sim->base, &SIM_OPS);
    sim_seed(sim, seed);
    return &sim->base;
}

void sim_loop_destroy(struct loop *loop) {
    loop_destroy(loop);
}

void sim_loop_jump_wall(struct loop *loop, int64_t by_ns) {
    sim_of(loop)->wall_offset += by_ns;
}

// One callback that is due no later than `until_ns`.
static bool sim_step_until(struct loop *loop, int64_t until_ns) {
    struct sim_loop *sim = sim_of(loop);
    if (loop_run_one_post(loop)) {
        return true;
    }
    int64_t deadline;
    if (!loop_next_deadline(loop, &deadline) || deadline > until_ns) {
        return false;
    }
    if (deadline > sim->now) {
        sim->now = deadline;
    }
    return loop_run_one_timer(loop, sim->now);
}

bool sim_loop_step(struct loop *loop) {
    return sim_step_until(loop, INT64_MAX);
}

void sim_loop_run(struct loop *loop, int64_t until_ns) {
    struct sim_loop *sim = sim_of(loop);
    sim->stopped = false;
    while (!sim->stopped && sim_step_until(loop, until_ns)) {
    }
    // "Run for ten seconds" leaves the clock ten seconds later even where nothing happened.
    if (!sim->stopped && until_ns != INT64_MAX && sim->now < until_ns) {
        sim->now = until_ns;
    }
}
