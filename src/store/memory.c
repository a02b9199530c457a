// SPDX-License-Identifier: Apache-2.0
// Rows in memory, for the simulation and tests: the same contract as SQLite's, with a disk that can be slow, full or
// pulled out. Nothing here depends on anything but the loop, so a seed reproduces every run.
#include "store/memory.h"

#include "base/map.h"
#include "base/mem.h"

struct row {
    int64_t revision;
    struct blob *value;
    struct str key; // the map's copy
};

struct commit { // what the disk works on; a copy, because a crash outlives the caller's memory
    struct row *rows;
    size_t count;
};

struct memory_store {
    struct store base;
    struct loop *loop;
    struct map *rows;
    struct loop_timer *timer;
    struct commit pending;
    bool busy;
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
    int64_t revision;
    int64_t max_delay_ns;
    enum err_code fail_code;
    unsigned fail_count;
    uint64_t commits;
};

static struct memory_store *of(const struct store *store) {
    return CONTAINER_OF((struct store *)(uintptr_t)store, struct memory_store, base);
}

static void drop_row(struct row *row) {
    if (row) {
        blob_unref(row->value);
        free(row);
    }
}

static void pending_free(struct memory_store *store) {
    for (size_t i = 0; i < store->pending.count; i++) {
        blob_unref(store->pending.rows[i].value);
        free((void *)(uintptr_t)store->pending.rows[i].key.p);
    }
    free(store->pending.rows);
    store->pending = (struct commit){0};
    store->busy = false;
}

static void keep(struct memory_store *store) {
    for (size_t i = 0; i < store->pending.count; i++) {
        const struct row *change = &store->pending.rows[i];
        if (change->value) {
            struct row *row = NEW(struct row);
            row->revision = change->revision;
            row->value = blob_ref(change->value);
            drop_row(map_put(store->rows, change->key, row));
            row->key = map_key(store->rows, change->key);
        } else {
            drop_row(map_remove(store->rows, change->key));
        }
        store->revision = change->revision;
    }
    store->commits++;
}

static void commit_done(void *ctx) {
    struct memory_store *store = ctx;
    struct err err = {0};
    bool failed = store->fail_count > 0;
    if (failed) {
        store->fail_count--;
        err_set(&err, store->fail_code, "injected failure of the store in memory");
    } else {
        keep(store);
    }
    pending_free(store);
    store->done(store->ctx, failed ? &err : NULL);
}

static void memory_commit(struct store *base, const struct store_change *changes, size_t count,
                          void (*done)(void *ctx, const struct err *error), void *ctx) {
    struct memory_store *store = of(base);
    CHECK(!store->busy);
    store->busy = true;
    store->done = done;
    store->ctx = ctx;
    store->pending.rows = xcalloc(count ? count : 1, sizeof(struct row));
    store->pending.count = count;
    for (size_t i = 0; i < count; i++) {
        store->pending.rows[i] = (struct row){
            .revision = changes[i].revision,
            .value = changes[i].value ? blob_ref(changes[i].value) : NULL,
            .key = {xstrdup(changes[i].key), changes[i].key.n},
        };
    }
    int64_t delay = 0;
    if (store->max_delay_ns > 0) {
        delay = (int64_t)loop_random_below(store->loop, (uint64_t)store->max_delay_ns);
    }
    loop_timer_start(store->timer, delay);
}

static struct blob *memory_read(struct store *base, struct str key, struct err *err) {
    const struct row *row = map_find(of(base)->rows, key);
    return row ? blob_ref(row->value) : NULL;
}

static int compare_rows(const void *a, const void *b) {
    return str_cmp((*(const struct row *const *)a)->key, (*(const struct row *const *)b)->key);
}

static bool memory_scan(struct store *base,
                        bool (*row)(void *ctx, struct str key, struct str value, int64_t revision),
                        void *ctx, struct err *err) {
    struct memory_store *store = of(base);
    size_t count = 0;
    struct row **sorted = xcalloc(map_len(store->rows) + 1, sizeof(struct row *));
    void *value;
    for (size_t i = 0; map_next(store->rows, &i, NULL, &value);) {
        sorted[count++] = value;
    }
    qsort(sorted, count, sizeof(struct row *), compare_rows);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = row(ctx, sorted[i]->key, blob_str(sorted[i]->value), sorted[i]->revision);
    }
    free(sorted);
    return ok;
}

static int64_t memory_revision(struct store *base) {
    return of(base)->revision;
}

static void memory_close(struct store *base) {
    struct memory_store *store = of(base);
    loop_timer_destroy(store->timer);
    pending_free(store);
    void *value;
    for (size_t i = 0; map_next(store->rows, &i, NULL, &value);) {
        drop_row(value);
    }
    map_destroy(store->rows);
    free(store);
}

struct store *store_create_memory(struct loop *loop) {
    static const struct store_ops ops = {
        .commit = memory_commit,
        .read = memory_read,
        .scan = memory_scan,
        .revision = memory_revision,
        .close = memory_close,
    };
    struct memory_store *store = NEW(struct memory_store);
    store->base.ops = &ops;
    store->loop = loop;
    store->rows = map_create();
    store->timer = loop_timer_create(loop, commit_done, store);
    return &store->base;
}

void store_memory_set_delay(struct store *store, int64_t max_ns) {
    of(store)->max_delay_ns = max_ns;
}

void store_memory_fail(struct store *store, enum err_code code, unsigned commits) {
    of(store)->fail_code = code;
    of(store)->fail_count = commits;
}

void store_memory_crash(struct store *base) {
    struct memory_store *store = of(base);
    loop_timer_stop(store->timer);
    if (!store->busy) {
        return;
    }
    if (store->fail_count == 0 && loop_random_below(store->loop, 2) == 0) {
        keep(store);
    }
    pending_free(store);
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "the power went");
    store->done(store->ctx, &err);
}

uint64_t store_memory_commits(const struct store *store) {
    return of(store)->commits;
}
