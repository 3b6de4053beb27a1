#include "zone.h"

#include "base/auto.h"
#include "calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

enum name_state { NAME_UNKNOWN, NAME_KNOWN, NAME_OFFSET };

struct zone {
    char id[ZONE_ID];
    UCalendar *calendar; /* NULL: fixed */
    int32_t fixed_ms;
    struct stretch {      /* between two changes of the clocks; most times asked for lie in the same one */
        int64_t from, to; /* up to and without `to` */
        int32_t standard, daylight;
    } stretch;
    struct zone_name {
        enum name_state state;
        char text[ZONE_NAME];
    } names[2][2]; /* by is_long and by daylight saving; found on first use */
};

/* ---- names ---- */

/* English names, and the zone that each means in time_to_epoch. Where several zones share a name, the one
 * with most people. */
static const struct {
    const char *brief, *brief_daylight, *full, *full_daylight, *zone;
} meanings[] = {
    {"UTC", NULL, "Coordinated Universal Time", NULL, "UTC"},
    {"GMT", NULL, "Greenwich Mean Time", NULL, "GMT"},
    {"EST", "EDT", "Eastern Standard Time", "Eastern Daylight Time", "America/New_York"},
    {"ET", NULL, "Eastern Time", NULL, "America/New_York"},
    {"CST", "CDT", "Central Standard Time", "Central Daylight Time", "America/Chicago"},
    {"CT", NULL, "Central Time", NULL, "America/Chicago"},
    {"MST", "MDT", "Mountain Standard Time", "Mountain Daylight Time", "America/Denver"},
    {"MT", NULL, "Mountain Time", NULL, "America/Denver"},
    {"PST", "PDT", "Pacific Standard Time", "Pacific Daylight Time", "America/Los_Angeles"},
    {"PT", NULL, "Pacific Time", NULL, "America/Los_Angeles"},
    {"AKST", "AKDT", "Alaska Standard Time", "Alaska Daylight Time", "America/Anchorage"},
    {"HST", NULL, "Hawaii-Aleutian Standard Time", NULL, "Pacific/Honolulu"},
    {"AST", "ADT", "Atlantic Standard Time", "Atlantic Daylight Time", "America/Halifax"},
    {"NST", "NDT", "Newfoundland Standard Time", "Newfoundland Daylight Time", "America/St_Johns"},
    {"CET", "CEST", "Central European Standard Time", "Central European Summer Time", "Europe/Paris"},
    {"EET", "EEST", "Eastern European Standard Time", "Eastern European Summer Time", "Europe/Bucharest"},
    {"WET", "WEST", "Western European Standard Time", "Western European Summer Time", "Europe/Lisbon"},
    {NULL, "BST", NULL, "British Summer Time", "Europe/London"},
    {"MSK", NULL, "Moscow Standard Time", NULL, "Europe/Moscow"},
    {"IST", NULL, "India Standard Time", NULL, "Asia/Kolkata"},
    {"PKT", NULL, "Pakistan Standard Time", NULL, "Asia/Karachi"},
    {NULL, NULL, "China Standard Time", NULL, "Asia/Shanghai"},
    {"HKT", NULL, "Hong Kong Standard Time", NULL, "Asia/Hong_Kong"},
    {"SGT", NULL, "Singapore Standard Time", NULL, "Asia/Singapore"},
    {"WIB", NULL, "Western Indonesia Time", NULL, "Asia/Jakarta"},
    {"JST", NULL, "Japan Standard Time", NULL, "Asia/Tokyo"},
    {"KST", NULL, "Korean Standard Time", NULL, "Asia/Seoul"},
    {NULL, NULL, "Israel Standard Time", "Israel Daylight Time", "Asia/Jerusalem"},
    {"AEST", "AEDT", "Australian Eastern Standard Time", "Australian Eastern Daylight Time",
     "Australia/Sydney"},
    {"ACST", "ACDT", "Australian Central Standard Time", "Australian Central Daylight Time",
     "Australia/Adelaide"},
    {"AWST", NULL, "Australian Western Standard Time", NULL, "Australia/Perth"},
    {"NZST", "NZDT", "New Zealand Standard Time", "New Zealand Daylight Time", "Pacific/Auckland"},
    {"WAT", NULL, "West Africa Standard Time", NULL, "Africa/Lagos"},
    {"CAT", NULL, "Central Africa Time", NULL, "Africa/Maputo"},
    {"EAT", NULL, "East Africa Time", NULL, "Africa/Nairobi"},
    {"SAST", NULL, "South Africa Standard Time", NULL, "Africa/Johannesburg"},
};

