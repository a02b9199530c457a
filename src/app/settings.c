// SPDX-License-Identifier: Apache-2.0
#include "app/settings.h"

#include "base/text.h"
#include "base/timefmt.h"
#include "doc/yaml.h"

enum { DEFAULT_POLL_SECONDS = 120, DEFAULT_JITTER_SECONDS = 60 };

struct reader {
    struct app_settings *settings;
    const struct doc_value *data;
    struct err *err;
};

static void complain(struct reader *reader, const char *key, const struct err *why) {
    if (reader->err && reader->err->code == ERR_NONE) {
        err_set(reader->err, ERR_INVALID, "argocd-cm: %s: %s; the default stays in force", key,
                why->message);
    }
}

static int64_t read_duration(struct reader *reader, const char *key, int64_t fallback) {
    struct str text = doc_get_str(reader->data, key);
    int64_t ns;
    struct err err = {0};
    if (text.n == 0) {
        return fallback;
    }
    int64_t seconds;
    if (str_to_int64(text, &seconds) && seconds >= 0 && seconds < INT64_MAX / NS_PER_SECOND) {
        return seconds * NS_PER_SECOND; // Argo CD takes a bare number as seconds
    }
    if (!duration_parse(text, &ns, &err) || ns < 0) {
        complain(reader, key, &err);
        return fallback;
    }
    return ns;
}

static bool read_yaml(struct reader *reader, const char *key, struct str text,
                      struct doc_value *out) {
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    if (text.n == 0) {
        return false;
    }
    if (!yaml_parse(text, &options, reader->settings->arena, &documents, &count, &err)) {
        complain(reader, key, &err);
        return false;
    }
    *out = count ? documents[0].root : doc_null();
    return count > 0;
}

static struct str *read_strings(struct arena *arena, const struct doc_value *list, size_t *count) {
    struct str *out = ARENA_ARRAY(arena, doc_len(list), struct str);
    *count = 0;
    for (DOC_EACH_ITEM(list, item)) {
        out[(*count)++] = doc_str(item);
    }
    return out;
}

static struct app_filter *read_filters(struct reader *reader, const char *key, size_t *count) {
    struct doc_value list;
    if (!read_yaml(reader, key, doc_get_str(reader->data, key), &list)) {
        return NULL;
    }
    struct arena *arena = reader->settings->arena;
    struct err err = {0};
    if (!doc_is(&list, DOC_ARRAY) && !doc_is_null(&list)) {
        err_set(&err, ERR_INVALID, "must be a list of {apiGroups, kinds, clusters}");
        complain(reader, key, &err);
    }
    struct app_filter *filters = ARENA_ARRAY(arena, doc_len(&list), struct app_filter);
    for (DOC_EACH_ITEM(&list, item)) {
        if (!doc_len(doc_get(item, "apiGroups")) && !doc_len(doc_get(item, "kinds")) &&
            !doc_len(doc_get(item, "clusters"))) {
            // Taken as it stands it would fit everything, which nobody means by an empty entry.
            err_set(&err, ERR_INVALID, "an entry names no apiGroups, kinds or clusters");
            complain(reader, key, &err);
            continue;
        }
        struct app_filter *filter = &filters[(*count)++];
        filter->groups = read_strings(arena, doc_get(item, "apiGroups"), &filter->group_count);
        filter->kinds = read_strings(arena, doc_get(item, "kinds"), &filter->kind_count);
        filter->clusters = read_strings(arena, doc_get(item, "clusters"), &filter->cluster_count);
    }
    return filters;
}

// "apps_Deployment" names group and kind, "all" everything; the core group is written without "_".
static void read_ignore(struct reader *reader, const char *key, struct str target,
                        struct str text) {
    struct doc_value rules;
    if (!read_yaml(reader, key, text, &rules)) {
        return;
    }
    struct app_settings *settings = reader->settings;
    struct diff_ignore ignore = {.group = STR("*"), .kind = STR("*")};
    if (!str_eq(target, STR("all"))) {
        struct str group, kind;
        if (str_cut(target, '_', &group, &kind)) {
            ignore.group = group;
            ignore.kind = kind;
        } else {
            ignore.group = STR("");
            ignore.kind = target;
        }
    }
    ignore.pointers =
        read_strings(settings->arena, doc_get(&rules, "jsonPointers"), &ignore.pointer_count);
    struct diff_ignore *all =
        ARENA_ARRAY(settings->arena, settings->diff.ignore_count + 1, struct diff_ignore);
    for (size_t i = 0; i < settings->diff.ignore_count; i++) {
        all[i] = settings->diff.ignores[i];
    }
    all[settings->diff.ignore_count++] = ignore;
    settings->diff.ignores = all;
}

