// SPDX-License-Identifier: Apache-2.0
// Defaults of pod specs, wherever they stand: pods themselves and the templates of everything that makes pods.
#include "apiserver/admit_internal.h"
#include "base/map.h"

enum { FILE_MODE = 0644 };

// ---- Containers ----

// The tag is what follows the last colon behind the last slash; a digest without a tag counts as pinned.
static bool is_latest(struct str image) {
    size_t slash = str_rfind_char(image, '/');
    struct str name = slash == STR_NPOS ? image : str_skip(image, slash + 1), tag, digest;
    bool pinned = str_cut(name, '@', &name, &digest);
    if (!str_cut(name, ':', &name, &tag)) {
        return !pinned;
    }
    return str_eq(tag, STR("latest"));
}

static void positive_default(struct arena *arena, struct doc_value *object, const char *key,
                             int64_t value) {
    if (doc_int(doc_find(object, str_from(key)), 0) == 0) {
        admit_set_member(arena, object, key, doc_make_int(value));
    }
}

static void fill_http_get(struct arena *arena, struct doc_value *get) {
    admit_default_str(arena, get, "path", "/");
    admit_default_str(arena, get, "scheme", "HTTP");
}

static void fill_grpc(struct arena *arena, struct doc_value *grpc) {
    admit_default_str(arena, grpc, "service", "");
}

static void fill_probe(struct arena *arena, struct doc_value *probe) {
    admit_default_in(arena, probe, "httpGet", fill_http_get);
    admit_default_in(arena, probe, "grpc", fill_grpc);
    positive_default(arena, probe, "timeoutSeconds", 1);
    positive_default(arena, probe, "periodSeconds", 10);
    positive_default(arena, probe, "successThreshold", 1);
    positive_default(arena, probe, "failureThreshold", 3);
}

static void fill_hook(struct arena *arena, struct doc_value *hook) {
    admit_default_in(arena, hook, "httpGet", fill_http_get);
}

static void fill_lifecycle(struct arena *arena, struct doc_value *lifecycle) {
    admit_default_in(arena, lifecycle, "postStart", fill_hook);
    admit_default_in(arena, lifecycle, "preStop", fill_hook);
}

static void fill_field_ref(struct arena *arena, struct doc_value *ref) {
    admit_default_str(arena, ref, "apiVersion", "v1");
}

static void fill_resource_ref(struct arena *arena, struct doc_value *ref) {
    admit_default_str(arena, ref, "divisor", "0");
}

static void fill_value_from(struct arena *arena, struct doc_value *from) {
    admit_default_in(arena, from, "fieldRef", fill_field_ref);
    admit_default_in(arena, from, "resourceFieldRef", fill_resource_ref);
}

static void fill_env(struct arena *arena, struct doc_value *env) {
    admit_default_in(arena, env, "valueFrom", fill_value_from);
}

static void fill_port(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "protocol", "TCP");
}

static void fill_container(struct arena *arena, struct doc_value *container) {
    admit_default_each(arena, container, "ports", fill_port);
    admit_default_each(arena, container, "env", fill_env);
    admit_default_object(arena, container, "resources");
    admit_default_in(arena, container, "livenessProbe", fill_probe);
    admit_default_in(arena, container, "readinessProbe", fill_probe);
    admit_default_in(arena, container, "startupProbe", fill_probe);
    admit_default_in(arena, container, "lifecycle", fill_lifecycle);
    admit_default_str(arena, container, "terminationMessagePath", "/dev/termination-log");
    admit_default_str(arena, container, "terminationMessagePolicy", "File");
    admit_default_str(arena, container, "imagePullPolicy",
                      is_latest(doc_get_str(container, "image")) ? "Always" : "IfNotPresent");
}

// ---- Volumes ----

static void fill_mode(struct arena *arena, struct doc_value *source) {
    admit_default_int(arena, source, "defaultMode", FILE_MODE);
}

static void fill_downward_item(struct arena *arena, struct doc_value *item) {
    fill_value_from(arena, item);
}

static void fill_downward(struct arena *arena, struct doc_value *source) {
    admit_default_each(arena, source, "items", fill_downward_item);
    fill_mode(arena, source);
}

static void fill_downward_projection(struct arena *arena, struct doc_value *source) {
    admit_default_each(arena, source, "items", fill_downward_item);
}

static void fill_token(struct arena *arena, struct doc_value *token) {
    admit_default_int(arena, token, "expirationSeconds", 3600);
}

static void fill_projection(struct arena *arena, struct doc_value *source) {
    admit_default_in(arena, source, "serviceAccountToken", fill_token);
    admit_default_in(arena, source, "downwardAPI", fill_downward_projection);
}

static void fill_projected(struct arena *arena, struct doc_value *source) {
    admit_default_each(arena, source, "sources", fill_projection);
    fill_mode(arena, source);
}

static void fill_host_path(struct arena *arena, struct doc_value *source) {
    admit_default_str(arena, source, "type", "");
}

