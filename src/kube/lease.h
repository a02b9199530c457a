// SPDX-License-Identifier: Apache-2.0
// One leader among several processes, elected by a Lease as client-go does it: whoever renews it leads; a holder that has not
// renewed for the Lease's duration, by the watching process's own clock, may be followed. A leader that cannot renew stops
// writing long before that (the fence), so that two never write at the same time.
#ifndef SKIFF_KUBE_LEASE_H
#define SKIFF_KUBE_LEASE_H

#include "kube/client.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

// ---- The fence: until when this process may write ----

// Clients that are given one ask it before each write goes out (reads pass always).
struct kube_fence {
    struct loop *loop;
    bool is_open;
    int64_t until_ns,
        until_wall_ns; // both clocks count: a suspended machine's monotonic one stands still
    unsigned writes;   // under way
};
bool kube_fence_is_open(const struct kube_fence *fence);
// Counts a write that goes out now and says how long its answer is worth waiting for; false with err (ERR_CANCELLED) when it must not go.
bool kube_fence_enter(struct kube_fence *fence, int64_t *left_ns, struct err *err);
void kube_fence_leave(struct kube_fence *fence); // it was answered, or nobody waits any more

// ---- The decisions: pure ----

enum {
    LEASE_IDENTITY_MAX = 255,
    LEASE_TIME_MAX = 40,
    LEASE_VERSION_MAX = 63,
    LEASE_ADDRESS_MAX = 127,
};
// An annotation of the Lease: where the holder can be asked, "http://10.0.0.7:8082".
#define LEASE_ADDRESS "skiff.dev/address"

struct lease_times {
    int64_t duration_ns; // what others wait for after the last sign of life
    int64_t
        deadline_ns; // after which we stop when renewing fails; counted from when the last renewal was sent
    int64_t retry_ns; // between two renewals
};
extern const struct lease_times lease_times_standard; // 15 s, 10 s, 2 s

struct lease_record { // the Lease as it was read
    bool exists;
    char holder[LEASE_IDENTITY_MAX + 1]; // empty: nobody's
    int64_t duration_ns, transitions;
    char acquired[LEASE_TIME_MAX + 1], renewed[LEASE_TIME_MAX + 1];
    char version[LEASE_VERSION_MAX + 1];
    char address[LEASE_ADDRESS_MAX + 1]; // empty: not told
};
bool lease_record_parse(struct str object, struct arena *arena, struct lease_record *out,
                        struct err *err) MUST_USE;

struct lease_clock { // of this process
    int64_t now_ns, wall_ns;
};

struct lease_machine {
    struct lease_times times;
    char identity[LEASE_IDENTITY_MAX + 1];
    char address[LEASE_ADDRESS_MAX + 1]; // ours; may be empty
    bool is_known;                       // `seen` is what the API held a moment ago
    struct lease_record seen;
    int64_t seen_ns; // when it last changed, by our clock
    bool is_leading;
    struct lease_clock until; // we lead at most so long
    int64_t not_before_ns;    // the next attempt
    unsigned surprises;       // writes in a row that met something else than what was seen
};

enum lease_step { LEASE_WAIT, LEASE_READ, LEASE_WRITE };

void lease_machine_init(struct lease_machine *m, const struct lease_times *times,
                        struct str identity);
// What was read or watched; an older version than what is known changes nothing. Ends leadership when another holds it.
void lease_observe(struct lease_machine *m, const struct lease_record *record, int64_t now_ns);
// Ends leadership when its time is over, and says whether we lead.
bool lease_check(struct lease_machine *m, struct lease_clock now);
// What to do now; *wait_ns for LEASE_WAIT.
enum lease_step lease_decide(const struct lease_machine *m, int64_t now_ns, int64_t *wait_ns);
// The object to create, or the merge patch when it exists. With `release` the Lease is given up.
struct str lease_body(const struct lease_machine *m, struct str name, bool release, int64_t wall_ns,
                      struct arena *arena);
// The write that was sent at `sent` succeeded with this record: we lead.
void lease_wrote(struct lease_machine *m, const struct lease_record *record,
                 struct lease_clock sent);
// It failed with this HTTP status (0: none came). `pause_ns` (at least; with jitter) until the next attempt.
void lease_failed(struct lease_machine *m, int status, int64_t now_ns, int64_t pause_ns);

// ---- The candidate ----

struct kube_lease;
struct kube_lease_options {
    struct loop *loop;
    struct kube_client *client; // for the Lease alone, without a rate limit; borrowed
    struct str ns, name, identity;
    struct str address;       // ours, for those who wait; may be empty
    struct lease_times times; // zero: standard
    struct metrics *metrics;  // may be NULL
    // Runs in the turn in which leadership came or went; the fence is shut already when it went.
    void (*on_change)(void *ctx, bool is_leading);
    void *ctx;
};
struct kube_lease *kube_lease_create(const struct kube_lease_options *options);
void kube_lease_destroy(struct kube_lease *lease); // gives nothing up: use kube_lease_release first
bool kube_lease_is_leading(const struct kube_lease *lease);
bool kube_lease_is_known(const struct kube_lease *lease); // the API told who leads
struct kube_fence *kube_lease_fence(struct kube_lease *lease);
// Where the process that leads can be asked; empty when this one leads or it is not known.
struct str kube_lease_leader_address(const struct kube_lease *lease);
// Shuts the fence, waits for the writes under way (a few seconds at most), gives the Lease up and tells `done`, once; in a
// later turn. There is no way back.
void kube_lease_release(struct kube_lease *lease, loop_fn *done, void *ctx);
// "host_uuid", as client-go names itself.
struct str kube_lease_identity(struct loop *loop, struct arena *arena);

#endif
