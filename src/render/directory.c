// SPDX-License-Identifier: Apache-2.0
// Plain manifests in a folder, as Argo CD's directory source takes them: every *.yaml, *.yml and *.json, in path order;
// `recurse` goes into sub-folders, `include` and `exclude` are globs over the path below the source's folder. A file that
// is not a manifest at all (a values file, say) is left out; a file that holds one manifest must be right as a whole.
#include "render/render.h"

#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "doc/yaml.h"
#include "render/render_internal.h"

struct walk {
    const struct render_request *request;
    struct arena *arena;
    struct str root;
    bool recurse;
    struct str include, exclude;
    VEC(struct render_object) objects;
    size_t files;
    size_t bytes;
};

static bool add_object(struct walk *walk, struct doc_value object, struct str file, uint32_t line,
                       struct err *err) {
    if (walk->objects.len >= LIMIT_RENDER_OBJECTS) {
        return err_set(err, ERR_LIMIT, "more than %d objects in one source (LIMIT_RENDER_OBJECTS)",
                       LIMIT_RENDER_OBJECTS);
    }
    VEC_PUSH(&walk->objects, ((struct render_object){object, file, line}));
    return true;
}

static bool is_string(const struct doc_value *v) {
    return doc_is(v, DOC_STRING) && v->len > 0;
}

// A List of objects stands for its items, as `kubectl apply` takes it.
static bool add_document(struct walk *walk, const struct doc_value *root, struct str file,
                         uint32_t line, struct err *err) {
    if (!is_string(doc_get(root, "apiVersion")) || !is_string(doc_get(root, "kind"))) {
        return err_set_at(err, ERR_INVALID, line, 1,
                          "Object '%s' is missing: every manifest needs apiVersion and kind",
                          is_string(doc_get(root, "kind")) ? "apiVersion" : "kind");
    }
    if (str_ends(doc_get_str(root, "kind"), STR("List")) &&
        doc_is(doc_get(root, "items"), DOC_ARRAY)) {
        for (DOC_EACH_ITEM(doc_get(root, "items"), item)) {
            if (!add_document(walk, item, file, line, err)) {
                return false;
            }
        }
        return true;
    }
    if (!is_string(doc_get(root, "metadata", "name")) &&
        is_string(doc_get(root, "metadata", "generateName"))) {
        return err_set_at(err, ERR_UNSUPPORTED, line, 1,
                          "%.*s: this version of Skiff does not make names from "
                          "metadata.generateName: set metadata.name (a hook with the delete policy "
                          "BeforeHookCreation may keep it)",
                          STR_ARG(doc_get_str(root, "kind")));
    }
    if (!is_string(doc_get(root, "metadata", "name"))) {
        return err_set_at(err, ERR_INVALID, line, 1, "%.*s: metadata.name is missing",
                          STR_ARG(doc_get_str(root, "kind")));
    }
    return add_object(walk, *root, file, line, err);
}

// A file that cannot be read as manifests is an error only if it looks like one.
static bool looks_like_manifest(struct str text) {
    return str_has(text, STR("apiVersion")) && str_has(text, STR("kind")) &&
           str_has(text, STR("metadata"));
}

static bool is_manifest(const struct doc_value *root) {
    return doc_is(root, DOC_OBJECT) && is_string(doc_get(root, "apiVersion")) &&
           is_string(doc_get(root, "kind"));
}

static bool take_file(struct walk *walk, struct str file, struct str text, struct err *err) {
    struct yaml_document *documents;
    size_t count;
    struct yaml_options options = {.profile = YAML_KUBERNETES, .places = false};
    if (!yaml_parse(text, &options, walk->arena, &documents, &count, err)) {
        return looks_like_manifest(text) ? err_wrap_file(err, file) : true;
    }
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = any || is_manifest(&documents[i].root);
    }
    if (!any && !looks_like_manifest(text)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (doc_is_null(&documents[i].root)) {
            continue;
        }
        if (!add_document(walk, &documents[i].root, file, documents[i].line, err)) {
            return err_wrap_file(err, file);
        }
    }
    return true;
}

