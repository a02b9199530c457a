// SPDX-License-Identifier: Apache-2.0
// Claims that pods use and volumes that are bound outlive their deletion: the protection finalizers that they got when
// they were created go when nobody uses them any more. Unused ones go at once.
#include "apiserver/chain.h"

static const struct str CLAIM = STR_INIT("kubernetes.io/pvc-protection");
static const struct str VOLUME = STR_INIT("kubernetes.io/pv-protection");

static bool uses_claim(const struct doc_value *pod, struct str name) {
    struct str phase = doc_get_str(pod, "status", "phase");
    if (str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"))) {
        return false;
    }
    for (DOC_EACH_ITEM(doc_get(pod, "spec", "volumes"), volume)) {
        if (str_eq(doc_get_str(volume, "persistentVolumeClaim", "claimName"), name) ||
            (doc_get(volume, "ephemeral") && str_ends(name, doc_get_str(volume, "name")))) {
            return true;
        }
    }
    return false;
}

static bool claim_in_use(struct api_chain *chain, struct str ns, struct str name) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(arena_destroy) struct arena *own = arena_create();
    struct str prefix = arena_concat(arena, ns, STR("/"));
    struct api_cursor cursor = api_cursor_at(chain->pods, prefix);
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            break;
        }
        struct blob *text = entry->deleted ? NULL : api_entry_text(entry, NULL);
        struct doc_value pod;
        arena_reset(own);
        bool used = text && str_has(blob_str(text), name) &&
                    doc_parse_json(blob_str(text), own, &pod, NULL) && uses_claim(&pod, name);
        blob_unref(text);
        if (used) {
            return true;
        }
    }
    return false;
}

bool api_chain_in_use(struct api_op *op, const struct doc_value *object) {
    struct api_chain *chain = op->server->chain;
    if (op->collection == chain->claims) {
        return claim_in_use(chain, doc_get_str(object, "metadata", "namespace"),
                            doc_get_str(object, "metadata", "name"));
    }
    return str_eq(doc_get_str(object, "status", "phase"), STR("Bound"));
}

// ---- Letting go ----
static void forget(struct api_op *op) {
    api_op_destroy(op);
}

static struct doc_value without(struct arena *arena, const struct doc_value *list,
                                struct str finalizer) {
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(list, item)) {
        if (!str_eq(doc_str(item), finalizer)) {
            doc_array_add(&out, *item);
        }
    }
    return doc_array_done(&out);
}

static bool let_go(struct api_chain *chain, struct api_collection *collection, struct str key) {
    struct api_entry *entry = api_entry_find_key(collection, key);
    if (!entry || entry->deleted) {
        return true;
    }
    struct api_op *op = api_op_create(chain->server, forget);
    struct blob *text = api_entry_text(entry, NULL);
    struct doc_value object;
    bool parsed = text && doc_parse_json_copy(blob_str(text), op->arena, &object, NULL);
    blob_unref(text);
    op->collection = collection;
    if (!parsed || !doc_get(&object, "metadata", "deletionTimestamp") ||
        api_chain_in_use(op, &object)) {
        api_op_destroy(op);
        return !parsed;
    }
    struct doc_value rest = without(op->arena, doc_get(&object, "metadata", "finalizers"),
                                    collection == chain->claims ? CLAIM : VOLUME);
    if (doc_len(&rest)) {
        blob_unref(api_store_put(op, entry, (struct str){NULL, 0},
                                 doc_with(op->arena, &object, rest, "metadata", "finalizers")));
    } else {
        object = doc_without(op->arena, &object, "metadata", "finalizers");
        blob_unref(api_store_remove(op, entry, object));
    }
    api_wait_for_commit(chain->server, op);
    return true;
}

static void look_again(struct apiserver *server) {
    struct api_chain *chain = server->chain;
    chain->held_posted = false;
    VEC(struct str) gone = {0};
    struct str key;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    void *collection;
    for (size_t i = 0; map_next(chain->held, &i, &key, &collection);) {
        if (let_go(chain, collection, key)) {
            VEC_PUSH(&gone, arena_dup(arena, key));
        }
    }
    for (size_t i = 0; i < gone.len; i++) {
        map_remove(chain->held, gone.items[i]);
    }
    VEC_FREE(&gone);
}

static void look_soon(struct api_chain *chain) {
    if (!chain->held_posted) {
        chain->held_posted = true;
        api_post(chain->server, look_again);
    }
}

void protect_committed(struct api_chain *chain, const struct api_event *event) {
    struct api_collection *collection = event->collection;
    if (collection == chain->claims || collection == chain->volumes) {
        if (event->type == KUBE_MODIFIED &&
            str_has(api_metadata_text(blob_str(event->object)), STR("\"deletionTimestamp\":\""))) {
            map_put(chain->held, (struct str){event->key, event->key_len}, collection);
            look_soon(chain);
        }
    } else if (collection == chain->pods && map_len(chain->held) && event->type != KUBE_ADDED) {
        look_soon(chain);
    }
}

void protect_start(struct api_chain *chain) {
    struct api_collection *const lists[] = {chain->claims, chain->volumes};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct api_cursor cursor = api_cursor_at(lists[i], (struct str){NULL, 0});
        for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
            struct blob *text = api_entry_durable(entry, NULL);
            if (text &&
                str_has(api_metadata_text(blob_str(text)), STR("\"deletionTimestamp\":\""))) {
                map_put(chain->held, api_entry_key(entry), lists[i]);
                look_soon(chain);
            }
            blob_unref(text);
        }
    }
}
