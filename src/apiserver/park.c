// SPDX-License-Identifier: Apache-2.0
// Operations that wait for an answer from outside. A verb that needs one asks for it and gives up; when all its questions
// are answered the operation is executed again from its start, finds the answers by the key of the question, and gets
// further. So no verb keeps state over turns, and what others changed meanwhile is seen. The keys stand for all that was
// asked: when another execution asks something else, it is asked anew.
#include "apiserver/core.h"

#include "base/log.h"

struct api_park_call {
    struct api_park_call *next, **link;
    struct api_op *op; // NULL: nobody waits any more
    uint64_t id, key;
};

struct api_park *api_park_of(struct api_op *op) {
    if (!op->park) {
        op->park = ARENA_NEW(op->arena, struct api_park);
        op->park->op = op;
        op->park->salt = loop_random(op->server->loop);
    }
    return op->park;
}

// ---- What a request borrows ----
static void own(struct arena *arena, struct str *text) {
    *text = text->n ? arena_dup(arena, *text) : *text;
}

static void own_user(struct arena *arena, struct api_user *user) {
    struct str *groups = ARENA_ARRAY(arena, user->group_count + 1, struct str);
    struct api_extra *extra = ARENA_ARRAY(arena, user->extra_count + 1, struct api_extra);
    for (size_t i = 0; i < user->group_count; i++) {
        groups[i] = arena_dup(arena, user->groups[i]);
    }
    for (size_t i = 0; i < user->extra_count; i++) {
        extra[i] = user->extra[i];
        own(arena, &extra[i].key);
        struct str *values = ARENA_ARRAY(arena, extra[i].count + 1, struct str);
        for (size_t j = 0; j < extra[i].count; j++) {
            values[j] = arena_dup(arena, extra[i].values[j]);
        }
        extra[i].values = values;
    }
    own(arena, &user->name);
    own(arena, &user->uid);
    user->groups = groups;
    user->extra = extra;
}

static void own_request(struct api_op *op) {
    struct arena *arena = op->arena;
    struct api_request *r = &op->request;
    struct str *const texts[] = {
        &r->gvr.group,
        &r->gvr.version,
        &r->gvr.resource,
        &r->ns,
        &r->name,
        &r->subresource,
        &r->body,
        &r->field_manager,
        &r->field_validation,
        &r->precondition_uid,
        &r->precondition_version,
        &r->label_selector,
        &r->field_selector,
        &r->continue_token,
        &r->resource_version,
        &r->resource_version_match,
        &r->include,
        &op->user_agent,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        own(arena, texts[i]);
    }
    own_user(arena, &op->user);
}

void api_park_enter(struct api_op *op) {
    struct apiserver *server = op->server;
    struct api_park *park = api_park_of(op);
    if (!park->owned) {
        park->owned = true;
        own_request(op);
    }
    park->link = &server->parked;
    park->next = server->parked;
    if (park->next) {
        park->next->link = &park->next;
    }
    server->parked = park;
    server->parked_count++;
}

void api_park_leave(struct api_op *op) {
    struct api_park *park = op->park;
    op->parked = false;
    if (park && park->link) {
        *park->link = park->next;
        if (park->next) {
            park->next->link = park->link;
        }
        park->link = NULL;
        op->server->parked_count--;
    }
}

// ---- Questions ----
static void unlink_call(struct api_park_call *call) {
    *call->link = call->next;
    if (call->next) {
        call->next->link = call->link;
    }
}

static void answered(void *ctx, int status, struct str body, const struct err *error) {
    struct api_park_call *call = ctx;
    struct api_op *op = call->op;
    if (!op) {
        free(call);
        return;
    }
    struct api_park *park = op->park;
    struct api_answer *answer = ARENA_NEW(op->arena, struct api_answer);
    answer->key = call->key;
    answer->status = error ? 0 : status;
    answer->body = error ? (struct str){NULL, 0} : arena_dup(op->arena, body);
    answer->error = error ? arena_dup(op->arena, str_from(error->message)) : (struct str){NULL, 0};
    answer->timed_out = error && error->code == ERR_TIMEOUT;
    answer->next = park->answers;
    park->answers = answer;
    unlink_call(call);
    free(call);
    if (--park->pending == 0 && op->parked) {
        api_op_resume(op);
    }
}

const struct api_answer *api_park_find(const struct api_op *op, uint64_t key) {
    for (const struct api_answer *a = op->park ? op->park->answers : NULL; a; a = a->next) {
        if (a->key == key) {
            return a;
        }
    }
    return NULL;
}

static bool may_ask(struct api_op *op) {
    struct api_park *park = api_park_of(op);
    if (op->server->parked_count >= APISERVER_PARKED) {
        api_error_set(&op->error, op->arena, 429, "TooManyRequests",
                      "too many requests wait for webhooks, at most %d", APISERVER_PARKED);
        op->error.retry_after_seconds = 1;
        return false;
    }
    if (!op->parked && ++park->executions > APISERVER_EXECUTIONS) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "Internal error occurred: the request needed more than %d rounds of "
                             "webhooks: the object changes all the time",
                             APISERVER_EXECUTIONS);
    }
    return true;
}

const struct api_answer *api_park_ask(struct api_op *op, uint64_t key,
                                      const struct apiserver_callout *call) {
    const struct api_answer *known = api_park_find(op, key);
    if (known || !may_ask(op)) {
        return known;
    }
    struct api_park *park = op->park;
    op->parked = true;
    if (park->pending >= APISERVER_CALLOUTS) {
        return NULL; // the next execution asks it
    }
    const struct apiserver_calls *calls = op->server->callouts;
    struct api_park_call *waiting = NEW(struct api_park_call);
    *waiting = (struct api_park_call){.op = op, .key = key, .link = &park->calls};
    waiting->next = park->calls;
    if (waiting->next) {
        waiting->next->link = &waiting->next;
    }
    park->calls = waiting;
    park->pending++;
    struct apiserver_callout own = *call;
    own.done = answered;
    own.ctx = waiting;
    waiting->id = calls->start(calls->ctx, &own);
    return NULL;
}

// Answers that come later find nobody.
void api_park_destroy(struct api_op *op) {
    struct api_park *park = op->park;
    if (!park) {
        return;
    }
    api_park_leave(op);
    while (park->calls) {
        struct api_park_call *call = park->calls;
        unlink_call(call);
        call->op = NULL;
        op->server->callouts->cancel(op->server->callouts->ctx, call->id);
    }
    void *text;
    for (size_t i = 0; park->converted && map_next(park->converted, &i, NULL, &text);) {
        blob_unref(text);
    }
    map_destroy(park->converted);
    op->park = NULL;
}

void api_park_cancel_all(struct apiserver *server) {
    while (server->parked) {
        struct api_op *op = server->parked->op;
        op->cancelled = true;
        api_park_destroy(op);
        op->finish(op);
    }
}
