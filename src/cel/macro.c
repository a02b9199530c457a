// SPDX-License-Identifier: Apache-2.0
// Macros: all of them become comprehensions (NODE_FOLD), presence tests, or conditions over optional values.
#include "cel/cel_internal.h"

#define ACCU STR("@result")

static struct cel_node *literal(struct cel_compiler *c, const struct cel_node *at,
                                struct cel_value value) {
    struct cel_node *node = cel_node_new(c, NODE_LITERAL, at->line, at->column);
    node->value = value;
    return node;
}

static struct cel_node *accu(struct cel_compiler *c, const struct cel_node *at) {
    return cel_node_ident(c, at, ACCU);
}

static struct cel_node *list_of(struct cel_compiler *c, const struct cel_node *at,
                                struct cel_node *item) {
    struct cel_node *node = cel_node_new(c, NODE_LIST, at->line, at->column);
    node->args.items = ARENA_ARRAY(c->arena, 1, struct cel_node *);
    node->args.items[0] = item;
    node->args.len = item ? 1 : 0;
    node->optional = ARENA_ARRAY(c->arena, 1, bool);
    return node;
}

static struct cel_node *call(struct cel_compiler *c, const struct cel_node *at,
                             enum cel_operator op, struct cel_node *a, struct cel_node *b,
                             struct cel_node *third) {
    return cel_node_call(c, at, op, a, b, third);
}

static struct cel_node *fail(struct cel_compiler *c, const struct cel_node *at,
                             const char *message) {
    cel_issue_add(c, at->line, at->column, "%s", message);
    return NULL;
}

static struct cel_node *fold(struct cel_compiler *c, const struct cel_node *at,
                             struct cel_fold fold) {
    struct cel_node *node = cel_node_new(c, NODE_FOLD, at->line, at->column);
    node->fold = ARENA_NEW(c->arena, struct cel_fold);
    *node->fold = fold;
    return node;
}

// The one or two variables in front of the other arguments of a macro.
static bool read_variables(struct cel_compiler *c, const struct cel_node *call_node, size_t count,
                           struct cel_fold *out) {
    for (size_t i = 0; i < count; i++) {
        struct cel_node *arg = call_node->args.items[1 + i];
        if (arg->kind != NODE_IDENT) {
            fail(c, arg,
                 count == 2                         ? "argument must be an identifier"
                 : str_eq_c(call_node->name, "map") ? "argument is not an identifier"
                                                    : "argument must be a simple name");
            return false;
        }
        *(i == 0 ? &out->var : &out->var2) = arg->name;
    }
    if (count == 2 && str_eq(out->var, out->var2)) {
        cel_issue_add(c, call_node->args.items[2]->line, call_node->args.items[2]->column,
                      "duplicate variable name: %.*s", STR_ARG(out->var));
        return false;
    }
    out->range = call_node->args.items[0];
    out->accu = ACCU;
    return true;
}

static struct cel_node *expand_quantifier(struct cel_compiler *c, struct cel_node *at,
                                          struct cel_fold f, struct cel_node *predicate) {
    bool all = str_eq_c(at->name, "all");
    if (all || str_eq_c(at->name, "exists")) {
        f.init = literal(c, at, cel_bool(all));
        struct cel_node *going = accu(c, at);
        going = all ? going : call(c, at, OP_NOT, going, NULL, NULL);
        f.condition = call(c, at, OP_NOT_FALSE, going, NULL, NULL);
        f.step = call(c, at, all ? OP_AND : OP_OR, accu(c, at), predicate, NULL);
        f.result = accu(c, at);
        return fold(c, at, f);
    }
    f.init = literal(c, at, cel_int(0));
    f.condition = literal(c, at, cel_bool(true));
    struct cel_node *more = call(c, at, OP_ADD, accu(c, at), literal(c, at, cel_int(1)), NULL);
    f.step = call(c, at, OP_CONDITION, predicate, more, accu(c, at));
    f.result = call(c, at, OP_EQUAL, accu(c, at), literal(c, at, cel_int(1)), NULL);
    return fold(c, at, f);
}

static struct cel_node *expand_list(struct cel_compiler *c, struct cel_node *at, struct cel_fold f,
                                    struct cel_node *filter, struct cel_node *transform) {
    f.init = list_of(c, at, NULL);
    f.condition = literal(c, at, cel_bool(true));
    f.growing = true;
    f.step = call(c, at, OP_ADD, accu(c, at), list_of(c, at, transform), NULL);
    if (filter) {
        f.step = call(c, at, OP_CONDITION, filter, f.step, accu(c, at));
    }
    f.result = accu(c, at);
    return fold(c, at, f);
}

static struct cel_node *expand_map(struct cel_compiler *c, struct cel_node *at, struct cel_fold f,
                                   struct cel_node *filter, struct cel_node *transform) {
    bool entry = str_eq_c(at->name, "transformMapEntry");
    f.init = cel_node_new(c, NODE_MAP, at->line, at->column);
    f.condition = literal(c, at, cel_bool(true));
    f.growing = true;
    struct cel_node *key = entry ? transform : cel_node_ident(c, at, f.var);
    f.step = call(c, at, OP_MAP_INSERT, accu(c, at), key, entry ? NULL : transform);
    if (filter) {
        f.step = call(c, at, OP_CONDITION, filter, f.step, accu(c, at));
    }
    f.result = accu(c, at);
    return fold(c, at, f);
}

