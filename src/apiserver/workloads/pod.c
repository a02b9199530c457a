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
#define EXIT_CODE "skiff.dev/sim-exit-code"
#define UNREADY_AFTER "skiff.dev/sim-unready-after"
#define UNREADY_FOR "skiff.dev/sim-unready-for"
#define KUBELET "kubelet"
#define ERR_PULL_TIME NS_PER_SECOND // how long ErrImagePull shows before the back-off does

// A pod that fails for ever stops counting its restarts here, so that a broken workload comes to rest.
// Those that a Job counts go on.
enum { RESTARTS_SHOWN = 5, RESTARTS_OF_JOBS = 100 };

enum failure { FAIL_NONE, FAIL_PULL, FAIL_CRASH, FAIL_EXIT, FAIL_MEMORY };

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
    bool ready;    // as its condition says
    int exit_code; // of a run that fails
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
    stage = stage * 31 + (wl_condition_is(doc_get(pod, "status"), "Ready", "True") ? 1 : 0);
    return stage * 31 + (wl_is_deleting(pod) ? 1 : 0);
}

static enum failure failure_of(const struct doc_value *pod) {
    struct str kind = wl_annotation(pod, FAIL);
    return str_eq_c(kind, "ImagePullBackOff")   ? FAIL_PULL
           : str_eq_c(kind, "CrashLoopBackOff") ? FAIL_CRASH
           : str_eq_c(kind, "Error")            ? FAIL_EXIT
           : str_eq_c(kind, "OOMKilled")        ? FAIL_MEMORY
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
    const char *reason; // of a waiting or ended container
    struct str message;
    int64_t restarts;
    int exit_code;
    bool ready, crashed; // crashed: the last run ended with an error
    bool crashed_now;    // and this is when
};

static const struct doc_value *status_of(const struct node_view *v, const char *list,
                                         struct str name) {
    for (DOC_EACH_ITEM(doc_get(v->pod, "status", list), status)) {
        if (str_eq(doc_get_str(status, "name"), name)) {
            return status;
        }
    }
    return NULL;
}

static struct doc_value ended(const struct node_view *v, const struct doc_value *before,
                              const char *reason, int exit_code) {
    struct arena *arena = v->plan->arena;
    struct doc_value now = wl_time(arena, v->plan->now);
    const struct doc_value *done = doc_get(before, "state", "terminated");
    if (done && doc_int(doc_get(done, "exitCode"), -1) == exit_code) {
        return wl_object(arena, "terminated", *done, NULL);
    }
    const struct doc_value *started = doc_get(before, "state", "running", "startedAt");
    return wl_object(arena, "terminated",
                     wl_object(arena, "exitCode", doc_make_int(exit_code), "reason",
                               doc_make_str(str_from(reason)), "startedAt",
                               started ? *started : now, "finishedAt", now, NULL),
                     NULL);
}

static struct doc_value state_value(const struct node_view *v, const struct outcome *o,
                                    const struct doc_value *before) {
    struct arena *arena = v->plan->arena;
    if (o->state == STATE_RUNNING) {
        const struct doc_value *running = doc_get(before, "state", "running");
        struct doc_value fresh = wl_object(arena, "startedAt", wl_time(arena, v->plan->now), NULL);
        return wl_object(arena, "running", running ? *running : fresh, NULL);
    }
    if (o->state == STATE_DONE) {
        return ended(v, before, o->reason, o->exit_code);
    }
    struct doc_object waiting = doc_object_start(arena);
    if (o->message.n) {
        doc_object_set_c(&waiting, "message", doc_make_str(o->message));
    }
    doc_object_set_c(&waiting, "reason", doc_make_str(str_from(o->reason)));
    return wl_object(arena, "waiting", doc_object_done(&waiting), NULL);
}

static struct doc_value last_state(const struct node_view *v, const struct outcome *o,
                                   const struct doc_value *before) {
    const struct doc_value *last = doc_get(before, "lastState");
    if (o->crashed_now) {
        return ended(v, before, v->failure == FAIL_MEMORY ? "OOMKilled" : "Error", v->exit_code);
    }
    return last ? *last : wl_object(v->plan->arena, NULL);
}

