// SPDX-License-Identifier: Apache-2.0
// Jobs: pods until enough have succeeded or too many have failed. Pods are counted while they exist; there is no
// tracking finalizer on them, which would cost two more writes a pod.
#include "apiserver/workloads/plan.h"

#define INDEX "batch.kubernetes.io/job-completion-index"
#define ATTEMPT "skiff.dev/sim-attempt"
#define RETRY_DELAY "skiff.dev/sim-retry-delay"

struct job_view {
    struct wl_plan *plan;
    const struct doc_value *job;
    const struct wl_pod *const *pods;
    size_t count;
    const struct wl_world *world;
    int64_t parallelism, completions, backoff_limit; // completions -1: until one pod ends well
    bool indexed, suspended;
    int64_t active, ready, succeeded, failed, terminating, last_failure;
    int64_t start_time; // 0: not started
};

static bool is_finished(const struct doc_value *status) {
    return wl_condition_is(status, "Complete", "True") || wl_condition_is(status, "Failed", "True");
}

static void count_pods(struct job_view *v) {
    for (size_t i = 0; i < v->count; i++) {
        const struct wl_pod *pod = v->pods[i];
        if (pod->phase == WL_SUCCEEDED) {
            bool again = false; // a completion index counts once
            for (size_t j = 0; v->indexed && j < i; j++) {
                again =
                    again || (v->pods[j]->phase == WL_SUCCEEDED && v->pods[j]->index == pod->index);
            }
            v->succeeded += !again;
        } else if (pod->phase == WL_FAILED) {
            v->failed++;
            if (pod->finished > v->last_failure) {
                v->last_failure = pod->finished;
            }
        } else if (pod->deleting) {
            v->terminating++;
        } else {
            v->active++;
            v->ready += pod->ready;
        }
        v->failed += pod->restarts;
    }
    // Pods that somebody removed have been counted before.
    const struct doc_value *status = doc_get(v->job, "status");
    int64_t succeeded = doc_int(doc_get(status, "succeeded"), 0);
    int64_t failed = doc_int(doc_get(status, "failed"), 0);
    v->succeeded = v->succeeded > succeeded ? v->succeeded : succeeded;
    v->failed = v->failed > failed ? v->failed : failed;
}

static int64_t next_index(const struct job_view *v, const bool *planned) {
    for (int64_t index = 0; index < v->completions; index++) {
        bool taken = planned[index];
        for (size_t i = 0; i < v->count && !taken; i++) {
            taken = v->pods[i]->index == index &&
                    (v->pods[i]->phase == WL_SUCCEEDED || wl_pod_is_active(v->pods[i]));
        }
        if (!taken) {
            return index;
        }
    }
    return -1;
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
    if (v->failed > 0) {
        template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)v->failed),
                            "metadata", "annotations", ATTEMPT);
    }
    if (index >= 0) {
        template = doc_with(arena, &template, wl_text(arena, "%lld", (long long)index), "metadata",
                            "annotations", INDEX);
    }
    return template;
}

