/* sql/number.h - exact decimal numbers of 34 digits, the Int and Decimal of the dialect (docs/sql.md).
 *
 * value = (negative ? -1 : 1) * (high * 2^64 + low) * 10^exponent, coefficient below 10^34. The exponent is
 * kept as written (5.0 is 50 x 10^-1), because version 2015-10-08 prints it so; number_reduce strips it.
 * Rounding is half to even (A51). A result beyond 9.99..E999 is no number: the function returns false, and
 * the language makes that Undefined; one below 1E-999 becomes zero. Zero is never negative and has 34 places
 * at most. Plain struct: copying is cheap, nothing is owned. */
#ifndef SQL_NUMBER_H
#define SQL_NUMBER_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct number {
    uint64_t low, high;
    int32_t exponent;
    bool negative;
};

enum { NUMBER_DIGITS = 34, NUMBER_TEXT = 48 /* bytes; number_print writes 42 at most */ };

struct number number_from_int(int64_t value);
/* The shortest decimal that reads back as `value` (17 digits at most); a whole one with a place, 2.0, as
 * 2015-10-08 prints doubles. False for NaN and infinities. */
bool number_from_double(double value, struct number *out);
double number_to_double(const struct number *value); /* the nearest; infinite beyond 1.8E308 */

/* JSON's grammar (RFC 8259, 6), which the caller has already checked. False when out of range. */
bool number_from_json(struct span text, struct number *out);
/* A String as a number: -?\d+(\.\d+)?([eE]-?\d+)? and nothing else. */
bool number_from_string(struct span text, struct number *out);

bool number_is_zero(const struct number *value);
bool number_is_whole(const struct number *value); /* no fraction: 5, 5.0, 1E3 */
/* Strip trailing zeros of the coefficient and fold positive exponents in where 34 digits allow (1E3 -> 1000):
 * the form in which 2016-03-23 shows every number. */
void number_reduce(struct number *value);

bool number_add(const struct number *a, const struct number *b, struct number *out);
bool number_subtract(const struct number *a, const struct number *b, struct number *out);
bool number_multiply(const struct number *a, const struct number *b, struct number *out);
bool number_divide(const struct number *a, const struct number *b, struct number *out); /* false: b is 0 */
bool number_remainder(const struct number *a, const struct number *b,
                      struct number *out);                          /* sign of a (A3) */
int number_compare(const struct number *a, const struct number *b); /* -1, 0, 1 */

enum number_rounding {
    NUMBER_FLOOR,     /* toward minus infinity */
    NUMBER_CEILING,   /* toward plus infinity */
    NUMBER_TRUNCATE,  /* toward zero */
    NUMBER_HALF_AWAY, /* nearest, halves away from zero (A9) */
};
/* To `places` (0..34) decimal places; 0 gives a whole number with exponent >= 0. */
void number_round(const struct number *value, int places, enum number_rounding how, struct number *out);

/* The whole value as int64, or false when it has a fraction or does not fit. */
bool number_to_int64(const struct number *value, int64_t *out);
/* floor(value) clamped to [low, high]: indexes and widths (A4). */
int64_t number_clamp(const struct number *value, int64_t low, int64_t high);

/* Plain notation while -6 <= exponent of the leading digit and up to 34 digits before the point, otherwise
 * scientific as 1.5E-7, 1E40 (A50; the exact forms stand in number_text.c). What it writes, both readers
 * above take. Returns the length, never terminated. */
size_t number_print(const struct number *value, char out[NUMBER_TEXT]);

#endif
