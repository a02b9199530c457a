// SPDX-License-Identifier: Apache-2.0
// Sequences of requests whose answers were recorded from a real kube-apiserver: who owns which fields after every write,
// and what patches make of objects. A case is a file in tests/data/apiserver/{managed,patch}; record.py there writes the
// answers down. What differs from run to run is masked here as it is there.
#include "core_rig.h"

#include "apiserver/core.h"
#include "base/timefmt.h"
#include "golden.h"

#define NAMESPACE "rec-00000000"
enum { STEPS_MOST = 64, UIDS_MOST = 32, STEP_NS = 1050 * 1000 * 1000 };

struct run {
    struct rig *rig;
    const struct doc_value *test;
    int64_t starts[STEPS_MOST];
    size_t step;
    struct str uids[UIDS_MOST];
    size_t uid_count;
    bool done;
};

// ---- Masks ----
static struct str replaced(struct arena *arena, struct str text, struct str from, struct str to) {
    struct str out = {"", 0};
    while (from.n && text.n) {
        size_t at = 0;
        while (at + from.n <= text.n && memcmp(text.p + at, from.p, from.n) != 0) {
            at++;
        }
        if (at + from.n > text.n) {
            break;
        }
        out = arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(out), (int)at, text.p, STR_ARG(to));
        text = str_skip(text, at + from.n);
    }
    return out.n ? arena_concat(arena, out, text) : text;
}

static struct str mask_text(struct run *run, struct str text) {
    struct arena *arena = run->rig->arena;
    text = replaced(arena, text, STR(NAMESPACE), STR("NS"));
    for (size_t i = 0; i < run->uid_count; i++) {
        text = replaced(arena, text, run->uids[i], arena_printf(arena, "uid%zu", i));
    }
    return text;
}

static struct str unmask_text(struct run *run, struct str text) {
    struct arena *arena = run->rig->arena;
    text = replaced(arena, text, STR("NS"), STR(NAMESPACE));
    for (size_t i = run->uid_count; i-- > 0;) {
        text = replaced(arena, text, arena_printf(arena, "uid%zu", i), run->uids[i]);
    }
    return text;
}

static void note_uid(struct run *run, struct str uid) {
    bool plain = uid.n == 36 && run->uid_count < UIDS_MOST;
    for (size_t i = 0; plain && i < run->uid_count; i++) {
        plain = !str_eq(run->uids[i], uid);
    }
    if (plain) {
        run->uids[run->uid_count++] = uid;
    }
}

static struct str mask_time(struct run *run, struct str text) {
    int64_t at = 0;
    assert_true(time_parse(text, &at));
    size_t step = 0;
    for (size_t i = 0; i <= run->step; i++) {
        step = run->starts[i] / NS_PER_SECOND <= at / NS_PER_SECOND ? i : step;
    }
    return arena_printf(run->rig->arena, "step %zu", step);
}

static bool is_dropped(struct str key, const struct doc_value *value, bool managed) {
    static const char *const keys[] = {"resourceVersion", "clusterIP", "clusterIPs", "nodePort",
                                       "selfLink"};
    for (size_t i = 0; i < ARRAY_LEN(keys) && !managed; i++) {
        if (str_eq_c(key, keys[i])) {
            return true;
        }
    }
    return !managed && str_eq(key, STR("creationTimestamp")) && doc_str(value).n;
}

static struct doc_value mask(struct run *run, const struct doc_value *value, bool managed) {
    struct arena *arena = run->rig->arena;
    if (doc_is(value, DOC_OBJECT)) {
        struct doc_object out = doc_object_start(arena);
        for (DOC_EACH_MEMBER(value, i)) {
            struct str key = doc_key_at(value, i);
            const struct doc_value *member = doc_value_at(value, i);
            if (is_dropped(key, member, managed)) {
                continue;
            }
            if (str_eq(key, STR("uid"))) {
                note_uid(run, doc_str(member));
            }
            struct doc_value masked =
                str_eq(key, STR("time")) && doc_is(member, DOC_STRING)
                    ? doc_make_str(mask_time(run, doc_str(member)))
                    : mask(run, member, managed || str_eq(key, STR("fieldsV1")));
            doc_object_set(&out, mask_text(run, key), masked);
        }
        return doc_object_done(&out);
    }
    if (doc_is(value, DOC_ARRAY)) {
        struct doc_array out = doc_array_start(arena);
        for (DOC_EACH_ITEM(value, item)) {
            doc_array_add(&out, mask(run, item, managed));
        }
        return doc_array_done(&out);
    }
    return doc_is(value, DOC_STRING) ? doc_make_str(mask_text(run, doc_str(value))) : *value;
}

