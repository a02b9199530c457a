// SPDX-License-Identifier: Apache-2.0
// x-kubernetes-validations: types for CEL from a structural schema, and its rules over objects. Transition rules see the
// old value where old and new can be told to be the same thing: fields, and items of lists of type map.
#include "schema/struct_problem.h"

#include "base/limits.h"

// ---- Types ----

static const struct cel_type *type_of(struct schema_struct *schema, struct struct_node *node,
                                      bool resource);

static const struct cel_type *simple(struct schema_struct *schema, const struct struct_node *node,
                                     enum cel_kind kind) {
    struct cel_type *type = ARENA_NEW(schema->arena, struct cel_type);
    type->kind = (uint8_t)kind;
    type->nullable = node && node->nullable;
    type->int_or_string = kind == CEL_DYN;
    return type;
}

static const struct cel_type *text_type(struct schema_struct *schema,
                                        const struct struct_node *node) {
    static const struct {
        const char *format;
        uint8_t kind;
    } FORMATS[] = {{"byte", CEL_BYTES},
                   {"duration", CEL_DURATION},
                   {"date", CEL_TIMESTAMP},
                   {"date-time", CEL_TIMESTAMP}};
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        if (str_eq_c(node->format, FORMATS[i].format)) {
            return simple(schema, node, (enum cel_kind)FORMATS[i].kind);
        }
    }
    return simple(schema, node, CEL_STRING);
}

static const struct cel_type *list_type(struct schema_struct *schema, struct struct_node *node) {
    const struct cel_type *item =
        node->items ? type_of(schema, node->items, node->items->embedded) : NULL;
    if (!item) {
        return NULL;
    }
    struct cel_type *type = ARENA_NEW(schema->arena, struct cel_type);
    *type = (struct cel_type){.kind = CEL_LIST, .nullable = node->nullable, .item = item};
    type->list_type = node->list_type == STRUCT_LIST_SET   ? CEL_LIST_SET
                      : node->list_type == STRUCT_LIST_MAP ? CEL_LIST_MAP
                                                           : CEL_LIST_ATOMIC;
    size_t count = doc_len(node->list_keys);
    struct str *keys = ARENA_ARRAY(schema->arena, count ? count : 1, struct str);
    for (size_t i = 0; i < count; i++) {
        keys[i] = doc_str(doc_at(node->list_keys, i));
    }
    type->list_keys = keys;
    type->list_key_count = count;
    return type;
}

static int compare_fields(const void *a, const void *b) {
    return str_cmp(((const struct cel_field *)a)->name, ((const struct cel_field *)b)->name);
}

struct fields {
    struct cel_field *items;
    size_t len;
};

static void add_field(struct schema_struct *schema, struct fields *fields, struct str key,
                      const struct cel_type *type) {
    struct str name;
    for (size_t i = 0; i < fields->len; i++) {
        if (str_eq(fields->items[i].key, key)) {
            fields->items[i].type = type;
            return;
        }
    }
    if (type && cel_escape(schema->arena, key, &name)) {
        fields->items[fields->len++] = (struct cel_field){name, key, type};
    }
}

static const struct cel_type *object_of(struct schema_struct *schema, struct fields *fields,
                                        bool nullable) {
    struct cel_type *type = ARENA_NEW(schema->arena, struct cel_type);
    if (fields->len > 1) {
        qsort(fields->items, fields->len, sizeof *fields->items, compare_fields);
    }
    *type = (struct cel_type){.kind = CEL_OBJECT,
                              .nullable = nullable,
                              .name = STR("object"),
                              .fields = fields->items,
                              .field_count = fields->len};
    return type;
}

// Every resource has apiVersion, kind and of its metadata the names, whatever its schema says.
static void add_meta(struct schema_struct *schema, struct fields *fields) {
    const struct cel_type *text = simple(schema, NULL, CEL_STRING);
    struct fields meta = {ARENA_ARRAY(schema->arena, 2, struct cel_field), 0};
    add_field(schema, &meta, STR("name"), text);
    add_field(schema, &meta, STR("generateName"), text);
    add_field(schema, fields, STR("apiVersion"), text);
    add_field(schema, fields, STR("kind"), text);
    add_field(schema, fields, STR("metadata"), object_of(schema, &meta, false));
}

