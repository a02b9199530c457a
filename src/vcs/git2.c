// SPDX-License-Identifier: Apache-2.0
// Reading commits, trees and blobs by libgit2, the one file that includes its header. The library is opened on first use:
// most commands of the program never touch Git.
//
// A git_repository serves one thread at a time, and opening one costs file reads. So each mirror has a few idle handles; a
// tree takes one for its life. Trees are opened and destroyed on workers, therefore a mutex guards the list: the one
// lock of this module, held for a few pointer moves.
#include "vcs/internal.h"

#include <dlfcn.h>
#include <git2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/timefmt.h"

enum {
    IDLE_HANDLES_MAX = 8,
    COMMIT_TEXT_MAX = KIB,
    COPY_OBJECTS_MAX = 300, // more are quicker by a fetch
    COPY_DEPTH_MAX = 64,
};

#define GIT2_FUNCTIONS(X)          \
    X(git_libgit2_init)            \
    X(git_libgit2_opts)            \
    X(git_error_last)              \
    X(git_repository_open_ext)     \
    X(git_repository_free)         \
    X(git_repository_odb)          \
    X(git_oid_fromstrn)            \
    X(git_oid_tostr)               \
    X(git_object_lookup_prefix)    \
    X(git_object_peel)             \
    X(git_object_id)               \
    X(git_object_free)             \
    X(git_commit_lookup)           \
    X(git_commit_tree)             \
    X(git_commit_author)           \
    X(git_commit_message)          \
    X(git_commit_free)             \
    X(git_tree_lookup)             \
    X(git_tree_entrycount)         \
    X(git_tree_entry_byindex)      \
    X(git_tree_entry_byname)       \
    X(git_tree_entry_name)         \
    X(git_tree_entry_id)           \
    X(git_tree_entry_filemode)     \
    X(git_tree_free)               \
    X(git_odb_read_header)         \
    X(git_odb_read)                \
    X(git_odb_object_data)         \
    X(git_odb_object_size)         \
    X(git_odb_object_free)         \
    X(git_odb_free)                \
    X(git_odb_exists)              \
    X(git_odb_write)               \
    X(git_odb_object_type)         \
    X(git_commit_tree_id)          \
    X(git_commit_parentcount)      \
    X(git_commit_parent_id)        \
    X(git_reference_iterator_new)  \
    X(git_reference_iterator_free) \
    X(git_reference_next)          \
    X(git_reference_name)          \
    X(git_reference_name_to_id)    \
    X(git_reference_free)

struct git2_functions {
#define X(name) __typeof__(&name) name;
    GIT2_FUNCTIONS(X)
#undef X
};

struct handle {
    git_repository *repository;
    unsigned generation;
};

struct mirror_pool {
    struct handle idle[IDLE_HANDLES_MAX];
    size_t idle_count;
    unsigned generation; // handles of an older one are closed instead of kept
    bool damaged;
};

struct git2 {
    atomic_uint refs;
    pthread_mutex_t lock; // of everything below
    bool tried;
    void *library;
    struct git2_functions f;
    struct map *mirrors; // path -> struct mirror_pool
};

struct git2 *git2_create(void) {
    struct git2 *git2 = NEW(struct git2);
    atomic_init(&git2->refs, 1);
    CHECK(pthread_mutex_init(&git2->lock, NULL) == 0);
    git2->mirrors = map_create();
    return git2;
}

struct git2 *git2_ref(struct git2 *git2) {
    atomic_fetch_add_explicit(&git2->refs, 1, memory_order_relaxed);
    return git2;
}

static void pool_clear(struct git2 *git2, struct mirror_pool *pool) {
    for (size_t i = 0; i < pool->idle_count; i++) {
        git2->f.git_repository_free(pool->idle[i].repository);
    }
    pool->idle_count = 0;
}

