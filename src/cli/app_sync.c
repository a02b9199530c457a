// SPDX-License-Identifier: Apache-2.0
// `skiff app sync`, `rollback` and `terminate-op`: each writes the wish for an operation (or its end) into the
// Application; the controller does the work, and the command follows it.
#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "cli/app.h"

enum { WRITE_ATTEMPTS = 5 };

struct sync_settings {
    struct app_choice choice;
    struct cli_list projects, resources, infos;
    struct str revision, strategy, output, retry_duration, retry_max_duration;
    bool prune, dry_run, force, replace, server_side, apply_out_of_sync_only, async, all;
    int64_t timeout, retry_limit, retry_factor;
    struct app_picks picks;
};

static struct str user_name(void) {
    const char *user = getenv("USER");
    return user && user[0] ? str_from(user) : STR("skiff");
}

// ---- The operation ----
static bool add_resources(struct connection *c, const struct doc_value *app,
                          const struct app_picks *picks, struct doc_object *sync, struct err *err) {
    struct doc_array list = doc_array_start(c->arena);
    for (DOC_EACH_ITEM(doc_get(app, "status", "resources"), resource)) {
        struct str group = doc_get_str(resource, "group"), kind = doc_get_str(resource, "kind");
        struct str ns = doc_get_str(resource, "namespace"), name = doc_get_str(resource, "name");
        if (!app_picks_match(picks, group, kind, ns, name)) {
            continue;
        }
        struct doc_object item = doc_object_start(c->arena);
        if (group.n) {
            doc_object_set_c(&item, "group", doc_make_str(group));
        }
        doc_object_set_c(&item, "kind", doc_make_str(kind));
        doc_object_set_c(&item, "name", doc_make_str(name));
        if (ns.n) {
            doc_object_set_c(&item, "namespace", doc_make_str(ns));
        }
        doc_array_add(&list, doc_object_done(&item));
    }
    struct doc_value resources = doc_array_done(&list);
    if (doc_len(&resources) == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "none of the application's resources is named by --resource; \"app "
                       "resources\" shows them");
    }
    doc_object_set_c(sync, "resources", resources);
    return true;
}

static void add_option(struct doc_array *options, bool given, const char *text) {
    if (given) {
        doc_array_add(options, doc_make_str(str_from(text)));
    }
}

static void add_sync_options(struct connection *c, const struct doc_value *app,
                             const struct sync_settings *s, struct doc_object *sync) {
    struct doc_array options = doc_array_start(c->arena);
    add_option(&options, s->replace, "Replace=true");
    add_option(&options, s->server_side, "ServerSideApply=true");
    add_option(&options, s->apply_out_of_sync_only, "ApplyOutOfSyncOnly=true");
    if (options.len == 0) {
        return; // those of the Application hold
    }
    for (DOC_EACH_ITEM(doc_get(app, "spec", "syncPolicy", "syncOptions"), option)) {
        doc_array_add(&options, *option);
    }
    doc_object_set_c(sync, "syncOptions", doc_array_done(&options));
}

static struct doc_value retry_of(struct connection *c, const struct sync_settings *s) {
    struct doc_object backoff = doc_object_start(c->arena), retry = doc_object_start(c->arena);
    doc_object_set_c(&backoff, "duration", doc_make_str(s->retry_duration));
    doc_object_set_c(&backoff, "factor", doc_make_int(s->retry_factor));
    doc_object_set_c(&backoff, "maxDuration", doc_make_str(s->retry_max_duration));
    doc_object_set_c(&retry, "backoff", doc_object_done(&backoff));
    doc_object_set_c(&retry, "limit", doc_make_int(s->retry_limit));
    return doc_object_done(&retry);
}

static bool add_infos(struct connection *c, const struct cli_list *infos,
                      struct doc_object *operation, struct err *err) {
    struct doc_array list = doc_array_start(c->arena);
    for (size_t i = 0; i < infos->items.len; i++) {
        struct str name, value;
        if (!str_cut(infos->items.items[i], '=', &name, &value)) {
            return err_set(err, ERR_USAGE, "--info is written NAME=VALUE, not \"%.*s\"",
                           STR_ARG(infos->items.items[i]));
        }
        struct doc_object item = doc_object_start(c->arena);
        doc_object_set_c(&item, "name", doc_make_str(name));
        doc_object_set_c(&item, "value", doc_make_str(value));
        doc_array_add(&list, doc_object_done(&item));
    }
    if (list.len) {
        doc_object_set_c(operation, "info", doc_array_done(&list));
    }
    return true;
}

