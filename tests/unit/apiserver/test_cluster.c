// SPDX-License-Identifier: Apache-2.0
// What a small cluster does beyond its workloads, on virtual time: events and their end, evictions, CronJobs, claims,
// taints, autoscalers, logs. The objects that must come out are those of kube-controller-manager.
#include "core_rig.h"

#include "base/timefmt.h"

#define NS "shop"

static struct rig *start(unsigned nodes) {
    struct rig *rig = NEW(struct rig);
    rig->loop = sim_loop_create(7);
    rig->store = store_create_memory(rig->loop);
    rig->arena = arena_create();
    struct apiserver_options options = {.loop = rig->loop, .store = rig->store, .nodes = nodes};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    assert_non_null(rig->server);
    sim_loop_run(rig->loop, loop_now(rig->loop) + NS_PER_SECOND);
    assert_int_equal(
        201, rig_create_object(rig, "namespaces", "", "{\"metadata\":{\"name\":\"" NS "\"}}"));
    return rig;
}

static void pass(struct rig *rig, int64_t seconds) {
    sim_loop_run(rig->loop, loop_now(rig->loop) + seconds * NS_PER_SECOND);
}

static void put(struct rig *rig, const char *gvr, const char *body) {
    int status = rig_create_object(rig, gvr, NS, body);
    if (status != 201) {
        fail_msg("%s: %d %.*s", gvr, status, STR_ARG(rig->body));
    }
}

static struct doc_value get(struct rig *rig, const char *gvr, const char *ns, const char *name) {
    if (rig_get(rig, gvr, ns, name) != 200) {
        fail_msg("%s %s: %.*s", gvr, name, STR_ARG(rig->body));
    }
    return rig_value(rig);
}

static struct doc_value list(struct rig *rig, const char *gvr, const char *labels) {
    assert_int_equal(200, rig_list(rig, gvr, NS, labels, 0, STR("")));
    return rig_value(rig);
}

static size_t count(struct rig *rig, const char *gvr) {
    struct doc_value all = list(rig, gvr, "");
    return doc_len(doc_get(&all, "items"));
}

// The newest event of an object for a reason.
static struct doc_value event(struct rig *rig, const char *name, const char *reason) {
    struct doc_value all = list(rig, "events", ""), found = doc_null();
    for (DOC_EACH_ITEM(doc_get(&all, "items"), item)) {
        if (str_eq_c(doc_get_str(item, "involvedObject", "name"), name) &&
            str_eq_c(doc_get_str(item, "reason"), reason)) {
            found = *item;
        }
    }
    return found;
}

static void expect_text(const struct doc_value *value, const char *want, const char *a,
                        const char *b) {
    struct str got = b ? doc_get_str(value, a, b) : doc_get_str(value, a);
    if (!str_eq_c(got, want)) {
        fail_msg("%s.%s\n  want: %s\n  got:  %.*s", a, b ? b : "", want, STR_ARG(got));
    }
}

#define TEMPLATE(app, annotations)                                                               \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"" app "\"},\"annotations\":{" annotations \
    "}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}}"
#define DEPLOYMENT(name, replicas, annotations)                              \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"replicas\":" replicas \
    ",\"selector\":{\"matchLabels\":{\"app\":\"" name "\"}}," TEMPLATE(name, annotations) "}}"
#define POD(name, more)                                                                       \
    "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"app\":\"" name "\"}},\"spec\":{" more \
    "\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}}"

static int call(struct rig *rig, enum kube_verb verb, const char *gvr, const char *name,
                const char *subresource, const char *body) {
    struct kube_request request = {
        .verb = verb,
        .gvr = rig_gvr(gvr),
        .ns = STR(NS),
        .name = str_from(name),
        .subresource = str_from(subresource),
        .body = str_from(body),
        .grace_seconds = -1,
    };
    return rig_call(rig, &request);
}

