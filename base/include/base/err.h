/* base/err.h - an error says what and where, in the caller's own struct.
 *
 * `err` is the last parameter, always, and may not be NULL. It is written on failure only, so calls can be
 * chained and looked at once. A failing function returns -1 or NULL; it never logs. No text ever holds the
 * value of a secret. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/span.h"

#include <stddef.h>

enum err_code {
    ERR_NONE = 0,
    ERR_SYNTAX,      /* the text is not of its language */
    ERR_NAME,        /* a name that is not known here */
    ERR_VALUE,       /* a value out of its range or of the wrong type */
    ERR_UNSUPPORTED, /* known, and refused on purpose */
    ERR_LIMIT,       /* one of our own bounds was met */
    ERR_SECRET,      /* a secret could not be had */
    ERR_IO,          /* file, socket, server */
    ERR_MEMORY,      /* the allocator said no */
};

struct pos {
    unsigned line, column; /* 1-based, in characters; {0,0}: no place */
};

struct err {
    enum err_code code;
    struct pos pos;
    char file[256]; /* the file as the user named it; "" if not from a file */
    char path[192]; /* JSON path inside it, as `actions[0].kafka.topic`; "" if none */
    char text[320]; /* complete enough to print as it stands; no newline */
    char mark[400]; /* "" or the source line and the caret line under it, two lines */
};

/* Fill `err` without a place and return -1, so that a caller writes `return err_set(...)`. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a place. */
int err_at(struct err *err, enum err_code code, struct pos pos, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Fill `mark` from the text that the error is about: the line that holds byte `offset`, and `^~~~` under
 * `length` bytes of it. Also sets `pos`. Long lines are cut around the place; control characters and invalid
 * UTF-8 become '?'. Offsets past the end mark the end. */
void err_mark(struct err *err, struct span source, size_t offset, size_t length);

/* Name the file and the JSON path, keeping what an inner function has already set. */
void err_in(struct err *err, const char *file, const char *path);

/* Prefix `text` with "<words>: ", cutting at the end. */
void err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Write "file: path: line:column: text" and, on their own indented lines, the mark, into `out` (always
 * terminated, cut to `room`). Returns the length written. */
size_t err_print(const struct err *err, char *out, size_t room);

/* Out of memory, in the one wording used everywhere. Returns -1. */
int err_memory(struct err *err);

/* The analyzer does not see into err.c; so it learns what these return. */
#ifdef __clang_analyzer__
#define err_set(...)  (err_set(__VA_ARGS__), -1)
#define err_at(...)   (err_at(__VA_ARGS__), -1)
#define err_memory(e) (err_memory(e), -1)
#endif

#endif