static struct cel_node *member_call(struct cel_compiler *c, const struct cel_node *at,
                                    const char *name, struct cel_node *target) {
    struct cel_node *node = call(c, at, OP_NONE, target, NULL, NULL);
    node->name = str_from(name);
    node->member = true;
    return node;
}

// x.optMap(v, e): x.hasValue() ? optional.of(with v = x.value() e) : optional.none()
static struct cel_node *expand_optional(struct cel_compiler *c, struct cel_node *at) {
    struct cel_node *target = at->args.items[0], *variable = at->args.items[1];
    if (variable->kind != NODE_IDENT) {
        return fail(c, variable,
                    str_eq_c(at->name, "optMap")
                        ? "optMap() variable name must be a simple identifier"
                        : "optFlatMap() variable name must be a simple identifier");
    }
    struct cel_fold f = {
        .range = list_of(c, at, NULL),
        .var = STR("#unused"),
        .accu = variable->name,
        .init = member_call(c, at, "value", target),
        .condition = literal(c, at, cel_bool(false)),
        .step = cel_node_ident(c, at, variable->name),
        .result = at->args.items[2],
    };
    struct cel_node *inner = fold(c, at, f);
    if (str_eq_c(at->name, "optMap")) {
        inner = call(c, at, OP_NONE, inner, NULL, NULL);
        inner->name = STR("optional.of");
    }
    struct cel_node *none = call(c, at, OP_NONE, NULL, NULL, NULL);
    none->name = STR("optional.none");
    return call(c, at, OP_CONDITION, member_call(c, at, "hasValue", target), inner, none);
}

static struct cel_node *expand_sort_by(struct cel_compiler *c, struct cel_node *at) {
    struct cel_node *target = at->args.items[0], *variable = at->args.items[1];
    if (variable->kind != NODE_IDENT) {
        return fail(c, variable,
                    "sortBy can only be applied to a list, identifier, comprehension, "
                    "call or select expression");
    }
    struct cel_fold f = {.var = variable->name, .range = target, .accu = ACCU};
    struct cel_node *keys = expand_list(c, at, f, NULL, at->args.items[2]);
    struct cel_node *node = call(c, at, OP_NONE, target, keys, NULL);
    node->name = STR("@sortByAssociatedKeys");
    node->member = true;
    return node;
}

static bool is_quantifier(struct str name, bool two) {
    return str_eq_c(name, "all") || str_eq_c(name, "exists") || str_eq_c(name, "exists_one") ||
           (two && str_eq_c(name, "existsOne"));
}

struct cel_node *cel_macro_expand(struct cel_compiler *c, struct cel_node *at) {
    struct cel_node **args = at->args.items;
    size_t count = at->args.len; // with the target
    struct str name = at->name;
    if (!at->member) {
        if (!str_eq_c(name, "has") || count != 1) {
            return at;
        }
        if (args[0]->kind != NODE_SELECT || args[0]->test) {
            return fail(c, args[0], "invalid argument to has() macro");
        }
        args[0]->test = true;
        args[0]->line = at->line;
        args[0]->column = at->column;
        return args[0];
    }
    struct cel_fold f = {0};
    if (count == 3 && is_quantifier(name, false)) {
        return read_variables(c, at, 1, &f) ? expand_quantifier(c, at, f, args[2]) : NULL;
    }
    if (count == 4 && is_quantifier(name, true)) {
        return read_variables(c, at, 2, &f) ? expand_quantifier(c, at, f, args[3]) : NULL;
    }
    if ((count == 3 || count == 4) && str_eq_c(name, "map")) {
        return read_variables(c, at, 1, &f)
                   ? expand_list(c, at, f, count == 4 ? args[2] : NULL, args[count - 1])
                   : NULL;
    }
    if (count == 3 && str_eq_c(name, "filter")) {
        return read_variables(c, at, 1, &f) ? expand_list(c, at, f, args[2], args[1]) : NULL;
    }
    bool filtered = count == 5;
    if ((count == 4 || filtered) && str_eq_c(name, "transformList")) {
        return read_variables(c, at, 2, &f)
                   ? expand_list(c, at, f, filtered ? args[3] : NULL, args[count - 1])
                   : NULL;
    }
    if ((count == 4 || filtered) &&
        (str_eq_c(name, "transformMap") || str_eq_c(name, "transformMapEntry"))) {
        return read_variables(c, at, 2, &f)
                   ? expand_map(c, at, f, filtered ? args[3] : NULL, args[count - 1])
                   : NULL;
    }
    if (count == 3 && (str_eq_c(name, "optMap") || str_eq_c(name, "optFlatMap"))) {
        return expand_optional(c, at);
    }
    return count == 3 && str_eq_c(name, "sortBy") ? expand_sort_by(c, at) : at;
}
