// SPDX-License-Identifier: Apache-2.0
// `skiff cluster` and `skiff proj`: what Applications may go to, and what they may do.
#include <stdio.h>

#include "app/app.h"
#include "app/settings.h"
#include "cli/out.h"
#include "cli/connect.h"

// ---- cluster ----
struct cluster {
    struct str name, server, version, status, message, project;
    struct doc_value config;
};
struct clusters {
    VEC(struct cluster) items;
};

static void probe(struct connection *c, struct kube_client *client, struct cluster *cluster) {
    struct kube_answer answer;
    struct doc_value version;
    struct err err = {0};
    bool ok = kube_get_raw_wait(c->loop, client, STR("/version"), STR("application/json"), c->arena,
                                &answer, &err) &&
              doc_parse_json(answer.body, c->arena, &version, &err);
    cluster->status = ok ? STR("Successful") : STR("Failed");
    if (ok) {
        struct str text = doc_get_str(&version, "gitVersion");
        text = str_starts(text, STR("v")) ? str_skip(text, 1) : text;
        size_t plus = str_find_char(text, '+');
        cluster->version = plus == STR_NPOS ? text : str_first(text, plus);
    } else {
        cluster->message = arena_dup(c->arena, str_from(err.message));
    }
}

static void add_remote(struct connection *c, const struct doc_value *secret, struct clusters *out) {
    struct kube_config config;
    struct err err = {0};
    struct str text = app_secret_value(secret, "config", c->arena);
    struct cluster cluster = {.name = app_secret_value(secret, "name", c->arena),
                              .server = app_secret_value(secret, "server", c->arena),
                              .project = app_secret_value(secret, "project", c->arena),
                              .status = STR("Failed")};
    if (!doc_parse_json(text, c->arena, &cluster.config, &err) ||
        !kube_config_from_cluster_secret(cluster.server, text, c->arena, &config, &err)) {
        cluster.message = arena_dup(c->arena, str_from(err.message));
    } else {
        struct kube_http_options options = {.config = &config,
                                            .user_agent = STR("skiff/" SKIFF_VERSION)};
        struct kube_client *client = kube_http_client_create(c->loop, c->http, &options);
        probe(c, client, &cluster);
        kube_client_destroy(client);
    }
    VEC_PUSH(&out->items, cluster);
}

static bool read_clusters(struct connection *c, struct clusters *out, struct err *err) {
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = cli_secrets,
                                   .ns = c->ns,
                                   .label_selector = STR("argocd.argoproj.io/secret-type=cluster"),
                                   .grace_seconds = -1};
    struct doc_value *items;
    size_t count;
    if (!kube_list_wait(c->loop, c->client, &request, c->arena, &items, &count, err)) {
        return false;
    }
    struct cluster home = {.name = STR(APP_HOME_NAME), .server = STR(APP_HOME_SERVER)};
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        named |= str_eq(app_secret_value(&items[i], "server", c->arena), home.server);
    }
    if (!named) {
        probe(c, c->client, &home);
        VEC_PUSH(&out->items, home);
    }
    for (size_t i = 0; i < count; i++) {
        add_remote(c, &items[i], out);
    }
    return true;
}

static struct doc_value cluster_document(const struct cluster *cluster, struct arena *arena) {
    struct doc_value out = doc_null();
    out = doc_with(arena, &out, doc_make_str(cluster->name), "name");
    out = doc_with(arena, &out, doc_make_str(cluster->server), "server");
    out = doc_with(arena, &out, doc_make_str(cluster->version), "serverVersion");
    out = doc_with(arena, &out, doc_make_str(cluster->status), "connectionState", "status");
    return doc_with(arena, &out, doc_make_str(cluster->message), "connectionState", "message");
}

