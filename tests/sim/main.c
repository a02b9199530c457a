// SPDX-License-Identifier: Apache-2.0
// sim SEED [COUNT]: runs the scenarios with COUNT seeds from SEED on; exit code 1 and the seed when one fails. The same seed
// does the same again. SIM_SCENARIO=crud, apps or leader runs one of them only, SIM_VERBOSE=1 shows the log.
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "world.h"

static const struct {
    const char *name;
    void (*run)(struct world *world);
    bool with_apps;
} scenarios[] = {{"crud", scenario_crud, false},
                 {"apps", scenario_apps, true},
                 {"leader", scenario_leader, false}};

// A crash leaves the commit behind that was under way: its end never comes, so nobody frees it. The process that died took
// its memory along; only this test outlives it.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:open_group\nleak:api_change_record\nleak:api_wait_for_commit\nleak:print_object\n"
           "leak:load_row\n";
}

static void print_line(void *ctx, struct str line) {
    fprintf(stderr, "%.*s\n", STR_ARG(str_trim(line)));
}

static int64_t virtual_time(void *ctx) {
    struct world *world = ctx;
    return loop_wall(world->loop);
}

static bool run_seed(uint64_t seed, const char *only) {
    bool failed = false;
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        if (only && strcmp(only, scenarios[i].name) != 0) {
            continue;
        }
        struct world *world = world_create(seed, scenarios[i].with_apps);
        log_redirect(print_line, virtual_time, world);
        scenarios[i].run(world);
        if (world->failed) {
            fprintf(stderr,
                    "FAILED: seed %llu of scenario %s (%u crashes, %llu faults); again: sim %llu\n",
                    (unsigned long long)seed, scenarios[i].name, world->crashes,
                    (unsigned long long)world->faults.injected, (unsigned long long)seed);
            failed = true;
        }
        log_redirect(NULL, NULL, NULL);
        world_destroy(world);
    }
    return !failed;
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = 1;
    if (argc > 3 || (argc > 1 && !str_to_uint64(str_from(argv[1]), &seed)) ||
        (argc > 2 && !str_to_uint64(str_from(argv[2]), &count))) {
        fprintf(stderr, "usage: sim SEED [COUNT]\n");
        return 2;
    }
    struct err err = {0};
    if (!log_configure(getenv("SIM_VERBOSE") ? STR("debug") : STR("off"), false, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    uint64_t failed = 0;
    for (uint64_t i = 0; i < count; i++) {
        failed += !run_seed(seed + i, getenv("SIM_SCENARIO"));
    }
    printf("%llu seeds passed, %llu failed\n", (unsigned long long)(count - failed),
           (unsigned long long)failed);
    return failed ? 1 : 0;
}
