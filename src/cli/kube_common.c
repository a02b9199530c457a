// SPDX-License-Identifier: Apache-2.0
#include "cli/kube.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "doc/yaml.h"

bool kube_session_open(struct kube_session *session, struct cli *cli,
                       const struct connection_settings *settings, struct err *err) {
    if (!connection_open(&session->connection, cli, settings, err)) {
        return false;
    }
    struct connection *c = &session->connection;
    session->ns = settings->ns.n ? settings->ns : c->config.ns.n ? c->config.ns : STR("default");
    session->mapper = kube_mapper_create(c->client);
    return kube_mapper_refresh_wait(c->loop, session->mapper, err);
}

void kube_session_close(struct kube_session *session) {
    if (session->mapper) {
        kube_mapper_destroy(session->mapper);
    }
    connection_close(&session->connection);
}

const struct kube_resource *kube_session_kind(struct kube_session *session, struct str word,
                                              struct err *err) {
    const struct kube_resource *resource = kube_mapper_find_word(session->mapper, word);
    if (!resource) {
        err_set(err, ERR_NOT_FOUND,
                "the cluster has no kind \"%.*s\"; \"kube get customresourcedefinitions\" shows "
                "the custom ones",
                STR_ARG(word));
    }
    return resource;
}

const struct kube_resource *kube_session_kind_of(struct kube_session *session,
                                                 const struct doc_value *object, struct err *err) {
    struct str group, version, kind = doc_get_str(object, "kind");
    kube_split_api_version(doc_get_str(object, "apiVersion"), &group, &version);
    const struct kube_resource *resource =
        kube_mapper_find_kind(session->mapper, (struct kube_gvk){group, version, kind});
    if (!resource) {
        err_set(err, ERR_NOT_FOUND,
                "the cluster has no kind \"%.*s\" in \"%.*s\": apply its CRD first", STR_ARG(kind),
                STR_ARG(doc_get_str(object, "apiVersion")));
    }
    return resource;
}

struct str kube_kind_text(struct arena *arena, const struct kube_resource *resource) {
    char *kind = arena_cstr(arena, resource->kind);
    for (char *p = kind; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p - 'A' + 'a');
        }
    }
    return resource->gvr.group.n
               ? arena_printf(arena, "%s.%.*s", kind, STR_ARG(resource->gvr.group))
               : str_from(kind);
}

static bool add_target(struct kube_session *session, struct str kind, struct str name,
                       struct kube_targets *out, struct err *err) {
    struct kube_target target = {kube_session_kind(session, kind, err), name};
    if (!target.resource) {
        return false;
    }
    VEC_PUSH(&out->items, target);
    return true;
}

bool kube_targets_parse(struct kube_session *session, int argc, char **argv,
                        struct kube_targets *out, struct err *err) {
    if (argc == 0) {
        return err_set(err, ERR_USAGE, "name a kind: pods, deployments.apps, app, ...");
    }
    struct str first = str_from(argv[0]), rest = first, kind, name;
    bool by_slash = str_find_char(first, '/') != STR_NPOS;
    for (int i = by_slash ? 0 : 1; i < argc; i++) {
        struct str word = str_from(argv[i]);
        bool has_slash = str_cut(word, '/', &kind, &name);
        if (has_slash != by_slash || word.n == 0 || (has_slash && name.n == 0)) {
            return err_set(err, ERR_USAGE, "write either KIND NAME... or KIND/NAME..., not \"%s\"",
                           argv[i]);
        }
        if (!add_target(session, by_slash ? kind : first, by_slash ? name : word, out, err)) {
            return false;
        }
    }
    bool ok = true;
    if (str_eq(rest, STR("all"))) {
        rest = STR("pods,replicationcontrollers,services,daemonsets.apps,deployments.apps,"
                   "replicasets.apps,statefulsets.apps,horizontalpodautoscalers.autoscaling,"
                   "cronjobs.batch,jobs.batch");
    }
    bool by_kind = out->items.len == 0;
    while (ok && by_kind && str_next(&rest, ',', &kind)) {
        ok = add_target(session, kind, STR(""), out, err);
    }
    return ok;
}

