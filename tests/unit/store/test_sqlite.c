// SPDX-License-Identifier: Apache-2.0
// The promises of the store on a disk: what was acknowledged survives kill -9, a full disk costs nothing but the write,
// two processes never share a folder, formats are checked. Children do the dangerous parts.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"

struct rig {
    char dir[64];
    struct loop *loop;
    struct store *store;
    enum err_code code; // of the last commit
};

static void rig_open(struct rig *rig) {
    struct err err = {0};
    rig->loop = loop_create(2);
    rig->store = store_open_sqlite(rig->loop, rig->dir, &err);
    if (!rig->store) {
        fail_msg("%s", err.message);
    }
}

static void rig_close(struct rig *rig) {
    rig->store->ops->close(rig->store);
    loop_destroy(rig->loop);
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

static int setup(void **state) {
    struct rig *rig = NEW(struct rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/skiff-store-XXXXXX");
    if (!mkdtemp(rig->dir)) {
        return -1;
    }
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    remove_folder(rig->dir);
    free(rig);
    return 0;
}

static void committed(void *ctx, const struct err *error) {
    struct rig *rig = ctx;
    rig->code = error ? error->code : ERR_NONE;
    loop_stop(rig->loop);
}

static enum err_code put(struct rig *rig, const char *key, struct str text, int64_t revision) {
    struct blob *value = text.p ? blob_create(text) : NULL;
    struct store_change change = {str_from(key), value, revision};
    rig->code = ERR_INTERNAL;
    rig->store->ops->commit(rig->store, &change, 1, committed, rig);
    loop_run(rig->loop);
    blob_unref(value);
    return rig->code;
}

static void assert_row(struct rig *rig, const char *key, const char *want) {
    struct err err = {0};
    struct blob *blob = rig->store->ops->read(rig->store, str_from(key), &err);
    assert_int_equal(err.code, ERR_NONE);
    if (!want) {
        assert_null(blob);
        return;
    }
    assert_non_null(blob);
    assert_string_equal(blob->data, want);
    blob_unref(blob);
}

static bool count_row(void *ctx, struct str key, struct str value, int64_t revision) {
    struct str *last = ctx;
    assert_true(str_cmp(*last, key) < 0);
    // The text lives for the call only: keep the count in the length of a static buffer.
    static char keep[64];
    snprintf(keep, sizeof keep, "%.*s", STR_ARG(key));
    *last = str_from(keep);
    return true;
}

static void keeps_rows_over_a_restart(void **state) {
    struct rig *rig = *state;
    rig_open(rig);
    assert_int_equal(rig->store->ops->revision(rig->store), 0);
    assert_int_equal(put(rig, "/core/pods/a/x", STR("one"), 1), ERR_NONE);
    assert_int_equal(put(rig, "/core/pods/a/y", STR("two"), 2), ERR_NONE);
    assert_int_equal(put(rig, "/core/pods/a/x", STR("three"), 3), ERR_NONE);
    assert_int_equal(put(rig, "/core/pods/a/y", (struct str){NULL, 0}, 4), ERR_NONE);
    assert_row(rig, "/core/pods/a/x", "three");
    assert_row(rig, "/core/pods/a/y", NULL);
    rig_close(rig);
    rig_open(rig);
    assert_int_equal(rig->store->ops->revision(rig->store), 4); // a deletion counts
    assert_row(rig, "/core/pods/a/x", "three");
    assert_row(rig, "/core/pods/a/y", NULL);
    struct str last = {NULL, 0};
    struct err err = {0};
    assert_true(rig->store->ops->scan(rig->store, count_row, &last, &err));
    assert_string_equal(last.p, "/core/pods/a/x");
    struct stat info;
    char path[128];
    snprintf(path, sizeof path, "%s/state.db", rig->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    rig_close(rig);
}

static void refuses_a_second_process(void **state) {
    struct rig *rig = *state;
    rig_open(rig);
    struct err err = {0};
    assert_null(store_open_sqlite(rig->loop, rig->dir, &err));
    assert_int_equal(err.code, ERR_EXISTS);
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(err.message, pid));
    rig_close(rig);
    rig_open(rig); // and lets go of it
    rig_close(rig);
}

static void set_format(struct rig *rig, const char *sql) {
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/state.db", rig->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void refuses_a_newer_format(void **state) {
    struct rig *rig = *state;
    rig_open(rig);
    rig_close(rig);
    set_format(rig,
               "UPDATE meta SET value='9.9.9' WHERE name='written_by'; PRAGMA user_version=99");
    struct err err = {0};
    rig->loop = loop_create(1);
    assert_null(store_open_sqlite(rig->loop, rig->dir, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "9.9.9"));
    set_format(rig, "PRAGMA user_version=1; PRAGMA application_id=1");
    assert_null(store_open_sqlite(rig->loop, rig->dir, &err));
    assert_non_null(strstr(err.message, "not a database of skiff"));
    loop_destroy(rig->loop);
}

static void refuses_a_damaged_file(void **state) {
    struct rig *rig = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/state.db", rig->dir);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 2000; i++) {
        fputs("this is not a database ", file);
    }
    fclose(file);
    struct err err = {0};
    rig->loop = loop_create(1);
    assert_null(store_open_sqlite(rig->loop, rig->dir, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.message, "damaged"));
    loop_destroy(rig->loop);
}

// ---- kill -9: a child writes and reports what was acknowledged; the parent kills it and looks ----
struct writer {
    struct rig *rig;
    int pipe;
    int64_t next;
    struct store_change changes[4];
    char keys[4][64];
    struct blob *value;
};

static void write_next(struct writer *writer);

static void report(void *ctx, const struct err *error) {
    struct writer *writer = ctx;
    if (error || write(writer->pipe, &writer->next, sizeof writer->next) < 0) {
        _exit(3);
    }
    write_next(writer);
}

static void write_next(struct writer *writer) {
    for (size_t i = 0; i < 4; i++) {
        writer->next++;
        snprintf(writer->keys[i], sizeof writer->keys[i], "/core/pods/a/%08lld",
                 (long long)writer->next);
        writer->changes[i] =
            (struct store_change){str_from(writer->keys[i]), writer->value, writer->next};
    }
    writer->rig->store->ops->commit(writer->rig->store, writer->changes, 4, report, writer);
}

static int64_t run_and_kill(struct rig *rig, int64_t from, unsigned microseconds) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        rig_open(rig);
        char text[2049];
        memset(text, 'x', sizeof text);
        struct writer writer = {.rig = rig, .pipe = pipes[1], .next = from};
        writer.value = blob_create((struct str){text, sizeof text});
        write_next(&writer);
        loop_run(rig->loop);
        _exit(4);
    }
    close(pipes[1]);
    int64_t acknowledged = from;
    int64_t value;
    if (read(pipes[0], &value, sizeof value) == (ssize_t)sizeof value) { // it has begun
        acknowledged = value;
        usleep(microseconds);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(pipes[0], &value, sizeof value) == (ssize_t)sizeof value) {
        acknowledged = value;
    }
    close(pipes[0]);
    return acknowledged;
}

