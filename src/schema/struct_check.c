// SPDX-License-Identifier: Apache-2.0
// Whether the schema of a CRD version is structural: every field has a type outside of allOf, anyOf, oneOf and not, which may
// only narrow values. In the words of kube-apiserver.
#include "schema/struct_check.h"

#include "base/limits.h"
#include "schema/schema.h"

struct str check_child(struct schema_check *k, struct str path, const char *name) {
    return arena_printf(k->v.arena, "%.*s.%s", STR_ARG(path), name);
}

struct str check_key(struct schema_check *k, struct str path, struct str key) {
    return arena_printf(k->v.arena, "%.*s[%.*s]", STR_ARG(path), STR_ARG(key));
}

struct str check_item(struct schema_check *k, struct str path, const char *list, size_t i) {
    return arena_printf(k->v.arena, "%.*s.%s[%zu]", STR_ARG(path), list, i);
}

void check_problem(struct schema_check *k, struct outcome *out, struct str path, const char *reason,
                   const char *kind, struct str value, struct str detail) {
    struct schema_problem problem = {
        .path = path,
        .message = arena_printf(k->v.arena, "%s%s%.*s: %.*s", kind, value.n ? ": " : "",
                                STR_ARG(value), STR_ARG(detail)),
        .reason = str_from(reason),
    };
    problem_copy(&k->v, out, &problem);
}

void check_required(struct schema_check *k, struct str path, const char *detail) {
    check_problem(k, &k->out, path, "FieldValueRequired", "Required value", STR(""),
                  str_from(detail));
}

void check_forbidden(struct schema_check *k, struct str path, const char *detail) {
    check_problem(k, &k->out, path, "FieldValueForbidden", "Forbidden", STR(""), str_from(detail));
}

void check_invalid(struct schema_check *k, struct str path, const struct doc_value *value,
                   const char *detail) {
    struct str text = value ? problem_value(k->v.arena, value) : STR("null");
    check_problem(k, &k->out, path, "FieldValueInvalid", "Invalid value", text, str_from(detail));
}

void check_unsupported(struct schema_check *k, struct str path, struct str value,
                       const char *supported) {
    check_problem(k, &k->out, path, "FieldValueNotSupported", "Unsupported value",
                  problem_quote(k->v.arena, value),
                  arena_concat(k->v.arena, STR("supported values: "), str_from(supported)));
}

static bool flag(const struct doc_value *schema, const char *name) {
    return doc_bool(doc_find(schema, str_from(name)), false);
}

// ---- What cannot be made structural at all ----

static bool is_odd(const struct doc_value *schema, unsigned depth) {
    static const char *const ODD[] = {
        "id",           "$schema",         "$ref",       "patternProperties",
        "dependencies", "additionalItems", "definitions"};
    static const char *const LISTS[] = {"allOf", "anyOf", "oneOf"};
    if (!doc_is(schema, DOC_OBJECT) || depth > LIMIT_SCHEMA_DEPTH) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(ODD); i++) {
        const struct doc_value *v = doc_find(schema, str_from(ODD[i]));
        if (!doc_is_null(v)) {
            return true;
        }
    }
    const struct doc_value *keep = doc_get(schema, "x-kubernetes-preserve-unknown-fields");
    if (doc_is(doc_get(schema, "items"), DOC_ARRAY) ||
        (doc_is(keep, DOC_BOOL) && !doc_bool(keep, true))) {
        return true;
    }
    const struct doc_value *properties = doc_get(schema, "properties");
    for (DOC_EACH_MEMBER(properties, i)) {
        if (is_odd(doc_value_at(properties, i), depth + 1)) {
            return true;
        }
    }
    for (size_t l = 0; l < ARRAY_LEN(LISTS); l++) {
        for (DOC_EACH_ITEM(doc_find(schema, str_from(LISTS[l])), branch)) {
            if (is_odd(branch, depth + 1)) {
                return true;
            }
        }
    }
    return is_odd(doc_get(schema, "items"), depth + 1) ||
           is_odd(doc_get(schema, "not"), depth + 1) ||
           is_odd(doc_get(schema, "additionalProperties"), depth + 1);
}

// ---- Value validations ----

static void check_nested(struct schema_check *k, const struct doc_value *schema, bool skip_any,
                         struct str path);

