// SPDX-License-Identifier: Apache-2.0
// The simulated cluster as its users see it: a server with a node on virtual time, objects put in, time passed, objects
// looked at.
#include "core_rig.h"

#include "base/timefmt.h"

#define NS "shop"
#define DEPLOYMENTS "apps/v1/deployments"
#define REPLICA_SETS "apps/v1/replicasets"
#define STATEFUL_SETS "apps/v1/statefulsets"
#define DAEMON_SETS "apps/v1/daemonsets"
#define JOBS "batch/v1/jobs"
#define SLICES "discovery.k8s.io/v1/endpointslices"
#define INGRESSES "networking.k8s.io/v1/ingresses"

static struct rig *start(unsigned nodes) {
    struct rig *rig = NEW(struct rig);
    rig->loop = sim_loop_create(11);
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

static void pass(struct rig *rig, int64_t ns) {
    sim_loop_run(rig->loop, loop_now(rig->loop) + ns);
}

static void put(struct rig *rig, const char *gvr, const char *body) {
    int status = rig_create_object(rig, gvr, NS, body);
    if (status != 201) {
        fail_msg("%s: %d %.*s", gvr, status, STR_ARG(rig->body));
    }
}

static struct doc_value list(struct rig *rig, const char *gvr, const char *labels) {
    assert_int_equal(200, rig_list(rig, gvr, NS, labels, 0, STR("")));
    return rig_value(rig);
}

static size_t count(struct rig *rig, const char *gvr, const char *labels) {
    struct doc_value all = list(rig, gvr, labels);
    return doc_len(doc_get(&all, "items"));
}

static struct doc_value get(struct rig *rig, const char *gvr, const char *name) {
    if (rig_get(rig, gvr, NS, name) != 200) {
        fail_msg("%s %s: %.*s", gvr, name, STR_ARG(rig->body));
    }
    return rig_value(rig);
}

#define POD_TEMPLATE(app, image, annotations)                                       \
    "{\"metadata\":{\"labels\":{\"app\":\"" app "\"},\"annotations\":{" annotations \
    "}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"" image               \
    "\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]}}"
#define DEPLOYMENT_OF(name, replicas, more, image, annotations)                   \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"replicas\":" replicas more \
    ",\"selector\":{\"matchLabels\":{\"app\":\"" name                             \
    "\"}},\"template\":" POD_TEMPLATE(name, image, annotations) "}}"
#define DEPLOYMENT(name, replicas) DEPLOYMENT_OF(name, replicas, "", "nginx:1", "")
#define SERVICE(name)                                                               \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"selector\":{\"app\":\"" name \
    "\"},\"ports\":[{\"port\":80,\"targetPort\":\"http\"}]}}"

static const struct doc_value *condition(const struct doc_value *object, const char *type) {
    for (DOC_EACH_ITEM(doc_get(object, "status", "conditions"), item)) {
        if (str_eq_c(doc_get_str(item, "type"), type)) {
            return item;
        }
    }
    return NULL;
}

static void expect_condition(const struct doc_value *object, const char *type, const char *status,
                             const char *reason) {
    const struct doc_value *item = condition(object, type);
    char got[256];
    snprintf(got, sizeof got, "%s=%.*s %.*s", type, STR_ARG(doc_get_str(item, "status")),
             STR_ARG(doc_get_str(item, "reason")));
    char want[256];
    snprintf(want, sizeof want, "%s=%s %s", type, status, reason);
    assert_string_equal(want, got);
}

static int64_t number(const struct doc_value *object, const char *a, const char *b) {
    return doc_int(doc_get(object, a, b), 0);
}

// Nothing is written any more, but for the end of the Events after their hour.
static void expect_rest(struct rig *rig) {
    int64_t revision = apiserver_revision(rig->server);
    pass(rig, 1800 * NS_PER_SECOND);
    assert_int_equal(revision, apiserver_revision(rig->server));
    pass(rig, 5400 * NS_PER_SECOND);
    assert_int_equal(0, count(rig, "events", ""));
    revision = apiserver_revision(rig->server);
    pass(rig, 3600 * NS_PER_SECOND);
    assert_int_equal(revision, apiserver_revision(rig->server));
}

// The writes since a revision that are no Events.
static int64_t writes_since(struct rig *rig, int64_t before) {
    return apiserver_revision(rig->server) - before - (int64_t)count(rig, "events", "");
}

