/* route.h - which rules hear a message?
 *
 * Built once from a rule set, which must outlive it, and read-only afterwards: lanes share it without a lock,
 * and a look-up allocates nothing. The cost of a look-up follows the levels of the topic, not the number of
 * rules.
 *
 * A broker of MQTT 5 sends one copy of a message for every subscription that overlaps, and names the
 * subscription by an identifier of ours. A filter that overlaps no other shares ROUTE_SHARED with its like
 * and is routed by topic. Each overlapping one has an identifier of its own, because a message arrives with
 * the one that it was queued under, maybe long ago: so identifiers are kept (store.h), and that of a filter
 * that no rule has any more matches nothing. Without a store they are made from the filter's text. A missing
 * or unknown identifier is routed by topic: rather twice than never.
 *
 * Filters are read as semantics A16 has it: `a/#` does not take `a`. The broker does send it, and no rule
 * runs. */
#ifndef ENGINE_ROUTE_H
#define ENGINE_ROUTE_H

#include "base/err.h"
#include "rules/rule.h"

#include <stdint.h>

enum { ROUTE_SHARED = 1 }; /* the identifier of all filters that overlap no other */

/* One subscription: a distinct filter with the rules that hear it. */
struct route_entry {
    const char *filter;    /* terminated */
    uint32_t id;           /* subscription identifier to send: ROUTE_SHARED or its own */
    uint32_t own_id;       /* the one it has whether it overlaps or not */
    const uint32_t *rules; /* places in the rule set, ascending */
    size_t rule_count;
    bool basic_ingest; /* $aws/rules/<rule>/#, heard by that rule alone */
    bool is_old;       /* subscribed before, too */
};

struct route;

/* Disabled rules are left out. With `basic_ingest` every rule is also heard at $aws/rules/<its name>/. NULL
 * with `err`, which names the rule. */
struct route *route_new(const struct rule_set *set, bool basic_ingest, struct err *err);
void route_free(struct route *route); /* NULL is a no-op */

/* The identifiers that are kept: ids[i] for the entry i. Before the route is shared. 0, or -1 with `err`. */
int route_identify(struct route *route, const uint32_t *ids, struct err *err);

/* This filter, if a rule hears it, was subscribed before. Before the route is shared. */
void route_mark_old(struct route *route, const char *filter);
/* Is it the identifier of one that a rule hears and that was not? */
bool route_is_new(const struct route *route, uint32_t id);

/* A filter that the broker may still have a subscription of ours for. If no rule has it, what comes for it
 * matches nothing. Before the route is shared. 0, or -1 with `err`. */
int route_add_gone(struct route *route, const char *filter, uint32_t id, struct err *err);
/* After all that are gone are there: filters that overlap one of them are told from it by an identifier of
 * their own. 0, or -1 with `err`. */
int route_part_from_gone(struct route *route, struct err *err);
size_t route_gone_count(const struct route *route);
const char *route_gone(const struct route *route, size_t index);
bool route_is_gone(const struct route *route, uint32_t id);
/* The identifier of one that is gone and takes the topic; 0: none. */
uint32_t route_gone_for(const struct route *route, struct span topic);

/* Does a rule of it hear this filter? */
bool route_hears(const struct route *route, const char *filter);
size_t route_count(const struct route *route);
const struct route_entry *route_entry(const struct route *route, size_t index);

/* The identifiers of other subscriptions that take the topic, too, those that are gone included. 0: none, or
 * nothing can be said about this identifier, or the topic is of Basic Ingest. Returns how many there are,
 * which may be more than `room`. */
size_t route_others(const struct route *route, struct span topic, uint32_t id, uint32_t *out, size_t room);

struct route_match {
    size_t count;      /* rules put into `out` */
    struct span topic; /* as the rules see it: what follows $aws/rules/<rule>/ with Basic Ingest */
    bool no_such_rule; /* Basic Ingest for a rule that is not there, or disabled */
};

/* Put the places of the matching rules into `out`, ascending, which has room for every rule of the set. `ids`
 * are the identifiers the message came with, none under MQTT 3.1.1. */
struct route_match route_match(const struct route *route, struct span topic, const uint32_t *ids,
                               size_t id_count, uint32_t *out);

#endif
