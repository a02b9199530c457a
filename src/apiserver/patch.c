// SPDX-License-Identifier: Apache-2.0
// PATCH: the four kinds of patches make a next state from the newest one; from there on it is an update.
#include "apiserver/core.h"

static bool unsupported(struct api_op *op) {
    return api_error_set(&op->error, op->arena, 415, "UnsupportedMediaType",
                         "the body of the request was in an unknown format - accepted media types "
                         "include: application/json-patch+json, application/merge-patch+json, "
                         "application/apply-patch+yaml");
}

static bool does_not_apply(struct api_op *op) {
    api_error_set(&op->error, op->arena, 422, "Invalid",
                  "the server rejected our request due to an error in our request");
    op->error.details = (struct doc_value){.kind = DOC_OBJECT};
    return false;
}

static bool wrong_body(struct api_op *op, const struct doc_value *value, const char *type) {
    enum doc_kind kind = doc_kind(value);
    if (kind == DOC_NULL) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "error decoding patch: unexpected end of JSON input");
    }
    return api_error_set(&op->error, op->arena, 400, "BadRequest",
                         "error decoding patch: json: cannot unmarshal %s into Go value of type %s",
                         kind == DOC_INT || kind == DOC_NUMBER ? "number"
                         : kind == DOC_BOOL                    ? "bool"
                                                               : doc_kind_name(kind),
                         type);
}

// ---- JSON patches, as the library of Kubernetes reads them ----
static struct str pointer_of(struct api_op *op, const struct doc_value *root, struct str path) {
    if (path.n && path.p[0] != '/') { // what stands before the first slash is not looked at
        size_t slash = str_find_char(path, '/');
        path = slash == STR_NPOS ? path : str_skip(path, slash);
    }
    // "-1" is the last item.
    size_t last = str_rfind_char(path, '/');
    int64_t index;
    struct str parent_path = last == STR_NPOS ? path : str_first(path, last);
    const struct doc_value *parent = doc_pointer(root, parent_path);
    if (last != STR_NPOS && doc_is(parent, DOC_ARRAY) &&
        str_to_int64(str_skip(path, last + 1), &index) && index < 0 &&
        -index <= (int64_t)doc_len(parent)) {
        path = arena_printf(op->arena, "%.*s/%lld", STR_ARG(parent_path),
                            (long long)((int64_t)doc_len(parent) + index));
    }
    return path;
}

// One operation in the words of the standard: missing members count as null.
static bool plain_operation(struct api_op *op, const struct doc_value *root,
                            const struct doc_value *operation, struct doc_value *out, bool *skip) {
    struct arena *arena = op->arena;
    struct str name = doc_get_str(operation, "op");
    struct str path = pointer_of(op, root, doc_get_str(operation, "path"));
    struct str from = pointer_of(op, root, doc_get_str(operation, "from"));
    const struct doc_value *value = doc_get(operation, "value");
    size_t last = str_rfind_char(path, '/');
    const struct doc_value *parent =
        last == STR_NPOS ? NULL : doc_pointer(root, str_first(path, last));
    bool missing = doc_is(parent, DOC_OBJECT) && !doc_pointer(root, path);
    *skip = str_eq(name, STR("test")) && missing && value && doc_is_null(value);
    *out = doc_with(arena, operation, doc_make_str(path), "path");
    if (doc_get(operation, "from")) {
        *out = doc_with(arena, out, doc_make_str(from), "from");
    }
    if (str_eq(name, STR("replace")) && missing) {
        *out = doc_with(arena, out, DOC_S("add"), "op");
    }
    if (str_eq(name, STR("copy")) && doc_get(operation, "from") && !doc_pointer(root, from)) {
        last = str_rfind_char(from, '/');
        parent = last == STR_NPOS ? NULL : doc_pointer(root, str_first(from, last));
        if (!doc_is(parent, DOC_OBJECT)) {
            return false;
        }
        *out = doc_with(arena, out, DOC_S("add"), "op");
        *out = doc_with(arena, out, doc_null(), "value");
    }
    if (!value && (str_eq(name, STR("add")) || str_eq(name, STR("replace")))) {
        *out = doc_with(arena, out, doc_null(), "value");
    }
    return path.n > 0;
}

enum { LENIENT_OPERATIONS = 1000 };

// Copies share what they copy; what they would take when printed is bounded for the whole patch.
static bool pay_copy(const struct doc_value *root, const struct doc_value *operation,
                     size_t *budget) {
    if (!str_eq(doc_get_str(operation, "op"), STR("copy"))) {
        return true;
    }
    struct buf text;
    buf_init(&text, *budget);
    const struct doc_value *value = doc_pointer(root, doc_get_str(operation, "from"));
    bool ok = !value || doc_print_json(value, &text);
    *budget -= text.len;
    buf_fini(&text);
    return ok;
}

