// SPDX-License-Identifier: Apache-2.0
// Three processes that could look after the same Applications, elected by a Lease over a bad network, with clocks that are set,
// disks that get slow and full, and processes that are killed, ended gently and started again. No write reaches the API from a
// process that does not hold the Lease; once the faults stop one leads, everything converges, and then nothing is written.
#include <stdio.h>

#include "base/vec.h"
#include "kube/lease.h"
#include "local/local.h"
#include "world.h"

enum { PROCESSES = 3, APPS = 2, MAPS = 3 };
static const struct kube_gvr gvr_leases = {STR_INIT("coordination.k8s.io"), STR_INIT("v1"),
                                           STR_INIT("leases")};
static const struct str repository = STR_INIT("https://git.example.com/leader.git");

struct scene;

// The last step before the API: who writes must hold the Lease.
struct checked {
    struct kube_client client;
    struct kube_client *inner;
    struct process *process;
};

// The first step: nothing goes out while the fence is shut, as in the client for real clusters.
struct fenced {
    struct kube_client client;
    struct kube_client *inner;
    struct process *process;
    VEC(struct refused *) refused;
};
struct refused {
    struct fenced *fenced; // NULL: its client is gone
    kube_done *done;
    void *ctx;
};

struct passed {
    struct kube_fence *fence;
    kube_done *done;
    void *ctx;
};

struct process {
    struct scene *scene;
    char name[16];
    struct str identity;
    struct kube_client *lease_client, *home;
    struct kube_lease *lease; // NULL: it does not run
    struct vcs *vcs;
    struct app_controller *apps;
    bool is_ending, has_ended;
};

struct scene {
    struct world *world;
    struct arena *arena;
    struct process list[PROCESSES];
    unsigned writes, terms;
    int values[APPS][MAPS];
};

static bool is_write(const struct kube_request *request) {
    return request->verb != KUBE_GET && request->verb != KUBE_LIST;
}

// ---- The check ----
static void check_holder(struct process *p, const struct kube_request *request) {
    struct world *world = p->scene->world;
    struct kube_client *direct = world->direct;
    struct blob *text = direct->ops->peek(direct, &gvr_leases, STR("argocd"), STR("skiff"));
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value lease = doc_null();
    if (text && !doc_parse_json(blob_str(text), arena, &lease, NULL)) {
        world_fail(world, "the Lease does not parse");
    }
    struct str holder = doc_get_str(&lease, "spec", "holderIdentity");
    if (!str_eq(holder, p->identity)) {
        world_fail(world, "%s writes %.*s/%.*s, but \"%.*s\" holds the Lease", p->name,
                   STR_ARG(request->gvr.resource), STR_ARG(request->name), STR_ARG(holder));
    }
    blob_unref(text);
    p->scene->writes++;
}

static uint64_t checked_call(struct kube_client *client, const struct kube_request *request,
                             kube_done *done, void *ctx) {
    struct checked *c = CONTAINER_OF(client, struct checked, client);
    if (is_write(request)) {
        check_holder(c->process, request);
    }
    return c->inner->ops->call(c->inner, request, done, ctx);
}
static uint64_t checked_watch(struct kube_client *client, const struct kube_watch_request *request,
                              const struct kube_watch_handler *handler) {
    struct checked *c = CONTAINER_OF(client, struct checked, client);
    return c->inner->ops->watch(c->inner, request, handler);
}
static void checked_cancel(struct kube_client *client, uint64_t id) {
    struct checked *c = CONTAINER_OF(client, struct checked, client);
    c->inner->ops->cancel(c->inner, id);
}
static uint64_t checked_get_raw(struct kube_client *client, struct str path, struct str accept,
                                kube_done *done, void *ctx) {
    struct checked *c = CONTAINER_OF(client, struct checked, client);
    return c->inner->ops->get_raw(c->inner, path, accept, done, ctx);
}
static void checked_destroy(struct kube_client *client) {
    struct checked *c = CONTAINER_OF(client, struct checked, client);
    kube_client_destroy(c->inner);
    free(c);
}
static const struct kube_client_ops checked_ops = {.call = checked_call,
                                                   .watch = checked_watch,
                                                   .cancel = checked_cancel,
                                                   .get_raw = checked_get_raw,
                                                   .destroy = checked_destroy};

