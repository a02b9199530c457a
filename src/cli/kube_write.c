// SPDX-License-Identifier: Apache-2.0
// `skiff kube apply`, `patch` and `delete`.
#include <stdio.h>

#include "base/timefmt.h"
#include "cli/kube.h"
#include "diff/diff.h"
#include "doc/yaml.h"
#include "schema/schema.h"

enum { CRD_ATTEMPTS = 20, APPLY_ATTEMPTS = 5 };

static void stop_loop(void *ctx) {
    loop_stop(ctx);
}

static void pause_loop(struct loop *loop, int64_t ns) {
    struct loop_timer *timer = loop_timer_create(loop, stop_loop, loop);
    loop_timer_start(timer, ns);
    loop_run(loop);
    loop_timer_destroy(timer);
}

// ---- apply ----
struct apply {
    struct kube_session session;
    struct cli_list files;
    struct str dry_run, field_manager;
    bool server_side, force_conflicts, is_dry, saw_crd;
    struct arena *arena;
};

// The CRD of a kind may stand in the same file: the cluster needs a moment to serve it.
static const struct kube_resource *find_kind(struct apply *apply, const struct doc_value *object,
                                             struct err *err) {
    struct connection *c = &apply->session.connection;
    for (int i = 0;; i++) {
        const struct kube_resource *resource = kube_session_kind_of(&apply->session, object, err);
        if (resource || !apply->saw_crd || i >= CRD_ATTEMPTS) {
            return resource;
        }
        *err = (struct err){0};
        if (i > 0) {
            pause_loop(c->loop, 250 * NS_PER_MS);
        }
        if (!kube_mapper_refresh_wait(c->loop, apply->session.mapper, err)) {
            return NULL;
        }
    }
}

static bool place(struct apply *apply, const struct kube_resource *resource,
                  struct doc_value *object, struct str *ns, struct err *err) {
    struct str written = doc_get_str(object, "metadata", "namespace");
    if (!resource->namespaced) {
        *ns = STR("");
        return written.n == 0 ||
               err_set(err, ERR_INVALID, "%.*s is cluster-wide: it takes no namespace",
                       STR_ARG(resource->kind));
    }
    *ns = written.n ? written : apply->session.ns;
    *object = doc_with(apply->arena, object, doc_make_str(*ns), "metadata", "namespace");
    return true;
}

static struct kube_request request_for(const struct apply *apply,
                                       const struct kube_resource *resource, struct str ns) {
    return (struct kube_request){.gvr = resource->gvr,
                                 .ns = ns,
                                 .dry_run = apply->is_dry,
                                 .field_manager = apply->field_manager,
                                 .field_validation = STR("Strict"),
                                 .grace_seconds = -1};
}

static bool apply_three_way(struct apply *apply, const struct kube_resource *resource,
                            struct str ns, const struct doc_value *object, const char **what,
                            struct err *err) {
    struct connection *c = &apply->session.connection;
    struct kube_request request = request_for(apply, resource, ns);
    struct str name = doc_get_str(object, "metadata", "name");
    struct doc_value live, answer;
    struct diff_apply change;
    bool exists = connection_get(c, resource->gvr, ns, name, &live, err);
    if (!exists && !err_is(err, ERR_NOT_FOUND)) {
        return false;
    }
    *err = (struct err){0};
    if (!diff_apply_patch(apply->arena, object, exists ? &live : NULL, &change, err)) {
        return false;
    }
    if (!exists) {
        *what = "created";
        request.verb = KUBE_CREATE;
        request.body = doc_to_json(apply->arena, &change.object);
        return connection_send(c, &request, &answer, err);
    }
    *what = "unchanged";
    if (change.is_empty) {
        return true;
    }
    request.verb = KUBE_PATCH;
    request.name = name;
    request.patch = change.is_strategic ? KUBE_PATCH_STRATEGIC : KUBE_PATCH_MERGE;
    request.body = doc_to_json(apply->arena, &change.patch);
    if (!connection_send(c, &request, &answer, err)) {
        return false;
    }
    if (!str_eq(doc_get_str(&answer, "metadata", "resourceVersion"),
                doc_get_str(&live, "metadata", "resourceVersion")) ||
        apply->is_dry) {
        *what = "configured";
    }
    return true;
}

