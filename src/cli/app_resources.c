// SPDX-License-Identifier: Apache-2.0
// `skiff app resources`: what an application consists of.
#include "cli/app.h"

static int run(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct str output = STR("");
    bool orphaned = false;
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT",
         "A table without it; tree, tree=detailed, json or yaml."},
        {"orphaned", 0, CLI_FLAG, &orphaned, NULL,
         "Only objects that belong to no application: not watched, so always none."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value app;
    const char *word;
    AUTO_BUF struct buf text, out;
    buf_init(&text, OUT_MAX);
    buf_init(&out, OUT_MAX);
    bool ok = app_one_word(words, argv, &word, &err) &&
              (output.n == 0 || app_check_output(output, &err)) &&
              connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(word), c.ns, &name, &err) && app_fetch(&c, name, &app, &err);
    if (ok && out_is_document(output)) {
        const struct doc_value *resources = doc_get(&app, "status", "resources");
        struct doc_array empty = doc_array_start(c.arena);
        struct doc_value none = doc_array_done(&empty);
        ok = out_document(resources ? resources : &none, output, 2, &out);
    } else if (ok && str_starts(output, STR("tree"))) {
        ok = app_print_body(&c, &app, output, &out, &err);
    } else if (ok) {
        buf_add_c(&text, "GROUP\tKIND\tNAMESPACE\tNAME\tORPHANED\n");
        for (DOC_EACH_ITEM(orphaned ? NULL : doc_get(&app, "status", "resources"), resource)) {
            buf_printf(
                &text, "%.*s\t%.*s\t%.*s\t%.*s\tNo\n", STR_ARG(doc_get_str(resource, "group")),
                STR_ARG(doc_get_str(resource, "kind")), STR_ARG(doc_get_str(resource, "namespace")),
                STR_ARG(doc_get_str(resource, "name")));
        }
        out_columns(buf_str(&text), 0, 2, &out);
    }
    ok = ok && out_print(&out);
    connection_close(&c);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_resources = {
    .name = "resources",
    .summary = "The objects of an application.",
    .usage = "NAME [-o tree|tree=detailed|json|yaml]",
    .about = "",
    .examples = "  skiff app resources shop\n"
                "  skiff app resources shop -o tree",
    .run = run,
};
