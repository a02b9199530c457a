// SPDX-License-Identifier: Apache-2.0
// Watches: the state at the start or the history since a revision, then every event after its commit, in order. A watch
// begins in a turn of its own, so nobody gets events from inside the call that asked for them, and what is published
// while it waits is part of its start.
#include "apiserver/core.h"

#include "base/timefmt.h"

#define BOOKMARK_EVERY (60 * NS_PER_SECOND)

struct waiting_event { // for its conversion, or for the one before it
    struct waiting_event *next;
    enum kube_event type;
    bool needed; // it is not yet in the version of the watch
    struct blob *object;
};

struct api_watcher {
    struct api_watcher *next;     // of the collection
    struct api_watcher *next_due; // to start, or dead
    struct apiserver *server;
    struct arena *arena;
    uint64_t id;
    struct api_collection *collection;
    struct kube_gvr gvr;
    struct str ns;
    struct api_selection selection;
    struct api_watch_sink sink;
    int64_t from;   // revision to resume after; -1: begin with what is there
    int64_t wanted; // what is there must be at least as new as this
    bool initial_mark, bookmarks, live, dead;
    int64_t deadline, bookmark_at; // loop_now; 0: none
    int64_t told;                  // revision of the newest bookmark
    // A webhook converts its objects: events wait in order, and all that wait are converted at once.
    struct waiting_event *waiting_first, *waiting_last;
    size_t waiting_bytes, asked;
    struct api_convert_job *job;
    bool collecting; // the first events: one question for all of them
    bool converts;   // it shows whole objects
};

static void start_due(struct apiserver *server);
static void arm_timer(struct apiserver *server);

static void watcher_free(struct api_watcher *watcher) {
    api_convert_drop(watcher->job);
    while (watcher->waiting_first) {
        struct waiting_event *event = watcher->waiting_first;
        watcher->waiting_first = event->next;
        blob_unref(event->object);
        free(event);
    }
    arena_destroy(watcher->arena);
}

static void unlink_watcher(struct api_watcher *watcher) {
    struct api_watcher **at = &watcher->collection->watchers;
    while (*at && *at != watcher) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = watcher->next;
    }
}

static void sweep(struct apiserver *server) {
    while (server->dispatching == 0 && server->dead) {
        struct api_watcher *watcher = server->dead;
        server->dead = watcher->next_due;
        unlink_watcher(watcher);
        watcher_free(watcher);
    }
}

static bool id_key(uint64_t id, char key[sizeof(uint64_t)]) {
    memcpy(key, &id, sizeof id);
    return true;
}

static void retire(struct api_watcher *watcher) {
    struct apiserver *server = watcher->server;
    char key[sizeof(uint64_t)];
    id_key(watcher->id, key);
    map_remove(server->watches, (struct str){key, sizeof key});
    watcher->dead = true;
    if (watcher->live) {
        watcher->next_due = server->dead;
        server->dead = watcher;
        sweep(server);
    } // else it is still in the queue of those to start, which frees it
}

static void end(struct api_watcher *watcher, const struct api_error *error) {
    struct api_watch_sink sink = watcher->sink;
    retire(watcher);
    sink.on_end(sink.ctx, error);
}

bool api_watch_stop(struct apiserver *server, uint64_t id) {
    char key[sizeof(uint64_t)];
    id_key(id, key);
    struct api_watcher *watcher = map_find(server->watches, (struct str){key, sizeof key});
    if (watcher) {
        retire(watcher);
    }
    return watcher != NULL;
}

// ---- Starting ----
static bool parse_from(struct api_watcher *watcher, const struct api_request *request,
                       struct arena *arena, struct api_error *error) {
    int64_t revision = 0;
    if (request->resource_version.n &&
        (!str_to_int64(request->resource_version, &revision) || revision < 0)) {
        return api_error_revision(arena, request->resource_version, error);
    }
    watcher->from = revision == 0 || request->send_initial_events ? -1 : revision;
    if (request->initial_events_given && !request->send_initial_events && revision == 0) {
        watcher->from = watcher->server->durable; // from now on
    }
    watcher->wanted = request->send_initial_events ? revision : 0;
    return true;
}