static void check_pattern(struct schema_check *k, const struct doc_value *schema, struct str path) {
    struct str pattern = doc_get_str(schema, "pattern");
    char problem[256];
    if (pattern.n == 0) {
        return;
    }
    struct regex *regex = regex_create(pattern.p, pattern.n, problem, sizeof problem);
    if (!regex) {
        struct str detail = arena_printf(
            k->v.arena, "must be a valid regular expression, but isn't: error parsing regexp: %s",
            problem);
        check_invalid(k, check_child(k, path, "pattern"), doc_get(schema, "pattern"),
                      arena_cstr(k->v.arena, detail));
    }
    regex_destroy(regex);
}

static bool is_type_only(const struct doc_value *schema, const char *type) {
    return doc_is(schema, DOC_OBJECT) && doc_len(schema) == 1 &&
           str_eq_c(doc_get_str(schema, "type"), type);
}

static bool is_int_or_string(const struct doc_value *any_of) {
    return doc_len(any_of) == 2 && is_type_only(doc_at(any_of, 0), "integer") &&
           is_type_only(doc_at(any_of, 1), "string");
}

static void check_values(struct schema_check *k, const struct doc_value *schema, bool skip_any,
                         bool skip_first_all, struct str path) {
    static const char *const LISTS[] = {"anyOf", "allOf", "oneOf"};
    for (size_t l = 0; l < ARRAY_LEN(LISTS); l++) {
        const struct doc_value *list = doc_find(schema, str_from(LISTS[l]));
        for (size_t i = 0; i < doc_len(list) && doc_is(list, DOC_ARRAY) && !(l == 0 && skip_any);
             i++) {
            check_nested(k, doc_at(list, i), l == 1 && i == 0 && skip_first_all,
                         check_item(k, path, LISTS[l], i));
        }
    }
    check_nested(k, doc_get(schema, "not"), false, check_child(k, path, "not"));
    check_pattern(k, schema, path);
}

static void check_nested_extensions(struct schema_check *k, const struct doc_value *schema,
                                    struct str path) {
    static const struct {
        const char *name, *detail;
    } FORBIDDEN[] = {
        {"x-kubernetes-preserve-unknown-fields", "must be false to be structural"},
        {"x-kubernetes-embedded-resource", "must be false to be structural"},
        {"x-kubernetes-int-or-string", "must be false to be structural"},
        {"x-kubernetes-list-map-keys", "must be empty to be structural"},
        {"x-kubernetes-list-type", "must be undefined to be structural"},
        {"x-kubernetes-map-type", "must be undefined to be structural"},
        {"x-kubernetes-validations", "must be empty to be structural"},
    };
    for (size_t i = 0; i < ARRAY_LEN(FORBIDDEN); i++) {
        const struct doc_value *v = doc_find(schema, str_from(FORBIDDEN[i].name));
        bool empty = doc_is_null(v) || (doc_is(v, DOC_BOOL) && !doc_bool(v, false)) ||
                     (doc_is(v, DOC_ARRAY) && doc_len(v) == 0);
        if (!empty) {
            check_forbidden(k, check_child(k, path, FORBIDDEN[i].name), FORBIDDEN[i].detail);
        }
    }
}

static void check_nested(struct schema_check *k, const struct doc_value *schema, bool skip_any,
                         struct str path) {
    if (!doc_is(schema, DOC_OBJECT)) {
        return;
    }
    check_values(k, schema, skip_any, false, path);
    check_nested(k, doc_get(schema, "items"), false, check_child(k, path, "items"));
    const struct doc_value *properties = doc_get(schema, "properties");
    struct str at = check_child(k, path, "properties");
    for (DOC_EACH_MEMBER(properties, i)) {
        check_nested(k, doc_value_at(properties, i), false,
                     check_key(k, at, doc_key_at(properties, i)));
    }
    if (doc_get_str(schema, "type").n) {
        check_forbidden(k, check_child(k, path, "type"), "must be empty to be structural");
    }
    if (!doc_is_null(doc_get(schema, "additionalProperties"))) {
        check_forbidden(k, check_child(k, path, "additionalProperties"),
                        "must be undefined to be structural");
    }
    if (!doc_is_null(doc_get(schema, "default"))) {
        check_forbidden(k, check_child(k, path, "default"), "must be undefined to be structural");
    }
    if (doc_get_str(schema, "title").n) {
        check_forbidden(k, check_child(k, path, "title"), "must be empty to be structural");
    }
    if (doc_get_str(schema, "description").n) {
        check_forbidden(k, check_child(k, path, "description"), "must be empty to be structural");
    }
    if (flag(schema, "nullable")) {
        check_forbidden(k, check_child(k, path, "nullable"), "must be false to be structural");
    }
    check_nested_extensions(k, schema, path);
    if (doc_get(properties, "metadata")) {
        check_forbidden(k, check_key(k, at, STR("metadata")),
                        "must not be specified in a nested context");
    }
}

