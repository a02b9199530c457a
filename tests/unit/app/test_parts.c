// SPDX-License-Identifier: Apache-2.0
// The small decisions below the planner: what a project permits, which application an object belongs to, what argocd-cm and
// the labelled Secrets say.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "app/project.h"
#include "app/settings.h"
#include "app/tracking.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "doc/yaml.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct yaml_document *documents;
    size_t count = 0;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    if (!yaml_parse(str_from(text), &options, arena, &documents, &count, &err) || count != 1) {
        fail_msg("%s: %s", text, err.message);
    }
    return documents[0].root;
}

// ---- Projects ----
static void test_project_sources(void **state) {
    static const struct {
        const char *list, *url;
        bool permitted;
    } cases[] = {
        {"['*']", "https://example.com/a.git", true},
        {"[]", "https://example.com/a.git", false},
        {"null", "https://example.com/a.git", false},
        {"['https://example.com/a.git']", "https://example.com/a.git", true},
        {"['https://example.com/a']", "https://example.com/a.git", true},
        {"['https://Example.com/A.git']", "https://example.com/a", true},
        {"['https://example.com/b.git']", "https://example.com/a.git", false},
        {"['https://example.com/*']", "https://example.com/a.git", true},
        {"['https://example.com/*']", "https://example.com/team/a.git", false},
        {"['https://example.com/**']", "https://example.com/team/a.git", true},
        {"['https://example.com/*']", "https://example.com.evil.org/a.git", false},
        {"['*', '!https://example.com/secret/**']", "https://example.com/secret/a.git", false},
        {"['!https://example.com/secret/**', '*']", "https://example.com/secret/a.git", false},
        {"['*', '!https://example.com/secret/**']", "https://example.com/open/a.git", true},
        {"['!https://example.com/a.git']", "https://example.com/b.git", false},
        {"['git@example.com:org/*']", "git@example.com:org/a.git", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value project =
            parse(arena, arena_printf(arena, "{spec: {sourceRepos: %s}}", cases[i].list).p);
        if (project_permits_source(&project, str_from(cases[i].url)) != cases[i].permitted) {
            fail_msg("%s with %s", cases[i].url, cases[i].list);
        }
    }
}

static void test_project_destinations(void **state) {
    static const struct {
        const char *list, *server, *name, *ns;
        bool permitted;
    } cases[] = {
        {"[{server: '*', namespace: '*'}]", "https://a", "a", "x", true},
        {"[]", "https://a", "a", "x", false},
        {"[{server: 'https://a', namespace: x}]", "https://a", "a", "x", true},
        {"[{server: 'https://a', namespace: x}]", "https://a", "a", "y", false},
        {"[{server: 'https://a', namespace: x}]", "https://b", "b", "x", false},
        {"[{name: prod, namespace: '*'}]", "https://a", "prod", "x", true},
        {"[{name: prod, namespace: '*'}]", "https://a", "dev", "x", false},
        {"[{namespace: '*'}]", "https://a", "a", "x", false},
        {"[{server: '*', namespace: 'team-*'}]", "https://a", "a", "team-b", true},
        {"[{server: '*', namespace: 'team-*'}]", "https://a", "a", "kube-system", false},
        {"[{server: '*', namespace: '*'}, {server: '*', namespace: '!kube-system'}]", "https://a",
         "a", "kube-system", false},
        {"[{server: '*', namespace: '!kube-system'}, {server: '*', namespace: '*'}]", "https://a",
         "a", "kube-system", false},
        {"[{server: '*', namespace: '*'}, {server: '!https://a', namespace: '*'}]", "https://a",
         "a", "x", false},
        {"[{server: '*', namespace: '*'}, {server: '!https://a', namespace: '*'}]", "https://b",
         "b", "x", true},
        {"[{server: '*', namespace: '!kube-system'}]", "https://a", "a", "x", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value project =
            parse(arena, arena_printf(arena, "{spec: {destinations: %s}}", cases[i].list).p);
        bool permitted = project_permits_destination(
            &project, str_from(cases[i].server), str_from(cases[i].name), str_from(cases[i].ns));
        if (permitted != cases[i].permitted) {
            fail_msg("%s %s with %s", cases[i].server, cases[i].ns, cases[i].list);
        }
    }
}

static void test_project_kinds(void **state) {
    static const struct {
        const char *spec, *group, *kind, *name;
        bool namespaced, permitted;
    } cases[] = {
        {"{}", "", "ConfigMap", "a", true, true},
        {"{}", "", "Namespace", "a", false, false},
        {"{clusterResourceWhitelist: [{group: '*', kind: '*'}]}", "", "Namespace", "a", false,
         true},
        {"{clusterResourceWhitelist: [{group: '', kind: Namespace}]}", "", "Namespace", "a", false,
         true},
        {"{clusterResourceWhitelist: [{group: '', kind: Namespace}]}", "rbac.authorization.k8s.io",
         "ClusterRole", "a", false, false},
        {"{clusterResourceWhitelist: [{group: '', kind: Namespace, name: 'team-*'}]}", "",
         "Namespace", "team-a", false, true},
        {"{clusterResourceWhitelist: [{group: '', kind: Namespace, name: 'team-*'}]}", "",
         "Namespace", "kube-system", false, false},
        {"{clusterResourceWhitelist: [{group: '*', kind: '*'}], clusterResourceBlacklist: [{group: "
         "'', kind: Namespace}]}",
         "", "Namespace", "a", false, false},
        {"{namespaceResourceWhitelist: []}", "", "ConfigMap", "a", true, false},
        {"{namespaceResourceWhitelist: [{group: apps, kind: '*'}]}", "apps", "Deployment", "a",
         true, true},
        {"{namespaceResourceWhitelist: [{group: apps, kind: '*'}]}", "", "Secret", "a", true,
         false},
        {"{namespaceResourceBlacklist: [{group: '', kind: Secret}]}", "", "Secret", "a", true,
         false},
        {"{namespaceResourceBlacklist: [{group: '', kind: Secret}]}", "", "ConfigMap", "a", true,
         true},
        {"{namespaceResourceBlacklist: [{group: '*', kind: 'Role*'}]}", "rbac.authorization.k8s.io",
         "RoleBinding", "a", true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value project = parse(arena, arena_printf(arena, "{spec: %s}", cases[i].spec).p);
        bool permitted =
            project_permits_kind(&project, str_from(cases[i].group), str_from(cases[i].kind),
                                 str_from(cases[i].name), cases[i].namespaced);
        if (permitted != cases[i].permitted) {
            fail_msg("%s with %s", cases[i].kind, cases[i].spec);
        }
    }
}

// ---- Tracking ----
static void test_tracking_owner(void **state) {
    static const struct {
        const char *id, *owner;
    } cases[] = {
        {"shop:apps/Deployment:prod/web", "shop"},
        {"team_shop:apps/Deployment:prod/web", "team_shop"},
        {"shop:apps/Deployment:prod/other", ""}, // copied from another object
        {"shop:apps/Deployment:other/web", ""},  // from another namespace
        {"shop:apps/ReplicaSet:prod/web", ""},   // from what owns it
        {"shop:/Deployment:prod/web", ""},       // from another group
        {"shop", ""},
        {"", ""},
        {":apps/Deployment:prod/web", ""},
        {"shop:apps/Deployment", ""},
        {"shop:apps:prod/web", ""},
        {"shop:apps/Deployment:prod", ""},
        {"shop:apps/Deployment:prod/web:x", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object = parse(
            arena, arena_printf(arena,
                                "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, "
                                "namespace: prod, annotations: {'%s': '%s'}}}",
                                APP_TRACKING_ANNOTATION, cases[i].id)
                       .p);
        struct str owner = app_tracking_owner(&object, TRACK_ANNOTATION, STR("apps"), arena);
        if (!str_eq_c(owner, cases[i].owner)) {
            fail_msg("%s: owner is \"%.*s\"", cases[i].id, STR_ARG(owner));
        }
    }
}

static void test_tracking_mark(void **state) {
    static const enum app_tracking methods[] = {TRACK_ANNOTATION, TRACK_LABEL,
                                                TRACK_ANNOTATION_AND_LABEL};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object =
            parse(arena, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: prod}}");
        struct doc_value marked =
            app_tracking_mark(arena, &object, methods[i], STR("shop"), STR(""), STR("prod"));
        assert_true(str_eq_c(app_tracking_owner(&marked, methods[i], STR(""), arena), "shop"));
        bool label = doc_get(&marked, "metadata", "labels", APP_INSTANCE_LABEL) != NULL;
        bool annotation =
            doc_get(&marked, "metadata", "annotations", APP_TRACKING_ANNOTATION) != NULL;
        assert_int_equal(label, methods[i] != TRACK_ANNOTATION);
        assert_int_equal(annotation, methods[i] != TRACK_LABEL);
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    assert_true(
        str_eq_c(app_instance_name(arena, STR("argocd"), STR("argocd"), STR("shop")), "shop"));
    assert_true(
        str_eq_c(app_instance_name(arena, STR("argocd"), STR("team"), STR("shop")), "team_shop"));
}

// ---- argocd-cm ----
static struct app_settings *settings_of(const char *data, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value config = parse(arena, arena_printf(arena, "data:\n%s", data).p);
    return app_settings_parse(&config, err);
}

static void test_settings_durations(void **state) {
    static const struct {
        const char *text;
        int64_t seconds;
        bool complains;
    } cases[] = {{"180s", 180, false},   {"3m", 180, false},
                 {"90", 90, false},      {"0", 0, false},
                 {"0s", 0, false},       {"soon", 120, true},
                 {"-5s", 120, true},     {"-5", 120, true},
                 {"1h30m", 5400, false}, {"99999999999999999999", 120, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char data[200];
        snprintf(data, sizeof data, "  timeout.reconciliation: \"%s\"\n", cases[i].text);
        struct err err = {0};
        struct app_settings *settings = settings_of(data, &err);
        if (settings->poll_ns != cases[i].seconds * NS_PER_SECOND ||
            (err.code != ERR_NONE) != cases[i].complains) {
            fail_msg("%s: %lld: %s", cases[i].text, (long long)settings->poll_ns, err.message);
        }
        app_settings_unref(settings);
    }
    struct app_settings *none = app_settings_parse(NULL, NULL);
    assert_int_equal(none->poll_ns, 120 * NS_PER_SECOND);
    assert_int_equal(none->jitter_ns, 60 * NS_PER_SECOND);
    assert_int_equal(none->tracking, TRACK_ANNOTATION);
    assert_true(none->diff.ignore_status);
    app_settings_unref(none);
}

static void test_settings_filters(void **state) {
    static const struct {
        const char *data, *group, *kind, *server;
        bool excluded;
    } cases[] = {
        {"  x: y\n", "", "Pod", "https://a", false},
        {"  resource.exclusions: |\n    - {apiGroups: [''], kinds: [Endpoints], clusters: ['*']}\n",
         "", "Endpoints", "https://a", true},
        {"  resource.exclusions: |\n    - {apiGroups: [''], kinds: [Endpoints], clusters: ['*']}\n",
         "", "Pod", "https://a", false},
        {"  resource.exclusions: |\n    - {apiGroups: ['*.crossplane.io'], kinds: ['*']}\n",
         "aws.crossplane.io", "Bucket", "https://a", true},
        {"  resource.exclusions: |\n    - {kinds: [Lease], clusters: ['https://b']}\n",
         "coordination.k8s.io", "Lease", "https://a", false},
        {"  resource.inclusions: |\n    - {apiGroups: [apps], kinds: [Deployment]}\n", "apps",
         "Deployment", "https://a", false},
        {"  resource.inclusions: |\n    - {apiGroups: [apps], kinds: [Deployment]}\n", "", "Pod",
         "https://a", true},
        {"  resource.inclusions: |\n    - {apiGroups: ['*']}\n  resource.exclusions: |\n    - "
         "{kinds: [Pod]}\n",
         "", "Pod", "https://a", true},
        // An entry that says nothing must not exclude everything.
        {"  resource.exclusions: |\n    - Pod\n", "", "ConfigMap", "https://a", false},
        {"  resource.exclusions: |\n    - {}\n", "", "ConfigMap", "https://a", false},
        {"  resource.exclusions: |\n    kinds: [Pod]\n", "", "Pod", "https://a", false},
        {"  resource.exclusions: |\n    - {kinds: [\n", "", "Pod", "https://a", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct app_settings *settings = settings_of(cases[i].data, &err);
        if (app_settings_excludes(settings, str_from(cases[i].group), str_from(cases[i].kind),
                                  str_from(cases[i].server)) != cases[i].excluded) {
            fail_msg("%s/%s with\n%s", cases[i].group, cases[i].kind, cases[i].data);
        }
        if (i >= 8 && err.code == ERR_NONE) {
            fail_msg("no complaint about\n%s", cases[i].data);
        }
        app_settings_unref(settings);
    }
}

static void test_settings_ignore(void **state) {
    struct err err = {0};
    struct app_settings *settings = settings_of(
        "  resource.customizations.ignoreDifferences.apps_Deployment: |\n"
        "    jsonPointers: [/spec/replicas, /spec/paused]\n"
        "  resource.customizations.ignoreDifferences.all: |\n    jsonPointers: "
        "[/metadata/labels/x]\n"
        "  resource.customizations.ignoreDifferences.Secret: |\n    jsonPointers: [/data]\n"
        "  resource.compareoptions: |\n    ignoreAggregatedRoles: true\n"
        "    ignoreResourceStatusField: none\n"
        "  application.resourceTrackingMethod: annotation+label\n",
        &err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(settings->diff.ignore_count, 3);
    assert_true(settings->diff.ignore_aggregated_roles);
    assert_false(settings->diff.ignore_status);
    assert_int_equal(settings->tracking, TRACK_ANNOTATION_AND_LABEL);
    size_t pointers = 0;
    for (size_t i = 0; i < settings->diff.ignore_count; i++) {
        const struct diff_ignore *ignore = &settings->diff.ignores[i];
        pointers += ignore->pointer_count;
        if (str_eq(ignore->kind, STR("Deployment"))) {
            assert_true(str_eq(ignore->group, STR("apps")));
        } else if (str_eq(ignore->kind, STR("Secret"))) {
            assert_int_equal(ignore->group.n, 0);
        } else {
            assert_true(str_eq(ignore->kind, STR("*")) && str_eq(ignore->group, STR("*")));
        }
    }
    assert_int_equal(pointers, 4);
    app_settings_unref(settings);
    settings = settings_of("  application.resourceTrackingMethod: magic\n", &err);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(settings->tracking, TRACK_ANNOTATION);
    app_settings_unref(settings);
}

// ---- Secrets ----
static void add_secret(struct app_registry *registry, const char *type, const char *const *pairs,
                       bool good) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value secret = parse(
        arena,
        arena_printf(
            arena, "{metadata: {name: s, labels: {argocd.argoproj.io/secret-type: %s}}, data: {}}",
            type)
            .p);
    for (; pairs[0]; pairs += 2) {
        struct str value = base64_encode(arena, str_from(pairs[1]));
        secret = doc_with(arena, &secret, doc_make_str(value), "data", pairs[0]);
    }
    struct err err = {0};
    assert_int_equal(app_registry_add_secret(registry, &secret, &err), good);
    assert_int_equal(good, err.code == ERR_NONE);
}
#define SECRET(registry, type, good, ...) \
    add_secret((registry), (type), (const char *const[]){__VA_ARGS__, NULL}, (good))

static void test_repositories(void **state) {
    struct app_registry *registry = app_registry_create();
    SECRET(registry, "repo-creds", true, "url", "https://example.com", "username", "all");
    SECRET(registry, "repo-creds", true, "url", "https://example.com/team", "username", "team");
    SECRET(registry, "repository", true, "url", "https://example.com/team/own.git", "username",
           "own", "insecure", "true", "depth", "1");
    SECRET(registry, "repository", true, "url", "https://example.com/team/plain.git", "depth", "3");
    SECRET(registry, "repository", false, "username", "no-url");
    SECRET(registry, "something-else", true, "url", "https://example.com/x");
    static const struct {
        const char *url, *user;
        bool insecure;
        int64_t depth;
    } cases[] = {
        {"https://example.com/a.git", "all", false, 0},
        {"https://example.com/team/b.git", "team", false, 0},
        {"https://example.com/team/own.git", "own", true, 1},
        {"https://example.com/team/own", "own", true, 1},
        {"https://example.com/TEAM/own.git", "own", true, 1},
        {"https://example.com/team/plain.git", "team", false, 3},
        {"https://other.org/a.git", "", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct vcs_access access = app_registry_access(registry, str_from(cases[i].url), arena);
        if (!str_eq_c(access.username, cases[i].user) || access.insecure != cases[i].insecure ||
            access.depth != cases[i].depth) {
            fail_msg("%s: user \"%.*s\"", cases[i].url, STR_ARG(access.username));
        }
    }
    app_registry_destroy(registry);
}

// A prefix ends where a part of the path does; nobody else's host or folder gets the password.
static void test_prefixes_end_at_borders(void **state) {
    static const char *const strangers[] = {
        "https://example.com.evil.org/a.git", "https://example.community/a.git",
        "https://example.com@evil.org/a.git", "https://example.com:8443/a.git"};
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        struct app_registry *registry = app_registry_create();
        AUTO(arena_destroy) struct arena *arena = arena_create();
        SECRET(registry, "repo-creds", true, "url", "https://example.com", "password", "canary");
        struct vcs_access access = app_registry_access(registry, str_from(strangers[i]), arena);
        if (access.password.n) {
            fail_msg("%s gets the password of https://example.com", strangers[i]);
        }
        app_registry_destroy(registry);
    }
}

static void test_clusters(void **state) {
    struct app_registry *registry = app_registry_create();
    SECRET(registry, "cluster", true, "name", "prod", "server", "https://prod", "config", "{}");
    SECRET(registry, "cluster", true, "name", "dev", "server", "https://dev", "config", "{}");
    SECRET(registry, "cluster", false, "name", "bad");
    assert_true(
        str_eq_c(app_registry_cluster(registry, STR(""), STR("prod"))->server, "https://prod"));
    assert_true(str_eq_c(app_registry_cluster(registry, STR("https://dev"), STR(""))->name, "dev"));
    assert_null(app_registry_cluster(registry, STR("https://other"), STR("")));
    assert_null(app_registry_cluster(registry, STR(""), STR("other")));
    assert_null(app_registry_cluster(registry, STR("https://other"), STR("prod")));
    app_registry_destroy(registry);
}

static void test_trust(void **state) {
    struct app_registry *registry = app_registry_create();
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value hosts = parse(
        arena, "{metadata: {name: argocd-ssh-known-hosts-cm}, data: {ssh_known_hosts: keys}}");
    struct doc_value certs =
        parse(arena, "{metadata: {name: argocd-tls-certs-cm}, data: {git.example.com: pem}}");
    app_registry_add_config(registry, &hosts);
    app_registry_add_config(registry, &certs);
    struct vcs_access a =
        app_registry_access(registry, STR("https://bob@git.example.com:8443/a.git"), arena);
    assert_true(str_eq_c(a.ca, "pem") && str_eq_c(a.known_hosts, "keys"));
    a = app_registry_access(registry, STR("https://example.com/git.example.com"), arena);
    assert_int_equal(a.ca.n, 0);
    app_registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_project_sources),  cmocka_unit_test(test_project_destinations),
        cmocka_unit_test(test_project_kinds),    cmocka_unit_test(test_tracking_owner),
        cmocka_unit_test(test_tracking_mark),    cmocka_unit_test(test_settings_durations),
        cmocka_unit_test(test_settings_filters), cmocka_unit_test(test_settings_ignore),
        cmocka_unit_test(test_repositories),     cmocka_unit_test(test_prefixes_end_at_borders),
        cmocka_unit_test(test_clusters),         cmocka_unit_test(test_trust)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
