// SPDX-License-Identifier: Apache-2.0
// An Application as text: the tables and fields that people and scripts know from Argo CD's command line. Pure.
#include "cli/app.h"

#include <inttypes.h>

#include "base/text.h"
#include "base/timefmt.h"

enum { SHORT_REVISION = 7 };

static void field(struct buf *out, const char *label, struct str value) {
    buf_printf(out, "%-20s%.*s\n", label, STR_ARG(value));
}

static struct str qualified(const struct doc_value *app, struct arena *arena) {
    struct app_name name = app_name_of(app);
    return name.ns.n ? arena_printf(arena, "%.*s/%.*s", STR_ARG(name.ns), STR_ARG(name.name))
                     : name.name;
}

static struct str project_of(const struct doc_value *app) {
    struct str project = doc_get_str(app, "spec", "project");
    return project.n ? project : STR("default");
}

static struct str server_of(const struct doc_value *app) {
    struct str server = doc_get_str(app, "spec", "destination", "server");
    return server.n ? server : doc_get_str(app, "spec", "destination", "name");
}

static bool prunes(const struct doc_value *app) {
    return doc_bool(doc_get(app, "spec", "syncPolicy", "automated", "prune"), false);
}

// ---- app list ----
struct count {
    struct str type;
    unsigned times;
};

static int by_type(const void *a, const void *b) {
    return str_cmp(((const struct count *)a)->type, ((const struct count *)b)->type);
}

static void conditions_summary(const struct doc_value *app, struct arena *arena, struct buf *out) {
    const struct doc_value *conditions = doc_get(app, "status", "conditions");
    struct count *counts = ARENA_ARRAY(arena, doc_len(conditions), struct count);
    size_t count = 0;
    for (DOC_EACH_ITEM(conditions, condition)) {
        struct str type = doc_get_str(condition, "type");
        size_t i = 0;
        while (i < count && !str_eq(counts[i].type, type)) {
            i++;
        }
        if (i == count) {
            counts[count++].type = type;
        }
        counts[i].times++;
    }
    if (count == 0) {
        buf_add_c(out, "<none>");
        return;
    }
    qsort(counts, count, sizeof *counts, by_type);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%.*s", i ? "," : "", STR_ARG(counts[i].type));
        if (counts[i].times > 1) {
            buf_printf(out, "(%u)", counts[i].times);
        }
    }
}

static void list_row(const struct doc_value *app, bool wide, struct arena *arena, struct buf *out) {
    const char *policy = !app_is_automated(app) ? "Manual" : prunes(app) ? "Auto-Prune" : "Auto";
    buf_printf(out, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%s\t", STR_ARG(qualified(app, arena)),
               STR_ARG(server_of(app)),
               STR_ARG(doc_get_str(app, "spec", "destination", "namespace")),
               STR_ARG(project_of(app)), STR_ARG(doc_get_str(app, "status", "sync", "status")),
               STR_ARG(doc_get_str(app, "status", "health", "status")), policy);
    conditions_summary(app, arena, out);
    if (wide) {
        const struct doc_value *source = app_first_source(app);
        buf_printf(out, "\t%.*s\t%.*s\t%.*s", STR_ARG(doc_get_str(source, "repoURL")),
                   STR_ARG(doc_get_str(source, "path")),
                   STR_ARG(doc_get_str(source, "targetRevision")));
    }
    buf_add_char(out, '\n');
}

void app_format_list(const struct app_list *apps, struct str output, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    bool wide = str_eq(output, STR("wide"));
    buf_add_c(&text, "NAME\tCLUSTER\tNAMESPACE\tPROJECT\tSTATUS\tHEALTH\tSYNCPOLICY\tCONDITIONS");
    buf_add_c(&text, wide ? "\tREPO\tPATH\tTARGET\n" : "\n");
    for (size_t i = 0; i < apps->count; i++) {
        list_row(&apps->items[i], wide, arena, &text);
    }
    out_columns(buf_str(&text), 0, 2, out);
}

