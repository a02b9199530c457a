// SPDX-License-Identifier: Apache-2.0
// kubeconfig files, service accounts and cluster Secrets: what is taken, and how what is wrong is refused.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "kube/internal.h"

#define PEM "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"
#define PEM64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClFRPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
#define CONTEXT "contexts: [{name: c, context: {cluster: k, user: u, namespace: shop}}]\n"
#define CLUSTER "clusters: [{name: k, cluster: {server: 'https://h:6443/'}}]\n"

static bool parse(const char *text, struct kubeconfig_options options, struct arena *arena,
                  struct kube_config *out, struct err *err) {
    return kube_config_parse(str_from(text), &options, arena, out, err);
}

static void test_everything(void **state) {
    static const char text[] =
        HEAD CONTEXT "clusters:\n"
                     "- name: other\n"
                     "  cluster: {server: 'https://wrong'}\n"
                     "- name: k\n"
                     "  cluster:\n"
                     "    server: https://h:6443/prefix/\n"
                     "    certificate-authority-data: " PEM64 "\n"
                     "    tls-server-name: api.internal\n"
                     "    proxy-url: http://proxy:3128\n"
                     "    extensions: [{name: x, extension: {a: 1}}]\n"
                     "users:\n"
                     "- name: u\n"
                     "  user: {client-certificate-data: " PEM64 ", client-key-data: " PEM64
                     ", token: abc, as: jane, as-uid: '7', as-groups: [a, b]}\n";
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    if (!parse(text, (struct kubeconfig_options){0}, arena, &config, &err)) {
        fail_msg("%s", err.message);
    }
    assert_true(str_eq(config.server, STR("https://h:6443/prefix")));
    assert_true(str_eq(config.tls.ca, STR(PEM)));
    assert_true(str_eq(config.tls.cert, STR(PEM)));
    assert_true(str_eq(config.tls.key, STR(PEM)));
    assert_true(str_eq(config.tls.server_name, STR("api.internal")));
    assert_true(str_eq(config.proxy, STR("http://proxy:3128")));
    assert_true(str_eq(config.token, STR("abc")));
    assert_true(str_eq(config.ns, STR("shop")));
    assert_true(str_eq(config.as_user, STR("jane")));
    assert_int_equal(config.as_group_count, 2);
    assert_true(str_eq(config.as_groups[1], STR("b")));
    assert_false(config.tls.insecure);
    // A copy needs nothing of the first arena.
    AUTO(arena_destroy) struct arena *other = arena_create();
    struct kube_config copy;
    kube_config_copy(other, &copy, &config);
    assert_true(str_eq(copy.as_groups[0], STR("a")));
    assert_true(copy.server.p != config.server.p);
}

static void test_json_and_other_context(void **state) {
    static const char text[] =
        "{\"kind\":\"Config\",\"contexts\":[{\"name\":\"two\",\"context\":{\"cluster\":\"k\"}}],"
        "\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":\"http://h\","
        "\"insecure-skip-tls-verify\":true}}]}";
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    assert_true(
        parse(text, (struct kubeconfig_options){.context = STR("two")}, arena, &config, &err));
    assert_true(config.tls.insecure);
    assert_int_equal(config.token.n, 0);
    assert_int_equal(config.ns.n, 0);
}

