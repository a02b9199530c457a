// SPDX-License-Identifier: Apache-2.0
// The end of an Application: with Argo CD's finalizer its objects go first, those that carry its mark and nothing else;
// without it the Application just goes.
#include "app/controller_internal.h"

#include "base/log.h"
#include "base/timefmt.h"

enum { DELETES_AT_ONCE = 64 };

struct delete_ctx {
    struct app_async async;
    bool is_patch;
};

static bool is_ours(struct str finalizer) {
    return str_eq_c(finalizer, APP_FINALIZER) || str_eq_c(finalizer, APP_FINALIZER "/foreground") ||
           str_eq_c(finalizer, APP_FINALIZER "/background") ||
           str_eq_c(finalizer, "foreground-finalizer.argocd.argoproj.io") ||
           str_eq_c(finalizer, "background-finalizer.argocd.argoproj.io");
}

static struct str find_finalizer(const struct doc_value *app) {
    for (DOC_EACH_ITEM(doc_get(app, "metadata", "finalizers"), item)) {
        if (is_ours(doc_str(item))) {
            return doc_str(item);
        }
    }
    return (struct str){NULL, 0};
}

static void answered(void *ctx, const struct kube_reply *reply) {
    struct delete_ctx *context = ctx;
    if (app_async_end(&context->async)) {
        struct app_item *item = context->async.item;
        item->deletes_under_way--;
        bool failed = reply->error && reply->status != 404;
        if (failed) {
            LOG(LOG_WARN, "app", "deletion is held up", "app", item->name.p, "error",
                reply->error->message);
        }
        item->delete_failed = item->delete_failed || failed;
        if (item->deletes_under_way == 0) {
            app_requeue_in(item, (item->delete_failed ? 2000 : 500) * NS_PER_MS);
            item->delete_failed = false;
            app_item_settle(item);
        }
    }
    free(context);
}

static void send_request(struct app_item *item, struct kube_client *client,
                         const struct kube_request *request) {
    struct delete_ctx *context = NEW(struct delete_ctx);
    app_async_start(&context->async, item->controller, item);
    if (item->state == ITEM_IDLE) {
        item->state = ITEM_DELETING;
        item->controller->busy++;
    }
    item->deletes_under_way++;
    client->ops->call(client, request, answered, context);
}

static void remove_finalizer(struct app_item *item, const struct doc_value *app) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_array left = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(app, "metadata", "finalizers"), finalizer)) {
        if (!is_ours(doc_str(finalizer))) {
            doc_array_add(&left, *finalizer);
        }
    }
    struct doc_value patch = doc_null();
    const struct doc_value *version = doc_get(app, "metadata", "resourceVersion");
    patch = doc_with(arena, &patch, doc_array_done(&left), "metadata", "finalizers");
    patch = doc_with(arena, &patch, version ? *version : doc_null(), "metadata", "resourceVersion");
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .gvr = app_gvr_applications,
                                   .ns = item->ns,
                                   .name = item->name,
                                   .patch = KUBE_PATCH_MERGE,
                                   .body = doc_to_json(arena, &patch),
                                   .grace_seconds = -1};
    send_request(item, item->controller->options.home, &request);
}

static void delete_object(struct app_item *item, const struct kube_cache_ref *ref,
                          enum kube_propagation propagation) {
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = ref->gvr,
                                   .ns = ref->object->ns,
                                   .name = ref->object->name,
                                   .propagation = propagation,
                                   .precondition_uid = ref->object->uid,
                                   .grace_seconds = -1};
    send_request(item, item->cluster->client, &request);
}

// "Delete=false" and "Delete=confirm" of the object, else of the application.
static bool has_delete_option(const struct doc_value *app, const struct doc_value *object,
                              const char *option) {
    if (sync_has_option(object, option)) {
        return true;
    }
    bool own = sync_has_option(object, "Delete=true") || sync_has_option(object, "Delete=false") ||
               sync_has_option(object, "Delete=confirm");
    for (DOC_EACH_ITEM(doc_get(app, "spec", "syncPolicy", "syncOptions"), item)) {
        if (!own && str_eq_c(doc_str(item), option)) {
            return true;
        }
    }
    return false;
}

// What stays behind, as Argo CD leaves it; what an owner made goes with its owner.
static bool is_kept(struct app_item *item, const struct doc_value *app, const struct kube_gvr *gvr,
                    const struct doc_value *object) {
    return has_delete_option(app, object, "Delete=false") ||
           doc_len(doc_get(object, "metadata", "ownerReferences")) ||
           app_settings_excludes(item->controller->settings, gvr->group,
                                 doc_get_str(object, "kind"), item->cluster->server);
}

