// SPDX-License-Identifier: Apache-2.0
// Admission of the core kinds without pods or addresses: namespaces, configuration, storage, nodes, events, quotas.
#include "apiserver/admit_internal.h"
#include "base/text.h"

// ---- Namespaces ----

static void fill_namespace(struct admit *a, struct doc_value *object) {
    struct doc_value name = doc_make_str(doc_get_str(object, "metadata", "name"));
    *object = doc_with(a->arena, object, name, "metadata", "labels", "kubernetes.io/metadata.name");
    if (a->old) {
        // Only the finalize sub-resource may change the list.
        const struct doc_value *kept = doc_get(a->old, "spec", "finalizers");
        if (kept && !doc_get(object, "spec", "finalizers")) {
            *object = doc_with(a->arena, object, *kept, "spec", "finalizers");
        }
        return;
    }
    if (doc_len(doc_get(object, "spec", "finalizers")) == 0) {
        struct doc_array finalizers = doc_array_start(a->arena);
        doc_array_add(&finalizers, DOC_S("kubernetes"));
        *object = doc_with(a->arena, object, doc_array_done(&finalizers), "spec", "finalizers");
    }
    *object = doc_with(a->arena, object, DOC_S("Active"), "status", "phase");
}

// ---- ConfigMap and Secret ----

enum { CONFIG_BYTES_MAX = 1024 * 1024 };

static bool is_config_key(struct str key) {
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.')) {
            return false;
        }
    }
    return key.n > 0 && key.n <= 253 && !str_starts(key, STR(".."));
}

static size_t check_config_keys(struct admit *a, const char *field, const struct doc_value *data) {
    size_t total = 0;
    for (DOC_EACH_MEMBER(data, i)) {
        struct doc_value key = doc_make_str(doc_key_at(data, i));
        total += doc_key_at(data, i).n + doc_str(doc_value_at(data, i)).n;
        struct str text = doc_str(&key);
        if (str_eq(text, STR(".")) || str_eq(text, STR(".."))) {
            admit_problem_invalid(a, admit_path_of(a, "%s[%.*s]", field, STR_ARG(text)), &key,
                                  "must not be '%.*s'", STR_ARG(text));
        } else if (!is_config_key(text)) {
            admit_problem_invalid(
                a, admit_path_of(a, "%s[%.*s]", field, STR_ARG(doc_str(&key))), &key,
                "a valid config key must consist of alphanumeric characters, '-', '_' "
                "or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used "
                "for validation is '[-._a-zA-Z0-9]+')");
        }
    }
    return total;
}

static void check_config_map(struct admit *a, const struct doc_value *object) {
    const struct doc_value *data = doc_get(object, "data"), *binary = doc_get(object, "binaryData");
    size_t total = check_config_keys(a, "data", data) + check_config_keys(a, "binaryData", binary);
    for (DOC_EACH_MEMBER(binary, i)) {
        if (doc_find(data, doc_key_at(binary, i))) {
            struct doc_value key = doc_make_str(doc_key_at(binary, i));
            admit_problem_invalid(a, admit_path_of(a, "data[%.*s]", STR_ARG(doc_key_at(binary, i))),
                                  &key, "duplicate of key present in binaryData");
        }
    }
    if (total > CONFIG_BYTES_MAX) {
        admit_problem_too_long(a, STR(""), CONFIG_BYTES_MAX);
    }
}

// Once `immutable` is true it stays, and so does the content.
static void update_sealed(struct admit *a, const struct doc_value *object,
                          const struct doc_value *old, const char *const *fields, size_t count) {
    if (!doc_bool(doc_get(old, "immutable"), false)) {
        return;
    }
    if (!doc_bool(doc_get(object, "immutable"), false)) {
        admit_problem_forbidden(a, STR("immutable"), "field is immutable when `immutable` is set");
    }
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *now = doc_find(object, str_from(fields[i]));
        const struct doc_value *before = doc_find(old, str_from(fields[i]));
        if (doc_len(now) + doc_len(before) > 0 && !doc_equal(now, before)) {
            admit_problem_forbidden(a, str_from(fields[i]),
                                    "field is immutable when `immutable` is set");
        }
    }
}

static void update_config_map(struct admit *a, const struct doc_value *object,
                              const struct doc_value *old) {
    static const char *const fields[] = {"data", "binaryData"};
    update_sealed(a, object, old, fields, ARRAY_LEN(fields));
}

static void fill_secret(struct admit *a, struct doc_value *object) {
    const struct doc_value *texts = doc_get(object, "stringData");
    if (doc_len(texts) > 0) {
        const struct doc_value *now = doc_get(object, "data");
        struct doc_object data =
            doc_is(now, DOC_OBJECT) ? doc_object_copy(a->arena, now) : doc_object_start(a->arena);
        for (DOC_EACH_MEMBER(texts, i)) {
            struct str encoded = base64_encode(a->arena, doc_str(doc_value_at(texts, i)));
            doc_object_set(&data, doc_key_at(texts, i), doc_make_str(encoded));
        }
        admit_set_member(a->arena, object, "data", doc_object_done(&data));
    }
    admit_remove_member(a->arena, object, "stringData");
    admit_default_str(a->arena, object, "type", "Opaque");
}

