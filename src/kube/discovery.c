// SPDX-License-Identifier: Apache-2.0
// Discovery documents to resources; pure. Two forms: aggregated (one document for all groups under /apis, one for the
// core group under /api) and legacy (a list of groups there, then one document a group version).
#include "base/limits.h"
#include "kube/internal.h"

// A server under the limits of LIMIT_DISCOVERY_RESOURCES cannot have more group versions.
enum { GROUP_VERSIONS_MAX = 5000, WARNINGS_MAX = 200 };

void kube_split_api_version(struct str api_version, struct str *group, struct str *version) {
    struct str before, after;
    if (str_cut(api_version, '/', &before, &after)) {
        *group = before;
        *version = after;
    } else {
        *group = (struct str){NULL, 0};
        *version = api_version;
    }
}

static void warn(struct kube_discovery *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(struct kube_discovery *d, const char *format, ...) {
    if (d->warnings.len < WARNINGS_MAX) {
        va_list args;
        va_start(args, format);
        struct str text = arena_vprintf(d->arena, format, args);
        va_end(args);
        VEC_PUSH(&d->warnings, text);
    }
}

static struct str copy(struct kube_discovery *d, struct str s) {
    return s.n ? arena_dup(d->arena, s) : (struct str){NULL, 0};
}

static void take_verbs(const struct doc_value *verbs, struct kube_resource *out) {
    for (DOC_EACH_ITEM(verbs, verb)) {
        struct str v = doc_str(verb);
        out->can_list = out->can_list || str_eq(v, STR("list"));
        out->can_watch = out->can_watch || str_eq(v, STR("watch"));
        out->can_patch = out->can_patch || str_eq(v, STR("patch"));
        out->can_delete = out->can_delete || str_eq(v, STR("delete"));
        out->can_create = out->can_create || str_eq(v, STR("create"));
    }
}

static void take_short_names(struct kube_discovery *d, const struct doc_value *names,
                             struct kube_resource *out) {
    enum { SHORT_NAMES_MAX = 100 };
    size_t count = doc_len(names) < SHORT_NAMES_MAX ? doc_len(names) : SHORT_NAMES_MAX;
    struct str *list = count ? ARENA_ARRAY(d->arena, count, struct str) : NULL;
    for (size_t i = 0; i < count; i++) {
        list[i] = copy(d, doc_str(doc_at(names, i)));
    }
    out->short_names = list;
    out->short_name_count = count;
}

static bool is_segment(struct str s) {
    return s.n > 0 && s.n <= LIMIT_NAME && str_find_char(s, '/') == STR_NPOS &&
           str_find_char(s, '\0') == STR_NPOS;
}

static bool add_resource(struct kube_discovery *d, const struct kube_resource *resource,
                         struct err *err) {
    if (!is_segment(resource->gvr.resource) || !is_segment(resource->gvr.version) ||
        resource->gvr.group.n > LIMIT_NAME || resource->kind.n == 0 ||
        resource->kind.n > LIMIT_NAME) {
        warn(d, "a resource of %.*s/%.*s without a usable name or kind is left out",
             STR_ARG(str_first(resource->gvr.group, 100)),
             STR_ARG(str_first(resource->gvr.version, 100)));
        return true;
    }
    if (d->resources.len >= LIMIT_DISCOVERY_RESOURCES) {
        return err_set(err, ERR_LIMIT,
                       "the cluster serves more than LIMIT_DISCOVERY_RESOURCES "
                       "(%d) kinds",
                       LIMIT_DISCOVERY_RESOURCES);
    }
    VEC_PUSH(&d->resources, *resource);
    return true;
}

// ---- Aggregated ----

static bool add_version(struct kube_discovery *d, struct str group, const struct doc_value *version,
                        bool preferred, struct err *err) {
    struct str name = copy(d, doc_get_str(version, "version"));
    const struct doc_value *list = doc_get(version, "resources");
    if (str_eq(doc_get_str(version, "freshness"), STR("Stale"))) {
        warn(d, "%.*s/%.*s: its server does not answer, what is known of it may be old%s",
             STR_ARG(group), STR_ARG(name), doc_len(list) ? "" : " (nothing is)");
    }
    for (DOC_EACH_ITEM(list, item)) {
        struct str scope = doc_get_str(item, "scope");
        struct kube_resource resource = {
            .gvr = {group, name, copy(d, doc_get_str(item, "resource"))},
            .kind = copy(d, doc_get_str(item, "responseKind", "kind")),
            .singular = copy(d, doc_get_str(item, "singularResource")),
            .namespaced = str_eq(scope, STR("Namespaced")),
            .preferred = preferred,
        };
        take_verbs(doc_get(item, "verbs"), &resource);
        take_short_names(d, doc_get(item, "shortNames"), &resource);
        if (!add_resource(d, &resource, err)) {
            return false;
        }
    }
    return true;
}

static bool add_aggregated(struct kube_discovery *d, const struct doc_value *root,
                           struct err *err) {
    for (DOC_EACH_ITEM(doc_get(root, "items"), item)) {
        struct str group = copy(d, doc_get_str(item, "metadata", "name"));
        bool preferred = true; // the first version is
        for (DOC_EACH_ITEM(doc_get(item, "versions"), version)) {
            if (!add_version(d, group, version, preferred, err)) {
                return false;
            }
            preferred = false;
        }
    }
    return true;
}

// ---- Legacy ----

static bool add_group_version(struct kube_discovery *d, struct str group, struct str version,
                              bool preferred, struct err *err) {
    if (d->legacy.len >= GROUP_VERSIONS_MAX) {
        return err_set(err, ERR_LIMIT, "the cluster serves more than %d group versions",
                       GROUP_VERSIONS_MAX);
    }
    bool usable = is_segment(version) && (group.n == 0 || is_segment(group));
    if (!usable) {
        warn(d, "a group version without a usable name is left out");
        return true;
    }
    struct kube_discovery_group entry = {group, copy(d, version), preferred};
    VEC_PUSH(&d->legacy, entry);
    return true;
}

static bool add_groups(struct kube_discovery *d, const struct doc_value *root, struct err *err) {
    for (DOC_EACH_ITEM(doc_get(root, "groups"), item)) {
        struct str group = copy(d, doc_get_str(item, "name"));
        struct str preferred = doc_get_str(item, "preferredVersion", "version");
        for (DOC_EACH_ITEM(doc_get(item, "versions"), version)) {
            struct str name = doc_get_str(version, "version");
            if (!add_group_version(d, group, name, str_eq(name, preferred), err)) {
                return false;
            }
        }
    }
    return true;
}

bool kube_discovery_add(struct kube_discovery *d, struct str body, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root;
    if (!doc_parse_json(body, arena, &root, err)) {
        return err_wrap(err, "discovery");
    }
    struct str kind = doc_get_str(&root, "kind");
    if (str_eq(kind, STR("APIGroupDiscoveryList"))) {
        return add_aggregated(d, &root, err);
    }
    if (str_eq(kind, STR("APIGroupList"))) {
        return add_groups(d, &root, err);
    }
    if (str_eq(kind, STR("APIVersions"))) {
        bool preferred = true;
        for (DOC_EACH_ITEM(doc_get(&root, "versions"), version)) {
            if (!add_group_version(d, (struct str){NULL, 0}, doc_str(version), preferred, err)) {
                return false;
            }
            preferred = false;
        }
        return true;
    }
    return err_set(err, ERR_INVALID,
                   "discovery: a document of kind \"%.*s\" where the server's groups should be",
                   STR_ARG(str_first(kind, 60)));
}

bool kube_discovery_add_legacy(struct kube_discovery *d, const struct kube_discovery_group *group,
                               struct str body, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root;
    if (!doc_parse_json(body, arena, &root, err)) {
        return err_wrap(err, "discovery");
    }
    if (!str_eq(doc_get_str(&root, "kind"), STR("APIResourceList"))) {
        return err_set(err, ERR_INVALID, "discovery: this is no APIResourceList");
    }
    for (DOC_EACH_ITEM(doc_get(&root, "resources"), item)) {
        struct str name = doc_get_str(item, "name");
        if (str_find_char(name, '/') != STR_NPOS) {
            continue; // a subresource
        }
        struct kube_resource resource = {
            .gvr = {group->group, group->version, copy(d, name)},
            .kind = copy(d, doc_get_str(item, "kind")),
            .singular = copy(d, doc_get_str(item, "singularName")),
            .namespaced = doc_bool(doc_get(item, "namespaced"), false),
            .preferred = group->preferred,
        };
        take_verbs(doc_get(item, "verbs"), &resource);
        take_short_names(d, doc_get(item, "shortNames"), &resource);
        if (!add_resource(d, &resource, err)) {
            return false;
        }
    }
    return true;
}

void kube_discovery_fini(struct kube_discovery *d) {
    VEC_FREE(&d->resources);
    VEC_FREE(&d->legacy);
    VEC_FREE(&d->warnings);
}
