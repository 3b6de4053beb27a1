/* sql/func_aws.c - functions that call AWS services, and get_secret. */
#include "func.h"

const struct sql_func sql_aws_funcs[] = {
    {.name = NULL},
};
