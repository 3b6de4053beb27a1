#include "calendar.h"

const char *const month_names[12] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
const char *const weekday_names[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};

int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

int64_t floor_modulo(int64_t value, int64_t by)
{
    int64_t rest = value % by;

    return rest < 0 ? rest + by : rest;
}

bool year_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int month_length(int64_t year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && year_is_leap(year) ? 29 : lengths[month - 1];
}

/* Days before the month in a year that begins in March, so that the leap day comes last: 30.6 a month. */
static int64_t days_before(int march_month)
{
    return (153 * march_month + 2) / 5;
}

enum { DAYS_4_CENTURIES = 146097, DAYS_TO_1970 = 719468 /* since 0000-03-01 */ };

int64_t days_from_date(int64_t year, int month, int day)
{
    int64_t from_march = month > 2 ? year : year - 1;
    int64_t cycle = floor_divide(from_march, 400), in_cycle = floor_modulo(from_march, 400);
    int64_t in_year = days_before((month + 9) % 12) + day - 1;

    return cycle * DAYS_4_CENTURIES + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year - DAYS_TO_1970;
}

struct date date_from_days(int64_t days)
{
    days += DAYS_TO_1970;
    int64_t cycle = floor_divide(days, DAYS_4_CENTURIES), rest = floor_modulo(days, DAYS_4_CENTURIES);
    /* take the leap days before `rest` out: one in 4 years, none in 100, one in 400 */
    int64_t year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
    int64_t in_year = rest - (year * 365 + year / 4 - year / 100);
    int march_month = (int)((5 * in_year + 2) / 153);

    return (struct date){
        .year = cycle * 400 + year + (march_month >= 10),
        .month = march_month < 10 ? march_month + 3 : march_month - 9,
        .day = (int)(in_year - days_before(march_month)) + 1,
    };
}

int weekday_of(int64_t days)
{
    return (int)floor_modulo(days + 3, 7) + 1; /* 1970-01-01 was a Thursday */
}

int day_of_year(const struct date *date)
{
    return (int)(days_from_date(date->year, date->month, date->day) - days_from_date(date->year, 1, 1)) + 1;
}

int week_of(int64_t days, int64_t *weekyear)
{
    int64_t thursday = days + 4 - weekday_of(days); /* a week belongs to the year of its Thursday */
    struct date date = date_from_days(thursday);

    *weekyear = date.year;
    return (day_of_year(&date) - 1) / 7 + 1;
}
