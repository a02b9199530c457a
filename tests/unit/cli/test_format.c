// SPDX-License-Identifier: Apache-2.0
// Golden texts: what Argo CD's command line prints for the same Applications.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "cli/app.h"
#include "doc/yaml.h"

static const char shop[] =
    "metadata: {name: shop, namespace: argocd}\n"
    "spec:\n"
    "  project: default\n"
    "  source: {repoURL: 'file:///tmp/repo', path: app, targetRevision: main}\n"
    "  destination: {server: 'https://kubernetes.default.svc', namespace: shop}\n"
    "  syncPolicy: {automated: {prune: true}}\n"
    "status:\n"
    "  sync: {status: Synced, revision: 0e5d7b5beb01cc880037ee57fe9d6efa1f0d5850}\n"
    "  health: {status: Healthy}\n"
    "  conditions:\n"
    "  - {type: SyncError, message: \"two\\nlines\", lastTransitionTime: '2026-11-23T20:18:46Z'}\n"
    "  - {type: SyncError, message: again}\n"
    "  - {type: InvalidSpecError, message: bad}\n"
    "  history:\n"
    "  - {id: 0, deployedAt: '2026-11-23T20:18:46Z', revision: 0e5d7b5beb01cc88, source: {repoURL: "
    "'file:///tmp/repo', targetRevision: main}}\n"
    "  - {id: 1, deployedAt: '2026-11-23T20:19:46Z', revision: aaaabbbbcccc, source: {repoURL: "
    "'file:///tmp/other', targetRevision: v1}}\n"
    "  - {id: 2, deployedAt: '2026-11-23T20:20:46Z', revision: ddddeeeeffff, source: {repoURL: "
    "'file:///tmp/repo', targetRevision: v2}}\n"
    "  resources:\n"
    "  - {kind: Service, namespace: shop, name: web, status: OutOfSync, health: {status: "
    "Healthy}}\n"
    "  - {group: apps, kind: Deployment, namespace: shop, name: web, status: Synced, health: "
    "{status: Progressing}}\n"
    "  - {kind: ConfigMap, namespace: shop, name: cfg, status: Synced}\n"
    "  operationState:\n"
    "    phase: Succeeded\n"
    "    startedAt: '2026-11-23T20:18:45Z'\n"
    "    finishedAt: '2026-11-23T20:19:46Z'\n"
    "    message: done\n"
    "    syncResult:\n"
    "      revision: 0e5d7b5\n"
    "      resources:\n"
    "      - {kind: Job, namespace: shop, name: init, hookType: PreSync, hookPhase: Succeeded, "
    "status: Synced, message: ran}\n"
    "      - {group: apps, kind: Deployment, namespace: shop, name: web, status: Synced, "
    "hookPhase: Running, message: deployment.apps/web configured}\n";

struct fixture {
    struct arena *arena;
    struct doc_value app;
    struct buf out;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    setenv("TZ", "UTC", 1);
    tzset();
    f->arena = arena_create();
    buf_init(&f->out, OUT_MAX);
    assert_true(yaml_parse(str_from(shop), &options, f->arena, &documents, &count, &err));
    f->app = documents[0].root;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    buf_fini(&f->out);
    arena_destroy(f->arena);
    free(f);
    return 0;
}

static void expect(struct fixture *f, const char *want) {
    assert_string_equal(f->out.data ? f->out.data : "", want);
    buf_clear(&f->out);
}

