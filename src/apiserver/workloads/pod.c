// SPDX-License-Identifier: Apache-2.0
// The simulated node: takes a pod from Pending to Running and Ready (or to its end, or into the failure that its
// annotations ask for) and lets it go when it is deleted. docs/simulated-node.md describes the annotations. A pod's past
// is in its status only, so a restart of the server goes on where the object says; a wait under way begins again.
#include "apiserver/workloads/plan.h"

#define START_DELAY "skiff.dev/sim-start-delay"
#define RUN_DURATION "skiff.dev/sim-run-duration"
#define STOP_DELAY "skiff.dev/sim-stop-delay"
#define FAIL "skiff.dev/sim-fail"
#define FAIL_TIMES "skiff.dev/sim-fail-times"
#define RETRY_DELAY "skiff.dev/sim-retry-delay"
#define ATTEMPT "skiff.dev/sim-attempt"

// A pod that fails for ever stops counting its restarts here, so that a broken workload comes to rest.
enum { RESTARTS_SHOWN = 5 };

enum failure { FAIL_NONE, FAIL_PULL, FAIL_CRASH, FAIL_EXIT };

struct node_view {
    struct wl_plan *plan;
    const struct doc_value *pod;
    const struct wl_node *node; // may be NULL: a node nobody knows
    struct str ip;
    bool finite;     // its containers end by themselves
    bool on_failure; // restartPolicy OnFailure
    enum failure failure;
    int64_t fail_times; // -1: always
    int64_t attempt, restarts, elapsed, start_delay, run_duration, retry_delay;
    struct str waiting; // reason the first container waits for, empty when it runs
    bool has_status;
};

static const struct doc_value *first_status(const struct doc_value *pod) {
    return doc_at(doc_get(pod, "status", "containerStatuses"), 0);
}

uint64_t wl_pod_stage(const struct doc_value *pod) {
    const struct doc_value *first = first_status(pod);
    uint64_t stage = str_hash(doc_get_str(pod, "status", "phase"));
    stage = stage * 31 + str_hash(doc_get_str(first, "state", "waiting", "reason"));
    stage = stage * 31 + (uint64_t)doc_int(doc_get(first, "restartCount"), 0);
    stage = stage * 31 + (doc_get_str(pod, "spec", "nodeName").n ? 1 : 0);
    stage = stage * 31 + (first ? 1 : 0);
    return stage * 31 + (wl_is_deleting(pod) ? 1 : 0);
}

static enum failure failure_of(const struct doc_value *pod) {
    struct str kind = wl_annotation(pod, FAIL);
    return str_eq_c(kind, "ImagePullBackOff")   ? FAIL_PULL
           : str_eq_c(kind, "CrashLoopBackOff") ? FAIL_CRASH
           : str_eq_c(kind, "Error")            ? FAIL_EXIT
                                                : FAIL_NONE;
}

static struct str quality_of_service(const struct doc_value *pod) {
    bool any = false, guaranteed = true;
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "containers"), container)) {
        const struct doc_value *requests = doc_get(container, "resources", "requests");
        const struct doc_value *limits = doc_get(container, "resources", "limits");
        any = any || doc_len(requests) || doc_len(limits);
        guaranteed = guaranteed && doc_get(limits, "cpu") && doc_get(limits, "memory") &&
                     (!requests || doc_equal(requests, limits));
    }
    return !any ? STR("BestEffort") : guaranteed ? STR("Guaranteed") : STR("Burstable");
}

// ---- Statuses ----
enum container_state { STATE_WAITING, STATE_RUNNING, STATE_DONE };
struct outcome {
    const char *phase;
    enum container_state state;
    const char *reason, *message; // of a waiting or ended container
    int64_t restarts;
    int exit_code;
    bool ready, crashed; // crashed: the last run ended with an error
};

static struct doc_value ended(const struct node_view *v, const char *reason, int exit_code) {
    struct arena *arena = v->plan->arena;
    struct doc_value now = wl_time(arena, v->plan->now);
    const struct doc_value *started =
        doc_get(first_status(v->pod), "state", "running", "startedAt");
    return wl_object(arena, "terminated",
                     wl_object(arena, "exitCode", doc_make_int(exit_code), "reason",
                               doc_make_str(str_from(reason)), "startedAt",
                               started ? *started : now, "finishedAt", now, NULL),
                     NULL);
}

