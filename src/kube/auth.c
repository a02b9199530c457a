// SPDX-License-Identifier: Apache-2.0
// Who we are, asked for each call anew: a fixed token, a user name, a token file that rotates, or a program (exec
// plugin) whose answer is kept until it expires.
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "kube/internal.h"

#define MODULE "kube"

static const int64_t file_check_ns = 10 * NS_PER_SECOND;
static const int64_t exec_timeout_ns = 60 * NS_PER_SECOND;
static const int64_t exec_pause_ns = 10 * NS_PER_SECOND; // between two runs of a program
static const int64_t expiry_margin_ns = 10 * NS_PER_SECOND;

struct waiter {
    loop_fn *fn;
    void *ctx;
};

struct child { // outlives the auth when that goes first
    struct kube_auth *auth;
    uint64_t id;
};

struct file_mark { // how a file looked when it was last read
    struct stat seen;
    bool is_known;
};

struct kube_auth {
    struct loop *loop;
    struct arena *arena;
    struct kube_config config;
    char *authorization; // NULL: none
    // files
    int64_t checked_ns, tls_checked_ns;
    struct file_mark token_mark, tls_marks[3];
    bool tls_checked;
    // exec plugin
    struct child *child;
    int64_t started_ns;
    bool started, valid, failed;
    int64_t expires_ns; // wall clock
    struct err error;
    char *ca, *cert, *key; // NULL: as configured
    uint64_t certificate;
    VEC(struct waiter) waiters;
};

static void set_bearer(struct kube_auth *auth, struct str token) {
    free(TAKE(auth->authorization));
    if (token.n) {
        auth->authorization = xmalloc(token.n + 8);
        memcpy(auth->authorization, "Bearer ", 7);
        memcpy(auth->authorization + 7, token.p, token.n);
        auth->authorization[token.n + 7] = '\0';
    }
}

static bool is_header_safe(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

// ---- Token files ----

static void read_token_file(struct kube_auth *auth) {
    const char *path = auth->config.token_file.p; // NUL-terminated by kube_config_copy
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str token;
    struct err err = {0};
    bool ok = kube_read_file(path, arena, &token, &err);
    token = ok ? str_trim(token) : (struct str){NULL, 0};
    if (ok && (token.n == 0 || token.n > LIMIT_CREDENTIAL_BYTES || !is_header_safe(token))) {
        ok = err_set(&err, ERR_INVALID, "%s holds no token", path);
    }
    if (!ok) { // what we have may still be good
        LOG(LOG_WARN, MODULE, "cannot read the token file", "error", err.message);
        return;
    }
    set_bearer(auth, token);
}

// Did the file change since it was last looked at? Small and local: a stat costs less than the hand-over to a worker.
static bool has_changed(struct file_mark *mark, struct str path) {
    struct stat st;
    if (path.n == 0) {
        return false;
    }
    if (stat(path.p, &st) != 0) {
        LOG(LOG_WARN, MODULE, "a file of credentials is gone", "file", path.p);
        return false;
    }
    bool same = mark->is_known && st.st_mtim.tv_sec == mark->seen.st_mtim.tv_sec &&
                st.st_mtim.tv_nsec == mark->seen.st_mtim.tv_nsec &&
                st.st_ino == mark->seen.st_ino && st.st_size == mark->seen.st_size;
    mark->is_known = true;
    mark->seen = st;
    return !same;
}

static void check_token_file(struct kube_auth *auth, bool now) {
    int64_t time = loop_now(auth->loop);
    if (!now && auth->token_mark.is_known && time - auth->checked_ns < file_check_ns) {
        return;
    }
    auth->checked_ns = time;
    if (has_changed(&auth->token_mark, auth->config.token_file)) {
        read_token_file(auth);
    }
}

// ---- Certificates in files ----

static bool read_tls_files(struct kube_auth *auth, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config read = {.server = auth->config.server, .tls = auth->config.tls};
    struct {
        struct str path;
        struct str *out;
    } files[] = {{auth->config.ca_file, &read.tls.ca},
                 {auth->config.cert_file, &read.tls.cert},
                 {auth->config.key_file, &read.tls.key}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].path.n && !kube_read_file(files[i].path.p, arena, files[i].out, err)) {
            return false;
        }
    }
    if (!kube_config_check(&read, err)) { // half written, perhaps
        return false;
    }
    struct http_tls used = auth->config.tls;
    used.ca = auth->ca ? str_from(auth->ca) : used.ca;
    used.cert = auth->cert ? str_from(auth->cert) : used.cert;
    used.key = auth->key ? str_from(auth->key) : used.key;
    if (str_eq(used.ca, read.tls.ca) && str_eq(used.cert, read.tls.cert) &&
        str_eq(used.key, read.tls.key)) {
        return true;
    }
    if (auth->config.ca_file.n) {
        free(auth->ca);
        auth->ca = xstrdup(read.tls.ca);
    }
    if (auth->config.cert_file.n) {
        free(auth->cert);
        free(auth->key);
        auth->cert = xstrdup(read.tls.cert);
        auth->key = xstrdup(read.tls.key);
    }
    auth->certificate++;
    LOG(LOG_INFO, MODULE, "certificates were read again", "server", auth->config.server.p);
    return true;
}

