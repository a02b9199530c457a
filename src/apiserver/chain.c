// SPDX-License-Identifier: Apache-2.0
// What a write must pass beyond the rules of its kind.
#include "apiserver/core.h"

bool api_chain_admit(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                     struct doc_value *object) {
    (void)op, (void)operation, (void)old, (void)object;
    return true;
}
