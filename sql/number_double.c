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
        /* Fifteen digits always survive the way there and back, so that the shortest form of fifteen or
         * less is that one without its trailing zeros; below the normal range fewer do. */
        int digits = magnitude < DBL_MIN ? 1 : DBL_DIG;

        for (;; digits++) {
            to_digits(magnitude, digits, &coefficient, &exponent);
            if (reads_back(coefficient, exponent, magnitude))
                break;
            /* Next to a power of two the gap above is twice the one below: the nearest decimal can miss
             * where its upper neighbour hits. */
            if (reads_back(coefficient + 1, exponent, magnitude)) {
                coefficient++;
                break;
            }
        }
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
