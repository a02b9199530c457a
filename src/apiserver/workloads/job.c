// SPDX-License-Identifier: Apache-2.0
// Jobs: pods until enough have succeeded or too many have failed. Pods are counted while they exist; there is no
// tracking finalizer on them, which would cost two more writes a pod, so what was counted once is kept in the status. A
// Job ends in two steps, as upstream: what it comes to is known (SuccessCriteriaMet, FailureTarget), its pods stop, then
// it is over.
#include "apiserver/workloads/plan.h"

#define COMPONENT "job-controller"
#define INDEX "batch.kubernetes.io/job-completion-index"
#define INDEX_FAILURES "batch.kubernetes.io/job-index-failure-count"
#define ATTEMPT "skiff.dev/sim-attempt"
#define RETRY_DELAY "skiff.dev/sim-retry-delay"

enum { COMPLETIONS_MAX = 100 * 1000, BURST = 500 };

// How the Job ends, as conditions say it.
struct verdict {
    bool over, success;
    const char *reason;
    struct str message;
};

struct job_view {
    struct wl_plan *plan;
    const struct doc_value *job;
    const struct wl_pod *const *pods;
    size_t count;
    const struct wl_world *world;
    int64_t parallelism, completions, backoff_limit; // completions -1: until one pod ends well
    int64_t index_limit;                             // backoffLimitPerIndex, -1: none
    bool indexed, suspended, replaces_late;          // the last: podReplacementPolicy Failed
    struct wl_indexes done, failed_indexes;          // indexed: by completion index
    int64_t *index_failures;
    int64_t active, ready, succeeded, failed, restarts, terminating, last_failure;
    int64_t start_time;    // 0: not started
    struct verdict policy; // what podFailurePolicy came to
};

static bool is_finished(const struct doc_value *status) {
    return wl_condition_is(status, "Complete", "True") || wl_condition_is(status, "Failed", "True");
}

// ---- podFailurePolicy ----
enum action { ACTION_COUNT, ACTION_IGNORE, ACTION_FAIL_JOB, ACTION_FAIL_INDEX };

static bool exit_code_matches(const struct doc_value *rule, const struct doc_value *pod,
                              struct str *container, int64_t *code) {
    struct str only = doc_get_str(rule, "containerName");
    bool wants_in = str_eq_c(doc_get_str(rule, "operator"), "In");
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (DOC_EACH_ITEM(doc_get(pod, "status", lists[i]), status)) {
            const struct doc_value *end = doc_get(status, "state", "terminated");
            *container = doc_get_str(status, "name");
            *code = doc_int(doc_get(end, "exitCode"), 0);
            if (!end || *code == 0 || (only.n && !str_eq(only, *container))) {
                continue;
            }
            bool listed = false;
            for (DOC_EACH_ITEM(doc_get(rule, "values"), value)) {
                listed = listed || doc_int(value, 0) == *code;
            }
            if (listed == wants_in) {
                return true;
            }
        }
    }
    return false;
}

static bool condition_matches(const struct doc_value *patterns, const struct doc_value *pod,
                              struct arena *arena, struct str *type) {
    for (DOC_EACH_ITEM(patterns, pattern)) {
        *type = doc_get_str(pattern, "type");
        struct str status = doc_get_str(pattern, "status");
        const struct doc_value *condition =
            wl_condition(doc_get(pod, "status"), arena_cstr(arena, *type));
        if (condition &&
            str_eq(doc_get_str(condition, "status"), status.n ? status : STR("True"))) {
            return true;
        }
    }
    return false;
}

