/* sql/func_time.c - parse_time and time_to_epoch. */
#include "func.h"

const struct sql_func sql_time_funcs[] = {
    {.name = NULL},
};

void time_cache_free(struct time_cache *cache)
{
    (void)cache; /* nothing makes one yet */
}
