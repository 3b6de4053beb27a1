#include "props.h"

#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>

const struct prop props[PROP_COUNT] = {
#define PROP(id, name, rdkafka, kind, fallback, values, help)                                                \
    [PROP_##id] = {name, rdkafka, KIND_##kind, fallback, values, help},
#include "props.def"
};

static const struct {
    const char *name;
    enum prop_id id;
    enum prop_form form;
    const char *note;
} spellings[] = {
#define PROP(id, name, rdkafka, kind, fallback, values, help) {name, PROP_##id, FORM_PLAIN, ""},
#define NAME(spelling, id, form, note)                        {spelling, PROP_##id, FORM_##form, note},
#include "props.def"
};
enum { SPELLINGS = sizeof spellings / sizeof *spellings };

static const struct {
    const char *name, *note;
    enum prop_fate fate;
} others[] = {
#define IGNORED(name, note)   {name, note, PROP_IGNORED},
#define REFUSED(name, reason) {name, reason, PROP_REFUSED},
#include "props.def"
};

const char *prop_spelling(size_t index, enum prop_id *id)
{
    if (index >= SPELLINGS)
        return NULL;
    if (id)
        *id = spellings[index].id;
    return spellings[index].name;
}

static const char *spelling_name(const void *context, size_t index)
{
    (void)context;
    return prop_spelling(index, NULL);
}

/* Too far for a slip of the pen, but part of a name ("ssl.ca", "sasl.kerberos.realm"): the first name that
 * goes on from there, else the first with the same last word. NULL: none. */
static const char *partly(struct span name)
{
    const char *dot = name.size ? memrchr(name.data, '.', name.size) : NULL;
    struct span word = dot ? (struct span){dot + 1, (size_t)(name.data + name.size - dot - 1)} : name;

    for (size_t i = 0; name.size >= 4 && i < SPELLINGS; i++)
        if (strncmp(spellings[i].name, name.data, name.size) == 0)
            return spellings[i].name;
    for (size_t i = 0; word.size >= (dot ? 3u : 8u) && i < SPELLINGS; i++) {
        const char *last = strrchr(spellings[i].name, '.');

        if (last && span_is(word, last + 1))
            return spellings[i].name;
    }
    return NULL;
}

/* A linear search: names are looked up when a rule is loaded, never for a message. */
struct prop_match prop_find(struct span name)
{
    for (size_t i = 0; i < SPELLINGS; i++)
        if (span_is(name, spellings[i].name))
            return (struct prop_match){PROP_KNOWN, spellings[i].id, spellings[i].form, spellings[i].note};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (span_is(name, others[i].name))
            return (struct prop_match){.fate = others[i].fate, .note = others[i].note};

    const char *near = nearest(name, spelling_name, NULL);
    return (struct prop_match){.fate = PROP_UNKNOWN, .note = near ? near : partly(name)};
}

/* The next item of "a|b=c|d": its text and what it stands for (itself without '='). */
static bool next_choice(const char **at, struct span *text, struct span *meaning)
{
    const char *start = *at;

    if (!start)
        return false;
    const char *end = strchrnul(start, '|'), *equals = memchr(start, '=', (size_t)(end - start));

    *text = (struct span){start, (size_t)((equals ? equals : end) - start)};
    *meaning = equals ? (struct span){equals + 1, (size_t)(end - equals - 1)} : *text;
    *at = *end ? end + 1 : NULL;
    return true;
}

struct span prop_choice(const struct prop *prop, struct span value)
{
    struct span text, meaning;
    const char *at = prop->values;

    while (next_choice(&at, &text, &meaning))
        if (text.size == value.size && (text.size == 0 || strncasecmp(text.data, value.data, text.size) == 0))
            return meaning;
    return (struct span){NULL, 0};
}

void prop_choices(const struct prop *prop, char *out, size_t room)
{
    struct span text, meaning, pending = {NULL, 0};
    const char *at = prop->values;
    size_t used = 0;

    out[0] = '\0';
    for (bool more = true; more;) {
        more = next_choice(&at, &text, &meaning);
        if (more && text.data != meaning.data)
            continue; /* another spelling of one that is listed */
        if (pending.data) {
            int put = snprintf(out + used, room - used, "%s" SPAN_FMT,
                               used == 0 ? ""
                               : more    ? ", "
                                         : " or ",
                               SPAN_ARG(pending));
            used += put < 0 ? 0 : (size_t)put < room - used ? (size_t)put : room - used - 1;
        }
        pending = text;
    }
}

bool prop_number(const struct prop *prop, struct span value, long long *number)
{
    char text[24], *end;
    long long low, high;

    if (value.size == 0 || value.size >= sizeof text)
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false; /* strtoll would take blanks and a plus */
    *number = strtoll(text, &end, 10);
    low = strtoll(prop->values, NULL, 10);
    high = strtoll(strstr(prop->values, "..") + 2, NULL, 10);
    return *end == '\0' && end != text && *number >= low && *number <= high;
}
