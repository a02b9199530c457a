// SPDX-License-Identifier: Apache-2.0
// The controllers of the simulated cluster as a whole: which resources are followed (all that can hold an owner reference,
// custom ones as they come and go), their watches, and the life of it all. They are clients of the server's public calls
// like any other, as kube-controller-manager and a kubelet would be; nothing here looks into the store.
#include "apiserver/controllers.h"

#include "base/log.h"

#define RETRY_FIRST (20 * NS_PER_MS)
#define RETRY_LAST (5 * NS_PER_SECOND)

static const struct {
    const struct kube_gvr *gvr;
    enum ctl_role role;
} roles[] = {
    {&wl_deployments, CTL_DEPLOYMENT},
    {&wl_replica_sets, CTL_REPLICA_SET},
    {&wl_controllers, CTL_CONTROLLER},
    {&wl_revisions, CTL_REVISION},
    {&wl_stateful_sets, CTL_STATEFUL_SET},
    {&wl_daemon_sets, CTL_DAEMON_SET},
    {&wl_jobs, CTL_JOB},
    {&wl_pods, CTL_POD},
    {&wl_services, CTL_SERVICE},
    {&wl_endpoint_slices, CTL_ENDPOINT_SLICE},
    {&wl_ingresses, CTL_INGRESS},
    {&wl_claims, CTL_CLAIM},
    {&wl_cron_jobs, CTL_CRON_JOB},
    {&wl_autoscalers, CTL_AUTOSCALER},
    {&wl_budgets, CTL_BUDGET},
    {&wl_volumes, CTL_VOLUME},
    {&wl_storage_classes, CTL_CLASS},
    {&wl_nodes, CTL_NODE},
    {&wl_namespaces, CTL_NAMESPACE},
    {&wl_crds, CTL_CRD},
};

static enum ctl_role role_of(struct str group, struct str plural) {
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (str_eq(roles[i].gvr->group, group) && str_eq(roles[i].gvr->resource, plural)) {
            return roles[i].role;
        }
    }
    return CTL_OTHER;
}

// Many, short-lived, and nobody's owner or property: not worth a look at each.
static bool is_noise(const struct api_kind *kind) {
    return str_eq(kind->plural, STR("events")) || str_eq(kind->plural, STR("leases"));
}

// ---- Watches ----
struct ctl_stream {
    struct api_controllers *c; // NULL: the controllers are gone
    struct ctl_stream *next, **back;
    struct ctl_kind *kind; // NULL: no longer followed
};

static void kind_watch(void *ctx);

static void kind_synced(struct ctl_kind *kind) {
    struct api_controllers *c = kind->c;
    if (kind->resync) {
        // What the new list did not have has been deleted meanwhile.
        VEC(struct ctl_object *) gone = {0};
        struct str key;
        void *value;
        for (size_t i = 0; map_next(c->objects, &i, &key, &value);) {
            struct ctl_object *object = value;
            if (object->kind == kind && object->epoch != kind->epoch) {
                VEC_PUSH(&gone, object);
            }
        }
        for (size_t i = 0; i < gone.len; i++) {
            ctl_forget(gone.items[i]);
        }
        VEC_FREE(&gone);
        kind->resync = false;
    }
    kind->retry_delay = 0;
    if (!kind->synced) {
        kind->synced = true;
        c->unsynced--;
        if (ctl_is_synced(c)) {
            loop_timer_start(c->turn, 0);
        }
    }
}

static void on_event(void *ctx, enum kube_event event, struct str text, struct blob *blob) {
    struct ctl_stream *stream = ctx;
    if (!stream->c || !stream->kind || event == KUBE_ERROR) {
        return;
    }
    if (event == KUBE_BOOKMARK) {
        if (!stream->kind->synced) {
            kind_synced(
                stream->kind); // the mark at the end of the first list comes before any other
        }
        return;
    }
    struct arena *scratch = stream->c->scratch;
    arena_reset(scratch);
    struct doc_value value;
    struct err err = {0};
    if (!doc_parse_json(text, scratch, &value, &err)) {
        LOG(LOG_ERROR, "workloads", "an object of a watch does not parse", "error", err.message);
        return;
    }
    ctl_take(stream->kind, event, &value);
}

