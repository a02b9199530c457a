// SPDX-License-Identifier: Apache-2.0
// Validation of custom objects, in the words of kube-apiserver. Two of its habits explain what looks odd here: of anyOf and
// oneOf it reports the branch in which most checks went well (so checks are counted), and errors of these combinations
// have no path ("<nil>").
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "schema/struct_internal.h"
#include "schema/struct_problem.h"

static void validate(struct validator *v, const struct struct_node *node,
                     const struct doc_value *data, const struct place *at, struct outcome *out);

// What stood here before an update, where that counts: inside of anyOf and the like nothing is compared.
static const struct doc_value *old_of(const struct validator *v, const struct place *at) {
    return v->branches ? NULL : at ? at->old : v->old;
}

// ---- Types ----

static enum struct_type type_of(const struct doc_value *data) {
    switch (doc_kind(data)) {
    case DOC_BOOL:
        return STRUCT_BOOLEAN;
    case DOC_INT:
        return STRUCT_INTEGER;
    case DOC_NUMBER:
        return STRUCT_NUMBER;
    case DOC_STRING:
        return STRUCT_STRING;
    case DOC_ARRAY:
        return STRUCT_ARRAY;
    default:
        return STRUCT_OBJECT;
    }
}

static const char *types_name(unsigned types) {
    switch (types) {
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
        return "integer,string";
    }
}

static bool is_whole(double d) {
    return d == floor(d) && fabs(d) <= 9007199254740991.0;
}

static void wrong_type(struct validator *v, const struct place *at, struct outcome *out,
                       const char *wanted, const char *got) {
    struct str name = place_name(v->arena, at);
    struct str detail = arena_printf(v->arena, "%.*s in body must be of type %s: \"%s\"",
                                     STR_ARG(name), wanted, got);
    struct str value = arena_printf(v->arena, "\"%s\"", got);
    problem_add(v, out, at, "FieldValueTypeInvalid", "Invalid value", value, detail);
}

static void check_type(struct validator *v, const struct struct_node *node,
                       const struct doc_value *data, const struct place *at, struct outcome *out) {
    if (doc_is_null(data)) {
        if (node->types && !node->nullable) {
            wrong_type(v, at, out, types_name(node->types), "null");
        } else {
            out->matches++;
        }
        return;
    }
    enum struct_type type = type_of(data);
    bool fits = (node->types & type) != 0 ||
                (type == STRUCT_NUMBER && (node->types & STRUCT_INTEGER) &&
                 is_whole(doc_double(data, 0))) ||
                (type == STRUCT_INTEGER && (node->types & STRUCT_NUMBER));
    bool text = type == STRUCT_STRING || type == STRUCT_ARRAY;
    const char *format = type == STRUCT_INTEGER ? "int64" : type == STRUCT_NUMBER ? "float64" : "";
    if (!text && node->format.n && !fits && !str_eq_c(node->format, format)) {
        wrong_type(v, at, out, arena_cstr(v->arena, node->format), format);
    } else if (!(node->types & (STRUCT_NUMBER | STRUCT_INTEGER)) && node->format.n && text) {
        out->matches++; // the format decides
    } else if (!fits) {
        wrong_type(v, at, out, types_name(node->types), types_name(type));
    } else {
        out->matches++;
    }
}

// ---- Text and numbers ----

static int64_t count_runes(struct str text) {
    int64_t count = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    }
    return count;
}

static void check_string(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    struct str text = doc_str(data);
    int64_t length = node->max_length.set || node->min_length.set ? count_runes(text) : 0;
    if (node->max_length.set && length > node->max_length.count) {
        int64_t most = node->max_length.count;
        struct str detail = arena_printf(v->arena, "may not be more than %lld byte%s",
                                         (long long)most, most == 1 ? "" : "s");
        problem_add(v, out, at, "FieldValueTooLong", "Too long", (struct str){NULL, 0}, detail);
    } else if (node->min_length.set && length < node->min_length.count) {
        problem_invalid(v, out, at, data, "should be at least %lld chars long",
                        (long long)node->min_length.count);
    } else if (node->regex && !regex_matches(node->regex, text.p, text.n)) {
        problem_invalid(v, out, at, data, "should match '%.*s'", STR_ARG(node->pattern));
    }
}

