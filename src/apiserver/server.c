// SPDX-License-Identifier: Apache-2.0
// The server as a whole: start-up from the store, first objects, shutdown; and the calls for users in this process.
#include "apiserver/auth_account.h"
#include "apiserver/authz.h"

#include "base/log.h"
#include "base/timefmt.h"

// ---- Work for a later turn ----
struct api_life { // outlives the server while posts are under way
    struct apiserver *server;
    unsigned refs;
};
struct post {
    struct api_life *life;
    void (*fn)(struct apiserver *server);
};

static void life_unref(struct api_life *life) {
    if (--life->refs == 0) {
        free(life);
    }
}

static void run_post(void *ctx) {
    struct post *post = ctx;
    if (post->life->server) {
        post->fn(post->life->server);
    }
    life_unref(post->life);
    free(post);
}

void api_post(struct apiserver *server, void (*fn)(struct apiserver *server)) {
    struct post *post = NEW(struct post);
    *post = (struct post){.life = server->life, .fn = fn};
    server->life->refs++;
    loop_post(server->loop, run_post, post);
}

// ---- Small things ----
const struct api_kind *api_kind_find(const struct apiserver *server, const struct kube_gvr *gvr) {
    return api_kinds_find(server->kinds, gvr->group, gvr->version, gvr->resource);
}

const struct api_kinds *apiserver_kinds(const struct apiserver *server) {
    return server->kinds;
}

bool apiserver_is_ready(const struct apiserver *server) {
    return server->ready;
}

struct str apiserver_root_ca(const struct apiserver *server) {
    return server->root_ca;
}

int64_t apiserver_revision(const struct apiserver *server) {
    return server->durable;
}

// ---- The server's own writes ----
static void repair(void *ctx);

// A write of our own that failed (a full disk) is tried again: what it was for is worked out anew.
static void op_forget(struct api_op *op) {
    struct apiserver *server = op->server;
    bool expected = op->error.status == 409 || op->error.status == 404;
    if (op->error.status && !expected && server->ready) {
        LOG(LOG_WARN, "apiserver", "an internal write failed", "error", op->error.message.p);
        if (!server->repair_timer) {
            server->repair_timer = loop_timer_create(server->loop, repair, server);
        }
        loop_timer_start(server->repair_timer, 2 * NS_PER_SECOND);
    }
    api_op_destroy(op);
}

// ---- Custom kinds ----

static void write_crd_status(struct apiserver *server, struct str name,
                             const struct doc_value *status) {
    struct api_op *op = api_op_create(server, op_forget);
    struct doc_object body = doc_object_start(op->arena);
    doc_object_set_c(&body, "status", *status);
    struct doc_value value = doc_object_done(&body);
    op->request.verb = API_VERB_PATCH;
    op->request.patch = KUBE_PATCH_MERGE;
    op->request.gvr = (struct kube_gvr){.group = STR("apiextensions.k8s.io"),
                                        .version = STR("v1"),
                                        .resource = STR("customresourcedefinitions")};
    op->request.subresource = STR("status");
    op->request.name = arena_dup(op->arena, name);
    op->request.body = doc_to_json(op->arena, &value);
    api_op_run(op);
}

static void read_crd(struct apiserver *server, struct str name, struct str text,
                     bool write_status) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value crd;
    struct doc_value status;
    struct err err = {0};
    if (!doc_parse_json(text, arena, &crd, &err)) {
        LOG(LOG_ERROR, "apiserver", "a stored definition does not parse", "error", err.message);
        return;
    }
    api_kinds_crd_changed(server->kinds, name, &crd);
    if (write_status &&
        api_crd_status(arena, server->kinds, &crd, loop_wall(server->loop), &status)) {
        write_crd_status(server, name, &status);
    }
}

// A definition can be durable without its status: the process ended in between.
static void check_crds(struct apiserver *server) {
    struct api_collection *crds =
        api_collection_get(server, STR("apiextensions.k8s.io"), STR("customresourcedefinitions"));
    struct api_cursor cursor = api_cursor_at(crds, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = api_entry_durable(entry, NULL);
        if (text) {
            read_crd(server, api_entry_name(entry), blob_str(text), true);
        }
        blob_unref(text);
    }
}

