// SPDX-License-Identifier: Apache-2.0
// The verbs of the core against the store in memory: what is stored, what is refused, what changes and what does not.
#include "core_rig.h"

static const char DEPLOYMENT[] =
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},"
    "\"spec\":{\"replicas\":2,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{"
    "\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
    "\"image\":\"nginx\"}]}}},\"status\":{\"replicas\":9}}";

static void create_get_update_delete(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "configmaps", "default",
                                       "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}"),
                     201);
    assert_string_equal(RIG_TEXT(rig, "kind"), "ConfigMap");
    assert_string_equal(RIG_TEXT(rig, "apiVersion"), "v1");
    assert_string_equal(RIG_TEXT(rig, "metadata", "namespace"), "default");
    assert_int_equal(strlen(RIG_TEXT(rig, "metadata", "uid")), 36);
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    struct str created = rig->body;
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 200);
    assert_true(str_eq(rig->body, created));

    // The same object again is a no-op and keeps its version.
    uint64_t commits = store_memory_commits(rig->store);
    assert_int_equal(rig_update(rig, "configmaps", "default", "a", "", created), 200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_STRATEGIC, "configmaps", "default", "a",
                               "{\"data\":{\"k\":\"v\"}}"),
                     200);
    assert_int_equal(store_memory_commits(rig->store), commits);
    assert_int_equal(
        rig_create_object(rig, "configmaps", "default", "{\"metadata\":{\"name\":\"a\"}}"), 409);
    assert_string_equal(rig->reason.p, "AlreadyExists");

    assert_int_equal(
        rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", "default", "a", "{\"data\":{\"k\":\"w\"}}"),
        200);
    assert_string_not_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version);
    assert_int_equal(rig_update(rig, "configmaps", "default", "a", "", created), 409);
    assert_int_equal(rig->code, ERR_CONFLICT);

    assert_int_equal(rig_delete(rig, "configmaps", "default", "a"), 200);
    assert_string_equal(RIG_TEXT(rig, "status"), "Success");
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 404);
    assert_int_equal(rig_delete(rig, "configmaps", "default", "a"), 404);
    rig_destroy(rig);
}

static void refusals(void **state) {
    static const struct {
        const char *gvr, *ns, *body;
        int status;
        const char *reason;
    } cases[] = {
        {"configmaps", "nowhere", "{\"metadata\":{\"name\":\"a\"}}", 404, "NotFound"},
        {"configmaps", "default", "{\"metadata\":{}}", 422, "Invalid"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"A b\"}}", 422, "Invalid"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a/b\"}}", 422, "Invalid"},
        {"configmaps", "default", "{\"metadata\":{\"name\":5}}", 400, "BadRequest"},
        {"configmaps", "default", "{\"metadata\":[]}", 400, "BadRequest"},
        {"configmaps", "default", "[]", 400, "BadRequest"},
        {"configmaps", "default", "", 400, "BadRequest"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a\"", 400, "BadRequest"},
        {"configmaps", "default", "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}", 400,
         "BadRequest"},
        {"configmaps", "default", "{\"apiVersion\":\"v2\",\"metadata\":{\"name\":\"a\"}}", 400,
         "BadRequest"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}", 400,
         "BadRequest"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"a b\"}}}", 422,
         "Invalid"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":1}}}", 400,
         "BadRequest"},
        {"configmaps", "default", "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1\"}}", 400,
         "BadRequest"},
        {"configmaps", "default",
         "{\"metadata\":{\"name\":\"a\",\"ownerReferences\":[{\"kind\":\"Pod\"}]}}", 422,
         "Invalid"},
        {"things", "default", "{\"metadata\":{\"name\":\"a\"}}", 404, "NotFound"},
        {"apps/v9/deployments", "default", "{\"metadata\":{\"name\":\"a\"}}", 404, "NotFound"},
        {"configmaps", "", "{\"metadata\":{\"name\":\"a\"}}", 405, "MethodNotAllowed"},
        {"namespaces", "", "{\"metadata\":{\"name\":\"a.b\"}}", 422, "Invalid"},
    };
    struct rig *rig = rig_create();
    int64_t before = apiserver_revision(rig->server);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = rig_create_object(rig, cases[i].gvr, cases[i].ns, cases[i].body);
        if (status != cases[i].status || !str_eq_c(rig->reason, cases[i].reason)) {
            fail_msg("case %zu: %d %.*s", i, status, STR_ARG(rig->body));
        }
        assert_string_equal(RIG_TEXT(rig, "kind"), "Status");
    }
    assert_int_equal(apiserver_revision(rig->server), before);
    rig_destroy(rig);
}

