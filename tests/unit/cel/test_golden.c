// SPDX-License-Identifier: Apache-2.0
// tests/data/cel/*.jsonl: expressions of our own with the answers of kube-apiserver's CEL environment: {"expr", "schema",
// "self", "old", "want", "cost"}. "want" is a value, "error: ...", "compile: ..." or "program: ..."; "same" stands for
// schema, self and old of the row before; "ours" is what we answer where that is known to be another text.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cel/cel_internal.h"
#include "schema/schema.h"
#include "schema/struct_internal.h"

static struct str show(struct cel_eval *e, const struct cel_value *v);

static struct str show_list(struct cel_eval *e, const struct cel_value *v) {
    struct str text = STR("[");
    for (size_t i = 0; i < cel_list_len(v); i++) {
        struct cel_value item = cel_list_at(e, v, i);
        struct str part = show(e, &item);
        text = arena_printf(e->arena, "%.*s%s%.*s", STR_ARG(text), i ? ", " : "", STR_ARG(part));
    }
    return arena_concat(e->arena, text, STR("]"));
}

static struct str show(struct cel_eval *e, const struct cel_value *v) {
    struct arena *arena = e->arena;
    struct doc_value text;
    switch (v->kind) {
    case CEL_OPTIONAL:
        if (!v->u.optional) {
            return STR("none");
        }
        return arena_printf(arena, "some(%.*s)", STR_ARG(show(e, v->u.optional)));
    case CEL_STRING:
        text = doc_make_str(v->u.text);
        return doc_to_json(arena, &text);
    case CEL_BYTES:
        return arena_concat(arena, STR("b"), hex_encode(arena, v->u.text));
    case CEL_UINT:
        return arena_printf(arena, "%lluu", (unsigned long long)v->u.natural);
    case CEL_DOUBLE:
        return arena_concat(arena, STR("double "), cel_double_text(arena, v->u.number));
    case CEL_NULL:
        return STR("null");
    case CEL_TIMESTAMP:
        return arena_concat(arena, STR("t"), cel_time_format(arena, v->u.time));
    case CEL_DURATION:
        return arena_concat(arena, STR("d"), cel_duration_text(arena, v->u.time));
    case CEL_LIST:
        return show_list(e, v);
    case CEL_MAP:
    case CEL_OBJECT:
        return arena_printf(arena, "map %zu", cel_map_len(v));
    case CEL_TYPE:
        return arena_printf(arena, "type %s", cel_kind_name((enum cel_kind)v->u.type->kind));
    case CEL_QUANTITY:
        return STR("quantity");
    case CEL_BOOL:
    case CEL_INT:
        return cel_display(arena, v);
    case CEL_IP:
    case CEL_CIDR:
        return cel_net_text(e, v).u.text;
    default:
        return arena_printf(arena, "other %s", cel_kind_name((enum cel_kind)v->kind));
    }
}

static struct str answer(struct arena *arena, const struct doc_value *row, uint64_t *spent) {
    struct err err = {0};
    const struct cel_type *type = NULL;
    AUTO(schema_struct_destroy) struct schema_struct *schema = NULL;
    if (doc_get(row, "schema")) {
        // A rule makes the schema's types.
        struct doc_object with = doc_object_copy(arena, doc_get(row, "schema"));
        struct doc_array rules = doc_array_start(arena);
        struct doc_object rule = doc_object_start(arena);
        doc_object_set(&rule, STR("rule"), DOC_S("true"));
        doc_array_add(&rules, doc_object_done(&rule));
        doc_object_set(&with, STR("x-kubernetes-validations"), doc_array_done(&rules));
        struct doc_value made = doc_object_done(&with);
        schema = schema_struct_compile(&made, &err);
        if (!schema) {
            return arena_printf(arena, "schema: %s", err.message);
        }
        type = schema->root->cel;
    }
    struct cel_variable variables[] = {{STR("self"), type}, {STR("oldSelf"), type}};
    struct cel_env env = {variables, type ? 2 : 0};
    struct cel_problem problem = {0};
    struct cel_program *program = cel_compile(arena, doc_get_str(row, "expr"), &env, &problem);
    if (!program) {
        return arena_concat(arena, problem.late ? STR("program: ") : STR("compile: "),
                            problem.text);
    }
    struct cel_binding bindings[] = {
        {STR("self"), cel_from_doc(arena, doc_get(row, "self"), type)},
        {STR("oldSelf"), cel_from_doc(arena, doc_get(row, "old"), type)},
    };
    struct cel_cost cost = {0};
    struct cel_value value;
    struct str out;
    struct cel_eval e = {.arena = arena, .limit = UINT64_MAX};
    if (cel_eval(program, bindings, 2, &cost, arena, &value, &err)) {
        out = arena_dup(arena, show(&e, &value));
    } else {
        out = arena_printf(arena, "error: %s", err.message);
    }
    cel_program_release(program);
    *spent = cost.spent;
    return out;
}

