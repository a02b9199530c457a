// SPDX-License-Identifier: Apache-2.0
// The operation under way: starts it, steps it, retries it, ends it. All of its progress is in status.operationState and
// in the results that are not written yet, so it goes on after a restart where it stopped.
#include "app/plan_internal.h"

#include "base/timefmt.h"

struct stepping {
    struct planning *planning;
    struct doc_value operation;
    struct sync_options options;
    VEC(struct sync_result) results;
    VEC(struct sync_resource) resources;
    VEC(struct app_call) calls;
    enum operation_phase phase;
    struct str message;
    struct str revision;
    struct doc_value source;
    struct str started_at, finished_at;
    int64_t retry_count;
    bool is_waiting_for_retry;
};

static bool is_automated(const struct doc_value *operation) {
    return doc_bool(doc_get(operation, "initiatedBy", "automated"), false);
}

// ---- Results, to and from the status ----
static struct sync_result read_result(const struct doc_value *entry) {
    struct sync_result result = {.group = doc_get_str(entry, "group"),
                                 .version = doc_get_str(entry, "version"),
                                 .kind = doc_get_str(entry, "kind"),
                                 .ns = doc_get_str(entry, "namespace"),
                                 .name = doc_get_str(entry, "name"),
                                 .message = doc_get_str(entry, "message"),
                                 .hook_type = doc_get_str(entry, "hookType"),
                                 .sync_phase = SYNC_MAIN,
                                 .hook_phase = OPERATION_RUNNING};
    result.is_hook = result.hook_type.n > 0;
    for (int i = SYNC_RESULT_SYNCED; i <= SYNC_RESULT_PRUNE_SKIPPED; i++) {
        if (str_eq_c(doc_get_str(entry, "status"), sync_status_name((enum sync_status)i))) {
            result.status = (enum sync_status)i;
        }
    }
    for (int i = SYNC_PRE; i <= SYNC_FAIL; i++) {
        if (str_eq_c(doc_get_str(entry, "syncPhase"), sync_phase_name((enum sync_phase)i))) {
            result.sync_phase = (enum sync_phase)i;
        }
    }
    operation_phase_parse(doc_get_str(entry, "hookPhase"), &result.hook_phase);
    return result;
}

static void set_text(struct doc_object *object, const char *key, struct str text) {
    if (text.n) {
        doc_object_set_c(object, key, doc_make_str(text));
    }
}

static struct doc_value write_result(struct arena *arena, const struct sync_result *result) {
    struct doc_object entry = doc_object_start(arena);
    doc_object_set_c(&entry, "group", doc_make_str(result->group));
    if (result->is_hook || result->status != SYNC_RESULT_PRUNE_SKIPPED) {
        set_text(&entry, "hookPhase", str_from(operation_phase_name(result->hook_phase)));
    }
    set_text(&entry, "hookType", result->hook_type);
    doc_object_set_c(&entry, "kind", doc_make_str(result->kind));
    set_text(&entry, "message", str_first(result->message, ERR_MESSAGE_MAX));
    set_text(&entry, "name", result->name);
    doc_object_set_c(&entry, "namespace", doc_make_str(result->ns));
    set_text(&entry, "status", str_from(sync_status_name(result->status)));
    set_text(&entry, "syncPhase", str_from(sync_phase_name(result->sync_phase)));
    doc_object_set_c(&entry, "version", doc_make_str(result->version));
    return doc_object_done(&entry);
}

// Replaces the result of the same task, or adds it.
static void put_result(struct stepping *s, struct sync_result result) {
    for (size_t i = 0; i < s->results.len; i++) {
        struct sync_result *old = &s->results.items[i];
        if (str_eq(old->name, result.name) && str_eq(old->ns, result.ns) &&
            str_eq(old->kind, result.kind) && str_eq(old->group, result.group) &&
            old->is_hook == result.is_hook &&
            (!result.is_hook || old->sync_phase == result.sync_phase)) {
            *old = result;
            return;
        }
    }
    VEC_PUSH(&s->results, result);
}

