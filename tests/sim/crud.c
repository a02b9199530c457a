// SPDX-License-Identifier: Apache-2.0
// Clients that create, change, read and delete through a bad network while the process crashes. What must hold: an
// acknowledged write is never lost, a read shows a state that can be, compare-and-swap counts exactly, a watch on the
// server has told of a write before its answer, and a cache over the bad network ends with the server's content.
#include "world.h"

#include <stdio.h>

#include "base/map.h"
#include "base/vec.h"
#include "kube/cache.h"

enum { CLIENTS = 4, KEYS = 4, ABSENT = 0 };

struct key { // written by one client only
    char name[32];
    VEC(int64_t) possible; // contents that the object may have now; ABSENT: not there
    int64_t next;          // contents are never used twice
};

struct client {
    struct crud *crud;
    struct kube_client *kube;
    struct key keys[KEYS];
    struct loop_timer *timer;
    unsigned life; // answers of an earlier process are stale
    // the operation under way
    enum { OP_CREATE, OP_UPDATE, OP_PATCH, OP_DELETE, OP_GET, OP_READ_COUNTER, OP_COUNT } op;
    struct key *key;
    int64_t value;
};

struct crud {
    struct world *world;
    struct client clients[CLIENTS];
    bool running;
    unsigned life;
    int64_t counted, perhaps_counted;
    int64_t seen; // newest revision that the watch on the server told of
    uint64_t watch;
    struct kube_cache *cache;
    struct kube_client *cache_client;
    uint64_t operations, acknowledged;
};

struct call {
    struct client *client;
    unsigned life;
};

static void next_operation(void *ctx);

// ---- What may be ----
static bool is_possible(const struct key *key, int64_t value) {
    for (size_t i = 0; i < key->possible.len; i++) {
        if (key->possible.items[i] == value) {
            return true;
        }
    }
    return false;
}

static void only(struct key *key, int64_t value) {
    key->possible.len = 0;
    VEC_PUSH(&key->possible, value);
}

static void perhaps(struct key *key, int64_t value) {
    if (!is_possible(key, value)) {
        VEC_PUSH(&key->possible, value);
    }
}

static int64_t value_in(const struct doc_value *object) {
    int64_t value = ABSENT;
    (void)str_to_int64(doc_get_str(object, "data", "v"), &value);
    return value;
}

static void expect_possible(struct crud *crud, struct key *key, int64_t value, const char *when) {
    if (is_possible(key, value)) {
        return;
    }
    world_fail(crud->world, "%s: %s holds %lld, which cannot be", when, key->name,
               (long long)value);
    for (size_t i = 0; i < key->possible.len; i++) {
        fprintf(stderr, "    possible: %lld\n", (long long)key->possible.items[i]);
    }
}

// ---- Answers ----
static void check_told(struct crud *crud, const struct doc_value *object) {
    int64_t revision = 0;
    if (str_to_int64(doc_get_str(object, "metadata", "resourceVersion"), &revision) &&
        revision > crud->seen) {
        world_fail(crud->world, "a write of revision %lld is acknowledged, watches know %lld",
                   (long long)revision, (long long)crud->seen);
    }
}

static void take_write(struct client *client, const struct kube_reply *reply,
                       const struct doc_value *body) {
    struct crud *crud = client->crud;
    struct key *key = client->key;
    int64_t value = client->op == OP_DELETE ? ABSENT : client->value;
    if (!reply->error) {
        crud->acknowledged++;
        only(key, value);
        if (client->op != OP_DELETE) {
            check_told(crud, body);
        }
        return;
    }
    switch (reply->error->code) {
    case ERR_NOT_FOUND:
        // The only writer reads the truth: it is not there.
        expect_possible(crud, key, ABSENT, "not found");
        only(key, ABSENT);
        break;
    case ERR_EXISTS:
        for (size_t i = 0; i < key->possible.len; i++) {
            if (key->possible.items[i] == ABSENT) {
                VEC_REMOVE_SWAP(&key->possible, i);
            }
        }
        if (key->possible.len == 0) {
            world_fail(crud->world, "%s exists though it cannot", key->name);
        }
        break;
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
        perhaps(key, value);
        break;
    default:
        break; // refused: nothing happened
    }
}

