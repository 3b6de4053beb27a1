/* Decimal numbers: the forms of texts and the corners of arithmetic. Digit by digit against an oracle:
 * tests/support/number_oracle.py. */
#include "number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NINES_34 "9999999999999999999999999999999999"

static const struct text_row {
    const char *name, *text;
    const char *as_written; /* NULL: no number */
    const char *reduced;
} text_rows[] = {
    {"a_whole_number", "42", "42", "42"},
    {"a_fraction_keeps_its_places_until_reduced", "5.00", "5.00", "5"},
    {"an_exponent_is_written_out", "1E3", "1000", "1000"},
    {"minus_zero_is_zero", "-0", "0", "0"},
    {"zero_keeps_its_places_until_reduced", "-0.00", "0.00", "0"},
    {"leading_zeros_do_not_count", "007", "7", "7"},
    {"plain_down_to_the_sixth_place", "0.000001", "0.000001", "0.000001"},
    {"scientific_below_that", "0.00000015", "1.5E-7", "1.5E-7"},
    {"plain_up_to_34_digits", "1E33", "1000000000000000000000000000000000",
     "1000000000000000000000000000000000"},
    {"scientific_above_without_a_plus", "1.20E40", "1.20E40", "1.2E40"},
    {"beyond_binary64", "-1E400", "-1E400", "-1E400"},
    {"the_largest", "9." NINES_34 "E998", "1.000000000000000000000000000000000E999", "1E999"},
    {"rounded_out_of_range", "9." NINES_34 "E999", NULL, NULL},
    {"one_more", "1E1000", NULL, NULL},
    {"the_smallest", "1E-999", "1E-999", "1E-999"},
    {"below_the_smallest_is_zero", "9.9E-1000", "0", "0"},
    {"34_digits_are_exact", "12345678901234567890123456789012.34", "12345678901234567890123456789012.34",
     "12345678901234567890123456789012.34"},
    {"a_half_goes_to_the_even_digit", "10000000000000000000000000000000005",
     "1.000000000000000000000000000000000E34", "1E34"},
    {"a_half_and_a_bit_goes_up",
     "10000000000000000000000000000000005.0000000000000000000000000000000000000000000000001",
     "1.000000000000000000000000000000001E34", "1.000000000000000000000000000000001E34"},
    {"a_small_exponent_after_many_zeros", "0.00000000000000000000000000000000000000001E41", "1", "1"},
    {"exponents_beyond_any_integer", "1E-99999999999999999999999", "0", "0"},
    {"zero_with_an_absurd_exponent", "0E99999999999999999999999", "0", "0"},
    {"no_plus_sign", "+5", NULL, NULL},
    {"no_bare_point", ".5", NULL, NULL},
    {"no_open_point", "5.", NULL, NULL},
    {"no_blank", " 5", NULL, NULL},
    {"no_trailing_blank", "5 ", NULL, NULL},
    {"no_plus_in_the_exponent", "5E+3", NULL, NULL},
    {"no_open_exponent", "5E", NULL, NULL},
    {"no_hexadecimal", "0x10", NULL, NULL},
    {"no_empty_text", "", NULL, NULL},
    {"no_nan", "NaN", NULL, NULL},
    {"no_second_sign", "--1", NULL, NULL},
    {"a_minus_alone_is_none", "-", NULL, NULL},
};

static void text_row(void **state)
{
    const struct text_row *row = *state;
    struct number number;
    char text[NUMBER_TEXT + 1];

    if (!row->as_written) {
        assert_false(number_from_string(span_of(row->text), &number));
        return;
    }
    assert_true(number_from_string(span_of(row->text), &number));
    text[number_print(&number, text)] = '\0';
    assert_string_equal(text, row->as_written);
    number_reduce(&number);
    text[number_print(&number, text)] = '\0';
    assert_string_equal(text, row->reduced);
}

