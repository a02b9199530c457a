// SPDX-License-Identifier: Apache-2.0
// The planners alone, by tables: objects in, writes out.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "apiserver/workloads/plan.h"

#define NOW (1000 * NS_PER_SECOND)

static struct doc_value parse(struct arena *arena, const char *text) {
    // Single quotes keep the tables readable.
    struct str copy = arena_dup(arena, str_from(text));
    char *at = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++) {
        at[i] = at[i] == '\'' ? '"' : at[i];
    }
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(copy, arena, &value, &err)) {
        fail_msg("%s: %s", err.message, text);
    }
    return value;
}

// "create pods; patch replicasets/old {"spec":{"replicas":1}}; status deployments/web ..." without bodies of creations
// and statuses.
static struct str describe(const struct wl_plan *plan) {
    struct str out = {"", 0};
    for (size_t i = 0; i < plan->count; i++) {
        const struct wl_write *w = &plan->writes[i];
        struct str text = STR("");
        if (w->verb == KUBE_CREATE) {
            const struct doc_value *replicas = doc_get(&w->body, "spec", "replicas");
            text = replicas ? arena_printf(plan->arena, " %lld", (long long)doc_int(replicas, 0))
                            : text;
        } else if (w->verb == KUBE_PATCH && !w->subresource.n) {
            const struct doc_value *replicas = doc_get(&w->body, "spec", "replicas");
            text = replicas ? arena_printf(plan->arena, " to %lld", (long long)doc_int(replicas, 0))
                            : text;
        }
        if ((w->subresource.n && w->verb == KUBE_PATCH) || w->gvr == &wl_revisions) {
            continue;
        }
        out = arena_printf(plan->arena, "%.*s%s%s %.*s%s%.*s%.*s", STR_ARG(out), out.n ? "; " : "",
                           w->verb == KUBE_CREATE  ? "create"
                           : w->verb == KUBE_PATCH ? "patch"
                                                   : "delete",
                           STR_ARG(w->gvr->resource), w->name.n ? "/" : "", STR_ARG(w->name),
                           STR_ARG(text));
    }
    return out;
}

static void expect_plan(const char *name, const char *want, const struct wl_plan *plan) {
    struct str got = describe(plan);
    if (!str_eq_c(got, want)) {
        fail_msg("%s\n  want: %s\n  got:  %.*s", name, want, STR_ARG(got));
    }
}

// ---- Deployments ----
struct set_row {
    const char *name;
    int image, replicas, available, created; // image 0 ends the list
    int desired;                             // annotation; 0: as the Deployment says
};
struct deployment_row {
    const char *name, *spec; // spec: strategy and the like, ends in a comma
    int replicas;
    struct set_row sets[4];
    const char *want;
};

#define TEMPLATE "'template':{'metadata':{'labels':{'app':'w'}},'spec':{'image':'%d'}}"
#define STEP "'strategy':{'rollingUpdate':{'maxSurge':%s,'maxUnavailable':%s}},"

