// SPDX-License-Identifier: Apache-2.0
// Lists and their pages, restarts, crashes, and what a full disk leaves behind.
#include "core_rig.h"

static void make(struct rig *rig, const char *ns, const char *name, const char *labels) {
    char body[256];
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    assert_int_equal(rig_create_object(rig, "secrets", ns, body), 201);
}

// "a b c|3" : names, and how many are said to be left.
static const char *names(struct rig *rig) {
    struct doc_value list = rig_value(rig);
    struct str text = {NULL, 0};
    for (DOC_EACH_ITEM(doc_get(&list, "items"), item)) {
        text = arena_printf(rig->arena, "%.*s%s%.*s", STR_ARG(text), text.n ? " " : "",
                            STR_ARG(doc_get_str(item, "metadata", "name")));
    }
    int64_t left = doc_int(doc_get(&list, "metadata", "remainingItemCount"), 0);
    return arena_printf(rig->arena, "%.*s|%lld", STR_ARG(text), (long long)left).p;
}

static struct str next_page(struct rig *rig) {
    struct doc_value list = rig_value(rig);
    return doc_get_str(&list, "metadata", "continue");
}

static void lists(void **state) {
    struct rig *rig = rig_create();
    make(rig, "default", "c", "\"x\":\"1\"");
    make(rig, "default", "a", "\"x\":\"2\"");
    make(rig, "kube-system", "b", "\"x\":\"1\"");
    struct str none = {NULL, 0};
    assert_int_equal(rig_list(rig, "secrets", "", "", 0, none), 200);
    assert_string_equal(names(rig), "a c b|0");
    assert_string_equal(RIG_TEXT(rig, "kind"), "SecretList");
    assert_int_equal(rig_list(rig, "secrets", "default", "", 0, none), 200);
    assert_string_equal(names(rig), "a c|0");
    assert_int_equal(rig_list(rig, "secrets", "", "x=1", 0, none), 200);
    assert_string_equal(names(rig), "c b|0");
    assert_int_equal(rig_list(rig, "secrets", "nowhere", "", 0, none), 200);
    assert_string_equal(names(rig), "|0");
    assert_int_equal(rig_list(rig, "secrets", "", "x=((", 0, none), 400);
    struct kube_request request = {
        .verb = KUBE_LIST, .gvr = rig_gvr("secrets"), .field_selector = STR("metadata.name=b")};
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(names(rig), "b|0");
    request.field_selector = STR("spec.nothing=b");
    assert_int_equal(rig_call(rig, &request), 400);
    rig_destroy(rig);
}

static void pages_fit_together(void **state) {
    struct rig *rig = rig_create();
    const char *all[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        make(rig, "default", all[i], "");
    }
    assert_int_equal(rig_list(rig, "secrets", "default", "", 2, (struct str){NULL, 0}), 200);
    assert_string_equal(names(rig), "a b|3");
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    struct str token = next_page(rig);
    // What changes between the pages does not show: a gone object stays, a new one does not come.
    rig_delete(rig, "secrets", "default", "c");
    make(rig, "default", "cc", "");
    make(rig, "default", "f", "");
    rig_delete(rig, "secrets", "default", "e");
    make(rig, "default", "e", "\"again\":\"1\"");
    assert_int_equal(rig_list(rig, "secrets", "default", "", 2, token), 200);
    assert_string_equal(names(rig), "c d|1");
    assert_string_equal(RIG_TEXT(rig, "metadata", "resourceVersion"), version);
    token = next_page(rig);
    assert_int_equal(rig_list(rig, "secrets", "default", "", 2, token), 200);
    assert_string_equal(names(rig), "e|0");
    assert_int_equal(next_page(rig).n, 0);
    struct doc_value list = rig_value(rig);
    assert_null(doc_get(doc_at(doc_get(&list, "items"), 0), "metadata", "labels", "again"));

    // The same question at the version of the first page, without pages.
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = rig_gvr("secrets"),
                                   .ns = STR("default"),
                                   .resource_version = str_from(version),
                                   .resource_version_match = STR("Exact")};
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(names(rig), "a b c d e|0");
    request.resource_version_match = STR("NotOlderThan");
    assert_int_equal(rig_call(rig, &request), 200);
    assert_string_equal(names(rig), "a b cc d e f|0");
    request.resource_version = STR("99999");
    assert_int_equal(rig_call(rig, &request), 504);

    // After a restart the history is gone: 410, with a token to go on with what there is now.
    rig_restart(rig);
    make(rig, "default", "g", "");
    assert_int_equal(rig_list(rig, "secrets", "default", "", 2, token), 410);
    assert_int_equal(rig->code, ERR_GONE);
    token = next_page(rig);
    assert_true(token.n > 0);
    assert_int_equal(rig_list(rig, "secrets", "default", "", 0, token), 200);
    assert_string_equal(names(rig), "e f g|0");
    assert_int_equal(rig_list(rig, "secrets", "default", "", 0, STR("bm9uc2Vuc2U=")), 400);
    rig_destroy(rig);
}

