// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/internal.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "golden.h"

static const char aggregated[] =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

static bool get(struct arena *arena, const struct api_kinds *kinds, const char *path,
                const char *accept, struct doc_value *value, struct str *type) {
    AUTO_BUF struct buf out;
    buf_init(&out, 16 * MIB);
    struct err err = {0};
    if (!api_discovery_get(kinds, str_from(path), str_from(accept), arena, type, &out)) {
        return false;
    }
    assert_true(doc_parse_json_copy(buf_str(&out), arena, value, &err));
    return true;
}

static const struct doc_value *find_named(const struct doc_value *list, const char *key,
                                          struct str name) {
    for (DOC_EACH_ITEM(list, item)) {
        if (str_eq(doc_str(doc_find(item, str_from(key))), name)) {
            return item;
        }
    }
    return NULL;
}

static bool has_subresource(const struct doc_value *resource, const char *name) {
    return find_named(doc_get(resource, "subresources"), "subresource", str_from(name)) != NULL;
}

// Every resource of the real server is there with the same names and verbs.
static void test_builtin(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value core, groups, expected;
    struct str type;
    assert_true(golden_read(arena, "discovery", "builtin", "expected.json", &expected));
    assert_true(get(arena, kinds, "/api", aggregated, &core, &type));
    assert_true(get(arena, kinds, "/apis", aggregated, &groups, &type));
    assert_true(
        str_eq(type, STR("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")));
    for (DOC_EACH_ITEM(&expected, want)) {
        struct str group_name = doc_get_str(want, "group"), name = doc_get_str(want, "resource");
        const struct doc_value *group = doc_at(doc_get(&core, "items"), 0);
        if (group_name.n) {
            group = NULL;
            for (DOC_EACH_ITEM(doc_get(&groups, "items"), item)) {
                group = str_eq(doc_get_str(item, "metadata", "name"), group_name) ? item : group;
            }
        }
        const struct doc_value *version =
            find_named(doc_get(group, "versions"), "version", doc_get_str(want, "version"));
        const struct doc_value *got = find_named(doc_get(version, "resources"), "resource", name);
        struct doc_value none = doc_array_done(&(struct doc_array){.arena = arena});
        const struct doc_value *shorts = doc_get(got, "shortNames");
        const struct doc_value *categories = doc_get(got, "categories");
        bool same = got && doc_equal(doc_get(got, "responseKind", "kind"), doc_get(want, "kind")) &&
                    doc_equal(doc_get(got, "scope"), doc_get(want, "scope")) &&
                    doc_equal(doc_get(got, "singularResource"), doc_get(want, "singular")) &&
                    doc_equal(doc_get(got, "verbs"), doc_get(want, "verbs")) &&
                    doc_equal(shorts ? shorts : &none, doc_get(want, "shortNames")) &&
                    doc_equal(categories ? categories : &none, doc_get(want, "categories")) &&
                    has_subresource(got, "status") == doc_bool(doc_get(want, "status"), false) &&
                    has_subresource(got, "scale") == doc_bool(doc_get(want, "scale"), false);
        if (!same) {
            fail_msg("%.*s/%.*s differs", STR_ARG(group_name), STR_ARG(name));
        }
    }
}

static void test_legacy(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value value;
    struct str type;
    assert_true(get(arena, kinds, "/api", "application/json", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "kind"), STR("APIVersions")));
    assert_true(get(arena, kinds, "/apis", "*/*", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "kind"), STR("APIGroupList")));
    const struct doc_value *scaling =
        find_named(doc_get(&value, "groups"), "name", STR("autoscaling"));
    assert_true(str_eq(doc_get_str(scaling, "preferredVersion", "version"), STR("v2")));
    assert_int_equal(doc_len(doc_get(scaling, "versions")), 2);
    assert_true(get(arena, kinds, "/apis/apps", "", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "kind"), STR("APIGroup")));
    assert_true(get(arena, kinds, "/apis/apps/v1?timeout=32s", "", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "groupVersion"), STR("apps/v1")));
    const struct doc_value *scale =
        find_named(doc_get(&value, "resources"), "name", STR("deployments/scale"));
    assert_true(str_eq(doc_get_str(scale, "kind"), STR("Scale")));
    assert_true(str_eq(doc_get_str(scale, "group"), STR("autoscaling")));
    assert_true(get(arena, kinds, "/version", "", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "minor"), STR("36")));
    static const char *const absent[] = {
        "/apis/none", "/apis/apps/v2", "/apis/apps/v1/x",          "/api/v2",
        "/apis//v1",  "/openapi/v4",   "/openapi/v3/apis/apps/v9", "/healthz"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        if (get(arena, kinds, absent[i], "", &value, &type)) {
            fail_msg("%s is there", absent[i]);
        }
    }
}

