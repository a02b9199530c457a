// SPDX-License-Identifier: Apache-2.0
// `skiff completion`: scripts for shells, made from the tables of commands and their options.
#include <stdio.h>

#include "cli/out.h"

struct generator {
    const struct cli *cli;
    struct arena *arena;
    struct buf out;
    void (*command)(struct generator *g, const struct cli_command *command, struct str path,
                    const struct cli_option *options, size_t count);
};

// `path` is the words after the program's name: "app get".
static void walk(struct generator *g, const struct cli_command *command, struct str path) {
    const struct cli_option *options = NULL;
    size_t count = 0;
    cli_probe(g->cli, command, arena_printf(g->arena, "%s %.*s", g->cli->program, STR_ARG(path)).p,
              &options, &count);
    g->command(g, command, path, options, count);
    for (size_t i = 0; command->children && command->children[i]; i++) {
        const struct cli_command *child = command->children[i];
        walk(g, child,
             path.n ? arena_printf(g->arena, "%.*s %s", STR_ARG(path), child->name)
                    : str_from(child->name));
    }
}

static void add_quoted(struct buf *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '\'') {
            buf_add_c(out, "'\\''");
        } else {
            buf_add_char(out, *p == '\n' ? ' ' : *p);
        }
    }
}

// ---- bash ----
static void bash_command(struct generator *g, const struct cli_command *command, struct str path,
                         const struct cli_option *options, size_t count) {
    buf_printf(&g->out, "    '%.*s') words='", STR_ARG(path));
    for (size_t i = 0; command->children && command->children[i]; i++) {
        buf_printf(&g->out, "%s ", command->children[i]->name);
    }
    for (size_t i = 0; i < count; i++) {
        buf_printf(&g->out, "--%s ", options[i].name);
    }
    buf_add_c(&g->out, "--help' values='");
    for (size_t i = 0; i < count; i++) {
        if (options[i].kind != CLI_FLAG) {
            buf_printf(&g->out, " --%s ", options[i].name);
            if (options[i].letter) {
                buf_printf(&g->out, " -%c ", options[i].letter);
            }
        }
    }
    buf_add_c(&g->out, "' ;;\n");
}

// The words of the command are found by walking what stands before the cursor through the same table.
static void bash(struct generator *g) {
    const char *program = g->cli->program;
    g->command = bash_command;
    buf_printf(&g->out, "# bash completion for %s: eval \"$(%s completion bash)\"\n", program,
               program);
    buf_printf(&g->out, "_%s_words() {\n    case \"$1\" in\n", program);
    walk(g, &cli_root, STR(""));
    buf_add_c(&g->out, "    *) return 1 ;;\n    esac\n}\n");
    buf_printf(&g->out,
               "_%s() {\n"
               "    local path='' words='' values='' word i cur=${COMP_WORDS[COMP_CWORD]} "
               "prev=${COMP_WORDS[COMP_CWORD-1]}\n"
               "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
               "        word=${COMP_WORDS[i]}\n"
               "        case \"$word\" in -*) continue ;; esac\n"
               "        if _%s_words \"${path:+$path }$word\"; then path=${path:+$path }$word; fi\n"
               "    done\n"
               "    _%s_words \"$path\"\n"
               "    case \"$values\" in *\" $prev \"*) COMPREPLY=($(compgen -f -- \"$cur\")); "
               "return ;; esac\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
               "}\n"
               "complete -o default -F _%s %s\n",
               program, program, program, program, program);
}

// ---- zsh ----
static void zsh(struct generator *g) {
    buf_printf(&g->out, "#compdef %s\n# zsh completion for %s, by way of the one for bash\n",
               g->cli->program, g->cli->program);
    buf_add_c(&g->out, "autoload -U +X bashcompinit && bashcompinit\n");
    bash(g);
}

// ---- fish ----
static void fish_condition(struct generator *g, struct str path) {
    buf_printf(&g->out, "complete -c %s -n '__%s_at \"%.*s\"' ", g->cli->program, g->cli->program,
               STR_ARG(path));
}

static void fish_command(struct generator *g, const struct cli_command *command, struct str path,
                         const struct cli_option *options, size_t count) {
    buf_printf(&g->out, "set -a __%s_paths '%.*s'\n", g->cli->program, STR_ARG(path));
    for (size_t i = 0; command->children && command->children[i]; i++) {
        fish_condition(g, path);
        buf_printf(&g->out, "-f -a %s -d '", command->children[i]->name);
        add_quoted(&g->out, command->children[i]->summary);
        buf_add_c(&g->out, "'\n");
    }
    for (size_t i = 0; i < count; i++) {
        fish_condition(g, path);
        buf_printf(&g->out, "-l %s ", options[i].name);
        if (options[i].letter) {
            buf_printf(&g->out, "-s %c ", options[i].letter);
        }
        buf_add_c(&g->out, options[i].kind == CLI_FLAG ? "-d '" : "-r -d '");
        add_quoted(&g->out, options[i].help);
        buf_add_c(&g->out, "'\n");
    }
}

static void fish(struct generator *g) {
    const char *program = g->cli->program;
    g->command = fish_command;
    buf_printf(&g->out,
               "# fish completion for %s: %s completion fish | source\nset -g __%s_paths\n",
               program, program, program);
    buf_printf(&g->out,
               "function __%s_at\n"
               "    set -l path ''\n"
               "    for word in (commandline -opc)[2..-1]\n"
               "        set -l longer (string trim \"$path $word\")\n"
               "        if contains -- $longer $__%s_paths\n"
               "            set path $longer\n"
               "        end\n"
               "    end\n"
               "    test \"$path\" = \"$argv[1]\"\n"
               "end\n",
               program, program);
    walk(g, &cli_root, STR(""));
}

// ---- The command ----
static int run(struct cli *cli, int argc, char **argv) {
    int words, code;
    if (!cli_parse(cli, NULL, 0, argc, argv, &words, &code)) {
        return code;
    }
    struct generator g = {.cli = cli, .arena = cli->arena};
    buf_init(&g.out, OUT_MAX);
    const char *shell = words == 1 ? argv[0] : "";
    if (strcmp(shell, "bash") == 0) {
        bash(&g);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh(&g);
    } else if (strcmp(shell, "fish") == 0) {
        fish(&g);
    } else {
        return cli_fail(cli, EXIT_USAGE, "takes the name of a shell: bash, zsh or fish");
    }
    bool ok = out_print(&g.out);
    buf_fini(&g.out);
    return ok ? EXIT_DONE : EXIT_ERROR;
}

const struct cli_command cli_completion = {
    .name = "completion",
    .summary = "Print the completion script of a shell.",
    .usage = "bash|zsh|fish",
    .about = "",
    .examples = "  eval \"$(skiff completion bash)\"\n"
                "  skiff completion zsh > \"${fpath[1]}/_skiff\"\n"
                "  skiff completion fish | source",
    .run = run,
};
