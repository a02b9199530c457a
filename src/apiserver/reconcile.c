// SPDX-License-Identifier: Apache-2.0
// One visit of one object: fetch it and what belongs to it, ask its planner. The order of things: first the garbage
// collector, which may take the object out of everybody's hands; then adoption of what lost its controller; then the
// planner of its kind.
#include "apiserver/controllers.h"

// ---- Nodes ----
static int compare_nodes(const void *a, const void *b) {
    return str_cmp(((const struct wl_node *)a)->name, ((const struct wl_node *)b)->name);
}

static struct str internal_ip(const struct doc_value *node) {
    for (DOC_EACH_ITEM(doc_get(node, "status", "addresses"), address)) {
        if (str_eq_c(doc_get_str(address, "type"), "InternalIP")) {
            return doc_get_str(address, "address");
        }
    }
    return STR("10.0.0.1");
}

static struct wl_node node_view(struct api_controllers *c, const struct doc_value *node) {
    const struct doc_value *room = doc_get(node, "status", "allocatable");
    return (struct wl_node){
        .name = wl_name(node),
        .ip = internal_ip(node),
        .labels = doc_get(node, "metadata", "labels"),
        .taints = doc_get(node, "spec", "taints"),
        .unschedulable = doc_bool(doc_get(node, "spec", "unschedulable"), false),
        .limited = doc_len(room) > 0,
        .room = {.cpu = wl_quantity(doc_get_str(room, "cpu"), 1000),
                 .memory = wl_quantity(doc_get_str(room, "memory"), 1),
                 .pods = wl_quantity(doc_get_str(room, "pods"), 1)},
        .used = &ctl_usage_of(c, wl_name(node))->room,
    };
}

void ctl_refresh_nodes(struct api_controllers *c) {
    if (!c->nodes_changed) {
        return;
    }
    c->nodes_changed = false;
    arena_reset(c->nodes_arena);
    c->node_count = 0;
    c->nodes_view = NULL;
    VEC(struct wl_node) nodes = {0};
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
        const struct ctl_object *object = value;
        if (object->kind->role != CTL_NODE || object->deleting) {
            continue;
        }
        const struct doc_value *node = ctl_load(c, object, c->nodes_arena);
        if (node) {
            struct wl_node view = node_view(c, node);
            VEC_PUSH(&nodes, view);
        }
    }
    if (nodes.len) {
        qsort(nodes.items, nodes.len, sizeof(*nodes.items), compare_nodes);
        c->nodes_view = ARENA_ARRAY(c->nodes_arena, nodes.len, struct wl_node);
        memcpy(c->nodes_view, nodes.items, nodes.len * sizeof(struct wl_node));
        c->node_count = nodes.len;
    }
    VEC_FREE(&nodes);
}

static struct wl_world world_of(const struct api_controllers *c) {
    return (struct wl_world){
        .nodes = c->nodes_view, .node_count = c->node_count, .start_delay_ns = c->start_delay_ns};
}

// ---- What belongs to an object ----
static bool is_child(const struct ctl_object *child, const struct ctl_object *owner,
                     enum ctl_role role) {
    if (child->kind->role != role || !child->alive) {
        return false;
    }
    for (size_t i = 0; i < child->owner_count; i++) {
        if (child->owners[i].controller && str_eq(child->owners[i].uid, owner->uid)) {
            return true;
        }
    }
    return false;
}

struct ctl_object **ctl_children(const struct ctl_object *owner, enum ctl_role role,
                                 struct arena *arena, size_t *count) {
    const struct ctl_uid *entry = ctl_uid_find(owner->kind->c, owner->uid);
    size_t max = entry ? entry->dependents.len : 0;
    struct ctl_object **out = ARENA_ARRAY(arena, max + 1, struct ctl_object *);
    *count = 0;
    for (size_t i = 0; i < max; i++) {
        if (is_child(entry->dependents.items[i], owner, role)) {
            out[(*count)++] = entry->dependents.items[i];
        }
    }
    return out;
}

