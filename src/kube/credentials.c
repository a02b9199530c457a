// SPDX-License-Identifier: Apache-2.0
// What kubeconfig, the service account and cluster Secrets have in common: reading credential files, checking that the
// parts fit together, copying them. What is refused here would otherwise fail later with a worse message.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "kube/internal.h"

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
}

bool kube_read_file(const char *path, struct arena *arena, struct str *out, struct err *err) {
    // O_NONBLOCK: a named pipe must not stop the loop.
    __attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_errno(err, errno, "cannot open %s", path);
    }
    AUTO_BUF struct buf content;
    buf_init(&content, LIMIT_KUBECONFIG_BYTES);
    for (;;) {
        if (!buf_reserve(&content, 1)) {
            return err_set(err, ERR_LIMIT, "%s is larger than LIMIT_KUBECONFIG_BYTES (%d)", path,
                           LIMIT_KUBECONFIG_BYTES);
        }
        ssize_t n = read(fd, content.data + content.len, content.cap - 1 - content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, errno, "cannot read %s", path);
        }
        if (n == 0) {
            break;
        }
        content.len += (size_t)n;
        content.data[content.len] = '\0';
    }
    *out = arena_dup(arena, buf_str(&content));
    return true;
}

static bool has_control(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool check_pem(const char *what, struct str pem, struct err *err) {
    if (pem.n > LIMIT_CREDENTIAL_BYTES * 4) {
        return err_set(err, ERR_LIMIT, "the %s is larger than %d bytes", what,
                       LIMIT_CREDENTIAL_BYTES * 4);
    }
    if (pem.n && !str_has(pem, STR("-----BEGIN "))) {
        return err_set(err, ERR_INVALID, "the %s is not PEM (no \"-----BEGIN\" line)", what);
    }
    return true;
}

static bool check_server(struct str server, struct err *err) {
    if (server.n == 0) {
        return err_set(err, ERR_INVALID, "the server's address is missing");
    }
    bool scheme = str_starts(server, STR("https://")) || str_starts(server, STR("http://"));
    struct str rest = str_skip(server, str_starts(server, STR("https://")) ? 8 : 7);
    if (!scheme || rest.n == 0 || rest.p[0] == '/' || has_control(server) ||
        str_find_char(server, ' ') != STR_NPOS) {
        return err_set(err, ERR_INVALID, "server \"%.*s\" is no address like https://host:port",
                       STR_ARG(server));
    }
    if (str_find_char(rest, '@') != STR_NPOS || str_find_char(rest, '?') != STR_NPOS ||
        str_find_char(rest, '#') != STR_NPOS) {
        return err_set(err, ERR_INVALID,
                       "the server's address must not hold a user, a query or a fragment");
    }
    return true;
}

static bool check_proxy(struct str proxy, struct err *err) {
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    if (proxy.n == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_starts(proxy, str_from(schemes[i])) && !has_control(proxy)) {
            return true;
        }
    }
    return err_set(err, ERR_INVALID,
                   "the proxy's address must begin with http://, https:// or socks5://");
}

bool kube_config_check(const struct kube_config *config, struct err *err) {
    const struct http_tls *tls = &config->tls;
    if (!check_server(config->server, err) || !check_proxy(config->proxy, err) ||
        !check_pem("certificate authority", tls->ca, err) ||
        !check_pem("client certificate", tls->cert, err) ||
        !check_pem("client key", tls->key, err)) {
        return false;
    }
    if (tls->insecure && tls->ca.n) {
        return err_set(err, ERR_INVALID,
                       "a certificate authority and insecure-skip-tls-verify exclude each other");
    }
    if ((tls->cert.n > 0) != (tls->key.n > 0)) {
        return err_set(err, ERR_INVALID,
                       "a client certificate and its key go together: the %s is "
                       "missing",
                       tls->cert.n ? "key" : "certificate");
    }
    if (config->token.n > LIMIT_CREDENTIAL_BYTES) {
        return err_set(err, ERR_LIMIT, "the token is larger than LIMIT_CREDENTIAL_BYTES (%d)",
                       LIMIT_CREDENTIAL_BYTES);
    }
    if (has_control(config->token)) {
        return err_set(err, ERR_INVALID, "the token holds line breaks or control characters");
    }
    if (has_control(config->username) || has_control(config->password) ||
        str_find_char(config->username, ':') != STR_NPOS) {
        return err_set(err, ERR_INVALID,
                       "user name or password hold characters that HTTP cannot "
                       "carry");
    }
    if ((config->username.n || config->password.n) &&
        (config->token.n || config->token_file.n || config->exec_argc)) {
        return err_set(err, ERR_INVALID, "a token and a user name exclude each other");
    }
    bool bad = has_control(config->as_user) || has_control(config->as_uid) ||
               has_control(tls->server_name);
    for (size_t i = 0; i < config->as_group_count; i++) {
        bad = bad || has_control(config->as_groups[i]);
    }
    if (bad) {
        return err_set(err, ERR_INVALID,
                       "tls-server-name or as, as-uid, as-groups hold control "
                       "characters");
    }
    if (config->as_user.n == 0 && (config->as_uid.n || config->as_group_count)) {
        return err_set(err, ERR_INVALID, "as-uid and as-groups need \"as\"");
    }
    return true;
}

