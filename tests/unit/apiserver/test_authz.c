// SPDX-License-Identifier: Apache-2.0
// RBAC: what rules allow and cover, the cache that follows commits, and what requests from outside may do.
#include "core_rig.h"

#include "apiserver/authz.h"

static struct authz_rules rules_of(struct arena *arena, const char *json) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(str_from(json), arena, &value, &err)) {
        fail_msg("%s: %s", err.message, json);
    }
    return authz_rules_parse(arena, &value);
}

static void test_rules(void **state) {
    (void)state;
    static const struct {
        const char *rule, *verb, *group, *resource, *subresource, *name;
        bool allowed;
    } rows[] = {
#define PODS "[{\"verbs\":[\"get\",\"list\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]"
        {PODS, "get", "", "pods", "", "a", true},
        {PODS, "get", "", "pods", "log", "a", false},
        {PODS, "watch", "", "pods", "", "", false},
        {PODS, "get", "apps", "pods", "", "a", false},
        {PODS, "get", "", "podss", "", "a", false},
        {PODS, "GET", "", "pods", "", "a", false},
#define ALL "[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}]"
        {ALL, "anything", "x.y", "things", "", "", true},
        {ALL, "get", "", "pods", "log", "a", true},
#define SCALE "[{\"verbs\":[\"update\"],\"apiGroups\":[\"apps\"],\"resources\":[\"*/scale\"]}]"
        {SCALE, "update", "apps", "deployments", "scale", "a", true},
        {SCALE, "update", "apps", "deployments", "", "a", false},
        {SCALE, "update", "apps", "deployments", "status", "a", false},
#define LOG "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods/log\"]}]"
        {LOG, "get", "", "pods", "log", "a", true},
        {LOG, "get", "", "pods", "", "a", false},
        {LOG, "get", "", "pods", "logs", "a", false},
#define NAMED                                                                                 \
    "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"resourceNames\":[" \
    "\"a\"]}]"
        {NAMED, "get", "", "pods", "", "a", true},
        {NAMED, "get", "", "pods", "", "b", false},
        {NAMED, "get", "", "pods", "", "", false},
        {"[{\"verbs\":[\"get\"]}]", "get", "", "pods", "", "a", false},
        {"[{\"verbs\":\"get\",\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]", "get", "", "pods",
         "", "a", false},
        {"[1,null,{\"verbs\":[1,\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]", "get",
         "", "pods", "", "a", true},
        {"{}", "get", "", "pods", "", "a", false},
    };
    struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct authz_rules rules = rules_of(arena, rows[i].rule);
        struct authz_question question = {.verb = str_from(rows[i].verb),
                                          .group = str_from(rows[i].group),
                                          .resource = str_from(rows[i].resource),
                                          .subresource = str_from(rows[i].subresource),
                                          .name = str_from(rows[i].name)};
        bool allowed = false;
        for (size_t k = 0; k < rules.count; k++) {
            allowed = allowed || authz_rule_allows(&rules.items[k], &question);
        }
        if (allowed != rows[i].allowed) {
            fail_msg("row %zu: %s", i, rows[i].rule);
        }
    }
    arena_destroy(arena);
}

static void test_paths(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool allowed;
    } rows[] = {
        {"/api", "/api", true},           {"/api", "/api/v1", false},
        {"/api/*", "/api/v1", true},      {"/api/*", "/api", false},
        {"*", "/anything", true},         {"/a*", "/abc", true},
        {"/a*c", "/abc", false},          {"", "/", false},
        {"/version/", "/version", false}, {"/healthz", "/healthz/x", false},
    };
    struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct authz_rules rules = rules_of(
            arena, arena_printf(arena, "[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"%s\"]}]",
                                rows[i].pattern)
                       .p);
        struct authz_question question = {
            .is_path = true, .verb = STR("get"), .path = str_from(rows[i].path)};
        if (authz_rule_allows(&rules.items[0], &question) != rows[i].allowed) {
            fail_msg("%s %s", rows[i].pattern, rows[i].path);
        }
        question.verb = STR("post");
        assert_false(authz_rule_allows(&rules.items[0], &question));
    }
    arena_destroy(arena);
}

