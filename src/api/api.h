// SPDX-License-Identifier: Apache-2.0
// The operator's and the forges' door: /metrics, /healthz, /readyz and /api/webhook.
#ifndef SKIFF_API_API_H
#define SKIFF_API_API_H

#include "app/app.h"
#include "http/server.h"
#include "metrics/metrics.h"

struct api;

struct api_options {
    struct metrics *metrics;
    struct app_controller *app; // borrowed; may be NULL until there is one
    // More to ask for readiness, e.g. the embedded API; may be NULL.
    bool (*is_ready)(void *ctx);
    // Another process leads, and this one waits to follow it: ready without controllers. May be NULL.
    bool (*is_standby)(void *ctx);
    // Hands a webhook on to the process that leads, and answers later; false when it cannot. May be NULL.
    bool (*forward)(void *ctx, struct http_exchange *exchange);
    void *ctx;
};
struct api *api_create(const struct api_options *options);
void api_destroy(struct api *api);
void api_set_app(struct api *api, struct app_controller *app);
// For http_server_options, with ctx = the api.
void api_handle(void *api, struct http_exchange *exchange);
size_t api_body_limit(void *api, struct str method, struct str path);
// Is this path ours? Lets the embedded API's listener share its port.
bool api_owns_path(struct str path);

#endif