static void check_format(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    if (!(node->types & STRUCT_STRING) && node->types != 0) {
        return;
    }
    if (!struct_format_check(node, doc_str(data))) {
        struct str name = place_name(v->arena, at);
        struct str value = problem_quote(v->arena, doc_str(data));
        struct str detail = arena_printf(v->arena, "%.*s in body must be of type %.*s: %.*s",
                                         STR_ARG(name), STR_ARG(node->format), STR_ARG(value));
        problem_add(v, out, at, "FieldValueTypeInvalid", "Invalid value", value, detail);
    }
}

static bool in_range(const struct struct_node *node, const struct doc_value *data) {
    if (node->types == STRUCT_INTEGER) {
        double d = doc_double(data, 0);
        int64_t i = doc_int(data, 0);
        bool small = str_eq_c(node->format, "int32");
        if (doc_is(data, DOC_INT)) {
            return !small || (i >= INT32_MIN && i <= INT32_MAX);
        }
        return d == floor(d) && fabs(d) < (small ? 2147483648.0 : 9223372036854775808.0);
    }
    return node->types != STRUCT_NUMBER || !str_eq_c(node->format, "float") ||
           fabs(doc_double(data, 0)) <= (double)FLT_MAX;
}

static void bad_range(struct validator *v, const struct struct_node *node, const struct place *at,
                      const char *what, struct outcome *out) {
    struct str name = place_name(v->arena, at);
    struct str format = node->format;
    problem_nowhere(v, out,
                    arena_printf(v->arena, "%s value must be of type %s %s%.*s%s in %.*s", what,
                                 types_name(node->types),
                                 format.n ? "with format " : "(default format", STR_ARG(format),
                                 format.n ? "" : ")", STR_ARG(name)));
}

// Whether data and limit are compared as integers (then the limit is cut to one, as in Kubernetes). A limit of an integer
// field that is none itself is a problem of its own.
static bool as_integers(struct validator *v, const struct struct_node *node,
                        const struct doc_value *data, const struct struct_limit *limit,
                        const char *what, const struct place *at, struct outcome *out) {
    bool whole = limit->number == floor(limit->number);
    if (node->types == STRUCT_INTEGER && !whole) {
        bad_range(v, node, at, what, out);
        return false;
    }
    return doc_is(data, DOC_INT);
}

static int compare_limit(const struct doc_value *data, const struct struct_limit *limit,
                         bool integers) {
    if (integers) {
        int64_t i = doc_int(data, 0);
        return i < limit->count ? -1 : i > limit->count;
    }
    double d = doc_double(data, 0);
    return d < limit->number ? -1 : d > limit->number;
}

static struct str limit_text(struct validator *v, const struct struct_limit *limit, bool integers) {
    return integers ? arena_printf(v->arena, "%lld", (long long)limit->count)
                    : problem_float(v->arena, limit->number);
}

static void check_bounds(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    if (node->minimum.set) {
        bool exclusive = node->exclusive_minimum;
        bool ints = as_integers(v, node, data, &node->minimum, "Minimum boundary", at, out);
        int order = compare_limit(data, &node->minimum, ints);
        if (order < 0 || (exclusive && order == 0)) {
            problem_invalid(v, out, at, data, "should be greater than %s%.*s",
                            exclusive ? "" : "or equal to ",
                            STR_ARG(limit_text(v, &node->minimum, ints)));
        }
    }
    if (node->maximum.set) {
        bool exclusive = node->exclusive_maximum;
        bool ints = as_integers(v, node, data, &node->maximum, "Maximum boundary", at, out);
        int order = compare_limit(data, &node->maximum, ints);
        if (order > 0 || (exclusive && order == 0)) {
            problem_invalid(v, out, at, data, "should be less than %s%.*s",
                            exclusive ? "" : "or equal to ",
                            STR_ARG(limit_text(v, &node->maximum, ints)));
        }
    }
}

static void check_multiple(struct validator *v, const struct struct_node *node,
                           const struct doc_value *data, const struct place *at,
                           struct outcome *out) {
    const struct struct_limit *factor = &node->multiple_of;
    bool ints = as_integers(v, node, data, factor, "MultipleOf", at, out);
    if (ints ? factor->count <= 0 : factor->number <= 0) {
        struct doc_value value = doc_make_int(factor->count);
        value = ints ? value : doc_make_double(v->arena, factor->number);
        struct str name = place_name(v->arena, at);
        struct str text = problem_value(v->arena, &value);
        problem_add(v, out, at, "FieldValueInvalid", "Invalid value", text,
                    arena_printf(v->arena,
                                 "factor MultipleOf declared for %.*s must be positive: %.*s",
                                 STR_ARG(name), STR_ARG(text)));
        return;
    }
    double d = doc_double(data, 0);
    double times = factor->number < 1 ? 1 / factor->number * d : d / factor->number;
    if (ints ? doc_int(data, 0) % factor->count != 0 : !is_whole(times)) {
        problem_invalid(v, out, at, data, "should be a multiple of %.*s",
                        STR_ARG(limit_text(v, factor, ints)));
    }
}

