/* base/wiped.h - bytes of a secret: locked, kept out of core dumps, zeroed before they are freed.
 *
 * The one type for secrets. No formatter of this project accepts it, and it is opaque on purpose: to use the
 * bytes one must say `wiped_reveal`, which is easy to search for. Reference counted; the count is atomic, so
 * a secret may be shared between threads. */
#ifndef BASE_WIPED_H
#define BASE_WIPED_H

#include "base/span.h"

struct wiped;

/* A copy of `bytes` in memory of its own. NULL when there is no memory. mlock that is refused
 * (RLIMIT_MEMLOCK) is counted, see wiped_unlocked, and the secret is held all the same. */
struct wiped *wiped_new(struct span bytes);

struct wiped *wiped_ref(struct wiped *secret); /* NULL stays NULL */
void wiped_free(struct wiped *secret);         /* one reference; NULL is a no-op */

/* The bytes, terminated (the terminator is not counted), valid while the reference is held. */
struct span wiped_reveal(const struct wiped *secret);

/* How many secrets could not be locked in memory, ever. */
size_t wiped_unlocked(void);

/* Zero memory in a way that the compiler may not leave out. */
void wipe(void *memory, size_t size);

#endif
