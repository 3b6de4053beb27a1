/* tools/types.h - the kinds of action that this program has: the list is in main.c. */
#ifndef TOOLS_TYPES_H
#define TOOLS_TYPES_H

#include "actions/action.h"

extern const struct action_type *const action_types[]; /* ended by NULL */

#endif
