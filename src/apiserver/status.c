// SPDX-License-Identifier: Apache-2.0
// Refusals as clients of Kubernetes know them: an HTTP status, a reason that programs compare, a message that people
// read, and details with one cause per field.
#include <stdio.h>

#include "apiserver/kinds_internal.h"

#include "base/limits.h"

bool api_error_set(struct api_error *error, struct arena *arena, int status, const char *reason,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str message = arena_vprintf(arena, format, args);
    va_end(args);
    *error = (struct api_error){.status = status, .message = message};
    snprintf(error->reason, sizeof(error->reason), "%s", reason);
    return false;
}

static struct doc_object object_details(struct arena *arena, const struct api_kind *kind,
                                        struct str name, struct str kind_text) {
    struct doc_object details = doc_object_start(arena);
    if (name.n) {
        doc_object_set_c(&details, "name", doc_make_str(arena_dup(arena, name)));
    }
    if (kind->group.n) {
        doc_object_set_c(&details, "group", doc_make_str(arena_dup(arena, kind->group)));
    }
    doc_object_set_c(&details, "kind", doc_make_str(arena_dup(arena, kind_text)));
    return details;
}

bool api_error_not_found(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                         struct str name) {
    struct str resource = api_kind_resource_name(arena, kind);
    api_error_set(error, arena, 404, "NotFound", "%.*s \"%.*s\" not found", STR_ARG(resource),
                  STR_ARG(name));
    struct doc_object details = object_details(arena, kind, name, kind->plural);
    error->details = doc_object_done(&details);
    return false;
}

bool api_error_exists(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                      struct str name) {
    struct str resource = api_kind_resource_name(arena, kind);
    api_error_set(error, arena, 409, "AlreadyExists", "%.*s \"%.*s\" already exists",
                  STR_ARG(resource), STR_ARG(name));
    struct doc_object details = object_details(arena, kind, name, kind->plural);
    error->details = doc_object_done(&details);
    return false;
}

bool api_error_conflict(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                        struct str name) {
    struct str resource = api_kind_resource_name(arena, kind);
    api_error_set(error, arena, 409, "Conflict",
                  "Operation cannot be fulfilled on %.*s \"%.*s\": the object has been modified; "
                  "please apply your changes to the latest version and try again",
                  STR_ARG(resource), STR_ARG(name));
    struct doc_object details = object_details(arena, kind, name, kind->plural);
    error->details = doc_object_done(&details);
    return false;
}

// The message names the kind as "Deployment.apps"; several problems stand in brackets, as Go's error lists print.
// The sentence says everything once, the list of causes as often as it was found.
static bool said_before(const struct schema_problem *problems, size_t i) {
    enum { COMPARED = 64 };
    for (size_t k = 0; k < i && k < COMPARED; k++) {
        if (str_eq(problems[k].path, problems[i].path) &&
            str_eq(problems[k].message, problems[i].message)) {
            return true;
        }
    }
    return false;
}

bool api_error_invalid(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                       struct str name, const struct schema_problem *problems, size_t count) {
    struct doc_array causes = doc_array_start(arena);
    struct buf text;
    buf_init(&text, MIB);
    size_t said = 0;
    for (size_t i = 0; i < count; i++) {
        const struct schema_problem *p = &problems[i];
        if (!said_before(problems, i)) {
            buf_printf(&text, "%s%.*s%s%.*s", said++ ? ", " : "", STR_ARG(p->path),
                       p->path.n ? ": " : "", STR_ARG(p->message));
        }
        struct doc_object cause = doc_object_start(arena);
        doc_object_set_c(&cause, "reason", doc_make_str(p->reason));
        doc_object_set_c(&cause, "message", doc_make_str(p->message));
        if (p->path.n) {
            doc_object_set_c(&cause, "field", doc_make_str(p->path));
        }
        doc_array_add(&causes, doc_object_done(&cause));
    }
    struct str full_kind =
        kind->group.n ? arena_printf(arena, "%.*s.%.*s", STR_ARG(kind->kind), STR_ARG(kind->group))
                      : kind->kind;
    api_error_set(error, arena, 422, "Invalid", "%.*s \"%.*s\" is invalid: %s%.*s%s",
                  STR_ARG(full_kind), STR_ARG(name), said > 1 ? "[" : "", STR_ARG(buf_str(&text)),
                  said > 1 ? "]" : "");
    buf_fini(&text);
    struct doc_object details = object_details(arena, kind, name, kind->kind);
    if (count > 0) {
        doc_object_set_c(&details, "causes", doc_array_done(&causes));
    }
    error->details = doc_object_done(&details);
    return false;
}

struct doc_value api_error_status(struct arena *arena, const struct api_error *error) {
    struct doc_object status = doc_object_start(arena);
    struct doc_object metadata = doc_object_start(arena);
    doc_object_set_c(&status, "kind", DOC_S("Status"));
    doc_object_set_c(&status, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&status, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&status, "status", DOC_S("Failure"));
    doc_object_set_c(&status, "message", doc_make_str(error->message));
    if (error->reason[0]) {
        doc_object_set_c(&status, "reason",
                         doc_make_str(arena_dup(arena, str_from(error->reason))));
    }
    struct doc_value details = error->details;
    if (error->retry_after_seconds > 0) {
        struct doc_object with =
            details.kind == DOC_OBJECT ? doc_object_copy(arena, &details) : doc_object_start(arena);
        doc_object_set_c(&with, "retryAfterSeconds", doc_make_int(error->retry_after_seconds));
        details = doc_object_done(&with);
    }
    if (details.kind == DOC_OBJECT) {
        doc_object_set_c(&status, "details", details);
    }
    doc_object_set_c(&status, "code", doc_make_int(error->status));
    return doc_object_done(&status);
}
