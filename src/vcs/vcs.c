// SPDX-License-Identifier: Apache-2.0
// struct vcs over real repositories: the table of repositories and the operations. All state belongs to the loop; only
// open_tree and read_commit run elsewhere, and they touch nothing but the options and git2.c.
#include "vcs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"

static struct git_vcs *of(struct vcs *vcs) {
    return CONTAINER_OF(vcs, struct git_vcs, vcs);
}

// ---- Life ----

static void repo_destroy(struct git_repo *repo) {
    git_watch_destroy(repo->watch);
    while (repo->queue) {
        struct git_request *request = repo->queue;
        repo->queue = request->next;
        git_request_destroy(request);
    }
    git_repo_forget_objects(repo);
    map_destroy(repo->known);
    map_destroy(repo->absent);
    git_refs_destroy(repo->refs);
    git_access_destroy(repo->refs_access);
    git_access_destroy(repo->list_error_access);
    arena_destroy(repo->arena);
}

static void vcs_free(struct git_vcs *vcs) {
    void *value;
    for (size_t i = 0; map_next(vcs->repos, &i, NULL, &value);) {
        repo_destroy(value);
    }
    map_destroy(vcs->repos);
    git2_unref(vcs->git2);
    folder_remove(vcs->context.secrets);
    arena_destroy(vcs->arena);
    free(vcs);
}

void git_vcs_begin(struct git_vcs *vcs) {
    vcs->inflight++;
}

bool git_vcs_end(struct git_vcs *vcs) {
    vcs->inflight--;
    if (!vcs->closing) {
        return true;
    }
    if (vcs->inflight == 0) {
        vcs_free(vcs);
    }
    return false;
}

static void destroy(struct vcs *self) {
    struct git_vcs *vcs = of(self);
    void *value;
    for (size_t i = 0; map_next(vcs->repos, &i, NULL, &value);) {
        struct git_repo *repo = value;
        git_watch_destroy(repo->watch);
        repo->watch = NULL;
        if (repo->child != 0) {
            loop_kill(vcs->loop, repo->child);
        }
    }
    vcs->closing = true;
    if (vcs->inflight == 0) {
        vcs_free(vcs);
    }
}

// ---- Repositories ----

void git_repo_forget_objects(struct git_repo *repo) {
    struct map *maps[] = {repo->known, repo->absent};
    for (size_t m = 0; m < ARRAY_LEN(maps); m++) {
        void *value;
        for (size_t i = 0; maps[m] && map_next(maps[m], &i, NULL, &value);) {
            free(value);
        }
        map_destroy(maps[m]);
    }
    repo->known = map_create();
    repo->absent = map_create();
}

const char *git_mirror_dir(const struct git_vcs *vcs, const struct git_url *url,
                           struct arena *arena) {
    struct str name = sha256_hex(arena, git_url_mirror_key(url, arena));
    return arena_printf(arena, "%s/%.*s.git", vcs->root, STR_ARG(name)).p;
}

static struct git_repo *find_repo(struct git_vcs *vcs, struct str url, struct err *err) {
    AUTO(arena_destroy) struct arena *scratch = arena_create();
    struct git_url parsed;
    if (!git_url_parse(url, &parsed, err)) {
        return NULL;
    }
    if (parsed.scheme == GIT_FILE && vcs->forbid_local) {
        err_set(err, ERR_FORBIDDEN, "local repositories are not allowed here; use https or ssh");
        return NULL;
    }
    struct str key = git_url_mirror_key(&parsed, scratch);
    struct git_repo *repo = map_find(vcs->repos, key);
    if (repo) {
        return repo;
    }
    struct arena *arena = arena_create();
    repo = ARENA_NEW(arena, struct git_repo);
    repo->arena = arena;
    repo->vcs = vcs;
    struct str copy = arena_dup(arena, str_trim(url));
    bool ok = git_url_parse(copy, &repo->url, NULL);
    CHECK(ok);
    repo->shown = vcs_scrub_url(copy, arena);
    repo->child_url = git_url_for_child(&repo->url, arena);
    repo->dir = git_mirror_dir(vcs, &repo->url, arena);
    repo->local = parsed.scheme == GIT_FILE ? git_url_local_path(&repo->url, arena).p : NULL;
    repo->queue_end = &repo->queue;
    git_repo_forget_objects(repo);
    map_put(vcs->repos, key, repo);
    return repo;
}