void app_format_names(const struct app_list *apps, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < apps->count; i++) {
        buf_add_str(out, qualified(&apps->items[i], arena));
        buf_add_char(out, '\n');
    }
}

// ---- app get ----
static void join(const struct doc_value *list, struct arena *arena, struct str *out) {
    *out = STR("");
    for (DOC_EACH_ITEM(list, item)) {
        *out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(*out), out->n ? "," : "",
                            STR_ARG(doc_str(item)));
    }
}

static void source_fields(const struct doc_value *source, struct arena *arena, struct buf *out) {
    struct str values;
    field(out, "- Repo:", doc_get_str(source, "repoURL"));
    field(out, "  Target:", doc_get_str(source, "targetRevision"));
    if (doc_get_str(source, "path").n) {
        field(out, "  Path:", doc_get_str(source, "path"));
    }
    if (doc_get_str(source, "ref").n) {
        field(out, "  Ref:", doc_get_str(source, "ref"));
    }
    join(doc_get(source, "helm", "valueFiles"), arena, &values);
    if (values.n) {
        field(out, "  Helm Values:", values);
    }
    if (doc_get_str(source, "kustomize", "namePrefix").n) {
        field(out, "  Name Prefix:", doc_get_str(source, "kustomize", "namePrefix"));
    }
}

