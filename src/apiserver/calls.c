// SPDX-License-Identifier: Apache-2.0
// The public calls of apiserver.h, for users in this process: a request is executed at once and its callback runs in a
// later turn. Nothing is parsed or printed that the verbs themselves do not need.
#include "apiserver/core.h"

void api_request_from_kube(const struct kube_request *from, struct api_request *out) {
    static const enum api_verb verbs[] = {
        [KUBE_GET] = API_VERB_GET,       [KUBE_LIST] = API_VERB_LIST,
        [KUBE_CREATE] = API_VERB_CREATE, [KUBE_UPDATE] = API_VERB_UPDATE,
        [KUBE_PATCH] = API_VERB_PATCH,   [KUBE_DELETE] = API_VERB_DELETE,
    };
    *out = (struct api_request){
        .verb = verbs[from->verb],
        .gvr = from->gvr,
        .ns = from->ns,
        .name = from->name,
        .subresource = from->subresource,
        .body = from->body,
        .patch = from->patch,
        .dry_run = from->dry_run,
        .force = from->force,
        .field_manager = from->field_manager,
        .field_validation = from->field_validation,
        .propagation = from->propagation,
        .precondition_uid = from->precondition_uid,
        .precondition_version = from->precondition_version,
        .grace_seconds = from->grace_seconds,
        .label_selector = from->label_selector,
        .field_selector = from->field_selector,
        .continue_token = from->continue_token,
        .resource_version = from->resource_version,
        .resource_version_match = from->resource_version_match,
        .limit = from->limit,
    };
}

static struct str id_key(const uint64_t *id) {
    return (struct str){(const char *)id, sizeof *id};
}

static void reply_to_call(struct api_op *op) {
    struct apiserver *server = op->server;
    map_remove(server->calls, id_key(&op->id));
    struct err err = {0};
    struct kube_reply reply = {0};
    struct blob *body = NULL;
    if (op->cancelled) {
        err_set(&err, ERR_CANCELLED, "the request was cancelled");
        reply.error = &err;
    } else {
        body = api_op_body(op);
        reply.status = op->status;
        reply.blob = body;
        reply.body = blob_str(body);
        if (op->error.status) {
            err_set(&err, api_error_code(&op->error), "%.*s", STR_ARG(op->error.message));
            reply.error = &err;
            reply.reason = str_from(op->error.reason);
            reply.retry_after_ns = op->error.retry_after_seconds * INT64_C(1000000000);
        }
    }
    op->done(op->ctx, &reply);
    blob_unref(body);
    api_op_destroy(op);
}

static void take_user(struct api_op *op, const struct api_user *user) {
    if (!user) {
        return;
    }
    op->user.name = arena_dup(op->arena, user->name);
    struct str *groups = ARENA_ARRAY(op->arena, user->group_count + 1, struct str);
    for (size_t i = 0; i < user->group_count; i++) {
        groups[i] = arena_dup(op->arena, user->groups[i]);
    }
    op->user.groups = groups;
    op->user.group_count = user->group_count;
}

static struct api_op *start_call(struct apiserver *server, const struct api_user *user,
                                 kube_done *done, void *ctx) {
    struct api_op *op = api_op_create(server, reply_to_call);
    op->id = ++server->last_id;
    op->done = done;
    op->ctx = ctx;
    take_user(op, user);
    map_put(server->calls, id_key(&op->id), op);
    return op;
}

uint64_t apiserver_call(struct apiserver *server, const struct api_user *user,
                        const struct kube_request *request, kube_done *done, void *ctx) {
    struct api_op *op = start_call(server, user, done, ctx);
    api_request_from_kube(request, &op->request);
    uint64_t id = op->id;
    api_op_run(op);
    // The caller's texts are borrowed for the execution only; a parked one has copied them.
    if (!op->parked) {
        op->request = (struct api_request){.verb = op->request.verb};
    }
    return id;
}

