// SPDX-License-Identifier: Apache-2.0
// Rows of signing requests, priority and fairness, and devices.
#include "apiserver/table_internal.h"

static const struct api_column signing_columns[] = {
    COL_NAME,        COL("Age"), COL("SignerName"), COL("Requestor"), COL("RequestedDuration"),
    COL("Condition")};

// "Approved,Issued"
static struct str signing_state(struct arena *arena, const struct doc_value *request) {
    static const char *const types[] = {"Approved", "Denied", "Failed"};
    bool has[ARRAY_LEN(types)] = {false};
    for (DOC_EACH_ITEM(doc_get(request, "status", "conditions"), condition)) {
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            has[i] = has[i] || str_eq_c(doc_get_str(condition, "type"), types[i]);
        }
    }
    struct str state = has[1] ? STR("Denied") : has[0] ? STR("Approved") : STR("Pending");
    if (has[2]) {
        state = arena_concat(arena, state, STR(",Failed"));
    }
    if (doc_get_str(request, "status", "certificate").n) {
        state = arena_concat(arena, state, STR(",Issued"));
    }
    return state;
}

static void fill_signing(struct table_row *row, const struct doc_value *request) {
    const struct doc_value *seconds = doc_get(request, "spec", "expirationSeconds");
    table_cell_name(row, request);
    table_cell_age(row, request);
    table_cell_or(row, doc_get_str(request, "spec", "signerName"), "<none>");
    table_cell_str(row, doc_get_str(request, "spec", "username"));
    if (doc_is_null(seconds)) {
        table_cell_text(row, "<none>");
    } else {
        int64_t n = doc_int(seconds, 0);
        struct str text = n >= 48 * 3600 ? arena_printf(row->arena, "%lldd", (long long)(n / 86400))
                          : n >= 2 * 3600 ? arena_printf(row->arena, "%lldh", (long long)(n / 3600))
                                          : arena_printf(row->arena, "%lldm", (long long)(n / 60));
        table_cell_str(row, text);
    }
    table_cell_str(row, signing_state(row->arena, request));
}

static const struct api_column flow_columns[] = {
    COL_NAME,   COL("PriorityLevel"), COL("MatchingPrecedence"), COL("DistinguisherMethod"),
    COL("Age"), COL("MissingPL")};

static void fill_flow(struct table_row *row, const struct doc_value *flow) {
    const struct doc_value *spec = doc_get(flow, "spec");
    struct str dangling = STR("?");
    for (DOC_EACH_ITEM(doc_get(flow, "status", "conditions"), condition)) {
        if (str_eq(doc_get_str(condition, "type"), STR("Dangling"))) {
            dangling = doc_get_str(condition, "status");
        }
    }
    table_cell_name(row, flow);
    table_cell_or(row, doc_get_str(spec, "priorityLevelConfiguration", "name"), "<none>");
    table_cell_int(row, doc_int(doc_get(spec, "matchingPrecedence"), 0));
    table_cell_or(row, doc_get_str(spec, "distinguisherMethod", "type"), "<none>");
    table_cell_age(row, flow);
    table_cell_str(row, dangling);
}

static const struct api_column level_columns[] = {
    COL_NAME,      COL("Type"),     COL("NominalConcurrencyShares"),
    COL("Queues"), COL("HandSize"), COL("QueueLengthLimit"),
    COL("Age")};

static void cell_number(struct table_row *row, const struct doc_value *value) {
    if (doc_is_null(value)) {
        table_cell_text(row, "<none>");
    } else {
        table_cell_int(row, doc_int(value, 0));
    }
}

static void fill_level(struct table_row *row, const struct doc_value *level) {
    const struct doc_value *limited = doc_get(level, "spec", "limited");
    const struct doc_value *queuing = doc_get(limited, "limitResponse", "queuing");
    table_cell_name(row, level);
    table_cell_str(row, doc_get_str(level, "spec", "type"));
    cell_number(row, doc_get(limited, "nominalConcurrencyShares"));
    cell_number(row, doc_get(queuing, "queues"));
    cell_number(row, doc_get(queuing, "handSize"));
    cell_number(row, doc_get(queuing, "queueLengthLimit"));
    table_cell_age(row, level);
}

// ---- Devices ----

static const struct api_column device_columns[] = {COL_NAME, COL("Age")};

static void fill_device(struct table_row *row, const struct doc_value *object) {
    table_cell_name(row, object);
    table_cell_age(row, object);
}

static const struct api_column claim_columns[] = {COL_NAME, COL("State"), COL("Age")};

static void fill_claim(struct table_row *row, const struct doc_value *claim) {
    const struct doc_value *status = doc_get(claim, "status");
    bool allocated = doc_is(doc_get(status, "allocation"), DOC_OBJECT);
    bool reserved = doc_len(doc_get(status, "reservedFor")) > 0;
    bool leaving = doc_get(claim, "metadata", "deletionTimestamp") != NULL;
    table_cell_name(row, claim);
    table_cell_printf(row, "%s%s%s", leaving ? "deleted," : "", allocated ? "allocated" : "pending",
                      reserved ? ",reserved" : "");
    table_cell_age(row, claim);
}

static const struct api_column slice_columns[] = {COL_NAME, COL("Node"), COL("Driver"), COL("Pool"),
                                                  COL("Age")};

static void fill_slice(struct table_row *row, const struct doc_value *slice) {
    const struct doc_value *spec = doc_get(slice, "spec");
    table_cell_name(row, slice);
    table_cell_or(row, doc_get_str(spec, "nodeName"), "<unset>");
    table_cell_str(row, doc_get_str(spec, "driver"));
    table_cell_str(row, doc_get_str(spec, "pool", "name"));
    table_cell_age(row, slice);
}

const struct table_kind table_control[] = {
    TABLE_KIND("certificates.k8s.io", "CertificateSigningRequest", signing_columns, fill_signing),
    TABLE_KIND("flowcontrol.apiserver.k8s.io", "FlowSchema", flow_columns, fill_flow),
    TABLE_KIND("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", level_columns,
               fill_level),
    TABLE_KIND("resource.k8s.io", "DeviceClass", device_columns, fill_device),
    TABLE_KIND("resource.k8s.io", "ResourceClaimTemplate", device_columns, fill_device),
    TABLE_KIND("resource.k8s.io", "ResourceClaim", claim_columns, fill_claim),
    TABLE_KIND("resource.k8s.io", "ResourceSlice", slice_columns, fill_slice),
    {0},
};
