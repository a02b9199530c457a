// SPDX-License-Identifier: Apache-2.0
// After the types: lists and maps must hold one type, and constants that become times, durations or patterns must be right.
// Kubernetes finds the former while it checks, the latter partly when it prepares the program.
#include "cel/cel_internal.h"

static void mismatch(struct cel_compiler *c, const struct cel_node *node,
                     const struct cel_type *wanted, const struct cel_type *got) {
    cel_issue_add(c, node->line, node->column, "expected type '%.*s' but found '%.*s'",
                  STR_ARG(cel_type_name(c->arena, wanted)), STR_ARG(cel_type_name(c->arena, got)));
}

static const struct cel_type *type_of(const struct cel_node *node, bool optional) {
    const struct cel_type *type = cel_type_root(node->type);
    return optional && type->kind == CEL_OPTIONAL ? cel_type_root(type->item) : type;
}

static void check_list(struct cel_compiler *c, const struct cel_node *node) {
    for (size_t i = 1; i < node->args.len; i++) {
        const struct cel_type *first = type_of(node->args.items[0], node->optional[0]);
        const struct cel_type *type = type_of(node->args.items[i], node->optional[i]);
        if (!cel_type_same(first, type)) {
            mismatch(c, node->args.items[i], first, type);
            return;
        }
    }
}

static void check_map(struct cel_compiler *c, const struct cel_node *node) {
    for (size_t i = 2; i + 1 < node->args.len; i += 2) {
        for (size_t part = 0; part < 2; part++) {
            const struct cel_node *before = node->args.items[part];
            const struct cel_node *entry = node->args.items[i + part];
            const struct cel_type *first = type_of(before, part && node->optional[0]);
            const struct cel_type *type = type_of(entry, part && node->optional[i]);
            if (!cel_type_same(first, type)) {
                mismatch(c, entry, first, type);
            }
        }
    }
}

static bool is_text(const struct cel_node *node) {
    return node->kind == NODE_LITERAL && node->value.kind == CEL_STRING;
}

static void check_call(struct cel_compiler *c, struct cel_node *node) {
    struct cel_node *arg = node->args.len ? node->args.items[node->args.len - 1] : NULL;
    struct cel_time time;
    char problem[256];
    if (!arg || !is_text(arg) || node->op != OP_NONE) {
        if (arg && arg->kind == NODE_LITERAL && !node->member && node->args.len == 1 &&
            (str_eq_c(node->name, "duration") || str_eq_c(node->name, "timestamp")) &&
            (arg->value.kind == CEL_NULL ||
             (arg->value.kind == CEL_INT && node->name.p[0] == 'd'))) {
            cel_issue_add(c, arg->line, arg->column, "invalid %.*s argument", STR_ARG(node->name));
        }
        return;
    }
    struct str text = arg->value.u.text;
    if (str_eq_c(node->name, "duration") && !cel_duration_parse(text, &time)) {
        cel_issue_add(c, arg->line, arg->column, "invalid duration argument");
    } else if (str_eq_c(node->name, "timestamp") && !cel_time_parse(text, &time)) {
        cel_issue_add(c, arg->line, arg->column, "invalid timestamp argument");
    } else if (str_eq_c(node->name, "matches") && node->member) {
        struct regex *regex = regex_create(text.p, text.n, problem, sizeof problem);
        if (!regex) {
            cel_issue_add(c, arg->line, arg->column, "invalid matches argument");
        }
        regex_destroy(regex);
    } else {
        return;
    }
}

static void validate(struct cel_compiler *c, struct cel_node *node, bool exempt) {
    if (!node || node->validated) {
        return;
    }
    node->validated = true;
    if (node->kind == NODE_SELECT) {
        validate(c, node->operand, exempt);
    }
    if (node->kind == NODE_LIST && !exempt) {
        check_list(c, node);
    } else if (node->kind == NODE_MAP && !exempt) {
        check_map(c, node);
    } else if (node->kind == NODE_CALL) {
        check_call(c, node);
    }
    bool format = node->kind == NODE_CALL && node->member && str_eq_c(node->name, "format");
    for (size_t i = 0; i < node->args.len; i++) {
        validate(c, node->args.items[i], exempt || format);
    }
    if (format) {
        cel_format_check(c, node);
    }
    if (node->fold) {
        validate(c, node->fold->range, exempt);
        validate(c, node->fold->init, exempt);
        validate(c, node->fold->condition, exempt);
        validate(c, node->fold->step, exempt);
        validate(c, node->fold->result, exempt);
    }
}

void cel_validate(struct cel_compiler *c, struct cel_node *root) {
    validate(c, root, false);
}

// ---- Constants ----

static const struct cel_node *behind_dyn(const struct cel_node *node) {
    while (node->kind == NODE_CALL && node->op == OP_NONE && str_eq_c(node->name, "dyn") &&
           node->args.len == 1) {
        node = node->args.items[0];
    }
    return node;
}

static bool is_conversion(struct str name) {
    static const char *const NAMES[] = {"bool", "bytes",  "double",    "duration",
                                        "int",  "string", "timestamp", "uint"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq_c(name, NAMES[i])) {
            return true;
        }
    }
    return false;
}

static bool fold_pattern(struct cel_compiler *c, struct cel_node *node, struct str *problem) {
    size_t at = 1;
    if (node->args.len < 2 || node->regex) {
        return true;
    }
    const struct cel_node *arg = behind_dyn(node->args.items[at]);
    char reason[256];
    if (!is_text(arg)) {
        return true;
    }
    struct str text = arg->value.u.text;
    node->regex = regex_create(text.p, text.n, reason, sizeof reason);
    if (!node->regex) {
        *problem = arena_printf(c->arena, "error parsing regexp: %s", reason);
        return false;
    }
    VEC_PUSH(&c->program->patterns, node->regex);
    return true;
}

static bool fold(struct cel_compiler *c, struct cel_node *node, struct str *problem) {
    if (!node || node->folded) {
        return true;
    }
    node->folded = true;
    const struct cel_fold *f = node->fold;
    bool ok = fold(c, node->operand, problem) &&
              (!f || (fold(c, f->range, problem) && fold(c, f->init, problem) &&
                      fold(c, f->condition, problem) && fold(c, f->step, problem) &&
                      fold(c, f->result, problem)));
    for (size_t i = 0; ok && i < node->args.len; i++) {
        ok = fold(c, node->args.items[i], problem);
    }
    if (!ok || node->kind != NODE_CALL || node->op != OP_NONE) {
        return ok;
    }
    if (str_eq_c(node->name, "matches") || str_eq_c(node->name, "find") ||
        str_eq_c(node->name, "findAll")) {
        return fold_pattern(c, node, problem);
    }
    if (node->args.len != 1 || node->member || !is_conversion(node->name)) {
        return true;
    }
    const struct cel_node *arg = behind_dyn(node->args.items[0]);
    if (arg->kind != NODE_LITERAL || arg->value.kind == CEL_TYPE) {
        return true;
    }
    struct cel_value value = cel_call_constant(c->program, node, arg->value);
    if (value.kind == CEL_ERROR) {
        *problem = value.u.text;
        return false;
    }
    node->kind = NODE_LITERAL;
    node->value = value;
    return true;
}

bool cel_fold_constants(struct cel_compiler *c, struct cel_node *root, struct str *problem) {
    return fold(c, root, problem);
}
