// SPDX-License-Identifier: Apache-2.0
// The rules of metadata: what a client may set, what only the server sets, and what never changes.
#include "apiserver/core.h"

#include "base/text.h"
#include "base/timefmt.h"

#include <stdio.h>

bool api_invalid(struct api_op *op, struct str name, const char *reason, struct str path,
                 struct str message) {
    struct schema_problem problem = {.path = path, .message = message, .reason = str_from(reason)};
    return api_error_invalid(&op->error, op->arena, op->kind, name, &problem, 1);
}

struct doc_value api_ordered(struct arena *arena, const struct doc_value *object) {
    static const char *const first[] = {"apiVersion", "kind", "metadata"};
    bool in_order = true;
    for (size_t i = 0; i < ARRAY_LEN(first) && in_order; i++) {
        in_order = str_eq_c(doc_key_at(object, i), first[i]);
    }
    if (in_order) {
        return *object;
    }
    struct doc_object out = doc_object_start(arena);
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        const struct doc_value *value = doc_find(object, str_from(first[i]));
        if (value) {
            doc_object_set_c(&out, first[i], *value);
        }
    }
    for (DOC_EACH_MEMBER(object, i)) {
        struct str key = doc_key_at(object, i);
        if (!str_eq_c(key, first[0]) && !str_eq_c(key, first[1]) && !str_eq_c(key, first[2])) {
            doc_object_set(&out, key, *doc_value_at(object, i));
        }
    }
    return doc_object_done(&out);
}

// ---- Checks ----
static bool is_path_segment(struct str name) {
    return name.n && !str_eq(name, STR(".")) && !str_eq(name, STR("..")) &&
           str_find_char(name, '/') == STR_NPOS && str_find_char(name, '%') == STR_NPOS;
}

