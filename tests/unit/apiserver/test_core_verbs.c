// SPDX-License-Identifier: Apache-2.0
// The verbs of the core against the store in memory: what is stored, what is refused, what changes and what does not.
#include "core_rig.h"

static void create_get_update_delete(void **state) {
    struct rig *rig = rig_create();
    assert_int_equal(rig_create_object(rig, "configmaps", "default",
                                       "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}"),
                     201);
    assert_string_equal(RIG_TEXT(rig, "kind"), "ConfigMap");
    assert_string_equal(RIG_TEXT(rig, "apiVersion"), "v1");
    assert_string_equal(RIG_TEXT(rig, "metadata", "namespace"), "default");
    assert_int_equal(strlen(RIG_TEXT(rig, "metadata", "uid")), 36);
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    struct str created = rig->body;
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 200);
    assert_true(str_eq(rig->body, created));

    // The same object again is a no-op and keeps its version.
    assert_int_equal(rig_update(rig, "configmaps", "default", "a", "", created), 200);
    assert_string_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version);
    assert_int_equal(
        rig_create_object(rig, "configmaps", "default", "{\"metadata\":{\"name\":\"a\"}}"), 409);
    assert_string_equal(rig->reason.p, "AlreadyExists");

    assert_int_equal(
        rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", "default", "a", "{\"data\":{\"k\":\"w\"}}"),
        200);
    assert_string_not_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version);
    assert_int_equal(rig_update(rig, "configmaps", "default", "a", "", created), 409);
    assert_int_equal(rig->code, ERR_CONFLICT);

    assert_int_equal(rig_delete(rig, "configmaps", "default", "a"), 200);
    assert_string_equal(RIG_TEXT(rig, "status"), "Success");
    assert_int_equal(rig_get(rig, "configmaps", "default", "a"), 404);
    assert_int_equal(rig_delete(rig, "configmaps", "default", "a"), 404);
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_get_update_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
