// SPDX-License-Identifier: Apache-2.0
// Requests that wait for webhooks, what webhooks answer, and what the state of the server says of a write.
#include "core_rig.h"

#include "apiserver/chain.h"
#include "base/text.h"

// ---- Webhooks that a test answers ----
enum { ASKED_MAX = 64 };
struct asked {
    struct apiserver_callout call;
    struct str url, body;
    bool open;
    uint64_t id;
};
struct hooks {
    struct rig *rig;
    struct asked asked[ASKED_MAX];
    size_t count;
    const char *response; // members of the response besides its uid; NULL: tests answer themselves
    bool refuse;
};

static void answer(struct hooks *hooks, size_t i, const char *members) {
    struct asked *asked = &hooks->asked[i];
    struct doc_value review;
    assert_true(doc_parse_json(asked->body, hooks->rig->arena, &review, NULL));
    struct str uid = doc_get_str(&review, "request", "uid");
    struct str text = arena_printf(hooks->rig->arena,
                                   "{\"apiVersion\":\"%.*s\",\"kind\":\"%.*s\",\"response\":"
                                   "{\"uid\":\"%.*s\",%s}}",
                                   STR_ARG(doc_get_str(&review, "apiVersion")),
                                   STR_ARG(doc_get_str(&review, "kind")), STR_ARG(uid), members);
    assert_true(asked->open);
    asked->open = false;
    asked->call.done(asked->call.ctx, 200, text, NULL);
}

static void answer_all(void *ctx) {
    struct hooks *hooks = ctx;
    struct err err = {0};
    for (size_t i = 0; i < hooks->count; i++) {
        if (hooks->asked[i].open && hooks->refuse) {
            err_set(&err, ERR_UNAVAILABLE, "connection refused");
            hooks->asked[i].open = false;
            hooks->asked[i].call.done(hooks->asked[i].call.ctx, 0, STR(""), &err);
        } else if (hooks->asked[i].open) {
            answer(hooks, i, hooks->response);
        }
    }
}

static uint64_t start(void *ctx, const struct apiserver_callout *call) {
    struct hooks *hooks = ctx;
    assert_true(hooks->count < ASKED_MAX);
    struct asked *asked = &hooks->asked[hooks->count++];
    *asked = (struct asked){.call = *call, .open = true, .id = hooks->count};
    asked->url = arena_dup(hooks->rig->arena, call->url);
    asked->body = arena_dup(hooks->rig->arena, call->body);
    if (hooks->response || hooks->refuse) {
        loop_post(hooks->rig->loop, answer_all, hooks);
    }
    return asked->id;
}

static void cancel(void *ctx, uint64_t id) {
    struct hooks *hooks = ctx;
    struct asked *asked = &hooks->asked[id - 1];
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "cancelled");
    if (asked->open) {
        asked->open = false;
        asked->call.done(asked->call.ctx, 0, STR(""), &err);
    }
}

static struct hooks hooks;
static struct apiserver_calls calls = {.start = start, .cancel = cancel, .ctx = &hooks};

static struct rig *rig_with_hooks(void) {
    struct rig *rig = rig_create();
    hooks = (struct hooks){.rig = rig};
    apiserver_destroy(rig->server);
    rig_settle(rig);
    struct apiserver_options options = {
        .loop = rig->loop, .store = rig->store, .no_workloads = true, .calls = &calls};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    assert_non_null(rig->server);
    rig_settle(rig);
    return rig;
}

static void register_hook(struct rig *rig, const char *kind, const char *more) {
    const char *plural = kind[0] == 'M'
                             ? "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
                             : "admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    struct str body = arena_printf(
        rig->arena,
        "{\"metadata\":{\"name\":\"%s\"},\"webhooks\":[{\"name\":\"a.b.c\",\"sideEffects\":"
        "\"None\","
        "\"admissionReviewVersions\":[\"v1\"],\"clientConfig\":{\"url\":\"https://hook/x\"},"
        "\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"operations\":[\"*\"],"
        "\"resources\":[\"configmaps\"]}]%s}]}",
        kind[0] == 'M' ? "m" : "v", more);
    assert_int_equal(rig_create_object(rig, plural, "", body.p), 201);
}

#define CONFIG(name) "{\"metadata\":{\"name\":\"" name "\"},\"data\":{\"a\":\"b\"}}"

