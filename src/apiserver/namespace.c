// SPDX-License-Identifier: Apache-2.0
// Emptying what goes away as a whole: a namespace that terminates, and the instances of a CustomResourceDefinition that
// was deleted. Both list, delete what the lists show, and look again until nothing is left; then the finalizer that
// holds the namespace or the definition is removed. All progress is in the objects, so a restart begins a new round.
#include "apiserver/controllers.h"

#include "base/limits.h"
#include "base/log.h"

#define CRD_CLEANUP "customresourcecleanup.apiextensions.k8s.io"
#define LOOK_AGAIN_SOON (20 * NS_PER_MS)
#define LOOK_AGAIN_FIRST (100 * NS_PER_MS)
#define LOOK_AGAIN_LAST (5 * NS_PER_SECOND)

struct ctl_space { // what is being emptied
    struct api_controllers *c;
    struct ctl_space *next;
    char *ns;  // of a namespace
    char *crd; // name of a definition; one of the two
    char *uid; // of either
    VEC(struct kube_gvr) kinds;
    VEC(char *) texts; // of `kinds`
    size_t outstanding, left;
    bool failed;
    int64_t delay;
    struct loop_timer *timer;
};

struct listing { // one list under way
    struct ctl_space *space;
    size_t kind;
};

static void look(void *ctx);

static void space_free(struct ctl_space *space) {
    loop_timer_destroy(space->timer);
    for (size_t i = 0; i < space->texts.len; i++) {
        free(space->texts.items[i]);
    }
    VEC_FREE(&space->texts);
    VEC_FREE(&space->kinds);
    free(space->ns);
    free(space->crd);
    free(space->uid);
    free(space);
}

static void space_remove(struct ctl_space *space) {
    struct ctl_space **at = &space->c->terminating;
    while (*at != space) {
        at = &(*at)->next;
    }
    *at = space->next;
    space_free(space);
}

static void add_kind(struct ctl_space *space, const struct api_kind *kind) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, "%.*s%.*s%.*s", STR_ARG(kind->group), STR_ARG(kind->version),
               STR_ARG(kind->plural));
    char *owned = buf_take(&text);
    VEC_PUSH(&space->texts, owned);
    struct kube_gvr gvr = {
        .group = str_make(owned, kind->group.n),
        .version = str_make(owned + kind->group.n, kind->version.n),
        .resource = str_make(owned + kind->group.n + kind->version.n, kind->plural.n),
    };
    VEC_PUSH(&space->kinds, gvr);
}

static void collect_kinds(struct ctl_space *space) {
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(apiserver_kinds(space->c->server), &i, &kind);) {
        if (kind->no_store || kind->read_only || !str_eq(kind->version, kind->storage_version)) {
            continue;
        }
        if (space->crd) {
            char name[2 * LIMIT_NAME + 2];
            if (!kind->custom || kind->plural.n + kind->group.n + 1 > sizeof(name)) {
                continue;
            }
            memcpy(name, kind->plural.p, kind->plural.n);
            name[kind->plural.n] = '.';
            memcpy(name + kind->plural.n + 1, kind->group.p, kind->group.n);
            if (str_eq_c(str_make(name, kind->plural.n + kind->group.n + 1), space->crd)) {
                add_kind(space, kind);
            }
        } else if (kind->namespaced && str_eq(kind->group, kind->storage_group)) {
            add_kind(space, kind);
        }
    }
}

// ---- The end ----
static void finished(void *ctx, const struct kube_reply *reply) {
    struct ctl_space *space = ctx;
    space->outstanding--;
    if (reply->error && reply->error->code != ERR_NOT_FOUND) {
        loop_timer_start(space->timer, LOOK_AGAIN_FIRST); // a conflict, most likely
        return;
    }
    space_remove(space);
}

static void remove_finalizer(struct ctl_space *space) {
    struct api_controllers *c = space->c;
    struct str name = str_from(space->ns ? space->ns : space->crd);
    const struct kube_gvr *gvr = space->ns ? &wl_namespaces : &wl_crds;
    AUTO(blob_unref) struct blob *blob = apiserver_peek(c->server, gvr, STR(""), name);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value value;
    struct err err = {0};
    if (!blob || !doc_parse_json(blob_str(blob), arena, &value, &err) ||
        !str_eq_c(wl_uid(&value), space->uid)) {
        space_remove(space); // somebody else was faster
        return;
    }
    const char *ours = space->ns ? "kubernetes" : CRD_CLEANUP;
    const struct doc_value *present = space->ns ? doc_get(&value, "spec", "finalizers")
                                                : doc_get(&value, "metadata", "finalizers");
    struct doc_array kept = doc_array_start(arena);
    for (DOC_EACH_ITEM(present, finalizer)) {
        if (!str_eq_c(doc_str(finalizer), ours)) {
            doc_array_add(&kept, *finalizer);
        }
    }
    struct doc_value changed =
        space->ns ? doc_with(arena, &value, doc_array_done(&kept), "spec", "finalizers")
                  : doc_with(arena, &value, doc_array_done(&kept), "metadata", "finalizers");
    struct kube_request request = {
        .verb = KUBE_UPDATE,
        .gvr = *gvr,
        .name = name,
        .subresource = space->ns ? STR("finalize") : STR(""),
        .body = doc_to_json(arena, &changed),
        .grace_seconds = -1,
    };
    space->outstanding++;
    ctl_call(c, &request, finished, space);
}

