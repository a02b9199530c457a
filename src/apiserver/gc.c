// SPDX-License-Identifier: Apache-2.0
// Garbage collection by ownerReferences. Background: what all of whose owners are gone is deleted. Foreground: an owner
// with the finalizer foregroundDeletion deletes what depends on it and goes when nothing that blocks it is left. Orphan:
// an owner with the finalizer orphan takes its name off its dependents, then goes. An owner counts as gone only when a
// look at it (by its apiVersion, kind and name) shows nothing, or another uid: never because an event was missed.
#include "apiserver/controllers.h"

enum owner_state { OWNER_SOLID, OWNER_WAITING, OWNER_GONE, OWNER_UNKNOWN };

static const struct api_kind *owner_kind(const struct api_controllers *c,
                                         const struct doc_value *owner) {
    struct str group = {NULL, 0}, version = doc_get_str(owner, "apiVersion"), rest;
    if (str_cut(version, '/', &group, &rest)) {
        version = rest;
    } else {
        group = (struct str){NULL, 0};
    }
    return api_kinds_find_kind(apiserver_kinds(c->server), group, version,
                               doc_get_str(owner, "kind"));
}

static bool has_finalizer(const struct doc_value *object, const char *name) {
    for (DOC_EACH_ITEM(doc_get(object, "metadata", "finalizers"), finalizer)) {
        if (str_eq_c(doc_str(finalizer), name)) {
            return true;
        }
    }
    return false;
}

static enum owner_state look_at_owner(struct api_controllers *c, const struct ctl_object *object,
                                      const struct doc_value *owner) {
    const struct api_kind *kind = owner_kind(c, owner);
    if (!kind) {
        return OWNER_UNKNOWN; // a kind that is not served may come (back); deleting would be rash
    }
    struct kube_gvr gvr = {kind->group, kind->version, kind->plural};
    struct str ns = kind->namespaced ? object->ns : (struct str){NULL, 0};
    if (kind->namespaced && !ns.n) {
        return OWNER_UNKNOWN; // in which namespace? Nobody can say.
    }
    AUTO(blob_unref)
    struct blob *blob = apiserver_peek(c->server, &gvr, ns, doc_get_str(owner, "name"));
    if (!blob) {
        return OWNER_GONE;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(blob_str(blob), arena, &value, &err)) {
        return OWNER_UNKNOWN;
    }
    if (!str_eq(wl_uid(&value), doc_get_str(owner, "uid"))) {
        return OWNER_GONE;
    }
    return wl_is_deleting(&value) && has_finalizer(&value, "foregroundDeletion") ? OWNER_WAITING
                                                                                 : OWNER_SOLID;
}

static void delete_dependent(struct ctl_object *object, const struct doc_value *value,
                             struct wl_plan *plan, enum kube_propagation propagation) {
    if (has_finalizer(value, "orphan")) {
        propagation = KUBE_ORPHAN;
    } else if (has_finalizer(value, "foregroundDeletion")) {
        propagation = KUBE_FOREGROUND;
    }
    wl_delete(plan, &object->kind->gvr, object->ns, object->name, object->uid)->propagation =
        propagation;
}

static void keep_owners(struct ctl_object *object, const struct doc_value *value,
                        struct wl_plan *plan, const enum owner_state *states) {
    struct arena *arena = plan->arena;
    struct doc_array kept = doc_array_start(arena);
    size_t i = 0;
    for (DOC_EACH_ITEM(doc_get(value, "metadata", "ownerReferences"), owner)) {
        if (states[i] == OWNER_SOLID || states[i] == OWNER_UNKNOWN) {
            doc_array_add(&kept, *owner);
        }
        i++;
    }
    struct doc_value metadata = wl_object(arena, "uid", doc_make_str(object->uid),
                                          "ownerReferences", doc_array_done(&kept), NULL);
    wl_patch(plan, &object->kind->gvr, value, wl_object(arena, "metadata", metadata, NULL));
}

static size_t dependents_of(const struct ctl_object *object) {
    const struct ctl_uid *entry = ctl_uid_find(object->kind->c, object->uid);
    return entry ? entry->dependents.len : 0;
}

static bool is_known_gone(const struct ctl_object *object, struct str uid) {
    for (size_t i = 0; i < object->owner_count; i++) {
        if (str_eq(object->owners[i].uid, uid) && object->owners[i].gone) {
            return true;
        }
    }
    return false;
}

// An owner that exists, but in another namespace, does not own this object.
static void tell_foreign(struct ctl_object *object, const struct doc_value *value,
                         struct wl_plan *plan, const struct doc_value *owner) {
    const struct ctl_uid *entry = ctl_uid_find(object->kind->c, doc_get_str(owner, "uid"));
    const struct api_kind *kind = owner_kind(object->kind->c, owner);
    bool elsewhere =
        entry && entry->object && entry->object->alive && !str_eq(entry->object->ns, object->ns);
    if (!elsewhere || !kind || !kind->namespaced) {
        return;
    }
    struct wl_event *e = wl_event(
        plan, value, "garbage-collector-controller", "OwnerRefInvalidNamespace",
        "ownerRef [%.*s/%.*s, namespace: %.*s, name: %.*s, uid: %.*s] does not exist in namespace "
        "\"%.*s\"",
        STR_ARG(doc_get_str(owner, "apiVersion")), STR_ARG(doc_get_str(owner, "kind")),
        STR_ARG(object->ns), STR_ARG(doc_get_str(owner, "name")),
        STR_ARG(doc_get_str(owner, "uid")), STR_ARG(object->ns));
    e->warning = true;
    e->write = WL_NO_WRITE;
}