static void fill_iscsi(struct arena *arena, struct doc_value *source) {
    admit_default_str(arena, source, "iscsiInterface", "default");
}

static void fill_claim_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "volumeMode", "Filesystem");
}

static void fill_claim(struct arena *arena, struct doc_value *claim) {
    admit_default_object(arena, claim, "metadata");
    admit_default_in(arena, claim, "spec", fill_claim_spec);
}

static void fill_ephemeral(struct arena *arena, struct doc_value *source) {
    admit_default_in(arena, source, "volumeClaimTemplate", fill_claim);
}

static void fill_volume(struct arena *arena, struct doc_value *volume) {
    static const struct {
        const char *source;
        default_change *change;
    } sources[] = {
        {"configMap", fill_mode},      {"secret", fill_mode},        {"downwardAPI", fill_downward},
        {"projected", fill_projected}, {"hostPath", fill_host_path}, {"iscsi", fill_iscsi},
        {"ephemeral", fill_ephemeral},
    };
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        admit_default_in(arena, volume, sources[i].source, sources[i].change);
    }
    if (doc_len(volume) == 1 && doc_find(volume, STR("name"))) { // no source at all
        admit_default_object(arena, volume, "emptyDir");
    }
}

// ---- The pod ----

void admit_pod_spec_fill(struct arena *arena, struct doc_value *spec) {
    admit_default_each(arena, spec, "volumes", fill_volume);
    admit_default_each(arena, spec, "initContainers", fill_container);
    admit_default_each(arena, spec, "containers", fill_container);
    admit_default_each(arena, spec, "ephemeralContainers", fill_container);
    admit_default_str(arena, spec, "restartPolicy", "Always");
    admit_default_int(arena, spec, "terminationGracePeriodSeconds", 30);
    admit_default_str(arena, spec, "dnsPolicy", "ClusterFirst");
    admit_default_object(arena, spec, "securityContext");
    admit_default_str(arena, spec, "schedulerName", "default-scheduler");
    struct str account = doc_get_str(spec, "serviceAccountName");
    struct str old_name = doc_get_str(spec, "serviceAccount"); // the field's name of long ago
    if (account.n > 0) {
        admit_set_member(arena, spec, "serviceAccount", doc_make_str(account));
    } else if (old_name.n > 0) {
        admit_set_member(arena, spec, "serviceAccountName", doc_make_str(old_name));
    }
}

// Requests not given equal the limits (pods only; templates keep what they say).
static void fill_requests(struct arena *arena, struct doc_value *container) {
    const struct doc_value *limits = doc_get(container, "resources", "limits");
    if (doc_len(limits) == 0) {
        return;
    }
    const struct doc_value *now = doc_get(container, "resources", "requests");
    struct doc_object requests =
        doc_is(now, DOC_OBJECT) ? doc_object_copy(arena, now) : doc_object_start(arena);
    for (DOC_EACH_MEMBER(limits, i)) {
        if (!doc_find(now, doc_key_at(limits, i))) {
            doc_object_set(&requests, doc_key_at(limits, i), *doc_value_at(limits, i));
        }
    }
    struct doc_value value = doc_object_done(&requests);
    *container = doc_with(arena, container, value, "resources", "requests");
}

static void fill_host_port(struct arena *arena, struct doc_value *port) {
    const struct doc_value *number = doc_get(port, "containerPort");
    if (doc_int(doc_get(port, "hostPort"), 0) == 0 && number) {
        admit_set_member(arena, port, "hostPort", *number);
    }
}

static void fill_host_ports(struct arena *arena, struct doc_value *container) {
    admit_default_each(arena, container, "ports", fill_host_port);
}

static bool tolerates(const struct doc_value *tolerations, struct str key) {
    for (DOC_EACH_ITEM(tolerations, item)) {
        struct str effect = doc_get_str(item, "effect"), have = doc_get_str(item, "key");
        if ((have.n == 0 || str_eq(have, key)) &&
            (effect.n == 0 || str_eq(effect, STR("NoExecute")))) {
            return true;
        }
    }
    return false;
}

static void fill_tolerations(struct arena *arena, struct doc_value *spec) {
    static const char *const keys[] = {"node.kubernetes.io/not-ready",
                                       "node.kubernetes.io/unreachable"};
    const struct doc_value *now = doc_get(spec, "tolerations");
    struct doc_array list = doc_array_start(arena);
    for (DOC_EACH_ITEM(now, item)) {
        doc_array_add(&list, *item);
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (tolerates(now, str_from(keys[i]))) {
            continue;
        }
        struct doc_object toleration = doc_object_start(arena);
        doc_object_set_c(&toleration, "key", doc_make_str(str_from(keys[i])));
        doc_object_set_c(&toleration, "operator", DOC_S("Exists"));
        doc_object_set_c(&toleration, "effect", DOC_S("NoExecute"));
        doc_object_set_c(&toleration, "tolerationSeconds", doc_make_int(300));
        doc_array_add(&list, doc_object_done(&toleration));
    }
    if (list.len > 0) {
        admit_set_member(arena, spec, "tolerations", doc_array_done(&list));
    }
}

