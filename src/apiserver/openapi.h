// SPDX-License-Identifier: Apache-2.0
// The OpenAPI documents under /openapi/; used by discovery.c only.
#ifndef SKIFF_APISERVER_OPENAPI_H
#define SKIFF_APISERVER_OPENAPI_H

#include "apiserver/internal.h"

bool api_openapi_get(const struct api_kinds *kinds, struct str path, struct str accept,
                     struct arena *arena, struct str *content_type, struct buf *out);

#endif
