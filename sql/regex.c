#include "regex.h"

#include "regex_translate.h"

#include <stdio.h>
#include <stdlib.h>

/* The translator: one pass over the pattern that writes PCRE2's words as it goes. Groups are kept in frames
 * rather than on the call stack. A pattern with back references is passed over twice, because whether \1 is
 * a reference or can never match depends on groups that come later. */

/* ---- groups ---- */

static bool flag_of(char letter, unsigned *flag)
{
    static const char letters[] = "idmsuxU";
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);

    if (found)
        *flag = 1U << (found - letters);
    return found;
}

static bool open_group(struct translate *t, enum group_kind kind, const char *text)
{
    regex_settle(t);
    if (t->depth == GROUP_DEPTH)
        return refuse(t, "groups are nested too deeply");
    t->frames[t->depth++] =
        (struct frame){.kind = kind, .flags = t->read.flags, .start = t->out->text.size, .width = NO_BRANCH};
    put(t, text);
    return true;
}

static bool open_capture(struct translate *t)
{
    if (!open_group(t, GROUP_PLAIN, "("))
        return false;
    t->out->groups++;
    return true;
}

static bool open_named(struct translate *t)
{
    struct regex_text *out = t->out;
    struct span name;

    if (!group_read_name(t, &name))
        return false;
    if (group_find_name(out, name))
        return refuse(t, "two groups have the same name");
    if ((out->name_count & (out->name_count - 1)) == 0) { /* full at every power of two */
        size_t room = out->name_count == 0 ? 1 : 2 * out->name_count;
        struct regex_name *names = reallocarray(out->names, room, sizeof *names);

        if (!names)
            return t->read.no_memory = true, false;
        out->names = names;
    }
    if (!open_capture(t))
        return false;
    out->names[out->name_count++] = (struct regex_name){name, out->groups};
    return true;
}

/* (?i-s) for the rest of this group, (?i-s:...) for one of its own. */
static bool read_flags(struct translate *t)
{
    unsigned flags = t->read.flags, flag;
    bool off = false;

    for (; t->read.at < t->read.end && *t->read.at != ')' && *t->read.at != ':'; t->read.at++) {
        if (*t->read.at == '-' && !off)
            off = true;
        else if (!flag_of(*t->read.at, &flag))
            return refuse(t, "there is no such group: after (? stand :, =, !, <, > or flags of idmsuxU");
        else
            flags = off ? flags & ~flag : flags | flag;
    }
    if (t->read.at == t->read.end)
        return refuse(t, "the group is not closed with )");
    if (*t->read.at++ == ':') {
        if (!open_group(t, GROUP_PLAIN, "(?:"))
            return false;
    } else {
        regex_settle(t);
    }
    t->read.flags = flags;
    return true;
}

static bool starts(struct translate *t, const char *text)
{
    if (!span_starts_with((struct span){t->read.at, (size_t)(t->read.end - t->read.at)}, text))
        return false;
    t->read.at += strlen(text);
    return true;
}

static bool read_group(struct translate *t)
{
    if (!starts(t, "?"))
        return open_capture(t);
    if (starts(t, ":"))
        return open_group(t, GROUP_PLAIN, "(?:");
    if (starts(t, ">"))
        return open_group(t, GROUP_PLAIN, "(?>");
    if (starts(t, "="))
        return open_group(t, GROUP_AHEAD, "(?=");
    if (starts(t, "!"))
        return open_group(t, GROUP_AHEAD, "(?!");
    if (starts(t, "<="))
        return open_group(t, GROUP_BEHIND, "(?<=");
    if (starts(t, "<!"))
        return open_group(t, GROUP_BEHIND, "(?<!");
    if (starts(t, "<"))
        return open_named(t);
    return read_flags(t);
}

static bool end_branch(struct translate *t)
{
    struct frame *frame = &t->frames[t->depth - 1];

    regex_settle(t);
    if (frame->kind == GROUP_BEHIND && frame->branch == VARIABLE)
        return refuse(t, "what a look-behind looks for must have a fixed length in every alternative");
    frame->width = frame->width == NO_BRANCH || frame->width == frame->branch ? frame->branch : VARIABLE;
    frame->branch = 0;
    return true;
}

/* A branch may be tried where another one has been: the work counts anew from there. */
static bool read_fork(struct translate *t)
{
    if (!end_branch(t))
        return false;
    t->frames[t->depth - 1].forks = true;
    buf_format(&t->out->text, "|(?C%d)", REGEX_CALLOUT_WORK);
    return true;
}

static bool close_group(struct translate *t)
{
    if (t->depth == 1)
        return refuse(t, "a ) closes no group");
    if (!end_branch(t))
        return false;
    struct frame *frame = &t->frames[--t->depth];

    put(t, ")");
    t->read.flags = frame->flags;
    t->forked = frame->forks;
    t->atom = frame->kind == GROUP_PLAIN ? ATOM_PLAIN : ATOM_ASSERT;
    t->start = frame->start;
    t->width = frame->kind == GROUP_PLAIN ? frame->width : 0;
    return true;
}

/* ---- repetitions ---- */

