// SPDX-License-Identifier: Apache-2.0
// From stored texts to what a client asked for: as they are, in another served version, as metadata only, as a table.
// Stored texts are compact JSON that begins with apiVersion, kind and metadata (api_ordered), which is what lets this
// file work on text.
#include "apiserver/core.h"

static const struct str API_VERSION_START = STR_INIT("{\"apiVersion\":\"");

struct str api_group_version(struct arena *arena, struct str group, struct str version) {
    return group.n ? arena_printf(arena, "%.*s/%.*s", STR_ARG(group), STR_ARG(version)) : version;
}

// Custom kinds differ between versions in apiVersion, and in what their schemas know.
static struct blob *with_version(const struct api_kind *kind, struct blob *stored) {
    struct str text = blob_str(stored);
    struct str rest = str_skip(text, API_VERSION_START.n);
    size_t end = str_find_char(rest, '"');
    if (!str_starts(text, API_VERSION_START) || end == STR_NPOS) {
        return blob_ref(stored);
    }
    rest = str_skip(rest, end);
    size_t group = kind->group.n ? kind->group.n + 1 : 0;
    struct blob *out = blob_alloc(API_VERSION_START.n + group + kind->version.n + rest.n);
    char *at = out->data;
    memcpy(at, API_VERSION_START.p, API_VERSION_START.n);
    at += API_VERSION_START.n;
    if (kind->group.n) {
        memcpy(at, kind->group.p, kind->group.n);
        at[kind->group.n] = '/';
        at += group;
    }
    memcpy(at, kind->version.p, kind->version.n);
    memcpy(at + kind->version.n, rest.p, rest.n);
    return out;
}

static struct blob *without_unknown(const struct api_kind *kind, struct blob *renamed) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    struct str *pruned = NULL;
    size_t count = 0;
    if (!kind->schema || !doc_parse_json(blob_str(renamed), arena, &value, NULL)) {
        return renamed;
    }
    value = schema_struct_prune(kind->schema, arena, &value, &pruned, &count);
    if (count == 0) {
        return renamed;
    }
    struct blob *out = blob_create(doc_to_json(arena, &value));
    blob_unref(renamed);
    return out;
}

static bool has_version(const struct api_kind *kind, struct str text) {
    struct str rest = str_skip(text, API_VERSION_START.n + kind->group.n + 1);
    return str_starts(text, API_VERSION_START) && str_starts(rest, kind->version) &&
           str_starts(str_skip(rest, kind->version.n), STR("\""));
}

struct blob *api_op_serve(const struct api_op *op, struct blob *stored) {
    struct blob *converted = op->kind->converter ? api_converted(op, op->kind, stored) : NULL;
    return converted ? converted : api_serve_text(op->server, op->kind, stored);
}

struct blob *api_serve_text(const struct apiserver *server, const struct api_kind *kind,
                            struct blob *stored) {
    if (kind->custom) { // an object may have been stored when another version was the one to store
        return has_version(kind, blob_str(stored))
                   ? blob_ref(stored)
                   : without_unknown(kind, with_version(kind, stored));
    }
    if (str_eq(kind->version, kind->storage_version) && str_eq(kind->group, kind->storage_group)) {
        return blob_ref(stored);
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    if (!doc_parse_json(blob_str(stored), arena, &value, NULL)) {
        return blob_ref(stored);
    }
    value = api_kind_convert(arena, kind, &value);
    return blob_create(doc_to_json(arena, &value));
}

// The length of the JSON object at the start of `text`, 0 when it does not end.
static size_t object_length(struct str text) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

struct str api_metadata_text(struct str object) {
    static const struct str mark = STR_INIT(",\"metadata\":{");
    // apiVersion and kind are names without escapes, so the first mark is the real one when it comes this early.
    struct str head = str_first(object, 512);
    size_t at = str_find(head, mark);
    bool known = str_starts(object, API_VERSION_START) || str_starts(object, STR("{\"kind\":"));
    if (!known || at == STR_NPOS) { // a bookmark begins with its kind
        return (struct str){NULL, 0};
    }
    struct str rest = str_skip(object, at + mark.n - 1);
    return str_first(rest, object_length(rest));
}

struct blob *api_partial_text(struct arena *arena, struct blob *stored) {
    struct str metadata = api_metadata_text(blob_str(stored));
    struct str text = arena_concat(
        arena,
        STR("{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":"),
        metadata.n ? metadata : STR("{}"));
    return blob_create(arena_concat(arena, text, STR("}")));
}

struct doc_value api_table_metadata(struct arena *arena, const struct doc_value *object) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "resourceVersion",
                     doc_make_str(doc_get_str(object, "metadata", "resourceVersion")));
    return doc_object_done(&out);
}

static bool reply_table(struct api_op *op, int status, const struct doc_value *value) {
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    struct doc_value metadata = api_table_metadata(op->arena, value);
    static const struct api_kind scale = {
        .group = STR_INIT("autoscaling"), .version = STR_INIT("v1"), .kind = STR_INIT("Scale")};
    bool is_scale = str_eq(op->request.subresource, STR("scale"));
    if (!api_table_print(op->arena, is_scale ? &scale : op->kind, &value, 1, op->request.include,
                         true, &metadata, loop_wall(op->server->loop), &out)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError", "the table is too large");
    }
    op->status = status;
    api_op_add_text(op, buf_str(&out));
    return true;
}

bool api_reply_value(struct api_op *op, int status, const struct doc_value *value) {
    if (op->request.output == API_OUTPUT_TABLE) {
        return reply_table(op, status, value);
    }
    op->status = status;
    api_op_add_text(op, doc_to_json(op->arena, value));
    return true;
}

bool api_reply_object(struct api_op *op, int status, struct blob *stored) {
    if (op->request.output == API_OUTPUT_TABLE) {
        struct blob *served = api_op_serve(op, stored);
        struct doc_value value;
        struct err err = {0};
        bool parsed = doc_parse_json_copy(blob_str(served), op->arena, &value, &err);
        blob_unref(served);
        if (!parsed) {
            return api_error_set(&op->error, op->arena, 500, "InternalError",
                                 "a stored object does not parse: %s", err.message);
        }
        return reply_table(op, status, &value);
    }
    op->status = status;
    api_op_add(op, op->request.output == API_OUTPUT_PARTIAL ? api_partial_text(op->arena, stored)
                                                            : api_op_serve(op, stored));
    return true;
}
