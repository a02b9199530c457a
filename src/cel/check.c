// SPDX-License-Identifier: Apache-2.0
// Types of expressions. Overloads come from tables of signatures; parameters of a signature are unified with the arguments,
// and dyn goes with everything. Every binding of a parameter is noted, so that an overload that does not fit leaves none.
#include "cel/cel_internal.h"

struct names {
    const struct names *parent;
    struct str name;
    const struct cel_type *type;
};

struct binding {
    struct cel_type *param;
    const struct cel_type *before;
};

struct checker {
    struct cel_compiler *c;
    VEC(struct binding) trail;
    unsigned params;
};

static const struct cel_type ERROR_TYPE = {.kind = CEL_ERROR};

static const struct cel_type *check(struct checker *k, struct cel_node *node,
                                    const struct names *scope);

// ---- Unification ----

static bool is_any(const struct cel_type *type) {
    return type->kind == CEL_DYN || type->kind == CEL_ERROR;
}

static const struct cel_type *new_param(struct checker *k) {
    return cel_type_make(k->c->arena, CEL_PARAM, NULL, NULL);
}

static void bind(struct checker *k, const struct cel_type *param, const struct cel_type *type) {
    struct cel_type *target = (struct cel_type *)(uintptr_t)param;
    struct binding note = {target, target->bound};
    VEC_PUSH(&k->trail, note);
    target->bound = type;
}

static void rewind_to(struct checker *k, size_t mark) {
    while (k->trail.len > mark) {
        struct binding *note = &k->trail.items[--k->trail.len];
        note->param->bound = note->before;
    }
}

static bool occurs(struct checker *k, const struct cel_type *param, const struct cel_type *type) {
    type = cel_type_root(type);
    if (++k->c->steps > CEL_DECLARED_STEPS) {
        return true;
    }
    if (type == param) {
        return true;
    }
    return (type->kind == CEL_LIST || type->kind == CEL_MAP || type->kind == CEL_OPTIONAL ||
            type->kind == CEL_TYPE) &&
           ((type->key && occurs(k, param, type->key)) ||
            (type->item && occurs(k, param, type->item)));
}

static bool same_kind_names(const struct cel_type *a, const struct cel_type *b) {
    return a->kind == b->kind && (a->kind != CEL_OBJECT || a == b);
}

static bool allows_null(const struct cel_type *type) {
    return type->kind == CEL_NULL || type->kind == CEL_TIMESTAMP || type->kind == CEL_DURATION ||
           type->kind >= CEL_OPTIONAL || type->kind == CEL_OBJECT;
}

// Whether `a` is as general as `b`.
static bool is_more_general(const struct cel_type *a, const struct cel_type *b) {
    a = cel_type_root(a);
    b = cel_type_root(b);
    if (is_any(a) || a->kind == CEL_PARAM) {
        return true;
    }
    if (is_any(b) || b->kind == CEL_PARAM || !same_kind_names(a, b)) {
        return false;
    }
    return (!a->key || is_more_general(a->key, b->key)) &&
           (!a->item || is_more_general(a->item, b->item));
}

static bool assign(struct checker *k, const struct cel_type *actual,
                   const struct cel_type *formal) {
    actual = cel_type_root(actual);
    formal = cel_type_root(formal);
    if (++k->c->steps > CEL_DECLARED_STEPS) {
        return false;
    }
    if (actual == formal) {
        return true;
    }
    if (formal->kind == CEL_PARAM || actual->kind == CEL_PARAM) {
        const struct cel_type *param = formal->kind == CEL_PARAM ? formal : actual;
        const struct cel_type *other = formal->kind == CEL_PARAM ? actual : formal;
        if (occurs(k, param, other)) {
            return false;
        }
        bind(k, param, other);
        return true;
    }
    if (is_any(actual) || is_any(formal)) {
        return true;
    }
    if (actual->kind == CEL_NULL || formal->kind == CEL_NULL) {
        return allows_null(actual->kind == CEL_NULL ? formal : actual);
    }
    return same_kind_names(actual, formal) &&
           (!actual->key || !formal->key || assign(k, actual->key, formal->key)) &&
           (!actual->item || !formal->item || assign(k, actual->item, formal->item));
}

