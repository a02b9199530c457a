// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cli/cli.h"

struct parsed {
    bool flag, other, given;
    struct str text;
    int64_t number;
    struct cli_list list;
    int words, code;
    bool ok;
};

static void parse(struct parsed *p, struct arena *arena, const char *line) {
    char *argv[16];
    int argc = 0;
    struct str rest = str_from(line), part;
    while (str_next(&rest, ' ', &part)) {
        argv[argc++] = arena_cstr(arena, part);
    }
    struct cli cli = {.command = &cli_app, .path = "test", .arena = arena};
    struct cli_option options[] = {
        {"flag", 'f', CLI_FLAG, &p->flag, NULL, "A flag.", &p->given},
        {"other", 'o', CLI_FLAG, &p->other, NULL, "Another."},
        {"text", 't', CLI_TEXT, &p->text, "TEXT", "A text."},
        {"number", 0, CLI_NUMBER, &p->number, "N", "A number."},
        {"list", 'l', CLI_LIST, &p->list, "ITEM", "Items."},
    };
    p->code = -1;
    p->ok = cli_parse(&cli, options, ARRAY_LEN(options), argc, argv, &p->words, &p->code);
}

static void test_good(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool flag, given;
        const char *text;
        int64_t number;
        size_t items;
        int words;
    } cases[] = {
        {"", false, false, "", 0, 0, 0},
        {"--flag", true, true, "", 0, 0, 0},
        {"--flag=false", false, true, "", 0, 0, 0},
        {"--no-flag", false, true, "", 0, 0, 0},
        {"-f", true, true, "", 0, 0, 0},
        {"-fo", true, true, "", 0, 0, 0},
        {"-ft x", true, true, "x", 0, 0, 0},
        {"-tx", false, false, "x", 0, 0, 0},
        {"-t=x", false, false, "x", 0, 0, 0},
        {"--text x a b", false, false, "x", 0, 0, 2},
        {"a --text=x=y b", false, false, "x=y", 0, 0, 2},
        {"--number 12", false, false, "", 12, 0, 0},
        {"--number=-3", false, false, "", -3, 0, 0},
        {"-l a --list b --list=c", false, false, "", 0, 3, 0},
        {"a -- --flag", false, false, "", 0, 0, 2},
        {"-", false, false, "", 0, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct parsed p = {0};
        parse(&p, arena, cases[i].line);
        assert_true(p.ok);
        assert_int_equal(p.flag, cases[i].flag);
        assert_int_equal(p.given, cases[i].given);
        assert_true(str_eq_c(p.text, cases[i].text));
        assert_int_equal(p.number, cases[i].number);
        assert_int_equal(p.list.items.len, cases[i].items);
        assert_int_equal(p.words, cases[i].words);
        VEC_FREE(&p.list.items);
    }
}

static void test_bad(void **state) {
    (void)state;
    static const char *const lines[] = {
        "--nonsense", "--flag=maybe", "--number x", "--number=1.5", "--text",
        "-t",         "-x",           "--no-text",  "-fx",          "--number 99999999999999999999",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct parsed p = {0};
        parse(&p, arena, lines[i]);
        assert_false(p.ok);
        assert_int_equal(p.code, EXIT_USAGE);
        VEC_FREE(&p.list.items);
    }
}

// Every command of the tree answers for its options, has a summary, and names none of them twice.
static void check_command(struct cli *cli, const struct cli_command *command) {
    const struct cli_option *options = NULL;
    size_t count = 0;
    cli_probe(cli, command, command->name, &options, &count);
    assert_true(command->summary && command->summary[0]);
    assert_true((command->run == NULL) == (command->children != NULL));
    assert_non_null(command->examples);
    for (size_t i = 0; i < count; i++) {
        assert_true(options[i].help && options[i].help[0]);
        assert_true(options[i].kind == CLI_FLAG || options[i].argument);
        for (size_t k = i + 1; k < count; k++) {
            if (strcmp(options[i].name, options[k].name) == 0 ||
                (options[i].letter && options[i].letter == options[k].letter)) {
                fail_msg("%s: --%s and --%s", command->name, options[i].name, options[k].name);
            }
        }
    }
    for (size_t i = 0; command->children && command->children[i]; i++) {
        check_command(cli, command->children[i]);
    }
}

static void test_tree(void **state) {
    (void)state;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct cli cli = {
        .command = &cli_root, .program = "skiff", .path = "skiff", .arena = arena, .self = "skiff"};
    check_command(&cli, &cli_root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
