// SPDX-License-Identifier: Apache-2.0
// The election without a network: the record as client-go writes it, the steps one by one, and candidates whose clocks run at
// different speeds, are set and stand still, over a network that loses, delays and reorders. At no time may two of them write.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "kube/lease.h"

#define SECONDS(n) ((int64_t)((n)*1e9))
static const int64_t wall_start = INT64_C(1767225600) * NS_PER_SECOND;

// ---- The record ----

static void parses_a_record(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct err err = {0};
    struct lease_record r;
    struct str text = STR(
        "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{"
        "\"holderIdentity\":\"a\",\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-01-01T00:00:"
        "00.000001Z\",\"renewTime\":\"2026-01-01T00:00:02.000001Z\",\"leaseTransitions\":3}}");
    assert_true(lease_record_parse(text, arena, &r, &err));
    assert_true(r.exists);
    assert_string_equal(r.holder, "a");
    assert_string_equal(r.version, "7");
    assert_string_equal(r.acquired, "2026-01-01T00:00:00.000001Z");
    assert_true(r.duration_ns == SECONDS(15) && r.transitions == 3);
    static const char *const bad[] = {"", "{", "[]",
                                      "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"7\"}}",
                                      "{\"kind\":\"Lease\",\"metadata\":{}}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(lease_record_parse(str_from(bad[i]), arena, &r, &err));
    }
    // What has no meaning has no force.
    text = STR("{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{"
               "\"holderIdentity\":7,\"leaseDurationSeconds\":-1}}");
    assert_true(lease_record_parse(text, arena, &r, &err));
    assert_string_equal(r.holder, "");
    assert_true(r.duration_ns == 0);
}

static void writes_as_client_go(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct lease_machine m;
    lease_machine_init(&m, &lease_times_standard, STR("me"));
    struct lease_record r = {0};
    lease_observe(&m, &r, 0);
    assert_string_equal(
        lease_body(&m, STR("l"), false, wall_start + 1234567, arena).p,
        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
        "\"l\"},\"spec\":{\"acquireTime\":\"2026-01-01T00:00:00.001234Z\",\"holderIdentity\":"
        "\"me\",\"leaseDurationSeconds\":15,\"leaseTransitions\":0,\"renewTime\":"
        "\"2026-01-01T00:00:00.001234Z\"}}");
    r = (struct lease_record){.exists = true, .holder = "other", .transitions = 4, .version = "9"};
    lease_observe(&m, &r, 0);
    assert_string_equal(
        lease_body(&m, STR("l"), false, wall_start, arena).p,
        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
        "\"l\",\"resourceVersion\":\"9\"},\"spec\":{\"acquireTime\":\"2026-01-01T00:00:00.000000Z\""
        ",\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,\"leaseTransitions\":5,"
        "\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}");
    r = (struct lease_record){
        .exists = true, .holder = "me", .transitions = 5, .version = "10", .acquired = "T"};
    lease_wrote(&m, &r, (struct lease_clock){0, wall_start});
    assert_string_equal(
        lease_body(&m, STR("l"), false, wall_start, arena).p,
        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
        "\"l\",\"resourceVersion\":\"10\"},\"spec\":{\"acquireTime\":\"T\",\"holderIdentity\":"
        "\"me\",\"leaseDurationSeconds\":15,\"leaseTransitions\":5,\"renewTime\":"
        "\"2026-01-01T00:00:00.000000Z\"}}");
    assert_string_equal(
        lease_body(&m, STR("l"), true, wall_start, arena).p,
        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
        "\"l\",\"resourceVersion\":\"10\"},\"spec\":{\"acquireTime\":\"2026-01-01T00:00:00.000000Z"
        "\",\"holderIdentity\":\"\",\"leaseDurationSeconds\":1,\"leaseTransitions\":5,"
        "\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}");
}

// ---- Step by step ----

static struct lease_record held_by(const char *who, const char *renewed, const char *version) {
    struct lease_record r = {.exists = true, .duration_ns = SECONDS(15)};
    snprintf(r.holder, sizeof r.holder, "%s", who);
    snprintf(r.renewed, sizeof r.renewed, "%s", renewed);
    snprintf(r.version, sizeof r.version, "%s", version);
    return r;
}

