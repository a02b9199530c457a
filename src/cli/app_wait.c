// SPDX-License-Identifier: Apache-2.0
// `skiff app wait`, and the waiting of sync and rollback.
#include <stdio.h>

#include "base/map.h"
#include "base/timefmt.h"
#include "cli/app.h"

// ---- Is it there yet? ----
static bool operation_under_way(const struct doc_value *app) {
    const struct doc_value *state = doc_get(app, "status", "operationState");
    int64_t finished, reconciled;
    if (!doc_is_null(doc_get(app, "operation"))) {
        return true;
    }
    if (doc_is_null(state)) {
        return false;
    }
    if (!time_parse(doc_get_str(state, "finishedAt"), &finished)) {
        return true;
    }
    // The state after the operation is known once the controller has looked again.
    return !doc_bool(doc_get(state, "operation", "sync", "dryRun"), false) &&
           (!time_parse(doc_get_str(app, "status", "reconciledAt"), &reconciled) ||
            reconciled < finished);
}

static bool fits(const struct app_wait *wait, struct str sync, struct str health) {
    bool checks_health = wait->health || wait->suspended || wait->degraded;
    bool healthy = (wait->health && str_eq(health, STR("Healthy"))) ||
                   (wait->suspended && str_eq(health, STR("Suspended"))) ||
                   (wait->degraded && str_eq(health, STR("Degraded")));
    return (!wait->sync || str_eq(sync, STR("Synced"))) && (!checks_health || healthy);
}

bool app_wait_is_met(const struct doc_value *app, const struct app_wait *wait,
                     struct arena *arena) {
    if (!app || wait->gone) {
        return wait->gone && !app;
    }
    if (wait->operation && operation_under_way(app)) {
        return false;
    }
    if (wait->picks.count == 0) {
        return fits(wait, doc_get_str(app, "status", "sync", "status"),
                    doc_get_str(app, "status", "health", "status"));
    }
    size_t count;
    struct app_state *states = app_states(app, &wait->picks, arena, &count);
    for (size_t i = 0; i < count; i++) {
        if (!fits(wait, states[i].status, states[i].health)) {
            return false;
        }
    }
    return count > 0;
}

// ---- What is shown meanwhile ----
struct shown {
    struct str status, health, hook, message;
};

struct waiting {
    const struct app_wait *wait;
    struct connection *connection;
    struct arena *arena; // texts of `shown`
    struct map *shown;
    struct app_live live;
    bool is_quiet, is_live, has_head;
    struct arena *last_arena;
    struct doc_value last;
    bool has_last;
    struct err failure; // the wait cannot succeed any more
};

static bool take(struct waiting *w, struct str *old, struct str now) {
    if (now.n == 0 || str_eq(*old, now)) {
        return false;
    }
    *old = arena_dup(w->arena, now);
    return true;
}

static struct str now_text(struct waiting *w) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str text = out_time(arena, time_format(arena, loop_wall(w->connection->loop)));
    // "2026-11-23 18:54:05 +0000 UTC" as "2026-11-23T18:54:05+00:00"
    if (text.n < 25) {
        return STR("");
    }
    return arena_printf(w->arena, "%.10sT%.8s%.3s:%.2s", text.p, text.p + 11, text.p + 20,
                        text.p + 23);
}

// True when it became Degraded under our eyes.
static bool note_state(struct waiting *w, const struct app_state *state, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str key = arena_printf(arena, "%.*s/%.*s/%.*s/%.*s", STR_ARG(state->group),
                                  STR_ARG(state->kind), STR_ARG(state->ns), STR_ARG(state->name));
    struct shown *shown = map_find(w->shown, key);
    bool is_new = !shown, degraded = false;
    if (is_new) {
        shown = ARENA_NEW(w->arena, struct shown);
        map_put(w->shown, key, shown);
    } else {
        degraded = !str_eq(shown->health, STR("Degraded")) &&
                   !str_eq(shown->health, STR("Unknown")) && shown->health.n &&
                   str_eq(state->health, STR("Degraded"));
    }
    bool changed = take(w, &shown->status, state->status);
    changed |= take(w, &shown->health, state->health);
    changed |= take(w, &shown->hook, state->hook);
    changed |= take(w, &shown->message, state->message);
    if (is_new || changed) {
        struct app_state merged = *state;
        merged.status = shown->status;
        merged.health = shown->health;
        merged.hook = shown->hook;
        merged.message = shown->message;
        app_format_event(&merged, now_text(w), out);
    }
    return degraded;
}

static bool show(struct waiting *w, const struct doc_value *app) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf lines, text;
    buf_init(&lines, OUT_MAX);
    buf_init(&text, OUT_MAX);
    size_t count;
    bool degraded = false;
    struct app_state *states =
        app_states(app, w->wait->picks.count ? &w->wait->picks : NULL, arena, &count);
    if (!w->has_head) {
        w->has_head = true;
        app_format_events_head(&lines);
    }
    for (size_t i = 0; i < count; i++) {
        degraded |= note_state(w, &states[i], &lines);
    }
    out_columns(buf_str(&lines), 5, 2, &text);
    if (w->is_live) {
        app_live_draw(&w->live, app, w->wait->picks.count ? &w->wait->picks : NULL);
    } else if (!w->is_quiet) {
        out_print(&text);
        fflush(stdout);
    }
    return degraded;
}

static bool see(void *ctx, const struct doc_value *app) {
    struct waiting *w = ctx;
    AUTO(arena_destroy) struct arena *scratch = arena_create();
    w->has_last = app != NULL;
    if (app) {
        struct arena *arena = arena_create();
        w->last = doc_clone(arena, app);
        arena_destroy(w->last_arena);
        w->last_arena = arena;
    }
    if (app_wait_is_met(app, w->wait, scratch)) {
        return false;
    }
    if (!app) {
        err_set(&w->failure, ERR_NOT_FOUND, "the application was deleted meanwhile");
        return false;
    }
    if (show(w, app) && w->wait->health && !w->wait->degraded) {
        err_set(&w->failure, ERR_UNAVAILABLE, "a resource became Degraded");
        return false;
    }
    return true;
}