static enum action judge_pod(struct job_view *v, const struct wl_pod *pod) {
    struct arena *arena = v->plan->arena;
    int64_t number = 0;
    for (DOC_EACH_ITEM(doc_get(v->job, "spec", "podFailurePolicy", "rules"), rule)) {
        struct str container = {NULL, 0}, type = {NULL, 0}, message;
        int64_t code = 0;
        if (exit_code_matches(doc_get(rule, "onExitCodes"), pod->object, &container, &code) &&
            doc_get(rule, "onExitCodes")) {
            message = arena_printf(arena,
                                   "Container %.*s for pod %.*s/%.*s failed with exit code %lld "
                                   "matching FailJob rule at index %lld",
                                   STR_ARG(container), STR_ARG(wl_ns(v->job)), STR_ARG(pod->name),
                                   (long long)code, (long long)number);
        } else if (condition_matches(doc_get(rule, "onPodConditions"), pod->object, arena, &type)) {
            message = arena_printf(arena,
                                   "Pod %.*s/%.*s has condition %.*s matching FailJob rule at "
                                   "index %lld",
                                   STR_ARG(wl_ns(v->job)), STR_ARG(pod->name), STR_ARG(type),
                                   (long long)number);
        } else {
            number++;
            continue;
        }
        struct str action = doc_get_str(rule, "action");
        if (str_eq_c(action, "FailJob")) {
            v->policy =
                (struct verdict){.over = true, .reason = "PodFailurePolicy", .message = message};
            return ACTION_FAIL_JOB;
        }
        return str_eq_c(action, "Ignore")      ? ACTION_IGNORE
               : str_eq_c(action, "FailIndex") ? ACTION_FAIL_INDEX
                                               : ACTION_COUNT;
    }
    return ACTION_COUNT;
}

// ---- Counting ----
static bool has_index(const struct job_view *v, const struct wl_pod *pod) {
    return v->indexed && pod->index >= 0 && pod->index < v->done.count;
}

static void count_failed(struct job_view *v, const struct wl_pod *pod) {
    enum action action = pod->object ? judge_pod(v, pod) : ACTION_COUNT;
    if (pod->finished > v->last_failure) {
        v->last_failure = pod->finished;
    }
    if (action == ACTION_IGNORE) {
        return;
    }
    v->failed++;
    if (has_index(v, pod) && v->index_limit >= 0) {
        v->index_failures[pod->index]++;
        if (action == ACTION_FAIL_INDEX || v->index_failures[pod->index] > v->index_limit) {
            v->failed_indexes.has[pod->index] = true;
        }
    } else if (has_index(v, pod)) {
        v->index_failures[pod->index]++;
    }
}

static void count_pods(struct job_view *v) {
    const struct doc_value *status = doc_get(v->job, "status");
    struct arena *arena = v->plan->arena;
    int64_t indexes = v->indexed && v->completions > 0 ? v->completions : 0;
    indexes = indexes > COMPLETIONS_MAX ? COMPLETIONS_MAX : indexes;
    v->done = wl_indexes_parse(arena, doc_get_str(status, "completedIndexes"), indexes);
    v->failed_indexes = wl_indexes_parse(arena, doc_get_str(status, "failedIndexes"), indexes);
    v->index_failures = ARENA_ARRAY(arena, (size_t)indexes + 1, int64_t);
    for (size_t i = 0; i < v->count; i++) {
        const struct wl_pod *pod = v->pods[i];
        if (pod->phase == WL_SUCCEEDED) {
            v->succeeded++;
            if (has_index(v, pod)) {
                v->done.has[pod->index] = true;
            }
        } else if (pod->phase == WL_FAILED) {
            count_failed(v, pod);
        } else if (pod->deleting) {
            v->terminating++;
        } else {
            v->active++;
            v->ready += pod->ready;
            v->restarts += pod->restarts;
        }
    }
    if (v->indexed) {
        v->succeeded = 0;
        for (int64_t i = 0; i < v->done.count; i++) {
            v->succeeded += v->done.has[i];
        }
    }
    // Pods that somebody removed have been counted before.
    int64_t succeeded = doc_int(doc_get(status, "succeeded"), 0);
    int64_t failed = doc_int(doc_get(status, "failed"), 0);
    v->succeeded = v->succeeded > succeeded ? v->succeeded : succeeded;
    v->failed = v->failed > failed ? v->failed : failed;
}

// ---- Making pods ----
static int64_t next_index(const struct job_view *v, const bool *planned) {
    for (int64_t index = 0; index < v->done.count; index++) {
        bool taken = planned[index] || v->done.has[index] || v->failed_indexes.has[index];
        for (size_t i = 0; i < v->count && !taken; i++) {
            taken = v->pods[i]->index == index && wl_pod_is_active(v->pods[i]);
        }
        if (!taken) {
            return index;
        }
    }
    return -1;
}

