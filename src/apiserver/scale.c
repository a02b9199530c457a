// SPDX-License-Identifier: Apache-2.0
// The scale sub-resource: the same small object for everything that has replicas.
#include "apiserver/admit_internal.h"
#include "apiserver/table_internal.h"

enum { PATH_PARTS_MAX = 32 };

// ".spec.replicas" as keys; false when it is empty or too deep.
static bool split_path(struct arena *arena, struct str path,
                       const char *keys[static PATH_PARTS_MAX + 1]) {
    size_t n = 0;
    struct str part;
    while (str_next(&path, '.', &part)) {
        if (part.n == 0) {
            continue;
        }
        if (n == PATH_PARTS_MAX) {
            return false;
        }
        keys[n++] = arena_cstr(arena, part);
    }
    keys[n] = NULL;
    return n > 0;
}

static const struct doc_value *at(struct arena *arena, const struct doc_value *object,
                                  struct str path) {
    const char *keys[PATH_PARTS_MAX + 1];
    return split_path(arena, path, keys) ? doc_get_path(object, keys) : NULL;
}

static struct str scale_selector(struct arena *arena, const struct api_kind *kind,
                                 const struct doc_value *object) {
    if (kind->custom) {
        return doc_str(at(arena, object, kind->scale_selector_path));
    }
    const struct doc_value *selector = doc_get(object, "spec", "selector");
    if (doc_is(doc_get(selector, "matchLabels"), DOC_OBJECT) ||
        doc_is(doc_get(selector, "matchExpressions"), DOC_ARRAY)) {
        struct str text = table_selector_text(arena, selector);
        return str_eq(text, STR("<none>")) ? STR("") : text;
    }
    return table_labels_text(arena, selector); // ReplicationController
}

struct doc_value api_scale_of(struct arena *arena, const struct api_kind *kind,
                              const struct doc_value *object) {
    static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion",
                                         "creationTimestamp"};
    struct doc_object metadata = doc_object_start(arena), spec = doc_object_start(arena);
    for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
        const struct doc_value *value = doc_get(object, "metadata", copied[i]);
        if (value) {
            doc_object_set_c(&metadata, copied[i], *value);
        }
    }
    int64_t replicas = doc_int(at(arena, object, kind->scale_spec_path), 0);
    if (replicas) {
        doc_object_set_c(&spec, "replicas", doc_make_int(replicas));
    }
    struct doc_object status = doc_object_start(arena), out = doc_object_start(arena);
    doc_object_set_c(&status, "replicas",
                     doc_make_int(doc_int(at(arena, object, kind->scale_status_path), 0)));
    struct str selector = scale_selector(arena, kind, object);
    if (selector.n) {
        doc_object_set_c(&status, "selector", doc_make_str(selector));
    }
    doc_object_set_c(&out, "kind", DOC_S("Scale"));
    doc_object_set_c(&out, "apiVersion", DOC_S("autoscaling/v1"));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "spec", doc_object_done(&spec));
    doc_object_set_c(&out, "status", doc_object_done(&status));
    return doc_object_done(&out);
}

bool api_scale_apply(struct arena *arena, const struct api_kind *kind,
                     const struct doc_value *scale, struct doc_value *object,
                     struct api_error *error) {
    const struct doc_value *replicas = doc_get(scale, "spec", "replicas");
    static const struct api_kind scale_kind = {.group = STR_INIT("autoscaling"),
                                               .version = STR_INIT("v1"),
                                               .kind = STR_INIT("Scale"),
                                               .plural = STR_INIT("scales")};
    if (!doc_is_null(replicas) && (!doc_is(replicas, DOC_INT) || doc_int(replicas, -1) < 0)) {
        struct admit a = {.arena = arena};
        admit_problem_invalid(&a, STR("spec.replicas"), replicas,
                              "must be greater than or equal to 0");
        return api_error_invalid(error, arena, &scale_kind, doc_get_str(scale, "metadata", "name"),
                                 a.problems, a.problem_count);
    }
    const char *keys[PATH_PARTS_MAX + 1];
    if (!split_path(arena, kind->scale_spec_path, keys)) {
        return api_error_set(error, arena, 500, "InternalError",
                             "the scale sub-resource has no usable specReplicasPath");
    }
    *object = doc_with_path(arena, object, doc_make_int(doc_int(replicas, 0)), keys);
    return true;
}
