// SPDX-License-Identifier: Apache-2.0
// kube_client over the embedded server of this process, without a socket.
#ifndef SKIFF_LOCAL_LOCAL_H
#define SKIFF_LOCAL_LOCAL_H

#include "apiserver/apiserver.h"
#include "kube/client.h"

struct kube_client *local_client_create(struct apiserver *server, struct str user_name);

#endif
