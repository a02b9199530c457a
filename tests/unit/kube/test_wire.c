// SPDX-License-Identifier: Apache-2.0
// What goes over the wire and what comes back: requests, Status objects, watch streams, spans of JSON.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "kube/internal.h"

#define CORE(r) \
    { .version = STR_INIT("v1"), .resource = STR_INIT(r) }
#define APPS(r) \
    { .group = STR_INIT("apps"), .version = STR_INIT("v1"), .resource = STR_INIT(r) }

static void test_requests(void **state) {
    static const struct {
        struct kube_request request;
        const char *method, *path, *type, *body;
    } cases[] = {
        {{.verb = KUBE_GET, .gvr = CORE("pods"), .ns = STR_INIT("a"), .name = STR_INIT("b")},
         "GET",
         "/api/v1/namespaces/a/pods/b",
         NULL,
         ""},
        {{.verb = KUBE_GET,
          .gvr = APPS("deployments"),
          .ns = STR_INIT("a"),
          .name = STR_INIT("b"),
          .subresource = STR_INIT("scale")},
         "GET",
         "/apis/apps/v1/namespaces/a/deployments/b/scale",
         NULL,
         ""},
        {{.verb = KUBE_GET, .gvr = CORE("clusterroles"), .name = STR_INIT("system:x y<z>")},
         "GET",
         "/api/v1/clusterroles/system%3Ax%20y%3Cz%3E",
         NULL,
         ""},
        {{.verb = KUBE_LIST,
          .gvr = CORE("pods"),
          .limit = 500,
          .label_selector = STR_INIT("a=b,c in (d)"),
          .continue_token = STR_INIT("t+/="),
          .resource_version = STR_INIT("5")},
         "GET",
         "/api/v1/pods?labelSelector=a%3Db%2Cc%20in%20%28d%29&limit=500&continue=t%2B%2F%3D",
         NULL,
         ""},
        {{.verb = KUBE_LIST,
          .gvr = CORE("pods"),
          .resource_version = STR_INIT("0"),
          .resource_version_match = STR_INIT("NotOlderThan"),
          .field_selector = STR_INIT("spec.nodeName=n")},
         "GET",
         "/api/v1/pods?fieldSelector=spec.nodeName%3Dn&resourceVersion=0&resourceVersionMatch="
         "NotOlderThan",
         NULL,
         ""},
        {{.verb = KUBE_CREATE,
          .gvr = CORE("pods"),
          .ns = STR_INIT("a"),
          .body = STR_INIT("{}"),
          .dry_run = true,
          .field_manager = STR_INIT("m"),
          .field_validation = STR_INIT("Strict")},
         "POST",
         "/api/v1/namespaces/a/pods?dryRun=All&fieldManager=m&fieldValidation=Strict",
         "application/json",
         "{}"},
        {{.verb = KUBE_CREATE,
          .gvr = CORE("pods"),
          .ns = STR_INIT("a"),
          .name = STR_INIT("p"),
          .subresource = STR_INIT("eviction"),
          .body = STR_INIT("{}")},
         "POST",
         "/api/v1/namespaces/a/pods/p/eviction",
         "application/json",
         "{}"},
        {{.verb = KUBE_UPDATE,
          .gvr = CORE("pods"),
          .ns = STR_INIT("a"),
          .name = STR_INIT("p"),
          .subresource = STR_INIT("status"),
          .body = STR_INIT("{}")},
         "PUT",
         "/api/v1/namespaces/a/pods/p/status",
         "application/json",
         "{}"},
        {{.verb = KUBE_PATCH,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .body = STR_INIT("{}"),
          .patch = KUBE_PATCH_MERGE,
          .force = true},
         "PATCH",
         "/api/v1/pods/p",
         "application/merge-patch+json",
         "{}"},
        {{.verb = KUBE_PATCH,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .body = STR_INIT("{}"),
          .patch = KUBE_PATCH_STRATEGIC},
         "PATCH",
         "/api/v1/pods/p",
         "application/strategic-merge-patch+json",
         "{}"},
        {{.verb = KUBE_PATCH,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .body = STR_INIT("[]"),
          .patch = KUBE_PATCH_JSON},
         "PATCH",
         "/api/v1/pods/p",
         "application/json-patch+json",
         "[]"},
        {{.verb = KUBE_PATCH,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .body = STR_INIT("{}"),
          .patch = KUBE_PATCH_APPLY,
          .force = true,
          .field_manager = STR_INIT("argocd-controller")},
         "PATCH",
         "/api/v1/pods/p?fieldManager=argocd-controller&force=true",
         "application/apply-patch+yaml",
         "{}"},
        {{.verb = KUBE_DELETE, .gvr = CORE("pods"), .name = STR_INIT("p"), .grace_seconds = -1},
         "DELETE",
         "/api/v1/pods/p",
         "application/json",
         "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"}"},
        {{.verb = KUBE_DELETE,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .grace_seconds = 0,
          .dry_run = true,
          .propagation = KUBE_FOREGROUND,
          .precondition_uid = STR_INIT("u"),
          .precondition_version = STR_INIT("7")},
         "DELETE",
         "/api/v1/pods/p",
         "application/json",
         "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Foreground\","
         "\"gracePeriodSeconds\":0,\"dryRun\":[\"All\"],\"preconditions\":{\"uid\":\"u\","
         "\"resourceVersion\":\"7\"}}"},
        {{.verb = KUBE_DELETE,
          .gvr = CORE("pods"),
          .name = STR_INIT("p"),
          .grace_seconds = -1,
          .dry_run = true,
          .body = STR_INIT("{\"propagationPolicy\":\"Orphan\"}")},
         "DELETE",
         "/api/v1/pods/p",
         "application/json",
         "{\"propagationPolicy\":\"Orphan\",\"dryRun\":[\"All\"]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct kube_wire wire;
        struct err err = {0};
        if (!kube_wire_request(&cases[i].request, arena, &wire, &err)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        assert_string_equal(wire.method, cases[i].method);
        assert_string_equal(arena_cstr(arena, wire.path), cases[i].path);
        assert_string_equal(arena_cstr(arena, wire.body), cases[i].body);
        assert_true(!wire.content_type == !cases[i].type);
        if (wire.content_type) {
            assert_string_equal(wire.content_type, cases[i].type);
        }
    }
}

static void test_refused_requests(void **state) {
    static const struct kube_request cases[] = {
        {.verb = KUBE_DELETE, .gvr = CORE("pods"), .ns = STR_INIT("a")}, // the whole collection
        {.verb = KUBE_GET, .gvr = CORE("pods")},
        {.verb = KUBE_PATCH, .gvr = CORE("pods"), .body = STR_INIT("{}")},
        {.verb = KUBE_UPDATE, .gvr = CORE("pods"), .name = STR_INIT("p")},
        {.verb = KUBE_CREATE, .gvr = CORE("pods")},
        {.verb = KUBE_CREATE, .gvr = CORE("pods"), .name = STR_INIT("p"), .body = STR_INIT("{}")},
        {.verb = KUBE_LIST, .gvr = CORE("pods"), .name = STR_INIT("p")},
        {.verb = KUBE_GET, .gvr = CORE("pods"), .name = STR_INIT("../secrets/x")},
        {.verb = KUBE_GET, .gvr = CORE("pods"), .name = STR_INIT("..")},
        {.verb = KUBE_GET, .gvr = CORE("pods"), .ns = STR_INIT("a/b"), .name = STR_INIT("p")},
        {.verb = KUBE_GET, .gvr = CORE("pods"), .name = STR_INIT("a%2fb")},
        {.verb = KUBE_GET, .gvr = {.version = STR_INIT("v1")}, .name = STR_INIT("p")},
        {.verb = KUBE_GET, .gvr = {.resource = STR_INIT("pods")}, .name = STR_INIT("p")},
        {.verb = KUBE_LIST, .gvr = CORE("pods"), .subresource = STR_INIT("status")},
        {.verb = KUBE_PATCH,
         .gvr = CORE("pods"),
         .name = STR_INIT("p"),
         .body = STR_INIT("{}"),
         .patch = KUBE_PATCH_APPLY}, // no manager
        {.verb = KUBE_DELETE, .gvr = CORE("pods"), .name = STR_INIT("p"), .body = STR_INIT("[")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct kube_wire wire;
        struct err err = {0};
        if (kube_wire_request(&cases[i], arena, &wire, &err)) {
            fail_msg("case %zu became %s %.*s", i, wire.method, STR_ARG(wire.path));
        }
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_watch_path(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_watch_request request = {
        .gvr = APPS("deployments"), .ns = STR("a"), .resource_version = STR("9")};
    struct str path;
    struct err err = {0};
    assert_true(kube_wire_watch(&request, 300, arena, &path, &err));
    assert_string_equal(
        arena_cstr(arena, path),
        "/apis/apps/v1/namespaces/a/deployments?watch=true&allowWatchBookmarks=true&"
        "resourceVersion=9&timeoutSeconds=300");
}

static void test_retry_after(void **state) {
    assert_true(kube_retry_after(STR("2")) == INT64_C(2000000000));
    assert_true(kube_retry_after(STR(" 0 ")) == 0);
    assert_true(kube_retry_after(STR("-5")) == 0);
    assert_true(kube_retry_after(STR("Wed, 21 Oct 2015 07:28:00 GMT")) == 0);
    assert_true(kube_retry_after(STR("99999999999999")) == INT64_C(3600) * 1000000000);
    assert_true(kube_retry_after((struct str){0}) == 0);
}

static void test_status(void **state) {
#define STATUS(reason, message)                                                                   \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"" reason "\",\"message\":\"" message \
    "\"}"
    static const struct {
        int http;
        const char *body;
        enum err_code code;
        const char *message, *reason;
    } cases[] = {
        {404, STATUS("NotFound", "pods \\\"a\\\" not found"), ERR_NOT_FOUND, "pods \"a\" not found",
         "NotFound"},
        {409, STATUS("AlreadyExists", "x"), ERR_EXISTS, "x", "AlreadyExists"},
        {409, STATUS("Conflict", "x"), ERR_CONFLICT, "x", "Conflict"},
        {422, STATUS("Invalid", "x"), ERR_INVALID, "x", "Invalid"},
        {403, STATUS("Forbidden", "x"), ERR_FORBIDDEN, "x", "Forbidden"},
        {401, STATUS("Unauthorized", "x"), ERR_UNAUTHORIZED, "x", "Unauthorized"},
        {410, STATUS("Expired", "x"), ERR_GONE, "x", "Expired"},
        {410, STATUS("Gone", "x"), ERR_GONE, "x", "Gone"},
        {429, STATUS("TooManyRequests", "x"), ERR_UNAVAILABLE, "x", "TooManyRequests"},
        {500, STATUS("InternalError", "x"), ERR_UNAVAILABLE, "x", "InternalError"},
        {504, STATUS("Timeout", "x"), ERR_TIMEOUT, "x", "Timeout"},
        {413, STATUS("RequestEntityTooLarge", "x"), ERR_LIMIT, "x", "RequestEntityTooLarge"},
        {405, STATUS("MethodNotAllowed", "x"), ERR_UNSUPPORTED, "x", "MethodNotAllowed"},
        {418, STATUS("NeverHeard", "x"), ERR_INVALID, "x", "NeverHeard"},
        {409, STATUS("", ""), ERR_CONFLICT, "the server answered 409 without a message", ""},
        {503, STATUS("ServiceUnavailable", ""), ERR_UNAVAILABLE,
         "the server answered 503: ServiceUnavailable", "ServiceUnavailable"},
        {200, "{\"kind\":\"Status\",\"code\":410,\"message\":\"old\"}", ERR_GONE, "old", ""},
        {404, "404 page not found\n", ERR_NOT_FOUND, "the server answered 404: 404 page not found",
         ""},
        {502, "<html>\n<b>\x01\xff", ERR_UNAVAILABLE, "the server answered 502: <html> <b>  ", ""},
        {500, "", ERR_UNAVAILABLE, "the server answered 500 without a message", ""},
        {403, "{\"kind\":\"Pod\"}", ERR_FORBIDDEN, "the server answered 403: {\"kind\":\"Pod\"}",
         ""},
        {400, "{\"kind\":\"Status\",\"message\":5,\"reason\":[]}", ERR_INVALID,
         "the server answered 400 without a message", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        char reason[64];
        kube_status_error(cases[i].http, str_from(cases[i].body), &err, reason);
        if (err.code != cases[i].code || strcmp(err.message, cases[i].message) != 0 ||
            strcmp(reason, cases[i].reason) != 0) {
            fail_msg("case %zu: %s / %s / %s", i, err_code_name(err.code), err.message, reason);
        }
    }
    kube_status_error(500, STR("x"), NULL, NULL); // nobody asks
}

// ---- Streams ----

struct lines {
    char text[4096];
    size_t n, count, stop_at;
};

static bool on_line(void *ctx, struct str line) {
    struct lines *lines = ctx;
    assert_true(lines->n + line.n + 1 < sizeof lines->text);
    memcpy(lines->text + lines->n, line.p, line.n);
    lines->n += line.n;
    lines->text[lines->n++] = '|';
    lines->text[lines->n] = '\0';
    return ++lines->count != lines->stop_at;
}

static void test_lines_cut_anywhere(void **state) {
    static const char stream[] = "{\"a\":1}\n{\"bb\":22}\r\n\n\n{}\n{\"last\":3}";
    for (size_t step = 1; step < sizeof stream; step++) {
        struct kube_line_splitter splitter;
        struct lines lines = {0};
        struct err err = {0};
        kube_lines_init(&splitter, 100);
        struct str rest = str_from(stream);
        while (rest.n) {
            // A copy of its own size, so that a sanitizer sees a read beyond the chunk.
            char *chunk = xstrdup(str_first(rest, step));
            assert_true(kube_lines_feed(&splitter, str_first(str_from(chunk), step), on_line,
                                        &lines, &err));
            free(chunk);
            rest = str_skip(rest, step);
        }
        assert_string_equal(lines.text, "{\"a\":1}|{\"bb\":22}|{}|");
        kube_lines_fini(&splitter);
    }
}

static void test_lines_limits(void **state) {
    static const struct {
        const char *chunks[3];
        bool ok;
    } cases[] = {
        {{"0123456789\n"}, true},         {{"0123456789A\n"}, false},
        {{"0123456789A"}, false},         {{"01234", "56789", "\n"}, true},
        {{"01234", "56789", "A"}, false}, {{"01234", "56789A\n"}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_line_splitter splitter;
        struct lines lines = {0};
        struct err err = {0};
        kube_lines_init(&splitter, 10);
        bool ok = true;
        for (size_t j = 0; ok && j < 3 && cases[i].chunks[j]; j++) {
            ok = kube_lines_feed(&splitter, str_from(cases[i].chunks[j]), on_line, &lines, &err);
        }
        assert_int_equal(ok, cases[i].ok);
        assert_int_equal(err.code, ok ? ERR_NONE : ERR_LIMIT);
        kube_lines_fini(&splitter);
    }
    struct kube_line_splitter splitter;
    struct lines lines = {.stop_at = 2};
    struct err err = {0};
    kube_lines_init(&splitter, 10);
    assert_false(kube_lines_feed(&splitter, STR("a\nb\nc\n"), on_line, &lines, &err));
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(lines.text, "a|b|");
    kube_lines_fini(&splitter);
}

static void test_events(void **state) {
    static const struct {
        const char *line;
        int type; // -1: refused
        const char *object;
    } cases[] = {
        {"{\"type\":\"ADDED\",\"object\":{\"a\":[1,{}]}}", KUBE_ADDED, "{\"a\":[1,{}]}"},
        {"{ \"object\" : {\"s\":\"}\\\"{\"} , \"type\" : \"DELETED\" }", KUBE_DELETED,
         "{\"s\":\"}\\\"{\"}"},
        {"{\"type\":\"BOOKMARK\",\"object\":{}}", KUBE_BOOKMARK, "{}"},
        {"{\"type\":\"ERROR\",\"object\":{}}", KUBE_ERROR, "{}"},
        {"{\"type\":\"MODIFIED\",\"object\":{},\"more\":[[]]}", KUBE_MODIFIED, "{}"},
        {"{\"type\":\"OTHER\",\"object\":{}}", -1, NULL},
        {"{\"type\":\"ADDED\"}", -1, NULL},
        {"{\"type\":\"ADDED\",\"object\":5}", -1, NULL},
        {"{\"type\":\"ADDED\",\"object\":{]}", -1, NULL},
        {"{\"type\":\"ADDED\",\"object\":{}", -1, NULL},
        {"{\"type\":\"ADDED\",\"object\":{}}}", -1, NULL},
        {"{\"type\":\"ADDED,\"object\":{}}", -1, NULL},
        {"{\"type\":5,\"object\":{}}", -1, NULL},
        {"", -1, NULL},
        {"null", -1, NULL},
        {"{\"object\":{\"a\":\"\\", -1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum kube_event type;
        struct str object;
        struct err err = {0};
        bool ok = kube_scan_event(str_from(cases[i].line), &type, &object, &err);
        if (ok != (cases[i].type >= 0)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        if (ok) {
            assert_int_equal(type, cases[i].type);
            assert_true(str_eq_c(object, cases[i].object));
        }
    }
}

// ---- Objects ----

static void test_trimming(void **state) {
    static const struct {
        const char *in, *out; // out NULL: unchanged
    } cases[] = {
        {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\"}}", NULL},
        {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\",\"managedFields\":[{}]}}",
         "{\"kind\":\"A\",\"metadata\":{\"name\":\"x\"}}"},
        {"{\"kind\":\"A\",\"metadata\":{\"managedFields\":[{}] , \"name\":\"x\"}}",
         "{\"kind\":\"A\",\"metadata\":{ \"name\":\"x\"}}"},
        {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\",\"managedFields\":[{\"a\":\"]\"}],\"uid\":"
         "\"u\"},\"b\":1}",
         "{\"kind\":\"A\",\"metadata\":{\"name\":\"x\",\"uid\":\"u\"},\"b\":1}"},
        {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\"},\"managedFields\":[]}", NULL},
        {"{\"metadata\":{\"name\":\"x\"}}",
         "{\"kind\":\"K\",\"apiVersion\":\"g/v1\",\"metadata\":{\"name\":\"x\"}}"},
        {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\"},\"z\":{}}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        AUTO_BUF struct buf out;
        buf_init(&out, 4096);
        struct kube_scan scan;
        struct err err = {0};
        assert_true(kube_scan_object(str_from(cases[i].in), arena, &scan, &err));
        struct str version = scan.kind.n ? (struct str){0} : STR("g/v1");
        struct str text = kube_scan_trimmed(&scan, STR("K"), version, &out);
        assert_string_equal(arena_cstr(arena, text), cases[i].out ? cases[i].out : cases[i].in);
        struct doc_value root;
        assert_true(doc_parse_json(text, arena, &root, &err));
    }
}

static void test_scanning(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_scan scan;
    struct err err = {0};
    assert_true(kube_scan_object(
        STR(" {\"apiVersion\":\"rbac/"
            "v1\",\"metadata\":{\"labels\":{\"name\":\"no\"},\"name\":\"a\\u003cb\","
            "\"namespace\":null,\"uid\":\"1\",\"resourceVersion\":\"7\"},\"name\":\"no\",\"kind\":"
            "\"Role\"} "),
        arena, &scan, &err));
    assert_true(str_eq(scan.name, STR("a<b")));
    assert_int_equal(scan.ns.n, 0);
    assert_true(str_eq(scan.kind, STR("Role")));
    assert_true(str_eq(scan.resource_version, STR("7")));
    assert_int_equal(scan.text.p[scan.text.n - 1], '}');
    // Depth is bounded and costs no stack.
    size_t n = 100000;
    char *deep = arena_alloc(arena, n + 8);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', n);
    assert_false(kube_scan_object(str_make(deep, n + 5), arena, &scan, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void test_lists(void **state) {
    static const struct {
        const char *text;
        int items; // -1: refused
    } cases[] = {
        {"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"\"},"
         "\"items\":[]}",
         0},
        {"{\"items\":null}", 0},
        {"{\"items\":[ {} , {\"a\":[{}]} ],\"metadata\":{}}", 2},
        {"{\"items\":[{},]}", -1},
        {"{\"items\":[5]}", -1},
        {"{\"items\":[{}", -1},
        {"{\"metadata\":{}}", -1},
        {"[]", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct kube_list_head head;
        struct err err = {0};
        bool ok = kube_scan_list(str_from(cases[i].text), arena, &head, &err);
        if (ok != (cases[i].items >= 0)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        size_t at = 0;
        int count = 0;
        struct str item;
        while (ok && kube_scan_item(head.items, &at, &item)) {
            assert_int_equal(item.p[0], '{');
            assert_int_equal(item.p[item.n - 1], '}');
            count++;
        }
        assert_int_equal(count, ok ? cases[i].items : 0);
    }
}

static void test_versions(void **state) {
    assert_true(kube_version_compare(STR("10"), STR("9")) > 0);
    assert_true(kube_version_compare(STR("9"), STR("10")) < 0);
    assert_int_equal(kube_version_compare(STR("10"), STR("10")), 0);
    assert_int_equal(kube_version_compare(STR("x"), STR("10")), 0);
    assert_int_equal(kube_version_compare(STR(""), STR("10")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_watch_path),   cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_status),       cmocka_unit_test(test_lines_cut_anywhere),
        cmocka_unit_test(test_lines_limits), cmocka_unit_test(test_events),
        cmocka_unit_test(test_trimming),     cmocka_unit_test(test_scanning),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
