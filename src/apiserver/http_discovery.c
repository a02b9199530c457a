// SPDX-License-Identifier: Apache-2.0
// Discovery and OpenAPI over HTTP: entity tags, texts that may be kept for ever, and the two ways of saying that a path
// does not exist.
#include "apiserver/http_internal.h"
#include "base/timefmt.h"

// Texts that took some work are kept this long after the last request.
#define KEEP_TEXTS_NS (60 * NS_PER_SECOND)

static void forget(void *ctx) {
    struct apiserver_http *front = ctx;
    api_pages_forget(api_kinds_pages(front->server->kinds));
}

static void forget_later(struct apiserver_http *front) {
    if (!front->forget) {
        front->forget = loop_timer_create(front->server->loop, forget, front);
    }
    loop_timer_start(front->forget, KEEP_TEXTS_NS);
}

// One of a list of entity tags is this one.
static bool knows(struct http_exchange *exchange, struct str etag) {
    struct str list = http_exchange_header(exchange, STR("If-None-Match")), one;
    while (etag.n && str_next(&list, ',', &one)) {
        one = str_trim(one);
        one = str_starts(one, STR("W/")) ? str_skip(one, 2) : one;
        if (str_eq(one, etag) || str_eq(one, STR("*"))) {
            return true;
        }
    }
    return false;
}

static void reply_text(struct front_call *call, const struct api_text *text) {
    http_exchange_add_header(call->exchange, (struct http_header){STR("Vary"), STR("Accept")});
    if (text->etag.n) {
        http_exchange_add_header(call->exchange, (struct http_header){STR("Etag"), text->etag});
    }
    if (text->immutable) {
        call->cache = STR("public, immutable, max-age=31536000");
    }
    if (text->location.n) {
        http_exchange_add_header(call->exchange,
                                 (struct http_header){STR("Location"), text->location});
        front_reply_blob(call, 301, text->content_type, NULL);
    } else if (knows(call->exchange, text->etag)) {
        front_reply_blob(call, 304, (struct str){NULL, 0}, NULL);
    } else {
        front_reply_blob(call, 200, text->content_type, text->body);
    }
}

bool front_serve_discovery(struct front_call *call) {
    struct apiserver_http *front = call->front;
    const struct http_request *request = http_exchange_request(call->exchange);
    struct api_text text = {.server = http_exchange_header(call->exchange, STR("Host"))};
    struct str accept = http_exchange_header(call->exchange, STR("Accept"));
    if (!api_discovery_page(front->server->kinds, request->path, request->query, accept,
                            call->op->arena, &text)) {
        return false;
    }
    if (text.etag.n) {
        forget_later(front);
    }
    reply_text(call, &text);
    blob_unref(text.body);
    return true;
}

// A real server knows the prefixes of its built-in groups and answers in their manner below them; anything else, custom
// kinds that do not exist among it, is no path of its own.
static bool is_api_path(const struct api_kinds *kinds, struct str path) {
    struct str group, rest;
    if (str_starts(path, STR("/api/"))) {
        return true;
    }
    if (!str_starts(path, STR("/apis/"))) {
        return false;
    }
    str_cut(str_skip(path, strlen("/apis/")), '/', &group, &rest);
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (group.n && str_eq(kind->group, group)) {
            if (!kind->custom) {
                return true;
            }
            struct str all = rest, part;
            while (str_next(&all, '/', &part)) {
                if (str_eq(part, kind->plural)) {
                    return true;
                }
            }
        }
    }
    return false;
}

bool front_serve_unknown(struct front_call *call) {
    const struct http_request *request = http_exchange_request(call->exchange);
    if (is_api_path(call->front->server->kinds, request->path)) {
        return false;
    }
    http_exchange_add_header(call->exchange,
                             (struct http_header){STR("X-Content-Type-Options"), STR("nosniff")});
    struct blob *body = blob_create(STR("404 page not found\n"));
    front_reply_blob(call, 404, STR("text/plain; charset=utf-8"), body);
    blob_unref(body);
    return true;
}

void front_discovery_stop(struct apiserver_http *front) {
    loop_timer_destroy(front->forget);
    front->forget = NULL;
}
