// SPDX-License-Identifier: Apache-2.0
// One reconcile: gathers what the planner needs, lets it plan on a worker, and carries out the plan. Each stage that has
// to wait puts the application back to idle; whatever it waits for queues it again, and it starts from the top.
#include "app/controller_internal.h"

#include "app/job.h"
#include "app/project.h"
#include "base/log.h"
#include "base/timefmt.h"

struct gathering {
    struct app_item *item;
    struct app_job *job;
    struct arena *arena;
    const struct doc_value *app;
    struct app_source_spec spec;
    struct app_source *source;          // whose manifests count
    const struct doc_value *source_doc; // their spec.source
    struct app_manifests *manifests;
    VEC(struct app_error) errors;
    VEC(struct app_error) warnings;
    VEC(struct app_object) objects;
    bool waits;
};

static void add_error(struct gathering *g, const char *type, const char *message) {
    VEC_PUSH(&g->errors, ((struct app_error){type, arena_dup(g->arena, str_from(message))}));
}

static void add_warning(struct gathering *g, const char *type, struct str message) {
    VEC_PUSH(&g->warnings, ((struct app_error){type, message}));
}

// ---- The job, and what it holds ----
static struct app_job *job_create(struct app_item *item) {
    struct app_job *job = NEW(struct app_job);
    job->arena = arena_create();
    job->settings = app_settings_ref(item->controller->settings);
    job->started_ns = loop_now(item->controller->loop);
    return job;
}

static void hold(struct app_job *job, struct blob *blob) {
    if (blob) {
        VEC_PUSH(&job->blobs, blob);
    }
}

// ---- Sources ----
static void set_source(struct app_item *item, struct app_source **slot, struct app_source *source) {
    if (*slot == source) {
        return;
    }
    struct app_source *old = *slot;
    *slot = source;
    if (source) {
        app_source_attach(source, item);
    }
    if (old && old != item->source && old != item->operation_source) {
        app_source_detach(old, item);
    }
}

static void find_sources(struct gathering *g) {
    struct app_item *item = g->item;
    struct app_controller *controller = item->controller;
    struct err err = {0};
    if (!app_source_of(g->app, &g->spec, &err) || !vcs_check_url(g->spec.url, &err) ||
        !vcs_check_revision(g->spec.revision, &err)) {
        add_error(g, "InvalidSpecError", err.message);
        set_source(item, &item->source, NULL);
        return;
    }
    set_source(item, &item->source, app_source_get(controller, g->spec.url, g->spec.revision));
    g->source = item->source;
    g->source_doc = g->spec.source;
    struct app_source_spec other;
    if (!app_operation_source(g->app, &other)) {
        set_source(item, &item->operation_source, NULL);
        return;
    }
    if (!vcs_check_url(other.url, &err) || !vcs_check_revision(other.revision, &err)) {
        add_error(g, "InvalidSpecError", err.message);
        return;
    }
    set_source(item, &item->operation_source,
               app_source_get(controller, other.url, other.revision));
    bool same = strcmp(item->operation_source->sha, item->source->sha) == 0 &&
                item->source->sha[0] && doc_equal(other.source, g->spec.source);
    if (!same) {
        g->source = item->operation_source;
        g->source_doc = arena_alloc(g->arena, sizeof *g->source_doc);
        *(struct doc_value *)(uintptr_t)g->source_doc = *other.source;
        g->job->input.is_for_operation = true;
    }
}

// The manifests at the wanted commit, or starts a render. False: come back later.
static bool find_manifests(struct gathering *g) {
    struct app_item *item = g->item;
    struct app_source *source = g->source;
    if (source->has_error) {
        add_error(g, "ComparisonError", source->error.message);
        return true;
    }
    if (!source->sha[0]) {
        return false;
    }
    if (item->waits_for_git ||
        (item->is_refresh && !item->refresh_resolved && source == item->source)) {
        return false; // the refresh asks Git first
    }
    bool for_operation = g->job->input.is_for_operation;
    struct app_manifests *have = for_operation ? item->operation_manifests : item->manifests;
    uint64_t hash = doc_hash(g->source_doc);
    bool usable = have && strcmp(have->sha, source->sha) == 0 &&
                  (have->bytes || have->count == 0) && !item->is_hard_refresh &&
                  (for_operation || item->source_hash == hash);
    if (usable) {
        g->manifests = have;
        return true;
    }
    bool failed = item->has_render_error && strcmp(item->render_error_sha, source->sha) == 0 &&
                  !item->is_hard_refresh && item->source_hash == hash;
    if (failed) {
        add_error(g, "ComparisonError", item->render_error->message);
        return true;
    }
    item->source_hash = hash;
    app_render(item, source, g->source_doc, doc_get_str(g->app, "spec", "project"),
               doc_get_str(g->app, "spec", "destination", "namespace"), for_operation);
    return false;
}

