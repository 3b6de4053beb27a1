#include "wiping.h"

#include "base/wiped.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wiping_free(void *memory)
{
    if (memory)
        wipe(memory, malloc_usable_size(memory));
    free(memory);
}

void *wiping_realloc(void *memory, size_t size)
{
    size_t old = memory ? malloc_usable_size(memory) : 0;

    if (memory && size <= old && size > old / 2)
        return memory;
    void *moved = malloc(size ? size : 1); /* realloc would leave the old bytes where they were */
    if (moved && memory) {
        memcpy(moved, memory, old < size ? old : size);
        wiping_free(memory);
    }
    return moved;
}
