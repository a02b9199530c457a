// SPDX-License-Identifier: Apache-2.0
// `skiff app list`, `get`, `history` and `resources`, and the list of the commands on applications.
#include <stdio.h>

#include "base/timefmt.h"
#include "cli/app.h"
#include "vcs/vcs.h"

// ---- What several of them print ----
struct str app_url(const struct connection *connection, const struct doc_value *app,
                   struct arena *arena) {
    struct app_name name = app_name_of(app);
    return arena_printf(arena, "%.*s/apis/argoproj.io/v1alpha1/namespaces/%.*s/applications/%.*s",
                        STR_ARG(connection->config.server), STR_ARG(name.ns), STR_ARG(name.name));
}

bool app_check_output(struct str output, struct err *err) {
    static const char *const known[] = {"wide", "tree", "tree=detailed", "json", "yaml"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq_c(output, known[i])) {
            return true;
        }
    }
    return err_set(err, ERR_USAGE,
                   "unknown output format \"%.*s\": it is wide, tree, tree=detailed, json or yaml",
                   STR_ARG(output));
}

bool app_print_body(struct connection *connection, const struct doc_value *app, struct str output,
                    struct buf *out, struct err *err) {
    if (out_is_document(output)) {
        return out_document(app, output, 2, out);
    }
    if (str_starts(output, STR("tree"))) {
        return app_tree_print(connection, app, !str_eq(output, STR("tree")), out, err);
    }
    if (doc_len(doc_get(app, "status", "resources"))) {
        buf_add_char(out, '\n');
        app_format_resources(app, out);
    }
    return true;
}

// ---- list ----
struct list_filter {
    struct cli_list projects;
    struct str repo, cluster, path;
};

static bool is_kept(const struct doc_value *app, const struct list_filter *filter,
                    struct arena *arena) {
    const struct doc_value *source = app_first_source(app);
    const struct doc_value *to = doc_get(app, "spec", "destination");
    bool in_project = filter->projects.items.len == 0;
    for (size_t i = 0; i < filter->projects.items.len; i++) {
        in_project |= str_eq(filter->projects.items.items[i], doc_get_str(app, "spec", "project"));
    }
    bool has_repo =
        filter->repo.n == 0 || str_eq(vcs_normalize_url(filter->repo, arena),
                                      vcs_normalize_url(doc_get_str(source, "repoURL"), arena));
    bool has_cluster = filter->cluster.n == 0 ||
                       str_eq(filter->cluster, doc_get_str(to, "server")) ||
                       str_eq(filter->cluster, doc_get_str(to, "name"));
    return in_project && has_repo && has_cluster &&
           (filter->path.n == 0 || str_eq(filter->path, doc_get_str(source, "path")));
}

static bool print_list(struct app_list *apps, struct str output, struct arena *arena,
                       struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (out_is_document(output)) {
        struct doc_array array = doc_array_start(arena);
        for (size_t i = 0; i < apps->count; i++) {
            doc_array_add(&array, apps->items[i]);
        }
        struct doc_value list = doc_array_done(&array);
        out_document(&list, output, 2, &out);
    } else if (str_eq(output, STR("name"))) {
        app_format_names(apps, &out);
    } else if (output.n == 0 || str_eq(output, STR("wide"))) {
        app_format_list(apps, output, &out);
    } else {
        return err_set(err, ERR_USAGE,
                       "unknown output format \"%.*s\": it is wide, name, json or yaml",
                       STR_ARG(output));
    }
    return out_print(&out);
}

