// SPDX-License-Identifier: Apache-2.0
// The audit log: one JSON line an event (audit.k8s.io/v1, level Metadata) into a file, by way of a worker. It has a bound on
// the disk (files are renamed and the oldest goes) and one in memory; what is lost to either is counted and said in
// the log itself.
#ifndef SKIFF_APISERVER_AUDIT_H
#define SKIFF_APISERVER_AUDIT_H

#include "apiserver/core.h"

struct audit_info { // what is known of a request; texts are borrowed
    struct str id, uri, verb, remote, agent;
    const struct api_user *user, *impersonated; // impersonated: NULL, or who is acted as
    bool is_resource;
    struct str group, version, resource, subresource, ns, name;
    int64_t received; // wall clock
    bool allowed;
    struct str reason; // of the decision
};
struct audit_outcome {
    const char *stage; // "ResponseComplete", "ResponseStarted", "Panic"
    int code;
    struct str status, reason, message; // of a Status; may be empty
};

struct audit_log;
// Opens the file so that a mistake is told at start.
struct audit_log *audit_log_create(struct loop *loop, const char *path, int64_t max_bytes,
                                   unsigned files, struct err *err);
void audit_log_add(struct audit_log *log, const struct audit_info *info,
                   const struct audit_outcome *outcome);
void audit_log_destroy(struct audit_log *log); // writes what is left; NULL is fine
uint64_t audit_log_lost(const struct audit_log *log);
struct audit_info *audit_info_copy(struct arena *arena, const struct audit_info *info);

#endif
