// SPDX-License-Identifier: Apache-2.0
// Git repositories: transport by the git program as a child, reading by libgit2 on bare mirrors; nothing is ever checked
// out. One mirror a repository URL, shared by all applications. The simulation has its own `struct vcs` (tests/sim/).
#ifndef SKIFF_VCS_VCS_H
#define SKIFF_VCS_VCS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file_tree.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

// Credentials and trust for one repository, assembled from repository and repo-creds Secrets. Strings are copied.
struct vcs_access {
    struct str username, password; // https basic
    struct str bearer_token;       // https "Authorization: Bearer"
    struct str ssh_private_key;
    struct str tls_client_cert, tls_client_key; // PEM
    struct str ca;          // PEM of argocd-tls-certs-cm for the host; empty: the system's
    struct str known_hosts; // argocd-ssh-known-hosts-cm
    struct str proxy, no_proxy;
    bool insecure; // no TLS and host key checks
    int64_t depth; // 0: shallow where it helps; from the Secret's `depth`
};

enum { VCS_ID_MAX = 64 };
struct vcs_commit {
    char sha[VCS_ID_MAX + 1];
    struct str author, message; // first 1 KiB; in the caller's arena
    int64_t date_ns;
};

struct vcs;
struct vcs_ops {
    // Resolves a branch, tag, SHA, "HEAD" or semver range to a commit that is present in the mirror. At most one fetch per
    // repository runs at a time; with `max_age_ns` > 0 an answer fetched less than that ago is used again.
    // `sha` is empty on error. ERR_UNAUTHORIZED, ERR_NOT_FOUND (repository or revision), ERR_UNAVAILABLE, ...
    void (*resolve)(struct vcs *vcs, struct str url, const struct vcs_access *access,
                    struct str revision, int64_t max_age_ns,
                    void (*done)(void *ctx, struct str sha, const struct err *error), void *ctx);
    // A read-only tree over a commit that resolve returned. May be called and used on any one thread (worker).
    struct file_tree *(*open_tree)(struct vcs *vcs, struct str url, struct str sha,
                                   struct err *err);
    bool (*read_commit)(struct vcs *vcs, struct str url, struct str sha, struct arena *arena,
                        struct vcs_commit *out, struct err *err);
    // A push was announced (webhook, file change): the next resolve of this repository fetches.
    void (*invalidate)(struct vcs *vcs, struct str url);
    // Checks that the repository can be read (ls-remote), for connection state and `skiff repo add`.
    void (*check)(struct vcs *vcs, struct str url, const struct vcs_access *access,
                  void (*done)(void *ctx, const struct err *error), void *ctx);
    // Watches a file-URL repository; `fn` runs when its refs change. Other URLs: does nothing.
    void (*watch)(struct vcs *vcs, struct str url, void (*fn)(void *ctx, struct str url),
                  void *ctx);
    // Ends all watches with this ctx. Optional (NULL) where watch is.
    void (*unwatch)(struct vcs *vcs, void *ctx);
    void (*destroy)(struct vcs *vcs);
};
struct vcs {
    const struct vcs_ops *ops;
};

struct vcs_options {
    struct loop *loop;
    const char *dir; // mirrors live here; may be deleted at any time
    const char
        *self; // path of this program, which git starts as its askpass helper (vcs_is_askpass)
    struct metrics *metrics; // may be NULL
    bool
        forbid_local; // refuse file URLs and paths, where the authors of Applications are not trusted
};
// Requests still waiting at `destroy` are dropped without their callback; the loop must run until its workers and
// children have ended. Trees may be destroyed later than the vcs.
struct vcs *vcs_create(const struct vcs_options *options, struct err *err);

// git starts `options.self` to ask for a password. main.c, first thing: if (vcs_is_askpass(argc, argv)) return vcs_askpass_main(argc, argv);
bool vcs_is_askpass(int argc, char *const *argv);
int vcs_askpass_main(int argc, char *const *argv); // exit code

// The form in which Argo CD compares repository URLs (NormalizeGitURL): lower case, without ".git", "ssh://" and slashes at
// the end, "git@host:org/repo" as "git@host/org/repo". For comparing, not for fetching.
struct str vcs_normalize_url(struct str url, struct arena *arena);
// Without user name and password: what logs, errors and metrics may show.
struct str vcs_scrub_url(struct str url, struct arena *arena);
// Whether a file's content is a Git LFS pointer, which renders cannot use.
bool vcs_is_lfs_pointer(struct str content);
// Refuses what could be taken for an option or a local program ("-x", "ext::", unknown schemes, control characters).
bool vcs_check_url(struct str url, struct err *err) MUST_USE;
bool vcs_check_revision(struct str revision, struct err *err) MUST_USE;

// ---- Webhooks (vcs/webhook.c): GitHub and Gitea push events ----
struct vcs_push {
    struct str urls[4]; // web, clone and ssh URLs of the repository
    size_t url_count;
    struct str ref;            // "refs/heads/main"
    struct str after;          // SHA
    struct str default_branch; // "main"
    bool is_ping;              // a test delivery: answer 200, do nothing
};
struct vcs_webhook_request {
    struct str event, signature_256,
        gitea_signature; // X-GitHub-Event / X-Gitea-Event, X-Hub-Signature-256, X-Gitea-Signature
    struct str body;
};
// ERR_UNAUTHORIZED when the secret is empty (closed without a secret) or the signature over the raw bytes is wrong.
bool vcs_webhook_parse(const struct vcs_webhook_request *request, struct str secret,
                       struct arena *arena, struct vcs_push *out, struct err *err) MUST_USE;
// Whether the push concerns a source with this repository and targetRevision, as Argo CD decides: host and path whatever the
// scheme, user, port and ".git"; the revision by its last part, HEAD or empty when the default branch was pushed. A
// semver range matches every tag.
bool vcs_push_matches(const struct vcs_push *push, struct str repo_url, struct str revision);
bool vcs_push_matches_url(const struct vcs_push *push, struct str repo_url);

#endif
