/* func_doubt.c - calls whose constant arguments make the result always Undefined. AWS loads such rules and
 * so do we; a warning says what a look at the output would show too late. */
#include "func.h"

#include <stdio.h>

static bool is(const struct sql_func *func, const char *name)
{
    return strcmp(func->name, name) == 0;
}

/* Literals are plain, so their text needs no arena. */
static bool text_of(const struct value *const args[], unsigned argc, unsigned i, struct span *text)
{
    if (i >= argc || !args[i] || args[i]->type != VALUE_STRING || args[i]->form != FORM_PLAIN)
        return false;
    *text = args[i]->text;
    return true;
}

static bool is_one_of(struct span text, const char *const *words)
{
    for (; *words; words++)
        if (span_is(text, *words))
            return true;
    return false;
}

static bool doubt_pattern(struct span pattern, char *why, size_t room)
{
    size_t at;
    const char *reason = sql_regex_doubt(pattern, &at);

    if (reason)
        (void)snprintf(why, room, "the regular expression is no good near character %zu: %s", at + 1, reason);
    return reason;
}

static bool doubt_time(struct span pattern, bool reads, char *why, size_t room)
{
    const char *reason = sql_time_doubt(pattern, reads);

    if (reason)
        (void)snprintf(why, room, "%s", reason);
    return reason;
}

/* Functions whose argument `i` is one of a few words. */
static const struct {
    const char *func;
    unsigned i;
    const char *words[5], *hint;
} choices[] = {
    {"encode", 1, {"base64"}, "'base64' is the one scheme"},
    {"decode", 1, {"base64"}, "'base64' is the one scheme"},
    {"transform", 0, {"enrichArray"}, "'enrichArray' is the one mode"},
    {"get_mqtt_property",
     0,
     {"content_type", "format_indicator", "response_topic", "correlation_data"},
     "the names are content_type, format_indicator, response_topic, correlation_data"},
};

bool sql_func_doubt(const struct sql_func *func, const struct value *const args[], unsigned argc, char *why,
                    size_t room)
{
    struct span text;

    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (!is(func, choices[i].func) || !text_of(args, argc, choices[i].i, &text) ||
            is_one_of(text, choices[i].words))
            continue;
        (void)snprintf(why, room, "%s", choices[i].hint);
        return true;
    }
    if (is(func, "regexp_matches") || is(func, "regexp_substr") || is(func, "regexp_replace"))
        return text_of(args, argc, 1, &text) && doubt_pattern(text, why, room);
    if (is(func, "time_to_epoch"))
        return text_of(args, argc, 1, &text) && doubt_time(text, true, why, room);
    if (!is(func, "parse_time"))
        return false;
    if (text_of(args, argc, 0, &text) && doubt_time(text, false, why, room))
        return true;
    if (!text_of(args, argc, 2, &text) || sql_zone_is_known(text))
        return false;
    (void)snprintf(why, room, "there is no time zone `" SPAN_FMT "`; write one as Europe/Berlin or +01:00",
                   SPAN_ARG(text));
    return true;
}
