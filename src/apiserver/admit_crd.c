// SPDX-License-Identifier: Apache-2.0
// Admission of CustomResourceDefinitions: what must hold before crd.c makes kinds of one.
#include <ctype.h>

#include "apiserver/admit_internal.h"
#include "apiserver/kinds_internal.h"
#include "base/limits.h"

enum { CRD_VERSIONS_MAX = 64, CRD_NAMES_MAX = 64, CRD_COLUMNS_MAX = 64 };

// ---- Defaults ----

static void fill_names(struct arena *arena, struct doc_value *names) {
    struct str kind = doc_get_str(names, "kind");
    char *singular = arena_cstr(arena, kind);
    for (size_t i = 0; i < kind.n; i++) {
        singular[i] = (char)tolower((unsigned char)singular[i]);
    }
    admit_default_str(arena, names, "singular", singular);
    if (kind.n > 0) {
        admit_default_str(arena, names, "listKind", arena_concat(arena, kind, STR("List")).p);
    }
}

static void fill_conversion(struct arena *arena, struct doc_value *conversion) {
    admit_default_str(arena, conversion, "strategy", "None");
}

static void fill_spec(struct arena *arena, struct doc_value *spec) {
    admit_default_in(arena, spec, "names", fill_names);
    admit_default_object(arena, spec, "conversion");
    admit_default_in(arena, spec, "conversion", fill_conversion);
}

// Clients read the status of a definition right after they made it.
static struct doc_value first_status(struct arena *arena, const struct doc_value *crd) {
    struct doc_object names = doc_object_start(arena), status = doc_object_start(arena);
    struct doc_array stored = doc_array_start(arena);
    for (DOC_EACH_ITEM(doc_get(crd, "spec", "versions"), version)) {
        if (doc_bool(doc_get(version, "storage"), false)) {
            doc_array_add(&stored, doc_make_str(doc_get_str(version, "name")));
        }
    }
    doc_object_set_c(&names, "plural", DOC_S(""));
    doc_object_set_c(&names, "kind", DOC_S(""));
    doc_object_set_c(&status, "conditions", doc_null());
    doc_object_set_c(&status, "acceptedNames", doc_object_done(&names));
    doc_object_set_c(&status, "storedVersions", doc_array_done(&stored));
    return doc_object_done(&status);
}

void admit_crd_fill(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_spec);
    const struct doc_value *status = doc_get(object, "status");
    if (!a->old) {
        admit_set_member(a->arena, object, "status", first_status(a->arena, object));
    } else if (doc_is(status, DOC_OBJECT) && !doc_find(status, STR("conditions"))) {
        // Decoding leaves a null out, but this one is always shown.
        *object = doc_with(a->arena, object, doc_null(), "status", "conditions");
    }
}

// ---- Checks ----

static void check_names(struct admit *a, const struct doc_value *spec) {
    static const char *const labels[] = {"plural", "singular"};
    const struct doc_value *names = doc_get(spec, "names"), *kind = doc_get(names, "kind");
    const struct doc_value *shorts = doc_get(names, "shortNames");
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        const struct doc_value *value = doc_find(names, str_from(labels[i]));
        if (doc_str(value).n == 0) {
            admit_problem_required(a, admit_path_of(a, "spec.names.%s", labels[i]), "");
        } else {
            admit_check_dns_label(a, admit_path_of(a, "spec.names.%s", labels[i]), value);
        }
    }
    if (doc_str(kind).n == 0) {
        admit_problem_required(a, STR("spec.names.kind"), "");
    } else {
        struct str text = doc_str(kind);
        char *lower = arena_cstr(a->arena, text);
        for (size_t i = 0; i < text.n; i++) {
            lower[i] = (char)tolower((unsigned char)lower[i]);
        }
        struct doc_value value = doc_make_str(str_make(lower, text.n));
        admit_check_dns_label(a, STR("spec.names.kind"), &value);
    }
    if (doc_len(shorts) > CRD_NAMES_MAX) {
        admit_problem_too_many(a, STR("spec.names.shortNames"), doc_len(shorts), CRD_NAMES_MAX);
        return;
    }
    for (size_t i = 0; i < doc_len(shorts); i++) {
        admit_check_dns_label(a, admit_path_of(a, "spec.names.shortNames[%zu]", i),
                              doc_at(shorts, i));
    }
    const struct doc_value *categories = doc_get(names, "categories");
    for (size_t i = 0; i < doc_len(categories) && i < CRD_NAMES_MAX; i++) {
        admit_check_dns_label(a, admit_path_of(a, "spec.names.categories[%zu]", i),
                              doc_at(categories, i));
    }
}

