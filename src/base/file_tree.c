// SPDX-License-Identifier: Apache-2.0
// The two file trees that need no library: a plain folder and one in memory.
// In a folder every path element is opened relative to its parent without following symlinks, so that neither a link in the
// tree nor one put there while we read leads outside.
#include "base/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/vec.h"

enum { PATH_TEXT_MAX = 4096, NAME_TEXT_MAX = 255 };

static bool path_error(struct err *err, struct str path, const char *what) {
    return err_set(err, ERR_INVALID, "path \"%.*s\" %s", STR_ARG(str_first(path, 200)), what);
}

bool file_path_clean(struct str path, struct arena *arena, struct str *out, struct err *err) {
    if (path.n > PATH_TEXT_MAX) {
        return path_error(err, path, "is longer than 4096 bytes");
    }
    if (path.n > 0 && path.p[0] == '/') {
        return path_error(err, path, "is absolute; paths are relative to the root of the source");
    }
    if (str_find_char(path, '\0') != STR_NPOS || str_find_char(path, '\\') != STR_NPOS) {
        return path_error(err, path, "has a NUL or a backslash");
    }
    char *text = arena_alloc(arena, path.n + 1);
    size_t n = 0;
    struct str part;
    for (struct str rest = path; str_next(&rest, '/', &part);) {
        if (part.n == 0 || str_eq_c(part, ".")) {
            continue;
        }
        if (str_eq_c(part, "..")) {
            return path_error(err, path, "has \"..\"; nothing outside the source can be read");
        }
        if (n > 0) {
            text[n++] = '/';
        }
        memcpy(text + n, part.p, part.n);
        n += part.n;
    }
    text[n] = '\0';
    *out = (struct str){text, n};
    return true;
}

// What the trees accept: only paths that are clean already.
static bool path_check(struct str path, struct err *err) {
    if (path.n > PATH_TEXT_MAX || str_find_char(path, '\0') != STR_NPOS) {
        return path_error(err, path, "is too long or has a NUL");
    }
    if (path.n > 0 && path.p[path.n - 1] == '/') {
        return path_error(err, path, "is not clean");
    }
    struct str part;
    for (struct str rest = path; str_next(&rest, '/', &part);) {
        if (part.n == 0 || str_eq_c(part, ".") || str_eq_c(part, "..")) {
            return path_error(err, path, "is not clean");
        }
    }
    return true;
}

static int compare_entries(const void *a, const void *b) {
    return str_cmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

static struct str last_element(struct str path) {
    size_t slash = str_rfind_char(path, '/');
    return slash == STR_NPOS ? path : str_skip(path, slash + 1);
}

static bool limit_error(struct err *err, struct str path, uint64_t size, size_t max) {
    return err_set(err, ERR_LIMIT, "file %.*s has %llu bytes, more than the limit of %zu",
                   STR_ARG(path), (unsigned long long)size, max);
}

// ---- A plain folder ----

struct folder_tree {
    struct file_tree tree;
    int fd;
};

static void auto_close(const int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
}
#define AUTO_FD __attribute__((cleanup(auto_close)))

static bool means_absent(int errnum) {
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENAMETOOLONG;
}

// Opens the folder that holds the last element of `path` and copies that element to `name`. -1 with *absent when an
// element on the way is missing or no folder.
static int open_parent(struct folder_tree *folder, struct str path, char name[NAME_TEXT_MAX + 1],
                       bool *absent, struct err *err) {
    *absent = false;
    int fd = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        err_errno(err, errno, "cannot open the folder");
        return -1;
    }
    struct str rest = path;
    struct str part = {0};
    while (str_next(&rest, '/', &part)) {
        if (part.n > NAME_TEXT_MAX) {
            close(fd);
            *absent = true;
            return -1;
        }
        memcpy(name, part.p, part.n);
        name[part.n] = '\0';
        if (rest.n == 0) {
            break;
        }
        int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int errnum = errno;
        close(fd);
        if (next < 0) {
            *absent = means_absent(errnum);
            if (!*absent) {
                err_errno(err, errnum, "cannot open folder %.*s", STR_ARG(path));
            }
            return -1;
        }
        fd = next;
    }
    if (path.n == 0) {
        memcpy(name, ".", 2);
    }
    return fd;
}

