// SPDX-License-Identifier: Apache-2.0
// Straight-line helpers over the asynchronous client: a command has nothing to do while it waits, so it runs the loop.
#include "kube/simple.h"

#include "base/limits.h"
#include "base/timefmt.h"
#include "kube/internal.h"

enum { PATIENCE = 5 }; // attempts while the server says "too many requests"

struct wait {
    struct loop *loop;
    struct arena *arena;
    struct kube_answer answer;
    struct err err;
    int64_t retry_after_ns;
    bool failed;
};

static void wait_done(void *ctx, const struct kube_reply *reply) {
    struct wait *wait = ctx;
    wait->failed = reply->error != NULL;
    if (reply->error) {
        wait->err = *reply->error;
    }
    wait->answer.status = reply->status;
    wait->answer.body = arena_dup(wait->arena, reply->body);
    wait->answer.reason = arena_dup(wait->arena, reply->reason);
    wait->retry_after_ns = reply->retry_after_ns;
    loop_stop(wait->loop);
}

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static void pause_loop(struct loop *loop, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(loop, stop_loop, loop);
    loop_timer_start(timer, ns);
    loop_run(loop);
    loop_timer_destroy(timer);
}

static bool wait_result(const struct wait *wait, struct kube_answer *out, struct err *err) {
    *out = wait->answer;
    if (wait->failed && err) {
        *err = wait->err;
    }
    return !wait->failed;
}

bool kube_call_wait(struct loop *loop, struct kube_client *client,
                    const struct kube_request *request, struct arena *arena,
                    struct kube_answer *out, struct err *err) {
    struct wait wait = {.loop = loop, .arena = arena};
    for (int i = 0; i < PATIENCE; i++) {
        client->ops->call(client, request, wait_done, &wait);
        loop_run(loop);
        if (wait.answer.status != 429 || i + 1 == PATIENCE) {
            break;
        }
        pause_loop(loop, wait.retry_after_ns ? wait.retry_after_ns : NS_PER_SECOND);
    }
    return wait_result(&wait, out, err);
}

bool kube_get_raw_wait(struct loop *loop, struct kube_client *client, struct str path,
                       struct str accept, struct arena *arena, struct kube_answer *out,
                       struct err *err) {
    struct wait wait = {.loop = loop, .arena = arena};
    client->ops->get_raw(client, path, accept, wait_done, &wait);
    loop_run(loop);
    return wait_result(&wait, out, err);
}

struct refresh_wait {
    struct loop *loop;
    struct err err;
    bool failed;
};

static void refresh_done(void *ctx, const struct err *error) {
    struct refresh_wait *wait = ctx;
    wait->failed = error != NULL;
    if (error) {
        wait->err = *error;
    }
    loop_stop(wait->loop);
}

bool kube_mapper_refresh_wait(struct loop *loop, struct kube_mapper *mapper, struct err *err) {
    struct refresh_wait wait = {.loop = loop};
    kube_mapper_refresh(mapper, refresh_done, &wait);
    loop_run(loop);
    if (wait.failed && err) {
        *err = wait.err;
    }
    return !wait.failed;
}

// ---- Requests that are kept ----

void kube_request_copy(struct arena *arena, struct kube_request *out,
                       const struct kube_request *from) {
    *out = *from;
    struct str *const texts[] = {
        &out->gvr.group,
        &out->gvr.version,
        &out->gvr.resource,
        &out->ns,
        &out->name,
        &out->subresource,
        &out->body,
        &out->field_manager,
        &out->field_validation,
        &out->precondition_uid,
        &out->precondition_version,
        &out->label_selector,
        &out->field_selector,
        &out->continue_token,
        &out->resource_version,
        &out->resource_version_match,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = texts[i]->n ? arena_dup(arena, *texts[i]) : (struct str){NULL, 0};
    }
}

// ---- Lists in pages ----

struct kube_list {
    struct kube_client *client;
    struct arena *arena;
    struct kube_request request;
    struct kube_list_handler handler;
    char *continue_token;
    char *version;
    uint64_t call;
    bool cancelled;
};

static void list_free(struct kube_list *list) {
    free(list->continue_token);
    free(list->version);
    arena_destroy(list->arena);
    free(list);
}

static void list_end(struct kube_list *list, const struct err *error) {
    list->handler.done(list->handler.ctx, error, str_from(list->version));
    list_free(list);
}