// ---- Tests ----
static void deployment_becomes_available(void **state) {
    struct rig *rig = start(2);
    pass(rig, NS_PER_SECOND);
    int64_t before = apiserver_revision(rig->server);
    put(rig, DEPLOYMENTS, DEPLOYMENT("web", "1"));
    put(rig, "services", SERVICE("web"));
    pass(rig, 2 * NS_PER_SECOND);
    // Two by the user; the rest are ReplicaSet, pod, pod status, the two statuses, the EndpointSlice and the Endpoints.
    int64_t writes = writes_since(rig, before);
    if (writes > 10) {
        fail_msg("%lld writes", (long long)writes);
    }
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(1, number(&d, "status", "observedGeneration"));
    assert_int_equal(1, number(&d, "status", "replicas"));
    assert_int_equal(1, number(&d, "status", "updatedReplicas"));
    assert_int_equal(1, number(&d, "status", "readyReplicas"));
    assert_int_equal(1, number(&d, "status", "availableReplicas"));
    assert_null(doc_get(&d, "status", "unavailableReplicas"));
    expect_condition(&d, "Available", "True", "MinimumReplicasAvailable");
    expect_condition(&d, "Progressing", "True", "NewReplicaSetAvailable");
    assert_true(str_eq_c(
        doc_get_str(&d, "metadata", "annotations", "deployment.kubernetes.io/revision"), "1"));
    struct doc_value sets = list(rig, REPLICA_SETS, "app=web");
    const struct doc_value *set = doc_at(doc_get(&sets, "items"), 0);
    struct str hash = doc_get_str(set, "metadata", "labels", "pod-template-hash");
    assert_true(hash.n > 0);
    assert_true(str_eq(arena_printf(rig->arena, "web-%.*s", STR_ARG(hash)),
                       doc_get_str(set, "metadata", "name")));
    struct doc_value pods = list(rig, "pods", "app=web");
    const struct doc_value *pod = doc_at(doc_get(&pods, "items"), 0);
    assert_true(str_eq_c(doc_get_str(pod, "status", "phase"), "Running"));
    assert_true(doc_get_str(pod, "status", "podIP").n > 0);
    assert_true(str_eq(hash, doc_get_str(pod, "metadata", "labels", "pod-template-hash")));
    struct doc_value slices = list(rig, SLICES, "kubernetes.io/service-name=web");
    const struct doc_value *slice = doc_at(doc_get(&slices, "items"), 0);
    const struct doc_value *endpoint = doc_at(doc_get(slice, "endpoints"), 0);
    assert_true(doc_bool(doc_get(endpoint, "conditions", "ready"), false));
    assert_true(str_eq(doc_str(doc_at(doc_get(endpoint, "addresses"), 0)),
                       doc_get_str(pod, "status", "podIP")));
    assert_int_equal(8080, doc_int(doc_get(doc_at(doc_get(slice, "ports"), 0), "port"), 0));
    expect_rest(rig);
    rig_destroy(rig);
}

static void pods_stay_pending_without_a_node(void **state) {
    struct rig *rig = start(0);
    put(rig, DEPLOYMENTS, DEPLOYMENT("web", "2"));
    pass(rig, 2 * NS_PER_SECOND);
    struct doc_value pods = list(rig, "pods", "");
    assert_int_equal(2, doc_len(doc_get(&pods, "items")));
    const struct doc_value *pod = doc_at(doc_get(&pods, "items"), 0);
    assert_true(str_eq_c(doc_get_str(pod, "status", "phase"), "Pending"));
    expect_condition(pod, "PodScheduled", "False", "Unschedulable");
    assert_int_equal(201, rig_create_object(rig, "nodes", "", "{\"metadata\":{\"name\":\"n\"}}"));
    pass(rig, 2 * NS_PER_SECOND);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(2, number(&d, "status", "availableReplicas"));
    rig_destroy(rig);
}

