// SPDX-License-Identifier: Apache-2.0
// Rows of the core kinds without pods and addresses: configuration, namespaces, nodes, storage, events, quotas.
#include "apiserver/table_internal.h"

// ---- Name and age, or a count between them ----

static const struct api_column age_columns[] = {COL_NAME, COL("Age")};

static void fill_age(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_age(row, object);
}

static const struct api_column config_columns[] = {COL_NAME, COL("Data"), COL("Age")};

static void fill_config_map(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_int(
        row, (int64_t)(doc_len(doc_get(object, "data")) + doc_len(doc_get(object, "binaryData"))));
    table_cell_age(row, object);
}

static const struct api_column secret_columns[] = {COL_NAME, COL("Type"), COL("Data"), COL("Age")};

static void fill_secret(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_str(row, doc_get_str(object, "type"));
    table_cell_int(row, (int64_t)doc_len(doc_get(object, "data")));
    table_cell_age(row, object);
}

static const struct api_column namespace_columns[] = {COL_NAME, COL("Status"), COL("Age")};

static void fill_namespace(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_str(row, doc_get_str(object, "status", "phase"));
    table_cell_age(row, object);
}

// ---- Nodes ----

static struct str node_status(struct arena *arena, const struct doc_value *node) {
    struct str status = STR("Unknown");
    for (DOC_EACH_ITEM(doc_get(node, "status", "conditions"), condition)) {
        if (str_eq(doc_get_str(condition, "type"), STR("Ready"))) {
            bool ready = str_eq(doc_get_str(condition, "status"), STR("True"));
            status = ready ? STR("Ready") : STR("NotReady");
        }
    }
    return doc_bool(doc_get(node, "spec", "unschedulable"), false)
               ? arena_concat(arena, status, STR(",SchedulingDisabled"))
               : status;
}