// Starts deletions; the number of objects that are still there.
static size_t delete_objects(struct app_item *item, const struct doc_value *app,
                             enum kube_propagation propagation) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str instance = app_instance_name(arena, item->controller->ns, item->ns, item->name);
    struct kube_cache *cache = item->cluster->cache;
    struct kube_cache_ref ref;
    size_t left = 0;
    bool approved =
        app_is_deletion_approved(app, doc_get_str(app, "metadata", "deletionTimestamp"));
    for (DOC_EACH_ITEM(doc_get(app, "status", "resources"), entry)) {
        struct kube_gvk gvk = {doc_get_str(entry, "group"), doc_get_str(entry, "version"),
                               doc_get_str(entry, "kind")};
        const struct kube_resource *resource = kube_mapper_find_kind(item->cluster->mapper, gvk);
        bool shown = resource && (resource->namespaced || item->cluster->namespaces.n == 0);
        if (shown && resource->can_watch) {
            app_cluster_want(item, &resource->gvr, resource->namespaced);
            // A kind that cannot be listed now may hold objects of ours: the finalizer stays until it can.
            bool unsure = !kube_cache_is_synced(cache, &resource->gvr);
            left += unsure;
            item->waits_for_kinds = item->waits_for_kinds || unsure;
        }
    }
    for (size_t i = 0; kube_cache_next_tagged(cache, instance, &i, &ref);) {
        struct blob *text = kube_cache_text(cache, &ref.gvr, ref.object->ns, ref.object->name);
        struct doc_value object;
        bool known = text && doc_parse_json(blob_str(text), arena, &object, NULL);
        if (known && !is_kept(item, app, &ref.gvr, &object)) {
            left++;
            bool asked = !doc_is_null(doc_get(&object, "metadata", "deletionTimestamp"));
            bool may = approved || !has_delete_option(app, &object, "Delete=confirm");
            if (!asked && may && item->deletes_under_way < DELETES_AT_ONCE) {
                delete_object(item, &ref, propagation);
            }
        }
        blob_unref(text);
    }
    return left;
}

enum destination { DESTINATION_THERE, DESTINATION_UNKNOWN, DESTINATION_FAILS };

static enum destination find_cluster(struct app_item *item, const struct doc_value *app) {
    struct err err = {0};
    struct app_cluster *cluster =
        app_cluster_get(item->controller, doc_get_str(app, "spec", "destination", "server"),
                        doc_get_str(app, "spec", "destination", "name"), &err);
    app_cluster_use(item, cluster);
    if (cluster) {
        return DESTINATION_THERE;
    }
    // A cluster that no Secret names any more holds nothing that could be deleted. One whose Secret cannot be read does.
    bool unknown = err.code == ERR_NOT_FOUND || err.code == ERR_INVALID;
    LOG(LOG_WARN, "app", unknown ? "deleted without its objects" : "deletion is held up", "app",
        item->name.p, "error", err.message);
    return unknown ? DESTINATION_UNKNOWN : DESTINATION_FAILS;
}

bool app_finalize(struct app_item *item, const struct doc_value *app) {
    if (doc_is_null(doc_get(app, "metadata", "deletionTimestamp"))) {
        return false;
    }
    struct str finalizer = find_finalizer(app);
    if (finalizer.n == 0) {
        return true; // others' finalizers hold it; nothing for us to do
    }
    enum destination destination = find_cluster(item, app);
    if (destination == DESTINATION_UNKNOWN) {
        remove_finalizer(item, app);
        return true;
    }
    if (destination == DESTINATION_FAILS) {
        app_requeue_in(item, 10 * NS_PER_SECOND);
        return true;
    }
    if (!kube_mapper_is_ready(item->cluster->mapper)) {
        item->waits_for_kinds = true;
        app_requeue_in(item, 2 * NS_PER_SECOND);
        return true;
    }
    bool background = str_has(finalizer, STR("background"));
    item->waits_for_kinds = false;
    if (delete_objects(item, app, background ? KUBE_BACKGROUND : KUBE_FOREGROUND) == 0) {
        remove_finalizer(item, app);
    } else if (item->deletes_under_way == 0) {
        app_requeue_in(item, NS_PER_SECOND); // events of the objects usually come first
    }
    return true;
}
