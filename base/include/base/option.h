/* base/option.h - options that one room reads as text and another understands: their names, their values, and
 * where they stand. So the room that reads the configuration need not know those that are configured. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/err.h"

#include <stddef.h>

/* One option. Nested ones have dots in their names: "auth.method". */
struct option_pair {
    const char *name, *value;
    struct pos pos;
};

/* The options of one thing, which has a name and a type. Borrowed from whoever read them. */
struct option_group {
    const char *name, *type;
    const struct option_pair *options;
    size_t option_count;
    struct pos pos;
};

#endif
