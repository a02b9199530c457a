// SPDX-License-Identifier: Apache-2.0
// The newest events, so that a watch can resume and a list can be continued at an older revision. Bounded by number and
// by bytes; who comes later than that gets 410 and lists again.
#include "apiserver/core.h"

static size_t event_cost(const struct api_event *event) {
    // The newer text is usually shared with the index, so only the older one is counted in full.
    return sizeof(struct api_event) + event->key_len + (event->before ? event->before->len : 0) +
           (event->type == KUBE_DELETED && event->object ? event->object->len : 0);
}

static void event_destroy(struct api_event *event) {
    blob_unref(event->object);
    blob_unref(event->before);
    blob_unref(event->line);
    free(event);
}

static void drop_oldest(struct api_history *history) {
    struct api_event *event = api_history_at(history, 0);
    history->compacted = event->revision;
    history->bytes -= event_cost(event);
    history->first = (history->first + 1) & (history->cap - 1);
    history->len--;
    event_destroy(event);
}

static void grow(struct api_history *history) {
    size_t cap = history->cap ? history->cap * 2 : 64;
    struct api_event **ring = xcalloc(cap, sizeof(struct api_event *));
    for (size_t i = 0; i < history->len; i++) {
        ring[i] = api_history_at(history, i);
    }
    free(history->ring);
    history->ring = ring;
    history->cap = cap;
    history->first = 0;
}

// Does not trim: the events of a commit are added in a row and published afterwards.
void api_history_add(struct apiserver *server, struct api_event *event) {
    struct api_history *history = &server->history;
    if (history->len == history->cap) {
        grow(history);
    }
    history->ring[(history->first + history->len) & (history->cap - 1)] = event;
    history->len++;
    history->bytes += event_cost(event);
}

void api_history_trim(struct apiserver *server) {
    struct api_history *history = &server->history;
    while (history->len &&
           (history->len > APISERVER_HISTORY_EVENTS || history->bytes > APISERVER_HISTORY_BYTES)) {
        drop_oldest(history);
    }
}

void api_history_clear(struct api_history *history) {
    while (history->len) {
        drop_oldest(history);
    }
    free(history->ring);
    *history = (struct api_history){0};
}

size_t api_history_after(const struct api_history *history, int64_t revision) {
    size_t low = 0;
    size_t high = history->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (api_history_at(history, middle)->revision <= revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