static void delays_show_each_step(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "2", "", "nginx:1", "\"skiff.dev/sim-start-delay\":\"5s\""));
    pass(rig, NS_PER_SECOND);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(2, number(&d, "status", "replicas"));
    assert_int_equal(2, number(&d, "status", "unavailableReplicas"));
    expect_condition(&d, "Available", "False", "MinimumReplicasUnavailable");
    assert_true(str_eq_c(doc_get_str(condition(&d, "Progressing"), "status"), "True"));
    struct doc_value pods = list(rig, "pods", "");
    const struct doc_value *first =
        doc_at(doc_get(doc_at(doc_get(&pods, "items"), 0), "status", "containerStatuses"), 0);
    assert_true(str_eq_c(doc_get_str(first, "state", "waiting", "reason"), "ContainerCreating"));
    pass(rig, 5 * NS_PER_SECOND);
    d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(2, number(&d, "status", "availableReplicas"));
    rig_destroy(rig);
}

// The highest number of pods and the lowest number of ready ones during a roll-out.
static void watch_rollout(struct rig *rig, size_t *most, size_t *least_ready) {
    *most = 0;
    *least_ready = SIZE_MAX;
    for (int i = 0; i < 60; i++) {
        struct doc_value pods = list(rig, "pods", "");
        size_t ready = 0, all = 0;
        for (DOC_EACH_ITEM(doc_get(&pods, "items"), pod)) {
            all += !doc_get(pod, "metadata", "deletionTimestamp");
            ready += str_eq_c(doc_get_str(condition(pod, "Ready"), "status"), "True") &&
                     !doc_get(pod, "metadata", "deletionTimestamp");
        }
        *most = all > *most ? all : *most;
        *least_ready = ready < *least_ready ? ready : *least_ready;
        pass(rig, NS_PER_SECOND / 2);
    }
}

static void rolling_update_keeps_its_bounds(void **state) {
    struct rig *rig = start(2);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "4",
                      ",\"strategy\":{\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":1}}",
                      "nginx:1", "\"skiff.dev/sim-start-delay\":\"2s\""));
    pass(rig, 5 * NS_PER_SECOND);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"nginx:2\"}]}}}}"));
    size_t most, least_ready;
    watch_rollout(rig, &most, &least_ready);
    assert_in_range(most, 5, 5);
    assert_in_range(least_ready, 3, 4);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    expect_condition(&d, "Progressing", "True", "NewReplicaSetAvailable");
    assert_int_equal(4, number(&d, "status", "updatedReplicas"));
    assert_int_equal(4, number(&d, "status", "replicas"));
    assert_int_equal(2, count(rig, REPLICA_SETS, ""));
    assert_int_equal(4, count(rig, "pods", ""));
    // And back: the old ReplicaSet is used again, as revision 3.
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"nginx:1\"}]}}}}"));
    pass(rig, 30 * NS_PER_SECOND);
    assert_int_equal(2, count(rig, REPLICA_SETS, ""));
    d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(4, number(&d, "status", "updatedReplicas"));
    assert_true(str_eq_c(
        doc_get_str(&d, "metadata", "annotations", "deployment.kubernetes.io/revision"), "3"));
    expect_rest(rig);
    rig_destroy(rig);
}

static void recreate_never_mixes(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "2", ",\"strategy\":{\"type\":\"Recreate\"}", "nginx:1",
                      "\"skiff.dev/sim-stop-delay\":\"2s\""));
    pass(rig, 3 * NS_PER_SECOND);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"nginx:2\"}]}}}}"));
    for (int i = 0; i < 40; i++) {
        pass(rig, NS_PER_SECOND / 5);
        assert_in_range(count(rig, "pods", ""), 0, 2);
    }
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(2, number(&d, "status", "updatedReplicas"));
    assert_int_equal(2, number(&d, "status", "availableReplicas"));
    rig_destroy(rig);
}

static void broken_rollout_exceeds_its_deadline(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "2", ",\"progressDeadlineSeconds\":30", "nginx:1", ""));
    pass(rig, 3 * NS_PER_SECOND);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{"
                                    "\"skiff.dev/sim-fail\":\"ImagePullBackOff\"}}}}}"));
    pass(rig, 20 * NS_PER_SECOND);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    expect_condition(&d, "Progressing", "True", "ReplicaSetUpdated");
    expect_condition(&d, "Available", "True", "MinimumReplicasAvailable");
    pass(rig, 20 * NS_PER_SECOND);
    d = get(rig, DEPLOYMENTS, "web");
    expect_condition(&d, "Progressing", "False", "ProgressDeadlineExceeded");
    assert_int_equal(2, number(&d, "status", "availableReplicas")); // the old ones go on
    expect_rest(rig);
    rig_destroy(rig);
}

