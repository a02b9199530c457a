// SPDX-License-Identifier: Apache-2.0
// Evaluation of a checked tree. Errors are values until they reach the top; && and || may swallow them. What each step costs
// follows Kubernetes, so that what it stops is stopped here too; time and memory have bounds of their own besides.
#include <math.h>

#include "cel/cel_internal.h"

enum { STEPS_MAX = 64 * 1000 * 1000 };

static struct cel_value eval(struct cel_eval *e, const struct cel_node *node,
                             const struct cel_scope *scope);

bool cel_spend(struct cel_eval *e, uint64_t cost) {
    e->spent += cost;
    if (e->cancelled) {
        return false;
    }
    if (e->spent > e->limit) {
        e->cancelled = true;
        e->limit_message = "operation cancelled: actual cost limit exceeded";
    } else if (arena_used(e->arena) - e->memory_start > CEL_MEMORY_CALL) {
        e->cancelled = true;
        e->limit_message = "operation cancelled: memory limit exceeded (CEL_MEMORY_CALL)";
    } else if (++e->steps > STEPS_MAX) {
        e->cancelled = true;
        e->limit_message = "operation cancelled: too many steps";
    }
    return !e->cancelled;
}

static struct cel_value cancelled(void) {
    return (struct cel_value){.kind = CEL_ERROR, .u.text = STR("operation cancelled")};
}

static bool is_error(const struct cel_value *v) {
    return v->kind == CEL_ERROR;
}

// ---- What a call costs ----

static uint64_t tenth(uint64_t size) {
    return size / 10 + (size % 10 ? 1 : 0);
}

// One for each scalar, a tenth of each text, with all that is inside.
static uint64_t traversal(struct cel_eval *e, const struct cel_value *v, unsigned depth) {
    uint64_t cost = 0;
    if (v->kind == CEL_STRING || v->kind == CEL_BYTES) {
        return v->u.text.n / 10;
    }
    if (depth > 64 || !cel_spend(e, 0)) {
        return 0;
    }
    if (v->kind == CEL_LIST) {
        for (size_t i = 0; i < cel_list_len(v); i++) {
            struct cel_value item = cel_list_at(e, v, i);
            cost += traversal(e, &item, depth + 1);
        }
        return cost;
    }
    if (v->kind != CEL_MAP && v->kind != CEL_OBJECT) {
        return 1;
    }
    for (size_t i = 0; i < cel_map_len(v); i++) {
        struct cel_value key, value;
        cel_map_entry(e, v, i, &key, &value);
        cost += traversal(e, &key, depth + 1) + traversal(e, &value, depth + 1);
    }
    return cost;
}

static uint64_t call_cost(struct cel_eval *e, enum cel_cost_rule rule, const struct cel_value *args,
                          size_t count, const struct cel_value *result) {
    uint64_t first = count ? cel_size_of(&args[0]) : 0;
    uint64_t second = count > 1 ? cel_size_of(&args[1]) : 0;
    switch (rule) {
    case COST_TEXT:
        return tenth(first);
    case COST_TEXT_TWICE:
        return tenth(first * 2);
    case COST_RESULT_TWICE:
        return tenth(cel_size_of(result) * 2);
    case COST_SIZE:
        return first;
    case COST_CONTAINS:
        return tenth(first) * tenth(second);
    case COST_REGEX:
        return tenth(first + 1) * (second / 4 + (second % 4 ? 1 : 0));
    case COST_CIDR_IP:
        return tenth(8) + (args[1].kind == CEL_STRING ? tenth(second) : 0);
    case COST_CIDR_CIDR:
        return tenth(8) + tenth(4) + 1 + (args[1].kind == CEL_STRING ? tenth(second) : 0);
    case COST_FORMAT:
        return tenth(second + 1) * cel_format_cost(args[0].u.text);
    case COST_NONE:
        return 0;
    case COST_TRAVERSE:
        return traversal(e, &args[0], 0);
    case COST_NEW_LIST:
        return 11 + cel_size_of(result);
    case COST_SORT:
        return 11 + 2 * first * first;
    case COST_SETS:
        return 1 + first * second;
    case COST_SETS_TWICE:
        return 1 + 2 * first * second;
    case COST_SECOND_TENTH:
        return tenth(second);
    default:
        return 1;
    }
}

static uint64_t pair_cost(const struct cel_value *a, const struct cel_value *b) {
    uint64_t x = cel_size_of(a), y = cel_size_of(b);
    return a->kind > CEL_OPTIONAL && a->kind < CEL_HOST ? 1 : tenth(x < y ? x : y);
}

