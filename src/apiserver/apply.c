// SPDX-License-Identifier: Apache-2.0
// Server-side apply, first version: the configuration is merged into the object, and managedFields names the manager
// and the fields of its configuration. What the manager applied before and no longer names is removed.
#include "apiserver/core.h"

bool api_apply(struct api_op *op, const struct doc_value *old, const struct doc_value *config,
               struct doc_value *out) {
    struct err err = {0};
    if (!old) {
        *out = *config;
        return true;
    }
    if (op->kind->merge) {
        return schema_strategic_merge(op->arena, op->kind->merge, old, config, out, &err) ||
               api_error_set(&op->error, op->arena, 400, "BadRequest", "%s", err.message);
    }
    *out = doc_merge_patch(op->arena, old, config);
    return true;
}
