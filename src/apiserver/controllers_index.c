// SPDX-License-Identifier: Apache-2.0
// What the controllers remember of the objects: who owns whom, which pods are how far, and whom a change concerns. Fed by
// the watches alone: the server tells watches of a write before it answers the writer, so nobody plans on old knowledge
// of an own write.
#include "apiserver/controllers.h"

#include "base/limits.h"

// ---- Finding ----
enum { KEY_MAX = 4 * (LIMIT_NAME + 1) };

static struct str object_key(char key[KEY_MAX], const struct ctl_kind *kind, struct str ns,
                             struct str name) {
    struct str parts[] = {kind->gvr.group, kind->gvr.resource, ns, name};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (n + parts[i].n + 1 > KEY_MAX) {
            return (struct str){NULL, 0};
        }
        if (parts[i].n) {
            memcpy(key + n, parts[i].p, parts[i].n);
        }
        n += parts[i].n;
        key[n++] = '/';
    }
    return str_make(key, n);
}

struct ctl_object *ctl_find(const struct api_controllers *c, const struct ctl_kind *kind,
                            struct str ns, struct str name) {
    char key[KEY_MAX];
    struct str k = object_key(key, kind, ns, name);
    return k.n ? map_find(c->objects, k) : NULL;
}

struct ctl_uid *ctl_uid_find(const struct api_controllers *c, struct str uid) {
    return uid.n ? map_find(c->uids, uid) : NULL;
}

static struct ctl_uid *uid_get(struct api_controllers *c, struct str uid) {
    struct ctl_uid *entry = map_find(c->uids, uid);
    if (!entry) {
        entry = NEW(struct ctl_uid);
        map_put(c->uids, uid, entry);
    }
    return entry;
}

static void uid_drop_empty(struct api_controllers *c, struct str uid, struct ctl_uid *entry) {
    if (!entry->object && entry->dependents.len == 0) {
        map_remove(c->uids, uid);
        VEC_FREE(&entry->dependents);
        free(entry);
    }
}

struct ctl_ns *ctl_space_find(const struct api_controllers *c, struct str ns) {
    return map_find(c->spaces, ns);
}

struct ctl_ns *ctl_space_get(struct api_controllers *c, struct str ns) {
    struct ctl_ns *space = map_find(c->spaces, ns);
    if (!space) {
        space = NEW(struct ctl_ns);
        space->labels = map_create();
        map_put(c->spaces, ns, space);
    }
    return space;
}

struct ctl_object *ctl_controller_of(const struct api_controllers *c,
                                     const struct ctl_object *object) {
    for (size_t i = 0; i < object->owner_count; i++) {
        if (object->owners[i].controller) {
            struct ctl_uid *entry = ctl_uid_find(c, object->owners[i].uid);
            return entry ? entry->object : NULL;
        }
    }
    return NULL;
}

// ---- What is kept of one version ----
static void unlink_owners(struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    for (size_t i = 0; i < object->owner_count; i++) {
        struct ctl_uid *entry = ctl_uid_find(c, object->owners[i].uid);
        for (size_t j = 0; entry && j < entry->dependents.len; j++) {
            if (entry->dependents.items[j] == object) {
                VEC_REMOVE_SWAP(&entry->dependents, j);
                uid_drop_empty(c, object->owners[i].uid, entry);
                break;
            }
        }
    }
    free(object->owners);
    object->owners = NULL;
    object->owner_count = 0;
}

static bool same_owners(const struct ctl_object *object, const struct doc_value *owners) {
    if (doc_len(owners) != object->owner_count) {
        return false;
    }
    for (size_t i = 0; i < object->owner_count; i++) {
        const struct doc_value *owner = doc_at(owners, i);
        if (!str_eq(object->owners[i].uid, doc_get_str(owner, "uid")) ||
            object->owners[i].controller != doc_bool(doc_get(owner, "controller"), false) ||
            object->owners[i].blocks != doc_bool(doc_get(owner, "blockOwnerDeletion"), false)) {
            return false;
        }
    }
    return true;
}

