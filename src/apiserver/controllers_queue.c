// SPDX-License-Identifier: Apache-2.0
// The queue of objects to look at, each at most once in it, and the writes under way. An object is not looked at again
// before all of its writes are answered; what changes meanwhile marks it. Failures back off. Intermediate statuses wait
// a moment: a roll-out that takes milliseconds then costs one status write, while one that takes its time shows its steps.
#include "apiserver/controllers.h"

#include "base/log.h"

enum { VISITS_PER_TURN = 16 };
#define SETTLE (100 * NS_PER_MS)
#define BACKOFF_FIRST (10 * NS_PER_MS)
#define BACKOFF_LAST (30 * NS_PER_SECOND)

struct ctl_op {
    struct api_controllers *c; // NULL: the controllers are gone
    struct ctl_op *next, **back;
    struct ctl_object *object;
    bool exists_is_fine, owns_ctx, creates;
    struct ctl_event *events; // to be recorded when it succeeds
    void (*done)(void *ctx, const struct kube_reply *reply);
    void *ctx;
};

// ---- Later visits: a heap ----
static bool before(const struct ctl_later *a, const struct ctl_later *b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_up(struct api_controllers *c, size_t i) {
    struct ctl_later *heap = c->later.items;
    while (i > 0 && before(&heap[i], &heap[(i - 1) / 2])) {
        struct ctl_later other = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = other;
        i = (i - 1) / 2;
    }
}

static struct ctl_later heap_pop(struct api_controllers *c) {
    struct ctl_later *heap = c->later.items;
    struct ctl_later top = heap[0];
    heap[0] = heap[--c->later.len];
    size_t i = 0;
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < c->later.len && before(&heap[child], &heap[least])) {
                least = child;
            }
        }
        if (least == i) {
            return top;
        }
        struct ctl_later other = heap[i];
        heap[i] = heap[least];
        heap[least] = other;
        i = least;
    }
}

static void arm_alarm(struct api_controllers *c) {
    if (c->later.len == 0) {
        loop_timer_stop(c->alarm);
        return;
    }
    int64_t delay = c->later.items[0].due - loop_now(c->loop);
    loop_timer_start(c->alarm, delay > 0 ? delay : 0);
}

void ctl_wake_later(struct ctl_object *object, int64_t delay_ns) {
    struct api_controllers *c = object->kind->c;
    int64_t due = loop_now(c->loop) + (delay_ns > 0 ? delay_ns : 1);
    if (!object->alive || (object->due && object->due <= due)) {
        return;
    }
    object->due = due;
    object->pins++;
    struct ctl_later entry = {.due = due, .order = ++c->order, .object = object};
    VEC_PUSH(&c->later, entry);
    heap_up(c, c->later.len - 1);
    if (c->later.items[0].object == object) {
        arm_alarm(c);
    }
}

void ctl_alarm(void *ctx) {
    struct api_controllers *c = ctx;
    int64_t now = loop_now(c->loop);
    while (c->later.len && c->later.items[0].due <= now) {
        struct ctl_later entry = heap_pop(c);
        entry.object->pins--;
        if (entry.object->alive && entry.object->due == entry.due) {
            entry.object->due = 0;
            ctl_wake(entry.object);
        }
        ctl_release(entry.object);
    }
    arm_alarm(c);
}

// ---- The queue ----
void ctl_wake(struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    if (!object->alive || object->queued) {
        return;
    }
    if (object->in_flight) {
        object->dirty = true;
        return;
    }
    object->queued = true;
    object->next = NULL;
    if (c->last) {
        c->last->next = object;
    } else {
        c->first = object;
    }
    c->last = object;
    if (ctl_is_synced(c) && !loop_timer_is_active(c->turn)) {
        loop_timer_start(c->turn, 0);
    }
}

static struct ctl_object *pop(struct api_controllers *c) {
    struct ctl_object *object = c->first;
    if (object) {
        c->first = object->next;
        if (!c->first) {
            c->last = NULL;
        }
        object->queued = false;
        object->next = NULL;
    }
    return object;
}

void ctl_turn(void *ctx) {
    struct api_controllers *c = ctx;
    if (!ctl_is_synced(c)) {
        return; // an incomplete picture would make pods twice
    }
    ctl_refresh_nodes(c);
    for (int i = 0; i < VISITS_PER_TURN; i++) {
        struct ctl_object *object = pop(c);
        if (!object) {
            return;
        }
        if (object->alive) {
            arena_reset(c->work);
            struct wl_plan plan;
            wl_plan_init(&plan, c->work, loop_wall(c->loop));
            object->dirty = false;
            char *refusal = object->refusal;
            object->refusal = NULL;
            plan.failure = str_from(refusal);
            ctl_visit(object, &plan);
            ctl_run_plan(object, &plan);
            free(refusal);
        }
        ctl_release(object);
    }
    if (c->first) {
        loop_timer_start(c->turn, 0);
    }
}

// ---- Writes ----
static struct ctl_op *op_create(struct api_controllers *c) {
    struct ctl_op *op = NEW(struct ctl_op);
    op->c = c;
    op->next = c->ops;
    op->back = &c->ops;
    if (c->ops) {
        c->ops->back = &op->next;
    }
    c->ops = op;
    return op;
}

static void op_unlink(struct ctl_op *op) {
    *op->back = op->next;
    if (op->next) {
        op->next->back = op->back;
    }
}

