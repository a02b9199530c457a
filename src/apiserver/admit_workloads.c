// SPDX-License-Identifier: Apache-2.0
// Admission of what makes pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob.
#include "apiserver/admit_internal.h"

#include <strings.h>
#include <sys/stat.h>

// ---- Defaults ----

static void spec_in(struct admit *a, struct doc_value *object, default_change *change) {
    admit_default_object(a->arena, object, "spec");
    admit_default_in(a->arena, object, "spec", change);
}

// A rolling update strategy with these two members; both may be numbers or percentages.
static void fill_deployment_rolling(struct arena *arena, struct doc_value *rolling) {
    if (doc_is_null(doc_get(rolling, "maxUnavailable"))) {
        admit_set_member(arena, rolling, "maxUnavailable", DOC_S("25%"));
    }
    if (doc_is_null(doc_get(rolling, "maxSurge"))) {
        admit_set_member(arena, rolling, "maxSurge", DOC_S("25%"));
    }
}

static void fill_deployment_strategy(struct arena *arena, struct doc_value *strategy) {
    admit_default_str(arena, strategy, "type", "RollingUpdate");
    if (str_eq(doc_get_str(strategy, "type"), STR("RollingUpdate"))) {
        admit_default_object(arena, strategy, "rollingUpdate");
        admit_default_in(arena, strategy, "rollingUpdate", fill_deployment_rolling);
    }
}

static void fill_deployment_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_int(arena, spec, "replicas", 1);
    admit_default_object(arena, spec, "strategy");
    admit_default_in(arena, spec, "strategy", fill_deployment_strategy);
    admit_default_int(arena, spec, "revisionHistoryLimit", 10);
    admit_default_int(arena, spec, "progressDeadlineSeconds", 600);
    admit_default_in(arena, spec, "template", admit_template_fill);
}

static void fill_deployment(struct admit *a, struct doc_value *object) {
    spec_in(a, object, fill_deployment_spec);
    admit_default_object(a->arena, object, "status");
}

static void fill_replicas_status(struct admit *a, struct doc_value *object) {
    if (doc_is_null(doc_get(object, "status", "replicas"))) {
        *object = doc_with(a->arena, object, doc_make_int(0), "status", "replicas");
    }
}

static void fill_replica_set_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_int(arena, spec, "replicas", 1);
    admit_default_in(arena, spec, "template", admit_template_fill);
}

static void fill_replica_set(struct admit *a, struct doc_value *object) {
    spec_in(a, object, fill_replica_set_spec);
    fill_replicas_status(a, object);
}

static void fill_controller_spec(struct arena *arena, struct doc_value *spec) {
    fill_replica_set_spec(arena, spec);
    const struct doc_value *labels = doc_get(spec, "template", "metadata", "labels");
    if (doc_len(doc_get(spec, "selector")) == 0 && labels) {
        admit_set_member(arena, spec, "selector", *labels);
    }
}

static void fill_controller(struct admit *a, struct doc_value *object) {
    const struct doc_value *labels = doc_get(object, "spec", "template", "metadata", "labels");
    if (doc_len(doc_get(object, "metadata", "labels")) == 0 && doc_len(labels) > 0) {
        *object = doc_with(a->arena, object, *labels, "metadata", "labels");
    }
    spec_in(a, object, fill_controller_spec);
    fill_replicas_status(a, object);
}

static void fill_partition(struct arena *arena, struct doc_value *rolling) {
    admit_default_int(arena, rolling, "partition", 0);
}

static void fill_stateful_strategy(struct arena *arena, struct doc_value *strategy) {
    admit_default_str(arena, strategy, "type", "RollingUpdate");
    if (str_eq(doc_get_str(strategy, "type"), STR("RollingUpdate"))) {
        admit_default_object(arena, strategy, "rollingUpdate");
        admit_default_in(arena, strategy, "rollingUpdate", fill_partition);
    }
}

static void fill_retention(struct arena *arena, struct doc_value *policy) {
    admit_default_str(arena, policy, "whenDeleted", "Retain");
    admit_default_str(arena, policy, "whenScaled", "Retain");
}

static void fill_volume_mode(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "volumeMode", "Filesystem");
}

static void fill_claim_template(struct arena *arena, struct doc_value *claim) {
    admit_default_str(arena, claim, "kind", "PersistentVolumeClaim");
    admit_default_str(arena, claim, "apiVersion", "v1");
    admit_default_in(arena, claim, "spec", fill_volume_mode);
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "phase", DOC_S("Pending"));
    admit_set_member(arena, claim, "status", doc_object_done(&status));
}