static const struct arithmetic_row {
    const char *name, *a;
    char op;
    const char *b, *result; /* NULL: no number */
} arithmetic_rows[] = {
    {"tenths_add_up", "0.1", '+', "0.2", "0.3"},
    {"places_are_kept", "5.0", '+', "1.25", "6.25"},
    {"the_sum_has_the_finer_exponent", "5.00", '-', "3", "2.00"},
    {"34_digits_stay_exact", "1000000000000000000000000000000007", '+', "1",
     "1000000000000000000000000000000008"},
    {"a_sum_rounds_to_34", NINES_34, '+', "1", "1.000000000000000000000000000000000E34"},
    {"far_apart_the_small_one_is_lost", "1E40", '+', "1E-40", "1.000000000000000000000000000000000E40"},
    {"a_far_one_can_tip_a_power_of_ten", "1E40", '-', "1E-40", "1.000000000000000000000000000000000E40"},
    {"a_far_one_breaks_a_tie", "10000000000000000000000000000000005", '+', "1E-40",
     "1.000000000000000000000000000000000E34"}, /* 35 digits: the tie was broken when it was read */
    {"the_difference_changes_sign", "1", '-', "3.5", "-2.5"},
    {"nothing_is_left", "7.10", '-', "7.1", "0.00"},
    {"17_by_17_digits", "99999999999999999", '*', "99999999999999999", "9999999999999999800000000000000001"},
    {"a_product_rounds", NINES_34, '*', NINES_34, "9.999999999999999999999999999999998E67"},
    {"a_product_out_of_range", "1E600", '*', "1E400", NULL},
    {"a_product_near_nothing", "1E-600", '*', "1E-400", "0"},
    {"zero_times_minus_one", "0", '*', "-1", "0"},
    {"exact_division_stays_whole", "18446744073709551616", '/', "2", "9223372036854775808"},
    {"division_to_34_digits", "2", '/', "3", "0.6666666666666666666666666666666667"},
    {"division_strips_zeros", "7.50", '/', "2.5", "3"},
    {"division_of_34_digits", NINES_34, '/', "7", "1428571428571428571428571428571428"},
    {"division_by_zero", "1", '/', "0.0", NULL},
    {"tens_by_tens", "1E3", '/', "2", "500"},
    {"remainder_of_epoch_milliseconds", "1481825251155", '%', "1E3", "155"},
    {"remainder_has_the_sign_of_the_dividend", "-7", '%', "3", "-1"},
    {"remainder_of_decimals", "5.5", '%', "2", "1.5"},
    {"remainder_by_something_larger", "2", '%', "5E40", "2"},
    {"remainder_over_a_great_distance", "1E400", '%', "7", "4"},
    {"remainder_by_zero", "1", '%', "0", NULL},
};

static void arithmetic_row(void **state)
{
    const struct arithmetic_row *row = *state;
    struct number a, b, result;
    char text[NUMBER_TEXT + 1];
    bool done = false;

    assert_true(number_from_string(span_of(row->a), &a));
    assert_true(number_from_string(span_of(row->b), &b));
    switch (row->op) {
    case '+': done = number_add(&a, &b, &result); break;
    case '-': done = number_subtract(&a, &b, &result); break;
    case '*': done = number_multiply(&a, &b, &result); break;
    case '/': done = number_divide(&a, &b, &result); break;
    case '%': done = number_remainder(&a, &b, &result); break;
    default: fail();
    }
    assert_int_equal(done, row->result != NULL);
    if (done) {
        text[number_print(&result, text)] = '\0';
        assert_string_equal(text, row->result);
    }
}

static const struct rounding_row {
    const char *text;
    int places;
    const char *floor, *ceiling, *truncate, *half_away;
} rounding_rows[] = {
    {"2.5", 0, "2", "3", "2", "3"},
    {"-1.5", 0, "-2", "-1", "-1", "-2"},
    {"-0.5", 0, "-1", "0", "0", "-1"},
    {"1.2345", 2, "1.23", "1.24", "1.23", "1.23"},
    {"-1E-50", 0, "-1", "0", "0", "0"},
    {"7E3", 0, "7000", "7000", "7000", "7000"},
    {"12345678901234567890123456789012.75", 0, "12345678901234567890123456789012",
     "12345678901234567890123456789013", "12345678901234567890123456789012",
     "12345678901234567890123456789013"},
    {"0.00", 0, "0", "0", "0", "0"},
};

static void numbers_round_four_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rounding_rows / sizeof *rounding_rows; i++) {
        const struct rounding_row *row = &rounding_rows[i];
        const char *wants[] = {[NUMBER_FLOOR] = row->floor,
                               [NUMBER_CEILING] = row->ceiling,
                               [NUMBER_TRUNCATE] = row->truncate,
                               [NUMBER_HALF_AWAY] = row->half_away};

        for (int how = 0; how < 4; how++) {
            struct number number;
            char text[NUMBER_TEXT + 1];

            assert_true(number_from_string(span_of(row->text), &number));
            number_round(&number, row->places, (enum number_rounding)how, &number);
            text[number_print(&number, text)] = '\0';
            assert_string_equal(text, wants[how]);
        }
    }
}

