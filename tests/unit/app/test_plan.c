// SPDX-License-Identifier: Apache-2.0
// The planner over the folders of tests/data/app/: app.yaml (the Application), targets.yaml and live.yaml (objects), input.yaml
// (revision, time, results, errors; optional), expected.txt (what it decides). UPDATE=1 in the environment writes expected.txt anew.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>

#include "app/plan.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "doc/yaml.h"

struct scene {
    struct arena *arena;
    const char *folder;
    struct doc_value app, project, input;
    VEC(struct app_object) objects;
    VEC(struct sync_result) results;
    VEC(struct app_error) errors;
};

static bool read_text(struct scene *scene, const char *name, struct str *out) {
    struct str path = arena_printf(scene->arena, "%s/%s", scene->folder, name);
    FILE *file = fopen(path.p, "rb");
    if (!file) {
        return false;
    }
    char *text = arena_alloc(scene->arena, 1 << 20);
    size_t n = fread(text, 1, 1 << 20, file);
    fclose(file);
    *out = str_make(text, n);
    return true;
}

static size_t read_yaml(struct scene *scene, const char *name, struct yaml_document **documents) {
    struct str text;
    size_t count = 0;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    if (!read_text(scene, name, &text)) {
        return 0;
    }
    if (!yaml_parse(text, &options, scene->arena, documents, &count, &err)) {
        fail_msg("%s/%s: %s", scene->folder, name, err.message);
    }
    return count;
}

static bool is_cluster_kind(struct str kind) {
    return str_eq(kind, STR("Namespace")) || str_eq(kind, STR("CustomResourceDefinition")) ||
           str_eq(kind, STR("ClusterRole"));
}

static struct app_object *object_for(struct scene *scene, const struct doc_value *object) {
    struct str group, version, api_version = doc_get_str(object, "apiVersion");
    if (!str_cut(api_version, '/', &group, &version)) {
        version = api_version;
        group = STR("");
    }
    struct str kind = doc_get_str(object, "kind"), name = doc_get_str(object, "metadata", "name");
    struct str ns = doc_get_str(object, "metadata", "namespace");
    bool namespaced = !is_cluster_kind(kind);
    if (namespaced && ns.n == 0) {
        ns = doc_get_str(&scene->app, "spec", "destination", "namespace");
    }
    for (size_t i = 0; i < scene->objects.len; i++) {
        struct app_object *o = &scene->objects.items[i];
        if (str_eq(o->kind, kind) && str_eq(o->name, name) && str_eq(o->ns, ns) &&
            str_eq(o->group, group)) {
            return o;
        }
    }
    VEC_PUSH(&scene->objects,
             ((struct app_object){.group = group,
                                  .version = version,
                                  .kind = kind,
                                  .resource = kind,
                                  .ns = ns,
                                  .name = name,
                                  .is_namespaced = namespaced,
                                  .is_unknown_kind = str_starts(kind, STR("Unknown"))}));
    return &scene->objects.items[scene->objects.len - 1];
}

static void read_objects(struct scene *scene) {
    struct yaml_document *documents = NULL;
    size_t count = read_yaml(scene, "targets.yaml", &documents);
    for (size_t i = 0; i < count; i++) {
        object_for(scene, &documents[i].root)->target =
            blob_create(doc_to_json(scene->arena, &documents[i].root));
    }
    count = read_yaml(scene, "live.yaml", &documents);
    for (size_t i = 0; i < count; i++) {
        object_for(scene, &documents[i].root)->live =
            blob_create(doc_to_json(scene->arena, &documents[i].root));
    }
}

static void read_input(struct scene *scene) {
    struct yaml_document *documents = NULL;
    scene->input = read_yaml(scene, "input.yaml", &documents) ? documents[0].root : doc_null();
    for (DOC_EACH_ITEM(doc_get(&scene->input, "results"), r)) {
        struct sync_result result = {
            .group = doc_get_str(r, "group"),
            .version = STR("v1"),
            .kind = doc_get_str(r, "kind"),
            .ns = doc_get_str(r, "namespace"),
            .name = doc_get_str(r, "name"),
            .message = doc_get_str(r, "message"),
            .hook_type = doc_get_str(r, "hook"),
            .sync_phase = SYNC_MAIN,
            .status = doc_bool(doc_get(r, "failed"), false)   ? SYNC_RESULT_FAILED
                      : doc_bool(doc_get(r, "pruned"), false) ? SYNC_RESULT_PRUNED
                                                              : SYNC_RESULT_SYNCED};
        result.is_hook = result.hook_type.n > 0;
        for (int p = SYNC_PRE; p <= SYNC_FAIL; p++) {
            result.sync_phase = str_eq_c(result.hook_type, sync_phase_name((enum sync_phase)p))
                                    ? (enum sync_phase)p
                                    : result.sync_phase;
        }
        VEC_PUSH(&scene->results, result);
    }
    for (DOC_EACH_ITEM(doc_get(&scene->input, "errors"), e)) {
        VEC_PUSH(&scene->errors,
                 ((struct app_error){arena_cstr(scene->arena, doc_get_str(e, "type")),
                                     doc_get_str(e, "message")}));
    }
}

static const char *verb_name(enum kube_verb verb) {
    static const char *const names[] = {"get", "list", "create", "update", "patch", "delete"};
    return names[verb];
}

