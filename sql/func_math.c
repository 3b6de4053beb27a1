/* sql/func_math.c - functions of numbers.
 *
 * Three kinds: exact ones work on 34-digit decimals (number.h); those that the guide calls "double" go
 * through libm and come back as the shortest decimal; bit operations are two's complement on 128 bits, which
 * hold every Int of 34 digits (A5). A result that is no finite number is Undefined (A27). */
#include "func.h"

#include <math.h>

/* A result as the version shows it. */
static int give(const struct call *call, const struct number *number, bool is_int, struct value *out)
{
    *out = value_number(number, is_int, call->version);
    return 0;
}

static bool is_int(const struct call *call, unsigned i)
{
    return call->args[i].type == VALUE_INT;
}

/* ---- exact ---- */

static int fn_abs(const struct call *call, struct value *out, struct err *err)
{
    struct number number;
    int had = arg_number(call, 0, &number, err);

    if (had <= 0)
        return had;
    number.negative = false;
    return give(call, &number, is_int(call, 0), out);
}

static int round_to_int(const struct call *call, enum number_rounding how, struct value *out, struct err *err)
{
    struct number number;
    int had = arg_number(call, 0, &number, err);

    if (had <= 0)
        return had;
    number_round(&number, 0, how, &number);
    return give(call, &number, true, out);
}

static int fn_ceil(const struct call *call, struct value *out, struct err *err)
{
    return round_to_int(call, NUMBER_CEILING, out, err);
}

static int fn_floor(const struct call *call, struct value *out, struct err *err)
{
    return round_to_int(call, NUMBER_FLOOR, out, err);
}

static int fn_round(const struct call *call, struct value *out, struct err *err)
{
    return round_to_int(call, NUMBER_HALF_AWAY, out, err);
}

static int fn_sign(const struct call *call, struct value *out, struct err *err)
{
    struct number number;
    int had = arg_number(call, 0, &number, err);

    if (had <= 0)
        return had;
    struct number sign = number_from_int(number_is_zero(&number) ? 0 : number.negative ? -1 : 1);
    return give(call, &sign, true, out);
}

static int fn_trunc(const struct call *call, struct value *out, struct err *err)
{
    struct number number, places;

    if (!value_is_number(&call->args[1]) || !value_get_number(&call->args[1], &places))
        return 0; /* a String is not converted here (A58) */
    int had = arg_number(call, 0, &number, err);
    if (had <= 0)
        return had;
    if (!is_int(call, 0)) {
        number_round(&number, (int)number_clamp(&places, 0, NUMBER_DIGITS), NUMBER_TRUNCATE, &number);
        number_reduce(&number);
    }
    return give(call, &number, is_int(call, 0), out);
}

static int fn_mod(const struct call *call, struct value *out, struct err *err)
{
    struct number dividend, divisor, rest;
    int had = arg_number(call, 0, &dividend, err);

    if (had > 0)
        had = arg_number(call, 1, &divisor, err);
    if (had <= 0)
        return had;
    if (!number_remainder(&dividend, &divisor, &rest))
        return 0;
    return give(call, &rest, is_int(call, 0) && is_int(call, 1), out);
}

/* ---- double precision ---- */

static int give_double(const struct call *call, double result, struct value *out)
{
    struct number number;

    if (number_from_double(result, &number)) /* false for NaN and infinities: Undefined */
        *out = value_number(&number, false, call->version);
    return 0;
}

static int of_one(const struct call *call, double (*function)(double), struct value *out, struct err *err)
{
    struct number number;
    int had = arg_number(call, 0, &number, err);

    return had <= 0 ? had : give_double(call, function(number_to_double(&number)), out);
}

static int of_two(const struct call *call, double (*function)(double, double), struct value *out,
                  struct err *err)
{
    struct number first, second;
    int had = arg_number(call, 0, &first, err);

    if (had > 0)
        had = arg_number(call, 1, &second, err);
    return had <= 0 ? had
                    : give_double(call, function(number_to_double(&first), number_to_double(&second)), out);
}

#define DOUBLE_FUNCTION(name, of, libm)                                                                      \
    static int fn_##name(const struct call *call, struct value *out, struct err *err)                        \
    {                                                                                                        \
        return of(call, libm, out, err);                                                                     \
    }

DOUBLE_FUNCTION(acos, of_one, acos)
DOUBLE_FUNCTION(asin, of_one, asin)
DOUBLE_FUNCTION(atan, of_one, atan)
DOUBLE_FUNCTION(cos, of_one, cos)
DOUBLE_FUNCTION(cosh, of_one, cosh)
DOUBLE_FUNCTION(exp, of_one, exp)
DOUBLE_FUNCTION(ln, of_one, log)
DOUBLE_FUNCTION(log, of_one, log10)
DOUBLE_FUNCTION(sin, of_one, sin)
DOUBLE_FUNCTION(sinh, of_one, sinh)
DOUBLE_FUNCTION(sqrt, of_one, sqrt)
DOUBLE_FUNCTION(tan, of_one, tan)
DOUBLE_FUNCTION(tanh, of_one, tanh)
DOUBLE_FUNCTION(atan2, of_two, atan2)
DOUBLE_FUNCTION(power, of_two, pow)