// ---- Starting ----
static struct doc_value source_of(struct planning *planning) {
    struct app_source_spec spec;
    if (app_operation_source(planning->in->app, &spec) && spec.source) {
        return *spec.source;
    }
    return app_source_of(planning->in->app, &spec, NULL) ? *spec.source : doc_null();
}

static void start(struct stepping *s) {
    struct planning *planning = s->planning;
    planning->operation_started = true;
    s->phase = OPERATION_RUNNING;
    s->message = STR("");
    s->started_at = time_format(planning->arena, planning->in->now_ns);
    s->revision = planning->in->revision;
    s->source = source_of(planning);
    bool automated = is_automated(&s->operation);
    struct str user = doc_get_str(&s->operation, "initiatedBy", "username");
    app_add_event(planning, false, "OperationStarted",
                  arena_printf(planning->arena, "%.*s initiated %s sync to '%.*s'",
                               STR_ARG(user.n ? user : STR("Unknown user")),
                               automated ? "automated" : "manual", STR_ARG(s->revision)));
    if (automated) {
        planning->events.items[planning->events.len - 1].message = arena_printf(
            planning->arena, "Initiated automated sync to '%.*s'", STR_ARG(s->revision));
    }
}

static void resume(struct stepping *s, const struct doc_value *state) {
    struct planning *planning = s->planning;
    s->operation = doc_get(state, "operation") ? *doc_get(state, "operation") : doc_null();
    operation_phase_parse(doc_get_str(state, "phase"), &s->phase);
    s->message = doc_get_str(state, "message");
    s->started_at = doc_get_str(state, "startedAt");
    s->retry_count = doc_int(doc_get(state, "retryCount"), 0);
    s->revision = doc_get_str(state, "syncResult", "revision");
    s->source = doc_get(state, "syncResult", "source") ? *doc_get(state, "syncResult", "source")
                                                       : source_of(planning);
    s->is_waiting_for_retry = !doc_is_null(doc_get(state, "finishedAt"));
    s->finished_at = doc_get_str(state, "finishedAt");
    // One that is being terminated ends as itself: the newer commit has not been tried.
    bool superseded = is_automated(&s->operation) && s->phase != OPERATION_TERMINATING &&
                      !str_eq(s->revision, planning->in->revision);
    if (superseded) {
        // A newer commit takes over an operation that waits; what it did so far counts for the old one only.
        planning->operation_started = true;
        s->is_waiting_for_retry = false;
        s->retry_count = 0;
        s->revision = planning->in->revision;
        s->source = source_of(planning);
        s->operation =
            doc_with(planning->arena, &s->operation, doc_make_str(s->revision), "sync", "revision");
        s->message = STR("");
        return;
    }
    for (DOC_EACH_ITEM(doc_get(state, "syncResult", "resources"), entry)) {
        VEC_PUSH(&s->results, read_result(entry));
    }
    for (size_t i = 0; i < planning->in->result_count; i++) {
        put_result(s, planning->in->results[i]);
    }
}

static bool begin(struct stepping *s) {
    struct planning *planning = s->planning;
    const struct doc_value *state = doc_get(planning->old_status, "operationState");
    const struct doc_value *requested = doc_get(planning->in->app, "operation");
    struct str phase = doc_get_str(state, "phase");
    if (str_eq(phase, STR("Running")) || str_eq(phase, STR("Terminating"))) {
        if (!planning->can_compare) {
            return false; // it goes on when the source can be read again
        }
        resume(s, state);
        return true;
    }
    if (doc_is(requested, DOC_OBJECT)) {
        s->operation = *requested;
        start(s);
        return true;
    }
    if (planning->can_compare && app_autosync(planning, &s->operation)) {
        start(s);
        return true;
    }
    return false;
}

// ---- Retrying ----
static int64_t read_duration(const struct doc_value *value, int64_t fallback_seconds) {
    int64_t ns;
    return duration_parse(doc_str(value), &ns, NULL) && ns > 0 ? ns
                                                               : fallback_seconds * NS_PER_SECOND;
}

