// SPDX-License-Identifier: Apache-2.0
// The cache against a model of a server with history, compaction, pages of old snapshots, broken streams, refusals and own
// writes whose replies come late. Whatever the seed does, when the faults stop the cache holds what the server holds, and the
// changes it told add up to the same.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/log.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "fake_client.h"
#include "kube/cache.h"

static const struct kube_gvr pods = {.version = STR_INIT("v1"), .resource = STR_INIT("pods")};

enum { NAMES = 12, HISTORY = 4000, SNAPSHOTS = 400, PAGE = 4 };

struct state {
    unsigned version, uid; // version 0: absent
};

struct world {
    struct loop *loop;
    struct fake_client *fake;
    struct kube_cache *cache;
    struct arena *arena;
    uint64_t random;
    unsigned version, compacted, last_uid;
    struct state now[NAMES];
    struct change {
        unsigned version, name;
        enum kube_event type;
        struct state state;
    } history[HISTORY];
    unsigned changes;
    struct snapshot {
        unsigned version;
        struct state objects[NAMES];
    } snapshots[SNAPSHOTS];
    unsigned snapshot_count;
    unsigned told[NAMES]; // the versions that on_change left behind
    struct str late;      // the reply of an own write, not noted yet
    bool faults;
};

static unsigned roll(struct world *w, unsigned below) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)((w->random >> 20) % below);
}

static unsigned number_of(struct str s) {
    int64_t n = 0;
    assert_true(str_to_int64(s, &n));
    return (unsigned)n;
}

static void on_change(void *ctx, const struct kube_gvr *gvr, const struct kube_object *before,
                      const struct kube_object *after, bool initial) {
    struct world *w = ctx;
    unsigned name = number_of(str_skip((before ? before : after)->name, 1));
    assert_int_equal(w->told[name], before ? number_of(before->resource_version) : 0);
    w->told[name] = after ? number_of(after->resource_version) : 0;
}

static struct str text_of(struct world *w, unsigned name, struct state state) {
    return arena_printf(w->arena,
                        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n%u\","
                        "\"uid\":\"%u\",\"resourceVersion\":\"%u\"}}",
                        name, state.uid, state.version);
}

static void mutate(struct world *w) {
    if (w->changes == HISTORY) {
        return;
    }
    unsigned name = roll(w, NAMES);
    struct state *state = &w->now[name];
    struct change *change = &w->history[w->changes++];
    change->version = ++w->version;
    change->name = name;
    change->type = !state->version ? KUBE_ADDED : roll(w, 3) == 0 ? KUBE_DELETED : KUBE_MODIFIED;
    if (change->type == KUBE_ADDED) {
        state->uid = ++w->last_uid;
    }
    state->version = w->version;
    change->state = *state; // a deletion carries the version of the deletion
    if (change->type == KUBE_DELETED) {
        state->version = 0;
    } else if (roll(w, 3) == 0) { // it was our own write: its reply comes now or later
        struct str text = text_of(w, name, *state);
        if (roll(w, 2)) {
            kube_cache_note(w->cache, &pods, text, NULL);
        } else {
            w->late = text;
        }
    }
}

static void answer_list(struct world *w, struct fake_call *call) {
    unsigned index, offset = 0;
    if (call->request.continue_token.n) {
        struct str a, b;
        str_cut(call->request.continue_token, ':', &a, &b);
        index = number_of(a);
        offset = number_of(b);
    } else {
        index = w->snapshot_count < SNAPSHOTS ? w->snapshot_count++ : SNAPSHOTS - 1;
        w->snapshots[index].version = w->version;
        memcpy(w->snapshots[index].objects, w->now, sizeof w->now);
    }
    struct snapshot *snapshot = &w->snapshots[index];
    unsigned fault = w->faults ? roll(w, 10) : 9;
    if (fault < 2) {
        fake_reply(w->fake, call, fault ? 0 : 500, STR(""), 0);
        return;
    }
    if (offset && snapshot->version < w->compacted) {
        fake_reply(w->fake, call, 410, STR("{\"kind\":\"Status\",\"reason\":\"Expired\"}"), 0);
        return;
    }
    struct buf out;
    buf_init(&out, 1 << 16);
    unsigned end = offset + PAGE < NAMES ? offset + PAGE : NAMES;
    buf_printf(
        &out,
        "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%u\"",
        snapshot->version);
    if (end < NAMES) {
        buf_printf(&out, ",\"continue\":\"%u:%u\"", index, end);
    }
    buf_add_c(&out, "},\"items\":[");
    bool first = true;
    for (unsigned i = offset; i < end; i++) {
        if (snapshot->objects[i].version) {
            struct str text = text_of(w, i, snapshot->objects[i]);
            buf_printf(&out, "%s%.*s", first ? "" : ",", STR_ARG(text));
            first = false;
        }
    }
    buf_add_c(&out, "]}");
    struct str body = arena_dup(w->arena, buf_str(&out));
    buf_fini(&out);
    fake_reply(w->fake, call, 200, body, 0);
}

