// SPDX-License-Identifier: Apache-2.0
// The end of Events, whoever made them: an hour after their last write, or earlier when a namespace has too many. What is
// kept of each is its name and its end. Nothing runs while no Event is due.
#include "apiserver/controllers.h"

enum {
    PER_NAMESPACE = 5000, // kept; the oldest go first
    GROUP = 100,          // deletions at a time
};
#define TTL (3600 * NS_PER_SECOND)
#define TOGETHER (60 * NS_PER_SECOND) // what ends within this time ends in one go
#define AGAIN (1 * NS_PER_SECOND)
#define RETRY (1 * NS_PER_SECOND)

struct exp_event {
    struct exp_event *newer, *older;
    struct exp_space *space;
    int64_t ends; // loop_now: a clock that is set does not keep an Event
    char name[];
};

struct exp_space { // a namespace
    struct exp_event *oldest, *newest;
    size_t count;
    char *ns;
};

struct exp_stream {
    struct ctl_expiry *expiry; // NULL: gone
};

struct ctl_expiry {
    struct api_controllers *c;
    struct map *events; // "ns/name"
    struct map *spaces;
    struct loop_timer *timer, *retry;
    struct exp_stream *stream;
    struct arena *arena;
};

static struct str event_key(struct arena *arena, struct str ns, struct str name) {
    return arena_printf(arena, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name));
}

// ---- What is there ----
static void unlink_event(struct exp_event *event) {
    struct exp_space *space = event->space;
    *(event->older ? &event->older->newer : &space->oldest) = event->newer;
    *(event->newer ? &event->newer->older : &space->newest) = event->older;
    space->count--;
}

static void append_event(struct exp_space *space, struct exp_event *event) {
    event->space = space;
    event->newer = NULL;
    event->older = space->newest;
    *(space->newest ? &space->newest->newer : &space->oldest) = event;
    space->newest = event;
    space->count++;
}

static struct exp_space *space_get(struct ctl_expiry *expiry, struct str ns) {
    struct exp_space *space = map_find(expiry->spaces, ns);
    if (!space) {
        space = NEW(struct exp_space);
        space->ns = xstrdup(ns);
        map_put(expiry->spaces, ns, space);
    }
    return space;
}

static void forget(struct ctl_expiry *expiry, struct exp_event *event, struct str key) {
    struct exp_space *space = event->space;
    unlink_event(event);
    map_remove(expiry->events, key);
    free(event);
    if (space->count == 0) {
        map_remove(expiry->spaces, str_from(space->ns));
        free(space->ns);
        free(space);
    }
}

// The last time anybody wrote it, as far as it says.
static int64_t written_at(const struct doc_value *event) {
    const struct doc_value *times[] = {
        doc_get(event, "metadata", "creationTimestamp"),
        doc_get(event, "lastTimestamp"),
        doc_get(event, "eventTime"),
        doc_get(event, "series", "lastObservedTime"),
    };
    int64_t last = 0;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t at = wl_when(times[i]);
        last = at > last ? at : last;
    }
    return last;
}

static void take(struct ctl_expiry *expiry, const struct doc_value *value) {
    struct loop *loop = expiry->c->loop;
    struct str key = event_key(expiry->arena, wl_ns(value), wl_name(value));
    struct exp_space *space = space_get(expiry, wl_ns(value));
    struct exp_event *event = map_find(expiry->events, key);
    int64_t now = loop_now(loop), age = loop_wall(loop) - written_at(value);
    if (event) {
        unlink_event(event);
        age = 0; // a write gives it another hour
    } else {
        struct str name = wl_name(value);
        event = xcalloc(1, sizeof(*event) + name.n + 1);
        memcpy(event->name, name.p, name.n);
        map_put(expiry->events, key, event);
    }
    event->ends = now + (age < 0 ? TTL : age > TTL ? 0 : TTL - age);
    append_event(space, event);
    if (space->count > PER_NAMESPACE) {
        loop_timer_start(expiry->timer, AGAIN);
    } else if (!loop_timer_is_active(expiry->timer)) {
        int64_t left = event->ends - now;
        loop_timer_start(expiry->timer, (left > 0 ? left : 0) + TOGETHER);
    }
}

