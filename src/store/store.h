// SPDX-License-Identifier: Apache-2.0
// Durable rows for the embedded API: key -> value with one growing revision. One writer; a commit is a group of changes
// that is on disk as a whole or not at all. Implementations: SQLite (store/sqlite.c) and memory for the simulation
// (store/memory.c, with injected faults and crashes).
#ifndef SKIFF_STORE_STORE_H
#define SKIFF_STORE_STORE_H

#include "base/blob.h"
#include "base/err.h"
#include "loop/loop.h"

struct store_change {
    struct str key;     // "/apps/deployments/ns/name"; borrowed until the commit is done
    struct blob *value; // NULL deletes; a reference held by the caller until the commit is done
    int64_t revision;   // of this change; grows from change to change over all commits
};

struct store;
struct store_ops {
    // Starts one commit. Only one is under way at a time. `done` runs on the loop: NULL error means durable
    // (SQLite: WAL with synchronous=FULL). ERR_FULL: nothing of the group was kept and the store goes on.
    void (*commit)(struct store *store, const struct store_change *changes, size_t count,
                   void (*done)(void *ctx, const struct err *error), void *ctx);
    // The value of a key as of the last commit, as a new reference; NULL when absent. Short, on the calling thread.
    struct blob *(*read)(struct store *store, struct str key, struct err *err);
    // Every row in key order at start-up, before the first commit.
    bool (*scan)(struct store *store,
                 bool (*row)(void *ctx, struct str key, struct str value, int64_t revision),
                 void *ctx, struct err *err);
    int64_t (*revision)(
        struct store
            *store); // the newest revision ever committed (deletes count), 0 for a new store
    void (*close)(
        struct store *store); // waits for the commit under way, whose `done` runs from inside
};
struct store {
    const struct store_ops *ops;
};

// Opens or makes DIR/state.db. Takes the lock file DIR/lock (ERR_EXISTS names the holder's pid), checks the format version
// and upgrades older ones in one transaction; a newer one is refused with the version that can read it.
struct store *store_open_sqlite(struct loop *loop, const char *dir, struct err *err);
struct store *store_create_memory(struct loop *loop);

#endif
