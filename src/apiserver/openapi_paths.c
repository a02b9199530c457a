// SPDX-License-Identifier: Apache-2.0
// Operations in OpenAPI documents: for each kind and its sub-resources what can be done, with which parameters. Clients
// look at the group-version-kind of an operation and at the names of its parameters; kubectl, for one, leaves
// validation to the server when PATCH has fieldValidation.
#include "apiserver/openapi.h"

#include <ctype.h>

// ---- Parameters ----

enum parameter {
    P_ALLOW_BOOKMARKS,
    P_COMMAND,
    P_CONTAINER,
    P_CONTINUE,
    P_DRY_RUN,
    P_FIELD_MANAGER,
    P_FIELD_SELECTOR,
    P_FIELD_VALIDATION,
    P_FOLLOW,
    P_FORCE,
    P_GRACE,
    P_IGNORE_ERRORS,
    P_SKIP_TLS,
    P_LABEL_SELECTOR,
    P_LIMIT,
    P_LIMIT_BYTES,
    P_NAME,
    P_NAMESPACE,
    P_ORPHAN,
    P_PATH_PART,
    P_PATH,
    P_PORTS,
    P_PRETTY,
    P_PREVIOUS,
    P_PROPAGATION,
    P_VERSION,
    P_VERSION_MATCH,
    P_INITIAL_EVENTS,
    P_SHARD,
    P_SINCE_SECONDS,
    P_STDERR,
    P_STDIN,
    P_STDOUT,
    P_STREAM,
    P_TAIL_LINES,
    P_TIMEOUT,
    P_TIMESTAMPS,
    P_TTY,
    P_WATCH,
    P_COUNT,
};

// In the order they are listed in, by name.
static const struct {
    const char *name, *type;
    bool in_path;
} parameters[P_COUNT] = {
    [P_ALLOW_BOOKMARKS] = {"allowWatchBookmarks", "boolean", false},
    [P_COMMAND] = {"command", "string", false},
    [P_CONTAINER] = {"container", "string", false},
    [P_CONTINUE] = {"continue", "string", false},
    [P_DRY_RUN] = {"dryRun", "string", false},
    [P_FIELD_MANAGER] = {"fieldManager", "string", false},
    [P_FIELD_SELECTOR] = {"fieldSelector", "string", false},
    [P_FIELD_VALIDATION] = {"fieldValidation", "string", false},
    [P_FOLLOW] = {"follow", "boolean", false},
    [P_FORCE] = {"force", "boolean", false},
    [P_GRACE] = {"gracePeriodSeconds", "integer", false},
    [P_IGNORE_ERRORS] = {"ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", false},
    [P_SKIP_TLS] = {"insecureSkipTLSVerifyBackend", "boolean", false},
    [P_LABEL_SELECTOR] = {"labelSelector", "string", false},
    [P_LIMIT] = {"limit", "integer", false},
    [P_LIMIT_BYTES] = {"limitBytes", "integer", false},
    [P_NAME] = {"name", "string", true},
    [P_NAMESPACE] = {"namespace", "string", true},
    [P_ORPHAN] = {"orphanDependents", "boolean", false},
    [P_PATH_PART] = {"path", "string", true},
    [P_PATH] = {"path", "string", false},
    [P_PORTS] = {"ports", "integer", false},
    [P_PRETTY] = {"pretty", "string", false},
    [P_PREVIOUS] = {"previous", "boolean", false},
    [P_PROPAGATION] = {"propagationPolicy", "string", false},
    [P_VERSION] = {"resourceVersion", "string", false},
    [P_VERSION_MATCH] = {"resourceVersionMatch", "string", false},
    [P_INITIAL_EVENTS] = {"sendInitialEvents", "boolean", false},
    [P_SHARD] = {"shardSelector", "string", false},
    [P_SINCE_SECONDS] = {"sinceSeconds", "integer", false},
    [P_STDERR] = {"stderr", "boolean", false},
    [P_STDIN] = {"stdin", "boolean", false},
    [P_STDOUT] = {"stdout", "boolean", false},
    [P_STREAM] = {"stream", "string", false},
    [P_TAIL_LINES] = {"tailLines", "integer", false},
    [P_TIMEOUT] = {"timeoutSeconds", "integer", false},
    [P_TIMESTAMPS] = {"timestamps", "boolean", false},
    [P_TTY] = {"tty", "boolean", false},
    [P_WATCH] = {"watch", "boolean", false},
};

