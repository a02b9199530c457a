// SPDX-License-Identifier: Apache-2.0
// Renders an Application as the controller does: repository, commit, tree, manifests, namespaces, marks; and reads the
// live objects from the destination.
#include "cli/app_render.h"

#include "app/app.h"
#include "base/file_tree.h"
#include "render/render.h"
#include "sync/sync.h"

struct rendering {
    struct connection *home, target; // `target` is the destination
    const struct doc_value *app;
    const struct app_render_settings *settings;
    struct source_access access;
    struct kube_mapper *mapper;
    struct app_pairs *out;
    struct arena *arena;
};

// ---- The destination ----
static bool open_target(struct rendering *r, struct err *err) {
    const struct doc_value *to = doc_get(r->app, "spec", "destination");
    struct str server = doc_get_str(to, "server"), name = doc_get_str(to, "name");
    r->target = *r->home;
    if (!str_eq(server, STR(APP_HOME_SERVER)) && !str_eq(name, STR(APP_HOME_NAME))) {
        const struct app_cluster_secret *secret =
            app_registry_cluster(r->access.registry, server, name);
        if (!secret) {
            return err_set(err, ERR_NOT_FOUND,
                           "no Secret describes the destination cluster \"%.*s\"; \"cluster list\" "
                           "shows those there are",
                           STR_ARG(server.n ? server : name));
        }
        if (!kube_config_from_cluster_secret(secret->server, secret->config, r->arena,
                                             &r->target.config, err)) {
            return false;
        }
        struct kube_http_options options = {.config = &r->target.config,
                                            .user_agent = STR("skiff/" SKIFF_VERSION)};
        r->target.client = kube_http_client_create(r->home->loop, r->home->http, &options);
    }
    r->mapper = kube_mapper_create(r->target.client);
    return kube_mapper_refresh_wait(r->home->loop, r->mapper, err);
}

// ---- The tree ----
static struct file_tree *open_local(struct rendering *r, struct doc_value *source,
                                    struct err *err) {
    struct str folder = r->settings->local, root = r->settings->local_root, path = STR(".");
    if (root.n) {
        while (root.n > 1 && str_ends(root, STR("/"))) {
            root = str_first(root, root.n - 1);
        }
        path = str_starts(folder, root) ? str_skip(folder, root.n) : folder;
        while (str_starts(path, STR("/"))) {
            path = str_skip(path, 1);
        }
        folder = root;
        path = path.n ? path : STR(".");
    }
    *source = doc_with(r->arena, source, doc_make_str(path), "path");
    struct file_tree *tree = file_tree_open_folder(folder, err);
    if (!tree) {
        err_wrap(err, "--local");
    }
    return tree;
}

static struct file_tree *open_git(struct rendering *r, const struct doc_value *source,
                                  struct str *sha, struct err *err) {
    struct str url = doc_get_str(source, "repoURL");
    struct str revision =
        r->settings->revision.n ? r->settings->revision : doc_get_str(source, "targetRevision");
    if (!source_resolve(&r->access, url, revision, sha, err)) {
        return NULL;
    }
    return r->access.vcs->ops->open_tree(r->access.vcs, url, *sha, err);
}

// ---- Objects ----
static bool add_target(struct rendering *r, const struct doc_value *object, struct err *err) {
    struct app_pair pair = {.kind = doc_get_str(object, "kind"),
                            .name = doc_get_str(object, "metadata", "name"),
                            .target = *object};
    struct str version, written = doc_get_str(object, "metadata", "namespace");
    (void)err;
    kube_split_api_version(doc_get_str(object, "apiVersion"), &pair.group, &version);
    const struct kube_resource *resource =
        kube_mapper_find_kind(r->mapper, (struct kube_gvk){pair.group, version, pair.kind});
    struct str destination = doc_get_str(r->app, "spec", "destination", "namespace");
    if (!resource || resource->namespaced) {
        pair.ns = written.n ? written : destination;
    }
    if (pair.ns.n) {
        pair.target =
            doc_with(r->arena, &pair.target, doc_make_str(pair.ns), "metadata", "namespace");
    } else if (resource && written.n) {
        pair.target = doc_without(r->arena, &pair.target, "metadata", "namespace");
    }
    struct app_name name = app_name_of(r->app);
    pair.target = app_tracking_mark(r->arena, &pair.target, r->access.settings->tracking,
                                    app_instance_name(r->arena, r->home->ns, name.ns, name.name),
                                    pair.group, pair.ns);
    VEC_PUSH(&r->out->items, pair);
    return true;
}