static void check_tls_files(struct kube_auth *auth) {
    const struct kube_config *config = &auth->config;
    int64_t time = loop_now(auth->loop);
    bool any = config->ca_file.n || config->cert_file.n || config->key_file.n;
    if (!any || (auth->tls_checked && time - auth->tls_checked_ns < file_check_ns)) {
        return;
    }
    auth->tls_checked = true;
    auth->tls_checked_ns = time;
    bool changed = has_changed(&auth->tls_marks[0], config->ca_file);
    changed |= has_changed(&auth->tls_marks[1], config->cert_file);
    changed |= has_changed(&auth->tls_marks[2], config->key_file);
    struct err err = {0};
    if (changed && !read_tls_files(auth, &err)) { // at first, too: the configuration may be old
        // What we have may still be good; the next change of the file is looked at again.
        auth->tls_marks[0].is_known = auth->tls_marks[1].is_known = false;
        auth->tls_marks[2].is_known = false;
        LOG(LOG_WARN, MODULE, "cannot read certificates again", "error", err.message);
    }
}

// ---- exec plugins ----

bool kube_exec_credential_parse(struct str text, struct arena *arena,
                                struct kube_exec_credential *out, struct err *err) {
    struct doc_value root;
    if (!doc_parse_json_copy(text, arena, &root, err)) {
        return err_wrap(err, "its answer");
    }
    if (!str_eq(doc_get_str(&root, "kind"), STR("ExecCredential"))) {
        return err_set(err, ERR_INVALID, "its answer is no ExecCredential");
    }
    struct str version = doc_get_str(&root, "apiVersion");
    if (!str_starts(version, STR("client.authentication.k8s.io/v1"))) {
        return err_set(err, ERR_INVALID, "its answer has the unknown apiVersion \"%.*s\"",
                       STR_ARG(str_first(version, 100)));
    }
    const struct doc_value *status = doc_get(&root, "status");
    struct kube_exec_credential credential = {
        .token = str_trim(doc_get_str(status, "token")),
        .cert = doc_get_str(status, "clientCertificateData"),
        .key = doc_get_str(status, "clientKeyData"),
    };
    struct str expires = doc_get_str(status, "expirationTimestamp");
    if (expires.n && !time_parse(expires, &credential.expires_ns)) {
        return err_set(err, ERR_INVALID,
                       "its answer has the expirationTimestamp \"%.*s\", which "
                       "is no time",
                       STR_ARG(str_first(expires, 60)));
    }
    if (credential.token.n == 0 && credential.cert.n == 0) {
        return err_set(err, ERR_INVALID, "its answer has neither a token nor a certificate");
    }
    if ((credential.cert.n > 0) != (credential.key.n > 0)) {
        return err_set(err, ERR_INVALID,
                       "its answer has a certificate without key, or the other "
                       "way round");
    }
    if (!is_header_safe(credential.token)) {
        return err_set(err, ERR_INVALID, "its token holds control characters");
    }
    *out = credential;
    return true;
}

