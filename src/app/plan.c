// SPDX-License-Identifier: Apache-2.0
#include "app/plan.h"

#include "app/plan_internal.h"
#include "base/timefmt.h"

bool app_source_of(const struct doc_value *app, struct app_source_spec *out, struct err *err) {
    const struct doc_value *one = doc_get(app, "spec", "source");
    const struct doc_value *many = doc_get(app, "spec", "sources");
    if (doc_len(many) > 1) {
        return err_set(
            err, ERR_UNSUPPORTED,
            "spec.sources: this version of Skiff takes one source per application, not %zu",
            doc_len(many));
    }
    const struct doc_value *source = doc_len(many) == 1 ? doc_at(many, 0) : one;
    if (!doc_is(source, DOC_OBJECT)) {
        return err_set(err, ERR_INVALID, "spec.source is required");
    }
    struct str url = doc_get_str(source, "repoURL");
    if (url.n == 0) {
        return err_set(err, ERR_INVALID, "spec.source.repoURL is required");
    }
    if (!doc_get_str(source, "path").n && !doc_get_str(source, "chart").n) {
        return err_set(err, ERR_INVALID, "spec.source.path or spec.source.chart is required");
    }
    struct str revision = doc_get_str(source, "targetRevision");
    *out = (struct app_source_spec){source, url, revision.n ? revision : STR("HEAD")};
    return true;
}

bool app_operation_source(const struct doc_value *app, struct app_source_spec *out) {
    const struct doc_value *state = doc_get(app, "status", "operationState");
    struct str phase = doc_get_str(state, "phase");
    bool running = str_eq(phase, STR("Running")) || str_eq(phase, STR("Terminating"));
    const struct doc_value *operation =
        running ? doc_get(state, "operation") : doc_get(app, "operation");
    const struct doc_value *sync = doc_get(operation, "sync");
    if (!sync || doc_bool(doc_get(operation, "initiatedBy", "automated"), false) ||
        !app_source_of(app, out, NULL)) {
        return false;
    }
    struct str revision =
        running ? doc_get_str(state, "syncResult", "revision") : doc_get_str(sync, "revision");
    const struct doc_value *source =
        running ? doc_get(state, "syncResult", "source") : doc_get(sync, "source");
    if (doc_is(source, DOC_OBJECT) && doc_get_str(source, "repoURL").n) {
        out->source = source;
        out->url = doc_get_str(source, "repoURL");
        if (doc_get_str(source, "targetRevision").n) {
            out->revision = doc_get_str(source, "targetRevision");
        }
    } else if (revision.n == 0) {
        return false;
    }
    out->revision = revision.n ? revision : out->revision;
    return true;
}

bool app_is_deletion_approved(const struct doc_value *app, struct str since) {
    struct str text =
        doc_get_str(app, "metadata", "annotations", "argocd.argoproj.io/deletion-approved");
    int64_t approved, began;
    return str_eq(text, STR("true")) ||
           (time_parse(text, &approved) && time_parse(since, &began) && approved >= began);
}

void app_add_event(struct planning *planning, bool warning, const char *reason,
                   struct str message) {
    VEC_PUSH(&planning->events, ((struct app_event){warning, str_from(reason), message}));
}

static void add_change_event(struct planning *planning, const char *what, struct str from,
                             struct str to) {
    if (from.n && !str_eq(from, to)) {
        app_add_event(planning, false, "ResourceUpdated",
                      arena_printf(planning->arena, "Updated %s status: %.*s -> %.*s", what,
                                   STR_ARG(from), STR_ARG(to)));
    }
}

// What a patch would change, apart from what is not worth a write of its own: times, the newest commit where nothing else
// moved, and the wording of health messages.
static struct doc_value significant(struct arena *arena, const struct doc_value *status) {
    struct doc_value out = doc_without(arena, status, "reconciledAt");
    out = doc_without(arena, &out, "sync", "revision");
    const struct doc_value *resources = doc_get(&out, "resources");
    struct doc_array plain = doc_array_start(arena);
    for (DOC_EACH_ITEM(resources, resource)) {
        doc_array_add(&plain, doc_without(arena, resource, "health", "message"));
    }
    return doc_len(resources) ? doc_with(arena, &out, doc_array_done(&plain), "resources") : out;
}

