/* sql/time_resolve.c - the fields of a text make one moment, or none: they must be in range, agree with each
 * other, and leave nothing open. */
#include "calendar.h"
#include "time_fields.h"

enum { YEAR_MOST = 292000000 /* milliseconds of later years do not fit 64 bits */ };

static bool in_range(const struct fields *fields, enum field field, int64_t least, int64_t most)
{
    return !has(fields, field) || (fields->value[field] >= least && fields->value[field] <= most);
}

static bool resolve_year(struct fields *fields)
{
    int64_t year = fields->value[FIELD_YEAR_OF_ERA];

    if (!in_range(fields, FIELD_YEAR_OF_ERA, 1, YEAR_MOST) ||
        !in_range(fields, FIELD_YEAR, -YEAR_MOST, YEAR_MOST))
        return false;
    if (has(fields, FIELD_YEAR_OF_ERA)) {
        bool before = has(fields, FIELD_ERA) ? fields->value[FIELD_ERA] == 0
                                             : has(fields, FIELD_YEAR) && fields->value[FIELD_YEAR] <= 0;
        year = before ? 1 - year : year;
        if (has(fields, FIELD_YEAR) && fields->value[FIELD_YEAR] != year)
            return false;
        fields->value[FIELD_YEAR] = year;
        fields->set |= 1U << FIELD_YEAR;
    }
    return has(fields, FIELD_YEAR);
}

static bool resolve_date(struct fields *fields, int64_t *days)
{
    if (!resolve_year(fields))
        return false;
    int64_t year = fields->value[FIELD_YEAR];
    bool by_month = has(fields, FIELD_MONTH) && has(fields, FIELD_DAY);

    if (!in_range(fields, FIELD_MONTH, 1, 12) || !in_range(fields, FIELD_DAY, 1, 31) ||
        !in_range(fields, FIELD_DAY_OF_YEAR, 1, year_is_leap(year) ? 366 : 365))
        return false;
    if (by_month) {
        int month = (int)fields->value[FIELD_MONTH], day = (int)fields->value[FIELD_DAY];

        if (day > month_length(year, month))
            return false; /* 30 February is no date, where java.time would take the last of the month */
        *days = days_from_date(year, month, day);
    }
    if (has(fields, FIELD_DAY_OF_YEAR)) {
        int64_t by_day = days_from_date(year, 1, 1) + fields->value[FIELD_DAY_OF_YEAR] - 1;

        if (by_month && by_day != *days)
            return false;
        *days = by_day;
    } else if (!by_month) {
        return false;
    }
    return !has(fields, FIELD_WEEKDAY) || fields->value[FIELD_WEEKDAY] == weekday_of(*days);
}

/* The hour 0..24 from whichever letters there are; they must agree. -1: none; -2: impossible. */
static int resolve_hour(const struct fields *fields)
{
    int64_t hour = -1;

    if (!in_range(fields, FIELD_HOUR, 0, 24) || !in_range(fields, FIELD_HOUR_1_24, 1, 24) ||
        !in_range(fields, FIELD_HOUR_0_11, 0, 11) || !in_range(fields, FIELD_HOUR_1_12, 1, 12))
        return -2;
    if (has(fields, FIELD_HOUR))
        hour = fields->value[FIELD_HOUR];
    if (has(fields, FIELD_HOUR_1_24)) {
        int64_t other = fields->value[FIELD_HOUR_1_24] % 24;

        if (hour >= 0 && hour != other)
            return -2;
        hour = other;
    }
    for (int i = 0; i < 2; i++) {
        enum field field = i == 0 ? FIELD_HOUR_0_11 : FIELD_HOUR_1_12;

        if (!has(fields, field))
            continue;
        int64_t other = fields->value[field] % 12 + 12 * fields->value[FIELD_HALF];

        if (!has(fields, FIELD_HALF) || (hour >= 0 && hour != other))
            return -2; /* three o'clock, but of which half of the day? */
        hour = other;
    }
    if (has(fields, FIELD_HALF) && hour >= 0 && hour / 12 != fields->value[FIELD_HALF])
        return -2;
    return (int)hour;
}

/* Nanoseconds of the day; midnight when the text has no time. A part without the larger one is no time. */
static bool resolve_time(const struct fields *fields, int64_t *nanos)
{
    int hour = resolve_hour(fields);
    bool minute = has(fields, FIELD_MINUTE), second = has(fields, FIELD_SECOND),
         nano = has(fields, FIELD_NANO);

    if (hour == -2 || !in_range(fields, FIELD_MINUTE, 0, 59) || !in_range(fields, FIELD_SECOND, 0, 59) ||
        !in_range(fields, FIELD_NANO, 0, NANOS_SECOND - 1) ||
        !in_range(fields, FIELD_MS_OF_DAY, 0, MS_DAY - 1) ||
        !in_range(fields, FIELD_NANO_OF_DAY, 0, MS_DAY * 1000000 - 1))
        return false;
    bool clock = hour >= 0;

    if (!clock && (minute || second || nano || has(fields, FIELD_HALF)))
        return false;
    if ((!minute && (second || nano)) || (!second && nano))
        return false;
    *nanos = 0;
    if (clock)
        *nanos =
            (hour * 3600 + fields->value[FIELD_MINUTE] * 60 + fields->value[FIELD_SECOND]) * NANOS_SECOND +
            fields->value[FIELD_NANO];
    if (hour == 24 && *nanos != MS_DAY * 1000000) /* 24:00 is the next midnight */
        return false;
    if (has(fields, FIELD_MS_OF_DAY)) {
        if (clock && *nanos / 1000000 != fields->value[FIELD_MS_OF_DAY])
            return false;
        if (!clock)
            *nanos = fields->value[FIELD_MS_OF_DAY] * 1000000;
        clock = true;
    }
    if (has(fields, FIELD_NANO_OF_DAY)) {
        if (clock && *nanos != fields->value[FIELD_NANO_OF_DAY])
            return false;
        *nanos = fields->value[FIELD_NANO_OF_DAY];
    }
    return true;
}

bool time_resolve(struct fields *fields, struct time_parts *parts)
{
    int64_t days = 0, nanos = 0;

    if (!resolve_date(fields, &days) || !resolve_time(fields, &nanos))
        return false;
    *parts = (struct time_parts){.local_ms = days * MS_DAY + nanos / 1000000};
    if (has(fields, FIELD_OFFSET) || (has(fields, FIELD_ZONE_OFFSET) && !fields->zone.data)) {
        parts->place = TIME_OFFSET;
        parts->offset_s = (int)fields->value[has(fields, FIELD_OFFSET) ? FIELD_OFFSET : FIELD_ZONE_OFFSET];
    } else if (fields->zone.data) {
        parts->place = TIME_ZONE;
        parts->zone = fields->zone;
    }
    return true;
}