// ---- Rounds ----
static void round_over(struct ctl_space *space) {
    if (space->outstanding) {
        return;
    }
    if (space->left == 0 && !space->failed) {
        remove_finalizer(space);
        return;
    }
    space->delay = space->delay ? space->delay * 2 : LOOK_AGAIN_FIRST;
    space->delay = space->delay > LOOK_AGAIN_LAST ? LOOK_AGAIN_LAST : space->delay;
    loop_timer_start(space->timer, space->delay);
}

static void deleted(void *ctx, const struct kube_reply *reply) {
    struct ctl_space *space = ctx;
    space->outstanding--;
    if (!reply->error) {
        space->delay = 0; // there is progress
    }
    round_over(space);
}

static void delete_item(struct ctl_space *space, const struct kube_gvr *gvr,
                        const struct doc_value *item) {
    struct kube_request request = {
        .verb = KUBE_DELETE,
        .gvr = *gvr,
        .ns = wl_ns(item),
        .name = wl_name(item),
        .precondition_uid = wl_uid(item),
        .propagation = KUBE_BACKGROUND,
        .grace_seconds = -1,
    };
    space->outstanding++;
    ctl_call(space->c, &request, deleted, space);
}

static void listed(void *ctx, const struct kube_reply *reply) {
    struct listing *list = ctx;
    struct ctl_space *space = list->space;
    space->outstanding--;
    if (reply->error) {
        space->failed = space->failed || reply->error->code != ERR_NOT_FOUND;
    } else {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value value;
        struct err err = {0};
        if (!doc_parse_json(reply->body, arena, &value, &err)) {
            space->failed = true;
            LOG(LOG_ERROR, "workloads", "a list does not parse", "error", err.message);
        }
        for (DOC_EACH_ITEM(doc_get(&value, "items"), item)) {
            space->left++;
            if (!wl_is_deleting(item)) {
                delete_item(space, &space->kinds.items[list->kind], item);
            }
        }
    }
    round_over(space);
}

static void look(void *ctx) {
    struct ctl_space *space = ctx;
    if (space->outstanding) {
        return;
    }
    space->left = 0;
    space->failed = false;
    space->outstanding = 1; // holds the round open while lists are started
    for (size_t i = 0; i < space->kinds.len; i++) {
        struct listing *list = NEW(struct listing);
        *list = (struct listing){.space = space, .kind = i};
        struct kube_request request = {
            .verb = KUBE_LIST,
            .gvr = space->kinds.items[i],
            .ns = str_from(space->ns),
            .limit = LIMIT_LIST_PAGE,
            .grace_seconds = -1,
        };
        space->outstanding++;
        ctl_call_owned(space->c, &request, listed, list);
    }
    space->outstanding--;
    round_over(space);
}

static struct ctl_space *find_space(struct api_controllers *c, struct str uid) {
    for (struct ctl_space *space = c->terminating; space; space = space->next) {
        if (str_eq_c(uid, space->uid)) {
            return space;
        }
    }
    return NULL;
}

static bool is_held(const struct doc_value *finalizers, const char *name) {
    for (DOC_EACH_ITEM(finalizers, finalizer)) {
        if (str_eq_c(doc_str(finalizer), name)) {
            return true;
        }
    }
    return false;
}

void ns_visit(struct ctl_object *object, const struct doc_value *value) {
    struct api_controllers *c = object->kind->c;
    bool is_crd = object->kind->role == CTL_CRD;
    bool held = is_crd ? is_held(doc_get(value, "metadata", "finalizers"), CRD_CLEANUP)
                       : is_held(doc_get(value, "spec", "finalizers"), "kubernetes");
    if (!object->deleting || !held || find_space(c, object->uid)) {
        return;
    }
    struct ctl_space *space = NEW(struct ctl_space);
    space->c = c;
    space->uid = xstrdup(object->uid);
    *(is_crd ? &space->crd : &space->ns) = xstrdup(object->name);
    space->timer = loop_timer_create(c->loop, look, space);
    space->next = c->terminating;
    c->terminating = space;
    collect_kinds(space);
    loop_timer_start(space->timer, 0);
}

void ns_forget(struct ctl_object *object) {
    struct ctl_space *space = find_space(object->kind->c, object->uid);
    if (space && !space->outstanding) {
        space_remove(space);
    }
}

void ns_object_gone(struct api_controllers *c, struct str ns) {
    for (struct ctl_space *space = c->terminating; space; space = space->next) {
        if (space->ns && !space->outstanding && str_eq_c(ns, space->ns)) {
            space->delay = 0;
            loop_timer_start(space->timer, LOOK_AGAIN_SOON);
        }
    }
}

void ns_destroy(struct api_controllers *c) {
    while (c->terminating) {
        space_remove(c->terminating);
    }
}
