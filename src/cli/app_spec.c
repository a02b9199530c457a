// SPDX-License-Identifier: Apache-2.0
// The options that describe an Application, shared by create and set. What is not written stays as it is.
#include "cli/app.h"

#include "app/app.h"
#include "app/project.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "vcs/vcs.h"

void app_spec_init(struct app_spec *spec) {
    *spec = (struct app_spec){.retry_factor = 2};
}

void app_spec_fini(struct app_spec *spec) {
    VEC_FREE(&spec->sync_options.items);
    VEC_FREE(&spec->labels.items);
    VEC_FREE(&spec->annotations.items);
}

void app_spec_options(struct app_spec *s, struct cli_option *options) {
    const struct cli_option table[] = {
        {"project", 0, CLI_TEXT, &s->project, "NAME", "Its AppProject (default \"default\")."},
        {"repo", 0, CLI_TEXT, &s->repo, "URL", "The Git repository."},
        {"path", 0, CLI_TEXT, &s->path, "DIR", "Folder of the manifests in the repository."},
        {"revision", 0, CLI_TEXT, &s->revision, "REV",
         "Branch, tag, commit or version range (default HEAD)."},
        {"dest-server", 0, CLI_TEXT, &s->dest_server, "URL", "API of the destination cluster."},
        {"dest-name", 0, CLI_TEXT, &s->dest_name, "NAME",
         "Name of the destination cluster, instead of its URL."},
        {"dest-namespace", 0, CLI_TEXT, &s->dest_namespace, "NAME",
         "Namespace for objects that name none."},
        {"sync-policy", 0, CLI_TEXT, &s->sync_policy, "POLICY",
         "automated (auto, automatic) or manual (none)."},
        {"auto-prune", 0, CLI_FLAG, &s->auto_prune, NULL,
         "Automated sync deletes what Git no longer has.", &s->auto_prune_given},
        {"self-heal", 0, CLI_FLAG, &s->self_heal, NULL,
         "Automated sync undoes changes in the cluster.", &s->self_heal_given},
        {"allow-empty", 0, CLI_FLAG, &s->allow_empty, NULL, "Automated sync may delete everything.",
         &s->allow_empty_given},
        {"sync-option", 0, CLI_LIST, &s->sync_options, "NAME=VALUE",
         "Add a sync option, or take it out with \"!\" in front; may be repeated."},
        {"directory-recurse", 0, CLI_FLAG, &s->directory_recurse, NULL,
         "Take the folders below too.", &s->directory_recurse_given},
        {"directory-include", 0, CLI_TEXT, &s->directory_include, "GLOB", "Only these files."},
        {"directory-exclude", 0, CLI_TEXT, &s->directory_exclude, "GLOB", "Not these files."},
        {"revision-history-limit", 0, CLI_NUMBER, &s->history_limit, "N",
         "Deployments to remember (default 10).", &s->history_limit_given},
        {"sync-retry-limit", 0, CLI_NUMBER, &s->retry_limit, "N",
         "Retries of a failed sync; negative: no end.", &s->retry_limit_given},
        {"sync-retry-backoff-duration", 0, CLI_TEXT, &s->retry_duration, "DURATION",
         "First pause (default 5s)."},
        {"sync-retry-backoff-factor", 0, CLI_NUMBER, &s->retry_factor, "N",
         "Growth of the pause (default 2)."},
        {"sync-retry-backoff-max-duration", 0, CLI_TEXT, &s->retry_max_duration, "DURATION",
         "Longest pause (default 3m)."},
        {"label", 'l', CLI_LIST, &s->labels, "KEY=VALUE",
         "Label of the Application; may be repeated."},
        {"annotations", 0, CLI_LIST, &s->annotations, "KEY=VALUE",
         "Annotation of the Application; may be repeated."},
    };
    _Static_assert(ARRAY_LEN(table) == APP_SPEC_OPTION_COUNT, "the header says how many");
    memcpy(options, table, sizeof table);
}

// ---- Apply ----
struct applying {
    const struct app_spec *spec;
    struct arena *arena;
    struct doc_value app;
};

#define PUT(a, value, ...) ((a)->app = doc_with((a)->arena, &(a)->app, (value), __VA_ARGS__))
#define PUT_TEXT(a, text, ...)                         \
    do {                                               \
        if ((text).n) {                                \
            PUT((a), doc_make_str(text), __VA_ARGS__); \
        }                                              \
    } while (0)

static void apply_source(struct applying *a) {
    const struct app_spec *s = a->spec;
    PUT_TEXT(a, s->repo, "spec", "source", "repoURL");
    PUT_TEXT(a, s->path, "spec", "source", "path");
    PUT_TEXT(a, s->revision, "spec", "source", "targetRevision");
    if (s->directory_recurse_given) {
        PUT(a, doc_make_bool(s->directory_recurse), "spec", "source", "directory", "recurse");
    }
    PUT_TEXT(a, s->directory_include, "spec", "source", "directory", "include");
    PUT_TEXT(a, s->directory_exclude, "spec", "source", "directory", "exclude");
}

