/* sql/regex_class.c - escapes and classes of java.util.regex, as ICU's sets. */
#include "base/utf8.h"
#include "regex_read.h"

#include <string.h>
#include <unicode/uchar.h>

bool regex_refuse(struct regex_read *read, const char *why)
{
    if (!read->why)
        read->why = why;
    return false;
}

/* Sets of this kind take up to milliseconds to make: a pattern that a device sent must not ask for thousands.
 */
static bool regex_charge(struct regex_read *read)
{
    enum { HEAVY_SETS = 64 };

    return ++read->heavy <= HEAVY_SETS ||
           regex_refuse(read, "a pattern may name at most 64 character properties");
}

static bool is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int32_t regex_peek(struct regex_read *read)
{
    uint32_t code;

    if ((read->flags & FLAG_COMMENT) && !read->quoting) {
        while (read->at < read->end && (is_white(*read->at) || *read->at == '#')) {
            if (*read->at++ != '#')
                continue;
            while (read->at < read->end && *read->at != '\n' && *read->at != '\r')
                read->at++;
        }
    }
    if (read->at == read->end)
        return -1;
    if (utf8_decode((struct span){read->at, (size_t)(read->end - read->at)}, &code) == 0) {
        regex_refuse(read, "this is no valid UTF-8");
        return -1;
    }
    return (int32_t)code;
}