void api_crd_committed(struct apiserver *server, const struct api_event *event) {
    struct str name = str_skip((struct str){event->key, event->key_len}, (size_t)event->ns_len + 1);
    if (event->type == KUBE_DELETED) {
        api_kinds_crd_changed(server->kinds, name, NULL);
    } else {
        read_crd(server, name, blob_str(event->object), true);
    }
    api_watch_kinds_changed(server);
    if (server->own_objects) {
        api_own_kinds_changed(server);
    }
}

// ---- Start-up ----
static bool split_key(struct str key, struct str *group, struct str *plural, struct str *rest) {
    if (!str_starts(key, STR("/"))) {
        return false;
    }
    struct str after;
    if (!str_cut(str_skip(key, 1), '/', group, &after) || !str_cut(after, '/', plural, rest)) {
        return false;
    }
    if (str_eq(*group, STR("core"))) {
        *group = STR("");
    }
    return str_find_char(*rest, '/') != STR_NPOS && rest->n <= 2 * LIMIT_NAME + 1;
}

static bool load_row(void *ctx, struct str key, struct str value, int64_t revision) {
    struct apiserver *server = ctx;
    struct str group, plural, rest;
    if (!split_key(key, &group, &plural, &rest)) {
        LOG(LOG_WARN, "apiserver", "a row of the store with a strange key is left alone");
        return true;
    }
    struct api_entry *entry = api_entry_add(api_collection_get(server, group, plural), rest);
    entry->revision = revision;
    if (server->cache_used + value.n < server->cache_max) {
        struct blob *blob = blob_create(value);
        api_entry_set_text(entry, blob);
        blob_unref(blob);
    }
    if (str_eq(plural, STR("customresourcedefinitions")) &&
        str_eq(group, STR("apiextensions.k8s.io"))) {
        read_crd(server, api_entry_name(entry), value, false);
    }
    return true;
}

static void make_namespace(struct apiserver *server, const char *name) {
    if (api_entry_find(api_collection_get(server, STR(""), STR("namespaces")), STR(""),
                       str_from(name))) {
        return;
    }
    struct api_op *op = api_op_create(server, op_forget);
    op->request.verb = API_VERB_CREATE;
    op->request.gvr = (struct kube_gvr){.version = STR("v1"), .resource = STR("namespaces")};
    op->request.body = arena_printf(op->arena, "{\"metadata\":{\"name\":\"%s\"}}", name);
    api_op_run(op);
}

static void make_priority_class(struct apiserver *server, const char *name, long long value) {
    struct kube_gvr gvr = {STR("scheduling.k8s.io"), STR("v1"), STR("priorityclasses")};
    if (api_entry_find(api_collection_get(server, gvr.group, gvr.resource), STR(""),
                       str_from(name))) {
        return;
    }
    struct api_op *op = api_op_create(server, op_forget);
    op->request.verb = API_VERB_CREATE;
    op->request.gvr = gvr;
    op->request.body = arena_printf(op->arena,
                                    "{\"metadata\":{\"name\":\"%s\"},\"value\":%lld,"
                                    "\"description\":\"Pods that the system cannot do without.\"}",
                                    name, value);
    api_op_run(op);
}

static void first_objects(struct apiserver *server) {
    static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        make_namespace(server, names[i]);
    }
    make_priority_class(server, "system-node-critical", 2000001000);
    make_priority_class(server, "system-cluster-critical", 2000000000);
    if (server->authz) {
        api_authz_defaults(server);
    }
}

static void repair(void *ctx) {
    struct apiserver *server = ctx;
    first_objects(server);
    if (server->accounts) {
        api_accounts_start(server);
    }
    check_crds(ctx);
}

