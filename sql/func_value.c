/* sql/func_value.c - functions of any value. */
#include "func.h"

const struct sql_func sql_value_funcs[] = {
    {.name = NULL},
};
