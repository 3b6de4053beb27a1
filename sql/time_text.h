/* sql/time_text.h - times as text, by the patterns of the two Java libraries that AWS uses: Joda-Time's
 * DateTimeFormat for writing (parse_time), java.time's DateTimeFormatter for reading (time_to_epoch).
 *
 * Numbers and English names are handled here, in plain arithmetic; ICU is asked for time zones alone, so the
 * results do not change with its version. */
#ifndef SQL_TIME_TEXT_H
#define SQL_TIME_TEXT_H

#include "base/buf.h"
#include "zone.h"

/* Write `utc_ms` as `pattern` says. False: no such pattern (nothing of `out` is of use then). */
bool time_print(struct span pattern, int64_t utc_ms, struct zone *zone, struct buf *out);

struct time_parts {
    int64_t local_ms; /* what the clock and calendar in the text show, in milliseconds since 1970 there */
    enum { TIME_UTC, TIME_OFFSET, TIME_ZONE } place; /* UTC: the text names no zone */
    int offset_s;                                    /* TIME_OFFSET: seconds east */
    struct span zone;                                /* TIME_ZONE: an id; into the text, or constant */
};

/* Read the whole of `text`. Strict: numbers have the pattern's width, names their case, dates exist. False:
 * the text is not of the pattern, or no moment. */
bool time_read(struct span text, struct span pattern, struct time_parts *parts);

/* A pattern of java.time, with letters that are done here. */
bool time_read_knows(struct span pattern);

#endif