static bool make_operation(struct connection *c, const struct doc_value *app,
                           const struct sync_settings *s, struct doc_value *out, struct err *err) {
    struct doc_object sync = doc_object_start(c->arena), operation = doc_object_start(c->arena);
    struct doc_object by = doc_object_start(c->arena), strategy = doc_object_start(c->arena);
    struct doc_object how = doc_object_start(c->arena);
    struct str target = doc_get_str(app_first_source(app), "targetRevision");
    if (s->revision.n && app_is_automated(app) && !s->dry_run &&
        !str_eq(s->revision, target.n ? target : STR("HEAD"))) {
        return err_set(err, ERR_INVALID,
                       "cannot sync to %.*s: the application syncs itself to %.*s; turn that off "
                       "first with \"app set "
                       "NAME --sync-policy none\"",
                       STR_ARG(s->revision), STR_ARG(target.n ? target : STR("HEAD")));
    }
    if (s->revision.n) {
        doc_object_set_c(&sync, "revision", doc_make_str(s->revision));
    }
    if (s->prune) {
        doc_object_set_c(&sync, "prune", doc_make_bool(true));
    }
    if (s->dry_run) {
        doc_object_set_c(&sync, "dryRun", doc_make_bool(true));
    }
    if (s->picks.count && !add_resources(c, app, &s->picks, &sync, err)) {
        return false;
    }
    if (s->force) {
        doc_object_set_c(&how, "force", doc_make_bool(true));
    }
    doc_object_set_c(&strategy, str_eq(s->strategy, STR("apply")) ? "apply" : "hook",
                     doc_object_done(&how));
    doc_object_set_c(&sync, "syncStrategy", doc_object_done(&strategy));
    add_sync_options(c, app, s, &sync);
    doc_object_set_c(&by, "username", doc_make_str(user_name()));
    doc_object_set_c(&operation, "initiatedBy", doc_object_done(&by));
    doc_object_set_c(&operation, "sync", doc_object_done(&sync));
    if (s->retry_limit) {
        doc_object_set_c(&operation, "retry", retry_of(c, s));
    }
    if (!add_infos(c, &s->infos, &operation, err)) {
        return false;
    }
    *out = doc_object_done(&operation);
    return true;
}

static bool is_busy(const struct doc_value *app) {
    const struct doc_value *state = doc_get(app, "status", "operationState");
    struct str phase = doc_get_str(state, "phase");
    return !doc_is_null(doc_get(app, "operation")) || str_eq(phase, STR("Running")) ||
           str_eq(phase, STR("Terminating"));
}

// Reads, makes the operation and writes it, unless another writer was faster; then again.
static bool start_operation(struct connection *c, struct app_name name,
                            bool (*make)(struct connection *c, const struct doc_value *app,
                                         const void *ctx, struct doc_value *out, struct err *err),
                            const void *ctx, struct err *err) {
    for (int i = 0; i < WRITE_ATTEMPTS; i++) {
        struct doc_value app, operation, empty = doc_null(), patched;
        if (!app_fetch(c, name, &app, err)) {
            return false;
        }
        if (is_busy(&app)) {
            return err_set(err, ERR_CONFLICT,
                           "another operation is in progress; wait for it (app wait NAME "
                           "--operation) or end it (app "
                           "terminate-op NAME)");
        }
        if (!make(c, &app, ctx, &operation, err)) {
            return false;
        }
        struct doc_value patch =
            doc_with(c->arena, &empty, *doc_get(&app, "metadata", "resourceVersion"), "metadata",
                     "resourceVersion");
        patch = doc_with(c->arena, &patch, operation, "operation");
        if (app_patch(c, name, patch, &patched, err)) {
            return true;
        }
        if (!err_is(err, ERR_CONFLICT)) {
            return false;
        }
        *err = (struct err){0};
    }
    return err_set(err, ERR_CONFLICT, "somebody else keeps changing the application; try again");
}

static bool make_sync(struct connection *c, const struct doc_value *app, const void *ctx,
                      struct doc_value *out, struct err *err) {
    return make_operation(c, app, ctx, out, err);
}