void git2_unref(struct git2 *git2) {
    if (!git2 || atomic_fetch_sub_explicit(&git2->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    void *value;
    for (size_t i = 0; map_next(git2->mirrors, &i, NULL, &value);) {
        pool_clear(git2, value);
        free(value);
    }
    map_destroy(git2->mirrors);
    pthread_mutex_destroy(&git2->lock);
    // The library stays loaded and initialised: another instance may use it, and its threads have state in it.
    free(git2);
}

static bool open_library(struct git2 *git2, struct err *err) {
    static const char *const names[] = {"libgit2.so.1.5", "libgit2.so"};
    if (git2->tried) {
        return git2->library ||
               err_set(err, ERR_UNSUPPORTED, "libgit2 1.5 is not installed (package libgit2-1.5)");
    }
    git2->tried = true;
    void *library = NULL;
    for (size_t i = 0; !library && i < ARRAY_LEN(names); i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    bool complete = library != NULL;
#define X(name)                                          \
    if (complete) {                                      \
        *(void **)&git2->f.name = dlsym(library, #name); \
        complete = git2->f.name != NULL;                 \
    }
    GIT2_FUNCTIONS(X)
#undef X
    if (!complete || git2->f.git_libgit2_init() < 0) {
        if (library) {
            dlclose(library);
        }
        return open_library(git2, err);
    }
    git2->library = library;
    // Mapped packs and cached trees count as our memory.
    git2->f.git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)(4 * MIB));
    git2->f.git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(64 * MIB));
    git2->f.git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)(16 * MIB));
    // By default folders over 4 KiB are not kept: one of 10,000 applications was unpacked for each of them again.
    git2->f.git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, (size_t)(2 * MIB));
    return true;
}

static bool ready(struct git2 *git2, struct err *err) {
    pthread_mutex_lock(&git2->lock);
    bool ok = open_library(git2, err);
    pthread_mutex_unlock(&git2->lock);
    return ok;
}

static struct mirror_pool *find_pool(struct git2 *git2, const char *mirror) {
    struct mirror_pool *pool = map_find(git2->mirrors, str_from(mirror));
    if (!pool) {
        pool = NEW(struct mirror_pool);
        map_put(git2->mirrors, str_from(mirror), pool);
    }
    return pool;
}

void git2_forget(struct git2 *git2, const char *mirror) {
    pthread_mutex_lock(&git2->lock);
    struct mirror_pool *pool = find_pool(git2, mirror);
    pool_clear(git2, pool);
    pool->generation++;
    pthread_mutex_unlock(&git2->lock);
}

bool git2_take_damage(struct git2 *git2, const char *mirror) {
    pthread_mutex_lock(&git2->lock);
    struct mirror_pool *pool = map_find(git2->mirrors, str_from(mirror));
    bool damaged = pool && pool->damaged;
    if (damaged) {
        pool->damaged = false;
    }
    pthread_mutex_unlock(&git2->lock);
    return damaged;
}

static void mark_damaged(struct git2 *git2, const char *mirror) {
    pthread_mutex_lock(&git2->lock);
    find_pool(git2, mirror)->damaged = true;
    pthread_mutex_unlock(&git2->lock);
}

// libgit2's error of this thread. Not found is told apart, the rest is trouble with the repository.
static bool git2_error(struct git2 *git2, int code, struct err *err, const char *what) {
    const git_error *last = git2->f.git_error_last();
    const char *text = last && last->message ? last->message : "unknown error";
    return code == GIT_ENOTFOUND    ? err_set(err, ERR_NOT_FOUND, "%s: %s", what, text)
           : code == GIT_EAMBIGUOUS ? err_set(err, ERR_INVALID, "%s: %s", what, text)
           : code == GIT_EOWNER
               ? err_set(err, ERR_FORBIDDEN,
                         "%s: %s (the folder belongs to another user; run skiff as that user or "
                         "change the owner)",
                         what, text)
               : err_set(err, ERR_IO, "%s: %s", what, text);
}

static git_repository *open_repository(struct git2 *git2, const char *path, bool bare,
                                       struct err *err) {
    unsigned flags = GIT_REPOSITORY_OPEN_NO_SEARCH | (bare ? GIT_REPOSITORY_OPEN_BARE : 0u);
    git_repository *repository = NULL;
    int code = git2->f.git_repository_open_ext(&repository, path, flags, NULL);
    if (code < 0) {
        git2_error(git2, code, err, "cannot open the repository");
        return NULL;
    }
    return repository;
}