static void fill_stateful_set_spec(struct arena *arena, struct doc_value *spec) {
    if (doc_is_null(doc_get(spec, "serviceName"))) {
        admit_set_member(arena, spec, "serviceName", DOC_S(""));
    }
    fill_replica_set_spec(arena, spec);
    admit_default_each(arena, spec, "volumeClaimTemplates", fill_claim_template);
    admit_default_str(arena, spec, "podManagementPolicy", "OrderedReady");
    admit_default_object(arena, spec, "updateStrategy");
    admit_default_in(arena, spec, "updateStrategy", fill_stateful_strategy);
    admit_default_int(arena, spec, "revisionHistoryLimit", 10);
    admit_default_object(arena, spec, "persistentVolumeClaimRetentionPolicy");
    admit_default_in(arena, spec, "persistentVolumeClaimRetentionPolicy", fill_retention);
}

static void fill_stateful_set(struct admit *a, struct doc_value *object) {
    spec_in(a, object, fill_stateful_set_spec);
    fill_replicas_status(a, object);
    if (doc_is_null(doc_get(object, "status", "availableReplicas"))) {
        *object = doc_with(a->arena, object, doc_make_int(0), "status", "availableReplicas");
    }
}

static void fill_daemon_rolling(struct arena *arena, struct doc_value *rolling) {
    admit_default_int(arena, rolling, "maxUnavailable", 1);
    admit_default_int(arena, rolling, "maxSurge", 0);
}

static void fill_daemon_strategy(struct arena *arena, struct doc_value *strategy) {
    admit_default_str(arena, strategy, "type", "RollingUpdate");
    if (str_eq(doc_get_str(strategy, "type"), STR("RollingUpdate"))) {
        admit_default_object(arena, strategy, "rollingUpdate");
        admit_default_in(arena, strategy, "rollingUpdate", fill_daemon_rolling);
    }
}

static void fill_daemon_set_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "template", admit_template_fill);
    admit_default_object(arena, spec, "updateStrategy");
    admit_default_in(arena, spec, "updateStrategy", fill_daemon_strategy);
    admit_default_int(arena, spec, "revisionHistoryLimit", 10);
}

static void fill_daemon_set(struct admit *a, struct doc_value *object) {
    static const char *const counts[] = {"currentNumberScheduled", "numberMisscheduled",
                                         "desiredNumberScheduled", "numberReady"};
    static const char generation[] = "deprecated.daemonset.template.generation";
    spec_in(a, object, fill_daemon_set_spec);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (doc_is_null(doc_get(object, "status", counts[i]))) {
            *object = doc_with(a->arena, object, doc_make_int(0), "status", counts[i]);
        }
    }
    int64_t number = 0;
    str_to_int64(doc_get_str(a->old, "metadata", "annotations", generation), &number);
    if (!a->old ||
        !doc_equal(doc_get(a->old, "spec", "template"), doc_get(object, "spec", "template"))) {
        number++;
    }
    struct str text = arena_printf(a->arena, "%lld", (long long)number);
    *object = doc_with(a->arena, object, doc_make_str(text), "metadata", "annotations", generation);
}

static void fill_condition_pattern(struct arena *arena, struct doc_value *pattern) {
    admit_default_str(arena, pattern, "status", "True");
}

static void fill_failure_rule(struct arena *arena, struct doc_value *rule) {
    admit_default_each(arena, rule, "onPodConditions", fill_condition_pattern);
}

static void fill_failure_policy(struct arena *arena, struct doc_value *policy) {
    admit_default_each(arena, policy, "rules", fill_failure_rule);
}

static void fill_job_spec(struct arena *arena, struct doc_value *spec) {
    bool neither =
        doc_is_null(doc_get(spec, "completions")) && doc_is_null(doc_get(spec, "parallelism"));
    if (neither) {
        admit_default_int(arena, spec, "completions", 1);
    }
    admit_default_int(arena, spec, "parallelism", 1);
    bool per_index = !doc_is_null(doc_get(spec, "backoffLimitPerIndex"));
    admit_default_int(arena, spec, "backoffLimit", per_index ? INT32_MAX : 6);
    admit_default_str(arena, spec, "completionMode", "NonIndexed");
    admit_default_bool(arena, spec, "suspend", false);
    admit_default_bool(arena, spec, "manualSelector", false);
    admit_default_in(arena, spec, "podFailurePolicy", fill_failure_policy);
    bool policy = !doc_is_null(doc_get(spec, "podFailurePolicy"));
    admit_default_str(arena, spec, "podReplacementPolicy",
                      policy ? "Failed" : "TerminatingOrFailed");
    admit_default_in(arena, spec, "template", admit_template_fill);
}

