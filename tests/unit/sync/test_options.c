// SPDX-License-Identifier: Apache-2.0
// Annotations and options that steer a sync.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "sync/sync.h"

static struct doc_value parse(struct arena *arena, struct str text) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(text, arena, &value, &err)) {
        fail_msg("%.*s: %s", STR_ARG(text), err.message);
    }
    return value;
}

static struct doc_value annotated(struct arena *arena, const char *name, const char *value) {
    return parse(arena, arena_printf(arena,
                                     "{\"metadata\":{\"annotations\":{\"argocd.argoproj.io/%s\":"
                                     "\"%s\"}}}",
                                     name, value));
}

static void test_waves(void **state) {
    static const struct {
        const char *text;
        int wave;
    } cases[] = {{"0", 0},   {"5", 5},           {"-3", -3},         {" 7 ", 7},
                 {"", 0},    {"first", 0},       {"1.5", 0},         {"0x10", 0},
                 {"2 3", 0}, {"99999999999", 0}, {"-99999999999", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object = annotated(arena, "sync-wave", cases[i].text);
        if (sync_wave(&object) != cases[i].wave) {
            fail_msg("\"%s\" is wave %d", cases[i].text, sync_wave(&object));
        }
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value number =
        parse(arena, STR("{\"metadata\":{\"annotations\":{\"argocd.argoproj.io/sync-wave\":4}}}"));
    assert_int_equal(sync_wave(&number), 0); // annotations are texts
    assert_int_equal(sync_wave(NULL), 0);
}

static void test_hooks(void **state) {
    static const struct {
        const char *text;
        bool hook, skipped;
    } cases[] = {{"PreSync", true, false},
                 {"Sync", true, false},
                 {"PostSync", true, false},
                 {"SyncFail", true, false},
                 {"PreDelete", true, false},
                 {"PostDelete", true, false},
                 {"Skip", false, true},
                 {"", false, false},
                 {"presync", false, false},
                 {"PreSync,PostSync", true, false},
                 {" PreSync , Skip ", true, true},
                 {"PreSyncX", false, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object = annotated(arena, "hook", cases[i].text);
        if (sync_is_hook(&object) != cases[i].hook ||
            sync_is_skipped(&object) != cases[i].skipped) {
            fail_msg("\"%s\"", cases[i].text);
        }
    }
}

static void test_resource_options(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value object = annotated(arena, "sync-options", "Prune=false, Replace=true,Delete");
    assert_true(sync_has_option(&object, "Prune=false"));
    assert_true(sync_has_option(&object, "Replace=true"));
    assert_true(sync_has_option(&object, "Delete"));
    assert_false(sync_has_option(&object, "Delete=false"));
    assert_false(sync_has_option(&object, "Prune"));
    assert_false(sync_has_option(NULL, "Prune=false"));
}

static void describe(const struct sync_options *o, struct str unknown, struct buf *out) {
    const struct {
        bool on;
        const char *name;
    } flags[] = {{o->replace, "replace"},
                 {o->force, "force"},
                 {o->server_side, "server-side"},
                 {o->apply_out_of_sync_only, "out-of-sync-only"},
                 {o->prune_last, "prune-last"},
                 {o->validate, "validate"},
                 {o->create_namespace, "create-namespace"},
                 {o->fail_on_shared, "fail-on-shared"},
                 {o->keep_all, "keep"},
                 {o->confirm_all, "confirm"},
                 {o->prune, "prune"}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        assert_true(!flags[i].on || buf_printf(out, "%s ", flags[i].name));
    }
    assert_true(unknown.n == 0 || buf_printf(out, "unknown: %.*s", STR_ARG(unknown)));
}

static void test_application_options(void **state) {
    static const struct {
        const char *list, *expected;
    } cases[] = {
        {"[]", ""},
        {"null", ""},
        {"[\"CreateNamespace=true\"]", "create-namespace "},
        {"[\"CreateNamespace=false\"]", ""},
        {"[\"CreateNamespace\"]", ""},
        {"[\"Replace=true\",\"Replace=false\"]", ""},
        {"[\"ServerSideApply=true\",\"PruneLast=true\",\"ApplyOutOfSyncOnly=true\"]",
         "server-side out-of-sync-only prune-last "},
        {"[\"Validate=true\"]", "validate "},
        {"[\"Prune=false\"]", "keep "},
        {"[\"Prune=confirm\"]", "confirm "},
        {"[\"Prune=true\"]", ""}, // whether to prune is the operation's
        {"[\"FailOnSharedResource=true\",\"Force=true\"]", "force fail-on-shared "},
        {"[\"RespectIgnoreDifferences=true\",\"SelfHealGracePeriod=300\"]", ""},
        {"[\"createNamespace=true\",\"Foo=1\"]", "unknown: createNamespace=true, Foo=1"},
        {"[7,null,{},\"\"]", "unknown: , , , "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value list = parse(arena, str_from(cases[i].list));
        struct sync_options options = {0};
        struct str unknown = {NULL, 0};
        sync_options_read(&list, &options, arena, &unknown);
        AUTO_BUF struct buf out;
        buf_init(&out, 4 * KIB);
        describe(&options, unknown, &out);
        if (i + 1 < ARRAY_LEN(cases) && !str_eq_c(buf_str(&out), cases[i].expected)) {
            fail_msg("%s: \"%.*s\"", cases[i].list, STR_ARG(buf_str(&out)));
        }
    }
}

static void test_kinds_in_order(void **state) {
    static const char *const order[] = {"Namespace",   "NetworkPolicy", "ServiceAccount",
                                        "Secret",      "ConfigMap",     "CustomResourceDefinition",
                                        "ClusterRole", "Role",          "RoleBinding",
                                        "Service",     "DaemonSet",     "Deployment",
                                        "StatefulSet", "Job",           "CronJob",
                                        "Ingress",     "APIService",    "Rollout"};
    for (size_t i = 1; i < ARRAY_LEN(order); i++) {
        assert_true(sync_kind_rank(str_from(order[i - 1])) < sync_kind_rank(str_from(order[i])));
    }
    assert_int_equal(sync_kind_rank(STR("Rollout")), sync_kind_rank(STR("Anything")));
}

static void test_names(void **state) {
    enum operation_phase phase;
    for (int i = OPERATION_RUNNING; i <= OPERATION_ERROR; i++) {
        assert_true(
            operation_phase_parse(str_from(operation_phase_name((enum operation_phase)i)), &phase));
        assert_int_equal(phase, i);
        assert_int_equal(operation_is_over(phase), i >= OPERATION_SUCCEEDED);
    }
    assert_false(operation_phase_parse(STR("Done"), &phase));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_waves),
                                       cmocka_unit_test(test_hooks),
                                       cmocka_unit_test(test_resource_options),
                                       cmocka_unit_test(test_application_options),
                                       cmocka_unit_test(test_kinds_in_order),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
