// SPDX-License-Identifier: Apache-2.0
// A run of requests against a server over the store in memory: one a line, "VERB PATH BODY", where VERB may carry a
// letter for the kind of body (j JSON patch, m merge, s strategic, a apply, p protobuf in hex). Whatever comes in, the
// server answers every request once, stays consistent, and starts again over what it stored.
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/apiserver.h"
#include "apiserver/core.h"
#include "apiserver/protobuf.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/sim_loop.h"
#include "store/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answered(void *ctx, const struct kube_reply *reply) {
    unsigned *left = ctx;
    CHECK(*left > 0);
    (*left)--;
    CHECK(reply->status == 0 || (reply->status >= 200 && reply->status < 600));
    CHECK((reply->error == NULL) == (reply->status >= 200 && reply->status < 300));
    struct arena *arena = arena_create();
    struct doc_value value;
    CHECK(reply->status == 0 || doc_parse_json(reply->body, arena, &value, NULL));
    arena_destroy(arena);
}

static void saw(void *ctx, enum kube_event type, struct str object, struct blob *blob) {
    struct arena *arena = arena_create();
    struct doc_value value;
    CHECK(doc_parse_json(object, arena, &value, NULL));
    arena_destroy(arena);
}

static void ended(void *ctx, const struct err *error) {
}

static void try_protobuf(struct str text) {
    struct arena *arena = arena_create();
    struct doc_value value;
    struct err err = {0};
    struct str bytes;
    if (hex_decode(text, arena, &bytes)) {
        struct str body = arena_concat(arena, (struct str){"k8s\0", 4}, bytes);
        if (api_protobuf_parse(body, arena, &value, &err)) {
            CHECK(doc_to_json(arena, &value).n > 0);
        } else {
            CHECK(err.code != ERR_NONE);
        }
    }
    arena_destroy(arena);
}

static void send(struct apiserver *server, struct str line, unsigned *left) {
    struct str verb, rest, path, body, plain, query;
    str_cut(line, ' ', &verb, &rest);
    str_cut(rest, ' ', &path, &body);
    str_cut(path, '?', &plain, &query);
    struct str method = verb;
    char form = 'm';
    if (verb.n > 3 && verb.p[verb.n - 1] >= 'a') {
        form = verb.p[verb.n - 1];
        method = str_first(verb, verb.n - 1);
    }
    if (form == 'p') {
        try_protobuf(body);
    }
    struct arena *arena = arena_create();
    struct api_request parsed;
    struct api_error error = {0};
    if (api_request_parse(arena, method, plain, query, &parsed, &error)) {
        static const enum kube_verb verbs[] = {KUBE_GET,    KUBE_LIST,  KUBE_LIST,   KUBE_CREATE,
                                               KUBE_UPDATE, KUBE_PATCH, KUBE_DELETE, KUBE_DELETE};
        struct kube_request request = {
            .verb = verbs[parsed.verb],
            .gvr = parsed.gvr,
            .ns = parsed.ns,
            .name = parsed.name,
            .subresource = parsed.subresource,
            .body = body,
            .patch = form == 'j'   ? KUBE_PATCH_JSON
                     : form == 's' ? KUBE_PATCH_STRATEGIC
                     : form == 'a' ? KUBE_PATCH_APPLY
                                   : KUBE_PATCH_MERGE,
            .dry_run = parsed.dry_run,
            .force = parsed.force,
            .field_manager = parsed.field_manager,
            .propagation = parsed.propagation,
            .grace_seconds = parsed.grace_seconds,
            .label_selector = parsed.label_selector,
            .field_selector = parsed.field_selector,
            .continue_token = parsed.continue_token,
            .resource_version = parsed.resource_version,
            .resource_version_match = parsed.resource_version_match,
            .limit = (uint32_t)parsed.limit,
        };
        (*left)++;
        apiserver_call(server, NULL, &request, answered, left);
    }
    arena_destroy(arena);
}

static struct apiserver *start(struct loop *loop, struct store *store) {
    struct apiserver_options options = {.loop = loop, .store = store, .no_workloads = true};
    struct apiserver *server = apiserver_create(&options, NULL);
    CHECK(server != NULL);
    return server;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 64 * 1024) {
        return 0;
    }
    CHECK(log_configure(STR("off"), false, NULL)); // injected failures are no news
    struct loop *loop = sim_loop_create(data[0]);
    struct store *store = store_create_memory(loop);
    struct apiserver *server = start(loop, store);
    struct kube_watch_handler handler = {.on_event = saw, .on_end = ended};
    struct kube_watch_request watch = {.gvr = {.version = STR("v1"), .resource = STR("configmaps")},
                                       .label_selector = STR("a=b")};
    apiserver_watch(server, NULL, &watch, &handler);
    unsigned left = 0;
    if (data[1] & 1) {
        store_memory_fail(store, ERR_FULL, (unsigned)data[1] >> 4);
    }
    struct str text = {(const char *)data + 2, size - 2};
    struct str line;
    unsigned lines = 0;
    while (lines < 64 && str_next(&text, '\n', &line)) {
        send(server, line, &left);
        if (++lines % 3 == 0) {
            sim_loop_run(loop, loop_now(loop) + 10000000);
        }
    }
    sim_loop_run(loop, loop_now(loop) + 1000000000);
    CHECK(left == 0);
    int64_t revision = apiserver_revision(server);
    apiserver_destroy(server);
    sim_loop_run(loop, loop_now(loop) + 1000000000);
    server = start(loop, store);
    CHECK(apiserver_revision(server) == revision);
    apiserver_destroy(server);
    sim_loop_run(loop, loop_now(loop) + 1000000000);
    store->ops->close(store);
    sim_loop_destroy(loop);
    return 0;
}