static int compare(const char *a, const char *b)
{
    struct number x, y;

    assert_true(number_from_string(span_of(a), &x));
    assert_true(number_from_string(span_of(b), &y));
    assert_int_equal(number_compare(&x, &y), -number_compare(&y, &x));
    return number_compare(&x, &y);
}

static void numbers_compare_by_value(void **state)
{
    (void)state;
    assert_int_equal(compare("10", "9"), 1);
    assert_int_equal(compare("10.0", "1E1"), 0);
    assert_int_equal(compare("-1E400", "1E-400"), -1);
    assert_int_equal(compare("-2", "-3"), 1);
    assert_int_equal(compare("0", "-0.00"), 0);
    assert_int_equal(compare("1E33", "1000000000000000000000000000000001"), -1);
}

static void numbers_become_integers(void **state)
{
    struct number number;
    int64_t out;

    (void)state;
    assert_true(number_from_string(SPAN("-9223372036854775808"), &number));
    assert_int_equal(number_clamp(&number, INT64_MIN, INT64_MAX), INT64_MIN);
    assert_true(number_from_string(SPAN("9223372036854775807.0"), &number));
    assert_true(number_to_int64(&number, &out));
    assert_int_equal(out, INT64_MAX);
    assert_true(number_from_string(SPAN("9223372036854775808"), &number));
    assert_false(number_to_int64(&number, &out));
    assert_true(number_from_string(SPAN("1.5"), &number));
    assert_false(number_to_int64(&number, &out));
    assert_int_equal(number_clamp(&number, 0, 100), 1);
    assert_true(number_from_string(SPAN("-2.411E247"), &number));
    assert_int_equal(number_clamp(&number, 0, 100), 0);
    assert_true(number_from_string(SPAN("-1.5"), &number));
    assert_int_equal(number_clamp(&number, -10, 10), -2);
    number = number_from_int(INT64_MIN);
    assert_int_equal(number_clamp(&number, INT64_MIN, 0), INT64_MIN);
}

static const struct double_row {
    const char *name;
    double value;
    const char *text, *reduced;
} double_rows[] = {
    {"a_whole_double_shows_its_point", 7, "7.0", "7"},
    {"the_shortest_form", 0.1, "0.1", "0.1"},
    {"seventeen_digits_where_needed", 0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
    {"a_power_of_two_with_uneven_gaps", 0x1p-44, "5.684341886080802E-14", "5.684341886080802E-14"},
    {"the_smallest_double", 0x1p-1074, "5E-324", "5E-324"},
    {"the_largest_double", 0x1.fffffffffffffp1023, "1.7976931348623157E308", "1.7976931348623157E308"},
    {"minus_a_large_one", -1e22, "-10000000000000000000000.0", "-10000000000000000000000"},
    {"minus_zero", -0.0, "0.0", "0"},
};

static void double_row(void **state)
{
    const struct double_row *row = *state;
    struct number number;
    char text[NUMBER_TEXT + 1];

    assert_true(number_from_double(row->value, &number));
    text[number_print(&number, text)] = '\0';
    assert_string_equal(text, row->text);
    assert_true(number_to_double(&number) == row->value);
    number_reduce(&number);
    text[number_print(&number, text)] = '\0';
    assert_string_equal(text, row->reduced);
}

static void what_is_no_number_is_refused(void **state)
{
    struct number number;
    double huge;

    (void)state;
    assert_false(number_from_double(__builtin_nan(""), &number));
    assert_false(number_from_double(-__builtin_inf(), &number));
    assert_true(number_from_string(SPAN("-1E400"), &number));
    huge = number_to_double(&number);
    assert_true(huge == -__builtin_inf());
}

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT(text_rows) + COUNT(arithmetic_rows) + COUNT(double_rows) + 4];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(text_rows); i++)
        tests[n++] =
            (struct CMUnitTest){text_rows[i].name, text_row, NULL, NULL, (void *)(uintptr_t)&text_rows[i]};
    for (size_t i = 0; i < COUNT(arithmetic_rows); i++)
        tests[n++] = (struct CMUnitTest){arithmetic_rows[i].name, arithmetic_row, NULL, NULL,
                                         (void *)(uintptr_t)&arithmetic_rows[i]};
    for (size_t i = 0; i < COUNT(double_rows); i++)
        tests[n++] = (struct CMUnitTest){double_rows[i].name, double_row, NULL, NULL,
                                         (void *)(uintptr_t)&double_rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(numbers_round_four_ways);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(numbers_compare_by_value);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(numbers_become_integers);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_no_number_is_refused);
    return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