static void test_missing(void **state) {
    (void)state;
#define R(verbs, groups, resources, more) \
    "{\"verbs\":[" verbs "],\"apiGroups\":[" groups "],\"resources\":[" resources "]" more "}"
    static const struct {
        const char *held, *wanted, *missing;
    } rows[] = {
        {"[]", "[]", ""},
        {"[]", "[" R("\"get\",\"list\"", "\"\"", "\"pods\"", "") "]",
         "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}"},
        {"[" R("\"get\"", "\"\"", "\"pods\",\"secrets\"", "") "]",
         "[" R("\"get\",\"list\"", "\"\"", "\"pods\"", "") "]",
         "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}"},
        {"[" R("\"*\"", "\"*\"", "\"*\"", "") "]", "[" R("\"x\"", "\"y\"", "\"z/w\"", "") "]", ""},
        {"[" R("\"get\"", "\"\"", "\"*\"", "") "]", "[" R("\"*\"", "\"\"", "\"pods\"", "") "]",
         "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"*\"]}"},
        {"[" R("\"get\"", "\"\"", "\"pods\"", ",\"resourceNames\":[\"a\",\"b\"]") "]",
         "[" R("\"get\"", "\"\"", "\"pods\"", ",\"resourceNames\":[\"a\"]") "]", ""},
        {"[" R("\"get\"", "\"\"", "\"pods\"", ",\"resourceNames\":[\"a\"]") "]",
         "[" R("\"get\"", "\"\"", "\"pods\"", "") "]",
         "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"},
        {"[" R("\"get\"", "\"\"", "\"*/log\"", "") "]",
         "[" R("\"get\"", "\"\"", "\"pods/log\",\"pods\"", "") "]",
         "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"},
        {"[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/a/*\"]}]",
         "[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/a/b\",\"/a/*\",\"/b\"]}]",
         "{NonResourceURLs:[\"/b\"], Verbs:[\"get\"]}"},
    };
    struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct authz_rules held = rules_of(arena, rows[i].held);
        struct authz_rules wanted = rules_of(arena, rows[i].wanted), missing;
        assert_true(authz_rules_missing(arena, &held, &wanted, &missing));
        missing = authz_rules_compact(arena, &missing);
        struct str text = STR("");
        for (size_t k = 0; k < missing.count; k++) {
            text = arena_printf(arena, "%.*s%.*s", STR_ARG(text),
                                STR_ARG(authz_rule_print(arena, &missing.items[k])));
        }
        if (!str_eq(text, str_from(rows[i].missing))) {
            fail_msg("row %zu: %.*s", i, STR_ARG(text));
        }
    }
    arena_destroy(arena);
}

// ---- With a server ----
static struct rig *rbac_rig(void) {
    struct rig *rig = rig_create();
    apiserver_destroy(rig->server);
    rig_settle(rig);
    struct apiserver_options options = {
        .loop = rig->loop, .store = rig->store, .no_workloads = true, .rbac = true};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    assert_non_null(rig->server);
    rig_settle(rig);
    return rig;
}

static bool may(struct rig *rig, const char *user, const char *group, const char *verb,
                const char *resource, const char *ns) {
    struct str groups[] = {str_from(group)};
    struct api_user who = {.name = str_from(user), .groups = groups, .group_count = 1};
    struct authz_question question = {
        .verb = str_from(verb), .resource = str_from(resource), .ns = str_from(ns)};
    return authz_decide(rig->server, &who, &question, rig->arena, NULL);
}

static int make(struct rig *rig, const char *resource, const char *ns, const char *body) {
    char gvr[80];
    snprintf(gvr, sizeof gvr, "rbac.authorization.k8s.io/v1/%s", resource);
    return rig_create_object(rig, gvr, ns, body);
}

static int drop(struct rig *rig, const char *resource, const char *ns, const char *name) {
    struct kube_request request = {
        .verb = KUBE_DELETE,
        .gvr = {STR("rbac.authorization.k8s.io"), STR("v1"), str_from(resource)},
        .ns = str_from(ns),
        .name = str_from(name),
        .grace_seconds = -1};
    return rig_call(rig, &request);
}

#define REF(kind, name)                                                        \
    "\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"" kind \
    "\",\"name\":\"" name "\"}"
#define USER(name) \
    "{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"" name "\"}"

