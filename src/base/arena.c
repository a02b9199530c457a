// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdio.h>

enum { FIRST_BLOCK = 512, LARGEST_BLOCK = 256 * 1024 };

struct block {
    struct block *previous;
    size_t size;
    char data[] __attribute__((aligned(16)));
};

struct arena {
    struct block *block;
    size_t offset; // in the current block
    size_t used;
};

static struct block *block_create(size_t size, struct block *previous) {
    size_t total;
    CHECK(size_add(size, sizeof(struct block), &total));
    struct block *block = xmalloc(total);
    block->previous = previous;
    block->size = size;
    return block;
}

struct arena *arena_create(void) {
    // The arena itself lives in its first block.
    struct block *first = block_create(FIRST_BLOCK, NULL);
    struct arena *arena = (struct arena *)(void *)first->data;
    *arena = (struct arena){.block = first, .offset = sizeof(struct arena)};
    return arena;
}

static struct block *free_until_first(struct arena *arena) {
    struct block *block = arena->block;
    while (block->previous) {
        struct block *previous = block->previous;
        free(block);
        block = previous;
    }
    return block;
}

void arena_destroy(struct arena *arena) {
    if (arena) {
        free(free_until_first(arena));
    }
}

void arena_reset(struct arena *arena) {
    arena->block = free_until_first(arena);
    arena->offset = sizeof(struct arena);
    arena->used = 0;
}

static void *alloc_in_new_block(struct arena *arena, size_t size) {
    if (size > LARGEST_BLOCK / 4 && arena->block->previous) {
        // A large piece gets a block of its own behind the current one, which keeps its free room. (Not behind the
        // first: that one holds the arena and stays the last of the chain.)
        struct block *own = block_create(size, arena->block->previous);
        arena->block->previous = own;
        return own->data;
    }
    size_t want = arena->block->size * 2;
    want = want > LARGEST_BLOCK ? LARGEST_BLOCK : want;
    want = want < size ? size : want;
    arena->block = block_create(want, arena->block);
    arena->offset = size;
    return arena->block->data;
}

void *arena_alloc(struct arena *arena, size_t size) {
    CHECK(size <= SIZE_MAX - 8);
    size = (size + 7) & ~(size_t)7;
    arena->used += size;
    if (size <= arena->block->size - arena->offset) {
        void *p = arena->block->data + arena->offset;
        arena->offset += size;
        return p;
    }
    return alloc_in_new_block(arena, size);
}

void *arena_zalloc(struct arena *arena, size_t size) {
    void *p = arena_alloc(arena, size);
    return size ? memset(p, 0, size) : p;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
    size_t total;
    CHECK(size_mul(count, size, &total));
    return arena_zalloc(arena, total);
}

void *arena_grow(struct arena *arena, void *p, size_t old_size, size_t new_size) {
    size_t old_rounded = (old_size + 7) & ~(size_t)7;
    char *end = arena->block->data + arena->offset;
    if (p && (char *)p + old_rounded == end && new_size >= old_size) {
        size_t more = ((new_size + 7) & ~(size_t)7) - old_rounded;
        if (more <= arena->block->size - arena->offset) {
            arena->offset += more;
            arena->used += more;
            return p;
        }
    }
    void *grown = arena_alloc(arena, new_size);
    if (old_size) {
        memcpy(grown, p, old_size < new_size ? old_size : new_size);
    }
    return grown;
}

char *arena_cstr(struct arena *arena, struct str s) {
    char *copy = arena_alloc(arena, s.n + 1);
    if (s.n) {
        memcpy(copy, s.p, s.n);
    }
    copy[s.n] = '\0';
    return copy;
}

struct str arena_dup(struct arena *arena, struct str s) {
    return (struct str){arena_cstr(arena, s), s.n};
}

struct str arena_vprintf(struct arena *arena, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    CHECK(n >= 0);
    char *text = arena_alloc(arena, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return (struct str){text, (size_t)n};
}

struct str arena_printf(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str s = arena_vprintf(arena, format, args);
    va_end(args);
    return s;
}

struct str arena_concat(struct arena *arena, struct str a, struct str b) {
    char *text = arena_alloc(arena, a.n + b.n + 1);
    if (a.n) {
        memcpy(text, a.p, a.n);
    }
    if (b.n) {
        memcpy(text + a.n, b.p, b.n);
    }
    text[a.n + b.n] = '\0';
    return (struct str){text, a.n + b.n};
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}