static int compare_strs(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str node_roles(struct arena *arena, const struct doc_value *node) {
    const struct doc_value *labels = doc_get(node, "metadata", "labels");
    struct str *roles = ARENA_ARRAY(arena, doc_len(labels), struct str), out = STR("<none>");
    size_t n = 0;
    for (DOC_EACH_MEMBER(labels, i)) {
        struct str key = doc_key_at(labels, i), prefix = STR("node-role.kubernetes.io/");
        if (str_starts(key, prefix)) {
            roles[n] = str_skip(key, prefix.n);
            n += roles[n].n > 0;
        } else if (str_eq(key, STR("kubernetes.io/role"))) {
            roles[n] = doc_str(doc_value_at(labels, i));
            n += roles[n].n > 0;
        }
    }
    qsort(roles, n, sizeof(roles[0]), compare_strs);
    for (size_t i = 0; i < n; i++) {
        out = i == 0 ? roles[i] : arena_printf(arena, "%.*s,%.*s", STR_ARG(out), STR_ARG(roles[i]));
    }
    return out;
}

static struct str node_address(const struct doc_value *node, const char *type) {
    for (DOC_EACH_ITEM(doc_get(node, "status", "addresses"), address)) {
        if (str_eq_c(doc_get_str(address, "type"), type)) {
            return doc_get_str(address, "address");
        }
    }
    return STR("<none>");
}

static const struct api_column node_columns[] = {
    COL_NAME,
    COL("Status"),
    COL("Roles"),
    COL("Age"),
    COL("Version"),
    WIDE("Internal-IP"),
    WIDE("External-IP"),
    WIDE("OS-Image"),
    WIDE("Kernel-Version"),
    WIDE("Container-Runtime"),
};

static void fill_node(struct table_row *row, const struct doc_value *node) {
    const struct doc_value *info = doc_get(node, "status", "nodeInfo");
    table_cell_name(row, node);
    table_cell_str(row, node_status(row->arena, node));
    table_cell_str(row, node_roles(row->arena, node));
    table_cell_age(row, node);
    table_cell_str(row, doc_get_str(info, "kubeletVersion"));
    table_cell_str(row, node_address(node, "InternalIP"));
    table_cell_str(row, node_address(node, "ExternalIP"));
    table_cell_or(row, doc_get_str(info, "osImage"), "<unknown>");
    struct str kernel = doc_get_str(info, "kernelVersion");
    struct str machine = doc_get_str(info, "architecture");
    if (kernel.n && machine.n) {
        kernel = arena_printf(row->arena, "%.*s (%.*s)", STR_ARG(kernel), STR_ARG(machine));
    }
    table_cell_or(row, kernel, "<unknown>");
    table_cell_or(row, doc_get_str(info, "containerRuntimeVersion"), "<unknown>");
}

// ---- Storage ----

static struct str access_modes(struct arena *arena, const struct doc_value *modes) {
    static const char *const names[][2] = {{"ReadWriteOnce", "RWO"},
                                           {"ReadOnlyMany", "ROX"},
                                           {"ReadWriteMany", "RWX"},
                                           {"ReadWriteOncePod", "RWOP"}};
    struct str out = {"", 0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (DOC_EACH_ITEM(modes, mode)) {
            if (str_eq_c(doc_str(mode), names[i][0])) {
                out = arena_printf(arena, "%.*s%s%s", STR_ARG(out), out.n ? "," : "", names[i][1]);
                break;
            }
        }
    }
    return out;
}

static const struct api_column claim_columns[] = {
    COL_NAME,
    COL("Status"),
    COL("Volume"),
    COL("Capacity"),
    COL("Access Modes"),
    COL("StorageClass"),
    COL("VolumeAttributesClass"),
    COL("Age"),
    WIDE("VolumeMode"),
};

static void fill_claim(struct table_row *row, const struct doc_value *claim) {
    const struct doc_value *spec = doc_get(claim, "spec"), *status = doc_get(claim, "status");
    struct str volume = doc_get_str(spec, "volumeName");
    bool going = !doc_is_null(doc_get(claim, "metadata", "deletionTimestamp"));
    table_cell_name(row, claim);
    table_cell_str(row, going ? STR("Terminating") : doc_get_str(status, "phase"));
    table_cell_str(row, volume);
    struct str size = table_scalar_text(row->arena, doc_get(status, "capacity", "storage"));
    table_cell_str(row, !volume.n ? STR("") : size.n ? size : STR("0"));
    table_cell_str(row,
                   volume.n ? access_modes(row->arena, doc_get(status, "accessModes")) : STR(""));
    table_cell_str(row, doc_get_str(spec, "storageClassName"));
    table_cell_or(row, doc_get_str(spec, "volumeAttributesClassName"), "<unset>");
    table_cell_age(row, claim);
    table_cell_or(row, doc_get_str(spec, "volumeMode"), "<unset>");
}

static const struct api_column volume_columns[] = {
    COL_NAME,      COL("Capacity"), COL("Access Modes"), COL("Reclaim Policy"),
    COL("Status"), COL("Claim"),    COL("StorageClass"), COL("VolumeAttributesClass"),
    COL("Reason"), COL("Age"),      WIDE("VolumeMode"),
};

static void fill_volume(struct table_row *row, const struct doc_value *volume) {
    const struct doc_value *spec = doc_get(volume, "spec"), *claim = doc_get(spec, "claimRef");
    bool going = !doc_is_null(doc_get(volume, "metadata", "deletionTimestamp"));
    table_cell_name(row, volume);
    table_cell_str(row, table_scalar_text(row->arena, doc_get(spec, "capacity", "storage")));
    table_cell_str(row, access_modes(row->arena, doc_get(spec, "accessModes")));
    table_cell_str(row, doc_get_str(spec, "persistentVolumeReclaimPolicy"));
    table_cell_str(row, going ? STR("Terminating") : doc_get_str(volume, "status", "phase"));
    if (doc_is(claim, DOC_OBJECT)) {
        table_cell_printf(row, "%.*s/%.*s", STR_ARG(doc_get_str(claim, "namespace")),
                          STR_ARG(doc_get_str(claim, "name")));
    } else {
        table_cell_text(row, "");
    }
    table_cell_str(row, doc_get_str(spec, "storageClassName"));
    table_cell_or(row, doc_get_str(spec, "volumeAttributesClassName"), "<unset>");
    table_cell_str(row, doc_get_str(volume, "status", "reason"));
    table_cell_age(row, volume);
    table_cell_or(row, doc_get_str(spec, "volumeMode"), "<unset>");
}

// ---- Events ----

static const struct api_column event_columns[] = {
    COL("Last Seen"), COL("Type"),    COL("Reason"),      COL("Object"), WIDE("Subobject"),
    WIDE("Source"),   COL("Message"), WIDE("First Seen"), WIDE("Count"), NAMED("Name", 1),
};

static struct str event_source(struct table_row *row, const struct doc_value *event) {
    struct str component = doc_get_str(event, "source", "component");
    struct str host = doc_get_str(event, "source", "host");
    if (component.n == 0) {
        component = doc_get_str(event, "reportingComponent");
        host = component.n ? doc_get_str(event, "reportingInstance") : host;
    }
    return host.n ? arena_printf(row->arena, "%.*s, %.*s", STR_ARG(component), STR_ARG(host))
                  : component;
}

static void fill_event(struct table_row *row, const struct doc_value *object) {
    struct doc_value event = *object;
    if (row->kind->group.n > 0) { // events.k8s.io: one printer for both forms
        static const struct api_kind core = {.version = STR_INIT("v1"), .kind = STR_INIT("Event")};
        event = api_kind_convert(row->arena, &core, object);
    }
    struct str first = doc_get_str(&event, "firstTimestamp");
    struct str last = doc_get_str(&event, "lastTimestamp");
    struct str moment = doc_get_str(&event, "eventTime");
    first = first.n ? first : moment;
    int64_t count = doc_int(doc_get(&event, "count"), 0);
    const struct doc_value *series = doc_get(&event, "series");
    if (doc_is(series, DOC_OBJECT)) {
        last = doc_get_str(series, "lastObservedTime");
        count = doc_int(doc_get(series, "count"), 0);
    } else if (last.n == 0) {
        last = first;
    }
    struct str kind = doc_get_str(&event, "involvedObject", "kind");
    struct str name = doc_get_str(&event, "involvedObject", "name");
    char *lower = arena_cstr(row->arena, kind);
    for (size_t i = 0; i < kind.n; i++) {
        lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + 32 : lower[i]);
    }
    table_cell_str(row, table_age_text(row, last));
    table_cell_str(row, doc_get_str(&event, "type"));
    table_cell_str(row, doc_get_str(&event, "reason"));
    if (name.n) {
        table_cell_printf(row, "%s/%.*s", lower, STR_ARG(name));
    } else {
        table_cell_text(row, lower);
    }
    table_cell_str(row, doc_get_str(&event, "involvedObject", "fieldPath"));
    table_cell_str(row, event_source(row, &event));
    table_cell_str(row, str_trim(doc_get_str(&event, "message")));
    table_cell_str(row, table_age_text(row, first));
    table_cell_int(row, count ? count : 1);
    table_cell_name(row, &event);
}

