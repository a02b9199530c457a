// SPDX-License-Identifier: Apache-2.0
// Admission of webhook configurations.
#include "apiserver/admit_internal.h"

static void fill_webhook_service(struct arena *arena, struct doc_value *service) {
    admit_default_int(arena, service, "port", 443);
}

static void fill_webhook_client(struct arena *arena, struct doc_value *client) {
    admit_default_in(arena, client, "service", fill_webhook_service);
}

static void fill_webhook_rule(struct arena *arena, struct doc_value *rule) {
    admit_default_str(arena, rule, "scope", "*");
}

static void fill_webhook(struct arena *arena, struct doc_value *hook) {
    admit_default_in(arena, hook, "clientConfig", fill_webhook_client);
    admit_default_each(arena, hook, "rules", fill_webhook_rule);
    admit_default_str(arena, hook, "failurePolicy", "Fail");
    admit_default_str(arena, hook, "matchPolicy", "Equivalent");
    admit_default_object(arena, hook, "namespaceSelector");
    admit_default_object(arena, hook, "objectSelector");
    admit_default_int(arena, hook, "timeoutSeconds", 10);
}

static void fill_mutating_webhook(struct arena *arena, struct doc_value *hook) {
    fill_webhook(arena, hook);
    admit_default_str(arena, hook, "reinvocationPolicy", "Never");
}

static void fill_validating(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "webhooks", fill_webhook);
}

static void fill_mutating(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "webhooks", fill_mutating_webhook);
}

static const struct doc_value *text_of(struct admit *a, const struct doc_value *value) {
    return value ? value : admit_text_value(a, "");
}

static bool has_item(const struct doc_value *list, const char *text) {
    for (DOC_EACH_ITEM(list, item)) {
        if (str_eq_c(doc_str(item), text)) {
            return true;
        }
    }
    return false;
}

static void check_rule(struct admit *a, struct str path, const struct doc_value *rule) {
    static const char *const lists[] = {"apiGroups", "apiVersions", "resources"};
    const struct doc_value *operations = doc_get(rule, "operations");
    if (doc_len(operations) == 0) {
        admit_problem_required(a, admit_path_of(a, "%.*s.operations", STR_ARG(path)), "");
    }
    for (size_t i = 0; i < doc_len(operations); i++) {
        admit_check_choice(a, admit_path_of(a, "%.*s.operations[%zu]", STR_ARG(path), i),
                           doc_at(operations, i), "* CONNECT CREATE DELETE UPDATE");
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (doc_len(doc_find(rule, str_from(lists[i]))) == 0) {
            admit_problem_required(a, admit_path_of(a, "%.*s.%s", STR_ARG(path), lists[i]), "");
        }
    }
    const struct doc_value *resources = doc_get(rule, "resources");
    bool others = false;
    for (DOC_EACH_ITEM(resources, item)) {
        others = others || (!str_eq(doc_str(item), STR("*")) &&
                            str_find_char(doc_str(item), '/') == STR_NPOS);
    }
    if (has_item(resources, "*") && others) {
        admit_problem_invalid(
            a, admit_path_of(a, "%.*s.resources", STR_ARG(path)), resources,
            "if '*' is present, must not specify other resources without subresources");
    }
    admit_check_choice(a, admit_path_of(a, "%.*s.scope", STR_ARG(path)), doc_get(rule, "scope"),
                       "* Cluster Namespaced");
}

static void check_client(struct admit *a, struct str path, const struct doc_value *client) {
    const struct doc_value *service = doc_get(client, "service"), *url = doc_get(client, "url");
    bool both = doc_is(service, DOC_OBJECT) && doc_str(url).n > 0;
    if (both || (!doc_is(service, DOC_OBJECT) && doc_str(url).n == 0)) {
        admit_problem_required(a, path, "exactly one of url or service is required");
        return;
    }
    if (doc_str(url).n > 0 && !str_starts(doc_str(url), STR("https://"))) {
        struct str scheme, rest;
        str_cut(doc_str(url), ':', &scheme, &rest);
        admit_problem_invalid(a, admit_path_of(a, "%.*s.url", STR_ARG(path)), url,
                              "'https' is the only allowed URL scheme; desired format: "
                              "https://host[/path]");
    }
    if (doc_is(service, DOC_OBJECT)) {
        static const char *const needed[] = {"name", "namespace"};
        for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
            if (doc_str(doc_find(service, str_from(needed[i]))).n == 0) {
                admit_problem_required(
                    a, admit_path_of(a, "%.*s.service.%s", STR_ARG(path), needed[i]),
                    str_eq_c(STR("name"), needed[i]) ? "service name is required"
                                                     : "service namespace is required");
            }
        }
    }
}

