// SPDX-License-Identifier: Apache-2.0
// A destination: its client, what it serves, and a cache of the kinds that applications use there.
#include "app/controller_internal.h"

#include "base/log.h"
#include "base/timefmt.h"
#include "kube/kubeconfig.h"

#define MAPPER_PAUSE_FIRST (200 * NS_PER_MS)
#define MAPPER_PAUSE_MAX (60 * NS_PER_SECOND)
enum { APP_KINDS_CACHED_MAX = 4096 };

static struct str extract(void *ctx, const struct kube_gvr *gvr, const struct doc_value *object,
                          struct arena *arena) {
    struct app_cluster *cluster = ctx;
    return app_tracking_owner(object, cluster->controller->settings->tracking, gvr->group, arena);
}

static void enqueue_tag(struct app_cluster *cluster, struct str tag) {
    struct app_item *item = tag.n ? map_find(cluster->controller->by_instance, tag) : NULL;
    if (item && item->cluster == cluster) {
        app_enqueue(item);
    }
}

static void on_change(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                      const struct kube_object *after, bool initial) {
    struct app_cluster *cluster = ctx;
    if (str_eq(gvr->resource, app_gvr_crds.resource) && str_eq(gvr->group, app_gvr_crds.group) &&
        !initial) {
        app_cluster_refresh(cluster);
    }
    if (initial) {
        return; // on_kind tells when the whole list is there
    }
    if (before) {
        enqueue_tag(cluster, before->tag);
    }
    if (after && (!before || !str_eq(before->tag, after->tag))) {
        enqueue_tag(cluster, after->tag);
    }
    app_pump(cluster->controller);
}

static void enqueue_waiting(struct app_cluster *cluster) {
    struct app_item *item;
    for (size_t i = 0; map_next(cluster->controller->items, &i, NULL, (void **)&item);) {
        if (item->cluster == cluster && item->waits_for_kinds) {
            app_enqueue(item);
        }
    }
    app_pump(cluster->controller);
}

static void on_kind(void *ctx, const struct kube_gvr *gvr, const struct err *error) {
    struct app_cluster *cluster = ctx;
    if (error) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        LOG(LOG_WARN, "app", "cannot watch a kind", "cluster", cluster->server.p, "resource",
            arena_cstr(arena, gvr->resource), "error", error->message);
    }
    enqueue_waiting(cluster);
}

static void refreshed(void *ctx, const struct err *error) {
    struct app_async *async = ctx;
    struct app_cluster *cluster = NULL;
    if (app_async_end(async)) {
        // The cluster outlives its refresh: the mapper tells its waiters before it goes.
        cluster = *(struct app_cluster **)(async + 1);
        if (cluster->is_closing) {
            free(async);
            return;
        }
        cluster->is_refreshing = false;
        cluster->has_error = error && !kube_mapper_is_ready(cluster->mapper);
        if (error) {
            cluster->error = *error;
            cluster->refresh_again = true;
        }
        if (cluster->refresh_again) {
            cluster->refresh_again = false;
            loop_timer_start(cluster->mapper_timer, cluster->mapper_pause);
            cluster->mapper_pause = cluster->mapper_pause * 2 > MAPPER_PAUSE_MAX
                                        ? MAPPER_PAUSE_MAX
                                        : cluster->mapper_pause * 2;
        } else {
            cluster->mapper_pause = MAPPER_PAUSE_FIRST;
        }
        enqueue_waiting(cluster);
    }
    free(async);
}

static void start_refresh(struct app_cluster *cluster) {
    struct app_async *async = xcalloc(1, sizeof *async + sizeof cluster);
    *(struct app_cluster **)(async + 1) = cluster;
    app_async_start(async, cluster->controller, NULL);
    cluster->is_refreshing = true;
    kube_mapper_refresh(cluster->mapper, refreshed, async);
}

static void refresh_due(void *ctx) {
    struct app_cluster *cluster = ctx;
    if (cluster->is_refreshing) {
        cluster->refresh_again = true;
    } else {
        start_refresh(cluster);
    }
}

void app_cluster_refresh(struct app_cluster *cluster) {
    if (cluster->is_refreshing) {
        cluster->refresh_again = true;
    } else if (!loop_timer_is_active(cluster->mapper_timer)) {
        loop_timer_start(cluster->mapper_timer, 20 * NS_PER_MS);
    }
}

