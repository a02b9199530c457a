// SPDX-License-Identifier: Apache-2.0
// Tables in tests/data/doc/yaml were made by the Go libraries that users' other tools use; one JSON object a line.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "doc/yaml.h"

// ---- Tables ----

static char *read_table(const char *name, size_t *size) {
    char path[1024];
    const char *folder = getenv("SKIFF_TEST_DATA");
    assert_non_null(folder);
    snprintf(path, sizeof path, "%s/doc/yaml/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("%s: cannot be opened", path);
        return NULL;
    }
    size_t cap = (size_t)8 * MIB;
    char *text = xmalloc(cap);
    *size = fread(text, 1, cap, file);
    fclose(file);
    return text;
}

typedef void row_fn(struct arena *arena, const struct doc_value *row, struct str line);

static void each_row(const char *table, size_t at_least, row_fn *check) {
    size_t size = 0;
    char *text = read_table(table, &size);
    struct str rest = {text, size};
    struct str line;
    size_t rows = 0;
    while (str_next(&rest, '\n', &line)) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value row;
        struct err err = {0};
        if (!doc_parse_json(line, arena, &row, &err)) {
            fail_msg("%s: %s", table, err.message);
        }
        check(arena, &row, line);
        rows++;
    }
    free(text);
    assert_true(rows >= at_least);
}

static bool parse(struct arena *arena, struct str text, const struct yaml_options *options,
                  struct yaml_document **documents, size_t *count, struct err *err) {
    // A copy of exact size, gone before anybody looks at the result: nothing may be borrowed.
    char *copy = xmalloc(text.n ? text.n : 1);
    memcpy(copy, text.p ? text.p : "", text.n);
    bool ok = yaml_parse(str_make(copy, text.n), options, arena, documents, count, err);
    memset(copy, 'x', text.n);
    free(copy);
    return ok;
}

static void check_profile(struct arena *arena, const struct doc_value *row, struct str text,
                          enum yaml_profile profile, const char *want_key, const char *error_key) {
    struct yaml_options options = {.profile = profile};
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    bool ok = parse(arena, text, &options, &documents, &count, &err);
    if (doc_get(row, error_key)) {
        if (ok) {
            fail_msg("%.*s: %s expected", STR_ARG(text), error_key);
        }
        return;
    }
    if (!ok) {
        fail_msg("%.*s: %s", STR_ARG(text), err.message);
    }
    const struct doc_value *want = doc_get(row, want_key);
    const struct doc_value *got = doc_get(&documents[0].root, "v");
    // Numbers of the table may be written in another form ("1e+21"), so values are compared.
    if (!doc_equal(got, want)) {
        fail_msg("%.*s as %s: got %s", STR_ARG(text), want_key, doc_to_json(arena, got).p);
    }
}

static void check_scalar(struct arena *arena, const struct doc_value *row, struct str line) {
    struct str scalar = doc_get_str(row, "scalar");
    struct str text = arena_printf(arena, "v: %.*s\n", STR_ARG(scalar));
    check_profile(arena, row, text, YAML_KUBERNETES, "kubernetes", "kubernetes_error");
    check_profile(arena, row, text, YAML_KUSTOMIZE, "kustomize", "kustomize_error");
    if (doc_get(row, "key")) {
        struct yaml_options options = {.profile = YAML_KUBERNETES};
        struct yaml_document *documents;
        size_t count;
        struct err err = {0};
        text = arena_printf(arena, "%.*s: v\n", STR_ARG(scalar));
        if (!parse(arena, text, &options, &documents, &count, &err)) {
            fail_msg("%.*s: %s", STR_ARG(text), err.message);
        }
        if (!str_eq(doc_key_at(&documents[0].root, 0), doc_get_str(row, "key"))) {
            fail_msg("%.*s: key %.*s", STR_ARG(text), STR_ARG(doc_key_at(&documents[0].root, 0)));
        }
    }
}

static void scalars_have_the_type_that_go_gives_them(void **state) {
    each_row("scalars.jsonl", 300, check_scalar);
}

