// SPDX-License-Identifier: Apache-2.0
// What the files of vcs/ share.
#ifndef SKIFF_VCS_INTERNAL_H
#define SKIFF_VCS_INTERNAL_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "vcs/vcs.h"

enum { GIT_SHA_LEN = 40, GIT_SHORT_SHA_MIN = 7 };

// ---- url.c ----
enum git_scheme { GIT_HTTPS, GIT_HTTP, GIT_SSH, GIT_FILE };
struct git_url {
    enum git_scheme scheme;
    bool scp;                  // "user@host:path"
    bool plain;                // a path without file://, in which '%' is no escape
    struct str user, password; // percent-encoded as written
    struct str host, port;     // host with its brackets
    struct str path;           // from the slash on; as written behind the colon for scp
};
bool git_url_parse(struct str url, struct git_url *out, struct err *err) MUST_USE;
const char *git_scheme_name(enum git_scheme scheme);
// What the git child gets: without password, and for http(s) without user.
struct str git_url_for_child(const struct git_url *url, struct arena *arena);
// "https://host:port", which configuration and the askpass helper are bound to.
struct str git_url_origin(const struct git_url *url, struct arena *arena);
// The identity of a mirror. Case counts, unlike in vcs_normalize_url: two repositories must never share one.
struct str git_url_mirror_key(const struct git_url *url, struct arena *arena);
struct str git_url_decode(struct str percent, struct arena *arena);
struct str git_url_local_path(const struct git_url *url, struct arena *arena);

// ---- refs.c ----
struct git_ref {
    struct str name;
    char sha[GIT_SHA_LEN + 1];
};
// All refs of a repository at one moment, tags peeled where the listing says so.
struct git_refs {
    struct arena *arena;
    VEC(struct git_ref) refs; // HEAD first where there is one, then in byte order
};
struct git_refs *git_refs_create(void);
void git_refs_destroy(struct git_refs *refs);
AUTO_DEFINE(struct git_refs, git_refs_destroy)
void git_refs_add(struct git_refs *refs, struct str name, const char *sha);
void git_refs_sort(struct git_refs *refs);
// The output of ls-remote. Lines that are no refs are an error.
bool git_refs_parse(struct str listing, struct git_refs *out, struct err *err) MUST_USE;
// The ref a revision names (branch before tag, as Argo CD), the highest tag of a semver range, or NULL.
const struct git_ref *git_refs_select(const struct git_refs *refs, struct str revision);
uint64_t git_refs_hash(const struct git_refs *refs);
bool git_is_sha(struct str s);       // 40 hexadecimal digits
bool git_is_short_sha(struct str s); // 7 to 39 of them

// ---- git2.c: the only user of libgit2; every function may run on any thread ----
struct git2;
struct git2 *git2_create(void);
struct git2 *git2_ref(struct git2 *git2);
void git2_unref(struct git2 *git2);
// Forgets idle handles of this mirror, because it was made anew.
void git2_forget(struct git2 *git2, const char *mirror);
// Returns whether reads met a damaged or vanished mirror since the last call.
bool git2_take_damage(struct git2 *git2, const char *mirror);
// The refs of a local repository (bare or with a work tree), tags not peeled.
bool git2_list_refs(struct git2 *git2, const char *path, struct git_refs *out, struct err *err);
// The commit that the object is or points to. `sha` may be short. ERR_NOT_FOUND when absent (or the mirror is),
// ERR_INVALID when ambiguous or no commit.
bool git2_find_commit(struct git2 *git2, const char *repository, struct str sha,
                      char out[GIT_SHA_LEN + 1], struct err *err);
// Copies a commit without its history from a local repository, when that is a small change to what the mirror has; false when
// it is not, or when anything is unusual: then a fetch does it.
bool git2_copy_commit(struct git2 *git2, const char *source, const char *mirror, const char *sha,
                      char out[GIT_SHA_LEN + 1]);
struct file_tree *git2_open_tree(struct git2 *git2, const char *mirror, struct str sha,
                                 struct err *err);
bool git2_read_commit(struct git2 *git2, const char *mirror, struct str sha, struct arena *arena,
                      struct vcs_commit *out, struct err *err);

// ---- child.c: one run of the git program ----
struct git_access { // an owned copy of struct vcs_access
    struct arena *arena;
    struct vcs_access access;
    unsigned char digest[32];
};
struct git_access *git_access_copy(const struct vcs_access *access, const struct git_url *url);
void git_access_destroy(struct git_access *access);
bool git_access_equal(const struct git_access *a, const struct git_access *b);

