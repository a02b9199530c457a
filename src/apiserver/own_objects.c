// SPDX-License-Identifier: Apache-2.0
// Objects that a real API server makes by itself and clients like to see: one APIService for every served group and
// version (those of custom kinds come and go with their definitions), the suggested settings of priority and fairness,
// which say something to readers and do nothing here, and the range of service addresses. Each is made when it is not
// there, and what somebody changed stays as it is.
#include "apiserver/core.h"
#include "base/log.h"

#define AUTOMANAGED "kube-aggregator.kubernetes.io/automanaged"

static const struct str services_group = STR_INIT("apiregistration.k8s.io");
static const struct str flow_group = STR_INIT("flowcontrol.apiserver.k8s.io");

static void done(struct api_op *op) {
    // Nothing depends on these; what failed (a full disk) is made at the next start.
    bool expected = op->error.status == 0 || op->error.status == 409 || op->error.status == 404;
    if (!expected && !op->cancelled) {
        LOG(LOG_WARN, "apiserver", "an object of the server's own was not written", "error",
            op->error.message.p);
    }
    api_op_destroy(op);
}

static bool exists(struct apiserver *server, struct str group, const char *plural,
                   struct str name) {
    struct api_entry *entry = api_entry_find(api_collection_get(server, group, str_from(plural)),
                                             (struct str){NULL, 0}, name);
    return entry && !entry->deleted;
}

static struct api_op *start(struct apiserver *server, enum api_verb verb, struct str group,
                            const char *plural) {
    struct api_op *op = api_op_create(server, done);
    op->request.verb = verb;
    op->request.gvr = (struct kube_gvr){group, STR("v1"), str_from(plural)};
    return op;
}

// ---- APIServices ----

static void make_service(struct apiserver *server, const struct api_kind *kind, int group_priority,
                         int version_priority) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str name =
        arena_printf(arena, "%.*s.%.*s", STR_ARG(kind->version), STR_ARG(kind->group));
    if (exists(server, services_group, "apiservices", name)) {
        return;
    }
    struct api_op *op = start(server, API_VERB_CREATE, services_group, "apiservices");
    op->request.body = arena_printf(
        op->arena,
        "{\"metadata\":{\"name\":\"%.*s\",\"labels\":{\"" AUTOMANAGED "\":\"%s\"}},"
        "\"spec\":{%s%.*s%s\"version\":\"%.*s\",\"groupPriorityMinimum\":%d,"
        "\"versionPriority\":%d}}",
        STR_ARG(name), kind->custom ? "true" : "onstart", kind->group.n ? "\"group\":\"" : "",
        STR_ARG(kind->group), kind->group.n ? "\"," : "", STR_ARG(kind->version), group_priority,
        version_priority);
    api_op_run(op);
}

// Where a real server puts its groups in the order of preference.
static void priorities(const struct api_kind *kind, int *group, int *version) {
    static const struct {
        const char *group;
        int priority, version;
    } known[] = {
        {"", 18000, 1},
        {"admissionregistration.k8s.io", 16700, 15},
        {"apiextensions.k8s.io", 16700, 15},
        {"apps", 17800, 15},
        {"authentication.k8s.io", 17700, 15},
        {"authorization.k8s.io", 17600, 15},
        {"autoscaling", 17500, 15},
        {"batch", 17400, 15},
        {"certificates.k8s.io", 17300, 15},
        {"coordination.k8s.io", 16500, 15},
        {"discovery.k8s.io", 16200, 15},
        {"events.k8s.io", 17750, 15},
        {"flowcontrol.apiserver.k8s.io", 16100, 21},
        {"networking.k8s.io", 17200, 15},
        {"node.k8s.io", 16300, 15},
        {"policy", 17100, 15},
        {"rbac.authorization.k8s.io", 17000, 15},
        {"resource.k8s.io", 16200, 21},
        {"scheduling.k8s.io", 16600, 15},
        {"storage.k8s.io", 16800, 15},
    };
    *group = 1000;
    *version = 100;
    for (size_t i = 0; !kind->custom && i < ARRAY_LEN(known); i++) {
        if (str_eq_c(kind->group, known[i].group)) {
            *group = known[i].priority;
            *version = str_eq(kind->version, STR("v2")) ? 30 : known[i].version;
        }
    }
}

static void make_services(struct apiserver *server) {
    const struct api_kind *kind, *last = NULL;
    for (size_t i = 0; api_kinds_next(server->kinds, &i, &kind);) {
        int group, version;
        bool again =
            last && str_eq(last->group, kind->group) && str_eq(last->version, kind->version);
        // The group itself is not announced by one, as with a real server.
        if (!again && !str_eq(kind->group, services_group)) {
            priorities(kind, &group, &version);
            make_service(server, kind, group, version);
        }
        last = kind;
    }
}

