// SPDX-License-Identifier: Apache-2.0
// Repositories and clusters, from the Secrets that carry the label argocd.argoproj.io/secret-type.
#include "app/settings.h"

#include "base/text.h"

struct app_registry *app_registry_create(void) {
    struct app_registry *registry = NEW(struct app_registry);
    registry->arena = arena_create();
    return registry;
}

void app_registry_destroy(struct app_registry *registry) {
    if (registry) {
        arena_destroy(registry->arena);
        free(registry);
    }
}

struct str app_secret_value(const struct doc_value *secret, const char *key, struct arena *arena) {
    struct str out = {NULL, 0};
    struct str encoded = doc_get_str(secret, "data", key);
    return encoded.n && base64_decode(encoded, arena, &out) ? out : (struct str){NULL, 0};
}

static bool is_true(const struct doc_value *secret, const char *key, struct arena *arena) {
    return str_eq(app_secret_value(secret, key, arena), STR("true"));
}

static struct vcs_access read_access(const struct doc_value *secret, struct arena *arena) {
    struct vcs_access access = {
        .username = app_secret_value(secret, "username", arena),
        .password = app_secret_value(secret, "password", arena),
        .bearer_token = app_secret_value(secret, "bearerToken", arena),
        .ssh_private_key = app_secret_value(secret, "sshPrivateKey", arena),
        .tls_client_cert = app_secret_value(secret, "tlsClientCertData", arena),
        .tls_client_key = app_secret_value(secret, "tlsClientCertKey", arena),
        .proxy = app_secret_value(secret, "proxy", arena),
        .no_proxy = app_secret_value(secret, "noProxy", arena),
        .insecure =
            is_true(secret, "insecure", arena) || is_true(secret, "insecureIgnoreHostKey", arena),
    };
    int64_t depth;
    if (str_to_int64(app_secret_value(secret, "depth", arena), &depth) && depth > 0) {
        access.depth = depth;
    }
    return access;
}

static bool add_repository(struct app_registry *registry, const struct doc_value *secret,
                           bool is_prefix, struct err *err) {
    struct arena *arena = registry->arena;
    struct str url = app_secret_value(secret, "url", arena);
    if (url.n == 0) {
        return err_set(err, ERR_INVALID, "Secret %.*s: the key \"url\" is missing",
                       STR_ARG(doc_get_str(secret, "metadata", "name")));
    }
    size_t n = registry->repository_count;
    registry->repositories =
        arena_grow(arena, registry->repositories, n * sizeof *registry->repositories,
                   (n + 1) * sizeof *registry->repositories);
    registry->repositories[registry->repository_count++] = (struct app_repository){
        .url = is_prefix ? url : vcs_normalize_url(url, arena),
        .is_prefix = is_prefix,
        .type = app_secret_value(secret, "type", arena),
        .project = app_secret_value(secret, "project", arena),
        .name = app_secret_value(secret, "name", arena),
        .access = read_access(secret, arena),
    };
    return true;
}

static bool add_cluster(struct app_registry *registry, const struct doc_value *secret,
                        struct err *err) {
    struct arena *arena = registry->arena;
    struct app_cluster_secret cluster = {
        .name = app_secret_value(secret, "name", arena),
        .server = app_secret_value(secret, "server", arena),
        .config = app_secret_value(secret, "config", arena),
        .namespaces = app_secret_value(secret, "namespaces", arena),
        .version = arena_dup(arena, doc_get_str(secret, "metadata", "resourceVersion")),
    };
    if (cluster.server.n == 0) {
        return err_set(err, ERR_INVALID, "Secret %.*s: the key \"server\" is missing",
                       STR_ARG(doc_get_str(secret, "metadata", "name")));
    }
    size_t n = registry->cluster_count;
    registry->clusters = arena_grow(arena, registry->clusters, n * sizeof *registry->clusters,
                                    (n + 1) * sizeof *registry->clusters);
    registry->clusters[registry->cluster_count++] = cluster;
    return true;
}

