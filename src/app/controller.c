// SPDX-License-Identifier: Apache-2.0
// Creation and end of the controller, the objects it watches at home, and the queue of applications.
#include "app/controller_internal.h"

#include "app/job.h"
#include "base/log.h"
#include "base/timefmt.h"

enum { SETTINGS_DELAY_MS = 20 };

const struct kube_gvr app_gvr_applications = {STR_INIT("argoproj.io"), STR_INIT("v1alpha1"),
                                              STR_INIT("applications")};
const struct kube_gvr app_gvr_projects = {STR_INIT("argoproj.io"), STR_INIT("v1alpha1"),
                                          STR_INIT("appprojects")};
const struct kube_gvr app_gvr_secrets = {STR_INIT(""), STR_INIT("v1"), STR_INIT("secrets")};
const struct kube_gvr app_gvr_config_maps = {STR_INIT(""), STR_INIT("v1"), STR_INIT("configmaps")};
const struct kube_gvr app_gvr_namespaces = {STR_INIT(""), STR_INIT("v1"), STR_INIT("namespaces")};
const struct kube_gvr app_gvr_crds = {STR_INIT("apiextensions.k8s.io"), STR_INIT("v1"),
                                      STR_INIT("customresourcedefinitions")};

static bool is_gvr(const struct kube_gvr *a, const struct kube_gvr *b) {
    return str_eq(a->resource, b->resource) && str_eq(a->group, b->group);
}

// ---- Items ----
static void timer_due(void *ctx) {
    app_enqueue(ctx);
    app_pump(((struct app_item *)ctx)->controller);
}

static struct app_item *item_create(struct app_controller *controller, struct str ns,
                                    struct str name) {
    struct app_item *item = NEW(struct app_item);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str key = arena_printf(arena, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name));
    item->controller = controller;
    item->key = (struct str){xstrdup(key), key.n};
    item->ns = (struct str){xstrdup(ns), ns.n};
    item->name = (struct str){xstrdup(name), name.n};
    item->timer = loop_timer_create(controller->loop, timer_due, item);
    map_put(controller->items, key, item);
    map_put(controller->by_instance, app_instance_name(arena, controller->ns, ns, name), item);
    return item;
}

static void item_destroy(struct app_item *item) {
    struct app_controller *controller = item->controller;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    map_remove(controller->items, item->key);
    map_remove(controller->by_instance,
               app_instance_name(arena, controller->ns, item->ns, item->name));
    struct app_source *sources[] = {item->source, item->operation_source};
    item->source = item->operation_source = NULL;
    if (sources[0]) {
        app_source_detach(sources[0], item);
    }
    if (sources[1] && sources[1] != sources[0]) {
        app_source_detach(sources[1], item);
    }
    app_cluster_use(item, NULL);
    app_drop_manifests(item);
    app_job_destroy(item->job);
    for (size_t i = 0; i < item->results.len; i++) {
        free(item->results.items[i].text);
    }
    VEC_FREE(&item->results);
    VEC_FREE(&item->wanted);
    loop_timer_destroy(item->timer);
    free(item->render_error);
    free((void *)(uintptr_t)item->key.p);
    free((void *)(uintptr_t)item->ns.p);
    free((void *)(uintptr_t)item->name.p);
    free(item);
}

struct blob *app_item_text(struct app_item *item) {
    return kube_cache_text(item->controller->home, &app_gvr_applications, item->ns, item->name);
}

struct blob *app_project_text(struct app_controller *controller, struct str name) {
    return kube_cache_text(controller->home, &app_gvr_projects, controller->ns, name);
}

void app_requeue_in(struct app_item *item, int64_t ns) {
    loop_timer_start(item->timer, ns);
}

// ---- The queue: each application at most once, in order of arrival ----
void app_enqueue(struct app_item *item) {
    if (item->state != ITEM_IDLE) {
        item->is_again = true;
        return;
    }
    if (!item->is_queued) {
        item->is_queued = true;
        VEC_PUSH(&item->controller->queue, item);
    }
}

// What was just rendered goes first: were all applications rendered before any is planned, their manifests would have to be
// kept together, or be evicted and rendered again without end.
static void enqueue_first(struct app_item *item) {
    struct app_controller *controller = item->controller;
    if (item->state == ITEM_IDLE && !item->is_queued && controller->queue_head > 0) {
        item->is_queued = true;
        controller->queue.items[--controller->queue_head] = item;
    } else {
        app_enqueue(item);
    }
}

static struct app_item *dequeue(struct app_controller *controller) {
    if (controller->queue_head == controller->queue.len) {
        controller->queue_head = controller->queue.len = 0;
        return NULL;
    }
    struct app_item *item = controller->queue.items[controller->queue_head++];
    if (controller->queue_head > 1024 && controller->queue_head * 2 > controller->queue.len) {
        size_t left = controller->queue.len - controller->queue_head;
        memmove(controller->queue.items, controller->queue.items + controller->queue_head,
                left * sizeof item);
        controller->queue_head = 0;
        controller->queue.len = left;
    }
    item->is_queued = false;
    return item;
}

