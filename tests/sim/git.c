// SPDX-License-Identifier: Apache-2.0
#include "git.h"

#include <stdio.h>

#include "base/map.h"
#include "base/timefmt.h"
#include "base/vec.h"

struct file {
    char *path, *content;
    size_t len;
};
struct files {
    VEC(struct file) list;
};
struct commit {
    char sha[41];
    struct files files;
};
struct repository {
    char *url;
    struct files work;
    VEC(struct commit *) commits; // the last one is the head of every branch
};
struct watcher {
    struct str url;
    void (*fn)(void *ctx, struct str url);
    void *ctx;
};
struct sim_vcs {
    struct vcs vcs;
    struct sim_git *git;
    VEC(struct watcher) watchers;
    struct job *jobs;
};
struct sim_git {
    struct loop *loop;
    struct faults *faults;
    VEC(struct repository *) repositories;
    struct sim_vcs *vcs; // of the process that runs, or NULL
    unsigned last_sha;
};

// ---- Files ----
static void files_free(struct files *files) {
    for (size_t i = 0; i < files->list.len; i++) {
        free(files->list.items[i].path);
        free(files->list.items[i].content);
    }
    VEC_FREE(&files->list);
}

static void files_copy(const struct files *from, struct files *to) {
    for (size_t i = 0; i < from->list.len; i++) {
        struct file file = from->list.items[i];
        file.path = xstrdup(str_from(file.path));
        file.content = xstrdup(str_make(file.content, file.len));
        VEC_PUSH(&to->list, file);
    }
}

static struct repository *find(struct sim_git *git, struct str url) {
    for (size_t i = 0; i < git->repositories.len; i++) {
        if (str_eq_c(url, git->repositories.items[i]->url)) {
            return git->repositories.items[i];
        }
    }
    return NULL;
}

static struct commit *find_commit(struct sim_git *git, struct str url, struct str sha) {
    struct repository *repository = find(git, url);
    for (size_t i = 0; repository && i < repository->commits.len; i++) {
        if (str_eq_c(sha, repository->commits.items[i]->sha)) {
            return repository->commits.items[i];
        }
    }
    return NULL;
}

void sim_git_put(struct sim_git *git, struct str url, struct str path, struct str content) {
    struct repository *repository = find(git, url);
    if (!repository) {
        repository = NEW(struct repository);
        repository->url = xstrdup(url);
        VEC_PUSH(&git->repositories, repository);
    }
    for (size_t i = 0; i < repository->work.list.len; i++) {
        struct file *file = &repository->work.list.items[i];
        if (str_eq_c(path, file->path)) {
            free(file->content);
            file->content = xstrdup(content);
            file->len = content.n;
            if (content.n == 0) {
                free(file->path);
                free(file->content);
                VEC_REMOVE_SWAP(&repository->work.list, i);
            }
            return;
        }
    }
    if (content.n) {
        struct file file = {xstrdup(path), xstrdup(content), content.n};
        VEC_PUSH(&repository->work.list, file);
    }
}

struct str sim_git_get(struct sim_git *git, struct str url, struct str path) {
    struct repository *repository = find(git, url);
    for (size_t i = 0; repository && i < repository->work.list.len; i++) {
        const struct file *file = &repository->work.list.items[i];
        if (str_eq_c(path, file->path)) {
            return str_make(file->content, file->len);
        }
    }
    return (struct str){NULL, 0};
}

void sim_git_commit(struct sim_git *git, struct str url) {
    struct repository *repository = find(git, url);
    struct commit *commit = NEW(struct commit);
    snprintf(commit->sha, sizeof commit->sha, "%040x", ++git->last_sha);
    files_copy(&repository->work, &commit->files);
    VEC_PUSH(&repository->commits, commit);
    for (size_t i = 0; git->vcs && i < git->vcs->watchers.len; i++) {
        struct watcher watcher = git->vcs->watchers.items[i];
        // One in three is lost, polling has to find it; one in three comes twice.
        uint64_t times = str_eq(watcher.url, url) ? loop_random_below(git->loop, 3) : 0;
        for (; times > 0; times--) {
            watcher.fn(watcher.ctx, url);
        }
    }
}

struct sim_git *sim_git_create(struct loop *loop, struct faults *faults) {
    struct sim_git *git = NEW(struct sim_git);
    git->loop = loop;
    git->faults = faults;
    return git;
}

void sim_git_destroy(struct sim_git *git) {
    for (size_t i = 0; i < git->repositories.len; i++) {
        struct repository *repository = git->repositories.items[i];
        for (size_t j = 0; j < repository->commits.len; j++) {
            files_free(&repository->commits.items[j]->files);
            free(repository->commits.items[j]);
        }
        VEC_FREE(&repository->commits);
        files_free(&repository->work);
        free(repository->url);
        free(repository);
    }
    VEC_FREE(&git->repositories);
    free(git);
}

// ---- The vcs ----
struct job { // an answer on its way
    struct sim_vcs *vcs;
    struct job *next, **back;
    struct loop_timer *timer;
    char *url, *revision;
    void (*resolved)(void *ctx, struct str sha, const struct err *error);
    void (*checked)(void *ctx, const struct err *error);
    void *ctx;
};

static void job_free(struct job *job) {
    *job->back = job->next;
    if (job->next) {
        job->next->back = job->back;
    }
    loop_timer_destroy(job->timer);
    free(job->url);
    free(job->revision);
    free(job);
}

static void job_answer(struct job *job, struct str sha, const struct err *error) {
    if (job->resolved) {
        job->resolved(job->ctx, sha, error);
    } else {
        job->checked(job->ctx, error);
    }
}