static void register_metrics(struct apiserver *server) {
    static const char *const labels[] = {"verb",        "group", "version", "resource",
                                         "subresource", "code",  NULL};
    static const double buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,   0.25,   0.5,   1,    0};
    if (!server->metrics) {
        return;
    }
    server->requests = metrics_register(server->metrics, METRIC_COUNTER, "apiserver_request_total",
                                        "Requests answered by the embedded API.", labels, NULL);
    server->commit_seconds =
        metrics_register(server->metrics, METRIC_HISTOGRAM, "skiff_store_commit_duration_seconds",
                         "Time from the start of a commit until it was durable.", NULL, buckets);
}

struct apiserver *apiserver_create(const struct apiserver_options *options, struct err *err) {
    struct apiserver *server = NEW(struct apiserver);
    server->loop = options->loop;
    server->store = options->store;
    server->metrics = options->metrics;
    server->callouts = options->calls;
    server->cache_max = options->cache_bytes ? options->cache_bytes : APISERVER_CACHE_BYTES;
    server->root_ca = (struct str){xstrdup(options->root_ca), options->root_ca.n};
    server->life = NEW(struct api_life);
    *server->life = (struct api_life){.server = server, .refs = 1};
    server->kinds = api_kinds_create();
    server->collections = map_create();
    server->watches = map_create();
    server->local_watches = map_create();
    server->calls = map_create();
    server->scratch = arena_create();
    buf_init(&server->print, LIMIT_OBJECT_BYTES);
    server->revision = server->durable = server->store->ops->revision(server->store);
    server->history.compacted = server->durable;
    if (!server->store->ops->scan(server->store, load_row, server, err)) {
        err_wrap(err, "reading the stored objects");
        apiserver_destroy(server);
        return NULL;
    }
    register_metrics(server);
    server->chain = api_chain_create(server);
    if (options->account_key.n) {
        server->accounts =
            api_accounts_create(server, options->account_key, options->account_issuer, err);
        if (!server->accounts) {
            apiserver_destroy(server);
            return NULL;
        }
    }
    server->authz = options->rbac ? api_authz_create(server) : NULL;
    server->ready = true;
    first_objects(server);
    if (server->accounts) {
        api_accounts_start(server);
    }
    if (!options->no_workloads) {
        server->own_objects = true;
        api_own_objects(server);
    }
    check_crds(server);
    server->controllers = api_controllers_create(server, options);
    return server;
}

static void cancel_waiting(struct apiserver *server) {
    // Every call gets its answer, also now: what waits in a group or in the queue is told that it was cut off.
    struct api_group *groups[] = {server->committing, server->open};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        for (size_t j = 0; groups[i] && j < groups[i]->waiting.len; j++) {
            struct api_op *op = groups[i]->waiting.items[j];
            op->cancelled = true;
            op->finish(op);
        }
        if (groups[i]) {
            groups[i]->waiting.len = 0;
        }
    }
    while (server->ready_first) {
        struct api_op *op = server->ready_first;
        server->ready_first = op->next;
        op->finish(op);
    }
    server->ready_last = NULL;
}

void apiserver_destroy(struct apiserver *server) {
    if (!server) {
        return;
    }
    server->ready = false;
    if (server->controllers) {
        api_controllers_destroy(server->controllers);
    }
    loop_timer_destroy(server->repair_timer);
    api_home_destroy(server->home);
    api_watches_destroy(server);
    api_park_cancel_all(server);
    cancel_waiting(server);
    api_groups_destroy(server);
    api_history_clear(&server->history);
    api_authz_destroy(server->authz);
    api_accounts_destroy(server->accounts);
    void *value;
    for (size_t i = 0; map_next(server->collections, &i, NULL, &value);) {
        api_collection_destroy(value);
    }
    map_destroy(server->collections);
    api_addresses_drop(server);
    map_destroy(server->watches);
    map_destroy(server->local_watches);
    map_destroy(server->calls);
    api_chain_destroy(server->chain);
    api_kinds_destroy(server->kinds);
    arena_destroy(server->scratch);
    free((void *)(uintptr_t)server->root_ca.p);
    buf_fini(&server->print);
    server->life->server = NULL;
    life_unref(server->life);
    free(server);
}