static void add_label(struct admit *a, struct doc_value *object, const char *key,
                      struct doc_value value) {
    *object = doc_with(a->arena, object, value, "spec", "template", "metadata", "labels", key);
}

// A Job's pods are found by the Job's uid, in the old and the prefixed form of the labels.
static void fill_job_selector(struct admit *a, struct doc_value *object) {
    const struct doc_value *given = doc_get(object, "spec", "template", "metadata", "labels");
    if (doc_len(doc_get(object, "metadata", "labels")) == 0 && doc_len(given) > 0 &&
        doc_bool(doc_get(object, "spec", "manualSelector"), false)) {
        *object = doc_with(a->arena, object, *given, "metadata", "labels");
    }
    if (a->old || doc_bool(doc_get(object, "spec", "manualSelector"), false)) {
        return;
    }
    struct doc_value uid = doc_make_str(doc_get_str(object, "metadata", "uid"));
    struct doc_value name = doc_make_str(doc_get_str(object, "metadata", "name"));
    bool shares_labels =
        doc_len(doc_get(object, "metadata", "labels")) == 0; // as the default of the labels
    add_label(a, object, "batch.kubernetes.io/controller-uid", uid);
    add_label(a, object, "batch.kubernetes.io/job-name", name);
    add_label(a, object, "controller-uid", uid);
    add_label(a, object, "job-name", name);
    *object = doc_with(a->arena, object, uid, "spec", "selector", "matchLabels",
                       "batch.kubernetes.io/controller-uid");
    if (shares_labels) {
        const struct doc_value *labels = doc_get(object, "spec", "template", "metadata", "labels");
        *object = doc_with(a->arena, object, *labels, "metadata", "labels");
    }
}

static void fill_job(struct admit *a, struct doc_value *object) {
    if (!doc_is(doc_get(object, "spec"), DOC_OBJECT)) {
        return;
    }
    spec_in(a, object, fill_job_spec);
    fill_job_selector(a, object);
    admit_default_object(a->arena, object, "status");
}

static void fill_cron_job_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "concurrencyPolicy", "Allow");
    admit_default_bool(arena, spec, "suspend", false);
    admit_default_int(arena, spec, "successfulJobsHistoryLimit", 3);
    admit_default_int(arena, spec, "failedJobsHistoryLimit", 1);
    const struct doc_value *template = doc_get(spec, "jobTemplate", "spec", "template");
    struct doc_value filled = doc_is(template, DOC_OBJECT) ? *template : admit_empty_object(arena);
    admit_template_fill(arena, &filled);
    *spec = doc_with(arena, spec, filled, "jobTemplate", "spec", "template");
    if (doc_is_null(doc_get(spec, "jobTemplate", "metadata"))) {
        *spec = doc_with(arena, spec, admit_empty_object(arena), "jobTemplate", "metadata");
    }
}

static void fill_cron_job(struct admit *a, struct doc_value *object) {
    spec_in(a, object, fill_cron_job_spec);
    admit_default_object(a->arena, object, "status");
}

static void check_revision(struct admit *a, const struct doc_value *object) {
    admit_check_not_negative(a, STR("revision"), doc_get(object, "revision"));
    if (doc_is_null(doc_get(object, "data"))) {
        admit_problem_required(a, STR("data"), "data is mandatory");
    }
}

static void update_revision(struct admit *a, const struct doc_value *object,
                            const struct doc_value *old) {
    admit_check_immutable(a, STR("data"), doc_get(object, "data"), doc_get(old, "data"));
}

static void fill_pod_template(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "template", admit_template_fill);
}

// ---- Checks ----

static void check_replicas(struct admit *a, const struct doc_value *object) {
    admit_check_not_negative(a, STR("spec.replicas"), doc_get(object, "spec", "replicas"));
    admit_check_not_negative(a, STR("spec.minReadySeconds"),
                             doc_get(object, "spec", "minReadySeconds"));
}