static const struct cel_type *object_type(struct schema_struct *schema, struct struct_node *node,
                                          bool resource) {
    if (node->additional_node && !resource) {
        const struct cel_type *item =
            type_of(schema, node->additional_node, node->additional_node->embedded);
        if (!item) {
            return NULL;
        }
        struct cel_type *type = ARENA_NEW(schema->arena, struct cel_type);
        *type = (struct cel_type){.kind = CEL_MAP, .nullable = node->nullable, .item = item};
        type->key = simple(schema, NULL, CEL_STRING);
        return type;
    }
    struct fields fields = {ARENA_ARRAY(schema->arena, node->property_count + 3, struct cel_field),
                            0};
    for (size_t i = 0; i < node->property_count; i++) {
        struct struct_node *property = node->properties[i].node;
        add_field(schema, &fields, node->properties[i].name,
                  type_of(schema, property, property->embedded));
    }
    if (resource) {
        add_meta(schema, &fields);
    }
    return object_of(schema, &fields, node->nullable);
}

static const struct cel_type *make_type(struct schema_struct *schema, struct struct_node *node,
                                        bool resource) {
    if (node->int_or_string) {
        return simple(schema, node, CEL_DYN);
    }
    switch (resource ? STRUCT_OBJECT : node->types) {
    case STRUCT_OBJECT:
        return object_type(schema, node, resource);
    case STRUCT_ARRAY:
        return list_type(schema, node);
    case STRUCT_STRING:
        return text_type(schema, node);
    case STRUCT_INTEGER:
        return simple(schema, node, CEL_INT);
    case STRUCT_NUMBER:
        return simple(schema, node, CEL_DOUBLE);
    case STRUCT_BOOLEAN:
        return simple(schema, node, CEL_BOOL);
    default:
        return NULL;
    }
}

static const struct cel_type *type_of(struct schema_struct *schema, struct struct_node *node,
                                      bool resource) {
    if (!node->cel_done) {
        node->cel = make_type(schema, node, resource);
        node->cel_done = true;
    }
    return node->cel;
}

// ---- Compiling ----

static struct cel_program *compile(struct schema_struct *schema, struct str text,
                                   const struct cel_env *env, const char *prefix,
                                   const char *late_prefix, struct str *problem) {
    struct cel_problem why = {0};
    struct cel_program *program = cel_compile(schema->arena, text, env, &why);
    if (program) {
        VEC_PUSH(&schema->programs, program);
    } else {
        *problem = arena_concat(schema->arena, str_from(why.late ? late_prefix : prefix), why.text);
    }
    return program;
}

static void compile_rule(struct schema_struct *schema, const struct struct_node *node,
                         struct struct_rule *rule) {
    struct cel_type *optional = ARENA_NEW(schema->arena, struct cel_type);
    *optional = (struct cel_type){.kind = CEL_OPTIONAL, .item = node->cel};
    struct cel_variable *variables = ARENA_ARRAY(schema->arena, 2, struct cel_variable);
    struct cel_env *env = ARENA_NEW(schema->arena, struct cel_env);
    variables[0] = (struct cel_variable){STR("self"), node->cel};
    variables[1] = (struct cel_variable){STR("oldSelf"), rule->optional_old ? optional : node->cel};
    *env = (struct cel_env){variables, 2};
    if (str_trim(rule->text).n == 0) {
        return;
    }
    rule->program =
        compile(schema, rule->text, env,
                "compilation failed: ", "program instantiation failed: ", &rule->problem);
    if (!rule->program) {
        return;
    }
    if (cel_program_type(rule->program)->kind != CEL_BOOL) {
        rule->program = NULL;
        rule->problem = STR("cel expression must evaluate to a bool");
        return;
    }
    rule->uses_old = cel_program_uses(rule->program, STR("oldSelf"));
    if (rule->message_text.n == 0) {
        return;
    }
    rule->message_program =
        compile(schema, rule->message_text, env, "messageExpression compilation failed: ",
                "messageExpression instantiation failed: ", &rule->message_problem);
    if (rule->message_program && cel_program_type(rule->message_program)->kind != CEL_STRING) {
        rule->message_program = NULL;
        rule->message_problem = STR("messageExpression must evaluate to a string");
    }
}

// Whether there are rules here or below.
static bool compile_rules(struct schema_struct *schema, struct struct_node *node) {
    bool any = node->rule_count > 0 && node->cel;
    for (size_t i = 0; i < node->rule_count && node->cel; i++) {
        compile_rule(schema, node, &node->rules[i]);
    }
    for (size_t i = 0; i < node->property_count; i++) {
        any = compile_rules(schema, node->properties[i].node) || any;
    }
    any = (node->items && compile_rules(schema, node->items)) || any;
    any = (node->additional_node && compile_rules(schema, node->additional_node)) || any;
    node->has_rules = any;
    return any;
}

