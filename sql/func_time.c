/* sql/func_time.c - parse_time writes a moment as text, time_to_epoch reads one.
 *
 * Patterns are followed as they stand, which is quicker than looking a compiled one up; zones are slow to
 * make and are kept by name, least recently used out first. */
#include "func.h"
#include "time_text.h"

#include <stdlib.h>

enum {
    ZONES = 64,            /* kept */
    ZONE_STEPS = 200,      /* charged for a new one */
    PATTERN_LONGEST = 1024 /* bytes */
};

struct time_cache {
    struct cached_zone {
        char id[ZONE_ID];
        struct zone *zone; /* NULL: there is no such zone */
        uint64_t used;
    } zones[ZONES];
    uint64_t clock; /* counts look-ups */
};

void time_cache_free(struct time_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < ZONES; i++)
        zone_free(cache->zones[i].zone);
    free(cache);
}

/* +hh, +hh:mm, +hhmm, +hh:mm:ss, as Joda reads it. */
static bool fixed_offset(struct span id, int *seconds)
{
    int part[3] = {0};
    size_t at = 1;

    if (id.size < 3 || (id.data[0] != '+' && id.data[0] != '-'))
        return false;
    for (int i = 0; i < 3 && at < id.size; i++) {
        if (i > 0 && id.data[at] == ':')
            at++;
        if (id.size - at < 2 || id.data[at] < '0' || id.data[at] > '9' || id.data[at + 1] < '0' ||
            id.data[at + 1] > '9')
            return false;
        part[i] = (id.data[at] - '0') * 10 + (id.data[at + 1] - '0');
        at += 2;
    }
    if (at != id.size || part[0] > 23 || part[1] > 59 || part[2] > 59)
        return false;
    *seconds = part[0] * 3600 + part[1] * 60 + part[2];
    if (id.data[0] == '-')
        *seconds = -*seconds;
    return true;
}

static struct zone *make_zone(struct span id)
{
    int seconds;

    if (span_is(id, "UTC"))
        return zone_new(id);
    return fixed_offset(id, &seconds) ? zone_new_fixed(id, seconds) : zone_new(id);
}

/* The zone, or NULL in `*zone` if there is none of that name. -1 with `err`. */
static int find_zone(struct sql_scope *scope, struct span id, struct zone **zone, struct err *err)
{
    struct time_cache *cache = scope->times;
    struct cached_zone *oldest;

    *zone = NULL;
    if (id.size == 0 || id.size >= ZONE_ID || memchr(id.data, '\0', id.size))
        return 0;
    if (!cache)
        cache = scope->times = calloc(1, sizeof *cache);
    if (!cache)
        return err_memory(err);
    oldest = &cache->zones[0];
    for (int i = 0; i < ZONES; i++) {
        struct cached_zone *known = &cache->zones[i];

        if (known->used > 0 && span_is(id, known->id)) {
            known->used = ++cache->clock;
            *zone = known->zone;
            return 0;
        }
        if (known->used < oldest->used)
            oldest = known;
    }
    if (!scope_charge(scope, ZONE_STEPS, err))
        return -1;
    struct zone *made = make_zone(id);
    int seconds;

    if (!made && (fixed_offset(id, &seconds) || zone_is_known(id)))
        return err_memory(err);
    zone_free(oldest->zone);
    *oldest = (struct cached_zone){.zone = made, .used = ++cache->clock};
    memcpy(oldest->id, id.data, id.size);
    *zone = oldest->zone;
    return 0;
}

static int fn_parse_time(const struct call *call, struct value *out, struct err *err)
{
    struct buf text = buf_in(&call->scope->arena, call->scope->limits.memory);
    struct span pattern, id = SPAN("UTC");
    struct number number;
    struct zone *zone;
    int64_t ms;
    int had = arg_text(call, 0, &pattern, err);

    if (had > 0)
        had = arg_int(call, 1, &number, err);
    if (had > 0 && call->argc == 3)
        had = arg_text(call, 2, &id, err);
    if (had <= 0)
        return had;
    if (pattern.size > PATTERN_LONGEST || !number_to_int64(&number, &ms))
        return 0;
    if (find_zone(call->scope, id, &zone, err) != 0)
        return -1;
    if (!zone || !time_print(pattern, ms, zone, &text))
        return 0;
    if (text.failed)
        return call_full(err);
    *out = value_string(buf_view(&text));
    return 0;
}

static int fn_time_to_epoch(const struct call *call, struct value *out, struct err *err)
{
    struct span text, pattern;
    struct time_parts parts;
    struct zone *zone = NULL;
    int had = arg_text(call, 0, &text, err);

    if (had > 0)
        had = arg_text(call, 1, &pattern, err);
    if (had <= 0)
        return had;
    if (pattern.size > PATTERN_LONGEST || !time_read(text, pattern, &parts))
        return 0;
    int64_t ms = parts.local_ms;

    if (parts.place == TIME_OFFSET) {
        ms -= (int64_t)parts.offset_s * 1000;
    } else if (parts.place == TIME_ZONE) {
        if (find_zone(call->scope, parts.zone, &zone, err) != 0)
            return -1;
        if (!zone)
            return 0;
        ms = zone_from_local(zone, ms);
    }
    struct number number = number_from_int(ms);

    *out = value_number(&number, true, call->version);
    return 0;
}

const char *sql_time_doubt(struct span pattern, bool reads)
{
    struct zone *utc = zone_new_fixed(SPAN("UTC"), 0);
    struct buf text = BUF_INIT;
    bool known = pattern.size <= PATTERN_LONGEST && utc &&
                 (reads ? time_read_knows(pattern) : time_print(pattern, 0, utc, &text));

    zone_free(utc);
    buf_done(&text);
    return known   ? NULL
           : reads ? "the pattern has a letter, or a repetition of one, that time_to_epoch() does not read"
                   : "the pattern has a letter that parse_time() does not write; put text between quotes";
}

bool sql_zone_is_known(struct span id)
{
    struct zone *zone = id.size < ZONE_ID ? make_zone(id) : NULL;
    bool known = zone;

    zone_free(zone);
    return known;
}

const struct sql_func sql_time_funcs[] = {
    {"parse_time", 2, 3, FUNC_PURE | FUNC_V2, fn_parse_time,
     "parse_time(pattern, milliseconds[, zone]): the time as text, by a Joda-Time pattern"},
    {"time_to_epoch", 2, 2, FUNC_PURE | FUNC_V2, fn_time_to_epoch,
     "time_to_epoch(text, pattern): milliseconds since 1970, by a java.time pattern"},
    {.name = NULL},
};
