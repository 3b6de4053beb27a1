#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STEP_MS = 60 * 1000, BREAK_MS = 60 * 60 * 1000 };

#define MOST (INT64_C(1) << 53) /* no clock shows that; and no sum of two overflows */

/* Room for one more: the two that are nearest to each other become one. What passed between them does not
 * count any more. */
static void merge(struct history *history)
{
    struct history_gap *const gaps = history->gaps;
    size_t at = 0;

    for (size_t i = 1; i + 1 < history->count; i++)
        if (gaps[i + 1].from - gaps[i].to < gaps[at + 1].from - gaps[at].to)
            at = i;
    gaps[at].to = gaps[at + 1].to;
    history->count--;
    memmove(gaps + at + 1, gaps + at + 2, (history->count - at - 1) * sizeof *gaps);
}

static void add(struct history *history, int64_t from, int64_t to)
{
    struct history_gap *last = history->count ? &history->gaps[history->count - 1] : NULL;

    if (last && from <= last->to) {
        last->to = to > last->to ? to : last->to;
        return;
    }
    if (history->count == HISTORY_GAPS)
        merge(history);
    history->gaps[history->count++] = (struct history_gap){from, to};
}

/* Gaps end now at the latest. */
static void trim(struct history *history, int64_t wall)
{
    while (history->count > 0 && history->gaps[history->count - 1].from >= wall)
        history->count--;
    if (history->count > 0 && history->gaps[history->count - 1].to > wall)
        history->gaps[history->count - 1].to = wall;
}

void history_begin(struct history *history, const char *text, int64_t seen, int64_t wall, int64_t run)
{
    int64_t from, to;
    int size;

    *history = (struct history){.wall = wall, .run = run};
    while (sscanf(text, "%17" SCNd64 " %17" SCNd64 "%n", &from, &to, &size) == 2) {
        if (from >= 0 && from < to && to < MOST)
            add(history, from, to);
        text += size;
    }
    trim(history, wall);
    if (seen > 0 && wall - seen > BREAK_MS)
        add(history, seen, wall);
}

int64_t history_look(struct history *history, int64_t wall, int64_t run)
{
    const int64_t expected = history->wall + (run - history->run), set = wall - expected;

    history->wall = wall;
    history->run = run;
    if (set > STEP_MS)
        add(history, expected, wall);
    else if (set < 0)
        trim(history, wall);
    return set > STEP_MS || set < -STEP_MS ? set : 0;
}

int64_t history_before(const struct history *history, int64_t wall, int64_t age)
{
    for (size_t i = history->count; i-- > 0;) {
        const int64_t passed = wall > history->gaps[i].to ? wall - history->gaps[i].to : 0;

        if (age <= passed)
            break;
        age -= passed;
        wall = history->gaps[i].from;
    }
    return wall - age;
}

void history_print(const struct history *history, char out[HISTORY_TEXT])
{
    size_t size = 0;

    out[0] = '\0';
    for (size_t i = 0; i < history->count; i++)
        size += (size_t)snprintf(out + size, HISTORY_TEXT - size, "%" PRId64 " %" PRId64 "\n",
                                 history->gaps[i].from, history->gaps[i].to);
}
