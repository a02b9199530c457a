// SPDX-License-Identifier: Apache-2.0
// Sets of completion indexes in the form that Jobs show them: "0,2-4".
#include "apiserver/workloads/plan.h"

struct wl_indexes wl_indexes_parse(struct arena *arena, struct str text, int64_t count) {
    struct wl_indexes out = {.has = ARENA_ARRAY(arena, (size_t)count + 1, bool), .count = count};
    struct str rest = text, part;
    while (str_next(&rest, ',', &part)) {
        struct str from, to;
        int64_t first = 0, last = 0;
        if (!str_cut(part, '-', &from, &to)) {
            from = to = part;
        }
        if (!str_to_int64(from, &first) || !str_to_int64(to, &last) || first < 0) {
            continue;
        }
        for (int64_t i = first; i <= last && i < count; i++) {
            out.has[i] = true;
        }
    }
    return out;
}

struct str wl_indexes_text(struct arena *arena, const struct wl_indexes *indexes) {
    AUTO_BUF struct buf text;
    buf_init(&text, (size_t)4 * 1024 * 1024);
    for (int64_t i = 0; i < indexes->count; i++) {
        if (!indexes->has[i]) {
            continue;
        }
        int64_t end = i;
        while (end + 1 < indexes->count && indexes->has[end + 1]) {
            end++;
        }
        const char *comma = text.len ? "," : "";
        if (end > i) { // two neighbours are listed one by one
            buf_printf(&text, "%s%lld%c%lld", comma, (long long)i, end > i + 1 ? '-' : ',',
                       (long long)end);
        } else {
            buf_printf(&text, "%s%lld", comma, (long long)i);
        }
        i = end;
    }
    return arena_dup(arena, buf_str(&text));
}