// A parameter that is bound to something narrower becomes the more general of the two (int and dyn: dyn).
static bool assign_wide(struct checker *k, const struct cel_type *actual,
                        const struct cel_type *formal) {
    const struct cel_type *root = cel_type_root(formal);
    if (formal->kind == CEL_PARAM && root->kind != CEL_PARAM && assign(k, actual, root)) {
        const struct cel_type *given = cel_type_root(actual);
        const struct cel_type *last = formal;
        while (last->bound && last->bound->kind == CEL_PARAM) {
            last = last->bound;
        }
        if (is_more_general(given, root) && given != root && !occurs(k, last, given)) {
            bind(k, last, given);
        }
        return true;
    }
    if (formal->kind != CEL_PARAM && root->kind == cel_type_root(actual)->kind && root->item &&
        cel_type_root(actual)->item) {
        const struct cel_type *given = cel_type_root(actual);
        return (!root->key || !given->key || assign_wide(k, given->key, root->key)) &&
               assign_wide(k, given->item, root->item);
    }
    return assign(k, actual, formal);
}

bool cel_type_same(const struct cel_type *a, const struct cel_type *b) {
    return is_more_general(a, b) && is_more_general(b, a);
}

// ---- Signatures ----

static const struct cel_type *read_type(struct checker *k, const char **at,
                                        const struct cel_type **params) {
    static const struct {
        char letter;
        uint8_t kind;
    } LETTERS[] = {
        {'b', CEL_BOOL},      {'i', CEL_INT},      {'u', CEL_UINT},     {'d', CEL_DOUBLE},
        {'s', CEL_STRING},    {'y', CEL_BYTES},    {'n', CEL_NULL},     {'*', CEL_DYN},
        {'t', CEL_TIMESTAMP}, {'D', CEL_DURATION}, {'Q', CEL_QUANTITY}, {'U', CEL_URL},
        {'I', CEL_IP},        {'C', CEL_CIDR},     {'V', CEL_SEMVER},   {'F', CEL_FORMAT}};
    char c = *(*at)++;
    if (c == 'A' || c == 'B') {
        if (!params[c - 'A']) {
            params[c - 'A'] = new_param(k);
        }
        return params[c - 'A'];
    }
    if (c == 'L' || c == 'O' || c == 'T') {
        const struct cel_type *item = read_type(k, at, params);
        return cel_type_make(k->c->arena,
                             c == 'L'   ? CEL_LIST
                             : c == 'O' ? CEL_OPTIONAL
                                        : CEL_TYPE,
                             NULL, item);
    }
    if (c == 'M') {
        const struct cel_type *key = read_type(k, at, params);
        return cel_type_make(k->c->arena, CEL_MAP, key, read_type(k, at, params));
    }
    size_t i = 0;
    while (i < ARRAY_LEN(LETTERS) && LETTERS[i].letter != c) {
        i++;
    }
    CHECK(i < ARRAY_LEN(LETTERS));
    return cel_type_of_kind((enum cel_kind)LETTERS[i].kind);
}

// The result type when the arguments fit, else NULL and nothing is bound.
static const struct cel_type *try_overload(struct checker *k, const struct cel_function *function,
                                           const struct cel_node *node) {
    const struct cel_type *params[2] = {NULL, NULL};
    const char *at = function->signature;
    size_t mark = k->trail.len, i = 0;
    for (; *at != '>' && i < node->args.len; i++) {
        const struct cel_type *formal = read_type(k, &at, params);
        if (!assign_wide(k, node->args.items[i]->type, formal)) {
            rewind_to(k, mark);
            return NULL;
        }
    }
    if (*at != '>' || i != node->args.len) {
        rewind_to(k, mark);
        return NULL;
    }
    at++;
    return read_type(k, &at, params);
}

static struct str signature_of(struct checker *k, const struct cel_node *node) {
    struct str text = {"", 0};
    struct arena *arena = k->c->arena;
    for (size_t i = 0; i < node->args.len; i++) {
        struct str type = cel_type_name(arena, node->args.items[i]->type);
        bool target = node->member && i == 0;
        bool comma = i > (node->member ? 1 : 0);
        text = arena_printf(arena, "%.*s%s%.*s%s", STR_ARG(text), comma ? ", " : "", STR_ARG(type),
                            target ? ".(" : "");
    }
    return node->member ? arena_printf(arena, "%.*s)", STR_ARG(text))
                        : arena_printf(arena, "(%.*s)", STR_ARG(text));
}

static const struct cel_type *fail(struct checker *k, const struct cel_node *node,
                                   const char *format, ...) __attribute__((format(printf, 3, 4)));
static const struct cel_type *fail(struct checker *k, const struct cel_node *node,
                                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str message = arena_vprintf(k->c->arena, format, args);
    va_end(args);
    cel_issue_add(k->c, node->line, node->column, "%.*s", STR_ARG(message));
    return &ERROR_TYPE;
}