static int run_list(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct list_filter filter = {{{0}}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct str selector = {NULL, 0}, output = STR("wide");
    struct cli_option options[] = {
        {"project", 'p', CLI_LIST, &filter.projects, "NAME",
         "Only of this project; may be repeated."},
        {"selector", 'l', CLI_TEXT, &selector, "SELECTOR",
         "Only with these labels: a=b, a!=b, a in (b,c), a, !a."},
        {"repo", 'r', CLI_TEXT, &filter.repo, "URL", "Only from this repository."},
        {"path", 'P', CLI_TEXT, &filter.path, "PATH", "Only from this folder of the repository."},
        {"cluster", 'c', CLI_TEXT, &filter.cluster, "NAME|URL", "Only on this cluster."},
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "wide, name, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words) {
        return cli_fail(cli, EXIT_USAGE,
                        "takes no arguments, but got \"%s\"; \"app get\" shows one", argv[0]);
    }
    struct err err = {0};
    struct connection connection = {0};
    struct app_list apps = {NULL, 0};
    bool ok = connection_open(&connection, cli, &settings, &err) &&
              app_fetch_all(&connection, selector, &apps, &err);
    size_t kept = 0;
    for (size_t i = 0; ok && i < apps.count; i++) {
        if (is_kept(&apps.items[i], &filter, cli->arena)) {
            apps.items[kept++] = apps.items[i];
        }
    }
    apps.count = kept;
    ok = ok && print_list(&apps, output, cli->arena, &err);
    connection_close(&connection);
    VEC_FREE(&filter.projects.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_list = {
    .name = "list",
    .summary = "Applications, where they go and how they are.",
    .usage = "[-p PROJECT] [-l SELECTOR] [-o wide|name|json|yaml]",
    .about = "",
    .examples = "  skiff app list\n"
                "  skiff app list -l team=red -o name\n"
                "  skiff app list -r https://git.example.com/shop.git",
    .run = run_list,
};

// ---- get ----
struct get_settings {
    struct str output;
    bool refresh, hard_refresh, show_operation, show_params;
    int64_t timeout;
};

static bool print_app(struct connection *connection, const struct doc_value *app,
                      const struct get_settings *get, struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (!out_is_document(get->output)) {
        app_format_summary(app, app_url(connection, app, connection->arena), &out);
        if (doc_len(doc_get(app, "status", "conditions"))) {
            buf_add_char(&out, '\n');
            app_format_conditions(app, &out);
            buf_add_char(&out, '\n');
        }
        if (get->show_operation && doc_get(app, "status", "operationState")) {
            buf_add_char(&out, '\n');
            app_format_operation(app, loop_wall(connection->loop), &out);
        }
    }
    return app_print_body(connection, app, get->output, &out, err) && out_print(&out);
}

static int run_get(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct get_settings get = {.output = STR("wide")};
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &get.output, "FORMAT",
         "wide, tree, tree=detailed, json or yaml (default wide)."},
        {"refresh", 0, CLI_FLAG, &get.refresh, NULL,
         "Have Git and the cluster looked at again first."},
        {"hard-refresh", 0, CLI_FLAG, &get.hard_refresh, NULL,
         "The same, and render the manifests anew."},
        {"show-operation", 0, CLI_FLAG, &get.show_operation, NULL, "Show the last operation too."},
        {"show-params", 0, CLI_FLAG, &get.show_params, NULL,
         "Taken and without effect: plain folders have no parameters."},
        {"timeout", 0, CLI_NUMBER, &get.timeout, "SECONDS", "For the refresh (default 60)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct connection connection = {0};
    struct app_name name;
    struct doc_value app;
    const char *word;
    bool ok = app_one_word(words, argv, &word, &err) && app_check_output(get.output, &err) &&
              connection_open(&connection, cli, &settings, &err) &&
              app_name_parse(str_from(word), connection.ns, &name, &err) &&
              app_fetch(&connection, name, &app, &err);
    if (ok && (get.refresh || get.hard_refresh)) {
        ok = app_refresh(&connection, name, get.hard_refresh, get.timeout * NS_PER_SECOND, &err) &&
             app_fetch(&connection, name, &app, &err);
    }
    ok = ok && print_app(&connection, &app, &get, &err);
    connection_close(&connection);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_get = {
    .name = "get",
    .summary = "One application: its source, state and resources.",
    .usage = "NAME [-o wide|tree|tree=detailed|json|yaml] [--refresh]",
    .about = "The tree follows ownerReferences: a Deployment, its ReplicaSets, their Pods.",
    .examples = "  skiff app get shop\n"
                "  skiff app get shop -o tree\n"
                "  skiff app get shop --refresh --show-operation",
    .run = run_get,
};

// ---- history ----
static int run_history(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct str output = STR("wide");
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "wide or id (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct connection connection = {0};
    struct app_name name;
    struct doc_value app;
    const char *word;
    bool ids = str_eq(output, STR("id"));
    if (!ids && !str_eq(output, STR("wide"))) {
        return cli_fail(cli, EXIT_USAGE, "unknown output format \"%.*s\": it is wide or id",
                        STR_ARG(output));
    }
    bool ok = app_one_word(words, argv, &word, &err) &&
              connection_open(&connection, cli, &settings, &err) &&
              app_name_parse(str_from(word), connection.ns, &name, &err) &&
              app_fetch(&connection, name, &app, &err);
    if (ok) {
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        (ids ? app_format_history_ids : app_format_history)(&app, &out);
        ok = out_print(&out);
    }
    connection_close(&connection);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_history = {
    .name = "history",
    .summary = "The deployments of an application; rollback takes their ids.",
    .usage = "NAME [-o wide|id]",
    .about = "",
    .examples = "  skiff app history shop",
    .run = run_history,
};

// ---- app ----
static const struct cli_command *const commands[] = {
    &cli_app_list,      &cli_app_get,
    &cli_app_create,    &cli_app_set,
    &cli_app_sync,      &cli_app_wait,
    &cli_app_diff,      &cli_app_manifests,
    &cli_app_history,   &cli_app_rollback,
    &cli_app_resources, &cli_app_terminate,
    &cli_app_delete,    NULL,
};

const struct cli_command cli_app = {
    .name = "app",
    .summary = "Applications: see, create, sync, compare, roll back, delete.",
    .usage = "COMMAND [OPTIONS]",
    .about = "An application is named NAME or NAMESPACE/NAME. The commands talk to the Kubernetes "
             "API that holds the\n"
             "Applications; a controller (skiff up, skiff controller) does the work.",
    .examples = "  skiff app list\n"
                "  skiff app sync shop",
    .children = commands,
};