// A definition of one version is checked as if its parts stood outside of the list.
static struct str version_part(struct admit *a, size_t versions, size_t v, const char *part) {
    return versions == 1 ? admit_path_of(a, "spec.%s", part)
                         : admit_path_of(a, "spec.versions[%zu].%s", v, part);
}

static void check_columns(struct admit *a, struct str path, const struct doc_value *columns) {
    if (doc_len(columns) > CRD_COLUMNS_MAX) {
        admit_problem_too_many(a, path, doc_len(columns), CRD_COLUMNS_MAX);
        return;
    }
    for (size_t i = 0; i < doc_len(columns); i++) {
        const struct doc_value *column = doc_at(columns, i), *type = doc_get(column, "type");
        struct str at = admit_path_of(a, "%.*s[%zu]", STR_ARG(path), i);
        if (doc_get_str(column, "name").n == 0) {
            admit_problem_required(a, admit_path_of(a, "%.*s.name", STR_ARG(at)), "");
        }
        if (doc_str(type).n == 0) {
            admit_problem_required(a, admit_path_of(a, "%.*s.type", STR_ARG(at)), "");
        } else if (!str_has(STR(" boolean date integer number string "),
                            arena_printf(a->arena, " %.*s ", STR_ARG(doc_str(type))))) {
            admit_problem_invalid(a, admit_path_of(a, "%.*s.type", STR_ARG(at)), type,
                                  "must be one of boolean,date,integer,number,string");
        }
        if (doc_get_str(column, "jsonPath").n == 0) {
            admit_problem_required(a, admit_path_of(a, "%.*s.JSONPath", STR_ARG(at)), "");
        }
    }
}

static void check_scale(struct admit *a, struct str path, const struct doc_value *scale) {
    static const struct {
        const char *key, *prefix;
    } paths[] = {{"specReplicasPath", ".spec."}, {"statusReplicasPath", ".status."}};
    for (size_t i = 0; scale && i < ARRAY_LEN(paths); i++) {
        const struct doc_value *value = doc_find(scale, str_from(paths[i].key));
        struct str at = admit_path_of(a, "%.*s.%s", STR_ARG(path), paths[i].key);
        if (doc_str(value).n == 0) {
            admit_problem_required(a, at, "");
        } else if (!str_starts(doc_str(value), STR("."))) {
            admit_problem_invalid(a, at, value, "must be a simple json path starting with .");
        } else if (!str_starts(doc_str(value), str_from(paths[i].prefix))) {
            admit_problem_invalid(a, at, value, "should be a json path under %.*s",
                                  (int)strlen(paths[i].prefix) - 1, paths[i].prefix);
        }
    }
}

// All versions of one schema are checked as if it stood outside of the list.
static bool is_shared_schema(const struct doc_value *versions) {
    const struct doc_value *first = doc_get(doc_at(versions, 0), "schema");
    for (size_t i = 1; i < doc_len(versions); i++) {
        if (!first || !doc_equal(first, doc_get(doc_at(versions, i), "schema"))) {
            return false;
        }
    }
    return true;
}

