/* sql/payload_keys.h - members that are named twice: the last value, at the first one's place. */
#ifndef SQL_PAYLOAD_KEYS_H
#define SQL_PAYLOAD_KEYS_H

#include "node.h"

/* Settle the object at nodes[object], whose `count` members have just been read. False: the arena's limit. */
bool payload_unite_keys(struct node *nodes, uint32_t object, uint32_t count, struct span text,
                        struct arena *arena);

#endif