static struct doc_value container_status(const struct node_view *v, const struct outcome *o,
                                         const struct doc_value *container, const char *list) {
    struct arena *arena = v->plan->arena;
    struct str name = doc_get_str(container, "name"), image = doc_get_str(container, "image");
    const struct doc_value *before = status_of(v, list, name);
    const struct doc_value *resources = doc_get(container, "resources");
    bool waiting = o->state == STATE_WAITING;
    struct doc_object status = doc_object_start(arena);
    if (doc_len(doc_get(resources, "requests")) && !waiting) {
        doc_object_set_c(&status, "allocatedResources", *doc_get(resources, "requests"));
    }
    if (!waiting) {
        doc_object_set_c(
            &status, "containerID",
            wl_text(arena, "skiff://%.*s/%.*s", STR_ARG(wl_uid(v->pod)), STR_ARG(name)));
    }
    doc_object_set_c(&status, "image", doc_make_str(image));
    doc_object_set_c(&status, "imageID", doc_make_str(waiting ? STR("") : image));
    doc_object_set_c(&status, "lastState", last_state(v, o, before));
    doc_object_set_c(&status, "name", doc_make_str(name));
    doc_object_set_c(&status, "ready", doc_make_bool(o->ready));
    if (resources && !waiting) {
        doc_object_set_c(&status, "resources", *resources);
    }
    doc_object_set_c(&status, "restartCount", doc_make_int(o->restarts));
    doc_object_set_c(&status, "started", doc_make_bool(o->state == STATE_RUNNING));
    doc_object_set_c(&status, "state", state_value(v, o, before));
    return doc_object_done(&status);
}

static struct doc_value container_statuses(const struct node_view *v, const struct outcome *o) {
    struct doc_array list = doc_array_start(v->plan->arena);
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", "containers"), container)) {
        doc_array_add(&list, container_status(v, o, container, "containerStatuses"));
    }
    return doc_array_done(&list);
}

static bool is_sidecar(const struct doc_value *container) {
    return str_eq_c(doc_get_str(container, "restartPolicy"), "Always");
}

// Init containers end one after the other; sidecars among them go on as long as the pod.
static struct doc_value init_statuses(const struct node_view *v, const struct outcome *o) {
    struct doc_array list = doc_array_start(v->plan->arena);
    bool creating = o->state == STATE_WAITING && !o->crashed;
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", "initContainers"), container)) {
        struct outcome one = {.state = STATE_DONE, .reason = "Completed", .ready = true};
        if (creating) {
            one = (struct outcome){.state = STATE_WAITING, .reason = "PodInitializing"};
        } else if (is_sidecar(container) && o->state != STATE_DONE) {
            one = (struct outcome){.state = STATE_RUNNING, .ready = true};
        } else if (is_sidecar(container)) {
            one.ready = false;
        }
        doc_array_add(&list, container_status(v, &one, container, "initContainerStatuses"));
    }
    return doc_array_done(&list);
}

// The first readiness gate that is not open, as the kubelet words it; empty when all are.
static struct str closed_gate(const struct node_view *v) {
    struct arena *arena = v->plan->arena;
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", "readinessGates"), gate)) {
        struct str type = doc_get_str(gate, "conditionType");
        const struct doc_value *condition =
            wl_condition(doc_get(v->pod, "status"), arena_cstr(arena, type));
        if (!condition) {
            return arena_printf(arena,
                                "corresponding condition of pod readiness gate \"%.*s\" does not "
                                "exist.",
                                STR_ARG(type));
        }
        struct str status = doc_get_str(condition, "status");
        if (!str_eq_c(status, "True")) {
            return arena_printf(arena,
                                "the status of pod readiness gate \"%.*s\" is not \"True\", but "
                                "%.*s",
                                STR_ARG(type), STR_ARG(status));
        }
    }
    return STR("");
}

static struct doc_value names_of(const struct node_view *v, const char *list, const char *what) {
    AUTO_BUF struct buf names;
    buf_init(&names, (size_t)64 * 1024);
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", list), container)) {
        buf_printf(&names, "%s%.*s", names.len ? " " : "", STR_ARG(doc_get_str(container, "name")));
    }
    return wl_text(v->plan->arena, "containers with %s status: [%.*s]", what,
                   STR_ARG(buf_str(&names)));
}