static bool is_served(struct apiserver *server, struct str name) {
    struct str version, group;
    str_cut(name, '.', &version, &group);
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(server->kinds, &i, &kind);) {
        if (str_eq(kind->group, group) && str_eq(kind->version, version)) {
            return true;
        }
    }
    return false;
}

// Only those of our own making go; an APIService that somebody wrote stays.
static void drop_services(struct apiserver *server) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct api_collection *all = api_collection_get(server, services_group, STR("apiservices"));
    struct str *gone = ARENA_ARRAY(arena, all->count + 1, struct str);
    size_t count = 0;
    struct api_cursor cursor = api_cursor_at(all, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct str name = api_entry_name(entry);
        if (is_served(server, name)) {
            continue;
        }
        struct blob *text = api_entry_durable(entry, NULL);
        if (text && str_has(blob_str(text), STR("\"" AUTOMANAGED "\":\"true\""))) {
            gone[count++] = arena_dup(arena, name);
        }
        blob_unref(text);
    }
    for (size_t i = 0; i < count; i++) {
        struct api_op *op = start(server, API_VERB_DELETE, services_group, "apiservices");
        op->request.name = arena_dup(op->arena, gone[i]);
        api_op_run(op);
    }
}

// ---- Priority and fairness ----

#define EVERYTHING                                                                            \
    "\"nonResourceRules\":[{\"nonResourceURLs\":[\"*\"],\"verbs\":[\"*\"]}],"                 \
    "\"resourceRules\":[{\"apiGroups\":[\"*\"],\"clusterScope\":true,\"namespaces\":[\"*\"]," \
    "\"resources\":[\"*\"],\"verbs\":[\"*\"]}]"
#define GROUP(name) "{\"kind\":\"Group\",\"group\":{\"name\":\"" name "\"}}"
#define USER(name) "{\"kind\":\"User\",\"user\":{\"name\":\"" name "\"}}"
#define SYSTEM_ACCOUNTS                                                                     \
    "{\"kind\":\"ServiceAccount\",\"serviceAccount\":{\"name\":\"*\",\"namespace\":\"kube-" \
    "system\"}}"
#define EVERYBODY GROUP("system:unauthenticated") "," GROUP("system:authenticated")

static const struct {
    const char *name, *level, *by;
    int precedence;
    const char *rules, *subjects;
} flows[] = {
    {"exempt", "exempt", NULL, 1, EVERYTHING, GROUP("system:masters")},
    {"probes", "exempt", NULL, 2,
     "\"nonResourceRules\":[{\"nonResourceURLs\":[\"/healthz\",\"/readyz\",\"/livez\"],"
     "\"verbs\":[\"get\"]}]",
     EVERYBODY},
    {"system-leader-election", "leader-election", "ByUser", 100,
     "\"resourceRules\":[{\"apiGroups\":[\"coordination.k8s.io\"],\"namespaces\":[\"*\"],"
     "\"resources\":[\"leases\"],\"verbs\":[\"get\",\"create\",\"update\"]}]",
     USER("system:kube-controller-manager") "," USER("system:kube-scheduler") "," SYSTEM_ACCOUNTS},
    {"system-node-high", "node-high", "ByUser", 400,
     "\"resourceRules\":[{\"apiGroups\":[\"\"],\"clusterScope\":true,\"namespaces\":[\"*\"],"
     "\"resources\":[\"nodes\",\"nodes/status\"],\"verbs\":[\"*\"]},"
     "{\"apiGroups\":[\"coordination.k8s.io\"],\"namespaces\":[\"*\"],\"resources\":[\"leases\"],"
     "\"verbs\":[\"*\"]}]",
     GROUP("system:nodes")},
    {"system-nodes", "system", "ByUser", 500, EVERYTHING, GROUP("system:nodes")},
    {"kube-controller-manager", "workload-high", "ByNamespace", 800, EVERYTHING,
     USER("system:kube-controller-manager")},
    {"kube-scheduler", "workload-high", "ByNamespace", 800, EVERYTHING,
     USER("system:kube-scheduler")},
    {"kube-system-service-accounts", "workload-high", "ByNamespace", 900, EVERYTHING,
     SYSTEM_ACCOUNTS},
    {"service-accounts", "workload-low", "ByUser", 9000, EVERYTHING,
     GROUP("system:serviceaccounts")},
    {"global-default", "global-default", "ByUser", 9900, EVERYTHING, EVERYBODY},
    {"catch-all", "catch-all", "ByUser", 10000, EVERYTHING, EVERYBODY},
};

static const struct {
    const char *name;
    int shares, lendable, queues, hand; // no queues: refuse at once; no shares: exempt
} levels[] = {
    {"exempt", 0, 0, 0, 0},
    {"catch-all", 5, 0, 0, 0},
    {"global-default", 20, 50, 128, 6},
    {"leader-election", 10, 0, 16, 4},
    {"node-high", 40, 25, 64, 6},
    {"system", 30, 33, 64, 6},
    {"workload-high", 40, 50, 128, 6},
    {"workload-low", 100, 90, 128, 6},
};

