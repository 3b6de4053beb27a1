/* wiping.h - allocator functions for libraries that hold secrets for us: what they free is zeroed first. */
#ifndef SECRETS_WIPING_H
#define SECRETS_WIPING_H

#include <stddef.h>

void wiping_free(void *memory); /* of memory from malloc */
void *wiping_realloc(void *memory, size_t size);

#endif