static void test_cache(void **state) {
    (void)state;
    struct rig *rig = rbac_rig();
    assert_true(may(rig, "x", "system:masters", "any", "thing", ""));
    assert_false(may(rig, "bob", "g", "get", "pods", "default"));
    assert_int_equal(
        make(rig, "rolebindings", "default",
             "{\"metadata\":{\"name\":\"b\"}," REF("Role", "r") ",\"subjects\":[" USER(
                 "bob") ",{\"kind\":\"ServiceAccount\",\"name\":\"sa\",\"namespace\":\"n\"}]}"),
        201);
    assert_false(may(rig, "bob", "g", "get", "pods", "default")); // its role is not there yet
    assert_int_equal(make(rig, "roles", "default",
                          "{\"metadata\":{\"name\":\"r\"},\"rules\":[{\"verbs\":[\"get\"],"
                          "\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]}"),
                     201);
    assert_true(may(rig, "bob", "g", "get", "pods", "default"));
    assert_true(may(rig, "system:serviceaccount:n:sa", "g", "get", "pods", "default"));
    assert_false(may(rig, "system:serviceaccount:default:sa", "g", "get", "pods", "default"));
    assert_false(may(rig, "bob", "g", "get", "pods", "other"));
    assert_false(may(rig, "bob", "g", "get", "pods", ""));
    assert_false(may(rig, "bob", "g", "list", "pods", "default"));
    assert_false(may(rig, "bo", "b", "get", "pods", "default"));
    assert_int_equal(drop(rig, "roles", "default", "r"), 200);
    assert_false(may(rig, "bob", "g", "get", "pods", "default"));
    assert_int_equal(drop(rig, "rolebindings", "default", "b"), 200);
    assert_int_equal(
        make(rig, "clusterrolebindings", "",
             "{\"metadata\":{\"name\":\"v\"}," REF(
                 "ClusterRole",
                 "view") ",\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
                         "\"Group\",\"name\":\"readers\"}]}"),
        201);
    assert_true(may(rig, "a", "readers", "list", "pods", "default"));
    assert_true(may(rig, "a", "readers", "list", "pods", ""));
    assert_false(may(rig, "a", "readers", "list", "secrets", "default"));
    assert_false(may(rig, "readers", "a", "list", "pods", "default"));
    rig_destroy(rig);
}

static void test_defaults_and_aggregation(void **state) {
    (void)state;
    struct rig *rig = rbac_rig();
    assert_false(may(rig, "x", "system:unauthenticated", "get", "pods", "default"));
    struct authz_question discovery = {.is_path = true, .verb = STR("get"), .path = STR("/api/v1")};
    struct authz_question version = {.is_path = true, .verb = STR("get"), .path = STR("/version")};
    struct str known[] = {STR_INIT("system:authenticated")};
    struct str nobody[] = {STR_INIT("system:unauthenticated")};
    struct api_user who = {.name = STR("x"), .groups = known, .group_count = 1};
    assert_true(authz_decide(rig->server, &who, &discovery, rig->arena, NULL));
    assert_true(authz_decide(rig->server, &who, &version, rig->arena, NULL));
    who.groups = nobody;
    assert_false(authz_decide(rig->server, &who, &discovery, rig->arena, NULL));
    assert_true(authz_decide(rig->server, &who, &version, rig->arena, NULL));
    // A role with the label becomes part of "view", and "view" of "edit" and "admin".
    assert_int_equal(make(rig, "clusterrolebindings", "",
                          "{\"metadata\":{\"name\":\"v\"}," REF(
                              "ClusterRole", "admin") ",\"subjects\":[" USER("eve") "]}"),
                     201);
    assert_false(may(rig, "eve", "g", "get", "things", "default"));
    assert_int_equal(make(rig, "clusterroles", "",
                          "{\"metadata\":{\"name\":\"things\",\"labels\":{\"rbac.authorization.k8s."
                          "io/aggregate-to-view\":\"true\"}},\"rules\":[{\"verbs\":[\"get\"],"
                          "\"apiGroups\":[\"\"],\"resources\":[\"things\"]}]}"),
                     201);
    rig_settle(rig);
    assert_true(may(rig, "eve", "g", "get", "things", "default"));
    assert_int_equal(drop(rig, "clusterroles", "", "things"), 200);
    rig_settle(rig);
    assert_false(may(rig, "eve", "g", "get", "things", "default"));
    rig_destroy(rig);
}

// ---- Requests from outside ----
struct outside {
    int status;
    char message[2048];
    bool done;
};

static void outside_done(struct api_op *op) {
    struct outside *outside = op->ctx;
    outside->status = op->status;
    snprintf(outside->message, sizeof outside->message, "%.*s", STR_ARG(op->error.message));
    outside->done = true;
    api_op_destroy(op);
}

