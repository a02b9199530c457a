// SPDX-License-Identifier: Apache-2.0
// Admission: what a written object becomes before it is kept. Defaults first, then the checks, both by kind from the
// lists in admit_*.c; custom kinds go through their structural schema. Nothing here knows the stored state except the
// object's own former form.
#include "apiserver/admit_internal.h"

#include "base/limits.h"

static const struct admit_rule *find_rule(const struct api_kind *kind) {
    static const struct admit_rule *const lists[] = {admit_core,    admit_workloads, admit_network,
                                                     admit_policy,  admit_control,   admit_storage,
                                                     admit_webhooks};
    for (size_t l = 0; l < ARRAY_LEN(lists) && !kind->custom; l++) {
        for (const struct admit_rule *rule = lists[l]; rule->kind; rule++) {
            if (str_eq_c(kind->kind, rule->kind) && str_eq_c(kind->group, rule->group)) {
                return rule;
            }
        }
    }
    return NULL;
}

// Strict refuses unknown and duplicate fields, Warn tells of them, Ignore drops them in silence. Duplicates are told of once.
static void warn_strict(struct admit *a, const struct str *unknown, size_t count) {
    struct api_admission *admission = a->admission;
    for (size_t i = 0; i < admission->duplicate_count; i++) {
        struct str name = admission->duplicates[i];
        admit_warn(a, admission->yaml
                          ? name
                          : arena_printf(a->arena, "duplicate field \"%.*s\"", STR_ARG(name)));
    }
    admission->duplicate_count = 0;
    for (size_t i = 0; i < count; i++) {
        admit_warn(a, arena_printf(a->arena, "unknown field \"%.*s\"", STR_ARG(unknown[i])));
    }
}

static bool report_unknown(struct admit *a, struct str *unknown, size_t count,
                           struct api_error *error) {
    const struct api_admission *admission = a->admission;
    if (count + admission->duplicate_count == 0 ||
        str_eq(admission->field_validation, STR("Ignore"))) {
        return true;
    }
    if (!str_eq(admission->field_validation, STR("Strict"))) {
        warn_strict(a, unknown, count);
        return true;
    }
    struct str list = admission->yaml && admission->duplicate_count ? STR("yaml: unmarshal errors:")
                                                                    : (struct str){"", 0};
    for (size_t i = 0; i < admission->duplicate_count; i++) {
        struct str name = admission->duplicates[i];
        list = admission->yaml
                   ? arena_printf(a->arena, "%.*s\n  %.*s", STR_ARG(list), STR_ARG(name))
                   : arena_printf(a->arena, "%.*s%sduplicate field \"%.*s\"", STR_ARG(list),
                                  list.n ? ", " : "", STR_ARG(name));
    }
    for (size_t i = 0; i < count; i++) {
        list = arena_printf(a->arena, "%.*s%sunknown field \"%.*s\"", STR_ARG(list),
                            list.n ? ", " : "", STR_ARG(unknown[i]));
    }
    const struct api_kind *kind = a->kind;
    return api_error_set(error, a->arena, 400, "BadRequest",
                         "%.*s in version \"%.*s\" cannot be handled as a %.*s: strict decoding "
                         "error: %.*s",
                         STR_ARG(kind->kind), STR_ARG(kind->version), STR_ARG(kind->kind),
                         STR_ARG(list));
}

static bool admit_custom(struct admit *a, struct doc_value *object, struct api_error *error) {
    struct str *pruned = NULL;
    size_t pruned_count = 0;
    if (!api_decode_metadata(a, object, &pruned, &pruned_count, error)) {
        return false;
    }
    if (!a->kind->schema || pruned_count > 0) {
        if (!report_unknown(a, pruned, pruned_count, error)) {
            return false;
        }
        pruned_count = 0;
    }
    if (!a->kind->schema) {
        return true;
    }
    *object = schema_struct_prune(a->kind->schema, a->arena, object, &pruned, &pruned_count);
    if (!report_unknown(a, pruned, pruned_count, error)) {
        return false;
    }
    *object = schema_struct_default(a->kind->schema, a->arena, object);
    if (a->admission->defaults_only) {
        return true;
    }
    struct schema_verdict verdict = schema_struct_judge(a->kind->schema, a->arena, object, a->old);
    for (size_t i = 0; i < verdict.warning_count; i++) {
        admit_warn(a, verdict.warnings[i]);
    }
    if (verdict.problem_count > 0) {
        return api_error_invalid(error, a->arena, a->kind, doc_get_str(object, "metadata", "name"),
                                 verdict.problems, verdict.problem_count);
    }
    return true;
}

static bool admit_builtin(struct admit *a, struct doc_value *object, struct api_error *error) {
    struct str *unknown = NULL;
    size_t count = 0;
    return api_decode(a, object, &unknown, &count, error) &&
           report_unknown(a, unknown, count, error);
}

// People hear of what is new only: of pods when they are made, of templates when they change.
static void warn_of_pods(struct admit *a, const struct doc_value *object) {
    bool job = str_eq(a->kind->kind, STR("CronJob"));
    if (a->kind->custom || a->admission->operation == API_UPDATE_STATUS) {
        return;
    }
    if (str_eq(a->kind->kind, STR("Pod"))) {
        if (!a->old) {
            admit_pod_warn(a, "", object);
        }
        return;
    }
    const struct doc_value *now = job ? doc_get(object, "spec", "jobTemplate", "spec", "template")
                                      : doc_get(object, "spec", "template");
    const struct doc_value *before =
        job ? doc_get(a->old, "spec", "jobTemplate", "spec", "template")
            : doc_get(a->old, "spec", "template");
    if (now && !(before && doc_equal(now, before))) {
        admit_pod_warn(a, job ? "spec.jobTemplate.spec.template." : "spec.template.", now);
    }
}

bool api_admit(struct arena *arena, struct api_admission *admission, struct doc_value *object,
               struct api_error *error) {
    struct admit a = {.arena = arena,
                      .admission = admission,
                      .kind = admission->kind,
                      .old = admission->operation == API_CREATE ? NULL : admission->old};
    if (!doc_is(object, DOC_OBJECT)) {
        return api_error_set(error, arena, 400, "BadRequest",
                             "the body of the request is not an object");
    }
    struct doc_value value = *object;
    if (a.kind->custom ? !admit_custom(&a, &value, error) : !admit_builtin(&a, &value, error)) {
        return false;
    }
    const struct admit_rule *rule = find_rule(a.kind);
    if (rule && rule->fill && admission->operation != API_UPDATE_STATUS) {
        rule->fill(&a, &value);
    }
    if (admission->defaults_only) {
        *object = value;
        return true;
    }
    admit_check_metadata(&a, &value);
    if (rule && admission->operation != API_UPDATE_STATUS) {
        if (rule->check) {
            rule->check(&a, &value);
        }
        if (rule->check_update && a.old) {
            rule->check_update(&a, &value, a.old);
        }
    }
    if (a.problem_count > 0) {
        return api_error_invalid(error, arena, a.kind, doc_get_str(&value, "metadata", "name"),
                                 a.problems, a.problem_count);
    }
    warn_of_pods(&a, &value);
    *object = admission->has_empty ? api_decode_trim(arena, a.kind, &value) : value;
    return true;
}
