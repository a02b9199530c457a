// SPDX-License-Identifier: Apache-2.0
// Applications from Git through a bad network, with a process that crashes, people who break live objects and others who
// own objects in the same namespaces. What must hold once the faults stop: everything converges to the last commit;
// nothing that does not belong to an application was touched; then there are no writes any more.
#include "world.h"

#include <stdio.h>

enum { APPS_MAX = 4, MAPS = 4, BYSTANDERS = 3 };

struct app {
    char name[16], ns[16], path[16];
    struct str url;
    // what the next commit holds; 0: not there
    int maps[MAPS];
    int image, replicas;
    bool service;
    enum { APP_LIVES, APP_DELETED_WITH_RESOURCES, APP_DELETED_ALONE } fate;
};

struct bystander {
    char name[32];
    const char *ns;
    char uid[64];
};

struct apps {
    struct world *world;
    struct app list[APPS_MAX];
    size_t count;
    struct bystander bystanders[APPS_MAX * BYSTANDERS];
    size_t bystander_count;
    struct arena *arena;
};

// ---- Git ----
static void put_file(struct apps *s, struct app *app, const char *file, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", app->path, file);
    sim_git_put(s->world->git, app->url, str_from(path), str_from(text));
}

static void write_files(struct apps *s, struct app *app) {
    char text[1024], file[32];
    for (int i = 0; i < MAPS; i++) {
        snprintf(file, sizeof file, "cm-%d.yaml", i);
        snprintf(text, sizeof text,
                 "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm-%d\ndata:\n  v: \"%d\"\n",
                 i, app->maps[i]);
        put_file(s, app, file, app->maps[i] ? text : "");
    }
    snprintf(
        text, sizeof text,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: %d\n"
        "  selector:\n    matchLabels:\n      app: web\n  template:\n    metadata:\n      labels:\n"
        "        app: web\n      annotations:\n        skiff.dev/sim-start-delay: 2s\n    spec:\n"
        "      containers:\n      - name: c\n        image: web:%d\n",
        app->replicas, app->image);
    put_file(s, app, "deployment.yaml", app->image ? text : "");
    put_file(s, app, "service.yaml",
             app->service ? "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n"
                            "  selector:\n    app: web\n  ports:\n  - port: 80\n"
                          : "");
}

static void change_files(struct apps *s, struct app *app) {
    struct world *world = s->world;
    for (uint64_t i = world_random(world, 3) + 1; i > 0; i--) {
        int *map = &app->maps[world_random(world, MAPS)];
        switch (world_random(world, 6)) {
        case 0:
            *map = 0;
            break;
        case 1:
        case 2:
            *map = (int)world_random(world, 1000) + 1;
            break;
        case 3:
            app->image = (int)world_random(world, 5);
            break;
        case 4:
            app->replicas = (int)world_random(world, 3) + 1;
            break;
        default:
            app->service = !app->service;
            break;
        }
    }
    app->maps[0] = app->maps[0] ? app->maps[0] : 1; // never empty: that would need allowEmpty
    write_files(s, app);
}

// ---- The cluster ----
static void create_app(struct apps *s, struct app *app) {
    struct str body = arena_printf(
        s->arena,
        "{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Application\",\"metadata\":{\"name\":"
        "\"%s\",\"namespace\":\"argocd\",\"finalizers\":[\"resources-finalizer.argocd.argoproj."
        "io\"]"
        "},\"spec\":{\"project\":\"default\",\"source\":{\"repoURL\":\"%.*s\",\"path\":\"%s\","
        "\"targetRevision\":\"HEAD\"},\"destination\":{\"server\":"
        "\"https://kubernetes.default.svc\",\"namespace\":\"%s\"},\"syncPolicy\":{\"automated\":{"
        "\"prune\":true,\"selfHeal\":true},\"retry\":{\"limit\":-1,\"backoff\":{\"duration\":"
        "\"5s\",\"maxDuration\":\"1m\",\"factor\":2}}}}}",
        app->name, STR_ARG(app->url), app->path, app->ns);
    int status = world_create_object(s->world, &gvr_applications, "argocd", body);
    if (status != 201) {
        world_fail(s->world, "an Application cannot be made: %d %.*s", status,
                   STR_ARG(doc_get_str(&s->world->body, "message")));
    }
}

static void create_bystanders(struct apps *s, struct app *app) {
    // Nobody's; one with the label that older tracking used; one that copies an annotation of somebody else's.
    static const char *const metadata[BYSTANDERS] = {
        "",
        ",\"labels\":{\"app.kubernetes.io/instance\":\"%s\"}",
        ",\"annotations\":{\"argocd.argoproj.io/tracking-id\":\"%s:/ConfigMap:%s/cm-1\"}",
    };
    for (int i = 0; i < BYSTANDERS; i++) {
        struct bystander *b = &s->bystanders[s->bystander_count++];
        b->ns = app->ns;
        snprintf(b->name, sizeof b->name, "bystander-%d", i);
        char more[200];
        snprintf(more, sizeof more, metadata[i], app->name, app->ns);
        struct str body =
            arena_printf(s->arena, "{\"metadata\":{\"name\":\"%s\"%s},\"data\":{\"v\":\"mine\"}}",
                         b->name, more);
        world_create_object(s->world, &gvr_config_maps, b->ns, body);
        snprintf(b->uid, sizeof b->uid, "%.*s",
                 STR_ARG(doc_get_str(&s->world->body, "metadata", "uid")));
    }
}