static void add_pods(struct job_view *v) {
    enum { COMPLETIONS_MAX = 100 * 1000 };
    struct arena *arena = v->plan->arena;
    int64_t left = v->completions < 0 ? (v->succeeded > 0 ? 0 : v->parallelism)
                                      : v->completions - v->succeeded - v->active;
    int64_t room = v->parallelism - v->active - v->terminating;
    int64_t missing = left < room ? left : room;
    if (missing <= 0 || v->completions > COMPLETIONS_MAX) {
        return;
    }
    if (v->last_failure > 0) {
        int64_t shift = v->failed > 6 ? 6 : v->failed - 1;
        int64_t delay = wl_annotation_duration(doc_get(v->job, "spec", "template"), RETRY_DELAY,
                                               10 * NS_PER_SECOND)
                        << (shift > 0 ? shift : 0);
        delay = delay > 360 * NS_PER_SECOND ? 360 * NS_PER_SECOND : delay;
        if (v->last_failure + delay > v->plan->now) {
            wl_requeue(v->plan, v->last_failure + delay - v->plan->now);
            return;
        }
    }
    bool *planned = v->indexed ? ARENA_ARRAY(arena, (size_t)v->completions + 1, bool) : NULL;
    for (int64_t i = 0; i < missing && i < 500; i++) {
        int64_t index = v->indexed ? next_index(v, planned) : -1;
        if (v->indexed && index < 0) {
            return;
        }
        struct doc_value template = pod_template(v, index);
        struct str prefix = wl_name(v->job);
        struct wl_pod_spec spec = {
            .template = &template,
            .ns = wl_ns(v->job),
            .generate_name =
                index >= 0 ? arena_printf(arena, "%.*s-%lld-", STR_ARG(prefix), (long long)index)
                           : arena_printf(arena, "%.*s-", STR_ARG(prefix)),
            .owners = wl_owner(arena, "batch/v1", "Job", v->job),
            .world = v->world,
            .pick = str_hash(prefix) % 1024 + v->count + (uint64_t)i,
        };
        if (index >= 0) {
            planned[index] = true;
        }
        wl_create(v->plan, &wl_pods, spec.ns, wl_pod_make(arena, &spec));
    }
}

static void stop_pods(struct job_view *v) {
    for (size_t i = 0; i < v->count; i++) {
        if (wl_pod_is_active(v->pods[i])) {
            wl_delete(v->plan, &wl_pods, wl_ns(v->job), v->pods[i]->name, v->pods[i]->uid);
        }
    }
}

static int compare_indexes(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

// "0,2-4": the indexes done so far.
static struct doc_value completed_indexes(const struct job_view *v) {
    struct arena *arena = v->plan->arena;
    int64_t *done = ARENA_ARRAY(arena, v->count + 1, int64_t);
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++) {
        if (v->pods[i]->phase == WL_SUCCEEDED && v->pods[i]->index >= 0) {
            done[n++] = v->pods[i]->index;
        }
    }
    if (n > 1) {
        qsort(done, n, sizeof(*done), compare_indexes);
    }
    struct str text = {NULL, 0};
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end + 1 < n && done[end + 1] <= done[end] + 1) {
            end++;
        }
        const char *comma = text.n ? "," : "";
        text = done[end] > done[i]
                   ? arena_printf(arena, "%.*s%s%lld-%lld", STR_ARG(text), comma,
                                  (long long)done[i], (long long)done[end])
                   : arena_printf(arena, "%.*s%s%lld", STR_ARG(text), comma, (long long)done[i]);
        i = end + 1;
    }
    return doc_make_str(text);
}

enum verdict { JOB_GOES_ON, JOB_COMPLETE, JOB_BACKOFF, JOB_DEADLINE };

static enum verdict judge(struct job_view *v) {
    int64_t needed = v->completions < 0 ? 1 : v->completions;
    if (v->succeeded >= needed && (v->completions >= 0 || v->active == 0)) {
        return JOB_COMPLETE;
    }
    if (v->failed > v->backoff_limit) {
        return JOB_BACKOFF;
    }
    int64_t deadline = doc_int(doc_get(v->job, "spec", "activeDeadlineSeconds"), 0);
    if (deadline > 0 && v->start_time > 0 && !v->suspended) {
        int64_t left = v->start_time + deadline * NS_PER_SECOND - v->plan->now;
        if (left <= 0) {
            return JOB_DEADLINE;
        }
        wl_requeue(v->plan, left);
    }
    return JOB_GOES_ON;
}

static void set_end(struct wl_conditions *conditions, const char *before, const char *type,
                    const char *reason, const char *message) {
    struct doc_value text = doc_make_str(str_from(message));
    wl_conditions_set(conditions, before, "True", reason, text, false, false);
    wl_conditions_set(conditions, type, "True", reason, text, false, false);
    // A Job's conditions carry lastProbeTime, as old as the API.
    for (uint32_t i = 0; i < conditions->list.len; i++) {
        struct doc_value *item = &conditions->list.items[i];
        if (!doc_get(item, "lastProbeTime")) {
            *item =
                doc_with(conditions->plan->arena, item,
                         wl_time(conditions->plan->arena, conditions->plan->now), "lastProbeTime");
        }
    }
}

