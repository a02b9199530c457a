// SPDX-License-Identifier: Apache-2.0
// One loop thread owns all state. Everything that depends on the world, time, randomness, workers, child processes and
// descriptors, is asked of a `struct loop`, of which there are two: the real one over libuv (loop_create) and the
// deterministic one of the simulation (sim_loop_create): virtual time, seeded randomness, workers run inline.
// All functions are for the loop thread, except loop_wake. Callbacks run on the loop thread, never from inside the
// call that asked for them.
#ifndef SKIFF_LOOP_LOOP_H
#define SKIFF_LOOP_LOOP_H

#include "base/err.h"
#include "base/str.h"

struct loop;
struct loop_timer;
struct loop_poll;
struct loop_child;
struct loop_signal;

struct loop *loop_create(unsigned workers); // 0: as many as there are processors, at least 2
void loop_destroy(struct loop *loop); // after loop_run returned; everything must have been closed
// Runs until loop_stop. False when a callback failed the loop itself.
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

// ---- Time and randomness ----
int64_t loop_now(struct loop *loop);     // monotonic nanoseconds, fixed during one turn
int64_t loop_wall(struct loop *loop);    // nanoseconds since 1970
uint64_t loop_random(struct loop *loop); // 64 random bits
uint64_t loop_random_below(struct loop *loop, uint64_t bound); // uniform in [0, bound), bound > 0
void loop_random_bytes(struct loop *loop, void *out,
                       size_t n); // from the system's secure source (seeded in simulation)

// ---- Timers ----
typedef void loop_fn(void *ctx);
struct loop_timer *loop_timer_create(struct loop *loop, loop_fn *fn, void *ctx);
void loop_timer_start(struct loop_timer *timer,
                      int64_t delay_ns); // (re)arms, once; 0 fires in the next turn
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_active(const struct loop_timer *timer);
void loop_timer_destroy(
    struct loop_timer *timer); // NULL is fine; its callback does not run afterwards

// Runs `fn` in the next turn. Posts run in the order in which they were made.
void loop_post(struct loop *loop, loop_fn *fn, void *ctx);
// The one function for other threads: as loop_post. Not in the simulation.
void loop_wake(struct loop *loop, loop_fn *fn, void *ctx);

// ---- Workers ----
// `work` runs on a worker thread with what `ctx` holds, which nobody else touches meanwhile; then `done` runs on the
// loop. Jobs of one `lane` run one after the other in order (0: no lane). Jobs of different lanes run in parallel.
void loop_work(struct loop *loop, uint64_t lane, void (*work)(void *ctx), void (*done)(void *ctx),
               void *ctx);
uint64_t loop_lane_create(struct loop *loop);
size_t loop_work_pending(const struct loop *loop);

// ---- Descriptors (real loop only) ----
// NULL when the descriptor cannot be polled (a plain file). Events are level-triggered; an error of a socket arrives as every
// event asked for and LOOP_HANGUP.
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_HANGUP = 4 };
struct loop_poll *loop_poll_create(struct loop *loop, int fd, void (*fn)(void *ctx, int events),
                                   void *ctx);
void loop_poll_start(struct loop_poll *poll, int events);
void loop_poll_stop(struct loop_poll *poll);
void loop_poll_destroy(struct loop_poll *poll); // does not close the descriptor

// ---- Signals (real loop only) ----
struct loop_signal *loop_signal_create(struct loop *loop, int signum, loop_fn *fn, void *ctx);
void loop_signal_destroy(struct loop_signal *signal);

// ---- File changes (real loop only): fn on every change of the file or folder; NULL with err when it cannot be watched ----
struct loop_watch;
struct loop_watch *loop_watch_create(struct loop *loop, const char *path, loop_fn *fn, void *ctx,
                                     struct err *err);
void loop_watch_destroy(struct loop_watch *watch);

// ---- Child processes ----
struct loop_spawn {
    const char *const *argv; // NULL-terminated; argv[0] is looked up in PATH
    const char *const *env;  // the whole environment, NULL-terminated; NULL: PATH and HOME only
    const char *cwd;         // NULL: "/"
    struct str input;        // written to standard input, then closed; copied
    size_t
        max_output; // of standard output and of standard error each; beyond it the child is killed (ERR_LIMIT)
    int64_t timeout_ns;       // the child's process group is killed then (ERR_TIMEOUT); 0: none
    uint64_t max_memory;      // RLIMIT_AS in bytes; 0: none
    uint64_t max_cpu_seconds; // RLIMIT_CPU; 0: none
};
struct loop_exit {
    int status;              // exit code, or 128 + signal
    struct str out;          // standard output
    struct str errout;       // standard error
    const struct err *error; // NULL when the child ran to its own end, whatever its status
};
// Returns an id for loop_kill, or 0 with err when it could not start. Results are borrowed during the callback.
uint64_t loop_spawn(struct loop *loop, const struct loop_spawn *spec,
                    void (*done)(void *ctx, const struct loop_exit *exit), void *ctx,
                    struct err *err);
void loop_kill(struct loop *loop, uint64_t child); // the callback still runs, with ERR_CANCELLED

// A turn longer than this is reported through the log ("turn took 72 ms"); 0 turns it off.
void loop_set_watchdog(struct loop *loop, int64_t ns);

#endif
