/* history.h - how much time has really passed since the wall clock showed something?
 *
 * A row knows the wall clock's time when it was made, and people are shown that. But the wall clock is set: a
 * device without a clock of its own starts in 1970 and is in this year a minute later. Then every row would
 * look half a century old, and be given up at once. So each *gap* is noted: a stretch of the wall clock's
 * time in which no time passed, from what it would have shown to what it did show. The age of a row is
 * measured by walking back from now, over the gaps.
 *
 * While we run, the clock that only counts (CLOCK_BOOTTIME, which goes on in a suspend) tells what has
 * passed, and a difference of more than a minute is a gap. Between two lives there is no such clock. Up to an
 * hour is believed, which is a restart; more is a gap, whether the machine was off or its clock was set:
 * nobody has tried to deliver anything meanwhile. A clock that is set back shortens the gaps that it leaves.
 * Whatever is not known for sure makes rows younger, never older: they wait longer, and
 * `delivery.refused.max` bounds them all the same. */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_GAPS = 16, HISTORY_TEXT = 40 * HISTORY_GAPS + 1 };

/* All times in milliseconds: `wall` since 1970, `run` of the clock that counts. */
struct history {
    struct history_gap {
        int64_t from, to;
    } gaps[HISTORY_GAPS]; /* ascending; one does not reach into the next */
    size_t count;
    int64_t wall, run; /* when last looked at */
};

/* A life begins. `text`: of history_print, by the life before; what cannot be read is left out. `seen`: the
 * wall clock at its end, or shortly before; 0: not known. */
void history_begin(struct history *history, const char *text, int64_t seen, int64_t wall, int64_t run);
/* To be called often. How far the wall clock was set since the last time; 0: it was not, or a little. */
int64_t history_look(struct history *history, int64_t wall, int64_t run);
/* What the wall clock showed `age` ago. */
int64_t history_before(const struct history *history, int64_t wall, int64_t age);
/* One line for each gap, terminated. */
void history_print(const struct history *history, char out[HISTORY_TEXT]);

#endif
