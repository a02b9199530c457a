// SPDX-License-Identifier: Apache-2.0
// A watch over HTTP: one JSON line an event. The line of an event is made once and shared by all streams that show the
// object as it is stored.
#include "apiserver/http_internal.h"

struct front_watch {
    struct front_watch *next, **link;
    struct apiserver_http *front;
    struct http_stream *stream;
    uint64_t id;
    enum api_output output;
    bool told_columns; // a table's columns come with its first event
    struct kube_gvr gvr;
    struct str include;
    struct arena *arena;
    struct audit_info *audit; // NULL: no audit log
};

static const char *event_name(enum kube_event type) {
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    return names[type];
}

static struct blob *make_line(enum kube_event type, struct str object) {
    struct str head = str_from(event_name(type));
    static const struct str before = STR_INIT("{\"type\":\"");
    static const struct str between = STR_INIT("\",\"object\":");
    struct blob *line = blob_alloc(before.n + head.n + between.n + object.n + 2);
    char *at = line->data;
    const struct str parts[] = {before, head, between, object, STR("}\n")};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return line;
}

static void write_table(struct front_watch *watch, enum kube_event type, struct blob *object) {
    struct apiserver *server = watch->front->server;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const struct api_kind *kind = api_kind_find(server, &watch->gvr);
    struct doc_value value;
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_WATCH_EVENT);
    if (!kind || !doc_parse_json(blob_str(object), arena, &value, NULL)) {
        return;
    }
    const struct doc_value *row = &value;
    struct doc_value metadata = api_table_metadata(arena, &value);
    if (!api_table_print(arena, kind, &row, 1, watch->include, !watch->told_columns, &metadata,
                         loop_wall(server->loop), &out)) {
        return;
    }
    watch->told_columns = true;
    struct blob *line = make_line(type, buf_str(&out));
    http_stream_write(watch->stream, line);
    blob_unref(line);
}

static void on_event(void *ctx, enum kube_event type, struct blob *object,
                     struct api_event *event) {
    struct front_watch *watch = ctx;
    if (watch->output == API_OUTPUT_TABLE) {
        write_table(watch, type, object);
        return;
    }
    struct blob *line;
    if (watch->output == API_OUTPUT_PARTIAL) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct blob *partial = api_partial_text(arena, object);
        line = make_line(type, blob_str(partial));
        blob_unref(partial);
    } else if (event) {
        if (!event->line) {
            event->line = make_line(type, blob_str(object));
        }
        line = blob_ref(event->line);
    } else {
        line = make_line(type, blob_str(object));
    }
    http_stream_write(watch->stream, line);
    blob_unref(line);
}

static void release(struct front_watch *watch) {
    if (watch->audit && watch->front->audit) {
        struct audit_outcome outcome = {.stage = "ResponseComplete", .code = 200};
        audit_log_add(watch->front->audit, watch->audit, &outcome);
    }
    *watch->link = watch->next;
    if (watch->next) {
        watch->next->link = watch->link;
    }
    arena_destroy(watch->arena);
}

static void on_end(void *ctx, const struct api_error *error) {
    struct front_watch *watch = ctx;
    if (error) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value status = api_error_status(arena, error);
        struct blob *line = make_line(KUBE_ERROR, doc_to_json(arena, &status));
        http_stream_write(watch->stream, line);
        blob_unref(line);
    }
    http_stream_end(watch->stream);
    release(watch);
}

static size_t backlog(void *ctx) {
    return http_stream_backlog(((struct front_watch *)ctx)->stream);
}

static void client_left(void *ctx) {
    struct front_watch *watch = ctx;
    api_watch_stop(watch->front->server, watch->id);
    release(watch);
}

static bool start(struct front_call *call, struct front_watch *watch) {
    struct api_op *op = call->op;
    struct api_watch_sink sink = {
        .on_event = on_event, .on_end = on_end, .backlog = backlog, .ctx = watch};
    watch->id = api_watch_start(call->front->server, op->arena, &op->request, &sink, &op->error);
    return watch->id != 0;
}

void front_watch_start(struct front_call *call) {
    struct apiserver_http *front = call->front;
    struct api_op *op = call->op;
    struct arena *arena = arena_create();
    struct front_watch *watch = ARENA_NEW(arena, struct front_watch);
    watch->arena = arena;
    watch->front = front;
    watch->output = op->request.output;
    watch->include = arena_dup(arena, op->request.include);
    watch->gvr.group = arena_dup(arena, op->request.gvr.group);
    watch->gvr.version = arena_dup(arena, op->request.gvr.version);
    watch->gvr.resource = arena_dup(arena, op->request.gvr.resource);
    if (!start(call, watch)) {
        arena_destroy(arena);
        api_op_fill_error(op);
        op->finish(op);
        return;
    }
    if (front->audit) {
        struct audit_info info;
        front_audit_info(call, op->arena, &info);
        watch->audit = audit_info_copy(arena, &info);
        front_audit(call, "ResponseStarted", 200, NULL);
    }
    watch->next = front->watches;
    watch->link = &front->watches;
    if (front->watches) {
        front->watches->link = &watch->next;
    }
    front->watches = watch;
    front_cache_header(call);
    watch->stream =
        http_stream_start(call->exchange, 200, STR("application/json"), client_left, watch);
    front_call_detach(call);
    api_op_destroy(op);
}

void front_watches_end(struct apiserver_http *front) {
    while (front->watches) {
        struct front_watch *watch = front->watches;
        api_watch_stop(front->server, watch->id);
        http_stream_end(watch->stream);
        release(watch);
    }
}