static void check_read(struct arena *arena, const struct doc_value *row, struct str line) {
    struct yaml_options options = {.profile = YAML_KUBERNETES, .places = true};
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    struct str text = doc_get_str(row, "yaml");
    if (!parse(arena, text, &options, &documents, &count, &err)) {
        fail_msg("%.*s: %s", STR_ARG(text), err.message);
    }
    assert_int_equal(count, 1);
    if (!doc_equal(&documents[0].root, doc_get(row, "json"))) {
        fail_msg("%.*s: got %s", STR_ARG(text), doc_to_json(arena, &documents[0].root).p);
    }
}

static void documents_read_as_in_go(void **state) {
    each_row("read.jsonl", 100, check_read);
}

static void check_print(struct arena *arena, const struct doc_value *row, struct str line) {
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, MIB);
    assert_true(yaml_print(doc_get(row, "json"), &buf));
    if (!str_eq(buf_str(&buf), doc_get_str(row, "yaml"))) {
        fail_msg("want\n%.*s\ngot\n%.*s", STR_ARG(doc_get_str(row, "yaml")),
                 STR_ARG(buf_str(&buf)));
    }
    // What was printed reads back as the same value.
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    if (!parse(arena, buf_str(&buf), &options, &documents, &count, &err)) {
        fail_msg("%.*s: %s", STR_ARG(buf_str(&buf)), err.message);
    }
    if (count != 1 || !doc_equal(&documents[0].root, doc_get(row, "json"))) {
        fail_msg("%.*s: read back as %s", STR_ARG(buf_str(&buf)),
                 doc_to_json(arena, &documents[0].root).p);
    }
}

static void documents_print_as_in_go(void **state) {
    each_row("print.jsonl", 100, check_print);
}

// ---- Streams, places, anchors ----

static void streams_and_places(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct yaml_options options = {.profile = YAML_KUBERNETES, .places = true};
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    struct str text = STR("# head\nkind: A\nspec:\n  - x\n  -   name: é\n---\n---\nkind: B\n...\n");
    assert_true(parse(arena, text, &options, &documents, &count, &err));
    assert_int_equal(count, 3);
    assert_int_equal(documents[0].line, 2);
    assert_true(doc_is(&documents[1].root, DOC_NULL));
    assert_int_equal(documents[2].line, 8);
    uint32_t line, column;
    const struct doc_value *name = doc_get(doc_at(doc_get(&documents[0].root, "spec"), 1), "name");
    yaml_place_of(&documents[0], name, &line, &column);
    assert_int_equal(line, 5);
    assert_int_equal(column, 13);
    yaml_place_of(&documents[0], &documents[0].root, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 1);
    yaml_place_of(&documents[2], name, &line, &column);
    assert_int_equal(line, 0);
    assert_true(parse(arena, STR(""), &options, &documents, &count, &err));
    assert_int_equal(count, 0);
}

