// SPDX-License-Identifier: Apache-2.0
// managedFields of the writes that are not an apply.
#include "apiserver/core.h"

bool api_managed_update(struct api_op *op, const struct doc_value *old, struct doc_value *object) {
    (void)op, (void)old, (void)object;
    return true;
}
