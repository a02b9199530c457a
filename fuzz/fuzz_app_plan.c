// SPDX-License-Identifier: Apache-2.0
// A YAML stream as a scene for the planner: the first document is the Application, objects with a uid are live, the others are
// desired. Whatever it says, nothing may be deleted that does not carry our mark, and nothing is called when the
// desired state is unknown. An object that is read from a cluster has a kind and a name; without them it is left out.
#include <stdint.h>

#include "app/plan.h"
#include "base/timefmt.h"
#include "doc/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OBJECTS_MAX = 64 };

struct scene {
    struct arena *arena;
    struct doc_value app, project;
    struct app_object objects[OBJECTS_MAX];
    size_t count;
};

static struct app_object *object_for(struct scene *scene, const struct doc_value *value) {
    struct str group, version, api_version = doc_get_str(value, "apiVersion");
    if (!str_cut(api_version, '/', &group, &version)) {
        version = api_version;
        group = STR("");
    }
    struct str kind = doc_get_str(value, "kind"), name = doc_get_str(value, "metadata", "name");
    struct str ns = doc_get_str(value, "metadata", "namespace");
    for (size_t i = 0; i < scene->count; i++) {
        struct app_object *o = &scene->objects[i];
        if (str_eq(o->kind, kind) && str_eq(o->name, name) && str_eq(o->ns, ns) &&
            str_eq(o->group, group)) {
            return o;
        }
    }
    if (scene->count == OBJECTS_MAX || kind.n == 0 || name.n == 0) {
        return NULL;
    }
    scene->objects[scene->count] =
        (struct app_object){.group = group,
                            .version = version,
                            .kind = kind,
                            .resource = kind,
                            .ns = ns,
                            .name = name,
                            .is_namespaced = ns.n > 0,
                            .is_unknown_kind = str_starts(kind, STR("Un"))};
    return &scene->objects[scene->count++];
}

static void add_object(struct scene *scene, const struct doc_value *value) {
    struct app_object *object = object_for(scene, value);
    if (object) {
        struct blob **slot = doc_get(value, "metadata", "uid") ? &object->live : &object->target;
        blob_unref(*slot);
        *slot = blob_create(doc_to_json(scene->arena, value));
    }
}

static void check_calls(struct scene *scene, const struct app_plan_input *input,
                        const struct app_plan *plan) {
    CHECK(input->error_count == 0 || plan->call_count == 0);
    for (size_t i = 0; i < plan->call_count; i++) {
        const struct app_call *call = &plan->calls[i];
        if (call->verb != KUBE_DELETE) {
            continue;
        }
        bool ours = false;
        for (size_t k = 0; k < scene->count; k++) {
            const struct app_object *o = &scene->objects[k];
            struct doc_value live;
            if (o->live && str_eq(o->name, call->name) && str_eq(o->kind, call->outcome.kind) &&
                str_eq(o->group, call->outcome.group) && str_eq(o->ns, call->outcome.ns) &&
                doc_parse_json(blob_str(o->live), scene->arena, &live, NULL)) {
                struct str owner =
                    app_tracking_owner(&live, TRACK_ANNOTATION, o->group, scene->arena);
                ours = ours || str_eq(owner, app_instance_name(
                                                 scene->arena, input->ns,
                                                 doc_get_str(&scene->app, "metadata", "namespace"),
                                                 doc_get_str(&scene->app, "metadata", "name")));
                CHECK(str_eq(call->precondition_uid, doc_get_str(&live, "metadata", "uid")));
            }
        }
        CHECK(ours);
    }
}

static void plan_scene(struct scene *scene, bool with_error) {
    struct app_settings *settings = app_settings_parse(NULL, NULL);
    struct app_error error = {"ComparisonError", STR("cannot read the repository")};
    struct app_plan_input input = {.app = &scene->app,
                                   .project = &scene->project,
                                   .settings = settings,
                                   .ns = STR("argocd"),
                                   .server = STR("https://kubernetes.default.svc"),
                                   .cluster_name = STR("in-cluster"),
                                   .errors = &error,
                                   .error_count = with_error,
                                   .revision = STR("abc1230000000000000000000000000000000000"),
                                   .source_type = STR("Directory"),
                                   .objects = scene->objects,
                                   .object_count = scene->count,
                                   .now_ns = 1795435200 * NS_PER_SECOND};
    struct app_plan plan;
    app_plan(&input, scene->arena, &plan);
    check_calls(scene, &input, &plan);
    struct doc_value patch;
    CHECK(!plan.has_patch || doc_parse_json(plan.patch, scene->arena, &patch, NULL));
    app_settings_unref(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scene scene = {.arena = arena_create()};
    struct yaml_document *documents;
    size_t count = 0;
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    struct str project = STR("{\"spec\":{\"destinations\":[{\"server\":\"*\",\"namespace\":\"*\"}],"
                             "\"clusterResourceWhitelist\":[{\"group\":\"*\",\"kind\":\"*\"}]}}");
    CHECK(doc_parse_json(project, scene.arena, &scene.project, NULL));
    if (size < 64 * 1024 && yaml_parse(str_make((const char *)data, size), &options, scene.arena,
                                       &documents, &count, NULL)) {
        for (size_t i = 0; i < count; i++) {
            if (i == 0) {
                scene.app = documents[i].root;
            } else {
                add_object(&scene, &documents[i].root);
            }
        }
        plan_scene(&scene, false);
        plan_scene(&scene, true);
    }
    for (size_t i = 0; i < scene.count; i++) {
        blob_unref(scene.objects[i].target);
        blob_unref(scene.objects[i].live);
    }
    arena_destroy(scene.arena);
    return 0;
}
