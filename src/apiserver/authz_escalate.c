// SPDX-License-Identifier: Apache-2.0
// Nobody gives away rights that he does not hold: roles may be written by whoever has all that they grant or the verb
// "escalate", bindings by whoever has all of the role or the verb "bind" on it.
#include "apiserver/authz.h"

static bool allowed(struct api_op *op, const char *verb, struct str resource, struct str ns,
                    struct str name) {
    struct authz_question question = {
        .verb = str_from(verb), .group = AUTHZ_GROUP, .resource = resource, .ns = ns, .name = name};
    return authz_decide(op->server, &op->user, &question, op->arena, NULL);
}

static int compare(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void add_groups(struct buf *out, const struct api_user *user) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < user->group_count; i++) {
        buf_add_c(out, i ? " \"" : "\"");
        buf_add_str(out, user->groups[i]);
        buf_add_char(out, '"');
    }
    buf_add_char(out, ']');
}

// A real server names the resource of the request where the role's belongs.
static void add_unresolved(struct buf *out, const struct api_op *op, const struct str *missing,
                           size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct str kind, rest;
        str_cut(missing[i], '.', &kind, &rest);
        buf_printf(out, "%s%.*s.%.*s", i ? ", " : "; resolution errors: [",
                   STR_ARG(op->request.gvr.resource), STR_ARG(rest));
    }
    if (count) {
        buf_add_char(out, ']');
    }
}

static bool refuse(struct api_op *op, struct str name, struct str message) {
    struct doc_object details = doc_object_start(op->arena);
    api_error_set(&op->error, op->arena, 403, "Forbidden",
                  "%.*s.rbac.authorization.k8s.io%s%.*s%s is forbidden: %.*s",
                  STR_ARG(op->request.gvr.resource), name.n ? " \"" : "", STR_ARG(name),
                  name.n ? "\"" : "", STR_ARG(message));
    if (name.n) {
        doc_object_set_c(&details, "name", doc_make_str(name));
    }
    doc_object_set_c(&details, "group", doc_make_str(AUTHZ_GROUP));
    doc_object_set_c(&details, "kind", doc_make_str(op->request.gvr.resource));
    op->error.details = doc_object_done(&details);
    return false;
}

static bool check_held(struct api_op *op, struct str name, const struct authz_rules *wanted) {
    struct str *unresolved;
    size_t unresolved_count;
    struct authz_rules held = authz_rules_of(op->server, &op->user, op->request.ns, op->arena,
                                             &unresolved, &unresolved_count);
    struct authz_rules missing;
    if (!authz_rules_missing(op->arena, &held, wanted, &missing)) {
        return refuse(op, name, STR("the rules are too many to compare with the rights you hold"));
    }
    if (missing.count == 0) {
        return true;
    }
    missing = authz_rules_compact(op->arena, &missing);
    struct str *lines = ARENA_ARRAY(op->arena, missing.count, struct str);
    for (size_t i = 0; i < missing.count; i++) {
        lines[i] = authz_rule_print(op->arena, &missing.items[i]);
    }
    qsort(lines, missing.count, sizeof *lines, compare);
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    buf_printf(&text, "user \"%.*s\" (groups=", STR_ARG(op->user.name));
    add_groups(&text, &op->user);
    buf_add_c(&text, ") is attempting to grant RBAC permissions not currently held:");
    for (size_t i = 0; i < missing.count; i++) {
        if (i == 0 || !str_eq(lines[i], lines[i - 1])) {
            buf_add_char(&text, '\n');
            buf_add_str(&text, lines[i]);
        }
    }
    add_unresolved(&text, op, unresolved, unresolved_count);
    return refuse(op, name, arena_dup(op->arena, buf_str(&text)));
}

static bool check_role(struct api_op *op, struct str name, const struct doc_value *old,
                       const struct doc_value *object) {
    const struct doc_value *rules = doc_get(object, "rules");
    const struct doc_value *aggregation = doc_get(object, "aggregationRule");
    bool same_rules = doc_equal(rules, doc_get(old, "rules"));
    bool same_aggregation = doc_equal(aggregation, doc_get(old, "aggregationRule"));
    if ((old && same_rules && same_aggregation) ||
        allowed(op, "escalate", op->request.gvr.resource, op->request.ns, op->request.name)) {
        return true;
    }
    struct authz_rules wanted = authz_rules_parse(op->arena, rules);
    if (!check_held(op, name, &wanted)) {
        return false;
    }
    if (!aggregation || doc_is_null(aggregation)) {
        return true;
    }
    // What others will add to it is not known: whoever makes such a role must hold everything.
    static const struct str star[] = {STR_INIT("*")};
    const struct authz_texts any = {star, 1};
    const struct authz_rule everything[] = {{.verbs = any, .groups = any, .resources = any},
                                            {.verbs = any, .paths = any}};
    wanted = (struct authz_rules){everything, ARRAY_LEN(everything)};
    return check_held(op, name, &wanted) ||
           refuse(op, name, STR("must have cluster-admin privileges to use an aggregationRule"));
}

static bool check_binding(struct api_op *op, struct str name, const struct doc_value *old,
                          const struct doc_value *object) {
    if (old && doc_equal(doc_get(old, "subjects"), doc_get(object, "subjects")) &&
        doc_equal(doc_get(old, "roleRef"), doc_get(object, "roleRef"))) {
        return true;
    }
    struct str kind = doc_get_str(object, "roleRef", "kind");
    struct str role_name = doc_get_str(object, "roleRef", "name");
    bool local = str_eq(kind, STR("Role"));
    struct str resource = local ? STR("roles") : STR("clusterroles");
    if (allowed(op, "bind", resource, op->request.ns, role_name)) {
        return true;
    }
    const struct authz_role *role =
        authz_role_find(op->server->authz, arena_printf(op->arena, "%.*s/%.*s",
                                                        STR_ARG(local ? op->request.ns : STR("")),
                                                        STR_ARG(role_name)));
    if (!role) {
        struct doc_object details = doc_object_start(op->arena);
        api_error_set(&op->error, op->arena, 404, "NotFound",
                      "%.*s.rbac.authorization.k8s.io \"%.*s\" not found",
                      STR_ARG(op->request.gvr.resource), STR_ARG(role_name));
        doc_object_set_c(&details, "name", doc_make_str(role_name));
        doc_object_set_c(&details, "group", doc_make_str(AUTHZ_GROUP));
        doc_object_set_c(&details, "kind", doc_make_str(op->request.gvr.resource));
        op->error.details = doc_object_done(&details);
        return false;
    }
    return check_held(op, name, &role->rules);
}

bool api_authz_write(struct api_op *op, const struct doc_value *old,
                     const struct doc_value *object) {
    if (!op->authorize || !op->server->authz) {
        return true;
    }
    if (!old && op->request.verb != API_VERB_CREATE) { // apply makes what is not there
        struct api_request request = op->request;
        op->request.verb = API_VERB_CREATE;
        bool ok = api_authz_check(op);
        op->request = request;
        if (!ok) {
            return false;
        }
    }
    if (!str_eq(op->request.gvr.group, AUTHZ_GROUP) ||
        authz_has_group(&op->user, STR("system:masters"))) {
        return true;
    }
    struct str name = doc_get_str(object, "metadata", "name");
    if (str_eq(op->request.gvr.resource, STR("roles")) ||
        str_eq(op->request.gvr.resource, STR("clusterroles"))) {
        return check_role(op, name, old, object);
    }
    return check_binding(op, name, old, object);
}
