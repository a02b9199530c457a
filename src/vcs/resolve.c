// SPDX-License-Identifier: Apache-2.0
// From a revision to a commit that lies in the mirror.
//
// Each repository works in cycles, one at a time: take the waiting requests (of the same credentials), list the refs once
// for all that need a fresh list, choose, look what the mirror has, fetch what it lacks, answer. What arrives meanwhile
// waits for the next cycle, whose first act is to answer from what is known by then. So a thousand applications of one
// repository cost one listing and one fetch.
//
// A fetch asks for commits by SHA and without history (depth 1). Servers that refuse either get a full fetch of branches
// and tags, as do short SHAs, which only a complete history can find.
#include "vcs/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"

enum {
    KNOWN_MAX = 10 * 1000,
    FETCH_AT_ONCE = 40,
    ERROR_KEPT_MS = 5000, // how long a failed listing answers requests that accept an old answer
    ABSENT_KEPT_MS = 5 * 60 * 1000,
    GC_PAUSE_MS = 1000,
    GC_PAUSE_FACTOR = 20, // repacking takes at most a twentieth of the time
};

enum item_state { ITEM_OPEN, ITEM_FOUND, ITEM_MISSING, ITEM_FAILED };

struct git_item {
    struct git_request *request;
    enum item_state state;
    bool needs_refs;
    bool tried;                   // to fetch it by its SHA
    char wanted[GIT_SHA_LEN + 1]; // empty: only the whole history can tell (short SHA)
    char commit[GIT_SHA_LEN + 1];
    struct err err;
};

struct git_cycle {
    struct git_repo *repo;
    struct git_vcs *vcs;
    struct arena *arena;
    struct git_item *items;
    size_t count;
    struct git_access *access; // borrowed from the first request
    // For the worker
    bool list_local;
    bool has_listing;
    struct str listing; // what ls-remote printed
    struct git_refs *refs;
    struct err list_error;
    struct err mirror_error;
    bool remake, made;
    bool copied;
    bool needs_gc;
    // For the loop
    bool lists;
    uint64_t list_seq;
    int64_t list_time, fetch_time;
    bool full; // the full fetch was tried
};

static void start_fetch(struct git_cycle *cycle, bool full);
static void finish(struct git_cycle *cycle);

// ---- The worker's part ----

static void look_up(struct git_cycle *cycle, struct git_item *item, struct str sha) {
    struct err err = {0};
    if (git2_find_commit(cycle->vcs->git2, cycle->repo->dir, sha, item->commit, &err)) {
        item->state = ITEM_FOUND;
    } else if (err.code == ERR_INVALID) {
        item->state = ITEM_FAILED;
        item->err = err;
        err_wrap(&item->err, "unable to resolve '%.*s' to a commit SHA",
                 STR_ARG(item->request->revision));
    } else {
        item->state = ITEM_MISSING;
    }
}

static void choose(struct git_cycle *cycle, struct git_item *item) {
    struct str revision = item->request->revision;
    if (git_is_sha(revision)) {
        for (size_t i = 0; i < GIT_SHA_LEN; i++) {
            char c = revision.p[i];
            item->wanted[i] = (char)(c >= 'A' && c <= 'F' ? c + 32 : c);
        }
        return;
    }
    if (cycle->list_error.code) {
        item->state = ITEM_FAILED;
        item->err = cycle->list_error;
        return;
    }
    const struct git_ref *ref = cycle->refs ? git_refs_select(cycle->refs, revision) : NULL;
    if (ref) {
        memcpy(item->wanted, ref->sha, sizeof item->wanted);
    } else if (git_is_short_sha(revision)) {
        look_up(cycle, item, revision);
    } else {
        item->state = ITEM_FAILED;
        err_set(&item->err, ERR_NOT_FOUND,
                "unable to resolve '%.*s' to a commit SHA (no branch, tag or commit of that name)",
                STR_ARG(revision.n ? revision : STR("HEAD")));
    }
}

