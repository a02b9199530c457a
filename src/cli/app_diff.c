// SPDX-License-Identifier: Apache-2.0
// `skiff app diff` and `manifests`.
#include <stdio.h>

#include "base/timefmt.h"
#include "cli/app_render.h"
#include "doc/yaml.h"
#include "sync/sync.h"

enum { CONTEXT_LINES = 3 };

// ---- diff ----
static bool is_secret(const struct app_pair *pair) {
    return pair->group.n == 0 && str_eq(pair->kind, STR("Secret"));
}

static bool add_yaml(struct arena *arena, const struct doc_value *value, struct str *out) {
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    *out = STR("");
    if (doc_is_null(value)) {
        return true;
    }
    struct doc_value shown = doc_without(arena, value, "metadata", "managedFields");
    bool ok = yaml_print(&shown, &text);
    *out = arena_dup(arena, buf_str(&text));
    return ok;
}

// True when there is a difference; it has been added to `out`.
static bool diff_pair(struct arena *arena, const struct app_pair *pair,
                      const struct diff_options *options, struct buf *out, bool *differs,
                      struct err *err) {
    struct doc_value live = pair->live, target = pair->target;
    struct str from, to;
    bool has_live = !doc_is_null(&live), has_target = !doc_is_null(&target);
    *differs = has_live != has_target;
    if (has_live && has_target) {
        struct diff_result result = {0};
        if (!diff_compare(arena, &target, &live, options, &result, err)) {
            return false;
        }
        *differs = result.modified;
        live = result.live;
        target = result.predicted;
    }
    if (!*differs) {
        return true;
    }
    if (is_secret(pair)) {
        diff_mask_secret_pair(arena, &live, &target);
    }
    struct str live_name = arena_printf(arena, "%.*s-live.yaml", STR_ARG(pair->name));
    struct str target_name = arena_printf(arena, "%.*s", STR_ARG(pair->name));
    buf_printf(out, "\n===== %.*s/%.*s %.*s/%.*s ======\n", STR_ARG(pair->group),
               STR_ARG(pair->kind), STR_ARG(pair->ns), STR_ARG(pair->name));
    return add_yaml(arena, &live, &from) && add_yaml(arena, &target, &to) &&
           diff_unified(from, to, live_name, target_name, CONTEXT_LINES, out);
}

static int by_place(const void *a, const void *b) {
    const struct app_pair *left = a, *right = b;
    int order = str_cmp(left->group, right->group);
    order = order ? order : str_cmp(left->kind, right->kind);
    order = order ? order : str_cmp(left->ns, right->ns);
    return order ? order : str_cmp(left->name, right->name);
}

static bool print_diff(struct cli *cli, struct app_pairs *pairs, bool *any, struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (pairs->items.len) {
        qsort(pairs->items.items, pairs->items.len, sizeof *pairs->items.items, by_place);
    }
    for (size_t i = 0; i < pairs->items.len; i++) {
        const struct app_pair *pair = &pairs->items.items[i];
        const struct doc_value *known = doc_is_null(&pair->target) ? &pair->live : &pair->target;
        bool differs = false;
        // Hooks come and go with a sync; they are no part of the state.
        if (doc_is_null(known) || sync_is_hook(known) || sync_is_skipped(known)) {
            continue;
        }
        if (!diff_pair(cli->arena, pair, &pairs->diff, &out, &differs, err)) {
            return err_wrap(err, "%.*s \"%.*s\"", STR_ARG(pair->kind), STR_ARG(pair->name));
        }
        *any |= differs;
    }
    return out_print(&out);
}

