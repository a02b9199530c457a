// SPDX-License-Identifier: Apache-2.0
// What the files of the admission chain share: chain*.c, webhook*.c, quota*.c, limit_range.c, priority.c.
#ifndef SKIFF_APISERVER_CHAIN_H
#define SKIFF_APISERVER_CHAIN_H

#include "apiserver/core.h"

struct api_chain {
    struct apiserver *server;
};

#endif
