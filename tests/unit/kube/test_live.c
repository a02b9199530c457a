// SPDX-License-Identifier: Apache-2.0
// The HTTP client against a real Kubernetes API: only where SKIFF_TEST_KUBECONFIG names a kubeconfig, else skipped.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "kube/cache.h"
#include "kube/kubeconfig.h"
#include "kube/simple.h"

static const struct kube_gvr namespaces = {.version = STR_INIT("v1"),
                                           .resource = STR_INIT("namespaces")};
static const struct kube_gvr maps = {.version = STR_INIT("v1"), .resource = STR_INIT("configmaps")};
static const struct kube_gvr deployments = {
    .group = STR_INIT("apps"), .version = STR_INIT("v1"), .resource = STR_INIT("deployments")};

struct world {
    struct loop *loop;
    struct http_client *http;
    struct kube_client *client;
    struct arena *arena;
    struct kube_config config;
    struct str ns;
    unsigned changes, kinds;
};

static bool call(struct world *w, struct kube_request request, struct kube_answer *answer,
                 struct err *err) {
    if (request.verb != KUBE_DELETE) {
        request.grace_seconds = -1;
    }
    return kube_call_wait(w->loop, w->client, &request, w->arena, answer, err);
}

static struct kube_answer must(struct world *w, struct kube_request request) {
    struct kube_answer answer;
    struct err err = {0};
    if (!call(w, request, &answer, &err)) {
        fail_msg("%d %s: %.*s", answer.status, err.message, STR_ARG(answer.body));
    }
    return answer;
}

static void must_fail(struct world *w, struct kube_request request, enum err_code code,
                      const char *reason) {
    struct kube_answer answer;
    struct err err = {0};
    assert_false(call(w, request, &answer, &err));
    if (err.code != code || !str_eq_c(answer.reason, reason)) {
        fail_msg("%s, %.*s: %s", err_code_name(err.code), STR_ARG(answer.reason), err.message);
    }
}

static int setup(void **state) {
    const char *path = getenv("SKIFF_TEST_KUBECONFIG");
    if (!path) {
        return 0;
    }
    struct world *w = NEW(struct world);
    struct err err = {0};
    w->arena = arena_create();
    w->loop = loop_create(0);
    w->http = http_client_create(w->loop);
    struct kubeconfig_options options = {.allow_files = true};
    if (!kube_config_load(path, &options, w->arena, &w->config, &err)) {
        fail_msg("%s", err.message);
    }
    struct kube_http_options http = {.config = &w->config, .user_agent = STR("skiff-test")};
    w->client = kube_http_client_create(w->loop, w->http, &http);
    w->ns = arena_printf(w->arena, "skiff-test-%" PRIx64, loop_random(w->loop));
    must(w,
         (struct kube_request){.verb = KUBE_CREATE,
                               .gvr = namespaces,
                               .body = arena_printf(w->arena,
                                                    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
                                                    "\"metadata\":{\"name\":\"%.*s\"}}",
                                                    STR_ARG(w->ns))});
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    if (w) {
        must(w, (struct kube_request){
                    .verb = KUBE_DELETE, .gvr = namespaces, .name = w->ns, .grace_seconds = -1});
        kube_client_destroy(w->client);
        http_client_destroy(w->http);
        loop_destroy(w->loop);
        arena_destroy(w->arena);
        free(w);
    }
    return 0;
}

static struct str map_text(struct world *w, const char *name, const char *value) {
    return arena_printf(
        w->arena,
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\"},"
        "\"data\":{\"k\":\"%s\"}}",
        name, value);
}

static void expect_data(struct world *w, struct kube_answer answer, const char *key,
                        const char *value) {
    struct doc_value root;
    struct err err = {0};
    assert_true(doc_parse_json(answer.body, w->arena, &root, &err));
    struct str got = doc_str(doc_find(doc_get(&root, "data"), str_from(key)));
    assert_string_equal(arena_cstr(w->arena, got), value);
}

