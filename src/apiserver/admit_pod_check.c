// SPDX-License-Identifier: Apache-2.0
// Checks of pod specs: what a client may get wrong in a manifest. Rules that only a kubelet could break are left out.
#include "apiserver/admit_internal.h"
#include "base/text.h"

// ---- Containers ----

static struct str under(struct admit *a, struct str path, const char *key) {
    struct str name = str_from(key); // with %s gcc suspects a null at -O3
    return admit_path_of(a, "%.*s.%.*s", STR_ARG(path), STR_ARG(name));
}

static struct str item_path(struct admit *a, struct str path, const char *key, size_t i) {
    return admit_path_of(a, "%.*s.%s[%zu]", STR_ARG(path), key, i);
}

// An earlier item with the same value under `key`.
static bool seen_before(const struct doc_value *list, size_t at, const char *key) {
    const struct doc_value *value = doc_find(doc_at(list, at), str_from(key));
    for (size_t i = 0; value && i < at; i++) {
        if (doc_equal(doc_find(doc_at(list, i), str_from(key)), value)) {
            return true;
        }
    }
    return false;
}

static void check_container_ports(struct admit *a, struct str path, const struct doc_value *ports) {
    for (size_t i = 0; i < doc_len(ports); i++) {
        const struct doc_value *port = doc_at(ports, i), *name = doc_get(port, "name");
        struct str at = item_path(a, path, "ports", i);
        if (doc_str(name).n > 0) {
            admit_check_port_or_name(a, under(a, at, "name"), name);
            if (seen_before(ports, i, "name")) {
                admit_problem_duplicate(a, under(a, at, "name"), name);
            }
        }
        const struct doc_value *number = doc_get(port, "containerPort");
        if (doc_int(number, 0) == 0) {
            admit_problem_required(a, under(a, at, "containerPort"), "");
        } else {
            admit_check_port(a, under(a, at, "containerPort"), number);
        }
        if (doc_int(doc_get(port, "hostPort"), 0) != 0) {
            admit_check_port(a, under(a, at, "hostPort"), doc_get(port, "hostPort"));
        }
        admit_check_choice(a, under(a, at, "protocol"), doc_get(port, "protocol"), "SCTP TCP UDP");
    }
}

static bool is_env_name(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '=') {
            return false;
        }
    }
    return true;
}

// What the downward API can tell of a pod.
static bool is_pod_field(struct str path) {
    static const char *const names[] = {"metadata.name",
                                        "metadata.namespace",
                                        "metadata.uid",
                                        "metadata.labels",
                                        "metadata.annotations",
                                        "spec.nodeName",
                                        "spec.serviceAccountName",
                                        "status.hostIP",
                                        "status.hostIPs",
                                        "status.podIP",
                                        "status.podIPs"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(path, names[i])) {
            return true;
        }
    }
    return str_starts(path, STR("metadata.labels[")) ||
           str_starts(path, STR("metadata.annotations["));
}