// ---- Structure ----

enum level { LEVEL_ROOT, LEVEL_ITEM, LEVEL_FIELD };

static void check_type(struct schema_check *k, const struct doc_value *schema, enum level level,
                       struct str path) {
    static const char *const EMPTY[] = {"must not be empty at the root",
                                        "must not be empty for specified array items",
                                        "must not be empty for specified object fields"};
    struct str type = doc_get_str(schema, "type"), at = check_child(k, path, "type");
    bool embedded = flag(schema, "x-kubernetes-embedded-resource");
    if (embedded && !str_eq_c(type, "object")) {
        if (type.n == 0) {
            check_required(k, at, "must be object if x-kubernetes-embedded-resource is true");
        } else {
            check_invalid(k, at, doc_get(schema, "type"),
                          "must be object if x-kubernetes-embedded-resource is true");
        }
    } else if (type.n == 0 && !flag(schema, "x-kubernetes-int-or-string") &&
               !flag(schema, "x-kubernetes-preserve-unknown-fields")) {
        check_required(k, at, EMPTY[level]);
    }
    if (level == LEVEL_ROOT && type.n && !str_eq_c(type, "object")) {
        check_invalid(k, at, doc_get(schema, "type"), "must be object at the root");
    }
    if (str_eq_c(type, "array") && doc_is_null(doc_get(schema, "items"))) {
        check_required(k, check_child(k, path, "items"), "must be specified");
    }
}

// The schema of metadata may say something of name and generateName, and nothing else.
static bool is_plain_metadata(const struct doc_value *schema) {
    for (DOC_EACH_MEMBER(schema, i)) {
        struct str key = doc_key_at(schema, i);
        const struct doc_value *v = doc_value_at(schema, i);
        if (str_eq_c(key, "properties")) {
            for (DOC_EACH_MEMBER(v, p)) {
                struct str name = doc_key_at(v, p);
                if (!str_eq_c(name, "name") && !str_eq_c(name, "generateName")) {
                    return false;
                }
            }
        } else if (!str_eq_c(key, "type") && !str_eq_c(key, "default") && !doc_is_null(v) &&
                   !(doc_is(v, DOC_BOOL) && !doc_bool(v, false))) {
            return false;
        }
    }
    return true;
}

static void check_meta(struct schema_check *k, const struct doc_value *schema, enum level level,
                       struct str path) {
    static const char *const TEXTS[] = {"kind", "apiVersion"};
    const struct doc_value *properties = doc_get(schema, "properties");
    struct str at = check_child(k, path, "properties");
    bool check = level == LEVEL_ROOT || flag(schema, "x-kubernetes-embedded-resource");
    struct doc_value none = DOC_S("");
    for (size_t i = 0; i < ARRAY_LEN(TEXTS) && check; i++) {
        const struct doc_value *field = doc_find(properties, str_from(TEXTS[i]));
        const struct doc_value *type = doc_get(field, "type");
        if (field && !str_eq_c(doc_str(type), "string")) {
            check_invalid(k, check_child(k, check_key(k, at, str_from(TEXTS[i])), "type"),
                          type ? type : &none, "must be string");
        }
    }
    const struct doc_value *metadata = doc_get(properties, "metadata");
    if (!metadata) {
        return;
    }
    struct str meta = check_key(k, at, STR("metadata"));
    const struct doc_value *type = doc_get(metadata, "type");
    if (check && !str_eq_c(doc_str(type), "object")) {
        check_invalid(k, check_child(k, meta, "type"), type ? type : &none, "must be object");
    }
    if (level == LEVEL_ROOT && !is_plain_metadata(metadata)) {
        check_forbidden(k, meta,
                        "must not specify anything other than name and generateName, but metadata "
                        "is implicitly specified");
    }
}