static void test_refusals(void **state) {
    static const struct {
        const char *text;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"", ERR_INVALID, "0"},
        {"[]", ERR_INVALID, "no kubeconfig"},
        {"kind: Pod\n", ERR_INVALID, "no kubeconfig"},
        {"a: b\n---\nc: d\n", ERR_INVALID, "one YAML document"},
        {"a: [", ERR_INVALID, "YAML"},
        {"kind: Config\n", ERR_INVALID, "current-context"},
        {HEAD, ERR_NOT_FOUND, "no context \"c\" (there is: none)"},
        {HEAD "contexts: [{name: a}, {name: b}]\n", ERR_NOT_FOUND, "a, b"},
        {HEAD "contexts: {c: 1}\n", ERR_INVALID, "must be a list"},
        {HEAD "contexts: [{name: c, context: {}}]\n", ERR_INVALID, "names no cluster"},
        {HEAD CONTEXT, ERR_NOT_FOUND, "no cluster \"k\""},
        {HEAD CONTEXT CLUSTER, ERR_NOT_FOUND, "no user \"u\""},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 5}}]", ERR_INVALID, "quotes"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {}}]\nusers: [{name: u}]", ERR_INVALID,
         "address"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'ftp://h'}}]\nusers: [{name: u}]",
         ERR_INVALID, "https://host:port"},
        {HEAD CONTEXT
         "clusters: [{name: k, cluster: {server: 'https://a:b@h'}}]\nusers: [{name: u}]",
         ERR_INVALID, "must not hold a user"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: \"https://h\\r\\nX: y\"}}]\n"
                      "users: [{name: u}]",
         ERR_INVALID, "https://host:port"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', proxy-url: 'h:1'}}]\n"
                      "users: [{name: u}]",
         ERR_INVALID, "proxy"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', "
                      "certificate-authority-data: " PEM64 ", insecure-skip-tls-verify: true}}]\n"
                      "users: [{name: u}]",
         ERR_INVALID, "exclude each other"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', "
                      "certificate-authority-data: '***'}}]\nusers: [{name: u}]",
         ERR_INVALID, "not base64"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', "
                      "certificate-authority-data: QUJD}}]\nusers: [{name: u}]",
         ERR_INVALID, "not PEM"},
        {HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', "
                      "certificate-authority: /etc/passwd}}]\nusers: [{name: u}]",
         ERR_UNSUPPORTED, "files are not followed"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {tokenFile: /etc/passwd}}]", ERR_UNSUPPORTED,
         "files are not followed"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {client-key: k.pem}}]", ERR_UNSUPPORTED,
         "files are not followed"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {client-key-data: " PEM64 "}}]", ERR_INVALID,
         "the certificate is missing"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: rm, args: ['-rf']}}}]",
         ERR_UNSUPPORTED, "wants to run the program \"rm\""},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {exec: 3}}]", ERR_INVALID, "exec"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]",
         ERR_UNSUPPORTED, "auth-provider"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {as-user-extra: {a: [b]}, as: x}}]",
         ERR_UNSUPPORTED, "as-user-extra"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {as-groups: [a]}}]", ERR_INVALID,
         "need \"as\""},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {token: \"a\\r\\nX-Evil: 1\"}}]",
         ERR_INVALID, "line breaks"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {token: a, username: b}}]", ERR_INVALID,
         "exclude each other"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {username: 'a:b', password: c}}]",
         ERR_INVALID, "HTTP cannot carry"},
        {HEAD CONTEXT CLUSTER "users: [{name: u, user: {token: [a]}}]", ERR_INVALID, "quotes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct kube_config config = {.server = STR("untouched")};
        struct err err = {0};
        bool ok = parse(cases[i].text, (struct kubeconfig_options){0}, arena, &config, &err);
        if (ok || err.code != cases[i].code || !strstr(err.message, cases[i].says)) {
            fail_msg("case %zu (%s): %s: %s", i, cases[i].text, err_code_name(err.code),
                     err.message);
        }
        assert_true(str_eq(config.server, STR("untouched")));
    }
}

static void test_places(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    assert_false(parse(HEAD CONTEXT CLUSTER "users:\n- name: u\n  user:\n    token: 5\n",
                       (struct kubeconfig_options){0}, arena, &config, &err));
    assert_int_equal(err.line, 9);
}

