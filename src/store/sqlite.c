// SPDX-License-Identifier: Apache-2.0
// Durable rows in SQLite: WAL with synchronous=FULL, one writer connection that only the worker lane uses, one reader
// connection that only the loop uses. A group of changes is one transaction and one sync of the log.
//
// A rowid table with an index on the key, not WITHOUT ROWID: objects of 2 KiB do not fit into the pages of an index tree
// and would each take an overflow page.
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    FORMAT = 1,               // of the tables; kept in PRAGMA user_version
    APPLICATION = 0x736b6966, // "skif", in the header of the file
    CHECKPOINT_PAGES = 2000,  // of the log, 8 MiB
};

struct sqlite_store {
    struct store base;
    struct loop *loop;
    char *dir;
    int lock_fd;
    uint64_t lane;
    sqlite3 *writer, *reader;
    sqlite3_stmt *begin, *put, *drop, *mark, *finish, *undo; // of the writer
    sqlite3_stmt *find;                                      // of the reader
    int64_t revision;
    bool busy, closed;
    sem_t worked; // posted when the worker is through with a commit
    // the commit under way
    const struct store_change *changes;
    size_t count;
    struct err error;
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
};

static struct sqlite_store *of(struct store *store) {
    return CONTAINER_OF(store, struct sqlite_store, base);
}

// ---- Errors ----
static bool db_error(sqlite3 *db, const char *what, struct err *err) {
    int code = sqlite3_errcode(db) & 0xff;
    int number = sqlite3_system_errno(db);
    if (code == SQLITE_FULL ||
        (code == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT || number == EFBIG))) {
        return err_set(err, ERR_FULL, "%s: no space left for the data folder", what);
    }
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        return err_set(err, ERR_IO,
                       "%s: the database is damaged (%s); restore the data folder from a copy",
                       what, sqlite3_errmsg(db));
    }
    enum err_code kind = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? ERR_IO : ERR_INTERNAL;
    return err_set(err, kind, "%s: %s", what, sqlite3_errmsg(db));
}

static bool run(sqlite3 *db, const char *sql, struct err *err) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || db_error(db, sql, err);
}

static bool step(sqlite3 *db, sqlite3_stmt *statement, const char *what, struct err *err) {
    int code = sqlite3_step(statement);
    bool ok = code == SQLITE_DONE || code == SQLITE_ROW || db_error(db, what, err);
    sqlite3_reset(statement);
    return ok;
}

static bool prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err) {
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK ||
           db_error(db, sql, err);
}

static bool query_int(sqlite3 *db, const char *sql, int64_t *out, struct err *err) {
    sqlite3_stmt *statement = NULL;
    if (!prepare(db, sql, &statement, err)) {
        return false;
    }
    int code = sqlite3_step(statement);
    bool ok = code == SQLITE_ROW || code == SQLITE_DONE || db_error(db, sql, err);
    *out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return ok;
}

// ---- Commits (on the worker) ----
static bool write_change(struct sqlite_store *store, const struct store_change *change) {
    if (change->key.n > INT_MAX) {
        return err_set(&store->error, ERR_LIMIT, "a key is too long");
    }
    sqlite3_stmt *statement = change->value ? store->put : store->drop;
    sqlite3_bind_text(statement, 1, change->key.p, (int)change->key.n, SQLITE_STATIC);
    if (change->value) {
        sqlite3_bind_blob64(statement, 2, change->value->data, change->value->len, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, change->revision);
    }
    return step(store->writer, statement, "writing an object", &store->error);
}

static bool write_group(struct sqlite_store *store) {
    if (!step(store->writer, store->begin, "starting a commit", &store->error)) {
        return false;
    }
    for (size_t i = 0; i < store->count; i++) {
        if (!write_change(store, &store->changes[i])) {
            return false;
        }
    }
    if (store->count) {
        sqlite3_bind_int64(store->mark, 1, store->changes[store->count - 1].revision);
        if (!step(store->writer, store->mark, "writing the revision", &store->error)) {
            return false;
        }
    }
    return step(store->writer, store->finish, "committing", &store->error);
}

static void work(void *ctx) {
    struct sqlite_store *store = ctx;
    store->error = (struct err){0};
    if (!write_group(store) && !sqlite3_get_autocommit(store->writer)) {
        // Some errors have rolled back already; for the others this must not hide the first cause.
        sqlite3_step(store->undo);
        sqlite3_reset(store->undo);
    }
    sem_post(&store->worked);
}

