// SPDX-License-Identifier: Apache-2.0
// Child processes in bounds: a process group of their own, a clean environment, no descriptor but the standard three,
// limits on memory, processor time, wall time and output. They die with us.
//
// libuv's uv_spawn has no place for limits between fork and exec, so this file starts the child itself with vfork, which
// costs the same for a process of any size, and waits for it by SIGCHLD and for its output by polls.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "loop/loop_internal.h"

extern char **environ;

// What a grandchild that holds the pipes open may delay the end.
#define CHILD_LINGER (500 * NS_PER_MS)

enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPES };

struct child {
    struct loop_children *owner;
    struct child *next;
    uint64_t id;
    pid_t pid;
    bool exited;
    int status;
    int fds[PIPES];
    struct loop_poll *polls[PIPES];
    struct buf output[PIPES]; // PIPE_IN: what is still to be written
    struct loop_timer *timer; // the time-out, then the linger
    struct err error;
    void (*done)(void *ctx, const struct loop_exit *exit);
    void *ctx;
};

struct loop_children {
    struct loop *loop;
    struct loop_signal *signal;
    struct child *first;
    uint64_t last_id;
};

// What the code between vfork and exec needs; it may not allocate.
struct plan {
    const char *path;
    char *const *argv;
    char *const *env;
    const char *cwd;
    int fds[PIPES]; // the child's ends
    uint64_t memory, cpu, descriptors;
    sigset_t mask;
    pid_t parent;
};

static void set_limit(int resource, uint64_t value) {
    if (value > 0) {
        // A hard limit that is lower already stays: raising it would fail.
        struct rlimit limit;
        getrlimit((__rlimit_resource_t)resource, &limit);
        limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
        limit.rlim_cur = limit.rlim_max;
        setrlimit((__rlimit_resource_t)resource, &limit);
    }
}

// Runs in the child, in our memory: nothing but system calls.
static void exec_child(const struct plan *plan) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan->parent) {
        _exit(127);
    }
    for (int i = 0; i < PIPES; i++) {
        if (dup2(plan->fds[i], i) < 0) {
            _exit(127);
        }
    }
#ifdef SYS_close_range
    syscall(SYS_close_range, 3, ~0U, 0);
#endif
    for (int signum = 1; signum < 32; signum++) {
        if (signum != SIGKILL && signum != SIGSTOP) {
            struct sigaction standard = {.sa_handler = SIG_DFL};
            sigaction(signum, &standard, NULL);
        }
    }
    set_limit(RLIMIT_AS, plan->memory);
    set_limit(RLIMIT_CPU, plan->cpu);
    set_limit(RLIMIT_NOFILE, plan->descriptors);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (chdir(plan->cwd) != 0) {
        _exit(126);
    }
    sigprocmask(SIG_SETMASK, &plan->mask, NULL);
    execve(plan->path, plan->argv, plan->env);
    _exit(127);
}

// Not inlined, so that nothing of the caller is live across vfork.
static __attribute__((noinline)) pid_t fork_child(const struct plan *plan) {
    pid_t pid = vfork();
    if (pid == 0) {
        exec_child(plan);
    }
    return pid;
}

// ---- Starting ----

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

// Looks `name` up as execvp does, before the fork, so that a missing program is an error of the call.
static bool find_program(const char *name, char path[PATH_MAX], struct err *err) {
    if (strchr(name, '/')) {
        // Absolute, because the child changes its folder first.
        return (realpath(name, path) && access(path, X_OK) == 0) ||
               err_errno(err, errno, "cannot run %s", name);
    }
    const char *list = getenv("PATH");
    struct str rest = str_from(list ? list : "/usr/local/bin:/usr/bin:/bin");
    struct str folder;
    while (str_next(&rest, ':', &folder)) {
        int n = snprintf(path, PATH_MAX, "%.*s/%s", STR_ARG(folder), name);
        if (folder.n > 0 && n > 0 && n < PATH_MAX && access(path, X_OK) == 0) {
            return true;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "cannot run %s: not found in PATH", name);
}

// Both ends close-on-exec; ours does not block.
static bool open_pipes(int ours[PIPES], int theirs[PIPES], struct err *err) {
    for (int i = 0; i < PIPES; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            return err_errno(err, errno, "cannot make a pipe");
        }
        int mine = i == PIPE_IN ? 1 : 0;
        ours[i] = ends[mine];
        theirs[i] = ends[!mine];
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
        // The child's ends must lie above the three numbers that dup2 overwrites.
        if (theirs[i] < PIPES) {
            int moved = fcntl(theirs[i], F_DUPFD_CLOEXEC, PIPES);
            close(theirs[i]);
            theirs[i] = moved;
            if (moved < 0) {
                return err_errno(err, errno, "cannot make a pipe");
            }
        }
    }
    return true;
}

