// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicy: expressions that a write must satisfy where a binding says so; and the match conditions of
// webhooks, which are the same expressions. Programs are compiled when a policy changes, values are looked at where they are.
#include "apiserver/policy.h"

static const char *const variable_names[] = {"object", "oldObject",       "request",
                                             "params", "namespaceObject", "variables"};
enum { VARIABLES = ARRAY_LEN(variable_names) };

// ---- Expressions ----
static void environment(struct cel_variable *variables, struct cel_env *env) {
    for (size_t i = 0; i < VARIABLES; i++) {
        variables[i] = (struct cel_variable){.name = str_from(variable_names[i])};
    }
    *env = (struct cel_env){.variables = variables, .variable_count = VARIABLES};
}

struct cel_program *policy_compile(struct arena *arena, struct str text,
                                   struct cel_problem *problem) {
    struct cel_variable *variables = ARENA_ARRAY(arena, VARIABLES, struct cel_variable);
    struct cel_env *env = ARENA_NEW(arena, struct cel_env);
    environment(variables, env);
    return cel_compile(arena, text, env, problem);
}

struct scope { // what the expressions of one write see
    struct arena *arena;
    struct cel_binding bindings[VARIABLES];
    struct cel_cost cost;
    const struct policy_text *variables; // of the policy
    size_t variable_count;
    struct cel_value *known; // variables that were asked for
    struct cel_host host;
};

static struct cel_value variable(void *context, struct arena *arena, struct str field) {
    struct scope *scope = context;
    for (size_t i = 0; i < scope->variable_count; i++) {
        const struct policy_text *v = &scope->variables[i];
        if (!str_eq(v->name, field)) {
            continue;
        }
        struct err err = {0};
        if (scope->known[i].kind == CEL_ERROR &&
            (!v->program || !cel_eval(v->program, scope->bindings, VARIABLES, &scope->cost, arena,
                                      &scope->known[i], &err))) {
            return cel_error(arena, "composited variable \"%.*s\" fails to evaluate: %s",
                             STR_ARG(field), err.message);
        }
        return scope->known[i];
    }
    return cel_error(arena, "no such key: %.*s", STR_ARG(field));
}

static struct cel_value value_of(struct arena *arena, const struct doc_value *doc) {
    return doc_is_null(doc) ? cel_null() : cel_from_doc(arena, doc, NULL);
}

static void scope_init(struct scope *scope, const struct chain_write *write,
                       const struct doc_value *params) {
    struct arena *arena = write->op->arena;
    struct doc_value *request = ARENA_NEW(arena, struct doc_value);
    const struct doc_value *ns =
        write->ns.n ? chain_find(write->op, write->chain->namespaces, STR(""), write->ns) : NULL;
    *request = chain_request_value(write, write->kind);
    *scope = (struct scope){.arena = arena, .cost = {.limit = CEL_COST_OBJECT}};
    scope->host = (struct cel_host){.find = variable, .context = scope};
    const struct doc_value *const docs[] = {write->object, write->old, request, params, ns};
    for (size_t i = 0; i < VARIABLES; i++) {
        scope->bindings[i].name = str_from(variable_names[i]);
        scope->bindings[i].value =
            i < ARRAY_LEN(docs) ? value_of(arena, docs[i])
                                : (struct cel_value){.kind = CEL_HOST, .u.host = &scope->host};
    }
}

// -1: it failed, with `err`.
static int truth(struct scope *scope, const struct policy_text *text, struct err *err) {
    struct cel_value result;
    if (!text->program) {
        err_set(err, ERR_INVALID, "the expression does not compile");
        return -1;
    }
    if (!cel_eval(text->program, scope->bindings, VARIABLES, &scope->cost, scope->arena, &result,
                  err)) {
        return -1;
    }
    return result.kind == CEL_BOOL && result.u.boolean;
}

// ---- Match conditions ----
int policy_conditions(const struct chain_write *write, const struct policy_text *conditions,
                      size_t count, struct err *err) {
    struct scope scope;
    scope_init(&scope, write, NULL);
    scope.cost.limit = CEL_COST_MATCH;
    int worst = 1;
    for (size_t i = 0; i < count; i++) {
        int holds = truth(&scope, &conditions[i], err);
        if (holds == 0) {
            return 0; // also when another one fails
        }
        worst = holds < 0 ? -1 : worst;
    }
    return worst;
}

