// SPDX-License-Identifier: Apache-2.0
// The Common Expression Language as Kubernetes uses it: rules of CRDs, admission policies, match conditions. Everything here is
// a pure function of its arguments. A program is compiled once, lives in its arena, does not change and may be
// evaluated by any number of callers at the same time.
#ifndef SKIFF_CEL_CEL_H
#define SKIFF_CEL_CEL_H

#include "doc/doc.h"

// Kinds of values and of types. The last two are types only.
#define CEL_KINDS(X)                              \
    X(CEL_ERROR, "error")                         \
    X(CEL_NULL, "null_type")                      \
    X(CEL_BOOL, "bool")                           \
    X(CEL_INT, "int")                             \
    X(CEL_UINT, "uint")                           \
    X(CEL_DOUBLE, "double")                       \
    X(CEL_STRING, "string")                       \
    X(CEL_BYTES, "bytes")                         \
    X(CEL_LIST, "list")                           \
    X(CEL_MAP, "map")                             \
    X(CEL_OBJECT, "object")                       \
    X(CEL_TYPE, "type")                           \
    X(CEL_TIMESTAMP, "google.protobuf.Timestamp") \
    X(CEL_DURATION, "google.protobuf.Duration")   \
    X(CEL_OPTIONAL, "optional_type")              \
    X(CEL_QUANTITY, "kubernetes.Quantity")        \
    X(CEL_URL, "kubernetes.URL")                  \
    X(CEL_IP, "net.IP")                           \
    X(CEL_CIDR, "net.CIDR")                       \
    X(CEL_SEMVER, "kubernetes.Semver")            \
    X(CEL_FORMAT, "kubernetes.NamedFormat")       \
    X(CEL_HOST, "host")                           \
    X(CEL_DYN, "dyn")                             \
    X(CEL_PARAM, "param")

enum cel_kind {
#define X(kind, name) kind,
    CEL_KINDS(X)
#undef X
};
const char *cel_kind_name(enum cel_kind kind);

// How lists of documents are compared and added: x-kubernetes-list-type.
enum cel_list_type { CEL_LIST_ATOMIC, CEL_LIST_SET, CEL_LIST_MAP };

struct cel_type;
struct cel_field {
    struct str name; // as expressions write it (cel_escape)
    struct str key;  // as the document has it
    const struct cel_type *type;
};

// The type of an expression, and how values of a document are read. NULL is dyn: whatever the document has.
struct cel_type {
    uint8_t kind;
    uint8_t list_type; // of CEL_LIST
    bool nullable;
    bool int_or_string; // of CEL_DYN: only these are legal
    struct str name;    // of CEL_OBJECT and CEL_PARAM, for messages
    const struct cel_type *key, *item;
    const struct cel_field *fields; // of CEL_OBJECT, sorted by name
    size_t field_count;
    const struct str *list_keys; // of maps written as lists
    size_t list_key_count;
    const struct cel_type *bound; // of CEL_PARAM while checking
};

struct cel_list;
struct cel_map;
struct cel_host;

struct cel_object { // a document with the type that describes it
    const struct doc_value *doc;
    const struct cel_type *type;
};

struct cel_time {
    int64_t seconds; // since 1970, or of a duration; a duration's parts have the same sign
    int32_t nanos;
    int32_t offset; // of the time zone it was written in, in seconds; for its text only
};

struct cel_value {
    uint8_t kind;
    bool builder; // a list or map that the running comprehension alone holds and may grow
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double number;
        struct str text; // CEL_STRING, CEL_BYTES, CEL_ERROR (the message), CEL_FORMAT (its name)
        struct cel_time time;
        struct cel_list *list;
        struct cel_map *map;
        struct cel_object object;
        const struct cel_type *type;
        const struct cel_value *optional; // NULL: none
        const struct cel_host *host;
        const void *other; // CEL_QUANTITY, CEL_URL, CEL_IP, CEL_CIDR, CEL_SEMVER
    } u;
};