static const struct str *copy_list(struct arena *arena, const struct str *from, size_t count) {
    struct str *out = ARENA_ARRAY(arena, count ? count : 1, struct str);
    for (size_t i = 0; i < count; i++) {
        out[i] = arena_dup(arena, from[i]);
    }
    return out;
}

void kube_config_copy(struct arena *arena, struct kube_config *out,
                      const struct kube_config *from) {
    *out = *from;
    struct str *const texts[] = {
        &out->server,          &out->tls.ca,   &out->tls.cert,  &out->tls.key,
        &out->tls.server_name, &out->proxy,    &out->token,     &out->token_file,
        &out->username,        &out->password, &out->ns,        &out->as_user,
        &out->as_uid,          &out->ca_file,  &out->cert_file, &out->key_file,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = texts[i]->n ? arena_dup(arena, *texts[i]) : (struct str){NULL, 0};
    }
    out->as_groups = copy_list(arena, from->as_groups, from->as_group_count);
    out->exec_argv = copy_list(arena, from->exec_argv, from->exec_argc);
    out->exec_env = copy_list(arena, from->exec_env, from->exec_env_count);
}

// ---- In a cluster ----

bool kube_config_in_cluster_at(const char *folder, const char *host, const char *port,
                               struct arena *arena, struct kube_config *out, struct err *err) {
    if (!host || !*host || !port || !*port) {
        return err_set(err, ERR_NOT_FOUND,
                       "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are "
                       "not set");
    }
    struct kube_config config = {0};
    bool v6 = strchr(host, ':') != NULL;
    config.server = arena_printf(arena, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    config.token_file = arena_printf(arena, "%s/token", folder);
    struct str token, ns;
    if (!kube_read_file(config.token_file.p, arena, &token, err)) {
        return err_wrap(err, "the service account's token");
    }
    config.token = str_trim(token);
    char *ca = arena_cstr(arena, arena_printf(arena, "%s/ca.crt", folder));
    struct err ignored = {0};
    // Without one the system's authorities are used, as client-go does.
    if (kube_read_file(ca, arena, &config.tls.ca, &ignored)) {
        config.ca_file = str_from(ca);
    } else {
        config.tls.ca = (struct str){NULL, 0};
    }
    char *ns_path = arena_cstr(arena, arena_printf(arena, "%s/namespace", folder));
    if (kube_read_file(ns_path, arena, &ns, &ignored)) {
        config.ns = str_trim(ns);
    }
    if (!kube_config_check(&config, err)) {
        return err_wrap(err, "the service account");
    }
    *out = config;
    return true;
}

bool kube_config_in_cluster(struct arena *arena, struct kube_config *out, struct err *err) {
    return kube_config_in_cluster_at("/var/run/secrets/kubernetes.io/serviceaccount",
                                     getenv("KUBERNETES_SERVICE_HOST"),
                                     getenv("KUBERNETES_SERVICE_PORT"), arena, out, err);
}

// ---- Argo CD's cluster Secrets ----

struct fields {
    const struct doc_value *object;
    const char *path; // "config" or "config.tlsClientConfig"
    struct arena *arena;
    struct err *err;
};

static bool take_str(const struct fields *f, const char *name, struct str *out) {
    const struct doc_value *v = doc_find(f->object, str_from(name));
    if (doc_is_null(v)) {
        return true;
    }
    if (!doc_is(v, DOC_STRING)) {
        return err_set(f->err, ERR_INVALID, "%s.%s must be a string, not %s", f->path, name,
                       doc_kind_name(doc_kind(v)));
    }
    *out = arena_dup(f->arena, doc_str(v));
    return true;
}

static bool take_data(const struct fields *f, const char *name, struct str *out) {
    struct str text = {0};
    if (!take_str(f, name, &text)) {
        return false;
    }
    if (text.n && !base64_decode(text, f->arena, out)) {
        return err_set(f->err, ERR_INVALID, "%s.%s must be PEM text in base64%s", f->path, name,
                       str_has(text, STR("-----BEGIN")) ? " (it is PEM: encode it once more)" : "");
    }
    return true;
}

static bool take_bool(const struct fields *f, const char *name, bool *out) {
    const struct doc_value *v = doc_find(f->object, str_from(name));
    if (!doc_is_null(v) && !doc_is(v, DOC_BOOL)) {
        return err_set(f->err, ERR_INVALID, "%s.%s must be true or false", f->path, name);
    }
    *out = doc_bool(v, false);
    return true;
}

static bool refuse_programs(const struct doc_value *root, struct err *err) {
    static const char *const names[] = {"execProviderConfig", "awsAuthConfig"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct doc_value *v = doc_find(root, str_from(names[i]));
        if (!doc_is_null(v)) {
            return err_set(err, ERR_UNSUPPORTED,
                           "config.%s is refused: a Secret must not run a program here; use "
                           "bearerToken or tlsClientConfig.certData and keyData",
                           names[i]);
        }
    }
    return true;
}

static bool take_cluster_config(const struct doc_value *root, struct arena *arena,
                                struct kube_config *out, struct err *err) {
    bool ignored;
    const struct doc_value *tls = doc_get(root, "tlsClientConfig");
    if (!doc_is_null(tls) && !doc_is(tls, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID, "config.tlsClientConfig must be an object");
    }
    struct fields f = {root, "config", arena, err};
    struct fields t = {tls, "config.tlsClientConfig", arena, err};
    return refuse_programs(root, err) && take_str(&f, "username", &out->username) &&
           take_str(&f, "password", &out->password) && take_str(&f, "bearerToken", &out->token) &&
           take_str(&f, "proxyUrl", &out->proxy) && take_bool(&f, "disableCompression", &ignored) &&
           take_bool(&t, "insecure", &out->tls.insecure) &&
           take_str(&t, "serverName", &out->tls.server_name) &&
           take_data(&t, "caData", &out->tls.ca) && take_data(&t, "certData", &out->tls.cert) &&
           take_data(&t, "keyData", &out->tls.key);
}

static struct str without_slash(struct str url) {
    while (url.n && url.p[url.n - 1] == '/') {
        url.n--;
    }
    return url;
}

bool kube_config_from_cluster_secret(struct str server, struct str config_json, struct arena *arena,
                                     struct kube_config *out, struct err *err) {
    struct kube_config config = {.server = arena_dup(arena, without_slash(str_trim(server)))};
    config_json = str_trim(config_json);
    if (config_json.n > LIMIT_KUBECONFIG_BYTES) {
        return err_set(err, ERR_LIMIT, "config is larger than LIMIT_KUBECONFIG_BYTES (%d)",
                       LIMIT_KUBECONFIG_BYTES);
    }
    if (config_json.n) {
        struct doc_value root;
        if (!doc_parse_json_copy(config_json, arena, &root, err)) {
            return err_wrap(err, "config");
        }
        if (!doc_is(&root, DOC_OBJECT)) {
            return err_set(err, ERR_INVALID, "config must be a JSON object, not %s",
                           doc_kind_name(doc_kind(&root)));
        }
        if (!take_cluster_config(&root, arena, &config, err)) {
            return false;
        }
        config.token = str_trim(config.token);
    }
    if (!kube_config_check(&config, err)) {
        return false;
    }
    *out = config;
    return true;
}