static bool print_clusters(struct connection *c, const struct clusters *clusters, struct str only,
                           struct str output, struct err *err) {
    AUTO_BUF struct buf text, out;
    buf_init(&text, OUT_MAX);
    buf_init(&out, OUT_MAX);
    struct doc_array list = doc_array_start(c->arena);
    bool table = str_eq(output, STR("wide"));
    buf_add_c(&text, table ? "SERVER\tNAME\tVERSION\tSTATUS\tMESSAGE\tPROJECT\n" : "");
    size_t found = 0;
    for (size_t i = 0; i < clusters->items.len; i++) {
        const struct cluster *k = &clusters->items.items[i];
        if (only.n && !str_eq(only, k->name) && !str_eq(only, k->server)) {
            continue;
        }
        found++;
        if (table) {
            buf_printf(&text, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n", STR_ARG(k->server),
                       STR_ARG(k->name), STR_ARG(k->version), STR_ARG(k->status),
                       STR_ARG(out_clean(c->arena, k->message, false)), STR_ARG(k->project));
        } else if (str_eq(output, STR("server"))) {
            buf_printf(&text, "%.*s\n", STR_ARG(k->server));
        }
        doc_array_add(&list, cluster_document(k, c->arena));
    }
    if (only.n && !found) {
        return err_set(err, ERR_NOT_FOUND,
                       "there is no cluster \"%.*s\"; \"cluster list\" shows them", STR_ARG(only));
    }
    struct doc_value all = doc_array_done(&list);
    if (out_is_document(output)) {
        out_document(only.n ? doc_at(&all, 0) : &all, output, 2, &out);
    } else {
        out_columns(buf_str(&text), 0, 2, &out);
    }
    return out_print(&out);
}

