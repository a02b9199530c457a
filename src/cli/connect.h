// SPDX-License-Identifier: Apache-2.0
// The connection of a command to the Kubernetes API that holds the Applications.
#ifndef SKIFF_CLI_CONNECT_H
#define SKIFF_CLI_CONNECT_H

#include "cli/cli.h"
#include "http/client.h"
#include "kube/kubeconfig.h"
#include "kube/mapper.h"
#include "kube/simple.h"
#include "loop/loop.h"

struct connection_settings {
    struct str kubeconfig, context, data, ns;
    bool allow_exec;
    // Words of Argo CD's command line that mean nothing here, taken so that scripts go on working.
    bool core, grpc_web, plaintext, insecure;
    struct str server, auth_token;
};

#define CONNECTION_OPTIONS(s)                                                                       \
    {"kubeconfig", 0,                                                                               \
     CLI_TEXT,     &(s)->kubeconfig,                                                                \
     "FILE",       "The cluster (default KUBECONFIG, the data folder's, ~/.kube/config)."},         \
        {"context", 0, CLI_TEXT, &(s)->context, "NAME", "Context of the kubeconfig."},              \
        {"data", 0, CLI_TEXT, &(s)->data, "DIR", "Data folder of `skiff up`, for its kubeconfig."}, \
        {"app-namespace", 'N',    CLI_TEXT,                                                         \
         &(s)->ns,        "NAME", "Namespace of the Applications (default argocd)."},               \
        {"allow-exec",     0,    CLI_FLAG,                                                          \
         &(s)->allow_exec, NULL, "Let the kubeconfig start credential plugins."},                   \
        {"core",   0,                                                                               \
         CLI_FLAG, &(s)->core,                                                                      \
         NULL,     "Taken and without effect: this command always talks to Kubernetes itself."},    \
        {"grpc-web", 0, CLI_FLAG, &(s)->grpc_web, NULL, "Taken and without effect."},               \
        {"plaintext", 0, CLI_FLAG, &(s)->plaintext, NULL, "Taken and without effect."},             \
        {"insecure", 0, CLI_FLAG, &(s)->insecure, NULL, "Taken and without effect."},               \
        {"server", 0, CLI_TEXT, &(s)->server, "ADDR", "Taken and without effect."}, {               \
        "auth-token", 0, CLI_TEXT, &(s)->auth_token, "TOKEN", "Taken and without effect."           \
    }

struct connection {
    struct arena *arena;
    struct loop *loop;
    struct http_client *http;
    struct kube_client *client;
    struct kube_config config;
    struct str ns; // of the Applications
};

bool connection_open(struct connection *connection, struct cli *cli,
                     const struct connection_settings *settings, struct err *err) MUST_USE;
void connection_close(struct connection *connection);

// One object or list as a document; ERR_NOT_FOUND and so on from the API.
bool connection_get(struct connection *connection, struct kube_gvr gvr, struct str ns,
                    struct str name, struct doc_value *out, struct err *err) MUST_USE;
bool connection_send(struct connection *connection, const struct kube_request *request,
                     struct doc_value *out, struct err *err) MUST_USE;

extern const struct kube_gvr cli_applications, cli_projects, cli_secrets, cli_config_maps;

#endif