static void scaling_and_pausing(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS, DEPLOYMENT("web", "2"));
    pass(rig, NS_PER_SECOND);
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"replicas\":5,\"paused\":true}}"));
    pass(rig, NS_PER_SECOND);
    assert_int_equal(5, count(rig, "pods", ""));
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    expect_condition(&d, "Progressing", "Unknown", "DeploymentPaused");
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{"
                                    "\"name\":\"c\",\"image\":\"nginx:2\"}]}}}}"));
    pass(rig, NS_PER_SECOND);
    assert_int_equal(1, count(rig, REPLICA_SETS, "")); // paused: nothing rolls
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, DEPLOYMENTS, NS, "web",
                                    "{\"spec\":{\"paused\":false,\"replicas\":1}}"));
    pass(rig, 5 * NS_PER_SECOND);
    assert_int_equal(1, count(rig, "pods", ""));
    d = get(rig, DEPLOYMENTS, "web");
    expect_condition(&d, "Progressing", "True", "NewReplicaSetAvailable");
    rig_destroy(rig);
}

static void history_is_limited(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS, DEPLOYMENT_OF("web", "1", ",\"revisionHistoryLimit\":2", "nginx:0", ""));
    for (int i = 1; i < 6; i++) {
        pass(rig, 2 * NS_PER_SECOND);
        char patch[200];
        snprintf(patch, sizeof patch,
                 "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":"
                 "\"nginx:%d\"}]}}}}",
                 i);
        assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, DEPLOYMENTS, NS, "web", patch));
    }
    pass(rig, 2 * NS_PER_SECOND);
    assert_int_equal(3, count(rig, REPLICA_SETS, ""));
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_true(str_eq_c(
        doc_get_str(&d, "metadata", "annotations", "deployment.kubernetes.io/revision"), "6"));
    rig_destroy(rig);
}

#define JOB(name, spec, annotations)                                                      \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" spec                               \
    "\"template\":{\"metadata\":{\"annotations\":{" annotations                           \
    "}},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":" \
    "\"busybox\"}]}}}}"

static void jobs_complete(void **state) {
    struct rig *rig = start(1);
    put(rig, JOBS, JOB("one", "", "\"skiff.dev/sim-run-duration\":\"3s\""));
    put(rig, JOBS, JOB("many", "\"completions\":5,\"parallelism\":2,", ""));
    put(rig, JOBS,
        JOB("indexed", "\"completions\":3,\"parallelism\":3,\"completionMode\":\"Indexed\",", ""));
    pass(rig, NS_PER_SECOND);
    struct doc_value job = get(rig, JOBS, "one");
    assert_int_equal(1, number(&job, "status", "active"));
    assert_true(doc_get_str(&job, "status", "startTime").n > 0);
    pass(rig, 5 * NS_PER_SECOND);
    static const struct {
        const char *name;
        int64_t succeeded;
    } wanted[] = {{"one", 1}, {"many", 5}, {"indexed", 3}};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        job = get(rig, JOBS, wanted[i].name);
        assert_int_equal(wanted[i].succeeded, number(&job, "status", "succeeded"));
        assert_null(doc_get(&job, "status", "active"));
        assert_true(doc_get_str(&job, "status", "completionTime").n > 0);
        expect_condition(&job, "Complete", "True", "CompletionsReached");
    }
    assert_true(str_eq_c(doc_get_str(&job, "status", "completedIndexes"), "0-2"));
    expect_rest(rig);
    rig_destroy(rig);
}

