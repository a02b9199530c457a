// SPDX-License-Identifier: Apache-2.0
#include "api/api.h"

#include "base/limits.h"
#include "base/log.h"

struct api {
    struct api_options options;
};

enum { METRICS_MAX = 64 * MIB };

struct api *api_create(const struct api_options *options) {
    struct api *api = NEW(struct api);
    api->options = *options;
    return api;
}

void api_destroy(struct api *api) {
    free(api);
}

void api_set_app(struct api *api, struct app_controller *app) {
    api->options.app = app;
}

static void reply(struct http_exchange *exchange, int status, const char *text) {
    http_reply_text(exchange, status, STR("text/plain; charset=utf-8"), str_from(text));
}

static bool is_read(const struct http_request *request) {
    return str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD"));
}

static void serve_metrics(struct api *api, struct http_exchange *exchange) {
    AUTO_BUF struct buf text;
    buf_init(&text, METRICS_MAX);
    if (!metrics_print(api->options.metrics, &text)) {
        reply(exchange, 500, "the metrics are larger than 64 MiB\n");
        return;
    }
    struct blob *body = blob_from_buf(&text);
    http_reply(exchange, 200, STR("text/plain; version=0.0.4; charset=utf-8"), NULL, 0, body);
    blob_unref(body);
}

static void serve_ready(struct api *api, struct http_exchange *exchange) {
    bool ready = api->options.app && app_controller_is_ready(api->options.app) &&
                 (!api->options.is_ready || api->options.is_ready(api->options.ctx));
    bool standby =
        !api->options.app && api->options.is_standby && api->options.is_standby(api->options.ctx);
    reply(exchange, ready || standby ? 200 : 503,
          ready     ? "ok\n"
          : standby ? "ok: another replica leads\n"
                    : "not ready\n");
}

static bool verify(struct api *api, const struct vcs_webhook_request *request, struct arena *arena,
                   struct vcs_push *push, struct err *err) {
    // Gitea sends GitHub's headers too; its own secret is configured under the name of Gogs, as in Argo CD.
    static const char *const keys[] = {"webhook.github.secret", "webhook.gogs.secret"};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str secret = app_controller_webhook_secret(api->options.app, keys[i]);
        if (secret.n == 0) {
            continue;
        }
        any = true;
        if (vcs_webhook_parse(request, secret, arena, push, err)) {
            return true;
        }
        if (err->code != ERR_UNAUTHORIZED) {
            return false;
        }
    }
    return any ? false
               : err_set(err, ERR_UNAUTHORIZED,
                         "no webhook secret is configured: set webhook.github.secret in the Secret "
                         "argocd-secret");
}

static void serve_webhook(struct api *api, struct http_exchange *exchange) {
    const struct http_request *request = http_exchange_request(exchange);
    if (!str_eq(request->method, STR("POST"))) {
        reply(exchange, 405, "webhooks are sent with POST\n");
        return;
    }
    if (!api->options.app) {
        if (!api->options.forward || !api->options.forward(api->options.ctx, exchange)) {
            reply(exchange, 503, "not ready\n");
        }
        return;
    }
    struct str event = http_exchange_header(exchange, STR("X-GitHub-Event"));
    struct vcs_webhook_request hook = {
        .event = event.n ? event : http_exchange_header(exchange, STR("X-Gitea-Event")),
        .signature_256 = http_exchange_header(exchange, STR("X-Hub-Signature-256")),
        .gitea_signature = http_exchange_header(exchange, STR("X-Gitea-Signature")),
        .body = request->body,
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct vcs_push push = {0};
    struct err err = {0};
    if (!verify(api, &hook, arena, &push, &err)) {
        LOG(LOG_WARN, "api", "webhook refused", "error", err.message);
        bool denied = err.code == ERR_UNAUTHORIZED;
        // The sender learns no more than that; the log says why.
        reply(exchange, denied ? 403 : 400,
              denied ? "invalid signature\n" : "webhook not understood\n");
        return;
    }
    if (!push.is_ping) {
        app_controller_pushed(api->options.app, &push);
    }
    reply(exchange, 200, "ok\n");
}

bool api_owns_path(struct str path) {
    return str_eq(path, STR("/metrics")) || str_eq(path, STR("/api/webhook"));
}

size_t api_body_limit(void *ctx, struct str method, struct str path) {
    (void)ctx;
    (void)method;
    return str_eq(path, STR("/api/webhook")) ? LIMIT_WEBHOOK_BODY : 0;
}

void api_handle(void *ctx, struct http_exchange *exchange) {
    struct api *api = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    if (str_eq(request->path, STR("/api/webhook"))) {
        serve_webhook(api, exchange);
    } else if (!is_read(request)) {
        reply(exchange, 405, "method not allowed\n");
    } else if (str_eq(request->path, STR("/metrics"))) {
        serve_metrics(api, exchange);
    } else if (str_eq(request->path, STR("/healthz")) || str_eq(request->path, STR("/livez"))) {
        reply(exchange, 200, "ok\n");
    } else if (str_eq(request->path, STR("/readyz"))) {
        serve_ready(api, exchange);
    } else {
        reply(exchange, 404, "not found\n");
    }
}