static bool render(struct rendering *r, struct err *err) {
    struct doc_value source = *app_first_source(r->app);
    struct str sha = STR("");
    AUTO(file_tree_destroy)
    struct file_tree *tree =
        r->settings->local.n ? open_local(r, &source, err) : open_git(r, &source, &sha, err);
    struct app_name name = app_name_of(r->app);
    struct render_request request = {.tree = tree,
                                     .source = &source,
                                     .app_name = name.name,
                                     .app_ns = name.ns,
                                     .project = doc_get_str(r->app, "spec", "project"),
                                     .destination_ns =
                                         doc_get_str(r->app, "spec", "destination", "namespace"),
                                     .revision = sha};
    struct render_result result;
    if (!tree || !render_run(&request, r->arena, &result, err)) {
        return false;
    }
    for (size_t i = 0; i < result.object_count; i++) {
        if (!add_target(r, &result.objects[i].object, err)) {
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct rendering *r, const struct doc_value *resource) {
    for (size_t i = 0; i < r->out->items.len; i++) {
        const struct app_pair *pair = &r->out->items.items[i];
        if (str_eq(pair->group, doc_get_str(resource, "group")) &&
            str_eq(pair->kind, doc_get_str(resource, "kind")) &&
            str_eq(pair->ns, doc_get_str(resource, "namespace")) &&
            str_eq(pair->name, doc_get_str(resource, "name"))) {
            return true;
        }
    }
    return false;
}

static bool read_live(struct rendering *r, struct err *err) {
    // What the application has but Git has no more.
    for (DOC_EACH_ITEM(doc_get(r->app, "status", "resources"), resource)) {
        if (!is_wanted(r, resource)) {
            struct app_pair pair = {.group = doc_get_str(resource, "group"),
                                    .kind = doc_get_str(resource, "kind"),
                                    .ns = doc_get_str(resource, "namespace"),
                                    .name = doc_get_str(resource, "name")};
            VEC_PUSH(&r->out->items, pair);
        }
    }
    for (size_t i = 0; i < r->out->items.len; i++) {
        struct app_pair *pair = &r->out->items.items[i];
        struct str group, version;
        kube_split_api_version(doc_get_str(&pair->target, "apiVersion"), &group, &version);
        const struct kube_resource *resource =
            kube_mapper_find_kind(r->mapper, (struct kube_gvk){pair->group, version, pair->kind});
        struct err failure = {0};
        if (resource && !connection_get(&r->target, resource->gvr, pair->ns, pair->name,
                                        &pair->live, &failure)) {
            pair->live = doc_null();
            if (!err_is(&failure, ERR_NOT_FOUND)) {
                *err = failure;
                return err_wrap(err, "reading %.*s \"%.*s\"", STR_ARG(pair->kind),
                                STR_ARG(pair->name));
            }
        }
    }
    return true;
}

// Rules of argocd-cm and of the Application in one list.
static void set_diff_options(struct rendering *r) {
    struct diff_options options = r->access.settings->diff;
    const struct doc_value *rules = doc_get(r->app, "spec", "ignoreDifferences");
    struct diff_ignore *all =
        ARENA_ARRAY(r->arena, options.ignore_count + doc_len(rules), struct diff_ignore);
    for (size_t i = 0; i < options.ignore_count; i++) {
        all[i] = options.ignores[i];
    }
    for (DOC_EACH_ITEM(rules, rule)) {
        const struct doc_value *pointers = doc_get(rule, "jsonPointers");
        struct str *texts = ARENA_ARRAY(r->arena, doc_len(pointers), struct str);
        for (size_t i = 0; i < doc_len(pointers); i++) {
            texts[i] = doc_str(doc_at(pointers, i));
        }
        all[options.ignore_count++] = (struct diff_ignore){.group = doc_get_str(rule, "group"),
                                                           .kind = doc_get_str(rule, "kind"),
                                                           .name = doc_get_str(rule, "name"),
                                                           .ns = doc_get_str(rule, "namespace"),
                                                           .pointers = texts,
                                                           .pointer_count = doc_len(pointers)};
    }
    options.ignores = all;
    r->out->diff = options;
}

// The settings' texts live as long as they do, and they go with the access.
static void keep_diff_options(struct rendering *r) {
    struct diff_ignore *all = ARENA_ARRAY(r->arena, r->out->diff.ignore_count, struct diff_ignore);
    for (size_t i = 0; i < r->out->diff.ignore_count; i++) {
        const struct diff_ignore *from = &r->out->diff.ignores[i];
        struct str *texts = ARENA_ARRAY(r->arena, from->pointer_count, struct str);
        for (size_t k = 0; k < from->pointer_count; k++) {
            texts[k] = arena_dup(r->arena, from->pointers[k]);
        }
        all[i] = (struct diff_ignore){arena_dup(r->arena, from->group),
                                      arena_dup(r->arena, from->kind),
                                      arena_dup(r->arena, from->name),
                                      arena_dup(r->arena, from->ns),
                                      texts,
                                      from->pointer_count};
    }
    r->out->diff.ignores = all;
}

bool app_render_pairs(struct cli *cli, struct connection *connection, const struct doc_value *app,
                      const struct app_render_settings *settings, struct app_pairs *out,
                      struct err *err) {
    struct rendering r = {.home = connection,
                          .target = *connection,
                          .app = app,
                          .settings = settings,
                          .out = out,
                          .arena = cli->arena};
    if (!app_first_source(app)) {
        return err_set(err, ERR_INVALID, "the application has no source");
    }
    if (doc_len(doc_get(app, "spec", "sources")) > 1) {
        return err_set(err, ERR_UNSUPPORTED, "applications with several sources are not supported");
    }
    bool ok = source_access_open(&r.access, cli, connection, err) && open_target(&r, err) &&
              (!settings->want_target || render(&r, err)) &&
              (!settings->want_live || read_live(&r, err));
    if (ok) {
        set_diff_options(&r);
        keep_diff_options(&r);
    }
    if (r.mapper) {
        kube_mapper_destroy(r.mapper);
    }
    if (r.target.client != connection->client) {
        kube_client_destroy(r.target.client);
    }
    source_access_close(&r.access);
    return ok;
}
