// SPDX-License-Identifier: Apache-2.0
// Kinds to resources and words to kinds. A reading of discovery asks for /api and /apis at once; what comes back decides
// whether group versions must be asked for one by one. A group that fails keeps what was known of it, with a warning:
// that one extension's server is down must not make its kinds, or everybody's, vanish.
#include "base/log.h"
#include "kube/internal.h"

#define MODULE "kube"
#define ACCEPT                                                                   \
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"      \
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," \
    "application/json"

enum { LEGACY_AT_ONCE = 8 };

struct waiter {
    void (*done)(void *ctx, const struct err *error);
    void *ctx;
};

struct record { // in a set, by group, kind and version
    uint32_t hash;
    struct str version; // empty: the preferred one
    const struct kube_resource *resource;
};

struct reading {
    struct kube_mapper *mapper; // NULL: the mapper is gone
    struct kube_discovery discovery;
    struct err error; // the first failure of /api or /apis
    size_t next_legacy;
    unsigned pending;
    bool failed;
};

struct kube_mapper {
    struct kube_client *client;
    struct arena *arena; // of what is published below
    struct kube_resource *resources;
    size_t count;
    struct str *warnings;
    size_t warning_count;
    struct kube_set by_kind;
    struct record *records;
    VEC(struct waiter) waiters;
    struct reading *reading;
    bool ready;
};

struct legacy_call {
    struct reading *reading;
    struct kube_discovery_group group;
};

// ---- Publishing ----

static uint32_t kind_hash(struct str group, struct str kind, struct str version) {
    return kube_hash_pair(group, kind) * 31U + kube_hash_pair(version, (struct str){NULL, 0});
}

static bool kind_eq(const void *item, const void *key) {
    const struct record *record = item;
    const struct kube_gvk *gvk = key;
    return str_eq(record->resource->kind, gvk->kind) &&
           str_eq(record->resource->gvr.group, gvk->group) && str_eq(record->version, gvk->version);
}

static void index_kind(struct kube_mapper *mapper, struct record *record,
                       const struct kube_resource *resource, struct str version) {
    struct kube_gvk key = {resource->gvr.group, version, resource->kind};
    uint32_t hash = kind_hash(key.group, key.kind, key.version);
    if (!kube_set_find(&mapper->by_kind, hash, kind_eq, &key)) { // the first one wins
        *record = (struct record){hash, version, resource};
        kube_set_add(&mapper->by_kind, record);
    }
}

static void build_index(struct kube_mapper *mapper) {
    kube_set_fini(&mapper->by_kind);
    mapper->records = ARENA_ARRAY(mapper->arena, mapper->count * 3 + 1, struct record);
    struct record *next = mapper->records;
    for (size_t i = 0; i < mapper->count; i++) {
        const struct kube_resource *resource = &mapper->resources[i];
        index_kind(mapper, next++, resource, resource->gvr.version);
        if (resource->preferred) {
            index_kind(mapper, next++, resource, (struct str){NULL, 0});
        }
    }
    // A kind that the preferred version lacks: the first version that has it.
    for (size_t i = 0; i < mapper->count; i++) {
        index_kind(mapper, next++, &mapper->resources[i], (struct str){NULL, 0});
    }
}

static bool is_of(const struct kube_resource *resource, const struct kube_discovery_group *group) {
    return resource->gvr.group.p == group->group.p && resource->gvr.version.p == group->version.p;
}

// In the server's order of preference, the core group first, in whatever order the answers came.
static void order_resources(struct kube_mapper *mapper, const struct kube_discovery *d) {
    bool legacy = false; // of the named groups
    for (size_t i = 0; i < d->resources.len; i++) {
        if (d->resources.items[i].gvr.group.n == 0) {
            mapper->resources[mapper->count++] = d->resources.items[i];
        }
    }
    for (size_t g = 0; g < d->legacy.len; g++) {
        const struct kube_discovery_group *group = &d->legacy.items[g];
        legacy = legacy || group->group.n > 0;
        for (size_t i = 0; group->group.n && i < d->resources.len; i++) {
            if (is_of(&d->resources.items[i], group)) {
                mapper->resources[mapper->count++] = d->resources.items[i];
            }
        }
    }
    for (size_t i = 0; !legacy && i < d->resources.len; i++) {
        if (d->resources.items[i].gvr.group.n > 0) {
            mapper->resources[mapper->count++] = d->resources.items[i];
        }
    }
}