static bool check_name(struct api_op *op, struct str name) {
    struct arena *arena = op->arena;
    if (name.n > LIMIT_NAME) {
        return api_invalid(op, name, "FieldValueInvalid", STR("metadata.name"),
                           arena_printf(arena,
                                        "Invalid value: \"%.*s\": must be no more than %d bytes",
                                        STR_ARG(name), LIMIT_NAME));
    }
    if (str_eq(op->kind->group, STR("rbac.authorization.k8s.io"))) {
        return is_path_segment(name) ||
               api_invalid(op, name, "FieldValueInvalid", STR("metadata.name"),
                           arena_printf(arena,
                                        "Invalid value: \"%.*s\": may not be '.' or '..' or "
                                        "contain '/' or '%%'",
                                        STR_ARG(name)));
    }
    if (str_eq(op->kind->plural, STR("namespaces")) && !op->kind->group.n) {
        if (str_find_char(name, '.') != STR_NPOS) {
            return api_invalid(op, name, "FieldValueInvalid", STR("metadata.name"),
                               arena_printf(arena, "Invalid value: \"%.*s\": must not contain dots",
                                            STR_ARG(name)));
        }
        return name_is_dns_label(name) ||
               api_invalid(
                   op, name, "FieldValueInvalid", STR("metadata.name"),
                   arena_printf(arena,
                                "Invalid value: \"%.*s\": a lowercase RFC 1123 label must consist "
                                "of lower case alphanumeric characters or '-', and must start and "
                                "end with an alphanumeric character (e.g. 'my-name',  or "
                                "'123-abc', regex used for validation is "
                                "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                                STR_ARG(name)));
    }
    return name_is_dns_subdomain(name) ||
           api_invalid(
               op, name, "FieldValueInvalid", STR("metadata.name"),
               arena_printf(arena,
                            "Invalid value: \"%.*s\": a lowercase RFC 1123 subdomain must consist "
                            "of lower case alphanumeric characters, '-' or '.', and must start and "
                            "end with an alphanumeric character (e.g. 'example.com', regex used "
                            "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]"
                            "*[a-z0-9])?)*')",
                            STR_ARG(name)));
}

static bool check_labels(struct api_op *op, struct str name, const struct doc_value *labels) {
    for (DOC_EACH_MEMBER(labels, i)) {
        struct str key = doc_key_at(labels, i);
        const struct doc_value *value = doc_value_at(labels, i);
        if (!doc_is(value, DOC_STRING)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "metadata.labels: the value of \"%.*s\" must be a string, not %s",
                                 STR_ARG(key), doc_kind_name(doc_kind(value)));
        }
        bool key_ok = name_is_label_key(key);
        if (!key_ok || !name_is_label_value(doc_str(value))) {
            return api_invalid(
                op, name, "FieldValueInvalid", STR("metadata.labels"),
                arena_printf(
                    op->arena,
                    "Invalid value: \"%.*s\": %s of alphanumeric characters, "
                    "'-', '_' or '.', and must start and end with an alphanumeric "
                    "character (e.g. '%s',  or '%s',  or '%s', regex used for validation is '%s')",
                    STR_ARG(key_ok ? doc_str(value) : key),
                    key_ok ? "a valid label must be an empty string or consist"
                           : "name part must consist",
                    key_ok ? "MyValue" : "MyName", key_ok ? "my_value" : "my.name",
                    key_ok ? "12345" : "123-abc",
                    key_ok ? "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
                           : "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"));
        }
    }
    return true;
}

static bool check_annotations(struct api_op *op, struct str name,
                              const struct doc_value *annotations) {
    size_t total = 0;
    for (DOC_EACH_MEMBER(annotations, i)) {
        struct str key = doc_key_at(annotations, i);
        const struct doc_value *value = doc_value_at(annotations, i);
        if (!doc_is(value, DOC_STRING)) {
            return api_error_set(
                &op->error, op->arena, 400, "BadRequest",
                "metadata.annotations: the value of \"%.*s\" must be a string, not %s",
                STR_ARG(key), doc_kind_name(doc_kind(value)));
        }
        if (!name_is_label_key(key)) {
            char lower[512]; // annotation keys are checked in lower case
            size_t n = key.n < sizeof lower ? key.n : 0;
            for (size_t j = 0; j < n; j++) {
                char c = key.p[j];
                lower[j] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
            }
            if (!name_is_label_key((struct str){lower, n})) {
                return api_invalid(op, name, "FieldValueInvalid", STR("metadata.annotations"),
                                   arena_printf(op->arena,
                                                "Invalid value: \"%.*s\": name part must consist "
                                                "of alphanumeric characters, '-', '_' or '.', and "
                                                "must start and end with an alphanumeric character",
                                                STR_ARG(key)));
            }
        }
        total += key.n + doc_str(value).n;
    }
    if (total > LIMIT_ANNOTATIONS_BYTES) {
        return api_invalid(op, name, "FieldValueTooLong", STR("metadata.annotations"),
                           arena_printf(op->arena, "Too long: may not be more than %d bytes",
                                        LIMIT_ANNOTATIONS_BYTES));
    }
    return true;
}

static bool check_owners(struct api_op *op, struct str name, const struct doc_value *owners) {
    static const char *const required[] = {"apiVersion", "kind", "name", "uid"};
    for (DOC_EACH_ITEM(owners, owner)) {
        for (size_t i = 0; i < ARRAY_LEN(required); i++) {
            if (!doc_str(doc_find(owner, str_from(required[i]))).n) {
                return api_invalid(
                    op, name, "FieldValueInvalid",
                    arena_printf(op->arena, "metadata.ownerReferences.%s", required[i]),
                    STR("Invalid value: \"\": must not be empty"));
            }
        }
    }
    return true;
}

static bool check_shape(struct api_op *op, const struct doc_value *metadata) {
    static const struct {
        const char *key;
        enum doc_kind kind;
    } shapes[] = {
        {"labels", DOC_OBJECT},          {"annotations", DOC_OBJECT}, {"finalizers", DOC_ARRAY},
        {"ownerReferences", DOC_ARRAY},  {"name", DOC_STRING},        {"generateName", DOC_STRING},
        {"namespace", DOC_STRING},       {"uid", DOC_STRING},         {"managedFields", DOC_ARRAY},
        {"resourceVersion", DOC_STRING},
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const struct doc_value *value = doc_find(metadata, str_from(shapes[i].key));
        if (!doc_is_null(value) && !doc_is(value, shapes[i].kind)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "metadata.%s must be of type %s, not %s", shapes[i].key,
                                 doc_kind_name(shapes[i].kind), doc_kind_name(doc_kind(value)));
        }
    }
    return true;
}

