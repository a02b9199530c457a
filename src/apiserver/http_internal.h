// SPDX-License-Identifier: Apache-2.0
// What the files of the HTTP front end share.
#ifndef SKIFF_APISERVER_HTTP_INTERNAL_H
#define SKIFF_APISERVER_HTTP_INTERNAL_H

#include "apiserver/audit.h"
#include "apiserver/auth.h"
#include "apiserver/auth_account.h"
#include "apiserver/authz.h"
#include "apiserver/core.h"

enum {
    FRONT_READING = 4000, // requests under way at the same time; more get 429
    FRONT_WRITING = 4000,
    FRONT_BACKLOG = 128 * MIB,    // of replies that clients have not taken yet
    FRONT_GZIP_LEAST = 128 * KIB, // smaller replies are sent as they are
    FRONT_METRICS = 64 * MIB,
    FRONT_PRETTY = 4 * MIB,  // larger replies are not laid out for people
    FRONT_IMPERSONATED = 64, // groups, and extra values, of one request
};

struct front_call { // one request; lives in its operation's arena until the reply was given
    struct apiserver_http *front;
    struct front_call *next, **link;
    struct http_exchange *exchange; // NULL: the client left
    struct api_op *op;
    struct api_user who; // who is authenticated; op->user is whom he acts as
    bool known;          // `who` is set
    bool impersonates;
    bool counted, writing;
    bool is_resource;
    struct str id;    // of the audit log
    struct str cache; // Cache-Control of the reply
    int64_t received;
    bool allowed;
};

struct front_watch;
struct apiserver_http {
    struct apiserver *server;
    struct api_tokens *tokens;
    struct audit_log *audit; // may be NULL
    struct front_call *calls;
    struct front_watch *watches;
    size_t reading, writing;
    struct loop_timer *forget;      // texts of discovery, or NULL
    struct front_squeeze *squeezes; // replies that are being compressed
};

void front_call_detach(struct front_call *call);
// Takes over the call and its operation.
void front_watch_start(struct front_call *call);
void front_watches_end(struct apiserver_http *front);

// ---- http_auth.c: who asks ----
bool front_authenticate(struct front_call *call); // false: op->error is 401
bool front_impersonate(struct front_call *call);  // false: op->error is 403 or 400
// For a TokenReview: the user of a token of any kind.
bool front_token_user(struct apiserver *server, struct str token, struct arena *arena,
                      struct api_account_check *check);

// ---- http_discovery.c: false when the path is not theirs ----
bool front_serve_discovery(struct front_call *call);
bool front_serve_unknown(struct front_call *call);
void front_discovery_stop(struct apiserver_http *front);

// ---- http_reply.c ----
void front_headers(struct front_call *call); // those that every reply has
void front_reply(struct front_call *call);   // with what the operation holds
void front_reply_error(struct front_call *call);
// `body` NULL: none.
void front_reply_blob(struct front_call *call, int status, struct str type, struct blob *body);
void front_cache_header(struct front_call *call);
void front_audit(struct front_call *call, const char *stage, int code,
                 const struct api_error *error);
void front_audit_info(const struct front_call *call, struct arena *arena, struct audit_info *out);
void front_squeezes_end(struct apiserver_http *front);

#endif
