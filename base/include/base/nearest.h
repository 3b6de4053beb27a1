/* base/nearest.h - "did you mean": the known name nearest to one that is not. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include "base/span.h"

/* The i-th known name, or NULL past the last. */
typedef const char *nearest_name(const void *context, size_t index);

/* The name with the least edit distance (insert, delete, replace, swap; ASCII case ignored), or NULL when
 * none is near enough to be meant: at most a third of the letters, and at most 4. Earlier names win a tie. */
const char *nearest(struct span word, nearest_name *name, const void *context);

#endif