static bool take_handle(struct git2 *git2, const char *mirror, struct handle *out,
                        struct err *err) {
    pthread_mutex_lock(&git2->lock);
    bool ok = open_library(git2, err);
    bool found = false;
    if (ok) {
        struct mirror_pool *pool = find_pool(git2, mirror);
        out->generation = pool->generation;
        found = pool->idle_count > 0;
        if (found) {
            *out = pool->idle[--pool->idle_count];
        }
    }
    pthread_mutex_unlock(&git2->lock);
    if (ok && !found) {
        out->repository = open_repository(git2, mirror, true, err);
        ok = out->repository != NULL;
        if (!ok) {
            mark_damaged(git2, mirror);
        }
    }
    return ok;
}

static void give_handle(struct git2 *git2, const char *mirror, struct handle handle) {
    pthread_mutex_lock(&git2->lock);
    struct mirror_pool *pool = find_pool(git2, mirror);
    bool keep = pool->generation == handle.generation && pool->idle_count < IDLE_HANDLES_MAX;
    if (keep) {
        pool->idle[pool->idle_count++] = handle;
    }
    pthread_mutex_unlock(&git2->lock);
    if (!keep) {
        git2->f.git_repository_free(handle.repository);
    }
}

// ---- Refs and commits ----

static void add_ref(struct git2 *git2, struct git_refs *out, git_repository *repository,
                    const char *name) {
    git_oid id;
    char sha[GIT_SHA_LEN + 1];
    if (git2->f.git_reference_name_to_id(&id, repository, name) == 0) {
        git2->f.git_oid_tostr(sha, sizeof sha, &id);
        git_refs_add(out, str_from(name), sha);
    } // else a symbolic ref without its target, as HEAD of an empty repository
}

bool git2_list_refs(struct git2 *git2, const char *path, struct git_refs *out, struct err *err) {
    git_repository *repository = ready(git2, err) ? open_repository(git2, path, false, err) : NULL;
    if (!repository) {
        return false;
    }
    git_reference_iterator *iterator = NULL;
    int code = git2->f.git_reference_iterator_new(&iterator, repository);
    add_ref(git2, out, repository, "HEAD");
    git_reference *reference;
    while (code == 0 && (code = git2->f.git_reference_next(&reference, iterator)) == 0) {
        const char *name = git2->f.git_reference_name(reference);
        if (strlen(name) <= LIMIT_GIT_REF) {
            add_ref(git2, out, repository, name);
        }
        git2->f.git_reference_free(reference);
    }
    git2->f.git_reference_iterator_free(iterator);
    git2->f.git_repository_free(repository);
    git_refs_sort(out);
    return code == GIT_ITEROVER || git2_error(git2, code, err, "cannot list the refs");
}

static bool find_commit(struct git2 *git2, git_repository *repository, struct str sha,
                        char out[GIT_SHA_LEN + 1], struct err *err) {
    git_oid id;
    git_object *object = NULL;
    git_object *commit = NULL;
    if (git2->f.git_oid_fromstrn(&id, sha.p, sha.n) < 0) {
        return err_set(err, ERR_INVALID, "\"%.*s\" is no SHA", STR_ARG(sha));
    }
    int code = git2->f.git_object_lookup_prefix(&object, repository, &id, sha.n, GIT_OBJECT_ANY);
    if (code < 0) {
        return git2_error(git2, code, err, "cannot find the commit");
    }
    code = git2->f.git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    if (code == 0) {
        git2->f.git_oid_tostr(out, GIT_SHA_LEN + 1, git2->f.git_object_id(commit));
    }
    git2->f.git_object_free(commit);
    git2->f.git_object_free(object);
    return code == 0 ||
           (code == GIT_EINVALIDSPEC || code == GIT_EPEEL
                ? err_set(err, ERR_INVALID, "object %.*s is not a commit", STR_ARG(sha))
                : git2_error(git2, code, err, "cannot read the commit"));
}

bool git2_find_commit(struct git2 *git2, const char *repository, struct str sha,
                      char out[GIT_SHA_LEN + 1], struct err *err) {
    struct handle handle;
    if (!take_handle(git2, repository, &handle, err)) {
        return false;
    }
    bool ok = find_commit(git2, handle.repository, sha, out, err);
    give_handle(git2, repository, handle);
    return ok;
}

