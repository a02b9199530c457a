// SPDX-License-Identifier: Apache-2.0
// Where a cluster is and who we are there.
#ifndef SKIFF_KUBE_KUBECONFIG_H
#define SKIFF_KUBE_KUBECONFIG_H

#include "http/client.h"
#include "kube/client.h"
#include "kube/lease.h"
#include "metrics/metrics.h"

struct kube_config {
    struct str server; // "https://host:port/prefix"
    struct http_tls tls;
    struct str ca_file, cert_file,
        key_file; // where those of `tls` come from, read again when they change
    struct str proxy;
    struct str token;      // bearer token
    struct str token_file; // read again when it changes (in-cluster tokens rotate)
    struct str username, password;
    struct str ns; // the context's namespace; empty: "default"
    // Impersonation; empty: none
    struct str as_user, as_uid;
    const struct str *as_groups;
    size_t as_group_count;
    // exec credential plugin, only where allowed; its environment carries KUBERNETES_EXEC_INFO
    const struct str *exec_argv;
    size_t exec_argc;
    const struct str *exec_env; // "NAME=value"
    size_t exec_env_count;
};

struct kubeconfig_options {
    struct str context; // empty: current-context
    bool allow_exec;    // exec plugins run programs: off unless the user says so
    bool
        allow_files; // file names of certificates and tokens are followed (a user's own file: yes; a cluster Secret: no)
    struct str base; // folder that relative file names are relative to
};
bool kube_config_parse(struct str text, const struct kubeconfig_options *options,
                       struct arena *arena, struct kube_config *out, struct err *err) MUST_USE;
bool kube_config_load(const char *path, const struct kubeconfig_options *options,
                      struct arena *arena, struct kube_config *out, struct err *err) MUST_USE;
bool kube_config_in_cluster(struct arena *arena, struct kube_config *out, struct err *err) MUST_USE;
// The `server` and `config` fields of an Argo CD cluster Secret. execProviderConfig and awsAuthConfig are refused by name.
bool kube_config_from_cluster_secret(struct str server, struct str config_json, struct arena *arena,
                                     struct kube_config *out, struct err *err) MUST_USE;

struct kube_http_options {
    const struct kube_config *config; // copied
    double qps;                       // client-side rate limit; 0: none
    unsigned burst;
    struct str user_agent;
    struct metrics *metrics;  // may be NULL
    struct kube_fence *fence; // asked before each write goes out; borrowed, may be NULL
    unsigned connections;     // for short calls; 0: 4. Clients with different numbers share none.
};
struct kube_client *kube_http_client_create(struct loop *loop, struct http_client *http,
                                            const struct kube_http_options *options);

#endif