// ---- Events ----
static void events_are_told_and_end(void **state) {
    struct rig *rig = start(1);
    put(rig, "apps/v1/deployments", DEPLOYMENT("web", "2", ""));
    pass(rig, 3);
    struct doc_value scaled = event(rig, "web", "ScalingReplicaSet");
    expect_text(&scaled, "deployment-controller", "source", "component");
    expect_text(&scaled, "deployment-controller", "reportingComponent", NULL);
    expect_text(&scaled, "Deployment", "involvedObject", "kind");
    expect_text(&scaled, "apps/v1", "involvedObject", "apiVersion");
    assert_int_equal(1, doc_int(doc_get(&scaled, "count"), 0));
    assert_true(str_starts(doc_get_str(&scaled, "message"), STR("Scaled up replica set web-")));
    assert_true(str_ends(doc_get_str(&scaled, "message"), STR(" from 0 to 2")));
    struct doc_value pods = list(rig, "pods", "app=web");
    struct str pod = doc_get_str(doc_at(doc_get(&pods, "items"), 0), "metadata", "name");
    const char *name = arena_cstr(rig->arena, pod);
    struct doc_value bound = event(rig, name, "Scheduled");
    expect_text(&bound, "Binding", "action", NULL);
    expect_text(&bound, "default-scheduler", "reportingComponent", NULL);
    struct doc_value started = event(rig, name, "Started");
    expect_text(&started, "spec.containers{c}", "involvedObject", "fieldPath");
    expect_text(&started, "skiff-node-0", "source", "host");
    struct str set = str_first(pod, str_rfind_char(pod, '-'));
    struct doc_value made = event(rig, arena_cstr(rig->arena, set), "SuccessfulCreate");
    assert_true(str_starts(doc_get_str(&made, "message"), STR("Created pod: web-")));
    // A client's own ends as well, an hour after its last write.
    put(rig, "events",
        "{\"metadata\":{\"name\":\"mine\"},\"involvedObject\":{\"namespace\":\"" NS "\"}}");
    pass(rig, 3000);
    assert_true(count(rig, "events") > 10);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "events", NS, "mine", "{\"count\":2}"));
    pass(rig, 1200);
    assert_int_equal(1, count(rig, "events"));
    pass(rig, 3600);
    assert_int_equal(0, count(rig, "events"));
    rig_destroy(rig);
}

static void events_are_counted_and_combined(void **state) {
    struct rig *rig = start(1);
    put(rig, "apps/v1/deployments",
        DEPLOYMENT("loop", "1", "\"skiff.dev/sim-fail\":\"CrashLoopBackOff\""));
    put(rig, "apps/v1/deployments", DEPLOYMENT("many", "40", ""));
    pass(rig, 900);
    struct doc_value pods = list(rig, "pods", "app=loop");
    struct str pod = doc_get_str(doc_at(doc_get(&pods, "items"), 0), "metadata", "name");
    struct doc_value back_off = event(rig, arena_cstr(rig->arena, pod), "BackOff");
    assert_int_equal(5, doc_int(doc_get(&back_off, "count"), 0));
    expect_text(&back_off, "Warning", "type", NULL);
    struct doc_value all = list(rig, "events", "");
    size_t about_set = 0, combined = 0;
    for (DOC_EACH_ITEM(doc_get(&all, "items"), item)) {
        bool set = str_eq_c(doc_get_str(item, "involvedObject", "kind"), "ReplicaSet") &&
                   str_starts(doc_get_str(item, "involvedObject", "name"), STR("many-"));
        about_set += set;
        if (set &&
            str_starts(doc_get_str(item, "message"), STR("(combined from similar events)"))) {
            combined++;
            assert_in_range(doc_int(doc_get(item, "count"), 0), 10, 20); // the rest is too much
        }
    }
    assert_int_equal(1, combined);
    assert_int_equal(10, about_set);
    rig_destroy(rig);
}

// ---- Evictions ----
#define EVICT(pod) \
    "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"" pod "\"}}"