static int run_diff(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct app_render_settings how = {.want_target = true, .want_live = true};
    bool refresh = false, hard_refresh = false, exit_code = true;
    int64_t diff_exit_code = EXIT_DIFFERENT;
    struct cli_option options[] = {
        {"revision", 0, CLI_TEXT, &how.revision, "REV", "Compare with this branch, tag or commit."},
        {"local", 0, CLI_TEXT, &how.local, "DIR",
         "Compare with the manifests of this folder instead of Git."},
        {"local-repo-root", 0, CLI_TEXT, &how.local_root, "DIR",
         "Root of the repository that --local stands in."},
        {"refresh", 0, CLI_FLAG, &refresh, NULL, "Have the controller look again first."},
        {"hard-refresh", 0, CLI_FLAG, &hard_refresh, NULL,
         "The same, and render the manifests anew."},
        {"exit-code", 0, CLI_FLAG, &exit_code, NULL,
         "Exit code 1 when there is a difference (default true; --exit-code=false: 0)."},
        {"diff-exit-code", 0, CLI_NUMBER, &diff_exit_code, "N",
         "Another exit code for a difference (default 1)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (diff_exit_code < 0 || diff_exit_code > 255) {
        return cli_fail(cli, EXIT_USAGE, "--diff-exit-code takes 0 to 255");
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value app;
    struct app_pairs pairs = {{0}};
    const char *word;
    bool any = false;
    bool ok = app_one_word(words, argv, &word, &err) && connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(word), c.ns, &name, &err) &&
              (!(refresh || hard_refresh) || app_refresh(&c, name, hard_refresh, 0, &err)) &&
              app_fetch(&c, name, &app, &err) &&
              app_render_pairs(cli, &c, &app, &how, &pairs, &err) &&
              print_diff(cli, &pairs, &any, &err);
    connection_close(&c);
    VEC_FREE(&pairs.items);
    if (!ok) {
        return cli_fail_err(cli, &err);
    }
    return any && exit_code ? (int)diff_exit_code : EXIT_DONE;
}

const struct cli_command cli_app_diff = {
    .name = "diff",
    .summary = "What a sync would change, as a text diff.",
    .usage = "NAME [--revision REV | --local DIR]",
    .about = "The manifests are rendered here, with the credentials that the cluster holds for the "
             "repository. Lines with \"-\"\n"
             "are live, lines with \"+\" are wanted. Values of Secrets are masked. Exit code 0: no "
             "difference, 1: some, 2: wrong\n"
             "usage, 20: an error.",
    .examples = "  skiff app diff shop\n"
                "  skiff app diff shop --revision feature/new\n"
                "  skiff app diff shop --local deploy/shop",
    .run = run_diff,
};

// ---- manifests ----
static bool print_manifests(struct cli *cli, const struct app_pairs *pairs, bool live,
                            struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < pairs->items.len; i++) {
        const struct app_pair *pair = &pairs->items.items[i];
        struct doc_value value = live ? pair->live : pair->target;
        struct str text;
        if (doc_is_null(&value)) {
            continue;
        }
        if (is_secret(pair)) {
            value = diff_mask_secret(cli->arena, &value);
        }
        if (!add_yaml(cli->arena, &value, &text)) {
            return err_set(err, ERR_INTERNAL, "cannot print %.*s \"%.*s\"", STR_ARG(pair->kind),
                           STR_ARG(pair->name));
        }
        buf_printf(&out, "---\n%.*s\n", STR_ARG(text));
    }
    return out_print(&out);
}

static int run_manifests(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct app_render_settings how = {{NULL, 0}, {NULL, 0}, {NULL, 0}, false, false};
    struct str source = STR("git");
    struct cli_option options[] = {
        {"source", 0, CLI_TEXT, &source, "WHERE",
         "git: as they should be; live: as they are (default git)."},
        {"revision", 0, CLI_TEXT, &how.revision, "REV", "Of this branch, tag or commit."},
        {"local", 0, CLI_TEXT, &how.local, "DIR", "Of this folder instead of Git."},
        {"local-repo-root", 0, CLI_TEXT, &how.local_root, "DIR",
         "Root of the repository that --local stands in."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    bool live = str_eq(source, STR("live"));
    if (!live && !str_eq(source, STR("git"))) {
        return cli_fail(cli, EXIT_USAGE, "--source is git or live");
    }
    how.want_live = live;
    how.want_target = !live;
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value app;
    struct app_pairs pairs = {{0}};
    const char *word;
    bool ok = app_one_word(words, argv, &word, &err) && connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(word), c.ns, &name, &err) &&
              app_fetch(&c, name, &app, &err) &&
              app_render_pairs(cli, &c, &app, &how, &pairs, &err) &&
              print_manifests(cli, &pairs, live, &err);
    connection_close(&c);
    VEC_FREE(&pairs.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_manifests = {
    .name = "manifests",
    .summary = "The manifests of an application, from Git or as they are live.",
    .usage = "NAME [--source git|live] [--revision REV | --local DIR]",
    .about = "Values of Secrets are masked.",
    .examples = "  skiff app manifests shop\n"
                "  skiff app manifests shop --revision v1.2.0\n"
                "  skiff app manifests shop --source live",
    .run = run_manifests,
};
