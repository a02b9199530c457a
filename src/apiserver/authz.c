// SPDX-License-Identifier: Apache-2.0
// Whether a user may do what a request asks for.
#include "apiserver/authz.h"

bool authz_has_group(const struct api_user *user, struct str group) {
    for (size_t i = 0; i < user->group_count; i++) {
        if (str_eq(user->groups[i], group)) {
            return true;
        }
    }
    return false;
}

struct decision {
    struct arena *arena;
    const struct authz_question *question;
    struct str *reason;
    struct buf missing; // roles that bindings name and that are not there
    size_t missing_count;
};

static bool look(void *ctx, const struct authz_binding *binding,
                 const struct authz_subject *subject, const struct authz_role *role) {
    struct decision *decision = ctx;
    if (!role) {
        if (decision->reason) {
            bool cluster = str_eq(binding->role_kind, STR("ClusterRole"));
            buf_printf(&decision->missing, "%s%s.rbac.authorization.k8s.io \"%.*s\" not found",
                       decision->missing_count++ ? ", " : "", cluster ? "clusterrole" : "role",
                       STR_ARG(binding->role_name));
        }
        return false;
    }
    for (size_t i = 0; i < role->rules.count; i++) {
        if (!authz_rule_allows(&role->rules.items[i], decision->question)) {
            continue;
        }
        if (decision->reason) {
            bool account = str_eq(subject->kind, STR("ServiceAccount"));
            *decision->reason = arena_printf(
                decision->arena,
                "RBAC: allowed by %s \"%.*s%s%.*s\" of %.*s \"%.*s\" to %.*s \"%.*s%s%.*s\"",
                binding->ns.n ? "RoleBinding" : "ClusterRoleBinding", STR_ARG(binding->name),
                binding->ns.n ? "/" : "", STR_ARG(binding->ns), STR_ARG(binding->role_kind),
                STR_ARG(binding->role_name), STR_ARG(subject->kind), STR_ARG(subject->name),
                account ? "/" : "", STR_ARG(account ? subject->ns : STR("")));
        }
        return true;
    }
    return false;
}

bool authz_decide(struct apiserver *server, const struct api_user *user,
                  const struct authz_question *question, struct arena *arena, struct str *reason) {
    if (reason) {
        *reason = STR("");
    }
    if (!server->authz || authz_has_group(user, STR("system:masters"))) {
        return true;
    }
    struct decision decision = {.arena = arena, .question = question, .reason = reason};
    buf_init(&decision.missing, 4 * KIB);
    bool allowed = authz_walk(server->authz, user, question->ns, look, &decision);
    if (!allowed && decision.missing_count) {
        bool many = decision.missing_count > 1;
        *reason = arena_printf(arena, "RBAC: %s%.*s%s", many ? "[" : "",
                               STR_ARG(buf_str(&decision.missing)), many ? "]" : "");
    }
    buf_fini(&decision.missing);
    return allowed;
}

// ---- All that a user may do ----
struct collection {
    struct arena *arena;
    struct authz_rule *rules;
    size_t count, cap;
    struct str *missing;
    size_t missing_count;
};

static bool collect(void *ctx, const struct authz_binding *binding,
                    const struct authz_subject *subject, const struct authz_role *role) {
    (void)subject;
    struct collection *all = ctx;
    if (!role) {
        all->missing = arena_grow(all->arena, all->missing, all->missing_count * sizeof(struct str),
                                  (all->missing_count + 1) * sizeof(struct str));
        all->missing[all->missing_count++] =
            arena_printf(all->arena, "%s.rbac.authorization.k8s.io \"%.*s\" not found",
                         str_eq(binding->role_kind, STR("ClusterRole")) ? "clusterrole" : "role",
                         STR_ARG(binding->role_name));
        return false;
    }
    if (all->count + role->rules.count > all->cap) {
        size_t cap = (all->count + role->rules.count) * 2;
        all->rules = arena_grow(all->arena, all->rules, all->cap * sizeof(struct authz_rule),
                                cap * sizeof(struct authz_rule));
        all->cap = cap;
    }
    for (size_t i = 0; i < role->rules.count; i++) {
        all->rules[all->count++] = role->rules.items[i];
    }
    return false;
}

struct authz_rules authz_rules_of(struct apiserver *server, const struct api_user *user,
                                  struct str ns, struct arena *arena, struct str **missing_roles,
                                  size_t *missing_count) {
    struct collection all = {.arena = arena};
    if (server->authz) {
        authz_walk(server->authz, user, ns, collect, &all);
    }
    *missing_roles = all.missing;
    *missing_count = all.missing_count;
    return (struct authz_rules){all.rules, all.count};
}