// ---- Manifests ----
static bool add_object(const struct doc_value *object, struct str file, uint32_t line,
                       struct kube_manifests *out, struct err *err) {
    if (doc_is_null(object)) {
        return true;
    }
    if (str_ends(doc_get_str(object, "kind"), STR("List")) &&
        doc_is(doc_get(object, "items"), DOC_ARRAY)) {
        for (DOC_EACH_ITEM(doc_get(object, "items"), item)) {
            if (!add_object(item, file, line, out, err)) {
                return false;
            }
        }
        return true;
    }
    if (!doc_get_str(object, "kind").n || !doc_get_str(object, "apiVersion").n ||
        !doc_get_str(object, "metadata", "name").n) {
        return err_set(err, ERR_INVALID,
                       "%.*s:%u: a manifest needs apiVersion, kind and metadata.name, each a text",
                       STR_ARG(file), line);
    }
    VEC_PUSH(&out->items, *object);
    return true;
}

static bool read_one(const char *path, struct arena *arena, struct kube_manifests *out,
                     struct err *err) {
    struct str text;
    struct yaml_document *documents;
    size_t count;
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    if (!cli_read_file(path, LIMIT_YAML_BYTES, arena, &text, err)) {
        return false;
    }
    if (!yaml_parse(text, &options, arena, &documents, &count, err)) {
        return err_wrap_file(err, str_from(path));
    }
    for (size_t i = 0; i < count; i++) {
        if (!add_object(&documents[i].root, str_from(path), documents[i].line, out, err)) {
            return false;
        }
    }
    return true;
}

static int is_manifest(const struct dirent *entry) {
    struct str name = str_from(entry->d_name);
    return entry->d_name[0] != '.' && (str_ends(name, STR(".yaml")) ||
                                       str_ends(name, STR(".yml")) || str_ends(name, STR(".json")));
}

static bool read_folder(const char *path, struct arena *arena, struct kube_manifests *out,
                        struct err *err) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_manifest, alphasort);
    if (count < 0) {
        return err_errno(err, errno, "%s", path);
    }
    bool ok = count > 0 || err_set(err, ERR_NOT_FOUND, "%s has no .yaml, .yml or .json file", path);
    for (int i = 0; i < count; i++) {
        ok = ok &&
             read_one(arena_printf(arena, "%s/%s", path, entries[i]->d_name).p, arena, out, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool kube_manifests_read(const struct cli_list *files, struct arena *arena,
                         struct kube_manifests *out, struct err *err) {
    for (size_t i = 0; i < files->items.len; i++) {
        const char *path = arena_cstr(arena, files->items.items[i]);
        struct stat about;
        bool is_folder =
            strcmp(path, "-") != 0 && stat(path, &about) == 0 && S_ISDIR(about.st_mode);
        if (!(is_folder ? read_folder : read_one)(path, arena, out, err)) {
            return false;
        }
    }
    return out->items.len > 0 ||
           err_set(err, ERR_USAGE,
                   "there is no manifest: give -f FILE, or -f - for standard input");
}

// ---- The list of commands ----
static const struct cli_command *const commands[] = {
    &cli_kube_get, &cli_kube_apply, &cli_kube_patch, &cli_kube_delete, NULL,
};

const struct cli_command cli_kube = {
    .name = "kube",
    .summary = "Any object of the cluster: get, apply, patch, delete.",
    .usage = "COMMAND [OPTIONS]",
    .about = "A small hand tool, so that nothing else is needed; kubectl works with the same "
             "kubeconfig and does more.",
    .examples = "  skiff kube get pods -A\n"
                "  skiff kube apply -f deploy.yaml",
    .children = commands,
};