static const char *find_env(const char *name) {
    size_t n = strlen(name);
    for (char **env = environ; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
            return *env;
        }
    }
    return NULL;
}

static pid_t start_process(struct loop *loop, const struct loop_spawn *spec, const char *path,
                           const int theirs[PIPES]) {
    const char *small_env[3] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *value = find_env(i == 0 ? "PATH" : "HOME");
        if (value) {
            small_env[n++] = value;
        }
    }
    struct plan plan = {
        .path = path,
        .argv = (char *const *)spec->argv,
        .env = (char *const *)(spec->env ? spec->env : small_env),
        .cwd = spec->cwd ? spec->cwd : "/",
        .fds = {theirs[0], theirs[1], theirs[2]},
        .memory = spec->max_memory,
        .cpu = spec->max_cpu_seconds,
        .descriptors = loop->child_descriptors,
        .parent = getpid(),
    };
    // A handler of ours must not run in the child while it has our memory.
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    sigemptyset(&plan.mask);
    pid_t pid = fork_child(&plan);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return pid;
}

// ---- Running ----

static void child_kill(struct child *child, enum err_code code, const char *message) {
    if (child->error.code == ERR_NONE) {
        err_set(&child->error, code, "%s", message);
    }
    if (!child->exited) {
        kill(-child->pid, SIGKILL);
    }
}

static void close_pipe(struct child *child, int which) {
    loop_poll_destroy(child->polls[which]);
    child->polls[which] = NULL;
    close_fd(&child->fds[which]);
}

static void child_free(struct child *child) {
    for (int i = 0; i < PIPES; i++) {
        close_pipe(child, i);
        buf_fini(&child->output[i]);
    }
    loop_timer_destroy(child->timer);
    free(child);
}

static void child_unlink(struct child *child) {
    struct child **at = &child->owner->first;
    while (*at != child) {
        at = &(*at)->next;
    }
    *at = child->next;
}

static void child_finish(struct child *child) {
    child_unlink(child);
    struct loop_exit result = {
        .status =
            WIFSIGNALED(child->status) ? 128 + WTERMSIG(child->status) : WEXITSTATUS(child->status),
        .out = buf_str(&child->output[PIPE_OUT]),
        .errout = buf_str(&child->output[PIPE_ERR]),
        .error = child->error.code == ERR_NONE ? NULL : &child->error,
    };
    child->done(child->ctx, &result);
    child_free(child);
}

static void finish_when_complete(struct child *child) {
    if (child->exited && child->fds[PIPE_OUT] < 0 && child->fds[PIPE_ERR] < 0) {
        child_finish(child);
    }
}

static void on_child_timer(void *ctx) {
    struct child *child = ctx;
    if (child->exited) { // somebody else holds the pipes; what came until now counts
        close_pipe(child, PIPE_OUT);
        close_pipe(child, PIPE_ERR);
        child_finish(child);
        return;
    }
    child_kill(child, ERR_TIMEOUT, "the program ran out of its time and was ended");
}

static void read_output(struct child *child, int which) {
    char piece[16 * KIB];
    for (int rounds = 0; rounds < 16; rounds++) { // then the loop's other callbacks have a turn
        ssize_t n = read(child->fds[which], piece, sizeof piece);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            close_pipe(child, which);
            finish_when_complete(child);
            return;
        }
        struct buf *out = &child->output[which];
        if (!out->overflow && !buf_add(out, piece, (size_t)n)) {
            buf_add(out, piece, out->max - out->len);
            out->overflow = true;
            child_kill(child, ERR_LIMIT, "the program printed more than is allowed");
        }
    }
}

static void on_stdout(void *ctx, int events) {
    (void)events;
    read_output(ctx, PIPE_OUT);
}

static void on_stderr(void *ctx, int events) {
    (void)events;
    read_output(ctx, PIPE_ERR);
}

static void on_stdin(void *ctx, int events) {
    (void)events;
    struct child *child = ctx;
    struct buf *input = &child->output[PIPE_IN];
    while (input->len > 0) {
        ssize_t n = write(child->fds[PIPE_IN], input->data, input->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) { // the program closed its input; it may do so
            break;
        }
        buf_drop_front(input, (size_t)n);
    }
    close_pipe(child, PIPE_IN);
}

