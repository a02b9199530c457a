// SPDX-License-Identifier: Apache-2.0
// argocd-cm, and what the labelled Secrets say of repositories and clusters, as immutable snapshots. Snapshots are
// counted, since workers hold them while the loop may already have a newer one.
#ifndef SKIFF_APP_SETTINGS_H
#define SKIFF_APP_SETTINGS_H

#include <stdatomic.h>

#include "app/tracking.h"
#include "base/err.h"
#include "base/mem.h"
#include "diff/diff.h"
#include "vcs/vcs.h"

struct
    app_filter { // one entry of resource.exclusions or resource.inclusions; globs, empty lists match everything
    struct str *groups, *kinds, *clusters;
    size_t group_count, kind_count, cluster_count;
};

struct app_settings {
    atomic_uint refs;
    struct arena *arena;
    int64_t poll_ns;   // timeout.reconciliation; 0: no polling
    int64_t jitter_ns; // timeout.reconciliation.jitter
    enum app_tracking tracking;
    struct app_filter *exclusions, *inclusions;
    size_t exclusion_count, inclusion_count;
    struct diff_options
        diff; // resource.customizations.ignoreDifferences.*, resource.compareoptions
};

// `config` is the ConfigMap argocd-cm or NULL for the defaults. Keys that do not parse keep their default and are named in
// `err`, so that one typo does not stop everything; the result is never NULL.
struct app_settings *app_settings_parse(const struct doc_value *config, struct err *err);
struct app_settings *app_settings_ref(struct app_settings *settings);
void app_settings_unref(struct app_settings *settings);
bool app_settings_excludes(const struct app_settings *settings, struct str group, struct str kind,
                           struct str server);

// ---- Repositories and clusters ----
struct app_repository {
    struct str url; // normalised; for credentials of many: the prefix as written
    bool is_prefix; // secret-type repo-creds
    struct str type, project, name;
    struct vcs_access access;
};
struct app_cluster_secret {
    struct str name, server, config; // config: JSON
    struct str namespaces;           // "a,b": nothing else is seen of the cluster; empty: all of it
    struct str version;              // changes when the Secret does
};
struct app_registry {
    struct arena *arena;
    struct app_repository *repositories;
    size_t repository_count;
    struct app_cluster_secret *clusters;
    size_t cluster_count;
    struct str known_hosts;     // argocd-ssh-known-hosts-cm
    struct doc_value tls_certs; // data of argocd-tls-certs-cm: host -> PEM
};
struct app_registry *app_registry_create(void);
void app_registry_destroy(struct app_registry *registry);
// Takes in one labelled Secret; a bad one is refused with its name and what is wrong.
bool app_registry_add_secret(struct app_registry *registry, const struct doc_value *secret,
                             struct err *err);
void app_registry_add_config(struct app_registry *registry, const struct doc_value *config_map);
// Credentials and trust for a URL: its repository Secret, completed by the repo-creds with the longest prefix.
struct vcs_access app_registry_access(const struct app_registry *registry, struct str url,
                                      struct arena *arena);
const struct app_cluster_secret *app_registry_cluster(const struct app_registry *registry,
                                                      struct str server, struct str name);

// The decoded value of a key of a Secret's data.
struct str app_secret_value(const struct doc_value *secret, const char *key, struct arena *arena);

#endif
