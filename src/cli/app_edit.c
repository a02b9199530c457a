// SPDX-License-Identifier: Apache-2.0
// `skiff app create`, `set` and `delete`.
#include <stdio.h>
#include <unistd.h>

#include "app/plan.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "cli/app.h"
#include "doc/yaml.h"

// ---- create ----
struct create_settings {
    struct app_spec spec;
    struct str file, name_option, word;
    bool upsert, validate, set_finalizer;
};

static bool read_manifest(struct connection *c, struct str file, struct doc_value *out,
                          struct err *err) {
    struct str text;
    struct yaml_document *documents;
    size_t count, found = 0;
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    if (!cli_read_file(arena_cstr(c->arena, file), LIMIT_YAML_BYTES, c->arena, &text, err) ||
        !yaml_parse(text, &options, c->arena, &documents, &count, err)) {
        return err_wrap_file(err, file);
    }
    for (size_t i = 0; i < count; i++) {
        if (!doc_is_null(&documents[i].root)) {
            *out = documents[i].root;
            found++;
        }
    }
    if (found != 1) {
        return err_set(err, ERR_USAGE, "%.*s: one Application is needed, but it has %zu documents",
                       STR_ARG(file), found);
    }
    if (!str_eq(doc_get_str(out, "kind"), STR("Application")) ||
        !str_eq(doc_get_str(out, "apiVersion"), STR("argoproj.io/v1alpha1"))) {
        return err_set(err, ERR_USAGE, "%.*s: not an Application of argoproj.io/v1alpha1",
                       STR_ARG(file));
    }
    return true;
}

static bool start_document(struct connection *c, const struct create_settings *s,
                           struct doc_value *out, struct err *err) {
    struct doc_value app = doc_null();
    struct str name = s->word.n ? s->word : s->name_option;
    if (s->file.n) {
        if (!read_manifest(c, s->file, &app, err)) {
            return false;
        }
    } else {
        app = doc_with(c->arena, &app, DOC_S("argoproj.io/v1alpha1"), "apiVersion");
        app = doc_with(c->arena, &app, DOC_S("Application"), "kind");
    }
    struct str written = doc_get_str(&app, "metadata", "name");
    if (name.n && written.n && !str_eq(name, written)) {
        return err_set(err, ERR_USAGE, "the file is about \"%.*s\", the command about \"%.*s\"",
                       STR_ARG(written), STR_ARG(name));
    }
    struct app_name full;
    if (!name.n && !written.n) {
        return err_set(err, ERR_USAGE, "name the application: app create NAME ...");
    }
    if (!app_name_parse(name.n ? name : written, c->ns, &full, err)) {
        return false;
    }
    app = doc_with(c->arena, &app, doc_make_str(full.name), "metadata", "name");
    if (!doc_get_str(&app, "metadata", "namespace").n) {
        app = doc_with(c->arena, &app, doc_make_str(full.ns), "metadata", "namespace");
    }
    if (!doc_get_str(&app, "spec", "project").n) {
        app = doc_with(c->arena, &app, DOC_S("default"), "spec", "project");
    }
    *out = app;
    return true;
}

static struct doc_value with_finalizer(struct arena *arena, const struct doc_value *app,
                                       struct str finalizer) {
    struct doc_array list = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(app, "metadata", "finalizers"), item)) {
        struct str text = doc_str(item);
        if (!str_starts(text, STR(APP_FINALIZER)) &&
            !str_ends(text, STR("ground-finalizer.argocd.argoproj.io"))) {
            doc_array_add(&list, *item);
        }
    }
    if (finalizer.n) {
        doc_array_add(&list, doc_make_str(finalizer));
    }
    return doc_array_done(&list);
}

// The Application exists: the same is fine, something else only with --upsert.
static bool update(struct connection *c, const struct doc_value *app, const struct doc_value *live,
                   bool upsert, const char **what, struct err *err) {
    if (doc_equal(doc_get(app, "spec"), doc_get(live, "spec"))) {
        *what = "unchanged";
        return true;
    }
    if (!upsert) {
        return err_set(
            err, ERR_EXISTS,
            "an application \"%.*s\" with another spec exists already; --upsert replaces it",
            STR_ARG(app_name_of(app).name));
    }
    struct doc_value to = doc_with(c->arena, live, *doc_get(app, "spec"), "spec"), patched;
    static const char *const fields[] = {"labels", "annotations", "finalizers"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct doc_value *value = doc_get(app, "metadata", fields[i]);
        for (DOC_EACH_MEMBER(value, k)) {
            to = doc_with(c->arena, &to, *doc_value_at(value, k), "metadata", fields[i],
                          arena_cstr(c->arena, doc_key_at(value, k)));
        }
        if (doc_is(value, DOC_ARRAY)) {
            to = doc_with(c->arena, &to, *value, "metadata", fields[i]);
        }
    }
    *what = "updated";
    return app_patch(c, app_name_of(app), doc_merge_diff(c->arena, live, &to), &patched, err);
}