static void test_huge(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    size_t n = LIMIT_KUBECONFIG_BYTES + 1;
    char *text = arena_alloc(arena, n);
    memset(text, ' ', n);
    struct kube_config config;
    struct err err = {0};
    struct kubeconfig_options options = {0};
    assert_false(kube_config_parse(str_make(text, n), &options, arena, &config, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void test_exec(void **state) {
    static const char text[] = HEAD CONTEXT
        "clusters: [{name: k, cluster: {server: 'https://h', certificate-authority-data: " PEM64
        "}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, "
        "command: ./bin/login, args: [--cluster, shop], env: [{name: A, value: b}], "
        "provideClusterInfo: true}}}]";
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    struct kubeconfig_options options = {.allow_exec = true, .base = STR("/home/me/.kube")};
    if (!parse(text, options, arena, &config, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(config.exec_argc, 3);
    assert_true(str_eq(config.exec_argv[0], STR("/home/me/.kube/./bin/login")));
    assert_true(str_eq(config.exec_argv[2], STR("shop")));
    assert_int_equal(config.exec_env_count, 2);
    assert_true(str_eq(config.exec_env[0], STR("A=b")));
    assert_true(str_starts(config.exec_env[1], STR("KUBERNETES_EXEC_INFO={")));
    assert_true(str_has(config.exec_env[1], STR("\"server\":\"https://h\"")));
    assert_true(str_has(config.exec_env[1], STR(PEM64)));

    static const char *const bad[] = {
        "apiVersion: client.authentication.k8s.io/v1alpha1, command: x",
        "apiVersion: client.authentication.k8s.io/v1, command: ''",
        "apiVersion: client.authentication.k8s.io/v1, command: x, args: [1]",
        "apiVersion: client.authentication.k8s.io/v1, command: x, args: y",
        "apiVersion: client.authentication.k8s.io/v1, command: x, env: [{name: 'a=b'}]",
        "apiVersion: client.authentication.k8s.io/v1, command: x, env: [3]",
        "apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always",
        "command: x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str whole = arena_printf(arena, "%susers: [{name: u, user: {exec: {%s}}}]",
                                        HEAD CONTEXT CLUSTER, bad[i]);
        struct err e = {0};
        if (kube_config_parse(whole, &options, arena, &config, &e)) {
            fail_msg("case %zu was taken", i);
        }
    }
}

// ---- Files ----

static void write_file(const char *folder, const char *name, const char *content) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void remove_file(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static void test_files(void **state) {
    char folder[] = "/tmp/skiff-kubeconfig-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "ca.pem", PEM);
    write_file(folder, "token", "  secret\n");
    write_file(folder, "config",
               HEAD CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', "
                            "certificate-authority: ca.pem}}]\n"
                            "users: [{name: u, user: {tokenFile: token}}]\n");
    write_file(folder, "broken",
               HEAD CONTEXT CLUSTER "users: [{name: u, user: {client-certificate: none.pem}}]\n");
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    struct kubeconfig_options options = {.allow_files = true};
    char path[512];
    snprintf(path, sizeof path, "%s/config", folder);
    if (!kube_config_load(path, &options, arena, &config, &err)) {
        fail_msg("%s", err.message);
    }
    assert_true(str_eq(config.tls.ca, STR(PEM)));
    assert_true(str_eq(config.token, STR("secret")));
    assert_true(str_ends(config.token_file, STR("/token")));
    snprintf(path, sizeof path, "%s/broken", folder);
    assert_false(kube_config_load(path, &options, arena, &config, &err));
    assert_non_null(strstr(err.message, "none.pem"));
    assert_non_null(strstr(err.message, "/broken: user \"u\": client-certificate"));
    snprintf(path, sizeof path, "%s/nothing", folder);
    assert_false(kube_config_load(path, &options, arena, &config, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);

    // The same folder as a service account's.
    write_file(folder, "namespace", "prod\n");
    write_file(folder, "ca.crt", PEM);
    assert_true(kube_config_in_cluster_at(folder, "fd00::1", "443", arena, &config, &err));
    assert_true(str_eq(config.server, STR("https://[fd00::1]:443")));
    assert_true(str_eq(config.ns, STR("prod")));
    assert_true(str_eq(config.token, STR("secret")));
    assert_true(str_eq(config.tls.ca, STR(PEM)));
    assert_false(kube_config_in_cluster_at(folder, NULL, "443", arena, &config, &err));
    assert_non_null(strstr(err.message, "not in a cluster"));
    static const char *const names[] = {"ca.pem", "token",     "config",
                                        "broken", "namespace", "ca.crt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        remove_file(folder, names[i]);
    }
    assert_false(kube_config_in_cluster_at(folder, "10.0.0.1", "443", arena, &config, &err));
    rmdir(folder);
}

// ---- Cluster Secrets ----

static void test_cluster_secret(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    static const char json[] =
        "{\"bearerToken\":\"abc\",\"disableCompression\":true,\"proxyUrl\":\"socks5://p:1\","
        "\"tlsClientConfig\":{\"insecure\":false,\"serverName\":\"s\",\"caData\":\"" PEM64 "\","
        "\"certData\":\"" PEM64 "\",\"keyData\":\"" PEM64 "\"},\"execProviderConfig\":null}";
    if (!kube_config_from_cluster_secret(STR("https://c:443/"), str_from(json), arena, &config,
                                         &err)) {
        fail_msg("%s", err.message);
    }
    assert_true(str_eq(config.server, STR("https://c:443")));
    assert_true(str_eq(config.token, STR("abc")));
    assert_true(str_eq(config.tls.key, STR(PEM)));
    assert_true(str_eq(config.tls.server_name, STR("s")));
    assert_true(kube_config_from_cluster_secret(STR("https://c"), STR(""), arena, &config, &err));
    assert_true(kube_config_from_cluster_secret(
        STR("https://c"), STR("{\"username\":\"a\",\"password\":\"b\"}"), arena, &config, &err));
    assert_true(str_eq(config.password, STR("b")));
    static const struct {
        const char *json;
        enum err_code code;
        const char *says;
    } bad[] = {
        {"{", ERR_INVALID, "config"},
        {"[]", ERR_INVALID, "must be a JSON object"},
        {"{\"bearerToken\":5}", ERR_INVALID, "config.bearerToken must be a string"},
        {"{\"tlsClientConfig\":5}", ERR_INVALID, "config.tlsClientConfig must be an object"},
        {"{\"tlsClientConfig\":{\"insecure\":\"yes\"}}", ERR_INVALID, "tlsClientConfig.insecure"},
        {"{\"tlsClientConfig\":{\"caData\":\"-----BEGIN X\"}}", ERR_INVALID, "encode it once more"},
        {"{\"tlsClientConfig\":{\"insecure\":true,\"caData\":\"" PEM64 "\"}}", ERR_INVALID,
         "exclude each other"},
        {"{\"execProviderConfig\":{\"command\":\"sh\"}}", ERR_UNSUPPORTED, "execProviderConfig"},
        {"{\"awsAuthConfig\":{\"clusterName\":\"x\"}}", ERR_UNSUPPORTED, "awsAuthConfig"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        bool ok = kube_config_from_cluster_secret(STR("https://c"), str_from(bad[i].json), arena,
                                                  &config, &e);
        if (ok || e.code != bad[i].code || !strstr(e.message, bad[i].says)) {
            fail_msg("case %zu: %s: %s", i, err_code_name(e.code), e.message);
        }
    }
    assert_false(kube_config_from_cluster_secret(STR(""), STR("{}"), arena, &config, &err));
}

static void test_exec_answers(void **state) {
#define ANSWER \
    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":"
    static const struct {
        const char *json, *token; // token NULL: refused
        int64_t expires_s;
    } cases[] = {
        {ANSWER "{\"token\":\"t\"}}", "t", 0},
        {ANSWER "{\"token\":\"t\\n\",\"expirationTimestamp\":\"1970-01-01T00:01:40Z\"}}", "t", 100},
        {ANSWER "{\"clientCertificateData\":\"a\",\"clientKeyData\":\"b\"}}", "", 0},
        {ANSWER "{\"clientCertificateData\":\"a\"}}", NULL, 0},
        {ANSWER "{\"token\":\"a\\r\\nb\"}}", NULL, 0},
        {ANSWER "{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}", NULL, 0},
        {ANSWER "{}}", NULL, 0},
        {ANSWER "null}", NULL, 0},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"x/v1\",\"status\":{\"token\":\"t\"}}", NULL,
         0},
        {"{\"kind\":\"Pod\"}", NULL, 0},
        {"token", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct kube_exec_credential out;
        struct err err = {0};
        bool ok = kube_exec_credential_parse(str_from(cases[i].json), arena, &out, &err);
        if (ok != (cases[i].token != NULL)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        if (ok) {
            assert_true(str_eq_c(out.token, cases[i].token));
            assert_int_equal(out.expires_ns, cases[i].expires_s * 1000000000);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),   cmocka_unit_test(test_json_and_other_context),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_places),
        cmocka_unit_test(test_huge),         cmocka_unit_test(test_exec),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_cluster_secret),
        cmocka_unit_test(test_exec_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
