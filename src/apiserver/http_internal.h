// SPDX-License-Identifier: Apache-2.0
// What the two files of the HTTP front end share.
#ifndef SKIFF_APISERVER_HTTP_INTERNAL_H
#define SKIFF_APISERVER_HTTP_INTERNAL_H

#include "apiserver/auth.h"
#include "apiserver/core.h"

struct front_call { // one exchange that waits for its operation
    struct apiserver_http *front;
    struct front_call *next, **link;
    struct http_exchange *exchange; // NULL: the client left
    struct api_op *op;
};

struct front_watch;
struct apiserver_http {
    struct apiserver *server;
    struct api_tokens *tokens;
    struct front_call *calls;
    struct front_watch *watches;
    struct api_user cert_user; // of the request being looked at
    struct loop_timer *forget; // texts of discovery, or NULL
};

void front_call_detach(struct front_call *call);
void front_reply_error(struct http_exchange *exchange, const struct api_error *error);
// Takes over the operation, of which a watch needs the parsed request only.
void front_watch_start(struct apiserver_http *front, struct http_exchange *exchange,
                       struct api_op *op);
void front_watches_end(struct apiserver_http *front);
// False when the path is not theirs (http_discovery.c).
bool front_serve_discovery(struct apiserver_http *front, struct http_exchange *exchange);
bool front_serve_unknown(struct apiserver_http *front, struct http_exchange *exchange);
void front_discovery_stop(struct apiserver_http *front);

#endif
