// SPDX-License-Identifier: Apache-2.0
// What field selectors may name: the name and namespace of anything, and a short list for some kinds, as Kubernetes
// has it. Custom kinds bring their own list (selectableFields).
#include "apiserver/kinds_internal.h"

struct field_rule {
    const char *group, *kind;
    const char *fields; // separated by spaces; "name=path" where the path differs
};

static const struct field_rule rules[] = {
    {"", "Pod",
     "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName "
     "spec.hostNetwork status.phase status.podIP status.podIPs status.nominatedNodeName"},
    {"", "Event",
     "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid "
     "involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath reason "
     "reportingComponent source type"},
    {"events.k8s.io", "Event",
     "regarding.kind regarding.namespace regarding.name regarding.uid regarding.apiVersion "
     "regarding.resourceVersion regarding.fieldPath reason reportingController type"},
    {"", "Secret", "type"},
    {"", "Namespace", "status.phase"},
    {"", "Node", "spec.unschedulable"},
    {"", "ReplicationController", "status.replicas"},
    {"", "Service", "spec.clusterIP spec.type"},
    {"apps", "ReplicaSet", "status.replicas"},
    {"batch", "Job", "status.successful"},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.signerName"},
};

static struct str value_text(const struct doc_value *value, struct arena *arena) {
    switch (doc_kind(value)) {
    case DOC_STRING:
        return doc_str(value);
    case DOC_INT:
    case DOC_NUMBER:
        return doc_number_text(value, arena);
    case DOC_BOOL:
        return doc_bool(value, false) ? STR("true") : STR("false");
    default:
        return STR("");
    }
}

static const struct doc_value *at_path(const struct doc_value *value, struct str path) {
    struct str part;
    while (value && str_next(&path, '.', &part)) {
        value = doc_find(value, part);
    }
    return value;
}

static bool is_listed(const char *fields, struct str field) {
    struct str rest = str_from(fields), name;
    while (str_next(&rest, ' ', &name)) {
        if (str_eq(name, field)) {
            return true;
        }
    }
    return false;
}

// Fields whose name is not the path of a value, or that have a value when unset.
static bool special_value(const struct api_kind *kind, const struct doc_value *object,
                          struct str field, struct arena *arena, struct str *value) {
    bool bool_field =
        str_eq(field, STR("spec.hostNetwork")) || str_eq(field, STR("spec.unschedulable"));
    if (str_eq(field, STR("source"))) {
        *value = doc_get_str(object, "source", "component");
        if (value->n == 0) {
            *value = doc_get_str(object, "reportingComponent");
        }
        return true;
    }
    if (str_eq(field, STR("status.successful"))) {
        *value = value_text(doc_get(object, "status", "succeeded"), arena);
        *value = value->n ? *value : STR("0");
        return true;
    }
    if (str_eq(field, STR("status.podIPs"))) {
        *value = doc_get_str(object, "status", "podIP");
        return true;
    }
    if (bool_field || str_eq(field, STR("status.replicas"))) {
        *value = value_text(at_path(object, field), arena);
        *value = value->n ? *value : bool_field ? STR("false") : STR("0");
        return true;
    }
    return false;
}

// Events are stored with the names of the core group, whichever one a client asks.
static struct str stored_path(const struct doc_value *object, struct str field,
                              struct arena *arena) {
    if (str_starts(field, STR("regarding.")) && !doc_get(object, "regarding")) {
        return arena_concat(arena, STR("involvedObject."), str_skip(field, strlen("regarding.")));
    }
    if (str_eq(field, STR("reportingController")) && !doc_get(object, "reportingController")) {
        return STR("reportingComponent");
    }
    return field;
}

bool api_field_value(const struct api_kind *kind, const struct doc_value *object, struct str field,
                     struct arena *arena, struct str *value) {
    bool known = str_eq(field, STR("metadata.name")) ||
                 (str_eq(field, STR("metadata.namespace")) && kind->namespaced);
    for (size_t i = 0; !known && i < kind->selectable_count; i++) {
        known = str_eq(kind->selectable[i], field);
    }
    if (known) {
        *value = value_text(at_path(object, field), arena);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(rules) && !kind->custom; i++) {
        if (str_eq_c(kind->group, rules[i].group) && str_eq_c(kind->kind, rules[i].kind) &&
            is_listed(rules[i].fields, field)) {
            if (!special_value(kind, object, field, arena, value)) {
                struct str path = stored_path(object, field, arena);
                *value = value_text(at_path(object, path), arena);
            }
            return true;
        }
    }
    return false;
}
