// SPDX-License-Identifier: Apache-2.0
// The resources of an application with what they own, by ownerReferences. One list of each kind that controllers of
// Kubernetes make, in the namespaces of the application; nothing else is read.
#include "cli/app.h"

#include "base/map.h"
#include "base/timefmt.h"
#include "health/health.h"

static const struct {
    const char *group, *version, *resource;
} owned_kinds[] = {
    {"apps", "v1", "replicasets"},
    {"apps", "v1", "controllerrevisions"},
    {"", "v1", "pods"},
    {"batch", "v1", "jobs"},
    {"discovery.k8s.io", "v1", "endpointslices"},
    {"", "v1", "endpoints"},
    {"", "v1", "persistentvolumeclaims"},
};

struct node {
    struct doc_value object;
    const struct app_state *state; // NULL for what the application does not name
    struct str group, kind, ns, name, uid;
    bool is_missing;
};

struct tree {
    struct connection *connection;
    const struct doc_value *app;
    VEC(struct node) nodes;
    bool detailed;
    struct buf *out;
};

static bool is_known(const struct tree *tree, struct str uid) {
    for (size_t i = 0; i < tree->nodes.len; i++) {
        if (str_eq(tree->nodes.items[i].uid, uid)) {
            return true;
        }
    }
    return false;
}

static bool list_kind(struct tree *tree, size_t kind, struct str ns, struct err *err) {
    struct connection *c = tree->connection;
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = {str_from(owned_kinds[kind].group),
                                           str_from(owned_kinds[kind].version),
                                           str_from(owned_kinds[kind].resource)},
                                   .ns = ns,
                                   .grace_seconds = -1};
    struct doc_value *items;
    size_t count;
    if (!kube_list_wait(c->loop, c->client, &request, c->arena, &items, &count, err)) {
        return err_is(err, ERR_NOT_FOUND) || err_is(err, ERR_FORBIDDEN);
    }
    for (size_t i = 0; i < count; i++) {
        if (doc_len(doc_get(&items[i], "metadata", "ownerReferences")) &&
            !is_known(tree, doc_get_str(&items[i], "metadata", "uid"))) {
            struct str group, version;
            kube_split_api_version(doc_get_str(&items[i], "apiVersion"), &group, &version);
            struct node node = {.object = items[i],
                                .group = group,
                                .kind = doc_get_str(&items[i], "kind"),
                                .ns = doc_get_str(&items[i], "metadata", "namespace"),
                                .name = doc_get_str(&items[i], "metadata", "name"),
                                .uid = doc_get_str(&items[i], "metadata", "uid")};
            VEC_PUSH(&tree->nodes, node);
        }
    }
    return true;
}

static bool add_roots(struct tree *tree, struct map *namespaces, struct kube_mapper *mapper,
                      struct err *err) {
    struct connection *c = tree->connection;
    size_t count;
    struct app_state *states = app_states(tree->app, NULL, c->arena, &count);
    for (size_t i = 0; i < count; i++) {
        struct node node = {.state = &states[i],
                            .group = states[i].group,
                            .kind = states[i].kind,
                            .ns = states[i].ns,
                            .name = states[i].name};
        const struct kube_resource *resource =
            kube_mapper_find_kind(mapper, (struct kube_gvk){node.group, STR(""), node.kind});
        if (states[i].hook.n) {
            continue;
        }
        if (node.ns.n) {
            map_put(namespaces, node.ns, tree);
        }
        struct err failure = {0};
        node.is_missing = !resource || !connection_get(c, resource->gvr, node.ns, node.name,
                                                       &node.object, &failure);
        if (resource && node.is_missing && !err_is(&failure, ERR_NOT_FOUND)) {
            *err = failure;
            return false;
        }
        node.uid = node.is_missing ? STR("") : doc_get_str(&node.object, "metadata", "uid");
        VEC_PUSH(&tree->nodes, node);
    }
    return true;
}

static bool is_child(const struct node *node, struct str uid) {
    for (DOC_EACH_ITEM(doc_get(&node->object, "metadata", "ownerReferences"), owner)) {
        if (str_eq(doc_get_str(owner, "uid"), uid)) {
            return uid.n > 0;
        }
    }
    return false;
}

