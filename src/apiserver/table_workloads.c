// SPDX-License-Identifier: Apache-2.0
// Rows of pods and of what makes them.
#include "apiserver/table_internal.h"
#include "base/timefmt.h"

// ---- Pods ----

struct pod_summary {
    struct str status;
    int64_t restarts;
    struct str last_restart; // when a container last ended; empty: never
    size_t ready, total;
};

static bool has_condition(const struct doc_value *object, const char *type) {
    for (DOC_EACH_ITEM(doc_get(object, "status", "conditions"), condition)) {
        if (str_eq_c(doc_get_str(condition, "type"), type)) {
            return str_eq(doc_get_str(condition, "status"), STR("True"));
        }
    }
    return false;
}

// A sidecar: an init container that keeps running.
static bool is_sidecar(const struct doc_value *container) {
    return str_eq(doc_get_str(container, "restartPolicy"), STR("Always"));
}

static const struct doc_value *init_container(const struct doc_value *pod, struct str name) {
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "initContainers"), container)) {
        if (str_eq(doc_get_str(container, "name"), name)) {
            return container;
        }
    }
    return NULL;
}

static struct str later(struct str a, struct str b) { // RFC 3339 in UTC sorts as text
    return str_cmp(a, b) < 0 ? b : a;
}

static struct str ended_text(struct arena *arena, const struct doc_value *terminated,
                             const char *prefix) {
    struct str reason = doc_get_str(terminated, "reason");
    int64_t signal = doc_int(doc_get(terminated, "signal"), 0);
    if (reason.n > 0) {
        return arena_printf(arena, "%s%.*s", prefix, STR_ARG(reason));
    }
    if (signal != 0) {
        return arena_printf(arena, "%sSignal:%lld", prefix, (long long)signal);
    }
    return arena_printf(arena, "%sExitCode:%lld", prefix,
                        (long long)doc_int(doc_get(terminated, "exitCode"), 0));
}

// What an init container says of the pod; false: it has done its part.
static bool init_status(struct arena *arena, const struct doc_value *pod,
                        const struct doc_value *status, size_t index, struct pod_summary *out) {
    const struct doc_value *terminated = doc_get(status, "state", "terminated");
    struct str waiting = doc_get_str(status, "state", "waiting", "reason");
    bool ended = doc_is(terminated, DOC_OBJECT);
    if (ended && doc_int(doc_get(terminated, "exitCode"), 0) == 0) {
        return false;
    }
    if (is_sidecar(init_container(pod, doc_get_str(status, "name"))) &&
        doc_bool(doc_get(status, "started"), false)) {
        out->ready += doc_bool(doc_get(status, "ready"), false);
        return false;
    }
    if (ended) {
        out->status = ended_text(arena, terminated, "Init:");
    } else if (waiting.n > 0 && !str_eq(waiting, STR("PodInitializing"))) {
        out->status = arena_concat(arena, STR("Init:"), waiting);
    } else {
        out->status = arena_printf(arena, "Init:%zu/%zu", index,
                                   doc_len(doc_get(pod, "spec", "initContainers")));
    }
    return true;
}

static bool summarize_init(struct arena *arena, const struct doc_value *pod,
                           struct pod_summary *out, int64_t *sidecar_restarts,
                           struct str *sidecar_last) {
    const struct doc_value *list = doc_get(pod, "status", "initContainerStatuses");
    for (size_t i = 0; i < doc_len(list); i++) {
        const struct doc_value *status = doc_at(list, i);
        int64_t restarts = doc_int(doc_get(status, "restartCount"), 0);
        struct str last = doc_get_str(status, "lastState", "terminated", "finishedAt");
        out->restarts += restarts;
        out->last_restart = later(out->last_restart, last);
        if (is_sidecar(init_container(pod, doc_get_str(status, "name")))) {
            *sidecar_restarts += restarts;
            *sidecar_last = later(*sidecar_last, last);
        }
        if (init_status(arena, pod, status, i, out)) {
            return true;
        }
    }
    return false;
}

static void summarize_containers(struct arena *arena, const struct doc_value *pod,
                                 struct pod_summary *out) {
    const struct doc_value *list = doc_get(pod, "status", "containerStatuses");
    bool running = false;
    for (size_t i = doc_len(list); i-- > 0;) {
        const struct doc_value *status = doc_at(list, i);
        const struct doc_value *terminated = doc_get(status, "state", "terminated");
        struct str waiting = doc_get_str(status, "state", "waiting", "reason");
        out->restarts += doc_int(doc_get(status, "restartCount"), 0);
        out->last_restart =
            later(out->last_restart, doc_get_str(status, "lastState", "terminated", "finishedAt"));
        if (waiting.n > 0) {
            out->status = waiting;
        } else if (doc_is(terminated, DOC_OBJECT)) {
            out->status = ended_text(arena, terminated, "");
        } else if (doc_bool(doc_get(status, "ready"), false) &&
                   doc_is(doc_get(status, "state", "running"), DOC_OBJECT)) {
            running = true;
            out->ready++;
        }
    }
    if (running && str_eq(out->status, STR("Completed"))) {
        out->status = has_condition(pod, "Ready") ? STR("Running") : STR("NotReady");
    }
}