#define SUGGESTED "\"annotations\":{\"apf.kubernetes.io/autoupdate-spec\":\"true\"}"

static void make_levels(struct apiserver *server) {
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (exists(server, flow_group, "prioritylevelconfigurations", str_from(levels[i].name))) {
            continue;
        }
        struct api_op *op =
            start(server, API_VERB_CREATE, flow_group, "prioritylevelconfigurations");
        struct str how =
            levels[i].queues
                ? arena_printf(op->arena,
                               "{\"type\":\"Queue\",\"queuing\":{\"queues\":%d,\"handSize\":%d,"
                               "\"queueLengthLimit\":50}}",
                               levels[i].queues, levels[i].hand)
                : STR("{\"type\":\"Reject\"}");
        struct str spec =
            levels[i].shares
                ? arena_printf(op->arena,
                               "{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":%d,"
                               "\"lendablePercent\":%d,\"limitResponse\":%.*s}}",
                               levels[i].shares, levels[i].lendable, STR_ARG(how))
                : STR("{\"type\":\"Exempt\",\"exempt\":{\"nominalConcurrencyShares\":0,"
                      "\"lendablePercent\":0}}");
        op->request.body =
            arena_printf(op->arena, "{\"metadata\":{\"name\":\"%s\"," SUGGESTED "},\"spec\":%.*s}",
                         levels[i].name, STR_ARG(spec));
        api_op_run(op);
    }
}

static void make_flows(struct apiserver *server) {
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        if (exists(server, flow_group, "flowschemas", str_from(flows[i].name))) {
            continue;
        }
        struct api_op *op = start(server, API_VERB_CREATE, flow_group, "flowschemas");
        struct str by =
            flows[i].by
                ? arena_printf(op->arena, "\"distinguisherMethod\":{\"type\":\"%s\"},", flows[i].by)
                : STR("");
        op->request.body = arena_printf(
            op->arena,
            "{\"metadata\":{\"name\":\"%s\"," SUGGESTED "},\"spec\":{%.*s\"matchingPrecedence\":%d,"
            "\"priorityLevelConfiguration\":{\"name\":\"%s\"},\"rules\":[{%s,\"subjects\":[%s]}]}}",
            flows[i].name, STR_ARG(by), flows[i].precedence, flows[i].level, flows[i].rules,
            flows[i].subjects);
        api_op_run(op);
    }
}

static void make_range(struct apiserver *server) {
    struct str group = STR("networking.k8s.io");
    if (exists(server, group, "servicecidrs", STR("kubernetes"))) {
        return;
    }
    struct api_op *op = start(server, API_VERB_CREATE, group, "servicecidrs");
    op->request.body = STR("{\"metadata\":{\"name\":\"kubernetes\"},"
                           "\"spec\":{\"cidrs\":[\"10.96.0.0/16\"]}}");
    api_op_run(op);
}

// ---- Who asks ----

static struct doc_value strings_value(struct arena *arena, const struct str *items, size_t count) {
    struct doc_array list = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&list, doc_make_str(arena_dup(arena, items[i])));
    }
    return doc_array_done(&list);
}

// A signing request says who sent it, whatever the sender claims.
struct doc_value api_own_requester(struct api_op *op, struct doc_value object) {
    struct arena *arena = op->arena;
    const struct doc_value *before = doc_get(&object, "spec");
    if (!str_eq(op->kind->kind, STR("CertificateSigningRequest")) ||
        !str_eq(op->kind->group, STR("certificates.k8s.io")) || !doc_is(before, DOC_OBJECT)) {
        return object;
    }
    static const char *const fields[] = {"username", "uid", "groups", "extra"};
    struct doc_object spec = doc_object_copy(arena, before);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        doc_object_remove(&spec, str_from(fields[i]));
    }
    const struct api_user *user = &op->user;
    if (user->name.n) {
        doc_object_set_c(&spec, "username", doc_make_str(arena_dup(arena, user->name)));
    }
    if (user->uid.n) {
        doc_object_set_c(&spec, "uid", doc_make_str(arena_dup(arena, user->uid)));
    }
    if (user->group_count) {
        doc_object_set_c(&spec, "groups", strings_value(arena, user->groups, user->group_count));
    }
    struct doc_object extra = doc_object_start(arena);
    for (size_t i = 0; i < user->extra_count; i++) {
        doc_object_set(&extra, user->extra[i].key,
                       strings_value(arena, user->extra[i].values, user->extra[i].count));
    }
    if (user->extra_count) {
        doc_object_set_c(&spec, "extra", doc_object_done(&extra));
    }
    return doc_with(arena, &object, doc_object_done(&spec), "spec");
}

void api_own_objects(struct apiserver *server) {
    make_services(server);
    make_levels(server);
    make_flows(server);
    make_range(server);
}

void api_own_kinds_changed(struct apiserver *server) {
    make_services(server);
    drop_services(server);
}
