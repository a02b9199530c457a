// SPDX-License-Identifier: Apache-2.0
// Groups of changes on their way to the disk. While one group is being committed the next one collects, so the number of
// commits follows the speed of the disk and not the number of writers. See core.h for what becomes visible when.
#include "apiserver/auth_account.h"
#include "apiserver/authz.h"

#include "base/log.h"

static void flush(struct apiserver *server);

int64_t api_next_revision(struct apiserver *server) {
    return ++server->revision;
}

static struct api_group *open_group(struct apiserver *server) {
    if (!server->open) {
        server->open = NEW(struct api_group);
        server->open->server = server;
        server->open->arena = arena_create();
    }
    if (!server->flush_posted && !server->committing) {
        // At the end of the turn, so that all requests of one turn share a commit.
        server->flush_posted = true;
        api_post(server, flush);
    }
    return server->open;
}

static void group_destroy(struct api_group *group) {
    for (size_t i = 0; i < group->changes.len; i++) {
        struct api_change *change = group->changes.items[i];
        blob_unref(change->before);
        blob_unref(change->after);
        blob_unref(change->last);
    }
    VEC_FREE(&group->changes);
    VEC_FREE(&group->waiting);
    arena_destroy(group->arena);
    free(group);
}

void api_change_record(struct apiserver *server, struct api_entry *entry, int64_t revision,
                       struct blob *after, struct blob *last) {
    struct api_group *group = open_group(server);
    struct api_change *change = ARENA_NEW(group->arena, struct api_change);
    change->entry = entry;
    bool existed = !entry->deleted && entry->revision > 0;
    if (existed) {
        // Every verb reads the text before it changes it, so this does not touch the disk.
        struct err err = {0};
        change->before = api_entry_text(entry, &err);
        CHECK(change->before != NULL);
    }
    change->revision_before = entry->revision;
    change->revision = revision;
    change->after = after ? blob_ref(after) : NULL;
    change->last = last ? blob_ref(last) : NULL;
    struct api_change **tail = &entry->pending;
    while (*tail) {
        tail = &(*tail)->next_same;
    }
    *tail = change;
    entry->revision = revision;
    entry->deleted = after == NULL;
    api_entry_set_text(entry, after);
    api_addresses_changed(server, change);
    VEC_PUSH(&group->changes, change);
    group->revision = revision;
}

void api_wait_for_commit(struct apiserver *server, struct api_op *op) {
    struct api_group *group = server->open ? server->open : server->committing;
    if (!group) {
        api_op_ready(op);
        return;
    }
    op->waiting = true;
    VEC_PUSH(&group->waiting, op);
}

// ---- After a commit ----
static struct api_event *event_of(const struct api_change *change) {
    const struct api_entry *entry = change->entry;
    struct api_event *event = xcalloc(1, sizeof(struct api_event) + entry->key_len + 1);
    event->revision = change->revision;
    event->collection = entry->collection;
    event->type = !change->before ? KUBE_ADDED : !change->after ? KUBE_DELETED : KUBE_MODIFIED;
    struct blob *object = change->after ? change->after : change->last;
    event->object = object ? blob_ref(object) : NULL;
    event->before = change->before ? blob_ref(change->before) : NULL;
    event->ns_len = entry->ns_len;
    event->key_len = entry->key_len;
    memcpy(event->key, entry->key, entry->key_len);
    return event;
}

static void settle(struct apiserver *server, struct api_group *group) {
    for (size_t i = 0; i < group->changes.len; i++) {
        struct api_change *change = group->changes.items[i];
        struct api_entry *entry = change->entry;
        entry->collection->changed = change->revision;
        api_history_add(server, event_of(change));
        entry->pending = change->next_same;
        if (entry->deleted && !entry->pending) {
            api_entry_remove(entry);
        }
    }
    server->durable = group->revision;
}

static void publish(struct apiserver *server, size_t count) {
    // Commits never nest, so nobody adds to the history meanwhile.
    struct api_history *history = &server->history;
    for (size_t i = history->len - count; i < history->len; i++) {
        struct api_event *event = api_history_at(history, i);
        const struct api_collection *collection = event->collection;
        if (str_eq(collection->group, STR("apiextensions.k8s.io")) &&
            str_eq(collection->plural, STR("customresourcedefinitions"))) {
            api_crd_committed(server, event);
        }
        api_chain_committed(server, event);
        if (server->accounts) {
            api_accounts_committed(server, event);
        }
        if (server->authz && str_eq(collection->group, AUTHZ_GROUP)) {
            api_authz_committed(server, event);
        }
        api_watch_dispatch(server, event);
    }
    api_history_trim(server);
}

