// SPDX-License-Identifier: Apache-2.0
// One run of the git program. It gets a whole environment of our own: no configuration of the system or the user, no
// hooks, no prompts, one protocol. Secrets reach it by its environment or by files in a private folder that is removed when
// it ends, never by its arguments, and what it prints is cleaned of them.
#include "vcs/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"

enum { CHILD_ENV_MAX = 160, CHILD_ARGS_MAX = 64, CHILD_CONFIG_MAX = 48 };

// ---- Access ----

static void digest_add(struct buf *buf, struct str s) {
    buf_printf(buf, "%zu:", s.n);
    buf_add_str(buf, s);
}

// The credentials to use, those in the URL itself included.
struct git_access *git_access_copy(const struct vcs_access *in, const struct git_url *url) {
    static const struct vcs_access none;
    in = in ? in : &none;
    struct git_access *copy = NEW(struct git_access);
    struct arena *arena = copy->arena = arena_create();
    struct vcs_access *out = &copy->access;
    *out = *in;
    struct str *fields[] = {
        &out->username,        &out->password,       &out->bearer_token, &out->ssh_private_key,
        &out->tls_client_cert, &out->tls_client_key, &out->ca,           &out->known_hosts,
        &out->proxy,           &out->no_proxy,
    };
    bool http = url->scheme == GIT_HTTPS || url->scheme == GIT_HTTP;
    if (http && out->username.n == 0 && out->password.n == 0) {
        out->username = git_url_decode(url->user, arena);
        out->password = git_url_decode(url->password, arena);
    }
    struct buf buf;
    buf_init(&buf, 16 * MIB);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        *fields[i] = arena_dup(arena, *fields[i]);
        digest_add(&buf, *fields[i]);
    }
    buf_printf(&buf, "%d %lld", out->insecure, (long long)out->depth);
    sha256(buf_str(&buf), copy->digest);
    if (buf.data) {
        secure_wipe(buf.data, buf.len);
    }
    buf_fini(&buf);
    return copy;
}

void git_access_destroy(struct git_access *access) {
    if (!access) {
        return;
    }
    struct str secrets[] = {access->access.password, access->access.bearer_token,
                            access->access.ssh_private_key, access->access.tls_client_key};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (secrets[i].n > 0) {
            secure_wipe((char *)(uintptr_t)secrets[i].p, secrets[i].n);
        }
    }
    arena_destroy(access->arena);
    free(access);
}

bool git_access_equal(const struct git_access *a, const struct git_access *b) {
    return a && b && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

// ---- One run ----

struct git_child {
    struct arena *arena;
    struct git_url url; // slices in `arena`
    const struct git_access *access;
    char *folder; // private files, NULL when none were needed
    const char *env[CHILD_ENV_MAX];
    size_t env_len;
    unsigned config_len;
    bool has_askpass;
    git_child_fn *done;
    void *ctx;
};

static void add_env(struct git_child *child, const char *name, struct str value) {
    CHECK(child->env_len + 1 < CHILD_ENV_MAX);
    child->env[child->env_len++] = arena_printf(child->arena, "%s=%.*s", name, STR_ARG(value)).p;
}

static void inherit_env(struct git_child *child, const char *name, const char *fallback) {
    const char *value = getenv(name);
    if (value || fallback) {
        add_env(child, name, str_from(value ? value : fallback));
    }
}

// Configuration by environment: unlike -c it cannot be seen in a list of processes.
static void add_config(struct git_child *child, const char *key, struct str value) {
    char name[40];
    CHECK(child->config_len < CHILD_CONFIG_MAX);
    snprintf(name, sizeof name, "GIT_CONFIG_KEY_%u", child->config_len);
    add_env(child, name, str_from(key));
    snprintf(name, sizeof name, "GIT_CONFIG_VALUE_%u", child->config_len);
    add_env(child, name, value);
    child->config_len++;
}

static void add_base_env(struct git_child *child, const struct git_child_context *context) {
    static const char *const fixed[] = {
        "GIT_TERMINAL_PROMPT=0",
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_ATTR_NOSYSTEM=1",
        "GIT_NO_LAZY_FETCH=1",
        "GIT_NO_REPLACE_OBJECTS=1",
        "GIT_OPTIONAL_LOCKS=0",
        "GIT_ADVICE=0",

        "SSH_ASKPASS_REQUIRE=never",
        "LC_ALL=C",
        "TZ=UTC",
        "GIT_CEILING_DIRECTORIES=/",
    };
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        child->env[child->env_len++] = fixed[i];
    }
    inherit_env(child, "PATH", "/usr/local/bin:/usr/bin:/bin");
    add_env(child, "HOME", str_from(context->home));
    // http may lead to https (many servers redirect so), never the other way.
    const char *scheme = git_scheme_name(child->url.scheme);
    add_env(child, "GIT_ALLOW_PROTOCOL",
            child->url.scheme == GIT_HTTP ? STR("http:https") : str_from(scheme));
}

