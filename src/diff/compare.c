// SPDX-License-Identifier: Apache-2.0
// The three-way comparison: what would `kubectl apply` of the desired object change in the live one? Fields that neither
// the desired object nor the last applied one names belong to somebody else and never count as a difference.
#include "diff/diff.h"

#include "diff/diff_internal.h"

// What was applied last, from the annotation; false when there is none or it does not parse.
static bool last_applied(struct arena *arena, const struct doc_value *live,
                         struct doc_value *original) {
    struct str text = doc_get_str(live, "metadata", "annotations", DIFF_LAST_APPLIED);
    struct err err = {0};
    return text.n && doc_parse_json(text, arena, original, &err) && doc_is(original, DOC_OBJECT);
}

static bool apply(struct arena *arena, const struct schema_type *type, const struct doc_value *base,
                  const struct doc_value *patch, struct doc_value *out, struct err *err) {
    if (type) {
        return schema_strategic_merge(arena, type, base, patch, out, err);
    }
    *out = doc_merge_patch(arena, base, patch);
    return true;
}

bool diff_compare(struct arena *arena, const struct doc_value *desired,
                  const struct doc_value *live, const struct diff_options *options,
                  struct diff_result *out, struct err *err) {
    if (!desired || !live) {
        out->modified = true;
        out->live = live ? *live : doc_null();
        out->predicted = desired ? *desired : doc_null();
        return true;
    }
    const struct schema_type *type = diff_type(desired);
    struct doc_value want = diff_normalize(arena, type, desired, options);
    struct doc_value have = diff_normalize(arena, type, live, options);
    struct doc_value original;
    bool has_original = last_applied(arena, live, &original);
    original = has_original ? diff_normalize(arena, type, &original, options) : want;

    if (!doc_get(&want, "metadata", "annotations") && doc_get(&have, "metadata", "annotations")) {
        // What is applied always has annotations, so that a desired object without any does not ask for the end of all.
        struct doc_object none = doc_object_start(arena);
        want = doc_with(arena, &want, doc_object_done(&none), "metadata", "annotations");
    }
    want = diff_remove_ignored(arena, want, desired, options);
    have = diff_remove_ignored(arena, have, desired, options);
    original = diff_remove_ignored(arena, original, desired, options);
    struct doc_value patch;
    struct doc_value predicted;
    if (!schema_three_way(arena, type, &original, &want, &have, &patch, err) ||
        !apply(arena, type, &have, &patch, &predicted, err)) {
        return err_wrap(err, "comparing %.*s %.*s", STR_ARG(doc_get_str(desired, "kind")),
                        STR_ARG(doc_get_str(desired, "metadata", "name")));
    }
    out->modified = !doc_equal(&predicted, &have);
    out->live = have;
    out->predicted = predicted;
    return true;
}

static struct doc_value with_last_applied(struct arena *arena, const struct doc_value *object,
                                          const struct doc_value *applied) {
    struct doc_value clean =
        doc_without(arena, applied, "metadata", "annotations", DIFF_LAST_APPLIED);
    if (!doc_get(&clean, "metadata", "annotations")) {
        clean = doc_with(arena, &clean, doc_make_str(STR("")), "metadata", "annotations", "");
        clean = doc_without(arena, &clean, "metadata", "annotations", "");
    }
    struct str json = arena_concat(arena, doc_to_json(arena, &clean), STR("\n"));
    return doc_with(arena, object, doc_make_str(json), "metadata", "annotations",
                    DIFF_LAST_APPLIED);
}

bool diff_apply_patch(struct arena *arena, const struct doc_value *desired,
                      const struct doc_value *live, struct diff_apply *out, struct err *err) {
    const struct schema_type *type = diff_type(desired);
    out->object = with_last_applied(arena, desired, desired);
    out->is_strategic = type != NULL;
    out->is_empty = false;
    out->patch = out->object;
    if (!live) {
        return true;
    }
    struct diff_options keep_status = {.ignore_status = false};
    struct doc_value want = diff_normalize(arena, type, desired, &keep_status);
    struct doc_value have = diff_normalize(arena, type, live, &keep_status);
    struct doc_value original;
    if (last_applied(arena, live, &original)) {
        original = diff_normalize(arena, type, &original, &keep_status);
    } else {
        original = want;
    }
    want = with_last_applied(arena, &want, desired);
    if (!schema_three_way(arena, type, &original, &want, &have, &out->patch, err)) {
        return err_wrap(err, "preparing the patch of %.*s %.*s",
                        STR_ARG(doc_get_str(desired, "kind")),
                        STR_ARG(doc_get_str(desired, "metadata", "name")));
    }
    out->is_empty = doc_len(&out->patch) == 0;
    return true;
}
