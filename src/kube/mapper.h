// SPDX-License-Identifier: Apache-2.0
// What a cluster serves: kinds, their resources and scopes, from aggregated discovery (legacy where it is missing).
#ifndef SKIFF_KUBE_MAPPER_H
#define SKIFF_KUBE_MAPPER_H

#include "kube/client.h"

struct kube_resource {
    struct kube_gvr gvr;
    struct str kind;
    struct str singular;
    const struct str *short_names;
    size_t short_name_count;
    bool namespaced;
    bool can_list, can_watch, can_patch, can_delete, can_create;
    bool preferred; // the group's preferred version
};

struct kube_mapper;
struct kube_mapper *kube_mapper_create(struct kube_client *client);
// Whoever still waits for a reading is told ERR_CANCELLED now; those callbacks must not touch the mapper.
void kube_mapper_destroy(struct kube_mapper *mapper);
// Reads discovery again; one reading at a time, callers meanwhile share it. On failure the old content stays.
void kube_mapper_refresh(struct kube_mapper *mapper,
                         void (*done)(void *ctx, const struct err *error), void *ctx);
bool kube_mapper_is_ready(const struct kube_mapper *mapper);
// NULL when the cluster does not serve it. With an empty version: the preferred one. Borrowed until the next refresh.
const struct kube_resource *kube_mapper_find_kind(const struct kube_mapper *mapper,
                                                  struct kube_gvk gvk);
// By plural, singular, short name, kind or "plural.group" / "plural.version.group", as kubectl takes them.
const struct kube_resource *kube_mapper_find_word(const struct kube_mapper *mapper,
                                                  struct str word);
bool kube_mapper_next(const struct kube_mapper *mapper, size_t *iter,
                      const struct kube_resource **resource);
// What the last reading could not read: groups whose server does not answer keep what was known of them.
bool kube_mapper_next_warning(const struct kube_mapper *mapper, size_t *iter, struct str *warning);

// "apps/v1" -> group "apps", version "v1"; "v1" -> "", "v1".
void kube_split_api_version(struct str api_version, struct str *group, struct str *version);

#endif
