// SPDX-License-Identifier: Apache-2.0
// The sync planner: from targets, live objects and what was done so far to the next tasks. A pure step function: the
// controller calls it again after each result, with everything that happened recorded in `results`, until it says the
// operation has ended. Order of Argo CD: phase, wave, kind, name; a wave waits until the one before it is healthy.
#ifndef SKIFF_SYNC_SYNC_H
#define SKIFF_SYNC_SYNC_H

#include "base/arena.h"
#include "base/err.h"
#include "doc/doc.h"
#include "health/health.h"

#define SYNC_PHASES(X)       \
    X(SYNC_PRE, "PreSync")   \
    X(SYNC_MAIN, "Sync")     \
    X(SYNC_POST, "PostSync") \
    X(SYNC_FAIL, "SyncFail")
enum sync_phase {
#define X(phase, name) phase,
    SYNC_PHASES(X)
#undef X
};
const char *sync_phase_name(enum sync_phase phase);

#define SYNC_OPERATION_PHASES(X)            \
    X(OPERATION_RUNNING, "Running")         \
    X(OPERATION_TERMINATING, "Terminating") \
    X(OPERATION_SUCCEEDED, "Succeeded")     \
    X(OPERATION_FAILED, "Failed")           \
    X(OPERATION_ERROR, "Error")
enum operation_phase {
#define X(phase, name) phase,
    SYNC_OPERATION_PHASES(X)
#undef X
};
const char *operation_phase_name(enum operation_phase phase);
bool operation_phase_parse(struct str text, enum operation_phase *out);
static inline bool operation_is_over(enum operation_phase phase) {
    return phase >= OPERATION_SUCCEEDED;
}

// One object that is desired, live, or both.
struct sync_resource {
    struct str group, version, kind, ns, name;
    const struct doc_value *target; // NULL: not desired any more
    const struct doc_value *live;   // NULL: absent
    bool modified;                  // target and live differ
    struct health health;           // of the live object
    bool is_namespaced;
    bool is_prerequisite; // the namespace that CreateNamespace asks for: before every hook and wave
    bool is_unknown_kind; // the cluster does not serve this kind (yet)
};

enum sync_status {
    SYNC_RESULT_SYNCED,
    SYNC_RESULT_FAILED,
    SYNC_RESULT_PRUNED,
    SYNC_RESULT_PRUNE_SKIPPED
};
const char *
sync_status_name(enum sync_status status); // "Synced", "SyncFailed", "Pruned", "PruneSkipped"

// What became of one task; this is an entry of status.operationState.syncResult.resources.
struct sync_result {
    struct str group, version, kind, ns, name;
    enum sync_phase sync_phase;
    enum sync_status status;
    struct str message;
    bool is_hook;
    struct str hook_type;            // "PreSync", ...
    enum operation_phase hook_phase; // for an applied object too: Running until healthy
};

enum sync_action { SYNC_APPLY, SYNC_PRUNE, SYNC_HOOK_CREATE, SYNC_HOOK_DELETE };
struct sync_task {
    enum sync_action action;
    enum sync_phase phase;
    int wave;
    const struct sync_resource *resource;
    struct str hook_name;    // for hooks: the name, also of generateName ones
    bool skip_dry_run_error; // SkipDryRunOnMissingResource
};

struct sync_options {
    bool prune, dry_run, force, replace, server_side, apply_out_of_sync_only, prune_last, validate,
        create_namespace, fail_on_shared;
    bool keep_all;        // Prune=false for the application: nothing is pruned
    bool confirm_all;     // Prune=confirm for the application
    bool prune_confirmed; // argocd.argoproj.io/deletion-approved came after the operation began
    bool has_selection;   // `selected` names the only objects to touch; hooks do not run
    const struct sync_selection { struct str group, kind, ns, name; } * selected;
    size_t selected_count;
};
// Reads spec.syncPolicy.syncOptions and the operation's own; unknown words are reported by name in `unknown` (may be NULL).
void sync_options_read(const struct doc_value *list, struct sync_options *options,
                       struct arena *arena, struct str *unknown);
// One option of a resource's argocd.argoproj.io/sync-options annotation: "Prune=false".
bool sync_has_option(const struct doc_value *object, const char *option);

struct sync_input {
    const struct sync_resource *resources;
    size_t resource_count;
    const struct sync_result *results; // so far in this operation
    size_t result_count;
    struct sync_options options;
    bool terminate;
    struct str
        operation_id; // start time of the operation; makes names of generateName hooks stable
};
struct sync_plan {
    enum operation_phase phase; // Running: there are tasks, or something to wait for
    struct str message;
    struct sync_task *tasks; // to be carried out now, in this order
    size_t task_count;
    // Results that changed without a task: health of hooks and applied objects that were waited for.
    struct sync_result *results;
    size_t result_count;
};
void sync_plan(const struct sync_input *input, struct arena *arena, struct sync_plan *out);

bool sync_is_hook(const struct doc_value
                      *object); // argocd.argoproj.io/hook other than Skip alone, or a Helm hook
bool sync_is_skipped(const struct doc_value *object); // hook: Skip
int sync_wave(
    const struct doc_value *object); // argocd.argoproj.io/sync-wave; 0 when absent or not a number
int sync_kind_rank(struct str kind); // place in the order of kinds; unknown kinds last

#endif
