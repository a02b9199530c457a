// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "doc/jsonpath.h"

static const char PODS[] =
    "{\"kind\":\"List\",\"items\":["
    "{\"metadata\":{\"name\":\"a\",\"labels\":{\"app.kubernetes.io/name\":\"x\"}},"
    "\"spec\":{\"replicas\":1,\"on\":true,\"ratio\":1.5},\"status\":{\"conditions\":["
    "{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"Other\",\"status\":\"False\"}]}},"
    "{\"metadata\":{\"name\":\"b\",\"labels\":{}},\"spec\":{\"replicas\":3,\"on\":false},"
    "\"status\":{\"conditions\":[]}},"
    "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"replicas\":3,\"note\":null}}]}";

static void prints(void **state) {
    static const struct {
        const char *path;
        const char *out; // or the error, starting with "!"
        bool strict;
    } cases[] = {
        {"{.kind}", "List", true},
        {"kind is {.kind}\n", "kind is List\n", true},
        {"{.items[*].metadata.name}", "a b c", true},
        {"{.items[0].metadata.name}", "a", true},
        {"{.items[-1].metadata.name}", "c", true},
        {"{.items[0:2].metadata.name}", "a b", true},
        {"{.items[::2].metadata.name}", "a c", true},
        {"{.items[0,2].metadata.name}", "a c", true},
        {"{.items[*]['metadata.name','spec.replicas']}", "a b c 1 3 3", true},
        {"{.items[*].spec['replicas']}", "1 3 3", true},
        {"{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "x", true},
        {"{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", "x", true},
        {"{.items[?(@.metadata.name==\"b\")].spec.replicas}", "3", true},
        {"{.items[?(@.spec.replicas>1)].metadata.name}", "b c", true},
        {"{.items[?(@.spec.replicas!=3)].metadata.name}", "a", true},
        {"{.items[?(@.spec.on==true)].metadata.name}", "a", false},
        {"{.items[?(@.metadata.labels)].metadata.name}", "a b", true},
        {"{.items[0].status.conditions[?(@.type=='Ready')].status}", "True", true},
        {"{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.replicas}{\"\\n\"}{end}",
         "a\t1\nb\t3\nc\t3\n", true},
        {"{range .items[*]}[{range .status.conditions[*]}{.type},{end}]{end}", "[Ready,Other,][][]",
         false},
        {"{..name}", "a b c", true},
        {"{..conditions[0].type}", "!array index out of bounds: index 0, length 0", true},
        {"{.items[0].spec}", "{\"on\":true,\"ratio\":1.5,\"replicas\":1}", true},
        {"{.items[2].spec.note}", "null", true},
        {"{.items[1].metadata.labels}{.items[1].status.conditions}", "{}[]", true},
        {"{@.kind}{$.kind}", "ListList", true},
        {"{.items[0].spec.*}", "1 true 1.5", true},
        {"{.missing}", "", false},
        {"{.missing}", "!missing is not found", true},
        {"{.items[9]}", "!array index out of bounds: index 9, length 3", false},
        {"{.kind[0]}", "!string is not array or slice", false},
        {"{.kind", "!unclosed action", false},
        {"{.items[0}", "!unterminated array", false},
        {"{.items[a]}", "!invalid array index a", false},
        {"{.items[?(@.x}", "!unterminated filter", false},
        {"{\"x}", "!unterminated quoted string", false},
        {"{end}", "!not in range, nothing to end", false},
        {"{metadata}", "!unrecognized identifier metadata", false},
        {"{....}", "!invalid multiple recursive descent", false},
        {"{+}", "!cannot parse number +", false},
        {"{.items[?(@.spec.replicas==\"3\")]}", "!incompatible types for comparison", false},
        {"{'it\\'s'}{\"\\u00e9\\x41\\101\"}",
         "it's\xC3\xA9"
         "AA",
         true},
        {"", "", true},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root;
    assert_true(doc_parse_json(str_from(PODS), arena, &root, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        AUTO_BUF struct buf out = {0};
        buf_init(&out, MIB);
        struct jsonpath *path = jsonpath_compile(str_from(cases[i].path), false, arena, &err);
        bool ok = path && jsonpath_print(path, &root, !cases[i].strict, &out, &err);
        struct str got =
            ok ? arena_dup(arena, buf_str(&out)) : arena_printf(arena, "!%s", err.message);
        if (!str_eq_c(got, cases[i].out)) {
            fail_msg("%s: got %.*s, want %s", cases[i].path, STR_ARG(got), cases[i].out);
        }
    }
}

static void finds_for_columns(void **state) {
    static const struct {
        const char *path;
        size_t count;
        const char *first;
    } cases[] = {
        {".metadata.name", 1, "\"a\""},
        {"spec.replicas", 1, "1"},
        {"{.spec.replicas}", 1, "1"},
        {".status.conditions[?(@.type==\"Ready\")].status", 1, "\"True\""},
        {".status.missing", 0, NULL},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root;
    assert_true(doc_parse_json(str_from(PODS), arena, &root, NULL));
    const struct doc_value *pod = doc_at(doc_get(&root, "items"), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        const struct doc_value **found;
        size_t count = 0;
        struct jsonpath *path = jsonpath_compile(str_from(cases[i].path), true, arena, &err);
        if (!path || !jsonpath_find(path, pod, arena, &found, &count, &err)) {
            fail_msg("%s: %s", cases[i].path, err.message);
        }
        assert_int_equal(count, cases[i].count);
        if (count) {
            assert_true(str_eq_c(doc_to_json(arena, found[0]), cases[i].first));
        }
    }
}

// Rows made by client-go: {"data", "path", "missing" (allowed), "out" or "error"}.
static void agrees_with_client_go(void **state) {
    char name[1024];
    snprintf(name, sizeof name, "%s/doc/jsonpath/cases.jsonl", getenv("SKIFF_TEST_DATA"));
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    char *text = xmalloc(4 * MIB);
    struct str rest = {text, fread(text, 1, 4 * MIB, file)};
    fclose(file);
    struct str line;
    size_t rows = 0;
    for (; str_next(&rest, '\n', &line); rows++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value row;
        struct err err = {0};
        AUTO_BUF struct buf out = {0};
        buf_init(&out, MIB);
        assert_true(doc_parse_json(line, arena, &row, &err));
        struct jsonpath *path = jsonpath_compile(doc_get_str(&row, "path"), false, arena, &err);
        bool ok = path && jsonpath_print(path, doc_get(&row, "data"),
                                         doc_bool(doc_get(&row, "missing"), false), &out, &err);
        bool same =
            doc_get(&row, "error") ? !ok : ok && str_eq(buf_str(&out), doc_get_str(&row, "out"));
        if (!same) {
            fail_msg("%.*s\ngot: %s", STR_ARG(line), ok ? (out.data ? out.data : "") : err.message);
        }
    }
    free(text);
    assert_true(rows > 200);
}

static void limits_hold(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct err err = {0};
    AUTO_BUF struct buf text = {0};
    buf_init(&text, MIB);
    buf_add_repeat(&text, 'x', LIMIT_JSONPATH_BYTES + 1);
    assert_null(jsonpath_compile(buf_str(&text), false, arena, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    // Ranges in ranges over long lists do not run for ever.
    buf_clear(&text);
    buf_add_c(&text, "[0");
    for (int i = 0; i < 300; i++) {
        buf_add_c(&text, ",0");
    }
    buf_add_c(&text, "]");
    struct doc_value root;
    assert_true(doc_parse_json_copy(buf_str(&text), arena, &root, &err));
    err = (struct err){0};
    struct str path = STR("{[0,0:300,0:300,0:300]['a','a','a','a','a','a','a','a']"
                          "['a','a','a','a','a','a','a','a']}");
    struct jsonpath *compiled = jsonpath_compile(path, false, arena, &err);
    assert_non_null(compiled);
    AUTO_BUF struct buf out = {0};
    buf_init(&out, 16);
    assert_true(jsonpath_print(compiled, &root, true, &out, &err));
    compiled = jsonpath_compile(STR("{[*]}"), false, arena, &err);
    assert_non_null(compiled);
    assert_false(jsonpath_print(compiled, &root, true, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints),
        cmocka_unit_test(finds_for_columns),
        cmocka_unit_test(agrees_with_client_go),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
