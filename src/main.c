// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "cli/cli.h"
#include "vcs/vcs.h"

int main(int argc, char **argv) {
    // git starts this program to ask for a password.
    if (vcs_is_askpass(argc, argv)) {
        return vcs_askpass_main(argc, argv);
    }
    // A peer that goes away is an error of that write, not the end of the process.
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    return cli_main(argc, argv);
}