static void check_secret(struct admit *a, const struct doc_value *object) {
    static const struct {
        const char *type, *keys;
    } needed[] = {
        {"kubernetes.io/dockercfg", ".dockercfg"},
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
        {"kubernetes.io/ssh-auth", "ssh-privatekey"},
        {"kubernetes.io/tls", "tls.crt tls.key"},
    };
    const struct doc_value *data = doc_get(object, "data");
    if (check_config_keys(a, "data", data) > CONFIG_BYTES_MAX * 4 / 3) {
        admit_problem_too_long(a, STR("data"), CONFIG_BYTES_MAX);
    }
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!str_eq_c(doc_get_str(object, "type"), needed[i].type)) {
            continue;
        }
        struct str rest = str_from(needed[i].keys), key;
        while (str_next(&rest, ' ', &key)) {
            if (!doc_find(data, key)) {
                admit_problem_required(a, admit_path_of(a, "data[%.*s]", STR_ARG(key)), "");
            }
        }
    }
    if (str_eq(doc_get_str(object, "type"), STR("kubernetes.io/basic-auth")) &&
        !doc_get(data, "username") && !doc_get(data, "password")) {
        admit_problem_required(a, STR("data[username]"), "");
        admit_problem_required(a, STR("data[password]"), "");
    }
}

static void update_secret(struct admit *a, const struct doc_value *object,
                          const struct doc_value *old) {
    static const char *const fields[] = {"data"};
    admit_check_immutable(a, STR("type"), doc_get(object, "type"), doc_get(old, "type"));
    update_sealed(a, object, old, fields, ARRAY_LEN(fields));
}

// ---- Storage ----

static void fill_volume_mode(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "volumeMode", "Filesystem");
}

// The protection finalizers of the real server need a controller that takes them off again; there is none here.
static void fill_claim(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_volume_mode);
    if (!a->old) {
        *object = doc_with(a->arena, object, DOC_S("Pending"), "status", "phase");
    }
}

static void check_access_modes(struct admit *a, const struct doc_value *modes) {
    if (doc_len(modes) == 0) {
        admit_problem_required(a, STR("spec.accessModes"),
                               str_eq(a->kind->plural, STR("persistentvolumes"))
                                   ? ""
                                   : "at least 1 access mode is required");
    }
    for (size_t i = 0; i < doc_len(modes); i++) {
        admit_check_choice(a, admit_path_of(a, "spec.accessModes[%zu]", i), doc_at(modes, i),
                           "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod");
    }
}

static void check_claim(struct admit *a, const struct doc_value *object) {
    const struct doc_value *size = doc_get(object, "spec", "resources", "requests", "storage");
    check_access_modes(a, doc_get(object, "spec", "accessModes"));
    if (doc_is_null(size)) {
        admit_problem_required(a, STR("spec.resources[storage]"), "");
    } else {
        admit_check_quantity(a, STR("spec.resources[storage]"), size);
    }
}

static void update_claim(struct admit *a, const struct doc_value *object,
                         const struct doc_value *old) {
    struct doc_value now = *object, before = *old;
    admit_remove_member(a->arena, &now, "status");
    // Size may grow, a volume name may be set once, the attributes class may change.
    static const char *const free_fields[] = {"resources", "volumeName",
                                              "volumeAttributesClassName"};
    for (size_t i = 0; i < ARRAY_LEN(free_fields); i++) {
        now = doc_without(a->arena, &now, "spec", free_fields[i]);
        before = doc_without(a->arena, &before, "spec", free_fields[i]);
    }
    if (!doc_equal(doc_get(&now, "spec"), doc_get(&before, "spec"))) {
        admit_problem_forbidden(a, STR("spec"),
                                "spec is immutable after creation except resources.requests and "
                                "volumeAttributesClassName for bound claims");
    }
    const struct doc_value *size = doc_get(object, "spec", "resources", "requests", "storage");
    const struct doc_value *was = doc_get(old, "spec", "resources", "requests", "storage");
    int order;
    if (quantity_compare(doc_str(size), doc_str(was), &order) && order < 0) {
        admit_problem_forbidden(a, STR("spec.resources.requests.storage"),
                                "field can not be less than previous value");
    }
}

static void fill_volume_host_path(struct arena *arena, struct doc_value *source) {
    admit_default_str(arena, source, "type", "");
}

static void fill_volume_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "hostPath", fill_volume_host_path);
    admit_default_str(arena, spec, "persistentVolumeReclaimPolicy", "Retain");
    admit_default_str(arena, spec, "volumeMode", "Filesystem");
}

static void fill_volume(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_volume_spec);
    if (!a->old) {
        *object = doc_with(a->arena, object, DOC_S("Pending"), "status", "phase");
    }
}

