#include "base/buf.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

void buf_done(struct buf *buf)
{
    if (!buf->arena)
        free(buf->data);
    *buf = (struct buf){.limit = buf->limit, .arena = buf->arena};
}

bool buf_reserve(struct buf *buf, size_t more)
{
    size_t need, room;

    if (buf->failed)
        return false;
    if (__builtin_add_overflow(buf->size, more, &need) || need > buf->limit || need == SIZE_MAX)
        goto fail;
    need++; /* the terminator */
    if (need <= buf->room)
        return true;
    room = buf->room ? buf->room : 128;
    while (room < need)
        if (__builtin_mul_overflow(room, (size_t)2, &room))
            goto fail;
    if (room - 1 > buf->limit)
        room = buf->limit + 1; /* so that buf_add needs no look at the limit while there is room */

    char *data;
    if (!buf->arena) {
        data = realloc(buf->data, room);
    } else if (buf->data && buf->data + buf->room == buf->arena->at &&
               room - buf->room <= (size_t)(buf->arena->end - buf->arena->at)) {
        buf->arena->at += room - buf->room; /* the last thing in its chunk grows where it stands */
        data = buf->data;
    } else {
        data = arena_alloc(buf->arena, room);
        if (data && buf->data)
            memcpy(data, buf->data, buf->size);
    }
    if (!data)
        goto fail;
    buf->data = data;
    buf->room = room;
    return true;
fail:
    buf->failed = true;
    return false;
}

void buf_vformat(struct buf *buf, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size < 0 || !buf_reserve(buf, (size_t)size))
        return;
    (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, format, args);
    buf->size += (size_t)size;
}

void buf_format(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vformat(buf, format, args);
    va_end(args);
}

void buf_json(struct buf *buf, struct span text)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;

    buf_char(buf, '"');
    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.data[i];
        size_t step = 1;
        uint32_t code;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        if (c >= 0x80 && (step = utf8_decode((struct span){text.data + i, text.size - i}, &code))) {
            i += step;
            continue;
        }
        buf_add(buf, text.data + from, i - from);
        switch (c) {
        case '"': buf_text(buf, "\\\""); break;
        case '\\': buf_text(buf, "\\\\"); break;
        case '\b': buf_text(buf, "\\b"); break;
        case '\f': buf_text(buf, "\\f"); break;
        case '\n': buf_text(buf, "\\n"); break;
        case '\r': buf_text(buf, "\\r"); break;
        case '\t': buf_text(buf, "\\t"); break;
        default:
            if (c >= 0x80) {
                buf_text(buf, "\xef\xbf\xbd");
            } else {
                char escape[7] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], '\0'};
                buf_text(buf, escape);
            }
        }
        from = ++i;
    }
    buf_add(buf, text.data + from, text.size - from);
    buf_char(buf, '"');
}
