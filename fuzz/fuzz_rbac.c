// SPDX-License-Identifier: Apache-2.0
// Rules of roles: {"held": [rules], "wanted": [rules], "ask": [verb, group, resource, subresource, name]}. Who holds everything
// lacks nothing; what is said to be missing is what the rules do not allow.
#include <stdint.h>

#include "apiserver/authz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool allows(const struct authz_rules *rules, const struct authz_question *question) {
    bool allowed = false;
    for (size_t i = 0; i < rules->count; i++) {
        allowed = allowed || authz_rule_allows(&rules->items[i], question);
    }
    return allowed;
}

static bool is_star(const struct authz_texts *texts) {
    return texts->count == 1 && str_eq(texts->items[0], STR("*"));
}

static void check_missing(const struct authz_rules *held, const struct authz_rule *missing) {
    struct authz_question question = {.verb = missing->verbs.items[0]};
    if (missing->paths.count) {
        question.is_path = true;
        question.path = missing->paths.items[0];
    } else {
        question.group = missing->groups.items[0];
        str_cut(missing->resources.items[0], '/', &question.resource, &question.subresource);
        question.name = missing->names.count ? missing->names.items[0] : STR("");
        if (missing->names.count == 0) {
            return; // all names: a rule may allow the empty one
        }
    }
    CHECK(!allows(held, &question));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *arena = arena_create();
    struct doc_value value;
    if (size <= 64 * 1024 &&
        doc_parse_json((struct str){(const char *)data, size}, arena, &value, NULL)) {
        static const struct str star[] = {STR_INIT("*")};
        const struct authz_texts any = {star, 1};
        const struct authz_rule all = {.verbs = any, .groups = any, .resources = any, .paths = any};
        const struct authz_rules everything = {&all, 1};
        struct authz_rules held = authz_rules_parse(arena, doc_get(&value, "held"));
        struct authz_rules wanted = authz_rules_parse(arena, doc_get(&value, "wanted"));
        struct authz_rules missing;
        const struct doc_value *ask = doc_get(&value, "ask");
        struct authz_question question = {.verb = doc_str(doc_at(ask, 0)),
                                          .group = doc_str(doc_at(ask, 1)),
                                          .resource = doc_str(doc_at(ask, 2)),
                                          .subresource = doc_str(doc_at(ask, 3)),
                                          .name = doc_str(doc_at(ask, 4))};
        CHECK(allows(&everything, &question));
        allows(&held, &question);
        if (authz_rules_missing(arena, &everything, &wanted, &missing)) {
            CHECK(missing.count == 0);
        }
        if (authz_rules_missing(arena, &held, &wanted, &missing)) {
            for (size_t i = 0; i < missing.count; i++) {
                check_missing(&held, &missing.items[i]);
                CHECK(!is_star(&missing.items[i].verbs) || missing.items[i].verbs.count == 1);
            }
            struct authz_rules compact = authz_rules_compact(arena, &missing);
            CHECK(compact.count <= missing.count);
            for (size_t i = 0; i < compact.count; i++) {
                CHECK(authz_rule_print(arena, &compact.items[i]).n > 1);
            }
        }
    }
    arena_destroy(arena);
    return 0;
}
