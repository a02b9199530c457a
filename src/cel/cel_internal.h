// SPDX-License-Identifier: Apache-2.0
// Private to cel/: the tree of an expression, the table of functions, and values inside.
#ifndef SKIFF_CEL_CEL_INTERNAL_H
#define SKIFF_CEL_CEL_INTERNAL_H

#include "base/vec.h"
#include "cel/cel.h"
#include "regex/regex.h"

// ---- The tree ----
enum cel_node_kind {
    NODE_LITERAL,
    NODE_IDENT,
    NODE_SELECT, // operand.name; or has(operand.name)
    NODE_CALL,
    NODE_LIST,
    NODE_MAP,
    NODE_FOLD, // what all macros over lists and maps become
};

enum cel_operator {
    OP_NONE, // a function of the table
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_CONDITION,
    OP_EQUAL,
    OP_UNEQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_MODULO,
    OP_NEGATE,
    OP_IN,
    OP_INDEX,
    OP_OPT_SELECT,
    OP_OPT_INDEX,
    OP_NOT_FALSE, // @not_strictly_false: whether a comprehension goes on
    OP_MAP_INSERT,
    OP_OR_VALUE, // the functions that do not evaluate all of their arguments
    OP_OR_OPTIONAL,
};

struct cel_node;
struct cel_nodes {
    struct cel_node **items;
    size_t len;
};

struct cel_function;
struct
    cel_fold { // accu = init; for (key, value in range) { if (!condition) break; accu = step; } result
    struct cel_node *range, *init, *condition, *step, *result;
    struct str var, var2, accu; // var2 empty: one variable
    bool growing;               // init is an empty list or map that the step appends to
};

struct cel_node {
    uint8_t kind;
    uint8_t op;
    bool test;                   // NODE_SELECT: has()
    bool validated, folded;      // macros share parts
    bool member;                 // NODE_CALL: args[0] is the target
    uint32_t line, column;       // line from 1, column from 0, in characters
    const struct cel_type *type; // after checking
    struct str name;             // identifier, field, function
    struct cel_value value;      // NODE_LITERAL
    struct cel_node *operand;    // NODE_SELECT
    struct cel_nodes args;       // NODE_CALL; NODE_LIST; NODE_MAP: key, value, key, value
    const bool *optional;        // NODE_LIST, NODE_MAP: which entries were written with `?`
    const struct cel_function *const *overloads; // NODE_CALL: what may be meant
    size_t overload_count;
    struct cel_fold *fold;
    struct regex *regex; // of a constant pattern
    const struct cel_field *field;
};

struct cel_issue {
    uint32_t line, column;
    struct str message;
};

struct cel_program {
    struct arena *arena;
    struct str text;
    struct cel_node *root;
    VEC(struct regex *) patterns;
};