struct tally {
    size_t rows, wrong, known, costs;
    struct arena *arena;    // of the row that others refer to
    struct doc_value model; // that row
};

static void check_row(struct tally *tally, struct str line) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value row;
    struct err err = {0};
    if (!doc_parse_json(line, arena, &row, &err)) {
        fail_msg("%.*s: %s", STR_ARG(line), err.message);
    }
    if (doc_get(&row, "schema")) {
        arena_reset(tally->arena);
        tally->model = doc_clone(tally->arena, &row);
    } else if (doc_get(&row, "same")) {
        struct doc_object whole = doc_object_copy(arena, &tally->model);
        doc_object_set(&whole, STR("expr"), *doc_get(&row, "expr"));
        row = doc_object_done(&whole);
        struct doc_value text;
        if (!doc_parse_json(line, arena, &text, &err)) {
            fail_msg("%.*s: %s", STR_ARG(line), err.message);
        }
        row = doc_with(arena, &row, *doc_get(&text, "want"), "want");
        row = doc_with(arena, &row,
                       doc_get(&text, "cost") ? *doc_get(&text, "cost") : doc_make_int(0), "cost");
        row = doc_with(arena, &row, doc_get(&text, "ours") ? *doc_get(&text, "ours") : doc_null(),
                       "ours");
    }
    uint64_t spent = 0;
    struct str got = answer(arena, &row, &spent), want = doc_get_str(&row, "want");
    struct str ours = doc_get_str(&row, "ours");
    tally->rows++;
    tally->known += ours.n > 0;
    want = ours.n ? ours : want;
    if (!str_eq(got, want)) {
        tally->wrong++;
        print_error("%.*s\n  got  %.*s\n  want %.*s\n", STR_ARG(doc_get_str(&row, "expr")),
                    STR_ARG(got), STR_ARG(want));
    } else if ((uint64_t)doc_int(doc_get(&row, "cost"), 0) != spent) {
        tally->costs++;
        if (getenv("SHOW_COSTS")) {
            print_message("%.*s: cost %llu, want %lld\n", STR_ARG(doc_get_str(&row, "expr")),
                          (unsigned long long)spent, (long long)doc_int(doc_get(&row, "cost"), 0));
        }
    }
}

static void answers_as_kubernetes(void **state) {
    const char *folder = getenv("SKIFF_TEST_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/cel/expressions.jsonl", folder ? folder : "tests/data");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    AUTO(arena_destroy) struct arena *kept = arena_create();
    struct tally tally = {.arena = kept};
    while ((n = getline(&line, &cap, file)) > 0) {
        check_row(&tally, str_trim(str_make(line, (size_t)n)));
    }
    free(line);
    fclose(file);
    print_message("%zu rows, %zu differ (%zu known), %zu costs differ\n", tally.rows, tally.wrong,
                  tally.known, tally.costs);
    assert_true(tally.rows > 100);
    assert_int_equal(tally.wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_kubernetes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