static bool create(struct connection *c, const struct create_settings *s, struct doc_value *out,
                   const char **what, struct err *err) {
    struct doc_value start, app, live, created;
    if (!start_document(c, s, &start, err) ||
        !app_spec_apply(&s->spec, c->arena, &start, &app, err)) {
        return false;
    }
    if (s->set_finalizer) {
        app = doc_with(c->arena, &app, with_finalizer(c->arena, &app, STR(APP_FINALIZER)),
                       "metadata", "finalizers");
    }
    if (s->validate && !app_spec_check(c, &app, err)) {
        return false;
    }
    *out = app;
    struct app_name name = app_name_of(&app);
    struct err missing = {0};
    if (connection_get(c, cli_applications, name.ns, name.name, &live, &missing)) {
        return update(c, &app, &live, s->upsert, what, err);
    }
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = cli_applications,
                                   .ns = name.ns,
                                   .body = doc_to_json(c->arena, &app),
                                   .field_manager = STR("skiff"),
                                   .field_validation = STR("Strict"),
                                   .grace_seconds = -1};
    *what = "created";
    return connection_send(c, &request, &created, err);
}

static int run_create(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct create_settings s = {.validate = true};
    app_spec_init(&s.spec);
    struct cli_option options[APP_SPEC_OPTION_COUNT + 16] = {
        {"file", 'f', CLI_TEXT, &s.file, "FILE",
         "An Application as YAML or JSON; \"-\" is standard input."},
        {"upsert", 0, CLI_FLAG, &s.upsert, NULL, "Replace an application of this name."},
        {"validate", 0, CLI_FLAG, &s.validate, NULL,
         "Check it against its project first (default true; --no-validate turns it off)."},
        {"set-finalizer", 0, CLI_FLAG, &s.set_finalizer, NULL,
         "Deleting the Application deletes what it deployed."},
        {"name", 0, CLI_TEXT, &s.name_option, "NAME", "The same as the word NAME."},
        CONNECTION_OPTIONS(&settings),
    };
    size_t count = 0;
    while (options[count].name) {
        count++;
    }
    app_spec_options(&s.spec, options + count);
    int words, code;
    if (!cli_parse(cli, options, count + APP_SPEC_OPTION_COUNT, argc, argv, &words, &code)) {
        app_spec_fini(&s.spec);
        return code;
    }
    struct err err = {0};
    struct connection c = {0};
    struct doc_value app;
    const char *what = "";
    s.word = words ? str_from(argv[0]) : STR("");
    bool ok =
        words <= 1 ? true : err_set(&err, ERR_USAGE, "takes one name, but got \"%s\" too", argv[1]);
    ok = ok && connection_open(&c, cli, &settings, &err) && create(&c, &s, &app, &what, &err);
    if (ok) {
        printf("application '%.*s' %s\n", STR_ARG(app_name_of(&app).name), what);
    }
    connection_close(&c);
    app_spec_fini(&s.spec);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_create = {
    .name = "create",
    .summary = "Make an application from options or from a file.",
    .usage = "NAME --repo URL --path DIR --dest-server URL | -f FILE",
    .about = "The same application again is fine; another one under the same name needs --upsert. "
             "Options are laid over\n"
             "the file.",
    .examples = "  skiff app create shop --repo https://git.example.com/shop.git --path deploy \\\n"
                "      --dest-server https://kubernetes.default.svc --dest-namespace shop \\\n"
                "      --sync-policy automated --auto-prune --self-heal\n"
                "  skiff app create -f app.yaml --upsert",
    .run = run_create,
};

// ---- set ----
static int run_set(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct app_spec spec;
    bool validate = true;
    app_spec_init(&spec);
    struct cli_option options[APP_SPEC_OPTION_COUNT + 13] = {
        {"validate", 0, CLI_FLAG, &validate, NULL,
         "Check it against its project first (default true; --no-validate turns it off)."},
        CONNECTION_OPTIONS(&settings),
    };
    size_t count = 0;
    while (options[count].name) {
        count++;
    }
    app_spec_options(&spec, options + count);
    int words, code;
    if (!cli_parse(cli, options, count + APP_SPEC_OPTION_COUNT, argc, argv, &words, &code)) {
        app_spec_fini(&spec);
        return code;
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_name name;
    struct doc_value app, changed, patched;
    const char *word;
    bool ok = app_one_word(words, argv, &word, &err) && connection_open(&c, cli, &settings, &err) &&
              app_name_parse(str_from(word), c.ns, &name, &err) &&
              app_fetch(&c, name, &app, &err) &&
              app_spec_apply(&spec, c.arena, &app, &changed, &err) &&
              (!validate || app_spec_check(&c, &changed, &err));
    struct doc_value patch = ok ? doc_merge_diff(c.arena, &app, &changed) : doc_null();
    if (ok && argc == 1) {
        ok = err_set(&err, ERR_USAGE, "nothing to change: --help lists the options");
    }
    ok = ok && (doc_len(&patch) == 0 || app_patch(&c, name, patch, &patched, &err));
    connection_close(&c);
    app_spec_fini(&spec);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_set = {
    .name = "set",
    .summary = "Change the spec of an application.",
    .usage = "NAME [--revision REV] [--sync-policy automated|manual] ...",
    .about = "What is not written stays as it is.",
    .examples =
        "  skiff app set shop --revision v1.2.0\n"
        "  skiff app set shop --sync-policy automated --auto-prune --self-heal\n"
        "  skiff app set shop --sync-option CreateNamespace=true --sync-option '!Prune=false'",
    .run = run_set,
};

// ---- delete ----
struct delete_settings {
    bool cascade, yes, wait;
    struct str policy;
    int64_t timeout;
};

static bool is_there(void *ctx, const struct doc_value *app) {
    (void)ctx;
    return app != NULL;
}

static bool delete_one(struct connection *c, struct app_name name, const struct delete_settings *s,
                       struct err *err) {
    struct doc_value app, patched, empty = doc_null(), answer;
    if (!app_fetch(c, name, &app, err)) {
        return false;
    }
    struct str finalizer = !s->cascade                            ? STR("")
                           : str_eq(s->policy, STR("background")) ? STR(APP_FINALIZER "/background")
                                                                  : STR(APP_FINALIZER);
    struct doc_value list = with_finalizer(c->arena, &app, finalizer);
    if (!doc_equal(&list, doc_get(&app, "metadata", "finalizers")) &&
        (doc_len(&list) || doc_len(doc_get(&app, "metadata", "finalizers")))) {
        struct doc_value patch = doc_with(c->arena, &empty, list, "metadata", "finalizers");
        if (!app_patch(c, name, patch, &patched, err)) {
            return false;
        }
    }
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = cli_applications,
                                   .ns = name.ns,
                                   .name = name.name,
                                   .precondition_uid = doc_get_str(&app, "metadata", "uid"),
                                   .grace_seconds = -1};
    if (!connection_send(c, &request, &answer, err)) {
        return false;
    }
    struct app_follow follow = {c, name, s->timeout * NS_PER_SECOND, is_there, NULL};
    return !s->wait || app_follow(&follow, err);
}

static bool confirm(const struct delete_settings *s, struct app_name name, struct arena *arena) {
    if (s->yes || !s->cascade || !out_is_terminal() || !isatty(STDIN_FILENO)) {
        return true;
    }
    return out_confirm(arena_printf(arena, "Delete application '%.*s' and everything it deployed?",
                                    STR_ARG(name.name))
                           .p);
}

static int run_delete(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct delete_settings s = {.cascade = true, .policy = STR("foreground")};
    struct app_choice choice = {{NULL, 0}, NULL};
    struct cli_option options[] = {
        {"cascade", 0, CLI_FLAG, &s.cascade, NULL,
         "Delete what it deployed too (default true; --cascade=false leaves it)."},
        {"propagation-policy", 'p', CLI_TEXT, &s.policy, "POLICY",
         "foreground or background, for what it deployed (default foreground)."},
        {"yes", 'y', CLI_FLAG, &s.yes, NULL, "Do not ask on the terminal."},
        {"wait", 0, CLI_FLAG, &s.wait, NULL, "Wait until it is gone."},
        {"timeout", 0, CLI_NUMBER, &s.timeout, "SECONDS",
         "Give up waiting after so long (default 0: never)."},
        {"selector", 'l', CLI_TEXT, &choice.selector, "SELECTOR",
         "All applications with these labels."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (!str_eq(s.policy, STR("foreground")) && !str_eq(s.policy, STR("background"))) {
        return cli_fail(cli, EXIT_USAGE, "--propagation-policy is foreground or background");
    }
    struct err err = {0};
    struct connection c = {0};
    struct app_names names = {{0}};
    bool ok = connection_open(&c, cli, &settings, &err) &&
              app_choose(&c, words, argv, &choice, &names, &err);
    for (size_t i = 0; ok && i < names.items.len; i++) {
        struct app_name name = names.items.items[i];
        if (!confirm(&s, name, cli->arena)) {
            printf("application '%.*s' was not deleted\n", STR_ARG(name.name));
            continue;
        }
        ok = delete_one(&c, name, &s, &err);
        if (ok) {
            printf("application '%.*s' deleted\n", STR_ARG(name.name));
        }
    }
    connection_close(&c);
    VEC_FREE(&names.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_app_delete = {
    .name = "delete",
    .summary = "Delete applications, with what they deployed or without.",
    .usage = "NAME... [--cascade=false] [-y] [--wait]",
    .about = "With --cascade (the default) the controller first deletes every object that carries "
             "the application's mark.\n"
             "On a terminal it asks first.",
    .examples = "  skiff app delete shop --wait\n"
                "  skiff app delete shop --cascade=false -y",
    .run = run_delete,
};