static void entry_from_stat(const struct stat *st, struct file_entry *out) {
    out->kind = S_ISDIR(st->st_mode)   ? FILE_FOLDER
                : S_ISLNK(st->st_mode) ? FILE_SYMLINK
                                       : FILE_REGULAR; // reading a device or pipe is refused
    out->size = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (uint64_t)st->st_size : 0;
}

static bool folder_stat(struct file_tree *tree, struct str path, struct file_entry *out,
                        struct err *err) {
    struct folder_tree *folder = (struct folder_tree *)tree;
    if (!path_check(path, err)) {
        return false;
    }
    struct file_entry entry = {.name = last_element(path), .kind = FILE_ABSENT};
    char name[NAME_TEXT_MAX + 1] = "";
    bool absent;
    AUTO_FD int parent = open_parent(folder, path, name, &absent, err);
    if (parent < 0 && !absent) {
        return false;
    }
    struct stat st;
    if (parent >= 0) {
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            entry_from_stat(&st, &entry);
        } else if (!means_absent(errno)) {
            return err_errno(err, errno, "cannot stat %.*s", STR_ARG(path));
        }
    }
    *out = entry;
    return true;
}

// Opens the file or folder itself; ERR_NOT_FOUND when it is absent or a link.
static int open_leaf(struct folder_tree *folder, struct str path, int flags, struct err *err) {
    char name[NAME_TEXT_MAX + 1] = "";
    bool absent;
    if (!path_check(path, err)) {
        return -1;
    }
    AUTO_FD int parent = open_parent(folder, path, name, &absent, err);
    if (parent < 0) {
        if (absent) {
            err_set(err, ERR_NOT_FOUND, "%.*s does not exist", STR_ARG(path));
        }
        return -1;
    }
    int fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (means_absent(errno)) {
            err_set(err, ERR_NOT_FOUND, "%.*s does not exist", STR_ARG(path));
        } else {
            err_errno(err, errno, "cannot open %.*s", STR_ARG(path));
        }
    }
    return fd;
}

static bool read_dir(DIR *dir, struct str path, struct arena *arena, struct file_entry **out,
                     size_t *count, struct err *err) {
    VEC(struct file_entry) entries = {0};
    bool ok = true;
    for (;;) {
        errno = 0;
        struct dirent *item = readdir(dir);
        if (!item) {
            ok = errno == 0 || err_errno(err, errno, "cannot list %.*s", STR_ARG(path));
            break;
        }
        struct stat st;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
            fstatat(dirfd(dir), item->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue; // gone meanwhile
        }
        if (entries.len == LIMIT_GIT_TREE_ENTRIES) {
            ok = err_set(err, ERR_LIMIT, "folder %.*s has more than %d entries", STR_ARG(path),
                         LIMIT_GIT_TREE_ENTRIES);
            break;
        }
        struct file_entry entry = {.name = arena_dup(arena, str_from(item->d_name))};
        entry_from_stat(&st, &entry);
        VEC_PUSH(&entries, entry);
    }
    if (ok) {
        *out = ARENA_ARRAY(arena, entries.len, struct file_entry);
        *count = entries.len;
        if (entries.len > 0) {
            memcpy(*out, entries.items, entries.len * sizeof *entries.items);
            qsort(*out, *count, sizeof **out, compare_entries);
        }
    }
    VEC_FREE(&entries);
    return ok;
}

static bool folder_list(struct file_tree *tree, struct str path, struct arena *arena,
                        struct file_entry **out, size_t *count, struct err *err) {
    int fd = open_leaf((struct folder_tree *)tree, path, O_RDONLY | O_DIRECTORY, err);
    if (fd < 0) {
        return false;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int errnum = errno;
        close(fd);
        return err_errno(err, errnum, "cannot list %.*s", STR_ARG(path));
    }
    bool ok = read_dir(dir, path, arena, out, count, err);
    closedir(dir);
    return ok;
}

