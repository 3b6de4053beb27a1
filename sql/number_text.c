/* Numbers from text and to text.
 *
 * The forms that number_print writes, d a digit, in the order of preference:
 *
 *     -ddd.ddd    plain, when the exponent of the leading digit is -6 or more and the last digit stands
 *                 behind the point, or before it with up to 34 digits in all (1E3 is 1000)
 *     -d.dddE12   scientific otherwise: 1.5E-7, 1E40. No plus sign, because a String with one is no number
 *                 (docs/sql.md), and what cast(x AS String) gives should be one.
 *
 * Digits are printed as the number holds them, so 5.0 stays 5.0 unless it has been reduced. */
#include "wide.h"

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* A run of digits, of any length, as a coefficient: 38 of them are kept. */
struct digits {
    u128 value;
    int64_t dropped; /* digits read but not kept */
    bool sticky;     /* one of those was not zero */
};

static const char *read_digits(const char *p, const char *end, struct digits *digits)
{
    const u128 full = ten_to(37);

    for (; p < end && is_digit(*p); p++) {
        if (digits->value < full) {
            digits->value = digits->value * 10 + (unsigned)(*p - '0');
        } else {
            digits->dropped++;
            digits->sticky |= *p != '0';
        }
    }
    return p;
}

/* -?\d+(\.\d+)?([eE][+-]?\d+)? to the last byte; the plus only if `plus`. */
static bool read_number(struct span text, bool plus, struct number *out)
{
    const char *p = text.data, *end = p + text.size, *from;
    struct digits digits = {0};
    int64_t exponent = 0, places = 0;
    bool negative = false, minus = false;

    if (text.size == 0)
        return false;
    if (*p == '-') {
        negative = true;
        p++;
    }
    from = p;
    if (text.size <= 19) { /* all digits there can be fit 64 bits */
        uint64_t value = 0;

        for (; p < end && is_digit(*p); p++)
            value = value * 10 + (unsigned)(*p - '0');
        if (p == from)
            return false;
        if (p < end && *p == '.') {
            for (from = ++p; p < end && is_digit(*p); p++)
                value = value * 10 + (unsigned)(*p - '0');
            if (p == from)
                return false;
            places = p - from;
        }
        digits.value = value;
    } else {
        p = read_digits(p, end, &digits);
        if (p == from)
            return false;
        if (p < end && *p == '.') {
            from = ++p;
            p = read_digits(p, end, &digits);
            if (p == from)
                return false;
            places = p - from;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '-' || (plus && *p == '+'))) {
            minus = *p == '-';
            p++;
        }
        for (from = p; p < end && is_digit(*p); p++)
            if (exponent < INT64_C(1000000000000000)) /* far beyond any text's number of digits */
                exponent = exponent * 10 + (*p - '0');
        if (p == from)
            return false;
    }
    if (p < end)
        return false;
    return number_finish(digits.value, (minus ? -exponent : exponent) - places + digits.dropped, negative,
                         digits.sticky, out);
}

bool number_from_json(struct span text, struct number *out)
{
    return read_number(text, true, out);
}

bool number_from_string(struct span text, struct number *out)
{
    return read_number(text, false, out);
}

static size_t print_u64(uint64_t value, char *out)
{
    char reversed[20];
    size_t size = 0;

    do {
        reversed[size++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < size; i++)
        out[i] = reversed[size - 1 - i];
    return size;
}

static size_t print_u128(u128 value, char *out)
{
    if (value >> 64 == 0)
        return print_u64((uint64_t)value, out);

    size_t size = print_u128(value / wide_tens[19], out); /* once: a coefficient has at most 34 digits */
    uint64_t low = (uint64_t)(value % wide_tens[19]);

    for (size_t i = size + 19; i-- > size; low /= 10)
        out[i] = (char)('0' + low % 10);
    return size + 19;
}

size_t number_print(const struct number *value, char out[NUMBER_TEXT])
{
    char digits[NUMBER_TEXT];
    size_t count = print_u128(number_coefficient(value), digits), size = 0;
    int64_t exponent = value->exponent, leading = exponent + (int64_t)count - 1;

    if (value->negative)
        out[size++] = '-';
    if (exponent >= 0 && leading < NUMBER_DIGITS) {
        memcpy(out + size, digits, count);
        memset(out + size + count, '0', (size_t)exponent);
        return size + count + (size_t)exponent;
    }
    if (exponent < 0 && leading >= 0) {
        size_t whole = (size_t)leading + 1;

        memcpy(out + size, digits, whole);
        out[size + whole] = '.';
        memcpy(out + size + whole + 1, digits + whole, count - whole);
        return size + count + 1;
    }
    if (exponent < 0 && leading >= -6) {
        size_t zeros = (size_t)(-leading - 1);

        out[size++] = '0';
        out[size++] = '.';
        memset(out + size, '0', zeros);
        memcpy(out + size + zeros, digits, count);
        return size + zeros + count;
    }
    out[size++] = digits[0];
    if (count > 1) {
        out[size++] = '.';
        memcpy(out + size, digits + 1, count - 1);
        size += count - 1;
    }
    out[size++] = 'E';
    if (leading < 0)
        out[size++] = '-';
    return size + print_u64((uint64_t)(leading < 0 ? -leading : leading), out + size);
}
