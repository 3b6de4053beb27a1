/* sql/calendar.h - the proleptic Gregorian calendar (ISO 8601) in plain arithmetic: days and milliseconds
 * since 1970-01-01, for years of at most nine digits. No zones: see zone.h. */
#ifndef SQL_CALENDAR_H
#define SQL_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define MS_SECOND INT64_C(1000)
#define MS_DAY    INT64_C(86400000)

struct date {
    int64_t year; /* 0 is 1 BC */
    int month, day;
};

int64_t days_from_date(int64_t year, int month, int day);
struct date date_from_days(int64_t days);

bool year_is_leap(int64_t year);
int month_length(int64_t year, int month);

int weekday_of(int64_t days); /* 1 Monday .. 7 Sunday */
int day_of_year(const struct date *date);
/* ISO week 1..53 and the year that it belongs to. */
int week_of(int64_t days, int64_t *weekyear);

/* Toward minus infinity; `by` is positive. */
int64_t floor_divide(int64_t value, int64_t by);
int64_t floor_modulo(int64_t value, int64_t by);

/* English, from 0: January, Monday. The first three characters are the short name. */
extern const char *const month_names[12];
extern const char *const weekday_names[7];

#endif
