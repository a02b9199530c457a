// SPDX-License-Identifier: Apache-2.0
// Watching the refs of a local repository. The kernel's events say only that something happened in one of the folders (lock
// files, an index), several of them per push; so they are gathered for a moment, then the refs are listed on a worker, and
// subscribers hear of it when the list differs.
#include "vcs/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/timefmt.h"

enum {
    WATCH_FOLDERS_MAX = 256,
    WATCH_GATHER_MS = 3,
    WATCH_RETRY_MS = 2000, // the repository is not there (yet)
    WATCH_PATH_MAX = 4096,
};

struct subscriber {
    char *url;
    void (*fn)(void *ctx, struct str url);
    void *ctx;
};

struct git_watch {
    struct git_repo *repo;
    struct loop_timer *timer;
    VEC(struct loop_watch *) handles;
    VEC(char *) folders;
    VEC(struct subscriber) subscribers;
    bool listing, again;
    bool has_hash;
    uint64_t hash;
};

// A listing outlives the watch when the vcs is destroyed meanwhile.
struct watch_job {
    struct git_vcs *vcs;
    struct git_repo *repo;
    bool ok;
    uint64_t hash;
};

static void on_event(void *ctx) {
    struct git_watch *watch = ctx;
    if (!loop_timer_is_active(watch->timer)) {
        loop_timer_start(watch->timer, WATCH_GATHER_MS * NS_PER_MS);
    }
}

static void drop_handles(struct git_watch *watch) {
    for (size_t i = 0; i < watch->handles.len; i++) {
        loop_watch_destroy(watch->handles.items[i]);
    }
    for (size_t i = 0; i < watch->folders.len; i++) {
        free(watch->folders.items[i]);
    }
    watch->handles.len = watch->folders.len = 0;
}

struct folder_list {
    char **items;
    size_t len, cap;
};

// The folder and, for refs/heads and refs/tags, what lies below: "feature/x" is a folder and a file.
static void collect(struct folder_list *out, const char *path, int depth) {
    struct stat st;
    if (out->len == WATCH_FOLDERS_MAX || lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return;
    }
    VEC_PUSH(out, xstrdup(str_from(path)));
    DIR *dir = depth > 0 ? opendir(path) : NULL;
    if (!dir) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        char below[WATCH_PATH_MAX];
        int n = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && n < (int)sizeof below && entry->d_type != DT_REG) {
            collect(out, below, depth - 1);
        }
    }
    closedir(dir);
}

static void collect_all(const char *repository, struct folder_list *out) {
    char git_dir[WATCH_PATH_MAX];
    char path[WATCH_PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/.git", repository);
    bool work_tree = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (snprintf(git_dir, sizeof git_dir, "%s%s", repository, work_tree ? "/.git" : "") >=
        (int)sizeof git_dir - 16) {
        return;
    }
    collect(out, git_dir, 0);
    snprintf(path, sizeof path, "%.4080s/refs", git_dir);
    collect(out, path, 8);
}

// Follows folders that came and went. False when there is nothing to watch.
static bool update_handles(struct git_watch *watch) {
    struct folder_list folders = {0};
    collect_all(watch->repo->local, &folders);
    bool same = folders.len == watch->folders.len;
    for (size_t i = 0; same && i < folders.len; i++) {
        same = strcmp(folders.items[i], watch->folders.items[i]) == 0;
    }
    if (same) {
        for (size_t i = 0; i < folders.len; i++) {
            free(folders.items[i]);
        }
    } else {
        drop_handles(watch);
        for (size_t i = 0; i < folders.len; i++) {
            struct loop_watch *handle =
                loop_watch_create(watch->repo->vcs->loop, folders.items[i], on_event, watch, NULL);
            if (handle) {
                VEC_PUSH(&watch->handles, handle);
            }
            VEC_PUSH(&watch->folders, folders.items[i]);
        }
    }
    VEC_FREE(&folders);
    return watch->handles.len > 0;
}

static void list_work(void *ctx) {
    struct watch_job *job = ctx;
    AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
    job->ok = git2_list_refs(job->vcs->git2, job->repo->local, refs, NULL);
    job->hash = job->ok ? git_refs_hash(refs) : 0;
}

static void start_listing(struct git_watch *watch);

static void tell(struct git_watch *watch) {
    struct git_vcs *vcs = watch->repo->vcs;
    watch->repo->dirty_seq = ++vcs->seq;
    // A callback may subscribe others or destroy the vcs, which frees the watch.
    size_t count = watch->subscribers.len;
    for (size_t i = 0; i < count && !vcs->closing; i++) {
        struct subscriber subscriber = watch->subscribers.items[i];
        subscriber.fn(subscriber.ctx, str_from(subscriber.url));
    }
}

static void on_listed(void *ctx) {
    struct watch_job *job = ctx;
    struct git_vcs *vcs = job->vcs;
    struct git_watch *watch = vcs->closing ? NULL : job->repo->watch;
    if (watch) {
        watch->listing = false;
        struct git_refs *refs = watch->repo->refs;
        bool changed = (watch->has_hash && watch->hash != job->hash) ||
                       (refs && job->ok && git_refs_hash(refs) != job->hash);
        watch->has_hash = true;
        watch->hash = job->hash;
        if (watch->again) {
            watch->again = false;
            start_listing(watch);
        }
        if (changed) {
            tell(watch);
        }
    }
    free(job);
    git_vcs_end(vcs);
}

static void start_listing(struct git_watch *watch) {
    if (watch->listing) {
        watch->again = true;
        return;
    }
    watch->listing = true;
    struct watch_job *job = NEW(struct watch_job);
    *job = (struct watch_job){.vcs = watch->repo->vcs, .repo = watch->repo};
    git_vcs_begin(job->vcs);
    loop_work(job->vcs->loop, 0, list_work, on_listed, job);
}

static void on_timer(void *ctx) {
    struct git_watch *watch = ctx;
    if (!update_handles(watch)) {
        loop_timer_start(watch->timer, WATCH_RETRY_MS * NS_PER_MS);
    }
    start_listing(watch);
}

void git_watch_add(struct git_repo *repo, struct str url, void (*fn)(void *ctx, struct str url),
                   void *ctx) {
    struct git_watch *watch = repo->watch;
    if (!watch) {
        watch = repo->watch = NEW(struct git_watch);
        watch->repo = repo;
        watch->timer = loop_timer_create(repo->vcs->loop, on_timer, watch);
        loop_timer_start(watch->timer, 0);
    }
    for (size_t i = 0; i < watch->subscribers.len; i++) {
        const struct subscriber *other = &watch->subscribers.items[i];
        if (other->fn == fn && other->ctx == ctx && str_eq_c(url, other->url)) {
            return;
        }
    }
    struct subscriber subscriber = {xstrdup(url), fn, ctx};
    VEC_PUSH(&watch->subscribers, subscriber);
}

void git_watch_remove(struct git_watch *watch, void *ctx) {
    for (size_t i = watch->subscribers.len; i-- > 0;) {
        if (watch->subscribers.items[i].ctx == ctx) {
            free(watch->subscribers.items[i].url);
            VEC_REMOVE_SWAP(&watch->subscribers, i);
        }
    }
}

void git_watch_destroy(struct git_watch *watch) {
    if (!watch) {
        return;
    }
    loop_timer_destroy(watch->timer);
    drop_handles(watch);
    VEC_FREE(&watch->handles);
    VEC_FREE(&watch->folders);
    for (size_t i = 0; i < watch->subscribers.len; i++) {
        free(watch->subscribers.items[i].url);
    }
    VEC_FREE(&watch->subscribers);
    free(watch);
}