static void check_extensions(struct schema_check *k, const struct doc_value *schema,
                             struct str path) {
    bool embedded = flag(schema, "x-kubernetes-embedded-resource");
    bool keep = flag(schema, "x-kubernetes-preserve-unknown-fields");
    struct doc_value yes = doc_make_bool(true);
    if (flag(schema, "x-kubernetes-int-or-string") && keep) {
        check_invalid(k, check_child(k, path, "x-kubernetes-preserve-unknown-fields"), &yes,
                      "must be false if x-kubernetes-int-or-string is true");
    }
    if (flag(schema, "x-kubernetes-int-or-string") && embedded) {
        check_invalid(k, check_child(k, path, "x-kubernetes-embedded-resource"), &yes,
                      "must be false if x-kubernetes-int-or-string is true");
    }
    if (embedded && !doc_is_null(doc_get(schema, "additionalProperties"))) {
        check_forbidden(k, check_child(k, path, "additionalProperties"),
                        "must not be used if x-kubernetes-embedded-resource is set");
    }
    if (embedded && !keep && doc_len(doc_get(schema, "properties")) == 0) {
        check_required(k, check_child(k, path, "properties"),
                       "must not be empty if x-kubernetes-embedded-resource is true without "
                       "x-kubernetes-preserve-unknown-fields");
    }
}

static void check_structure(struct schema_check *k, const struct doc_value *schema,
                            enum level level, struct str path, unsigned depth) {
    if (!doc_is(schema, DOC_OBJECT) || depth > LIMIT_SCHEMA_DEPTH) {
        return;
    }
    check_type(k, schema, level, path);
    check_structure(k, doc_get(schema, "items"), LEVEL_ITEM, check_child(k, path, "items"),
                    depth + 1);
    const struct doc_value *properties = doc_get(schema, "properties");
    struct str at = check_child(k, path, "properties");
    for (DOC_EACH_MEMBER(properties, i)) {
        check_structure(k, doc_value_at(properties, i), LEVEL_FIELD,
                        check_key(k, at, doc_key_at(properties, i)), depth + 1);
    }
    const struct doc_value *additional = doc_get(schema, "additionalProperties");
    struct str inside = check_child(k, path, "additionalProperties");
    if (!doc_is_null(additional) && level == LEVEL_ROOT) {
        check_forbidden(k, inside, "must not be used at the root");
    }
    check_structure(k, additional, LEVEL_FIELD, inside, depth + 1);
    check_extensions(k, schema, path);
    bool pattern = flag(schema, "x-kubernetes-int-or-string");
    const struct doc_value *all_of = doc_get(schema, "allOf");
    check_values(k, schema, pattern && is_int_or_string(doc_get(schema, "anyOf")),
                 pattern && is_int_or_string(doc_get(doc_at(all_of, 0), "anyOf")), path);
    check_meta(k, schema, level, path);
}

// ---- Completeness: what the root's validations name must be described ----

static void check_complete(struct schema_check *k, const struct doc_value *values,
                           const struct doc_value *schema, struct str path, struct str at,
                           bool root) {
    static const char *const LISTS[] = {"allOf", "anyOf", "oneOf"};
    if (!doc_is(values, DOC_OBJECT)) {
        return;
    }
    if (!doc_is(schema, DOC_OBJECT)) {
        struct str detail = arena_concat(k->v.arena, STR("because it is defined in "), at);
        check_required(k, path, arena_cstr(k->v.arena, detail));
        return;
    }
    check_complete(k, doc_get(values, "not"), schema, path, check_child(k, at, "not"), false);
    for (size_t l = 0; l < ARRAY_LEN(LISTS); l++) {
        const struct doc_value *list = doc_find(values, str_from(LISTS[l]));
        for (size_t i = 0; i < doc_len(list) && doc_is(list, DOC_ARRAY); i++) {
            check_complete(k, doc_at(list, i), schema, path, check_item(k, at, LISTS[l], i), false);
        }
    }
    if (root) {
        return;
    }
    check_complete(k, doc_get(values, "items"), doc_get(schema, "items"),
                   check_child(k, path, "items"), check_child(k, at, "items"), false);
    const struct doc_value *properties = doc_get(values, "properties");
    for (DOC_EACH_MEMBER(properties, i)) {
        struct str key = doc_key_at(properties, i);
        check_complete(k, doc_value_at(properties, i), doc_find(doc_get(schema, "properties"), key),
                       check_key(k, check_child(k, path, "properties"), key),
                       check_key(k, check_child(k, at, "properties"), key), false);
    }
}