static bool apply_server_side(struct apply *apply, const struct kube_resource *resource,
                              struct str ns, const struct doc_value *object, const char **what,
                              struct err *err) {
    struct kube_request request = request_for(apply, resource, ns);
    struct doc_value answer;
    request.verb = KUBE_PATCH;
    request.patch = KUBE_PATCH_APPLY;
    request.name = doc_get_str(object, "metadata", "name");
    request.force = apply->force_conflicts;
    request.body = doc_to_json(apply->arena, object);
    *what = "serverside-applied";
    return connection_send(&apply->session.connection, &request, &answer, err);
}

static bool apply_one(struct apply *apply, const struct doc_value *manifest, struct err *err) {
    struct doc_value object = *manifest;
    struct str ns, name = doc_get_str(manifest, "metadata", "name");
    const char *what = "";
    const struct kube_resource *resource = find_kind(apply, &object, err);
    if (!resource || !place(apply, resource, &object, &ns, err)) {
        return err_wrap(err, "%.*s \"%.*s\"", STR_ARG(doc_get_str(manifest, "kind")),
                        STR_ARG(name));
    }
    bool ok = false;
    for (int i = 0; i < APPLY_ATTEMPTS && !ok; i++) {
        *err = (struct err){0};
        ok = (apply->server_side ? apply_server_side : apply_three_way)(apply, resource, ns,
                                                                        &object, &what, err);
        if (!ok && (apply->server_side || (err->code != ERR_CONFLICT && err->code != ERR_EXISTS))) {
            break;
        }
    }
    if (!ok) {
        return err_wrap(err, "%.*s \"%.*s\"", STR_ARG(doc_get_str(manifest, "kind")),
                        STR_ARG(name));
    }
    apply->saw_crd |= str_eq(doc_get_str(manifest, "kind"), STR("CustomResourceDefinition"));
    printf("%.*s/%.*s %s%s\n", STR_ARG(kube_kind_text(apply->arena, resource)), STR_ARG(name), what,
           apply->is_dry ? " (server dry run)" : "");
    return true;
}