static void break_something(struct apps *s, struct app *app) {
    struct world *world = s->world;
    char name[16];
    snprintf(name, sizeof name, "cm-%d", (int)world_random(world, MAPS));
    switch (world_random(world, 5)) {
    case 0:
        world_delete(world, &gvr_config_maps, app->ns, name);
        break;
    case 1:
        world_patch(world, &gvr_config_maps, app->ns, name,
                    STR("{\"data\":{\"v\":\"broken\",\"more\":\"x\"}}"));
        break;
    case 2:
        world_patch(world, &gvr_deployments, app->ns, "web", STR("{\"spec\":{\"replicas\":7}}"));
        break;
    case 3:
        world_delete(world, &gvr_deployments, app->ns, "web");
        break;
    default:
        world_patch(world, &gvr_applications, "argocd", app->name,
                    STR("{\"metadata\":{\"annotations\":{\"argocd.argoproj.io/refresh\":"
                        "\"hard\"}}}"));
        break;
    }
}

static void delete_app(struct apps *s, struct app *app) {
    if (app->fate != APP_LIVES) {
        return;
    }
    bool alone = world_chance(s->world, 40);
    if (alone && world_patch(s->world, &gvr_applications, "argocd", app->name,
                             STR("{\"metadata\":{\"finalizers\":[]}}")) != 200) {
        return;
    }
    if (world_delete(s->world, &gvr_applications, "argocd", app->name) == 200) {
        app->fate = alone ? APP_DELETED_ALONE : APP_DELETED_WITH_RESOURCES;
    }
}

static void act(struct apps *s) {
    struct world *world = s->world;
    struct app *app = &s->list[world_random(world, s->count)];
    uint64_t dice = world_random(world, 20);
    if (dice < 8) {
        change_files(s, app);
        sim_git_commit(world->git, app->url);
    } else if (dice < 17) {
        break_something(s, app);
    } else if (dice < 18) {
        delete_app(s, app);
    } else {
        world_crash(world);
    }
}

// ---- Checks ----
static const char *state_of_map(struct apps *s, struct app *app, int i) {
    struct world *world = s->world;
    char name[16], want[16];
    snprintf(name, sizeof name, "cm-%d", i);
    snprintf(want, sizeof want, "%d", app->maps[i]);
    int status = world_get(world, &gvr_config_maps, app->ns, name);
    bool wanted = app->maps[i] && app->fate == APP_LIVES;
    if (!wanted) {
        return status == 404 ? NULL : "a ConfigMap was not pruned";
    }
    return status != 200 ? "a ConfigMap is missing"
           : !str_eq_c(doc_get_str(&world->body, "data", "v"), want)
               ? "a ConfigMap has other content"
               : NULL;
}

static const char *state_of_deployment(struct apps *s, struct app *app) {
    struct world *world = s->world;
    char image[16];
    snprintf(image, sizeof image, "web:%d", app->image);
    int status = world_get(world, &gvr_deployments, app->ns, "web");
    if (!app->image || app->fate != APP_LIVES) {
        return status == 404 ? NULL : "the Deployment was not pruned";
    }
    const struct doc_value *spec = doc_get(&world->body, "spec");
    const struct doc_value *first = doc_at(doc_get(spec, "template", "spec", "containers"), 0);
    return status != 200                                   ? "the Deployment is missing"
           : !str_eq_c(doc_get_str(first, "image"), image) ? "the Deployment has another image"
           : doc_int(doc_get(spec, "replicas"), 0) != app->replicas
               ? "the Deployment has other replicas"
           : doc_int(doc_get(&world->body, "status", "availableReplicas"), 0) != app->replicas
               ? "the Deployment is not available"
               : NULL;
}

// NULL when the application is where it should be.
static const char *state_of(struct apps *s, struct app *app) {
    struct world *world = s->world;
    arena_reset(world->arena);
    int status = world_get(world, &gvr_applications, "argocd", app->name);
    if (app->fate != APP_LIVES) {
        if (status != 404) {
            return "the Application is still there";
        }
        if (app->fate == APP_DELETED_ALONE) {
            return NULL; // its objects are nobody's now
        }
    } else {
        if (!str_eq_c(doc_get_str(&world->body, "status", "sync", "status"), "Synced")) {
            return "not Synced";
        }
        if (!str_eq_c(doc_get_str(&world->body, "status", "health", "status"), "Healthy")) {
            return "not Healthy";
        }
    }
    const char *problem = state_of_deployment(s, app);
    for (int i = 0; i < MAPS && !problem; i++) {
        problem = state_of_map(s, app, i);
    }
    if (!problem) {
        status = world_get(world, &gvr_services, app->ns, "web");
        bool wanted = app->service && app->fate == APP_LIVES;
        problem = wanted == (status == 200) ? NULL : "the Service is wrong";
    }
    return problem;
}