static struct doc_value without_ignored(struct run *run, struct doc_value answer) {
    for (DOC_EACH_ITEM(doc_get(run->test, "ignore"), path)) {
        const char *keys[8] = {NULL};
        size_t n = 0;
        struct str rest = doc_str(path), part;
        while (n < 7 && rest.n && str_next(&rest, '.', &part)) {
            keys[n++] = arena_cstr(run->rig->arena, part);
        }
        if (!str_eq(doc_get_str(&answer, "kind"), STR("Status")) && doc_get_path(&answer, keys)) {
            answer = doc_without_path(run->rig->arena, &answer, keys);
        }
    }
    return answer;
}

// ---- Requests ----
static void finish(struct api_op *op) {
    struct run *run = op->ctx;
    struct blob *body = api_op_body(op);
    run->rig->status = op->status;
    run->rig->body = arena_dup(run->rig->arena, blob_str(body));
    blob_unref(body);
    run->done = true;
    api_op_destroy(op);
}

static void send(struct run *run, const struct doc_value *step) {
    struct rig *rig = run->rig;
    struct arena *arena = rig->arena;
    struct str method, path, query = {NULL, 0}, line = doc_get_str(step, "do");
    assert_true(str_cut(line, ' ', &method, &path));
    path = unmask_text(run, path);
    str_cut(path, '?', &path, &query);
    const struct doc_value *body = doc_get(step, "body");
    struct str text = doc_is(body, DOC_STRING) ? doc_str(body)
                      : body                   ? doc_to_json(arena, body)
                                               : (struct str){NULL, 0};
    struct api_op *op = api_op_create(rig->server, finish);
    op->ctx = run;
    bool ok = api_request_parse(op->arena, method, path, query, &op->request, &op->error);
    op->request.body = unmask_text(run, text);
    struct str type = doc_get_str(step, "type");
    ok =
        ok && (!body || api_request_content_type(op->arena, type.n ? type : STR("application/json"),
                                                 &op->request, &op->error));
    const struct doc_value *agent = doc_get(step, "agent");
    op->user_agent = agent ? doc_str(agent) : STR("record/1");
    run->done = false;
    if (ok) {
        api_op_run(op);
    } else {
        api_op_fill_error(op);
        api_op_ready(op);
    }
    for (int i = 0; i < 100 && !run->done; i++) {
        sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000);
    }
    assert_true(run->done);
}

static bool check_step(struct run *run, const char *name, const struct doc_value *step) {
    char label[256];
    snprintf(label, sizeof label, "%s, step %zu", name, run->step);
    send(run, step);
    if (doc_bool(doc_get(step, "cleanup"), false)) {
        return true;
    }
    struct doc_value answer = rig_value(run->rig);
    note_uid(run, doc_get_str(&answer, "metadata", "uid"));
    answer = mask(run, &answer, false);
    answer = without_ignored(run, answer);
    const struct doc_value *want = doc_get(step, "answer");
    int64_t status = doc_int(doc_get(step, "status"), 0);
    if (status != run->rig->status) {
        fprintf(stderr, "%s: status %d, expected %d: %.*s\n", label, run->rig->status, (int)status,
                STR_ARG(doc_to_json(run->rig->arena, &answer)));
        return false;
    }
    return golden_compare(run->rig->arena, label, &answer, want);
}

static struct rig *rig_with_kinds(void) {
    struct rig *rig = rig_create();
    struct doc_value crds;
    assert_true(golden_read(rig->arena, ".", ".", "_crds.json", &crds));
    for (DOC_EACH_ITEM(&crds, crd)) {
        struct str text = doc_to_json(rig->arena, crd);
        assert_int_equal(rig_create_object(rig, "apiextensions.k8s.io/v1/customresourcedefinitions",
                                           "", arena_cstr(rig->arena, text)),
                         201);
    }
    assert_int_equal(rig_create_object(rig, "namespaces", "",
                                       "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
                                       "\"metadata\":{\"name\":\"" NAMESPACE "\"}}"),
                     201);
    rig_settle(rig);
    return rig;
}

static bool check_case(const char *folder, const char *name) {
    struct rig *rig = rig_with_kinds();
    struct doc_value test;
    struct run run = {.rig = rig, .test = &test};
    bool ok = golden_read(rig->arena, folder, ".", name, &test);
    for (DOC_EACH_ITEM(doc_get(&test, "steps"), step)) {
        assert_true(run.step < STEPS_MOST);
        run.starts[run.step] = loop_wall(rig->loop);
        ok &= check_step(&run, name, step);
        sim_loop_run(rig->loop, loop_now(rig->loop) + STEP_NS);
        run.step++;
    }
    rig_destroy(rig);
    return ok;
}

static bool check_managed(const char *name) {
    return check_case("managed", name);
}

static bool check_patch(const char *name) {
    return check_case("patch", name);
}

static void test_managed(void **state) {
    (void)state;
    size_t count;
    assert_int_equal(golden_each("managed", check_managed, &count), 0);
    assert_true(count > 100);
}

static void test_patch(void **state) {
    (void)state;
    size_t count;
    assert_int_equal(golden_each("patch", check_patch, &count), 0);
    assert_true(count > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_managed),
        cmocka_unit_test(test_patch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