uint64_t api_watch_start(struct apiserver *server, struct arena *arena,
                         const struct api_request *request, const struct api_watch_sink *sink,
                         struct api_error *error) {
    const struct api_kind *kind = api_kind_find(server, &request->gvr);
    if (!kind) {
        api_error_set(error, arena, 404, "NotFound",
                      "the server could not find the requested resource");
        return 0;
    }
    if (map_len(server->watches) >= APISERVER_WATCHES) {
        api_error_set(error, arena, 429, "TooManyRequests", "too many watches, at most %d",
                      APISERVER_WATCHES);
        error->retry_after_seconds = 1;
        return 0;
    }
    struct arena *own = arena_create();
    struct api_watcher *watcher = ARENA_NEW(own, struct api_watcher);
    watcher->arena = own;
    watcher->server = server;
    watcher->sink = *sink;
    watcher->gvr.group = arena_dup(own, request->gvr.group);
    watcher->gvr.version = arena_dup(own, request->gvr.version);
    watcher->gvr.resource = arena_dup(own, request->gvr.resource);
    watcher->ns = arena_dup(own, request->ns);
    watcher->converts = request->output != API_OUTPUT_PARTIAL;
    watcher->initial_mark = request->send_initial_events && request->allow_bookmarks;
    watcher->bookmarks = request->allow_bookmarks;
    watcher->collection = api_collection_get(server, kind->storage_group, kind->plural);
    struct str labels = arena_dup(own, request->label_selector);
    struct str fields = arena_dup(own, request->field_selector);
    if (request->name.n) { // the old form of a watch on one object
        fields = arena_printf(own, "metadata.name=%.*s", STR_ARG(request->name));
    }
    if (!api_request_check_list(own, request, error) || !parse_from(watcher, request, own, error) ||
        !api_selection_parse(own, kind, labels, fields, &watcher->selection, error)) {
        if (error->message.n) { // it lies in the arena that goes away
            error->message = arena_dup(arena, error->message);
            error->details = doc_clone(arena, &error->details);
        }
        arena_destroy(own);
        return 0;
    }
    if (request->timeout_seconds > 0) {
        watcher->deadline = loop_now(server->loop) + request->timeout_seconds * NS_PER_SECOND;
    }
    watcher->id = ++server->last_id;
    char key[sizeof(uint64_t)];
    id_key(watcher->id, key);
    map_put(server->watches, (struct str){key, sizeof key}, watcher);
    if (server->starting_last) {
        server->starting_last->next_due = watcher;
    } else {
        server->starting_first = watcher;
    }
    server->starting_last = watcher;
    if (!server->starting_posted) {
        server->starting_posted = true;
        api_post(server, start_due);
    }
    return watcher->id;
}

// ---- Events that a webhook converts ----
static void ask_for_waiting(struct api_watcher *watcher, const struct api_kind *kind);

static void answered(void *ctx, struct blob **texts, size_t count, const struct api_error *error) {
    struct api_watcher *watcher = ctx;
    struct apiserver *server = watcher->server;
    watcher->job = NULL;
    server->dispatching++;
    size_t next = 0;
    for (size_t i = 0; i < watcher->asked && !error && !watcher->dead; i++) {
        struct waiting_event *event = watcher->waiting_first;
        watcher->waiting_first = event->next;
        watcher->waiting_bytes -= event->object->len;
        struct blob *object = event->needed && next < count ? texts[next++] : event->object;
        watcher->sink.on_event(watcher->sink.ctx, event->type, object, NULL);
        blob_unref(event->object);
        free(event);
    }
    if (!watcher->waiting_first) {
        watcher->waiting_last = NULL;
    }
    const struct api_kind *kind = api_kind_find(server, &watcher->gvr);
    if (!watcher->dead && error) {
        end(watcher, error);
    } else if (!watcher->dead && watcher->waiting_first && kind) {
        ask_for_waiting(watcher, kind);
    }
    server->dispatching--;
    sweep(server);
}

static void ask_for_waiting(struct api_watcher *watcher, const struct api_kind *kind) {
    VEC(struct blob *) texts = {0};
    watcher->asked = 0;
    for (struct waiting_event *e = watcher->waiting_first; e; e = e->next) {
        watcher->asked++;
        if (e->needed) {
            VEC_PUSH(&texts, e->object);
        }
    }
    watcher->job =
        api_convert_start(watcher->server, kind, texts.items, texts.len, answered, watcher);
    VEC_FREE(&texts);
}

