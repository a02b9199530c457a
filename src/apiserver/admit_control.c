// SPDX-License-Identifier: Apache-2.0
// Admission of the kinds by which an API server itself is run: aggregated APIs, priority and fairness, signing requests,
// ranges of addresses.
#include "apiserver/admit_internal.h"

// ---- What a real server's own controllers add ----

// One condition as it is from the start on; nothing here changes it later.
static struct doc_value settled(struct admit *a, const struct doc_value *object, const char *type,
                                const char *status, const char *reason, struct str message) {
    struct doc_object condition = doc_object_start(a->arena);
    const struct doc_value *since = doc_get(object, "metadata", "creationTimestamp");
    doc_object_set_c(&condition, "type", doc_make_str(str_from(type)));
    doc_object_set_c(&condition, "status", doc_make_str(str_from(status)));
    doc_object_set_c(&condition, "lastTransitionTime", since ? *since : doc_null());
    doc_object_set_c(&condition, "reason", doc_make_str(str_from(reason)));
    doc_object_set_c(&condition, "message", doc_make_str(message));
    struct doc_array list = doc_array_start(a->arena);
    doc_array_add(&list, doc_object_done(&condition));
    return doc_array_done(&list);
}

static void fill_service_port(struct arena *arena, struct doc_value *service) {
    admit_default_int(arena, service, "port", 443);
}

static void fill_service_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "service", fill_service_port);
}

static void fill_api_service(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_service_spec);
    admit_default_object(a->arena, object, "status");
    if (!a->old && doc_is_null(doc_get(object, "spec", "service"))) {
        struct doc_value conditions = settled(a, object, "Available", "True", "Local",
                                              STR("Local APIServices are always available"));
        *object = doc_with(a->arena, object, conditions, "status", "conditions");
    }
}

static void fill_flow_schema(struct admit *a, struct doc_value *object) {
    if (doc_is_null(doc_get(object, "spec", "matchingPrecedence"))) {
        *object = doc_with(a->arena, object, doc_make_int(1000), "spec", "matchingPrecedence");
    }
    if (!a->old) {
        struct str level = doc_get_str(object, "spec", "priorityLevelConfiguration", "name");
        struct doc_value conditions =
            settled(a, object, "Dangling", "False", "Found",
                    admit_path_of(a,
                                  "This FlowSchema references the PriorityLevelConfiguration "
                                  "object named \"%.*s\" and it exists",
                                  STR_ARG(level)));
        *object = doc_with(a->arena, object, conditions, "status", "conditions");
    }
}

static void fill_service_range(struct admit *a, struct doc_value *object) {
    if (!a->old) {
        struct doc_value conditions =
            settled(a, object, "Ready", "True", "", STR("Kubernetes Service CIDR is ready"));
        *object = doc_with(a->arena, object, conditions, "status", "conditions");
    }
}

const struct admit_rule admit_control[] = {
    {"apiregistration.k8s.io", "APIService", fill_api_service, NULL, NULL},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", fill_flow_schema, NULL, NULL},
    {"networking.k8s.io", "ServiceCIDR", fill_service_range, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
