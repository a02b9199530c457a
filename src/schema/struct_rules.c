// SPDX-License-Identifier: Apache-2.0
// The OpenAPI side of a CRD's schema: constructs that are not supported, list and map types that must fit together, and the rules of
// CEL with what is wrong in them.
#include "base/limits.h"
#include "schema/schema.h"
#include "schema/struct_check.h"

struct scope {               // what holds for a part of the schema because of what is around it
    const char *no_defaults; // why defaults are forbidden; NULL: they are not
    bool meta;               // inside of apiVersion, kind or metadata
    struct str uncorrelated; // where old and new values stop to correspond; empty: nowhere
    bool root;
    unsigned depth;
};

static void check(struct schema_check *k, const struct doc_value *schema,
                  const struct struct_node *node, struct str path, struct scope scope);

static bool flag(const struct doc_value *schema, const char *name) {
    return doc_bool(doc_find(schema, str_from(name)), false);
}

static const struct doc_value *type_value(const struct doc_value *schema) {
    static const struct doc_value EMPTY = {.kind = DOC_STRING, .u.text = ""};
    const struct doc_value *type = doc_get(schema, "type");
    return type ? type : &EMPTY;
}

// ---- Not supported ----

static void check_odd(struct schema_check *k, const struct doc_value *schema, struct str path,
                      const struct scope *scope) {
    static const char *const ODD[] = {"id",          "additionalItems", "patternProperties",
                                      "definitions", "dependencies",    "$ref"};
    struct str type = doc_get_str(schema, "type");
    if (type.n && !str_has(STR(" array boolean integer number object string "),
                           arena_printf(k->v.arena, " %.*s ", STR_ARG(type)))) {
        check_unsupported(
            k, check_child(k, path, "type"), type,
            "\"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"");
    }
    if (scope->no_defaults && !doc_is_null(doc_get(schema, "default"))) {
        struct str detail = arena_printf(k->v.arena, "must not be set %s", scope->no_defaults);
        check_forbidden(k, check_child(k, path, "default"), arena_cstr(k->v.arena, detail));
    }
    for (size_t i = 0; i < ARRAY_LEN(ODD); i++) {
        if (!doc_is_null(doc_find(schema, str_from(ODD[i])))) {
            struct str detail = arena_printf(k->v.arena, "%s is not supported", ODD[i]);
            check_forbidden(k, check_child(k, path, ODD[i]), arena_cstr(k->v.arena, detail));
        }
    }
    if (str_eq_c(type, "null")) {
        check_forbidden(k, check_child(k, path, "type"),
                        "type cannot be set to null, use nullable as an alternative");
    }
    if (doc_is(doc_get(schema, "items"), DOC_ARRAY)) {
        check_forbidden(k, check_child(k, path, "items"),
                        "items must be a schema object and not an array");
    }
    if (scope->meta && flag(schema, "x-kubernetes-embedded-resource")) {
        check_forbidden(k, check_child(k, path, "x-kubernetes-embedded-resource"),
                        "must not be used inside of resource meta");
    }
    if (flag(schema, "uniqueItems")) {
        check_forbidden(
            k, check_child(k, path, "uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    }
    const struct doc_value *additional = doc_get(schema, "additionalProperties");
    if (doc_len(doc_get(schema, "properties")) > 0 &&
        (doc_is(additional, DOC_OBJECT) ||
         (doc_is(additional, DOC_BOOL) && !doc_bool(additional, true)))) {
        check_forbidden(k, check_child(k, path, "additionalProperties"),
                        "additionalProperties and properties are mutual exclusive");
    }
    const struct doc_value *keep = doc_get(schema, "x-kubernetes-preserve-unknown-fields");
    if (doc_is(keep, DOC_BOOL) && !doc_bool(keep, true)) {
        check_invalid(k, check_child(k, path, "x-kubernetes-preserve-unknown-fields"), keep,
                      "must be true or undefined");
    }
}

// ---- Lists and maps ----

static void need_type(struct schema_check *k, const struct doc_value *schema, struct str path,
                      const char *type, const char *detail) {
    if (doc_get_str(schema, "type").n == 0) {
        check_required(k, check_child(k, path, "type"), detail);
    } else if (!str_eq_c(doc_get_str(schema, "type"), type)) {
        check_invalid(k, check_child(k, path, "type"), type_value(schema), detail);
    }
}

static void check_set_items(struct schema_check *k, const struct doc_value *items,
                            struct str path) {
    struct str at = check_child(k, path, "items");
    const struct doc_value *list = doc_get(items, "x-kubernetes-list-type");
    const struct doc_value *map = doc_get(items, "x-kubernetes-map-type");
    static const char DETAIL[] = "must be atomic as item of a list with x-kubernetes-list-type=set";
    if (str_eq_c(doc_get_str(items, "type"), "array") && list &&
        !str_eq_c(doc_str(list), "atomic")) {
        check_invalid(k, check_child(k, at, "x-kubernetes-list-type"), list, DETAIL);
    }
    if (str_eq_c(doc_get_str(items, "type"), "object") && !str_eq_c(doc_str(map), "atomic")) {
        check_invalid(k, check_child(k, at, "x-kubernetes-map-type"), list, DETAIL);
    }
}

static bool has_text(const struct doc_value *list, struct str text, size_t before) {
    for (size_t i = 0; i < doc_len(list) && i < before; i++) {
        if (str_eq(doc_str(doc_at(list, i)), text)) {
            return true;
        }
    }
    return false;
}

static void check_map_keys(struct schema_check *k, const struct doc_value *schema,
                           struct str path) {
    const struct doc_value *keys = doc_get(schema, "x-kubernetes-list-map-keys");
    const struct doc_value *items = doc_get(schema, "items");
    struct str at = check_child(k, path, "x-kubernetes-list-map-keys");
    if (doc_len(keys) == 0) {
        check_required(k, at, "must not be empty if x-kubernetes-list-type is map");
    }
    if (doc_is_null(items)) {
        check_required(k, check_child(k, path, "items"),
                       "must have a schema if x-kubernetes-list-type is map");
        return;
    }
    struct str inner = check_child(k, path, "items");
    if (!str_eq_c(doc_get_str(items, "type"), "object")) {
        check_invalid(k, check_child(k, inner, "type"), type_value(items),
                      "must be object if parent array's x-kubernetes-list-type is map");
        return;
    }
    for (size_t i = 0; i < doc_len(keys); i++) {
        struct str key = doc_str(doc_at(keys, i));
        const struct doc_value *property = doc_find(doc_get(items, "properties"), key);
        struct str type = doc_get_str(property, "type");
        if (!property) {
            check_invalid(k, at, keys, "entries must all be names of item properties");
        } else if (str_eq_c(type, "array") || str_eq_c(type, "object")) {
            check_invalid(
                k, check_child(k, check_key(k, check_child(k, inner, "properties"), key), "type"),
                type_value(items),
                "must be a scalar type if parent array's x-kubernetes-list-type is map");
        }
        if (has_text(keys, key, i)) {
            check_invalid(k, at, keys, "must not contain duplicate entries");
        }
    }
}

// Keys must be there, in each item.
static void check_key_values(struct schema_check *k, const struct doc_value *schema,
                             struct str path) {
    struct str type = doc_get_str(schema, "x-kubernetes-list-type");
    const struct doc_value *items = doc_get(schema, "items");
    struct str inner = check_child(k, path, "items");
    if (!doc_is(items, DOC_OBJECT)) {
        return;
    }
    if (flag(items, "nullable")) {
        struct str detail = arena_printf(
            k->v.arena, "cannot be nullable when x-kubernetes-list-type is %.*s", STR_ARG(type));
        check_forbidden(k, check_child(k, inner, "nullable"), arena_cstr(k->v.arena, detail));
    }
    for (DOC_EACH_ITEM(doc_get(schema, "x-kubernetes-list-map-keys"), item)) {
        struct str key = doc_str(item);
        const struct doc_value *property = doc_find(doc_get(items, "properties"), key);
        struct str at = check_key(k, check_child(k, inner, "properties"), key);
        if (!property || !str_eq_c(type, "map")) {
            continue;
        }
        if (!has_text(doc_get(items, "required"), key, SIZE_MAX) &&
            doc_is_null(doc_get(property, "default"))) {
            check_required(k, check_child(k, at, "default"),
                           "this property is in x-kubernetes-list-map-keys, so it must have a "
                           "default or be a required property");
        }
        if (flag(property, "nullable")) {
            check_forbidden(k, check_child(k, at, "nullable"),
                            "this property is in x-kubernetes-list-map-keys, so it cannot be "
                            "nullable");
        }
    }
}

static void check_topology(struct schema_check *k, const struct doc_value *schema,
                           struct str path) {
    const struct doc_value *map = doc_get(schema, "x-kubernetes-map-type");
    const struct doc_value *list = doc_get(schema, "x-kubernetes-list-type");
    if (map) {
        need_type(k, schema, path, "object",
                  "must be object if x-kubernetes-map-type is specified");
        if (!str_eq_c(doc_str(map), "atomic") && !str_eq_c(doc_str(map), "granular")) {
            check_unsupported(k, check_child(k, path, "x-kubernetes-map-type"), doc_str(map),
                              "\"atomic\", \"granular\"");
        }
    }
    bool is_map = str_eq_c(doc_str(list), "map"), is_set = str_eq_c(doc_str(list), "set");
    if (list) {
        need_type(k, schema, path, "array", "must be array if x-kubernetes-list-type is specified");
        if (is_set && str_eq_c(doc_get_str(schema, "type"), "array")) {
            check_set_items(k, doc_get(schema, "items"), path);
        }
        if (!is_map && !is_set && !str_eq_c(doc_str(list), "atomic")) {
            check_unsupported(k, check_child(k, path, "x-kubernetes-list-type"), doc_str(list),
                              "\"atomic\", \"map\", \"set\"");
        }
    }
    if (doc_len(doc_get(schema, "x-kubernetes-list-map-keys")) > 0 && !is_map) {
        static const char DETAIL[] = "must be map if x-kubernetes-list-map-keys is non-empty";
        struct str at = check_child(k, path, "x-kubernetes-list-type");
        if (list) {
            check_invalid(k, at, list, DETAIL);
        } else {
            check_required(k, at, DETAIL);
        }
    }
    if (is_map) {
        check_map_keys(k, schema, path);
    }
    if (is_map || is_set) {
        check_key_values(k, schema, path);
    }
}

// ---- Rules ----

static void check_rule_texts(struct schema_check *k, const struct doc_value *schema,
                             const struct doc_value *rule, struct str path) {
    const struct doc_value *message = doc_get(rule, "message");
    const struct doc_value *field = doc_get(rule, "fieldPath");
    struct str text = str_trim(doc_get_str(rule, "rule")), words = str_trim(doc_str(message));
    struct str maker = doc_get_str(rule, "messageExpression"), ignored;
    struct str reason = doc_get_str(rule, "reason");
    if (text.n == 0) {
        check_required(k, check_child(k, path, "rule"), "rule is not specified");
    } else if (doc_str(message).n && words.n == 0) {
        check_invalid(k, check_child(k, path, "message"), message,
                      "must be non-empty if specified");
    } else if (str_find_char(words, '\n') != STR_NPOS) {
        check_invalid(k, check_child(k, path, "message"), message, "must not contain line breaks");
    } else if (str_find_char(text, '\n') != STR_NPOS && words.n == 0) {
        check_required(k, check_child(k, path, "message"),
                       "message must be specified if rule contains line breaks");
    }
    if (maker.n && str_trim(maker).n == 0) {
        check_required(k, check_child(k, path, "messageExpression"),
                       "messageExpression must be non-empty if specified");
    }
    if (doc_get(rule, "reason") &&
        !str_has(STR(" FieldValueDuplicate FieldValueForbidden FieldValueInvalid "
                     "FieldValueRequired "),
                 arena_printf(k->v.arena, " %.*s ", STR_ARG(reason)))) {
        check_unsupported(k, check_child(k, path, "reason"), reason,
                          "\"FieldValueDuplicate\", \"FieldValueForbidden\", "
                          "\"FieldValueInvalid\", \"FieldValueRequired\"");
    }
    if (doc_str(field).n == 0) {
        return;
    }
    struct str at = check_child(k, path, "fieldPath");
    if (str_trim(doc_str(field)).n == 0) {
        check_invalid(k, at, field, "must be non-empty if specified");
    }
    if (str_find_char(doc_str(field), '\n') != STR_NPOS) {
        check_invalid(k, at, field, "must not contain line breaks");
    }
    if (!struct_field_path(k->v.arena, schema, doc_str(field), &ignored)) {
        check_invalid(k, at, field, "must be a valid path");
    }
}

static void add_go_text(struct buf *buf, struct arena *arena, struct str text) {
    struct doc_value v = doc_make_str(text);
    struct str json = doc_to_json(arena, &v);
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (c == '<' || c == '>' || c == '&') {
            buf_printf(buf, "\\u%04x", (unsigned)c);
        } else {
            buf_add_char(buf, c);
        }
    }
}

// The whole rule, as Go's encoder shows the internal type.
static struct str rule_text(struct schema_check *k, const struct doc_value *rule) {
    static const char *const FIELDS[][2] = {{"Rule", "rule"},
                                            {"Message", "message"},
                                            {"MessageExpression", "messageExpression"},
                                            {"Reason", "reason"},
                                            {"FieldPath", "fieldPath"}};
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++) {
        const struct doc_value *v = doc_find(rule, str_from(FIELDS[i][1]));
        buf_printf(&buf, "%c\"%s\":", i ? ',' : '{', FIELDS[i][0]);
        if (!v && i == 3) {
            buf_add_c(&buf, "null");
        } else {
            add_go_text(&buf, k->v.arena, doc_str(v));
        }
    }
    const struct doc_value *old = doc_get(rule, "optionalOldSelf");
    buf_printf(&buf, ",\"OptionalOldSelf\":%s}",
               !doc_is(old, DOC_BOOL) ? "null"
               : doc_bool(old, false) ? "true"
                                      : "false");
    return arena_dup(k->v.arena, buf_str(&buf));
}

static void add_rule_problem(struct schema_check *k, struct str path, struct str value,
                             struct str detail) {
    check_problem(k, &k->rules, path, "FieldValueInvalid", "Invalid value", value, detail);
}

static void check_compiled(struct schema_check *k, const struct doc_value *doc,
                           const struct struct_rule *rule, struct str path,
                           const struct scope *scope) {
    if (rule->problem.n) {
        add_rule_problem(k, check_child(k, path, "rule"), rule_text(k, doc), rule->problem);
    }
    if (rule->message_problem.n) {
        add_rule_problem(k, check_child(k, path, "messageExpression"), rule_text(k, doc),
                         rule->message_problem);
    }
    const struct doc_value *optional = doc_get(doc, "optionalOldSelf");
    if (rule->uses_old && scope->uncorrelated.n) {
        struct str detail = arena_printf(
            k->v.arena,
            "oldSelf cannot be used on the uncorrelatable portion of the schema within %.*s",
            STR_ARG(scope->uncorrelated));
        add_rule_problem(k, check_child(k, path, "rule"), problem_quote(k->v.arena, rule->text),
                         detail);
    } else if (!rule->uses_old && rule->program && doc_is(optional, DOC_BOOL)) {
        add_rule_problem(k, check_child(k, path, "optionalOldSelf"),
                         doc_bool(optional, false) ? STR("true") : STR("false"),
                         STR("may not be set if oldSelf is not used in rule"));
    }
}

static void check_rules(struct schema_check *k, const struct doc_value *schema,
                        const struct struct_node *node, struct str path, const struct scope *scope,
                        size_t before) {
    const struct doc_value *rules = doc_get(schema, "x-kubernetes-validations");
    for (size_t i = 0; i < doc_len(rules) && doc_is(rules, DOC_ARRAY); i++) {
        check_rule_texts(k, schema, doc_at(rules, i),
                         check_item(k, path, "x-kubernetes-validations", i));
    }
    for (size_t i = 0; node && k->out.count == before && i < node->rule_count; i++) {
        check_compiled(k, doc_at(rules, i), &node->rules[i],
                       check_item(k, path, "x-kubernetes-validations", i), scope);
    }
}

// ---- The walk ----

static void check_children(struct schema_check *k, const struct doc_value *schema,
                           const struct struct_node *node, struct str path, struct scope scope) {
    bool resource = scope.root || flag(schema, "x-kubernetes-embedded-resource");
    const struct doc_value *properties = doc_get(schema, "properties");
    struct str at = check_child(k, path, "properties");
    struct scope inner = scope;
    inner.root = false;
    inner.depth++;
    for (DOC_EACH_MEMBER(properties, i)) {
        struct str key = doc_key_at(properties, i);
        struct scope field = inner;
        if (resource &&
            (str_eq_c(key, "metadata") || str_eq_c(key, "kind") || str_eq_c(key, "apiVersion"))) {
            field.meta = true;
            if (scope.root) {
                field.no_defaults = arena_cstr(
                    k->v.arena, arena_printf(k->v.arena, "in top-level %.*s", STR_ARG(key)));
            }
        }
        const struct struct_property *property = node ? struct_property_find(node, key) : NULL;
        check(k, doc_value_at(properties, i), property ? property->node : NULL,
              check_key(k, at, key), field);
    }
    struct scope additional = inner;
    if (scope.meta) {
        additional.no_defaults = "inside additionalProperties applying to object metadata";
    }
    check(k, doc_get(schema, "additionalProperties"), node ? node->additional_node : NULL,
          check_child(k, path, "additionalProperties"), additional);
    struct scope items = inner;
    if (!str_eq_c(doc_get_str(schema, "x-kubernetes-list-type"), "map") &&
        items.uncorrelated.n == 0) {
        items.uncorrelated = path;
    }
    check(k, doc_get(schema, "items"), node ? node->items : NULL, check_child(k, path, "items"),
          items);
}

static void check(struct schema_check *k, const struct doc_value *schema,
                  const struct struct_node *node, struct str path, struct scope scope) {
    static const char *const LISTS[] = {"allOf", "oneOf", "anyOf"};
    if (!doc_is(schema, DOC_OBJECT) || scope.depth > LIMIT_SCHEMA_DEPTH) {
        return;
    }
    size_t before = k->out.count;
    check_odd(k, schema, path, &scope);
    check_children(k, schema, node, path, scope);
    struct scope branch = scope;
    branch.root = false;
    branch.depth++;
    check(k, doc_get(schema, "not"), NULL, check_child(k, path, "not"), branch);
    for (size_t l = 0; l < ARRAY_LEN(LISTS); l++) {
        const struct doc_value *list = doc_find(schema, str_from(LISTS[l]));
        for (size_t i = 0; i < doc_len(list) && doc_is(list, DOC_ARRAY); i++) {
            check(k, doc_at(list, i), NULL, check_item(k, path, LISTS[l], i), branch);
        }
    }
    check_topology(k, schema, path);
    check_rules(k, schema, node, path, &scope, before);
}

void check_open_api(struct schema_check *k, const struct doc_value *schema,
                    const struct struct_node *node, struct str path, bool root) {
    check(k, schema, node, path, (struct scope){.root = root});
}