// False: the event can be handed out now.
static bool wait_for_conversion(struct api_watcher *watcher, const struct api_kind *kind,
                                enum kube_event type, struct blob *object) {
    bool needed = type != KUBE_BOOKMARK && api_convert_needed(kind, blob_str(object));
    if (!watcher->waiting_first && !needed) {
        return false;
    }
    if (watcher->waiting_bytes + object->len > APISERVER_BACKLOG_BYTES) {
        end(watcher, NULL);
        return true;
    }
    struct waiting_event *event = NEW(struct waiting_event);
    *event = (struct waiting_event){.type = type, .needed = needed, .object = blob_ref(object)};
    if (watcher->waiting_last) {
        watcher->waiting_last->next = event;
    } else {
        watcher->waiting_first = event;
    }
    watcher->waiting_last = event;
    watcher->waiting_bytes += object->len;
    if (!watcher->job && !watcher->collecting) {
        ask_for_waiting(watcher, kind);
    }
    return true;
}

static void send(struct api_watcher *watcher, const struct api_kind *kind, enum kube_event type,
                 struct blob *object, struct api_event *event) {
    if (kind->converter && watcher->converts && wait_for_conversion(watcher, kind, type, object)) {
        return;
    }
    struct blob *served = api_serve_text(watcher->server, kind, object);
    watcher->sink.on_event(watcher->sink.ctx, type, served, served == object ? event : NULL);
    blob_unref(served);
}

static void send_bookmark(struct api_watcher *watcher, const struct api_kind *kind, bool initial) {
    struct arena *arena = arena_create();
    struct str version = api_group_version(arena, kind->group, kind->version);
    struct str text = arena_printf(
        arena,
        "{\"kind\":\"%.*s\",\"apiVersion\":\"%.*s\",\"metadata\":{\"resourceVersion\":\"%lld\","
        "\"creationTimestamp\":null%s}}",
        STR_ARG(kind->kind), STR_ARG(version), (long long)watcher->server->durable,
        initial ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
    struct blob *blob = blob_create(text);
    arena_destroy(arena);
    watcher->told = watcher->server->durable;
    if (!watcher->converts || !wait_for_conversion(watcher, kind, KUBE_BOOKMARK, blob)) {
        watcher->sink.on_event(watcher->sink.ctx, KUBE_BOOKMARK, blob, NULL);
    }
    blob_unref(blob);
}

static bool matches(const struct api_watcher *watcher, const struct api_kind *kind,
                    struct blob *object) {
    if (api_selection_is_empty(&watcher->selection)) {
        return true;
    }
    arena_reset(watcher->server->scratch);
    return api_selection_matches(&watcher->selection, kind, blob_str(object),
                                 watcher->server->scratch);
}

static void send_state(struct api_watcher *watcher, const struct api_kind *kind) {
    char from[LIMIT_NAME + 2];
    struct str start = {from, watcher->ns.n ? watcher->ns.n + 1 : 0};
    if (watcher->ns.n > LIMIT_NAME) {
        return;
    }
    if (watcher->ns.n) {
        memcpy(from, watcher->ns.p, watcher->ns.n);
        from[watcher->ns.n] = '/';
    }
    // What callbacks change goes to the index at once: collect first, then hand out.
    VEC(struct blob *) objects = {0};
    struct api_cursor cursor = api_cursor_at(watcher->collection, start);
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (watcher->ns.n && !str_eq(api_entry_ns(entry), watcher->ns)) {
            break;
        }
        struct blob *blob = api_entry_durable(entry, NULL);
        if (blob && matches(watcher, kind, blob)) {
            VEC_PUSH(&objects, blob);
        } else {
            blob_unref(blob);
        }
    }
    for (size_t i = 0; i < objects.len; i++) {
        if (!watcher->dead) {
            send(watcher, kind, KUBE_ADDED, objects.items[i], NULL);
        }
        blob_unref(objects.items[i]);
    }
    VEC_FREE(&objects);
    if (!watcher->dead && watcher->initial_mark) {
        send_bookmark(watcher, kind, true);
    }
}

