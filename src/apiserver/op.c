// SPDX-License-Identifier: Apache-2.0
// One request under way: executed in the turn in which it comes, answered in a later one, after the commit of what it
// changed.
#include "apiserver/core.h"

#include <stdio.h>

struct api_op *api_op_create(struct apiserver *server, void (*finish)(struct api_op *op)) {
    struct arena *arena = arena_create();
    struct api_op *op = ARENA_NEW(arena, struct api_op);
    op->arena = arena;
    op->server = server;
    op->finish = finish;
    op->request.grace_seconds = -1;
    return op;
}

static void drop_parts(struct api_op *op) {
    for (size_t i = 0; i < op->part_count; i++) {
        blob_unref(op->parts[i]);
    }
    op->part_count = 0;
}

void api_op_destroy(struct api_op *op) {
    drop_parts(op);
    api_park_destroy(op);
    arena_destroy(op->arena);
}

void api_op_add(struct api_op *op, struct blob *part) {
    if (op->part_count == op->part_cap) {
        size_t cap = op->part_cap ? op->part_cap * 2 : 4;
        op->parts = arena_grow(op->arena, op->parts, op->part_cap * sizeof(struct blob *),
                               cap * sizeof(struct blob *));
        op->part_cap = cap;
    }
    op->parts[op->part_count++] = part;
}

void api_op_add_text(struct api_op *op, struct str text) {
    api_op_add(op, blob_create(text));
}

void api_op_warn(struct api_op *op, struct str text) {
    op->warnings = arena_grow(op->arena, op->warnings, op->warning_count * sizeof(struct str),
                              (op->warning_count + 1) * sizeof(struct str));
    op->warnings[op->warning_count++] = text;
}

struct blob *api_op_body(struct api_op *op) {
    if (op->part_count == 1) {
        return blob_ref(op->parts[0]);
    }
    size_t total = 0;
    for (size_t i = 0; i < op->part_count; i++) {
        total += op->parts[i]->len;
    }
    struct blob *body = blob_alloc(total);
    size_t at = 0;
    for (size_t i = 0; i < op->part_count; i++) {
        memcpy(body->data + at, op->parts[i]->data, op->parts[i]->len);
        at += op->parts[i]->len;
    }
    return body;
}

void api_op_fill_error(struct api_op *op) {
    drop_parts(op);
    if ((op->error.status == 404 || op->error.status == 405 || op->error.status == 406) &&
        doc_is_null(&op->error.details)) { // as a real server has it
        op->error.details = doc_object_done(&(struct doc_object){.arena = op->arena});
    }
    struct doc_value status = api_error_status(op->arena, &op->error);
    if (op->error.status == 410 && op->request.continue_token.n) { // how to go on all the same
        status = doc_with(op->arena, &status, doc_make_str(op->request.continue_token), "metadata",
                          "continue");
    }
    api_op_add_text(op, doc_to_json(op->arena, &status));
    op->status = op->error.status;
    op->content_type = (struct str){NULL, 0};
}

enum err_code api_error_code(const struct api_error *error) {
    static const struct {
        const char *reason;
        enum err_code code;
    } table[] = {
        {"NotFound", ERR_NOT_FOUND},
        {"AlreadyExists", ERR_EXISTS},
        {"Conflict", ERR_CONFLICT},
        {"Invalid", ERR_INVALID},
        {"BadRequest", ERR_INVALID},
        {"Forbidden", ERR_FORBIDDEN},
        {"Unauthorized", ERR_UNAUTHORIZED},
        {"Expired", ERR_GONE},
        {"Gone", ERR_GONE},
        {"TooManyRequests", ERR_UNAVAILABLE},
        {"ServiceUnavailable", ERR_UNAVAILABLE},
        {"InsufficientStorage", ERR_UNAVAILABLE},
        {"Timeout", ERR_TIMEOUT},
        {"RequestEntityTooLarge", ERR_LIMIT},
        {"MethodNotAllowed", ERR_UNSUPPORTED},
        {"UnsupportedMediaType", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(table[i].reason, error->reason) == 0) {
            return table[i].code;
        }
    }
    return ERR_INTERNAL;
}

const char *api_verb_name(enum api_verb verb) {
    static const char *const names[] = {"get",    "list",  "watch",  "create",
                                        "update", "patch", "delete", "deletecollection"};
    return names[verb];
}

