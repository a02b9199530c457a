// SPDX-License-Identifier: Apache-2.0
// Admission of the kinds by which an API server itself is run: aggregated APIs, priority and fairness, signing requests,
// ranges of addresses.
#include "apiserver/admit_internal.h"
#include "base/text.h"

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
    if (doc_is(doc_get(object, "spec"), DOC_OBJECT) &&
        doc_int(doc_get(object, "spec", "matchingPrecedence"), 0) == 0) {
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

static void check_flow_schema(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *rules = doc_get(spec, "rules");
    const struct doc_value *precedence = doc_get(spec, "matchingPrecedence");
    if (doc_int(precedence, 1) < 1 || doc_int(precedence, 1) > 10000) {
        admit_problem_invalid(a, STR("spec.matchingPrecedence"), precedence,
                              "must be a value between 1 and 10000, inclusive");
    }
    if (doc_get_str(spec, "priorityLevelConfiguration", "name").n == 0) {
        admit_problem_required(a, STR("spec.priorityLevelConfiguration.name"),
                               "must reference a priority level");
    }
    for (size_t i = 0; i < doc_len(rules); i++) {
        const struct doc_value *rule = doc_at(rules, i);
        if (doc_len(doc_get(rule, "subjects")) == 0) {
            admit_problem_required(a, admit_path_of(a, "spec.rules[%zu].subjects", i),
                                   "subjects must contain at least one value");
        }
        if (doc_len(doc_get(rule, "resourceRules")) == 0 &&
            doc_len(doc_get(rule, "nonResourceRules")) == 0) {
            admit_problem_required(
                a, admit_path_of(a, "spec.rules[%zu]", i),
                "at least one of resourceRules and nonResourceRules has to be non-empty");
        }
    }
}

static void fill_queuing(struct arena *arena, struct doc_value *queuing) {
    admit_default_int(arena, queuing, "queues", 64);
    admit_default_int(arena, queuing, "handSize", 8);
    admit_default_int(arena, queuing, "queueLengthLimit", 50);
}

static void fill_limit_response(struct arena *arena, struct doc_value *response) {
    admit_default_in(arena, response, "queuing", fill_queuing);
}

static void fill_limited(struct arena *arena, struct doc_value *limited) {
    admit_default_int(arena, limited, "nominalConcurrencyShares", 30);
    admit_default_int(arena, limited, "lendablePercent", 0);
    admit_default_in(arena, limited, "limitResponse", fill_limit_response);
}

static void fill_exempt(struct arena *arena, struct doc_value *exempt) {
    admit_default_int(arena, exempt, "nominalConcurrencyShares", 0);
    admit_default_int(arena, exempt, "lendablePercent", 0);
}

static void fill_level_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "limited", fill_limited);
    admit_default_in(arena, spec, "exempt", fill_exempt);
}

static void fill_level(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_level_spec);
    admit_default_object(a->arena, object, "status");
}

static void check_level(struct admit *a, const struct doc_value *object) {
    const struct doc_value *type = doc_get(object, "spec", "type");
    admit_check_choice(a, STR("spec.type"), type ? type : admit_text_value(a, ""),
                       "Exempt Limited");
}

// ---- Signing requests ----

static bool is_request_pem(struct str text) {
    return str_has(text, STR("-----BEGIN CERTIFICATE REQUEST-----")) ||
           str_has(text, STR("-----BEGIN NEW CERTIFICATE REQUEST-----"));
}