// An object whose fields somebody else computes when they are asked for (`variables` of a policy). `find` answers with a value,
// which may be an error; it is called at most as often as an expression names the field.
struct cel_host {
    struct cel_value (*find)(void *context, struct arena *arena, struct str field);
    void *context;
};

struct cel_variable {
    struct str name;
    const struct cel_type *type; // NULL: dyn
};
struct cel_env {
    const struct cel_variable *variables;
    size_t variable_count;
};

struct cel_program;
struct cel_problem {
    struct str text; // as the API server says it ("ERROR: <input>:1:6: ...")
    bool late; // the expression is right, but a program cannot be made of it (a wrong pattern)
};
// NULL when the expression is wrong; then `problem` says why. Types and texts of the environment must live as long as
// the program.
struct cel_program *cel_compile(struct arena *arena, struct str text, const struct cel_env *env,
                                struct cel_problem *problem);
void cel_program_release(struct cel_program *program); // compiled patterns; NULL is fine
const struct cel_type *cel_program_type(const struct cel_program *program);
struct str cel_type_name(struct arena *arena,
                         const struct cel_type *type); // "list(int)", for messages
bool cel_program_uses(const struct cel_program *program, struct str variable);

// Kubernetes' limits, in its unit of cost.
enum {
    CEL_COST_CALL = 1000 * 1000,          // one evaluation
    CEL_COST_OBJECT = 10 * 1000 * 1000,   // all rules of one object, or of one policy binding
    CEL_COST_MATCH = 2500 * 1000,         // all match conditions of one webhook
    CEL_MEMORY_CALL = 16 * 1024 * 1024,   // what one evaluation may add to its arena
    CEL_TEXT_MAX = 100 * 1000,            // characters of an expression
    CEL_DEPTH_MAX = 250,                  // nesting of an expression
    CEL_MESSAGE_MAX = 5 * 1024,           // a text that messageExpression makes
    CEL_NODES_MAX = 100 * 1000,           // parts of an expression after its macros
    CEL_DECLARED_STEPS = 2 * 1000 * 1000, // unifications while checking one expression
};

struct cel_binding {
    struct str name;
    struct cel_value value;
};
// What an evaluation may cost, and what it did.
struct cel_cost {
    uint64_t limit; // 0: CEL_COST_CALL
    uint64_t spent;
};

// The result may share with the bindings and the program. False when the expression fails (`err` has what Kubernetes shows:
// "no such key: x", "division by zero", ...); ERR_LIMIT when it cost too much ("operation cancelled: ...").
bool cel_eval(const struct cel_program *program, const struct cel_binding *bindings, size_t count,
              struct cel_cost *cost, struct arena *arena, struct cel_value *result,
              struct err *err) MUST_USE;

// ---- Values ----
struct cel_value cel_from_doc(struct arena *arena, const struct doc_value *doc,
                              const struct cel_type *type);
struct cel_value cel_error(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline struct cel_value cel_bool(bool b) {
    return (struct cel_value){.kind = CEL_BOOL, .u.boolean = b};
}
static inline struct cel_value cel_int(int64_t i) {
    return (struct cel_value){.kind = CEL_INT, .u.integer = i};
}
static inline struct cel_value cel_text(struct str text) {
    return (struct cel_value){.kind = CEL_STRING, .u.text = text};
}
static inline struct cel_value cel_null(void) {
    return (struct cel_value){.kind = CEL_NULL};
}
struct cel_value cel_optional(struct arena *arena, const struct cel_value *value); // NULL: none
// JSON of a value; false for what has none (types, errors).
bool cel_to_doc(struct arena *arena, const struct cel_value *value, struct doc_value *out);

// The name of a property as an expression writes it ("a-b" -> "a__dash__b"); false when it cannot be written.
bool cel_escape(struct arena *arena, struct str key, struct str *out);

#endif