void struct_rules_compile(struct schema_struct *schema) {
    if (schema->rule_count > 0) {
        type_of(schema, schema->root, !schema->part || schema->root->embedded);
        compile_rules(schema, schema->root);
    }
}

// ---- Old values ----

static bool same_keys(const struct struct_node *list, const struct doc_value *a,
                      const struct doc_value *b) {
    for (DOC_EACH_ITEM(list->list_keys, key)) {
        const struct doc_value *x = doc_find(a, doc_str(key)), *y = doc_find(b, doc_str(key));
        if (!x != !y || (x && !doc_equal(x, y))) {
            return false;
        }
    }
    return doc_len(list->list_keys) > 0;
}

const struct doc_value *struct_old_item(struct validator *v, const struct struct_node *list,
                                        const struct doc_value *old_list, size_t hint,
                                        const struct doc_value *item) {
    if (list->list_type != STRUCT_LIST_MAP || !doc_is(old_list, DOC_ARRAY)) {
        return NULL;
    }
    const struct doc_value *guess = doc_at(old_list, hint);
    if (guess && same_keys(list, guess, item)) {
        return guess;
    }
    for (DOC_EACH_ITEM(old_list, old)) {
        if (++v->compared > LIMIT_SCHEMA_COMPARED) {
            return NULL;
        }
        if (same_keys(list, old, item)) {
            return old;
        }
    }
    return NULL;
}

static const struct struct_node *inner_of(const struct struct_node *node, struct str key) {
    const struct struct_property *property = struct_property_find(node, key);
    return property ? property->node : node->additional_node;
}

bool struct_unchanged(struct validator *v, const struct struct_node *node,
                      const struct doc_value *now, const struct doc_value *old) {
    if (!now || !old || doc_equal(now, old)) {
        return now && old;
    }
    if (!node || doc_kind(now) != doc_kind(old) || doc_len(now) != doc_len(old)) {
        return false;
    }
    if (doc_is(now, DOC_OBJECT)) {
        for (DOC_EACH_MEMBER(now, i)) {
            struct str key = doc_key_at(now, i);
            if (!struct_unchanged(v, inner_of(node, key), doc_value_at(now, i),
                                  doc_find(old, key))) {
                return false;
            }
        }
        return true;
    }
    if (!doc_is(now, DOC_ARRAY) || node->list_type != STRUCT_LIST_MAP) {
        return false;
    }
    for (size_t i = 0; i < doc_len(now); i++) {
        const struct doc_value *item = doc_at(now, i);
        if (!struct_unchanged(v, node->items, item, struct_old_item(v, node, old, i, item))) {
            return false;
        }
    }
    return true;
}

// ---- Evaluation ----

struct rules {
    struct validator *v;
    struct outcome *out;
    uint64_t left; // of the object's budget
    bool stopped;
    struct arena *arena; // of one evaluation after the other
};

static struct str path_of(struct arena *arena, const struct place *at) {
    if (!at) {
        return STR("");
    }
    struct str parent = path_of(arena, at->parent);
    if (at->kind == PLACE_ITEM) {
        return arena_printf(arena, "%.*s[%zu]", STR_ARG(parent), at->index);
    }
    if (at->kind == PLACE_KEY) {
        return arena_printf(arena, "%.*s[%.*s]", STR_ARG(parent), STR_ARG(at->key));
    }
    return arena_printf(arena, "%.*s%s%.*s", STR_ARG(parent), parent.n ? "." : "",
                        STR_ARG(at->key));
}

static void add(struct rules *r, struct str path, const char *reason, struct str message,
                bool as_warning) {
    struct arena *arena = r->v->arena;
    struct schema_problem problem = {path.n ? path : STR("<nil>"), message, str_from(reason)};
    if (!as_warning) {
        problem_copy(r->v, r->out, &problem);
    } else if (r->v->warning_count < LIMIT_SCHEMA_PROBLEMS) {
        struct validator *v = r->v;
        v->warnings = arena_grow(arena, v->warnings, v->warning_count * sizeof *v->warnings,
                                 (v->warning_count + 1) * sizeof *v->warnings);
        v->warnings[v->warning_count++] =
            arena_printf(arena, "%.*s: %.*s", STR_ARG(problem.path), STR_ARG(message));
    }
}

static const char *kind_name(const struct struct_node *node) {
    switch (node->types) {
    case STRUCT_OBJECT:
        return "object";
    case STRUCT_ARRAY:
        return "array";
    case STRUCT_STRING:
        return "string";
    case STRUCT_INTEGER:
        return "integer";
    case STRUCT_NUMBER:
        return "number";
    case STRUCT_BOOLEAN:
        return "boolean";
    default:
        return "";
    }
}

