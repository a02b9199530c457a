// SPDX-License-Identifier: Apache-2.0
// The roles and bindings that every cluster has: made at the first start, and completed at later ones unless the
// annotation rbac.authorization.kubernetes.io/autoupdate says otherwise. And the rules of ClusterRoles that are made of
// others ("admin", "edit", "view"), which follow the labels of those.
#include "apiserver/authz.h"
#include "apiserver/authz_internal.h"

#include "base/log.h"

#define AGGREGATE_LABEL "rbac.authorization.k8s.io/aggregate-to-"
#define UPDATE_ANNOTATION "rbac.authorization.kubernetes.io/autoupdate"

static void forget(struct api_op *op) {
    if (op->error.status && op->error.status != 409 && !op->cancelled) {
        LOG(LOG_WARN, "apiserver", "a default role could not be written", "error",
            op->error.message.p);
    }
    api_op_destroy(op);
}

static struct api_op *start_op(struct apiserver *server, enum api_verb verb, const char *plural,
                               struct str ns, struct str name) {
    struct api_op *op = api_op_create(server, forget);
    op->request.verb = verb;
    op->request.gvr =
        (struct kube_gvr){.group = AUTHZ_GROUP, .version = STR("v1"), .resource = str_from(plural)};
    op->request.ns = arena_dup(op->arena, ns);
    op->request.name = verb == API_VERB_CREATE ? STR("") : arena_dup(op->arena, name);
    return op;
}

// ---- Data to objects ----
static void set_words(struct doc_object *out, const char *name, struct str words) {
    if (words.n) {
        struct doc_array list = doc_array_start(out->arena);
        struct str word;
        while (str_next(&words, ' ', &word)) {
            doc_array_add(&list, doc_make_str(str_eq(word, STR("-")) ? STR("") : word));
        }
        doc_object_set_c(out, name, doc_array_done(&list));
    }
}

static struct doc_value rules_of(struct arena *arena, struct str text) {
    static const char *const fields[] = {"apiGroups", "resources", "resourceNames",
                                         "nonResourceURLs"};
    struct doc_array rules = doc_array_start(arena);
    struct str rule;
    while (str_next(&text, ';', &rule)) {
        struct doc_object out = doc_object_start(arena);
        struct str part, verbs;
        str_cut(rule, '|', &verbs, &rule);
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
            str_cut(rule, '|', &part, &rule);
            set_words(&out, fields[i], part);
        }
        set_words(&out, "verbs", verbs);
        doc_array_add(&rules, doc_object_done(&out));
    }
    return doc_array_done(&rules);
}

static struct doc_value metadata_of(struct arena *arena, const char *name, const char *part_of) {
    struct doc_object labels = doc_object_start(arena), notes = doc_object_start(arena);
    doc_object_set_c(&labels, "kubernetes.io/bootstrapping", DOC_S("rbac-defaults"));
    if (part_of[0]) {
        struct str label = arena_printf(arena, AGGREGATE_LABEL "%s", part_of);
        doc_object_set(&labels, label, DOC_S("true"));
    }
    doc_object_set_c(&notes, UPDATE_ANNOTATION, DOC_S("true"));
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "name", doc_make_str(str_from(name)));
    doc_object_set_c(&out, "annotations", doc_object_done(&notes));
    doc_object_set_c(&out, "labels", doc_object_done(&labels));
    return doc_object_done(&out);
}

static struct doc_value selectors_of(struct arena *arena, const char *made_of) {
    struct doc_object match = doc_object_start(arena), selector = doc_object_start(arena);
    doc_object_set(&match, arena_printf(arena, AGGREGATE_LABEL "%s", made_of), DOC_S("true"));
    doc_object_set_c(&selector, "matchLabels", doc_object_done(&match));
    struct doc_array list = doc_array_start(arena);
    doc_array_add(&list, doc_object_done(&selector));
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "clusterRoleSelectors", doc_array_done(&list));
    return doc_object_done(&out);
}

static struct doc_value role_value(struct arena *arena, const struct authz_default_role *role) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "metadata", metadata_of(arena, role->name, role->part_of));
    if (role->made_of[0]) {
        doc_object_set_c(&out, "aggregationRule", selectors_of(arena, role->made_of));
    }
    doc_object_set_c(&out, "rules", rules_of(arena, str_from(role->rules)));
    return doc_object_done(&out);
}

static struct doc_value subjects_of(struct arena *arena, struct str words) {
    struct doc_array list = doc_array_start(arena);
    struct str word;
    while (str_next(&words, ' ', &word)) {
        struct doc_object out = doc_object_start(arena);
        struct str name = str_skip(word, 1);
        if (word.p[0] == 'S') {
            struct str ns;
            str_cut(name, ':', &ns, &name);
            doc_object_set_c(&out, "kind", DOC_S("ServiceAccount"));
            doc_object_set_c(&out, "name", doc_make_str(name));
            doc_object_set_c(&out, "namespace", doc_make_str(ns));
        } else {
            doc_object_set_c(&out, "apiGroup", doc_make_str(AUTHZ_GROUP));
            doc_object_set_c(&out, "kind", word.p[0] == 'G' ? DOC_S("Group") : DOC_S("User"));
            doc_object_set_c(&out, "name", doc_make_str(name));
        }
        doc_array_add(&list, doc_object_done(&out));
    }
    return doc_array_done(&list);
}

