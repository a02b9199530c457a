// SPDX-License-Identifier: Apache-2.0
// The step function. It lays out every task of the operation in order, strikes out what the results say is done, and
// stops at the first group (phase and wave) that still has something to do or to wait for.
#include "sync/sync.h"

#include <limits.h>

#include "base/vec.h"
#include "sync/sync_internal.h"

struct planner {
    const struct sync_input *input;
    struct arena *arena;
    VEC(struct sync_task) all;       // every task of the operation
    VEC(struct sync_task) now;       // to be carried out
    VEC(struct sync_result) results; // new or changed
};

// ---- Laying out ----
static bool is_selected(const struct sync_options *options, const struct sync_resource *resource) {
    if (!options->has_selection) {
        return true;
    }
    for (size_t i = 0; i < options->selected_count; i++) {
        const struct sync_selection *s = &options->selected[i];
        if (str_eq(s->group, resource->group) && str_eq(s->kind, resource->kind) &&
            str_eq(s->name, resource->name) && (s->ns.n == 0 || str_eq(s->ns, resource->ns))) {
            return true;
        }
    }
    return false;
}

static void add_task(struct planner *planner, enum sync_action action, enum sync_phase phase,
                     int wave, const struct sync_resource *resource) {
    VEC_PUSH(&planner->all, ((struct sync_task){.action = action,
                                                .phase = phase,
                                                .wave = wave,
                                                .resource = resource,
                                                .hook_name = resource->name}));
}

static void lay_out_hook(struct planner *planner, const struct sync_resource *resource) {
    if (planner->input->options.has_selection) {
        return; // a selective sync runs no hooks
    }
    for (int phase = SYNC_PRE; phase <= SYNC_FAIL; phase++) {
        if (sync_hook_in_phase(resource->target, (enum sync_phase)phase)) {
            add_task(planner, SYNC_HOOK_CREATE, (enum sync_phase)phase, sync_wave(resource->target),
                     resource);
        }
    }
}

static void lay_out(struct planner *planner) {
    const struct sync_input *input = planner->input;
    for (size_t i = 0; i < input->resource_count; i++) {
        const struct sync_resource *resource = &input->resources[i];
        const struct doc_value *target = resource->target;
        if (resource->is_prerequisite) {
            add_task(planner, SYNC_APPLY, SYNC_PRE, INT_MIN, resource);
            continue;
        }
        if (target && sync_is_hook(target)) {
            lay_out_hook(planner, resource);
            continue;
        }
        if ((target && sync_is_skipped(target)) || !is_selected(&input->options, resource)) {
            continue;
        }
        if (!target) {
            // A hook that left Git ends by its own delete policy.
            if (resource->live && !sync_is_hook(resource->live)) {
                add_task(planner, SYNC_PRUNE, SYNC_MAIN, sync_wave(resource->live), resource);
            }
        } else if (!input->options.apply_out_of_sync_only || resource->modified ||
                   !resource->live) {
            add_task(planner, SYNC_APPLY, SYNC_MAIN, sync_wave(target), resource);
        }
    }
}

// Objects go in the reverse order of their waves: what came last leaves first. With PruneLast they leave after everything.
static void turn_prune_waves(struct planner *planner) {
    int lowest = INT_MAX, highest = INT_MIN, last = INT_MIN;
    for (size_t i = 0; i < planner->all.len; i++) {
        const struct sync_task *task = &planner->all.items[i];
        if (task->action == SYNC_PRUNE) {
            lowest = task->wave < lowest ? task->wave : lowest;
            highest = task->wave > highest ? task->wave : highest;
        }
        if (task->phase == SYNC_MAIN) {
            last = task->wave > last ? task->wave : last;
        }
    }
    for (size_t i = 0; i < planner->all.len; i++) {
        struct sync_task *task = &planner->all.items[i];
        if (task->action == SYNC_PRUNE) {
            bool at_end = planner->input->options.prune_last ||
                          sync_has_option(task->resource->live, "PruneLast=true");
            task->wave = at_end ? last + 1 : lowest + highest - task->wave;
        }
    }
}