// ---- Operations ----

// Callbacks never run inside the call that asked: an early error takes the way of the loop too.
struct early_error {
    struct git_vcs *vcs;
    void (*resolved)(void *ctx, struct str sha, const struct err *error);
    void (*checked)(void *ctx, const struct err *error);
    void *ctx;
    struct err err;
};

static void give_early_error(void *ctx) {
    struct early_error *early = ctx;
    if (git_vcs_end(early->vcs)) {
        if (early->resolved) {
            early->resolved(early->ctx, (struct str){0}, &early->err);
        } else {
            early->checked(early->ctx, &early->err);
        }
    }
    free(early);
}

static void post_early_error(struct early_error early) {
    struct early_error *copy = NEW(struct early_error);
    *copy = early;
    git_vcs_begin(early.vcs);
    loop_post(early.vcs->loop, give_early_error, copy);
}

void git_request_destroy(struct git_request *request) {
    git_access_destroy(request->access);
    free(request);
}

static void resolve(struct vcs *self, struct str url, const struct vcs_access *access,
                    struct str revision, int64_t max_age_ns,
                    void (*done)(void *ctx, struct str sha, const struct err *error), void *ctx) {
    struct git_vcs *vcs = of(self);
    struct early_error early = {.vcs = vcs, .resolved = done, .ctx = ctx};
    revision = str_trim(revision);
    struct git_repo *repo =
        vcs_check_revision(revision, &early.err) ? find_repo(vcs, url, &early.err) : NULL;
    if (!repo) {
        post_early_error(early);
        return;
    }
    struct git_url with_user; // this URL may carry credentials that the first one did not
    bool ok = git_url_parse(url, &with_user, NULL);
    CHECK(ok);
    struct git_request *request = NEW(struct git_request);
    request->access = git_access_copy(access, &with_user);
    request->revision = arena_dup(request->access->arena, revision);
    request->max_age_ns = max_age_ns;
    request->seq = ++vcs->seq;
    request->done = done;
    request->ctx = ctx;
    *repo->queue_end = request;
    repo->queue_end = &request->next;
    git_repo_kick(repo);
}

static struct file_tree *open_tree(struct vcs *self, struct str url, struct str sha,
                                   struct err *err) {
    AUTO(arena_destroy) struct arena *scratch = arena_create();
    struct git_vcs *vcs = of(self);
    struct git_url parsed;
    return git_url_parse(url, &parsed, err)
               ? git2_open_tree(vcs->git2, git_mirror_dir(vcs, &parsed, scratch), sha, err)
               : NULL;
}

static bool read_commit(struct vcs *self, struct str url, struct str sha, struct arena *arena,
                        struct vcs_commit *out, struct err *err) {
    AUTO(arena_destroy) struct arena *scratch = arena_create();
    struct git_vcs *vcs = of(self);
    struct git_url parsed;
    return git_url_parse(url, &parsed, err) &&
           git2_read_commit(vcs->git2, git_mirror_dir(vcs, &parsed, scratch), sha, arena, out, err);
}

static void invalidate(struct vcs *self, struct str url) {
    struct git_vcs *vcs = of(self);
    struct git_repo *repo = find_repo(vcs, url, NULL);
    if (repo) {
        repo->dirty_seq = ++vcs->seq;
    }
}

// ---- Check ----

struct git_check {
    struct git_vcs *vcs;
    struct git_repo *repo;
    struct git_access *access;
    int64_t started;
    struct err err; // of the local job
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
};

static void check_end(struct git_check *check, const struct err *error) {
    git_count_request(check->repo, "ls-remote", check->started);
    if (git_vcs_end(check->vcs)) {
        check->done(check->ctx, error);
    }
    git_access_destroy(check->access);
    free(check);
}

static void on_check_listed(void *ctx, struct str out, const struct err *error) {
    check_end(ctx, error);
}

