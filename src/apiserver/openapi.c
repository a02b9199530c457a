// SPDX-License-Identifier: Apache-2.0
// OpenAPI documents, as thin as clients accept: each kind has its operations with the query parameters that kubectl
// looks for (fieldValidation, dryRun), so that it leaves validation to the server. Shapes are known for custom kinds
// only; the others say "any object".
#include "apiserver/openapi.h"

#include "apiserver/kinds_internal.h"

static struct doc_value gvk_value(struct arena *arena, const struct api_kind *kind) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "group", doc_make_str(kind->group));
    doc_object_set_c(&out, "kind", doc_make_str(kind->kind));
    doc_object_set_c(&out, "version", doc_make_str(kind->version));
    return doc_object_done(&out);
}

// "io.skiff.apps.v1.Deployment": any unique name serves, clients follow the group-version-kind extension.
static struct str schema_name(struct arena *arena, const struct api_kind *kind) {
    return arena_printf(arena, "%.*s.%.*s.%.*s", STR_ARG(kind->group.n ? kind->group : STR("core")),
                        STR_ARG(kind->version), STR_ARG(kind->kind));
}

static struct doc_value parameter(struct arena *arena, const char *name, const char *place,
                                  const char *type, bool v3) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "name", doc_make_str(str_from(name)));
    doc_object_set_c(&out, "in", doc_make_str(str_from(place)));
    if (str_eq_c(str_from(place), "path")) {
        doc_object_set_c(&out, "required", doc_make_bool(true));
    }
    if (v3) {
        struct doc_object schema = doc_object_start(arena);
        doc_object_set_c(&schema, "type", doc_make_str(str_from(type)));
        doc_object_set_c(&out, "schema", doc_object_done(&schema));
    } else {
        doc_object_set_c(&out, "type", doc_make_str(str_from(type)));
    }
    return doc_object_done(&out);
}

static struct doc_value parameters(struct arena *arena, bool writes, bool v3) {
    static const char *const names[] = {"dryRun", "fieldManager", "fieldValidation", "force"};
    struct doc_array list = doc_array_start(arena);
    for (size_t i = 0; writes && i < ARRAY_LEN(names); i++) {
        const char *type = str_eq_c(STR("force"), names[i]) ? "boolean" : "string";
        doc_array_add(&list, parameter(arena, names[i], "query", type, v3));
    }
    return doc_array_done(&list);
}

static struct doc_value reference(struct arena *arena, const struct api_kind *kind, bool v3) {
    struct str name = schema_name(arena, kind);
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(
        &out, "$ref",
        doc_make_str(arena_printf(arena, "#/%s/%.*s", v3 ? "components/schemas" : "definitions",
                                  STR_ARG(name))));
    return doc_object_done(&out);
}

static struct doc_value responses(struct arena *arena, const struct api_kind *kind, bool v3) {
    struct doc_object ok = doc_object_start(arena), out = doc_object_start(arena);
    doc_object_set_c(&ok, "description", DOC_S("OK"));
    if (v3) {
        struct doc_object media = doc_object_start(arena), content = doc_object_start(arena);
        doc_object_set_c(&media, "schema", reference(arena, kind, true));
        doc_object_set_c(&content, "application/json", doc_object_done(&media));
        doc_object_set_c(&ok, "content", doc_object_done(&content));
    } else {
        doc_object_set_c(&ok, "schema", reference(arena, kind, false));
    }
    doc_object_set_c(&out, "200", doc_object_done(&ok));
    return doc_object_done(&out);
}

// kubectl takes the patch metadata of built-in kinds from here when strategic merge is announced; it has better ones
// compiled in, so only the other types are.
static struct doc_value request_body(struct arena *arena, const struct api_kind *kind,
                                     const char *action) {
    static const char *const patches[] = {"application/json-patch+json",
                                          "application/merge-patch+json"};
    bool patch = str_eq_c(STR("patch"), action);
    struct doc_object content = doc_object_start(arena), out = doc_object_start(arena);
    for (size_t i = 0; i < (patch ? ARRAY_LEN(patches) : 1); i++) {
        struct doc_object media = doc_object_start(arena), any = doc_object_start(arena);
        doc_object_set_c(&any, "type", DOC_S("object"));
        doc_object_set_c(&media, "schema",
                         patch ? doc_object_done(&any) : reference(arena, kind, true));
        doc_object_set_c(&content, patch ? patches[i] : "application/json",
                         doc_object_done(&media));
    }
    doc_object_set_c(&out, "content", doc_object_done(&content));
    return doc_object_done(&out);
}