static int64_t retry_pause(const struct stepping *s) {
    const struct doc_value *backoff = doc_get(&s->operation, "retry", "backoff");
    int64_t pause = read_duration(doc_get(backoff, "duration"), 5);
    int64_t max = read_duration(doc_get(backoff, "maxDuration"), 180);
    int64_t factor = doc_int(doc_get(backoff, "factor"), 2);
    for (int64_t i = 1; i < s->retry_count && pause < max; i++) {
        if (__builtin_mul_overflow(pause, factor < 1 ? 1 : factor, &pause)) {
            pause = max;
        }
    }
    return pause > max ? max : pause;
}

static bool may_retry(const struct stepping *s) {
    int64_t limit = doc_int(doc_get(&s->operation, "retry", "limit"), 0);
    return limit < 0 || s->retry_count < limit;
}

static void ask_again(struct planning *planning, int64_t ns) {
    if (planning->out->requeue_ns == 0 || ns < planning->out->requeue_ns) {
        planning->out->requeue_ns = ns;
    }
}

// False while the pause of a retry lasts.
static bool retry_is_due(struct stepping *s) {
    int64_t failed_at;
    if (!s->is_waiting_for_retry || s->phase == OPERATION_TERMINATING) {
        return true;
    }
    if (!time_parse(s->finished_at, &failed_at)) {
        failed_at = 0;
    }
    int64_t pause = retry_pause(s);
    int64_t left = failed_at + pause - s->planning->in->now_ns;
    // More than the whole pause: the clock was set back since the failure.
    if (left > 0 && left <= pause + NS_PER_SECOND) {
        ask_again(s->planning, left);
        return false;
    }
    s->is_waiting_for_retry = false;
    s->finished_at = (struct str){NULL, 0};
    s->results.len = 0;
    s->planning->operation_started = true; // the new attempt is noted before its first call
    return true;
}

// ---- Stepping ----
static void add_namespace(struct stepping *s) {
    const struct app_plan_input *in = s->planning->in;
    struct str name = doc_get_str(in->app, "spec", "destination", "namespace");
    if (!s->options.create_namespace || name.n == 0 || in->namespace_live) {
        return;
    }
    for (size_t i = 0; i < s->resources.len; i++) {
        if (str_eq(s->resources.items[i].kind, STR("Namespace")) &&
            str_eq(s->resources.items[i].name, name)) {
            return;
        }
    }
    struct arena *arena = s->planning->arena;
    struct doc_object object = doc_object_start(arena), metadata = doc_object_start(arena);
    const struct doc_value *wanted =
        doc_get(in->app, "spec", "syncPolicy", "managedNamespaceMetadata");
    doc_object_set_c(&metadata, "name", doc_make_str(name));
    if (doc_get(wanted, "labels")) {
        doc_object_set_c(&metadata, "labels", *doc_get(wanted, "labels"));
    }
    if (doc_get(wanted, "annotations")) {
        doc_object_set_c(&metadata, "annotations", *doc_get(wanted, "annotations"));
    }
    doc_object_set_c(&object, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&object, "kind", DOC_S("Namespace"));
    doc_object_set_c(&object, "metadata", doc_object_done(&metadata));
    struct doc_value *target = ARENA_NEW(arena, struct doc_value);
    *target = doc_object_done(&object);
    VEC_PUSH(&s->resources, ((struct sync_resource){.group = STR(""),
                                                    .version = STR("v1"),
                                                    .kind = STR("Namespace"),
                                                    .ns = STR(""),
                                                    .name = name,
                                                    .target = target,
                                                    .is_prerequisite = true}));
}

