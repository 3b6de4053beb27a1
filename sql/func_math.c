/* sql/func_math.c - numbers: arithmetic, double precision functions, bits. */
#include "func.h"

const struct sql_func sql_math_funcs[] = {
    {.name = NULL},
};

const struct sql_func sql_bit_funcs[] = {
    {.name = NULL},
};
