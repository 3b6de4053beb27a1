/* sql/time_fields.h - what the parts of time_to_epoch share: a place in the text, and what it has said so
 * far.
 *
 * time_read.c follows the pattern, time_place.c reads offsets and zones, time_resolve.c makes a moment. */
#ifndef SQL_TIME_FIELDS_H
#define SQL_TIME_FIELDS_H

#include "time_text.h"

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

/* What is left of the text begins at `at`. */
struct cursor {
    struct span text;
    size_t at;
    struct fields fields;
};

static inline bool has(const struct fields *fields, enum field field)
{
    return fields->set & 1U << field;
}

/* False: the text says two different things. */
static inline bool set(struct cursor *c, enum field field, int64_t value)
{
    struct fields *fields = &c->fields;

    if (has(fields, field) && fields->value[field] != value)
        return false;
    fields->set |= 1U << field;
    fields->value[field] = value;
    return true;
}

static inline struct span rest(const struct cursor *c)
{
    return (struct span){c->text.data + c->at, c->text.size - c->at};
}

static inline bool take(struct cursor *c, const char *text)
{
    if (!span_starts_with(rest(c), text))
        return false;
    c->at += strlen(text);
    return true;
}

static inline bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static inline bool is_letter(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
}

/* X, x, Z, O: an offset, as many letters as the pattern has. */
bool time_read_offset(struct cursor *c, char letter, int count);
/* VV: Europe/Paris, Z, +01:00, UTC+01:00; z also PST, or with four letters Pacific Standard Time. */
bool time_read_zone(struct cursor *c, char letter, int count);

/* The moment that the fields mean together; false if they mean none. */
bool time_resolve(struct fields *fields, struct time_parts *parts);

#endif