static const struct deployment_row deployments[] = {
    {"a new one", "", 3, {{0}}, "create replicasets 3"},
    {"at rest", "", 3, {{"new", 1, 3, 3, 1, 0}}, ""},
    {"a new template: one more, one less",
     "",
     4,
     {{"old", 2, 4, 4, 1, 0}},
     "create replicasets 1; patch replicasets/old to 3"},
    {"without surge, old ones go first",
     "'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':1}},",
     2,
     {{"old", 2, 2, 2, 1, 0}},
     "create replicasets 0; patch replicasets/old to 1"},
    {"both zero never stands still",
     "'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':0}},",
     1,
     {{"old", 2, 1, 1, 1, 0}},
     "create replicasets 0; patch replicasets/old to 0"},
    {"an available new pod frees an old one",
     "",
     4,
     {{"old", 2, 4, 4, 1, 0}, {"new", 1, 1, 1, 2, 0}},
     "patch replicasets/old to 2"},
    {"an unavailable new pod frees only what may be unavailable",
     "",
     4,
     {{"old", 2, 4, 4, 1, 0}, {"new", 1, 1, 0, 2, 0}},
     "patch replicasets/old to 3"},
    {"broken old pods go first, though none is available",
     "",
     4,
     {{"old", 2, 4, 0, 1, 0}, {"new", 1, 1, 0, 2, 0}},
     "patch replicasets/old to 3"},
    {"two old sets, the older first",
     "'strategy':{'rollingUpdate':{'maxSurge':1,'maxUnavailable':0}},",
     4,
     {{"older", 3, 2, 2, 1, 0}, {"old", 2, 2, 2, 2, 0}, {"new", 1, 1, 1, 3, 0}},
     "patch replicasets/older to 1"},
    {"scaled up", "", 5, {{"new", 1, 3, 3, 1, 3}}, "patch replicasets/new to 5"},
    {"scaled down", "", 1, {{"new", 1, 3, 3, 1, 3}}, "patch replicasets/new to 1"},
    {"scaled to nothing", "", 0, {{"new", 1, 3, 3, 1, 3}}, "patch replicasets/new to 0"},
    {"scaled during a roll-out, each gets its share",
     "'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':1}},",
     20,
     {{"old", 2, 6, 6, 1, 10}, {"new", 1, 4, 4, 2, 10}},
     "patch replicasets/old to 12; patch replicasets/new to 8"},
    {"paused: nothing rolls", "'paused':true,", 3, {{"old", 2, 3, 3, 1, 0}}, ""},
    {"paused: but it scales",
     "'paused':true,",
     4,
     {{"old", 2, 3, 3, 1, 3}},
     "patch replicasets/old to 4"},
    {"recreate stops everything first",
     "'strategy':{'type':'Recreate'},",
     2,
     {{"old", 2, 2, 2, 1, 0}},
     "patch replicasets/old to 0"},
    {"recreate starts when nothing is left",
     "'strategy':{'type':'Recreate'},",
     2,
     {{"old", 2, 0, 0, 1, 0}},
     "create replicasets 2"},
    {"history beyond its limit",
     "'revisionHistoryLimit':1,",
     1,
     {{"older", 3, 0, 0, 1, 0}, {"old", 2, 0, 0, 2, 0}, {"new", 1, 1, 1, 3, 0}},
     "delete replicasets/older"},
    {"history stays while the roll-out runs",
     "'revisionHistoryLimit':0,",
     1,
     {{"old", 2, 0, 0, 1, 0}, {"new", 1, 1, 0, 2, 0}},
     ""},
};

static struct doc_value make_set(struct arena *arena, const struct deployment_row *row,
                                 const struct set_row *set, int revision) {
    int desired = set->desired ? set->desired : row->replicas;
    struct doc_value quarter = DOC_S("25%");
    int surge = str_has(str_from(row->spec), STR("'maxSurge':0")) ||
                        str_has(str_from(row->spec), STR("Recreate"))
                    ? 0
                : str_has(str_from(row->spec), STR("'maxSurge':1"))
                    ? 1
                    : (int)wl_scaled(&quarter, desired, true);
    char text[1200];
    snprintf(text, sizeof text,
             "{'metadata':{'name':'%s','namespace':'n','uid':'%s','creationTimestamp':"
             "'2026-01-01T00:00:0%dZ','annotations':{'deployment.kubernetes.io/revision':'%d',"
             "'deployment.kubernetes.io/desired-replicas':'%d',"
             "'deployment.kubernetes.io/max-replicas':'%d'}},'spec':{'replicas':%d," TEMPLATE
             "},'status':{'replicas':%d,'readyReplicas':%d,'availableReplicas':%d}}",
             set->name, set->name, set->created, revision, desired, desired + surge, set->replicas,
             set->image, set->replicas, set->available, set->available);
    return parse(arena, text);
}

