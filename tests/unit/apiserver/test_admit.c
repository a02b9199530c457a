// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/internal.h"
#include "golden.h"

static bool never_taken(void *ctx, struct str address) {
    return false;
}

static const struct api_kind *kind_of(const struct api_kinds *kinds,
                                      const struct doc_value *object) {
    struct str version = doc_get_str(object, "apiVersion"), group = {"", 0}, rest;
    if (str_cut(version, '/', &group, &rest)) {
        version = rest;
    } else {
        group = STR("");
    }
    return api_kinds_find_kind(kinds, group, version, doc_get_str(object, "kind"));
}

// The definition of a custom kind, where the case has one.
static bool load_crd(struct arena *arena, struct api_kinds *kinds, const char *folder,
                     const char *name) {
    struct doc_value crd;
    if (!golden_read(arena, folder, name, "crd.json", &crd)) {
        return false;
    }
    api_kinds_crd_changed(kinds, doc_get_str(&crd, "metadata", "name"), &crd);
    return true;
}

// A real server lists the problems of a custom object in a random order: only the set of causes is compared.
static bool same_causes(const struct doc_value *got, const struct doc_value *want) {
    const struct doc_value *a = doc_get(got, "causes"), *b = doc_get(want, "causes");
    for (DOC_EACH_ITEM(a, cause)) {
        bool found = false;
        for (DOC_EACH_ITEM(b, other)) {
            found = found || doc_equal(cause, other);
        }
        if (!found) {
            return false;
        }
    }
    return doc_len(a) == doc_len(b) && doc_len(a) > 1 &&
           doc_equal(doc_get(got, "code"), doc_get(want, "code"));
}

// As the core does it: a uid first, no status from outside, admission, addresses.
static bool admit_one(struct arena *arena, const struct api_kinds *kinds,
                      const struct doc_value *old, const struct doc_value *options,
                      struct doc_value *object, struct api_error *error) {
    const struct api_kind *kind = kind_of(kinds, object);
    assert_non_null(kind);
    struct str validation = doc_get_str(options, "fieldValidation");
    struct api_admission admission = {.operation = old ? API_UPDATE : API_CREATE,
                                      .kind = kind,
                                      .old = old,
                                      .field_validation = validation.n ? validation : STR("Warn")};
    if (doc_is(doc_get(object, "metadata"), DOC_OBJECT)) {
        *object = doc_with(arena, object, DOC_S("UID"), "metadata", "uid");
    }
    if (!old && kind->has_status) {
        *object = doc_without(arena, object, "status");
    }
    if (!api_admit(arena, &admission, object, error)) {
        return false;
    }
    if (str_eq(kind->kind, STR("Service")) &&
        !api_service_allocate(arena, old, object, STR("UID"), never_taken, NULL, error)) {
        return false;
    }
    *object = doc_without(arena, object, "metadata", "uid");
    return true;
}

static bool check_accepted(const char *name) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value input, expected, options = doc_null();
    assert_true(golden_read(arena, "admit", name, "input.json", &input));
    assert_true(golden_read(arena, "admit", name, "expected.json", &expected));
    golden_read(arena, "admit", name, "options.json", &options);
    load_crd(arena, kinds, "admit", name);
    struct api_error error = {0};
    if (!admit_one(arena, kinds, NULL, &options, &input, &error)) {
        fprintf(stderr, "%s: refused: %.*s\n", name, STR_ARG(error.message));
        return false;
    }
    if (!golden_compare(arena, name, &input, &expected)) {
        return false;
    }
    // What is stored goes through an update unchanged: else every controller write would look like a change.
    struct doc_value again = input;
    if (!admit_one(arena, kinds, &input, &options, &again, &error)) {
        fprintf(stderr, "%s: refused as an update: %.*s\n", name, STR_ARG(error.message));
        return false;
    }
    return golden_compare(arena, name, &again, &expected);
}

static struct doc_value error_value(struct arena *arena, const struct api_error *error) {
    struct doc_object out = doc_object_start(arena);
    const struct doc_value *causes = doc_get(&error->details, "causes");
    doc_object_set_c(&out, "code", doc_make_int(error->status));
    doc_object_set_c(&out, "reason", doc_make_str(str_from(error->reason)));
    doc_object_set_c(&out, "message", doc_make_str(error->message));
    doc_object_set_c(&out, "causes", causes ? *causes : doc_null());
    return doc_object_done(&out);
}

static bool check_refused(const char *name) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value input, expected, options = doc_null(), old;
    assert_true(golden_read(arena, "refuse", name, "input.json", &input));
    assert_true(golden_read(arena, "refuse", name, "expected.json", &expected));
    golden_read(arena, "refuse", name, "options.json", &options);
    bool custom = load_crd(arena, kinds, "refuse", name);
    bool has_old = golden_read(arena, "refuse", name, "old.json", &old);
    struct api_error error = {0};
    if (admit_one(arena, kinds, has_old ? &old : NULL, &options, &input, &error)) {
        fprintf(stderr, "%s: accepted\n", name);
        return false;
    }
    struct doc_value got = error_value(arena, &error);
    return (custom && same_causes(&got, &expected)) || golden_compare(arena, name, &got, &expected);
}

static void test_accepted(void **state) {
    size_t count;
    assert_int_equal(golden_each("admit", check_accepted, &count), 0);
    assert_true(count > 40);
}

static void test_refused(void **state) {
    size_t count;
    assert_int_equal(golden_each("refuse", check_refused, &count), 0);
    assert_true(count > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