static int order_of(const struct sync_task *task) {
    int rank = sync_kind_rank(task->resource->kind);
    return task->action == SYNC_PRUNE ? 1000 - rank : rank;
}

static int compare_tasks(const void *left, const void *right) {
    const struct sync_task *a = left, *b = right;
    if (a->phase != b->phase) {
        return a->phase < b->phase ? -1 : 1;
    }
    if (a->wave != b->wave) {
        return a->wave < b->wave ? -1 : 1;
    }
    int order = order_of(a) - order_of(b);
    if (order == 0) {
        order = str_cmp(a->resource->kind, b->resource->kind);
    }
    if (order == 0) {
        order = str_cmp(a->resource->ns, b->resource->ns);
    }
    return order ? order : str_cmp(a->hook_name, b->hook_name);
}

// ---- What happened so far ----
static const struct sync_result *find_result(const struct planner *planner,
                                             const struct sync_task *task) {
    for (size_t i = planner->input->result_count; i-- > 0;) {
        const struct sync_result *result = &planner->input->results[i];
        if (str_eq(result->name, task->hook_name) && str_eq(result->kind, task->resource->kind) &&
            str_eq(result->group, task->resource->group) &&
            str_eq(result->ns, task->resource->ns) &&
            (!result->is_hook || result->sync_phase == task->phase)) {
            return result;
        }
    }
    return NULL;
}

static struct sync_result result_for(const struct sync_task *task, enum sync_status status,
                                     enum operation_phase phase, struct str message) {
    const struct sync_resource *r = task->resource;
    bool is_hook = task->action == SYNC_HOOK_CREATE;
    return (struct sync_result){.group = r->group,
                                .version = r->version,
                                .kind = r->kind,
                                .ns = r->ns,
                                .name = task->hook_name,
                                .sync_phase = task->phase,
                                .status = status,
                                .message = message,
                                .is_hook = is_hook,
                                .hook_type = is_hook ? str_from(sync_phase_name(task->phase))
                                                     : (struct str){NULL, 0},
                                .hook_phase = phase};
}

static bool is_provided_by_crd(const struct planner *planner,
                               const struct sync_resource *resource) {
    for (size_t i = 0; i < planner->input->resource_count; i++) {
        const struct doc_value *target = planner->input->resources[i].target;
        if (str_eq(planner->input->resources[i].kind, STR("CustomResourceDefinition")) &&
            str_eq(doc_get_str(target, "spec", "group"), resource->group) &&
            str_eq(doc_get_str(target, "spec", "names", "kind"), resource->kind)) {
            return true;
        }
    }
    return false;
}

// ---- One group ----
enum group_state { GROUP_DONE, GROUP_BUSY, GROUP_FAILED };
struct group {
    size_t start, end; // in planner->all
    size_t waiting;
    size_t waiting_hooks;
    const struct sync_task *waits_for;
    bool has_failed;
    struct str failure; // why; may be empty
};

static void set_failed(struct group *group, struct str why) {
    group->has_failed = true;
    group->failure = why;
}

static void wait_for(struct group *group, const struct sync_task *task) {
    group->waiting++;
    group->waiting_hooks += task->action == SYNC_HOOK_CREATE;
    group->waits_for = group->waits_for ? group->waits_for : task;
}

static void decide_prune(struct planner *planner, struct group *group,
                         const struct sync_task *task) {
    const struct doc_value *live = task->resource->live;
    const struct sync_options *options = &planner->input->options;
    const char *why = sync_is_kept(options, live) ? "ignored (no prune)"
                      : !options->prune           ? "ignored (requires pruning)"
                                                  : NULL;
    if (!why && sync_needs_confirmation(options, live)) {
        wait_for(group, task);
    } else if (why) {
        VEC_PUSH(&planner->results,
                 result_for(task, SYNC_RESULT_PRUNE_SKIPPED, OPERATION_SUCCEEDED, str_from(why)));
    } else {
        VEC_PUSH(&planner->now, *task);
    }
}