static void read_diff(struct reader *reader) {
    static const struct str prefix = STR_INIT("resource.customizations.ignoreDifferences.");
    for (DOC_EACH_MEMBER(reader->data, i)) {
        struct str key = doc_key_at(reader->data, i);
        if (str_starts(key, prefix)) {
            read_ignore(reader, arena_cstr(reader->settings->arena, key), str_skip(key, prefix.n),
                        doc_str(doc_value_at(reader->data, i)));
        }
    }
    struct doc_value options;
    const char *key = "resource.compareoptions";
    reader->settings->diff.ignore_status = true;
    if (read_yaml(reader, key, doc_get_str(reader->data, key), &options)) {
        struct str status = doc_get_str(&options, "ignoreResourceStatusField");
        reader->settings->diff.ignore_status =
            !str_eq(status, STR("none")) && !str_eq(status, STR("off"));
        reader->settings->diff.ignore_aggregated_roles =
            doc_bool(doc_get(&options, "ignoreAggregatedRoles"), false);
    }
}

static void read_tracking(struct reader *reader) {
    struct str method = doc_get_str(reader->data, "application.resourceTrackingMethod");
    if (str_eq(method, STR("label"))) {
        reader->settings->tracking = TRACK_LABEL;
    } else if (str_eq(method, STR("annotation+label"))) {
        reader->settings->tracking = TRACK_ANNOTATION_AND_LABEL;
    } else if (method.n && !str_eq(method, STR("annotation"))) {
        struct err err = {0};
        err_set(&err, ERR_INVALID, "\"%.*s\" is not annotation, label or annotation+label",
                STR_ARG(method));
        complain(reader, "application.resourceTrackingMethod", &err);
    }
}

struct app_settings *app_settings_parse(const struct doc_value *config, struct err *err) {
    struct app_settings *settings = NEW(struct app_settings);
    atomic_init(&settings->refs, 1);
    settings->arena = arena_create();
    struct doc_value copy = config ? doc_clone(settings->arena, config) : doc_null();
    struct doc_value *kept = ARENA_NEW(settings->arena, struct doc_value);
    *kept = copy;
    struct reader reader = {settings, doc_get(kept, "data"), err};
    settings->poll_ns =
        read_duration(&reader, "timeout.reconciliation", DEFAULT_POLL_SECONDS * NS_PER_SECOND);
    settings->jitter_ns = read_duration(&reader, "timeout.reconciliation.jitter",
                                        DEFAULT_JITTER_SECONDS * NS_PER_SECOND);
    settings->exclusions = read_filters(&reader, "resource.exclusions", &settings->exclusion_count);
    settings->inclusions = read_filters(&reader, "resource.inclusions", &settings->inclusion_count);
    read_tracking(&reader);
    read_diff(&reader);
    return settings;
}

struct app_settings *app_settings_ref(struct app_settings *settings) {
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void app_settings_unref(struct app_settings *settings) {
    if (settings && atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel) == 1) {
        arena_destroy(settings->arena);
        free(settings);
    }
}

static bool any_fits(const struct str *patterns, size_t count, struct str text) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(patterns[i], text) || glob_match(patterns[i], text, 0, NULL)) {
            return true;
        }
    }
    return count == 0;
}

static bool filter_fits(const struct app_filter *filter, struct str group, struct str kind,
                        struct str server) {
    return any_fits(filter->groups, filter->group_count, group) &&
           any_fits(filter->kinds, filter->kind_count, kind) &&
           any_fits(filter->clusters, filter->cluster_count, server);
}

bool app_settings_excludes(const struct app_settings *settings, struct str group, struct str kind,
                           struct str server) {
    bool included = settings->inclusion_count == 0;
    for (size_t i = 0; i < settings->inclusion_count && !included; i++) {
        included = filter_fits(&settings->inclusions[i], group, kind, server);
    }
    for (size_t i = 0; i < settings->exclusion_count && included; i++) {
        included = !filter_fits(&settings->exclusions[i], group, kind, server);
    }
    return !included;
}