static void check_bystanders(struct apps *s) {
    struct world *world = s->world;
    for (size_t i = 0; i < s->bystander_count; i++) {
        const struct bystander *b = &s->bystanders[i];
        arena_reset(world->arena);
        if (world_get(world, &gvr_config_maps, b->ns, b->name) != 200 ||
            !str_eq_c(doc_get_str(&world->body, "metadata", "uid"), b->uid) ||
            !str_eq_c(doc_get_str(&world->body, "data", "v"), "mine")) {
            world_fail(world, "%s/%s belongs to nobody and was touched", b->ns, b->name);
        }
    }
}

static void show(struct apps *s, struct app *app) {
    world_get(s->world, &gvr_applications, "argocd", app->name);
    fprintf(stderr, "    %.*s\n", STR_ARG(doc_to_json(s->world->arena, &s->world->body)));
}

static void expect_convergence(struct apps *s) {
    struct world *world = s->world;
    struct app *behind = NULL;
    const char *problem = NULL;
    for (int i = 0; i < 180; i++) { // half an hour
        behind = NULL;
        for (size_t j = 0; j < s->count && !behind; j++) {
            problem = state_of(s, &s->list[j]);
            behind = problem ? &s->list[j] : NULL;
        }
        if (!behind) {
            return;
        }
        world_run(world, 10 * NS_PER_SECOND);
    }
    world_fail(world, "%s does not converge: %s", behind->name, problem);
    show(s, behind);
}

// Who wrote although there was nothing to do.
static void show_written_after(struct world *world, int64_t revision) {
    static const char *const kinds[][3] = {
        {"argoproj.io", "v1alpha1", "applications"},
        {"", "v1", "configmaps"},
        {"", "v1", "pods"},
        {"", "v1", "services"},
        {"", "v1", "events"},
        {"", "v1", "namespaces"},
        {"", "v1", "nodes"},
        {"apps", "v1", "deployments"},
        {"apps", "v1", "replicasets"},
        {"discovery.k8s.io", "v1", "endpointslices"},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kube_gvr gvr = {str_from(kinds[i][0]), str_from(kinds[i][1]), str_from(kinds[i][2])};
        arena_reset(world->arena);
        world_list(world, &gvr, NULL);
        struct doc_value list = world->body;
        for (DOC_EACH_ITEM(doc_get(&list, "items"), item)) {
            int64_t at = 0;
            str_to_int64(doc_get_str(item, "metadata", "resourceVersion"), &at);
            if (at > revision) {
                fprintf(stderr, "    %s %.*s\n", kinds[i][2],
                        STR_ARG(doc_to_json(world->arena, item)));
            }
        }
    }
}

static void expect_rest(struct apps *s) {
    struct world *world = s->world;
    world_run(world, MINUTES(80)); // Events of the API end after an hour
    int64_t revision = apiserver_revision(world->server);
    world_run(world, MINUTES(30));
    if (revision != apiserver_revision(world->server)) {
        world_fail(world, "%lld writes at rest",
                   (long long)(apiserver_revision(world->server) - revision));
        show_written_after(world, revision);
    }
}

static void set_up(struct apps *s) {
    static const struct str urls[] = {STR_INIT("https://git.example.com/a.git"),
                                      STR_INIT("https://git.example.com/b.git")};
    struct world *world = s->world;
    s->count = world_random(world, APPS_MAX) + 1;
    for (size_t i = 0; i < s->count; i++) {
        struct app *app = &s->list[i];
        snprintf(app->name, sizeof app->name, "app-%zu", i);
        snprintf(app->ns, sizeof app->ns, "ns-%zu", i);
        snprintf(app->path, sizeof app->path, "p%zu", i);
        app->url = urls[i % 2];
        app->maps[0] = app->image = app->replicas = 1;
        app->service = true;
        write_files(s, app);
        world_create_object(world, &gvr_namespaces, "",
                            arena_printf(s->arena, "{\"metadata\":{\"name\":\"%s\"}}", app->ns));
        create_bystanders(s, app);
    }
    for (size_t i = 0; i < s->count && i < 2; i++) {
        sim_git_commit(world->git, urls[i]);
    }
}

void scenario_apps(struct world *world) {
    struct apps s = {.world = world, .arena = arena_create()};
    set_up(&s);
    world_set_faults(world);
    for (size_t i = 0; i < s.count; i++) {
        create_app(&s, &s.list[i]);
        world_run(world, (int64_t)world_random(world, 10 * NS_PER_SECOND));
    }
    uint64_t steps = world_random(world, 25);
    for (uint64_t i = 0; i < steps && !world->failed; i++) {
        arena_reset(world->arena);
        act(&s);
        world_weather(world);
        world_run(world, (int64_t)world_random(world, 30 * NS_PER_SECOND));
        check_bystanders(&s);
    }
    world_calm(world);
    if (!world->failed) {
        expect_convergence(&s);
        check_bystanders(&s);
    }
    if (!world->failed) {
        expect_rest(&s);
        expect_convergence(&s);
        check_bystanders(&s);
    }
    arena_destroy(s.arena);
}
