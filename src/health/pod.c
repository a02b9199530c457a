// SPDX-License-Identifier: Apache-2.0
// Pods and Jobs.
#include "health/health_internal.h"

struct health health_job(const struct doc_value *live, struct arena *arena) {
    (void)arena;
    const struct doc_value *failed = health_condition(live, "Failed");
    if (str_eq(doc_get_str(failed, "status"), STR("True"))) {
        return health_is(HEALTH_DEGRADED, doc_get_str(failed, "message"));
    }
    const struct doc_value *complete = health_condition(live, "Complete");
    if (str_eq(doc_get_str(complete, "status"), STR("True"))) {
        return health_is(HEALTH_HEALTHY, doc_get_str(complete, "message"));
    }
    const struct doc_value *suspended = health_condition(live, "Suspended");
    if (str_eq(doc_get_str(suspended, "status"), STR("True"))) {
        return health_is(HEALTH_SUSPENDED, doc_get_str(suspended, "message"));
    }
    return health_is(HEALTH_PROGRESSING, STR(""));
}

// A container that the kubelet cannot start: ErrImagePull, CreateContainerError, CrashLoopBackOff, ...
static bool is_bad_reason(struct str reason) {
    return str_starts(reason, STR("Err")) || str_ends(reason, STR("Error")) ||
           str_ends(reason, STR("BackOff"));
}

// The messages of all of them, as Argo CD joins them.
static bool find_stuck_container(const struct doc_value *live, struct arena *arena,
                                 struct str *message) {
    bool any = false;
    *message = (struct str){NULL, 0};
    for (DOC_EACH_ITEM(doc_get(live, "status", "containerStatuses"), container)) {
        const struct doc_value *waiting = doc_get(container, "state", "waiting");
        if (is_bad_reason(doc_get_str(waiting, "reason"))) {
            struct str text = doc_get_str(waiting, "message");
            text = text.n ? text : doc_get_str(waiting, "reason");
            *message =
                any ? arena_printf(arena, "%.*s, %.*s", STR_ARG(*message), STR_ARG(text)) : text;
            any = true;
        }
    }
    return any;
}

static struct str failure_of_container(const struct doc_value *container, struct arena *arena) {
    const struct doc_value *ended = doc_get(container, "state", "terminated");
    struct str message = doc_get_str(ended, "message");
    struct str reason = doc_get_str(ended, "reason");
    if (message.n) {
        return message;
    }
    if (str_eq(reason, STR("OOMKilled"))) {
        return reason;
    }
    int64_t code = doc_int(doc_get(ended, "exitCode"), 0);
    if (code != 0) {
        return arena_printf(arena, "container \"%.*s\" failed with exit code %lld",
                            STR_ARG(doc_get_str(container, "name")), (long long)code);
    }
    return (struct str){NULL, 0};
}

static struct health failed_pod(const struct doc_value *live, struct arena *arena) {
    struct str message = doc_get_str(live, "status", "message");
    if (message.n) {
        return health_is(HEALTH_DEGRADED, message);
    }
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (DOC_EACH_ITEM(doc_get(live, "status", lists[i]), container)) {
            message = failure_of_container(container, arena);
            if (message.n) {
                return health_is(HEALTH_DEGRADED, message);
            }
        }
    }
    return health_is(HEALTH_DEGRADED, STR(""));
}

static struct health running_pod(const struct doc_value *live) {
    if (!str_eq(doc_get_str(live, "spec", "restartPolicy"), STR("Always")) &&
        doc_get_str(live, "spec", "restartPolicy").n) {
        // A pod that runs to its end is done when it has ended.
        return health_is(HEALTH_PROGRESSING, doc_get_str(live, "status", "message"));
    }
    if (health_condition_is(live, "Ready", "True")) {
        return health_is(HEALTH_HEALTHY, doc_get_str(live, "status", "message"));
    }
    for (DOC_EACH_ITEM(doc_get(live, "status", "containerStatuses"), container)) {
        const struct doc_value *last = doc_get(container, "lastState", "terminated");
        if (last) {
            // It has ended before and is not ready again: it crashes.
            return health_is(HEALTH_DEGRADED, doc_get_str(last, "message"));
        }
    }
    return health_is(HEALTH_PROGRESSING, doc_get_str(live, "status", "message"));
}

struct health health_pod(const struct doc_value *live, struct arena *arena) {
    struct str restart = doc_get_str(live, "spec", "restartPolicy");
    struct str message;
    if ((restart.n == 0 || str_eq(restart, STR("Always"))) &&
        find_stuck_container(live, arena, &message)) {
        return health_is(HEALTH_DEGRADED, message);
    }
    struct str phase = doc_get_str(live, "status", "phase");
    if (str_eq(phase, STR("Succeeded"))) {
        return health_is(HEALTH_HEALTHY, doc_get_str(live, "status", "message"));
    }
    if (str_eq(phase, STR("Failed"))) {
        return failed_pod(live, arena);
    }
    if (str_eq(phase, STR("Running"))) {
        return running_pod(live);
    }
    if (str_eq(phase, STR("Pending")) || phase.n == 0) {
        return health_is(HEALTH_PROGRESSING, doc_get_str(live, "status", "message"));
    }
    return health_is(HEALTH_UNKNOWN, doc_get_str(live, "status", "message"));
}
