/* sql/regex_read.h - what the two halves of the translator share: reading of the pattern (regex.c) and of
 * classes and escapes (regex_class.c). */
#ifndef SQL_REGEX_READ_H
#define SQL_REGEX_READ_H

#include "regex.h"

#include <stdint.h>
#include <unicode/uset.h>

enum regex_flags {
    FLAG_CASE = 1,     /* i: without regard to case, ASCII alone unless FLAG_UNICODE */
    FLAG_UNIX = 2,     /* d: lines end at \n alone */
    FLAG_LINES = 4,    /* m: ^ and $ at every line */
    FLAG_DOT = 8,      /* s: . takes line ends */
    FLAG_UNICODE = 16, /* u */
    FLAG_COMMENT = 32, /* x */
    FLAG_CLASSES = 64, /* U: \w, \d, \s, \b and POSIX classes by Unicode */
};

struct regex_read {
    const char *begin, *at, *end;
    unsigned flags;
    unsigned heavy;  /* sets made that take long */
    bool quoting;    /* between \Q and \E */
    const char *why; /* set by the first failure */
    bool no_memory;
};

/* False, for `return regex_refuse(...)`. */
bool regex_refuse(struct regex_read *read, const char *why);

/* The next character of valid UTF-8, or -1 at the end. With FLAG_COMMENT white space and comments are skipped
 * first. */
int32_t regex_peek(struct regex_read *read);
/* Step over what regex_peek gave. */
void regex_skip(struct regex_read *read, int32_t code);

/* One character written with a backslash (`at` is behind it), such as \n or \x41: its code, or -1 refused. */
int32_t regex_escape_char(struct regex_read *read);

/* The set of \d, \p{L} and the like (`at` is behind the backslash). Returns a new set; NULL with `why`, or
 * with `why` unset when the escape is of another kind. */
USet *regex_escape_set(struct regex_read *read);
/* The set of [...] (`at` is behind the bracket), NULL with `why` or `no_memory`. */
USet *regex_class(struct regex_read *read);
/* `code` and, if the flags ask for it, its other cases. */
void regex_add_case(struct regex_read *read, USet *set, int32_t from, int32_t to);
/* As a PCRE2 class. */
void regex_print_set(const USet *set, struct buf *out);

/* ---- regex_property.c: new sets, or NULL: no such, or no memory ---- */

/* From ICU's notation, such as "[a-z\\p{Lu}]". */
USet *regex_set(const char *notation);
/* \d, \w, \s, \h, \v. */
USet *regex_shorthand(char letter, bool unicode_classes);
/* A property by Java's name (without braces). */
USet *regex_property(struct span name, bool unicode_classes);

#endif