static struct doc_value operation(struct arena *arena, const struct api_kind *kind,
                                  const char *method, const char *action, bool v3) {
    bool writes = !str_eq_c(STR("get"), method);
    bool has_body = writes && !str_eq_c(STR("delete"), method);
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(
        &out, "operationId",
        doc_make_str(arena_printf(arena, "%s-%.*s-%.*s-%.*s", action, STR_ARG(kind->group),
                                  STR_ARG(kind->version), STR_ARG(kind->plural))));
    doc_object_set_c(&out, "parameters", parameters(arena, writes, v3));
    if (has_body && v3) {
        doc_object_set_c(&out, "requestBody", request_body(arena, kind, action));
    }
    doc_object_set_c(&out, "responses", responses(arena, kind, v3));
    doc_object_set_c(&out, "x-kubernetes-action", doc_make_str(str_from(action)));
    doc_object_set_c(&out, "x-kubernetes-group-version-kind", gvk_value(arena, kind));
    return doc_object_done(&out);
}

static struct str base_path(struct arena *arena, const struct api_kind *kind) {
    const char *ns = kind->namespaced ? "namespaces/{namespace}/" : "";
    return kind->group.n ? arena_printf(arena, "/apis/%.*s/%.*s/%s%.*s", STR_ARG(kind->group),
                                        STR_ARG(kind->version), ns, STR_ARG(kind->plural))
                         : arena_printf(arena, "/api/%.*s/%s%.*s", STR_ARG(kind->version), ns,
                                        STR_ARG(kind->plural));
}

static void add_paths(struct arena *arena, const struct api_kind *kind, bool v3,
                      struct doc_object *paths) {
    struct str base = base_path(arena, kind);
    struct doc_array shared = doc_array_start(arena), named = doc_array_start(arena);
    if (kind->namespaced) {
        doc_array_add(&shared, parameter(arena, "namespace", "path", "string", v3));
        doc_array_add(&named, parameter(arena, "namespace", "path", "string", v3));
    }
    doc_array_add(&named, parameter(arena, "name", "path", "string", v3));

    struct doc_object collection = doc_object_start(arena), one = doc_object_start(arena);
    if (!kind->no_store) {
        doc_object_set_c(&collection, "get", operation(arena, kind, "get", "list", v3));
    }
    if (!kind->read_only) {
        doc_object_set_c(&collection, "post", operation(arena, kind, "post", "post", v3));
    }
    doc_object_set_c(&collection, "parameters", doc_array_done(&shared));
    doc_object_set(paths, base, doc_object_done(&collection));
    if (kind->no_store) {
        return;
    }
    doc_object_set_c(&one, "get", operation(arena, kind, "get", "get", v3));
    if (!kind->read_only) {
        doc_object_set_c(&one, "put", operation(arena, kind, "put", "put", v3));
        doc_object_set_c(&one, "patch", operation(arena, kind, "patch", "patch", v3));
        doc_object_set_c(&one, "delete", operation(arena, kind, "delete", "delete", v3));
    }
    doc_object_set_c(&one, "parameters", doc_array_done(&named));
    doc_object_set(paths, arena_concat(arena, base, STR("/{name}")), doc_object_done(&one));
}

static struct doc_value kind_schema(struct arena *arena, const struct api_kinds *kinds,
                                    const struct api_kind *kind) {
    const struct doc_value *known = kind->custom ? crd_kind_schema(kinds, kind) : NULL;
    struct doc_object out =
        doc_is(known, DOC_OBJECT) ? doc_object_copy(arena, known) : doc_object_start(arena);
    doc_object_set_c(&out, "type", DOC_S("object"));
    if (!known) {
        doc_object_set_c(&out, "x-kubernetes-preserve-unknown-fields", doc_make_bool(true));
    }
    struct doc_object string = doc_object_start(arena), object = doc_object_start(arena);
    doc_object_set_c(&string, "type", DOC_S("string"));
    doc_object_set_c(&object, "type", DOC_S("object"));
    const struct doc_value *before = doc_get(known, "properties");
    struct doc_object properties =
        doc_is(before, DOC_OBJECT) ? doc_object_copy(arena, before) : doc_object_start(arena);
    doc_object_set_c(&properties, "apiVersion", doc_object_done(&string));
    doc_object_set_c(&properties, "kind", doc_object_done(&string));
    doc_object_set_c(&properties, "metadata", doc_object_done(&object));
    doc_object_set_c(&out, "properties", doc_object_done(&properties));
    struct doc_array gvks = doc_array_start(arena);
    doc_array_add(&gvks, gvk_value(arena, kind));
    doc_object_set_c(&out, "x-kubernetes-group-version-kind", doc_array_done(&gvks));
    return doc_object_done(&out);
}