static int run_clusters(struct cli *cli, int argc, char **argv, bool one) {
    struct connection_settings settings = {0};
    struct str output = one ? STR("yaml") : STR("wide");
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT",
         "wide, server, json or yaml (list: wide, get: yaml)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words != (one ? 1 : 0)) {
        return cli_fail(cli, EXIT_USAGE,
                        one ? "takes the name or URL of one cluster" : "takes no arguments");
    }
    if (!out_is_document(output) && !str_eq(output, STR("wide")) &&
        !str_eq(output, STR("server"))) {
        return cli_fail(cli, EXIT_USAGE,
                        "unknown output format \"%.*s\": it is wide, server, json or yaml",
                        STR_ARG(output));
    }
    struct err err = {0};
    struct connection c = {0};
    struct clusters clusters = {{0}};
    bool ok = connection_open(&c, cli, &settings, &err) && read_clusters(&c, &clusters, &err) &&
              print_clusters(&c, &clusters, one ? str_from(argv[0]) : STR(""), output, &err);
    connection_close(&c);
    VEC_FREE(&clusters.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

static int run_cluster_list(struct cli *cli, int argc, char **argv) {
    return run_clusters(cli, argc, argv, false);
}

static int run_cluster_get(struct cli *cli, int argc, char **argv) {
    return run_clusters(cli, argc, argv, true);
}

static const struct cli_command cluster_list = {
    .name = "list",
    .summary = "Destination clusters, and whether they answer.",
    .usage = "[-o wide|server|json|yaml]",
    .about = "",
    .examples = "  skiff cluster list",
    .run = run_cluster_list,
};
static const struct cli_command cluster_get = {
    .name = "get",
    .summary = "One destination cluster.",
    .usage = "NAME|URL [-o yaml|json|wide|server]",
    .about = "",
    .examples = "  skiff cluster get in-cluster",
    .run = run_cluster_get,
};
static const struct cli_command *const cluster_commands[] = {&cluster_list, &cluster_get, NULL};
const struct cli_command cli_cluster = {
    .name = "cluster",
    .summary = "Clusters that Applications are deployed to.",
    .usage = "COMMAND [OPTIONS]",
    .about = "A cluster is described by a Secret with the label argocd.argoproj.io/secret-type: "
             "cluster; the one that holds\n"
             "the Applications needs none.",
    .examples = "  skiff cluster list",
    .children = cluster_commands,
};

// ---- proj ----
static void add_count(struct buf *out, const struct doc_value *list, const char *what,
                      const char *first, const char *second, bool show_one) {
    const struct doc_value *one = doc_at(list, 0);
    if (doc_len(list) == 0) {
        buf_add_c(out, "<none>\t");
    } else if (doc_len(list) > 1 || !show_one) {
        buf_printf(out, "%zu %s\t", doc_len(list), what);
    } else if (!first) {
        buf_printf(out, "%.*s\t", STR_ARG(doc_str(one)));
    } else {
        buf_printf(out, "%.*s%c%.*s\t", STR_ARG(doc_get_str(one, first)),
                   strcmp(first, "group") == 0 ? '/' : ',', STR_ARG(doc_get_str(one, second)));
    }
}

static void project_row(const struct doc_value *project, struct buf *out) {
    const struct doc_value *spec = doc_get(project, "spec");
    buf_printf(out, "%.*s\t%.*s\t", STR_ARG(doc_get_str(project, "metadata", "name")),
               STR_ARG(doc_get_str(spec, "description")));
    add_count(out, doc_get(spec, "destinations"), "destinations", "server", "namespace", true);
    add_count(out, doc_get(spec, "sourceRepos"), "repos", NULL, NULL, true);
    add_count(out, doc_get(spec, "clusterResourceWhitelist"), "resources", "group", "kind", true);
    add_count(out, doc_get(spec, "namespaceResourceBlacklist"), "resources", NULL, NULL, false);
    buf_printf(out, "<none>\t%s\t",
               doc_is_null(doc_get(spec, "orphanedResources")) ? "disabled" : "enabled");
    add_count(out, doc_get(spec, "destinationServiceAccounts"), "destinationServiceAccounts", NULL,
              NULL, false);
    out->len--; // the last cell ends no column
    buf_add_char(out, '\n');
}

static void field_lines(struct buf *out, const char *label, const struct doc_value *list,
                        const char *first, const char *second) {
    if (doc_len(list) == 0) {
        buf_printf(out, "%-29s<none>\n", label);
    }
    for (DOC_EACH_ITEM(list, item)) {
        buf_printf(out, "%-29s", label);
        label = "";
        if (first) {
            buf_printf(out, "%.*s%c%.*s\n", STR_ARG(doc_get_str(item, first)),
                       strcmp(first, "group") == 0 ? '/' : ',', STR_ARG(doc_get_str(item, second)));
        } else {
            buf_printf(out, "%.*s\n", STR_ARG(doc_str(item)));
        }
    }
}

static void project_fields(const struct doc_value *project, struct buf *out) {
    const struct doc_value *spec = doc_get(project, "spec");
    buf_printf(out, "%-29s%.*s\n", "Name:", STR_ARG(doc_get_str(project, "metadata", "name")));
    buf_printf(out, "%-29s%.*s\n", "Description:", STR_ARG(doc_get_str(spec, "description")));
    field_lines(out, "Destinations:", doc_get(spec, "destinations"), "server", "namespace");
    field_lines(out, "Repositories:", doc_get(spec, "sourceRepos"), NULL, NULL);
    field_lines(out, "Source Namespaces:", doc_get(spec, "sourceNamespaces"), NULL, NULL);
    field_lines(out, "Scoped Repositories:", NULL, NULL, NULL);
    field_lines(out, "Allowed Cluster Resources:", doc_get(spec, "clusterResourceWhitelist"),
                "group", "kind");
    field_lines(out, "Scoped Clusters:", NULL, NULL, NULL);
    field_lines(out, "Denied Namespaced Resources:", doc_get(spec, "namespaceResourceBlacklist"),
                "group", "kind");
    field_lines(out, "Signature keys:", NULL, NULL, NULL);
    buf_printf(out, "%-29s%s\n", "Orphaned Resources:",
               doc_is_null(doc_get(spec, "orphanedResources")) ? "disabled" : "enabled");
}

static bool print_projects(struct connection *c, const struct doc_value *items, size_t count,
                           bool one, struct str output) {
    AUTO_BUF struct buf text, out;
    buf_init(&text, OUT_MAX);
    buf_init(&out, OUT_MAX);
    struct doc_array list = doc_array_start(c->arena);
    bool names = str_eq(output, STR("name"));
    if (!names && !out_is_document(output)) {
        buf_add_c(&text, "NAME\tDESCRIPTION\tDESTINATIONS\tSOURCES\tCLUSTER-RESOURCE-WHITELIST\t"
                         "NAMESPACE-RESOURCE-BLACKLIST\tSOURCE-INTEGRITY\tORPHANED-RESOURCES\t"
                         "DESTINATION-SERVICE-ACCOUNTS\n");
    }
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&list, items[i]);
        if (names) {
            buf_printf(&out, "%.*s\n", STR_ARG(doc_get_str(&items[i], "metadata", "name")));
        } else if (!out_is_document(output)) {
            project_row(&items[i], &text);
        }
    }
    struct doc_value all = doc_array_done(&list);
    if (out_is_document(output)) {
        out_document(one ? &items[0] : &all, output, 2, &out);
    } else if (one && !names) {
        project_fields(&items[0], &out);
    } else {
        out_columns(buf_str(&text), 0, 2, &out);
    }
    return out_print(&out);
}