static void on_end(void *ctx, const struct err *error) {
    struct ctl_stream *stream = ctx;
    if (stream->c) {
        *stream->back = stream->next;
        if (stream->next) {
            stream->next->back = stream->back;
        }
        struct ctl_kind *kind = stream->kind;
        if (kind) {
            kind->stream = NULL;
            if (kind->synced) {
                kind->synced = false;
                kind->c->unsynced++;
            }
            int64_t delay = kind->retry_delay ? kind->retry_delay * 2 : RETRY_FIRST;
            kind->retry_delay = delay > RETRY_LAST ? RETRY_LAST : delay;
            loop_timer_start(kind->retry, kind->retry_delay);
            loop_timer_start(stream->c->rescan, 0); // perhaps the kind is gone
        }
    }
    free(stream);
}

static void kind_watch(void *ctx) {
    struct ctl_kind *kind = ctx;
    struct api_controllers *c = kind->c;
    struct ctl_stream *stream = NEW(struct ctl_stream);
    stream->c = c;
    stream->kind = kind;
    stream->next = c->streams;
    stream->back = &c->streams;
    if (c->streams) {
        c->streams->back = &stream->next;
    }
    c->streams = stream;
    kind->stream = stream;
    kind->resync = kind->epoch > 0;
    kind->epoch++;
    struct kube_watch_request request = {.gvr = kind->gvr, .send_initial_events = true};
    struct kube_watch_handler handler = {.on_event = on_event, .on_end = on_end, .ctx = stream};
    apiserver_watch(c->server, &c->user, &request, &handler);
}

// ---- Which resources are followed ----
static struct str kind_key(struct str group, struct str plural, char key[1024]) {
    size_t n = 0;
    if (group.n + plural.n + 2 > 1024) {
        return (struct str){NULL, 0};
    }
    memcpy(key, group.p ? group.p : "", group.n);
    n = group.n;
    key[n++] = '/';
    memcpy(key + n, plural.p, plural.n);
    return str_make(key, n + plural.n);
}

struct ctl_kind *ctl_kind_find(const struct api_controllers *c, struct str group,
                               struct str plural) {
    char key[1024];
    struct str k = kind_key(group, plural, key);
    return k.n ? map_find(c->kinds, k) : NULL;
}

static void kind_add(struct api_controllers *c, const struct api_kind *from) {
    char key[1024];
    struct str k = kind_key(from->group, from->plural, key);
    if (!k.n) {
        return;
    }
    struct ctl_kind *kind = NEW(struct ctl_kind);
    kind->c = c;
    AUTO_BUF struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, "%.*s%.*s%.*s%.*s", STR_ARG(from->group), STR_ARG(from->version),
               STR_ARG(from->plural), STR_ARG(from->kind));
    size_t group = from->group.n, version = from->version.n, plural = from->plural.n;
    kind->text = buf_take(&text);
    kind->gvr.group = str_make(kind->text, group);
    kind->gvr.version = str_make(kind->text + group, version);
    kind->gvr.resource = str_make(kind->text + group + version, plural);
    kind->kind = str_make(kind->text + group + version + plural, from->kind.n);
    kind->namespaced = from->namespaced;
    kind->role = role_of(from->group, from->plural);
    kind->mark = c->mark;
    kind->retry = loop_timer_create(c->loop, kind_watch, kind);
    map_put(c->kinds, k, kind);
    c->unsynced++;
    kind_watch(kind);
}

static void kind_free(struct ctl_kind *kind) {
    loop_timer_destroy(kind->retry);
    free(kind->text);
    free(kind);
}

static void kind_remove(struct api_controllers *c, struct ctl_kind *kind) {
    char key[1024];
    kind->resync = true;
    kind->epoch++; // nothing has this epoch: everything is forgotten
    bool was_synced = kind->synced;
    kind->synced = true;
    kind_synced(kind);
    c->unsynced -= was_synced ? 0 : 1;
    map_remove(c->kinds, kind_key(kind->gvr.group, kind->gvr.resource, key));
    if (kind->stream) {
        kind->stream->kind = NULL;
    }
    loop_timer_stop(kind->retry);
    VEC_PUSH(&c->retired, kind); // objects that still wait for answers name it
    if (ctl_is_synced(c)) {
        loop_timer_start(c->turn, 0);
    }
}

static bool is_followed(const struct api_kind *kind) {
    return !kind->no_store && !kind->read_only && !is_noise(kind) &&
           str_eq(kind->version, kind->storage_version);
}