static bool is_commit(struct str revision) {
    for (size_t i = 0; i < revision.n; i++) {
        char c = revision.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return revision.n == 40 || revision.n == 64 || revision.n == SHORT_REVISION;
}

static struct str sync_text(const struct doc_value *app, struct arena *arena) {
    struct str status = doc_get_str(app, "status", "sync", "status");
    struct str target = doc_get_str(app_first_source(app), "targetRevision");
    struct str revision = doc_get_str(app, "status", "sync", "revision");
    struct str text = status;
    if (str_eq(status, STR("Synced"))) {
        text = arena_printf(arena, "Synced to %.*s", STR_ARG(target));
    } else if (str_eq(status, STR("OutOfSync"))) {
        text = arena_printf(arena, "OutOfSync from %.*s", STR_ARG(target));
    }
    if (!is_commit(target) && revision.n > SHORT_REVISION) {
        text = arena_printf(arena, "%.*s (%.*s)", STR_ARG(text),
                            STR_ARG(out_short(revision, SHORT_REVISION)));
    }
    return text;
}

void app_format_summary(const struct doc_value *app, struct str url, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const struct doc_value *sources = doc_get(app, "spec", "sources");
    field(out, "Name:", qualified(app, arena));
    field(out, "Project:", project_of(app));
    field(out, "Server:", server_of(app));
    field(out, "Namespace:", doc_get_str(app, "spec", "destination", "namespace"));
    field(out, "URL:", url);
    buf_add_c(out, doc_len(sources) ? "Sources:\n" : "Source:\n");
    for (DOC_EACH_ITEM(sources, source)) {
        source_fields(source, arena, out);
    }
    if (!doc_len(sources)) {
        source_fields(doc_get(app, "spec", "source"), arena, out);
    }
    field(out, "SyncWindow:", STR("Sync Allowed"));
    field(out, "Sync Policy:",
          !app_is_automated(app) ? STR("Manual")
          : prunes(app)          ? STR("Automated (Prune)")
                                 : STR("Automated"));
    field(out, "Sync Status:", sync_text(app, arena));
    field(out, "Health Status:", doc_get_str(app, "status", "health", "status"));
}

void app_format_conditions(const struct doc_value *app, struct buf *out) {
    const struct doc_value *conditions = doc_get(app, "status", "conditions");
    if (doc_len(conditions) == 0) {
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    buf_add_c(&text, "CONDITION\tMESSAGE\tLAST TRANSITION\n");
    for (DOC_EACH_ITEM(conditions, condition)) {
        buf_printf(&text, "%.*s\t%.*s\t%.*s\n", STR_ARG(doc_get_str(condition, "type")),
                   STR_ARG(out_clean(arena, doc_get_str(condition, "message"), false)),
                   STR_ARG(out_time(arena, doc_get_str(condition, "lastTransitionTime"))));
    }
    out_columns(buf_str(&text), 0, 2, out);
}

void app_format_operation(const struct doc_value *app, int64_t now_ns, struct buf *out) {
    const struct doc_value *state = doc_get(app, "status", "operationState");
    if (!doc_is(state, DOC_OBJECT)) {
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    if (doc_is(doc_get(state, "syncResult"), DOC_OBJECT)) {
        field(out, "Operation:", STR("Sync"));
        field(out, "Sync Revision:", doc_get_str(state, "syncResult", "revision"));
    }
    field(out, "Phase:", doc_get_str(state, "phase"));
    field(out, "Start:", out_time(arena, doc_get_str(state, "startedAt")));
    field(out, "Finished:", out_time(arena, doc_get_str(state, "finishedAt")));
    int64_t started = now_ns, finished = now_ns;
    time_parse(doc_get_str(state, "startedAt"), &started);
    time_parse(doc_get_str(state, "finishedAt"), &finished);
    int64_t seconds = finished / NS_PER_SECOND - started / NS_PER_SECOND;
    field(out, "Duration:", duration_format(arena, seconds * NS_PER_SECOND));
    struct str message = doc_get_str(state, "message");
    if (message.n) {
        field(out, "Message:", out_clean(arena, message, true));
    }
}

// ---- Resources ----
static bool same_resource(const struct doc_value *a, const struct doc_value *b) {
    static const char *const keys[] = {"group", "kind", "namespace", "name"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!str_eq(doc_get_str(a, keys[i]), doc_get_str(b, keys[i]))) {
            return false;
        }
    }
    return true;
}

static struct app_state state_of(const struct doc_value *resource) {
    return (struct app_state){.group = doc_get_str(resource, "group"),
                              .kind = doc_get_str(resource, "kind"),
                              .ns = doc_get_str(resource, "namespace"),
                              .name = doc_get_str(resource, "name"),
                              .status = doc_get_str(resource, "status"),
                              .health = doc_get_str(resource, "health", "status")};
}

static int by_place(const void *a, const void *b) {
    const struct app_state *left = a, *right = b;
    int order = str_cmp(left->group, right->group);
    order = order ? order : str_cmp(left->kind, right->kind);
    order = order ? order : str_cmp(left->ns, right->ns);
    return order ? order : str_cmp(left->name, right->name);
}

// Results of the last operation first, in its order, then what it did not touch.
struct app_state *app_states(const struct doc_value *app, const struct app_picks *picks,
                             struct arena *arena, size_t *count) {
    const struct doc_value *results =
        doc_get(app, "status", "operationState", "syncResult", "resources");
    const struct doc_value *resources = doc_get(app, "status", "resources");
    struct app_state *states =
        ARENA_ARRAY(arena, doc_len(results) + doc_len(resources), struct app_state);
    bool *taken = ARENA_ARRAY(arena, doc_len(resources), bool);
    size_t n = 0;
    for (DOC_EACH_ITEM(results, result)) {
        struct app_state state = state_of(result);
        state.hook = doc_get_str(result, "hookType");
        state.message = out_clean(arena, doc_get_str(result, "message"), false);
        state.status = doc_get_str(result, "hookPhase");
        state.health = doc_get_str(result, "status");
        for (size_t i = 0; i < doc_len(resources); i++) {
            const struct doc_value *resource = doc_at(resources, i);
            if (!taken[i] && same_resource(result, resource)) {
                taken[i] = true;
                if (state.hook.n == 0) {
                    state.status = doc_get_str(resource, "status");
                    state.health = doc_get_str(resource, "health", "status");
                }
                break;
            }
        }
        states[n++] = state;
    }
    size_t first = n;
    for (size_t i = 0; i < doc_len(resources); i++) {
        if (!taken[i]) {
            states[n++] = state_of(doc_at(resources, i));
        }
    }
    if (n > first) {
        qsort(states + first, n - first, sizeof *states, by_place);
    }
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!picks ||
            app_picks_match(picks, states[i].group, states[i].kind, states[i].ns, states[i].name)) {
            states[(*count)++] = states[i];
        }
    }
    return states;
}

