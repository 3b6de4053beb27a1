/* sql/time_read.c - java.time's DateTimeFormatter, the half that reads: strict, English, without locale
 * weeks. One pass over the pattern; what the text says is kept in fields and made a moment at the end. */
#include "calendar.h"
#include "time_fields.h"

enum { SECTIONS = 16 };

struct reader {
    struct cursor c;
    struct span pattern;
    size_t in_pattern;
    struct section { /* [...]: where to go on, and with what, if it does not match */
        size_t at, end;
        struct fields fields;
    } sections[SECTIONS];
    int depth;
};

/* ---- numbers ---- */

enum sign {
    SIGN_NEVER,
    SIGN_MINUS,   /* a minus is taken */
    SIGN_EXCEEDS, /* a plus is wanted if, and taken only if, there are more digits than `least` */
};

/* What a numeric letter reads. */
struct number_format {
    enum field field;
    int least, most;
    enum sign sign;
    bool reduced;  /* yy: 2000 to 2099 */
    bool fraction; /* S: digits after the point */
};

static bool is_fixed(const struct number_format *format)
{
    return format->least == format->most && format->sign == SIGN_NEVER;
}

/* Fields for which one letter is a number of any width, and two are two digits. */
static bool small_field(char letter, enum field *field)
{
    switch (letter) {
    case 'd': *field = FIELD_DAY; return true;
    case 'h': *field = FIELD_HOUR_1_12; return true;
    case 'H': *field = FIELD_HOUR; return true;
    case 'k': *field = FIELD_HOUR_1_24; return true;
    case 'K': *field = FIELD_HOUR_0_11; return true;
    case 'm': *field = FIELD_MINUTE; return true;
    case 's': *field = FIELD_SECOND; return true;
    case 'M':
    case 'L': *field = FIELD_MONTH; return true;
    default: return false;
    }
}

/* The format of `count` times `letter`, if that reads a number. */
static bool number_format(char letter, int count, struct number_format *format)
{
    enum field field;

    if (small_field(letter, &field)) {
        *format = (struct number_format){.field = field, .least = count, .most = count};
        if (count == 1) {
            format->most = 19;
            format->sign = SIGN_MINUS;
        }
        return count <= 2;
    }
    switch (letter) {
    case 'u':
    case 'y':
        *format = (struct number_format){.field = letter == 'u' ? FIELD_YEAR : FIELD_YEAR_OF_ERA,
                                         .least = count,
                                         .most = count == 2 ? 2 : 19,
                                         .sign = count == 2   ? SIGN_NEVER
                                                 : count <= 3 ? SIGN_MINUS
                                                              : SIGN_EXCEEDS,
                                         .reduced = count == 2};
        return count <= 19;
    case 'D':
        *format = (struct number_format){FIELD_DAY_OF_YEAR, count, 3, SIGN_NEVER, false, false};
        if (count == 1) {
            format->most = 19;
            format->sign = SIGN_MINUS;
        }
        return count <= 3;
    case 'S':
        *format = (struct number_format){FIELD_NANO, count, count, SIGN_NEVER, false, true};
        return count <= 9;
    case 'n':
    case 'A':
    case 'N':
        *format = (struct number_format){letter == 'n'   ? FIELD_NANO
                                         : letter == 'A' ? FIELD_MS_OF_DAY
                                                         : FIELD_NANO_OF_DAY,
                                         count,
                                         19,
                                         SIGN_NEVER,
                                         false,
                                         false};
        return count <= 19;
    default: return false;
    }
}

static int run_length(struct span pattern, size_t at)
{
    size_t end = at;

    while (end < pattern.size && pattern.data[end] == pattern.data[at])
        end++;
    return end - at > 99 ? 99 : (int)(end - at);
}

/* A number of variable width leaves the digits that fixed ones right after it need: yyyyMMdd. Returns how
 * many. */
static int reserved_digits(const struct reader *r)
{
    size_t at = r->in_pattern;
    int digits = 0;

    while (at < r->pattern.size && digits < 100) {
        struct number_format next;
        int count = run_length(r->pattern, at);

        if (!number_format(r->pattern.data[at], count, &next) || !is_fixed(&next))
            break;
        digits += next.most;
        at += (size_t)count;
    }
    return digits;
}

/* `in_pattern` is behind the letters. */
static bool read_number(struct reader *r, const struct number_format *format)
{
    bool negative = false, plus = false;

    if (r->c.at < r->c.text.size && r->c.text.data[r->c.at] == '-' && format->sign != SIGN_NEVER)
        negative = true;
    if (r->c.at < r->c.text.size && r->c.text.data[r->c.at] == '+' && format->sign == SIGN_EXCEEDS)
        plus = true;
    size_t first = r->c.at + (negative || plus), end = first;
    int reserved = reserved_digits(r), digits = 0, most = format->most + reserved;

    while (end < r->c.text.size && digits < most && is_digit(r->c.text.data[end])) {
        end++;
        digits++;
    }
    if (digits < format->least)
        return false;
    if (reserved > 0)
        digits = digits - reserved > format->least ? digits - reserved : format->least;

    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        value = value * 10 + (uint64_t)(r->c.text.data[first + (size_t)i] - '0');
        if (value > INT64_MAX)
            return false;
    }
    if (format->fraction)
        for (int i = digits; i < 9; i++)
            value *= 10;
    if (negative && value == 0)
        return false;
    if (!negative && format->sign == SIGN_EXCEEDS && plus != (digits > format->least))
        return false;
    r->c.at = first + (size_t)digits;
    if (format->reduced)
        value += 2000;
    return set(&r->c, format->field, negative ? -(int64_t)value : (int64_t)value);
}

