/* limiter.h - at most one log line in a while about the same thing, and the number of those left out. */
#ifndef ENGINE_LIMITER_H
#define ENGINE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

enum { LIMITER_MS = 10000 };

struct limiter {
    int64_t next_ms;
    uint64_t left_out;
};

/* May a line be written now? If so `*left_out` were not, since the last one. */
static inline bool limiter_allows(struct limiter *limiter, int64_t now_ms, uint64_t *left_out)
{
    if (now_ms < limiter->next_ms) {
        limiter->left_out++;
        return false;
    }
    *left_out = limiter->left_out;
    *limiter = (struct limiter){.next_ms = now_ms + LIMITER_MS};
    return true;
}

#endif