/* Abbreviations of the tz database that ICU has in no English locale. */
static const struct {
    const char *zone, *standard, *daylight;
} abbreviations[] = {
    {"Asia/Jakarta", "WIB", NULL},
    {"Asia/Jayapura", "WIT", NULL},
    {"Asia/Jerusalem", "IST", "IDT"},
    {"Asia/Karachi", "PKT", NULL},
    {"Asia/Macau", "CST", NULL},
    {"Asia/Makassar", "WITA", NULL},
    {"Asia/Manila", "PST", NULL},
    {"Asia/Pontianak", "WIB", NULL},
    {"Asia/Pyongyang", "KST", NULL},
    {"Asia/Seoul", "KST", NULL},
    {"Asia/Shanghai", "CST", NULL},
    {"Asia/Taipei", "CST", NULL},
    {"CET", "CET", "CEST"},
    {"EET", "EET", "EEST"},
    {"EST", "EST", NULL},
    {"Europe/Kirov", "MSK", NULL},
    {"Europe/Minsk", "MSK", NULL},
    {"Europe/Moscow", "MSK", NULL},
    {"Europe/Simferopol", "MSK", NULL},
    {"Europe/Volgograd", "MSK", NULL},
    {"HST", "HST", NULL},
    {"Israel", "IST", "IDT"},
    {"MET", "MET", "MEST"},
    {"MST", "MST", NULL},
    {"PRC", "CST", NULL},
    {"ROC", "CST", NULL},
    {"ROK", "KST", NULL},
    {"W-SU", "MSK", NULL},
    {"WET", "WET", "WEST"},
};

/* Each English locale abbreviates what is common where it is spoken; ja alone has JST. */
static const char *const locales[] = {"en",    "en_GB", "en_AU", "en_CA", "en_IE",
                                      "en_IN", "en_ZA", "en_HK", "en_SG", "ja"};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ICU's name in one locale; false if it has none and says GMT+5 instead, or one that is not ASCII. */
static bool icu_name(const struct zone *zone, bool is_long, bool daylight, const char *locale,
                     char out[ZONE_NAME])
{
    static const UCalendarDisplayNameType types[2][2] = {{UCAL_SHORT_STANDARD, UCAL_SHORT_DST},
                                                         {UCAL_STANDARD, UCAL_DST}};
    UErrorCode status = U_ZERO_ERROR;
    UChar name[ZONE_NAME];
    int32_t size = ucal_getTimeZoneDisplayName(zone->calendar, types[is_long][daylight], locale, name,
                                               ZONE_NAME, &status);

    if (U_FAILURE(status) || size <= 0 || size >= ZONE_NAME)
        return false;
    for (int32_t i = 0; i < size; i++) {
        if (name[i] < ' ' || name[i] > '~')
            return false;
        out[i] = (char)name[i];
    }
    out[size] = '\0';
    return strncmp(out, "GMT+", 4) != 0 && strncmp(out, "GMT-", 4) != 0;
}

