// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_RENDER_INTERNAL_H
#define SKIFF_RENDER_INTERNAL_H

#include "render/render.h"

extern const struct render_engine render_directory; // directory.c

#endif