static void take_counter(struct client *client, const struct kube_reply *reply,
                         const struct doc_value *body);

static void take_answer(void *ctx, const struct kube_reply *reply) {
    struct call *call = ctx;
    struct client *client = call->client;
    bool stale = call->life != client->life;
    free(call);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value body = doc_null();
    struct err err = {0};
    if (reply->body.n) {
        (void)!doc_parse_json(reply->body, arena, &body, &err);
    }
    if (client->op == OP_READ_COUNTER || client->op == OP_COUNT) {
        take_counter(client, reply, &body);
    } else if (client->op == OP_GET) {
        if (!reply->error || reply->error->code == ERR_NOT_FOUND) {
            int64_t value = reply->error ? ABSENT : value_in(&body);
            expect_possible(client->crud, client->key, value, "read");
            only(client->key, value);
        }
    } else {
        take_write(client, reply, &body);
    }
    if (!stale && client->crud->running) {
        loop_timer_start(client->timer,
                         (int64_t)world_random(client->crud->world, 300 * NS_PER_MS));
    }
}

// ---- Operations ----
static void send(struct client *client, const struct kube_request *request) {
    struct call *call = NEW(struct call);
    *call = (struct call){.client = client, .life = client->life};
    client->crud->operations++;
    client->kube->ops->call(client->kube, request, take_answer, call);
}

static void take_counter(struct client *client, const struct kube_reply *reply,
                         const struct doc_value *body) {
    struct crud *crud = client->crud;
    if (client->op == OP_COUNT) {
        if (!reply->error) {
            crud->counted++;
            crud->acknowledged++;
            check_told(crud, body);
        } else if (reply->error->code == ERR_TIMEOUT || reply->error->code == ERR_CANCELLED) {
            crud->perhaps_counted++;
        }
        return;
    }
    int64_t value = reply->error ? -1 : value_in(body);
    // At least what was acknowledged before the question, at most what may have been done before the answer.
    if (!reply->error &&
        (value < client->value || value > crud->counted + crud->perhaps_counted + CLIENTS)) {
        world_fail(crud->world, "the counter reads %lld, %lld to %lld were counted",
                   (long long)value, (long long)client->value,
                   (long long)(crud->counted + crud->perhaps_counted + CLIENTS));
    }
}

static void write_counter(struct client *client) {
    // Read and swap are two operations; whoever comes between makes the swap fail.
    struct blob *blob = client->crud->world->direct->ops->peek(
        client->crud->world->direct, &gvr_config_maps, STR("sim"), STR("counter"));
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value object;
    struct err err = {0};
    if (!blob || !doc_parse_json(blob_str(blob), arena, &object, &err)) {
        blob_unref(blob);
        loop_timer_start(client->timer, NS_PER_SECOND);
        return;
    }
    client->op = OP_COUNT;
    struct str body = arena_printf(
        arena,
        "{\"metadata\":{\"name\":\"counter\",\"namespace\":\"sim\",\"resourceVersion\":\"%.*s\"},"
        "\"data\":{\"v\":\"%lld\"}}",
        STR_ARG(doc_get_str(&object, "metadata", "resourceVersion")),
        (long long)value_in(&object) + 1);
    struct kube_request request = {.verb = KUBE_UPDATE,
                                   .gvr = gvr_config_maps,
                                   .ns = STR("sim"),
                                   .name = STR("counter"),
                                   .body = body,
                                   .grace_seconds = -1};
    send(client, &request);
    blob_unref(blob);
}

