// SPDX-License-Identifier: Apache-2.0
// Carries out a plan: the status patch first, since it notes what is about to happen, then the calls on the destination,
// rank by rank. What became of each call is kept until a later status carries it.
#include "app/controller_internal.h"

#include "app/job.h"
#include "base/log.h"
#include "base/timefmt.h"

enum { CALLS_AT_ONCE = 16 };

struct call_ctx {
    struct app_async async;
    struct app_job *job;
    size_t index;
    bool is_retry; // the create after a forced delete
};

static void start_calls(struct app_item *item);

// ---- Results ----
static struct str pack(char **at, struct str text) {
    struct str out = {*at, text.n};
    if (text.n) {
        memcpy(*at, text.p, text.n);
    }
    *at += text.n;
    return out;
}

static void keep_result(struct app_item *item, const struct sync_result *r) {
    struct str message = str_first(r->message, ERR_MESSAGE_MAX);
    char *text = xmalloc(r->group.n + r->version.n + r->kind.n + r->ns.n + r->name.n + message.n +
                         r->hook_type.n + 1);
    char *at = text;
    struct sync_result kept = *r;
    kept.group = pack(&at, r->group);
    kept.version = pack(&at, r->version);
    kept.kind = pack(&at, r->kind);
    kept.ns = pack(&at, r->ns);
    kept.name = pack(&at, r->name);
    kept.message = pack(&at, message);
    kept.hook_type = pack(&at, r->hook_type);
    VEC_PUSH(&item->results, ((struct kept_result){kept, text}));
}

static void drop_results(struct app_item *item) {
    for (size_t i = 0; i < item->results.len; i++) {
        free(item->results.items[i].text);
    }
    item->results.len = 0;
}

static void end(struct app_item *item) {
    app_job_destroy(item->job);
    item->job = NULL;
    app_item_settle(item);
}

// A growing pause after writes that failed, so that a broken API is not hammered.
static void back_off(struct app_item *item, int64_t at_least) {
    int64_t pause = (int64_t)(100 * NS_PER_MS) << (item->failures < 9 ? item->failures : 9);
    item->failures++;
    pause += (int64_t)loop_random_below(item->controller->loop, (uint64_t)pause);
    app_requeue_in(item, pause < at_least ? at_least : pause);
}

// ---- The status patch ----
static void patched(void *ctx, const struct kube_reply *reply) {
    struct call_ctx *call = ctx;
    bool alive = app_async_end(&call->async);
    struct app_item *item = call->async.item;
    free(call);
    if (!alive) {
        return;
    }
    struct app_job *job = item->job;
    if (reply->error) {
        bool expected = reply->status == 409 || reply->status == 404;
        LOG(expected ? LOG_DEBUG : LOG_WARN, "app", "status not written", "app", item->name.p,
            "error", reply->error->message);
        back_off(item, reply->retry_after_ns);
        end(item);
        return;
    }
    item->failures = 0;
    kube_cache_note(item->controller->home, &app_gvr_applications, reply->body, reply->blob);
    if (job->plan.patch_drops_results) {
        drop_results(item);
    }
    if (job->input.is_refresh) {
        item->is_refresh = item->refresh_resolved = false;
    }
    app_write_events(item, job->input.app, job->plan.events, job->plan.event_count);
    if (job->plan.operation_phase.n) {
        app_metrics_synced(item, job->plan.operation_phase,
                           doc_get_str(job->input.app, "spec", "project"), job->input.server);
    }
    start_calls(item);
}

static void write_patch(struct app_item *item) {
    struct call_ctx *call = NEW(struct call_ctx);
    app_async_start(&call->async, item->controller, item);
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .gvr = app_gvr_applications,
                                   .ns = item->ns,
                                   .name = item->name,
                                   .patch = KUBE_PATCH_MERGE,
                                   .body = item->job->plan.patch,
                                   .grace_seconds = -1,
                                   .field_manager = STR("argocd-controller")};
    item->state = ITEM_WRITING;
    item->controller->options.home->ops->call(item->controller->options.home, &request, patched,
                                              call);
}

// ---- Calls on the destination ----
static bool send_call(struct app_item *item, size_t index, bool is_retry);

static bool is_immutable(const struct kube_reply *reply) {
    return reply->status == 422 &&
           (str_has(str_from(reply->error->message), STR("immutable")) ||
            str_has(str_from(reply->error->message), STR("may not change")) ||
            str_has(str_from(reply->error->message), STR("updates to")));
}

static bool needs_fresh_look(const struct app_call *call, const struct kube_reply *reply) {
    // Somebody made, changed or removed it meanwhile: look again instead of failing the operation.
    return (call->verb == KUBE_CREATE && reply->status == 409 &&
            !str_eq(reply->reason, STR("AlreadyExists"))) ||
           (call->verb == KUBE_UPDATE && reply->status == 409) || reply->status == 429 ||
           reply->status == 0 || reply->status >= 500;
}

static void fetched(void *ctx, const struct kube_reply *reply) {
    // An object that the cache does not know yet: its text is taken in, and the next plan patches it.
    struct call_ctx *call = ctx;
    if (app_async_end(&call->async)) {
        struct app_item *item = call->async.item;
        struct app_call *what = &item->job->plan.calls[call->index];
        if (!reply->error && item->cluster) {
            kube_cache_note(item->cluster->cache, &what->gvr, reply->body, reply->blob);
        }
        item->job->calls_under_way--;
        back_off(item, 0);
        start_calls(item);
    }
    free(call);
}