// ---- The fence ----
static void refuse(void *ctx) {
    struct refused *refused = ctx;
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "this process does not lead");
    struct kube_reply reply = {.error = &err};
    struct fenced *f = refused->fenced;
    for (size_t i = 0; f && i < f->refused.len; i++) {
        if (f->refused.items[i] == refused) {
            VEC_REMOVE_SWAP(&f->refused, i);
            refused->done(refused->ctx, &reply);
            break;
        }
    }
    free(refused);
}
// As the client over HTTP does: who gives the Lease up waits for the writes that passed the fence.
static void answered(void *ctx, const struct kube_reply *reply) {
    struct passed passed = *(struct passed *)ctx;
    free(ctx);
    kube_fence_leave(passed.fence);
    passed.done(passed.ctx, reply);
}
static uint64_t fenced_call(struct kube_client *client, const struct kube_request *request,
                            kube_done *done, void *ctx) {
    struct fenced *f = CONTAINER_OF(client, struct fenced, client);
    if (!is_write(request)) {
        return f->inner->ops->call(f->inner, request, done, ctx);
    }
    struct kube_fence *fence = kube_lease_fence(f->process->lease);
    struct err err = {0};
    int64_t left_ns;
    if (kube_fence_enter(fence, &left_ns, &err)) {
        struct passed *passed = NEW(struct passed);
        *passed = (struct passed){fence, done, ctx};
        return f->inner->ops->call(f->inner, request, answered, passed);
    }
    struct refused *refused = NEW(struct refused);
    *refused = (struct refused){f, done, ctx};
    VEC_PUSH(&f->refused, refused);
    loop_post(f->process->scene->world->loop, refuse, refused);
    return UINT64_MAX;
}
static uint64_t fenced_watch(struct kube_client *client, const struct kube_watch_request *request,
                             const struct kube_watch_handler *handler) {
    struct fenced *f = CONTAINER_OF(client, struct fenced, client);
    return f->inner->ops->watch(f->inner, request, handler);
}
static void fenced_cancel(struct kube_client *client, uint64_t id) {
    struct fenced *f = CONTAINER_OF(client, struct fenced, client);
    if (id != UINT64_MAX) {
        f->inner->ops->cancel(f->inner, id);
    }
}
static uint64_t fenced_get_raw(struct kube_client *client, struct str path, struct str accept,
                               kube_done *done, void *ctx) {
    struct fenced *f = CONTAINER_OF(client, struct fenced, client);
    return f->inner->ops->get_raw(f->inner, path, accept, done, ctx);
}
static void fenced_destroy(struct kube_client *client) {
    struct fenced *f = CONTAINER_OF(client, struct fenced, client);
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "the client is closed");
    struct kube_reply reply = {.error = &err};
    while (f->refused.len > 0) {
        struct refused *refused = f->refused.items[--f->refused.len];
        refused->fenced = NULL; // freed when its turn comes
        refused->done(refused->ctx, &reply);
    }
    VEC_FREE(&f->refused);
    kube_client_destroy(f->inner);
    free(f);
}
static const struct kube_client_ops fenced_ops = {.call = fenced_call,
                                                  .watch = fenced_watch,
                                                  .cancel = fenced_cancel,
                                                  .get_raw = fenced_get_raw,
                                                  .destroy = fenced_destroy};

