// SPDX-License-Identifier: Apache-2.0
// `skiff kube get`: tables come from the server, documents are printed as Kubernetes tools print them.
#include <stdio.h>

#include "cli/kube.h"
#include "doc/jsonpath.h"
#include "http/query.h"

struct get {
    struct kube_session session;
    struct str output, selector, field_selector;
    bool all_namespaces, no_headers, managed_fields, ignore_not_found;
    struct arena *arena;
};

enum { PATH_BYTES = 64 * 1024 };

// ---- Tables ----
static void add_query(struct buf *path, char *sep, const char *name, struct str value) {
    if (value.n) {
        buf_add_char(path, *sep);
        *sep = '&';
        buf_add_c(path, name);
        buf_add_char(path, '=');
        url_encode(value, path);
    }
}

static struct str table_path(struct get *get, const struct kube_target *target) {
    AUTO_BUF struct buf path;
    buf_init(&path, PATH_BYTES);
    const struct kube_gvr *gvr = &target->resource->gvr;
    char sep = '?';
    buf_printf(&path, gvr->group.n ? "/apis/%.*s/%.*s" : "/api%.*s/%.*s", STR_ARG(gvr->group),
               STR_ARG(gvr->version));
    if (target->resource->namespaced && !get->all_namespaces) {
        buf_add_c(&path, "/namespaces/");
        url_encode(get->session.ns, &path);
    }
    buf_printf(&path, "/%.*s", STR_ARG(gvr->resource));
    if (target->name.n) {
        buf_add_char(&path, '/');
        url_encode(target->name, &path);
    } else {
        add_query(&path, &sep, "labelSelector", get->selector);
        add_query(&path, &sep, "fieldSelector", get->field_selector);
    }
    return path.overflow ? STR("") : arena_dup(get->arena, buf_str(&path));
}