static void check_number(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    if (!in_range(node, data)) {
        bad_range(v, node, at, "Checked", out);
    }
    if (node->multiple_of.set) {
        check_multiple(v, node, data, at, out);
    }
    check_bounds(v, node, data, at, out);
    out->matches++;
}

// ---- Lists and maps ----

static void too_many(struct validator *v, struct outcome *out, const struct place *at, size_t count,
                     int64_t most) {
    struct str value = arena_printf(v->arena, "%zu", count);
    struct str detail = arena_printf(v->arena, "must have at most %lld item%s", (long long)most,
                                     most == 1 ? "" : "s");
    problem_add(v, out, at, "FieldValueTooMany", "Too many", value, detail);
}

static bool has_duplicates(struct validator *v, const struct doc_value *list) {
    struct schema_order seen = schema_order_start(v->arena, doc_len(list), (struct str){NULL, 0});
    for (DOC_EACH_ITEM(list, item)) {
        if (schema_order_find(&seen, item) != SCHEMA_NOWHERE) {
            return true;
        }
        schema_order_add(&seen, item, 0);
    }
    return false;
}

static void check_array(struct validator *v, const struct struct_node *node,
                        const struct doc_value *data, const struct place *at, struct outcome *out) {
    size_t count = doc_len(data);
    const struct doc_value *old = old_of(v, at);
    for (size_t i = 0; node->items && i < count; i++) {
        const struct doc_value *item = doc_at(data, i);
        struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
        place.old = old ? struct_old_item(v, node, old, i, item) : NULL;
        validate(v, node->items, item, &place, out);
    }
    struct doc_value size = doc_make_int((int64_t)count);
    if (node->min_items.set && (int64_t)count < node->min_items.count) {
        problem_invalid(v, out, at, &size, "should have at least %lld items",
                        (long long)node->min_items.count);
    }
    if (node->max_items.set && (int64_t)count > node->max_items.count) {
        too_many(v, out, at, count, node->max_items.count);
    }
    if (node->unique_items && has_duplicates(v, data)) {
        struct doc_value empty = DOC_S("");
        problem_invalid(v, out, at, &empty, "shouldn't contain duplicates");
    }
    out->matches++;
}

static void check_object(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    size_t count = doc_len(data);
    const struct doc_value *old = old_of(v, at);
    struct doc_value size = doc_make_int((int64_t)count);
    if (node->min_properties.set && (int64_t)count < node->min_properties.count) {
        problem_invalid(v, out, at, &size, "should have at least %lld properties",
                        (long long)node->min_properties.count);
    }
    if (node->max_properties.set && (int64_t)count > node->max_properties.count) {
        too_many(v, out, at, count, node->max_properties.count);
    }
    for (DOC_EACH_MEMBER(data, i)) {
        struct str key = doc_key_at(data, i);
        const struct struct_property *property = struct_property_find(node, key);
        const struct struct_node *inner = property ? property->node : node->additional_node;
        if (inner) {
            struct place place = {
                .parent = at, .key = key, .kind = property ? PLACE_PROPERTY : PLACE_KEY};
            place.old = doc_is(old, DOC_OBJECT) ? doc_find(old, key) : NULL;
            validate(v, inner, doc_value_at(data, i), &place, out);
        }
    }
    for (DOC_EACH_ITEM(node->required, name)) {
        if (doc_is(name, DOC_STRING) && !doc_find(data, doc_str(name))) {
            struct place place = {.parent = at, .key = doc_str(name), .kind = PLACE_KEY};
            problem_add(v, out, &place, "FieldValueRequired", "Required value",
                        (struct str){NULL, 0}, (struct str){NULL, 0});
        }
    }
}

static void check_enum(struct validator *v, const struct struct_node *node,
                       const struct doc_value *data, const struct place *at, struct outcome *out) {
    if (doc_len(node->enumeration) == 0) {
        return;
    }
    for (DOC_EACH_ITEM(node->enumeration, allowed)) {
        if (!doc_is_null(data) && doc_equal(allowed, data)) {
            return;
        }
    }
    problem_unsupported(v, out, at, data, node->enumeration);
}

// ---- Combinations ----

