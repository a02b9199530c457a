// SPDX-License-Identifier: Apache-2.0
// The application controller: Application objects in, a converged cluster out. It owns no truth: everything it knows is in
// the objects it watches, in Git, or can be computed again.
#ifndef SKIFF_APP_APP_H
#define SKIFF_APP_APP_H

#include "base/err.h"
#include "http/client.h"
#include "kube/client.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "vcs/vcs.h"

// How Applications name the cluster that holds them.
#define APP_HOME_SERVER "https://kubernetes.default.svc"
#define APP_HOME_NAME "in-cluster"

struct app_controller;

struct app_options {
    struct loop *loop;
    struct kube_client *home; // the cluster that holds the Applications; borrowed
    struct vcs *vcs;          // borrowed
    struct http_client *http; // for clusters named by Secrets; NULL: those are refused (simulation)
    struct metrics *metrics;  // may be NULL
    struct str ns;            // namespace of the Applications and of argocd-cm; "argocd" when empty
    bool no_events;           // do not write Event objects
    double qps;               // client-side rate limit per remote cluster; 0: none
    unsigned burst;
    struct kube_fence *fence; // for the clients of remote clusters; borrowed, may be NULL
};

struct app_controller *app_controller_create(const struct app_options *options);
void app_controller_destroy(struct app_controller *controller);
// The first lists of Applications, projects and settings have been taken in.
bool app_controller_is_ready(const struct app_controller *controller);
// Everything known has been dealt with: nothing queued, running or waited for. For tests and the simulation.
bool app_controller_is_idle(const struct app_controller *controller);
// A verified push was announced: fetches that repository at once.
void app_controller_pushed(struct app_controller *controller, const struct vcs_push *push);
// The secret of a webhook sender from argocd-secret ("webhook.github.secret"); empty when not set.
struct str app_controller_webhook_secret(const struct app_controller *controller, const char *key);

// ---- First start (app/bootstrap.c): namespace, CRDs and the AppProject "default" ----
// What is there already stays untouched, Argo CD's own CRDs too; where all is there, nothing is written. The result is for
// app_bootstrap_cancel, until `done` runs.
struct app_boot;
struct app_boot *app_bootstrap(struct loop *loop, struct kube_client *client, struct str ns,
                               void (*done)(void *ctx, const struct err *error), void *ctx);
void app_bootstrap_cancel(struct app_boot *boot); // `done` does not run any more
// The CRDs as one JSON List, for `skiff crds` and the shipped manifests; static text.
struct str app_crds_json(void);

#endif
