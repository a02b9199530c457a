// SPDX-License-Identifier: Apache-2.0
// From a file tree and an Application's source to documents. Pure: it reads only through the tree it is given, and says
// what it read, so that the result can be kept until one of those reads would answer differently.
#ifndef SKIFF_RENDER_RENDER_H
#define SKIFF_RENDER_RENDER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file_tree.h"
#include "doc/doc.h"

struct render_request {
    struct file_tree *tree;
    const struct doc_value
        *source; // one spec.source: path, directory{recurse,include,exclude}, helm, kustomize, ...
    struct str app_name, app_ns, project, destination_ns, revision;
};

struct render_object {
    struct doc_value object; // in the arena of the call
    struct str file;         // path in the tree
    uint32_t line;           // of the document in the file
};

// One thing a render relied on: the identity of a file or folder (zero id: it was absent).
struct render_read {
    struct str path;
    enum file_kind kind;
    unsigned char id[32];
    uint8_t id_len;
};

struct render_result {
    struct render_object *objects;
    size_t object_count;
    struct render_read *reads;
    size_t read_count;
    struct str source_type; // "Directory", "Helm", "Kustomize", "Plugin"
};

// Errors carry file, line and column: "apps/web/deploy.yaml:12:3: ...".
bool render_run(const struct render_request *request, struct arena *arena,
                struct render_result *out, struct err *err) MUST_USE;
// Would every recorded read answer the same on this tree?
bool render_is_current(const struct render_result *result, struct file_tree *tree);

// Engines stand in one table (render/engines.c): adding one is a file and a line.
struct render_engine {
    const char *source_type;
    bool (*detect)(const struct render_request *request, bool *found, struct err *err);
    bool (*run)(const struct render_request *request, struct arena *arena,
                struct render_result *out, struct err *err);
};
extern const struct render_engine
    *const render_engines[]; // NULL-terminated; the last one takes everything

#endif
