// SPDX-License-Identifier: Apache-2.0
// A watch stream is JSON objects, one a line, in chunks cut anywhere. Whole lines inside one chunk are handed on without
// a copy; only what is cut is kept, up to a maximum.
#include "kube/internal.h"

void kube_lines_init(struct kube_line_splitter *lines, size_t max) {
    buf_init(&lines->partial, max);
}

void kube_lines_fini(struct kube_line_splitter *lines) {
    buf_fini(&lines->partial);
}

static bool too_long(const struct kube_line_splitter *lines, struct err *err) {
    return err_set(err, ERR_LIMIT, "a watch event is larger than LIMIT_WATCH_EVENT (%zu bytes)",
                   lines->partial.max);
}

// Bytes a large event left behind are given back once it is handled.
enum { PARTIAL_KEPT = 64 * 1024 };

static bool hand_on(struct str line, bool (*fn)(void *ctx, struct str line), void *ctx) {
    line = str_trim(line);
    return line.n == 0 || fn(ctx, line);
}

bool kube_lines_feed(struct kube_line_splitter *lines, struct str chunk,
                     bool (*fn)(void *ctx, struct str line), void *ctx, struct err *err) {
    struct buf *partial = &lines->partial;
    while (chunk.n > 0) {
        size_t end = str_find_char(chunk, '\n');
        if (end == STR_NPOS) {
            if (!buf_add_str(partial, chunk)) {
                return too_long(lines, err);
            }
            return true;
        }
        struct str line = str_first(chunk, end);
        chunk = str_skip(chunk, end + 1);
        if (partial->len == 0) {
            if (line.n > partial->max) {
                return too_long(lines, err);
            }
            if (!hand_on(line, fn, ctx)) {
                return false;
            }
            continue;
        }
        if (!buf_add_str(partial, line)) {
            return too_long(lines, err);
        }
        bool go_on = hand_on(buf_str(partial), fn, ctx);
        if (partial->cap > PARTIAL_KEPT) {
            size_t max = partial->max;
            buf_fini(partial);
            buf_init(partial, max);
        } else {
            buf_clear(partial);
        }
        if (!go_on) {
            return false;
        }
    }
    return true;
}