void app_format_resources(const struct doc_value *app, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text;
    size_t count;
    struct app_state *states = app_states(app, NULL, arena, &count);
    buf_init(&text, OUT_MAX);
    buf_add_c(&text, "GROUP\tKIND\tNAMESPACE\tNAME\tSTATUS\tHEALTH\tHOOK\tMESSAGE\n");
    for (size_t i = 0; i < count; i++) {
        const struct app_state *s = &states[i];
        buf_printf(&text, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n", STR_ARG(s->group),
                   STR_ARG(s->kind), STR_ARG(s->ns), STR_ARG(s->name), STR_ARG(s->status),
                   STR_ARG(s->health), STR_ARG(s->hook), STR_ARG(s->message));
    }
    out_columns(buf_str(&text), 0, 2, out);
}

// ---- Lines while waiting ----
static void padded(struct buf *out, struct str text, size_t width, char end) {
    size_t have = out_width(text);
    buf_add_repeat(out, ' ', width > have ? width - have : 0);
    buf_add_str(out, text);
    buf_add_char(out, end);
}

void app_format_event(const struct app_state *state, struct str time, struct buf *out) {
    padded(out, time, 0, '\t');
    padded(out, state->group, 5, '\t');
    padded(out, state->kind, 10, '\t');
    padded(out, state->ns, 10, '\t');
    padded(out, state->name, 20, '\t');
    padded(out, state->status, 8, '\t');
    padded(out, state->health, 7, '\t');
    padded(out, state->hook, 10, '\t');
    padded(out, state->message, 0, '\n');
}

void app_format_events_head(struct buf *out) {
    struct app_state head = {STR("GROUP"),  STR("KIND"),   STR("NAMESPACE"), STR("NAME"),
                             STR("STATUS"), STR("HEALTH"), STR("HOOK"),      STR("MESSAGE")};
    app_format_event(&head, STR("TIMESTAMP"), out);
}

// ---- app history ----
static bool seen_before(const struct doc_value *history, size_t end, struct str url) {
    for (size_t i = 0; i < end; i++) {
        if (str_eq(doc_get_str(doc_at(history, i), "source", "repoURL"), url)) {
            return true;
        }
    }
    return false;
}

static void history_row(const struct doc_value *entry, struct arena *arena, struct buf *out) {
    struct str target = doc_get_str(entry, "source", "targetRevision");
    struct str revision = doc_get_str(entry, "revision");
    buf_printf(out, "%" PRId64 "\t%.*s\t%.*s", doc_int(doc_get(entry, "id"), 0),
               STR_ARG(out_time(arena, doc_get_str(entry, "deployedAt"))), STR_ARG(target));
    if (revision.n >= SHORT_REVISION) {
        buf_printf(out, " (%.*s)", STR_ARG(out_short(revision, SHORT_REVISION)));
    }
    buf_add_char(out, '\n');
}

void app_format_history(const struct doc_value *app, struct buf *out) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const struct doc_value *history = doc_get(app, "status", "history");
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    for (size_t i = 0; i < doc_len(history); i++) {
        struct str url = doc_get_str(doc_at(history, i), "source", "repoURL");
        if (seen_before(history, i, url)) {
            continue;
        }
        buf_printf(&text, "%sSOURCE\t%.*s\nID\tDATE\tREVISION\n", i ? "\n" : "", STR_ARG(url));
        for (DOC_EACH_ITEM(history, entry)) {
            if (str_eq(doc_get_str(entry, "source", "repoURL"), url)) {
                history_row(entry, arena, &text);
            }
        }
    }
    out_columns(buf_str(&text), 0, 2, out);
}

void app_format_history_ids(const struct doc_value *app, struct buf *out) {
    for (DOC_EACH_ITEM(doc_get(app, "status", "history"), entry)) {
        buf_printf(out, "%" PRId64 "\n", doc_int(doc_get(entry, "id"), 0));
    }
}