static void take_certificate(struct kube_auth *auth, const struct kube_exec_credential *from) {
    if (str_eq_c(from->cert, auth->cert ? auth->cert : "") &&
        str_eq_c(from->key, auth->key ? auth->key : "")) {
        return;
    }
    free(auth->cert);
    free(auth->key);
    auth->cert = xstrdup(from->cert);
    auth->key = xstrdup(from->key);
    auth->certificate++;
}

static bool take_exit(struct kube_auth *auth, const struct loop_exit *exit, struct err *err) {
    if (exit->error) {
        *err = *exit->error;
        return false;
    }
    if (exit->status != 0) {
        struct str said = str_first(str_trim(exit->errout), 300);
        return err_set(err, ERR_UNAUTHORIZED, "it ended with status %d%s%.*s", exit->status,
                       said.n ? ": " : "", STR_ARG(said));
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_exec_credential credential;
    if (!kube_exec_credential_parse(exit->out, arena, &credential, err)) {
        return false;
    }
    set_bearer(auth, credential.token);
    take_certificate(auth, &credential);
    auth->expires_ns = credential.expires_ns;
    return true;
}

static void wake_waiters(struct kube_auth *auth) {
    size_t count = auth->waiters.len;
    struct waiter *waiters = TAKE(auth->waiters.items);
    auth->waiters.len = auth->waiters.cap = 0;
    for (size_t i = 0; i < count; i++) {
        waiters[i].fn(waiters[i].ctx);
    }
    free(waiters);
}

static void set_error(struct kube_auth *auth, const struct err *err) {
    auth->error = *err;
    err_wrap(&auth->error, "the credential program %.*s", STR_ARG(auth->config.exec_argv[0]));
    auth->failed = true;
    LOG(LOG_WARN, MODULE, "no credentials", "error", auth->error.message);
}

static void child_exited(void *ctx, const struct loop_exit *exit) {
    struct child *child = ctx;
    struct kube_auth *auth = child->auth;
    free(child);
    if (!auth) {
        return;
    }
    auth->child = NULL;
    struct err err = {0};
    auth->valid = take_exit(auth, exit, &err);
    auth->failed = false;
    if (!auth->valid) {
        set_error(auth, &err);
    }
    wake_waiters(auth);
}

// Our whole environment, as kubectl passes it, with the plugin's own entries over it.
static const char **make_env(struct kube_auth *auth, struct arena *arena) {
    size_t ours = 0;
    while (environ && environ[ours]) {
        ours++;
    }
    const char **env = ARENA_ARRAY(arena, ours + auth->config.exec_env_count + 1, const char *);
    size_t n = 0;
    for (size_t i = 0; i < ours; i++) {
        struct str name, value, other;
        bool replaced = false;
        str_cut(str_from(environ[i]), '=', &name, &value);
        for (size_t j = 0; j < auth->config.exec_env_count; j++) {
            str_cut(auth->config.exec_env[j], '=', &other, &value);
            replaced = replaced || str_eq(name, other);
        }
        if (!replaced) {
            env[n++] = environ[i];
        }
    }
    for (size_t j = 0; j < auth->config.exec_env_count; j++) {
        env[n++] = arena_cstr(arena, auth->config.exec_env[j]);
    }
    return env;
}

static void run_program(struct kube_auth *auth) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const char **argv = ARENA_ARRAY(arena, auth->config.exec_argc + 1, const char *);
    for (size_t i = 0; i < auth->config.exec_argc; i++) {
        argv[i] = arena_cstr(arena, auth->config.exec_argv[i]);
    }
    struct loop_spawn spawn = {
        .argv = argv,
        .env = make_env(auth, arena),
        .max_output = LIMIT_CREDENTIAL_BYTES,
        .timeout_ns = exec_timeout_ns,
    };
    auth->started = true;
    auth->started_ns = loop_now(auth->loop);
    struct err err = {0};
    struct child *child = NEW(struct child);
    child->auth = auth;
    child->id = loop_spawn(auth->loop, &spawn, child_exited, child, &err);
    if (child->id == 0) {
        free(child);
        set_error(auth, &err);
        return;
    }
    auth->child = child;
}

