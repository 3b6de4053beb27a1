#include "wide.h"

/* Exponents of results are those of Python's decimal and Java's BigDecimal: the smaller one for a sum, the
 * sum of both for a product. Zero has no sign. */

struct number number_from_int(int64_t value)
{
    return (struct number){
        .low = value < 0 ? -(uint64_t)value : (uint64_t)value,
        .negative = value < 0,
    };
}

bool number_is_zero(const struct number *value)
{
    return (value->low | value->high) == 0;
}

bool number_is_whole(const struct number *value)
{
    if (value->exponent >= 0 || number_is_zero(value))
        return true;
    if (value->exponent < -NUMBER_DIGITS)
        return false;
    if (value->high == 0)
        return value->exponent > -20 && value->low % wide_tens[-value->exponent] == 0;
    return number_coefficient(value) % ten_to(-value->exponent) == 0;
}

/* Take off trailing zeros, `most` of them at the most. Returns how many. */
static int strip(u128 *coefficient, int most)
{
    int stripped = 0;

    if (*coefficient >> 64 == 0) {
        uint64_t c = (uint64_t)*coefficient;

        while (stripped < most && (c & 1) == 0 && c % 10 == 0) {
            c /= 10;
            stripped++;
        }
        *coefficient = c;
        return stripped;
    }
    for (int step = 32; step; step >>= 1) {
        u128 unit = ten_to(step);

        if (stripped + step <= most && *coefficient % unit == 0) {
            *coefficient /= unit;
            stripped += step;
        }
    }
    return stripped;
}

void number_reduce(struct number *value)
{
    if (value->exponent == 0)
        return;
    u128 coefficient = number_coefficient(value);

    if (coefficient == 0) {
        value->exponent = 0;
        return;
    }
    if (value->exponent < 0) {
        value->exponent += strip(&coefficient, -value->exponent);
    } else if (wide_digits(coefficient) + value->exponent <= NUMBER_DIGITS) {
        coefficient *= ten_to(value->exponent);
        value->exponent = 0;
    } else {
        value->exponent += strip(&coefficient, NUMBER_DIGITS);
    }
    value->low = (uint64_t)coefficient;
    value->high = (uint64_t)(coefficient >> 64);
}

/* a + b where neither fits the short way. `a` has the larger exponent. */
static bool add_far(u128 a, int64_t exponent_a, bool negative_a, u128 b, int64_t exponent_b, bool negative_b,
                    struct number *out)
{
    /* Bring `a` to 34 digits, or down to b's exponent if that comes first. */
    int64_t distance = exponent_a - exponent_b;
    int room = a ? NUMBER_DIGITS - wide_digits(a) : 0;
    int shift = distance < room ? (int)distance : room;

    a *= ten_to(shift);
    exponent_a -= shift;
    distance -= shift;
    if (a == 0)
        return number_finish(b, exponent_b, negative_b, false, out);
    if (distance == 0) {
        bool swap = b > a;
        u128 sum = negative_a == negative_b ? a + b : swap ? b - a : a - b;

        return number_finish(sum, exponent_b, swap ? negative_b : negative_a, false, out);
    }
    /* From here on `a` has 34 digits and is far larger than `b`, so its sign decides. */
    if (distance > NUMBER_DIGITS + 2) {
        /* b is below a thousandth of a's last digit: it can only break a tie, or tip a 1000..0 */
        u128 sum = a * 1000;

        if (b)
            sum = negative_a == negative_b ? sum + 1 : sum - 1;
        return number_finish(sum, exponent_a - 3, negative_a, false, out);
    }
    struct u256 sum = wide_multiply(a, ten_to((int)distance)), before = sum;
    if (negative_a == negative_b) {
        sum.low += b;
        sum.high += sum.low < before.low;
    } else {
        sum.low -= b;
        sum.high -= sum.low > before.low;
        if (sum.high > before.high) { /* b was larger after all: negate */
            sum.low = -sum.low;
            sum.high = ~sum.high + (sum.low == 0);
            negative_a = negative_b;
        }
    }
    return number_finish_256(sum, exponent_b, negative_a, out);
}

