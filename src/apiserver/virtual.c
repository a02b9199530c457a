// SPDX-License-Identifier: Apache-2.0
// Reviews: questions that are answered and not kept. What somebody may do, who somebody is, whose token this is.
#include "apiserver/auth_account.h"
#include "apiserver/authz.h"
#include "apiserver/http_internal.h"
#include "base/timefmt.h"

enum { PROBLEMS_MAX = 4, TEXTS_MAX = 1000 };

// ---- Users ----
static struct doc_value texts_value(struct arena *arena, const struct str *texts, size_t count) {
    struct doc_array out = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&out, doc_make_str(arena_dup(arena, texts[i])));
    }
    return doc_array_done(&out);
}

static struct doc_value user_value(struct arena *arena, const struct api_user *user) {
    struct doc_object out = doc_object_start(arena), extra = doc_object_start(arena);
    doc_object_set_c(&out, "username", doc_make_str(arena_dup(arena, user->name)));
    if (user->uid.n) {
        doc_object_set_c(&out, "uid", doc_make_str(arena_dup(arena, user->uid)));
    }
    if (user->group_count) {
        doc_object_set_c(&out, "groups", texts_value(arena, user->groups, user->group_count));
    }
    for (size_t i = 0; i < user->extra_count; i++) {
        doc_object_set(&extra, user->extra[i].key,
                       texts_value(arena, user->extra[i].values, user->extra[i].count));
    }
    if (user->extra_count) {
        doc_object_set_c(&out, "extra", doc_object_done(&extra));
    }
    return doc_object_done(&out);
}

static const struct str *texts_of(struct arena *arena, const struct doc_value *list,
                                  size_t *count) {
    size_t n = doc_is(list, DOC_ARRAY) ? doc_len(list) : 0;
    n = n < TEXTS_MAX ? n : TEXTS_MAX;
    struct str *out = ARENA_ARRAY(arena, n + 1, struct str);
    for (size_t i = 0; i < n; i++) {
        out[i] = doc_str(doc_at(list, i));
    }
    *count = n;
    return out;
}

// ---- What is wrong with a question ----
struct problems {
    struct {
        const char *field;
        struct str message;
    } items[PROBLEMS_MAX];
    size_t count;
};

static void add_problem(struct problems *problems, const char *field, struct str message) {
    if (problems->count < PROBLEMS_MAX) {
        problems->items[problems->count].field = field;
        problems->items[problems->count++].message = message;
    }
}

static bool refuse(struct api_op *op, const struct problems *problems) {
    AUTO_BUF struct buf text;
    buf_init(&text, 16 * KIB);
    struct doc_array causes = doc_array_start(op->arena);
    for (size_t i = 0; i < problems->count; i++) {
        struct doc_object cause = doc_object_start(op->arena);
        doc_object_set_c(&cause, "reason", DOC_S("FieldValueInvalid"));
        doc_object_set_c(&cause, "message", doc_make_str(problems->items[i].message));
        doc_object_set_c(&cause, "field", doc_make_str(str_from(problems->items[i].field)));
        doc_array_add(&causes, doc_object_done(&cause));
        buf_printf(&text, "%s%s: %.*s", i ? ", " : "", problems->items[i].field,
                   STR_ARG(problems->items[i].message));
    }
    bool many = problems->count > 1;
    struct doc_object details = doc_object_start(op->arena);
    api_error_set(&op->error, op->arena, 422, "Invalid", ".%.*s \"\" is invalid: %s%.*s%s",
                  STR_ARG(op->kind->group), many ? "[" : "", STR_ARG(buf_str(&text)),
                  many ? "]" : "");
    doc_object_set_c(&details, "group", doc_make_str(op->kind->group));
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    op->error.details = doc_object_done(&details);
    return false;
}

static struct str quoted_path(struct arena *arena, const struct doc_value *attributes,
                              const char *why) {
    struct doc_value path = doc_make_str(doc_get_str(attributes, "path"));
    struct doc_value verb = doc_make_str(doc_get_str(attributes, "verb"));
    return arena_printf(arena, "Invalid value: {\"Path\":%.*s,\"Verb\":%.*s}: %s",
                        STR_ARG(doc_to_json(arena, &path)), STR_ARG(doc_to_json(arena, &verb)),
                        why);
}

