// SPDX-License-Identifier: Apache-2.0
// What a planning leaves behind. Hundreds of kilobytes of documents go into a plan, a few come out of it; while its writes
// wait for the disk or for a cluster only those few are kept, or the applications under way together would need more
// memory than all objects at rest.
#include "app/controller_internal.h"
#include "app/job.h"

void app_job_destroy(struct app_job *job) {
    if (!job) {
        return;
    }
    app_job_release_input(job);
    app_settings_unref(job->settings);
    arena_destroy(job->arena);
    free(job);
}

void app_job_release_input(struct app_job *job) {
    for (size_t i = 0; i < job->blobs.len; i++) {
        blob_unref(job->blobs.items[i]);
    }
    VEC_FREE(&job->blobs);
    free(TAKE(job->errors));
    free(TAKE(job->warnings));
    free(TAKE(job->objects));
    app_manifests_unref(TAKE(job->manifests));
}

static struct str keep(struct arena *arena, struct str text) {
    return text.n ? arena_dup(arena, text) : (struct str){NULL, 0};
}

static struct app_call *keep_calls(struct arena *arena, const struct app_plan *plan) {
    struct app_call *calls = ARENA_ARRAY(arena, plan->call_count, struct app_call);
    for (size_t i = 0; i < plan->call_count; i++) {
        struct app_call *call = &calls[i];
        *call = plan->calls[i];
        struct str *texts[] = {
            &call->outcome.group,
            &call->outcome.version,
            &call->outcome.kind,
            &call->outcome.ns,
            &call->outcome.name,
            &call->outcome.message,
            &call->outcome.hook_type,
            &call->gvr.group,
            &call->gvr.version,
            &call->gvr.resource,
            &call->ns,
            &call->name,
            &call->body,
            &call->precondition_uid,
        };
        for (size_t j = 0; j < ARRAY_LEN(texts); j++) {
            *texts[j] = keep(arena, *texts[j]);
        }
    }
    return calls;
}

// The fields of the Application that carrying out a plan still asks for: events.c, metrics.c.
static const struct doc_value *keep_app(struct arena *arena, const struct doc_value *app) {
    static const char *const fields[] = {"name", "namespace", "uid", "resourceVersion"};
    struct doc_object out = doc_object_start(arena), metadata = doc_object_start(arena),
                      spec = doc_object_start(arena);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct str text = doc_get_str(app, "metadata", fields[i]);
        doc_object_set_c(&metadata, fields[i], doc_make_str(keep(arena, text)));
    }
    doc_object_set_c(&spec, "project",
                     doc_make_str(keep(arena, doc_get_str(app, "spec", "project"))));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "spec", doc_object_done(&spec));
    struct doc_value *kept = arena_alloc(arena, sizeof *kept);
    *kept = doc_object_done(&out);
    return kept;
}

void app_job_compact(struct app_job *job) {
    struct arena *arena = arena_create();
    struct app_plan *plan = &job->plan;
    plan->calls = keep_calls(arena, plan);
    struct app_event *events = ARENA_ARRAY(arena, plan->event_count, struct app_event);
    for (size_t i = 0; i < plan->event_count; i++) {
        events[i] = (struct app_event){plan->events[i].warning, keep(arena, plan->events[i].reason),
                                       keep(arena, plan->events[i].message)};
    }
    plan->events = events;
    plan->patch = keep(arena, plan->patch);
    plan->sync_status = keep(arena, plan->sync_status);
    plan->health_status = keep(arena, plan->health_status);
    plan->operation_phase = keep(arena, plan->operation_phase);
    job->input = (struct app_plan_input){.app = keep_app(arena, job->input.app),
                                         .server = keep(arena, job->input.server),
                                         .is_refresh = job->input.is_refresh};
    arena_destroy(job->arena);
    job->arena = arena;
}
