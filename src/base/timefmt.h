// SPDX-License-Identifier: Apache-2.0
// Points in time as Kubernetes writes them. A time is nanoseconds since 1970 (UTC) in an int64.
#ifndef SKIFF_BASE_TIMEFMT_H
#define SKIFF_BASE_TIMEFMT_H

#include "base/arena.h"
#include "base/err.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)

// metav1.Time: "2026-11-23T18:54:05Z", whole seconds.
struct str time_format(struct arena *arena, int64_t ns);
// metav1.MicroTime: "2026-11-23T18:54:05.123456Z".
struct str time_format_micro(struct arena *arena, int64_t ns);
// RFC 3339 with any fraction and offset.
bool time_parse(struct str text, int64_t *ns);

// Go durations: "5s", "1h30m", "300ms", "1.5h"; a sign is allowed, overflow is an error.
bool duration_parse(struct str text, int64_t *ns, struct err *err);
struct str duration_format(struct arena *arena, int64_t ns); // as Go's Duration.String: "1h30m0s"
// As kubectl prints ages: "5s", "3m20s", "4h", "12d", "2y3d".
struct str duration_human(struct arena *arena, int64_t ns);

#endif