// ---- After a failed commit ----
static void undo(struct api_group *group) {
    for (size_t i = group->changes.len; i-- > 0;) {
        struct api_change *change = group->changes.items[i];
        struct api_entry *entry = change->entry;
        entry->revision = change->revision_before;
        entry->deleted = change->before == NULL;
        api_entry_set_text(entry, change->before);
        if (entry->pending == change) {
            entry->pending = NULL;
            if (entry->deleted) {
                api_entry_remove(entry);
            }
        } else {
            // The change before it in the chain becomes the last.
            struct api_change *at = entry->pending;
            while (at->next_same != change) {
                at = at->next_same;
            }
            at->next_same = NULL;
        }
    }
}

static void fail_waiting(struct api_group *group, const struct err *error) {
    for (size_t i = 0; i < group->waiting.len; i++) {
        struct api_op *op = group->waiting.items[i];
        if (op->error.status == 0) {
            if (error->code == ERR_FULL) {
                api_error_set(&op->error, op->arena, 507, "InsufficientStorage",
                              "storage is full: %s; nothing was changed, free space and try again",
                              error->message);
            } else {
                api_error_set(&op->error, op->arena, 500, "InternalError",
                              "Internal error occurred: the storage failed: %s", error->message);
            }
            api_op_fill_error(op);
        }
    }
}

static void release_waiting(struct api_group *group) {
    for (size_t i = 0; i < group->waiting.len; i++) {
        group->waiting.items[i]->waiting = false;
        api_op_ready(group->waiting.items[i]);
    }
    group->waiting.len = 0;
}

static void committed(void *ctx, const struct err *error) {
    struct api_group *group = ctx;
    struct apiserver *server = group->server;
    if (!server) {
        group_destroy(group);
        return;
    }
    server->committing = NULL;
    if (error) {
        LOG(LOG_ERROR, "apiserver", "commit failed", "error", error->message);
        struct api_group *next = server->open;
        server->open = NULL;
        api_addresses_drop(server);
        if (next) {
            undo(next);
        }
        undo(group);
        fail_waiting(group, error);
        release_waiting(group);
        if (next) {
            fail_waiting(next, error);
            release_waiting(next);
            group_destroy(next);
        }
        group_destroy(group);
        api_cache_trim(server);
        return;
    }
    if (server->metrics && server->commit_seconds) {
        metric_observe(server->commit_seconds, NULL,
                       (double)(loop_now(server->loop) - server->commit_started) / 1e9);
    }
    settle(server, group);
    if (server->open) {
        flush(server); // keep the disk busy while the callbacks run
    }
    release_waiting(group);
    size_t count = group->changes.len;
    group_destroy(group);
    publish(server, count);
    api_cache_trim(server);
}

static struct store_change *store_changes(struct api_group *group) {
    struct store_change *out =
        ARENA_ARRAY(group->arena, group->changes.len + 1, struct store_change);
    for (size_t i = 0; i < group->changes.len; i++) {
        const struct api_change *change = group->changes.items[i];
        const struct api_collection *collection = change->entry->collection;
        out[i].key =
            arena_concat(group->arena, (struct str){collection->prefix, collection->prefix_len},
                         api_entry_key(change->entry));
        out[i].value = change->after;
        out[i].revision = change->revision;
    }
    return out;
}

static void flush(struct apiserver *server) {
    server->flush_posted = false;
    if (server->committing || !server->open) {
        return;
    }
    struct api_group *group = server->open;
    server->open = NULL;
    server->committing = group;
    server->commit_started = loop_now(server->loop);
    group->store_changes = store_changes(group);
    server->store->ops->commit(server->store, group->store_changes, group->changes.len, committed,
                               group);
}

// The replies of what was under way are the owner's business (op.c); a commit under way finishes by itself.
void api_groups_destroy(struct apiserver *server) {
    if (server->committing) {
        server->committing->server = NULL;
        server->committing->waiting.len = 0;
        server->committing = NULL;
    }
    if (server->open) {
        group_destroy(server->open);
        server->open = NULL;
    }
}