static struct doc_value conditions(const struct node_view *v, const struct outcome *o) {
    struct arena *arena = v->plan->arena;
    struct wl_conditions list;
    wl_conditions_init(&list, v->plan, doc_get(v->pod, "status"));
    struct doc_value none = doc_make_str(STR(""));
    bool done = o->state == STATE_DONE;
    const char *reason = o->ready                    ? ""
                         : done && o->exit_code == 0 ? "PodCompleted"
                         : done                      ? "PodFailed"
                                                     : "ContainersNotReady";
    struct doc_value message = o->ready || done ? none : names_of(v, "containers", "unready");
    bool sandbox = o->state == STATE_RUNNING || o->crashed;
    bool initialized = o->state != STATE_WAITING || o->crashed ||
                       doc_len(doc_get(v->pod, "spec", "initContainers")) == 0;
    wl_conditions_set(&list, "PodReadyToStartContainers", sandbox ? "True" : "False", "", none,
                      false, false);
    wl_conditions_set(&list, "Initialized", initialized ? "True" : "False",
                      !initialized                ? "ContainersNotInitialized"
                      : done && o->exit_code == 0 ? "PodCompleted"
                                                  : "",
                      initialized ? none : names_of(v, "initContainers", "incomplete"), false,
                      false);
    struct str gate = o->ready ? closed_gate(v) : STR("");
    if (gate.n) {
        wl_conditions_set(&list, "Ready", "False", "ReadinessGatesNotReady", doc_make_str(gate),
                          false, false);
    } else {
        wl_conditions_set(&list, "Ready", o->ready ? "True" : "False", reason, message, false,
                          false);
    }
    wl_conditions_set(&list, "ContainersReady", o->ready ? "True" : "False", reason, message, false,
                      false);
    wl_conditions_set(&list, "PodScheduled", "True", "", none, false, false);
    const struct doc_value *generation = doc_get(v->pod, "metadata", "generation");
    for (uint32_t i = 0; doc_is(generation, DOC_INT) && i < list.list.len; i++) {
        list.list.items[i] =
            doc_with(arena, &list.list.items[i], *generation, "observedGeneration");
    }
    return wl_conditions_done(&list);
}

static void tell_scheduled(struct wl_plan *plan, const struct doc_value *pod, struct str node) {
    struct wl_event *e = wl_event(plan, pod, "default-scheduler", "Scheduled",
                                  "Successfully assigned %.*s/%.*s to %.*s", STR_ARG(wl_ns(pod)),
                                  STR_ARG(wl_name(pod)), STR_ARG(node));
    e->action = "Binding";
}

static void report(const struct node_view *v, const struct outcome *o) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *before = doc_get(v->pod, "status");
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "conditions", conditions(v, o));
    doc_object_set_c(&status, "containerStatuses", container_statuses(v, o));
    struct str host = v->node ? v->node->ip : STR("10.0.0.1");
    struct doc_value host_ip = wl_object(arena, "ip", doc_make_str(host), NULL);
    struct doc_array ips = doc_array_start(arena);
    doc_array_add(&ips, host_ip);
    doc_object_set_c(&status, "hostIP", doc_make_str(host));
    doc_object_set_c(&status, "hostIPs", doc_array_done(&ips));
    if (doc_len(doc_get(v->pod, "spec", "initContainers"))) {
        doc_object_set_c(&status, "initContainerStatuses", init_statuses(v, o));
    }
    const struct doc_value *generation = doc_get(v->pod, "metadata", "generation");
    if (doc_is(generation, DOC_INT)) {
        doc_object_set_c(&status, "observedGeneration", *generation);
    }
    doc_object_set_c(&status, "phase", doc_make_str(str_from(o->phase)));
    struct str present = doc_get_str(before, "podIP");
    if (o->state != STATE_WAITING || o->crashed || present.n) {
        bool shared = doc_bool(doc_get(v->pod, "spec", "hostNetwork"), false);
        struct str ip = present.n ? present : shared ? host : v->ip;
        struct doc_array pod_ips = doc_array_start(arena);
        doc_array_add(&pod_ips, wl_object(arena, "ip", doc_make_str(ip), NULL));
        doc_object_set_c(&status, "podIP", doc_make_str(ip));
        doc_object_set_c(&status, "podIPs", doc_array_done(&pod_ips));
    }
    doc_object_set_c(&status, "qosClass", doc_make_str(quality_of_service(v->pod)));
    struct str started = doc_get_str(before, "startTime");
    doc_object_set_c(&status, "startTime",
                     started.n ? doc_make_str(started) : wl_time(arena, v->plan->now));
    struct wl_write *write = wl_status(v->plan, &wl_pods, v->pod, doc_object_done(&status));
    if (write) {
        write->manager = KUBELET;
        if (!v->has_status && !wl_condition(before, "PodScheduled")) {
            tell_scheduled(v->plan, v->pod, doc_get_str(v->pod, "spec", "nodeName"));
        }
    }
}

