// SPDX-License-Identifier: Apache-2.0
// What a client asks first: versions, groups and resources, as one aggregated document (kubectl since 1.27) or one by
// one. Everything is computed from the registry; a reply for a hundred custom kinds takes well under a millisecond.
#include "apiserver/kinds_internal.h"

#include "apiserver/openapi.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/crypto.h"

const char *api_kind_verbs(const struct api_kind *kind) {
    if (kind->no_store) {
        return "create";
    }
    if (kind->read_only) {
        return "get list";
    }
    if (kind->custom) { // the order of a real server, which lists them so for custom kinds only
        return "delete deletecollection get list patch create update watch";
    }
    return kind->no_collection_delete
               ? "create delete get list patch update watch"
               : "create delete deletecollection get list patch update watch";
}

static struct api_part part_of(struct arena *arena, const struct api_kind *kind, struct str name) {
    const struct builtin_part *row = api_builtin_part(name);
    struct api_part out = {.name = name, .verbs = "create", .own = true, .kind = kind->kind};
    if (row) {
        out.verbs = row->verbs;
    }
    if (row && row->group) {
        out.own = !row->group[0];
        out.group = str_from(row->group);
        out.version = str_from(row->version);
        out.kind = row->kind ? str_from(row->kind)
                             : arena_printf(arena, "%.*sProxyOptions", STR_ARG(kind->kind));
    }
    return out;
}

size_t api_kind_parts(struct arena *arena, const struct api_kind *kind,
                      struct api_part parts[API_PARTS_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < kind->subresource_count && n < API_PARTS_MAX - 2; i++) {
        parts[n++] = part_of(arena, kind, kind->subresources[i]);
    }
    // Custom kinds have them the other way round, as with a real server.
    bool scale_first = kind->has_scale && !kind->custom;
    if (scale_first) {
        parts[n++] = part_of(arena, kind, STR("scale"));
    }
    if (kind->has_status) {
        size_t at = n;
        while (at > 0 && str_cmp(parts[at - 1].name, STR("status")) > 0) {
            parts[at] = parts[at - 1];
            at--;
        }
        parts[at] = part_of(arena, kind, STR("status"));
        n++;
    }
    if (kind->has_scale && !scale_first) {
        parts[n++] = part_of(arena, kind, STR("scale"));
    }
    return n;
}

static struct doc_value verbs_value(struct arena *arena, const char *verbs) {
    struct doc_array list = doc_array_start(arena);
    struct str rest = str_from(verbs), verb;
    while (str_next(&rest, ' ', &verb)) {
        doc_array_add(&list, doc_make_str(verb));
    }
    return doc_array_done(&list);
}

static struct doc_value strings_value(struct arena *arena, const struct str *items, size_t count) {
    struct doc_array list = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&list, doc_make_str(items[i]));
    }
    return doc_array_done(&list);
}

static struct str group_version(struct arena *arena, const struct api_kind *kind) {
    return kind->group.n
               ? arena_printf(arena, "%.*s/%.*s", STR_ARG(kind->group), STR_ARG(kind->version))
               : kind->version;
}

// ---- Aggregated ----

static struct doc_value response_kind(struct arena *arena, struct str group, struct str version,
                                      struct str kind) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "group", doc_make_str(group));
    doc_object_set_c(&out, "version", doc_make_str(version));
    doc_object_set_c(&out, "kind", doc_make_str(kind));
    return doc_object_done(&out);
}