static bool is_gated(const struct doc_value *pod) {
    for (DOC_EACH_ITEM(doc_get(pod, "status", "conditions"), condition)) {
        if (str_eq(doc_get_str(condition, "type"), STR("PodScheduled")) &&
            str_eq(doc_get_str(condition, "reason"), STR("SchedulingGated"))) {
            return true;
        }
    }
    return false;
}

static struct pod_summary summarize_pod(struct arena *arena, const struct doc_value *pod) {
    struct str phase = doc_get_str(pod, "status", "phase"),
               why = doc_get_str(pod, "status", "reason");
    struct pod_summary out = {.status = why.n > 0 ? why : phase, .last_restart = STR("")};
    struct str sidecar_last = STR("");
    int64_t sidecar_restarts = 0;
    if (is_gated(pod)) {
        out.status = STR("SchedulingGated");
    }
    out.total = doc_len(doc_get(pod, "spec", "containers"));
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "initContainers"), container)) {
        out.total += is_sidecar(container);
    }
    bool initializing = summarize_init(arena, pod, &out, &sidecar_restarts, &sidecar_last);
    if (!initializing || has_condition(pod, "Initialized")) {
        out.restarts = sidecar_restarts;
        out.last_restart = sidecar_last;
        summarize_containers(arena, pod, &out);
    }
    if (!doc_is_null(doc_get(pod, "metadata", "deletionTimestamp"))) {
        bool over = str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"));
        if (str_eq(why, STR("NodeLost"))) {
            out.status = STR("Unknown");
        } else if (!over) {
            out.status = STR("Terminating");
        }
    }
    return out;
}

static void cell_gates(struct table_row *row, const struct doc_value *pod) {
    const struct doc_value *gates = doc_get(pod, "spec", "readinessGates");
    size_t met = 0;
    for (DOC_EACH_ITEM(gates, gate)) {
        char *type = arena_cstr(row->arena, doc_get_str(gate, "conditionType"));
        met += has_condition(pod, type);
    }
    if (doc_len(gates) > 0) {
        table_cell_printf(row, "%zu/%zu", met, doc_len(gates));
    } else {
        table_cell_text(row, "<none>");
    }
}

static void fill_pod(struct table_row *row, const struct doc_value *pod) {
    struct pod_summary pod_summary = summarize_pod(row->arena, pod);
    table_cell_name(row, pod);
    table_cell_printf(row, "%zu/%zu", pod_summary.ready, pod_summary.total);
    table_cell_str(row, pod_summary.status);
    if (pod_summary.restarts > 0 && pod_summary.last_restart.n > 0) {
        struct str ago = table_age_text(row, pod_summary.last_restart);
        table_cell_printf(row, "%lld (%.*s ago)", (long long)pod_summary.restarts, STR_ARG(ago));
    } else {
        table_cell_printf(row, "%lld", (long long)pod_summary.restarts);
    }
    table_cell_age(row, pod);
    struct str ip = doc_get_str(doc_at(doc_get(pod, "status", "podIPs"), 0), "ip");
    table_cell_or(row, ip, "<none>");
    table_cell_or(row, doc_get_str(pod, "spec", "nodeName"), "<none>");
    table_cell_or(row, doc_get_str(pod, "status", "nominatedNodeName"), "<none>");
    cell_gates(row, pod);
}

static const struct api_column pod_columns[] = {
    COL_NAME,   COL("Ready"), COL("Status"),          COL("Restarts"),         COL("Age"),
    WIDE("IP"), WIDE("Node"), WIDE("Nominated Node"), WIDE("Readiness Gates"),
};

static void fill_pod_template(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_containers(row, doc_get(object, "template", "spec"));
    struct str labels =
        table_labels_text(row->arena, doc_get(object, "template", "metadata", "labels"));
    table_cell_or(row, labels, "<none>");
}

static const struct api_column pod_template_columns[] = {COL_NAME, COL("Containers"), COL("Images"),
                                                         COL("Pod Labels")};

// ---- Replicated ----

static int64_t count_of(const struct doc_value *object, const char *part, const char *key) {
    return doc_int(doc_get(object, part, key), 0);
}

