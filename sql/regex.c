#include "regex.h"

#include "regex_read.h"

#include <stdio.h>
#include <stdlib.h>

/* The translator: one pass over the pattern that writes PCRE2's words as it goes. Groups are kept in frames
 * rather than on the call stack. A pattern with back references is passed over twice, because whether \1 is
 * a reference or can never match depends on groups that come later. */

enum {
    DEPTH = 120,      /* groups in groups; PCRE2 takes 250, and the exact forms add some */
    REPEATS = 65535,  /* PCRE2's most */
    TEXT = 256 << 10, /* what a pattern may become; PCRE2 refuses more than 64 KiB of code */
    VARIABLE = -1,    /* a width in characters that is not fixed */
    NO_BRANCH = -2,
};

enum atom {
    ATOM_NONE,   /* nothing that can be repeated */
    ATOM_PLAIN,  /* PCRE2 can repeat it as it stands */
    ATOM_ASSERT, /* an assertion: Java repeats it, PCRE2 wants brackets around it */
};

enum group_kind { GROUP_PLAIN, GROUP_AHEAD, GROUP_BEHIND };

struct frame {
    enum group_kind kind;
    unsigned flags; /* to put back at the end */
    size_t start;   /* in the output */
    int width;      /* of the branches so far, or NO_BRANCH */
    int branch;     /* of the current branch */
    bool forks;     /* has a '|' */
};

struct translate {
    struct regex_read read;
    unsigned forms;
    struct regex_text *out;
    unsigned total; /* capturing groups in the whole pattern, or UINT_MAX on the first pass */
    bool refers;    /* has back references */

    struct frame frames[DEPTH];
    int depth;
    enum atom atom; /* what a repetition would apply to */
    size_t start;   /* where it begins in the output */
    int width;
    bool forked; /* it is a group with alternatives, so it can match in several ways */
};

static bool refuse(struct translate *t, const char *why)
{
    return regex_refuse(&t->read, why);
}

static void put(struct translate *t, const char *text)
{
    buf_text(&t->out->text, text);
}

static int add_width(int a, int b)
{
    return a < 0 || b < 0 || a + b > REPEATS ? VARIABLE : a + b;
}

/* The last atom is complete and cannot be repeated any more. */
static void settle(struct translate *t)
{
    struct frame *frame = &t->frames[t->depth - 1];

    if (t->atom != ATOM_NONE)
        frame->branch = add_width(frame->branch, t->width);
    t->atom = ATOM_NONE;
}

static void begin_atom(struct translate *t, enum atom atom, int width)
{
    settle(t);
    t->atom = atom;
    t->start = t->out->text.size;
    t->width = width;
}

/* ---- atoms -------------------------------------------------------------------------------------------- */

