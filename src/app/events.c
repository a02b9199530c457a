// SPDX-License-Identifier: Apache-2.0
// Event objects for what happened to an Application, with Argo CD's reasons. Nobody waits for them.
#include "app/controller_internal.h"

#include "base/timefmt.h"

static void written(void *ctx, const struct kube_reply *reply) {
    (void)reply; // an event that could not be written is not worth more writes
    struct app_async *async = ctx;
    app_async_end(async);
    free(async);
}

static struct doc_value make_event(struct arena *arena, struct app_item *item,
                                   const struct doc_value *app, const struct app_event *event,
                                   int64_t now) {
    struct doc_object about = doc_object_start(arena), source = doc_object_start(arena),
                      metadata = doc_object_start(arena);
    doc_object_set_c(&about, "apiVersion", DOC_S("argoproj.io/v1alpha1"));
    doc_object_set_c(&about, "kind", DOC_S("Application"));
    doc_object_set_c(&about, "name", doc_make_str(item->name));
    doc_object_set_c(&about, "namespace", doc_make_str(item->ns));
    doc_object_set_c(&about, "resourceVersion",
                     doc_make_str(doc_get_str(app, "metadata", "resourceVersion")));
    doc_object_set_c(&about, "uid", doc_make_str(doc_get_str(app, "metadata", "uid")));
    doc_object_set_c(&source, "component", DOC_S("argocd-application-controller"));
    uint64_t id = loop_random(item->controller->loop);
    doc_object_set_c(
        &metadata, "name",
        doc_make_str(arena_printf(arena, "%.*s.%016llx", STR_ARG(str_first(item->name, 200)),
                                  (unsigned long long)id)));
    doc_object_set_c(&metadata, "namespace", doc_make_str(item->ns));
    struct doc_value time = doc_make_str(time_format(arena, now));
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&out, "count", doc_make_int(1));
    doc_object_set_c(&out, "firstTimestamp", time);
    doc_object_set_c(&out, "involvedObject", doc_object_done(&about));
    doc_object_set_c(&out, "kind", DOC_S("Event"));
    doc_object_set_c(&out, "lastTimestamp", time);
    doc_object_set_c(&out, "message", doc_make_str(str_first(event->message, ERR_MESSAGE_MAX)));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "reason", doc_make_str(event->reason));
    doc_object_set_c(&out, "source", doc_object_done(&source));
    doc_object_set_c(&out, "type", event->warning ? DOC_S("Warning") : DOC_S("Normal"));
    return doc_object_done(&out);
}

void app_write_events(struct app_item *item, const struct doc_value *app,
                      const struct app_event *events, size_t count) {
    struct app_controller *controller = item->controller;
    for (size_t i = 0; i < count && !controller->options.no_events; i++) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        struct doc_value object =
            make_event(arena, item, app, &events[i], loop_wall(controller->loop));
        struct kube_request request = {.verb = KUBE_CREATE,
                                       .gvr = {STR(""), STR("v1"), STR("events")},
                                       .ns = item->ns,
                                       .body = doc_to_json(arena, &object),
                                       .grace_seconds = -1};
        struct app_async *async = NEW(struct app_async);
        app_async_start(async, controller, NULL);
        controller->options.home->ops->call(controller->options.home, &request, written, async);
    }
}