static void check_work(void *ctx) {
    struct git_check *check = ctx;
    AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
    if (git2_list_refs(check->vcs->git2, check->repo->local, refs, &check->err)) {
        check->err = (struct err){0};
    }
}

static void on_check_worked(void *ctx) {
    struct git_check *check = ctx;
    struct err err = check->err;
    check_end(check, err.code ? &err : NULL);
}

static void check(struct vcs *self, struct str url, const struct vcs_access *access,
                  void (*done)(void *ctx, const struct err *error), void *ctx) {
    struct git_vcs *vcs = of(self);
    struct early_error early = {.vcs = vcs, .checked = done, .ctx = ctx};
    struct git_repo *repo = find_repo(vcs, url, &early.err);
    if (!repo) {
        post_early_error(early);
        return;
    }
    struct git_url with_user;
    bool ok = git_url_parse(url, &with_user, NULL);
    CHECK(ok);
    struct git_check *run = NEW(struct git_check);
    *run = (struct git_check){.vcs = vcs,
                              .repo = repo,
                              .access = git_access_copy(access, &with_user),
                              .started = loop_now(vcs->loop),
                              .done = done,
                              .ctx = ctx};
    git_vcs_begin(vcs);
    if (repo->local) {
        loop_work(vcs->loop, 0, check_work, on_check_worked, run);
        return;
    }
    const char *args[] = {"ls-remote", "--quiet", "--", repo->child_url.p, "HEAD", NULL};
    if (git_child_start(&vcs->context, &repo->url, run->access, NULL, args, on_check_listed, run,
                        &early.err) == 0) {
        git_vcs_end(vcs); // not closing: we were called
        git_access_destroy(run->access);
        free(run);
        post_early_error(early);
    }
}

static void watch(struct vcs *self, struct str url, void (*fn)(void *ctx, struct str url),
                  void *ctx) {
    struct git_repo *repo = find_repo(of(self), url, NULL);
    if (repo && repo->local) {
        git_watch_add(repo, url, fn, ctx);
    }
}

static void unwatch(struct vcs *self, void *ctx) {
    void *repo;
    for (size_t i = 0; map_next(of(self)->repos, &i, NULL, &repo);) {
        struct git_watch *added = ((struct git_repo *)repo)->watch;
        if (added) {
            git_watch_remove(added, ctx);
        }
    }
}

static const struct vcs_ops ops = {
    .resolve = resolve,
    .open_tree = open_tree,
    .read_commit = read_commit,
    .invalidate = invalidate,
    .check = check,
    .watch = watch,
    .unwatch = unwatch,
    .destroy = destroy,
};

// ---- Creation ----

void git_count_request(struct git_repo *repo, const char *type, int64_t started) {
    struct git_vcs *vcs = repo->vcs;
    if (vcs->requests && !vcs->closing) { // the registry may be gone by then
        const struct str labels[] = {repo->shown, str_from(type)};
        double seconds = (double)(loop_now(vcs->loop) - started) / (double)NS_PER_SECOND;
        metric_add(vcs->requests, labels, 1);
        metric_observe(vcs->durations, labels, seconds);
    }
}

static void register_metrics(struct git_vcs *vcs, struct metrics *metrics) {
    static const char *const by_type[] = {"repo", "request_type", NULL};
    static const char *const by_revision[] = {"repo", "revision", NULL};
    static const double buckets[] = {0.1, 0.25, 0.5, 1, 2, 4, 10, 20, 0};
    vcs->requests =
        metrics_register(metrics, METRIC_COUNTER, "argocd_git_request_total",
                         "Number of git requests performed by repo server", by_type, NULL);
    vcs->durations =
        metrics_register(metrics, METRIC_HISTOGRAM, "argocd_git_request_duration_seconds",
                         "Git requests duration seconds.", by_type, buckets);
    vcs->fetch_fails =
        metrics_register(metrics, METRIC_COUNTER, "argocd_git_fetch_fail_total",
                         "Number of git fetch requests failures by repo server", by_revision, NULL);
    vcs->list_fails = metrics_register(metrics, METRIC_COUNTER, "argocd_git_lsremote_fail_total",
                                       "Number of git ls-remote requests failures by repo server",
                                       by_revision, NULL);
}