// The containers with the variable that tells them their index.
static struct doc_value with_index(struct arena *arena, const struct doc_value *containers) {
    struct doc_value field =
        wl_object(arena, "fieldPath", DOC_S("metadata.labels['" INDEX "']"), NULL);
    struct doc_value variable = wl_object(arena, "name", DOC_S("JOB_COMPLETION_INDEX"), "valueFrom",
                                          wl_object(arena, "fieldRef", field, NULL), NULL);
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(containers, container)) {
        struct doc_array env = doc_array_start(arena);
        bool has = false;
        for (DOC_EACH_ITEM(doc_get(container, "env"), item)) {
            has = has || str_eq_c(doc_get_str(item, "name"), "JOB_COMPLETION_INDEX");
            doc_array_add(&env, *item);
        }
        if (!has) {
            doc_array_add(&env, variable);
        }
        doc_array_add(&out, doc_with(arena, container, doc_array_done(&env), "env"));
    }
    return doc_array_done(&out);
}

static struct doc_value pod_template(const struct job_view *v, int64_t index) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *job = v->job;
    struct doc_value none = wl_object(arena, NULL);
    const struct doc_value *given = doc_get(job, "spec", "template");
    struct doc_value template = given ? *given : none;
    struct doc_value name = doc_make_str(wl_name(job)), uid = doc_make_str(wl_uid(job));
    static const char *const name_labels[] = {"batch.kubernetes.io/job-name", "job-name"};
    static const char *const uid_labels[] = {"batch.kubernetes.io/controller-uid",
                                             "controller-uid"};
    for (size_t i = 0; i < 2; i++) {
        template = doc_with(arena, &template, name, "metadata", "labels", name_labels[i]);
        template = doc_with(arena, &template, uid, "metadata", "labels", uid_labels[i]);
    }
    int64_t failures = index >= 0 ? v->index_failures[index] : v->failed;
    if (failures > 0) {
        template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)failures),
                            "metadata", "annotations", ATTEMPT);
    }
    if (index < 0) {
        return template;
    }
    struct doc_value number = wl_text(arena, "%lld", (long long)index);
    template = doc_with(arena, &template, number, "metadata", "annotations", INDEX);
    template = doc_with(arena, &template, number, "metadata", "labels", INDEX);
    if (v->index_limit >= 0) {
        template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)failures),
                            "metadata", "annotations", INDEX_FAILURES);
    }
    struct str host = arena_printf(arena, "%.*s-%lld", STR_ARG(wl_name(job)), (long long)index);
    template = doc_with(arena, &template, doc_make_str(str_first(host, 63)), "spec", "hostname");
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct doc_value *containers = doc_get(&template, "spec", lists[i]);
        if (doc_len(containers)) {
            template = doc_with(arena, &template, with_index(arena, containers), "spec", lists[i]);
        }
    }
    return template;
}

static void add_pod(struct job_view *v, int64_t index, uint64_t pick) {
    struct arena *arena = v->plan->arena;
    struct doc_value template = pod_template(v, index);
    struct str prefix = wl_name(v->job);
    struct wl_pod_spec spec = {
        .template = &template,
        .ns = wl_ns(v->job),
        .generate_name = index >= 0
                             ? arena_printf(arena, "%.*s-%lld-", STR_ARG(prefix), (long long)index)
                             : arena_printf(arena, "%.*s-", STR_ARG(prefix)),
        .owners = wl_owner(arena, "batch/v1", "Job", v->job),
        .world = v->world,
        .pick = str_hash(prefix) % 1024 + pick,
    };
    wl_create(v->plan, &wl_pods, spec.ns, wl_pod_make(arena, &spec));
    wl_event(v->plan, v->job, COMPONENT, "SuccessfulCreate", "Created pod: ")->named = true;
}

// How long a failure keeps new pods away: doubled each time.
static int64_t back_off_left(const struct job_view *v) {
    if (v->last_failure == 0) {
        return 0;
    }
    int64_t shift = v->failed > 6 ? 6 : v->failed - 1;
    int64_t delay =
        wl_annotation_duration(doc_get(v->job, "spec", "template"), RETRY_DELAY, 10 * NS_PER_SECOND)
        << (shift > 0 ? shift : 0);
    delay = delay > 600 * NS_PER_SECOND ? 600 * NS_PER_SECOND : delay;
    return v->last_failure + delay - v->plan->now;
}

