// SPDX-License-Identifier: Apache-2.0
// When does an application sync by itself? The rules of Argo CD's automated sync: only when out of sync, once per commit,
// again for drift only with selfHeal and with a growing pause, never to an empty set unless allowed.
#include "app/plan_internal.h"

#include "base/timefmt.h"

enum {
    SELF_HEAL_BACKOFF_SECONDS = 2, // first pause after a self-heal
    SELF_HEAL_FACTOR = 3,
    SELF_HEAL_CAP_SECONDS = 300,
};

static bool is_automated(const struct doc_value *app) {
    const struct doc_value *automated = doc_get(app, "spec", "syncPolicy", "automated");
    return doc_is(automated, DOC_OBJECT) && doc_bool(doc_get(automated, "enabled"), true);
}

static bool only_needs_pruning(const struct planning *planning) {
    for (size_t i = 0; i < planning->compared_count; i++) {
        if (planning->compared[i].out_of_sync && !planning->compared[i].requires_pruning) {
            return false;
        }
    }
    return true;
}

static bool would_empty(const struct planning *planning) {
    size_t targets = 0, pruned = 0;
    for (size_t i = 0; i < planning->compared_count; i++) {
        targets += planning->compared[i].object->target != NULL;
        pruned += planning->compared[i].requires_pruning;
    }
    return targets == 0 && pruned > 0;
}

static int64_t self_heal_pause(int64_t attempts) {
    int64_t seconds = attempts > 0 ? SELF_HEAL_BACKOFF_SECONDS : 0;
    for (int64_t i = 1; i < attempts && seconds < SELF_HEAL_CAP_SECONDS; i++) {
        seconds *= SELF_HEAL_FACTOR;
    }
    return (seconds > SELF_HEAL_CAP_SECONDS ? SELF_HEAL_CAP_SECONDS : seconds) * NS_PER_SECOND;
}

// The same commit again: drift. Decides whether and when to heal.
static bool may_heal(struct planning *planning, const struct doc_value *last, int64_t *attempts) {
    const struct doc_value *app = planning->in->app;
    if (!doc_bool(doc_get(app, "spec", "syncPolicy", "automated", "selfHeal"), false)) {
        return false;
    }
    int64_t finished;
    int64_t done = doc_int(doc_get(last, "operation", "sync", "autoHealAttemptsCount"), 0);
    if (!time_parse(doc_get_str(last, "finishedAt"), &finished)) {
        finished = 0;
    }
    int64_t since = planning->in->now_ns - finished;
    if (since > 2 * SELF_HEAL_CAP_SECONDS * NS_PER_SECOND) {
        done = 0; // the fight is long over
    }
    int64_t pause = self_heal_pause(done);
    // Healed in the future: the clock was set back meanwhile. What is left of the pause is unknown, and not worth hours.
    if (since >= 0 && since < pause) {
        int64_t wait = pause - since;
        if (planning->out->requeue_ns == 0 || wait < planning->out->requeue_ns) {
            planning->out->requeue_ns = wait;
        }
        return false;
    }
    *attempts = done + 1;
    return true;
}

static void say(struct planning *planning, const char *format, struct str revision,
                struct str message) {
    app_add_condition(planning, "SyncError",
                      arena_printf(planning->arena, "%s %.*s: %.*s", format, STR_ARG(revision),
                                   STR_ARG(message)));
}

// A heal touches what drifted and nothing else; being selective, it leaves no entry in the history.
static struct doc_value drifted(struct planning *planning) {
    struct doc_array list = doc_array_start(planning->arena);
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct compared *c = &planning->compared[i];
        if (!c->out_of_sync) {
            continue;
        }
        struct doc_object entry = doc_object_start(planning->arena);
        if (c->object->group.n) {
            doc_object_set_c(&entry, "group", doc_make_str(c->object->group));
        }
        doc_object_set_c(&entry, "kind", doc_make_str(c->object->kind));
        doc_object_set_c(&entry, "name", doc_make_str(c->object->name));
        if (c->object->ns.n) {
            doc_object_set_c(&entry, "namespace", doc_make_str(c->object->ns));
        }
        doc_array_add(&list, doc_object_done(&entry));
    }
    return doc_array_done(&list);
}

static struct doc_value make_operation(struct planning *planning, int64_t heal_attempts) {
    struct arena *arena = planning->arena;
    const struct doc_value *policy = doc_get(planning->in->app, "spec", "syncPolicy");
    struct doc_object sync = doc_object_start(arena);
    doc_object_set_c(&sync, "revision", doc_make_str(planning->in->revision));
    if (doc_bool(doc_get(policy, "automated", "prune"), false)) {
        doc_object_set_c(&sync, "prune", doc_make_bool(true));
    }
    if (doc_len(doc_get(policy, "syncOptions"))) {
        doc_object_set_c(&sync, "syncOptions", *doc_get(policy, "syncOptions"));
    }
    if (heal_attempts) {
        doc_object_set_c(&sync, "autoHealAttemptsCount", doc_make_int(heal_attempts));
        doc_object_set_c(&sync, "resources", drifted(planning));
    }
    struct doc_object by = doc_object_start(arena);
    doc_object_set_c(&by, "automated", doc_make_bool(true));
    struct doc_object operation = doc_object_start(arena);
    doc_object_set_c(&operation, "sync", doc_object_done(&sync));
    doc_object_set_c(&operation, "initiatedBy", doc_object_done(&by));
    const struct doc_value *retry = doc_get(policy, "retry");
    if (retry) {
        doc_object_set_c(&operation, "retry", *retry);
    } else {
        struct doc_object limit = doc_object_start(arena);
        doc_object_set_c(&limit, "limit", doc_make_int(5)); // Argo CD's default for automated syncs
        doc_object_set_c(&operation, "retry", doc_object_done(&limit));
    }
    return doc_object_done(&operation);
}

bool app_autosync(struct planning *planning, struct doc_value *operation) {
    const struct app_plan_input *in = planning->in;
    if (!is_automated(in->app) || strcmp(planning->sync_status, "OutOfSync") != 0 ||
        planning->conditions.len || in->is_for_operation) {
        return false;
    }
    const struct doc_value *automated = doc_get(in->app, "spec", "syncPolicy", "automated");
    if (!doc_bool(doc_get(automated, "prune"), false) && only_needs_pruning(planning)) {
        return false;
    }
    if (would_empty(planning) && !doc_bool(doc_get(automated, "allowEmpty"), false)) {
        say(planning, "Skipping sync attempt to", in->revision,
            STR("auto-sync will wipe out all resources"));
        return false;
    }
    const struct doc_value *last = doc_get(planning->old_status, "operationState");
    struct str attempted = doc_get_str(last, "syncResult", "revision");
    int64_t heal_attempts = 0;
    struct app_source_spec spec;
    const struct doc_value *done = doc_get(last, "syncResult", "source");
    bool same_source =
        doc_is_null(done) || (app_source_of(in->app, &spec, NULL) && doc_equal(done, spec.source));
    bool was_dry_run = doc_bool(doc_get(last, "operation", "sync", "dryRun"), false);
    if (last && str_eq(attempted, in->revision) && same_source && !was_dry_run) {
        if (!str_eq(doc_get_str(last, "phase"), STR("Succeeded"))) {
            say(planning, "Failed last sync attempt to", in->revision,
                doc_get_str(last, "message"));
            return false;
        }
        if (!may_heal(planning, last, &heal_attempts)) {
            return false;
        }
    }
    *operation = make_operation(planning, heal_attempts);
    return true;
}
