// SPDX-License-Identifier: Apache-2.0
// Services, Ingresses, claims, autoscalers, aggregated APIs and CRDs.
#include "health/health_internal.h"

static struct health by_address(const struct doc_value *live) {
    bool has_address = doc_len(doc_get(live, "status", "loadBalancer", "ingress")) > 0;
    return health_is(has_address ? HEALTH_HEALTHY : HEALTH_PROGRESSING, STR(""));
}

struct health health_service(const struct doc_value *live, struct arena *arena) {
    (void)arena;
    if (!str_eq(doc_get_str(live, "spec", "type"), STR("LoadBalancer"))) {
        return health_is(HEALTH_HEALTHY, STR(""));
    }
    return by_address(live);
}

struct health health_ingress(const struct doc_value *live, struct arena *arena) {
    (void)arena;
    return by_address(live);
}

struct health health_volume_claim(const struct doc_value *live, struct arena *arena) {
    (void)arena;
    struct str phase = doc_get_str(live, "status", "phase");
    enum health_code code = str_eq(phase, STR("Bound"))     ? HEALTH_HEALTHY
                            : str_eq(phase, STR("Pending")) ? HEALTH_PROGRESSING
                            : str_eq(phase, STR("Lost"))    ? HEALTH_DEGRADED
                                                            : HEALTH_UNKNOWN;
    return health_is(code, STR(""));
}

static struct str reason_and_message(const struct doc_value *condition, struct arena *arena) {
    return arena_printf(arena, "%.*s: %.*s", STR_ARG(doc_get_str(condition, "reason")),
                        STR_ARG(doc_get_str(condition, "message")));
}

struct health health_api_service(const struct doc_value *live, struct arena *arena) {
    const struct doc_value *available = health_condition(live, "Available");
    if (!available) {
        return health_is(HEALTH_PROGRESSING, STR("Waiting to be processed"));
    }
    bool ok = str_eq(doc_get_str(available, "status"), STR("True"));
    return health_is(ok ? HEALTH_HEALTHY : HEALTH_PROGRESSING,
                     reason_and_message(available, arena));
}

// autoscaling/v1 has its conditions as JSON in an annotation.
static const struct doc_value *autoscaler_conditions(const struct doc_value *live,
                                                     struct arena *arena) {
    struct str text =
        doc_get_str(live, "metadata", "annotations", "autoscaling.alpha.kubernetes.io/conditions");
    struct doc_value *parsed = ARENA_NEW(arena, struct doc_value);
    struct err err = {0};
    return text.n && doc_parse_json(text, arena, parsed, &err)
               ? parsed
               : doc_get(live, "status", "conditions");
}

struct health health_autoscaler(const struct doc_value *live, struct arena *arena) {
    const struct doc_value *conditions = autoscaler_conditions(live, arena);
    if (doc_len(conditions) == 0) {
        return health_is(HEALTH_PROGRESSING, STR("Waiting to Autoscale"));
    }
    for (DOC_EACH_ITEM(conditions, condition)) {
        struct str type = doc_get_str(condition, "type");
        struct str reason = doc_get_str(condition, "reason");
        bool is_false = str_eq(doc_get_str(condition, "status"), STR("False"));
        bool is_failure =
            (str_eq(type, STR("AbleToScale")) && is_false) ||
            (str_eq(type, STR("ScalingActive")) && is_false &&
             (str_starts(reason, STR("Failed")) || str_starts(reason, STR("Invalid"))));
        if (is_failure) {
            return health_is(HEALTH_DEGRADED, doc_get_str(condition, "message"));
        }
    }
    for (DOC_EACH_ITEM(conditions, healthy)) {
        struct str type = doc_get_str(healthy, "type");
        if ((str_eq(type, STR("AbleToScale")) || str_eq(type, STR("ScalingLimited"))) &&
            str_eq(doc_get_str(healthy, "status"), STR("True"))) {
            return health_is(HEALTH_HEALTHY, doc_get_str(healthy, "message"));
        }
    }
    return health_is(HEALTH_PROGRESSING, STR("Waiting to Autoscale"));
}

struct health health_crd(const struct doc_value *live, struct arena *arena) {
    (void)arena;
    const struct doc_value *names = health_condition(live, "NamesAccepted");
    if (str_eq(doc_get_str(names, "status"), STR("False"))) {
        return health_is(HEALTH_DEGRADED, doc_get_str(names, "message"));
    }
    if (health_condition_is(live, "Established", "True")) {
        return health_is(HEALTH_HEALTHY, STR(""));
    }
    return health_is(HEALTH_PROGRESSING, STR("Waiting to be established"));
}
