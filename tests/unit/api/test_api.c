// SPDX-License-Identifier: Apache-2.0
// The first start and the operator's door, as a whole: the embedded API in memory, the controller over it, and a real HTTP
// server and client on a free port. Git is a stub that counts what it is told.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "api/api.h"
#include "apiserver/apiserver.h"
#include "app/app.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "crypto/crypto.h"
#include "kube/simple.h"
#include "local/local.h"
#include "store/store.h"

struct stub_vcs {
    struct vcs vcs;
    struct loop *loop;
    int resolved, invalidated;
    char url[256];
};

struct world {
    struct loop *loop;
    struct arena *arena;
    struct metrics *metrics;
    struct store *store;
    struct apiserver *server;
    struct kube_client *client;
    struct stub_vcs vcs;
    struct app_controller *app;
    struct api *api;
    struct http_server *http;
    struct http_client *http_client;
    bool is_ready; // the further condition of readiness
    bool booted;
    struct err boot_error;
    int status;
    char body[65536];
    size_t body_len;
};

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static void turn(struct world *w) {
    struct loop_timer *timer = loop_timer_create(w->loop, stop_loop, w->loop);
    loop_timer_start(timer, NS_PER_MS);
    loop_run(w->loop);
    loop_timer_destroy(timer);
}

#define RUN_UNTIL(w, condition)                           \
    do {                                                  \
        for (int i = 0; i < 20000 && !(condition); i++) { \
            turn(w);                                      \
        }                                                 \
        assert_true(condition);                           \
    } while (0)

// ---- Git that never answers with a commit ----
struct answer {
    void (*done)(void *ctx, struct str sha, const struct err *error);
    void *ctx;
};

static void answer_later(void *ctx) {
    struct answer *answer = ctx;
    struct err err = {0};
    err_set(&err, ERR_NOT_FOUND, "no such repository");
    answer->done(answer->ctx, STR(""), &err);
    free(answer);
}

static void stub_resolve(struct vcs *vcs, struct str url, const struct vcs_access *access,
                         struct str revision, int64_t max_age_ns,
                         void (*done)(void *ctx, struct str sha, const struct err *error),
                         void *ctx) {
    struct stub_vcs *stub = (struct stub_vcs *)vcs;
    struct answer *answer = NEW(struct answer);
    *answer = (struct answer){done, ctx};
    stub->resolved++;
    loop_post(stub->loop, answer_later, answer);
}

static void stub_invalidate(struct vcs *vcs, struct str url) {
    struct stub_vcs *stub = (struct stub_vcs *)vcs;
    stub->invalidated++;
    snprintf(stub->url, sizeof stub->url, "%.*s", STR_ARG(url));
}

static void stub_watch(struct vcs *vcs, struct str url, void (*fn)(void *ctx, struct str url),
                       void *ctx) {
}

static const struct vcs_ops stub_ops = {
    .resolve = stub_resolve, .invalidate = stub_invalidate, .watch = stub_watch};

// ---- Start and end ----
static void booted(void *ctx, const struct err *error) {
    struct world *w = ctx;
    w->booted = true;
    if (error) {
        w->boot_error = *error;
    }
}

static void boot(struct world *w) {
    w->booted = false;
    app_bootstrap(w->loop, w->client, STR("argocd"), booted, w);
    RUN_UNTIL(w, w->booted);
    if (w->boot_error.code != ERR_NONE) {
        fail_msg("%s", w->boot_error.message);
    }
}

static bool is_ready(void *ctx) {
    return ((struct world *)ctx)->is_ready;
}

