// SPDX-License-Identifier: Apache-2.0
// Mirrors on disk: bare repositories that hold what was fetched and nothing else. They are a cache; any of them may vanish
// at any time. These functions block and run on workers.
#include "vcs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file_tree.h"
#include "base/limits.h"

enum {
    MIRROR_PATH_MAX = 4096,
    MIRROR_PACKS_MAX = 30,        // more slow every look-up: repack
    MIRROR_LOOSE_SAMPLE_MAX = 20, // in one of 256 folders: about 5,000 loose objects
    MIRROR_REFS_MAX = 64,         // fetched commits that stay reachable
    MIRROR_UNUSED_SECONDS = 14 * 24 * 3600,
    REMOVE_DEPTH_MAX = 64,
};

static bool join(char out[MIRROR_PATH_MAX], const char *dir, const char *name) {
    int n = snprintf(out, MIRROR_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < MIRROR_PATH_MAX;
}

// Removes what `name` in the folder `parent` is, never following a link.
static void remove_at(int parent, const char *name, int depth) {
    if (unlinkat(parent, name, 0) == 0 || depth == 0) {
        return;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_at(dirfd(dir), entry->d_name, depth - 1);
        }
    }
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void folder_remove(const char *path) {
    remove_at(AT_FDCWD, path, REMOVE_DEPTH_MAX);
}

bool folder_make_private(const char *path, struct err *err) {
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "cannot make folder %s", path);
    }
    if (lstat(path, &st) != 0) {
        return err_errno(err, errno, "cannot use folder %s", path);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
        return err_set(err, ERR_FORBIDDEN, "%s is not a private folder of this user (mode 0700)",
                       path);
    }
    return true;
}

static bool write_file(const char *dir, const char *name, struct str content, struct err *err) {
    char path[MIRROR_PATH_MAX];
    int fd = join(path, dir, name)
                 ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)
                 : -1;
    bool ok = fd >= 0 && write(fd, content.p, content.n) == (ssize_t)content.n;
    int errnum = errno;
    if (fd >= 0) {
        close(fd);
    }
    return ok || err_errno(err, errnum, "cannot write %s", path);
}

void mirror_remove(const char *dir) {
    // Renamed first, so that nobody sees half of it.
    char trash[MIRROR_PATH_MAX];
    int n = snprintf(trash, sizeof trash, "%s.trash-%ld", dir, (long)getpid());
    if (n > 0 && n < (int)sizeof trash && rename(dir, trash) == 0) {
        folder_remove(trash);
    } else {
        folder_remove(dir);
    }
}

// What `git init --bare` leaves, as far as git and libgit2 ask for it. HEAD comes last: it marks the mirror as whole.
bool mirror_ensure(const char *dir, struct str url, bool *made, struct err *err) {
    static const char *const folders[] = {"",     "objects",    "objects/pack", "objects/info",
                                          "refs", "refs/heads", "refs/tags",    "refs/skiff",
                                          "info"};
    char path[MIRROR_PATH_MAX];
    *made = false;
    if (!join(path, dir, "HEAD")) {
        return err_set(err, ERR_INVALID, "the path of the mirror is too long");
    }
    if (access(path, F_OK) == 0) {
        if (join(path, dir, "url")) {
            utimensat(AT_FDCWD, path, NULL, 0); // for mirror_sweep
        }
        return true;
    }
    mirror_remove(dir);
    size_t slash = str_rfind_char(str_from(dir), '/');
    if (slash != STR_NPOS && slash > 0 && slash < sizeof path) {
        memcpy(path, dir, slash);
        path[slash] = '\0';
        mkdir(path, 0700); // the folder of all mirrors may have been deleted too
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (!join(path, dir, folders[i]) || (mkdir(path, 0700) != 0 && errno != EEXIST)) {
            return err_errno(err, errno, "cannot make the mirror %s", dir);
        }
    }
    struct str config = STR("[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
                            "\tlogAllRefUpdates = false\n[gc]\n\tauto = 0\n\tpackRefs = false\n");
    *made = true;
    return write_file(dir, "url", url, err) && write_file(dir, "config", config, err) &&
           write_file(dir, "HEAD", STR("ref: refs/heads/none\n"), err);
}

bool mirror_is_shallow(const char *dir) {
    char path[MIRROR_PATH_MAX];
    return join(path, dir, "shallow") && access(path, F_OK) == 0;
}

