// SPDX-License-Identifier: Apache-2.0
// ResourceQuota: a write that would use too much is refused; what it uses is added to the quota's status in the same
// commit. What becomes free is found by counting the namespace anew, soon after the change that freed it.
#include "apiserver/chain.h"

#include "base/log.h"
#include "base/timefmt.h"

#define RECOUNT_DELAY (50 * NS_PER_SECOND / 1000)

// ---- The quotas of a namespace ----
static struct api_entry *next_quota(struct api_cursor *cursor, struct str prefix) {
    for (struct api_entry *entry; (entry = api_cursor_next(cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            return NULL;
        }
        if (!entry->deleted) {
            return entry;
        }
    }
    return NULL;
}

static const struct doc_value *read_entry(struct arena *arena, struct api_entry *entry) {
    struct blob *text = api_entry_text(entry, NULL);
    struct doc_value *value = ARENA_NEW(arena, struct doc_value);
    bool ok = text && doc_parse_json_copy(blob_str(text), arena, value, NULL);
    blob_unref(text);
    return ok ? value : NULL;
}

// ---- Counting ----
// The collection whose objects use this resource: group and plural by name.
static void source_of(struct str resource, struct str *group, struct str *plural) {
    *group = STR("");
    if (str_starts(resource, STR("count/"))) {
        str_cut(str_skip(resource, 6), '.', plural, group);
    } else if (str_eq(resource, STR("configmaps")) || str_eq(resource, STR("secrets")) ||
               str_eq(resource, STR("resourcequotas")) ||
               str_eq(resource, STR("replicationcontrollers"))) {
        *plural = resource;
    } else if (str_starts(resource, STR("services"))) {
        *plural = STR("services");
    } else if (str_eq(resource, STR("persistentvolumeclaims")) ||
               str_eq(resource, STR("requests.storage")) ||
               str_has(resource, STR(".storageclass.storage.k8s.io/"))) {
        *plural = STR("persistentvolumeclaims");
    } else {
        *plural = STR("pods");
    }
}

static struct amount count_resource(struct api_chain *chain, const struct doc_value *quota,
                                    struct str ns, struct str resource) {
    struct amount sum = {0}, more;
    struct str group, plural;
    source_of(resource, &group, &plural);
    struct api_collection *collection = api_collection_get(chain->server, group, plural);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str prefix = arena_concat(arena, ns, STR("/"));
    AUTO(arena_destroy) struct arena *own = arena_create();
    struct api_cursor cursor = api_cursor_at(collection, prefix);
    for (struct api_entry *entry; collection && (entry = next_quota(&cursor, prefix));) {
        arena_reset(own);
        const struct doc_value *object = read_entry(own, entry);
        if (object && quota_scopes_match(quota, object, group, plural) &&
            quota_usage(object, group, plural, resource, &more)) {
            amount_add(&sum, more);
        }
    }
    return sum;
}

static struct doc_value counted_status(struct api_chain *chain, struct arena *arena,
                                       const struct doc_value *quota) {
    const struct doc_value *hard = doc_get(quota, "spec", "hard");
    struct str ns = doc_get_str(quota, "metadata", "namespace");
    struct doc_object status = doc_object_start(arena), used = doc_object_start(arena);
    for (DOC_EACH_MEMBER(hard, i)) {
        struct amount sum = count_resource(chain, quota, ns, doc_key_at(hard, i));
        doc_object_set(&used, doc_key_at(hard, i), doc_make_str(amount_text(arena, sum)));
    }
    if (doc_len(hard)) {
        doc_object_set_c(&status, "hard", *hard);
        doc_object_set_c(&status, "used", doc_object_done(&used));
    }
    return doc_object_done(&status);
}

static void forget(struct api_op *op) {
    api_op_destroy(op);
}

static void recount_entry(struct api_chain *chain, struct api_entry *entry) {
    struct api_op *op = api_op_create(chain->server, forget);
    const struct doc_value *quota = read_entry(op->arena, entry);
    struct doc_value status = quota ? counted_status(chain, op->arena, quota) : doc_null();
    if (!quota || doc_equal(&status, doc_get(quota, "status"))) {
        api_op_destroy(op);
        return;
    }
    blob_unref(api_store_put(op, entry, (struct str){NULL, 0},
                             doc_with(op->arena, quota, status, "status")));
    api_wait_for_commit(chain->server, op);
}

static void recount(void *ctx) {
    struct api_chain *chain = ctx;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct map *due = chain->recount;
    chain->recount = map_create();
    struct str ns;
    for (size_t i = 0; map_next(due, &i, &ns, NULL);) {
        struct str prefix = arena_concat(arena, ns, STR("/"));
        struct api_cursor cursor = api_cursor_at(chain->quotas, prefix);
        for (struct api_entry *entry; (entry = next_quota(&cursor, prefix));) {
            recount_entry(chain, entry);
        }
    }
    map_destroy(due);
}

static void recount_soon(struct api_chain *chain, struct str ns) {
    map_put(chain->recount, ns, chain);
    if (!chain->recount_timer) {
        chain->recount_timer = loop_timer_create(chain->server->loop, recount, chain);
    }
    if (!loop_timer_is_active(chain->recount_timer)) {
        loop_timer_start(chain->recount_timer, RECOUNT_DELAY);
    }
}

void quota_recount_all(struct api_chain *chain) {
    struct api_cursor cursor = api_cursor_at(chain->quotas, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        recount_soon(chain, api_entry_ns(entry));
    }
}

void quota_committed(struct api_chain *chain, const struct api_event *event) {
    if (!chain->quotas->count || !event->ns_len) {
        return;
    }
    const struct api_collection *collection = event->collection;
    bool frees = event->type == KUBE_DELETED || collection == chain->quotas ||
                 collection == chain->pods || collection == chain->claims ||
                 (!collection->group.n && str_eq(collection->plural, STR("services")));
    struct str ns = {event->key, event->ns_len};
    AUTO(arena_destroy) struct arena *arena = frees ? arena_create() : NULL;
    struct str prefix = frees ? arena_concat(arena, ns, STR("/")) : (struct str){NULL, 0};
    struct api_cursor cursor = api_cursor_at(chain->quotas, prefix);
    if (frees && (event->type != KUBE_ADDED || collection == chain->quotas) &&
        next_quota(&cursor, prefix)) {
        recount_soon(chain, ns);
    }
}

// ---- Admission ----
struct lists { // for messages
    struct buf requested, used, limited;
};

static void list_add(struct arena *arena, struct buf *out, struct str resource, struct str text) {
    buf_add_str(out, arena_printf(arena, "%s%.*s=%.*s", out->len ? "," : "", STR_ARG(resource),
                                  STR_ARG(text)));
}

static int compare_names(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool is_compute(struct str name) {
    static const char *const names[] = {
        "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool container_names(const struct doc_value *container, struct str resource) {
    bool limit = str_starts(resource, STR("limits."));
    struct str name = limit                                    ? str_skip(resource, 7)
                      : str_starts(resource, STR("requests.")) ? str_skip(resource, 9)
                                                               : resource;
    return doc_find(doc_get(container, "resources", limit ? "limits" : "requests"), name) != NULL;
}

// Whoever limits a compute resource wants every container to say how much of it it needs.
static struct str who_is_silent(struct arena *arena, const struct doc_value *spec,
                                struct str resource) {
    static const char *const lists[] = {"containers", "initContainers"};
    size_t most = doc_len(doc_get(spec, "containers")) + doc_len(doc_get(spec, "initContainers"));
    struct str *names = ARENA_ARRAY(arena, most + 1, struct str);
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (DOC_EACH_ITEM(doc_get(spec, lists[i]), container)) {
            if (!container_names(container, resource)) {
                names[count++] = doc_get_str(container, "name");
            }
        }
    }
    qsort(names, count, sizeof *names, compare_names);
    struct str out = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), i ? "," : "", STR_ARG(names[i]));
    }
    return out;
}