enum { OVERLOADS_MAX = 48 };

static const struct cel_type *resolve(struct checker *k, struct cel_node *node) {
    const struct cel_function *all[OVERLOADS_MAX], *fit[OVERLOADS_MAX];
    size_t count = cel_functions_find(node->name, all, OVERLOADS_MAX), used = 0;
    const struct cel_type *result = NULL;
    for (size_t i = 0; i < count; i++) {
        if (all[i]->member != node->member) {
            continue;
        }
        const struct cel_type *type = try_overload(k, all[i], node);
        if (type) {
            result = !result || cel_type_same(result, type) ? type : &cel_type_dyn;
            fit[used++] = all[i];
        }
    }
    if (!result) {
        return fail(k, node, "found no matching overload for '%.*s' applied to '%.*s'",
                    STR_ARG(node->name), STR_ARG(signature_of(k, node)));
    }
    const struct cel_function **kept = ARENA_ARRAY(k->c->arena, used, const struct cel_function *);
    memcpy(kept, fit, used * sizeof *kept);
    node->overloads = kept;
    node->overload_count = used;
    return cel_type_root(result);
}

// ---- Names ----

// "a.b.c" of a chain of selections that begins with a name; empty for anything else.
static struct str qualified_name(struct checker *k, const struct cel_node *node) {
    if (node->kind == NODE_IDENT) {
        return node->name;
    }
    if (node->kind != NODE_SELECT || node->test) {
        return (struct str){NULL, 0};
    }
    struct str before = qualified_name(k, node->operand);
    if (before.n == 0 || before.n > 64) {
        return (struct str){NULL, 0};
    }
    return arena_printf(k->c->arena, "%.*s.%.*s", STR_ARG(before), STR_ARG(node->name));
}

static const struct cel_type *find_variable(struct checker *k, struct str name,
                                            const struct names *scope) {
    for (const struct names *n = scope; n; n = n->parent) {
        if (str_eq(n->name, name)) {
            return n->type ? n->type : &cel_type_dyn;
        }
    }
    const struct cel_env *env = k->c->env;
    for (size_t i = 0; env && i < env->variable_count; i++) {
        if (str_eq(env->variables[i].name, name)) {
            return env->variables[i].type ? env->variables[i].type : &cel_type_dyn;
        }
    }
    return NULL;
}

static bool make_type_literal(struct checker *k, struct cel_node *node, struct str name) {
    const struct cel_type *named = cel_type_named(name);
    if (!named) {
        return false;
    }
    node->kind = NODE_LITERAL;
    node->value = (struct cel_value){.kind = CEL_TYPE, .u.type = named};
    const struct cel_type *item = named;
    if (named->kind == CEL_LIST || named->kind == CEL_OPTIONAL) {
        item = cel_type_make(k->c->arena, (enum cel_kind)named->kind, NULL, &cel_type_dyn);
    } else if (named->kind == CEL_MAP) {
        item = cel_type_make(k->c->arena, CEL_MAP, &cel_type_dyn, &cel_type_dyn);
    } else if (named->kind == CEL_TYPE) {
        item = cel_type_make(k->c->arena, CEL_TYPE, NULL, &cel_type_dyn);
    }
    node->type = cel_type_make(k->c->arena, CEL_TYPE, NULL, item);
    return true;
}

static const struct cel_type *undeclared(struct checker *k, const struct cel_node *node,
                                         struct str name) {
    return fail(k, node, "undeclared reference to '%.*s' (in container '')", STR_ARG(name));
}

static const struct cel_type *check_ident(struct checker *k, struct cel_node *node,
                                          const struct names *scope) {
    const struct cel_type *type = find_variable(k, node->name, scope);
    if (type) {
        return type;
    }
    return make_type_literal(k, node, node->name) ? node->type : undeclared(k, node, node->name);
}

// ---- Selection ----

static const struct cel_type *optional_of(struct checker *k, const struct cel_type *item) {
    return cel_type_make(k->c->arena, CEL_OPTIONAL, NULL, item);
}

