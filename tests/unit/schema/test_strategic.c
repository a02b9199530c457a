// SPDX-License-Identifier: Apache-2.0
// tests/data/schema/strategic.jsonl was made by Kubernetes' own library from random objects: {"op", "group", "version",
// "kind", "a", "b", "c" (three-way only), "want" or "error"}.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "schema/schema.h"

static struct doc_value parse(struct arena *arena, const char *text) {
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json_copy(str_from(text), arena, &v, &err)) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

// Two differences that are meant: an applied patch leaves no nulls and no directives in what it adds (the API server drops
// them a step later), and a merged list of scalars that did not change sends no $setElementOrder.
static struct doc_value comparable(struct arena *arena, const struct doc_value *v, bool merged) {
    if (doc_is(v, DOC_ARRAY)) {
        struct doc_array items = doc_array_start(arena);
        for (DOC_EACH_ITEM(v, item)) {
            doc_array_add(&items, comparable(arena, item, merged));
        }
        return doc_array_done(&items);
    }
    if (!doc_is(v, DOC_OBJECT)) {
        return *v;
    }
    struct doc_object object = doc_object_start(arena);
    for (DOC_EACH_MEMBER(v, i)) {
        struct str key = doc_key_at(v, i);
        const struct doc_value *value = doc_value_at(v, i);
        bool directive = key.n && key.p[0] == '$';
        bool order =
            str_starts(key, STR("$setElementOrder")) && !doc_is(doc_at(value, 0), DOC_OBJECT);
        if (merged ? directive || doc_is_null(value) : order) {
            continue;
        }
        struct doc_value inner = comparable(arena, value, merged);
        if (merged || !doc_is(&inner, DOC_OBJECT) || doc_len(&inner) > 0) {
            doc_object_set(&object, key, inner);
        }
    }
    return doc_object_done(&object);
}

static void check_row(struct arena *arena, const struct doc_value *row, struct str line) {
    const struct schema_type *type = schema_find(
        doc_get_str(row, "group"), doc_get_str(row, "version"), doc_get_str(row, "kind"));
    assert_non_null(type);
    const struct doc_value *a = doc_get(row, "a");
    const struct doc_value *b = doc_get(row, "b");
    struct str op = doc_get_str(row, "op");
    struct err err = {0};
    struct doc_value got;
    bool merged = str_eq_c(op, "merge");
    bool ok;
    if (merged) {
        ok = schema_strategic_merge(arena, type, a, b, &got, &err);
    } else if (str_eq_c(op, "diff")) {
        ok = schema_strategic_diff(arena, type, a, b, &got, &err);
    } else {
        ok = schema_three_way(arena, type, a, b, doc_get(row, "c"), &got, &err);
    }
    const struct doc_value *want = doc_get(row, "want");
    if (ok != (want != NULL)) {
        fail_msg("%.*s\n%s", STR_ARG(line), ok ? "an error was expected" : err.message);
    }
    if (ok) {
        struct doc_value left = comparable(arena, &got, merged);
        struct doc_value right = comparable(arena, want, merged);
        if (!doc_equal(&left, &right)) {
            fail_msg("%.*s\ngot: %s", STR_ARG(line), doc_to_json(arena, &got).p);
        }
    }
}