static void check_env_source(struct admit *a, struct str at, const struct doc_value *from) {
    static const char *const keyed[] = {"configMapKeyRef", "secretKeyRef"};
    const struct doc_value *field = doc_get(from, "fieldRef");
    if (doc_is(field, DOC_OBJECT)) {
        const struct doc_value *path = doc_get(field, "fieldPath");
        struct str where = admit_path_of(a, "%.*s.fieldRef.fieldPath", STR_ARG(at));
        if (doc_str(path).n == 0) {
            admit_problem_required(a, where, "");
        } else if (!is_pod_field(doc_str(path))) {
            admit_problem_invalid(a, where, path,
                                  "error converting fieldPath: field label not supported: %.*s",
                                  STR_ARG(doc_str(path)));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(keyed); i++) {
        const struct doc_value *ref = doc_find(from, str_from(keyed[i]));
        if (doc_is(ref, DOC_OBJECT) && doc_get_str(ref, "key").n == 0) {
            admit_problem_required(a, admit_path_of(a, "%.*s.%s.key", STR_ARG(at), keyed[i]), "");
        }
    }
}

static void check_env_from(struct admit *a, struct str path, const struct doc_value *list) {
    for (DOC_EACH_ITEM(list, item)) {
        if (!doc_is(doc_get(item, "configMapRef"), DOC_OBJECT) &&
            !doc_is(doc_get(item, "secretRef"), DOC_OBJECT)) {
            admit_problem_invalid(a, under(a, path, "envFrom"), admit_text_value(a, ""),
                                  "must specify one of: `configMapRef` or `secretRef`");
        }
    }
}

static void check_env(struct admit *a, struct str path, const struct doc_value *env) {
    for (size_t i = 0; i < doc_len(env); i++) {
        const struct doc_value *item = doc_at(env, i), *name = doc_get(item, "name");
        struct str at = item_path(a, path, "env", i);
        if (doc_str(name).n == 0) {
            admit_problem_required(a, under(a, at, "name"), "");
        } else if (!is_env_name(doc_str(name))) {
            admit_problem_invalid(
                a, under(a, at, "name"), name,
                "a valid environment variable name must consist only of printable "
                "ASCII characters other than '='");
        }
        const struct doc_value *from = doc_get(item, "valueFrom");
        check_env_source(a, under(a, at, "valueFrom"), from);
        if (doc_is(from, DOC_OBJECT) && doc_str(doc_get(item, "value")).n > 0) {
            admit_problem_invalid(a, under(a, at, "valueFrom"), admit_text_value(a, ""),
                                  "may not be specified when `value` is not empty");
        }
        if (doc_is(from, DOC_OBJECT) && doc_len(from) == 0) {
            admit_problem_invalid(a, under(a, at, "valueFrom"), admit_text_value(a, ""),
                                  "must specify one of: `fieldRef`, `resourceFieldRef`, "
                                  "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
        }
    }
}

static bool has_volume(const struct doc_value *spec, const struct doc_value *name) {
    for (DOC_EACH_ITEM(doc_get(spec, "volumes"), volume)) {
        if (doc_equal(doc_get(volume, "name"), name)) {
            return true;
        }
    }
    return false;
}

static bool is_claim_template(struct admit *a, const struct doc_value *name) {
    for (DOC_EACH_ITEM(a->claim_templates, claim)) {
        if (doc_equal(doc_get(claim, "metadata", "name"), name)) {
            return true;
        }
    }
    return false;
}

static void check_mounts(struct admit *a, struct str path, const struct doc_value *spec,
                         const struct doc_value *mounts) {
    for (size_t i = 0; i < doc_len(mounts); i++) {
        const struct doc_value *mount = doc_at(mounts, i), *name = doc_get(mount, "name");
        struct str at = item_path(a, path, "volumeMounts", i);
        if (doc_str(name).n == 0) {
            admit_problem_required(a, under(a, at, "name"), "");
        } else if (!has_volume(spec, name) && !is_claim_template(a, name)) {
            admit_problem_not_found(a, under(a, at, "name"), name);
        }
        const struct doc_value *where = doc_get(mount, "mountPath");
        if (doc_str(where).n == 0) {
            admit_problem_required(a, under(a, at, "mountPath"), "");
        } else if (seen_before(mounts, i, "mountPath")) {
            admit_problem_invalid(a, under(a, at, "mountPath"), where, "must be unique");
        }
    }
}

static void check_resource_name(struct admit *a, struct str path, struct str name) {
    struct doc_value value = doc_make_str(name);
    if (str_find_char(name, '/') != STR_NPOS) {
        admit_check_label_key(a, path, name);
        return;
    }
    if (str_eq(name, STR("cpu")) || str_eq(name, STR("memory")) ||
        str_eq(name, STR("ephemeral-storage")) || str_starts(name, STR("hugepages-"))) {
        return;
    }
    static const char *const standard[] = {"storage", "pods", "services", "secrets", "configmaps"};
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(standard); i++) {
        known = known || str_eq_c(name, standard[i]);
    }
    if (!known) {
        admit_problem_invalid(a, path, &value,
                              "must be a standard resource type or fully qualified");
    }
    admit_problem_invalid(a, path, &value, "must be a standard resource for containers");
}

static void check_resources(struct admit *a, struct str path, const struct doc_value *resources) {
    const struct doc_value *limits = doc_get(resources, "limits");
    const struct doc_value *requests = doc_get(resources, "requests");
    for (DOC_EACH_MEMBER(limits, i)) {
        struct str key = doc_key_at(limits, i);
        check_resource_name(a, admit_path_of(a, "%.*s.limits[%.*s]", STR_ARG(path), STR_ARG(key)),
                            key);
        admit_check_quantity(a, admit_path_of(a, "%.*s.limits[%.*s]", STR_ARG(path), STR_ARG(key)),
                             doc_value_at(limits, i));
    }
    for (DOC_EACH_MEMBER(requests, i)) {
        struct str key = doc_key_at(requests, i);
        const struct doc_value *request = doc_value_at(requests, i);
        const struct doc_value *limit = doc_find(limits, key);
        check_resource_name(a, admit_path_of(a, "%.*s.requests[%.*s]", STR_ARG(path), STR_ARG(key)),
                            key);
        admit_check_quantity(
            a, admit_path_of(a, "%.*s.requests[%.*s]", STR_ARG(path), STR_ARG(key)), request);
        int order;
        if (limit && quantity_compare(doc_str(request), doc_str(limit), &order) && order > 0) {
            admit_problem_invalid(a, under(a, path, "requests"), request,
                                  "must be less than or equal to %.*s limit of %.*s", STR_ARG(key),
                                  STR_ARG(doc_str(limit)));
        }
    }
}

static void check_probe(struct admit *a, struct str path, const struct doc_value *probe) {
    static const char *const numbers[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
                                          "successThreshold", "failureThreshold"};
    static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc"};
    struct doc_value zero = doc_make_int(0);
    size_t count = 0;
    if (!doc_is(probe, DOC_OBJECT)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        const struct doc_value *handler = doc_find(probe, str_from(handlers[i]));
        if (doc_is(handler, DOC_OBJECT)) {
            struct str at = under(a, path, handlers[i]);
            if (++count > 1) {
                admit_problem_forbidden(a, at, "may not specify more than 1 handler type");
            } else if (i == 0) {
                if (doc_len(doc_get(handler, "command")) == 0) {
                    admit_problem_required(a, under(a, at, "command"), "");
                }
            } else if (doc_get(handler, "port")) {
                admit_check_port_or_name(a, under(a, at, "port"), doc_get(handler, "port"));
            } else {
                admit_problem_invalid(a, under(a, at, "port"), &zero,
                                      "must be between 1 and 65535, inclusive");
            }
        }
    }
    if (count == 0) {
        admit_problem_required(a, path, "must specify a handler type");
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        admit_check_not_negative(a, under(a, path, numbers[i]),
                                 doc_find(probe, str_from(numbers[i])));
    }
    const struct doc_value *successes = doc_get(probe, "successThreshold");
    if (!str_ends(path, STR("readinessProbe")) && doc_int(successes, 1) > 1) {
        admit_problem_invalid(a, under(a, path, "successThreshold"), successes, "must be 1");
    }
}

static void check_container(struct admit *a, struct str path, const struct doc_value *spec,
                            const struct doc_value *container) {
    static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    struct str image = doc_get_str(container, "image");
    if (image.n == 0) {
        admit_problem_required(a, under(a, path, "image"), "");
    } else if (str_trim(image).n != image.n) {
        admit_problem_invalid(a, under(a, path, "image"), doc_get(container, "image"),
                              "must not have leading or trailing whitespace");
    }
    admit_check_choice(a, under(a, path, "terminationMessagePolicy"),
                       doc_get(container, "terminationMessagePolicy"),
                       "File FallbackToLogsOnError");
    check_container_ports(a, path, doc_get(container, "ports"));
    check_env(a, path, doc_get(container, "env"));
    check_env_from(a, path, doc_get(container, "envFrom"));
    check_mounts(a, path, spec, doc_get(container, "volumeMounts"));
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        check_probe(a, under(a, path, probes[i]), doc_find(container, str_from(probes[i])));
    }
    admit_check_choice(a, under(a, path, "imagePullPolicy"), doc_get(container, "imagePullPolicy"),
                       "Always IfNotPresent Never");
    check_resources(a, under(a, path, "resources"), doc_get(container, "resources"));
}

