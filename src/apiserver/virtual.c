// SPDX-License-Identifier: Apache-2.0
// Reviews: questions that are answered and not kept. Who is authenticated may do everything for now; rules come with
// the issue on authorization.
#include "apiserver/internal.h"

static struct doc_value groups_value(struct arena *arena, const struct api_user *user) {
    struct doc_array groups = doc_array_start(arena);
    for (size_t i = 0; i < user->group_count; i++) {
        doc_array_add(&groups, doc_make_str(arena_dup(arena, user->groups[i])));
    }
    return doc_array_done(&groups);
}

static struct doc_value user_value(struct arena *arena, const struct api_user *user) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "username", doc_make_str(arena_dup(arena, user->name)));
    doc_object_set_c(&out, "groups", groups_value(arena, user));
    return doc_object_done(&out);
}

static struct doc_value everything(struct arena *arena) {
    struct doc_array any = doc_array_start(arena);
    doc_array_add(&any, DOC_S("*"));
    return doc_array_done(&any);
}

static struct doc_value rules_status(struct arena *arena) {
    struct doc_object resource = doc_object_start(arena), path = doc_object_start(arena);
    doc_object_set_c(&resource, "verbs", everything(arena));
    doc_object_set_c(&resource, "apiGroups", everything(arena));
    doc_object_set_c(&resource, "resources", everything(arena));
    doc_object_set_c(&path, "verbs", everything(arena));
    doc_object_set_c(&path, "nonResourceURLs", everything(arena));
    struct doc_array resources = doc_array_start(arena), paths = doc_array_start(arena);
    doc_array_add(&resources, doc_object_done(&resource));
    doc_array_add(&paths, doc_object_done(&path));
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "resourceRules", doc_array_done(&resources));
    doc_object_set_c(&out, "nonResourceRules", doc_array_done(&paths));
    doc_object_set_c(&out, "incomplete", doc_make_bool(false));
    return doc_object_done(&out);
}

bool api_virtual_create(struct arena *arena, const struct api_kind *kind,
                        const struct api_user *user, const struct doc_value *object,
                        struct doc_value *out, struct api_error *error) {
    struct doc_object status = doc_object_start(arena);
    struct doc_value value;
    if (str_ends(kind->kind, STR("AccessReview"))) {
        doc_object_set_c(&status, "allowed", doc_make_bool(true));
        value = doc_object_done(&status);
    } else if (str_eq(kind->kind, STR("SelfSubjectRulesReview"))) {
        value = rules_status(arena);
    } else if (str_eq(kind->kind, STR("SelfSubjectReview"))) {
        doc_object_set_c(&status, "userInfo", user_value(arena, user));
        value = doc_object_done(&status);
    } else if (str_eq(kind->kind, STR("TokenReview"))) {
        // The front end knows the tokens, this function does not: no token is vouched for.
        doc_object_set_c(&status, "authenticated", doc_make_bool(false));
        value = doc_object_done(&status);
    } else {
        return api_error_set(error, arena, 405, "MethodNotAllowed",
                             "%.*s is not supported by this server", STR_ARG(kind->kind));
    }
    *out = doc_with(arena, object, value, "status");
    return true;
}
