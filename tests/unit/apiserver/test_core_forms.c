// SPDX-License-Identifier: Apache-2.0
// The forms in which requests come: paths and headers, protobuf bodies, tokens; and what server-side apply makes of
// several appliers.
#include "core_rig.h"

#include "apiserver/auth.h"
#include "apiserver/core.h"
#include "apiserver/protobuf.h"
#include "base/text.h"

static void paths(void **state) {
    static const struct {
        const char *method, *path, *query,
            *want; // "verb group/version/resource ns name subresource", or a status
    } cases[] = {
        {"GET", "/api/v1/pods", "", "list /v1/pods - - -"},
        {"GET", "/api/v1/namespaces", "", "list /v1/namespaces - - -"},
        {"GET", "/api/v1/namespaces/x", "", "get /v1/namespaces - x -"},
        {"GET", "/api/v1/namespaces/x/status", "", "get /v1/namespaces - x status"},
        {"PUT", "/api/v1/namespaces/x/finalize", "", "update /v1/namespaces - x finalize"},
        {"GET", "/api/v1/namespaces/x/pods", "watch=true", "watch /v1/pods x - -"},
        {"GET", "/api/v1/watch/namespaces/x/pods", "", "watch /v1/pods x - -"},
        {"POST", "/api/v1/namespaces/x/pods/p/eviction", "", "create /v1/pods x p eviction"},
        {"DELETE", "/apis/apps/v1/namespaces/x/deployments", "",
         "deletecollection apps/v1/deployments x - -"},
        {"PATCH", "/apis/apps/v1/namespaces/x/deployments/d/scale", "",
         "patch apps/v1/deployments x d scale"},
        {"GET", "/apis/ex.dev/v1/things/t%3Aa", "", "get ex.dev/v1/things - t:a -"},
        {"POST", "/api/v1/pods/p", "", "405"},
        {"PUT", "/api/v1/pods", "", "405"},
        {"BREW", "/api/v1/pods", "", "405"},
        {"GET", "/api/v1", "", "404"},
        {"GET", "/", "", "404"},
        {"GET", "/api/v1/namespaces/x/pods/p/log/more", "", "404"},
        {"GET", "/api/v1/a%2fb", "", "400"},
        {"GET", "/api/v1/../pods", "", "400"},
        {"GET", "/api/v1/pods", "limit=x", "400"},
        {"GET", "/api/v1/pods", "watch=perhaps", "watch /v1/pods - - -"},
        {"POST", "/api/v1/pods", "dryRun=Some", "422"},
        {"POST", "/api/v1/pods", "fieldValidation=Maybe", "422"},
        {"DELETE", "/api/v1/pods/p", "propagationPolicy=None", "422"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_request r;
        struct api_error error = {0};
        char text[256];
        if (api_request_parse(arena, str_from(cases[i].method), str_from(cases[i].path),
                              str_from(cases[i].query), &r, &error)) {
            struct str dash = STR("-");
            snprintf(text, sizeof text, "%s %.*s/%.*s/%.*s %.*s %.*s %.*s", api_verb_name(r.verb),
                     STR_ARG(r.gvr.group), STR_ARG(r.gvr.version), STR_ARG(r.gvr.resource),
                     STR_ARG(r.ns.n ? r.ns : dash), STR_ARG(r.name.n ? r.name : dash),
                     STR_ARG(r.subresource.n ? r.subresource : dash));
        } else {
            snprintf(text, sizeof text, "%d", error.status);
        }
        if (strcmp(text, cases[i].want) != 0) {
            fail_msg("%s %s: %s, not %s", cases[i].method, cases[i].path, text, cases[i].want);
        }
    }
}

static void media_types(void **state) {
    static const struct {
        const char *accept;
        int want; // enum api_output, or an HTTP status
    } cases[] = {
        {"", API_OUTPUT_OBJECT},
        {"*/*", API_OUTPUT_OBJECT},
        {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", API_OUTPUT_TABLE},
        {"application/json;as=Table;v=v9;g=meta.k8s.io,application/json", API_OUTPUT_OBJECT},
        {"application/vnd.kubernetes.protobuf, application/json", API_OUTPUT_OBJECT},
        {"application/json; as=PartialObjectMetadataList; g=meta.k8s.io; v=v1", API_OUTPUT_PARTIAL},
        {"application/vnd.kubernetes.protobuf", 406},
        {"text/html", 406},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_request request = {.output = API_OUTPUT_OBJECT};
        struct api_error error = {0};
        bool ok = api_request_accept(arena, str_from(cases[i].accept), &request, &error);
        assert_int_equal(ok ? (int)request.output : error.status, cases[i].want);
    }
    struct api_request request = {.verb = API_VERB_PATCH};
    struct api_error error = {0};
    assert_true(api_request_content_type(arena, STR("application/apply-patch+yaml; charset=utf-8"),
                                         &request, &error));
    assert_int_equal(request.patch, KUBE_PATCH_APPLY);
    assert_false(api_request_content_type(arena, STR("application/json"), &request, &error));
    assert_int_equal(error.status, 415);
}

static void tokens(void **state) {
    struct err err = {0};
    struct api_tokens *list = api_tokens_create(
        STR("secret,admin,1,\"system:masters, ops\"\nother,\"a \"\"b\"\"\",2\n\n# no\n"), &err);
    assert_non_null(list);
    const struct api_user *user = api_tokens_find(list, STR("Bearer secret"));
    assert_non_null(user);
    assert_true(str_eq(user->name, STR("admin")));
    assert_int_equal(user->group_count, 3);
    assert_true(str_eq(user->groups[1], STR("ops")));
    assert_true(str_eq(api_tokens_find(list, STR("bearer  other"))->name, STR("a \"b\"")));
    static const char *const wrong[] = {"",
                                        "secret",
                                        "Bearer ",
                                        "Bearer secre",
                                        "Bearer secrets",
                                        "Basic secret",
                                        "Bearer secret other"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_null(api_tokens_find(list, str_from(wrong[i])));
    }
    api_tokens_destroy(list);
    static const char *const bad[] = {"a,b", ",b,c", "a,,c", "a,\"b,c", "a,b,c,d,e", "a,\"b\"x,c"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(apiserver_tokens_parse(str_from(bad[i]), &err));
        assert_int_equal(err.line, 1);
    }
}

static void protobuf(void **state) {
    static const struct {
        const char *hex, *want; // without the mark; NULL: refused
    } cases[] = {
        // Namespace x
        {"0a0f0a02763112094e616d65737061636512070a050a03787878",
         "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"xxx\"}}"},
        // Secret with data {a: "b"} and an empty type, which says nothing
        {"0a0c0a0276311206536563726574120f0a030a017312060a016112016"
         "21a00",
         "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},"
         "\"data\":{\"a\":\"Yg==\"}}"},
        {"0a0f0a02763112094e616d65737061636512070a050a0378", NULL}, // cut off
        {"0a0d0a02763112074e6f7468696e671200", NULL},               // an unknown kind
        {"0a0f0a02763112094e616d65737061636512050a030a01ff", NULL}, // not UTF-8
        {"0a0f0a02763112094e616d6573706163651203"
         "0a0801",
         NULL}, // lengths that lie
        {"ff", NULL},
        {"", NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str bytes;
        struct doc_value value;
        struct err err = {0};
        assert_true(hex_decode(str_from(cases[i].hex), arena, &bytes));
        struct str body = arena_concat(arena, (struct str){"k8s\0", 4}, bytes);
        bool ok = api_protobuf_parse(body, arena, &value, &err);
        if (ok != (cases[i].want != NULL)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        if (ok) {
            assert_string_equal(arena_cstr(arena, doc_to_json(arena, &value)), cases[i].want);
        }
    }
    struct doc_value value;
    assert_false(api_protobuf_parse(STR("{}"), arena, &value, NULL));
}

// ---- Apply ----
static int apply(struct rig *rig, const char *manager, bool force, const char *spec) {
    char body[1024];
    snprintf(body, sizeof body,
             "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: %s\n", spec);
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .patch = KUBE_PATCH_APPLY,
                                   .gvr = rig_gvr("apps/v1/deployments"),
                                   .ns = STR("default"),
                                   .name = STR("web"),
                                   .force = force,
                                   .field_manager = str_from(manager),
                                   .body = str_from(body)};
    return rig_call(rig, &request);
}

static const char *image_of(struct rig *rig, size_t i) {
    struct doc_value value = rig_value(rig);
    const struct doc_value *list = doc_get(&value, "spec", "template", "spec", "containers");
    return arena_cstr(rig->arena, doc_get_str(doc_at(list, i), "image"));
}

#define TEMPLATE(containers)                                                                       \
    "{replicas: 2, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: " \
    "{containers: [" containers "]}}}"

static void apply_has_owners(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(apply(rig, "", false, TEMPLATE("{name: c, image: i}")), 422);
    assert_int_equal(apply(rig, "one", false, TEMPLATE("{name: c, image: i}, {name: d, image: k}")),
                     201);
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    assert_int_equal(apply(rig, "one", false, TEMPLATE("{name: c, image: i}, {name: d, image: k}")),
                     200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version); // nothing to write

    // Another applier: its own fields are fine, those of the first only by force.
    assert_int_equal(apply(rig, "two", false, "{paused: true}"), 200);
    assert_int_equal(apply(rig, "two", false, "{replicas: 5}"), 409);
    struct doc_value value = rig_value(rig);
    const struct doc_value *cause = doc_at(doc_get(&value, "details", "causes"), 0);
    assert_true(str_eq(doc_get_str(cause, "field"), STR(".spec.replicas")));
    assert_true(str_eq(doc_get_str(cause, "reason"), STR("FieldManagerConflict")));
    assert_int_equal(apply(rig, "two", true, "{replicas: 5}"), 200);
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "5");
    value = rig_value(rig);
    assert_null(doc_get(&value, "spec", "paused")); // no longer applied by anybody

    // What the first one leaves out goes, unless the other one has it.
    assert_int_equal(
        apply(rig, "one", false,
              "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, "
              "spec: {containers: [{name: c, image: j}]}}}"),
        200);
    assert_string_equal(RIG_TEXT(rig, "spec", "replicas"), "5");
    assert_string_equal(image_of(rig, 0), "j");
    assert_string_equal(image_of(rig, 1), "");

    // An update keeps the owners, a create does not take them from the client.
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "apps/v1/deployments", "default", "web",
                               "{\"metadata\":{\"managedFields\":[]}}"),
                     200);
    value = rig_value(rig);
    assert_null(doc_get(&value, "metadata", "managedFields")); // the way to give them up
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),    cmocka_unit_test(media_types),      cmocka_unit_test(tokens),
        cmocka_unit_test(protobuf), cmocka_unit_test(apply_has_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