static void evictions_ask_the_budget(void **state) {
    struct rig *rig = start(1);
    put(rig, "apps/v1/deployments", DEPLOYMENT("web", "2", "\"skiff.dev/sim-start-delay\":\"2s\""));
    put(rig, "policy/v1/poddisruptionbudgets",
        "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":1,\"selector\":{"
        "\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"web\"]}]}}}");
    pass(rig, 5);
    struct doc_value budget = get(rig, "policy/v1/poddisruptionbudgets", NS, "b");
    assert_int_equal(1, doc_int(doc_get(&budget, "status", "disruptionsAllowed"), -1));
    assert_int_equal(2, doc_int(doc_get(&budget, "status", "currentHealthy"), -1));
    struct doc_value pods = list(rig, "pods", "app=web");
    const char *first =
        arena_cstr(rig->arena, doc_get_str(doc_at(doc_get(&pods, "items"), 0), "metadata", "name"));
    const char *second =
        arena_cstr(rig->arena, doc_get_str(doc_at(doc_get(&pods, "items"), 1), "metadata", "name"));
    struct kube_request dry = {.verb = KUBE_CREATE,
                               .gvr = rig_gvr("pods"),
                               .ns = STR(NS),
                               .name = str_from(first),
                               .subresource = STR("eviction"),
                               .body = STR(EVICT("p")),
                               .dry_run = true,
                               .grace_seconds = -1};
    assert_int_equal(201, rig_call(rig, &dry));
    assert_int_equal(201, call(rig, KUBE_CREATE, "pods", first, "eviction", EVICT("p")));
    assert_int_equal(429, call(rig, KUBE_CREATE, "pods", second, "eviction", EVICT("p")));
    struct doc_value refusal = rig_value(rig);
    expect_text(&refusal, "Cannot evict pod as it would violate the pod's disruption budget.",
                "message", NULL);
    const struct doc_value *cause = doc_at(doc_get(&refusal, "details", "causes"), 0);
    expect_text(cause, "DisruptionBudget", "reason", NULL);
    pass(rig, 5); // its successor is ready
    assert_int_equal(201, call(rig, KUBE_CREATE, "pods", second, "eviction", EVICT("p")));
    rig_destroy(rig);
}

// ---- CronJobs ----
static void cron_jobs_run(void **state) {
    struct rig *rig = start(1);
    put(rig, "batch/v1/cronjobs",
        "{\"metadata\":{\"name\":\"tick\"},\"spec\":{\"schedule\":\"* * * * *\",\"jobTemplate\":{"
        "\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"
        "\"c\",\"image\":\"i:1\"}]}}}}}}");
    pass(rig, 10 * 60);
    struct doc_value cron = get(rig, "batch/v1/cronjobs", NS, "tick");
    assert_true(doc_get_str(&cron, "status", "lastScheduleTime").n > 0);
    assert_true(doc_get_str(&cron, "status", "lastSuccessfulTime").n > 0);
    assert_int_equal(0, doc_len(doc_get(&cron, "status", "active")));
    assert_int_equal(3, count(rig, "batch/v1/jobs")); // the history limit
    struct doc_value saw = event(rig, "tick", "SawCompletedJob");
    assert_true(str_ends(doc_get_str(&saw, "message"), STR(", condition: Complete")));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "batch/v1/cronjobs", NS, "tick",
                                    "{\"spec\":{\"suspend\":true}}"));
    pass(rig, 7300);
    int64_t revision = apiserver_revision(rig->server);
    pass(rig, 7200);
    assert_int_equal(revision, apiserver_revision(rig->server));
    rig_destroy(rig);
}

static void jobs_count_restarts(void **state) {
    struct rig *rig = start(1);
    put(rig, "batch/v1/jobs",
        "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"backoffLimit\":2,\"template\":{\"metadata\":{"
        "\"annotations\":{\"skiff.dev/sim-fail\":\"Error\",\"skiff.dev/sim-retry-delay\":\"1s\"}},"
        "\"spec\":{\"restartPolicy\":\"OnFailure\",\"containers\":[{\"name\":\"c\",\"image\":"
        "\"i:1\"}]}}}}");
    pass(rig, 30);
    struct doc_value job = get(rig, "batch/v1/jobs", NS, "j");
    const struct doc_value *conditions = doc_get(&job, "status", "conditions");
    assert_int_equal(2, doc_len(conditions));
    expect_text(doc_at(conditions, 0), "FailureTarget", "type", NULL);
    expect_text(doc_at(conditions, 1), "Failed", "type", NULL);
    expect_text(doc_at(conditions, 1), "BackoffLimitExceeded", "reason", NULL);
    assert_int_equal(1, doc_int(doc_get(&job, "status", "failed"), 0));
    assert_int_equal(0, count(rig, "pods"));
    rig_destroy(rig);
}

