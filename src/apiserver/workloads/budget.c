// SPDX-License-Identifier: Apache-2.0
// PodDisruptionBudgets: how many of the pods they select may be evicted now. The eviction sub-resource reads and counts
// down what is written here.
#include "apiserver/workloads/plan.h"

#define DISRUPTION_TIME (120 * NS_PER_SECOND) // after that an evicted pod that stays counts again

// Those entries of pods that were evicted and are still to go.
static struct doc_value disrupted(struct wl_plan *plan, const struct doc_value *budget,
                                  const struct wl_pod *const *pods, size_t count) {
    const struct doc_value *before = doc_get(budget, "status", "disruptedPods");
    struct doc_object kept = doc_object_start(plan->arena);
    for (DOC_EACH_MEMBER(before, i)) {
        int64_t left = wl_when(doc_value_at(before, i)) + DISRUPTION_TIME - plan->now;
        for (size_t j = 0; j < count && left > 0; j++) {
            if (str_eq(pods[j]->name, doc_key_at(before, i)) && !pods[j]->deleting) {
                doc_object_set(&kept, doc_key_at(before, i), *doc_value_at(before, i));
                wl_requeue(plan, left);
            }
        }
    }
    return doc_object_done(&kept);
}

void wl_plan_budget(struct wl_plan *plan, const struct doc_value *budget,
                    const struct wl_pod *const *pods, size_t count, int64_t scale) {
    struct arena *arena = plan->arena;
    const struct doc_value *spec = doc_get(budget, "spec");
    const struct doc_value *most = doc_get(spec, "maxUnavailable");
    const struct doc_value *least = doc_get(spec, "minAvailable");
    int64_t expected = (int64_t)count, desired = 0, healthy = 0;
    if (wl_is_deleting(budget)) {
        return;
    }
    if (most) {
        expected = scale;
        desired = expected - wl_scaled(most, expected, true);
    } else if (least) {
        expected = doc_is(least, DOC_INT) ? (int64_t)count : scale;
        desired = wl_scaled(least, expected, true);
    }
    desired = desired < 0 ? 0 : desired;
    struct doc_value going = disrupted(plan, budget, pods, count);
    for (size_t i = 0; i < count; i++) {
        healthy += pods[i]->ready && !pods[i]->deleting && !doc_find(&going, pods[i]->name);
    }
    int64_t allowed = expected > 0 && healthy > desired ? healthy - desired : 0;
    struct doc_value generation =
        doc_make_int(doc_int(doc_get(budget, "metadata", "generation"), 1));
    struct wl_conditions conditions;
    wl_conditions_init(&conditions, plan, doc_get(budget, "status"));
    wl_conditions_set(&conditions, "DisruptionAllowed", allowed > 0 ? "True" : "False",
                      allowed > 0 ? "SufficientPods" : "InsufficientPods", DOC_S(""), false, false);
    for (uint32_t i = 0; i < conditions.list.len; i++) {
        struct doc_value *item = &conditions.list.items[i];
        *item = doc_with(arena, item, DOC_S(""), "message");
        *item = doc_with(arena, item, generation, "observedGeneration");
    }
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "conditions", wl_conditions_done(&conditions));
    doc_object_set_c(&status, "currentHealthy", doc_make_int(healthy));
    doc_object_set_c(&status, "desiredHealthy", doc_make_int(desired));
    if (doc_len(&going)) {
        doc_object_set_c(&status, "disruptedPods", going);
    }
    doc_object_set_c(&status, "disruptionsAllowed", doc_make_int(allowed));
    doc_object_set_c(&status, "expectedPods", doc_make_int(expected));
    doc_object_set_c(&status, "observedGeneration", generation);
    if (wl_status(plan, &wl_budgets, budget, doc_object_done(&status)) && count == 0) {
        wl_event(plan, budget, "controllermanager", "NoPods", "No matching pods found");
    }
}