static void check_signing(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *request = doc_get(spec, "request");
    const struct doc_value *signer = doc_get(spec, "signerName");
    struct str text = {NULL, 0}, domain, path;
    if (!base64_decode(doc_str(request), a->arena, &text) || !is_request_pem(text)) {
        admit_problem_invalid(a, STR("spec.request"), request,
                              "PEM block type must be CERTIFICATE REQUEST");
    }
    if (doc_len(doc_get(spec, "usages")) == 0) {
        admit_problem_required(a, STR("spec.usages"), "");
    }
    if (doc_str(signer).n == 0) {
        admit_problem_required(a, STR("spec.signerName"), "");
    } else if (!str_cut(doc_str(signer), '/', &domain, &path) || !path.n) {
        admit_problem_invalid(
            a, STR("spec.signerName"), signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    }
}

// What was asked for is settled; who approves or signs writes to the status.
static void update_signing(struct admit *a, const struct doc_value *object,
                           const struct doc_value *old) {
    admit_check_immutable(a, STR("spec"), doc_get(object, "spec"), doc_get(old, "spec"));
}

// ---- Aggregated APIs ----

static void check_api_service(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *version = doc_get(spec, "version");
    struct str group = doc_get_str(spec, "group");
    struct doc_value zero = doc_make_int(0);
    struct str name = admit_path_of(a, "%.*s.%.*s", STR_ARG(doc_str(version)), STR_ARG(group));
    if (!str_eq(name, doc_get_str(object, "metadata", "name"))) {
        struct doc_value wanted = doc_make_str(name);
        admit_problem_invalid(a, STR("metadata.name"), doc_get(object, "metadata", "name"),
                              "must be `spec.version+\".\"+spec.group`: %.*s",
                              STR_ARG(doc_to_json(a->arena, &wanted)));
    }
    if (group.n == 0 && !str_eq(doc_str(version), STR("v1"))) {
        admit_problem_required(a, STR("spec.group"),
                               "only v1 may have an empty group and it better be legacy kube");
    }
    if (doc_str(version).n == 0 || !name_is_dns_label(doc_str(version))) {
        admit_problem_invalid(
            a, STR("spec.version"), version ? version : admit_text_value(a, ""),
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character (e.g. "
            "'my-name',  or 'abc-123', regex used for validation is "
            "'[a-z]([-a-z0-9]*[a-z0-9])?')");
    }
    static const struct {
        const char *field;
        int64_t below;
    } numbers[] = {{"groupPriorityMinimum", 20000}, {"versionPriority", 1000}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct doc_value *value = doc_find(spec, str_from(numbers[i].field));
        if (doc_int(value, 0) <= 0 || doc_int(value, 0) >= numbers[i].below) {
            admit_problem_invalid(a, admit_path_of(a, "spec.%s", numbers[i].field),
                                  value ? value : &zero, "must be positive and less than %lld",
                                  (long long)numbers[i].below);
        }
    }
}

// ---- Leases, runtimes, addresses, attachments ----

static void check_lease(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *duration = doc_get(spec, "leaseDurationSeconds");
    if (!doc_is_null(duration) && doc_int(duration, 0) <= 0) {
        admit_problem_invalid(a, STR("spec.leaseDurationSeconds"), duration,
                              "must be greater than 0");
    }
    admit_check_not_negative(a, STR("spec.leaseTransitions"), doc_get(spec, "leaseTransitions"));
}

static void check_runtime(struct admit *a, const struct doc_value *object) {
    const struct doc_value *handler = doc_get(object, "handler");
    const struct doc_value *fixed = doc_get(object, "overhead", "podFixed");
    admit_check_dns_label(a, STR("handler"), handler ? handler : admit_text_value(a, ""));
    for (DOC_EACH_MEMBER(fixed, i)) {
        admit_check_quantity(
            a, admit_path_of(a, "overhead.limits[%.*s]", STR_ARG(doc_key_at(fixed, i))),
            doc_value_at(fixed, i));
    }
    admit_check_labels(a, STR("scheduling.nodeSelector"),
                       doc_get(object, "scheduling", "nodeSelector"));
}

static void update_runtime(struct admit *a, const struct doc_value *object,
                           const struct doc_value *old) {
    admit_check_immutable(a, STR("handler"), doc_get(object, "handler"), doc_get(old, "handler"));
}

static void check_address(struct admit *a, const struct doc_value *object) {
    admit_check_ip(a, STR("metadata.name"), doc_get(object, "metadata", "name"));
    if (!doc_is(doc_get(object, "spec", "parentRef"), DOC_OBJECT)) {
        admit_problem_required(a, STR("spec.parentRef"), "");
    }
}

static void check_service_range(struct admit *a, const struct doc_value *object) {
    const struct doc_value *cidrs = doc_get(object, "spec", "cidrs");
    if (doc_len(cidrs) == 0) {
        admit_problem_required(a, STR("spec.cidrs"), "at least one CIDR required");
    }
    for (size_t i = 0; i < doc_len(cidrs); i++) {
        admit_check_cidr(a, admit_path_of(a, "spec.cidrs[%zu]", i), doc_at(cidrs, i));
    }
}

static void check_attachment(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *source = doc_get(spec, "source");
    const struct doc_value *node = doc_get(spec, "nodeName");
    bool inline_one = doc_is(doc_get(source, "inlineVolumeSpec"), DOC_OBJECT);
    bool named = doc_get_str(source, "persistentVolumeName").n > 0;
    if (doc_get_str(spec, "attacher").n == 0) {
        admit_problem_required(a, STR("spec.attacher"), "");
    }
    if (inline_one == named) {
        admit_problem_required(
            a, STR("spec.source"),
            "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    }
    admit_check_dns_subdomain(a, STR("spec.nodeName"), node ? node : admit_text_value(a, ""));
}

static void fill_device_request(struct arena *arena, struct doc_value *exactly) {
    admit_default_str(arena, exactly, "allocationMode", "ExactCount");
    if (str_eq(doc_get_str(exactly, "allocationMode"), STR("ExactCount"))) {
        admit_default_int(arena, exactly, "count", 1);
    }
}

static void fill_request(struct arena *arena, struct doc_value *request) {
    admit_default_in(arena, request, "exactly", fill_device_request);
}

static void fill_devices(struct arena *arena, struct doc_value *devices) {
    admit_default_each(arena, devices, "requests", fill_request);
}

static void fill_claim_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "devices", fill_devices);
}

static void fill_device_claim(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_claim_spec);
    admit_default_object(a->arena, object, "status");
}

const struct admit_rule admit_control[] = {
    {"apiregistration.k8s.io", "APIService", fill_api_service, check_api_service, NULL},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", fill_flow_schema, check_flow_schema, NULL},
    {"networking.k8s.io", "ServiceCIDR", fill_service_range, check_service_range, NULL},
    {"networking.k8s.io", "IPAddress", NULL, check_address, NULL},
    {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", fill_level, check_level, NULL},
    {"certificates.k8s.io", "CertificateSigningRequest", NULL, check_signing, update_signing},
    {"coordination.k8s.io", "Lease", NULL, check_lease, NULL},
    {"node.k8s.io", "RuntimeClass", NULL, check_runtime, update_runtime},
    {"storage.k8s.io", "VolumeAttachment", NULL, check_attachment, NULL},
    {"resource.k8s.io", "ResourceClaim", fill_device_claim, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