static void plans_deployments(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(deployments); i++) {
        const struct deployment_row *row = &deployments[i];
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[1200];
        snprintf(text, sizeof text,
                 "{'metadata':{'name':'web','namespace':'n','uid':'d','generation':1},'spec':{%s"
                 "'replicas':%d,'selector':{'matchLabels':{'app':'w'}}," TEMPLATE "}}",
                 row->spec, row->replicas, 1);
        struct doc_value deployment = parse(arena, text);
        struct doc_value objects[4];
        struct wl_replica_set sets[4] = {0};
        size_t count = 0;
        for (; count < 4 && row->sets[count].image; count++) {
            objects[count] = make_set(arena, row, &row->sets[count], (int)count + 1);
            sets[count].object = &objects[count];
            sets[count].pods_left = (size_t)row->sets[count].replicas;
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, NOW);
        wl_plan_deployment(&plan, &deployment, sets, count);
        expect_plan(row->name, row->want, &plan);
    }
}

// ---- ReplicaSets, StatefulSets, DaemonSets: pods as "name phase ready deleting revision" ----
struct pod_row {
    const char *name; // NULL ends the list
    enum wl_phase phase;
    bool ready, deleting;
    const char *revision, *node;
};
struct pods_row {
    const char *name;
    char kind; // r, s, d
    const char *spec;
    struct pod_row pods[5];
    const char *want;
};

// Stands for the revision of the present template.
#define CURRENT "current"

static const struct pods_row with_pods[] = {
    {"none yet", 'r', "'replicas':2", {{0}}, "create pods; create pods"},
    {"one is missing",
     'r',
     "'replicas':2",
     {{"a", WL_RUNNING, true, false, "", "n0"}},
     "create pods"},
    {"a finished pod does not count",
     'r',
     "'replicas':1",
     {{"a", WL_FAILED, false, false, "", "n0"}},
     "create pods"},
    {"a deleted pod does not count",
     'r',
     "'replicas':1",
     {{"a", WL_RUNNING, true, true, "", "n0"}},
     "create pods"},
    {"too many: the least useful goes",
     'r',
     "'replicas':1",
     {{"a", WL_RUNNING, true, false, "", "n0"}, {"b", WL_PENDING, false, false, "", "n0"}},
     "delete pods/b"},
    {"too many: unscheduled before pending",
     'r',
     "'replicas':2",
     {{"a", WL_PENDING, false, false, "", "n0"},
      {"b", WL_PENDING, false, false, "", ""},
      {"c", WL_RUNNING, true, false, "", "n0"}},
     "delete pods/b"},
    {"first of a set", 's', "'replicas':3", {{0}}, "create pods"},
    {"the next waits for the one before",
     's',
     "'replicas':3",
     {{"s-0", WL_RUNNING, false, false, CURRENT, "n0"}},
     ""},
    {"the next one",
     's',
     "'replicas':3",
     {{"s-0", WL_RUNNING, true, false, CURRENT, "n0"}},
     "create pods"},
    {"all at once",
     's',
     "'replicas':3,'podManagementPolicy':'Parallel'",
     {{"s-1", WL_RUNNING, false, false, CURRENT, "n0"}},
     "create pods; create pods"},
    {"scaled down from the end",
     's',
     "'replicas':1",
     {{"s-0", WL_RUNNING, true, false, CURRENT, "n0"},
      {"s-1", WL_RUNNING, true, false, CURRENT, "n0"},
      {"s-2", WL_RUNNING, true, false, CURRENT, "n0"}},
     "delete pods/s-2"},
    {"replaced from the end",
     's',
     "'replicas':2",
     {{"s-0", WL_RUNNING, true, false, "old", "n0"}, {"s-1", WL_RUNNING, true, false, "old", "n0"}},
     "delete pods/s-1"},
    {"not below the partition",
     's',
     "'replicas':2,'updateStrategy':{'rollingUpdate':{'partition':1}}",
     {{"s-0", WL_RUNNING, true, false, "old", "n0"},
      {"s-1", WL_RUNNING, true, false, CURRENT, "n0"}},
     ""},
    {"only by hand",
     's',
     "'replicas':1,'updateStrategy':{'type':'OnDelete'}",
     {{"s-0", WL_RUNNING, true, false, "old", "n0"}},
     ""},
    {"a failed one is made again",
     's',
     "'replicas':1",
     {{"s-0", WL_FAILED, false, false, CURRENT, "n0"}},
     "delete pods/s-0"},
    {"one on each node", 'd', "'x':1", {{0}}, "create pods; create pods"},
    {"one node has it",
     'd',
     "'x':1",
     {{"a", WL_RUNNING, true, false, CURRENT, "n0"}},
     "create pods"},
    {"one at a time",
     'd',
     "'x':1",
     {{"a", WL_RUNNING, true, false, "old", "n0"}, {"b", WL_RUNNING, true, false, "old", "n1"}},
     "delete pods/a"},
    {"not while one is unavailable",
     'd',
     "'x':1",
     {{"a", WL_RUNNING, true, false, "old", "n0"}, {"b", WL_RUNNING, false, false, CURRENT, "n1"}},
     ""},
    {"all at once where allowed",
     'd',
     "'updateStrategy':{'rollingUpdate':{'maxUnavailable':'100%'}}",
     {{"a", WL_RUNNING, true, false, "old", "n0"}, {"b", WL_RUNNING, true, false, "old", "n1"}},
     "delete pods/a; delete pods/b"},
    {"not on a node that is gone",
     'd',
     "'x':1",
     {{"a", WL_RUNNING, true, false, CURRENT, "n0"},
      {"b", WL_RUNNING, true, false, CURRENT, "n1"},
      {"c", WL_RUNNING, true, false, CURRENT, "n2"}},
     "delete pods/c"},
    {"one too many on a node",
     'd',
     "'x':1",
     {{"a", WL_RUNNING, true, false, "old", "n0"},
      {"b", WL_RUNNING, true, false, CURRENT, "n0"},
      {"c", WL_RUNNING, true, false, CURRENT, "n1"}},
     "delete pods/a"},
};