static void test_objects(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    struct kube_request get = {.verb = KUBE_GET, .gvr = maps, .ns = w->ns, .name = STR("a")};
    struct kube_request create = {.verb = KUBE_CREATE,
                                  .gvr = maps,
                                  .ns = w->ns,
                                  .body = map_text(w, "a", "1"),
                                  .dry_run = true};
    assert_int_equal(must(w, create).status, 201);
    must_fail(w, get, ERR_NOT_FOUND, "NotFound"); // it was a dry run
    create.dry_run = false;
    must(w, create);
    must_fail(w, create, ERR_EXISTS, "AlreadyExists");
    expect_data(w, must(w, get), "k", "1");

    struct kube_request patch = {.verb = KUBE_PATCH,
                                 .gvr = maps,
                                 .ns = w->ns,
                                 .name = STR("a"),
                                 .body = STR("{\"data\":{\"k\":\"2\"}}"),
                                 .patch = KUBE_PATCH_MERGE};
    patch.dry_run = true;
    expect_data(w, must(w, patch), "k", "2");
    expect_data(w, must(w, get), "k", "1");
    patch.dry_run = false;
    expect_data(w, must(w, patch), "k", "2");
    patch.patch = KUBE_PATCH_STRATEGIC;
    patch.body = STR("{\"data\":{\"k\":\"3\"}}");
    expect_data(w, must(w, patch), "k", "3");
    patch.patch = KUBE_PATCH_JSON;
    patch.body = STR("[{\"op\":\"replace\",\"path\":\"/data/k\",\"value\":\"4\"}]");
    expect_data(w, must(w, patch), "k", "4");
    patch.patch = KUBE_PATCH_APPLY;
    patch.body = map_text(w, "a", "5");
    patch.field_manager = STR("skiff-test");
    must_fail(w, patch, ERR_CONFLICT, "Conflict"); // others own the field
    patch.force = true;
    expect_data(w, must(w, patch), "k", "5");

    struct kube_request update = {
        .verb = KUBE_UPDATE,
        .gvr = maps,
        .ns = w->ns,
        .name = STR("a"),
        .body = STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":"
                    "{\"name\":\"a\",\"resourceVersion\":\"1\"}}")};
    must_fail(w, update, ERR_CONFLICT, "Conflict");
    update.body = map_text(w, "a", "6");
    expect_data(w, must(w, update), "k", "6");
    struct kube_request strict = {
        .verb = KUBE_CREATE,
        .gvr = maps,
        .ns = w->ns,
        .field_validation = STR("Strict"),
        .body = STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":"
                    "{\"name\":\"s\"},\"dta\":{}}")};
    must_fail(w, strict, ERR_INVALID, "BadRequest");
    struct kube_request none = {
        .verb = KUBE_LIST, .grace_seconds = -1, .gvr = {STR("no.such"), STR("v1"), STR("things")}};
    must_fail(w, none, ERR_NOT_FOUND, "");

    struct kube_request del = {.verb = KUBE_DELETE,
                               .gvr = maps,
                               .ns = w->ns,
                               .name = STR("a"),
                               .grace_seconds = -1,
                               .precondition_uid = STR("another")};
    must_fail(w, del, ERR_CONFLICT, "Conflict");
    del.precondition_uid = STR("");
    del.dry_run = true;
    must(w, del);
    must(w, get);
    del.dry_run = false;
    must(w, del);
    must_fail(w, get, ERR_NOT_FOUND, "NotFound");
}

