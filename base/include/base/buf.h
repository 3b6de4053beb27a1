/* base/buf.h - a growing byte buffer on the heap, or in an arena.
 *
 * Appending never fails on the spot: the first failure (no memory, limit met) is remembered in `failed`,
 * later appends do nothing, and the caller looks once at the end. Always terminated when not failed. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/arena.h"
#include "base/span.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t size, room;
    size_t limit;        /* most bytes it may hold */
    struct arena *arena; /* NULL: heap, and buf_done frees */
    bool failed;
};

#define BUF_INIT ((struct buf){.limit = SIZE_MAX})

static inline struct buf buf_in(struct arena *arena, size_t limit)
{
    return (struct buf){.arena = arena, .limit = limit};
}

void buf_done(struct buf *buf);

/* Make room for `more` bytes and a terminator. False (and `failed`) when that cannot be. */
bool buf_reserve(struct buf *buf, size_t more);

static inline void buf_add(struct buf *buf, const void *bytes, size_t size)
{
    if (size == 0 || (buf->room - buf->size <= size && !buf_reserve(buf, size)) || buf->failed)
        return;
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

static inline void buf_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

static inline void buf_span(struct buf *buf, struct span text)
{
    buf_add(buf, text.data, text.size);
}

static inline void buf_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vformat(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* `text` as a JSON string with its quotes (RFC 8259, section 7). Invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *buf, struct span text);

static inline struct span buf_view(const struct buf *buf)
{
    return (struct span){buf->data, buf->size};
}

#endif