static bool get_table(struct get *get, const struct kube_target *target, struct doc_value *out,
                      struct err *err) {
    struct kube_answer answer;
    struct connection *c = &get->session.connection;
    struct str path = table_path(get, target);
    return (path.n || err_set(err, ERR_LIMIT, "the selector is too long")) &&
           kube_get_raw_wait(c->loop, c->client, path,
                             STR("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
                             get->arena, &answer, err) &&
           doc_parse_json(answer.body, get->arena, out, err);
}

// The tables of one kind as one, so that their columns stand together: targets[from..*next) are of that kind.
static bool get_kind(struct get *get, const struct kube_targets *targets, size_t from, size_t *next,
                     struct doc_value *out, struct err *err) {
    const struct kube_resource *resource = targets->items.items[from].resource;
    struct doc_array rows = doc_array_start(get->arena);
    struct doc_value table, any = doc_null();
    size_t i = from;
    for (; i < targets->items.len && targets->items.items[i].resource == resource; i++) {
        if (!get_table(get, &targets->items.items[i], &table, err)) {
            if (!get->ignore_not_found || !err_is(err, ERR_NOT_FOUND)) {
                return false;
            }
            *err = (struct err){0};
            continue;
        }
        any = table;
        for (DOC_EACH_ITEM(doc_get(&table, "rows"), row)) {
            doc_array_add(&rows, *row);
        }
    }
    *next = i;
    *out = doc_with(get->arena, &any, doc_array_done(&rows), "rows");
    return true;
}

static bool print_tables(struct get *get, const struct kube_targets *targets, struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    bool several = false;
    size_t rows = 0;
    for (size_t i = 1; i < targets->items.len; i++) {
        several |= targets->items.items[i].resource != targets->items.items[0].resource;
    }
    for (size_t i = 0; i < targets->items.len;) {
        struct doc_value table;
        const struct kube_resource *resource = targets->items.items[i].resource;
        if (!get_kind(get, targets, i, &i, &table, err)) {
            return false;
        }
        if (doc_len(doc_get(&table, "rows")) == 0) {
            continue;
        }
        if (rows) {
            buf_add_char(&out, '\n');
        }
        rows += doc_len(doc_get(&table, "rows"));
        struct kube_table_style style = {.wide = str_eq(get->output, STR("wide")),
                                         .with_ns = get->all_namespaces && resource->namespaced,
                                         .no_head = get->no_headers};
        if (several) {
            style.prefix = arena_concat(get->arena, kube_kind_text(get->arena, resource), STR("/"));
        }
        kube_format_table(&table, &style, &out);
    }
    if (rows == 0 && !get->ignore_not_found) {
        fflush(stdout);
        fprintf(stderr,
                get->all_namespaces ? "No resources found\n"
                                    : "No resources found in %.*s namespace.\n",
                STR_ARG(get->session.ns));
    }
    return out_print(&out);
}

// ---- Documents ----
static struct doc_value without_managed_fields(struct get *get, const struct doc_value *object) {
    return get->managed_fields ? *object
                               : doc_without(get->arena, object, "metadata", "managedFields");
}

static bool collect(struct get *get, const struct kube_target *target, struct doc_array *out,
                    struct err *err) {
    struct connection *c = &get->session.connection;
    struct str ns =
        target->resource->namespaced && !get->all_namespaces ? get->session.ns : STR("");
    if (target->name.n) {
        struct doc_value object;
        if (!connection_get(c, target->resource->gvr, ns, target->name, &object, err)) {
            if (get->ignore_not_found && err_is(err, ERR_NOT_FOUND)) {
                *err = (struct err){0};
                return true;
            }
            return false;
        }
        doc_array_add(out, without_managed_fields(get, &object));
        return true;
    }
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = target->resource->gvr,
                                   .ns = ns,
                                   .label_selector = get->selector,
                                   .field_selector = get->field_selector,
                                   .grace_seconds = -1};
    struct doc_value *items;
    size_t count;
    if (!kube_list_wait(c->loop, c->client, &request, get->arena, &items, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        doc_array_add(out, without_managed_fields(get, &items[i]));
    }
    return true;
}

static struct doc_value list_of(struct arena *arena, struct doc_value items) {
    struct doc_object list = doc_object_start(arena), meta = doc_object_start(arena);
    doc_object_set_c(&meta, "resourceVersion", DOC_S(""));
    doc_object_set_c(&list, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&list, "items", items);
    doc_object_set_c(&list, "kind", DOC_S("List"));
    doc_object_set_c(&list, "metadata", doc_object_done(&meta));
    return doc_object_done(&list);
}

static bool print_names(struct get *get, const struct doc_value *items, struct buf *out,
                        struct err *err) {
    for (DOC_EACH_ITEM(items, item)) {
        const struct kube_resource *resource = kube_session_kind_of(&get->session, item, err);
        if (!resource) {
            return false;
        }
        buf_printf(out, "%.*s/%.*s\n", STR_ARG(kube_kind_text(get->arena, resource)),
                   STR_ARG(doc_get_str(item, "metadata", "name")));
    }
    return true;
}

static bool print_documents(struct get *get, const struct kube_targets *targets, struct err *err) {
    struct doc_array array = doc_array_start(get->arena);
    struct jsonpath *path = NULL;
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    if (str_starts(get->output, STR("jsonpath="))) {
        path = jsonpath_compile(str_skip(get->output, 9), false, get->arena, err);
        if (!path) {
            return err_wrap(err, "-o jsonpath");
        }
    }
    for (size_t i = 0; i < targets->items.len; i++) {
        if (!collect(get, &targets->items.items[i], &array, err)) {
            return false;
        }
    }
    struct doc_value items = doc_array_done(&array);
    bool single = targets->items.len == 1 && targets->items.items[0].name.n;
    if (single && doc_len(&items) == 0) {
        return true;
    }
    struct doc_value root = single ? *doc_at(&items, 0) : list_of(get->arena, items);
    bool ok = path                               ? jsonpath_print(path, &root, true, &out, err)
              : str_eq(get->output, STR("name")) ? print_names(get, &items, &out, err)
                                                 : out_document(&root, get->output, 4, &out);
    return ok && out_print(&out);
}

// ---- The command ----
static bool check_output(struct str output, struct err *err) {
    return output.n == 0 || out_is_document(output) || str_eq(output, STR("name")) ||
           str_eq(output, STR("wide")) || str_starts(output, STR("jsonpath=")) ||
           err_set(
               err, ERR_USAGE,
               "unknown output format \"%.*s\": it is wide, name, yaml, json or jsonpath=TEMPLATE",
               STR_ARG(output));
}

static int run(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct get get = {.arena = cli->arena};
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &get.output, "FORMAT",
         "wide, name, yaml, json or jsonpath=TEMPLATE."},
        {"selector", 'l', CLI_TEXT, &get.selector, "SELECTOR", "Only with these labels."},
        {"field-selector", 0, CLI_TEXT, &get.field_selector, "SELECTOR", "Only with these fields."},
        {"all-namespaces", 'A', CLI_FLAG, &get.all_namespaces, NULL, "Of all namespaces."},
        {"no-headers", 0, CLI_FLAG, &get.no_headers, NULL, "Tables without their head."},
        {"show-managed-fields", 0, CLI_FLAG, &get.managed_fields, NULL,
         "Keep metadata.managedFields."},
        {"ignore-not-found", 0, CLI_FLAG, &get.ignore_not_found, NULL,
         "What is missing is no error."},
        CLUSTER_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct kube_targets targets = {{0}};
    bool ok =
        check_output(get.output, &err) &&
        (words > 0 || err_set(&err, ERR_USAGE, "name a kind: pods, deployments.apps, app, ...")) &&
        kube_session_open(&get.session, cli, &settings, &err) &&
        kube_targets_parse(&get.session, words, argv, &targets, &err);
    if (ok && get.all_namespaces && targets.items.items[0].name.n &&
        targets.items.items[0].resource->namespaced) {
        ok = err_set(&err, ERR_USAGE, "one object stands in one namespace: -n instead of -A");
    }
    bool table = get.output.n == 0 || str_eq(get.output, STR("wide"));
    ok = ok && (table ? print_tables : print_documents)(&get, &targets, &err);
    kube_session_close(&get.session);
    VEC_FREE(&targets.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_kube_get = {
    .name = "get",
    .summary = "Objects as a table, YAML, JSON or by a JSONPath template.",
    .usage = "KIND [NAME...] | KIND/NAME... [-n NAMESPACE | -A] [-o FORMAT]",
    .about = "A kind is a plural, singular or short name (pods, pod, po), with its group where "
             "that is needed\n"
             "(deployments.apps). Several kinds are joined with commas.",
    .examples = "  skiff kube get deploy,svc -n shop\n"
                "  skiff kube get pods -A -l app=web -o wide\n"
                "  skiff kube get deploy web -n shop -o jsonpath='{.status.readyReplicas}'",
    .run = run,
};