static bool atom_character(struct translate *t, int32_t code)
{
    begin_atom(t, ATOM_PLAIN, 1);
    bool letter = (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');

    if ((t->read.flags & FLAG_CASE) && (letter || code > 0x7f)) {
        USet *set = uset_openEmpty();

        if (!set)
            return t->read.no_memory = true, false;
        regex_add_case(&t->read, set, code, code);
        regex_print_set(set, &t->out->text);
        uset_close(set);
    } else if (letter || (code >= '0' && code <= '9')) {
        buf_char(&t->out->text, (char)code);
    } else if (code >= 0xd800 && code <= 0xdfff) {
        put(t, "[^\\x{0}-\\x{10ffff}]"); /* half a character is in no UTF-8 text */
    } else {
        buf_format(&t->out->text, "\\x{%x}", (unsigned)code);
    }
    return true;
}

static bool atom_set(struct translate *t, USet *set)
{
    if (!set)
        return false;
    begin_atom(t, ATOM_PLAIN, 1);
    regex_print_set(set, &t->out->text);
    uset_close(set);
    return true;
}

#define LINE_ENDS "\\n\\r\\x{85}\\x{2028}\\x{2029}"

static void atom_dot(struct translate *t)
{
    begin_atom(t, ATOM_PLAIN, 1);
    if (t->read.flags & FLAG_DOT) {
        put(t, "(?s:.)");
    } else if (t->read.flags & FLAG_UNIX) {
        put(t, ".");
    } else {
        t->out->lines = true;
        put(t, t->forms & REGEX_EXACT_LINES ? "[^" LINE_ENDS "]" : ".");
    }
}

/* ^ with m: after every line end but one at the very end of the text, where Java has no line. */
static void atom_caret(struct translate *t)
{
    begin_atom(t, ATOM_ASSERT, 0);
    if (!(t->read.flags & FLAG_LINES)) {
        put(t, "\\A");
        return;
    }
    t->out->lines |= !(t->read.flags & FLAG_UNIX);
    if ((t->forms & REGEX_EXACT_LINES) && !(t->read.flags & FLAG_UNIX))
        put(t, "(?:(?:\\A|(?<=[\\n\\x{85}\\x{2028}\\x{2029}])|(?<=\\r)(?!\\n))(?!\\z))");
    else
        put(t, "(?:(?m:^)(?!\\z))");
}

/* $, and \Z: at the end or before a line end there; with m before every line end. Not inside \r\n. */
static void atom_dollar(struct translate *t, bool lines)
{
    bool unix_lines = t->read.flags & FLAG_UNIX;

    begin_atom(t, ATOM_ASSERT, 0);
    t->out->lines |= !unix_lines;
    if ((t->forms & REGEX_EXACT_LINES) && !unix_lines)
        put(t, lines ? "(?:\\z|(?=[\\r\\x{85}\\x{2028}\\x{2029}])|(?=\\n)(?<!\\r))"
                     : "(?:\\z|(?=(?:\\r\\n|[\\r\\x{85}\\x{2028}\\x{2029}])\\z)|(?=\\n\\z)(?<!\\r))");
    else
        put(t, lines ? "(?m:$)" : "\\Z");
}

#define WORD "[_\\p{L}\\p{Nd}\\p{Mn}]"

static void atom_boundary(struct translate *t, bool between)
{
    begin_atom(t, ATOM_ASSERT, 0);
    t->out->words = true;
    if (!(t->forms & REGEX_EXACT_WORDS))
        put(t, between ? "\\b" : "\\B");
    else
        put(t, between ? "(?:(?<=" WORD ")(?!" WORD ")|(?<!" WORD ")(?=" WORD "))"
                       : "(?:(?<=" WORD ")(?=" WORD ")|(?<!" WORD ")(?!" WORD "))");
}

/* A group that has not taken part never matches, nor one that does not exist. */
static void atom_reference(struct translate *t, unsigned group)
{
    begin_atom(t, ATOM_PLAIN, VARIABLE);
    t->refers = true;
    if (group == 0 || group > t->total)
        put(t, "[^\\x{0}-\\x{10ffff}]");
    else
        buf_format(&t->out->text, t->read.flags & FLAG_CASE ? "(?i:(?C%u)\\g{%u})" : "(?:(?C%u)\\g{%u})",
                   group < 254 ? group : 254, group);
}

/* \12 is group 12 if so many have begun before it, else group 1 and the digit 2. */
static void atom_numbered(struct translate *t)
{
    unsigned group = (unsigned)(*t->read.at++ - '0');

    while (t->read.at < t->read.end && *t->read.at >= '0' && *t->read.at <= '9') {
        unsigned longer = group * 10 + (unsigned)(*t->read.at - '0');

        if (longer > t->out->groups)
            break;
        group = longer;
        t->read.at++;
    }
    atom_reference(t, group);
}

/* The letters and digits up to `>`; `at` is then behind it. */
static bool read_name(struct translate *t, struct span *name)
{
    const char *first = t->read.at;

    while (t->read.at < t->read.end &&
           ((*t->read.at >= 'a' && *t->read.at <= 'z') || (*t->read.at >= 'A' && *t->read.at <= 'Z') ||
            (t->read.at > first && *t->read.at >= '0' && *t->read.at <= '9')))
        t->read.at++;
    *name = (struct span){first, (size_t)(t->read.at - first)};
    if (name->size == 0 || t->read.at == t->read.end || *t->read.at != '>')
        return refuse(t, "the name of a group is letters and digits, between < and >");
    t->read.at++;
    return true;
}

static const struct regex_name *find_name(const struct regex_text *text, struct span name)
{
    for (size_t i = 0; i < text->name_count; i++)
        if (span_equal(text->names[i].name, name))
            return &text->names[i];
    return NULL;
}

static bool atom_named(struct translate *t)
{
    struct span name;

    if (t->read.at == t->read.end || *t->read.at != '<')
        return refuse(t, "\\k is followed by the name of a group, between < and >");
    t->read.at++;
    if (!read_name(t, &name))
        return false;
    const struct regex_name *found = find_name(t->out, name);

    if (!found)
        return refuse(t, "no group of that name comes before");
    atom_reference(t, found->group);
    return true;
}

static bool atom_escape(struct translate *t)
{
    static const char *const plain[] = {['A'] = "\\A", ['G'] = "\\G", ['z'] = "\\z"};
    char letter = t->read.at < t->read.end ? *t->read.at : '\0';

    switch (letter) {
    case 'A':
    case 'G':
    case 'z':
        t->read.at++;
        begin_atom(t, ATOM_ASSERT, 0);
        put(t, plain[(unsigned char)letter]);
        return true;
    case 'Z': t->read.at++; return atom_dollar(t, false), true;
    case 'b':
    case 'B':
        t->read.at++;
        if (letter == 'b' && t->read.at < t->read.end && *t->read.at == '{')
            return refuse(t, "\\b{g} is not available");
        return atom_boundary(t, letter == 'b'), true;
    case 'R':
        t->read.at++;
        begin_atom(t, ATOM_PLAIN, VARIABLE);
        put(t, "(?:\\r\\n|[\\x{a}-\\x{d}\\x{85}\\x{2028}\\x{2029}])");
        return true;
    case 'X':
        t->read.at++;
        begin_atom(t, ATOM_PLAIN, VARIABLE);
        put(t, "\\X");
        return true;
    case 'k': t->read.at++; return atom_named(t);
    case 'Q':
        t->read.at++;
        t->read.quoting = true;
        return true;
    default: break;
    }
    if (letter >= '1' && letter <= '9')
        return atom_numbered(t), true;
    USet *set = regex_escape_set(&t->read);

    if (set)
        return atom_set(t, set);
    if (t->read.why || t->read.no_memory)
        return false;
    int32_t code = regex_escape_char(&t->read);

    return code >= 0 && atom_character(t, code);
}

/* ---- groups ------------------------------------------------------------------------------------------- */

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
    settle(t);
    if (t->depth == DEPTH)
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

    if (!read_name(t, &name))
        return false;
    if (find_name(out, name))
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
        settle(t);
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

    settle(t);
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

/* ---- repetitions -------------------------------------------------------------------------------------- */

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
    settle(t);
    buf_format(text, "(?C%d)", REGEX_CALLOUT_WORK);
    return true;
}

/* ---- all together ------------------------------------------------------------------------------------- */

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
        settle(t);
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