static void plans_pods(void **state) {
    static const struct wl_node nodes[] = {{.name = STR_INIT("n0")}, {.name = STR_INIT("n1")}};
    struct wl_world world = {.nodes = nodes, .node_count = 2};
    for (size_t i = 0; i < ARRAY_LEN(with_pods); i++) {
        const struct pods_row *row = &with_pods[i];
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[600];
        snprintf(text, sizeof text,
                 "{'metadata':{'name':'s','namespace':'n','uid':'u'},'spec':{%s,'template':{"
                 "'spec':{}}}}",
                 row->spec);
        struct doc_value object = parse(arena, text);
        struct str hash = wl_hash_name(arena, doc_get(&object, "spec", "template"), 0);
        struct str revision =
            row->kind == 's' ? arena_printf(arena, "s-%.*s", STR_ARG(hash)) : hash;
        struct wl_pod pods[5];
        const struct wl_pod *list[5];
        size_t count = 0;
        for (; count < 5 && row->pods[count].name; count++) {
            const struct pod_row *pod = &row->pods[count];
            bool current = pod->revision == str_from(CURRENT).p || !strcmp(pod->revision, CURRENT);
            pods[count] = (struct wl_pod){
                .name = str_from(pod->name),
                .uid = str_from(pod->name),
                .node = str_from(pod->node),
                .revision = current ? revision : str_from(pod->revision),
                .phase = pod->phase,
                .ready = pod->ready,
                .deleting = pod->deleting,
                .index = row->kind == 's' ? pod->name[2] - '0' : -1,
            };
            list[count] = &pods[count];
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, NOW);
        if (row->kind == 'r') {
            wl_plan_replica_set(&plan, &object, list, count, &world);
        } else {
            (row->kind == 's' ? wl_plan_stateful_set : wl_plan_daemon_set)(&plan, &object, list,
                                                                           count, NULL, 0, &world);
        }
        expect_plan(row->name, row->want, &plan);
    }
}

