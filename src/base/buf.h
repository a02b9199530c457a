// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with its maximum at creation: a peer that sends for ever hits a limit, not the machine.
#ifndef SKIFF_BASE_BUF_H
#define SKIFF_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
    char *data; // owned; always NUL-terminated when not NULL
    size_t len;
    size_t cap;
    size_t max;
    bool overflow; // an append was refused; the content is what fitted before it
};

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);
void buf_clear(struct buf *buf); // keeps the memory

// Each returns false (and sets overflow) when the maximum would be passed; then nothing of this append is kept.
bool buf_reserve(struct buf *buf, size_t more);
bool buf_add(struct buf *buf, const void *data, size_t n);
bool buf_add_str(struct buf *buf, struct str s);
bool buf_add_c(struct buf *buf, const char *text);
bool buf_add_char(struct buf *buf, char c);
bool buf_add_repeat(struct buf *buf, char c, size_t n);
bool buf_add_int64(struct buf *buf, int64_t value);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *buf, const char *format, va_list args);

static inline struct str buf_str(const struct buf *buf) {
    return (struct str){buf->data, buf->len};
}
char *
buf_take(struct buf *buf); // hands out the memory (never NULL); the buffer is empty afterwards
void buf_drop_front(struct buf *buf, size_t n);

static inline void auto_buf_fini(struct buf *buf) {
    buf_fini(buf);
}
#define AUTO_BUF __attribute__((cleanup(auto_buf_fini)))

#endif
