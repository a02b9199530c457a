// SPDX-License-Identifier: Apache-2.0
// Role-based authorization (RBAC): who may do what. `authz_rules.c` is pure: what rules allow and cover. `authz_cache.c`
// keeps the roles and bindings of the index in compiled form and follows commits. `authz.c` decides.
#ifndef SKIFF_APISERVER_AUTHZ_H
#define SKIFF_APISERVER_AUTHZ_H

#include "apiserver/core.h"

#define AUTHZ_GROUP STR("rbac.authorization.k8s.io")

// ---- Rules (authz_rules.c) ----
struct authz_texts {
    const struct str *items;
    size_t count;
};
struct authz_rule {
    struct authz_texts verbs, groups, resources, names, paths;
};
struct authz_rules {
    const struct authz_rule *items;
    size_t count;
};
struct authz_question { // one request as rules see it
    bool is_path;       // `path` and `verb` alone count
    struct str verb, group, resource, subresource, ns, name, path;
};
// From a list of PolicyRules; what is not as it should be counts as absent. Texts are copied.
struct authz_rules authz_rules_parse(struct arena *arena, const struct doc_value *rules);
bool authz_rule_allows(const struct authz_rule *rule, const struct authz_question *question);
// What of `wanted` the rights `held` do not give, one verb on one resource each. False when the answer would be too long.
bool authz_rules_missing(struct arena *arena, const struct authz_rules *held,
                         const struct authz_rules *wanted, struct authz_rules *missing);
// Rules of one resource made one.
struct authz_rules authz_rules_compact(struct arena *arena, const struct authz_rules *rules);
// {APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}
struct str authz_rule_print(struct arena *arena, const struct authz_rule *rule);
struct doc_value authz_rules_value(struct arena *arena, const struct authz_rules *rules);

// ---- Roles and bindings (authz_cache.c) ----
struct authz_role {
    struct arena *arena;
    struct authz_rules rules;
};
struct authz_subject {
    struct str kind, name, ns;
};
struct authz_binding {
    struct arena *arena;
    struct str ns, name;             // ns empty: a ClusterRoleBinding
    struct str role_kind, role_name; // "Role" or "ClusterRole"
    struct str role_key;             // "ns/name", "/name"
    struct authz_subject *subjects;
    size_t subject_count;
    uint64_t seen; // by the walk of this number
};
struct api_authz;
struct api_authz *api_authz_create(struct apiserver *server); // reads the index
void api_authz_destroy(struct api_authz *authz);
// Called with every durable change of a role or a binding.
void api_authz_committed(struct apiserver *server, const struct api_event *event);
const struct authz_role *authz_role_find(const struct api_authz *authz, struct str key);
// Calls `fn` for each binding that names the user or one of its groups, those of the cluster first, then those of `ns`;
// `role` is NULL when it does not exist. Until `fn` returns true, which is the result.
typedef bool authz_visit(void *ctx, const struct authz_binding *binding,
                         const struct authz_subject *subject, const struct authz_role *role);
bool authz_walk(struct api_authz *authz, const struct api_user *user, struct str ns,
                authz_visit *visit, void *ctx);

// ---- Decisions (authz.c) ----
// `reason` (may be NULL) says which binding allowed it, or what was amiss; from `arena`.
bool authz_decide(struct apiserver *server, const struct api_user *user,
                  const struct authz_question *question, struct arena *arena, struct str *reason);
// Makes the 403 of what was decided against; returns false.
bool authz_forbid(struct apiserver *server, const struct api_user *user,
                  const struct authz_question *question, struct arena *arena,
                  struct api_error *error);
// All rules of a user in a namespace; `missing_roles` says what bindings name in vain.
struct authz_rules authz_rules_of(struct apiserver *server, const struct api_user *user,
                                  struct str ns, struct arena *arena, struct str **missing_roles,
                                  size_t *missing_count);
struct str authz_unresolved(struct arena *arena, const struct str *missing, size_t count);
bool authz_has_group(const struct api_user *user, struct str group);
void authz_question_of(const struct api_request *request, struct arena *arena,
                       struct authz_question *out);
// 403 for a path that is not a resource's.
bool api_authz_check_path(struct apiserver *server, const struct api_user *user, struct str verb,
                          struct str path, struct arena *arena, struct api_error *error);
// ---- Default roles (authz_default.c), and ClusterRoles made of others ----
void api_authz_defaults(struct apiserver *server);  // creates and completes them
void api_authz_aggregate(struct apiserver *server); // fills the rules of aggregating roles

#endif