static void add_pods(struct job_view *v) {
    int64_t left = v->completions < 0 ? (v->succeeded > 0 ? 0 : v->parallelism)
                                      : v->completions - v->succeeded - v->active;
    int64_t room = v->parallelism - v->active - (v->replaces_late ? v->terminating : 0);
    int64_t missing = left < room ? left : room;
    if (missing <= 0 || v->completions > COMPLETIONS_MAX) {
        return;
    }
    int64_t wait = back_off_left(v);
    if (wait > 0) {
        wl_requeue(v->plan, wait);
        return;
    }
    bool *planned = ARENA_ARRAY(v->plan->arena, (size_t)v->done.count + 1, bool);
    for (int64_t i = 0; i < missing && i < BURST; i++) {
        int64_t index = v->indexed ? next_index(v, planned) : -1;
        if (v->indexed && index < 0) {
            return;
        }
        if (index >= 0) {
            planned[index] = true;
        }
        add_pod(v, index, v->count + (uint64_t)i);
    }
}

static void stop_pods(struct job_view *v, int64_t keep) {
    for (size_t i = 0; i < v->count; i++) {
        if (!wl_pod_is_active(v->pods[i]) || keep-- > 0) {
            continue;
        }
        wl_delete(v->plan, &wl_pods, wl_ns(v->job), v->pods[i]->name, v->pods[i]->uid);
        wl_event(v->plan, v->job, COMPONENT, "SuccessfulDelete", "Deleted pod: %.*s",
                 STR_ARG(v->pods[i]->name));
        v->active--;
        v->ready -= v->pods[i]->ready;
        v->terminating++;
    }
}

// ---- The end ----
static struct verdict failed_because(const char *reason, const char *message) {
    return (struct verdict){.over = true, .reason = reason, .message = str_from(message)};
}

static struct verdict succeeded_because(const char *reason, struct str message) {
    return (struct verdict){.over = true, .success = true, .reason = reason, .message = message};
}

// What was decided before, while the pods were stopping.
static struct verdict decided(const struct job_view *v) {
    const struct doc_value *status = doc_get(v->job, "status");
    static const char *const types[] = {"FailureTarget", "SuccessCriteriaMet"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (wl_condition_is(status, types[i], "True")) {
            const struct doc_value *condition = wl_condition(status, types[i]);
            return (struct verdict){
                .over = true,
                .success = i == 1,
                .reason = arena_cstr(v->plan->arena, doc_get_str(condition, "reason")),
                .message = doc_get_str(condition, "message"),
            };
        }
    }
    return (struct verdict){0};
}

static struct verdict judge_success_policy(const struct job_view *v) {
    struct arena *arena = v->plan->arena;
    int64_t number = 0;
    for (DOC_EACH_ITEM(doc_get(v->job, "spec", "successPolicy", "rules"), rule)) {
        const struct doc_value *list = doc_get(rule, "succeededIndexes");
        const struct doc_value *wanted = doc_get(rule, "succeededCount");
        struct wl_indexes of = wl_indexes_parse(arena, doc_str(list), v->done.count);
        int64_t all = 0, done = 0;
        for (int64_t i = 0; i < v->done.count; i++) {
            bool counts = !list || of.has[i];
            all += counts;
            done += counts && v->done.has[i];
        }
        if (done > 0 && done >= doc_int(wanted, all)) {
            return succeeded_because(
                "SuccessPolicy",
                arena_printf(arena, "Matched rules at index %lld", (long long)number));
        }
        number++;
    }
    return (struct verdict){0};
}

static struct verdict judge_indexes(const struct job_view *v) {
    int64_t failed = 0, done = 0;
    for (int64_t i = 0; i < v->done.count; i++) {
        failed += v->failed_indexes.has[i];
        done += v->done.has[i];
    }
    const struct doc_value *most = doc_get(v->job, "spec", "maxFailedIndexes");
    if (doc_is(most, DOC_INT) && failed > doc_int(most, 0)) {
        return failed_because("MaxFailedIndexesExceeded",
                              "Job has exceeded the specified maximal number of failed indexes");
    }
    if (failed > 0 && failed + done >= v->done.count) {
        return failed_because("FailedIndexes", "Job has failed indexes");
    }
    return (struct verdict){0};
}

