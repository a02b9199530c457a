// SPDX-License-Identifier: Apache-2.0
// `skiff version` and `skiff crds`.
#include <stdio.h>

#include "app/app.h"
#include "cli/connect.h"
#include "cli/out.h"

// ---- version ----
static int run_version(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    bool client = false, is_short = false;
    struct str output = STR("");
    struct cli_option options[] = {
        {"client", 0, CLI_FLAG, &client, NULL, "Only of this program; the cluster is not asked."},
        {"short", 0, CLI_FLAG, &is_short, NULL, "Only the numbers."},
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "yaml or json."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct doc_object about = doc_object_start(cli->arena);
    struct err err = {0};
    struct connection c = {0};
    doc_object_set_c(&about, "skiff", DOC_S("v" SKIFF_VERSION));
    struct kube_answer answer;
    struct doc_value version;
    // Without a cluster the program still has a version.
    if (!client && connection_open(&c, cli, &settings, &err) &&
        kube_get_raw_wait(c.loop, c.client, STR("/version"), STR("application/json"), cli->arena,
                          &answer, &err) &&
        doc_parse_json(answer.body, cli->arena, &version, &err)) {
        doc_object_set_c(&about, "kubernetes", doc_make_str(doc_get_str(&version, "gitVersion")));
    }
    connection_close(&c);
    struct doc_value all = doc_object_done(&about);
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (out_is_document(output)) {
        out_document(&all, output, 2, &out);
    } else {
        for (DOC_EACH_MEMBER(&all, i)) {
            if (!is_short) {
                buf_printf(&out, "%.*s: ", STR_ARG(doc_key_at(&all, i)));
            }
            buf_printf(&out, "%.*s\n", STR_ARG(doc_str(doc_value_at(&all, i))));
        }
    }
    return out_print(&out) ? EXIT_DONE : EXIT_ERROR;
}

const struct cli_command cli_version = {
    .name = "version",
    .summary = "Versions of this program and of the cluster.",
    .usage = "[--client] [-o yaml|json]",
    .about = "",
    .examples = "  skiff version --client",
    .run = run_version,
};

// ---- crds ----
static int run_crds(struct cli *cli, int argc, char **argv) {
    struct str output = STR("yaml");
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "yaml or json (default yaml)."},
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct doc_value list;
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (words || !out_is_document(output)) {
        return cli_fail(cli, EXIT_USAGE, "takes only -o yaml or -o json");
    }
    if (!doc_parse_json(app_crds_json(), cli->arena, &list, &err)) {
        return cli_fail_err(cli, &err);
    }
    if (str_eq(output, STR("json"))) {
        out_document(&list, output, 2, &out);
    } else {
        for (DOC_EACH_ITEM(doc_get(&list, "items"), item)) {
            buf_add_c(&out, "---\n");
            out_document(item, output, 2, &out);
        }
    }
    return out_print(&out) ? EXIT_DONE : EXIT_ERROR;
}

const struct cli_command cli_crds = {
    .name = "crds",
    .summary = "Print the CustomResourceDefinitions of Application and AppProject.",
    .usage = "[-o yaml|json]",
    .about = "For a cluster that \"skiff controller\" works on, when that may not make CRDs "
             "itself. Those of Argo CD do as well.",
    .examples = "  skiff crds | skiff kube apply --server-side -f - --kubeconfig cluster.yaml",
    .run = run_crds,
};
