// SPDX-License-Identifier: Apache-2.0
// Git and its credentials, for commands that read repositories themselves: app diff, app manifests, repo.
#ifndef SKIFF_CLI_SOURCE_H
#define SKIFF_CLI_SOURCE_H

#include "app/settings.h"
#include "cli/connect.h"
#include "vcs/vcs.h"

struct source_access {
    struct connection *connection;
    struct app_settings *settings; // argocd-cm
    struct app_registry *registry; // labelled Secrets
    struct doc_value *secrets;
    size_t secret_count;
    struct vcs *vcs;
};
bool source_access_open(struct source_access *access, struct cli *cli,
                        struct connection *connection, struct err *err) MUST_USE;
void source_access_close(struct source_access *access);
// A revision to a commit, fetching what is missing.
bool source_resolve(struct source_access *access, struct str url, struct str revision,
                    struct str *sha, struct err *err) MUST_USE;
// Can it be read with these credentials (NULL: those of its Secrets)?
bool source_check(struct source_access *access, struct str url, const struct vcs_access *with,
                  struct err *err) MUST_USE;

#endif
