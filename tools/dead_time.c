#include "dead_time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void dead_time_print(int64_t at_ms, char out[DEAD_TIME])
{
    const time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || strftime(out, DEAD_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, DEAD_TIME, "?");
}

static bool read_age(const char *text, int64_t *ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end = NULL;

    errno = 0;
    const long long count = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!errno && end != text && count >= 0 && end[0] == units[i].letter && end[1] == '\0')
            return !__builtin_mul_overflow(count, units[i].ms, ms);
    return false;
}

bool dead_time_read(const char *text, int64_t now_ms, int64_t *at_ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"};
    int64_t age;

    if (text[0] >= '0' && text[0] <= '9' && read_age(text, &age)) {
        *at_ms = now_ms - age;
        return true;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);

        if (end && *end == '\0') {
            *at_ms = (int64_t)timegm(&tm) * 1000;
            return true;
        }
    }
    return false;
}