static void anchors_and_merges(void **state) {
    static const struct {
        const char *yaml;
        enum yaml_profile profile;
        bool strict;
        const char *json; // or the error
    } cases[] = {
        {"a: &x {k: 1}\nb: *x\n", YAML_KUBERNETES, true, "{\"a\":{\"k\":1},\"b\":{\"k\":1}}"},
        {"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", YAML_KUBERNETES, false,
         "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":3,\"l\":2}}"},
        // v2 lets the later one win, v3 the one written in the mapping itself.
        {"a: &x {k: 1}\nb: {k: 3, <<: *x}\n", YAML_KUBERNETES, false,
         "{\"a\":{\"k\":1},\"b\":{\"k\":1}}"},
        {"a: &x {k: 1}\nb: {k: 3, <<: *x}\n", YAML_KUSTOMIZE, true,
         "{\"a\":{\"k\":1},\"b\":{\"k\":3}}"},
        {"b: {<<: [{k: 1}, {k: 2, l: 2}]}\n", YAML_KUBERNETES, false, "{\"b\":{\"k\":1,\"l\":2}}"},
        {"k: 1\nk: 2\n", YAML_KUBERNETES, false, "{\"k\":2}"},
        {"k: 1\nl: 0\nk: 2\n", YAML_KUBERNETES, true, "yaml: line 3: key \"k\" already set in map"},
        {"a: *x\n", YAML_KUBERNETES, false, "yaml: line 1: unknown anchor 'x' referenced"},
        {"a: &x [*x]\n", YAML_KUBERNETES, false, "yaml: line 1: anchor 'x' value contains itself"},
        {"<<: 1\n", YAML_KUBERNETES, false,
         "yaml: line 1: map merge requires map or sequence of maps as the value"},
        {"{{ .Values.x }}: 1\n", YAML_KUBERNETES, false,
         "yaml: line 1: invalid map key: a map; hint: put the key, or template text such as "
         "{{ ... }}, in quotes"},
        {"a: b: c\n", YAML_KUBERNETES, false,
         "yaml: line 1: mapping values are not allowed in this context; hint: put a value that "
         "contains \": \" in quotes, or correct the indentation"},
        {"a:\n\tb: 1\n", YAML_KUBERNETES, false,
         "yaml: line 2: found character that cannot start any token, while scanning for the next "
         "token; hint: indent with spaces, not tabs; put a value that starts with @, % or ` in "
         "quotes"},
        {"a: .inf\n", YAML_KUBERNETES, false,
         "json: unsupported value: +Inf (line 1); hint: JSON knows no infinite numbers, put the "
         "value in quotes"},
        // JSON that YAML 1.1 cannot read.
        {"{\t\"a\": \"\\ud83d\\ude00\"}", YAML_KUBERNETES, false, "{\"a\":\"\xF0\x9F\x98\x80\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct yaml_options options = {.profile = cases[i].profile, .strict = cases[i].strict};
        struct yaml_document *documents;
        size_t count;
        struct err err = {0};
        bool ok = parse(arena, str_from(cases[i].yaml), &options, &documents, &count, &err);
        struct str got = ok ? doc_to_json(arena, &documents[0].root) : str_from(err.message);
        if (!str_eq_c(got, cases[i].json)) {
            fail_msg("%s: got %.*s, want %s", cases[i].yaml, STR_ARG(got), cases[i].json);
        }
        if (!ok) {
            assert_true(err.line > 0 && err.column > 0);
        }
    }
}

// ---- Limits ----

static void expect_limit(struct str text, const char *limit) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct yaml_options options = {.profile = YAML_KUBERNETES, .places = true};
    struct yaml_document *documents = NULL;
    size_t count = 77;
    struct err err = {0};
    assert_false(parse(arena, text, &options, &documents, &count, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, limit));
    assert_null(documents);
    assert_int_equal(count, 77);
}

static void limits_hold(void **state) {
    AUTO_BUF struct buf deep = {0};
    buf_init(&deep, MIB);
    buf_add_repeat(&deep, '[', LIMIT_YAML_DEPTH + 1);
    buf_add_repeat(&deep, ']', LIMIT_YAML_DEPTH + 1);
    expect_limit(buf_str(&deep), "LIMIT_YAML_DEPTH");
    AUTO_BUF struct buf bomb = {0};
    buf_init(&bomb, MIB);
    buf_add_c(&bomb, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 9; i++) {
        int p = i - 1;
        buf_printf(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, p, p,
                   p, p, p, p, p, p, p);
    }
    expect_limit(buf_str(&bomb), "LIMIT_YAML_ALIAS_RATIO");
    AUTO_BUF struct buf high = {0}; // aliases on aliases: the depth counts where they are used
    buf_init(&high, MIB);
    buf_add_c(&high, "a0: &a0 [1]\n");
    for (int i = 1; i <= LIMIT_YAML_DEPTH; i++) {
        buf_printf(&high, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    expect_limit(buf_str(&high), "LIMIT_YAML_DEPTH");
}

static void large_mappings_are_linear(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text = {0};
    buf_init(&text, 16 * MIB);
    for (int i = 0; i < 50000; i++) {
        buf_printf(&text, "key-%d: &k%d v\n", i, i);
    }
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    assert_true(parse(arena, buf_str(&text), &options, &documents, &count, &err));
    assert_int_equal(doc_len(&documents[0].root), 50000);
    assert_true(str_eq_c(doc_get_str(&documents[0].root, "key-49999"), "v"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_have_the_type_that_go_gives_them),
        cmocka_unit_test(documents_read_as_in_go),
        cmocka_unit_test(documents_print_as_in_go),
        cmocka_unit_test(streams_and_places),
        cmocka_unit_test(anchors_and_merges),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(large_mappings_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