static void check_schema(struct admit *a, size_t v, const struct doc_value *versions,
                         bool preserve) {
    const struct doc_value *version = doc_at(versions, v);
    const struct doc_value *schema = doc_get(version, "schema", "openAPIV3Schema");
    bool shared = is_shared_schema(versions);
    struct str at = shared ? STR("spec.validation.openAPIV3Schema")
                           : admit_path_of(a, "spec.versions[%zu].schema.openAPIV3Schema", v);
    if (doc_is_null(schema)) {
        if (!preserve) {
            admit_problem_required(
                a, admit_path_of(a, "spec.versions[%zu].schema.openAPIV3Schema", v), "");
        }
        return;
    }
    const struct doc_value *old = doc_get(a->old, "spec", "versions");
    for (DOC_EACH_ITEM(old, former)) { // what was accepted stays so
        if (doc_equal(doc_get(former, "schema", "openAPIV3Schema"), schema)) {
            return;
        }
    }
    struct schema_problem *problems = NULL;
    size_t count = 0;
    if (!shared || v == 0) {
        schema_struct_check(a->arena, schema, at,
                            doc_get(version, "subresources", "status") != NULL, &problems, &count);
    }
    for (size_t i = 0; i < count; i++) {
        admit_problem_add(a, &problems[i]);
    }
}

static void check_versions(struct admit *a, const struct doc_value *spec) {
    const struct doc_value *versions = doc_get(spec, "versions");
    size_t storage = 0;
    if (doc_len(versions) == 0) {
        admit_problem_invalid(a, STR("spec.versions"), versions,
                              "must have exactly one version marked as storage version");
        return;
    }
    if (doc_len(versions) > CRD_VERSIONS_MAX) {
        admit_problem_too_many(a, STR("spec.versions"), doc_len(versions), CRD_VERSIONS_MAX);
        return;
    }
    for (size_t i = 0; i < doc_len(versions); i++) {
        const struct doc_value *version = doc_at(versions, i), *name = doc_get(version, "name");
        storage += doc_bool(doc_get(version, "storage"), false);
        admit_check_dns_label(a, admit_path_of(a, "spec.versions[%zu].name", i),
                              name ? name : admit_text_value(a, ""));
        for (size_t k = 0; k < i; k++) {
            if (doc_equal(doc_get(doc_at(versions, k), "name"), name)) {
                admit_problem_invalid(a, STR("spec.versions"), versions,
                                      "must contain unique version names");
            }
        }
        check_schema(a, i, versions, doc_bool(doc_get(spec, "preserveUnknownFields"), false));
        size_t n = doc_len(versions);
        check_scale(a, version_part(a, n, i, "subresources.scale"),
                    doc_get(version, "subresources", "scale"));
        check_columns(a, version_part(a, n, i, "additionalPrinterColumns"),
                      doc_get(version, "additionalPrinterColumns"));
    }
    if (storage != 1) {
        admit_problem_invalid(a, STR("spec.versions"), versions,
                              "must have exactly one version marked as storage version");
    }
}

// Messages name the fields as the internal form of Kubernetes has them.
static void check_conversion(struct admit *a, const struct doc_value *conversion) {
    static const char not_set[] = "should not be set when strategy is not set to Webhook";
    const struct doc_value *hook = doc_get(conversion, "webhook");
    const struct doc_value *client = doc_get(hook, "clientConfig");
    const struct doc_value *versions = doc_get(hook, "conversionReviewVersions");
    struct str url = doc_get_str(client, "url");
    if (!str_eq(doc_get_str(conversion, "strategy"), STR("Webhook"))) {
        if (client) {
            admit_problem_forbidden(a, STR("spec.conversion.webhookClientConfig"), not_set);
        }
        if (doc_len(versions)) {
            admit_problem_forbidden(a, STR("spec.conversion.conversionReviewVersions"), not_set);
        }
        return;
    }
    if (!client) {
        admit_problem_required(a, STR("spec.conversion.webhookClientConfig"),
                               "required when strategy is set to Webhook");
    } else if (!url.n == !doc_get(client, "service")) {
        admit_problem_required(a, STR("spec.conversion.webhookClientConfig"),
                               "exactly one of url or service is required");
    } else if (url.n && !str_starts(url, STR("https://"))) {
        struct str scheme = str_first(url, str_find(url, STR("://")));
        struct doc_value value = doc_make_str(scheme);
        admit_problem_invalid(a, STR("spec.conversion.webhookClientConfig.url"), &value,
                              "'https' is the only allowed URL scheme; desired format: "
                              "https://host[/path]");
    }
    if (doc_len(versions) == 0) {
        admit_problem_required(a, STR("spec.conversion.conversionReviewVersions"), "");
        return;
    }
    for (DOC_EACH_ITEM(versions, version)) {
        if (str_eq(doc_str(version), STR("v1")) || str_eq(doc_str(version), STR("v1beta1"))) {
            return;
        }
    }
    admit_problem_invalid(a, STR("spec.conversion.conversionReviewVersions"), versions,
                          "must include at least one of v1, v1beta1");
}

