// SPDX-License-Identifier: Apache-2.0
// Bodies in Kubernetes' protobuf form, which Go clients send for built-in kinds (`kubectl create namespace` too).
#ifndef SKIFF_APISERVER_PROTOBUF_H
#define SKIFF_APISERVER_PROTOBUF_H

#include "base/err.h"
#include "doc/doc.h"

struct protobuf_message {
    const char *name;   // "apps/v1.Deployment"
    const char *fields; // see protobuf.c
};
extern const struct protobuf_message protobuf_messages[]; // sorted by name
extern const size_t protobuf_message_count;

// Strings of the result point into `body`.
bool api_protobuf_parse(struct str body, struct arena *arena, struct doc_value *out,
                        struct err *err) MUST_USE;

#endif
