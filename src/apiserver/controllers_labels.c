// SPDX-License-Identifier: Apache-2.0
// Pods by their labels, and who follows them: Services, budgets and autoscalers are found from a pod (or a scaled object)
// that changes, never by a walk over a namespace.
#include "apiserver/controllers.h"

static struct str hash_key(const uint64_t *hash) {
    return (struct str){(const char *)hash, sizeof *hash};
}

static struct ctl_label *label_get(struct ctl_ns *space, uint64_t hash) {
    struct ctl_label *label = map_find(space->labels, hash_key(&hash));
    if (!label) {
        label = NEW(struct ctl_label);
        map_put(space->labels, hash_key(&hash), label);
    }
    return label;
}

static void label_drop_empty(struct ctl_ns *space, uint64_t hash, struct ctl_label *label) {
    if (label->pods.len + label->followers.len == 0) {
        map_remove(space->labels, hash_key(&hash));
        VEC_FREE(&label->pods);
        VEC_FREE(&label->followers);
        free(label);
    }
}

const struct ctl_label *ctl_label_find(const struct ctl_ns *space, const uint64_t *labels,
                                       size_t count) {
    static const struct ctl_label none;
    const struct ctl_label *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ctl_label *label = map_find(space->labels, hash_key(&labels[i]));
        if (!label) {
            return &none;
        }
        best = !best || label->pods.len < best->pods.len ? label : best;
    }
    return best;
}

void ctl_link_pod(struct ctl_object *object) {
    struct ctl_ns *space = ctl_space_get(object->kind->c, object->ns);
    for (size_t i = 0; i < object->pod->label_count; i++) {
        VEC_PUSH(&label_get(space, object->pod->labels[i])->pods, object);
    }
}

void ctl_unlink_pod(struct ctl_object *object) {
    struct ctl_ns *space = ctl_space_find(object->kind->c, object->ns);
    for (size_t i = 0; space && i < object->pod->label_count; i++) {
        uint64_t hash = object->pod->labels[i];
        struct ctl_label *label = map_find(space->labels, hash_key(&hash));
        if (label) {
            CTL_REMOVE(&label->pods, object)
            label_drop_empty(space, hash, label);
        }
    }
}

void ctl_link_follower(struct ctl_object *object) {
    struct ctl_ns *space = ctl_space_get(object->kind->c, object->ns);
    if (object->pod->label_count) {
        VEC_PUSH(&label_get(space, object->pod->labels[0])->followers, object);
    } else {
        VEC_PUSH(&space->broad, object);
    }
    object->follows = true;
}

void ctl_unlink_follower(struct ctl_object *object) {
    struct ctl_ns *space = ctl_space_find(object->kind->c, object->ns);
    if (!space || !object->follows) {
        return;
    }
    object->follows = false;
    if (!object->pod->label_count) {
        CTL_REMOVE(&space->broad, object)
        return;
    }
    uint64_t hash = object->pod->labels[0];
    struct ctl_label *label = map_find(space->labels, hash_key(&hash));
    if (label) {
        CTL_REMOVE(&label->followers, object)
        label_drop_empty(space, hash, label);
    }
}

void ctl_wake_followers(const struct ctl_object *pod) {
    struct ctl_ns *space = ctl_space_find(pod->kind->c, pod->ns);
    for (size_t i = 0; space && i < space->broad.len; i++) {
        ctl_wake(space->broad.items[i]);
    }
    for (size_t i = 0; space && i < pod->pod->label_count; i++) {
        const struct ctl_label *label = map_find(space->labels, hash_key(&pod->pod->labels[i]));
        for (size_t j = 0; label && j < label->followers.len; j++) {
            struct ctl_object *follower = label->followers.items[j];
            if (wl_labels_contain(pod->pod->labels, pod->pod->label_count, follower->pod->labels,
                                  follower->pod->label_count)) {
                ctl_wake(follower);
            }
        }
    }
}

void ctl_space_free(struct ctl_ns *space) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(space->labels, &i, &key, &value);) {
        struct ctl_label *label = value;
        VEC_FREE(&label->pods);
        VEC_FREE(&label->followers);
        free(label);
    }
    map_destroy(space->labels);
    VEC_FREE(&space->pods);
    VEC_FREE(&space->broad);
    VEC_FREE(&space->orphans);
    free(space);
}