static void add_base_config(struct git_child *child) {
    static const char *const fixed[][2] = {
        {"core.hooksPath", "/dev/null"},
        {"core.fsmonitor", "false"},
        {"core.fsync", "none"}, // a mirror that a power cut damages is fetched again
        {"credential.helper", ""},
        {"protocol.version", "2"},
        {"gc.auto", "0"},
        {"maintenance.auto", "false"},
        {"submodule.recurse", "false"},
        {"fetch.recurseSubmodules", "false"},
        {"fetch.writeCommitGraph", "false"},
        {"transfer.fsckObjects", "true"},
        {"fetch.fsckObjects", "true"},
        {"transfer.bundleURI", "false"},
        {"http.followRedirects", "initial"},
        {"http.lowSpeedLimit", "1000"},
        {"http.lowSpeedTime", "30"},
        {"pack.threads", "1"},
        // Old faults that harm nobody who never checks out; real histories have them.
        {"fetch.fsck.zeroPaddedFilemode", "ignore"},
        {"fetch.fsck.missingSpaceBeforeDate", "ignore"},
        {"fetch.fsck.missingSpaceBeforeEmail", "ignore"},
        {"fetch.fsck.missingEmail", "ignore"},
        {"fetch.fsck.missingNameBeforeEmail", "ignore"},
        {"fetch.fsck.badEmail", "ignore"},
        {"fetch.fsck.badDate", "ignore"},
        {"fetch.fsck.badTimezone", "ignore"},
        {"fetch.fsck.zeroPaddedDate", "ignore"},
        {"fetch.fsck.multipleAuthors", "ignore"},
        {"fetch.fsck.gitmodulesUrl", "ignore"},
        {"fetch.fsck.gitmodulesName", "ignore"},
        {"fetch.fsck.gitmodulesPath", "ignore"},
        {"fetch.fsck.gitmodulesParse", "ignore"},
    };
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        add_config(child, fixed[i][0], str_from(fixed[i][1]));
    }
}

// Returns the path of a new file with mode 0600 in the private folder, which it makes on first use.
static const char *add_file(struct git_child *child, const struct git_child_context *context,
                            const char *name, struct str content, struct err *err) {
    if (!child->folder) {
        if (!folder_make_private(context->secrets, err)) { // it may have been swept away
            return NULL;
        }
        char *folder =
            arena_cstr(child->arena, arena_printf(child->arena, "%s/run-XXXXXX", context->secrets));
        if (!mkdtemp(folder)) {
            err_errno(err, errno, "cannot make a private folder for credentials");
            return NULL;
        }
        child->folder = folder;
    }
    const char *path = arena_printf(child->arena, "%s/%s", child->folder, name).p;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < content.n;) {
        ssize_t n = write(fd, content.p + at, content.n - at);
        ok = n > 0;
        at += n > 0 ? (size_t)n : 0;
    }
    if (!ok) {
        err_errno(err, errno, "cannot write a private file for credentials");
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok ? path : NULL;
}

static bool add_http_files(struct git_child *child, const struct git_child_context *context,
                           struct err *err) {
    const struct vcs_access *access = &child->access->access;
    const struct {
        const char *name, *variable;
        struct str content;
    } files[] = {
        {"cert", "GIT_SSL_CERT", access->tls_client_cert},
        {"key", "GIT_SSL_KEY", access->tls_client_key},
        {"ca", "GIT_SSL_CAINFO", access->ca},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].content.n > 0) {
            const char *path = add_file(child, context, files[i].name, files[i].content, err);
            if (!path) {
                return false;
            }
            add_env(child, files[i].variable, str_from(path));
        }
    }
    return true;
}

// What vcs_askpass_main reads: the origin that may be answered, user and password, each ended by a NUL.
static bool add_askpass(struct git_child *child, const struct git_child_context *context,
                        struct err *err) {
    const struct vcs_access *access = &child->access->access;
    struct str origin = git_url_origin(&child->url, child->arena);
    struct str user = access->username.n ? access->username : STR("git");
    size_t n = origin.n + user.n + access->password.n + 3;
    char *text = arena_zalloc(child->arena, n);
    memcpy(text, origin.p, origin.n);
    memcpy(text + origin.n + 1, user.p, user.n);
    if (access->password.n > 0) {
        memcpy(text + origin.n + user.n + 2, access->password.p, access->password.n);
    }
    const char *path = add_file(child, context, "secret", (struct str){text, n}, err);
    secure_wipe(text, n);
    if (!path) {
        return false;
    }
    // git starts the helper with the prompt as its only argument: the link's name tells our program what it is.
    const char *helper = arena_printf(child->arena, "%s/git-askpass", child->folder).p;
    if (symlink(context->self, helper) != 0) {
        return err_errno(err, errno, "cannot link the askpass helper");
    }
    add_env(child, "GIT_ASKPASS", str_from(helper));
    child->has_askpass = true;
    return true;
}