// ---- Claims ----
static void claims_are_bound(void **state) {
    struct rig *rig = start(1);
    put(rig, "persistentvolumeclaims",
        "{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
        "\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    put(rig, "pods",
        POD("user", "\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":"
                    "\"data\"}}],"));
    put(rig, "pods",
        POD("lost", "\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":"
                    "\"none\"}}],"));
    pass(rig, 3);
    struct doc_value claim = get(rig, "persistentvolumeclaims", NS, "data");
    expect_text(&claim, "Bound", "status", "phase");
    expect_text(&claim, "standard", "spec", "storageClassName");
    const char *name = arena_cstr(rig->arena, doc_get_str(&claim, "spec", "volumeName"));
    struct doc_value volume = get(rig, "persistentvolumes", "", name);
    expect_text(&volume, "Bound", "status", "phase");
    struct doc_value user = get(rig, "pods", NS, "user");
    expect_text(&user, "Running", "status", "phase");
    struct doc_value lost = event(rig, "lost", "FailedScheduling");
    expect_text(&lost,
                "0/1 nodes are available: persistentvolumeclaim \"none\" not found. not found",
                "message", NULL);
    assert_int_equal(200, rig_delete(rig, "pods", NS, "user"));
    pass(rig, 3);
    assert_int_equal(200, rig_delete(rig, "persistentvolumeclaims", NS, "data"));
    pass(rig, 10);
    assert_int_equal(404, rig_get(rig, "persistentvolumes", "", name));
    rig_destroy(rig);
}

// ---- Nodes ----
static void nodes_repel(void **state) {
    struct rig *rig = start(2);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "nodes", "", "skiff-node-0",
                                    "{\"spec\":{\"unschedulable\":true}}"));
    pass(rig, 1);
    struct doc_value node = get(rig, "nodes", "", "skiff-node-0");
    expect_text(doc_at(doc_get(&node, "spec", "taints"), 0), "node.kubernetes.io/unschedulable",
                "key", NULL);
    put(rig, "apps/v1/deployments", DEPLOYMENT("web", "3", ""));
    pass(rig, 2);
    struct doc_value pods = list(rig, "pods", "app=web");
    for (DOC_EACH_ITEM(doc_get(&pods, "items"), pod)) {
        expect_text(pod, "skiff-node-1", "spec", "nodeName");
    }
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "nodes", "", "skiff-node-0",
                                    "{\"spec\":{\"unschedulable\":null}}"));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "nodes", "", "skiff-node-1",
                                    "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":"
                                    "\"NoExecute\"}]}}"));
    pass(rig, 3);
    node = get(rig, "nodes", "", "skiff-node-0");
    assert_int_equal(0, doc_len(doc_get(&node, "spec", "taints")));
    pods = list(rig, "pods", "app=web");
    assert_int_equal(3, doc_len(doc_get(&pods, "items")));
    for (DOC_EACH_ITEM(doc_get(&pods, "items"), pod)) {
        expect_text(pod, "skiff-node-0", "spec", "nodeName");
        expect_text(pod, "Running", "status", "phase");
    }
    // A node that is deleted takes its pods along.
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "nodes", "", "skiff-node-1",
                                    "{\"spec\":{\"taints\":null}}"));
    assert_int_equal(200, rig_delete(rig, "nodes", "", "skiff-node-0"));
    pass(rig, 3);
    pods = list(rig, "pods", "app=web");
    assert_int_equal(3, doc_len(doc_get(&pods, "items")));
    for (DOC_EACH_ITEM(doc_get(&pods, "items"), pod)) {
        expect_text(pod, "skiff-node-1", "spec", "nodeName");
    }
    rig_destroy(rig);
}

// ---- Revisions ----
static void revisions_are_kept(void **state) {
    struct rig *rig = start(2);
    put(rig, "apps/v1/daemonsets",
        "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"d\"}},"
        "\"updateStrategy\":{\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":0}}," TEMPLATE(
            "d", "\"skiff.dev/sim-start-delay\":\"1s\"") "}}");
    pass(rig, 5);
    assert_int_equal(2, count(rig, "pods"));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, "apps/v1/daemonsets", NS, "d",
                                    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":"
                                    "\"c\",\"image\":\"i:2\"}]}}}}"));
    size_t most = 0;
    for (int i = 0; i < 40; i++) {
        sim_loop_run(rig->loop, loop_now(rig->loop) + NS_PER_SECOND / 4);
        size_t now = count(rig, "pods");
        most = now > most ? now : most;
    }
    assert_int_equal(3, most); // the new one first
    assert_int_equal(2, count(rig, "pods"));
    struct doc_value set = get(rig, "apps/v1/daemonsets", NS, "d");
    assert_int_equal(2, doc_int(doc_get(&set, "status", "updatedNumberScheduled"), 0));
    struct doc_value revisions = list(rig, "apps/v1/controllerrevisions", "");
    assert_int_equal(2, doc_len(doc_get(&revisions, "items")));
    for (DOC_EACH_ITEM(doc_get(&revisions, "items"), item)) {
        expect_text(doc_get(item, "data", "spec", "template"), "replace", "$patch", NULL);
    }
    rig_destroy(rig);
}