// Removes what processes of ours that are gone left in `parent`: "<prefix>...-<process id>".
static void remove_leftovers(const char *parent, struct str prefix) {
    DIR *dir = opendir(parent);
    if (!dir) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct str name = str_from(entry->d_name);
        int64_t pid;
        char path[NAME_MAX + 32];
        if (str_starts(name, prefix) &&
            str_to_int64(str_skip(name, str_rfind_char(name, '-') + 1), &pid) && pid > 1 &&
            pid < INT32_MAX && kill((pid_t)pid, 0) != 0 && errno == ESRCH &&
            snprintf(path, sizeof path, "%.30s/%s", parent, entry->d_name) < (int)sizeof path) {
            folder_remove(path);
        }
    }
    closedir(dir);
}

// Credentials lie in files only while a child runs; in memory where the system offers that. What a killed process left
// there goes at the next start.
static bool make_secrets_folder(struct git_vcs *vcs, struct err *err) {
    struct str id = str_first(sha256_hex(vcs->arena, str_from(vcs->root)), 16);
    struct str prefix =
        arena_printf(vcs->arena, "skiff-git-%u-%.*s-", (unsigned)geteuid(), STR_ARG(id));
    remove_leftovers("/dev/shm", str_first(prefix, prefix.n - id.n - 1)); // whatever their folder
    const char *path =
        arena_printf(vcs->arena, "/dev/shm/%.*s%ld", STR_ARG(prefix), (long)getpid()).p;
    if (!folder_make_private(path, NULL)) {
        path = arena_printf(vcs->arena, "%s/secrets-%ld", vcs->root, (long)getpid()).p;
        if (!folder_make_private(path, err)) {
            return false;
        }
    }
    vcs->context.secrets = path;
    return true;
}

struct sweep {
    struct git_vcs *vcs;
};

static void sweep_work(void *ctx) {
    struct sweep *sweep = ctx;
    mirror_sweep(sweep->vcs->root);
}

static void on_swept(void *ctx) {
    struct sweep *sweep = ctx;
    git_vcs_end(sweep->vcs);
    free(sweep);
}

// Children of git run in folders of their own, where a relative path means something else.
static const char *absolute(struct arena *arena, const char *dir) {
    char here[PATH_MAX];
    bool known = dir[0] != '/' && getcwd(here, sizeof here);
    return known ? arena_printf(arena, "%s/%s", here, dir).p : arena_cstr(arena, str_from(dir));
}

struct vcs *vcs_create(const struct vcs_options *options, struct err *err) {
    struct git_vcs *vcs = NEW(struct git_vcs);
    vcs->vcs.ops = &ops;
    vcs->loop = options->loop;
    vcs->forbid_local = options->forbid_local;
    vcs->arena = arena_create();
    vcs->repos = map_create();
    vcs->git2 = git2_create();
    vcs->root = absolute(vcs->arena, options->dir);
    vcs->context.loop = options->loop;
    vcs->context.self = options->self ? arena_cstr(vcs->arena, str_from(options->self)) : NULL;
    vcs->context.root = vcs->root;
    vcs->context.home = arena_printf(vcs->arena, "%s/home", vcs->root).p;
    vcs->context.secrets = vcs->context.home;
    bool ok = (mkdir(vcs->root, 0700) == 0 || errno == EEXIST) ||
              err_errno(err, errno, "cannot make the folder for Git mirrors, %s", vcs->root);
    ok = ok && folder_make_private(vcs->context.home, err) && make_secrets_folder(vcs, err);
    if (!ok) {
        vcs_free(vcs);
        return NULL;
    }
    if (options->metrics) {
        register_metrics(vcs, options->metrics);
    }
    struct sweep *sweep = NEW(struct sweep);
    sweep->vcs = vcs;
    git_vcs_begin(vcs);
    loop_work(vcs->loop, 0, sweep_work, on_swept, sweep);
    return &vcs->vcs;
}