static int run_apply(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct apply apply = {
        .arena = cli->arena, .field_manager = STR("skiff-apply"), .dry_run = STR("none")};
    struct cli_option options[] = {
        {"filename", 'f', CLI_LIST, &apply.files, "FILE",
         "Manifests: a file, a folder or \"-\"; may be repeated."},
        {"dry-run", 0, CLI_TEXT, &apply.dry_run, "MODE",
         "server: let the cluster check it only (default none)."},
        {"server-side", 0, CLI_FLAG, &apply.server_side, NULL,
         "Let the server merge, with owners of fields."},
        {"force-conflicts", 0, CLI_FLAG, &apply.force_conflicts, NULL,
         "With --server-side: take fields over."},
        {"field-manager", 0, CLI_TEXT, &apply.field_manager, "NAME",
         "Owner of the fields (default skiff-apply)."},
        CLUSTER_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct kube_manifests manifests = {{0}};
    bool ok =
        words == 0 || err_set(&err, ERR_USAGE, "takes files with -f, but got \"%s\"", argv[0]);
    apply.is_dry = str_eq(apply.dry_run, STR("server"));
    if (ok && !apply.is_dry && !str_eq(apply.dry_run, STR("none"))) {
        ok = err_set(&err, ERR_USAGE, "--dry-run is server or none");
    }
    ok = ok && kube_manifests_read(&apply.files, cli->arena, &manifests, &err) &&
         kube_session_open(&apply.session, cli, &settings, &err);
    code = ok ? EXIT_DONE : cli_fail_err(cli, &err);
    for (size_t i = 0; ok && i < manifests.items.len; i++) {
        if (!apply_one(&apply, &manifests.items.items[i], &err)) {
            fflush(stdout);
            code = cli_fail_err(cli, &err); // the others are applied all the same
        }
    }
    kube_session_close(&apply.session);
    VEC_FREE(&manifests.items);
    VEC_FREE(&apply.files.items);
    return code;
}

const struct cli_command cli_kube_apply = {
    .name = "apply",
    .summary = "Make objects as manifests say: create them, or change what differs.",
    .usage = "-f FILE|DIR|- [-n NAMESPACE] [--server-side] [--dry-run=server]",
    .about = "The same three-way merge as kubectl apply, with the same annotation, so that both "
             "can be used in turn.\n"
             "One manifest that fails does not stop the others.",
    .examples = "  skiff kube apply -f app.yaml\n"
                "  cat *.yaml | skiff kube apply -f - -n shop",
    .run = run_apply,
};

// ---- patch ----
struct patch {
    struct kube_session session;
    struct str text, file, type, subresource, output;
};

static bool choose_type(const struct kube_resource *resource, struct str type, enum kube_patch *out,
                        struct err *err) {
    const struct kube_gvr *gvr = &resource->gvr;
    if (type.n == 0) {
        *out = schema_find(gvr->group, gvr->version, resource->kind) ? KUBE_PATCH_STRATEGIC
                                                                     : KUBE_PATCH_MERGE;
    } else if (str_eq(type, STR("merge"))) {
        *out = KUBE_PATCH_MERGE;
    } else if (str_eq(type, STR("strategic"))) {
        *out = KUBE_PATCH_STRATEGIC;
    } else if (str_eq(type, STR("json"))) {
        *out = KUBE_PATCH_JSON;
    } else {
        return err_set(err, ERR_USAGE, "--type is merge, strategic or json");
    }
    return true;
}

static bool patch_body(struct patch *patch, struct arena *arena, struct str *out, struct err *err) {
    struct yaml_document *documents;
    size_t count;
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true};
    struct str text = patch->text;
    if ((text.n > 0) == (patch->file.n > 0)) {
        return err_set(err, ERR_USAGE, "give the patch with -p JSON or --patch-file FILE");
    }
    if (patch->file.n &&
        !cli_read_file(arena_cstr(arena, patch->file), 3 << 20, arena, &text, err)) {
        return false;
    }
    if (!yaml_parse(text, &options, arena, &documents, &count, err) || count != 1) {
        return err->code ? err_wrap(err, "the patch")
                         : err_set(err, ERR_USAGE, "the patch is not one document");
    }
    *out = doc_to_json(arena, &documents[0].root);
    return true;
}