static void merge(struct validator *v, struct outcome *into, const struct outcome *from) {
    for (size_t i = 0; i < from->count; i++) {
        problem_copy(v, into, &from->problems[i]);
    }
    into->matches += from->matches;
}

static void combination(struct validator *v, struct outcome *out, const struct place *at,
                        const char *message) {
    struct str name = problem_quote(v->arena, place_name(v->arena, at));
    problem_nowhere(v, out, arena_printf(v->arena, "%.*s %s", STR_ARG(name), message));
}

static void check_any_of(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    struct outcome best = {0};
    bool have = false;
    for (size_t i = 0; i < node->any_of.len; i++) {
        struct outcome branch = {0};
        validate(v, node->any_of.items[i], data, at, &branch);
        if (branch.count == 0) {
            merge(v, out, &branch);
            return;
        }
        if (!have || branch.matches > best.matches) {
            best = branch;
            have = true;
        }
    }
    combination(v, out, at, "must validate at least one schema (anyOf)");
    merge(v, out, &best);
}

static void check_one_of(struct validator *v, const struct struct_node *node,
                         const struct doc_value *data, const struct place *at,
                         struct outcome *out) {
    struct outcome best = {0}, first = {0};
    bool have = false;
    size_t valid = 0;
    for (size_t i = 0; i < node->one_of.len; i++) {
        struct outcome branch = {0};
        validate(v, node->one_of.items[i], data, at, &branch);
        if (branch.count == 0) {
            first = valid == 0 ? branch : first;
            valid++;
        } else if (!have || branch.matches > best.matches) {
            best = branch;
            have = true;
        }
    }
    if (valid == 1) {
        merge(v, out, &first);
    } else if (valid == 0) {
        combination(v, out, at, "must validate one and only one schema (oneOf). Found none valid");
        merge(v, out, &best);
    } else {
        char message[96];
        snprintf(message, sizeof message,
                 "must validate one and only one schema (oneOf). Found %zu valid alternatives",
                 valid);
        combination(v, out, at, message);
    }
}

static void check_combinations(struct validator *v, const struct struct_node *node,
                               const struct doc_value *data, const struct place *at,
                               struct outcome *out) {
    v->branches++;
    if (node->any_of.len) {
        check_any_of(v, node, data, at, out);
    }
    if (node->one_of.len) {
        check_one_of(v, node, data, at, out);
    }
    size_t valid = 0;
    for (size_t i = 0; i < node->all_of.len; i++) {
        struct outcome branch = {0};
        validate(v, node->all_of.items[i], data, at, &branch);
        valid += branch.count == 0 ? 1 : 0;
        merge(v, out, &branch);
    }
    if (valid != node->all_of.len) {
        combination(v, out, at,
                    valid ? "must validate all the schemas (allOf)"
                          : "must validate all the schemas (allOf). None validated");
    }
    if (node->not_node) {
        struct outcome branch = {0};
        validate(v, node->not_node, data, at, &branch);
        if (branch.count == 0) {
            combination(v, out, at, "must not validate the schema (not)");
        }
    }
    v->branches--;
    out->matches++;
}

static void validate_value(struct validator *v, const struct struct_node *node,
                           const struct doc_value *data, const struct place *at,
                           struct outcome *out) {
    enum doc_kind kind = doc_kind(data);
    if (node->types || node->format.n || kind == DOC_NULL) {
        check_type(v, node, data, at, out);
        out->matches += kind == DOC_NULL ? 0 : 1;
    }
    if (kind == DOC_NULL) {
        check_enum(v, node, data, at, out);
        return;
    }
    check_combinations(v, node, data, at, out);
    if (kind == DOC_STRING) {
        check_string(v, node, data, at, out);
        if (node->format.n) {
            check_format(v, node, data, at, out);
            out->matches++;
        }
    }
    if (kind == DOC_INT || kind == DOC_NUMBER) {
        check_number(v, node, data, at, out);
    }
    if (kind == DOC_ARRAY) {
        check_array(v, node, data, at, out);
    }
    check_enum(v, node, data, at, out);
    if (kind == DOC_OBJECT) {
        check_object(v, node, data, at, out);
    }
    // One for each check that ran, whatever it found.
    out->matches += kind == DOC_BOOL ? 3 : 4;
}

// On update, what did not change is not held against the object: it may be older than the schema.
static void validate(struct validator *v, const struct struct_node *node,
                     const struct doc_value *data, const struct place *at, struct outcome *out) {
    size_t before = out->count;
    if (before >= LIMIT_SCHEMA_PROBLEMS) {
        return;
    }
    validate_value(v, node, data, at, out);
    const struct doc_value *old = out->count > before ? old_of(v, at) : NULL;
    bool type_meta =
        at && !at->parent && (str_eq_c(at->key, "apiVersion") || str_eq_c(at->key, "kind"));
    if (old && !type_meta && struct_unchanged(v, node, data, old)) {
        out->count = before;
    }
}