static void restarts_keep_everything(void **state) {
    struct rig *rig = rig_create();
    make(rig, "default", "a", "");
    struct str text = rig->body;
    make(rig, "default", "b", "");
    rig_delete(rig, "secrets", "default", "b");
    rig_settle(rig);
    int64_t revision = apiserver_revision(rig->server);
    rig_restart(rig);
    assert_int_equal(apiserver_revision(rig->server), revision);
    assert_int_equal(rig_get(rig, "secrets", "default", "a"), 200);
    assert_true(str_eq(rig->body, text));
    assert_int_equal(rig_get(rig, "secrets", "default", "b"), 404);
    make(rig, "default", "c", "");
    int64_t version = 0;
    assert_true(str_to_int64(str_from(RIG_TEXT(rig, "metadata", "resourceVersion")), &version));
    assert_true(version > revision);
    rig_destroy(rig);
}

static void evicted_texts_come_back(void **state) {
    struct rig *rig = rig_create();
    rig_settle(rig);
    apiserver_destroy(rig->server);
    struct apiserver_options options = {
        .loop = rig->loop, .store = rig->store, .no_workloads = true, .cache_bytes = 2000};
    rig->server = apiserver_create(&options, NULL);
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "s%03d", i);
        make(rig, "default", name, "\"n\":\"1\"");
    }
    for (int i = 0; i < 300; i += 37) {
        snprintf(name, sizeof name, "s%03d", i);
        assert_int_equal(rig_get(rig, "secrets", "default", name), 200);
        assert_string_equal(RIG_TEXT(rig, "metadata", "name"), name);
        assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "secrets", "default", name,
                                   "{\"metadata\":{\"labels\":{\"n\":\"2\"}}}"),
                         200);
    }
    assert_int_equal(rig_list(rig, "secrets", "default", "n=2", 0, (struct str){NULL, 0}), 200);
    struct doc_value list = rig_value(rig);
    assert_int_equal(doc_len(doc_get(&list, "items")), 9);
    rig_destroy(rig);
}

// ---- A disk that fails ----
struct answer {
    int status;
    bool done;
};

static void note(void *ctx, const struct kube_reply *reply) {
    struct answer *answer = ctx;
    answer->status = reply->status;
    answer->done = true;
}

static void send(struct rig *rig, struct answer *answer, enum kube_verb verb, const char *name,
                 const char *body) {
    *answer = (struct answer){0};
    struct kube_request request = {.verb = verb,
                                   .patch = KUBE_PATCH_MERGE,
                                   .gvr = rig_gvr("secrets"),
                                   .ns = STR("default"),
                                   .name = str_from(name),
                                   .body = str_from(body),
                                   .grace_seconds = -1};
    apiserver_call(rig->server, NULL, &request, note, answer);
}

