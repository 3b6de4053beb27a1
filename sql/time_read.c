/* sql/time_read.c - java.time's DateTimeFormatter, the half that reads: strict, English, without locale
 * weeks. One pass over the pattern; what the text says is kept in fields and made a moment at the end. */
#include "calendar.h"
#include "time_text.h"

#include <limits.h>

enum field {
    FIELD_ERA, /* 0 BC, 1 AD */
    FIELD_YEAR_OF_ERA,
    FIELD_YEAR,
    FIELD_MONTH,
    FIELD_DAY,
    FIELD_DAY_OF_YEAR,
    FIELD_WEEKDAY,
    FIELD_HALF,      /* 0 AM, 1 PM */
    FIELD_HOUR,      /* H 0-23, 24 */
    FIELD_HOUR_1_24, /* k */
    FIELD_HOUR_0_11, /* K */
    FIELD_HOUR_1_12, /* h */
    FIELD_MINUTE,
    FIELD_SECOND,
    FIELD_NANO,
    FIELD_MS_OF_DAY,
    FIELD_NANO_OF_DAY,
    FIELD_OFFSET,      /* seconds */
    FIELD_ZONE_OFFSET, /* seconds: a zone id that is an offset */
    FIELDS,
};

#define NANOS_SECOND INT64_C(1000000000)

struct fields {
    unsigned set; /* a bit each */
    int64_t value[FIELDS];
    struct span zone;
};

enum { SECTIONS = 16 };

struct reader {
    struct span text, pattern;
    size_t at, in_pattern;
    struct fields fields;
    struct section { /* [...]: where to go on, and with what, if it does not match */
        size_t at, end;
        struct fields fields;
    } sections[SECTIONS];
    int depth;
    bool bad_pattern;
};

static bool has(const struct fields *fields, enum field field)
{
    return fields->set & 1U << field;
}

/* False: the text says two different things. */
static bool set(struct reader *r, enum field field, int64_t value)
{
    struct fields *fields = &r->fields;

    if (has(fields, field) && fields->value[field] != value)
        return false;
    fields->set |= 1U << field;
    fields->value[field] = value;
    return true;
}

static struct span rest(const struct reader *r)
{
    return (struct span){r->text.data + r->at, r->text.size - r->at};
}

