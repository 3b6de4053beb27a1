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

/* A reference to the whole secret. Waits for the backend when there is nothing to serve. 0, or -1 with `err`
 * as from fetch. */
int cache_get(struct cache *cache, struct place *place, struct span id, struct span role_arn,
              struct stored *out, struct err *err);

void cache_each(struct cache *cache, secrets_look *look, void *context);

#endif