// ---- Names ----

static struct cel_value eval_ident(struct cel_eval *e, const struct cel_node *node,
                                   const struct cel_scope *scope) {
    cel_spend(e, 1);
    for (const struct cel_scope *s = scope; s; s = s->parent) {
        if (str_eq(s->name, node->name)) {
            return s->value;
        }
    }
    for (size_t i = 0; i < e->binding_count; i++) {
        if (str_eq(e->bindings[i].name, node->name)) {
            return e->bindings[i].value;
        }
    }
    return cel_error(e->arena, "no such attribute(s): %.*s", STR_ARG(node->name));
}

static bool is_attribute(const struct cel_node *node) {
    return node->kind == NODE_IDENT || node->kind == NODE_SELECT ||
           (node->kind == NODE_CALL &&
            (node->op == OP_INDEX || node->op == OP_OPT_SELECT || node->op == OP_OPT_INDEX));
}

// ---- Selection and index ----

static struct cel_value missing_key(struct cel_eval *e, const struct cel_value *key) {
    return cel_error(e->arena, "no such key: %.*s", STR_ARG(cel_display(e->arena, key)));
}

// The value behind a key or index. False and *out an error when there is none.
static bool find_part(struct cel_eval *e, const struct cel_value *of, const struct cel_value *key,
                      struct cel_value *out) {
    if (of->kind == CEL_HOST && key->kind == CEL_STRING) {
        *out = of->u.host->find(of->u.host->context, e->arena, key->u.text);
        return true;
    }
    if (of->kind == CEL_MAP || of->kind == CEL_OBJECT) {
        if (key->kind == CEL_LIST || key->kind == CEL_MAP || key->kind == CEL_OBJECT ||
            key->kind == CEL_NULL) {
            *out = cel_error(e->arena, "unsupported key type: %.*s",
                             STR_ARG(cel_value_type_name(key)));
            return false;
        }
        if (cel_map_find(e, of, key, out)) {
            return true;
        }
        *out = missing_key(e, key);
        return false;
    }
    if (of->kind != CEL_LIST) {
        *out = missing_key(e, key);
        return false;
    }
    int64_t index;
    if (key->kind == CEL_INT) {
        index = key->u.integer;
    } else if (key->kind == CEL_UINT && key->u.natural <= INT64_MAX) {
        index = (int64_t)key->u.natural;
    } else if (key->kind == CEL_DOUBLE && key->u.number == floor(key->u.number) &&
               fabs(key->u.number) < 9e15) {
        index = (int64_t)key->u.number;
    } else {
        *out = cel_error(e->arena, "unsupported index type '%.*s' in list",
                         STR_ARG(cel_value_type_name(key)));
        return true;
    }
    if (index < 0 || (uint64_t)index >= cel_list_len(of)) {
        *out = cel_error(e->arena, "index out of bounds: %lld", (long long)index);
        return false;
    }
    *out = cel_list_at(e, of, (size_t)index);
    return true;
}

static struct cel_value optional_part(struct cel_eval *e, struct cel_value of,
                                      const struct cel_value *key) {
    struct cel_value found;
    if (of.kind == CEL_OPTIONAL) {
        if (!of.u.optional) {
            return of;
        }
        of = *of.u.optional;
    }
    if (!find_part(e, &of, key, &found)) {
        return cel_optional(e->arena, NULL);
    }
    return is_error(&found) ? found : cel_optional(e->arena, &found);
}

static struct cel_value eval_select(struct cel_eval *e, const struct cel_node *node,
                                    const struct cel_scope *scope) {
    struct cel_value of = eval(e, node->operand, scope), out;
    struct cel_value key = cel_text(node->name);
    cel_spend(e, is_attribute(node->operand) || node->test ? 1 : 2);
    if (is_error(&of)) {
        return of;
    }
    if (of.kind == CEL_OPTIONAL) {
        out = optional_part(e, of, &key);
        return node->test && !is_error(&out) ? cel_bool(out.u.optional != NULL) : out;
    }
    if (node->test) {
        if (of.kind == CEL_HOST) {
            out = of.u.host->find(of.u.host->context, e->arena, node->name);
            return cel_bool(!is_error(&out));
        }
        bool found = find_part(e, &of, &key, &out);
        return found && is_error(&out) ? out : cel_bool(found);
    }
    find_part(e, &of, &key, &out);
    return out;
}

