/* sql/time_place.c - offsets and zones in the text of time_to_epoch. */
#include "time_fields.h"

/* Exactly two digits up to `most`. */
static bool two_digits(struct cursor *c, int most, int *value)
{
    struct span text = rest(c);

    if (text.size < 2 || !is_digit(text.data[0]) || !is_digit(text.data[1]))
        return false;
    *value = (text.data[0] - '0') * 10 + (text.data[1] - '0');
    if (*value > most)
        return false;
    c->at += 2;
    return true;
}

/* The two digits of minutes or seconds, perhaps behind a colon. Nothing is taken when they are not there. */
static bool offset_part(struct cursor *c, bool colon, int *value)
{
    size_t at = c->at;

    if ((!colon || take(c, ":")) && two_digits(c, 59, value))
        return true;
    c->at = at;
    return false;
}

struct offset_format {
    bool colon, minutes, seconds; /* minutes: must be there; seconds: may follow */
    bool z;                       /* Z is an offset of nothing */
};

static bool read_offset_value(struct cursor *c, struct offset_format format, int64_t *offset)
{
    int hours, minutes = 0, seconds = 0;

    if (format.z && take(c, "Z")) {
        *offset = 0;
        return true;
    }
    bool negative = take(c, "-");

    if ((!negative && !take(c, "+")) || !two_digits(c, 18, &hours))
        return false;
    bool has_minutes = offset_part(c, format.colon, &minutes);

    if (!has_minutes && format.minutes)
        return false;
    if (has_minutes && format.seconds)
        (void)offset_part(c, format.colon, &seconds);
    *offset = hours * 3600 + minutes * 60 + seconds;
    if (*offset > 18 * 3600)
        return false;
    if (negative)
        *offset = -*offset;
    return true;
}

/* GMT, GMT+8, GMT+8:30; long: GMT+08:00. */
static bool read_gmt_offset(struct cursor *c, bool is_long)
{
    int64_t offset = 0;
    int hours, minutes = 0, seconds = 0;

    if (!take(c, "GMT"))
        return false;
    bool negative = take(c, "-");

    if (!negative && !take(c, "+"))
        return set(c, FIELD_OFFSET, 0);
    if (!two_digits(c, 18, &hours)) {
        struct span text = rest(c);

        if (is_long || text.size == 0 || !is_digit(text.data[0]))
            return false;
        hours = text.data[0] - '0';
        c->at++;
    }
    bool has_minutes = offset_part(c, true, &minutes);

    if (!has_minutes && is_long)
        return false;
    if (has_minutes)
        (void)offset_part(c, true, &seconds);
    offset = hours * 3600 + minutes * 60 + seconds;
    return offset <= 18 * 3600 && set(c, FIELD_OFFSET, negative ? -offset : offset);
}

bool time_read_offset(struct cursor *c, char letter, int count)
{
    int64_t offset;
    struct offset_format format = {
        .colon = letter == 'Z' ? count == 5 : count == 3 || count == 5,
        .minutes = letter == 'Z' || count > 1,
        .seconds = letter == 'Z' ? count == 5 : count >= 4,
        .z = letter == 'X' || (letter == 'Z' && count == 5),
    };

    if (letter == 'O' || (letter == 'Z' && count == 4))
        return read_gmt_offset(c, count == 4);
    return read_offset_value(c, format, &offset) && set(c, FIELD_OFFSET, offset);
}

/* The longest known id at the start of `text`. */
static struct span zone_at(struct span text)
{
    size_t size = 0;

    while (size < text.size && size < ZONE_ID &&
           (text.data[size] == '/' || text.data[size] == '_' || text.data[size] == '+' ||
            text.data[size] == '-' || is_digit(text.data[size]) || is_letter(text.data[size])))
        size++;
    for (; size > 0; size--)
        if (zone_is_known((struct span){text.data, size}))
            break;
    return (struct span){text.data, size};
}

bool time_read_zone(struct cursor *c, char letter, int count)
{
    static const struct offset_format format = {.colon = true, .minutes = true, .seconds = true, .z = true};
    static const char *const prefixes[] = {"UTC", "UT", "GMT"};
    struct span text = rest(c), id;
    int64_t offset = 0;

    if (span_starts_with(text, "+") || span_starts_with(text, "-"))
        return read_offset_value(c, format, &offset) && set(c, FIELD_ZONE_OFFSET, offset);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!take(c, prefixes[i]))
            continue;
        size_t at = c->at;

        if (!span_starts_with(rest(c), "Z") && !read_offset_value(c, format, &offset)) {
            c->at = at;
            offset = 0;
        }
        return set(c, FIELD_ZONE_OFFSET, offset);
    }
    id = zone_at(text);
    size_t size = letter == 'z' ? zone_match_name(text, count == 4) : 0;

    if (size > id.size || (size == id.size && size > 0 && count < 4)) {
        c->at += size;
        id = span_of(zone_of_name((struct span){text.data, size}, count == 4));
        c->fields.zone = id;
        return true;
    }
    if (id.size == 0)
        return take(c, "Z") && set(c, FIELD_ZONE_OFFSET, 0);
    c->at += id.size;
    if (c->fields.zone.data && !span_equal(c->fields.zone, id))
        return false;
    c->fields.zone = id;
    return true;
}