struct str authz_unresolved(struct arena *arena, const struct str *missing, size_t count) {
    struct str out = count > 1 ? STR("[") : STR("");
    for (size_t i = 0; i < count; i++) {
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), i ? ", " : "", STR_ARG(missing[i]));
    }
    return count > 1 ? arena_concat(arena, out, STR("]")) : out;
}

// ---- Requests ----
// The name that a list or a watch asks for in its field selector.
static struct str selected_name(struct str fields, struct arena *arena) {
    struct selector *selector;
    struct str key, value;
    bool equal;
    if (fields.n && selector_parse_fields(fields, arena, &selector, NULL)) {
        for (size_t i = 0; selector_next_field(selector, &i, &key, &value, &equal);) {
            if (equal && str_eq(key, STR("metadata.name"))) {
                return value;
            }
        }
    }
    return (struct str){NULL, 0};
}

void authz_question_of(const struct api_request *request, struct arena *arena,
                       struct authz_question *out) {
    *out = (struct authz_question){
        .verb = str_from(api_verb_name(request->verb)),
        .group = request->gvr.group,
        .resource = request->gvr.resource,
        .subresource = request->subresource,
        .ns = request->ns,
        .name = request->name,
    };
    if (!out->ns.n && !out->group.n && str_eq(out->resource, STR("namespaces"))) {
        out->ns = request->name; // a namespace lies in itself
    }
    bool wide = request->verb == API_VERB_LIST || request->verb == API_VERB_WATCH;
    if (wide && !out->name.n) {
        out->name = selected_name(request->field_selector, arena);
    }
}

static bool forbid(struct arena *arena, const struct api_user *user, const struct authz_question *q,
                   struct str reason, struct api_error *error) {
    struct str slash = q->subresource.n ? STR("/") : STR("");
    struct str quote = q->name.n ? STR("\"") : STR("");
    struct doc_object details = doc_object_start(arena);
    api_error_set(error, arena, 403, "Forbidden",
                  "%.*s%s%.*s%s%.*s%.*s%.*s is forbidden: User \"%.*s\" cannot %.*s resource "
                  "\"%.*s%.*s%.*s\" "
                  "in API group \"%.*s\" %s%.*s%s%s%.*s",
                  STR_ARG(q->resource), q->group.n ? "." : "", STR_ARG(q->group),
                  q->name.n ? " " : "", STR_ARG(quote), STR_ARG(q->name), STR_ARG(quote),
                  STR_ARG(user->name), STR_ARG(q->verb), STR_ARG(q->resource), STR_ARG(slash),
                  STR_ARG(q->subresource), STR_ARG(q->group),
                  q->ns.n ? "in the namespace \"" : "at the cluster scope", STR_ARG(q->ns),
                  q->ns.n ? "\"" : "", reason.n ? ": " : "", STR_ARG(reason));
    if (q->name.n) {
        doc_object_set_c(&details, "name", doc_make_str(q->name));
    }
    if (q->group.n) {
        doc_object_set_c(&details, "group", doc_make_str(q->group));
    }
    doc_object_set_c(&details, "kind", doc_make_str(q->resource));
    error->details = doc_object_done(&details);
    return false;
}

static bool forbid_path(struct arena *arena, const struct api_user *user,
                        const struct authz_question *q, struct str reason,
                        struct api_error *error) {
    struct doc_object details = doc_object_start(arena);
    api_error_set(error, arena, 403, "Forbidden",
                  "forbidden: User \"%.*s\" cannot %.*s path \"%.*s\"%s%.*s", STR_ARG(user->name),
                  STR_ARG(q->verb), STR_ARG(q->path), reason.n ? ": " : "", STR_ARG(reason));
    error->details = doc_object_done(&details);
    return false;
}

bool authz_forbid(struct apiserver *server, const struct api_user *user,
                  const struct authz_question *question, struct arena *arena,
                  struct api_error *error) {
    struct str reason;
    authz_decide(server, user, question, arena, &reason);
    return question->is_path ? forbid_path(arena, user, question, reason, error)
                             : forbid(arena, user, question, reason, error);
}

bool api_authz_check(struct api_op *op) {
    if (!op->server->authz) {
        return true;
    }
    struct authz_question question;
    authz_question_of(&op->request, op->arena, &question);
    // The reason costs more than the answer: it is asked for only when there is something to say.
    return authz_decide(op->server, &op->user, &question, op->arena, NULL) ||
           authz_forbid(op->server, &op->user, &question, op->arena, &op->error);
}

bool api_authz_check_path(struct apiserver *server, const struct api_user *user, struct str verb,
                          struct str path, struct arena *arena, struct api_error *error) {
    struct authz_question question = {.is_path = true, .verb = verb, .path = path};
    return authz_decide(server, user, &question, arena, NULL) ||
           authz_forbid(server, user, &question, arena, error);
}