// Always is what a missing policy becomes, so it counts as missing.
static void check_job_restart(struct admit *a, struct str path, const struct doc_value *policy) {
    if (doc_is_null(policy) || str_eq(doc_str(policy), STR("Always"))) {
        admit_problem_required(a, path, "valid values: \"OnFailure\", \"Never\"");
    } else {
        admit_check_choice(a, path, policy, "OnFailure Never");
    }
}

static void check_template(struct admit *a, const struct doc_value *template,
                           const char *restart_policies) {
    const struct doc_value *spec = doc_get(template, "spec");
    admit_check_labels(a, STR("spec.template.labels"), doc_get(template, "metadata", "labels"));
    admit_pod_spec_check(a, STR("spec.template.spec"), spec);
    struct str path = STR("spec.template.spec.restartPolicy");
    if (restart_policies) {
        admit_check_choice(a, path, doc_get(spec, "restartPolicy"), restart_policies);
    } else {
        check_job_restart(a, path, doc_get(spec, "restartPolicy"));
    }
}

// A selector that is there, not empty, well formed and matches the labels of the pods it will make.
static void check_selector(struct admit *a, const struct doc_value *object) {
    const struct doc_value *selector = doc_get(object, "spec", "selector");
    const struct doc_value *labels = doc_get(object, "spec", "template", "metadata", "labels");
    size_t before = a->problem_count;
    if (doc_is_null(selector)) {
        if (!str_eq_c(STR("daemonset"), a->selector_owner)) { // as Kubernetes
            admit_problem_required(a, STR("spec.selector"), "");
        }
    } else if (doc_len(doc_get(selector, "matchLabels")) +
                   doc_len(doc_get(selector, "matchExpressions")) ==
               0) {
        admit_problem_invalid(a, STR("spec.selector"), selector, "empty selector is invalid for %s",
                              a->selector_owner);
    } else {
        admit_check_label_selector(a, STR("spec.selector"), selector);
    }
    // No selector selects nothing, an empty one everything.
    if (!doc_is_null(selector) && a->problem_count > before &&
        doc_len(doc_get(selector, "matchExpressions")) > 0) {
        admit_problem_invalid(a, STR("spec.selector"), selector, "invalid label selector");
    } else if (doc_is_null(selector) || !admit_selector_covers(selector, labels)) {
        struct doc_value nothing = admit_empty_object(a->arena);
        bool empty = doc_is(doc_get(object, "spec", "template", "metadata"), DOC_OBJECT);
        admit_problem_invalid(a, STR("spec.template.metadata.labels"),
                              labels ? labels : (empty ? &nothing : NULL),
                              "`selector` does not match template `labels`");
    }
}

static bool is_zero(const struct doc_value *value) {
    return doc_is(value, DOC_STRING) ? str_eq(doc_str(value), STR("0%")) : doc_int(value, 0) == 0;
}

static void check_deployment_strategy(struct admit *a, const struct doc_value *strategy) {
    const struct doc_value *rolling = doc_get(strategy, "rollingUpdate");
    const struct doc_value *unavailable = doc_get(rolling, "maxUnavailable");
    struct str type = doc_get_str(strategy, "type");
    if (!str_eq(type, STR("Recreate")) && !str_eq(type, STR("RollingUpdate"))) {
        admit_problem_unsupported_text(
            a, STR("spec.strategy"),
            arena_printf(a->arena, "{\"Type\":\"%.*s\",\"RollingUpdate\":null}", STR_ARG(type)),
            "Recreate RollingUpdate");
        return;
    }
    if (str_eq(doc_get_str(strategy, "type"), STR("Recreate"))) {
        if (!doc_is_null(rolling)) {
            admit_problem_forbidden(a, STR("spec.strategy.rollingUpdate"),
                                    "may not be specified when strategy `type` is 'Recreate'");
        }
        return;
    }
    admit_check_count_or_percent(a, STR("spec.strategy.rollingUpdate.maxUnavailable"), unavailable,
                                 true);
    admit_check_count_or_percent(a, STR("spec.strategy.rollingUpdate.maxSurge"),
                                 doc_get(rolling, "maxSurge"), false);
    if (is_zero(unavailable) && is_zero(doc_get(rolling, "maxSurge"))) {
        admit_problem_invalid(a, STR("spec.strategy.rollingUpdate.maxUnavailable"), unavailable,
                              "may not be 0 when `maxSurge` is 0");
    }
}