// DELETED for an object that left the selection carries the state that was in it, at the revision of the change.
static struct blob *left_object(struct api_watcher *watcher, const struct api_event *event) {
    struct arena *arena = arena_create();
    struct doc_value value;
    struct blob *out = NULL;
    if (doc_parse_json(blob_str(event->before), arena, &value, NULL)) {
        struct str revision = arena_printf(arena, "%lld", (long long)event->revision);
        value = doc_with(arena, &value, doc_make_str(revision), "metadata", "resourceVersion");
        out = blob_create(doc_to_json(arena, &value));
    }
    arena_destroy(arena);
    return out ? out : blob_ref(event->before);
}

static void deliver(struct api_watcher *watcher, struct api_event *event) {
    if (event->collection != watcher->collection || event->revision <= watcher->from ||
        (watcher->ns.n && !str_eq((struct str){event->key, event->ns_len}, watcher->ns))) {
        return;
    }
    const struct api_kind *kind = api_kind_find(watcher->server, &watcher->gvr);
    if (!kind) {
        return; // its CRD goes: the registry's change ends the watch
    }
    if (api_selection_is_empty(&watcher->selection)) {
        send(watcher, kind, event->type, event->object, event);
        return;
    }
    bool was = event->before && matches(watcher, kind, event->before);
    bool is = event->type != KUBE_DELETED && matches(watcher, kind, event->object);
    if (was && !is && event->type == KUBE_MODIFIED) {
        struct blob *object = left_object(watcher, event);
        send(watcher, kind, KUBE_DELETED, object, NULL);
        blob_unref(object);
    } else if (was || is) {
        enum kube_event type = !was ? KUBE_ADDED : !is ? KUBE_DELETED : KUBE_MODIFIED;
        send(watcher, kind, type, event->object, type == event->type ? event : NULL);
    }
}

static bool too_old(struct api_watcher *watcher) {
    struct apiserver *server = watcher->server;
    if (watcher->wanted > server->durable) {
        struct arena *arena = arena_create();
        struct api_error error = {0};
        api_error_too_new(server, arena, watcher->wanted, &error);
        end(watcher, &error);
        arena_destroy(arena);
        return true;
    }
    // One of the future too: nobody is told what is not durable, so the store was replaced by an older one.
    if (watcher->from < 0 ||
        (watcher->from >= server->history.compacted && watcher->from <= server->durable)) {
        return false;
    }
    struct arena *arena = arena_create();
    struct api_error error = {0};
    api_error_set(&error, arena, 410, "Expired", "too old resource version: %lld (%lld)",
                  (long long)watcher->from, (long long)server->history.compacted + 1);
    end(watcher, &error);
    arena_destroy(arena);
    return true;
}

static void start(struct api_watcher *watcher) {
    struct apiserver *server = watcher->server;
    watcher->live = true;
    watcher->next = watcher->collection->watchers;
    watcher->collection->watchers = watcher;
    const struct api_kind *kind = api_kind_find(server, &watcher->gvr);
    if (!kind) {
        end(watcher, NULL);
        return;
    }
    if (too_old(watcher)) {
        return;
    }
    watcher->told = server->durable;
    watcher->bookmark_at = watcher->bookmarks ? loop_now(server->loop) + BOOKMARK_EVERY : 0;
    watcher->collecting = true;
    if (watcher->from < 0) {
        send_state(watcher, kind);
    }
    for (size_t i = api_history_after(&server->history, watcher->from);
         watcher->from >= 0 && i < server->history.len && !watcher->dead; i++) {
        deliver(watcher, api_history_at(&server->history, i));
    }
    watcher->collecting = false;
    if (!watcher->dead && watcher->waiting_first && !watcher->job) {
        ask_for_waiting(watcher, kind);
    }
}

static void start_due(struct apiserver *server) {
    server->starting_posted = false;
    server->dispatching++;
    struct api_watcher *watcher = server->starting_first;
    server->starting_first = server->starting_last = NULL;
    while (watcher) {
        struct api_watcher *next = watcher->next_due;
        watcher->next_due = NULL;
        if (watcher->dead) {
            watcher_free(watcher);
        } else {
            start(watcher);
        }
        watcher = next;
    }
    server->dispatching--;
    sweep(server);
    arm_timer(server);
}