static void wake_waiting_owners(const struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    for (size_t i = 0; i < object->owner_count; i++) {
        struct ctl_uid *entry = ctl_uid_find(c, object->owners[i].uid);
        if (entry && entry->object && (entry->object->foreground || entry->object->orphan)) {
            ctl_wake(entry->object);
        }
    }
}

static void take_owners(struct ctl_object *object, const struct doc_value *owners) {
    struct api_controllers *c = object->kind->c;
    if (same_owners(object, owners)) {
        return;
    }
    wake_waiting_owners(object);
    unlink_owners(object);
    size_t count = doc_len(owners), bytes = 0;
    if (!doc_is(owners, DOC_ARRAY) || count == 0) {
        return;
    }
    for (DOC_EACH_ITEM(owners, owner)) {
        bytes += doc_get_str(owner, "uid").n;
    }
    object->owners = xcalloc(1, count * sizeof(struct ctl_owner) + bytes);
    char *text = (char *)(object->owners + count);
    for (DOC_EACH_ITEM(owners, owner)) {
        struct str uid = doc_get_str(owner, "uid");
        if (uid.n == 0) {
            continue;
        }
        memcpy(text, uid.p, uid.n);
        object->owners[object->owner_count++] = (struct ctl_owner){
            .uid = str_make(text, uid.n),
            .controller = doc_bool(doc_get(owner, "controller"), false),
            .blocks = doc_bool(doc_get(owner, "blockOwnerDeletion"), false),
        };
        text += uid.n;
        VEC_PUSH(&uid_get(c, uid)->dependents, object);
    }
    object->check_owners = true;
}

static struct str put(char **at, struct str s) {
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    struct str out = str_make(*at, s.n);
    *at += s.n;
    return out;
}

static struct wl_pod *pack_pod(const struct ctl_object *object, const struct wl_pod *pod) {
    size_t bytes = sizeof(struct wl_pod) + pod->label_count * sizeof(uint64_t) + pod->node.n +
                   pod->revision.n + pod->ip.n;
    struct wl_pod *out = xmalloc(bytes);
    *out = *pod;
    uint64_t *labels = (uint64_t *)(out + 1);
    for (size_t i = 0; i < pod->label_count; i++) {
        labels[i] = pod->labels[i];
    }
    char *at = (char *)(labels + pod->label_count);
    out->labels = labels;
    out->name = object->name;
    out->uid = object->uid;
    out->node = put(&at, pod->node);
    out->revision = put(&at, pod->revision);
    out->ip = put(&at, pod->ip);
    return out;
}

static bool same_labels(const struct wl_pod *a, const struct wl_pod *b) {
    return a->label_count == b->label_count &&
           (a->label_count == 0 ||
            memcmp(a->labels, b->labels, a->label_count * sizeof(uint64_t)) == 0);
}

static void wake_pod_owners(const struct ctl_object *pod) {
    struct ctl_object *owner = ctl_controller_of(pod->kind->c, pod);
    if (!owner) {
        return;
    }
    ctl_wake(owner);
    if (owner->kind->role == CTL_REPLICA_SET && !wl_pod_is_active(pod->pod)) {
        struct ctl_object *above = ctl_controller_of(pod->kind->c, owner);
        if (above) {
            ctl_wake(above); // a Recreate roll-out waits for the last pod
        }
    }
}

// Addresses go on after the highest one in use.
static void note_ip(struct api_controllers *c, struct str ip) {
    struct str rest = ip, part;
    uint32_t value = 0;
    for (int i = 0; i < 4 && str_next(&rest, '.', &part); i++) {
        int64_t byte = 0;
        if (!str_to_int64(part, &byte) || byte < 0 || byte > 255) {
            return;
        }
        value = i == 0 ? 0 : value << 8 | (uint32_t)byte;
    }
    if (value >= c->next_ip) {
        c->next_ip = value + 1;
    }
}