static void check_deployment(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    a->selector_owner = "deployment";
    admit_check_not_negative(a, STR("spec.replicas"), doc_get(spec, "replicas"));
    check_selector(a, object);
    check_template(a, doc_get(spec, "template"), "Always");
    check_deployment_strategy(a, doc_get(spec, "strategy"));
    admit_check_not_negative(a, STR("spec.minReadySeconds"), doc_get(spec, "minReadySeconds"));
    admit_check_not_negative(a, STR("spec.revisionHistoryLimit"),
                             doc_get(spec, "revisionHistoryLimit"));
    const struct doc_value *deadline = doc_get(spec, "progressDeadlineSeconds");
    admit_check_not_negative(a, STR("spec.progressDeadlineSeconds"), deadline);
    if (doc_int(deadline, INT32_MAX) <= doc_int(doc_get(spec, "minReadySeconds"), 0)) {
        admit_problem_invalid(a, STR("spec.progressDeadlineSeconds"), deadline,
                              "must be greater than minReadySeconds");
    }
}

static void check_replica_set(struct admit *a, const struct doc_value *object) {
    a->selector_owner = "deployment"; // as Kubernetes says
    check_replicas(a, object);
    check_selector(a, object);
    check_template(a, doc_get(object, "spec", "template"), "Always");
}

static void check_controller(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *selector = doc_get(spec, "selector");
    const struct doc_value *labels = doc_get(spec, "template", "metadata", "labels");
    check_replicas(a, object);
    if (doc_len(selector) == 0) {
        admit_problem_required(a, STR("spec.selector"), "");
    }
    if (doc_is_null(doc_get(spec, "template"))) {
        admit_problem_required(a, STR("spec.template"), "");
        return;
    }
    for (DOC_EACH_MEMBER(selector, i)) {
        if (!doc_equal(doc_value_at(selector, i), doc_find(labels, doc_key_at(selector, i)))) {
            admit_problem_invalid(a, STR("spec.template.metadata.labels"), labels,
                                  "`selector` does not match template `labels`");
            break;
        }
    }
    check_template(a, doc_get(spec, "template"), "Always");
}

static void check_stateful_set(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    a->selector_owner = "statefulset";
    a->claim_templates = doc_get(spec, "volumeClaimTemplates");
    const struct doc_value *policy = doc_get(spec, "podManagementPolicy");
    struct str strategy = doc_get_str(spec, "updateStrategy", "type");
    if (!str_eq(doc_str(policy), STR("OrderedReady")) &&
        !str_eq(doc_str(policy), STR("Parallel"))) {
        admit_problem_invalid(a, STR("spec.podManagementPolicy"), policy,
                              "must be 'OrderedReady' or 'Parallel'");
    }
    if (!str_eq(strategy, STR("RollingUpdate")) && !str_eq(strategy, STR("OnDelete"))) {
        struct doc_object shown = doc_object_start(a->arena); // with the names of Go's fields
        doc_object_set_c(&shown, "Type", doc_make_str(strategy));
        doc_object_set_c(&shown, "RollingUpdate", doc_null());
        struct doc_value value = doc_object_done(&shown);
        admit_problem_invalid(a, STR("spec.updateStrategy"), &value,
                              "must be 'RollingUpdate' or 'OnDelete'");
    }
    check_replicas(a, object);
    check_selector(a, object);
    check_template(a, doc_get(spec, "template"), "Always");
}

static void check_daemon_set(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    a->selector_owner = "daemonset";
    check_selector(a, object);
    check_template(a, doc_get(spec, "template"), "Always");
    admit_check_not_negative(a, STR("spec.minReadySeconds"), doc_get(spec, "minReadySeconds"));
    admit_check_choice(a, STR("spec.updateStrategy.type"), doc_get(spec, "updateStrategy", "type"),
                       "OnDelete RollingUpdate");
    const struct doc_value *rolling = doc_get(spec, "updateStrategy", "rollingUpdate");
    if (doc_is(rolling, DOC_OBJECT) && is_zero(doc_get(rolling, "maxUnavailable")) &&
        is_zero(doc_get(rolling, "maxSurge"))) {
        admit_problem_required(a, STR("spec.updateStrategy.rollingUpdate.maxUnavailable"),
                               "cannot be 0 when maxSurge is 0");
    }
}