static struct verdict judge(struct job_view *v) {
    struct verdict before = decided(v);
    if (before.over) {
        return before;
    }
    if (v->policy.over) {
        return v->policy;
    }
    bool past_restarts = v->restarts > 0 && v->restarts >= v->backoff_limit;
    if (v->failed > v->backoff_limit || past_restarts) {
        return failed_because("BackoffLimitExceeded",
                              "Job has reached the specified backoff limit");
    }
    int64_t deadline = doc_int(doc_get(v->job, "spec", "activeDeadlineSeconds"), 0);
    if (deadline > 0 && v->start_time > 0 && !v->suspended) {
        int64_t left = v->start_time + deadline * NS_PER_SECOND - v->plan->now;
        if (left <= 0) {
            return failed_because("DeadlineExceeded",
                                  "Job was active longer than specified deadline");
        }
        wl_requeue(v->plan, left);
    }
    if (v->indexed) {
        struct verdict verdict = judge_success_policy(v);
        verdict = verdict.over ? verdict : judge_indexes(v);
        if (verdict.over) {
            return verdict;
        }
    }
    int64_t needed = v->completions < 0 ? 1 : v->completions;
    if (v->succeeded >= needed && (v->completions >= 0 || v->active == 0)) {
        return succeeded_because("CompletionsReached",
                                 STR("Reached expected number of succeeded pods"));
    }
    return (struct verdict){0};
}

// ---- Status ----
static void set_condition(struct wl_conditions *conditions, const char *type,
                          const struct verdict *verdict) {
    wl_conditions_set(conditions, type, "True", verdict->reason, doc_make_str(verdict->message),
                      false, false);
}

// A Job's conditions carry lastProbeTime, as old as the API.
static void add_probe_times(struct wl_conditions *conditions) {
    struct arena *arena = conditions->plan->arena;
    for (uint32_t i = 0; i < conditions->list.len; i++) {
        struct doc_value *item = &conditions->list.items[i];
        const struct doc_value *since = doc_get(item, "lastTransitionTime");
        if (!doc_get(item, "lastProbeTime") && since) {
            *item = doc_with(arena, item, *since, "lastProbeTime");
        }
    }
}

static void set_conditions(struct job_view *v, struct wl_conditions *conditions,
                           const struct verdict *verdict, bool final) {
    const struct doc_value *status = doc_get(v->job, "status");
    if (v->suspended && !verdict->over) {
        wl_conditions_set(conditions, "Suspended", "True", "JobSuspended", DOC_S("Job suspended"),
                          false, false);
    } else if (!v->suspended && wl_condition_is(status, "Suspended", "True")) {
        wl_conditions_set(conditions, "Suspended", "False", "JobResumed", DOC_S("Job resumed"),
                          false, false);
    }
    if (verdict->over) {
        set_condition(conditions, verdict->success ? "SuccessCriteriaMet" : "FailureTarget",
                      verdict);
        if (final) {
            set_condition(conditions, verdict->success ? "Complete" : "Failed", verdict);
        }
    }
    add_probe_times(conditions);
}

static void tell(struct job_view *v, const struct verdict *verdict, bool final) {
    const struct doc_value *status = doc_get(v->job, "status");
    bool was_suspended = wl_condition_is(status, "Suspended", "True");
    if (!v->suspended && was_suspended) {
        wl_event(v->plan, v->job, COMPONENT, "Resumed", "Job resumed");
    }
    if (verdict->over && final && verdict->success) {
        wl_event(v->plan, v->job, COMPONENT, "Completed", "Job completed");
    } else if (verdict->over && final) {
        wl_event(v->plan, v->job, COMPONENT, verdict->reason, "%.*s", STR_ARG(verdict->message))
            ->warning = true;
    } else if (!verdict->over && v->suspended && !was_suspended) {
        wl_event(v->plan, v->job, COMPONENT, "Suspended", "Job suspended");
    }
}

static void set_indexes(struct doc_object *status, const char *key, struct arena *arena,
                        const struct wl_indexes *indexes) {
    struct str text = wl_indexes_text(arena, indexes);
    if (text.n) {
        doc_object_set_c(status, key, doc_make_str(text));
    }
}