static const struct wl_pod **pods_of(const struct ctl_object *owner, struct arena *arena,
                                     size_t *count) {
    struct ctl_object **children = ctl_children(owner, CTL_POD, arena, count);
    const struct wl_pod **out = ARENA_ARRAY(arena, *count + 1, const struct wl_pod *);
    for (size_t i = 0; i < *count; i++) {
        out[i] = children[i]->pod;
    }
    return out;
}

// ---- Adoption: what matches the selector and has no controller becomes ours ----
static bool adopt(struct ctl_object *object, const struct doc_value *value, struct wl_plan *plan,
                  enum ctl_role child_role, const char *api_version) {
    struct api_controllers *c = object->kind->c;
    const struct ctl_ns *space = ctl_space_find(c, object->ns);
    bool plain = object->kind->role == CTL_CONTROLLER; // its selector is the labels themselves
    const struct doc_value *selector = plain ? doc_get(value, "spec", "selector")
                                             : doc_get(value, "spec", "selector", "matchLabels");
    if (!space || space->orphans.len == 0 || doc_len(selector) == 0 || wl_is_deleting(value) ||
        doc_len(doc_get(value, "spec", "selector", "matchExpressions"))) {
        return false;
    }
    uint64_t *wanted = ARENA_ARRAY(plan->arena, doc_len(selector), uint64_t);
    for (DOC_EACH_MEMBER(selector, i)) {
        wanted[i] = wl_label_hash(doc_key_at(selector, i), doc_str(doc_value_at(selector, i)));
    }
    bool any = false;
    for (size_t i = 0; i < space->orphans.len; i++) {
        struct ctl_object *orphan = space->orphans.items[i];
        if (orphan->kind->role != child_role || orphan->deleting || !orphan->pod ||
            !wl_labels_contain(orphan->pod->labels, orphan->pod->label_count, wanted,
                               doc_len(selector)) ||
            (child_role == CTL_POD && !wl_pod_is_active(orphan->pod))) {
            continue;
        }
        const struct doc_value *child = ctl_load(c, orphan, plan->arena);
        if (!child) {
            continue;
        }
        struct doc_value owners =
            wl_owner(plan->arena, api_version, arena_cstr(plan->arena, object->kind->kind), value);
        struct doc_array all = doc_array_start(plan->arena);
        for (DOC_EACH_ITEM(doc_get(child, "metadata", "ownerReferences"), owner)) {
            doc_array_add(&all, *owner);
        }
        doc_array_add(&all, *doc_at(&owners, 0));
        struct doc_value metadata = wl_object(plan->arena, "uid", doc_make_str(orphan->uid),
                                              "ownerReferences", doc_array_done(&all), NULL);
        wl_patch(plan, &orphan->kind->gvr, child,
                 wl_object(plan->arena, "metadata", metadata, NULL));
        any = true;
    }
    return any;
}

// ---- Kinds ----
static void visit_deployment(struct ctl_object *object, const struct doc_value *value,
                             struct wl_plan *plan) {
    size_t count = 0;
    struct ctl_object **children = ctl_children(object, CTL_REPLICA_SET, plan->arena, &count);
    struct wl_replica_set *sets = ARENA_ARRAY(plan->arena, count + 1, struct wl_replica_set);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *set = ctl_load(object->kind->c, children[i], plan->arena);
        if (!set) {
            continue;
        }
        size_t pods = 0;
        struct ctl_object **left = ctl_children(children[i], CTL_POD, plan->arena, &pods);
        sets[n].object = set;
        for (size_t j = 0; j < pods; j++) {
            enum wl_phase phase = left[j]->pod->phase;
            sets[n].pods_left += phase == WL_PENDING || phase == WL_RUNNING;
        }
        n++;
    }
    wl_plan_deployment(plan, value, sets, n);
}

// Not a pointer type: a planner that needs nothing but pods.
typedef void pods_planner(struct wl_plan *plan, const struct doc_value *object,
                          const struct wl_pod *const *pods, size_t count,
                          const struct wl_world *world);