static void list_page(void *ctx, const struct kube_reply *reply);

static void request_page(struct kube_list *list) {
    struct kube_request request = list->request;
    request.continue_token = str_from(list->continue_token);
    list->call = list->client->ops->call(list->client, &request, list_page, list);
}

static void list_page(void *ctx, const struct kube_reply *reply) {
    struct kube_list *list = ctx;
    if (list->cancelled) {
        list_free(list);
        return;
    }
    if (reply->error) {
        list_end(list, reply->error);
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_list_head head;
    struct err err = {0};
    if (!kube_scan_list(reply->body, arena, &head, &err)) {
        list_end(list, &err);
        return;
    }
    size_t at = 0;
    struct str item;
    bool go_on = true;
    while (go_on && kube_scan_item(head.items, &at, &item)) {
        go_on = list->handler.on_item(list->handler.ctx, item, head.kind, head.api_version);
    }
    if (list->cancelled) { // from inside on_item: no answer will come any more
        list_free(list);
        return;
    }
    free(TAKE(list->version));
    list->version = xstrdup(head.resource_version);
    free(TAKE(list->continue_token));
    if (!go_on || head.continue_token.n == 0) {
        list_end(list, NULL);
        return;
    }
    list->continue_token = xstrdup(head.continue_token);
    request_page(list);
}

struct kube_list *kube_list_start(struct kube_client *client, const struct kube_request *request,
                                  const struct kube_list_handler *handler) {
    struct kube_list *list = NEW(struct kube_list);
    list->client = client;
    list->arena = arena_create();
    kube_request_copy(list->arena, &list->request, request);
    list->request.verb = KUBE_LIST;
    list->request.limit = request->limit ? request->limit : (uint32_t)LIMIT_LIST_PAGE;
    list->handler = *handler;
    request_page(list);
    return list;
}

struct list_wait {
    struct loop *loop;
    struct arena *arena;
    VEC(struct doc_value) items;
    struct err err;
    bool failed;
};

static bool keep_item(void *ctx, struct str item, struct str head_kind,
                      struct str head_api_version) {
    struct list_wait *wait = ctx;
    struct doc_value value;
    if (!doc_parse_json_copy(item, wait->arena, &value, &wait->err)) {
        wait->failed = true;
        return false;
    }
    if (!doc_find(&value, STR("kind")) && head_kind.n > 4 && str_ends(head_kind, STR("List"))) {
        struct doc_object whole = doc_object_start(wait->arena);
        struct str kind = arena_dup(wait->arena, str_first(head_kind, head_kind.n - 4));
        struct str version = arena_dup(wait->arena, head_api_version);
        doc_object_set_c(&whole, "apiVersion", doc_make_str(version));
        doc_object_set_c(&whole, "kind", doc_make_str(kind));
        for (DOC_EACH_MEMBER(&value, i)) {
            doc_object_set(&whole, doc_key_at(&value, i), *doc_value_at(&value, i));
        }
        value = doc_object_done(&whole);
    }
    VEC_PUSH(&wait->items, value);
    return true;
}

static void list_wait_done(void *ctx, const struct err *error, struct str resource_version) {
    struct list_wait *wait = ctx;
    if (error) {
        wait->err = *error;
        wait->failed = true;
    }
    loop_stop(wait->loop);
}

bool kube_list_wait(struct loop *loop, struct kube_client *client,
                    const struct kube_request *request, struct arena *arena, struct doc_value **out,
                    size_t *count, struct err *err) {
    struct list_wait wait = {.loop = loop, .arena = arena};
    struct kube_list_handler handler = {keep_item, list_wait_done, &wait};
    for (int i = 0; i < 2; i++) {
        wait.failed = false;
        wait.items.len = 0;
        kube_list_start(client, request, &handler);
        loop_run(loop);
        if (!wait.failed || wait.err.code != ERR_GONE) {
            break;
        }
    }
    if (!wait.failed) {
        struct doc_value *items = ARENA_ARRAY(arena, wait.items.len + 1, struct doc_value);
        memcpy(items, wait.items.items ? (void *)wait.items.items : (void *)items,
               wait.items.len * sizeof *items);
        *out = items;
        *count = wait.items.len;
    } else if (err) {
        *err = wait.err;
    }
    VEC_FREE(&wait.items);
    return !wait.failed;
}