// ---- Project and destination ----
static void find_project(struct gathering *g) {
    struct app_controller *controller = g->item->controller;
    struct str name = doc_get_str(g->app, "spec", "project");
    name = name.n ? name : STR("default");
    struct blob *text = app_project_text(controller, name);
    hold(g->job, text);
    struct doc_value *project = arena_alloc(g->arena, sizeof *project);
    if (!text || !doc_parse_json(blob_str(text), g->arena, project, NULL)) {
        add_error(g, "InvalidSpecError",
                  arena_printf(g->arena,
                               "Application referencing project %.*s which does not exist",
                               STR_ARG(name))
                      .p);
        return;
    }
    g->job->input.project = project;
    if (g->source_doc && !project_permits_source(project, doc_get_str(g->source_doc, "repoURL"))) {
        add_error(g, "InvalidSpecError",
                  arena_printf(g->arena, "application repo %.*s is not permitted in project '%.*s'",
                               STR_ARG(doc_get_str(g->source_doc, "repoURL")), STR_ARG(name))
                      .p);
    }
}

static void find_cluster(struct gathering *g) {
    struct app_item *item = g->item;
    const struct doc_value *destination = doc_get(g->app, "spec", "destination");
    struct str server = doc_get_str(destination, "server"), name = doc_get_str(destination, "name");
    struct err err = {0};
    if (server.n == 0 && name.n == 0) {
        add_error(g, "InvalidSpecError",
                  "Destination server missing from app spec: set spec.destination.server or name");
        return;
    }
    struct app_cluster *cluster = app_cluster_get(item->controller, server, name, &err);
    app_cluster_use(item, cluster);
    if (!cluster) {
        add_error(g, "InvalidSpecError", err.message);
        return;
    }
    g->job->input.server = cluster->server;
    g->job->input.cluster_name = cluster->name;
    struct str ns = doc_get_str(destination, "namespace");
    if (g->job->input.project &&
        !project_permits_destination(g->job->input.project, cluster->server, cluster->name, ns)) {
        add_error(
            g, "InvalidSpecError",
            arena_printf(
                g->arena,
                "application destination server '%.*s' and namespace '%.*s' do not match any of "
                "the allowed destinations in project '%.*s'",
                STR_ARG(cluster->server), STR_ARG(ns),
                STR_ARG(doc_get_str(g->app, "spec", "project")))
                .p);
    }
    if (cluster->has_error) {
        add_error(g, "ComparisonError", cluster->error.message);
    }
}

// ---- Objects ----
static void look_up_live(struct gathering *g, struct app_object *object,
                         const struct kube_gvr *gvr) {
    struct app_item *item = g->item;
    struct kube_cache *cache = item->cluster->cache;
    if (!app_cluster_shows(item->cluster, object->is_namespaced ? object->ns : STR(""))) {
        add_error(g, "ComparisonError",
                  object->is_namespaced
                      ? arena_printf(g->arena,
                                     "Namespace \"%.*s\" for %.*s \"%.*s\" is not managed: the "
                                     "cluster's Secret does not name it",
                                     STR_ARG(object->ns), STR_ARG(object->kind),
                                     STR_ARG(object->name))
                            .p
                      : arena_printf(g->arena,
                                     "Cluster level %.*s \"%.*s\" can not be managed: the "
                                     "cluster's Secret names namespaces only",
                                     STR_ARG(object->kind), STR_ARG(object->name))
                            .p);
        return;
    }
    app_cluster_want(item, gvr, object->is_namespaced);
    if (!kube_cache_is_synced(cache, gvr)) {
        const struct err *error = kube_cache_error(cache, gvr);
        if (error) {
            add_error(g, "ComparisonError",
                      arena_printf(g->arena, "failed to list %.*s: %s", STR_ARG(gvr->resource),
                                   error->message)
                          .p);
        } else {
            g->waits = true;
        }
        return;
    }
    object->live =
        kube_cache_text(cache, gvr, object->is_namespaced ? object->ns : STR(""), object->name);
    hold(g->job, object->live);
}