// ---- The watch ----
static void on_event(void *ctx, enum kube_event type, struct str text, struct blob *blob) {
    struct exp_stream *stream = ctx;
    struct ctl_expiry *expiry = stream->expiry;
    (void)blob;
    if (!expiry || type == KUBE_BOOKMARK || type == KUBE_ERROR) {
        return;
    }
    arena_reset(expiry->arena);
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(text, expiry->arena, &value, &err)) {
        return;
    }
    if (type != KUBE_DELETED) {
        take(expiry, &value);
        return;
    }
    struct str key = event_key(expiry->arena, wl_ns(&value), wl_name(&value));
    struct exp_event *event = map_find(expiry->events, key);
    if (event) {
        forget(expiry, event, key);
    }
}

static void on_end(void *ctx, const struct err *error) {
    struct exp_stream *stream = ctx;
    (void)error;
    if (stream->expiry) {
        stream->expiry->stream = NULL;
        loop_timer_start(stream->expiry->retry, RETRY);
    }
    free(stream);
}

static void start_watch(void *ctx) {
    struct ctl_expiry *expiry = ctx;
    struct exp_stream *stream = NEW(struct exp_stream);
    stream->expiry = expiry;
    expiry->stream = stream;
    struct kube_watch_request request = {.gvr = wl_events, .send_initial_events = true};
    struct kube_watch_handler handler = {.on_event = on_event, .on_end = on_end, .ctx = stream};
    apiserver_watch(expiry->c->server, &expiry->c->user, &request, &handler);
}

// ---- Ending ----
static void ended(void *ctx, const struct kube_reply *reply) {
    (void)ctx;
    (void)reply; // the watch tells of it; what failed is tried at the next alarm
}

static size_t end_space(struct ctl_expiry *expiry, struct exp_space *space, size_t room,
                        int64_t now) {
    size_t done = 0, excess = space->count > PER_NAMESPACE ? space->count - PER_NAMESPACE : 0;
    for (struct exp_event *event = space->oldest; event && done < room; event = event->newer) {
        if (event->ends > now && done >= excess) {
            break;
        }
        struct kube_request request = {
            .verb = KUBE_DELETE,
            .gvr = wl_events,
            .ns = str_from(space->ns),
            .name = str_from(event->name),
            .propagation = KUBE_BACKGROUND,
            .grace_seconds = -1,
        };
        ctl_call(expiry->c, &request, ended, NULL);
        done++;
    }
    return done;
}

static void expire(void *ctx) {
    struct ctl_expiry *expiry = ctx;
    int64_t now = loop_now(expiry->c->loop), first = INT64_MAX;
    size_t done = 0;
    struct str key;
    void *value;
    for (size_t i = 0; map_next(expiry->spaces, &i, &key, &value);) {
        struct exp_space *space = value;
        done += done < GROUP ? end_space(expiry, space, GROUP - done, now) : 0;
        first = space->oldest->ends < first ? space->oldest->ends : first;
    }
    if (done) {
        loop_timer_start(expiry->timer, AGAIN);
    } else if (first != INT64_MAX) {
        loop_timer_start(expiry->timer, (first > now ? first - now : 0) + TOGETHER);
    }
}

// ---- Life ----
void ctl_expiry_create(struct api_controllers *c) {
    struct ctl_expiry *expiry = NEW(struct ctl_expiry);
    expiry->c = c;
    expiry->events = map_create();
    expiry->spaces = map_create();
    expiry->timer = loop_timer_create(c->loop, expire, expiry);
    expiry->retry = loop_timer_create(c->loop, start_watch, expiry);
    expiry->arena = arena_create();
    c->expiry = expiry;
    start_watch(expiry);
}

void ctl_expiry_destroy(struct api_controllers *c) {
    struct ctl_expiry *expiry = c->expiry;
    if (expiry->stream) {
        expiry->stream->expiry = NULL; // freed at its end
    }
    struct str key;
    void *value;
    for (size_t i = 0; map_next(expiry->events, &i, &key, &value);) {
        free(value);
    }
    for (size_t i = 0; map_next(expiry->spaces, &i, &key, &value);) {
        struct exp_space *space = value;
        free(space->ns);
        free(space);
    }
    map_destroy(expiry->events);
    map_destroy(expiry->spaces);
    loop_timer_destroy(expiry->timer);
    loop_timer_destroy(expiry->retry);
    arena_destroy(expiry->arena);
    free(expiry);
    c->expiry = NULL;
}