static void follows_a_holder_that_is_silent(void **state) {
    struct lease_machine m;
    int64_t wait = 0;
    lease_machine_init(&m, &lease_times_standard, STR("me"));
    assert_int_equal(lease_decide(&m, 0, &wait), LEASE_READ);
    struct lease_record r = held_by("other", "t1", "1");
    lease_observe(&m, &r, SECONDS(100));
    assert_int_equal(lease_decide(&m, SECONDS(100), &wait), LEASE_WAIT);
    assert_true(wait == SECONDS(15));
    // Only a change is a sign of life; another version with the same content is none.
    r = held_by("other", "t1", "2");
    lease_observe(&m, &r, SECONDS(110));
    assert_int_equal(lease_decide(&m, SECONDS(110), &wait), LEASE_WAIT);
    assert_true(wait == SECONDS(5));
    r = held_by("other", "t2", "3");
    lease_observe(&m, &r, SECONDS(114));
    assert_int_equal(lease_decide(&m, SECONDS(128.9), &wait), LEASE_WAIT);
    assert_int_equal(lease_decide(&m, SECONDS(129), &wait), LEASE_WRITE);
    // One that was given up is free at once.
    r = held_by("", "t3", "4");
    lease_observe(&m, &r, SECONDS(115));
    assert_int_equal(lease_decide(&m, SECONDS(115), &wait), LEASE_WRITE);
}

static void waits_when_a_held_lease_vanishes(void **state) {
    struct lease_machine m;
    int64_t wait = 0;
    lease_machine_init(&m, &lease_times_standard, STR("me"));
    struct lease_record r = held_by("other", "t1", "1"), none = {0};
    lease_observe(&m, &r, 0);
    lease_observe(&m, &none, SECONDS(1));
    assert_int_equal(lease_decide(&m, SECONDS(1), &wait), LEASE_WAIT);
    assert_true(wait == SECONDS(14));
    assert_int_equal(lease_decide(&m, SECONDS(15), &wait), LEASE_WRITE);
}

static void leads_for_ten_seconds(void **state) {
    static const struct {
        int64_t now, wall;
        bool leads;
    } rows[] = {
        {SECONDS(9.9), SECONDS(9.9), true},
        {SECONDS(10), SECONDS(10), false},
        {SECONDS(9.9), SECONDS(3600), false}, // the machine slept, or the clock was set
        {SECONDS(10), SECONDS(-3600), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lease_machine m;
        lease_machine_init(&m, &lease_times_standard, STR("me"));
        struct lease_record r = held_by("me", "t1", "1");
        lease_wrote(&m, &r, (struct lease_clock){0, wall_start});
        assert_true(lease_check(&m, (struct lease_clock){0, wall_start}));
        bool leads = lease_check(&m, (struct lease_clock){rows[i].now, wall_start + rows[i].wall});
        assert_int_equal(leads, rows[i].leads);
    }
}

static void looks_again_after_a_conflict_but_not_in_a_circle(void **state) {
    struct lease_machine m;
    int64_t wait = 0;
    struct lease_record none = {0};
    lease_machine_init(&m, &lease_times_standard, STR("me"));
    lease_observe(&m, &none, 0);
    assert_int_equal(lease_decide(&m, 0, &wait), LEASE_WRITE);
    lease_failed(&m, 404, 0, SECONDS(2)); // no such namespace
    assert_int_equal(lease_decide(&m, 0, &wait), LEASE_READ);
    lease_observe(&m, &none, 0);
    lease_failed(&m, 404, 0, SECONDS(2));
    assert_int_equal(lease_decide(&m, 0, &wait), LEASE_WAIT);
    assert_true(wait == SECONDS(2));
    lease_failed(&m, 503, SECONDS(5), SECONDS(3));
    assert_int_equal(lease_decide(&m, SECONDS(5), &wait), LEASE_WAIT);
    assert_true(wait == SECONDS(3));
}

// ---- Many candidates, bad clocks and a bad network ----

enum { CANDIDATES = 4, STEPS = 12000 };
#define STEP_NS (50 * NS_PER_MS)

struct message { // on its way to the API, or back
    int64_t due;
    bool is_reply, is_write, is_watch;
    unsigned who, attempt;
    struct lease_record record; // as written, or as the answer says
    int status;
    struct lease_clock sent;
};

struct candidate {
    struct lease_machine m;
    double rate;
    struct lease_clock clock;
    bool is_asleep, clock_sleeps_too;
    int64_t wakes_at;
    unsigned attempt; // numbers its attempts; 0: none under way
    unsigned last_attempt, life;
    int64_t attempt_until;
};

struct scene {
    uint64_t random;
    int64_t now;
    bool faults, sets_clocks, crashes;
    struct candidate list[CANDIDATES];
    struct lease_record live;
    unsigned version, takes;
    int64_t last_wrote[CANDIDATES]; // when each could last write
    VEC(struct message) messages;
};

static unsigned roll(struct scene *s, unsigned below) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (unsigned)((s->random >> 20) % below);
}

