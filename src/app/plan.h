// SPDX-License-Identifier: Apache-2.0
// The pure heart of the controller: from an Application, its manifests, the live objects and what happened so far to a new
// status, the calls to make now, and the time to look again. No clock, no network, no randomness: runs on a worker.
#ifndef SKIFF_APP_PLAN_H
#define SKIFF_APP_PLAN_H

#include "app/settings.h"
#include "base/blob.h"
#include "health/health.h"
#include "kube/client.h"
#include "sync/sync.h"

#define APP_FINALIZER "resources-finalizer.argocd.argoproj.io"
#define APP_REFRESH "argocd.argoproj.io/refresh"

// One object: desired, live or both. Strings live as long as the input.
struct app_object {
    struct str group, version, kind, resource, ns, name;
    bool is_namespaced, is_unknown_kind;
    struct blob *target; // manifest as rendered, without the tracking mark; NULL: not desired
    struct blob *live;   // NULL: absent
    struct str place;    // "apps/web/deploy.yaml:3"
};

struct app_error {
    const char *type; // condition type: "ComparisonError", "InvalidSpecError", ...
    struct str message;
};

struct app_plan_input {
    const struct doc_value *app;
    const struct doc_value *project; // NULL: there is none
    const struct app_settings *settings;
    struct str ns;                   // of the controller
    struct str server, cluster_name; // destination, resolved; empty when unknown
    // Errors that make the comparison impossible: revision, rendering, cluster. Nothing is written then but status.
    const struct app_error *errors;
    size_t error_count;
    const struct app_error *warnings;
    size_t warning_count;
    struct str revision; // commit of the manifests
    struct str source_type;
    bool is_for_operation; // the manifests are those of the operation's own revision, not of spec
    const struct app_object *objects;
    size_t object_count;
    const struct blob *namespace_live; // the destination's Namespace, or NULL
    // Results of calls that are not in the status yet.
    const struct sync_result *results;
    size_t result_count;
    bool is_refresh; // the refresh annotation was there and has been obeyed
    int64_t now_ns;  // wall clock
};

struct app_call {               // one effect on the destination cluster
    struct sync_result outcome; // what to record; status and message are completed after the call
    struct kube_gvr gvr;
    struct str ns, name;
    enum kube_verb verb;
    enum kube_patch patch;
    struct str body;
    bool dry_run, force; // force: on an immutable field delete and create
    bool server_side;
    enum kube_propagation propagation;
    struct str precondition_uid;
    int rank;        // calls of a lower rank are done first
    bool is_noop;    // nothing differs: `outcome` is recorded without a call
    bool no_outcome; // removal of an old hook: nothing to record unless it fails
};

struct app_event {
    bool warning;
    struct str reason, message;
};

struct app_plan {
    bool has_patch;
    struct str patch;         // JSON merge patch of the Application
    bool patch_drops_results; // the patch carries every result of the input
    struct app_call *calls;   // after the patch was acknowledged
    size_t call_count;
    struct app_event *events;
    size_t event_count;
    int64_t requeue_ns;                    // from now; 0: not needed
    bool wants_mapper;                     // a kind is unknown that may become known
    struct str sync_status, health_status; // for metrics
    struct str operation_phase;            // "" when none is under way
};

// Everything in `out` lives in `arena` or in the input.
void app_plan(const struct app_plan_input *input, struct arena *arena, struct app_plan *out);

// What a source says, after checks.
struct app_source_spec {
    const struct doc_value *source;
    struct str url, revision;
};
// spec.source, or the one entry of spec.sources; InvalidSpecError texts otherwise.
bool app_source_of(const struct doc_value *app, struct app_source_spec *out,
                   struct err *err) MUST_USE;
// Was argocd.argoproj.io/deletion-approved set ("true", or a time) since `since`?
bool app_is_deletion_approved(const struct doc_value *app, struct str since);
// The source that the operation under way asks for, where it differs from the spec's (rollback, --revision).
bool app_operation_source(const struct doc_value *app, struct app_source_spec *out);

#endif
