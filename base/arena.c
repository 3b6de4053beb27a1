#include "base/arena.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

/* A lifetime that needed more than this is an exception; its memory goes back to the heap at reset. */
enum { ARENA_KEEP = 4 << 20, ARENA_CHUNK = 16 << 10 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the data that follows */
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
}

void arena_done(struct arena *arena)
{
    free_chunks(arena->first);
    *arena = (struct arena){.limit = arena->limit};
}

static void use_chunk(struct arena *arena, struct arena_chunk *chunk)
{
    arena->chunk = chunk;
    arena->at = chunk->data;
    arena->end = chunk->data + chunk->size;
}

void arena_reset(struct arena *arena)
{
    size_t kept = 0;

    arena->used = 0;
    if (!arena->first)
        return;
    struct arena_chunk *last = arena->first;
    for (kept = last->size; last->next && kept + last->next->size <= ARENA_KEEP; last = last->next)
        kept += last->next->size;
    free_chunks(last->next);
    last->next = NULL;
#ifdef ARENA_ASAN
    /* A pointer kept over a reset must be found by the tests: give the next lifetime other addresses. */
    free_chunks(arena->first);
    arena->first = arena->chunk = NULL;
    arena->at = arena->end = NULL;
#else
    use_chunk(arena, arena->first);
#endif
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->chunk, arena->at, arena->used};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    if (!mark.chunk) {
        if (arena->first) {
            arena->used = 0;
            use_chunk(arena, arena->first);
        }
        return;
    }
    arena->chunk = mark.chunk;
    arena->at = mark.at;
    arena->end = mark.chunk->data + mark.chunk->size;
    arena->used = mark.used;
}

void *arena_grow(struct arena *arena, size_t size)
{
    /* What is left of the current chunk counts as used: the limit bounds memory held, not memory asked for.
     */
    size_t used = arena->used + (arena->chunk ? arena->chunk->size : 0);
    struct arena_chunk *next = arena->chunk ? arena->chunk->next : arena->first;

    if (size > arena->limit || used > arena->limit - size)
        return NULL;
    if (next && next->size < size) { /* a kept chunk that is too small is not worth keeping */
        if (arena->chunk)
            arena->chunk->next = NULL;
        else
            arena->first = NULL;
        free_chunks(next);
        next = NULL;
    }
    if (!next) {
        size_t want = arena->chunk ? arena->chunk->size * 2 : ARENA_CHUNK;

        if (want < size)
            want = size;
        if (want > arena->limit - used)
            want = arena->limit - used;
        if (want > SIZE_MAX - sizeof *next || !(next = malloc(sizeof *next + want)))
            return NULL;
        next->next = NULL;
        next->size = want;
        if (arena->chunk)
            arena->chunk->next = next;
        else
            arena->first = next;
    }
    arena->used = used;
    use_chunk(arena, next);
    char *memory = arena->at;
    arena->at += size;
    return memory;
}

char *arena_text(struct arena *arena, struct span text)
{
    char *copy = text.size < SIZE_MAX ? arena_alloc(arena, text.size + 1) : NULL;

    if (!copy)
        return NULL;
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}