static struct doc_value aggregated_resource(struct arena *arena, const struct api_kind *kind) {
    struct str group = kind->custom ? kind->group : STR("");
    struct str version = kind->custom ? kind->version : STR("");
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "resource", doc_make_str(kind->plural));
    doc_object_set_c(&out, "responseKind", response_kind(arena, group, version, kind->kind));
    doc_object_set_c(&out, "scope", kind->namespaced ? DOC_S("Namespaced") : DOC_S("Cluster"));
    doc_object_set_c(&out, "singularResource", doc_make_str(kind->singular));
    doc_object_set_c(&out, "verbs", verbs_value(arena, api_kind_verbs(kind)));
    if (kind->short_name_count) {
        doc_object_set_c(&out, "shortNames",
                         strings_value(arena, kind->short_names, kind->short_name_count));
    }
    if (kind->category_count) {
        doc_object_set_c(&out, "categories",
                         strings_value(arena, kind->categories, kind->category_count));
    }
    struct api_part parts[API_PARTS_MAX];
    size_t count = api_kind_parts(arena, kind, parts);
    struct doc_array list = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        struct doc_object sub = doc_object_start(arena);
        doc_object_set_c(&sub, "subresource", doc_make_str(parts[i].name));
        doc_object_set_c(&sub, "responseKind",
                         response_kind(arena, parts[i].own ? group : parts[i].group,
                                       parts[i].own ? version : parts[i].version, parts[i].kind));
        doc_object_set_c(&sub, "verbs", verbs_value(arena, parts[i].verbs));
        doc_array_add(&list, doc_object_done(&sub));
    }
    if (count) {
        doc_object_set_c(&out, "subresources", doc_array_done(&list));
    }
    return doc_object_done(&out);
}

struct aggregate { // the group and version under construction
    struct arena *arena;
    struct doc_array groups, versions, resources;
    const struct api_kind *last;
};

static void end_version(struct aggregate *a) {
    if (!a->last) {
        return;
    }
    struct doc_object version = doc_object_start(a->arena);
    doc_object_set_c(&version, "version", doc_make_str(a->last->version));
    doc_object_set_c(&version, "resources", doc_array_done(&a->resources));
    doc_object_set_c(&version, "freshness", DOC_S("Current"));
    doc_array_add(&a->versions, doc_object_done(&version));
    a->resources = doc_array_start(a->arena);
}

static void end_group(struct aggregate *a) {
    if (!a->last) {
        return;
    }
    end_version(a);
    struct doc_object metadata = doc_object_start(a->arena), group = doc_object_start(a->arena);
    if (a->last->group.n) {
        doc_object_set_c(&metadata, "name", doc_make_str(a->last->group));
    }
    doc_object_set_c(&group, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&group, "versions", doc_array_done(&a->versions));
    doc_array_add(&a->groups, doc_object_done(&group));
    a->versions = doc_array_start(a->arena);
}

static struct doc_value aggregated(const struct api_kinds *kinds, bool core, const char *version,
                                   struct arena *arena) {
    struct aggregate a = {.arena = arena,
                          .groups = doc_array_start(arena),
                          .versions = doc_array_start(arena),
                          .resources = doc_array_start(arena)};
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if ((kind->group.n == 0) != core) {
            continue;
        }
        if (a.last && !str_eq(a.last->group, kind->group)) {
            end_group(&a);
        } else if (a.last && !str_eq(a.last->version, kind->version)) {
            end_version(&a);
        }
        doc_array_add(&a.resources, aggregated_resource(arena, kind));
        a.last = kind;
    }
    end_group(&a);
    struct doc_object metadata = doc_object_start(arena), out = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("APIGroupDiscoveryList"));
    doc_object_set_c(&out, "apiVersion",
                     doc_make_str(arena_printf(arena, "apidiscovery.k8s.io/%s", version)));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "items", doc_array_done(&a.groups));
    return doc_object_done(&out);
}

// The version of the aggregated form that the client names first, or NULL for the old form.
static const char *aggregated_version(struct str accept) {
    struct str part;
    while (str_next(&accept, ',', &part)) {
        if (str_has(part, STR("as=APIGroupDiscoveryList")) &&
            str_has(part, STR("g=apidiscovery.k8s.io"))) {
            if (str_has(part, STR("v=v2beta1"))) {
                return "v2beta1";
            }
            if (str_has(part, STR("v=v2"))) {
                return "v2";
            }
        }
        struct str type;
        str_cut(part, ';', &type, &part);
        if (str_eq(str_trim(type), STR("application/json")) && !str_has(part, STR("as="))) {
            return NULL;
        }
    }
    return NULL;
}

// ---- One by one ----

