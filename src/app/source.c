// SPDX-License-Identifier: Apache-2.0
// One repository at one revision, asked once for all applications that use it. A new commit goes through a filter first:
// only the applications whose recorded reads answer differently in it are looked at.
#include "app/controller_internal.h"

#include "base/log.h"

struct resolve_job {
    struct app_async async;
    struct str key; // of the source, which may be gone when the answer comes
};

struct filter_entry {
    struct str key; // of the item
    struct app_manifests *manifests;
    bool is_current;
};

struct filter_job {
    struct app_async async;
    struct vcs *vcs;
    struct arena *arena;
    struct str key, url, sha;
    struct filter_entry *entries;
    size_t count;
};

static void schedule_poll(struct app_source *source) {
    struct app_controller *controller = source->controller;
    int64_t poll = controller->settings->poll_ns;
    if (poll == 0) {
        loop_timer_stop(source->poll);
        return;
    }
    int64_t jitter = controller->settings->jitter_ns;
    uint64_t extra = jitter > 0 ? loop_random_below(controller->loop, (uint64_t)jitter) : 0;
    loop_timer_start(source->poll, poll + (int64_t)extra);
}

static void enqueue_items(struct app_source *source) {
    for (size_t i = 0; i < source->items.len; i++) {
        app_enqueue(source->items.items[i]);
    }
}

static void filter_work(void *ctx) {
    struct filter_job *job = ctx;
    struct err err = {0};
    struct file_tree *tree = job->vcs->ops->open_tree(job->vcs, job->url, job->sha, &err);
    for (size_t i = 0; tree && i < job->count; i++) {
        job->entries[i].is_current = render_is_current(&job->entries[i].manifests->reads, tree);
    }
    file_tree_destroy(tree);
}

static void filter_done(void *ctx) {
    struct filter_job *job = ctx;
    bool alive = app_async_end(&job->async);
    struct app_controller *controller = alive ? job->async.controller : NULL;
    struct app_source *source = alive ? map_find(controller->sources, job->key) : NULL;
    for (size_t i = 0; i < job->count; i++) {
        struct app_item *item = source ? map_find(controller->items, job->entries[i].key) : NULL;
        if (item && item->source == source && str_eq_c(job->sha, source->sha)) {
            if (job->entries[i].is_current && item->manifests == job->entries[i].manifests) {
                memcpy(item->manifests->sha, source->sha, sizeof source->sha);
                if (item->is_refresh || item->operation_source || item->operation_hash) {
                    app_enqueue(item);
                }
            } else {
                app_enqueue(item);
            }
        }
        app_manifests_unref(job->entries[i].manifests);
    }
    if (alive) {
        app_pump(controller);
    }
    arena_destroy(job->arena);
    free(job);
}

static void filter(struct app_source *source) {
    struct app_controller *controller = source->controller;
    struct filter_job *job = NEW(struct filter_job);
    app_async_start(&job->async, controller, NULL);
    job->vcs = controller->options.vcs;
    job->arena = arena_create();
    job->key = arena_dup(job->arena, source->key);
    job->url = arena_dup(job->arena, source->url);
    job->sha = arena_dup(job->arena, str_from(source->sha));
    job->entries = ARENA_ARRAY(job->arena, source->items.len, struct filter_entry);
    for (size_t i = 0; i < source->items.len; i++) {
        struct app_item *item = source->items.items[i];
        if (item->source == source && item->manifests && !item->has_render_error) {
            job->entries[job->count++] = (struct filter_entry){
                arena_dup(job->arena, item->key), app_manifests_ref(item->manifests), false};
        } else {
            app_enqueue(item);
        }
    }
    loop_work(controller->loop, 0, filter_work, filter_done, job);
}

static bool same_error(const struct app_source *source, const struct err *error) {
    return source->has_error == (error != NULL) &&
           (!error || (source->error.code == error->code &&
                       strcmp(source->error.message, error->message) == 0));
}