static void make_patch(struct planning *planning) {
    const struct app_plan_input *in = planning->in;
    struct arena *arena = planning->arena;
    struct doc_value status = app_status(planning);
    struct doc_value before =
        significant(arena, planning->old_status ? planning->old_status
                                                : &(struct doc_value){.kind = DOC_OBJECT});
    struct doc_value after = significant(arena, &status);
    // Calls come first when the operation is already noted: their results are written with what follows.
    bool over = planning->has_operation && !str_eq(planning->out->operation_phase, STR("Running"));
    bool wait_for_calls = planning->out->call_count && !planning->operation_started && !over;
    bool changed = !doc_equal(&before, &after) && !wait_for_calls;
    if (!changed && !planning->drops_operation && !in->is_refresh) {
        return;
    }
    status = doc_with(arena, &status, doc_make_str(time_format(arena, in->now_ns)), "reconciledAt");
    struct doc_value empty = doc_object_done(&(struct doc_object){.arena = arena});
    struct doc_value difference =
        doc_merge_diff(arena, planning->old_status ? planning->old_status : &empty, &status);
    struct doc_object patch = doc_object_start(arena), metadata = doc_object_start(arena);
    const struct doc_value *version = doc_get(in->app, "metadata", "resourceVersion");
    if (version) {
        doc_object_set_c(&metadata, "resourceVersion", *version);
    }
    struct doc_value about = doc_object_done(&metadata);
    if (in->is_refresh) {
        about = doc_with(arena, &about, doc_null(), "annotations", APP_REFRESH);
    }
    doc_object_set_c(&patch, "metadata", about);
    if (planning->drops_operation) {
        doc_object_set_c(&patch, "operation", doc_null());
    }
    doc_object_set_c(&patch, "status", difference);
    struct doc_value all = doc_object_done(&patch);
    planning->out->has_patch = true;
    planning->out->patch = doc_to_json(arena, &all);
    planning->out->patch_drops_results = planning->has_operation;
    add_change_event(planning, "sync", doc_get_str(planning->old_status, "sync", "status"),
                     doc_get_str(&status, "sync", "status"));
    add_change_event(planning, "health", doc_get_str(planning->old_status, "health", "status"),
                     doc_get_str(&status, "health", "status"));
}

static void warn_of_sharing(struct planning *planning) {
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct compared *c = &planning->compared[i];
        if (c->shared_with.n) {
            app_add_condition(planning, "SharedResourceWarning",
                              arena_printf(planning->arena,
                                           "%.*s/%.*s is part of applications %.*s and %.*s",
                                           STR_ARG(c->object->kind), STR_ARG(c->object->name),
                                           STR_ARG(planning->instance), STR_ARG(c->shared_with)));
        }
    }
}

void app_plan(const struct app_plan_input *input, struct arena *arena, struct app_plan *out) {
    *out = (struct app_plan){0};
    struct planning planning = {.in = input, .arena = arena, .out = out};
    planning.old_status = doc_get(input->app, "status");
    planning.conditions = doc_array_start(arena);
    planning.instance =
        app_instance_name(arena, input->ns, doc_get_str(input->app, "metadata", "namespace"),
                          doc_get_str(input->app, "metadata", "name"));
    for (size_t i = 0; i < input->error_count; i++) {
        app_add_condition(&planning, input->errors[i].type, input->errors[i].message);
    }
    app_compare(&planning);
    app_step_operation(&planning);
    for (size_t i = 0; i < input->warning_count; i++) {
        app_add_condition(&planning, input->warnings[i].type, input->warnings[i].message);
    }
    warn_of_sharing(&planning); // after the operation: a warning does not stop it
    make_patch(&planning);
    out->sync_status = str_from(planning.sync_status);
    out->health_status = str_from(health_code_name(planning.health));
    out->event_count = planning.events.len;
    out->events = ARENA_ARRAY(arena, planning.events.len, struct app_event);
    for (size_t i = 0; i < planning.events.len; i++) {
        out->events[i] = planning.events.items[i];
    }
    VEC_FREE(&planning.events);
}
