/* trie.h - topic filters by their levels: which of them take a topic, and do two of them overlap?
 *
 * A value, not 0, stands where a filter ends. Texts are borrowed and must outlive the trie. */
#ifndef ENGINE_TRIE_H
#define ENGINE_TRIE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRIE_LEVELS = 128 }; /* most levels of a filter */

/* A level of some filters. Index 0 as a reference means none: nothing refers to the root. */
struct trie_node {
    uint32_t parent, child, sibling; /* children by name, as a list */
    uint32_t plus;                   /* child for `+` */
    uint32_t many, here;             /* value of the filter that ends in `#` below, or that ends here */
    struct span level;               /* data NULL: the root, or a `+` */
};

struct trie {
    struct trie_node *nodes;
    size_t node_count, node_room;
    uint32_t *edges; /* hash table of nodes: (parent, level) -> child; 0 free */
    size_t edge_room;
};

int trie_init(struct trie *trie, struct err *err);
void trie_done(struct trie *trie);

/* The place of the filter's value: 0 in a new place. `filter` has passed sql_filter_check. Nothing new
 * borrows its text when the value was not 0. NULL with `err`: too many levels, or no memory. */
uint32_t *trie_add(struct trie *trie, struct span filter, struct err *err);

/* The filter's value; 0: it was not added. */
uint32_t trie_find(const struct trie *trie, struct span filter);

/* Call `found` for every filter that takes the topic. */
typedef void trie_found(void *context, uint32_t value);
void trie_match(const struct trie *trie, struct span topic, trie_found *found, void *context);

/* Is there a topic that `filter`, whose value is `self`, and some other filter both take, as MQTT reads
 * filters: `a/#` takes `a` too? True as well when it would cost too much to tell. `stack` has TRIE_STACK
 * places. */
struct trie_visit {
    uint32_t node;
    struct span rest; /* data NULL: at the end */
};
enum { TRIE_STEPS = 2000, TRIE_STACK = TRIE_STEPS + 2 };
bool trie_overlaps(const struct trie *trie, struct span filter, uint32_t self, struct trie_visit *stack);

/* Does one filter take a topic? TRIE_MQTT: for MQTT it does and for AWS it does not (`a/#` and `a`). */
enum trie_fit { TRIE_NO, TRIE_MQTT, TRIE_YES };
enum trie_fit trie_fits(struct span filter, struct span topic);

/* Cut the next level off `rest`, whose data is NULL when nothing is left. */
struct span trie_level(struct span *rest);

uint64_t trie_hash(struct span text);

/* 28 bits of it, as an identifier for a filter; each call gives another. */
uint32_t trie_identifier(uint64_t *hash);

#endif
