// SPDX-License-Identifier: Apache-2.0
// How well one live object is, and an application as a whole, in Argo CD's words.
#ifndef SKIFF_HEALTH_HEALTH_H
#define SKIFF_HEALTH_HEALTH_H

#include "base/arena.h"
#include "doc/doc.h"

// Best first, in Argo CD's order: an application has the worst health of its resources.
#define HEALTH_CODES(X)                  \
    X(HEALTH_HEALTHY, "Healthy")         \
    X(HEALTH_SUSPENDED, "Suspended")     \
    X(HEALTH_PROGRESSING, "Progressing") \
    X(HEALTH_MISSING, "Missing")         \
    X(HEALTH_DEGRADED, "Degraded")       \
    X(HEALTH_UNKNOWN, "Unknown")
enum health_code {
#define X(code, name) code,
    HEALTH_CODES(X)
#undef X
};
const char *health_code_name(enum health_code code);
bool health_code_parse(struct str text, enum health_code *out);

struct health {
    bool has; // false: this kind has no health (ConfigMap, ...), it does not count
    enum health_code code;
    struct str message;
};
struct health health_assess(const struct doc_value *live, struct arena *arena);
// Is there an assessment for this kind? A missing object of a kind without one does not make its application Missing.
bool health_has_assessment(struct str group, struct str kind);
static inline enum health_code health_worse(enum health_code a, enum health_code b) {
    return a > b ? a : b;
}

#endif