static struct cel_value eval_index(struct cel_eval *e, const struct cel_node *node,
                                   const struct cel_scope *scope) {
    struct cel_value of = eval(e, node->args.items[0], scope);
    struct cel_value key = eval(e, node->args.items[1], scope), out;
    cel_spend(e, is_attribute(node->args.items[0]) ? 1 : 2);
    if (is_error(&of) || is_error(&key)) {
        return is_error(&of) ? of : key;
    }
    if (node->op != OP_INDEX || of.kind == CEL_OPTIONAL) {
        return optional_part(e, of, &key);
    }
    find_part(e, &of, &key, &out);
    return out;
}

// ---- Logic ----

static struct cel_value eval_logic(struct cel_eval *e, const struct cel_node *node,
                                   const struct cel_scope *scope) {
    bool stop = node->op == OP_OR; // the value that decides alone
    struct cel_value problem = {0};
    bool failed = false;
    for (size_t i = 0; i < 2; i++) {
        struct cel_value v = eval(e, node->args.items[i], scope);
        if (v.kind == CEL_BOOL) {
            if (v.u.boolean == stop) {
                return v;
            }
        } else if (!failed) {
            problem = is_error(&v) ? v : cel_no_overload(e);
            failed = true;
        }
    }
    return failed ? problem : cel_bool(!stop);
}

static struct cel_value eval_condition(struct cel_eval *e, const struct cel_node *node,
                                       const struct cel_scope *scope) {
    struct cel_value test = eval(e, node->args.items[0], scope);
    if (test.kind != CEL_BOOL) {
        return is_error(&test) ? test : cel_no_overload(e);
    }
    return eval(e, node->args.items[test.u.boolean ? 1 : 2], scope);
}

static struct cel_value eval_or_value(struct cel_eval *e, const struct cel_node *node,
                                      const struct cel_scope *scope) {
    struct cel_value v = eval(e, node->args.items[0], scope);
    if (is_error(&v)) {
        return v;
    }
    cel_spend(e, 0);
    if (v.kind != CEL_OPTIONAL) {
        return cel_no_overload(e);
    }
    if (!v.u.optional) {
        return eval(e, node->args.items[1], scope);
    }
    return node->op == OP_OR_VALUE ? *v.u.optional : v;
}

// ---- Operators ----

static struct cel_value order_result(struct cel_eval *e, enum cel_operator op,
                                     const struct cel_value *a, const struct cel_value *b) {
    int order;
    bool textual = a->kind == CEL_STRING || a->kind == CEL_BYTES;
    cel_spend(e, textual ? pair_cost(a, b) : 1);
    if (!cel_compare(a, b, &order)) {
        bool ordered = a->kind != CEL_NULL && a->kind != CEL_LIST && a->kind != CEL_MAP &&
                       a->kind != CEL_OBJECT && a->kind != CEL_TYPE;
        return ordered ? cel_no_overload(e)
                       : cel_error(e->arena, "no such overload: %s", cel_operator_name(op));
    }
    if (order == 2) { // NaN
        return cel_error(e->arena, "NaN values cannot be ordered");
    }
    switch (op) {
    case OP_LESS:
        return cel_bool(order < 0);
    case OP_LESS_EQUAL:
        return cel_bool(order <= 0);
    case OP_GREATER:
        return cel_bool(order > 0);
    default:
        return cel_bool(order >= 0);
    }
}

static bool is_constant(const struct cel_node *node) {
    for (size_t i = 0; i < node->args.len; i++) {
        const struct cel_node *part = node->args.items[i];
        if (part->kind != NODE_LITERAL && !is_constant(part)) {
            return false;
        }
    }
    return node->kind == NODE_LIST || node->kind == NODE_MAP;
}

static struct cel_value eval_in(struct cel_eval *e, const struct cel_node *node,
                                const struct cel_value *a, const struct cel_value *b) {
    struct cel_value found;
    if (b->kind == CEL_MAP || b->kind == CEL_OBJECT) {
        cel_spend(e, 1);
        return cel_bool(cel_map_find(e, b, a, &found));
    }
    if (b->kind != CEL_LIST) {
        return cel_no_overload(e);
    }
    cel_spend(e, is_constant(node->args.items[1]) ? 1 : cel_size_of(b));
    for (size_t i = 0; i < cel_list_len(b) && !e->cancelled; i++) {
        struct cel_value item = cel_list_at(e, b, i);
        if (cel_equal(e, a, &item)) {
            return cel_bool(true);
        }
    }
    return cel_bool(false);
}