// BestEffort without any request or limit; Guaranteed when every container has equal ones for both; else Burstable.
static const char *qos_class(const struct doc_value *spec) {
    static const char *const lists[] = {"initContainers", "containers"};
    static const char *const resources[] = {"cpu", "memory"};
    bool any = false, equal = true;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        for (DOC_EACH_ITEM(doc_find(spec, str_from(lists[l])), container)) {
            for (size_t r = 0; r < ARRAY_LEN(resources); r++) {
                const struct doc_value *limit =
                    doc_get(container, "resources", "limits", resources[r]);
                const struct doc_value *request =
                    doc_get(container, "resources", "requests", resources[r]);
                any = any || limit || request;
                equal = equal && limit && request && doc_equal(limit, request);
            }
        }
    }
    return !any ? "BestEffort" : equal ? "Guaranteed" : "Burstable";
}

void admit_pod_fill(struct admit *a, struct doc_value *object) {
    struct arena *arena = a->arena;
    const struct doc_value *now = doc_get(object, "spec");
    if (!doc_is(now, DOC_OBJECT)) {
        return;
    }
    struct doc_value spec = *now;
    admit_pod_spec_fill(arena, &spec);
    admit_default_each(arena, &spec, "initContainers", fill_requests);
    admit_default_each(arena, &spec, "containers", fill_requests);
    admit_default_bool(arena, &spec, "enableServiceLinks", true);
    if (doc_bool(doc_get(&spec, "hostNetwork"), false)) {
        admit_default_each(arena, &spec, "initContainers", fill_host_ports);
        admit_default_each(arena, &spec, "containers", fill_host_ports);
    }
    if (!a->old) {
        fill_tolerations(arena, &spec);
        admit_default_int(arena, &spec, "priority", 0);
        admit_default_str(arena, &spec, "preemptionPolicy", "PreemptLowerPriority");
        *object = doc_with(arena, object, DOC_S("Pending"), "status", "phase");
        *object =
            doc_with(arena, object, doc_make_str(str_from(qos_class(&spec))), "status", "qosClass");
    }
    admit_set_member(arena, object, "spec", spec);
}

// The template at spec.template (or `template` of a PodTemplate).
void admit_template_fill(struct arena *arena, struct doc_value *template) {
    admit_default_object(arena, template, "metadata");
    admit_default_in(arena, template, "spec", admit_pod_spec_fill);
}

// ---- Warnings ----

static void warn_labels(struct admit *a, const char *at, const struct doc_value *selector) {
    static const char *const old[][3] = {
        {"beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"},
        {"beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"},
        {"failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"},
        {"failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"},
        {"beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        if (doc_find(selector, str_from(old[i][0]))) {
            admit_warn(a, arena_printf(a->arena,
                                       "%sspec.nodeSelector[%s]: deprecated since %s; use \"%s\" "
                                       "instead",
                                       at, old[i][0], old[i][1], old[i][2]));
        }
    }
}

static void warn_annotations(struct admit *a, const char *at, const struct doc_value *notes) {
    static const char *const dead[][3] = {
        {"seccomp.security.alpha.kubernetes.io/pod", "v1.27+", "seccompProfile"},
        {"scheduler.alpha.kubernetes.io/critical-pod", "v1.16+", "priorityClassName"},
    };
    for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
        if (doc_find(notes, str_from(dead[i][0]))) {
            admit_warn(a, arena_printf(a->arena,
                                       "%smetadata.annotations[%s]: non-functional in %s; use the "
                                       "\"%s\" field instead",
                                       at, dead[i][0], dead[i][1], dead[i][2]));
        }
    }
}

static void warn_env(struct admit *a, const char *at, const char *list, size_t index,
                     const struct doc_value *env) {
    AUTO(map_destroy) struct map *seen = map_create();
    size_t i = 0;
    for (DOC_EACH_ITEM(env, item)) {
        struct str name = doc_get_str(item, "name");
        if (name.n && map_put(seen, name, a)) {
            admit_warn(a, arena_printf(a->arena,
                                       "%sspec.%s[%zu].env[%zu]: hides previous definition of "
                                       "\"%.*s\", which may be dropped when using apply",
                                       at, list, index, i, STR_ARG(name)));
        }
        i++;
    }
}

void admit_pod_warn(struct admit *a, const char *at, const struct doc_value *pod) {
    static const char *const lists[] = {"initContainers", "containers"};
    const struct doc_value *spec = doc_get(pod, "spec");
    warn_labels(a, at, doc_get(spec, "nodeSelector"));
    warn_annotations(a, at, doc_get(pod, "metadata", "annotations"));
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct doc_value *containers = doc_find(spec, str_from(lists[l]));
        for (size_t i = 0; i < doc_len(containers); i++) {
            warn_env(a, at, lists[l], i, doc_get(doc_at(containers, i), "env"));
        }
    }
}
