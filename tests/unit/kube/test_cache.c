// SPDX-License-Identifier: Apache-2.0
// The cache over a client whose answers the test writes, on the deterministic loop: what a server may do to a watcher.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "fake_client.h"
#include "kube/cache.h"

static const struct kube_gvr pods = {.version = STR_INIT("v1"), .resource = STR_INIT("pods")};
static const struct kube_gvr jobs = {
    .group = STR_INIT("batch"), .version = STR_INIT("v1"), .resource = STR_INIT("jobs")};

struct world {
    struct loop *loop;
    struct fake_client *fake;
    struct kube_cache *cache;
    struct arena *arena;
    char log[8192]; // "+a -b ~c" with a "!" before it during the first list
    size_t log_len;
    unsigned well, failed;
    struct err last_error;
    int64_t now;
    bool unwant_on_change;
};

static void note(struct world *w, const char *text, struct str name) {
    w->log_len += (size_t)snprintf(w->log + w->log_len, sizeof w->log - w->log_len, "%s%s%.*s",
                                   w->log_len ? " " : "", text, STR_ARG(name));
}

static void on_change(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                      const struct kube_object *after, bool initial) {
    struct world *w = ctx;
    if (!before) {
        note(w, initial ? "!+" : "+", after->name);
    } else if (!after) {
        note(w, initial ? "!-" : "-", before->name);
    } else {
        assert_true(str_eq(before->name, after->name));
        note(w, initial ? "!~" : "~", after->name);
    }
    if (w->unwant_on_change) {
        w->unwant_on_change = false;
        kube_cache_unwant(w->cache, gvr, STR(""), STR(""));
    }
}

static void on_kind(void *ctx, const struct kube_gvr *gvr, const struct err *error) {
    struct world *w = ctx;
    if (error) {
        w->failed++;
        w->last_error = *error;
    } else {
        w->well++;
    }
}

static struct str extract(void *ctx, const struct kube_gvr *gvr, const struct doc_value *object,
                          struct arena *arena) {
    return doc_get_str(object, "metadata", "labels", "app");
}

static struct world *make_world(bool peek) {
    struct world *w = NEW(struct world);
    w->loop = sim_loop_create(7);
    w->fake = fake_create(w->loop, peek);
    w->arena = arena_create();
    struct kube_cache_options options = {extract, on_change, on_kind, w};
    w->cache = kube_cache_create(w->loop, &w->fake->client, &options);
    return w;
}