static struct kube_client *connect_cluster(struct app_controller *controller,
                                           const struct app_cluster_secret *secret,
                                           struct err *err) {
    if (!controller->options.http) {
        err_set(err, ERR_UNSUPPORTED, "remote clusters are not reachable in this process");
        return NULL;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    if (!kube_config_from_cluster_secret(secret->server, secret->config, arena, &config, err)) {
        if (err) {
            err->code = ERR_UNSUPPORTED; // the Secret is there, but cannot be used
        }
        return NULL;
    }
    struct kube_http_options options = {.config = &config,
                                        .qps = controller->options.qps,
                                        .burst = controller->options.burst,
                                        .user_agent = STR("skiff/" SKIFF_VERSION),
                                        .metrics = controller->options.metrics,
                                        .fence = controller->options.fence};
    return kube_http_client_create(controller->loop, controller->options.http, &options);
}

static struct app_cluster *make(struct app_controller *controller, struct str server,
                                struct str name, const struct app_cluster_secret *secret,
                                bool is_home, struct err *err) {
    struct kube_client *client =
        is_home ? controller->options.home : connect_cluster(controller, secret, err);
    if (!client) {
        return NULL;
    }
    struct app_cluster *cluster = NEW(struct app_cluster);
    cluster->controller = controller;
    cluster->server = (struct str){xstrdup(server), server.n};
    cluster->name = (struct str){xstrdup(name), name.n};
    cluster->version =
        secret ? (struct str){xstrdup(secret->version), secret->version.n} : (struct str){NULL, 0};
    cluster->namespaces = secret ? (struct str){xstrdup(secret->namespaces), secret->namespaces.n}
                                 : (struct str){NULL, 0};
    cluster->client = client;
    cluster->owns_client = !is_home;
    cluster->mapper = kube_mapper_create(client);
    cluster->mapper_timer = loop_timer_create(controller->loop, refresh_due, cluster);
    cluster->mapper_pause = MAPPER_PAUSE_FIRST;
    struct kube_cache_options options = {
        .extract = extract, .on_change = on_change, .on_kind = on_kind, .ctx = cluster};
    cluster->cache = kube_cache_create(controller->loop, client, &options);
    map_put(controller->clusters, server, cluster);
    start_refresh(cluster);
    return cluster;
}

struct app_cluster *app_cluster_get(struct app_controller *controller, struct str server,
                                    struct str name, struct err *err) {
    const struct app_cluster_secret *secret =
        app_registry_cluster(controller->registry, server, name);
    bool is_home =
        str_eq_c(server, APP_HOME_SERVER) || (server.n == 0 && str_eq_c(name, APP_HOME_NAME));
    if (server.n && name.n) {
        err_set(err, ERR_INVALID,
                "application destination can't have both name and server defined: %.*s %.*s",
                STR_ARG(name), STR_ARG(server));
        return NULL;
    }
    if (!is_home && !secret) {
        err_set(err, ERR_NOT_FOUND,
                "application destination: there is no cluster with %s \"%.*s\": add a cluster "
                "Secret for it",
                server.n ? "server" : "name", STR_ARG(server.n ? server : name));
        return NULL;
    }
    struct str key = is_home ? STR(APP_HOME_SERVER) : secret->server;
    struct app_cluster *cluster = map_find(controller->clusters, key);
    if (cluster) {
        return cluster;
    }
    return make(controller, key, is_home ? STR(APP_HOME_NAME) : secret->name, secret, is_home, err);
}

static bool same_gvr(const struct kube_gvr *a, const struct kube_gvr *b) {
    return str_eq(a->resource, b->resource) && str_eq(a->group, b->group) &&
           str_eq(a->version, b->version);
}

// The next of the namespaces "a, b"; false at the end.
static bool next_namespace(struct str *list, struct str *ns) {
    while (list->n) {
        struct str rest = {NULL, 0};
        str_cut(*list, ',', ns, &rest);
        *ns = str_trim(*ns);
        *list = rest;
        if (ns->n) {
            return true;
        }
    }
    return false;
}

bool app_cluster_shows(const struct app_cluster *cluster, struct str ns) {
    struct str list = cluster->namespaces, one;
    if (list.n == 0) {
        return true;
    }
    while (next_namespace(&list, &one)) {
        if (ns.n && str_eq(one, ns)) {
            return true;
        }
    }
    return false;
}

static void tell_cache(struct app_cluster *cluster, const struct app_wanted *wanted,
                       void (*tell)(struct kube_cache *cache, const struct kube_gvr *gvr,
                                    struct str ns, struct str label_selector)) {
    struct str list = wanted->is_namespaced ? cluster->namespaces : (struct str){NULL, 0}, ns;
    if (list.n == 0) {
        tell(cluster->cache, &wanted->gvr, STR(""), STR(""));
    }
    while (next_namespace(&list, &ns)) {
        tell(cluster->cache, &wanted->gvr, ns, STR(""));
    }
}

void app_cluster_want(struct app_item *item, const struct kube_gvr *gvr, bool is_namespaced) {
    for (size_t i = 0; i < item->wanted.len; i++) {
        if (same_gvr(&item->wanted.items[i].gvr, gvr)) {
            return;
        }
    }
    if (item->wanted.len >= APP_KINDS_CACHED_MAX) {
        return;
    }
    // One piece of memory for the three words.
    size_t n = gvr->group.n + gvr->version.n + gvr->resource.n;
    char *text = xmalloc(n + 1);
    struct kube_gvr kept = {{text, gvr->group.n},
                            {text + gvr->group.n, gvr->version.n},
                            {text + gvr->group.n + gvr->version.n, gvr->resource.n}};
    memcpy(text, gvr->group.n ? gvr->group.p : "", gvr->group.n);
    memcpy(text + gvr->group.n, gvr->version.p, gvr->version.n);
    memcpy(text + gvr->group.n + gvr->version.n, gvr->resource.p, gvr->resource.n);
    struct app_wanted wanted = {kept, text, is_namespaced};
    VEC_PUSH(&item->wanted, wanted);
    tell_cache(item->cluster, &wanted, kube_cache_want);
}

static void end_stale(void *ctx) {
    struct app_async *async = ctx;
    if (app_async_end(async)) {
        struct app_cluster *cluster = *(struct app_cluster **)(async + 1);
        struct app_controller *controller = cluster->controller;
        for (size_t i = 0; i < controller->stale_clusters.len; i++) {
            if (controller->stale_clusters.items[i] == cluster) {
                VEC_REMOVE_SWAP(&controller->stale_clusters, i);
                app_cluster_destroy(cluster);
                break;
            }
        }
    }
    free(async);
}

// In a later turn: the last user may go inside a callback of this very connection.
static void end_soon(struct app_cluster *cluster) {
    struct app_async *async = xcalloc(1, sizeof *async + sizeof cluster);
    *(struct app_cluster **)(async + 1) = cluster;
    app_async_start(async, cluster->controller, NULL);
    loop_post(cluster->controller->loop, end_stale, async);
}

static void release(struct app_item *item) {
    struct app_cluster *cluster = item->cluster;
    for (size_t i = 0; i < item->wanted.len; i++) {
        tell_cache(cluster, &item->wanted.items[i], kube_cache_unwant);
        free(item->wanted.items[i].text);
    }
    item->wanted.len = 0;
    item->cluster = NULL;
    if (--cluster->users == 0 && cluster->is_stale && !cluster->controller->is_closing) {
        end_soon(cluster);
    }
}

void app_cluster_use(struct app_item *item, struct app_cluster *cluster) {
    if (item->cluster == cluster) {
        return;
    }
    if (item->cluster) {
        release(item);
    }
    item->cluster = cluster;
    if (cluster) {
        cluster->users++;
    }
}

void app_cluster_check_secrets(struct app_controller *controller) {
    VEC(struct app_cluster *) changed = {0};
    struct app_cluster *cluster;
    for (size_t i = 0; map_next(controller->clusters, &i, NULL, (void **)&cluster);) {
        const struct app_cluster_secret *secret =
            app_registry_cluster(controller->registry, cluster->server, STR(""));
        struct str shown = secret ? secret->namespaces : (struct str){NULL, 0};
        bool is_changed = cluster->owns_client
                              ? !secret || !str_eq(secret->version, cluster->version)
                              : !str_eq(shown, cluster->namespaces);
        if (is_changed) {
            VEC_PUSH(&changed, cluster);
        }
    }
    for (size_t i = 0; i < changed.len; i++) {
        cluster = changed.items[i];
        map_remove(controller->clusters, cluster->server);
        cluster->is_stale = true;
        VEC_PUSH(&controller->stale_clusters, cluster);
        if (cluster->users == 0) {
            end_soon(cluster);
        }
    }
    VEC_FREE(&changed);
}

void app_cluster_destroy(struct app_cluster *cluster) {
    cluster->is_closing = true;
    loop_timer_destroy(cluster->mapper_timer);
    kube_cache_destroy(cluster->cache);
    kube_mapper_destroy(cluster->mapper);
    if (cluster->owns_client) {
        kube_client_destroy(cluster->client);
    }
    free((void *)(uintptr_t)cluster->server.p);
    free((void *)(uintptr_t)cluster->name.p);
    free((void *)(uintptr_t)cluster->version.p);
    free((void *)(uintptr_t)cluster->namespaces.p);
    free(cluster);
}