static void fetch(struct app_item *item, size_t index) {
    struct app_call *what = &item->job->plan.calls[index];
    struct call_ctx *call = NEW(struct call_ctx);
    app_async_start(&call->async, item->controller, item);
    call->index = index;
    struct kube_request request = {.verb = KUBE_GET,
                                   .gvr = what->gvr,
                                   .ns = what->ns,
                                   .name = what->name,
                                   .grace_seconds = -1};
    item->cluster->client->ops->call(item->cluster->client, &request, fetched, call);
}

static void record(struct app_item *item, const struct app_call *what,
                   const struct kube_reply *reply) {
    struct sync_result outcome = what->outcome;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    if (reply->error) {
        outcome.status = SYNC_RESULT_FAILED;
        outcome.hook_phase = OPERATION_FAILED;
        outcome.message = str_from(reply->error->message);
    } else if (what->dry_run) {
        outcome.message = arena_printf(arena, "%.*s (dry run)", STR_ARG(outcome.message));
    }
    if (!what->no_outcome || reply->error) {
        keep_result(item, &outcome);
    }
}

static void take_reply(struct app_item *item, size_t index, bool is_retry,
                       const struct kube_reply *reply) {
    struct app_job *job = item->job;
    struct app_call *what = &job->plan.calls[index];
    bool is_delete = what->verb == KUBE_DELETE;
    struct kube_reply gone = {.status = 200};
    if (reply->error && is_delete && reply->status == 404) {
        reply = &gone; // somebody else was faster
    }
    if (reply->error && what->force && !is_retry && !is_delete && is_immutable(reply)) {
        job->calls_under_way--;
        what->verb = KUBE_DELETE;
        what->propagation = KUBE_BACKGROUND;
        what->outcome.message = STR("deleted to be created again (Force=true)");
        what->no_outcome = true;
        send_call(item, index, true);
        return;
    }
    if (reply->error && what->verb == KUBE_CREATE && str_eq(reply->reason, STR("AlreadyExists"))) {
        fetch(item, index);
        return;
    }
    job->calls_under_way--;
    if (reply->error &&
        (needs_fresh_look(what, reply) || (what->verb == KUBE_PATCH && reply->status == 404) ||
         (what->verb == KUBE_PATCH && reply->status == 409 && !what->server_side))) {
        LOG(LOG_DEBUG, "app", "call to be repeated", "app", item->name.p, "object", what->name.p,
            "error", reply->error->message);
        back_off(item, reply->retry_after_ns);
    } else {
        record(item, what, reply);
        if (!reply->error) {
            item->failures = 0;
            if (!is_delete && !what->dry_run && item->cluster) {
                kube_cache_note(item->cluster->cache, &what->gvr, reply->body, reply->blob);
            }
        }
    }
    if (!reply->error && str_eq(what->gvr.resource, app_gvr_crds.resource) && item->cluster) {
        app_cluster_refresh(item->cluster);
    }
    start_calls(item);
}

static void called(void *ctx, const struct kube_reply *reply) {
    struct call_ctx *call = ctx;
    bool alive = app_async_end(&call->async);
    struct app_controller *controller = call->async.controller;
    struct app_item *item = call->async.item;
    size_t index = call->index;
    bool is_retry = call->is_retry;
    free(call);
    if (alive) {
        take_reply(item, index, is_retry, reply); // may be the end of the item
        app_pump(controller);
    }
}

static bool send_call(struct app_item *item, size_t index, bool is_retry) {
    const struct app_call *what = &item->job->plan.calls[index];
    struct call_ctx *call = NEW(struct call_ctx);
    app_async_start(&call->async, item->controller, item);
    call->index = index;
    call->is_retry = is_retry;
    struct kube_request request = {
        .verb = what->verb,
        .gvr = what->gvr,
        .ns = what->ns,
        .name = what->verb == KUBE_CREATE ? (struct str){NULL, 0} : what->name,
        .body = what->verb == KUBE_DELETE ? (struct str){NULL, 0} : what->body,
        .patch = what->patch,
        .dry_run = what->dry_run,
        .force = what->server_side,
        .field_manager = STR("argocd-controller"),
        .propagation = what->propagation,
        .precondition_uid = what->precondition_uid,
        .grace_seconds = -1,
    };
    item->job->calls_under_way++;
    item->cluster->client->ops->call(item->cluster->client, &request, called, call);
    return true;
}

static int compare_calls(const void *left, const void *right) {
    const struct app_call *a = left, *b = right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static void start_calls(struct app_item *item) {
    struct app_job *job = item->job;
    struct app_plan *plan = &job->plan;
    item->state = ITEM_CALLING;
    while (job->next_call < plan->call_count && job->calls_under_way < CALLS_AT_ONCE) {
        int rank = plan->calls[job->next_call].rank;
        if (job->calls_under_way && rank != job->current_rank) {
            return; // what comes earlier in the order of kinds is there before the rest is sent
        }
        job->current_rank = rank;
        send_call(item, job->next_call++, false);
    }
    if (job->calls_under_way == 0 && job->next_call == plan->call_count) {
        if (plan->call_count) {
            // Failed calls wait for their timer; recorded ones are planned on at once.
            item->is_again = item->is_again || (item->results.len > 0 && item->failures == 0);
        }
        end(item);
    }
}

void app_execute(struct app_item *item, struct app_job *job) {
    item->job = job;
    if (job->plan.call_count > 1) {
        // Stable by construction: the planner's order is by rank within a group already.
        qsort(job->plan.calls, job->plan.call_count, sizeof(struct app_call), compare_calls);
    }
    app_metrics_reconciled(item, job->input.server,
                           loop_now(item->controller->loop) - job->started_ns);
    if (job->plan.has_patch) {
        write_patch(item);
    } else {
        start_calls(item);
    }
}