static void write_status(struct job_view *v, const struct verdict *verdict) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *before = doc_get(v->job, "status");
    bool final = verdict->over && v->active == 0 && v->terminating == 0;
    struct wl_conditions conditions;
    wl_conditions_init(&conditions, v->plan, before);
    set_conditions(v, &conditions, verdict, final);
    struct doc_object status = doc_object_start(arena);
    if (conditions.list.len) {
        doc_object_set_c(&status, "conditions", wl_conditions_done(&conditions));
    }
    if (v->active) {
        doc_object_set_c(&status, "active", doc_make_int(v->active));
    }
    if (v->indexed) {
        set_indexes(&status, "completedIndexes", arena, &v->done);
        if (v->index_limit >= 0) {
            // Present from the start, empty while none has failed.
            doc_object_set_c(&status, "failedIndexes",
                             doc_make_str(wl_indexes_text(arena, &v->failed_indexes)));
        }
    }
    if (final && verdict->success) {
        doc_object_set_c(&status, "completionTime", wl_time(arena, v->plan->now));
    }
    if (v->failed) {
        doc_object_set_c(&status, "failed", doc_make_int(v->failed));
    }
    doc_object_set_c(&status, "ready", doc_make_int(v->ready));
    if (v->start_time) {
        doc_object_set_c(&status, "startTime", wl_time(arena, v->start_time));
    }
    if (v->succeeded) {
        doc_object_set_c(&status, "succeeded", doc_make_int(v->succeeded));
    }
    doc_object_set_c(&status, "terminating", doc_make_int(v->terminating));
    doc_object_set_c(&status, "uncountedTerminatedPods", wl_object(arena, NULL));
    struct wl_write *write = wl_status(v->plan, &wl_jobs, v->job, doc_object_done(&status));
    if (write) {
        write->lazy =
            !verdict->over && !v->suspended && !wl_condition_is(before, "Suspended", "True");
        tell(v, verdict, final);
    }
}

static void collect_finished(struct wl_plan *plan, const struct doc_value *job) {
    const struct doc_value *ttl = doc_get(job, "spec", "ttlSecondsAfterFinished");
    const struct doc_value *status = doc_get(job, "status");
    if (!doc_is(ttl, DOC_INT)) {
        return;
    }
    int64_t ended = wl_when(doc_get(status, "completionTime"));
    if (!ended) {
        ended = wl_when(doc_get(wl_condition(status, "Failed"), "lastTransitionTime"));
    }
    int64_t left = ended + doc_int(ttl, 0) * NS_PER_SECOND - plan->now;
    if (left > 0) {
        wl_requeue(plan, left);
    } else {
        wl_delete(plan, &wl_jobs, wl_ns(job), wl_name(job), wl_uid(job))->propagation =
            KUBE_FOREGROUND;
    }
}

void wl_plan_job(struct wl_plan *plan, const struct doc_value *job,
                 const struct wl_pod *const *pods, size_t count, const struct wl_world *world) {
    const struct doc_value *spec = doc_get(job, "spec"), *status = doc_get(job, "status");
    struct str managed_by = doc_get_str(spec, "managedBy");
    if (wl_is_deleting(job) ||
        (managed_by.n && !str_eq_c(managed_by, "kubernetes.io/job-controller"))) {
        return;
    }
    if (is_finished(status)) {
        collect_finished(plan, job);
        return;
    }
    const struct doc_value *index_limit = doc_get(spec, "backoffLimitPerIndex");
    struct job_view v = {
        .plan = plan,
        .job = job,
        .pods = pods,
        .count = count,
        .world = world,
        .parallelism = doc_int(doc_get(spec, "parallelism"), 1),
        .completions = doc_int(doc_get(spec, "completions"), doc_get(spec, "parallelism") ? -1 : 1),
        .backoff_limit = doc_int(doc_get(spec, "backoffLimit"), index_limit ? INT32_MAX : 6),
        .index_limit = doc_int(index_limit, -1),
        .indexed = str_eq_c(doc_get_str(spec, "completionMode"), "Indexed"),
        .suspended = doc_bool(doc_get(spec, "suspend"), false),
        .replaces_late = str_eq_c(doc_get_str(spec, "podReplacementPolicy"), "Failed"),
        .start_time = wl_when(doc_get(status, "startTime")),
    };
    count_pods(&v);
    if (v.suspended) {
        v.start_time = 0;
    } else if (v.start_time == 0) {
        v.start_time = plan->now;
    }
    struct verdict verdict = judge(&v);
    if (verdict.over || v.suspended) {
        int64_t stopped = v.active;
        stop_pods(&v, 0);
        v.failed += verdict.over && !verdict.success ? stopped : 0;
    } else if (v.active > v.parallelism) {
        stop_pods(&v, v.parallelism);
    } else {
        add_pods(&v);
    }
    write_status(&v, &verdict);
}
