// SPDX-License-Identifier: Apache-2.0
// Which engine renders a source: an explicit block decides, else what lies in the folder, else plain files.
#include "render/render.h"

#include "render/render_internal.h"

static bool has_file(const struct render_request *request, struct str folder, const char *name,
                     struct err *err, bool *found) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str path = folder.n ? arena_printf(arena, "%.*s/%s", STR_ARG(folder), name)
                               : arena_dup(arena, str_from(name));
    struct file_entry entry;
    if (!request->tree->ops->stat(request->tree, path, &entry, err)) {
        return false;
    }
    *found = entry.kind == FILE_REGULAR;
    return true;
}

static bool detect_by_files(const struct render_request *request, const char *block,
                            const char *const *files, bool *found, struct err *err) {
    *found = false;
    if (!doc_is_null(doc_get(request->source, block))) {
        *found = true;
        return true;
    }
    if (!doc_is_null(doc_get(request->source, "directory"))) {
        return true;
    }
    struct str folder;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    if (!file_path_clean(doc_get_str(request->source, "path"), arena, &folder, err)) {
        return err_wrap(err, "spec.source.path");
    }
    for (size_t i = 0; files[i] && !*found; i++) {
        if (!has_file(request, folder, files[i], err, found)) {
            return false;
        }
    }
    return true;
}

static bool helm_detect(const struct render_request *request, bool *found, struct err *err) {
    if (doc_get_str(request->source, "chart").n) {
        *found = true;
        return true;
    }
    static const char *const files[] = {"Chart.yaml", NULL};
    return detect_by_files(request, "helm", files, found, err);
}

static bool kustomize_detect(const struct render_request *request, bool *found, struct err *err) {
    static const char *const files[] = {"kustomization.yaml", "kustomization.yml", "Kustomization",
                                        NULL};
    return detect_by_files(request, "kustomize", files, found, err);
}

static bool plugin_detect(const struct render_request *request, bool *found, struct err *err) {
    static const char *const files[] = {NULL};
    return detect_by_files(request, "plugin", files, found, err);
}

static bool refuse(const struct render_request *request, const char *tool, struct err *err) {
    return err_set(
        err, ERR_UNSUPPORTED,
        "the source at \"%.*s\" is a %s source, which this version of Skiff does not render; "
        "to apply the plain manifests in that folder set spec.source.directory",
        STR_ARG(doc_get_str(request->source, "path")), tool);
}

static bool helm_run(const struct render_request *request, struct arena *arena,
                     struct render_result *out, struct err *err) {
    return refuse(request, "Helm", err);
}

static bool kustomize_run(const struct render_request *request, struct arena *arena,
                          struct render_result *out, struct err *err) {
    return refuse(request, "Kustomize", err);
}

static bool plugin_run(const struct render_request *request, struct arena *arena,
                       struct render_result *out, struct err *err) {
    return refuse(request, "config management plugin", err);
}

static const struct render_engine helm = {"Helm", helm_detect, helm_run};
static const struct render_engine kustomize = {"Kustomize", kustomize_detect, kustomize_run};
static const struct render_engine plugin = {"Plugin", plugin_detect, plugin_run};

const struct render_engine *const render_engines[] = {&plugin, &helm, &kustomize, &render_directory,
                                                      NULL};

bool render_run(const struct render_request *request, struct arena *arena,
                struct render_result *out, struct err *err) {
    for (size_t i = 0; render_engines[i]; i++) {
        const struct render_engine *engine = render_engines[i];
        bool found = false;
        if (!engine->detect(request, &found, err)) {
            return false;
        }
        if (found) {
            struct render_result result = {0};
            if (!engine->run(request, arena, &result, err)) {
                return false;
            }
            result.source_type = str_from(engine->source_type);
            *out = result;
            return true;
        }
    }
    return err_set(err, ERR_INTERNAL, "no engine takes this source");
}

bool render_is_current(const struct render_result *result, struct file_tree *tree) {
    for (size_t i = 0; i < result->read_count; i++) {
        const struct render_read *read = &result->reads[i];
        struct file_entry entry;
        if (!tree->ops->stat(tree, read->path, &entry, NULL) || entry.kind != read->kind) {
            return false;
        }
        if (read->kind != FILE_ABSENT && (read->id_len == 0 || entry.id_len != read->id_len ||
                                          memcmp(entry.id, read->id, read->id_len) != 0)) {
            return false;
        }
    }
    return true;
}