// ---- What came of it ----
static unsigned pruning_required(const struct doc_value *app) {
    unsigned count = 0;
    for (DOC_EACH_ITEM(doc_get(app, "status", "operationState", "syncResult", "resources"),
                       result)) {
        count += str_eq(doc_get_str(result, "status"), STR("PruneSkipped"));
    }
    return count;
}

static int judge(struct cli *cli, struct app_name name, const struct doc_value *app, bool whole) {
    struct str phase = doc_get_str(app, "status", "operationState", "phase");
    if (!str_eq(phase, STR("Succeeded"))) {
        return cli_fail(cli, EXIT_DIFFERENT,
                        "application \"%.*s\": the operation ended as %.*s: %.*s",
                        STR_ARG(name.name), STR_ARG(phase),
                        STR_ARG(doc_get_str(app, "status", "operationState", "message")));
    }
    unsigned left = pruning_required(app);
    if (whole && left && !str_eq(doc_get_str(app, "status", "sync", "status"), STR("Synced"))) {
        return cli_fail(cli, EXIT_DIFFERENT,
                        "%u resources require pruning: sync again with --prune", left);
    }
    return EXIT_DONE;
}

static int sync_one(struct cli *cli, struct connection *c, struct app_name name,
                    const struct sync_settings *s, struct err *err) {
    if (!start_operation(c, name, make_sync, s, err)) {
        return EXIT_ERROR;
    }
    if (s->async) {
        return EXIT_DONE;
    }
    struct doc_value last;
    struct app_wait wait = {
        .operation = true, .timeout_ns = s->timeout * NS_PER_SECOND, .output = s->output};
    if (!app_wait_run(cli, c, name, &wait, &last, err)) {
        return EXIT_ERROR;
    }
    return judge(cli, name, &last, s->picks.count == 0 && !s->dry_run);
}

static bool check(struct sync_settings *s, struct arena *arena, struct err *err) {
    int64_t ns;
    if (s->strategy.n && !str_eq(s->strategy, STR("hook")) && !str_eq(s->strategy, STR("apply"))) {
        return err_set(err, ERR_USAGE, "--strategy is apply or hook");
    }
    if (s->timeout < 0 || s->timeout > INT32_MAX || s->retry_factor < 1) {
        return err_set(err, ERR_USAGE,
                       "--timeout takes seconds, --retry-backoff-factor at least 1");
    }
    return duration_parse(s->retry_duration, &ns, err) &&
           duration_parse(s->retry_max_duration, &ns, err) && app_check_output(s->output, err) &&
           app_picks_parse(&s->resources, arena, &s->picks, err);
}

static int run_all(struct cli *cli, const struct connection_settings *settings,
                   struct sync_settings *s, int argc, char **argv) {
    struct err err = {0};
    struct connection c = {0};
    struct app_names names = {{0}};
    int code = EXIT_DONE;
    s->choice.projects = &s->projects;
    bool ok = check(s, cli->arena, &err) && connection_open(&c, cli, settings, &err);
    if (ok && s->all && argc == 0) {
        struct app_list apps;
        ok = app_fetch_all(&c, s->choice.selector, &apps, &err);
        for (size_t i = 0; ok && i < apps.count; i++) {
            VEC_PUSH(&names.items, app_name_of(&apps.items[i]));
        }
    } else if (ok) {
        ok = app_choose(&c, argc, argv, &s->choice, &names, &err);
    }
    if (!ok) {
        code = cli_fail_err(cli, &err);
    }
    for (size_t i = 0; ok && i < names.items.len; i++) {
        int result = sync_one(cli, &c, names.items.items[i], s, &err);
        if (result == EXIT_ERROR) {
            result = cli_fail_err(cli, &err);
        }
        code = result > code ? result : code; // go on with the others, tell of the worst
    }
    connection_close(&c);
    VEC_FREE(&names.items);
    return code;
}

