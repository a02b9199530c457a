// SPDX-License-Identifier: Apache-2.0
// tests/data/schema/structural.jsonl was made by kube-apiserver's own packages from random schemas and objects: {"op",
// "schema", "object", "want"}.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "schema/schema.h"
#include "schema/struct_problem.h"

static struct schema_struct *compile(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json(str_from(text), arena, &v, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    struct schema_struct *schema = schema_struct_compile(&v, &err);
    if (!schema) {
        fail_msg("%s: %s", text, err.message);
    }
    return schema;
}

static struct doc_value problems_of(struct arena *arena, const struct schema_struct *schema,
                                    const struct doc_value *object) {
    struct schema_problem *problems;
    size_t count;
    schema_struct_validate(schema, arena, object, &problems, &count);
    struct doc_array lines = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&lines, doc_make_str(arena_printf(
                                  arena, "%.*s|%.*s|%.*s", STR_ARG(problems[i].reason),
                                  STR_ARG(problems[i].path), STR_ARG(problems[i].message))));
    }
    return doc_array_done(&lines);
}

static bool has_item(const struct doc_value *list, const struct doc_value *wanted) {
    for (DOC_EACH_ITEM(list, item)) {
        if (doc_equal(item, wanted)) {
            return true;
        }
    }
    return false;
}

// The order of problems is no part of the contract: Kubernetes' own is random.
static bool same_set(const struct doc_value *a, const struct doc_value *b) {
    bool same = doc_len(a) == doc_len(b);
    for (DOC_EACH_ITEM(a, item)) {
        same = same && has_item(b, item);
    }
    return same;
}

static void check_row(struct arena *arena, const struct doc_value *row, struct str line) {
    struct err err = {0};
    AUTO(schema_struct_destroy)
    struct schema_struct *schema = schema_struct_compile(doc_get(row, "schema"), &err);
    if (!schema) {
        fail_msg("%.*s: %s", STR_ARG(line), err.message);
    }
    const struct doc_value *object = doc_get(row, "object");
    const struct doc_value *want = doc_get(row, "want");
    struct str op = doc_get_str(row, "op");
    struct doc_value got;
    bool same;
    if (str_eq_c(op, "prune")) {
        struct str *pruned;
        size_t count;
        got = schema_struct_prune(schema, arena, object, &pruned, &count);
        const struct doc_value *paths = doc_get(want, "paths");
        same = doc_equal(&got, doc_get(want, "object")) && count == doc_len(paths);
        for (size_t i = 0; same && i < count; i++) {
            same = str_eq(pruned[i], doc_str(doc_at(paths, i)));
        }
    } else if (str_eq_c(op, "default")) {
        got = schema_struct_default(schema, arena, object);
        same = doc_equal(&got, want);
    } else {
        got = problems_of(arena, schema, object);
        same = same_set(&got, want);
    }
    if (!same) {
        fail_msg("%.*s\ngot: %s", STR_ARG(line), doc_to_json(arena, &got).p);
    }
}

static void agrees_with_kubernetes(void **state) {
    char name[1024];
    snprintf(name, sizeof name, "%s/schema/structural.jsonl", getenv("SKIFF_TEST_DATA"));
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    char *text = xmalloc(4 * MIB);
    struct str rest = {text, fread(text, 1, 4 * MIB, file)};
    fclose(file);
    struct str line;
    size_t rows = 0;
    for (; str_next(&rest, '\n', &line); rows++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value row;
        assert_true(doc_parse_json(line, arena, &row, NULL));
        check_row(arena, &row, line);
    }
    free(text);
    assert_true(rows > 100);
}