static void test_list(void **state) {
    struct fixture *f = *state;
    struct doc_value manual = doc_without(f->arena, &f->app, "spec", "syncPolicy");
    manual = doc_without(f->arena, &manual, "status");
    manual = doc_with(f->arena, &manual, DOC_S("a"), "metadata", "name");
    struct doc_value items[] = {manual, f->app};
    struct app_list apps = {items, 2};
    app_format_list(&apps, STR("wide"), &f->out);
    expect(f, "NAME         CLUSTER                         NAMESPACE  PROJECT  STATUS  HEALTH   "
              "SYNCPOLICY  "
              "CONDITIONS                     REPO              PATH  TARGET\n"
              "argocd/a     https://kubernetes.default.svc  shop       default                   "
              "Manual      "
              "<none>                         file:///tmp/repo  app   main\n"
              "argocd/shop  https://kubernetes.default.svc  shop       default  Synced  Healthy  "
              "Auto-Prune  "
              "InvalidSpecError,SyncError(2)  file:///tmp/repo  app   main\n");
    app_format_names(&apps, &f->out);
    expect(f, "argocd/a\nargocd/shop\n");
}

static void test_summary(void **state) {
    struct fixture *f = *state;
    app_format_summary(&f->app, STR("https://x/shop"), &f->out);
    expect(f, "Name:               argocd/shop\n"
              "Project:            default\n"
              "Server:             https://kubernetes.default.svc\n"
              "Namespace:          shop\n"
              "URL:                https://x/shop\n"
              "Source:\n"
              "- Repo:             file:///tmp/repo\n"
              "  Target:           main\n"
              "  Path:             app\n"
              "SyncWindow:         Sync Allowed\n"
              "Sync Policy:        Automated (Prune)\n"
              "Sync Status:        Synced to main (0e5d7b5)\n"
              "Health Status:      Healthy\n");
}

static void test_conditions(void **state) {
    struct fixture *f = *state;
    app_format_conditions(&f->app, &f->out);
    expect(f, "CONDITION         MESSAGE    LAST TRANSITION\n"
              "SyncError         two lines  2026-11-23 20:18:46 +0000 UTC\n"
              "SyncError         again      <nil>\n"
              "InvalidSpecError  bad        <nil>\n");
}

static void test_operation(void **state) {
    struct fixture *f = *state;
    app_format_operation(&f->app, 0, &f->out);
    expect(f, "Operation:          Sync\n"
              "Sync Revision:      0e5d7b5\n"
              "Phase:              Succeeded\n"
              "Start:              2026-11-23 20:18:45 +0000 UTC\n"
              "Finished:           2026-11-23 20:19:46 +0000 UTC\n"
              "Duration:           1m1s\n"
              "Message:            done\n");
}

static void test_resources(void **state) {
    struct fixture *f = *state;
    app_format_resources(&f->app, &f->out);
    expect(f, "GROUP  KIND        NAMESPACE  NAME  STATUS     HEALTH       HOOK     MESSAGE\n"
              "       Job         shop       init  Succeeded  Synced       PreSync  ran\n"
              "apps   Deployment  shop       web   Synced     Progressing           "
              "deployment.apps/web configured\n"
              "       ConfigMap   shop       cfg   Synced                           \n"
              "       Service     shop       web   OutOfSync  Healthy               \n");
}

static void test_history(void **state) {
    struct fixture *f = *state;
    app_format_history(&f->app, &f->out);
    expect(f, "SOURCE  file:///tmp/repo\n"
              "ID      DATE                           REVISION\n"
              "0       2026-11-23 20:18:46 +0000 UTC  main (0e5d7b5)\n"
              "2       2026-11-23 20:20:46 +0000 UTC  v2 (ddddeee)\n"
              "\n"
              "SOURCE  file:///tmp/other\n"
              "ID      DATE                           REVISION\n"
              "1       2026-11-23 20:19:46 +0000 UTC  v1 (aaaabbb)\n");
    app_format_history_ids(&f->app, &f->out);
    expect(f, "0\n1\n2\n");
}

static void test_empty(void **state) {
    struct fixture *f = *state;
    struct doc_value empty = doc_null();
    app_format_conditions(&empty, &f->out);
    app_format_operation(&empty, 0, &f->out);
    app_format_history(&empty, &f->out);
    expect(f, "");
    app_format_summary(&empty, STR(""), &f->out); // no crash on what is not there
    app_format_resources(&empty, &f->out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_summary, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resources, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
