// SPDX-License-Identifier: Apache-2.0
// CronJobs: a Job at each scheduled time, under the policy for those that overlap, and only so many finished ones kept.
// What was scheduled last is read from the Jobs themselves, so a creation that fails is tried again.
#include "apiserver/workloads/plan.h"

#define COMPONENT "cronjob-controller"
#define SCHEDULED "batch.kubernetes.io/cronjob-scheduled-timestamp"

enum { MISSED_MAX = 100 };

struct cron_view {
    struct wl_plan *plan;
    const struct doc_value *object;
    const struct doc_value *const *jobs;
    size_t count;
    const struct wl_zone *zone;
    struct wl_cron schedule;
    int64_t last_scheduled, last_successful;
    size_t active;
};

static const struct doc_value *end_of(const struct doc_value *job) {
    static const char *const types[] = {"Complete", "Failed"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (wl_condition_is(doc_get(job, "status"), types[i], "True")) {
            return wl_condition(doc_get(job, "status"), types[i]);
        }
    }
    return NULL;
}

static const struct doc_value *active_entry(const struct cron_view *v, struct str uid) {
    for (DOC_EACH_ITEM(doc_get(v->object, "status", "active"), entry)) {
        if (str_eq(doc_get_str(entry, "uid"), uid)) {
            return entry;
        }
    }
    return NULL;
}

static void warn(const struct cron_view *v, const char *reason, struct str message) {
    struct wl_event *e = wl_event(v->plan, v->object, COMPONENT, reason, "%.*s", STR_ARG(message));
    e->warning = true;
    e->write = WL_NO_WRITE;
}

// ---- Status ----
static void read_jobs(struct cron_view *v) {
    const struct doc_value *status = doc_get(v->object, "status");
    v->last_scheduled = wl_when(doc_get(status, "lastScheduleTime"));
    v->last_successful = wl_when(doc_get(status, "lastSuccessfulTime"));
    for (size_t i = 0; i < v->count; i++) {
        const struct doc_value *job = v->jobs[i];
        int64_t at = wl_when(doc_get(job, "metadata", "annotations", SCHEDULED));
        v->last_scheduled = at > v->last_scheduled ? at : v->last_scheduled;
        if (wl_condition_is(doc_get(job, "status"), "Complete", "True")) {
            int64_t done = wl_when(doc_get(job, "status", "completionTime"));
            v->last_successful = done > v->last_successful ? done : v->last_successful;
        }
        v->active += !end_of(job) && !wl_is_deleting(job);
    }
}

static void tell_completed(const struct cron_view *v) {
    int64_t known = wl_when(doc_get(v->object, "status", "lastScheduleTime"));
    for (size_t i = 0; i < v->count; i++) {
        const struct doc_value *job = v->jobs[i], *end = end_of(job);
        bool fresh = wl_when(doc_get(job, "metadata", "annotations", SCHEDULED)) > known;
        if (end && (fresh || active_entry(v, wl_uid(job)))) {
            wl_event(v->plan, v->object, COMPONENT, "SawCompletedJob",
                     "Saw completed job: %.*s, condition: %.*s", STR_ARG(wl_name(job)),
                     STR_ARG(doc_get_str(end, "type")));
        }
    }
}

static void write_status(const struct cron_view *v) {
    struct arena *arena = v->plan->arena;
    struct doc_array active = doc_array_start(arena);
    for (size_t i = 0; i < v->count; i++) {
        const struct doc_value *job = v->jobs[i];
        if (end_of(job) || wl_is_deleting(job)) {
            continue;
        }
        doc_array_add(&active, wl_object(arena, "apiVersion", DOC_S("batch/v1"), "kind",
                                         DOC_S("Job"), "name", doc_make_str(wl_name(job)),
                                         "namespace", doc_make_str(wl_ns(job)), "resourceVersion",
                                         doc_make_str(doc_get_str(active_entry(v, wl_uid(job))
                                                                      ? active_entry(v, wl_uid(job))
                                                                      : doc_get(job, "metadata"),
                                                                  "resourceVersion")),
                                         "uid", doc_make_str(wl_uid(job)), NULL));
    }
    struct doc_object status = doc_object_start(arena);
    if (active.len) {
        doc_object_set_c(&status, "active", doc_array_done(&active));
    }
    if (v->last_scheduled) {
        doc_object_set_c(&status, "lastScheduleTime", wl_time(arena, v->last_scheduled));
    }
    if (v->last_successful) {
        doc_object_set_c(&status, "lastSuccessfulTime", wl_time(arena, v->last_successful));
    }
    if (wl_status(v->plan, &wl_cron_jobs, v->object, doc_object_done(&status))) {
        tell_completed(v);
    }
}

