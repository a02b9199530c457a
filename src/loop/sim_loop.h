// SPDX-License-Identifier: Apache-2.0
// The deterministic loop: time stands still until everything that is due has run, then jumps to the next timer.
#ifndef SKIFF_LOOP_SIM_LOOP_H
#define SKIFF_LOOP_SIM_LOOP_H

#include "loop/loop.h"

struct loop *sim_loop_create(uint64_t seed);
void sim_loop_destroy(struct loop *loop);
// Runs everything due until virtual time `until_ns` (monotonic, starts at 0) or until nothing is left to run.
void sim_loop_run(struct loop *loop, int64_t until_ns);
bool sim_loop_step(struct loop *loop); // one callback; false when nothing is left
// The wall clock is set to another time, as by an operator or NTP; the monotonic one goes on.
void sim_loop_jump_wall(struct loop *loop, int64_t by_ns);

#endif
