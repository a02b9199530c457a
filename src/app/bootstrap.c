// SPDX-License-Identifier: Apache-2.0
// What must be there before the first Application: the namespace, the CRDs and the AppProject "default". Each is created
// and an answer "already exists" is as good; nothing that is there is changed.
#include "app/app.h"

#include "app/controller_internal.h"
#include "base/timefmt.h"

enum { ATTEMPTS_MAX = 50 };
#define ATTEMPT_PAUSE (100 * NS_PER_MS)

struct boot {
    struct loop *loop;
    struct kube_client *client;
    struct str ns; // NUL-terminated copy
    struct arena *arena;
    struct loop_timer *timer;
    unsigned step, attempts;
    const struct doc_value *crds;
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
};

static void next(void *ctx);

static void finish(struct boot *boot, const struct err *error) {
    boot->done(boot->ctx, error);
    loop_timer_destroy(boot->timer);
    arena_destroy(boot->arena);
    free(boot);
}

static void answered(void *ctx, const struct kube_reply *reply) {
    struct boot *boot = ctx;
    bool there = !reply->error || str_eq(reply->reason, STR("AlreadyExists"));
    if (there) {
        boot->step++;
        boot->attempts = 0;
        next(boot);
        return;
    }
    // A kind that was defined a moment ago may not be served yet (404); an API that starts answers 5xx or nothing.
    bool passing =
        reply->status == 404 || reply->status == 0 || reply->status == 429 || reply->status >= 500;
    if (passing && ++boot->attempts < ATTEMPTS_MAX) {
        loop_timer_start(boot->timer, ATTEMPT_PAUSE);
        return;
    }
    struct err err = *reply->error;
    err_wrap(&err, "preparing the cluster for Applications");
    finish(boot, &err);
}

static void create(struct boot *boot, struct kube_gvr gvr, struct str ns, struct str body) {
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = gvr,
                                   .ns = ns,
                                   .body = body,
                                   .grace_seconds = -1,
                                   .field_manager = STR("skiff")};
    boot->client->ops->call(boot->client, &request, answered, boot);
}

static void next(void *ctx) {
    struct boot *boot = ctx;
    size_t crd_count = doc_len(boot->crds);
    if (boot->step == 0) {
        create(boot, app_gvr_namespaces, STR(""),
               arena_printf(
                   boot->arena,
                   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
                   boot->ns.p));
    } else if (boot->step <= crd_count) {
        create(boot, app_gvr_crds, STR(""),
               doc_to_json(boot->arena, doc_at(boot->crds, boot->step - 1)));
    } else if (boot->step == crd_count + 1) {
        create(boot, app_gvr_projects, boot->ns,
               arena_printf(boot->arena,
                            "{\"apiVersion\":\"argoproj.io/"
                            "v1alpha1\",\"kind\":\"AppProject\",\"metadata\":{\"name\":\"default\","
                            "\"namespace\":\"%s\"},\"spec\":{\"clusterResourceWhitelist\":[{"
                            "\"group\":\"*\",\"kind\":\"*\"}],"
                            "\"destinations\":[{\"namespace\":\"*\",\"server\":\"*\"}],"
                            "\"sourceRepos\":[\"*\"]}}",
                            boot->ns.p));
    } else {
        finish(boot, NULL);
    }
}

void app_bootstrap(struct loop *loop, struct kube_client *client, struct str ns,
                   void (*done)(void *ctx, const struct err *error), void *ctx) {
    struct boot *boot = NEW(struct boot);
    *boot = (struct boot){
        .loop = loop, .client = client, .arena = arena_create(), .done = done, .ctx = ctx};
    boot->ns = arena_dup(boot->arena, ns.n ? ns : STR("argocd"));
    boot->timer = loop_timer_create(loop, next, boot);
    struct doc_value *list = ARENA_NEW(boot->arena, struct doc_value);
    struct err err = {0};
    CHECK(doc_parse_json(app_crds_json(), boot->arena, list, &err));
    boot->crds = doc_get(list, "items");
    loop_timer_start(boot->timer, 0);
}