const struct sql_func sql_math_funcs[] = {
    {"abs", 1, 1, FUNC_PURE, fn_abs, "abs(number): the number without its sign"},
    {"acos", 1, 1, FUNC_PURE, fn_acos, "acos(number): arc cosine, in radians"},
    {"asin", 1, 1, FUNC_PURE, fn_asin, "asin(number): arc sine, in radians"},
    {"atan", 1, 1, FUNC_PURE, fn_atan, "atan(number): arc tangent, in radians"},
    {"atan2", 2, 2, FUNC_PURE, fn_atan2, "atan2(y, x): angle of the point (x, y), in radians"},
    {"ceil", 1, 1, FUNC_PURE, fn_ceil, "ceil(number): the next Int above"},
    {"cos", 1, 1, FUNC_PURE, fn_cos, "cos(radians): cosine"},
    {"cosh", 1, 1, FUNC_PURE, fn_cosh, "cosh(number): hyperbolic cosine"},
    {"exp", 1, 1, FUNC_PURE, fn_exp, "exp(number): e to that power"},
    {"floor", 1, 1, FUNC_PURE, fn_floor, "floor(number): the next Int below"},
    {"ln", 1, 1, FUNC_PURE, fn_ln, "ln(number): natural logarithm"},
    {"log", 1, 1, FUNC_PURE, fn_log, "log(number): logarithm to base 10"},
    {"mod", 2, 2, FUNC_PURE, fn_mod, "mod(a, b): remainder of a / b, with the sign of a; as a % b"},
    {"power", 2, 2, FUNC_PURE, fn_power, "power(base, exponent): base to that power, in double precision"},
    {"remainder", 2, 2, FUNC_PURE, fn_mod, "remainder(a, b): as mod(a, b)"},
    {"round", 1, 1, FUNC_PURE, fn_round, "round(number): the nearest Int, halves away from zero"},
    {"sign", 1, 1, FUNC_PURE, fn_sign, "sign(number): -1, 0 or 1"},
    {"sin", 1, 1, FUNC_PURE, fn_sin, "sin(radians): sine"},
    {"sinh", 1, 1, FUNC_PURE, fn_sinh, "sinh(number): hyperbolic sine"},
    {"sqrt", 1, 1, FUNC_PURE, fn_sqrt, "sqrt(number): square root"},
    {"tan", 1, 1, FUNC_PURE, fn_tan, "tan(radians): tangent"},
    {"tanh", 1, 1, FUNC_PURE, fn_tanh, "tanh(number): hyperbolic tangent"},
    {"trunc", 2, 2, FUNC_PURE, fn_trunc, "trunc(number, places): cut after 0 to 34 decimal places"},
    {.name = NULL},
};

/* ---- bits ---- */

/* Argument `i` as an Int of at most 34 digits, which is below 2^113. */
static int arg_bits(const struct call *call, unsigned i, __int128 *out, struct err *err)
{
    struct number number;
    int had = arg_int(call, i, &number, err);

    if (had <= 0)
        return had;
    number_reduce(&number); /* 1E3 becomes 1000; an exponent that is left means more than 34 digits */
    if (number.exponent != 0)
        return 0;
    *out = (__int128)((unsigned __int128)number.high << 64 | number.low);
    if (number.negative)
        *out = -*out;
    return 1;
}

static int give_bits(const struct call *call, __int128 bits, struct value *out)
{
    unsigned __int128 size = bits < 0 ? -(unsigned __int128)bits : (unsigned __int128)bits, most = 1;
    struct number number = {.low = (uint64_t)size, .high = (uint64_t)(size >> 64), .negative = bits < 0};

    for (int i = 0; i < NUMBER_DIGITS; i++)
        most *= 10;
    return size < most ? give(call, &number, true, out) : 0; /* 35 digits are no Int */
}

static int two_bits(const struct call *call, __int128 *a, __int128 *b, struct err *err)
{
    int had = arg_bits(call, 0, a, err);

    return had <= 0 ? had : arg_bits(call, 1, b, err);
}

static int fn_bitand(const struct call *call, struct value *out, struct err *err)
{
    __int128 a, b;
    int had = two_bits(call, &a, &b, err);

    return had <= 0 ? had : give_bits(call, a & b, out);
}

static int fn_bitor(const struct call *call, struct value *out, struct err *err)
{
    __int128 a, b;
    int had = two_bits(call, &a, &b, err);

    return had <= 0 ? had : give_bits(call, a | b, out);
}

static int fn_bitxor(const struct call *call, struct value *out, struct err *err)
{
    __int128 a, b;
    int had = two_bits(call, &a, &b, err);

    return had <= 0 ? had : give_bits(call, a ^ b, out);
}

static int fn_bitnot(const struct call *call, struct value *out, struct err *err)
{
    __int128 a;
    int had = arg_bits(call, 0, &a, err);

    return had <= 0 ? had : give_bits(call, ~a, out);
}

const struct sql_func sql_bit_funcs[] = {
    {"bitand", 2, 2, FUNC_PURE, fn_bitand, "bitand(a, b): bits that are set in both Ints"},
    {"bitnot", 1, 1, FUNC_PURE, fn_bitnot, "bitnot(a): all bits turned, two's complement: -a - 1"},
    {"bitor", 2, 2, FUNC_PURE, fn_bitor, "bitor(a, b): bits that are set in either Int"},
    {"bitxor", 2, 2, FUNC_PURE, fn_bitxor, "bitxor(a, b): bits that are set in exactly one Int"},
    {.name = NULL},
};
