/* sql/regex.h - regular expressions of java.util.regex, told to PCRE2 in its own words.
 *
 * AWS evaluates patterns with Java, so every construct is read by Java's rules and written out anew; nothing
 * of a pattern reaches PCRE2 as it stands. That settles the dialects' differences (named groups, classes with
 * && and nested brackets, \p names, \Q \E, what `.`, `$` and \b mean, `{` that begins no repetition), and
 * those between PCRE2's own versions. What Java takes and PCRE2 cannot do is refused with a reason: above all
 * a look-behind whose length varies, which Debian 12's PCRE2 refuses and Debian 13's takes. */
#ifndef SQL_REGEX_H
#define SQL_REGEX_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

/* Java ends a line at \n, \r, U+0085, U+2028 and U+2029, PCRE2 here at \n alone; and Java's \b knows letters
 * and digits of all scripts, PCRE2's only ASCII. The plain form is fast (`.*` has its own steps), and right
 * for all text without the characters that tell the difference; otherwise the exact form is compiled too. */
enum {
    REGEX_EXACT_LINES = 1,
    REGEX_EXACT_WORDS = 2,
    REGEX_FORMS = 4,
};

struct regex_name {
    struct span name; /* into the pattern */
    unsigned group;
};

struct regex_text {
    struct buf text;          /* for pcre2_compile; on the heap */
    unsigned groups;          /* capturing ones */
    struct regex_name *names; /* on the heap */
    size_t name_count;
    bool lines, words; /* the exact form for lines, or words, would differ */
};

enum regex_verdict {
    REGEX_FINE,
    REGEX_INVALID, /* no regular expression, or none that can be done here: `why` says what, `at` where */
    REGEX_MEMORY,
};

/* Callouts (?C1) to (?C254) stand before a back reference to that group (254: or a later one), (?C255)
 * wherever matching may take the same way twice: the matcher counts its work there. */
enum { REGEX_CALLOUT_WORK = 255 };

/* `forms` of REGEX_EXACT_*. On REGEX_FINE the caller frees `out` with regex_text_done. `why` is a constant
 * text. */
enum regex_verdict regex_translate(struct span pattern, unsigned forms, struct regex_text *out,
                                   const char **why, size_t *at);
void regex_text_done(struct regex_text *text);

#endif
