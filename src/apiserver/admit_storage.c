// SPDX-License-Identifier: Apache-2.0
// Admission of volumes and claims.
#include "apiserver/admit_internal.h"
#include "base/text.h"

static void fill_volume_mode(struct arena *arena, struct doc_value *spec) {
    admit_default_str(arena, spec, "volumeMode", "Filesystem");
}

// The older way of naming a source is told in the newer one too.
static void fill_source(struct admit *a, struct doc_value *object) {
    const struct doc_value *source = doc_get(object, "spec", "dataSource");
    const struct doc_value *ref = doc_get(object, "spec", "dataSourceRef");
    if (doc_is(source, DOC_OBJECT) && !doc_get(source, "apiGroup")) {
        *object = doc_with(a->arena, object, doc_null(), "spec", "dataSource", "apiGroup");
        source = doc_get(object, "spec", "dataSource");
    }
    if (doc_is(source, DOC_OBJECT) && doc_is_null(ref)) {
        *object = doc_with(a->arena, object, *source, "spec", "dataSourceRef");
    }
}

// The protection finalizers of the real server need a controller that takes them off again; there is none here.
static void fill_claim(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_volume_mode);
    fill_source(a, object);
    if (!a->old) {
        *object = doc_with(a->arena, object, DOC_S("Pending"), "status", "phase");
    }
}

static void check_access_modes(struct admit *a, const struct doc_value *modes) {
    bool alone = false;
    if (doc_len(modes) == 0) {
        admit_problem_required(a, STR("spec.accessModes"),
                               str_eq(a->kind->plural, STR("persistentvolumes"))
                                   ? ""
                                   : "at least 1 access mode is required");
    }
    for (size_t i = 0; i < doc_len(modes); i++) {
        admit_check_choice(a, STR("spec.accessModes"), doc_at(modes, i),
                           "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod");
        alone = alone || str_eq(doc_str(doc_at(modes, i)), STR("ReadWriteOncePod"));
    }
    if (alone && doc_len(modes) > 1) {
        admit_problem_forbidden(a, STR("spec.accessModes"),
                                "may not use ReadWriteOncePod with other access modes");
    }
}

static void check_claim(struct admit *a, const struct doc_value *object) {
    const struct doc_value *size = doc_get(object, "spec", "resources", "requests", "storage");
    const struct doc_value *spec = doc_get(object, "spec");
    const struct doc_value *storage_class = doc_get(spec, "storageClassName");
    admit_check_label_selector(a, STR("spec.selector"), doc_get(spec, "selector"));
    check_access_modes(a, doc_get(spec, "accessModes"));
    if (doc_is_null(size)) {
        admit_problem_required(a, STR("spec.resources[storage]"), "");
    } else {
        int order;
        admit_check_quantity(a, STR("spec.resources[storage]"), size);
        if (quantity_compare(doc_str(size), STR("0"), &order) && order == 0) {
            admit_problem_invalid(a, STR("spec.resources[storage]"), size,
                                  "must be greater than zero");
        }
    }
    if (doc_str(storage_class).n > 0) {
        admit_check_dns_subdomain(a, STR("spec.storageClassName"), storage_class);
    }
    admit_check_choice(a, STR("spec.volumeMode"), doc_get(spec, "volumeMode"), "Block Filesystem");
}

static void update_claim(struct admit *a, const struct doc_value *object,
                         const struct doc_value *old) {
    struct doc_value now = *object, before = *old;
    admit_remove_member(a->arena, &now, "status");
    // Size may grow, a volume name may be set once, the attributes class may change.
    static const char *const free_fields[] = {"resources", "volumeName",
                                              "volumeAttributesClassName"};
    // The size may change when there is a volume behind the claim.
    bool bound = str_eq(doc_get_str(old, "status", "phase"), STR("Bound"));
    for (size_t i = bound ? 0 : 1; i < ARRAY_LEN(free_fields); i++) {
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
        const struct doc_value *since = doc_get(object, "metadata", "creationTimestamp");
        *object = doc_with(a->arena, object, DOC_S("Pending"), "status", "phase");
        if (since) {
            *object = doc_with(a->arena, object, *since, "status", "lastPhaseTransitionTime");
        }
    }
}

