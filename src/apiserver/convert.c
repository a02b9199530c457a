// SPDX-License-Identifier: Apache-2.0
// One object in the versions of its kind. Versions of custom kinds differ in their name only (conversion None).
#include "apiserver/kinds_internal.h"

struct doc_value api_kind_convert(struct arena *arena, const struct api_kind *to,
                                  const struct doc_value *object) {
    struct str version =
        to->group.n ? arena_printf(arena, "%.*s/%.*s", STR_ARG(to->group), STR_ARG(to->version))
                    : to->version;
    struct str now = doc_get_str(object, "apiVersion");
    if (str_eq(now, version)) {
        return *object;
    }
    return doc_with(arena, object, doc_make_str(version), "apiVersion");
}
