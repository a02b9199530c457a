// SPDX-License-Identifier: Apache-2.0
// From a task of the sync planner to the call that carries it out.
#include "app/plan_internal.h"

#include "app/project.h"
#include "diff/diff.h"

const struct compared *app_find_compared(const struct planning *planning,
                                         const struct sync_resource *resource) {
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct app_object *object = planning->compared[i].object;
        if (str_eq(object->name, resource->name) && str_eq(object->ns, resource->ns) &&
            str_eq(object->kind, resource->kind) && str_eq(object->group, resource->group)) {
            return &planning->compared[i];
        }
    }
    return NULL;
}

struct sync_options app_sync_options(const struct planning *planning,
                                     const struct doc_value *operation) {
    struct sync_options options = {.validate = true};
    const struct doc_value *sync = doc_get(operation, "sync");
    struct str unknown = {NULL, 0};
    sync_options_read(doc_get(planning->in->app, "spec", "syncPolicy", "syncOptions"), &options,
                      planning->arena, &unknown);
    sync_options_read(doc_get(sync, "syncOptions"), &options, planning->arena, NULL);
    options.prune = doc_bool(doc_get(sync, "prune"), false);
    options.dry_run = doc_bool(doc_get(sync, "dryRun"), false);
    options.force = options.force ||
                    doc_bool(doc_get(sync, "syncStrategy", "apply", "force"), false) ||
                    doc_bool(doc_get(sync, "syncStrategy", "hook", "force"), false);
    const struct doc_value *selected = doc_get(sync, "resources");
    if (doc_len(selected)) {
        struct sync_selection *list =
            ARENA_ARRAY(planning->arena, doc_len(selected), struct sync_selection);
        for (DOC_EACH_ITEM(selected, item)) {
            list[options.selected_count++] =
                (struct sync_selection){doc_get_str(item, "group"), doc_get_str(item, "kind"),
                                        doc_get_str(item, "namespace"), doc_get_str(item, "name")};
        }
        options.has_selection = true;
        options.selected = list;
    }
    return options;
}

static struct str lower(struct arena *arena, struct str text) {
    char *out = arena_cstr(arena, text);
    for (size_t i = 0; i < text.n; i++) {
        out[i] = (char)(out[i] >= 'A' && out[i] <= 'Z' ? out[i] + 32 : out[i]);
    }
    return (struct str){out, text.n};
}

// "deployment.apps/web configured", as kubectl says it.
static struct str said(struct arena *arena, const struct sync_resource *r, const char *what) {
    return arena_printf(arena, "%.*s%s%.*s/%.*s %s", STR_ARG(lower(arena, r->kind)),
                        r->group.n ? "." : "", STR_ARG(r->group), STR_ARG(r->name), what);
}

static enum kube_propagation propagation_of(const struct planning *planning) {
    for (DOC_EACH_ITEM(doc_get(planning->in->app, "spec", "syncPolicy", "syncOptions"), item)) {
        struct str name, value;
        if (str_cut(doc_str(item), '=', &name, &value) &&
            str_eq(name, STR("PrunePropagationPolicy"))) {
            return str_eq(value, STR("background")) ? KUBE_BACKGROUND
                   : str_eq(value, STR("orphan"))   ? KUBE_ORPHAN
                                                    : KUBE_FOREGROUND;
        }
    }
    return KUBE_FOREGROUND;
}

static void make_delete(struct planning *planning, const struct sync_task *task,
                        struct app_call *out) {
    const struct sync_resource *r = task->resource;
    out->verb = KUBE_DELETE;
    out->propagation = propagation_of(planning);
    out->precondition_uid = doc_get_str(r->live, "metadata", "uid");
    out->outcome.status = SYNC_RESULT_PRUNED;
    out->outcome.message = planning->out && out->dry_run ? STR("pruned (dry run)") : STR("pruned");
}

static bool is_option(const struct doc_value *target, const char *name, bool fallback,
                      struct arena *arena) {
    struct str yes = arena_printf(arena, "%s=true", name),
               no = arena_printf(arena, "%s=false", name);
    return sync_has_option(target, no.p) ? false : fallback || sync_has_option(target, yes.p);
}

static bool make_apply(struct planning *planning, const struct sync_task *task,
                       const struct sync_options *options, struct app_call *out, struct err *err) {
    const struct sync_resource *r = task->resource;
    struct arena *arena = planning->arena;
    struct diff_apply apply;
    if (!diff_apply_patch(arena, r->target, r->live, &apply, err)) {
        return false;
    }
    bool replace = is_option(r->target, "Replace", options->replace, arena);
    out->force = is_option(r->target, "Force", options->force, arena);
    out->server_side =
        !replace && is_option(r->target, "ServerSideApply", options->server_side, arena);
    if (out->server_side) {
        out->verb = KUBE_PATCH;
        out->patch = KUBE_PATCH_APPLY;
        out->body = doc_to_json(arena, r->target);
        out->is_noop = r->live && !r->modified;
        out->outcome.message = said(arena, r, "serverside-applied");
    } else if (!r->live) {
        out->verb = KUBE_CREATE;
        out->body = doc_to_json(arena, replace ? r->target : &apply.object);
        out->outcome.message = said(arena, r, "created");
    } else if (replace) {
        struct doc_value body = *r->target;
        const struct doc_value *version = doc_get(r->live, "metadata", "resourceVersion");
        body =
            doc_with(arena, &body, version ? *version : doc_null(), "metadata", "resourceVersion");
        out->verb = KUBE_UPDATE;
        out->body = doc_to_json(arena, &body);
        out->outcome.message = said(arena, r, "replaced");
    } else {
        out->verb = KUBE_PATCH;
        out->patch = apply.is_strategic ? KUBE_PATCH_STRATEGIC : KUBE_PATCH_MERGE;
        out->body = doc_to_json(arena, &apply.patch);
        out->is_noop = apply.is_empty;
        out->outcome.message = said(arena, r, apply.is_empty ? "unchanged" : "configured");
    }
    return true;
}