static int setup(void **state) {
    struct world *w = NEW(struct world);
    struct err err = {0};
    w->loop = loop_create(1);
    w->arena = arena_create();
    w->metrics = metrics_create();
    w->store = store_create_memory(w->loop);
    struct apiserver_options options = {.loop = w->loop, .store = w->store, .no_workloads = true};
    w->server = apiserver_create(&options, &err);
    assert_non_null(w->server);
    w->client = local_client_create(w->server, STR("system:admin"));
    w->vcs = (struct stub_vcs){.vcs = {&stub_ops}, .loop = w->loop};
    struct api_options api = {.metrics = w->metrics, .is_ready = is_ready, .ctx = w};
    w->api = api_create(&api);
    struct http_server_options http = {.listen = STR("127.0.0.1:0"),
                                       .handle = api_handle,
                                       .body_limit = api_body_limit,
                                       .ctx = w->api};
    w->http = http_server_start(w->loop, &http, &err);
    if (!w->http) {
        fail_msg("%s", err.message);
    }
    w->http_client = http_client_create(w->loop);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    http_client_destroy(w->http_client);
    http_server_stop(w->http);
    api_destroy(w->api);
    app_controller_destroy(w->app);
    for (int i = 0; i < 20; i++) {
        turn(w); // what was posted before runs to its end
    }
    kube_client_destroy(w->client);
    apiserver_destroy(w->server);
    w->store->ops->close(w->store);
    metrics_destroy(w->metrics);
    loop_destroy(w->loop);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void start_app(struct world *w) {
    boot(w);
    struct app_options options = {.loop = w->loop,
                                  .home = w->client,
                                  .vcs = &w->vcs.vcs,
                                  .metrics = w->metrics,
                                  .ns = STR("argocd"),
                                  .no_events = true};
    w->app = app_controller_create(&options);
    api_set_app(w->api, w->app);
    w->is_ready = true;
    RUN_UNTIL(w, app_controller_is_ready(w->app));
}

// ---- Calls ----
static void called(void *ctx, const struct http_result *result) {
    struct world *w = ctx;
    w->status = result->error ? -1 : result->status;
    w->body_len = result->body.n < sizeof w->body ? result->body.n : sizeof w->body;
    memcpy(w->body, result->body.n ? result->body.p : "", w->body_len);
}

static int request(struct world *w, const char *method, const char *path,
                   const struct http_header *headers, size_t header_count, const char *body) {
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", http_server_port(w->http), path);
    struct http_target *target = http_target_create(&(struct http_tls){0}, STR(""), 0);
    struct http_call call = {.target = target,
                             .method = str_from(method),
                             .url = str_from(url),
                             .headers = headers,
                             .header_count = header_count,
                             .body = str_from(body),
                             .done = called,
                             .ctx = w};
    w->status = 0;
    http_client_start(w->http_client, &call);
    RUN_UNTIL(w, w->status != 0);
    http_target_destroy(target);
    return w->status;
}

static bool body_has(const struct world *w, const char *text) {
    return str_has(str_make(w->body, w->body_len), str_from(text));
}

static void create(struct world *w, struct kube_gvr gvr, const char *body) {
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = gvr,
                                   .ns = STR("argocd"),
                                   .body = str_from(body),
                                   .grace_seconds = -1};
    struct kube_answer answer;
    struct err err = {0};
    if (!kube_call_wait(w->loop, w->client, &request, w->arena, &answer, &err)) {
        fail_msg("%s", err.message);
    }
}

static struct doc_value get(struct world *w, struct kube_gvr gvr, const char *ns,
                            const char *name) {
    struct kube_request request = {.verb = KUBE_GET,
                                   .gvr = gvr,
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .grace_seconds = -1};
    struct kube_answer answer;
    struct doc_value value = doc_null();
    struct err err = {0};
    if (!kube_call_wait(w->loop, w->client, &request, w->arena, &answer, &err) ||
        !doc_parse_json(answer.body, w->arena, &value, &err)) {
        fail_msg("%s: %s", name, err.message);
    }
    return value;
}

#define GVR(group, version, resource) ((struct kube_gvr){STR(group), STR(version), STR(resource)})

// ---- Tests ----
static void test_bootstrap(void **state) {
    struct world *w = *state;
    boot(w);
    get(w, GVR("", "v1", "namespaces"), "", "argocd");
    get(w, GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions"), "",
        "applications.argoproj.io");
    struct doc_value project =
        get(w, GVR("argoproj.io", "v1alpha1", "appprojects"), "argocd", "default");
    assert_true(str_eq_c(doc_str(doc_at(doc_get(&project, "spec", "sourceRepos"), 0)), "*"));
    struct str version = doc_get_str(&project, "metadata", "resourceVersion");
    int64_t revision = apiserver_revision(w->server);
    boot(w); // a second start finds everything, and writes nothing
    struct doc_value again =
        get(w, GVR("argoproj.io", "v1alpha1", "appprojects"), "argocd", "default");
    assert_true(str_eq(version, doc_get_str(&again, "metadata", "resourceVersion")));
    assert_int_equal(apiserver_revision(w->server), revision);
}

static void test_endpoints(void **state) {
    struct world *w = *state;
    assert_int_equal(request(w, "GET", "/healthz", NULL, 0, ""), 200);
    assert_int_equal(request(w, "GET", "/livez", NULL, 0, ""), 200);
    assert_int_equal(request(w, "GET", "/readyz", NULL, 0, ""), 503);
    assert_int_equal(request(w, "POST", "/api/webhook", NULL, 0, "{}"), 503);
    start_app(w);
    assert_int_equal(request(w, "GET", "/readyz", NULL, 0, ""), 200);
    w->is_ready = false;
    assert_int_equal(request(w, "GET", "/readyz", NULL, 0, ""), 503);
    assert_int_equal(request(w, "GET", "/", NULL, 0, ""), 404);
    assert_int_equal(request(w, "POST", "/metrics", NULL, 0, ""), 405);
    assert_int_equal(request(w, "DELETE", "/healthz", NULL, 0, ""), 405);
    assert_int_equal(request(w, "GET", "/api/webhook", NULL, 0, ""), 405);
    assert_true(api_owns_path(STR("/metrics")) && api_owns_path(STR("/api/webhook")));
    assert_false(api_owns_path(STR("/api/v1/pods")));
}