// Lets a client see that the stored version of a kind changed. A real server of this release stores three kinds in
// their beta version still, which is said here so that clients see the same.
static struct doc_value storage_hash(struct arena *arena, const struct api_kind *kind) {
    static const char *const betas[] = {"CustomResourceDefinition", "MutatingAdmissionPolicy",
                                        "MutatingAdmissionPolicyBinding"};
    unsigned char digest[SHA256_BYTES];
    struct str version = kind->storage_version;
    for (size_t i = 0; !kind->custom && i < ARRAY_LEN(betas); i++) {
        version = str_eq_c(kind->kind, betas[i]) ? STR("v1beta1") : version;
    }
    sha256(arena_printf(arena, "%.*s/%.*s/%.*s", STR_ARG(kind->storage_group), STR_ARG(version),
                        STR_ARG(kind->kind)),
           digest);
    return doc_make_str(base64_encode(arena, str_make((const char *)digest, 8)));
}

static struct doc_value legacy_resource(struct arena *arena, const struct api_kind *kind) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "name", doc_make_str(kind->plural));
    doc_object_set_c(&out, "singularName", doc_make_str(kind->singular));
    doc_object_set_c(&out, "namespaced", doc_make_bool(kind->namespaced));
    doc_object_set_c(&out, "kind", doc_make_str(kind->kind));
    doc_object_set_c(&out, "verbs", verbs_value(arena, api_kind_verbs(kind)));
    if (kind->short_name_count) {
        doc_object_set_c(&out, "shortNames",
                         strings_value(arena, kind->short_names, kind->short_name_count));
    }
    if (kind->category_count) {
        doc_object_set_c(&out, "categories",
                         strings_value(arena, kind->categories, kind->category_count));
    }
    if (!kind->no_store && !kind->read_only) {
        doc_object_set_c(&out, "storageVersionHash", storage_hash(arena, kind));
    }
    return doc_object_done(&out);
}

static struct doc_value legacy_part(struct arena *arena, const struct api_kind *kind,
                                    const struct api_part *part) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(
        &out, "name",
        doc_make_str(arena_printf(arena, "%.*s/%.*s", STR_ARG(kind->plural), STR_ARG(part->name))));
    doc_object_set_c(&out, "singularName", DOC_S(""));
    doc_object_set_c(&out, "namespaced", doc_make_bool(kind->namespaced));
    if (!part->own) {
        doc_object_set_c(&out, "group", doc_make_str(part->group));
        doc_object_set_c(&out, "version", doc_make_str(part->version));
    }
    doc_object_set_c(&out, "kind", doc_make_str(part->kind));
    doc_object_set_c(&out, "verbs", verbs_value(arena, part->verbs));
    return doc_object_done(&out);
}

static bool resource_list(const struct api_kinds *kinds, struct str group, struct str version,
                          struct arena *arena, struct doc_value *value) {
    struct doc_array list = doc_array_start(arena);
    const struct api_kind *kind, *any = NULL;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        if (!str_eq(kind->group, group) || !str_eq(kind->version, version)) {
            continue;
        }
        any = kind;
        doc_array_add(&list, legacy_resource(arena, kind));
        struct api_part parts[API_PARTS_MAX];
        size_t count = api_kind_parts(arena, kind, parts);
        for (size_t part = 0; part < count; part++) {
            doc_array_add(&list, legacy_part(arena, kind, &parts[part]));
        }
    }
    if (!any) {
        return false;
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("APIResourceList"));
    if (group.n) {
        doc_object_set_c(&out, "apiVersion", DOC_S("v1"));
    }
    doc_object_set_c(&out, "groupVersion", doc_make_str(group_version(arena, any)));
    doc_object_set_c(&out, "resources", doc_array_done(&list));
    *value = doc_object_done(&out);
    return true;
}

static struct doc_value version_entry(struct arena *arena, const struct api_kind *kind) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "groupVersion", doc_make_str(group_version(arena, kind)));
    doc_object_set_c(&out, "version", doc_make_str(kind->version));
    return doc_object_done(&out);
}

