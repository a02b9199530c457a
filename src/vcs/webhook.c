// SPDX-License-Identifier: Apache-2.0
// Push events of GitHub and Gitea (which sends GitHub's headers beside its own). The signature over the raw bytes is checked
// before a byte of them is parsed; without a secret nothing is accepted.
#include "vcs/vcs.h"

#include "base/limits.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "doc/doc.h"

static bool signature_matches(const struct vcs_webhook_request *request, struct str secret,
                              struct arena *arena) {
    unsigned char expected[SHA256_BYTES];
    struct str given = str_trim(request->signature_256);
    const struct str prefix = STR("sha256=");
    if (given.n > 0) {
        if (!str_starts(given, prefix)) {
            return false;
        }
        given = str_skip(given, prefix.n);
    } else {
        given = str_trim(request->gitea_signature); // bare digits
    }
    struct str bytes;
    if (given.n != 2 * SHA256_BYTES || !hex_decode(given, arena, &bytes)) {
        return false;
    }
    hmac_sha256(secret, request->body, expected);
    bool equal = secure_equal(bytes, (struct str){(const char *)expected, sizeof expected});
    secure_wipe(expected, sizeof expected);
    return equal;
}

static void add_url(struct vcs_push *push, const struct doc_value *repository, const char *key) {
    struct str url = doc_str(doc_find(repository, str_from(key)));
    if (url.n > 0 && url.n <= 2048 && push->url_count < ARRAY_LEN(push->urls)) {
        push->urls[push->url_count++] = url;
    }
}

static bool parse_push(const struct doc_value *root, struct vcs_push *out, struct err *err) {
    struct vcs_push push = {0};
    const struct doc_value *repository = doc_find(root, STR("repository"));
    push.ref = doc_str(doc_find(root, STR("ref")));
    push.after = doc_str(doc_find(root, STR("after")));
    push.default_branch = doc_str(doc_find(repository, STR("default_branch")));
    add_url(&push, repository, "html_url");
    add_url(&push, repository, "clone_url");
    add_url(&push, repository, "ssh_url");
    add_url(&push, repository, "git_url");
    if (push.ref.n == 0 || push.ref.n > LIMIT_GIT_REF || push.url_count == 0) {
        return err_set(err, ERR_INVALID,
                       "push event without \"ref\" or without the repository's URLs");
    }
    *out = push;
    return true;
}

bool vcs_webhook_parse(const struct vcs_webhook_request *request, struct str secret,
                       struct arena *arena, struct vcs_push *out, struct err *err) {
    if (secret.n == 0) {
        return err_set(err, ERR_UNAUTHORIZED,
                       "no webhook secret is configured (webhook.github.secret or "
                       "webhook.gogs.secret in argocd-secret), so no delivery is accepted");
    }
    if (request->body.n > LIMIT_WEBHOOK_BODY) {
        return err_set(err, ERR_LIMIT, "webhook payload is larger than %d bytes",
                       LIMIT_WEBHOOK_BODY);
    }
    if (!signature_matches(request, secret, arena)) {
        return err_set(err, ERR_UNAUTHORIZED,
                       "webhook signature is missing or does not match the configured secret");
    }
    if (str_eq_c(request->event, "ping")) {
        *out = (struct vcs_push){.is_ping = true};
        return true;
    }
    if (!str_eq_c(request->event, "push")) {
        return err_set(err, ERR_UNSUPPORTED, "webhook event \"%.*s\" is not handled (only push)",
                       STR_ARG(str_first(request->event, 64)));
    }
    struct doc_value root;
    if (!doc_parse_json(request->body, arena, &root, err)) {
        return err_wrap(err, "webhook payload");
    }
    if (!doc_is(&root, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID, "webhook payload is no JSON object");
    }
    return parse_push(&root, out, err);
}

// ---- Which sources a push concerns ----

// Host and path of a URL or of the scp form, without scheme, user and port.
static bool split(struct str url, struct str *host, struct str *path) {
    size_t colon = str_find(url, STR("://"));
    bool has_scheme = colon != STR_NPOS;
    struct str rest = has_scheme ? str_skip(url, colon + 3) : url;
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && (has_scheme || rest.p[end] != ':')) {
        end++;
    }
    if (end >= rest.n) {
        return false;
    }
    struct str authority = str_first(rest, end);
    *path = str_skip(rest, end + 1);
    size_t at = str_rfind_char(authority, '@');
    authority = at == STR_NPOS ? authority : str_skip(authority, at + 1);
    size_t port = str_rfind_char(authority, ':');
    size_t bracket = str_rfind_char(authority, ']');
    if (port != STR_NPOS && (bracket == STR_NPOS || port > bracket)) {
        authority = str_first(authority, port);
    }
    while (path->n > 0 && path->p[0] == '/') {
        *path = str_skip(*path, 1);
    }
    while (path->n > 0 && path->p[path->n - 1] == '/') {
        path->n--;
    }
    if (path->n > 4 && str_eq_nocase(str_skip(*path, path->n - 4), STR(".git"))) {
        path->n -= 4;
    }
    *host = authority;
    return authority.n > 0 && path->n > 0;
}

// "ssh.github.com" and "altssh.gitlab.com" are github.com and gitlab.com by another port.
static struct str plain_host(struct str host) {
    static const struct str prefixes[] = {STR_INIT("ssh."), STR_INIT("altssh.")};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (host.n > prefixes[i].n && str_eq_nocase(str_first(host, prefixes[i].n), prefixes[i])) {
            return str_skip(host, prefixes[i].n);
        }
    }
    return host;
}

bool vcs_push_matches_url(const struct vcs_push *push, struct str repo_url) {
    struct str host;
    struct str path;
    if (!split(str_trim(repo_url), &host, &path)) {
        return false;
    }
    for (size_t i = 0; i < push->url_count; i++) {
        struct str pushed_host;
        struct str pushed_path;
        if (split(push->urls[i], &pushed_host, &pushed_path) && str_eq_nocase(path, pushed_path) &&
            (str_eq_nocase(host, pushed_host) ||
             str_eq_nocase(plain_host(host), plain_host(pushed_host)))) {
            return true;
        }
    }
    return false;
}

// "refs/heads/feature/x" -> "feature/x"
static struct str short_ref(struct str ref) {
    struct str kind;
    struct str rest;
    if (!str_starts(ref, STR("refs/"))) {
        return ref;
    }
    return str_cut(str_skip(ref, 5), '/', &kind, &rest) ? rest : ref;
}

bool vcs_push_matches(const struct vcs_push *push, struct str repo_url, struct str revision) {
    if (push->is_ping || !vcs_push_matches_url(push, repo_url)) {
        return false;
    }
    struct str pushed = short_ref(push->ref);
    revision = str_trim(revision);
    if (revision.n == 0 || str_eq_c(revision, "HEAD")) {
        // A forge that does not say what its default branch is gets the benefit of the doubt.
        return push->default_branch.n == 0 ||
               (str_starts(push->ref, STR("refs/heads/")) && str_eq(pushed, push->default_branch));
    }
    if (str_eq(revision, push->ref) || str_eq(short_ref(revision), pushed)) {
        return true;
    }
    return str_starts(push->ref, STR("refs/tags/")) && semver_is_constraint(revision);
}
