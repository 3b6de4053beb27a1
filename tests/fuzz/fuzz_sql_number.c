/* What must hold for any two numbers, whatever their digits: `A B` as text, or 19 bytes each. */
#include "fuzz.h"
#include "wide.h"

#include <math.h>

static int leading(const struct number *value)
{
    return value->exponent + wide_digits(number_coefficient(value)) - 1;
}

static bool same(const struct number *a, const struct number *b)
{
    return a->low == b->low && a->high == b->high && a->exponent == b->exponent && a->negative == b->negative;
}

static struct number negated(struct number value)
{
    value.negative = !value.negative && !number_is_zero(&value);
    return value;
}

/* In range, 34 digits, no minus zero. */
static void check_form(const struct number *value)
{
    CHECK(number_coefficient(value) < ten_to(NUMBER_DIGITS));
    if (number_is_zero(value))
        CHECK(!value->negative && value->exponent <= 0 && value->exponent >= -NUMBER_DIGITS);
    else
        CHECK(leading(value) <= 999 && leading(value) >= -999);
}

static void check_one(const struct number *a)
{
    struct number read, reduced = *a, floor, ceiling, cut, half;
    char text[NUMBER_TEXT], again[NUMBER_TEXT];

    check_form(a);
    size_t size = number_print(a, text);
    CHECK(size <= NUMBER_TEXT);
    CHECK(number_from_string((struct span){text, size}, &read) && number_compare(&read, a) == 0);
    CHECK(number_print(&read, again) == size && memcmp(text, again, size) == 0);
    CHECK(number_from_json((struct span){text, size}, &read) && number_compare(&read, a) == 0);

    number_reduce(&reduced);
    check_form(&reduced);
    CHECK(number_compare(&reduced, a) == 0 && number_is_whole(&reduced) == number_is_whole(a));
    CHECK(number_is_whole(a) == (reduced.exponent >= 0));
    number_reduce(&read);
    CHECK(same(&read, &reduced)); /* equal values have one reduced form */

    for (int places = 0; places <= NUMBER_DIGITS; places += 17) {
        struct number unit = {.low = 1, .exponent = -places}, gap;

        number_round(a, places, NUMBER_FLOOR, &floor);
        number_round(a, places, NUMBER_CEILING, &ceiling);
        number_round(a, places, NUMBER_TRUNCATE, &cut);
        number_round(a, places, NUMBER_HALF_AWAY, &half);
        check_form(&floor);
        check_form(&half);
        CHECK(number_compare(&floor, a) <= 0 && number_compare(a, &ceiling) <= 0);
        CHECK(number_compare(&cut, a->negative ? &ceiling : &floor) == 0);
        CHECK(number_compare(&half, &floor) == 0 || number_compare(&half, &ceiling) == 0);
        if (number_subtract(&ceiling, &floor, &gap) && number_compare(&floor, &ceiling) != 0)
            CHECK(number_compare(&gap, &unit) == 0);
    }

    int64_t integer;
    if (number_to_int64(a, &integer)) {
        read = number_from_int(integer);
        CHECK(number_compare(&read, a) == 0);
        CHECK(number_clamp(a, INT64_MIN, INT64_MAX) == integer);
    }
    double nearest = number_to_double(a);
    if (isfinite(nearest)) {
        CHECK(number_from_double(nearest, &read));
        check_form(&read);
        CHECK(number_to_double(&read) == nearest);
    }
}

static void check_two(const struct number *a, const struct number *b)
{
    struct number sum, other, difference, product, quotient, rest, minus_b = negated(*b);
    bool done = number_add(a, b, &sum);

    CHECK(done == number_add(b, a, &other) && (!done || same(&sum, &other)));
    CHECK(done == number_subtract(a, &minus_b, &other) && (!done || same(&sum, &other)));
    if (done) {
        int top = leading(a) > leading(b) ? leading(a) : leading(b);
        int bottom = a->exponent < b->exponent ? a->exponent : b->exponent;

        check_form(&sum);
        if (top - bottom < NUMBER_DIGITS - 1 && bottom >= -999 && number_subtract(&sum, b, &other))
            CHECK(number_compare(&other, a) == 0); /* exact: nothing may be lost */
    }

    int order = number_compare(a, b);
    CHECK(order == -number_compare(b, a));
    if (number_subtract(a, b, &difference)) {
        check_form(&difference);
        if (order == 0)
            CHECK(number_is_zero(&difference));
        else if (!number_is_zero(&difference))
            CHECK(difference.negative == (order < 0));
        else /* only what is below the range may vanish */
            CHECK(a->exponent < -999 || b->exponent < -999);
    }

    done = number_multiply(a, b, &product);
    CHECK(done == number_multiply(b, a, &other) && (!done || same(&product, &other)));
    if (done) {
        check_form(&product);
        if (!number_is_zero(&product) &&
            wide_digits(number_coefficient(a)) + wide_digits(number_coefficient(b)) <= NUMBER_DIGITS &&
            number_divide(&product, b, &quotient))
            CHECK(number_compare(&quotient, a) == 0);
    }

    CHECK(!number_is_zero(b) || (!number_divide(a, b, &quotient) && !number_remainder(a, b, &rest)));
    if (number_is_zero(b))
        return;
    if (number_divide(a, b, &quotient)) {
        check_form(&quotient);
        if (!number_is_zero(&quotient) && leading(&quotient) > -900 &&
            number_multiply(&quotient, b, &product) && !number_is_zero(&product) &&
            leading(&product) > -900 && number_subtract(&product, a, &difference) &&
            !number_is_zero(&difference))
            CHECK(leading(&difference) <= leading(a) - (NUMBER_DIGITS - 2));
    }
    CHECK(number_remainder(a, b, &rest));
    check_form(&rest);
    CHECK(number_is_zero(&rest) || rest.negative == a->negative);
    struct number size_rest = rest, size_b = *b;
    size_rest.negative = size_b.negative = false;
    CHECK(number_compare(&size_rest, &size_b) < 0);
}

static const uint8_t *take(const uint8_t *data, struct number *out)
{
    u128 coefficient;
    int16_t exponent;

    memcpy(&coefficient, data, sizeof coefficient);
    memcpy(&exponent, data + 16, sizeof exponent);
    if (!number_finish(coefficient >> (data[18] >> 1), exponent % 1100, data[18] & 1, false, out))
        *out = number_from_int(exponent);
    return data + 19;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    const char *blank = size ? memchr(data, ' ', size) : NULL;
    struct number a, b;

    if (number_from_json(text, &a))
        check_one(&a);
    if (blank && number_from_string((struct span){text.data, (size_t)(blank - text.data)}, &a) &&
        number_from_string((struct span){blank + 1, size - 1 - (size_t)(blank - text.data)}, &b)) {
        check_one(&a);
        check_two(&a, &b);
    } else if (size == 38) {
        take(take(data, &a), &b);
        check_one(&a);
        check_one(&b);
        check_two(&a, &b);
    } else if (size == 8) {
        double value;

        memcpy(&value, data, sizeof value);
        if (number_from_double(value, &a)) {
            check_one(&a);
            CHECK(number_to_double(&a) == value);
        }
    }
    return 0;
}
