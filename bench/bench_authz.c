// SPDX-License-Identifier: Apache-2.0
// What a decision of RBAC costs: bench_authz [BINDINGS]. The default roles, BINDINGS namespaces (1,000) with a role and a
// binding each; a user of five groups.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apiserver/authz.h"
#include "loop/sim_loop.h"
#include "store/memory.h"

enum { ROUNDS = 1000 * 1000 };

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void done(void *ctx, const struct kube_reply *reply) {
    if (reply->error && reply->status != 409) {
        fprintf(stderr, "%s\n", reply->error->message);
    }
    ++*(size_t *)ctx;
}

static void make(struct apiserver *server, const char *group, const char *plural, struct str ns,
                 struct str body, size_t *count) {
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = {str_from(group), STR("v1"), str_from(plural)},
                                   .ns = ns,
                                   .body = body};
    apiserver_call(server, NULL, &request, done, count);
}

static void measure(struct apiserver *server, const char *what, const char *verb,
                    const char *resource, const char *ns) {
    struct str groups[] = {STR_INIT("a"), STR_INIT("b"), STR_INIT("c"), STR_INIT("d"),
                           STR_INIT("system:authenticated")};
    struct api_user user = {.name = STR("user-7"), .groups = groups, .group_count = 5};
    struct authz_question question = {
        .verb = str_from(verb), .resource = str_from(resource), .ns = str_from(ns)};
    size_t allowed = 0;
    double start = now();
    for (size_t i = 0; i < ROUNDS; i++) {
        allowed += authz_decide(server, &user, &question, NULL, NULL);
    }
    printf("%-44s %6.3f us, %s\n", what, (now() - start) * 1e6 / ROUNDS,
           allowed ? "allowed" : "refused");
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000, made = 0;
    struct loop *loop = sim_loop_create(1);
    struct store *store = store_create_memory(loop);
    struct apiserver_options options = {
        .loop = loop, .store = store, .no_workloads = true, .rbac = true};
    struct apiserver *server = apiserver_create(&options, NULL);
    struct arena *arena = arena_create();
    if (!server) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct str ns = arena_printf(arena, "ns-%zu", i);
        make(server, "", "namespaces", STR(""),
             arena_printf(arena, "{\"metadata\":{\"name\":\"%s\"}}", ns.p), &made);
        make(server, "rbac.authorization.k8s.io", "rolebindings", ns,
             arena_printf(arena,
                          "{\"metadata\":{\"name\":\"b\"},\"roleRef\":{\"apiGroup\":\"rbac."
                          "authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"edit\"},"
                          "\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
                          "\"User\",\"name\":\"user-%zu\"}]}",
                          i),
             &made);
        sim_loop_run(loop, loop_now(loop) + 10000000);
    }
    sim_loop_run(loop, loop_now(loop) + 1000000000);
    printf("%zu namespaces with a binding each\n", made / 2);
    measure(server, "edit: create pods (an early rule)", "create", "pods", "ns-7");
    measure(server, "edit: get services (a late rule)", "get", "services", "ns-7");
    measure(server, "refused, own namespace", "get", "nodes", "ns-7");
    measure(server, "refused, another namespace", "get", "pods", "ns-8");
    apiserver_destroy(server);
    sim_loop_run(loop, loop_now(loop) + 1000000000);
    store->ops->close(store);
    sim_loop_destroy(loop);
    arena_destroy(arena);
    return 0;
}