#define BIT(p) (1ULL << (p))
static const uint64_t list_parameters =
    BIT(P_ALLOW_BOOKMARKS) | BIT(P_CONTINUE) | BIT(P_FIELD_SELECTOR) | BIT(P_LABEL_SELECTOR) |
    BIT(P_LIMIT) | BIT(P_VERSION) | BIT(P_VERSION_MATCH) | BIT(P_INITIAL_EVENTS) | BIT(P_SHARD) |
    BIT(P_TIMEOUT) | BIT(P_WATCH);
static const uint64_t write_parameters =
    BIT(P_DRY_RUN) | BIT(P_FIELD_MANAGER) | BIT(P_FIELD_VALIDATION);
static const uint64_t delete_parameters =
    BIT(P_DRY_RUN) | BIT(P_GRACE) | BIT(P_IGNORE_ERRORS) | BIT(P_ORPHAN) | BIT(P_PROPAGATION);
static const uint64_t delete_list_parameters =
    BIT(P_CONTINUE) | BIT(P_FIELD_SELECTOR) | BIT(P_LABEL_SELECTOR) | BIT(P_LIMIT) |
    BIT(P_VERSION) | BIT(P_VERSION_MATCH) | BIT(P_INITIAL_EVENTS) | BIT(P_SHARD) | BIT(P_TIMEOUT);
static const uint64_t stream_parameters =
    BIT(P_CONTAINER) | BIT(P_STDERR) | BIT(P_STDIN) | BIT(P_STDOUT) | BIT(P_TTY);
static const uint64_t log_parameters =
    BIT(P_CONTAINER) | BIT(P_FOLLOW) | BIT(P_SKIP_TLS) | BIT(P_LIMIT_BYTES) | BIT(P_PRETTY) |
    BIT(P_PREVIOUS) | BIT(P_SINCE_SECONDS) | BIT(P_STREAM) | BIT(P_TAIL_LINES) | BIT(P_TIMESTAMPS);

static void add_parameters(struct openapi *o, uint64_t set, struct doc_array *list) {
    for (size_t i = 0; i < P_COUNT; i++) {
        if (!(set & BIT(i))) {
            continue;
        }
        struct doc_object out = doc_object_start(o->scratch);
        struct doc_object schema = doc_object_start(o->scratch);
        struct doc_object *typed = o->v3 ? &schema : &out;
        doc_object_set_c(&out, "name", doc_make_str(str_from(parameters[i].name)));
        doc_object_set_c(&out, "in", parameters[i].in_path ? DOC_S("path") : DOC_S("query"));
        if (parameters[i].in_path) {
            doc_object_set_c(&out, "required", doc_make_bool(true));
        }
        doc_object_set_c(typed, "type", doc_make_str(str_from(parameters[i].type)));
        doc_object_set_c(typed, "uniqueItems", doc_make_bool(true));
        if (o->v3) {
            doc_object_set_c(&out, "schema", doc_object_done(&schema));
        }
        doc_array_add(list, doc_object_done(&out));
    }
}

// ---- Operations ----

struct operation {
    const char *method; // "get"
    const char *action; // "list"; NULL: the method
    const char *id;     // "list": the first word of the operation's id
    const char *codes;  // of the replies with the result: "200 201"
    uint64_t parameters;
    struct doc_value result; // reference, or null: text
    struct doc_value body;   // reference, or null: none
    bool body_optional, patch;
};

struct item { // the operations of one path
    const struct api_kind *kind;
    struct doc_value gvk;
    struct str suffix; // of ids: "NamespacedPodEphemeralcontainers"
    uint64_t path_parameters;
    struct operation operations[8];
    size_t count;
};