static bool read_count(struct translate *t, long *count)
{
    if (t->read.at == t->read.end || *t->read.at < '0' || *t->read.at > '9')
        return refuse(t, "a repetition is {n}, {n,} or {n,m}; write \\{ for the character");
    for (*count = 0; t->read.at < t->read.end && *t->read.at >= '0' && *t->read.at <= '9'; t->read.at++) {
        *count = *count * 10 + (*t->read.at - '0');
        if (*count > REPEATS)
            return refuse(t, "a repetition counts to 65535 at most");
    }
    return true;
}

/* The repetition as PCRE2 writes it, which is the same, in `text`. */
static bool read_braces(struct translate *t, char text[32], int *width)
{
    long least, most;

    if (!read_count(t, &least))
        return false;
    *width = VARIABLE;
    if (starts(t, "}")) {
        if (t->width >= 0 && t->width * least <= REPEATS)
            *width = t->width * (int)least;
        (void)snprintf(text, 32, "{%ld}", least);
        return true;
    }
    if (!starts(t, ","))
        return refuse(t, "a repetition is {n}, {n,} or {n,m}; write \\{ for the character");
    if (starts(t, "}")) {
        (void)snprintf(text, 32, "{%ld,}", least);
        return true;
    }
    if (!read_count(t, &most))
        return false;
    if (!starts(t, "}"))
        return refuse(t, "a repetition is {n}, {n,} or {n,m}; write \\{ for the character");
    if (most < least)
        return refuse(t, "the repetition runs backwards");
    (void)snprintf(text, 32, "{%ld,%ld}", least, most);
    return true;
}

static bool read_repetition(struct translate *t, int32_t code)
{
    struct buf *text = &t->out->text;
    char times[32] = {(char)code, '\0'};
    int width = VARIABLE;

    if (t->atom == ATOM_NONE)
        return refuse(t, "there is nothing to repeat here");
    regex_skip(&t->read, code);
    if (code == '{' && !read_braces(t, times, &width))
        return false;
    if (t->atom == ATOM_ASSERT && buf_reserve(text, 4) && !text->failed) {
        memmove(text->data + t->start + 3, text->data + t->start, text->size - t->start);
        memcpy(text->data + t->start, "(?:", 3);
        text->size += 3;
        put(t, ")");
    }
    put(t, times);
    int32_t suffix = regex_peek(&t->read);

    if (suffix == '?' || suffix == '+') {
        regex_skip(&t->read, suffix);
        buf_char(text, (char)suffix);
    }
    t->width = width;
    t->forked = false;
    regex_settle(t);
    buf_format(text, "(?C%d)", REGEX_CALLOUT_WORK);
    return true;
}

/* ---- all together ---- */

static bool read_quoted(struct translate *t, int32_t code)
{
    if (starts(t, "\\E")) {
        t->read.quoting = false;
        return true;
    }
    regex_skip(&t->read, code);
    return atom_character(t, code);
}

static bool step(struct translate *t, int32_t code)
{
    if (t->read.quoting)
        return read_quoted(t, code);
    if (code == '*' || code == '+' || code == '?' || code == '{')
        return read_repetition(t, code);
    if (t->forked) { /* a group with alternatives that is not repeated */
        regex_settle(t);
        t->forked = false;
        buf_format(&t->out->text, "(?C%d)", REGEX_CALLOUT_WORK);
    }
    regex_skip(&t->read, code);
    switch (code) {
    case '\\': return atom_escape(t);
    case '[': return atom_set(t, regex_class(&t->read));
    case '(': return read_group(t);
    case ')': return close_group(t);
    case '|': return read_fork(t);
    case '.': return atom_dot(t), true;
    case '^': return atom_caret(t), true;
    case '$': return atom_dollar(t, t->read.flags & FLAG_LINES), true;
    default: return atom_character(t, code);
    }
}

static bool pass(struct translate *t)
{
    int32_t code;

    t->frames[0] = (struct frame){.width = NO_BRANCH};
    t->depth = 1;
    while ((code = regex_peek(&t->read)) >= 0 && !t->out->text.failed)
        if (!step(t, code))
            return false;
    if (t->read.why || t->out->text.failed)
        return false;
    return t->depth == 1 || refuse(t, "a group is not closed with )");
}

enum regex_verdict regex_translate(struct span pattern, unsigned forms, struct regex_text *out,
                                   const char **why, size_t *at)
{
    unsigned total = UINT32_MAX;

    for (int round = 0; round < 2; round++) {
        struct translate t = {
            .read = {.begin = pattern.data, .at = pattern.data, .end = pattern.data + pattern.size},
            .forms = forms,
            .out = out,
            .total = total,
        };

        *out = (struct regex_text){.text = {.limit = TEXT}};
        if (!pass(&t)) {
            bool too_long = out->text.failed && out->text.size > TEXT / 2;

            *why = t.read.why ? t.read.why : "the pattern is too long";
            *at = (size_t)(t.read.at - pattern.data);
            regex_text_done(out);
            return t.read.why || too_long ? REGEX_INVALID : REGEX_MEMORY;
        }
        if (!t.refers || round == 1)
            break;
        total = out->groups;
        regex_text_done(out);
    }
    return REGEX_FINE;
}

void regex_text_done(struct regex_text *text)
{
    buf_done(&text->text);
    free(text->names);
    text->names = NULL;
}