static void jobs_fail_and_retry(void **state) {
    struct rig *rig = start(1);
    put(rig, JOBS, JOB("never", "\"backoffLimit\":2,", "\"skiff.dev/sim-fail\":\"Error\""));
    put(rig, JOBS,
        JOB("later", "\"backoffLimit\":3,",
            "\"skiff.dev/sim-fail\":\"Error\",\"skiff.dev/sim-fail-times\":\"2\","
            "\"skiff.dev/sim-retry-delay\":\"1s\""));
    put(rig, JOBS,
        JOB("late", "\"activeDeadlineSeconds\":5,", "\"skiff.dev/sim-run-duration\":\"1h\""));
    put(rig, JOBS, JOB("kept", "\"ttlSecondsAfterFinished\":600,", ""));
    put(rig, JOBS, JOB("waits", "\"suspend\":true,", ""));
    pass(rig, 90 * NS_PER_SECOND);
    struct doc_value job = get(rig, JOBS, "never");
    expect_condition(&job, "Failed", "True", "BackoffLimitExceeded");
    assert_int_equal(3, number(&job, "status", "failed"));
    job = get(rig, JOBS, "later");
    expect_condition(&job, "Complete", "True", "CompletionsReached");
    assert_int_equal(2, number(&job, "status", "failed"));
    job = get(rig, JOBS, "late");
    expect_condition(&job, "Failed", "True", "DeadlineExceeded");
    job = get(rig, JOBS, "waits");
    expect_condition(&job, "Suspended", "True", "JobSuspended");
    assert_int_equal(200, rig_get(rig, JOBS, NS, "kept"));
    assert_int_equal(
        200, rig_patch(rig, KUBE_PATCH_MERGE, JOBS, NS, "waits", "{\"spec\":{\"suspend\":false}}"));
    pass(rig, 600 * NS_PER_SECOND);
    job = get(rig, JOBS, "waits");
    expect_condition(&job, "Complete", "True", "CompletionsReached");
    assert_int_equal(404, rig_get(rig, JOBS, NS, "kept"));
    rig_destroy(rig);
}

static void crash_loop_recovers(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "1", "", "nginx:1",
                      "\"skiff.dev/sim-fail\":\"CrashLoopBackOff\",\"skiff.dev/sim-fail-times\":"
                      "\"2\""));
    pass(rig, 2 * NS_PER_SECOND);
    struct doc_value pods = list(rig, "pods", "");
    const struct doc_value *pod = doc_at(doc_get(&pods, "items"), 0);
    const struct doc_value *first = doc_at(doc_get(pod, "status", "containerStatuses"), 0);
    assert_true(str_eq_c(doc_get_str(first, "state", "waiting", "reason"), "CrashLoopBackOff"));
    pass(rig, 60 * NS_PER_SECOND);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(1, number(&d, "status", "availableReplicas"));
    pods = list(rig, "pods", "");
    first = doc_at(doc_get(doc_at(doc_get(&pods, "items"), 0), "status", "containerStatuses"), 0);
    assert_int_equal(2, doc_int(doc_get(first, "restartCount"), 0));
    rig_destroy(rig);
}

static void stateful_and_daemon_sets(void **state) {
    struct rig *rig = start(3);
    put(rig, STATEFUL_SETS,
        "{\"metadata\":{\"name\":\"db\"},\"spec\":{\"replicas\":3,\"serviceName\":\"db\","
        "\"selector\":{\"matchLabels\":{\"app\":\"db\"}},\"volumeClaimTemplates\":[{\"metadata\":"
        "{\"name\":\"data\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{"
        "\"requests\":{\"storage\":\"1Gi\"}}}}],\"template\":" POD_TEMPLATE("db", "pg:1", "") "}}");
    put(rig, DAEMON_SETS,
        "{\"metadata\":{\"name\":\"agent\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":"
        "\"agent\"}},\"template\":" POD_TEMPLATE("agent", "agent:1", "") "}}");
    pass(rig, 5 * NS_PER_SECOND);
    struct doc_value set = get(rig, STATEFUL_SETS, "db");
    assert_int_equal(3, number(&set, "status", "readyReplicas"));
    assert_int_equal(3, number(&set, "status", "currentReplicas"));
    assert_true(str_eq(doc_get_str(&set, "status", "currentRevision"),
                       doc_get_str(&set, "status", "updateRevision")));
    get(rig, "pods", "db-2");
    struct doc_value claim = get(rig, "persistentvolumeclaims", "data-db-2");
    assert_true(str_eq_c(doc_get_str(&claim, "status", "phase"), "Bound"));
    struct doc_value daemon = get(rig, DAEMON_SETS, "agent");
    assert_int_equal(3, number(&daemon, "status", "desiredNumberScheduled"));
    assert_int_equal(3, number(&daemon, "status", "numberAvailable"));
    static const char *const kinds[] = {STATEFUL_SETS, DAEMON_SETS};
    static const char *const names[] = {"db", "agent"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(200, rig_patch(rig, KUBE_PATCH_STRATEGIC, kinds[i], NS, names[i],
                                        "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{"
                                        "\"name\":\"c\",\"image\":\"new:2\"}]}}}}"));
    }
    pass(rig, 10 * NS_PER_SECOND);
    struct doc_value pods = list(rig, "pods", "");
    assert_int_equal(6, doc_len(doc_get(&pods, "items")));
    for (DOC_EACH_ITEM(doc_get(&pods, "items"), pod)) {
        assert_true(
            str_eq_c(doc_get_str(doc_at(doc_get(pod, "spec", "containers"), 0), "image"), "new:2"));
    }
    set = get(rig, STATEFUL_SETS, "db");
    assert_int_equal(3, number(&set, "status", "updatedReplicas"));
    daemon = get(rig, DAEMON_SETS, "agent");
    assert_int_equal(3, number(&daemon, "status", "updatedNumberScheduled"));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, STATEFUL_SETS, NS, "db",
                                    "{\"spec\":{\"replicas\":1}}"));
    pass(rig, 5 * NS_PER_SECOND);
    assert_int_equal(1, count(rig, "pods", "app=db"));
    expect_rest(rig);
    rig_destroy(rig);
}