// Would this sync make the namespace? A dry run of what goes into it could only fail.
static bool namespace_is_to_come(const struct planning *planning,
                                 const struct sync_options *options, struct str ns) {
    struct str destination = doc_get_str(planning->in->app, "spec", "destination", "namespace");
    if (options->create_namespace && !planning->in->namespace_live && str_eq(ns, destination)) {
        return true;
    }
    for (size_t i = 0; i < planning->compared_count; i++) {
        const struct app_object *o = planning->compared[i].object;
        if (str_eq(o->kind, STR("Namespace")) && str_eq(o->name, ns) && o->target && !o->live) {
            return true;
        }
    }
    return false;
}

// Nothing is deleted that does not carry our mark, whatever the reason.
static bool may_touch(const struct planning *planning, const struct sync_task *task,
                      const struct compared *c, const struct sync_options *options,
                      struct err *err) {
    const struct sync_resource *r = task->resource;
    bool deletes = task->action == SYNC_PRUNE || task->action == SYNC_HOOK_DELETE;
    struct str owner = deletes ? app_tracking_owner(r->live, planning->in->settings->tracking,
                                                    r->group, planning->arena)
                               : (struct str){NULL, 0};
    if (deletes && !str_eq(owner, planning->instance)) {
        return err_set(err, ERR_FORBIDDEN,
                       "%.*s %.*s is there already and is not tracked by this application: delete "
                       "it by hand, or give the manifest another name",
                       STR_ARG(r->kind), STR_ARG(r->name));
    }
    if (!deletes && c && c->shared_with.n && options->fail_on_shared) {
        return err_set(err, ERR_FORBIDDEN,
                       "Shared resource found: %.*s/%.*s is part of application %.*s "
                       "(FailOnSharedResource=true)",
                       STR_ARG(r->kind), STR_ARG(r->name), STR_ARG(c->shared_with));
    }
    return true;
}

bool app_make_call(struct planning *planning, const struct sync_task *task,
                   const struct sync_options *options, struct app_call *out, struct err *err) {
    const struct sync_resource *r = task->resource;
    const struct compared *c = app_find_compared(planning, r);
    *out = (struct app_call){
        .gvr = {r->group, r->version, c ? c->object->resource : STR("namespaces")},
        .ns = r->is_namespaced ? r->ns : (struct str){NULL, 0},
        .name = r->name,
        .dry_run = options->dry_run,
        .rank =
            task->action == SYNC_PRUNE ? 1000 - sync_kind_rank(r->kind) : sync_kind_rank(r->kind),
        .outcome = {.group = r->group,
                    .version = r->version,
                    .kind = r->kind,
                    .ns = r->ns,
                    .name = task->hook_name,
                    .sync_phase = task->phase,
                    .status = SYNC_RESULT_SYNCED,
                    .hook_phase = OPERATION_RUNNING},
    };
    if (task->action == SYNC_HOOK_CREATE || task->action == SYNC_HOOK_DELETE) {
        out->outcome.is_hook = true;
        out->outcome.hook_type = str_from(sync_phase_name(task->phase));
    }
    if (!project_permits_kind(planning->in->project, r->group, r->kind, r->name,
                              r->is_namespaced)) {
        return err_set(err, ERR_FORBIDDEN, "resource %.*s:%.*s is not permitted in project %.*s.",
                       STR_ARG(r->group), STR_ARG(r->kind),
                       STR_ARG(doc_get_str(planning->in->project, "metadata", "name")));
    }
    if (r->is_namespaced &&
        !project_permits_destination(planning->in->project, planning->in->server,
                                     planning->in->cluster_name, r->ns)) {
        return err_set(err, ERR_FORBIDDEN, "namespace %.*s is not permitted in project '%.*s'",
                       STR_ARG(r->ns),
                       STR_ARG(doc_get_str(planning->in->project, "metadata", "name")));
    }
    if (!may_touch(planning, task, c, options, err)) {
        return false;
    }
    if (task->action == SYNC_PRUNE || task->action == SYNC_HOOK_DELETE) {
        make_delete(planning, task, out);
        return true;
    }
    if (options->dry_run && r->is_namespaced && namespace_is_to_come(planning, options, r->ns)) {
        out->is_noop = true;
        out->outcome.message =
            STR("not checked: this sync would create its namespace first (dry run)");
        return true;
    }
    return make_apply(planning, task, options, out, err);
}
