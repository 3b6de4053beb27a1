/* sql/node.h - the payload's tape: nodes in the order of the text, 16 bytes each.
 *
 * Private to payload*.c and value*.c. A container is followed by its elements; each member is a key node, its
 * value and what is inside that. `next` leads over everything inside, so an unneeded member costs one step:
 *
 *     {"a":[1,2],"b":3}     0 OBJECT next 7, 2 members     4 INT 2
 *                           1 key a, next 4 (to key b)     5 key b, next 2
 *                           2 ARRAY next 3, 2 elements     6 INT 3
 *                           3 INT 1
 *
 * A member named twice: the later keys are `dropped`, and the node behind the first one becomes NODE_MOVED,
 * whose `at` leads to the last value. So the last value stands at the first one's place. */
#ifndef SQL_NODE_H
#define SQL_NODE_H

#include "value.h"

enum {
    /* kind: an enum value_type, or */
    NODE_MOVED = 15,
    NODE_COUNT_MOST = (1 << 24) - 1,
    BOTH_VERSIONS = 1 << SQL_2015_10_08 | 1 << SQL_2016_03_23,
};

struct node {
    uint32_t at;   /* offset of the text; of a string: behind its quote */
    uint32_t size; /* of the text; of a string: without its quotes */
    uint32_t next; /* nodes to the next sibling; of a key: to the next key */
    uint32_t kind : 4;
    uint32_t verbatim : 2; /* bit 1 << version: the text as it stands is what value_print would write */
    uint32_t escaped : 1;  /* STRING, key: holds a backslash */
    uint32_t dropped : 1;  /* key: a later one or an earlier one stands for it */
    uint32_t count : 24;   /* members (dropped ones not counted) or elements; NODE_COUNT_MOST: or more */
};

/* As much of a count as fits. */
#define NODE_COUNT(n) ((n) < NODE_COUNT_MOST ? (n)&NODE_COUNT_MOST : NODE_COUNT_MOST)

/* A node as a value. */
struct value node_value(const struct node *node, const char *base);

/* The node that holds a member's value. */
static inline const struct node *node_of_key(const struct node *key)
{
    const struct node *value = key + 1;

    return value->kind == NODE_MOVED ? value + value->at : value;
}

static inline struct span node_text(const struct node *node, const char *base)
{
    return (struct span){base + node->at, node->size};
}

#endif
