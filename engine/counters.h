/* counters.h - what a lane counts, in all and for each rule. Written by its own thread alone, read by any. */
#ifndef ENGINE_COUNTERS_H
#define ENGINE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* The fields of struct engine_counters, in their order. */
#define COUNTERS(X)                                                                                          \
    X(received)                                                                                              \
    X(bytes)                                                                                                 \
    X(retained_ignored)                                                                                      \
    X(not_json)                                                                                              \
    X(too_large)                                                                                             \
    X(unmatched)                                                                                             \
    X(evaluated)                                                                                             \
    X(matched)                                                                                               \
    X(filtered)                                                                                              \
    X(failed)                                                                                                \
    X(begun)                                                                                                 \
    X(delivered)                                                                                             \
    X(error_action)                                                                                          \
    X(dead)                                                                                                  \
    X(dropped)                                                                                               \
    X(abandoned) X(stored) X(recovered) X(withdrawn) X(retried) X(acknowledged) X(reconnects) X(duplicates)

enum counter {
#define X(name) COUNT_##name,
    COUNTERS(X)
#undef X
        COUNTER_COUNT
};

struct counters {
    _Atomic uint64_t value[COUNTER_COUNT];
};

/* Those that are kept for each rule as well. */
#define RULE_COUNTERS(X)                                                                                     \
    X(matched)                                                                                               \
    X(filtered)                                                                                              \
    X(failed)                                                                                                \
    X(begun) X(delivered) X(error_action) X(dead) X(dropped) X(abandoned) X(stored)

enum rule_counter {
#define X(name) RULE_##name,
    RULE_COUNTERS(X)
#undef X
        RULE_COUNTER_COUNT
};

struct rule_counters {
    _Atomic uint64_t value[RULE_COUNTER_COUNT];
};

/* What is there at the moment, told once a turn of the lane's loop. */
struct gauges {
    _Atomic uint64_t in_flight; /* records without a final answer */
    _Atomic uint64_t held;      /* firings that an acknowledgement waits for */
};

/* A plain addition: one writer needs no locked instruction. */
static inline void counter_add(_Atomic uint64_t *value, uint64_t more)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void counters_add(struct counters *counters, enum counter counter, uint64_t more)
{
    counter_add(&counters->value[counter], more);
}

#define counters_one(counters, name) counters_add((counters), COUNT_##name, 1)

/* In all, and for the rule: `lane` is a struct lane, `rule` a struct lane_rule. */
#define count_rule(lane, rule, name, more)                                                                   \
    (counters_add(&(lane)->counters, COUNT_##name, (more)),                                                  \
     counter_add(&(rule)->counters.value[RULE_##name], (more)))

#endif
