/* tools/types.h - the kinds of action that this program has: the list is in main.c. */
#ifndef TOOLS_TYPES_H
#define TOOLS_TYPES_H

#include "actions/action.h"

#if __has_include("kafka/kafka.h")
#include "kafka/kafka.h"
#else
extern const struct action_type kafka_action_type;
int kafka_process_init(struct err *err);
#endif

extern const struct action_type *const action_types[]; /* ended by NULL */

#endif