static void agrees_with_kubernetes(void **state) {
    char name[1024];
    snprintf(name, sizeof name, "%s/schema/strategic.jsonl", getenv("SKIFF_TEST_DATA"));
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

// ---- By hand ----

struct merge_case {
    const char *kind, *base, *patch, *want; // an error starts with "!"
};

static void merges(void **state) {
    static const struct merge_case cases[] = {
        {"Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"2\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"2\"},{\"name\":\"b\"}]}}"},
        {"Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\"}]}}"},
        {"Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"c\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"},
        {"Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}}"},
        {"Pod", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
         "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"],\"finalizers\":[\"c\"]}}",
         "{\"metadata\":{\"finalizers\":[\"c\",\"b\"]}}"},
        {"Pod", "{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}}",
         "{\"metadata\":{\"labels\":{\"a\":null,\"c\":\"3\"}}}",
         "{\"metadata\":{\"labels\":{\"b\":\"2\",\"c\":\"3\"}}}"},
        {"Pod", "{\"spec\":{\"tolerations\":[{\"key\":\"a\"}]}}",
         "{\"spec\":{\"tolerations\":[{\"key\":\"b\"}]}}",
         "{\"spec\":{\"tolerations\":[{\"key\":\"b\"}]}}"},
        {"Pod", "{\"spec\":{\"nodeName\":\"x\"}}",
         "{\"spec\":{\"$patch\":\"replace\",\"hostNetwork\":true}}",
         "{\"spec\":{\"hostNetwork\":true}}"},
        {"Pod", "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}}",
         "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"$retainKeys\":[\"name\",\"hostPath\"],"
         "\"hostPath\":{\"path\":\"/\"}}]}}",
         "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/\"}}]}}"},
        {"Pod", "{}", "{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}",
         "{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}"},
        {"Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}",
         "{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}",
         "!map: map[image:x] does not contain declared merge key: name"},
        {"Pod", "{\"spec\":{}}", "{\"spec\":{\"$patch\":\"nonsense\"}}",
         "!unknown patch type: nonsense in map: map[$patch:nonsense]"},
        {"Pod", "{}", "[]", "!a strategic merge patch must be an object, not array"},
        // A kind without tables: lists are replaced, nulls delete.
        {"Unknown", "{\"spec\":{\"containers\":[{\"name\":\"a\"}],\"x\":1}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\"}],\"x\":null}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\"}]}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value base = parse(arena, cases[i].base);
        struct doc_value patch = parse(arena, cases[i].patch);
        struct err err = {0};
        struct doc_value out;
        bool ok =
            schema_strategic_merge(arena, schema_find(STR(""), STR("v1"), str_from(cases[i].kind)),
                                   &base, &patch, &out, &err);
        struct str got = ok ? doc_to_json(arena, &out) : arena_printf(arena, "!%s", err.message);
        if (!str_eq_c(got, cases[i].want)) {
            fail_msg("%s\ngot %.*s\nwant %s", cases[i].patch, STR_ARG(got), cases[i].want);
        }
    }
}

static void three_way_of_unknown_kinds(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value original = parse(arena, "{\"spec\":{\"a\":1,\"b\":{\"x\":1},\"gone\":true}}");
    struct doc_value modified = parse(arena, "{\"spec\":{\"a\":2,\"b\":{},\"l\":[1]}}");
    struct doc_value current = parse(
        arena, "{\"spec\":{\"a\":1,\"b\":{\"x\":1},\"gone\":true,\"server\":1},\"status\":{}}");
    struct doc_value patch;
    struct err err = {0};
    assert_true(schema_three_way(arena, NULL, &original, &modified, &current, &patch, &err));
    struct doc_value want =
        parse(arena, "{\"spec\":{\"a\":2,\"b\":{\"x\":null},\"gone\":null,\"l\":[1]}}");
    assert_true(doc_equal(&patch, &want));
    assert_true(schema_three_way(arena, NULL, &modified, &modified, &modified, &patch, &err));
    assert_true(doc_is(&patch, DOC_OBJECT));
    assert_int_equal(doc_len(&patch), 0);
}

static void large_lists_are_linear(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text = {0};
    buf_init(&text, 8 * MIB);
    buf_add_c(&text, "{\"spec\":{\"containers\":[");
    for (int i = 0; i < 30000; i++) {
        buf_printf(&text, "%s{\"name\":\"c%d\"}", i ? "," : "", i);
    }
    buf_add_c(&text, "]}}");
    struct doc_value base = parse(arena, text.data);
    struct doc_value out;
    struct err err = {0};
    const struct schema_type *pod = schema_find(STR(""), STR("v1"), STR("Pod"));
    assert_true(schema_strategic_merge(arena, pod, &base, &base, &out, &err));
    assert_true(doc_equal(&out, &base));
    assert_true(schema_strategic_diff(arena, pod, &base, &base, &out, &err));
    assert_int_equal(doc_len(&out), 0);
}

static void normalizes(void **state) {
    static const struct {
        const char *group, *kind, *in, *out;
    } cases[] = {
        {"", "Pod",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"1000m\","
         "\"memory\":\"1024Mi\",\"x\":1}}}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"1\","
         "\"memory\":\"1Gi\",\"x\":\"1\"}}}]}}"},
        {"", "Pod", "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":0.5}}}]}}",
         "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"500m\"}}}]}}"},
        {"", "Pod", "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T02:00:00+02:00\"}}",
         "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"}}"},
        {"", "Secret", "{\"data\":{\"a\":\"aGVs\\nbG8=\"}}", "{\"data\":{\"a\":\"aGVsbG8=\"}}"},
        {"", "ConfigMap", "{\"data\":{\"cpu\":\"1000m\"}}", "{\"data\":{\"cpu\":\"1000m\"}}"},
        {"", "Pod", "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"lots\"}}}]}}",
         "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"lots\"}}}]}}"},
        {"apps", "Deployment",
         "{\"spec\":{\"strategy\":{\"rollingUpdate\":{\"maxSurge\":\"25%\"}}}}",
         "{\"spec\":{\"strategy\":{\"rollingUpdate\":{\"maxSurge\":\"25%\"}}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value in = parse(arena, cases[i].in);
        const struct schema_type *type =
            schema_find(str_from(cases[i].group), STR("v1"), str_from(cases[i].kind));
        assert_non_null(type);
        struct doc_value out = schema_normalize(arena, type, &in);
        struct str got = doc_to_json(arena, &out);
        if (!str_eq_c(got, cases[i].out)) {
            fail_msg("got %.*s, want %s", STR_ARG(got), cases[i].out);
        }
    }
}

static void finds_kinds(void **state) {
    assert_non_null(schema_find(STR("apps"), STR("v1"), STR("Deployment")));
    assert_non_null(
        schema_find(STR("apiextensions.k8s.io"), STR("v1"), STR("CustomResourceDefinition")));
    assert_non_null(schema_find(STR("networking.k8s.io"), STR("v1"), STR("Ingress")));
    assert_non_null(schema_find(STR("events.k8s.io"), STR("v1"), STR("Event")));
    assert_null(schema_find(STR("apps"), STR("v2"), STR("Deployment")));
    assert_null(schema_find(STR("argoproj.io"), STR("v1alpha1"), STR("Application")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_kubernetes),
        cmocka_unit_test(merges),
        cmocka_unit_test(three_way_of_unknown_kinds),
        cmocka_unit_test(large_lists_are_linear),
        cmocka_unit_test(normalizes),
        cmocka_unit_test(finds_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