static void test_propagation(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    static const struct {
        enum kube_propagation propagation;
        const char *finalizer;
    } cases[] = {
        {KUBE_FOREGROUND, "foregroundDeletion"}, {KUBE_ORPHAN, "orphan"}, {KUBE_BACKGROUND, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str name = arena_printf(w->arena, "d%zu", i);
        must(w, (struct kube_request){
                    .verb = KUBE_CREATE,
                    .gvr = deployments,
                    .ns = w->ns,
                    .body = arena_printf(
                        w->arena,
                        "{\"apiVersion\":\"apps/"
                        "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"%.*s\"},"
                        "\"spec\":{\"replicas\":0,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"
                        "\"template\":"
                        "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{"
                        "\"name\":\"c\","
                        "\"image\":\"i\"}]}}}}",
                        STR_ARG(name))});
        struct kube_answer answer =
            must(w, (struct kube_request){.verb = KUBE_DELETE,
                                          .gvr = deployments,
                                          .ns = w->ns,
                                          .name = name,
                                          .propagation = cases[i].propagation,
                                          .grace_seconds = -1});
        struct str want = str_from(cases[i].finalizer);
        assert_true(want.n ? str_has(answer.body, want) : str_has(answer.body, STR("\"Success\"")));
    }
}

static void test_pages(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    for (int i = 0; i < 25; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        must(w, (struct kube_request){
                    .verb = KUBE_CREATE, .gvr = maps, .ns = w->ns, .body = map_text(w, name, "1")});
    }
    struct kube_request list = {.verb = KUBE_LIST,
                                .gvr = maps,
                                .ns = w->ns,
                                .limit = 7,
                                .field_selector = STR("metadata.name!=kube-root-ca.crt"),
                                .grace_seconds = -1};
    struct doc_value *items;
    size_t count;
    struct err err = {0};
    if (!kube_list_wait(w->loop, w->client, &list, w->arena, &items, &count, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(count, 25);
    assert_true(str_eq(doc_get_str(&items[0], "kind"), STR("ConfigMap")));
    assert_true(str_eq(doc_get_str(&items[0], "apiVersion"), STR("v1")));
}

static void test_discovery(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    struct kube_mapper *mapper = kube_mapper_create(w->client);
    struct err err = {0};
    if (!kube_mapper_refresh_wait(w->loop, mapper, &err)) {
        fail_msg("%s", err.message);
    }
    const struct kube_resource *r = kube_mapper_find_word(mapper, STR("deploy"));
    assert_true(r && r->namespaced && r->can_watch && str_eq(r->gvr.group, STR("apps")));
    r = kube_mapper_find_kind(
        mapper, (struct kube_gvk){STR("rbac.authorization.k8s.io"), STR(""), STR("ClusterRole")});
    assert_true(r && !r->namespaced);
    kube_mapper_destroy(mapper);
}

// ---- Many watches ----

static void count_change(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                         const struct kube_object *after, bool initial) {
    struct world *w = ctx;
    w->changes += !initial;
}

static void count_kind(void *ctx, const struct kube_gvr *gvr, const struct err *error) {
    struct world *w = ctx;
    if (error) {
        print_message("%.*s: %s\n", STR_ARG(gvr->resource), error->message);
    }
    w->kinds++;
}

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static void run_for(struct world *w, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(w->loop, stop_loop, w->loop);
    loop_timer_start(timer, ns);
    loop_run(w->loop);
    loop_timer_destroy(timer);
}

static unsigned open_sockets(void) {
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st;
        char path[300];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        n += stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
    }
    closedir(dir);
    return n;
}

enum { SELECTORS = 400 };

static void test_many_watches(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    struct kube_cache_options options = {
        .on_change = count_change, .on_kind = count_kind, .ctx = w};
    struct kube_cache *cache = kube_cache_create(w->loop, w->client, &options);
    unsigned before = open_sockets();
    // As many watches of one kind as a fleet of kinds would make.
    for (int i = 0; i < SELECTORS; i++) {
        char selector[32];
        snprintf(selector, sizeof selector, "x!=%d", i);
        kube_cache_want(cache, &maps, w->ns, str_from(selector));
    }
    for (int i = 0; i < 300 && w->kinds < SELECTORS; i++) {
        run_for(w, 100 * NS_PER_MS);
    }
    assert_int_equal(w->kinds, SELECTORS);
    assert_true(kube_cache_is_synced(cache, &maps));
    run_for(w, NS_PER_SECOND); // the watches open
    must(w, (struct kube_request){
                .verb = KUBE_CREATE, .gvr = maps, .ns = w->ns, .body = map_text(w, "w", "1")});
    for (int i = 0; i < 200 && w->changes < SELECTORS; i++) {
        run_for(w, 100 * NS_PER_MS);
    }
    assert_int_equal(w->changes, SELECTORS);
    unsigned sockets = open_sockets() - before;
    print_message("%d watches and short calls over %u connections\n", SELECTORS, sockets);
    assert_true(sockets < 32); // multiplexed
    AUTO(blob_unref) struct blob *text = kube_cache_text(cache, &maps, w->ns, STR("w"));
    assert_non_null(text);
    assert_false(str_has(blob_str(text), STR("managedFields")));
    assert_true(str_has(blob_str(text), STR("\"kind\":\"ConfigMap\"")));
    kube_cache_destroy(cache);
    run_for(w, 100 * NS_PER_MS);
}

static void test_rate_limit(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    struct kube_http_options http = {.config = &w->config, .qps = 50, .burst = 5};
    struct kube_client *limited = kube_http_client_create(w->loop, w->http, &http);
    int64_t start = loop_now(w->loop);
    for (int i = 0; i < 15; i++) {
        struct kube_answer answer;
        struct err err = {0};
        assert_true(
            kube_get_raw_wait(w->loop, limited, STR("/version"), STR(""), w->arena, &answer, &err));
    }
    assert_true(loop_now(w->loop) - start >= 190 * NS_PER_MS); // 10 over the burst at 50 a second
    kube_client_destroy(limited);
}

static void test_refused_token(void **state) {
    struct world *w = *state;
    if (!w) {
        skip();
    }
    struct kube_config config = w->config;
    config.token = STR("wrong");
    struct kube_http_options http = {.config = &config};
    struct kube_client *stranger = kube_http_client_create(w->loop, w->http, &http);
    struct kube_request list = {.verb = KUBE_LIST, .gvr = maps, .grace_seconds = -1};
    struct kube_answer answer;
    struct err err = {0};
    assert_false(kube_call_wait(w->loop, stranger, &list, w->arena, &answer, &err));
    assert_int_equal(err.code, ERR_UNAUTHORIZED);
    // A token file with the right one, written after the first refusal.
    char path[] = "/tmp/skiff-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "wrong\n", 6), 6);
    config.token_file = str_from(path);
    kube_client_destroy(stranger);
    stranger = kube_http_client_create(w->loop, w->http, &http);
    assert_false(kube_call_wait(w->loop, stranger, &list, w->arena, &answer, &err));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(write(fd, w->config.token.p, w->config.token.n), (ssize_t)w->config.token.n);
    assert_true(kube_call_wait(w->loop, stranger, &list, w->arena, &answer, &err));
    kube_client_destroy(stranger);
    // A program that prints it.
    struct str argv[] = {
        STR("sh"), STR("-c"),
        arena_printf(
            w->arena,
            "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
            "\"status\":{\"token\":\"'$(cat %s)'\"}}'",
            path)};
    config.token_file = config.token = STR("");
    config.exec_argv = argv;
    config.exec_argc = 3;
    stranger = kube_http_client_create(w->loop, w->http, &http);
    assert_true(kube_call_wait(w->loop, stranger, &list, w->arena, &answer, &err));
    kube_client_destroy(stranger);
    argv[2] = STR("echo no luck >&2; exit 3");
    stranger = kube_http_client_create(w->loop, w->http, &http);
    assert_false(kube_call_wait(w->loop, stranger, &list, w->arena, &answer, &err));
    assert_non_null(strstr(err.message, "status 3: no luck"));
    kube_client_destroy(stranger);
    close(fd);
    unlink(path);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_objects),      T(test_propagation), T(test_pages),         T(test_discovery),
        T(test_many_watches), T(test_rate_limit),  T(test_refused_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
