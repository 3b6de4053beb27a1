/* counters.h - what a lane counts. Written by its own thread alone, read by any. */
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
    X(matched)                                                                                               \
    X(filtered)                                                                                              \
    X(failed)                                                                                                \
    X(begun) X(delivered) X(error_action) X(dropped) X(abandoned) X(retried) X(acknowledged) X(reconnects)

enum counter {
#define X(name) COUNT_##name,
    COUNTERS(X)
#undef X
        COUNTER_COUNT
};

struct counters {
    _Atomic uint64_t value[COUNTER_COUNT];
};

/* A plain addition: one writer needs no locked instruction. */
static inline void counters_add(struct counters *counters, enum counter counter, uint64_t more)
{
    _Atomic uint64_t *value = &counters->value[counter];

    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

#define counters_one(counters, name) counters_add((counters), COUNT_##name, 1)

#endif