static struct doc_value binding_value(struct arena *arena,
                                      const struct authz_default_binding *binding) {
    struct doc_object out = doc_object_start(arena), ref = doc_object_start(arena);
    doc_object_set_c(&ref, "apiGroup", doc_make_str(AUTHZ_GROUP));
    doc_object_set_c(&ref, "kind", doc_make_str(str_from(binding->role_kind)));
    doc_object_set_c(&ref, "name", doc_make_str(str_from(binding->role)));
    doc_object_set_c(&out, "metadata", metadata_of(arena, binding->name, ""));
    doc_object_set_c(&out, "roleRef", doc_object_done(&ref));
    if (binding->subjects[0]) {
        doc_object_set_c(&out, "subjects", subjects_of(arena, str_from(binding->subjects)));
    }
    return doc_object_done(&out);
}

// ---- Start ----
static void create(struct apiserver *server, const char *plural, const char *ns,
                   const struct doc_value *object) {
    struct api_op *op = start_op(server, API_VERB_CREATE, plural, str_from(ns), STR(""));
    op->request.field_manager = STR("kube-apiserver");
    op->request.body = doc_to_json(op->arena, object);
    api_op_run(op);
}

// Takes a new member of `list` into the object that is there.
static void complete(struct apiserver *server, const char *plural, struct api_entry *entry,
                     const char *list, const struct doc_value *wanted) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value object;
    struct blob *text = api_entry_durable(entry, NULL);
    bool parsed = text && doc_parse_json_copy(blob_str(text), arena, &object, NULL);
    blob_unref(text);
    if (!parsed ||
        !str_eq(doc_get_str(&object, "metadata", "annotations", UPDATE_ANNOTATION), STR("true"))) {
        return;
    }
    const struct doc_value *has = doc_get(&object, list);
    struct doc_array all = doc_array_start(arena);
    for (DOC_EACH_ITEM(has, item)) {
        doc_array_add(&all, *item);
    }
    size_t before = all.len;
    for (DOC_EACH_ITEM(doc_get(wanted, list), item)) {
        bool there = false;
        for (DOC_EACH_ITEM(has, other)) {
            there = there || doc_equal(item, other);
        }
        if (!there) {
            doc_array_add(&all, *item);
        }
    }
    if (all.len == before) {
        return;
    }
    struct api_op *op =
        start_op(server, API_VERB_PATCH, plural, api_entry_ns(entry), api_entry_name(entry));
    struct doc_object patch = doc_object_start(op->arena);
    doc_object_set_c(&patch, list, doc_array_done(&all));
    struct doc_value value = doc_object_done(&patch);
    op->request.patch = KUBE_PATCH_MERGE;
    op->request.field_manager = STR("kube-apiserver");
    op->request.body = doc_to_json(op->arena, &value);
    api_op_run(op);
}

static void ensure(struct apiserver *server, const char *plural, const char *ns, const char *name,
                   const char *list, const struct doc_value *object) {
    struct api_entry *entry = api_entry_find(
        api_collection_get(server, AUTHZ_GROUP, str_from(plural)), str_from(ns), str_from(name));
    if (!entry || entry->deleted) {
        create(server, plural, ns, object);
    } else {
        complete(server, plural, entry, list, object);
    }
}

void api_authz_defaults(struct apiserver *server) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < authz_default_role_count; i++) {
        const struct authz_default_role *role = &authz_default_roles[i];
        struct doc_value value = role_value(arena, role);
        ensure(server, role->ns[0] ? "roles" : "clusterroles", role->ns, role->name, "rules",
               &value);
    }
    for (size_t i = 0; i < authz_default_binding_count; i++) {
        const struct authz_default_binding *binding = &authz_default_bindings[i];
        struct doc_value value = binding_value(arena, binding);
        ensure(server, binding->ns[0] ? "rolebindings" : "clusterrolebindings", binding->ns,
               binding->name, "subjects", &value);
    }
}

// ---- Aggregation ----
struct cluster_role {
    struct str name;
    struct doc_value object;
};
struct cluster_roles {
    struct cluster_role *items;
    size_t count;
};