static bool add(const struct number *a, const struct number *b, bool negate, struct number *out)
{
    bool negative_b = b->negative != negate;

    if ((a->high | b->high) == 0) { /* what fits 64 bits, at most 18 places apart */
        u128 wide_a = a->low, wide_b = b->low;
        int32_t exponent = a->exponent;

        if (exponent > b->exponent && exponent - b->exponent <= 18) {
            wide_a *= wide_tens[exponent - b->exponent];
            exponent = b->exponent;
        } else if (b->exponent > exponent && b->exponent - exponent <= 18) {
            wide_b *= wide_tens[b->exponent - exponent];
        } else if (a->exponent != b->exponent) {
            goto far;
        }
        if (a->negative == negative_b)
            return number_finish(wide_a + wide_b, exponent, a->negative, false, out);
        if (wide_a >= wide_b)
            return number_finish(wide_a - wide_b, exponent, a->negative, false, out);
        return number_finish(wide_b - wide_a, exponent, negative_b, false, out);
    }
far:
    if (a->exponent >= b->exponent)
        return add_far(number_coefficient(a), a->exponent, a->negative, number_coefficient(b), b->exponent,
                       negative_b, out);
    return add_far(number_coefficient(b), b->exponent, negative_b, number_coefficient(a), a->exponent,
                   a->negative, out);
}

bool number_add(const struct number *a, const struct number *b, struct number *out)
{
    return add(a, b, false, out);
}

bool number_subtract(const struct number *a, const struct number *b, struct number *out)
{
    return add(a, b, true, out);
}

bool number_multiply(const struct number *a, const struct number *b, struct number *out)
{
    int64_t exponent = (int64_t)a->exponent + b->exponent;
    bool negative = a->negative != b->negative;

    if ((a->high | b->high) == 0)
        return number_finish((u128)a->low * b->low, exponent, negative, false, out);
    return number_finish_256(wide_multiply(number_coefficient(a), number_coefficient(b)), exponent, negative,
                             out);
}

bool number_divide(const struct number *a, const struct number *b, struct number *out)
{
    u128 n = number_coefficient(a), d = number_coefficient(b), remainder;
    int64_t exponent = (int64_t)a->exponent - b->exponent;
    bool negative = a->negative != b->negative;

    if (d == 0)
        return false;
    if (n == 0) {
        *out = (struct number){0};
        return true;
    }
    if ((a->high | b->high) == 0 && a->low % b->low == 0) {
        if (!number_finish(a->low / b->low, exponent, negative, false, out))
            return false;
    } else {
        /* Scale the dividend so that the quotient has 35 or 36 digits. */
        int shift = NUMBER_DIGITS + 1 + wide_digits(d) - wide_digits(n), late = shift > 38 ? 38 : shift;
        /* What is above 38 fits 128 bits: then n is at least four digits shorter than d. */
        u128 quotient = wide_divide(wide_multiply(n * ten_to(shift - late), ten_to(late)), d, &remainder);

        if (!number_finish(quotient, exponent - shift, negative, remainder != 0, out))
            return false;
    }
    number_reduce(out);
    return true;
}

/* (value * 10^power) mod d, for any power. */
static u128 shifted_remainder(u128 value, int64_t power, u128 d)
{
    value %= d;
    while (power > 0 && value) {
        int step = power > NUMBER_DIGITS ? NUMBER_DIGITS : (int)power;
        struct u256 product = wide_multiply(value, ten_to(step));

        product.high %= d; /* so that the quotient fits */
        (void)wide_divide(product, d, &value);
        power -= step;
    }
    return value;
}