static void check_approval(struct admit *a, const struct doc_value *object, struct str group) {
    const struct doc_value *note =
        doc_get(object, "metadata", "annotations", "api-approved.kubernetes.io");
    if (!a->old && !note &&
        (str_ends(group, STR(".k8s.io")) || str_ends(group, STR(".kubernetes.io")))) {
        admit_problem_required(a, STR("metadata.annotations[api-approved.kubernetes.io]"),
                               "protected groups must have approval annotation "
                               "\"api-approved.kubernetes.io\", see "
                               "https://github.com/kubernetes/enhancements/pull/1111");
    }
}

void admit_crd_check(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *group = doc_get(spec, "group");
    struct str name = doc_get_str(object, "metadata", "name"), text = doc_str(group);
    struct str plural = doc_get_str(spec, "names", "plural");
    struct str wanted = arena_printf(a->arena, "%.*s.%.*s", STR_ARG(plural), STR_ARG(text));
    if (!str_eq(name, wanted)) {
        admit_problem_invalid(a, STR("metadata.name"), doc_get(object, "metadata", "name"),
                              "must be spec.names.plural+\".\"+spec.group");
    }
    if (text.n == 0) {
        admit_problem_required(a, STR("spec.group"), "");
    } else if (str_find_char(text, '.') == STR_NPOS) {
        admit_problem_invalid(a, STR("spec.group"), group,
                              "should be a domain with at least one dot");
    } else {
        admit_check_dns_subdomain(a, STR("spec.group"), group);
    }
    const struct doc_value *scope = doc_get(spec, "scope");
    admit_check_choice(a, STR("spec.scope"), scope ? scope : admit_text_value(a, ""),
                       "Cluster Namespaced");
    check_names(a, spec);
    check_versions(a, spec);
    admit_check_choice(a, STR("spec.conversion.strategy"), doc_get(spec, "conversion", "strategy"),
                       "None Webhook");
    if (doc_bool(doc_get(spec, "preserveUnknownFields"), false) && !a->old) {
        admit_problem_invalid(
            a, STR("spec.preserveUnknownFields"), doc_get(spec, "preserveUnknownFields"),
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead");
    }
    check_conversion(a, doc_get(spec, "conversion"));
    check_approval(a, object, text);
}

void admit_crd_update(struct admit *a, const struct doc_value *object,
                      const struct doc_value *old) {
    admit_check_immutable(a, STR("spec.group"), doc_get(object, "spec", "group"),
                          doc_get(old, "spec", "group"));
    admit_check_immutable(a, STR("spec.names.plural"), doc_get(object, "spec", "names", "plural"),
                          doc_get(old, "spec", "names", "plural"));
    admit_check_immutable(a, STR("spec.scope"), doc_get(object, "spec", "scope"),
                          doc_get(old, "spec", "scope"));
    admit_check_immutable(a, STR("spec.names.kind"), doc_get(object, "spec", "names", "kind"),
                          doc_get(old, "spec", "names", "kind"));
    // A version that objects are stored in must stay in the list.
    for (size_t i = 0; i < doc_len(doc_get(old, "status", "storedVersions")); i++) {
        const struct doc_value *stored = doc_at(doc_get(old, "status", "storedVersions"), i);
        bool kept = false;
        for (DOC_EACH_ITEM(doc_get(object, "spec", "versions"), version)) {
            kept = kept || doc_equal(doc_get(version, "name"), stored);
        }
        if (!kept) {
            admit_problem_invalid(
                a, admit_path_of(a, "status.storedVersions[%zu]", i), stored,
                "missing from spec.versions; %.*s was previously a storage version, "
                "and must remain in spec.versions until a storage migration ensures "
                "no data remains persisted in %.*s and removes %.*s from "
                "status.storedVersions",
                STR_ARG(doc_str(stored)), STR_ARG(doc_str(stored)), STR_ARG(doc_str(stored)));
        }
    }
}
