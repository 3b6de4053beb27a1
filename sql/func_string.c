/* sql/func_string.c - functions of text. */
#include "func.h"

const struct sql_func sql_string_funcs[] = {
    {.name = NULL},
};