static const struct cel_type *field_type(struct checker *k, struct cel_node *node,
                                         const struct cel_node *operand, struct str name,
                                         bool optional) {
    const struct cel_type *type = cel_type_root(operand->type), *result = &cel_type_dyn;
    if (type->kind == CEL_OPTIONAL) {
        optional = true;
        type = cel_type_root(type->item);
    }
    if (type->kind == CEL_ERROR) {
        return &ERROR_TYPE;
    }
    if (type->kind == CEL_MAP) {
        result = cel_type_root(type->item);
    } else if (type->kind == CEL_OBJECT) {
        node->field = cel_type_field(type, name);
        if (!node->field) {
            return fail(k, node, "undefined field '%.*s'", STR_ARG(name));
        }
        result = node->field->type ? node->field->type : &cel_type_dyn;
    } else if (type->kind == CEL_PARAM) {
        bind(k, type, &cel_type_dyn);
    } else if (type->kind != CEL_DYN && type->kind != CEL_HOST) {
        return fail(k, node, "type '%.*s' does not support field selection",
                    STR_ARG(cel_type_name(k->c->arena, type)));
    }
    return optional ? optional_of(k, result) : result;
}

static const struct cel_type *check_select(struct checker *k, struct cel_node *node,
                                           const struct names *scope) {
    struct str name = node->test ? (struct str){NULL, 0} : qualified_name(k, node);
    const struct cel_node *first = node;
    while (first->kind == NODE_SELECT) {
        first = first->operand;
    }
    if (name.n && !find_variable(k, first->name, scope) && make_type_literal(k, node, name)) {
        return node->type;
    }
    check(k, node->operand, scope);
    const struct cel_type *type = field_type(k, node, node->operand, node->name, false);
    return node->test && type->kind != CEL_ERROR ? &cel_type_bool : type;
}

// ---- Calls ----

static void expect_type(struct checker *k, const struct cel_node *node,
                        const struct cel_type *wanted) {
    if (!assign(k, node->type, wanted)) {
        fail(k, node, "expected type '%.*s' but found '%.*s'",
             STR_ARG(cel_type_name(k->c->arena, wanted)),
             STR_ARG(cel_type_name(k->c->arena, node->type)));
    }
}

// `sets.contains(a, b)`: the target is no value but a part of the function's name.
static void find_namespace(struct checker *k, struct cel_node *node, const struct names *scope) {
    const struct cel_node *first = node->args.items[0];
    while (first->kind == NODE_SELECT && !first->test) {
        first = first->operand;
    }
    if (first->kind != NODE_IDENT || find_variable(k, first->name, scope)) {
        return;
    }
    struct str name = qualified_name(k, node->args.items[0]);
    name = arena_printf(k->c->arena, "%.*s.%.*s", STR_ARG(name), STR_ARG(node->name));
    if (cel_function_exists(name)) {
        node->name = name;
        node->member = false;
        node->args.items++;
        node->args.len--;
    }
}

static void set_operator(struct cel_node *node) {
    if (node->op == OP_NONE && node->member && node->args.len == 2) {
        node->op = str_eq_c(node->name, "orValue") ? OP_OR_VALUE
                   : str_eq_c(node->name, "or")    ? OP_OR_OPTIONAL
                                                   : OP_NONE;
    }
}

static const struct cel_type *check_call(struct checker *k, struct cel_node *node,
                                         const struct names *scope) {
    if (node->op == OP_OPT_SELECT) {
        check(k, node->args.items[0], scope);
        node->args.items[1]->type = &cel_type_string;
        return field_type(k, node, node->args.items[0], node->args.items[1]->value.u.text, true);
    }
    if (node->member) {
        find_namespace(k, node, scope);
    }
    bool known = cel_function_exists(node->name), failed = false;
    if (!known) {
        undeclared(k, node, node->name);
    }
    for (size_t i = 0; i < node->args.len && (known || node->member); i++) {
        failed = check(k, node->args.items[i], scope)->kind == CEL_ERROR || failed;
        if (!known) {
            break;
        }
    }
    if (!known || failed) {
        return &ERROR_TYPE;
    }
    set_operator(node);
    if (node->op == OP_AND || node->op == OP_OR) {
        for (size_t i = 0; i < node->args.len; i++) {
            expect_type(k, node->args.items[i], &cel_type_bool);
        }
        return &cel_type_bool;
    }
    return resolve(k, node);
}

// ---- Literals ----

static const struct cel_type *join(struct checker *k, const struct cel_type *before,
                                   const struct cel_type *type) {
    if (!before) {
        return type;
    }
    if (assign(k, type, before)) {
        return is_more_general(before, type) ? before : type;
    }
    return &cel_type_dyn; // refused at the end, where it is not an argument of format()
}

// The type of an entry; one written with `?` is optional.
static const struct cel_type *entry_type(struct checker *k, struct cel_node *node, bool optional,
                                         const struct names *scope) {
    const struct cel_type *type = cel_type_root(check(k, node, scope));
    if (!optional || is_any(type)) {
        return type;
    }
    if (type->kind == CEL_OPTIONAL) {
        return cel_type_root(type->item);
    }
    return fail(k, node, "expected type '%.*s' but found '%.*s'",
                STR_ARG(cel_type_name(k->c->arena, optional_of(k, type))),
                STR_ARG(cel_type_name(k->c->arena, type)));
}