static int run_patch(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct patch patch = {.output = STR("")};
    struct cli_option options[] = {
        {"patch", 'p', CLI_TEXT, &patch.text, "JSON", "The patch, as JSON or YAML."},
        {"patch-file", 0, CLI_TEXT, &patch.file, "FILE", "The patch from a file."},
        {"type", 0, CLI_TEXT, &patch.type, "TYPE",
         "merge, strategic or json (default: strategic, merge for custom kinds)."},
        {"subresource", 0, CLI_TEXT, &patch.subresource, "NAME", "status or scale."},
        {"output", 'o', CLI_TEXT, &patch.output, "FORMAT", "yaml or json: print the result."},
        CLUSTER_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct kube_targets targets = {{0}};
    struct kube_request request = {
        .verb = KUBE_PATCH, .field_manager = STR("skiff-patch"), .grace_seconds = -1};
    struct doc_value answer;
    bool ok = patch_body(&patch, cli->arena, &request.body, &err) &&
              kube_session_open(&patch.session, cli, &settings, &err) &&
              kube_targets_parse(&patch.session, words, argv, &targets, &err) &&
              ((targets.items.len == 1 && targets.items.items[0].name.n) ||
               err_set(&err, ERR_USAGE, "takes one object: KIND NAME")) &&
              choose_type(targets.items.items[0].resource, patch.type, &request.patch, &err);
    if (ok) {
        const struct kube_target *target = &targets.items.items[0];
        request.gvr = target->resource->gvr;
        request.ns = target->resource->namespaced ? patch.session.ns : STR("");
        request.name = target->name;
        request.subresource = patch.subresource;
        ok = connection_send(&patch.session.connection, &request, &answer, &err);
        if (ok && out_is_document(patch.output)) {
            AUTO_BUF struct buf out;
            buf_init(&out, OUT_MAX);
            answer = doc_without(cli->arena, &answer, "metadata", "managedFields");
            ok = out_document(&answer, patch.output, 4, &out) && out_print(&out);
        } else if (ok) {
            printf("%.*s/%.*s patched\n", STR_ARG(kube_kind_text(cli->arena, target->resource)),
                   STR_ARG(target->name));
        }
    }
    kube_session_close(&patch.session);
    VEC_FREE(&targets.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_kube_patch = {
    .name = "patch",
    .summary = "Change parts of one object.",
    .usage = "KIND NAME -p JSON [--type merge|strategic|json] [-n NAMESPACE]",
    .about = "",
    .examples =
        "  skiff kube patch deploy web -n shop -p '{\"spec\":{\"replicas\":3}}'\n"
        "  skiff kube patch app shop -n argocd --type json \\\n"
        "      -p "
        "'[{\"op\":\"replace\",\"path\":\"/spec/source/targetRevision\",\"value\":\"v2\"}]'",
    .run = run_patch,
};

// ---- delete ----
struct removal {
    struct kube_session session;
    struct cli_list files;
    struct str cascade, selector;
    bool wait, ignore_not_found, all;
    int64_t timeout, grace;
    enum kube_propagation propagation;
    struct arena *arena;
};

static bool wait_gone(struct removal *r, const struct kube_resource *resource, struct str ns,
                      struct str name, struct str uid, struct err *err) {
    struct connection *c = &r->session.connection;
    int64_t start = loop_now(c->loop), pause = 50 * NS_PER_MS;
    for (;;) {
        struct doc_value object;
        if (!connection_get(c, resource->gvr, ns, name, &object, err)) {
            bool gone = err_is(err, ERR_NOT_FOUND);
            *err = gone ? (struct err){0} : *err;
            return gone;
        }
        if (!str_eq(doc_get_str(&object, "metadata", "uid"), uid)) {
            return true; // another one of this name
        }
        if (r->timeout && loop_now(c->loop) - start > r->timeout * NS_PER_SECOND) {
            return err_set(err, ERR_TIMEOUT, "timed out waiting for the end of %.*s",
                           STR_ARG(name));
        }
        pause_loop(c->loop, pause);
        pause = pause < NS_PER_SECOND ? pause * 2 : pause;
    }
}

static bool delete_one(struct removal *r, const struct kube_resource *resource, struct str ns,
                       struct str name, struct err *err) {
    struct connection *c = &r->session.connection;
    struct kube_request request = {.verb = KUBE_DELETE,
                                   .gvr = resource->gvr,
                                   .ns = ns,
                                   .name = name,
                                   .propagation = r->propagation,
                                   .grace_seconds = r->grace};
    struct doc_value answer;
    if (!connection_send(c, &request, &answer, err)) {
        if (r->ignore_not_found && err_is(err, ERR_NOT_FOUND)) {
            *err = (struct err){0};
            return true;
        }
        return false;
    }
    printf("%.*s \"%.*s\" deleted", STR_ARG(kube_kind_text(r->arena, resource)), STR_ARG(name));
    if (ns.n) {
        printf(" from %.*s namespace", STR_ARG(ns));
    }
    printf("\n");
    fflush(stdout);
    struct str uid = doc_get_str(&answer, "metadata", "uid");
    uid = uid.n ? uid : doc_get_str(&answer, "details", "uid");
    return !r->wait || uid.n == 0 || wait_gone(r, resource, ns, name, uid, err);
}

static bool delete_target(struct removal *r, const struct kube_target *target, struct err *err) {
    struct connection *c = &r->session.connection;
    struct str ns = target->resource->namespaced ? r->session.ns : STR("");
    if (target->name.n) {
        return delete_one(r, target->resource, ns, target->name, err);
    }
    if (!r->all && r->selector.n == 0) {
        return err_set(err, ERR_USAGE,
                       "name the objects, or choose them with -l SELECTOR or --all");
    }
    struct kube_request request = {.verb = KUBE_LIST,
                                   .gvr = target->resource->gvr,
                                   .ns = ns,
                                   .label_selector = r->selector,
                                   .grace_seconds = -1};
    struct doc_value *items;
    size_t count;
    bool ok = kube_list_wait(c->loop, c->client, &request, r->arena, &items, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        ok = delete_one(r, target->resource, ns, doc_get_str(&items[i], "metadata", "name"), err);
    }
    return ok;
}

static bool delete_manifests(struct removal *r, struct err *err) {
    struct kube_manifests manifests = {{0}};
    bool ok = kube_manifests_read(&r->files, r->arena, &manifests, err);
    for (size_t i = manifests.items.len;
         ok && i-- > 0;) { // the other way round than they were made
        const struct doc_value *object = &manifests.items.items[i];
        struct err unknown = {0};
        const struct kube_resource *resource = kube_session_kind_of(&r->session, object, &unknown);
        struct str ns = doc_get_str(object, "metadata", "namespace");
        if (!resource) {
            *err = unknown;
            ok = r->ignore_not_found;
            continue;
        }
        ns = !resource->namespaced ? STR("") : ns.n ? ns : r->session.ns;
        ok = delete_one(r, resource, ns, doc_get_str(object, "metadata", "name"), err);
    }
    VEC_FREE(&manifests.items);
    return ok;
}

static bool check(struct removal *r, int words, struct err *err) {
    static const struct {
        const char *word;
        enum kube_propagation value;
    } known[] = {{"background", KUBE_BACKGROUND},
                 {"foreground", KUBE_FOREGROUND},
                 {"orphan", KUBE_ORPHAN},
                 {"true", KUBE_BACKGROUND},
                 {"false", KUBE_ORPHAN}};
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq_c(r->cascade, known[i].word)) {
            r->propagation = known[i].value;
            found = true;
        }
    }
    if (!found) {
        return err_set(err, ERR_USAGE, "--cascade is background, foreground or orphan");
    }
    if ((words > 0) == (r->files.items.len > 0)) {
        return err_set(err, ERR_USAGE, "name objects (KIND NAME) or files (-f FILE)");
    }
    return true;
}

static int run_delete(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct removal r = {
        .arena = cli->arena, .cascade = STR("background"), .wait = true, .grace = -1};
    struct cli_option options[] = {
        {"filename", 'f', CLI_LIST, &r.files, "FILE",
         "What these manifests name; may be repeated."},
        {"cascade", 0, CLI_TEXT, &r.cascade, "POLICY",
         "What they own: background, foreground or orphan (default background)."},
        {"selector", 'l', CLI_TEXT, &r.selector, "SELECTOR", "All of the kind with these labels."},
        {"all", 0, CLI_FLAG, &r.all, NULL, "All of the kind in the namespace."},
        {"wait", 0, CLI_FLAG, &r.wait, NULL, "Wait until they are gone (default true)."},
        {"timeout", 0, CLI_NUMBER, &r.timeout, "SECONDS",
         "Give up waiting after so long (default 0: never)."},
        {"grace-period", 0, CLI_NUMBER, &r.grace, "SECONDS", "For pods; 0 with the kubelet gone."},
        {"ignore-not-found", 0, CLI_FLAG, &r.ignore_not_found, NULL,
         "What is missing is no error."},
        CLUSTER_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    struct err err = {0};
    struct kube_targets targets = {{0}};
    bool ok = check(&r, words, &err) && kube_session_open(&r.session, cli, &settings, &err);
    if (ok && words) {
        ok = kube_targets_parse(&r.session, words, argv, &targets, &err);
        for (size_t i = 0; ok && i < targets.items.len; i++) {
            ok = delete_target(&r, &targets.items.items[i], &err);
        }
    } else if (ok) {
        ok = delete_manifests(&r, &err);
    }
    kube_session_close(&r.session);
    VEC_FREE(&targets.items);
    VEC_FREE(&r.files.items);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_kube_delete = {
    .name = "delete",
    .summary = "Delete objects, and wait until they are gone.",
    .usage = "KIND NAME... | -f FILE  [--cascade background|foreground|orphan]",
    .about = "",
    .examples = "  skiff kube delete deploy web -n shop\n"
                "  skiff kube delete -f app.yaml --wait=false",
    .run = run_delete,
};
