/* base/span.h - a borrowed run of bytes: pointer and length, no terminator.
 *
 * A span never owns. Whoever hands one out says how long it lives. An empty span may have a NULL pointer. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *data;
    size_t size;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_FMT      "%.*s"
#define SPAN_ARG(value)                                                                                      \
    ((int)((value).size < 1000000 ? (value).size : 1000000)), ((value).data ? (value).data : "")

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of(text));
}

/* ASCII letters without regard to case. */
static inline bool span_is_nocase(struct span a, const char *text)
{
    return a.size == strlen(text) && (a.size == 0 || strncasecmp(a.data, text, a.size) == 0);
}

static inline bool span_starts_with(struct span a, const char *prefix)
{
    size_t size = strlen(prefix);

    return a.size >= size && memcmp(a.data, prefix, size) == 0;
}

#endif