// Looks all open and missing items up; equal wishes once.
static void look_up_all(struct git_cycle *cycle) {
    struct map *seen = map_create();
    for (size_t i = 0; i < cycle->count; i++) {
        struct git_item *item = &cycle->items[i];
        struct str sha = str_from(item->wanted);
        if (item->state != ITEM_OPEN && item->state != ITEM_MISSING) {
            continue;
        }
        if (sha.n == 0) {
            look_up(cycle, item, item->request->revision);
            continue;
        }
        struct git_item *same = map_find(seen, sha);
        if (same) {
            item->state = same->state;
            item->err = same->err;
            memcpy(item->commit, same->commit, sizeof item->commit);
        } else {
            look_up(cycle, item, sha);
            map_put(seen, sha, item);
        }
    }
    map_destroy(seen);
}

// A push to a local repository changes few objects; copying them here takes a millisecond where a fetch takes twenty.
static void copy_missing(struct git_cycle *cycle) {
    struct git_item *last = NULL;
    for (size_t i = 0; i < cycle->count; i++) {
        struct git_item *item = &cycle->items[i];
        if (item->state != ITEM_MISSING || item->wanted[0] == '\0') {
            continue;
        }
        if (last && strcmp(last->wanted, item->wanted) == 0) { // a thousand with one wish
            item->state = last->state;
            memcpy(item->commit, last->commit, sizeof item->commit);
            continue;
        }
        if (git2_copy_commit(cycle->vcs->git2, cycle->repo->local, cycle->repo->dir, item->wanted,
                             item->commit)) {
            item->state = ITEM_FOUND;
            cycle->copied = true;
        }
        last = item;
    }
    if (cycle->copied) {
        mirror_prune_refs(cycle->repo->dir);
        cycle->needs_gc = mirror_needs_gc(cycle->repo->dir);
    }
}

static void list_refs(struct git_cycle *cycle) {
    if (!cycle->list_local && !cycle->has_listing) {
        return;
    }
    struct git_refs *refs = git_refs_create();
    struct err err = {0};
    bool ok = cycle->list_local ? git2_list_refs(cycle->vcs->git2, cycle->repo->local, refs, &err)
                                : git_refs_parse(cycle->listing, refs, &err);
    if (ok) {
        cycle->refs = refs;
    } else {
        git_refs_destroy(refs);
        cycle->list_error = err;
        if (err.code == ERR_NOT_FOUND) {
            err_set(&cycle->list_error, ERR_NOT_FOUND,
                    "repository not found: %.*s is no Git repository (check repoURL)",
                    STR_ARG(cycle->repo->shown));
        }
    }
}

static void choose_work(void *ctx) {
    struct git_cycle *cycle = ctx;
    const char *dir = cycle->repo->dir;
    if (cycle->remake) {
        mirror_remove(dir);
    }
    if (!mirror_ensure(dir, cycle->repo->shown, &cycle->made, &cycle->mirror_error)) {
        return;
    }
    if (cycle->made) {
        git2_forget(cycle->vcs->git2, dir);
    }
    list_refs(cycle);
    for (size_t i = 0; i < cycle->count; i++) {
        choose(cycle, &cycle->items[i]);
    }
    look_up_all(cycle);
    if (cycle->repo->local && !cycle->made) {
        copy_missing(cycle);
    }
}

static void verify_work(void *ctx) {
    struct git_cycle *cycle = ctx;
    look_up_all(cycle);
    mirror_prune_refs(cycle->repo->dir);
    cycle->needs_gc = mirror_needs_gc(cycle->repo->dir);
}

// ---- The loop's part ----

static struct git_item *first_missing(struct git_cycle *cycle) {
    for (size_t i = 0; i < cycle->count; i++) {
        if (cycle->items[i].state == ITEM_MISSING) {
            return &cycle->items[i];
        }
    }
    return NULL;
}

static void fail_missing(struct git_cycle *cycle, const struct err *error) {
    for (size_t i = 0; i < cycle->count; i++) {
        struct git_item *item = &cycle->items[i];
        if (item->state != ITEM_MISSING) {
            continue;
        }
        item->state = ITEM_FAILED;
        if (error) {
            item->err = *error;
        } else {
            err_set(&item->err, ERR_NOT_FOUND,
                    "unable to resolve '%.*s' to a commit SHA (no such commit in the repository)",
                    STR_ARG(item->request->revision));
        }
    }
}

