// SPDX-License-Identifier: Apache-2.0
#include "base/blob.h"

struct blob *blob_alloc(size_t len) {
    CHECK(len < UINT32_MAX - sizeof(struct blob));
    struct blob *blob = xmalloc(sizeof(struct blob) + len + 1);
    atomic_init(&blob->refs, 1);
    blob->len = (uint32_t)len;
    blob->data[len] = '\0';
    return blob;
}

struct blob *blob_create(struct str text) {
    struct blob *blob = blob_alloc(text.n);
    if (text.n) {
        memcpy(blob->data, text.p, text.n);
    }
    return blob;
}

struct blob *blob_from_buf(const struct buf *buf) {
    return blob_create(buf_str(buf));
}

struct blob *blob_ref(struct blob *blob) {
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob) {
    if (blob && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        free(blob);
    }
}
