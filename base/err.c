#include "base/err.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { MARK_BEFORE = 60, MARK_WIDTH = 100 }; /* characters of a long line shown around the place */

static void err_vset(struct err *err, enum err_code code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void err_vset(struct err *err, enum err_code code, const char *format, va_list args)
{
    err->code = code;
    err->pos = (struct pos){0, 0};
    err->file[0] = err->path[0] = err->mark[0] = '\0';
    (void)vsnprintf(err->text, sizeof err->text, format, args);
}

/* Names in parentheses: the function, where the analyzer sees a macro of that name. */
int(err_set)(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_vset(err, code, format, args);
    va_end(args);
    return -1;
}

int(err_at)(struct err *err, enum err_code code, struct pos pos, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_vset(err, code, format, args);
    va_end(args);
    err->pos = pos;
    return -1;
}

int(err_memory)(struct err *err)
{
    return err_set(err, ERR_MEMORY, "out of memory");
}

/* Copy one character of the source, harmless for a terminal. Returns the bytes taken from `text`. */
static size_t put_visible(struct span text, char *out, size_t *size)
{
    uint32_t code;
    size_t length = utf8_decode(text, &code);

    if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
        out[(*size)++] = code == '\t' && length ? ' ' : '?';
        return length ? length : 1;
    }
    memcpy(out + *size, text.data, length);
    *size += length;
    return length;
}

void err_mark(struct err *err, struct span source, size_t offset, size_t length)
{
    size_t start = 0, end, line = 1, column = 1, shown_from = 0, size = 0;

    if (offset > source.size)
        offset = source.size;
    for (size_t i = 0; i < offset; i++) {
        if (source.data[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    end = start;
    while (end < source.size && source.data[end] != '\n' && source.data[end] != '\r')
        end++;

    /* Column in characters, and where the shown part starts when the line is long. */
    size_t back[MARK_BEFORE] = {0};
    for (size_t i = start; i < offset && i < source.size; column++) {
        uint32_t code;
        size_t step = utf8_decode((struct span){source.data + i, source.size - i}, &code);

        back[(column - 1) % MARK_BEFORE] = i;
        i += step ? step : 1;
    }
    shown_from = column - 1 > MARK_BEFORE ? back[(column - 1) % MARK_BEFORE] : start;
    err->pos = (struct pos){(unsigned)line, (unsigned)column};

    char *out = err->mark;
    size_t at = shown_from, before = 0, under = 0, chars = 0;

    memcpy(out, "  ", 3);
    size = 2;
    if (shown_from > start) {
        memcpy(out + size, "...", 3);
        size += 3;
        before = 3;
    }
    while (at < end && chars < MARK_WIDTH && size + 4 < sizeof err->mark - MARK_WIDTH - MARK_BEFORE) {
        if (at < offset)
            before++;
        else if (at < offset + length)
            under++;
        at += put_visible((struct span){source.data + at, end - at}, out, &size);
        chars++;
    }
    while (size > 2 && out[size - 1] == ' ')
        size--;
    out[size++] = '\n';
    for (size_t i = 0; i < before + 2 && size + 2 < sizeof err->mark; i++)
        out[size++] = ' ';
    out[size++] = '^';
    for (size_t i = 1; i < under && size + 1 < sizeof err->mark; i++)
        out[size++] = '~';
    out[size] = '\0';
}

void err_in(struct err *err, const char *file, const char *path)
{
    if (file && err->file[0] == '\0')
        (void)snprintf(err->file, sizeof err->file, "%s", file);
    if (path && err->path[0] == '\0')
        (void)snprintf(err->path, sizeof err->path, "%s", path);
}

void err_prefix(struct err *err, const char *format, ...)
{
    char words[sizeof err->text], old[sizeof err->text];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    memcpy(old, err->text, sizeof old);
    size_t size = strlen(words);
    if (size > sizeof err->text - 3)
        size = sizeof err->text - 3;
    memcpy(err->text, words, size);
    memcpy(err->text + size, ": ", 2);
    size_t rest = strnlen(old, sizeof old - 1);
    if (rest > sizeof err->text - size - 3)
        rest = sizeof err->text - size - 3;
    memcpy(err->text + size + 2, old, rest);
    err->text[size + 2 + rest] = '\0';
}

size_t err_print(const struct err *err, char *out, size_t room)
{
    size_t size = 0;

    if (room == 0)
        return 0;
    out[0] = '\0';
#define PUT(...)                                                                                             \
    do {                                                                                                     \
        int put_ = snprintf(out + size, room - size, __VA_ARGS__);                                           \
        size += put_ < 0 ? 0 : (size_t)put_ < room - size ? (size_t)put_ : room - size - 1;                  \
    } while (0)
    if (err->file[0])
        PUT("%s: ", err->file);
    if (err->path[0])
        PUT("%s: ", err->path);
    if (err->pos.line)
        PUT("%u:%u: ", err->pos.line, err->pos.column);
    PUT("%s", err->text);
    if (err->mark[0])
        PUT("\n%s", err->mark);
#undef PUT
    return size;
}