static const struct cel_type *check_list(struct checker *k, struct cel_node *node,
                                         const struct names *scope) {
    const struct cel_type *item = NULL;
    for (size_t i = 0; i < node->args.len; i++) {
        const struct cel_type *type = entry_type(k, node->args.items[i], node->optional[i], scope);
        item = join(k, item, type);
    }
    return cel_type_make(k->c->arena, CEL_LIST, NULL, item ? item : new_param(k));
}

static const struct cel_type *check_map(struct checker *k, struct cel_node *node,
                                        const struct names *scope) {
    const struct cel_type *key = NULL, *item = NULL;
    for (size_t i = 0; i + 1 < node->args.len; i += 2) {
        struct cel_node *name = node->args.items[i], *value = node->args.items[i + 1];
        key = join(k, key, check(k, name, scope));
        item = join(k, item, entry_type(k, value, node->optional[i], scope));
    }
    return cel_type_make(k->c->arena, CEL_MAP, key ? key : new_param(k),
                         item ? item : new_param(k));
}

static const struct cel_type *check_literal(const struct cel_node *node) {
    return node->type ? node->type : cel_type_of_kind((enum cel_kind)node->value.kind);
}

// ---- Comprehensions ----

static bool range_types(struct checker *k, const struct cel_node *range, bool two,
                        const struct cel_type **first, const struct cel_type **second) {
    const struct cel_type *type = cel_type_root(range->type);
    *first = *second = &cel_type_dyn;
    if (type->kind == CEL_LIST) {
        *first = two ? &cel_type_int : type->item;
        *second = type->item;
    } else if (type->kind == CEL_MAP) {
        *first = type->key;
        *second = type->item;
    } else if (type->kind == CEL_PARAM) {
        bind(k, type, &cel_type_dyn);
    } else if (!is_any(type)) {
        fail(k, range,
             "expression of type '%.*s' cannot be range of a comprehension (must be list, map, or "
             "dynamic)",
             STR_ARG(cel_type_name(k->c->arena, type)));
        *first = *second = &ERROR_TYPE;
        return false;
    }
    return true;
}

static const struct cel_type *check_fold(struct checker *k, struct cel_node *node,
                                         const struct names *scope) {
    struct cel_fold *f = node->fold;
    const struct cel_type *first, *second;
    check(k, f->range, scope);
    const struct cel_type *accu_type = check(k, f->init, scope);
    range_types(k, f->range, f->var2.n > 0, &first, &second);
    struct names accu = {scope, f->accu, accu_type};
    struct names var = {&accu, f->var, first};
    struct names var2 = {&var, f->var2, second};
    const struct names *inner = f->var2.n ? &var2 : &var;
    check(k, f->condition, inner);
    expect_type(k, f->condition, &cel_type_bool);
    check(k, f->step, inner);
    expect_type(k, f->step, accu_type);
    return check(k, f->result, &accu);
}

// ---- All ----

static const struct cel_type *check(struct checker *k, struct cel_node *node,
                                    const struct names *scope) {
    const struct cel_type *type = NULL;
    if (++k->c->steps > CEL_DECLARED_STEPS) {
        node->type = &ERROR_TYPE;
        return node->type;
    }
    switch (node->kind) {
    case NODE_LITERAL:
        type = check_literal(node);
        break;
    case NODE_IDENT:
        type = check_ident(k, node, scope);
        break;
    case NODE_SELECT:
        type = check_select(k, node, scope);
        break;
    case NODE_CALL:
        type = check_call(k, node, scope);
        break;
    case NODE_LIST:
        type = check_list(k, node, scope);
        break;
    case NODE_MAP:
        type = check_map(k, node, scope);
        break;
    default:
        type = check_fold(k, node, scope);
        break;
    }
    node->type = type;
    return type;
}

bool cel_check(struct cel_compiler *c, struct cel_node *root) {
    struct checker k = {.c = c};
    check(&k, root, NULL);
    if (c->steps > CEL_DECLARED_STEPS) {
        cel_issue_add(c, root->line, root->column,
                      "the expression is too complex to check (CEL_DECLARED_STEPS)");
    }
    VEC_FREE(&k.trail);
    if (c->issue_count == 0) {
        cel_validate(c, root);
    }
    return c->issue_count == 0;
}