// kubectl sends fieldValidation only when the PATCH of a kind names that parameter.
static void test_openapi(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value index, value;
    struct str type;
    assert_true(get(arena, kinds, "/openapi/v3", "", &index, &type));
    struct str url = doc_get_str(&index, "paths", "apis/apps/v1", "serverRelativeURL");
    assert_true(str_starts(url, STR("/openapi/v3/apis/apps/v1?hash=")));
    assert_true(get(arena, kinds, arena_cstr(arena, url), "", &value, &type));
    const struct doc_value *patch = doc_get(
        &value, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
    assert_non_null(find_named(doc_get(patch, "parameters"), "name", STR("fieldValidation")));
    assert_true(
        str_eq(doc_get_str(patch, "x-kubernetes-group-version-kind", "kind"), STR("Deployment")));
    assert_true(get(arena, kinds, "/openapi/v2", "", &value, &type));
    assert_true(str_eq(doc_get_str(&value, "swagger"), STR("2.0")));
}

// ---- Custom kinds ----

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &value, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return value;
}

static struct doc_value make_crd(struct arena *arena, const char *plural, const char *kind,
                                 const char *shorts) {
    struct str text = arena_printf(
        arena,
        "{\"metadata\":{\"name\":\"%s.example.com\"},\"spec\":{\"group\":\"example.com\","
        "\"scope\":\"Namespaced\",\"names\":{\"plural\":\"%s\",\"kind\":\"%s\",\"shortNames\":[%s]}"
        ","
        "\"versions\":[{\"name\":\"v1beta1\",\"served\":true,\"storage\":false},"
        "{\"name\":\"v1\",\"served\":true,\"storage\":true,\"subresources\":{\"status\":{},"
        "\"scale\":{\"specReplicasPath\":\".spec.size\",\"statusReplicasPath\":\".status.size\","
        "\"labelSelectorPath\":\".status.selector\"}},\"selectableFields\":"
        "[{\"jsonPath\":\".spec.color\"}]},{\"name\":\"v2alpha1\",\"served\":false,"
        "\"storage\":false}]}}",
        plural, plural, kind, shorts);
    return parse(arena, text.p);
}

static struct str condition(const struct doc_value *status, const char *type, const char *key) {
    const struct doc_value *found =
        find_named(doc_get(status, "conditions"), "type", str_from(type));
    return doc_str(doc_find(found, str_from(key)));
}

static void test_crd(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    uint64_t generation = api_kinds_generation(kinds);
    struct doc_value crd = make_crd(arena, "foos", "Foo", "\"fo\""), status, index;
    api_kinds_crd_changed(kinds, STR("foos.example.com"), &crd);
    assert_true(api_kinds_generation(kinds) != generation);
    const struct api_kind *kind = api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("foos"));
    assert_non_null(kind);
    assert_true(kind->custom && kind->namespaced && kind->has_status && kind->has_scale);
    assert_true(str_eq(kind->singular, STR("foo")) && str_eq(kind->list_kind, STR("FooList")));
    const struct api_kind *beta =
        api_kinds_find_kind(kinds, STR("example.com"), STR("v1beta1"), STR("Foo"));
    assert_non_null(beta);
    assert_ptr_equal(api_kinds_storage(kinds, beta), kind);
    assert_null(api_kinds_find(kinds, STR("example.com"), STR("v2alpha1"), STR("foos")));

    int64_t now = INT64_C(1800000000) * NS_PER_SECOND;
    assert_true(api_crd_status(arena, kinds, &crd, now, &status));
    assert_true(str_eq(condition(&status, "NamesAccepted", "status"), STR("True")));
    assert_true(str_eq(condition(&status, "Established", "reason"), STR("InitialNamesAccepted")));
    assert_true(str_eq(doc_str(doc_at(doc_get(&status, "storedVersions"), 0)), STR("v1")));
    crd = doc_with(arena, &crd, status, "status");
    api_kinds_crd_changed(kinds, STR("foos.example.com"), &crd);
    assert_false(api_crd_status(arena, kinds, &crd, now + NS_PER_SECOND, &status)); // settled

    struct str type;
    assert_true(get(arena, kinds, "/apis/example.com", "", &index, &type));
    assert_true(str_eq(doc_get_str(&index, "preferredVersion", "version"), STR("v1")));

    struct doc_value object = parse(arena, "{\"apiVersion\":\"example.com/v1\",\"spec\":{}}");
    struct doc_value other = api_kind_convert(arena, beta, &object);
    assert_true(str_eq(doc_get_str(&other, "apiVersion"), STR("example.com/v1beta1")));

    api_kinds_crd_changed(kinds, STR("foos.example.com"), NULL);
    assert_null(api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("foos")));
    assert_false(get(arena, kinds, "/apis/example.com", "", &index, &type));
    assert_true(str_eq(kind->plural, STR("foos"))); // still valid for this turn
}

