// SPDX-License-Identifier: Apache-2.0
// What `skiff up` and `skiff controller` have in common: the controllers over some Kubernetes API, and the operator's port.
#ifndef SKIFF_CLI_SERVE_H
#define SKIFF_CLI_SERVE_H

#include "api/api.h"
#include "app/app.h"
#include "cli/cli.h"
#include "http/server.h"

struct serve_settings {
    struct str log_level, log_format; // "info", "text"
    struct str ns;
    struct str api_listen; // "" turns the operator's port off
    struct str cache_dir;  // Git mirrors; may be deleted at any time
    int64_t qps, burst;
    bool local_repos; // file URLs and paths of this host are read
};

struct serve {
    struct cli *cli;
    struct serve_settings settings;
    struct loop *loop;
    struct metrics *metrics;
    struct http_client *http;
    struct vcs *vcs;
    struct kube_client *home;
    struct app_boot *boot; // while the first start is prepared
    struct app_controller *app;
    struct api *api;
    struct http_server *api_server;
    struct loop_signal *signals[2];
    struct loop_timer *trim;
    int64_t trim_pause;          // milliseconds
    size_t trimmed;              // free bytes the allocator held after the last trim
    struct err failure;          // why the loop was stopped, ERR_NONE for a signal
    void (*on_ready)(void *ctx); // after the first start was prepared
    void (*on_stop)(void *ctx);  // at the first signal, instead of the end; may be NULL
    // With `on_start` serve_run calls it instead of serve_lead, and the caller says when to begin and to end.
    void (*on_start)(void *ctx);
    bool (*is_standby)(void *ctx);                              // for /readyz; may be NULL
    bool (*forward)(void *ctx, struct http_exchange *exchange); // webhooks; may be NULL
    struct kube_fence *fence; // for the clients of remote clusters; may be NULL
    void *ctx;
};

#define SERVE_OPTIONS(s)                                                                             \
    {"namespace", 'n',    CLI_TEXT,                                                                  \
     &(s)->ns,    "NAME", "Namespace of the Applications (default argocd)."},                        \
        {"api-listen",                                                                               \
         0,                                                                                          \
         CLI_TEXT,                                                                                   \
         &(s)->api_listen,                                                                           \
         "ADDR:PORT",                                                                                \
         "Where /metrics, /healthz, /readyz and /api/webhook are served (default 127.0.0.1:8082; "   \
         "\"\" for nowhere)."},                                                                      \
        {"log-level",     0,        CLI_TEXT,                                                        \
         &(s)->log_level, "LEVELS", "debug, info, warn, error or off; per module: info,vcs=debug."}, \
    {                                                                                                \
        "log-format", 0, CLI_TEXT, &(s)->log_format, "FORMAT", "text or json (default text)."        \
    }

void serve_defaults(struct serve_settings *settings); // from SKIFF_* in the environment where set
// Loop, metrics, log, signals. Then the caller makes `home`, and serve_run does the rest until a signal comes.
bool serve_init(struct serve *serve, struct cli *cli, const struct serve_settings *settings,
                struct err *err) MUST_USE;
bool serve_run(struct serve *serve, struct err *err) MUST_USE;
void serve_lead(struct serve *serve);   // starts the controllers over `home`
void serve_unlead(struct serve *serve); // ends them; then `home` may go
void serve_fini(struct serve *serve);   // everything but `home`
bool serve_make_dir(const char *path, struct err *err) MUST_USE; // with its parents, mode 0700

#endif
