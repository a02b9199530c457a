// SPDX-License-Identifier: Apache-2.0
#include "torn_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"

enum { SECTOR = 512, PATH_BYTES = 512 };

struct unsynced { // what a write replaced
    char path[PATH_BYTES];
    int64_t offset, size_before; // of the file
    char *before;
    size_t n;
    bool is_truncate;
};

struct torn_file {
    sqlite3_file base;
    char path[PATH_BYTES];
    sqlite3_file *real; // behind this struct
};

// One per process, as SQLite's list of file systems is.
static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    sqlite3_io_methods methods;
    uint64_t dice;
    int64_t left; // writes before the cut
    VEC(struct unsynced) log;
} torn = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t roll(uint64_t below) {
    torn.dice ^= torn.dice << 13;
    torn.dice ^= torn.dice >> 7;
    torn.dice ^= torn.dice << 17;
    return torn.dice % below;
}

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct torn_file *)file)->real;
}

// Remembers what is there now; false when the power is gone.
static bool remember(struct torn_file *file, int64_t offset, size_t n, bool is_truncate) {
    pthread_mutex_lock(&torn.lock);
    bool alive = torn.left > 0;
    if (alive && file->path[0]) {
        torn.left--;
        struct unsynced entry = {.offset = offset, .n = n, .is_truncate = is_truncate};
        memcpy(entry.path, file->path, sizeof entry.path);
        sqlite3_int64 size = 0;
        file->real->pMethods->xFileSize(file->real, &size);
        entry.size_before = size;
        if (is_truncate) {
            entry.n = size > offset ? (size_t)(size - offset) : 0;
        }
        entry.before = xcalloc(1, entry.n + 1);
        // A short read leaves zeros, which is what a file that grew holds there.
        file->real->pMethods->xRead(file->real, entry.before, (int)entry.n, offset);
        VEC_PUSH(&torn.log, entry);
    }
    pthread_mutex_unlock(&torn.lock);
    return alive;
}

static int torn_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int torn_read(sqlite3_file *file, void *to, int n, sqlite3_int64 offset) {
    return real_of(file)->pMethods->xRead(real_of(file), to, n, offset);
}
static int torn_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 offset) {
    if (!remember((struct torn_file *)file, offset, (size_t)n, false)) {
        return SQLITE_IOERR_WRITE;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), from, n, offset);
}
static int torn_truncate(sqlite3_file *file, sqlite3_int64 size) {
    if (!remember((struct torn_file *)file, size, 0, true)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int torn_sync(sqlite3_file *file, int flags) {
    const char *path = ((struct torn_file *)file)->path;
    pthread_mutex_lock(&torn.lock);
    bool alive = torn.left > 0;
    size_t kept = 0;
    for (size_t i = 0; i < torn.log.len; i++) {
        if (alive && strcmp(torn.log.items[i].path, path) == 0) {
            free(torn.log.items[i].before);
        } else {
            torn.log.items[kept++] = torn.log.items[i];
        }
    }
    torn.log.len = kept;
    pthread_mutex_unlock(&torn.lock);
    return alive ? real_of(file)->pMethods->xSync(real_of(file), flags) : SQLITE_IOERR_FSYNC;
}
static int torn_file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int torn_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int torn_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int torn_check_lock(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int torn_control(sqlite3_file *file, int what, void *arg) {
    return real_of(file)->pMethods->xFileControl(real_of(file), what, arg);
}
static int torn_sector_size(sqlite3_file *file) {
    (void)file;
    return SECTOR;
}
static int torn_characteristics(sqlite3_file *file) {
    (void)file;
    return 0; // no promise of atomic writes, and none that a write leaves its neighbours alone
}
static int torn_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}
static int torn_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}
static void torn_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int torn_shm_unmap(sqlite3_file *file, int remove) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int torn_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags, int *got) {
    (void)vfs;
    struct torn_file *file = (struct torn_file *)out;
    *file = (struct torn_file){.real = (sqlite3_file *)(file + 1)};
    snprintf(file->path, sizeof file->path, "%s", name ? name : "");
    int code = torn.real->xOpen(torn.real, name, file->real, flags, got);
    file->base.pMethods = code == SQLITE_OK ? &torn.methods : NULL;
    return code;
}

void torn_vfs_begin(uint64_t seed, int64_t writes) {
    torn.real = sqlite3_vfs_find("unix");
    torn.dice = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    torn.left = writes;
    torn.methods = (sqlite3_io_methods){
        .iVersion = 2, // no memory mapping: it would write behind our back
        .xClose = torn_close,
        .xRead = torn_read,
        .xWrite = torn_write,
        .xTruncate = torn_truncate,
        .xSync = torn_sync,
        .xFileSize = torn_file_size,
        .xLock = torn_lock,
        .xUnlock = torn_unlock,
        .xCheckReservedLock = torn_check_lock,
        .xFileControl = torn_control,
        .xSectorSize = torn_sector_size,
        .xDeviceCharacteristics = torn_characteristics,
        .xShmMap = torn_shm_map,
        .xShmLock = torn_shm_lock,
        .xShmBarrier = torn_shm_barrier,
        .xShmUnmap = torn_shm_unmap,
    };
    torn.vfs = *torn.real;
    torn.vfs.zName = "torn";
    torn.vfs.pNext = NULL;
    torn.vfs.szOsFile = (int)sizeof(struct torn_file) + torn.real->szOsFile;
    torn.vfs.xOpen = torn_open;
    sqlite3_vfs_register(&torn.vfs, 1);
}

void torn_vfs_cut(void) {
    pthread_mutex_lock(&torn.lock);
    torn.left = 0;
    pthread_mutex_unlock(&torn.lock);
}

// Sector by sector: the new bytes stay or the old ones are back.
static bool take_back(const struct unsynced *entry, int fd) {
    uint64_t how = roll(3); // kept, lost, torn
    if (how == 0) {
        return false;
    }
    for (size_t at = 0; at < entry->n;) {
        size_t end = at + SECTOR - ((size_t)entry->offset + at) % SECTOR;
        size_t n = (end < entry->n ? end : entry->n) - at;
        if (how == 1 || roll(2)) {
            (void)!pwrite(fd, entry->before + at, n, entry->offset + (int64_t)at);
        }
        at += n;
    }
    if (how == 1 || entry->is_truncate) {
        (void)!ftruncate(fd, entry->size_before);
    }
    return true;
}

unsigned torn_vfs_end(void) {
    sqlite3_vfs_unregister(&torn.vfs);
    sqlite3_vfs_register(torn.real, 1);
    unsigned lost = 0;
    // The newest first: a later write of the same bytes was on top of an earlier one.
    for (size_t i = torn.log.len; i-- > 0;) {
        int fd = open(torn.log.items[i].path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            lost += take_back(&torn.log.items[i], fd);
            close(fd);
        }
        free(torn.log.items[i].before);
    }
    VEC_FREE(&torn.log);
    return lost;
}
