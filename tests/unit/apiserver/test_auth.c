// SPDX-License-Identifier: Apache-2.0
// Tokens of service accounts from their making to their end, the audit log, and compression.
#include "core_rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/audit.h"
#include "apiserver/auth_account.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "http/gzip.h"

static struct rig *account_rig(void) {
    struct rig *rig = rig_create();
    struct err err = {0};
    struct str pem;
    apiserver_destroy(rig->server);
    rig_settle(rig);
    assert_true(sign_key_generate(rig->arena, &pem, &err));
    struct apiserver_options options = {.loop = rig->loop,
                                        .store = rig->store,
                                        .no_workloads = true,
                                        .root_ca = STR("authority"),
                                        .account_key = pem};
    rig->server = apiserver_create(&options, &err);
    assert_non_null(rig->server);
    rig_settle(rig);
    assert_int_equal(
        rig_create_object(rig, "serviceaccounts", "default", "{\"metadata\":{\"name\":\"a\"}}"),
        201);
    return rig;
}

static int request_token(struct rig *rig, const char *body, struct str *token) {
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = rig_gvr("serviceaccounts"),
                                   .ns = STR("default"),
                                   .name = STR("a"),
                                   .subresource = STR("token"),
                                   .body = str_from(body)};
    int status = rig_call(rig, &request);
    if (status == 201) {
        struct doc_value value = rig_value(rig);
        *token = doc_get_str(&value, "status", "token");
        assert_true(token->n > 100);
    }
    return status;
}

static const char *problem(struct rig *rig, struct str token) {
    struct api_account_check check = {0};
    if (api_account_check(rig->server->accounts, token, rig->arena, &check)) {
        assert_true(str_eq(check.user.name, STR("system:serviceaccount:default:a")));
        assert_int_equal(check.user.group_count, 3);
        assert_true(check.user.uid.n > 0);
        return "";
    }
    return check.problem.n ? arena_cstr(rig->arena, check.problem) : "unknown";
}

static void remove_object(struct rig *rig, const char *gvr, const char *ns, const char *name) {
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = rig_gvr(gvr),
                                   .ns = str_from(ns),
                                   .name = str_from(name),
                                   .grace_seconds = 0};
    assert_int_equal(rig_call(rig, &request), 200);
}

static void test_token_life(void **state) {
    (void)state;
    struct rig *rig = account_rig();
    struct str token, bound, other;
    assert_int_equal(request_token(rig, "{\"spec\":{\"expirationSeconds\":600}}", &token), 201);
    assert_string_equal(problem(rig, token), "");
    assert_string_equal(problem(rig, str_first(token, token.n - 2)),
                        "go-jose/go-jose: error in cryptographic primitive");
    assert_string_equal(problem(rig, STR("x")), "unknown");
    assert_int_equal(request_token(rig, "{\"spec\":{\"audiences\":[\"b\"]}}", &other), 201);
    assert_string_equal(problem(rig, other),
                        "token audiences [\"b\"] is invalid for the target audiences "
                        "[\"https://kubernetes.default.svc\"]");
    assert_int_equal(
        rig_create_object(rig, "secrets", "default", "{\"metadata\":{\"name\":\"s\"}}"), 201);
    assert_int_equal(request_token(rig,
                                   "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Secret\","
                                   "\"apiVersion\":\"v1\",\"name\":\"s\"}}}",
                                   &bound),
                     201);
    assert_string_equal(problem(rig, bound), "");
    remove_object(rig, "secrets", "default", "s");
    assert_string_equal(problem(rig, bound), "service account token has been invalidated");
    assert_string_equal(problem(rig, token), "");
    sim_loop_run(rig->loop, loop_now(rig->loop) + 700 * NS_PER_SECOND);
    assert_string_equal(problem(rig, token), "service account token has expired");
    // An account of the same name is another one.
    assert_int_equal(request_token(rig, "{\"spec\":{}}", &token), 201);
    remove_object(rig, "serviceaccounts", "default", "a");
    assert_string_equal(problem(rig, token), "serviceaccounts \"a\" not found");
    assert_int_equal(
        rig_create_object(rig, "serviceaccounts", "default", "{\"metadata\":{\"name\":\"a\"}}"),
        201);
    assert_true(strstr(problem(rig, token), "does not match claim") != NULL);
    rig_destroy(rig);
}

static void test_token_requests(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{}", 201},
        {"{\"spec\":{\"expirationSeconds\":599}}", 422},
        {"{\"spec\":{\"expirationSeconds\":4294967296}}", 201},
        {"{\"spec\":{\"expirationSeconds\":4294967297}}", 422},
        {"{\"metadata\":{\"name\":\"b\"}}", 422},
        {"{\"metadata\":{\"namespace\":\"b\"}}", 400},
        {"{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}", 400},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"x\"}}}",
         404},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Lease\",\"apiVersion\":\"v1\"}}}", 400},
        {"[", 400},
    };
    struct rig *rig = account_rig();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str token;
        int status = request_token(rig, rows[i].body, &token);
        if (status != rows[i].status) {
            fail_msg("%s: %d", rows[i].body, status);
        }
    }
    rig_destroy(rig);
}

