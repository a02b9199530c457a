// SPDX-License-Identifier: Apache-2.0
// PersistentVolumeClaims and PersistentVolumes: a claim takes the smallest volume that fits, or one is made for it by its
// StorageClass, whose provisioner is simulated whatever its name. The steps are those of the volume controller: the volume
// names the claim, the claim names the volume, then both say that they are bound.
#include "apiserver/workloads/plan.h"

#define COMPONENT "persistentvolume-controller"
#define BOUND_BY "pv.kubernetes.io/bound-by-controller"
#define BIND_COMPLETED "pv.kubernetes.io/bind-completed"
#define PROVISIONED_BY "pv.kubernetes.io/provisioned-by"
#define PROVISIONER "volume.kubernetes.io/storage-provisioner"
#define PROVISIONER_OLD "volume.beta.kubernetes.io/storage-provisioner"

static struct str phase_of(const struct doc_value *object) {
    return doc_get_str(object, "status", "phase");
}

static struct str class_of(const struct doc_value *object) {
    return doc_get_str(object, "spec", "storageClassName");
}

static int64_t size_of(const struct doc_value *resources) {
    return wl_quantity(doc_get_str(resources, "storage"), 1);
}

static bool is_claimed_by(const struct doc_value *volume, const struct doc_value *claim) {
    const struct doc_value *ref = doc_get(volume, "spec", "claimRef");
    struct str uid = doc_get_str(ref, "uid");
    return ref && str_eq(doc_get_str(ref, "name"), wl_name(claim)) &&
           str_eq(doc_get_str(ref, "namespace"), wl_ns(claim)) &&
           (!uid.n || str_eq(uid, wl_uid(claim)));
}