static void finish_commit(struct sqlite_store *store) {
    store->busy = false;
    bool failed = store->error.code != ERR_NONE;
    if (!failed && store->count) {
        store->revision = store->changes[store->count - 1].revision;
    }
    struct err error = store->error;
    store->done(store->ctx, failed ? &error : NULL);
}

static void worked(void *ctx) {
    struct sqlite_store *store = ctx;
    if (store->closed) {
        sem_destroy(&store->worked);
        free(store);
        return;
    }
    sem_wait(&store->worked);
    finish_commit(store);
}

static void sqlite_commit(struct store *base, const struct store_change *changes, size_t count,
                          void (*done)(void *ctx, const struct err *error), void *ctx) {
    struct sqlite_store *store = of(base);
    CHECK(!store->busy && !store->closed);
    store->busy = true;
    store->changes = changes;
    store->count = count;
    store->done = done;
    store->ctx = ctx;
    loop_work(store->loop, store->lane, work, worked, store);
}

// ---- Reading (on the loop) ----
static struct blob *sqlite_read(struct store *base, struct str key, struct err *err) {
    struct sqlite_store *store = of(base);
    struct blob *blob = NULL;
    sqlite3_bind_text(store->find, 1, key.p, (int)key.n, SQLITE_STATIC);
    int code = sqlite3_step(store->find);
    if (code == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(store->find, 0);
        blob = blob_create((struct str){data, (size_t)sqlite3_column_bytes(store->find, 0)});
    } else if (code != SQLITE_DONE) {
        db_error(store->reader, "reading an object", err);
    }
    sqlite3_reset(store->find);
    return blob;
}

static bool sqlite_scan(struct store *base,
                        bool (*row)(void *ctx, struct str key, struct str value, int64_t revision),
                        void *ctx, struct err *err) {
    struct sqlite_store *store = of(base);
    sqlite3_stmt *statement = NULL;
    if (!prepare(store->reader, "SELECT key, value, revision FROM objects ORDER BY key", &statement,
                 err)) {
        return false;
    }
    bool ok = true;
    int code;
    while (ok && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct str key = {(const char *)sqlite3_column_text(statement, 0),
                          (size_t)sqlite3_column_bytes(statement, 0)};
        struct str value = {sqlite3_column_blob(statement, 1),
                            (size_t)sqlite3_column_bytes(statement, 1)};
        ok = row(ctx, key, value, sqlite3_column_int64(statement, 2));
    }
    if (ok && code != SQLITE_DONE) {
        ok = db_error(store->reader, "reading the objects", err);
    }
    sqlite3_finalize(statement);
    return ok;
}

static int64_t sqlite_revision(struct store *base) {
    return of(base)->revision;
}

// ---- Closing ----
static void close_databases(struct sqlite_store *store) {
    sqlite3_stmt *statements[] = {store->begin,  store->put,  store->drop, store->mark,
                                  store->finish, store->undo, store->find};
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        sqlite3_finalize(statements[i]);
    }
    sqlite3_close(store->reader); // first: the last one to close folds the log into the database
    sqlite3_close(store->writer);
    if (store->lock_fd >= 0) {
        close(store->lock_fd); // lets go of the lock; the file stays, removing it would race
    }
    free(store->dir);
}

static void sqlite_close(struct store *base) {
    struct sqlite_store *store = of(base);
    bool on_its_way = store->busy;
    if (on_its_way) {
        while (sem_wait(&store->worked) != 0 && errno == EINTR) {
        }
        finish_commit(store);
    }
    close_databases(store);
    store->closed = true;
    if (!on_its_way) {
        sem_destroy(&store->worked);
        free(store);
    } // else the worker's message frees it
}

// ---- Opening ----
static bool take_lock(struct sqlite_store *store, struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lock", store->dir);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        return err_errno(err, errno, "opening %s", path);
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        int number = errno;
        char pid[32] = {0};
        ssize_t n = pread(store->lock_fd, pid, sizeof pid - 1, 0);
        struct str holder = str_trim((struct str){pid, n > 0 ? (size_t)n : 0});
        if (number != EWOULDBLOCK) {
            return err_errno(err, number, "locking %s", path);
        }
        return err_set(err, ERR_EXISTS,
                       "the data folder %s is in use by process %.*s; stop it or choose another "
                       "folder",
                       store->dir, STR_ARG(holder.n ? holder : STR("(unknown)")));
    }
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(store->lock_fd, 0) != 0 || pwrite(store->lock_fd, pid, (size_t)n, 0) != n) {
        return err_errno(err, errno, "writing %s", path);
    }
    return true;
}

static bool make_folder(const char *dir, struct err *err) {
    if (mkdir(dir, 0700) == 0 || errno == EEXIST) {
        return true;
    }
    return err_errno(err, errno, "making the data folder %s", dir);
}