static bool is_lfs_pointer(struct str text) {
    return text.n < 1024 && str_starts(text, STR("version https://git-lfs.github.com/spec/"));
}

static bool read_file(struct walk *walk, struct str path, struct err *err) {
    if (++walk->files > LIMIT_RENDER_FILES) {
        return err_set(err, ERR_LIMIT, "more than %d files in one source (LIMIT_RENDER_FILES)",
                       LIMIT_RENDER_FILES);
    }
    struct file_tree *tree = walk->request->tree;
    struct str text;
    if (!tree->ops->read(tree, path, LIMIT_GIT_BLOB, walk->arena, &text, err)) {
        return err_wrap(err, "%.*s", STR_ARG(path));
    }
    walk->bytes += text.n;
    if (walk->bytes > LIMIT_RENDER_BYTES) {
        return err_set(err, ERR_LIMIT, "the manifests of one source are larger than %d MiB",
                       LIMIT_RENDER_BYTES / MIB);
    }
    if (is_lfs_pointer(text)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "%.*s: this file is a Git LFS pointer; its content is not in the repository",
                       STR_ARG(path));
    }
    if (str_has(text, STR("+argocd:skip-file-rendering"))) {
        return true;
    }
    return take_file(walk, path, text, err);
}

static bool is_wanted(struct walk *walk, struct str path, bool *wanted, struct err *err) {
    struct str below = walk->root.n ? str_skip(path, walk->root.n + 1) : path;
    *wanted = false;
    if (walk->exclude.n && glob_match(walk->exclude, below, 0, err)) {
        return true;
    }
    if (walk->include.n && !glob_match(walk->include, below, 0, err)) {
        return true;
    }
    if (str_ends(path, STR(".jsonnet"))) {
        return err_set(err, ERR_UNSUPPORTED,
                       "%.*s: this version of Skiff does not render Jsonnet; exclude the file with "
                       "spec.source.directory.exclude",
                       STR_ARG(path));
    }
    *wanted =
        str_ends(path, STR(".yaml")) || str_ends(path, STR(".yml")) || str_ends(path, STR(".json"));
    return true;
}

// Whether `exclude` names the folder or everything in it.
static bool is_excluded_folder(const struct walk *walk, struct str path) {
    struct str below = walk->root.n ? str_skip(path, walk->root.n + 1) : path;
    struct str inside = arena_printf(walk->arena, "%.*s/", STR_ARG(below));
    return walk->exclude.n && (glob_match(walk->exclude, below, 0, NULL) ||
                               glob_match(walk->exclude, inside, 0, NULL));
}

static bool walk_folder(struct walk *walk, struct str folder, unsigned depth, struct err *err);

static bool walk_entry(struct walk *walk, struct str path, enum file_kind kind, unsigned depth,
                       struct err *err) {
    if (kind == FILE_FOLDER) {
        return walk->recurse ? walk_folder(walk, path, depth + 1, err) : true;
    }
    if (kind == FILE_SUBMODULE) {
        return !walk->recurse || is_excluded_folder(walk, path) ||
               err_set(
                   err, ERR_UNSUPPORTED,
                   "%.*s is a Git submodule; submodules are not followed: point an Application at "
                   "that repository, or exclude the folder",
                   STR_ARG(path));
    }
    bool wanted;
    if (!is_wanted(walk, path, &wanted, err)) {
        return false;
    }
    if (!wanted) {
        return true;
    }
    if (kind == FILE_SYMLINK) {
        return err_set(err, ERR_UNSUPPORTED,
                       "%.*s is a symbolic link; links are not followed: replace it by the file",
                       STR_ARG(path));
    }
    return read_file(walk, path, err);
}