static int setup(void **state) {
    struct err err = {0};
    assert_true(log_configure(STR("off"), false, &err));
    *state = make_world(false);
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    kube_cache_destroy(w->cache);
    kube_client_destroy(&w->fake->client);
    sim_loop_destroy(w->loop);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void run_for(struct world *w, int64_t ns) {
    w->now += ns;
    sim_loop_run(w->loop, w->now);
}

static void expect_log(struct world *w, const char *want) {
    assert_string_equal(w->log_len ? w->log : "", want);
    w->log_len = 0;
    w->log[0] = '\0';
}

static struct str object(struct world *w, const char *name, unsigned version) {
    return arena_printf(
        w->arena,
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
        "\"ns\","
        "\"uid\":\"u-%s\",\"resourceVersion\":\"%u\",\"labels\":{\"app\":\"web\"},"
        "\"managedFields\":[{\"manager\":\"x\",\"fieldsV1\":{\"f:a\":{\"]}\":{}}}}]},\"spec\":{}}",
        name, name, version);
}

// "a:5 b:6" to a list at `version`, with items as typed lists have them: without kind.
static struct str list(struct world *w, const char *items, unsigned version, const char *next) {
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_printf(
        &out,
        "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%u\","
        "\"continue\":\"%s\"},\"items\":[",
        version, next);
    struct str rest = str_from(items), item, name, number;
    bool first = true;
    while (str_next(&rest, ' ', &item)) {
        str_cut(item, ':', &name, &number);
        buf_printf(&out,
                   "%s{\"metadata\":{\"name\":\"%.*s\",\"namespace\":\"ns\",\"uid\":\"u-%.*s\","
                   "\"resourceVersion\":\"%.*s\",\"labels\":{\"app\":\"web\"}},\"spec\":{}}",
                   first ? "" : ",", STR_ARG(name), STR_ARG(name), STR_ARG(number));
        first = false;
    }
    buf_add_c(&out, "]}");
    struct str text = arena_dup(w->arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static void answer(struct world *w, int status, struct str body) {
    struct fake_call *call = fake_first(w->fake, false);
    assert_non_null(call);
    fake_reply(w->fake, call, status, body, 0);
}

static void event(struct world *w, enum kube_event type, struct str text) {
    struct fake_call *watch = fake_first(w->fake, true);
    assert_non_null(watch);
    watch->handler.on_event(watch->handler.ctx, type, text, NULL);
}

static void expect_watch_from(struct world *w, const char *version) {
    struct fake_call *watch = fake_first(w->fake, true);
    assert_non_null(watch);
    assert_string_equal(arena_cstr(w->arena, watch->request.resource_version), version);
}

// Wants pods, answers with "a:5 b:6" at version 10, has the watch open.
static void follow(struct world *w) {
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 200, list(w, "a:5 b:6", 10, ""));
    run_for(w, NS_PER_MS);
    expect_log(w, "!+a !+b");
    expect_watch_from(w, "10");
}

static const struct kube_object *find(struct world *w, const char *name) {
    return kube_cache_find(w->cache, &pods, STR("ns"), str_from(name));
}

static void assert_version(struct world *w, const char *name, const char *version) {
    const struct kube_object *o = find(w, name);
    assert_non_null(o);
    assert_string_equal(arena_cstr(w->arena, o->resource_version), version);
}

static void test_list_and_watch(void **state) {
    struct world *w = *state;
    assert_false(kube_cache_is_synced(w->cache, &pods));
    follow(w);
    assert_true(kube_cache_is_synced(w->cache, &pods));
    assert_int_equal(w->well, 1);
    assert_int_equal(kube_cache_count(w->cache), 2);
    event(w, KUBE_ADDED, object(w, "c", 11));
    event(w, KUBE_MODIFIED, object(w, "a", 12));
    event(w, KUBE_DELETED, object(w, "b", 13));
    expect_log(w, "+c ~a -b");
    assert_version(w, "a", "12");
    assert_null(find(w, "b"));
    assert_int_equal(kube_cache_count(w->cache), 2);
    assert_true(str_eq(find(w, "a")->uid, STR("u-a")));
    assert_true(str_eq(find(w, "a")->tag, STR("web")));
    assert_null(kube_cache_find(w->cache, &jobs, STR("ns"), STR("a")));
}

static void test_texts_are_trimmed_and_whole(void **state) {
    struct world *w = *state;
    follow(w);
    AUTO(blob_unref) struct blob *listed = kube_cache_text(w->cache, &pods, STR("ns"), STR("a"));
    uint64_t hash = find(w, "a")->hash;
    struct doc_value root;
    struct err err = {0};
    assert_true(doc_parse_json(blob_str(listed), w->arena, &root, &err));
    assert_true(str_eq(doc_get_str(&root, "kind"), STR("Pod"))); // the list said so
    assert_true(str_eq(doc_get_str(&root, "apiVersion"), STR("v1")));
    // The same object by the watch, with managedFields: another version, then the old text again.
    event(w, KUBE_MODIFIED, object(w, "a", 12));
    AUTO(blob_unref) struct blob *watched = kube_cache_text(w->cache, &pods, STR("ns"), STR("a"));
    assert_false(str_has(blob_str(watched), STR("managedFields")));
    assert_true(doc_parse_json(blob_str(watched), w->arena, &root, &err));
    assert_true(str_eq(doc_get_str(&root, "metadata", "name"), STR("a")));
    assert_true(find(w, "a")->hash != hash);
    assert_null(kube_cache_text(w->cache, &pods, STR("ns"), STR("nobody")));
}

static void test_pages(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR("ns"), STR("app=web"));
    run_for(w, NS_PER_MS);
    struct fake_call *call = fake_first(w->fake, false);
    assert_true(str_eq(call->request.ns, STR("ns")));
    assert_true(str_eq(call->request.label_selector, STR("app=web")));
    assert_int_equal(call->request.limit, 500);
    answer(w, 200, list(w, "a:5", 10, "token-1"));
    run_for(w, NS_PER_MS);
    assert_false(kube_cache_is_synced(w->cache, &pods));
    assert_true(str_eq(fake_first(w->fake, false)->request.continue_token, STR("token-1")));
    answer(w, 200, list(w, "b:6", 10, ""));
    run_for(w, NS_PER_MS);
    expect_log(w, "!+a !+b");
    assert_true(kube_cache_is_synced(w->cache, &pods));
    expect_watch_from(w, "10");
}

static const char expired[] =
    "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\",\"code\":410}";

static void test_expired_page_lists_again(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 200, list(w, "a:5 gone:5", 10, "token-1"));
    run_for(w, NS_PER_MS);
    answer(w, 410, str_from(expired));
    run_for(w, NS_PER_MS);
    assert_int_equal(fake_first(w->fake, false)->request.continue_token.n, 0);
    answer(w, 200, list(w, "a:5 b:20", 21, ""));
    run_for(w, NS_PER_MS);
    expect_log(w, "!+a !+gone !+b !-gone");
    expect_watch_from(w, "21");
    assert_int_equal(w->failed, 0);
}