static bool take(struct reader *r, const char *text)
{
    if (!span_starts_with(rest(r), text))
        return false;
    r->at += strlen(text);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

enum sign {
    SIGN_NEVER,
    SIGN_MINUS,   /* a minus is taken */
    SIGN_EXCEEDS, /* a plus is wanted if, and taken only if, there are more digits than `least` */
};

/* What a numeric letter reads. */
struct number_format {
    enum field field;
    int least, most;
    enum sign sign;
    bool reduced;  /* yy: 2000 to 2099 */
    bool fraction; /* S: digits after the point */
};

static bool is_fixed(const struct number_format *format)
{
    return format->least == format->most && format->sign == SIGN_NEVER;
}

/* Fields for which one letter is a number of any width, and two are two digits. */
static bool small_field(char letter, enum field *field)
{
    switch (letter) {
    case 'd': *field = FIELD_DAY; return true;
    case 'h': *field = FIELD_HOUR_1_12; return true;
    case 'H': *field = FIELD_HOUR; return true;
    case 'k': *field = FIELD_HOUR_1_24; return true;
    case 'K': *field = FIELD_HOUR_0_11; return true;
    case 'm': *field = FIELD_MINUTE; return true;
    case 's': *field = FIELD_SECOND; return true;
    case 'M':
    case 'L': *field = FIELD_MONTH; return true;
    default: return false;
    }
}

/* The format of `count` times `letter`, if that reads a number. */
static bool number_format(char letter, int count, struct number_format *format)
{
    enum field field;

    if (small_field(letter, &field)) {
        *format = (struct number_format){.field = field, .least = count, .most = count};
        if (count == 1) {
            format->most = 19;
            format->sign = SIGN_MINUS;
        }
        return count <= 2;
    }
    switch (letter) {
    case 'u':
    case 'y':
        *format = (struct number_format){.field = letter == 'u' ? FIELD_YEAR : FIELD_YEAR_OF_ERA,
                                         .least = count,
                                         .most = count == 2 ? 2 : 19,
                                         .sign = count == 2   ? SIGN_NEVER
                                                 : count <= 3 ? SIGN_MINUS
                                                              : SIGN_EXCEEDS,
                                         .reduced = count == 2};
        return count <= 19;
    case 'D':
        *format = (struct number_format){FIELD_DAY_OF_YEAR, count, 3, SIGN_NEVER, false, false};
        if (count == 1) {
            format->most = 19;
            format->sign = SIGN_MINUS;
        }
        return count <= 3;
    case 'S':
        *format = (struct number_format){FIELD_NANO, count, count, SIGN_NEVER, false, true};
        return count <= 9;
    case 'n':
    case 'A':
    case 'N':
        *format = (struct number_format){letter == 'n'   ? FIELD_NANO
                                         : letter == 'A' ? FIELD_MS_OF_DAY
                                                         : FIELD_NANO_OF_DAY,
                                         count,
                                         19,
                                         SIGN_NEVER,
                                         false,
                                         false};
        return count <= 19;
    default: return false;
    }
}

static int run_length(struct span pattern, size_t at)
{
    size_t end = at;

    while (end < pattern.size && pattern.data[end] == pattern.data[at])
        end++;
    return end - at > 99 ? 99 : (int)(end - at);
}

/* A number of variable width leaves the digits that fixed ones right after it need: yyyyMMdd. Returns how
 * many. */
static int reserved_digits(const struct reader *r)
{
    size_t at = r->in_pattern;
    int digits = 0;

    while (at < r->pattern.size && digits < 100) {
        struct number_format next;
        int count = run_length(r->pattern, at);

        if (!number_format(r->pattern.data[at], count, &next) || !is_fixed(&next))
            break;
        digits += next.most;
        at += (size_t)count;
    }
    return digits;
}

/* `in_pattern` is behind the letters. */
static bool read_number(struct reader *r, const struct number_format *format)
{
    bool negative = false, plus = false;

    if (r->at < r->text.size && r->text.data[r->at] == '-' && format->sign != SIGN_NEVER)
        negative = true;
    if (r->at < r->text.size && r->text.data[r->at] == '+' && format->sign == SIGN_EXCEEDS)
        plus = true;
    size_t first = r->at + (negative || plus), end = first;
    int reserved = reserved_digits(r), digits = 0, most = format->most + reserved;

    while (end < r->text.size && digits < most && is_digit(r->text.data[end])) {
        end++;
        digits++;
    }
    if (digits < format->least)
        return false;
    if (reserved > 0)
        digits = digits - reserved > format->least ? digits - reserved : format->least;

    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        value = value * 10 + (uint64_t)(r->text.data[first + (size_t)i] - '0');
        if (value > INT64_MAX)
            return false;
    }
    if (format->fraction)
        for (int i = digits; i < 9; i++)
            value *= 10;
    if (negative && value == 0)
        return false;
    if (!negative && format->sign == SIGN_EXCEEDS && plus != (digits > format->least))
        return false;
    r->at = first + (size_t)digits;
    if (format->reduced)
        value += 2000;
    return set(r, format->field, negative ? -(int64_t)value : (int64_t)value);
}

/* ---- names -------------------------------------------------------------------------------------------- */

static bool read_name(struct reader *r, enum field field, const char *const names[], int count, bool whole)
{
    for (int i = 0; i < count; i++) {
        struct span name = {names[i], whole ? strlen(names[i]) : 3};
        struct span text = rest(r);

        if (text.size >= name.size && memcmp(text.data, name.data, name.size) == 0) {
            r->at += name.size;
            return set(r, field, i + 1);
        }
    }
    return false;
}

static bool read_either(struct reader *r, enum field field, const char *zero, const char *one)
{
    if (take(r, zero))
        return set(r, field, 0);
    return take(r, one) && set(r, field, 1);
}

/* ---- offsets and zones -------------------------------------------------------------------------------- */

/* Exactly two digits up to `most`. */
static bool two_digits(struct reader *r, int most, int *value)
{
    struct span text = rest(r);

    if (text.size < 2 || !is_digit(text.data[0]) || !is_digit(text.data[1]))
        return false;
    *value = (text.data[0] - '0') * 10 + (text.data[1] - '0');
    if (*value > most)
        return false;
    r->at += 2;
    return true;
}

/* The two digits of minutes or seconds, perhaps behind a colon. Nothing is taken when they are not there. */
static bool offset_part(struct reader *r, bool colon, int *value)
{
    size_t at = r->at;

    if ((!colon || take(r, ":")) && two_digits(r, 59, value))
        return true;
    r->at = at;
    return false;
}

struct offset_format {
    bool colon, minutes, seconds; /* minutes: must be there; seconds: may follow */
    bool z;                       /* Z is an offset of nothing */
};

