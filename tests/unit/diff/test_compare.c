// SPDX-License-Identifier: Apache-2.0
// Desired, live, and whether a sync would change anything. Each case also checks the patch: it brings the live object to where
// a comparison finds nothing, and a second patch changes nothing.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "diff/diff.h"
#include "schema/schema.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value value;
    struct err err = {0};
    char *json = arena_cstr(arena, str_from(text)); // single quotes are easier to read in a table
    for (char *p = json; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    if (!doc_parse_json(str_from(json), arena, &value, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return value;
}

#define CM "'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a'}"
#define DEPLOY "'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'a'}"
#define CUSTOM "'apiVersion':'example.com/v1','kind':'Thing','metadata':{'name':'a'}"
#define POD(text) "{" DEPLOY ",'spec':{'template':{'spec':{'containers':[" text "]}}}}"

static const struct {
    const char *name, *desired, *live;
    bool modified;
    const char *group, *kind, *pointer; // ignoreDifferences
} cases[] = {
    {"equal", "{" CM ",'data':{'k':'v'}}", "{" CM ",'data':{'k':'v'}}", false, 0, 0, 0},
    {"value", "{" CM ",'data':{'k':'v'}}", "{" CM ",'data':{'k':'w'}}", true, 0, 0, 0},
    {"missing key", "{" CM ",'data':{'k':'v'}}", "{" CM "}", true, 0, 0, 0},
    {"key of somebody else", "{" CM ",'data':{'k':'v'}}", "{" CM ",'data':{'k':'v','x':'y'}}",
     false, 0, 0, 0},
    {"server fields", "{" CM "}",
     "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','uid':'u','resourceVersion':'7',"
     "'generation':3,'creationTimestamp':'2026-01-01T00:00:00Z','managedFields':[{'manager':'x'}]}"
     "}",
     false, 0, 0, 0},
    {"label asked for",
     "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','labels':{'x':'1'}}}",
     "{" CM "}", true, 0, 0, 0},
    {"status does not count", "{" DEPLOY ",'status':{'replicas':9}}",
     "{" DEPLOY ",'status':{'replicas':1}}", false, 0, 0, 0},
    {"quantities", POD("{'name':'c','resources':{'limits':{'cpu':'1000m','memory':'1024Mi'}}}"),
     POD("{'name':'c','resources':{'limits':{'cpu':'1','memory':'1Gi'}}}"), false, 0, 0, 0},
    {"side-car of somebody else", POD("{'name':'c','image':'i'}"),
     POD("{'name':'side','image':'s'},{'name':'c','image':'i'}"), false, 0, 0, 0},
    {"image", POD("{'name':'c','image':'i:2'}"), POD("{'name':'c','image':'i:1'}"), true, 0, 0, 0},
    {"ignored pointer", "{" DEPLOY ",'spec':{'replicas':1}}", "{" DEPLOY ",'spec':{'replicas':5}}",
     false, "apps", "Deployment", "/spec/replicas"},
    {"ignored by glob", "{" DEPLOY ",'spec':{'replicas':1}}", "{" DEPLOY ",'spec':{'replicas':5}}",
     false, "*", "Deploy*", "/spec/replicas"},
    {"ignored for another kind", "{" DEPLOY ",'spec':{'replicas':1}}",
     "{" DEPLOY ",'spec':{'replicas':5}}", true, "apps", "StatefulSet", "/spec/replicas"},
    {"ignored for the core group", "{" DEPLOY ",'spec':{'replicas':1}}",
     "{" DEPLOY ",'spec':{'replicas':5}}", true, "", "Deployment", "/spec/replicas"},
    {"ignored, but more differs", "{" DEPLOY ",'spec':{'replicas':1,'paused':true}}",
     "{" DEPLOY ",'spec':{'replicas':5}}", true, "apps", "Deployment", "/spec/replicas"},
    {"pointer that is not there", "{" DEPLOY ",'spec':{'replicas':1}}",
     "{" DEPLOY ",'spec':{'replicas':5}}", true, "apps", "Deployment", "/spec/nothing/0/x"},
    {"lists of custom kinds are whole", "{" CUSTOM ",'spec':{'l':[1]}}",
     "{" CUSTOM ",'spec':{'l':[1,2]}}", true, 0, 0, 0},
    {"numbers of custom kinds", "{" CUSTOM ",'spec':{'n':1}}", "{" CUSTOM ",'spec':{'n':1.0}}",
     false, 0, 0, 0},
    {"secrets in clear",
     "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'a'},'stringData':{'p':'hunter2'}}",
     "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'a'},'data':{'p':'aHVudGVyMg=='}}",
     false, 0, 0, 0},
};

static void check(struct arena *arena, size_t i) {
    struct doc_value desired = parse(arena, cases[i].desired), live = parse(arena, cases[i].live);
    struct str pointer = str_from(cases[i].pointer);
    struct diff_ignore ignore = {.group = str_from(cases[i].group),
                                 .kind = str_from(cases[i].kind),
                                 .pointers = &pointer,
                                 .pointer_count = 1};
    struct diff_options options = {
        .ignores = &ignore, .ignore_count = cases[i].kind ? 1 : 0, .ignore_status = true};
    struct diff_result result;
    struct err err = {0};
    if (!diff_compare(arena, &desired, &live, &options, &result, &err)) {
        fail_msg("%s: %s", cases[i].name, err.message);
    }
    if (result.modified != cases[i].modified) {
        fail_msg("%s: modified is %d\nlive      %.*s\npredicted %.*s", cases[i].name,
                 result.modified, STR_ARG(doc_to_json(arena, &result.live)),
                 STR_ARG(doc_to_json(arena, &result.predicted)));
    }
    // The same object is never out of sync with itself.
    assert_true(diff_compare(arena, &live, &live, &options, &result, &err));
    assert_false(result.modified);
}

static void test_cases(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena *arena = arena_create();
        check(arena, i);
        arena_destroy(arena);
    }
}

static struct doc_value patched(struct arena *arena, const struct doc_value *desired,
                                const struct doc_value *live, bool *empty) {
    struct diff_apply apply;
    struct err err = {0};
    struct doc_value out;
    assert_true(diff_apply_patch(arena, desired, live, &apply, &err));
    *empty = apply.is_empty;
    if (!apply.is_strategic) {
        return doc_merge_patch(arena, live, &apply.patch);
    }
    bool core = str_eq(doc_get_str(desired, "apiVersion"), STR("v1"));
    const struct schema_type *type =
        schema_find(core ? STR("") : STR("apps"), STR("v1"), doc_get_str(desired, "kind"));
    assert_non_null(type);
    assert_true(schema_strategic_merge(arena, type, live, &apply.patch, &out, &err));
    return out;
}

static void test_patch_converges(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena *arena = arena_create();
        struct doc_value desired = parse(arena, cases[i].desired);
        struct doc_value live = parse(arena, cases[i].live);
        desired = doc_without(arena, &desired, "status"); // written through its own door
        bool empty;
        struct doc_value after = patched(arena, &desired, &live, &empty);
        struct diff_options options = {.ignore_status = true};
        struct diff_result result;
        struct err err = {0};
        assert_true(diff_compare(arena, &desired, &after, &options, &result, &err));
        if (result.modified) {
            fail_msg("%s: still differs: %.*s", cases[i].name, STR_ARG(doc_to_json(arena, &after)));
        }
        struct doc_value again = patched(arena, &desired, &after, &empty);
        if (!doc_equal(&again, &after)) { // it may still name the order of a list
            fail_msg("%s: a second patch changes %.*s", cases[i].name,
                     STR_ARG(doc_to_json(arena, &again)));
        }
        arena_destroy(arena);
    }
}