static void publish(struct kube_mapper *mapper, struct kube_discovery *d) {
    struct arena *old = mapper->arena;
    mapper->arena = d->arena;
    mapper->count = 0;
    mapper->resources = ARENA_ARRAY(d->arena, d->resources.len + 1, struct kube_resource);
    order_resources(mapper, d);
    mapper->warning_count = d->warnings.len;
    mapper->warnings = ARENA_ARRAY(d->arena, d->warnings.len + 1, struct str);
    for (size_t i = 0; i < d->warnings.len; i++) {
        mapper->warnings[i] = d->warnings.items[i];
        char *text = arena_cstr(d->arena, d->warnings.items[i]);
        LOG(LOG_WARN, MODULE, "discovery", "warning", text);
    }
    build_index(mapper);
    mapper->ready = true;
    arena_destroy(old);
}

// ---- Reading ----

static void reading_destroy(struct reading *reading) {
    kube_discovery_fini(&reading->discovery);
    free(reading);
}

static void finish(struct reading *reading) {
    struct kube_mapper *mapper = reading->mapper;
    if (!mapper) {
        arena_destroy(reading->discovery.arena);
        reading_destroy(reading);
        return;
    }
    mapper->reading = NULL;
    struct err err = reading->error;
    bool failed = reading->failed;
    if (failed) {
        arena_destroy(reading->discovery.arena);
    } else {
        publish(mapper, &reading->discovery);
    }
    reading_destroy(reading);
    // A waiter may ask again, or destroy the mapper: work on what was there.
    size_t count = mapper->waiters.len;
    struct waiter *waiters = TAKE(mapper->waiters.items);
    mapper->waiters.len = mapper->waiters.cap = 0;
    for (size_t i = 0; i < count; i++) {
        waiters[i].done(waiters[i].ctx, failed ? &err : NULL);
    }
    free(waiters);
}

// Copies what was known of a group version whose server does not answer.
static void keep_old(struct reading *reading, const struct kube_discovery_group *group) {
    const struct kube_mapper *mapper = reading->mapper;
    struct kube_discovery *d = &reading->discovery;
    for (size_t i = 0; mapper && i < mapper->count; i++) {
        struct kube_resource resource = mapper->resources[i];
        if (!str_eq(resource.gvr.group, group->group) ||
            !str_eq(resource.gvr.version, group->version)) {
            continue;
        }
        resource.gvr.group = group->group;
        resource.gvr.version = group->version;
        resource.gvr.resource = arena_dup(d->arena, resource.gvr.resource);
        resource.kind = arena_dup(d->arena, resource.kind);
        resource.singular = arena_dup(d->arena, resource.singular);
        struct str *names = ARENA_ARRAY(d->arena, resource.short_name_count + 1, struct str);
        for (size_t j = 0; j < resource.short_name_count; j++) {
            names[j] = arena_dup(d->arena, resource.short_names[j]);
        }
        resource.short_names = names;
        VEC_PUSH(&d->resources, resource);
    }
}

static void next_step(struct reading *reading);

static void on_legacy(void *ctx, const struct kube_reply *reply) {
    struct legacy_call *call = ctx;
    struct reading *reading = call->reading;
    struct err err = {0};
    bool ok = !reply->error;
    if (reply->error) {
        err = *reply->error;
    } else if (reading->mapper) {
        ok = kube_discovery_add_legacy(&reading->discovery, &call->group, reply->body, &err);
    }
    if (!ok && reading->mapper) {
        struct str text = arena_printf(reading->discovery.arena,
                                       "%.*s%s%.*s cannot be read and is left as it was: %s",
                                       STR_ARG(call->group.group), call->group.group.n ? "/" : "",
                                       STR_ARG(call->group.version), err.message);
        VEC_PUSH(&reading->discovery.warnings, text);
        keep_old(reading, &call->group);
    }
    free(call);
    reading->pending--;
    next_step(reading);
}

static void next_step(struct reading *reading) {
    struct kube_discovery *d = &reading->discovery;
    bool go_on = reading->mapper && !reading->failed;
    while (go_on && reading->next_legacy < d->legacy.len && reading->pending < LEGACY_AT_ONCE) {
        struct legacy_call *call = NEW(struct legacy_call);
        call->reading = reading;
        call->group = d->legacy.items[reading->next_legacy++];
        struct str path =
            call->group.group.n
                ? arena_printf(d->arena, "/apis/%.*s/%.*s", STR_ARG(call->group.group),
                               STR_ARG(call->group.version))
                : arena_printf(d->arena, "/api/%.*s", STR_ARG(call->group.version));
        reading->pending++;
        struct kube_client *client = reading->mapper->client;
        client->ops->get_raw(client, path, STR("application/json"), on_legacy, call);
    }
    if (reading->pending == 0) {
        finish(reading);
    }
}

static void on_root(void *ctx, const struct kube_reply *reply) {
    struct reading *reading = ctx;
    struct err err = {0};
    reading->pending--;
    if (reading->mapper && !reading->failed) {
        bool ok = !reply->error;
        if (reply->error) {
            err = *reply->error;
        } else {
            ok = kube_discovery_add(&reading->discovery, reply->body, &err);
        }
        if (!ok) {
            err_wrap(&err, "cannot read what the cluster serves");
            reading->error = err;
            reading->failed = true;
        }
    }
    if (reading->pending == 0) {
        next_step(reading);
    }
}

