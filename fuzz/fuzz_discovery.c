// SPDX-License-Identifier: Apache-2.0
// Discovery documents: aggregated, lists of groups, lists of resources.
#include "kube/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct kube_discovery discovery = {.arena = arena_create()};
    struct err err = {0};
    struct kube_discovery_group group = {STR("apps"), STR("v1"), true};
    bool ok = kube_discovery_add(&discovery, text, &err);
    ok = kube_discovery_add_legacy(&discovery, &group, text, &err) || ok;
    CHECK(ok || err.code != ERR_NONE);
    for (size_t i = 0; i < discovery.resources.len; i++) {
        const struct kube_resource *resource = &discovery.resources.items[i];
        CHECK(resource->kind.n && resource->gvr.resource.n && resource->gvr.version.n);
        CHECK(str_find_char(resource->gvr.resource, '/') == STR_NPOS);
    }
    arena_destroy(discovery.arena);
    kube_discovery_fini(&discovery);
    return 0;
}
