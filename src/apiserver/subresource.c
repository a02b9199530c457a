// SPDX-License-Identifier: Apache-2.0
// The sub-resources that are not the object itself: scale, finalize of namespaces. Those of pods
// are in pod_parts.c.
// "status" goes the way of the object's own verbs.
#include "apiserver/auth_account.h"

static bool unknown(struct api_op *op) {
    return api_error_set(&op->error, op->arena, 404, "NotFound",
                         "the server could not find the requested resource");
}

static bool not_allowed(struct api_op *op) {
    return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                         "the server does not allow this method on the requested resource");
}

// ---- scale ----
static bool patch_scale(struct api_op *op, const struct doc_value *scale, struct doc_value *out) {
    struct doc_value patch;
    struct err err = {0};
    if (!api_body_parse(op, &patch)) {
        return false;
    }
    if (op->request.patch == KUBE_PATCH_APPLY) {
        *out = patch;
        return api_apply_identity(op, STR("autoscaling/v1"), STR("Scale"), &patch);
    }
    if (op->request.patch == KUBE_PATCH_JSON) {
        return doc_json_patch(op->arena, scale, &patch, out, &err) ||
               api_error_set(&op->error, op->arena, 422, "Invalid", "%s", err.message);
    }
    *out = doc_merge_patch(op->arena, scale, &patch); // a Scale has no lists
    return true;
}

static bool serve_scale(struct api_op *op) {
    AUTO_OBJECT struct api_object old = {0};
    if (!op->kind->has_scale) {
        return unknown(op);
    }
    enum api_verb verb = op->request.verb;
    if (verb != API_VERB_GET && verb != API_VERB_UPDATE && verb != API_VERB_PATCH) {
        return not_allowed(op);
    }
    op->request.body_yaml |= verb == API_VERB_PATCH && op->request.patch == KUBE_PATCH_APPLY;
    if ((verb != API_VERB_GET && !api_managed_check(op)) ||
        !api_object_load(op, op->request.ns, op->request.name, &old)) {
        return false;
    }
    struct doc_value object = api_served_form(op, &old);
    struct doc_value scale = api_scale_of(op->arena, op->kind, &object);
    if (op->request.output != API_OUTPUT_TABLE) {
        op->request.output = API_OUTPUT_OBJECT;
    }
    if (verb == API_VERB_GET) {
        return api_reply_value(op, 200, &scale);
    }
    struct doc_value wanted;
    if (verb == API_VERB_PATCH ? !patch_scale(op, &scale, &wanted) : !api_body_parse(op, &wanted)) {
        return false;
    }
    struct str version = doc_get_str(&wanted, "metadata", "resourceVersion");
    if (version.n && !str_eq(version, doc_get_str(&object, "metadata", "resourceVersion"))) {
        return api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
    }
    if (verb == API_VERB_PATCH && op->request.patch == KUBE_PATCH_APPLY) {
        struct doc_value config = {.kind = DOC_OBJECT};
        if (!api_scale_apply(op->arena, op->kind, &wanted, &config, &op->error) ||
            !api_apply(op, &object, &config, &object)) {
            return false;
        }
    } else if (!api_scale_apply(op->arena, op->kind, &wanted, &object, &op->error)) {
        return false;
    }
    size_t parts = op->part_count;
    if (!api_store_update(op, &old, object, API_UPDATE)) {
        return false;
    }
    // The reply is the Scale of what was stored, not the object.
    struct doc_value stored;
    struct err err = {0};
    struct str text = blob_str(op->parts[parts]);
    if (!doc_parse_json_copy(text, op->arena, &stored, &err)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError", "%s", err.message);
    }
    while (op->part_count > parts) {
        blob_unref(op->parts[--op->part_count]);
    }
    scale = api_scale_of(op->arena, op->kind, &stored);
    return api_reply_value(op, 200, &scale);
}

// ---- finalize ----
static bool serve_finalize(struct api_op *op) {
    struct doc_value object;
    AUTO_OBJECT struct api_object old = {0};
    if (op->request.verb != API_VERB_UPDATE) {
        return not_allowed(op);
    }
    if (!api_body_object(op, op->request.name, &object) ||
        !api_object_load(op, op->request.ns, op->request.name, &old)) {
        return false;
    }
    struct str version = doc_get_str(&object, "metadata", "resourceVersion");
    if (version.n && !str_eq(version, doc_get_str(&old.value, "metadata", "resourceVersion"))) {
        return api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
    }
    const struct doc_value *finalizers = doc_get(&object, "spec", "finalizers");
    struct doc_value next = doc_len(finalizers)
                                ? doc_with(op->arena, &old.value, *finalizers, "spec", "finalizers")
                                : doc_without(op->arena, &old.value, "spec", "finalizers");
    struct blob *after = api_is_finished(op->kind, &next)
                             ? api_store_remove(op, old.entry, next)
                             : api_store_put(op, old.entry, (struct str){NULL, 0}, next);
    bool ok = after && api_reply_object(op, 200, after);
    blob_unref(after);
    return ok;
}

bool api_is_status_part(const struct api_op *op) {
    struct str name = op->request.subresource;
    return str_eq(name, STR("status")) ||
           (str_eq(name, STR("approval")) && op->kind &&
            str_eq(op->kind->plural, STR("certificatesigningrequests")));
}

bool api_subresource(struct api_op *op, bool *handled) {
    struct str name = op->request.subresource;
    bool core = !op->kind->group.n;
    *handled = true;
    if (api_is_status_part(op)) {
        enum api_verb verb = op->request.verb;
        if (!op->kind->has_status) {
            return unknown(op);
        }
        if (verb != API_VERB_GET && verb != API_VERB_UPDATE && verb != API_VERB_PATCH) {
            return not_allowed(op);
        }
        *handled = false;
        return true;
    }
    if (str_eq(name, STR("scale"))) {
        return serve_scale(op);
    }
    if (core && str_eq(op->kind->plural, STR("namespaces")) && str_eq(name, STR("finalize"))) {
        return serve_finalize(op);
    }
    if (core && str_eq(op->kind->plural, STR("pods"))) {
        bool ok = api_pod_part(op, handled);
        if (*handled) {
            return ok;
        }
        *handled = true;
    }
    if (core && str_eq(name, STR("proxy"))) {
        return api_error_set(&op->error, op->arena, 501, "NotImplemented",
                             "nothing runs in a simulated cluster, so proxy is not possible");
    }
    if (core && str_eq(op->kind->plural, STR("serviceaccounts")) && str_eq(name, STR("token"))) {
        return api_token_request(op);
    }
    return unknown(op);
}