static void addresses_are_given(void **state) {
    struct rig *rig = start(1);
    put(rig, "services",
        "{\"metadata\":{\"name\":\"lb\"},\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":"
        "80}]}}");
    put(rig, INGRESSES,
        "{\"metadata\":{\"name\":\"in\"},\"spec\":{\"defaultBackend\":{\"service\":{\"name\":"
        "\"lb\",\"port\":{\"number\":80}}}}}");
    pass(rig, NS_PER_SECOND);
    struct doc_value service = get(rig, "services", "lb");
    assert_int_equal(1, doc_len(doc_get(&service, "status", "loadBalancer", "ingress")));
    struct doc_value ingress = get(rig, INGRESSES, "in");
    assert_int_equal(1, doc_len(doc_get(&ingress, "status", "loadBalancer", "ingress")));
    expect_rest(rig);
    rig_destroy(rig);
}

static int delete_with(struct rig *rig, const char *gvr, const char *name,
                       enum kube_propagation propagation) {
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = rig_gvr(gvr),
                                   .ns = STR(NS),
                                   .name = str_from(name),
                                   .propagation = propagation,
                                   .grace_seconds = -1};
    return rig_call(rig, &request);
}

static void deleting_cascades(void **state) {
    static const enum kube_propagation ways[] = {KUBE_PROPAGATION_DEFAULT, KUBE_BACKGROUND,
                                                 KUBE_FOREGROUND, KUBE_ORPHAN};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct rig *rig = start(1);
        put(rig, DEPLOYMENTS,
            DEPLOYMENT_OF("web", "2", "", "nginx:1", "\"skiff.dev/sim-stop-delay\":\"1s\""));
        put(rig, "services", SERVICE("web"));
        pass(rig, 2 * NS_PER_SECOND);
        assert_int_equal(200, delete_with(rig, DEPLOYMENTS, "web", ways[i]));
        assert_int_equal(200, rig_delete(rig, "services", NS, "web"));
        if (ways[i] == KUBE_FOREGROUND) {
            assert_int_equal(200, rig_get(rig, DEPLOYMENTS, NS, "web"));
        }
        pass(rig, 5 * NS_PER_SECOND);
        if (rig_get(rig, DEPLOYMENTS, NS, "web") != 404) {
            fail_msg("way %d: %.*s", (int)ways[i], STR_ARG(rig->body));
        }
        size_t left = ways[i] == KUBE_ORPHAN;
        assert_int_equal(left, count(rig, REPLICA_SETS, ""));
        assert_int_equal(2 * left, count(rig, "pods", ""));
        assert_int_equal(0, count(rig, SLICES, ""));
        if (left) { // made again, it takes what was left over
            put(rig, DEPLOYMENTS,
                DEPLOYMENT_OF("web", "2", "", "nginx:1", "\"skiff.dev/sim-stop-delay\":\"1s\""));
            pass(rig, 2 * NS_PER_SECOND);
            assert_int_equal(1, count(rig, REPLICA_SETS, ""));
            assert_int_equal(2, count(rig, "pods", ""));
            struct doc_value d = get(rig, DEPLOYMENTS, "web");
            assert_int_equal(2, number(&d, "status", "availableReplicas"));
        }
        expect_rest(rig);
        rig_destroy(rig);
    }
}