// ---- Pods: status in, phase and first container's state out ----
static const struct {
    const char *name, *annotations, *restart, *status;
    int64_t elapsed_ms;
    const char *want; // "" when nothing is written
    int64_t requeue_ms;
} pod_rows[] = {
    {"at once", "", "Always", "null", 0, "Running running true", 0},
    {"a delay first", "'skiff.dev/sim-start-delay':'2s'", "Always", "null", 0,
     "Pending ContainerCreating false", 0},
    {"still waiting", "'skiff.dev/sim-start-delay':'2s'", "Always",
     "{'containerStatuses':[{'state':{'waiting':{'reason':'ContainerCreating'}}}]}", 500, "", 1500},
    {"waited enough", "'skiff.dev/sim-start-delay':'2s'", "Always",
     "{'containerStatuses':[{'state':{'waiting':{'reason':'ContainerCreating'}}}]}", 2000,
     "Running running true", 0},
    {"ends at once", "", "Never", "null", 0, "Succeeded terminated false", 0},
    {"ends later", "'skiff.dev/sim-run-duration':'3s'", "Never", "null", 0, "Running running true",
     0},
    {"has run", "'skiff.dev/sim-run-duration':'3s'", "Never",
     "{'phase':'Running','containerStatuses':[{'state':{'running':{}}}]}", 3000,
     "Succeeded terminated false", 0},
    {"fails", "'skiff.dev/sim-fail':'Error'", "Never", "null", 0, "Failed terminated false", 0},
    {"fails no more",
     "'skiff.dev/sim-fail':'Error','skiff.dev/sim-fail-times':'1',"
     "'skiff.dev/sim-attempt':'1'",
     "Never", "null", 0, "Succeeded terminated false", 0},
    {"cannot pull", "'skiff.dev/sim-fail':'ImagePullBackOff'", "Always",
     "{'containerStatuses':[{'state':{'waiting':{'reason':'ContainerCreating'}}}]}", 0,
     "Pending ErrImagePull false", 0},
    {"backs off pulling", "'skiff.dev/sim-fail':'ImagePullBackOff'", "Always",
     "{'containerStatuses':[{'state':{'waiting':{'reason':'ErrImagePull'}}}]}", 1000,
     "Pending ImagePullBackOff false", 0},
    {"never pulls", "'skiff.dev/sim-fail':'ImagePullBackOff'", "Always",
     "{'containerStatuses':[{'state':{'waiting':{'reason':'ImagePullBackOff'}}}]}", 99000, "", 0},
    {"pulls in the end", "'skiff.dev/sim-fail':'ImagePullBackOff','skiff.dev/sim-fail-times':'2'",
     "Always", "{'containerStatuses':[{'state':{'waiting':{'reason':'ImagePullBackOff'}}}]}", 5000,
     "", 15000},
    {"crashes", "'skiff.dev/sim-fail':'CrashLoopBackOff'", "Always", "null", 0,
     "Running CrashLoopBackOff false", 0},
    {"backs off longer each time", "'skiff.dev/sim-fail':'CrashLoopBackOff'", "Always",
     "{'phase':'Running','containerStatuses':[{'restartCount':3,'state':{'waiting':{'reason':"
     "'CrashLoopBackOff'}}}]}",
     0, "", 40000},
    {"comes to rest", "'skiff.dev/sim-fail':'CrashLoopBackOff'", "Always",
     "{'phase':'Running','containerStatuses':[{'restartCount':5,'state':{'waiting':{'reason':"
     "'CrashLoopBackOff'}}}]}",
     0, "", 0},
    {"nonsense counts as nothing", "'skiff.dev/sim-start-delay':'soon'", "Always", "null", 0,
     "Running running true", 0},
    {"over is over", "", "Never", "{'phase':'Failed'}", 0, "", 0},
};