static struct str first_text(struct arena *arena, const char *text) {
    struct str s = str_from(text ? text : "");
    if (s.n > COMMIT_TEXT_MAX) {
        s.n = COMMIT_TEXT_MAX;
        while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80) {
            s.n--; // do not cut a character
        }
    }
    return arena_dup(arena, s);
}

bool git2_read_commit(struct git2 *git2, const char *mirror, struct str sha, struct arena *arena,
                      struct vcs_commit *out, struct err *err) {
    struct handle handle;
    git_oid id;
    if (!git_is_sha(sha)) {
        return err_set(err, ERR_INVALID, "\"%.*s\" is no full SHA", STR_ARG(sha));
    }
    if (!take_handle(git2, mirror, &handle, err)) {
        return false;
    }
    git_commit *commit = NULL;
    int code = git2->f.git_oid_fromstrn(&id, sha.p, sha.n);
    code = code < 0 ? code : git2->f.git_commit_lookup(&commit, handle.repository, &id);
    if (code == 0) {
        const git_signature *author = git2->f.git_commit_author(commit);
        struct vcs_commit result = {0};
        git2->f.git_oid_tostr(result.sha, sizeof result.sha, &id);
        struct str name = first_text(arena, author->name);
        struct str email = first_text(arena, author->email);
        result.author = arena_printf(arena, "%.*s <%.*s>", STR_ARG(name), STR_ARG(email));
        result.message = str_trim(first_text(arena, git2->f.git_commit_message(commit)));
        result.date_ns = author->when.time > INT64_MAX / NS_PER_SECOND || author->when.time < 0
                             ? 0
                             : (int64_t)author->when.time * NS_PER_SECOND;
        *out = result;
    }
    git2->f.git_commit_free(commit);
    bool ok = code == 0 || git2_error(git2, code, err, "cannot read the commit");
    give_handle(git2, mirror, handle);
    return ok;
}

// ---- Copying from a local repository ----

struct copy {
    struct git2 *git2;
    git_repository *source;
    git_odb *from, *to;
    unsigned left; // objects that may still be copied
};

static bool name_is_plain(const char *name) {
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strcasecmp(name, ".git") != 0 && !strchr(name, '/');
}

static bool copy_object(struct copy *copy, const git_oid *id, git_object_t type, int depth);

// What is below a folder. Anything odd is left to a fetch, which examines it and words the error.
static bool copy_below(struct copy *copy, const git_oid *id, int depth) {
    struct git2_functions *f = &copy->git2->f;
    git_tree *tree = NULL;
    bool ok = depth < COPY_DEPTH_MAX && f->git_tree_lookup(&tree, copy->source, id) == 0;
    size_t n = ok ? f->git_tree_entrycount(tree) : 0;
    for (size_t i = 0; ok && i < n; i++) {
        const git_tree_entry *entry = f->git_tree_entry_byindex(tree, i);
        git_filemode_t mode = f->git_tree_entry_filemode(entry);
        ok =
            name_is_plain(f->git_tree_entry_name(entry)) &&
            (mode == GIT_FILEMODE_COMMIT ||
             copy_object(copy, f->git_tree_entry_id(entry),
                         mode == GIT_FILEMODE_TREE ? GIT_OBJECT_TREE : GIT_OBJECT_BLOB, depth + 1));
    }
    f->git_tree_free(tree);
    return ok;
}

// Children first: an object in the mirror always has everything below it.
static bool copy_object(struct copy *copy, const git_oid *id, git_object_t type, int depth) {
    struct git2_functions *f = &copy->git2->f;
    if (f->git_odb_exists(copy->to, id)) {
        return true;
    }
    if (copy->left == 0) {
        return false;
    }
    copy->left--;
    git_odb_object *object = NULL;
    git_oid written;
    size_t size;
    git_object_t real_type;
    bool ok = f->git_odb_read_header(&size, &real_type, copy->from, id) == 0 && real_type == type &&
              size <= LIMIT_GIT_BLOB && (type != GIT_OBJECT_TREE || copy_below(copy, id, depth)) &&
              f->git_odb_read(&object, copy->from, id) == 0 &&
              f->git_odb_write(&written, copy->to, f->git_odb_object_data(object),
                               f->git_odb_object_size(object), type) == 0 &&
              memcmp(&written, id, sizeof written) == 0;
    f->git_odb_object_free(object);
    return ok;
}