// A rule that cannot be evaluated: the value shown is the schema's type.
static void add_failure(struct rules *r, const struct struct_node *node, const struct place *at,
                        struct str detail) {
    add(r, path_of(r->v->arena, at), "FieldValueInvalid",
        arena_printf(r->v->arena, "Invalid value: \"%s\": %.*s", kind_name(node), STR_ARG(detail)),
        false);
}

static struct str shown_rule(const struct struct_rule *rule) {
    struct str message = str_trim(rule->message);
    return message.n ? message : str_trim(rule->text);
}

static void stop(struct rules *r, const struct struct_node *node, const struct place *at) {
    add_failure(r, node, at,
                STR("validation failed due to running out of cost budget, no further validation "
                    "rules will be run"));
    r->stopped = true;
}

// Takes the cost from the object's budget; false when it is used up.
static bool pay(struct rules *r, uint64_t cost) {
    if (cost > r->left) {
        r->left = 0;
        return false;
    }
    r->left -= cost;
    return true;
}

static void report_error(struct rules *r, const struct struct_node *node, const struct place *at,
                         const struct struct_rule *rule, const struct err *err) {
    struct arena *arena = r->v->arena;
    struct str shown = shown_rule(rule);
    if (err->code == ERR_LIMIT) {
        add_failure(r, node, at,
                    arena_printf(arena,
                                 "'%s': no further validation rules will be run due to call cost "
                                 "exceeds limit for rule: %.*s",
                                 err->message, STR_ARG(shown)));
        r->stopped = true;
    } else if (str_starts(str_from(err->message), STR("no such overload"))) {
        add_failure(r, node, at,
                    arena_printf(arena,
                                 "'%s': call arguments did not match a supported operator, "
                                 "function or macro signature for rule: %.*s",
                                 err->message, STR_ARG(shown)));
    } else {
        add_failure(r, node, at,
                    arena_printf(arena, "%s evaluating rule: %.*s", err->message, STR_ARG(shown)));
    }
}

// The text of messageExpression when it gives a usable one, else `message` or the rule.
static struct str message_of(struct rules *r, const struct struct_rule *rule,
                             const struct cel_binding *bindings) {
    struct arena *arena = r->v->arena;
    struct cel_value value;
    struct err err = {0};
    struct cel_cost cost = {0};
    if (rule->message_program) {
        bool ok = cel_eval(rule->message_program, bindings, 2, &cost, r->arena, &value, &err);
        if (!pay(r, cost.spent)) {
            r->stopped = true;
            return STR("messageExpression evaluation failed due to running out of cost budget, no "
                       "further validation rules will be run");
        }
        if (!ok && err.code == ERR_LIMIT) {
            r->stopped = true;
            return arena_printf(arena,
                                "no further validation rules will be run due to call cost exceeds "
                                "limit for messageExpression: \"%.*s\"",
                                STR_ARG(rule->message_text));
        }
        struct str text = ok && value.kind == CEL_STRING ? str_trim(value.u.text) : STR("");
        if (text.n > 0 && text.n <= CEL_MESSAGE_MAX && str_find_char(text, '\n') == STR_NPOS) {
            return arena_dup(arena, text);
        }
    }
    struct str message = str_trim(rule->message);
    return message.n ? message : arena_concat(arena, STR("failed rule: "), str_trim(rule->text));
}

static void report_false(struct rules *r, const struct struct_node *node, const struct place *at,
                         const struct struct_rule *rule, const struct doc_value *value,
                         struct str detail, bool unchanged) {
    struct arena *arena = r->v->arena;
    struct str path = path_of(arena, at), reason = rule->reason;
    if (rule->field_path.n) {
        path = arena_printf(arena, "%.*s%s%.*s", STR_ARG(path), path.n ? "." : "",
                            STR_ARG(rule->field_path));
    }
    bool warn = unchanged && !rule->uses_old;
    if (str_eq_c(reason, "FieldValueForbidden") || str_eq_c(reason, "FieldValueRequired")) {
        bool required = str_eq_c(reason, "FieldValueRequired");
        add(r, path, required ? "FieldValueRequired" : "FieldValueForbidden",
            arena_printf(arena, "%s: %.*s", required ? "Required value" : "Forbidden",
                         STR_ARG(detail)),
            warn);
        return;
    }
    bool whole = node->types == STRUCT_OBJECT || node->types == STRUCT_ARRAY;
    struct str shown = whole ? STR("") : problem_value(arena, value);
    if (str_eq_c(reason, "FieldValueDuplicate")) {
        add(r, path, "FieldValueDuplicate",
            arena_printf(arena, "Duplicate value%s%.*s", shown.n ? ": " : "", STR_ARG(shown)),
            warn);
        return;
    }
    add(r, path, "FieldValueInvalid",
        arena_printf(arena, "Invalid value%s%.*s: %.*s", shown.n ? ": " : "", STR_ARG(shown),
                     STR_ARG(detail)),
        warn);
}