static void plans_nodes_part(void **state) {
    static const struct wl_node node = {.name = STR_INIT("n0"), .ip = STR_INIT("10.0.0.1")};
    struct wl_world world = {.nodes = &node, .node_count = 1};
    for (size_t i = 0; i < ARRAY_LEN(pod_rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[900];
        snprintf(text, sizeof text,
                 "{'metadata':{'name':'p','namespace':'n','uid':'u','annotations':{%s}},'spec':{"
                 "'nodeName':'n0','restartPolicy':'%s','containers':[{'name':'c','image':'i'}]},"
                 "'status':%s}",
                 pod_rows[i].annotations, pod_rows[i].restart, pod_rows[i].status);
        struct doc_value pod = parse(arena, text);
        struct wl_plan plan;
        wl_plan_init(&plan, arena, NOW);
        wl_plan_pod(&plan, &pod, &world, pod_rows[i].elapsed_ms * NS_PER_MS, STR("10.244.0.9"));
        char got[200] = "";
        if (plan.count) {
            const struct doc_value *status = doc_get(&plan.writes[0].body, "status");
            const struct doc_value *first = doc_at(doc_get(status, "containerStatuses"), 0);
            struct str reason = doc_get_str(first, "state", "waiting", "reason");
            struct str phase = doc_get_str(status, "phase");
            snprintf(got, sizeof got, "%.*s %.*s %s",
                     STR_ARG(phase.n ? phase : doc_get_str(&pod, "status", "phase")),
                     STR_ARG(reason.n ? reason : doc_key_at(doc_get(first, "state"), 0)),
                     doc_bool(doc_get(first, "ready"), false) ? "true" : "false");
        }
        if (strcmp(got, pod_rows[i].want) != 0 ||
            plan.requeue_ns != pod_rows[i].requeue_ms * NS_PER_MS) {
            fail_msg("%s\n  want: %s after %lld\n  got:  %s after %lld", pod_rows[i].name,
                     pod_rows[i].want, (long long)pod_rows[i].requeue_ms, got,
                     (long long)(plan.requeue_ns / NS_PER_MS));
        }
    }
}

// ---- Small functions ----
static void scales(void **state) {
    static const struct {
        const char *value;
        int64_t total, up, down;
    } rows[] = {{"3", 10, 3, 3},       {"'25%'", 10, 3, 2},   {"'0%'", 10, 0, 0},
                {"'100%'", 7, 7, 7},   {"'x'", 10, -1, -1},   {"'%'", 10, -1, -1},
                {"'-5%'", 10, -1, -1}, {"'200%'", 10, 20, 20}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value value = parse(arena, rows[i].value);
        assert_int_equal(rows[i].up, wl_scaled(&value, rows[i].total, true));
        assert_int_equal(rows[i].down, wl_scaled(&value, rows[i].total, false));
    }
}

static void hashes_are_names(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value a = parse(arena, "{'x':1,'y':[2]}"), b = parse(arena, "{'y':[2],'x':1}");
    struct doc_value c = parse(arena, "{'x':2,'y':[2]}");
    struct str first = wl_hash_name(arena, &a, 0);
    assert_int_equal(10, first.n);
    assert_true(str_eq(first, wl_hash_name(arena, &b, 0))); // order does not matter
    assert_false(str_eq(first, wl_hash_name(arena, &c, 0)));
    assert_false(str_eq(first, wl_hash_name(arena, &a, 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_deployments), cmocka_unit_test(plans_pods),
        cmocka_unit_test(plans_nodes_part),  cmocka_unit_test(scales),
        cmocka_unit_test(hashes_are_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
