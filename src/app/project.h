// SPDX-License-Identifier: Apache-2.0
// What an AppProject permits. Checked in the controller, for every application and every object.
#ifndef SKIFF_APP_PROJECT_H
#define SKIFF_APP_PROJECT_H

#include "base/err.h"
#include "doc/doc.h"

bool project_permits_source(const struct doc_value *project, struct str repo_url);
bool project_permits_destination(const struct doc_value *project, struct str server,
                                 struct str cluster_name, struct str ns);
bool project_permits_kind(const struct doc_value *project, struct str group, struct str kind,
                          struct str name, bool namespaced);

#endif