// ---- Events ----
void api_watch_dispatch(struct apiserver *server, struct api_event *event) {
    server->dispatching++;
    for (struct api_watcher *watcher = event->collection->watchers; watcher;
         watcher = watcher->next) {
        if (watcher->dead) {
            continue;
        }
        deliver(watcher, event);
        if (!watcher->dead && watcher->sink.backlog &&
            watcher->sink.backlog(watcher->sink.ctx) > APISERVER_BACKLOG_BYTES) {
            end(watcher, NULL); // it resumes from what it has seen, or lists again
        }
    }
    server->dispatching--;
    blob_unref(event->line);
    event->line = NULL;
    sweep(server);
}

void api_watch_kinds_changed(struct apiserver *server) {
    server->dispatching++;
    VEC(struct api_watcher *) gone = {0};
    void *value;
    for (size_t i = 0; map_next(server->watches, &i, NULL, &value);) {
        struct api_watcher *watcher = value;
        if (watcher->live && !watcher->dead && !api_kind_find(server, &watcher->gvr)) {
            VEC_PUSH(&gone, watcher);
        }
    }
    for (size_t i = 0; i < gone.len; i++) {
        if (!gone.items[i]->dead) {
            end(gone.items[i], NULL);
        }
    }
    VEC_FREE(&gone);
    server->dispatching--;
    sweep(server);
}

// ---- Bookmarks and time limits ----
static void tick(void *ctx) {
    struct apiserver *server = ctx;
    int64_t now = loop_now(server->loop);
    server->dispatching++;
    VEC(struct api_watcher *) due = {0};
    void *value;
    for (size_t i = 0; map_next(server->watches, &i, NULL, &value);) {
        struct api_watcher *watcher = value;
        if (watcher->live && ((watcher->deadline && watcher->deadline <= now) ||
                              (watcher->bookmark_at && watcher->bookmark_at <= now))) {
            VEC_PUSH(&due, watcher);
        }
    }
    for (size_t i = 0; i < due.len; i++) {
        struct api_watcher *watcher = due.items[i];
        if (watcher->dead) {
            continue;
        }
        if (watcher->deadline && watcher->deadline <= now) {
            end(watcher, NULL);
            continue;
        }
        watcher->bookmark_at = now + BOOKMARK_EVERY;
        const struct api_kind *kind = api_kind_find(server, &watcher->gvr);
        if (kind) {
            send_bookmark(watcher, kind, false);
        }
    }
    VEC_FREE(&due);
    server->dispatching--;
    sweep(server);
    arm_timer(server);
}

static void arm_timer(struct apiserver *server) {
    int64_t next = 0;
    void *value;
    for (size_t i = 0; map_next(server->watches, &i, NULL, &value);) {
        const struct api_watcher *watcher = value;
        if (!watcher->live) {
            continue;
        }
        if (watcher->deadline && (!next || watcher->deadline < next)) {
            next = watcher->deadline;
        }
        if (watcher->bookmark_at && (!next || watcher->bookmark_at < next)) {
            next = watcher->bookmark_at;
        }
    }
    if (!next) {
        if (server->watch_timer) {
            loop_timer_stop(server->watch_timer);
        }
        return;
    }
    if (!server->watch_timer) {
        server->watch_timer = loop_timer_create(server->loop, tick, server);
    }
    int64_t delay = next - loop_now(server->loop);
    loop_timer_start(server->watch_timer, delay > 0 ? delay : 0);
}

void api_watches_destroy(struct apiserver *server) {
    server->dispatching++;
    for (;;) {
        size_t i = 0;
        void *value;
        if (!map_next(server->watches, &i, NULL, &value)) {
            break;
        }
        end(value, NULL);
    }
    server->dispatching--;
    sweep(server);
    while (server->starting_first) {
        struct api_watcher *next = server->starting_first->next_due;
        watcher_free(server->starting_first);
        server->starting_first = next;
    }
    loop_timer_destroy(server->watch_timer);
    server->watch_timer = NULL;
}
