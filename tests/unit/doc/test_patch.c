// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "doc/doc.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &v, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

static void applies_json_patches(void **state) {
    static const struct {
        const char *doc, *patch, *want;
    } cases[] = {
        {"{\"a\":1}", "[]", "{\"a\":1}"},
        // The examples of RFC 6902, appendix A.
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
         "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]",
         "{\"foo\":\"bar\"}"},
        {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
         "{\"foo\":[\"bar\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}",
         "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
         "{\"baz\":\"boo\",\"foo\":\"bar\"}"},
        {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
         "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
         "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
        {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
         "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
         "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
        {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
         "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},"
         "{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
         "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
         "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]",
         "{\"/\":9,\"~1\":10}"},
        {"{\"foo\":[\"bar\"]}",
         "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
         "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
        // The root, nulls, numbers by value.
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[1]}]", "[1]"},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":null}]", "null"},
        {"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1.0}}]", "{\"a\":1}"},
        {"{\"a\":null}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
        {"[1]", "[{\"op\":\"add\",\"path\":\"/1\",\"value\":2}]", "[1,2]"},
        // Copies stay apart from what they were copied from.
        {"{\"a\":{\"b\":[1]}}",
         "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},"
         "{\"op\":\"add\",\"path\":\"/c/b/-\",\"value\":2},"
         "{\"op\":\"remove\",\"path\":\"/a/b/0\"}]",
         "{\"a\":{\"b\":[]},\"c\":{\"b\":[1,2]}}"},
        {"{\"a\":{\"b\":[1]}}",
         "[{\"op\":\"add\",\"path\":\"/a/b/-\",\"value\":2},"
         "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},"
         "{\"op\":\"add\",\"path\":\"/a/b/-\",\"value\":3}]",
         "{\"a\":{\"b\":[1,2,3]},\"c\":{\"b\":[1,2]}}"},
        {"{\"a\":1}",
         "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"},"
         "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b/c\"}]",
         "{\"a\":1,\"b\":{\"a\":1,\"c\":{\"a\":1,\"b\":{\"a\":1}}}}"},
        {"{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/0\"}]", "{\"a\":[[1],1]}"},
        // Moves: to itself, over another, from a deeper place over a parent.
        {"{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1}"},
        {"{\"a\":1,\"b\":2}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":1}"},
        {"{\"a\":{\"b\":{\"c\":1}}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/a\"}]",
         "{\"a\":{\"c\":1}}"},
        {"{\"a\":{\"b\":1},\"ab\":2}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab\"}]",
         "{\"ab\":{\"b\":1}}"},
        {"[1,2,3]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/-\"}]", "[2,3,1]"},
        // The value of an operation is not changed by a later one.
        {"{}",
         "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{\"x\":1}},"
         "{\"op\":\"add\",\"path\":\"/a/y\",\"value\":2},"
         "{\"op\":\"replace\",\"path\":\"/a/x\",\"value\":{}},"
         "{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"y\":2,\"x\":{}}}]",
         "{\"a\":{\"x\":{},\"y\":2}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value doc = parse(arena, cases[i].doc);
        struct doc_value patch = parse(arena, cases[i].patch);
        struct doc_value out;
        struct err err = {0};
        if (!doc_json_patch(arena, &doc, &patch, &out, &err)) {
            fail_msg("%s: %s", cases[i].patch, err.message);
        }
        struct str got = doc_to_json(arena, &out);
        if (!str_eq_c(got, cases[i].want)) {
            fail_msg("%s: got %.*s, want %s", cases[i].patch, STR_ARG(got), cases[i].want);
        }
        assert_true(str_eq_c(doc_to_json(arena, &doc), cases[i].doc)); // both untouched
        assert_true(str_eq_c(doc_to_json(arena, &patch), cases[i].patch));
    }
}