static void take_manifest(struct gathering *g, const struct app_manifest *manifest,
                          struct map *seen) {
    struct app_item *item = g->item;
    struct app_object object = {.group = manifest->group,
                                .version = manifest->version,
                                .kind = manifest->kind,
                                .name = manifest->name,
                                .target = manifest->text,
                                .place = manifest->place};
    if (app_settings_excludes(g->job->settings, object.group, object.kind, item->cluster->server)) {
        add_warning(g, "ExcludedResourceWarning",
                    arena_printf(g->arena, "Resource %.*s/%.*s %.*s is excluded in the settings",
                                 STR_ARG(object.group), STR_ARG(object.kind),
                                 STR_ARG(object.name)));
        return;
    }
    const struct kube_resource *resource = kube_mapper_find_kind(
        item->cluster->mapper,
        (struct kube_gvk){manifest->group, manifest->version, manifest->kind});
    struct str default_ns = doc_get_str(g->app, "spec", "destination", "namespace");
    object.is_unknown_kind = resource == NULL;
    object.is_namespaced = resource ? resource->namespaced : manifest->ns.n > 0 || default_ns.n > 0;
    object.ns = !object.is_namespaced ? STR("") : manifest->ns.n ? manifest->ns : default_ns;
    if (object.is_namespaced && object.ns.n == 0) {
        add_error(
            g, "InvalidSpecError",
            arena_printf(g->arena,
                         "%.*s: Namespace for %.*s %.*s is missing: set metadata.namespace or "
                         "spec.destination.namespace",
                         STR_ARG(object.place), STR_ARG(object.name), STR_ARG(object.kind))
                .p);
        return;
    }
    struct str key = arena_printf(g->arena, "%.*s/%.*s/%.*s/%.*s", STR_ARG(object.group),
                                  STR_ARG(object.kind), STR_ARG(object.ns), STR_ARG(object.name));
    size_t index = (size_t)(uintptr_t)map_put(seen, key, (void *)(uintptr_t)(g->objects.len + 1));
    if (index) {
        add_warning(g, "RepeatedResourceWarning",
                    arena_printf(g->arena,
                                 "Resource %.*s appeared 2 times among application resources.",
                                 STR_ARG(key)));
        map_put(seen, key, (void *)(uintptr_t)index);
        g->objects.items[index - 1].target = object.target; // the last one counts
        g->objects.items[index - 1].place = object.place;
        return;
    }
    if (resource) {
        object.resource = arena_dup(g->arena, resource->gvr.resource);
        look_up_live(g, &object, &resource->gvr);
    }
    VEC_PUSH(&g->objects, object);
}

// What carries our mark and is not desired any more.
static void take_extra(struct gathering *g, const struct kube_cache_ref *ref, struct map *seen) {
    struct app_item *item = g->item;
    struct blob *text =
        kube_cache_text(item->cluster->cache, &ref->gvr, ref->object->ns, ref->object->name);
    struct doc_value live;
    if (!text || !doc_parse_json(blob_str(text), g->arena, &live, NULL)) {
        blob_unref(text);
        return;
    }
    hold(g->job, text);
    // What an owner made goes with its owner, and excluded kinds are nobody's business.
    if (doc_len(doc_get(&live, "metadata", "ownerReferences")) ||
        app_settings_excludes(g->job->settings, ref->gvr.group, doc_get_str(&live, "kind"),
                              item->cluster->server)) {
        return;
    }
    struct app_object object = {.group = arena_dup(g->arena, ref->gvr.group),
                                .version = arena_dup(g->arena, ref->gvr.version),
                                .resource = arena_dup(g->arena, ref->gvr.resource),
                                .kind = doc_get_str(&live, "kind"),
                                .ns = doc_get_str(&live, "metadata", "namespace"),
                                .name = doc_get_str(&live, "metadata", "name"),
                                .is_namespaced = doc_get_str(&live, "metadata", "namespace").n > 0,
                                .live = text};
    struct str key = arena_printf(g->arena, "%.*s/%.*s/%.*s/%.*s", STR_ARG(object.group),
                                  STR_ARG(object.kind), STR_ARG(object.ns), STR_ARG(object.name));
    if (!map_find(seen, key)) {
        map_put(seen, key, (void *)(uintptr_t)1);
        VEC_PUSH(&g->objects, object);
    }
}

