// SPDX-License-Identifier: Apache-2.0
// Every discovery document of a real kube-apiserver 1.36 with two custom kinds, compared whole.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/internal.h"
#include "base/limits.h"
#include "golden.h"

static struct api_kinds *kinds_with_crds(struct arena *arena) {
    struct api_kinds *kinds = api_kinds_create();
    struct doc_value crds;
    assert_true(golden_read(arena, "discovery", ".", "crds.json", &crds));
    for (DOC_EACH_ITEM(&crds, crd)) {
        // As stored: names accepted and established.
        struct doc_value status, stored = *crd;
        api_kinds_crd_changed(kinds, doc_get_str(crd, "metadata", "name"), crd);
        if (api_crd_status(arena, kinds, crd, 0, &status)) {
            stored = doc_with(arena, crd, status, "status");
        }
        api_kinds_crd_changed(kinds, doc_get_str(crd, "metadata", "name"), &stored);
    }
    return kinds;
}

// "aggregated_apis.json" is /apis in the aggregated form, "apis_apps_v1.json" is /apis/apps/v1.
static bool compare(const char *file) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = kinds_with_crds(arena);
    struct str name = str_from(file);
    bool aggregated = str_starts(name, STR("aggregated_"));
    name = aggregated ? str_skip(name, strlen("aggregated_")) : name;
    char *path = arena_cstr(arena, arena_printf(arena, "/%.*s", (int)name.n - 5, name.p));
    for (char *p = path; *p; p++) {
        *p = *p == '_' ? '/' : *p;
    }
    struct doc_value want, got;
    AUTO_BUF struct buf out;
    buf_init(&out, 16 * MIB);
    struct err err = {0};
    struct str type;
    struct str accept =
        aggregated ? STR("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
                   : STR("application/json");
    if (!golden_read(arena, "discovery", "real", file, &want) ||
        !api_discovery_get(kinds, str_from(path), accept, arena, &type, &out)) {
        fprintf(stderr, "%s: nothing there\n", file);
        return false;
    }
    assert_true(doc_parse_json_copy(buf_str(&out), arena, &got, &err));
    if (str_eq_c(STR("api.json"), file)) { // the address is the server's own
        want = doc_without(arena, &want, "serverAddressByClientCIDRs");
        got = doc_without(arena, &got, "serverAddressByClientCIDRs");
    }
    return golden_compare(arena, file, &got, &want);
}

static void test_real(void **state) {
    size_t count;
    assert_int_equal(golden_each("discovery/real", compare, &count), 0);
    assert_true(count > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
