// SPDX-License-Identifier: Apache-2.0
// openAPIV3Schema of a CRD version -> the form that pruning, defaulting and validation walk. Regular expressions are
// compiled once, here. The schema's author is not trusted more than the objects: depth and size have limits.
#include <math.h>

#include "base/limits.h"
#include "base/vec.h"
#include "schema/struct_internal.h"

struct compiler {
    struct schema_struct *schema;
    struct arena *arena;
    struct err *err;
};

static struct struct_node *compile_node(struct compiler *c, const struct doc_value *doc,
                                        struct str path, unsigned depth);

static bool refuse(struct compiler *c, struct str path, const char *message) {
    return err_set(c->err, ERR_INVALID, "%.*s: %s", STR_ARG(path), message);
}

static struct str child(struct compiler *c, struct str path, const char *name) {
    return arena_printf(c->arena, "%.*s.%s", STR_ARG(path), name);
}

// ---- Parts ----

static bool compile_type(struct compiler *c, struct struct_node *node, const struct doc_value *doc,
                         struct str path) {
    static const struct {
        const char *name;
        enum struct_type type;
    } TYPES[] = {{"object", STRUCT_OBJECT}, {"array", STRUCT_ARRAY},
                 {"string", STRUCT_STRING}, {"integer", STRUCT_INTEGER},
                 {"number", STRUCT_NUMBER}, {"boolean", STRUCT_BOOLEAN}};
    struct str type = doc_get_str(doc, "type");
    for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
        if (str_eq_c(type, TYPES[i].name)) {
            node->types = (uint8_t)TYPES[i].type;
        }
    }
    if (type.n && !node->types) {
        return err_set(c->err, ERR_INVALID,
                       "%.*s.type: Unsupported value: \"%.*s\": supported values: \"array\", "
                       "\"boolean\", \"integer\", \"number\", \"object\", \"string\"",
                       STR_ARG(path), STR_ARG(type));
    }
    if (doc_bool(doc_get(doc, "x-kubernetes-int-or-string"), false)) {
        node->types = STRUCT_INTEGER | STRUCT_STRING;
        node->int_or_string = true;
    }
    return true;
}

static struct struct_limit limit_of(const struct doc_value *doc, const char *key) {
    const struct doc_value *v = doc_get(doc, key);
    if (!doc_is(v, DOC_INT) && !doc_is(v, DOC_NUMBER)) {
        return (struct struct_limit){0};
    }
    double number = doc_double(v, 0);
    bool fits = number >= -9e18 && number <= 9e18;
    int64_t count = doc_int(v, fits ? (int64_t)number : number > 0 ? INT64_MAX : INT64_MIN);
    return (struct struct_limit){.set = true, .count = count, .number = number};
}

static void compile_limits(struct struct_node *node, const struct doc_value *doc) {
    node->minimum = limit_of(doc, "minimum");
    node->maximum = limit_of(doc, "maximum");
    node->multiple_of = limit_of(doc, "multipleOf");
    node->min_length = limit_of(doc, "minLength");
    node->max_length = limit_of(doc, "maxLength");
    node->min_items = limit_of(doc, "minItems");
    node->max_items = limit_of(doc, "maxItems");
    node->min_properties = limit_of(doc, "minProperties");
    node->max_properties = limit_of(doc, "maxProperties");
    node->exclusive_minimum = doc_bool(doc_get(doc, "exclusiveMinimum"), false);
    node->exclusive_maximum = doc_bool(doc_get(doc, "exclusiveMaximum"), false);
    node->unique_items = doc_bool(doc_get(doc, "uniqueItems"), false);
}

static bool compile_regex(struct compiler *c, struct str pattern, struct regex **out,
                          struct str path) {
    char problem[256];
    *out = regex_create(pattern.p, pattern.n, problem, sizeof problem);
    if (!*out) {
        return err_set(c->err, ERR_INVALID,
                       "%.*s.pattern: Invalid value: \"%.*s\": must be a valid regular expression, "
                       "but isn't: %s",
                       STR_ARG(path), STR_ARG(pattern), problem);
    }
    VEC_PUSH(&c->schema->regexes, *out);
    return true;
}