uint64_t apiserver_get_raw(struct apiserver *server, struct str path, struct str accept,
                           kube_done *done, void *ctx) {
    struct api_op *op = start_call(server, NULL, done, ctx);
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    struct str type = {NULL, 0};
    op->status = 200;
    if (str_eq(path, STR("/healthz")) || str_eq(path, STR("/livez")) ||
        str_eq(path, STR("/readyz"))) {
        api_op_add_text(op, STR("ok"));
    } else if (api_discovery_get(server->kinds, path, accept, op->arena, &type, &out)) {
        op->content_type = type;
        api_op_add_text(op, buf_str(&out));
    } else {
        api_error_set(&op->error, op->arena, 404, "NotFound",
                      "the server could not find the requested resource");
        api_op_fill_error(op);
    }
    uint64_t id = op->id;
    api_op_ready(op);
    return id;
}

// ---- Watches ----
struct local_watch {
    struct apiserver *server;
    struct kube_watch_handler handler;
    uint64_t id;
    bool cancelled;
};

static void local_event(void *ctx, enum kube_event type, struct blob *object,
                        struct api_event *event) {
    struct local_watch *watch = ctx;
    watch->handler.on_event(watch->handler.ctx, type, blob_str(object), object);
}

static void local_end(void *ctx, const struct api_error *error) {
    struct local_watch *watch = ctx;
    struct err err = {0};
    if (error) {
        err_set(&err, api_error_code(error), "%.*s", STR_ARG(error->message));
    }
    map_remove(watch->server->local_watches, id_key(&watch->id));
    watch->handler.on_end(watch->handler.ctx, error ? &err : NULL);
    free(watch);
}

// A watch that could not start, or was cancelled, ends in a turn of its own.
struct late_end {
    struct loop *loop;
    struct kube_watch_handler handler;
    struct err err;
};

static void end_late(void *ctx) {
    struct late_end *late = ctx;
    late->handler.on_end(late->handler.ctx, &late->err);
    free(late);
}

static void post_end(struct apiserver *server, const struct kube_watch_handler *handler,
                     enum err_code code, struct str message) {
    struct late_end *late = NEW(struct late_end);
    late->handler = *handler;
    err_set(&late->err, code, "%.*s", STR_ARG(message));
    loop_post(server->loop, end_late, late);
}

uint64_t apiserver_watch(struct apiserver *server, const struct api_user *user,
                         const struct kube_watch_request *request,
                         const struct kube_watch_handler *handler) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct api_request parsed = {
        .verb = API_VERB_WATCH,
        .gvr = request->gvr,
        .ns = request->ns,
        .label_selector = request->label_selector,
        .field_selector = request->field_selector,
        .resource_version = request->resource_version,
        .send_initial_events = request->send_initial_events,
        .allow_bookmarks = true,
    };
    struct local_watch *watch = NEW(struct local_watch);
    *watch = (struct local_watch){.server = server, .handler = *handler};
    struct api_watch_sink sink = {.on_event = local_event, .on_end = local_end, .ctx = watch};
    struct api_error error = {0};
    watch->id = api_watch_start(server, arena, &parsed, &sink, &error);
    if (!watch->id) {
        free(watch);
        post_end(server, handler, api_error_code(&error), error.message);
        return ++server->last_id; // cancelling it finds nothing, as after any end
    }
    map_put(server->local_watches, id_key(&watch->id), watch);
    return watch->id;
}

void apiserver_cancel(struct apiserver *server, uint64_t id) {
    struct api_op *op = map_find(server->calls, id_key(&id));
    if (op) {
        api_op_cancel(op);
        return;
    }
    struct local_watch *watch = map_remove(server->local_watches, id_key(&id));
    if (watch && api_watch_stop(server, id)) {
        post_end(server, &watch->handler, ERR_CANCELLED, STR("the watch was cancelled"));
        free(watch);
    }
}

struct blob *apiserver_peek(struct apiserver *server, const struct kube_gvr *gvr, struct str ns,
                            struct str name) {
    const struct api_kind *kind = api_kind_find(server, gvr);
    if (!kind) {
        return NULL;
    }
    struct api_collection *collection =
        api_collection_get(server, kind->storage_group, kind->plural);
    struct api_entry *entry = collection ? api_entry_find(collection, ns, name) : NULL;
    struct blob *stored = entry ? api_entry_durable(entry, NULL) : NULL;
    if (!stored) {
        return NULL;
    }
    struct blob *served = api_serve_text(server, kind, stored);
    blob_unref(stored);
    return served;
}