static bool check_silence(const struct chain_write *write, const struct doc_value *quota,
                          const struct str *resources, size_t count) {
    struct arena *arena = write->op->arena;
    struct str text = {NULL, 0};
    for (size_t i = 0; chain_is(write, "", "pods") && i < count; i++) {
        struct str who = is_compute(resources[i])
                             ? who_is_silent(arena, doc_get(write->object, "spec"), resources[i])
                             : (struct str){NULL, 0};
        if (who.n) {
            text = arena_printf(arena, "%.*s%s%.*s for: %.*s", STR_ARG(text), text.n ? "; " : "",
                                STR_ARG(resources[i]), STR_ARG(who));
        }
    }
    return !text.n ||
           chain_forbidden(write, "failed quota: %.*s: must specify %.*s",
                           STR_ARG(doc_get_str(quota, "metadata", "name")), STR_ARG(text));
}

// How much more the write uses than the object did; false: not more.
static bool asks_more(const struct chain_write *write, const struct doc_value *quota,
                      struct str resource, struct amount *out) {
    struct str group = write->kind->group, plural = write->kind->plural;
    struct amount before;
    if (!quota_usage(write->object, group, plural, resource, out)) {
        return false;
    }
    if (write->old && quota_usage(write->old, group, plural, resource, &before)) {
        out->nano -= before.nano;
    }
    (void)quota;
    return out->nano > 0;
}

