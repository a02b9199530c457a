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

struct held { // a finalizer
    char *name;
    size_t count;
};

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
    VEC(size_t) remaining;    // by kind, of this round
    VEC(struct held) holders; // finalizers of what remains
    char *told;               // what the conditions say, so that they are written once
    int64_t delay;
    struct loop_timer *timer;
};

struct listing { // one list under way
    struct ctl_space *space;
    size_t kind;
};

static void look(void *ctx);

static void clear_holders(struct ctl_space *space) {
    for (size_t i = 0; i < space->holders.len; i++) {
        free(space->holders.items[i].name);
    }
    space->holders.len = 0;
}

static void space_free(struct ctl_space *space) {
    loop_timer_destroy(space->timer);
    for (size_t i = 0; i < space->texts.len; i++) {
        free(space->texts.items[i]);
    }
    clear_holders(space);
    VEC_FREE(&space->holders);
    VEC_FREE(&space->remaining);
    free(space->told);
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

// ---- What a namespace says while it waits ----
static void count_holder(struct ctl_space *space, struct str name) {
    for (size_t i = 0; i < space->holders.len; i++) {
        if (str_eq_c(name, space->holders.items[i].name)) {
            space->holders.items[i].count++;
            return;
        }
    }
    struct held held = {.name = xstrdup(name), .count = 1};
    VEC_PUSH(&space->holders, held);
}

static struct str describe_remaining(struct ctl_space *space, struct arena *arena) {
    struct str out = STR("");
    for (size_t i = 0; i < space->remaining.len; i++) {
        if (space->remaining.items[i]) {
            out = arena_printf(arena, "%.*s%s%.*s.%.*s has %zu resource instances", STR_ARG(out),
                               out.n ? ", " : "", STR_ARG(space->kinds.items[i].resource),
                               STR_ARG(space->kinds.items[i].group), space->remaining.items[i]);
        }
    }
    return arena_printf(arena, "Some resources are remaining: %.*s", STR_ARG(out));
}

static struct str describe_holders(struct ctl_space *space, struct arena *arena) {
    struct str out = STR("");
    for (size_t i = 0; i < space->holders.len; i++) {
        out = arena_printf(arena, "%.*s%s%s in %zu resource instances", STR_ARG(out),
                           out.n ? ", " : "", space->holders.items[i].name,
                           space->holders.items[i].count);
    }
    return arena_printf(arena, "Some content in the namespace has finalizers remaining: %.*s",
                        STR_ARG(out));
}

static void told(void *ctx, const struct kube_reply *reply) {
    (void)ctx;
    (void)reply; // the next round says it again when it is still so
}

static void tell_remaining(struct ctl_space *space) {
    struct api_controllers *c = space->c;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str remaining = describe_remaining(space, arena), holders = STR("");
    if (space->holders.len) {
        holders = describe_holders(space, arena);
    }
    struct str all = arena_concat(arena, remaining, holders);
    AUTO(blob_unref)
    struct blob *blob = apiserver_peek(c->server, &wl_namespaces, STR(""), str_from(space->ns));
    struct doc_value value;
    struct err err = {0};
    if ((space->told && str_eq_c(all, space->told)) || !blob ||
        !doc_parse_json(blob_str(blob), arena, &value, &err)) {
        return;
    }
    free(space->told);
    space->told = xstrdup(all);
    struct wl_plan plan;
    struct wl_conditions list;
    wl_plan_init(&plan, arena, loop_wall(c->loop));
    wl_conditions_init(&list, &plan, doc_get(&value, "status"));
    wl_conditions_set(&list, "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
                      DOC_S("All resources successfully discovered"), false, false);
    wl_conditions_set(&list, "NamespaceDeletionGroupVersionParsingFailure", "False",
                      "ParsedGroupVersions", DOC_S("All legacy kube types successfully parsed"),
                      false, false);
    wl_conditions_set(&list, "NamespaceDeletionContentFailure", "False", "ContentDeleted",
                      DOC_S("All content successfully deleted, may be waiting on finalization"),
                      false, false);
    wl_conditions_set(&list, "NamespaceContentRemaining", "True", "SomeResourcesRemain",
                      doc_make_str(remaining), false, false);
    bool held = holders.n > 0;
    wl_conditions_set(&list, "NamespaceFinalizersRemaining", held ? "True" : "False",
                      held ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
                      held ? doc_make_str(holders)
                           : DOC_S("All content-preserving finalizers finished"),
                      false, false);
    struct doc_value status = wl_object(
        arena, "status", wl_object(arena, "conditions", wl_conditions_done(&list), NULL), NULL);
    struct kube_request request = {
        .verb = KUBE_PATCH,
        .patch = KUBE_PATCH_MERGE,
        .gvr = wl_namespaces,
        .name = str_from(space->ns),
        .subresource = STR("status"),
        .body = doc_to_json(arena, &status),
        .grace_seconds = -1,
        .field_manager = STR("kube-controller-manager"),
    };
    ctl_call(c, &request, told, NULL);
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
    if (space->ns && space->left && space->delay >= 4 * LOOK_AGAIN_FIRST) {
        tell_remaining(space); // it takes longer than it usually does
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
            space->remaining.items[list->kind]++;
            for (DOC_EACH_ITEM(doc_get(item, "metadata", "finalizers"), finalizer)) {
                count_holder(space, doc_str(finalizer));
            }
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
    clear_holders(space);
    space->remaining.len = 0;
    for (size_t i = 0; i < space->kinds.len; i++) {
        VEC_PUSH(&space->remaining, 0);
    }
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