static void dependents_need_their_own_owner(void **state) {
    struct rig *rig = start(1);
    put(rig, "configmaps", "{\"metadata\":{\"name\":\"owner\"}}");
    struct doc_value owner = get(rig, "configmaps", "owner");
    char body[600];
    static const char *const forms[] = {
        // with a wrong uid, with the right one, with one of each
        "{\"metadata\":{\"name\":\"stale\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
        "\"ConfigMap\",\"name\":\"owner\",\"uid\":\"0%.*s\"}]}}",
        "{\"metadata\":{\"name\":\"good\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
        "\"ConfigMap\",\"name\":\"owner\",\"uid\":\"%.*s\"}]}}",
        "{\"metadata\":{\"name\":\"both\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
        "\"ConfigMap\",\"name\":\"owner\",\"uid\":\"%.*s\"},{\"apiVersion\":\"v1\",\"kind\":"
        "\"ConfigMap\",\"name\":\"none\",\"uid\":\"x\"}]}}",
        "{\"metadata\":{\"name\":\"strange\",\"ownerReferences\":[{\"apiVersion\":\"what.io/v1\","
        "\"kind\":\"Ever\",\"name\":\"owner\",\"uid\":\"%.*s\"}]}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        snprintf(body, sizeof body, forms[i], STR_ARG(doc_get_str(&owner, "metadata", "uid")));
        put(rig, "secrets", body);
    }
    pass(rig, NS_PER_SECOND);
    assert_int_equal(404, rig_get(rig, "secrets", NS, "stale"));
    assert_int_equal(200, rig_get(rig, "secrets", NS, "strange")); // an unknown kind is no proof
    struct doc_value both = get(rig, "secrets", "both");
    assert_int_equal(1, doc_len(doc_get(&both, "metadata", "ownerReferences")));
    assert_int_equal(200, rig_delete(rig, "configmaps", NS, "owner"));
    pass(rig, NS_PER_SECOND);
    assert_int_equal(404, rig_get(rig, "secrets", NS, "good"));
    assert_int_equal(404, rig_get(rig, "secrets", NS, "both"));
    rig_destroy(rig);
}

static void namespaces_terminate(void **state) {
    struct rig *rig = start(1);
    put(rig, DEPLOYMENTS, DEPLOYMENT("web", "3"));
    put(rig, "services", SERVICE("web"));
    put(rig, JOBS, JOB("one", "", ""));
    put(rig, "configmaps", "{\"metadata\":{\"name\":\"held\",\"finalizers\":[\"a.io/b\"]}}");
    pass(rig, 2 * NS_PER_SECOND);
    assert_int_equal(200, rig_delete(rig, "namespaces", "", NS));
    pass(rig, 30 * NS_PER_SECOND);
    assert_int_equal(200, rig_get(rig, "namespaces", "", NS));
    assert_string_equal("Terminating", RIG_TEXT(rig, "status", "phase"));
    assert_int_equal(0, count(rig, "pods", ""));
    assert_int_equal(403,
                     rig_create_object(rig, "configmaps", NS, "{\"metadata\":{\"name\":\"x\"}}"));
    assert_int_equal(200, rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", NS, "held",
                                    "{\"metadata\":{\"finalizers\":[]}}"));
    pass(rig, 10 * NS_PER_SECOND);
    assert_int_equal(404, rig_get(rig, "namespaces", "", NS));
    expect_rest(rig);
    rig_destroy(rig);
}

static void definitions_take_their_instances_with_them(void **state) {
    struct rig *rig = start(1);
    assert_int_equal(
        201,
        rig_create_object(
            rig, "apiextensions.k8s.io/v1/customresourcedefinitions", "",
            "{\"metadata\":{\"name\":\"things.a.io\"},\"spec\":{\"group\":\"a.io\",\"scope\":"
            "\"Namespaced\",\"names\":{\"plural\":\"things\",\"singular\":\"thing\",\"kind\":"
            "\"Thing\",\"listKind\":\"ThingList\"},\"versions\":[{\"name\":\"v1\",\"served\":true,"
            "\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\","
            "\"x-kubernetes-preserve-unknown-fields\":true}}}]}}"));
    pass(rig, NS_PER_SECOND);
    put(rig, "a.io/v1/things", "{\"metadata\":{\"name\":\"t\"},\"spec\":{}}");
    struct doc_value thing = get(rig, "a.io/v1/things", "t");
    char body[400];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"made\",\"ownerReferences\":[{\"apiVersion\":\"a.io/v1\","
             "\"kind\":\"Thing\",\"name\":\"t\",\"uid\":\"%.*s\"}]}}",
             STR_ARG(doc_get_str(&thing, "metadata", "uid")));
    put(rig, "configmaps", body);
    pass(rig, NS_PER_SECOND);
    assert_int_equal(200, rig_get(rig, "configmaps", NS, "made"));
    assert_int_equal(200, rig_delete(rig, "apiextensions.k8s.io/v1/customresourcedefinitions", "",
                                     "things.a.io"));
    pass(rig, 5 * NS_PER_SECOND);
    assert_int_equal(
        404, rig_get(rig, "apiextensions.k8s.io/v1/customresourcedefinitions", "", "things.a.io"));
    assert_int_equal(404, rig_get(rig, "a.io/v1/things", NS, "t"));
    assert_int_equal(404, rig_get(rig, "configmaps", NS, "made"));
    rig_destroy(rig);
}