static bool open_database(struct sqlite_store *store, sqlite3 **out, int cache_kib,
                          struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/state.db", store->dir);
    // Made here, so that its mode, which SQLite gives to the log too, does not depend on the umask.
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "opening %s", path);
    }
    close(fd);
    if (sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        return db_error(*out, "opening the database", err);
    }
    sqlite3_extended_result_codes(*out, 1);
    sqlite3_busy_timeout(*out, 5000);
    char settings[256];
    snprintf(settings, sizeof settings,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-%d;"
             "PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=16777216;"
             "PRAGMA temp_store=MEMORY",
             cache_kib, CHECKPOINT_PAGES);
    return run(*out, settings, err);
}

// upgrades[n] turns format n into n+1; the first one makes the tables.
static const char *const upgrades[FORMAT] = {
    "CREATE TABLE objects(key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, revision INTEGER NOT "
    "NULL);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('revision', 0)",
};

static bool refuse_newer(struct sqlite_store *store, int64_t format, struct err *err) {
    char version[64] = "a newer version";
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->writer, "SELECT value FROM meta WHERE name='written_by'", -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        snprintf(version, sizeof version, "version %s", sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return err_set(
        err, ERR_UNSUPPORTED,
        "the data folder %s has format %lld, written by %s of skiff; this is version %s, "
        "which reads formats up to %d: start that version or a newer one",
        store->dir, (long long)format, version, SKIFF_VERSION, FORMAT);
}

static bool upgrade(struct sqlite_store *store, struct err *err) {
    int64_t format;
    int64_t application;
    if (!query_int(store->writer, "PRAGMA user_version", &format, err) ||
        !query_int(store->writer, "PRAGMA application_id", &application, err)) {
        return false;
    }
    if (format > FORMAT) {
        return refuse_newer(store, format, err);
    }
    if (format > 0 && application != APPLICATION) {
        return err_set(err, ERR_INVALID, "%s/state.db is not a database of skiff", store->dir);
    }
    if (format == FORMAT) {
        return true;
    }
    if (!run(store->writer, "BEGIN IMMEDIATE", err)) {
        return false;
    }
    for (; format < FORMAT; format++) {
        if (!run(store->writer, upgrades[format], err)) {
            return err_wrap(err, "upgrading the data folder to format %lld", (long long)format + 1);
        }
    }
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO meta VALUES('written_by', '%s'); PRAGMA application_id=%d;"
             "PRAGMA user_version=%d; COMMIT",
             SKIFF_VERSION, APPLICATION, FORMAT);
    return run(store->writer, sql, err);
}

static bool prepare_all(struct sqlite_store *store, struct err *err) {
    sqlite3 *db = store->writer;
    return prepare(db, "BEGIN IMMEDIATE", &store->begin, err) &&
           prepare(db,
                   "INSERT INTO objects(key, value, revision) VALUES(?, ?, ?) ON CONFLICT(key) DO "
                   "UPDATE SET value=excluded.value, revision=excluded.revision",
                   &store->put, err) &&
           prepare(db, "DELETE FROM objects WHERE key=?", &store->drop, err) &&
           prepare(db, "UPDATE meta SET value=? WHERE name='revision'", &store->mark, err) &&
           prepare(db, "COMMIT", &store->finish, err) &&
           prepare(db, "ROLLBACK", &store->undo, err) &&
           prepare(store->reader, "SELECT value FROM objects WHERE key=?", &store->find, err);
}

struct store *store_open_sqlite(struct loop *loop, const char *dir, struct err *err) {
    static const struct store_ops ops = {
        .commit = sqlite_commit,
        .read = sqlite_read,
        .scan = sqlite_scan,
        .revision = sqlite_revision,
        .close = sqlite_close,
    };
    struct sqlite_store *store = NEW(struct sqlite_store);
    store->base.ops = &ops;
    store->loop = loop;
    store->dir = xstrdup(str_from(dir));
    store->lock_fd = -1;
    store->lane = loop_lane_create(loop);
    sem_init(&store->worked, 0, 0);
    if (!make_folder(dir, err) || !take_lock(store, err) ||
        !open_database(store, &store->writer, 512, err) || !upgrade(store, err) ||
        !open_database(store, &store->reader, 256, err) || !prepare_all(store, err) ||
        !query_int(store->reader, "SELECT value FROM meta WHERE name='revision'", &store->revision,
                   err)) {
        err_wrap(err, "opening the store");
        sqlite_close(&store->base);
        return NULL;
    }
    return &store->base;
}