bool api_meta_check(struct api_op *op, const struct doc_value *object) {
    const struct doc_value *metadata = doc_get(object, "metadata");
    struct str name = doc_get_str(metadata, "name");
    if (!check_shape(op, metadata)) {
        return false;
    }
    if (!name.n) {
        return api_invalid(op, name, "FieldValueRequired", STR("metadata.name"),
                           STR("Required value: name or generateName is required"));
    }
    for (DOC_EACH_ITEM(doc_get(metadata, "finalizers"), finalizer)) {
        if (!doc_str(finalizer).n) {
            return api_invalid(op, name, "FieldValueInvalid", STR("metadata.finalizers"),
                               STR("Invalid value: a finalizer must be a qualified name"));
        }
    }
    if (!op->kind->custom) {
        return true; // admission looks at the rest together with the object, as Kubernetes does
    }
    return check_name(op, name) && check_labels(op, name, doc_get(metadata, "labels")) &&
           check_annotations(op, name, doc_get(metadata, "annotations")) &&
           check_owners(op, name, doc_get(metadata, "ownerReferences"));
}

// An empty list or map is as good as none, and is not stored.
static void drop_empty(struct doc_object *metadata, const struct doc_value *given) {
    static const char *const names[] = {"labels", "annotations", "finalizers", "ownerReferences"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct doc_value *value = doc_find(given, str_from(names[i]));
        if (value && doc_len(value) == 0) {
            doc_object_remove(metadata, str_from(names[i]));
        }
    }
}

// ---- A new object ----
// Drawn once for each operation: another execution of it makes the same object.
static struct str new_uid(struct api_op *op) {
    unsigned char b[16];
    if (op->fresh_uid.n) {
        return op->fresh_uid;
    }
    loop_random_bytes(op->server->loop, b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(op->arena, 36);
    size_t at = 0;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[at++] = '-';
        }
        text[at++] = digits[b[i] >> 4];
        text[at++] = digits[b[i] & 15];
    }
    op->fresh_uid = (struct str){text, at};
    return op->fresh_uid;
}

static struct str generated_name(struct api_op *op, struct str prefix) {
    // No vowels and no digits that look like letters, as Kubernetes generates.
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    enum { SUFFIX = 5, LONGEST = 63 };
    prefix = str_first(prefix, LONGEST - SUFFIX);
    if (!op->fresh_suffix.n) {
        char *text = arena_alloc(op->arena, SUFFIX);
        for (size_t i = 0; i < SUFFIX; i++) {
            text[i] = letters[loop_random_below(op->server->loop, sizeof letters - 1)];
        }
        op->fresh_suffix = (struct str){text, SUFFIX};
    }
    return arena_concat(op->arena, prefix, op->fresh_suffix);
}

struct doc_value api_meta_fresh(struct api_op *op, struct doc_value object) {
    struct arena *arena = op->arena;
    struct doc_object out = doc_object_copy(arena, &object);
    const struct doc_value *given = doc_get(&object, "metadata");
    struct doc_object metadata = doc_object_copy(arena, given);
    drop_empty(&metadata, given);
    static const char *const server_only[] = {"resourceVersion", "selfLink", "deletionTimestamp",
                                              "deletionGracePeriodSeconds", "generation"};
    for (size_t i = 0; i < ARRAY_LEN(server_only); i++) {
        if (doc_find(given, str_from(server_only[i]))) {
            doc_object_remove(&metadata, str_from(server_only[i]));
        }
    }
    struct str prefix = doc_get_str(given, "generateName");
    if (!doc_get_str(given, "name").n && prefix.n) {
        doc_object_set_c(&metadata, "name", doc_make_str(generated_name(op, prefix)));
    }
    if (op->kind->namespaced) {
        doc_object_set_c(&metadata, "namespace", doc_make_str(op->request.ns));
    } else {
        doc_object_remove(&metadata, STR("namespace"));
    }
    doc_object_set_c(&metadata, "uid", doc_make_str(new_uid(op)));
    op->fresh_time = op->fresh_time ? op->fresh_time : loop_wall(op->server->loop);
    doc_object_set_c(&metadata, "creationTimestamp",
                     doc_make_str(time_format(arena, op->fresh_time)));
    if (op->kind->has_generation) {
        doc_object_set_c(&metadata, "generation", doc_make_int(1));
    }
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    if (op->kind->has_status) {
        doc_object_remove(&out, STR("status"));
    }
    return doc_object_done(&out);
}