static bool read_offset_value(struct reader *r, struct offset_format format, int64_t *offset)
{
    int hours, minutes = 0, seconds = 0;

    if (format.z && take(r, "Z")) {
        *offset = 0;
        return true;
    }
    bool negative = take(r, "-");

    if ((!negative && !take(r, "+")) || !two_digits(r, 18, &hours))
        return false;
    bool has_minutes = offset_part(r, format.colon, &minutes);

    if (!has_minutes && format.minutes)
        return false;
    if (has_minutes && format.seconds)
        (void)offset_part(r, format.colon, &seconds);
    *offset = hours * 3600 + minutes * 60 + seconds;
    if (*offset > 18 * 3600)
        return false;
    if (negative)
        *offset = -*offset;
    return true;
}

/* GMT, GMT+8, GMT+8:30; long: GMT+08:00. */
static bool read_gmt_offset(struct reader *r, bool is_long)
{
    int64_t offset = 0;
    int minutes = 0, hours;

    if (!take(r, "GMT"))
        return false;
    bool negative = take(r, "-");

    if (!negative && !take(r, "+"))
        return set(r, FIELD_OFFSET, 0);
    if (!two_digits(r, 18, &hours)) {
        struct span text = rest(r);

        if (is_long || text.size == 0 || !is_digit(text.data[0]))
            return false;
        hours = text.data[0] - '0';
        r->at++;
    }
    if (!offset_part(r, true, &minutes) && is_long)
        return false;
    offset = hours * 3600 + minutes * 60;
    return offset <= 18 * 3600 && set(r, FIELD_OFFSET, negative ? -offset : offset);
}

static bool read_offset(struct reader *r, char letter, int count)
{
    int64_t offset;
    struct offset_format format = {
        .colon = letter == 'Z' ? count == 5 : count == 3 || count == 5,
        .minutes = letter == 'Z' || count > 1,
        .seconds = letter == 'Z' ? count == 5 : count >= 4,
        .z = letter == 'X' || (letter == 'Z' && count == 5),
    };

    if (count > 5 || (letter == 'O' && count != 1 && count != 4))
        return r->bad_pattern = true, false;
    if (letter == 'O' || (letter == 'Z' && count == 4))
        return read_gmt_offset(r, count == 4);
    return read_offset_value(r, format, &offset) && set(r, FIELD_OFFSET, offset);
}

/* The longest known id at the start of `text`. */
static struct span zone_at(struct span text)
{
    size_t size = 0;

    while (size < text.size && size < ZONE_ID &&
           (text.data[size] == '/' || text.data[size] == '_' || text.data[size] == '+' ||
            text.data[size] == '-' || is_digit(text.data[size]) ||
            (text.data[size] >= 'A' && text.data[size] <= 'Z') ||
            (text.data[size] >= 'a' && text.data[size] <= 'z')))
        size++;
    for (; size > 0; size--)
        if (zone_is_known((struct span){text.data, size}))
            break;
    return (struct span){text.data, size};
}

/* VV: Europe/Paris, Z, +01:00, UTC+01:00; z also PST, or with four letters Pacific Standard Time. */
static bool read_zone(struct reader *r, char letter, int count)
{
    static const struct offset_format format = {.colon = true, .minutes = true, .seconds = true, .z = true};
    static const char *const prefixes[] = {"UTC", "UT", "GMT"};
    struct span text = rest(r), id;
    int64_t offset = 0;

    if (letter == 'V' ? count != 2 : count > 4)
        return r->bad_pattern = true, false;
    if (span_starts_with(text, "+") || span_starts_with(text, "-"))
        return read_offset_value(r, format, &offset) && set(r, FIELD_ZONE_OFFSET, offset);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!take(r, prefixes[i]))
            continue;
        size_t at = r->at;

        if (!span_starts_with(rest(r), "Z") && !read_offset_value(r, format, &offset)) {
            r->at = at;
            offset = 0;
        }
        return set(r, FIELD_ZONE_OFFSET, offset);
    }
    id = zone_at(text);
    size_t size = letter == 'z' ? zone_match_name(text, count == 4) : 0;

    if (size > id.size || (size == id.size && size > 0 && count < 4)) {
        r->at += size;
        id = span_of(zone_of_name((struct span){text.data, size}, count == 4));
        r->fields.zone = id;
        return true;
    }
    if (id.size == 0)
        return take(r, "Z") && set(r, FIELD_ZONE_OFFSET, 0);
    r->at += id.size;
    if (r->fields.zone.data && !span_equal(r->fields.zone, id))
        return false;
    r->fields.zone = id;
    return true;
}

/* ---- the pattern -------------------------------------------------------------------------------------- */

static bool bad(struct reader *r)
{
    r->bad_pattern = true;
    return false;
}

