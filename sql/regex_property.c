/* sql/regex_property.c - what \p{...} and \w, \d, \s, \h, \v stand for in Java, as ICU's sets. */
#include "regex_read.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>

struct property {
    const char *name, *set; /* ICU's UnicodeSet notation */
};

/* POSIX classes are ASCII, unless U. */
static const struct property posix[] = {
    {"Alnum", "[0-9A-Za-z]"},
    {"Alpha", "[A-Za-z]"},
    {"ASCII", "[\\u0000-\\u007f]"},
    {"Blank", "[\\u0009\\u0020]"},
    {"Cntrl", "[\\u0000-\\u001f\\u007f]"},
    {"Digit", "[0-9]"},
    {"Graph", "[\\u0021-\\u007e]"},
    {"Lower", "[a-z]"},
    {"Print", "[\\u0020-\\u007e]"},
    {"Punct", "[\\u0021-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u007e]"},
    {"Space", "[\\u0009-\\u000d\\u0020]"},
    {"Upper", "[A-Z]"},
    {"XDigit", "[0-9A-Fa-f]"},
};

/* By exact name, with or without "Is". */
static const struct property named[] = {
    {"L1", "[\\u0000-\\u00ff]"},
    {"LC", "[\\p{Lu}\\p{Ll}\\p{Lt}]"},
    {"LD", "[\\p{L}\\p{Nd}]"},
    {"all", "[\\u0000-\\U0010ffff]"},
    {"javaAlphabetic", "[\\p{Alphabetic}]"},
    {"javaDefined", "[^\\p{Cn}]"},
    {"javaDigit", "[\\p{Nd}]"},
    {"javaISOControl", "[\\p{Cc}]"},
    {"javaIdentifierIgnorable", "[\\u0000-\\u0008\\u000e-\\u001b\\u007f-\\u009f\\p{Cf}]"},
    {"javaIdeographic", "[\\p{Ideographic}]"},
    {"javaLetter", "[\\p{L}]"},
    {"javaLetterOrDigit", "[\\p{L}\\p{Nd}]"},
    {"javaLowerCase", "[\\p{Lowercase}]"},
    {"javaMirrored", "[\\p{Bidi_Mirrored}]"},
    {"javaSpaceChar", "[\\p{Z}]"},
    {"javaTitleCase", "[\\p{Lt}]"},
    {"javaUpperCase", "[\\p{Uppercase}]"},
    {"javaWhitespace", "[\\u0009-\\u000d\\u001c-\\u001f[\\p{Z}-[\\u00a0\\u2007\\u202f]]]"},
};

/* After "Is", and for POSIX names under U: without regard to case. */
static const struct property unicode[] = {
    {"ALNUM", "[\\p{Alphabetic}\\p{Nd}]"},
    {"ALPHA", "[\\p{Alphabetic}]"},
    {"ALPHABETIC", "[\\p{Alphabetic}]"},
    {"ASSIGNED", "[^\\p{Cn}]"},
    {"BLANK", "[\\p{Zs}\\u0009]"},
    {"CNTRL", "[\\p{Cc}]"},
    {"CONTROL", "[\\p{Cc}]"},
    {"DIGIT", "[\\p{Nd}]"},
    {"GRAPH", "[^\\p{White_Space}\\p{Cc}\\p{Cs}\\p{Cn}]"},
    {"HEXDIGIT", "[\\p{Nd}\\p{Hex_Digit}]"},
    {"HEX_DIGIT", "[\\p{Nd}\\p{Hex_Digit}]"},
    {"IDEOGRAPHIC", "[\\p{Ideographic}]"},
    {"JOINCONTROL", "[\\p{Join_Control}]"},
    {"JOIN_CONTROL", "[\\p{Join_Control}]"},
    {"LETTER", "[\\p{L}]"},
    {"LOWER", "[\\p{Lowercase}]"},
    {"LOWERCASE", "[\\p{Lowercase}]"},
    {"NONCHARACTERCODEPOINT", "[\\p{Noncharacter_Code_Point}]"},
    {"NONCHARACTER_CODE_POINT", "[\\p{Noncharacter_Code_Point}]"},
    {"PRINT", "[[[^\\p{White_Space}\\p{Cc}\\p{Cs}\\p{Cn}]\\p{Zs}]-[\\p{Cc}]]"},
    {"PUNCT", "[\\p{P}]"},
    {"PUNCTUATION", "[\\p{P}]"},
    {"SPACE", "[\\p{White_Space}]"},
    {"TITLECASE", "[\\p{Lt}]"},
    {"UPPER", "[\\p{Uppercase}]"},
    {"UPPERCASE", "[\\p{Uppercase}]"},
    {"WHITESPACE", "[\\p{White_Space}]"},
    {"WHITE_SPACE", "[\\p{White_Space}]"},
    {"WORD", "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]"},
    {"XDIGIT", "[\\p{Nd}\\p{Hex_Digit}]"},
};