static bool other_container_has(const struct doc_value *spec, const struct doc_value *name) {
    for (DOC_EACH_ITEM(doc_get(spec, "containers"), item)) {
        if (doc_equal(doc_get(item, "name"), name)) {
            return true;
        }
    }
    return false;
}

static void check_containers(struct admit *a, struct str path, const char *key,
                             const struct doc_value *spec) {
    const struct doc_value *list = doc_find(spec, str_from(key));
    bool init = str_eq_c(STR("initContainers"), key);
    for (size_t i = 0; i < doc_len(list); i++) {
        const struct doc_value *name = doc_get(doc_at(list, i), "name");
        struct str at = item_path(a, path, key, i);
        if (doc_str(name).n == 0) {
            admit_problem_required(a, under(a, at, "name"), "");
        } else {
            admit_check_dns_label(a, under(a, at, "name"), name);
            if (seen_before(list, i, "name") || (init && other_container_has(spec, name))) {
                admit_problem_duplicate(a, under(a, at, "name"), name);
            }
        }
        check_container(a, at, spec, doc_at(list, i));
    }
}

// ---- The pod ----

static void check_volume(struct admit *a, struct str at, const struct doc_value *volume,
                         const struct doc_array *names) {
    const struct doc_value *name = doc_get(volume, "name");
    if (doc_str(name).n == 0) {
        admit_problem_required(a, under(a, at, "name"), "");
    } else {
        admit_check_dns_label(a, under(a, at, "name"), name);
    }
    for (uint32_t i = 0; i < names->len; i++) {
        if (doc_equal(&names->items[i], name)) {
            admit_problem_duplicate(a, under(a, at, "name"), name);
            break;
        }
    }
    static const char *const named[][2] = {{"configMap", "name"},
                                           {"secret", "secretName"},
                                           {"persistentVolumeClaim", "claimName"},
                                           {"hostPath", "path"}};
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        const struct doc_value *source = doc_find(volume, str_from(named[i][0]));
        if (doc_is(source, DOC_OBJECT) && doc_str(doc_find(source, str_from(named[i][1]))).n == 0) {
            admit_problem_required(
                a, admit_path_of(a, "%.*s.%s.%s", STR_ARG(at), named[i][0], named[i][1]), "");
        }
    }
    size_t sources = 0;
    for (DOC_EACH_MEMBER(volume, k)) {
        struct str source = doc_key_at(volume, k);
        if (!str_eq(source, STR("name")) && ++sources > 1) {
            admit_problem_forbidden(a, admit_path_of(a, "%.*s.%.*s", STR_ARG(at), STR_ARG(source)),
                                    "may not specify more than 1 volume type");
        }
    }
}

