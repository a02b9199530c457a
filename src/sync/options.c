// SPDX-License-Identifier: Apache-2.0
// Annotations and options that steer a sync, under the names Argo CD gave them.
#include "sync/sync.h"

#include <limits.h>

#include "base/mem.h"
#include "sync/sync_internal.h"

#define ANNOTATION_HOOK "argocd.argoproj.io/hook"
#define ANNOTATION_DELETE_POLICY "argocd.argoproj.io/hook-delete-policy"
#define ANNOTATION_WAVE "argocd.argoproj.io/sync-wave"
#define ANNOTATION_OPTIONS "argocd.argoproj.io/sync-options"

static const char *const phase_names[] = {
#define X(phase, name) name,
    SYNC_PHASES(X)
#undef X
};
static const char *const operation_names[] = {
#define X(phase, name) name,
    SYNC_OPERATION_PHASES(X)
#undef X
};

const char *sync_phase_name(enum sync_phase phase) {
    return phase_names[phase];
}

const char *operation_phase_name(enum operation_phase phase) {
    return operation_names[phase];
}

bool operation_phase_parse(struct str text, enum operation_phase *out) {
    for (size_t i = 0; i < ARRAY_LEN(operation_names); i++) {
        if (str_eq_c(text, operation_names[i])) {
            *out = (enum operation_phase)i;
            return true;
        }
    }
    return false;
}

const char *sync_status_name(enum sync_status status) {
    static const char *const names[] = {"Synced", "SyncFailed", "Pruned", "PruneSkipped"};
    return names[status];
}

static struct str annotation(const struct doc_value *object, const char *name) {
    return doc_get_str(object, "metadata", "annotations", name);
}

static bool list_has(struct str list, struct str word) {
    struct str part;
    while (str_next(&list, ',', &part)) {
        if (str_eq(str_trim(part), word)) {
            return true;
        }
    }
    return false;
}

bool sync_has_option(const struct doc_value *object, const char *option) {
    return list_has(annotation(object, ANNOTATION_OPTIONS), str_from(option));
}

bool sync_is_kept(const struct sync_options *options, const struct doc_value *live) {
    return sync_has_option(live, "Prune=false") ||
           (options->keep_all && !sync_has_option(live, "Prune=true") &&
            !sync_has_option(live, "Prune=confirm"));
}

bool sync_needs_confirmation(const struct sync_options *options, const struct doc_value *live) {
    return !options->prune_confirmed && !options->dry_run &&
           (sync_has_option(live, "Prune=confirm") ||
            (options->confirm_all && !sync_has_option(live, "Prune=true")));
}

bool sync_hook_in_phase(const struct doc_value *object, enum sync_phase phase) {
    return list_has(annotation(object, ANNOTATION_HOOK), str_from(sync_phase_name(phase)));
}

bool sync_is_hook(const struct doc_value *object) {
    for (int phase = SYNC_PRE; phase <= SYNC_FAIL; phase++) {
        if (sync_hook_in_phase(object, (enum sync_phase)phase)) {
            return true;
        }
    }
    return list_has(annotation(object, ANNOTATION_HOOK), STR("PreDelete")) ||
           list_has(annotation(object, ANNOTATION_HOOK), STR("PostDelete"));
}

bool sync_is_skipped(const struct doc_value *object) {
    return list_has(annotation(object, ANNOTATION_HOOK), STR("Skip"));
}

bool sync_hook_has_policy(const struct doc_value *object, const char *policy) {
    struct str policies = annotation(object, ANNOTATION_DELETE_POLICY);
    if (str_trim(policies).n == 0) {
        return strcmp(policy, "BeforeHookCreation") == 0;
    }
    return list_has(policies, str_from(policy));
}

int sync_wave(const struct doc_value *object) {
    int64_t wave;
    struct str text = annotation(object, ANNOTATION_WAVE);
    if (!str_to_int64(str_trim(text), &wave) || wave < INT_MIN / 2 || wave > INT_MAX / 2) {
        return 0;
    }
    return (int)wave;
}

int sync_kind_rank(struct str kind) {
    // The order in which Argo CD applies kinds within a wave; what others refer to comes first.
    static const char *const order[] = {"Namespace",
                                        "NetworkPolicy",
                                        "ResourceQuota",
                                        "LimitRange",
                                        "PodSecurityPolicy",
                                        "PodDisruptionBudget",
                                        "ServiceAccount",
                                        "Secret",
                                        "SecretList",
                                        "ConfigMap",
                                        "StorageClass",
                                        "PersistentVolume",
                                        "PersistentVolumeClaim",
                                        "CustomResourceDefinition",
                                        "ClusterRole",
                                        "ClusterRoleList",
                                        "ClusterRoleBinding",
                                        "ClusterRoleBindingList",
                                        "Role",
                                        "RoleList",
                                        "RoleBinding",
                                        "RoleBindingList",
                                        "Service",
                                        "DaemonSet",
                                        "Pod",
                                        "ReplicationController",
                                        "ReplicaSet",
                                        "Deployment",
                                        "HorizontalPodAutoscaler",
                                        "StatefulSet",
                                        "Job",
                                        "CronJob",
                                        "IngressClass",
                                        "Ingress",
                                        "APIService"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (str_eq_c(kind, order[i])) {
            return (int)i;
        }
    }
    return (int)ARRAY_LEN(order);
}

static bool *find_flag(struct sync_options *options, struct str name) {
    struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"Replace", &options->replace},
        {"Force", &options->force},
        {"ServerSideApply", &options->server_side},
        {"ApplyOutOfSyncOnly", &options->apply_out_of_sync_only},
        {"PruneLast", &options->prune_last},
        {"Validate", &options->validate},
        {"CreateNamespace", &options->create_namespace},
        {"FailOnSharedResource", &options->fail_on_shared},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (str_eq_c(name, flags[i].name)) {
            return flags[i].flag;
        }
    }
    return NULL;
}

static bool is_known_elsewhere(struct str name) {
    // Valid words of Argo CD and of Skiff that other parts read, or that change nothing in a directory sync.
    static const char *const names[] = {"Delete",
                                        "SkipDryRunOnMissingResource",
                                        "PrunePropagationPolicy",
                                        "RespectIgnoreDifferences",
                                        "ClientSideApplyMigration",
                                        "SelfHeal",
                                        "SelfHealGracePeriod"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(name, names[i])) {
            return true;
        }
    }
    return false;
}

void sync_options_read(const struct doc_value *list, struct sync_options *options,
                       struct arena *arena, struct str *unknown) {
    for (DOC_EACH_ITEM(list, item)) {
        struct str name, value;
        if (!str_cut(doc_str(item), '=', &name, &value)) {
            value = STR("");
        }
        bool *flag = find_flag(options, name);
        if (str_eq(name, STR("Prune"))) {
            options->keep_all = str_eq(value, STR("false"));
            options->confirm_all = str_eq(value, STR("confirm"));
        } else if (flag) {
            *flag = str_eq(value, STR("true"));
        } else if (unknown && !is_known_elsewhere(name)) {
            *unknown = unknown->n ? arena_printf(arena, "%.*s, %.*s", STR_ARG(*unknown),
                                                 STR_ARG(doc_str(item)))
                                  : doc_str(item);
        }
    }
}