bool number_remainder(const struct number *a, const struct number *b, struct number *out)
{
    u128 n = number_coefficient(a), d = number_coefficient(b);
    int32_t distance = a->exponent - b->exponent;

    if (d == 0)
        return false;
    if (distance >= 0)
        return number_finish(shifted_remainder(n, distance, d), b->exponent, a->negative, false, out);
    if (wide_digits(d) - distance > wide_digits(n)) { /* |b| > |a|, or a = 0 */
        *out = *a;
        return true;
    }
    return number_finish(n % (d * ten_to(-distance)), a->exponent, a->negative, false, out);
}

static int compare_magnitude(const struct number *a, const struct number *b)
{
    u128 x = number_coefficient(a), y = number_coefficient(b);

    if (x == 0 || y == 0)
        return (x != 0) - (y != 0);
    if (a->exponent != b->exponent) {
        int32_t leading_a = a->exponent + wide_digits(x), leading_b = b->exponent + wide_digits(y);

        if (leading_a != leading_b)
            return leading_a < leading_b ? -1 : 1;
        /* Equally long: what has the larger exponent has so many digits less, and stays within 34. */
        if (a->exponent > b->exponent)
            x *= ten_to(a->exponent - b->exponent);
        else
            y *= ten_to(b->exponent - a->exponent);
    }
    return (x > y) - (x < y);
}

int number_compare(const struct number *a, const struct number *b)
{
    if (a->negative != b->negative) /* zero is never negative */
        return a->negative ? -1 : 1;
    return a->negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

void number_round(const struct number *value, int places, enum number_rounding how, struct number *out)
{
    int32_t drop = -value->exponent - places;
    u128 coefficient = number_coefficient(value), kept = 0, rest = coefficient, half = 0;
    bool up = false;

    if (drop <= 0) {
        *out = *value;
        return;
    }
    if (drop <= 38) {
        u128 unit = ten_to(drop);

        kept = coefficient / unit;
        rest = coefficient % unit;
        half = unit / 2;
    }
    switch (how) {
    case NUMBER_FLOOR: up = value->negative && rest; break;
    case NUMBER_CEILING: up = !value->negative && rest; break;
    case NUMBER_TRUNCATE: break;
    case NUMBER_HALF_AWAY: up = half && rest >= half; break; /* half 0: 10^39 and more, nothing comes near */
    }
    kept += up;
    *out = (struct number){
        .low = (uint64_t)kept,
        .high = (uint64_t)(kept >> 64),
        .exponent = -places,
        .negative = value->negative && kept != 0,
    };
}

/* The whole part of |value|, cut; INT64_MAX for anything larger. */
static uint64_t whole_magnitude(const struct number *value, bool *fraction)
{
    u128 coefficient = number_coefficient(value);
    const uint64_t most = (uint64_t)1 << 63;

    *fraction = false;
    if (coefficient == 0)
        return 0;
    if (value->exponent >= 0) {
        if (value->exponent > 18 || coefficient > most)
            return most;
        coefficient *= wide_tens[value->exponent];
    } else if (value->exponent < -38) {
        *fraction = true;
        return 0;
    } else {
        u128 unit = ten_to(-value->exponent);

        *fraction = coefficient % unit != 0;
        coefficient /= unit;
    }
    return coefficient > most ? most : (uint64_t)coefficient;
}

bool number_to_int64(const struct number *value, int64_t *out)
{
    bool fraction;
    uint64_t magnitude = whole_magnitude(value, &fraction);

    if (fraction || magnitude > (uint64_t)INT64_MAX)
        return false;
    *out = value->negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

int64_t number_clamp(const struct number *value, int64_t low, int64_t high)
{
    bool fraction;
    uint64_t magnitude = whole_magnitude(value, &fraction);
    int64_t floor;

    if (magnitude > (uint64_t)INT64_MAX)
        floor = value->negative ? INT64_MIN : INT64_MAX;
    else
        floor = value->negative ? -(int64_t)magnitude - fraction : (int64_t)magnitude;
    return floor < low ? low : floor > high ? high : floor;
}