// ---- Events ----
static void tell_container(const struct node_view *v, const char *list,
                           const struct doc_value *container, bool pulled) {
    struct arena *arena = v->plan->arena;
    struct str name = doc_get_str(container, "name"), image = doc_get_str(container, "image");
    struct str path = arena_printf(arena, "spec.%s{%.*s}", list, STR_ARG(name));
    struct wl_event *e;
    if (!str_eq_c(doc_get_str(container, "imagePullPolicy"), "Always")) {
        e = wl_event(v->plan, v->pod, KUBELET, "Pulled",
                     "Container image \"%.*s\" already present on machine", STR_ARG(image));
        e->field_path = path;
    } else {
        if (!pulled) {
            e = wl_event(v->plan, v->pod, KUBELET, "Pulling", "Pulling image \"%.*s\"",
                         STR_ARG(image));
            e->field_path = path;
        }
        struct str time = duration_format(arena, pulled ? v->start_delay : 0);
        e = wl_event(v->plan, v->pod, KUBELET, "Pulled",
                     "Successfully pulled image \"%.*s\" in %.*s (%.*s including waiting). Image "
                     "size: 0 bytes.",
                     STR_ARG(image), STR_ARG(time), STR_ARG(time));
        e->field_path = path;
    }
    e = wl_event(v->plan, v->pod, KUBELET, "Created", "Created container: %.*s", STR_ARG(name));
    e->field_path = path;
    e = wl_event(v->plan, v->pod, KUBELET, "Started", "Started container %.*s", STR_ARG(name));
    e->field_path = path;
}

static void tell_started(const struct node_view *v) {
    static const char *const lists[] = {"initContainers", "containers"};
    bool pulled =
        str_eq_c(v->waiting, "ContainerCreating") || str_eq_c(v->waiting, "PodInitializing");
    for (size_t i = v->restarts > 0 ? 1 : 0; i < ARRAY_LEN(lists); i++) {
        for (DOC_EACH_ITEM(doc_get(v->pod, "spec", lists[i]), container)) {
            tell_container(v, lists[i], container, pulled);
        }
    }
}

static void tell_each(const struct node_view *v, bool warning, const char *reason,
                      const char *before, const char *field, const char *after) {
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", "containers"), container)) {
        struct str name = doc_get_str(container, "name");
        struct wl_event *e = wl_event(v->plan, v->pod, KUBELET, reason, "%s%.*s%s", before,
                                      STR_ARG(doc_get_str(container, field)), after);
        e->warning = warning;
        e->field_path = arena_printf(v->plan->arena, "spec.containers{%.*s}", STR_ARG(name));
    }
}

// ---- Transitions ----
static bool wait_for(const struct node_view *v, int64_t delay) {
    if (v->elapsed >= delay) {
        return false;
    }
    wl_requeue(v->plan, delay - v->elapsed);
    return true;
}

static struct outcome running(const struct node_view *v, bool ready) {
    return (struct outcome){.phase = "Running",
                            .state = STATE_RUNNING,
                            .restarts = v->restarts,
                            .crashed = v->restarts > 0,
                            .ready = ready};
}

static void run(const struct node_view *v) {
    struct outcome o = running(v, true);
    report(v, &o);
    tell_started(v);
}

static void finish(const struct node_view *v) {
    bool fails = v->failure != FAIL_NONE && v->failure != FAIL_PULL && !v->on_failure &&
                 (v->fail_times < 0 || v->attempt < v->fail_times);
    report(v, &(struct outcome){.phase = fails ? "Failed" : "Succeeded",
                                .state = STATE_DONE,
                                .reason = !fails                      ? "Completed"
                                          : v->failure == FAIL_MEMORY ? "OOMKilled"
                                                                      : "Error",
                                .restarts = v->restarts,
                                .exit_code = fails ? v->exit_code : 0});
    if (!str_eq_c(doc_get_str(v->pod, "status", "phase"), "Running")) {
        tell_started(v);
    }
}