static void test_plain_end_resumes_without_a_list(void **state) {
    struct world *w = *state;
    follow(w);
    event(w, KUBE_MODIFIED, object(w, "a", 17));
    fake_end(w->fake, fake_first(w->fake, true), ERR_NONE);
    run_for(w, NS_PER_SECOND);
    expect_watch_from(w, "17");
    event(
        w, KUBE_BOOKMARK,
        STR("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"99\"}}"));
    fake_end(w->fake, fake_first(w->fake, true), ERR_UNAVAILABLE);
    run_for(w, 5 * NS_PER_SECOND);
    expect_watch_from(w, "99");
    assert_int_equal(w->fake->lists, 1);
    expect_log(w, "~a");
    assert_int_equal(w->failed, 0);
}

static void test_gone_lists_again_with_a_difference(void **state) {
    struct world *w = *state;
    follow(w);
    event(w, KUBE_ERROR, str_from(expired));
    run_for(w, NS_PER_SECOND);
    assert_null(fake_first(w->fake, true));
    answer(w, 200, list(w, "a:5 c:30", 31, ""));
    run_for(w, NS_PER_SECOND);
    expect_log(w, "+c -b");
    expect_watch_from(w, "31");
    // The other way to say it: the stream ends with it.
    fake_end(w->fake, fake_first(w->fake, true), ERR_GONE);
    run_for(w, 5 * NS_PER_SECOND);
    assert_int_equal(w->fake->lists, 3);
    answer(w, 200, list(w, "a:5 c:30", 40, ""));
    run_for(w, NS_PER_SECOND);
    expect_log(w, "");
    expect_watch_from(w, "40");
}

static void test_endless_gone_backs_off(void **state) {
    struct world *w = *state;
    follow(w);
    for (int i = 0; i < 1000 && w->now < 600 * NS_PER_SECOND; i++) {
        struct fake_call *watch = fake_first(w->fake, true), *call = fake_first(w->fake, false);
        if (watch) {
            fake_end(w->fake, watch, ERR_GONE);
        } else if (call) {
            answer(w, 200, list(w, "a:5", 10, ""));
        }
        run_for(w, NS_PER_SECOND);
    }
    assert_in_range(w->fake->lists, 10, 60); // ten minutes at up to half a minute each
}

// Ends the watch as soon as it is there again, `times` times.
static void break_watches(struct world *w, int times) {
    for (int i = 0; i < times; i++) {
        for (int j = 0; j < 600 && !fake_first(w->fake, true); j++) {
            run_for(w, 100 * NS_PER_MS);
        }
        assert_non_null(fake_first(w->fake, true));
        fake_end(w->fake, fake_first(w->fake, true), ERR_TIMEOUT);
    }
}

