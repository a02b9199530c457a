// SPDX-License-Identifier: Apache-2.0
// Discovery. Each folder of tests/data/kube/discovery is a server: a file a path, what is missing answers 503.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/file_tree.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "fake_client.h"
#include "kube/mapper.h"

struct world {
    struct loop *loop;
    struct fake_client *fake;
    struct kube_mapper *mapper;
    struct arena *arena;
    struct file_tree *data;
    unsigned done, failed;
    struct err error;
};

static int setup(void **state) {
    struct world *w = NEW(struct world);
    struct err err = {0};
    assert_true(log_configure(STR("off"), false, &err));
    w->loop = sim_loop_create(1);
    w->fake = fake_create(w->loop, false);
    w->mapper = kube_mapper_create(&w->fake->client);
    w->arena = arena_create();
    struct str folder = arena_printf(w->arena, "%s/kube/discovery", getenv("SKIFF_TEST_DATA"));
    w->data = file_tree_open_folder(folder, &err);
    assert_non_null(w->data);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    kube_mapper_destroy(w->mapper);
    kube_client_destroy(&w->fake->client);
    sim_loop_destroy(w->loop);
    file_tree_destroy(w->data);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void on_done(void *ctx, const struct err *error) {
    struct world *w = ctx;
    w->done++;
    w->failed += error != NULL;
    if (error) {
        w->error = *error;
    }
}

static bool is_there(struct file_tree *tree, const char *path) {
    struct file_entry entry;
    struct err err = {0};
    return tree->ops->stat(tree, str_from(path), &entry, &err) && entry.kind == FILE_REGULAR;
}

static void serve(struct world *w, const char *name) {
    struct fake_call *call;
    for (int i = 0; (call = fake_first(w->fake, false)); i++) {
        assert_true(i < 100);
        // The last asked first, so that the order of the answers is not the server's.
        call = w->fake->open.items[w->fake->open.len - 1];
        char path[300];
        snprintf(path, sizeof path, "%s/%.*s.json", name, STR_ARG(str_skip(call->path, 1)));
        for (char *p = path + strlen(name) + 1; *p; p++) {
            *p = *p == '/' ? '_' : *p;
        }
        struct str body;
        struct err err = {0};
        if (is_there(w->data, path)) {
            assert_true(w->data->ops->read(w->data, str_from(path), MIB, w->arena, &body, &err));
            fake_reply(w->fake, call, 200, body, 0);
        } else {
            fake_reply(w->fake, call, 503, STR(""), 0);
        }
    }
}

static void refresh(struct world *w, const char *name) {
    kube_mapper_refresh(w->mapper, on_done, w);
    serve(w, name);
}

static struct str describe(struct world *w) {
    struct buf out;
    buf_init(&out, MIB);
    size_t iter = 0;
    const struct kube_resource *r;
    while (kube_mapper_next(w->mapper, &iter, &r)) {
        buf_printf(&out, "%.*s%s%.*s %.*s %.*s %s%s [", STR_ARG(r->gvr.group),
                   r->gvr.group.n ? "/" : "", STR_ARG(r->gvr.version), STR_ARG(r->gvr.resource),
                   STR_ARG(r->kind), r->namespaced ? "namespaced" : "cluster",
                   r->preferred ? " preferred" : "");
        for (size_t i = 0; i < r->short_name_count; i++) {
            buf_printf(&out, "%s%.*s", i ? "," : "", STR_ARG(r->short_names[i]));
        }
        buf_printf(&out, "]%s%s%s%s%s\n", r->can_list ? " list" : "", r->can_watch ? " watch" : "",
                   r->can_patch ? " patch" : "", r->can_delete ? " delete" : "",
                   r->can_create ? " create" : "");
    }
    struct str warning;
    iter = 0;
    while (kube_mapper_next_warning(w->mapper, &iter, &warning)) {
        buf_printf(&out, "warning: %.*s\n", STR_ARG(warning));
    }
    struct str text = arena_dup(w->arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static void expect(struct world *w, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/expected.txt", name);
    struct str want;
    struct err err = {0};
    assert_true(w->data->ops->read(w->data, str_from(path), MIB, w->arena, &want, &err));
    assert_string_equal(describe(w).p, arena_cstr(w->arena, want));
}

static void test_golden(void **state) {
    struct world *w = *state;
    struct file_entry *entries;
    size_t count;
    struct err err = {0};
    assert_true(w->data->ops->list(w->data, STR(""), w->arena, &entries, &count, &err));
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) {
        void *fresh = w;
        teardown(&fresh);
        setup(&fresh);
        w = *state = fresh;
        assert_true(w->data->ops->list(w->data, STR(""), w->arena, &entries, &count, &err));
        char *name = arena_cstr(w->arena, entries[i].name);
        refresh(w, name);
        assert_int_equal(w->done, 1);
        assert_int_equal(w->failed, 0);
        assert_true(kube_mapper_is_ready(w->mapper));
        expect(w, name);
    }
}

static void test_words(void **state) {
    struct world *w = *state;
    refresh(w, "aggregated");
    static const struct {
        const char *word, *found; // NULL: nothing
    } cases[] = {
        {"pods", "v1/pods"},
        {"pod", "v1/pods"},
        {"Pod", "v1/pods"},
        {"po", "v1/pods"},
        {"PO", "v1/pods"},
        {"deploy", "apps/v1/deployments"},
        {"deployments.apps", "apps/v1/deployments"},
        {"Deployment.apps", "apps/v1/deployments"},
        {"deployments.v1.apps", "apps/v1/deployments"},
        {"deployment.v1.apps", "apps/v1/deployments"},
        {"deployments.v2.apps", NULL},
        {"deployments.extensions", NULL},
        {"ev", "v1/events"}, // the core group first
        {"events", "v1/events"},
        {"events.events.k8s.io", "events.k8s.io/v1/events"},
        {"events.v1.events.k8s.io", "events.k8s.io/v1/events"},
        {"hpa", "autoscaling/v2/horizontalpodautoscalers"},
        {"hpa.autoscaling", "autoscaling/v2/horizontalpodautoscalers"},
        {"hpa.v1.autoscaling", "autoscaling/v1/horizontalpodautoscalers"},
        {"onlyold", "autoscaling/v1/onlyold"},
        {"pods.v1.", "v1/pods"},
        {"pods.v1", "v1/pods"},
        {"", NULL},
        {".", NULL},
        {"nothing", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct kube_resource *r = kube_mapper_find_word(w->mapper, str_from(cases[i].word));
        struct str got = r ? arena_printf(w->arena, "%.*s%s%.*s/%.*s", STR_ARG(r->gvr.group),
                                          r->gvr.group.n ? "/" : "", STR_ARG(r->gvr.version),
                                          STR_ARG(r->gvr.resource))
                           : STR("-");
        if (!str_eq_c(got, cases[i].found ? cases[i].found : "-")) {
            fail_msg("%s: %.*s", cases[i].word, STR_ARG(got));
        }
    }
}

static void test_kinds(void **state) {
    struct world *w = *state;
    assert_null(
        kube_mapper_find_kind(w->mapper, (struct kube_gvk){STR(""), STR("v1"), STR("Pod")}));
    refresh(w, "aggregated");
    struct kube_gvk gvk = {STR("autoscaling"), STR(""), STR("HorizontalPodAutoscaler")};
    const struct kube_resource *r = kube_mapper_find_kind(w->mapper, gvk);
    assert_true(r && str_eq(r->gvr.version, STR("v2")));
    gvk.version = STR("v1");
    r = kube_mapper_find_kind(w->mapper, gvk);
    assert_true(r && str_eq(r->gvr.version, STR("v1")));
    gvk.version = STR("v3");
    assert_null(kube_mapper_find_kind(w->mapper, gvk));
    r = kube_mapper_find_kind(w->mapper,
                              (struct kube_gvk){STR("autoscaling"), STR(""), STR("OnlyOld")});
    assert_true(r && !r->namespaced); // the preferred version lacks it
    assert_null(
        kube_mapper_find_kind(w->mapper, (struct kube_gvk){STR(""), STR("v1"), STR("pod")}));
}

static void test_one_reading_at_a_time(void **state) {
    struct world *w = *state;
    kube_mapper_refresh(w->mapper, on_done, w);
    kube_mapper_refresh(w->mapper, on_done, w);
    assert_int_equal(w->fake->open.len, 2);
    serve(w, "aggregated");
    assert_int_equal(w->done, 2);
}

static void test_failure_keeps_the_old(void **state) {
    struct world *w = *state;
    refresh(w, "aggregated");
    refresh(w, "no-such-server");
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->error.code, ERR_UNAVAILABLE);
    expect(w, "aggregated");
    assert_true(kube_mapper_is_ready(w->mapper));
}

static void test_failing_group_keeps_its_kinds(void **state) {
    struct world *w = *state;
    refresh(w, "legacy");
    refresh(w, "partly-down");
    assert_int_equal(w->failed, 0);
    struct kube_gvk gvk = {STR("apps"), STR("v1"), STR("Deployment")};
    const struct kube_resource *r = kube_mapper_find_kind(w->mapper, gvk);
    assert_true(r && r->can_delete && r->preferred);
    refresh(w, "partly-down"); // and again, from what was kept
    assert_non_null(kube_mapper_find_kind(w->mapper, gvk));
}

static void test_destroyed_while_reading(void **state) {
    struct world *w = *state;
    kube_mapper_refresh(w->mapper, on_done, w);
    kube_mapper_destroy(w->mapper);
    assert_int_equal(w->done, 1); // told at once, and only once
    assert_int_equal(w->error.code, ERR_CANCELLED);
    serve(w, "legacy");
    assert_int_equal(w->done, 1);
    w->mapper = kube_mapper_create(&w->fake->client);
    kube_mapper_refresh(w->mapper, on_done, w); // left open for teardown
}

static void test_split(void **state) {
    struct str group, version;
    kube_split_api_version(STR("apps/v1"), &group, &version);
    assert_true(str_eq(group, STR("apps")) && str_eq(version, STR("v1")));
    kube_split_api_version(STR("v1"), &group, &version);
    assert_true(group.n == 0 && str_eq(version, STR("v1")));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_golden),
        T(test_words),
        T(test_kinds),
        T(test_one_reading_at_a_time),
        T(test_failure_keeps_the_old),
        T(test_failing_group_keeps_its_kinds),
        T(test_destroyed_while_reading),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
