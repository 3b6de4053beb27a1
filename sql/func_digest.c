/* sql/func_digest.c - digests, encode, decode. */
#include "func.h"

const struct sql_func sql_digest_funcs[] = {
    {.name = NULL},
};