// The APIGroup that starts at `*iter` of the registry; moves past it.
static bool next_group(const struct api_kinds *kinds, size_t *iter, struct arena *arena,
                       struct str *name, struct doc_object *group) {
    const struct api_kind *kind, *last = NULL;
    struct doc_array versions = doc_array_start(arena);
    struct doc_value preferred = doc_null();
    size_t at = *iter;
    while (api_kinds_next(kinds, &at, &kind)) {
        if (kind->group.n == 0) {
            *iter = at;
            continue;
        }
        if (last && !str_eq(last->group, kind->group)) {
            break;
        }
        if (!last || !str_eq(last->version, kind->version)) {
            struct doc_value entry = version_entry(arena, kind);
            preferred = last ? preferred : entry;
            doc_array_add(&versions, entry);
        }
        last = kind;
        *iter = at;
    }
    if (!last) {
        return false;
    }
    *name = last->group;
    doc_object_set_c(group, "name", doc_make_str(last->group));
    doc_object_set_c(group, "versions", doc_array_done(&versions));
    doc_object_set_c(group, "preferredVersion", preferred);
    return true;
}

static struct doc_value group_list(const struct api_kinds *kinds, struct arena *arena) {
    struct doc_array groups = doc_array_start(arena);
    struct doc_object group = doc_object_start(arena);
    struct str name;
    for (size_t i = 0; next_group(kinds, &i, arena, &name, &group);) {
        doc_array_add(&groups, doc_object_done(&group));
        group = doc_object_start(arena);
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("APIGroupList"));
    doc_object_set_c(&out, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&out, "groups", doc_array_done(&groups));
    return doc_object_done(&out);
}

static bool one_group(const struct api_kinds *kinds, struct str wanted, struct arena *arena,
                      struct doc_value *value) {
    struct str name;
    for (size_t i = 0;;) {
        struct doc_object group = doc_object_start(arena);
        doc_object_set_c(&group, "kind", DOC_S("APIGroup"));
        doc_object_set_c(&group, "apiVersion", DOC_S("v1"));
        if (!next_group(kinds, &i, arena, &name, &group)) {
            return false;
        }
        if (str_eq(name, wanted)) {
            *value = doc_object_done(&group);
            return true;
        }
    }
}

static struct doc_value core_versions(struct arena *arena, struct str server) {
    struct doc_array versions = doc_array_start(arena), addresses = doc_array_start(arena);
    doc_array_add(&versions, DOC_S("v1"));
    if (server.n) {
        struct doc_object address = doc_object_start(arena);
        doc_object_set_c(&address, "clientCIDR", DOC_S("0.0.0.0/0"));
        doc_object_set_c(&address, "serverAddress", doc_make_str(server));
        doc_array_add(&addresses, doc_object_done(&address));
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("APIVersions"));
    doc_object_set_c(&out, "versions", doc_array_done(&versions));
    doc_object_set_c(&out, "serverAddressByClientCIDRs", doc_array_done(&addresses));
    return doc_object_done(&out);
}

static struct doc_value version_info(struct arena *arena) {
    static const char *const fields[][2] = {
        {"major", "1"},
        {"minor", "36"},
        {"emulationMajor", "1"},
        {"emulationMinor", "36"},
        {"minCompatibilityMajor", "1"},
        {"minCompatibilityMinor", "35"},
        {"gitVersion", "v1.36.3+skiff." SKIFF_VERSION},
        {"gitCommit", ""},
        {"gitTreeState", "clean"},
        {"buildDate", "1970-01-01T00:00:00Z"},
        {"goVersion", "none"},
        {"compiler", "c17"},
        {"platform", "linux/amd64"},
    };
    struct doc_object out = doc_object_start(arena);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        doc_object_set_c(&out, fields[i][0], doc_make_str(str_from(fields[i][1])));
    }
    return doc_object_done(&out);
}

// ---- Paths ----

