// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/internal.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "golden.h"

// The printed Table as {columns (without their descriptions), rows (cells only)}.
static struct doc_value reduce(struct arena *arena, const struct doc_value *table) {
    struct doc_array columns = doc_array_start(arena), rows = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(table, "columnDefinitions"), column)) {
        doc_array_add(&columns, doc_without(arena, column, "description"));
    }
    for (DOC_EACH_ITEM(doc_get(table, "rows"), row)) {
        doc_array_add(&rows, *doc_get(row, "cells"));
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "columns", doc_array_done(&columns));
    doc_object_set_c(&out, "rows", doc_array_done(&rows));
    return doc_object_done(&out);
}

static bool compare_rows(struct arena *arena, const char *name, const struct doc_value *got,
                         const struct doc_value *want) {
    bool same = doc_equal(doc_get(got, "columns"), doc_get(want, "columns"));
    if (!same) {
        fprintf(stderr, "%s: columns differ\n", name);
    }
    for (size_t i = 0; i < doc_len(doc_get(want, "rows")); i++) {
        const struct doc_value *a = doc_at(doc_get(got, "rows"), i);
        const struct doc_value *b = doc_at(doc_get(want, "rows"), i);
        if (!doc_equal(a, b)) {
            fprintf(stderr, "%s:\n  got  %.*s\n  want %.*s\n", name, STR_ARG(doc_to_json(arena, a)),
                    STR_ARG(doc_to_json(arena, b)));
            same = false;
        }
    }
    return same && doc_len(doc_get(got, "rows")) == doc_len(doc_get(want, "rows"));
}

static bool check_table(const char *name) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = api_kinds_create();
    struct doc_value input, expected, options, crd;
    assert_true(golden_read(arena, "table", name, "input.json", &input));
    assert_true(golden_read(arena, "table", name, "expected.json", &expected));
    assert_true(golden_read(arena, "table", name, "options.json", &options));
    if (golden_read(arena, "table", name, "crd.json", &crd)) {
        api_kinds_crd_changed(kinds, doc_get_str(&crd, "metadata", "name"), &crd);
    }
    struct str version = doc_get_str(&input, "apiVersion"), group, rest;
    bool named = str_cut(version, '/', &group, &rest);
    const struct api_kind *kind = api_kinds_find_kind(
        kinds, named ? group : STR(""), named ? rest : version, doc_get_str(&input, "kind"));
    assert_non_null(kind);
    const struct doc_value *items = doc_get(&input, "items");
    const struct doc_value **objects = ARENA_ARRAY(arena, doc_len(items), const struct doc_value *);
    for (size_t i = 0; i < doc_len(items); i++) {
        objects[i] = doc_at(items, i);
    }
    int64_t now;
    assert_true(time_parse(doc_get_str(&options, "now"), &now));
    AUTO_BUF struct buf out;
    buf_init(&out, 16 * MIB);
    assert_true(api_table_print(arena, kind, objects, doc_len(items), STR("Metadata"), true, NULL,
                                now, &out));
    struct doc_value table;
    struct err err = {0};
    assert_true(doc_parse_json(buf_str(&out), arena, &table, &err));
    struct doc_value got = reduce(arena, &table);
    return compare_rows(arena, name, &got, &expected);
}

static void test_tables(void **state) {
    size_t count;
    assert_int_equal(golden_each("table", check_table, &count), 0);
    assert_true(count > 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