// A field that the last apply named and the desired object does not is removed; foreign ones stay.
static void test_removed_fields(void **state) {
    struct arena *arena = arena_create();
    struct doc_value one = parse(arena, "{" CM ",'data':{'k':'v','gone':'1'}}");
    struct doc_value two = parse(arena, "{" CM ",'data':{'k':'v'}}");
    struct diff_apply apply;
    struct err err = {0};
    assert_true(diff_apply_patch(arena, &one, NULL, &apply, &err));
    struct doc_value live = doc_with(arena, &apply.object, DOC_S("y"), "data", "foreign");
    struct diff_result result;
    assert_true(diff_compare(arena, &two, &live, NULL, &result, &err));
    assert_true(result.modified);
    bool empty;
    struct doc_value after = patched(arena, &two, &live, &empty);
    assert_null(doc_get(&after, "data", "gone"));
    assert_non_null(doc_get(&after, "data", "foreign"));
    assert_non_null(doc_get(&after, "data", "k"));
    assert_true(diff_compare(arena, &two, &after, NULL, &result, &err));
    assert_false(result.modified);
    arena_destroy(arena);
}

static void test_one_side(void **state) {
    struct arena *arena = arena_create();
    struct doc_value object = parse(arena, "{" CM "}");
    struct diff_result result;
    struct err err = {0};
    assert_true(diff_compare(arena, &object, NULL, NULL, &result, &err) && result.modified);
    assert_true(doc_is_null(&result.live));
    assert_true(diff_compare(arena, NULL, &object, NULL, &result, &err) && result.modified);
    assert_true(doc_is_null(&result.predicted));
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_patch_converges),
        cmocka_unit_test(test_removed_fields), cmocka_unit_test(test_one_side)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
