/* dead_time.h - points in time as `topicrule dead` reads and writes them. */
#ifndef TOOLS_DEAD_TIME_H
#define TOOLS_DEAD_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum { DEAD_TIME = 32 };

/* "2026-11-21T10:00:00Z" */
void dead_time_print(int64_t at_ms, char out[DEAD_TIME]);
/* The same, a day, or an age ("90s", "30m", "12h", "7d" before `now_ms`). */
bool dead_time_read(const char *text, int64_t now_ms, int64_t *at_ms);

#endif