static void test_failing_resumes_end_in_a_list(void **state) {
    struct world *w = *state;
    follow(w);
    break_watches(w, 6);
    run_for(w, 60 * NS_PER_SECOND);
    assert_null(fake_first(w->fake, true));
    assert_true(w->failed > 0);                // somebody was told
    answer(w, 200, list(w, "a:5 b:6", 3, "")); // a restored server: its versions went back
    run_for(w, NS_PER_SECOND);
    assert_null(kube_cache_error(w->cache, &pods));
    assert_int_equal(w->well, 2);
    expect_watch_from(w, "3");
}

static void test_quiet_watch_heals_the_error(void **state) {
    struct world *w = *state;
    follow(w);
    break_watches(w, 3);
    assert_true(w->failed > 0);
    assert_non_null(kube_cache_error(w->cache, &pods));
    run_for(w, 60 * NS_PER_SECOND);
    // The last rest is over and the fourth watch has lived: no event came, but it holds.
    assert_int_equal(w->well, 2);
    assert_null(kube_cache_error(w->cache, &pods));
}

static void test_too_many_requests_waits_as_told(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    fake_reply(w->fake, fake_first(w->fake, false), 429,
               STR("{\"kind\":\"Status\",\"reason\":\"TooManyRequests\"}"), 20 * NS_PER_SECOND);
    run_for(w, 19 * NS_PER_SECOND);
    assert_null(fake_first(w->fake, false));
    assert_int_equal(kube_cache_error(w->cache, &pods)->code, ERR_UNAVAILABLE);
    run_for(w, 2 * NS_PER_SECOND);
    assert_non_null(fake_first(w->fake, false));
}

static void test_lost_connection_backs_off(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    for (int i = 0; i < 600; i++) {
        run_for(w, NS_PER_SECOND);
        if (fake_first(w->fake, false)) {
            answer(w, 0, STR(""));
        }
    }
    assert_in_range(w->fake->lists, 15, 50);
    run_for(w, 60 * NS_PER_SECOND);
    answer(w, 200, list(w, "a:5", 10, ""));
    run_for(w, NS_PER_SECOND);
    assert_true(kube_cache_is_synced(w->cache, &pods));
    assert_int_equal(w->well, 1);
    assert_null(kube_cache_error(w->cache, &pods));
}

// The mark of a list has few bits: failing lists for days must not make an old entry look new.
static void test_days_of_failing_lists(void **state) {
    struct world *w = *state;
    follow(w);
    fake_end(w->fake, fake_first(w->fake, true), ERR_GONE);
    for (int i = 0; i < 17000;) {
        run_for(w, 50 * NS_PER_SECOND);
        if (fake_first(w->fake, false)) {
            answer(w, 500, STR(""));
            i++;
        }
    }
    run_for(w, 60 * NS_PER_SECOND);
    answer(w, 200, list(w, "a:5", 90, ""));
    expect_log(w, "-b");
    assert_int_equal(kube_cache_count(w->cache), 1);
}

static void test_refused_kinds_are_asked_seldom(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 403, STR("{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\"}"));
    assert_false(kube_cache_is_synced(w->cache, &pods));
    assert_int_equal(kube_cache_error(w->cache, &pods)->code, ERR_FORBIDDEN);
    unsigned asked = 0;
    for (int second = 0; second < 600; second++) {
        run_for(w, NS_PER_SECOND);
        if (fake_first(w->fake, false)) {
            asked++;
            answer(w, 403, STR("{\"kind\":\"Status\",\"reason\":\"Forbidden\"}"));
        }
    }
    assert_in_range(asked, 10, 25); // seven at first, then one a minute
    run_for(w, 90 * NS_PER_SECOND);
    answer(w, 200, list(w, "a:5", 10, ""));
    run_for(w, NS_PER_SECOND);
    assert_true(kube_cache_is_synced(w->cache, &pods));
}

