// SPDX-License-Identifier: Apache-2.0
// What the commands of `skiff kube` share: any object of any kind, so that nobody needs kubectl beside this program.
#ifndef SKIFF_CLI_KUBE_H
#define SKIFF_CLI_KUBE_H

#include "cli/connect.h"
#include "cli/out.h"

// The options of a cluster, without the words of Argo CD's command line.
#define CLUSTER_OPTIONS(s)                                                                          \
    {"kubeconfig", 0,                                                                               \
     CLI_TEXT,     &(s)->kubeconfig,                                                                \
     "FILE",       "The cluster (default KUBECONFIG, the data folder's, ~/.kube/config)."},         \
        {"context", 0, CLI_TEXT, &(s)->context, "NAME", "Context of the kubeconfig."},              \
        {"data", 0, CLI_TEXT, &(s)->data, "DIR", "Data folder of `skiff up`, for its kubeconfig."}, \
        {"allow-exec",     0,    CLI_FLAG,                                                          \
         &(s)->allow_exec, NULL, "Let the kubeconfig start credential plugins."},                   \
    {                                                                                               \
        "namespace", 'n', CLI_TEXT, &(s)->ns, "NAME",                                               \
            "Namespace (default: that of the context, else default)."                               \
    }

struct kube_session {
    struct connection connection;
    struct kube_mapper *mapper;
    struct str ns; // for namespaced objects that name none
};
bool kube_session_open(struct kube_session *session, struct cli *cli,
                       const struct connection_settings *settings, struct err *err) MUST_USE;
void kube_session_close(struct kube_session *session);
// NULL with err when the cluster does not serve it.
const struct kube_resource *kube_session_kind(struct kube_session *session, struct str word,
                                              struct err *err);
const struct kube_resource *kube_session_kind_of(struct kube_session *session,
                                                 const struct doc_value *object, struct err *err);
// "deployment.apps" and "deployment.apps/web"
struct str kube_kind_text(struct arena *arena, const struct kube_resource *resource);
// The objects that the words name: "KIND NAME...", "KIND/NAME ...".
struct kube_target {
    const struct kube_resource *resource;
    struct str name; // empty: all of the kind
};
struct kube_targets {
    VEC(struct kube_target) items;
};
bool kube_targets_parse(struct kube_session *session, int argc, char **argv,
                        struct kube_targets *out, struct err *err) MUST_USE;
// All documents of files ("-": standard input), folders (not the folders below), lists taken apart.
struct kube_manifests {
    VEC(struct doc_value) items;
};
bool kube_manifests_read(const struct cli_list *files, struct arena *arena,
                         struct kube_manifests *out, struct err *err) MUST_USE;

// kube_format.c: what the server sent as a Table, as columns.
struct kube_table_style {
    bool wide;         // all columns
    bool with_ns;      // the namespace first
    bool no_head;      // rows only
    struct str prefix; // of the names: "deployment.apps/" where several kinds are shown
};
void kube_format_table(const struct doc_value *table, const struct kube_table_style *style,
                       struct buf *out);

extern const struct cli_command cli_kube_get, cli_kube_apply, cli_kube_patch, cli_kube_delete;

#endif