static void decide_apply(struct planner *planner, struct group *group,
                         const struct sync_task *task) {
    const struct sync_resource *resource = task->resource;
    if (!resource->is_unknown_kind) {
        VEC_PUSH(&planner->now, *task);
    } else if (is_provided_by_crd(planner, resource)) {
        if (planner->input->options.dry_run) {
            struct str message =
                STR("not checked: this sync would define its kind first (dry run)");
            VEC_PUSH(&planner->results,
                     result_for(task, SYNC_RESULT_SYNCED, OPERATION_SUCCEEDED, message));
        } else {
            wait_for(group, task);
        }
    } else {
        struct str message =
            arena_printf(planner->arena,
                         "The Kubernetes API could not find %.*s%s%.*s/%.*s for requested resource "
                         "%.*s/%.*s. Make "
                         "sure the \"%.*s\" CRD is installed on the destination cluster.",
                         STR_ARG(resource->group), resource->group.n ? "/" : "",
                         STR_ARG(resource->version), STR_ARG(resource->kind), STR_ARG(resource->ns),
                         STR_ARG(resource->name), STR_ARG(resource->kind));
        VEC_PUSH(&planner->results,
                 result_for(task, SYNC_RESULT_FAILED, OPERATION_FAILED, message));
        set_failed(group, message);
    }
}

static void decide_hook(struct planner *planner, struct group *group,
                        const struct sync_task *task) {
    const struct sync_resource *resource = task->resource;
    if (resource->live && planner->input->options.dry_run) {
        // A dry run removes nothing, so waiting for the old one to go would never end.
        struct str message =
            STR("not checked: this sync would replace the hook that is there (dry run)");
        VEC_PUSH(&planner->results,
                 result_for(task, SYNC_RESULT_SYNCED, OPERATION_SUCCEEDED, message));
        return;
    }
    if (resource->live) {
        // Left over from an earlier operation: it goes before the new one is made.
        if (!sync_hook_has_policy(resource->target, "BeforeHookCreation")) {
            VEC_PUSH(&planner->now, *task);
            return;
        }
        if (doc_is_null(doc_get(resource->live, "metadata", "deletionTimestamp"))) {
            struct sync_task removal = *task;
            removal.action = SYNC_HOOK_DELETE;
            VEC_PUSH(&planner->now, removal);
        }
        wait_for(group, task);
        return;
    }
    decide_apply(planner, group, task);
}

// Kinds without an assessment are done once they are applied.
static enum operation_phase phase_of_health(const struct sync_resource *resource) {
    if (!resource->live) {
        return OPERATION_RUNNING;
    }
    if (!resource->health.has) {
        return OPERATION_SUCCEEDED;
    }
    switch (resource->health.code) {
    case HEALTH_HEALTHY:
    case HEALTH_SUSPENDED:
        return OPERATION_SUCCEEDED;
    case HEALTH_DEGRADED:
        return OPERATION_FAILED;
    default:
        return OPERATION_RUNNING;
    }
}

static void check_applied(struct planner *planner, struct group *group,
                          const struct sync_task *task, const struct sync_result *result) {
    if (result->status == SYNC_RESULT_FAILED) {
        set_failed(group, result->message);
        return;
    }
    if (task->action == SYNC_PRUNE) {
        // Pruned but still there: finalizers run. The next wave waits for it.
        if (task->resource->live && result->status == SYNC_RESULT_PRUNED) {
            wait_for(group, task);
        }
        return;
    }
    if (result->is_hook && operation_is_over(result->hook_phase)) {
        if (result->hook_phase != OPERATION_SUCCEEDED) {
            set_failed(group, result->message);
        }
        return;
    }
    enum operation_phase phase =
        planner->input->options.dry_run ? OPERATION_SUCCEEDED : phase_of_health(task->resource);
    if (phase == OPERATION_RUNNING) {
        wait_for(group, task);
        return;
    }
    if (phase == OPERATION_FAILED) {
        struct str message = task->resource->health.message;
        set_failed(group, message.n ? message
                                    : arena_printf(planner->arena, "%.*s %.*s is degraded",
                                                   STR_ARG(task->resource->kind),
                                                   STR_ARG(task->hook_name)));
    }
    if (result->is_hook && result->hook_phase != phase) {
        struct sync_result changed = *result;
        changed.hook_phase = phase;
        changed.message =
            task->resource->health.message.n ? task->resource->health.message : result->message;
        VEC_PUSH(&planner->results, changed);
    }
}

