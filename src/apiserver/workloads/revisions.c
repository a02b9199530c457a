// SPDX-License-Identifier: Apache-2.0
// ControllerRevisions: the past and present pod templates of a StatefulSet or DaemonSet, which "kubectl rollout history"
// and "undo" read. A template that comes back takes its old revision with a new number.
#include "apiserver/workloads/plan.h"

static int64_t number_of(const struct doc_value *revision) {
    return doc_int(doc_get(revision, "revision"), 0);
}

static struct doc_value content(struct arena *arena, const struct doc_value *owner) {
    const struct doc_value *given = doc_get(owner, "spec", "template");
    struct doc_value none = wl_object(arena, NULL);
    struct doc_value template = doc_with(arena, given ? given : &none, DOC_S("replace"), "$patch");
    return wl_object(arena, "spec", wl_object(arena, "template", template, NULL), NULL);
}

const struct doc_value *wl_history_find(const struct wl_history *history, struct str name) {
    for (size_t i = 0; i < history->count; i++) {
        if (str_eq(wl_name(history->revisions[i]), name)) {
            return history->revisions[i];
        }
    }
    return NULL;
}

struct doc_value wl_history_template(struct arena *arena, const struct doc_value *revision) {
    const struct doc_value *template = doc_get(revision, "data", "spec", "template");
    struct doc_value none = wl_object(arena, NULL);
    return doc_without(arena, template ? template : &none, "$patch");
}

static void create_revision(const struct wl_history *h, struct doc_value data, int64_t number) {
    struct arena *arena = h->plan->arena;
    struct doc_object labels =
        doc_object_copy(arena, doc_get(h->owner, "spec", "template", "metadata", "labels"));
    doc_object_set_c(&labels, h->hash_label, doc_make_str(h->hash));
    const struct doc_value *annotations = doc_get(h->owner, "metadata", "annotations");
    struct doc_object metadata = doc_object_start(arena);
    doc_object_set_c(&metadata, "name", doc_make_str(h->name));
    doc_object_set_c(&metadata, "namespace", doc_make_str(wl_ns(h->owner)));
    doc_object_set_c(&metadata, "labels", doc_object_done(&labels));
    if (doc_len(annotations)) {
        doc_object_set_c(&metadata, "annotations", *annotations);
    }
    doc_object_set_c(&metadata, "ownerReferences", wl_owner(arena, "apps/v1", h->kind, h->owner));
    wl_create(h->plan, &wl_revisions, wl_ns(h->owner),
              wl_object(arena, "apiVersion", DOC_S("apps/v1"), "kind", DOC_S("ControllerRevision"),
                        "metadata", doc_object_done(&metadata), "data", data, "revision",
                        doc_make_int(number), NULL))
        ->exists_is_fine = true;
}

void wl_history_sync(struct wl_history *h) {
    struct arena *arena = h->plan->arena;
    struct doc_value data = content(arena, h->owner);
    int64_t newest = 0;
    const struct doc_value *same = NULL;
    for (size_t i = 0; i < h->count; i++) {
        const struct doc_value *revision = h->revisions[i];
        newest = number_of(revision) > newest ? number_of(revision) : newest;
        if (doc_equal(doc_get(revision, "data"), &data) &&
            (!same || number_of(revision) > number_of(same))) {
            same = revision;
        }
    }
    if (same) {
        struct str prefix = arena_printf(arena, "%.*s-", STR_ARG(wl_name(h->owner)));
        h->name = wl_name(same);
        h->hash = doc_get_str(same, "metadata", "labels", h->hash_label);
        h->hash = h->hash.n ? h->hash : str_skip(h->name, prefix.n);
        if (number_of(same) < newest) {
            wl_patch(h->plan, &wl_revisions, same,
                     wl_object(arena, "revision", doc_make_int(newest + 1), NULL));
        }
        return;
    }
    const struct doc_value *template = doc_get(h->owner, "spec", "template");
    struct doc_value nothing = doc_null();
    h->hash = wl_hash_name(arena, template ? template : &nothing, h->collisions);
    h->name = arena_printf(arena, "%.*s-%.*s", STR_ARG(wl_name(h->owner)), STR_ARG(h->hash));
    if (!wl_is_deleting(h->owner)) {
        create_revision(h, data, newest + 1);
    }
}

static int compare_numbers(const void *a, const void *b) {
    int64_t x = number_of(*(const struct doc_value *const *)a);
    int64_t y = number_of(*(const struct doc_value *const *)b);
    return (x > y) - (x < y);
}

void wl_history_trim(const struct wl_history *h,
                     bool (*is_live)(const void *ctx, const struct doc_value *revision),
                     const void *ctx) {
    int64_t limit = doc_int(doc_get(h->owner, "spec", "revisionHistoryLimit"), 10);
    const struct doc_value **dead =
        ARENA_ARRAY(h->plan->arena, h->count + 1, const struct doc_value *);
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (!str_eq(wl_name(h->revisions[i]), h->name) && !is_live(ctx, h->revisions[i])) {
            dead[n++] = h->revisions[i];
        }
    }
    if (limit < 0 || n <= (size_t)limit) {
        return;
    }
    qsort(dead, n, sizeof(*dead), compare_numbers);
    for (size_t i = 0; i < n - (size_t)limit; i++) {
        wl_delete(h->plan, &wl_revisions, wl_ns(h->owner), wl_name(dead[i]), wl_uid(dead[i]));
    }
}