static void test_kind_that_vanished(void **state) {
    struct world *w = *state;
    follow(w);
    fake_end(w->fake, fake_first(w->fake, true), ERR_NOT_FOUND);
    run_for(w, 5 * NS_PER_SECOND);
    answer(w, 404, STR("404 page not found"));
    run_for(w, NS_PER_SECOND);
    assert_int_equal(kube_cache_count(w->cache), 0);
    assert_false(kube_cache_is_synced(w->cache, &pods));
    assert_int_equal(kube_cache_error(w->cache, &pods)->code, ERR_NOT_FOUND);
    assert_int_equal(w->log_len, strlen("-a -b"));
}

static void test_duplicates_and_old_events(void **state) {
    struct world *w = *state;
    follow(w);
    event(w, KUBE_MODIFIED, object(w, "a", 12));
    event(w, KUBE_MODIFIED, object(w, "a", 12)); // twice
    event(w, KUBE_MODIFIED, object(w, "a", 11)); // out of order
    event(w, KUBE_DELETED, object(w, "nobody", 13));
    expect_log(w, "~a");
    assert_version(w, "a", "12");
}

static void test_broken_events_list_again(void **state) {
    static const char *const broken[] = {
        "{\"metadata\":{}}",
        "{\"metadata\":{\"name\":\"x\"}",
        "[]",
        "{\"metadata\":{\"name\":[}}}",
    };
    struct world *w = *state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        if (i == 0) {
            follow(w);
        }
        unsigned watches = w->fake->watches;
        event(w, KUBE_ADDED, str_from(broken[i]));
        run_for(w, 60 * NS_PER_SECOND);
        if (fake_first(w->fake, false)) {
            answer(w, 200, list(w, "a:5 b:6", 10, ""));
            run_for(w, NS_PER_SECOND);
        }
        assert_int_equal(w->fake->watches, watches + 1);
        assert_int_equal(kube_cache_count(w->cache), 2);
    }
}

static void test_own_writes(void **state) {
    struct world *w = *state;
    follow(w);
    kube_cache_note(w->cache, &pods, object(w, "a", 15), NULL);
    kube_cache_note(w->cache, &pods, object(w, "new", 16), NULL);
    expect_log(w, "~a +new");
    event(w, KUBE_MODIFIED, object(w, "a", 12)); // older than what we wrote
    assert_version(w, "a", "15");
    event(w, KUBE_MODIFIED, object(w, "a", 15));
    event(w, KUBE_ADDED, object(w, "new", 16));
    expect_log(w, "");
    event(w, KUBE_DELETED, object(w, "new", 17));
    expect_log(w, "-new");
    kube_cache_note(w->cache, &pods, object(w, "new", 16),
                    NULL); // the reply came after the deletion
    assert_null(find(w, "new"));
    kube_cache_note(w->cache, &jobs, object(w, "a", 99), NULL); // a kind nobody wants
    kube_cache_note(w->cache, &pods, STR("{\"kind\":\"Status\"}"), NULL);
    expect_log(w, "");
}

static void test_own_writes_during_a_list(void **state) {
    struct world *w = *state;
    follow(w);
    fake_end(w->fake, fake_first(w->fake, true), ERR_GONE);
    run_for(w, NS_PER_SECOND);
    kube_cache_note(w->cache, &pods, object(w, "a", 50), NULL);
    kube_cache_note(w->cache, &pods, object(w, "later", 51), NULL);
    kube_cache_note(w->cache, &pods, object(w, "deleted", 20), NULL);
    // The list is of version 40: it shows the old a, knows nothing of "later", and "deleted" is over.
    answer(w, 200, list(w, "a:39 b:6", 40, ""));
    run_for(w, NS_PER_SECOND);
    assert_version(w, "a", "50");
    assert_version(w, "later", "51");
    assert_null(find(w, "deleted"));
    expect_log(w, "~a +later +deleted -deleted");
}

static void test_recreated_object(void **state) {
    struct world *w = *state;
    follow(w);
    // We made the next "a" and know it already; the end of the first one comes late.
    struct str next = STR("{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\",\"uid\":\"other\","
                          "\"resourceVersion\":\"20\"}}");
    kube_cache_note(w->cache, &pods, next, NULL);
    event(w, KUBE_DELETED, object(w, "a", 19));
    assert_true(str_eq(find(w, "a")->uid, STR("other")));
    event(w, KUBE_ADDED, next);
    expect_log(w, "~a");
}