static void metadata_is_the_servers(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "apps/v1/deployments", "default", DEPLOYMENT), 201);
    assert_string_equal(RIG_TEXT(rig, "metadata", "generation"), "1");
    assert_string_equal(RIG_TEXT(rig, "status", "replicas"), "(none)");
    const char *uid = RIG_TEXT(rig, "metadata", "uid");
    const char *created = RIG_TEXT(rig, "metadata", "creationTimestamp");

    // Labels do not count as a change of the specification, replicas do; uid and the like cannot be set.
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "apps/v1/deployments", "default", "web",
                               "{\"metadata\":{\"labels\":{\"a\":\"b\"},\"generation\":77,"
                               "\"creationTimestamp\":null}}"),
                     200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "generation"), "1");
    assert_string_equal(RIG_TEXT(rig, "metadata", "creationTimestamp"), created);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "apps/v1/deployments", "default", "web",
                               "{\"spec\":{\"replicas\":5},\"status\":{\"replicas\":3}}"),
                     200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "generation"), "2");
    assert_string_equal(RIG_TEXT(rig, "status", "replicas"), "(none)");
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "apps/v1/deployments", "default", "web",
                               "{\"metadata\":{\"uid\":\"x\"}}"),
                     422);

    // The status has its own way in, and keeps its hands off the rest.
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .patch = KUBE_PATCH_MERGE,
                                   .gvr = rig_gvr("apps/v1/deployments"),
                                   .ns = STR("default"),
                                   .name = STR("web"),
                                   .subresource = STR("status"),
                                   .body = STR("{\"metadata\":{\"annotations\":{\"k\":\"v\"},"
                                               "\"labels\":{\"no\":\"no\"}},"
                                               "\"spec\":{\"replicas\":1},"
                                               "\"status\":{\"replicas\":3}}")};
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "generation"), "2");
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "5");
    assert_string_equal(RIG_TEXT(rig, "status", "replicas"), "3");
    assert_string_equal(RIG_TEXT(rig, "metadata", "annotations", "k"), "v");
    assert_string_equal(RIG_TEXT(rig, "metadata", "labels", "no"), "(none)");
    assert_string_equal(RIG_TEXT(rig, "metadata", "uid"), uid);
    rig_destroy(rig);
}

static void generated_names(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(
        rig_create_object(rig, "configmaps", "default", "{\"metadata\":{\"generateName\":\"x-\"}}"),
        201);
    const char *first = RIG_TEXT(rig, "metadata", "name");
    assert_int_equal(strlen(first), 7);
    assert_int_equal(
        rig_create_object(rig, "configmaps", "default", "{\"metadata\":{\"generateName\":\"x-\"}}"),
        201);
    assert_string_not_equal(RIG_TEXT(rig, "metadata", "name"), first);
    rig_destroy(rig);
}

static void patches(void **state) {
    struct rig *rig = rig_create();
    const char *d = "apps/v1/deployments";
    assert_int_equal(rig_create_object(rig, d, "default", DEPLOYMENT), 201);
    assert_int_equal(
        rig_patch(rig, KUBE_PATCH_STRATEGIC, d, "default", "web",
                  "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":"
                  "\"nginx:2\"},{\"name\":\"d\",\"image\":\"redis\"}]}}}}"),
        200);
    struct doc_value value = rig_value(rig);
    const struct doc_value *containers = doc_get(&value, "spec", "template", "spec", "containers");
    assert_int_equal(doc_len(containers), 2);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_JSON, d, "default", "web",
                               "[{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":2},"
                               "{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":7}]"),
                     200);
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "7");
    assert_int_equal(rig_patch(rig, KUBE_PATCH_JSON, d, "default", "web",
                               "[{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":2}]"),
                     422);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_JSON, d, "default", "web", "{}"), 400);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, d, "default", "web",
                               "{\"metadata\":{\"name\":\"other\"}}"),
                     400);
    assert_int_equal(
        rig_patch(rig, KUBE_PATCH_MERGE, d, "default", "web",
                  "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"replicas\":1}}"),
        409);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, d, "default", "none", "{}"), 404);
    rig_destroy(rig);
}

static void scale_is_a_view(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "apps/v1/deployments", "default", DEPLOYMENT), 201);
    struct kube_request request = {.verb = KUBE_GET,
                                   .gvr = rig_gvr("apps/v1/deployments"),
                                   .ns = STR("default"),
                                   .name = STR("web"),
                                   .subresource = STR("scale")};
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(RIG_TEXT(rig, "kind"), "Scale");
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "2");
    request.verb = KUBE_PATCH;
    request.body = STR("{\"spec\":{\"replicas\":4}}");
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(RIG_TEXT(rig, "kind"), "Scale");
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "4");
    assert_int_equal(rig_get(rig, "apps/v1/deployments", "default", "web"), 200);
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "4");
    request.gvr = rig_gvr("configmaps");
    assert_int_equal(rig_call(rig, &request), 404);
    rig_destroy(rig);
}