// ---- Room on nodes ----
struct ctl_usage *ctl_usage_of(struct api_controllers *c, struct str node) {
    struct ctl_usage *usage = map_find(c->usage, node);
    if (!usage) {
        usage = NEW(struct ctl_usage);
        map_put(c->usage, node, usage);
    }
    return usage;
}

static void use_room(struct api_controllers *c, const struct wl_pod *pod, int sign) {
    if (!pod || !pod->node.n || pod->phase == WL_SUCCEEDED || pod->phase == WL_FAILED) {
        return;
    }
    struct wl_room *room = &ctl_usage_of(c, pod->node)->room;
    room->cpu += sign * pod->room.cpu;
    room->memory += sign * pod->room.memory;
    room->pods += sign * pod->room.pods;
}

static void set_homeless(struct ctl_object *object, bool homeless) {
    struct api_controllers *c = object->kind->c;
    if (homeless && !object->homeless) {
        VEC_PUSH(&c->homeless, object);
    } else if (!homeless && object->homeless) {
        CTL_REMOVE(&c->homeless, object)
    }
    object->homeless = homeless;
}

static void wake_homeless(struct api_controllers *c, struct str ns) {
    for (size_t i = 0; i < c->homeless.len; i++) {
        if (!ns.n || str_eq(c->homeless.items[i]->ns, ns)) {
            ctl_wake(c->homeless.items[i]);
        }
    }
}

// Claims may wait for their first pod.
static void wake_claims_of(struct api_controllers *c, const struct doc_value *pod) {
    struct ctl_kind *claims = ctl_kind_find(c, wl_claims.group, wl_claims.resource);
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "volumes"), volume)) {
        struct str name = doc_get_str(volume, "persistentVolumeClaim", "claimName");
        struct ctl_object *claim = claims && name.n ? ctl_find(c, claims, wl_ns(pod), name) : NULL;
        if (claim) {
            ctl_wake(claim);
        }
    }
}

static void take_pod(struct ctl_object *object, const struct doc_value *value) {
    struct api_controllers *c = object->kind->c;
    struct wl_pod now;
    wl_pod_read(c->scratch, value, &now);
    const struct wl_pod *before = object->pod;
    bool moved = !before || before->ready != now.ready || before->deleting != now.deleting ||
                 before->phase != now.phase || !str_eq(before->ip, now.ip) ||
                 before->restarts != now.restarts || // a Job counts them
                 !same_labels(before, &now);
    if (before && !same_labels(before, &now)) {
        ctl_wake_followers(object); // those that matched until now
    }
    if (now.ip.n) {
        note_ip(c, now.ip);
    }
    bool relabelled = !before || !same_labels(before, &now);
    if (before && relabelled) {
        ctl_unlink_pod(object);
    }
    use_room(c, before, -1);
    use_room(c, &now, 1);
    bool frees = before && before->node.n && before->phase != now.phase &&
                 (now.phase == WL_SUCCEEDED || now.phase == WL_FAILED);
    set_homeless(object, !now.node.n && !now.deleting);
    if (object->homeless && !before) {
        wake_claims_of(c, value);
    }
    if (frees) {
        wake_homeless(c, STR(""));
    }
    free(object->pod);
    object->pod = pack_pod(object, &now);
    if (relabelled) {
        ctl_link_pod(object);
    }
    if (moved) {
        ctl_wake_followers(object);
        wake_pod_owners(object);
    }
    uint64_t stage = wl_pod_stage(value);
    if (stage != object->stage) {
        object->stage = stage;
        object->stage_since = loop_now(c->loop);
    }
}

// A Service keeps the hashes of its selector, an orphan those of its labels, both in the place of a pod's labels.
static void take_labels(struct ctl_object *object, const struct doc_value *labels) {
    struct wl_pod pod = {.label_count = doc_is(labels, DOC_OBJECT) ? doc_len(labels) : 0};
    uint64_t *hashes = ARENA_ARRAY(object->kind->c->scratch, pod.label_count + 1, uint64_t);
    for (DOC_EACH_MEMBER(labels, i)) {
        hashes[i] = wl_label_hash(doc_key_at(labels, i), doc_str(doc_value_at(labels, i)));
    }
    pod.labels = hashes;
    ctl_unlink_follower(object);
    free(object->pod);
    object->pod = pack_pod(object, &pod);
}