// What parser and checker share.
struct cel_compiler {
    struct arena *arena;
    struct str text;
    const struct cel_env *env;
    struct cel_program *program;
    struct cel_issue issues[16];
    size_t issue_count;
    size_t nodes;
    uint64_t steps;
};
void cel_issue_add(struct cel_compiler *c, uint32_t line, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct str cel_issues_text(struct cel_compiler *c);

// ---- parse.c, macro.c ----
struct cel_node *cel_parse(struct cel_compiler *c); // NULL and issues
struct cel_node *cel_node_new(struct cel_compiler *c, enum cel_node_kind kind, uint32_t line,
                              uint32_t column);
struct cel_node *cel_node_call(struct cel_compiler *c, const struct cel_node *at,
                               enum cel_operator op, struct cel_node *a, struct cel_node *b,
                               struct cel_node *third);
struct cel_node *cel_node_ident(struct cel_compiler *c, const struct cel_node *at, struct str name);
// Replaces a call that is a macro; the call itself when it is none.
struct cel_node *cel_macro_expand(struct cel_compiler *c, struct cel_node *call);
const char *cel_operator_name(enum cel_operator op); // "_+_"

// ---- lex.c ----
enum cel_token_kind {
    TOKEN_END,
    TOKEN_IDENT,
    TOKEN_INT,
    TOKEN_UINT,
    TOKEN_FLOAT,
    TOKEN_STRING,
    TOKEN_BYTES,
    TOKEN_SIGN, // everything else; `text` tells which
};
struct cel_token {
    uint8_t kind;
    struct str text;
    uint32_t line, column;
};
struct cel_lexer {
    struct cel_compiler *c;
    size_t at;
    uint32_t line, column;
};
struct cel_token cel_lex(struct cel_lexer *lexer);
bool cel_unquote(struct cel_compiler *c, const struct cel_token *token, struct str *out);

// ---- types.c ----
extern const struct cel_type cel_type_dyn, cel_type_bool, cel_type_int, cel_type_uint,
    cel_type_double, cel_type_string, cel_type_bytes, cel_type_null, cel_type_timestamp,
    cel_type_duration;
const struct cel_type *cel_type_of_kind(enum cel_kind kind); // of those without parameters
const struct cel_type *cel_type_make(struct arena *arena, enum cel_kind kind,
                                     const struct cel_type *key, const struct cel_type *item);
const struct cel_type *cel_type_root(const struct cel_type *type); // behind bound parameters
const struct cel_field *cel_type_field(const struct cel_type *type, struct str name);
const struct cel_type *cel_type_named(struct str name); // "int", "list", ...; NULL

// ---- check.c ----
bool cel_check(struct cel_compiler *c, struct cel_node *root);
bool cel_type_same(const struct cel_type *a, const struct cel_type *b);

// ---- validate.c ----
// What is refused in a tree whose types are right: mixed lists, constants that can only be wrong.
void cel_validate(struct cel_compiler *c, struct cel_node *root);
// Conversions of constants are made once; false when one fails, with the reason.
bool cel_fold_constants(struct cel_compiler *c, struct cel_node *root, struct str *problem);

// ---- functions ----
struct cel_eval; // the running evaluation
// Arguments are no errors. Sizes of texts are paid by cel_spend_text and the like.
typedef struct cel_value cel_call(struct cel_eval *e, struct cel_value *args, size_t count);

enum cel_cost_rule {
    COST_ONE,
    COST_TEXT, // a tenth of the first argument's size
    COST_TEXT_TWICE,
    COST_RESULT_TWICE,
    COST_SIZE, // the size of the first argument
    COST_CONTAINS,
    COST_REGEX,
    COST_CIDR_IP,
    COST_CIDR_CIDR,
    COST_FORMAT,
    COST_NONE,
    COST_NEW_LIST, // of the size of the result
    COST_SORT,     // each with each
    COST_TRAVERSE,
    COST_SETS_TWICE,
    COST_SETS, // m * n
    COST_SECOND_TENTH,
};

// `signature`: argument types and the result, one letter each (L and O take one more, M two):
//   b i u d s y n * (dyn), t timestamp, D duration, T type, A B params, L list, M map, O optional, Q quantity, U url, I ip,
//   C cidr, V semver, F format. "Ls>s" is (list(string)) -> string.
struct cel_function {
    const char *name;
    const char *signature;
    bool member; // the first argument stands before the dot
    uint8_t cost;
    cel_call *call;
};
struct cel_functions {
    const struct cel_function *items;
    size_t count;
};
extern const struct cel_functions cel_functions_std, cel_functions_time, cel_functions_text,
    cel_functions_list, cel_functions_net, cel_functions_kube;
// Calls `each` for all functions of that name.
size_t cel_functions_find(struct str name, const struct cel_function **out, size_t max);
bool cel_function_exists(struct str name);

// ---- eval.c, value.c ----
struct cel_scope {
    struct str name;
    struct cel_value value;
    const struct cel_scope *parent;
};
struct cel_eval {
    struct arena *arena;
    const struct cel_program *program;
    const struct cel_binding *bindings;
    size_t binding_count;
    uint64_t spent, limit;
    size_t memory_start;
    uint64_t steps;
    const struct cel_node *node; // the call that runs, for its constant pattern
    bool cancelled;
    const char *limit_message;
};
bool cel_spend(struct cel_eval *e, uint64_t cost);
uint64_t cel_size_of(const struct cel_value *v); // 1 for scalars

struct cel_list {
    const struct doc_value *doc; // when the list is a document's
    const struct cel_type *type; // of the list, or NULL
    struct cel_value *items;
    size_t len, cap;
};
struct cel_pair {
    struct cel_value key, value;
};
struct cel_map {
    const struct doc_value *doc;
    const struct cel_type *type; // of the map, or NULL
    struct cel_pair *pairs;
    size_t len, cap;
};
struct cel_value cel_list_make(struct arena *arena, size_t cap);
void cel_list_add(struct arena *arena, struct cel_list *list, struct cel_value item);
struct cel_value cel_list_at(struct cel_eval *e, const struct cel_value *list, size_t i);
size_t cel_list_len(const struct cel_value *list);
struct cel_value cel_map_make(struct arena *arena);
void cel_map_add(struct arena *arena, struct cel_map *map, struct cel_value key,
                 struct cel_value value);
// Replaces the value of a key that is there.
void cel_map_put(struct cel_eval *e, struct cel_map *map, struct cel_value key,
                 struct cel_value value);
size_t cel_map_len(const struct cel_value *map);
// The i-th key and value of a map or object.
void cel_map_entry(struct cel_eval *e, const struct cel_value *map, size_t i, struct cel_value *key,
                   struct cel_value *value);
// False when there is no such key; a CEL_ERROR in *out stands for what cannot be read.
bool cel_map_find(struct cel_eval *e, const struct cel_value *map, const struct cel_value *key,
                  struct cel_value *out);
bool cel_field_find(struct cel_eval *e, const struct cel_value *object, struct str name,
                    struct cel_value *out);
bool cel_equal(struct cel_eval *e, const struct cel_value *a, const struct cel_value *b);
// False when they cannot be compared.
bool cel_compare(const struct cel_value *a, const struct cel_value *b, int *order);
struct cel_value cel_no_overload(struct cel_eval *e);
bool cel_is_zero(const struct cel_value *v);
struct str cel_display(struct arena *arena, const struct cel_value *v); // as Go's %v of a key
struct str cel_double_text(struct arena *arena, double d);              // as strconv 'g' -1
struct cel_value cel_arith(struct cel_eval *e, enum cel_operator op, const struct cel_value *a,
                           const struct cel_value *b);
struct cel_value cel_concat(struct cel_eval *e, const struct cel_value *a,
                            const struct cel_value *b);
struct str cel_value_type_name(const struct cel_value *v);
int64_t cel_runes(struct str text);
size_t cel_rune_offset(struct str text, int64_t rune); // bytes before that character

// ---- time.c ----
bool cel_time_parse(struct str text, struct cel_time *out);
struct str cel_time_format(struct arena *arena, struct cel_time time);
bool cel_duration_parse(struct str text, struct cel_time *out);
struct str cel_duration_text(struct arena *arena, struct cel_time duration); // "90s", "1.5s"
bool cel_time_in_range(struct cel_time time);
int cel_time_compare(struct cel_time a, struct cel_time b);
bool cel_duration_ns(struct cel_time duration, int64_t *ns);
struct cel_time cel_duration_from_ns(int64_t ns);

// ---- Kubernetes' own kinds ----
bool cel_other_equal(const struct cel_value *a, const struct cel_value *b); // same kind
// What of a constant format and a literal list of arguments can only fail.
void cel_format_check(struct cel_compiler *c, struct cel_node *call);
// A function of one constant.
struct cel_value cel_call_constant(const struct cel_program *program, const struct cel_node *node,
                                   struct cel_value arg);
uint64_t cel_format_cost(struct str name); // of a named format, for a text of up to nine characters
struct str cel_format_string(struct cel_eval *e, struct str format, const struct cel_value *list,
                             struct cel_value *error);
// string(ip), string(cidr)
struct cel_value cel_net_text(struct cel_eval *e, const struct cel_value *v);
bool cel_net_equal(const struct cel_value *a, const struct cel_value *b);

#endif
