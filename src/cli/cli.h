// SPDX-License-Identifier: Apache-2.0
// The command line: a tree of commands, each in a file of its own, with options as tables. Exit codes: 0 done, 1 a
// difference or a condition that was asked about, 2 wrong usage, 20 an error (as Argo CD's command line).
#ifndef SKIFF_CLI_CLI_H
#define SKIFF_CLI_CLI_H

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"

enum { EXIT_DONE = 0, EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_ERROR = 20 };

struct cli;

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_NUMBER, CLI_LIST };
struct cli_list {
    VEC(struct str) items;
};
struct cli_option {
    const char *name; // without the dashes
    char letter;      // or 0
    enum cli_kind kind;
    void *value;          // bool *, struct str *, int64_t *, struct cli_list *
    const char *argument; // shown in the help: "FILE"
    const char *help;     // one sentence; default values stand in it
    bool *given;          // when not NULL: set when the option was written
};

// One word of the command line. A command has either children or `run`.
struct cli_command {
    const char *name;
    const char *summary;                       // one line for the list of commands
    const char *usage;                         // what follows the name: "NAME [--revision REV]"
    const char *about;                         // paragraphs of the help
    const char *examples;                      // lines; "" when there are none
    const struct cli_command *const *children; // NULL-terminated
    // `args` are the words after the command's own. Returns the exit code.
    int (*run)(struct cli *cli, int argc, char **argv);
};

struct cli {                           // what every command gets
    const struct cli_command *command; // the one that runs, for its help
    const char *program;               // "skiff", or "argocd" when called by that name
    const char *path;                  // words up to the command: "skiff app get"
    struct arena *arena;
    const char *self;                 // path of this executable
    const struct cli_option *options; // of the command, once parsed; for completion and help
    size_t option_count;
    // Only asked what options the command has: cli_parse leaves a copy of them in `options` and fails with exit code 0.
    bool is_probe;
};

// Parses options anywhere among the arguments ("--name=value", "--name value", "-n value", "--no-name" for flags, "--" ends
// them). Positional words come back in argv[0..*count). --help prints and makes *exit_code >= 0. False: *exit_code is set and
// the error has been printed.
bool cli_parse(struct cli *cli, const struct cli_option *options, size_t count, int argc,
               char **argv, int *positional, int *exit_code);
void cli_help(const struct cli *cli, const struct cli_option *options, size_t count);
// "skiff app get: message" on standard error; returns `code`.
int cli_fail(const struct cli *cli, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cli_fail_err(const struct cli *cli, const struct err *err); // 2 for ERR_USAGE, else 20

int cli_main(int argc, char **argv);

// Reads a whole file, "-" for standard input.
bool cli_read_file(const char *path, size_t max, struct arena *arena, struct str *out,
                   struct err *err) MUST_USE;
// Where the embedded API keeps its data: --data, SKIFF_DATA, XDG_DATA_HOME/skiff, ~/.local/share/skiff.
struct str cli_data_dir(struct arena *arena, struct str given);

extern const struct cli_command cli_up, cli_controller;
extern const struct cli_command cli_app, cli_kube, cli_repo, cli_cluster, cli_proj;
extern const struct cli_command cli_version, cli_completion, cli_crds;
extern const struct cli_command cli_root; // main table (commands.c)

// The options of a command, without running it. They live in cli->arena; their values may not be touched.
void cli_probe(const struct cli *cli, const struct cli_command *command, const char *path,
               const struct cli_option **options, size_t *count);

#endif