void kube_mapper_refresh(struct kube_mapper *mapper,
                         void (*done)(void *ctx, const struct err *error), void *ctx) {
    if (done) {
        struct waiter waiter = {done, ctx};
        VEC_PUSH(&mapper->waiters, waiter);
    }
    if (mapper->reading) {
        return;
    }
    struct reading *reading = NEW(struct reading);
    reading->mapper = mapper;
    reading->discovery.arena = arena_create();
    reading->pending = 2;
    mapper->reading = reading;
    struct kube_client *client = mapper->client;
    client->ops->get_raw(client, STR("/api"), STR(ACCEPT), on_root, reading);
    client->ops->get_raw(client, STR("/apis"), STR(ACCEPT), on_root, reading);
}

// ---- Looking things up ----

const struct kube_resource *kube_mapper_find_kind(const struct kube_mapper *mapper,
                                                  struct kube_gvk gvk) {
    const struct record *record =
        kube_set_find(&mapper->by_kind, kind_hash(gvk.group, gvk.kind, gvk.version), kind_eq, &gvk);
    return record ? record->resource : NULL;
}

// How well a word names a resource: 0 not at all, then short name, kind or singular, plural.
static int word_rank(const struct kube_resource *resource, struct str word) {
    if (str_eq_nocase(word, resource->gvr.resource)) {
        return 3;
    }
    if (str_eq_nocase(word, resource->singular) || str_eq_nocase(word, resource->kind)) {
        return 2;
    }
    for (size_t i = 0; i < resource->short_name_count; i++) {
        if (str_eq_nocase(word, resource->short_names[i])) {
            return 1;
        }
    }
    return 0;
}

// `group` or `version` with a NULL pointer: any. Groups stand in the server's order of preference, the core group first.
static const struct kube_resource *find_name(const struct kube_mapper *mapper, struct str word,
                                             struct str group, struct str version) {
    const struct kube_resource *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < mapper->count; i++) {
        const struct kube_resource *resource = &mapper->resources[i];
        if ((group.p && !str_eq(group, resource->gvr.group)) ||
            (version.p && !str_eq(version, resource->gvr.version))) {
            continue;
        }
        int rank = word_rank(resource, word) * 2;
        rank += rank && resource->preferred ? 1 : 0;
        if (rank > best_rank) {
            best = resource;
            best_rank = rank;
        }
    }
    return best;
}

const struct kube_resource *kube_mapper_find_word(const struct kube_mapper *mapper,
                                                  struct str word) {
    const struct str any = {NULL, 0};
    struct str name, rest;
    if (word.n == 0) {
        return NULL;
    }
    if (!str_cut(word, '.', &name, &rest)) {
        return find_name(mapper, word, any, any);
    }
    // "deployments.v1.apps" before "deployments.apps", as a group may look like a version; "pods.v1." is the core group.
    struct str version, group;
    bool both = str_cut(rest, '.', &version, &group);
    if (both || str_starts(rest, STR("v"))) {
        struct str of_group = both && group.n ? group : STR("");
        const struct kube_resource *found = find_name(mapper, name, of_group, version);
        if (found) {
            return found;
        }
    }
    return find_name(mapper, name, rest, any);
}

bool kube_mapper_next(const struct kube_mapper *mapper, size_t *iter,
                      const struct kube_resource **resource) {
    if (*iter >= mapper->count) {
        return false;
    }
    *resource = &mapper->resources[(*iter)++];
    return true;
}

bool kube_mapper_next_warning(const struct kube_mapper *mapper, size_t *iter, struct str *warning) {
    if (*iter >= mapper->warning_count) {
        return false;
    }
    *warning = mapper->warnings[(*iter)++];
    return true;
}

bool kube_mapper_is_ready(const struct kube_mapper *mapper) {
    return mapper->ready;
}

// ---- Life ----

struct kube_mapper *kube_mapper_create(struct kube_client *client) {
    struct kube_mapper *mapper = NEW(struct kube_mapper);
    mapper->client = client;
    mapper->arena = arena_create();
    return mapper;
}

void kube_mapper_destroy(struct kube_mapper *mapper) {
    if (!mapper) {
        return;
    }
    if (mapper->reading) {
        mapper->reading->mapper = NULL; // its answers free it
    }
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "discovery was cancelled");
    for (size_t i = 0; i < mapper->waiters.len; i++) {
        mapper->waiters.items[i].done(mapper->waiters.items[i].ctx, &err); // it owns its ctx
    }
    kube_set_fini(&mapper->by_kind);
    VEC_FREE(&mapper->waiters);
    arena_destroy(mapper->arena);
    free(mapper);
}