static void check_job(struct admit *a, const struct doc_value *object) {
    static const char *const counts[] = {"parallelism", "completions", "activeDeadlineSeconds",
                                         "backoffLimit", "ttlSecondsAfterFinished"};
    const struct doc_value *spec = doc_get(object, "spec"), *selector = doc_get(spec, "selector");
    if (!a->old && !doc_bool(doc_get(spec, "manualSelector"), false) &&
        (doc_len(doc_get(selector, "matchLabels")) != 1 ||
         doc_len(doc_get(selector, "matchExpressions")) > 0)) {
        admit_problem_invalid(a, STR("spec.selector"), selector, "`selector` not auto-generated");
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct str name = str_from(counts[i]);
        admit_check_not_negative(a, admit_path_of(a, "spec.%.*s", STR_ARG(name)),
                                 doc_find(spec, name));
    }
    admit_check_choice(a, STR("spec.completionMode"), doc_get(spec, "completionMode"),
                       "NonIndexed Indexed");
    if (str_eq(doc_get_str(spec, "completionMode"), STR("Indexed")) &&
        doc_is_null(doc_get(spec, "completions"))) {
        admit_problem_required(a, STR("spec.completions"), "when completion mode is Indexed");
    }
    const struct doc_value *labels = doc_get(spec, "template", "metadata", "labels");
    if (!admit_selector_covers(selector, labels)) {
        admit_problem_invalid(a, STR("spec.template.metadata.labels"), labels,
                              "`selector` does not match template `labels`");
    }
    check_template(a, doc_get(spec, "template"), NULL);
}

enum { SCHEDULE_FIELDS = 5 };

// Five fields of digits and signs, or one of the @names; what they mean is the controller's business.
static size_t schedule_fields(struct str text) {
    static const char *const names[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                        "@daily",  "@midnight", "@hourly"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(text, names[i])) {
            return SCHEDULE_FIELDS;
        }
    }
    if (str_starts(text, STR("@every "))) {
        return SCHEDULE_FIELDS;
    }
    size_t fields = 0;
    struct str rest = str_trim(text), part;
    while (str_next(&rest, ' ', &part)) {
        fields += part.n > 0;
    }
    return fields;
}

// Zones are those of the host; one without any knows UTC only, and then nothing is refused.
static bool zone_exists(struct admit *a, struct str name) {
    static const char folder[] = "/usr/share/zoneinfo";
    for (size_t i = 0; i < name.n; i++) {
        if (!name.p[i] || name.p[i] == '\\') {
            return false;
        }
    }
    if (name.p[0] == '/' || str_has(name, STR(".."))) {
        return false;
    }
    struct stat info;
    if (str_eq(name, STR("UTC")) || stat(folder, &info) != 0) {
        return true;
    }
    struct str path = arena_printf(a->arena, "%s/%.*s", folder, STR_ARG(name));
    return stat(arena_cstr(a->arena, path), &info) == 0 && S_ISREG(info.st_mode);
}

static void check_zone(struct admit *a, const struct doc_value *zone,
                       const struct doc_value *before) {
    struct str path = STR("spec.timeZone"), name = doc_str(zone);
    if (doc_is_null(zone) || (before && doc_equal(zone, before))) {
        return;
    }
    if (!name.n) {
        admit_problem_invalid(a, path, zone, "timeZone must be nil or non-empty string");
    } else if (name.n == 5 && strncasecmp(name.p, "local", name.n) == 0) {
        admit_problem_invalid(a, path, zone,
                              "timeZone must be an explicit time zone as defined in "
                              "https://www.iana.org/time-zones");
    } else if (!zone_exists(a, name)) {
        admit_problem_invalid(a, path, zone, "unknown time zone %.*s", STR_ARG(name));
    }
}

