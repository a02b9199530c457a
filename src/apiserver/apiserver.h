// SPDX-License-Identifier: Apache-2.0
// A Kubernetes-compatible API in this process, over a store. Requests come in parsed form (from the HTTP front end in
// apiserver/http.c, or directly from local/). Writes are acknowledged and shown to watchers after they are durable; reads
// wait for the commit of what they saw, so every reply is linearizable.
#ifndef SKIFF_APISERVER_APISERVER_H
#define SKIFF_APISERVER_APISERVER_H

#include "base/blob.h"
#include "base/err.h"
#include "http/server.h"
#include "kube/client.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "store/store.h"

struct apiserver;

// How the server calls out, to webhooks. Without it (NULL in the options) they cannot be called: their failure policy
// decides then.
struct apiserver_callout {
    struct str url;         // https
    struct str ca;          // PEM; empty: the system's
    struct str server_name; // for the certificate; empty: the URL's host
    struct str body;        // JSON, POSTed
    int64_t timeout_ns;
    size_t max_reply;
    // Once, in a later turn, also after a cancel. status 0: no reply, `error` says why; what is handed in is borrowed.
    void (*done)(void *ctx, int status, struct str body, const struct err *error);
    void *ctx;
};
struct apiserver_calls {
    uint64_t (*start)(void *ctx, const struct apiserver_callout *call); // copies; never 0
    void (*cancel)(void *ctx, uint64_t id);
    void *ctx;
};
// Over the HTTP client; destroyed after the server.
struct apiserver_calls *apiserver_calls_create(struct loop *loop);
void apiserver_calls_destroy(struct apiserver_calls *calls);

struct apiserver_options {
    struct loop *loop;
    struct store *store;                 // borrowed; closed by the owner afterwards
    struct metrics *metrics;             // may be NULL
    const struct apiserver_calls *calls; // borrowed; may be NULL
    unsigned nodes;                      // simulated nodes; 0: pods stay Pending
    int64_t pod_start_delay_ns; // default time from scheduled to Ready; annotations override it
    size_t cache_bytes; // object texts kept in memory; 0: the default (APISERVER_CACHE_BYTES)
    bool no_workloads;  // switch the simulated controllers off (pure API)
    bool no_events;     // the simulated controllers record no Event objects
    // RBAC decides what requests from outside may do, and the default roles are there. Off: who is authenticated may do
    // everything. Callers in this process are never asked.
    bool rbac;
    struct str root_ca; // PEM that clients trust: kube-root-ca.crt, token Secrets; empty: none
    // PEM of the private key that signs tokens of service accounts; empty: none are given out.
    struct str account_key;
    struct str account_issuer; // of those tokens; empty: https://kubernetes.default.svc
};
// The certificates of `root_ca`; lives as long as the server.
struct str apiserver_root_ca(const struct apiserver *server);
struct apiserver *apiserver_create(const struct apiserver_options *options, struct err *err);
void apiserver_destroy(struct apiserver *server);
// From now on the Service default/kubernetes leads there, and comes back when it is deleted. `host` is an IPv4 address that
// is not a loopback; empty: there is none, and the Service has no endpoints.
void apiserver_set_address(struct apiserver *server, struct str host, unsigned port);
bool apiserver_is_ready(const struct apiserver *server);
int64_t apiserver_revision(const struct apiserver *server);

struct api_extra { // what an authenticator knows beyond name and groups
    struct str key;
    const struct str *values;
    size_t count;
};
struct api_user {
    struct str name;
    const struct str *groups;
    size_t group_count;
    struct str uid; // empty: none
    const struct api_extra *extra;
    size_t extra_count;
};

// Direct calls, used by local/ and the simulation. Same rules as kube_client: the callback runs in a later turn, once.
uint64_t apiserver_call(struct apiserver *server, const struct api_user *user,
                        const struct kube_request *request, kube_done *done, void *ctx);
uint64_t apiserver_watch(struct apiserver *server, const struct api_user *user,
                         const struct kube_watch_request *request,
                         const struct kube_watch_handler *handler);
uint64_t apiserver_get_raw(struct apiserver *server, struct str path, struct str accept,
                           kube_done *done, void *ctx);
void apiserver_cancel(struct apiserver *server, uint64_t id);
struct blob *apiserver_peek(struct apiserver *server, const struct kube_gvr *gvr, struct str ns,
                            struct str name);

// The HTTP front end. Tokens are lines "token,user,uid,\"group1,group2\"" as kube-apiserver's --token-auth-file.
struct apiserver_http;
bool apiserver_tokens_parse(struct str csv, struct err *err) MUST_USE;
struct apiserver_http *apiserver_http_create(struct apiserver *server, struct str tokens_csv,
                                             struct err *err);
// Writes an audit log of what comes in: JSON lines into a file that is renamed to FILE.1, FILE.2, ... when it is full.
bool apiserver_http_audit(struct apiserver_http *front, const char *path, int64_t max_bytes,
                          unsigned files, struct err *err) MUST_USE;
void apiserver_http_destroy(struct apiserver_http *front);
// For http_server_options.handle with ctx = the front end; main.c owns the listener.
void apiserver_http_handle(void *front, struct http_exchange *exchange);

#endif