static void refuses_json_patches(void **state) {
    static const char doc_text[] = "{\"a\":1,\"b\":[1,2],\"c\":{\"d\":{}}}";
    static const struct {
        const char *patch;
        enum err_code code;
        const char *part;
    } cases[] = {
        {"{}", ERR_INVALID, "object"},
        {"[5]", ERR_INVALID, "operation 1 is not an object"},
        {"[{}]", ERR_INVALID, "unexpected kind \"\""},
        {"[{\"op\":\"grow\",\"path\":\"/a\"}]", ERR_INVALID, "unexpected kind \"grow\""},
        {"[{\"op\":\"remove\"}]", ERR_INVALID, "no \"path\""},
        {"[{\"op\":\"remove\",\"path\":1}]", ERR_INVALID, "no \"path\""},
        {"[{\"op\":\"remove\",\"path\":\"a\"}]", ERR_INVALID, "not a JSON pointer"},
        {"[{\"op\":\"remove\",\"path\":\"/~2\"}]", ERR_INVALID, "not a JSON pointer"},
        {"[{\"op\":\"remove\",\"path\":\"/a~\"}]", ERR_INVALID, "not a JSON pointer"},
        {"[{\"op\":\"add\",\"path\":\"/x\"}]", ERR_INVALID, "no \"value\""},
        {"[{\"op\":\"test\",\"path\":\"/x\"}]", ERR_INVALID, "no \"value\""},
        {"[{\"op\":\"move\",\"path\":\"/x\"}]", ERR_INVALID, "no \"from\""},
        {"[{\"op\":\"add\",\"path\":\"/x/y\",\"value\":1}]", ERR_CONFLICT,
         "add operation does not apply: \"/x/y\" cannot be reached because \"/x\" does not exist"},
        {"[{\"op\":\"add\",\"path\":\"/a/y\",\"value\":1}]", ERR_CONFLICT,
         "\"/a\" is neither an object nor an array"},
        {"[{\"op\":\"add\",\"path\":\"/b/3\",\"value\":1}]", ERR_CONFLICT, "from 0 to 2"},
        {"[{\"op\":\"add\",\"path\":\"/b/01\",\"value\":1}]", ERR_CONFLICT, "from 0 to 2"},
        {"[{\"op\":\"add\",\"path\":\"/b/x\",\"value\":1}]", ERR_CONFLICT, "from 0 to 2"},
        {"[{\"op\":\"replace\",\"path\":\"/x\",\"value\":1}]", ERR_CONFLICT,
         "\"/x\" does not exist"},
        {"[{\"op\":\"replace\",\"path\":\"/b/-\",\"value\":1}]", ERR_CONFLICT, "does not exist"},
        {"[{\"op\":\"remove\",\"path\":\"/c/e\"}]", ERR_CONFLICT, "\"/c/e\" does not exist"},
        {"[{\"op\":\"remove\",\"path\":\"/b/2\"}]", ERR_CONFLICT, "does not exist"},
        {"[{\"op\":\"remove\",\"path\":\"\"}]", ERR_CONFLICT, "whole document"},
        {"[{\"op\":\"move\",\"from\":\"\",\"path\":\"/x\"}]", ERR_CONFLICT, "into itself"},
        {"[{\"op\":\"move\",\"from\":\"/c\",\"path\":\"/c/d/e\"}]", ERR_CONFLICT, "into itself"},
        {"[{\"op\":\"move\",\"from\":\"/x\",\"path\":\"/x\"}]", ERR_CONFLICT, "does not exist"},
        {"[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/y\"}]", ERR_CONFLICT, "does not exist"},
        {"[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]", ERR_CONFLICT,
         "testing path \"/a\" value failed"},
        {"[{\"op\":\"test\",\"path\":\"/x\",\"value\":null}]", ERR_CONFLICT, "does not exist"},
        // All or nothing.
        {"[{\"op\":\"add\",\"path\":\"/x\",\"value\":1},{\"op\":\"remove\",\"path\":\"/y\"}]",
         ERR_CONFLICT, "\"/y\" does not exist"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value doc = parse(arena, doc_text);
        struct doc_value patch = parse(arena, cases[i].patch);
        struct doc_value out = doc_make_int(3);
        struct err err = {0};
        assert_false(doc_json_patch(arena, &doc, &patch, &out, &err));
        if (err.code != cases[i].code || !strstr(err.message, cases[i].part)) {
            fail_msg("%s: %s: %s", cases[i].patch, err_code_name(err.code), err.message);
        }
        assert_int_equal(doc_int(&out, 0), 3);
        assert_true(str_eq_c(doc_to_json(arena, &doc), doc_text));
    }
}

// Patches that somebody made to cost more than they weigh.
static bool run_hostile(const char *doc_text, const char *const *operations, unsigned times,
                        struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, 8 * MIB);
    buf_add_char(&text, '[');
    for (unsigned i = 0; i < times; i++) {
        for (size_t k = 0; operations[k]; k++) {
            buf_printf(&text, "%s%s", i || k ? "," : "", operations[k]);
        }
    }
    buf_add_char(&text, ']');
    struct doc_value doc = parse(arena, doc_text);
    struct doc_value patch, out;
    assert_true(doc_parse_json(buf_str(&text), arena, &patch, err));
    return doc_json_patch(arena, &doc, &patch, &out, err);
}

