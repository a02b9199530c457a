// SPDX-License-Identifier: Apache-2.0
// The Events that the controllers record. Recording never slows the rest: an event waits in a short queue, is written
// in small groups at a bounded rate, and is lost when the queue is full, as in client-go. Equal events grow a count, many
// similar ones of one object become a combined one, and one object cannot have more than a few in a short time: also
// client-go's rules and numbers. The end of Events is in controllers_expiry.c.
#include "apiserver/controllers.h"

#include "base/log.h"

enum {
    QUEUE_MAX = 1000,
    GROUP = 32,        // writes at a time
    RATE = 100,        // writes a second over longer times
    BURST = 500,       // how many at once
    RECORDS = 4096,    // series, aggregates and budgets that are remembered
    SIMILAR = 10,      // different messages until they are combined
    OBJECT_BURST = 25, // events of one component about one object
    MESSAGE_BYTES = 1024,
};
#define FLUSH_DELAY (20 * NS_PER_MS)
#define SIMILAR_TIME (600 * NS_PER_SECOND)
#define OBJECT_REFILL (300 * NS_PER_SECOND)

struct ctl_event { // one on its way
    struct ctl_event *next;
    struct str api_version, kind, ns, name, uid, version; // what it is about
    struct str component, reason, action, field_path, host;
    struct str message; // an allocation of its own; the other texts are behind the struct
    bool warning, named;
    int64_t at; // wall time
};

struct ev_record { // by a hash
    uint64_t key;
    int64_t first, last; // wall time
    int64_t count;       // series: how often; aggregate: different messages; budget: spent
    char *name;          // series: of the Event
};

struct ctl_events {
    struct api_controllers *c;
    bool muted;
    struct ctl_event *first, *last;
    size_t waiting;
    uint64_t lost;
    int64_t tokens, refilled; // of the write rate; loop_now of the last refill
    struct loop_timer *flush;
    struct map *records;
    struct ev_record *ring[RECORDS];
    size_t ring_next;
    struct arena *arena;
    int64_t last_stamp; // of a name
};

// ---- Recording ----
static struct str put_text(char **at, struct str text) {
    struct str out = str_make(*at, text.n);
    if (text.n) {
        memcpy(*at, text.p, text.n);
    }
    *at += text.n;
    return out;
}

static struct str own_text(struct str text) {
    return (struct str){xstrdup(text), text.n};
}

static struct ctl_event *item_make(struct api_controllers *c, const struct wl_event *event) {
    if (!c->events || c->events->muted) {
        return NULL;
    }
    struct str parts[] = {
        doc_get_str(event->about, "apiVersion"),
        doc_get_str(event->about, "kind"),
        wl_ns(event->about),
        wl_name(event->about),
        wl_uid(event->about),
        doc_get_str(event->about, "metadata", "resourceVersion"),
        str_from(event->component),
        str_from(event->reason),
        event->action ? str_from(event->action) : STR(""),
        event->field_path,
        str_eq_c(str_from(event->component), "kubelet")
            ? doc_get_str(event->about, "spec", "nodeName")
            : STR(""),
    };
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        bytes += parts[i].n;
    }
    struct ctl_event *item = xcalloc(1, sizeof(*item) + bytes);
    struct str *fields[] = {&item->api_version, &item->kind,       &item->ns,        &item->name,
                            &item->uid,         &item->version,    &item->component, &item->reason,
                            &item->action,      &item->field_path, &item->host};
    char *at = (char *)(item + 1);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        *fields[i] = put_text(&at, parts[i]);
    }
    item->message = own_text(str_first(event->message, MESSAGE_BYTES));
    item->warning = event->warning;
    item->named = event->named;
    item->at = loop_wall(c->loop);
    return item;
}

static void set_message(struct ctl_event *item, struct str message) {
    struct str before = item->message;
    item->message = own_text(str_first(message, MESSAGE_BYTES));
    free((void *)(uintptr_t)before.p);
}