// True when the object is being deleted by this plan.
static bool check_owners(struct ctl_object *object, const struct doc_value *value,
                         struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    const struct doc_value *owners = doc_get(value, "metadata", "ownerReferences");
    size_t count = doc_len(owners), solid = 0, waiting = 0, gone = 0, i = 0;
    enum owner_state *states = ARENA_ARRAY(plan->arena, count + 1, enum owner_state);
    for (DOC_EACH_ITEM(owners, owner)) {
        states[i] = look_at_owner(c, object, owner);
        if (states[i] == OWNER_GONE) {
            tell_foreign(object, value, plan, owner);
        }
        if (states[i] == OWNER_UNKNOWN && is_known_gone(object, doc_get_str(owner, "uid"))) {
            states[i] = OWNER_GONE; // its kind went after it
        }
        solid += states[i] == OWNER_SOLID || states[i] == OWNER_UNKNOWN;
        waiting += states[i] == OWNER_WAITING;
        gone += states[i] == OWNER_GONE;
        i++;
    }
    if (count == 0 || wl_is_deleting(value)) {
        return false;
    }
    if (solid > 0) {
        if (gone + waiting > 0) {
            keep_owners(object, value, plan, states);
        }
        return false;
    }
    // An owner that waits wants this one's own dependents gone first.
    bool foreground = waiting > 0 && dependents_of(object) > 0;
    delete_dependent(object, value, plan, foreground ? KUBE_FOREGROUND : KUBE_BACKGROUND);
    return true;
}

static void remove_finalizer(struct ctl_object *object, const struct doc_value *value,
                             struct wl_plan *plan, const char *name) {
    struct arena *arena = plan->arena;
    struct doc_array kept = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(value, "metadata", "finalizers"), finalizer)) {
        if (!str_eq_c(doc_str(finalizer), name)) {
            doc_array_add(&kept, *finalizer);
        }
    }
    // With the resourceVersion: a finalizer that somebody adds meanwhile must not be lost.
    struct doc_value metadata =
        wl_object(arena, "uid", doc_make_str(object->uid), "resourceVersion",
                  doc_make_str(doc_get_str(value, "metadata", "resourceVersion")), "finalizers",
                  doc_array_done(&kept), NULL);
    wl_patch(plan, &object->kind->gvr, value, wl_object(arena, "metadata", metadata, NULL));
}

static void delete_in_foreground(struct ctl_object *object, const struct doc_value *value,
                                 struct wl_plan *plan) {
    const struct ctl_uid *entry = ctl_uid_find(object->kind->c, object->uid);
    bool blocked = false;
    for (size_t i = 0; entry && i < entry->dependents.len; i++) {
        struct ctl_object *dependent = entry->dependents.items[i];
        for (size_t j = 0; j < dependent->owner_count; j++) {
            if (str_eq(dependent->owners[j].uid, object->uid) && dependent->owners[j].blocks) {
                blocked = true;
            }
        }
        if (!dependent->deleting) {
            dependent->check_owners = true;
            ctl_wake(dependent);
        }
    }
    if (!blocked) {
        remove_finalizer(object, value, plan, "foregroundDeletion");
    }
}

static void release_dependents(struct ctl_object *object, const struct doc_value *value,
                               struct wl_plan *plan) {
    const struct ctl_uid *entry = ctl_uid_find(object->kind->c, object->uid);
    struct arena *arena = plan->arena;
    bool any = false;
    for (size_t i = 0; entry && i < entry->dependents.len; i++) {
        struct ctl_object *dependent = entry->dependents.items[i];
        const struct doc_value *child = ctl_load(object->kind->c, dependent, arena);
        if (!child) {
            continue;
        }
        struct doc_array kept = doc_array_start(arena);
        for (DOC_EACH_ITEM(doc_get(child, "metadata", "ownerReferences"), owner)) {
            if (!str_eq(doc_get_str(owner, "uid"), object->uid)) {
                doc_array_add(&kept, *owner);
            }
        }
        struct doc_value metadata = wl_object(arena, "uid", doc_make_str(dependent->uid),
                                              "ownerReferences", doc_array_done(&kept), NULL);
        wl_patch(plan, &dependent->kind->gvr, child, wl_object(arena, "metadata", metadata, NULL));
        any = true;
    }
    if (!any) {
        remove_finalizer(object, value, plan, "orphan");
    }
}

bool gc_visit(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan) {
    bool leaves = false;
    if (object->check_owners) {
        leaves = check_owners(object, value, plan);
        object->check_owners = plan->count > 0; // until it was carried out
    }
    if (wl_is_deleting(value) && has_finalizer(value, "orphan")) {
        release_dependents(object, value, plan);
        leaves = true;
    } else if (wl_is_deleting(value) && has_finalizer(value, "foregroundDeletion")) {
        delete_in_foreground(object, value, plan);
    }
    return leaves;
}