static struct doc_value state_value(const struct node_view *v, const struct outcome *o) {
    struct arena *arena = v->plan->arena;
    if (o->state == STATE_RUNNING) {
        return wl_object(arena, "running",
                         wl_object(arena, "startedAt", wl_time(arena, v->plan->now), NULL), NULL);
    }
    if (o->state == STATE_DONE) {
        return ended(v, o->reason, o->exit_code);
    }
    struct doc_object waiting = doc_object_start(arena);
    if (o->message) {
        doc_object_set_c(&waiting, "message", doc_make_str(str_from(o->message)));
    }
    doc_object_set_c(&waiting, "reason", doc_make_str(str_from(o->reason)));
    return wl_object(arena, "waiting", doc_object_done(&waiting), NULL);
}

static struct doc_value container_status(const struct node_view *v, const struct outcome *o,
                                         const struct doc_value *container) {
    struct arena *arena = v->plan->arena;
    struct str name = doc_get_str(container, "name"), image = doc_get_str(container, "image");
    struct doc_object status = doc_object_start(arena);
    if (o->state != STATE_WAITING) {
        doc_object_set_c(
            &status, "containerID",
            wl_text(arena, "skiff://%.*s/%.*s", STR_ARG(wl_uid(v->pod)), STR_ARG(name)));
    }
    doc_object_set_c(&status, "image", doc_make_str(image));
    doc_object_set_c(&status, "imageID", doc_make_str(o->state == STATE_WAITING ? STR("") : image));
    doc_object_set_c(&status, "lastState",
                     o->crashed ? ended(v, "Error", 1) : wl_object(arena, NULL));
    doc_object_set_c(&status, "name", doc_make_str(name));
    doc_object_set_c(&status, "ready", doc_make_bool(o->ready));
    doc_object_set_c(&status, "restartCount", doc_make_int(o->restarts));
    doc_object_set_c(&status, "started", doc_make_bool(o->state == STATE_RUNNING));
    doc_object_set_c(&status, "state", state_value(v, o));
    return doc_object_done(&status);
}

static struct doc_value container_statuses(const struct node_view *v, const struct outcome *o,
                                           const char *field) {
    struct doc_array list = doc_array_start(v->plan->arena);
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", field), container)) {
        doc_array_add(&list, container_status(v, o, container));
    }
    return doc_array_done(&list);
}

static struct doc_value conditions(const struct node_view *v, const struct outcome *o) {
    struct arena *arena = v->plan->arena;
    struct wl_conditions list;
    wl_conditions_init(&list, v->plan, doc_get(v->pod, "status"));
    struct doc_value none = doc_make_str(STR(""));
    const char *reason = o->ready                                      ? ""
                         : o->state == STATE_DONE && o->exit_code == 0 ? "PodCompleted"
                         : o->state == STATE_DONE                      ? "PodFailed"
                                                                       : "ContainersNotReady";
    struct doc_value message = none;
    if (str_eq_c(str_from(reason), "ContainersNotReady")) {
        AUTO_BUF struct buf names;
        buf_init(&names, (size_t)64 * 1024);
        for (DOC_EACH_ITEM(doc_get(v->pod, "spec", "containers"), container)) {
            buf_printf(&names, "%s%.*s", names.len ? " " : "",
                       STR_ARG(doc_get_str(container, "name")));
        }
        message =
            wl_text(arena, "containers with unready status: [%.*s]", STR_ARG(buf_str(&names)));
    }
    const char *ready = o->ready ? "True" : "False";
    wl_conditions_set(&list, "PodReadyToStartContainers",
                      o->state == STATE_RUNNING || o->crashed ? "True" : "False", "", none, false,
                      false);
    wl_conditions_set(&list, "Initialized", "True",
                      o->state == STATE_DONE && o->exit_code == 0 ? "PodCompleted" : "", none,
                      false, false);
    wl_conditions_set(&list, "Ready", ready, reason, message, false, false);
    wl_conditions_set(&list, "ContainersReady", ready, reason, message, false, false);
    wl_conditions_set(&list, "PodScheduled", "True", "", none, false, false);
    return wl_conditions_done(&list);
}