static void keep_refs(struct git_cycle *cycle) {
    struct git_repo *repo = cycle->repo;
    git_access_destroy(repo->list_error_access);
    repo->list_error_access = NULL;
    if (cycle->list_error.code) {
        repo->list_error = cycle->list_error;
        repo->list_error_time = loop_now(cycle->vcs->loop);
        repo->list_error_seq = cycle->list_seq;
        repo->list_error_access = git_access_copy(&cycle->access->access, &repo->url);
        return;
    }
    git_refs_destroy(repo->refs);
    git_access_destroy(repo->refs_access);
    repo->refs = TAKE(cycle->refs);
    repo->refs_access = git_access_copy(&cycle->access->access, &repo->url);
    repo->refs_seq = cycle->list_seq;
    repo->refs_time = cycle->list_time;
}

static void cycle_free(struct git_cycle *cycle) {
    for (size_t i = 0; i < cycle->count; i++) {
        if (cycle->items[i].request) {
            git_request_destroy(cycle->items[i].request);
        }
    }
    git_refs_destroy(cycle->refs);
    cycle->repo->cycle = NULL;
    arena_destroy(cycle->arena);
}

// While a cycle lives it counts as in flight once; each of its callbacks starts with this.
static bool is_aborted(struct git_cycle *cycle) {
    struct git_vcs *vcs = cycle->vcs;
    if (!vcs->closing) {
        return false;
    }
    cycle_free(cycle);
    git_vcs_end(vcs);
    return true;
}

static void on_chosen(void *ctx) {
    struct git_cycle *cycle = ctx;
    struct git_repo *repo = cycle->repo;
    if (cycle->made || cycle->remake) {
        git_repo_forget_objects(repo);
    }
    if (cycle->lists) {
        keep_refs(cycle);
        if (cycle->list_local) {
            git_count_request(repo, "ls-remote", cycle->list_time);
        }
        if (cycle->copied) {
            git_count_request(repo, "fetch", cycle->list_time);
        }
    } else {
        repo->refs = TAKE(cycle->refs); // was lent to the worker
    }
    if (is_aborted(cycle)) {
        return;
    }
    for (size_t i = 0; cycle->mirror_error.code && i < cycle->count; i++) {
        cycle->items[i].state = ITEM_FAILED;
        cycle->items[i].err = cycle->mirror_error;
    }
    struct git_item *missing = first_missing(cycle);
    if (missing) {
        start_fetch(cycle, missing->wanted[0] == '\0');
    } else {
        finish(cycle);
    }
}

static void start_work(struct git_cycle *cycle) {
    if (!cycle->lists) {
        cycle->refs = TAKE(cycle->repo->refs);
    }
    loop_work(cycle->vcs->loop, 0, choose_work, on_chosen, cycle);
}

static void on_listed(void *ctx, struct str out, const struct err *error) {
    struct git_cycle *cycle = ctx;
    cycle->repo->child = 0;
    git_count_request(cycle->repo, "ls-remote", cycle->list_time);
    if (is_aborted(cycle)) {
        return;
    }
    if (error) {
        cycle->list_error = *error;
        if (cycle->vcs->list_fails) {
            struct str labels[] = {cycle->repo->shown, cycle->items[0].request->revision};
            metric_add(cycle->vcs->list_fails, labels, 1);
        }
    } else {
        cycle->has_listing = true;
        cycle->listing = arena_dup(cycle->arena, out);
    }
    start_work(cycle);
}

static void on_verified(void *ctx) {
    struct git_cycle *cycle = ctx;
    if (is_aborted(cycle)) {
        return;
    }
    struct git_item *missing = first_missing(cycle);
    if (!missing) {
        finish(cycle);
        return;
    }
    // More than fit into one fetch, or what a fetch by SHA did not bring.
    start_fetch(cycle, missing->tried || missing->wanted[0] == '\0');
}

