// SPDX-License-Identifier: Apache-2.0
// Each object's sync status and health, and the application's as the worst of them.
#include "app/plan_internal.h"

static bool parse(struct planning *planning, const struct blob *blob, struct doc_value *out) {
    *out = doc_null();
    struct err err = {0};
    return blob && doc_parse_json(blob_str(blob), planning->arena, out, &err);
}

static bool has_compare_option(const struct doc_value *object, const char *option) {
    struct str list =
        doc_get_str(object, "metadata", "annotations", "argocd.argoproj.io/compare-options");
    struct str part;
    while (str_next(&list, ',', &part)) {
        if (str_eq_c(str_trim(part), option)) {
            return true;
        }
    }
    return false;
}

// spec.ignoreDifferences and the system-level rules in one list.
static struct diff_options diff_options_of(struct planning *planning) {
    struct diff_options options = planning->in->settings->diff;
    const struct doc_value *rules = doc_get(planning->in->app, "spec", "ignoreDifferences");
    size_t count = options.ignore_count + doc_len(rules);
    struct diff_ignore *all = ARENA_ARRAY(planning->arena, count, struct diff_ignore);
    for (size_t i = 0; i < options.ignore_count; i++) {
        all[i] = options.ignores[i];
    }
    for (DOC_EACH_ITEM(rules, rule)) {
        struct diff_ignore *ignore = &all[options.ignore_count++];
        const struct doc_value *pointers = doc_get(rule, "jsonPointers");
        struct str *texts = ARENA_ARRAY(planning->arena, doc_len(pointers), struct str);
        *ignore = (struct diff_ignore){.group = doc_get_str(rule, "group"),
                                       .kind = doc_get_str(rule, "kind"),
                                       .name = doc_get_str(rule, "name"),
                                       .ns = doc_get_str(rule, "namespace"),
                                       .pointers = texts};
        for (DOC_EACH_ITEM(pointers, pointer)) {
            texts[ignore->pointer_count++] = doc_str(pointer);
        }
    }
    options.ignores = all;
    return options;
}

static void mark_target(struct planning *planning, struct compared *c) {
    const struct app_object *object = c->object;
    struct doc_value marked = c->target;
    if (object->is_namespaced && object->ns.n && !doc_get_str(&marked, "metadata", "namespace").n) {
        marked =
            doc_with(planning->arena, &marked, doc_make_str(object->ns), "metadata", "namespace");
    }
    if (!object->is_namespaced && !object->is_unknown_kind &&
        doc_get(&marked, "metadata", "namespace")) {
        marked = doc_without(planning->arena, &marked, "metadata", "namespace");
    }
    c->target = app_tracking_mark(planning->arena, &marked, planning->in->settings->tracking,
                                  planning->instance, object->group, object->ns);
}

static void compare_one(struct planning *planning, struct compared *c,
                        const struct diff_options *options) {
    const struct app_object *object = c->object;
    bool has_target = parse(planning, object->target, &c->target);
    bool has_live = parse(planning, object->live, &c->live);
    if (has_target) {
        mark_target(planning, c);
        c->is_hook = sync_is_hook(&c->target);
        c->is_skipped = sync_is_skipped(&c->target);
    }
    if (!has_target && has_live) {
        c->is_hook = sync_is_hook(&c->live); // left Git, but its delete policy decides when it goes
    }
    if (has_live) {
        c->health = health_assess(&c->live, planning->arena);
        c->counts_for_health = c->health.has;
    } else {
        c->health = (struct health){.has = true, .code = HEALTH_MISSING};
        c->counts_for_health = health_has_assessment(object->group, object->kind);
    }
    if (has_target && has_live) {
        struct str owner = app_tracking_owner(&c->live, planning->in->settings->tracking,
                                              object->group, planning->arena);
        c->shared_with = str_eq(owner, planning->instance) ? (struct str){NULL, 0} : owner;
    }
    const struct doc_value *noted = has_target ? &c->target : &c->live;
    if (str_eq(
            doc_get_str(noted, "metadata", "annotations", "argocd.argoproj.io/ignore-healthcheck"),
            STR("true"))) {
        c->counts_for_health = false;
    }
    if (has_target && has_live) {
        struct diff_result diff = {0};
        struct err err = {0};
        if (diff_compare(planning->arena, &c->target, &c->live, options, &diff, &err)) {
            c->modified = diff.modified;
        } else {
            c->modified = true;
            app_add_condition(planning, "ComparisonError",
                              arena_dup(planning->arena, str_from(err.message)));
        }
    }
    bool ignored = !has_target && has_compare_option(&c->live, "IgnoreExtraneous");
    c->requires_pruning = !has_target && !ignored && !c->is_hook;
    c->out_of_sync =
        !c->is_hook && !c->is_skipped && !ignored && (!has_target || !has_live || c->modified);
}

void app_compare(struct planning *planning) {
    const struct app_plan_input *in = planning->in;
    planning->can_compare = in->error_count == 0;
    planning->sync_status = "Unknown";
    planning->health = HEALTH_UNKNOWN;
    if (!planning->can_compare) {
        // What is not known to be gone stays as it was last seen.
        health_code_parse(doc_get_str(planning->old_status, "health", "status"), &planning->health);
        return;
    }
    struct diff_options options = diff_options_of(planning);
    planning->compared = ARENA_ARRAY(planning->arena, in->object_count, struct compared);
    planning->compared_count = in->object_count;
    planning->sync_status = "Synced";
    planning->health = HEALTH_HEALTHY;
    for (size_t i = 0; i < in->object_count; i++) {
        struct compared *c = &planning->compared[i];
        c->object = &in->objects[i];
        compare_one(planning, c, &options);
        if (c->out_of_sync) {
            planning->sync_status = "OutOfSync";
        }
        if (c->counts_for_health && !c->is_hook && !c->is_skipped) {
            planning->health = health_worse(planning->health, c->health.code);
        }
    }
}
