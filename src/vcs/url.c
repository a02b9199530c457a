// SPDX-License-Identifier: Apache-2.0
// Repository URLs: taken apart, checked, normalised. Everything that git could read as an option, a helper program or a
// credential in its arguments is caught here, before a child is started.
#include "base/limits.h"
#include "vcs/internal.h"

enum { GIT_URL_MAX = 2048 };

static struct str lower(struct str s, struct arena *arena) {
    char *text = arena_cstr(arena, s);
    for (size_t i = 0; i < s.n; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    }
    return (struct str){text, s.n};
}

static bool starts_nocase(struct str s, struct str prefix) {
    return s.n >= prefix.n && str_eq_nocase(str_first(s, prefix.n), prefix);
}

static bool url_error(struct err *err, const char *what) {
    return err_set(err, ERR_INVALID,
                   "repository URL %s; use https://host/path, ssh://user@host/path, "
                   "user@host:path or file:///path",
                   what);
}

static bool check_characters(struct str url, struct err *err) {
    if (url.n == 0) {
        return url_error(err, "is empty");
    }
    if (url.n > GIT_URL_MAX) {
        return err_set(err, ERR_LIMIT, "repository URL is longer than %d bytes", GIT_URL_MAX);
    }
    if (url.p[0] == '-') {
        return url_error(err, "starts with '-'");
    }
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c < 0x20 || c == 0x7f) {
            return url_error(err, "has a control character");
        }
    }
    return true;
}

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

static bool check_host(struct str host, struct err *err) {
    bool literal = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    struct str inner = literal ? (struct str){host.p + 1, host.n - 2} : host;
    if (inner.n == 0 || inner.p[0] == '-') {
        return url_error(err, "has no host, or one that starts with '-'");
    }
    for (size_t i = 0; i < inner.n; i++) {
        bool hex_or_colon = strchr("0123456789abcdefABCDEF:.%", inner.p[i]) != NULL;
        if (literal ? !hex_or_colon : !is_host_char(inner.p[i])) {
            return url_error(err, "has a bad character in its host");
        }
    }
    return true;
}

// "[user[:password]@]host[:port]"
static bool parse_authority(struct str authority, struct git_url *out, struct err *err) {
    size_t at = str_rfind_char(authority, '@');
    if (at != STR_NPOS) {
        str_cut(str_first(authority, at), ':', &out->user, &out->password);
        authority = str_skip(authority, at + 1);
    }
    size_t colon = str_rfind_char(authority, ':');
    size_t bracket = str_rfind_char(authority, ']');
    if (colon != STR_NPOS && (bracket == STR_NPOS || colon > bracket)) {
        uint64_t port;
        out->port = str_skip(authority, colon + 1);
        authority = str_first(authority, colon);
        if (out->port.n > 0 && (!str_to_uint64(out->port, &port) || port == 0 || port > 65535)) {
            return url_error(err, "has a bad port");
        }
    }
    out->host = authority;
    if (out->user.n > 0 && out->user.p[0] == '-') {
        return url_error(err, "has a user that starts with '-'");
    }
    return check_host(out->host, err);
}

static bool parse_path(struct str path, struct git_url *out, struct err *err) {
    out->path = path;
    if (path.n > 1 && path.p[0] == '/' && path.p[1] == '-' && out->scheme == GIT_SSH) {
        return url_error(err, "has a path that starts with '-'");
    }
    if (path.n == 0 || str_eq_c(path, "/")) {
        return url_error(err, "has no path");
    }
    if (out->scheme != GIT_FILE && str_find_char(path, ' ') != STR_NPOS) {
        return url_error(err, "has a space; write %20");
    }
    return true;
}

static bool parse_with_scheme(struct str url, size_t colon, struct git_url *out, struct err *err) {
    struct str scheme = str_first(url, colon);
    struct str rest = str_skip(url, colon + 3);
    if (str_eq_nocase(scheme, STR("https"))) {
        out->scheme = GIT_HTTPS;
    } else if (str_eq_nocase(scheme, STR("http"))) {
        out->scheme = GIT_HTTP;
    } else if (str_eq_nocase(scheme, STR("ssh"))) {
        out->scheme = GIT_SSH;
    } else if (str_eq_nocase(scheme, STR("file"))) {
        out->scheme = GIT_FILE;
        if (starts_nocase(rest, STR("localhost/"))) {
            rest = str_skip(rest, strlen("localhost"));
        }
        return rest.n > 0 && rest.p[0] == '/'
                   ? parse_path(rest, out, err)
                   : url_error(err, "names a file on another host; write file:///path");
    } else {
        return url_error(err, "has an unknown scheme");
    }
    size_t slash = str_find_char(rest, '/');
    struct str authority = slash == STR_NPOS ? rest : str_first(rest, slash);
    return parse_authority(authority, out, err) &&
           parse_path(slash == STR_NPOS ? STR("") : str_skip(rest, slash), out, err);
}