static bool copy_commit(struct copy *copy, git_commit *commit, const char *mirror,
                        const char *sha) {
    struct git2_functions *f = &copy->git2->f;
    if (!copy_object(copy, f->git_commit_tree_id(commit), GIT_OBJECT_TREE, 0) ||
        !copy_object(copy, f->git_object_id((git_object *)commit), GIT_OBJECT_COMMIT, 0)) {
        return false;
    }
    bool shallow = false;
    for (unsigned i = 0; i < f->git_commit_parentcount(commit); i++) {
        shallow = shallow || !f->git_odb_exists(copy->to, f->git_commit_parent_id(commit, i));
    }
    return (!shallow || mirror_add_shallow(mirror, sha)) && mirror_add_ref(mirror, sha);
}

bool git2_copy_commit(struct git2 *git2, const char *source, const char *mirror, const char *sha,
                      char out[GIT_SHA_LEN + 1]) {
    struct copy copy = {.git2 = git2, .left = COPY_OBJECTS_MAX};
    struct handle handle;
    git_oid id;
    git_object *object = NULL;
    git_object *commit = NULL;
    if (!take_handle(git2, mirror, &handle, NULL)) {
        return false;
    }
    struct git2_functions *f = &git2->f;
    copy.source = open_repository(git2, source, false, NULL);
    bool ok =
        copy.source && f->git_oid_fromstrn(&id, sha, GIT_SHA_LEN) == 0 &&
        f->git_object_lookup_prefix(&object, copy.source, &id, GIT_SHA_LEN, GIT_OBJECT_ANY) == 0 &&
        f->git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0 &&
        f->git_repository_odb(&copy.from, copy.source) == 0 &&
        f->git_repository_odb(&copy.to, handle.repository) == 0;
    char peeled[GIT_SHA_LEN + 1];
    if (ok) {
        f->git_oid_tostr(peeled, sizeof peeled, f->git_object_id(commit));
        ok = copy_commit(&copy, (git_commit *)commit, mirror, peeled);
    }
    if (ok) {
        memcpy(out, peeled, sizeof peeled);
    }
    f->git_object_free(commit);
    f->git_object_free(object);
    f->git_odb_free(copy.from);
    f->git_odb_free(copy.to);
    f->git_repository_free(copy.source);
    give_handle(git2, mirror, handle);
    return ok;
}

// ---- Trees ----

struct git_tree_reader {
    struct file_tree tree;
    struct git2 *git2;
    char *mirror;
    struct handle handle;
    git_oid root_id;
    git_tree *root;
    git_tree *folder; // of the path asked for last: siblings are read one after the other
    char *folder_path;
};

static enum file_kind kind_of(git_filemode_t mode) {
    return mode == GIT_FILEMODE_TREE     ? FILE_FOLDER
           : mode == GIT_FILEMODE_LINK   ? FILE_SYMLINK
           : mode == GIT_FILEMODE_COMMIT ? FILE_SUBMODULE
                                         : FILE_REGULAR;
}

static void fill_entry(struct git2 *git2, const git_tree_entry *from, struct str name,
                       struct file_entry *out) {
    *out = (struct file_entry){.name = name,
                               .kind = kind_of(git2->f.git_tree_entry_filemode(from)),
                               .id_len = GIT_OID_RAWSZ};
    memcpy(out->id, git2->f.git_tree_entry_id(from)->id, GIT_OID_RAWSZ);
}

static bool check_path(struct str path, struct err *err) {
    struct str part;
    bool ok = path.n < 4096 && str_find_char(path, '\0') == STR_NPOS &&
              (path.n == 0 || path.p[path.n - 1] != '/');
    for (struct str rest = path; ok && str_next(&rest, '/', &part);) {
        ok = part.n > 0 && !str_eq_c(part, ".") && !str_eq_c(part, "..");
    }
    return ok ||
           err_set(err, ERR_INVALID, "path \"%.*s\" is not clean", STR_ARG(str_first(path, 200)));
}

