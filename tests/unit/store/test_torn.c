// SPDX-License-Identifier: Apache-2.0
// Power cuts: whatever of the unsynced writes reaches the platters, whole, torn or not at all, an acknowledged commit is
// there after the next start, a commit is there as a whole or not at all, and the database is sound.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"
#include "torn_vfs.h"

enum { SEEDS = 150, COMMITS = 400, KEYS = 24, CHANGES = 6 };

struct power {
    char dir[64];
    struct loop *loop;
    struct store *store;
    uint64_t dice;
    int64_t sure[KEYS];    // revision of the acknowledged state of each key, 0: absent
    int64_t perhaps[KEYS]; // of the commit without an answer
    bool open_commit, acknowledged;
    int64_t revision; // the newest acknowledged one
};

static uint64_t roll(struct power *power, uint64_t below) {
    power->dice ^= power->dice << 13;
    power->dice ^= power->dice >> 7;
    power->dice ^= power->dice << 17;
    return power->dice % below;
}

static void power_open(struct power *power) {
    struct err err = {0};
    power->loop = loop_create(2);
    power->store = store_open_sqlite(power->loop, power->dir, &err);
    if (!power->store) {
        fail_msg("%s", err.message);
    }
}

static void power_close(struct power *power) {
    power->store->ops->close(power->store);
    loop_destroy(power->loop);
}

static void committed(void *ctx, const struct err *error) {
    struct power *power = ctx;
    power->acknowledged = !error;
    loop_stop(power->loop);
}

// A value that says which key and revision it belongs to, of a random length.
static struct blob *make_value(struct power *power, size_t key, int64_t revision) {
    size_t n = 40 + roll(power, roll(power, 8) ? 900 : 20000);
    struct blob *blob = blob_alloc(n);
    memset(blob->data, 'a' + (int)(revision % 26), n);
    snprintf(blob->data, 40, "%zu %lld ", key, (long long)revision);
    blob->data[strlen(blob->data)] = '.';
    return blob;
}

static bool commit_some(struct power *power, int64_t *next) {
    struct store_change changes[CHANGES];
    char names[CHANGES][16];
    size_t count = 1 + roll(power, CHANGES);
    memcpy(power->perhaps, power->sure, sizeof power->perhaps);
    for (size_t i = 0; i < count; i++) {
        size_t key = roll(power, KEYS);
        bool remove = roll(power, 4) == 0;
        int64_t revision = (*next)++;
        snprintf(names[i], sizeof names[i], "/t/%02zu", key);
        changes[i] = (struct store_change){
            .key = str_from(names[i]),
            .value = remove ? NULL : make_value(power, key, revision),
            .revision = revision,
        };
        power->perhaps[key] = remove ? 0 : revision;
    }
    power->acknowledged = false;
    power->store->ops->commit(power->store, changes, count, committed, power);
    loop_run(power->loop);
    for (size_t i = 0; i < count; i++) {
        blob_unref(changes[i].value);
    }
    if (power->acknowledged) {
        memcpy(power->sure, power->perhaps, sizeof power->sure);
        power->revision = *next - 1;
    }
    return power->acknowledged;
}

// The state that is there is the acknowledged one, or that of the commit under way.
static void check_rows(struct power *power, uint64_t seed) {
    struct err err = {0};
    bool is_sure = true, is_perhaps = true;
    for (size_t key = 0; key < KEYS; key++) {
        char name[16];
        snprintf(name, sizeof name, "/t/%02zu", key);
        struct blob *blob = power->store->ops->read(power->store, str_from(name), &err);
        int64_t revision = 0;
        struct str number, rest;
        if (blob) {
            (void)str_cut(blob_str(blob), ' ', &number, &rest);
            (void)str_cut(rest, ' ', &number, &rest);
        }
        if (blob && !str_to_int64(number, &revision)) {
            fail_msg("seed %llu: %s holds rubbish", (unsigned long long)seed, name);
        }
        for (size_t i = 40; blob && i < blob->len; i++) {
            if (blob->data[i] != 'a' + (char)(revision % 26)) {
                fail_msg("seed %llu: %s is torn at byte %zu", (unsigned long long)seed, name, i);
            }
        }
        blob_unref(blob);
        is_sure = is_sure && revision == power->sure[key];
        is_perhaps = is_perhaps && revision == power->perhaps[key];
    }
    if (!is_sure && !is_perhaps) {
        fail_msg("seed %llu: neither the acknowledged state nor the one after it",
                 (unsigned long long)seed);
    }
    assert_true(power->store->ops->revision(power->store) >= power->revision);
    memcpy(power->sure, is_sure ? power->sure : power->perhaps, sizeof power->sure);
}

static void check_sound(struct power *power) {
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    snprintf(path, sizeof path, "%s/state.db", power->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void remove_folder(const char *dir) {
    DIR *folder = opendir(dir);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    if (folder) {
        closedir(folder);
    }
    rmdir(dir);
}

static unsigned run_seed(uint64_t seed) {
    struct power power = {.dice = seed * UINT64_C(0xD1342543DE82EF95) + 1};
    snprintf(power.dir, sizeof power.dir, "/tmp/skiff-torn-XXXXXX");
    assert_non_null(mkdtemp(power.dir));
    power_open(&power);
    power_close(&power);
    int64_t next = 1;
    unsigned lost = 0;
    for (unsigned crash = 0; crash < 3; crash++) {
        torn_vfs_begin(seed * 8 + crash, 20 + (int64_t)roll(&power, 1500));
        power_open(&power);
        for (size_t i = 0; i < COMMITS && commit_some(&power, &next); i++) {
        }
        torn_vfs_cut();
        power_close(&power);
        lost += torn_vfs_end();
        power_open(&power);
        check_rows(&power, seed);
        power_close(&power);
        check_sound(&power);
    }
    remove_folder(power.dir);
    return lost;
}

static void test_power_cuts(void **state) {
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lost += run_seed(seed);
    }
    assert_true(lost > SEEDS); // otherwise nothing was tried
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