static int64_t delay(struct scene *s) {
    if (!s->faults) {
        return (int64_t)roll(s, 20) * NS_PER_MS;
    }
    return roll(s, 20) ? (int64_t)roll(s, 1000) * NS_PER_MS : (int64_t)roll(s, 20000) * NS_PER_MS;
}

static void born(struct scene *s, unsigned who) {
    struct candidate *c = &s->list[who];
    char name[40];
    snprintf(name, sizeof name, "candidate-%u-%u", who, ++c->life);
    lease_machine_init(&c->m, &lease_times_standard, str_from(name));
    c->attempt = 0;
}

static bool may_write(const struct candidate *c) {
    return c->m.is_leading && !c->is_asleep && c->clock.now_ns < c->m.until.now_ns &&
           c->clock.wall_ns < c->m.until.wall_ns;
}

static void post(struct scene *s, struct message message) {
    message.due = s->now + delay(s);
    VEC_PUSH(&s->messages, message);
}

// The API takes a write when its version is the present one.
static void arrive(struct scene *s, struct message message) {
    struct message reply = message;
    reply.is_reply = true;
    if (message.is_write && strcmp(message.record.version, s->live.version) != 0) {
        reply.status = 409;
    } else if (message.is_write) {
        bool taken = strcmp(s->live.holder, message.record.holder) != 0;
        for (unsigned i = 0; taken && i < CANDIDATES; i++) {
            // What a leader sent while it might has four seconds to arrive.
            if (i != message.who && s->last_wrote[i] + SECONDS(4) > s->now) {
                fail_msg("candidate %u takes the Lease %.2f s after %u could write", message.who,
                         (double)(s->now - s->last_wrote[i]) / 1e9, i);
            }
        }
        s->takes += taken;
        s->live = message.record;
        snprintf(s->live.version, sizeof s->live.version, "%u", ++s->version);
        for (unsigned i = 0; i < CANDIDATES; i++) {
            if (i != message.who && (!s->faults || roll(s, 3))) {
                struct message event = {.is_reply = true, .is_watch = true, .who = i};
                event.record = s->live;
                post(s, event);
            }
        }
    }
    reply.record = s->live;
    if (!s->faults || roll(s, 5)) {
        post(s, reply);
    }
}

static void take_reply(struct scene *s, const struct message *message) {
    struct candidate *c = &s->list[message->who];
    if (message->is_watch) {
        if (!c->m.is_leading && c->attempt == 0) {
            lease_observe(&c->m, &message->record, c->clock.now_ns);
        }
        return;
    }
    if (message->attempt != c->attempt) {
        return; // nobody waits for it any more
    }
    c->attempt = 0;
    if (message->status) {
        lease_failed(&c->m, message->status, c->clock.now_ns, SECONDS(2));
    } else if (message->is_write) {
        lease_wrote(&c->m, &message->record, message->sent);
    } else {
        lease_observe(&c->m, &message->record, c->clock.now_ns);
    }
}

static void act(struct scene *s, unsigned who) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct candidate *c = &s->list[who];
    int64_t wait;
    lease_check(&c->m, c->clock);
    if (c->attempt && c->clock.now_ns >= c->attempt_until) {
        c->attempt = 0;
        lease_failed(&c->m, 0, c->clock.now_ns, NS_PER_SECOND / 2);
    }
    enum lease_step step = lease_decide(&c->m, c->clock.now_ns, &wait);
    if (c->attempt || step == LEASE_WAIT) {
        return;
    }
    c->attempt = ++c->last_attempt;
    c->attempt_until = c->clock.now_ns + SECONDS(3);
    struct message message = {
        .who = who, .attempt = c->attempt, .is_write = step == LEASE_WRITE, .sent = c->clock};
    if (message.is_write) {
        struct str body = lease_body(&c->m, STR("l"), false, c->clock.wall_ns, arena);
        struct doc_value root;
        assert_true(doc_parse_json(body, arena, &root, NULL));
        struct doc_object named = doc_object_start(arena);
        doc_object_set_c(&named, "kind", DOC_S("Lease"));
        struct doc_object metadata = doc_object_start(arena);
        doc_object_set_c(&metadata, "resourceVersion", DOC_S("0"));
        doc_object_set_c(&named, "metadata", doc_object_done(&metadata));
        doc_object_set_c(&named, "spec", *doc_get(&root, "spec"));
        struct doc_value whole = doc_object_done(&named);
        assert_true(lease_record_parse(doc_to_json(arena, &whole), arena, &message.record, NULL));
        struct str version = doc_get_str(&root, "metadata", "resourceVersion");
        snprintf(message.record.version, sizeof message.record.version, "%.*s", STR_ARG(version));
    }
    if (!s->faults || roll(s, 5)) {
        post(s, message);
    }
}