static void fill_deployment(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_printf(row, "%lld/%lld", (long long)count_of(object, "status", "readyReplicas"),
                      (long long)count_of(object, "spec", "replicas"));
    table_cell_int(row, count_of(object, "status", "updatedReplicas"));
    table_cell_int(row, count_of(object, "status", "availableReplicas"));
    table_cell_age(row, object);
    table_cell_containers(row, doc_get(object, "spec", "template", "spec"));
    table_cell_str(row, table_selector_text(row->arena, doc_get(object, "spec", "selector")));
}

static const struct api_column deployment_columns[] = {
    COL_NAME,   COL("Ready"),       COL("Up-to-date"), COL("Available"),
    COL("Age"), WIDE("Containers"), WIDE("Images"),    WIDE("Selector"),
};

static void fill_replica_set(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_int(row, count_of(object, "spec", "replicas"));
    table_cell_int(row, count_of(object, "status", "replicas"));
    table_cell_int(row, count_of(object, "status", "readyReplicas"));
    table_cell_age(row, object);
    table_cell_containers(row, doc_get(object, "spec", "template", "spec"));
    const struct doc_value *selector = doc_get(object, "spec", "selector");
    if (row->kind->group.n == 0) { // ReplicationController: plain labels
        table_cell_or(row, table_labels_text(row->arena, selector), "<none>");
    } else {
        table_cell_str(row, table_selector_text(row->arena, selector));
    }
}

static const struct api_column replica_set_columns[] = {
    COL_NAME,   COL_INT("Desired"), COL_INT("Current"), COL_INT("Ready"),
    COL("Age"), WIDE("Containers"), WIDE("Images"),     WIDE("Selector"),
};

static void fill_stateful_set(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_printf(row, "%lld/%lld", (long long)count_of(object, "status", "readyReplicas"),
                      (long long)count_of(object, "spec", "replicas"));
    table_cell_age(row, object);
    table_cell_containers(row, doc_get(object, "spec", "template", "spec"));
}

static const struct api_column stateful_set_columns[] = {
    COL_NAME, COL("Ready"), COL("Age"), WIDE("Containers"), WIDE("Images"),
};

static void fill_daemon_set(struct table_row *row, const struct doc_value *object) {
    static const char *const counts[] = {"desiredNumberScheduled", "currentNumberScheduled",
                                         "numberReady", "updatedNumberScheduled",
                                         "numberAvailable"};
    table_cell_name(row, object);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        table_cell_int(row, count_of(object, "status", counts[i]));
    }
    const struct doc_value *spec = doc_get(object, "spec", "template", "spec");
    table_cell_or(row, table_labels_text(row->arena, doc_get(spec, "nodeSelector")), "<none>");
    table_cell_age(row, object);
    table_cell_containers(row, spec);
    table_cell_str(row, table_selector_text(row->arena, doc_get(object, "spec", "selector")));
}

static const struct api_column daemon_set_columns[] = {
    COL_NAME,
    COL_INT("Desired"),
    COL_INT("Current"),
    COL_INT("Ready"),
    COL_INT("Up-to-date"),
    COL_INT("Available"),
    COL("Node Selector"),
    COL("Age"),
    WIDE("Containers"),
    WIDE("Images"),
    WIDE("Selector"),
};

static void fill_revision(struct table_row *row, const struct doc_value *object) {
    struct str owner = STR("<none>");
    for (DOC_EACH_ITEM(doc_get(object, "metadata", "ownerReferences"), ref)) {
        struct str group, rest, kind = doc_get_str(ref, "kind"), name = doc_get_str(ref, "name");
        if (!doc_bool(doc_get(ref, "controller"), false)) {
            continue;
        }
        char *lower = arena_cstr(row->arena, kind);
        for (size_t i = 0; i < kind.n; i++) {
            lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + 32 : lower[i]);
        }
        bool named = str_cut(doc_get_str(ref, "apiVersion"), '/', &group, &rest);
        owner = named
                    ? arena_printf(row->arena, "%s.%.*s/%.*s", lower, STR_ARG(group), STR_ARG(name))
                    : arena_printf(row->arena, "%s/%.*s", lower, STR_ARG(name));
    }
    table_cell_name(row, object);
    table_cell_str(row, owner);
    table_cell_int(row, doc_int(doc_get(object, "revision"), 0));
    table_cell_age(row, object);
}

static const struct api_column revision_columns[] = {COL_NAME, COL("Controller"), COL("Revision"),
                                                     COL("Age")};

// ---- Jobs ----

