// SPDX-License-Identifier: Apache-2.0
#include "app/tracking.h"

struct str app_instance_name(struct arena *arena, struct str controller_ns, struct str ns,
                             struct str name) {
    return ns.n == 0 || str_eq(ns, controller_ns)
               ? name
               : arena_printf(arena, "%.*s_%.*s", STR_ARG(ns), STR_ARG(name));
}

struct str app_tracking_id(struct arena *arena, struct str instance, struct str group,
                           struct str kind, struct str ns, struct str name) {
    return arena_printf(arena, "%.*s:%.*s/%.*s:%.*s/%.*s", STR_ARG(instance), STR_ARG(group),
                        STR_ARG(kind), STR_ARG(ns), STR_ARG(name));
}

static bool names_itself(struct str rest, const struct doc_value *object, struct str group) {
    struct str kind_part, place, its_group, kind, ns, name;
    if (!str_cut(rest, ':', &kind_part, &place) || !str_cut(kind_part, '/', &its_group, &kind) ||
        !str_cut(place, '/', &ns, &name)) {
        return false;
    }
    // Cluster-wide objects are tracked with the namespace of the application's destination, or without one.
    struct str own_ns = doc_get_str(object, "metadata", "namespace");
    return str_eq(its_group, group) && str_eq(kind, doc_get_str(object, "kind")) &&
           str_eq(name, doc_get_str(object, "metadata", "name")) &&
           (own_ns.n == 0 || str_eq(ns, own_ns));
}

struct str app_tracking_owner(const struct doc_value *object, enum app_tracking method,
                              struct str group, struct arena *arena) {
    (void)arena;
    if (method == TRACK_LABEL) {
        return doc_get_str(object, "metadata", "labels", APP_INSTANCE_LABEL);
    }
    struct str id = doc_get_str(object, "metadata", "annotations", APP_TRACKING_ANNOTATION);
    struct str instance, rest;
    if (!str_cut(id, ':', &instance, &rest) || !names_itself(rest, object, group)) {
        return (struct str){NULL, 0};
    }
    return instance;
}

struct doc_value app_tracking_mark(struct arena *arena, const struct doc_value *object,
                                   enum app_tracking method, struct str instance, struct str group,
                                   struct str ns) {
    struct doc_value out = *object;
    if (method != TRACK_ANNOTATION) {
        out =
            doc_with(arena, &out, doc_make_str(instance), "metadata", "labels", APP_INSTANCE_LABEL);
    }
    if (method != TRACK_LABEL) {
        struct str id = app_tracking_id(arena, instance, group, doc_get_str(object, "kind"), ns,
                                        doc_get_str(object, "metadata", "name"));
        out = doc_with(arena, &out, doc_make_str(id), "metadata", "annotations",
                       APP_TRACKING_ANNOTATION);
    }
    return out;
}