static size_t dots_in(struct str s) {
    size_t count = 0;
    for (size_t i = 0; i < s.n; i++) {
        count += s.p[i] == '.';
    }
    return count;
}

static void check_hook(struct admit *a, struct str path, const struct doc_value *hook) {
    const struct doc_value *name = doc_get(hook, "name"), *rules = doc_get(hook, "rules");
    const struct doc_value *effects = doc_get(hook, "sideEffects");
    const struct doc_value *timeout = doc_get(hook, "timeoutSeconds");
    struct str at = admit_path_of(a, "%.*s.name", STR_ARG(path));
    if (doc_str(name).n == 0) {
        admit_problem_required(a, at, "");
    } else if (dots_in(doc_str(name)) < 2) {
        admit_problem_invalid(a, at, name,
                              "should be a domain with at least three segments separated by dots");
    } else {
        admit_check_dns_subdomain(a, at, name);
    }
    for (size_t i = 0; i < doc_len(rules); i++) {
        check_rule(a, admit_path_of(a, "%.*s.rules[%zu]", STR_ARG(path), i), doc_at(rules, i));
    }
    admit_check_choice(a, admit_path_of(a, "%.*s.failurePolicy", STR_ARG(path)),
                       doc_get(hook, "failurePolicy"), "Fail Ignore");
    admit_check_choice(a, admit_path_of(a, "%.*s.matchPolicy", STR_ARG(path)),
                       doc_get(hook, "matchPolicy"), "Equivalent Exact");
    at = admit_path_of(a, "%.*s.sideEffects", STR_ARG(path));
    if (doc_is_null(effects)) {
        admit_problem_required(a, at, "must specify one of None, NoneOnDryRun");
    } else {
        admit_check_choice(a, at, effects, "None NoneOnDryRun");
    }
    if (doc_int(timeout, 10) < 1 || doc_int(timeout, 10) > 30) {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.timeoutSeconds", STR_ARG(path)), timeout,
                              "the timeout value must be between 1 and 30 seconds");
    }
    admit_check_label_selector(a, admit_path_of(a, "%.*s.namespaceSelector", STR_ARG(path)),
                               doc_get(hook, "namespaceSelector"));
    admit_check_label_selector(a, admit_path_of(a, "%.*s.objectSelector", STR_ARG(path)),
                               doc_get(hook, "objectSelector"));
    check_client(a, admit_path_of(a, "%.*s.clientConfig", STR_ARG(path)),
                 doc_get(hook, "clientConfig"));
    admit_check_choice(a, admit_path_of(a, "%.*s.reinvocationPolicy", STR_ARG(path)),
                       doc_get(hook, "reinvocationPolicy"), "IfNeeded Never");
    const struct doc_value *versions = doc_get(hook, "admissionReviewVersions");
    at = admit_path_of(a, "%.*s.admissionReviewVersions", STR_ARG(path));
    if (doc_len(versions) == 0) {
        admit_problem_required(a, at, "must specify one of v1, v1beta1");
    } else if (!has_item(versions, "v1") && !has_item(versions, "v1beta1")) {
        admit_problem_invalid(a, at, versions, "must include at least one of v1, v1beta1");
    }
}

static void check_hooks(struct admit *a, const struct doc_value *object) {
    const struct doc_value *hooks = doc_get(object, "webhooks");
    for (size_t i = 0; i < doc_len(hooks); i++) {
        const struct doc_value *name = doc_get(doc_at(hooks, i), "name");
        check_hook(a, admit_path_of(a, "webhooks[%zu]", i), doc_at(hooks, i));
        for (size_t k = 0; k < i; k++) {
            if (name && doc_equal(doc_get(doc_at(hooks, k), "name"), name)) {
                admit_problem_duplicate(a, admit_path_of(a, "webhooks[%zu].name", i),
                                        text_of(a, name));
                break;
            }
        }
    }
}

const struct admit_rule admit_webhooks[] = {
    {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", fill_validating, check_hooks,
     NULL},
    {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", fill_mutating, check_hooks,
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