/* ---- names ---- */

static bool read_name(struct reader *r, enum field field, const char *const names[], int count, bool whole)
{
    for (int i = 0; i < count; i++) {
        struct span name = {names[i], whole ? strlen(names[i]) : 3};
        struct span text = rest(&r->c);

        if (text.size >= name.size && memcmp(text.data, name.data, name.size) == 0) {
            r->c.at += name.size;
            return set(&r->c, field, i + 1);
        }
    }
    return false;
}

static bool read_either(struct reader *r, enum field field, const char *zero, const char *one)
{
    if (take(&r->c, zero))
        return set(&r->c, field, 0);
    return take(&r->c, one) && set(&r->c, field, 1);
}

/* ---- the pattern ---- */

/* Does java.time take this letter so many times, and do we? */
static bool letters_are_known(char letter, int count)
{
    struct number_format format;

    if (number_format(letter, count, &format))
        return true;
    switch (letter) {
    case 'M':
    case 'L': return count == 3 || count == 4;
    case 'E': return count <= 4;
    case 'a': return count == 1;
    case 'G':
    case 'X':
    case 'x':
    case 'Z': return count <= 5;
    case 'O': return count == 1 || count == 4;
    case 'V': return count == 2;
    case 'z': return count <= 4;
    default: return false;
    }
}

static bool read_letters(struct reader *r, char letter, int count)
{
    struct number_format format;

    if (number_format(letter, count, &format))
        return read_number(r, &format);
    switch (letter) {
    case 'M':
    case 'L': return read_name(r, FIELD_MONTH, month_names, 12, count == 4);
    case 'E': return read_name(r, FIELD_WEEKDAY, weekday_names, 7, count == 4);
    case 'a': return read_either(r, FIELD_HALF, "AM", "PM");
    case 'G':
        return count <= 3   ? read_either(r, FIELD_ERA, "BC", "AD")
               : count == 4 ? read_either(r, FIELD_ERA, "Before Christ", "Anno Domini")
                            : read_either(r, FIELD_ERA, "B", "A");
    case 'O':
    case 'X':
    case 'x':
    case 'Z': return time_read_offset(&r->c, letter, count);
    default: return time_read_zone(&r->c, letter, count);
    }
}

/* Quoted text; `in_pattern` is behind the first quote. */
static bool read_quoted(struct reader *r)
{
    bool matches = true, any = false;

    while (r->in_pattern < r->pattern.size) {
        char c = r->pattern.data[r->in_pattern++];

        if (c == '\'') {
            bool doubled = r->in_pattern < r->pattern.size && r->pattern.data[r->in_pattern] == '\'';

            if (!doubled && any)
                return matches;
            if (!doubled) /* '' is a quote */
                return take(&r->c, "'");
            r->in_pattern++;
        }
        any = true;
        matches = matches && r->c.at < r->c.text.size && r->c.text.data[r->c.at] == c;
        r->c.at += matches;
    }
    return false; /* the quote is closed: time_read_knows */
}

/* Behind the bracket that closes the section whose first character is at `from`; sections may be left open.
 */
static size_t section_end(struct span pattern, size_t from)
{
    bool quoted = false;
    int depth = 1;

    for (size_t i = from; i < pattern.size; i++) {
        char c = pattern.data[i];

        if (c == '\'')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == ']'))
            depth += c == '[' ? 1 : -1;
        if (depth == 0)
            return i + 1;
    }
    return pattern.size;
}

static void open_section(struct reader *r)
{
    r->sections[r->depth++] = (struct section){r->c.at, section_end(r->pattern, r->in_pattern), r->c.fields};
}

static bool read_step(struct reader *r)
{
    char c = r->pattern.data[r->in_pattern];

    if (is_letter(c)) {
        int count = run_length(r->pattern, r->in_pattern);

        r->in_pattern += (size_t)count;
        return read_letters(r, c, count);
    }
    r->in_pattern++;
    switch (c) {
    case '\'': return read_quoted(r);
    case '[': open_section(r); return true;
    case ']': r->depth--; return true;
    default: break;
    }
    if (r->c.at == r->c.text.size || r->c.text.data[r->c.at] != c)
        return false;
    r->c.at++;
    return true;
}

static bool read_all(struct reader *r)
{
    while (r->in_pattern < r->pattern.size) {
        if (read_step(r))
            continue;
        if (r->depth == 0)
            return false;
        const struct section *section = &r->sections[--r->depth];

        r->c.at = section->at;
        r->in_pattern = section->end;
        r->c.fields = section->fields;
    }
    return r->c.at == r->c.text.size;
}

bool time_read_knows(struct span pattern)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < pattern.size; i++) {
        char c = pattern.data[i];

        if (c == '\'') {
            quoted = !quoted;
        } else if (quoted) {
            continue;
        } else if (is_letter(c)) {
            int count = run_length(pattern, i);

            if (!letters_are_known(c, count))
                return false;
            i += (size_t)count - 1;
        } else if (c == '[') {
            if (++depth > SECTIONS)
                return false;
        } else if (c == ']' ? --depth < 0 : strchr("{}#", c) && c != '\0') {
            return false;
        }
    }
    return !quoted;
}

bool time_read(struct span text, struct span pattern, struct time_parts *parts)
{
    struct reader r = {.c = {.text = text}, .pattern = pattern};

    return time_read_knows(pattern) && read_all(&r) && time_resolve(&r.c.fields, parts);
}
