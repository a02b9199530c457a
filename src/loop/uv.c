// SPDX-License-Identifier: Apache-2.0
// The real loop over libuv, the one file that includes its header. libuv waits for descriptors, signals and file changes;
// posts, timers and lanes are those of loop.c, so libuv sees one timer and one idle handle of ours.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "loop/loop_internal.h"
#include "loop/workers.h"

// A message from another thread; `job` or `fn` is set.
struct mail {
    struct mail *next;
    struct loop_job *job;
    loop_fn *fn;
    void *ctx;
};

struct real_loop {
    struct loop base;
    uv_loop_t uv;
    uv_timer_t timer;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_async_t async;
    bool running;
    bool stopped;
    int64_t turn_start; // 0 between turns
    unsigned worker_count;
    struct workers *workers;
    uv_mutex_t mail_lock;
    struct mail *mail_first, *mail_last;
    uint64_t random_pool[32]; // jitter needs no system call each
    size_t random_left;
};

struct loop_poll {
    struct loop *loop;
    uv_poll_t uv;
    void (*fn)(void *ctx, int events);
    void *ctx;
    int events;
};
struct loop_signal {
    struct loop *loop;
    uv_signal_t uv;
    loop_fn *fn;
    void *ctx;
};
struct loop_watch {
    struct loop *loop;
    uv_fs_event_t uv;
    loop_fn *fn;
    void *ctx;
    char *name; // of the file within the watched folder; NULL: the folder itself is meant
};

static struct real_loop *real_of(struct loop *loop) {
    return CONTAINER_OF(loop, struct real_loop, base);
}

// ---- Turns ----

// A turn is what runs between two waits; the first callback that asks for the time begins it.
static int64_t turn_begin(struct real_loop *real) {
    if (real->turn_start == 0) {
        real->turn_start = (int64_t)uv_hrtime();
    }
    return real->turn_start;
}

static void turn_end(struct real_loop *real) {
    if (real->turn_start == 0) {
        return;
    }
    int64_t watchdog = real->base.watchdog_ns;
    if (watchdog > 0) {
        int64_t took = (int64_t)uv_hrtime() - real->turn_start;
        if (took > watchdog) {
            char text[64];
            snprintf(text, sizeof text, "turn took %lld ms", (long long)(took / NS_PER_MS));
            LOG(LOG_WARN, "loop", text);
        }
    }
    real->turn_start = 0;
}

static int64_t real_now(struct loop *loop) {
    struct real_loop *real = real_of(loop);
    return real->running ? turn_begin(real) : (int64_t)uv_hrtime();
}