static void survives_kill(void **state) {
    struct rig *rig = *state;
    int64_t last = 0;
    for (unsigned i = 0; i < 8; i++) {
        int64_t acknowledged = run_and_kill(rig, last, 1000 + i * 7919);
        assert_true(acknowledged > last);
        rig_open(rig);
        int64_t revision = rig->store->ops->revision(rig->store);
        assert_true(revision >= acknowledged);
        assert_int_equal(revision % 4, 0); // groups are whole
        for (int64_t n = last + 1; n <= revision; n++) {
            char key[64];
            snprintf(key, sizeof key, "/core/pods/a/%08lld", (long long)n);
            struct blob *blob = rig->store->ops->read(rig->store, str_from(key), NULL);
            assert_non_null(blob);
            blob_unref(blob);
        }
        last = revision;
        rig_close(rig);
    }
}

// ---- A full disk: the limit on file sizes stands in for it ----
static void goes_on_after_a_full_disk(void **state) {
    struct rig *rig = *state;
    pid_t child = fork();
    if (child == 0) {
        rig_open(rig);
        if (put(rig, "/core/pods/a/kept", STR("kept"), 1) != ERR_NONE) {
            _exit(10);
        }
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGXFSZ, &ignore, NULL);
        struct rlimit limit = {.rlim_cur = 256 * 1024, .rlim_max = RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
        char *text = xmalloc(1024 * 1024);
        memset(text, 'x', 1024 * 1024);
        struct str big = {text, 1024 * 1024};
        if (put(rig, "/core/pods/a/big", big, 2) != ERR_FULL ||
            put(rig, "/core/pods/a/big", big, 3) != ERR_FULL) {
            _exit(11);
        }
        if (put(rig, "/core/pods/a/small", STR("small"), 4) != ERR_NONE) {
            _exit(12);
        }
        limit.rlim_cur = RLIM_INFINITY;
        setrlimit(RLIMIT_FSIZE, &limit);
        if (put(rig, "/core/pods/a/big", big, 5) != ERR_NONE) {
            _exit(13);
        }
        free(text);
        rig_close(rig);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    rig_open(rig);
    assert_row(rig, "/core/pods/a/kept", "kept");
    assert_row(rig, "/core/pods/a/small", "small");
    assert_int_equal(rig->store->ops->revision(rig->store), 5);
    rig_close(rig);
}

static void noted(void *ctx, const struct err *error) {
    struct rig *rig = ctx;
    rig->code = error ? error->code : ERR_NONE;
}

static void stop(void *ctx) {
    loop_stop(ctx);
}

static void drain(struct loop *loop) { // the worker's message is still on its way
    struct loop_timer *timer = loop_timer_create(loop, stop, loop);
    loop_timer_start(timer, 20000000);
    loop_run(loop);
    loop_timer_destroy(timer);
}

static void closes_during_a_commit(void **state) {
    struct rig *rig = *state;
    rig_open(rig);
    struct blob *value = blob_create(STR("late"));
    struct store_change change = {STR("/core/pods/a/late"), value, 1};
    rig->store->ops->commit(rig->store, &change, 1, noted, rig);
    rig->code = ERR_INTERNAL;
    rig->store->ops->close(rig->store);
    assert_int_equal(rig->code, ERR_NONE);
    blob_unref(value);
    drain(rig->loop);
    loop_destroy(rig->loop);
    rig_open(rig);
    assert_row(rig, "/core/pods/a/late", "late");
    rig_close(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_rows_over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_second_process, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_newer_format, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_damaged_file, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on_after_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(closes_during_a_commit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
