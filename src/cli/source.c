// SPDX-License-Identifier: Apache-2.0
#include "cli/source.h"

#include <errno.h>
#include <sys/stat.h>

static bool read_secrets(struct source_access *access, struct err *err) {
    struct connection *c = access->connection;
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = cli_secrets,
                                   .ns = c->ns,
                                   .label_selector = STR("argocd.argoproj.io/secret-type"),
                                   .grace_seconds = -1};
    if (!kube_list_wait(c->loop, c->client, &request, c->arena, &access->secrets,
                        &access->secret_count, err)) {
        return err_wrap(err, "reading the Secrets of repositories");
    }
    for (size_t i = 0; i < access->secret_count; i++) {
        struct err bad = {0}; // one bad Secret is none of the others' business
        if (!app_registry_add_secret(access->registry, &access->secrets[i], &bad)) {
            continue;
        }
    }
    static const char *const maps[] = {"argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm"};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        struct doc_value map;
        struct err missing = {0};
        if (connection_get(c, cli_config_maps, c->ns, str_from(maps[i]), &map, &missing)) {
            app_registry_add_config(access->registry, &map);
        }
    }
    return true;
}

static bool make_folders(char *path, struct err *err) {
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char end = *p;
        *p = '\0';
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (!ok) {
            return err_errno(err, errno, "cannot make the folder %s", path);
        }
        *p = end;
        if (end == '\0') {
            return true;
        }
    }
}

// Of its own: the mirrors of a running controller are its own business.
static const char *cache_folder(struct arena *arena) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    return cache && cache[0] ? arena_printf(arena, "%s/skiff/git", cache).p
                             : arena_printf(arena, "%s/.cache/skiff/git", home ? home : "").p;
}

bool source_access_open(struct source_access *access, struct cli *cli,
                        struct connection *connection, struct err *err) {
    struct doc_value config;
    struct err missing = {0}, bad = {0};
    *access = (struct source_access){.connection = connection, .registry = app_registry_create()};
    bool has_config = connection_get(connection, cli_config_maps, connection->ns, STR("argocd-cm"),
                                     &config, &missing);
    access->settings = app_settings_parse(has_config ? &config : NULL, &bad);
    if (!read_secrets(access, err)) {
        return false;
    }
    const char *folder = cache_folder(cli->arena);
    if (!make_folders(arena_cstr(cli->arena, str_from(folder)), err)) {
        return false;
    }
    struct vcs_options options = {.loop = connection->loop, .dir = folder, .self = cli->self};
    access->vcs = vcs_create(&options, err);
    return access->vcs != NULL;
}

void source_access_close(struct source_access *access) {
    if (access->vcs) {
        access->vcs->ops->destroy(access->vcs);
    }
    app_registry_destroy(access->registry);
    app_settings_unref(access->settings);
}

// ---- Waiting for an answer ----
struct waiting {
    struct loop *loop;
    struct arena *arena;
    struct str sha;
    struct err err;
    bool failed, done;
};

static void answered(struct waiting *w, const struct err *error) {
    w->failed = error != NULL;
    w->done = true;
    if (error) {
        w->err = *error;
    }
    loop_stop(w->loop);
}

static void resolved(void *ctx, struct str sha, const struct err *error) {
    struct waiting *w = ctx;
    w->sha = arena_dup(w->arena, sha);
    answered(w, error);
}

static void checked(void *ctx, const struct err *error) {
    answered(ctx, error);
}

static bool finish(struct waiting *w, struct err *err) {
    while (!w->done) {
        loop_run(w->loop);
    }
    if (w->failed) {
        *err = w->err;
    }
    return !w->failed;
}

bool source_resolve(struct source_access *access, struct str url, struct str revision,
                    struct str *sha, struct err *err) {
    struct connection *c = access->connection;
    struct waiting w = {.loop = c->loop, .arena = c->arena};
    struct vcs_access with = app_registry_access(access->registry, url, c->arena);
    access->vcs->ops->resolve(access->vcs, url, &with, revision.n ? revision : STR("HEAD"), 0,
                              resolved, &w);
    if (!finish(&w, err)) {
        return false;
    }
    *sha = w.sha;
    return true;
}

bool source_check(struct source_access *access, struct str url, const struct vcs_access *with,
                  struct err *err) {
    struct connection *c = access->connection;
    struct waiting w = {.loop = c->loop, .arena = c->arena};
    struct vcs_access own = app_registry_access(access->registry, url, c->arena);
    access->vcs->ops->check(access->vcs, url, with ? with : &own, checked, &w);
    return finish(&w, err);
}