static void withstands_hostile_patches(void **state) {
    struct err err = {0};
    const char *const appends[] = {"{\"op\":\"add\",\"path\":\"/a/-\",\"value\":1}", NULL};
    assert_true(run_hostile("{\"a\":[]}", appends, 10000, &err));
    assert_false(run_hostile("{\"a\":[]}", appends, 10001, &err));
    assert_int_equal(err.code, ERR_LIMIT);

    const char *const doubles[] = {"{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}",
                                   "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"}", NULL};
    assert_false(run_hostile("{}", doubles, 100, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "LIMIT_PATCH_COPY_BYTES"));

    const char *const nests[] = {"{\"op\":\"add\",\"path\":\"/b\",\"value\":{}}",
                                 "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/a\"}",
                                 "{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a\"}", NULL};
    assert_true(run_hostile("{\"a\":{}}", nests, 500, &err));
    assert_false(run_hostile("{\"a\":{}}", nests, 3000, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "LIMIT_JSON_DEPTH"));

    AUTO_BUF struct buf wide;
    buf_init(&wide, MIB);
    buf_add_str(&wide, STR("[0"));
    for (int i = 0; i < 100000; i++) {
        buf_add_str(&wide, STR(",0"));
    }
    buf_add_char(&wide, ']');
    const char *const inserts[] = {"{\"op\":\"add\",\"path\":\"/0\",\"value\":1}", NULL};
    assert_true(run_hostile(wide.data, inserts, 100, &err));
    assert_false(run_hostile(wide.data, inserts, 10000, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "LIMIT_PATCH_MOVES"));
}

static void patches_large_objects(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_array patch = doc_array_start(arena);
    for (int i = 0; i < 1000; i++) {
        struct doc_object op = doc_object_start(arena);
        doc_object_set_c(&op, "op", i % 4 == 3 ? DOC_S("remove") : DOC_S("add"));
        int key = i % 4 == 3 ? i - 2 : i;
        doc_object_set_c(&op, "path", doc_make_str(arena_printf(arena, "/k~0%d", key)));
        doc_object_set_c(&op, "value", doc_make_int(i));
        doc_array_add(&patch, doc_object_done(&op));
    }
    struct doc_value operations = doc_array_done(&patch);
    struct doc_value doc = parse(arena, "{}");
    struct doc_value out;
    struct err err = {0};
    assert_true(doc_json_patch(arena, &doc, &operations, &out, &err));
    assert_int_equal(doc_len(&out), 500);
    for (int i = 0; i < 1000; i++) {
        bool there = i % 4 == 0 || i % 4 == 2;
        assert_int_equal(doc_int(doc_find(&out, arena_printf(arena, "k~%d", i)), -1),
                         there ? i : -1);
    }
}

static void merges(void **state) {
    static const struct {
        const char *doc, *patch, *want;
    } cases[] = {
        // The examples of RFC 7386, appendix A.
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        // Order, nulls in arrays, and a null for what is not there.
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":4,\"b\":5,\"a\":null}", "{\"b\":5,\"c\":3,\"d\":4}"},
        {"{}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":[null,{\"b\":null}]}"},
        {"{\"a\":1}", "{\"z\":null}", "{\"a\":1}"},
        {"{\"a\":1}", "{}", "{\"a\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value doc = parse(arena, cases[i].doc);
        struct doc_value patch = parse(arena, cases[i].patch);
        struct doc_value out = doc_merge_patch(arena, &doc, &patch);
        struct str got = doc_to_json(arena, &out);
        if (!str_eq_c(got, cases[i].want)) {
            fail_msg("%s + %s: got %.*s", cases[i].doc, cases[i].patch, STR_ARG(got));
        }
        assert_true(str_eq_c(doc_to_json(arena, &doc), cases[i].doc));
    }
}

static void diffs(void **state) {
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        {"{\"a\":1}", "{\"a\":1.0}", "{}"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{}"},
        {"{\"a\":1}", "{\"a\":2}", "{\"a\":2}"},
        {"{\"a\":1}", "{}", "{\"a\":null}"},
        {"{}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
        {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"d\":3}}", "{\"a\":{\"c\":null,\"d\":3}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
        {"{\"a\":[1,2]}", "{\"a\":[1,3]}", "{\"a\":[1,3]}"},
        {"{\"a\":[1]}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":5}", "{\"a\":5}"},
        {"{\"a\":1}", "[1]", "[1]"},
        {"[1]", "[1.0]", "{}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value from = parse(arena, cases[i].from);
        struct doc_value to = parse(arena, cases[i].to);
        struct doc_value diff = doc_merge_diff(arena, &from, &to);
        struct str got = doc_to_json(arena, &diff);
        if (!str_eq_c(got, cases[i].want)) {
            fail_msg("%s to %s: got %.*s", cases[i].from, cases[i].to, STR_ARG(got));
        }
        if (doc_is(&from, DOC_OBJECT)) {
            struct doc_value again = doc_merge_patch(arena, &from, &diff);
            assert_true(doc_equal(&again, &to));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applies_json_patches),
        cmocka_unit_test(refuses_json_patches),
        cmocka_unit_test(withstands_hostile_patches),
        cmocka_unit_test(patches_large_objects),
        cmocka_unit_test(merges),
        cmocka_unit_test(diffs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