bool app_registry_add_secret(struct app_registry *registry, const struct doc_value *secret,
                             struct err *err) {
    struct str type = doc_get_str(secret, "metadata", "labels", "argocd.argoproj.io/secret-type");
    if (str_eq(type, STR("repository")) || str_eq(type, STR("repo-creds"))) {
        return add_repository(registry, secret, str_eq(type, STR("repo-creds")), err);
    }
    return str_eq(type, STR("cluster")) ? add_cluster(registry, secret, err) : true;
}

void app_registry_add_config(struct app_registry *registry, const struct doc_value *config_map) {
    struct str name = doc_get_str(config_map, "metadata", "name");
    struct doc_value data = doc_clone(registry->arena, doc_get(config_map, "data"));
    if (str_eq(name, STR("argocd-ssh-known-hosts-cm"))) {
        registry->known_hosts = doc_get_str(&data, "ssh_known_hosts");
    } else if (str_eq(name, STR("argocd-tls-certs-cm"))) {
        registry->tls_certs = data;
    }
}

static struct str host_of(struct str url) {
    size_t scheme = str_find(url, STR("://"));
    struct str rest = scheme == STR_NPOS ? url : str_skip(url, scheme + 3);
    size_t slash = str_find_char(rest, '/');
    rest = str_first(rest, slash == STR_NPOS ? rest.n : slash);
    size_t at = str_rfind_char(rest, '@');
    rest = at == STR_NPOS ? rest : str_skip(rest, at + 1);
    size_t colon = str_rfind_char(rest, ':');
    return str_first(rest, colon == STR_NPOS ? rest.n : colon);
}

static bool has_credentials(const struct vcs_access *access) {
    return access->username.n || access->password.n || access->bearer_token.n ||
           access->ssh_private_key.n || access->tls_client_cert.n;
}

// Credentials go to no other server: where the prefix is a bare host, the host must end there ("https://example.com" is no
// prefix of "https://example.com.evil.org/").
static bool has_prefix(struct str url, struct str prefix) {
    if (prefix.n == 0 || !str_starts(url, prefix)) {
        return false;
    }
    size_t scheme = str_find(prefix, STR("://"));
    struct str rest = scheme == STR_NPOS ? prefix : str_skip(prefix, scheme + 3);
    bool has_path = str_find_char(rest, '/') != STR_NPOS ||
                    (scheme == STR_NPOS && str_find_char(rest, ':') != STR_NPOS);
    if (has_path || url.n == prefix.n) {
        return true;
    }
    char after = url.p[prefix.n];
    return after == '/' || (after == ':' && scheme == STR_NPOS);
}

struct vcs_access app_registry_access(const struct app_registry *registry, struct str url,
                                      struct arena *arena) {
    struct str normal = vcs_normalize_url(url, arena);
    const struct app_repository *exact = NULL, *prefix = NULL;
    for (size_t i = 0; i < registry->repository_count; i++) {
        const struct app_repository *repository = &registry->repositories[i];
        if (!repository->is_prefix && str_eq(repository->url, normal)) {
            exact = repository;
        } else if (repository->is_prefix &&
                   (has_prefix(url, repository->url) ||
                    has_prefix(normal, vcs_normalize_url(repository->url, arena))) &&
                   (!prefix || prefix->url.n < repository->url.n)) {
            prefix = repository;
        }
    }
    struct vcs_access access = exact ? exact->access : (struct vcs_access){0};
    if (!has_credentials(&access) && prefix) {
        int64_t depth = access.depth;
        bool insecure = access.insecure;
        access = prefix->access;
        access.depth = depth ? depth : access.depth;
        access.insecure = insecure || access.insecure;
    }
    access.known_hosts = registry->known_hosts;
    access.ca = doc_str(doc_find(&registry->tls_certs, host_of(url)));
    return access;
}

const struct app_cluster_secret *app_registry_cluster(const struct app_registry *registry,
                                                      struct str server, struct str name) {
    for (size_t i = 0; i < registry->cluster_count; i++) {
        const struct app_cluster_secret *cluster = &registry->clusters[i];
        if (server.n ? str_eq(cluster->server, server) : str_eq(cluster->name, name)) {
            return cluster;
        }
    }
    return NULL;
}