static bool json_patched(struct api_op *op, const struct doc_value *before,
                         const struct doc_value *patch, struct doc_value *out) {
    struct err err = {0};
    if (!doc_is(patch, DOC_ARRAY)) {
        return wrong_body(op, patch, "[]handlers.jsonPatchOp");
    }
    for (DOC_EACH_ITEM(patch, operation)) {
        if (!doc_is(operation, DOC_OBJECT)) {
            return wrong_body(op, operation, "handlers.jsonPatchOp");
        }
        if (!doc_get_str(operation, "path").n) {
            return does_not_apply(op); // the whole document is not to be had
        }
    }
    if (doc_len(patch) > LIMIT_PATCH_OPERATIONS) {
        return api_error_set(&op->error, op->arena, 413, "RequestEntityTooLarge",
                             "Request entity too large: The allowed maximum operations in a JSON "
                             "patch is %d, got %zu",
                             LIMIT_PATCH_OPERATIONS, doc_len(patch));
    }
    if (doc_json_patch(op->arena, before, patch, out, &err) && doc_is(out, DOC_OBJECT)) {
        return true;
    }
    // What the standard refuses is tried again, one operation after the other.
    struct doc_value now = *before;
    size_t budget = LIMIT_PATCH_COPY_BYTES;
    if (err.code == ERR_LIMIT || doc_len(patch) > LENIENT_OPERATIONS) {
        return does_not_apply(op);
    }
    for (DOC_EACH_ITEM(patch, operation)) {
        struct doc_value plain;
        bool skip;
        if (!plain_operation(op, &now, operation, &plain, &skip) ||
            !pay_copy(&now, &plain, &budget)) {
            return does_not_apply(op);
        }
        struct doc_array one = doc_array_start(op->arena);
        doc_array_add(&one, plain);
        struct doc_value list = doc_array_done(&one);
        if (!skip && !doc_json_patch(op->arena, &now, &list, &now, &err)) {
            return does_not_apply(op);
        }
    }
    *out = now;
    return doc_is(out, DOC_OBJECT) || does_not_apply(op);
}

static bool strategic_patched(struct api_op *op, const struct doc_value *before,
                              const struct doc_value *patch, struct doc_value *out) {
    struct err err = {0};
    if (!doc_is(patch, DOC_OBJECT)) {
        return wrong_body(op, patch, "map[string]interface {}");
    }
    if (!schema_strategic_merge(op->arena, op->kind->merge, before, patch, out, &err)) {
        bool format = str_starts(str_from(err.message), STR("invalid patch format"));
        return api_error_set(&op->error, op->arena, format ? 400 : 500, format ? "BadRequest" : "",
                             "%s", err.message);
    }
    // Which kind it is, is not part of a typed object.
    const struct doc_value *version = doc_get(before, "apiVersion"),
                           *kind = doc_get(before, "kind");
    *out = doc_with(op->arena, out, *version, "apiVersion");
    *out = doc_with(op->arena, out, *kind, "kind");
    return true;
}

static bool patched(struct api_op *op, const struct doc_value *before,
                    const struct doc_value *patch, struct doc_value *out) {
    switch (op->request.patch) {
    case KUBE_PATCH_JSON:
        return json_patched(op, before, patch, out);
    case KUBE_PATCH_MERGE:
        if (!doc_is(patch, DOC_OBJECT)) {
            return wrong_body(op, patch, "map[string]interface {}");
        }
        *out = doc_merge_patch(op->arena, before, patch);
        return true;
    case KUBE_PATCH_STRATEGIC:
        return strategic_patched(op, before, patch, out);
    case KUBE_PATCH_APPLY:
        return api_apply(op, before, patch, out);
    }
    return unsupported(op);
}

static bool invalid_patch(struct api_op *op, const struct doc_value *after, struct str why) {
    struct doc_value text = doc_make_str(doc_to_json(op->arena, after));
    struct schema_problem problem = {.path = STR("patch"),
                                     .message = arena_printf(op->arena, "Invalid value: %.*s: %.*s",
                                                             STR_ARG(doc_to_json(op->arena, &text)),
                                                             STR_ARG(why)),
                                     .reason = STR("FieldValueInvalid")};
    static const struct api_kind nameless = {0};
    op->error = (struct api_error){0};
    return api_error_invalid(&op->error, op->arena, &nameless, (struct str){NULL, 0}, &problem, 1);
}