// Whatever member is neither of the known ones names the kind of storage.
static bool is_volume_source(struct str key) {
    static const char *const others[] = {"accessModes",      "capacity",
                                         "claimRef",         "mountOptions",
                                         "nodeAffinity",     "persistentVolumeReclaimPolicy",
                                         "storageClassName", "volumeAttributesClassName",
                                         "volumeMode"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (str_eq_c(key, others[i])) {
            return false;
        }
    }
    return true;
}

static size_t count_volume_sources(struct admit *a, const struct doc_value *spec) {
    size_t count = 0;
    for (DOC_EACH_MEMBER(spec, i)) {
        struct str key = doc_key_at(spec, i);
        if (is_volume_source(key) && ++count > 1) {
            admit_problem_forbidden(a, admit_path_of(a, "spec.%.*s", STR_ARG(key)),
                                    "may not specify more than 1 volume type");
        }
    }
    return count;
}

static void check_volume(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec");
    check_access_modes(a, doc_get(spec, "accessModes"));
    if (doc_len(doc_get(spec, "capacity")) == 0) {
        admit_problem_required(a, STR("spec.capacity"), "");
    }
    if (doc_is_null(doc_get(spec, "capacity", "storage")) ||
        doc_len(doc_get(spec, "capacity")) > 1) {
        admit_problem_unsupported(a, STR("spec.capacity"), doc_get(spec, "capacity"), "storage");
    }
    if (doc_is(doc_get(spec, "local"), DOC_OBJECT) && doc_is_null(doc_get(spec, "nodeAffinity"))) {
        admit_problem_required(a, STR("spec.nodeAffinity"), "Local volume requires node affinity");
    }
    if (count_volume_sources(a, spec) == 0) {
        admit_problem_required(a, STR("spec"), "must specify a volume type");
    }
    if (str_has(doc_get_str(spec, "hostPath", "path"), STR(".."))) {
        admit_problem_invalid(a, STR("spec.hostPath.path"), doc_get(spec, "hostPath", "path"),
                              "must not contain '..'");
    }
    const struct doc_value *storage_class = doc_get(spec, "storageClassName");
    if (doc_str(storage_class).n > 0) {
        admit_check_dns_subdomain(a, STR("spec.storageClassName"), storage_class);
    }
    admit_check_choice(a, STR("spec.volumeMode"), doc_get(spec, "volumeMode"), "Block Filesystem");
    admit_check_choice(a, STR("spec.persistentVolumeReclaimPolicy"),
                       doc_get(spec, "persistentVolumeReclaimPolicy"), "Delete Recycle Retain");
}

static void update_volume(struct admit *a, const struct doc_value *object,
                          const struct doc_value *old) {
    const struct doc_value *now = doc_get(object, "spec"), *before = doc_get(old, "spec");
    for (DOC_EACH_MEMBER(before, i)) {
        struct str key = doc_key_at(before, i);
        if (is_volume_source(key) && !doc_equal(doc_find(now, key), doc_value_at(before, i))) {
            admit_problem_forbidden(a, STR("spec.persistentvolumesource"),
                                    "spec.persistentvolumesource is immutable after creation");
        }
    }
    admit_check_immutable(a, STR("spec.volumeMode"), doc_get(now, "volumeMode"),
                          doc_get(before, "volumeMode"));
}

const struct admit_rule admit_storage[] = {
    {"", "PersistentVolumeClaim", fill_claim, check_claim, update_claim},
    {"", "PersistentVolume", fill_volume, check_volume, update_volume},
    {NULL, NULL, NULL, NULL, NULL},
};