// ---- The next state of an object ----
static bool no_new_finalizers(struct api_op *op, const struct doc_value *old,
                              const struct doc_value *metadata) {
    for (DOC_EACH_ITEM(doc_get(metadata, "finalizers"), finalizer)) {
        bool found = false;
        for (DOC_EACH_ITEM(doc_get(old, "finalizers"), before)) {
            found |= str_eq(doc_str(before), doc_str(finalizer));
        }
        if (!found) {
            return api_invalid(
                op, op->request.name, "FieldValueForbidden", STR("metadata.finalizers"),
                arena_printf(op->arena,
                             "Forbidden: no new finalizers can be added if the object is being "
                             "deleted, found new finalizers []string{\"%.*s\"}",
                             STR_ARG(doc_str(finalizer))));
        }
    }
    return true;
}

static struct doc_value status_metadata(struct api_op *op, const struct doc_value *old,
                                        const struct doc_value *given) {
    // Custom kinds and Kubernetes' own extensions: nothing but the status. Others take labels and annotations too;
    // Deployments keep their labels.
    static const char *const keys[] = {"annotations", "labels"};
    struct doc_object metadata = doc_object_copy(op->arena, old);
    bool strict = op->kind->custom || str_eq(op->kind->group, STR("apiextensions.k8s.io")) ||
                  str_eq(op->kind->group, STR("apiregistration.k8s.io")) ||
                  str_eq(op->kind->group, STR("certificates.k8s.io"));
    size_t count = strict ? 0 : str_eq(op->kind->plural, STR("deployments")) ? 1 : 2;
    for (size_t i = 0; given && i < count; i++) {
        const struct doc_value *value = doc_find(given, str_from(keys[i]));
        if (doc_len(value)) {
            doc_object_set_c(&metadata, keys[i], *value);
        } else {
            doc_object_remove(&metadata, str_from(keys[i]));
        }
    }
    const struct doc_value *managed = doc_find(given, STR("managedFields"));
    if (managed) {
        doc_object_set_c(&metadata, "managedFields", *managed);
    }
    return doc_object_done(&metadata);
}

bool api_meta_keep(struct api_op *op, const struct doc_value *old, enum api_operation operation,
                   struct doc_value *object) {
    static const char *const kept[] = {
        "name",         "namespace",         "uid",
        "generateName", "creationTimestamp", "deletionTimestamp",
        "generation",   "resourceVersion",   "deletionGracePeriodSeconds",
        "selfLink"};
    const struct doc_value *before = doc_get(old, "metadata");
    const struct doc_value *given = doc_get(object, "metadata");
    struct doc_object out = doc_object_copy(op->arena, object);
    if (operation == API_UPDATE_STATUS) {
        doc_object_set_c(&out, "metadata", status_metadata(op, before, given));
        *object = doc_object_done(&out);
        return true;
    }
    if (doc_get(before, "deletionTimestamp") && !no_new_finalizers(op, before, given)) {
        return false;
    }
    struct doc_object metadata = doc_object_copy(op->arena, given);
    drop_empty(&metadata, given);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct str key = str_from(kept[i]);
        const struct doc_value *value = doc_find(before, key);
        if (value) {
            doc_object_set(&metadata, key, *value);
        } else if (doc_find(given, key)) {
            doc_object_remove(&metadata, key);
        }
    }
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    *object = doc_object_done(&out);
    return true;
}
