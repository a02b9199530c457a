// SPDX-License-Identifier: Apache-2.0
// A kube_client around another one, with a bad network and an overloaded server in between: every decision comes from the
// loop's seeded randomness, so a seed repeats them.
#ifndef SKIFF_TESTS_SIM_FAULTS_H
#define SKIFF_TESTS_SIM_FAULTS_H

#include "kube/client.h"
#include "loop/loop.h"

// Chances are in 1/1000 of the calls (or watches, or events). Changed while the client lives: the same struct is read at
// each decision.
struct faults {
    bool on;
    unsigned lost_request;  // never arrives: times out
    unsigned lost_reply;    // is carried out, but the answer never comes: times out
    unsigned conflict;      // 409 to a write, which is not carried out
    unsigned too_many;      // 429 with Retry-After
    unsigned server_error;  // 500, 503 or a broken connection, not carried out
    unsigned watch_refused; // the watch ends at once: 410, 429, 500
    unsigned watch_cut;     // per event: the stream ends before it
    unsigned repeat_event;  // per event: it comes twice
    int64_t
        max_delay_ns; // of requests, replies and events, each on its own: calls overtake each other
    int64_t timeout_ns; // how long a lost call takes to fail, at most
    uint64_t injected;  // counted
};

// *Takes* `inner`. With `peek`, peeks are passed through (the embedded server's client), else there are none (as over HTTP).
struct kube_client *fault_client_create(struct loop *loop, struct kube_client *inner,
                                        struct faults *faults, bool peek);

#endif