static int64_t back_off(const struct node_view *v, int64_t restarts) {
    int64_t doublings = restarts > 5 ? 5 : restarts - 1;
    int64_t delay = v->retry_delay << (doublings > 0 ? doublings : 0);
    return delay > 300 * NS_PER_SECOND ? 300 * NS_PER_SECOND : delay;
}

static void crash(const struct node_view *v) {
    struct arena *arena = v->plan->arena;
    const struct doc_value *first = doc_at(doc_get(v->pod, "spec", "containers"), 0);
    struct str name = doc_get_str(first, "name");
    struct str where = arena_printf(arena, "%.*s_%.*s(%.*s)", STR_ARG(wl_name(v->pod)),
                                    STR_ARG(wl_ns(v->pod)), STR_ARG(wl_uid(v->pod)));
    struct str wait = duration_format(arena, back_off(v, v->restarts + 1));
    report(v, &(struct outcome){.phase = "Running",
                                .state = STATE_WAITING,
                                .reason = "CrashLoopBackOff",
                                .message =
                                    arena_printf(arena,
                                                 "back-off %.*s restarting failed container=%.*s "
                                                 "pod=%.*s",
                                                 STR_ARG(wait), STR_ARG(name), STR_ARG(where)),
                                .restarts = v->restarts + 1,
                                .crashed = true,
                                .crashed_now = true});
    tell_started(v);
    struct wl_event *e = wl_event(v->plan, v->pod, KUBELET, "BackOff",
                                  "Back-off restarting failed container %.*s in pod %.*s",
                                  STR_ARG(name), STR_ARG(where));
    e->warning = true;
    e->field_path = arena_printf(arena, "spec.containers{%.*s}", STR_ARG(name));
}

static int64_t restarts_shown(const struct node_view *v) {
    return v->on_failure ? RESTARTS_OF_JOBS : RESTARTS_SHOWN;
}

// Everything is pulled; containers start, and crash where that is asked for.
static void start(const struct node_view *v) {
    bool restarts = !v->finite || v->on_failure;
    bool fails = v->failure != FAIL_NONE && v->failure != FAIL_PULL;
    bool crashes = fails && restarts && (v->fail_times < 0 || v->restarts < v->fail_times);
    if (crashes) {
        if (v->fail_times >= 0 || v->restarts < restarts_shown(v)) {
            crash(v);
        }
    } else if (v->finite && v->run_duration == 0) {
        finish(v);
    } else {
        run(v);
    }
}

static void creating(const struct node_view *v) {
    bool init = doc_len(doc_get(v->pod, "spec", "initContainers")) > 0;
    report(v, &(struct outcome){.phase = "Pending",
                                .state = STATE_WAITING,
                                .reason = init ? "PodInitializing" : "ContainerCreating"});
    for (DOC_EACH_ITEM(doc_get(v->pod, "spec", init ? "initContainers" : "containers"), c)) {
        if (str_eq_c(doc_get_str(c, "imagePullPolicy"), "Always") || v->failure == FAIL_PULL) {
            struct wl_event *e =
                wl_event(v->plan, v->pod, KUBELET, "Pulling", "Pulling image \"%.*s\"",
                         STR_ARG(doc_get_str(c, "image")));
            e->field_path = arena_printf(v->plan->arena, "spec.%s{%.*s}",
                                         init ? "initContainers" : "containers",
                                         STR_ARG(doc_get_str(c, "name")));
        }
    }
}

static struct str pull_error(const struct node_view *v) {
    struct str image = doc_get_str(doc_at(doc_get(v->pod, "spec", "containers"), 0), "image");
    return arena_printf(v->plan->arena,
                        "failed to pull and unpack image \"%.*s\": failed to resolve reference "
                        "\"%.*s\": not found",
                        STR_ARG(image), STR_ARG(image));
}

static void fail_pull(const struct node_view *v) {
    struct str error = pull_error(v);
    report(v, &(struct outcome){.phase = "Pending",
                                .state = STATE_WAITING,
                                .reason = "ErrImagePull",
                                .message = error});
    tell_each(v, true, "Failed", "Failed to pull image \"", "image",
              arena_cstr(v->plan->arena, arena_printf(v->plan->arena, "\": %.*s", STR_ARG(error))));
    tell_each(v, true, "Failed", "Error: ErrImagePull", "", "");
}

