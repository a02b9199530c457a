// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_APP_PLAN_INTERNAL_H
#define SKIFF_APP_PLAN_INTERNAL_H

#include "app/plan.h"
#include "base/vec.h"

struct compared { // one app_object after comparison
    const struct app_object *object;
    struct doc_value target; // marked; null when not desired
    struct doc_value live;   // null when absent
    bool modified;
    bool is_hook, is_skipped;
    bool out_of_sync, requires_pruning;
    struct health health;
    bool counts_for_health;
    struct str shared_with; // another application whose mark the live object carries
};

// State of one planning; on the stack of app_plan.
struct planning {
    const struct app_plan_input *in;
    struct arena *arena;
    struct app_plan *out;
    struct str instance;
    const struct doc_value *old_status;
    struct compared *compared;
    size_t compared_count;
    bool can_compare;
    const char *sync_status; // "Synced", "OutOfSync", "Unknown"
    enum health_code health;
    struct doc_array conditions;
    bool drops_operation; // set operation: null

    // The operation under way or just ended; see operation.c
    bool has_operation;
    bool operation_started; // by this plan
    struct doc_value operation_state;
    VEC(struct app_event) events;
};

void app_compare(struct planning *planning); // compare.c
void app_add_condition(struct planning *planning, const char *type, struct str message); // status.c
void app_step_operation(struct planning *planning); // operation.c
bool app_autosync(struct planning *planning,
                  struct doc_value *operation); // autosync.c: the operation to start, if any
struct doc_value app_status(struct planning *planning); // status.c: the new status
void app_add_event(struct planning *planning, bool warning, const char *reason, struct str message);
bool app_make_call(struct planning *planning, const struct sync_task *task,
                   const struct sync_options *options, struct app_call *out,
                   struct err *err); // calls.c
const struct compared *app_find_compared(const struct planning *planning,
                                         const struct sync_resource *resource);

// The options of the application and of its operation together.
struct sync_options app_sync_options(const struct planning *planning,
                                     const struct doc_value *operation);

#endif