static struct str title(struct arena *arena, struct str s) {
    char *copy = arena_cstr(arena, s);
    copy[0] = s.n ? (char)toupper((unsigned char)copy[0]) : copy[0];
    return (struct str){copy, s.n};
}

// "AppsV1", "CoreV1", "RbacAuthorizationV1"; as a tag "apps_v1", "rbacAuthorization_v1".
static struct str group_title(struct arena *arena, const struct api_kind *kind, bool tag) {
    struct str rest = kind->group.n ? kind->group : STR("core"), part, out = STR("");
    if (str_ends(rest, STR(".k8s.io"))) {
        rest.n -= strlen(".k8s.io");
    }
    while (str_next(&rest, '.', &part)) {
        out = arena_concat(arena, out, tag && !out.n ? part : title(arena, part));
    }
    return tag ? arena_printf(arena, "%.*s_%.*s", STR_ARG(out), STR_ARG(kind->version))
               : arena_concat(arena, out, title(arena, kind->version));
}

static struct doc_value strings(struct openapi *o, const char *words) {
    struct doc_array list = doc_array_start(o->scratch);
    struct str rest = str_from(words), word;
    while (str_next(&rest, ' ', &word)) {
        doc_array_add(&list, doc_make_str(word));
    }
    return doc_array_done(&list);
}

static const char *patch_types(const struct item *item) {
    return item->kind->custom ? "application/apply-patch+yaml application/json-patch+json "
                                "application/merge-patch+json"
                              : "application/apply-patch+yaml application/json-patch+json "
                                "application/merge-patch+json "
                                "application/strategic-merge-patch+json";
}

// {"application/json": {"schema": ...}, ...}
static struct doc_value content(struct openapi *o, const char *types, struct doc_value schema) {
    struct doc_object out = doc_object_start(o->scratch);
    struct str rest = str_from(types), type;
    while (str_next(&rest, ' ', &type)) {
        struct doc_object media = doc_object_start(o->scratch);
        doc_object_set_c(&media, "schema", schema);
        doc_object_set(&out, type, doc_object_done(&media));
    }
    return doc_object_done(&out);
}

static struct doc_value text_schema(struct openapi *o) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "type", DOC_S("string"));
    return doc_object_done(&out);
}

static const char *reply_types(const struct operation *op) {
    return doc_is_null(&op->result)        ? "*/*"
           : str_eq_c(STR("list"), op->id) ? "application/json application/json;stream=watch"
                                           : "application/json";
}

static struct doc_value responses(struct openapi *o, const struct operation *op) {
    struct doc_object out = doc_object_start(o->scratch);
    struct doc_value schema = doc_is_null(&op->result) ? text_schema(o) : op->result;
    struct str rest = str_from(op->codes), code;
    while (str_next(&rest, ' ', &code)) {
        struct doc_object reply = doc_object_start(o->scratch);
        doc_object_set_c(&reply, "description",
                         str_eq(code, STR("201"))   ? DOC_S("Created")
                         : str_eq(code, STR("202")) ? DOC_S("Accepted")
                                                    : DOC_S("OK"));
        if (o->v3) {
            doc_object_set_c(&reply, "content", content(o, reply_types(op), schema));
        } else {
            doc_object_set_c(&reply, "schema", schema);
        }
        doc_object_set(&out, code, doc_object_done(&reply));
    }
    struct doc_object unauthorized = doc_object_start(o->scratch);
    doc_object_set_c(&unauthorized, "description", DOC_S("Unauthorized"));
    doc_object_set_c(&out, "401", doc_object_done(&unauthorized));
    return doc_object_done(&out);
}

static struct doc_value body_parameter(struct openapi *o, const struct operation *op) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "name", DOC_S("body"));
    doc_object_set_c(&out, "in", DOC_S("body"));
    if (!op->body_optional) {
        doc_object_set_c(&out, "required", doc_make_bool(true));
    }
    doc_object_set_c(&out, "schema", op->body);
    return doc_object_done(&out);
}

