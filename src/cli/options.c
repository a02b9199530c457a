// SPDX-License-Identifier: Apache-2.0
// Options as tables, and the help that is made from them.
#include "cli/cli.h"

#include <stdio.h>

#include "base/mem.h"

static const struct cli_option *find_long(const struct cli_option *options, size_t count,
                                          struct str name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *options, size_t count,
                                            char letter) {
    for (size_t i = 0; i < count; i++) {
        if (letter && options[i].letter == letter) {
            return &options[i];
        }
    }
    return NULL;
}

static bool take(const struct cli *cli, const struct cli_option *option, struct str value,
                 int *exit_code) {
    if (option->given) {
        *option->given = true;
    }
    switch (option->kind) {
    case CLI_FLAG:
        if (!str_eq(value, STR("true")) && !str_eq(value, STR("false"))) {
            *exit_code = cli_fail(cli, EXIT_USAGE, "--%s takes true or false, not \"%.*s\"",
                                  option->name, STR_ARG(value));
            return false;
        }
        *(bool *)option->value = str_eq(value, STR("true"));
        return true;
    case CLI_TEXT:
        *(struct str *)option->value = value;
        return true;
    case CLI_NUMBER:
        if (!str_to_int64(value, option->value)) {
            *exit_code = cli_fail(cli, EXIT_USAGE, "--%s takes a whole number, not \"%.*s\"",
                                  option->name, STR_ARG(value));
            return false;
        }
        return true;
    case CLI_LIST:
        VEC_PUSH(&((struct cli_list *)option->value)->items, value);
        return true;
    }
    return false;
}

struct scan {
    struct cli *cli;
    const struct cli_option *options;
    size_t count;
    int argc, at;
    char **argv;
    int *exit_code;
};

static bool next_value(struct scan *scan, const struct cli_option *option, struct str *value) {
    if (scan->at + 1 >= scan->argc) {
        *scan->exit_code = cli_fail(scan->cli, EXIT_USAGE, "--%s needs a value (%s)", option->name,
                                    option->argument ? option->argument : "VALUE");
        return false;
    }
    *value = str_from(scan->argv[++scan->at]);
    return true;
}

static bool long_option(struct scan *scan, struct str word) {
    struct str name, value;
    bool has_value = str_cut(word, '=', &name, &value);
    const struct cli_option *option = find_long(scan->options, scan->count, name);
    if (!option && !has_value && str_starts(name, STR("no-"))) {
        option = find_long(scan->options, scan->count, str_skip(name, 3));
        if (option && option->kind == CLI_FLAG) {
            return take(scan->cli, option, STR("false"), scan->exit_code);
        }
        option = NULL;
    }
    if (!option) {
        *scan->exit_code =
            cli_fail(scan->cli, EXIT_USAGE, "unknown option --%.*s; see --help", STR_ARG(name));
        return false;
    }
    if (!has_value) {
        if (option->kind == CLI_FLAG) {
            value = STR("true");
        } else if (!next_value(scan, option, &value)) {
            return false;
        }
    }
    return take(scan->cli, option, value, scan->exit_code);
}

static bool short_options(struct scan *scan, struct str word) {
    while (word.n) {
        const struct cli_option *option = find_letter(scan->options, scan->count, word.p[0]);
        if (!option) {
            *scan->exit_code =
                cli_fail(scan->cli, EXIT_USAGE, "unknown option -%c; see --help", word.p[0]);
            return false;
        }
        word = str_skip(word, 1);
        if (option->kind == CLI_FLAG) {
            if (!take(scan->cli, option, STR("true"), scan->exit_code)) {
                return false;
            }
            continue;
        }
        struct str value = str_starts(word, STR("=")) ? str_skip(word, 1) : word;
        if (value.n == 0 && !next_value(scan, option, &value)) {
            return false;
        }
        return take(scan->cli, option, value, scan->exit_code);
    }
    return true;
}

bool cli_parse(struct cli *cli, const struct cli_option *options, size_t count, int argc,
               char **argv, int *positional, int *exit_code) {
    struct scan scan = {cli, options, count, argc, 0, argv, exit_code};
    bool only_words = false;
    *positional = 0;
    if (cli->is_probe) {
        struct cli_option *copy = ARENA_ARRAY(cli->arena, count, struct cli_option);
        for (size_t i = 0; i < count; i++) {
            copy[i] = options[i];
        }
        cli->options = copy;
        cli->option_count = count;
        *exit_code = EXIT_DONE;
        return false;
    }
    cli->options = options;
    cli->option_count = count;
    for (; scan.at < argc; scan.at++) {
        struct str word = str_from(argv[scan.at]);
        if (only_words || word.n < 2 || word.p[0] != '-') {
            argv[(*positional)++] = argv[scan.at];
            continue;
        }
        if (str_eq(word, STR("--"))) {
            only_words = true;
            continue;
        }
        if (str_eq(word, STR("--help")) ||
            (str_eq(word, STR("-h")) && !find_letter(options, count, 'h'))) {
            cli_help(cli, options, count);
            *exit_code = EXIT_DONE;
            return false;
        }
        bool is_long = str_starts(word, STR("--"));
        if (is_long ? !long_option(&scan, str_skip(word, 2))
                    : !short_options(&scan, str_skip(word, 1))) {
            return false;
        }
    }
    return true;
}

void cli_probe(const struct cli *cli, const struct cli_command *command, const char *path,
               const struct cli_option **options, size_t *count) {
    struct cli probe = {.command = command,
                        .program = cli->program,
                        .path = path,
                        .arena = cli->arena,
                        .self = cli->self,
                        .is_probe = true};
    if (command->run) {
        command->run(&probe, 0, NULL);
    }
    *options = probe.options;
    *count = probe.option_count;
}

static void print_option(const struct cli_option *option) {
    char left[80];
    snprintf(left, sizeof left, "%c%c%s --%s%s%s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
             option->argument && option->kind != CLI_FLAG ? " " : "",
             option->argument && option->kind != CLI_FLAG ? option->argument : "");
    // A long one gets a line of its own.
    bool is_long = strlen(left) > 36;
    printf("  %-36s%s%*s %s\n", left, is_long ? "\n" : "", is_long ? 38 : 0, "", option->help);
}

void cli_help(const struct cli *cli, const struct cli_option *options, size_t count) {
    const struct cli_command *command = cli->command;
    printf("%s\n\nUsage:\n  %s%s%s\n", command->summary, cli->path,
           command->usage && command->usage[0] ? " " : "", command->usage ? command->usage : "");
    if (command->about && command->about[0]) {
        printf("\n%s\n", command->about);
    }
    if (command->examples && command->examples[0]) {
        printf("\nExamples:\n%s\n", command->examples);
    }
    if (command->children) {
        printf("\nCommands:\n");
        for (size_t i = 0; command->children[i]; i++) {
            printf("  %-14s %s\n", command->children[i]->name, command->children[i]->summary);
        }
        printf("\n\"%s COMMAND --help\" tells more about one of them.\n", cli->path);
    }
    if (count) {
        printf("\nOptions:\n");
        for (size_t i = 0; i < count; i++) {
            print_option(&options[i]);
        }
        printf("  %-36s %s\n", "    --help", "Print this help.");
    }
}
