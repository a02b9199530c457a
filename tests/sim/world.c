// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <stdarg.h>
#include <stdio.h>

#include "local/local.h"
#include "loop/sim_loop.h"

const struct kube_gvr gvr_config_maps = {STR_INIT(""), STR_INIT("v1"), STR_INIT("configmaps")};
const struct kube_gvr gvr_namespaces = {STR_INIT(""), STR_INIT("v1"), STR_INIT("namespaces")};
const struct kube_gvr gvr_services = {STR_INIT(""), STR_INIT("v1"), STR_INIT("services")};
const struct kube_gvr gvr_deployments = {STR_INIT("apps"), STR_INIT("v1"), STR_INIT("deployments")};
const struct kube_gvr gvr_applications = {STR_INIT("argoproj.io"), STR_INIT("v1alpha1"),
                                          STR_INIT("applications")};

void world_fail(struct world *world, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "seed %llu, at %.3f s: ", (unsigned long long)world->seed,
            (double)loop_now(world->loop) / 1e9);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    world->failed = true;
}

uint64_t world_random(struct world *world, uint64_t bound) {
    return loop_random_below(world->loop, bound);
}

bool world_chance(struct world *world, unsigned percent) {
    return world_random(world, 100) < percent;
}

void world_run(struct world *world, int64_t ns) {
    sim_loop_run(world->loop, loop_now(world->loop) + ns);
}

struct kube_client *world_client(struct world *world, const char *user, bool peek) {
    return fault_client_create(world->loop, local_client_create(world->server, str_from(user)),
                               &world->faults, peek);
}

// ---- The process ----
static void bootstrapped(void *ctx, const struct err *error) {
    struct world *world = ctx;
    world->bootstrapped = true;
    if (error) {
        world_fail(world, "first start: %s", error->message);
    }
}

void world_start(struct world *world) {
    struct apiserver_options options = {
        .loop = world->loop,
        .store = world->store,
        .nodes = world->nodes,
        .cache_bytes =
            world_chance(world, 30) ? 20000 : 0, // sometimes most texts are not in memory
    };
    struct err err = {0};
    world->server = apiserver_create(&options, &err);
    if (!world->server) {
        world_fail(world, "the server does not start: %s", err.message);
        CHECK(world->server != NULL);
    }
    world->direct = local_client_create(world->server, STR("sim"));
    if (!world->with_apps) {
        return;
    }
    world->bootstrapped = false;
    app_bootstrap(world->loop, world->direct, STR("argocd"), bootstrapped, world);
    for (int i = 0; i < 600 && !world->bootstrapped; i++) {
        world_run(world, NS_PER_SECOND / 10);
    }
    if (!world->bootstrapped) {
        world_fail(world, "the first start does not end");
    }
    world->home = world_client(world, "skiff", world->peek);
    world->vcs = sim_vcs_create(world->git);
    struct app_options apps = {.loop = world->loop, .home = world->home, .vcs = world->vcs};
    world->apps = app_controller_create(&apps);
}

static void world_stop(struct world *world) {
    app_controller_destroy(world->apps);
    world->apps = NULL;
    if (world->vcs) {
        world->vcs->ops->destroy(world->vcs);
        world->vcs = NULL;
    }
    kube_client_destroy(world->home);
    world->home = NULL;
    kube_client_destroy(world->direct);
    world->direct = NULL;
    apiserver_destroy(world->server);
    world->server = NULL;
}

void world_crash(struct world *world) {
    world->crashes++;
    world_stop(world);
    store_memory_crash(world->store);
    world_run(world, (int64_t)world_random(world, 5 * NS_PER_SECOND) + 1);
    world_start(world);
}

struct world *world_create(uint64_t seed, bool with_apps) {
    struct world *world = NEW(struct world);
    world->seed = seed;
    world->loop = sim_loop_create(seed);
    world->store = store_create_memory(world->loop);
    world->git = sim_git_create(world->loop, &world->faults);
    world->arena = arena_create();
    world->with_apps = with_apps;
    world->peek = world_chance(world, 50);
    world->nodes = (unsigned)world_random(world, 3) + 1;
    world_start(world);
    return world;
}