static void words_of_the_api_server(void **state) {
    static const char SCHEMA[] =
        "{\"type\":\"object\",\"required\":[\"spec\"],\"properties\":{\"spec\":{\"type\":"
        "\"object\","
        "\"required\":[\"image\"],\"properties\":{\"image\":{\"type\":\"string\",\"minLength\":1},"
        "\"replicas\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},"
        "\"mode\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"]},"
        "\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\",\"maxLength\":5},"
        "\"ports\":{\"type\":\"array\",\"maxItems\":2,\"x-kubernetes-list-type\":\"map\","
        "\"x-kubernetes-list-map-keys\":[\"port\"],\"items\":{\"type\":\"object\",\"properties\":{"
        "\"port\":{\"x-kubernetes-int-or-string\":true}}}},"
        "\"at\":{\"type\":\"string\",\"format\":\"date-time\"}}}}}";
    static const struct {
        const char *object, *want; // path|message
    } cases[] = {
        {"{}", "spec|Required value"},
        {"{\"spec\":{}}", "spec.image|Required value"},
        {"{\"spec\":{\"image\":\"\"}}",
         "spec.image|Invalid value: \"\": spec.image in body should be at least 1 chars long"},
        {"{\"spec\":{\"image\":\"x\",\"replicas\":\"3\"}}",
         "spec.replicas|Invalid value: \"string\": spec.replicas in body must be of type integer: "
         "\"string\""},
        {"{\"spec\":{\"image\":\"x\",\"replicas\":11}}",
         "spec.replicas|Invalid value: 11: spec.replicas in body should be less than or equal to "
         "10"},
        {"{\"spec\":{\"image\":\"x\",\"mode\":\"auto\"}}",
         "spec.mode|Unsupported value: \"auto\": supported values: \"on\", \"off\""},
        {"{\"spec\":{\"image\":\"x\",\"name\":\"A1\"}}",
         "spec.name|Invalid value: \"A1\": spec.name in body should match '^[a-z]+$'"},
        {"{\"spec\":{\"image\":\"x\",\"name\":\"abcdef\"}}",
         "spec.name|Too long: may not be more than 5 bytes"},
        {"{\"spec\":{\"image\":\"x\",\"ports\":[{\"port\":1},{\"port\":2},{\"port\":\"x\"}]}}",
         "spec.ports|Too many: 3: must have at most 2 items"},
        {"{\"spec\":{\"image\":\"x\",\"ports\":[{\"port\":1},{\"port\":1}]}}",
         "spec.ports[1]|Duplicate value: {\"port\":1}"},
        {"{\"spec\":{\"image\":\"x\",\"ports\":[{\"port\":true}]}}",
         "spec.ports[0].port|Invalid value: \"boolean\": spec.ports[0].port in body must be of "
         "type "
         "integer,string: \"boolean\""},
        {"{\"spec\":{\"image\":\"x\",\"at\":\"noon\"}}",
         "spec.at|Invalid value: \"noon\": spec.at in body must be of type date-time: \"noon\""},
        {"{\"spec\":{\"image\":null}}",
         "spec.image|Invalid value: \"null\": spec.image in body must be of type string: \"null\""},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(schema_struct_destroy) struct schema_struct *schema = compile(arena, SCHEMA);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_value object;
        assert_true(doc_parse_json(str_from(cases[i].object), arena, &object, NULL));
        struct schema_problem *problems;
        size_t count;
        schema_struct_validate(schema, arena, &object, &problems, &count);
        if (count != 1) {
            fail_msg("%s: %zu problems", cases[i].object, count);
        }
        struct str got = arena_printf(arena, "%.*s|%.*s", STR_ARG(problems[0].path),
                                      STR_ARG(problems[0].message));
        if (!str_eq_c(got, cases[i].want)) {
            fail_msg("got %.*s, want %s", STR_ARG(got), cases[i].want);
        }
    }
}

