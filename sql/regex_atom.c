/* sql/regex_atom.c - characters, sets, assertions and back references, as PCRE2 writes them. */
#include "regex_translate.h"

static int add_width(int a, int b)
{
    return a < 0 || b < 0 || a + b > REPEATS ? VARIABLE : a + b;
}

void regex_settle(struct translate *t)
{
    struct frame *frame = &t->frames[t->depth - 1];

    if (t->atom != ATOM_NONE)
        frame->branch = add_width(frame->branch, t->width);
    t->atom = ATOM_NONE;
}

static void begin_atom(struct translate *t, enum atom atom, int width)
{
    regex_settle(t);
    t->atom = atom;
    t->start = t->out->text.size;
    t->width = width;
}

bool atom_character(struct translate *t, int32_t code)
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

bool atom_set(struct translate *t, USet *set)
{
    if (!set)
        return false;
    begin_atom(t, ATOM_PLAIN, 1);
    regex_print_set(set, &t->out->text);
    uset_close(set);
    return true;
}

#define LINE_ENDS "\\n\\r\\x{85}\\x{2028}\\x{2029}"

void atom_dot(struct translate *t)
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
void atom_caret(struct translate *t)
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
void atom_dollar(struct translate *t, bool lines)
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

bool group_read_name(struct translate *t, struct span *name)
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

const struct regex_name *group_find_name(const struct regex_text *text, struct span name)
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
    if (!group_read_name(t, &name))
        return false;
    const struct regex_name *found = group_find_name(t->out, name);

    if (!found)
        return refuse(t, "no group of that name comes before");
    atom_reference(t, found->group);
    return true;
}

bool atom_escape(struct translate *t)
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
        if (letter == 'b' &&
            span_starts_with((struct span){t->read.at, (size_t)(t->read.end - t->read.at)}, "{g}"))
            return refuse(t, "\\b{g} is not available");
        return atom_boundary(t, letter == 'b'), true;
    case 'R':
        t->read.at++;
        begin_atom(t, ATOM_PLAIN, VARIABLE);
        put(t, "(?>\\r\\n|[\\x{a}-\\x{d}\\x{85}\\x{2028}\\x{2029}])");
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