static void remember(struct chain_write const *write, struct api_entry *entry,
                     struct doc_value quota) {
    struct chain_charge *charge = ARENA_NEW(write->op->arena, struct chain_charge);
    *charge = (struct chain_charge){.next = write->op->charges, .entry = entry, .quota = quota};
    write->op->charges = charge;
}

static bool check_amounts(const struct chain_write *write, struct api_entry *entry,
                          const struct doc_value *quota, const struct str *resources,
                          size_t count) {
    struct arena *arena = write->op->arena;
    const struct doc_value *hard = doc_get(quota, "spec", "hard");
    const struct doc_value *known = doc_get(quota, "status", "used");
    struct doc_object used = doc_object_copy(arena, known);
    struct lists lists;
    buf_init(&lists.requested, 64 * KIB);
    buf_init(&lists.used, 64 * KIB);
    buf_init(&lists.limited, 64 * KIB);
    bool more = false, fits = true;
    for (size_t i = 0; i < count; i++) {
        struct amount asked, has, limit, sum;
        if (!asks_more(write, quota, resources[i], &asked) ||
            !amount_parse(doc_find(hard, resources[i]), &limit)) {
            continue;
        }
        if (!amount_parse(doc_find(known, resources[i]), &has)) { // not counted yet
            has = count_resource(write->chain, quota, write->ns, resources[i]);
        }
        sum = has;
        amount_add(&sum, asked);
        more = true;
        doc_object_set(&used, resources[i], doc_make_str(amount_text(arena, sum)));
        if (sum.nano > limit.nano) {
            fits = false;
            list_add(arena, &lists.requested, resources[i], amount_text(arena, asked));
            list_add(arena, &lists.used, resources[i], amount_text(arena, has));
            list_add(arena, &lists.limited, resources[i], amount_text(arena, limit));
        }
    }
    if (!fits) {
        chain_forbidden(write, "exceeded quota: %.*s, requested: %.*s, used: %.*s, limited: %.*s",
                        STR_ARG(doc_get_str(quota, "metadata", "name")),
                        STR_ARG(buf_str(&lists.requested)), STR_ARG(buf_str(&lists.used)),
                        STR_ARG(buf_str(&lists.limited)));
    } else if (more) {
        struct doc_value changed = doc_with(arena, quota, *hard, "status", "hard");
        remember(write, entry, doc_with(arena, &changed, doc_object_done(&used), "status", "used"));
    }
    buf_fini(&lists.requested);
    buf_fini(&lists.used);
    buf_fini(&lists.limited);
    return fits;
}

static bool check_quota(const struct chain_write *write, struct api_entry *entry) {
    struct arena *arena = write->op->arena;
    const struct doc_value *quota = read_entry(arena, entry);
    if (!quota ||
        !quota_scopes_match(quota, write->object, write->kind->group, write->kind->plural)) {
        return true;
    }
    const struct doc_value *hard = doc_get(quota, "spec", "hard");
    struct str *resources = ARENA_ARRAY(arena, doc_len(hard) + 1, struct str);
    size_t count = 0;
    for (DOC_EACH_MEMBER(hard, i)) {
        resources[count++] = doc_key_at(hard, i);
    }
    qsort(resources, count, sizeof *resources, compare_names);
    return check_silence(write, quota, resources, count) &&
           check_amounts(write, entry, quota, resources, count);
}

bool chain_quota(const struct chain_write *write) {
    bool updates = chain_is(write, "", "services") || chain_is(write, "", "persistentvolumeclaims");
    if (!write->chain->quotas->count || !write->ns.n || !write->object || write->subresource.n ||
        (write->old && !updates) || chain_is(write, "", "namespaces")) {
        return true;
    }
    struct str prefix = arena_concat(write->op->arena, write->ns, STR("/"));
    struct api_cursor cursor = api_cursor_at(write->chain->quotas, prefix);
    for (struct api_entry *entry; (entry = next_quota(&cursor, prefix));) {
        if (!check_quota(write, entry)) {
            return false;
        }
    }
    return true;
}