static void child_reap(struct child *child) {
    // Look before reaping: while it is a zombie its number cannot belong to another group.
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return;
    }
    kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR) {
    }
    child->exited = true;
    close_pipe(child, PIPE_IN);
    loop_timer_start(child->timer, CHILD_LINGER);
    finish_when_complete(child);
}

static void on_sigchld(void *ctx) {
    struct loop_children *children = ctx;
    for (struct child *child = children->first; child;) {
        struct child *next = child->next; // a callback may add children, at the front only
        if (!child->exited) {
            child_reap(child);
        }
        child = next;
    }
}

static struct loop_children *children_of(struct loop *loop) {
    if (!loop->children) {
        loop->children = NEW(struct loop_children);
        loop->children->loop = loop;
        loop->children->signal = loop_signal_create(loop, SIGCHLD, on_sigchld, loop->children);
    }
    return loop->children;
}

static void start_polls(struct child *child) {
    static void (*const handlers[PIPES])(void *ctx, int events) = {on_stdin, on_stdout, on_stderr};
    for (int i = 0; i < PIPES; i++) {
        child->polls[i] = loop_poll_create(child->owner->loop, child->fds[i], handlers[i], child);
        CHECK(child->polls[i]);
        loop_poll_start(child->polls[i], i == PIPE_IN ? LOOP_WRITABLE : LOOP_READABLE);
    }
}

uint64_t loop_spawn(struct loop *loop, const struct loop_spawn *spec,
                    void (*done)(void *ctx, const struct loop_exit *exit), void *ctx,
                    struct err *err) {
    if (!loop->ops->poll_create) {
        err_set(err, ERR_UNSUPPORTED, "this loop cannot start programs");
        return 0;
    }
    char path[PATH_MAX];
    if (!find_program(spec->argv[0], path, err)) {
        return 0;
    }
    if (spec->cwd && access(spec->cwd, X_OK) != 0) {
        err_errno(err, errno, "cannot run %s in %s", spec->argv[0], spec->cwd);
        return 0;
    }
    int ours[PIPES] = {-1, -1, -1};
    int theirs[PIPES] = {-1, -1, -1};
    struct loop_children *children = children_of(loop); // SIGCHLD is heard before there is a child
    pid_t pid = -1;
    if (open_pipes(ours, theirs, err)) {
        pid = start_process(loop, spec, path, theirs);
        if (pid < 0) {
            err_errno(err, errno, "cannot start %s", spec->argv[0]);
        }
    }
    for (int i = 0; i < PIPES; i++) {
        close_fd(&theirs[i]);
        if (pid < 0) {
            close_fd(&ours[i]);
        }
    }
    if (pid < 0) {
        return 0;
    }
    struct child *child = NEW(struct child);
    *child = (struct child){.owner = children,
                            .next = children->first,
                            .id = ++children->last_id,
                            .pid = pid,
                            .fds = {ours[0], ours[1], ours[2]},
                            .done = done,
                            .ctx = ctx};
    children->first = child;
    size_t max = spec->max_output ? spec->max_output : LIMIT_CHILD_OUTPUT;
    buf_init(&child->output[PIPE_IN], spec->input.n);
    buf_add_str(&child->output[PIPE_IN], spec->input);
    buf_init(&child->output[PIPE_OUT], max);
    buf_init(&child->output[PIPE_ERR], max);
    child->timer = loop_timer_create(loop, on_child_timer, child);
    if (spec->timeout_ns > 0) {
        loop_timer_start(child->timer, spec->timeout_ns);
    }
    start_polls(child);
    return child->id;
}

void loop_kill(struct loop *loop, uint64_t id) {
    for (struct child *child = loop->children ? loop->children->first : NULL; child;
         child = child->next) {
        if (child->id == id) {
            child_kill(child, ERR_CANCELLED, "the program was ended on request");
            return;
        }
    }
}

void loop_children_destroy(struct loop_children *children) {
    if (!children) {
        return;
    }
    while (children->first) {
        struct child *child = children->first;
        children->first = child->next;
        if (!child->exited) {
            kill(-child->pid, SIGKILL);
            waitpid(child->pid, NULL, 0);
        }
        child_free(child);
    }
    loop_signal_destroy(children->signal);
    free(children);
}
