// SPDX-License-Identifier: Apache-2.0
// Does the live object already say what the desired one asks? Three-way by default, as `kubectl apply` would change it.
#ifndef SKIFF_DIFF_DIFF_H
#define SKIFF_DIFF_DIFF_H

#include "base/arena.h"
#include "base/err.h"
#include "doc/doc.h"

// One entry of spec.ignoreDifferences or of resource.customizations.ignoreDifferences.*, matched by glob.
struct diff_ignore {
    struct str group, kind, name, ns;
    const struct str *pointers; // JSON pointers
    size_t pointer_count;
};
struct diff_options {
    const struct diff_ignore *ignores;
    size_t ignore_count;
    bool ignore_status; // resource.compareoptions ignoreResourceStatusField: all (the default)
    bool ignore_aggregated_roles;
};
struct diff_result {
    bool modified;
    struct doc_value live;      // normalised live object (null when there is none)
    struct doc_value predicted; // what it would be after the sync
};
// `desired` or `live` may be NULL (absent), not both.
bool diff_compare(struct arena *arena, const struct doc_value *desired,
                  const struct doc_value *live, const struct diff_options *options,
                  struct diff_result *out, struct err *err) MUST_USE;

// The patch that makes it so, for the sync: strategic for built-in kinds, else a JSON merge patch; {} when nothing to do.
// `desired` gets the last-applied annotation as `kubectl apply` writes it.
struct diff_apply {
    struct doc_value object; // for a create: desired with the last-applied annotation
    struct doc_value patch;
    bool is_strategic;
    bool is_empty;
};
bool diff_apply_patch(struct arena *arena, const struct doc_value *desired,
                      const struct doc_value *live, struct diff_apply *out,
                      struct err *err) MUST_USE;

// A copy with every value of a Secret's data and stringData masked ("++++++++"), equal values masked alike.
struct doc_value diff_mask_secret(struct arena *arena, const struct doc_value *object);
void diff_mask_secret_pair(struct arena *arena, struct doc_value *a, struct doc_value *b);

// A unified text diff of two texts, with `context` lines, as `diff -u` prints it; nothing when equal.
bool diff_unified(struct str from, struct str to, struct str from_name, struct str to_name,
                  unsigned context, struct buf *out);

#endif