static void gather_resources(struct stepping *s) {
    for (size_t i = 0; i < s->planning->compared_count; i++) {
        const struct compared *c = &s->planning->compared[i];
        const struct app_object *o = c->object;
        VEC_PUSH(&s->resources,
                 ((struct sync_resource){.group = o->group,
                                         .version = o->version,
                                         .kind = o->kind,
                                         .ns = o->ns,
                                         .name = o->name,
                                         .target = o->target ? &c->target : NULL,
                                         .live = o->live ? &c->live : NULL,
                                         .modified = c->modified,
                                         .health = o->live ? c->health : (struct health){0},
                                         .is_namespaced = o->is_namespaced,
                                         .is_unknown_kind = o->is_unknown_kind}));
    }
    add_namespace(s);
}

// Turns tasks into calls; those that need none, or that may not be made, become results at once.
static size_t take_tasks(struct stepping *s, const struct sync_plan *plan) {
    size_t settled = plan->result_count;
    for (size_t i = 0; i < plan->result_count; i++) {
        put_result(s, plan->results[i]);
    }
    for (size_t i = 0; i < plan->task_count; i++) {
        const struct sync_task *task = &plan->tasks[i];
        struct app_call call;
        struct err err = {0};
        if (!app_make_call(s->planning, task, &s->options, &call, &err)) {
            call.outcome.status = SYNC_RESULT_FAILED;
            call.outcome.hook_phase = OPERATION_FAILED;
            call.outcome.message = arena_dup(s->planning->arena, str_from(err.message));
            put_result(s, call.outcome);
            settled++;
            continue;
        }
        call.no_outcome = task->action == SYNC_HOOK_DELETE;
        if (call.is_noop) {
            put_result(s, call.outcome);
            settled++;
        } else {
            VEC_PUSH(&s->calls, call);
        }
    }
    return settled;
}

static void step(struct stepping *s) {
    bool terminate = s->phase == OPERATION_TERMINATING;
    s->options = app_sync_options(s->planning, &s->operation);
    s->options.prune_confirmed = app_is_deletion_approved(s->planning->in->app, s->started_at);
    gather_resources(s);
    // Every round settles at least one task, so this ends; the bound is for the peace of mind.
    for (size_t round = 0; round <= 2 * s->resources.len + 8; round++) {
        struct sync_input input = {.resources = s->resources.items,
                                   .resource_count = s->resources.len,
                                   .results = s->results.items,
                                   .result_count = s->results.len,
                                   .options = s->options,
                                   .terminate = terminate,
                                   .operation_id = s->started_at};
        struct sync_plan plan;
        sync_plan(&input, s->planning->arena, &plan);
        s->phase = plan.phase;
        s->message = plan.message;
        size_t settled = take_tasks(s, &plan);
        if (s->calls.len || settled == 0 || operation_is_over(plan.phase)) {
            break;
        }
    }
    for (size_t i = 0; i < s->resources.len; i++) {
        s->planning->out->wants_mapper =
            s->planning->out->wants_mapper || s->resources.items[i].is_unknown_kind;
    }
}

// ---- Ending ----
static void finish(struct stepping *s) {
    struct planning *planning = s->planning;
    struct arena *arena = planning->arena;
    s->finished_at = time_format(arena, planning->in->now_ns);
    bool terminated = str_eq(s->message, STR("Operation terminated"));
    if (s->phase == OPERATION_FAILED && !terminated && may_retry(s)) {
        s->retry_count++;
        s->phase = OPERATION_RUNNING;
        s->is_waiting_for_retry = true;
        int64_t pause = retry_pause(s);
        s->message = arena_printf(arena, "%.*s. Retrying attempt #%lld at %.*s.",
                                  STR_ARG(s->message), (long long)s->retry_count,
                                  STR_ARG(time_format(arena, planning->in->now_ns + pause)));
        ask_again(planning, pause);
        return;
    }
    planning->drops_operation = doc_get(planning->in->app, "operation") != NULL;
    bool ok = s->phase == OPERATION_SUCCEEDED;
    app_add_event(planning, !ok, "OperationCompleted",
                  ok ? arena_printf(arena, "Sync operation to %.*s succeeded", STR_ARG(s->revision))
                     : arena_printf(arena, "Sync operation to %.*s failed: %.*s",
                                    STR_ARG(s->revision), STR_ARG(s->message)));
}

