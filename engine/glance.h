/* glance.h - a state and its sentence, written by one thread and looked at by any, without a lock.
 *
 * The writer never waits. A reader that meets a write in progress looks again: `turn` is odd while one is
 * going on, and another one when it is over. Every piece is atomic, so a torn read is thrown away, and never
 * undefined. */
#ifndef ENGINE_GLANCE_H
#define ENGINE_GLANCE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { GLANCE_WORDS = 64, GLANCE_TEXT = GLANCE_WORDS * sizeof(uint64_t) };

struct glance { /* all zero: state 0, no text */
    _Atomic uint32_t turn, state;
    _Atomic uint64_t word[GLANCE_WORDS];
};

/* `text` is cut to GLANCE_TEXT - 1 bytes. By one thread. */
static inline void glance_write(struct glance *glance, uint32_t state, const char *text)
{
    const uint32_t turn = atomic_load_explicit(&glance->turn, memory_order_relaxed);
    char copy[GLANCE_TEXT] = {0};

    for (size_t i = 0; text[i] && i < sizeof copy - 1; i++)
        copy[i] = text[i];
    atomic_store_explicit(&glance->turn, turn + 1, memory_order_relaxed);
    /* Release: none of these is seen before the odd turn. */
    atomic_store_explicit(&glance->state, state, memory_order_release);
    for (size_t i = 0; i < GLANCE_WORDS; i++) {
        uint64_t word;

        memcpy(&word, copy + i * sizeof word, sizeof word);
        atomic_store_explicit(&glance->word[i], word, memory_order_release);
    }
    atomic_store_explicit(&glance->turn, turn + 2, memory_order_release);
}

/* The state; its text in `out` (GLANCE_TEXT bytes, terminated). Any thread. */
static inline uint32_t glance_read(const struct glance *glance, char *out)
{
    for (;;) {
        const uint32_t before = atomic_load_explicit(&glance->turn, memory_order_acquire);
        const uint32_t state = atomic_load_explicit(&glance->state, memory_order_acquire);

        /* Acquire: the second look at the turn comes after all of them. */
        for (size_t i = 0; i < GLANCE_WORDS; i++) {
            uint64_t word = atomic_load_explicit(&glance->word[i], memory_order_acquire);

            memcpy(out + i * sizeof word, &word, sizeof word);
        }
        if (before % 2 == 0 && before == atomic_load_explicit(&glance->turn, memory_order_relaxed))
            return state;
        (void)sched_yield();
    }
}

#endif
