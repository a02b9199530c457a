// SPDX-License-Identifier: Apache-2.0
// Visits of claims and volumes: gathers what a claim can be bound to.
#include "apiserver/controllers.h"

bool ctl_pod_uses(const struct doc_value *pod, struct str claim) {
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "volumes"), volume)) {
        if (str_eq(doc_get_str(volume, "persistentVolumeClaim", "claimName"), claim)) {
            return true;
        }
    }
    return false;
}

static bool has_consumer(struct api_controllers *c, const struct ctl_object *claim,
                         struct arena *arena) {
    for (size_t i = 0; i < c->homeless.len; i++) {
        const struct ctl_object *pod = c->homeless.items[i];
        if (str_eq(pod->ns, claim->ns) && ctl_pod_uses(ctl_load(c, pod, arena), claim->name)) {
            return true;
        }
    }
    return false;
}

// A claim that is to go waits for the pods that use it.
static bool is_in_use(struct api_controllers *c, const struct ctl_object *claim,
                      struct arena *arena) {
    const struct ctl_ns *space = ctl_space_find(c, claim->ns);
    for (size_t i = 0; space && i < space->pods.len; i++) {
        const struct ctl_object *pod = space->pods.items[i];
        bool runs = pod->pod->phase == WL_PENDING || pod->pod->phase == WL_RUNNING;
        if (runs && pod->pod->node.n && ctl_pod_uses(ctl_load(c, pod, arena), claim->name)) {
            return true;
        }
    }
    return false;
}

static bool is_default(const struct doc_value *class) {
    return str_eq_c(wl_annotation(class, "storageclass.kubernetes.io/is-default-class"), "true") ||
           str_eq_c(wl_annotation(class, "storageclass.beta.kubernetes.io/is-default-class"),
                    "true");
}

static void gather_classes(struct api_controllers *c, const struct doc_value *claim,
                           struct arena *arena, struct wl_storage *storage) {
    struct str wanted = doc_get_str(claim, "spec", "storageClassName");
    int64_t newest = -1;
    for (size_t i = 0; i < c->classes.len; i++) {
        const struct doc_value *class = ctl_load(c, c->classes.items[i], arena);
        if (class && str_eq(wl_name(class), wanted)) {
            storage->class = class;
        }
        int64_t made = wl_when(doc_get(class, "metadata", "creationTimestamp"));
        if (class && is_default(class) && made > newest) {
            storage->default_class = wl_name(class);
            newest = made;
        }
    }
}

void visit_claim(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    struct wl_storage storage = {0};
    struct str named = doc_get_str(value, "spec", "volumeName");
    bool bound = object->stage != 0;
    const struct doc_value **volumes =
        ARENA_ARRAY(plan->arena, c->volumes.len + 1, const struct doc_value *);
    uint64_t mine = wl_label_hash(object->ns, object->name);
    for (size_t i = 0; i < c->volumes.len; i++) {
        const struct ctl_object *volume = c->volumes.items[i];
        if (volume->stage == mine || str_eq(volume->name, named) ||
            (!bound && volume->stage == 0)) {
            const struct doc_value *loaded = ctl_load(c, volume, plan->arena);
            if (loaded) {
                volumes[storage.volume_count++] = loaded;
            }
        }
    }
    storage.volumes = volumes;
    if (object->deleting) {
        storage.in_use = doc_len(doc_get(value, "metadata", "finalizers")) > 0 &&
                         is_in_use(c, object, plan->arena);
        if (storage.in_use) {
            wl_requeue(plan, 5 * NS_PER_SECOND);
        }
    } else if (!bound) {
        gather_classes(c, value, plan->arena, &storage);
        storage.has_consumer = has_consumer(c, object, plan->arena);
    }
    wl_plan_claim(plan, value, &storage);
}

void visit_volume(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    const struct doc_value *ref = doc_get(value, "spec", "claimRef");
    struct blob *text = ref ? apiserver_peek(c->server, &wl_claims, doc_get_str(ref, "namespace"),
                                             doc_get_str(ref, "name"))
                            : NULL;
    struct doc_value claim;
    struct err err = {0};
    bool has = text && doc_parse_json_copy(blob_str(text), plan->arena, &claim, &err);
    blob_unref(text);
    wl_plan_volume(plan, value, has ? &claim : NULL);
}
