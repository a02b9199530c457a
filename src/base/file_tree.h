// SPDX-License-Identifier: Apache-2.0
// A read-only tree of files: a Git commit, a chart archive, a plain folder. Renderers see nothing else, so that every
// read can be recorded and a render stays a pure function. Paths use '/', are relative to the root, without "." or "..".
#ifndef SKIFF_BASE_FILE_TREE_H
#define SKIFF_BASE_FILE_TREE_H

#include "base/arena.h"
#include "base/err.h"

enum file_kind { FILE_ABSENT, FILE_REGULAR, FILE_FOLDER, FILE_SYMLINK, FILE_SUBMODULE };

struct file_entry {
    struct str name; // the last path element
    enum file_kind kind;
    uint64_t size;        // of a regular file or link text; 0 where unknown
    unsigned char id[32]; // content identity where the tree has one (Git object id), else zero
    uint8_t id_len;
};

struct file_tree;

struct file_tree_ops {
    // FILE_ABSENT is a success. The empty path is the root folder.
    bool (*stat)(struct file_tree *tree, struct str path, struct file_entry *out, struct err *err);
    // Entries in byte order of their names, in `arena`.
    bool (*list)(struct file_tree *tree, struct str path, struct arena *arena,
                 struct file_entry **out, size_t *count, struct err *err);
    // The whole content, in `arena`; ERR_LIMIT when larger than `max`. For a symlink: its target text.
    bool (*read)(struct file_tree *tree, struct str path, size_t max, struct arena *arena,
                 struct str *out, struct err *err);
    void (*destroy)(struct file_tree *tree);
};

// Implementations put this first in their own struct. Used by one thread at a time.
struct file_tree {
    const struct file_tree_ops *ops;
};

static inline void file_tree_destroy(struct file_tree *tree) {
    if (tree) {
        tree->ops->destroy(tree);
    }
}
AUTO_DEFINE(struct file_tree, file_tree_destroy)

// A tree over a plain folder of the file system. Symlinks are reported, never followed; nothing outside is reachable.
struct file_tree *file_tree_open_folder(struct str folder, struct err *err);
// A tree held in memory, for tests and simulation; files are added before use.
struct file_tree *file_tree_create_memory(void);
void file_tree_memory_put(struct file_tree *tree, struct str path, struct str content);

// Cleans "a//b/./c" to "a/b/c"; refuses "..", absolute paths, NUL and backslash.
bool file_path_clean(struct str path, struct arena *arena, struct str *out, struct err *err);

#endif