static struct kube_client *home_create(struct process *p) {
    struct world *world = p->scene->world;
    struct checked *checked = NEW(struct checked);
    checked->inner = local_client_create(world->server, str_from(p->name));
    checked->client = (struct kube_client){.ops = &checked_ops, .server = checked->inner->server};
    checked->process = p;
    struct fenced *fenced = NEW(struct fenced);
    fenced->inner = fault_client_create(world->loop, &checked->client, &world->faults, false);
    fenced->client = (struct kube_client){.ops = &fenced_ops, .server = fenced->inner->server};
    fenced->process = p;
    return &fenced->client;
}

// ---- Processes ----
static void lead(struct process *p) {
    struct world *world = p->scene->world;
    p->scene->terms++;
    p->home = home_create(p);
    p->vcs = sim_vcs_create(world->git);
    struct app_options options = {.loop = world->loop, .home = p->home, .vcs = p->vcs};
    p->apps = app_controller_create(&options);
}

static void unlead(struct process *p) {
    app_controller_destroy(TAKE(p->apps));
    if (p->vcs) {
        p->vcs->ops->destroy(p->vcs);
        p->vcs = NULL;
    }
    kube_client_destroy(TAKE(p->home));
}

static void on_change(void *ctx, bool is_leading) {
    if (is_leading) {
        lead(ctx);
    } else {
        unlead(ctx);
    }
}

static void start(struct process *p) {
    struct world *world = p->scene->world;
    p->is_ending = p->has_ended = false;
    p->identity = kube_lease_identity(world->loop, p->scene->arena);
    p->lease_client = world_client(world, p->name, false);
    struct kube_lease_options options = {.loop = world->loop,
                                         .client = p->lease_client,
                                         .ns = STR("argocd"),
                                         .name = STR("skiff"),
                                         .identity = p->identity,
                                         .on_change = on_change,
                                         .ctx = p};
    p->lease = kube_lease_create(&options);
}

static void kill_now(struct process *p) { // as kill -9, but for the memory
    if (p->lease) {
        unlead(p);
        kube_lease_destroy(TAKE(p->lease));
        kube_client_destroy(TAKE(p->lease_client));
    }
}

static void released(void *ctx) {
    struct process *p = ctx;
    p->has_ended = true; // destroyed by the scenario, outside of the lease's callback
}

static void act(struct scene *s) {
    struct world *world = s->world;
    struct process *p = &s->list[world_random(world, PROCESSES)];
    if (!p->lease) {
        start(p);
    } else if (p->has_ended) {
        kill_now(p);
    } else if (world_chance(world, 15)) {
        kill_now(p);
    } else if (!p->is_ending && world_chance(world, 15)) {
        p->is_ending = true;
        kube_lease_release(p->lease, released, p);
    }
}

// ---- What they look after ----
static void commit(struct scene *s) {
    struct world *world = s->world;
    for (int app = 0; app < APPS; app++) {
        for (int map = 0; map < MAPS; map++) {
            char path[32], text[200];
            if (s->values[app][map] == 0 || world_chance(world, 40)) {
                s->values[app][map] = (int)world_random(world, 1000) + 1;
            }
            snprintf(path, sizeof path, "p%d/cm-%d.yaml", app, map);
            snprintf(text, sizeof text,
                     "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm-%d\ndata:\n  v: "
                     "\"%d\"\n",
                     map, s->values[app][map]);
            sim_git_put(world->git, repository, str_from(path), str_from(text));
        }
    }
    sim_git_commit(world->git, repository);
}

static void create_app(struct scene *s, int app) {
    struct str ns = arena_printf(s->arena, "{\"metadata\":{\"name\":\"ns-%d\"}}", app);
    world_create_object(s->world, &gvr_namespaces, "", ns);
    struct str body = arena_printf(
        s->arena,
        "{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Application\",\"metadata\":{\"name\":"
        "\"app-%d\",\"namespace\":\"argocd\"},\"spec\":{\"project\":\"default\",\"source\":{"
        "\"repoURL\":\"%.*s\",\"path\":\"p%d\",\"targetRevision\":\"HEAD\"},\"destination\":{"
        "\"server\":\"https://kubernetes.default.svc\",\"namespace\":\"ns-%d\"},\"syncPolicy\":{"
        "\"automated\":{\"prune\":true,\"selfHeal\":true},\"retry\":{\"limit\":-1}}}}",
        app, STR_ARG(repository), app, app);
    world_create_object(s->world, &gvr_applications, "argocd", body);
}