static void test_tags(void **state) {
    struct world *w = *state;
    follow(w);
    kube_cache_want(w->cache, &jobs, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 200, list(w, "j:7", 10, ""));
    run_for(w, NS_PER_MS);
    size_t iter = 0, n = 0, job_count = 0;
    struct kube_cache_ref ref;
    while (kube_cache_next_tagged(w->cache, STR("web"), &iter, &ref)) {
        n++;
        job_count += str_eq(ref.gvr.resource, STR("jobs"));
    }
    assert_int_equal(n, 3);
    assert_int_equal(job_count, 1);
    event(w, KUBE_MODIFIED,
          STR("{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\",\"uid\":\"u-a\","
              "\"resourceVersion\":\"30\",\"labels\":{\"app\":\"db\"}}}"));
    iter = n = 0;
    while (kube_cache_next_tagged(w->cache, STR("web"), &iter, &ref)) {
        n++;
    }
    assert_int_equal(n, 2);
    iter = 0;
    assert_true(kube_cache_next_tagged(w->cache, STR("db"), &iter, &ref));
    assert_true(str_eq(ref.object->name, STR("a")));
    assert_false(kube_cache_next_tagged(w->cache, STR("db"), &iter, &ref));
    iter = 0;
    assert_false(kube_cache_next_tagged(w->cache, STR("none"), &iter, &ref));
}

static void test_interest_is_counted(void **state) {
    struct world *w = *state;
    follow(w);
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    assert_int_equal(w->fake->lists, 1);
    kube_cache_unwant(w->cache, &pods, STR(""), STR(""));
    assert_non_null(find(w, "a"));
    kube_cache_unwant(w->cache, &pods, STR(""), STR(""));
    assert_null(find(w, "a"));
    assert_int_equal(kube_cache_count(w->cache), 0);
    struct kube_cache_ref ref;
    size_t iter = 0;
    assert_false(kube_cache_next_tagged(w->cache, STR("web"), &iter, &ref));
    run_for(w, NS_PER_SECOND);
    assert_int_equal(w->fake->open.len, 0); // the watch was cancelled
    assert_false(kube_cache_is_synced(w->cache, &pods));
    kube_cache_unwant(w->cache, &pods, STR(""), STR("")); // once too often
    w->log_len = 0;
    follow(w);
}

static void test_unwant_inside_a_change(void **state) {
    struct world *w = *state;
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    w->unwant_on_change = true;
    answer(w, 200, list(w, "a:5 b:6", 10, ""));
    run_for(w, NS_PER_SECOND);
    expect_log(w, "!+a");
    assert_int_equal(kube_cache_count(w->cache), 0);
    assert_int_equal(w->fake->open.len, 0);
}

static void test_few_lists_at_once(void **state) {
    struct world *w = *state;
    char names[20][8];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        struct kube_gvr gvr = {STR("x.io"), STR("v1"), str_from(names[i])};
        kube_cache_want(w->cache, &gvr, STR(""), STR(""));
    }
    run_for(w, NS_PER_MS);
    assert_int_equal(w->fake->open.len, 4);
    for (int i = 0; i < 19; i++) {
        if (i % 5 == 4) {
            answer(w, 500, STR("")); // gives up its place as well
        } else {
            answer(w, 200, list(w, "a:5", 10, ""));
        }
    }
    struct kube_gvr last = {STR("x.io"), STR("v1"), STR("k19")};
    kube_cache_unwant(w->cache, &last, STR(""), STR(""));
    run_for(w, 5 * NS_PER_SECOND);
    while (fake_first(w->fake, false)) {
        answer(w, 200, list(w, "a:5", 10, ""));
        run_for(w, NS_PER_MS);
    }
    assert_int_equal(kube_cache_count(w->cache), 19);
}