// A cluster is named by its URL or by its name; writing one takes the other out.
static void apply_destination(struct applying *a) {
    const struct app_spec *s = a->spec;
    if (s->dest_server.n) {
        a->app = doc_without(a->arena, &a->app, "spec", "destination", "name");
        PUT(a, doc_make_str(s->dest_server), "spec", "destination", "server");
    }
    if (s->dest_name.n) {
        a->app = doc_without(a->arena, &a->app, "spec", "destination", "server");
        PUT(a, doc_make_str(s->dest_name), "spec", "destination", "name");
    }
    PUT_TEXT(a, s->dest_namespace, "spec", "destination", "namespace");
}

static bool is_one_of(struct str text, const char *const *words) {
    for (; *words; words++) {
        if (str_eq_c(text, *words)) {
            return true;
        }
    }
    return false;
}

static bool apply_policy(struct applying *a, struct err *err) {
    const struct app_spec *s = a->spec;
    static const char *const on[] = {"automated", "automatic", "auto", NULL};
    static const char *const off[] = {"manual", "none", NULL};
    if (s->sync_policy.n && is_one_of(s->sync_policy, off)) {
        a->app = doc_without(a->arena, &a->app, "spec", "syncPolicy", "automated");
    } else if (s->sync_policy.n && is_one_of(s->sync_policy, on)) {
        if (!doc_is(doc_get(&a->app, "spec", "syncPolicy", "automated"), DOC_OBJECT)) {
            struct doc_object empty = doc_object_start(a->arena);
            PUT(a, doc_object_done(&empty), "spec", "syncPolicy", "automated");
        }
        a->app = doc_without(a->arena, &a->app, "spec", "syncPolicy", "automated", "enabled");
    } else if (s->sync_policy.n) {
        return err_set(err, ERR_USAGE, "--sync-policy is automated or manual, not \"%.*s\"",
                       STR_ARG(s->sync_policy));
    }
    const struct {
        bool given, value;
        const char *option, *field;
    } flags[] = {{s->auto_prune_given, s->auto_prune, "auto-prune", "prune"},
                 {s->self_heal_given, s->self_heal, "self-heal", "selfHeal"},
                 {s->allow_empty_given, s->allow_empty, "allow-empty", "allowEmpty"}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (!flags[i].given) {
            continue;
        }
        if (!doc_is(doc_get(&a->app, "spec", "syncPolicy", "automated"), DOC_OBJECT)) {
            return err_set(err, ERR_USAGE,
                           "--%s goes with automated sync: add --sync-policy automated",
                           flags[i].option);
        }
        PUT(a, doc_make_bool(flags[i].value), "spec", "syncPolicy", "automated", flags[i].field);
    }
    return true;
}

static void apply_sync_option(struct applying *a, struct str word) {
    bool removes = str_starts(word, STR("!"));
    word = removes ? str_skip(word, 1) : word;
    struct doc_array list = doc_array_start(a->arena);
    for (DOC_EACH_ITEM(doc_get(&a->app, "spec", "syncPolicy", "syncOptions"), item)) {
        if (!str_eq(doc_str(item), word)) {
            doc_array_add(&list, *item);
        }
    }
    if (!removes) {
        doc_array_add(&list, doc_make_str(word));
    }
    if (list.len) {
        PUT(a, doc_array_done(&list), "spec", "syncPolicy", "syncOptions");
    } else {
        a->app = doc_without(a->arena, &a->app, "spec", "syncPolicy", "syncOptions");
    }
}

static bool apply_retry(struct applying *a, struct err *err) {
    const struct app_spec *s = a->spec;
    int64_t ns;
    if (!s->retry_limit_given) {
        return true;
    }
    PUT(a, doc_make_int(s->retry_limit), "spec", "syncPolicy", "retry", "limit");
    if ((s->retry_duration.n && !duration_parse(s->retry_duration, &ns, err)) ||
        (s->retry_max_duration.n && !duration_parse(s->retry_max_duration, &ns, err))) {
        return err_wrap(err, "--sync-retry-backoff-duration");
    }
    PUT(a, doc_make_int(s->retry_factor), "spec", "syncPolicy", "retry", "backoff", "factor");
    PUT(a, doc_make_str(s->retry_duration.n ? s->retry_duration : STR("5s")), "spec", "syncPolicy",
        "retry", "backoff", "duration");
    PUT(a, doc_make_str(s->retry_max_duration.n ? s->retry_max_duration : STR("3m0s")), "spec",
        "syncPolicy", "retry", "backoff", "maxDuration");
    return true;
}