void app_item_settle(struct app_item *item) {
    struct app_controller *controller = item->controller;
    bool is_rendered = item->state == ITEM_RENDERING;
    if (item->state != ITEM_IDLE) {
        controller->busy--;
    }
    item->state = ITEM_IDLE;
    if (item->is_gone && !app_item_text(item)) {
        if (!item->is_queued) {
            item_destroy(item);
        }
    } else if (item->is_again) {
        item->is_again = false;
        if (is_rendered) {
            enqueue_first(item);
        } else {
            app_enqueue(item);
        }
    }
    app_pump(controller);
}

static void run_queue(void *ctx) {
    struct app_async *async = ctx;
    if (app_async_end(async)) {
        struct app_controller *controller = async->controller;
        struct app_item *item;
        enum { TURN = 8 }; // applications started in one turn of the loop
        controller->is_pumping = false;
        for (int i = 0;
             i < TURN && controller->busy < APP_PARALLEL_JOBS && (item = dequeue(controller));
             i++) {
            item->is_again = false;
            app_reconcile(item);
        }
        app_pump(controller);
    }
    free(async);
}

void app_pump(struct app_controller *controller) {
    if (controller->is_pumping || !controller->has_settings ||
        controller->busy >= APP_PARALLEL_JOBS || controller->queue_head == controller->queue.len) {
        return;
    }
    controller->is_pumping = true;
    struct app_async *async = NEW(struct app_async);
    app_async_start(async, controller, NULL);
    loop_post(controller->loop, run_queue, async);
}

static void enqueue_all(struct app_controller *controller) {
    struct app_item *item;
    for (size_t i = 0; map_next(controller->items, &i, NULL, (void **)&item);) {
        app_enqueue(item);
    }
    app_pump(controller);
}

// ---- Settings ----
static void
read_objects(struct app_controller *controller, const struct kube_gvr *gvr, struct arena *arena,
             void (*take)(struct app_controller *controller, struct app_registry *registry,
                          const struct doc_value *object, struct app_settings **settings),
             struct app_registry *registry, struct app_settings **settings) {
    const struct kube_object *object;
    for (size_t i = 0; kube_cache_next(controller->home, gvr, &i, &object);) {
        struct blob *text = kube_cache_text(controller->home, gvr, object->ns, object->name);
        struct doc_value value;
        if (text && doc_parse_json_copy(blob_str(text), arena, &value, NULL)) {
            take(controller, registry, &value, settings);
        }
        blob_unref(text);
    }
}

static void take_config_map(struct app_controller *controller, struct app_registry *registry,
                            const struct doc_value *object, struct app_settings **settings) {
    if (str_eq(doc_get_str(object, "metadata", "name"), STR("argocd-cm"))) {
        struct err err = {0};
        app_settings_unref(*settings);
        *settings = app_settings_parse(object, &err);
        if (err.code != ERR_NONE) {
            LOG(LOG_WARN, "app", "settings", "error", err.message);
        }
    }
    app_registry_add_config(registry, object);
}

static void take_webhook_secrets(struct app_controller *controller,
                                 const struct doc_value *object) {
    static const char *const keys[] = {"webhook.github.secret", "webhook.gogs.secret"};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str value = app_secret_value(object, keys[i], arena);
        free(controller->webhook_secrets[i]);
        controller->webhook_secrets[i] = value.n ? xstrdup(value) : NULL;
    }
}

static void take_secret(struct app_controller *controller, struct app_registry *registry,
                        const struct doc_value *object, struct app_settings **settings) {
    (void)settings;
    struct err err = {0};
    if (str_eq(doc_get_str(object, "metadata", "name"), STR("argocd-secret"))) {
        take_webhook_secrets(controller, object);
    }
    if (!app_registry_add_secret(registry, object, &err)) {
        LOG(LOG_WARN, "app", "Secret left out", "error", err.message);
    }
}

static void load_settings(void *ctx) {
    struct app_controller *controller = ctx;
    if (!app_controller_is_ready(controller)) {
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct app_registry *registry = app_registry_create();
    struct app_settings *settings = app_settings_parse(NULL, NULL);
    read_objects(controller, &app_gvr_config_maps, arena, take_config_map, registry, &settings);
    read_objects(controller, &app_gvr_secrets, arena, take_secret, registry, &settings);
    app_registry_destroy(controller->registry);
    app_settings_unref(controller->settings);
    controller->registry = registry;
    controller->settings = settings;
    controller->has_settings = true;
    app_cluster_check_secrets(controller);
    struct app_source *source;
    for (size_t i = 0; map_next(controller->sources, &i, NULL, (void **)&source);) {
        if (source->has_error) {
            app_source_refresh(source); // a credential may have come
        }
    }
    enqueue_all(controller);
}

static void settings_changed(struct app_controller *controller) {
    loop_timer_start(controller->settings_timer, SETTINGS_DELAY_MS * NS_PER_MS);
}

// ---- What happens at home ----
static void on_application(struct app_controller *controller, const struct kube_object *before,
                           const struct kube_object *after) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const struct kube_object *object = after ? after : before;
    struct str key = arena_printf(arena, "%.*s/%.*s", STR_ARG(object->ns), STR_ARG(object->name));
    struct app_item *item = map_find(controller->items, key);
    if (!item && after) {
        item = item_create(controller, object->ns, object->name);
    }
    if (item) {
        item->is_gone = !after;
        app_enqueue(item);
    }
    app_pump(controller);
}