static void report(const struct node_view *v, const struct outcome *o) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *before = doc_get(v->pod, "status");
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "conditions", conditions(v, o));
    doc_object_set_c(&status, "containerStatuses", container_statuses(v, o, "containers"));
    struct str host = v->node ? v->node->ip : STR("10.0.0.1");
    struct doc_value host_ip = wl_object(arena, "ip", doc_make_str(host), NULL);
    struct doc_array ips = doc_array_start(arena);
    doc_array_add(&ips, host_ip);
    doc_object_set_c(&status, "hostIP", doc_make_str(host));
    doc_object_set_c(&status, "hostIPs", doc_array_done(&ips));
    if (doc_len(doc_get(v->pod, "spec", "initContainers"))) {
        struct outcome done = {.state = STATE_DONE, .reason = "Completed", .ready = true};
        struct outcome waiting = {.state = STATE_WAITING, .reason = "PodInitializing"};
        bool creating = o->state == STATE_WAITING && !o->crashed;
        doc_object_set_c(&status, "initContainerStatuses",
                         container_statuses(v, creating ? &waiting : &done, "initContainers"));
    }
    doc_object_set_c(&status, "phase", doc_make_str(str_from(o->phase)));
    struct str present = doc_get_str(before, "podIP");
    if (o->state != STATE_WAITING || o->crashed || present.n) {
        struct str ip = present.n ? present : v->ip;
        struct doc_array pod_ips = doc_array_start(arena);
        doc_array_add(&pod_ips, wl_object(arena, "ip", doc_make_str(ip), NULL));
        doc_object_set_c(&status, "podIP", doc_make_str(ip));
        doc_object_set_c(&status, "podIPs", doc_array_done(&pod_ips));
    }
    doc_object_set_c(&status, "qosClass", doc_make_str(quality_of_service(v->pod)));
    struct str started = doc_get_str(before, "startTime");
    doc_object_set_c(&status, "startTime",
                     started.n ? doc_make_str(started) : wl_time(arena, v->plan->now));
    wl_status(v->plan, &wl_pods, v->pod, doc_object_done(&status));
}

// ---- Transitions ----
static bool wait_for(const struct node_view *v, int64_t delay) {
    if (v->elapsed >= delay) {
        return false;
    }
    wl_requeue(v->plan, delay - v->elapsed);
    return true;
}

static void run(const struct node_view *v) {
    report(v, &(struct outcome){.phase = "Running",
                                .state = STATE_RUNNING,
                                .restarts = v->restarts,
                                .crashed = v->restarts > 0,
                                .ready = true});
}

static void finish(const struct node_view *v) {
    bool fails = v->failure != FAIL_NONE && v->failure != FAIL_PULL && !v->on_failure &&
                 (v->fail_times < 0 || v->attempt < v->fail_times);
    report(v, &(struct outcome){.phase = fails ? "Failed" : "Succeeded",
                                .state = STATE_DONE,
                                .reason = fails ? "Error" : "Completed",
                                .restarts = v->restarts,
                                .exit_code = fails ? 1 : 0});
}

static void crash(const struct node_view *v) {
    report(v, &(struct outcome){.phase = "Running",
                                .state = STATE_WAITING,
                                .reason = "CrashLoopBackOff",
                                .message = "back-off restarting failed container",
                                .restarts = v->restarts + 1,
                                .crashed = true});
}

// Everything is pulled; containers start, and crash where that is asked for.
static void start(const struct node_view *v) {
    bool restarts = !v->finite || v->on_failure;
    bool crashes = (v->failure == FAIL_CRASH || v->failure == FAIL_EXIT) && restarts &&
                   (v->fail_times < 0 || v->restarts < v->fail_times);
    if (crashes) {
        if (v->fail_times >= 0 || v->restarts < RESTARTS_SHOWN) {
            crash(v);
        }
    } else if (v->finite && v->run_duration == 0) {
        finish(v);
    } else {
        run(v);
    }
}

static void creating(const struct node_view *v) {
    report(v, &(struct outcome){
                  .phase = "Pending", .state = STATE_WAITING, .reason = "ContainerCreating"});
}

static void step_waiting(const struct node_view *v) {
    if (str_eq_c(v->waiting, "ContainerCreating")) {
        if (wait_for(v, v->start_delay)) {
            return;
        }
        if (v->failure == FAIL_PULL && v->fail_times != 0) {
            report(v, &(struct outcome){.phase = "Pending",
                                        .state = STATE_WAITING,
                                        .reason = "ImagePullBackOff",
                                        .message = "Back-off pulling image"});
            return;
        }
        start(v);
    } else if (str_eq_c(v->waiting, "ImagePullBackOff")) {
        // fail-times pulls fail, one a retry delay; a pull that never works needs no further look.
        if (v->fail_times >= 0 && !wait_for(v, v->fail_times * v->retry_delay)) {
            start(v);
        }
    } else if (str_eq_c(v->waiting, "CrashLoopBackOff")) {
        if (v->fail_times < 0 && v->restarts >= RESTARTS_SHOWN) {
            return;
        }
        int64_t doublings = v->restarts > 5 ? 5 : v->restarts - 1;
        int64_t delay = v->retry_delay << (doublings > 0 ? doublings : 0);
        if (!wait_for(v, delay > 300 * NS_PER_SECOND ? 300 * NS_PER_SECOND : delay)) {
            start(v);
        }
    }
}