static bool read_link(struct folder_tree *folder, struct str path, struct arena *arena,
                      struct str *out, struct err *err) {
    char name[NAME_TEXT_MAX + 1] = "";
    bool absent;
    AUTO_FD int parent = open_parent(folder, path, name, &absent, err);
    if (parent < 0) {
        return absent ? err_set(err, ERR_NOT_FOUND, "%.*s does not exist", STR_ARG(path)) : false;
    }
    char target[PATH_TEXT_MAX];
    ssize_t n = readlinkat(parent, name, target, sizeof target);
    if (n < 0) {
        return err_errno(err, errno, "cannot read link %.*s", STR_ARG(path));
    }
    *out = arena_dup(arena, (struct str){target, (size_t)n});
    return true;
}

// The size can change while we read: never more than what fstat said, and less is fine.
static bool read_regular(int fd, struct str path, size_t max, struct arena *arena, struct str *out,
                         struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return err_errno(err, errno, "cannot stat %.*s", STR_ARG(path));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_INVALID, "%.*s is not a regular file", STR_ARG(path));
    }
    if ((uint64_t)st.st_size > max) {
        return limit_error(err, path, (uint64_t)st.st_size, max);
    }
    size_t size = (size_t)st.st_size;
    char *text = arena_alloc(arena, size + 1);
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, text + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_errno(err, errno, "cannot read %.*s", STR_ARG(path));
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    text[n] = '\0';
    *out = (struct str){text, n};
    return true;
}

static bool folder_read(struct file_tree *tree, struct str path, size_t max, struct arena *arena,
                        struct str *out, struct err *err) {
    struct file_entry entry = {0};
    if (!folder_stat(tree, path, &entry, err)) {
        return false;
    }
    if (entry.kind == FILE_SYMLINK) {
        return entry.size > max ? limit_error(err, path, entry.size, max)
                                : read_link((struct folder_tree *)tree, path, arena, out, err);
    }
    if (entry.kind == FILE_FOLDER) {
        return err_set(err, ERR_INVALID, "%.*s is a folder", STR_ARG(path));
    }
    // O_NONBLOCK: opening a pipe must not wait for its writer.
    AUTO_FD int fd = open_leaf((struct folder_tree *)tree, path, O_RDONLY | O_NONBLOCK, err);
    return fd >= 0 && read_regular(fd, path, max, arena, out, err);
}

static void folder_destroy(struct file_tree *tree) {
    struct folder_tree *folder = (struct folder_tree *)tree;
    close(folder->fd);
    free(folder);
}

static const struct file_tree_ops folder_ops = {
    .stat = folder_stat, .list = folder_list, .read = folder_read, .destroy = folder_destroy};

struct file_tree *file_tree_open_folder(struct str folder, struct err *err) {
    if (folder.n == 0 || folder.n > PATH_TEXT_MAX || str_find_char(folder, '\0') != STR_NPOS) {
        path_error(err, folder, "cannot be a folder");
        return NULL;
    }
    char *name = xstrdup(folder);
    int fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int errnum = errno;
    free(name);
    if (fd < 0) {
        err_errno(err, errnum, "cannot open folder %.*s", STR_ARG(folder));
        return NULL;
    }
    struct folder_tree *tree = NEW(struct folder_tree);
    tree->tree.ops = &folder_ops;
    tree->fd = fd;
    return &tree->tree;
}

// ---- In memory ----

struct memory_file {
    struct str path, content;
};

struct memory_tree {
    struct file_tree tree;
    struct arena *arena;
    VEC(struct memory_file) files; // in byte order of their paths
};