// "user@host:path"; the user is optional for git, but then "ext::program" and "c:path" would look alike.
static bool parse_scp(struct str url, struct git_url *out, struct err *err) {
    struct str login;
    struct str path;
    if (!str_cut(url, ':', &login, &path)) {
        return url_error(err, "is no URL");
    }
    size_t at = str_rfind_char(login, '@');
    if (at == STR_NPOS || at == 0 || str_find_char(login, '/') != STR_NPOS ||
        (path.n > 0 && path.p[0] == ':')) {
        return url_error(err, "is not supported");
    }
    out->scheme = GIT_SSH;
    out->scp = true;
    out->user = str_first(login, at);
    out->host = str_skip(login, at + 1);
    if (path.n > 0 && path.p[0] == '-') {
        return url_error(err, "has a path that starts with '-'");
    }
    return check_host(out->host, err) && parse_path(path, out, err);
}

bool git_url_parse(struct str url, struct git_url *out, struct err *err) {
    struct git_url parsed = {0};
    url = str_trim(url);
    if (!check_characters(url, err)) {
        return false;
    }
    bool ok;
    size_t colon = str_find(url, STR("://"));
    if (url.p[0] == '/') {
        parsed.scheme = GIT_FILE;
        parsed.plain = true;
        ok = parse_path(url, &parsed, err);
    } else if (colon != STR_NPOS && str_find_char(str_first(url, colon), '@') == STR_NPOS) {
        ok = parse_with_scheme(url, colon, &parsed, err);
    } else {
        ok = parse_scp(url, &parsed, err);
    }
    if (ok) {
        *out = parsed;
    }
    return ok;
}

const char *git_scheme_name(enum git_scheme scheme) {
    static const char *const names[] = {"https", "http", "ssh", "file"};
    return names[scheme];
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

struct str git_url_decode(struct str s, struct arena *arena) {
    char *text = arena_alloc(arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
            hex_digit(s.p[i + 2]) >= 0) {
            char c = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
            if (c != '\0') {
                text[n++] = c;
            }
            i += 2;
        } else {
            text[n++] = s.p[i];
        }
    }
    text[n] = '\0';
    return (struct str){text, n};
}

struct str git_url_origin(const struct git_url *url, struct arena *arena) {
    return arena_printf(arena, "%s://%.*s%s%.*s", git_scheme_name(url->scheme), STR_ARG(url->host),
                        url->port.n ? ":" : "", STR_ARG(url->port));
}

struct str git_url_local_path(const struct git_url *url, struct arena *arena) {
    return url->plain ? arena_dup(arena, url->path) : git_url_decode(url->path, arena);
}

static struct str encode_percent(struct str s, struct arena *arena) {
    char *text = arena_alloc(arena, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        text[n++] = s.p[i];
        if (s.p[i] == '%') {
            text[n++] = '2';
            text[n++] = '5';
        }
    }
    text[n] = '\0';
    return (struct str){text, n};
}

struct str git_url_for_child(const struct git_url *url, struct arena *arena) {
    switch (url->scheme) {
    case GIT_FILE:
        return arena_printf(arena, "file://%.*s",
                            STR_ARG(url->plain ? encode_percent(url->path, arena) : url->path));
    case GIT_SSH:
        if (url->scp) {
            return arena_printf(arena, "%.*s@%.*s:%.*s", STR_ARG(url->user), STR_ARG(url->host),
                                STR_ARG(url->path));
        }
        return arena_printf(arena, "ssh://%.*s%s%.*s%s%.*s%.*s", STR_ARG(url->user),
                            url->user.n ? "@" : "", STR_ARG(url->host), url->port.n ? ":" : "",
                            STR_ARG(url->port), STR_ARG(url->path));
    default: {
        struct str origin = git_url_origin(url, arena);
        return arena_concat(arena, origin, url->path);
    }
    }
}