static void test_peek_keeps_no_text(void **state) {
    struct world *w = *state;
    teardown(state);
    w = make_world(true);
    *state = w;
    follow(w);
    assert_null(kube_cache_text(w->cache, &pods, STR("ns"), STR("a")));
    w->fake->peeked = blob_create(object(w, "a", 5));
    AUTO(blob_unref) struct blob *text = kube_cache_text(w->cache, &pods, STR("ns"), STR("a"));
    assert_non_null(text);
    assert_false(str_has(blob_str(text), STR("managedFields")));
    assert_true(str_has(blob_str(text), STR("\"name\":\"a\"")));
}

static void test_shared_text_is_not_copied(void **state) {
    struct world *w = *state;
    follow(w);
    AUTO(blob_unref)
    struct blob *blob =
        blob_create(STR("{\"metadata\":{\"name\":\"s\",\"resourceVersion\":\"11\"}}"));
    struct fake_call *watch = fake_first(w->fake, true);
    watch->handler.on_event(watch->handler.ctx, KUBE_ADDED, blob_str(blob), blob);
    AUTO(blob_unref) struct blob *text = kube_cache_text(w->cache, &pods, STR(""), STR("s"));
    assert_ptr_equal(text, blob);
}

static void test_overlapping_scopes(void **state) {
    struct world *w = *state;
    follow(w);
    kube_cache_want(w->cache, &pods, STR("ns"), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 200, list(w, "a:5 c:7", 10, ""));
    run_for(w, NS_PER_MS);
    size_t iter = 0, n = 0;
    const struct kube_object *o;
    while (kube_cache_next(w->cache, &pods, &iter, &o)) {
        n++;
    }
    assert_int_equal(n, 3);
}

// Random churn against a model: what the cache holds at the end is what the server held.
static void test_churn(void **state) {
    struct world *w = *state;
    enum { NAMES = 300 };
    static unsigned version_of[NAMES];
    memset(version_of, 0, sizeof version_of);
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    run_for(w, NS_PER_MS);
    answer(w, 200, list(w, "", 1, ""));
    unsigned version = 1;
    uint64_t random = 88172645463325252ULL;
    for (int step = 0; step < 20000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        unsigned i = (unsigned)(random % NAMES);
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        arena_reset(w->arena);
        struct str text = object(w, name, ++version);
        if (version_of[i] && random >> 60 < 8) {
            event(w, KUBE_DELETED, text);
            version_of[i] = 0;
        } else {
            event(w, version_of[i] ? KUBE_MODIFIED : KUBE_ADDED, text);
            version_of[i] = version;
        }
        w->log_len = 0;
    }
    size_t live = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[16], number[16];
        snprintf(name, sizeof name, "n%u", i);
        snprintf(number, sizeof number, "%u", version_of[i]);
        if (version_of[i]) {
            live++;
            assert_version(w, name, number);
        } else {
            assert_null(find(w, name));
        }
    }
    assert_int_equal(kube_cache_count(w->cache), live);
    size_t iter = 0, tagged = 0;
    struct kube_cache_ref ref;
    while (kube_cache_next_tagged(w->cache, STR("web"), &iter, &ref)) {
        tagged++;
    }
    assert_int_equal(tagged, live);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_list_and_watch),
        T(test_texts_are_trimmed_and_whole),
        T(test_pages),
        T(test_expired_page_lists_again),
        T(test_plain_end_resumes_without_a_list),
        T(test_gone_lists_again_with_a_difference),
        T(test_endless_gone_backs_off),
        T(test_failing_resumes_end_in_a_list),
        T(test_quiet_watch_heals_the_error),
        T(test_too_many_requests_waits_as_told),
        T(test_lost_connection_backs_off),
        T(test_days_of_failing_lists),
        T(test_refused_kinds_are_asked_seldom),
        T(test_kind_that_vanished),
        T(test_duplicates_and_old_events),
        T(test_broken_events_list_again),
        T(test_own_writes),
        T(test_own_writes_during_a_list),
        T(test_recreated_object),
        T(test_tags),
        T(test_interest_is_counted),
        T(test_unwant_inside_a_change),
        T(test_few_lists_at_once),
        T(test_peek_keeps_no_text),
        T(test_shared_text_is_not_copied),
        T(test_overlapping_scopes),
        T(test_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
