/* Numbers to binary64 and back. The C library's strtod and printf round correctly; they see texts without a
 * decimal point only, so that no locale can disturb them. */
#include "wide.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

double number_to_double(const struct number *value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double result;

    if (value->high == 0 && value->low <= (uint64_t)1 << DBL_MANT_DIG && value->exponent >= -22 &&
        value->exponent <= 22) {
        /* Both operands are exact, so the one operation rounds correctly. */
        result = (double)value->low;
        result = value->exponent < 0 ? result / tens[-value->exponent] : result * tens[value->exponent];
    } else {
        char text[64];
        struct number whole = {.low = value->low, .high = value->high};
        size_t size = number_print(&whole, text);

        (void)snprintf(text + size, sizeof text - size, "e%d", (int)value->exponent);
        result = strtod(text, NULL);
    }
    return value->negative ? -result : result;
}

/* |value| to `digits` significant digits: d.ddde+xx with any point, as coefficient and exponent. */
static void to_digits(double value, int digits, uint64_t *coefficient, int *exponent)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.*e", digits - 1, value);
    const char *e = strchr(text, 'e');
    *coefficient = 0;
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9')
            *coefficient = *coefficient * 10 + (unsigned)(*p - '0');
    *exponent = (int)strtol(e + 1, NULL, 10) - (digits - 1);
}

static bool reads_back(uint64_t coefficient, int exponent, double value)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)coefficient, exponent);
    return strtod(text, NULL) == value;
}

/* The shortest decimal that reads back, for a fraction between 2^-57 and 2^53, in integers: the value and the
 * borders half way to its neighbours, times 2^scale and a power of ten, are whole. */
static bool shortest_fraction(double value, uint64_t *coefficient, int *exponent)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    int power = (int)(bits >> 52 & 0x7ff) - 1075; /* value = mantissa * 2^power */
    uint64_t mantissa = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
    int scale = 1 - power, places = 16 - ((power + 52) * 1233 >> 12);
    uint64_t whole;
    u128 rest;

    if (scale < 2 || scale > 110)
        return false;
    for (;; places--) { /* whole: the first 17 digits; the estimate may be one place too far */
        struct u256 scaled = wide_multiply((u128)mantissa * 2, ten_to(places));

        whole = (uint64_t)(scaled.low >> scale | scaled.high << (128 - scale));
        rest = scaled.low & (((u128)1 << scale) - 1);
        if (scaled.high >> scale == 0 && whole < wide_tens[17])
            break;
    }

    /* Half the gap to the next double above and below, and whether a value just there comes back here. */
    u128 above = ten_to(places), below = mantissa == (uint64_t)1 << 52 ? above / 2 : above;
    bool even = (mantissa & 1) == 0;
    for (int cut = 2; cut >= 0; cut--) { /* to 15, 16, 17 digits */
        uint64_t unit = wide_tens[cut], low = whole / unit;
        u128 down = ((u128)(whole - low * unit) << scale) + rest, up = ((u128)unit << scale) - down;
        bool low_fits = down < below || (down == below && even),
             high_fits = up < above || (up == above && even);

        if (low_fits || high_fits) {
            bool high = !low_fits || (high_fits && (up < down || (up == down && (low & 1))));

            *coefficient = low + high;
            *exponent = cut - places;
            return true;
        }
    }
    return false;
}

/* The same for any value, by asking the C library. */
static void shortest(double value, uint64_t *coefficient, int *exponent)
{
    /* Fifteen digits always survive the way there and back, so that the shortest form of fifteen or less is
     * that one without its trailing zeros; below the normal range fewer do. */
    for (int digits = value < DBL_MIN ? 1 : DBL_DIG;; digits++) {
        to_digits(value, digits, coefficient, exponent);
        if (reads_back(*coefficient, *exponent, value))
            return;
        /* Next to a power of two the gap above is twice the one below: the nearest decimal can miss where its
         * upper neighbour hits. */
        if (reads_back(*coefficient + 1, *exponent, value)) {
            ++*coefficient;
            return;
        }
    }
}

bool number_from_double(double value, struct number *out)
{
    double magnitude = value < 0 ? -value : value;
    uint64_t coefficient = 0;
    int exponent = 0;

    if (!(magnitude <= DBL_MAX)) /* NaN as well */
        return false;
    if (magnitude < 9007199254740992.0 && (double)(uint64_t)magnitude == magnitude) {
        coefficient = (uint64_t)magnitude;
    } else {
        if (magnitude >= 9007199254740992.0 || !shortest_fraction(magnitude, &coefficient, &exponent))
            shortest(magnitude, &coefficient, &exponent);
        while (coefficient % 10 == 0) {
            coefficient /= 10;
            exponent++;
        }
    }
    /* A whole double shows that it is one: 2.0, as 2015-10-08 prints it; number_reduce makes it 2. */
    if (exponent >= 0 && wide_digits(coefficient) + exponent < NUMBER_DIGITS) {
        u128 whole = (u128)coefficient * ten_to(exponent + 1);

        return number_finish(whole, -1, value < 0, false, out);
    }
    return number_finish(coefficient, exponent, value < 0, false, out);
}