static void on_change(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                      const struct kube_object *after, bool initial) {
    struct app_controller *controller = ctx;
    if (is_gvr(gvr, &app_gvr_applications)) {
        on_application(controller, before, after);
    } else if (!initial && is_gvr(gvr, &app_gvr_projects)) {
        enqueue_all(controller);
    } else if (!initial) {
        settings_changed(controller);
    }
}

static void on_kind(void *ctx, const struct kube_gvr *gvr, const struct err *error) {
    struct app_controller *controller = ctx;
    if (error) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        LOG(LOG_WARN, "app", "cannot watch", "resource", arena_cstr(arena, gvr->resource), "error",
            error->message);
    } else if (!controller->has_settings && app_controller_is_ready(controller)) {
        settings_changed(controller);
    }
}

struct app_controller *app_controller_create(const struct app_options *options) {
    struct app_controller *controller = NEW(struct app_controller);
    controller->options = *options;
    controller->loop = options->loop;
    controller->ns_text = xstrdup(options->ns.n ? options->ns : STR("argocd"));
    controller->ns = str_from(controller->ns_text);
    controller->items = map_create();
    controller->by_instance = map_create();
    controller->sources = map_create();
    controller->clusters = map_create();
    controller->settings = app_settings_parse(NULL, NULL);
    controller->registry = app_registry_create();
    controller->settings_timer = loop_timer_create(options->loop, load_settings, controller);
    controller->metrics = app_metrics_create(controller);
    struct kube_cache_options cache = {
        .on_change = on_change, .on_kind = on_kind, .ctx = controller};
    controller->home = kube_cache_create(options->loop, options->home, &cache);
    const struct kube_gvr *kinds[] = {&app_gvr_projects, &app_gvr_secrets, &app_gvr_config_maps,
                                      &app_gvr_applications};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kube_cache_want(controller->home, kinds[i], controller->ns, STR(""));
    }
    return controller;
}

bool app_controller_is_ready(const struct app_controller *controller) {
    return kube_cache_is_synced(controller->home, &app_gvr_projects) &&
           kube_cache_is_synced(controller->home, &app_gvr_secrets) &&
           kube_cache_is_synced(controller->home, &app_gvr_config_maps) &&
           kube_cache_is_synced(controller->home, &app_gvr_applications);
}

bool app_controller_is_idle(const struct app_controller *controller) {
    return controller->has_settings && controller->busy == 0 &&
           controller->queue_head == controller->queue.len && !controller->asyncs;
}

void app_controller_pushed(struct app_controller *controller, const struct vcs_push *push) {
    struct app_source *source;
    for (size_t i = 0; map_next(controller->sources, &i, NULL, (void **)&source);) {
        if (vcs_push_matches(push, source->url, source->revision)) {
            controller->options.vcs->ops->invalidate(controller->options.vcs, source->url);
            app_source_refresh(source);
        }
    }
}

struct str app_controller_webhook_secret(const struct app_controller *controller, const char *key) {
    return str_from(controller->webhook_secrets[strcmp(key, "webhook.gogs.secret") == 0]);
}

void app_controller_destroy(struct app_controller *controller) {
    if (!controller) {
        return;
    }
    controller->is_closing = true;
    app_async_cut_all(controller);
    struct vcs *vcs = controller->options.vcs;
    if (vcs && vcs->ops->unwatch) { // it may serve another controller after this one
        vcs->ops->unwatch(vcs, controller);
    }
    void *value;
    for (size_t i; i = 0, map_next(controller->items, &i, NULL, &value);) {
        item_destroy(value);
    }
    for (size_t i; i = 0, map_next(controller->sources, &i, NULL, &value);) {
        map_remove(controller->sources, ((struct app_source *)value)->key);
        app_source_destroy(value);
    }
    for (size_t i = 0; map_next(controller->clusters, &i, NULL, &value);) {
        app_cluster_destroy(value);
    }
    for (size_t i = 0; i < controller->stale_clusters.len; i++) {
        app_cluster_destroy(controller->stale_clusters.items[i]);
    }
    VEC_FREE(&controller->stale_clusters);
    kube_cache_destroy(controller->home);
    app_metrics_destroy(controller->metrics);
    loop_timer_destroy(controller->settings_timer);
    app_settings_unref(controller->settings);
    app_registry_destroy(controller->registry);
    map_destroy(controller->items);
    map_destroy(controller->by_instance);
    map_destroy(controller->sources);
    map_destroy(controller->clusters);
    VEC_FREE(&controller->queue);
    free(controller->webhook_secrets[0]);
    free(controller->webhook_secrets[1]);
    free(controller->ns_text);
    free(controller);
}
