/* sql/time_print.c - Joda-Time's DateTimeFormat, the half that writes. */
#include "calendar.h"
#include "time_text.h"

struct moment {
    int64_t utc_ms, days;
    struct date date;
    int64_t ms; /* of the day */
    struct zone *zone;
    int32_t offset_ms;
};

/* At least `width` digits, the sign before the zeros. */
static void put_number(struct buf *out, int64_t value, size_t width)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do
        digits[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        buf_char(out, '-');
    for (size_t size = sizeof digits - at; size < width; size++)
        buf_char(out, '0');
    buf_add(out, digits + at, sizeof digits - at);
}

/* Two letters are two digits without sign: 23 for 2023. */
static void put_year(struct buf *out, int64_t year, size_t width)
{
    if (width == 2)
        put_number(out, (year < 0 ? -year : year) % 100, 2);
    else
        put_number(out, year, width);
}

static void put_name(struct buf *out, const char *name, bool whole)
{
    buf_span(out, (struct span){name, whole ? strlen(name) : 3});
}

/* Digits of the millisecond, cut or filled with zeros to the width. */
static void put_fraction(struct buf *out, int64_t ms, size_t width)
{
    char digits[3] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};

    buf_add(out, digits, width < 3 ? width : 3);
    for (size_t i = 3; i < width; i++)
        buf_char(out, '0');
}

static void put_zone(struct buf *out, const struct moment *at, char letter, size_t count)
{
    char name[ZONE_NAME];

    if (letter == 'z') {
        zone_print_name(at->zone, at->utc_ms, count >= 4, name);
        buf_text(out, name);
    } else if (count >= 3) {
        buf_text(out, zone_id(at->zone));
    } else {
        unsigned minutes = (unsigned)(at->offset_ms < 0 ? -at->offset_ms : at->offset_ms) / 60000;

        buf_char(out, at->offset_ms < 0 ? '-' : '+');
        put_number(out, minutes / 60, 2);
        if (count == 2)
            buf_char(out, ':');
        put_number(out, minutes % 60, 2);
    }
}

static bool put_field(struct buf *out, const struct moment *at, char letter, size_t count)
{
    const struct date *date = &at->date;
    int64_t hour = at->ms / 3600000, weekyear, year_of_era = date->year > 0 ? date->year : 1 - date->year;
    int week = week_of(at->days, &weekyear);

    switch (letter) {
    case 'G': buf_text(out, date->year > 0 ? "AD" : "BC"); return true;
    case 'C': put_number(out, (date->year < 0 ? -date->year : date->year) / 100, count); return true;
    case 'y': put_year(out, date->year, count); return true;
    case 'Y': put_year(out, count == 2 ? date->year : year_of_era, count); return true;
    case 'x': put_year(out, weekyear, count); return true;
    case 'w': put_number(out, week, count); return true;
    case 'e': put_number(out, weekday_of(at->days), count); return true;
    case 'E': put_name(out, weekday_names[weekday_of(at->days) - 1], count >= 4); return true;
    case 'D': put_number(out, day_of_year(date), count); return true;
    case 'M':
        if (count >= 3)
            put_name(out, month_names[date->month - 1], count >= 4);
        else
            put_number(out, date->month, count);
        return true;
    case 'd': put_number(out, date->day, count); return true;
    case 'a': buf_text(out, hour < 12 ? "AM" : "PM"); return true;
    case 'K': put_number(out, hour % 12, count); return true;
    case 'h': put_number(out, hour % 12 == 0 ? 12 : hour % 12, count); return true;
    case 'H': put_number(out, hour, count); return true;
    case 'k': put_number(out, hour == 0 ? 24 : hour, count); return true;
    case 'm': put_number(out, at->ms / 60000 % 60, count); return true;
    case 's': put_number(out, at->ms / 1000 % 60, count); return true;
    case 'S': put_fraction(out, at->ms % 1000, count); return true;
    case 'z':
    case 'Z': put_zone(out, at, letter, count); return true;
    default: return false;
    }
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool time_print(struct span pattern, int64_t utc_ms, struct zone *zone, struct buf *out)
{
    struct moment at = {.utc_ms = utc_ms, .zone = zone, .offset_ms = zone_offset(zone, utc_ms)};
    bool quoted = false;
    int64_t local;

    if (pattern.size == 0 || __builtin_add_overflow(utc_ms, at.offset_ms, &local))
        return false;
    at.days = floor_divide(local, MS_DAY);
    at.ms = floor_modulo(local, MS_DAY);
    at.date = date_from_days(at.days);
    for (size_t i = 0; i < pattern.size && !out->failed;) {
        char c = pattern.data[i];
        size_t count = 1;

        if (c == '\'') { /* two are one; one begins or ends text, which need not end */
            bool doubled = i + 1 < pattern.size && pattern.data[i + 1] == '\'';

            if (doubled)
                buf_char(out, '\'');
            else
                quoted = !quoted;
            i += doubled ? 2 : 1;
            continue;
        }
        if (quoted || !is_letter(c)) {
            buf_char(out, c);
            i++;
            continue;
        }
        while (i + count < pattern.size && pattern.data[i + count] == c)
            count++;
        if (!put_field(out, &at, c, count))
            return false;
        i += count;
    }
    return true;
}
