// SPDX-License-Identifier: Apache-2.0
// The shortest way to the embedded API: each function of the client is one direct call into the server, with no socket,
// no text of a URL and no second copy of an object. What the server promises (callbacks in a later turn, exactly once,
// also after cancel) is what a kube_client must promise, so there is nothing to keep here but the user's name.
#include "local/local.h"

struct local_client {
    struct kube_client client;
    struct apiserver *server;
    char *user_name;
    struct str groups[2];
    struct api_user user;
};

static struct local_client *local_of(struct kube_client *client) {
    return CONTAINER_OF(client, struct local_client, client);
}

static uint64_t local_call(struct kube_client *client, const struct kube_request *request,
                           kube_done *done, void *ctx) {
    struct local_client *local = local_of(client);
    return apiserver_call(local->server, &local->user, request, done, ctx);
}

static uint64_t local_watch(struct kube_client *client, const struct kube_watch_request *request,
                            const struct kube_watch_handler *handler) {
    struct local_client *local = local_of(client);
    return apiserver_watch(local->server, &local->user, request, handler);
}

static void local_cancel(struct kube_client *client, uint64_t id) {
    apiserver_cancel(local_of(client)->server, id);
}

static uint64_t local_get_raw(struct kube_client *client, struct str path, struct str accept,
                              kube_done *done, void *ctx) {
    return apiserver_get_raw(local_of(client)->server, path, accept, done, ctx);
}

static struct blob *local_peek(struct kube_client *client, const struct kube_gvr *gvr,
                               struct str ns, struct str name) {
    return apiserver_peek(local_of(client)->server, gvr, ns, name);
}

static void local_destroy(struct kube_client *client) {
    struct local_client *local = local_of(client);
    free(local->user_name);
    free(local);
}

static const struct kube_client_ops local_ops = {
    .call = local_call,
    .watch = local_watch,
    .cancel = local_cancel,
    .get_raw = local_get_raw,
    .peek = local_peek,
    .destroy = local_destroy,
};

struct kube_client *local_client_create(struct apiserver *server, struct str user_name) {
    struct local_client *local = NEW(struct local_client);
    local->client.ops = &local_ops;
    local->client.server = STR("https://kubernetes.default.svc");
    local->server = server;
    local->user_name = xstrdup(user_name);
    local->groups[0] = STR("system:masters");
    local->groups[1] = STR("system:authenticated");
    local->user = (struct api_user){
        .name = str_from(local->user_name),
        .groups = local->groups,
        .group_count = ARRAY_LEN(local->groups),
    };
    return &local->client;
}