static bool has_finalizer(const struct doc_value *object, const char *name) {
    for (DOC_EACH_ITEM(doc_get(object, "metadata", "finalizers"), finalizer)) {
        if (str_eq_c(doc_str(finalizer), name)) {
            return true;
        }
    }
    return false;
}

static bool has_controller(const struct ctl_object *object) {
    for (size_t i = 0; i < object->owner_count; i++) {
        if (object->owners[i].controller) {
            return true;
        }
    }
    return false;
}

static void set_orphan(struct ctl_object *object, bool orphan) {
    struct ctl_ns *space = ctl_space_get(object->kind->c, object->ns);
    for (size_t i = 0; i < space->orphans.len; i++) {
        if (space->orphans.items[i] == object) {
            if (!orphan) {
                VEC_REMOVE_SWAP(&space->orphans, i);
            }
            return;
        }
    }
    if (orphan) {
        VEC_PUSH(&space->orphans, object);
    }
}

// ---- Taking objects in ----
static bool is_wanted(const struct ctl_kind *kind, const struct doc_value *object) {
    return kind->role != CTL_OTHER || doc_len(doc_get(object, "metadata", "ownerReferences")) ||
           (wl_is_deleting(object) &&
            (has_finalizer(object, "foregroundDeletion") || has_finalizer(object, "orphan")));
}

static struct ctl_object *add_object(struct ctl_kind *kind, struct str ns, struct str name,
                                     struct str uid) {
    struct api_controllers *c = kind->c;
    char key[KEY_MAX];
    struct str k = object_key(key, kind, ns, name);
    if (!k.n) {
        return NULL;
    }
    struct ctl_object *object = xcalloc(1, sizeof(*object) + ns.n + name.n + uid.n + 3);
    char *at = (char *)(object + 1);
    object->kind = kind;
    object->ns = put(&at, ns);
    at++; // each ends in NUL, for the log
    object->name = put(&at, name);
    at++;
    object->uid = put(&at, uid);
    object->alive = true;
    map_put(c->objects, k, object);
    if (uid.n) {
        uid_get(c, uid)->object = object;
    }
    if (kind->role == CTL_POD) {
        VEC_PUSH(&ctl_space_get(c, ns)->pods, object);
    }
    return object;
}

static void wake_dependents(struct api_controllers *c, struct str uid) {
    struct ctl_uid *entry = ctl_uid_find(c, uid);
    for (size_t i = 0; entry && i < entry->dependents.len; i++) {
        struct ctl_object *dependent = entry->dependents.items[i];
        for (size_t j = 0; j < dependent->owner_count; j++) {
            if (str_eq(dependent->owners[j].uid, uid)) {
                dependent->owners[j].gone = true;
            }
        }
        dependent->check_owners = true;
        ctl_wake(dependent);
    }
}

static void nodes_moved(struct api_controllers *c) {
    c->nodes_changed = true;
    wake_homeless(c, STR(""));
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
        struct ctl_object *object = value;
        if (object->kind->role == CTL_DAEMON_SET) {
            ctl_wake(object);
        }
    }
}

// What decides where pods may be: not the heartbeats of its conditions.
static void take_node(struct ctl_object *object, const struct doc_value *value, bool is_new) {
    struct api_controllers *c = object->kind->c;
    uint64_t stage = doc_hash(doc_get(value, "spec")) * 31 +
                     doc_hash(doc_get(value, "metadata", "labels")) * 7 +
                     doc_hash(doc_get(value, "status", "allocatable"));
    c->nodes_changed = true;
    if (!is_new && stage == object->stage) {
        return;
    }
    object->stage = stage;
    nodes_moved(c);
    struct str key;
    void *each;
    bool evicts = false;
    for (DOC_EACH_ITEM(doc_get(value, "spec", "taints"), taint)) {
        evicts = evicts || str_eq_c(doc_get_str(taint, "effect"), "NoExecute");
    }
    for (size_t i = 0; (evicts || !is_new) && map_next(c->objects, &i, &key, &each);) {
        struct ctl_object *pod = each;
        if (pod->kind->role == CTL_POD && pod->pod && str_eq(pod->pod->node, object->name)) {
            ctl_wake(pod);
        }
    }
}