static struct doc_value request_body(struct openapi *o, const struct item *item,
                                     const struct operation *op) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "content",
                     content(o,
                             op->patch            ? patch_types(item)
                             : item->kind->custom ? "application/json application/yaml"
                                                  : "*/*",
                             op->body));
    if (!op->body_optional) {
        doc_object_set_c(&out, "required", doc_make_bool(true));
    }
    return doc_object_done(&out);
}

static struct doc_value operation_value(struct openapi *o, const struct item *item,
                                        const struct operation *op, uint64_t shared) {
    struct doc_object out = doc_object_start(o->scratch);
    struct doc_array tags = doc_array_start(o->scratch), list = doc_array_start(o->scratch);
    doc_array_add(&tags, doc_make_str(group_title(o->scratch, item->kind, true)));
    doc_object_set_c(&out, "tags", doc_array_done(&tags));
    if (!o->v3) {
        doc_object_set_c(&out, "consumes", strings(o, op->patch ? patch_types(item) : "*/*"));
        doc_object_set_c(&out, "produces", strings(o, reply_types(op)));
        doc_object_set_c(&out, "schemes", strings(o, "https"));
    }
    // connectCoreV1GetNamespacedPodExec, deleteAppsV1CollectionNamespacedDeployment
    bool connect = op->action && str_eq_c(STR("connect"), op->action);
    bool collection = op->action && str_eq_c(STR("deletecollection"), op->action);
    struct str inner = connect      ? title(o->scratch, str_from(op->method))
                       : collection ? STR("Collection")
                                    : STR("");
    doc_object_set_c(&out, "operationId",
                     doc_make_str(arena_printf(o->scratch, "%s%.*s%.*s%.*s", op->id,
                                               STR_ARG(group_title(o->scratch, item->kind, false)),
                                               STR_ARG(inner), STR_ARG(item->suffix))));
    if (!o->v3 && !doc_is_null(&op->body)) {
        doc_array_add(&list, body_parameter(o, op));
    }
    add_parameters(o, op->parameters & ~shared, &list);
    if (list.len) {
        doc_object_set_c(&out, "parameters", doc_array_done(&list));
    }
    if (o->v3 && !doc_is_null(&op->body)) {
        doc_object_set_c(&out, "requestBody", request_body(o, item, op));
    }
    doc_object_set_c(&out, "responses", responses(o, op));
    if (!doc_is_null(&item->gvk)) {
        doc_object_set_c(&out, "x-kubernetes-action",
                         doc_make_str(str_from(op->action ? op->action : op->method)));
        doc_object_set_c(&out, "x-kubernetes-group-version-kind", item->gvk);
    }
    return doc_object_done(&out);
}

// What all operations of a path have stands beside them.
static struct doc_value item_value(struct openapi *o, const struct item *item) {
    struct doc_object out = doc_object_start(o->scratch);
    struct doc_array list = doc_array_start(o->scratch);
    uint64_t shared = ~0ULL;
    for (size_t i = 0; i < item->count; i++) {
        shared &= item->operations[i].parameters;
    }
    for (size_t i = 0; i < item->count; i++) {
        doc_object_set_c(&out, item->operations[i].method,
                         operation_value(o, item, &item->operations[i], shared));
    }
    add_parameters(o, shared | item->path_parameters, &list);
    if (list.len) {
        doc_object_set_c(&out, "parameters", doc_array_done(&list));
    }
    return doc_object_done(&out);
}

// ---- Paths of a kind ----

static struct operation *add(struct item *item, const char *method, const char *id,
                             const char *codes, uint64_t set) {
    struct operation *op = &item->operations[item->count++];
    *op = (struct operation){.method = method, .id = id, .codes = codes, .parameters = set};
    return op;
}

static void add_get(struct item *item, struct doc_value result) {
    add(item, "get", "read", "200", item->kind->custom ? BIT(P_VERSION) : 0)->result = result;
}

static void add_put(struct item *item, struct doc_value object) {
    struct operation *op = add(item, "put", "replace", "200 201", write_parameters);
    op->result = op->body = object;
}