static bool has_modes(const struct doc_value *volume, const struct doc_value *claim) {
    for (DOC_EACH_ITEM(doc_get(claim, "spec", "accessModes"), mode)) {
        bool found = false;
        for (DOC_EACH_ITEM(doc_get(volume, "spec", "accessModes"), has)) {
            found = found || str_eq(doc_str(has), doc_str(mode));
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool fits(const struct doc_value *volume, const struct doc_value *claim) {
    const struct doc_value *selector = doc_get(claim, "spec", "selector");
    return !wl_is_deleting(volume) && str_eq(class_of(volume), class_of(claim)) &&
           size_of(doc_get(volume, "spec", "capacity")) >=
               size_of(doc_get(claim, "spec", "resources", "requests")) &&
           has_modes(volume, claim) &&
           wl_selector_matches(selector, doc_get(volume, "metadata", "labels"));
}

static const struct doc_value *find_volume(const struct doc_value *claim,
                                           const struct doc_value *const *volumes, size_t count) {
    const struct doc_value *best = NULL;
    struct str named = doc_get_str(claim, "spec", "volumeName");
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *volume = volumes[i];
        if (is_claimed_by(volume, claim)) {
            return volume;
        }
        if (doc_get(volume, "spec", "claimRef")) {
            continue;
        }
        if (named.n) {
            best = str_eq(wl_name(volume), named) ? volume : best;
        } else if (fits(volume, claim) &&
                   (!best || size_of(doc_get(volume, "spec", "capacity")) <
                                 size_of(doc_get(best, "spec", "capacity")))) {
            best = volume;
        }
    }
    return best;
}

static struct doc_value claim_ref(struct arena *arena, const struct doc_value *claim) {
    return wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("PersistentVolumeClaim"),
                     "name", doc_make_str(wl_name(claim)), "namespace", doc_make_str(wl_ns(claim)),
                     "resourceVersion",
                     doc_make_str(doc_get_str(claim, "metadata", "resourceVersion")), "uid",
                     doc_make_str(wl_uid(claim)), NULL);
}

// ---- Making a volume ----
static void provision(struct wl_plan *plan, const struct doc_value *claim,
                      const struct doc_value *class) {
    struct arena *arena = plan->arena;
    const struct doc_value *modes = doc_get(claim, "spec", "accessModes");
    const struct doc_value *size = doc_get(claim, "spec", "resources", "requests", "storage");
    struct str provisioner = doc_get_str(class, "provisioner");
    struct str reclaim = doc_get_str(class, "reclaimPolicy");
    struct str mode = doc_get_str(claim, "spec", "volumeMode");
    struct doc_value name = wl_text(arena, "pvc-%.*s", STR_ARG(wl_uid(claim)));
    struct doc_array finalizers = doc_array_start(arena);
    doc_array_add(&finalizers, DOC_S("kubernetes.io/pv-protection"));
    struct doc_value metadata =
        wl_object(arena, "name", name, "annotations",
                  wl_object(arena, PROVISIONED_BY, doc_make_str(provisioner), NULL), "finalizers",
                  doc_array_done(&finalizers), NULL);
    struct doc_value none = doc_array_done(&(struct doc_array){.arena = arena});
    struct doc_value spec = wl_object(
        arena, "accessModes", modes ? *modes : none, "capacity",
        wl_object(arena, "storage", size ? *size : DOC_S("1Gi"), NULL), "claimRef",
        claim_ref(arena, claim), "hostPath",
        wl_object(arena, "path", wl_text(arena, "/var/lib/skiff/%.*s", STR_ARG(doc_str(&name))),
                  "type", DOC_S("DirectoryOrCreate"), NULL),
        "persistentVolumeReclaimPolicy", reclaim.n ? doc_make_str(reclaim) : DOC_S("Delete"),
        "storageClassName", doc_make_str(class_of(claim)), "volumeMode",
        mode.n ? doc_make_str(mode) : DOC_S("Filesystem"), NULL);
    wl_create(plan, &wl_volumes, (struct str){NULL, 0},
              wl_object(arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("PersistentVolume"),
                        "metadata", metadata, "spec", spec, NULL))
        ->exists_is_fine = true;
    wl_event(plan, claim, arena_cstr(arena, provisioner), "ProvisioningSucceeded",
             "Successfully provisioned volume %.*s", STR_ARG(doc_str(&name)));
}

// ---- Claims ----
static void pending(struct wl_plan *plan, const struct doc_value *claim, const char *reason,
                    bool warning, struct str message) {
    struct arena *arena = plan->arena;
    wl_status(plan, &wl_claims, claim, wl_object(arena, "phase", DOC_S("Pending"), NULL));
    struct wl_event *e = wl_event(plan, claim, COMPONENT, reason, "%.*s", STR_ARG(message));
    e->warning = warning;
}

static void bind(struct wl_plan *plan, const struct doc_value *claim,
                 const struct doc_value *volume) {
    struct arena *arena = plan->arena;
    if (!doc_get_str(volume, "spec", "claimRef", "uid").n) {
        struct doc_value note = wl_object(arena, BOUND_BY, DOC_S("yes"), NULL);
        bool prebound = doc_get(volume, "spec", "claimRef") != NULL;
        struct doc_value body = wl_object(
            arena, "spec", wl_object(arena, "claimRef", claim_ref(arena, claim), NULL), NULL);
        wl_patch(plan, &wl_volumes, volume,
                 prebound ? body : doc_with(arena, &body, note, "metadata", "annotations"));
    }
    struct doc_value notes = wl_object(arena, BIND_COMPLETED, DOC_S("yes"), NULL);
    struct doc_object spec = doc_object_start(arena);
    if (!doc_get_str(claim, "spec", "volumeName").n) {
        notes = doc_with(arena, &notes, DOC_S("yes"), BOUND_BY);
        doc_object_set_c(&spec, "volumeName", doc_make_str(wl_name(volume)));
    }
    struct str by = wl_annotation(volume, PROVISIONED_BY);
    if (by.n) {
        notes = doc_with(arena, &notes, doc_make_str(by), PROVISIONER);
        notes = doc_with(arena, &notes, doc_make_str(by), PROVISIONER_OLD);
    }
    if (!wl_annotation(claim, BIND_COMPLETED).n) {
        wl_patch(plan, &wl_claims, claim,
                 wl_object(arena, "metadata", wl_object(arena, "annotations", notes, NULL), "spec",
                           doc_object_done(&spec), NULL));
    }
    struct doc_object status = doc_object_start(arena);
    const struct doc_value *modes = doc_get(volume, "spec", "accessModes");
    const struct doc_value *capacity = doc_get(volume, "spec", "capacity");
    if (modes) {
        doc_object_set_c(&status, "accessModes", *modes);
    }
    if (capacity) {
        doc_object_set_c(&status, "capacity", *capacity);
    }
    doc_object_set_c(&status, "phase", DOC_S("Bound"));
    wl_status(plan, &wl_claims, claim, doc_object_done(&status));
}

static void drop_finalizer(struct wl_plan *plan, const struct kube_gvr *gvr,
                           const struct doc_value *object, const char *name) {
    struct arena *arena = plan->arena;
    struct doc_array kept = doc_array_start(arena);
    bool found = false;
    for (DOC_EACH_ITEM(doc_get(object, "metadata", "finalizers"), finalizer)) {
        if (str_eq_c(doc_str(finalizer), name)) {
            found = true;
        } else {
            doc_array_add(&kept, *finalizer);
        }
    }
    if (found) {
        wl_patch(plan, gvr, object,
                 wl_object(arena, "metadata",
                           wl_object(arena, "finalizers", doc_array_done(&kept), NULL), NULL));
    }
}

static void look_for_volume(struct wl_plan *plan, const struct doc_value *claim,
                            const struct wl_storage *storage) {
    struct arena *arena = plan->arena;
    struct str class = class_of(claim);
    if (doc_get_str(claim, "spec", "volumeName").n) {
        wl_status(plan, &wl_claims, claim, wl_object(arena, "phase", DOC_S("Pending"), NULL));
        return; // named by its user: it will come
    }
    if (!class.n && !doc_get(claim, "spec", "storageClassName") && storage->default_class.n) {
        wl_patch(plan, &wl_claims, claim,
                 wl_object(arena, "spec",
                           wl_object(arena, "storageClassName",
                                     doc_make_str(storage->default_class), NULL),
                           NULL));
    } else if (!class.n) {
        pending(plan, claim, "FailedBinding", false,
                STR("no persistent volumes available for this claim and no storage class is set"));
    } else if (!storage->class) {
        pending(
            plan, claim, "ProvisioningFailed", true,
            arena_printf(arena, "storageclass.storage.k8s.io \"%.*s\" not found", STR_ARG(class)));
    } else if (str_eq_c(doc_get_str(storage->class, "volumeBindingMode"), "WaitForFirstConsumer") &&
               !storage->has_consumer) {
        pending(plan, claim, "WaitForFirstConsumer", false,
                STR("waiting for first consumer to be created before binding"));
    } else if (str_eq_c(doc_get_str(storage->class, "provisioner"),
                        "kubernetes.io/no-provisioner")) {
        wl_status(plan, &wl_claims, claim, wl_object(arena, "phase", DOC_S("Pending"), NULL));
    } else {
        provision(plan, claim, storage->class);
    }
}

void wl_plan_claim(struct wl_plan *plan, const struct doc_value *claim,
                   const struct wl_storage *storage) {
    struct arena *arena = plan->arena;
    if (wl_is_deleting(claim)) {
        if (!storage->in_use) {
            drop_finalizer(plan, &wl_claims, claim, "kubernetes.io/pvc-protection");
        }
        return;
    }
    const struct doc_value *volume = find_volume(claim, storage->volumes, storage->volume_count);
    if (str_eq_c(phase_of(claim), "Bound") && !doc_get_str(claim, "spec", "volumeName").n) {
        return; // bound by an earlier version, which had no volumes
    }
    if (volume) {
        bind(plan, claim, volume);
    } else if (wl_annotation(claim, BIND_COMPLETED).n) {
        if (!str_eq_c(phase_of(claim), "Lost")) {
            wl_status(plan, &wl_claims, claim, wl_object(arena, "phase", DOC_S("Lost"), NULL));
            wl_event(plan, claim, COMPONENT, "ClaimLost",
                     "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
                ->warning = true;
        }
    } else {
        look_for_volume(plan, claim, storage);
    }
}

// ---- Volumes ----
void wl_plan_volume(struct wl_plan *plan, const struct doc_value *volume,
                    const struct doc_value *claim) {
    struct arena *arena = plan->arena;
    const struct doc_value *ref = doc_get(volume, "spec", "claimRef");
    struct str uid = doc_get_str(ref, "uid");
    bool bound = claim && uid.n && str_eq(wl_uid(claim), uid);
    bool released = uid.n && !bound;
    if (wl_is_deleting(volume)) {
        if (!bound) {
            drop_finalizer(plan, &wl_volumes, volume, "kubernetes.io/pv-protection");
        }
        return;
    }
    const char *phase = bound ? "Bound" : released ? "Released" : "Available";
    if (!str_eq_c(phase_of(volume), phase)) {
        wl_status(plan, &wl_volumes, volume,
                  wl_object(arena, "lastPhaseTransitionTime", wl_time(arena, plan->now), "phase",
                            doc_make_str(str_from(phase)), NULL));
    }
    struct str policy = doc_get_str(volume, "spec", "persistentVolumeReclaimPolicy");
    if (released && str_eq_c(policy, "Delete") && wl_annotation(volume, PROVISIONED_BY).n) {
        wl_delete(plan, &wl_volumes, (struct str){NULL, 0}, wl_name(volume), wl_uid(volume));
    }
}