// ---- Finished Jobs ----
static int compare_starts(const void *a, const void *b) {
    const struct doc_value *x = *(const struct doc_value *const *)a;
    const struct doc_value *y = *(const struct doc_value *const *)b;
    int64_t at_x = wl_when(doc_get(x, "status", "startTime"));
    int64_t at_y = wl_when(doc_get(y, "status", "startTime"));
    return at_x != at_y ? (at_x > at_y) - (at_x < at_y) : str_cmp(wl_name(x), wl_name(y));
}

static void delete_job(const struct cron_view *v, const struct doc_value *job) {
    wl_delete(v->plan, &wl_jobs, wl_ns(job), wl_name(job), wl_uid(job));
    wl_event(v->plan, v->object, COMPONENT, "SuccessfulDelete", "Deleted job %.*s",
             STR_ARG(wl_name(job)));
}

static void keep_some(const struct cron_view *v, const char *type, int64_t limit) {
    const struct doc_value **done =
        ARENA_ARRAY(v->plan->arena, v->count + 1, const struct doc_value *);
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct doc_value *end = end_of(v->jobs[i]);
        if (end && str_eq_c(doc_get_str(end, "type"), type) && !wl_is_deleting(v->jobs[i])) {
            done[n++] = v->jobs[i];
        }
    }
    if (limit < 0 || n <= (size_t)limit) {
        return;
    }
    qsort(done, n, sizeof(*done), compare_starts);
    for (size_t i = 0; i < n - (size_t)limit; i++) {
        delete_job(v, done[i]);
    }
}

// ---- The next Job ----
static struct str zoned_time(const struct cron_view *v, int64_t at) {
    int64_t seconds = at / NS_PER_SECOND;
    int32_t offset = wl_zone_offset(v->zone, seconds);
    struct str text = time_format(v->plan->arena, (seconds + offset) * NS_PER_SECOND);
    if (offset == 0) {
        return text;
    }
    int32_t minutes = (offset < 0 ? -offset : offset) / 60;
    return arena_printf(v->plan->arena, "%.*s%c%02d:%02d", STR_ARG(str_first(text, text.n - 1)),
                        offset < 0 ? '-' : '+', (int)(minutes / 60), (int)(minutes % 60));
}

static void create_job(const struct cron_view *v, int64_t at) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *template = doc_get(v->object, "spec", "jobTemplate");
    const struct doc_value *spec = doc_get(template, "spec");
    struct doc_value name = wl_text(arena, "%.*s-%lld", STR_ARG(wl_name(v->object)),
                                    (long long)(at / NS_PER_SECOND / 60));
    struct doc_object annotations =
        doc_object_copy(arena, doc_get(template, "metadata", "annotations"));
    doc_object_set_c(&annotations, SCHEDULED, doc_make_str(zoned_time(v, at)));
    struct doc_object metadata = doc_object_start(arena);
    doc_object_set_c(&metadata, "name", name);
    doc_object_set_c(&metadata, "namespace", doc_make_str(wl_ns(v->object)));
    if (doc_len(doc_get(template, "metadata", "labels"))) {
        doc_object_set_c(&metadata, "labels", *doc_get(template, "metadata", "labels"));
    }
    doc_object_set_c(&metadata, "annotations", doc_object_done(&annotations));
    doc_object_set_c(&metadata, "ownerReferences",
                     wl_owner(arena, "batch/v1", "CronJob", v->object));
    wl_create(v->plan, &wl_jobs, wl_ns(v->object),
              wl_object(arena, "apiVersion", DOC_S("batch/v1"), "kind", DOC_S("Job"), "metadata",
                        doc_object_done(&metadata), "spec", spec ? *spec : wl_object(arena, NULL),
                        NULL))
        ->exists_is_fine = true;
    wl_event(v->plan, v->object, COMPONENT, "SuccessfulCreate", "Created job %.*s",
             STR_ARG(doc_str(&name)));
}

