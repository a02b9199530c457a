// SPDX-License-Identifier: Apache-2.0
// Following one application: read it, then watch from that version on. A watch that ends starts again with a read, so
// nothing is missed; each state is handed on whole.
#include "cli/app.h"

#include "base/timefmt.h"

enum { PATIENCE = 30 }; // failures in a row, a second apart

struct following {
    const struct app_follow *follow;
    struct connection *connection;
    bool is_enough, timed_out;
    bool watch_ended;
    struct err error;         // of the last failure
    struct loop_timer *timer; // NULL: no limit
    int64_t deadline_ns;
};

static void stop(void *ctx) {
    loop_stop(((struct following *)ctx)->connection->loop);
}

static void time_out(void *ctx) {
    struct following *f = ctx;
    f->timed_out = true;
    stop(f);
}

static void on_event(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    struct following *f = ctx;
    (void)blob;
    if (f->is_enough || f->timed_out || event == KUBE_BOOKMARK || event == KUBE_ERROR) {
        return; // an error event is followed by the end of the watch
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value app;
    struct err err = {0};
    if (!doc_parse_json(object, arena, &app, &err) ||
        !str_eq(doc_get_str(&app, "metadata", "name"), f->follow->name.name)) {
        return;
    }
    f->is_enough = !f->follow->see(f->follow->ctx, event == KUBE_DELETED ? NULL : &app);
    if (f->is_enough) {
        stop(f);
    }
}

static void on_end(void *ctx, const struct err *error) {
    struct following *f = ctx;
    f->watch_ended = true;
    if (error) {
        f->error = *error;
    }
    stop(f);
}

static void pause_loop(struct following *f, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(f->connection->loop, stop, f);
    loop_timer_start(timer, ns);
    loop_run(f->connection->loop);
    loop_timer_destroy(timer);
}

// One read and one watch; false with err when the read failed.
static bool round_of(struct following *f, struct err *err) {
    struct doc_value app;
    struct connection inner = *f->connection;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    inner.arena = arena;
    if (!connection_get(&inner, cli_applications, f->follow->name.ns, f->follow->name.name, &app,
                        err)) {
        if (!err_is(err, ERR_NOT_FOUND)) {
            return false;
        }
        f->is_enough = !f->follow->see(f->follow->ctx, NULL);
        return f->is_enough || err_set(err, ERR_NOT_FOUND, "application \"%.*s\" is gone",
                                       STR_ARG(f->follow->name.name));
    }
    if (!f->follow->see(f->follow->ctx, &app)) {
        f->is_enough = true;
        return true;
    }
    struct kube_watch_request request = {
        .gvr = cli_applications,
        .ns = f->follow->name.ns,
        .field_selector = arena_printf(arena, "metadata.name=%.*s", STR_ARG(f->follow->name.name)),
        .resource_version = doc_get_str(&app, "metadata", "resourceVersion")};
    struct kube_watch_handler handler = {on_event, on_end, f};
    struct kube_client *client = f->connection->client;
    f->watch_ended = false;
    // Only the watch may be cut short: a call that is left early would answer to a frame that is gone.
    if (f->timer) {
        int64_t left = f->deadline_ns - loop_now(f->connection->loop);
        loop_timer_start(f->timer, left > 0 ? left : 0);
    }
    uint64_t id = client->ops->watch(client, &request, &handler);
    loop_run(f->connection->loop);
    if (f->timer) {
        loop_timer_stop(f->timer);
    }
    if (!f->watch_ended) {
        client->ops->cancel(client, id);
        while (!f->watch_ended) {
            loop_run(f->connection->loop);
        }
    }
    return true;
}

static bool is_final(const struct err *err) {
    return err->code == ERR_NOT_FOUND || err->code == ERR_FORBIDDEN ||
           err->code == ERR_UNAUTHORIZED || err->code == ERR_INVALID;
}

bool app_follow(const struct app_follow *follow, struct err *err) {
    struct following f = {.follow = follow, .connection = follow->connection};
    bool ok = true;
    if (follow->timeout_ns) {
        f.timer = loop_timer_create(follow->connection->loop, time_out, &f);
        f.deadline_ns = loop_now(follow->connection->loop) + follow->timeout_ns;
    }
    for (int failures = 0; ok && !f.is_enough && !f.timed_out;) {
        struct err failure = {0};
        if (round_of(&f, &failure)) {
            failures = 0;
            if (!f.is_enough && !f.timed_out) {
                pause_loop(&f,
                           50 * NS_PER_MS); // a server that ends watches at once is not hammered
            }
            continue;
        }
        if (is_final(&failure) || ++failures >= PATIENCE) {
            ok = false;
            *err = failure;
        } else if (!f.timed_out) {
            pause_loop(&f, NS_PER_SECOND);
        }
    }
    loop_timer_destroy(f.timer);
    if (ok && !f.is_enough) {
        return err_set(err, ERR_TIMEOUT, "timed out (%lld s)",
                       (long long)(follow->timeout_ns / NS_PER_SECOND));
    }
    return ok;
}

// ---- Refresh ----
#define REFRESH_ANNOTATION "argocd.argoproj.io/refresh"

static bool still_refreshing(void *ctx, const struct doc_value *app) {
    (void)ctx;
    return app && doc_get(app, "metadata", "annotations", REFRESH_ANNOTATION);
}

bool app_refresh(struct connection *connection, struct app_name name, bool hard, int64_t timeout_ns,
                 struct err *err) {
    struct arena *arena = connection->arena;
    struct doc_value empty = doc_null(), ignored;
    struct doc_value patch = doc_with(arena, &empty, hard ? DOC_S("hard") : DOC_S("normal"),
                                      "metadata", "annotations", REFRESH_ANNOTATION);
    struct app_follow follow = {.connection = connection,
                                .name = name,
                                .timeout_ns = timeout_ns ? timeout_ns : 60 * NS_PER_SECOND,
                                .see = still_refreshing};
    if (!app_patch(connection, name, patch, &ignored, err)) {
        return false;
    }
    if (!app_follow(&follow, err)) {
        return err_is(err, ERR_TIMEOUT)
                   ? err_set(err, ERR_TIMEOUT,
                             "the controller has not refreshed the application: is one running?")
                   : false;
    }
    return true;
}
