/* number_calculator.c - our numbers behind a pipe, for number_oracle.py: a line in, a line out.
 *
 *     add|subtract|multiply|divide|remainder|compare A B      compare: -1, 0 or 1
 *     round HOW PLACES A                                      HOW: an enum number_rounding
 *     json|string|reduce|whole|int64|to_double A              to_double and from_double: the 64 bits in
 * hexadecimal from_double BITS
 *
 * Answers `none` where there is no result. */
#include "number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print(bool done, const struct number *number)
{
    char text[NUMBER_TEXT];

    if (done)
        printf("%.*s\n", (int)number_print(number, text), text);
    else
        puts("none");
}

static struct number operand(const char *text)
{
    struct number number;

    if (!text || !number_from_string(span_of(text), &number)) {
        fprintf(stderr, "not a number: %s\n", text ? text : "(nothing)");
        exit(2);
    }
    return number;
}

static bool unary(const char *name, char *text)
{
    struct number a, result;
    double value;
    uint64_t bits;
    int64_t integer;

    if (strcmp(name, "json") == 0) {
        print(number_from_json(span_of(text), &a), &a);
    } else if (strcmp(name, "string") == 0) {
        print(number_from_string(span_of(text), &a), &a);
    } else if (strcmp(name, "from_double") == 0) {
        bits = strtoull(text, NULL, 16);
        memcpy(&value, &bits, sizeof value);
        print(number_from_double(value, &a), &a);
    } else if (strcmp(name, "to_double") == 0) {
        a = operand(text);
        value = number_to_double(&a);
        memcpy(&bits, &value, sizeof value);
        printf("%016" PRIx64 "\n", bits);
    } else if (strcmp(name, "reduce") == 0) {
        result = operand(text);
        number_reduce(&result);
        print(true, &result);
    } else if (strcmp(name, "whole") == 0) {
        a = operand(text);
        puts(number_is_whole(&a) ? "1" : "0");
    } else if (strcmp(name, "int64") == 0) {
        a = operand(text);
        printf("%" PRId64, number_clamp(&a, INT64_MIN, INT64_MAX));
        if (number_to_int64(&a, &integer))
            printf(" %" PRId64 "\n", integer);
        else
            puts(" none");
    } else {
        return false;
    }
    return true;
}

static bool binary(const char *name, const char *text_a, const char *text_b)
{
    static const struct {
        const char *name;
        bool (*run)(const struct number *a, const struct number *b, struct number *out);
    } operations[] = {
        {"add", number_add},       {"subtract", number_subtract},   {"multiply", number_multiply},
        {"divide", number_divide}, {"remainder", number_remainder},
    };
    struct number a = operand(text_a), b = operand(text_b), result;

    if (strcmp(name, "compare") == 0) {
        printf("%d\n", number_compare(&a, &b));
        return true;
    }
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(name, operations[i].name) == 0) {
            print(operations[i].run(&a, &b, &result), &result);
            return true;
        }
    return false;
}

int main(void)
{
    static char line[1 << 16];

    while (fgets(line, sizeof line, stdin)) {
        char *rest, *name = strtok_r(line, " \n", &rest), *first = strtok_r(NULL, " \n", &rest),
                    *second = strtok_r(NULL, " \n", &rest), *third = strtok_r(NULL, " \n", &rest);

        if (name && third && strcmp(name, "round") == 0) {
            struct number number = operand(third);

            number_round(&number, atoi(second), (enum number_rounding)atoi(first), &number);
            print(true, &number);
        } else if (!name || !first || (second ? !binary(name, first, second) : !unary(name, first))) {
            fprintf(stderr, "not understood: %s\n", name ? name : "(nothing)");
            return 2;
        }
    }
    return 0;
}