static const char *job_status(const struct doc_value *job) {
    if (has_condition(job, "Complete")) {
        return "Complete";
    }
    if (has_condition(job, "Failed")) {
        return "Failed";
    }
    if (!doc_is_null(doc_get(job, "metadata", "deletionTimestamp"))) {
        return "Terminating";
    }
    static const char *const types[] = {"Suspended", "FailureTarget", "SuccessCriteriaMet"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (has_condition(job, types[i])) {
            return types[i];
        }
    }
    return "Running";
}

static void cell_duration(struct table_row *row, const struct doc_value *job) {
    int64_t start, end = row->now_ns;
    struct str completed = doc_get_str(job, "status", "completionTime");
    if (!time_parse(doc_get_str(job, "status", "startTime"), &start) ||
        (completed.n > 0 && !time_parse(completed, &end))) {
        table_cell_text(row, "");
        return;
    }
    table_cell_str(row, duration_human(row->arena, end - start));
}

static void fill_job(struct table_row *row, const struct doc_value *job) {
    const struct doc_value *completions = doc_get(job, "spec", "completions");
    long long done = count_of(job, "status", "succeeded");
    long long parallel = count_of(job, "spec", "parallelism");
    table_cell_name(row, job);
    table_cell_text(row, job_status(job));
    if (!doc_is_null(completions)) {
        table_cell_printf(row, "%lld/%lld", done, (long long)doc_int(completions, 0));
    } else if (parallel > 1) {
        table_cell_printf(row, "%lld/1 of %lld", done, parallel);
    } else {
        table_cell_printf(row, "%lld/1", done);
    }
    cell_duration(row, job);
    table_cell_age(row, job);
    table_cell_containers(row, doc_get(job, "spec", "template", "spec"));
    table_cell_str(row, table_selector_text(row->arena, doc_get(job, "spec", "selector")));
}

static const struct api_column job_columns[] = {
    COL_NAME,   COL("Status"),      COL("Completions"), COL("Duration"),
    COL("Age"), WIDE("Containers"), WIDE("Images"),     WIDE("Selector"),
};

static void fill_cron_job(struct table_row *row, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *suspend = doc_get(spec, "suspend");
    const struct doc_value *job = doc_get(spec, "jobTemplate", "spec");
    struct str last = doc_get_str(object, "status", "lastScheduleTime");
    table_cell_name(row, object);
    table_cell_str(row, doc_get_str(spec, "schedule"));
    table_cell_or(row, doc_get_str(spec, "timeZone"), "<none>");
    table_cell_text(row, doc_is_null(suspend)       ? "<unset>"
                         : doc_bool(suspend, false) ? "True"
                                                    : "False");
    table_cell_int(row, (int64_t)doc_len(doc_get(object, "status", "active")));
    table_cell_str(row, last.n > 0 ? table_age_text(row, last) : STR("<none>"));
    table_cell_age(row, object);
    table_cell_containers(row, doc_get(job, "template", "spec"));
    table_cell_str(row, table_selector_text(row->arena, doc_get(job, "selector")));
}

static const struct api_column cron_job_columns[] = {
    COL_NAME,          COL("Schedule"),      COL("Timezone"), COL_BOOL("Suspend"),
    COL_INT("Active"), COL("Last Schedule"), COL("Age"),      WIDE("Containers"),
    WIDE("Images"),    WIDE("Selector"),
};

static const struct api_column scale_columns[] = {COL_NAME, COL_INT("Desired"),
                                                  COL_INT("Available"), COL("Age")};

static void fill_scale(struct table_row *row, const struct doc_value *scale) {
    table_cell_name(row, scale);
    table_cell_int(row, doc_int(doc_get(scale, "spec", "replicas"), 0));
    table_cell_int(row, doc_int(doc_get(scale, "status", "replicas"), 0));
    table_cell_age(row, scale);
}

const struct table_kind table_workloads[] = {
    TABLE_KIND("", "Pod", pod_columns, fill_pod),
    TABLE_KIND("", "PodTemplate", pod_template_columns, fill_pod_template),
    TABLE_KIND("", "ReplicationController", replica_set_columns, fill_replica_set),
    TABLE_KIND("apps", "Deployment", deployment_columns, fill_deployment),
    TABLE_KIND("apps", "ReplicaSet", replica_set_columns, fill_replica_set),
    TABLE_KIND("apps", "StatefulSet", stateful_set_columns, fill_stateful_set),
    TABLE_KIND("apps", "DaemonSet", daemon_set_columns, fill_daemon_set),
    TABLE_KIND("apps", "ControllerRevision", revision_columns, fill_revision),
    TABLE_KIND("autoscaling", "Scale", scale_columns, fill_scale),
    TABLE_KIND("batch", "Job", job_columns, fill_job),
    TABLE_KIND("batch", "CronJob", cron_job_columns, fill_cron_job),
    {0},
};
