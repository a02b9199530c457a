// SPDX-License-Identifier: Apache-2.0
// A server and a client on one loop, plain or with TLS, and a raw socket for what no client would send.
#ifndef SKIFF_TESTS_HTTP_RIG_H
#define SKIFF_TESTS_HTTP_RIG_H

#include "base/arena.h"
#include "http/client.h"
#include "http/server.h"
#include "loop/loop.h"

struct rig {
    struct loop *loop;
    struct arena *arena;
    struct http_server *server;
    struct http_client *client;
    struct http_target *target;
    struct str ca;
    bool tls;
    char base[64]; // "http://127.0.0.1:4711"
    // What the handler does with a path is in rig.c; these are its traces.
    int handled;
    int aborted;
    int closed; // streams
    struct http_exchange *held;
    struct http_stream *streams[2048];
    size_t stream_count;
    // The last call's outcome.
    int done;
    int status;
    int heads;
    enum err_code error;
    char message[512];
    char body[4096];
    char groups[256]; // of the client certificate of the last request
    size_t body_len;
    uint64_t body_hash;
    char header[256]; // of the reply: Content-Type
    size_t data_calls;
    bool (*on_data)(struct rig *rig, struct str chunk);
};

void rig_start(struct rig *rig, bool tls, const struct http_server_options *options);
void rig_stop(struct rig *rig);
// Runs one call to its end. `call` may be NULL; method, url and callbacks are filled in.
void rig_call(struct rig *rig, const char *method, const char *path, struct http_call call);
uint64_t rig_begin(struct rig *rig, const char *method, const char *path, struct http_call call);
void rig_run(struct rig *rig, int64_t ns);                          // the loop, for so long
void rig_run_until(struct rig *rig, const int *counter, int value); // or a minute

// A connection without any client: blocking, while the loop runs between writes and reads.
int raw_connect(struct rig *rig);
void raw_send(int fd, struct str text);
// Runs the loop and collects what comes until the peer closes, `until` is seen, or time is up.
struct str raw_receive(struct rig *rig, int fd, const char *until);

#endif
