// SPDX-License-Identifier: Apache-2.0
// The status of an Application in the form Argo CD writes it.
#include "app/plan_internal.h"

#include "base/timefmt.h"

enum { HISTORY_DEFAULT = 10, HISTORY_MAX = 1000, IMAGES_MAX = 1000 };

void app_add_condition(struct planning *planning, const char *type, struct str message) {
    struct doc_object condition = doc_object_start(planning->arena);
    struct doc_value time = doc_make_str(time_format(planning->arena, planning->in->now_ns));
    struct doc_value text = doc_make_str(str_first(message, ERR_MESSAGE_MAX));
    for (DOC_EACH_ITEM(doc_get(planning->old_status, "conditions"), old)) {
        if (str_eq_c(doc_get_str(old, "type"), type) &&
            str_eq(doc_get_str(old, "message"), doc_str(&text)) &&
            doc_get(old, "lastTransitionTime")) {
            time = *doc_get(old, "lastTransitionTime");
        }
    }
    doc_object_set_c(&condition, "lastTransitionTime", time);
    doc_object_set_c(&condition, "message", text);
    doc_object_set_c(&condition, "type", doc_make_str(str_from(type)));
    doc_array_add(&planning->conditions, doc_object_done(&condition));
}

static void set_text(struct doc_object *object, const char *key, struct str text) {
    if (text.n) {
        doc_object_set_c(object, key, doc_make_str(text));
    }
}

static struct doc_value resource_entry(struct planning *planning, const struct compared *c) {
    const struct app_object *o = c->object;
    struct arena *arena = planning->arena;
    struct doc_object entry = doc_object_start(arena);
    set_text(&entry, "group", o->group);
    if (c->health.has) {
        struct doc_object health = doc_object_start(arena);
        set_text(&health, "message", str_first(c->health.message, ERR_MESSAGE_MAX));
        set_text(&health, "status", str_from(health_code_name(c->health.code)));
        if (c->counts_for_health || c->health.code != HEALTH_MISSING) {
            doc_object_set_c(&entry, "health", doc_object_done(&health));
        }
    }
    if (c->is_hook) {
        doc_object_set_c(&entry, "hook", doc_make_bool(true));
    }
    set_text(&entry, "kind", o->kind);
    set_text(&entry, "name", o->name);
    if (o->is_namespaced) {
        set_text(&entry, "namespace", o->ns);
    }
    if (c->requires_pruning) {
        doc_object_set_c(&entry, "requiresPruning", doc_make_bool(true));
    }
    if (!c->is_hook && !c->is_skipped) {
        set_text(&entry, "status", c->out_of_sync ? STR("OutOfSync") : STR("Synced"));
    }
    int wave = sync_wave(o->target ? &c->target : &c->live);
    if (wave) {
        doc_object_set_c(&entry, "syncWave", doc_make_int(wave));
    }
    set_text(&entry, "version", o->version);
    return doc_object_done(&entry);
}

static void set_resources(struct planning *planning, struct doc_object *status) {
    struct doc_array resources = doc_array_start(planning->arena);
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct compared *c = &planning->compared[i];
        if (!(c->is_hook && !c->object->live)) {
            doc_array_add(&resources, resource_entry(planning, c));
        }
    }
    doc_object_set_c(status, "resources", doc_array_done(&resources));
}

// ---- summary: images and addresses ----
struct texts {
    VEC(struct str) items;
};

static void add_once(struct texts *texts, struct str text) {
    for (size_t i = 0; i < texts->items.len; i++) {
        if (str_eq(texts->items.items[i], text)) {
            return;
        }
    }
    if (text.n && texts->items.len < IMAGES_MAX) {
        VEC_PUSH(&texts->items, text);
    }
}

static void add_images(struct texts *images, const struct doc_value *live) {
    static const char *const lists[] = {"initContainers", "containers"};
    const struct doc_value *spec = doc_get(live, "spec");
    const struct doc_value *pods[] = {doc_get(spec, "template", "spec"), spec,
                                      doc_get(spec, "jobTemplate", "spec", "template", "spec")};
    for (size_t p = 0; p < ARRAY_LEN(pods); p++) {
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
            for (DOC_EACH_ITEM(doc_get(pods[p], lists[i]), container)) {
                add_once(images, doc_get_str(container, "image"));
            }
        }
    }
}

static void add_urls(struct planning *planning, struct texts *urls, const struct doc_value *live) {
    if (!str_eq(doc_get_str(live, "kind"), STR("Ingress"))) {
        return;
    }
    for (DOC_EACH_ITEM(doc_get(live, "spec", "rules"), rule)) {
        struct str host = doc_get_str(rule, "host");
        bool tls = doc_len(doc_get(live, "spec", "tls")) > 0;
        for (DOC_EACH_ITEM(doc_get(rule, "http", "paths"), path)) {
            if (host.n) {
                add_once(urls,
                         arena_printf(planning->arena, "%s://%.*s%.*s", tls ? "https" : "http",
                                      STR_ARG(host), STR_ARG(doc_get_str(path, "path"))));
            }
        }
    }
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void set_texts(struct planning *planning, struct doc_object *object, const char *key,
                      struct texts *texts) {
    if (texts->items.len) {
        qsort(texts->items.items, texts->items.len, sizeof(struct str), by_text);
        struct doc_array list = doc_array_start(planning->arena);
        for (size_t i = 0; i < texts->items.len; i++) {
            doc_array_add(&list, doc_make_str(texts->items.items[i]));
        }
        doc_object_set_c(object, key, doc_array_done(&list));
    }
    VEC_FREE(&texts->items);
}

static void set_summary(struct planning *planning, struct doc_object *status) {
    struct texts images = {0}, urls = {0};
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct compared *c = &planning->compared[i];
        const struct doc_value *object = c->object->live ? &c->live : &c->target;
        add_images(&images, object);
        add_urls(planning, &urls, object);
    }
    struct doc_object summary = doc_object_start(planning->arena);
    set_texts(planning, &summary, "externalURLs", &urls);
    set_texts(planning, &summary, "images", &images);
    doc_object_set_c(status, "summary", doc_object_done(&summary));
}

