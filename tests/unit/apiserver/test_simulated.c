// SPDX-License-Identifier: Apache-2.0
// The planners of Jobs, CronJobs, budgets, autoscalers, volumes and the scheduler, and the parsers they stand on, by
// tables.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "apiserver/workloads/plan.h"
#include "base/timefmt.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct str copy = arena_dup(arena, str_from(text)); // single quotes keep the tables readable
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

static int64_t at(const char *time) {
    int64_t ns = 0;
    assert_true(time_parse(str_from(time), &ns));
    return ns;
}

// "create pods; delete jobs/a; Event(Reason)": the writes but for statuses, then the events.
static struct str describe(const struct wl_plan *plan) {
    struct str out = {"", 0};
    for (size_t i = 0; i < plan->count; i++) {
        const struct wl_write *w = &plan->writes[i];
        if (w->verb == KUBE_PATCH && str_eq_c(w->subresource, "status")) {
            continue;
        }
        struct str name = w->name.n ? w->name : wl_name(&w->body);
        out = arena_printf(plan->arena, "%.*s%s%s %.*s%s%.*s", STR_ARG(out), out.n ? "; " : "",
                           w->verb == KUBE_CREATE  ? "create"
                           : w->verb == KUBE_PATCH ? "patch"
                                                   : "delete",
                           STR_ARG(w->gvr->resource), name.n ? "/" : "", STR_ARG(name));
    }
    for (size_t i = 0; i < plan->event_count; i++) {
        out = arena_printf(plan->arena, "%.*s%s(%s)", STR_ARG(out), out.n ? " " : "",
                           plan->events[i].reason);
    }
    return out;
}

static struct doc_value status_after(const struct wl_plan *plan, const struct doc_value *object) {
    struct doc_value out =
        doc_get(object, "status") ? *doc_get(object, "status") : wl_object(plan->arena, NULL);
    for (size_t i = 0; i < plan->count; i++) {
        const struct doc_value *patch = doc_get(&plan->writes[i].body, "status");
        if (patch) {
            out = doc_merge_patch(plan->arena, &out, patch);
        }
    }
    return out;
}

#define EXPECT(name, want, got)                                                 \
    if (!str_eq_c((got), (want))) {                                             \
        fail_msg("%s\n  want: %s\n  got:  %.*s", (name), (want), STR_ARG(got)); \
    }

// ---- Schedules ----
// A file of version 2 without entries: the rule at its end says it all.
static struct str zone_file(struct arena *arena, const char *rule) {
    AUTO_BUF struct buf file;
    buf_init(&file, 1000);
    for (int part = 0; part < 2; part++) {
        static const char zeros[15] = {0};
        static const char counts[24] = {[19] = 1, [23] = 4}; // one type, four letters
        static const char type[10] = {0, 0, 0x0e, 0x10, 0, 0, 'C', 'E', 'T', 0};
        buf_add_str(&file, STR("TZif2"));
        buf_add_str(&file, str_make(zeros, sizeof zeros));
        buf_add_str(&file, str_make(counts, sizeof counts));
        buf_add_str(&file, str_make(type, sizeof type));
    }
    buf_printf(&file, "\n%s\n", rule);
    return arena_dup(arena, buf_str(&file));
}

