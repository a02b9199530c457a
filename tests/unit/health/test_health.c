// SPDX-License-Identifier: Apache-2.0
// Every file of tests/data/health/ holds a live object and, as its second document, the status and message it must get; a
// status of null stands for a kind without an assessment.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>

#include "doc/yaml.h"
#include "health/health.h"

static bool check_file(struct arena *arena, const char *path, const char *name) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = arena_alloc(arena, 1 << 16);
    size_t n = fread(text, 1, 1 << 16, file);
    fclose(file);
    struct yaml_document *documents;
    size_t count = 0;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    if (!yaml_parse(str_make(text, n), &options, arena, &documents, &count, &err) || count != 2) {
        fail_msg("%s: %zu documents: %s", name, count, err.message);
    }
    struct health health = health_assess(&documents[0].root, arena);
    struct str status = doc_get_str(&documents[1].root, "status");
    struct str message = doc_get_str(&documents[1].root, "message");
    const char *got = health.has ? health_code_name(health.code) : "";
    if (!str_eq_c(status, got) || !str_eq(message, health.message)) {
        print_error("%s: expected %.*s \"%.*s\", got %s \"%.*s\"\n", name, STR_ARG(status),
                    STR_ARG(message), got, STR_ARG(health.message));
        return false;
    }
    return true;
}

static void test_folder(void **state) {
    char folder[4000];
    snprintf(folder, sizeof folder, "%s/health", getenv("SKIFF_TEST_DATA"));
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int count = 0, bad = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[4300];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct arena *arena = arena_create();
        bad += !check_file(arena, path, entry->d_name);
        arena_destroy(arena);
        count++;
    }
    closedir(dir);
    print_message("%d cases\n", count);
    assert_true(count >= 60);
    assert_int_equal(bad, 0);
}

static void test_order(void **state) {
    static const char *const worst_last[] = {"Healthy", "Suspended", "Progressing",
                                             "Missing", "Degraded",  "Unknown"};
    for (size_t i = 0; i < ARRAY_LEN(worst_last); i++) {
        enum health_code code, other;
        assert_true(health_code_parse(str_from(worst_last[i]), &code));
        assert_string_equal(health_code_name(code), worst_last[i]);
        for (size_t k = i; k < ARRAY_LEN(worst_last); k++) {
            assert_true(health_code_parse(str_from(worst_last[k]), &other));
            assert_int_equal(health_worse(code, other), other);
            assert_int_equal(health_worse(other, code), other);
        }
    }
    enum health_code code;
    assert_false(health_code_parse(STR("healthy"), &code));
    assert_false(health_code_parse(STR(""), &code));
}

static void test_kinds(void **state) {
    static const struct {
        const char *group, *kind;
        bool has;
    } cases[] = {
        {"apps", "Deployment", true},
        {"", "Deployment", false},
        {"", "Pod", true},
        {"apps", "Pod", false},
        {"batch", "Job", true},
        {"batch", "CronJob", false},
        {"", "ConfigMap", false},
        {"example.com", "Ingress", false},
        {"", "PersistentVolumeClaim", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(health_has_assessment(str_from(cases[i].group), str_from(cases[i].kind)),
                         cases[i].has);
    }
}

// Whatever stands in status, also of another type, is looked at without a crash.
static void test_odd_status(void **state) {
    static const char *const texts[] = {
        "null",
        "[]",
        "\"x\"",
        "7",
        "{\"conditions\":{}}",
        "{\"conditions\":[null,1,\"x\",[]]}",
        "{\"replicas\":\"many\",\"conditions\":[{\"type\":[]}]}",
        "{\"containerStatuses\":[{\"state\":{\"waiting\":7}},null]}",
        "{\"loadBalancer\":{\"ingress\":\"here\"},\"phase\":{}}"};
    static const char *const kinds[][2] = {{"apps/v1", "Deployment"},
                                           {"apps/v1", "StatefulSet"},
                                           {"apps/v1", "DaemonSet"},
                                           {"apps/v1", "ReplicaSet"},
                                           {"batch/v1", "Job"},
                                           {"v1", "Pod"},
                                           {"v1", "Service"},
                                           {"v1", "PersistentVolumeClaim"},
                                           {"networking.k8s.io/v1", "Ingress"},
                                           {"autoscaling/v2", "HorizontalPodAutoscaler"},
                                           {"apiregistration.k8s.io/v1", "APIService"},
                                           {"apiextensions.k8s.io/v1", "CustomResourceDefinition"}};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            struct arena *arena = arena_create();
            struct str json = arena_printf(
                arena,
                "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"annotations\":{"
                "\"autoscaling.alpha.kubernetes.io/conditions\":\"{\"}},\"spec\":%s,\"status\":%s}",
                kinds[k][0], kinds[k][1], texts[i], texts[i]);
            struct doc_value live;
            struct err err = {0};
            assert_true(doc_parse_json(json, arena, &live, &err));
            assert_true(health_assess(&live, arena).has);
            arena_destroy(arena);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folder), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_kinds),
                                       cmocka_unit_test(test_odd_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