// ---- Autoscalers ----
static void autoscalers_keep_bounds(void **state) {
    struct rig *rig = start(1);
    put(rig, "apps/v1/deployments", DEPLOYMENT("web", "1", ""));
    put(rig, "autoscaling/v2/horizontalpodautoscalers",
        "{\"metadata\":{\"name\":\"h\"},\"spec\":{\"minReplicas\":2,\"maxReplicas\":4,"
        "\"scaleTargetRef\":{\"apiVersion\":\"apps/"
        "v1\",\"kind\":\"Deployment\",\"name\":\"web\"}}}");
    pass(rig, 3);
    assert_int_equal(2, count(rig, "pods"));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "apps/v1/deployments", NS, "web",
                                    "{\"spec\":{\"replicas\":9}}"));
    pass(rig, 3);
    struct doc_value web = get(rig, "apps/v1/deployments", NS, "web");
    assert_int_equal(4, doc_int(doc_get(&web, "spec", "replicas"), 0));
    struct doc_value h = get(rig, "autoscaling/v2/horizontalpodautoscalers", NS, "h");
    assert_int_equal(4, doc_int(doc_get(&h, "status", "currentReplicas"), 0));
    pass(rig, 7300);
    int64_t revision = apiserver_revision(rig->server);
    pass(rig, 3600);
    assert_int_equal(revision, apiserver_revision(rig->server));
    rig_destroy(rig);
}

// ---- Parts of pods ----
static void pods_have_parts(void **state) {
    struct rig *rig = start(1);
    put(rig, "pods",
        "{\"metadata\":{\"name\":\"p\",\"annotations\":{\"skiff.dev/sim-log\":\"one\\ntwo\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i:1\"},{\"name\":\"b\",\"image\":"
        "\"i:1\"}]}}");
    put(rig, "pods",
        "{\"metadata\":{\"name\":\"q\",\"annotations\":{\"skiff.dev/sim-log\":"
        "\"one\\ntwo\"}},\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i:1\"}]}}");
    pass(rig, 2);
    assert_int_equal(400, call(rig, KUBE_GET, "pods", "p", "log", ""));
    assert_string_equal("a container name must be specified for pod p, choose one of: [a b]",
                        RIG_TEXT(rig, "message"));
    assert_int_equal(200, call(rig, KUBE_GET, "pods", "q", "log", ""));
    assert_true(str_eq_c(rig->body, "one\ntwo\n"));
    assert_int_equal(501, call(rig, KUBE_CREATE, "pods", "q", "exec", ""));
    assert_int_equal(404, call(rig, KUBE_CREATE, "pods", "none", "exec", ""));
    struct kube_request debug = {
        .verb = KUBE_PATCH,
        .gvr = rig_gvr("pods"),
        .ns = STR(NS),
        .name = STR("q"),
        .subresource = STR("ephemeralcontainers"),
        .patch = KUBE_PATCH_STRATEGIC,
        .body =
            STR("{\"spec\":{\"ephemeralContainers\":[{\"name\":\"e\",\"image\":\"busybox\"}]}}"),
        .grace_seconds = -1,
    };
    assert_int_equal(200, rig_call(rig, &debug));
    struct doc_value pod = rig_value(rig);
    expect_text(doc_at(doc_get(&pod, "spec", "ephemeralContainers"), 0), "Always",
                "imagePullPolicy", NULL);
    debug.subresource = STR("resize");
    debug.body =
        STR("{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"other\",\"resources\":{"
            "\"requests\":{\"cpu\":\"2\"}}}]}}");
    assert_int_equal(200, rig_call(rig, &debug));
    pass(rig, 1);
    pod = get(rig, "pods", NS, "q");
    const struct doc_value *container = doc_at(doc_get(&pod, "spec", "containers"), 0);
    expect_text(container, "i:1", "image", NULL); // only resources are taken
    expect_text(doc_get(container, "resources"), "2", "requests", "cpu");
    const struct doc_value *status = doc_at(doc_get(&pod, "status", "containerStatuses"), 0);
    expect_text(doc_get(status, "resources"), "2", "requests", "cpu");
    rig_destroy(rig);
}