static void schedules(void **state) {
    static const struct {
        const char *text, *after, *next; // next NULL: does not parse; "": never
        bool berlin;
    } rows[] = {
        {"* * * * *", "2026-11-23T22:01:27Z", "2026-11-23T22:02:00Z", false},
        {"*/15 * * * *", "2026-11-23T22:01:27Z", "2026-11-23T22:15:00Z", false},
        {"0 9-17/4 * * mon-fri", "2026-11-21T08:00:00Z", "2026-11-23T09:00:00Z", false},
        {"30 4 1,15 * 5", "2026-11-23T00:00:00Z", "2026-11-27T04:30:00Z", false},
        {"0 0 29 2 *", "2026-11-23T00:00:00Z", "2028-02-29T00:00:00Z", false},
        {"0 0 31 2 *", "2026-11-23T00:00:00Z", "", false},
        {"@hourly", "2026-11-23T22:00:00Z", "2026-11-23T23:00:00Z", false},
        {"@monthly", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", false},
        {"@every 90s", "2026-11-23T22:00:00Z", "2026-11-23T22:01:30Z", false},
        {"0 0 * JAN SUN", "2026-11-23T22:00:00Z", "2027-01-03T00:00:00Z", false},
        {"0 12 * * *", "2026-11-23T00:00:00Z", "2026-11-23T11:00:00Z", true},
        {"0 12 * * *", "2026-07-01T00:00:00Z", "2026-07-01T10:00:00Z", true},
        // This hour is not there when the clocks go forward.
        {"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z", true},
        {"0 3 * * *", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", true},
        {"* * * *", NULL, NULL, false},
        {"60 * * * *", NULL, NULL, false},
        {"* * * * * *", NULL, NULL, false},
        {"5-1 * * * *", NULL, NULL, false},
        {"*/0 * * * *", NULL, NULL, false},
        {"a * * * *", NULL, NULL, false},
        {"@never", NULL, NULL, false},
        {"", NULL, NULL, false},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct wl_zone zone;
    struct err err = {0};
    struct str bytes = zone_file(arena, "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_true(wl_zone_parse(arena, bytes, &zone, &err));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wl_cron cron;
        bool ok = wl_cron_parse(str_from(rows[i].text), &cron, &err);
        if (ok != (rows[i].next != NULL)) {
            fail_msg("%s: parsed %d", rows[i].text, ok);
        }
        if (ok) {
            int64_t next = wl_cron_next(&cron, rows[i].berlin ? &zone : &wl_utc, at(rows[i].after));
            struct str got = next ? time_format(arena, next) : STR("");
            EXPECT(rows[i].text, rows[i].next, got)
        }
    }
    // Cut off anywhere, it is refused or read without a look beyond its end.
    for (size_t n = 0; n < bytes.n; n++) {
        char *copy = xmalloc(n + 1);
        memcpy(copy, bytes.p, n);
        (void)!wl_zone_parse(arena, str_make(copy, n), &zone, &err);
        free(copy);
    }
}

static void index_sets(void **state) {
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},        {"0", "0"},   {"0-2,4", "0-2,4"}, {"3,4", "3,4"}, {"4,3", "3,4"},
        {"0-99", "0-9"}, {"x,1", "1"}, {"5-2", ""},        {"-1", ""},     {"0,2,4-6", "0,2,4-6"}};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wl_indexes set = wl_indexes_parse(arena, str_from(rows[i].text), 10);
        struct str got = wl_indexes_text(arena, &set);
        EXPECT(rows[i].text, rows[i].want, got)
    }
}

// ---- CronJobs ----
#define NOW "2026-11-23T22:05:10Z"
#define CRON(more)                                                           \
    "{'metadata':{'name':'c','namespace':'n','uid':'u','creationTimestamp':" \
    "'2026-11-23T22:00:30Z'},'spec':{'schedule':'* * * * *'," more           \
    "'jobTemplate':{'spec':{}}},'status':{%s}}"
#define CHILD(name, time, condition)                                                              \
    "{'metadata':{'name':'" name "','namespace':'n','uid':'" name "','annotations':{"             \
    "'batch.kubernetes.io/cronjob-scheduled-timestamp':'" time "'}},'status':{'startTime':'" time \
    "'," condition "'x':1}}"
#define DONE \
    "'completionTime':'2026-11-23T22:05:05Z','conditions':[{'type':'Complete','status':'True'}],"