// Kinds that the status knows are watched too, so that what left Git is still seen after a restart.
static void want_known_kinds(struct gathering *g) {
    struct app_item *item = g->item;
    for (DOC_EACH_ITEM(doc_get(g->app, "status", "resources"), entry)) {
        struct kube_gvk gvk = {doc_get_str(entry, "group"), doc_get_str(entry, "version"),
                               doc_get_str(entry, "kind")};
        const struct kube_resource *resource = kube_mapper_find_kind(item->cluster->mapper, gvk);
        bool shown = resource && (resource->namespaced || item->cluster->namespaces.n == 0);
        if (shown && resource->can_watch) {
            app_cluster_want(item, &resource->gvr, resource->namespaced);
            bool synced = kube_cache_is_synced(item->cluster->cache, &resource->gvr);
            bool failed = kube_cache_error(item->cluster->cache, &resource->gvr) != NULL;
            g->waits = g->waits || (!synced && !failed);
            if (!synced && failed) {
                // Without this kind a comparison would forget what it holds of ours.
                add_error(g, "ComparisonError",
                          arena_printf(
                              g->arena, "failed to list %.*s: %s", STR_ARG(resource->gvr.resource),
                              kube_cache_error(item->cluster->cache, &resource->gvr)->message)
                              .p);
            }
        }
    }
}

static void find_namespace(struct gathering *g) {
    struct str ns = doc_get_str(g->app, "spec", "destination", "namespace");
    bool wanted = false;
    for (DOC_EACH_ITEM(doc_get(g->app, "spec", "syncPolicy", "syncOptions"), option)) {
        wanted = wanted || str_eq(doc_str(option), STR("CreateNamespace=true"));
    }
    for (DOC_EACH_ITEM(doc_get(g->app, "operation", "sync", "syncOptions"), asked)) {
        wanted = wanted || str_eq(doc_str(asked), STR("CreateNamespace=true"));
    }
    if (wanted && ns.n) {
        struct app_object object = {.kind = STR("Namespace"), .name = ns};
        look_up_live(g, &object, &app_gvr_namespaces);
        g->job->input.namespace_live = object.live;
    }
}

static void find_objects(struct gathering *g) {
    struct app_item *item = g->item;
    if (!kube_mapper_is_ready(item->cluster->mapper)) {
        g->waits = g->waits || !item->cluster->has_error;
        return;
    }
    AUTO(map_destroy) struct map *seen = map_create();
    for (size_t i = 0; i < g->manifests->count; i++) {
        take_manifest(g, &g->manifests->items[i], seen);
    }
    want_known_kinds(g);
    find_namespace(g);
    struct str instance = app_instance_name(g->arena, item->controller->ns, item->ns, item->name);
    struct kube_cache_ref ref;
    for (size_t i = 0; kube_cache_next_tagged(item->cluster->cache, instance, &i, &ref);) {
        take_extra(g, &ref, seen);
    }
}

// ---- Planning ----
static void plan_work(void *ctx) {
    struct app_job *job = ctx;
    app_plan(&job->input, job->arena, &job->plan);
    app_job_compact(job);
}

static void plan_done(void *ctx) {
    struct app_job *job = ctx;
    app_job_release_input(job);
    if (!app_async_end(&job->async)) {
        app_job_destroy(job);
        return;
    }
    struct app_item *item = job->async.item;
    if (job->plan.wants_mapper) {
        app_cluster_refresh(item->cluster);
        item->waits_for_kinds = true;
    }
    if (job->plan.requeue_ns) {
        app_requeue_in(item, job->plan.requeue_ns);
    }
    app_execute(item, job);
}

// The worker may outlive the controller and all it owns, so what it reads is the job's.
static void own_texts(struct gathering *g) {
    struct app_item *item = g->item;
    struct app_plan_input *in = &g->job->input;
    in->ns = arena_dup(g->arena, item->controller->ns);
    in->server = arena_dup(g->arena, in->server);
    in->cluster_name = arena_dup(g->arena, in->cluster_name);
    struct sync_result *results = ARENA_ARRAY(g->arena, item->results.len, struct sync_result);
    for (size_t i = 0; i < item->results.len; i++) {
        struct sync_result *r = &results[i];
        *r = item->results.items[i].result;
        struct str *texts[] = {&r->group, &r->version, &r->kind,     &r->ns,
                               &r->name,  &r->message, &r->hook_type};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            *texts[k] = arena_dup(g->arena, *texts[k]);
        }
    }
    in->results = results;
    in->result_count = item->results.len;
}