// The folder at `path`, borrowed from the reader; NULL with `*absent` when there is none.
static git_tree *find_folder(struct git_tree_reader *reader, struct str path, bool *absent,
                             struct err *err) {
    struct git2 *git2 = reader->git2;
    *absent = false;
    if (path.n == 0) {
        return reader->root;
    }
    if (reader->folder && str_eq_c(path, reader->folder_path)) {
        return reader->folder;
    }
    git_tree *tree = reader->root;
    git_tree *owned = NULL;
    struct str part;
    for (struct str rest = path; str_next(&rest, '/', &part);) {
        char *name = xstrdup(part);
        const git_tree_entry *entry = git2->f.git_tree_entry_byname(tree, name);
        free(name);
        git_tree *next = NULL;
        int code = 0;
        *absent = !entry || git2->f.git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE;
        if (!*absent) {
            code = git2->f.git_tree_lookup(&next, reader->handle.repository,
                                           git2->f.git_tree_entry_id(entry));
        }
        git2->f.git_tree_free(owned);
        if (!next) {
            if (code < 0) {
                git2_error(git2, code, err, "cannot read a folder of the commit");
            }
            return NULL;
        }
        tree = owned = next;
    }
    git2->f.git_tree_free(reader->folder);
    free(reader->folder_path);
    reader->folder = owned;
    reader->folder_path = xstrdup(path);
    return owned;
}

// The entry at `path` (not the root); absence is a success with *out NULL.
static bool find_entry(struct git_tree_reader *reader, struct str path, const git_tree_entry **out,
                       struct err *err) {
    size_t slash = str_rfind_char(path, '/');
    struct str parent = slash == STR_NPOS ? STR("") : str_first(path, slash);
    struct str name = slash == STR_NPOS ? path : str_skip(path, slash + 1);
    bool absent;
    *out = NULL;
    git_tree *tree = find_folder(reader, parent, &absent, err);
    if (tree) {
        char *text = xstrdup(name);
        *out = reader->git2->f.git_tree_entry_byname(tree, text);
        free(text);
    }
    return tree || absent;
}

static bool tree_stat_once(struct git_tree_reader *reader, struct str path, struct file_entry *out,
                           struct err *err) {
    if (path.n == 0) {
        *out = (struct file_entry){.kind = FILE_FOLDER, .id_len = GIT_OID_RAWSZ};
        memcpy(out->id, reader->root_id.id, GIT_OID_RAWSZ);
        return true;
    }
    const git_tree_entry *entry;
    if (!find_entry(reader, path, &entry, err)) {
        return false;
    }
    size_t slash = str_rfind_char(path, '/');
    struct str name = slash == STR_NPOS ? path : str_skip(path, slash + 1);
    if (entry) {
        fill_entry(reader->git2, entry, name, out);
    } else {
        *out = (struct file_entry){.name = name, .kind = FILE_ABSENT};
    }
    return true;
}

