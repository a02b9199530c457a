// SPDX-License-Identifier: Apache-2.0
// Every limit on what comes from outside, in one place. Exceeding one is ERR_LIMIT with the name of the limit.
#ifndef SKIFF_BASE_LIMITS_H
#define SKIFF_BASE_LIMITS_H

enum {
    KIB = 1024,
    MIB = 1024 * 1024,

    // Documents
    LIMIT_JSON_DEPTH =
        512, // nesting; kube-apiserver's decoder stops at 10,000, no real object passes 60
    LIMIT_JSON_BYTES = 256 * MIB, // one text, e.g. a list reply
    LIMIT_JSON_NODES = 32 * MIB,  // values in one tree
    LIMIT_YAML_DEPTH = 100,       // recursion of our event handler
    LIMIT_YAML_BYTES = 64 * MIB,  // one stream
    LIMIT_YAML_NODES = 8 * MIB,   // values in one stream, after alias expansion
    LIMIT_YAML_ALIAS_RATIO =
        10, // expanded nodes per node written, once LIMIT_YAML_ALIAS_FREE are used
    LIMIT_YAML_ALIAS_FREE = 100 * 1000,
    LIMIT_JSONPATH_BYTES = 16 * KIB,
    LIMIT_JSONPATH_WORK = 4 * MIB,      // values one evaluation may look at
    LIMIT_PATCH_OPERATIONS = 10 * 1000, // as kube-apiserver's MaxJSONPatchOperations
    LIMIT_PATCH_COPY_BYTES = 3 * MIB,   // what all copies of one JSON patch may add
    LIMIT_PATCH_MOVES = 64 * MIB, // values shifted by insertions and removals of one JSON patch

    // Small dialects (base/text.h)
    LIMIT_GLOB_BYTES = 4 * KIB,
    LIMIT_GLOB_TEXT = 64 * KIB,
    LIMIT_SEMVER_BYTES = 512, // of a constraint; this and the next as Masterminds/semver
    LIMIT_SEMVER_GROUPS = 32,
    LIMIT_SCHEMA_DEPTH = 64,         // nesting of a CRD's schema
    LIMIT_SCHEMA_NODES = 200 * 1000, // schemas in one CRD version
    LIMIT_SCHEMA_COMPARED = 4 * MIB, // items compared to find what lists of type map held before
    LIMIT_SCHEMA_PROBLEMS = 1000,    // what one validation reports

    // HTTP
    LIMIT_HTTP_HEAD = 12 * KIB,    // kept for each connection: 10,000 idle ones fit into 256 MiB
    LIMIT_HTTP_BODY = 3 * MIB,     // kube-apiserver's limit of a request body
    LIMIT_HTTP_BODIES = 256 * MIB, // of all requests that are being received or worked on
    LIMIT_HTTP_CONNECTIONS = 12 * 1000,
    LIMIT_HTTP_REPLY = 256 * MIB,  // what our client accepts
    LIMIT_WATCH_EVENT = 16 * MIB,  // one line of a watch stream
    LIMIT_WEBHOOK_BODY = 50 * MIB, // Argo CD's webhook.maxPayloadSizeMB

    // Kubernetes objects
    LIMIT_OBJECT_BYTES = 1536 * KIB, // etcd's request limit
    LIMIT_NAME = 253,
    LIMIT_FIELD_MANAGER = 128, // bytes of the name of a field manager
    LIMIT_ANNOTATIONS_BYTES = 256 * KIB,
    LIMIT_LIST_PAGE = 500, // client-go's page size
    LIMIT_KUBECONFIG_BYTES = 4 * MIB,
    LIMIT_CREDENTIAL_BYTES = 256 * KIB, // a token or certificate file, the answer of an exec plugin
    LIMIT_EXEC_ARGUMENTS = 256,         // of an exec plugin; also its environment
    LIMIT_DISCOVERY_RESOURCES = 50 * 1000, // kinds of one cluster

    // Git
    LIMIT_GIT_BLOB = 16 * MIB,
    LIMIT_GIT_TREE_ENTRIES = 100 * 1000,
    LIMIT_GIT_REF = 1024,
    LIMIT_GIT_OUTPUT = 64 * MIB, // what a git child may print
    LIMIT_GIT_SECONDS = 90,      // ARGOCD_EXEC_TIMEOUT

    // Rendering
    LIMIT_RENDER_FILES = 10 * 1000,
    LIMIT_RENDER_BYTES = 64 * MIB, // manifests of one application
    LIMIT_RENDER_OBJECTS = 20 * 1000,

    // Processes
    LIMIT_CHILD_OUTPUT = 64 * MIB,
};

#endif