static void rescan(void *ctx) {
    struct api_controllers *c = ctx;
    const struct api_kind *from;
    c->mark++;
    for (size_t i = 0; api_kinds_next(apiserver_kinds(c->server), &i, &from);) {
        if (!is_followed(from)) {
            continue;
        }
        struct ctl_kind *kind = ctl_kind_find(c, from->group, from->plural);
        if (kind && str_eq(kind->gvr.version, from->version)) {
            kind->mark = c->mark;
        } else if (!kind) {
            kind_add(c, from);
        }
    }
    VEC(struct ctl_kind *) gone = {0};
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->kinds, &i, &key, &value);) {
        struct ctl_kind *kind = value;
        if (kind->mark != c->mark) {
            VEC_PUSH(&gone, kind);
        }
    }
    for (size_t i = 0; i < gone.len; i++) {
        kind_remove(c, gone.items[i]);
    }
    if (gone.len) {
        loop_timer_start(c->rescan, 0); // a new storage version is followed again
    }
    VEC_FREE(&gone);
}

// ---- Nodes ----
static void node_made(void *ctx, const struct kube_reply *reply) {
    struct api_controllers *c = ctx;
    if (reply->error && reply->error->code != ERR_EXISTS && reply->error->code != ERR_CANCELLED) {
        LOG(LOG_WARN, "workloads", "a simulated node could not be made", "error",
            reply->error->message);
    }
    c->nodes_changed = true;
}

static void class_made(void *ctx, const struct kube_reply *reply) {
    (void)ctx;
    (void)reply; // there already, or made anew at the next start
}

// The status follows by the visit of the new Node (reconcile.c).
static void make_nodes(struct api_controllers *c) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value class = wl_default_class(arena);
    struct blob *has = apiserver_peek(c->server, &wl_storage_classes, STR(""), wl_name(&class));
    blob_unref(has);
    if (c->nodes && !has) {
        struct kube_request request = {
            .verb = KUBE_CREATE,
            .gvr = wl_storage_classes,
            .body = doc_to_json(arena, &class),
            .grace_seconds = -1,
        };
        ctl_call(c, &request, class_made, c);
    }
    for (size_t i = 0; i < c->nodes; i++) {
        struct doc_value node = wl_node_object(arena, i);
        struct blob *present = apiserver_peek(c->server, &wl_nodes, STR(""), wl_name(&node));
        blob_unref(present);
        if (present) {
            continue;
        }
        struct kube_request request = {
            .verb = KUBE_CREATE,
            .gvr = wl_nodes,
            .body = doc_to_json(arena, &node),
            .grace_seconds = -1,
        };
        ctl_call(c, &request, node_made, c);
    }
}

// ---- Life ----
struct api_controllers *api_controllers_create(struct apiserver *server,
                                               const struct apiserver_options *options) {
    if (options->no_workloads) {
        return NULL; // the API alone, as kube-apiserver without a controller manager
    }
    struct api_controllers *c = NEW(struct api_controllers);
    c->server = server;
    c->loop = options->loop;
    c->nodes = options->nodes;
    c->start_delay_ns = options->pod_start_delay_ns;
    c->groups[0] = STR("system:masters");
    c->groups[1] = STR("system:authenticated");
    c->user = (struct api_user){
        .name = STR("system:kube-controller-manager"), .groups = c->groups, .group_count = 2};
    c->kinds = map_create();
    c->objects = map_create();
    c->uids = map_create();
    c->spaces = map_create();
    c->usage = map_create();
    c->zones = map_create();
    c->scratch = arena_create();
    c->work = arena_create();
    c->nodes_arena = arena_create();
    c->nodes_changed = true;
    c->next_ip = UINT32_C(244) << 16 | 1;
    c->turn = loop_timer_create(c->loop, ctl_turn, c);
    c->alarm = loop_timer_create(c->loop, ctl_alarm, c);
    c->rescan = loop_timer_create(c->loop, rescan, c);
    ctl_events_create(c, options->no_events);
    rescan(c);
    ctl_expiry_create(c);
    make_nodes(c);
    return c;
}

void api_controllers_destroy(struct api_controllers *c) {
    if (!c) {
        return;
    }
    for (struct ctl_stream *stream = c->streams; stream; stream = stream->next) {
        stream->c = NULL; // freed at its end
    }
    ns_destroy(c);
    ctl_expiry_destroy(c);
    ctl_queue_destroy(c);
    ctl_events_destroy(c);
    ctl_index_destroy(c);
    ctl_zones_destroy(c);
    struct str key;
    void *value;
    for (size_t i = 0; map_next(c->kinds, &i, &key, &value);) {
        kind_free(value);
    }
    for (size_t i = 0; i < c->retired.len; i++) {
        kind_free(c->retired.items[i]);
    }
    VEC_FREE(&c->retired);
    map_destroy(c->kinds);
    loop_timer_destroy(c->turn);
    loop_timer_destroy(c->alarm);
    loop_timer_destroy(c->rescan);
    arena_destroy(c->scratch);
    arena_destroy(c->work);
    arena_destroy(c->nodes_arena);
    free(c);
}