static int run_sync(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct sync_settings s = {.output = STR("wide"),
                              .retry_duration = STR("5s"),
                              .retry_max_duration = STR("3m0s"),
                              .retry_factor = 2};
    struct cli_option options[] = {
        {"revision", 0, CLI_TEXT, &s.revision, "REV", "Sync to this branch, tag or commit."},
        {"prune", 0, CLI_FLAG, &s.prune, NULL, "Delete what Git no longer has."},
        {"dry-run", 0, CLI_FLAG, &s.dry_run, NULL,
         "Let the cluster check everything, change nothing."},
        {"force", 0, CLI_FLAG, &s.force, NULL,
         "Delete and create again where a change is refused."},
        {"replace", 0, CLI_FLAG, &s.replace, NULL, "Replace objects instead of applying."},
        {"server-side", 0, CLI_FLAG, &s.server_side, NULL, "Apply on the server."},
        {"apply-out-of-sync-only", 0, CLI_FLAG, &s.apply_out_of_sync_only, NULL,
         "Touch only resources that are OutOfSync."},
        {"resource", 0, CLI_LIST, &s.resources, "GROUP:KIND:NAME",
         "Only these resources; \"!\" in front leaves one out, \"*\" matches all."},
        {"strategy", 0, CLI_TEXT, &s.strategy, "NAME", "hook (default), or apply: without hooks."},
        {"info", 0, CLI_LIST, &s.infos, "NAME=VALUE", "Noted in the operation; may be repeated."},
        {"selector", 'l', CLI_TEXT, &s.choice.selector, "SELECTOR",
         "All applications with these labels."},
        {"project", 0, CLI_LIST, &s.projects, "NAME",
         "All applications of this project; may be repeated."},
        {"all", 0, CLI_FLAG, &s.all, NULL, "All applications."},
        {"async", 0, CLI_FLAG, &s.async, NULL, "Do not wait for the end."},
        {"timeout", 0, CLI_NUMBER, &s.timeout, "SECONDS",
         "Give up waiting after so long (default 0: never)."},
        {"retry-limit", 0, CLI_NUMBER, &s.retry_limit, "N",
         "Try again so often when it fails (default 0)."},
        {"retry-backoff-duration", 0, CLI_TEXT, &s.retry_duration, "DURATION",
         "First pause (default 5s)."},
        {"retry-backoff-factor", 0, CLI_NUMBER, &s.retry_factor, "N",
         "Growth of the pause (default 2)."},
        {"retry-backoff-max-duration", 0, CLI_TEXT, &s.retry_max_duration, "DURATION",
         "Longest pause (default 3m0s)."},
        {"output", 'o', CLI_TEXT, &s.output, "FORMAT",
         "wide, tree, tree=detailed, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    code = run_all(cli, &settings, &s, words, argv);
    VEC_FREE(&s.projects.items);
    VEC_FREE(&s.resources.items);
    VEC_FREE(&s.infos.items);
    return code;
}

const struct cli_command cli_app_sync = {
    .name = "sync",
    .summary = "Make the cluster equal to Git, and wait until it is.",
    .usage = "NAME... | -l SELECTOR | --project NAME | --all  [--prune] [--revision REV]",
    .about = "Exit code 1 when the operation failed or objects are left that only --prune removes, "
             "20 when it could not be\n"
             "started or the time was over.",
    .examples = "  skiff app sync shop\n"
                "  skiff app sync shop --revision v1.2.0 --prune\n"
                "  skiff app sync shop --resource apps:Deployment:web\n"
                "  skiff app sync --all --async",
    .run = run_sync,
};

// ---- rollback ----
struct rollback {
    struct str id_text;
    bool prune;
};

static const struct doc_value *find_entry(const struct doc_value *app, struct str id_text,
                                          struct err *err) {
    const struct doc_value *history = doc_get(app, "status", "history");
    int64_t id;
    if (id_text.n == 0) {
        if (doc_len(history) < 2) {
            err_set(err, ERR_NOT_FOUND, "the application has no deployment before the present one");
            return NULL;
        }
        return doc_at(history, doc_len(history) - 2);
    }
    if (!str_to_int64(id_text, &id)) {
        err_set(err, ERR_USAGE, "\"%.*s\" is not an id of \"app history\"", STR_ARG(id_text));
        return NULL;
    }
    for (DOC_EACH_ITEM(history, entry)) {
        if (doc_int(doc_get(entry, "id"), -1) == id) {
            return entry;
        }
    }
    err_set(err, ERR_NOT_FOUND, "there is no deployment %lld; \"app history\" shows them",
            (long long)id);
    return NULL;
}

static bool make_rollback(struct connection *c, const struct doc_value *app, const void *ctx,
                          struct doc_value *out, struct err *err) {
    const struct rollback *rollback = ctx;
    if (app_is_automated(app)) {
        return err_set(err, ERR_INVALID,
                       "rollback cannot be done while automated sync is on: it would be undone at "
                       "once; turn it off "
                       "with \"app set NAME --sync-policy none\"");
    }
    const struct doc_value *entry = find_entry(app, rollback->id_text, err);
    if (!entry) {
        return false;
    }
    struct doc_object sync = doc_object_start(c->arena), by = doc_object_start(c->arena);
    struct doc_object operation = doc_object_start(c->arena), how = doc_object_start(c->arena);
    doc_object_set_c(&sync, "revision", doc_make_str(doc_get_str(entry, "revision")));
    if (rollback->prune) {
        doc_object_set_c(&sync, "prune", doc_make_bool(true));
    }
    if (doc_get(entry, "source")) {
        doc_object_set_c(&sync, "source", *doc_get(entry, "source"));
    }
    if (doc_get(app, "spec", "syncPolicy", "syncOptions")) {
        doc_object_set_c(&sync, "syncOptions", *doc_get(app, "spec", "syncPolicy", "syncOptions"));
    }
    struct doc_value empty = doc_object_done(&how), none = doc_null();
    doc_object_set_c(&sync, "syncStrategy", doc_with(c->arena, &none, empty, "apply"));
    doc_object_set_c(&by, "username", doc_make_str(user_name()));
    doc_object_set_c(&operation, "initiatedBy", doc_object_done(&by));
    doc_object_set_c(&operation, "sync", doc_object_done(&sync));
    *out = doc_object_done(&operation);
    return true;
}

static int run_rollback(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct rollback rollback = {{NULL, 0}, false};
    struct app_wait wait = {.operation = true, .output = STR("wide")};
    int64_t timeout = 0;
    struct cli_option options[] = {
        {"prune", 0, CLI_FLAG, &rollback.prune, NULL, "Delete what that deployment did not have."},
        {"timeout", 0, CLI_NUMBER, &timeout, "SECONDS",
         "Give up waiting after so long (default 0: never)."},
        {"output", 'o', CLI_TEXT, &wait.output, "FORMAT",
         "wide, tree, tree=detailed, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words < 1 || words > 2 || timeout < 0 || timeout > INT32_MAX) {
        return cli_fail(cli, EXIT_USAGE, "takes an application and an id of its history");
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value last;
    rollback.id_text = words == 2 ? str_from(argv[1]) : STR("");
    wait.timeout_ns = timeout * NS_PER_SECOND;
    bool ok = app_check_output(wait.output, &err) && connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(argv[0]), c.ns, &name, &err) &&
              start_operation(&c, name, make_rollback, &rollback, &err) &&
              app_wait_run(cli, &c, name, &wait, &last, &err);
    code = ok ? judge(cli, name, &last, false) : cli_fail_err(cli, &err);
    connection_close(&c);
    return code;
}

const struct cli_command cli_app_rollback = {
    .name = "rollback",
    .summary = "Deploy an earlier state of the history again.",
    .usage = "NAME [ID]",
    .about = "Without an id: the deployment before the present one. It is refused while automated "
             "sync is on.",
    .examples = "  skiff app history shop\n"
                "  skiff app rollback shop 3",
    .run = run_rollback,
};

// ---- terminate-op ----
static int run_terminate(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct cli_option options[] = {CONNECTION_OPTIONS(&settings)};
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value app, empty = doc_null(), patched;
    const char *word;
    bool ok = app_one_word(words, argv, &word, &err) && connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(word), c.ns, &name, &err) && app_fetch(&c, name, &app, &err);
    if (ok && !is_busy(&app)) {
        ok = err_set(&err, ERR_INVALID, "no operation is in progress");
    } else if (ok) {
        struct doc_value patch = doc_is_null(doc_get(&app, "status", "operationState"))
                                     ? doc_with(c.arena, &empty, doc_null(), "operation")
                                     : doc_with(c.arena, &empty, DOC_S("Terminating"), "status",
                                                "operationState", "phase");
        ok = app_patch(&c, name, patch, &patched, &err);
    }
    connection_close(&c);
    if (!ok) {
        return cli_fail_err(cli, &err);
    }
    printf("Application '%.*s' operation terminating\n", STR_ARG(name.name));
    return EXIT_DONE;
}

const struct cli_command cli_app_terminate = {
    .name = "terminate-op",
    .summary = "End the operation that is under way.",
    .usage = "NAME",
    .about = "",
    .examples = "  skiff app terminate-op shop",
    .run = run_terminate,
};
