// SPDX-License-Identifier: Apache-2.0
// One planning under way: the input, what keeps it alive, and the plan.
#ifndef SKIFF_APP_JOB_H
#define SKIFF_APP_JOB_H

#include "app/async.h"
#include "app/plan.h"
#include "base/vec.h"

struct app_manifests;

struct app_job {
    struct app_async async;
    struct arena *arena;
    struct app_settings *settings;
    struct app_manifests *manifests;
    VEC(struct blob *) blobs;
    void *errors, *warnings, *objects; // arrays the input points into
    struct app_plan_input input;
    struct app_plan plan;
    int64_t started_ns;
    // Carrying out (execute.c)
    size_t next_call, calls_under_way;
    int current_rank;
};

void app_job_destroy(struct app_job *job);
// After the plan, on the worker: copies what carrying it out needs and frees the rest. Of `input` only `app` (name,
// namespace, uid, resourceVersion, project), `server` and `is_refresh` stay.
void app_job_compact(struct app_job *job);
// After that, on the loop: lets go of the texts and manifests the plan was made from.
void app_job_release_input(struct app_job *job);

#endif
