// SPDX-License-Identifier: Apache-2.0
// Argo CD's metric names and labels, so that its dashboards and alerts go on working.
#include "app/controller_internal.h"

struct app_metrics {
    struct app_controller *controller;
    struct metric *info, *reconcile, *sync_total, *cluster_info, *cluster_objects, *queue;
};

static void print_info(struct app_metrics *m, struct app_item *item) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct blob *text = app_item_text(item);
    struct doc_value app;
    if (text && doc_parse_json(blob_str(text), arena, &app, NULL)) {
        const struct doc_value *sync = doc_get(&app, "status", "sync");
        struct str health = doc_get_str(&app, "status", "health", "status");
        struct str status = doc_get_str(sync, "status");
        struct str values[] = {item->ns,
                               item->name,
                               doc_get_str(&app, "spec", "project"),
                               doc_get_str(&app, "spec", "source", "repoURL"),
                               item->cluster ? item->cluster->server : STR(""),
                               doc_get_str(&app, "spec", "destination", "namespace"),
                               status.n ? status : STR("Unknown"),
                               health.n ? health : STR("Unknown")};
        metric_set(m->info, values, 1);
    }
    blob_unref(text);
}

static void collect(void *ctx) {
    struct app_metrics *m = ctx;
    struct app_controller *controller = m->controller;
    if (!controller) {
        return;
    }
    metric_clear(m->info);
    metric_clear(m->cluster_info);
    metric_clear(m->cluster_objects);
    void *value;
    for (size_t i = 0; map_next(controller->items, &i, NULL, &value);) {
        print_info(m, value);
    }
    for (size_t i = 0; map_next(controller->clusters, &i, NULL, &value);) {
        struct app_cluster *cluster = value;
        metric_set(m->cluster_info, (struct str[]){cluster->server, cluster->name}, 1);
        metric_set(m->cluster_objects, &cluster->server, (double)kube_cache_count(cluster->cache));
    }
    metric_set(m->queue, (struct str[]){STR("app_reconciliation_queue")},
               (double)(controller->queue.len - controller->queue_head));
}

struct app_metrics *app_metrics_create(struct app_controller *controller) {
    struct metrics *registry = controller->options.metrics;
    if (!registry) {
        return NULL;
    }
    struct app_metrics *m = NEW(struct app_metrics);
    static const double buckets[] = {0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 0};
    m->controller = controller;
    m->info = metrics_register(
        registry, METRIC_GAUGE, "argocd_app_info", "Information about an application.",
        (const char *const[]){"namespace", "name", "project", "repo", "dest_server",
                              "dest_namespace", "sync_status", "health_status", NULL},
        NULL);
    m->reconcile =
        metrics_register(registry, METRIC_HISTOGRAM, "argocd_app_reconcile",
                         "Reconciliation time of applications, in seconds.",
                         (const char *const[]){"namespace", "dest_server", NULL}, buckets);
    m->sync_total = metrics_register(
        registry, METRIC_COUNTER, "argocd_app_sync_total",
        "Number of application syncs that ended.",
        (const char *const[]){"namespace", "name", "project", "dest_server", "phase", NULL}, NULL);
    m->cluster_info = metrics_register(registry, METRIC_GAUGE, "argocd_cluster_info",
                                       "Information about a cluster.",
                                       (const char *const[]){"server", "name", NULL}, NULL);
    m->cluster_objects =
        metrics_register(registry, METRIC_GAUGE, "argocd_cluster_api_resource_objects",
                         "Number of objects held in the cache of a cluster.",
                         (const char *const[]){"server", NULL}, NULL);
    m->queue = metrics_register(registry, METRIC_GAUGE, "workqueue_depth",
                                "Number of items waiting in a queue.",
                                (const char *const[]){"name", NULL}, NULL);
    metrics_on_collect(registry, collect, m);
    return m;
}

void app_metrics_destroy(struct app_metrics *metrics) {
    if (metrics) {
        metrics_off_collect(metrics->controller->options.metrics, collect, metrics);
        free(metrics);
    }
}

void app_metrics_reconciled(struct app_item *item, struct str server, int64_t took_ns) {
    struct app_metrics *m = item->controller->metrics;
    if (m) {
        metric_observe(m->reconcile, (struct str[]){item->ns, server}, (double)took_ns / 1e9);
    }
}

void app_metrics_synced(struct app_item *item, struct str phase, struct str project,
                        struct str server) {
    struct app_metrics *m = item->controller->metrics;
    if (m && !str_eq(phase, STR("Running"))) {
        metric_add(m->sync_total, (struct str[]){item->ns, item->name, project, server, phase}, 1);
    }
}