static void test_allowed_and_denied(void **state) {
    (void)state;
    struct rig *rig = rig_with_hooks();
    register_hook(rig, "Validating", "");
    hooks.response = "\"allowed\":true";
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("x")), 201);
    assert_int_equal(hooks.count, 1);
    assert_true(str_eq(hooks.asked[0].url, STR("https://hook/x?timeout=10s")));
    hooks.response = "\"allowed\":false,\"status\":{\"message\":\"not today\"}";
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("y")), 400);
    assert_string_equal(RIG_TEXT(rig, "message"),
                        "admission webhook \"a.b.c\" denied the request: not today");
    assert_int_equal(rig_delete(rig, "configmaps", "default", "x"), 400);
    assert_int_equal(rig_get(rig, "configmaps", "default", "x"), 200);
    // Other kinds and the configuration itself are not asked about.
    size_t before = hooks.count;
    assert_int_equal(
        rig_create_object(rig, "secrets", "default", "{\"metadata\":{\"name\":\"x\"}}"), 201);
    assert_int_equal(
        rig_delete(rig, "admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "", "v"),
        200);
    assert_int_equal(hooks.count, before);
    assert_int_equal(rig_delete(rig, "configmaps", "default", "x"), 200);
    rig_destroy(rig);
}

static void test_mutated(void **state) {
    (void)state;
    struct rig *rig = rig_with_hooks();
    register_hook(rig, "Mutating", "");
    struct str patch = base64_encode(
        rig->arena,
        STR("[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"seen\":\"yes\"}}]"));
    hooks.response =
        arena_printf(rig->arena, "\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"%.*s\"",
                     STR_ARG(patch))
            .p;
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr("configmaps"),
                                   .ns = STR("default"),
                                   .body = STR("{\"metadata\":{\"generateName\":\"g-\"}}"),
                                   .grace_seconds = -1};
    assert_int_equal(rig_call(rig, &request), 201);
    assert_string_equal(RIG_TEXT(rig, "metadata", "labels", "seen"), "yes");
    assert_int_equal(strlen(RIG_TEXT(rig, "metadata", "uid")), 36);
    assert_int_equal(strlen(RIG_TEXT(rig, "metadata", "name")), 7);
    assert_false(str_has(hooks.asked[0].body, STR("\"uid\":\"\"")));
    rig_destroy(rig);
}

static void test_failure_policy(void **state) {
    (void)state;
    struct rig *rig = rig_with_hooks();
    register_hook(rig, "Validating", "");
    register_hook(rig, "Mutating", ",\"failurePolicy\":\"Ignore\"");
    hooks.refuse = true;
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("x")), 500);
    assert_string_equal(RIG_TEXT(rig, "message"),
                        "Internal error occurred: failed calling webhook \"a.b.c\": failed to call "
                        "webhook: Post \"https://hook/x?timeout=10s\": connection refused");
    assert_int_equal(hooks.count, 2);
    rig_destroy(rig);
    // Without a way to call out the policy decides too.
    rig = rig_create();
    register_hook(rig, "Validating", "");
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("x")), 500);
    rig_destroy(rig);
}

static void test_cancelled_while_parked(void **state) {
    (void)state;
    struct rig *rig = rig_with_hooks();
    register_hook(rig, "Validating", "");
    char body[] = CONFIG("x");
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr("configmaps"),
                                   .ns = STR("default"),
                                   .body = {body, sizeof body - 1},
                                   .grace_seconds = -1};
    rig->answered = false;
    uint64_t id = apiserver_call(rig->server, NULL, &request, rig_answer, rig);
    memset(body, '#', sizeof body - 1); // it was borrowed for the call only
    rig_settle(rig);
    assert_false(rig->answered);
    apiserver_cancel(rig->server, id);
    rig_settle(rig);
    assert_true(rig->answered);
    assert_int_equal(rig->code, ERR_CANCELLED);
    // One that waits when the server goes is told.
    memcpy(body, CONFIG("y"), sizeof body);
    rig->answered = false;
    apiserver_call(rig->server, NULL, &request, rig_answer, rig);
    rig_settle(rig);
    assert_int_equal(hooks.count, 2);
    rig_destroy(rig);
}

static void test_resumed_after_change(void **state) {
    (void)state;
    struct rig *rig = rig_with_hooks();
    register_hook(rig, "Validating", "");
    char body[] = CONFIG("x");
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr("configmaps"),
                                   .ns = STR("default"),
                                   .body = {body, sizeof body - 1},
                                   .grace_seconds = -1};
    rig->answered = false;
    apiserver_call(rig->server, NULL, &request, rig_answer, rig);
    memset(body, '#', sizeof body - 1);
    rig_settle(rig);
    answer(&hooks, 0, "\"allowed\":true");
    rig_settle(rig);
    assert_true(rig->answered);
    assert_int_equal(rig->status, 201);
    rig_destroy(rig);
}

