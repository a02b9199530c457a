// SPDX-License-Identifier: Apache-2.0
// One arena per unit of work (request, reconcile, render): everything allocated in it dies with it.
#ifndef SKIFF_BASE_ARENA_H
#define SKIFF_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct arena;

// The first block is small (512 bytes) and later ones grow to 256 KiB; exhaustion of memory aborts. Sizes that come from
// outside are checked against a named limit before they get here.
struct arena *arena_create(void);
void arena_destroy(struct arena *arena); // NULL is fine
AUTO_DEFINE(struct arena, arena_destroy)
void arena_reset(struct arena *arena); // frees everything but the first block

// Aligned to 8 bytes, not zeroed.
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zalloc(struct arena *arena, size_t size);
// count * size with an overflow check, zeroed.
void *arena_array(struct arena *arena, size_t count, size_t size);
// Moves to a larger piece; grows in place where `p` was the last allocation.
void *arena_grow(struct arena *arena, void *p, size_t old_size, size_t new_size);
#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))

// Copies end in a NUL that `n` does not count, so that `.p` can be handed to the system.
struct str arena_dup(struct arena *arena, struct str s);
char *arena_cstr(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *arena, const char *format, va_list args);
struct str arena_concat(struct arena *arena, struct str a, struct str b);

size_t arena_used(const struct arena *arena); // bytes handed out

#endif