static bool walk_folder(struct walk *walk, struct str folder, unsigned depth, struct err *err) {
    enum { DEPTH_MAX = 64 };
    if (depth > DEPTH_MAX) {
        return err_set(err, ERR_LIMIT, "folders nested deeper than %d", DEPTH_MAX);
    }
    struct file_tree *tree = walk->request->tree;
    struct file_entry *entries;
    size_t count;
    if (!tree->ops->list(tree, folder, walk->arena, &entries, &count, err)) {
        return err_wrap(err, "%.*s", STR_ARG(folder));
    }
    for (size_t i = 0; i < count; i++) {
        struct str path = folder.n ? arena_printf(walk->arena, "%.*s/%.*s", STR_ARG(folder),
                                                  STR_ARG(entries[i].name))
                                   : entries[i].name;
        if (!walk_entry(walk, path, entries[i].kind, depth, err)) {
            return false;
        }
    }
    return true;
}

static bool check_options(const struct doc_value *directory, struct walk *walk, struct err *err) {
    if (doc_get(directory, "jsonnet") && doc_len(doc_get(directory, "jsonnet"))) {
        return err_set(
            err, ERR_UNSUPPORTED,
            "spec.source.directory.jsonnet: this version of Skiff does not render Jsonnet");
    }
    walk->recurse = doc_bool(doc_get(directory, "recurse"), false);
    walk->include = doc_get_str(directory, "include");
    walk->exclude = doc_get_str(directory, "exclude");
    if (walk->include.n && !glob_check(walk->include, err)) {
        return err_wrap(err, "spec.source.directory.include");
    }
    if (walk->exclude.n && !glob_check(walk->exclude, err)) {
        return err_wrap(err, "spec.source.directory.exclude");
    }
    return true;
}

static bool detect(const struct render_request *request, bool *found, struct err *err) {
    *found = true;
    return true;
}

static bool start(struct walk *walk, struct file_entry *root, struct err *err) {
    const struct doc_value *source = walk->request->source;
    struct str path = doc_get_str(source, "path");
    if (!file_path_clean(path, walk->arena, &walk->root, err)) {
        return err_wrap(err, "spec.source.path");
    }
    if (!check_options(doc_get(source, "directory"), walk, err)) {
        return false;
    }
    struct file_tree *tree = walk->request->tree;
    if (!tree->ops->stat(tree, walk->root, root, err)) {
        return err_wrap(err, "spec.source.path \"%.*s\"", STR_ARG(path));
    }
    if (root->kind != FILE_FOLDER) {
        return err_set(err, root->kind == FILE_ABSENT ? ERR_NOT_FOUND : ERR_INVALID,
                       "%.*s: %s (spec.source.path at revision %.*s)", STR_ARG(path),
                       root->kind == FILE_ABSENT ? "app path does not exist"
                                                 : "app path is not a directory",
                       STR_ARG(walk->request->revision));
    }
    return true;
}

static bool run(const struct render_request *request, struct arena *arena,
                struct render_result *out, struct err *err) {
    struct walk walk = {.request = request, .arena = arena};
    struct file_entry root;
    bool ok = start(&walk, &root, err) && walk_folder(&walk, walk.root, 0, err);
    if (ok) {
        out->objects = ARENA_ARRAY(arena, walk.objects.len, struct render_object);
        out->object_count = walk.objects.len;
        for (size_t i = 0; i < walk.objects.len; i++) {
            out->objects[i] = walk.objects.items[i];
        }
        // A Git folder's id covers everything below it, so one read stands for all.
        out->reads = ARENA_NEW(arena, struct render_read);
        out->read_count = 1;
        out->reads[0] = (struct render_read){
            .path = arena_dup(arena, walk.root), .kind = FILE_FOLDER, .id_len = root.id_len};
        memcpy(out->reads[0].id, root.id, sizeof root.id);
    }
    VEC_FREE(&walk.objects);
    return ok;
}

const struct render_engine render_directory = {"Directory", detect, run};
