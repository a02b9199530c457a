// SPDX-License-Identifier: Apache-2.0
// The OpenAPI documents under /openapi/. openapi.c answers paths and puts documents together out of shapes
// (openapi_schema.c) and operations (openapi_paths.c); openapi_proto.c writes the protobuf form of version 2.
#ifndef SKIFF_APISERVER_OPENAPI_H
#define SKIFF_APISERVER_OPENAPI_H

#include "apiserver/kinds_internal.h"

// A document of the paths under /openapi/, or false: no such path. `query` may hold "hash=...".
bool api_openapi_get(const struct api_kinds *kinds, struct str path, struct str query,
                     struct str accept, struct arena *arena, struct api_text *page);

// ---- Shared by its files ----
struct schema_type;

enum openapi_shape { OPENAPI_TYPE, OPENAPI_LIST, OPENAPI_CUSTOM, OPENAPI_SPECIAL };
struct openapi_need { // a definition that the document refers to
    struct str name;
    enum openapi_shape shape;
    const struct schema_type *type;
    const struct api_kind *kind; // of lists and custom kinds
};

struct openapi { // one document under construction
    const struct api_kinds *kinds;
    struct arena *arena;       // of the whole document
    struct arena *scratch;     // of one path or definition
    struct str group, version; // of a document of version 3
    bool v3;
    struct map *known;              // names in `needs`
    VEC(struct openapi_need) needs; // in the order of their discovery
};

struct doc_value openapi_gvk(struct openapi *o, const struct api_kind *kind);
// {"$ref": ...} of the definition, which is put on the list of needed ones.
struct doc_value openapi_kind_ref(struct openapi *o, const struct api_kind *kind);
struct doc_value openapi_list_ref(struct openapi *o, const struct api_kind *kind);
struct doc_value openapi_meta_ref(struct openapi *o, const char *name); // "Status", "DeleteOptions"
// The type of a built-in kind that is not served as a resource of its own: "autoscaling", "v1", "Scale".
struct doc_value openapi_body_ref(struct openapi *o, struct str group, struct str version,
                                  struct str kind);
// Notes what a definition refers to, without making it.
void openapi_follow(struct openapi *o, const struct openapi_need *need);
struct doc_value openapi_definition(struct openapi *o, const struct openapi_need *need);
// Short texts of our own on the kinds and fields that people ask about, or an empty slice.
struct str openapi_words(struct str type, struct str field);

// Calls `add` with the path items of a kind and its sub-resources; what they hold lives in o->scratch.
typedef void openapi_add_path(void *ctx, struct str path, const struct doc_value *item);
void openapi_index_path(struct openapi *o, const struct api_kind *any, openapi_add_path *add,
                        void *ctx); // the list of resources
void openapi_kind_paths(struct openapi *o, const struct api_kind *kind, openapi_add_path *add,
                        void *ctx);

// gnostic's messages, from the JSON forms of version 2.
void openapi_proto_start(struct buf *out);
void openapi_proto_path(struct buf *out, struct str path, const struct doc_value *item);
void openapi_proto_definition(struct buf *out, struct str name, const struct doc_value *schema);

#endif