void regex_skip(struct regex_read *read, int32_t code)
{
    read->at += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* ---- one escaped character ---- */

static int digit_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Exactly `count` hexadecimal digits, or -1. */
static int32_t hex_digits(struct regex_read *read, int count)
{
    int32_t code = 0;

    for (int i = 0; i < count; i++) {
        int digit = read->at < read->end ? digit_value(*read->at) : -1;

        if (digit < 0) {
            regex_refuse(read, "a hexadecimal digit is missing");
            return -1;
        }
        code = code * 16 + digit;
        read->at++;
    }
    return code;
}

static int32_t escape_hex(struct regex_read *read)
{
    int32_t code = 0;

    if (read->at == read->end || *read->at != '{')
        return hex_digits(read, 2);
    const char *first = ++read->at;

    for (; read->at < read->end && *read->at != '}'; read->at++) {
        int digit = digit_value(*read->at);

        if (digit < 0 || (code = code * 16 + digit) > 0x10ffff) {
            regex_refuse(read, "\\x{...} holds the number of a character, 0 to 10FFFF");
            return -1;
        }
    }
    if (read->at == read->end || read->at == first) {
        regex_refuse(read, "\\x{...} holds the number of a character, 0 to 10FFFF");
        return -1;
    }
    read->at++;
    return code;
}

/* \uD83D\uDE00 is one character. */
static int32_t escape_utf16(struct regex_read *read)
{
    int32_t high = hex_digits(read, 4);

    if (high < 0xd800 || high > 0xdbff || read->end - read->at < 6 || memcmp(read->at, "\\u", 2) != 0)
        return high;
    const char *second = read->at;

    read->at += 2;
    int32_t low = hex_digits(read, 4);

    if (low >= 0xdc00 && low <= 0xdfff)
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    if (low >= 0)
        read->at = second;
    return low < 0 ? -1 : high;
}

static int32_t escape_octal(struct regex_read *read)
{
    int32_t code = 0;
    int count = 0;

    while (count < 3 && read->at < read->end && *read->at >= '0' && *read->at <= '7' &&
           (count < 2 || code <= 037)) {
        code = code * 8 + (*read->at++ - '0');
        count++;
    }
    if (count == 0)
        regex_refuse(read, "\\0 is followed by octal digits");
    return count == 0 ? -1 : code;
}

static int32_t escape_name(struct regex_read *read)
{
    UErrorCode status = U_ZERO_ERROR;
    char name[96];
    const char *close = read->at < read->end && *read->at == '{'
                            ? memchr(read->at, '}', (size_t)(read->end - read->at))
                            : NULL;
    size_t size = close ? (size_t)(close - read->at) - 1 : 0;

    if (size == 0 || size >= sizeof name) {
        regex_refuse(read, "\\N is followed by the name of a character in braces");
        return -1;
    }
    memcpy(name, read->at + 1, size);
    name[size] = '\0';
    UChar32 code = u_charFromName(U_EXTENDED_CHAR_NAME, name, &status);

    if (U_FAILURE(status))
        code = u_charFromName(U_UNICODE_CHAR_NAME, name, (status = U_ZERO_ERROR, &status));
    read->at = close + 1;
    if (U_SUCCESS(status))
        return code;
    regex_refuse(read, "there is no character of that name");
    return -1;
}

int32_t regex_escape_char(struct regex_read *read)
{
    unsigned flags = read->flags;

    read->flags &= ~(unsigned)FLAG_COMMENT; /* what a backslash is followed by is never skipped */
    int32_t code = regex_peek(read);

    read->flags = flags;
    if (code < 0) {
        regex_refuse(read, "a backslash at the end escapes nothing");
        return -1;
    }
    regex_skip(read, code);
    switch (code) {
    case '0': return escape_octal(read);
    case 'N': return escape_name(read);
    case 'a': return 7;
    case 'c':
        code = regex_peek(read);
        if (code < 0) {
            regex_refuse(read, "\\c is followed by a character");
            return -1;
        }
        regex_skip(read, code);
        return code ^ 64;
    case 'e': return 27;
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': return escape_utf16(read);
    case 'x': return escape_hex(read);
    default: break;
    }
    if ((code >= '1' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z')) {
        regex_refuse(read, "there is no such escape here");
        return -1;
    }
    return code;
}

/* ---- sets ---- */

static USet *escape_property(struct regex_read *read)
{
    struct span name = {read->at, 1};

    if (read->at == read->end || (*read->at & 0x80)) {
        regex_refuse(read, "\\p is followed by the name of a property");
        return NULL;
    }
    if (*read->at++ == '{') {
        const char *close = memchr(read->at, '}', (size_t)(read->end - read->at));

        if (!close) {
            regex_refuse(read, "the brace after \\p is not closed");
            return NULL;
        }
        name = (struct span){read->at, (size_t)(close - read->at)};
        read->at = close + 1;
    }
    USet *set = regex_charge(read) ? regex_property(name, read->flags & FLAG_CLASSES) : NULL;

    if (!set)
        regex_refuse(read, "there is no character property of that name");
    return set;
}

USet *regex_escape_set(struct regex_read *read)
{
    char letter = read->at < read->end ? *read->at : '\0', lower = (char)(letter | 0x20);
    USet *set = NULL;

    if (letter == '\0' || !strchr("dDwWsShHvVpP", letter))
        return NULL;
    read->at++;
    if (lower == 'p') {
        set = escape_property(read);
    } else if (!(read->flags & FLAG_CLASSES) || regex_charge(read)) {
        set = regex_shorthand(lower, read->flags & FLAG_CLASSES);
        read->no_memory |= !set;
    }
    if (set && letter != lower)
        uset_complement(set);
    return set;
}

void regex_add_case(struct regex_read *read, USet *set, int32_t from, int32_t to)
{
    uset_addRange(set, from, to);
    if (!(read->flags & FLAG_CASE))
        return;
    if (read->flags & (FLAG_UNICODE | FLAG_CLASSES)) {
        if (to - from > 255 && !regex_charge(read))
            return;
        USet *more = uset_open(from, to);

        uset_closeOver(more, USET_CASE_INSENSITIVE);
        uset_removeAllStrings(more);
        uset_addAll(set, more);
        uset_close(more);
        return;
    }
    for (int32_t c = from < 'A' ? 'A' : from; c <= to && c <= 'z'; c++)
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
            uset_add(set, c ^ 0x20);
}

void regex_print_set(const USet *set, struct buf *out)
{
    bool turned = uset_contains(set, 0x10ffff); /* [^"] rather than all else */
    USet *ranges = uset_clone(set);
    UErrorCode status = U_ZERO_ERROR;

    if (!ranges) {
        out->failed = true;
        return;
    }
    if (turned)
        uset_complement(ranges);
    uset_removeRange(ranges, 0xd800, 0xdfff); /* never in UTF-8; PCRE2 refuses their names */
    int32_t count = uset_getRangeCount(ranges);

    if (count == 0) {
        buf_text(out, turned ? "(?s:.)" : "[^\\x{0}-\\x{10ffff}]");
        uset_close(ranges);
        return;
    }
    buf_text(out, turned ? "[^" : "[");
    for (int32_t i = 0; i < count; i++) {
        UChar32 from, to;

        (void)uset_getItem(ranges, i, &from, &to, NULL, 0, &status);
        buf_format(out, from == to ? "\\x{%x}" : "\\x{%x}-\\x{%x}", (unsigned)from, (unsigned)to);
    }
    buf_char(out, ']');
    uset_close(ranges);
}

/* ---- [...] ---- */

enum { CLASS_DEPTH = 32 };

/* One open bracket: what was before the last &&, and the union since. */
struct level {
    USet *left, *now;
    bool negated, any, any_left; /* any: `now` has had an item, be it an empty one */
};

static bool level_open(struct regex_read *read, struct level *level)
{
    *level = (struct level){.now = uset_openEmpty()};
    if (!level->now) {
        read->no_memory = true;
        return false;
    }
    if (regex_peek(read) == '^') {
        regex_skip(read, '^');
        level->negated = true;
    }
    return true;
}

/* An operand without items does not count, as in Java. */
static bool level_and(struct regex_read *read, struct level *level)
{
    if (!level->any)
        return true;
    if (level->left) {
        uset_retainAll(level->left, level->now);
    } else {
        level->left = uset_clone(level->now);
        if (!level->left) {
            read->no_memory = true;
            return false;
        }
    }
    uset_clear(level->now);
    level->any = false;
    level->any_left = true;
    return true;
}

/* Closes `level` and returns its set. */
static USet *level_close(struct level *level)
{
    USet *set = level->left;

    if (level->negated)
        uset_complement(set);
    uset_close(level->now);
    *level = (struct level){.now = NULL};
    return set;
}

static bool class_character(struct regex_read *read, int32_t *code)
{
    *code = regex_peek(read);
    if (*code < 0)
        return regex_refuse(read, "the class is not closed with ]");
    regex_skip(read, *code);
    if (*code != '\\')
        return true;
    *code = regex_escape_char(read);
    return *code >= 0;
}

/* A character, a range, or a set such as \d. */
static bool class_item(struct regex_read *read, USet *set)
{
    int32_t from, to;

    if (regex_peek(read) == '\\') {
        const char *slash = read->at++;
        USet *shorthand = regex_escape_set(read);

        if (shorthand) {
            uset_addAll(set, shorthand);
            uset_close(shorthand);
            return true;
        }
        if (read->why || read->no_memory)
            return false;
        read->at = slash;
    }
    if (!class_character(read, &from))
        return false;
    to = from;
    if (regex_peek(read) == '-') {
        const char *dash = read->at++;
        int32_t next = regex_peek(read);

        if (next == '[' || next == ']') {
            read->at = dash; /* a dash by itself */
        } else if (!class_character(read, &to)) {
            return false;
        } else if (to < from) {
            return regex_refuse(read, "the range of characters runs backwards");
        }
    }
    regex_add_case(read, set, from, to);
    return !read->why;
}

/* \Q...\E inside a class: every character stands for itself. */
static bool class_quoted(struct regex_read *read, struct level *level)
{
    if (read->end - read->at >= 2 && memcmp(read->at, "\\E", 2) == 0) {
        read->at += 2;
        read->quoting = false;
        return true;
    }
    int32_t code = regex_peek(read);

    if (code < 0)
        return regex_refuse(read, "the class is not closed with ]");
    regex_skip(read, code);
    regex_add_case(read, level->now, code, code);
    level->any = true;
    return !read->why;
}

/* One step inside the innermost bracket. `*depth` changes where one opens or closes. */
static bool class_step(struct regex_read *read, struct level *levels, int *depth, USet **done)
{
    struct level *level = &levels[*depth - 1];

    if (read->quoting)
        return class_quoted(read, level);

    int32_t code = regex_peek(read);

    if (code == ']' && (level->any || level->any_left)) {
        regex_skip(read, code);
        if (!level_and(read, level))
            return false;
        *done = level_close(level);
        if (--*depth == 0)
            return true;
        uset_addAll(levels[*depth - 1].now, *done);
        uset_close(*done);
        *done = NULL;
        levels[*depth - 1].any = true;
        return true;
    }
    if (code == '[') {
        if (*depth == CLASS_DEPTH)
            return regex_refuse(read, "brackets are nested too deeply");
        regex_skip(read, code);
        if (!level_open(read, &levels[*depth]))
            return false;
        ++*depth;
        return true;
    }
    if (code == '&' && read->end - read->at >= 2 && read->at[1] == '&') {
        read->at += 2;
        if (read->at < read->end && *read->at == '&')
            return regex_refuse(read, "three & in a class are ambiguous; write \\& for the character");
        return level_and(read, level);
    }
    if (code == '\\' && read->end - read->at >= 2 && read->at[1] == 'Q') {
        read->at += 2;
        read->quoting = true;
        return true;
    }
    level->any = true;
    return class_item(read, level->now);
}

USet *regex_class(struct regex_read *read)
{
    struct level levels[CLASS_DEPTH];
    USet *done = NULL;
    int depth = 0;

    if (!level_open(read, &levels[0]))
        return NULL;
    for (depth = 1; depth > 0;) {
        if (class_step(read, levels, &depth, &done))
            continue;
        while (depth > 0) {
            uset_close(levels[--depth].left);
            uset_close(levels[depth].now);
        }
        return NULL;
    }
    return done;
}