// Formats that do not go with the type, or that nobody knows, are ignored, as kube-apiserver does.
static bool compile_text(struct compiler *c, struct struct_node *node, const struct doc_value *doc,
                         struct str path) {
    node->pattern = doc_get_str(doc, "pattern");
    if (node->pattern.n && !compile_regex(c, node->pattern, &node->regex, path)) {
        return false;
    }
    struct str format = doc_get_str(doc, "format");
    bool number =
        node->types == STRUCT_NUMBER && (str_eq_c(format, "float") || str_eq_c(format, "double"));
    bool integer =
        node->types == STRUCT_INTEGER && (str_eq_c(format, "int32") || str_eq_c(format, "int64"));
    bool text = (node->types == 0 || node->types == STRUCT_STRING ||
                 node->types == (STRUCT_STRING | STRUCT_INTEGER)) &&
                struct_format_known(format);
    if (number || integer || text) {
        node->format = format;
    }
    const char *pattern = text ? struct_format_pattern(format) : NULL;
    return !pattern || compile_regex(c, str_from(pattern), &node->format_regex, path);
}

static int compare_properties(const void *a, const void *b) {
    return str_cmp(((const struct struct_property *)a)->name,
                   ((const struct struct_property *)b)->name);
}

static bool compile_properties(struct compiler *c, struct struct_node *node,
                               const struct doc_value *doc, struct str path, unsigned depth) {
    const struct doc_value *properties = doc_get(doc, "properties");
    size_t count = doc_is(properties, DOC_OBJECT) ? doc_len(properties) : 0;
    node->properties = ARENA_ARRAY(c->arena, count ? count : 1, struct struct_property);
    for (size_t i = 0; i < count; i++) {
        struct str name = doc_key_at(properties, i);
        struct str at =
            arena_printf(c->arena, "%.*s.properties[%.*s]", STR_ARG(path), STR_ARG(name));
        struct struct_node *property = compile_node(c, doc_value_at(properties, i), at, depth + 1);
        if (!property) {
            return false;
        }
        node->properties[i] = (struct struct_property){name, property};
    }
    node->property_count = count;
    if (count > 1) {
        qsort(node->properties, count, sizeof *node->properties, compare_properties);
    }
    const struct doc_value *additional = doc_get(doc, "additionalProperties");
    node->additional = doc_is(additional, DOC_OBJECT) || doc_bool(additional, false);
    if (doc_is(additional, DOC_OBJECT)) {
        node->additional_node =
            compile_node(c, additional, child(c, path, "additionalProperties"), depth + 1);
        return node->additional_node != NULL;
    }
    return true;
}

static bool compile_branches(struct compiler *c, const struct doc_value *doc, const char *key,
                             struct struct_nodes *out, struct str path, unsigned depth) {
    const struct doc_value *list = doc_get(doc, key);
    size_t count = doc_is(list, DOC_ARRAY) ? doc_len(list) : 0;
    out->items = ARENA_ARRAY(c->arena, count ? count : 1, struct struct_node *);
    for (size_t i = 0; i < count; i++) {
        struct str at = arena_printf(c->arena, "%.*s.%s[%zu]", STR_ARG(path), key, i);
        out->items[i] = compile_node(c, doc_at(list, i), at, depth + 1);
        if (!out->items[i]) {
            return false;
        }
    }
    out->len = count;
    return true;
}

static bool compile_inner(struct compiler *c, struct struct_node *node, const struct doc_value *doc,
                          struct str path, unsigned depth) {
    const struct doc_value *items = doc_get(doc, "items");
    const struct doc_value *not_doc = doc_get(doc, "not");
    if (doc_is(items, DOC_ARRAY)) {
        return refuse(c, child(c, path, "items"),
                      "Forbidden: items must be a schema object and not an array");
    }
    if (doc_is(items, DOC_OBJECT)) {
        node->items = compile_node(c, items, child(c, path, "items"), depth + 1);
        if (!node->items) {
            return false;
        }
    }
    if (doc_is(not_doc, DOC_OBJECT)) {
        node->not_node = compile_node(c, not_doc, child(c, path, "not"), depth + 1);
        if (!node->not_node) {
            return false;
        }
    }
    return compile_branches(c, doc, "allOf", &node->all_of, path, depth) &&
           compile_branches(c, doc, "anyOf", &node->any_of, path, depth) &&
           compile_branches(c, doc, "oneOf", &node->one_of, path, depth);
}

static void compile_rules(struct compiler *c, struct struct_node *node,
                          const struct doc_value *doc) {
    const struct doc_value *rules = doc_get(doc, "x-kubernetes-validations");
    size_t count = doc_is(rules, DOC_ARRAY) ? doc_len(rules) : 0;
    node->rules = ARENA_ARRAY(c->arena, count ? count : 1, struct struct_rule);
    node->rule_count = count;
    c->schema->rule_count += count;
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *rule = doc_at(rules, i);
        node->rules[i] = (struct struct_rule){
            .text = doc_get_str(rule, "rule"),
            .message = doc_get_str(rule, "message"),
            .message_text = doc_get_str(rule, "messageExpression"),
            .reason = doc_get_str(rule, "reason"),
            .optional_old = doc_bool(doc_get(rule, "optionalOldSelf"), false),
        };
        struct_field_path(c->arena, doc, doc_get_str(rule, "fieldPath"),
                          &node->rules[i].field_path);
    }
}

