// SPDX-License-Identifier: Apache-2.0
#include "app/project.h"

#include "base/text.h"
#include "vcs/vcs.h"

static bool fits(struct str pattern, struct str text, char separator) {
    return str_eq(pattern, STR("*")) || str_eq(pattern, text) ||
           glob_match(pattern, text, separator, NULL);
}

// Patterns with '!' deny; a deny wins over every permit.
bool project_permits_source(const struct doc_value *project, struct str repo_url) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str url = vcs_normalize_url(repo_url, arena);
    bool permitted = false;
    for (DOC_EACH_ITEM(doc_get(project, "spec", "sourceRepos"), item)) {
        struct str pattern = doc_str(item);
        bool deny = str_starts(pattern, STR("!"));
        struct str plain = deny ? str_skip(pattern, 1) : pattern;
        bool match = fits(plain, repo_url, '/') ||
                     (plain.n && fits(vcs_normalize_url(plain, arena), url, '/'));
        if (match && deny) {
            return false;
        }
        permitted = permitted || match;
    }
    return permitted;
}

static bool field_fits(const struct doc_value *entry, const char *field, struct str value,
                       bool *deny) {
    struct str pattern = doc_get_str(entry, field);
    if (str_starts(pattern, STR("!"))) {
        *deny = true;
        pattern = str_skip(pattern, 1);
    }
    return fits(pattern, value, 0);
}

bool project_permits_destination(const struct doc_value *project, struct str server,
                                 struct str cluster_name, struct str ns) {
    bool permitted = false;
    for (DOC_EACH_ITEM(doc_get(project, "spec", "destinations"), entry)) {
        bool deny = false;
        bool by_server =
            doc_get_str(entry, "server").n && field_fits(entry, "server", server, &deny);
        bool by_name =
            doc_get_str(entry, "name").n && field_fits(entry, "name", cluster_name, &deny);
        bool match = (by_server || by_name) && field_fits(entry, "namespace", ns, &deny);
        if (match && deny) {
            return false;
        }
        permitted = permitted || match;
    }
    return permitted;
}

static bool list_has(const struct doc_value *list, struct str group, struct str kind,
                     struct str name) {
    for (DOC_EACH_ITEM(list, entry)) {
        struct str its_name = doc_get_str(entry, "name");
        if (fits(doc_get_str(entry, "group"), group, 0) &&
            fits(doc_get_str(entry, "kind"), kind, 0) &&
            (its_name.n == 0 || fits(its_name, name, 0))) {
            return true;
        }
    }
    return false;
}

// Namespaced kinds: permitted unless a white list leaves them out or a black list names them. Cluster-wide kinds: only
// those that the white list names.
bool project_permits_kind(const struct doc_value *project, struct str group, struct str kind,
                          struct str name, bool namespaced) {
    const struct doc_value *allow = doc_get(
        project, "spec", namespaced ? "namespaceResourceWhitelist" : "clusterResourceWhitelist");
    const struct doc_value *deny = doc_get(
        project, "spec", namespaced ? "namespaceResourceBlacklist" : "clusterResourceBlacklist");
    bool permitted = namespaced ? doc_is_null(allow) || list_has(allow, group, kind, name)
                                : list_has(allow, group, kind, name);
    return permitted && !list_has(deny, group, kind, name);
}