static bool comes_first(const struct sync_task *task) {
    return task->action == SYNC_APPLY &&
           (str_eq(task->resource->kind, STR("Namespace")) ||
            str_eq(task->resource->kind, STR("CustomResourceDefinition")));
}

// Starts what has no result yet. Namespaces and CRDs go alone, ahead of what needs them.
static bool start_tasks(struct planner *planner, struct group *group) {
    bool only_first = false;
    for (size_t i = group->start; i < group->end; i++) {
        const struct sync_task *task = &planner->all.items[i];
        only_first = only_first || (comes_first(task) && !find_result(planner, task));
    }
    bool any = false;
    for (size_t i = group->start; i < group->end; i++) {
        const struct sync_task *task = &planner->all.items[i];
        if (find_result(planner, task) || (only_first && !comes_first(task))) {
            continue;
        }
        any = true;
        if (task->action == SYNC_PRUNE) {
            decide_prune(planner, group, task);
        } else if (task->action == SYNC_HOOK_CREATE) {
            decide_hook(planner, group, task);
        } else {
            decide_apply(planner, group, task);
        }
    }
    return any;
}

static enum group_state step_group(struct planner *planner, struct group *group, bool is_last) {
    if (start_tasks(planner, group)) {
        bool waits = group->waiting || planner->now.len;
        return group->has_failed && !waits ? GROUP_FAILED : waits ? GROUP_BUSY : GROUP_DONE;
    }
    for (size_t i = group->start; i < group->end; i++) {
        const struct sync_task *task = &planner->all.items[i];
        const struct sync_result *result = find_result(planner, task);
        // After the last wave nothing waits for the health of plain objects: that is a finished apply.
        if (is_last && !result->is_hook && result->status != SYNC_RESULT_FAILED) {
            continue;
        }
        check_applied(planner, group, task, result);
    }
    return group->has_failed ? GROUP_FAILED : group->waiting ? GROUP_BUSY : GROUP_DONE;
}

static struct str waiting_message(const struct planner *planner, const struct group *group) {
    if (!group->waits_for) {
        return STR("one or more tasks are running");
    }
    const struct sync_resource *r = group->waits_for->resource;
    bool hook = group->waiting_hooks > 0;
    struct str more = group->waiting > 1
                          ? arena_printf(planner->arena, " and %zu more %s", group->waiting - 1,
                                         hook ? "hooks" : "resources")
                          : (struct str){NULL, 0};
    bool prune = group->waits_for->action == SYNC_PRUNE;
    bool asked = prune && sync_needs_confirmation(&planner->input->options, r->live);
    const char *what = hook                 ? "completion of hook"
                       : asked              ? "pruning confirmation of"
                       : prune              ? "deletion of"
                       : r->is_unknown_kind ? "the definition of"
                                            : "healthy state of";
    return arena_printf(planner->arena, "waiting for %s %.*s/%.*s/%.*s%.*s", what,
                        STR_ARG(r->group), STR_ARG(r->kind), STR_ARG(group->waits_for->hook_name),
                        STR_ARG(more));
}