// Whatever member is neither of the known ones names the kind of storage.
static bool has_volume_source(const struct doc_value *spec) {
    static const char *const others[] = {"accessModes",      "capacity",
                                         "claimRef",         "mountOptions",
                                         "nodeAffinity",     "persistentVolumeReclaimPolicy",
                                         "storageClassName", "volumeAttributesClassName",
                                         "volumeMode"};
    for (DOC_EACH_MEMBER(spec, i)) {
        bool source = true;
        for (size_t k = 0; k < ARRAY_LEN(others); k++) {
            source = source && !str_eq_c(doc_key_at(spec, i), others[k]);
        }
        if (source) {
            return true;
        }
    }
    return false;
}

static void check_volume(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    check_access_modes(a, doc_get(spec, "accessModes"));
    if (doc_len(doc_get(spec, "capacity")) == 0) {
        admit_problem_required(a, STR("spec.capacity"), "");
    }
    if (doc_is_null(doc_get(spec, "capacity", "storage"))) {
        admit_problem_unsupported(a, STR("spec.capacity"), doc_get(spec, "capacity"), "storage");
    }
    if (!has_volume_source(spec)) {
        admit_problem_required(a, STR("spec"), "must specify a volume type");
    }
    admit_check_choice(a, STR("spec.persistentVolumeReclaimPolicy"),
                       doc_get(spec, "persistentVolumeReclaimPolicy"), "Delete Recycle Retain");
}

// ---- Nodes, limits, endpoints, events ----

static void fill_node(struct admit *a, struct doc_value *object) {
    admit_default_object(a->arena, object, "spec");
    admit_default_object(a->arena, object, "status");
}

static void fill_limit(struct arena *arena, struct doc_value *limit) {
    if (!str_eq(doc_get_str(limit, "type"), STR("Container"))) {
        return;
    }
    static const char *const chain[][2] = {
        {"default", "max"}, {"defaultRequest", "default"}, {"defaultRequest", "min"}};
    for (size_t c = 0; c < ARRAY_LEN(chain); c++) {
        const struct doc_value *from = doc_find(limit, str_from(chain[c][1]));
        for (DOC_EACH_MEMBER(from, i)) {
            struct str key = doc_key_at(from, i);
            if (!doc_find(doc_find(limit, str_from(chain[c][0])), key)) {
                *limit = doc_with(arena, limit, *doc_value_at(from, i), chain[c][0],
                                  arena_cstr(arena, key));
                from = doc_find(limit, str_from(chain[c][1]));
            }
        }
    }
}

static void fill_limits(struct arena *arena, struct doc_value *spec) {
    admit_default_each(arena, spec, "limits", fill_limit);
}

static void fill_limit_range(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_limits);
}

static void fill_quota(struct admit *a, struct doc_value *object) {
    admit_default_object(a->arena, object, "status");
}

static void fill_protocol(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "protocol", "TCP");
}

static void fill_subset(struct arena *arena, struct doc_value *subset) {
    admit_default_each(arena, subset, "ports", fill_protocol);
}

static void fill_endpoints(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "subsets", fill_subset);
}

static void fill_event(struct admit *a, struct doc_value *object) {
    static const char *const texts[] = {"reportingComponent", "reportingInstance"};
    if (!doc_find(object, STR("eventTime"))) {
        admit_set_member(a->arena, object, "eventTime", doc_null());
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!doc_find(object, str_from(texts[i]))) {
            admit_set_member(a->arena, object, texts[i], DOC_S(""));
        }
    }
}

static void check_event(struct admit *a, const struct doc_value *object) {
    struct str ns = doc_get_str(object, "metadata", "namespace");
    const struct doc_value *about = doc_get(object, "involvedObject", "namespace");
    struct str about_ns = doc_str(about);
    // Events about cluster-wide objects stand in "default".
    if (about_ns.n == 0 ? !str_eq(ns, STR("default")) && !str_eq(ns, STR("kube-system"))
                        : !str_eq(ns, about_ns)) {
        admit_problem_invalid(a, STR("involvedObject.namespace"),
                              about ? about : admit_text_value(a, ""),
                              "does not match event.namespace");
    }
}

const struct admit_rule admit_core[] = {
    {"", "Namespace", fill_namespace, NULL, NULL},
    {"", "ConfigMap", NULL, check_config_map, update_config_map},
    {"", "Secret", fill_secret, check_secret, update_secret},
    {"", "PersistentVolumeClaim", fill_claim, check_claim, update_claim},
    {"", "PersistentVolume", fill_volume, check_volume, NULL},
    {"", "Node", fill_node, NULL, NULL},
    {"", "LimitRange", fill_limit_range, NULL, NULL},
    {"", "ResourceQuota", fill_quota, NULL, NULL},
    {"", "Endpoints", fill_endpoints, NULL, NULL},
    {"", "Event", fill_event, check_event, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