static struct str trim_path(struct str path, bool dot_git) {
    while (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    if (dot_git && path.n > 5 && str_ends(path, STR(".git"))) {
        path.n -= 4;
    }
    return path;
}

struct str git_url_mirror_key(const struct git_url *url, struct arena *arena) {
    // On a disk "repo" and "repo.git" are two folders; servers treat them as one.
    struct str path = trim_path(url->path, url->scheme != GIT_FILE);
    if (url->scheme == GIT_FILE) {
        path = trim_path(git_url_local_path(url, arena), false);
        return arena_printf(arena, "file://%.*s", STR_ARG(path));
    }
    struct str host = lower(url->host, arena);
    return arena_printf(arena, "%s://%.*s%s%.*s%s%.*s%s%.*s", git_scheme_name(url->scheme),
                        STR_ARG(url->user), url->user.n ? "@" : "", STR_ARG(host),
                        url->port.n ? ":" : "", STR_ARG(url->port), url->scp ? "/" : "",
                        STR_ARG(path));
}

// Argo CD's rule for the ssh form: one '@', and no '/' or ':' in front of it.
static bool looks_like_ssh(struct str url) {
    struct str rest = str_starts(url, STR("ssh://")) ? str_skip(url, 6) : url;
    size_t at = str_find_char(rest, '@');
    if (at == STR_NPOS || at + 1 >= rest.n || str_rfind_char(rest, '@') != at) {
        return false;
    }
    struct str user = str_first(rest, at);
    return str_find_char(user, '/') == STR_NPOS && str_find_char(user, ':') == STR_NPOS;
}

struct str vcs_normalize_url(struct str url, struct arena *arena) {
    struct str s = lower(str_trim(url), arena);
    if (looks_like_ssh(s) && !str_starts(s, STR("ssh://"))) {
        struct str before;
        struct str after;
        if (str_cut(s, ':', &before, &after)) {
            s = arena_printf(arena, "%.*s/%.*s", STR_ARG(before), STR_ARG(after));
        }
    }
    s = trim_path(s, true);
    return str_starts(s, STR("ssh://")) ? str_skip(s, 6) : s;
}

struct str vcs_scrub_url(struct str url, struct arena *arena) {
    size_t colon = str_find(url, STR("://"));
    if (colon == STR_NPOS) {
        return arena_dup(arena, url); // the scp form carries no password
    }
    struct str rest = str_skip(url, colon + 3);
    size_t slash = str_find_char(rest, '/');
    struct str authority = slash == STR_NPOS ? rest : str_first(rest, slash);
    size_t at = str_rfind_char(authority, '@');
    if (at == STR_NPOS) {
        return arena_dup(arena, url);
    }
    struct str user = str_first(authority, at);
    bool ssh_user = starts_nocase(url, STR("ssh://")) && str_find_char(user, ':') == STR_NPOS;
    if (ssh_user) {
        return arena_dup(arena, url); // "git@" is no secret, and users look for it
    }
    return arena_printf(arena, "%.*s%.*s", STR_ARG(str_first(url, colon + 3)),
                        STR_ARG(str_skip(rest, at + 1)));
}

bool vcs_check_url(struct str url, struct err *err) {
    struct git_url parsed;
    return git_url_parse(url, &parsed, err);
}

// What git-check-ref-format refuses, and what semver ranges need.
bool vcs_check_revision(struct str revision, struct err *err) {
    if (revision.n > LIMIT_GIT_REF) {
        return err_set(err, ERR_LIMIT, "revision is longer than %d bytes (LIMIT_GIT_REF)",
                       LIMIT_GIT_REF);
    }
    if (revision.n > 0 && revision.p[0] == '-') {
        return err_set(err, ERR_INVALID, "revision starts with '-'; name a branch, tag or SHA");
    }
    for (size_t i = 0; i < revision.n; i++) {
        unsigned char c = (unsigned char)revision.p[i];
        if (c < 0x20 || c == 0x7f || c == '\\' || c == ':' || c == '[') {
            return err_set(err, ERR_INVALID,
                           "revision has a character that no branch, tag or range can have");
        }
    }
    if (str_has(revision, STR("..")) || str_has(revision, STR("@{"))) {
        return err_set(err, ERR_INVALID,
                       "revision has \"..\" or \"@{\"; name a branch, tag or SHA");
    }
    return true;
}

bool vcs_is_lfs_pointer(struct str content) {
    return content.n < 1024 &&
           (str_starts(content, STR("version https://git-lfs.github.com/spec/")) ||
            str_starts(content, STR("version https://hawser.github.com/spec/")));
}