static bool apply_pairs(struct applying *a, const struct cli_list *pairs, const char *option,
                        const char *field, struct err *err) {
    for (size_t i = 0; i < pairs->items.len; i++) {
        struct str key, value;
        if (!str_cut(pairs->items.items[i], '=', &key, &value) || !name_is_label_key(key)) {
            return err_set(err, ERR_USAGE, "--%s is written KEY=VALUE, not \"%.*s\"", option,
                           STR_ARG(pairs->items.items[i]));
        }
        PUT(a, doc_make_str(value), "metadata", field, arena_cstr(a->arena, key));
    }
    return true;
}

bool app_spec_apply(const struct app_spec *spec, struct arena *arena, const struct doc_value *app,
                    struct doc_value *out, struct err *err) {
    struct applying a = {spec, arena, *app};
    PUT_TEXT(&a, spec->project, "spec", "project");
    apply_source(&a);
    apply_destination(&a);
    if (!apply_policy(&a, err) || !apply_retry(&a, err) ||
        !apply_pairs(&a, &spec->labels, "label", "labels", err) ||
        !apply_pairs(&a, &spec->annotations, "annotations", "annotations", err)) {
        return false;
    }
    for (size_t i = 0; i < spec->sync_options.items.len; i++) {
        apply_sync_option(&a, spec->sync_options.items.items[i]);
    }
    if (spec->history_limit_given) {
        PUT(&a, doc_make_int(spec->history_limit), "spec", "revisionHistoryLimit");
    }
    *out = a.app;
    return true;
}

// ---- Check ----
static bool check_fields(const struct doc_value *app, struct err *err) {
    const struct doc_value *source = app_first_source(app),
                           *to = doc_get(app, "spec", "destination");
    struct str url = doc_get_str(source, "repoURL");
    struct str revision = doc_get_str(source, "targetRevision");
    if (doc_len(doc_get(app, "spec", "sources")) > 1) {
        return err_set(err, ERR_USAGE,
                       "spec.sources: applications with several sources are not supported");
    }
    if (url.n == 0) {
        return err_set(err, ERR_USAGE, "spec.source.repoURL is missing: give --repo URL");
    }
    if (doc_get_str(source, "path").n == 0 && doc_get_str(source, "chart").n == 0) {
        return err_set(
            err, ERR_USAGE,
            "spec.source.path is missing: give --path DIR (\".\" for the whole repository)");
    }
    if (doc_get_str(to, "server").n && doc_get_str(to, "name").n) {
        return err_set(err, ERR_USAGE,
                       "the destination has both a server and a name: give one of them");
    }
    if (!doc_get_str(to, "server").n && !doc_get_str(to, "name").n) {
        return err_set(err, ERR_USAGE,
                       "spec.destination is missing: give --dest-server " APP_HOME_SERVER
                       " (the cluster of the Applications) or --dest-name NAME");
    }
    return vcs_check_url(url, err) && (revision.n == 0 || vcs_check_revision(revision, err));
}

bool app_spec_check(struct connection *c, const struct doc_value *app, struct err *err) {
    struct str name = doc_get_str(app, "spec", "project");
    const struct doc_value *to = doc_get(app, "spec", "destination");
    struct str url = doc_get_str(app_first_source(app), "repoURL");
    struct doc_value project;
    name = name.n ? name : STR("default");
    if (!check_fields(app, err)) {
        return false;
    }
    if (!connection_get(c, cli_projects, c->ns, name, &project, err)) {
        return err_is(err, ERR_NOT_FOUND) ? err_set(err, ERR_INVALID,
                                                    "there is no project \"%.*s\" in namespace "
                                                    "\"%.*s\"; \"proj list\" shows them",
                                                    STR_ARG(name), STR_ARG(c->ns))
                                          : false;
    }
    if (!project_permits_source(&project, url)) {
        return err_set(err, ERR_INVALID,
                       "project \"%.*s\" does not permit the repository %.*s (spec.sourceRepos)",
                       STR_ARG(name), STR_ARG(vcs_scrub_url(url, c->arena)));
    }
    struct str server = doc_get_str(to, "server"), cluster = doc_get_str(to, "name");
    if (str_eq(cluster, STR(APP_HOME_NAME))) {
        server = STR(APP_HOME_SERVER);
    } else if (str_eq(server, STR(APP_HOME_SERVER))) {
        cluster = STR(APP_HOME_NAME);
    }
    if (!project_permits_destination(&project, server, cluster, doc_get_str(to, "namespace"))) {
        return err_set(err, ERR_INVALID,
                       "project \"%.*s\" does not permit the destination %.*s, namespace \"%.*s\" "
                       "(spec.destinations)",
                       STR_ARG(name), STR_ARG(server.n ? server : cluster),
                       STR_ARG(doc_get_str(to, "namespace")));
    }
    return true;
}
