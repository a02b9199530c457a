// SPDX-License-Identifier: Apache-2.0
// Real repositories for tests: made by the git program, in a temporary folder, with nobody's configuration.
#ifndef SKIFF_TESTS_GIT_FIXTURE_H
#define SKIFF_TESTS_GIT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "vcs/internal.h"

struct fixture {
    char dir[64];
    char repo[96]; // a bare repository, branch main
    struct loop *loop;
    struct metrics *metrics;
    struct vcs *vcs;
    struct arena *arena;
    struct loop_timer *guard;
};

static const char *const fixture_env[] = {
    "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME=/nonexistent",
    "GIT_CONFIG_NOSYSTEM=1",
    "GIT_CONFIG_GLOBAL=/dev/null",
    "GIT_AUTHOR_NAME=Ann Author",
    "GIT_AUTHOR_EMAIL=ann@example.com",
    "GIT_COMMITTER_NAME=Carl",
    "GIT_COMMITTER_EMAIL=carl@example.com",
    "LC_ALL=C",
    NULL,
};

// Runs a program to its end with `input`; its first line of output goes to `out` (64 bytes). Returns its exit code.
static inline int run_program(const char *const *argv, struct str input, char *out) {
    int in[2];
    int output[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    pid_t pid;
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
                            (char *const *)(uintptr_t)fixture_env);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(output[1]);
    if (code != 0) {
        close(in[1]);
        close(output[0]);
        return 127;
    }
    for (size_t at = 0; at < input.n;) {
        ssize_t n = write(in[1], input.p + at, input.n - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    close(in[1]);
    char text[4096];
    size_t len = 0;
    for (ssize_t n; (n = read(output[0], text + len, sizeof text - len)) > 0 || n < 0;) {
        len += n > 0 ? (size_t)n : 0;
        if (len == sizeof text) {
            len = sizeof text / 2; // only the beginning matters
        }
    }
    close(output[0]);
    if (out) {
        size_t line = 0;
        while (line < len && line < 63 && text[line] != '\n') {
            out[line] = text[line];
            line++;
        }
        out[line] = '\0';
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define GIT(repo, out, ...)                                                                       \
    assert_int_equal(                                                                             \
        run_program((const char *const[]){"git", "-C", (repo), __VA_ARGS__, NULL}, STR(""), out), \
        0)

// Feeds `git fast-import`, the shortest way to any history.
static inline void import(const char *repo, const char *stream) {
    const char *argv[] = {"git", "-C", repo, "fast-import", "--quiet", "--force", NULL};
    assert_int_equal(run_program(argv, str_from(stream), NULL), 0);
}

// A commit on `branch` that sets one file.
static inline void commit_file(const char *repo, const char *branch, const char *path,
                               const char *content) {
    char stream[2048];
    static int count = 0;
    snprintf(stream, sizeof stream,
             "commit refs/heads/%s\nauthor Ann Author <ann@example.com> 17000000%02d +0000\n"
             "committer Carl <carl@example.com> 1700000000 +0000\ndata 7\nchange\n"
             "from refs/heads/%s^0\nM 100644 inline %s\ndata %zu\n%s\n",
             branch, count++ % 100, branch, path, strlen(content), content);
    import(repo, stream);
}

static const char first_history[] =
    "commit refs/heads/main\nmark :1\nauthor Ann Author <ann@example.com> 1700000000 +0000\n"
    "committer Carl <carl@example.com> 1700000000 +0000\ndata 6\nfirst\n"
    "M 100644 inline apps/a.yaml\ndata 2\na\n"
    "M 100644 inline apps/b.yaml\ndata 2\nb\n"
    "M 100644 inline apps.yaml\ndata 2\nx\n"
    "M 120000 inline link.yaml\ndata 11\n/etc/passwd\n"
    "M 160000 1111111111111111111111111111111111111111 module\n"
    "commit refs/heads/main\nmark :2\nauthor Ann Author <ann@example.com> 1700000001 +0000\n"
    "committer Carl <carl@example.com> 1700000001 +0000\ndata 7\nsecond\n"
    "M 100755 inline run.sh\ndata 3\n#!\n"
    "commit refs/heads/feature/x\nmark :3\ncommitter Carl <carl@example.com> 1700000002 +0000\n"
    "data 2\nx\nfrom :1\nM 100644 inline apps/c.yaml\ndata 2\nc\n"
    "reset refs/tags/v1.0.0\nfrom :1\n"
    "tag v1.2.0\nfrom :2\ntagger Carl <carl@example.com> 1700000003 +0000\ndata 4\ntag\n"
    "reset refs/tags/v2.0.0-rc.1\nfrom :3\n";

static inline void give_up(void *ctx) {
    fail_msg("the loop did not finish in time");
}

static inline void fixture_start_vcs(struct fixture *fixture) {
    struct err err = {0};
    char mirrors[96];
    char self[512];
    snprintf(mirrors, sizeof mirrors, "%s/mirrors", fixture->dir);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    struct vcs_options options = {
        .loop = fixture->loop, .dir = mirrors, .self = self, .metrics = fixture->metrics};
    fixture->vcs = vcs_create(&options, &err);
    if (!fixture->vcs) {
        fail_msg("%s", err.message);
    }
}

static inline int fixture_setup(void **state) {
    struct fixture *fixture = NEW(struct fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/skiff-vcs-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->repo, sizeof fixture->repo, "%s/src.git", fixture->dir);
    GIT(fixture->dir, NULL, "init", "-q", "--bare", "-b", "main", fixture->repo);
    import(fixture->repo, first_history);
    fixture->arena = arena_create();
    fixture->loop = loop_create(4);
    fixture->metrics = metrics_create();
    fixture->guard = loop_timer_create(fixture->loop, give_up, NULL);
    fixture_start_vcs(fixture);
    *state = fixture;
    return 0;
}

static inline void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static inline void run_loop(struct fixture *fixture) {
    loop_timer_start(fixture->guard, 60 * NS_PER_SECOND);
    loop_run(fixture->loop);
    loop_timer_stop(fixture->guard);
}

static inline void run_for(struct fixture *fixture, int64_t ms) {
    struct loop_timer *timer = loop_timer_create(fixture->loop, stop_loop, fixture->loop);
    loop_timer_start(timer, ms * NS_PER_MS);
    run_loop(fixture);
    loop_timer_destroy(timer);
}

static inline int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    fixture->vcs->ops->destroy(fixture->vcs);
    run_for(fixture, 100); // lets workers and children end
    loop_timer_destroy(fixture->guard);
    loop_destroy(fixture->loop);
    metrics_destroy(fixture->metrics);
    arena_destroy(fixture->arena);
    folder_remove(fixture->dir);
    free(fixture);
    return 0;
}

struct answer {
    struct fixture *fixture;
    size_t *waiting; // the last answer stops the loop
    char sha[VCS_ID_MAX + 1];
    struct err err;
    bool done;
};

static inline void answer_end(struct answer *answer) {
    answer->done = true;
    if (--*answer->waiting == 0) {
        loop_stop(answer->fixture->loop);
    }
}

static inline void on_answer(void *ctx, struct str sha, const struct err *error) {
    struct answer *answer = ctx;
    assert_false(answer->done);
    assert_true((sha.n > 0) == (error == NULL));
    snprintf(answer->sha, sizeof answer->sha, "%.*s", STR_ARG(sha));
    if (error) {
        answer->err = *error;
    }
    answer_end(answer);
}

static inline void on_check(void *ctx, const struct err *error) {
    struct answer *answer = ctx;
    if (error) {
        answer->err = *error;
    }
    answer_end(answer);
}

static inline struct answer resolve_with(struct fixture *fixture, const char *url,
                                         const struct vcs_access *access, const char *revision,
                                         int64_t max_age_ms) {
    size_t waiting = 1;
    struct answer answer = {.fixture = fixture, .waiting = &waiting};
    fixture->vcs->ops->resolve(fixture->vcs, str_from(url), access, str_from(revision),
                               max_age_ms * NS_PER_MS, on_answer, &answer);
    assert_false(answer.done);
    run_loop(fixture);
    return answer;
}

static inline struct answer check_with(struct fixture *fixture, const char *url,
                                       const struct vcs_access *access) {
    size_t waiting = 1;
    struct answer answer = {.fixture = fixture, .waiting = &waiting};
    fixture->vcs->ops->check(fixture->vcs, str_from(url), access, on_check, &answer);
    run_loop(fixture);
    return answer;
}

static inline const char *file_url(struct fixture *fixture) {
    return arena_printf(fixture->arena, "file://%s", fixture->repo).p;
}

static inline const char *rev_parse(struct fixture *fixture, const char *revision) {
    char *sha = arena_alloc(fixture->arena, 64);
    GIT(fixture->repo, sha, "rev-parse", "--verify", revision);
    return sha;
}

static inline struct str read_path(struct fixture *fixture, const char *url, const char *sha,
                                   const char *path, struct err *err) {
    struct file_tree *tree =
        fixture->vcs->ops->open_tree(fixture->vcs, str_from(url), str_from(sha), err);
    struct str text = {0};
    if (tree) {
        tree->ops->read(tree, str_from(path), LIMIT_GIT_BLOB, fixture->arena, &text, err);
        file_tree_destroy(tree);
    }
    return text;
}

static inline int count_metric(struct fixture *fixture, const char *type) {
    AUTO_BUF struct buf buf;
    buf_init(&buf, MIB);
    assert_true(metrics_print(fixture->metrics, &buf));
    struct str line;
    int total = 0;
    for (struct str rest = buf_str(&buf); str_next(&rest, '\n', &line);) {
        if (str_starts(line, STR("argocd_git_request_total{")) && str_has(line, str_from(type))) {
            int64_t value = 0;
            str_to_int64(str_skip(line, str_rfind_char(line, ' ') + 1), &value);
            total += (int)value;
        }
    }
    return total;
}

#endif