// Names of another object in a patch would move it.
static bool same_object(struct api_op *op, struct doc_value *after) {
    struct str version = api_group_version(op->arena, op->kind->group, op->kind->version);
    struct str has_version = doc_get_str(after, "apiVersion"), kind = doc_get_str(after, "kind");
    const struct doc_value *metadata = doc_get(after, "metadata");
    if ((has_version.n && !str_eq(has_version, version)) ||
        (kind.n && !str_eq(kind, op->kind->kind))) {
        return invalid_patch(op, after,
                             arena_printf(op->arena, "no kind \"%.*s\" is served as %.*s here",
                                          STR_ARG(kind), STR_ARG(has_version)));
    }
    if (!doc_is_null(metadata) && !doc_is(metadata, DOC_OBJECT)) {
        return invalid_patch(op, after,
                             arena_printf(op->arena,
                                          "json: cannot unmarshal %s into Go struct field "
                                          "%.*s.metadata of type v1.ObjectMeta",
                                          doc_kind_name(doc_kind(metadata)),
                                          STR_ARG(op->kind->kind)));
    }
    if (!doc_get_str(metadata, "name").n || !has_version.n || !kind.n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the name of the object (%.*s based on URL) was undeterminable: name "
                             "must be provided",
                             STR_ARG(op->request.name));
    }
    return api_body_identity(op, op->request.name, after);
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
    if (!api_body_identity(op, op->request.name, config)) {
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

// Keys that an apply or a list of operations has twice are not those of the object, so they are told of here.
static bool report_duplicates(struct api_op *op) {
    bool apply = op->request.patch == KUBE_PATCH_APPLY;
    struct str validation = op->request.field_validation;
    if (op->duplicate_count == 0 || (!apply && op->request.patch != KUBE_PATCH_JSON)) {
        return true;
    }
    size_t count = op->duplicate_count;
    op->duplicate_count = 0;
    if (!str_eq(validation, STR("Strict"))) {
        for (size_t i = 0; i < count && !str_eq(validation, STR("Ignore")); i++) {
            api_op_warn(op, apply ? op->duplicates[i]
                                  : arena_printf(op->arena, "json patch duplicate field \"%.*s\"",
                                                 STR_ARG(op->duplicates[i])));
        }
        return true;
    }
    struct str list = {"", 0};
    for (size_t i = 0; i < count; i++) {
        list = arena_printf(op->arena, apply ? "%.*s%s%.*s" : "%.*s%sduplicate field \"%.*s\"",
                            STR_ARG(list),
                            apply ? "\n  "
                            : i   ? ", "
                                  : "",
                            STR_ARG(op->duplicates[i]));
    }
    return api_error_set(&op->error, op->arena, 400, "BadRequest",
                         apply ? "error strict decoding YAML: error converting YAML to JSON: yaml: "
                                 "unmarshal errors:%.*s"
                               : "strict decoding error: json patch %.*s",
                         STR_ARG(list));
}

// What does not decode after a patch makes the patch invalid.
static bool decode_problem(struct api_op *op, const struct doc_value *after) {
    struct str message = op->error.message;
    struct str mark = STR(" cannot be handled as a ");
    if (op->error.status != 400 || op->request.patch == KUBE_PATCH_APPLY ||
        !str_has(message, mark)) {
        return false;
    }
    while (!str_starts(message, mark)) {
        message = str_skip(message, 1);
    }
    struct str kind, why;
    str_cut(str_skip(message, mark.n), ':', &kind, &why);
    return invalid_patch(op, after, str_trim(why));
}

bool api_verb_patch(struct api_op *op) {
    struct doc_value patch;
    bool apply = op->request.patch == KUBE_PATCH_APPLY;
    op->request.body_yaml |= apply;
    if (!api_managed_check(op)) {
        return false;
    }
    if (!api_body_parse(op, &patch)) {
        struct str message = op->error.message, mark = STR("error decoding JSON: ");
        if (!op->request.body.n && !apply) {
            message = STR("error decoding patch: unexpected end of JSON input");
        } else if (str_starts(message, mark)) {
            message =
                arena_concat(op->arena, STR("error decoding patch: "), str_skip(message, mark.n));
        }
        op->error.message = message;
        return false;
    }
    AUTO_OBJECT struct api_object old = {0};
    if (!report_duplicates(op)) {
        return false;
    }
    if (op->request.patch == KUBE_PATCH_STRATEGIC && op->kind->custom) {
        return unsupported(op);
    }
    bool found = api_object_load(op, op->request.ns, op->request.name, &old);
    if (!found && (!apply || op->error.status != 404)) {
        return false;
    }
    struct doc_value before = found ? api_served_form(op, &old) : doc_null();
    if (apply && !check_apply(op, &patch, found ? &before : NULL)) {
        return false;
    }
    if (!found) {
        op->error = (struct api_error){0};
        return apply_new(op, &patch);
    }
    struct doc_value after;
    if (!patched(op, &before, &patch, &after) || !same_object(op, &after)) {
        return false;
    }
    return api_store_update(op, &old, after,
                            api_is_status_part(op) ? API_UPDATE_STATUS : API_UPDATE) ||
           decode_problem(op, &after);
}