static const char categories[] =
    " C Cc Cf Cn Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po "
    "Ps S Sc Sk Sm So Z Zl Zp Zs ";

#define COUNT(table) (sizeof(table) / sizeof *(table))

USet *regex_set(const char *notation)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar text[128];
    int32_t size = 0;

    /* u_uastrcpy would go by the locale's charset; this text is ASCII */
    while (notation[size] != '\0' && size < (int32_t)COUNT(text)) {
        text[size] = (unsigned char)notation[size];
        size++;
    }
    USet *set = uset_openPattern(text, size, &status);

    if (U_SUCCESS(status))
        return set;
    uset_close(set);
    return NULL;
}

static USet *of_table(const struct property *table, size_t count, struct span name, bool nocase)
{
    for (size_t i = 0; i < count; i++)
        if (nocase ? span_is_nocase(name, table[i].name) : span_is(name, table[i].name))
            return regex_set(table[i].set);
    return NULL;
}

/* A value of an enumerated property, which ICU matches without regard to case, blanks, '_' and '-'. */
static USet *of_value(UProperty property, struct span name)
{
    UErrorCode status = U_ZERO_ERROR;
    char text[64];

    if (name.size == 0 || name.size >= sizeof text || memchr(name.data, '\0', name.size))
        return NULL;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    int32_t value = u_getPropertyValueEnum(property, text);

    if (value == UCHAR_INVALID_CODE)
        return NULL;
    USet *set = uset_openEmpty();
    if (set)
        uset_applyIntPropertyValue(set, property, value, &status);
    if (!set || U_SUCCESS(status))
        return set;
    uset_close(set);
    return NULL;
}

static USet *of_category(struct span name)
{
    char text[] = "[\\p{..}]", *at = text + 4;

    if (name.size == 0 || name.size > 2 || memchr(name.data, ' ', name.size))
        return NULL;
    for (const char *found = categories; (found = strchr(found, ' ')) && found[1] != '\0'; found++) {
        if (strncmp(found + 1, name.data, name.size) == 0 && found[1 + name.size] == ' ') {
            at = mempcpy(at, name.data, name.size);
            memcpy(at, "}]", 3);
            return regex_set(text);
        }
    }
    return NULL;
}

static USet *by_name(struct span name)
{
    USet *set = of_category(name);

    if (!set)
        set = of_table(posix, COUNT(posix), name, false);
    return set ? set : of_table(named, COUNT(named), name, false);
}

USet *regex_property(struct span name, bool unicode_classes)
{
    const char *equals = name.size > 0 ? memchr(name.data, '=', name.size) : NULL;

    if (equals) {
        struct span key = {name.data, (size_t)(equals - name.data)};
        struct span value = {equals + 1, name.size - key.size - 1};

        if (span_is_nocase(key, "sc") || span_is_nocase(key, "script"))
            return of_value(UCHAR_SCRIPT, value);
        if (span_is_nocase(key, "blk") || span_is_nocase(key, "block"))
            return of_value(UCHAR_BLOCK, value);
        if (span_is_nocase(key, "gc") || span_is_nocase(key, "general_category"))
            return by_name(value);
        return NULL;
    }
    struct span rest = name.size > 2 ? (struct span){name.data + 2, name.size - 2} : (struct span){NULL, 0};

    if (span_starts_with(name, "In"))
        return of_value(UCHAR_BLOCK, rest);
    if (span_starts_with(name, "Is")) {
        USet *set = of_table(unicode, COUNT(unicode), rest, true);

        if (!set)
            set = by_name(rest);
        return set ? set : of_value(UCHAR_SCRIPT, rest);
    }
    USet *set = NULL;

    if (unicode_classes)
        for (size_t i = 0; i < COUNT(posix) && !set; i++)
            if (span_is(name, posix[i].name))
                set = of_table(unicode, COUNT(unicode), name, true);
    return set ? set : by_name(name);
}

USet *regex_shorthand(char letter, bool unicode_classes)
{
    switch (letter) {
    case 'd': return regex_set(unicode_classes ? "[\\p{Nd}]" : "[0-9]");
    case 'w':
        return unicode_classes ? of_table(unicode, COUNT(unicode), SPAN("WORD"), false)
                               : regex_set("[0-9A-Z_a-z]");
    case 's': return regex_set(unicode_classes ? "[\\p{White_Space}]" : "[\\u0009-\\u000d\\u0020]");
    case 'h': return regex_set("[\\u0009\\u0020\\u00a0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000]");
    case 'v': return regex_set("[\\u000a-\\u000d\\u0085\\u2028\\u2029]");
    default: return NULL;
    }
}