static void on_fetched(void *ctx, struct str out, const struct err *error) {
    struct git_cycle *cycle = ctx;
    cycle->repo->child = 0;
    struct git_repo *repo = cycle->repo;
    git_count_request(repo, "fetch", cycle->fetch_time);
    if (is_aborted(cycle)) {
        return;
    }
    if (error) {
        bool refused = error->code == ERR_NOT_FOUND || error->code == ERR_UNSUPPORTED;
        if (refused && !cycle->full) {
            start_fetch(cycle, true);
            return;
        }
        if (cycle->vcs->fetch_fails) {
            struct str labels[] = {repo->shown, first_missing(cycle)->request->revision};
            metric_add(cycle->vcs->fetch_fails, labels, 1);
        }
        fail_missing(cycle, error);
    }
    loop_work(cycle->vcs->loop, 0, verify_work, on_verified, cycle);
}

// The refspecs of up to FETCH_AT_ONCE different commits.
static size_t add_wanted(struct git_cycle *cycle, const char **args, size_t n) {
    const char *seen[FETCH_AT_ONCE];
    size_t count = 0;
    for (size_t i = 0; i < cycle->count && count < FETCH_AT_ONCE; i++) {
        struct git_item *item = &cycle->items[i];
        bool skip = item->state != ITEM_MISSING || item->tried || item->wanted[0] == '\0';
        for (size_t j = 0; !skip && j < count; j++) {
            skip = strcmp(seen[j], item->wanted) == 0;
        }
        if (!skip) {
            item->tried = true;
            seen[count++] = item->wanted;
            args[n++] =
                arena_printf(cycle->arena, "+%s:refs/skiff/%s", item->wanted, item->wanted).p;
        }
    }
    return n;
}

static void start_fetch(struct git_cycle *cycle, bool full) {
    struct git_repo *repo = cycle->repo;
    if (cycle->full) { // nothing more to try
        fail_missing(cycle, NULL);
        finish(cycle);
        return;
    }
    const char *args[FETCH_AT_ONCE + 20];
    size_t n = 0;
    bool shallow = mirror_is_shallow(repo->dir);
    int64_t depth = cycle->access->access.depth;
    args[n++] = "fetch";
    args[n++] = "--quiet";
    args[n++] = "--force";
    args[n++] = "--no-tags";
    args[n++] = "--no-write-fetch-head";
    args[n++] = "--no-recurse-submodules";
    args[n++] = "--no-auto-maintenance";
    if (full && shallow) {
        args[n++] = "--unshallow";
    } else if (!full) {
        depth = depth > 0 && depth < INT32_MAX ? depth : 1;
        args[n++] = arena_printf(cycle->arena, "--depth=%d", (int)depth).p;
    }
    args[n++] = "--";
    args[n++] = repo->child_url.p;
    if (full) {
        args[n++] = "+refs/heads/*:refs/skiff-full/heads/*";
        args[n++] = "+refs/tags/*:refs/skiff-full/tags/*";
    } else {
        n = add_wanted(cycle, args, n);
    }
    args[n] = NULL;
    struct err err = {0};
    cycle->full = full;
    cycle->fetch_time = loop_now(cycle->vcs->loop);
    repo->child = git_child_start(&cycle->vcs->context, &repo->url, cycle->access, repo->dir, args,
                                  on_fetched, cycle, &err);
    if (repo->child == 0) {
        fail_missing(cycle, &err);
        finish(cycle);
    }
}

// ---- The end of a cycle ----

static void remember(struct git_repo *repo, struct git_item *item) {
    struct str wanted = item->wanted[0] ? str_from(item->wanted) : item->request->revision;
    if (item->state == ITEM_FOUND) {
        if (map_len(repo->known) >= KNOWN_MAX) {
            git_repo_forget_objects(repo);
        }
        free(map_put(repo->known, wanted, xstrdup(str_from(item->commit))));
    } else if (git_is_sha(item->request->revision) && item->err.code == ERR_NOT_FOUND) {
        int64_t *when = xmalloc(sizeof *when);
        *when = loop_now(repo->vcs->loop);
        free(map_put(repo->absent, item->request->revision, when));
    }
}