static void add_patch(struct openapi *o, struct item *item, struct doc_value object) {
    struct operation *op = add(item, "patch", "patch", "200 201", write_parameters | BIT(P_FORCE));
    op->result = object;
    op->body = openapi_meta_ref(o, "Patch");
    op->patch = true;
}

static void add_post(struct item *item, struct doc_value object) {
    struct operation *op = add(item, "post", "create", "200 201 202", write_parameters);
    op->result = op->body = object;
}

static struct str base_path(struct arena *arena, const struct api_kind *kind, bool one_ns) {
    const char *ns = one_ns ? "namespaces/{namespace}/" : "";
    return kind->group.n ? arena_printf(arena, "/apis/%.*s/%.*s/%s%.*s", STR_ARG(kind->group),
                                        STR_ARG(kind->version), ns, STR_ARG(kind->plural))
                         : arena_printf(arena, "/api/%.*s/%s%.*s", STR_ARG(kind->version), ns,
                                        STR_ARG(kind->plural));
}

static struct item item_start(struct openapi *o, const struct api_kind *kind) {
    return (struct item){
        .kind = kind,
        .gvk = openapi_gvk(o, kind),
        .suffix = arena_printf(o->scratch, "%s%.*s", kind->namespaced ? "Namespaced" : "",
                               STR_ARG(kind->kind)),
        .path_parameters = BIT(P_PRETTY) | (kind->namespaced ? BIT(P_NAMESPACE) : 0)};
}

static void emit(struct openapi *o, const struct item *item, struct str path,
                 openapi_add_path *add_path, void *ctx) {
    struct doc_value value = item_value(o, item);
    add_path(ctx, path, &value);
}

static void collection_path(struct openapi *o, const struct api_kind *kind,
                            openapi_add_path *add_path, void *ctx) {
    struct item item = item_start(o, kind);
    if (!kind->no_store) {
        struct operation *op = add(&item, "get", "list", "200", list_parameters);
        op->action = "list";
        op->result = openapi_list_ref(o, kind);
    }
    if (!kind->read_only) {
        add_post(&item, openapi_kind_ref(o, kind));
    }
    if (!kind->no_store && !kind->read_only && !kind->no_collection_delete) {
        struct operation *op =
            add(&item, "delete", "delete", "200", delete_parameters | delete_list_parameters);
        op->action = "deletecollection";
        op->result = openapi_meta_ref(o, "Status");
        op->body = openapi_meta_ref(o, "DeleteOptions");
        op->body_optional = true;
    }
    emit(o, &item, base_path(o->scratch, kind, kind->namespaced), add_path, ctx);
    if (kind->namespaced && !kind->no_store) {
        item = item_start(o, kind);
        item.path_parameters = BIT(P_PRETTY);
        item.suffix = arena_printf(o->scratch, "%.*sForAllNamespaces", STR_ARG(kind->kind));
        struct operation *op = add(&item, "get", "list", "200", list_parameters);
        op->action = "list";
        op->result = openapi_list_ref(o, kind);
        emit(o, &item, base_path(o->scratch, kind, false), add_path, ctx);
    }
}

static void object_path(struct openapi *o, const struct api_kind *kind, struct str path,
                        openapi_add_path *add_path, void *ctx) {
    struct item item = item_start(o, kind);
    item.path_parameters |= BIT(P_NAME);
    struct doc_value object = openapi_kind_ref(o, kind);
    add_get(&item, object);
    if (!kind->read_only) {
        add_put(&item, object);
        struct operation *op = add(&item, "delete", "delete", "200 202", delete_parameters);
        op->result = kind->returns_deleted ? object : openapi_meta_ref(o, "Status");
        op->body = openapi_meta_ref(o, "DeleteOptions");
        op->body_optional = true;
        add_patch(o, &item, object);
    }
    emit(o, &item, path, add_path, ctx);
}

static uint64_t connect_parameters(struct str name) {
    return str_eq(name, STR("exec"))          ? stream_parameters | BIT(P_COMMAND)
           : str_eq(name, STR("attach"))      ? stream_parameters
           : str_eq(name, STR("portforward")) ? BIT(P_PORTS)
                                              : BIT(P_PATH);
}

