// SPDX-License-Identifier: Apache-2.0
// Patches of every type against a server in memory, by the same code as requests. The first line of the input names the
// resource ("widgets"), the rest are bodies between lines of "===": an apply takes them one after the other as two managers,
// the second with force; the other patches meet the same object each time (a dry run). What comes out must be sound: sets of
// fields that read back as they are, and no manager without fields.
#ifndef SKIFF_FUZZ_API_PATCH_H
#define SKIFF_FUZZ_API_PATCH_H

#include <stdint.h>

#include "apiserver/apiserver.h"
#include "apiserver/fieldset.h"
#include "base/limits.h"
#include "loop/sim_loop.h"
#include "store/memory.h"

struct patch_rig {
    struct loop *loop;
    struct apiserver *server;
    struct arena *arena;
    int status;
    struct str body;
    bool done;
};

static void patch_answer(void *ctx, const struct kube_reply *reply) {
    struct patch_rig *rig = ctx;
    rig->status = reply->status;
    rig->body = arena_dup(rig->arena, reply->body);
    rig->done = true;
}

static int patch_call(struct patch_rig *rig, struct kube_request request) {
    rig->done = false;
    request.grace_seconds = -1;
    apiserver_call(rig->server, NULL, &request, patch_answer, rig);
    for (int i = 0; i < 100 && !rig->done; i++) {
        sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000);
    }
    CHECK(rig->done);
    return rig->status;
}

static const struct {
    const char *name, *group, *version, *object;
} patch_kinds[] = {
    {"configmaps", "", "v1",
     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":"
     "\"b\"},"
     "\"finalizers\":[\"e.com/a\",\"e.com/b\"]},\"data\":{\"k\":\"v\",\"l\":\"w\"}}"},
    {"podtemplates", "", "v1",
     "{\"apiVersion\":\"v1\",\"kind\":\"PodTemplate\",\"metadata\":{\"name\":\"x\"},\"template\":{"
     "\"spec\":{"
     "\"containers\":[{\"name\":\"a\",\"image\":\"i\",\"ports\":[{\"containerPort\":80}],\"env\":[{"
     "\"name\":\"A\"}]},"
     "{\"name\":\"b\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}}}"},
    {"services", "", "v1",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
     "\"clusterIP\":\"None\","
     "\"selector\":{\"a\":\"b\"},\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":81,\"name\":"
     "\"b\"}]}}"},
    {"widgets", "fuzz.example.com", "v1",
     "{\"apiVersion\":\"fuzz.example.com/"
     "v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
     "\"tags\":[\"a\",\"b\"],\"ports\":[{\"port\":1,\"note\":\"n\"}],\"free\":{\"a\":[1]}}}"},
};

static const char patch_crd[] =
    "{\"apiVersion\":\"apiextensions.k8s.io/"
    "v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":"
    "\"widgets.fuzz.example.com\"},\"spec\":{\"group\":\"fuzz.example.com\",\"scope\":"
    "\"Namespaced\",\"names\":{"
    "\"plural\":\"widgets\",\"singular\":\"widget\",\"kind\":\"Widget\",\"listKind\":"
    "\"WidgetList\"},\"versions\":[{"
    "\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":"
    "\"object\","
    "\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
    "\"tags\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":"
    "\"string\"}},"
    "\"plain\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
    "\"ports\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-"
    "keys\":[\"port\","
    "\"protocol\"],\"items\":{\"type\":\"object\",\"required\":[\"port\"],\"properties\":{\"port\":"
    "{\"type\":"
    "\"integer\"},\"protocol\":{\"type\":\"string\",\"default\":\"TCP\"},\"note\":{\"type\":"
    "\"string\"}}}},"
    "\"atom\":{\"type\":\"object\",\"x-kubernetes-map-type\":\"atomic\",\"additionalProperties\":{"
    "\"type\":"
    "\"string\"}},\"map\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\","
    "\"properties\":{"
    "\"a\":{\"type\":\"string\"}}}},"
    "\"free\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}}}}}}}]}}";