static bool find_name(const struct zone *zone, bool is_long, bool daylight, char out[ZONE_NAME])
{
    if (!zone->calendar)
        return false;
    for (size_t i = 0; i < COUNT(abbreviations) && !is_long; i++) {
        const char *name = daylight ? abbreviations[i].daylight : abbreviations[i].standard;

        if (strcmp(abbreviations[i].zone, zone->id) == 0 && name) {
            (void)snprintf(out, ZONE_NAME, "%s", name);
            return true;
        }
    }
    for (size_t i = 0; i < (is_long ? 1 : COUNT(locales)); i++)
        if (icu_name(zone, is_long, daylight, locales[i], out))
            return true;
    return false;
}

static void print_offset(int32_t offset_ms, char out[ZONE_NAME])
{
    unsigned seconds = (unsigned)(offset_ms < 0 ? -offset_ms : offset_ms) / 1000;
    int size =
        snprintf(out, ZONE_NAME, "%c%02u:%02u", offset_ms < 0 ? '-' : '+', seconds / 3600, seconds / 60 % 60);

    if (seconds % 60 != 0)
        (void)snprintf(out + size, (size_t)(ZONE_NAME - size), ":%02u", seconds % 60);
}

/* Both parts of the offset at that moment, and how long they have been and will be. */
static void find_stretch(struct zone *zone, int64_t utc_ms)
{
    struct stretch *found = &zone->stretch;
    UErrorCode status = U_ZERO_ERROR;
    UDate change;

    *found = (struct stretch){.from = utc_ms, .to = utc_ms};
    ucal_setMillis(zone->calendar, (UDate)utc_ms, &status);
    found->standard = ucal_get(zone->calendar, UCAL_ZONE_OFFSET, &status);
    found->daylight = ucal_get(zone->calendar, UCAL_DST_OFFSET, &status);
    if (U_FAILURE(status)) { /* beyond ICU's hundreds of thousands of years */
        found->standard = found->daylight = 0;
        return;
    }
    if (ucal_getTimeZoneTransitionDate(zone->calendar, UCAL_TZ_TRANSITION_PREVIOUS_INCLUSIVE, &change,
                                       &status) &&
        U_SUCCESS(status))
        found->from = (int64_t)change;
    if (ucal_getTimeZoneTransitionDate(zone->calendar, UCAL_TZ_TRANSITION_NEXT, &change, &status) &&
        U_SUCCESS(status))
        found->to = (int64_t)change;
}

static void offsets_at(struct zone *zone, int64_t utc_ms, int32_t *standard, int32_t *daylight)
{
    *standard = zone->fixed_ms;
    *daylight = 0;
    if (!zone->calendar)
        return;
    if (utc_ms < zone->stretch.from || utc_ms >= zone->stretch.to)
        find_stretch(zone, utc_ms);
    *standard = zone->stretch.standard;
    *daylight = zone->stretch.daylight;
}

void zone_print_name(struct zone *zone, int64_t utc_ms, bool is_long, char out[ZONE_NAME])
{
    int32_t standard, daylight;

    offsets_at(zone, utc_ms, &standard, &daylight);
    struct zone_name *name = &zone->names[is_long][daylight != 0];

    if (name->state == NAME_UNKNOWN)
        name->state = find_name(zone, is_long, daylight != 0, name->text) ? NAME_KNOWN : NAME_OFFSET;
    if (name->state == NAME_KNOWN)
        memcpy(out, name->text, ZONE_NAME);
    else
        print_offset(standard + daylight, out);
}

/* Calls for every name; a row has up to two of each kind. */
static const char *meaning_name(size_t row, bool is_long, bool daylight)
{
    if (is_long)
        return daylight ? meanings[row].full_daylight : meanings[row].full;
    return daylight ? meanings[row].brief_daylight : meanings[row].brief;
}

const char *zone_of_name(struct span name, bool is_long)
{
    for (size_t i = 0; i < 2 * COUNT(meanings); i++) {
        const char *known = meaning_name(i / 2, is_long, i % 2);

        if (known && span_is(name, known))
            return meanings[i / 2].zone;
    }
    return NULL;
}

