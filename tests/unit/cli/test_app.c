// SPDX-License-Identifier: Apache-2.0
// Names, picks, conditions to wait for, and what the options of create and set make of an Application.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/app.h"

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *word, *ns, *name; // ns NULL: refused
    } cases[] = {
        {"shop", "argocd", "shop"},   {"other/shop", "other", "shop"},
        {"a.b-c", "argocd", "a.b-c"}, {"", NULL, NULL},
        {"Shop", NULL, NULL},         {"a/b/c", NULL, NULL},
        {"../etc", NULL, NULL},       {"a b", NULL, NULL},
        {"/shop", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct app_name name;
        struct err err = {0};
        bool ok = app_name_parse(str_from(cases[i].word), STR("argocd"), &name, &err);
        assert_int_equal(ok, cases[i].ns != NULL);
        if (ok) {
            assert_true(str_eq_c(name.ns, cases[i].ns) && str_eq_c(name.name, cases[i].name));
        } else {
            assert_int_equal(err.code, ERR_USAGE);
        }
    }
}

static void test_picks(void **state) {
    (void)state;
    static const struct {
        const char *words; // separated by spaces
        const char *group, *kind, *ns, *name;
        bool parses, matches;
    } cases[] = {
        {"apps:Deployment:web", "apps", "Deployment", "shop", "web", true, true},
        {"apps:Deployment:web", "apps", "Deployment", "shop", "web2", true, false},
        {":Service:web", "", "Service", "shop", "web", true, true},
        {":Service:shop/web", "", "Service", "shop", "web", true, true},
        {":Service:other/web", "", "Service", "shop", "web", true, false},
        {"*:*:w*", "apps", "Deployment", "shop", "web", true, true},
        {"!apps:Deployment:web", "apps", "Deployment", "shop", "web", true, false},
        {"!apps:Deployment:web", "", "Service", "shop", "web", true, true},
        {"*:*:* !*:Service:*", "", "Service", "shop", "web", true, false},
        {"Deployment:web", "", "", "", "", false, false},
        {"a:b:c:d", "", "", "", "", false, false},
        {"a:b:c/d/e", "", "", "", "", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct cli_list words = {{0}};
        struct str rest = str_from(cases[i].words), part;
        struct app_picks picks;
        struct err err = {0};
        while (str_next(&rest, ' ', &part)) {
            VEC_PUSH(&words.items, part);
        }
        bool ok = app_picks_parse(&words, arena, &picks, &err);
        assert_int_equal(ok, cases[i].parses);
        if (ok) {
            assert_int_equal(app_picks_match(&picks, str_from(cases[i].group),
                                             str_from(cases[i].kind), str_from(cases[i].ns),
                                             str_from(cases[i].name)),
                             cases[i].matches);
        }
        VEC_FREE(&words.items);
    }
}

static struct doc_value json(struct arena *arena, const char *text) {
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(str_from(text), arena, &value, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return value;
}

static void test_wait(void **state) {
    (void)state;
#define STATUS(sync, health) \
    "\"sync\":{\"status\":\"" sync "\"},\"health\":{\"status\":\"" health "\"}"
#define STATE(finished) "\"operationState\":{\"phase\":\"Succeeded\"" finished "}"
    static const struct {
        struct app_wait wait;
        const char *app; // NULL: gone
        bool met;
    } cases[] = {
        {{.sync = true}, "{\"status\":{" STATUS("Synced", "Degraded") "}}", true},
        {{.sync = true}, "{\"status\":{" STATUS("OutOfSync", "Healthy") "}}", false},
        {{.sync = true}, "{}", false},
        {{.health = true}, "{\"status\":{" STATUS("OutOfSync", "Healthy") "}}", true},
        {{.health = true}, "{\"status\":{" STATUS("Synced", "Progressing") "}}", false},
        {{.suspended = true}, "{\"status\":{" STATUS("Synced", "Suspended") "}}", true},
        {{.degraded = true}, "{\"status\":{" STATUS("Synced", "Degraded") "}}", true},
        {{.health = true, .degraded = true},
         "{\"status\":{" STATUS("Synced", "Degraded") "}}",
         true},
        {{.gone = true}, "{\"status\":{" STATUS("Synced", "Healthy") "}}", false},
        {{.gone = true}, NULL, true},
        {{.sync = true}, NULL, false},
        {{.operation = true}, "{}", true},
        {{.operation = true}, "{\"operation\":{\"sync\":{}}}", false},
        {{.operation = true}, "{\"status\":{" STATE("") "}}", false},
        // Finished, but the controller has not looked again since.
        {{.operation = true},
         "{\"status\":{\"reconciledAt\":\"2026-01-01T00:00:00Z\"," STATE(
             ",\"finishedAt\":\"2026-01-01T00:00:01Z\"") "}}",
         false},
        {{.operation = true},
         "{\"status\":{\"reconciledAt\":\"2026-01-01T00:00:01Z\"," STATE(
             ",\"finishedAt\":\"2026-01-01T00:00:01Z\"") "}}",
         true},
        {{.operation = true},
         "{\"status\":{" STATE(",\"finishedAt\":\"2026-01-01T00:00:01Z\",\"operation\":{\"sync\":{"
                               "\"dryRun\":true}}") "}}",
         true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value app = cases[i].app ? json(arena, cases[i].app) : doc_null();
        if (app_wait_is_met(cases[i].app ? &app : NULL, &cases[i].wait, arena) != cases[i].met) {
            fail_msg("case %zu: %s", i, cases[i].app ? cases[i].app : "gone");
        }
    }
}

static void test_spec(void **state) {
    (void)state;
    static const struct {
        const char *options, *app, *want; // want NULL: refused
    } cases[] = {
        {"--repo u --path p", "{}", "{\"spec\":{\"source\":{\"repoURL\":\"u\",\"path\":\"p\"}}}"},
        {"--dest-server s", "{\"spec\":{\"destination\":{\"name\":\"n\"}}}",
         "{\"spec\":{\"destination\":{\"server\":\"s\"}}}"},
        {"--dest-name n", "{\"spec\":{\"destination\":{\"server\":\"s\",\"namespace\":\"x\"}}}",
         "{\"spec\":{\"destination\":{\"namespace\":\"x\",\"name\":\"n\"}}}"},
        {"--sync-policy auto --auto-prune", "{}",
         "{\"spec\":{\"syncPolicy\":{\"automated\":{\"prune\":true}}}}"},
        {"--self-heal=false", "{\"spec\":{\"syncPolicy\":{\"automated\":{\"selfHeal\":true}}}}",
         "{\"spec\":{\"syncPolicy\":{\"automated\":{\"selfHeal\":false}}}}"},
        {"--sync-policy none",
         "{\"spec\":{\"syncPolicy\":{\"automated\":{},\"retry\":{\"limit\":1}}}}",
         "{\"spec\":{\"syncPolicy\":{\"retry\":{\"limit\":1}}}}"},
        {"--auto-prune", "{}", NULL},
        {"--sync-policy sometimes", "{}", NULL},
        {"--sync-option A=true --sync-option !B=true",
         "{\"spec\":{\"syncPolicy\":{\"syncOptions\":[\"B=true\",\"C=true\"]}}}",
         "{\"spec\":{\"syncPolicy\":{\"syncOptions\":[\"C=true\",\"A=true\"]}}}"},
        {"--label a=b --annotations x/y=z", "{}",
         "{\"metadata\":{\"labels\":{\"a\":\"b\"},\"annotations\":{\"x/y\":\"z\"}}}"},
        {"--label nonsense", "{}", NULL},
        {"--directory-recurse --revision-history-limit 3", "{}",
         "{\"spec\":{\"source\":{\"directory\":{\"recurse\":true}},\"revisionHistoryLimit\":3}}"},
        {"--sync-retry-limit 2 --sync-retry-backoff-duration 1x", "{}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct app_spec spec;
        struct cli_option options[APP_SPEC_OPTION_COUNT];
        char *argv[16];
        int argc = 0, words, code;
        struct str rest = str_from(cases[i].options), part;
        struct cli cli = {.command = &cli_app_set, .path = "test", .arena = arena};
        struct err err = {0};
        app_spec_init(&spec);
        app_spec_options(&spec, options);
        while (str_next(&rest, ' ', &part)) {
            argv[argc++] = arena_cstr(arena, part);
        }
        assert_true(cli_parse(&cli, options, APP_SPEC_OPTION_COUNT, argc, argv, &words, &code));
        struct doc_value app = json(arena, cases[i].app), out;
        bool ok = app_spec_apply(&spec, arena, &app, &out, &err);
        assert_int_equal(ok, cases[i].want != NULL);
        if (ok) {
            struct doc_value want = json(arena, cases[i].want);
            if (!doc_equal(&out, &want)) {
                fail_msg("%s: %s", cases[i].options, doc_to_json(arena, &out).p);
            }
        }
        app_spec_fini(&spec);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