static struct cel_value negate(struct cel_eval *e, const struct cel_value *v) {
    if (v->kind == CEL_DOUBLE) {
        return (struct cel_value){.kind = CEL_DOUBLE, .u.number = -v->u.number};
    }
    if (v->kind == CEL_DURATION) {
        return (struct cel_value){.kind = CEL_DURATION,
                                  .u.time = {-v->u.time.seconds, -v->u.time.nanos}};
    }
    if (v->kind != CEL_INT) {
        return cel_error(e->arena, "no such overload: -_");
    }
    return v->u.integer == INT64_MIN ? cel_error(e->arena, "integer overflow")
                                     : cel_int(-v->u.integer);
}

static struct cel_value map_insert(struct cel_eval *e, struct cel_value *args, size_t count) {
    struct cel_value entries = args[1], found;
    if (args[0].kind != CEL_MAP) {
        return cel_no_overload(e);
    }
    if (count == 3) {
        entries = cel_map_make(e->arena);
        cel_map_add(e->arena, entries.u.map, args[1], args[2]);
    } else if (entries.kind != CEL_MAP && entries.kind != CEL_OBJECT) {
        return cel_no_overload(e);
    }
    for (size_t i = 0; i < cel_map_len(&entries); i++) {
        struct cel_value key, value;
        cel_map_entry(e, &entries, i, &key, &value);
        if (!cel_spend(e, 0) || cel_map_find(e, &args[0], &key, &found)) {
            return cel_error(e->arena, "insert failed: key %.*s already exists",
                             STR_ARG(cel_display(e->arena, &key)));
        }
        cel_map_add(e->arena, args[0].u.map, key, value);
    }
    return args[0];
}

static struct cel_value eval_strict(struct cel_eval *e, const struct cel_node *node,
                                    struct cel_value *args, size_t count) {
    switch (node->op) {
    case OP_NOT:
        cel_spend(e, 1);
        return args[0].kind == CEL_BOOL ? cel_bool(!args[0].u.boolean) : cel_no_overload(e);
    case OP_EQUAL:
    case OP_UNEQUAL:
        cel_spend(e, pair_cost(&args[0], &args[1]));
        return cel_bool(cel_equal(e, &args[0], &args[1]) == (node->op == OP_EQUAL));
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
        return order_result(e, (enum cel_operator)node->op, &args[0], &args[1]);
    case OP_NEGATE:
        cel_spend(e, 1);
        return negate(e, &args[0]);
    case OP_IN:
        return eval_in(e, node, &args[0], &args[1]);
    case OP_MAP_INSERT:
        cel_spend(e, 1);
        return map_insert(e, args, count);
    default: {
        bool text = args[0].kind == CEL_STRING || args[0].kind == CEL_BYTES;
        cel_spend(e, text && node->op == OP_ADD
                         ? tenth(cel_size_of(&args[0]) + cel_size_of(&args[1]))
                         : 1);
        return cel_arith(e, (enum cel_operator)node->op, &args[0], &args[1]);
    }
    }
}

// ---- Functions ----

static bool kind_fits(char letter, const struct cel_value *v) {
    static const char LETTERS[] = "biudsytDQUICVFLOT";
    static const uint8_t KINDS[] = {
        CEL_BOOL,      CEL_INT,      CEL_UINT,     CEL_DOUBLE,   CEL_STRING, CEL_BYTES,
        CEL_TIMESTAMP, CEL_DURATION, CEL_QUANTITY, CEL_URL,      CEL_IP,     CEL_CIDR,
        CEL_SEMVER,    CEL_FORMAT,   CEL_LIST,     CEL_OPTIONAL, CEL_TYPE};
    const char *found = strchr(LETTERS, letter);
    if (letter == 'M') {
        return v->kind == CEL_MAP || v->kind == CEL_OBJECT;
    }
    return !found || KINDS[found - LETTERS] == v->kind;
}

static const char *skip_type(const char *at) {
    char c = *at++;
    if (c == 'L' || c == 'O' || c == 'T') {
        return skip_type(at);
    }
    return c == 'M' ? skip_type(skip_type(at)) : at;
}

static bool call_fits(struct cel_eval *e, const struct cel_function *f,
                      const struct cel_value *args, size_t count) {
    const char *at = f->signature;
    for (size_t i = 0; i < count; i++) {
        if (!kind_fits(*at, &args[i])) {
            return false;
        }
        if (*at == 'L' && at[1] != 'A' && at[1] != '*' && cel_list_len(&args[i]) > 0) {
            struct cel_value first = cel_list_at(e, &args[i], 0);
            if (!kind_fits(at[1], &first)) {
                return false;
            }
        }
        at = skip_type(at);
    }
    return true;
}