static int run_projects(struct cli *cli, int argc, char **argv, bool one) {
    struct connection_settings settings = {0};
    struct str output = STR("wide");
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "wide, name, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words != (one ? 1 : 0)) {
        return cli_fail(cli, EXIT_USAGE,
                        one ? "takes the name of one project" : "takes no arguments");
    }
    if (!out_is_document(output) && !str_eq(output, STR("wide")) && !str_eq(output, STR("name"))) {
        return cli_fail(cli, EXIT_USAGE,
                        "unknown output format \"%.*s\": it is wide, name, json or yaml",
                        STR_ARG(output));
    }
    struct err err = {0};
    struct connection c = {0};
    struct doc_value *items, single;
    size_t count = 1;
    bool ok = connection_open(&c, cli, &settings, &err);
    if (ok && one) {
        ok = connection_get(&c, cli_projects, c.ns, str_from(argv[0]), &single, &err);
        items = &single;
    } else if (ok) {
        struct kube_request request = {
            .verb = KUBE_LIST, .gvr = cli_projects, .ns = c.ns, .grace_seconds = -1};
        ok = kube_list_wait(c.loop, c.client, &request, c.arena, &items, &count, &err);
    }
    ok = ok && print_projects(&c, items, count, one, output);
    connection_close(&c);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

static int run_project_list(struct cli *cli, int argc, char **argv) {
    return run_projects(cli, argc, argv, false);
}

static int run_project_get(struct cli *cli, int argc, char **argv) {
    return run_projects(cli, argc, argv, true);
}

static const struct cli_command proj_list = {
    .name = "list",
    .summary = "Projects and what they permit.",
    .usage = "[-o wide|name|json|yaml]",
    .about = "",
    .examples = "  skiff proj list",
    .run = run_project_list,
};
static const struct cli_command proj_get = {
    .name = "get",
    .summary = "One project.",
    .usage = "NAME [-o wide|name|json|yaml]",
    .about = "",
    .examples = "  skiff proj get default -o yaml",
    .run = run_project_get,
};
static const struct cli_command *const proj_commands[] = {&proj_list, &proj_get, NULL};
const struct cli_command cli_proj = {
    .name = "proj",
    .summary = "Projects: which repositories, clusters and kinds Applications may use.",
    .usage = "COMMAND [OPTIONS]",
    .about = "A project is an AppProject object; \"kube apply\" makes and changes one.",
    .examples = "  skiff proj list",
    .children = proj_commands,
};