static void move_clock(struct scene *s, struct candidate *c) {
    int64_t by = (int64_t)((double)STEP_NS * c->rate);
    c->clock.wall_ns += by;
    if (!(c->is_asleep && c->clock_sleeps_too)) {
        c->clock.now_ns += by;
    }
    if (c->is_asleep && s->now >= c->wakes_at) {
        c->is_asleep = false;
    }
    if (!s->faults || c->is_asleep) {
        return;
    }
    if (roll(s, 600) == 0) {
        c->is_asleep = true;
        c->wakes_at = s->now + (int64_t)roll(s, 40) * NS_PER_SECOND;
        // A clock that stands still and one that is set back at the same time would be too much.
        c->clock_sleeps_too = !s->sets_clocks && roll(s, 2);
    }
    if (s->sets_clocks && roll(s, 400) == 0) {
        c->clock.wall_ns += ((int64_t)roll(s, 7200) - 3600) * NS_PER_SECOND;
    }
}

static void deliver(struct scene *s) {
    for (size_t i = 0; i < s->messages.len;) {
        struct message message = s->messages.items[i];
        bool asleep = message.is_reply && s->list[message.who].is_asleep;
        if (message.due > s->now || asleep) {
            i++;
            continue;
        }
        VEC_REMOVE_SWAP(&s->messages, i);
        if (message.is_reply) {
            take_reply(s, &message);
        } else {
            arrive(s, message);
        }
    }
}

static unsigned count_leaders(struct scene *s, uint64_t seed) {
    unsigned leaders = 0;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        if (may_write(&s->list[i])) {
            leaders++;
            s->last_wrote[i] = s->now;
        }
    }
    if (leaders > 1) {
        fail_msg("seed %llu, at %.2f s: %u leaders", (unsigned long long)seed, (double)s->now / 1e9,
                 leaders);
    }
    return leaders;
}

static void run_seed(uint64_t seed, unsigned *takes) {
    struct scene s = {.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .faults = true};
    s.sets_clocks = roll(&s, 2);
    s.crashes = roll(&s, 2);
    unsigned led = 0;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct candidate *c = &s.list[i];
        c->rate = 0.99 + roll(&s, 21) / 1000.0;
        c->clock = (struct lease_clock){(int64_t)roll(&s, 1000) * NS_PER_SECOND,
                                        wall_start + (int64_t)roll(&s, 1000) * NS_PER_SECOND};
        s.last_wrote[i] = -SECONDS(100);
        born(&s, i);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        s.now += STEP_NS;
        s.faults = step < STEPS - 2400; // two quiet minutes at the end
        for (unsigned i = 0; i < CANDIDATES; i++) {
            move_clock(&s, &s.list[i]);
        }
        count_leaders(&s, seed); // also of one that just woke, before it does anything
        deliver(&s);
        count_leaders(&s, seed);
        for (unsigned i = 0; i < CANDIDATES; i++) {
            if (s.faults && s.crashes && roll(&s, 3000) == 0) {
                born(&s, i);
            }
            if (!s.list[i].is_asleep) {
                act(&s, i);
            }
        }
        led = count_leaders(&s, seed);
    }
    assert_int_equal(led, 1);
    *takes += s.takes;
    VEC_FREE(&s.messages);
}

static void never_two_at_a_time(void **state) {
    unsigned takes = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed, &takes);
    }
    assert_true(takes > 300); // or the faults were none
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_a_record),
        cmocka_unit_test(writes_as_client_go),
        cmocka_unit_test(follows_a_holder_that_is_silent),
        cmocka_unit_test(waits_when_a_held_lease_vanishes),
        cmocka_unit_test(leads_for_ten_seconds),
        cmocka_unit_test(looks_again_after_a_conflict_but_not_in_a_circle),
        cmocka_unit_test(never_two_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
