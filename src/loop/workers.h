// SPDX-License-Identifier: Apache-2.0
// Worker threads that run jobs in order of arrival. Started with the first job, so that a command without heavy work
// has no threads.
#ifndef SKIFF_LOOP_WORKERS_H
#define SKIFF_LOOP_WORKERS_H

#include "loop/loop_internal.h"

struct workers;

// `finished` is called on the worker's thread.
struct workers *workers_create(unsigned count,
                               void (*finished)(struct loop *loop, struct loop_job *job));
// Waits for the jobs that run; those that did not begin are freed.
void workers_destroy(struct workers *workers);
void workers_submit(struct workers *workers, struct loop_job *job);

#endif
