// SPDX-License-Identifier: Apache-2.0
// Hooks of the store in memory: the simulation's slow, full and crashing disk. The rows live as long as the store, so a
// "restart" is a new API server over the same store.
#ifndef SKIFF_STORE_MEMORY_H
#define SKIFF_STORE_MEMORY_H

#include "store/store.h"

// Every commit takes a seeded time of up to `max_ns` (default 0: it is done in the next turn).
void store_memory_set_delay(struct store *store, int64_t max_ns);
// The next `commits` commits fail with this code (ERR_FULL, ERR_IO) and keep nothing.
void store_memory_fail(struct store *store, enum err_code code, unsigned commits);
// The power goes: a commit under way is kept or lost as a whole (by the loop's seeded randomness). Destroy the server first:
// `done` runs with ERR_CANCELLED at once, only so that what waits for it can be freed.
void store_memory_crash(struct store *store);
uint64_t store_memory_commits(const struct store *store); // that succeeded; for "no write at rest"

#endif