static int ask(struct rig *rig, struct outside *outside, const char *user, enum api_verb verb,
               const char *resource, const char *name, const char *body) {
    static const struct str groups[] = {STR_INIT("system:authenticated")};
    struct api_op *op = api_op_create(rig->server, outside_done);
    *outside = (struct outside){0};
    op->ctx = outside;
    op->authorize = true;
    op->user = (struct api_user){.name = str_from(user), .groups = groups, .group_count = 1};
    op->request.verb = verb;
    op->request.gvr =
        (struct kube_gvr){STR("rbac.authorization.k8s.io"), STR("v1"), str_from(resource)};
    op->request.ns = STR("default");
    op->request.name = str_from(name);
    op->request.body = str_from(body);
    op->request.patch = KUBE_PATCH_MERGE;
    api_op_run(op);
    rig_settle(rig);
    assert_true(outside->done);
    return outside->status;
}

static void test_escalation(void **state) {
    (void)state;
    struct rig *rig = rbac_rig();
    struct outside out;
    static const char pods[] =
        "{\"metadata\":{\"name\":\"x\"},\"rules\":[" R("\"get\"", "\"\"", "\"pods\"", "") "]}";
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "roles", "", pods), 403);
    assert_string_equal(out.message,
                        "roles.rbac.authorization.k8s.io is forbidden: User \"bob\" cannot create "
                        "resource \"roles\" in API group \"rbac.authorization.k8s.io\" in the "
                        "namespace \"default\"");
    assert_int_equal(make(rig, "roles", "default",
                          "{\"metadata\":{\"name\":\"maker\"},\"rules\":[" R(
                              "\"create\",\"patch\",\"delete\"", "\"rbac.authorization.k8s.io\"",
                              "\"roles\",\"rolebindings\"", "") "]}"),
                     201);
    assert_int_equal(make(rig, "rolebindings", "default",
                          "{\"metadata\":{\"name\":\"maker\"}," REF(
                              "Role", "maker") ",\"subjects\":[" USER("bob") "]}"),
                     201);
    // He may write roles, but not with more than he has; a change of labels grants nothing.
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "roles", "", pods), 403);
    assert_true(strstr(out.message, "is attempting to grant RBAC permissions not currently held:\n"
                                    "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"));
    assert_int_equal(ask(rig, &out, "bob", API_VERB_PATCH, "roles", "maker",
                         "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"),
                     200);
    assert_int_equal(ask(rig, &out, "bob", API_VERB_PATCH, "roles", "maker",
                         "{\"rules\":[" R("\"*\"", "\"*\"", "\"*\"", "") "]}"),
                     403);
    static const char to_view[] = "{\"metadata\":{\"name\":\"v\"}," REF(
        "ClusterRole", "view") ",\"subjects\":[" USER("bob") "]}";
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "rolebindings", "", to_view), 403);
    static const char to_nothing[] =
        "{\"metadata\":{\"name\":\"n\"}," REF("Role", "no") ",\"subjects\":[" USER("bob") "]}";
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "rolebindings", "", to_nothing), 404);
    static const char to_own[] =
        "{\"metadata\":{\"name\":\"o\"}," REF("Role", "maker") ",\"subjects\":[" USER("eve") "]}";
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "rolebindings", "", to_own), 201);
    // The verbs that are made for it.
    assert_int_equal(make(rig, "roles", "default",
                          "{\"metadata\":{\"name\":\"lord\"},\"rules\":[" R(
                              "\"escalate\"", "\"rbac.authorization.k8s.io\"", "\"roles\"",
                              "") "," R("\"bind\"", "\"rbac.authorization.k8s.io\"",
                                        "\"clusterroles\"", ",\"resourceNames\":[\"view\"]") "]}"),
                     201);
    assert_int_equal(make(rig, "rolebindings", "default",
                          "{\"metadata\":{\"name\":\"lord\"}," REF(
                              "Role", "lord") ",\"subjects\":[" USER("bob") "]}"),
                     201);
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "roles", "", pods), 201);
    assert_int_equal(ask(rig, &out, "bob", API_VERB_CREATE, "rolebindings", "", to_view), 201);
    assert_int_equal(ask(rig, &out, "bob", API_VERB_DELETE, "rolebindings", "lord", ""), 200);
    // What is not served is refused in the same words to who may not look.
    assert_int_equal(ask(rig, &out, "bob", API_VERB_LIST, "nothings", "", ""), 403);
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_defaults_and_aggregation),
        cmocka_unit_test(test_escalation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