static void back_off_pull(const struct node_view *v) {
    struct str image = doc_get_str(doc_at(doc_get(v->pod, "spec", "containers"), 0), "image");
    report(v, &(struct outcome){
                  .phase = "Pending",
                  .state = STATE_WAITING,
                  .reason = "ImagePullBackOff",
                  .message = arena_printf(v->plan->arena,
                                          "Back-off pulling image \"%.*s\": ErrImagePull: %.*s",
                                          STR_ARG(image), STR_ARG(pull_error(v)))});
    tell_each(v, false, "BackOff", "Back-off pulling image \"", "image", "\"");
    tell_each(v, true, "Failed", "Error: ImagePullBackOff", "", "");
}

static void step_waiting(const struct node_view *v) {
    if (str_eq_c(v->waiting, "ContainerCreating") || str_eq_c(v->waiting, "PodInitializing")) {
        if (wait_for(v, v->start_delay)) {
            return;
        }
        if (v->failure == FAIL_PULL && v->fail_times != 0) {
            fail_pull(v);
        } else {
            start(v);
        }
    } else if (str_eq_c(v->waiting, "ErrImagePull")) {
        if (!wait_for(v, ERR_PULL_TIME)) {
            back_off_pull(v);
        }
    } else if (str_eq_c(v->waiting, "ImagePullBackOff")) {
        // fail-times pulls fail, one a retry delay; a pull that never works needs no further look.
        if (v->fail_times >= 0 && !wait_for(v, v->fail_times * v->retry_delay)) {
            start(v);
        }
    } else if (str_eq_c(v->waiting, "CrashLoopBackOff")) {
        if (v->fail_times < 0 && v->restarts >= restarts_shown(v)) {
            return;
        }
        if (!wait_for(v, back_off(v, v->restarts))) {
            start(v);
        }
    }
}

// What changes in a pod that runs: readiness by annotation or gate, and its own spec.
static void step_running(const struct node_view *v) {
    bool containers_ready = wl_condition_is(doc_get(v->pod, "status"), "ContainersReady", "True");
    int64_t after = wl_annotation_duration(v->pod, UNREADY_AFTER, -1);
    int64_t back = wl_annotation_duration(v->pod, UNREADY_FOR, -1);
    if (after >= 0 && v->ready && !wait_for(v, after)) {
        struct outcome o = running(v, false);
        report(v, &o);
        tell_each(v, true, "Unhealthy", "Readiness probe failed: container ", "name",
                  " is not ready, as its annotation says");
        return;
    }
    if (!containers_ready && after >= 0) {
        if (back >= 0 && !wait_for(v, back)) {
            struct outcome o = running(v, true);
            report(v, &o);
        }
        return;
    }
    bool gated = doc_len(doc_get(v->pod, "spec", "readinessGates")) > 0;
    int64_t generation = doc_int(doc_get(v->pod, "metadata", "generation"), 0);
    if (gated || generation != doc_int(doc_get(v->pod, "status", "observedGeneration"), 0)) {
        struct outcome o = running(v, containers_ready);
        report(v, &o);
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
    } else {
        step_running(v);
    }
}

static void bind(struct wl_plan *plan, const struct doc_value *pod, struct str node) {
    struct arena *arena = plan->arena;
    struct doc_value target = wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Node"),
                                        "name", doc_make_str(node), NULL);
    struct wl_write *binding =
        wl_create(plan, &wl_pods, wl_ns(pod),
                  wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("Binding"), "metadata",
                            wl_object(arena, "name", doc_make_str(wl_name(pod)), NULL), "target",
                            target, NULL));
    binding->name = wl_name(pod);
    binding->subresource = STR("binding");
    binding->manager = "kube-scheduler";
    tell_scheduled(plan, pod, node);
}