static int compare_problems(const void *a, const void *b) {
    const struct schema_problem *x = a, *y = b;
    int order = str_cmp(x->path, y->path);
    return order ? order : str_cmp(x->message, y->message);
}

// ---- Public ----

// With a status sub-resource the root may only have these.
static void check_root(struct schema_check *k, const struct doc_value *schema, struct str path,
                       bool status) {
    static const char *const ALLOWED[] = {"description",
                                          "type",
                                          "format",
                                          "title",
                                          "maximum",
                                          "exclusiveMaximum",
                                          "minimum",
                                          "exclusiveMinimum",
                                          "maxLength",
                                          "minLength",
                                          "pattern",
                                          "maxItems",
                                          "minItems",
                                          "uniqueItems",
                                          "multipleOf",
                                          "required",
                                          "items",
                                          "properties",
                                          "externalDocs",
                                          "example",
                                          "x-kubernetes-preserve-unknown-fields",
                                          "x-kubernetes-validations"};
    for (size_t i = 0; i < doc_len(schema) && status; i++) {
        struct str key = doc_key_at(schema, i);
        const struct doc_value *v = doc_value_at(schema, i);
        bool allowed = doc_is_null(v) || (doc_is(v, DOC_BOOL) && !doc_bool(v, true)) ||
                       ((doc_is(v, DOC_ARRAY) || doc_is(v, DOC_OBJECT)) && doc_len(v) == 0);
        for (size_t a = 0; a < ARRAY_LEN(ALLOWED); a++) {
            allowed = allowed || str_eq_c(key, ALLOWED[a]);
        }
        if (!allowed) {
            check_invalid(k, path, schema,
                          "only [Description Type Format Title Maximum ExclusiveMaximum Minimum "
                          "ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems "
                          "UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
                          "XPreserveUnknownFields XValidations] fields are allowed at the root of "
                          "the schema if the status subresource is enabled");
            break;
        }
    }
    if (status && !str_eq_c(doc_get_str(schema, "type"), "object")) {
        struct doc_value none = DOC_S("");
        const struct doc_value *type = doc_get(schema, "type");
        check_invalid(k, check_child(k, path, "type"), type ? type : &none,
                      "only \"object\" is allowed as the type at the root of the schema if the "
                      "status subresource is enabled");
    }
    if (flag(schema, "nullable")) {
        check_forbidden(k, check_child(k, path, "nullable"), "nullable cannot be true at the root");
    }
}

void schema_struct_check(struct arena *arena, const struct doc_value *schema, struct str path,
                         bool status, struct schema_problem **problems, size_t *count) {
    struct schema_check k = {.v = {.arena = arena}};
    struct err err = {0};
    AUTO(schema_struct_destroy) struct schema_struct *compiled = NULL;
    check_root(&k, schema, path, status);
    bool structural = !is_odd(schema, 0);
    if (structural) {
        size_t before = k.out.count;
        check_structure(&k, schema, LEVEL_ROOT, path, 0);
        check_complete(&k, schema, schema, path, path, true);
        structural = k.out.count == before;
        if (k.out.count - before > 1) {
            qsort(k.out.problems + before, k.out.count - before, sizeof *k.out.problems,
                  compare_problems);
        }
    }
    if (structural) {
        size_t before = k.out.count;
        check_defaults(&k, schema, path, true);
        structural = k.out.count == before;
    }
    if (structural) {
        compiled = schema_struct_compile(schema, &err);
    }
    check_open_api(&k, schema, compiled ? compiled->root : NULL, path, true);
    for (size_t i = 0; i < k.rules.count; i++) {
        problem_copy(&k.v, &k.out, &k.rules.problems[i]);
    }
    if (k.out.count == 0 && !compiled) {
        schema_struct_destroy(compiled);
        compiled = schema_struct_compile(schema, &err);
        if (!compiled) { // our own limits
            check_invalid(&k, path, NULL, err.message[0] ? err.message : "the schema is too large");
        }
    }
    // What the texts point to dies with the compiled form.
    for (size_t i = 0; i < k.out.count; i++) {
        k.out.problems[i].message = arena_dup(arena, k.out.problems[i].message);
    }
    *problems = k.out.problems;
    *count = k.out.count;
}