static void cron_jobs(void **state) {
    static const struct {
        const char *name, *object, *status, *jobs[5], *want;
    } rows[] = {
        {"the newest time that is due",
         CRON(""),
         "",
         {NULL},
         "create jobs/c-29924525 (SuccessfulCreate)"},
        {"only once", CRON(""), "'lastScheduleTime':'2026-11-23T22:05:00Z'", {NULL}, ""},
        {"its Job says so too", CRON(""), "", {CHILD("a", "2026-11-23T22:05:00Z", "")}, ""},
        {"suspended", CRON("'suspend':true,"), "", {NULL}, ""},
        {"not while one runs",
         CRON("'concurrencyPolicy':'Forbid',"),
         "",
         {CHILD("a", "2026-11-23T22:04:00Z", "")},
         "(JobAlreadyActive)"},
        {"in its place",
         CRON("'concurrencyPolicy':'Replace',"),
         "",
         {CHILD("a", "2026-11-23T22:04:00Z", "")},
         "delete jobs/a; create jobs/c-29924525 (SuccessfulDelete) (SuccessfulCreate)"},
        {"too late", CRON("'startingDeadlineSeconds':5,"), "", {NULL}, ""},
        {"sees the end",
         CRON(""),
         "'lastScheduleTime':'2026-11-23T22:05:00Z','active':[{'uid':'a'}]",
         {CHILD("a", "2026-11-23T22:05:00Z", DONE)},
         "(SawCompletedJob)"},
        {"keeps some",
         CRON("'successfulJobsHistoryLimit':1,"),
         "'lastScheduleTime':'2026-11-23T22:05:00Z','lastSuccessfulTime':'2026-11-23T22:05:05Z'",
         {CHILD("a", "2026-11-23T22:05:00Z", DONE), CHILD("b", "2026-11-23T22:03:00Z", DONE),
          CHILD("d", "2026-11-23T22:04:00Z", DONE)},
         "delete jobs/b; delete jobs/d (SuccessfulDelete) (SuccessfulDelete)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[1500];
        snprintf(text, sizeof text, rows[i].object, rows[i].status);
        struct doc_value object = parse(arena, text), jobs[5];
        const struct doc_value *list[5];
        size_t count = 0;
        for (; count < 5 && rows[i].jobs[count]; count++) {
            jobs[count] = parse(arena, rows[i].jobs[count]);
            list[count] = &jobs[count];
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, at(NOW));
        wl_plan_cron_job(&plan, &object, list, count, &wl_utc);
        struct str got = describe(&plan);
        EXPECT(rows[i].name, rows[i].want, got)
    }
}

// ---- Jobs ----
struct job_pod {
    const char *phase; // NULL ends the list
    int index, exit_code;
};

static void jobs(void **state) {
    static const struct {
        const char *name, *spec, *status;
        struct job_pod pods[6];
        const char *want, *reason; // of the last condition
    } rows[] = {
        {"starts",
         "'parallelism':2,'completions':3",
         "",
         {{0}},
         "create pods; create pods (SuccessfulCreate) (SuccessfulCreate)",
         ""},
        {"is done",
         "'completions':1",
         "",
         {{"Succeeded", -1, 0}},
         "(Completed)",
         "CompletionsReached"},
        {"by index, with a hole",
         "'completionMode':'Indexed','completions':3,'parallelism':2",
         "",
         {{"Succeeded", 0, 0}, {"Running", 2, 0}},
         "create pods (SuccessfulCreate)",
         ""},
        {"success policy",
         "'completionMode':'Indexed','completions':3,'parallelism':3,'successPolicy':{'rules':[{"
         "'succeededIndexes':'0'}]}",
         "",
         {{"Succeeded", 0, 0}, {"Running", 1, 0}},
         "delete pods/p1 (SuccessfulDelete)",
         "SuccessPolicy"},
        {"and then it is over",
         "'completionMode':'Indexed','completions':3,'successPolicy':{'rules':[{}]}",
         "'conditions':[{'type':'SuccessCriteriaMet','status':'True','reason':'SuccessPolicy'}],",
         {{"Succeeded", 0, 0}},
         "(Completed)",
         "SuccessPolicy"},
        {"too many failures",
         "'backoffLimit':0",
         "",
         {{"Failed", -1, 1}},
         "(BackoffLimitExceeded)",
         "BackoffLimitExceeded"},
        {"waits after a failure", "'backoffLimit':3", "", {{"Failed", -1, 1}}, "", ""},
        {"a failed index",
         "'completionMode':'Indexed','completions':2,'parallelism':2,'backoffLimitPerIndex':0",
         "",
         {{"Failed", 0, 1}, {"Succeeded", 1, 0}},
         "(FailedIndexes)",
         "FailedIndexes"},
        {"more than allowed",
         "'completionMode':'Indexed','completions':3,'parallelism':3,'backoffLimitPerIndex':0,"
         "'maxFailedIndexes':0",
         "",
         {{"Failed", 0, 1}, {"Running", 1, 0}},
         "delete pods/p1 (SuccessfulDelete)",
         "MaxFailedIndexesExceeded"},
        {"policy fails the Job",
         "'podFailurePolicy':{'rules':[{'action':'FailJob','onExitCodes':{'operator':'In',"
         "'values':[42]}}]}",
         "",
         {{"Failed", -1, 42}},
         "(PodFailurePolicy)",
         "PodFailurePolicy"},
        {"policy ignores",
         "'backoffLimit':0,'podFailurePolicy':{'rules':[{'action':'Ignore','onExitCodes':{"
         "'operator':'NotIn','values':[42]}}]}",
         "",
         {{"Failed", -1, 3}},
         "",
         ""},
        {"suspended",
         "'suspend':true",
         "",
         {{"Running", -1, 0}},
         "delete pods/p0 (SuccessfulDelete) (Suspended)",
         "JobSuspended"},
        {"resumed",
         "'suspend':false",
         "'conditions':[{'type':'Suspended','status':'True'}],",
         {{0}},
         "create pods (SuccessfulCreate) (Resumed)",
         "JobResumed"},
        {"past its deadline",
         "'activeDeadlineSeconds':5",
         "'startTime':'2026-11-23T22:00:00Z',",
         {{"Running", -1, 0}},
         "delete pods/p0 (SuccessfulDelete)",
         "DeadlineExceeded"},
        {"somebody else's", "'managedBy':'example.com/me'", "", {{0}}, "", ""},
    };
    struct wl_world world = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[1500];
        snprintf(
            text, sizeof text,
            "{'metadata':{'name':'j','namespace':'n','uid':'u'},'spec':{%s,'template':{'spec':{}}"
            "},'status':{%s'x':1}}",
            rows[i].spec, rows[i].status);
        struct doc_value object = parse(arena, text), docs[6];
        struct wl_pod pods[6];
        const struct wl_pod *list[6];
        size_t count = 0;
        for (; count < 6 && rows[i].pods[count].phase; count++) {
            const struct job_pod *row = &rows[i].pods[count];
            snprintf(text, sizeof text,
                     "{'metadata':{'name':'p%zu','uid':'p%zu','annotations':{"
                     "'batch.kubernetes.io/job-completion-index':'%d'}},'status':{'phase':'%s',"
                     "'containerStatuses':[{'name':'c','state':{'terminated':{'exitCode':%d,"
                     "'finishedAt':'%s'}}}]}}",
                     count, count, row->index, row->phase, row->exit_code, NOW);
            docs[count] = parse(arena, text);
            wl_pod_read(arena, &docs[count], &pods[count]);
            pods[count].object = pods[count].phase == WL_FAILED ? &docs[count] : NULL;
            list[count] = &pods[count];
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, at(NOW) + NS_PER_SECOND);
        wl_plan_job(&plan, &object, list, count, &world);
        struct str got = describe(&plan);
        EXPECT(rows[i].name, rows[i].want, got)
        struct doc_value status = status_after(&plan, &object);
        const struct doc_value *conditions = doc_get(&status, "conditions");
        struct str reason = doc_get_str(doc_at(conditions, doc_len(conditions) - 1), "reason");
        EXPECT(rows[i].name, rows[i].reason, reason)
    }
}