static int compare_entries(const void *a, const void *b) {
    return str_cmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

static bool tree_list_once(struct git_tree_reader *reader, struct str path, struct arena *arena,
                           struct file_entry **out, size_t *count, struct err *err) {
    struct git2 *git2 = reader->git2;
    bool absent;
    git_tree *tree = find_folder(reader, path, &absent, err);
    if (!tree) {
        return absent
                   ? err_set(err, ERR_NOT_FOUND, "%.*s is no folder of the commit", STR_ARG(path))
                   : false;
    }
    size_t n = git2->f.git_tree_entrycount(tree);
    if (n > LIMIT_GIT_TREE_ENTRIES) {
        return err_set(err, ERR_LIMIT,
                       "folder %.*s has %zu entries, more than %d "
                       "(LIMIT_GIT_TREE_ENTRIES)",
                       STR_ARG(path), n, LIMIT_GIT_TREE_ENTRIES);
    }
    struct file_entry *entries = ARENA_ARRAY(arena, n, struct file_entry);
    for (size_t i = 0; i < n; i++) {
        const git_tree_entry *entry = git2->f.git_tree_entry_byindex(tree, i);
        struct str name = str_from(git2->f.git_tree_entry_name(entry));
        if (name.n == 0 || str_eq_c(name, ".") || str_eq_c(name, "..") ||
            str_find_char(name, '/') != STR_NPOS) {
            return err_set(err, ERR_INVALID, "folder \"%.*s\" has an entry with a forbidden name",
                           STR_ARG(path));
        }
        fill_entry(git2, entry, arena_dup(arena, name), &entries[i]);
    }
    qsort(entries, n, sizeof *entries,
          compare_entries); // git sorts folders as if they ended in '/'
    *out = entries;
    *count = n;
    return true;
}

static bool read_blob(struct git_tree_reader *reader, const git_oid *id, struct str path,
                      size_t max, struct arena *arena, struct str *out, struct err *err) {
    struct git2 *git2 = reader->git2;
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    size_t size = 0;
    git_object_t type;
    max = max < LIMIT_GIT_BLOB ? max : LIMIT_GIT_BLOB;
    int code = git2->f.git_repository_odb(&odb, reader->handle.repository);
    code = code < 0 ? code : git2->f.git_odb_read_header(&size, &type, odb, id);
    bool ok = code == 0 || git2_error(git2, code, err, "cannot read a file of the commit");
    if (ok && size > max) {
        ok = err_set(err, ERR_LIMIT, "file %.*s has %zu bytes, more than the limit of %zu",
                     STR_ARG(path), size, max);
    }
    if (ok) {
        code = git2->f.git_odb_read(&object, odb, id);
        ok = code == 0 || git2_error(git2, code, err, "cannot read a file of the commit");
    }
    if (ok) {
        size = git2->f.git_odb_object_size(object);
        ok = size <= max || err_set(err, ERR_IO, "file %.*s changed its size", STR_ARG(path));
    }
    if (ok) {
        *out = arena_dup(arena, (struct str){git2->f.git_odb_object_data(object), size});
    }
    git2->f.git_odb_object_free(object);
    git2->f.git_odb_free(odb);
    return ok;
}

static bool tree_read_once(struct git_tree_reader *reader, struct str path, size_t max,
                           struct arena *arena, struct str *out, struct err *err) {
    const git_tree_entry *entry = NULL;
    if (path.n == 0) {
        return err_set(err, ERR_INVALID, "the root is a folder");
    }
    if (!find_entry(reader, path, &entry, err)) {
        return false;
    }
    if (!entry) {
        return err_set(err, ERR_NOT_FOUND, "%.*s does not exist", STR_ARG(path));
    }
    switch (kind_of(reader->git2->f.git_tree_entry_filemode(entry))) {
    case FILE_FOLDER:
        return err_set(err, ERR_INVALID, "%.*s is a folder", STR_ARG(path));
    case FILE_SUBMODULE:
        return err_set(err, ERR_UNSUPPORTED,
                       "%.*s is a Git submodule, which is not followed; add its repository as a "
                       "source of its own",
                       STR_ARG(path));
    default:
        return read_blob(reader, reader->git2->f.git_tree_entry_id(entry), path, max, arena, out,
                         err);
    }
}

static bool open_root(struct git_tree_reader *reader, struct str sha, struct err *err) {
    struct git2 *git2 = reader->git2;
    git_oid id;
    git_commit *commit = NULL;
    int code = git2->f.git_oid_fromstrn(&id, sha.p, sha.n);
    code = code < 0 ? code : git2->f.git_commit_lookup(&commit, reader->handle.repository, &id);
    code = code < 0 ? code : git2->f.git_commit_tree(&reader->root, commit);
    if (code == 0) {
        reader->root_id = *git2->f.git_object_id((git_object *)reader->root);
    }
    git2->f.git_commit_free(commit);
    return code == 0 || git2_error(git2, code, err, "cannot open the commit");
}

static void close_root(struct git_tree_reader *reader) {
    reader->git2->f.git_tree_free(reader->folder);
    reader->git2->f.git_tree_free(reader->root);
    free(reader->folder_path);
    reader->folder = reader->root = NULL;
    reader->folder_path = NULL;
}

// A repack or a mirror made anew can pull packs away under an open handle. A fresh handle sees the new state, so a read
// that failed is tried once more; when that fails too the mirror is damaged and will be made anew.
static bool reopen(struct git_tree_reader *reader, const struct err *first) {
    struct git2 *git2 = reader->git2;
    if (first->code != ERR_IO && first->code != ERR_NOT_FOUND) {
        return false;
    }
    git_repository *fresh = open_repository(git2, reader->mirror, true, NULL);
    git_tree *root = NULL;
    if (!fresh || git2->f.git_tree_lookup(&root, fresh, &reader->root_id) < 0) {
        if (fresh) {
            git2->f.git_repository_free(fresh);
        }
        mark_damaged(git2, reader->mirror);
        return false;
    }
    close_root(reader);
    git2->f.git_repository_free(reader->handle.repository);
    reader->handle.repository = fresh;
    reader->root = root;
    return true;
}

// Whether the failure is the repository's and not the question's ("does not exist" is answered from a tree we have).
static bool is_trouble(const struct err *err) {
    return err->code == ERR_IO ||
           (err->code == ERR_NOT_FOUND && strncmp(err->message, "cannot read", 11) == 0);
}

#define WITH_RETRY(call)                                           \
    do {                                                           \
        struct err first = {0};                                    \
        struct err *error = &first;                                \
        bool ok = check_path(path, error) && (call);               \
        if (!ok && is_trouble(&first) && reopen(reader, &first)) { \
            first = (struct err){0};                               \
            ok = (call);                                           \
            if (!ok && is_trouble(&first)) {                       \
                mark_damaged(reader->git2, reader->mirror);        \
            }                                                      \
        }                                                          \
        if (!ok && err) {                                          \
            *err = first;                                          \
        }                                                          \
        return ok;                                                 \
    } while (0)

static bool tree_stat(struct file_tree *tree, struct str path, struct file_entry *out,
                      struct err *err) {
    struct git_tree_reader *reader = (struct git_tree_reader *)tree;
    WITH_RETRY(tree_stat_once(reader, path, out, error));
}

static bool tree_list(struct file_tree *tree, struct str path, struct arena *arena,
                      struct file_entry **out, size_t *count, struct err *err) {
    struct git_tree_reader *reader = (struct git_tree_reader *)tree;
    WITH_RETRY(tree_list_once(reader, path, arena, out, count, error));
}

static bool tree_read(struct file_tree *tree, struct str path, size_t max, struct arena *arena,
                      struct str *out, struct err *err) {
    struct git_tree_reader *reader = (struct git_tree_reader *)tree;
    WITH_RETRY(tree_read_once(reader, path, max, arena, out, error));
}

static void tree_destroy(struct file_tree *tree) {
    struct git_tree_reader *reader = (struct git_tree_reader *)tree;
    close_root(reader);
    give_handle(reader->git2, reader->mirror, reader->handle);
    git2_unref(reader->git2);
    free(reader->mirror);
    free(reader);
}

static const struct file_tree_ops tree_ops = {
    .stat = tree_stat, .list = tree_list, .read = tree_read, .destroy = tree_destroy};

struct file_tree *git2_open_tree(struct git2 *git2, const char *mirror, struct str sha,
                                 struct err *err) {
    if (!git_is_sha(sha)) {
        err_set(err, ERR_INVALID, "\"%.*s\" is no full SHA", STR_ARG(sha));
        return NULL;
    }
    struct git_tree_reader *reader = NEW(struct git_tree_reader);
    reader->tree.ops = &tree_ops;
    reader->git2 = git2_ref(git2);
    reader->mirror = xstrdup(str_from(mirror));
    bool taken = take_handle(git2, mirror, &reader->handle, err);
    bool ok = taken && open_root(reader, sha, err);
    if (taken && !ok) { // the idle handle may be one of a mirror that was deleted meanwhile
        git2->f.git_repository_free(reader->handle.repository);
        reader->handle.repository = open_repository(git2, mirror, true, NULL);
        if (reader->handle.repository) {
            struct err again = {0};
            ok = open_root(reader, sha, &again);
            taken = true;
        } else {
            taken = false;
        }
        if (!ok) {
            mark_damaged(git2, mirror);
        } else if (err) {
            *err = (struct err){0};
        }
    }
    if (ok) {
        return &reader->tree;
    }
    if (taken) {
        give_handle(git2, mirror, reader->handle);
    }
    git2_unref(reader->git2);
    free(reader->mirror);
    free(reader);
    return NULL;
}
