/* base/arena.h - memory that belongs to a lifetime: many allocations, one reset.
 *
 * A bump allocator over chunks. Nothing is freed singly. A limit bounds what one lifetime may take, so that a
 * hostile message meets ERR_LIMIT instead of the kernel's OOM killer. Chunks stay with the arena over a reset
 * (up to a high-water mark), so that steady work takes nothing from the heap. One thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    char *at, *end;            /* free part of the current chunk */
    struct arena_chunk *chunk; /* current */
    struct arena_chunk *first; /* all, oldest first */
    size_t used, limit;        /* bytes in full chunks and asked for; the bound */
};

struct arena_mark {
    struct arena_chunk *chunk;
    char *at;
    size_t used;
};

#define ARENA_ALIGN 16u

/* `limit` in bytes. Allocates nothing yet. */
void arena_init(struct arena *arena, size_t limit);
void arena_done(struct arena *arena);

/* All memory handed out is void from here on. Keeps at most ARENA_KEEP bytes of chunks. */
void arena_reset(struct arena *arena);

/* Give back what was taken after `arena_mark`. */
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

/* The slow way: a new chunk. NULL when the limit is met or the heap is empty. */
void *arena_grow(struct arena *arena, size_t size);

/* `size` bytes, aligned to ARENA_ALIGN, not zeroed. NULL when the limit is met. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ARENA_ALIGN)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (size > (size_t)(arena->end - arena->at))
        return arena_grow(arena, size);
    char *memory = arena->at;
    arena->at += size;
    return memory;
}

/* `count` items of `size` bytes; NULL also when the product overflows. */
static inline void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_alloc(arena, bytes);
}

/* A terminated copy. NULL as arena_alloc. */
char *arena_text(struct arena *arena, struct span text);

#endif