static void a_full_disk_undoes_everything_under_way(void **state) {
    struct rig *rig = rig_create();
    make(rig, "default", "kept", "\"v\":\"1\"");
    struct str text = rig->body;
    store_memory_set_delay(rig->store, 10000000);
    store_memory_fail(rig->store, ERR_FULL, 1);
    struct answer a[7];
    send(rig, &a[0], KUBE_CREATE, "", "{\"metadata\":{\"name\":\"new\"}}");
    send(rig, &a[1], KUBE_PATCH, "kept", "{\"metadata\":{\"labels\":{\"v\":\"2\"}}}");
    sim_loop_step(rig->loop); // the commit of these is under way; the next ones stand on them
    send(rig, &a[2], KUBE_PATCH, "kept", "{\"metadata\":{\"labels\":{\"v\":\"3\"}}}");
    send(rig, &a[3], KUBE_DELETE, "new", "");
    send(rig, &a[4], KUBE_CREATE, "", "{\"metadata\":{\"name\":\"new\"}}");
    send(rig, &a[5], KUBE_GET, "kept", "");
    send(rig, &a[6], KUBE_GET, "new", "");
    rig_settle(rig);
    for (int i = 0; i < 5; i++) {
        assert_true(a[i].done);
        assert_int_equal(a[i].status, 507);
    }
    assert_int_equal(a[5].status, 200); // reads show the durable state
    assert_int_equal(a[6].status, 404);
    assert_int_equal(rig_get(rig, "secrets", "default", "kept"), 200);
    assert_true(str_eq(rig->body, text));
    assert_int_equal(rig_get(rig, "secrets", "default", "new"), 404);
    make(rig, "default", "new", ""); // there is room again
    rig_restart(rig);
    assert_int_equal(rig_get(rig, "secrets", "default", "new"), 200);
    rig_destroy(rig);
}

static void writers_see_each_other(void **state) {
    struct rig *rig = rig_create();
    store_memory_set_delay(rig->store, 10000000);
    struct answer a[5];
    send(rig, &a[0], KUBE_CREATE, "", "{\"metadata\":{\"name\":\"x\"}}");
    send(rig, &a[1], KUBE_CREATE, "", "{\"metadata\":{\"name\":\"x\"}}");
    send(rig, &a[2], KUBE_DELETE, "x", "");
    send(rig, &a[3], KUBE_CREATE, "", "{\"metadata\":{\"name\":\"x\"}}");
    send(rig, &a[4], KUBE_GET, "x", "");
    rig_settle(rig);
    assert_int_equal(a[0].status, 201);
    assert_int_equal(a[1].status, 409);
    assert_int_equal(a[2].status, 200);
    assert_int_equal(a[3].status, 201);
    assert_int_equal(a[4].status, 404); // nothing was durable when it asked
    assert_int_equal(rig_get(rig, "secrets", "default", "x"), 200);
    rig_destroy(rig);
}

static void crashes_lose_nothing_acknowledged(void **state) {
    struct rig *rig = rig_create();
    store_memory_set_delay(rig->store, 3000000);
    enum { ROUNDS = 60, WRITES = 20 };
    static struct answer answers[WRITES];
    char name[32];
    char body[64];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WRITES; i++) {
            snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"r%d-%d\"}}", round, i);
            send(rig, &answers[i], KUBE_CREATE, "", body);
            for (int steps = (i * 7 + round) % 4; steps > 0; steps--) {
                sim_loop_step(rig->loop);
            }
        }
        bool acknowledged[WRITES];
        for (int i = 0; i < WRITES; i++) {
            acknowledged[i] = answers[i].done;
        }
        rig_restart(rig);
        for (int i = 0; i < WRITES; i++) {
            snprintf(name, sizeof name, "r%d-%d", round, i);
            int status = rig_get(rig, "secrets", "default", name);
            assert_true(status == 200 || !acknowledged[i]);
        }
    }
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(pages_fit_together),
        cmocka_unit_test(restarts_keep_everything),
        cmocka_unit_test(evicted_texts_come_back),
        cmocka_unit_test(a_full_disk_undoes_everything_under_way),
        cmocka_unit_test(writers_see_each_other),
        cmocka_unit_test(crashes_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