static void refuses_schemas(void **state) {
    static const struct {
        const char *schema, *want;
    } cases[] = {
        {"[]", "openAPIV3Schema: a schema must be an object"},
        {"{\"type\":\"text\"}", "openAPIV3Schema.type: Unsupported value"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/b\"}}}",
         "openAPIV3Schema.properties[a].$ref: Forbidden"},
        {"{\"properties\":{\"a\":{\"pattern\":\"(\"}}}",
         "openAPIV3Schema.properties[a].pattern: Invalid value: \"(\": must be a valid regular "
         "expression"},
        {"{\"properties\":{\"a\":{\"pattern\":\"(?=x)\"}}}",
         "openAPIV3Schema.properties[a].pattern"},
        {"{\"items\":[{}]}", "openAPIV3Schema.items: Forbidden"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value v;
        struct err err = {0};
        assert_true(doc_parse_json(str_from(cases[i].schema), arena, &v, NULL));
        assert_null(schema_struct_compile(&v, &err));
        if (!str_starts(str_from(err.message), str_from(cases[i].want))) {
            fail_msg("%s: %s", cases[i].schema, err.message);
        }
    }
}

static void limits_and_rules(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text = {0};
    buf_init(&text, MIB);
    for (int i = 0; i <= LIMIT_SCHEMA_DEPTH; i++) {
        buf_add_c(&text, "{\"items\":");
    }
    buf_add_c(&text, "{}");
    buf_add_repeat(&text, '}', LIMIT_SCHEMA_DEPTH + 1);
    struct doc_value v;
    struct err err = {0};
    assert_true(doc_parse_json(buf_str(&text), arena, &v, NULL));
    assert_null(schema_struct_compile(&v, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    AUTO(schema_struct_destroy)
    struct schema_struct *schema =
        compile(arena, "{\"x-kubernetes-validations\":[{\"rule\":\"true\"}],\"properties\":{\"a\":{"
                       "\"x-kubernetes-validations\":[{\"rule\":\"self > 1\"}]}}}");
    assert_int_equal(schema_struct_rule_count(schema), 2);
}

static void metadata_is_pruned_by_its_own_shape(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(schema_struct_destroy)
    struct schema_struct *schema =
        compile(arena, "{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\","
                       "\"x-kubernetes-preserve-unknown-fields\":true}}}");
    struct doc_value object;
    assert_true(doc_parse_json(STR("{\"apiVersion\":\"a/v1\",\"kind\":\"K\",\"metadata\":{\"name\":"
                                   "\"n\",\"nonsense\":1},\"spec\":{\"x\":{\"y\":1}},\"z\":1}"),
                               arena, &object, NULL));
    struct str *pruned;
    size_t count;
    struct doc_value out = schema_struct_prune(schema, arena, &object, &pruned, &count);
    assert_true(str_eq_c(doc_to_json(arena, &out),
                         "{\"apiVersion\":\"a/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"n\"},"
                         "\"spec\":{\"x\":{\"y\":1}}}"));
    assert_int_equal(count, 2);
    assert_true(str_eq_c(pruned[0], "metadata.nonsense"));
    assert_true(str_eq_c(pruned[1], "z"));
}

// tests/data/schema/crd.jsonl: CRD schemas with the causes that kube-apiserver gives for refusing them ("check"), and objects
// with the violations that its validator of rules finds ("rules"; for updates without ratcheting, so ours may be warnings).
static void judges_crds_as_kubernetes(void **state) {
    const char *folder = getenv("SKIFF_TEST_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/schema/crd.jsonl", folder ? folder : "tests/data");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t cap = 0, rows = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, file)) > 0) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value row;
        assert_true(doc_parse_json(str_make(line, (size_t)n), arena, &row, NULL));
        struct schema_verdict found = {0};
        AUTO(schema_struct_destroy) struct schema_struct *schema = NULL;
        if (str_eq_c(doc_get_str(&row, "op"), "check")) {
            schema_struct_check(arena, doc_get(&row, "schema"),
                                STR("spec.validation.openAPIV3Schema"), true, &found.problems,
                                &found.problem_count);
        } else {
            schema = schema_struct_compile(doc_get(&row, "schema"), NULL);
            assert_non_null(schema);
            struct validator v = {.arena = arena, .old = doc_get(&row, "old")};
            struct outcome out = {0};
            struct_check_rules(&v, schema, doc_get(&row, "object"), &out);
            found = (struct schema_verdict){out.problems, out.count, v.warnings, v.warning_count};
        }
        struct doc_array got = doc_array_start(arena);
        for (size_t i = 0; i < found.problem_count; i++) {
            doc_array_add(&got, doc_make_str(arena_printf(arena, "%.*s: %.*s",
                                                          STR_ARG(found.problems[i].path),
                                                          STR_ARG(found.problems[i].message))));
        }
        for (size_t i = 0; i < found.warning_count; i++) {
            doc_array_add(&got, doc_make_str(found.warnings[i]));
        }
        struct doc_value list = doc_array_done(&got);
        if (!same_set(&list, doc_get(&row, "want"))) {
            print_error("%s\n", doc_to_json(arena, &list).p);
            fail_msg("row %zu: %s", rows, doc_to_json(arena, doc_get(&row, "want")).p);
        }
        rows++;
    }
    free(line);
    fclose(file);
    assert_int_equal(rows, 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_crds_as_kubernetes),
        cmocka_unit_test(agrees_with_kubernetes),
        cmocka_unit_test(words_of_the_api_server),
        cmocka_unit_test(refuses_schemas),
        cmocka_unit_test(limits_and_rules),
        cmocka_unit_test(metadata_is_pruned_by_its_own_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
