/* failing_malloc.h - the Nth allocation of a stretch of code fails, also inside the libraries it calls.
 *
 * Include in one file of a test program: it defines malloc, calloc, realloc and reallocarray for the whole
 * process. Memory comes from the sanitizer's allocator where there is one, so leaks are still found. */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name) __interceptor_##name
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REAL(name) __interceptor_##name
#endif
#endif
#ifndef REAL
#define REAL(name) __libc_##name
#endif

extern void *REAL(malloc)(size_t size);
extern void *REAL(calloc)(size_t count, size_t size);
extern void *REAL(realloc)(void *memory, size_t size);

static _Thread_local struct {
    bool on, met;   /* met: an allocation was refused */
    bool from_then; /* all later ones fail as well */
    uint64_t after; /* allocations that still succeed */
} failing;

static inline bool refuse_allocation(void)
{
    if (!failing.on)
        return false;
    if (failing.after > 0) {
        failing.after--;
        return false;
    }
    bool refuse = !failing.met || failing.from_then;
    failing.met = true;
    if (refuse)
        errno = ENOMEM;
    return refuse;
}

void *malloc(size_t size)
{
    return refuse_allocation() ? NULL : REAL(malloc)(size);
}

void *calloc(size_t nmemb, size_t size)
{
    return refuse_allocation() ? NULL : REAL(calloc)(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    return refuse_allocation() ? NULL : REAL(realloc)(ptr, size);
}

void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(nmemb, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(ptr, bytes);
}

/* Let the `after`+1st allocation of this thread from here on fail (and, if `from_then`, all that follow). */
static inline void failing_begin(uint64_t after, bool from_then)
{
    failing.met = false;
    failing.from_then = from_then;
    failing.after = after;
    failing.on = true;
}

/* True if an allocation was refused since failing_begin. */
static inline bool failing_end(void)
{
    failing.on = false;
    return failing.met;
}

#endif