static void item_free(struct ctl_event *item) {
    if (item) {
        free((void *)(uintptr_t)item->message.p);
        free(item);
    }
}

static void record_item(struct api_controllers *c, struct ctl_event *item) {
    if (!item) {
        return;
    }
    struct ctl_events *events = c->events;
    if (!events || events->waiting >= QUEUE_MAX) {
        if (events && events->lost++ % 1000 == 0) {
            LOG(LOG_INFO, "workloads", "more events than are written: some are lost");
        }
        item_free(item);
        return;
    }
    item->next = NULL;
    if (events->last) {
        events->last->next = item;
    } else {
        events->first = item;
    }
    events->last = item;
    events->waiting++;
    if (!loop_timer_is_active(events->flush)) {
        loop_timer_start(events->flush, FLUSH_DELAY);
    }
}

// The write it belongs to was answered. Takes it over.
static void settle(struct api_controllers *c, struct ctl_event *item,
                   const struct kube_reply *reply) {
    struct arena *arena = c->scratch;
    arena_reset(arena);
    bool failed = reply->error != NULL;
    if (failed &&
        (!item->named || reply->error->code == ERR_CANCELLED || reply->error->code == ERR_EXISTS)) {
        item_free(item);
        return;
    }
    if (failed) {
        static const struct str reason = STR_INIT("FailedCreate");
        item->reason = reason;
        item->warning = true;
        set_message(item, arena_printf(arena, "Error creating: %s", reply->error->message));
    } else if (item->named) {
        struct doc_value made;
        struct err err = {0};
        struct str name = STR("");
        if (doc_parse_json(reply->body, arena, &made, &err)) {
            name = wl_name(&made);
        }
        set_message(item, arena_concat(arena, item->message, name));
    }
    record_item(c, item);
}

void ctl_events_settle(struct api_controllers *c, struct ctl_event *first,
                       const struct kube_reply *reply) {
    while (first) {
        struct ctl_event *item = first;
        first = item->next;
        settle(c, item, reply);
    }
}

void ctl_events_free(struct ctl_event *first) {
    while (first) {
        struct ctl_event *item = first;
        first = item->next;
        item_free(item);
    }
}

struct ctl_event *ctl_events_of(struct api_controllers *c, const struct wl_plan *plan,
                                size_t write) {
    struct ctl_event *first = NULL, **end = &first;
    for (size_t i = 0; i < plan->event_count; i++) {
        if (plan->events[i].write == write && (*end = item_make(c, &plan->events[i]))) {
            end = &(*end)->next;
        }
    }
    return first;
}

// ---- What is remembered ----
static struct str key_of(const uint64_t *key) {
    return (struct str){(const char *)key, sizeof *key};
}

static void record_free(struct ev_record *record) {
    if (record) {
        free(record->name);
        free(record);
    }
}

static struct ev_record *record_get(struct ctl_events *events, uint64_t key, int64_t now) {
    struct ev_record *record = map_find(events->records, key_of(&key));
    if (record) {
        return record;
    }
    struct ev_record **slot = &events->ring[events->ring_next];
    events->ring_next = (events->ring_next + 1) % RECORDS;
    if (*slot) {
        map_remove(events->records, key_of(&(*slot)->key));
        record_free(*slot);
    }
    record = NEW(struct ev_record);
    *record = (struct ev_record){.key = key, .first = now, .last = now};
    *slot = record;
    map_put(events->records, key_of(&record->key), record);
    return record;
}