static void job_due(void *ctx) {
    struct job *job = ctx;
    struct sim_git *git = job->vcs->git;
    struct repository *repository = find(git, str_from(job->url));
    struct err err = {0};
    struct str sha = {NULL, 0};
    if (git->faults->on && loop_random_below(git->loop, 1000) < git->faults->server_error) {
        git->faults->injected++;
        err_set(&err, ERR_UNAVAILABLE, "connection refused");
    } else if (!repository || repository->commits.len == 0) {
        err_set(&err, ERR_NOT_FOUND, "repository not found");
    } else {
        struct commit *commit = find_commit(git, str_from(job->url), str_from(job->revision));
        sha = str_from(
            (commit ? commit : repository->commits.items[repository->commits.len - 1])->sha);
    }
    job_answer(job, sha, err.code ? &err : NULL);
    job_free(job);
}

static struct job *job_create(struct vcs *base, struct str url, struct str revision, void *ctx) {
    struct sim_vcs *vcs = CONTAINER_OF(base, struct sim_vcs, vcs);
    struct job *job = NEW(struct job);
    job->vcs = vcs;
    job->url = xstrdup(url);
    job->revision = xstrdup(revision);
    job->ctx = ctx;
    job->next = vcs->jobs;
    job->back = &vcs->jobs;
    if (vcs->jobs) {
        vcs->jobs->back = &job->next;
    }
    vcs->jobs = job;
    job->timer = loop_timer_create(vcs->git->loop, job_due, job);
    loop_timer_start(job->timer, (int64_t)loop_random_below(vcs->git->loop, 200 * NS_PER_MS));
    return job;
}

static void vcs_resolve(struct vcs *base, struct str url, const struct vcs_access *access,
                        struct str revision, int64_t max_age_ns,
                        void (*done)(void *ctx, struct str sha, const struct err *error),
                        void *ctx) {
    job_create(base, url, revision, ctx)->resolved = done;
}

static void vcs_check(struct vcs *base, struct str url, const struct vcs_access *access,
                      void (*done)(void *ctx, const struct err *error), void *ctx) {
    job_create(base, url, STR("HEAD"), ctx)->checked = done;
}

static struct file_tree *vcs_open_tree(struct vcs *base, struct str url, struct str sha,
                                       struct err *err) {
    struct commit *commit = find_commit(CONTAINER_OF(base, struct sim_vcs, vcs)->git, url, sha);
    if (!commit) {
        err_set(err, ERR_NOT_FOUND, "no such commit");
        return NULL;
    }
    struct file_tree *tree = file_tree_create_memory();
    for (size_t i = 0; i < commit->files.list.len; i++) {
        const struct file *file = &commit->files.list.items[i];
        file_tree_memory_put(tree, str_from(file->path), str_make(file->content, file->len));
    }
    return tree;
}

static bool vcs_read_commit(struct vcs *base, struct str url, struct str sha, struct arena *arena,
                            struct vcs_commit *out, struct err *err) {
    struct commit *commit = find_commit(CONTAINER_OF(base, struct sim_vcs, vcs)->git, url, sha);
    if (!commit) {
        return err_set(err, ERR_NOT_FOUND, "no such commit");
    }
    *out = (struct vcs_commit){.author = STR("sim <sim@example.com>"), .message = STR("a change")};
    memcpy(out->sha, commit->sha, sizeof commit->sha);
    return true;
}

static void vcs_invalidate(struct vcs *base, struct str url) {
}

static void vcs_watch(struct vcs *base, struct str url, void (*fn)(void *ctx, struct str url),
                      void *ctx) {
    struct sim_vcs *vcs = CONTAINER_OF(base, struct sim_vcs, vcs);
    struct repository *repository = find(vcs->git, url);
    if (repository) {
        struct watcher watcher = {.url = str_from(repository->url), .fn = fn, .ctx = ctx};
        VEC_PUSH(&vcs->watchers, watcher);
    }
}

static void vcs_unwatch(struct vcs *base, void *ctx) {
    struct sim_vcs *vcs = CONTAINER_OF(base, struct sim_vcs, vcs);
    for (size_t i = vcs->watchers.len; i-- > 0;) {
        if (vcs->watchers.items[i].ctx == ctx) {
            VEC_REMOVE_SWAP(&vcs->watchers, i);
        }
    }
}

static void vcs_destroy(struct vcs *base) {
    struct sim_vcs *vcs = CONTAINER_OF(base, struct sim_vcs, vcs);
    while (vcs->jobs) {
        struct job *job = vcs->jobs;
        struct err err = {0};
        err_set(&err, ERR_CANCELLED, "closed");
        job_answer(job, (struct str){NULL, 0}, &err);
        job_free(job);
    }
    vcs->git->vcs = NULL;
    VEC_FREE(&vcs->watchers);
    free(vcs);
}

static const struct vcs_ops ops = {
    .resolve = vcs_resolve,
    .open_tree = vcs_open_tree,
    .read_commit = vcs_read_commit,
    .invalidate = vcs_invalidate,
    .check = vcs_check,
    .watch = vcs_watch,
    .unwatch = vcs_unwatch,
    .destroy = vcs_destroy,
};

struct vcs *sim_vcs_create(struct sim_git *git) {
    struct sim_vcs *vcs = NEW(struct sim_vcs);
    vcs->vcs.ops = &ops;
    vcs->git = git;
    git->vcs = vcs;
    return &vcs->vcs;
}