// The newest time that is due, 0 without one; asks for a visit at the next.
static int64_t due(const struct cron_view *v, int64_t *deadline_ns) {
    int64_t now = v->plan->now, found = 0;
    int64_t from = wl_when(doc_get(v->object, "metadata", "creationTimestamp"));
    from = v->last_scheduled > from ? v->last_scheduled : from;
    const struct doc_value *deadline = doc_get(v->object, "spec", "startingDeadlineSeconds");
    *deadline_ns = doc_is(deadline, DOC_INT) ? doc_int(deadline, 0) * NS_PER_SECOND : -1;
    if (*deadline_ns >= 0 && now - *deadline_ns > from) {
        from = now - *deadline_ns;
    }
    int64_t missed = 0;
    int64_t next = wl_cron_next(&v->schedule, v->zone, from);
    while (next && next <= now) {
        found = next;
        if (++missed > MISSED_MAX) { // after a long pause: near enough to now
            int64_t jump = now - 2 * 86400 * NS_PER_SECOND;
            next = jump > next && missed == MISSED_MAX + 1 ? jump : next;
        }
        next = wl_cron_next(&v->schedule, v->zone, next);
    }
    if (missed > MISSED_MAX) {
        warn(v, "TooManyMissedTimes",
             STR("too many missed start times. Set or decrease .spec.startingDeadlineSeconds or "
                 "check clock skew"));
    }
    if (next) {
        wl_requeue(v->plan, next - now);
    }
    return found;
}

static void run(struct cron_view *v) {
    struct str policy = doc_get_str(v->object, "spec", "concurrencyPolicy");
    int64_t deadline_ns = -1, at = due(v, &deadline_ns);
    if (!at || at <= v->last_scheduled) {
        return;
    }
    if (deadline_ns >= 0 && at + deadline_ns < v->plan->now) {
        warn(v, "MissSchedule",
             arena_concat(v->plan->arena, STR("Missed scheduled time to start a job: "),
                          time_format(v->plan->arena, at)));
        return;
    }
    if (str_eq_c(policy, "Forbid") && v->active > 0) {
        wl_event(v->plan, v->object, COMPONENT, "JobAlreadyActive",
                 "Not starting job because prior execution is running and concurrency policy is "
                 "Forbid")
            ->write = WL_NO_WRITE;
        return;
    }
    for (size_t i = 0; str_eq_c(policy, "Replace") && i < v->count; i++) {
        if (!end_of(v->jobs[i]) && !wl_is_deleting(v->jobs[i])) {
            delete_job(v, v->jobs[i]);
        }
    }
    create_job(v, at);
}

void wl_plan_cron_job(struct wl_plan *plan, const struct doc_value *cron_job,
                      const struct doc_value *const *jobs, size_t count,
                      const struct wl_zone *zone) {
    const struct doc_value *spec = doc_get(cron_job, "spec");
    struct cron_view v = {
        .plan = plan, .object = cron_job, .jobs = jobs, .count = count, .zone = zone};
    struct err err = {0};
    read_jobs(&v);
    write_status(&v);
    if (wl_is_deleting(cron_job)) {
        return;
    }
    keep_some(&v, "Complete", doc_int(doc_get(spec, "successfulJobsHistoryLimit"), 3));
    keep_some(&v, "Failed", doc_int(doc_get(spec, "failedJobsHistoryLimit"), 1));
    if (doc_bool(doc_get(spec, "suspend"), false)) {
        return;
    }
    if (!zone) {
        warn(&v, "UnknownTimeZone",
             arena_printf(plan->arena, "invalid timeZone: \"%.*s\": unknown time zone %.*s",
                          STR_ARG(doc_get_str(spec, "timeZone")),
                          STR_ARG(doc_get_str(spec, "timeZone"))));
        return;
    }
    struct str schedule = doc_get_str(spec, "schedule");
    if (!wl_cron_parse(schedule, &v.schedule, &err)) {
        warn(&v, "UnparseableSchedule",
             arena_printf(plan->arena, "unparseable schedule: \"%.*s\" : %s", STR_ARG(schedule),
                          err.message));
        return;
    }
    run(&v);
}
