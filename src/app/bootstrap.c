// SPDX-License-Identifier: Apache-2.0
// What must be there before the first Application: the namespace, the CRDs and the AppProject "default". Each is looked for
// with a right that the controller needs anyway, and created only when it is missing, so that a start where all is there
// neither writes nor asks for more. An answer "already exists" is as good; nothing that is there is changed.
#include "app/app.h"

#include "app/controller_internal.h"
#include "base/timefmt.h"

enum { ATTEMPTS_MAX = 50, STEPS = 4 };
#define ATTEMPT_PAUSE (100 * NS_PER_MS)

struct app_boot {
    struct loop *loop;
    struct kube_client *client;
    struct str ns; // NUL-terminated copy
    struct arena *arena;
    struct loop_timer *timer;
    unsigned step, attempts;
    bool is_creating; // the look found nothing
    bool is_under_way, is_cancelled;
    const struct doc_value *crds;
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
};

static void next(void *ctx);

static void boot_free(struct app_boot *boot) {
    loop_timer_destroy(boot->timer);
    arena_destroy(boot->arena);
    free(boot);
}

static void finish(struct app_boot *boot, const struct err *error) {
    boot->done(boot->ctx, error);
    boot_free(boot);
}

void app_bootstrap_cancel(struct app_boot *boot) {
    if (boot && boot->is_under_way) {
        boot->is_cancelled = true; // its answer frees it
        loop_timer_stop(boot->timer);
    } else if (boot) {
        boot_free(boot);
    }
}

static void answered(void *ctx, const struct kube_reply *reply) {
    struct app_boot *boot = ctx;
    boot->is_under_way = false;
    if (boot->is_cancelled) {
        boot_free(boot);
        return;
    }
    // Who may not see the namespace is told by the lists in it whether all is well.
    bool hidden = boot->step == 0 && !boot->is_creating && reply->status == 403;
    bool there = !reply->error || hidden || str_eq(reply->reason, STR("AlreadyExists"));
    bool missing = !boot->is_creating && reply->status == 404;
    if (there || missing) {
        boot->step += there;
        boot->is_creating = missing;
        boot->attempts = 0;
        next(boot);
        return;
    }
    // A kind that was defined a moment ago may not be served yet (404); an API that starts answers 5xx or nothing.
    bool passing =
        reply->status == 404 || reply->status == 0 || reply->status == 429 || reply->status >= 500;
    if (passing && ++boot->attempts < ATTEMPTS_MAX) {
        loop_timer_start(boot->timer, ATTEMPT_PAUSE > reply->retry_after_ns
                                          ? ATTEMPT_PAUSE
                                          : reply->retry_after_ns);
        return;
    }
    struct err err = *reply->error;
    err_wrap(&err, "preparing the cluster for Applications");
    finish(boot, &err);
}

static void send(struct app_boot *boot, struct kube_request request) {
    request.grace_seconds = -1;
    request.field_manager = boot->is_creating ? STR("skiff") : (struct str){NULL, 0};
    boot->is_under_way = true;
    boot->client->ops->call(boot->client, &request, answered, boot);
}

static void look(struct app_boot *boot) {
    const struct kube_gvr *lists[] = {&app_gvr_applications, &app_gvr_projects};
    switch (boot->step) {
    case 0:
        send(boot,
             (struct kube_request){.verb = KUBE_GET, .gvr = app_gvr_namespaces, .name = boot->ns});
        break;
    case 1:
    case 2:
        send(boot,
             (struct kube_request){
                 .verb = KUBE_LIST, .gvr = *lists[boot->step - 1], .ns = boot->ns, .limit = 1});
        break;
    default:
        send(boot, (struct kube_request){.verb = KUBE_GET,
                                         .gvr = app_gvr_projects,
                                         .ns = boot->ns,
                                         .name = STR("default")});
    }
}

static void create(struct app_boot *boot, struct kube_gvr gvr, struct str ns, struct str body) {
    send(boot, (struct kube_request){.verb = KUBE_CREATE, .gvr = gvr, .ns = ns, .body = body});
}

static void next(void *ctx) {
    struct app_boot *boot = ctx;
    if (boot->step >= STEPS) {
        finish(boot, NULL);
    } else if (!boot->is_creating) {
        look(boot);
    } else if (boot->step == 0) {
        create(boot, app_gvr_namespaces, STR(""),
               arena_printf(
                   boot->arena,
                   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
                   boot->ns.p));
    } else if (boot->step < 3) { // in the order of the list in crds.c
        create(boot, app_gvr_crds, STR(""),
               doc_to_json(boot->arena, doc_at(boot->crds, boot->step - 1)));
    } else {
        create(boot, app_gvr_projects, boot->ns,
               arena_printf(boot->arena,
                            "{\"apiVersion\":\"argoproj.io/"
                            "v1alpha1\",\"kind\":\"AppProject\",\"metadata\":{\"name\":\"default\","
                            "\"namespace\":\"%s\"},\"spec\":{\"clusterResourceWhitelist\":[{"
                            "\"group\":\"*\",\"kind\":\"*\"}],"
                            "\"destinations\":[{\"namespace\":\"*\",\"server\":\"*\"}],"
                            "\"sourceRepos\":[\"*\"]}}",
                            boot->ns.p));
    }
}

struct app_boot *app_bootstrap(struct loop *loop, struct kube_client *client, struct str ns,
                               void (*done)(void *ctx, const struct err *error), void *ctx) {
    struct app_boot *boot = NEW(struct app_boot);
    *boot = (struct app_boot){
        .loop = loop, .client = client, .arena = arena_create(), .done = done, .ctx = ctx};
    boot->ns = arena_dup(boot->arena, ns.n ? ns : STR("argocd"));
    boot->timer = loop_timer_create(loop, next, boot);
    struct doc_value *list = ARENA_NEW(boot->arena, struct doc_value);
    struct err err = {0};
    CHECK(doc_parse_json(app_crds_json(), boot->arena, list, &err));
    boot->crds = doc_get(list, "items");
    loop_timer_start(boot->timer, 0);
    return boot;
}