// Sends what the watch has not seen, up to `most` events. Where it stands is kept in the request's limit.
static void serve_watch(struct world *w, struct fake_call *call, unsigned most) {
    unsigned from = number_of(call->request.resource_version);
    if (call->request.limit == 0) {
        call->request.limit = from + 1;
    }
    if (from < w->compacted && call->request.limit == from + 1) {
        if (roll(w, 2)) {
            fake_end(w->fake, call, ERR_GONE);
        } else {
            call->handler.on_event(call->handler.ctx, KUBE_ERROR,
                                   STR("{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}"),
                                   NULL);
        }
        return;
    }
    for (unsigned i = 0; i < w->changes && most > 0 && !call->cancelled; i++) {
        const struct change *change = &w->history[i];
        if (change->version < call->request.limit) {
            continue;
        }
        call->request.limit = change->version + 1;
        most--;
        call->handler.on_event(call->handler.ctx, change->type,
                               text_of(w, change->name, change->state), NULL);
        if (w->faults && roll(w, 8) == 0) { // the same again
            call->handler.on_event(call->handler.ctx, change->type,
                                   text_of(w, change->name, change->state), NULL);
        }
    }
    if (!call->cancelled && roll(w, 4) == 0 && call->request.limit > w->version) {
        struct str bookmark = arena_printf(
            w->arena, "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"%u\"}}", w->version);
        call->handler.on_event(call->handler.ctx, KUBE_BOOKMARK, bookmark, NULL);
    }
}

static void step(struct world *w, int64_t *now) {
    struct fake_call *list = fake_first(w->fake, false), *watch = fake_first(w->fake, true);
    unsigned dice = w->faults ? roll(w, 12) : 11;
    if (dice < 4) {
        mutate(w);
    } else if (dice == 4 && w->late.n) {
        kube_cache_note(w->cache, &pods, w->late, NULL);
        w->late = (struct str){0};
    } else if (dice == 5 && watch) {
        fake_end(w->fake, watch, roll(w, 2) ? ERR_NONE : ERR_UNAVAILABLE);
    } else if (dice == 6 && roll(w, 4) == 0) {
        w->compacted = w->version;
    } else if (list) {
        answer_list(w, list);
    } else if (watch) {
        serve_watch(w, watch, w->faults ? roll(w, 4) : 100);
    }
    *now += w->faults ? (int64_t)roll(w, 3000) * NS_PER_MS : 10 * NS_PER_SECOND;
    sim_loop_run(w->loop, *now);
}

static void run_seed(uint64_t seed) {
    struct world *w = NEW(struct world);
    w->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    w->version = 1;
    w->loop = sim_loop_create(seed);
    w->fake = fake_create(w->loop, false);
    w->arena = arena_create();
    struct kube_cache_options options = {.on_change = on_change, .ctx = w};
    w->cache = kube_cache_create(w->loop, &w->fake->client, &options);
    kube_cache_want(w->cache, &pods, STR(""), STR(""));
    w->faults = true;
    int64_t now = 0;
    for (int i = 0; i < 1500; i++) {
        step(w, &now);
    }
    w->faults = false;
    if (w->late.n) {
        kube_cache_note(w->cache, &pods, w->late, NULL);
    }
    for (int i = 0; i < 60; i++) {
        step(w, &now);
    }
    assert_true(kube_cache_is_synced(w->cache, &pods));
    assert_null(kube_cache_error(w->cache, &pods));
    for (unsigned i = 0; i < NAMES; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        const struct kube_object *o = kube_cache_find(w->cache, &pods, STR(""), str_from(name));
        unsigned version = o ? number_of(o->resource_version) : 0;
        if (version != w->now[i].version || w->told[i] != version) {
            fail_msg("seed %llu: %s is %u in the cache, %u as told, %u at the server",
                     (unsigned long long)seed, name, version, w->told[i], w->now[i].version);
        }
    }
    kube_cache_destroy(w->cache);
    kube_client_destroy(&w->fake->client);
    sim_loop_destroy(w->loop);
    arena_destroy(w->arena);
    free(w);
}

static void test_seeds(void **state) {
    struct err err = {0};
    assert_true(log_configure(STR("off"), false, &err));
    const char *more = getenv("SKIFF_TEST_SEEDS");
    uint64_t seeds = 150;
    if (more) {
        assert_true(str_to_uint64(str_from(more), &seeds));
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        run_seed(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
