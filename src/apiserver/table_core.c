// SPDX-License-Identifier: Apache-2.0
#include "apiserver/table_internal.h"

const struct table_kind table_core[] = {{0}};