struct git_child_context {
    struct loop *loop;
    const char *self;
    const char *root;    // of the mirrors
    const char *home;    // an empty folder of our own
    const char *secrets; // a private folder for credentials, in memory where possible
};
// Starts `git ARGS`; `git_dir` may be NULL. `done` gets the output, or an error that is classified and free of secrets.
// Returns the id for loop_kill, or 0 with err.
struct git_child;
typedef void git_child_fn(void *ctx, struct str out, const struct err *error);
uint64_t git_child_start(const struct git_child_context *context, const struct git_url *url,
                         const struct git_access *access, const char *git_dir,
                         const char *const *args, git_child_fn *done, void *ctx, struct err *err);
// Turns what git wrote to standard error into an error code, one line and advice. Secrets are replaced.
void git_classify_error(struct str errout, int status, const struct git_url *url,
                        const struct git_access *access, struct err *err);

// ---- state of one struct vcs: vcs.c, resolve.c and watch.c ----
struct git_vcs;
struct git_cycle;
struct git_watch;

struct git_request {
    struct git_request *next;
    struct str revision; // in access->arena
    struct git_access *access;
    int64_t max_age_ns;
    uint64_t seq;
    void (*done)(void *ctx, struct str sha, const struct err *error);
    void *ctx;
};

struct git_repo {
    struct git_vcs *vcs;
    struct arena *arena;
    struct git_url url;
    struct str shown; // scrubbed, for errors and metrics
    struct str child_url;
    const char *dir;   // of the mirror
    const char *local; // path of a local repository, else NULL
    struct git_request *queue, **queue_end;
    bool kick_posted;
    struct git_cycle *cycle; // not NULL: busy
    uint64_t child;          // of the cycle, 0: none
    // The latest listing and when it began, by number and by clock.
    struct git_refs *refs;
    struct git_access *refs_access;
    uint64_t refs_seq;
    int64_t refs_time;
    uint64_t dirty_seq;    // a push was announced then
    struct map *known;     // object of the mirror -> its commit (char *)
    struct map *absent;    // SHA -> when it could not be found (int64_t *)
    struct err list_error; // of the latest listing, for a short while
    struct git_access *list_error_access;
    int64_t list_error_time;
    uint64_t list_error_seq;
    int64_t next_gc;
    struct git_watch *watch;
};

struct git_vcs {
    struct vcs vcs;
    struct loop *loop;
    struct arena *arena;
    const char *root;
    bool forbid_local;
    struct git_child_context context;
    struct git2 *git2;
    struct map *repos; // mirror key -> struct git_repo
    uint64_t seq;
    size_t inflight; // children, jobs and posts that will still call us
    bool closing;
    struct metric *requests, *durations, *fetch_fails, *list_fails;
};

void git_vcs_begin(struct git_vcs *vcs); // something that will call back
bool git_vcs_end(struct git_vcs *vcs);   // it did; false: the vcs is gone or going, return at once
void git_repo_kick(struct git_repo *repo);
void git_repo_forget_objects(struct git_repo *repo);
void git_request_destroy(struct git_request *request);
void git_count_request(struct git_repo *repo, const char *type, int64_t started);
void git_watch_add(struct git_repo *repo, struct str url, void (*fn)(void *ctx, struct str url),
                   void *ctx);
void git_watch_remove(struct git_watch *watch, void *ctx); // what was added with this ctx
void git_watch_destroy(struct git_watch *watch);
const char *git_mirror_dir(const struct git_vcs *vcs, const struct git_url *url,
                           struct arena *arena);

// ---- mirror.c: folders of mirrors (worker threads) ----
// Makes the mirror when it is missing; *made tells so.
bool mirror_ensure(const char *dir, struct str url, bool *made, struct err *err);
bool mirror_add_ref(const char *dir, const char *sha);     // refs/skiff/<sha>, which keeps it
bool mirror_add_shallow(const char *dir, const char *sha); // its parents are not here
void mirror_remove(const char *dir);
bool mirror_needs_gc(const char *dir);
bool mirror_is_shallow(const char *dir);
void mirror_prune_refs(const char *dir); // keeps the newest refs/skiff/<sha>
void mirror_sweep(const char *root);     // removes mirrors not used for long, and leftovers
bool folder_make_private(const char *path, struct err *err);
void folder_remove(const char *path);

#endif