#define APP                                                                                 \
    "{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Application\",\"metadata\":{"      \
    "\"name\":\"shop\",\"namespace\":\"argocd\"},\"spec\":{\"project\":\"default\","        \
    "\"source\":{\"repoURL\":\"https://git.example.com/org/shop.git\",\"path\":\"deploy\"," \
    "\"targetRevision\":\"main\"},\"destination\":{\"server\":"                             \
    "\"https://kubernetes.default.svc\",\"namespace\":\"shop\"}}}"

static void test_metrics(void **state) {
    struct world *w = *state;
    start_app(w);
    create(w, GVR("argoproj.io", "v1alpha1", "applications"), APP);
    RUN_UNTIL(w, w->vcs.resolved > 0);
    for (int i = 0; i < 2000 && !body_has(w, "argocd_app_reconcile_count{"); i++) {
        assert_int_equal(request(w, "GET", "/metrics", NULL, 0, ""), 200);
    }
    assert_true(body_has(w, "argocd_app_info{namespace=\"argocd\",name=\"shop\","
                            "project=\"default\",repo=\"https://git.example.com/org/shop.git\""));
    assert_true(body_has(w, "argocd_cluster_info{server=\"https://kubernetes.default.svc\""));
    assert_true(body_has(w, "# TYPE argocd_app_reconcile histogram"));
    assert_true(body_has(w, "workqueue_depth{name=\"app_reconciliation_queue\"}"));
}

static const char push[] =
    "{\"ref\":\"refs/heads/main\",\"after\":\"1234567890123456789012345678901234567890\","
    "\"repository\":{\"html_url\":\"https://git.example.com/org/shop\","
    "\"clone_url\":\"https://git.example.com/org/shop.git\",\"default_branch\":\"main\"}}";

static int send_push(struct world *w, const char *secret, const char *body) {
    unsigned char mac[SHA256_BYTES];
    hmac_sha256(str_from(secret), str_from(body), mac);
    struct str hex = hex_encode(w->arena, str_make((const char *)mac, sizeof mac));
    struct http_header headers[] = {
        {STR("X-GitHub-Event"), STR("push")},
        {STR("X-Hub-Signature-256"), arena_printf(w->arena, "sha256=%.*s", STR_ARG(hex))}};
    return request(w, "POST", "/api/webhook", headers, 2, body);
}

static void wait_for_app(struct world *w) {
    create(w, GVR("argoproj.io", "v1alpha1", "applications"), APP);
    RUN_UNTIL(w, w->vcs.resolved > 0 && app_controller_is_idle(w->app));
}

static void test_webhook_is_closed_without_a_secret(void **state) {
    struct world *w = *state;
    start_app(w);
    wait_for_app(w);
    assert_int_equal(send_push(w, "", push), 403);
    assert_int_equal(send_push(w, "guess", push), 403);
    assert_int_equal(request(w, "POST", "/api/webhook", NULL, 0, push), 403);
    assert_int_equal(w->vcs.invalidated, 0);
    assert_false(body_has(w, "configured")); // the sender learns no reason
}

static void test_webhook(void **state) {
    struct world *w = *state;
    start_app(w);
    wait_for_app(w);
    create(w, GVR("", "v1", "secrets"),
           "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"argocd-secret\","
           "\"namespace\":\"argocd\"},\"stringData\":{\"webhook.github.secret\":\"s3cret\"}}");
    RUN_UNTIL(w, app_controller_webhook_secret(w->app, "webhook.github.secret").n > 0);
    assert_int_equal(send_push(w, "wrong", push), 403);
    assert_int_equal(request(w, "POST", "/api/webhook", NULL, 0, push), 403);
    assert_int_equal(w->vcs.invalidated, 0);
    int resolved = w->vcs.resolved;
    assert_int_equal(send_push(w, "s3cret", push), 200);
    assert_int_equal(w->vcs.invalidated, 1);
    assert_string_equal(w->vcs.url, "https://git.example.com/org/shop.git");
    RUN_UNTIL(w, w->vcs.resolved > resolved);
    // Signed, but of another repository, and signed nonsense.
    assert_int_equal(send_push(w, "s3cret",
                               "{\"ref\":\"refs/heads/main\",\"repository\":{\"html_url\":"
                               "\"https://git.example.com/org/other\"}}"),
                     200);
    assert_int_equal(w->vcs.invalidated, 1);
    assert_int_equal(send_push(w, "s3cret", "{nonsense"), 400);
    assert_int_equal(w->vcs.invalidated, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bootstrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_webhook_is_closed_without_a_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(test_webhook, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