static void test_crd_conflict(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value first = make_crd(arena, "foos", "Foo", "\"fo\""), status;
    struct doc_value second = make_crd(arena, "bars", "Foo", "\"fo\"");
    api_kinds_crd_changed(kinds, STR("foos.example.com"), &first);
    api_kinds_crd_changed(kinds, STR("bars.example.com"), &second);
    assert_null(api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("bars")));
    assert_non_null(api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("foos")));
    assert_true(api_crd_status(arena, kinds, &second, 0, &status));
    assert_true(str_eq(condition(&status, "NamesAccepted", "status"), STR("False")));
    assert_true(str_eq(condition(&status, "Established", "reason"), STR("NotAccepted")));
    // When the first is gone the names are free.
    api_kinds_crd_changed(kinds, STR("foos.example.com"), NULL);
    assert_non_null(api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("bars")));
    assert_true(api_crd_status(arena, kinds, &second, 0, &status));
    assert_true(str_eq(condition(&status, "Established", "status"), STR("True")));
}

static void test_fields(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value crd = make_crd(arena, "foos", "Foo", "");
    api_kinds_crd_changed(kinds, STR("foos.example.com"), &crd);
    struct doc_value object = parse(
        arena, "{\"metadata\":{\"name\":\"n\",\"namespace\":\"d\"},\"spec\":{\"nodeName\":\"x\","
               "\"color\":\"red\"},\"status\":{\"phase\":\"Running\",\"succeeded\":2},\"type\":"
               "\"t\",\"source\":{\"component\":\"me\"}}");
    static const struct {
        const char *group, *version, *plural, *field, *value; // NULL: not supported
    } cases[] = {
        {"", "v1", "pods", "metadata.name", "n"},
        {"", "v1", "pods", "metadata.namespace", "d"},
        {"", "v1", "pods", "spec.nodeName", "x"},
        {"", "v1", "pods", "status.phase", "Running"},
        {"", "v1", "pods", "spec.color", NULL},
        {"", "v1", "pods", "metadata.uid", NULL},
        {"", "v1", "nodes", "metadata.namespace", NULL},
        {"", "v1", "nodes", "spec.unschedulable", "false"},
        {"", "v1", "secrets", "type", "t"},
        {"", "v1", "configmaps", "type", NULL},
        {"", "v1", "events", "source", "me"},
        {"batch", "v1", "jobs", "status.successful", "2"},
        {"example.com", "v1", "foos", "spec.color", "red"},
        {"example.com", "v1", "foos", "spec.nodeName", NULL},
        {"example.com", "v1beta1", "foos", "spec.color", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct api_kind *kind = api_kinds_find(
            kinds, str_from(cases[i].group), str_from(cases[i].version), str_from(cases[i].plural));
        struct str value = {NULL, 0};
        assert_non_null(kind);
        bool known = api_field_value(kind, &object, str_from(cases[i].field), arena, &value);
        if (known != (cases[i].value != NULL) || (known && !str_eq_c(value, cases[i].value))) {
            fail_msg("%s %s: wrong answer", cases[i].plural, cases[i].field);
        }
    }
}

static void test_scale(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value crd = make_crd(arena, "foos", "Foo", "");
    api_kinds_crd_changed(kinds, STR("foos.example.com"), &crd);
    const struct api_kind *foo = api_kinds_find(kinds, STR("example.com"), STR("v1"), STR("foos"));
    const struct api_kind *deploy =
        api_kinds_find(kinds, STR("apps"), STR("v1"), STR("deployments"));
    struct doc_value object = parse(
        arena, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"size\":3,\"replicas\":2,\"selector\":"
               "{\"matchLabels\":{\"a\":\"b\"}}},\"status\":{\"size\":1,\"replicas\":1,"
               "\"selector\":\"x=y\"}}");
    struct doc_value scale = api_scale_of(arena, foo, &object);
    assert_int_equal(doc_int(doc_get(&scale, "spec", "replicas"), -1), 3);
    assert_int_equal(doc_int(doc_get(&scale, "status", "replicas"), -1), 1);
    assert_true(str_eq(doc_get_str(&scale, "status", "selector"), STR("x=y")));
    scale = api_scale_of(arena, deploy, &object);
    assert_int_equal(doc_int(doc_get(&scale, "spec", "replicas"), -1), 2);
    assert_true(str_eq(doc_get_str(&scale, "status", "selector"), STR("a=b")));
    scale = doc_with(arena, &scale, doc_make_int(7), "spec", "replicas");
    struct api_error error = {0};
    assert_true(api_scale_apply(arena, foo, &scale, &object, &error));
    assert_int_equal(doc_int(doc_get(&object, "spec", "size"), -1), 7);
    scale = doc_with(arena, &scale, doc_make_int(-7), "spec", "replicas");
    assert_false(api_scale_apply(arena, foo, &scale, &object, &error));
    assert_int_equal(error.status, 422);
}

// ---- Services ----

struct taken {
    struct str addresses[8];
    size_t count;
};

static bool is_taken(void *ctx, struct str address) {
    const struct taken *taken = ctx;
    for (size_t i = 0; i < taken->count; i++) {
        if (str_eq(taken->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

static void test_allocate(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct taken taken = {0};
    struct api_error error = {0};
    const char *text = "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"NodePort\",\"ports\":"
                       "[{\"port\":80,\"protocol\":\"TCP\"},{\"port\":81,\"protocol\":\"TCP\"}]}}";
    struct doc_value one = parse(arena, text), two = parse(arena, text);
    assert_true(api_service_allocate(arena, NULL, &one, STR("u"), is_taken, &taken, &error));
    struct str ip = doc_get_str(&one, "spec", "clusterIP");
    assert_true(str_starts(ip, STR("10.96.")));
    const struct doc_value *ports = doc_get(&one, "spec", "ports");
    int64_t first = doc_int(doc_get(doc_at(ports, 0), "nodePort"), 0);
    int64_t second = doc_int(doc_get(doc_at(ports, 1), "nodePort"), 0);
    assert_in_range(first, 30000, 32767);
    assert_in_range(second, 30000, 32767);
    assert_true(first != second);
    // The same uid tries the same address first; a taken one is stepped over.
    taken.addresses[taken.count++] = ip;
    taken.addresses[taken.count++] = arena_printf(arena, "%lld", (long long)first);
    assert_true(api_service_allocate(arena, NULL, &two, STR("u"), is_taken, &taken, &error));
    assert_false(str_eq(doc_get_str(&two, "spec", "clusterIP"), ip));
    // An update keeps what there is.
    struct doc_value again = parse(arena, text);
    assert_true(api_service_allocate(arena, &one, &again, STR("u"), is_taken, &taken, &error));
    assert_true(doc_equal(doc_get(&again, "spec"), doc_get(&one, "spec")));
    // A taken address that is asked for is refused.
    struct doc_value wish = parse(arena, text);
    wish = doc_with(arena, &wish, doc_make_str(ip), "spec", "clusterIP");
    assert_false(api_service_allocate(arena, NULL, &wish, STR("v"), is_taken, &taken, &error));
    assert_int_equal(error.status, 422);
    // So is one outside of the range.
    struct doc_value far = parse(arena, text);
    far = doc_with(arena, &far, doc_make_str(STR("8.8.8.8")), "spec", "clusterIP");
    assert_false(api_service_allocate(arena, NULL, &far, STR("v"), is_taken, &taken, &error));
    assert_true(str_has(error.message, STR("does not match the current range")));
}

static void test_health_check_port(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct taken taken = {0};
    struct api_error error = {0};
    struct doc_value one =
        parse(arena, "{\"spec\":{\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\","
                     "\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}");
    struct doc_value two = one;
    assert_true(api_service_allocate(arena, NULL, &one, STR("u"), is_taken, &taken, &error));
    int64_t port = doc_int(doc_get(&one, "spec", "healthCheckNodePort"), 0);
    assert_in_range(port, 30000, 32767);
    assert_true(port != doc_int(doc_get(doc_at(doc_get(&one, "spec", "ports"), 0), "nodePort"), 0));
    assert_true(api_service_allocate(arena, &one, &two, STR("v"), is_taken, &taken, &error));
    assert_int_equal(doc_int(doc_get(&two, "spec", "healthCheckNodePort"), 0), port);
    two = doc_with(arena, &one, doc_make_str(STR("Cluster")), "spec", "externalTrafficPolicy");
    assert_true(api_service_allocate(arena, &one, &two, STR("u"), is_taken, &taken, &error));
    assert_null(doc_get(&two, "spec", "healthCheckNodePort"));
}

static void test_convert(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    const struct api_kind *v1 =
        api_kinds_find(kinds, STR("autoscaling"), STR("v1"), STR("horizontalpodautoscalers"));
    const struct api_kind *v2 = api_kinds_storage(kinds, v1);
    assert_true(str_eq(v2->version, STR("v2")));
    struct doc_value object = parse(
        arena,
        "{\"apiVersion\":\"autoscaling/v2\",\"metadata\":{\"name\":\"h\"},\"spec\":{\"metrics\":["
        "{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"target\":{\"type\":"
        "\"Utilization\",\"averageUtilization\":60}}},{\"type\":\"Resource\",\"resource\":{"
        "\"name\":"
        "\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":50}}}]}}");
    struct doc_value first = api_kind_convert(arena, v1, &object);
    assert_int_equal(doc_int(doc_get(&first, "spec", "targetCPUUtilizationPercentage"), 0), 50);
    assert_null(doc_get(&first, "spec", "metrics"));
    struct doc_value back = api_kind_convert(arena, v2, &first);
    assert_true(doc_equal(&back, &object)); // nothing is lost on the way

    const struct api_kind *event =
        api_kinds_find(kinds, STR("events.k8s.io"), STR("v1"), STR("events"));
    struct doc_value core = parse(arena, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"message\":"
                                         "\"m\",\"involvedObject\":{\"name\":\"p\"},\"count\":2}");
    struct doc_value other = api_kind_convert(arena, event, &core);
    assert_true(str_eq(doc_get_str(&other, "note"), STR("m")));
    assert_true(str_eq(doc_get_str(&other, "regarding", "name"), STR("p")));
    back = api_kind_convert(arena, api_kinds_storage(kinds, event), &other);
    assert_true(doc_equal(&back, &core));
}

static void test_errors(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    const struct api_kind *kind = api_kinds_find(kinds, STR("apps"), STR("v1"), STR("deployments"));
    struct api_error error = {0};
    assert_false(api_error_not_found(&error, arena, kind, STR("x")));
    struct doc_value status = api_error_status(arena, &error);
    struct doc_value want = parse(
        arena, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
               "\"message\":\"deployments.apps \\\"x\\\" not found\",\"reason\":\"NotFound\","
               "\"details\":{\"name\":\"x\",\"group\":\"apps\",\"kind\":\"deployments\"},"
               "\"code\":404}");
    assert_true(doc_equal(&status, &want));
    error.retry_after_seconds = 5;
    status = api_error_status(arena, &error);
    assert_int_equal(doc_int(doc_get(&status, "details", "retryAfterSeconds"), 0), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_openapi),
        cmocka_unit_test(test_crd),
        cmocka_unit_test(test_crd_conflict),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_allocate),
        cmocka_unit_test(test_health_check_port),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
