// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"

#include "base/text.h"

bool app_name_parse(struct str word, struct str default_ns, struct app_name *out, struct err *err) {
    struct str before, after;
    struct app_name name = {default_ns, word};
    if (str_cut(word, '/', &before, &after)) {
        name = (struct app_name){before, after};
    }
    if (!name_is_dns_subdomain(name.name) || !name_is_dns_label(name.ns)) {
        return err_set(err, ERR_USAGE,
                       "\"%.*s\" does not name an application: write NAME or NAMESPACE/NAME",
                       STR_ARG(word));
    }
    *out = name;
    return true;
}

bool app_one_word(int argc, char **argv, const char **word, struct err *err) {
    if (argc != 1) {
        return err_set(err, ERR_USAGE,
                       argc ? "takes one application, but got \"%s\" too"
                            : "name an application; \"app list\" shows them%s",
                       argc ? argv[1] : "");
    }
    *word = argv[0];
    return true;
}

bool app_fetch(struct connection *connection, struct app_name name, struct doc_value *out,
               struct err *err) {
    if (connection_get(connection, cli_applications, name.ns, name.name, out, err)) {
        return true;
    }
    if (err_is(err, ERR_NOT_FOUND)) {
        return err_set(err, ERR_NOT_FOUND,
                       "there is no application \"%.*s\" in namespace \"%.*s\"; \"app list\" shows "
                       "those that are",
                       STR_ARG(name.name), STR_ARG(name.ns));
    }
    return false;
}

bool app_fetch_all(struct connection *connection, struct str selector, struct app_list *out,
                   struct err *err) {
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = cli_applications,
                                   .ns = connection->ns,
                                   .label_selector = selector,
                                   .grace_seconds = -1};
    return kube_list_wait(connection->loop, connection->client, &request, connection->arena,
                          &out->items, &out->count, err);
}

bool app_patch(struct connection *connection, struct app_name name, struct doc_value patch,
               struct doc_value *out, struct err *err) {
    struct kube_request request = {.verb = KUBE_PATCH,
                                   .patch = KUBE_PATCH_MERGE,
                                   .gvr = cli_applications,
                                   .ns = name.ns,
                                   .name = name.name,
                                   .body = doc_to_json(connection->arena, &patch),
                                   .field_manager = STR("skiff"),
                                   .grace_seconds = -1};
    return connection_send(connection, &request, out, err);
}

struct app_name app_name_of(const struct doc_value *app) {
    return (struct app_name){doc_get_str(app, "metadata", "namespace"),
                             doc_get_str(app, "metadata", "name")};
}

const struct doc_value *app_first_source(const struct doc_value *app) {
    const struct doc_value *sources = doc_get(app, "spec", "sources");
    return doc_len(sources) ? doc_at(sources, 0) : doc_get(app, "spec", "source");
}

bool app_is_automated(const struct doc_value *app) {
    const struct doc_value *automated = doc_get(app, "spec", "syncPolicy", "automated");
    return doc_is(automated, DOC_OBJECT) && doc_bool(doc_get(automated, "enabled"), true);
}

static bool in_projects(const struct doc_value *app, const struct cli_list *projects) {
    struct str project = doc_get_str(app, "spec", "project");
    for (size_t i = 0; projects && i < projects->items.len; i++) {
        if (str_eq(projects->items.items[i], project)) {
            return true;
        }
    }
    return !projects || projects->items.len == 0;
}

bool app_choose(struct connection *connection, int argc, char **argv,
                const struct app_choice *choice, struct app_names *out, struct err *err) {
    bool by_query = choice->selector.n || (choice->projects && choice->projects->items.len);
    if (argc == 0 && !by_query) {
        return err_set(err, ERR_USAGE, "name applications, or choose them with --selector%s",
                       choice->projects ? " or --project" : "");
    }
    if (argc > 0 && by_query) {
        return err_set(err, ERR_USAGE, "takes either names or a selection, not both");
    }
    for (int i = 0; i < argc; i++) {
        struct app_name name;
        if (!app_name_parse(str_from(argv[i]), connection->ns, &name, err)) {
            return false;
        }
        VEC_PUSH(&out->items, name);
    }
    struct app_list apps = {NULL, 0};
    if (by_query && !app_fetch_all(connection, choice->selector, &apps, err)) {
        return false;
    }
    for (size_t i = 0; i < apps.count; i++) {
        if (in_projects(&apps.items[i], choice->projects)) {
            VEC_PUSH(&out->items, app_name_of(&apps.items[i]));
        }
    }
    return out->items.len > 0 ||
           err_set(err, ERR_NOT_FOUND,
                   "no application matches the selection; \"app list\" shows all");
}

// ---- Picks ----
static bool pick_parse(struct str word, struct app_pick *out, struct err *err) {
    struct str rest = word, place, ns, name;
    struct app_pick pick = {.exclude = str_starts(word, STR("!"))};
    rest = pick.exclude ? str_skip(rest, 1) : rest;
    if (!str_cut(rest, ':', &pick.group, &rest) || !str_cut(rest, ':', &pick.kind, &place) ||
        str_find_char(place, ':') != STR_NPOS) {
        return err_set(err, ERR_USAGE,
                       "a resource is written GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME (no "
                       "group: :KIND:NAME), "
                       "not \"%.*s\"",
                       STR_ARG(word));
    }
    pick.name = place;
    if (str_cut(place, '/', &ns, &name)) {
        pick.ns = ns;
        pick.name = name;
        if (str_find_char(name, '/') != STR_NPOS) {
            return err_set(err, ERR_USAGE, "\"%.*s\" has more than one \"/\"", STR_ARG(word));
        }
    }
    *out = pick;
    return true;
}

bool app_picks_parse(const struct cli_list *words, struct arena *arena, struct app_picks *out,
                     struct err *err) {
    struct app_picks picks = {ARENA_ARRAY(arena, words->items.len, struct app_pick), 0};
    for (size_t i = 0; i < words->items.len; i++) {
        if (!pick_parse(words->items.items[i], &picks.items[picks.count++], err)) {
            return false;
        }
    }
    *out = picks;
    return true;
}

static bool fits(struct str pattern, struct str text) {
    return str_eq(pattern, text) || glob_match(pattern, text, 0, NULL);
}

static bool pick_fits(const struct app_pick *pick, struct str group, struct str kind, struct str ns,
                      struct str name) {
    return fits(pick->group, group) && fits(pick->kind, kind) && fits(pick->name, name) &&
           (pick->ns.n == 0 || fits(pick->ns, ns));
}

// Left out by any "!", and named by one of the others if there are some.
bool app_picks_match(const struct app_picks *picks, struct str group, struct str kind,
                     struct str ns, struct str name) {
    bool any_include = false, included = false;
    for (size_t i = 0; i < picks->count; i++) {
        bool fit = pick_fits(&picks->items[i], group, kind, ns, name);
        if (picks->items[i].exclude && fit) {
            return false;
        }
        any_include |= !picks->items[i].exclude;
        included |= !picks->items[i].exclude && fit;
    }
    return included || !any_include;
}