static struct doc_value info_value(struct arena *arena) {
    struct doc_object info = doc_object_start(arena);
    doc_object_set_c(&info, "title", DOC_S("Kubernetes"));
    doc_object_set_c(&info, "version", DOC_S("v1.36.3"));
    return doc_object_done(&info);
}

static bool document(const struct api_kinds *kinds, struct str group, struct str version, bool v3,
                     bool all, struct arena *arena, struct doc_value *value) {
    struct doc_object paths = doc_object_start(arena), schemas = doc_object_start(arena);
    const struct api_kind *kind;
    bool any = false;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (all || (str_eq(kind->group, group) && str_eq(kind->version, version))) {
            any = true;
            add_paths(arena, kind, v3, &paths);
            doc_object_set(&schemas, schema_name(arena, kind), kind_schema(arena, kinds, kind));
        }
    }
    if (!any) {
        return false;
    }
    struct doc_object out = doc_object_start(arena), components = doc_object_start(arena);
    doc_object_set_c(&out, v3 ? "openapi" : "swagger", v3 ? DOC_S("3.0.0") : DOC_S("2.0"));
    doc_object_set_c(&out, "info", info_value(arena));
    doc_object_set_c(&out, "paths", doc_object_done(&paths));
    if (v3) {
        doc_object_set_c(&components, "schemas", doc_object_done(&schemas));
        doc_object_set_c(&out, "components", doc_object_done(&components));
    } else {
        doc_object_set_c(&out, "definitions", doc_object_done(&schemas));
    }
    *value = doc_object_done(&out);
    return true;
}

// The hash lets clients keep a document for ever; it covers all of it through doc_hash.
static struct doc_value index_value(const struct api_kinds *kinds, struct arena *arena) {
    struct doc_object paths = doc_object_start(arena);
    const struct api_kind *kind, *last = NULL;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (last && str_eq(last->group, kind->group) && str_eq(last->version, kind->version)) {
            continue;
        }
        last = kind;
        struct str key = kind->group.n ? arena_printf(arena, "apis/%.*s/%.*s", STR_ARG(kind->group),
                                                      STR_ARG(kind->version))
                                       : arena_printf(arena, "api/%.*s", STR_ARG(kind->version));
        struct doc_value content;
        if (!document(kinds, kind->group, kind->version, true, false, arena, &content)) {
            continue;
        }
        struct doc_object entry = doc_object_start(arena);
        doc_object_set_c(
            &entry, "serverRelativeURL",
            doc_make_str(arena_printf(arena, "/openapi/v3/%.*s?hash=%016llX", STR_ARG(key),
                                      (unsigned long long)doc_hash(&content))));
        doc_object_set(&paths, key, doc_object_done(&entry));
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "paths", doc_object_done(&paths));
    return doc_object_done(&out);
}

bool api_openapi_get(const struct api_kinds *kinds, struct str path, struct str accept,
                     struct arena *arena, struct str *content_type, struct buf *out) {
    struct str rest = str_skip(path, strlen("/openapi/"));
    struct doc_value value;
    *content_type = STR("application/json");
    if (str_eq(rest, STR("v2"))) {
        return document(kinds, STR(""), STR(""), false, true, arena, &value) &&
               doc_print_json(&value, out);
    }
    if (str_eq(rest, STR("v3"))) {
        value = index_value(kinds, arena);
        return doc_print_json(&value, out);
    }
    struct str group = STR(""), version;
    if (str_starts(rest, STR("v3/apis/"))) {
        if (!str_cut(str_skip(rest, strlen("v3/apis/")), '/', &group, &version)) {
            return false;
        }
    } else if (str_starts(rest, STR("v3/api/"))) {
        version = str_skip(rest, strlen("v3/api/"));
    } else {
        return false;
    }
    return document(kinds, group, version, true, false, arena, &value) &&
           doc_print_json(&value, out);
}