// The name of a volume with problems is not held against a later one.
static void check_volumes(struct admit *a, struct str path, const struct doc_value *volumes) {
    struct doc_array names = doc_array_start(a->arena);
    for (size_t i = 0; i < doc_len(volumes); i++) {
        size_t before = a->problem_count;
        check_volume(a, item_path(a, path, "volumes", i), doc_at(volumes, i), &names);
        const struct doc_value *name = doc_get(doc_at(volumes, i), "name");
        if (a->problem_count == before && name) {
            doc_array_add(&names, *name);
        }
    }
}

void admit_pod_spec_check(struct admit *a, struct str path, const struct doc_value *spec) {
    check_volumes(a, path, doc_get(spec, "volumes"));
    if (doc_len(doc_get(spec, "containers")) == 0) {
        admit_problem_required(a, under(a, path, "containers"), "");
    }
    check_containers(a, path, "initContainers", spec);
    check_containers(a, path, "containers", spec);
    admit_check_choice(a, under(a, path, "restartPolicy"), doc_get(spec, "restartPolicy"),
                       "Always OnFailure Never");
    admit_check_choice(a, under(a, path, "dnsPolicy"), doc_get(spec, "dnsPolicy"),
                       "ClusterFirstWithHostNet ClusterFirst Default None");
    admit_check_labels(a, under(a, path, "nodeSelector"), doc_get(spec, "nodeSelector"));
    const struct doc_value *account = doc_get(spec, "serviceAccountName");
    if (doc_str(account).n > 0) {
        admit_check_dns_subdomain(a, under(a, path, "serviceAccountName"), account);
    }
    admit_pod_place_check(a, path, spec);
    const struct doc_value *node = doc_get(spec, "nodeName");
    if (doc_str(node).n > 0) {
        admit_check_dns_subdomain(a, under(a, path, "nodeName"), node);
    }
}

void admit_pod_check(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    admit_pod_spec_check(a, STR("spec"), spec);
}

// A pod's spec without what may change while it lives.
static struct doc_value fixed_part(struct admit *a, const struct doc_value *spec) {
    static const char *const lists[] = {"initContainers", "containers"};
    static const char *const free_fields[] = {
        "activeDeadlineSeconds", "terminationGracePeriodSeconds",
        "tolerations",           "schedulingGates",
        "nodeSelector",          "affinity"};
    struct doc_object out = doc_object_copy(a->arena, spec);
    for (size_t i = 0; i < ARRAY_LEN(free_fields); i++) {
        doc_object_remove(&out, str_from(free_fields[i]));
    }
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct doc_value *list = doc_find(spec, str_from(lists[l]));
        struct doc_array items = doc_array_start(a->arena);
        for (DOC_EACH_ITEM(list, item)) {
            struct doc_value container = *item;
            admit_remove_member(a->arena, &container, "image");
            admit_remove_member(a->arena, &container, "imagePullPolicy");
            doc_array_add(&items, container);
        }
        if (list) {
            doc_object_set_c(&out, lists[l], doc_array_done(&items));
        }
    }
    return doc_object_done(&out);
}

void admit_pod_update(struct admit *a, const struct doc_value *object,
                      const struct doc_value *old) {
    const struct doc_value *spec = doc_get(object, "spec"), *before = doc_get(old, "spec");
    if (!doc_is(spec, DOC_OBJECT) || !doc_is(before, DOC_OBJECT) || doc_equal(spec, before)) {
        return;
    }
    if (doc_len(doc_get(spec, "containers")) != doc_len(doc_get(before, "containers"))) {
        admit_problem_forbidden(a, STR("spec.containers"),
                                "pod updates may not add or remove containers");
        return;
    }
    struct doc_value now = fixed_part(a, spec), then = fixed_part(a, before);
    // Who binds a pod to a node writes nodeName once.
    if (doc_get_str(before, "nodeName").n == 0) {
        admit_remove_member(a->arena, &now, "nodeName");
    }
    if (!doc_equal(&now, &then)) {
        admit_problem_forbidden(
            a, STR("spec"),
            "pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it "
            "to be set to 1 if it was previously negative)");
    }
}
