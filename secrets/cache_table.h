/* cache_table.h - the entries of the cache: found by hash, bounded by kind.
 *
 * Secrets that configuration and rules name are few, and stay. Those whose ids messages compute may be as
 * many as a hostile device likes: they have bounds of their own, the least recently used goes first, and what
 * has no value goes before what has one. All under the cache's lock. */
#ifndef SECRETS_CACHE_TABLE_H
#define SECRETS_CACHE_TABLE_H

#include "backend.h"

enum {
    TABLE_NAMED_MAX = 4096,
    TABLE_COMPUTED_MAX = 1024,
    TABLE_EMPTY_MAX = 256, /* of the computed: those without a value */
    TABLE_BUCKETS = 1024,
};

struct entry {
    struct entry *next, *previous; /* all of them, in no order */
    struct entry *chain;           /* in its bucket */
    struct place *place;
    struct span id, role_arn; /* point into `text` */
    uint32_t hash;
    bool computed;        /* by a message, and never named otherwise */
    struct stored stored; /* bytes NULL: no value */
    struct err err;       /* of the last try; code NONE: it went well */
    int64_t good_ms;      /* monotonic: when the value was last confirmed */
    int64_t due_ms;       /* when to try again; before that a failure is believed */
    int64_t used_ms;
    unsigned failures, missing; /* in a row */
    uint64_t fetches, served;
    unsigned users; /* threads that look at it: not evicted */
    bool fetching;
    char text[];
};

/* All zero: empty. */
struct table {
    struct entry *first;
    struct entry *buckets[TABLE_BUCKETS];
};

/* NULL: not there. */
struct entry *table_find(const struct table *table, const struct place *place, struct span id,
                         struct span role_arn);
/* A new entry, for which another may have to go. NULL: memory is out, or all are in use. */
struct entry *table_add(struct table *table, struct place *place, struct span id, struct span role_arn,
                        bool computed);
/* Wipes and frees it. */
void table_drop(struct table *table, struct entry *entry);

#endif