// ---- Budgets ----
static void budgets(void **state) {
    static const struct {
        const char *spec;
        int pods, ready, scale;
        const char *want; // expected, desired, healthy, allowed
    } rows[] = {
        {"'minAvailable':2", 3, 3, 3, "3 2 3 1"},
        {"'minAvailable':'100%'", 1, 1, 1, "1 1 1 0"},
        {"'minAvailable':'50%'", 3, 3, 3, "3 2 3 1"},
        {"'maxUnavailable':1", 3, 3, 3, "3 2 3 1"},
        {"'maxUnavailable':'34%'", 3, 2, 3, "3 1 2 1"},
        {"'maxUnavailable':1", 0, 0, 0, "0 0 0 0"},
        {"'maxUnavailable':5", 3, 3, 3, "3 0 3 3"},
        {"'minAvailable':2", 3, 1, 3, "3 2 1 0"},
        {"'minAvailable':0", 0, 0, 0, "0 0 0 0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char text[300], got[100];
        snprintf(text, sizeof text,
                 "{'metadata':{'name':'b','namespace':'n','generation':3},'spec':{%s}}",
                 rows[i].spec);
        struct doc_value object = parse(arena, text);
        struct wl_pod pods[4] = {0};
        const struct wl_pod *list[4];
        for (int j = 0; j < rows[i].pods; j++) {
            pods[j] =
                (struct wl_pod){.name = STR("p"), .phase = WL_RUNNING, .ready = j < rows[i].ready};
            list[j] = &pods[j];
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, at(NOW));
        wl_plan_budget(&plan, &object, list, (size_t)rows[i].pods, rows[i].scale);
        struct doc_value s = status_after(&plan, &object);
        snprintf(got, sizeof got, "%d %d %d %d", (int)doc_int(doc_get(&s, "expectedPods"), -1),
                 (int)doc_int(doc_get(&s, "desiredHealthy"), -1),
                 (int)doc_int(doc_get(&s, "currentHealthy"), -1),
                 (int)doc_int(doc_get(&s, "disruptionsAllowed"), -1));
        EXPECT(rows[i].spec, rows[i].want, str_from(got))
        assert_int_equal(3, doc_int(doc_get(&s, "observedGeneration"), 0));
    }
}

// ---- Autoscalers ----
static void autoscalers(void **state) {
    static const struct {
        int replicas; // of the target, -1: there is none
        const char *want, *reason;
    } rows[] = {
        {3, "(FailedGetResourceMetric) (FailedComputeMetricsReplicas)", "FailedGetResourceMetric"},
        {1, "patch deployments/d (SuccessfulRescale)", "SucceededRescale"},
        {9, "patch deployments/d (SuccessfulRescale)", "SucceededRescale"},
        {0, "", "ScalingDisabled"},
        {-1, "(FailedGetScale)", "FailedGetScale"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object = parse(arena, "{'metadata':{'name':'h','namespace':'n'},'spec':{"
                                               "'minReplicas':2,'maxReplicas':5,'scaleTargetRef':{"
                                               "'name':'d'}}}");
        char text[100];
        snprintf(text, sizeof text, "{'spec':{'replicas':%d}}", rows[i].replicas);
        struct doc_value scale = parse(arena, text);
        for (int again = 0; again < 2; again++) { // the second time there is nothing new
            struct wl_plan plan;
            wl_plan_init(&plan, arena, at(NOW));
            wl_plan_autoscaler(&plan, &object, &wl_deployments,
                               rows[i].replicas < 0 ? NULL : &scale,
                               STR("deployments.apps \"d\" not found"));
            struct str got = describe(&plan);
            bool rescales = plan.count && plan.writes[0].subresource.n == 5;
            if (!again) {
                EXPECT(rows[i].want, rows[i].want, got)
                struct doc_value status = status_after(&plan, &object);
                const struct doc_value *list = doc_get(&status, "conditions");
                struct str reason = doc_get_str(doc_at(list, doc_len(list) - 1), "reason");
                EXPECT(rows[i].want, rows[i].reason, reason)
                object = doc_with(arena, &object, status, "status");
            } else if (!rescales) {
                assert_int_equal(0, plan.count);
                EXPECT("at rest", "", got)
            }
        }
    }
}

// ---- Scheduling ----
static void scheduling(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value labels = parse(arena, "{'disk':'ssd','size':'7'}");
    struct doc_value taints = parse(arena, "[{'key':'k','value':'v','effect':'NoSchedule'}]");
    struct wl_room used = {.cpu = 3500};
    const struct wl_node nodes[] = {
        {.name = STR_INIT("a"),
         .labels = &labels,
         .limited = true,
         .room = {4000, 1 << 30, 10},
         .used = &used},
        {.name = STR_INIT("b"), .taints = &taints},
        {.name = STR_INIT("c"), .unschedulable = true},
    };
    struct wl_world world = {.nodes = nodes, .node_count = 3};
#define MATCH(term)                                                                   \
    "{'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{" \
    "'nodeSelectorTerms':[{" term "}]}}}}"
#define ASK(cpu) "{'containers':[{'resources':{'requests':{'cpu':'" cpu "'}}}]}"
    static const struct {
        const char *spec, *want; // a node, or the message
    } rows[] = {
        {"{}", "a"},
        {"{'nodeSelector':{'disk':'ssd'}}", "a"},
        {ASK("500m"), "a"},
        {ASK("1"),
         "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
         "1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/3 nodes "
         "are available: 1 No preemption victims found for incoming pod, 2 Preemption is "
         "not helpful for scheduling."},
        {"{'nodeSelector':{'disk':'hdd'}}",
         "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node "
         "affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 "
         "Preemption is not helpful for scheduling."},
        {MATCH("'matchFields':[{'key':'metadata.name','operator':'In','values':['a']}]"), "a"},
        {MATCH("'matchExpressions':[{'key':'size','operator':'Gt','values':['5']}]"), "a"},
        {"{'tolerations':[{'key':'k','operator':'Exists'}],'affinity':{'nodeAffinity':{"
         "'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':5,'preference':{"
         "'matchExpressions':[{'key':'disk','operator':'DoesNotExist'}]}}]}}}",
         "b"},
        {"{'nodeSelector':{'x':'y'},'tolerations':[{'operator':'Exists'}]}",
         "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new "
         "claims "
         "to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for "
         "scheduling."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct doc_value spec = parse(arena, rows[i].spec);
        const struct wl_node *node = wl_node_for(&world, &spec, 0);
        struct str got = node ? node->name : wl_unschedulable(arena, &world, &spec);
        EXPECT(rows[i].spec, rows[i].want, got)
    }
    static const struct {
        const char *text;
        int64_t scale, want;
    } quantities[] = {
        {"1500m", 1000, 1500}, {"2", 1000, 2000}, {"0.5", 1000, 500}, {"1Gi", 1, 1 << 30},
        {"1500m", 1, 2},       {"2k", 1, 2000},   {"", 1, 0},         {"100", 1, 100}};
    for (size_t i = 0; i < ARRAY_LEN(quantities); i++) {
        assert_int_equal(quantities[i].want,
                         wl_quantity(str_from(quantities[i].text), quantities[i].scale));
    }
}

// ---- Volumes ----
#define CLAIM(class, more)                                   \
    "{'metadata':{'name':'c','namespace':'n','uid':'u'" more \
    "},'spec':{'accessModes':['RWO']," class "'resources':{'requests':{'storage':'2Gi'}}}}"
#define VOLUME(name, size, more)                                          \
    "{'metadata':{'name':'" name                                          \
    "'},'spec':{'accessModes':['RWO','RWX'],'storageClassName':'s'," more \
    "'capacity':{'storage':'" size "'}}}"

static void claims(void **state) {
    static const struct {
        const char *name, *claim, *class, *volumes[3], *want;
        bool consumer;
    } rows[] = {
        {"no class at all",
         CLAIM("'storageClassName':'',", ""),
         NULL,
         {NULL},
         "(FailedBinding)",
         false},
        {"gets the default class",
         CLAIM("", ""),
         NULL,
         {NULL},
         "patch persistentvolumeclaims/c",
         false},
        {"an unknown class",
         CLAIM("'storageClassName':'s',", ""),
         NULL,
         {NULL},
         "(ProvisioningFailed)",
         false},
        {"is made",
         CLAIM("'storageClassName':'s',", ""),
         "{'provisioner':'p'}",
         {NULL},
         "create persistentvolumes/pvc-u (ProvisioningSucceeded)",
         false},
        {"waits for a pod",
         CLAIM("'storageClassName':'s',", ""),
         "{'provisioner':'p','volumeBindingMode':'WaitForFirstConsumer'}",
         {NULL},
         "(WaitForFirstConsumer)",
         false},
        {"which comes",
         CLAIM("'storageClassName':'s',", ""),
         "{'provisioner':'p','volumeBindingMode':'WaitForFirstConsumer'}",
         {NULL},
         "create persistentvolumes/pvc-u (ProvisioningSucceeded)",
         true},
        {"the smallest that fits",
         CLAIM("'storageClassName':'s',", ""),
         NULL,
         {VOLUME("big", "9Gi", ""), VOLUME("fits", "2Gi", ""), VOLUME("small", "1Gi", "")},
         "patch persistentvolumes/fits; patch persistentvolumeclaims/c",
         false},
        {"not somebody else's",
         CLAIM("'storageClassName':'s',", ""),
         NULL,
         {VOLUME("x", "2Gi", "'claimRef':{'name':'d','namespace':'n','uid':'v'},")},
         "(ProvisioningFailed)",
         false},
        {"the one that names it",
         CLAIM("'storageClassName':'s',", ""),
         NULL,
         {VOLUME("x", "2Gi", "'claimRef':{'name':'c','namespace':'n','uid':'u'},")},
         "patch persistentvolumeclaims/c",
         false},
        {"lost",
         CLAIM("", ",'annotations':{'pv.kubernetes.io/bind-completed':'yes'}"),
         NULL,
         {NULL},
         "(ClaimLost)",
         false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value claim = parse(arena, rows[i].claim), class, volumes[3];
        const struct doc_value *list[3];
        struct wl_storage storage = {
            .volumes = list, .default_class = STR("standard"), .has_consumer = rows[i].consumer};
        if (rows[i].class) {
            class = parse(arena, rows[i].class);
            storage.class = &class;
        }
        for (; storage.volume_count < 3 && rows[i].volumes[storage.volume_count];
             storage.volume_count++) {
            volumes[storage.volume_count] = parse(arena, rows[i].volumes[storage.volume_count]);
            list[storage.volume_count] = &volumes[storage.volume_count];
        }
        struct wl_plan plan;
        wl_plan_init(&plan, arena, at(NOW));
        wl_plan_claim(&plan, &claim, &storage);
        struct str got = describe(&plan);
        EXPECT(rows[i].name, rows[i].want, got)
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),  cmocka_unit_test(index_sets), cmocka_unit_test(cron_jobs),
        cmocka_unit_test(jobs),       cmocka_unit_test(budgets),    cmocka_unit_test(autoscalers),
        cmocka_unit_test(scheduling), cmocka_unit_test(claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