static void check_type_field(struct validator *v, const struct doc_value *object, const char *key,
                             const struct place *at, struct outcome *out) {
    static const struct str none = {NULL, 0};
    const struct doc_value *value = doc_find(object, str_from(key));
    struct place place = {.parent = at, .key = str_from(key), .kind = PLACE_KEY};
    struct str text = doc_str(value), rest;
    if (doc_is_null(value)) {
        problem_add(v, out, &place, "FieldValueRequired", "Required value", none, none);
    } else if (!doc_is(value, DOC_STRING) || !text.n) {
        problem_add(v, out, &place, "FieldValueInvalid", "Invalid value",
                    problem_value(v->arena, value),
                    text.n || !doc_is(value, DOC_STRING) ? STR("must be a string")
                                                         : STR("must not be empty"));
    } else if (str_eq_c(STR("apiVersion"), key) && str_cut(text, '/', &text, &rest) &&
               str_find_char(rest, '/') != STR_NPOS) {
        problem_add(v, out, &place, "FieldValueInvalid", "Invalid value",
                    problem_value(v->arena, value),
                    arena_printf(v->arena, "unexpected GroupVersion string: %.*s",
                                 STR_ARG(doc_str(value))));
    }
}

// Objects that are kept inside of others say what they are.
static void check_embedded(struct validator *v, const struct struct_node *node,
                           const struct doc_value *data, const struct place *at,
                           struct outcome *out) {
    if (!node || out->count >= LIMIT_SCHEMA_PROBLEMS) {
        return;
    }
    if (node->embedded && doc_is(data, DOC_OBJECT)) {
        check_type_field(v, data, "apiVersion", at, out);
        check_type_field(v, data, "kind", at, out);
    }
    if (doc_is(data, DOC_ARRAY) && node->items) {
        for (size_t i = 0; i < doc_len(data); i++) {
            struct place place = {.parent = at, .index = i, .kind = PLACE_ITEM};
            check_embedded(v, node->items, doc_at(data, i), &place, out);
        }
    }
    if (!doc_is(data, DOC_OBJECT)) {
        return;
    }
    for (DOC_EACH_MEMBER(data, i)) {
        struct str key = doc_key_at(data, i);
        const struct struct_property *property = struct_property_find(node, key);
        struct place place = {
            .parent = at, .key = key, .kind = property ? PLACE_PROPERTY : PLACE_KEY};
        check_embedded(v, property ? property->node : node->additional_node, doc_value_at(data, i),
                       &place, out);
    }
}

// Duplicates count against an update only when there were none before.
static void check_lists(struct validator *v, const struct schema_struct *schema,
                        const struct doc_value *object, struct outcome *out) {
    size_t before = out->count;
    struct outcome former = {0};
    struct_check_lists(v, schema->root, object, NULL, out);
    if (v->old && out->count > before) {
        struct_check_lists(v, schema->root, v->old, NULL, &former);
        out->count = former.count ? before : out->count;
    }
}

// `whole`: an object of the API, whose embedded objects are such too; else only the schema's own words count.
static struct schema_verdict judge(const struct schema_struct *schema, struct arena *arena,
                                   const struct doc_value *object, const struct doc_value *old,
                                   bool whole) {
    struct validator v = {.arena = arena, .old = old};
    struct outcome out = {0};
    validate(&v, schema->root, object, NULL, &out);
    if (whole && schema->has_embedded) {
        check_embedded(&v, schema->root, object, NULL, &out);
    }
    check_lists(&v, schema, object, &out);
    struct_check_rules(&v, schema, object, &out);
    return (struct schema_verdict){out.problems, out.count, v.warnings, v.warning_count};
}

void schema_struct_validate(const struct schema_struct *schema, struct arena *arena,
                            const struct doc_value *object, struct schema_problem **problems,
                            size_t *count) {
    struct schema_verdict verdict = judge(schema, arena, object, NULL, false);
    *problems = verdict.problems;
    *count = verdict.problem_count;
}

struct schema_verdict schema_struct_judge(const struct schema_struct *schema, struct arena *arena,
                                          const struct doc_value *object,
                                          const struct doc_value *old) {
    return judge(schema, arena, object, old, true);
}