static void print_plan(struct scene *scene, const struct app_plan *plan, struct buf *out) {
    buf_printf(out, "sync: %.*s\nhealth: %.*s\n", STR_ARG(plan->sync_status),
               STR_ARG(plan->health_status));
    if (plan->operation_phase.n) {
        buf_printf(out, "operation: %.*s\n", STR_ARG(plan->operation_phase));
    }
    struct doc_value patch = doc_null();
    if (plan->has_patch) {
        assert_true(doc_parse_json(plan->patch, scene->arena, &patch, NULL));
        const struct doc_value *state = doc_get(&patch, "status", "operationState");
        if (doc_get_str(state, "message").n) {
            buf_printf(out, "message: %.*s\n", STR_ARG(doc_get_str(state, "message")));
        }
        buf_printf(out, "writes status%s\n",
                   doc_get(&patch, "operation") ? " and drops the operation" : "");
        for (DOC_EACH_ITEM(doc_get(&patch, "status", "conditions"), condition)) {
            buf_printf(out, "condition: %.*s: %.*s\n", STR_ARG(doc_get_str(condition, "type")),
                       STR_ARG(doc_get_str(condition, "message")));
        }
        for (DOC_EACH_ITEM(doc_get(state, "syncResult", "resources"), r)) {
            buf_printf(out, "result: %.*s/%.*s %.*s %.*s: %.*s\n", STR_ARG(doc_get_str(r, "kind")),
                       STR_ARG(doc_get_str(r, "name")), STR_ARG(doc_get_str(r, "status")),
                       STR_ARG(doc_get_str(r, "hookPhase")), STR_ARG(doc_get_str(r, "message")));
        }
        const struct doc_value *history = doc_get(&patch, "status", "history");
        if (history) {
            buf_printf(out, "history: %zu\n", doc_len(history));
        }
    }
    for (size_t i = 0; i < plan->call_count; i++) {
        const struct app_call *call = &plan->calls[i];
        buf_printf(out, "call: %s %.*s/%.*s%s%s\n", verb_name(call->verb),
                   STR_ARG(call->gvr.resource), STR_ARG(call->name),
                   call->dry_run ? " (dry run)" : "", call->server_side ? " (server-side)" : "");
        if (call->verb == KUBE_PATCH && doc_bool(doc_get(&scene->input, "bodies"), false)) {
            buf_printf(out, "  %.*s\n", STR_ARG(call->body));
        }
    }
    if (plan->requeue_ns) {
        buf_printf(out, "again in: %lld ms\n", (long long)(plan->requeue_ns / NS_PER_MS));
    }
}

static void run_scene(const char *folder) {
    struct scene scene = {.arena = arena_create(), .folder = folder};
    struct yaml_document *documents = NULL;
    if (read_yaml(&scene, "app.yaml", &documents) != 1) {
        fail_msg("%s/app.yaml must hold one document", folder);
    }
    scene.app = documents[0].root;
    struct str project = STR("{\"metadata\":{\"name\":\"default\"},\"spec\":{\"sourceRepos\":[\"*"
                             "\"],\"destinations\":[{\"server\":"
                             "\"*\",\"namespace\":\"*\"}],\"clusterResourceWhitelist\":[{\"group\":"
                             "\"*\",\"kind\":\"*\"}]}}");
    assert_true(doc_parse_json(project, scene.arena, &scene.project, NULL));
    if (read_yaml(&scene, "project.yaml", &documents)) {
        scene.project = documents[0].root;
    }
    read_objects(&scene);
    read_input(&scene);
    struct app_settings *settings = app_settings_parse(NULL, NULL);
    struct str revision = doc_get_str(&scene.input, "revision"),
               now = doc_get_str(&scene.input, "now");
    struct app_plan_input input = {
        .app = &scene.app,
        .project = &scene.project,
        .settings = settings,
        .ns = STR("argocd"),
        .server = STR("https://kubernetes.default.svc"),
        .cluster_name = STR("in-cluster"),
        .errors = scene.errors.items,
        .error_count = scene.errors.len,
        .revision = revision.n ? revision : STR("abc1230000000000000000000000000000000000"),
        .source_type = STR("Directory"),
        .objects = scene.objects.items,
        .object_count = scene.objects.len,
        .results = scene.results.items,
        .result_count = scene.results.len,
        .is_refresh = doc_bool(doc_get(&scene.input, "refresh"), false)};
    assert_true(time_parse(now.n ? now : STR("2026-11-23T12:00:00Z"), &input.now_ns));
    struct app_plan plan;
    app_plan(&input, scene.arena, &plan);
    struct buf out;
    buf_init(&out, 1 << 20);
    print_plan(&scene, &plan, &out);
    struct str expected = {NULL, 0};
    if (getenv("UPDATE")) {
        FILE *file = fopen(arena_printf(scene.arena, "%s/expected.txt", folder).p, "wb");
        assert_non_null(file);
        fwrite(out.data, 1, out.len, file);
        fclose(file);
    } else if (!read_text(&scene, "expected.txt", &expected) || !str_eq(expected, buf_str(&out))) {
        fail_msg("%s: expected\n%.*s\nbut got\n%.*s", folder, STR_ARG(expected),
                 STR_ARG(buf_str(&out)));
    }
    buf_fini(&out);
    for (size_t i = 0; i < scene.objects.len; i++) {
        blob_unref(scene.objects.items[i].target);
        blob_unref(scene.objects.items[i].live);
    }
    VEC_FREE(&scene.objects);
    VEC_FREE(&scene.results);
    VEC_FREE(&scene.errors);
    app_settings_unref(settings);
    arena_destroy(scene.arena);
}

static void test_folders(void **state) {
    const char *data = getenv("SKIFF_TEST_DATA");
    assert_non_null(data);
    char root[4000];
    snprintf(root, sizeof root, "%s/app", data);
    DIR *dir = opendir(root);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            char folder[4300];
            snprintf(folder, sizeof folder, "%s/%s", root, entry->d_name);
            run_scene(folder);
            count++;
        }
    }
    closedir(dir);
    print_message("%d scenes\n", count);
    assert_true(count > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
