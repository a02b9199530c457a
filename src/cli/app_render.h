// SPDX-License-Identifier: Apache-2.0
// What an Application should be, rendered in the command, beside what it is.
#ifndef SKIFF_CLI_APP_RENDER_H
#define SKIFF_CLI_APP_RENDER_H

#include "cli/app.h"
#include "cli/source.h"

struct app_pair {
    struct str group, kind, ns, name;
    struct doc_value target, live; // null: not desired, absent
};
struct app_pairs {
    VEC(struct app_pair) items;
    struct diff_options diff; // rules of argocd-cm and of the Application
};
struct app_render_settings {
    struct str revision;   // empty: as the Application says
    struct str local;      // a folder instead of Git
    struct str local_root; // the repository it stands in
    bool want_target, want_live;
};
bool app_render_pairs(struct cli *cli, struct connection *connection, const struct doc_value *app,
                      const struct app_render_settings *settings, struct app_pairs *out,
                      struct err *err) MUST_USE;

#endif
