#include "wide.h"

#include <assert.h>

enum { LEAST = -999, MOST = 999 }; /* exponent of the leading digit */

const uint64_t wide_tens[20] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

struct u256 wide_multiply(u128 a, u128 b)
{
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    u128 low = (u128)a0 * b0, cross = (u128)a1 * b0, other = (u128)a0 * b1;
    u128 middle = (low >> 64) + (uint64_t)cross + (uint64_t)other; /* three times 64 bits: no overflow */

    return (struct u256){
        .low = middle << 64 | (uint64_t)low,
        .high = (u128)a1 * b1 + (cross >> 64) + (other >> 64) + (middle >> 64),
    };
}

uint64_t wide_divide_small(struct u256 *n, uint64_t d)
{
    uint64_t limbs[4] = {(uint64_t)n->low, (uint64_t)(n->low >> 64), (uint64_t)n->high,
                         (uint64_t)(n->high >> 64)};
    uint64_t remainder = 0;

    for (int i = 3; i >= 0; i--) {
        u128 part = (u128)remainder << 64 | limbs[i];

        limbs[i] = (uint64_t)(part / d);
        remainder = (uint64_t)(part % d);
    }
    n->low = (u128)limbs[1] << 64 | limbs[0];
    n->high = (u128)limbs[3] << 64 | limbs[2];
    return remainder;
}

/* One digit, to base 2^64, of a long division (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm
 * D): (*top, next) / d, where d has its highest bit set and *top < d. Leaves the remainder in *top. */
static uint64_t long_division_step(u128 *top, uint64_t next, u128 d)
{
    uint64_t d1 = (uint64_t)(d >> 64), d0 = (uint64_t)d;
    uint64_t t1 = (uint64_t)(*top >> 64);
    u128 q, r;

    assert(d1 >> 63);
    if (t1 == d1) { /* the estimate would be 2^64 or more: the largest digit it is */
        q = UINT64_MAX;
        r = (u128)(uint64_t)*top + d1;
    } else {
        q = *top / d1;
        r = *top % d1;
    }
    while (r <= UINT64_MAX && q * d0 > (r << 64 | next)) { /* twice at most */
        q--;
        r += d1;
    }
    *top = (*top << 64 | next) - q * d; /* modulo 2^128, where the difference fits */
    return (uint64_t)q;
}

u128 wide_divide(struct u256 n, u128 d, u128 *remainder)
{
    uint64_t high = (uint64_t)(d >> 64);
    int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)d);

    d <<= shift;
    if (shift) {
        n.high = n.high << shift | n.low >> (128 - shift);
        n.low <<= shift;
    }
    u128 top = n.high;
    u128 quotient = (u128)long_division_step(&top, (uint64_t)(n.low >> 64), d) << 64;
    quotient |= long_division_step(&top, (uint64_t)n.low, d);
    *remainder = top >> shift;
    return quotient;
}

static void store(u128 coefficient, int64_t exponent, bool negative, struct number *out)
{
    out->low = (uint64_t)coefficient;
    out->high = (uint64_t)(coefficient >> 64);
    out->exponent = (int32_t)exponent;
    out->negative = negative;
}

bool number_finish(u128 coefficient, int64_t exponent, bool negative, bool sticky, struct number *out)
{
    if (coefficient >> 64 == 0 && coefficient != 0 && exponent > LEAST && exponent < MOST - 20) {
        store(coefficient, exponent, negative, out);
        return true;
    }
    if (coefficient == 0) {
        /* Zero has no digits to place, only a form: 0.00 keeps its places, within reason. */
        if (exponent > 0)
            exponent = 0;
        store(0, exponent < -NUMBER_DIGITS ? -NUMBER_DIGITS : exponent, false, out);
        return true;
    }

    int digits = wide_digits(coefficient);
    if (digits > NUMBER_DIGITS) {
        int drop = digits - NUMBER_DIGITS;
        u128 unit = ten_to(drop), kept = coefficient / unit, rest = coefficient % unit, half = unit / 2;

        coefficient = kept + (rest > half || (rest == half && (sticky || (kept & 1))));
        exponent += drop;
        digits = NUMBER_DIGITS;
        if (coefficient == ten_to(NUMBER_DIGITS)) { /* 999..9 went up to 1000..0 */
            coefficient = ten_to(NUMBER_DIGITS - 1);
            exponent++;
        }
    }
    int64_t leading = exponent + digits - 1;
    if (leading > MOST)
        return false;
    if (leading < LEAST)
        store(0, 0, false, out);
    else
        store(coefficient, exponent, negative, out);
    return true;
}

bool number_finish_256(struct u256 coefficient, int64_t exponent, bool negative, struct number *out)
{
    if (coefficient.high == 0)
        return number_finish(coefficient.low, exponent, negative, false, out);

    /* Cut down to 35 or 36 digits, exactly enough for number_finish to round, remembering what was cut. */
    uint64_t top = (uint64_t)(coefficient.high >> 64);
    int bits = top ? 256 - __builtin_clzll(top) : 192 - __builtin_clzll((uint64_t)coefficient.high);
    int drop = ((bits - 1) * 1233 >> 12) + 1 - (NUMBER_DIGITS + 1);
    int first = drop > 19 ? 19 : drop;
    uint64_t rest = wide_divide_small(&coefficient, wide_tens[first]);

    if (drop > first)
        rest |= wide_divide_small(&coefficient, wide_tens[drop - first]);
    return number_finish(coefficient.low, exponent + drop, negative, rest != 0, out);
}
