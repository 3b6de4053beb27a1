/* sql/zone.h - time zones: from ICU's data, or a fixed offset. */
#ifndef SQL_ZONE_H
#define SQL_ZONE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { ZONE_ID = 48, ZONE_NAME = 64 /* bytes, with the NUL */ };

struct zone; /* not for two threads at once */

/* The zone of that exact name in the tz database, such as Europe/Berlin. NULL: there is none. */
struct zone *zone_new(struct span id);
/* Always `seconds` east of Greenwich. `id` is kept, cut to fit. NULL: no memory. */
struct zone *zone_new_fixed(struct span id, int seconds);
void zone_free(struct zone *zone);

/* A name that zone_new takes. */
bool zone_is_known(struct span id);

const char *zone_id(const struct zone *zone);
/* Milliseconds to add to UTC at that moment. */
int32_t zone_offset(struct zone *zone, int64_t utc_ms);
/* The moment at which clocks there show `local_ms`. Shown twice: the earlier one. Never shown, because clocks
 * jumped: as far behind the jump (both as java.time). */
int64_t zone_from_local(struct zone *zone, int64_t local_ms);

/* "EST", "EDT"; long: "Eastern Standard Time". The offset where there is no name, such as -03:00. */
void zone_print_name(struct zone *zone, int64_t utc_ms, bool is_long, char out[ZONE_NAME]);

/* The zone that an English abbreviation or long name stands for, such as PST; NULL if none does. */
const char *zone_of_name(struct span name, bool is_long);
/* How many bytes at the start of `text` are the longest such name; 0: none. */
size_t zone_match_name(struct span text, bool is_long);

#endif