static void on_gc(void *ctx, struct str out, const struct err *error) {
    struct git_cycle *cycle = ctx;
    cycle->repo->child = 0;
    struct git_vcs *vcs = cycle->vcs;
    struct git_repo *repo = cycle->repo;
    if (error) {
        LOG(LOG_WARN, "vcs", "repack failed", "repo", repo->shown.p, "error", error->message);
    }
    int64_t now = loop_now(vcs->loop);
    repo->next_gc = now + GC_PAUSE_MS * NS_PER_MS + (now - cycle->fetch_time) * GC_PAUSE_FACTOR;
    git2_forget(vcs->git2, repo->dir);
    cycle_free(cycle);
    if (git_vcs_end(vcs)) {
        git_repo_kick(repo);
    }
}

// Small fetches leave loose objects and small packs. Nobody waits for this, and the repository is ours alone meanwhile.
static bool start_gc(struct git_cycle *cycle) {
    struct git_repo *repo = cycle->repo;
    int64_t now = loop_now(cycle->vcs->loop);
    if (!cycle->needs_gc || now < repo->next_gc) {
        return false;
    }
    cycle->fetch_time = now;
    static const char *const args[] = {"gc", "--quiet", "--prune=1.hour.ago", NULL};
    return git_child_start(&cycle->vcs->context, &repo->url, cycle->access, repo->dir, args, on_gc,
                           cycle, NULL) != 0;
}

static void finish(struct git_cycle *cycle) {
    struct git_vcs *vcs = cycle->vcs;
    struct git_repo *repo = cycle->repo;
    for (size_t i = 0; i < cycle->count; i++) {
        remember(repo, &cycle->items[i]);
    }
    for (size_t i = 0; i < cycle->count && !vcs->closing; i++) {
        struct git_item *item = &cycle->items[i];
        struct git_request *request = item->request;
        if (item->state == ITEM_FOUND) {
            request->done(request->ctx, str_from(item->commit), NULL);
        } else {
            request->done(request->ctx, (struct str){0}, &item->err);
        }
    }
    if (is_aborted(cycle) || start_gc(cycle)) {
        return;
    }
    cycle_free(cycle);
    if (git_vcs_end(vcs)) {
        git_repo_kick(repo);
    }
}

// ---- Answers from memory, and the start of a cycle ----

static bool refs_are_fresh(const struct git_repo *repo, const struct git_request *request) {
    if (!repo->refs || repo->refs_seq <= repo->dirty_seq ||
        (!repo->local && !git_access_equal(repo->refs_access, request->access))) {
        return false;
    }
    int64_t age = loop_now(repo->vcs->loop) - repo->refs_time;
    return repo->refs_seq > request->seq || (request->max_age_ns > 0 && age < request->max_age_ns);
}

static bool answer_error(const struct git_repo *repo, struct git_request *request) {
    bool recent = repo->list_error_access && repo->list_error_seq > repo->dirty_seq &&
                  request->max_age_ns > 0 &&
                  loop_now(repo->vcs->loop) - repo->list_error_time < ERROR_KEPT_MS * NS_PER_MS &&
                  (repo->local || git_access_equal(repo->list_error_access, request->access));
    if (recent) {
        request->done(request->ctx, (struct str){0}, &repo->list_error);
    }
    return recent;
}

static bool answer_absent(const struct git_repo *repo, struct git_request *request) {
    const int64_t *when = map_find(repo->absent, request->revision);
    bool recent = when && request->max_age_ns > 0 && repo->refs_seq >= repo->dirty_seq &&
                  loop_now(repo->vcs->loop) - *when < ABSENT_KEPT_MS * NS_PER_MS;
    if (recent) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND,
                "unable to resolve '%.*s' to a commit SHA (no such commit in the repository)",
                STR_ARG(request->revision));
        request->done(request->ctx, (struct str){0}, &err);
    }
    return recent;
}

static bool answer_from_memory(const struct git_repo *repo, struct git_request *request) {
    struct str sha = request->revision;
    if (git_is_sha(sha)) {
        if (answer_absent(repo, request)) {
            return true;
        }
    } else if (refs_are_fresh(repo, request)) {
        const struct git_ref *ref = git_refs_select(repo->refs, request->revision);
        sha = ref ? str_from(ref->sha) : request->revision;
    } else {
        return answer_error(repo, request);
    }
    const char *commit = map_find(repo->known, sha);
    if (commit) {
        char copy[GIT_SHA_LEN + 1]; // the callback may make us forget
        memcpy(copy, commit, sizeof copy);
        request->done(request->ctx, str_from(copy), NULL);
    }
    return commit != NULL;
}

