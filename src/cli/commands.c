// SPDX-License-Identifier: Apache-2.0
// The commands of the first level.
#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &cli_up,   &cli_controller, &cli_app,        &cli_repo,    &cli_cluster, &cli_proj,
    &cli_kube, &cli_crds,       &cli_completion, &cli_version, NULL,
};

const struct cli_command cli_root = {
    .name = "skiff",
    .summary = "Skiff keeps Kubernetes clusters equal to what Git says.",
    .usage = "COMMAND [OPTIONS]",
    .about = "One program: the controllers, an embedded Kubernetes API for a laptop or an edge "
             "box, and the command line.",
    .examples = "  skiff up                       start everything in one process\n"
                "  skiff app list                 what is deployed, and how it is",
    .children = commands,
};
