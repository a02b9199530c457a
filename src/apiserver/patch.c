// SPDX-License-Identifier: Apache-2.0
// PATCH: the four kinds of patches make a next state from the newest one; from there on it is an update.
#include "apiserver/core.h"

static bool bad_patch(struct api_op *op, int status, const char *reason, const struct err *err) {
    return api_error_set(&op->error, op->arena, status, reason, "%s", err->message);
}

static bool unsupported(struct api_op *op) {
    return api_error_set(&op->error, op->arena, 415, "UnsupportedMediaType",
                         "the body of the request was in an unknown format - accepted media types "
                         "include: application/json-patch+json, application/merge-patch+json, "
                         "application/apply-patch+yaml");
}

static bool patched(struct api_op *op, const struct doc_value *before,
                    const struct doc_value *patch, struct doc_value *out) {
    struct err err = {0};
    switch (op->request.patch) {
    case KUBE_PATCH_JSON:
        if (!doc_is(patch, DOC_ARRAY)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "a JSON patch must be an array of operations, not %s",
                                 doc_kind_name(doc_kind(patch)));
        }
        if (!doc_json_patch(op->arena, before, patch, out, &err)) {
            api_error_set(&op->error, op->arena, 422, "Invalid",
                          "the server rejected our request due to an error in our request: %s",
                          err.message);
            return false;
        }
        return true;
    case KUBE_PATCH_MERGE:
        if (!doc_is(patch, DOC_OBJECT)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "a merge patch must be an object, not %s",
                                 doc_kind_name(doc_kind(patch)));
        }
        *out = doc_merge_patch(op->arena, before, patch);
        return true;
    case KUBE_PATCH_STRATEGIC:
        if (!doc_is(patch, DOC_OBJECT)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "a strategic merge patch must be an object, not %s",
                                 doc_kind_name(doc_kind(patch)));
        }
        return op->kind->custom
                   ? unsupported(op)
                   : schema_strategic_merge(op->arena, op->kind->merge, before, patch, out, &err) ||
                         bad_patch(op, 400, "BadRequest", &err);
    case KUBE_PATCH_APPLY:
        return api_apply(op, before, patch, out);
    }
    return unsupported(op);
}

// Names of another object in a patch would move it.
static bool same_object(struct api_op *op, const struct doc_value *before,
                        struct doc_value *after) {
    if (!api_body_identity(op, op->request.name, after)) {
        return false;
    }
    if (!doc_get_str(after, "metadata", "name").n) {
        *after = doc_with(op->arena, after, doc_make_str(op->request.name), "metadata", "name");
    }
    return true;
}

// What an apply must say of itself, before it is compared with anything.
bool api_apply_identity(struct api_op *op, struct str version, struct str kind,
                        const struct doc_value *config) {
    if (!doc_is(config, DOC_OBJECT)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
                             "json: cannot unmarshal %s into Go value of type "
                             "map[string]interface {}",
                             doc_is(config, DOC_INT)    ? "number"
                             : doc_is(config, DOC_BOOL) ? "bool"
                                                        : doc_kind_name(doc_kind(config)));
    }
    struct str has_version = doc_get_str(config, "apiVersion");
    struct str has_kind = doc_get_str(config, "kind");
    if (!str_eq(has_version, version) || !str_eq(has_kind, kind)) {
        bool core = str_find_char(has_version, '/') == STR_NPOS;
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "invalid object type: %s%.*s, Kind=%.*s", core ? "/" : "",
                             STR_ARG(has_version), STR_ARG(has_kind));
    }
    return true;
}

static bool check_apply(struct api_op *op, const struct doc_value *config,
                        const struct doc_value *live) {
    struct str version = api_group_version(op->arena, op->kind->group, op->kind->version);
    if (!api_apply_identity(op, version, op->kind->kind, config)) {
        return false;
    }
    struct str revision = doc_get_str(config, "metadata", "resourceVersion");
    if (live && revision.n && !str_eq(revision, doc_get_str(live, "metadata", "resourceVersion"))) {
        return api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
    }
    return true;
}

static bool apply_new(struct api_op *op, struct doc_value *config) {
    struct doc_value object;
    if (op->request.subresource.n) {
        return api_error_not_found(&op->error, op->arena, op->kind, op->request.name);
    }
    struct str uid = doc_get_str(config, "metadata", "uid");
    if (uid.n) {
        api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
        op->error.message = arena_printf(
            op->arena,
            "Operation cannot be fulfilled on %.*s%s%.*s \"%.*s\": uid mismatch: the provided "
            "object specified uid %.*s, and no existing object was found",
            STR_ARG(op->kind->plural), op->kind->group.n ? "." : "", STR_ARG(op->kind->group),
            STR_ARG(op->request.name), STR_ARG(uid));
        return false;
    }
    if (!doc_get_str(config, "metadata", "name").n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the name of the object (%.*s based on URL) was undeterminable: name "
                             "must be provided",
                             STR_ARG(op->request.name));
    }
    *config = doc_without(op->arena, config, "metadata", "resourceVersion");
    return api_apply(op, NULL, config, &object) &&
           api_body_identity(op, op->request.name, &object) && api_store_create(op, object);
}

bool api_verb_patch(struct api_op *op) {
    struct doc_value patch;
    bool apply = op->request.patch == KUBE_PATCH_APPLY;
    op->request.body_yaml |= apply;
    if (!api_managed_check(op) || !api_body_parse(op, &patch)) {
        return false;
    }
    AUTO_OBJECT struct api_object old = {0};
    bool found = api_object_load(op, op->request.ns, op->request.name, &old);
    if (!found && (!apply || op->error.status != 404)) {
        return false;
    }
    struct doc_value before = found ? api_served_form(op, &old.value) : doc_null();
    if (apply && !check_apply(op, &patch, found ? &before : NULL)) {
        return false;
    }
    if (!found) {
        op->error = (struct api_error){0};
        return apply_new(op, &patch);
    }
    struct doc_value after;
    if (!patched(op, &before, &patch, &after) || !same_object(op, &before, &after)) {
        return false;
    }
    return api_store_update(op, &old, after,
                            api_is_status_part(op) ? API_UPDATE_STATUS : API_UPDATE);
}