static struct cel_value eval_function(struct cel_eval *e, const struct cel_node *node,
                                      struct cel_value *args, size_t count) {
    e->node = node;
    for (size_t i = 0; i < node->overload_count; i++) {
        const struct cel_function *f = node->overloads[i];
        if (call_fits(e, f, args, count)) {
            struct cel_value out = f->call(e, args, count);
            cel_spend(e, call_cost(e, (enum cel_cost_rule)f->cost, args, count, &out));
            return out;
        }
    }
    // Kubernetes names the function where it looks among several, and not where one has the receiver decide.
    static const char *const PLAIN[] = {"startsWith", "endsWith", "matches", "contains"};
    for (size_t i = 0; i < ARRAY_LEN(PLAIN); i++) {
        if (str_eq_c(node->name, PLAIN[i])) {
            return cel_no_overload(e);
        }
    }
    if (str_eq_c(node->name, "size")) {
        return args[0].kind == CEL_DURATION ? cel_no_overload(e)
                                            : cel_error(e->arena, "no such overload: size");
    }
    if (str_eq_c(node->name, "sort") || str_eq_c(node->name, "@sortByAssociatedKeys")) {
        return cel_error(e->arena, "list elements must be comparable");
    }
    struct str names = {"", 0};
    for (size_t i = 0; i < count; i++) {
        names = arena_printf(e->arena, "%.*s%s%.*s", STR_ARG(names), i ? ", " : "",
                             STR_ARG(cel_value_type_name(&args[i])));
    }
    return cel_error(e->arena, "no such overload: %.*s(%.*s)", STR_ARG(node->name), STR_ARG(names));
}

static struct cel_value eval_call(struct cel_eval *e, const struct cel_node *node,
                                  const struct cel_scope *scope) {
    switch (node->op) {
    case OP_AND:
    case OP_OR:
        return eval_logic(e, node, scope);
    case OP_CONDITION:
        return eval_condition(e, node, scope);
    case OP_INDEX:
    case OP_OPT_INDEX:
    case OP_OPT_SELECT:
        return eval_index(e, node, scope);
    case OP_OR_VALUE:
    case OP_OR_OPTIONAL:
        return eval_or_value(e, node, scope);
    case OP_NOT_FALSE: {
        struct cel_value v = eval(e, node->args.items[0], scope);
        cel_spend(e, 1);
        return v.kind == CEL_BOOL ? v : cel_bool(true);
    }
    default:
        break;
    }
    struct cel_value args[8];
    size_t count = node->args.len;
    if (count > ARRAY_LEN(args)) {
        return cel_no_overload(e);
    }
    for (size_t i = 0; i < count; i++) {
        args[i] = eval(e, node->args.items[i], scope);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_error(&args[i])) {
            return args[i];
        }
    }
    return node->op == OP_NONE ? eval_function(e, node, args, count)
                               : eval_strict(e, node, args, count);
}

// ---- Literals of lists and maps ----

static struct cel_value eval_list(struct cel_eval *e, const struct cel_node *node,
                                  const struct cel_scope *scope) {
    struct cel_value out = cel_list_make(e->arena, node->args.len);
    for (size_t i = 0; i < node->args.len; i++) {
        struct cel_value item = eval(e, node->args.items[i], scope);
        if (is_error(&item)) {
            return item;
        }
        if (node->optional && node->optional[i]) {
            if (item.kind != CEL_OPTIONAL) {
                return cel_no_overload(e);
            }
            if (!item.u.optional) {
                continue;
            }
            item = *item.u.optional;
        }
        cel_list_add(e->arena, out.u.list, item);
    }
    cel_spend(e, is_constant(node) ? 0 : 10);
    return out;
}

static struct cel_value eval_map(struct cel_eval *e, const struct cel_node *node,
                                 const struct cel_scope *scope) {
    struct cel_value out = cel_map_make(e->arena);
    for (size_t i = 0; i + 1 < node->args.len; i += 2) {
        struct cel_value key = eval(e, node->args.items[i], scope);
        struct cel_value value = eval(e, node->args.items[i + 1], scope);
        if (is_error(&key) || is_error(&value)) {
            return is_error(&key) ? key : value;
        }
        if (node->optional && node->optional[i]) {
            if (value.kind != CEL_OPTIONAL) {
                return cel_no_overload(e);
            }
            if (!value.u.optional) {
                continue;
            }
            value = *value.u.optional;
        }
        cel_map_put(e, out.u.map, key, value);
    }
    cel_spend(e, is_constant(node) ? 0 : 30);
    return out;
}