struct policy_text *policy_texts(struct arena *arena, const struct doc_value *list, size_t *count) {
    struct policy_text *texts = ARENA_ARRAY(arena, doc_len(list) + 1, struct policy_text);
    *count = doc_len(list);
    for (size_t i = 0; i < *count; i++) {
        const struct doc_value *item = doc_at(list, i);
        struct cel_problem problem = {.late = false};
        texts[i] = (struct policy_text){
            .name = doc_get_str(item, "name"),
            .item = item,
            .program = policy_compile(arena, doc_get_str(item, "expression"), &problem),
        };
        struct str message = doc_get_str(item, "messageExpression");
        if (message.n) {
            texts[i].message = policy_compile(arena, message, &problem);
        }
    }
    return texts;
}

void policy_texts_release(struct policy_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        cel_program_release(texts[i].program);
        cel_program_release(texts[i].message);
    }
}

// ---- The policies, parsed ----
static const struct doc_value *parse_entry(struct arena *arena, struct api_entry *entry) {
    struct blob *text = api_entry_durable(entry, NULL);
    struct doc_value *value = ARENA_NEW(arena, struct doc_value);
    bool ok = text && doc_parse_json_copy(blob_str(text), arena, value, NULL);
    blob_unref(text);
    return ok ? value : NULL;
}

void policies_fini(struct policies *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct policy *p = &list->policies[i];
        policy_texts_release(p->conditions, p->condition_count);
        policy_texts_release(p->variables, p->variable_count);
        policy_texts_release(p->validations, p->validation_count);
    }
    list->count = list->binding_count = 0;
    arena_destroy(list->arena);
    list->arena = NULL;
}

static void refresh(struct policies *list) {
    if (list->stamp == list->collection->changed &&
        list->binding_stamp == list->bindings->changed) {
        return;
    }
    policies_fini(list);
    list->stamp = list->collection->changed;
    list->binding_stamp = list->bindings->changed;
    if (!list->collection->count || !list->bindings->count) {
        return;
    }
    struct arena *arena = list->arena = arena_create();
    list->policies = ARENA_ARRAY(arena, list->collection->count + 1, struct policy);
    list->bound = ARENA_ARRAY(arena, list->bindings->count + 1, const struct doc_value *);
    struct api_cursor cursor = api_cursor_at(list->collection, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        const struct doc_value *value = parse_entry(arena, entry);
        const struct doc_value *spec = doc_get(value, "spec");
        struct policy *p = &list->policies[list->count];
        if (!value) {
            continue;
        }
        list->count++;
        *p = (struct policy){.name = doc_get_str(value, "metadata", "name"), .spec = spec};
        p->conditions = policy_texts(arena, doc_get(spec, "matchConditions"), &p->condition_count);
        p->variables = policy_texts(arena, doc_get(spec, "variables"), &p->variable_count);
        p->validations = policy_texts(arena, doc_get(spec, "validations"), &p->validation_count);
    }
    cursor = api_cursor_at(list->bindings, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        const struct doc_value *value = parse_entry(arena, entry);
        if (value) {
            list->bound[list->binding_count++] = value;
        }
    }
}

// ---- Whether they concern a write ----
static bool named(const struct doc_value *rule, const struct chain_write *write) {
    const struct doc_value *names = doc_get(rule, "resourceNames");
    for (DOC_EACH_ITEM(names, name)) {
        if (str_eq(doc_str(name), write->name)) {
            return true;
        }
    }
    return doc_len(names) == 0;
}

static bool resources_match(const struct chain_write *write, const struct doc_value *match,
                            bool all_without_rules) {
    const struct doc_value *rules = doc_get(match, "resourceRules");
    if (!match) {
        return all_without_rules;
    }
    for (DOC_EACH_ITEM(doc_get(match, "excludeResourceRules"), out)) {
        if (hook_rule_matches(out, write, write->kind) && named(out, write)) {
            return false;
        }
    }
    bool wanted = all_without_rules && doc_len(rules) == 0;
    for (DOC_EACH_ITEM(rules, rule)) {
        wanted = wanted || (hook_rule_matches(rule, write, write->kind) && named(rule, write));
    }
    return wanted && chain_object_matches(write, doc_get(match, "objectSelector")) &&
           chain_namespace_matches(write, doc_get(match, "namespaceSelector"));
}