static bool add_http(struct git_child *child, const struct git_child_context *context,
                     struct err *err) {
    const struct vcs_access *access = &child->access->access;
    if (!add_http_files(child, context, err)) {
        return false;
    }
    if (access->insecure) {
        add_env(child, "GIT_SSL_NO_VERIFY", STR("true"));
    }
    if (access->bearer_token.n > 0) {
        if (str_find_char(access->bearer_token, '\n') != STR_NPOS ||
            str_find_char(access->bearer_token, '\r') != STR_NPOS) {
            return err_set(err, ERR_INVALID, "the bearer token has a line break");
        }
        // Bound to the origin, so that a redirect does not carry it elsewhere.
        struct str origin = git_url_origin(&child->url, child->arena);
        add_config(child, arena_printf(child->arena, "http.%.*s/.extraHeader", STR_ARG(origin)).p,
                   arena_printf(child->arena, "Authorization: Bearer %.*s",
                                STR_ARG(access->bearer_token)));
    } else if (access->username.n > 0 || access->password.n > 0) {
        if (!context->self) {
            return err_set(err, ERR_INTERNAL, "no askpass helper was configured");
        }
        return add_askpass(child, context, err);
    }
    return true;
}

static struct str shell_quote(struct arena *arena, struct str s) {
    struct buf buf;
    buf_init(&buf, MIB);
    buf_add_char(&buf, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') {
            buf_add_c(&buf, "'\\''");
        } else {
            buf_add_char(&buf, s.p[i]);
        }
    }
    buf_add_char(&buf, '\'');
    struct str quoted = arena_dup(arena, buf_str(&buf));
    buf_fini(&buf);
    return quoted;
}

// A proxy for ssh, as Argo CD: "socks5://host:port" through nc. Only plain host and port get near a command line.
static bool ssh_proxy(struct git_child *child, struct str *out, struct err *err) {
    struct str proxy = child->access->access.proxy;
    *out = STR("");
    if (!str_starts(proxy, STR("socks5://"))) {
        return true;
    }
    struct str host;
    struct str port;
    str_cut(str_skip(proxy, 9), ':', &host, &port);
    uint64_t number = 1080;
    bool ok = host.n > 0 && host.p[0] != '-' && (port.n == 0 || str_to_uint64(port, &number));
    for (size_t i = 0; i < host.n; i++) {
        ok = ok &&
             strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", host.p[i]);
    }
    if (!ok || number > 65535) {
        return err_set(err, ERR_INVALID, "the proxy is not of the form socks5://host:port");
    }
    *out = arena_printf(child->arena, " -o 'ProxyCommand=nc -X 5 -x %.*s:%u %%h %%p'",
                        STR_ARG(host), (unsigned)number);
    return true;
}

static bool add_ssh(struct git_child *child, const struct git_child_context *context,
                    struct err *err) {
    const struct vcs_access *access = &child->access->access;
    struct str identity = STR("none");
    struct str hosts = STR("/dev/null");
    struct str proxy;
    if (!ssh_proxy(child, &proxy, err)) {
        return false;
    }
    if (access->ssh_private_key.n > 0) {
        // OpenSSH refuses a key without a line break at its end, and Secrets often lack it.
        struct str key = arena_printf(child->arena, "%.*s\n", STR_ARG(access->ssh_private_key));
        const char *path = add_file(child, context, "id", key, err);
        secure_wipe((char *)(uintptr_t)key.p, key.n);
        if (!path) {
            return false;
        }
        identity = str_from(path);
    }
    if (!access->insecure && access->known_hosts.n > 0) {
        const char *path = add_file(child, context, "known_hosts", access->known_hosts, err);
        if (!path) {
            return false;
        }
        hosts = str_from(path);
    }
    struct str command = arena_printf(
        child->arena,
        "ssh -F /dev/null -i %.*s -o UserKnownHostsFile=%.*s -o GlobalKnownHostsFile=/dev/null"
        " -o StrictHostKeyChecking=%s -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
        " -o PreferredAuthentications=publickey -o ForwardAgent=no -o ForwardX11=no"
        " -o ClearAllForwardings=yes -o ControlMaster=no -o ControlPath=none -o UpdateHostKeys=no"
        " -o ConnectTimeout=20 -o ServerAliveInterval=15%.*s",
        STR_ARG(shell_quote(child->arena, identity)), STR_ARG(shell_quote(child->arena, hosts)),
        access->insecure ? "no" : "yes", STR_ARG(proxy));
    add_env(child, "GIT_SSH_COMMAND", command);
    add_env(child, "GIT_SSH_VARIANT", STR("ssh"));
    return true;
}

