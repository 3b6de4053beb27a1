/* sql/wide.h - unsigned integers of 128 and 256 bits: what the arithmetic on 34 digits is made of.
 *
 * Private to number*.c. A coefficient takes 113 bits, a product of two takes 226. */
#ifndef SQL_WIDE_H
#define SQL_WIDE_H

#include "number.h"

__extension__ typedef unsigned __int128 u128;

struct u256 {
    u128 low, high;
};

extern const uint64_t wide_tens[20]; /* 10^0 .. 10^19: all that fit 64 bits */

static inline u128 ten_to(int power) /* 0..38 */
{
    return power < 20 ? wide_tens[power] : (u128)wide_tens[19] * wide_tens[power - 19];
}

static inline u128 number_coefficient(const struct number *value)
{
    return (u128)value->high << 64 | value->low;
}

/* Decimal digits; 1 for zero. 1233/4096 is log10(2), near enough for 128 bits. */
static inline int wide_digits(u128 value)
{
    uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
    int bits = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low | 1);
    int digits = bits * 1233 >> 12;

    return digits + (value >= ten_to(digits) || digits == 0);
}

struct u256 wide_multiply(u128 a, u128 b);
/* `n` / `d`, when the quotient is known to fit 128 bits (n.high < d). */
u128 wide_divide(struct u256 n, u128 d, u128 *remainder);
/* `*n` /= `d`; returns the remainder. */
uint64_t wide_divide_small(struct u256 *n, uint64_t d);

/* Round coefficient x 10^exponent to 34 digits, half to even, and hold it to the range: false beyond E999,
 * zero below E-999. `sticky`: something not zero follows the coefficient's last digit; then the coefficient
 * has 35 digits or more, so that what follows cannot make a half of anything but a half. */
bool number_finish(u128 coefficient, int64_t exponent, bool negative, bool sticky, struct number *out);
bool number_finish_256(struct u256 coefficient, int64_t exponent, bool negative, struct number *out);

#endif