// ---- Quotas, ranges, priorities ----
static void test_quota(void **state) {
    (void)state;
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "resourcequotas", "default",
                                       "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"hard\":{"
                                       "\"configmaps\":\"1\",\"requests.cpu\":\"1\"}}}"),
                     201);
    sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000000);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("x")), 201);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("y")), 403);
    assert_string_equal(
        RIG_TEXT(rig, "message"),
        "configmaps \"y\" is forbidden: exceeded quota: q, requested: configmaps=1, "
        "used: configmaps=1, limited: configmaps=1");
    assert_int_equal(rig_delete(rig, "configmaps", "default", "x"), 200);
    sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000000);
    assert_int_equal(rig_get(rig, "resourcequotas", "default", "q"), 200);
    assert_string_equal(RIG_TEXT(rig, "status", "used", "configmaps"), "0");
    assert_int_equal(rig_create_object(rig, "pods", "default",
                                       "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{"
                                       "\"name\":\"c\",\"image\":\"i\"}]}}"),
                     403);
    assert_string_equal(
        RIG_TEXT(rig, "message"),
        "pods \"p\" is forbidden: failed quota: q: must specify requests.cpu for: c");
    rig_destroy(rig);
}

static void test_limit_range(void **state) {
    (void)state;
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "limitranges", "default",
                                       "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"limits\":[{"
                                       "\"type\":\"Container\",\"default\":{\"cpu\":\"500m\"},"
                                       "\"max\":{\"cpu\":\"1\"}}]}}"),
                     201);
    assert_int_equal(rig_create_object(rig, "pods", "default",
                                       "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{"
                                       "\"name\":\"c\",\"image\":\"i\"}]}}"),
                     201);
    assert_string_equal(RIG_TEXT(rig, "metadata", "annotations", "kubernetes.io/limit-ranger"),
                        "LimitRanger plugin set: cpu request for container c; cpu limit for "
                        "container c");
    assert_int_equal(rig_create_object(rig, "pods", "default",
                                       "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"containers\":[{"
                                       "\"name\":\"c\",\"image\":\"i\",\"resources\":{\"limits\":{"
                                       "\"cpu\":2}}}]}}"),
                     403);
    assert_string_equal(RIG_TEXT(rig, "message"),
                        "pods \"q\" is forbidden: maximum cpu usage per Container is 1, but limit "
                        "is 2");
    rig_destroy(rig);
}

#define GROUP "admissionregistration.k8s.io/v1/"
static void test_policy(void **state) {
    (void)state;
    struct rig *rig = rig_create();
    static const char policy[] =
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"matchConstraints\":{\"resourceRules\":[{"
        "\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"operations\":[\"CREATE\"],"
        "\"resources\":[\"configmaps\"]}]},\"variables\":[{\"name\":\"n\",\"expression\":"
        "\"object.metadata.name\"}],\"validations\":[{\"expression\":\"%s\"}]}}";
    struct str wrong = arena_printf(rig->arena, policy, "nothing == 1");
    assert_int_equal(rig_create_object(rig, GROUP "validatingadmissionpolicies", "", wrong.p), 422);
    struct str right = arena_printf(rig->arena, policy, "variables.n.startsWith('ok')");
    assert_int_equal(rig_create_object(rig, GROUP "validatingadmissionpolicies", "", right.p), 201);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("free")), 201);
    assert_int_equal(rig_create_object(rig, GROUP "validatingadmissionpolicybindings", "",
                                       "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"policyName\":"
                                       "\"p\",\"validationActions\":[\"Deny\"]}}"),
                     201);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("ok")), 201);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", CONFIG("no")), 422);
    assert_string_equal(
        RIG_TEXT(rig, "message"),
        "configmaps \"no\" is forbidden: ValidatingAdmissionPolicy 'p' with binding "
        "'b' denied request: failed expression: variables.n.startsWith('ok')");
    rig_destroy(rig);
}

static void test_amounts(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *sum;
    } cases[] = {
        {"500m", "500m", "1"},     {"1Gi", "1Gi", "2Gi"}, {"100Mi", "2Mi", "102Mi"},
        {"1", "400m", "1400m"},    {"0", "1Gi", "1Gi"},   {"1.5", "0", "1500m"},
        {"1k", "1", "1001"},       {"1e3", "1", "1001"},  {"1Ki", "1", "1025"},
        {"0.5Gi", "512Mi", "1Gi"}, {"2", "3", "5"},       {"10M", "0", "10M"},
    };
    struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value a = doc_make_str(str_from(cases[i].a));
        struct doc_value b = doc_make_str(str_from(cases[i].b));
        struct amount x, y;
        assert_true(amount_parse(&a, &x) && amount_parse(&b, &y));
        amount_add(&x, y);
        assert_string_equal(amount_text(arena, x).p, cases[i].sum);
    }
    static const char *const wrong[] = {"", "x", "1x", "1Ki2", "-", "."};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct doc_value value = doc_make_str(str_from(wrong[i]));
        struct amount out;
        assert_false(amount_parse(&value, &out));
    }
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed_and_denied),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_failure_policy),
        cmocka_unit_test(test_cancelled_while_parked),
        cmocka_unit_test(test_resumed_after_change),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_limit_range),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