// What "/" lists: one entry a document, in byte order.
static struct doc_value path_list(const struct api_kinds *kinds, struct arena *arena) {
    static const char *const others[] = {"/healthz",    "/livez",  "/metrics", "/openapi/v2",
                                         "/openapi/v3", "/readyz", "/version"};
    struct doc_array paths = doc_array_start(arena);
    VEC(struct str) groups = {0};
    const struct api_kind *kind;
    for (size_t i = 0; api_kinds_next(kinds, &i, &kind);) {
        struct str name = arena_printf(arena, "/apis/%.*s", STR_ARG(kind->group));
        struct str both[] = {
            name, arena_printf(arena, "%.*s/%.*s", STR_ARG(name), STR_ARG(kind->version))};
        for (size_t b = 0; kind->group.n && b < ARRAY_LEN(both); b++) {
            size_t at = 0;
            while (at < groups.len && str_cmp(groups.items[at], both[b]) < 0) {
                at++;
            }
            if (at < groups.len && str_eq(groups.items[at], both[b])) {
                continue;
            }
            VEC_PUSH(&groups, both[b]);
            memmove(groups.items + at + 1, groups.items + at,
                    (groups.len - 1 - at) * sizeof(both[b]));
            groups.items[at] = both[b];
        }
    }
    doc_array_add(&paths, DOC_S("/api"));
    doc_array_add(&paths, DOC_S("/api/v1"));
    doc_array_add(&paths, DOC_S("/apis"));
    for (size_t i = 0; i < groups.len; i++) {
        doc_array_add(&paths, doc_make_str(groups.items[i]));
    }
    VEC_FREE(&groups);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        doc_array_add(&paths, doc_make_str(str_from(others[i])));
    }
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "paths", doc_array_done(&paths));
    return doc_object_done(&out);
}

static bool find_apis(const struct api_kinds *kinds, struct str rest, struct arena *arena,
                      struct doc_value *value) {
    struct str group, version, more;
    if (!str_cut(rest, '/', &group, &version)) {
        return one_group(kinds, group, arena, value);
    }
    if (str_cut(version, '/', &version, &more)) {
        return false;
    }
    return group.n > 0 && resource_list(kinds, group, version, arena, value);
}

bool api_discovery_page(const struct api_kinds *kinds, struct str path, struct str query,
                        struct str accept, struct arena *arena, struct api_text *page) {
    if (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    if (str_starts(path, STR("/openapi/"))) {
        return api_openapi_get(kinds, path, query, accept, arena, page);
    }
    struct doc_value value;
    page->content_type = STR("application/json");
    const char *version = aggregated_version(accept);
    if (str_eq(path, STR("/version"))) {
        value = version_info(arena);
    } else if (str_eq(path, STR("/api")) || str_eq(path, STR("/apis"))) {
        bool core = str_eq(path, STR("/api"));
        if (version) {
            value = aggregated(kinds, core, version, arena);
            page->content_type = arena_printf(
                arena, "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList",
                version);
        } else {
            value = core ? core_versions(arena, page->server) : group_list(kinds, arena);
        }
    } else if (str_eq(path, STR("/"))) {
        value = path_list(kinds, arena);
    } else if (str_eq(path, STR("/api/v1"))) {
        if (!resource_list(kinds, STR(""), STR("v1"), arena, &value)) {
            return false;
        }
    } else if (!str_starts(path, STR("/apis/")) ||
               !find_apis(kinds, str_skip(path, strlen("/apis/")), arena, &value)) {
        return false;
    }
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    bool is_version = str_eq(path, STR("/version"));
    if (is_version ? !doc_print_json_indent(&value, 2, &out)
                   : !doc_print_json(&value, &out) || !buf_add_char(&out, '\n')) {
        return false;
    }
    page->body = blob_from_buf(&out);
    return true;
}

bool api_discovery_get(const struct api_kinds *kinds, struct str path, struct str accept,
                       struct arena *arena, struct str *content_type, struct buf *out) {
    struct api_text page = {0};
    struct str query = {NULL, 0};
    str_cut(path, '?', &path, &query);
    if (!api_discovery_page(kinds, path, query, accept, arena, &page)) {
        return false;
    }
    *content_type = page.content_type;
    bool ok = buf_add_str(out, blob_str(page.body));
    blob_unref(page.body);
    return ok;
}