static bool exec_ready(struct kube_auth *auth, const struct err **error) {
    int64_t now = loop_now(auth->loop);
    bool paused = auth->started && now - auth->started_ns < exec_pause_ns;
    if (auth->valid && auth->expires_ns &&
        loop_wall(auth->loop) >= auth->expires_ns - expiry_margin_ns && !paused) {
        auth->valid = false;
    }
    if (auth->valid) {
        return true;
    }
    if (!auth->child && !(auth->failed && paused)) {
        run_program(auth);
    }
    if (!auth->child) {
        *error = &auth->error;
        return true;
    }
    return false;
}

// ---- Entry points ----

bool kube_auth_ready(struct kube_auth *auth, struct str *authorization, const struct err **error) {
    *error = NULL;
    if (auth->config.exec_argc && !exec_ready(auth, error)) {
        return false;
    }
    if (auth->config.token_file.n) {
        check_token_file(auth, false);
    }
    *authorization = str_from(auth->authorization);
    return true;
}

void kube_auth_wait(struct kube_auth *auth, loop_fn *fn, void *ctx) {
    struct waiter waiter = {fn, ctx};
    VEC_PUSH(&auth->waiters, waiter);
}

bool kube_auth_refused(struct kube_auth *auth, struct str sent) {
    if (auth->config.token_file.n) {
        check_token_file(auth, true);
    } else if (auth->config.exec_argc) {
        bool paused = loop_now(auth->loop) - auth->started_ns < exec_pause_ns;
        if (str_eq_c(sent, auth->authorization ? auth->authorization : "") && !paused) {
            auth->valid = false;
            return true;
        }
    }
    return !str_eq_c(sent, auth->authorization ? auth->authorization : "");
}

uint64_t kube_auth_tls(struct kube_auth *auth, struct http_tls *tls) {
    check_tls_files(auth);
    if (auth->ca) {
        tls->ca = str_from(auth->ca);
    }
    if (auth->cert) {
        tls->cert = str_from(auth->cert);
        tls->key = str_from(auth->key);
    }
    return auth->certificate;
}

struct kube_auth *kube_auth_create(struct loop *loop, const struct kube_config *config) {
    struct kube_auth *auth = NEW(struct kube_auth);
    auth->loop = loop;
    auth->arena = arena_create();
    kube_config_copy(auth->arena, &auth->config, config);
    set_bearer(auth, config->token);
    if (config->username.n || config->password.n) {
        struct str pair = arena_printf(auth->arena, "%.*s:%.*s", STR_ARG(config->username),
                                       STR_ARG(config->password));
        struct str value =
            arena_concat(auth->arena, STR("Basic "), base64_encode(auth->arena, pair));
        free(auth->authorization);
        auth->authorization = xstrdup(value);
    }
    return auth;
}

void kube_auth_destroy(struct kube_auth *auth) {
    if (!auth) {
        return;
    }
    if (auth->child) {
        auth->child->auth = NULL;
        loop_kill(auth->loop, auth->child->id);
    }
    VEC_FREE(&auth->waiters);
    free(auth->authorization);
    free(auth->ca);
    free(auth->cert);
    free(auth->key);
    arena_destroy(auth->arena);
    free(auth);
}