static void start_plan(struct gathering *g) {
    struct app_item *item = g->item;
    struct app_job *job = g->job;
    struct app_plan_input *in = &job->input;
    in->app = g->app;
    in->settings = job->settings;
    own_texts(g);
    in->errors = g->errors.items;
    in->error_count = g->errors.len;
    in->warnings = g->warnings.items;
    in->warning_count = g->warnings.len;
    in->objects = g->objects.items;
    in->object_count = g->objects.len;
    in->revision = g->source ? arena_dup(g->arena, str_from(g->source->sha)) : STR("");
    in->source_type = STR("Directory");
    if (g->manifests) {
        job->manifests = app_manifests_ref(g->manifests);
        in->source_type = g->manifests->source_type;
        g->item->used = ++item->controller->clock;
    }
    in->is_refresh = item->is_refresh && (item->refresh_resolved || !item->source);
    in->now_ns = loop_wall(item->controller->loop);
    job->errors = g->errors.items;
    job->warnings = g->warnings.items;
    job->objects = g->objects.items;
    app_async_start(&job->async, item->controller, item);
    item->state = ITEM_PLANNING;
    item->controller->busy++;
    loop_work(item->controller->loop, 0, plan_work, plan_done, job);
}

// An operation that was asked for, not one that is under way, is about what Git says now, not at the last poll.
static void note_operation(struct gathering *g) {
    struct app_item *item = g->item;
    const struct doc_value *asked = doc_get(g->app, "operation");
    struct str phase = doc_get_str(g->app, "status", "operationState", "phase");
    bool is_new = doc_is(asked, DOC_OBJECT) && !str_eq(phase, STR("Running")) &&
                  !str_eq(phase, STR("Terminating"));
    uint64_t hash = is_new ? doc_hash(asked) | 1 : 0;
    if (hash && hash != item->operation_hash && g->source) {
        item->waits_for_git = true;
        app_source_refresh(g->source);
    }
    item->operation_hash = hash;
    item->waits_for_git = item->waits_for_git && hash;
}

static void note_refresh(struct gathering *g) {
    struct app_item *item = g->item;
    struct str refresh = doc_get_str(g->app, "metadata", "annotations", APP_REFRESH);
    if (refresh.n == 0) {
        item->is_refresh = item->refresh_resolved = false;
        return;
    }
    if (!item->is_refresh) {
        item->is_refresh = true;
        item->refresh_resolved = false;
        item->is_hard_refresh = str_eq(refresh, STR("hard"));
        if (item->source) {
            app_source_refresh(item->source);
        }
    }
}

// True when everything is there and a plan was started.
static bool gather(struct gathering *g) {
    find_sources(g);
    find_project(g);
    find_cluster(g);
    note_refresh(g);
    note_operation(g);
    if (g->errors.len == 0 && !find_manifests(g)) {
        return false;
    }
    if (g->errors.len == 0) {
        g->item->waits_for_kinds = false;
        find_objects(g);
    }
    if (g->errors.len) {
        g->item->waits_for_kinds = true; // a kind or cluster that recovers brings it back
    }
    if (g->waits && g->errors.len == 0) {
        g->item->waits_for_kinds = true;
        return false;
    }
    start_plan(g);
    return true;
}

void app_reconcile(struct app_item *item) {
    struct blob *text = app_item_text(item);
    if (!text) {
        item->is_gone = true;
        app_item_settle(item);
        return;
    }
    struct gathering g = {.item = item, .job = job_create(item)};
    g.arena = g.job->arena;
    hold(g.job, text);
    struct doc_value *app = arena_alloc(g.arena, sizeof *app);
    struct err err = {0};
    if (!doc_parse_json(blob_str(text), g.arena, app, &err)) {
        LOG(LOG_ERROR, "app", "cannot read an Application", "name", item->name.p, "error",
            err.message);
        app_job_destroy(g.job);
        app_item_settle(item);
        return;
    }
    g.app = app;
    bool skip =
        str_eq(doc_get_str(app, "metadata", "annotations", "argocd.argoproj.io/skip-reconcile"),
               STR("true"));
    bool taken = skip || app_finalize(item, app) || gather(&g);
    if (item->state != ITEM_PLANNING) {
        VEC_FREE(&g.errors);
        VEC_FREE(&g.warnings);
        VEC_FREE(&g.objects);
        app_job_destroy(g.job);
    }
    (void)taken;
    if (item->state == ITEM_IDLE && item->is_again) {
        app_item_settle(item);
    }
}