static bool read_letters(struct reader *r, char letter, int count)
{
    struct number_format format;

    if (number_format(letter, count, &format))
        return read_number(r, &format);
    switch (letter) {
    case 'M':
    case 'L':
        return count == 3 || count == 4 ? read_name(r, FIELD_MONTH, month_names, 12, count == 4) : bad(r);
    case 'E': return count <= 4 ? read_name(r, FIELD_WEEKDAY, weekday_names, 7, count == 4) : bad(r);
    case 'a': return count == 1 ? read_either(r, FIELD_HALF, "AM", "PM") : bad(r);
    case 'G':
        if (count > 5)
            return bad(r);
        return count <= 3   ? read_either(r, FIELD_ERA, "BC", "AD")
               : count == 4 ? read_either(r, FIELD_ERA, "Before Christ", "Anno Domini")
                            : read_either(r, FIELD_ERA, "B", "A");
    case 'O':
    case 'X':
    case 'x':
    case 'Z': return read_offset(r, letter, count);
    case 'V':
    case 'z': return read_zone(r, letter, count);
    default: return bad(r);
    }
}

/* Quoted text; `in_pattern` is behind the first quote. */
static bool read_quoted(struct reader *r)
{
    bool matches = true, any = false;

    while (r->in_pattern < r->pattern.size) {
        char c = r->pattern.data[r->in_pattern++];

        if (c == '\'') {
            bool doubled = r->in_pattern < r->pattern.size && r->pattern.data[r->in_pattern] == '\'';

            if (!doubled && any)
                return matches;
            if (!doubled) /* '' is a quote */
                return take(r, "'");
            r->in_pattern++;
        }
        any = true;
        matches = matches && r->at < r->text.size && r->text.data[r->at] == c;
        r->at += matches;
    }
    return bad(r);
}

/* Behind the bracket that closes the section whose first character is at `from`; sections may be left open.
 */
static size_t section_end(struct span pattern, size_t from)
{
    bool quoted = false;
    int depth = 1;

    for (size_t i = from; i < pattern.size; i++) {
        char c = pattern.data[i];

        if (c == '\'')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == ']'))
            depth += c == '[' ? 1 : -1;
        if (depth == 0)
            return i + 1;
    }
    return pattern.size;
}

static bool open_section(struct reader *r)
{
    if (r->depth == SECTIONS)
        return bad(r);
    r->sections[r->depth++] = (struct section){r->at, section_end(r->pattern, r->in_pattern), r->fields};
    return true;
}

static bool read_step(struct reader *r)
{
    char c = r->pattern.data[r->in_pattern];

    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
        int count = run_length(r->pattern, r->in_pattern);

        r->in_pattern += (size_t)count;
        return read_letters(r, c, count);
    }
    r->in_pattern++;
    switch (c) {
    case '\'': return read_quoted(r);
    case '[': return open_section(r);
    case ']':
        if (r->depth == 0)
            return bad(r);
        r->depth--;
        return true;
    case '{':
    case '}':
    case '#': return bad(r);
    default: break;
    }
    if (r->at == r->text.size || r->text.data[r->at] != c)
        return false;
    r->at++;
    return true;
}

static bool read_all(struct reader *r)
{
    while (r->in_pattern < r->pattern.size) {
        if (read_step(r))
            continue;
        if (r->bad_pattern || r->depth == 0)
            return false;
        const struct section *section = &r->sections[--r->depth];

        r->at = section->at;
        r->in_pattern = section->end;
        r->fields = section->fields;
    }
    return r->at == r->text.size;
}

/* ---- fields to a moment ------------------------------------------------------------------------------- */

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
    int64_t whole = has(fields, FIELD_NANO_OF_DAY) ? fields->value[FIELD_NANO_OF_DAY]
                    : has(fields, FIELD_MS_OF_DAY) ? fields->value[FIELD_MS_OF_DAY] * 1000000
                                                   : -1;

    if (whole >= 0) {
        *nanos = whole;
        return hour < 0 && !minute && !second && !nano && !has(fields, FIELD_HALF);
    }
    *nanos = 0;
    if (hour < 0)
        return !minute && !second && !nano && !has(fields, FIELD_HALF);
    if ((!minute && (second || nano)) || (!second && nano))
        return false;
    *nanos = (hour * 3600 + fields->value[FIELD_MINUTE] * 60 + fields->value[FIELD_SECOND]) * NANOS_SECOND +
             fields->value[FIELD_NANO];
    return hour < 24 || *nanos == MS_DAY * 1000000; /* 24:00 is the next midnight */
}

static bool resolve(struct fields *fields, struct time_parts *parts)
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

enum time_verdict time_read(struct span text, struct span pattern, struct time_parts *parts)
{
    struct reader r = {.text = text, .pattern = pattern};

    if (!read_all(&r))
        return r.bad_pattern ? TIME_BAD_PATTERN : TIME_NO_MATCH;
    return resolve(&r.fields, parts) ? TIME_FINE : TIME_NO_MATCH;
}