static bool check_question(struct api_op *op, const struct doc_value *spec, bool self, bool local) {
    const struct doc_value *resource = doc_get(spec, "resourceAttributes");
    const struct doc_value *path = doc_get(spec, "nonResourceAttributes");
    struct problems problems = {.count = 0};
    resource = doc_is_null(resource) ? NULL : resource;
    path = doc_is_null(path) ? NULL : path;
    if (local && path) {
        add_problem(&problems, "spec.nonResourceAttributes",
                    quoted_path(op->arena, path, "disallowed on this kind of request"));
    } else if (resource && path) {
        add_problem(&problems, "spec.nonResourceAttributes",
                    quoted_path(op->arena, path,
                                "cannot be specified in combination with resourceAttributes"));
    } else if (!resource && !path) {
        add_problem(&problems, "spec.resourceAttributes",
                    STR("Invalid value: null: exactly one of nonResourceAttributes or "
                        "resourceAttributes must be specified"));
    }
    if (!self && !doc_get_str(spec, "user").n && !doc_len(doc_get(spec, "groups"))) {
        add_problem(&problems, "spec.user",
                    STR("Invalid value: \"\": at least one of user or group must be specified"));
    }
    struct str ns = doc_get_str(resource, "namespace");
    if (local && resource && !str_eq(ns, op->request.ns)) {
        add_problem(&problems, "spec.resourceAttributes.namespace",
                    arena_printf(op->arena,
                                 "Invalid value: \"%.*s\": must match metadata.namespace",
                                 STR_ARG(ns)));
    }
    return problems.count == 0 || refuse(op, &problems);
}

// ---- May somebody do this? ----
static struct authz_question question_of(const struct doc_value *spec) {
    const struct doc_value *resource = doc_get(spec, "resourceAttributes");
    if (!doc_is_null(resource)) {
        return (struct authz_question){.verb = doc_get_str(resource, "verb"),
                                       .group = doc_get_str(resource, "group"),
                                       .resource = doc_get_str(resource, "resource"),
                                       .subresource = doc_get_str(resource, "subresource"),
                                       .ns = doc_get_str(resource, "namespace"),
                                       .name = doc_get_str(resource, "name")};
    }
    const struct doc_value *path = doc_get(spec, "nonResourceAttributes");
    return (struct authz_question){
        .is_path = true, .verb = doc_get_str(path, "verb"), .path = doc_get_str(path, "path")};
}

static bool review_access(struct api_op *op, const struct doc_value *object,
                          struct doc_value *status) {
    const struct doc_value *spec = doc_get(object, "spec");
    bool self = str_starts(op->kind->kind, STR("Self"));
    bool local = str_starts(op->kind->kind, STR("Local"));
    if (!check_question(op, spec, self, local)) {
        return false;
    }
    struct api_user user = op->user;
    if (!self) {
        user =
            (struct api_user){.name = doc_get_str(spec, "user"), .uid = doc_get_str(spec, "uid")};
        user.groups = texts_of(op->arena, doc_get(spec, "groups"), &user.group_count);
    }
    struct authz_question question = question_of(spec);
    struct str reason;
    bool allowed = authz_decide(op->server, &user, &question, op->arena, &reason);
    struct doc_object out = doc_object_start(op->arena);
    doc_object_set_c(&out, "allowed", doc_make_bool(allowed));
    if (reason.n) {
        doc_object_set_c(&out, "reason", doc_make_str(reason));
    }
    *status = doc_object_done(&out);
    return true;
}

// ---- All that somebody may do ----
static struct authz_rule everything(void) {
    static const struct str star[] = {STR_INIT("*")};
    const struct authz_texts any = {star, 1};
    return (struct authz_rule){.verbs = any, .groups = any, .resources = any, .paths = any};
}

static struct doc_value some_rules(struct arena *arena, const struct authz_rules *rules,
                                   bool paths) {
    struct authz_rule *some = ARENA_ARRAY(arena, rules->count + 1, struct authz_rule);
    size_t n = 0;
    for (size_t i = 0; i < rules->count; i++) {
        struct authz_rule rule = rules->items[i];
        if (paths ? rule.paths.count : rule.resources.count) {
            static const struct authz_texts none = {NULL, 0};
            rule.groups = paths ? none : rule.groups;
            rule.resources = paths ? none : rule.resources;
            rule.names = paths ? none : rule.names;
            rule.paths = paths ? rule.paths : none;
            some[n++] = rule;
        }
    }
    return authz_rules_value(arena, &(struct authz_rules){some, n});
}

