// SPDX-License-Identifier: Apache-2.0
// Workloads of the apps group: has the controller seen the newest spec, and has the roll-out finished? The order of the
// questions and the messages are those that Argo CD's users know (gitops-engine's health checks).
#include "health/health_internal.h"

#include <inttypes.h>

static int64_t status_int(const struct doc_value *live, const char *field) {
    return doc_int(doc_get(live, "status", field), 0);
}

static bool is_observed(const struct doc_value *live) {
    return doc_int(doc_get(live, "metadata", "generation"), 0) <=
           status_int(live, "observedGeneration");
}

struct health health_deployment(const struct doc_value *live, struct arena *arena) {
    if (doc_bool(doc_get(live, "spec", "paused"), false)) {
        return health_is(HEALTH_SUSPENDED, STR("Deployment is paused"));
    }
    if (!is_observed(live)) {
        return health_is(HEALTH_PROGRESSING,
                         STR("Waiting for rollout to finish: observed deployment "
                             "generation less than desired generation"));
    }
    int64_t updated = status_int(live, "updatedReplicas");
    int64_t replicas = status_int(live, "replicas");
    int64_t available = status_int(live, "availableReplicas");
    const struct doc_value *wanted = doc_get(live, "spec", "replicas");
    const struct doc_value *progressing = health_condition(live, "Progressing");
    if (str_eq(doc_get_str(progressing, "reason"), STR("ProgressDeadlineExceeded"))) {
        return health_is(HEALTH_DEGRADED,
                         arena_printf(arena, "Deployment \"%.*s\" exceeded its progress deadline",
                                      STR_ARG(doc_get_str(live, "metadata", "name"))));
    }
    if (doc_is(wanted, DOC_INT) && updated < doc_int(wanted, 0)) {
        return health_is(HEALTH_PROGRESSING,
                         arena_printf(arena,
                                      "Waiting for rollout to finish: %" PRId64 " out of %" PRId64
                                      " new replicas have been updated...",
                                      updated, doc_int(wanted, 0)));
    }
    if (replicas > updated) {
        return health_is(HEALTH_PROGRESSING,
                         arena_printf(arena,
                                      "Waiting for rollout to finish: %" PRId64
                                      " old replicas are pending termination...",
                                      replicas - updated));
    }
    if (available < updated) {
        return health_is(HEALTH_PROGRESSING,
                         arena_printf(arena,
                                      "Waiting for rollout to finish: %" PRId64 " of %" PRId64
                                      " updated replicas are available...",
                                      available, updated));
    }
    return health_is(HEALTH_HEALTHY, STR(""));
}

static struct health stateful_set_rolling(const struct doc_value *live, struct arena *arena) {
    const struct doc_value *partition =
        doc_get(live, "spec", "updateStrategy", "rollingUpdate", "partition");
    const struct doc_value *wanted = doc_get(live, "spec", "replicas");
    int64_t updated = status_int(live, "updatedReplicas");
    if (doc_is(partition, DOC_INT) && doc_is(wanted, DOC_INT)) {
        int64_t target = doc_int(wanted, 0) - doc_int(partition, 0);
        if (updated < target) {
            return health_is(HEALTH_PROGRESSING,
                             arena_printf(arena,
                                          "Waiting for partitioned roll out to finish: %" PRId64
                                          " out of %" PRId64 " new pods have been updated...",
                                          updated, target));
        }
        return health_is(HEALTH_HEALTHY, arena_printf(arena,
                                                      "partitioned roll out complete: %" PRId64
                                                      " new pods have been updated...",
                                                      updated));
    }
    struct str current = doc_get_str(live, "status", "currentRevision");
    struct str update = doc_get_str(live, "status", "updateRevision");
    bool done = str_eq(current, update);
    return health_is(done ? HEALTH_HEALTHY : HEALTH_PROGRESSING,
                     arena_printf(arena, "%s %" PRId64 " pods at revision %.*s...",
                                  done ? "statefulset rolling update complete"
                                       : "waiting for statefulset rolling update to complete",
                                  done ? status_int(live, "currentReplicas") : updated,
                                  STR_ARG(done ? current : update)));
}

struct health health_stateful_set(const struct doc_value *live, struct arena *arena) {
    if (status_int(live, "observedGeneration") == 0 || !is_observed(live)) {
        return health_is(HEALTH_PROGRESSING,
                         STR("Waiting for statefulset spec update to be observed..."));
    }
    const struct doc_value *wanted = doc_get(live, "spec", "replicas");
    int64_t ready = status_int(live, "readyReplicas");
    if (doc_is(wanted, DOC_INT) && ready < doc_int(wanted, 0)) {
        return health_is(HEALTH_PROGRESSING,
                         arena_printf(arena, "Waiting for %" PRId64 " pods to be ready...",
                                      doc_int(wanted, 0) - ready));
    }
    if (str_eq(doc_get_str(live, "spec", "updateStrategy", "type"), STR("OnDelete"))) {
        return health_is(HEALTH_HEALTHY,
                         arena_printf(arena, "statefulset has %" PRId64 " ready pods", ready));
    }
    return stateful_set_rolling(live, arena);
}

struct health health_replica_set(const struct doc_value *live, struct arena *arena) {
    if (!is_observed(live)) {
        return health_is(HEALTH_PROGRESSING, STR("Waiting for rollout to finish: observed replica "
                                                 "set generation less than desired generation"));
    }
    const struct doc_value *failure = health_condition(live, "ReplicaFailure");
    if (str_eq(doc_get_str(failure, "status"), STR("True"))) {
        return health_is(HEALTH_DEGRADED, doc_get_str(failure, "message"));
    }
    const struct doc_value *wanted = doc_get(live, "spec", "replicas");
    int64_t available = status_int(live, "availableReplicas");
    if (doc_is(wanted, DOC_INT) && available < doc_int(wanted, 0)) {
        return health_is(HEALTH_PROGRESSING,
                         arena_printf(arena,
                                      "Waiting for rollout to finish: %" PRId64 " out of %" PRId64
                                      " new replicas are available...",
                                      available, doc_int(wanted, 0)));
    }
    return health_is(HEALTH_HEALTHY, STR(""));
}

struct health health_daemon_set(const struct doc_value *live, struct arena *arena) {
    if (!is_observed(live)) {
        return health_is(HEALTH_PROGRESSING,
                         STR("Waiting for rollout to finish: observed daemon set "
                             "generation less than desired generation"));
    }
    int64_t updated = status_int(live, "updatedNumberScheduled");
    int64_t wanted = status_int(live, "desiredNumberScheduled");
    int64_t available = status_int(live, "numberAvailable");
    struct str name = doc_get_str(live, "metadata", "name");
    if (str_eq(doc_get_str(live, "spec", "updateStrategy", "type"), STR("OnDelete"))) {
        return health_is(HEALTH_HEALTHY, arena_printf(arena,
                                                      "daemon set %" PRId64 " out of %" PRId64
                                                      " new pods have been updated",
                                                      updated, wanted));
    }
    if (updated < wanted || available < wanted) {
        bool updating = updated < wanted;
        return health_is(
            HEALTH_PROGRESSING,
            arena_printf(arena,
                         "Waiting for daemon set \"%.*s\" rollout to finish: %" PRId64
                         " %s %" PRId64 " %s...",
                         STR_ARG(name), updating ? updated : available, updating ? "out of" : "of",
                         wanted,
                         updating ? "new pods have been updated" : "updated pods are available"));
    }
    return health_is(HEALTH_HEALTHY, STR(""));
}
