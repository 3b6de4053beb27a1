/* sql/func_message.c - functions of the message and of the installation. */
#include "func.h"

const struct sql_func sql_message_funcs[] = {
    {.name = NULL},
};