static bool print_final(struct connection *connection, const struct doc_value *app,
                        const struct app_wait *wait, struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (!out_is_document(wait->output)) {
        buf_add_char(&out, '\n');
        app_format_summary(app, app_url(connection, app, connection->arena), &out);
        buf_add_char(&out, '\n');
        if (wait->operation) {
            app_format_operation(app, loop_wall(connection->loop), &out);
        }
    }
    return app_print_body(connection, app, wait->output, &out, err) && out_print(&out);
}

bool app_wait_run(struct cli *cli, struct connection *connection, struct app_name name,
                  const struct app_wait *wait, struct doc_value *last, struct err *err) {
    bool is_quiet = out_is_document(wait->output);
    struct waiting w = {.wait = wait,
                        .connection = connection,
                        .arena = cli->arena,
                        .shown = map_create(),
                        .is_quiet = is_quiet,
                        .is_live = !is_quiet && out_is_terminal()};
    struct app_follow follow = {connection, name, wait->timeout_ns, see, &w};
    bool ok = app_follow(&follow, err);
    app_live_erase(&w.live);
    if (ok && w.failure.code != ERR_NONE) {
        *err = w.failure;
        ok = false;
    }
    if (!ok && err_is(err, ERR_TIMEOUT)) {
        if (!is_quiet) {
            printf("\nThis is the state of the app after wait timed out:\n"
                   "\nThe command timed out waiting for the conditions to be met.\n");
        }
        err_wrap(err, "application \"%.*s\" is not in the state that was waited for",
                 STR_ARG(name.name));
    }
    struct err print_error = {0};
    *last = w.has_last ? doc_clone(connection->arena, &w.last) : doc_null();
    if (!w.has_last && ok && !is_quiet) {
        printf("Application '%.*s/%.*s' deleted\n", STR_ARG(name.ns), STR_ARG(name.name));
    } else if (w.has_last && !print_final(connection, last, wait, &print_error) && ok) {
        *err = print_error;
        ok = false;
    }
    arena_destroy(w.last_arena);
    map_destroy(w.shown);
    return ok;
}

// ---- The command ----
static int run(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct app_wait wait = {.output = STR("wide")};
    struct app_choice choice = {{NULL, 0}, NULL};
    struct cli_list resources = {{0}};
    int64_t timeout = 0;
    struct cli_option options[] = {
        {"sync", 0, CLI_FLAG, &wait.sync, NULL, "Wait until it is Synced."},
        {"health", 0, CLI_FLAG, &wait.health, NULL, "Wait until it is Healthy."},
        {"suspended", 0, CLI_FLAG, &wait.suspended, NULL, "Wait until it is Suspended."},
        {"degraded", 0, CLI_FLAG, &wait.degraded, NULL, "Wait until it is Degraded."},
        {"delete", 0, CLI_FLAG, &wait.gone, NULL, "Wait until it is gone."},
        {"operation", 0, CLI_FLAG, &wait.operation, NULL, "Wait until no operation is under way."},
        {"resource", 0, CLI_LIST, &resources, "GROUP:KIND:NAME",
         "Look only at these resources; \"!\" in front leaves one out, \"*\" matches all."},
        {"timeout", 0, CLI_NUMBER, &timeout, "SECONDS",
         "Give up after so long (default 0: never)."},
        {"selector", 'l', CLI_TEXT, &choice.selector, "SELECTOR",
         "All applications with these labels."},
        {"output", 'o', CLI_TEXT, &wait.output, "FORMAT",
         "wide, tree, tree=detailed, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct connection connection = {0};
    struct app_names names = {{0}};
    if (!wait.sync && !wait.health && !wait.suspended && !wait.degraded && !wait.gone &&
        !wait.operation) {
        wait.sync = wait.health = wait.operation = true;
    }
    wait.timeout_ns = timeout * NS_PER_SECOND;
    bool ok = timeout >= 0 && timeout < INT32_MAX
                  ? true
                  : err_set(&err, ERR_USAGE, "--timeout takes seconds, 0 for none");
    ok = ok && app_check_output(wait.output, &err) &&
         app_picks_parse(&resources, cli->arena, &wait.picks, &err) &&
         connection_open(&connection, cli, &settings, &err) &&
         app_choose(&connection, words, argv, &choice, &names, &err);
    for (size_t i = 0; ok && i < names.items.len; i++) {
        struct doc_value last;
        ok = app_wait_run(cli, &connection, names.items.items[i], &wait, &last, &err);
    }
    connection_close(&connection);
    VEC_FREE(&names.items);
    VEC_FREE(&resources.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_wait = {
    .name = "wait",
    .summary = "Wait until applications are synced, healthy, gone, ...",
    .usage = "NAME... [--sync] [--health] [--operation] [--timeout SECONDS]",
    .about = "Without a condition it waits for --sync, --health and --operation together. Several "
             "conditions must hold at\n"
             "the same time; of --health, --suspended and --degraded one is enough. The "
             "application is watched, not\n"
             "asked again and again. Exit code 20 when the time is over, or when a resource "
             "becomes Degraded while\n"
             "--health is waited for.",
    .examples = "  skiff app wait shop --timeout 120\n"
                "  skiff app wait shop --health --resource apps:Deployment:web\n"
                "  skiff app wait -l team=red --sync\n"
                "  skiff app wait shop --delete",
    .run = run,
};