// ---- Namespaces ----
static void namespaces_say_what_remains(void **state) {
    struct rig *rig = start(1);
    pass(rig, 1);
    struct doc_value bundle = get(rig, "configmaps", NS, "kube-root-ca.crt");
    assert_non_null(doc_get(&bundle, "data", "ca.crt"));
    put(rig, "configmaps",
        "{\"metadata\":{\"name\":\"held\",\"finalizers\":[\"example.com/hold\"]}}");
    assert_int_equal(200, rig_delete(rig, "namespaces", "", NS));
    pass(rig, 20);
    struct doc_value ns = get(rig, "namespaces", "", NS);
    const struct doc_value *conditions = doc_get(&ns, "status", "conditions");
    assert_int_equal(5, doc_len(conditions));
    expect_text(doc_at(conditions, 3),
                "Some resources are remaining: configmaps. has 1 resource instances", "message",
                NULL);
    expect_text(doc_at(conditions, 4),
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 "
                "resource instances",
                "message", NULL);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", NS, "held",
                                    "{\"metadata\":{\"finalizers\":null}}"));
    pass(rig, 20);
    assert_int_equal(404, rig_get(rig, "namespaces", "", NS));
    rig_destroy(rig);
}

static void what_each_cluster_has_comes_back(void **state) {
    struct rig *rig = start(1);
    static const char *const kinds[] = {"discovery.k8s.io/v1/endpointslices", "endpoints",
                                        "services"};
    assert_int_equal(404, rig_get(rig, "services", "default", "kubernetes"));
    apiserver_set_address(rig->server, STR("192.0.2.7"), 6443);
    pass(rig, 1);
    struct doc_value service = get(rig, "services", "default", "kubernetes");
    expect_text(&service, "10.96.0.1", "spec", "clusterIP");
    int64_t version = apiserver_revision(rig->server);
    pass(rig, 60);
    assert_int_equal(version, apiserver_revision(rig->server)); // looking writes nothing
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        assert_int_equal(200, rig_delete(rig, kinds[i], "default", "kubernetes"));
    }
    apiserver_set_address(rig->server, STR("192.0.2.8"), 6444);
    pass(rig, 11);
    struct doc_value endpoints = get(rig, "endpoints", "default", "kubernetes");
    const struct doc_value *subset = doc_at(doc_get(&endpoints, "subsets"), 0);
    expect_text(doc_at(doc_get(subset, "addresses"), 0), "192.0.2.8", "ip", NULL);
    apiserver_set_address(rig->server, STR("192.0.2.9"), 6445); // another port after a restart
    pass(rig, 1);
    struct doc_value slice = get(rig, kinds[0], "default", "kubernetes");
    assert_int_equal(6445, doc_int(doc_get(doc_at(doc_get(&slice, "ports"), 0), "port"), 0));
    service = get(rig, "services", "default", "kubernetes");
    const struct doc_value *port = doc_at(doc_get(&service, "spec", "ports"), 0);
    assert_int_equal(6445, doc_int(doc_get(port, "targetPort"), 0));

    assert_int_equal(200, rig_delete(rig, "serviceaccounts", NS, "default"));
    assert_int_equal(200, rig_delete(rig, "configmaps", NS, "kube-root-ca.crt"));
    pass(rig, 1);
    get(rig, "serviceaccounts", NS, "default");
    get(rig, "configmaps", NS, "kube-root-ca.crt");
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", NS, "kube-root-ca.crt",
                                    "{\"data\":{\"ca.crt\":\"other\"}}"));
    pass(rig, 1);
    struct doc_value bundle = get(rig, "configmaps", NS, "kube-root-ca.crt");
    expect_text(&bundle, "", "data", "ca.crt");
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_told_and_end),
        cmocka_unit_test(events_are_counted_and_combined),
        cmocka_unit_test(evictions_ask_the_budget),
        cmocka_unit_test(cron_jobs_run),
        cmocka_unit_test(jobs_count_restarts),
        cmocka_unit_test(claims_are_bound),
        cmocka_unit_test(nodes_repel),
        cmocka_unit_test(revisions_are_kept),
        cmocka_unit_test(autoscalers_keep_bounds),
        cmocka_unit_test(pods_have_parts),
        cmocka_unit_test(namespaces_say_what_remains),
        cmocka_unit_test(what_each_cluster_has_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