size_t zone_match_name(struct span text, bool is_long)
{
    size_t longest = 0;

    for (size_t i = 0; i < 2 * COUNT(meanings); i++) {
        const char *known = meaning_name(i / 2, is_long, i % 2);

        if (known && strlen(known) > longest && span_starts_with(text, known))
            longest = strlen(known);
    }
    return longest;
}

/* ---- zones ---- */

DEFINE_DROP(zone, struct zone *, zone_free)

/* ICU has names of its own beside the tz database's: three letters from the first Java (PST, IST ...), and
 * SystemV. */
static bool is_icu_own(struct span id)
{
    static const char *const own[] = {"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT",        "CNT",
                                      "CST", "CTT", "EAT", "ECT", "IET", "IST", "JST", "MIT",        "NET",
                                      "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST", "Etc/Unknown"};

    for (size_t i = 0; i < COUNT(own); i++)
        if (span_is(id, own[i]))
            return true;
    return span_starts_with(id, "SystemV/");
}

/* As UTF-16, if it could be a name: letters, digits, '/', '_', '+', '-'. */
static int32_t wide_id(struct span id, UChar out[ZONE_ID])
{
    if (id.size == 0 || id.size >= ZONE_ID)
        return 0;
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
              c == '_' || c == '+' || c == '-'))
            return 0;
        out[i] = (UChar)c;
    }
    return (int32_t)id.size;
}

bool zone_is_known(struct span id)
{
    UErrorCode status = U_ZERO_ERROR;
    UBool is_system = 0;
    UChar wide[ZONE_ID], canonical[ZONE_ID];
    int32_t size = wide_id(id, wide);

    if (size == 0 || is_icu_own(id))
        return false;
    (void)ucal_getCanonicalTimeZoneID(wide, size, canonical, ZONE_ID, &is_system, &status);
    return U_SUCCESS(status) && is_system; /* not GMT+2 and the like, which ICU makes up */
}

static struct zone *zone_make(struct span id)
{
    struct zone *zone = calloc(1, sizeof *zone);

    if (zone)
        (void)snprintf(zone->id, sizeof zone->id, SPAN_FMT, SPAN_ARG(id));
    return zone;
}

struct zone *zone_new(struct span id)
{
    AUTO(zone_drop) struct zone *zone = NULL;
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[ZONE_ID];

    if (!zone_is_known(id))
        return NULL;
    zone = zone_make(id);
    if (!zone)
        return NULL;
    if (span_is(id, "UTC")) { /* by far the most common: without ICU */
        zone->names[false][false] = (struct zone_name){NAME_KNOWN, "UTC"};
        zone->names[true][false] = (struct zone_name){NAME_KNOWN, "Coordinated Universal Time"};
        return TAKE(zone);
    }
    zone->calendar = ucal_open(wide, wide_id(id, wide), "en", UCAL_GREGORIAN, &status);
    return U_SUCCESS(status) ? TAKE(zone) : NULL;
}

struct zone *zone_new_fixed(struct span id, int seconds)
{
    struct zone *zone = zone_make(id);

    if (zone)
        zone->fixed_ms = seconds * 1000;
    return zone;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    if (zone->calendar)
        ucal_close(zone->calendar);
    free(zone);
}

const char *zone_id(const struct zone *zone)
{
    return zone->id;
}

int32_t zone_offset(struct zone *zone, int64_t utc_ms)
{
    int32_t standard, daylight;

    offsets_at(zone, utc_ms, &standard, &daylight);
    return standard + daylight;
}

int64_t zone_from_local(struct zone *zone, int64_t local_ms)
{
    if (!zone->calendar)
        return local_ms - zone->fixed_ms;
    /* offsets are less than a day, and no zone changes twice in two days */
    int64_t earlier = local_ms - zone_offset(zone, local_ms - MS_DAY);
    int64_t later = local_ms - zone_offset(zone, local_ms + MS_DAY);

    if (earlier == later || local_ms - zone_offset(zone, earlier) == earlier)
        return earlier;
    return local_ms - zone_offset(zone, later) == later ? later : earlier;
}