static void step(const struct node_view *v) {
    if (!v->has_status) {
        if (v->start_delay > 0 || v->failure == FAIL_PULL) {
            creating(v);
        } else {
            start(v);
        }
    } else if (v->waiting.n) {
        step_waiting(v);
    } else if (v->finite && !wait_for(v, v->run_duration)) {
        finish(v);
    }
}

static void schedule(struct wl_plan *plan, const struct doc_value *pod,
                     const struct wl_world *world) {
    struct arena *arena = plan->arena;
    const struct wl_node *node =
        wl_node_for(world, doc_get(pod, "spec"), str_hash(wl_uid(pod)) % 1024);
    if (node) {
        struct doc_value target = wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Node"),
                                            "name", doc_make_str(node->name), NULL);
        struct wl_write *binding = wl_create(
            plan, &wl_pods, wl_ns(pod),
            wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Binding"), "metadata",
                      wl_object(arena, "name", doc_make_str(wl_name(pod)), NULL), "target", target,
                      NULL));
        binding->name = wl_name(pod);
        binding->subresource = STR("binding");
        return;
    }
    struct wl_conditions list;
    wl_conditions_init(&list, plan, doc_get(pod, "status"));
    wl_conditions_set(&list, "PodScheduled", "False", "Unschedulable",
                      world->node_count
                          ? wl_text(arena,
                                    "0/%zu nodes are available: %zu node(s) didn't match Pod's "
                                    "node affinity/selector.",
                                    world->node_count, world->node_count)
                          : DOC_S("no nodes available to schedule pods"),
                      false, false);
    const struct doc_value *before = doc_get(pod, "status");
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value status = doc_with(arena, doc_is(before, DOC_OBJECT) ? before : &none,
                                       wl_conditions_done(&list), "conditions");
    status = doc_with(arena, &status, DOC_S("Pending"), "phase");
    wl_status(plan, &wl_pods, pod,
              doc_with(arena, &status, doc_make_str(quality_of_service(pod)), "qosClass"));
}

static void stop(const struct node_view *v) {
    if (doc_int(doc_get(v->pod, "metadata", "deletionGracePeriodSeconds"), 0) == 0) {
        return; // gone as soon as its finalizers are
    }
    int64_t grace = doc_int(doc_get(v->pod, "metadata", "deletionGracePeriodSeconds"), 0);
    int64_t delay = wl_annotation_duration(v->pod, STOP_DELAY, 0);
    if (!wait_for(v, delay < grace * NS_PER_SECOND ? delay : grace * NS_PER_SECOND)) {
        wl_delete(v->plan, &wl_pods, wl_ns(v->pod), wl_name(v->pod), wl_uid(v->pod))
            ->grace_seconds = 0;
    }
}

void wl_plan_pod(struct wl_plan *plan, const struct doc_value *pod, const struct wl_world *world,
                 int64_t stage_elapsed_ns, struct str free_ip) {
    struct str phase = doc_get_str(pod, "status", "phase");
    struct str node_name = doc_get_str(pod, "spec", "nodeName");
    struct str restart = doc_get_str(pod, "spec", "restartPolicy");
    struct node_view v = {
        .plan = plan,
        .pod = pod,
        .ip = free_ip,
        .finite = str_eq_c(restart, "Never") || str_eq_c(restart, "OnFailure"),
        .on_failure = str_eq_c(restart, "OnFailure"),
        .failure = failure_of(pod),
        .fail_times = wl_annotation_int(pod, FAIL_TIMES, -1),
        .attempt = wl_annotation_int(pod, ATTEMPT, 0),
        .restarts = doc_int(doc_get(first_status(pod), "restartCount"), 0),
        .elapsed = stage_elapsed_ns,
        .start_delay = wl_annotation_duration(pod, START_DELAY, world->start_delay_ns),
        .run_duration = wl_annotation_duration(pod, RUN_DURATION, world->start_delay_ns),
        .retry_delay = wl_annotation_duration(pod, RETRY_DELAY, 10 * NS_PER_SECOND),
        .waiting = doc_get_str(first_status(pod), "state", "waiting", "reason"),
        .has_status = first_status(pod) != NULL,
    };
    for (size_t i = 0; i < world->node_count; i++) {
        if (str_eq(world->nodes[i].name, node_name)) {
            v.node = &world->nodes[i];
        }
    }
    if (wl_is_deleting(pod)) {
        stop(&v);
    } else if (str_eq_c(phase, "Succeeded") || str_eq_c(phase, "Failed")) {
        return;
    } else if (node_name.n == 0) {
        schedule(plan, pod, world);
    } else {
        step(&v);
    }
}
