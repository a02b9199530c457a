// SPDX-License-Identifier: Apache-2.0
// Immutable bytes with a reference count: how the text of one object is shared by the store, watchers, caches and
// replies without a copy. Counts are atomic, so a worker may hold one.
#ifndef SKIFF_BASE_BLOB_H
#define SKIFF_BASE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

struct blob {
    atomic_uint refs;
    uint32_t len;
    char data[]; // len bytes and a NUL
};

struct blob *blob_create(struct str text); // copies; one reference
struct blob *blob_from_buf(const struct buf *buf);
struct blob *blob_alloc(size_t len); // content to be filled before it is shared
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob); // NULL is fine
AUTO_DEFINE(struct blob, blob_unref)

static inline struct str blob_str(const struct blob *blob) {
    return blob ? (struct str){blob->data, blob->len} : (struct str){NULL, 0};
}

#endif
