// SPDX-License-Identifier: Apache-2.0
// Watches: where they begin, what they see and in which order, what a selector makes of a change, and when they are told
// to start again.
#include "core_rig.h"

#include "base/limits.h"

struct seen {
    struct rig *rig;
    char text
        [4096]; // "+a ~a -a" for ADDED, MODIFIED, DELETED; "B" a bookmark, "E" the end, "G" the end by 410
    int64_t last_revision;
    bool in_order;
    uint64_t id;
    const char *cancel_at; // cancels itself when it has seen this
};

static void note(struct seen *seen, const char *text) {
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof seen->text - n, "%s%s", n ? " " : "", text);
}

static void on_event(void *ctx, enum kube_event type, struct str object, struct blob *blob) {
    struct seen *seen = ctx;
    struct arena *arena = arena_create();
    struct doc_value value;
    assert_true(doc_parse_json(object, arena, &value, NULL));
    int64_t revision = 0;
    assert_true(str_to_int64(doc_get_str(&value, "metadata", "resourceVersion"), &revision));
    if (type == KUBE_BOOKMARK) {
        bool initial = doc_get(&value, "metadata", "annotations", "k8s.io/initial-events-end");
        note(seen, initial ? "I" : "B");
    } else {
        if (type != KUBE_ADDED || revision > seen->last_revision) {
            seen->in_order &= revision > seen->last_revision;
        }
        static const char marks[] = "+~-";
        char text[64];
        snprintf(text, sizeof text, "%c%.*s", marks[type],
                 STR_ARG(doc_get_str(&value, "metadata", "name")));
        note(seen, text);
    }
    seen->last_revision = revision;
    arena_destroy(arena);
    if (seen->cancel_at && strcmp(seen->text, seen->cancel_at) == 0) {
        apiserver_cancel(seen->rig->server, seen->id);
    }
}

static void on_end(void *ctx, const struct err *error) {
    struct seen *seen = ctx;
    note(seen, !error                         ? "E"
               : error->code == ERR_GONE      ? "G"
               : error->code == ERR_CANCELLED ? "C"
                                              : "X");
}

static void watch(struct rig *rig, struct seen *seen, const char *gvr, const char *ns,
                  const char *labels, const char *fields, const char *revision) {
    *seen = (struct seen){.rig = rig, .in_order = true};
    struct kube_watch_request request = {.gvr = rig_gvr(gvr),
                                         .ns = str_from(ns),
                                         .label_selector = str_from(labels),
                                         .field_selector = str_from(fields),
                                         .resource_version = str_from(revision)};
    struct kube_watch_handler handler = {.on_event = on_event, .on_end = on_end, .ctx = seen};
    seen->id = apiserver_watch(rig->server, NULL, &request, &handler);
    assert_string_equal(seen->text, ""); // nothing from inside the call
}

static void make(struct rig *rig, const char *name, const char *labels) {
    char body[256];
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    assert_int_equal(rig_create_object(rig, "configmaps", "default", body), 201);
}

static void relabel(struct rig *rig, const char *name, const char *labels) {
    char body[256];
    snprintf(body, sizeof body, "{\"metadata\":{\"labels\":{%s}}}", labels);
    assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", "default", name, body), 200);
}

static void follows_changes(void **state) {
    struct rig *rig = rig_create();
    struct seen all, ns, other, one;
    make(rig, "a", "");
    watch(rig, &all, "configmaps", "", "", "", "");
    watch(rig, &ns, "configmaps", "default", "", "", "0");
    watch(rig, &other, "configmaps", "kube-system", "", "", "");
    watch(rig, &one, "configmaps", "default", "", "metadata.name=b", "");
    rig_settle(rig);
    assert_string_equal(all.text, "+a");
    make(rig, "b", "");
    relabel(rig, "a", "\"x\":\"1\"");
    rig_delete(rig, "configmaps", "default", "a");
    rig_settle(rig);
    assert_string_equal(all.text, "+a +b ~a -a");
    assert_string_equal(ns.text, all.text);
    assert_string_equal(other.text, "");
    assert_string_equal(one.text, "+b");
    assert_true(all.in_order);
    rig_destroy(rig);
    assert_string_equal(all.text, "+a +b ~a -a E");
}

static void resumes_from_a_version(void **state) {
    struct rig *rig = rig_create();
    struct seen first, second, third;
    make(rig, "a", "");
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    make(rig, "b", "");
    rig_delete(rig, "configmaps", "default", "a");
    watch(rig, &first, "configmaps", "", "", "", version);
    rig_settle(rig);
    assert_string_equal(first.text, "+b -a");
    assert_true(first.in_order);

    // Of a time before this server: 410. Of the future: 410 too, the store was replaced by an older one.
    rig_restart(rig);
    watch(rig, &second, "configmaps", "", "", "", version);
    watch(rig, &third, "configmaps", "", "", "", "999999");
    rig_settle(rig);
    assert_string_equal(second.text, "G");
    assert_string_equal(third.text, "G");
    rig_destroy(rig);
}