void world_destroy(struct world *world) {
    world_stop(world);
    world_run(world, NS_PER_SECOND);
    world->store->ops->close(world->store);
    sim_git_destroy(world->git);
    arena_destroy(world->arena);
    sim_loop_destroy(world->loop);
    free(world);
}

void world_set_faults(struct world *world) {
    unsigned level = (unsigned)world_random(world, 4); // none, mild, bad, awful
    unsigned most = (unsigned[]){0, 10, 60, 200}[level];
    struct faults *f = &world->faults;
    unsigned *chances[] = {&f->lost_request, &f->lost_reply,    &f->conflict,  &f->too_many,
                           &f->server_error, &f->watch_refused, &f->watch_cut, &f->repeat_event};
    for (size_t i = 0; i < ARRAY_LEN(chances); i++) {
        *chances[i] = most ? (unsigned)world_random(world, most) : 0;
    }
    f->max_delay_ns = (int64_t)world_random(world, 300 * NS_PER_MS) + 1;
    f->timeout_ns = (int64_t)world_random(world, 20 * NS_PER_SECOND) + 1;
    f->on = true;
    store_memory_set_delay(world->store, (int64_t)world_random(world, 50 * NS_PER_MS));
}

void world_weather(struct world *world) {
    if (!world->faults.on || !world_chance(world, 15)) {
        return;
    }
    switch (world_random(world, 4)) {
    case 0:
    case 1: // up to two hours to either side
        sim_loop_jump_wall(world->loop,
                           (int64_t)world_random(world, (uint64_t)MINUTES(240)) - MINUTES(120));
        break;
    case 2: // a commit takes seconds
        store_memory_set_delay(world->store,
                               (int64_t)world_random(world, 8 * (uint64_t)NS_PER_SECOND));
        break;
    default:
        store_memory_fail(world->store, world_chance(world, 50) ? ERR_FULL : ERR_IO,
                          (unsigned)world_random(world, 4) + 1);
    }
}

void world_calm(struct world *world) {
    world->faults.on = false;
    store_memory_fail(world->store, ERR_NONE, 0);
    store_memory_set_delay(world->store, (int64_t)world_random(world, 20 * NS_PER_MS));
}

// ---- Direct calls ----
static void answer(void *ctx, const struct kube_reply *reply) {
    struct world *world = ctx;
    world->answered = true;
    world->status = reply->status;
    struct err err = {0};
    world->body = doc_null();
    if (reply->body.n && !doc_parse_json_copy(reply->body, world->arena, &world->body, &err)) {
        world_fail(world, "a reply does not parse: %s", err.message);
    }
}

int world_call(struct world *world, const struct kube_request *request) {
    world->answered = false;
    struct kube_request copy = *request;
    copy.body = request->body; // the arena is reset by the answer's parse only
    world->direct->ops->call(world->direct, &copy, answer, world);
    while (!world->answered && sim_loop_step(world->loop)) {
    }
    return world->status;
}

static int call_item(struct world *world, enum kube_verb verb, const struct kube_gvr *gvr,
                     const char *ns, const char *name, struct str body) {
    struct kube_request request = {
        .verb = verb,
        .gvr = *gvr,
        .ns = str_from(ns),
        .name = str_from(name),
        .body = body,
        .patch = KUBE_PATCH_MERGE,
        .grace_seconds = -1,
    };
    return world_call(world, &request);
}

int world_get(struct world *world, const struct kube_gvr *gvr, const char *ns, const char *name) {
    return call_item(world, KUBE_GET, gvr, ns, name, (struct str){NULL, 0});
}

int world_list(struct world *world, const struct kube_gvr *gvr, const char *ns) {
    return call_item(world, KUBE_LIST, gvr, ns, NULL, (struct str){NULL, 0});
}

int world_create_object(struct world *world, const struct kube_gvr *gvr, const char *ns,
                        struct str body) {
    return call_item(world, KUBE_CREATE, gvr, ns, NULL, body);
}

int world_patch(struct world *world, const struct kube_gvr *gvr, const char *ns, const char *name,
                struct str body) {
    return call_item(world, KUBE_PATCH, gvr, ns, name, body);
}

int world_delete(struct world *world, const struct kube_gvr *gvr, const char *ns,
                 const char *name) {
    return call_item(world, KUBE_DELETE, gvr, ns, name, (struct str){NULL, 0});
}