// ---- Quotas ----

static const struct api_column quota_columns[] = {COL_NAME, COL("Request"), COL("Limit"),
                                                  COL("Age")};

static struct str quota_text(struct table_row *row, const struct doc_value *quota, bool limits) {
    const struct doc_value *hard = doc_get(quota, "status", "hard");
    const struct doc_value *used = doc_get(quota, "status", "used");
    struct str *parts = ARENA_ARRAY(row->arena, doc_len(hard), struct str), out = {"", 0};
    size_t n = 0;
    for (DOC_EACH_MEMBER(hard, i)) {
        struct str key = doc_key_at(hard, i);
        if (str_starts(key, STR("limits")) == limits) {
            struct str max = table_scalar_text(row->arena, doc_value_at(hard, i));
            struct str now = table_scalar_text(row->arena, doc_find(used, key));
            now = now.n ? now : STR("0");
            parts[n++] = arena_printf(row->arena, "%.*s: %.*s/%.*s", STR_ARG(key), STR_ARG(now),
                                      STR_ARG(max));
        }
    }
    qsort(parts, n, sizeof(parts[0]), compare_strs);
    for (size_t i = 0; i < n; i++) {
        out =
            arena_printf(row->arena, "%.*s%s%.*s", STR_ARG(out), i ? ", " : "", STR_ARG(parts[i]));
    }
    return out;
}

static void fill_quota(struct table_row *row, const struct doc_value *quota) {
    table_cell_name(row, quota);
    table_cell_str(row, quota_text(row, quota, false));
    table_cell_str(row, quota_text(row, quota, true));
    table_cell_age(row, quota);
}

static const struct api_column health_columns[] = {COL_NAME, COL("Status"), COL("Message"),
                                                   COL("Error")};

static void fill_health(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_text(row, "Unknown");
    table_cell_text(row, "");
    table_cell_text(row, "");
}

const struct table_kind table_core[] = {
    TABLE_KIND("", "ComponentStatus", health_columns, fill_health),
    TABLE_KIND("", "ConfigMap", config_columns, fill_config_map),
    TABLE_KIND("", "Secret", secret_columns, fill_secret),
    TABLE_KIND("", "ServiceAccount", age_columns, fill_age),
    TABLE_KIND("", "Namespace", namespace_columns, fill_namespace),
    TABLE_KIND("", "Node", node_columns, fill_node),
    TABLE_KIND("", "PersistentVolumeClaim", claim_columns, fill_claim),
    TABLE_KIND("", "PersistentVolume", volume_columns, fill_volume),
    TABLE_KIND("", "Event", event_columns, fill_event),
    TABLE_KIND("events.k8s.io", "Event", event_columns, fill_event),
    TABLE_KIND("", "ResourceQuota", quota_columns, fill_quota),
    {0},
};