static void write_key(struct client *client) {
    struct world *world = client->crud->world;
    struct key *key = &client->keys[world_random(world, KEYS)];
    AUTO(arena_destroy) struct arena *arena = arena_create();
    client->key = key;
    client->op = OP_CREATE;
    if (!is_possible(key, ABSENT) || world_chance(world, 10)) {
        uint64_t dice = world_random(world, 10);
        client->op = dice < 3 ? OP_UPDATE : dice < 6 ? OP_PATCH : dice < 8 ? OP_GET : OP_DELETE;
    }
    client->value = ++key->next;
    static const enum kube_verb verbs[] = {[OP_CREATE] = KUBE_CREATE,
                                           [OP_UPDATE] = KUBE_UPDATE,
                                           [OP_PATCH] = KUBE_PATCH,
                                           [OP_DELETE] = KUBE_DELETE,
                                           [OP_GET] = KUBE_GET};
    struct kube_request request = {
        .verb = verbs[client->op],
        .gvr = gvr_config_maps,
        .ns = STR("sim"),
        .name = client->op == OP_CREATE ? STR("") : str_from(key->name),
        .patch = KUBE_PATCH_MERGE,
        .grace_seconds = -1,
    };
    if (client->op != OP_DELETE && client->op != OP_GET) {
        request.body =
            arena_printf(arena, "{\"metadata\":{\"name\":\"%s\"},\"data\":{\"v\":\"%lld\"}}",
                         key->name, (long long)client->value);
    }
    send(client, &request);
}

static void next_operation(void *ctx) {
    struct client *client = ctx;
    struct crud *crud = client->crud;
    if (!crud->running) {
        return;
    }
    uint64_t dice = world_random(crud->world, 10);
    if (dice == 0) {
        client->op = OP_READ_COUNTER;
        client->value = crud->counted;
        struct kube_request request = {.verb = KUBE_GET,
                                       .gvr = gvr_config_maps,
                                       .ns = STR("sim"),
                                       .name = STR("counter"),
                                       .grace_seconds = -1};
        send(client, &request);
    } else if (dice < 3) {
        write_counter(client);
    } else {
        write_key(client);
    }
}

// ---- The watch on the server ----
static void told(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    struct crud *crud = ctx;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    struct err err = {0};
    int64_t revision = 0;
    if (event == KUBE_BOOKMARK || event == KUBE_ERROR ||
        !doc_parse_json(object, arena, &value, &err) ||
        !str_to_int64(doc_get_str(&value, "metadata", "resourceVersion"), &revision)) {
        return;
    }
    if (revision <= crud->seen && event != KUBE_ADDED) {
        world_fail(crud->world, "a watch tells of revision %lld after %lld", (long long)revision,
                   (long long)crud->seen);
    }
    crud->seen = revision > crud->seen ? revision : crud->seen;
}

static void watch_ended(void *ctx, const struct err *error) {
}

// ---- The process's part of the scenario ----
static void connect(struct crud *crud) {
    struct world *world = crud->world;
    crud->life++;
    for (size_t i = 0; i < CLIENTS; i++) {
        crud->clients[i].life = crud->life;
        crud->clients[i].kube = world_client(world, "client", false);
        loop_timer_start(crud->clients[i].timer, (int64_t)world_random(world, NS_PER_SECOND));
    }
    crud->cache_client = world_client(world, "cache", world->peek);
    struct kube_cache_options options = {0};
    crud->cache = kube_cache_create(world->loop, crud->cache_client, &options);
    kube_cache_want(crud->cache, &gvr_config_maps, STR("sim"), STR(""));
    struct kube_watch_request request = {.gvr = gvr_config_maps, .ns = STR("sim")};
    struct kube_watch_handler handler = {.on_event = told, .on_end = watch_ended, .ctx = crud};
    crud->watch = world->direct->ops->watch(world->direct, &request, &handler);
}

static void disconnect(struct crud *crud) {
    kube_cache_destroy(crud->cache);
    kube_client_destroy(crud->cache_client);
    for (size_t i = 0; i < CLIENTS; i++) {
        crud->clients[i].life = 0;
        kube_client_destroy(crud->clients[i].kube); // answers what is under way
        loop_timer_stop(crud->clients[i].timer);
    }
}

