// SPDX-License-Identifier: Apache-2.0
// Which cluster addresses and node ports Services have, so that a new one need not look at all others. Built by one walk when
// it is first asked for, kept by every change, dropped after a failed commit and built again.
#include "apiserver/core.h"

#include <stdint.h>

static void count(struct map *taken, struct str address, int by) {
    if (!address.n || str_eq(address, STR("None"))) {
        return;
    }
    intptr_t have = (intptr_t)map_find(taken, address) + by;
    if (have > 0) {
        map_put(taken, address, (void *)have);
    } else {
        map_remove(taken, address);
    }
}

static void count_service(struct map *taken, struct blob *text, int by) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value service;
    if (!text || !doc_parse_json(blob_str(text), arena, &service, NULL)) {
        return;
    }
    const struct doc_value *spec = doc_get(&service, "spec");
    count(taken, doc_get_str(spec, "clusterIP"), by);
    int64_t health = doc_int(doc_get(spec, "healthCheckNodePort"), 0);
    if (health) {
        count(taken, arena_printf(arena, "%lld", (long long)health), by);
    }
    for (DOC_EACH_ITEM(doc_get(spec, "ports"), port)) {
        int64_t node_port = doc_int(doc_get(port, "nodePort"), 0);
        if (node_port) {
            count(taken, arena_printf(arena, "%lld", (long long)node_port), by);
        }
    }
}

static struct map *build(const struct api_collection *services) {
    struct map *taken = map_create();
    struct api_cursor cursor = api_cursor_at(services, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = entry->deleted ? NULL : api_entry_text(entry, NULL);
        count_service(taken, text, 1);
        blob_unref(text);
    }
    return taken;
}

bool api_address_is_taken(struct apiserver *server, const struct api_collection *services,
                          struct str address) {
    if (!server->addresses) {
        server->addresses = build(services);
    }
    return map_find(server->addresses, address) != NULL;
}

void api_addresses_changed(struct apiserver *server, const struct api_change *change) {
    const struct api_collection *collection = change->entry->collection;
    if (server->addresses && !collection->group.n && str_eq(collection->plural, STR("services"))) {
        count_service(server->addresses, change->before, -1);
        count_service(server->addresses, change->after, 1);
    }
}

void api_addresses_drop(struct apiserver *server) {
    map_destroy(server->addresses);
    server->addresses = NULL;
}