static void visit_with_pods(struct ctl_object *object, const struct doc_value *value,
                            struct wl_plan *plan, pods_planner *planner) {
    size_t count = 0;
    const struct wl_pod **pods = pods_of(object, plan->arena, &count);
    struct wl_world world = world_of(object->kind->c);
    planner(plan, value, pods, count, &world);
}

// A failure policy looks at the failed pods themselves.
static void visit_job(struct ctl_object *object, const struct doc_value *value,
                      struct wl_plan *plan) {
    size_t count = 0;
    const struct wl_pod **pods = pods_of(object, plan->arena, &count);
    struct wl_world world = world_of(object->kind->c);
    struct ctl_object **children = ctl_children(object, CTL_POD, plan->arena, &count);
    for (size_t i = 0; i < count && doc_get(value, "spec", "podFailurePolicy"); i++) {
        if (pods[i]->phase == WL_FAILED) {
            struct wl_pod *copy = ARENA_NEW(plan->arena, struct wl_pod);
            *copy = *pods[i];
            copy->object = ctl_load(object->kind->c, children[i], plan->arena);
            pods[i] = copy;
        }
    }
    wl_plan_job(plan, value, pods, count, &world);
}

typedef void history_planner(struct wl_plan *plan, const struct doc_value *object,
                             const struct wl_pod *const *pods, size_t count,
                             const struct doc_value *const *revisions, size_t revision_count,
                             const struct wl_world *world);

static void visit_with_history(struct ctl_object *object, const struct doc_value *value,
                               struct wl_plan *plan, history_planner *planner) {
    size_t count = 0, revisions = 0, n = 0;
    const struct wl_pod **pods = pods_of(object, plan->arena, &count);
    struct ctl_object **children = ctl_children(object, CTL_REVISION, plan->arena, &revisions);
    const struct doc_value **loaded =
        ARENA_ARRAY(plan->arena, revisions + 1, const struct doc_value *);
    for (size_t i = 0; i < revisions; i++) {
        loaded[n] = ctl_load(object->kind->c, children[i], plan->arena);
        n += loaded[n] && !children[i]->deleting;
    }
    struct wl_world world = world_of(object->kind->c);
    planner(plan, value, pods, count, loaded, n, &world);
}

// Why the volumes of a pod keep it from being scheduled.
static struct str volume_problem(struct api_controllers *c, const struct doc_value *pod,
                                 struct arena *arena) {
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "volumes"), volume)) {
        struct str name = doc_get_str(volume, "persistentVolumeClaim", "claimName");
        if (doc_get(volume, "ephemeral")) {
            name = arena_printf(arena, "%.*s-%.*s", STR_ARG(wl_name(pod)),
                                STR_ARG(doc_get_str(volume, "name")));
        }
        if (!name.n) {
            continue;
        }
        AUTO(blob_unref)
        struct blob *blob = apiserver_peek(c->server, &wl_claims, wl_ns(pod), name);
        struct doc_value claim;
        struct err err = {0};
        if (!blob || !doc_parse_json_copy(blob_str(blob), arena, &claim, &err)) {
            return arena_printf(arena, "persistentvolumeclaim \"%.*s\" not found", STR_ARG(name));
        }
        if (str_eq_c(doc_get_str(&claim, "status", "phase"), "Lost")) {
            return arena_printf(arena,
                                "persistentvolumeclaim \"%.*s\" bound to non-existent "
                                "persistentvolume \"%.*s\"",
                                STR_ARG(name), STR_ARG(doc_get_str(&claim, "spec", "volumeName")));
        }
        if (!str_eq_c(doc_get_str(&claim, "status", "phase"), "Bound")) {
            return STR("pod has unbound immediate PersistentVolumeClaims");
        }
    }
    return STR("");
}

static void visit_pod(struct ctl_object *object, const struct doc_value *value,
                      struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    struct wl_world world = world_of(c);
    for (size_t i = 0; object->node_gone && i < world.node_count; i++) {
        object->node_gone = !str_eq(world.nodes[i].name, object->pod->node); // it is back
    }
    if (object->node_gone) {
        wl_delete(plan, &wl_pods, object->ns, object->name, object->uid)->grace_seconds = 0;
        return;
    }
    uint32_t ip = c->next_ip & UINT32_C(0xffffff);
    if (!object->pod->node.n) {
        world.volumes = volume_problem(c, value, plan->arena);
    }
    wl_plan_pod(plan, value, &world, loop_now(c->loop) - object->stage_since,
                arena_printf(plan->arena, "10.%u.%u.%u", ip >> 16, ip >> 8 & 255, ip & 255));
    if (plan->count && object->pod->ip.n == 0) {
        c->next_ip++;
    }
}

