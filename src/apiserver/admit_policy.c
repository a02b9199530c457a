// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admit_internal.h"

const struct admit_rule admit_policy[] = {{0}};