// ---- Validations ----
static bool has_action(const struct doc_value *binding, const char *action) {
    for (DOC_EACH_ITEM(doc_get(binding, "spec", "validationActions"), item)) {
        if (str_eq_c(doc_str(item), action)) {
            return true;
        }
    }
    return false;
}

static int status_of(struct str reason) {
    return str_eq(reason, STR("Unauthorized"))            ? 401
           : str_eq(reason, STR("Forbidden"))             ? 403
           : str_eq(reason, STR("RequestEntityTooLarge")) ? 413
                                                          : 422;
}

static bool denied(const struct chain_write *write, const struct policy *policy,
                   const struct doc_value *binding, struct str message, struct str reason) {
    struct api_op *op = write->op;
    struct str bound = doc_get_str(binding, "metadata", "name");
    struct str text = arena_printf(op->arena,
                                   "ValidatingAdmissionPolicy '%.*s' with binding '%.*s' denied "
                                   "request: %.*s",
                                   STR_ARG(policy->name), STR_ARG(bound), STR_ARG(message));
    chain_forbidden(write, "%.*s", STR_ARG(text));
    reason = reason.n ? reason : STR("Invalid");
    op->error.status = status_of(reason);
    size_t n = reason.n < sizeof op->error.reason ? reason.n : sizeof op->error.reason - 1;
    memcpy(op->error.reason, reason.p, n);
    op->error.reason[n] = '\0';
    struct doc_object cause = doc_object_start(op->arena);
    struct doc_array causes = doc_array_start(op->arena);
    doc_object_set_c(&cause, "message", doc_make_str(text));
    doc_array_add(&causes, doc_object_done(&cause));
    op->error.details = doc_with(op->arena, &op->error.details, doc_array_done(&causes), "causes");
    return false;
}

// False: refused. Warn and Audit let the write pass.
static bool failed(const struct chain_write *write, const struct policy *policy,
                   const struct doc_value *binding, struct str message, struct str reason) {
    struct api_op *op = write->op;
    struct str bound = doc_get_str(binding, "metadata", "name");
    if (has_action(binding, "Warn")) {
        api_op_warn(op, arena_printf(op->arena,
                                     "Validation failed for ValidatingAdmissionPolicy '%.*s' with "
                                     "binding '%.*s': %.*s",
                                     STR_ARG(policy->name), STR_ARG(bound), STR_ARG(message)));
    }
    return !has_action(binding, "Deny") || denied(write, policy, binding, message, reason);
}
static struct str message_of(struct scope *scope, const struct policy_text *validation) {
    struct cel_value result;
    struct err err = {0};
    if (validation->message &&
        cel_eval(validation->message, scope->bindings, VARIABLES, &scope->cost, scope->arena,
                 &result, &err) &&
        result.kind == CEL_STRING && str_trim(result.u.text).n &&
        result.u.text.n <= CEL_MESSAGE_MAX) {
        return str_trim(result.u.text);
    }
    struct str message = str_trim(doc_get_str(validation->item, "message"));
    return message.n ? message
                     : arena_printf(scope->arena, "failed expression: %.*s",
                                    STR_ARG(str_trim(doc_get_str(validation->item, "expression"))));
}

// A policy that cannot be evaluated refuses the write, or does not count, by its failure policy.
static bool broken(const struct chain_write *write, const struct policy *policy,
                   const struct doc_value *binding, struct str why) {
    return str_eq(doc_get_str(policy->spec, "failurePolicy"), STR("Ignore")) ||
           failed(write, policy, binding, why, (struct str){NULL, 0});
}

static bool find_params(const struct chain_write *write, const struct policy *policy,
                        const struct doc_value *binding, const struct doc_value **params,
                        struct str *problem) {
    struct api_op *op = write->op;
    const struct doc_value *ref = doc_get(binding, "spec", "paramRef");
    const struct doc_value *type = doc_get(policy->spec, "paramKind");
    *params = NULL;
    if (!type || !ref) {
        return true;
    }
    struct str version = doc_get_str(type, "apiVersion"), group = STR("");
    size_t slash = str_find_char(version, '/');
    if (slash != STR_NPOS) {
        group = str_first(version, slash);
        version = str_skip(version, slash + 1);
    }
    const struct api_kind *kind =
        api_kinds_find_kind(op->server->kinds, group, version, doc_get_str(type, "kind"));
    struct str name = doc_get_str(ref, "name"), ns = doc_get_str(ref, "namespace");
    if (!kind || !name.n) {
        *problem = kind ? STR("failed to configure binding: params by selector are not supported "
                              "here, use paramRef.name")
                        : STR("failed to configure policy: failed to find resource referenced by "
                              "paramKind");
        return false;
    }
    ns = kind->namespaced ? (ns.n ? ns : write->ns) : STR("");
    *params =
        chain_find(op, api_collection_get(op->server, kind->storage_group, kind->plural), ns, name);
    bool allowed = str_eq(doc_get_str(ref, "parameterNotFoundAction"), STR("Allow"));
    if (!*params && !allowed) {
        *problem = STR("failed to configure binding: no params found for policy binding with "
                       "`Deny` parameterNotFoundAction");
    }
    return *params || allowed;
}