static bool has_named_port(const struct doc_value *service) {
    for (DOC_EACH_ITEM(doc_get(service, "spec", "ports"), port)) {
        if (doc_is(doc_get(port, "targetPort"), DOC_STRING)) {
            return true;
        }
    }
    return false;
}

static void visit_service(struct ctl_object *object, const struct doc_value *value,
                          struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    const struct ctl_ns *space = ctl_space_find(c, object->ns);
    const struct ctl_label *label =
        space ? ctl_label_find(space, object->pod->labels, object->pod->label_count) : NULL;
    size_t max = label ? label->pods.len : 0, count = 0;
    const struct wl_pod **pods = ARENA_ARRAY(plan->arena, max + 1, const struct wl_pod *);
    const struct ctl_object *first = NULL;
    for (size_t i = 0; i < max; i++) {
        const struct ctl_object *pod = label->pods.items[i];
        if (wl_labels_contain(pod->pod->labels, pod->pod->label_count, object->pod->labels,
                              object->pod->label_count)) {
            pods[count++] = pod->pod;
            first = !first || str_cmp(pod->name, first->name) < 0 ? pod : first;
        }
    }
    const struct doc_value *ports_of =
        first && has_named_port(value) ? ctl_load(c, first, plan->arena) : NULL;
    size_t slice_count = 0, n = 0;
    struct ctl_object **slices =
        ctl_children(object, CTL_ENDPOINT_SLICE, plan->arena, &slice_count);
    const struct doc_value **loaded =
        ARENA_ARRAY(plan->arena, slice_count + 1, const struct doc_value *);
    for (size_t i = 0; i < slice_count; i++) {
        loaded[n] = slices[i]->deleting ? NULL : ctl_load(c, slices[i], plan->arena);
        n += loaded[n] != NULL;
    }
    wl_plan_service(plan, value, pods, count, ports_of, loaded, n);
    struct doc_value *present = ARENA_NEW(plan->arena, struct doc_value);
    struct blob *text = apiserver_peek(c->server, &wl_endpoints, object->ns, object->name);
    struct err err = {0};
    bool has = text && doc_parse_json_copy(blob_str(text), plan->arena, present, &err);
    blob_unref(text);
    wl_plan_endpoints(plan, value, pods, count, ports_of, has ? present : NULL);
}

static void endpoints_gone(void *ctx, const struct kube_reply *reply) {
    (void)ctx;
    (void)reply; // mostly there are none
}

void ctl_service_gone(const struct ctl_object *object) {
    struct api_controllers *c = object->kind->c;
    struct blob *text = apiserver_peek(c->server, &wl_endpoints, object->ns, object->name);
    if (text) {
        struct kube_request request = {
            .verb = KUBE_DELETE,
            .gvr = wl_endpoints,
            .ns = object->ns,
            .name = object->name,
            .propagation = KUBE_BACKGROUND,
            .grace_seconds = -1,
        };
        ctl_call(c, &request, endpoints_gone, c);
    }
    blob_unref(text);
}

// The certificates that pods trust: made, and put right when somebody changed them.
static void keep_root_ca(struct ctl_object *object, struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    struct doc_value wanted = wl_root_ca(plan->arena, object->name, apiserver_root_ca(c->server));
    AUTO(blob_unref)
    struct blob *blob =
        apiserver_peek(c->server, &wl_config_maps, object->name, STR("kube-root-ca.crt"));
    struct doc_value *present = ARENA_NEW(plan->arena, struct doc_value);
    struct err err = {0};
    if (!blob) {
        wl_create(plan, &wl_config_maps, object->name, wanted)->exists_is_fine = true;
    } else if (doc_parse_json_copy(blob_str(blob), plan->arena, present, &err) &&
               !wl_is_deleting(present) &&
               !str_eq(doc_get_str(present, "data", "ca.crt"),
                       doc_get_str(&wanted, "data", "ca.crt"))) {
        wl_patch(plan, &wl_config_maps, present,
                 wl_object(plan->arena, "data", *doc_get(&wanted, "data"), NULL));
    }
}