static void schedule(struct wl_plan *plan, const struct doc_value *pod,
                     const struct wl_world *world) {
    struct arena *arena = plan->arena;
    const struct doc_value *spec = doc_get(pod, "spec");
    bool gated = doc_len(doc_get(spec, "schedulingGates")) > 0;
    struct str scheduler = doc_get_str(spec, "schedulerName");
    if (scheduler.n && !str_eq_c(scheduler, "default-scheduler")) {
        return; // somebody else's
    }
    bool held = gated || (world->volumes.n && world->node_count);
    const struct wl_node *node =
        held ? NULL : wl_node_for(world, spec, str_hash(wl_uid(pod)) % 1024);
    if (node) {
        bind(plan, pod, node->name);
        return;
    }
    struct str why = gated  ? STR("Scheduling is blocked due to non-empty scheduling gates")
                     : held ? arena_printf(arena, "0/%zu nodes are available: %.*s. not found",
                                           world->node_count, STR_ARG(world->volumes))
                            : wl_unschedulable(arena, world, spec);
    struct wl_conditions list;
    wl_conditions_init(&list, plan, doc_get(pod, "status"));
    wl_conditions_set(&list, "PodScheduled", "False", gated ? "SchedulingGated" : "Unschedulable",
                      doc_make_str(why), false, false);
    const struct doc_value *generation = doc_get(pod, "metadata", "generation");
    for (uint32_t i = 0; doc_is(generation, DOC_INT) && !gated && i < list.list.len; i++) {
        list.list.items[i] =
            doc_with(arena, &list.list.items[i], *generation, "observedGeneration");
    }
    const struct doc_value *before = doc_get(pod, "status");
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value status = doc_with(arena, doc_is(before, DOC_OBJECT) ? before : &none,
                                       wl_conditions_done(&list), "conditions");
    status = doc_with(arena, &status, DOC_S("Pending"), "phase");
    status = doc_with(arena, &status, doc_make_str(quality_of_service(pod)), "qosClass");
    struct wl_write *write = wl_status(plan, &wl_pods, pod, status);
    if (write) {
        write->manager = "kube-scheduler";
        if (!gated) {
            struct wl_event *e =
                wl_event(plan, pod, "default-scheduler", "FailedScheduling", "%.*s", STR_ARG(why));
            e->action = "Scheduling";
            e->warning = true;
        }
    }
}

static void stop(const struct node_view *v) {
    int64_t grace = doc_int(doc_get(v->pod, "metadata", "deletionGracePeriodSeconds"), 0);
    if (grace == 0) {
        return; // gone as soon as its finalizers are
    }
    int64_t delay = wl_annotation_duration(v->pod, STOP_DELAY, 0);
    bool first = v->elapsed < NS_PER_MS; // the deletion was seen only now
    if (!wait_for(v, delay < grace * NS_PER_SECOND ? delay : grace * NS_PER_SECOND)) {
        struct wl_write *write =
            wl_delete(v->plan, &wl_pods, wl_ns(v->pod), wl_name(v->pod), wl_uid(v->pod));
        write->grace_seconds = 0;
        write->manager = KUBELET;
    }
    if (first) {
        tell_each(v, false, "Killing", "Stopping container ", "name", "");
    }
}

// A NoExecute taint ends the pod, at once or after the time it tolerates. True when it does now.
static bool evict(const struct node_view *v) {
    int64_t after = v->node ? wl_evicted_after(v->node, doc_get(v->pod, "spec")) : -1;
    if (after < 0) {
        return false;
    }
    if (after > 0) {
        int64_t since = v->plan->now;
        for (DOC_EACH_ITEM(v->node->taints, taint)) {
            int64_t added = wl_when(doc_get(taint, "timeAdded"));
            since = added && added < since ? added : since;
        }
        if (since + after > v->plan->now) {
            wl_requeue(v->plan, since + after - v->plan->now);
            return false;
        }
    }
    wl_delete(v->plan, &wl_pods, wl_ns(v->pod), wl_name(v->pod), wl_uid(v->pod));
    wl_event(v->plan, v->pod, "taint-eviction-controller", "TaintManagerEviction",
             "Marking for deletion Pod %.*s/%.*s", STR_ARG(wl_ns(v->pod)),
             STR_ARG(wl_name(v->pod)));
    return true;
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
        .ready = wl_condition_is(doc_get(pod, "status"), "Ready", "True"),
        .exit_code = (int)(wl_annotation_int(pod, EXIT_CODE, 1) & 255),
    };
    if (v.failure == FAIL_MEMORY && !wl_annotation(pod, EXIT_CODE).n) {
        v.exit_code = 137;
    }
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
    } else if (!evict(&v)) {
        step(&v);
    }
}