// ---- Storage and scaling ----
static uint64_t claim_hash(struct str ns, struct str name) {
    uint64_t hash = wl_label_hash(ns, name);
    return hash ? hash : 1;
}

static void wake_volumes_of(struct api_controllers *c, struct str ns, struct str claim) {
    uint64_t hash = claim_hash(ns, claim);
    for (size_t i = 0; i < c->volumes.len; i++) {
        if (c->volumes.items[i]->stage == hash) {
            ctl_wake(c->volumes.items[i]);
        }
    }
}

static void wake_open_claims(struct api_controllers *c) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
        struct ctl_object *object = value;
        if (object->kind->role == CTL_CLAIM && object->stage == 0) {
            ctl_wake(object);
        }
    }
}

static void take_volume(struct ctl_object *object, const struct doc_value *value, bool is_new) {
    struct api_controllers *c = object->kind->c;
    const struct doc_value *ref = doc_get(value, "spec", "claimRef");
    if (is_new) {
        VEC_PUSH(&c->volumes, object);
    }
    object->stage = ref ? claim_hash(doc_get_str(ref, "namespace"), doc_get_str(ref, "name")) : 0;
    if (!ref) {
        wake_open_claims(c);
        return;
    }
    struct ctl_kind *claims = ctl_kind_find(c, wl_claims.group, wl_claims.resource);
    struct ctl_object *claim =
        claims ? ctl_find(c, claims, doc_get_str(ref, "namespace"), doc_get_str(ref, "name"))
               : NULL;
    if (claim) {
        ctl_wake(claim);
    }
}

static uint64_t target_hash(struct str kind, struct str name) {
    return wl_label_hash(kind, name) ^ UINT64_C(0x5ca1e5ca1e5ca1e5);
}

static void take_autoscaler(struct ctl_object *object, const struct doc_value *value, bool is_new) {
    const struct doc_value *target = doc_get(value, "spec", "scaleTargetRef");
    uint64_t hash = target_hash(doc_get_str(target, "kind"), doc_get_str(target, "name"));
    struct wl_pod pod = {.labels = &hash, .label_count = 1};
    object->kind->c->scalers += is_new;
    ctl_unlink_follower(object);
    free(object->pod);
    object->pod = pack_pod(object, &pod);
    ctl_link_follower(object);
}

// Those that scale this object.
static void wake_scalers(struct api_controllers *c, const struct ctl_kind *kind, struct str ns,
                         struct str name) {
    struct ctl_ns *space = c->scalers ? ctl_space_find(c, ns) : NULL;
    uint64_t hash = target_hash(kind->kind, name);
    const struct ctl_label *label = space ? ctl_label_find(space, &hash, 1) : NULL;
    for (size_t i = 0; label && i < label->followers.len; i++) {
        ctl_wake(label->followers.items[i]);
    }
}

