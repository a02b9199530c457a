// SPDX-License-Identifier: Apache-2.0
// Walks the tree of commands to the one that was asked for.
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/connect.h"

int cli_fail(const struct cli *cli, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", cli->path);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

// What to do about errors that mean the same wherever they come from.
static const char *advice_on(const struct err *err) {
    struct str message = str_from(err->message);
    if (err->code == ERR_UNAUTHORIZED && str_eq(message, STR("Unauthorized"))) {
        return ": the cluster refuses the credentials of the kubeconfig; give another one with "
               "--kubeconfig FILE";
    }
    if (str_has(message, STR("/api")) && str_has(message, STR("Failed to connect"))) {
        return "; is the cluster running? Start one with \"skiff up\", or name another with "
               "--kubeconfig FILE";
    }
    return "";
}

int cli_fail_err(const struct cli *cli, const struct err *err) {
    return cli_fail(cli, err->code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR, "%s%s", err->message,
                    advice_on(err));
}

bool cli_read_file(const char *path, size_t max, struct arena *arena, struct str *out,
                   struct err *err) {
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, errno, "%s", path);
    }
    AUTO_BUF struct buf text;
    buf_init(&text, max);
    char chunk[65536];
    ssize_t n;
    bool ok = true;
    while (ok && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0) {
            ok = err_errno(err, errno, "reading %s", path);
        } else if (!buf_add(&text, chunk, (size_t)n)) {
            ok = err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
        }
    }
    if (!standard_input) {
        close(fd);
    }
    if (ok) {
        *out = arena_dup(arena, buf_str(&text));
    }
    return ok;
}

struct str cli_data_dir(struct arena *arena, struct str given) {
    const char *from = given.n ? NULL : getenv("SKIFF_DATA");
    if (given.n || (from && from[0])) {
        return arena_dup(arena, given.n ? given : str_from(from));
    }
    from = getenv("XDG_DATA_HOME");
    if (from && from[0]) {
        return arena_printf(arena, "%s/skiff", from);
    }
    from = getenv("HOME");
    return arena_printf(arena, "%s/.local/share/skiff", from && from[0] ? from : "");
}

static const struct cli_command *find_child(const struct cli_command *command, const char *word) {
    for (size_t i = 0; command->children && command->children[i]; i++) {
        if (strcmp(command->children[i]->name, word) == 0) {
            return command->children[i];
        }
    }
    return NULL;
}

// A command with children and none of them named: its list, or what is wrong with the word.
static int explain(struct cli *cli, int argc, char **argv) {
    bool asked = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
                              strcmp(argv[0], "help") == 0);
    if (argc == 0 || asked) {
        cli_help(cli, NULL, 0);
        return asked ? EXIT_DONE : EXIT_USAGE;
    }
    return cli_fail(cli, EXIT_USAGE, "unknown command \"%s\"; \"%s --help\" lists the commands",
                    argv[0], cli->path);
}

static const char *self_path(struct arena *arena) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? arena_cstr(arena, str_make(path, (size_t)n)) : "skiff";
}

// ---- Options before the command's words ("argocd --core app list") ----
struct early { // they go behind the words, where the command takes them
    char **words;
    int count;
};

// How many arguments the option at argv[at] takes up; 0 when it is none that may stand here.
static int early_option(int argc, char **argv, int at) {
    struct connection_settings ignored = {0};
    const struct cli_option options[] = {CONNECTION_OPTIONS(&ignored)};
    struct str word = str_from(argv[at]), name, value;
    if (!str_starts(word, STR("-")) || word.n < 2) {
        return 0;
    }
    bool is_long = str_starts(word, STR("--"));
    bool has_value = str_cut(str_skip(word, is_long ? 2 : 1), '=', &name, &value);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        bool fits = is_long ? str_eq_c(name, options[i].name)
                            : name.n == 1 && name.p[0] == options[i].letter;
        if (fits) {
            return options[i].kind == CLI_FLAG || has_value || at + 1 >= argc ? 1 : 2;
        }
    }
    return 0;
}

int cli_main(int argc, char **argv) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str name = str_from(argc > 0 ? argv[0] : "skiff");
    size_t slash = str_rfind_char(name, '/');
    name = slash == STR_NPOS ? name : str_skip(name, slash + 1);
    struct cli cli = {.command = &cli_root, .arena = arena, .self = self_path(arena)};
    cli.program = str_eq(name, STR("argocd")) ? "argocd" : "skiff";
    struct str path = str_from(cli.program);
    cli.path = path.p;
    int at = 1;
    struct early early = {ARENA_ARRAY(arena, (size_t)argc + 1, char *), 0};
    while (at < argc && !cli.command->run) {
        const char *word = at == 1 && strcmp(argv[at], "--version") == 0 ? "version" : argv[at];
        const struct cli_command *child = find_child(cli.command, word);
        int option = child ? 0 : early_option(argc, argv, at);
        if (option) {
            for (; option > 0; option--) {
                early.words[early.count++] = argv[at++];
            }
            continue;
        }
        if (!child) {
            break;
        }
        cli.command = child;
        path = arena_printf(arena, "%.*s %s", STR_ARG(path), child->name);
        cli.path = path.p;
        at++;
    }
    int left = argc - at;
    for (int i = 0; i < left; i++) {
        early.words[early.count + i] = argv[at + i];
    }
    int code = cli.command->run ? cli.command->run(&cli, early.count + left, early.words)
                                : explain(&cli, left, argv + at);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        return cli_fail(&cli, EXIT_ERROR, "cannot write the output: %s", strerror(errno));
    }
    return code;
}