static struct doc_value write_state(struct stepping *s) {
    struct arena *arena = s->planning->arena;
    struct doc_array resources = doc_array_start(arena);
    for (size_t i = 0; i < s->results.len; i++) {
        struct sync_result *result = &s->results.items[i];
        if (operation_is_over(s->phase) && result->hook_phase == OPERATION_RUNNING) {
            result->hook_phase = s->phase == OPERATION_SUCCEEDED ? OPERATION_RUNNING : s->phase;
        }
        doc_array_add(&resources, write_result(arena, result));
    }
    struct doc_object sync = doc_object_start(arena), state = doc_object_start(arena);
    if (s->results.len) {
        doc_object_set_c(&sync, "resources", doc_array_done(&resources));
    }
    doc_object_set_c(&sync, "revision", doc_make_str(s->revision));
    doc_object_set_c(&sync, "source", s->source);
    if (operation_is_over(s->phase) || s->is_waiting_for_retry) {
        doc_object_set_c(&state, "finishedAt", doc_make_str(s->finished_at));
    }
    set_text(&state, "message", str_first(s->message, ERR_MESSAGE_MAX));
    doc_object_set_c(&state, "operation", s->operation);
    doc_object_set_c(&state, "phase", doc_make_str(str_from(operation_phase_name(s->phase))));
    if (s->retry_count) {
        doc_object_set_c(&state, "retryCount", doc_make_int(s->retry_count));
    }
    doc_object_set_c(&state, "startedAt", doc_make_str(s->started_at));
    doc_object_set_c(&state, "syncResult", doc_object_done(&sync));
    return doc_object_done(&state);
}

// What cannot be done as asked must not be done otherwise.
static const char *refusal(const struct doc_value *operation) {
    const struct doc_value *sync = doc_get(operation, "sync");
    return !doc_is(sync, DOC_OBJECT) ? "Invalid operation request: no operation specified"
           : doc_len(doc_get(sync, "manifests"))
               ? "operation.sync.manifests: this version of Skiff syncs from Git only, not from "
                 "local manifests"
           : doc_len(doc_get(sync, "sources")) > 1 || doc_len(doc_get(sync, "revisions")) > 1
               ? "operation.sync: this version of Skiff takes one source per application"
               : NULL;
}

static void refuse(struct stepping *s, const char *why) {
    s->phase = OPERATION_ERROR;
    s->message = str_from(why);
    finish(s);
}

static void fail_at_once(struct stepping *s) {
    // Asked for, but the desired state is not known: the answer is an error, and nothing live is touched.
    const struct app_plan_input *in = s->planning->in;
    s->phase = OPERATION_ERROR;
    s->message = in->error_count ? in->errors[0].message : STR("the desired state is unknown");
    finish(s);
}

static void take_calls(struct stepping *s) {
    struct app_plan *out = s->planning->out;
    out->calls = ARENA_ARRAY(s->planning->arena, s->calls.len, struct app_call);
    out->call_count = s->calls.len;
    for (size_t i = 0; i < s->calls.len; i++) {
        out->calls[i] = s->calls.items[i];
    }
}

void app_step_operation(struct planning *planning) {
    struct stepping s = {.planning = planning};
    if (begin(&s)) {
        planning->has_operation = true;
        const char *refused = refusal(&s.operation);
        if (refused) {
            refuse(&s, refused);
        } else if (!planning->can_compare) {
            fail_at_once(&s);
        } else if (retry_is_due(&s)) {
            step(&s);
            if (operation_is_over(s.phase)) {
                finish(&s);
            }
        }
        planning->operation_state = write_state(&s);
        planning->out->operation_phase = str_from(operation_phase_name(s.phase));
        take_calls(&s);
    }
    VEC_FREE(&s.results);
    VEC_FREE(&s.resources);
    VEC_FREE(&s.calls);
}