// ---- The end of an operation ----
static void delete_hooks(struct planner *planner, bool succeeded) {
    const char *policy = succeeded ? "HookSucceeded" : "HookFailed";
    for (size_t i = 0; i < planner->all.len; i++) {
        struct sync_task task = planner->all.items[i];
        if (task.action == SYNC_HOOK_CREATE && task.resource->live && find_result(planner, &task) &&
            doc_is_null(doc_get(task.resource->live, "metadata", "deletionTimestamp")) &&
            sync_hook_has_policy(task.resource->target, policy)) {
            task.action = SYNC_HOOK_DELETE;
            VEC_PUSH(&planner->now, task);
        }
    }
}

static size_t group_end(const struct planner *planner, size_t start) {
    size_t end = start;
    while (end < planner->all.len &&
           planner->all.items[end].phase == planner->all.items[start].phase &&
           planner->all.items[end].wave == planner->all.items[start].wave) {
        end++;
    }
    return end;
}

static size_t first_of_phase(const struct planner *planner, enum sync_phase phase) {
    size_t i = 0;
    while (i < planner->all.len && planner->all.items[i].phase < phase) {
        i++;
    }
    return i;
}

static enum group_state run_phases(struct planner *planner, size_t from, size_t to,
                                   struct group *at) {
    for (size_t start = from; start < to;) {
        size_t end = group_end(planner, start);
        *at = (struct group){.start = start, .end = end};
        enum group_state state = step_group(planner, at, end >= to);
        if (state != GROUP_DONE || planner->results.len) {
            // New results are recorded before the next group is looked at.
            return state == GROUP_DONE ? GROUP_BUSY : state;
        }
        start = end;
    }
    return GROUP_DONE;
}

static void fail(struct planner *planner, struct str reason, struct sync_plan *out) {
    struct group at = {0};
    size_t from = first_of_phase(planner, SYNC_FAIL);
    planner->now.len = 0;
    enum group_state state = run_phases(planner, from, planner->all.len, &at);
    if (state == GROUP_BUSY) {
        out->phase = OPERATION_RUNNING;
        out->message = waiting_message(planner, &at);
        return;
    }
    out->phase = OPERATION_FAILED;
    out->message = arena_printf(
        planner->arena, "one or more synchronization tasks completed unsuccessfully, reason: %.*s",
        STR_ARG(reason));
    delete_hooks(planner, false);
}

static void decide(struct planner *planner, struct sync_plan *out) {
    if (planner->input->terminate) {
        out->phase = OPERATION_FAILED;
        out->message = STR("Operation terminated");
        delete_hooks(planner, false);
        return;
    }
    struct group at = {0};
    size_t regular = first_of_phase(planner, SYNC_FAIL);
    switch (run_phases(planner, 0, regular, &at)) {
    case GROUP_BUSY:
        out->phase = OPERATION_RUNNING;
        out->message = waiting_message(planner, &at);
        break;
    case GROUP_FAILED:
        fail(planner, at.failure, out);
        break;
    case GROUP_DONE:
        out->phase = OPERATION_SUCCEEDED;
        out->message = planner->all.len ? STR("successfully synced (all tasks run)")
                                        : STR("successfully synced (no more tasks)");
        delete_hooks(planner, true);
        break;
    }
}

void sync_plan(const struct sync_input *input, struct arena *arena, struct sync_plan *out) {
    struct planner planner = {.input = input, .arena = arena};
    lay_out(&planner);
    turn_prune_waves(&planner);
    if (planner.all.len) {
        qsort(planner.all.items, planner.all.len, sizeof(struct sync_task), compare_tasks);
    }
    *out = (struct sync_plan){0};
    decide(&planner, out);
    out->task_count = planner.now.len;
    out->tasks = ARENA_ARRAY(arena, planner.now.len, struct sync_task);
    for (size_t i = 0; i < planner.now.len; i++) {
        out->tasks[i] = planner.now.items[i];
    }
    out->result_count = planner.results.len;
    out->results = ARENA_ARRAY(arena, planner.results.len, struct sync_result);
    for (size_t i = 0; i < planner.results.len; i++) {
        out->results[i] = planner.results.items[i];
    }
    VEC_FREE(&planner.all);
    VEC_FREE(&planner.now);
    VEC_FREE(&planner.results);
}
