// SPDX-License-Identifier: Apache-2.0
#include "cli/connect.h"

#include <stdlib.h>
#include <unistd.h>

const struct kube_gvr cli_applications = {STR_INIT("argoproj.io"), STR_INIT("v1alpha1"),
                                          STR_INIT("applications")};
const struct kube_gvr cli_projects = {STR_INIT("argoproj.io"), STR_INIT("v1alpha1"),
                                      STR_INIT("appprojects")};
const struct kube_gvr cli_secrets = {STR_INIT(""), STR_INIT("v1"), STR_INIT("secrets")};
const struct kube_gvr cli_config_maps = {STR_INIT(""), STR_INIT("v1"), STR_INIT("configmaps")};

// --kubeconfig, KUBECONFIG, the data folder of `skiff up`, ~/.kube/config: the first that is there.
static bool find_kubeconfig(struct arena *arena, const struct connection_settings *settings,
                            const char **out, struct err *err) {
    const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");
    if (settings->kubeconfig.n) {
        *out = arena_cstr(arena, settings->kubeconfig);
        return true;
    }
    if (settings->data.n == 0 && env && env[0]) {
        *out = env;
        return true;
    }
    const char *data =
        arena_printf(arena, "%.*s/kubeconfig", STR_ARG(cli_data_dir(arena, settings->data))).p;
    if (access(data, F_OK) == 0 || settings->data.n) {
        *out = data;
        return true;
    }
    const char *user = arena_printf(arena, "%s/.kube/config", home ? home : "").p;
    if (access(user, F_OK) == 0) {
        *out = user;
        return true;
    }
    return err_set(err, ERR_USAGE,
                   "no cluster is named: start one with \"skiff up\", or give --kubeconfig FILE");
}

bool connection_open(struct connection *connection, struct cli *cli,
                     const struct connection_settings *settings, struct err *err) {
    const char *path = NULL;
    *connection = (struct connection){.arena = cli->arena,
                                      .ns = settings->ns.n ? settings->ns : STR("argocd")};
    struct kubeconfig_options options = {
        .context = settings->context, .allow_exec = settings->allow_exec, .allow_files = true};
    if (!find_kubeconfig(cli->arena, settings, &path, err) ||
        !kube_config_load(path, &options, cli->arena, &connection->config, err)) {
        return false;
    }
    connection->loop = loop_create(2);
    connection->http = http_client_create(connection->loop);
    struct kube_http_options http = {.config = &connection->config,
                                     .user_agent = STR("skiff/" SKIFF_VERSION)};
    connection->client = kube_http_client_create(connection->loop, connection->http, &http);
    return true;
}

void connection_close(struct connection *connection) {
    kube_client_destroy(connection->client);
    if (connection->http) {
        http_client_destroy(connection->http);
    }
    // The loop goes with the process: whatever is still under way in it has no reader any more.
    connection->client = NULL;
    connection->http = NULL;
}

bool connection_send(struct connection *connection, const struct kube_request *request,
                     struct doc_value *out, struct err *err) {
    struct kube_answer answer;
    if (!kube_call_wait(connection->loop, connection->client, request, connection->arena, &answer,
                        err)) {
        return false;
    }
    *out = doc_null();
    return answer.body.n == 0 || doc_parse_json(answer.body, connection->arena, out, err);
}

bool connection_get(struct connection *connection, struct kube_gvr gvr, struct str ns,
                    struct str name, struct doc_value *out, struct err *err) {
    struct kube_request request = {
        .verb = KUBE_GET, .gvr = gvr, .ns = ns, .name = name, .grace_seconds = -1};
    return connection_send(connection, &request, out, err);
}