static int64_t real_wall(struct loop *loop) {
    (void)loop;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static void system_random(void *out, size_t n) {
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}

static void real_random_bytes(struct loop *loop, void *out, size_t n) {
    struct real_loop *real = real_of(loop);
    if (n != sizeof real->random_pool[0]) {
        system_random(out, n);
        return;
    }
    if (real->random_left == 0) {
        system_random(real->random_pool, sizeof real->random_pool);
        real->random_left = ARRAY_LEN(real->random_pool);
    }
    uint64_t *slot = &real->random_pool[--real->random_left];
    memcpy(out, slot, n);
    *slot = 0;
}

// ---- Posts and timers ----

// What is due at once runs here, once a turn. A libuv timer of zero, started again by its own callback, would run for ever
// without the loop looking at anything else.
static void on_idle(uv_idle_t *handle) {
    struct real_loop *real = handle->data;
    int64_t now = turn_begin(real);
    int64_t deadline;
    uv_idle_stop(&real->idle);
    loop_run_posts(&real->base);
    if (loop_next_deadline(&real->base, &deadline)) {
        if (deadline <= now) {
            loop_run_timers(&real->base, now);
        } else {
            // It may have come due since this turn began: without this nothing would wake the loop for it.
            real->base.ops->rearm(&real->base);
        }
    }
    if (real->base.post_count > 0) {
        uv_idle_start(&real->idle, on_idle);
    }
}

static void on_prepare(uv_prepare_t *handle) {
    turn_end(handle->data);
}

static void on_timer(uv_timer_t *handle) {
    struct real_loop *real = handle->data;
    turn_end(real);
    loop_run_timers(&real->base, turn_begin(real));
}

static void real_kick(struct loop *loop) {
    uv_idle_start(&real_of(loop)->idle, on_idle);
}

static void real_rearm(struct loop *loop) {
    struct real_loop *real = real_of(loop);
    int64_t deadline;
    if (!loop_next_deadline(loop, &deadline)) {
        return;
    }
    int64_t delay = deadline - (int64_t)uv_hrtime();
    if (delay <= 0) {
        uv_idle_start(&real->idle, on_idle);
        return;
    }
    uv_timer_start(&real->timer, on_timer, (uint64_t)((delay - 1) / NS_PER_MS) + 1, 0);
}

// ---- Other threads ----

static void send_mail(struct real_loop *real, struct loop_job *job, loop_fn *fn, void *ctx) {
    struct mail *mail = NEW(struct mail);
    *mail = (struct mail){.job = job, .fn = fn, .ctx = ctx};
    uv_mutex_lock(&real->mail_lock);
    bool first = !real->mail_first;
    if (real->mail_last) {
        real->mail_last->next = mail;
    } else {
        real->mail_first = mail;
    }
    real->mail_last = mail;
    // Under the lock: the loop may be destroyed as soon as it has seen the last mail.
    if (first) {
        uv_async_send(&real->async);
    }
    uv_mutex_unlock(&real->mail_lock);
}

static struct mail *take_mail(struct real_loop *real) {
    uv_mutex_lock(&real->mail_lock);
    struct mail *first = real->mail_first;
    real->mail_first = NULL;
    real->mail_last = NULL;
    uv_mutex_unlock(&real->mail_lock);
    return first;
}

static void on_async(uv_async_t *handle) {
    struct real_loop *real = handle->data;
    turn_begin(real);
    for (struct mail *mail = take_mail(real); mail;) {
        struct mail *next = mail->next;
        struct mail copy = *mail;
        free(mail);
        if (copy.job) {
            loop_job_finished(copy.job);
        } else {
            copy.fn(copy.ctx);
        }
        mail = next;
    }
}

static void real_wake(struct loop *loop, loop_fn *fn, void *ctx) {
    send_mail(real_of(loop), NULL, fn, ctx);
}

static void job_finished(struct loop *loop, struct loop_job *job) {
    send_mail(real_of(loop), job, NULL, NULL);
}

static void real_start_job(struct loop *loop, struct loop_job *job) {
    struct real_loop *real = real_of(loop);
    if (!real->workers) {
        real->workers = workers_create(real->worker_count, job_finished);
    }
    workers_submit(real->workers, job);
}

// ---- Descriptors ----

static int from_uv_events(int events) {
    return (events & UV_READABLE ? LOOP_READABLE : 0) | (events & UV_WRITABLE ? LOOP_WRITABLE : 0) |
           (events & UV_DISCONNECT ? LOOP_HANGUP : 0);
}

static int to_uv_events(int events) {
    return (events & LOOP_READABLE ? UV_READABLE : 0) | (events & LOOP_WRITABLE ? UV_WRITABLE : 0) |
           (events & LOOP_HANGUP ? UV_DISCONNECT : 0);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct loop_poll *poll = handle->data;
    turn_begin(real_of(poll->loop));
    if (status < 0) {
        // libuv stopped the handle at a socket error; whoever reads or writes next finds out which.
        uv_poll_start(&poll->uv, to_uv_events(poll->events), on_poll);
        poll->fn(poll->ctx, poll->events | LOOP_HANGUP);
        return;
    }
    poll->fn(poll->ctx, from_uv_events(events));
}

static struct loop_poll *real_poll_create(struct loop *loop, int fd,
                                          void (*fn)(void *ctx, int events), void *ctx) {
    struct loop_poll *poll = NEW(struct loop_poll);
    poll->loop = loop;
    poll->fn = fn;
    poll->ctx = ctx;
    if (uv_poll_init(&real_of(loop)->uv, &poll->uv, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->uv.data = poll;
    return poll;
}

static void real_poll_start(struct loop_poll *poll, int events) {
    poll->events = events;
    uv_poll_start(&poll->uv, to_uv_events(events), on_poll);
}

static void real_poll_stop(struct loop_poll *poll) {
    uv_poll_stop(&poll->uv);
}

static void free_data(uv_handle_t *handle) {
    free(handle->data);
}

static void real_poll_destroy(struct loop_poll *poll) {
    uv_close((uv_handle_t *)&poll->uv, free_data);
}

// ---- Signals and file changes ----

static void on_signal(uv_signal_t *handle, int signum) {
    (void)signum;
    struct loop_signal *sig = handle->data;
    turn_begin(real_of(sig->loop));
    sig->fn(sig->ctx);
}

static struct loop_signal *real_signal_create(struct loop *loop, int signum, loop_fn *fn,
                                              void *ctx) {
    struct loop_signal *sig = NEW(struct loop_signal);
    sig->loop = loop;
    sig->fn = fn;
    sig->ctx = ctx;
    CHECK(uv_signal_init(&real_of(loop)->uv, &sig->uv) == 0);
    sig->uv.data = sig;
    CHECK(uv_signal_start(&sig->uv, on_signal, signum) == 0);
    return sig;
}

static void real_signal_destroy(struct loop_signal *sig) {
    uv_close((uv_handle_t *)&sig->uv, free_data);
}

static void on_change(uv_fs_event_t *handle, const char *filename, int events, int status) {
    (void)events;
    struct loop_watch *watch = handle->data;
    turn_begin(real_of(watch->loop));
    // Mounted Secrets change by a rename of "..data" beside the file.
    if (status < 0 || !watch->name || !filename || strcmp(filename, watch->name) == 0 ||
        strncmp(filename, "..", 2) == 0) {
        watch->fn(watch->ctx);
    }
}

static void free_watch(uv_handle_t *handle) {
    struct loop_watch *watch = handle->data;
    free(watch->name);
    free(watch);
}

static void real_watch_destroy(struct loop_watch *watch) {
    uv_close((uv_handle_t *)&watch->uv, free_watch);
}

// A file is watched through its folder: editors and mounts replace files by renames, which a watch on the file itself
// would not survive.
static struct loop_watch *real_watch_create(struct loop *loop, const char *path, loop_fn *fn,
                                            void *ctx, struct err *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        err_errno(err, errno, "cannot watch %s", path);
        return NULL;
    }
    struct loop_watch *watch = NEW(struct loop_watch);
    watch->loop = loop;
    watch->fn = fn;
    watch->ctx = ctx;
    AUTO(free) char *folder = xstrdup(str_from(path));
    if (!S_ISDIR(st.st_mode)) {
        char *slash = strrchr(folder, '/');
        watch->name = xstrdup(str_from(slash ? slash + 1 : folder));
        if (slash) {
            slash[slash == folder] = '\0';
        } else {
            memcpy(folder, ".", 2); // a name has at least one character
        }
    }
    uv_fs_event_init(&real_of(loop)->uv, &watch->uv);
    watch->uv.data = watch;
    int rc = uv_fs_event_start(&watch->uv, on_change, folder, 0);
    if (rc != 0) {
        err_errno(err, -rc, "cannot watch %s", path);
        real_watch_destroy(watch);
        return NULL;
    }
    return watch;
}

// ---- Life ----

static void real_run(struct loop *loop) {
    struct real_loop *real = real_of(loop);
    real->running = true;
    while (!real->stopped) {
        uv_run(&real->uv, UV_RUN_DEFAULT);
    }
    turn_end(real);
    real->running = false;
    real->stopped = false;
}

static void real_stop(struct loop *loop) {
    struct real_loop *real = real_of(loop);
    real->stopped = true;
    uv_stop(&real->uv);
}

static void close_left(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (uv_is_closing(handle)) {
        return;
    }
    switch (handle->type) {
    case UV_POLL:
    case UV_SIGNAL:
        uv_close(handle, free_data);
        break;
    case UV_FS_EVENT:
        uv_close(handle, free_watch);
        break;
    default:
        uv_close(handle, NULL);
    }
}

static void real_destroy(struct loop *loop) {
    struct real_loop *real = real_of(loop);
    workers_destroy(real->workers);
    for (struct mail *mail = take_mail(real); mail;) {
        struct mail *next = mail->next;
        free(mail->job);
        free(mail);
        mail = next;
    }
    uv_walk(&real->uv, close_left, NULL);
    while (uv_run(&real->uv, UV_RUN_NOWAIT) != 0) {
    }
    uv_loop_close(&real->uv);
    uv_mutex_destroy(&real->mail_lock);
    loop_fini(loop);
    free(real);
}

static const struct loop_ops REAL_OPS = {
    .destroy = real_destroy,
    .run = real_run,
    .stop = real_stop,
    .now = real_now,
    .wall = real_wall,
    .random_bytes = real_random_bytes,
    .kick = real_kick,
    .rearm = real_rearm,
    .start_job = real_start_job,
    .wake = real_wake,
    .poll_create = real_poll_create,
    .poll_start = real_poll_start,
    .poll_stop = real_poll_stop,
    .poll_destroy = real_poll_destroy,
    .signal_create = real_signal_create,
    .signal_destroy = real_signal_destroy,
    .watch_create = real_watch_create,
    .watch_destroy = real_watch_destroy,
};

// A peer that closes must not end the process, and thousands of connections need more than 1,024 descriptors. Children
// get the old limit back: select(2) in old programs breaks above it.
static void prepare_process(struct loop *loop) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        loop->child_descriptors = limit.rlim_cur < 1024 ? limit.rlim_cur : 1024;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct loop *loop_create(unsigned workers) {
    struct real_loop *real = NEW(struct real_loop);
    loop_init(&real->base, &REAL_OPS);
    prepare_process(&real->base);
    if (workers == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        workers = processors < 2 ? 2 : processors > 64 ? 64 : (unsigned)processors;
    }
    real->worker_count = workers;
    CHECK(uv_mutex_init(&real->mail_lock) == 0);
    CHECK(uv_loop_init(&real->uv) == 0);
    uv_timer_init(&real->uv, &real->timer);
    uv_idle_init(&real->uv, &real->idle);
    uv_prepare_init(&real->uv, &real->prepare);
    CHECK(uv_async_init(&real->uv, &real->async, on_async) == 0);
    real->timer.data = real;
    real->idle.data = real;
    real->prepare.data = real;
    real->async.data = real;
    uv_prepare_start(&real->prepare, on_prepare);
    return &real->base;
}