static bool review_rules(struct api_op *op, const struct doc_value *object,
                         struct doc_value *status) {
    struct str ns = doc_get_str(object, "spec", "namespace");
    if (!ns.n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest", "no namespace on request");
    }
    struct str *missing;
    size_t missing_count;
    struct authz_rules rules =
        authz_rules_of(op->server, &op->user, ns, op->arena, &missing, &missing_count);
    struct authz_rule all = everything();
    if (!op->server->authz) {
        rules = (struct authz_rules){&all, 1};
    }
    struct doc_object out = doc_object_start(op->arena);
    doc_object_set_c(&out, "resourceRules", some_rules(op->arena, &rules, false));
    doc_object_set_c(&out, "nonResourceRules", some_rules(op->arena, &rules, true));
    doc_object_set_c(&out, "incomplete", doc_make_bool(false));
    if (missing_count) {
        struct str text = authz_unresolved(op->arena, missing, missing_count);
        doc_object_set_c(&out, "evaluationError", doc_make_str(text));
    }
    *status = doc_object_done(&out);
    return true;
}

// ---- Who somebody is ----
static bool review_token(struct api_op *op, const struct doc_value *object,
                         struct doc_value *status) {
    struct str token = doc_get_str(object, "spec", "token");
    if (!token.n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "token is required for TokenReview in authentication");
    }
    struct api_account_check check = {0};
    const struct doc_value *audiences = doc_get(object, "spec", "audiences");
    check.audiences = texts_of(op->arena, audiences, &check.audience_count);
    struct doc_object out = doc_object_start(op->arena);
    if (front_token_user(op->server, token, op->arena, &check)) {
        struct str own = op->server->accounts ? api_accounts_issuer(op->server->accounts) : STR("");
        doc_object_set_c(&out, "authenticated", doc_make_bool(true));
        doc_object_set_c(&out, "user", user_value(op->arena, &check.user));
        if (check.token_audience_count) {
            doc_object_set_c(
                &out, "audiences",
                texts_value(op->arena, check.token_audiences, check.token_audience_count));
        } else if (own.n) {
            doc_object_set_c(&out, "audiences", texts_value(op->arena, &own, 1));
        }
    } else {
        struct str error = STR("invalid bearer token");
        if (check.problem.n) {
            error = arena_printf(op->arena, "[invalid bearer token, %.*s]", STR_ARG(check.problem));
        }
        doc_object_set_c(&out, "user", doc_object_done(&(struct doc_object){.arena = op->arena}));
        doc_object_set_c(&out, "error", doc_make_str(error));
    }
    *status = doc_object_done(&out);
    return true;
}

static struct doc_value review_self(struct api_op *op) {
    struct doc_object out = doc_object_start(op->arena);
    doc_object_set_c(&out, "userInfo", user_value(op->arena, &op->user));
    return doc_object_done(&out);
}

static struct doc_value assemble(struct api_op *op, const struct doc_value *from,
                                 struct doc_value status) {
    struct doc_value empty = doc_object_done(&(struct doc_object){.arena = op->arena});
    const struct doc_value *metadata = doc_get(from, "metadata");
    const struct doc_value *spec = doc_get(from, "spec");
    struct doc_object out = doc_object_start(op->arena);
    doc_object_set_c(&out, "kind", doc_make_str(op->kind->kind));
    doc_object_set_c(
        &out, "apiVersion",
        doc_make_str(api_group_version(op->arena, op->kind->group, op->kind->version)));
    struct doc_value own = metadata ? *metadata : empty;
    if (op->request.ns.n) {
        own = doc_with(op->arena, &own, doc_make_str(op->request.ns), "namespace");
    }
    doc_object_set_c(&out, "metadata", own);
    if (spec) {
        doc_object_set_c(&out, "spec", *spec);
    }
    doc_object_set_c(&out, "status", status);
    return doc_object_done(&out);
}

bool api_virtual_create(struct api_op *op, const struct doc_value *object, struct doc_value *out) {
    struct str kind = op->kind->kind;
    struct doc_value status;
    struct doc_value from = *object;
    bool ok = true;
    if (str_ends(kind, STR("AccessReview"))) {
        ok = review_access(op, object, &status);
    } else if (str_eq(kind, STR("SelfSubjectRulesReview"))) {
        ok = review_rules(op, object, &status);
        struct doc_value empty = doc_object_done(&(struct doc_object){.arena = op->arena});
        from = doc_with(op->arena, &from, empty, "spec");
    } else if (str_eq(kind, STR("SelfSubjectReview"))) {
        status = review_self(op);
        struct str now = time_format(op->arena, loop_wall(op->server->loop));
        from = doc_with(op->arena, &from, doc_make_str(now), "metadata", "creationTimestamp");
    } else if (str_eq(kind, STR("TokenReview"))) {
        ok = review_token(op, object, &status);
    } else {
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "%.*s is not supported by this server", STR_ARG(kind));
    }
    if (ok) {
        *out = assemble(op, &from, status);
    }
    return ok;
}