static void update(struct ctl_object *object, const struct doc_value *value, bool is_new) {
    struct ctl_kind *kind = object->kind;
    object->deleting = wl_is_deleting(value);
    object->foreground = object->deleting && has_finalizer(value, "foregroundDeletion");
    object->orphan = object->deleting && has_finalizer(value, "orphan");
    take_owners(object, doc_get(value, "metadata", "ownerReferences"));
    switch (kind->role) {
    case CTL_POD:
        take_pod(object, value);
        set_orphan(object, !has_controller(object));
        break;
    case CTL_REPLICA_SET:
        take_labels(object, doc_get(value, "metadata", "labels"));
        set_orphan(object, !has_controller(object));
        break;
    case CTL_SERVICE:
        take_labels(object, doc_get(value, "spec", "selector"));
        if (object->pod->label_count) {
            ctl_link_follower(object);
        }
        break;
    case CTL_NODE:
        take_node(object, value, is_new);
        break;
    case CTL_CLAIM:
        object->stage = str_eq_c(doc_get_str(value, "status", "phase"), "Bound");
        wake_homeless(kind->c, object->ns);
        wake_volumes_of(kind->c, object->ns, object->name);
        break;
    case CTL_VOLUME:
        take_volume(object, value, is_new);
        break;
    case CTL_CLASS:
        if (is_new) {
            VEC_PUSH(&kind->c->classes, object);
        }
        wake_open_claims(kind->c);
        break;
    case CTL_AUTOSCALER:
        take_autoscaler(object, value, is_new);
        break;
    case CTL_BUDGET:
        take_labels(object, doc_len(doc_get(value, "spec", "selector", "matchExpressions"))
                                ? NULL
                                : doc_get(value, "spec", "selector", "matchLabels"));
        ctl_link_follower(object);
        break;
    case CTL_CRD:
        loop_timer_start(kind->c->rescan, 0);
        break;
    default:
        break;
    }
    struct ctl_object *owner = ctl_controller_of(kind->c, object);
    if (owner && kind->role != CTL_POD) {
        ctl_wake(owner);
    }
    if (object->deleting) {
        wake_waiting_owners(object);
    }
    ctl_wake(object);
}

// What each namespace has comes back when it was deleted or changed.
static void wake_space_of(const struct ctl_kind *kind, enum kube_event event, struct str ns,
                          struct str name) {
    bool account = str_eq_c(name, "default") && event == KUBE_DELETED;
    const struct kube_gvr *gvr = account                              ? &wl_service_accounts
                                 : str_eq_c(name, "kube-root-ca.crt") ? &wl_config_maps
                                                                      : NULL;
    if (!gvr || !str_eq(kind->gvr.resource, gvr->resource) || kind->gvr.group.n) {
        return;
    }
    const struct ctl_kind *spaces =
        ctl_kind_find(kind->c, wl_namespaces.group, wl_namespaces.resource);
    struct ctl_object *space = spaces ? ctl_find(kind->c, spaces, STR(""), ns) : NULL;
    if (space) {
        ctl_wake(space);
    }
}

void ctl_take(struct ctl_kind *kind, enum kube_event event, const struct doc_value *value) {
    struct api_controllers *c = kind->c;
    struct str ns = wl_ns(value), name = wl_name(value), uid = wl_uid(value);
    int64_t version = 0;
    (void)str_to_int64(doc_get_str(value, "metadata", "resourceVersion"), &version);
    struct ctl_object *object = ctl_find(c, kind, ns, name);
    wake_scalers(c, kind, ns, name);
    wake_space_of(kind, event, ns, name);
    if (event == KUBE_DELETED) {
        if (object && str_eq(object->uid, uid)) {
            ctl_forget(object);
        } else {
            wake_dependents(c, uid);
            ns_object_gone(c, ns);
        }
        if (kind->role == CTL_CRD) {
            loop_timer_start(c->rescan, 0);
        }
        return;
    }
    if (object && !str_eq(object->uid, uid)) {
        ctl_forget(object); // deleted and made again while nobody was looking
        object = NULL;
    }
    if (object) {
        object->epoch = kind->epoch;
        if (version <= object->version) {
            return;
        }
    }
    bool is_new = !object;
    if (!object) {
        if (!is_wanted(kind, value) || !(object = add_object(kind, ns, name, uid))) {
            return;
        }
        object->epoch = kind->epoch;
    }
    object->version = version;
    update(object, value, is_new);
}

// A pod does not outlive its node.
static void strand_pods(struct api_controllers *c, struct str node) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
        struct ctl_object *object = value;
        if (object->kind->role == CTL_POD && object->pod && str_eq(object->pod->node, node)) {
            object->node_gone = true;
            ctl_wake(object);
        }
    }
}