static void run_rule(struct rules *r, const struct struct_node *node,
                     const struct struct_rule *rule, const struct doc_value *value,
                     const struct place *at, const struct doc_value *old, bool unchanged) {
    struct err err = {0};
    struct cel_cost cost = {0};
    struct cel_value result;
    if (rule->problem.n) {
        add_failure(r, node, at,
                    arena_concat(r->v->arena, STR("rule compile error: "), rule->problem));
        return;
    }
    if (!rule->program || (rule->uses_old && !old && !rule->optional_old)) {
        return;
    }
    arena_reset(r->arena);
    struct cel_binding bindings[2] = {{STR("self"), cel_from_doc(r->arena, value, node->cel)},
                                      {STR("oldSelf"), cel_null()}};
    struct cel_value before = old ? cel_from_doc(r->arena, old, node->cel) : cel_null();
    bindings[1].value = rule->optional_old ? cel_optional(r->arena, old ? &before : NULL) : before;
    bool ok = cel_eval(rule->program, bindings, 2, &cost, r->arena, &result, &err);
    if (!pay(r, cost.spent)) {
        stop(r, node, at);
    } else if (!ok) {
        report_error(r, node, at, rule, &err);
    } else if (result.kind != CEL_BOOL || !result.u.boolean) {
        struct str detail = message_of(r, rule, bindings);
        report_false(r, node, at, rule, value, detail, unchanged);
    }
}

// `same`: this value, or what it is a part of, was there before and did not change.
static void run(struct rules *r, const struct struct_node *node, const struct doc_value *value,
                const struct place *at, const struct doc_value *old, bool parent_same) {
    if (!node || !node->has_rules || doc_is_null(value) || r->stopped) {
        return;
    }
    bool same = parent_same;
    if (node->rule_count && old && !same) {
        same = struct_unchanged(r->v, node, value, old);
    }
    for (size_t i = 0; i < node->rule_count && !r->stopped; i++) {
        run_rule(r, node, &node->rules[i], value, at, doc_is_null(old) ? NULL : old, same);
    }
    if (doc_is(value, DOC_ARRAY) && node->items && node->items->has_rules) {
        for (size_t i = 0; i < doc_len(value) && !r->stopped; i++) {
            const struct doc_value *item = doc_at(value, i);
            struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
            const struct doc_value *old_item = struct_old_item(r->v, node, old, i, item);
            bool inner_same =
                same || (!old_item && old && struct_unchanged(r->v, node, value, old));
            run(r, node->items, item, &place, old_item, inner_same);
        }
    }
    if (doc_is(value, DOC_OBJECT)) {
        for (size_t i = 0; i < doc_len(value) && !r->stopped; i++) {
            struct str key = doc_key_at(value, i);
            const struct struct_property *property = struct_property_find(node, key);
            struct place place = {
                .parent = at, .key = key, .kind = property ? PLACE_PROPERTY : PLACE_KEY};
            run(r, property ? property->node : node->additional_node, doc_value_at(value, i),
                &place, doc_is(old, DOC_OBJECT) ? doc_find(old, key) : NULL, same);
        }
    }
}

static bool blocks_rules(const struct outcome *out) {
    static const char *const REASONS[] = {"FieldValueNotSupported", "FieldValueRequired",
                                          "FieldValueTooLong", "FieldValueTooMany",
                                          "FieldValueTypeInvalid"};
    for (size_t i = 0; i < out->count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(REASONS); k++) {
            if (str_eq_c(out->problems[i].reason, REASONS[k])) {
                return true;
            }
        }
    }
    return false;
}

void struct_check_rules(struct validator *v, const struct schema_struct *schema,
                        const struct doc_value *object, struct outcome *out) {
    struct rules r = {.v = v, .out = out, .left = CEL_COST_OBJECT};
    if (!schema->root->has_rules) {
        return;
    }
    if (blocks_rules(out)) {
        add(&r, STR(""), "FieldValueInvalid",
            STR("Invalid value: null: some validation rules were not checked because the object "
                "was invalid; correct the existing errors to complete validation"),
            false);
        return;
    }
    r.arena = arena_create();
    run(&r, schema->root, object, NULL, v->old, false);
    arena_destroy(r.arena);
}