static void connect_path(struct openapi *o, struct item *item, const struct api_part *part,
                         struct str path, openapi_add_path *add_path, void *ctx) {
    static const char *const methods[] = {"get",     "put",  "post", "delete",
                                          "options", "head", "patch"};
    bool proxy = str_eq(part->name, STR("proxy"));
    item->path_parameters &= ~BIT(P_PRETTY);
    item->path_parameters |= connect_parameters(part->name);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (proxy || str_eq_c(STR("get"), methods[i]) || str_eq_c(STR("post"), methods[i])) {
            add(item, methods[i], "connect", "200", 0)->action = "connect";
        }
    }
    emit(o, item, path, add_path, ctx);
    if (proxy) {
        item->path_parameters |= BIT(P_PATH_PART);
        item->suffix = arena_concat(o->scratch, item->suffix, STR("WithPath"));
        emit(o, item, arena_concat(o->scratch, path, STR("/{path}")), add_path, ctx);
    }
}

static void part_path(struct openapi *o, const struct api_kind *kind, const struct api_part *part,
                      struct str object_path, openapi_add_path *add_path, void *ctx) {
    struct str path =
        arena_printf(o->scratch, "%.*s/%.*s", STR_ARG(object_path), STR_ARG(part->name));
    struct item item = item_start(o, kind);
    item.path_parameters |= BIT(P_NAME);
    item.suffix = arena_concat(o->scratch, item.suffix, title(o->scratch, part->name));
    struct api_kind body = {.group = part->own ? kind->group : part->group,
                            .version = part->own ? kind->version : part->version,
                            .kind = part->kind};
    if (!kind->custom) {
        item.gvk = openapi_gvk(o, &body);
    }
    if (str_ends(part->kind, STR("Options"))) {
        connect_path(o, &item, part, path, add_path, ctx);
        return;
    }
    if (str_eq(part->name, STR("log"))) {
        item.path_parameters |= log_parameters;
        add(&item, "get", "read", "200", 0);
        emit(o, &item, path, add_path, ctx);
        return;
    }
    struct doc_value object = str_eq(part->kind, kind->kind)
                                  ? openapi_kind_ref(o, kind)
                                  : openapi_body_ref(o, body.group, body.version, body.kind);
    struct str rest = str_from(part->verbs), verb;
    while (str_next(&rest, ' ', &verb)) {
        if (str_eq(verb, STR("get"))) {
            add_get(&item, object);
        } else if (str_eq(verb, STR("update"))) {
            add_put(&item, object);
        } else if (str_eq(verb, STR("patch"))) {
            add_patch(o, &item, object);
        } else if (str_eq(verb, STR("create"))) {
            add_post(&item, object);
        }
    }
    emit(o, &item, path, add_path, ctx);
}

void openapi_index_path(struct openapi *o, const struct api_kind *any, openapi_add_path *add_path,
                        void *ctx) {
    struct item item = {.kind = any, .suffix = STR("APIResources")};
    struct operation *op = add(&item, "get", "get", "200", 0);
    op->result = openapi_meta_ref(o, "APIResourceList");
    emit(o, &item,
         any->group.n ? arena_printf(o->scratch, "/apis/%.*s/%.*s/", STR_ARG(any->group),
                                     STR_ARG(any->version))
                      : arena_printf(o->scratch, "/api/%.*s/", STR_ARG(any->version)),
         add_path, ctx);
}

void openapi_kind_paths(struct openapi *o, const struct api_kind *kind, openapi_add_path *add_path,
                        void *ctx) {
    collection_path(o, kind, add_path, ctx);
    if (kind->no_store) {
        return;
    }
    struct str path =
        arena_concat(o->scratch, base_path(o->scratch, kind, kind->namespaced), STR("/{name}"));
    object_path(o, kind, path, add_path, ctx);
    struct api_part parts[API_PARTS_MAX];
    size_t count = api_kind_parts(o->scratch, kind, parts);
    for (size_t i = 0; i < count; i++) {
        part_path(o, kind, &parts[i], path, add_path, ctx);
    }
}