static const char *problem(struct scene *s) {
    struct world *world = s->world;
    unsigned leaders = 0;
    for (int i = 0; i < PROCESSES; i++) {
        leaders += s->list[i].lease && kube_lease_is_leading(s->list[i].lease);
    }
    if (leaders != 1) {
        return leaders ? "two lead" : "nobody leads";
    }
    for (int app = 0; app < APPS; app++) {
        for (int map = 0; map < MAPS; map++) {
            char ns[16], name[16], value[16];
            snprintf(ns, sizeof ns, "ns-%d", app);
            snprintf(name, sizeof name, "cm-%d", map);
            snprintf(value, sizeof value, "%d", s->values[app][map]);
            arena_reset(world->arena);
            if (world_get(world, &gvr_config_maps, ns, name) != 200 ||
                !str_eq_c(doc_get_str(&world->body, "data", "v"), value)) {
                return "a ConfigMap is not as in Git";
            }
        }
    }
    return NULL;
}

static void expect_convergence(struct scene *s) {
    const char *what = NULL;
    for (int i = 0; i < 120; i++) { // twenty minutes
        what = problem(s);
        if (!what) {
            return;
        }
        world_run(s->world, 10 * NS_PER_SECOND);
    }
    world_fail(s->world, "no convergence: %s", what);
}

static void bootstrapped(void *ctx, const struct err *error) {
    *(bool *)ctx = true;
}

static void set_up(struct scene *s) {
    bool done = false;
    app_bootstrap(s->world->loop, s->world->direct, STR("argocd"), bootstrapped, &done);
    for (int i = 0; i < 600 && !done; i++) {
        world_run(s->world, NS_PER_SECOND / 10);
    }
    commit(s);
    for (int i = 0; i < APPS; i++) {
        create_app(s, i);
    }
    for (int i = 0; i < PROCESSES; i++) {
        s->list[i].scene = s;
        snprintf(s->list[i].name, sizeof s->list[i].name, "process-%d", i);
        start(&s->list[i]);
    }
}

void scenario_leader(struct world *world) {
    struct scene s = {.world = world, .arena = arena_create()};
    set_up(&s);
    world_set_faults(world);
    uint64_t steps = world_random(world, 40);
    for (uint64_t i = 0; i < steps && !world->failed; i++) {
        arena_reset(world->arena);
        act(&s);
        world_weather(world);
        if (world_chance(world, 50)) {
            commit(&s);
        }
        world_run(world, (int64_t)world_random(world, 30 * NS_PER_SECOND));
    }
    world_calm(world);
    for (int i = 0; i < PROCESSES; i++) {
        if (s.list[i].is_ending) {
            kill_now(&s.list[i]);
        }
        if (!s.list[i].lease) {
            start(&s.list[i]);
        }
    }
    if (!world->failed) {
        expect_convergence(&s);
    }
    if (!world->failed) {
        world_run(world, MINUTES(10));
        unsigned writes = s.writes;
        world_run(world, MINUTES(30));
        if (writes != s.writes) {
            world_fail(world, "%u writes at rest", s.writes - writes);
        }
        expect_convergence(&s);
    }
    if (!world->failed && (s.writes == 0 || s.terms == 0)) {
        world_fail(world, "nobody wrote");
    }
    for (int i = 0; i < PROCESSES; i++) {
        kill_now(&s.list[i]);
    }
    world_run(world, NS_PER_SECOND);
    arena_destroy(s.arena);
}