static void add_proxy(struct git_child *child) {
    static const char *const inherited[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    const struct vcs_access *access = &child->access->access;
    if (access->proxy.n > 0) {
        add_env(child, "http_proxy", access->proxy);
        add_env(child, "https_proxy", access->proxy);
        add_env(child, "all_proxy", access->proxy);
        add_env(child, "no_proxy", access->no_proxy);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
        inherit_env(child, inherited[i], NULL);
    }
}

static bool build_env(struct git_child *child, const struct git_child_context *context,
                      struct err *err) {
    add_base_env(child, context);
    add_base_config(child);
    bool ok = true;
    if (child->url.scheme == GIT_SSH) {
        ok = add_ssh(child, context, err);
    } else if (child->url.scheme != GIT_FILE) {
        add_proxy(child);
        ok = add_http(child, context, err);
    }
    if (!child->has_askpass) { // or git would try the one of a desktop
        add_env(child, "GIT_ASKPASS", STR("/bin/false"));
    }
    add_env(child, "GIT_CONFIG_COUNT", arena_printf(child->arena, "%u", child->config_len));
    child->env[child->env_len] = NULL;
    return ok;
}

static void child_destroy(struct git_child *child) {
    if (child->folder) {
        folder_remove(child->folder);
    }
    // The environment may hold the bearer token.
    for (size_t i = 0; i < child->env_len; i++) {
        if (strstr(child->env[i], "Authorization: ")) {
            secure_wipe((char *)(uintptr_t)child->env[i], strlen(child->env[i]));
        }
    }
    arena_destroy(child->arena);
    free(child);
}

static void on_child_exit(void *ctx, const struct loop_exit *exit) {
    struct git_child *child = ctx;
    struct err err = {0};
    if (exit->error && exit->error->code == ERR_TIMEOUT) {
        err_set(&err, ERR_TIMEOUT,
                "git gave no result within %d seconds; the repository is too slow or too large",
                LIMIT_GIT_SECONDS);
    } else if (exit->error) {
        err = *exit->error;
        err_wrap(&err, "git");
    } else if (exit->status != 0) {
        git_classify_error(exit->errout, exit->status, &child->url, child->access, &err);
    }
    if (child->folder) {
        folder_remove(child->folder);
        child->folder = NULL;
    }
    child->done(child->ctx, exit->out, err.code ? &err : NULL);
    child_destroy(child);
}

uint64_t git_child_start(const struct git_child_context *context, const struct git_url *url,
                         const struct git_access *access, const char *git_dir,
                         const char *const *args, git_child_fn *done, void *ctx, struct err *err) {
    struct git_child *child = NEW(struct git_child);
    child->arena = arena_create();
    child->url = *url;
    struct str *slices[] = {&child->url.user, &child->url.password, &child->url.host,
                            &child->url.port, &child->url.path};
    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        *slices[i] = arena_dup(child->arena, *slices[i]);
    }
    child->access = access;
    child->done = done;
    child->ctx = ctx;
    const char *argv[CHILD_ARGS_MAX];
    size_t n = 0;
    argv[n++] = "git";
    if (git_dir) {
        argv[n++] = arena_printf(child->arena, "--git-dir=%s", git_dir).p;
    }
    for (size_t i = 0; args[i]; i++) {
        CHECK(n + 1 < CHILD_ARGS_MAX);
        argv[n++] = args[i];
    }
    argv[n] = NULL;
    uint64_t id = 0;
    mkdir(context->root, 0700); // all of it may have been deleted meanwhile
    mkdir(context->home, 0700);
    if (build_env(child, context, err)) {
        struct loop_spawn spec = {.argv = argv,
                                  .env = child->env,
                                  .cwd = context->home,
                                  .max_output = LIMIT_GIT_OUTPUT,
                                  .timeout_ns = LIMIT_GIT_SECONDS * NS_PER_SECOND};
        id = loop_spawn(context->loop, &spec, on_child_exit, child, err);
        if (id == 0) {
            err_wrap(err, "cannot start git (is it installed?)");
        }
    }
    if (id == 0) {
        child_destroy(child);
    }
    return id;
}