// ---- Executing ----
static bool resolve(struct api_op *op) {
    const struct api_request *request = &op->request;
    op->kind = api_kind_find(op->server, &request->gvr);
    if (!op->kind) {
        return api_error_set(&op->error, op->arena, 404, "NotFound",
                             "the server could not find the requested resource");
    }
    if (request->ns.n > LIMIT_NAME || request->name.n > LIMIT_NAME) {
        return api_error_set(&op->error, op->arena, 404, "NotFound",
                             "names are at most %d characters long", LIMIT_NAME);
    }
    bool wide = request->verb == API_VERB_LIST || request->verb == API_VERB_WATCH;
    bool item = !(wide || request->verb == API_VERB_DELETE_COLLECTION) &&
                (request->verb != API_VERB_CREATE || request->subresource.n);
    if (op->kind->namespaced && !request->ns.n && !wide && !request->name.n) { // of all namespaces
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    if (op->kind->namespaced ? (!request->ns.n && !wide) : request->ns.n > 0) {
        return api_error_set(&op->error, op->arena, 404, "NotFound",
                             "the server could not find the requested resource");
    }
    if (item && !request->name.n) {
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    op->collection = api_collection_get(op->server, op->kind->storage_group, op->kind->plural);
    return op->collection != NULL ||
           api_error_set(&op->error, op->arena, 404, "NotFound",
                         "the server could not find the requested resource");
}

static bool execute(struct api_op *op) {
    // First of all: who may not look learns nothing of what is there.
    if ((op->authorize && !api_authz_check(op)) || !resolve(op)) {
        return false;
    }
    if (op->kind->deprecation.n && op->authorize) {
        api_op_warn(op, arena_dup(op->arena, op->kind->deprecation));
    }
    if (op->request.subresource.n) {
        bool handled = false;
        bool ok = api_subresource(op, &handled);
        if (handled) {
            return ok;
        }
    }
    if ((op->kind->no_store || op->kind->read_only) && op->request.verb != API_VERB_CREATE &&
        (op->kind->no_store || op->request.verb > API_VERB_WATCH)) {
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    switch (op->request.verb) {
    case API_VERB_GET:
        return api_verb_get(op);
    case API_VERB_LIST:
        return api_verb_list(op);
    case API_VERB_CREATE:
        return api_verb_create(op);
    case API_VERB_UPDATE:
        return api_verb_update(op);
    case API_VERB_PATCH:
        return api_verb_patch(op);
    case API_VERB_DELETE:
        return api_verb_delete(op);
    case API_VERB_DELETE_COLLECTION:
        return api_verb_delete_collection(op);
    case API_VERB_WATCH:
        break; // api_watch_start
    }
    return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                         "the server does not allow this method on the requested resource");
}

static void count_request(struct api_op *op) {
    if (!op->server->requests) {
        return;
    }
    char code[16];
    snprintf(code, sizeof code, "%d", op->status);
    struct str values[] = {str_from(api_verb_name(op->request.verb)),
                           op->request.gvr.group,
                           op->request.gvr.version,
                           op->kind ? op->request.gvr.resource : STR(""),
                           op->request.subresource,
                           str_from(code)};
    metric_add(op->server->requests, values, 1);
}

void api_op_run(struct api_op *op) {
    struct apiserver *server = op->server;
    struct api_request request = op->request; // verbs take notes in it
    bool ok = execute(op);
    if (op->parked && op->error.status == 0) {
        op->kind = NULL;
        op->request = request;
        api_park_enter(op);
        return;
    }
    op->parked = false; // what was asked in vain is forgotten with the operation
    if (!ok) {
        api_op_fill_error(op);
    }
    count_request(op);
    op->kind = NULL; // valid in this turn only
    // A write that failed because of what another one did answers after that one is durable: so a client that got a
    // conflict and reads again sees what it collided with.
    bool read = op->request.verb == API_VERB_GET || op->request.verb == API_VERB_LIST;
    if (op->changed || (!read && op->error.status && server->revision > server->durable)) {
        api_wait_for_commit(server, op);
    } else {
        api_op_ready(op);
    }
}

void api_op_resume(struct api_op *op) {
    api_park_leave(op);
    drop_parts(op);
    op->error = (struct api_error){0};
    op->content_type = (struct str){NULL, 0};
    op->warning_count = 0;
    api_op_run(op);
}

void api_op_cancel(struct api_op *op) {
    op->cancelled = true;
    if (op->parked) {
        api_park_leave(op);
        api_park_destroy(op);
        api_op_ready(op);
    }
}

static void deliver(struct apiserver *server) {
    server->deliver_posted = false;
    // Only what is here now: what callbacks add waits for a turn of its own.
    struct api_op *op = server->ready_first;
    server->ready_first = server->ready_last = NULL;
    while (op) {
        struct api_op *next = op->next;
        op->finish(op);
        op = next;
    }
}

void api_op_ready(struct api_op *op) {
    struct apiserver *server = op->server;
    op->next = NULL;
    if (server->ready_last) {
        server->ready_last->next = op;
    } else {
        server->ready_first = op;
    }
    server->ready_last = op;
    if (!server->deliver_posted) {
        server->deliver_posted = true;
        api_post(server, deliver);
    }
}