static void check_cron_job(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *schedule = doc_get(spec, "schedule");
    struct str text = doc_str(schedule);
    if (text.n == 0) {
        admit_problem_required(a, STR("spec.schedule"), "");
    } else if (str_has(text, STR("TZ"))) {
        admit_problem_invalid(a, STR("spec.schedule"), schedule,
                              "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if (schedule_fields(text) != SCHEDULE_FIELDS) {
        admit_problem_invalid(a, STR("spec.schedule"), schedule,
                              "expected exactly 5 fields, found %zu: [%.*s]", schedule_fields(text),
                              STR_ARG(text));
    }
    admit_check_not_negative(a, STR("spec.startingDeadlineSeconds"),
                             doc_get(spec, "startingDeadlineSeconds"));
    check_zone(a, doc_get(spec, "timeZone"), doc_get(a->old, "spec", "timeZone"));
    admit_check_choice(a, STR("spec.concurrencyPolicy"), doc_get(spec, "concurrencyPolicy"),
                       "Allow Forbid Replace");
    struct str path = STR("spec.jobTemplate.spec.template.spec");
    const struct doc_value *pod = doc_get(spec, "jobTemplate", "spec", "template", "spec");
    admit_pod_spec_check(a, path, pod);
    check_job_restart(a, admit_path_of(a, "%.*s.restartPolicy", STR_ARG(path)),
                      doc_get(pod, "restartPolicy"));
    admit_check_not_negative(a, STR("spec.successfulJobsHistoryLimit"),
                             doc_get(spec, "successfulJobsHistoryLimit"));
    admit_check_not_negative(a, STR("spec.failedJobsHistoryLimit"),
                             doc_get(spec, "failedJobsHistoryLimit"));
    struct str name = doc_get_str(object, "metadata", "name");
    if (!a->old && name.n > 52) {
        admit_problem_invalid(a, STR("metadata.name"), doc_get(object, "metadata", "name"),
                              "must be no more than 52 characters");
    }
}

// ---- Updates ----

static void update_selector(struct admit *a, const struct doc_value *object,
                            const struct doc_value *old) {
    admit_check_immutable(a, STR("spec.selector"), doc_get(object, "spec", "selector"),
                          doc_get(old, "spec", "selector"));
}

static void update_stateful_set(struct admit *a, const struct doc_value *object,
                                const struct doc_value *old) {
    static const char *const free_fields[] = {"replicas",
                                              "ordinals",
                                              "template",
                                              "updateStrategy",
                                              "revisionHistoryLimit",
                                              "persistentVolumeClaimRetentionPolicy",
                                              "minReadySeconds"};
    struct doc_object now = doc_object_copy(a->arena, doc_get(object, "spec"));
    struct doc_object before = doc_object_copy(a->arena, doc_get(old, "spec"));
    for (size_t i = 0; i < ARRAY_LEN(free_fields); i++) {
        doc_object_remove(&now, str_from(free_fields[i]));
        doc_object_remove(&before, str_from(free_fields[i]));
    }
    struct doc_value rest = doc_object_done(&now), old_rest = doc_object_done(&before);
    if (!doc_equal(&rest, &old_rest)) {
        admit_problem_forbidden(a, STR("spec"),
                                "updates to statefulset spec for fields other than 'replicas', "
                                "'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                                "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
                                "forbidden");
    }
}

static void update_job(struct admit *a, const struct doc_value *object,
                       const struct doc_value *old) {
    const struct doc_value *now = doc_get(object, "spec"), *before = doc_get(old, "spec");
    admit_check_immutable(a, STR("spec.completionMode"), doc_get(now, "completionMode"),
                          doc_get(before, "completionMode"));
    if (!str_eq(doc_get_str(now, "completionMode"), STR("Indexed"))) {
        admit_check_immutable(a, STR("spec.completions"), doc_get(now, "completions"),
                              doc_get(before, "completions"));
    }
    admit_check_immutable(a, STR("spec.selector"), doc_get(now, "selector"),
                          doc_get(before, "selector"));
    // Scheduling hints of a Job that never started may change; nothing else of its template.
    bool waiting = doc_bool(doc_get(before, "suspend"), false) &&
                   doc_is_null(doc_get(old, "status", "startTime"));
    if (!waiting) {
        admit_check_immutable(a, STR("spec.template"), doc_get(now, "template"),
                              doc_get(before, "template"));
    }
}

const struct admit_rule admit_workloads[] = {
    {"", "Pod", admit_pod_fill, admit_pod_check, admit_pod_update},
    {"", "PodTemplate", fill_pod_template, NULL, NULL},
    {"", "ReplicationController", fill_controller, check_controller, NULL},
    {"apps", "ControllerRevision", NULL, check_revision, update_revision},
    {"apps", "Deployment", fill_deployment, check_deployment, update_selector},
    {"apps", "ReplicaSet", fill_replica_set, check_replica_set, update_selector},
    {"apps", "StatefulSet", fill_stateful_set, check_stateful_set, update_stateful_set},
    {"apps", "DaemonSet", fill_daemon_set, check_daemon_set, update_selector},
    {"batch", "Job", fill_job, check_job, update_job},
    {"batch", "CronJob", fill_cron_job, check_cron_job, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