// Takes the requests with the first one's credentials off the queue.
static void take_batch(struct git_cycle *cycle) {
    struct git_repo *repo = cycle->repo;
    VEC(struct git_request *) batch = {0};
    cycle->access = repo->queue->access;
    for (struct git_request **at = &repo->queue; *at;) {
        struct git_request *request = *at;
        if (repo->local || git_access_equal(request->access, cycle->access)) {
            *at = request->next;
            VEC_PUSH(&batch, request);
        } else {
            at = &request->next;
        }
    }
    repo->queue_end = &repo->queue;
    while (*repo->queue_end) {
        repo->queue_end = &(*repo->queue_end)->next;
    }
    cycle->count = batch.len;
    cycle->items = ARENA_ARRAY(cycle->arena, batch.len, struct git_item);
    for (size_t i = 0; i < batch.len; i++) {
        cycle->items[i].request = batch.items[i];
        cycle->items[i].needs_refs = !git_is_sha(batch.items[i]->revision);
        cycle->lists =
            cycle->lists || (cycle->items[i].needs_refs && !refs_are_fresh(repo, batch.items[i]));
    }
    VEC_FREE(&batch);
}

static void start_cycle(struct git_repo *repo, bool remake) {
    struct git_vcs *vcs = repo->vcs;
    struct arena *arena = arena_create();
    struct git_cycle *cycle = ARENA_NEW(arena, struct git_cycle);
    cycle->arena = arena;
    cycle->repo = repo;
    cycle->vcs = vcs;
    cycle->remake = remake;
    take_batch(cycle);
    repo->cycle = cycle;
    git_vcs_begin(vcs);
    cycle->list_seq = ++vcs->seq;
    cycle->list_time = loop_now(vcs->loop);
    cycle->list_local = cycle->lists && repo->local;
    if (!cycle->lists || cycle->list_local) {
        start_work(cycle);
        return;
    }
    const char *args[] = {"ls-remote", "--quiet", "--", repo->child_url.p, NULL};
    repo->child = git_child_start(&vcs->context, &repo->url, cycle->access, NULL, args, on_listed,
                                  cycle, &cycle->list_error);
    if (repo->child == 0) {
        start_work(cycle);
    }
}

static void on_kick(void *ctx) {
    struct git_repo *repo = ctx;
    struct git_vcs *vcs = repo->vcs;
    repo->kick_posted = false;
    if (vcs->closing || repo->cycle) {
        git_vcs_end(vcs);
        return;
    }
    char head[4096];
    bool damaged = git2_take_damage(vcs->git2, repo->dir);
    snprintf(head, sizeof head, "%s/HEAD", repo->dir);
    if (damaged || access(head, F_OK) != 0) {
        git_repo_forget_objects(repo);
    }
    // Callbacks may add to the queue, so it is taken off first.
    struct git_request *list = TAKE(repo->queue);
    struct git_request *left = NULL;
    struct git_request **left_end = &left;
    repo->queue_end = &repo->queue;
    while (list) {
        struct git_request *request = list;
        list = request->next;
        request->next = NULL;
        if (!vcs->closing && !damaged && answer_from_memory(repo, request)) {
            git_request_destroy(request);
        } else {
            *left_end = request;
            left_end = &request->next;
        }
    }
    *left_end = repo->queue;
    if (!repo->queue) {
        repo->queue_end = left_end;
    }
    repo->queue = left;
    if (!repo->queue) {
        repo->queue_end = &repo->queue;
    } else if (!vcs->closing) {
        start_cycle(repo, damaged);
    }
    git_vcs_end(vcs);
}

void git_repo_kick(struct git_repo *repo) {
    if (repo->queue && !repo->cycle && !repo->kick_posted) {
        repo->kick_posted = true;
        git_vcs_begin(repo->vcs);
        loop_post(repo->vcs->loop, on_kick, repo);
    }
}