static uint64_t mix(uint64_t hash, struct str text) {
    return (hash ^ str_hash(text)) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

// One component may say only so much about one object.
static bool is_within_budget(struct ctl_events *events, const struct ctl_event *item) {
    uint64_t key = mix(mix(mix(1, item->component), item->uid), item->name);
    struct ev_record *budget = record_get(events, key, item->at);
    int64_t back = (item->at - budget->last) / OBJECT_REFILL;
    if (back > 0) {
        budget->count = budget->count > back ? budget->count - back : 0;
        budget->last += back * OBJECT_REFILL;
    }
    if (budget->count >= OBJECT_BURST) {
        return false;
    }
    budget->count++;
    return true;
}

// The series that this event belongs to; its message changes when it is one of many similar ones.
static struct ev_record *series_of(struct ctl_events *events, struct ctl_event *item) {
    uint64_t similar = mix(mix(mix(2, item->component), item->uid), item->reason);
    similar = mix(mix(similar, item->field_path), item->warning ? STR("w") : STR("n"));
    uint64_t exact = mix(similar, item->message);
    if (item->action.n) {
        return record_get(events, exact, item->at);
    }
    struct ev_record *aggregate = record_get(events, similar, item->at);
    if (item->at - aggregate->last > SIMILAR_TIME) {
        aggregate->count = 0;
    }
    aggregate->last = item->at;
    bool is_new = map_find(events->records, key_of(&exact)) == NULL;
    aggregate->count += is_new && aggregate->count < SIMILAR;
    if (aggregate->count < SIMILAR) {
        return record_get(events, exact, item->at);
    }
    set_message(
        item, arena_concat(events->arena, STR("(combined from similar events): "), item->message));
    return record_get(events, mix(similar, STR("combined")), item->at);
}

// ---- Writing ----
static struct doc_value involved_object(struct arena *arena, const struct ctl_event *item) {
    struct doc_object object = doc_object_start(arena);
    const struct {
        const char *key;
        struct str value;
    } fields[] = {
        {"kind", item->kind},
        {"namespace", item->ns},
        {"name", item->name},
        {"uid", item->uid},
        {"apiVersion", item->api_version},
        {"resourceVersion", item->version},
        {"fieldPath", item->field_path},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].value.n) {
            doc_object_set_c(&object, fields[i].key, doc_make_str(fields[i].value));
        }
    }
    return doc_object_done(&object);
}

static struct str component_manager(const struct ctl_event *item) {
    return str_eq_c(item->component, "kubelet")             ? STR("kubelet")
           : str_eq_c(item->component, "default-scheduler") ? STR("kube-scheduler")
                                                            : STR("kube-controller-manager");
}

static struct doc_value new_event(struct ctl_events *events, const struct ctl_event *item,
                                  struct str ns, struct str name) {
    struct arena *arena = events->arena;
    struct doc_value time = wl_time(arena, item->at), component = doc_make_str(item->component);
    struct doc_value source = wl_object(arena, NULL);
    bool newer = item->action.n > 0;
    if (!newer) {
        source = wl_object(arena, "component", component, NULL);
        if (item->host.n) {
            source = doc_with(arena, &source, doc_make_str(item->host), "host");
        }
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&out, "kind", DOC_S("Event"));
    doc_object_set_c(
        &out, "metadata",
        wl_object(arena, "name", doc_make_str(name), "namespace", doc_make_str(ns), NULL));
    doc_object_set_c(&out, "involvedObject", involved_object(arena, item));
    doc_object_set_c(&out, "reason", doc_make_str(item->reason));
    doc_object_set_c(&out, "message", doc_make_str(item->message));
    doc_object_set_c(&out, "source", source);
    doc_object_set_c(&out, "firstTimestamp", newer ? doc_null() : time);
    doc_object_set_c(&out, "lastTimestamp", newer ? doc_null() : time);
    if (!newer) {
        doc_object_set_c(&out, "count", doc_make_int(1));
    }
    doc_object_set_c(&out, "type", item->warning ? DOC_S("Warning") : DOC_S("Normal"));
    doc_object_set_c(&out, "eventTime",
                     newer ? doc_make_str(time_format_micro(arena, item->at)) : doc_null());
    if (newer) {
        doc_object_set_c(&out, "action", doc_make_str(item->action));
    }
    doc_object_set_c(&out, "reportingComponent", component);
    doc_object_set_c(&out, "reportingInstance",
                     newer ? wl_text(arena, "%.*s-skiff", STR_ARG(item->component))
                           : doc_make_str(item->host));
    return doc_object_done(&out);
}

struct ev_write {
    struct api_controllers *c;
    uint64_t key;
};

