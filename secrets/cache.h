/* cache.h - whole secrets, kept for a while, refreshed in the background, fetched once for all who wait. */
#ifndef SECRETS_CACHE_H
#define SECRETS_CACHE_H

#include "backend.h"

struct cache;

/* `places` is borrowed for the life of the cache. */
struct cache *cache_new(const struct secrets_config *config, struct place *places, size_t count,
                        struct err *err);
/* Ends the thread. NULL is a no-op. */
void cache_free(struct cache *cache);

int cache_start(struct cache *cache, secrets_notice *notice, void *context, struct err *err);

/* From its return on `notice` is called no more. */
void cache_quiet(struct cache *cache);

/* Fetches under way, and all later ones, fail at once. Async-signal-safe. */
void cache_give_up(struct cache *cache);

struct cache_query {
    struct span id, role_arn;
    bool computed; /* by a message: kept among its like, and not refreshed unless it is used */
    bool may_wait; /* for the backend */
};

enum cache_answer {
    CACHE_HERE,    /* `*out` has a reference */
    CACHE_REFUSED, /* with `err`, as from fetch: there is none, or this one cannot be had */
    CACHE_AWAY,    /* with `err`: the backend does not answer, or memory is out */
    CACHE_UNKNOWN, /* nothing is known, and the query may not wait */
};

enum cache_answer cache_ask(struct cache *cache, struct place *place, const struct cache_query *query,
                            struct stored *out, struct err *err);

/* Fetch soon what is kept, as if its time were over. */
void cache_look_again(struct cache *cache);

void cache_each(struct cache *cache, secrets_look *look, void *context);

#endif