// ---- Comprehensions ----

// How the reference implementation calls its values in the one message that shows it.
static const char *go_name(const struct cel_value *v) {
    switch (v->kind) {
    case CEL_BOOL:
        return "types.Bool";
    case CEL_INT:
        return "types.Int";
    case CEL_UINT:
        return "types.Uint";
    case CEL_DOUBLE:
        return "types.Double";
    case CEL_STRING:
        return "types.String";
    case CEL_BYTES:
        return "types.Bytes";
    case CEL_NULL:
        return "types.Null";
    case CEL_DURATION:
        return "types.Duration";
    case CEL_TIMESTAMP:
        return "types.Timestamp";
    default:
        return cel_kind_name((enum cel_kind)v->kind);
    }
}

static struct cel_value eval_fold(struct cel_eval *e, const struct cel_node *node,
                                  const struct cel_scope *scope) {
    const struct cel_fold *f = node->fold;
    struct cel_value range = eval(e, f->range, scope);
    if (is_error(&range)) {
        return range;
    }
    bool list = range.kind == CEL_LIST, map = range.kind == CEL_MAP || range.kind == CEL_OBJECT;
    if (!list && !map) {
        return cel_error(e->arena, "got '%s', expected iterable type", go_name(&range));
    }
    struct cel_scope accu = {f->accu, eval(e, f->init, scope), scope};
    accu.value.builder = f->growing;
    size_t count = list ? cel_list_len(&range) : cel_map_len(&range);
    for (size_t i = 0; i < count && cel_spend(e, 0); i++) {
        struct cel_scope var = {f->var, {0}, &accu}, var2 = {f->var2, {0}, &var};
        struct cel_value item = {0};
        if (list) {
            item = cel_list_at(e, &range, i);
            var.value = f->var2.n ? cel_int((int64_t)i) : item;
        } else {
            cel_map_entry(e, &range, i, &var.value, &item);
        }
        var2.value = item;
        const struct cel_scope *inner = f->var2.n ? &var2 : &var;
        struct cel_value going = eval(e, f->condition, inner);
        if (going.kind == CEL_BOOL && !going.u.boolean) {
            break;
        }
        accu.value = eval(e, f->step, inner);
        if (f->growing && is_error(&accu.value)) {
            break;
        }
    }
    struct cel_value out = eval(e, f->result, &accu);
    out.builder = false;
    return out;
}

static struct cel_value eval(struct cel_eval *e, const struct cel_node *node,
                             const struct cel_scope *scope) {
    if (!cel_spend(e, 0)) {
        return cancelled();
    }
    switch (node->kind) {
    case NODE_LITERAL:
        return node->value;
    case NODE_IDENT:
        return eval_ident(e, node, scope);
    case NODE_SELECT:
        return eval_select(e, node, scope);
    case NODE_CALL:
        return eval_call(e, node, scope);
    case NODE_LIST:
        return eval_list(e, node, scope);
    case NODE_MAP:
        return eval_map(e, node, scope);
    default:
        return eval_fold(e, node, scope);
    }
}

struct cel_value cel_call_constant(const struct cel_program *program, const struct cel_node *node,
                                   struct cel_value arg) {
    struct cel_eval e = {.arena = program->arena,
                         .program = program,
                         .limit = UINT64_MAX,
                         .memory_start = arena_used(program->arena)};
    return eval_function(&e, node, &arg, 1);
}

bool cel_eval(const struct cel_program *program, const struct cel_binding *bindings, size_t count,
              struct cel_cost *cost, struct arena *arena, struct cel_value *result,
              struct err *err) {
    struct cel_eval e = {
        .arena = arena,
        .program = program,
        .bindings = bindings,
        .binding_count = count,
        .limit = cost && cost->limit ? cost->limit : CEL_COST_CALL,
        .memory_start = arena_used(arena),
    };
    struct cel_value value = eval(&e, program->root, NULL);
    if (cost) {
        cost->spent += e.spent;
    }
    if (e.cancelled) {
        return err_set(err, ERR_LIMIT, "%s", e.limit_message);
    }
    if (is_error(&value)) {
        return err_set(err, ERR_INVALID, "%.*s", STR_ARG(value.u.text));
    }
    *result = value;
    return true;
}