static void compile_extensions(struct compiler *c, struct struct_node *node,
                               const struct doc_value *doc) {
    struct str list_type = doc_get_str(doc, "x-kubernetes-list-type");
    node->list_type = str_eq_c(list_type, "set")   ? STRUCT_LIST_SET
                      : str_eq_c(list_type, "map") ? STRUCT_LIST_MAP
                                                   : STRUCT_LIST_NONE;
    node->list_keys = doc_get(doc, "x-kubernetes-list-map-keys");
    node->nullable = doc_bool(doc_get(doc, "nullable"), false);
    node->preserve = doc_bool(doc_get(doc, "x-kubernetes-preserve-unknown-fields"), false);
    node->embedded = doc_bool(doc_get(doc, "x-kubernetes-embedded-resource"), false);
    c->schema->has_embedded = c->schema->has_embedded || node->embedded;
    node->map_atomic = str_eq_c(doc_get_str(doc, "x-kubernetes-map-type"), "atomic");
    node->required = doc_get(doc, "required");
    node->enumeration = doc_get(doc, "enum");
    compile_rules(c, node, doc);
    const struct doc_value *fallback = doc_get(doc, "default");
    if (!doc_is_null(fallback)) {
        node->has_default = true;
        node->fallback = *fallback;
    }
}

static struct struct_node *compile_node(struct compiler *c, const struct doc_value *doc,
                                        struct str path, unsigned depth) {
    if (!doc_is(doc, DOC_OBJECT)) {
        refuse(c, path, "a schema must be an object");
        return NULL;
    }
    if (depth > LIMIT_SCHEMA_DEPTH || ++c->schema->node_count > LIMIT_SCHEMA_NODES) {
        err_set(c->err, ERR_LIMIT, "%.*s: the schema is too deep or too large (%s)", STR_ARG(path),
                depth > LIMIT_SCHEMA_DEPTH ? "LIMIT_SCHEMA_DEPTH" : "LIMIT_SCHEMA_NODES");
        return NULL;
    }
    if (doc_get(doc, "$ref")) {
        refuse(c, child(c, path, "$ref"), "Forbidden: $ref is not supported");
        return NULL;
    }
    struct struct_node *node = ARENA_NEW(c->arena, struct struct_node);
    compile_limits(node, doc);
    compile_extensions(c, node, doc);
    bool ok = compile_type(c, node, doc, path) && compile_text(c, node, doc, path) &&
              compile_properties(c, node, doc, path, depth) &&
              compile_inner(c, node, doc, path, depth);
    return ok ? node : NULL;
}

// ---- Public ----

static struct schema_struct *compile(const struct doc_value *open_api_v3, bool part,
                                     struct err *err) {
    struct schema_struct *schema = NEW(struct schema_struct);
    schema->part = part;
    schema->arena = arena_create();
    struct doc_value copy =
        doc_clone(schema->arena, open_api_v3 ? open_api_v3 : &(struct doc_value){0});
    struct compiler c = {.schema = schema, .arena = schema->arena, .err = err};
    schema->root = compile_node(&c, &copy, STR("openAPIV3Schema"), 0);
    if (!schema->root) {
        schema_struct_destroy(schema);
        return NULL;
    }
    struct_rules_compile(schema);
    return schema;
}

struct schema_struct *schema_struct_compile(const struct doc_value *open_api_v3, struct err *err) {
    return compile(open_api_v3, false, err);
}

struct schema_struct *struct_compile_part(const struct doc_value *schema, struct err *err) {
    return compile(schema, true, err);
}

void schema_struct_destroy(struct schema_struct *schema) {
    if (!schema) {
        return;
    }
    for (size_t i = 0; i < schema->regexes.len; i++) {
        regex_destroy(schema->regexes.items[i]);
    }
    VEC_FREE(&schema->regexes);
    for (size_t i = 0; i < schema->programs.len; i++) {
        cel_program_release(schema->programs.items[i]);
    }
    VEC_FREE(&schema->programs);
    arena_destroy(schema->arena);
    free(schema);
}

size_t schema_struct_rule_count(const struct schema_struct *schema) {
    return schema->rule_count;
}

const struct struct_property *struct_property_find(const struct struct_node *node,
                                                   struct str name) {
    size_t low = 0;
    size_t high = node->property_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, node->properties[middle].name);
        if (order == 0) {
            return &node->properties[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