static void check_end(struct crud *crud) {
    struct world *world = crud->world;
    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t j = 0; j < KEYS; j++) {
            struct key *key = &crud->clients[i].keys[j];
            int status = world_get(world, &gvr_config_maps, "sim", key->name);
            expect_possible(crud, key, status == 404 ? ABSENT : value_in(&world->body), "end");
        }
    }
    world_get(world, &gvr_config_maps, "sim", "counter");
    int64_t value = value_in(&world->body);
    if (value < crud->counted || value > crud->counted + crud->perhaps_counted) {
        world_fail(world, "the counter ends at %lld, not %lld to %lld", (long long)value,
                   (long long)crud->counted, (long long)(crud->counted + crud->perhaps_counted));
    }
    world_list(world, &gvr_config_maps, "sim");
    size_t listed = 0;
    for (DOC_EACH_ITEM(doc_get(&world->body, "items"), item)) {
        struct str name = doc_get_str(item, "metadata", "name");
        const struct kube_object *object =
            kube_cache_find(crud->cache, &gvr_config_maps, STR("sim"), name);
        listed++;
        if (!object ||
            !str_eq(object->resource_version, doc_get_str(item, "metadata", "resourceVersion"))) {
            world_fail(world, "the cache has %.*s of %.*s", STR_ARG(name),
                       STR_ARG(object ? object->resource_version : STR("nothing")));
        }
    }
    size_t cached = 0, iter = 0;
    const struct kube_object *object;
    while (kube_cache_next(crud->cache, &gvr_config_maps, &iter, &object)) {
        cached++;
    }
    if (cached != listed) {
        world_fail(world, "the cache has %zu objects, the server %zu", cached, listed);
    }
}

void scenario_crud(struct world *world) {
    struct crud *crud = NEW(struct crud);
    crud->world = world;
    world_run(world, NS_PER_SECOND);
    world_create_object(world, &gvr_namespaces, "", STR("{\"metadata\":{\"name\":\"sim\"}}"));
    world_create_object(world, &gvr_config_maps, "sim",
                        STR("{\"metadata\":{\"name\":\"counter\"},\"data\":{\"v\":\"0\"}}"));
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &crud->clients[i];
        client->crud = crud;
        client->timer = loop_timer_create(world->loop, next_operation, client);
        for (size_t j = 0; j < KEYS; j++) {
            snprintf(client->keys[j].name, sizeof client->keys[j].name, "c%zu-k%zu", i, j);
            only(&client->keys[j], ABSENT);
        }
    }
    world_set_faults(world);
    crud->running = true;
    connect(crud);
    uint64_t rounds = world_random(world, 4) + 1;
    for (uint64_t i = 0; i < rounds && !world->failed; i++) {
        world_run(world, (int64_t)world_random(world, MINUTES(2)));
        world_weather(world);
        if (i + 1 < rounds) {
            disconnect(crud);
            world_crash(world);
            connect(crud);
        }
    }
    crud->running = false;
    world_calm(world);
    world_run(world, MINUTES(75)); // Events of the API end after an hour
    int64_t revision = apiserver_revision(world->server);
    world_run(world, MINUTES(60));
    if (revision != apiserver_revision(world->server)) {
        world_fail(world, "writes at rest");
    }
    check_end(crud);
    disconnect(crud);
    for (size_t i = 0; i < CLIENTS; i++) {
        loop_timer_destroy(crud->clients[i].timer);
        for (size_t j = 0; j < KEYS; j++) {
            VEC_FREE(&crud->clients[i].keys[j].possible);
        }
    }
    if (!world->failed && crud->operations > 100 && crud->acknowledged * 10 < crud->operations) {
        world_fail(world, "only %llu of %llu operations worked",
                   (unsigned long long)crud->acknowledged, (unsigned long long)crud->operations);
    }
    free(crud);
}
