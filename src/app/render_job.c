// SPDX-License-Identifier: Apache-2.0
// Renders on a worker and keeps the result, bounded in memory: what is dropped is rendered again when it is needed.
#include "app/controller_internal.h"

#include "base/limits.h"

struct render_job {
    struct app_async async;
    struct vcs *vcs;
    struct arena *arena; // of the request
    struct str url, sha, project, destination_ns, app_name, app_ns;
    struct doc_value source;
    bool for_operation;
    struct app_manifests *result;
    struct err err;
    bool ok;
};

void app_manifests_unref(struct app_manifests *manifests) {
    if (!manifests || atomic_fetch_sub_explicit(&manifests->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < manifests->count; i++) {
        blob_unref(manifests->items[i].text);
    }
    arena_destroy(manifests->arena);
    free(manifests);
}

static void keep_object(struct app_manifests *kept, struct app_manifest *item,
                        const struct render_object *object, struct buf *text) {
    struct arena *arena = kept->arena;
    struct str api_version = doc_get_str(&object->object, "apiVersion");
    struct str group, version;
    if (!str_cut(api_version, '/', &group, &version)) {
        version = api_version;
        group = (struct str){NULL, 0};
    }
    buf_clear(text);
    doc_print_json(&object->object, text);
    *item = (struct app_manifest){
        .group = arena_dup(arena, group),
        .version = arena_dup(arena, version),
        .kind = arena_dup(arena, doc_get_str(&object->object, "kind")),
        .ns = arena_dup(arena, doc_get_str(&object->object, "metadata", "namespace")),
        .name = arena_dup(arena, doc_get_str(&object->object, "metadata", "name")),
        .text = blob_from_buf(text),
        .place = arena_printf(arena, "%.*s:%u", STR_ARG(object->file), object->line),
    };
    kept->bytes += text->len + 256;
}

static struct app_manifests *keep(const struct render_result *result, struct str sha) {
    struct app_manifests *kept = NEW(struct app_manifests);
    atomic_init(&kept->refs, 1);
    kept->arena = arena_create();
    memcpy(kept->sha, sha.p, sha.n < VCS_ID_MAX ? sha.n : VCS_ID_MAX);
    kept->source_type = arena_dup(kept->arena, result->source_type);
    kept->items = ARENA_ARRAY(kept->arena, result->object_count, struct app_manifest);
    kept->count = result->object_count;
    AUTO_BUF struct buf text;
    buf_init(&text, LIMIT_RENDER_BYTES);
    for (size_t i = 0; i < result->object_count; i++) {
        keep_object(kept, &kept->items[i], &result->objects[i], &text);
    }
    kept->reads.read_count = result->read_count;
    kept->reads.reads = ARENA_ARRAY(kept->arena, result->read_count, struct render_read);
    for (size_t i = 0; i < result->read_count; i++) {
        kept->reads.reads[i] = result->reads[i];
        kept->reads.reads[i].path = arena_dup(kept->arena, result->reads[i].path);
    }
    return kept;
}

static void work(void *ctx) {
    struct render_job *job = ctx;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct file_tree *tree = job->vcs->ops->open_tree(job->vcs, job->url, job->sha, &job->err);
    struct render_request request = {.tree = tree,
                                     .source = &job->source,
                                     .app_name = job->app_name,
                                     .app_ns = job->app_ns,
                                     .project = job->project,
                                     .destination_ns = job->destination_ns,
                                     .revision = job->sha};
    struct render_result result;
    job->ok = tree && render_run(&request, arena, &result, &job->err);
    if (job->ok) {
        job->result = keep(&result, job->sha);
    }
    file_tree_destroy(tree);
}

static void take_failure(struct app_item *item, const struct render_job *job) {
    item->has_render_error = true;
    if (!item->render_error) {
        item->render_error = NEW(struct err);
    }
    *item->render_error = job->err;
    memcpy(item->render_error_sha, job->sha.p, job->sha.n);
    item->render_error_sha[job->sha.n] = '\0';
}

static void take_result(struct app_item *item, struct render_job *job) {
    struct app_manifests **slot =
        job->for_operation ? &item->operation_manifests : &item->manifests;
    if (*slot) {
        item->controller->manifest_bytes -= (*slot)->bytes;
        app_manifests_unref(*slot);
    }
    *slot = TAKE(job->result);
    item->controller->manifest_bytes += (*slot)->bytes;
    item->used = ++item->controller->clock; // not to be evicted before it is planned
    item->has_render_error = false;
    item->is_hard_refresh = false;
}

static void done(void *ctx) {
    struct render_job *job = ctx;
    if (app_async_end(&job->async)) {
        struct app_item *item = job->async.item;
        if (job->ok) {
            take_result(item, job);
        } else {
            take_failure(item, job);
        }
        item->is_again = true; // go on with what was rendered
        app_evict_manifests(item->controller);
        app_item_settle(item);
    }
    app_manifests_unref(job->result);
    arena_destroy(job->arena);
    free(job);
}

void app_render(struct app_item *item, const struct app_source *source,
                const struct doc_value *spec_source, struct str project, struct str destination_ns,
                bool for_operation) {
    struct render_job *job = NEW(struct render_job);
    app_async_start(&job->async, item->controller, item);
    job->vcs = item->controller->options.vcs;
    job->arena = arena_create();
    job->url = arena_dup(job->arena, source->url);
    job->sha = arena_dup(job->arena, str_from(source->sha));
    job->project = arena_dup(job->arena, project);
    job->destination_ns = arena_dup(job->arena, destination_ns);
    job->app_name = arena_dup(job->arena, item->name);
    job->app_ns = arena_dup(job->arena, item->ns);
    job->source = doc_clone(job->arena, spec_source);
    job->for_operation = for_operation;
    item->state = ITEM_RENDERING;
    item->controller->busy++;
    loop_work(item->controller->loop, 0, work, done, job);
}

void app_drop_manifests(struct app_item *item) {
    struct app_manifests **slots[] = {&item->manifests, &item->operation_manifests};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        if (*slots[i]) {
            item->controller->manifest_bytes -= (*slots[i])->bytes;
            app_manifests_unref(*slots[i]);
            *slots[i] = NULL;
        }
    }
}

static void drop_texts(struct app_item *item) {
    // Keeps what was read, so that a new commit is still judged without rendering; the texts go.
    struct app_manifests *manifests = item->manifests;
    if (atomic_load(&manifests->refs) != 1) {
        return; // a worker holds it
    }
    for (size_t i = 0; i < manifests->count; i++) {
        blob_unref(manifests->items[i].text);
        manifests->items[i].text = NULL;
    }
    item->controller->manifest_bytes -= manifests->bytes;
    manifests->bytes = 0;
}

static void evict_unused(struct app_controller *controller, uint64_t limit) {
    struct app_item *item;
    for (size_t i = 0; map_next(controller->items, &i, NULL, (void **)&item);) {
        if (item->manifests && item->manifests->bytes && item->state == ITEM_IDLE &&
            item->used <= limit) {
            drop_texts(item);
        }
    }
}

void app_evict_manifests(struct app_controller *controller) {
    if (controller->manifest_bytes <= APP_MANIFEST_BYTES) {
        return;
    }
    // Everything idle that was not used in the newer half of the uses goes at once, then the newer quarter and so on until
    // there is room for a while: a scan now and then, not a list.
    for (uint64_t span = map_len(controller->items) / 2 + 1;
         span > APP_PARALLEL_JOBS && controller->manifest_bytes > APP_MANIFEST_BYTES / 4 * 3;
         span /= 2) {
        evict_unused(controller, controller->clock > span ? controller->clock - span : 0);
    }
}
