// SPDX-License-Identifier: Apache-2.0
// One simulated world: a disk that survives, and the process on top of it (embedded API, controllers of the simulated
// cluster, application controller), which crashes and starts again. Everything random comes from the seed.
#ifndef SKIFF_TESTS_SIM_WORLD_H
#define SKIFF_TESTS_SIM_WORLD_H

#include "apiserver/apiserver.h"
#include "app/app.h"
#include "base/arena.h"
#include "base/timefmt.h"
#include "faults.h"
#include "git.h"
#include "store/memory.h"

#define MINUTES(n) ((n)*60 * NS_PER_SECOND)

struct world {
    uint64_t seed;
    struct loop *loop;
    struct store *store;
    struct sim_git *git;
    struct faults faults;
    bool with_apps, peek;
    unsigned nodes;
    bool failed;
    unsigned crashes;
    // the process; NULL while it is down
    struct apiserver *server;
    struct kube_client *direct; // without faults, for the test itself
    struct kube_client *home;   // of the application controller
    struct vcs *vcs;
    struct app_controller *apps;
    bool bootstrapped;
    // the last answer to world_call
    struct arena *arena;
    bool answered;
    int status;
    struct doc_value body;
};

struct world *world_create(uint64_t seed, bool with_apps);
void world_destroy(struct world *world);
void world_start(struct world *world);
// The power goes: what was not committed is lost. Starts again after a while.
void world_crash(struct world *world);
void world_run(struct world *world, int64_t ns);
// Chances of faults for this seed; some seeds are calm, some awful.
void world_set_faults(struct world *world);

// What may happen to the machine between two steps: the clock is set, the disk gets slow, full or broken for a while.
void world_weather(struct world *world);
// The end of all faults: whatever the machine was left in is made good.
void world_calm(struct world *world);

// Says what went wrong, with the seed, and remembers it.
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Random helpers on the seed.
uint64_t world_random(struct world *world, uint64_t bound);
bool world_chance(struct world *world, unsigned percent);

// One direct call, run until it is answered; the status. Answer in world->status and ->body (until the next call).
int world_call(struct world *world, const struct kube_request *request);
int world_get(struct world *world, const struct kube_gvr *gvr, const char *ns, const char *name);
int world_list(struct world *world, const struct kube_gvr *gvr, const char *ns);
int world_create_object(struct world *world, const struct kube_gvr *gvr, const char *ns,
                        struct str body);
int world_patch(struct world *world, const struct kube_gvr *gvr, const char *ns, const char *name,
                struct str body);
int world_delete(struct world *world, const struct kube_gvr *gvr, const char *ns, const char *name);

// ---- Scenarios ----
void scenario_crud(struct world *world);   // clients of the API alone
void scenario_apps(struct world *world);   // applications from Git
void scenario_leader(struct world *world); // several processes, one of which leads
// A fault client over the present server, for a client of the scenario.
struct kube_client *world_client(struct world *world, const char *user, bool peek);

extern const struct kube_gvr gvr_config_maps, gvr_namespaces, gvr_applications, gvr_deployments,
    gvr_services;

#endif