static bool is_failure(const struct ctl_op *op, const struct kube_reply *reply) {
    const struct err *error = reply->error;
    if (!error || error->code == ERR_CANCELLED || error->code == ERR_NOT_FOUND) {
        return false; // what is gone will be, or was, told by the watch
    }
    if (error->code == ERR_EXISTS && op->exists_is_fine) {
        return false;
    }
    const struct ctl_object *object = op->object;
    // Conflicts are tried again; creating in a namespace that terminates is forbidden, and goes away with it.
    bool usual = error->code == ERR_CONFLICT || error->code == ERR_FORBIDDEN;
    LOG(usual ? LOG_DEBUG : LOG_WARN, "workloads", "a write failed", "object", object->name.p,
        "error", error->message);
    return true;
}

static void settle(struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    if (object->write_failed) {
        object->write_failed = false;
        unsigned shift = object->failures < 12 ? object->failures : 12;
        object->failures++;
        int64_t delay = BACKOFF_FIRST << shift;
        delay = delay > BACKOFF_LAST ? BACKOFF_LAST : delay;
        delay += (int64_t)loop_random_below(c->loop, (uint64_t)delay / 4 + 1);
        ctl_wake_later(object, delay);
        return;
    }
    object->failures = 0;
    if (object->dirty) {
        ctl_wake(object);
    }
}

static void write_done(void *ctx, const struct kube_reply *reply) {
    struct ctl_op *op = ctx;
    if (op->c) {
        struct ctl_object *object = op->object;
        op_unlink(op);
        ctl_events_settle(op->c, op->events, reply);
        op->events = NULL;
        bool failed = is_failure(op, reply);
        object->write_failed = failed || object->write_failed;
        if (failed && op->creates) {
            free(object->refusal);
            object->refusal = xstrdup(str_from(reply->error->message));
        }
        if (--object->in_flight == 0) {
            settle(object);
            ctl_release(object);
        }
    }
    free(op);
}

static void send(struct ctl_object *object, const struct wl_plan *plan, size_t index) {
    struct api_controllers *c = object->kind->c;
    const struct wl_write *write = &plan->writes[index];
    struct kube_request request = {
        .verb = write->verb,
        .gvr = *write->gvr,
        .ns = write->ns,
        .name = write->name,
        .subresource = write->subresource,
        .patch = KUBE_PATCH_MERGE,
        .propagation = write->propagation,
        .precondition_uid = write->uid,
        .grace_seconds = write->grace_seconds,
        .field_manager = write->manager ? str_from(write->manager) : STR("kube-controller-manager"),
    };
    if (write->verb != KUBE_DELETE) {
        request.body = doc_to_json(plan->arena, &write->body);
    }
    struct ctl_op *op = op_create(c);
    op->object = object;
    op->exists_is_fine = write->exists_is_fine;
    op->creates = write->verb == KUBE_CREATE && !write->subresource.n;
    op->events = ctl_events_of(c, plan, index);
    object->in_flight++;
    apiserver_call(c->server, &c->user, &request, write_done, op);
}

// True when an intermediate status has to wait still.
static bool put_off(struct ctl_object *object) {
    int64_t now = loop_now(object->kind->c->loop);
    if (object->lazy_since == 0) {
        object->lazy_since = now;
    }
    int64_t left = object->lazy_since + SETTLE - now;
    if (left > 0) {
        ctl_wake_later(object, left);
        return true;
    }
    return false;
}

void ctl_run_plan(struct ctl_object *object, const struct wl_plan *plan) {
    bool waiting = false;
    struct kube_reply none = {0};
    struct api_controllers *c = object->kind->c;
    ctl_events_settle(c, ctl_events_of(c, plan, WL_NO_WRITE), &none);
    for (size_t i = 0; i < plan->count; i++) {
        const struct wl_write *write = &plan->writes[i];
        if (write->lazy && put_off(object)) {
            waiting = true;
        } else {
            send(object, plan, i);
        }
    }
    if (!waiting) {
        object->lazy_since = 0;
    }
    if (plan->requeue_ns) {
        ctl_wake_later(object, plan->requeue_ns);
    }
}

static void call_done(void *ctx, const struct kube_reply *reply) {
    struct ctl_op *op = ctx;
    if (op->c) {
        op_unlink(op);
        op->done(op->ctx, reply);
    }
    if (op->owns_ctx) {
        free(op->ctx);
    }
    free(op);
}

void ctl_call(struct api_controllers *c, const struct kube_request *request,
              void (*done)(void *ctx, const struct kube_reply *reply), void *ctx) {
    struct ctl_op *op = op_create(c);
    op->done = done;
    op->ctx = ctx;
    apiserver_call(c->server, &c->user, request, call_done, op);
}

void ctl_call_owned(struct api_controllers *c, const struct kube_request *request,
                    void (*done)(void *ctx, const struct kube_reply *reply), void *ctx) {
    struct ctl_op *op = op_create(c);
    op->done = done;
    op->ctx = ctx;
    op->owns_ctx = true;
    apiserver_call(c->server, &c->user, request, call_done, op);
}

void ctl_queue_destroy(struct api_controllers *c) {
    for (struct ctl_op *op = c->ops; op; op = op->next) {
        op->c = NULL; // freed when its answer comes
        ctl_events_free(op->events);
        op->events = NULL;
        if (op->object && --op->object->in_flight == 0) {
            ctl_release(op->object);
        }
        op->object = NULL;
    }
    c->ops = NULL;
    for (struct ctl_object *object; (object = pop(c));) {
        ctl_release(object);
    }
    for (size_t i = 0; i < c->later.len; i++) {
        c->later.items[i].object->pins--;
        ctl_release(c->later.items[i].object);
    }
    VEC_FREE(&c->later);
}