static void selectors_add_and_remove(void **state) {
    struct rig *rig = rig_create();
    struct seen seen, set;
    make(rig, "a", "\"app\":\"x\"");
    make(rig, "b", "\"app\":\"y\"");
    watch(rig, &seen, "configmaps", "", "app=x", "", "");
    watch(rig, &set, "configmaps", "", "app in (x,y),!gone", "", "");
    relabel(rig, "b", "\"app\":\"x\"");
    relabel(rig, "b", "\"more\":\"1\"");
    relabel(rig, "a", "\"app\":\"y\"");
    relabel(rig, "a", "\"gone\":\"1\"");
    rig_delete(rig, "configmaps", "default", "a");
    rig_delete(rig, "configmaps", "default", "b");
    rig_settle(rig);
    assert_string_equal(seen.text, "+a +b ~b -a -b");
    assert_string_equal(set.text, "+a +b ~b ~b ~a -a -b");
    assert_true(seen.in_order && set.in_order);
    rig_destroy(rig);
}

static void history_is_bounded(void **state) {
    struct rig *rig = rig_create();
    make(rig, "a", "");
    const char *version = RIG_TEXT(rig, "metadata", "resourceVersion");
    char *body = xmalloc(MIB + 100);
    memset(body, 'x', MIB);
    int head = snprintf(body, 100, "{\"data\":{\"k\":\"");
    body[head] = 'x';
    snprintf(body + MIB, 100, "\"}}");
    struct seen seen;
    for (int i = 0; i < 40; i++) { // 40 MiB of older texts do not fit
        body[head] = (char)('a' + i % 26);
        assert_int_equal(rig_patch(rig, KUBE_PATCH_MERGE, "configmaps", "default", "a", body), 200);
    }
    free(body);
    const char *recent = RIG_TEXT(rig, "metadata", "resourceVersion");
    watch(rig, &seen, "configmaps", "", "", "", version);
    rig_settle(rig);
    assert_string_equal(seen.text, "G");
    watch(rig, &seen, "configmaps", "", "", "", recent);
    make(rig, "b", "");
    rig_settle(rig);
    assert_string_equal(seen.text, "+b");
    rig_destroy(rig);
}

static void bookmarks_and_initial_events(void **state) {
    struct rig *rig = rig_create();
    make(rig, "a", "");
    struct seen seen = {.rig = rig};
    struct kube_watch_request request = {.gvr = rig_gvr("configmaps"), .send_initial_events = true};
    struct kube_watch_handler handler = {.on_event = on_event, .on_end = on_end, .ctx = &seen};
    apiserver_watch(rig->server, NULL, &request, &handler);
    rig_settle(rig);
    assert_string_equal(seen.text, "+a I");
    assert_int_equal(
        rig_create_object(rig, "secrets", "default", "{\"metadata\":{\"name\":\"s\"}}"), 201);
    sim_loop_run(rig->loop, loop_now(rig->loop) + INT64_C(61000000000));
    assert_string_equal(seen.text, "+a I B");
    assert_int_equal(seen.last_revision, apiserver_revision(rig->server)); // a place to resume at
    rig_destroy(rig);
}

static void ends_when_asked_to(void **state) {
    struct rig *rig = rig_create();
    struct seen early, mid, unknown;
    make(rig, "a", "");
    watch(rig, &early, "configmaps", "", "", "", "");
    apiserver_cancel(rig->server, early.id);
    watch(rig, &mid, "configmaps", "", "", "", "");
    mid.cancel_at = "+a +b";
    watch(rig, &unknown, "nosuch/v1/things", "", "", "", "");
    make(rig, "b", "");
    make(rig, "c", "");
    rig_settle(rig);
    assert_string_equal(early.text, "C");
    assert_string_equal(mid.text, "+a +b C");
    assert_string_equal(unknown.text, "X");
    apiserver_cancel(rig->server, mid.id); // once more: nothing
    rig_settle(rig);
    assert_string_equal(mid.text, "+a +b C");
    rig_destroy(rig);
}

static void nothing_before_it_is_durable(void **state) {
    struct rig *rig = rig_create();
    struct seen seen;
    watch(rig, &seen, "configmaps", "", "", "", "");
    rig_settle(rig);
    store_memory_fail(rig->store, ERR_FULL, 1);
    assert_int_equal(
        rig_create_object(rig, "configmaps", "default", "{\"metadata\":{\"name\":\"lost\"}}"), 507);
    rig_settle(rig);
    assert_string_equal(seen.text, "");
    make(rig, "kept", "");
    rig_settle(rig);
    assert_string_equal(seen.text, "+kept");
    rig_destroy(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_changes),
        cmocka_unit_test(resumes_from_a_version),
        cmocka_unit_test(selectors_add_and_remove),
        cmocka_unit_test(history_is_bounded),
        cmocka_unit_test(bookmarks_and_initial_events),
        cmocka_unit_test(ends_when_asked_to),
        cmocka_unit_test(nothing_before_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