static void print_node(struct tree *tree, const struct node *node, struct str prefix) {
    struct arena *arena = tree->connection->arena;
    struct health health = {0};
    struct str status = STR(""), message = STR(""), code = STR(""), age = STR("<unknown>");
    if (!node->is_missing) {
        health = health_assess(&node->object, arena);
        code = health.has ? str_from(health_code_name(health.code)) : STR("");
        int64_t created;
        if (time_parse(doc_get_str(&node->object, "metadata", "creationTimestamp"), &created)) {
            age = duration_human(arena, loop_wall(tree->connection->loop) - created);
        }
    }
    if (node->state) {
        status = node->state->status;
        code = node->state->health;
        message = node->state->message;
    }
    buf_printf(tree->out, "%.*s%.*s/%.*s\t%.*s\t%.*s", STR_ARG(prefix), STR_ARG(node->kind),
               STR_ARG(node->name), STR_ARG(status), STR_ARG(code));
    if (tree->detailed) {
        buf_printf(tree->out, "\t%.*s\t%.*s\t%.*s\n", STR_ARG(age), STR_ARG(message),
                   STR_ARG(out_clean(arena, health.message, false)));
    } else {
        buf_printf(tree->out, "\t%.*s\n", STR_ARG(message));
    }
}

enum { MAX_DEPTH = 16 };

static void print_children(struct tree *tree, struct str uid, struct str indent, unsigned depth) {
    struct arena *arena = tree->connection->arena;
    size_t left = 0;
    for (size_t i = 0; i < tree->nodes.len; i++) {
        left += is_child(&tree->nodes.items[i], uid);
    }
    for (size_t i = 0; depth < MAX_DEPTH && i < tree->nodes.len; i++) {
        const struct node *node = &tree->nodes.items[i];
        if (!is_child(node, uid)) {
            continue;
        }
        left--;
        print_node(tree, node, arena_printf(arena, "%.*s%s", STR_ARG(indent), left ? "├─" : "└─"));
        print_children(tree, node->uid,
                       arena_printf(arena, "%.*s%s", STR_ARG(indent), left ? "│ " : "  "),
                       depth + 1);
    }
}

// An application's own resource that another of its resources owns stands below that.
static bool has_parent(const struct tree *tree, const struct node *node) {
    for (size_t i = 0; i < tree->nodes.len; i++) {
        if (tree->nodes.items[i].state && is_child(node, tree->nodes.items[i].uid)) {
            return true;
        }
    }
    return false;
}

static bool collect(struct tree *tree, struct kube_mapper *mapper, struct err *err) {
    AUTO(map_destroy) struct map *namespaces = map_create();
    if (!kube_mapper_refresh_wait(tree->connection->loop, mapper, err) ||
        !add_roots(tree, namespaces, mapper, err)) {
        return false;
    }
    struct str ns;
    void *value;
    for (size_t i = 0; map_next(namespaces, &i, &ns, &value);) {
        for (size_t k = 0; k < ARRAY_LEN(owned_kinds); k++) {
            if (!list_kind(tree, k, ns, err)) {
                return false;
            }
        }
    }
    return true;
}

bool app_tree_print(struct connection *connection, const struct doc_value *app, bool detailed,
                    struct buf *out, struct err *err) {
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    struct tree tree = {.connection = connection, .app = app, .detailed = detailed, .out = &text};
    struct kube_mapper *mapper = kube_mapper_create(connection->client);
    bool ok = collect(&tree, mapper, err);
    buf_add_c(&text, detailed ? "KIND/NAME\tSTATUS\tHEALTH\tAGE\tMESSAGE\tREASON\n"
                              : "KIND/NAME\tSTATUS\tHEALTH\tMESSAGE\n");
    for (size_t i = 0; ok && i < tree.nodes.len; i++) {
        const struct node *node = &tree.nodes.items[i];
        if (node->state && !has_parent(&tree, node)) {
            print_node(&tree, node, STR(""));
            print_children(&tree, node->uid, STR(""), 0);
        }
    }
    if (ok && tree.nodes.len) {
        buf_add_char(out, '\n');
        out_columns(buf_str(&text), 0, 2, out);
    }
    kube_mapper_destroy(mapper);
    VEC_FREE(&tree.nodes);
    return ok;
}
