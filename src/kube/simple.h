// SPDX-License-Identifier: Apache-2.0
// Asking a cluster in a straight line, for commands; and lists in pages, for everybody.
#ifndef SKIFF_KUBE_SIMPLE_H
#define SKIFF_KUBE_SIMPLE_H

#include "kube/client.h"
#include "kube/mapper.h"
#include "loop/loop.h"

// A reply that outlives its callback: texts are in the arena.
struct kube_answer {
    int status;
    struct str body;
    struct str reason;
};

// Runs the loop until the reply is there. "Too many requests" is tried again as the server asks (a few times). On
// failure *out still has status, body and reason when the server gave them. Only for commands: never from inside a
// callback of this loop.
bool kube_call_wait(struct loop *loop, struct kube_client *client,
                    const struct kube_request *request, struct arena *arena,
                    struct kube_answer *out, struct err *err) MUST_USE;
bool kube_get_raw_wait(struct loop *loop, struct kube_client *client, struct str path,
                       struct str accept, struct arena *arena, struct kube_answer *out,
                       struct err *err) MUST_USE;
bool kube_mapper_refresh_wait(struct loop *loop, struct kube_mapper *mapper,
                              struct err *err) MUST_USE;

// All pages of a list, one after the other; request->limit 0 means LIMIT_LIST_PAGE. `on_item` gets each item's text
// (borrowed; as the server sent it, without apiVersion and kind where a typed list leaves them out; `head_kind` is the
// list's kind, "PodList") and returns false to stop early. `done` runs once, with the version of the list; when the pages
// took longer than the server's history, with ERR_GONE.
struct kube_list_handler {
    bool (*on_item)(void *ctx, struct str item, struct str head_kind, struct str head_api_version);
    void (*done)(void *ctx, const struct err *error, struct str resource_version);
    void *ctx;
};
struct kube_list;
struct kube_list *kube_list_start(struct kube_client *client, const struct kube_request *request,
                                  const struct kube_list_handler *handler);

// The whole list as documents in the arena, each with its apiVersion and kind. Starts over once when a page expired.
bool kube_list_wait(struct loop *loop, struct kube_client *client,
                    const struct kube_request *request, struct arena *arena, struct doc_value **out,
                    size_t *count, struct err *err) MUST_USE;

// The texts of a request's strings copied to an arena, for a request that must outlive its maker.
void kube_request_copy(struct arena *arena, struct kube_request *out,
                       const struct kube_request *from);

#endif