// Written beside and renamed, as git does; only one cycle at a time changes a mirror.
static bool replace_file(const char *dir, const char *name, struct str content) {
    char from[MIRROR_PATH_MAX];
    char to[MIRROR_PATH_MAX];
    return write_file(dir, "skiff.tmp", content, NULL) && join(from, dir, "skiff.tmp") &&
           join(to, dir, name) && rename(from, to) == 0;
}

bool mirror_add_ref(const char *dir, const char *sha) {
    char name[16 + GIT_SHA_LEN];
    char line[GIT_SHA_LEN + 2];
    snprintf(name, sizeof name, "refs/skiff/%.40s", sha);
    snprintf(line, sizeof line, "%.40s\n", sha);
    return replace_file(dir, name, str_from(line));
}

bool mirror_add_shallow(const char *dir, const char *sha) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(file_tree_destroy) struct file_tree *tree = file_tree_open_folder(str_from(dir), NULL);
    struct str old = {0};
    struct err err = {0};
    if (!tree || (!tree->ops->read(tree, STR("shallow"), 16 * MIB, arena, &old, &err) &&
                  err.code != ERR_NOT_FOUND)) {
        return false;
    }
    return str_has(old, str_from(sha)) ||
           replace_file(dir, "shallow", arena_printf(arena, "%.*s%.40s\n", STR_ARG(old), sha));
}

static size_t count_files(const char *dir, const char *folder, const char *suffix) {
    char path[MIRROR_PATH_MAX];
    DIR *stream = join(path, dir, folder) ? opendir(path) : NULL;
    size_t count = 0;
    if (stream) {
        for (struct dirent *entry; (entry = readdir(stream));) {
            count += entry->d_name[0] != '.' && str_ends(str_from(entry->d_name), str_from(suffix));
        }
        closedir(stream);
    }
    return count;
}

bool mirror_needs_gc(const char *dir) {
    return count_files(dir, "objects/pack", ".pack") > MIRROR_PACKS_MAX ||
           count_files(dir, "objects/17", "") > MIRROR_LOOSE_SAMPLE_MAX;
}

struct dated_name {
    struct timespec time;
    char name[GIT_SHA_LEN + 1];
};

static int newest_first(const void *a, const void *b) {
    const struct dated_name *x = a;
    const struct dated_name *y = b;
    return x->time.tv_sec != y->time.tv_sec     ? (x->time.tv_sec < y->time.tv_sec ? 1 : -1)
           : x->time.tv_nsec != y->time.tv_nsec ? (x->time.tv_nsec < y->time.tv_nsec ? 1 : -1)
                                                : 0;
}

void mirror_prune_refs(const char *dir) {
    char path[MIRROR_PATH_MAX];
    DIR *stream = join(path, dir, "refs/skiff") ? opendir(path) : NULL;
    if (!stream) {
        return;
    }
    VEC(struct dated_name) names = {0};
    for (struct dirent *entry; (entry = readdir(stream));) {
        struct stat st;
        if (git_is_sha(str_from(entry->d_name)) &&
            fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            struct dated_name name = {.time = st.st_mtim};
            memcpy(name.name, entry->d_name, GIT_SHA_LEN);
            VEC_PUSH(&names, name);
        }
    }
    if (names.len > MIRROR_REFS_MAX) {
        qsort(names.items, names.len, sizeof *names.items, newest_first);
        for (size_t i = MIRROR_REFS_MAX; i < names.len; i++) {
            unlinkat(dirfd(stream), names.items[i].name, 0);
        }
    }
    VEC_FREE(&names);
    closedir(stream);
}

void mirror_sweep(const char *root) {
    DIR *stream = opendir(root);
    if (!stream) {
        return;
    }
    time_t now = time(NULL);
    for (struct dirent *entry; (entry = readdir(stream));) {
        struct str name = str_from(entry->d_name);
        char url[300];
        struct stat st;
        bool mirror = name.n == 64 + 4 && str_ends(name, STR(".git"));
        bool trash = str_has(name, STR(".git.trash-"));
        snprintf(url, sizeof url, "%s/url", entry->d_name);
        bool old = mirror && fstatat(dirfd(stream), url, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                   now - st.st_mtime > MIRROR_UNUSED_SECONDS;
        if (trash || old) {
            remove_at(dirfd(stream), entry->d_name, REMOVE_DEPTH_MAX);
        }
    }
    closedir(stream);
}
