// SPDX-License-Identifier: Apache-2.0
// Whether a user may do what a request asks for.
#include "apiserver/core.h"

bool api_authz_check(struct api_op *op) {
    (void)op;
    return true;
}