static void set_conditions(struct job_view *v, struct wl_conditions *conditions, enum verdict end) {
    const struct doc_value *status = doc_get(v->job, "status");
    if (end == JOB_COMPLETE) {
        set_end(conditions, "SuccessCriteriaMet", "Complete", "CompletionsReached",
                "Reached expected number of succeeded pods");
    } else if (end == JOB_BACKOFF) {
        set_end(conditions, "FailureTarget", "Failed", "BackoffLimitExceeded",
                "Job has reached the specified backoff limit");
    } else if (end == JOB_DEADLINE) {
        set_end(conditions, "FailureTarget", "Failed", "DeadlineExceeded",
                "Job was active longer than specified deadline");
    } else if (v->suspended) {
        wl_conditions_set(conditions, "Suspended", "True", "JobSuspended", DOC_S("Job suspended"),
                          false, false);
    } else if (wl_condition_is(status, "Suspended", "True")) {
        wl_conditions_set(conditions, "Suspended", "False", "JobResumed", DOC_S("Job resumed"),
                          false, false);
    }
}

static void write_status(struct job_view *v, enum verdict end) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *before = doc_get(v->job, "status");
    struct wl_conditions conditions;
    wl_conditions_init(&conditions, v->plan, before);
    set_conditions(v, &conditions, end);
    struct doc_object status = doc_object_start(arena);
    if (conditions.list.len) {
        doc_object_set_c(&status, "conditions", wl_conditions_done(&conditions));
    }
    bool over = end != JOB_GOES_ON;
    if (!over && v->active) {
        doc_object_set_c(&status, "active", doc_make_int(v->active));
    }
    if (v->indexed && v->succeeded) {
        doc_object_set_c(&status, "completedIndexes", completed_indexes(v));
    }
    if (end == JOB_COMPLETE) {
        doc_object_set_c(&status, "completionTime", wl_time(arena, v->plan->now));
    }
    if (v->failed) {
        doc_object_set_c(&status, "failed", doc_make_int(v->failed));
    }
    doc_object_set_c(&status, "ready", doc_make_int(over ? 0 : v->ready));
    if (v->start_time) {
        doc_object_set_c(&status, "startTime", wl_time(arena, v->start_time));
    }
    if (v->succeeded) {
        doc_object_set_c(&status, "succeeded", doc_make_int(v->succeeded));
    }
    doc_object_set_c(&status, "terminating", doc_make_int(over ? 0 : v->terminating));
    doc_object_set_c(&status, "uncountedTerminatedPods", wl_object(arena, NULL));
    struct wl_write *write = wl_status(v->plan, &wl_jobs, v->job, doc_object_done(&status));
    if (write) {
        write->lazy = !over && !v->suspended;
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
    if (wl_is_deleting(job)) {
        return;
    }
    if (is_finished(status)) {
        collect_finished(plan, job);
        return;
    }
    struct job_view v = {
        .plan = plan,
        .job = job,
        .pods = pods,
        .count = count,
        .world = world,
        .parallelism = doc_int(doc_get(spec, "parallelism"), 1),
        .completions = doc_int(doc_get(spec, "completions"), doc_get(spec, "parallelism") ? -1 : 1),
        .backoff_limit = doc_int(doc_get(spec, "backoffLimit"), 6),
        .indexed = str_eq_c(doc_get_str(spec, "completionMode"), "Indexed"),
        .suspended = doc_bool(doc_get(spec, "suspend"), false),
        .start_time = wl_when(doc_get(status, "startTime")),
    };
    count_pods(&v);
    if (v.suspended) {
        v.start_time = 0;
    } else if (v.start_time == 0) {
        v.start_time = plan->now;
    }
    enum verdict end = judge(&v);
    if (end != JOB_GOES_ON || v.suspended) {
        stop_pods(&v);
    } else {
        add_pods(&v);
    }
    write_status(&v, end);
}
