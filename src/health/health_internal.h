// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_HEALTH_INTERNAL_H
#define SKIFF_HEALTH_INTERNAL_H

#include "health/health.h"

// Assesses one live object of the kind it stands for in the table of health.c.
typedef struct health health_fn(const struct doc_value *live, struct arena *arena);
health_fn health_deployment, health_stateful_set, health_replica_set,
    health_daemon_set;                                                             // workload.c
health_fn health_job, health_pod;                                                  // pod.c
health_fn health_service, health_volume_claim, health_ingress, health_api_service, // other.c
    health_autoscaler, health_crd;

static inline struct health health_is(enum health_code code, struct str message) {
    return (struct health){.has = true, .code = code, .message = message};
}
// The entry of status.conditions with this type, or NULL.
const struct doc_value *health_condition(const struct doc_value *live, const char *type);
bool health_condition_is(const struct doc_value *live, const char *type, const char *status);

#endif