// Each namespace has its ServiceAccount "default" and those certificates; what was deleted comes back.
static void visit_namespace(struct ctl_object *object, const struct doc_value *value,
                            struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    ns_visit(object, value);
    if (object->deleting) {
        return;
    }
    struct blob *present =
        apiserver_peek(c->server, &wl_service_accounts, object->name, STR("default"));
    blob_unref(present);
    if (!present) {
        struct doc_value metadata = wl_object(plan->arena, "name", DOC_S("default"), "namespace",
                                              doc_make_str(object->name), NULL);
        wl_create(plan, &wl_service_accounts, object->name,
                  wl_object(plan->arena, "apiVersion", DOC_S("v1"), "kind", DOC_S("ServiceAccount"),
                            "metadata", metadata, NULL))
            ->exists_is_fine = true;
    }
    keep_root_ca(object, plan);
}

static void visit_workload(struct ctl_object *object, const struct doc_value *value,
                           struct wl_plan *plan) {
    switch (object->kind->role) {
    case CTL_DEPLOYMENT:
        if (!adopt(object, value, plan, CTL_REPLICA_SET, "apps/v1")) {
            visit_deployment(object, value, plan);
        }
        break;
    case CTL_REPLICA_SET:
        if (!adopt(object, value, plan, CTL_POD, "apps/v1")) {
            visit_with_pods(object, value, plan, wl_plan_replica_set);
        }
        break;
    case CTL_CONTROLLER:
        if (!adopt(object, value, plan, CTL_POD, "v1")) {
            visit_with_pods(object, value, plan, wl_plan_controller);
        }
        break;
    case CTL_STATEFUL_SET:
        if (!adopt(object, value, plan, CTL_POD, "apps/v1")) {
            visit_with_history(object, value, plan, wl_plan_stateful_set);
        }
        break;
    case CTL_DAEMON_SET:
        if (!adopt(object, value, plan, CTL_POD, "apps/v1")) {
            visit_with_history(object, value, plan, wl_plan_daemon_set);
        }
        break;
    case CTL_JOB:
        visit_job(object, value, plan);
        break;
    case CTL_POD:
        visit_pod(object, value, plan);
        break;
    case CTL_SERVICE:
        visit_service(object, value, plan);
        break;
    case CTL_INGRESS:
        wl_plan_ingress(plan, value);
        break;
    case CTL_CLAIM:
        visit_claim(object, value, plan);
        break;
    case CTL_VOLUME:
        visit_volume(object, value, plan);
        break;
    case CTL_CRON_JOB:
        visit_cron_job(object, value, plan);
        break;
    case CTL_AUTOSCALER:
        visit_autoscaler(object, value, plan);
        break;
    case CTL_BUDGET:
        visit_budget(object, value, plan);
        break;
    case CTL_NODE:
        wl_plan_node(plan, value);
        break;
    default:
        break;
    }
}

void ctl_visit(struct ctl_object *object, struct wl_plan *plan) {
    struct api_controllers *c = object->kind->c;
    enum ctl_role role = object->kind->role;
    bool collects = object->check_owners || object->foreground || object->orphan;
    if (!collects && (role == CTL_OTHER || role == CTL_ENDPOINT_SLICE || role == CTL_REVISION ||
                      role == CTL_CLASS)) {
        return;
    }
    const struct doc_value *value = ctl_load(c, object, plan->arena);
    if (!value || (collects && gc_visit(object, value, plan))) {
        return;
    }
    if (role == CTL_NAMESPACE) {
        visit_namespace(object, value, plan);
    } else if (role == CTL_CRD) {
        ns_visit(object, value);
    } else {
        visit_workload(object, value, plan);
    }
}