// ---- sync, health, history ----
static void copy_field(struct doc_object *to, const struct doc_value *from, const char *key) {
    const struct doc_value *value = doc_get(from, key);
    if (value) {
        doc_object_set_c(to, key, *value);
    }
}

static void set_sync(struct planning *planning, struct doc_object *status) {
    struct arena *arena = planning->arena;
    const struct doc_value *spec = doc_get(planning->in->app, "spec");
    struct doc_object compared = doc_object_start(arena), sync = doc_object_start(arena);
    copy_field(&compared, spec, "destination");
    copy_field(&compared, spec, "ignoreDifferences");
    copy_field(&compared, spec, "source");
    copy_field(&compared, spec, "sources");
    doc_object_set_c(&sync, "comparedTo", doc_object_done(&compared));
    set_text(&sync, "revision", planning->in->revision);
    set_text(&sync, "status", str_from(planning->sync_status));
    doc_object_set_c(status, "sync", doc_object_done(&sync));
}

static void set_health(struct planning *planning, struct doc_object *status) {
    struct str code = str_from(health_code_name(planning->health));
    const struct doc_value *old = doc_get(planning->old_status, "health");
    struct doc_object health = doc_object_start(planning->arena);
    if (str_eq(doc_get_str(old, "status"), code) && doc_get(old, "lastTransitionTime")) {
        copy_field(&health, old, "lastTransitionTime");
    } else {
        set_text(&health, "lastTransitionTime", time_format(planning->arena, planning->in->now_ns));
    }
    set_text(&health, "status", code);
    doc_object_set_c(status, "health", doc_object_done(&health));
}

static bool ended_well(const struct planning *planning) {
    const struct doc_value *state = &planning->operation_state;
    return planning->has_operation && str_eq(doc_get_str(state, "phase"), STR("Succeeded")) &&
           !doc_bool(doc_get(state, "operation", "sync", "dryRun"), false) &&
           doc_len(doc_get(state, "operation", "sync", "resources")) == 0;
}

static void set_history(struct planning *planning, struct doc_object *status) {
    if (!ended_well(planning)) {
        return;
    }
    const struct doc_value *old = doc_get(planning->old_status, "history");
    const struct doc_value *state = &planning->operation_state;
    int64_t limit =
        doc_int(doc_get(planning->in->app, "spec", "revisionHistoryLimit"), HISTORY_DEFAULT);
    limit = limit < 0 ? HISTORY_DEFAULT : limit > HISTORY_MAX ? HISTORY_MAX : limit;
    int64_t last_id = doc_int(doc_get(doc_at(old, doc_len(old) - 1), "id"), -1);
    struct doc_object entry = doc_object_start(planning->arena);
    set_text(&entry, "deployStartedAt", doc_get_str(state, "startedAt"));
    set_text(&entry, "deployedAt", doc_get_str(state, "finishedAt"));
    doc_object_set_c(&entry, "id", doc_make_int(last_id + 1));
    copy_field(&entry, doc_get(state, "operation"), "initiatedBy");
    set_text(&entry, "revision", doc_get_str(state, "syncResult", "revision"));
    copy_field(&entry, doc_get(state, "syncResult"), "source");
    struct doc_array history = doc_array_start(planning->arena);
    size_t keep = limit > 0 ? (size_t)limit - 1 : 0;
    size_t from = doc_len(old) > keep ? doc_len(old) - keep : 0;
    for (size_t i = from; i < doc_len(old); i++) {
        doc_array_add(&history, *doc_at(old, i));
    }
    if (limit > 0) {
        doc_array_add(&history, doc_object_done(&entry));
    }
    doc_object_set_c(status, "history", doc_array_done(&history));
}

struct doc_value app_status(struct planning *planning) {
    struct doc_object status = doc_object_copy(planning->arena, planning->old_status);
    if (planning->conditions.len) {
        doc_object_set_c(&status, "conditions", doc_array_done(&planning->conditions));
    } else {
        doc_object_remove(&status, STR("conditions"));
    }
    doc_object_set_c(&status, "controllerNamespace", doc_make_str(planning->in->ns));
    if (!planning->in->is_for_operation) {
        set_sync(planning, &status);
        if (planning->can_compare) {
            set_resources(planning, &status);
            set_summary(planning, &status);
            set_text(&status, "sourceType", planning->in->source_type);
        }
        set_health(planning, &status);
    }
    if (planning->has_operation) {
        set_history(planning, &status);
        doc_object_set_c(&status, "operationState", planning->operation_state);
    }
    return doc_object_done(&status);
}