static struct kube_request patch_request(size_t kind, enum kube_verb verb) {
    return (struct kube_request){.verb = verb,
                                 .gvr = {.group = str_from(patch_kinds[kind].group),
                                         .version = str_from(patch_kinds[kind].version),
                                         .resource = str_from(patch_kinds[kind].name)},
                                 .ns = STR("default"),
                                 .field_manager = STR("maker")};
}

static struct patch_rig *patch_rig_create(bool objects) {
    struct patch_rig *rig = NEW(struct patch_rig);
    rig->loop = sim_loop_create(7);
    rig->arena = arena_create();
    struct apiserver_options options = {
        .loop = rig->loop, .store = store_create_memory(rig->loop), .no_workloads = true};
    struct err err = {0};
    rig->server = apiserver_create(&options, &err);
    CHECK(rig->server);
    sim_loop_run(rig->loop, 1000000000);
    struct kube_request crd = {.verb = KUBE_CREATE,
                               .gvr = {.group = STR("apiextensions.k8s.io"),
                                       .version = STR("v1"),
                                       .resource = STR("customresourcedefinitions")},
                               .body = str_from(patch_crd)};
    CHECK(patch_call(rig, crd) == 201);
    sim_loop_run(rig->loop, loop_now(rig->loop) + 1000000000);
    for (size_t i = 0; objects && i < ARRAY_LEN(patch_kinds); i++) {
        struct kube_request create = patch_request(i, KUBE_CREATE);
        create.body = str_from(patch_kinds[i].object);
        CHECK(patch_call(rig, create) == 201);
    }
    return rig;
}

static void patch_check(struct patch_rig *rig) {
    struct doc_value object;
    CHECK(doc_parse_json(rig->body, rig->arena, &object, NULL));
    if (rig->status >= 300) {
        CHECK(doc_get_str(&object, "status").n > 0);
        return;
    }
    for (DOC_EACH_ITEM(doc_get(&object, "metadata", "managedFields"), entry)) {
        struct fieldset set;
        const struct doc_value *fields = doc_get(entry, "fieldsV1");
        CHECK(fieldset_parse(rig->arena, fields, &set, NULL));
        CHECK(!fieldset_is_empty(&set));
        struct doc_value again = fieldset_print(rig->arena, &set);
        CHECK(doc_equal(&again, fields));
    }
}

static int patch_fuzz(const uint8_t *data, size_t size, enum kube_patch type) {
    static struct patch_rig
        *rig; // one server for all inputs; what an input makes it takes away again
    bool apply = type == KUBE_PATCH_APPLY;
    rig = rig ? rig : patch_rig_create(!apply);
    arena_reset(rig->arena);
    struct str input = {(const char *)data, size}, name, rest;
    size_t kind = 0;
    if (size > 64 * KIB || !str_cut(input, '\n', &name, &rest)) {
        return 0;
    }
    while (kind < ARRAY_LEN(patch_kinds) && !str_eq_c(name, patch_kinds[kind].name)) {
        kind++;
    }
    if (kind == ARRAY_LEN(patch_kinds)) {
        return 0;
    }
    struct str mark = STR("\n===\n");
    for (int number = 0; number < 4 && rest.n; number++) {
        size_t end = 0;
        while (end < rest.n && !str_starts(str_skip(rest, end), mark)) {
            end++;
        }
        struct kube_request request = patch_request(kind, KUBE_PATCH);
        request.name = STR("x");
        request.patch = type;
        request.body = str_first(rest, end);
        request.dry_run = !apply;
        request.force = apply && number % 2;
        request.field_manager = apply && number % 2 ? STR("two") : STR("one");
        patch_call(rig, request);
        patch_check(rig);
        rest = str_skip(rest, end + mark.n < rest.n ? end + mark.n : rest.n);
    }
    if (apply) {
        struct kube_request update = patch_request(kind, KUBE_PATCH);
        update.name = STR("x");
        update.patch = KUBE_PATCH_MERGE;
        update.body = STR("{\"metadata\":{\"finalizers\":null,\"labels\":{\"u\":\"1\"}}}");
        if (patch_call(rig, update) != 404) {
            patch_check(rig);
        }
        struct kube_request gone = patch_request(kind, KUBE_DELETE);
        gone.name = STR("x");
        patch_call(rig, gone);
    }
    return 0;
}

#endif