// The first file whose path is not below `path` in byte order.
static size_t lower_bound(const struct memory_tree *memory, struct str path) {
    size_t low = 0;
    size_t high = memory->files.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(memory->files.items[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const struct memory_file *find_file(const struct memory_tree *memory, struct str path) {
    size_t i = lower_bound(memory, path);
    return i < memory->files.len && str_eq(memory->files.items[i].path, path)
               ? &memory->files.items[i]
               : NULL;
}

static bool starts_below(struct str path, struct str folder) {
    return folder.n == 0 ||
           (path.n > folder.n && str_starts(path, folder) && path.p[folder.n] == '/');
}

// The first file below the folder; other names such as "folder.x" sort between the folder and its content.
static size_t first_below(const struct memory_tree *memory, struct str folder) {
    if (folder.n == 0) {
        return 0;
    }
    char *prefix = xmalloc(folder.n + 1);
    memcpy(prefix, folder.p, folder.n);
    prefix[folder.n] = '/';
    size_t i = lower_bound(memory, (struct str){prefix, folder.n + 1});
    free(prefix);
    return i;
}

static bool memory_stat(struct file_tree *tree, struct str path, struct file_entry *out,
                        struct err *err) {
    struct memory_tree *memory = (struct memory_tree *)tree;
    if (!path_check(path, err)) {
        return false;
    }
    struct file_entry entry = {.name = last_element(path), .kind = FILE_ABSENT};
    const struct memory_file *file = find_file(memory, path);
    size_t below = first_below(memory, path);
    if (file) {
        entry.kind = FILE_REGULAR;
        entry.size = file->content.n;
    } else if (path.n == 0 ||
               (below < memory->files.len && starts_below(memory->files.items[below].path, path))) {
        entry.kind = FILE_FOLDER;
    }
    *out = entry;
    return true;
}

static bool memory_list(struct file_tree *tree, struct str path, struct arena *arena,
                        struct file_entry **out, size_t *count, struct err *err) {
    struct memory_tree *memory = (struct memory_tree *)tree;
    struct file_entry self;
    if (!memory_stat(tree, path, &self, err)) {
        return false;
    }
    if (self.kind != FILE_FOLDER) {
        return err_set(err, ERR_NOT_FOUND, "%.*s is no folder", STR_ARG(path));
    }
    size_t first = first_below(memory, path);
    size_t skip = path.n == 0 ? 0 : path.n + 1;
    struct file_entry *entries = ARENA_ARRAY(arena, memory->files.len - first, struct file_entry);
    size_t n = 0;
    for (size_t i = first; i < memory->files.len; i++) {
        const struct memory_file *file = &memory->files.items[i];
        if (!starts_below(file->path, path)) {
            break;
        }
        struct str name;
        struct str rest;
        bool is_folder = str_cut(str_skip(file->path, skip), '/', &name, &rest);
        if (is_folder && n > 0 && entries[n - 1].kind == FILE_FOLDER &&
            str_eq(entries[n - 1].name, name)) {
            continue;
        }
        entries[n++] = (struct file_entry){.name = arena_dup(arena, name),
                                           .kind = is_folder ? FILE_FOLDER : FILE_REGULAR,
                                           .size = is_folder ? 0 : file->content.n};
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    *out = entries;
    *count = n;
    return true;
}

static bool memory_read(struct file_tree *tree, struct str path, size_t max, struct arena *arena,
                        struct str *out, struct err *err) {
    if (!path_check(path, err)) {
        return false;
    }
    const struct memory_file *file = find_file((struct memory_tree *)tree, path);
    if (!file) {
        return err_set(err, ERR_NOT_FOUND, "%.*s does not exist", STR_ARG(path));
    }
    if (file->content.n > max) {
        return limit_error(err, path, file->content.n, max);
    }
    *out = arena_dup(arena, file->content);
    return true;
}

static void memory_destroy(struct file_tree *tree) {
    struct memory_tree *memory = (struct memory_tree *)tree;
    VEC_FREE(&memory->files);
    arena_destroy(memory->arena);
    free(memory);
}

static const struct file_tree_ops memory_ops = {
    .stat = memory_stat, .list = memory_list, .read = memory_read, .destroy = memory_destroy};

struct file_tree *file_tree_create_memory(void) {
    struct memory_tree *memory = NEW(struct memory_tree);
    memory->tree.ops = &memory_ops;
    memory->arena = arena_create();
    return &memory->tree;
}

void file_tree_memory_put(struct file_tree *tree, struct str path, struct str content) {
    struct memory_tree *memory = (struct memory_tree *)tree;
    CHECK(tree->ops == &memory_ops && path.n > 0 && path_check(path, NULL));
    size_t i = lower_bound(memory, path);
    struct str copy = arena_dup(memory->arena, content);
    if (i < memory->files.len && str_eq(memory->files.items[i].path, path)) {
        memory->files.items[i].content = copy;
        return;
    }
    struct memory_file file = {arena_dup(memory->arena, path), copy};
    VEC_PUSH(&memory->files, file);
    memmove(&memory->files.items[i + 1], &memory->files.items[i],
            (memory->files.len - 1 - i) * sizeof file);
    memory->files.items[i] = file;
}
