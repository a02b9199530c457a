// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"

void buf_init(struct buf *buf, size_t max) {
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf) {
    buf->len = 0;
    buf->overflow = false;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

bool buf_reserve(struct buf *buf, size_t more) {
    size_t want;
    if (!size_add(buf->len, more, &want) || want > buf->max || want == SIZE_MAX) {
        buf->overflow = true;
        return false;
    }
    if (want + 1 > buf->cap) {
        size_t cap = buf->cap < 64 ? 64 : buf->cap + buf->cap / 2;
        cap = cap < want + 1 ? want + 1 : cap;
        buf->data = xrealloc(buf->data, cap);
        buf->cap = cap;
        buf->data[buf->len] = '\0';
    }
    return true;
}

bool buf_add(struct buf *buf, const void *data, size_t n) {
    if (!buf_reserve(buf, n)) {
        return false;
    }
    if (n) {
        memcpy(buf->data + buf->len, data, n);
    }
    buf->len += n;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_add_str(struct buf *buf, struct str s) {
    return buf_add(buf, s.p, s.n);
}

bool buf_add_c(struct buf *buf, const char *text) {
    return buf_add(buf, text, strlen(text));
}

bool buf_add_char(struct buf *buf, char c) {
    return buf_add(buf, &c, 1);
}

bool buf_add_repeat(struct buf *buf, char c, size_t n) {
    if (!buf_reserve(buf, n)) {
        return false;
    }
    memset(buf->data + buf->len, c, n);
    buf->len += n;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_add_int64(struct buf *buf, int64_t value) {
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, value);
    return buf_add(buf, text, (size_t)n);
}

bool buf_vprintf(struct buf *buf, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    bool ok = n >= 0 && buf_reserve(buf, (size_t)n);
    if (ok) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool ok = buf_vprintf(buf, format, args);
    va_end(args);
    return ok;
}

char *buf_take(struct buf *buf) {
    if (!buf->data) {
        buf->data = xcalloc(1, 1);
    }
    char *data = buf->data;
    *buf = (struct buf){.max = buf->max};
    return data;
}

void buf_drop_front(struct buf *buf, size_t n) {
    n = n > buf->len ? buf->len : n;
    if (n) {
        memmove(buf->data, buf->data + n, buf->len - n + 1);
        buf->len -= n;
    }
}