static void dry_runs_change_nothing(void **state) {
    struct rig *rig = rig_create();
    int64_t before = apiserver_revision(rig->server);
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr("configmaps"),
                                   .ns = STR("default"),
                                   .dry_run = true,
                                   .grace_seconds = -1,
                                   .body = STR("{\"metadata\":{\"name\":\"a\"}}")};
    assert_int_equal(rig_call(rig, &request), 201);
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 404);
    request.dry_run = false;
    assert_int_equal(rig_call(rig, &request), 201);
    request.verb = KUBE_DELETE;
    request.name = STR("a");
    request.body = STR("");
    request.dry_run = true;
    assert_int_equal(rig_call(rig, &request), 200);
    request.verb = KUBE_PATCH;
    request.body = STR("{\"data\":{\"k\":\"v\"}}");
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(RIG_TEXT(rig, "data", "k"), "v");
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 200);
    assert_string_equal(RIG_TEXT(rig, "data", "k"), "(none)");
    rig_settle(rig);
    assert_int_equal(apiserver_revision(rig->server), before + 1);
    rig_destroy(rig);
}

static void finalizers_hold(void **state) {
    struct rig *rig = rig_create();
    const char *c = "configmaps";
    assert_int_equal(rig_create_object(rig, c, "default",
                                       "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"x/y\"]}}"),
                     201);
    assert_int_equal(rig_delete(rig, c, "default", "a"), 200);
    assert_string_equal(RIG_TEXT(rig, "kind"), "ConfigMap");
    assert_string_not_equal(RIG_TEXT(rig, "metadata", "deletionTimestamp"), "(none)");
    assert_int_equal(rig_delete(rig, c, "default", "a"), 200); // again: nothing changes
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, c, "default", "a",
                               "{\"metadata\":{\"finalizers\":[\"x/y\",\"x/z\"]}}"),
                     422);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, c, "default", "a",
                               "{\"metadata\":{\"deletionTimestamp\":null}}"),
                     200);
    assert_string_not_equal(RIG_TEXT(rig, "metadata", "deletionTimestamp"), "(none)");
    assert_int_equal(
        rig_patch(rig, KUBE_PATCH_MERGE, c, "default", "a", "{\"metadata\":{\"finalizers\":null}}"),
        200);
    assert_int_equal(rig_get(rig, c, "default", "a"), 404);

    assert_int_equal(rig_create_object(rig, c, "default", "{\"metadata\":{\"name\":\"b\"}}"), 201);
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = rig_gvr(c),
                                   .ns = STR("default"),
                                   .name = STR("b"),
                                   .grace_seconds = -1,
                                   .precondition_uid = STR("other")};
    assert_int_equal(rig_call(rig, &request), 409);
    request.precondition_uid = STR("");
    request.propagation = KUBE_FOREGROUND;
    assert_int_equal(rig_call(rig, &request), 200);
    struct doc_value value = rig_value(rig);
    assert_true(str_eq(doc_str(doc_at(doc_get(&value, "metadata", "finalizers"), 0)),
                       STR("foregroundDeletion")));
    rig_destroy(rig);
}

static void namespaces_terminate(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "namespaces", "", "{\"metadata\":{\"name\":\"n\"}}"),
                     201);
    assert_string_equal(RIG_TEXT(rig, "status", "phase"), "Active");
    struct doc_value value = rig_value(rig);
    assert_int_equal(doc_len(doc_get(&value, "spec", "finalizers")), 1);
    assert_int_equal(rig_delete(rig, "namespaces", "", "n"), 200);
    assert_string_equal(RIG_TEXT(rig, "status", "phase"), "Terminating");
    assert_int_equal(rig_create_object(rig, "configmaps", "n", "{\"metadata\":{\"name\":\"a\"}}"),
                     403);
    assert_string_equal(rig->reason.p, "Forbidden");
    assert_int_equal(rig_get(rig, "namespaces", "", "n"), 200);
    value = rig_value(rig);
    struct doc_value next = doc_without(rig->arena, &value, "spec", "finalizers");
    assert_int_equal(
        rig_update(rig, "namespaces", "", "n", "finalize", doc_to_json(rig->arena, &next)), 200);
    assert_int_equal(rig_get(rig, "namespaces", "", "n"), 404);
    rig_destroy(rig);
}

static void pods_get_their_grace(void **state) {
    struct rig *rig = rig_create();
    const char *body =
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n1\",\"containers\":"
        "[{\"name\":\"c\",\"image\":\"i\"}]}}";
    assert_int_equal(rig_create_object(rig, "pods", "default", body), 201);
    assert_int_equal(rig_delete(rig, "pods", "default", "p"), 200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "deletionGracePeriodSeconds"), "30");
    assert_int_equal(rig_get(rig, "pods", "default", "p"), 200);
    struct kube_request request = {
        .verb = KUBE_DELETE, .gvr = rig_gvr("pods"), .ns = STR("default"), .name = STR("p")};
    assert_int_equal(rig_call(rig, &request), 200); // grace 0
    assert_int_equal(rig_get(rig, "pods", "default", "p"), 404);
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_get_update_delete),
        cmocka_unit_test(refusals),
        cmocka_unit_test(metadata_is_the_servers),
        cmocka_unit_test(generated_names),
        cmocka_unit_test(patches),
        cmocka_unit_test(scale_is_a_view),
        cmocka_unit_test(dry_runs_change_nothing),
        cmocka_unit_test(finalizers_hold),
        cmocka_unit_test(namespaces_terminate),
        cmocka_unit_test(pods_get_their_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