static struct cluster_roles read_cluster_roles(struct apiserver *server, struct arena *arena) {
    struct api_collection *all = api_collection_get(server, AUTHZ_GROUP, STR("clusterroles"));
    struct cluster_roles out = {ARENA_ARRAY(arena, all->count + 1, struct cluster_role), 0};
    struct api_cursor cursor = api_cursor_at(all, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = api_entry_durable(entry, NULL);
        struct cluster_role *role = &out.items[out.count];
        // Roles that neither have labels nor are made of others have no part in this.
        bool concerned = text && (str_has(blob_str(text), STR("\"labels\":{")) ||
                                  str_has(blob_str(text), STR("\"aggregationRule\":{")));
        if (concerned && doc_parse_json_copy(blob_str(text), arena, &role->object, NULL)) {
            role->name = arena_dup(arena, api_entry_name(entry));
            out.count++;
        }
        blob_unref(text);
    }
    return out;
}

static bool get_label(void *ctx, struct str key, struct str *value) {
    const struct doc_value *label = doc_find(ctx, key);
    *value = doc_str(label);
    return label != NULL;
}

// matchLabels and matchExpressions in the text form of a selector.
static bool selector_of(const struct doc_value *from, struct arena *arena,
                        struct selector **selector) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    const struct doc_value *labels = doc_get(from, "matchLabels");
    for (DOC_EACH_MEMBER(labels, i)) {
        buf_printf(&text, "%s%.*s=%.*s", text.len ? "," : "", STR_ARG(doc_key_at(labels, i)),
                   STR_ARG(doc_str(doc_value_at(labels, i))));
    }
    for (DOC_EACH_ITEM(doc_get(from, "matchExpressions"), item)) {
        struct str key = doc_get_str(item, "key");
        struct str operation = doc_get_str(item, "operator");
        bool in = str_eq(operation, STR("In"));
        if (in || str_eq(operation, STR("NotIn"))) {
            buf_printf(&text, "%s%.*s %s (", text.len ? "," : "", STR_ARG(key),
                       in ? "in" : "notin");
            const struct doc_value *values = doc_get(item, "values");
            for (size_t i = 0; i < doc_len(values); i++) {
                buf_printf(&text, "%s%.*s", i ? "," : "", STR_ARG(doc_str(doc_at(values, i))));
            }
            buf_add_char(&text, ')');
        } else {
            bool exists = str_eq(operation, STR("Exists"));
            buf_printf(&text, "%s%s%.*s", text.len ? "," : "", exists ? "" : "!", STR_ARG(key));
        }
    }
    return !text.overflow &&
           selector_parse_labels(arena_dup(arena, buf_str(&text)), arena, selector, NULL);
}

static void add_rules(struct doc_array *out, const struct doc_value *rules) {
    for (DOC_EACH_ITEM(rules, rule)) {
        bool there = false;
        for (uint32_t i = 0; i < out->len && !there; i++) {
            there = doc_equal(&out->items[i], rule);
        }
        if (!there) {
            doc_array_add(out, *rule);
        }
    }
}

static struct doc_value aggregated_rules(struct arena *arena, const struct cluster_roles *roles,
                                         const struct cluster_role *role) {
    struct doc_array rules = doc_array_start(arena);
    const struct doc_value *list =
        doc_get(&role->object, "aggregationRule", "clusterRoleSelectors");
    for (DOC_EACH_ITEM(list, item)) {
        struct selector *selector;
        if (!selector_of(item, arena, &selector)) {
            continue;
        }
        for (size_t i = 0; i < roles->count; i++) {
            const struct cluster_role *other = &roles->items[i];
            const struct doc_value *labels = doc_get(&other->object, "metadata", "labels");
            if (!str_eq(other->name, role->name) &&
                selector_matches(selector, get_label, (void *)(uintptr_t)labels)) {
                add_rules(&rules, doc_get(&other->object, "rules"));
            }
        }
    }
    return doc_array_done(&rules);
}

void api_authz_aggregate(struct apiserver *server) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct cluster_roles roles = read_cluster_roles(server, arena);
    for (size_t i = 0; i < roles.count; i++) {
        const struct cluster_role *role = &roles.items[i];
        if (!doc_get(&role->object, "aggregationRule")) {
            continue;
        }
        struct doc_value rules = aggregated_rules(arena, &roles, role);
        const struct doc_value *has = doc_get(&role->object, "rules");
        if (doc_equal(&rules, has) || (!doc_len(has) && !doc_len(&rules))) {
            continue;
        }
        struct api_op *op = start_op(server, API_VERB_PATCH, "clusterroles", STR(""), role->name);
        struct doc_object patch = doc_object_start(op->arena);
        doc_object_set_c(&patch, "apiVersion", DOC_S("rbac.authorization.k8s.io/v1"));
        doc_object_set_c(&patch, "kind", DOC_S("ClusterRole"));
        doc_object_set_c(&patch, "rules", rules);
        struct doc_value value = doc_object_done(&patch);
        op->request.patch = KUBE_PATCH_MERGE;
        op->request.field_manager = STR("clusterrole-aggregation-controller");
        op->request.body = doc_to_json(op->arena, &value);
        api_op_run(op);
    }
}
