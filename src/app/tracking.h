// SPDX-License-Identifier: Apache-2.0
// Which application an object belongs to: argocd.argoproj.io/tracking-id: <app>:<group>/<kind>:<namespace>/<name>.
#ifndef SKIFF_APP_TRACKING_H
#define SKIFF_APP_TRACKING_H

#include "base/arena.h"
#include "doc/doc.h"

#define APP_TRACKING_ANNOTATION "argocd.argoproj.io/tracking-id"
#define APP_INSTANCE_LABEL "app.kubernetes.io/instance"

enum app_tracking { TRACK_ANNOTATION, TRACK_LABEL, TRACK_ANNOTATION_AND_LABEL };

// "app" in the controller's namespace, else "namespace_app", as Argo CD names instances.
struct str app_instance_name(struct arena *arena, struct str controller_ns, struct str ns,
                             struct str name);
struct str app_tracking_id(struct arena *arena, struct str instance, struct str group,
                           struct str kind, struct str ns, struct str name);
// The instance that owns this object: the id must name the object itself, since controllers copy annotations to what they
// make. Empty when untracked.
struct str app_tracking_owner(const struct doc_value *object, enum app_tracking method,
                              struct str group, struct arena *arena);
// The object with its mark. `group`, kind, namespace and name are those it will be stored under.
struct doc_value app_tracking_mark(struct arena *arena, const struct doc_value *object,
                                   enum app_tracking method, struct str instance, struct str group,
                                   struct str ns);

#endif