static void written(void *ctx, const struct kube_reply *reply) {
    const struct ev_write *write = ctx;
    struct ctl_events *events = write->c->events;
    if (!reply->error || !events) {
        return;
    }
    // Expired, or the namespace goes away: the next one begins a new series.
    struct ev_record *record = map_find(events->records, key_of(&write->key));
    if (record) {
        free(record->name);
        record->name = NULL;
    }
}

static void write_item(struct ctl_events *events, struct ctl_event *item) {
    struct arena *arena = events->arena;
    struct str ns = item->ns.n ? item->ns : STR("default");
    struct ev_record *series = series_of(events, item);
    struct kube_request request = {
        .gvr = wl_events, .ns = ns, .grace_seconds = -1, .field_manager = component_manager(item)};
    struct doc_value body;
    series->count = series->name ? series->count + 1 : 1;
    if (series->name) {
        struct doc_value count = doc_make_int(series->count);
        body = item->action.n
                   ? wl_object(arena, "series",
                               wl_object(arena, "count", count, "lastObservedTime",
                                         doc_make_str(time_format_micro(arena, item->at)), NULL),
                               NULL)
                   : wl_object(arena, "count", count, "lastTimestamp", wl_time(arena, item->at),
                               "message", doc_make_str(item->message), NULL);
        request.verb = KUBE_PATCH;
        request.patch = KUBE_PATCH_MERGE;
        request.name = str_from(series->name);
    } else {
        int64_t stamp = item->at > events->last_stamp ? item->at : events->last_stamp + 1;
        events->last_stamp = stamp;
        struct str name = arena_printf(arena, "%.*s.%llx", STR_ARG(str_first(item->name, 230)),
                                       (unsigned long long)stamp);
        series->name = xstrdup(name);
        body = new_event(events, item, ns, name);
        request.verb = KUBE_CREATE;
    }
    request.body = doc_to_json(arena, &body);
    struct ev_write *write = NEW(struct ev_write);
    *write = (struct ev_write){.c = events->c, .key = series->key};
    ctl_call_owned(events->c, &request, written, write);
}

static void refill(struct ctl_events *events) {
    int64_t now = loop_now(events->c->loop);
    int64_t more = (now - events->refilled) / (NS_PER_SECOND / RATE);
    if (more > 0) {
        events->tokens = events->tokens + more > BURST ? BURST : events->tokens + more;
        events->refilled += more * (NS_PER_SECOND / RATE);
    }
}

static void flush(void *ctx) {
    struct ctl_events *events = ctx;
    refill(events);
    for (int i = 0; i < GROUP && events->first && events->tokens > 0; i++) {
        struct ctl_event *item = events->first;
        events->first = item->next;
        events->last = events->first ? events->last : NULL;
        events->waiting--;
        arena_reset(events->arena);
        if (is_within_budget(events, item)) {
            events->tokens--;
            write_item(events, item);
        }
        item_free(item);
    }
    if (events->first) {
        loop_timer_start(events->flush, events->tokens > 0 ? FLUSH_DELAY : NS_PER_SECOND / 10);
    }
}

// ---- Life ----
void ctl_events_create(struct api_controllers *c, bool muted) {
    struct ctl_events *events = NEW(struct ctl_events);
    events->c = c;
    events->muted = muted;
    events->tokens = BURST;
    events->refilled = loop_now(c->loop);
    events->flush = loop_timer_create(c->loop, flush, events);
    events->records = map_create();
    events->arena = arena_create();
    c->events = events;
}

void ctl_events_destroy(struct api_controllers *c) {
    struct ctl_events *events = c->events;
    c->events = NULL;
    while (events->first) {
        struct ctl_event *item = events->first;
        events->first = item->next;
        item_free(item);
    }
    for (size_t i = 0; i < RECORDS; i++) {
        record_free(events->ring[i]);
    }
    map_destroy(events->records);
    loop_timer_destroy(events->flush);
    arena_destroy(events->arena);
    free(events);
}
