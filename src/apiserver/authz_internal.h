// SPDX-License-Identifier: Apache-2.0
// The default roles as data (authz_data.c, made by tools/gen-rbac.py).
#ifndef SKIFF_APISERVER_AUTHZ_INTERNAL_H
#define SKIFF_APISERVER_AUTHZ_INTERNAL_H

#include <stddef.h>

#include "base/mem.h"

struct authz_default_role {
    const char *ns, *name;
    const char *part_of; // the role that takes its rules over: "admin", "edit", "view"
    const char *made_of; // takes the rules of those that are part of this one
    const char *rules;   // "verbs|groups|resources|names|paths;...", "-" is the core group
};
struct authz_default_binding {
    const char *ns, *name, *role_kind, *role;
    const char *subjects; // "Uuser", "Ggroup", "Snamespace:account"
};
extern const struct authz_default_role authz_default_roles[];
extern const size_t authz_default_role_count;
extern const struct authz_default_binding authz_default_bindings[];
extern const size_t authz_default_binding_count;

#endif