static void a_restart_goes_on(void **state) {
    struct rig *rig = start(2);
    put(rig, DEPLOYMENTS,
        DEPLOYMENT_OF("web", "3", "", "nginx:1", "\"skiff.dev/sim-start-delay\":\"2s\""));
    put(rig, JOBS, JOB("one", "", "\"skiff.dev/sim-run-duration\":\"3s\""));
    pass(rig, NS_PER_SECOND / 2);
    apiserver_destroy(rig->server);
    store_memory_crash(rig->store);
    rig_settle(rig);
    struct apiserver_options options = {.loop = rig->loop, .store = rig->store, .nodes = 2};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    assert_non_null(rig->server);
    pass(rig, 10 * NS_PER_SECOND);
    struct doc_value d = get(rig, DEPLOYMENTS, "web");
    assert_int_equal(3, number(&d, "status", "availableReplicas"));
    struct doc_value job = get(rig, JOBS, "one");
    expect_condition(&job, "Complete", "True", "CompletionsReached");
    assert_int_equal(4, count(rig, "pods", ""));
    expect_rest(rig);
    rig_destroy(rig);
}

static void many_deployments(void **state) {
    struct rig *rig = start(3);
    pass(rig, NS_PER_SECOND);
    enum { MANY = 200 };
    int64_t before = apiserver_revision(rig->server);
    for (int i = 0; i < MANY; i++) {
        char body[2000];
        snprintf(body, sizeof body,
                 "{\"metadata\":{\"name\":\"d%d\"},\"spec\":{\"selector\":{\"matchLabels\":{"
                 "\"app\":\"d%d\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"d%d\"}},"
                 "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}",
                 i, i, i);
        put(rig, DEPLOYMENTS, body);
        snprintf(body, sizeof body,
                 "{\"metadata\":{\"name\":\"d%d\"},\"spec\":{\"selector\":{\"app\":\"d%d\"},"
                 "\"ports\":[{\"port\":80}]}}",
                 i, i);
        put(rig, "services", body);
    }
    pass(rig, 3 * NS_PER_SECOND);
    struct doc_value all = list(rig, DEPLOYMENTS, "");
    for (DOC_EACH_ITEM(doc_get(&all, "items"), d)) {
        assert_int_equal(1, number(d, "status", "availableReplicas"));
    }
    int64_t writes = writes_since(rig, before);
    if (writes > 10 * MANY) {
        fail_msg("%lld writes", (long long)writes);
    }
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deployment_becomes_available),
        cmocka_unit_test(pods_stay_pending_without_a_node),
        cmocka_unit_test(delays_show_each_step),
        cmocka_unit_test(rolling_update_keeps_its_bounds),
        cmocka_unit_test(recreate_never_mixes),
        cmocka_unit_test(broken_rollout_exceeds_its_deadline),
        cmocka_unit_test(scaling_and_pausing),
        cmocka_unit_test(history_is_limited),
        cmocka_unit_test(jobs_complete),
        cmocka_unit_test(jobs_fail_and_retry),
        cmocka_unit_test(crash_loop_recovers),
        cmocka_unit_test(stateful_and_daemon_sets),
        cmocka_unit_test(addresses_are_given),
        cmocka_unit_test(deleting_cascades),
        cmocka_unit_test(dependents_need_their_own_owner),
        cmocka_unit_test(namespaces_terminate),
        cmocka_unit_test(definitions_take_their_instances_with_them),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(many_deployments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
