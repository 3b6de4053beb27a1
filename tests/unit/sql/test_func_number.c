/* Functions of numbers and bits. */
#include "sql_rows.h"

#define V2 SQL_2016_03_23
#define V1 SQL_2015_10_08

static const struct sql_row rows[] = {
    {"abs_keeps_every_digit", "abs(x)", "{\"x\":-1234567890123456789012345678901234}",
     "1234567890123456789012345678901234", V2},
    {"abs_of_a_text", "abs('-2e3')", "{}", "2000", V2},
    {"abs_keeps_the_fraction_of_the_old_version", "abs(x)", "{\"x\":-5.0}", "5.0", V1},
    {"abs_of_a_boolean", "abs(true)", "{}", "", V2},
    {"ceil_goes_up", "[ceil(-1.2), ceil(1.2), ceil(3), ceil('0.01')]", "{}", "[-1,2,3,1]", V2},
    {"floor_goes_down", "[floor(-1.2), floor(1.2), floor('-0.01')]", "{}", "[-2,1,-1]", V2},
    {"round_halves_go_away_from_zero", "[round(2.5), round(-1.5), round(-0.5), round(0.4999)]", "{}",
     "[3,-2,-1,0]", V2},
    {"round_is_exact", "round(x)", "{\"x\":12345678901234567890123456789012.5}",
     "12345678901234567890123456789013", V2},
    {"sign", "[sign(-7), sign(0.0), sign('13.5')]", "{}", "[-1,0,1]", V2},
    {"trunc_cuts", "[trunc(2.888, 2), trunc(-7.77, 1), trunc(2.00, 5), trunc(2.888, -50)]", "{}",
     "[2.88,-7.7,2,2]", V2},
    {"trunc_floors_its_places", "[trunc('2.3123', 2.9), trunc(5, 2)]", "{}", "[2.31,5]", V2},
    {"trunc_by_a_text", "trunc(2.888, '2')", "{}", "", V2},
    {"trunc_by_nothing", "trunc(5, x)", "{}", "", V2},
    {"mod_has_the_sign_of_the_dividend", "[mod(-8, 3), mod(8, -3), remainder('7.5', 2)]", "{}", "[-2,2,1.5]",
     V2},
    {"mod_by_zero", "mod(8, 0)", "{}", "", V2},
    {"doubles_print_shortest", "[sqrt(2), exp(1), power(2, -1)]", "{}",
     "[1.4142135623730951,2.718281828459045,0.5]", V2},
    {"whole_doubles_are_ints", "[sqrt(81), power(2, 10), log(100), cos(0)]", "{}", "[9,1024,2,1]", V2},
    {"atan2_takes_y_first", "atan2(1, 0)", "{}", "1.5707963267948966", V2},
    {"outside_the_domain", "[sqrt(-1), ln(0), ln(-1), acos(2), power(-8, 0.5), exp(1000)]", "{}", "[]", V2},
    {"too_large_for_a_double", "sqrt(x)", "{\"x\":1E900}", "", V2},
    {"bits", "[bitand(13, 5), bitor(8, 5), bitxor(13, 5), bitnot(13)]", "{}", "[5,13,8,-14]", V2},
    {"bits_of_negatives", "[bitand(-1, 255), bitor(-256, 1), bitxor(-1, 5), bitnot(-1)]", "{}",
     "[255,-255,-6,0]", V2},
    {"bits_are_rounded_down", "[bitand(13.9, '5.99'), bitand('1E2', 7)]", "{}", "[5,4]", V2},
    {"bits_have_34_digits", "bitand(a, a)", "{\"a\":9999999999999999999999999999999999}",
     "9999999999999999999999999999999999", V2},
    {"bits_have_no_35_digits", "bitnot(a)", "{\"a\":9999999999999999999999999999999999}", "", V2},
    {"bits_of_what_is_no_int", "[bitnot('abc'), bitnot(true), bitand(1E40, 1)]", "{}", "[]", V2},
};

int main(void)
{
    return RUN_SQL_ROWS("functions of numbers", rows);
}