static void leave_space(struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    struct ctl_ns *space = ctl_space_find(c, object->ns);
    if (!space) {
        return;
    }
    if (object->kind->role == CTL_POD) {
        CTL_REMOVE(&space->pods, object)
        if (object->pod) {
            ctl_unlink_pod(object);
        }
    }
    ctl_unlink_follower(object);
    CTL_REMOVE(&space->orphans, object)
    if (space->pods.len + space->broad.len + space->orphans.len + map_len(space->labels) == 0) {
        map_remove(c->spaces, object->ns);
        ctl_space_free(space);
    }
}

void ctl_forget(struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    char key[KEY_MAX];
    object->alive = false;
    object->due = 0;
    map_remove(c->objects, object_key(key, object->kind, object->ns, object->name));
    if (object->kind->role == CTL_POD && object->pod) {
        object->pod->deleting = true;
        use_room(c, object->pod, -1);
        set_homeless(object, false);
        if (object->pod->node.n) {
            wake_homeless(c, STR(""));
        }
        ctl_wake_followers(object);
        wake_pod_owners(object);
    } else {
        struct ctl_object *owner = ctl_controller_of(c, object);
        if (owner) {
            ctl_wake(owner);
        }
    }
    switch (object->kind->role) {
    case CTL_NODE:
        nodes_moved(c);
        strand_pods(c, object->name);
        break;
    case CTL_CLAIM:
        wake_volumes_of(c, object->ns, object->name);
        break;
    case CTL_VOLUME:
        CTL_REMOVE(&c->volumes, object)
        wake_open_claims(c);
        break;
    case CTL_CLASS:
        CTL_REMOVE(&c->classes, object)
        break;
    case CTL_AUTOSCALER:
        c->scalers--;
        break;
    case CTL_SERVICE:
        ctl_service_gone(object);
        break;
    default:
        break;
    }
    wake_waiting_owners(object);
    unlink_owners(object);
    leave_space(object);
    struct ctl_uid *entry = ctl_uid_find(c, object->uid);
    if (entry && entry->object == object) {
        entry->object = NULL;
        wake_dependents(c, object->uid);
        uid_drop_empty(c, object->uid, entry);
    }
    ns_object_gone(c, object->ns);
    if (object->kind->role == CTL_NAMESPACE) {
        ns_forget(object);
    }
    ctl_release(object);
}

void ctl_release(struct ctl_object *object) {
    if (object->alive || object->queued || object->in_flight || object->pins) {
        return;
    }
    free(object->owners);
    free(object->pod);
    free(object->refusal);
    free(object);
}

const struct doc_value *ctl_load(struct api_controllers *c, const struct ctl_object *object,
                                 struct arena *arena) {
    AUTO(blob_unref)
    struct blob *blob = apiserver_peek(c->server, &object->kind->gvr, object->ns, object->name);
    if (!blob) {
        return NULL;
    }
    struct doc_value *value = ARENA_NEW(arena, struct doc_value);
    struct err err = {0};
    // A copy: the blob may go before the arena does.
    if (!doc_parse_json_copy(blob_str(blob), arena, value, &err) ||
        !str_eq(wl_uid(value), object->uid)) {
        return NULL;
    }
    return value;
}

void ctl_index_destroy(struct api_controllers *c) {
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
        struct ctl_object *object = value;
        free(object->owners);
        free(object->pod);
        free(object->refusal);
        free(object);
    }
    for (size_t i = 0; map_next(c->usage, &i, &key, &value);) {
        free(value);
    }
    VEC_FREE(&c->homeless);
    VEC_FREE(&c->volumes);
    VEC_FREE(&c->classes);
    map_destroy(c->usage);
    for (size_t i = 0; map_next(c->uids, &i, &key, &value);) {
        struct ctl_uid *entry = value;
        VEC_FREE(&entry->dependents);
        free(entry);
    }
    for (size_t i = 0; map_next(c->spaces, &i, &key, &value);) {
        ctl_space_free(value);
    }
    map_destroy(c->objects);
    map_destroy(c->uids);
    map_destroy(c->spaces);
}