static void test_token_secrets(void **state) {
    (void)state;
    struct rig *rig = account_rig();
    static const char body[] =
        "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"kubernetes.io/service-account.name\":"
        "\"a\"}},\"type\":\"kubernetes.io/service-account-token\"}";
    assert_int_equal(rig_create_object(rig, "secrets", "default", body), 201);
    rig_settle(rig);
    struct kube_request get = {
        .verb = KUBE_GET, .gvr = rig_gvr("secrets"), .ns = STR("default"), .name = STR("s")};
    assert_int_equal(rig_call(rig, &get), 200);
    struct doc_value value = rig_value(rig);
    struct str token, ca;
    assert_true(base64_decode(doc_get_str(&value, "data", "token"), rig->arena, &token));
    assert_true(base64_decode(doc_get_str(&value, "data", "ca.crt"), rig->arena, &ca));
    assert_true(str_eq(ca, STR("authority")));
    assert_string_equal(problem(rig, token), "");
    sim_loop_run(rig->loop, loop_now(rig->loop) + 100000 * NS_PER_SECOND); // it has no end
    assert_string_equal(problem(rig, token), "");
    remove_object(rig, "serviceaccounts", "default", "a"); // takes its Secrets along
    rig_settle(rig);
    assert_int_equal(rig_call(rig, &get), 404);
    assert_string_equal(problem(rig, token), "service account token has been invalidated");
    rig_destroy(rig);
}

// ---- Audit ----
static size_t lines_of(const char *path, const char *mark) {
    FILE *file = fopen(path, "r");
    char line[8192];
    size_t n = 0;
    while (file && fgets(line, sizeof line, file)) {
        assert_true(line[0] == '{' && line[strlen(line) - 2] == '}');
        n += strstr(line, mark) != NULL;
    }
    if (file) {
        fclose(file);
    }
    return n;
}

static void add_events(struct audit_log *log, size_t count) {
    struct api_user user = {.name = STR("jane \"\n")};
    struct audit_info info = {.id = STR("1"),
                              .uri = STR("/api/v1/pods?x=\"y\""),
                              .verb = STR("list"),
                              .remote = STR("[::1]:1234"),
                              .user = &user,
                              .is_resource = true,
                              .resource = STR("pods"),
                              .allowed = true};
    struct audit_outcome outcome = {.stage = "ResponseComplete", .code = 200};
    for (size_t i = 0; i < count; i++) {
        audit_log_add(log, &info, &outcome);
    }
}

static void test_audit(void **state) {
    (void)state;
    CHECK(log_configure(STR("off"), false, NULL));
    char folder[] = "/tmp/skiff-audit-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64], old[80];
    snprintf(path, sizeof path, "%s/log", folder);
    struct loop *loop = sim_loop_create(1);
    struct err err = {0};
    assert_null(audit_log_create(loop, "/no/such/folder/log", 1000, 2, &err));
    struct audit_log *log = audit_log_create(loop, path, 20 * 1000, 2, &err);
    assert_non_null(log);
    add_events(log, 10);
    sim_loop_run(loop, loop_now(loop) + NS_PER_SECOND);
    assert_int_equal(lines_of(path, "\"sourceIPs\":[\"::1\"]"), 10);
    for (int i = 0; i < 30; i++) { // full several times over: three files stay
        add_events(log, 10);
        sim_loop_run(loop, loop_now(loop) + NS_PER_SECOND);
    }
    size_t kept = 0;
    for (int i = 0; i <= 3; i++) {
        struct stat info;
        snprintf(old, sizeof old, i ? "%s.%d" : "%s", path, i);
        bool there = stat(old, &info) == 0;
        assert_true(there == (i <= 2));
        assert_true(!there || info.st_size <= 20 * 1000);
        kept += there ? lines_of(old, "ResponseComplete") : 0;
        unlink(old);
    }
    assert_true(kept > 60);
    assert_int_equal(audit_log_lost(log), 0);
    // Faster than the disk by more than the queue holds: what is lost is counted and told.
    add_events(log, 60 * 1000);
    assert_true(audit_log_lost(log) > 0);
    sim_loop_run(loop, loop_now(loop) + NS_PER_SECOND);
    add_events(log, 1);
    sim_loop_run(loop, loop_now(loop) + NS_PER_SECOND);
    assert_int_equal(lines_of(path, "skiff.dev/lost-events"), 1);
    audit_log_destroy(log);
    unlink(path);
    for (int i = 1; i <= 2; i++) {
        snprintf(old, sizeof old, "%s.%d", path, i);
        unlink(old);
    }
    rmdir(folder);
    sim_loop_destroy(loop);
}

static void test_gzip(void **state) {
    (void)state;
    static const struct {
        const char *header;
        bool accepted;
    } rows[] = {{"gzip", true},      {"", false},          {"br, gzip;q=0.5", true},
                {"gzip;q=0", false}, {"gzip; q=0", false}, {"identity", false},
                {"GZIP", true},      {"xgzip", false},     {"deflate,gzip", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (gzip_is_accepted(str_from(rows[i].header)) != rows[i].accepted) {
            fail_msg("%s", rows[i].header);
        }
    }
    struct blob *parts[3] = {blob_create(STR("abc")), blob_create(STR("")), blob_alloc(300000)};
    memset(parts[2]->data, 'x', parts[2]->len);
    struct blob *packed = gzip_pack(parts, 3);
    assert_true(packed->len > 18 && packed->len < 5000);
    assert_memory_equal(packed->data, "\x1f\x8b", 2);
    // The last four bytes are the length of what was packed.
    const unsigned char *end = (const unsigned char *)packed->data + packed->len - 4;
    assert_int_equal(end[0] | end[1] << 8 | end[2] << 16 | end[3] << 24, 300003);
    blob_unref(packed);
    for (size_t i = 0; i < 3; i++) {
        blob_unref(parts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_life),    cmocka_unit_test(test_token_requests),
        cmocka_unit_test(test_token_secrets), cmocka_unit_test(test_audit),
        cmocka_unit_test(test_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