static bool apply(const struct chain_write *write, const struct policy *policy,
                  const struct doc_value *binding) {
    struct err err = {0};
    struct scope scope;
    const struct doc_value *params;
    struct str problem = {NULL, 0};
    if (!find_params(write, policy, binding, &params, &problem)) {
        return str_eq(doc_get_str(policy->spec, "failurePolicy"), STR("Ignore")) ||
               denied(write, policy, binding, problem, (struct str){NULL, 0});
    }
    int holds = policy_conditions(write, policy->conditions, policy->condition_count, &err);
    if (holds <= 0) {
        return holds == 0 || broken(write, policy, binding, str_from(err.message));
    }
    scope_init(&scope, write, params);
    scope.variables = policy->variables;
    scope.variable_count = policy->variable_count;
    scope.known = ARENA_ARRAY(scope.arena, policy->variable_count + 1, struct cel_value);
    for (size_t i = 0; i < policy->validation_count; i++) {
        const struct policy_text *validation = &policy->validations[i];
        struct err wrong = {0};
        int result = truth(&scope, validation, &wrong);
        bool fine =
            result > 0 ||
            (result == 0
                 ? failed(write, policy, binding, message_of(&scope, validation),
                          doc_get_str(validation->item, "reason"))
                 : broken(write, policy, binding,
                          arena_printf(scope.arena, "expression '%.*s' resulted in error: %s",
                                       STR_ARG(doc_get_str(validation->item, "expression")),
                                       wrong.message)));
        if (!fine) {
            return false;
        }
    }
    return true;
}

bool policies_admit(const struct chain_write *write) {
    struct policies *list = write->chain->policies;
    refresh(list);
    for (size_t i = 0; i < list->binding_count; i++) {
        const struct doc_value *binding = list->bound[i];
        struct str wanted = doc_get_str(binding, "spec", "policyName");
        for (size_t k = 0; k < list->count; k++) {
            const struct policy *policy = &list->policies[k];
            if (str_eq(policy->name, wanted) &&
                resources_match(write, doc_get(policy->spec, "matchConstraints"), false) &&
                resources_match(write, doc_get(binding, "spec", "matchResources"), true) &&
                !apply(write, policy, binding)) {
                return false;
            }
        }
    }
    return true;
}

// ---- When one is created ----
static bool check_list(const struct chain_write *write, const struct doc_value *list,
                       const char *path) {
    struct api_op *op = write->op;
    for (size_t i = 0; i < doc_len(list); i++) {
        struct cel_problem problem = {.late = false};
        struct str text = doc_get_str(doc_at(list, i), "expression");
        struct cel_program *program = policy_compile(op->arena, text, &problem);
        cel_program_release(program);
        if (!program) {
            return api_invalid(op, write->name, "FieldValueInvalid",
                               arena_printf(op->arena, "%s[%zu].expression", path, i),
                               arena_printf(op->arena,
                                            "Invalid value: \"%.*s\": compilation failed: %.*s",
                                            STR_ARG(text), STR_ARG(problem.text)));
        }
    }
    return true;
}

bool policy_check(const struct chain_write *write) {
    const struct doc_value *spec = doc_get(write->object, "spec");
    return check_list(write, doc_get(spec, "matchConditions"), "spec.matchConditions") &&
           check_list(write, doc_get(spec, "variables"), "spec.variables") &&
           check_list(write, doc_get(spec, "validations"), "spec.validations");
}

bool policy_check_conditions(const struct chain_write *write, const struct doc_value *list,
                             struct str path) {
    return check_list(write, list, path.p);
}