static void take_answer(struct app_source *source, struct str sha, const struct err *error) {
    bool same = same_error(source, error);
    source->has_error = error != NULL;
    // An answer that was under way when somebody asked may be older than the question.
    for (size_t i = 0; i < source->items.len && !source->resolve_again; i++) {
        source->items.items[i]->refresh_resolved = source->items.items[i]->is_refresh;
        source->items.items[i]->waits_for_git = false;
    }
    if (error) {
        source->error = *error;
        LOG(LOG_WARN, "app", "cannot resolve revision", "repo", source->url.p, "error",
            error->message);
    } else if (!str_eq_c(sha, source->sha) && sha.n <= VCS_ID_MAX) {
        bool first = source->sha[0] == '\0';
        memcpy(source->sha, sha.p, sha.n);
        source->sha[sha.n] = '\0';
        if (!first && same) {
            filter(source);
            return;
        }
        enqueue_items(source);
        return;
    }
    for (size_t i = 0; i < source->items.len; i++) {
        struct app_item *item = source->items.items[i];
        if (!same || item->is_refresh || item->operation_hash) {
            app_enqueue(item);
        }
    }
}

static void resolved(void *ctx, struct str sha, const struct err *error) {
    struct resolve_job *job = ctx;
    if (app_async_end(&job->async)) {
        struct app_controller *controller = job->async.controller;
        struct app_source *source = map_find(controller->sources, job->key);
        if (source && source->is_resolving) {
            source->is_resolving = false;
            take_answer(source, sha, error);
            schedule_poll(source);
            if (source->resolve_again) {
                source->resolve_again = false;
                app_source_refresh(source);
            }
        }
        app_pump(controller);
    }
    free((void *)(uintptr_t)job->key.p);
    free(job);
}

void app_source_refresh(struct app_source *source) {
    if (source->is_resolving) {
        source->resolve_again = true;
        return;
    }
    struct app_controller *controller = source->controller;
    struct resolve_job *job = NEW(struct resolve_job);
    app_async_start(&job->async, controller, NULL);
    job->key = (struct str){xstrdup(source->key), source->key.n};
    source->is_resolving = true;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct vcs_access access = app_registry_access(controller->registry, source->url, arena);
    controller->options.vcs->ops->resolve(controller->options.vcs, source->url, &access,
                                          source->revision, 0, resolved, job);
}

static void poll_due(void *ctx) {
    app_source_refresh(ctx);
}

static void refs_changed(void *ctx, struct str url) {
    struct app_controller *controller = ctx;
    struct app_source *source;
    for (size_t i = 0; map_next(controller->sources, &i, NULL, (void **)&source);) {
        if (str_eq(source->url, url)) {
            app_source_refresh(source);
        }
    }
}

struct app_source *app_source_get(struct app_controller *controller, struct str url,
                                  struct str revision) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str normal = vcs_normalize_url(url, arena);
    struct str key = arena_printf(arena, "%.*s\n%.*s", STR_ARG(normal), STR_ARG(revision));
    struct app_source *source = map_find(controller->sources, key);
    if (source) {
        return source;
    }
    source = NEW(struct app_source);
    source->controller = controller;
    source->key = (struct str){xstrdup(key), key.n};
    source->url = (struct str){xstrdup(url), url.n};
    source->revision = (struct str){xstrdup(revision), revision.n};
    source->poll = loop_timer_create(controller->loop, poll_due, source);
    map_put(controller->sources, key, source);
    if (controller->options.vcs->ops->watch) {
        controller->options.vcs->ops->watch(controller->options.vcs, url, refs_changed, controller);
    }
    app_source_refresh(source);
    return source;
}

void app_source_attach(struct app_source *source, struct app_item *item) {
    for (size_t i = 0; i < source->items.len; i++) {
        if (source->items.items[i] == item) {
            return;
        }
    }
    VEC_PUSH(&source->items, item);
}

void app_source_detach(struct app_source *source, struct app_item *item) {
    for (size_t i = 0; i < source->items.len; i++) {
        if (source->items.items[i] == item) {
            VEC_REMOVE_SWAP(&source->items, i);
            break;
        }
    }
    if (source->items.len == 0) {
        map_remove(source->controller->sources, source->key);
        app_source_destroy(source);
    }
}

void app_source_destroy(struct app_source *source) {
    loop_timer_destroy(source->poll);
    VEC_FREE(&source->items);
    free((void *)(uintptr_t)source->key.p);
    free((void *)(uintptr_t)source->url.p);
    free((void *)(uintptr_t)source->revision.p);
    free(source);
}
