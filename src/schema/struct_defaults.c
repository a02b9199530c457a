// SPDX-License-Identifier: Apache-2.0
// Defaults of a schema must have no unknown fields and be valid by it, rules included.
#include "base/limits.h"
#include "schema/schema.h"
#include "schema/struct_check.h"

static void check_default(struct schema_check *k, const struct doc_value *schema,
                          const struct doc_value *value, struct str path) {
    struct err err = {0};
    AUTO(schema_struct_destroy)
    struct schema_struct *part = struct_compile_part(schema, &err);
    if (!part) {
        return; // the schema's own problems are told elsewhere
    }
    struct str *pruned = NULL;
    size_t pruned_count = 0;
    schema_struct_prune(part, k->v.arena, value, &pruned, &pruned_count);
    if (pruned_count > 0) {
        check_invalid(k, path, value, "must not have unknown fields");
    }
    struct schema_verdict verdict = schema_struct_judge(part, k->v.arena, value, NULL);
    for (size_t i = 0; i < verdict.problem_count; i++) {
        struct schema_problem problem = verdict.problems[i];
        bool here = problem.path.n == 0 || str_eq_c(problem.path, "<nil>");
        bool dot = !here && problem.path.p[0] != '[';
        problem.path = here ? path
                            : arena_printf(k->v.arena, "%.*s%s%.*s", STR_ARG(path), dot ? "." : "",
                                           STR_ARG(problem.path));
        problem.message = arena_dup(k->v.arena, problem.message);
        problem_copy(&k->v, &k->out, &problem);
    }
}

static void walk(struct schema_check *k, const struct doc_value *schema, struct str path,
                 unsigned depth) {
    if (!doc_is(schema, DOC_OBJECT) || depth > LIMIT_SCHEMA_DEPTH) {
        return;
    }
    const struct doc_value *value = doc_get(schema, "default");
    if (!doc_is_null(value)) {
        check_default(k, schema, value, check_child(k, path, "default"));
    }
    walk(k, doc_get(schema, "items"), check_child(k, path, "items"), depth + 1);
    const struct doc_value *properties = doc_get(schema, "properties");
    struct str at = check_child(k, path, "properties");
    for (DOC_EACH_MEMBER(properties, i)) {
        walk(k, doc_value_at(properties, i), check_key(k, at, doc_key_at(properties, i)),
             depth + 1);
    }
    walk(k, doc_get(schema, "additionalProperties"), check_child(k, path, "additionalProperties"),
         depth + 1);
}

void check_defaults(struct schema_check *k, const struct doc_value *schema, struct str path,
                    bool root) {
    walk(k, schema, path, 0);
}
